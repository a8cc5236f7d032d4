//! Cases of planning, one by one: management networks, addresses, MACs, ports, bridges, what is
//! left out, what is refused and with which words.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

mod declared;

use archetype_model::blueprint::Blueprint;
use archetype_model::spec::{Attachment, InterfaceSpec, LabSpec, LinkId, NetworkSpec, Protocol};
use archetype_model::topology::{Subject, Subnet};
use archetype_plan::blueprint::{HeldNetwork, Listener, PlanSettings, Planned};
use archetype_plan::changes::{Part, changes};
use archetype_plan::check::check;
use declared::{Far, Lab, Sort, World, name};

/// A lab of so many namespace nodes, without links.
fn nodes(lab: &str, count: u32) -> Lab {
    let mut lab = Lab::new(lab);
    for _ in 0..count {
        lab.node(Sort::Namespace);
    }
    lab
}

fn part<'a>(blueprint: &'a Blueprint, lab: &str) -> &'a LabSpec {
    blueprint.lab(&"here".parse().unwrap(), &lab.parse().unwrap()).unwrap()
}

fn network<'a>(blueprint: &'a Blueprint, network: &str) -> &'a NetworkSpec {
    let spec = blueprint.specs.values().next().unwrap();
    spec.networks.iter().find(|other| other.name.as_str() == network).unwrap()
}

fn interface<'a>(blueprint: &'a Blueprint, lab: &str, node: u32, interface: &str) -> &'a InterfaceSpec {
    let node = part(blueprint, lab).node(&name(node).parse().unwrap()).unwrap();
    node.interface(&interface.parse().unwrap()).unwrap()
}

fn ipv4(blueprint: &Blueprint, lab: &str, node: u32) -> String {
    match &interface(blueprint, lab, node, "eth0").attachment {
        Attachment::Network { ipv4, .. } => ipv4.unwrap().to_string(),
        other => panic!("{other:?}"),
    }
}

/// The codes of a lab's problems, and the first one's words.
#[track_caller]
fn refused(planned: &Planned, lab: &str) -> (String, String) {
    let problems = planned.problems.get(lab).expect("the lab is refused");
    (problems[0].code.to_string(), problems[0].message.clone())
}

#[test]
fn labs_share_a_network_and_one_address_plan() {
    let planned = World::default().plan(&[nodes("a", 2), nodes("b", 1)], None);
    let addresses = [("a", 1), ("a", 2), ("b", 1)].map(|(lab, node)| ipv4(&planned.blueprint, lab, node));
    assert_eq!(addresses, ["172.20.20.2", "172.20.20.3", "172.20.20.4"]);
    let network = network(&planned.blueprint, "clab");
    assert_eq!(network.bridge.as_str(), "br-tests-0");
    assert_eq!(network.mtu.get(), 1500);
    let (ipv4, ipv6) = (network.ipv4.as_ref().unwrap(), network.ipv6.as_ref().unwrap());
    assert_eq!((ipv4.net.to_string(), ipv4.gateway.to_string()), ("172.20.20.0/24".into(), "172.20.20.1".into()));
    assert_eq!(ipv4.guests.unwrap().to_string(), "172.20.20.128/25");
    assert_eq!(ipv6.gateway.to_string(), "3fff:172:20:20::1");
}

#[test]
fn a_stated_address_comes_first_and_moves_a_node_of_its_own_lab_but_of_no_other() {
    let world = World::default();
    let mut a = nodes("a", 2);
    a.nodes[1].ipv4 = Some("172.20.20.2".parse().unwrap());
    let first = world.plan(&[a.clone()], None).blueprint;
    assert_eq!((ipv4(&first, "a", 1), ipv4(&first, "a", 2)), ("172.20.20.3".into(), "172.20.20.2".into()));

    a.nodes[1].ipv4 = Some("172.20.20.3".parse().unwrap());
    let moved = world.plan(&[a.clone()], Some(&first)).blueprint;
    assert_eq!((ipv4(&moved, "a", 1), ipv4(&moved, "a", 2)), ("172.20.20.2".into(), "172.20.20.3".into()));

    let mut b = nodes("b", 1);
    b.nodes[0].ipv4 = Some("172.20.20.2".parse().unwrap());
    let planned = world.plan(&[a, b], Some(&moved));
    let (code, message) = refused(&planned, "b");
    assert_eq!(code, "address-refused");
    assert_eq!(message, "node n1: 172.20.20.2 on network clab is a/n1's");
    assert_eq!(ipv4(&planned.blueprint, "a", 1), "172.20.20.2");
}

#[test]
fn a_network_too_small_says_so_with_numbers() {
    let mut lab = nodes("a", 6);
    lab.mgmt.ipv4_subnet = Some(Subnet::Net("10.9.0.0/29".parse().unwrap()));
    let planned = World::default().plan(&[lab.clone()], None);
    let (code, message) = refused(&planned, "a");
    assert_eq!(code, "network-too-small");
    assert_eq!(message, "network clab has 5 ipv4 addresses for nodes, 5 are taken and 1 more are wanted");
    lab.mgmt.ipv4_subnet = Some(Subnet::Net("10.9.0.0/31".parse().unwrap()));
    assert_eq!(refused(&World::default().plan(&[lab], None), "a").0, "network-too-small");
}

#[test]
fn a_network_that_somebody_holds_is_refused_naming_the_holder() {
    let mut world = World::default();
    let holder = "docker network clab of containerlab".to_owned();
    let subnets = vec!["172.20.0.0/16".parse().unwrap()];
    world.facts.held.push(HeldNetwork { name: Some("clab".into()), subnets, holder });
    let planned = world.plan(&[nodes("a", 1)], None);
    let found: Vec<(&str, &str)> =
        planned.problems["a"].iter().map(|problem| (problem.code.as_ref(), problem.message.as_str())).collect();
    let holder = "docker network clab of containerlab";
    assert_eq!(found[0].0, "network-taken");
    assert_eq!(found[0].1, format!("the network name clab is held by {holder}"));
    assert_eq!(found[1].0, "subnet-taken");
    assert_eq!(found[1].1, format!("network clab: subnet 172.20.20.0/24 overlaps one of {holder}"));

    world.settings = PlanSettings {
        mgmt_network: "mine".parse().unwrap(),
        mgmt_ipv4: Some(Subnet::Auto),
        mgmt_ipv6: None,
        ..PlanSettings::default()
    };
    let planned = world.plan(&[nodes("a", 1)], None);
    let network = network(&planned.blueprint, "mine");
    assert_eq!(network.ipv4.as_ref().unwrap().net.to_string(), "172.21.0.0/24");
    assert_eq!(network.ipv6, None);
}

#[test]
fn labs_that_state_different_things_of_one_network_conflict_and_the_first_stays() {
    let world = World::default();
    let first = world.plan(&[nodes("a", 1)], None).blueprint;
    let mut b = nodes("b", 1);
    b.mgmt.ipv4_subnet = Some(Subnet::Net("10.9.0.0/24".parse().unwrap()));
    let planned = world.plan(&[nodes("a", 1), b.clone()], Some(&first));
    let (code, message) = refused(&planned, "b");
    assert_eq!(code, "network-conflict");
    assert_eq!(message, "network clab: subnet 10.9.0.0/24, but labs that are on it made it 172.20.20.0/24");
    assert_eq!(planned.blueprint, first);

    b.mgmt.network = Some("other".parse().unwrap());
    let planned = world.plan(&[nodes("a", 1), b], Some(&first));
    assert!(planned.problems.is_empty());
    let network = network(&planned.blueprint, "other");
    assert_eq!(network.ipv4.as_ref().unwrap().net.to_string(), "10.9.0.0/24");
    assert_eq!(network.ipv6, None, "only what the file states");
    assert_eq!(ipv4(&planned.blueprint, "b", 1), "10.9.0.2");
}

#[test]
fn a_lab_alone_on_its_network_can_change_it() {
    let world = World::default();
    let mut lab = nodes("a", 1);
    let first = world.plan(&[lab.clone()], None).blueprint;
    lab.mgmt.ipv4_subnet = Some(Subnet::Net("10.9.0.0/24".parse().unwrap()));
    lab.mgmt.mtu = Some(1400.try_into().unwrap());
    let planned = world.plan(&[lab.clone()], Some(&first));
    assert!(planned.problems.is_empty());
    lab.mgmt.ipv4_gw = Some("10.9.0.9".parse().unwrap());
    let elsewhere = world.plan(&[lab], Some(&planned.blueprint));
    assert!(elsewhere.problems.is_empty(), "{:?}", elsewhere.problems);
    assert_eq!(network(&elsewhere.blueprint, "clab").ipv4.as_ref().unwrap().gateway.to_string(), "10.9.0.9");
    let network = network(&planned.blueprint, "clab");
    assert_eq!((network.mtu.get(), network.bridge.as_str()), (1400, "br-tests-0"));
    assert_eq!(interface(&planned.blueprint, "a", 1, "eth0").mtu.get(), 1400);
    assert_eq!(ipv4(&planned.blueprint, "a", 1), "10.9.0.2");
}

/// Ports of labs, and of other people's containers, are in it.
#[test]
fn the_bridge_of_a_network_that_stands_is_not_renamed() {
    let world = World::default();
    let alone = world.plan(&[nodes("a", 1)], None).blueprint;
    let mut renamed = nodes("a", 1);
    renamed.mgmt.bridge = Some("newbr".parse().unwrap());
    let planned = world.plan(&[renamed.clone()], Some(&alone));
    let message = "network clab: bridge newbr, but labs that are on it made it br-tests-0".to_owned();
    let told = ("network-conflict".to_owned(), message);
    assert_eq!(refused(&planned, "a"), told);
    let mut second = nodes("b", 1);
    second.mgmt.bridge = Some("newbr".parse().unwrap());
    let planned = world.plan(&[nodes("a", 1), second], Some(&alone));
    assert_eq!(refused(&planned, "b"), told);
    assert_eq!(planned.blueprint, alone);

    let named = world.plan(&[renamed], None).blueprint;
    assert_eq!(network(&named, "clab").bridge.as_str(), "newbr");
    let planned = world.plan(&[nodes("a", 1)], Some(&named));
    assert!(planned.problems.is_empty());
    assert_eq!(network(&planned.blueprint, "clab").bridge.as_str(), "newbr", "what is not stated stays");
}

#[test]
fn a_made_mac_gives_way_to_a_stated_one_and_takes_the_next() {
    let mut lab = nodes("a", 2);
    lab.link(1, Far::Node(2));
    let made = World::default().plan(&[lab.clone()], None).blueprint;
    let far = interface(&made, "a", 2, "eth3").mac;
    let stated: &'static str = Box::leak(far.to_string().into_boxed_str());
    lab.links[0].mac = Some(stated);
    for parent in [None, Some(&made)] {
        let planned = World::default().plan(&[lab.clone()], parent).blueprint;
        assert_eq!(interface(&planned, "a", 1, "eth3").mac, far);
        let [.., low] = interface(&planned, "a", 2, "eth3").mac.octets();
        assert_eq!(low, far.octets()[5].wrapping_add(1));
    }
}

#[test]
fn a_bridge_of_the_host_is_used_as_it_is_and_stays_what_it_was() {
    let mut lab = nodes("a", 2);
    let bridge = lab.node(Sort::Bridge);
    lab.link(1, Far::Node(bridge));
    lab.link(2, Far::Node(bridge));
    let mut world = World::default();
    let ours = world.plan(&[lab.clone()], None).blueprint;
    assert_eq!(part(&ours, "a").wires[0].id, LinkId::lan(&name(bridge).parse().unwrap()));
    assert_eq!(part(&ours, "a").wires[0].ends.len(), 2);

    world.facts.bridges.insert(name(bridge));
    world.facts.devices.insert(name(bridge));
    assert_eq!(world.plan(&[lab.clone()], Some(&ours)).blueprint, ours, "a LAN stays a LAN");
    let theirs = world.plan(&[lab.clone()], None).blueprint;
    assert!(part(&theirs, "a").wires.is_empty());
    let end = interface(&theirs, "a", 1, "eth4");
    assert_eq!(end.host_device.as_str(), "eth4");
    assert_eq!(end.attachment, Attachment::ForeignBridge { bridge: name(bridge).parse().unwrap() });

    world.facts.bridges.clear();
    assert_eq!(world.plan(&[lab], Some(&theirs)).blueprint, theirs, "the host's bridge stays the host's");
}

#[test]
fn a_device_that_the_host_has_is_not_taken_over_unless_it_is_the_labs_own() {
    let mut lab = nodes("a", 1);
    lab.link(1, Far::Host);
    let mut world = World::default();
    let first = world.plan(&[lab.clone()], None).blueprint;
    assert_eq!(interface(&first, "a", 1, "eth2").attachment, Attachment::Host);
    assert_eq!(interface(&first, "a", 1, "eth2").mtu.get(), 9500);
    world.facts.devices.insert("ha-2".into());
    assert!(world.plan(&[lab.clone()], Some(&first)).problems.is_empty());
    assert_eq!(refused(&world.plan(&[lab], None), "a").0, "device-taken");
}

#[test]
fn two_labs_that_come_to_one_name_are_told_apart() {
    let mut first = Lab::new("a");
    first.nodes.push(declared::Node { id: 1, sort: Sort::Namespace, ipv4: None });
    let mut second = Lab::new("a-n1");
    second.node(Sort::Namespace);
    let mut topologies = [first.topology(), second.topology()];
    topologies[0].nodes[0].name = "n1-n1".parse().unwrap();
    let inputs = topologies.iter().map(|topology| archetype_plan::blueprint::LabInput {
        name: topology.name.clone(),
        wanted: archetype_plan::blueprint::Wanted::Present { topology, overrides: Default::default() },
    });
    let planned = archetype_plan::blueprint::plan(&archetype_plan::blueprint::PlanInput {
        installation: "tests".parse().unwrap(),
        incarnation: "one".into(),
        host: "here".parse().unwrap(),
        settings: PlanSettings::default(),
        labs: inputs.collect(),
        reported_gone: Default::default(),
        facts: Default::default(),
        parent: None,
        port_key: archetype_plan::blueprint::port_by_name,
    });
    assert_eq!(refused(&planned, "a-n1").0, "container-name-twice");
    assert_eq!(part(&planned.blueprint, "a").nodes[0].container.as_str(), "clab-a-n1-n1");
}

#[test]
fn a_taken_port_names_its_listener_and_a_port_left_open_is_chosen_and_kept() {
    let publish = |host_port| archetype_model::topology::PortDecl {
        host_address: None,
        host_port,
        node_port: 22,
        protocol: archetype_model::topology::Protocol::Tcp,
    };
    let world = |listener: bool| {
        let mut world = World::default();
        let sshd = Listener { address: None, port: 22, protocol: Protocol::Tcp, holder: "sshd".into() };
        world.facts.listeners.extend(listener.then_some(sshd));
        world
    };
    let mut lab = Lab::new("a");
    lab.node(Sort::Container);
    let plan = |port, listener, parent: Option<&Blueprint>| {
        let mut topology = lab.topology();
        topology.nodes[0].ports = vec![publish(port)];
        let wanted = archetype_plan::blueprint::Wanted::Present { topology: &topology, overrides: Default::default() };
        let world = world(listener);
        archetype_plan::blueprint::plan(&archetype_plan::blueprint::PlanInput {
            installation: "tests".parse().unwrap(),
            incarnation: "one".into(),
            host: "here".parse().unwrap(),
            settings: world.settings,
            labs: vec![archetype_plan::blueprint::LabInput { name: topology.name.clone(), wanted }],
            reported_gone: Default::default(),
            facts: world.facts,
            parent,
            port_key: archetype_plan::blueprint::port_by_name,
        })
    };
    let (code, message) = refused(&plan(Some(22), true, None), "a");
    assert_eq!((code.as_str(), message.as_str()), ("port-taken", "node n1: port 22/tcp of the host is used by sshd"));
    let chosen = plan(None, true, None).blueprint;
    assert_eq!(part(&chosen, "a").nodes[0].ports()[0].host_port, 49152);
    assert_eq!(plan(None, false, Some(&chosen)).blueprint, chosen);
}

#[test]
fn what_is_left_out_takes_its_links_along_and_nothing_else() {
    let mut lab = nodes("a", 3);
    lab.link(1, Far::Node(2));
    lab.link(2, Far::Node(3));
    let mut topology = lab.topology();
    topology.nodes[2].kind = "ext-container".into();
    let found: Vec<_> = check(&topology, &Default::default(), &Default::default());
    let codes: Vec<&str> = found.iter().map(|problem| problem.code.as_ref()).collect();
    assert!(codes.contains(&"not-runnable-kind") && codes.contains(&"not-runnable-far-end"), "{codes:?}");
    let left_out = [Subject::Node(name(3).parse().unwrap())].into();
    assert_eq!(check(&topology, &left_out, &Default::default()), []);
    lab.overrides.left_out = left_out;
    let planned = World::default().plan(&[lab], None);
    let part = part(&planned.blueprint, "a");
    assert_eq!((part.nodes.len(), part.wires.len()), (2, 1));
}

#[test]
fn every_wrong_end_is_told_at_once() {
    let mut lab = nodes("a", 2);
    lab.link(1, Far::Node(2));
    lab.link(1, Far::Node(2));
    let mut topology = lab.topology();
    topology.links[0].endpoints[0].linux_interface = Some("eth0".parse().unwrap());
    topology.links[0].endpoints[1].node = "nobody".into();
    topology.links[1].endpoints[0] = topology.links[0].endpoints[0].clone();
    topology.links[1].endpoints[1].linux_interface = None;
    let found = check(&topology, &Default::default(), &Default::default());
    let mut codes: Vec<&str> = found.iter().map(|problem| problem.code.as_ref()).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes, ["interface-reserved", "interface-used-twice", "invalid-interface", "unknown-node"]);
}

#[test]
fn a_host_without_any_difference_keeps_its_generation() {
    let world = World::default();
    let mut lab = nodes("a", 2);
    let first = world.plan(&[lab.clone()], None).blueprint;
    let generation = |blueprint: &Blueprint| blueprint.specs.values().next().unwrap().generation.number;
    assert_eq!((generation(&first), first.number), (1, 1));
    lab.link(1, Far::Node(2));
    let second = world.plan(&[lab.clone()], Some(&first)).blueprint;
    assert_eq!((generation(&second), second.number), (2, 2));
    assert_eq!(second.parent.as_deref(), Some(first.digest().as_str()));
    assert_eq!(world.plan(&[lab], Some(&second)).blueprint, second);
}

#[test]
fn changes_name_what_is_touched_and_nothing_else() {
    let world = World::default();
    let mut lab = nodes("a", 3);
    lab.link(1, Far::Node(2));
    let first = world.plan(&[lab.clone()], None).blueprint;
    let spec = |blueprint: &Blueprint| blueprint.specs.values().next().unwrap().clone();
    let told = changes(None, &spec(&first), &"a".parse().unwrap());
    assert_eq!((told.added.len(), told.removed.len(), told.changed.len()), (4, 0, 0));

    lab.link(2, Far::Node(3));
    lab.links[0].mtu = Some(1500);
    lab.overrides.stopped.insert(name(3).parse().unwrap());
    let fourth = lab.node(Sort::Namespace);
    let second = world.plan(&[lab.clone()], Some(&first)).blueprint;
    let told = changes(Some(&spec(&first)), &spec(&second), &"a".parse().unwrap());
    let shown = |parts: &[Part]| parts.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&told.added), [format!("node {}", name(fourth)), "link n2:eth5--n3:eth5".into()]);
    assert_eq!(told.removed, []);
    let changed: Vec<String> = told.changed.iter().map(|(part, what)| format!("{part}: {}", what.join(", "))).collect();
    assert_eq!(
        changed,
        [
            "node n3: wanted stopped",
            "link n1:eth4--n2:eth4: n1:eth4: MTU 9500 becomes 1500, n2:eth4: MTU 9500 becomes 1500",
        ]
    );
    assert_eq!(shown(&told.untouched), ["node n1", "node n2"]);
    assert!(changes(Some(&spec(&second)), &spec(&second), &"a".parse().unwrap()).is_empty());
}

#[test]
fn another_alias_of_a_node_is_a_change_of_that_node() {
    let before = World::default().plan(&[nodes("a", 2)], None).blueprint.specs.into_values().next().unwrap();
    let called = |alias: &str| {
        let mut spec = (*before).clone();
        let line = spec.labs[0].hosts.iter_mut().find(|line| line.names[0] == name(1)).unwrap();
        line.names.push(alias.to_owned());
        spec
    };
    let told = changes(Some(&called("bobby")), &called("robert"), &"a".parse().unwrap());
    let node = Part::Node { node: name(1).parse().unwrap() };
    assert_eq!(told.changed, [(node, vec!["no more known as bobby".into(), "known as robert".into()])]);
    assert!(changes(Some(&called("bobby")), &called("bobby"), &"a".parse().unwrap()).is_empty());
}

#[test]
fn a_tag_that_is_reserved_later_is_given_up_and_the_others_stay() {
    let mut world = World::default();
    let mut lab = nodes("a", 3);
    lab.link(1, Far::Node(2));
    lab.link(2, Far::Node(3));
    let first = world.plan(&[lab.clone()], None).blueprint;
    let tags = |blueprint: &Blueprint| part(blueprint, "a").wires.iter().map(|wire| wire.tag.get()).collect::<Vec<_>>();
    assert_eq!(tags(&first), [1, 2]);
    world.settings.reserved_tags.insert(1.try_into().unwrap());
    let second = world.plan(&[lab], Some(&first)).blueprint;
    assert_eq!(tags(&second), [3, 2]);
}

#[test]
fn where_a_port_of_somebody_else_hears_every_tag_no_wire_is_added_and_those_there_are_stay() {
    let mut lab = nodes("a", 2);
    lab.link(1, Far::Node(2));
    let mut world = World::default();
    let first = world.plan(&[lab.clone()], None).blueprint;
    world.facts.hear_all.insert("fport".into());
    let same = world.plan(&[lab.clone()], Some(&first));
    assert!(same.problems.is_empty(), "{:?}", same.problems);
    assert_eq!(refused(&world.plan(&[lab.clone()], None), "a").0, "bridge-heard");
    lab.link(1, Far::Node(2));
    assert_eq!(refused(&world.plan(&[lab], Some(&first)), "a").0, "bridge-heard");
}

#[test]
fn a_tag_that_another_port_of_the_bridge_holds_is_given_to_no_wire() {
    let mut lab = nodes("a", 2);
    lab.link(1, Far::Node(2));
    lab.link(1, Far::Node(2));
    let mut world = World::default();
    world.facts.tags = [(1, "port fport".to_string()), (3, "port fport".to_string())].into();
    let planned = world.plan(&[lab.clone()], None);
    let tags = |blueprint: &Blueprint| part(blueprint, "a").wires.iter().map(|wire| wire.tag.get()).collect::<Vec<_>>();
    assert_eq!(tags(&planned.blueprint), [2, 4]);
    // Another installation in tags that are its own is no reason to refuse, nor is one that came later.
    world.facts.sharing = [("other".parse().unwrap(), [3].into())].into();
    assert_eq!(tags(&world.plan(&[lab.clone()], Some(&planned.blueprint)).blueprint), [2, 4]);
    assert_eq!(refused(&world.plan(&[lab.clone()], None), "a").0, "bridge-shared");
    world.settings.tags = (10.try_into().unwrap(), 20.try_into().unwrap());
    assert_eq!(tags(&world.plan(&[lab], None).blueprint), [10, 11]);
}
