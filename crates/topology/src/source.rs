//! The text of a file on its way from what the user wrote to what the YAML parser sees, keeping
//! for each character the place it came from. Knows nothing of YAML.

use archetype_model::topology::Position;

/// A run of characters of the text that came from one place of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    /// Where the run begins in the text, in characters.
    begins: usize,
    /// Where it came from in the file, in characters.
    origin: usize,
    /// Whether each character came from the next one of the file; otherwise all came from
    /// `origin`, as the value of a variable does.
    copied: bool,
}

/// A text of which parts are taken, with its characters at hand.
pub struct OtherText<'t> {
    /// The text.
    pub text: &'t Text,
    /// Its characters.
    pub chars: Vec<char>,
}

impl<'t> OtherText<'t> {
    /// `text`, ready to be taken from.
    pub fn new(text: &'t Text) -> Self {
        Self { text, chars: text.as_str().chars().collect() }
    }
}

/// A text and where each of its characters stands in the file.
#[derive(Debug, Clone)]
pub struct Text {
    text: String,
    length: usize,
    runs: Vec<Run>,
    line_starts: Vec<usize>,
}

impl Text {
    /// An empty text that will be made from `file`.
    pub fn of(file: &str) -> Self {
        let mut line_starts = vec![0];
        line_starts.extend(file.chars().enumerate().filter(|(_, c)| *c == '\n').map(|(at, _)| at + 1));
        Self { text: String::new(), length: 0, runs: Vec::new(), line_starts }
    }

    /// The whole of `file`.
    pub fn whole(file: &str) -> Self {
        let mut text = Self::of(file);
        text.copy(file, 0);
        text
    }

    /// An empty text that will be made from what this one was made from.
    pub fn emptied(&self) -> Self {
        Self { text: String::new(), length: 0, runs: Vec::new(), line_starts: self.line_starts.clone() }
    }

    /// Appends the characters `from` to `to` of `other`, with their places.
    pub fn copy_of(&mut self, other: &OtherText<'_>, from: usize, to: usize) {
        let mut at = from;
        let mut run = other.text.runs.partition_point(|run| run.begins <= from);
        while at < to {
            let end = other.text.runs.get(run).map_or(to, |next| next.begins.min(to));
            let part: String = other.chars[at..end].iter().collect();
            let Some(Run { begins, origin, copied }) = run.checked_sub(1).map(|run| other.text.runs[run]) else {
                return;
            };
            self.append(&part, if copied { origin + (at - begins) } else { origin }, copied);
            at = end;
            run += 1;
        }
    }

    /// Appends characters that replace the one at `at` of `other`.
    pub fn replace_of(&mut self, other: &OtherText<'_>, part: &str, at: usize) {
        self.append(part, other.text.origin(at), false);
    }

    /// Appends characters that stand in the file from `origin` (in characters) on.
    pub fn copy(&mut self, part: &str, origin: usize) {
        self.append(part, origin, true);
    }

    /// Appends characters that replace what stands in the file at `origin` (in characters).
    pub fn replace(&mut self, part: &str, origin: usize) {
        self.append(part, origin, false);
    }

    fn append(&mut self, part: &str, origin: usize, copied: bool) {
        if part.is_empty() {
            return;
        }
        self.runs.push(Run { begins: self.length, origin, copied });
        self.text.push_str(part);
        self.length += part.chars().count();
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Where the character at `offset` (in characters) of the text stands in the file.
    pub fn position(&self, offset: usize) -> Position {
        self.place(self.origin(offset))
    }

    /// Which character of the file the one at `offset` came from.
    fn origin(&self, offset: usize) -> usize {
        let after = self.runs.partition_point(|run| run.begins <= offset);
        match after.checked_sub(1).map(|at| self.runs[at]) {
            Some(run) if run.copied => run.origin + (offset - run.begins),
            Some(run) => run.origin,
            None => 0,
        }
    }

    /// The line and column of the character at `origin` (in characters) of the file.
    pub fn place(&self, origin: usize) -> Position {
        let line = self.line_starts.partition_point(|start| *start <= origin).max(1);
        let column = origin - self.line_starts[line - 1] + 1;
        Position { line: small(line), column: small(column) }
    }
}

fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
