//! A node's spec as the engine's create call. Pure: what is granted and which files exist is
//! handed in.

use std::collections::{BTreeMap, HashMap};

use archetype_model::spec::{Bind, ContainerBody, HealthcheckSpec, NodeSpec, VolumeSpec};
use archetype_model::{InstallationId, LabName};
use bollard::models::{
    ContainerCreateBody, DeviceMapping, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, ResourcesUlimits,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::label;
use super::privilege::Granted;

/// Docker's own period, in microseconds, to which a quota refers.
const CPU_PERIOD: i64 = 100_000;

/// Everything a create call is made from.
pub(super) struct Making<'a> {
    pub installation: &'a InstallationId,
    pub lab: &'a LabName,
    pub node: &'a NodeSpec,
    pub body: &'a ContainerBody,
    pub runtime: &'a str,
    pub granted: &'a Granted,
    /// The most open files the engine can give; none leaves the engine's own default.
    pub open_files: Option<u64>,
    /// Files of ours to be seen inside, after the node's own binds.
    pub files: Vec<Bind>,
}

impl Making<'_> {
    /// The call's body.
    pub(super) fn call(&self) -> ContainerCreateBody {
        let body = self.body;
        ContainerCreateBody {
            // With the network of another container comes its name.
            hostname: body.network_of.is_none().then(|| body.hostname.clone()),
            user: body.user.clone(),
            tty: Some(true),
            open_stdin: Some(true),
            env: Some(body.env.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            cmd: body.cmd.clone(),
            entrypoint: body.entrypoint.clone(),
            image: Some(body.image.clone()),
            labels: Some(self.labels()),
            healthcheck: body.healthcheck.as_ref().map(health),
            stop_signal: body.stop_signal.clone(),
            volumes: self.volumes_without_name(),
            host_config: Some(self.host_config()),
            ..Default::default()
        }
    }

    fn labels(&self) -> HashMap<String, String> {
        let ours = [
            (label::INSTALLATION, self.installation.to_string()),
            (label::LAB, self.lab.to_string()),
            (label::NODE, self.node.name.to_string()),
            (label::MADE_FROM, self.node.body_digest()),
            (label::PRIVILEGES, self.granted.words(&self.body.cap_add)),
        ];
        let theirs = self.body.labels.clone();
        theirs.into_iter().chain(ours.map(|(name, value)| (name.to_owned(), value))).collect()
    }

    fn host_config(&self) -> HostConfig {
        let body = self.body;
        // With the network of another container come its hosts file and its resolver.
        let own_names = body.network_of.is_none().then_some(&body.dns);
        let config = HostConfig {
            network_mode: Some(network_mode(body)),
            // In another's namespace there is nothing for our runtime to make.
            runtime: self.node.has_namespace().then(|| self.runtime.into()),
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
            binds: Some(self.binds()),
            dns: own_names.and_then(|dns| some_list(&dns.servers)),
            dns_search: own_names.and_then(|dns| some_list(&dns.search)),
            dns_options: own_names.and_then(|dns| some_list(&dns.options)),
            extra_hosts: own_names.and_then(|_| some_list(&body.extra_hosts)),
            memory: body.memory.map(signed),
            cpu_period: body.cpu_millis.map(|_| CPU_PERIOD),
            cpu_quota: body.cpu_millis.map(|millis| signed(millis) * CPU_PERIOD / 1000),
            cpuset_cpus: body.cpu_set.clone(),
            shm_size: body.shm_size.map(signed),
            // The host's own settings are not a node's to change.
            sysctls: (!body.host_network).then(|| sysctls(body)),
            tmpfs: some_map(&body.tmpfs),
            devices: some_list(&body.devices.iter().map(|device| device_mapping(device)).collect::<Vec<_>>()),
            cgroupns_mode: body.cgroup_namespace.as_deref().and_then(cgroup_namespace),
            cgroup_parent: body.cgroup_parent.clone(),
            pid_mode: body.pid_mode.clone(),
            security_opt: some_list(&body.security_options),
            ulimits: self.open_files.map(|files| vec![open_files(files)]),
            ..Default::default()
        };
        self.with_privileges(config)
    }

    fn with_privileges(&self, config: HostConfig) -> HostConfig {
        let add = &self.body.cap_add;
        match self.granted {
            Granted::Privileged => HostConfig { privileged: Some(true), ..config },
            Granted::Plain => HostConfig { cap_add: some_list(add), ..config },
            Granted::Confined(grant) => HostConfig {
                // Everything is dropped first: the engine's defaults may hold what it cannot give.
                cap_drop: Some(vec!["ALL".into()]),
                cap_add: Some(grant.capabilities.iter().map(|name| (*name).to_owned()).collect()),
                security_opt: Some(unconfined(&self.body.security_options)),
                masked_paths: Some(Vec::new()),
                readonly_paths: Some(Vec::new()),
                device_cgroup_rules: Some(vec!["a *:* rwm".into()]),
                ..config
            },
        }
    }

    /// The node's own binds win: a file of ours is left out where the node brings one.
    fn binds(&self) -> Vec<String> {
        let taken = |file: &&Bind| !self.body.binds.iter().any(|bind| bind.target == file.target);
        let binds = self.body.binds.iter().chain(self.files.iter().filter(taken)).map(bind_text);
        binds.chain(self.body.volumes.iter().filter_map(named_volume)).collect()
    }

    /// Volumes that go with the container.
    fn volumes_without_name(&self) -> Option<Vec<String>> {
        let unnamed = self.body.volumes.iter().filter(|volume| volume.name.is_none());
        let targets: Vec<String> = unnamed.map(|volume| volume.target.display().to_string()).collect();
        (!targets.is_empty()).then_some(targets)
    }
}

/// A volume that outlives the container, in the form of a bind. `volume-nocopy` is containerlab's
/// other word for Docker's `nocopy`.
fn named_volume(volume: &VolumeSpec) -> Option<String> {
    let name = volume.name.as_ref()?;
    let options = volume.options.as_ref().map(|options| format!(":{}", options.replace("volume-nocopy", "nocopy")));
    Some(format!("{name}:{}{}", volume.target.display(), options.unwrap_or_default()))
}

fn cgroup_namespace(mode: &str) -> Option<HostConfigCgroupnsModeEnum> {
    match mode {
        "host" => Some(HostConfigCgroupnsModeEnum::HOST),
        "private" => Some(HostConfigCgroupnsModeEnum::PRIVATE),
        _ => None,
    }
}

/// Nothing confines the node but what the file states.
fn unconfined(stated: &[String]) -> Vec<String> {
    let states = |option: &&str| {
        let word = option.split(['=', ':']).next().unwrap_or_default();
        stated.iter().any(|stated| stated.split(['=', ':']).next() == Some(word))
    };
    let ours = ["seccomp=unconfined", "apparmor=unconfined", "label=disable"];
    let ours = ours.into_iter().filter(|option| !states(option)).map(str::to_owned);
    stated.iter().cloned().chain(ours).collect()
}

fn bind_text(bind: &Bind) -> String {
    let options = bind.options.as_ref().map(|options| format!(":{options}")).unwrap_or_default();
    format!("{}:{}{options}", bind.source.display(), bind.target.display())
}

fn network_mode(body: &ContainerBody) -> String {
    match &body.network_of {
        Some(other) => format!("container:{other}"),
        None if body.host_network => "host".into(),
        None => "none".into(),
    }
}

/// As containerlab: IPv6 is on, whatever the engine's own default; in the network of another
/// container that is the other's to say.
fn sysctls(body: &ContainerBody) -> HashMap<String, String> {
    let ipv6 = ("net.ipv6.conf.all.disable_ipv6".to_owned(), "0".to_owned());
    body.network_of.is_none().then_some(ipv6).into_iter().chain(body.sysctls.clone()).collect()
}

fn open_files(most: u64) -> ResourcesUlimits {
    let most = Some(signed(most));
    ResourcesUlimits { name: Some("nofile".into()), soft: most, hard: most }
}

/// `HOST[:INSIDE[:PERMISSIONS]]`.
fn device_mapping(text: &str) -> DeviceMapping {
    let parts: Vec<&str> = text.split(':').collect();
    let is_mode = |part: &str| !part.is_empty() && part.chars().all(|c| "rwm".contains(c));
    let host = parts.first().copied().unwrap_or_default();
    let (inside, mode) = match parts.get(1..).unwrap_or_default() {
        [] => (host, "rwm"),
        [mode] if is_mode(mode) => (host, *mode),
        [inside] => (*inside, "rwm"),
        [inside, mode, ..] => (*inside, *mode),
    };
    DeviceMapping {
        path_on_host: Some(host.into()),
        path_in_container: Some(inside.into()),
        cgroup_permissions: Some(mode.into()),
    }
}

fn health(check: &HealthcheckSpec) -> HealthConfig {
    let time = |seconds: u64| (seconds > 0).then(|| signed(seconds.saturating_mul(1_000_000_000)));
    HealthConfig {
        test: Some(check.test.clone()),
        interval: time(check.interval),
        timeout: time(check.timeout),
        start_period: time(check.start_period),
        retries: Some(signed(check.retries)),
        start_interval: None,
    }
}

fn some_list<T: Clone>(list: &[T]) -> Option<Vec<T>> {
    (!list.is_empty()).then(|| list.to_vec())
}

fn some_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| map.clone().into_iter().collect())
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use archetype_model::spec::{DesiredRun, NodeBody};

    use super::*;

    fn bind(source: &str, target: &str, options: Option<&str>) -> Bind {
        Bind { source: PathBuf::from(source), target: PathBuf::from(target), options: options.map(str::to_owned) }
    }

    fn call(body: ContainerBody) -> ContainerCreateBody {
        let node = NodeSpec {
            name: "r1".parse().unwrap(),
            container: "clab-x-r1".parse().unwrap(),
            kind: "linux".into(),
            body: NodeBody::Container(Box::new(body.clone())),
            desired: DesiredRun::Running,
            restarts: 0,
            restart: Default::default(),
            stages: Default::default(),
            interfaces: Vec::new(),
            execs: Vec::new(),
        };
        let making = Making {
            installation: &"ab1c2".parse().unwrap(),
            lab: &"x".parse().unwrap(),
            node: &node,
            body: &body,
            runtime: "archetype",
            granted: &Granted::Plain,
            open_files: Some(20_000),
            files: vec![bind("/run/a/hosts", "/etc/hosts", None)],
        };
        making.call()
    }

    #[test]
    fn a_node_brings_what_containerlab_gives_and_our_marks() {
        let labels = BTreeMap::from([("containerlab".to_owned(), "x".to_owned())]);
        let made = call(ContainerBody { image: "bb".into(), labels, cpu_millis: Some(500), ..Default::default() });
        let (labels, config) = (made.labels.unwrap(), made.host_config.unwrap());
        assert_eq!(labels["containerlab"], "x");
        assert_eq!((labels[label::LAB].as_str(), labels[label::NODE].as_str()), ("x", "r1"));
        assert_eq!((made.tty, made.open_stdin), (Some(true), Some(true)));
        assert_eq!((config.cpu_period, config.cpu_quota), (Some(100_000), Some(50_000)));
        assert_eq!(config.network_mode.as_deref(), Some("none"));
        assert_eq!(config.sysctls.unwrap()["net.ipv6.conf.all.disable_ipv6"], "0");
        assert_eq!(config.binds.unwrap(), ["/run/a/hosts:/etc/hosts"]);
        assert!(made.env.unwrap().is_empty(), "no variable of ours inside");
    }

    #[test]
    fn a_hosts_file_of_the_nodes_own_wins() {
        let own = bind("/lab/hosts", "/etc/hosts", Some("ro"));
        let made = call(ContainerBody { binds: vec![own], ..Default::default() });
        assert_eq!(made.host_config.unwrap().binds.unwrap(), ["/lab/hosts:/etc/hosts:ro"]);
    }

    #[test]
    fn a_device_is_read_as_dockers_option_is() {
        let paths = |text: &str| {
            let device = device_mapping(text);
            [device.path_on_host, device.path_in_container, device.cgroup_permissions].map(Option::unwrap)
        };
        assert_eq!(paths("/dev/kvm"), ["/dev/kvm", "/dev/kvm", "rwm"]);
        assert_eq!(paths("/dev/kvm:r"), ["/dev/kvm", "/dev/kvm", "r"]);
        assert_eq!(paths("/dev/a:/dev/b"), ["/dev/a", "/dev/b", "rwm"]);
        assert_eq!(paths("/dev/a:/dev/b:rw"), ["/dev/a", "/dev/b", "rw"]);
    }
}
