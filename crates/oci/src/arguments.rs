//! As much of runc's command line as has to be understood: `runc [global options] VERB [options]
//! ID`. What is not known here is passed on as it is.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

/// runc's global options that take a value.
const GLOBAL_VALUES: [&str; 6] = ["log", "log-format", "root", "criu", "rootless", "l"];
/// Options of `create`, `run` and `delete` that take a value.
const VERB_VALUES: [&str; 5] = ["bundle", "b", "console-socket", "pid-file", "preserve-fds"];

/// A command line of runc.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Arguments {
    /// What is to be done: `create`, `start`, `kill`, …; empty when there is no verb.
    pub verb: String,
    /// The file for errors.
    pub log: Option<PathBuf>,
    /// The folder of the container's `config.json`; the current one when not said.
    pub bundle: Option<PathBuf>,
    /// The container's full id.
    pub id: Option<String>,
    /// Whether `--force` was said.
    pub force: bool,
}

impl Arguments {
    /// Reads a command line, the program's own name left out.
    pub fn parse(all: &[OsString]) -> Self {
        let mut arguments = Self::default();
        let mut rest = all.iter();
        while let Some(word) = rest.next() {
            let values: &[&str] = if arguments.verb.is_empty() { &GLOBAL_VALUES } else { &VERB_VALUES };
            match option(word) {
                None if arguments.verb.is_empty() => arguments.verb = word.to_string_lossy().into_owned(),
                None => arguments.id = arguments.id.or_else(|| word.to_str().map(str::to_owned)),
                Some((name, Some(value))) => arguments.take(&name, value),
                Some((name, None)) if values.contains(&name.as_str()) => {
                    if let Some(value) = rest.next() {
                        arguments.take(&name, value.clone());
                    }
                }
                Some((name, None)) => arguments.force |= name == "force" || name == "f",
            }
        }
        arguments
    }

    fn take(&mut self, name: &str, value: OsString) {
        match (self.verb.as_str(), name) {
            ("", "log") => self.log = Some(value.into()),
            (verb, "bundle" | "b") if !verb.is_empty() => self.bundle = Some(value.into()),
            (_, "force" | "f") => self.force = value == *OsStr::new("true"),
            _ => {}
        }
    }
}

/// The name of an option, and its value when it stands in the same word. One dash is as good as two.
fn option(word: &OsStr) -> Option<(String, Option<OsString>)> {
    let text = word.to_string_lossy();
    let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-')).filter(|name| !name.is_empty())?;
    match name.split_once('=') {
        Some((name, value)) => Some((name.to_owned(), Some(value.to_owned().into()))),
        None => Some((name.to_owned(), None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Arguments {
        Arguments::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn what_containerd_says_is_understood() {
        let create = parse(
            "--root /run/r --log /run/x/log.json --log-format json --systemd-cgroup create --bundle /run/b \
             --pid-file /run/b/init.pid --console-socket /tmp/s 00ff",
        );
        assert_eq!((create.verb.as_str(), create.id.as_deref(), create.force), ("create", Some("00ff"), false));
        assert_eq!((create.log, create.bundle), (Some("/run/x/log.json".into()), Some("/run/b".into())));
        let delete = parse("--root=/run/r --log=/l delete --force 00ff");
        assert_eq!((delete.verb.as_str(), delete.id.as_deref(), delete.force), ("delete", Some("00ff"), true));
        assert_eq!(delete.log, Some("/l".into()));
        assert_eq!(parse("--version").verb, "");
        assert_eq!(parse("create -b=/x id").bundle, Some("/x".into()));
    }

    #[test]
    fn an_option_without_its_value_ends_quietly() {
        assert_eq!(parse("create --bundle").bundle, None);
    }
}
