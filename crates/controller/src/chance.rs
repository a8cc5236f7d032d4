//! Everything drawn by chance: identities and tokens. In one place, so that it can be replaced.

use archetype_model::InstallationId;
use uuid::Uuid;

use crate::store::Identity;

/// The identity of a store that is made.
pub(crate) fn identity() -> Identity {
    Identity { installation: installation(), incarnation: Uuid::new_v4().simple().to_string() }
}

/// A secret of 244 random bits.
pub(crate) fn token() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn installation() -> InstallationId {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut number = Uuid::new_v4().as_u128();
    let mut text = String::with_capacity(5);
    for _ in 0..5 {
        text.push(DIGITS[(number % 36) as usize] as char);
        number /= 36;
    }
    InstallationId::new(text).expect("five lower-case letters or digits")
}
