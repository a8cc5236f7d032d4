//! Kinds as a topology file names them: what a slip of the pen may have meant. Knows nothing of
//! what a kind is, which `archetype-kinds` has.

use crate::suggest::nearest;

/// What a person may have meant by a kind that is not known.
pub fn hint(kind: &str) -> String {
    match (alike(kind).as_slice(), nearest(kind, archetype_kinds::names())) {
        ([only], _) => format!("did you mean {only:?}?"),
        ([], Some(known)) => format!("did you mean {known:?}?"),
        (several @ [_, ..], _) => format!("did you mean one of {}?", several.join(", ")),
        ([], None) => "kinds linux and bridge are the ones to begin with; \"archetype kinds\" shows all".to_owned(),
    }
}

/// How many kinds are offered at once.
const OFFERED: usize = 8;

/// Kinds that have `word` as a part of their name, as people leave out the vendor, or name it alone: `veos`, `juniper`.
/// Only the kind itself where that is its name in other letters; none for a word that says too little.
pub fn alike(word: &str) -> Vec<&'static str> {
    let word = word.to_lowercase();
    if word.len() < 3 {
        return Vec::new();
    }
    if let Some(kind) = archetype_kinds::find(&word) {
        return vec![kind.name.as_str()];
    }
    let of = |fits: &dyn Fn(&str) -> bool| -> Vec<&'static str> {
        let kinds = archetype_kinds::all().iter();
        kinds.filter(|kind| fits(&kind.name)).map(|kind| kind.name.as_str()).take(OFFERED).collect()
    };
    let by_part = of(&|name| name.split(['_', '-']).any(|part| part == word));
    if by_part.is_empty() { of(&|name| name.contains(&word)) } else { by_part }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_without_its_vendor_is_found_before_one_that_is_spelled_like_it() {
        assert_eq!(alike("vEOS"), ["arista_veos"]);
        assert_eq!(hint("vEOS"), "did you mean \"arista_veos\"?");
        assert_eq!(hint("Linux"), "did you mean \"linux\"?");
        assert_eq!(hint("linxu"), "did you mean \"linux\"?");
        assert!(hint("juniper").starts_with("did you mean one of juniper_"));
        assert!(alike("zzz").is_empty() && alike("vr").is_empty());
    }
}
