//! Inheritance: what a node has of its own, its group, its kind and the defaults. Pure; knows
//! nothing of files.

use std::collections::BTreeMap;

use archetype_model::topology::definition::ConfigVars;
use archetype_model::topology::{Certificate, Credentials, NodeDefinition, PullPolicy, Stages, TextMap};

/// Whether a level states a key.
pub type States = fn(&NodeDefinition) -> bool;

/// The four levels of a topology file.
#[derive(Debug, Clone, Default)]
pub struct Levels {
    /// `topology.defaults`.
    pub defaults: NodeDefinition,
    /// `topology.kinds`, by the name as written.
    pub kinds: BTreeMap<String, NodeDefinition>,
    /// `topology.groups`.
    pub groups: BTreeMap<String, NodeDefinition>,
}

/// One level that applies to a node.
#[derive(Debug, Clone)]
pub struct Level<'l> {
    /// Its path in the file.
    pub path: String,
    /// What it states.
    pub definition: &'l NodeDefinition,
}

/// What applies to one node, the least specific level first.
pub struct Applied<'l> {
    /// The kind as written.
    pub kind: Option<String>,
    /// The group.
    pub group: Option<String>,
    /// Defaults, kind, group and node, those that there are.
    pub levels: Vec<Level<'l>>,
    /// Whether the node itself is no mapping, only a name; it takes fewer things from its kind and group.
    is_bare: bool,
}

impl Levels {
    /// The kind of a node: its own, that of the group it names, that of the defaults' group, that
    /// of the defaults.
    fn kind_of(&self, node: &NodeDefinition) -> Option<String> {
        let of_group = |group: &Option<String>| group.as_ref().and_then(|g| self.groups.get(g)?.kind.clone());
        node.kind
            .clone()
            .or_else(|| of_group(&node.group))
            .or_else(|| of_group(&self.defaults.group))
            .or_else(|| self.defaults.kind.clone())
    }

    /// What applies to `node`, called `name`. Its group is its own, that of its kind or that of the defaults.
    pub fn applied<'l>(&'l self, name: &str, node: &'l NodeDefinition, is_bare: bool) -> Applied<'l> {
        let kind = self.kind_of(node);
        let of_kind = kind.as_ref().and_then(|kind| Some((format!("kinds.{kind}"), self.kinds.get(kind)?)));
        let kinds_group = || of_kind.as_ref().filter(|_| !is_bare)?.1.group.clone();
        let group = node.group.clone().or_else(kinds_group).or_else(|| self.defaults.group.clone());
        let of_group = group.as_ref().and_then(|group| Some((format!("groups.{group}"), self.groups.get(group)?)));
        let own = Some((format!("nodes.{name}"), node));
        let levels = [Some(("defaults".to_owned(), &self.defaults)), of_kind, of_group, own].into_iter().flatten();
        let levels = levels.map(|(path, definition)| Level { path: format!("topology.{path}"), definition }).collect();
        Applied { kind, group, levels, is_bare }
    }
}

impl Applied<'_> {
    /// The definition that the levels merge to. `node` is the node's own level.
    pub fn merged(&self, node: &NodeDefinition) -> NodeDefinition {
        NodeDefinition {
            kind: self.kind.as_ref().map(|kind| kind.to_lowercase()),
            group: self.group.clone(),
            variant: self.last(|d| d.variant.as_ref()).map(|text| text.trim().to_owned()),
            startup_config: self.last(|d| d.startup_config.as_ref()),
            startup_delay: self.last(|d| d.startup_delay.as_ref()),
            enforce_startup_config: self.truth(|d| d.enforce_startup_config.as_ref()),
            suppress_startup_config: self.truth(|d| d.suppress_startup_config.as_ref()),
            auto_remove: self.truth(|d| d.auto_remove.as_ref()),
            restart_policy: self.last(|d| d.restart_policy.as_ref()),
            config: self.config(),
            image: self.last(|d| d.image.as_ref()),
            image_pull_policy: Some(self.last(|d| d.image_pull_policy.as_ref()).unwrap_or(PullPolicy::IfNotPresent)),
            license: self.last(|d| d.license.as_ref()),
            position: self.last(|d| d.position.as_ref()),
            hostname: self.last(|d| d.hostname.as_ref()),
            entrypoint: self.last(|d| d.entrypoint.as_ref()),
            cmd: self.last(|d| d.cmd.as_ref()),
            exec: self.joined(|d| &d.exec),
            binds: binds(self.by_target(|d| &d.binds)),
            volumes: self.by_target(|d| &d.volumes),
            devices: self.joined(|d| &d.devices),
            cap_add: self.joined(|d| &d.cap_add),
            privileged: self.truth(|d| d.privileged.as_ref()),
            cgroupns_mode: self.last(|d| d.cgroupns_mode.as_ref()),
            cgroup_parent: self.last(|d| d.cgroup_parent.as_ref()),
            pid_mode: self.last(|d| d.pid_mode.as_ref()),
            tmpfs: self.map(|d| &d.tmpfs),
            security_opts: self.joined(|d| &d.security_opts),
            shm_size: self.last(|d| d.shm_size.as_ref()),
            ports: self.last_list(|d| &d.ports),
            mgmt_ipv4: node.mgmt_ipv4,
            mgmt_ipv6: node.mgmt_ipv6,
            env: self.map(|d| &d.env),
            env_files: self.joined(|d| &d.env_files),
            user: self.last(|d| d.user.as_ref()),
            labels: self.map(|d| &d.labels),
            network_mode: self.last(|d| d.network_mode.as_ref()),
            runtime: self.last(|d| d.runtime.as_ref()),
            cpu: self.last(|d| d.cpu.as_ref()),
            cpu_set: self.last(|d| d.cpu_set.as_ref()),
            memory: self.last(|d| d.memory.as_ref()),
            sysctls: self.map(|d| &d.sysctls),
            extras: self.last(|d| d.extras.as_ref()),
            stages: self.stages(),
            dns: self.last(|d| d.dns.as_ref()),
            certificate: self.certificate(),
            healthcheck: self.last(|d| d.healthcheck.as_ref()),
            credentials: self.credentials(),
            aliases: node.aliases.clone(),
            components: self.last_list(|d| &d.components),
            link_apply_mode: self.last(|d| d.link_apply_mode.as_ref()),
        }
    }

    fn definitions(&self) -> impl DoubleEndedIterator<Item = &NodeDefinition> {
        self.levels.iter().map(|level| level.definition)
    }

    /// The most specific level's value.
    fn last<T: Clone>(&self, field: impl Fn(&NodeDefinition) -> Option<&T>) -> Option<T> {
        self.definitions().rev().find_map(field).cloned()
    }

    /// The most specific level's truth; of a bare node that of the defaults.
    fn truth(&self, field: impl Fn(&NodeDefinition) -> Option<&bool>) -> Option<bool> {
        match self.is_bare {
            true => self.definitions().next().and_then(field).copied(),
            false => self.last(field),
        }
    }

    /// The most specific level's list that is not empty.
    fn last_list<T: Clone>(&self, field: impl Fn(&NodeDefinition) -> &Vec<T>) -> Vec<T> {
        self.definitions().rev().map(field).find(|list| !list.is_empty()).cloned().unwrap_or_default()
    }

    /// All levels' lists, each text once, the least specific level first.
    fn joined(&self, field: impl Fn(&NodeDefinition) -> &Vec<String>) -> Vec<String> {
        let mut all: Vec<String> = Vec::new();
        for text in self.definitions().flat_map(field) {
            if !all.contains(text) {
                all.push(text.clone());
            }
        }
        all
    }

    /// All levels' mounts, one for each target, the last one written; in the order of their text.
    fn by_target(&self, field: impl Fn(&NodeDefinition) -> &Vec<String>) -> Vec<String> {
        let mut mounts: BTreeMap<String, String> = BTreeMap::new();
        for mount in self.joined(field) {
            mounts.insert(target(&mount).to_owned(), mount);
        }
        let mut mounts: Vec<String> = mounts.into_values().collect();
        mounts.sort();
        mounts
    }

    /// All levels' entries, the most specific level's value for each key.
    fn map(&self, field: impl Fn(&NodeDefinition) -> &TextMap) -> TextMap {
        self.definitions().flat_map(|level| field(level).clone()).collect()
    }

    fn config(&self) -> Option<ConfigVars> {
        if self.is_bare {
            return None;
        }
        let mut stated = self.definitions().filter_map(|level| level.config.as_ref());
        let mut vars = stated.next()?.vars.clone();
        for (key, value) in stated.flat_map(|config| &config.vars) {
            united(vars.entry(key.clone()).or_default(), value);
        }
        Some(ConfigVars { vars })
    }

    /// Waits of all levels, each once, and commands of all levels.
    fn stages(&self) -> Option<Stages> {
        let mut merged = Stages::default();
        for (stage, declared) in self.definitions().filter_map(|level| level.stages.as_ref()).flat_map(|s| &s.0) {
            let entry = merged.0.entry(*stage).or_default();
            for wait in &declared.wait_for {
                if !entry.wait_for.contains(wait) {
                    entry.wait_for.push(wait.clone());
                }
            }
            entry.exec.extend(declared.exec.iter().cloned());
        }
        (!merged.0.is_empty()).then_some(merged)
    }

    fn certificate(&self) -> Option<Certificate> {
        let mut stated = self.definitions().filter_map(|level| level.certificate.as_ref());
        let mut merged = stated.next()?.clone();
        for next in stated {
            merged = Certificate {
                issue: next.issue.or(merged.issue),
                key_size: next.key_size.or(merged.key_size),
                validity_duration: next.validity_duration.clone().or(merged.validity_duration),
                sans: if next.sans.is_empty() { merged.sans } else { next.sans.clone() },
            };
        }
        Some(merged)
    }

    /// User and password together from the most specific level that states either; the key file
    /// by itself.
    fn credentials(&self) -> Option<Credentials> {
        let stated = || self.definitions().rev().filter_map(|level| level.credentials.as_ref());
        stated().next()?;
        let login = stated().find(|c| c.username.is_some() || c.password.is_some()).cloned().unwrap_or_default();
        Some(Credentials { identity_file: stated().find_map(|c| c.identity_file.clone()), ..login })
    }
}

/// Puts `value` in the place of `known`; of two mappings the entries of both, those of `value` going
/// before.
fn united(known: &mut serde_json::Value, value: &serde_json::Value) {
    match (known, value) {
        (serde_json::Value::Object(known), serde_json::Value::Object(value)) => {
            for (key, value) in value {
                united(known.entry(key).or_insert_with(Default::default), value);
            }
        }
        (known, value) => *known = value.clone(),
    }
}

/// Binds as containerlab writes them again: without options that are empty.
fn binds(mut binds: Vec<String>) -> Vec<String> {
    for bind in &mut binds {
        if bind.split(':').count() == 3 && bind.ends_with(':') {
            bind.pop();
        }
    }
    binds.sort();
    binds
}

/// The path inside the node that a bind or volume is mounted at.
fn target(mount: &str) -> &str {
    let mut parts = mount.split(':');
    let first = parts.next().unwrap_or_default();
    parts.next().unwrap_or(first)
}
