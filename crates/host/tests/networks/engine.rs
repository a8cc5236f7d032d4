//! With a Docker Engine beside: the Docker network laid over ours, other people's containers, an
//! engine that restarts or hangs.

use std::time::{Duration, Instant};

use archetype_host::networks::Error;
use archetype_model::observed::Reading;
use archetype_testbed::{Engine, EngineOptions, attempt, eventually, run, sandbox, scratch_dir};
use nix::sched::{CloneFlags, setns};
use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::bed::{Bed, NETWORK, ask, in_sandbox, network, node, port, serve, spec};

fn engine() -> Engine {
    Engine::start_with(scratch_dir("engine"), EngineOptions { networks: true, ..EngineOptions::default() })
}

/// A container of somebody else's on our network, for as long as the test lasts.
fn guest(engine: &Engine, name: &str) {
    engine.docker(["run", "-d", "--name", name, "--network", NETWORK, "bb", "sleep", "1000"]);
}

#[test]
fn a_container_of_somebody_elses_joins_and_reaches_nodes_and_is_reached() {
    in_sandbox(async {
        let engine = engine();
        engine.import_busybox("bb");
        let bed = Bed::on(Some(engine.socket()));
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.becomes_right(&spec).await;
        bed.plug(&spec);
        bed.outside();
        serve("clab-x-a", 80);
        guest(&engine, "guest");
        for to in ["100.64.9.2", "fd00:9::2", "198.18.0.2"] {
            engine.docker(["exec", "guest", "ping", "-c1", "-W3", to]);
        }
        let address = "{{(index .NetworkSettings.Networks \"clab\").IPAddress}}";
        let address = engine.docker(["inspect", "-f", address, "guest"]);
        assert!(address.trim().rsplit('.').next().unwrap().parse::<u8>().unwrap() >= 128, "of the guests' block");
        run("ip", ["netns", "exec", "clab-x-a", "ping", "-c1", "-W3", address.trim()]);
        // Its forward chain drops what nobody allows: our rule in its own chain does.
        assert!(run("iptables", ["-S", "FORWARD"]).contains("-P FORWARD DROP"));
        assert_eq!(ask(Some("out"), "198.18.0.1:8080").unwrap(), "clab-x-a asked by 198.18.0.2");
        assert_eq!(ask(Some("clab-x-a"), "198.18.0.2:1").unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        run("ip", ["-n", "out", "route", "add", "100.64.9.0/24", "via", "198.18.0.1"]);
        assert!(ask(Some("out"), "100.64.9.2:80").is_ok(), "by address from outside");
    });
}

#[test]
fn a_restarted_engine_breaks_nothing_for_long() {
    in_sandbox(async {
        let mut engine = engine();
        let bed = Bed::on(Some(engine.socket()));
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.becomes_right(&spec).await;
        bed.plug(&spec);
        bed.outside();
        serve("clab-x-a", 80);
        engine.restart();
        bed.becomes_right(&spec).await;
        assert_eq!(ask(Some("out"), "198.18.0.1:8080").unwrap(), "clab-x-a asked by 198.18.0.2");
        // A flushed chain of Docker's is seen, and our rules stand first again.
        run("iptables", ["-F", "DOCKER-USER"]);
        run("iptables", ["-A", "DOCKER-USER", "-j", "RETURN"]);
        assert!(!bed.looks_right(&spec).await);
        bed.becomes_right(&spec).await;
        assert!(ask(Some("out"), "198.18.0.1:8080").is_ok());
        // Without bridge and agent, the engine makes the bridge anew: ours all the same.
        engine.stop();
        run("ip", ["link", "del", "aab1c2-m0"]);
        engine.launch();
        run("ip", ["link", "show", "aab1c2-m0"]);
        bed.becomes_right(&spec).await;
        assert!(run("ip", ["-o", "link", "show", "aab1c2-m0"]).contains("alias archetype-network:ab1c2:clab"));
    });
}

#[test]
fn a_hung_engine_is_unreadable_and_nothing_waits_for_it() {
    in_sandbox(async {
        let engine = engine();
        let bed = Bed::on(Some(engine.socket()));
        let mut spec = spec(vec![node("a", 2, vec![])]);
        bed.becomes_right(&spec).await;
        engine.signal(Signal::SIGSTOP);
        let start = Instant::now();
        spec.labs[0].nodes.push(node("b", 3, vec![port(8080, 80)]));
        bed.room.apply_set(&spec, &network()).await.unwrap();
        assert!(bed.show().await[&network()].rules.is_some());
        // Who waited for the engine would wait 5 s.
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
        let mut guests = Reading::Known(true);
        for _ in 0..300 {
            guests = bed.show().await[&network()].guests.clone();
            if guests.known().is_none() {
                break;
            }
            sleep(Duration::from_millis(50)).await;
        }
        assert!(guests.known().is_none(), "the silence was not noticed");
        let refused = bed.room.apply_remove(&network()).await.unwrap_err();
        assert!(matches!(refused, Error::Engine { .. }), "{refused}");
        run("ip", ["link", "show", "aab1c2-m0"]);
        engine.signal(Signal::SIGCONT);
        bed.becomes_right(&spec).await;
    });
}

#[test]
fn a_network_with_guests_stays_until_they_have_left() {
    in_sandbox(async {
        let engine = engine();
        engine.import_busybox("bb");
        let bed = Bed::on(Some(engine.socket()));
        let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
        bed.becomes_right(&spec).await;
        guest(&engine, "guest");
        for _ in 0..200 {
            if !bed.show().await[&network()].foreign.is_empty() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let error = bed.room.apply_remove(&network()).await.unwrap_err();
        assert!(matches!(&error, Error::InUse { foreign, .. } if foreign == &["guest"]), "{error}");
        assert!(bed.show().await[&network()].rules.is_none());
        engine.docker(["exec", "guest", "ping", "-c1", "-W3", "100.64.9.1"]);
        engine.docker(["rm", "-f", "guest"]);
        for _ in 0..300 {
            drop(bed.room.apply_remove(&network()).await);
            if bed.show().await.is_empty() {
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        assert!(bed.show().await.is_empty(), "{:#?}", bed.show().await);
        attempt("ip", ["link", "show", "aab1c2-m0"]).unwrap_err();
        eventually(Duration::from_secs(5), "the Docker network is gone", || {
            engine.try_docker(["network", "inspect", NETWORK]).is_err().then_some(())
        });
        assert!(!run("iptables", ["-S", "DOCKER-USER"]).contains("archetype"));
    });
}

#[test]
fn a_docker_network_of_somebody_elses_is_told_and_never_touched() {
    in_sandbox(async {
        let engine = engine();
        engine.docker(["network", "create", "--label", "containerlab", "--subnet", "198.18.7.0/24", NETWORK]);
        let bed = Bed::on(Some(engine.socket()));
        let spec = spec(vec![node("a", 2, vec![])]);
        let mut told = None;
        for _ in 0..200 {
            if let Err(error) = bed.room.apply_set(&spec, &network()).await {
                told = Some(error);
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
        let told = told.expect("the attempt fails");
        assert!(matches!(&told, Error::NameTaken { holder, .. } if holder.contains("containerlab")), "{told}");
        assert_eq!(told.code(), "network-name-taken");
        engine.docker(["network", "inspect", NETWORK]);
    });
}

#[test]
fn an_engine_in_another_network_namespace_is_left_alone() {
    sandbox(|| {
        let engine = engine();
        run("ip", ["netns", "add", "elsewhere"]);
        let elsewhere = std::fs::File::open("/run/netns/elsewhere").unwrap();
        // The room's threads are made by this one and live where it does.
        setns(elsewhere, CloneFlags::CLONE_NEWNET).unwrap();
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let bed = Bed::on(Some(engine.socket()));
            let spec = spec(vec![node("a", 2, vec![port(8080, 80)])]);
            bed.becomes_right(&spec).await;
            sleep(Duration::from_millis(300)).await;
            bed.is_right(&spec).await;
            engine.try_docker(["network", "inspect", NETWORK]).unwrap_err();
            bed.room.apply_remove(&network()).await.unwrap();
        });
    });
}
