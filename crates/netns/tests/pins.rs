//! Namespaces of a real kernel: pinned, published, told apart from the host's own.

#![allow(clippy::unwrap_used)] // a test has nobody to hand an error to

use std::path::{Path, PathBuf};

use archetype_netns::{Error, Namespace, pin};
use archetype_testbed::{run, sandbox};

#[test]
fn a_pinned_namespace_lives_until_it_is_unpinned() {
    sandbox(|| {
        let path = Path::new("/run/archetype/ns/n1");
        let made = pin::make(path).unwrap();
        pin::publish(&made, "clab-x-n1").unwrap();
        pin::publish(&made, "clab-x-n1").unwrap();
        assert!(run("ip", ["-n", "clab-x-n1", "-o", "link"]).contains("lo:"));
        assert_eq!(Namespace::open("/run/netns/clab-x-n1").unwrap().identity(), made.identity());
        pin::unpublish(&made, "clab-x-n1").unwrap();
        pin::unpin(path).unwrap();
        pin::unpin(path).unwrap();
        assert!(!path.exists() && !Path::new("/run/netns/clab-x-n1").exists());
    });
}

#[test]
fn what_is_mounted_over_a_name_does_not_lie_over_the_pin() {
    sandbox(|| {
        let path = Path::new("/run/a/netns/clab-x-n1");
        let made = pin::make(path).unwrap();
        pin::publish(&made, "clab-x-n1").unwrap();
        run("mount", ["--bind", "/proc/self/ns/net", "/run/netns/clab-x-n1"]);
        assert_eq!(Namespace::open_node(path).unwrap().identity(), made.identity());
        assert!(Namespace::open_node("/run/netns/clab-x-n1").is_err());
    });
}

#[test]
fn many_namespaces_are_made_and_each_is_another() {
    sandbox(|| {
        let paths: Vec<PathBuf> = (0..40).map(|n| format!("/run/archetype/ns/n{n}").into()).collect();
        let begun = std::time::Instant::now();
        let made: Vec<_> = pin::many(&paths).into_iter().map(Result::unwrap).collect();
        eprintln!("40 namespaces: {:?}", begun.elapsed());
        let cookies: std::collections::BTreeSet<_> = made.iter().map(|ns| ns.cookie().unwrap()).collect();
        assert_eq!(cookies.len(), 40);
        assert_eq!(made[7].path(), paths[7]);
        assert!(pin::make(&paths[3]).is_err());
    });
}

#[test]
fn the_hosts_own_namespace_is_never_taken_for_a_nodes() {
    sandbox(|| {
        run("ip", ["netns", "attach", "host", "1"]);
        assert!(matches!(Namespace::open_node("/run/netns/host"), Err(Error::HostNamespace { .. })));
        assert!(matches!(Namespace::open_node("/proc/self/ns/net"), Err(Error::HostNamespace { .. })));
        assert!(matches!(Namespace::open_node("/etc/hostname"), Err(Error::NotANamespace { .. })));
        assert!(matches!(Namespace::open_node("/proc/self/ns/uts"), Err(Error::NotANamespace { .. })));
        assert!(matches!(Namespace::open_node("/run/none"), Err(Error::NotANamespace { .. })));
    });
}
