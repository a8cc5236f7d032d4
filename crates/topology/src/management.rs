//! The blocks `mgmt` and `settings`.

use archetype_model::topology::{CertificateAuthority, MgmtDecl, Settings, Subnet};
use archetype_model::{BridgeName, Mtu, NetworkName};

use crate::definition::duration;
use crate::tree::Tree;
use crate::walk::{Fields, Walker};

/// Reads `mgmt`.
pub fn management(w: &mut Walker, tree: &Tree) -> MgmtDecl {
    let Some(mut fields) = w.fields("mgmt", tree) else { return MgmtDecl::default() };
    let f = &mut fields;
    let mgmt = MgmtDecl {
        network: f.parsed(w, "network", "bad-name", |text| NetworkName::new(text).map_err(|e| e.to_string())),
        bridge: f.parsed(w, "bridge", "bad-name", |text| BridgeName::new(text).map_err(|e| e.to_string())),
        ipv4_subnet: either(w, f, ["ipv4-subnet", "ipv4_subnet"]),
        ipv6_subnet: either(w, f, ["ipv6-subnet", "ipv6_subnet"]),
        ipv4_gw: address(w, f, "ipv4-gw"),
        ipv6_gw: address(w, f, "ipv6-gw"),
        ipv4_range: address(w, f, "ipv4-range"),
        ipv6_range: address(w, f, "ipv6-range"),
        mtu: mtu(w, f, "mtu"),
        external_access: f.truth(w, "external-access"),
        skip_when_unused: f.truth(w, "skip-when-unused"),
        driver_opts: f.text_map(w, "driver-opts"),
    };
    fields.finish(w);
    mgmt
}

/// A subnet under its name or its older one; the newer one wins.
fn either<T: std::str::FromStr>(w: &mut Walker, f: &mut Fields<'_>, keys: [&'static str; 2]) -> Option<Subnet<T>> {
    keys.map(|key| {
        f.parsed(w, key, "bad-address", |text| match text.as_str() {
            "auto" => Ok(Subnet::Auto),
            _ => text.parse().map(Subnet::Net).map_err(|_| format!("{text:?} is not a subnet like 172.20.20.0/24")),
        })
    })
    .into_iter()
    .flatten()
    .next()
}

fn address<T: std::str::FromStr>(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Option<T> {
    f.parsed(w, key, "bad-address", |text| {
        text.parse().map_err(|_| match key.ends_with("range") {
            true => format!("{text:?} is not a subnet like 172.20.20.128/25"),
            false => format!("{text:?} is not an address"),
        })
    })
}

/// An MTU; 0 is not stated.
pub fn mtu(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Option<Mtu> {
    let tree = f.take(w, key)?;
    let path = f.path_of(key);
    let number = w.integer(&path, tree).filter(|number| *number != 0)?;
    match u32::try_from(number).map_err(|_| ()).and_then(|n| Mtu::new(n).map_err(|_| ())) {
        Ok(mtu) => Some(mtu),
        Err(()) => {
            let message = format!("{path} is {number}, but an MTU is 68 to 65535 bytes");
            w.problem("bad-mtu", tree.at, message).hint = Some("leave it out for the default".into());
            None
        }
    }
}

/// Reads `settings`.
pub fn settings(w: &mut Walker, tree: &Tree) -> Settings {
    let Some(mut fields) = w.fields("settings", tree) else { return Settings::default() };
    let mut authority = None;
    let path = "settings.certificate-authority";
    if let Some(mut inner) = fields.take(w, "certificate-authority").and_then(|tree| w.fields(path, tree)) {
        authority = Some(CertificateAuthority {
            cert: inner.text(w, "cert"),
            key: inner.text(w, "key"),
            key_size: inner.whole(w, "key-size"),
            validity_duration: duration(w, &mut inner, "validity-duration"),
        });
        inner.finish(w);
    }
    fields.finish(w);
    Settings { certificate_authority: authority }
}
