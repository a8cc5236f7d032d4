//! From steps to the operations of one transaction.

use std::collections::BTreeMap;
use std::str::FromStr as _;

use archetype_model::observed::DatapathKind;
use archetype_model::spec::HostSpec;
use archetype_model::step::{PortTag, Step};
use archetype_model::{BridgeName, InterfaceName, VlanTag};
use archetype_ovsdb::{Operation, Uuid, Value, Where, insert, mutate, update, vswitch};

use super::DatapathError;
use super::rows::{
    BFD, CFM, LLDP, MADE_AS, MARK_IFINDEX, MARK_INSTALLATION, MARK_INTERFACE, MARK_LAB, MARK_NODE, MTU_REQUEST,
    POLICING, POLICING_PACKETS, Rows, kind_text, tags,
};

/// The bridge within one transaction: a row that is there, or one that is made by it.
enum Bridge {
    There(Uuid),
    Made,
}

/// The operations that take all steps.
pub(super) fn build(
    bridge: &BridgeName,
    kind: DatapathKind,
    rows: &Rows,
    spec: &HostSpec,
    steps: &[Step],
    ifindex: impl Fn(&InterfaceName) -> Option<u32>,
) -> Result<Vec<Operation>, DatapathError> {
    let mut operations = Vec::new();
    let seen = rows.bridges.get(bridge);
    let target = match seen {
        Some(seen) => Bridge::There(seen.row),
        None if steps.iter().any(|step| matches!(step, Step::SetBridge { .. })) => {
            operations.extend(make_bridge(bridge, kind, steps));
            Bridge::Made
        }
        None => return Err(DatapathError::NoBridge(bridge.clone())),
    };
    let mut ports: Vec<archetype_ovsdb::Atom> = Vec::new();
    // One change of a bridge takes many ports off: one each costs the database the whole set each time.
    let mut gone: BTreeMap<Uuid, Vec<archetype_ovsdb::Atom>> = BTreeMap::new();
    for step in steps {
        match (step, &target) {
            (Step::SetBridge { add_flood, remove_flood }, Bridge::There(row)) => {
                let bridge_row = update("Bridge", Where::uuid(*row)).set("fail_mode", "standalone");
                // Written where it is another one only: an empty one means the kernel's too.
                operations.push(match seen.is_some_and(|seen| seen.observed.datapath != kind) {
                    true => bridge_row.set("datapath_type", kind_text(kind)).into(),
                    false => bridge_row.into(),
                });
                operations.push(
                    mutate("Bridge", Where::uuid(*row))
                        .delete("external_ids", Value::set([MADE_AS]))
                        .insert("external_ids", Value::map([(MADE_AS, kind_text(kind))]))
                        .delete("other_config", Value::set(["forward-bpdu"]))
                        .insert("other_config", Value::map([("forward-bpdu", "true")]))
                        .delete("flood_vlans", tags(remove_flood))
                        .insert("flood_vlans", tags(add_flood))
                        .into(),
                );
                operations.push(
                    update("Port", Where::equals("name", bridge.as_str()))
                        .set("tag", i64::from(VlanTag::NO_WIRE))
                        .set("vlan_mode", "access")
                        .into(),
                );
            }
            (Step::AddPort { device, tag }, _) => {
                let name = format!("port{}", ports.len());
                operations.extend(add_port(spec, device, *tag, &name, ifindex(device))?);
                ports.push(Value::named(name));
            }
            (Step::SetPort { device, row, tag }, _) => {
                operations.extend(set_port(spec, device, row, *tag)?);
                operations.extend(unset_packet_rate(rows, device));
            }
            (Step::RemovePort { row, bridge, .. }, _) => {
                if let (Ok(row), Some(on)) = (Uuid::from_str(row), rows.bridges.get(bridge)) {
                    gone.entry(on.row).or_default().push(Value::uuid(row));
                }
            }
            _ => {}
        }
    }
    for (row, ports) in gone {
        operations.push(mutate("Bridge", Where::uuid(row)).delete("ports", Value::set(ports)).into());
    }
    if !ports.is_empty() {
        let row = match target {
            Bridge::There(row) => Where::uuid(row),
            // A row made in this transaction is found by its name: conditions take no named uuid.
            Bridge::Made => Where::equals("name", bridge.as_str()),
        };
        operations.push(mutate("Bridge", row).insert("ports", Value::set(ports)).into());
    }
    Ok(operations)
}

fn make_bridge(bridge: &BridgeName, kind: DatapathKind, steps: &[Step]) -> Vec<Operation> {
    let flood = steps.iter().find_map(|step| match step {
        Step::SetBridge { add_flood, .. } => Some(tags(add_flood)),
        _ => None,
    });
    let datapath = kind_text(kind);
    vec![
        insert("Interface").named("bridge_interface").set("name", bridge.as_str()).set("type", "internal").into(),
        insert("Port")
            .named("bridge_port")
            .set("name", bridge.as_str())
            .set("interfaces", Value::set([Value::named("bridge_interface")]))
            .set("tag", i64::from(VlanTag::NO_WIRE))
            .set("vlan_mode", "access")
            .into(),
        insert("Bridge")
            .named("bridge")
            .set("name", bridge.as_str())
            .set("datapath_type", datapath)
            .set("fail_mode", "standalone")
            .set("external_ids", Value::map([(MADE_AS, datapath)]))
            .set("other_config", Value::map([("forward-bpdu", "true"), ("disable-in-band", "true")]))
            .set("flood_vlans", flood.unwrap_or_else(Value::none))
            .set("ports", Value::set([Value::named("bridge_port")]))
            .into(),
        mutate(vswitch::ROOT, Where::all()).insert("bridges", Value::set([Value::named("bridge")])).into(),
    ]
}

fn add_port(
    spec: &HostSpec,
    device: &InterfaceName,
    tag: PortTag,
    name: &str,
    ifindex: Option<u32>,
) -> Result<[Operation; 2], DatapathError> {
    let interface = format!("{name}_interface");
    Ok([
        insert("Interface").named(interface.as_str()).set("name", device.as_str()).into(),
        insert("Port")
            .named(name)
            .set("name", device.as_str())
            .set("interfaces", Value::set([Value::named(interface)]))
            .set("tag", i64::from(tag.tag().get()))
            .set("vlan_mode", "dot1q-tunnel")
            .set("protected", tag.protected())
            .set("external_ids", Value::map(marks(spec, device, ifindex)?))
            .into(),
    ])
}

fn set_port(spec: &HostSpec, device: &InterfaceName, row: &str, tag: PortTag) -> Result<[Operation; 3], DatapathError> {
    let uuid = Uuid::from_str(row).map_err(|_| DatapathError::NotInSpec(device.clone()))?;
    let marks = marks(spec, device, None)?;
    Ok([
        update("Port", Where::uuid(uuid))
            .set("tag", i64::from(tag.tag().get()))
            .set("vlan_mode", "dot1q-tunnel")
            .set("protected", tag.protected())
            .set("trunks", Value::none())
            .set("cvlans", Value::none())
            .set("lacp", Value::none())
            .set("bond_mode", Value::none())
            .set("qos", Value::none())
            .set("other_config", Value::map::<_, &str, &str>([]))
            .into(),
        update("Interface", Where::equals("name", device.as_str()))
            .set(POLICING, 0)
            .set(MTU_REQUEST, Value::none())
            .set(CFM, Value::none())
            .set(LLDP, Value::map::<_, &str, &str>([]))
            .set(BFD, Value::map::<_, &str, &str>([]))
            .into(),
        mutate("Port", Where::uuid(uuid))
            .delete("external_ids", Value::set(marks.iter().map(|(key, _)| *key)))
            .insert("external_ids", Value::map(marks))
            .into(),
    ])
}

/// Not every version has this column: where it is set, it is there.
fn unset_packet_rate(rows: &Rows, device: &InterfaceName) -> Option<Operation> {
    let is_set = rows.port(device.as_str())?.harmful.iter().any(|setting| setting.starts_with(POLICING_PACKETS));
    is_set.then(|| update("Interface", Where::equals("name", device.as_str())).set(POLICING_PACKETS, 0).into())
}

/// The mark of a port, with the number of the device it is plugged for.
fn marks(
    spec: &HostSpec,
    device: &InterfaceName,
    ifindex: Option<u32>,
) -> Result<Vec<(&'static str, String)>, DatapathError> {
    let found = spec.nodes().find_map(|(lab, node)| {
        let interface = node.interfaces.iter().find(|interface| &interface.host_device == device)?;
        Some((lab, node, interface))
    });
    let (lab, node, interface) = found.ok_or_else(|| DatapathError::NotInSpec(device.clone()))?;
    let mut marks = vec![
        (MARK_INSTALLATION, spec.installation.to_string()),
        (MARK_LAB, lab.name.to_string()),
        (MARK_NODE, node.name.to_string()),
        (MARK_INTERFACE, interface.port().to_string()),
    ];
    marks.extend(ifindex.map(|index| (MARK_IFINDEX, index.to_string())));
    Ok(marks)
}
