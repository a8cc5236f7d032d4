//! Content hashes: two things with one hash are the same thing.

use std::io::BufWriter;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a noun's JSON, as 64 hexadecimal digits. Nouns serialise with ordered maps, so
/// equal nouns give equal digests on every machine.
pub fn digest<T: Serialize + ?Sized>(noun: &T) -> String {
    // Serialising a noun of this crate cannot fail: no map has a key that is not a string.
    let mut hasher = Sha256::new();
    drop(serde_json::to_writer(BufWriter::new(&mut hasher), noun));
    hasher.finalize().iter().flat_map(|byte| [byte >> 4, byte & 15]).map(hexadecimal).collect()
}

/// One digit; a pass over a large lab makes thousands, so it is not left to the formatter.
fn hexadecimal(digit: u8) -> char {
    char::from(if digit < 10 { b'0' + digit } else { b'a' + digit - 10 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_sha256_of_the_json() {
        assert_eq!(digest("abc"), "6cc43f858fbb763301637b5af970e2a46b46f461f27e5a0f41e009c59b827b25");
    }
}
