//! The client against a real ovsdb-server.
#![allow(clippy::unwrap_used)] // The lint's own exception for tests does not reach their functions.

mod daemon;

use std::collections::BTreeMap;
use std::time::Duration;

use archetype_ovsdb::vswitch::{self, DATABASE, ROOT};
use archetype_ovsdb::{
    ChangeKind, Client, Columns, Endpoint, Error, OpResult, Operation, Value, Where, comment, delete, insert, mutate,
    select, unixctl, update, wait,
};
use daemon::{Server, wait_for};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

/// A bridge with one port, put into the root row.
fn bridge(name: &str) -> Vec<Operation> {
    vec![
        insert("Interface").named("i").set("name", name).set("type", "internal").into(),
        insert("Port").named("p").set("name", name).set("interfaces", Value::named("i")).into(),
        insert("Bridge").named("b").set("name", name).set("ports", Value::set([Value::named("p")])).into(),
        mutate(ROOT, Where::all()).insert("bridges", Value::set([Value::named("b")])).into(),
    ]
}

fn tables(names: &[&str]) -> BTreeMap<String, Columns> {
    names.iter().map(|name| ((*name).to_owned(), Columns::All)).collect()
}

#[tokio::test]
async fn a_thousand_pipelined_transactions_do_not_deadlock() {
    let server = Server::start().await;
    let client = server.client().await;
    // Long enough to fill the socket's buffers both ways many times.
    let text = "x".repeat(20_000);
    let mut calls = JoinSet::new();
    for number in 0..1000 {
        let (client, text) = (client.clone(), text.clone());
        calls.spawn(async move {
            let ids = Value::map([("text", text.as_str())]);
            let operations = vec![
                update(ROOT, Where::all()).set("external_ids", ids).into(),
                select(ROOT, Where::all()).columns(["external_ids"]).into(),
                comment(&number.to_string()),
            ];
            client.transact(DATABASE, operations).await
        });
    }
    let results = timeout(SOON * 2, calls.join_all()).await.expect("no deadlock");
    assert_eq!(results.len(), 1000);
    for result in results {
        let result = result.unwrap();
        assert_eq!(result[0].count(), Some(1));
        assert_eq!(result[1].rows()[0].entry("external_ids", "text"), Some(text.as_str()));
    }
}

#[tokio::test]
async fn a_failed_second_operation_rolls_back_and_is_named() {
    let server = Server::start().await;
    let client = server.client().await;
    let operations = vec![
        update(ROOT, Where::all()).set("ovs_version", "9").into(),
        insert("Port").set("name", 5).into(),
        comment("never reached"),
    ];
    let error = client.transact(DATABASE, operations).await.unwrap_err();
    let Error::Transaction { index, operation, details, .. } = error else { panic!("{error}") };
    assert_eq!((index, operation.as_str()), (1, "insert Port"));
    assert!(!details.is_empty());
    let rows = client.transact(DATABASE, vec![select(ROOT, Where::all()).into()]).await.unwrap();
    assert_eq!(rows[0].rows()[0].text("ovs_version"), None);
}

#[tokio::test]
async fn a_refused_commit_is_told_from_a_refused_operation() {
    let server = Server::start().await;
    let client = server.client().await;
    // Each alone is fine; that the port's interface does not exist shows at the commit only.
    let port = insert("Port").set("name", "p").set("interfaces", archetype_ovsdb::Uuid::from_u128(1));
    let keep = insert("Bridge").named("b").set("name", "b").set("ports", Value::set([Value::named("p")]));
    let root = mutate(ROOT, Where::all()).insert("bridges", Value::set([Value::named("b")]));
    let error = client.transact(DATABASE, vec![port.named("p").into(), keep.into(), root.into()]).await.unwrap_err();
    let Error::Transaction { index, operation, error, .. } = error else { panic!("{error}") };
    assert_eq!((index, operation.as_str(), error.as_str()), (3, "commit", "referential integrity violation"));
}

#[tokio::test]
async fn every_operation_answers_as_it_should() {
    let server = Server::start().await;
    let client = server.client().await;
    let results = client.transact(DATABASE, bridge("b0")).await.unwrap();
    let uuid = results[2].uuid().unwrap();
    let operations = vec![
        wait("Bridge", Where::uuid(uuid), &["name"]).until_not_equal(&[]).into(),
        mutate("Bridge", Where::uuid(uuid)).insert("flood_vlans", Value::set([1, 2, 3])).into(),
        mutate("Bridge", Where::uuid(uuid)).delete("flood_vlans", 2).into(),
        select("Bridge", Where::includes("flood_vlans", Value::set([1, 3]))).columns(["_uuid", "flood_vlans"]).into(),
        mutate(ROOT, Where::all()).delete("bridges", uuid).into(),
        delete("Bridge", Where::equals("name", "b0")).into(),
        wait("Bridge", Where::all(), &["name"]).until_equal(&[]).into(),
    ];
    let results = client.transact(DATABASE, operations).await.unwrap();
    assert_eq!((&results[0], results[1].count()), (&OpResult::Done, Some(1)));
    assert_eq!(results[3].rows()[0].uuid("_uuid"), Some(uuid));
    assert_eq!(results[3].rows()[0].get("flood_vlans"), Some(&Value::set([1, 3])));
    assert_eq!(results[5].count(), Some(1));
}

#[tokio::test]
async fn an_unknown_database_table_or_column_is_said() {
    let server = Server::start().await;
    let client = server.client().await;
    assert!(matches!(client.schema("No").await, Err(Error::Refused { method, .. }) if method == "get_schema"));
    assert!(matches!(client.transact("No", vec![comment("")]).await, Err(Error::Refused { .. })));
    let error = client.monitor(DATABASE, tables(&["Nothing"])).await.unwrap_err();
    assert!(error.to_string().contains("table Nothing"), "{error}");
    assert!(client.databases().await.unwrap().contains(&DATABASE.to_owned()));
    client.echo().await.unwrap();
}

#[tokio::test]
async fn a_monitor_sees_another_connections_change() {
    let server = Server::start().await;
    let (writer, watcher) = (server.client().await, server.client().await);
    let mut monitor = watcher.monitor(DATABASE, tables(&["Bridge", "Port"])).await.unwrap();
    assert!(monitor.replica().table("Bridge").is_empty());

    writer.transact(DATABASE, bridge("b0")).await.unwrap();
    let changes = timeout(SOON, monitor.next()).await.unwrap().unwrap();
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Inserted));
    assert_eq!(changes.len(), 2);

    let (port, _) = monitor.replica().find("Port", "name", "b0").unwrap();
    writer.transact(DATABASE, vec![update("Port", Where::uuid(port)).set("tag", 7).into()]).await.unwrap();
    let changes = timeout(SOON, monitor.next()).await.unwrap().unwrap();
    let [change] = changes.as_slice() else { panic!("{changes:?}") };
    assert_eq!((change.kind, change.uuid), (ChangeKind::Modified, port));
    assert_eq!(change.old.as_ref().unwrap().integer("tag"), None);
    assert_eq!(change.new.as_ref().unwrap().integer("tag"), Some(7));

    let all = vec![update(ROOT, Where::all()).set("bridges", Value::none()).into()];
    writer.transact(DATABASE, all).await.unwrap();
    let changes = timeout(SOON, monitor.next()).await.unwrap().unwrap();
    assert!(changes.iter().all(|change| change.kind == ChangeKind::Deleted && change.new.is_none()));
    assert!(monitor.replica().table("Port").is_empty());
}

#[tokio::test]
async fn a_second_monitor_and_a_dropped_one_do_not_disturb_the_first() {
    let server = Server::start().await;
    let client = server.client().await;
    let mut first = client.monitor(DATABASE, tables(&["Bridge"])).await.unwrap();
    let second = client.monitor(DATABASE, tables(&["Bridge", "Port"])).await.unwrap();
    drop(second);
    client.transact(DATABASE, bridge("b0")).await.unwrap();
    assert_eq!(timeout(SOON, first.next()).await.unwrap().unwrap().len(), 1);
    assert_eq!(first.audit().await.unwrap().differences, []);
}

#[tokio::test]
async fn a_killed_server_ends_monitors_and_calls() {
    let mut server = Server::start().await;
    let client = server.client().await;
    let mut monitor = client.monitor(DATABASE, tables(&["Bridge"])).await.unwrap();
    let current = monitor.current_config();
    let mut calls = JoinSet::new();
    for _ in 0..100 {
        let client = client.clone();
        // Held back by the server, so that some are under way and the others wait for a place in the window.
        let never = wait("Bridge", Where::all(), &["name"]).until_not_equal(&[]).within(Duration::from_secs(600));
        calls.spawn(async move { client.transact(DATABASE, vec![never.into()]).await });
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(calls.try_join_next().is_none());
    server.daemon.kill();

    for result in timeout(SOON, calls.join_all()).await.expect("no call hangs") {
        assert!(result.unwrap_err().is_lost());
    }
    assert!(timeout(SOON, monitor.next()).await.unwrap().unwrap_err().is_lost());
    assert!(monitor.next().await.unwrap_err().is_lost());
    assert!(monitor.audit().await.unwrap_err().is_lost());
    assert!(timeout(SOON, current.reached(1)).await.unwrap().unwrap_err().is_lost());
    assert!(timeout(SOON, client.closed()).await.unwrap().is_lost());
    assert!(client.echo().await.unwrap_err().is_lost());
    let error = Client::connect(&Endpoint::unix(server.path("db.sock"))).await.unwrap_err();
    assert!(matches!(error, Error::Connect { .. }));
}

#[tokio::test]
async fn the_connection_closes_with_its_last_user() {
    let server = Server::start().await;
    let client = server.client().await;
    let monitor = client.monitor(DATABASE, tables(&["Bridge"])).await.unwrap();
    let closed = client.closed();
    drop(client);
    monitor.client().echo().await.unwrap();
    drop(monitor);
    assert!(timeout(SOON, closed).await.unwrap().is_lost());
}

#[tokio::test]
async fn the_servers_probes_are_answered() {
    let server = Server::start().await;
    let probing = server.path("probe.sock");
    let target = format!("punix:{}", probing.display());
    let operations = vec![
        insert("Manager").named("m").set("target", target).set("inactivity_probe", 1000).into(),
        update(ROOT, Where::all()).set("manager_options", Value::set([Value::named("m")])).into(),
    ];
    server.client().await.transact(DATABASE, operations).await.unwrap();
    wait_for(&probing);

    let client = Client::connect(&Endpoint::unix(&probing)).await.unwrap();
    let mut deaf = tokio::net::UnixStream::connect(&probing).await.unwrap();
    // The server gives up on one that stays silent, so that the other one's survival says something.
    let mut probes = String::new();
    timeout(SOON, deaf.read_to_string(&mut probes)).await.unwrap().unwrap();
    assert!(probes.contains("\"echo\""), "{probes}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    client.echo().await.unwrap();
}

#[tokio::test]
async fn a_commit_takes_effect_when_cur_cfg_arrives() {
    let mut server = Server::start().await;
    server.start_switch();
    let client = server.client().await;
    let mut monitor = client.monitor(DATABASE, tables(&[ROOT, "Interface"])).await.unwrap();
    let current = monitor.current_config();
    assert!(current.now().is_some());

    let committed = vswitch::commit_and_settle(&client, bridge("b0")).await.unwrap();
    assert_eq!((committed.results.len(), committed.next_cfg), (4, 1));
    let interface = committed.results[0].uuid().unwrap();
    let reached = current.reached(committed.next_cfg);
    tokio::pin!(reached);
    let settled = async {
        loop {
            tokio::select! {
                reached = &mut reached => break reached,
                update = monitor.next() => drop(update.unwrap()),
            }
        }
    };
    timeout(SOON, settled).await.expect("ovs-vswitchd settles").unwrap();
    let ofport = monitor.replica().row("Interface", interface).unwrap().integer("ofport");
    assert!(ofport.is_some_and(|ofport| ofport > 0), "{ofport:?}");
}

#[tokio::test]
async fn without_a_root_row_nothing_is_committed() {
    let server = Server::start_empty();
    let client = server.client().await;
    let manager = vec![insert("Manager").set("target", "pssl:1").into()];
    assert!(matches!(vswitch::commit_and_settle(&client, manager).await, Err(Error::NoSwitch)));
}

#[tokio::test]
async fn a_daemon_answers_commands() {
    let server = Server::start().await;
    let socket = unixctl::socket_of(server.dir(), "ovsdb-server").await.unwrap();
    let version = unixctl::call(&socket, "version", &[]).await.unwrap();
    assert!(version.contains("Open vSwitch"), "{version}");
    let databases = unixctl::call(&socket, "ovsdb-server/list-dbs", &[]).await.unwrap();
    assert!(databases.lines().any(|line| line == DATABASE));
    let error = unixctl::call(&socket, "no/such", &["argument"]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { ref method, .. } if method == "no/such"), "{error}");
    assert!(unixctl::socket_of(server.dir(), "ovs-vswitchd").await.is_err());
}
