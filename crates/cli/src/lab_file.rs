//! Topology files on the command line: which file is meant, which lab it names, and what of it the
//! controller needs to read it as this shell would.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use archetype_api::TopologyText;
use archetype_model::LabName;
use archetype_topology::ReadError;

use crate::failure::Failure;

/// The topology file that is meant: the one named, or the only one here.
pub fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let found = archetype_topology::find(named.unwrap_or(Path::new(".")));
    match (found, named) {
        (Ok(file), None) => Ok(file.strip_prefix(".").map(Path::to_owned).unwrap_or(file)),
        (Err(error @ (ReadError::NoneHere(_) | ReadError::SeveralHere { .. })), None) => Err(choice(&error)),
        (found, _) => Ok(found?),
    }
}

/// A file that is not named and not to be guessed is a question of usage.
fn choice(error: &ReadError) -> Failure {
    match error {
        ReadError::SeveralHere { names, .. } => Failure::usage(
            format!("there are several topology files here: {}", names.join(", ")),
            "name one with -t FILE",
        ),
        _ => Failure::usage("there is no *.clab.yml file here", "name one with -t FILE"),
    }
}

/// The lab that is meant by a name, by a topology file, or by the only file here.
pub fn lab(named: Option<&str>, file: Option<&Path>) -> Result<LabName, Failure> {
    match named {
        Some(text) if is_file(text) => name_in(&find(Some(Path::new(text)))?),
        Some(text) => LabName::new(text)
            .map_err(|error| Failure::usage(error.to_string(), "name a lab, or its topology file (*.clab.yml)")),
        None => name_in(&find(file)?),
    }
}

/// Whether a text that names a lab names it by its file.
fn is_file(text: &str) -> bool {
    text.contains('/') || text.ends_with(".yml") || text.ends_with(".yaml") || LabName::new(text).is_err()
}

/// The lab that a topology file is about.
fn name_in(file: &Path) -> Result<LabName, Failure> {
    let reading = archetype_topology::read(file)?;
    match reading.topology {
        Some(topology) => Ok(topology.name),
        None => Err(Failure::File(reading.problems.into_iter().map(Into::into).collect())),
    }
}

/// The file as the controller reads it.
pub fn text(named: Option<&Path>) -> Result<TopologyText, Failure> {
    let path = find(named)?;
    let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
    let bytes = std::fs::read(&path).map_err(unreadable)?;
    let text = String::from_utf8(bytes)
        .map_err(|error| ReadError::NotText { path: path.clone(), byte: error.utf8_error().valid_up_to() })?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.canonicalize().map_err(unreadable)?;
    Ok(TopologyText {
        directory: directory.to_string_lossy().into_owned(),
        file: path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        shown: Some(path.to_string_lossy().into_owned()),
        env: environment(&text, std::env::vars_os()),
        text,
    })
}

/// What of the shell's environment the text speaks of; nothing else leaves this shell.
fn environment(
    text: &str,
    all: impl Iterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
) -> BTreeMap<String, String> {
    let everything = text.contains("__IMPORT_ENVS");
    let mentioned = mentioned(text);
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| {
            everything
                || mentioned.contains(&name.as_str())
                || name == "CLAB_LABDIR_BASE"
                || (name == "HOME" && text.contains('~'))
        })
        .collect()
}

/// The names behind each `$` and `${`.
fn mentioned(text: &str) -> Vec<&str> {
    let after_dollar = text.split('$').skip(1).map(|rest| rest.strip_prefix('{').unwrap_or(rest));
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    after_dollar.map(|rest| &rest[..name(rest)]).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Vec<String> {
        let all = [("HOME", "/root"), ("IMAGE", "x"), ("SECRET", "y"), ("TAG", "z")];
        environment(text, all.into_iter().map(|(name, value)| (name.into(), value.into()))).into_keys().collect()
    }

    #[test]
    fn only_variables_that_the_file_mentions_leave_the_shell() {
        assert_eq!(sent("image: ${IMAGE:-a$TAG}"), ["IMAGE", "TAG"]);
        assert_eq!(sent("binds: [~/x:/x]"), ["HOME"]);
        assert!(sent("name: x").is_empty());
        assert_eq!(sent("env: {__IMPORT_ENVS: true}").len(), 4);
    }

    #[test]
    fn a_lab_is_named_by_name_or_by_file() {
        assert_eq!(lab(Some("frr01"), None).unwrap().as_str(), "frr01");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../labs/containerlab/lab-examples/frr01/frr01.clab.yml");
        assert_eq!(lab(Some(file), None).unwrap().as_str(), "frr01");
        assert_eq!(lab(None, Some(Path::new(file))).unwrap().as_str(), "frr01");
    }
}
