//! The laws of planning on random labs under random edits: two ends in one VLAN and nobody else,
//! A1, A2, B1, B2, T1, T2, and that a plan made step by step equals one made at once.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

mod declared;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archetype_model::blueprint::{Blueprint, LabAllocations};
use archetype_model::spec::{Attachment, EndRef, HostSpec, LabSpec, NodeBody};
use archetype_model::topology::{MgmtDecl, Subnet};
use archetype_model::{InterfaceName, LabName, VlanTag};
use archetype_plan::blueprint::PlanSettings;
use archetype_plan::invariants::{check_blueprint, check_succession};
use declared::{Far, Lab, Sort, World};
use proptest::prelude::*;

/// A change that a user can make. Numbers choose among what there is.
#[derive(Debug, Clone)]
enum Edit {
    AddNode(usize, Sort, Option<u8>),
    RemoveNode(usize, usize),
    AddLink(usize, usize, usize),
    AddHostLink(usize, usize),
    AddNetworkLink(usize, usize),
    RemoveLink(usize, usize),
    Stop(usize, usize),
    Destroy(usize),
    Deploy(usize),
    ReportGone,
    AnotherMtu(usize, usize, u32),
    /// The port at one end of a link by its other name.
    Respell(usize, usize, bool),
    AnotherNetwork(usize, u8),
}

/// Edits, those of the management network included.
fn edit_of_anything() -> impl Strategy<Value = Edit> {
    prop_oneof![10 => edit(), 1 => (0..3usize, 0..7u8).prop_map(|(lab, which)| Edit::AnotherNetwork(lab, which))]
}

/// What a file may say of its management network.
fn mgmt(which: u8) -> MgmtDecl {
    let net = |text: &str| Some(Subnet::Net(text.parse().unwrap()));
    let named = MgmtDecl { network: Some("other".parse().unwrap()), ..MgmtDecl::default() };
    match which {
        0 => MgmtDecl::default(),
        1 => named,
        2 => MgmtDecl { ipv4_subnet: net("10.9.0.0/29"), ..named },
        3 => MgmtDecl { ipv4_subnet: Some(Subnet::Auto), ipv6_subnet: Some(Subnet::Auto), ..named },
        4 => MgmtDecl { ipv4_subnet: net("10.9.0.0/24"), mtu: Some(1400.try_into().unwrap()), ..MgmtDecl::default() },
        5 => MgmtDecl { ipv4_gw: Some("172.20.20.202".parse().unwrap()), ..MgmtDecl::default() },
        _ => MgmtDecl { ipv4_subnet: net("10.9.0.0/24"), ipv4_range: Some("10.9.0.32/28".parse().unwrap()), ..named },
    }
}

fn edit() -> impl Strategy<Value = Edit> {
    let any = 0..64usize;
    let lab = 0..3usize;
    let sort = prop_oneof![
        4 => Just(Sort::Container),
        3 => Just(Sort::Namespace),
        1 => Just(Sort::Unmanaged),
        2 => Just(Sort::Bridge),
    ];
    let address = proptest::option::weighted(0.2, 0..4u8);
    prop_oneof![
        6 => (lab.clone(), sort, address).prop_map(|(lab, sort, address)| Edit::AddNode(lab, sort, address)),
        1 => (lab.clone(), any.clone()).prop_map(|(lab, node)| Edit::RemoveNode(lab, node)),
        8 => (lab.clone(), any.clone(), any.clone()).prop_map(|(lab, a, b)| Edit::AddLink(lab, a, b)),
        1 => (lab.clone(), any.clone()).prop_map(|(lab, node)| Edit::AddHostLink(lab, node)),
        1 => (lab.clone(), any.clone()).prop_map(|(lab, node)| Edit::AddNetworkLink(lab, node)),
        2 => (lab.clone(), any.clone()).prop_map(|(lab, link)| Edit::RemoveLink(lab, link)),
        1 => (lab.clone(), any.clone()).prop_map(|(lab, node)| Edit::Stop(lab, node)),
        1 => lab.clone().prop_map(Edit::Destroy),
        1 => lab.clone().prop_map(Edit::Deploy),
        1 => Just(Edit::ReportGone),
        1 => (lab.clone(), any.clone(), 68..9000u32).prop_map(|(lab, link, mtu)| Edit::AnotherMtu(lab, link, mtu)),
        4 => (lab, any, proptest::bool::ANY).prop_map(|(lab, link, far)| Edit::Respell(lab, link, far)),
    ]
}

/// A chosen one of what there is.
fn of<T: Clone>(all: &[T], which: usize) -> Option<T> {
    (!all.is_empty()).then(|| all[which % all.len()].clone())
}

fn apply(labs: &mut [Lab], world: &mut World, edit: &Edit) {
    world.reported_gone.clear();
    match *edit {
        Edit::AddNode(lab, sort, address) => {
            let place = lab as u8;
            let lab = &mut labs[lab];
            let id = lab.node(sort);
            // An address of its own, and none that is given without being asked for.
            let ipv4 = address.map(|low| std::net::Ipv4Addr::new(172, 20, 20, 200 + place * 8 + low));
            let is_free = !lab.nodes.iter().any(|node| node.ipv4 == ipv4);
            if let Some(node) = lab.nodes.iter_mut().find(|node| node.id == id).filter(|_| is_free) {
                node.ipv4 = ipv4;
            }
        }
        Edit::RemoveNode(lab, node) => {
            if let Some(node) = of(&labs[lab].nodes, node) {
                labs[lab].remove_node(node.id);
            }
        }
        Edit::AddLink(lab, a, b) => {
            if let (Some(a), Some(b)) = (of(&labs[lab].nodes, a), of(&labs[lab].nodes, b)) {
                labs[lab].link(a.id, Far::Node(b.id));
            }
        }
        Edit::AddHostLink(lab, node) => {
            if let Some(node) = of(&labs[lab].nodes, node) {
                labs[lab].link(node.id, Far::Host);
            }
        }
        Edit::AddNetworkLink(lab, node) => {
            if let Some(node) = of(&labs[lab].nodes, node) {
                labs[lab].link(node.id, Far::Network);
            }
        }
        Edit::RemoveLink(lab, link) => {
            if let Some(link) = of(&labs[lab].links, link) {
                labs[lab].links.retain(|other| other.id != link.id);
            }
        }
        Edit::Stop(lab, node) => {
            if let Some(node) = of(&labs[lab].nodes, node) {
                labs[lab].overrides.stopped.insert(declared::name(node.id).parse().unwrap());
            }
        }
        Edit::Destroy(lab) => labs[lab].gone = true,
        Edit::Deploy(lab) => labs[lab].gone = false,
        Edit::ReportGone => world.reported_gone.extend(labs.iter().map(|lab| lab.name.clone())),
        Edit::AnotherNetwork(lab, which) => labs[lab].mgmt = mgmt(which),
        Edit::Respell(lab, link, far) => {
            if let Some(link) = of(&labs[lab].links, link) {
                let links = labs[lab].links.iter_mut().filter(|other| other.id == link.id);
                links.for_each(|link| link.respelled[usize::from(far)] ^= true);
            }
        }
        Edit::AnotherMtu(lab, link, mtu) => {
            if let Some(link) = of(&labs[lab].links, link) {
                labs[lab].links.iter_mut().filter(|other| other.id == link.id).for_each(|link| link.mtu = Some(mtu));
            }
        }
    }
}

fn spec(blueprint: &Blueprint) -> &HostSpec {
    blueprint.specs.values().next().unwrap()
}

/// Which ends share a VLAN, read from the spec.
fn in_one_vlan(spec: &HostSpec) -> BTreeSet<BTreeSet<String>> {
    let mut vlans: BTreeMap<VlanTag, BTreeSet<String>> = BTreeMap::new();
    for (lab, wire) in spec.wires() {
        let ends = wire.ends.iter().map(|end| format!("{}/{end}", lab.name));
        vlans.entry(wire.tag).or_default().extend(ends);
    }
    vlans.into_values().collect()
}

/// An end, or several, as if no port had been spelled in another way.
fn by_port(name: &impl ToString) -> String {
    name.to_string().replace("Ethernet", "eth")
}

/// Every identity that must survive an edit elsewhere, and another spelling: device, MAC, mark and addresses by port.
fn identities(spec: &HostSpec) -> BTreeMap<String, String> {
    let nodes =
        spec.nodes().flat_map(|(lab, node)| node.interfaces.iter().map(move |interface| (lab, node, interface)));
    let identity = nodes.map(|(lab, node, interface)| {
        let addresses = match &interface.attachment {
            Attachment::Network { ipv4, ipv6, .. } => format!("{ipv4:?} {ipv6:?}"),
            other => by_port(&format!("{other:?}")),
        };
        let name = format!("{}/{}:{}", lab.name, node.name, by_port(&interface.name));
        (name, format!("{} {} {} {addresses}", interface.host_device, interface.mac, interface.port()))
    });
    let wires = spec.wires().map(|(lab, wire)| (format!("{}/{}", lab.name, by_port(&wire.id)), wire.tag.to_string()));
    identity.chain(wires).collect()
}

/// The ends that have another name than their ports came to be under.
fn respelled(spec: &HostSpec) -> BTreeSet<(LabName, EndRef)> {
    let ends = spec.nodes().flat_map(|(lab, node)| {
        let interfaces = node.interfaces.iter().filter(|interface| interface.port.is_some());
        interfaces
            .map(|interface| (lab.name.clone(), EndRef { node: node.name.clone(), interface: interface.name.clone() }))
    });
    ends.collect()
}

/// The specs without what history decides.
fn shape(spec: &HostSpec, respelled: &BTreeSet<(LabName, EndRef)>) -> HostSpec {
    let mut shape = spec.clone();
    shape.generation.number = 0;
    shape.labs.retain(|lab| lab.presence == archetype_model::spec::Presence::Present);
    for network in &mut shape.networks {
        network.bridge = "bridge".parse().unwrap();
        network.ipv4.iter_mut().for_each(|laid| laid.guests = None);
        network.ipv6.iter_mut().for_each(|laid| laid.guests = None);
    }
    for lab in &mut shape.labs {
        lab.wires.iter_mut().for_each(|wire| wire.tag = VlanTag::new(1).unwrap());
        lab.nodes.iter_mut().for_each(shape_node);
        // Their addresses were made from the names that they had first.
        for (_, end) in respelled.iter().filter(|(of, _)| of == &lab.name) {
            let nodes = lab.nodes.iter_mut().filter(|node| node.name == end.node);
            let interfaces = nodes.flat_map(|node| &mut node.interfaces);
            for interface in interfaces.filter(|interface| interface.name == end.interface) {
                (interface.mac, interface.port) = ("aa:c1:ab:00:00:00".parse().unwrap(), None);
            }
        }
        lab.hosts.iter_mut().for_each(|line| line.address = std::net::Ipv4Addr::UNSPECIFIED.into());
    }
    shape
}

fn shape_node(node: &mut archetype_model::spec::NodeSpec) {
    for interface in &mut node.interfaces {
        if interface.host_device.as_str().starts_with("atests-") {
            interface.host_device = InterfaceName::new("ours").unwrap();
        }
        if let Attachment::Network { ipv4, ipv6, .. } = &mut interface.attachment {
            *ipv4 = ipv4.map(|_| std::net::Ipv4Addr::UNSPECIFIED);
            *ipv6 = ipv6.map(|_| std::net::Ipv6Addr::UNSPECIFIED);
        }
    }
    if let NodeBody::Container(body) = &mut node.body {
        body.labels.remove("clab-mgmt-net-bridge");
    }
}

/// The blueprint as if nothing but its allocations were known.
fn allocations_alone(blueprint: &Blueprint) -> Blueprint {
    let mut alone = blueprint.clone();
    alone.specs.values_mut().map(Arc::make_mut).for_each(|spec| {
        spec.labs.clear();
        spec.networks.clear();
    });
    alone
}

fn check_step(labs: &[Lab], world: &World, parent: Option<&Blueprint>) -> Result<Blueprint, TestCaseError> {
    let planned = world.plan(labs, parent);
    prop_assert_eq!(&planned.problems, &BTreeMap::new());
    let next = planned.blueprint;
    prop_assert_eq!(check_blueprint(&next), vec![]);

    let mut joined: BTreeSet<_> = labs.iter().filter(|lab| !lab.gone).flat_map(Lab::joined).collect();
    joined.retain(|ends| !ends.is_empty());
    prop_assert_eq!(in_one_vlan(spec(&next)), joined, "two ends in one VLAN and nobody else");

    let turned: Vec<Lab> = labs.iter().rev().cloned().collect();
    let again = serde_json::to_vec(&world.plan(&turned, parent).blueprint).unwrap();
    prop_assert_eq!(serde_json::to_vec(&next).unwrap(), again, "B2");

    let settled = World { reported_gone: BTreeSet::new(), ..world.clone() };
    prop_assert_eq!(&settled.plan(labs, Some(&next)).blueprint, &next, "the same again is no new blueprint");

    let scratch = world.plan(labs, None).blueprint;
    let respelled = respelled(spec(&next));
    prop_assert_eq!(shape(spec(&next), &respelled), shape(spec(&scratch), &respelled), "step by step or at once");
    let present: Vec<Lab> = labs.iter().filter(|lab| !lab.gone).cloned().collect();
    let alone = settled.plan(&present, Some(&allocations_alone(&next))).blueprint;
    prop_assert_eq!(&spec(&alone).networks, &spec(&next).networks);
    let wanted: Vec<&LabSpec> = spec(&next).present().collect();
    prop_assert_eq!(spec(&alone).labs.iter().collect::<Vec<_>>(), wanted, "from the allocations alone");

    if let Some(parent) = parent {
        prop_assert_eq!(check_succession(parent, &next), vec![]);
        let (before, after) = (identities(spec(parent)), identities(spec(&next)));
        for (name, identity) in &before {
            if let Some(now) = after.get(name) {
                prop_assert_eq!(identity, now, "A2: {}", name);
            }
        }
    }
    Ok(next)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_law_holds_after_every_edit(edits in proptest::collection::vec(edit(), 1..40)) {
        let mut labs = vec![Lab::new("a"), Lab::new("b"), Lab::new("c")];
        let mut world = World::default();
        let mut parent: Option<Blueprint> = None;
        for edit in &edits {
            apply(&mut labs, &mut world, edit);
            parent = Some(check_step(&labs, &world, parent.as_ref())?);
        }
    }

    #[test]
    fn a_lab_that_does_not_fit_keeps_its_part_and_the_others_go_on(
        edits in proptest::collection::vec(edit_of_anything(), 1..40),
        tags in prop_oneof![2..6u16, Just(200u16)],
        subnet in prop_oneof![Just("172.20.20.0/24"), Just("172.20.20.192/27"), Just("172.20.20.200/29")],
    ) {
        let mut labs = vec![Lab::new("a"), Lab::new("b"), Lab::new("c")];
        let tags = (VlanTag::new(10).unwrap(), VlanTag::new(10 + tags).unwrap());
        let mut world = World { settings: PlanSettings {
            tags,
            mgmt_ipv4: Some(Subnet::Net(subnet.parse().unwrap())),
            ..PlanSettings::default()
        }, ..World::default() };
        let mut parent: Option<Blueprint> = None;
        for edit in &edits {
            apply(&mut labs, &mut world, edit);
            let planned = world.plan(&labs, parent.as_ref());
            let next = planned.blueprint;
            prop_assert_eq!(check_blueprint(&next), vec![]);
            for lab in labs.iter().filter(|lab| !lab.gone) {
                let part = |blueprint: &Blueprint| spec(blueprint).lab(lab.name.as_str().parse().as_ref().unwrap()).cloned();
                match planned.problems.get(lab.name.as_str()) {
                    Some(problems) => {
                        prop_assert!(!problems.is_empty());
                        prop_assert_eq!(part(&next), parent.as_ref().and_then(part), "its former part");
                    }
                    None => prop_assert_eq!(part(&next).unwrap().nodes.len(), lab.nodes.iter().filter(|n| n.sort != Sort::Bridge).count()),
                }
            }
            if let Some(parent) = &parent {
                prop_assert_eq!(check_succession(parent, &next), vec![]);
            }
            parent = Some(next);
        }
    }
}

#[test]
fn what_a_leaving_lab_holds_is_given_to_nobody_until_it_is_reported_gone() {
    let two_nodes = |name: &str| {
        let mut lab = Lab::new(name);
        let (a, b) = (lab.node(Sort::Namespace), lab.node(Sort::Namespace));
        lab.link(a, Far::Node(b));
        lab
    };
    let mut world = World::default();
    let held =
        |blueprint: &Blueprint, lab: &str| -> Option<LabAllocations> { blueprint.allocations.labs.get(lab).cloned() };
    let mut labs = vec![two_nodes("a")];
    let first = world.plan(&labs, None).blueprint;
    labs[0].gone = true;
    labs.push(two_nodes("b"));
    let leaving = world.plan(&labs, Some(&first)).blueprint;
    assert_eq!(held(&leaving, "a"), held(&first, "a"));
    assert!(spec(&leaving).lab(&"a".parse().unwrap()).unwrap().nodes.is_empty());
    let tag = |blueprint: &Blueprint, lab: &str| *held(blueprint, lab).unwrap().tags.values().next().unwrap();
    assert_ne!(tag(&leaving, "b"), tag(&leaving, "a"));

    world.reported_gone = ["a".to_owned()].into();
    let gone = world.plan(&labs, Some(&leaving)).blueprint;
    assert_eq!(held(&gone, "a"), None);
    assert!(spec(&gone).lab(&"a".parse().unwrap()).is_none());

    labs.push(two_nodes("c"));
    labs[0].gone = false;
    world.reported_gone.clear();
    let back = world.plan(&labs, Some(&gone)).blueprint;
    assert_eq!(held(&back, "a").unwrap().addresses, held(&first, "a").unwrap().addresses, "the same after redeploy");
    let devices = |blueprint: &Blueprint| -> BTreeSet<InterfaceName> {
        let interfaces = held(blueprint, "a").unwrap().interfaces.into_values().flat_map(BTreeMap::into_values);
        interfaces.filter_map(|interface| interface.device).collect()
    };
    assert!(devices(&back).is_disjoint(&devices(&first)), "device names are not used again");
}
