//! Problems of files for people: what, where, the line itself with a caret, and what to do.

use std::collections::BTreeMap;
use std::sync::Mutex;

use archetype_api::FileProblem;

use crate::paint::{Paint, Tone};

/// Texts that are no files of this machine, by the name that problems have for them.
static GIVEN: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// Keeps a text that came from elsewhere, so that its lines can be shown.
pub fn remember(name: &str, text: &str) {
    if let Ok(mut given) = GIVEN.lock() {
        given.insert(name.to_owned(), text.to_owned());
    }
}

fn text_of(file: &str) -> Option<String> {
    let given = GIVEN.lock().ok().and_then(|given| given.get(file).cloned());
    given.or_else(|| std::fs::read_to_string(file).ok())
}

/// The lines of the files that problems name; each file is read once.
#[derive(Debug, Default)]
pub struct Sources {
    files: BTreeMap<String, Option<String>>,
}

impl Sources {
    /// A line of a file, from 1; none when file or line cannot be had.
    fn line(&mut self, file: &str, line: u32) -> Option<&str> {
        let text = self.files.entry(file.to_owned()).or_insert_with(|| text_of(file));
        text.as_deref()?.lines().nth(usize::try_from(line).ok()?.checked_sub(1)?)
    }

    /// The problem, as it is printed.
    pub fn show(&mut self, problem: &FileProblem, paint: Paint) -> String {
        let FileProblem { code, message, file, line, column, hint, also } = problem;
        let mut text = format!("{} {message} {}\n", error_word(paint), paint.tone(Tone::Quiet, format!("[{code}]")));
        text.push_str(&self.place("at", file, (*line, *column), paint));
        if let Some(also) = also {
            let other = also.file.as_ref().unwrap_or(file);
            text.push_str(&self.place("and", other, (also.line, also.column), paint));
        }
        if let Some(hint) = hint {
            text.push_str(&format!("  hint: {hint}\n"));
        }
        text
    }

    /// A place, and the line there with a caret.
    fn place(&mut self, word: &str, file: &str, (line, column): (u32, u32), paint: Paint) -> String {
        let mut text = format!("  {word} {file}:{line}:{column}\n");
        if let Some(source) = self.line(file, line).filter(|source| !source.trim().is_empty()) {
            let number = line.to_string();
            let margin = paint.tone(Tone::Quiet, format!("  {number} |"));
            let blank = paint.tone(Tone::Quiet, format!("  {} |", " ".repeat(number.len())));
            let caret = paint.tone(Tone::Bad, "^");
            text.push_str(&format!("{margin} {}\n{blank} {}{caret}\n", source.trim_end(), indent(source, column)));
        }
        text
    }
}

/// The word that begins every error.
pub fn error_word(paint: Paint) -> String {
    paint.tone(Tone::Bad, "error:")
}

/// White space as wide as what stands before the column: tabs stay tabs.
fn indent(source: &str, column: u32) -> String {
    let before = usize::try_from(column).unwrap_or(1).saturating_sub(1);
    source.chars().take(before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

#[cfg(test)]
mod tests {
    use archetype_api::OtherPlace;

    use super::*;

    #[test]
    fn the_caret_stands_under_the_column() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("x.clab.yml").display().to_string();
        std::fs::write(&file, "name: x\n\tfoo: bar\n").unwrap();
        let problem = FileProblem {
            code: "c".into(),
            message: "m".into(),
            file: file.clone(),
            line: 2,
            column: 7,
            hint: Some("h".into()),
            also: Some(OtherPlace { file: None, line: 1, column: 7 }),
        };
        let shown = Sources::default().show(&problem, Paint::off());
        assert_eq!(
            shown,
            format!(
                "error: m [c]\n  at {file}:2:7\n  2 | \tfoo: bar\n    | \t     ^\n  and {file}:1:7\n  1 | name: x\n    |       ^\n  hint: h\n"
            )
        );
    }

    #[test]
    fn a_problem_without_its_file_is_shown_without_an_excerpt() {
        let problem = FileProblem {
            code: "c".into(),
            message: "m".into(),
            file: "/nonexistent".into(),
            line: 1,
            column: 1,
            hint: None,
            also: None,
        };
        assert_eq!(Sources::default().show(&problem, Paint::off()), "error: m [c]\n  at /nonexistent:1:1\n");
    }
}
