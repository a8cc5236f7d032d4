//! Where containerlab's reader (Go's yaml.v2) is of YAML 1.1 and the parser here of 1.2: what the
//! older one takes in a text is written so that the newer one takes it, too, and what of a scalar
//! the older one reads in another way. Knows nothing of trees.

use serde_saphyr::granit_parser::ScalarStyle;

use crate::source::{OtherText, Text};

/// How many places of a file are mended; each costs another reading of the file.
pub const MENDED: usize = 300;

/// The text with blanks where the parser stopped, if the older reader does not need them there; `what`
/// is the parser's word for why it stopped at `at`, in characters, and `in_brackets` says whether that
/// is between brackets or braces.
pub fn mended(text: &Text, at: usize, what: &str, in_brackets: bool) -> Option<Text> {
    let from = OtherText::new(text);
    let (blanks, from_here, to_here) = match what {
        // What a line of a quoted text begins with, blanks or tabs, is no part of it.
        "invalid indentation in multiline quoted scalar" | "tab cannot be used as indentation" => {
            (deepest(text.as_str()) + 1, at, at)
        }
        "comments must be separated from other tokens by whitespace" => (1, at, at),
        // Between brackets nothing is indented, so that a tab is as good as a blank.
        "tabs disallowed within this context (block indentation)" if in_brackets => {
            let end = at + usize::from(from.chars.get(at) == Some(&'\t'));
            let tabs = from.chars.get(..end)?.iter().rev().take_while(|c| matches!(c, ' ' | '\t')).count();
            (1, end - tabs, end)
        }
        _ => return None,
    };
    let mut mended = text.emptied();
    mended.copy_of(&from, 0, from_here);
    mended.replace_of(&from, &" ".repeat(blanks), from_here);
    mended.copy_of(&from, to_here, from.chars.len());
    Some(mended)
}

/// How far the line of `text` that is furthest in is indented.
fn deepest(text: &str) -> usize {
    text.lines().map(|line| line.len() - line.trim_start_matches(' ').len()).max().unwrap_or(0)
}

/// A block at the end of a file whose last line has no end keeps none.
pub fn unended(text: &str, style: ScalarStyle, is_last: bool, file: &[char]) -> Option<String> {
    let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
    let ended = file.last().is_none_or(|last| matches!(last, '\n' | '\r'));
    (is_block && is_last && !ended).then(|| text.strip_suffix('\n').map(str::to_owned)).flatten()
}

/// The first tab that stands where a line, or what is behind `-` and `?`, is indented, between `from` and
/// `to` of `file`, where no value is.
pub fn indenting_tab(file: &[char], from: usize, to: usize) -> Option<usize> {
    let (mut at, mut indents) = (from, from == 0);
    while at < to {
        match file.get(at)? {
            '\t' if indents => return Some(at),
            '\n' | '\r' => indents = true,
            ' ' | '\u{feff}' => {}
            '#' => at += file[at..to].iter().take_while(|c| **c != '\n').count() - 1,
            '-' | '?' => indents = matches!(file.get(at + 1), Some(' ' | '\t')),
            _ => indents = false,
        }
        at += 1;
    }
    None
}

/// What a plain scalar between brackets that ends at `end` of `file` is in the older reader.
pub enum Plain {
    /// The same.
    Same,
    /// A `:` that no blank follows is part of it.
    WithColon,
    /// None, for the reason given.
    Refused(&'static str),
}

/// Judges the plain scalar `text` that ends at `end` of `file`; `in_brackets` says whether it stands
/// between brackets or braces.
pub fn plain(text: &str, in_brackets: bool, end: usize, file: &[char]) -> Plain {
    if in_brackets && text.contains('?') {
        return Plain::Refused("between brackets, a text with \"?\" must be in quotes");
    }
    if in_brackets && text.starts_with(':') {
        return Plain::Refused("between brackets, a text that begins with \":\" must be in quotes");
    }
    match (file.get(end), file.get(end + 1)) {
        (Some(':'), Some(',' | ']' | '}')) => Plain::WithColon,
        (Some(':'), Some('[' | '{')) => Plain::Refused("a blank is missing behind \":\""),
        _ => Plain::Same,
    }
}
