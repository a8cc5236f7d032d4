//! A replica under random changes stays equal to a full read, against a real ovsdb-server.
#![allow(clippy::unwrap_used)] // The lint's own exception for tests does not reach their functions.

mod daemon;

use std::collections::BTreeMap;
use std::time::Duration;

use archetype_ovsdb::vswitch::{DATABASE, ROOT};
use archetype_ovsdb::{
    Client, Columns, Error, Monitor, Operation, Replica, Uuid, Value, Where, insert, mutate, update,
};
use daemon::Server;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;
use rand::{Rng, SeedableRng};
use tokio::time::timeout;

fn wanted() -> BTreeMap<String, Columns> {
    ["Bridge", "Port", "Interface", ROOT].map(|table| (table.to_owned(), Columns::All)).into()
}

fn any_row(replica: &Replica, table: &str, rng: &mut StdRng) -> Option<Uuid> {
    replica.table(table).keys().choose(rng).copied()
}

fn numbers(rng: &mut StdRng) -> Value {
    let count = rng.random_range(0..6);
    Value::set((0..count).map(|_| rng.random_range(1..9_i64)))
}

fn pairs(rng: &mut StdRng) -> Value {
    let count = rng.random_range(0..4);
    Value::map((0..count).map(|_| (format!("k{}", rng.random_range(0..5)), format!("v{}", rng.random_range(0..3)))))
}

fn new_port(operations: &mut Vec<Operation>, number: u64, bridge: Uuid) {
    let (port, interface) = (format!("p{number}"), format!("i{number}"));
    operations.extend([
        insert("Interface").named(&*interface).set("name", &*port).into(),
        insert("Port").named(&*port).set("name", &*port).set("interfaces", Value::named(interface)).into(),
        mutate("Bridge", Where::uuid(bridge)).insert("ports", Value::set([Value::named(port)])).into(),
    ]);
}

fn new_bridge(operations: &mut Vec<Operation>, number: u64) {
    let name = format!("b{number}");
    operations.push(insert("Bridge").named(&*name).set("name", &*name).into());
    operations.push(mutate(ROOT, Where::all()).insert("bridges", Value::set([Value::named(name)])).into());
}

/// One random change: of sets, maps, optional values and atoms; rows come and go.
fn change(operations: &mut Vec<Operation>, replica: &Replica, number: u64, rng: &mut StdRng) {
    let Some(bridge) = any_row(replica, "Bridge", rng) else { return new_bridge(operations, number) };
    let (on_bridge, port) = (Where::uuid(bridge), any_row(replica, "Port", rng));
    let on_port = port.map_or(Where::equals("name", "nobody"), Where::uuid);
    let operation = match rng.random_range(0..16) {
        0 => return new_bridge(operations, number),
        1..=3 => return new_port(operations, number, bridge),
        4 => mutate(ROOT, Where::all()).delete("bridges", bridge).into(),
        5 => mutate("Bridge", on_bridge).delete("ports", Value::from_iter(port)).into(),
        6 => update("Bridge", on_bridge).set("flood_vlans", numbers(rng)).into(),
        7 => mutate("Bridge", on_bridge).insert("flood_vlans", numbers(rng)).into(),
        8 => mutate("Bridge", on_bridge).delete("flood_vlans", numbers(rng)).into(),
        9 => update("Bridge", on_bridge).set("external_ids", pairs(rng)).into(),
        10 => mutate("Bridge", on_bridge).insert("external_ids", pairs(rng)).into(),
        11 => mutate("Bridge", on_bridge).delete("external_ids", pairs(rng)).into(),
        12 => update("Port", on_port).set("tag", Value::from_iter([5, 6].into_iter().choose(rng))).into(),
        13 => update("Port", on_port).set("trunks", numbers(rng)).set("protected", rng.random_bool(0.5)).into(),
        14 => update("Port", on_port).set("tag", Value::none()).set("other_config", pairs(rng)).into(),
        _ => update("Bridge", on_bridge).set("stp_enable", rng.random_bool(0.5)).set("protocols", "OpenFlow13").into(),
    };
    operations.push(operation);
}

async fn write(client: &Client, replica: &Replica, number: u64, rng: &mut StdRng) {
    let mut operations = Vec::new();
    for step in 0..rng.random_range(1..5) {
        change(&mut operations, replica, number * 10 + step, rng);
    }
    match client.transact(DATABASE, operations).await {
        // The picture that the change was made from may be out of date: then the server says so.
        Ok(_) | Err(Error::Transaction { .. }) => {}
        Err(error) => panic!("{error}"),
    }
}

async fn run(seed: u64) {
    let server = Server::start().await;
    let (writer, watcher) = (server.client().await, server.client().await);
    let mut rng = StdRng::seed_from_u64(seed);
    let mut monitor: Monitor = watcher.monitor(DATABASE, wanted()).await.unwrap();
    let mut seen = 0;
    for number in 0..200 {
        write(&writer, monitor.replica(), number, &mut rng).await;
        let before = monitor.replica().clone();
        let changes = match rng.random_range(0..4) {
            0 => {
                let audit = monitor.audit().await.unwrap();
                assert_eq!(audit.differences, [], "seed {seed}, step {number}");
                audit.changes
            }
            1 => timeout(Duration::from_millis(5), monitor.next()).await.unwrap_or(Ok(Vec::new())).unwrap(),
            _ => continue,
        };
        let after = monitor.replica();
        seen += changes.len();
        for row in before.difference(after) {
            assert!(changes.iter().any(|change| change.uuid == row.uuid), "seed {seed}: {row:?} was not told");
        }
    }
    assert!(seen > 50, "seed {seed}: only {seen} changes");
    assert_eq!(monitor.audit().await.unwrap().differences, []);
    assert_eq!(monitor.replica(), &watcher.read_tables(DATABASE, &wanted()).await.unwrap());
    assert_eq!(monitor.replica(), writer.monitor(DATABASE, wanted()).await.unwrap().replica());
}

#[tokio::test]
async fn random_changes_leave_the_replica_equal_to_a_full_read() {
    for seed in 0..8 {
        run(seed).await;
    }
}

/// Audits go on while another connection writes without pause, so that the answer falls between updates.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_is_exact_while_others_write() {
    let server = Server::start().await;
    let (writer, watcher) = (server.client().await, server.client().await);
    let mut monitor = watcher.monitor(DATABASE, wanted()).await.unwrap();
    let writing = tokio::spawn(async move {
        for number in 0..3000_i64 {
            let ids = Value::map([("n", number.to_string())]);
            let set = update(ROOT, Where::all()).set("external_ids", ids).set("next_cfg", number);
            writer.transact(DATABASE, vec![set.into()]).await.unwrap();
        }
    });
    let mut audits_with_changes = 0;
    while !writing.is_finished() {
        let audit = monitor.audit().await.unwrap();
        assert_eq!(audit.differences, []);
        audits_with_changes += usize::from(!audit.changes.is_empty());
    }
    writing.await.unwrap();
    assert!(audits_with_changes > 10, "{audits_with_changes}");
}
