//! The engine tells why it could not start a command as if the command had printed it. Here that is
//! told apart, and told as a shell would: on the error output, with 127 or 126.

use archetype_api::exec::{ExecEnd, ExecOutput};
use archetype_host::containers::status_of_refusal;

/// A first piece of output that may be the engine's.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    begun: bool,
    held: Option<Vec<u8>>,
}

impl Refusal {
    /// What is to be told of a piece now; one that may be the engine's is held until more is known.
    pub(super) fn sift(&mut self, piece: ExecOutput) -> Vec<ExecOutput> {
        match piece {
            ExecOutput::Stdout(bytes) if !std::mem::replace(&mut self.begun, true) && is_like_the_engine(&bytes) => {
                self.held = Some(bytes);
                Vec::new()
            }
            piece => self.held.take().map(ExecOutput::Stdout).into_iter().chain([piece]).collect(),
        }
    }

    /// What is to be told at the end.
    pub(super) fn end(self, end: ExecEnd) -> Vec<ExecOutput> {
        let Some(held) = self.held else { return vec![ExecOutput::End(end)] };
        let text = String::from_utf8_lossy(&held).trim_end().to_owned() + "\n";
        let (ExecEnd::Exit(126 | 127), Some(code)) = (&end, status_of_refusal(&text)) else {
            return vec![ExecOutput::Stdout(held), ExecOutput::End(end)];
        };
        vec![ExecOutput::Stderr(text.into_bytes()), ExecOutput::End(ExecEnd::Exit(code))]
    }
}

fn is_like_the_engine(bytes: &[u8]) -> bool {
    status_of_refusal(&String::from_utf8_lossy(bytes)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "OCI runtime exec failed: exec failed: unable to start container process: exec: \"x\": \
                         executable file not found in $PATH: unknown\r\n";

    #[test]
    fn what_the_engine_says_of_a_missing_program_is_told_as_a_shell_would() {
        let mut refusal = Refusal::default();
        assert_eq!(refusal.sift(ExecOutput::Stdout(WORDS.into())), []);
        let told = refusal.end(ExecEnd::Exit(126));
        assert_eq!(told[0], ExecOutput::Stderr(WORDS.replace('\r', "").into()));
        assert_eq!(told[1], ExecOutput::End(ExecEnd::Exit(127)));
    }

    #[test]
    fn the_same_words_of_a_command_that_ran_are_its_output() {
        let mut refusal = Refusal::default();
        assert_eq!(refusal.sift(ExecOutput::Stdout(WORDS.into())), []);
        assert_eq!(
            refusal.end(ExecEnd::Exit(0)),
            [ExecOutput::Stdout(WORDS.into()), ExecOutput::End(ExecEnd::Exit(0))]
        );
        let mut later = Refusal::default();
        assert_eq!(later.sift(ExecOutput::Stdout(b"a\n".to_vec())).len(), 1);
        assert_eq!(later.sift(ExecOutput::Stdout(WORDS.into())).len(), 1);
    }
}
