//! The facts behind a link's state, each with the command that shows it on the host.

use archetype_api::{Explanation, Fact};
use archetype_model::LabName;
use archetype_model::outward::OutwardTo;
use archetype_model::report::{BridgeSeen, EndReport, Fault, ProbeResult, WireReport};
use archetype_model::spec::{LabSpec, LinkId, NodeBody, WireShape, WireSpec};
use archetype_plan::judge;

use crate::desk::Desk;
use crate::judging::{DeclaredLink, Leads};
use crate::now::Now;
use crate::port::Tools;
use crate::store::{StoreError, Stretch};
use crate::view::LabView;

/// Explains a link, named by its place in the file.
pub(crate) fn explain(
    now: &Now,
    lab: &LabName,
    view: &LabView<'_>,
    index: usize,
    tools: &Tools,
) -> Option<Explanation> {
    let (at, _) = view.judged.links.iter().enumerate().find(|(_, (declared, _))| declared.index == index)?;
    let links = view.links();
    let shown = links.get(at)?;
    let (declared, status) = view.judged.links.iter().find(|(declared, _)| declared.id == shown.id)?;
    let mut facts = facts(now, lab, declared);
    facts.iter_mut().filter_map(|fact| fact.command.as_mut()).for_each(|command| *command = tools.here(command));
    Some(Explanation {
        lab: lab.to_string(),
        link: shown.id.clone(),
        endpoints: shown.endpoints.clone(),
        state: status.state,
        reason: status.reason.clone(),
        last_verified_at: shown.last_verified_at,
        facts,
    })
}

/// From when on what is mended counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// The newest entry of the journal then.
    entry: u64,
    /// The number of the last repair that was told and may not have been in the journal yet.
    told: u64,
}

impl Since {
    /// From now on.
    pub(crate) async fn now(desk: &Desk) -> Result<Self, StoreError> {
        let now = desk.board.look();
        let told = now.heard.iter().flat_map(|heard| &heard.repairs).map(|repair| repair.number).max();
        Ok(Self { entry: desk.store.newest_entry().await?, told: told.unwrap_or_default() })
    }
}

/// What was mended in a lab, and of what it stands on, since then.
pub(crate) async fn mended(desk: &Desk, lab: &LabName, since: Since) -> Result<Vec<String>, StoreError> {
    // First what was told: in the journal it is a moment later, and then no longer here.
    let now = desk.board.look();
    let told = now.heard.iter().flat_map(|heard| &heard.repairs);
    let told = told.filter(|repair| repair.number > since.told && repair.lab.as_ref().is_none_or(|of| of == lab));
    let told: Vec<String> = told.map(|repair| repair.resource.to_string()).collect();
    let stretch = Stretch { lab: Some(lab.clone()), with_host: true, since: Some(since.entry), limit: 10_000 };
    let entries = desk.store.journal(&stretch).await?;
    let noted = entries.into_iter().filter(|entry| entry.kind == "repair").filter_map(|entry| entry.subject);
    Ok(told.into_iter().chain(noted).collect())
}

fn facts(now: &Now, lab: &LabName, link: &DeclaredLink) -> Vec<Fact> {
    let mut facts = Vec::new();
    let (id, member) = match &link.leads {
        Leads::Wire(id) => (id, None),
        Leads::Member { lan, end } => (lan, Some(end)),
        Leads::Out { id, .. } => (id, None),
        Leads::Nowhere => return facts,
    };
    let part = now.part(lab);
    let wire = part.and_then(|part| part.wires.iter().find(|wire| &wire.id == id));
    let report = now.heard.as_ref().and_then(|heard| heard.report.wires.get(lab)?.get(id));
    let (Some(part), Some(report)) = (part, report) else {
        facts.push(fact("both", "its host has not reported it yet".into(), Some(false), None));
        return facts;
    };
    for end in report.ends.iter().filter(|end| member.is_none_or(|member| member == &end.end)) {
        of_end(part, wire, end, &mut facts);
    }
    if wire.is_some() && report.wiring.is_some() {
        of_switch(report, &mut facts);
    }
    facts.push(of_proof(part, report, &crossed(part, id, wire, report)));
    facts
}

/// What the probes of a link cross, in words.
fn crossed(part: &LabSpec, id: &LinkId, wire: Option<&WireSpec>, report: &WireReport) -> String {
    let alone = report.ends.iter().filter(|end| end.faults.is_empty()).count() == 1;
    if let Some(wire) = wire {
        return match wire.shape {
            WireShape::Lan if alone => "between it and the switch, in its tag, for it is alone in its segment".into(),
            WireShape::Lan => "between it and every other member that is there".into(),
            WireShape::Cable => "it".into(),
        };
    }
    let outward = part.outward().into_iter().find(|outward| &outward.id == id);
    let bridge = report.ends.iter().find_map(|end| end.bridge.as_ref());
    match (outward.map(|outward| outward.to), bridge) {
        (Some(OutwardTo::Bridge(bridge)), _) if !alone => {
            format!("bridge {bridge} between it and every other member that is there")
        }
        (_, Some(bridge)) => format!("between it and bridge {} itself", bridge.name),
        _ => "between it and the host's device".into(),
    }
}

fn of_end(part: &LabSpec, wire: Option<&WireSpec>, end: &EndReport, facts: &mut Vec<Fact>) {
    let about = end.end.to_string();
    let container = part.node(&end.end.node).map(|node| node.container.to_string()).unwrap_or_default();
    let device = &end.device_name;
    let running = match end.running {
        Some(true) => ("its node runs", Some(true)),
        Some(false) => ("its node does not run", Some(false)),
        None => ("whether its node runs could not be read", None),
    };
    facts.push(fact(&about, running.0.into(), running.1, Some(shows_run(part, end, &container))));
    match &end.inside {
        Some(inside) => facts.push(fact(
            &about,
            format!(
                "inside it is {}, {}, {} carrier, MTU {}",
                inside.name,
                if inside.up { "up" } else { "shut" },
                if inside.carrier { "with" } else { "without" },
                inside.mtu
            ),
            Some(inside.up),
            Some(format!("ip -n {container} -d link show {}", inside.name)),
        )),
        None => facts.push(missing(
            end,
            &["namespace"],
            "it is not in its node".into(),
            "whether it is in its node".into(),
            format!("ip -n {container} link show {}", end.end.interface),
        )),
    }
    of_device(&about, device, end, facts);
    match (wire, &end.bridge) {
        (Some(wire), _) => of_port(&about, device, wire, end, facts),
        (None, Some(bridge)) => of_bridge(&about, bridge, end, facts),
        (None, None) => {}
    }
    for fault in &end.faults {
        let (text, good) = match fault {
            Fault::Unreadable(what) => (judge::unread(what), None),
            Fault::WantedDown(what) => (format!("it is wanted down; {what}"), None),
            Fault::NodeNotRunning(what)
            | Fault::NotMade(what)
            | Fault::Parked(what)
            | Fault::Wrong(what)
            | Fault::ShutInside(what) => (what.clone(), Some(false)),
        };
        let shown = shows_fault(fault, end).or_else(|| match fault {
            Fault::NodeNotRunning(_) => Some(shows_run(part, end, &container)),
            Fault::WantedDown(_) => Some(format!("archetype inspect {}", part.name)),
            Fault::Unreadable(_) => None,
            _ => Some(format!("ip -n {container} link show {}", end.end.interface)),
        });
        facts.push(fact(&about, text, good, shown));
    }
}

/// What is missing; or could not be looked for, where one of these rooms could not be read.
fn missing(end: &EndReport, rooms: &[&str], is_missing: String, question: String, command: String) -> Fact {
    let unread = |fault: &Fault| match fault {
        Fault::Unreadable(what) => rooms.iter().any(|room| what.starts_with(room)),
        _ => false,
    };
    let about = end.end.to_string();
    match end.faults.iter().any(unread) {
        true => fact(&about, format!("{question} could not be read"), None, Some(command)),
        false => fact(&about, is_missing, Some(false), Some(command)),
    }
}

/// What shows whether a node runs: of one without a process its own note tells.
fn shows_run(part: &LabSpec, end: &EndReport, container: &str) -> String {
    match part.node(&end.end.node).map(|node| &node.body) {
        Some(NodeBody::Container(_)) => format!("docker inspect -f '{{{{.State.Status}}}}' {container}"),
        Some(NodeBody::Namespace(body)) if body.cmd.is_none() => {
            format!("grep -o '\"stopped\":[a-z]*' /run/archetype/*/nodes/{container}/run/node.json")
        }
        _ => format!("ip netns pids {container}"),
    }
}

/// What shows what is wrong with a port or its bridge; for the rest a fact of its own has it.
fn shows_fault(fault: &Fault, end: &EndReport) -> Option<String> {
    let (Fault::NotMade(what) | Fault::Wrong(what) | Fault::Unreadable(what)) = fault else { return None };
    let device = &end.device_name;
    let begins = |with: &str| what.starts_with(with);
    // Without a port the words have it: `bridge NAME …`.
    let named = || what.split_once("bridge ").and_then(|(_, rest)| rest.split(' ').next());
    let bridge = end.port.as_ref().map(|port| port.bridge.as_str()).or_else(named).unwrap_or_default();
    if begins("ovs-vswitchd") {
        Some("pidof ovs-vswitchd".into())
    } else if what.contains("has addresses in its table") {
        Some(format!("ovs-appctl fdb/show {bridge}"))
    } else if what.contains("flow") {
        Some(format!("ovs-ofctl dump-flows {bridge}"))
    } else if what.contains("has not carried out") {
        Some("ovs-vsctl --columns=next_cfg,cur_cfg list open_vswitch".into())
    } else if what.contains("hears its tag") {
        Some("ovs-vsctl --columns=name,tag,trunks,vlan_mode,external_ids list port".into())
    } else if what.contains("mirror ") {
        Some("ovs-vsctl list mirror".into())
    } else if begins("which device port ") {
        Some(format!("ovs-vsctl --columns=name,ofport,ifindex,error list interface {device}"))
    } else if begins("port ") {
        Some(format!("ovs-vsctl list port {device}"))
    } else if begins("device ") {
        Some(format!("ip -d link show {device}"))
    } else if begins("fail_mode") || what.contains(" bridge ") || begins("bridge ") {
        Some(format!("ovs-vsctl list bridge {bridge}").trim_end().into())
    } else {
        None
    }
}

/// What a wire that is wired completely stands on beside its ends.
fn of_switch(report: &WireReport, facts: &mut Vec<Fact>) {
    let Some(bridge) = report.ends.iter().find_map(|end| end.port.as_ref()).map(|port| &port.bridge) else { return };
    let mut good = |text: String, command: String| facts.push(fact("both", text, Some(true), Some(command)));
    good(
        format!("bridge {bridge} has fail_mode standalone and forwards BPDUs"),
        format!("ovs-vsctl --columns=fail_mode,other_config,flood_vlans list bridge {bridge}"),
    );
    good(format!("bridge {bridge} switches every frame normally"), format!("ovs-ofctl dump-flows {bridge}"));
    good(
        "Open vSwitch has carried out the last change of its ports".into(),
        "ovs-vsctl --columns=next_cfg,cur_cfg list open_vswitch".into(),
    );
}

fn of_device(about: &str, device: &str, end: &EndReport, facts: &mut Vec<Fact>) {
    let shows = Some(format!("ip -d link show {device}"));
    facts.push(match &end.device {
        Some(found) => {
            let state = if found.up { "up" } else { "down" };
            let text = format!("its host end {device} has ifindex {} and is {state}, MTU {}", found.ifindex, found.mtu);
            fact(about, text, Some(found.up), shows)
        }
        None => missing(
            end,
            &["network devices"],
            format!("its host end {device} is missing"),
            format!("whether there is its host end {device}"),
            format!("ip -d link show {device}"),
        ),
    });
}

fn of_bridge(about: &str, bridge: &BridgeSeen, end: &EndReport, facts: &mut Vec<Fact>) {
    let name = &bridge.name;
    let state = match bridge.ifindex {
        None => format!("bridge {name} is missing"),
        Some(ifindex) => {
            format!("bridge {name} has ifindex {ifindex} and is {}", if bridge.up { "up" } else { "down" })
        }
    };
    facts.push(fact(about, state, Some(bridge.ifindex.is_some() && bridge.up), Some(format!("ip link show {name}"))));
    let is_port = bridge.ifindex.is_some() && end.device.as_ref().is_some_and(|d| d.controller == bridge.ifindex);
    let text = format!("its host end is {} of bridge {name}", if is_port { "a port" } else { "no port" });
    facts.push(fact(about, text, Some(is_port), Some(format!("bridge link show dev {}", end.device_name))));
}

fn of_port(about: &str, device: &str, wire: &WireSpec, end: &EndReport, facts: &mut Vec<Fact>) {
    let Some(port) = &end.port else {
        facts.push(missing(
            end,
            &["Open vSwitch"],
            format!("Open vSwitch has no port {device}"),
            format!("whether Open vSwitch has port {device}"),
            format!("ovs-vsctl port-to-br {device}"),
        ));
        return;
    };
    let tag = port.tag.map_or("none".to_string(), |tag| tag.to_string());
    let tag_is_right = port.tag == Some(wire.tag.get()) && port.vlan_mode == "dot1q-tunnel" && !port.protected;
    facts.push(fact(
        about,
        format!("port {device} is on {}, tag {tag} (wanted {}), {}", port.bridge, wire.tag, port.vlan_mode),
        Some(tag_is_right),
        Some(format!("ovs-vsctl --columns=name,tag,vlan_mode,protected,external_ids list port {device}")),
    ));
    let ofport = port.ofport.unwrap_or(-1);
    let ifindex = port.ifindex.map_or("none".to_string(), |ifindex| ifindex.to_string());
    let holds = port.ifindex == end.device.as_ref().map(|device| device.ifindex);
    let error = if port.error.is_empty() { String::new() } else { format!(", error {:?}", port.error) };
    facts.push(fact(
        about,
        format!("Open vSwitch has it as number {ofport} with ifindex {ifindex}{error}"),
        Some(ofport > 0 && holds && port.error.is_empty()),
        Some(format!("ovs-vsctl --columns=name,ofport,ifindex,error list interface {device}")),
    ));
}

fn of_proof(part: &LabSpec, report: &WireReport, what: &str) -> Fact {
    let (text, good) = match (&report.wiring, &report.proof) {
        (None, _) => ("it is not wired completely, so nothing was sent".to_string(), Some(false)),
        (Some(_), None) => ("no probe was sent on this wiring yet".to_string(), None),
        (Some(wiring), Some(proof)) if &proof.wiring != wiring => {
            ("no probe was sent on this wiring since it is as it is, or was last to be proven anew".to_string(), None)
        }
        (Some(_), Some(proof)) => match &proof.result {
            ProbeResult::Crossed => {
                (format!("a probe crossed {what} each way since it is wired like this"), Some(true))
            }
            ProbeResult::Lost { directions } => (format!("probes were lost: {}", directions.join(", ")), Some(false)),
            ProbeResult::NotSent { why } => (format!("no probe could be sent: {why}"), None),
        },
    };
    // The frames are seen where they come in, while `archetype reconcile` sends new ones.
    let seen = report.ends.first().and_then(|end| {
        let container = &part.node(&end.end.node)?.container;
        Some(format!("ip netns exec {container} tcpdump -eni {} ether proto 0x88b5", end.inside.as_ref()?.name))
    });
    fact("both", text, good, seen)
}

fn fact(about: &str, text: String, good: Option<bool>, command: Option<String>) -> Fact {
    Fact { about: about.to_string(), fact: text, good, command }
}
