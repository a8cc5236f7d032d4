//! Content hashes: two things with one hash are the same thing.

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// The SHA-256 of a noun's JSON, as 64 hexadecimal digits. Nouns serialise with ordered maps, so
/// equal nouns give equal digests on every machine.
pub fn digest<T: Serialize + ?Sized>(noun: &T) -> String {
    // Serialising a noun of this crate cannot fail: no map has a key that is not a string.
    let json = serde_json::to_vec(noun).unwrap_or_default();
    Sha256::digest(&json).iter().map(|byte| format!("{byte:02x}")).collect()
}
