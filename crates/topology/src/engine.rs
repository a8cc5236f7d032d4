//! Values that the container engine or the kernel would refuse when a node is made: told while nothing is built yet.

use std::path::Path;

use archetype_model::capability;
use archetype_model::topology::{NodeDecl, NodeDefinition, Position, RuntimeKind, is_runnable};

use crate::resolve::Places;
use crate::suggest::nearest;
use crate::walk::Walker;

/// The Docker Engine makes no container with less memory.
const LEAST_MEMORY: u64 = 6 << 20;
/// Settings beside `net.*` and `fs.mqueue.*` of which a container has its own, as runc lets them be set.
const OF_CONTAINERS: [&str; 9] = [
    "kernel.domainname",
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
];

/// A value that would be refused.
struct Refused {
    code: &'static str,
    at: Position,
    message: String,
    hint: String,
}

/// Names every such value of a node that runs.
pub fn refused(w: &mut Walker, node: &NodeDecl, places: &Places<'_>) {
    if !node.runtime().runs() || !is_runnable(node) {
        return;
    }
    let mut all = aliases(&node.definition, places);
    all.extend(settings(node, places));
    if node.runtime() == RuntimeKind::Container {
        all.extend(variable_without_name(node, places));
        all.extend(capabilities(&node.definition, places));
        all.extend(devices(&node.definition, places));
        all.extend(limits(&node.definition, places));
    } else {
        all.extend(health_check(&node.definition, places));
    }
    for Refused { code, at, message, hint } in all {
        w.problem(code, at, format!("node {}: {message}", node.name)).hint = Some(hint);
    }
}

fn value(at: Position, message: String, hint: impl Into<String>) -> Refused {
    Refused { code: "not-runnable-value", at, message, hint: hint.into() }
}

/// Aliases stand in hosts files, where white space ends a name.
fn aliases(definition: &NodeDefinition, places: &Places<'_>) -> Vec<Refused> {
    let is_name = |alias: &str| !alias.is_empty() && !alias.contains(|c: char| c.is_whitespace() || c == '#');
    let bad = definition.aliases.iter().filter(|alias| !is_name(alias));
    let told = |alias: &String| {
        let at = places.item("aliases", alias, |d| &d.aliases);
        value(at, format!("the alias {alias:?} is no name"), "write one without white space, for instance web.lab")
    };
    bad.map(told).collect()
}

fn settings(node: &NodeDecl, places: &Places<'_>) -> Vec<Refused> {
    let is_container = node.runtime() == RuntimeKind::Container;
    let mut all = Vec::new();
    for (name, stated) in &node.definition.sysctls {
        let at = places.key(&format!("sysctls.{name}"));
        let of_container = || name.starts_with("fs.mqueue.") || OF_CONTAINERS.contains(&name.as_str());
        let is_own = name.starts_with("net.") || is_container && of_container();
        if name.contains('/') {
            let hint = format!("write {}", name.replace('/', "."));
            all.push(value(at, format!("the sysctl {name} is not written with dots"), hint));
        } else if !is_own {
            let hint = if is_container {
                "a container has its own net.*, fs.mqueue.*, kernel.domainname, kernel.msg*, kernel.sem and kernel.shm*"
            } else {
                "a namespace has its own net.*"
            };
            all.push(value(at, format!("the sysctl {name} cannot be a node's own"), hint));
        } else if stated.trim().is_empty() {
            all.push(value(at, format!("the sysctl {name} has no value"), format!("write for instance {name}: 1")));
        }
    }
    all
}

/// Of another form than these no check is ever run, and none of these without words passes. (An engine takes them.)
fn health_check(definition: &NodeDefinition, places: &Places<'_>) -> Option<Refused> {
    let test = &definition.healthcheck.as_ref()?.test;
    let fits = match test.split_first() {
        None => true,
        Some((form, words)) => form == "NONE" || matches!(form.as_str(), "CMD" | "CMD-SHELL") && !words.is_empty(),
    };
    let message = || format!("the health check {test:?} can never pass");
    let hint = "write [CMD, program, argument…], [CMD-SHELL, line], or [NONE]";
    (!fits).then(|| value(places.key("healthcheck"), message(), hint))
}

fn variable_without_name(node: &NodeDecl, places: &Places<'_>) -> Option<Refused> {
    let told = || value(places.key("env"), "a variable under env has no name".into(), "write NAME: value");
    node.env.contains_key("").then(told)
}

fn capabilities(definition: &NodeDefinition, places: &Places<'_>) -> Vec<Refused> {
    let unknown = definition.cap_add.iter().filter(|name| !capability::is_known(name));
    let told = |name: &String| {
        let at = places.item("cap-add", name, |d| &d.cap_add);
        let hint = match nearest(name.trim_start_matches("CAP_"), capability::NAMES) {
            Some(near) => format!("did you mean {near:?}?"),
            None => "capability(7) lists them; for instance NET_ADMIN, or ALL".into(),
        };
        value(at, format!("there is no capability {name:?}"), hint)
    };
    unknown.map(told).collect()
}

/// `HOST[:INSIDE][:PERMISSIONS]`.
fn devices(definition: &NodeDefinition, places: &Places<'_>) -> Vec<Refused> {
    let mut all = Vec::new();
    for text in &definition.devices {
        let at = places.item("devices", text, |d| &d.devices);
        let host = text.split(':').next().unwrap_or_default();
        if !host.starts_with('/') {
            let message = format!("the device {text:?} does not begin with a path of the host");
            all.push(value(at, message, "for instance /dev/kvm, or /dev/sda:/dev/xvda:r"));
        } else if !Path::new(host).exists() {
            let message = format!("the device {text:?} is not there: {host}");
            let hint = "load its driver, correct the path, or leave it out".into();
            all.push(Refused { code: "device-missing", at, message, hint });
        }
    }
    all
}

fn limits(definition: &NodeDefinition, places: &Places<'_>) -> Vec<Refused> {
    let mut all = Vec::new();
    if let Some(memory) = definition.memory.as_ref().filter(|memory| (1..LEAST_MEMORY).contains(&memory.bytes())) {
        let message = format!("memory {:?} is less than the 6 MiB that a container has at least", memory.as_str());
        all.push(value(places.key("memory"), message, "state more, or leave it out"));
    }
    if let Some(set) = definition.cpu_set.as_deref().filter(|set| !set.is_empty() && !is_processor_list(set)) {
        let message = format!("the cpu-set {set:?} is no list of processors");
        all.push(value(places.key("cpu-set"), message, "write for instance 0-2,4"));
    }
    all
}

/// A list as the kernel reads it: numbers and ranges, separated by commas.
fn is_processor_list(text: &str) -> bool {
    let number = |text: &str| text.trim().parse::<u32>().ok();
    text.split(',').all(|part| match part.split_once('-') {
        Some((from, to)) => number(from).zip(number(to)).is_some_and(|(from, to)| from <= to),
        None => number(part).is_some(),
    })
}
