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
        let after = self.runs.partition_point(|run| run.begins <= offset);
        let origin = match after.checked_sub(1).map(|at| self.runs[at]) {
            Some(run) if run.copied => run.origin + (offset - run.begins),
            Some(run) => run.origin,
            None => 0,
        };
        self.place(origin)
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
