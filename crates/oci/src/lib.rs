//! The OCI runtime that containers start through, and the supervisor of namespace nodes.
//!
//! | room | what it holds |
//! |---|---|
//! | [`arguments`] | as much of runc's command line as has to be understood |
//! | [`bundle`] | the network entry of a container's `config.json` |
//! | [`runtime`] | the verbs `create`, `run` and `delete`; every other one goes straight to runc |
//! | [`report`] | a refusal, in the file that the engine shows |
//! | [`supervise`] | a namespace node's command: started in its namespaces, watched, ended |
//!
//! It is on the path of every start of a container: no async, no thread but those that enter a
//! namespace, and then it becomes runc. The agent may be away; all it knows stands in the facts.

pub mod arguments;
pub mod bundle;
pub mod report;
pub mod runtime;
pub mod supervise;

/// The name by which engines know this runtime, one for all installations on a machine.
pub const RUNTIME_NAME: &str = "archetype";

/// Where the runtime is installed, outside of every checkout and data folder. The engine calls
/// this path for every exec, stop and delete of a running node, so it must stay.
pub const RUNTIME_PATH: &str = "/usr/local/libexec/archetype/archetype-oci";

/// The verb that prints this program's own version; `--version` is runc's to answer.
pub const VERSION_VERB: &str = "archetype-version";
