//! Twenty frames on which switches differ most.

use super::build::{BROADCAST, C_TAG, S_TAG, ethernet, filler, llc, packet_of, reserved, snap, tagged, tci};
use super::{Frame, Path};

/// The frames from `path.source` to `path.target`.
pub fn frames(path: &Path) -> Vec<Frame> {
    let frame = |name, bytes| Frame { name, bytes };
    let mut all = tags(path);
    all.extend(reserved_groups(path));
    all.push(frame("to an address on the sender's own side", own_side(path)));
    all.push(frame("a jumbo of 9000 bytes", ethernet(path.target, path.source, 0x0800, &packet_of(8986))));
    all
}

fn tags(path: &Path) -> Vec<Frame> {
    let behind = |name, tags: &[(u16, u16)]| {
        let bytes = tagged(path.target, path.source, tags, 0x0800, &packet_of(64));
        Frame { name, bytes }
    };
    let plain = |vlan| tci(0, false, vlan);
    vec![
        behind("untagged", &[]),
        behind("one tag", &[(C_TAG, plain(10))]),
        behind("one tag, drop eligible", &[(C_TAG, tci(3, true, 10))]),
        behind("8100 in 8100", &[(C_TAG, plain(20)), (C_TAG, plain(30))]),
        behind("8100 in 88a8", &[(S_TAG, plain(20)), (C_TAG, plain(30))]),
        behind("three tags", &[(C_TAG, plain(20)), (C_TAG, plain(30)), (C_TAG, plain(40))]),
        behind("VLAN 0, priority 0", &[(C_TAG, plain(0))]),
        behind("VLAN 0, priority 5", &[(C_TAG, tci(5, false, 0))]),
        behind("VLAN 60 in VLAN 0", &[(C_TAG, plain(0)), (C_TAG, plain(60))]),
    ]
}

fn reserved_groups(path: &Path) -> Vec<Frame> {
    let frame = |name, bytes| Frame { name, bytes };
    let to = |last, ethertype: u16, payload: &[u8]| ethernet(reserved(last), path.source, ethertype, payload);
    let hello = [&[0x42, 0x42, 0x03, 0, 0, 0, 0], filler(31).as_slice()].concat();
    let cdp = snap([0, 0, 0x0c], 0x2000, &[&[0x02, 0xb4, 0, 0], filler(40).as_slice()].concat());
    let pvst = snap([0, 0, 0x0c], 0x010b, &[&[0, 0, 0, 0], filler(31).as_slice()].concat());
    let is_is = [&[0xfe, 0xfe, 0x03, 0x83, 27, 1, 0, 15], filler(40).as_slice()].concat();
    let cisco = [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc];
    let per_vlan = [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd];
    vec![
        frame("STP", llc(reserved(0), path.source, &[], &hello)),
        frame("PAUSE", to(0x01, 0x8808, &[0, 1, 0, 0xff])),
        frame("LACP", to(0x02, 0x8809, &[&[1, 1, 1, 20], filler(106).as_slice()].concat())),
        frame("EAPOL", to(0x03, 0x888e, &[2, 1, 0, 0])),
        frame("LLDP", to(0x0e, 0x88cc, &[2, 7, 4, 2, 0, 0, 0, 0, 1, 4, 2, 7, 0x31, 6, 2, 0, 120, 0, 0])),
        frame("CDP", llc(cisco, path.source, &[], &cdp)),
        frame("PVST+ behind a tag", llc(per_vlan, path.source, &[(C_TAG, tci(7, false, 30))], &pvst)),
        frame("IS-IS", llc(reserved(0x15), path.source, &[], &is_is)),
        frame("MACsec", ethernet(BROADCAST, path.source, 0x88e5, &filler(64))),
    ]
}

/// As a bridge behind the wire sees it after a loop of its own, or VRRP after a change of masters.
fn own_side(path: &Path) -> Vec<u8> {
    let other = [0x02, 0, 0, 0, 0, 0x77];
    ethernet(path.source, other, 0x0800, &packet_of(64))
}
