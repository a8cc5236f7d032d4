//! Host's ends of wires that somebody made ports of a bridge, bond or the like: what they carry is
//! then heard elsewhere. The switch is the only one that may hold them, and shows as one where the
//! kernel moves frames.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::InterfaceName;
use archetype_model::observed::{DeviceObserved, Observed};

/// Devices that have others as ports, and are not the switch.
#[derive(Debug, Default)]
pub(crate) struct Holders<'a>(BTreeMap<u32, &'a InterfaceName>);

impl<'a> Holders<'a> {
    /// Those of an observation.
    pub(crate) fn of(observed: &'a Observed) -> Self {
        let devices = || observed.devices.known().into_iter().flatten();
        let controllers: BTreeSet<u32> = devices().filter_map(|(_, device)| device.controller).collect();
        let is_other = |device: &DeviceObserved| device.kind != "openvswitch" && controllers.contains(&device.ifindex);
        Self(devices().filter(|(_, device)| is_other(device)).map(|(name, device)| (device.ifindex, name)).collect())
    }

    /// The one that holds a device, if any.
    pub(crate) fn holder(&self, device: &DeviceObserved) -> Option<&'a InterfaceName> {
        self.0.get(&device.controller?).copied()
    }
}
