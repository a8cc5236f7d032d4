//! A port that a file spells in another way is the same port: what was given to it stays, and only
//! its name is another one.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

mod declared;

use archetype_model::blueprint::Blueprint;
use archetype_model::spec::{HostSpec, InterfaceSpec, LabSpec, WireSpec};
use archetype_plan::blueprint::PortKey;
use archetype_plan::changes::changes;
use archetype_plan::invariants::{check_blueprint, check_succession};
use declared::{Far, Lab, Sort, World};
use proptest::prelude::*;

/// Two nodes and the cable between them, whose ends are `eth3`.
fn cable() -> Lab {
    let mut lab = Lab::new("a");
    let (one, other) = (lab.node(Sort::Namespace), lab.node(Sort::Container));
    lab.link(one, Far::Node(other));
    lab
}

fn spec(blueprint: &Blueprint) -> &HostSpec {
    blueprint.specs.values().next().unwrap()
}

fn part(blueprint: &Blueprint) -> &LabSpec {
    spec(blueprint).lab(&"a".parse().unwrap()).unwrap()
}

fn wire(blueprint: &Blueprint) -> &WireSpec {
    part(blueprint).wires.first().unwrap()
}

/// The near end of the cable.
fn near(blueprint: &Blueprint) -> &InterfaceSpec {
    part(blueprint).interface(&wire(blueprint).ends[0]).unwrap().1
}

#[test]
fn a_port_spelled_in_another_way_has_another_name_and_nothing_else() {
    let world = World::default();
    let mut lab = cable();
    let first = world.plan(&[lab.clone()], None).blueprint;
    lab.links[0].respelled = [true, false];
    let second = world.plan(&[lab.clone()], Some(&first)).blueprint;
    assert_eq!(check_succession(&first, &second), []);
    assert_eq!((near(&second).name.as_str(), near(&second).port().as_str()), ("Ethernet3", "eth3"));
    assert_eq!(wire(&second).id.as_str(), "n1:Ethernet3--n2:eth3");
    let names = part(&first).respelled(part(&second));
    let renamed = part(&first).clone().with_names(&names);
    let mut second_by_port = part(&second).clone();
    second_by_port.nodes[0].interfaces[1].port = None;
    assert_eq!(renamed, second_by_port, "all else is as it was");

    let told = changes(Some(spec(&first)), spec(&second), &"a".parse().unwrap());
    assert_eq!((told.added, told.removed), (vec![], vec![]));
    let changed: Vec<String> = told.changed.iter().map(|(part, what)| format!("{part}: {}", what.join(", "))).collect();
    assert_eq!(changed, ["link n1:Ethernet3--n2:eth3: n1:Ethernet3: eth3 in its node until the next start"]);

    // And back again; only the generation and the count of blueprints tell of it.
    lab.links[0].respelled = [false, false];
    let third = world.plan(&[lab], Some(&second)).blueprint;
    assert_eq!((part(&third), &third.allocations), (part(&first), &first.allocations));
}

#[test]
fn what_a_port_was_given_first_stays_its_own_through_any_number_of_spellings() {
    let world = World::default();
    let mut lab = cable();
    lab.links[0].respelled = [true, true];
    let first = world.plan(&[lab.clone()], None).blueprint;
    assert_eq!((near(&first).port(), &near(&first).port), (&near(&first).name, &None));
    lab.links[0].respelled = [false, true];
    let second = world.plan(&[lab.clone()], Some(&first)).blueprint;
    lab.links[0].mtu = Some(1400);
    let third = world.plan(&[lab.clone()], Some(&second)).blueprint;
    let given = |blueprint: &Blueprint| {
        let near = near(blueprint);
        (near.port().clone(), near.mac, near.host_device.clone(), wire(blueprint).tag)
    };
    assert_eq!(given(&third), given(&first));
    assert_eq!(near(&third).mtu.get(), 1400);

    // Another link is another port, whatever the one before it was called.
    lab.links.clear();
    let without = world.plan(&[lab.clone()], Some(&third)).blueprint;
    lab.next = 3;
    lab.link(1, Far::Node(2));
    let fourth = world.plan(&[lab], Some(&without)).blueprint;
    assert_eq!((near(&fourth).port(), near(&fourth).name.as_str()), (&near(&fourth).name, "eth3"));
    assert_ne!(near(&fourth).host_device, near(&first).host_device);
}

#[test]
fn two_names_that_were_one_port_can_be_two_ports_of_another_kind() {
    let world = World::default();
    let mut lab = cable();
    lab.links[0].respelled = [true, false];
    let first = world.plan(&[lab.clone()], None).blueprint;
    lab.links[0].respelled = [false, false];
    let second = world.plan(&[lab.clone()], Some(&first)).blueprint;
    assert_eq!(near(&second).port().as_str(), "Ethernet3");

    // The old name comes back as a port of its own.
    lab.next = 3;
    lab.link(1, Far::Node(2));
    lab.links[1].respelled = [true, true];
    let by_name = World { port_key: archetype_plan::blueprint::port_by_name, ..world };
    let third = by_name.plan(&[lab], Some(&second)).blueprint;
    assert_eq!(check_succession(&second, &third), []);
    let ports = part(&third).nodes[0].interfaces.iter().map(|interface| (interface.name.as_str(), interface.port()));
    assert!(ports.clone().all(|(name, port)| name == port.as_str()), "{:?}", ports.collect::<Vec<_>>());
}

#[test]
fn the_address_of_a_port_is_made_from_the_name_that_it_has_first() {
    let mut lab = cable();
    let mac = |lab: &Lab| near(&World::default().plan(std::slice::from_ref(lab), None).blueprint).mac.to_string();
    assert_eq!(mac(&lab), "aa:c1:ab:f2:48:04");
    lab.links[0].respelled = [true, false];
    assert_eq!(mac(&lab), "aa:c1:ab:e8:da:0c");
}

/// A change of a lab of three nodes, and of what their kinds make of names.
#[derive(Debug, Clone)]
enum Edit {
    Link(usize),
    Unlink(usize),
    /// A port by its other name; for kinds that take names as they are, another port.
    Respell(usize, bool),
    /// A port beside one, called as that one was or might be.
    Twin(usize, usize),
    /// Kinds to which two names are one port, or two ports.
    Kinds,
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        2 => (0..3usize).prop_map(Edit::Link),
        1 => (0..8usize).prop_map(Edit::Unlink),
        4 => (0..8usize, proptest::bool::ANY).prop_map(|(link, far)| Edit::Respell(link, far)),
        3 => (0..8usize, 0..3usize).prop_map(|(link, pair)| Edit::Twin(link, pair)),
        2 => Just(Edit::Kinds),
    ]
}

const PAIRS: [(u32, u32); 3] = [(1, 2), (2, 3), (3, 1)];

/// Whether every port has one link.
fn is_sound(lab: &Lab, port_key: PortKey) -> bool {
    let ends = lab.links.iter().flat_map(|link| {
        let far = if let Far::Node(far) = link.far { far } else { 0 };
        [(link.near, link.interface(0)), (far, link.interface(1))]
    });
    let mut seen = std::collections::BTreeSet::new();
    ends.map(|(node, name)| (node, port_key("linux", &name))).all(|port| seen.insert(port))
}

fn apply(lab: &mut Lab, world: &mut World, edit: &Edit) {
    let count = lab.links.len().max(1);
    match *edit {
        Edit::Link(pair) => drop(lab.link(PAIRS[pair].0, Far::Node(PAIRS[pair].1))),
        Edit::Unlink(link) => {
            let mut at = 0..;
            lab.links.retain(|_| at.next() != Some(link % count));
        }
        Edit::Respell(link, far) => {
            let link = lab.links.get_mut(link % count);
            link.into_iter().for_each(|link| link.respelled[usize::from(far)] ^= true);
        }
        Edit::Twin(link, pair) => {
            let Some(mut twin) = lab.links.get(link % count).cloned() else { return };
            (twin.near, twin.far) = (PAIRS[pair].0, Far::Node(PAIRS[pair].1));
            twin.respelled = twin.respelled.map(|respelled| !respelled);
            lab.links.push(twin);
        }
        Edit::Kinds => {
            let by_name = World { port_key: archetype_plan::blueprint::port_by_name, ..world.clone() };
            let is_by_name = (world.port_key)("linux", "Ethernet1") == "Ethernet1";
            *world = if is_by_name { World::default() } else { by_name };
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_kinds_make_of_names_may_change_at_any_time(edits in proptest::collection::vec(edit(), 1..30)) {
        let (mut lab, mut world) = (Lab::new("a"), World::default());
        assert_eq!([0; 3].map(|_| lab.node(Sort::Namespace)), [1, 2, 3]);
        let mut parent: Option<Blueprint> = None;
        for edit in &edits {
            let (mut next_lab, mut next_world) = (lab.clone(), world.clone());
            apply(&mut next_lab, &mut next_world, edit);
            if !is_sound(&next_lab, next_world.port_key) {
                continue;
            }
            (lab, world) = (next_lab, next_world);
            let planned = world.plan(std::slice::from_ref(&lab), parent.as_ref());
            prop_assert_eq!(&planned.problems, &std::collections::BTreeMap::new());
            let next = planned.blueprint;
            prop_assert_eq!(check_blueprint(&next), vec![]);
            if let Some(parent) = &parent {
                prop_assert_eq!(check_succession(parent, &next), vec![]);
            }
            let again = world.plan(std::slice::from_ref(&lab), Some(&next)).blueprint;
            prop_assert_eq!(&again, &next, "the same again is no new blueprint");
            parent = Some(next);
        }
    }
}
