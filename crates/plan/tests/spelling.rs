//! A port that a file spells in another way is the same port: what was given to it stays, and only
//! its name is another one.

#![allow(clippy::unwrap_used, reason = "what cannot fail in a test ends it when it does")]

mod declared;

use archetype_model::blueprint::Blueprint;
use archetype_model::spec::{HostSpec, InterfaceSpec, LabSpec, WireSpec};
use archetype_plan::changes::changes;
use archetype_plan::invariants::check_succession;
use declared::{Far, Lab, Sort, World};

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
