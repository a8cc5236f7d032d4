//! What reading again only what changed shows, beside reading everything.

use archetype_ovsdb::{Columns, Schema};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::*;

const PORTS: u8 = 4;

/// One commit of somebody, about the ports of these numbers.
#[derive(Debug, Clone)]
enum Commit {
    Add(u8),
    Remove(u8),
    Tag(u8, u16),
    Mark(u8),
    Ofport(u8, i64),
    Rename(u8, u8),
    /// The interfaces of the two change places.
    Swap(u8, u8),
    Configured(i64),
    VlanLimit,
}

fn uuid(table: u8, number: u8) -> String {
    format!("00000000-0000-0000-0000-0000000{table:02}0{number:02}")
}

fn replica() -> Replica {
    let text = json!({"type": "string"});
    let many = |key: &str| json!({"type": {"key": key, "min": 0, "max": "unlimited"}});
    let map = json!({"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}});
    let one = json!({"type": {"key": "integer", "min": 0, "max": 1}});
    let schema = json!({"name": "Open_vSwitch", "tables": {
        "Open_vSwitch": {"columns": {"next_cfg": {"type": "integer"}, "cur_cfg": {"type": "integer"}, "other_config": map}},
        "Bridge": {"columns": {"name": text, "ports": many("uuid"), "mirrors": many("uuid")}},
        "Port": {"columns": {"name": text, "interfaces": many("uuid"), "tag": one, "external_ids": map}},
        "Interface": {"columns": {"name": text, "ofport": one}},
        "Mirror": {"columns": {"name": text}}}});
    let schema = Schema::from_json(&schema).unwrap();
    let all = ["Open_vSwitch", "Bridge", "Port", "Interface", "Mirror"].map(|table| (table.to_owned(), Columns::All));
    let mut replica = Replica::new(Arc::new(schema), &all.into()).unwrap();
    let root = json!({"Open_vSwitch": {uuid(0, 0): {"insert": {"next_cfg": 1, "cur_cfg": 1}}}});
    replica.apply(root).unwrap();
    replica.apply(json!({"Bridge": {uuid(1, 0): {"insert": {"name": "br"}}}})).unwrap();
    replica
}

/// What the server would tell of a commit; nothing where it cannot be made.
fn update(replica: &Replica, commit: &Commit) -> Option<Json> {
    let is_there = |port: u8| replica.row("Port", uuid(2, port).parse().unwrap()).is_some();
    let ports = |port: u8| json!({uuid(1, 0): {"modify": {"ports": ["set", [["uuid", uuid(2, port)]]]}}});
    let modified = |table: u8, port: u8, row: Json| json!({uuid(table, port): {"modify": row}});
    let interfaces = |port: u8| replica.row("Port", uuid(2, port).parse().unwrap()).unwrap().uuids("interfaces");
    match *commit {
        Commit::Add(port) if !is_there(port) => {
            let name = format!("p{port}");
            let row = json!({"name": name, "interfaces": ["uuid", uuid(3, port)], "tag": 7});
            let inserted = |row: Json, table: u8| json!({uuid(table, port): {"insert": row}});
            let mut rows = json!({"Bridge": ports(port), "Port": inserted(row, 2)});
            if replica.row("Interface", uuid(3, port).parse().unwrap()).is_none() {
                rows["Interface"] = inserted(json!({"name": name}), 3);
            }
            Some(rows)
        }
        Commit::Remove(port) if is_there(port) => {
            Some(json!({"Bridge": ports(port), "Port": {uuid(2, port): {"delete": null}}}))
        }
        Commit::Tag(port, tag) if is_there(port) => Some(json!({"Port": modified(2, port, json!({"tag": tag}))})),
        Commit::Mark(port) if is_there(port) => {
            let mark = [(MARK_INSTALLATION, "aa11"), (MARK_LAB, "l"), (MARK_NODE, "n"), (MARK_INTERFACE, "eth1")];
            let row = replica.row("Port", uuid(2, port).parse().unwrap())?;
            let ids = json!({"external_ids": ["map", mark.map(|(key, value)| [key, value])]});
            // Entries that are there already would be taken out by their difference.
            let is_marked = row.entry("external_ids", MARK_LAB).is_some();
            (!is_marked).then(|| json!({"Port": modified(2, port, ids)}))
        }
        Commit::Ofport(port, number) => {
            replica.row("Interface", uuid(3, port).parse().unwrap())?;
            Some(json!({"Interface": modified(3, port, json!({"ofport": number}))}))
        }
        Commit::Rename(port, name) => {
            replica.row("Interface", uuid(3, port).parse().unwrap())?;
            Some(json!({"Interface": modified(3, port, json!({"name": format!("p{name}")}))}))
        }
        Commit::Swap(one, two) if one != two && is_there(one) && is_there(two) => {
            let (of_one, of_two): (BTreeSet<Uuid>, BTreeSet<Uuid>) =
                (interfaces(one).collect(), interfaces(two).collect());
            let both: Vec<Json> =
                of_one.symmetric_difference(&of_two).map(|uuid| json!(["uuid", uuid.to_string()])).collect();
            let row = json!({"modify": {"interfaces": ["set", both]}});
            Some(json!({"Port": {uuid(2, one): row.clone(), uuid(2, two): row}}))
        }
        Commit::Configured(number) => {
            Some(json!({"Open_vSwitch": modified(0, 0, json!({"next_cfg": number, "cur_cfg": number}))}))
        }
        Commit::VlanLimit => {
            let limit = json!({"other_config": ["map", [["vlan-limit", "1"]]]});
            Some(json!({"Open_vSwitch": modified(0, 0, limit)}))
        }
        _ => None,
    }
}

fn commits() -> impl Strategy<Value = Vec<Commit>> {
    let port = 0..PORTS;
    let one = prop_oneof![
        4 => port.clone().prop_map(Commit::Add),
        1 => port.clone().prop_map(Commit::Remove),
        2 => (port.clone(), 1..9u16).prop_map(|(port, tag)| Commit::Tag(port, tag)),
        2 => port.clone().prop_map(Commit::Mark),
        2 => (port.clone(), 1..9i64).prop_map(|(port, number)| Commit::Ofport(port, number)),
        1 => (port.clone(), port.clone()).prop_map(|(port, name)| Commit::Rename(port, name)),
        2 => (port.clone(), port).prop_map(|(one, two)| Commit::Swap(one, two)),
        1 => (2..9i64).prop_map(Commit::Configured),
        1 => Just(Commit::VlanLimit),
    ];
    prop::collection::vec(one, 1..24)
}

proptest! {
    #[test]
    fn what_is_taken_from_before_is_what_reading_everything_anew_shows(commits in commits()) {
        let mut replica = replica();
        let mut rows = Rows::read(&replica);
        for commit in &commits {
            let Some(update) = update(&replica, commit) else { continue };
            let changes = replica.apply(update).unwrap();
            rows = rows.changed(&replica, &changes);
            let anew = Rows { first_next_cfg: rows.first_next_cfg, ..Rows::read(&replica) };
            prop_assert_eq!(&rows, &anew, "after {:?}", commit);
        }
    }
}
