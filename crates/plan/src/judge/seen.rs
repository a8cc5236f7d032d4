//! What a whole bridge shows, looked through once for all of its wires: who hears which tag.

use std::collections::BTreeMap;

use archetype_model::InterfaceName;
use archetype_model::observed::{DeviceObserved, HearerObserved, Observed, PortObserved};
use archetype_model::report::Fault;
use archetype_model::spec::{HostSpec, WireSpec};

use crate::carrier::End;
use crate::diff::DatapathSettings;
use crate::holding::Holders;

/// An observation, prepared for the judgement of many wires.
#[derive(Debug)]
pub struct Seen<'a> {
    pub(super) observed: &'a Observed,
    pub(super) settings: &'a DatapathSettings,
    spec: &'a HostSpec,
    /// Ports with a mark by their tag.
    by_tag: BTreeMap<u16, Vec<(&'a InterfaceName, &'a PortObserved)>>,
    /// Ports that hear more than that, or bear no mark.
    hearers: &'a [HearerObserved],
    holders: Holders<'a>,
}

impl<'a> Seen<'a> {
    /// Looks through the ports of an observation.
    pub fn of(spec: &'a HostSpec, observed: &'a Observed, settings: &'a DatapathSettings) -> Self {
        let mut by_tag: BTreeMap<u16, Vec<_>> = BTreeMap::new();
        let datapath = observed.datapath.known();
        let ports = datapath.into_iter().flat_map(|datapath| &datapath.ports);
        for (name, port) in ports.filter(|(_, port)| port.mark.is_some() && port.bridge == settings.bridge) {
            if let Some(tag) = port.tag {
                by_tag.entry(tag).or_default().push((name, port));
            }
        }
        let bridge = datapath.and_then(|datapath| datapath.bridge.as_ref());
        let hearers = bridge.map_or(&[][..], |bridge| &bridge.hearers);
        Self { observed, settings, spec, by_tag, hearers, holders: Holders::of(observed) }
    }

    /// That somebody made a wire's host end a port of something.
    pub(super) fn held(&self, name: &str, device: &DeviceObserved) -> Option<Fault> {
        let holder = self.holders.holder(device)?;
        Some(Fault::NotMade(format!("device {name} is a port of {holder}, which hears what it carries")))
    }

    /// The ports that hear a wire on which they are not: nobody else may.
    pub(super) fn overheard(&self, wire: &WireSpec, ends: &[End<'_>]) -> Vec<Fault> {
        let tag = wire.tag.get();
        let is_end = |name: &str| ends.iter().any(|(_, _, interface)| interface.host_device.as_str() == name);
        let same_tag = self.by_tag.get(&tag).into_iter().flatten().map(|(name, _)| name.as_str());
        let more = self.hearers.iter().filter(|hearer| hearer.hears.hears(tag)).map(|hearer| hearer.port.as_str());
        same_tag.chain(more).filter(|name| !is_end(name)).map(|name| self.fault(name, tag)).collect()
    }

    /// One of ours is put where it belongs by this host itself; any other stays.
    fn fault(&self, name: &str, tag: u16) -> Fault {
        let bridge = &self.settings.bridge;
        let port = self.observed.datapath.known().and_then(|datapath| datapath.ports.get(name));
        let installation = port.and_then(|port| port.mark.as_ref()).map(|mark| &mark.installation);
        if name == bridge.as_str() || installation == Some(&self.spec.installation) {
            return Fault::NotMade(format!("port {name} hears its tag {tag}"));
        }
        let whose = installation.map_or("not ours".to_string(), |other| format!("of installation {other}"));
        let remedy = "take it off the bridge, or give it a tag of its own";
        Fault::Wrong(format!("port {name} of bridge {bridge}, {whose}, hears its tag {tag}: {remedy}"))
    }
}
