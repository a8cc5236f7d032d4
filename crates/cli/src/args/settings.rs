//! Settings from flags, variables and the settings file, read together: everything that is wrong
//! with them is told at once. Knows no command.

mod values;

pub use values::{ENGINE, OVSDB};

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use archetype_api::FileProblem;
use clap::ArgMatches;
use clap::parser::ValueSource;
use toml::de::{DeTable, DeValue};

use super::ServeArgs;
use crate::artefacts::Place;

/// Where the settings file is, unless something else is said.
const FILE: &str = "/etc/archetype/archetype.toml";
/// Where the controller's socket is, unless something else is said.
const SOCKET: &str = "/run/archetype/archetype.sock";

/// The keys of the settings file; a flag of the same name and a variable `ARCHETYPE_…` go before.
const KEYS: [&str; 18] = [
    "data",
    "socket",
    "listen",
    "bridge",
    "ovsdb",
    "docker",
    "docker-runtime",
    "mgmt-network",
    "mgmt-subnet",
    "tags",
    "reserve-tags",
    "full-read-interval",
    "probe-interval",
    "host",
    "hosts-file",
    "host-commands",
    "host-command-limit",
    "artefacts",
];

/// Settings as they were given, by key.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    given: BTreeMap<&'static str, Given>,
    problems: Vec<SettingProblem>,
}

/// One value and who gave it.
#[derive(Debug, Clone)]
struct Given {
    value: String,
    origin: Origin,
}

/// Who gave a value.
#[derive(Debug, Clone)]
enum Origin {
    Flag(&'static str),
    Variable(String),
    File { file: String, line: u32, column: u32 },
    Default(&'static str),
}

/// One thing that is wrong with the settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SettingProblem {
    /// Of a flag or variable.
    Plain(String),
    /// Of the settings file.
    OfFile(FileProblem),
    /// Of what stands where nothing was said: this machine has no name that a host may have.
    OfDefault(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(key) => write!(f, "--{key}"),
            Self::Variable(name) => f.write_str(name),
            Self::File { file, .. } => f.write_str(file),
            Self::Default(key) => write!(f, "the default of --{key}"),
        }
    }
}

impl Settings {
    /// Gathers what flags and variables say, and what the settings file says beyond that.
    /// `matches` are those of the command.
    pub fn gather(matches: &ArgMatches, config: Option<&Path>) -> Self {
        let mut settings = Self::of_file(config);
        for key in KEYS {
            settings.take_argument(matches, key);
        }
        settings
    }

    /// What the settings file alone says.
    pub fn of_file(config: Option<&Path>) -> Self {
        let mut settings = Self::default();
        match config.map(PathBuf::from).or_else(|| Some(PathBuf::from(FILE)).filter(|file| file.exists())) {
            Some(file) => settings.take_file(&file),
            None => tracing::debug!("there is no settings file"),
        }
        settings
    }

    /// The settings as they are, for commands that need a few of them, or everything that is wrong with what was
    /// stated: a file that is wrong in one place may not be the one that was meant.
    pub fn stated(mut self) -> Result<Self, Vec<SettingProblem>> {
        // The values are those of `serve`; what is wrong with them stays noted.
        let _ = values::serve(&mut self);
        self.problems.retain(|problem| !matches!(problem, SettingProblem::OfDefault(_)));
        if self.problems.is_empty() { Ok(self) } else { Err(self.problems) }
    }

    /// The controller's socket, as it was stated.
    pub fn socket(&self) -> PathBuf {
        PathBuf::from(self.given.get("socket").map_or(SOCKET, |given| given.value.as_str()))
    }

    /// Where files for other programs go; none when they are not wanted.
    pub fn artefacts(&self) -> Option<Place> {
        let given = self.given.get("artefacts").filter(|given| !given.value.is_empty() && given.value != "none")?;
        let beside_file = matches!(given.origin, Origin::File { .. });
        Some(Place { written: PathBuf::from(&given.value), beside_file })
    }

    /// The settings of `serve`, or everything that is wrong with them.
    pub fn serve(mut self) -> Result<ServeArgs, Vec<SettingProblem>> {
        let args = values::serve(&mut self);
        match args {
            Some(args) if self.problems.is_empty() => Ok(args),
            _ => Err(self.problems),
        }
    }

    /// The Docker Engine's unix socket, for commands that need nothing but it.
    pub fn engine(mut self) -> Result<PathBuf, Vec<SettingProblem>> {
        let socket = self.value("docker", values::ENGINE, values::engine_socket);
        socket.ok_or(self.problems)
    }

    fn take_argument(&mut self, matches: &ArgMatches, key: &'static str) {
        let id = key.replace('-', "_");
        let Ok(Some(raw)) = matches.try_get_raw(&id).map(|values| values.and_then(|mut values| values.next())) else {
            return;
        };
        let variable = format!("ARCHETYPE_{}", id.to_ascii_uppercase());
        let origin = match matches.value_source(&id) {
            Some(ValueSource::EnvVariable) => Origin::Variable(variable),
            _ => Origin::Flag(key),
        };
        match raw.to_str() {
            Some(value) => {
                self.given.insert(key, Given { value: value.to_owned(), origin });
            }
            None => self.problems.push(SettingProblem::Plain(format!("{origin}: this is not UTF-8 text"))),
        }
    }

    fn take_file(&mut self, file: &Path) {
        let shown = file.display().to_string();
        let text = match std::fs::read_to_string(file) {
            Ok(text) => text,
            Err(error) => {
                let problem = format!("the settings file {shown} cannot be read: {error}");
                return self.problems.push(SettingProblem::Plain(problem));
            }
        };
        match DeTable::parse(&text) {
            Ok(table) => {
                for (key, value) in table.get_ref() {
                    let place = place(&text, key.span().start);
                    self.take_key(&shown, place, key.get_ref(), value.get_ref());
                }
            }
            Err(error) => {
                let place = place(&text, error.span().map_or(0, |span| span.start));
                self.file_problem(
                    "settings-syntax",
                    &shown,
                    place,
                    format!("this is not TOML: {}", error.message()),
                    None,
                );
            }
        }
    }

    fn take_key(&mut self, file: &str, (line, column): (u32, u32), written: &str, value: &DeValue<'_>) {
        let Some(key) = KEYS.into_iter().find(|key| *key == written) else {
            let hint = closest(written).map(|close| format!("did you mean {close:?}?"));
            let message = format!("there is no setting {written:?}");
            return self.file_problem("setting-unknown", file, (line, column), message, hint);
        };
        match plain_text(value) {
            Some(value) => {
                let origin = Origin::File { file: file.to_owned(), line, column };
                self.given.insert(key, Given { value, origin });
            }
            None => {
                let message = format!("{key} must be a text, a number or a list of them");
                self.file_problem("setting-refused", file, (line, column), message, None);
            }
        }
    }

    fn file_problem(&mut self, code: &str, file: &str, place: (u32, u32), message: String, hint: Option<String>) {
        let (line, column) = place;
        let file = file.to_owned();
        self.problems.push(SettingProblem::OfFile(FileProblem {
            code: code.into(),
            message,
            file,
            line,
            column,
            hint,
            also: None,
        }));
    }

    /// The value under a key, read by `read`; what is wrong with it is noted.
    fn value<T>(&mut self, key: &'static str, default: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let given = self.given.get(key).cloned();
        let given = given.unwrap_or_else(|| Given { value: default.to_owned(), origin: Origin::Default(key) });
        match read(&given.value) {
            Ok(value) => Some(value),
            Err(why) => {
                match given.origin {
                    Origin::File { file, line, column } => {
                        let message = format!("{key}: {why}");
                        self.file_problem("setting-refused", &file, (line, column), message, None);
                    }
                    origin @ Origin::Default(_) => {
                        self.problems.push(SettingProblem::OfDefault(format!("{origin}: {why}")));
                    }
                    origin => self.problems.push(SettingProblem::Plain(format!("{origin}: {why}"))),
                }
                None
            }
        }
    }
}

/// A value of the file as it would be written on the command line.
fn plain_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Array(list) => {
            let texts: Option<Vec<String>> = list.iter().map(|item| plain_text(item.get_ref())).collect();
            texts.map(|texts| texts.join(","))
        }
        _ => None,
    }
}

/// Line and column, from 1, of a byte of a text.
pub fn place(text: &str, byte: usize) -> (u32, u32) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (u32::try_from(line).unwrap_or(u32::MAX), u32::try_from(column).unwrap_or(u32::MAX))
}

fn closest(written: &str) -> Option<&'static str> {
    let written = written.replace('_', "-");
    let rated = KEYS.into_iter().map(|key| (strsim::jaro_winkler(key, &written), key));
    rated.filter(|(close, _)| *close > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}

#[cfg(test)]
mod tests;
