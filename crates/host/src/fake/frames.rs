//! What the pairs and the switch of a host in memory carry: carrier, and probes.

use std::collections::BTreeMap;

use archetype_model::observed::{DeviceObserved, NamespaceObserved, Reading};
use archetype_model::report::ProbeResult;
use archetype_model::{ContainerName, InterfaceName};

use super::State;
use crate::contract::{Across, ProbeOrder};

impl State {
    /// As a pair of the kernel: an end has carrier when both are up.
    pub(super) fn with_carrier(
        &self,
    ) -> (BTreeMap<InterfaceName, DeviceObserved>, BTreeMap<ContainerName, NamespaceObserved>) {
        let (mut devices, mut namespaces) = (self.devices.clone(), self.namespaces.clone());
        let mut ends: BTreeMap<u32, &mut DeviceObserved> = devices
            .values_mut()
            .filter(|device| device.kind == "veth")
            .map(|device| (device.ifindex, device))
            .collect();
        for space in namespaces.values_mut() {
            let Reading::Known(inside) = &mut space.inside else { continue };
            for (index, inner) in inside.iter_mut() {
                let Some(device) = ends.get_mut(index) else { continue };
                let carrier = device.up && inner.up;
                (device.carrier, inner.carrier) = (carrier, carrier);
            }
        }
        (devices, namespaces)
    }

    /// A frame crosses a wire when both devices are up and both ports hold these very devices, in
    /// one tag; out of the lab when the device is up and on the bridge that it is to cross.
    pub(super) fn probe(&self, order: &ProbeOrder) -> ProbeResult {
        let crosses = match &order.across {
            Across::Wire | Across::Switch { .. } => {
                let tags: Vec<Option<u16>> = order.ends.iter().map(|end| self.tag_at(end.host_ifindex)).collect();
                let one_tag = tags.windows(2).all(|pair| pair[0] == pair[1]);
                self.datapath.switch.is_some() && one_tag && tags.iter().all(Option::is_some)
            }
            Across::Device { .. } => order.ends.iter().all(|end| self.carrying(end.host_ifindex).is_some()),
            Across::Bridge { ifindex, .. } => {
                let on_bridge = |device: (_, &DeviceObserved)| device.1.controller == Some(*ifindex);
                order.ends.iter().all(|end| self.carrying(end.host_ifindex).is_some_and(on_bridge))
            }
        };
        match crosses {
            true => ProbeResult::Crossed,
            false => ProbeResult::Lost { directions: vec![order.parties().join(" -> ")] },
        }
    }

    /// The device of an end that frames come through: up on both sides.
    fn carrying(&self, ifindex: u32) -> Option<(&InterfaceName, &DeviceObserved)> {
        let (name, device) = self.devices.iter().find(|(_, device)| device.ifindex == ifindex)?;
        let up = self
            .namespaces
            .values()
            .any(|space| space.inside.known().and_then(|inside| inside.get(&ifindex)).is_some_and(|inside| inside.up));
        (device.up && up && !self.swallowing.contains(name)).then_some((name, device))
    }

    /// The tag in which the switch has an end that frames come through.
    fn tag_at(&self, ifindex: u32) -> Option<u16> {
        let (name, _) = self.carrying(ifindex)?;
        let port = self.datapath.ports.get(name).filter(|port| port.ifindex == Some(ifindex))?;
        port.tag
    }
}
