//! The command line of `supervise`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::Duration;

use archetype_netns::mounts::Bind;

/// What is to be supervised, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The facts of the node's namespace.
    pub facts: PathBuf,
    /// The folder for `pid.json` and `exit.json`.
    pub state: PathBuf,
    /// Paths of the host that the node sees elsewhere.
    pub binds: Vec<Bind>,
    /// The name that the node has for itself; the host's when not said.
    pub host_name: Option<OsString>,
    /// Where the command starts.
    pub cwd: PathBuf,
    /// The file for the command's output; without it the output is dropped.
    pub log_file: Option<PathBuf>,
    /// How long the command has to end after it was asked to.
    pub stop_timeout: Duration,
    /// The command and its arguments.
    pub command: Vec<OsString>,
}

impl Options {
    /// Reads the words behind the verb.
    ///
    /// # Errors
    /// With words for a person.
    pub fn parse(all: &[OsString]) -> Result<Self, String> {
        let (mut facts, mut state) = (None, None);
        let mut options = Self {
            facts: PathBuf::new(),
            state: PathBuf::new(),
            binds: Vec::new(),
            host_name: None,
            cwd: "/".into(),
            log_file: None,
            stop_timeout: Duration::from_secs(10),
            command: Vec::new(),
        };
        let mut rest = all.iter();
        while let Some(word) = rest.next() {
            if word == "--" {
                options.command = rest.cloned().collect();
                break;
            }
            let mut value =
                || rest.next().cloned().ok_or_else(|| format!("{} lacks its value", word.to_string_lossy()));
            match word.to_str() {
                Some("--facts") => facts = Some(PathBuf::from(value()?)),
                Some("--state") => state = Some(PathBuf::from(value()?)),
                Some("--bind") => options.binds.push(bind(&value()?)?),
                Some("--hostname") => options.host_name = Some(value()?),
                Some("--cwd") => options.cwd = value()?.into(),
                Some("--log-file") => options.log_file = Some(value()?.into()),
                Some("--stop-timeout") => options.stop_timeout = seconds(&value()?)?,
                _ => return Err(format!("supervise does not know {}", word.to_string_lossy())),
            }
        }
        options.facts = facts.ok_or("supervise needs --facts")?;
        options.state = state.ok_or("supervise needs --state")?;
        if options.command.is_empty() {
            return Err("supervise needs a command behind --".into());
        }
        Ok(options)
    }
}

fn seconds(text: &OsStr) -> Result<Duration, String> {
    let seconds = text.to_str().and_then(|text| text.parse().ok());
    seconds.map(Duration::from_secs).ok_or_else(|| format!("{} is no number of seconds", text.to_string_lossy()))
}

/// `SOURCE:TARGET`, `SOURCE:TARGET:ro` or `…:rw`.
fn bind(text: &OsStr) -> Result<Bind, String> {
    let parts: Vec<&[u8]> = text.as_bytes().split(|byte| *byte == b':').collect();
    let path = |part: &[u8]| PathBuf::from(OsStr::from_bytes(part));
    match parts[..] {
        [source, target] | [source, target, b"rw"] => {
            Ok(Bind { source: path(source), target: path(target), read_only: false })
        }
        [source, target, b"ro"] => Ok(Bind { source: path(source), target: path(target), read_only: true }),
        _ => Err(format!("{} is no bind: write SOURCE:TARGET or SOURCE:TARGET:ro", text.to_string_lossy())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&line.split(' ').map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn everything_behind_two_dashes_is_the_command() {
        let options = parse("--facts f --state s --bind /a:/b:ro --stop-timeout 3 -- sleep --state 9").unwrap();
        assert_eq!(options.command, ["sleep", "--state", "9"]);
        assert_eq!(options.stop_timeout, Duration::from_secs(3));
        assert_eq!(options.binds, [Bind { source: "/a".into(), target: "/b".into(), read_only: true }]);
    }

    #[test]
    fn what_lacks_or_is_unknown_is_named() {
        assert_eq!(parse("--state s -- x").unwrap_err(), "supervise needs --facts");
        assert_eq!(parse("--facts f --state s --").unwrap_err(), "supervise needs a command behind --");
        assert_eq!(parse("--what").unwrap_err(), "supervise does not know --what");
        assert_eq!(parse("--facts").unwrap_err(), "--facts lacks its value");
        assert!(parse("--facts f --state s --bind /a -- x").unwrap_err().contains("is no bind"));
    }
}
