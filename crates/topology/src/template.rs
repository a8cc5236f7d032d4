//! The template stage: a topology file is a template of Go's `text/template`, with variables from
//! files and further templates beside it. Knows nothing of topologies.

mod functions;
mod variables;

use std::path::{Path, PathBuf};

use archetype_gotemplate::{Limits, Set, Value};
use archetype_model::topology::{Position, Problem};

use crate::files;
use crate::source::Text;

/// The directory of further templates, beside the file.
const BESIDE: &str = "clab_templates";

/// What a file is rendered with.
pub struct Surroundings<'a> {
    /// The file as the user named it.
    pub name: &'a str,
    /// Its directory.
    pub directory: &'a Path,
    /// Files of variables, as stated; those beside the file when there are none.
    pub variables: &'a [PathBuf],
}

/// A template of a file of its own.
struct Source {
    name: String,
    shown: String,
    text: String,
}

/// Renders `text`; its places stay those of the file. Nothing when that fails, which is a problem.
pub fn rendered(text: &str, with: &Surroundings<'_>, problems: &mut Vec<Problem>) -> Option<Text> {
    let before = problems.len();
    let data = variables::gathered(with, problems);
    if !text.contains("{{") {
        return (problems.len() == before).then(|| Text::whole(text));
    }
    let mut sources = vec![Source { name: file_name(with.name), shown: with.name.to_owned(), text: text.to_owned() }];
    beside(with, &mut sources, problems);
    if problems.len() > before {
        return None;
    }
    match run(&sources, &data) {
        Ok(text) => Some(text),
        Err(Failed { error, code }) => {
            let source = &sources[error.source_index.min(sources.len() - 1)];
            problems.push(Problem::new(code, &source.shown, place(&source.text, error.at), error.message));
            None
        }
    }
}

struct Failed {
    error: archetype_gotemplate::Error,
    code: &'static str,
}

fn run(sources: &[Source], data: &Value) -> Result<Text, Failed> {
    let pairs: Vec<(&str, &str)> = sources.iter().map(|source| (&*source.name, &*source.text)).collect();
    let set = Set::parse(&pairs, functions::functions()).map_err(|error| Failed { error, code: "template-syntax" })?;
    let done = set.render(data, Limits::default()).map_err(|error| Failed { error, code: "template-failed" })?;
    let file = &sources[0].text;
    let characters = characters(file);
    let mut text = Text::of(file);
    let ends = done.pieces.iter().skip(1).map(|piece| piece.begins).chain([done.text.len()]);
    for (piece, end) in done.pieces.iter().zip(ends) {
        let part = &done.text[piece.begins..end];
        match piece.copied {
            true => text.copy(part, characters[piece.origin]),
            false => text.replace(part, characters[piece.origin]),
        }
    }
    Ok(text)
}

/// Which character each byte of `text` belongs to.
fn characters(text: &str) -> Vec<usize> {
    let mut all = Vec::with_capacity(text.len() + 1);
    for (number, c) in text.chars().enumerate() {
        all.extend(std::iter::repeat_n(number, c.len_utf8()));
    }
    all.push(all.last().map_or(0, |last| last + 1));
    all
}

fn place(text: &str, byte: usize) -> Position {
    let before = text.get(..byte).unwrap_or(text);
    Text::of(text).place(before.chars().count())
}

fn file_name(path: &str) -> String {
    Path::new(path).file_name().map_or_else(|| path.to_owned(), |name| name.to_string_lossy().into_owned())
}

/// How the user would name a file of the topology's directory.
fn shown(with: &Surroundings<'_>, inside: &Path) -> String {
    match Path::new(with.name).parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => parent.join(inside).to_string_lossy().into_owned(),
        None => inside.to_string_lossy().into_owned(),
    }
}

/// The names in a directory, sorted; none where there is no directory.
fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The further templates in `clab_templates`.
fn beside(with: &Surroundings<'_>, sources: &mut Vec<Source>, problems: &mut Vec<Problem>) {
    for name in names(&with.directory.join(BESIDE)).into_iter().filter(|name| name.ends_with(".gotmpl")) {
        let inside = Path::new(BESIDE).join(&name);
        let shown = shown(with, &inside);
        match files::text(&with.directory.join(&inside)) {
            Ok(text) => sources.push(Source { name, shown, text }),
            Err(error) => {
                let message = format!("the template cannot be read: {error}");
                problems.push(Problem::new("template-failed", &shown, Position::START, message));
            }
        }
    }
}
