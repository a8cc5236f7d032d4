//! Every code of planning is produced here, as the list has them; the pages about them are written from what is seen here.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

mod declared;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use archetype_model::VlanTag;
use archetype_model::others::{NameHolder, Visited};
use archetype_model::stages::StageCommand;
use archetype_model::topology::value::{ExecPhase, ExecTarget, StageDecl, WaitFor};
use archetype_model::topology::{Position, Problem, RUNTIME_LABEL, Stage, Stages, Subject};
use archetype_model::topology::{Subnet, Topology};
use archetype_plan::blueprint::{
    HeldNetwork, HostFacts, LabInput, Listener, NoContainers, Overrides, PlanInput, Planned, Wanted, plan,
};
use archetype_plan::check::{check, not_let_in, notes, replaced_binds};
use archetype_plan::codes::CODES;
use declared::{Far, Lab, Sort, World};

/// A lab of two linked containers, a bridge and a link to the host.
fn lab() -> Lab {
    let mut lab = Lab::new("a");
    let (one, two) = (lab.node(Sort::Container), lab.node(Sort::Container));
    lab.link(one, Far::Node(two));
    lab.link(one, Far::Host);
    lab.node(Sort::Bridge);
    lab
}

fn planned(world: &World, topologies: &[Topology]) -> Planned {
    let labs = topologies.iter().map(|topology| LabInput {
        name: topology.name.clone(),
        wanted: Wanted::Present { topology, overrides: Overrides::default() },
    });
    plan(&PlanInput {
        installation: "tests".parse().unwrap(),
        incarnation: "one".into(),
        host: "here".parse().unwrap(),
        settings: world.settings.clone(),
        labs: labs.collect(),
        reported_gone: BTreeSet::new(),
        facts: world.facts.clone(),
        parent: None,
        port_key: archetype_plan::blueprint::port_by_name,
    })
}

/// Plans the lab after it and the world were changed so that it does not fit.
#[track_caller]
fn produces(code: &str, change: impl FnOnce(&mut World, &mut Vec<Topology>)) -> Problem {
    let mut world = World::default();
    let mut topologies = vec![lab().topology()];
    assert!(planned(&world, &topologies).problems.is_empty());
    change(&mut world, &mut topologies);
    let problems = planned(&world, &topologies).problems;
    let problems: Vec<_> = problems.into_values().flatten().collect();
    assert!(problems.iter().all(|problem| problem.hint.is_some()), "every problem says what to do");
    let found = problems.iter().find(|problem| problem.code == code).cloned();
    found.unwrap_or_else(|| panic!("{code} is not among {problems:?}"))
}

fn port(host_port: u16) -> archetype_model::topology::PortDecl {
    archetype_model::topology::PortDecl {
        host_address: None,
        host_port: Some(host_port),
        node_port: 22,
        protocol: archetype_model::topology::Protocol::Tcp,
    }
}

fn of_networks() -> Vec<Problem> {
    let held = |name: Option<&str>, subnets: &[&str]| HeldNetwork {
        name: name.map(str::to_owned),
        subnets: subnets.iter().map(|subnet| subnet.parse().unwrap()).collect(),
        holder: "somebody".into(),
    };
    vec![
        produces("address-refused", |_, labs| labs[0].mgmt.ipv4_gw = Some("172.20.20.0".parse().unwrap())),
        produces("address-refused", |_, labs| {
            labs[0].nodes[0].definition.mgmt_ipv4 = Some("172.20.20.1".parse().unwrap());
        }),
        produces("address-refused", |world, labs| {
            let visited =
                Visited { ranges: vec!["172.20.20.128/25".parse().unwrap()], containers: vec!["foreign".into()] };
            world.facts.visited = [("clab".parse().unwrap(), visited)].into();
            labs[0].nodes[0].definition.mgmt_ipv4 = Some("172.20.20.129".parse().unwrap());
        }),
        produces("bridge-heard", |world, _| {
            world.facts.hear_all.insert("fport".into());
        }),
        produces("bridge-shared", |world, _| {
            world.facts.sharing = [("other".parse().unwrap(), [7].into())].into();
        }),
        produces("bridge-taken", |world, labs| {
            labs[0].mgmt.bridge = Some("br0".parse().unwrap());
            world.facts.devices.insert("br0".into());
        }),
        produces("network-conflict", |_, labs| {
            let mut other = lab().topology();
            other.name = "b".parse().unwrap();
            other.links.clear();
            labs[0].mgmt.mtu = Some(1400.try_into().unwrap());
            other.mgmt.mtu = Some(1500.try_into().unwrap());
            labs.push(other);
        }),
        produces("network-taken", |world, _| world.facts.held.push(held(Some("clab"), &[]))),
        produces("network-too-small", |_, labs| {
            labs[0].mgmt.ipv4_subnet = Some(Subnet::Net("10.0.0.0/30".parse().unwrap()));
        }),
        produces("subnet-taken", |world, _| world.facts.held.push(held(None, &["172.20.0.0/16"]))),
    ]
}

fn of_the_rest() -> Vec<Problem> {
    vec![
        produces("container-name-twice", |_, labs| {
            let mut other = lab().topology();
            other.name = "b".parse().unwrap();
            other.links.clear();
            labs.push(other);
            labs.iter_mut().for_each(|lab| lab.prefix = Some(String::new()));
        }),
        produces("container-taken", |world, _| {
            world.facts.containers = [("clab-a-n1".into(), NameHolder::Other("a container".into()))].into()
        }),
        produces("cyclic-stages", |_, labs| {
            let wait = |node: &str| {
                let wait = WaitFor { node: node.into(), stage: Stage::Create };
                let stage = StageDecl { wait_for: vec![wait], exec: Vec::new() };
                Some(Stages(BTreeMap::from([(Stage::Create, stage)])))
            };
            labs[0].nodes[0].definition.stages = wait("n2");
            labs[0].nodes[1].definition.stages = wait("n1");
        }),
        produces("device-taken", |world, _| world.facts.devices = ["ha-4".into()].into()),
        produces("mtu-too-large", |_, labs| labs[0].links[0].mtu = Some(65_001.try_into().unwrap())),
        produces("namespace-taken", |world, _| {
            let holder = NameHolder::Other("a namespace in which no process runs".into());
            world.facts.namespaces = [("clab-a-n1".into(), holder)].into();
        }),
        produces("not-runnable-bridge-link", |_, labs| labs[0].links[1].endpoints[0].node = "n5".into()),
        produces("not-runnable-key", |_, labs| {
            let definition = &mut labs[0].nodes[0].definition;
            definition.labels.insert(RUNTIME_LABEL.into(), "namespace".into());
            definition.pid_mode = Some("host".into());
        }),
        produces("not-runnable-key", |_, labs| {
            let mut host = labs[0].nodes[0].clone();
            (host.name, host.kind) = ("machine".parse().unwrap(), "host".into());
            let words = vec!["true".to_owned()];
            let (stage, phase, target) = (Stage::Create, ExecPhase::OnEnter, ExecTarget::Host);
            host.stage_commands = vec![StageCommand { stage, phase, target, words }];
            labs[0].nodes.push(host);
        }),
        produces("port-taken", |world, labs| {
            labs[0].nodes[0].ports.push(port(22));
            let protocol = archetype_model::spec::Protocol::Tcp;
            world.facts.listeners.push(Listener { address: None, port: 22, protocol, holder: "sshd".into() });
        }),
        produces("tags-exhausted", |world, _| {
            let tag = VlanTag::new(7).unwrap();
            world.settings.tags = (tag, tag);
        }),
    ]
}

/// What keeps a lab out that could be planned.
fn not_let_in_for() -> Vec<Problem> {
    let mut topology = lab().topology();
    let words = vec!["reboot".to_owned()];
    let command = |target| StageCommand { stage: Stage::Exit, phase: ExecPhase::OnExit, target, words: words.clone() };
    topology.nodes[0].stage_commands = vec![command(ExecTarget::Host)];
    topology.nodes[1].stage_commands = vec![command(ExecTarget::Container)];
    assert_eq!(not_let_in(&topology, &HostFacts::default()), []);
    let found = not_let_in(&topology, &HostFacts { refuses_commands: true, ..HostFacts::default() });
    assert_eq!(found.len(), 1, "{found:?}");
    let starts_none = |why| HostFacts { no_containers: Some(why), ..HostFacts::default() };
    let mut all = not_let_in(&topology, &starts_none(NoContainers::NoEngine));
    assert_eq!(all.len(), 2, "both containers, and not the bridge: {all:?}");
    all.extend(not_let_in(&topology, &starts_none(NoContainers::NoRuntime { name: "archetype".into() })).pop());
    assert!(all.iter().all(|problem| matches!(problem.subject, Some(Subject::Node(_)))), "{all:?}");
    all.extend(found);
    all
}

/// What is told and keeps no lab out.
fn noted() -> Vec<Problem> {
    let mut topology = lab().topology();
    topology.nodes[0].definition.license = Some("file".to_owned());
    assert_eq!(notes(&topology, &BTreeSet::new()), [], "what is stated nowhere is a default of the format");
    let path = format!("topology.nodes.{}.license", topology.nodes[0].name);
    topology.positions.insert(path, Position { line: 7, column: 3 });
    let found = notes(&topology, &BTreeSet::new());
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].position(), Position { line: 7, column: 3 });
    let left_out = [Subject::Node(topology.nodes[0].name.clone())].into();
    assert_eq!(notes(&topology, &left_out), []);
    found
}

/// What `plan` tells of nodes that run.
fn seen_as_it_was() -> Vec<Problem> {
    let topology = lab().topology();
    let replaced = [(topology.nodes[0].name.clone(), vec!["/labs/a/daemons".into()])].into();
    let found = replaced_binds(&topology, &replaced);
    assert_eq!(found.len(), 1, "{found:?}");
    found
}

#[test]
fn every_code_is_produced_and_stands_in_the_list() {
    let produced =
        of_networks().into_iter().chain(of_the_rest()).chain(not_let_in_for()).chain(noted()).chain(seen_as_it_was());
    let produced: BTreeMap<String, Problem> =
        produced.map(|problem| (problem.code.clone().into_owned(), problem)).collect();
    let listed: Vec<&str> = CODES.iter().map(|code| code.code).collect();
    assert_eq!(produced.keys().collect::<Vec<_>>(), listed);
    let shown: Vec<String> = produced.values().map(ToString::to_string).collect();
    insta::assert_snapshot!(shown.join("\n"));
}

#[test]
fn an_mtu_that_a_wire_carries_or_that_is_the_hosts_to_carry_is_no_problem() {
    for (link, mtu) in [(0, 65_000), (1, 65_535)] {
        let mut topology = lab().topology();
        topology.links[link].mtu = Some(mtu.try_into().unwrap());
        assert_eq!(planned(&World::default(), &[topology]).problems, Default::default(), "link {link}");
    }
}

#[test]
fn every_code_has_a_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/problems");
    let is_missing = |code: &&str| !folder.join(format!("{code}.md")).exists();
    let missing: Vec<&str> = CODES.iter().map(|code| code.code).filter(is_missing).collect();
    assert!(missing.is_empty(), "write {missing:?}: UPDATE=1 cargo test -p archetype-controller --test codes");
}

/// A walk that went from each node to the beginning would take 2,000 times 2,000 steps and more.
#[test]
fn a_long_row_of_nodes_that_wait_is_no_circle_and_its_end_may_close_one() {
    let waits_for = |node: &str| {
        let wait = WaitFor { node: node.into(), stage: Stage::Create };
        Some(Stages(BTreeMap::from([(Stage::Create, StageDecl { wait_for: vec![wait], exec: Vec::new() })])))
    };
    let mut lab = Lab::new("row");
    for _ in 0..2_000 {
        lab.node(Sort::Namespace);
    }
    let mut topology = lab.topology();
    let names: Vec<String> = topology.nodes.iter().map(|node| node.name.to_string()).collect();
    for (node, before) in topology.nodes.iter_mut().skip(1).zip(&names) {
        node.definition.stages = waits_for(before);
    }
    let circles = |topology: &Topology| -> Vec<String> {
        let told = check(topology, &BTreeSet::new(), &World::default().facts);
        told.into_iter().filter(|problem| problem.code == "cyclic-stages").map(|problem| problem.message).collect()
    };
    assert_eq!(circles(&topology), [""; 0]);
    topology.nodes[1_998].definition.stages = waits_for(&names[1_999]);
    let two = format!("{0} waits for {1} waits for {0}", names[1_998], names[1_999]);
    assert_eq!(circles(&topology), [format!("nodes wait for each other in a circle: {two}")]);
}

#[test]
fn a_name_that_a_node_of_another_installation_has_is_told_as_that_ones() {
    let holder = || NameHolder::Installation("other".into());
    let container = produces("container-taken", |world, _| {
        world.facts.containers = [("clab-a-n1".into(), holder())].into();
        world.facts.namespaces = [("clab-a-n1".into(), holder())].into();
    });
    let namespace = produces("namespace-taken", |world, _| {
        world.facts.namespaces = [("clab-a-n1".into(), holder())].into();
    });
    for told in [container, namespace] {
        assert_eq!(told.message, "the name clab-a-n1 is that of a node of installation other");
        assert_eq!(told.hint.unwrap(), "rename the lab, or destroy the one of that installation");
    }
}
