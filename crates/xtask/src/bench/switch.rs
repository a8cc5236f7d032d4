//! Open vSwitch as the floor program and the trials use it: one connection, one monitor, bare operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use archetype_ovsdb::{Client, Columns, Endpoint, Operation, Uuid, Value, Where, insert, mutate, update, vswitch};
use archetype_testbed::Ovs;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use super::size::BRIDGE;

const LIMIT: Duration = Duration::from_secs(120);

/// A port to be made: its device and its tag.
pub type Port = (String, i64);

/// What the monitor shows.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// How far the switch is.
    pub cur_cfg: i64,
    /// Ports by name: the row and its tag.
    pub ports: BTreeMap<String, (Uuid, Option<i64>)>,
}

/// A port's tag as the monitor saw it become.
#[derive(Debug, Clone)]
pub struct TagSeen {
    /// When the monitor's update had been read.
    pub at: Instant,
    /// The port.
    pub port: String,
    /// Its tag from then on.
    pub tag: Option<i64>,
}

/// A connection with its monitor.
#[derive(Debug)]
pub struct Switch<'r> {
    runtime: &'r Runtime,
    client: Client,
    seen: watch::Receiver<Seen>,
    tags: Arc<Mutex<Vec<TagSeen>>>,
}

impl<'r> Switch<'r> {
    /// Connects. `tags` has the tags of ports watched too, which costs something at every change.
    pub fn connect(runtime: &'r Runtime, ovs: &Ovs, tags: bool) -> anyhow::Result<Self> {
        let endpoint: Endpoint = ovs.target().parse().context("the test bed's own endpoint")?;
        runtime.block_on(async {
            let client = Client::connect(&endpoint).await?;
            let mut tables = BTreeMap::from([("Open_vSwitch".to_string(), Columns::only(["cur_cfg"]))]);
            if tags {
                tables.insert("Port".into(), Columns::only(["name", "tag"]));
            }
            let mut monitor = client.monitor(vswitch::DATABASE, tables).await?;
            let (publish, seen) = watch::channel(read(monitor.replica()));
            let log: Arc<Mutex<Vec<TagSeen>>> = Arc::default();
            let noted = log.clone();
            tokio::spawn(async move {
                while let Ok(changes) = monitor.next().await
                    && !publish.is_closed()
                {
                    note(&noted, changes);
                    publish.send_replace(read(monitor.replica()));
                }
            });
            Ok(Self { runtime, client, seen, tags: log })
        })
    }

    /// Commits and answers the number that the switch reaches when it has carried it out.
    pub fn commit(&self, operations: Vec<Operation>) -> anyhow::Result<i64> {
        Ok(self.runtime.block_on(vswitch::commit_and_settle(&self.client, operations))?.next_cfg)
    }

    /// Waits until the switch has carried out everything up to `next_cfg`.
    pub fn settled(&self, next_cfg: i64) -> anyhow::Result<()> {
        self.until(|seen| seen.cur_cfg >= next_cfg).map(drop)
    }

    /// Waits until the monitor shows something; answers when it did.
    pub fn until(&self, holds: impl Fn(&Seen) -> bool) -> anyhow::Result<Instant> {
        let mut seen = self.seen.clone();
        self.runtime.block_on(async {
            let waited = tokio::time::timeout(LIMIT, seen.wait_for(|seen| holds(seen))).await;
            waited.context("the switch did not do it in time")?.context("the monitor has ended")?;
            Ok(Instant::now())
        })
    }

    /// What the monitor shows now.
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Which tags ports got since somebody last asked.
    pub fn take_tags(&self) -> Vec<TagSeen> {
        std::mem::take(&mut *self.tags.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets the tag of one port.
    pub fn set_tag(&self, port: Uuid, tag: i64) -> anyhow::Result<i64> {
        self.commit(vec![update("Port", Where::uuid(port)).set("tag", tag).into()])
    }
}

fn note(log: &Mutex<Vec<TagSeen>>, changes: Vec<archetype_ovsdb::Change>) {
    let at = Instant::now();
    let tags = changes.into_iter().filter(|change| change.table == "Port").filter_map(|change| {
        let row = change.new?;
        Some(TagSeen { at, port: row.text("name")?.to_string(), tag: row.integer("tag") })
    });
    log.lock().unwrap_or_else(PoisonError::into_inner).extend(tags);
}

fn read(replica: &archetype_ovsdb::Replica) -> Seen {
    let port = |(uuid, row): (&Uuid, &archetype_ovsdb::Row)| {
        Some((row.text("name")?.to_string(), (*uuid, row.integer("tag"))))
    };
    Seen {
        cur_cfg: vswitch::current_config(replica).unwrap_or(0),
        ports: replica.table("Port").iter().filter_map(port).collect(),
    }
}

/// The operations that make the bridge with these ports, by device and tag, in one transaction.
pub fn bridge_with(ports: &[Port], datapath: &str, flood: &[i64]) -> Vec<Operation> {
    let mut operations: Vec<Operation> = vec![
        insert("Interface").named("bridge_interface").set("name", BRIDGE).set("type", "internal").into(),
        insert("Port")
            .named("bridge_port")
            .set("name", BRIDGE)
            .set("interfaces", Value::set([Value::named("bridge_interface")]))
            .into(),
    ];
    let mut all = vec![Value::named("bridge_port")];
    all.extend(insert_ports(ports, &mut operations));
    operations.push(
        insert("Bridge")
            .named("bridge")
            .set("name", BRIDGE)
            .set("datapath_type", datapath)
            .set("fail_mode", "standalone")
            .set("other_config", Value::map([("forward-bpdu", "true"), ("disable-in-band", "true")]))
            .set("flood_vlans", Value::set(flood.iter().copied()))
            .set("ports", Value::set(all))
            .into(),
    );
    operations.push(mutate(vswitch::ROOT, Where::all()).insert("bridges", Value::set([Value::named("bridge")])).into());
    operations
}

/// The operations that add ports to the bridge that is there. Their tags are not made to flood: on a bridge of ours
/// that would be drift.
pub fn add_ports(ports: &[Port]) -> Vec<Operation> {
    let mut operations = Vec::new();
    let named: Vec<_> = insert_ports(ports, &mut operations);
    let bridge = mutate("Bridge", Where::equals("name", BRIDGE));
    operations.push(bridge.insert("ports", Value::set(named)).into());
    operations
}

/// The operations that take ports off the bridge.
pub fn remove_ports(rows: impl Iterator<Item = Uuid>) -> Vec<Operation> {
    let bridge = mutate("Bridge", Where::equals("name", BRIDGE));
    vec![bridge.delete("ports", Value::set(rows)).into()]
}

fn insert_ports(ports: &[Port], operations: &mut Vec<Operation>) -> Vec<archetype_ovsdb::Atom> {
    let mut named = Vec::with_capacity(ports.len());
    for (at, (device, tag)) in ports.iter().enumerate() {
        let (port, interface) = (format!("p{at}"), format!("i{at}"));
        operations.push(insert("Interface").named(interface.as_str()).set("name", device.as_str()).into());
        operations.push(
            insert("Port")
                .named(port.as_str())
                .set("name", device.as_str())
                .set("interfaces", Value::set([Value::named(interface)]))
                .set("tag", *tag)
                .set("vlan_mode", "dot1q-tunnel")
                .into(),
        );
        named.push(Value::named(port));
    }
    named
}
