//! Words that every client and the journal show in the same way.

/// A command as one would type it in a shell: words that need quotes have them.
pub fn shown(command: &[String]) -> String {
    // Only a word with a zero byte cannot be quoted, and none can be run either.
    shlex::try_join(command.iter().map(String::as_str)).unwrap_or_else(|_| command.join(" "))
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_word_with_blanks_is_quoted_and_a_plain_one_is_not() {
        let words = ["sh", "-c", "echo one; exit 5", "a'b"].map(str::to_owned);
        assert_eq!(super::shown(&words), r#"sh -c 'echo one; exit 5' "a'b""#);
    }
}
