//! How the reader of a terminal is told that no more input comes: a terminal has no half that could be closed. Knows no
//! command and no stream.

/// What a terminal takes for the end of its input, as a person's ctrl-d.
const END: u8 = 0x04;

/// The input of a terminal, as far as its end is concerned.
#[derive(Debug, Default)]
pub(super) struct TerminalInput {
    /// Whether something of the current line has been sent, and not yet its end.
    begun: bool,
}

impl TerminalInput {
    /// Notes what is sent.
    pub(super) fn sent(&mut self, bytes: &[u8]) {
        if let Some(last) = bytes.last() {
            self.begun = !matches!(last, b'\n' | b'\r' | &END);
        }
    }

    /// What is to be sent when the input has ended. Behind a line that was begun the first one hands that line on.
    pub(super) fn end(&mut self) -> &'static [u8] {
        if std::mem::take(&mut self.begun) { &[END, END] } else { &[END] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_was_begun_is_handed_on_before_the_end() {
        let ended = |sent: &[u8]| {
            let mut input = TerminalInput::default();
            input.sent(sent);
            input.sent(b"");
            input.end()
        };
        assert_eq!(ended(b""), [END]);
        assert_eq!(ended(b"one\n"), [END]);
        assert_eq!(ended(b"one\ntw"), [END, END]);
    }
}
