//! What an explicit tag makes of a scalar (`!!str 5`, `!!int "5"`, `!!binary YWJj`), as
//! containerlab's reader (Go's yaml.v2) takes it. Knows nothing of trees.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_saphyr::granit_parser::{ScalarStyle, Tag};

use crate::scalar::{Resolved, resolved};

/// The prefix of the tags that YAML itself has.
const YAML: &str = "tag:yaml.org,2002:";

/// A scalar's text and whether it may also be read as a number, a truth or nothing.
pub type Read<'t> = (Cow<'t, str>, bool);

/// Reads a scalar by its tag, or by its style where it has none. An error says what is wrong.
pub fn read<'t>(text: Cow<'t, str>, style: ScalarStyle, tag: Option<&Tag>) -> Result<Read<'t>, String> {
    let Some(tag) = tag else { return Ok((text, style == ScalarStyle::Plain)) };
    let full = format!("{}{}", tag.handle(), tag.suffix());
    let Some(name) = full.strip_prefix(YAML) else {
        // A tag that means nothing keeps the text; the bare "!" also keeps a merge key one.
        let merges = full == "!" && text == "<<";
        return Ok((text, merges));
    };
    let is = resolved(&text);
    let fits = match name {
        "null" => is == Resolved::Null,
        "bool" => matches!(is, Resolved::Truth(_)),
        "int" => matches!(is, Resolved::Whole(_) | Resolved::Unsigned(_)),
        "float" => matches!(is, Resolved::Whole(_) | Resolved::Unsigned(_) | Resolved::Float(_)),
        "merge" => {
            let merges = text == "<<";
            return Ok((text, merges));
        }
        "timestamp" if !is_date(&text) => return Err(format!("{text:?} is no date, as its tag !!timestamp says")),
        "binary" => return Ok((Cow::Owned(decoded(&text)?), false)),
        _ => return Ok((text, false)),
    };
    match fits {
        true => Ok((text, true)),
        false => Err(format!("{text:?} is not what its tag !!{name} says")),
    }
}

/// Whether the text begins as a date does: four digits and a dash.
fn is_date(text: &str) -> bool {
    text.split_once('-').is_some_and(|(year, _)| year.len() == 4 && year.bytes().all(|byte| byte.is_ascii_digit()))
}

fn decoded(text: &str) -> Result<String, String> {
    let joined = text.replace(['\n', '\r'], "");
    let bytes = STANDARD.decode(joined).map_err(|_| "what stands behind !!binary is no base64".to_owned())?;
    String::from_utf8(bytes).map_err(|_| "what stands behind !!binary is no text once decoded".to_owned())
}
