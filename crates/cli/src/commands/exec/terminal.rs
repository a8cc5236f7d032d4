//! This terminal: its size, and raw while a command of a node has it.

use std::io::{IsTerminal, stdin};

use archetype_api::exec::TerminalSize;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};

/// The terminal's size, if there is a terminal.
pub fn size() -> Option<TerminalSize> {
    let of = [libc::STDOUT_FILENO, libc::STDIN_FILENO, libc::STDERR_FILENO];
    let (rows, columns) = of.into_iter().find_map(crate::progress::size_of)?;
    Some(TerminalSize { rows, columns })
}

/// A terminal in raw mode; as it was before when dropped.
pub struct RawTerminal {
    before: Termios,
}

impl RawTerminal {
    /// Makes the terminal of the input raw; none when the input is no terminal.
    pub fn enter() -> Option<Self> {
        if !stdin().is_terminal() {
            return None;
        }
        let before = tcgetattr(stdin()).ok()?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(stdin(), SetArg::TCSANOW, &raw).ok()?;
        Some(Self { before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // Nothing more can be done for a terminal that is gone.
        let _ = tcsetattr(stdin(), SetArg::TCSANOW, &self.before);
    }
}
