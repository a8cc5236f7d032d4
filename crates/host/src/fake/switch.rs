//! Open vSwitch of the host in memory: its bridge and ports.

use std::collections::BTreeSet;

use archetype_model::observed::{BridgeObserved, DatapathKind, FlowsObserved, Mark, PortObserved, Reading};
use archetype_model::spec::HostSpec;
use archetype_model::step::Step;
use archetype_model::{BridgeName, InterfaceName};

use super::State;

impl State {
    pub(super) fn datapath_step(&mut self, spec: &HostSpec, step: &Step, bridge: &BridgeName) -> Result<(), String> {
        match step {
            Step::SetBridge { add_flood, remove_flood } => {
                let row = self.datapath.bridge.get_or_insert_with(|| BridgeObserved {
                    datapath: DatapathKind::Userspace,
                    made_as: Some(DatapathKind::Userspace),
                    fail_mode: String::new(),
                    forward_bpdu: false,
                    flood_vlans: BTreeSet::new(),
                    harmful: Vec::new(),
                    mirrors: Vec::new(),
                    copies: Vec::new(),
                    flows: Reading::Known(FlowsObserved::default()),
                    hearers: Vec::new(),
                });
                row.fail_mode = "standalone".into();
                row.forward_bpdu = true;
                row.flood_vlans.extend(add_flood);
                row.flood_vlans.retain(|tag| !remove_flood.contains(tag));
                row.flows = Reading::Known(FlowsObserved::default());
            }
            Step::AddPort { device, tag } => {
                let mark = self.mark_of_device(spec, device).ok_or("no such interface")?;
                let ifindex = self.devices.get(device).map(|device| device.ifindex);
                let number = self.number();
                let ofport = ifindex.map_or(-1, |_| i64::from(number));
                let port = PortObserved {
                    bridge: bridge.clone(),
                    row: format!("row-{number}"),
                    tag: Some(tag.tag().get()),
                    vlan_mode: "dot1q-tunnel".into(),
                    protected: tag.protected(),
                    interfaces: vec![device.to_string()],
                    harmful: Vec::new(),
                    mark: Some(mark),
                    plugged_ifindex: ifindex,
                    ofport: (!self.slow_switch).then_some(ofport),
                    settled: !self.slow_switch,
                    error: if ifindex.is_some() { String::new() } else { "No such device".into() },
                    ifindex,
                };
                self.datapath.ports.insert(device.clone(), port);
                self.datapath.settled &= !self.slow_switch;
            }
            Step::SetPort { device, tag, .. } => {
                let mark = self.mark_of_device(spec, device);
                let port = self.datapath.ports.get_mut(device).ok_or("no such port")?;
                port.tag = Some(tag.tag().get());
                port.vlan_mode = "dot1q-tunnel".into();
                port.protected = tag.protected();
                port.harmful.clear();
                port.mark = mark;
            }
            Step::RemovePort { device, row, .. } => {
                self.datapath.ports.retain(|name, port| name != device || &port.row != row)
            }
            _ => {}
        }
        Ok(())
    }

    fn mark_of_device(&self, spec: &HostSpec, device: &InterfaceName) -> Option<Mark> {
        let (lab, node, interface) = spec.nodes().find_map(|(lab, node)| {
            let interface = node.interfaces.iter().find(|interface| &interface.host_device == device)?;
            Some((lab, node, interface))
        })?;
        Some(Mark::of_port(spec, lab, node, interface))
    }
}
