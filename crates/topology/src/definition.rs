//! One level of a node's definition: an entry of `nodes`, `groups` or `kinds`, or `defaults`.
//! Knows nothing of the other levels.

use std::str::FromStr;

use archetype_model::topology::definition::{ConfigVars, KindCluster, KindClusterDeploy};
use archetype_model::topology::span;
use archetype_model::topology::value::{
    CgroupNamespace, Component, ExecPhase, ExecTarget, Module, StageDecl, StageExec, WaitFor,
};
use archetype_model::topology::{
    ByteSize, Certificate, Credentials, Dns, Extras, Healthcheck, LinkApplyMode, NetworkMode, NodeDefinition,
    PullPolicy, RestartPolicy, Stage, Stages,
};

use crate::scalar;
use crate::tree::{Tree, Value};
use crate::walk::{Fields, Walker};

const STAGES: [(&str, Stage); 5] = [
    ("create", Stage::Create),
    ("create-links", Stage::CreateLinks),
    ("configure", Stage::Configure),
    ("healthy", Stage::Healthy),
    ("exit", Stage::Exit),
];

/// Reads the definition at `path`; nothing there is an empty definition.
pub fn definition(walker: &mut Walker, path: &str, tree: &Tree) -> NodeDefinition {
    let Some(mut fields) = walker.fields(path, tree) else { return NodeDefinition::default() };
    let f = &mut fields;
    let w = walker;
    let mut definition = NodeDefinition::default();
    identity(w, f, &mut definition);
    program(w, f, &mut definition);
    container(w, f, &mut definition);
    network(w, f, &mut definition);
    definition.extras = extras(w, f);
    definition.stages = f.judged_once_used(w, "stages", stages);
    definition.certificate = certificate(w, f);
    definition.healthcheck = healthcheck(w, f);
    definition.credentials = credentials(w, f);
    definition.components = components(w, f);
    definition.config = nested(w, f, "config", |w, f| ConfigVars { vars: f.free_map(w, "vars") });
    fields.finish(w);
    definition
}

/// A time like `8760h`, `1h30m`, or a number of nanoseconds, as written.
pub fn duration(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Option<String> {
    let tree = f.take(w, key).filter(|tree| !tree.is_null())?;
    let path = f.path_of(key);
    let text = w.text(&path, tree)?;
    let is_number = matches!(&tree.value, Value::Scalar { plain: true, .. }) && scalar::number(&text).is_some();
    if is_number || span::seconds(&text).is_some() {
        return Some(text);
    }
    w.problem("bad-value", tree.at, format!("{path}: {text:?} is no time like 8760h or 1h30m"));
    None
}

/// Reads a mapping under `key` by `read`, then names what `read` did not ask for.
fn nested<T>(
    w: &mut Walker,
    f: &mut Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&mut Walker, &mut Fields<'_>) -> T,
) -> Option<T> {
    let tree = f.take(w, key)?;
    let mut inner = w.fields(&f.path_of(key), tree)?;
    let value = read(w, &mut inner);
    inner.finish(w);
    Some(value)
}

fn identity(w: &mut Walker, f: &mut Fields<'_>, d: &mut NodeDefinition) {
    d.kind = f.text(w, "kind");
    d.group = f.text(w, "group");
    d.variant = f.text(w, "type");
    d.image = f.text(w, "image");
    d.image_pull_policy = f.text(w, "image-pull-policy").map(|text| match text.trim().to_lowercase().as_str() {
        "always" => PullPolicy::Always,
        "never" => PullPolicy::Never,
        _ => PullPolicy::IfNotPresent,
    });
    d.license = f.text(w, "license");
    d.position = f.text(w, "position");
    d.hostname = f.text(w, "hostname");
    d.labels = f.text_map(w, "labels");
    d.startup_config = f.text(w, "startup-config");
    d.enforce_startup_config = f.truth(w, "enforce-startup-config");
    d.suppress_startup_config = f.truth(w, "suppress-startup-config");
    d.startup_delay = f.whole(w, "startup-delay");
}

fn program(w: &mut Walker, f: &mut Fields<'_>, d: &mut NodeDefinition) {
    d.entrypoint = f.text(w, "entrypoint");
    d.cmd = f.text(w, "cmd");
    d.exec = f.texts(w, "exec");
    d.env = f.text_map(w, "env");
    d.env_files = f.texts(w, "env-files");
    d.user = f.text(w, "user");
    d.auto_remove = f.truth(w, "auto-remove");
    d.restart_policy = f.judged_once_used(w, "restart-policy", |w, f| {
        let policy = f.text(w, "restart-policy").map(RestartPolicy::from);
        if let Some(RestartPolicy::Other(word)) = &policy {
            let message = format!("{word:?} is no restart policy: a node that ends stays ended");
            w.ignored(f.place("restart-policy"), message, "policies: no, on-failure, always, unless-stopped");
        }
        policy
    });
    let words =
        [("live", LinkApplyMode::Live), ("restart", LinkApplyMode::Restart), ("recreate", LinkApplyMode::Recreate)];
    d.link_apply_mode = f.judged_once_used(w, "link-apply-mode", |w, f| f.choice(w, "link-apply-mode", &words));
}

fn container(w: &mut Walker, f: &mut Fields<'_>, d: &mut NodeDefinition) {
    d.binds = f.texts(w, "binds");
    d.volumes = f.texts(w, "volumes");
    d.devices = f.texts(w, "devices");
    d.cap_add = f.texts(w, "cap-add");
    d.privileged = f.truth(w, "privileged");
    let words = [("host", CgroupNamespace::Host), ("private", CgroupNamespace::Private)];
    d.cgroupns_mode = f.judged_once_used(w, "cgroupns-mode", |w, f| f.choice(w, "cgroupns-mode", &words));
    d.cgroup_parent = f.text(w, "cgroup-parent");
    d.pid_mode = f.text(w, "pid-mode");
    d.tmpfs = f.text_map(w, "tmpfs");
    d.security_opts = f.texts(w, "security-opts");
    d.shm_size = size(w, f, "shm-size");
    d.memory = size(w, f, "memory");
    d.cpu = cpu(w, f);
    d.cpu_set = f.text(w, "cpu-set");
    d.sysctls = f.text_map(w, "sysctls");
    d.runtime = f.text(w, "runtime");
}

fn size(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Option<ByteSize> {
    let size = |text| ByteSize::new(text).map_err(|e| e.to_string());
    f.judged_once_used(w, key, |w, f| f.parsed(w, key, "bad-size", size))
}

fn cpu(w: &mut Walker, f: &mut Fields<'_>) -> Option<f64> {
    let tree = f.take(w, "cpu")?;
    let path = f.path_of("cpu");
    let number = w.number(&path, tree).filter(|number| *number != 0.0)?;
    if number < 0.0 {
        w.wrong_type(&path, tree, "more than 0");
        return None;
    }
    Some(number)
}

fn network(w: &mut Walker, f: &mut Fields<'_>, d: &mut NodeDefinition) {
    d.network_mode = f.judged_once_used(w, "network-mode", network_mode);
    d.ports = f.texts(w, "ports");
    d.mgmt_ipv4 = address(w, f, "mgmt-ipv4", "an IPv4 address like 172.20.20.10");
    d.mgmt_ipv6 = address(w, f, "mgmt-ipv6", "an IPv6 address like 3fff:172:20:20::10");
    d.aliases = f.texts(w, "aliases");
    d.dns = nested(w, f, "dns", |w, f| Dns {
        servers: f.texts(w, "servers"),
        search: f.texts(w, "search"),
        options: f.texts(w, "options"),
    });
}

fn network_mode(w: &mut Walker, f: &mut Fields<'_>) -> Option<NetworkMode> {
    let mode = f.text(w, "network-mode").map(NetworkMode::from);
    if let Some(NetworkMode::Other(word)) = mode.as_ref().filter(|mode| mode.to_string() != "container") {
        let message = format!("{word:?} is no network mode: the node is on the management network");
        w.ignored(f.place("network-mode"), message, "modes: bridge, none, host, container:NODE");
    }
    mode
}

fn address<T: FromStr + ToString>(w: &mut Walker, f: &mut Fields<'_>, key: &'static str, what: &str) -> Option<T> {
    let parse = |text: &str| text.parse().map_err(|_| format!("{text:?} is not {what}"));
    f.judged_once_used(w, key, |w, f| f.parsed_to_usual_form(w, key, "bad-address", parse))
}

fn extras(w: &mut Walker, f: &mut Fields<'_>) -> Option<Extras> {
    nested(w, f, "extras", |w, f| Extras {
        srl_agents: f.texts(w, "srl-agents"),
        mysocket_proxy: f.text(w, "mysocket-proxy"),
        ceos_copy_to_flash: f.texts(w, "ceos-copy-to-flash"),
        k8s_kind: nested(w, f, "k8s_kind", |w, f| KindCluster {
            deploy: nested(w, f, "deploy", |w, f| KindClusterDeploy {
                kubeconfig: f.text(w, "kubeconfig"),
                wait: f.text(w, "wait"),
            }),
        }),
    })
}

fn certificate(w: &mut Walker, f: &mut Fields<'_>) -> Option<Certificate> {
    nested(w, f, "certificate", |w, f| Certificate {
        issue: f.truth(w, "issue"),
        key_size: f.whole(w, "key-size"),
        validity_duration: duration(w, f, "validity-duration"),
        sans: f.texts(w, "sans"),
    })
}

fn healthcheck(w: &mut Walker, f: &mut Fields<'_>) -> Option<Healthcheck> {
    nested(w, f, "healthcheck", |w, f| Healthcheck {
        test: f.texts(w, "test"),
        interval: f.whole(w, "interval"),
        timeout: f.whole(w, "timeout"),
        retries: f.whole(w, "retries"),
        start_period: f.whole(w, "start-period"),
    })
}

/// `credentials`, and the older `username` and `password` beside it.
fn credentials(w: &mut Walker, f: &mut Fields<'_>) -> Option<Credentials> {
    let stated = nested(w, f, "credentials", |w, f| Credentials {
        username: f.text(w, "username"),
        password: f.text(w, "password"),
        identity_file: f.text(w, "identity-file"),
    });
    let (username, password) = (f.text(w, "username"), f.text(w, "password"));
    if stated.is_none() && username.is_none() && password.is_none() {
        return None;
    }
    let stated = stated.unwrap_or_default();
    Some(Credentials {
        username: stated.username.or(username),
        password: stated.password.or(password),
        identity_file: stated.identity_file,
    })
}

fn stages(w: &mut Walker, f: &mut Fields<'_>) -> Option<Stages> {
    nested(w, f, "stages", |w, f| {
        let mut stages = Stages::default();
        for (word, stage) in STAGES {
            if let Some(declared) = nested(w, f, word, stage_decl) {
                stages.0.insert(stage, declared);
            }
        }
        stages
    })
}

fn stage_decl(w: &mut Walker, f: &mut Fields<'_>) -> StageDecl {
    StageDecl {
        wait_for: each(w, f, "wait-for", |w, f| {
            let node = f.text(w, "node");
            // By its name, as levels are merged and the list's own order is lost.
            if let (Some(node), Some((list, _))) = (&node, f.path.rsplit_once('[')) {
                w.positions.insert(format!("{list}.{node}"), f.place("node"));
            }
            let stage = f.choice(w, "stage", &STAGES);
            Some(WaitFor { node: node?, stage: stage? })
        }),
        exec: each(w, f, "exec", stage_exec).into_iter().flatten().collect(),
    }
}

/// A command of a stage; `Some(None)` is one that never runs, as in containerlab.
fn stage_exec(w: &mut Walker, f: &mut Fields<'_>) -> Option<Option<StageExec>> {
    let command = f.text(w, "command");
    let words = [("container", ExecTarget::Container), ("host", ExecTarget::Host)];
    let target = word_or_never(w, f, "target", &words);
    let words = [("on-enter", ExecPhase::OnEnter), ("on-exit", ExecPhase::OnExit)];
    let phase = word_or_never(w, f, "phase", &words);
    let command = command?;
    Some(target.zip(phase).map(|(target, phase)| StageExec { command, target, phase }))
}

/// One of a few words, its default when none is stated; `None` for another, which is told: the
/// command that has it never runs.
fn word_or_never<T: Copy + Default>(
    w: &mut Walker,
    f: &mut Fields<'_>,
    key: &'static str,
    words: &[(&'static str, T)],
) -> Option<T> {
    let Some(text) = f.text(w, key) else { return Some(T::default()) };
    let known = words.iter().find(|(word, _)| *word == text);
    if known.is_none() {
        let known: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
        let message = format!("the command never runs: its {key} {text:?} is none");
        w.ignored(f.place(key), message, &format!("it can be {}", known.join(" or ")));
    }
    known.map(|(_, value)| *value)
}

/// The mappings of a list under `key`, each read by `read`; one that yields nothing is a problem.
fn each<T>(
    w: &mut Walker,
    f: &mut Fields<'_>,
    key: &'static str,
    read: fn(&mut Walker, &mut Fields<'_>) -> Option<T>,
) -> Vec<T> {
    let Some(tree) = f.take(w, key) else { return Vec::new() };
    let path = f.path_of(key);
    let mut values = Vec::new();
    for (index, item) in w.items(&path, tree).iter().enumerate() {
        let path = format!("{path}[{index}]");
        let Some(mut inner) = w.fields(&path, item) else { continue };
        let before = w.problems.len();
        match read(w, &mut inner) {
            Some(value) => values.push(value),
            None if w.problems.len() == before => {
                w.problem("missing-value", item.at, format!("{path} is not complete"));
            }
            None => {}
        }
        inner.finish(w);
    }
    values
}

fn components(w: &mut Walker, f: &mut Fields<'_>) -> Vec<Component> {
    each(w, f, "components", |w, f| {
        Some(Component {
            slot: f.text(w, "slot"),
            variant: f.text(w, "type"),
            sfm: f.text(w, "sfm"),
            env: f.text_map(w, "env"),
            xiom: each(w, f, "xiom", |w, f| {
                let mda = each(w, f, "mda", module);
                module(w, f).map(|module| Module { mda, ..module })
            }),
            mda: each(w, f, "mda", module),
        })
    })
}

fn module(w: &mut Walker, f: &mut Fields<'_>) -> Option<Module> {
    Some(Module { slot: f.whole(w, "slot"), variant: f.text(w, "type"), mda: Vec::new() })
}
