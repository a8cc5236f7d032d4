//! Topology files on the command line: which file is meant, which lab it names, and what of it the
//! controller needs to read it as this shell would.

mod address;
mod fetch;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::string::FromUtf8Error;

use archetype_api::TopologyText;
use archetype_model::LabName;
use archetype_model::topology::{Position, Problem};
use archetype_topology::{ReadError, Reading};

use crate::args::TopologyArgs;
use crate::excerpt;
use crate::failure::Failure;
use address::Named;

/// A topology file, at hand.
#[derive(Debug)]
pub struct Opened {
    /// How the user named it.
    pub shown: String,
    /// The absolute directory that relative paths in it begin at: its own, or this one for a text
    /// that came from elsewhere.
    directory: PathBuf,
    file: String,
    text: String,
    variables: Vec<PathBuf>,
}

/// Opens the topology file that is meant: the one named, or the only one here.
pub fn open(args: &TopologyArgs) -> Result<Opened, Failure> {
    let variables = args.vars.clone();
    if let Some(missing) = variables.iter().find(|path| !path.exists()) {
        let message = format!("there is no file of template variables {}", missing.display());
        return Err(Failure::hinted(message, "name one that is there with --vars"));
    }
    match args.file.as_deref().map(|named| address::named(&named.to_string_lossy())) {
        None => local(&find(None)?, variables),
        Some(Named::File(path)) => local(&find(Some(&path))?, variables),
        Some(Named::Input) => remote("stdin", input()?, variables),
        Some(Named::Url(url)) => remote(&url, fetch::text(&url)?, variables),
        Some(Named::Refused { why, hint }) => Err(Failure::hinted(why, hint)),
    }
}

/// The topology file that is meant: the one named, or the only one here.
fn find(named: Option<&Path>) -> Result<PathBuf, Failure> {
    let found = archetype_topology::find(named.unwrap_or(Path::new(".")));
    match (found, named) {
        (Ok(file), None) => Ok(file.strip_prefix(".").map(Path::to_owned).unwrap_or(file)),
        (Err(error @ (ReadError::NoneHere(_) | ReadError::SeveralHere { .. })), named) => Err(choice(&error, named)),
        (found, _) => Ok(found?),
    }
}

/// A file that is not named and not to be guessed is a question of usage.
fn choice(error: &ReadError, directory: Option<&Path>) -> Failure {
    let place = directory.map_or("here".to_owned(), |directory| format!("in {}", directory.display()));
    let message = match error {
        ReadError::SeveralHere { names, .. } => {
            format!("there are several topology files {place}: {}", names.join(", "))
        }
        _ => format!("there is no *.clab.yml or *.clab.yaml {place}"),
    };
    Failure::usage(message, "name one with -t FILE")
}

fn local(path: &Path, variables: Vec<PathBuf>) -> Result<Opened, Failure> {
    let unreadable = |source| ReadError::Unreadable { path: path.to_owned(), source };
    let bytes = archetype_topology::bounded(path).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|error| Failure::File(vec![not_text(path, &error).into()]))?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let directory = parent.canonicalize().map_err(unreadable)?;
    let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Opened { shown: path.to_string_lossy().into_owned(), directory, file, text, variables })
}

/// The problem of a file that is not text, at its first byte that is none.
fn not_text(path: &Path, error: &FromUtf8Error) -> Problem {
    let text = &error.as_bytes()[..error.utf8_error().valid_up_to()];
    let lines = text.iter().filter(|byte| **byte == b'\n').count();
    let column =
        text.rsplit(|byte| *byte == b'\n').next().map_or(0, |line| String::from_utf8_lossy(line).chars().count());
    let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
    let at = Position { line: number(lines), column: number(column) };
    Problem::new("yaml-syntax", path.to_string_lossy(), at, "the file is not UTF-8 text from here on")
        .hint("save it as UTF-8")
}

/// A text that is no file of this machine; its paths begin here.
fn remote(shown: &str, text: String, variables: Vec<PathBuf>) -> Result<Opened, Failure> {
    let directory =
        std::env::current_dir().map_err(|source| Failure::Io { what: "this directory cannot be found", source })?;
    let file = shown.trim_end_matches('/').rsplit('/').next().unwrap_or(shown);
    let file = if shown == "stdin" { "stdin.clab.yml" } else { file }.to_owned();
    excerpt::remember(shown, &text);
    Ok(Opened { shown: shown.to_owned(), directory, file, text, variables })
}

fn input() -> Result<String, Failure> {
    let mut text = String::new();
    let read = std::io::stdin().lock().read_to_string(&mut text);
    read.map(|_| text).map_err(|source| Failure::Io { what: "the topology cannot be read from the input", source })
}

impl Opened {
    /// What the file says, with the environment of this process.
    pub fn read(&self) -> Reading {
        let environment = texts(std::env::vars_os()).collect();
        archetype_topology::read_with(&self.shown, &self.directory, &self.text, &environment, &self.variables)
    }

    /// The file as the controller reads it.
    pub fn sent(&self) -> Result<TopologyText, Failure> {
        let mut variables = Vec::new();
        for path in &self.variables {
            let unreadable = |source| ReadError::Unreadable { path: path.clone(), source };
            variables.push(path.canonicalize().map_err(unreadable)?.to_string_lossy().into_owned());
        }
        // Names of variables may be made by the template, too.
        let rendered = archetype_topology::rendered(&self.shown, &self.directory, &self.text, &self.variables);
        let mut env = environment(&self.text, std::env::vars_os());
        env.extend(rendered.map(|text| environment(&text, std::env::vars_os())).unwrap_or_default());
        Ok(TopologyText {
            directory: self.directory.to_string_lossy().into_owned(),
            file: self.file.clone(),
            shown: Some(self.shown.clone()),
            env,
            variables,
            text: self.text.clone(),
        })
    }
}

/// The lab that is meant by a name, by a topology file, or by the only file here.
pub fn lab(named: Option<&str>, args: &TopologyArgs) -> Result<LabName, Failure> {
    match named {
        Some(text) if is_file(text) => {
            name_in(&TopologyArgs { file: Some(PathBuf::from(text)), vars: args.vars.clone() })
        }
        Some(text) => LabName::new(text).map_err(|error| {
            Failure::usage(error.to_string(), "name a lab, or its topology file (*.clab.yml or *.clab.yaml)")
        }),
        None => name_in(args),
    }
}

/// Whether a text that names a lab names it by its file.
fn is_file(text: &str) -> bool {
    text.contains('/') || text.ends_with(".yml") || text.ends_with(".yaml") || LabName::new(text).is_err()
}

/// The lab that a topology file is about.
fn name_in(args: &TopologyArgs) -> Result<LabName, Failure> {
    let reading = open(args)?.read();
    let is_named = reading.is_named();
    match reading.topology {
        Some(topology) if is_named => Ok(topology.name),
        // A name that is made up to go on reading names nobody's lab.
        _ => Err(Failure::File(reading.problems.into_iter().map(Into::into).collect())),
    }
}

/// The variables that are text.
fn texts(all: impl Iterator<Item = (OsString, OsString)>) -> impl Iterator<Item = (String, String)> {
    all.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// What of the shell's environment the text speaks of, and who the user is; nothing else leaves this shell.
fn environment(text: &str, all: impl Iterator<Item = (OsString, OsString)>) -> BTreeMap<String, String> {
    let everything = text.contains("__IMPORT_ENVS");
    let mentioned = mentioned(text);
    texts(all)
        .filter(|(name, _)| {
            everything
                || mentioned.contains(&name.as_str())
                || ["CLAB_LABDIR_BASE", "CLAB_CA_CERT_FILE", "CLAB_CA_KEY_FILE"].contains(&name.as_str())
                || archetype_topology::OWNER.contains(&name.as_str())
                || (name == "HOME" && text.contains('~'))
        })
        .collect()
}

/// The names behind each `$` and `${`.
fn mentioned(text: &str) -> Vec<&str> {
    let after_dollar = text.split('$').skip(1).map(|rest| rest.strip_prefix('{').unwrap_or(rest));
    let name = |rest: &'_ str| rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    after_dollar.map(|rest| &rest[..name(rest)]).filter(|name| !name.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(text: &str) -> Vec<String> {
        let all = [("HOME", "/root"), ("IMAGE", "x"), ("SECRET", "y"), ("TAG", "z"), ("USER", "ann")];
        environment(text, all.into_iter().map(|(name, value)| (name.into(), value.into()))).into_keys().collect()
    }

    #[test]
    fn only_variables_that_the_file_mentions_and_who_the_user_is_leave_the_shell() {
        assert_eq!(sent("image: ${IMAGE:-a$TAG}"), ["IMAGE", "TAG", "USER"]);
        assert_eq!(sent("binds: [~/x:/x]"), ["HOME", "USER"]);
        assert_eq!(sent("name: x"), ["USER"]);
        assert_eq!(sent("env: {__IMPORT_ENVS: true}").len(), 5);
    }

    #[test]
    fn a_lab_is_named_by_name_or_by_file() {
        let here = TopologyArgs { file: None, vars: Vec::new() };
        assert_eq!(lab(Some("frr01"), &here).unwrap().as_str(), "frr01");
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../labs/containerlab/lab-examples/frr01/frr01.clab.yml");
        assert_eq!(lab(Some(file), &here).unwrap().as_str(), "frr01");
        assert_eq!(lab(None, &TopologyArgs { file: Some(file.into()), ..here }).unwrap().as_str(), "frr01");
    }

    #[test]
    fn a_file_that_names_no_lab_is_not_taken_for_one_of_its_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("jj.clab.yml");
        for text in ["topology: {nodes: {a: }}", "name: jj!\ntopology: {nodes: {a: }}", ": : broken"] {
            std::fs::write(&file, text).unwrap();
            let args = TopologyArgs { file: Some(file.clone()), vars: Vec::new() };
            assert!(matches!(lab(None, &args), Err(Failure::File(_))), "{text}");
        }
    }
}
