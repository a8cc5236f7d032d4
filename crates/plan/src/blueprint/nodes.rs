//! A lab's part of the spec, written from what its file declares and what it was given.

mod container;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use archetype_model::blueprint::AddressAllocation;
use archetype_model::name::{InterfaceName, NetworkName, NodeName};
use archetype_model::number::{Mac, Mtu};
use archetype_model::restart::RestartRule;
use archetype_model::spec::{
    Attachment, Bind, DesiredLink, DesiredRun, HostsLine, InterfaceSpec, LabSpec, LinkId, NamespaceBody, NetworkSpec,
    NodeBody, NodeSpec, Presence, WireSpec,
};
use archetype_model::stages::{StageCommand, StagesSpec, WaitSpec};
use archetype_model::topology::value::WaitFor;
use archetype_model::topology::{NodeDecl, RestartPolicy, RuntimeKind, Stage};

use super::attempt::{Attempt, Given, Lab};
use super::devices::management;
use super::shape::{End, To};

/// Writes a lab's part.
pub(super) fn write(
    lab: &Lab<'_>,
    attempt: &Attempt<'_>,
    networks: &BTreeMap<NetworkName, NetworkSpec>,
    given: &Given<'_>,
) -> LabSpec {
    let name = attempt.network_of(lab);
    // A network of this name may be there only because a leaving lab still holds addresses of it.
    let network = networks.get(&name).filter(|_| lab.shape.uses_network());
    let no_proxy = container::no_proxy_of_lab(lab, network);
    let writer = Writer { lab, given, network, network_name: name, no_proxy };
    LabSpec {
        name: lab.name.clone(),
        presence: Presence::Present,
        nodes: lab.shape.nodes.iter().filter_map(|node| writer.node(node)).collect::<Vec<_>>().into(),
        wires: writer.wires(),
        hosts: writer.hosts(),
    }
}

struct Writer<'a> {
    lab: &'a Lab<'a>,
    given: &'a Given<'a>,
    network: Option<&'a NetworkSpec>,
    network_name: NetworkName,
    /// The lab's part of what is excepted from proxies.
    no_proxy: String,
}

impl Writer<'_> {
    /// A node whose container name is refused is not here: the check saw to it.
    fn node(&self, node: &NodeDecl) -> Option<NodeSpec> {
        let overrides = self.lab.overrides;
        let desired = match overrides.stopped.contains(&node.name) {
            true => DesiredRun::Stopped,
            false => DesiredRun::Running,
        };
        Some(NodeSpec {
            name: node.name.clone(),
            container: self.lab.topology.container_name(&node.name).ok()?,
            kind: node.kind.clone(),
            body: self.body(node),
            desired,
            restarts: overrides.restarts.get(&node.name).copied().unwrap_or_default(),
            restart: restart(node),
            interfaces: self.interfaces(node),
            execs: node.execs.clone(),
            stages: self.stages(node),
        })
    }

    fn body(&self, node: &NodeDecl) -> NodeBody {
        match node.runtime() {
            RuntimeKind::Namespace => {
                let words = node.entrypoint.iter().chain(&node.command).flatten().cloned();
                let cmd: Vec<String> = words.collect();
                NodeBody::Namespace(NamespaceBody {
                    cmd: (!cmd.is_empty()).then_some(cmd),
                    env: node.env.clone(),
                    binds: binds(node),
                    sysctls: container::sysctls(node),
                    dns: Some(container::dns(node)).filter(|dns| !dns.states_nothing()).map(Box::new),
                    // An image's own check is what `NONE` takes away; a namespace has no image.
                    healthcheck: (node.definition.healthcheck.as_ref().and_then(container::healthcheck))
                        .filter(|check| check.test.first().is_none_or(|form| form != "NONE")),
                })
            }
            _ => NodeBody::Container(Box::new(container::body(self, node))),
        }
    }

    /// Commands of the stage `exit` are for those who wait for it, as in containerlab.
    fn stages(&self, node: &NodeDecl) -> StagesSpec {
        let ends_for = |wait: &WaitFor| wait.node == node.name.as_str() && wait.stage == Stage::Exit;
        let end_is_waited_for = || {
            let stages = self.lab.shape.nodes.iter().filter_map(|node| node.definition.stages.as_ref());
            stages.flat_map(|stages| stages.0.values()).flat_map(|stage| &stage.wait_for).any(ends_for)
        };
        let wait = |wait: &WaitFor| Some(WaitSpec { node: wait.node.parse().ok()?, stage: wait.stage });
        let declared = node.definition.stages.iter().flat_map(|stages| &stages.0);
        let waits = declared
            .filter(|(_, stage)| !stage.wait_for.is_empty())
            .map(|(stage, declared)| (*stage, declared.wait_for.iter().filter_map(wait).collect()));
        let counts = |command: &&StageCommand| command.stage != Stage::Exit || end_is_waited_for();
        StagesSpec {
            delay: node.definition.startup_delay.unwrap_or_default(),
            waits: waits.collect(),
            commands: node.stage_commands.iter().filter(counts).cloned().collect(),
            folder: match node.stage_commands.is_empty() {
                true => PathBuf::new(),
                false => PathBuf::from(&self.lab.topology.source.directory),
            },
        }
    }

    fn interfaces(&self, node: &NodeDecl) -> Vec<InterfaceSpec> {
        let ends = self.lab.shape.ends_of(&node.name).iter();
        self.management(node).into_iter().chain(ends.filter_map(|end| self.interface(&node.name, end))).collect()
    }

    fn management(&self, node: &NodeDecl) -> Option<InterfaceSpec> {
        let network = self.network.filter(|_| node.is_managed())?;
        let given = self.given.addresses.get(&node.name);
        let name = management();
        let (mac, device) = self.identity(&node.name, &name)?;
        Some(InterfaceSpec {
            port: None,
            mac,
            mtu: network.mtu,
            host_device: device,
            attachment: Attachment::Network {
                network: network.name.clone(),
                ipv4: given.and_then(|given| given.ipv4),
                ipv6: given.and_then(|given| given.ipv6),
                primary: true,
            },
            desired: DesiredLink::Up,
            name,
        })
    }

    fn interface(&self, node: &NodeName, end: &End) -> Option<InterfaceSpec> {
        let (mac, host_device) = self.identity(node, &end.interface)?;
        let default = match (&end.to, self.network) {
            (To::Network { .. }, Some(network)) => network.mtu,
            _ => Mtu::LAB_DEFAULT,
        };
        let attachment = match &end.to {
            To::Wire(wire) => Attachment::Wire { wire: wire.clone() },
            To::Host { .. } => Attachment::Host,
            To::HostBridge { bridge, .. } => Attachment::ForeignBridge { bridge: bridge.clone() },
            To::Network { .. } => {
                Attachment::Network { network: self.network_name.clone(), ipv4: None, ipv6: None, primary: false }
            }
        };
        Some(InterfaceSpec {
            name: end.interface.clone(),
            port: self.lab.port(node, &end.interface).cloned(),
            mac,
            mtu: end.mtu.unwrap_or(default),
            host_device,
            attachment,
            desired: self.desired(&end.link),
        })
    }

    fn identity(&self, node: &NodeName, interface: &InterfaceName) -> Option<(Mac, InterfaceName)> {
        let key = (node.clone(), interface.clone());
        Some((self.given.macs.get(&key)?.mac, self.given.devices.get(&key)?.name.clone()))
    }

    fn wires(&self) -> Vec<WireSpec> {
        let wires = self.lab.shape.wires.iter().filter_map(|wire| {
            let desired = self.desired(&wire.id);
            let tag = *self.given.tags.get(&wire.id)?;
            let (id, ends) = (wire.id.clone(), wire.ends.clone());
            Some(WireSpec { id, shape: wire.shape, ends, desired, carrier: wire.carrier, tag })
        });
        wires.collect()
    }

    fn desired(&self, link: &LinkId) -> DesiredLink {
        match self.lab.overrides.links_down.contains(link) {
            true => DesiredLink::Down,
            false => DesiredLink::Up,
        }
    }

    /// The lab's names: each node by its short name, its name on the host and its aliases.
    fn hosts(&self) -> Vec<HostsLine> {
        let lines = self.lab.shape.managed().flat_map(|node| {
            let addresses = self.given.addresses.get(&node.name).map(AddressAllocation::all);
            let names = self.names(node);
            addresses.into_iter().flatten().map(move |address: IpAddr| HostsLine { address, names: names.clone() })
        });
        lines.collect()
    }

    fn names(&self, node: &NodeDecl) -> Vec<String> {
        let long = self.lab.topology.container_name(&node.name).ok().map(String::from);
        let all = std::iter::once(node.name.to_string()).chain(long).chain(node.definition.aliases.iter().cloned());
        let mut names = Vec::new();
        for name in all {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// What the file says, else containerlab's default: `always` for kind linux, `no` for all others and
/// for a word that is no policy. A node that is to be removed once it ends is not started again,
/// whatever its policy says.
fn restart(node: &NodeDecl) -> RestartRule {
    if node.definition.auto_remove == Some(true) {
        return RestartRule::No;
    }
    match node.definition.restart_policy {
        Some(RestartPolicy::No | RestartPolicy::Other(_)) => RestartRule::No,
        Some(RestartPolicy::OnFailure) => RestartRule::OnFailure,
        Some(RestartPolicy::Always) => RestartRule::Always,
        Some(RestartPolicy::UnlessStopped) => RestartRule::UnlessStopped,
        None if node.kind == "linux" => RestartRule::Always,
        None => RestartRule::No,
    }
}

fn binds(node: &NodeDecl) -> Vec<Bind> {
    let bind = |bind: &archetype_model::topology::BindDecl| Bind {
        source: PathBuf::from(&bind.source),
        target: PathBuf::from(&bind.target),
        options: (!bind.mode.is_empty()).then(|| bind.mode.clone()),
    };
    node.binds.iter().map(bind).collect()
}
