//! 58 kinds of frames from the protocols that networkers run.

use super::build::{BROADCAST, C_TAG, S_TAG, ethernet, filler, ipv4, llc, packet_of, reserved, snap, tagged, tci, udp};
use super::{Address, Frame, Path};

const CISCO: Address = [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc];
const PER_VLAN: Address = [0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd];
const ALL_IS: Address = [0x09, 0, 0x2b, 0, 0, 0x05];

/// The frames from `path.source` to `path.target`.
pub fn frames(path: &Path) -> Vec<Frame> {
    [internet(path), tags(path), bridges(path), routing(path), others(path), addresses(path), sizes(path)].concat()
}

fn frame(name: &'static str, bytes: Vec<u8>) -> Frame {
    Frame { name, bytes }
}

fn internet(path: &Path) -> Vec<Frame> {
    let arp = [&[0, 1, 8, 0, 6, 4, 0, 1], path.source.as_slice(), &[10, 9, 8, 1], &[0; 6], &[10, 9, 8, 2]].concat();
    let to_all = ipv4([255; 4], 17, 64, 0, &udp(&filler(20)));
    // Version 4 with a header shorter than any can be.
    let bad = [&[0x43, 0, 0, 40], filler(40).as_slice()].concat();
    let part = ipv4([10, 9, 8, 2], 17, 64, 0x2000 | 185, &filler(64));
    vec![
        frame("IPv4 unicast", ethernet(path.target, path.source, 0x0800, &packet_of(64))),
        frame("IPv4 broadcast", ethernet(BROADCAST, path.source, 0x0800, &to_all)),
        frame("ARP", ethernet(BROADCAST, path.source, 0x0806, &arp)),
        frame("a bad IPv4 header", ethernet(path.target, path.source, 0x0800, &bad)),
        frame("an IPv4 fragment", ethernet(path.target, path.source, 0x0800, &part)),
    ]
}

fn tags(path: &Path) -> Vec<Frame> {
    let behind =
        |name, tags: &[(u16, u16)]| frame(name, tagged(path.target, path.source, tags, 0x0800, &packet_of(64)));
    let plain = |vlan| tci(0, false, vlan);
    let inner = (C_TAG, plain(30));
    vec![
        behind("VLAN 10", &[(C_TAG, plain(10))]),
        behind("VLAN 10, priority 5, drop eligible", &[(C_TAG, tci(5, true, 10))]),
        behind("VLAN 0 with a priority", &[(C_TAG, tci(5, false, 0))]),
        behind("the VLAN of the wire's own tag", &[(C_TAG, plain(path.tag))]),
        behind("VLAN 4095", &[(C_TAG, plain(4095))]),
        behind("8100 in 8100", &[(C_TAG, plain(20)), inner]),
        behind("8100 in 88a8", &[(S_TAG, plain(20)), inner]),
        behind("8100 in 9100", &[(0x9100, plain(20)), inner]),
        behind("88a8 alone", &[(S_TAG, plain(20))]),
        behind("three tags", &[(S_TAG, plain(20)), inner, inner]),
        behind("four tags", &[(S_TAG, plain(20)), inner, inner, inner]),
    ]
}

fn bridges(path: &Path) -> Vec<Frame> {
    let to = |last, ethertype: u16, payload: &[u8]| ethernet(reserved(last), path.source, ethertype, payload);
    let lldp = [2, 7, 4, 2, 0, 0, 0, 0, 1, 4, 2, 7, 0x31, 6, 2, 0, 120, 0, 0];
    let hello = [&[0x42, 0x42, 0x03, 0, 0, 0, 0], filler(31).as_slice()].concat();
    let pvst = snap([0, 0, 0x0c], 0x010b, &[&[0, 0, 0, 0], filler(31).as_slice()].concat());
    let vtp = snap([0, 0, 0x0c], 0x2003, &[&[0x02, 0x01, 0, 3], filler(60).as_slice()].concat());
    let slow = |subtype: u8| [&[subtype, 1], filler(108).as_slice()].concat();
    vec![
        frame("LLDP to the nearest bridge", to(0x0e, 0x88cc, &lldp)),
        frame("LLDP to the nearest real bridge", to(0x03, 0x88cc, &lldp)),
        frame("LLDP to the nearest customer bridge", to(0x00, 0x88cc, &lldp)),
        frame("STP", llc(reserved(0), path.source, &[], &hello)),
        frame("PVST+", llc(PER_VLAN, path.source, &[], &pvst)),
        frame("PVST+ behind a tag", llc(PER_VLAN, path.source, &[(C_TAG, tci(7, false, 30))], &pvst)),
        frame("CDP, VTP", llc(CISCO, path.source, &[], &vtp)),
        frame("PAUSE", to(0x01, 0x8808, &[0, 1, 0, 0xff])),
        frame("LACP", to(0x02, 0x8809, &slow(1))),
        frame("OAM", to(0x02, 0x8809, &slow(3))),
        frame("EAPOL", to(0x03, 0x888e, &[2, 1, 0, 0])),
        frame("MACsec", ethernet(path.target, path.source, 0x88e5, &filler(64))),
        frame("PTP between peers", to(0x0e, 0x88f7, &[&[0x02, 0x02, 0, 54], filler(50).as_slice()].concat())),
        frame("PTP", ethernet([0x01, 0x1b, 0x19, 0, 0, 0], path.source, 0x88f7, &filler(44))),
        frame("E-LMI", to(0x07, 0x88ee, &filler(46))),
        frame("to 01:80:c2:00:00:0d", to(0x0d, 0x88f5, &filler(46))),
        frame("MVRP", to(0x21, 0x88f5, &[0, 1, 4, 0, 1, 0, 10, 36, 0, 0, 0, 0])),
        frame("CFM", to(0x35, 0x8902, &[&[0xa0, 1, 4, 70], filler(71).as_slice()].concat())),
        frame("EAPS", llc([0, 0xe0, 0x2b, 0, 0, 0x04], path.source, &[], &snap([0, 0xe0, 0x2b], 0x00bb, &filler(56)))),
        frame("ERPS", ethernet([0x01, 0x19, 0xa7, 0, 0, 0x01], path.source, 0x8902, &filler(46))),
    ]
}

fn routing(path: &Path) -> Vec<Frame> {
    let is_is = |pdu: u8, length: usize| [&[0xfe, 0xfe, 0x03, 0x83, 27, 1, 0, pdu], filler(length).as_slice()].concat();
    let vrrp = ipv4([224, 0, 0, 18], 112, 255, 0, &[0x31, 1, 100, 1, 0, 100, 0, 0, 10, 9, 8, 254]);
    let ospf = ipv4([224, 0, 0, 5], 89, 1, 0, &[&[2, 1, 0, 44], filler(40).as_slice()].concat());
    let group = |last: [u8; 3]| [0x01, 0, 0x5e, last[0], last[1], last[2]];
    let neighbours = [&[0x60, 0, 0, 0, 0, 24, 58, 255, 0xfe, 0x80], filler(54).as_slice()].concat();
    let label = |value: u32, last: bool| (value << 12 | u32::from(last) << 8 | 64).to_be_bytes();
    let one = [label(100, true).as_slice(), &packet_of(64)].concat();
    let four: Vec<u8> = (100..104).flat_map(|value| label(value, value == 103)).chain(packet_of(64)).collect();
    vec![
        frame("IS-IS level 1", llc(reserved(0x14), path.source, &[], &is_is(15, 40))),
        frame("IS-IS level 2", llc(reserved(0x15), path.source, &[], &is_is(16, 40))),
        frame("IS-IS between two", llc(ALL_IS, path.source, &[], &is_is(17, 40))),
        frame("IS-IS padded to 1497", llc(reserved(0x15), path.source, &[], &is_is(16, 1489))),
        frame("VRRP", ethernet(group([0, 0, 18]), [0, 0, 0x5e, 0, 1, 1], 0x0800, &vrrp)),
        frame("OSPF", ethernet(group([0, 0, 5]), path.source, 0x0800, &ospf)),
        frame("IPv6 multicast", ethernet([0x33, 0x33, 0, 0, 0, 1], path.source, 0x86dd, &neighbours)),
        frame("MPLS, one label", ethernet(path.target, path.source, 0x8847, &one)),
        frame("MPLS, four labels", ethernet(path.target, path.source, 0x8847, &four)),
    ]
}

fn others(path: &Path) -> Vec<Frame> {
    let mut runt = ethernet(path.target, path.source, 0x9999, &[]);
    runt.truncate(20);
    vec![
        frame("PPPoE", ethernet(BROADCAST, path.source, 0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0])),
        frame("FCoE", ethernet(path.target, path.source, 0x8906, &filler(80))),
        frame("an unknown type", ethernet(path.target, path.source, 0x9999, &filler(80))),
        frame("20 bytes in all", runt),
    ]
}

fn addresses(path: &Path) -> Vec<Frame> {
    let from = |name, source| frame(name, ethernet(path.target, source, 0x0800, &packet_of(64)));
    let mut group = path.source;
    group[0] |= 1;
    vec![
        from("from 00:00:00:00:00:00", [0; 6]),
        from("from a group", group),
        from("from 01:80:c2:00:00:00", reserved(0)),
        frame("to the sender itself", ethernet(path.source, path.source, 0x0800, &packet_of(64))),
    ]
}

fn sizes(path: &Path) -> Vec<Frame> {
    let packet = |name, tags: &[(u16, u16)], length| {
        frame(name, tagged(path.target, path.source, tags, 0x0800, &packet_of(length)))
    };
    let (outer, inner) = ((S_TAG, tci(0, false, 20)), (C_TAG, tci(0, false, 30)));
    vec![
        packet("1514 bytes", &[], 1500),
        packet("1518 bytes, one tag", &[inner], 1500),
        packet("1522 bytes, two tags", &[outer, inner], 1500),
        packet("9014 bytes", &[], 9000),
        packet("9018 bytes, one tag", &[inner], 9000),
    ]
}
