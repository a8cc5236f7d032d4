//! The template stage. This version has no templates: a file that uses them is refused with
//! words, and everything else passes unchanged.

use archetype_model::topology::{Position, Problem};

use crate::source::Text;

/// The first place where `text` begins a template action, as a problem.
pub fn refuse(file: &str, text: &str) -> Option<Problem> {
    let at = text.find("{{")?;
    let position: Position = Text::of(text).place(text[..at].chars().count());
    let message = "this version does not read templates, and \"{{\" begins one";
    let hint = "expand the template first, for instance with containerlab's --export-rendered";
    Some(Problem::new("template-unsupported", file, position, message).hint(hint))
}
