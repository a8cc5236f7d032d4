//! Kinds as a topology file names them: what a slip of the pen may have meant. Knows nothing of
//! what a kind is, which `archetype-kinds` has.

use crate::suggest::nearest;

/// What a person may have meant by a kind that is not known.
pub fn hint(kind: &str) -> String {
    match nearest(kind, archetype_kinds::names()) {
        Some(known) => format!("did you mean {known:?}?"),
        None => "kinds linux and bridge are the ones to begin with; \"archetype kinds\" shows all".to_owned(),
    }
}
