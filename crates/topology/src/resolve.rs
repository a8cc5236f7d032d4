//! What follows from a merged definition on the file's own host: paths, words, ports, variables.
//! Reads env files and looks whether binds exist; changes nothing.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use archetype_model::stages::StageCommand;
use archetype_model::topology::value::ExecPhase;
use archetype_model::topology::{
    BindDecl, NodeDecl, NodeDefinition, Position, RuntimeKind, Subject, TextMap, VolumeDecl, is_runnable,
};

use crate::merge::{Level, States};

use crate::environment::Environment;
use crate::walk::Walker;
use crate::{engine, env_file, files, ports};

/// What the file stands in: its directory, the lab's directory, the caller's environment.
pub struct Surroundings<'a> {
    /// The absolute directory of the topology file.
    pub directory: &'a Path,
    /// The absolute lab directory.
    pub lab_directory: PathBuf,
    /// Environment variables of the caller.
    pub environment: &'a Environment,
}

impl Surroundings<'_> {
    /// `path` made absolute: `~` is the caller's home, anything relative begins at the file.
    pub fn absolute(&self, path: &str) -> PathBuf {
        match path.strip_prefix('~') {
            Some("") => self.home(),
            Some(rest) if rest.starts_with('/') => cleaned(&self.home().join(rest.trim_start_matches('/'))),
            _ => cleaned(&self.directory.join(path)),
        }
    }

    /// The home of the person who calls, also behind sudo.
    fn home(&self) -> PathBuf {
        let behind_sudo = self.environment.get("SUDO_UID").and_then(|uid| home_of(uid));
        let own = || self.environment.get("HOME").map(PathBuf::from);
        behind_sudo.or_else(own).unwrap_or_else(|| PathBuf::from("/root"))
    }

    /// Replaces the magic variables of a node.
    pub fn replace(&self, text: &str, node: &str) -> String {
        let lab = self.lab_directory.to_string_lossy();
        let name = self.lab_directory.file_name().map(|name| name.to_string_lossy()).unwrap_or_default();
        text.replace("__clabNodeDir__", &format!("{lab}/{node}"))
            .replace("__clabNodeName__", node)
            .replace("__clabDir__", &lab)
            .replace("__clabLabName__", &name)
    }

    /// Whether deploying makes this path, so that it need not exist before.
    fn is_made(&self, path: &Path) -> bool {
        let made = ["ansible-inventory.yml", "topology-data.json"];
        made.iter().any(|made| path == self.lab_directory.join(made))
            || path.starts_with(self.lab_directory.join(".tls"))
    }
}

/// The home directory of a user by number, as the host's user file has it.
fn home_of(uid: &str) -> Option<PathBuf> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let user = users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find(|user| user.get(2) == Some(&uid))?;
    user.get(5).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Where the keys of one node are stated, over all levels that apply to it.
pub struct Places<'a> {
    /// The place of each value of the file by its path.
    pub positions: &'a BTreeMap<String, Position>,
    /// The levels, the least specific first.
    pub levels: &'a [Level<'a>],
    /// The node itself.
    pub node: Position,
}

impl Places<'_> {
    /// Where the value of `key` is stated by the level that decides.
    pub fn key(&self, key: &str) -> Position {
        let stated = |level: &Level<'_>| self.positions.get(&format!("{}.{key}", level.path)).copied();
        self.levels.iter().rev().find_map(stated).unwrap_or(self.node)
    }

    /// Where `text` stands in the list under `key`, whichever level has it.
    pub fn item(&self, key: &str, text: &str, list: fn(&NodeDefinition) -> &Vec<String>) -> Position {
        let stated = |level: &Level<'_>| {
            let index = list(level.definition).iter().position(|item| item == text)?;
            self.positions.get(&format!("{}.{key}[{index}]", level.path)).copied()
        };
        self.levels.iter().rev().find_map(stated).unwrap_or_else(|| self.key(key))
    }
}

/// The path without `.` and `..`, by its text alone.
fn cleaned(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}

/// Resolves one node in place.
pub fn node(w: &mut Walker, s: &Surroundings<'_>, node: &mut NodeDecl, places: &Places<'_>) {
    used(w, node, places);
    let before = w.problems.len();
    let runs = node.runtime().runs();
    let definition = std::mem::take(&mut node.definition);
    let name = node.name.to_string();
    node.env = environment(w, s, &definition.env_files, &name, places);
    node.binds = binds(w, s, &definition, &name, places);
    node.volumes = volumes(w, s, &definition, &name, places);
    for port in &definition.ports {
        match ports::parse(port) {
            Ok(parsed) => node.ports.extend(parsed),
            Err(why) => {
                let hint = "write it as docker does: 8080:80, 127.0.0.1:53:53/udp, 8000-8009:9000-9009";
                let at = places.item("ports", port, |d| &d.ports);
                w.problem("bad-port", at, format!("node {name}: port {port:?} {why}")).hint = Some(hint.into());
            }
        }
    }
    let stated =
        |key: &str, text: &str| Stated { node: &name, key: key.to_owned(), text: text.to_owned(), at: places.key(key) };
    node.entrypoint = definition.entrypoint.as_deref().and_then(|text| words(w, &stated("entrypoint", text)));
    node.command = definition.cmd.as_deref().and_then(|text| words(w, &stated("cmd", text)));
    for exec in &definition.exec {
        let at = places.item("exec", exec, |d| &d.exec);
        node.execs.extend(words(w, &Stated { at, ..stated("exec", &s.replace(exec, &name)) }));
    }
    for (stage, declared) in definition.stages.iter().flat_map(|stages| &stages.0) {
        for phase in [ExecPhase::OnEnter, ExecPhase::OnExit] {
            for exec in declared.exec.iter().filter(|exec| exec.phase == phase) {
                let split = words(w, &stated("stages", &s.replace(&exec.command, &name)));
                let command = |words| StageCommand { stage: *stage, phase, target: exec.target, words };
                node.stage_commands.extend(split.map(command));
            }
        }
    }
    let dns = definition.dns.iter().filter(|_| runs);
    for server in dns.flat_map(|dns| &dns.servers) {
        if server.parse::<IpAddr>().is_err() {
            let message = format!("node {name}: name server {server:?} is not an address");
            w.problem("bad-address", places.key("dns"), message);
        }
    }
    node.definition = definition;
    files_of_devices(w, s, node, places);
    engine::refused(w, node, places);
    let definition = &node.definition;
    if definition.enforce_startup_config == Some(true) && definition.suppress_startup_config == Some(true) {
        let message = format!("node {name}: enforce-startup-config and suppress-startup-config exclude each other");
        w.problem("exclusive-keys", places.key("suppress-startup-config"), message).hint =
            Some("leave one of the two".into());
    }
    for problem in &mut w.problems[before..] {
        problem.subject = Some(Subject::Node(node.name.clone()));
    }
}

/// Files that a container names for a device's software: containerlab starts none of whose files one is missing. A
/// node that does not run is told of anyway, and a namespace is never given one.
fn files_of_devices(w: &mut Walker, s: &Surroundings<'_>, node: &NodeDecl, places: &Places<'_>) {
    if node.runtime() != RuntimeKind::Container || !is_runnable(node) {
        return;
    }
    let name = node.name.as_str();
    let config = node.definition.startup_config.as_deref().map(|text| s.replace(text, name));
    let named = [
        ("startup-config", "startup-config-missing", config),
        ("license", "license-missing", node.definition.license.clone()),
    ];
    for (key, code, text) in named {
        // The text of the file itself has lines; what is fetched has an address.
        let Some(text) = text.filter(|text| !text.contains('\n') && !text.contains("://")) else { continue };
        let path = s.absolute(&text);
        if !path.is_file() {
            let message = format!("node {name}: {key} {text:?} does not exist: {}", path.display());
            w.problem(code, places.key(key), message).hint =
                Some("create it, or correct the path; relative paths begin at the topology file".into());
        }
    }
}

/// Keys of which the most specific level decides, where a container of the node is made.
const OF_CONTAINERS: [(&str, States); 5] = [
    ("restart-policy", |d| d.restart_policy.is_some()),
    ("network-mode", |d| d.network_mode.is_some()),
    ("cgroupns-mode", |d| d.cgroupns_mode.is_some()),
    ("memory", |d| d.memory.is_some()),
    ("shm-size", |d| d.shm_size.is_some()),
];

/// Tells what is wrong with the values that this node uses, and what is to be known of them.
fn used(w: &mut Walker, node: &NodeDecl, places: &Places<'_>) {
    if w.once_used.is_empty() {
        return;
    }
    let runs = node.runtime().runs();
    let deciding = OF_CONTAINERS.into_iter().filter(|_| runs);
    for (key, states) in deciding.chain([("link-apply-mode", (|d| d.link_apply_mode.is_some()) as States)]) {
        let of_level = |level: &Level<'_>| w.used(&format!("{}.{key}", level.path)) || states(level.definition);
        places.levels.iter().rev().any(of_level);
    }
    let own = places.levels.last().filter(|_| node.is_managed());
    let addresses = own.iter().flat_map(|level| ["mgmt-ipv4", "mgmt-ipv6"].map(|key| format!("{}.{key}", level.path)));
    let stages = places.levels.iter().map(|level| format!("{}.stages", level.path));
    for path in addresses.chain(stages) {
        w.used(&path);
    }
}

/// A command line where the file states it.
struct Stated<'a> {
    node: &'a str,
    key: String,
    text: String,
    at: Position,
}

fn words(w: &mut Walker, stated: &Stated<'_>) -> Option<Vec<String>> {
    match shlex::split(&stated.text) {
        Some(words) => Some(words).filter(|words| !words.is_empty()),
        None => {
            let Stated { node, key, text, at } = stated;
            w.problem("bad-command", *at, format!("node {node}: {key} {text:?} has a quote that is not closed"));
            None
        }
    }
}

/// What the Docker Engine takes as options of a bind.
const BIND_OPTIONS: [&str; 13] = [
    "ro",
    "rw",
    "z",
    "Z",
    "private",
    "rprivate",
    "shared",
    "rshared",
    "slave",
    "rslave",
    "cached",
    "consistent",
    "delegated",
];

fn binds(
    w: &mut Walker,
    s: &Surroundings<'_>,
    definition: &NodeDefinition,
    node: &str,
    places: &Places<'_>,
) -> Vec<BindDecl> {
    let mut binds = Vec::new();
    for text in &definition.binds {
        let at = places.item("binds", text, |d| &d.binds);
        let parts: Vec<&str> = text.split(':').collect();
        let (written, target, mode) = match parts[..] {
            [source, target] if !source.is_empty() => (source, target, ""),
            [source, target, mode] if !source.is_empty() => (source, target, mode),
            _ => {
                let message = format!("node {node}: bind {text:?} is not of the form source:target[:options]");
                w.problem("bad-bind", at, message).hint =
                    Some("a path inside the node alone belongs under volumes".into());
                continue;
            }
        };
        if !target.starts_with('/') {
            let message = format!("node {node}: the target of bind {text:?} is not an absolute path");
            w.problem("bad-bind", at, message);
            continue;
        }
        if let Some(option) = mode.split(',').find(|option| !option.is_empty() && !BIND_OPTIONS.contains(option)) {
            let message = format!("node {node}: bind {text:?} has an option {option:?} that there is not");
            w.problem("bad-bind", at, message).hint = Some(format!("options: {}", BIND_OPTIONS.join(", ")));
            continue;
        }
        let source = s.absolute(&s.replace(written, node));
        if !source.exists() && !s.is_made(&source) {
            let message = format!("node {node}: the source of bind {text:?} does not exist: {}", source.display());
            w.problem("bind-missing", at, message).hint =
                Some("create it, or correct the path; relative paths begin at the topology file".into());
        }
        let source = source.to_string_lossy().into_owned();
        binds.push(BindDecl { written: written.into(), source, target: target.into(), mode: mode.into() });
    }
    binds
}

fn volumes(
    w: &mut Walker,
    s: &Surroundings<'_>,
    definition: &NodeDefinition,
    node: &str,
    places: &Places<'_>,
) -> Vec<VolumeDecl> {
    let mut volumes = Vec::new();
    for text in &definition.volumes {
        let parts: Vec<&str> = text.split(':').collect();
        let named = |name: &str, target: &str, options: &str| VolumeDecl {
            name: Some(s.replace(name, node)),
            target: target.to_owned(),
            options: options.to_owned(),
        };
        let why = match parts[..] {
            [_, _, ..] if text.starts_with('/') => "names a path of the host: that belongs under binds",
            [target] if !target.is_empty() => {
                volumes.push(VolumeDecl { name: None, target: target.to_owned(), options: String::new() });
                continue;
            }
            [name, target] => {
                volumes.push(named(name, target, ""));
                continue;
            }
            [name, target, options] => {
                volumes.push(named(name, target, options));
                continue;
            }
            _ => "is not of the form name:target[:options]",
        };
        let at = places.item("volumes", text, |d| &d.volumes);
        w.problem("bad-volume", at, format!("node {node}: volume {text:?} {why}"));
    }
    volumes
}

/// The environment of a node: its files, then each level's variables, where `__IMPORT_ENVS: true`
/// brings the caller's whole environment in below that level's own.
fn environment(w: &mut Walker, s: &Surroundings<'_>, files: &[String], node: &str, places: &Places<'_>) -> TextMap {
    let mut variables = BTreeMap::new();
    for file in files {
        let at = places.item("env-files", file, |d| &d.env_files);
        let path = s.absolute(file);
        match files::text(&path) {
            Ok(text) => match env_file::parse(&text) {
                Ok(read) => variables.extend(read),
                Err((line, why)) => {
                    let message = format!("node {node}: env file {}, line {line}: {why}", path.display());
                    w.problem("bad-env-file", at, message);
                }
            },
            Err(error) => {
                let message = format!("node {node}: env file {file:?} cannot be read: {error}");
                w.problem("env-file-missing", at, message).hint =
                    Some(format!("it was looked for at {}", path.display()));
            }
        }
    }
    for level in places.levels.iter().map(|level| level.definition) {
        if level.env.get("__IMPORT_ENVS").is_some_and(|value| value == "true") {
            variables.extend(s.environment.clone());
        }
        variables.extend(level.env.clone());
    }
    variables
}
