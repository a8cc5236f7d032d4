//! How far a lab is while a command waits for it: one block that is drawn again on a terminal, a
//! line at each change elsewhere. On the error output, so that the answer stays alone on the other.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use archetype_api::progress::Progress;

use crate::paint::{Paint, Tone};
use crate::table;

/// How many things being done are shown.
const DOING: usize = 6;
/// The least time between two lines where nothing can be drawn again.
const LINE_PAUSE: Duration = Duration::from_secs(1);

/// What is shown while a command waits.
#[derive(Debug)]
pub struct Display {
    paint: Paint,
    is_terminal: bool,
    begun: Instant,
    drawn_lines: usize,
    last: Option<(String, Instant)>,
}

impl Display {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self {
            paint: Paint::stderr(),
            is_terminal: std::io::stderr().is_terminal(),
            begun: Instant::now(),
            drawn_lines: 0,
            last: None,
        }
    }

    /// Shows how far the lab is.
    pub fn show(&mut self, progress: &Progress) {
        let summary = summary(progress, self.paint);
        if self.is_terminal {
            let elapsed = self.paint.tone(Tone::Quiet, format!("{:.0}s", self.begun.elapsed().as_secs_f64()));
            let doing = progress.doing.iter().take(DOING).map(|what| format!("  {what}"));
            let more = progress.doing.len().saturating_sub(DOING);
            let more = (more > 0).then(|| format!("  and {more} more"));
            let lines: Vec<String> = [format!("{summary}  {elapsed}")].into_iter().chain(doing).chain(more).collect();
            self.draw(&lines);
        } else {
            self.line(summary, progress.settled.is_some());
        }
    }

    /// Shows a remark above whatever follows.
    pub fn remark(&mut self, text: &str) {
        self.erase();
        eprintln!("{text}");
    }

    /// Takes away what was drawn.
    pub fn erase(&mut self) {
        if self.drawn_lines > 0 {
            eprint!("\x1b[{}A\x1b[J", self.drawn_lines);
            self.drawn_lines = 0;
        }
    }

    fn draw(&mut self, lines: &[String]) {
        let width = terminal_width();
        let mut text = String::new();
        for line in lines {
            text.push_str(&cut(line, width));
            text.push('\n');
        }
        self.erase();
        eprint!("{text}");
        let _ = std::io::stderr().flush();
        self.drawn_lines = lines.len();
    }

    fn line(&mut self, summary: String, is_last: bool) {
        let is_due = match &self.last {
            None => true,
            Some((text, at)) => *text != summary && (is_last || at.elapsed() >= LINE_PAUSE),
        };
        if is_due {
            eprintln!("{summary}");
            self.last = Some((summary, Instant::now()));
        }
    }
}

fn summary(progress: &Progress, paint: Paint) -> String {
    let Progress { lab, state, reason, nodes_ready, nodes, links_ready, links, .. } = progress;
    let reason = reason.as_ref().map(|reason| format!("  {reason}")).unwrap_or_default();
    let state = table::state(*state, paint);
    format!("{lab}: {state}  nodes {nodes_ready}/{nodes}  links {links_ready}/{links}{reason}")
}

/// The text cut to so many characters; colours take no room.
fn cut(text: &str, width: usize) -> String {
    let (mut shown, mut room, mut in_colour) = (String::new(), width, false);
    for c in text.chars() {
        if c == '\x1b' {
            in_colour = true;
        }
        if in_colour {
            shown.push(c);
            in_colour = c != 'm';
        } else if room > 0 {
            shown.push(c);
            room -= 1;
        }
    }
    shown
}

fn terminal_width() -> usize {
    size_of(libc::STDERR_FILENO).map_or(80, |(_, columns)| usize::from(columns)).max(20)
}

/// Rows and columns of the terminal behind a descriptor.
pub fn size_of(descriptor: std::os::fd::RawFd) -> Option<(u16, u16)> {
    nix::ioctl_read_bad!(window_size, libc::TIOCGWINSZ, libc::winsize);
    let mut size = libc::winsize { ws_row: 0, ws_col: 0, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: the kernel writes one `winsize` into the one that lives here until the call returns.
    unsafe { window_size(descriptor, &mut size) }.ok()?;
    (size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_take_no_room_and_are_ended() {
        assert_eq!(cut("a\x1b[32mbcd\x1b[0me", 3), "a\x1b[32mbc\x1b[0m");
    }
}
