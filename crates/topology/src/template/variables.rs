//! The variables of a template: files of YAML or JSON, named or found beside the topology file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archetype_gotemplate::{Key, Value};
use archetype_model::topology::{Position, Problem};

use super::{Surroundings, file_name, names, shown};
use crate::files;
use crate::scalar::{Resolved, resolved};
use crate::source::Text;
use crate::tree::{self, Fault, Tree};

/// All variables: of a key that several files have, the last one's value is taken whole. No value
/// at all when there is no file.
pub fn gathered(with: &Surroundings<'_>, problems: &mut Vec<Problem>) -> Value {
    let files: Vec<(PathBuf, String)> = match with.variables {
        [] => found(with),
        named => named.iter().map(|path| (path.clone(), path.to_string_lossy().into_owned())).collect(),
    };
    if files.is_empty() {
        return Value::Missing;
    }
    let mut all: BTreeMap<Key, Value> = BTreeMap::new();
    for (path, shown) in files {
        match read(&path, &shown) {
            Ok(entries) => all.extend(entries),
            Err(problem) => problems.push(*problem),
        }
    }
    Value::map(all, true).unwrap_or(Value::Missing)
}

/// Files called as the topology file with `_vars.` and an ending of YAML or JSON, in the order of
/// their names.
fn found(with: &Surroundings<'_>) -> Vec<(PathBuf, String)> {
    let name = file_name(with.name);
    let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem);
    let begins = format!("{stem}_vars.");
    let fits = |name: &String| {
        name.starts_with(&begins) && [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending))
    };
    let names = names(with.directory).into_iter().filter(fits);
    names.map(|name| (with.directory.join(&name), shown(with, Path::new(&name)))).collect()
}

fn read(path: &Path, shown: &str) -> Result<BTreeMap<Key, Value>, Box<Problem>> {
    let refused = |at, message: String| Box::new(Problem::new("bad-variables", shown, at, message));
    let text = files::text(path)
        .map_err(|error| refused(Position::START, format!("the file of variables cannot be read: {error}")))?;
    let (tree, faults) = tree::parse_last_wins(&Text::whole(&text));
    if let Some(fault) = faults.into_iter().next() {
        let (at, message) = match fault {
            Fault::Syntax(at, what) => (at, format!("this is not YAML: {what}")),
            Fault::Duplicate(at, _, key) => (at, format!("key {key:?} stands twice")),
            Fault::KeyNoText(at) => (at, "a key must be a text".to_owned()),
            Fault::BadMerge(at) => (at, "the value of a merge key \"<<\" must be a mapping".to_owned()),
        };
        return Err(refused(at, message));
    }
    let Some(tree) = tree.filter(|tree| !tree.is_null()) else { return Ok(BTreeMap::new()) };
    let tree::Value::Mapping(entries) = &tree.value else {
        return Err(refused(tree.at, "the file of variables must be a mapping".to_owned()));
    };
    let mut all = BTreeMap::new();
    for (key, inner) in entries {
        let value = value(inner).map_err(|why| refused(inner.at, why))?;
        all.insert(Key::Text(key.text.as_str().into()), value);
    }
    Ok(all)
}

fn value(tree: &Tree) -> Result<Value, String> {
    match &tree.value {
        tree::Value::Sequence(items) => Value::list(items.iter().map(value).collect::<Result<_, _>>()?),
        tree::Value::Mapping(entries) => {
            let mut all = BTreeMap::new();
            for (key, inner) in entries {
                let key = Key::of(&scalar(&key.text, key.plain)).unwrap_or(Key::Nil);
                all.insert(key, value(inner)?);
            }
            Value::map(all, false)
        }
        tree::Value::Scalar { text, plain } => Ok(scalar(text, *plain)),
    }
}

fn scalar(text: &str, plain: bool) -> Value {
    match resolved(text) {
        _ if !plain => Value::text(text),
        Resolved::Null => Value::Nil,
        Resolved::Truth(truth) => Value::Bool(truth),
        Resolved::Whole(number) => Value::Int(number),
        Resolved::Unsigned(number) => Value::Uint(number),
        Resolved::Float(number) => Value::Float(number),
        Resolved::Text => Value::text(text),
    }
}
