//! What is to be probed, from what was read back: which ends take part, and what lies between them.

use archetype_host::{Across, ProbeEnd, ProbeOrder};
use archetype_model::outward::{Outward, OutwardTo};
use archetype_model::report::{EndReport, WireReport};
use archetype_model::spec::{LabSpec, WireSpec};

/// The order for a wire; none while an end of it cannot be named.
pub(super) fn wire(lab: &LabSpec, wire: &WireSpec, report: &WireReport) -> Option<ProbeOrder> {
    let ready = ready(report);
    let across = match ready.as_slice() {
        [alone] => Across::Switch { tag: wire.tag, ofport: alone.port.as_ref()?.ofport? },
        _ => Across::Wire,
    };
    Some(ProbeOrder { lab: lab.name.clone(), wire: wire.id.clone(), ends: ends(lab, &ready)?, across })
}

/// The order for a link that leads out of its lab; none while an end of it cannot be named.
pub(super) fn outward(lab: &LabSpec, outward: &Outward<'_>, report: &WireReport) -> Option<ProbeOrder> {
    let ready = ready(report);
    let first = ready.first()?;
    let across = match (&outward.to, &first.bridge) {
        (OutwardTo::Host, _) => {
            Across::Device { name: first.device_name.clone(), ifindex: first.device.as_ref()?.ifindex }
        }
        (OutwardTo::Bridge(_) | OutwardTo::Network(_), bridge) => {
            let bridge = bridge.as_ref()?;
            Across::Bridge { name: bridge.name.clone(), ifindex: bridge.ifindex? }
        }
    };
    Some(ProbeOrder { lab: lab.name.clone(), wire: outward.id.clone(), ends: ends(lab, &ready)?, across })
}

/// The ends at which nothing is wrong.
fn ready(report: &WireReport) -> Vec<&EndReport> {
    report.ends.iter().filter(|end| end.faults.is_empty()).collect()
}

fn ends(lab: &LabSpec, ready: &[&EndReport]) -> Option<Vec<ProbeEnd>> {
    let end = |end: &&EndReport| {
        Some(ProbeEnd {
            end: end.end.clone(),
            container: lab.node(&end.end.node)?.container.clone(),
            host_ifindex: end.device.as_ref()?.ifindex,
        })
    };
    ready.iter().map(end).collect()
}
