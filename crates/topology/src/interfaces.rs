//! What an interface as written is called in Linux, by the node's kind. Vendors' names and the
//! names of the devices meet in one: two spellings of one port give one name. Knows nothing of
//! links.

/// Names of a family of kinds. In a pattern `#` stands for a number, everything else for itself.
struct Naming {
    kinds: &'static [&'static str],
    /// Names that are the device's own already.
    own: &'static [&'static str],
    /// The vendor's pattern, the device's pattern with as many numbers, and what is added to the
    /// last of them.
    aliases: &'static [(&'static str, &'static str, i64)],
}

const ETH: &[&str] = &["eth#"];
const XR: &[(&str, &str, i64)] = &[
    ("Gi0/0/0/#", "eth#", 1),
    ("GigabitEthernet0/0/0/#", "eth#", 1),
    ("Te0/0/0/#", "eth#", 1),
    ("TenGigE0/0/0/#", "eth#", 1),
];
const JUNOS: &[(&str, &str, i64)] = &[("ge-0/0/#", "eth#", 1), ("xe-0/0/#", "eth#", 1), ("et-0/0/#", "eth#", 1)];
const GIGABIT_FROM_2: &[(&str, &str, i64)] = &[("Gi#", "eth#", -1), ("GigabitEthernet#", "eth#", -1)];
const GIGABIT_0: &[(&str, &str, i64)] = &[("Gi0/#", "eth#", 1), ("GigabitEthernet0/#", "eth#", 1)];

#[rustfmt::skip]
const NAMINGS: &[Naming] = &[
    Naming { kinds: &["nokia_srlinux", "srl"], own: &["e#-#", "e#-#-#", "mgmt0"], aliases: &[
        ("ethernet-#/#", "e#-#", 0), ("ethernet-#/#/#", "e#-#-#", 0)] },
    Naming { kinds: &["nokia_srsim"],
        own: &["e#-#-#", "e#-#-c#-#", "e#-x#-#-#", "e#-x#-#-c#-#", "eth#", "eth0"], aliases: &[
        ("#/#/#", "e#-#-#", 0), ("#/#/c#/#", "e#-#-c#-#", 0),
        ("#/x#/#/#", "e#-x#-#-#", 0), ("#/x#/#/c#/#", "e#-x#-#-c#-#", 0)] },
    Naming { kinds: &["nokia_sros", "vr-sros", "vr-nokia_sros"], own: ETH, aliases: &[
        ("1/1/#", "eth#", 0), ("1/1/c#/1", "eth#", 0)] },
    Naming { kinds: &["arista_ceos", "ceos"], own: &["eth#", "eth#_#", "eth#_#_#", "et#", "et#_#", "et#_#_#"],
        aliases: &[
        ("Ethernet#", "eth#", 0), ("Ethernet#/#", "eth#_#", 0), ("Ethernet#/#/#", "eth#_#_#", 0),
        ("Et#", "eth#", 0), ("Et#/#", "eth#_#", 0), ("Et#/#/#", "eth#_#_#", 0)] },
    Naming { kinds: &["arista_veos", "vr-veos", "vr-arista_veos"], own: ETH, aliases: &[
        ("Ethernet#", "eth#", 0), ("Ethernet1/#", "eth#", 0), ("Et#", "eth#", 0), ("Et1/#", "eth#", 0)] },
    Naming { kinds: &["cisco_n9kv", "vr-n9kv", "vr-cisco_n9kv"], own: ETH, aliases: &[
        ("Ethernet1/#", "eth#", 0), ("Et1/#", "eth#", 0), ("Eth1/#", "eth#", 0)] },
    Naming { kinds: &["paloalto_panos", "vr-pan", "vr-paloalto_panos"], own: ETH, aliases: &[
        ("Ethernet1/#", "eth#", 0), ("ethernet1/#", "eth#", 0)] },
    Naming { kinds: &["cisco_xrd", "xrd"], own: &["Gi0-0-0-#"], aliases: &[
        ("Gi0/0/0/#", "Gi0-0-0-#", 0), ("GigabitEthernet0/0/0/#", "Gi0-0-0-#", 0)] },
    Naming { kinds: &["cisco_xrd_vrouter", "cisco_xrv9k", "vr-xrv9k", "vr-cisco_xrv9k", "cisco_xrv", "vr-xrv",
        "vr-cisco_xrv"], own: ETH, aliases: XR },
    Naming { kinds: &["cisco_c8000", "c8000"], own: &["Fi0_0_0_#", "Hu0_0_0_#", "FH0_0_0_#"], aliases: &[
        ("FiftyGigE0/0/0/#", "Fi0_0_0_#", 0), ("HundredGigE0/0/0/#", "Hu0_0_0_#", 0),
        ("FourHundredGigE0/0/0/#", "FH0_0_0_#", 0)] },
    Naming { kinds: &["cisco_csr1000v", "vr-csr", "vr-cisco_csr1000v", "cisco_c8000v"], own: ETH,
        aliases: GIGABIT_FROM_2 },
    Naming { kinds: &["cisco_cat9kv"], own: ETH, aliases: &[
        ("Gi1/0/#", "eth#", 0), ("GigabitEthernet1/0/#", "eth#", 0)] },
    Naming { kinds: &["cisco_vios"], own: ETH, aliases: &[("Gi#", "eth#", 1), ("GigabitEthernet#", "eth#", 1)] },
    Naming { kinds: &["cisco_asav", "cisco_ftdv"], own: ETH, aliases: GIGABIT_0 },
    Naming { kinds: &["juniper_vmx", "vr-vmx", "vr-juniper_vmx", "juniper_vqfx", "vr-vqfx", "vr-juniper_vqfx",
        "juniper_vsrx", "vr-vsrx", "vr-juniper_vsrx", "juniper_vjunosrouter", "juniper_vjunosswitch",
        "juniper_vjunosevolved"], own: ETH, aliases: JUNOS },
    Naming { kinds: &["juniper_cjunosevolved", "cjunosevolved"], own: ETH, aliases: &[("et-0/0/#", "eth#", 4)] },
    Naming { kinds: &["nvidia_cumulusvx"], own: ETH, aliases: &[("swp#", "eth#", 0)] },
    Naming { kinds: &["cumulus_cvx", "cvx", "arrcus_arcos"], own: &["swp#", "swp#.#"], aliases: &[] },
    Naming { kinds: &["aruba_aoscx", "vr-aoscx", "vr-aruba_aoscx"], own: ETH, aliases: &[("1/1/#", "eth#", 0)] },
    Naming { kinds: &["mikrotik_ros", "vr-ros", "vr-mikrotik_ros"], own: ETH, aliases: &[("ether#", "eth#", -1)] },
    Naming { kinds: &["fortinet_fortigate"], own: ETH, aliases: &[("port#", "eth#", -1)] },
    Naming { kinds: &["spirent_stc"], own: &["port#"], aliases: &[] },
    Naming { kinds: &["ciena_saos", "vr-ciena_saos"], own: ETH, aliases: &[("#", "eth#", 0)] },
    Naming { kinds: &["f5_bigip-ve"], own: ETH, aliases: &[("1.#", "eth#", 0)] },
    Naming { kinds: &["freebsd"], own: ETH, aliases: &[("vtnet#", "eth#", 0)] },
    Naming { kinds: &["openbsd"], own: ETH, aliases: &[("vio#", "eth#", 0)] },
    Naming { kinds: &["vyosnetworks_vyos", "huawei_vrp", "ipinfusion_ocnos", "dell_ftosv", "vr-ftosv",
        "vr-dell_ftosv", "checkpoint_cloudguard", "generic_vm", "openwrt", "sonic-vm", "dell_sonic",
        "plvision_sonic", "cisco_sdwan"], own: ETH, aliases: &[] },
];

/// The Linux name of the interface `written` on a node of `kind` (in lower case). Kinds without
/// names of their own take every name. An error says which names the kind takes.
pub fn linux_name(kind: &str, written: &str) -> Result<String, String> {
    if kind == "cisco_iol" {
        return four_a_slot(written);
    }
    let Some(naming) = NAMINGS.iter().find(|naming| naming.kinds.contains(&kind)) else {
        return Ok(written.to_owned());
    };
    let own = naming.own.iter().any(|pattern| numbers(pattern, written).is_some_and(|found| counted(pattern, &found)));
    if own {
        return Ok(written.to_owned());
    }
    let compact = written.replace(' ', "");
    for (vendor, device, shift) in naming.aliases {
        let Some(mut found) = numbers(vendor, &compact) else { continue };
        if let Some(last) = found.last_mut() {
            *last += shift;
        }
        if counted(device, &found) {
            return Ok(filled(device, &found));
        }
    }
    Err(format!("kind {kind} has no such interface: {}", known(naming)))
}

/// IOL: four ports a slot, the first is the management port.
fn four_a_slot(written: &str) -> Result<String, String> {
    let compact = written.replace(' ', "");
    let slot = numbers("Ethernet#/#", &compact).or_else(|| numbers("e#/#", &compact));
    let port = match (slot.as_deref(), numbers("eth#", written).as_deref()) {
        (Some([slot @ 0..=9, port @ 0..=3]), _) => slot * 4 + port,
        (None, Some([port])) => *port,
        _ => 0,
    };
    match port {
        0 => Err("kind cisco_iol has no such interface: Ethernet0/1 to Ethernet9/3 or eth1 and up".to_owned()),
        port => Ok(format!("eth{port}")),
    }
}

/// Whether the numbers are ports: from 1, or from 0 where the devices of `pattern` begin there.
fn counted(pattern: &str, found: &[i64]) -> bool {
    let from = i64::from(!["Gi0", "Fi0", "Hu0", "FH0", "swp"].iter().any(|prefix| pattern.starts_with(prefix)));
    found.iter().all(|number| *number >= from)
}

fn known(naming: &Naming) -> String {
    let own = naming.own.iter().copied();
    let names: Vec<String> =
        naming.aliases.iter().map(|(vendor, ..)| *vendor).chain(own).map(|p| p.replace('#', "N")).collect();
    names.join(", ")
}

/// The numbers in `text` where `pattern` has a `#`; `None` when it does not fit.
fn numbers(pattern: &str, text: &str) -> Option<Vec<i64>> {
    let mut found = Vec::new();
    let mut rest = text;
    for (index, literal) in pattern.split('#').enumerate() {
        if index > 0 {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            let number: u32 = rest[..digits].parse().ok()?;
            found.push(i64::from(number));
            rest = &rest[digits..];
        }
        rest = rest.strip_prefix(literal)?;
    }
    rest.is_empty().then_some(found)
}

/// `pattern` with its `#` replaced by the numbers in turn.
fn filled(pattern: &str, found: &[i64]) -> String {
    let mut parts = pattern.split('#');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for (number, literal) in found.iter().zip(parts) {
        name.push_str(&number.to_string());
        name.push_str(literal);
    }
    name
}

#[cfg(test)]
mod tests {
    use super::linux_name;

    #[test]
    fn two_spellings_of_a_port_are_one_name() {
        for (kind, written, name) in [
            ("linux", "any-thing", "any-thing"),
            ("srl", "ethernet-1/1", "e1-1"),
            ("srl", "e1-1", "e1-1"),
            ("nokia_srsim", "1/x2/3/c4/5", "e1-x2-3-c4-5"),
            ("arista_ceos", "Ethernet3/1", "eth3_1"),
            ("juniper_vmx", "ge-0/0/0", "eth1"),
            ("cisco_iol", "Ethernet1/0", "eth4"),
            ("cisco_csr1000v", "GigabitEthernet 2", "eth1"),
            ("cisco_xrd", "GigabitEthernet0/0/0/0", "Gi0-0-0-0"),
            ("cisco_xrd", "Gi0-0-0-0", "Gi0-0-0-0"),
        ] {
            assert_eq!(linux_name(kind, written).as_deref(), Ok(name), "{kind} {written}");
        }
        for (kind, written) in
            [("srl", "eth1"), ("cisco_iol", "Ethernet0/0"), ("cisco_csr1000v", "Gi1"), ("xrd", "eth1")]
        {
            assert!(linux_name(kind, written).is_err(), "{kind} {written}");
        }
    }
}
