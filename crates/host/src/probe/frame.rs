//! The probe frame: who it goes to, a nonce, and which crossing it is.

/// Nothing beyond the nearest bridge-like thing (IEEE Std 802.1Q, table 8-1).
pub(super) const GROUP: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e];
/// IEEE Std 802, local experimental.
pub(super) const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
const MAGIC: &[u8; 8] = b"archetyp";
/// The number of a sender that is no end: the switch.
pub(super) const SWITCH: u32 = u32::MAX;

/// A frame from party `from` of order `order`.
pub(super) fn frame(destination: [u8; 6], source: [u8; 6], nonce: u64, order: u32, from: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(60);
    frame.extend(destination);
    frame.extend(source);
    frame.extend(ETHERTYPE);
    frame.extend(MAGIC);
    frame.extend(nonce.to_be_bytes());
    frame.extend(order.to_be_bytes());
    frame.extend(from.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// Order and sender of a frame of this round.
pub(super) fn read(frame: &[u8], nonce: u64) -> Option<(u32, u32)> {
    let ours = frame.len() >= 38 && frame[12..14] == ETHERTYPE && frame[14..22] == *MAGIC;
    if !ours || frame[22..30] != nonce.to_be_bytes() {
        return None;
    }
    let number = |at: usize| Some(u32::from_be_bytes(frame.get(at..at + 4)?.try_into().ok()?));
    Some((number(30)?, number(34)?))
}

/// The frame with an 802.1Q tag before its ethertype.
pub(super) fn tagged(frame: &[u8], tag: u16) -> Vec<u8> {
    let mut tagged = frame[..12].to_vec();
    tagged.extend([0x81, 0x00]);
    tagged.extend(tag.to_be_bytes());
    tagged.extend(&frame[12..]);
    tagged
}

/// Differs between any two rounds on this machine, so that no late frame is taken for a new one.
pub(super) fn nonce() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    (now.as_nanos() as u64).rotate_left(20) ^ u64::from(std::process::id())
}

/// A locally administered address that no round used before, and no two orders of one share.
pub(super) fn fresh_address(nonce: u64, order: u32) -> [u8; 6] {
    let mixed = (nonce ^ u64::from(order)).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    [0x02, mixed[0], mixed[1], mixed[2], mixed[3], mixed[4]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_of_another_round_is_not_taken() {
        let sent = frame(GROUP, [2, 0, 0, 0, 0, 1], 7, 3, 1);
        assert_eq!(read(&sent, 7), Some((3, 1)));
        assert_eq!(read(&sent, 8), None);
        assert_eq!(read(&sent[..37], 7), None);
    }

    #[test]
    fn fresh_addresses_differ_between_orders_and_are_nobodys() {
        let all: std::collections::BTreeSet<_> = (0..1000).map(|order| fresh_address(7, order)).collect();
        assert_eq!(all.len(), 1000);
        assert!(all.iter().all(|address| address[0] == 2));
    }
}
