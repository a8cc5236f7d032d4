//! Devices of a real kernel: made in place, read, changed, watched, deleted.

#![allow(clippy::unwrap_used)] // a test has nobody to hand an error to

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Instant;

use archetype_model::{Mac, Mtu};
use archetype_netns::rtnl::link::{LinkKind, Vxlan};
use archetype_netns::rtnl::{LinkChange, LinkEvent, LinkKey, NewLink, Socket, Watch, link};
use archetype_netns::{Namespace, VethOrder, pin, veth};
use archetype_testbed::{run, sandbox};

fn order(node: &Namespace, number: u8) -> VethOrder<'_> {
    VethOrder {
        host_name: format!("h{number}").parse().unwrap(),
        host_mtu: Mtu::LARGEST,
        host_alias: format!("archetype:test:{number}"),
        host_up: true,
        host_group: 77,
        master: None,
        node: node.as_fd(),
        node_name: format!("eth{number}").parse().unwrap(),
        node_mac: Mac::new([0xaa, 0xc1, 0xab, 0, 0, number]).unwrap(),
        node_mtu: Mtu::new(9500).unwrap(),
    }
}

fn node(name: &str) -> Namespace {
    pin::make(&PathBuf::from("/run/archetype/ns").join(name)).unwrap()
}

#[test]
fn fifty_pairs_are_made_in_place_in_one_batch() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        let orders: Vec<_> = (0..50).map(|number| order(&node, number)).collect();
        let begun = Instant::now();
        let pairs = veth::create(&mut host, &orders).unwrap();
        eprintln!("50 pairs: {:?}", begun.elapsed());
        let inside = node.rtnl().unwrap().links().unwrap();
        let nsid = host.nsid_of(node.as_fd()).unwrap();
        for (number, pair) in pairs.iter().enumerate() {
            let pair = pair.as_ref().unwrap();
            let ours = host.link(&LinkKey::Index(pair.host_index)).unwrap().unwrap();
            assert_eq!(ours.name, format!("h{number}"));
            assert_eq!((ours.alias.as_str(), ours.group, ours.mtu), (&*format!("archetype:test:{number}"), 77, 65535));
            assert!(ours.is_up() && !ours.has_carrier());
            assert_eq!((ours.peer_index, ours.peer_nsid), (Some(pair.node_index), nsid));
            let theirs = inside.iter().find(|link| link.index == pair.node_index).unwrap();
            assert_eq!((theirs.name.as_str(), theirs.mtu), (&*format!("eth{number}"), 9500));
            assert_eq!(theirs.mac(), Some(Mac::new([0xaa, 0xc1, 0xab, 0, 0, number as u8]).unwrap()));
            assert!(!theirs.is_up());
        }
    });
}

#[test]
fn a_host_end_has_no_ipv6_even_once_it_has_carrier() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        let pair = *veth::create(&mut host, &[order(&node, 1)]).unwrap()[0].as_ref().unwrap();
        let up = LinkChange::new(LinkKey::Index(pair.node_index), Some(true));
        node.rtnl().unwrap().change(&up).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(host.link(&LinkKey::Index(pair.host_index)).unwrap().unwrap().has_carrier());
        assert!(host.addresses().unwrap().iter().all(|address| address.index != pair.host_index));
    });
}

#[test]
fn a_refused_pair_says_why_and_stops_no_other() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        let answers = veth::create(&mut host, &[order(&node, 1), order(&node, 1), order(&node, 2)]).unwrap();
        assert!(answers[0].is_ok() && answers[2].is_ok());
        let error = answers[1].as_ref().unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST));
        assert!(error.to_string().starts_with("make the pair h1 - eth1: File exists"), "{error}");
    });
}

#[test]
fn a_device_of_somebody_else_under_the_name_is_not_marked_as_ours() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        run("ip", ["link", "add", "h1", "type", "bridge"]);
        run("ip", ["link", "set", "h1", "alias", "theirs"]);
        let answers = veth::create(&mut host, &[order(&node, 1), order(&node, 2)]).unwrap();
        assert_eq!(answers[0].as_ref().unwrap_err().errno(), Some(libc::EEXIST));
        assert!(answers[1].is_ok());
        assert!(run("ip", ["link", "show", "h1"]).contains("alias theirs"), "it bears our mark");
    });
}

#[test]
fn a_group_of_devices_is_deleted_at_once_and_nothing_else() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        let orders: Vec<_> = (0..20).map(|number| order(&node, number)).collect();
        veth::create(&mut host, &orders).unwrap();
        run("ip", ["link", "add", "other", "type", "bridge"]);
        host.delete_group(77).unwrap();
        let names: BTreeSet<_> = host.links().unwrap().into_iter().map(|link| link.name).collect();
        assert!(names.contains("other") && names.contains("lo") && !names.contains("h1"), "{names:?}");
        host.delete_group(77).unwrap();
        assert!(host.delete_group(0).is_err());
    });
}

#[test]
fn a_refusal_carries_the_kernels_own_words() {
    sandbox(|| {
        let mut host = Socket::open().unwrap();
        let vxlan = |name: &str| {
            let vxlan = Vxlan {
                vni: 5001,
                local: Some("127.0.0.1".parse().unwrap()),
                remote: Some("127.0.0.2".parse().unwrap()),
                port: 4789,
                learning: false,
                df: 0,
            };
            NewLink {
                mtu: Some(Mtu::new(9216).unwrap()),
                ..NewLink::new(name.parse().unwrap(), LinkKind::Vxlan(vxlan))
            }
        };
        let index = host.create(&vxlan("vx1")).unwrap();
        let read = host.link(&LinkKey::Index(index)).unwrap().unwrap();
        let LinkKind::Vxlan(wanted) = vxlan("vx1").kind else { unreachable!() };
        assert_eq!((read.vxlan, read.mtu, read.kind.as_str()), (Some(wanted), 9216, "vxlan"));
        let error = host.create(&vxlan("vx2")).unwrap_err();
        assert!(error.to_string().contains("A VXLAN device with the specified VNI already exists"), "{error}");
    });
}

#[test]
fn a_device_is_found_by_its_other_names() {
    sandbox(|| {
        let mut host = Socket::open().unwrap();
        let bridge =
            NewLink { alias: "mark".into(), up: true, ..NewLink::new("br0".parse().unwrap(), LinkKind::Bridge) };
        let index = host.create(&bridge).unwrap();
        host.request("add names", &link::altname_request(index, &["Ethernet1/1", "ge-0/0/0"], true)).unwrap();
        let read = host.link(&LinkKey::Index(index)).unwrap().unwrap();
        assert_eq!(read.altnames, ["Ethernet1/1", "ge-0/0/0"]);
        assert_eq!((read.alias.as_str(), read.is_up()), ("mark", true));
        assert_eq!(host.link(&LinkKey::Name("none".parse().unwrap())).unwrap(), None);
    });
}

#[test]
fn changes_in_every_namespace_with_a_number_are_heard() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        let mut watch = Watch::open(true).unwrap();
        let pair = *veth::create(&mut host, &[order(&node, 1)]).unwrap()[0].as_ref().unwrap();
        let nsid = host.nsid_of(node.as_fd()).unwrap();
        let events = watch.read().unwrap();
        assert!(
            events.iter().any(|event| matches!(event,
            LinkEvent::Changed { nsid: None, link } if link.index == pair.host_index)),
            "{events:?}"
        );
        node.rtnl().unwrap().change(&LinkChange::new(LinkKey::Index(pair.node_index), Some(true))).unwrap();
        let events = watch.read().unwrap();
        assert!(
            events.iter().any(|event| matches!(event,
            LinkEvent::Changed { nsid: came, link } if *came == nsid && link.index == pair.node_index && link.is_up()))
        );
        host.delete(&LinkKey::Index(pair.host_index)).unwrap();
        let events = watch.read().unwrap();
        assert!(events.iter().any(|event| matches!(event, LinkEvent::Gone { nsid: None, .. })), "{events:?}");
    });
}

#[test]
fn a_device_that_somebody_puts_under_the_name_at_that_moment_never_bears_our_mark() {
    sandbox(|| {
        let node = node("n1");
        let mut host = Socket::open().unwrap();
        // At the very moment, in one of some hundred rounds.
        for _ in 0..200 {
            let theirs = std::thread::scope(|scope| {
                let thread = scope.spawn(|| {
                    let bridge = NewLink::new("h1".parse().unwrap(), LinkKind::Bridge);
                    Socket::open().unwrap().create(&bridge)
                });
                veth::create(&mut host, &[order(&node, 1)]).unwrap();
                thread.join().unwrap()
            });
            if let Ok(index) = theirs {
                let found = host.link(&LinkKey::Index(index)).unwrap().unwrap();
                assert_eq!((found.kind.as_str(), found.alias.as_str()), ("bridge", ""));
            }
            host.delete(&LinkKey::Name("h1".parse().unwrap())).unwrap();
        }
    });
}
