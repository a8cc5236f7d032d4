//! From headers to bytes.

use super::Address;

/// Everybody.
pub const BROADCAST: Address = [0xff; 6];
/// Ethernet's least length without the checksum.
const LEAST: usize = 60;

/// IEEE Std 802.1Q: a customer's tag.
pub const C_TAG: u16 = 0x8100;
/// IEEE Std 802.1ad: a provider's tag.
pub const S_TAG: u16 = 0x88a8;

/// One of the addresses that bridges keep to themselves: 01:80:c2:00:00:`last`.
pub fn reserved(last: u8) -> Address {
    [0x01, 0x80, 0xc2, 0, 0, last]
}

/// A tag's second half: priority, drop eligible indicator, VLAN.
pub fn tci(priority: u16, drop_eligible: bool, vlan: u16) -> u16 {
    priority << 13 | u16::from(drop_eligible) << 12 | vlan
}

/// An Ethernet II frame of at least the least length.
pub fn ethernet(target: Address, source: Address, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    tagged(target, source, &[], ethertype, payload)
}

/// An Ethernet II frame behind tags, the outermost first.
pub fn tagged(target: Address, source: Address, tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [target, source].concat();
    for (kind, tci) in tags {
        frame.extend(kind.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    frame.resize(frame.len().max(LEAST), 0);
    frame
}

/// An IEEE 802.3 frame: a length where Ethernet II has a type, then LLC.
pub fn llc(target: Address, source: Address, tags: &[(u16, u16)], payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("a payload of a frame");
    tagged(target, source, tags, length, payload)
}

/// LLC and SNAP of an organisation's protocol.
pub fn snap(organisation: [u8; 3], protocol: u16, payload: &[u8]) -> Vec<u8> {
    [&[0xaa, 0xaa, 0x03], organisation.as_slice(), &protocol.to_be_bytes(), payload].concat()
}

/// An IPv4 packet with a right header checksum.
pub fn ipv4(target: [u8; 4], protocol: u8, ttl: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).expect("a payload of a packet");
    let mut header = vec![0x45, 0xc0];
    header.extend(length.to_be_bytes());
    header.extend([0x12, 0x34]);
    header.extend(fragment.to_be_bytes());
    header.extend([ttl, protocol, 0, 0, 10, 9, 8, 1]);
    header.extend(target);
    let sum = header.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    header[10..12].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    header.extend(payload);
    header
}

/// A UDP packet without checksum, for no listener.
pub fn udp(payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + payload.len()).expect("a payload of a packet");
    [&[0xc3, 0x50, 0xc3, 0x51], length.to_be_bytes().as_slice(), &[0, 0], payload].concat()
}

/// `length` bytes that are not all alike.
pub fn filler(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 256) as u8).collect()
}

/// The payload of an IPv4 packet as long as `length` in all.
pub fn packet_of(length: usize) -> Vec<u8> {
    ipv4([10, 9, 8, 2], 17, 64, 0x4000, &udp(&filler(length - 28)))
}
