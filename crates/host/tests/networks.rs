//! The management network's room against the real kernel, real packet rules and a real engine, in
//! a sandbox: nodes are namespaces on the bridge, the outside is a namespace behind a router.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

#[path = "networks/bed.rs"]
mod bed;
#[path = "networks/engine.rs"]
mod engine;

use std::time::Duration;

use archetype_host::networks::Error;
use archetype_model::observed::Reading;
use archetype_model::spec::{HostSpec, Protocol, PublishedPort};
use archetype_testbed::{attempt, run};

use bed::{Bed, NETWORK, ask, in_sandbox, network, node, port, serve, spec};

fn handle_of_table() -> String {
    run("nft", ["-j", "list", "tables"])
}

#[test]
fn a_network_is_made_as_wanted_and_a_second_time_nothing_is_written() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)]), node("b", 3, vec![])]);
        assert!(bed.show().await.is_empty());
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        let look = || (handle_of_table(), run("ip", ["addr", "show", "dev", "aab1c2-m0"]), bed.files());
        let before = look();
        bed.room.apply_set(&spec, &network()).await.unwrap();
        assert_eq!(look(), before);
        bed.is_right(&spec).await;
    });
}

#[test]
fn nodes_reach_the_outside_and_each_other() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![]), node("b", 3, vec![])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.plug(&spec);
        bed.outside();
        serve("out", 7000);
        serve("clab-x-b", 7000);
        // The outside knows no way back to the network: the host's address stands in.
        assert_eq!(ask(Some("clab-x-a"), "198.18.0.2:7000").unwrap(), "out asked by 198.18.0.1");
        assert_eq!(ask(Some("clab-x-a"), "[fd00:99::2]:7000").unwrap(), "out asked by fd00:99::1");
        assert_eq!(ask(Some("clab-x-a"), "100.64.9.3:7000").unwrap(), "clab-x-b asked by 100.64.9.2");
        assert_eq!(ask(None, "[fd00:9::3]:7000").unwrap(), "clab-x-b asked by fd00:9::1");
    });
}

#[test]
fn a_published_port_is_served_from_everywhere_but_the_ipv6_loopback() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)]), node("b", 3, vec![])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.plug(&spec);
        bed.outside();
        serve("clab-x-a", 80);
        let asked = |from, at: &str| ask(from, at).unwrap_or_else(|error| panic!("{from:?} {at}: {error}"));
        assert_eq!(asked(Some("out"), "198.18.0.1:8080"), "clab-x-a asked by 198.18.0.2");
        assert_eq!(asked(Some("out"), "[fd00:99::1]:8080"), "clab-x-a asked by fd00:99::2");
        for at in ["198.18.0.1:8080", "[fd00:99::1]:8080", "127.0.0.1:8080", "100.64.9.1:8080"] {
            assert!(asked(None, at).starts_with("clab-x-a "), "{at}");
            if at != "127.0.0.1:8080" {
                assert!(asked(Some("clab-x-b"), at).starts_with("clab-x-a "), "{at} from another node");
            }
        }
        let refused = ask(None, "[::1]:8080").unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused, "at once, not after a time-out");
    });
}

#[test]
fn a_port_published_on_one_address_is_served_there_alone() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        bed.outside();
        let bound = PublishedPort { address: Some("198.18.0.1".parse().unwrap()), ..port(8080, 80) };
        let spec = spec(vec![node("a", 2, vec![bound])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.plug(&spec);
        serve("clab-x-a", 80);
        assert!(ask(Some("out"), "198.18.0.1:8080").is_ok());
        assert!(ask(None, "127.0.0.1:8080").is_err());
        assert!(ask(Some("out"), "[fd00:99::1]:8080").is_err());
        // At every other address that number is anybody's.
        let other = std::net::TcpListener::bind("127.0.0.1:8080").unwrap();
        assert!(std::net::TcpStream::connect_timeout(&other.local_addr().unwrap(), Duration::from_secs(2)).is_ok());
    });
}

#[test]
fn a_closed_network_lets_in_what_is_published_and_nothing_else() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        bed.outside();
        let mut spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        spec.networks[0].external_access = false;
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.plug(&spec);
        serve("clab-x-a", 80);
        serve("out", 7000);
        run("ip", ["-n", "out", "route", "add", "100.64.9.0/24", "via", "198.18.0.1"]);
        assert!(ask(Some("out"), "100.64.9.2:80").is_err());
        assert!(ask(Some("out"), "198.18.0.1:8080").is_ok());
        assert!(ask(Some("clab-x-a"), "198.18.0.2:7000").is_ok());
        spec.networks[0].external_access = true;
        assert!(!bed.looks_right(&spec).await);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        assert!(ask(Some("out"), "100.64.9.2:80").is_ok());
    });
}

#[test]
fn a_datagram_finds_its_way_to_a_published_port() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        bed.outside();
        let udp = PublishedPort { protocol: Protocol::Udp, ..port(5353, 53) };
        let spec = spec(vec![node("a", 2, vec![udp])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.plug(&spec);
        let got = bed::datagram("clab-x-a", 53, Some("out"), "198.18.0.1:5353");
        assert_eq!(got.as_deref(), Ok("hello"));
    });
}

#[test]
fn a_taken_port_is_told_with_its_listener_and_the_others_are_served() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let mut other = bed::other_listener(8022);
        let spec = spec(vec![node("a", 2, vec![port(8022, 22), port(8080, 80)])]);
        // A listener of this very process, as `serve` has one for its API, is in the way as any other one.
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let told = bed.room.survey().await.unwrap().listeners;
        let told: Vec<_> = told.into_iter().map(|held| (held.port, held.holder)).collect();
        assert!(told.iter().any(|(port, holder)| *port == 8022 && holder.contains("busybox")), "{told:?}");
        let mine = format!("(pid {})", std::process::id());
        let port_of_own = own.local_addr().unwrap().port();
        assert!(told.iter().any(|(port, holder)| *port == port_of_own && holder.ends_with(&mine)), "{told:?}");
        let error = bed.room.apply_set(&spec, &network()).await.unwrap_err();
        assert!(
            matches!(&error, Error::PortTaken { port, holder } if port == "8022/tcp" && holder.contains("busybox"))
        );
        assert_eq!(error.code(), "port-taken");
        bed.plug(&spec);
        serve("clab-x-a", 80);
        serve("clab-x-a", 22);
        assert!(ask(None, "127.0.0.1:8080").unwrap().starts_with("clab-x-a "));
        let told = bed.room.survey().await.unwrap().listeners;
        assert!(told.iter().all(|held| held.port != 8080), "what is held for a node is nobody's: {told:?}");
        let own = ask(None, "127.0.0.1:8022").unwrap_or_default();
        assert!(!own.contains("clab-x-a"), "the server's own port was led away: {own}");
        assert_eq!(bed.show().await[&network()].rules, None);
        other.kill().unwrap();
        other.wait().unwrap();
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        assert!(ask(None, "127.0.0.1:8022").unwrap().starts_with("clab-x-a "));
    });
}

#[test]
fn a_published_port_is_nobody_elses_for_as_long_as_the_agent_lives() {
    in_sandbox(async {
        let mut bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        let busy = std::net::TcpListener::bind("0.0.0.0:8080").unwrap_err();
        assert_eq!(busy.kind(), std::io::ErrorKind::AddrInUse);
        // Another agent on the same record finds all as it is to be, and writes nothing.
        let before = (handle_of_table(), bed.files());
        bed.reopen();
        bed.is_right(&spec).await;
        assert_eq!((handle_of_table(), bed.files()), before);
        std::net::TcpListener::bind("0.0.0.0:8080").unwrap_err();
    });
}

#[test]
fn every_change_behind_our_back_is_seen_and_mended() {
    in_sandbox(async {
        let mut bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        let table = format!("archetype_ab1c2_{NETWORK}");
        let changes: [&[&str]; 9] = [
            &["nft", "delete", "table", "inet", &table],
            &["nft", "flush", "chain", "inet", &table, "prerouting"],
            &["nft", "delete", "element", "inet", &table, "ports4", "{ tcp . 8080 }"],
            &["ip", "addr", "flush", "dev", "aab1c2-m0"],
            &["ip", "route", "del", "100.64.9.0/24"],
            &["ip", "-6", "route", "del", "fd00:9::/64"],
            &["ip", "link", "set", "aab1c2-m0", "down"],
            &["sysctl", "-qw", "net.ipv4.ip_forward=0"],
            &["ip", "link", "del", "aab1c2-m0"],
        ];
        for change in changes {
            bed.quiet().await;
            run(change[0], &change[1..]);
            if change[0] == "nft" || ["addr", "route", "-6"].contains(&change[1]) {
                bed.rung().await;
            }
            assert!(!bed.looks_right(&spec).await, "{change:?} was not seen");
            bed.room.apply_set(&spec, &network()).await.unwrap();
            bed.is_right(&spec).await;
        }
    });
}

#[test]
fn names_stand_in_marked_blocks_and_everything_else_stays() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let mut spec = spec(vec![node("a", 2, vec![]), node("b", 3, vec![])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        let file = bed.place.hosts_file(&"clab-x-a".parse().unwrap());
        let inode = || std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(&file).unwrap());
        let (text, first) = (std::fs::read_to_string(&file).unwrap(), inode());
        assert!(text.contains("localhost") && text.contains("100.64.9.3\tb clab-x-b"), "{text}");
        std::fs::write(&file, format!("{text}192.0.2.1 mine\n")).unwrap();
        bed.is_right(&spec).await;
        std::fs::write(&file, text.replace("clab-x-b", "clab-x-c") + "192.0.2.1 mine\n").unwrap();
        assert!(!bed.looks_right(&spec).await);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        let mended = std::fs::read_to_string(&file).unwrap();
        assert!(mended.contains("b clab-x-b") && mended.contains("192.0.2.1 mine"), "{mended}");
        assert_eq!(inode(), first, "a container has this very file bound");
        let host = std::fs::read_to_string(&bed.hosts).unwrap();
        assert!(host.starts_with("127.0.0.1 localhost\n# somebody's\n"), "{host}");
        assert!(host.contains("100.64.9.2\tclab-x-a\n"), "{host}");
        // A node that leaves the lab takes its files along.
        let first = spec.labs[0].nodes[0].name.clone();
        spec.labs[0].nodes.retain(|node| node.name != first);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        assert!(!file.exists() && !bed.place.node(&"clab-x-a".parse().unwrap()).exists());
        bed.is_right(&spec).await;
    });
}

#[test]
fn a_lab_that_goes_takes_its_names_and_leaves_those_of_others() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let mut spec = spec(vec![node("a", 2, vec![])]);
        let mut other = spec.labs[0].clone();
        other.name = "y".parse().unwrap();
        other.nodes[0].container = "clab-y-a".parse().unwrap();
        spec.labs.push(other);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        spec.labs[0].presence = archetype_model::spec::Presence::Gone;
        spec.labs[0].nodes.clear();
        assert!(!bed.looks_right(&spec).await);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        let host = std::fs::read_to_string(&bed.hosts).unwrap();
        assert!(!host.contains(":x:") && host.contains("# archetype:ab1c2:y:begin"), "{host}");
    });
}

#[test]
fn a_removed_network_leaves_nothing() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let look = || (run("nft", ["list", "ruleset"]), run("ip", ["-o", "link"]), bed.files());
        let before = look();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.room.apply_remove(&network()).await.unwrap();
        assert_eq!(look(), before);
        assert!(bed.show().await.is_empty());
        std::net::TcpListener::bind("0.0.0.0:8080").unwrap();
        bed.room.apply_remove(&network()).await.unwrap();
    });
}

#[test]
fn a_device_of_somebody_elses_on_the_bridge_keeps_it() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        run("ip", ["link", "add", "theirs", "master", "aab1c2-m0", "type", "veth", "peer", "name", "other"]);
        assert_eq!(bed.show().await[&network()].foreign, ["theirs"]);
        let error = bed.room.apply_remove(&network()).await.unwrap_err();
        assert!(matches!(&error, Error::InUse { foreign, .. } if foreign == &["theirs"]), "{error}");
        assert_eq!(run("nft", ["list", "ruleset"]), "", "what serves only nodes is gone");
        run("ip", ["link", "del", "theirs"]);
        bed.room.apply_remove(&network()).await.unwrap();
        attempt("ip", ["link", "show", "aab1c2-m0"]).unwrap_err();
    });
}

#[test]
fn a_bridge_or_subnet_of_somebody_elses_is_never_touched() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let spec: HostSpec = spec(vec![node("a", 2, vec![])]);
        run("ip", ["link", "add", "aab1c2-m0", "type", "bridge"]);
        let error = bed.room.apply_set(&spec, &network()).await.unwrap_err();
        assert!(matches!(&error, Error::BridgeTaken { .. }), "{error}");
        assert!(!run("ip", ["-o", "addr", "show", "dev", "aab1c2-m0"]).contains("100.64"));
        run("ip", ["link", "del", "aab1c2-m0"]);
        run("ip", ["link", "add", "uplink", "type", "bridge"]);
        run("ip", ["addr", "add", "100.64.9.77/25", "dev", "uplink"]);
        run("ip", ["link", "set", "uplink", "up"]);
        let error = bed.room.apply_set(&spec, &network()).await.unwrap_err();
        assert!(matches!(&error, Error::SubnetTaken { holder, .. } if holder.contains("uplink")), "{error}");
        assert_eq!(bed.room.conflicts(&spec.networks[0]).await.unwrap(), [error]);
        // A wider route by a router is in nobody's way.
        run("ip", ["addr", "flush", "dev", "uplink"]);
        run("ip", ["addr", "add", "198.18.9.1/24", "dev", "uplink"]);
        run("ip", ["route", "add", "100.64.0.0/10", "via", "198.18.9.2"]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
    });
}

#[test]
fn a_survey_names_what_is_somebody_elses_and_nothing_of_ours() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        bed.room.apply_set(&spec(vec![node("a", 2, vec![port(8080, 80)])]), &network()).await.unwrap();
        let survey = bed.room.survey().await.unwrap();
        assert!(survey.networks.is_empty() && survey.listeners.is_empty(), "{survey:?}");
        bed.outside();
        let mut other = bed::other_listener(8022);
        run("ip", ["link", "add", "theirs", "type", "bridge"]);
        run("ip", ["link", "set", "theirs", "up", "alias", "archetype-network:zz9zz:lab"]);
        run("ip", ["addr", "add", "100.65.0.1/24", "dev", "theirs"]);
        let survey = bed.room.survey().await.unwrap();
        let lab = survey.networks.iter().find(|held| held.name.as_deref() == Some("lab")).unwrap();
        assert_eq!(lab.holder, "management network lab of installation zz9zz");
        assert_eq!(lab.subnets, ["100.65.0.0/24".parse().unwrap()]);
        assert!(survey.networks.iter().any(|held| held.holder.ends_with("up0")), "{survey:?}");
        assert!(survey.listeners.iter().any(|held| held.port == 8022 && held.holder.contains("busybox")));
        other.kill().unwrap();
        other.wait().unwrap();
        assert_eq!(bed.room.full_read().await, 0);
    });
}

#[test]
fn a_network_without_a_record_is_found_by_its_mark() {
    in_sandbox(async {
        let mut bed = Bed::without_engine();
        let spec = spec(vec![node("a", 2, vec![])]);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        std::fs::remove_dir_all(bed.place.root()).unwrap();
        bed.reopen();
        let shown = bed.show().await;
        assert!(shown[&network()].ours && shown[&network()].rules.is_none());
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
    });
}

#[test]
fn reading_is_quick() {
    in_sandbox(async {
        let bed = Bed::without_engine();
        let nodes = (0..100).map(|n| node(&format!("n{n}"), n + 2, vec![port(9000 + u16::from(n), 80)])).collect();
        let spec = spec(nodes);
        bed.room.apply_set(&spec, &network()).await.unwrap();
        bed.is_right(&spec).await;
        let start = std::time::Instant::now();
        assert!(matches!(bed.room.show().await, Reading::Known(_)));
        println!("one reading of 100 nodes and ports: {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(1));
    });
}
