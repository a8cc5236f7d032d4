//! Why a command did not do what was wished, the exit code that says so, and how it is printed.
//! The one place for all of it.

use std::io::ErrorKind;

use archetype_api::{ClientError, FileProblem};
use archetype_topology::ReadError;

use crate::args::SettingProblem;
use crate::commands::host::HostError;
use crate::commands::print_json;
use crate::excerpt::{Sources, error_word};
use crate::exit::Exit;
use crate::paint::{Paint, Tone};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The command line cannot be understood.
    #[error("{message}")]
    Usage {
        /// What is wrong with it.
        message: String,
        /// What to write instead.
        hint: String,
    },
    /// Something in words, with what to do about it.
    #[error("{message}")]
    Plain {
        /// What failed.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// The settings cannot be used.
    #[error("the settings cannot be used")]
    Settings(Vec<SettingProblem>),
    /// A topology file could not be opened.
    #[error(transparent)]
    Topology(#[from] ReadError),
    /// A file is wrong in places.
    #[error("the file has problems")]
    File(Vec<FileProblem>),
    /// The controller refused, failed or is away.
    #[error(transparent)]
    Controller(#[from] ClientError),
    /// The machine could not be prepared.
    #[error(transparent)]
    Host(#[from] HostError),
    /// `serve` ended.
    #[error("{0:#}")]
    Serve(anyhow::Error),
    /// Input or output failed.
    #[error("{what}: {source}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Failure {
    /// The command line cannot be understood.
    pub fn usage(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Usage { message: message.into(), hint: hint.into() }
    }

    /// Something in words.
    pub fn plain(message: impl Into<String>) -> Self {
        Self::Plain { message: message.into(), hint: None }
    }

    /// Something in words, with what to do about it.
    pub fn hinted(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Plain { message: message.into(), hint: Some(hint.into()) }
    }

    /// How the command ends with this.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage { .. } | Self::Settings(_) => Exit::Usage,
            _ => Exit::Failed,
        }
    }

    /// Prints it to the error output.
    pub fn print(&self, paint: Paint) {
        match self {
            Self::Settings(problems) => problems.iter().for_each(|problem| print_setting(problem, paint)),
            Self::File(problems) => print_problems(problems, paint),
            Self::Controller(ClientError::Refused(problem)) if !problem.problems.is_empty() => {
                print_problems(&problem.problems, paint);
                eprintln!("{} {}", error_word(paint), problem.detail);
            }
            _ => {
                let code = self.code().map(|code| format!(" {}", paint.tone(Tone::Quiet, format!("[{code}]"))));
                eprintln!("{} {self}{}", error_word(paint), code.unwrap_or_default());
                if let Some(hint) = self.hint() {
                    eprintln!("  hint: {hint}");
                }
            }
        }
    }

    /// Prints to the standard output what the controller refused, as its API told it; nothing of what else failed.
    pub fn print_for_programs(&self) {
        if let Self::Controller(ClientError::Refused(problem)) = self {
            // Whoever does not read it has the exit code and the words.
            let _ = print_json(problem);
        }
    }

    /// What its page is found under, where the controller refused.
    fn code(&self) -> Option<&str> {
        match self {
            Self::Controller(ClientError::Refused(problem)) => Some(&problem.code),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => Some(hint.clone()),
            Self::Plain { hint, .. } => hint.clone(),
            Self::Controller(ClientError::Refused(problem)) => problem.hint.clone(),
            Self::Controller(ClientError::Unreachable { why, .. }) if why.contains("Permission denied") => {
                Some("its socket is root's: run this as root".to_owned())
            }
            Self::Controller(ClientError::Unreachable { .. }) => Some(
                "start one with `archetype serve`, or name its socket with --socket or ARCHETYPE_SOCKET".to_owned(),
            ),
            Self::Controller(ClientError::BrokenOff { .. }) => {
                Some("labs stay as they are; what it was asked may have been done, `archetype inspect` shows it once it serves again".to_owned())
            }
            Self::Controller(ClientError::Strange { .. }) => {
                Some("compare `archetype version` here and there".to_owned())
            }
            Self::Host(error) => error.hint(),
            Self::Topology(ReadError::Unreadable { source, .. }) => match source.kind() {
                ErrorKind::NotFound => Some(
                    "name one that is there; a directory stands for the only *.clab.yml or *.clab.yaml in it"
                        .to_owned(),
                ),
                ErrorKind::PermissionDenied => Some("it is read by who runs this command, not by `serve`".to_owned()),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Prints what is wrong with files to the error output.
pub fn print_problems(problems: &[FileProblem], paint: Paint) {
    let mut sources = Sources::default();
    problems.iter().for_each(|problem| eprint!("{}", sources.show(problem, paint)));
}

/// How many notes are printed for people.
const NOTES: usize = 20;

/// Prints what files state and nothing comes of to the error output, a line each.
pub fn print_notes(notes: &[FileProblem], paint: Paint) {
    for FileProblem { file, line, column, message, hint, .. } in notes.iter().take(NOTES) {
        let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
        print_note(&format!("{file}:{line}:{column}: {message}{hint}"), paint);
    }
    if let Some(more @ 1..) = notes.len().checked_sub(NOTES) {
        print_note(&format!("{more} more like these; --format json has all of them"), paint);
    }
}

/// Prints something to know that is not wrong to the error output.
pub fn print_note(text: &str, paint: Paint) {
    eprintln!("{} {text}", paint.tone(Tone::Quiet, "note:"));
}

fn print_setting(problem: &SettingProblem, paint: Paint) {
    match problem {
        SettingProblem::Plain(text) | SettingProblem::OfDefault(text) => eprintln!("{} {text}", error_word(paint)),
        SettingProblem::OfFile(problem) => print_problems(std::slice::from_ref(problem), paint),
    }
}
