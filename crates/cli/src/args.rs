//! The command line: every command with its arguments. Knows their form, not what they do.

mod serve;
mod settings;

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use archetype_model::NodeName;
use clap::builder::{NonEmptyStringValueParser, PossibleValue, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::{ArgValueCandidates, Shell};
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;
use crate::{completing, duration};

pub use serve::{ServeArgs, ServeFlags};
pub use settings::{ENGINE, OVSDB, SettingProblem, Settings, place};

/// Runs network labs: hand over a topology file, get nodes that are wired, proven and kept so.
#[derive(Debug, Parser)]
#[command(name = "archetype", version, propagate_version = false, arg_required_else_help = true)]
pub struct Cli {
    /// The controller's unix socket [default: /run/archetype/archetype.sock]
    #[arg(long, global = true, value_name = "PATH", env = "ARCHETYPE_SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    /// The settings file [default: /etc/archetype/archetype.toml, where there is one]
    #[arg(long, global = true, value_name = "FILE", env = "ARCHETYPE_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,
    /// What is logged to the error output: a level, or `target=level,…` [default: warn; serve: info]
    #[arg(long, global = true, value_name = "FILTER", env = "ARCHETYPE_LOG", hide_env_values = true)]
    pub log: Option<String>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Every command.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve: the controller with this host's agent inside
    Serve(Box<ServeFlags>),
    /// Say what is wrong with a topology file; needs no controller
    Check(CheckArgs),
    /// Say what a deployment would change
    Plan(PlanArgs),
    /// Make a lab as its file says, and wait until every link is proven (also: apply)
    // A visible alias stands before the name in what is completed, and hides it.
    #[command(alias = "apply")]
    Deploy(DeployArgs),
    /// Take a lab down, and wait until nothing of it is left
    Destroy(DestroyArgs),
    /// Show labs: their nodes and links, as read back
    Inspect(InspectArgs),
    /// Run a command in a node
    Exec(ExecArgs),
    /// Show what a node printed
    Logs(LogsArgs),
    /// Start, stop or restart a node; the wish is kept
    Node(NodeArgs),
    /// Set a link up or down, or add or remove one, while the lab runs
    Link(LinkArgs),
    /// Show what happened
    Journal(JournalArgs),
    /// Show every fact behind a link's status, each with the command that shows it
    Explain(ExplainArgs),
    /// Look at every link of a lab again, and mend what is not as wanted
    ///
    /// What was changed again and again, and was therefore mended more and more rarely, has a new beginning.
    Reconcile(ReconcileArgs),
    /// Show what the ports of each kind of device are called; needs no controller
    Kinds(KindsArgs),
    /// Prepare this machine for nodes that are containers; needs no controller
    #[command(subcommand)]
    Host(HostCommand),
    /// Show the version of this program and of the controller
    Version(OutputArgs),
    /// Print a completion script for a shell
    ///
    /// The script asks this program at each Tab, so that labs, nodes and ends of links are completed too.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Write the man pages
    Man {
        /// Where to.
        #[arg(value_name = "DIR", default_value = ".", value_hint = clap::ValueHint::DirPath)]
        directory: PathBuf,
    },
    /// Print the OpenAPI document
    #[command(hide = true)]
    Openapi,
}

/// In what form an answer is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For programs.
    Json,
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// The form of what is printed
    #[arg(long, short = 'f', value_enum, default_value_t, value_name = "FORM")]
    pub format: Format,
}

impl OutputArgs {
    /// Whether programs read it.
    pub fn is_json(self) -> bool {
        self.format == Format::Json
    }
}

/// Which topology file.
#[derive(Debug, Default, Args)]
pub struct TopologyArgs {
    /// The topology file, the directory of the only one, - for the input, or a URL [default: the only *.clab.yml or *.clab.yaml here]
    #[arg(long = "topo", short = 't', value_name = "FILE", value_hint = clap::ValueHint::FilePath)]
    pub file: Option<PathBuf>,
    /// A file of template variables, YAML or JSON; may be repeated [default: FILE without its ending and _vars.*]
    #[arg(long, value_name = "FILE")]
    pub vars: Vec<PathBuf>,
}

/// `check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The file.
    #[command(flatten)]
    pub topology: TopologyArgs,
    /// With --format json: each node's merged definition, and what interfaces are called in Linux
    #[arg(long)]
    pub expanded: bool,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// What `plan` and `deploy` wish for.
#[derive(Debug, Args)]
pub struct WishArgs {
    /// The file.
    #[command(flatten)]
    pub topology: TopologyArgs,
    /// Leave out what this version or this host cannot run
    #[arg(long)]
    pub partial: bool,
    /// Make this node again, so that it takes over changed files; may be repeated
    #[arg(long, value_name = "NODE", add = ArgValueCandidates::new(completing::nodes))]
    pub reload: Vec<NodeName>,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The wish.
    #[command(flatten)]
    pub wish: WishArgs,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// How long a command waits for the lab.
#[derive(Debug, Clone, Copy, Args)]
pub struct WaitArgs {
    /// How long to wait: 30s, 5m, 1m30s
    #[arg(long, value_name = "DUR", default_value = "5m", value_parser = duration::parse)]
    pub wait: Duration,
    /// Do not wait: the wish is durable when the command ends
    #[arg(long, conflicts_with = "wait")]
    pub no_wait: bool,
}

/// Where files for other programs go. The value is read by [`Settings`].
#[derive(Debug, Args)]
pub struct ArtefactsArgs {
    /// Write containerlab's files of the lab (inventories, topology-data.json, names) to
    /// DIR/clab-LAB, or none [default: none]
    #[arg(long, value_name = "DIR", env = "ARCHETYPE_ARTEFACTS", hide_env_values = true)]
    pub artefacts: Option<String>,
}

/// `deploy`.
#[derive(Debug, Args)]
pub struct DeployArgs {
    /// The wish.
    #[command(flatten)]
    pub wish: WishArgs,
    /// Files for other programs.
    #[command(flatten)]
    pub artefacts: ArtefactsArgs,
    /// How long.
    #[command(flatten)]
    pub wait: WaitArgs,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// One lab, by what it is called or by its file.
#[derive(Debug, Args)]
pub struct LabArgs {
    /// The lab: its name or its topology file
    #[arg(value_name = "LAB", conflicts_with = "file", add = ArgValueCandidates::new(completing::labs))]
    pub lab: Option<String>,
    /// The file.
    #[command(flatten)]
    pub topology: TopologyArgs,
}

/// `destroy`.
#[derive(Debug, Args)]
pub struct DestroyArgs {
    /// Which lab.
    #[command(flatten)]
    pub which: LabArgs,
    /// Files for other programs.
    #[command(flatten)]
    pub artefacts: ArtefactsArgs,
    /// Remove DIR/clab-LAB of --artefacts, with everything in it
    #[arg(short = 'c', long)]
    pub cleanup: bool,
    /// How long.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// `inspect`.
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// The lab: its name or its topology file [default: every lab]
    #[arg(value_name = "LAB", conflicts_with = "file", add = ArgValueCandidates::new(completing::labs))]
    pub lab: Option<String>,
    /// The file.
    #[command(flatten)]
    pub topology: TopologyArgs,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `exec`.
#[derive(Debug, Args)]
pub struct ExecArgs {
    /// Send this terminal's input to the command
    #[arg(short = 'i', long)]
    pub interactive: bool,
    /// Give the command a terminal
    #[arg(short = 't', long)]
    pub tty: bool,
    /// Run as this user [default: root]
    #[arg(short = 'u', long)]
    pub user: Option<String>,
    /// Set an environment variable, NAME=VALUE; may be repeated
    #[arg(short = 'e', long = "env", value_name = "NAME=VALUE", value_parser = variable)]
    pub env: Vec<(String, String)>,
    /// The lab: its name or its topology file
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: String,
    /// The node
    #[arg(add = ArgValueCandidates::new(completing::nodes))]
    pub node: NodeName,
    /// The command and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CMD")]
    pub command: Vec<String>,
}

/// `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Go on with what the node prints from now on
    #[arg(short = 'f', long)]
    pub follow: bool,
    /// The lab: its name or its topology file
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: String,
    /// The node
    #[arg(add = ArgValueCandidates::new(completing::nodes))]
    pub node: NodeName,
}

/// `node`.
#[derive(Debug, Args)]
pub struct NodeArgs {
    /// The lab: its name or its topology file
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: String,
    /// The node
    #[arg(add = ArgValueCandidates::new(completing::nodes))]
    pub node: NodeName,
    /// What is wished of it
    #[arg(value_enum, value_name = "WISH")]
    pub wish: NodeWish,
    /// How long.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// What is wished of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NodeWish {
    /// It is to run
    Start,
    /// It is to be stopped
    Stop,
    /// It is to be started again from cold
    Restart,
}

/// `link`.
#[derive(Debug, Args)]
pub struct LinkArgs {
    /// The lab: its name or its topology file
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: String,
    /// What is wished of the link
    #[arg(value_enum, value_name = "WISH")]
    pub wish: LinkWish,
    /// One end of the link, NODE:INTERFACE
    #[arg(value_name = "NODE:IF", add = ArgValueCandidates::new(completing::ends_of_links))]
    pub end: String,
    /// Its other end; `add` needs it
    #[arg(value_name = "NODE:IF", add = ArgValueCandidates::new(completing::ends_of_links))]
    pub other: Option<String>,
    /// How long.
    #[command(flatten)]
    pub wait: WaitArgs,
}

/// What is wished of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LinkWish {
    /// It is to carry frames
    Up,
    /// It is to have carrier at neither end
    Down,
    /// It is to be there; the file is not changed
    Add,
    /// It is to be no more; the file is not changed
    Rm,
}

/// `journal`.
#[derive(Debug, Args)]
pub struct JournalArgs {
    /// The lab: its name or its topology file; what it shares with others is told with it [default: everything]
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: Option<String>,
    /// Go on with what happens from now on
    #[arg(long)]
    pub follow: bool,
    /// The first 1000 entries after the one of this number [default: the newest 1000]
    #[arg(long, value_name = "ID")]
    pub since: Option<u64>,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `explain`.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The lab: its name or its topology file
    #[arg(add = ArgValueCandidates::new(completing::labs))]
    pub lab: String,
    /// One end of the link, NODE:INTERFACE, or the link's id
    #[arg(value_name = "NODE:IF", add = ArgValueCandidates::new(completing::ends))]
    pub end: String,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Which lab.
    #[command(flatten)]
    pub which: LabArgs,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `kinds`.
#[derive(Debug, Args)]
pub struct KindsArgs {
    /// The kind: its name in topology files, or an older one [default: every kind]
    #[arg(value_name = "NAME", value_parser = KindName, hide_possible_values = true)]
    pub name: Option<String>,
    /// The form.
    #[command(flatten)]
    pub output: OutputArgs,
}

/// Takes any text; the kinds there are, are told to shells that complete the word.
#[derive(Debug, Clone, Copy)]
struct KindName;

impl TypedValueParser for KindName {
    type Value = String;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<String, clap::Error> {
        NonEmptyStringValueParser::new().parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(archetype_kinds::names().map(PossibleValue::new)))
    }
}

/// `host`.
#[derive(Debug, Subcommand)]
pub enum HostCommand {
    /// Install the container runtime and register it with the Docker Engine
    Setup(SetupArgs),
    /// Take the container runtime out again
    Reset(EngineArgs),
}

/// `host setup`.
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// The engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// The runtime's binary [default: archetype-oci beside this program]
    #[arg(long, value_name = "PATH")]
    pub runtime_binary: Option<PathBuf>,
}

/// Which engine, and where its files are.
#[derive(Debug, Args)]
pub struct EngineArgs {
    /// The Docker Engine's socket [default: unix:///var/run/docker.sock]
    #[arg(long, value_name = "URL", env = "ARCHETYPE_DOCKER", hide_env_values = true)]
    pub docker: Option<String>,
    /// Put everything below this directory
    #[arg(long, hide = true, default_value = "/")]
    pub root: PathBuf,
}

/// What commands log when nothing is said. A certificate that is not trusted is told by the command.
const COMMANDS_LOG: &str = "warn,rustls_platform_verifier=off";

/// Begins to log to the error output.
pub fn begin_logging(filter: Option<&str>) -> Result<(), Failure> {
    let default = if std::env::args_os().nth(1).is_some_and(|word| word == "serve") { "info" } else { COMMANDS_LOG };
    let filter = EnvFilter::try_new(filter.unwrap_or(default)).map_err(|error| {
        Failure::usage(
            format!("--log cannot be understood: {error}"),
            "write a level (warn, info, debug) or target=level",
        )
    })?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none())
        .init();
    Ok(())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or_else(|| format!("{text:?} has no \"=\"; write NAME=VALUE"))?;
    if name.is_empty() {
        return Err("the variable has no name; write NAME=VALUE".into());
    }
    Ok((name.to_owned(), value.to_owned()))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_of_a_node_may_have_flags_of_its_own() {
        for line in [
            &["archetype", "exec", "-it", "lab", "r1", "--", "ls", "-l"][..],
            &["archetype", "exec", "-it", "lab", "r1", "ls", "-l"][..],
        ] {
            let Command::Exec(exec) = Cli::try_parse_from(line).unwrap().command else { panic!("not an exec") };
            assert!(exec.interactive && exec.tty);
            assert_eq!(exec.command, ["ls", "-l"]);
        }
    }
}
