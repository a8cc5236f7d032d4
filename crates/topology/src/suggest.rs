//! "Did you mean …": the known word nearest to one that is not known.

/// The known word nearest to `word`, when it is near enough to be meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let simple = |text: &str| text.to_lowercase().replace('_', "-");
    let wanted = simple(word);
    let allowed = (wanted.chars().count() / 3).clamp(1, 3);
    known
        .into_iter()
        .filter(|candidate| candidate.len().abs_diff(wanted.len()) <= 4 * allowed)
        .map(|candidate| (strsim::osa_distance(&wanted, &simple(candidate)), candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_a_stranger_none() {
        let known = ["nodes", "kinds", "links", "image", "mgmt-ipv4"];
        assert_eq!(nearest("nodez", known), Some("nodes"));
        assert_eq!(nearest("mgmt_ipv4", known), Some("mgmt-ipv4"));
        assert_eq!(nearest("imgae", known), Some("image"));
        assert_eq!(nearest("banana", known), None);
    }
}
