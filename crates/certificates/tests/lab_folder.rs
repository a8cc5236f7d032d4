//! What is under `.tls` in a lab's folder, read by another library than wrote it.

#![allow(clippy::unwrap_used, reason = "a test ends by panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use archetype_certificates::{Refused, are_wanted, keep};
use archetype_model::topology::Topology;
use archetype_topology::{Environment, read_text};
use time::{Duration, OffsetDateTime};
use x509_parser::pem::Pem;
use x509_parser::prelude::X509Certificate;

/// The topology of `text`, whose file lies in `folder`.
fn topology(folder: &Path, text: &str) -> Topology {
    let reading = read_text("lab.clab.yml", folder, text, &Environment::new());
    assert_eq!(reading.problems, []);
    reading.topology.unwrap()
}

fn now() -> OffsetDateTime {
    OffsetDateTime::now_utc()
}

/// The certificate in a file, as `claims` sees it.
fn certificate(path: &Path, claims: impl FnOnce(&X509Certificate<'_>)) {
    let pem = Pem::iter_from_buffer(&fs::read(path).unwrap()).next().unwrap().unwrap();
    claims(&pem.parse_x509().unwrap());
}

fn signed(cert: &Path, authority: &Path) {
    certificate(authority, |authority| {
        certificate(cert, |cert| cert.verify_signature(Some(authority.public_key())).unwrap())
    });
}

fn bits(cert: &X509Certificate<'_>) -> usize {
    cert.public_key().parsed().unwrap().key_size()
}

const LAB: &str = "\
name: tls
settings: {certificate-authority: {key-size: 2048, validity-duration: 5h}}
topology:
  kinds: {linux: {image: alpine}}
  nodes:
    l1:
      kind: linux
      mgmt-ipv4: 172.20.20.7
      certificate: {issue: true, key-size: 1024, validity-duration: 25h, sans: [extra.example, 10.1.2.3]}
    l2: {kind: linux, certificate: {issue: true}}
    l3: {kind: linux, certificate: {key-size: 2048}}
    br: {kind: bridge, certificate: {issue: true}}
";

#[test]
fn each_node_that_asks_has_a_certificate_that_the_labs_authority_signed() {
    let folder = tempfile::tempdir().unwrap();
    let lab = topology(folder.path(), LAB);
    assert!(are_wanted(&lab));
    keep(&lab, now()).unwrap();
    let tls = folder.path().join("clab-tls/.tls");
    certificate(&tls.join("ca/ca.pem"), |ca| {
        assert!(ca.is_ca());
        assert_eq!(bits(ca), 2048);
        assert!(ca.subject().to_string().ends_with("CN=tls lab CA"), "{}", ca.subject());
        let hours = ca.validity().not_after.timestamp() - ca.validity().not_before.timestamp();
        assert_eq!(hours, 5 * 3600);
    });
    certificate(&tls.join("l1/l1.pem"), |cert| {
        assert!(!cert.is_ca());
        assert_eq!(bits(cert), 1024);
        assert!(cert.subject().to_string().ends_with("CN=l1.tls.io"), "{}", cert.subject());
        assert_eq!(cert.validity().not_after.timestamp() - cert.validity().not_before.timestamp(), 25 * 3600);
        let names = format!("{:?}", cert.subject_alternative_name().unwrap().unwrap().value.general_names);
        for name in ["\"l1\"", "clab-tls-l1", "l1.tls.io", "extra.example", "[10, 1, 2, 3]", "[172, 20, 20, 7]"] {
            assert!(names.contains(name), "{name} in {names}");
        }
    });
    certificate(&tls.join("l2/l2.pem"), |cert| {
        assert_eq!(bits(cert), 2048);
        let valid = cert.validity().not_after.timestamp() - cert.validity().not_before.timestamp();
        assert_eq!(valid, Duration::days(365).whole_seconds());
    });
    for node in ["l1", "l2"] {
        signed(&tls.join(node).join(format!("{node}.pem")), &tls.join("ca/ca.pem"));
        let key = tls.join(node).join(format!("{node}.key"));
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&key).unwrap().starts_with("-----BEGIN RSA PRIVATE KEY-----"));
    }
    assert!(!tls.join("l3").exists());
    assert!(!tls.join("br").exists());
}

#[test]
fn what_is_there_is_kept_and_only_what_is_missing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let lab = topology(folder.path(), LAB);
    keep(&lab, now()).unwrap();
    let tls = folder.path().join("clab-tls/.tls");
    let all = |names: &[&str]| names.iter().map(|name| fs::read(tls.join(name)).unwrap()).collect::<Vec<_>>();
    let kept = ["ca/ca.pem", "ca/ca.key", "l1/l1.pem", "l1/l1.key"];
    let before = all(&kept);
    fs::remove_dir_all(tls.join("l2")).unwrap();
    keep(&lab, now()).unwrap();
    assert_eq!(all(&kept), before);
    signed(&tls.join("l2/l2.pem"), &tls.join("ca/ca.pem"));
    // Half of a pair is somebody's mistake: nothing is written over it.
    fs::remove_file(tls.join("l1/l1.key")).unwrap();
    assert!(matches!(keep(&lab, now()), Err(Refused::Half { .. })));
}

#[test]
fn an_authority_from_elsewhere_signs_and_none_is_made() {
    let folder = tempfile::tempdir().unwrap();
    keep(&topology(folder.path(), LAB), now()).unwrap();
    let theirs = folder.path().join("clab-tls/.tls/ca");
    let text = LAB.replace("name: tls", "name: other").replace(
        "{key-size: 2048, validity-duration: 5h}",
        "{cert: clab-tls/.tls/ca/ca.pem, key: clab-tls/.tls/ca/ca.key}",
    );
    keep(&topology(folder.path(), &text), now()).unwrap();
    let ours = folder.path().join("clab-other/.tls");
    assert!(!ours.join("ca").exists());
    signed(&ours.join("l1/l1.pem"), &theirs.join("ca.pem"));
    fs::write(theirs.join("ca.key"), "no key").unwrap();
    fs::remove_dir_all(&ours).unwrap();
    assert!(matches!(keep(&topology(folder.path(), &text), now()), Err(Refused::Key(_))));
    assert!(!ours.join("l1/l1.pem").exists());
}

#[test]
fn a_lab_that_speaks_of_no_certificates_gets_no_folder() {
    let folder = tempfile::tempdir().unwrap();
    let without = topology(folder.path(), "name: x\ntopology: {nodes: {a: {kind: linux, image: b}}}\n");
    assert!(!are_wanted(&without));
    keep(&without, now()).unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    let binds = "name: x\ntopology: {nodes: {a: {kind: linux, image: b, binds: ['__clabDir__/.tls/ca:/ca']}}}\n";
    keep(&topology(folder.path(), binds), now()).unwrap();
    assert!(folder.path().join("clab-x/.tls/ca/ca.pem").exists());
}

#[test]
fn sizes_of_keys_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let text = LAB.replace("certificate: {issue: true, key-size: 1024,", "certificate: {issue: true, key-size: 100,");
    assert!(matches!(keep(&topology(folder.path(), &text), now()), Err(Refused::Bits(100))));
}
