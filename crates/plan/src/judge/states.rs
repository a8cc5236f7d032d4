//! From reports to the states that users see.

use archetype_model::LabName;
use archetype_model::observed::{Exit, Outside, RunObserved};
use archetype_model::outward::Outward;
use archetype_model::report::{EndReport, Fault, Finding, NodeReport, ProbeResult, WireReport};
use archetype_model::spec::{DesiredRun, EndRef, NodeSpec, WireShape, WireSpec};
use archetype_model::status::{LabState, LinkState, NodeState, Status};
use archetype_model::step::Resource;

/// The state of a link (design 2), or of a LAN as a whole: as bad as the worst of its ends.
/// `report` is none while its host has not reported this wire.
pub fn link_status(wire: &WireSpec, report: Option<&WireReport>) -> Status<LinkState> {
    status_of(wire.shape, report, |_| true, |_| true)
}

/// The state of a link that leads out of its lab, by the same rules: of all ends, or as far as it
/// concerns one member of a bridge of the host.
pub fn outward_status(
    outward: &Outward<'_>,
    report: Option<&WireReport>,
    member: Option<&EndRef>,
) -> Status<LinkState> {
    match member {
        None => status_of(outward.shape(), report, |_| true, |_| true),
        Some(member) => of_member(outward.shape(), report, member),
    }
}

/// The state of one member's link to its LAN (nodes.md 5): what was read at its own end, and the
/// probes between it and every other member that can be reached. What keeps another member from
/// running is no fault of this one. For a cable, the cable's.
pub fn member_status(wire: &WireSpec, report: Option<&WireReport>, member: &EndRef) -> Status<LinkState> {
    if wire.shape == WireShape::Cable {
        return link_status(wire, report);
    }
    of_member(wire.shape, report, member)
}

fn of_member(shape: WireShape, report: Option<&WireReport>, member: &EndRef) -> Status<LinkState> {
    // One that was just added is not in what was told before, and nothing there speaks against it.
    if report.is_some_and(|report| !report.ends.iter().any(|end| &end.end == member)) {
        return Status::because(LinkState::Pending, "its host has not reported it yet");
    }
    let name = member.to_string();
    let is_its = |direction: &str| direction.split(' ').any(|word| word == name);
    status_of(shape, report, |end| &end.end == member, is_its)
}

/// The state of a wire as far as it concerns some of its ends and some directions between them.
fn status_of(
    shape: WireShape,
    report: Option<&WireReport>,
    concerns: impl Fn(&EndReport) -> bool,
    crosses: impl Fn(&str) -> bool,
) -> Status<LinkState> {
    let Some(report) = report else {
        return Status::because(LinkState::Pending, "its host has not reported it yet");
    };
    if let Some(status) = worst_fault(shape, report, concerns) {
        return status;
    }
    let (Some(wiring), Some(proof)) = (&report.wiring, &report.proof) else {
        let why = if report.wiring.is_none() { "not wired yet" } else { "wired, not probed yet" };
        return Status::because(LinkState::Creating, why);
    };
    if &proof.wiring != wiring {
        return Status::because(LinkState::Creating, "wired, not probed yet");
    }
    match &proof.result {
        ProbeResult::Crossed => Status::plain(LinkState::Up),
        ProbeResult::Lost { directions } => {
            let lost: Vec<&str> = directions.iter().map(String::as_str).filter(|one| crosses(one)).collect();
            if lost.is_empty() {
                return Status::plain(LinkState::Up);
            }
            Status::because(LinkState::Error, format!("wired, carries nothing ({})", lost.join(", ")))
        }
        ProbeResult::NotSent { why } => {
            Status::because(LinkState::Creating, format!("wired, could not be probed: {why}"))
        }
    }
}

/// The fault that says most: what is unreadable makes everything else a guess; one that is wanted
/// down is so once nothing but the nodes themselves is in its way; a missing node explains the rest;
/// a fault that stays outweighs one about to be mended.
fn worst_fault(
    shape: WireShape,
    report: &WireReport,
    concerns: impl Fn(&EndReport) -> bool,
) -> Option<Status<LinkState>> {
    let ends: Vec<&EndReport> = report.ends.iter().filter(|end| concerns(end)).collect();
    let faults = || ends.iter().flat_map(|end| end.faults.iter().map(move |fault| (end, fault)));
    let find = |wanted: fn(&Fault) -> bool| faults().find(|(_, fault)| wanted(fault));
    let unreadable = find(|fault| matches!(fault, Fault::Unreadable(_)));
    let missing = find(|fault| matches!(fault, Fault::NodeNotRunning(_)));
    let wrong = || {
        find(|fault| matches!(fault, Fault::Wrong(_)))
            .or_else(|| find(|fault| matches!(fault, Fault::NotMade(_))))
            .or_else(|| find(|fault| matches!(fault, Fault::Parked(_))))
    };
    let (end, fault) = match find(|fault| matches!(fault, Fault::WantedDown(_))) {
        Some(down) => unreadable.or_else(wrong).unwrap_or(down),
        None => {
            let shut = || find(|fault| matches!(fault, Fault::ShutInside(_)));
            unreadable.or(missing).or_else(wrong).or_else(shut)?
        }
    };
    // The proof of a LAN may be that of its other members; only a cable's says that this was wired.
    let was_wired = report.proof.is_some() && shape == WireShape::Cable;
    let side = |end: &EndReport, what: &str| format!("{}: {what}", end.end);
    Some(match fault {
        Fault::Unreadable(what) => Status::because(LinkState::Unknown, unread(what)),
        Fault::NodeNotRunning(what) => Status::because(LinkState::Pending, format!("waits for {what}")),
        Fault::Wrong(what) => Status::because(LinkState::Error, side(end, what)),
        Fault::NotMade(what) | Fault::Parked(what) if was_wired => Status::because(LinkState::Error, side(end, what)),
        Fault::NotMade(what) | Fault::Parked(what) => Status::because(LinkState::Creating, side(end, what)),
        Fault::WantedDown(what) => Status::because(LinkState::Down, format!("wanted down by a user; {what}")),
        Fault::ShutInside(what) => Status::because(LinkState::Down, what.clone()),
    })
}

/// The sentence for what could not be read: `what`, with its cause behind a colon where it is known.
pub fn unread(what: &str) -> String {
    match what.split_once(": ") {
        Some((what, why)) => format!("{what} could not be read: {why}"),
        None => format!("{what} could not be read"),
    }
}

/// The state of a node. `report` is none while its host has not reported it.
pub fn node_state(
    lab: &LabName,
    node: &NodeSpec,
    report: Option<&NodeReport>,
    findings: &[Finding],
) -> Status<NodeState> {
    let Some(report) = report else {
        return Status::because(NodeState::Pending, "its host has not reported it yet");
    };
    let about = |finding: &&Finding| finding.resource == Some(Resource::Node(node.container.clone()));
    let finding = findings.iter().find(about);
    let Some(run) = &report.run else {
        return Status::because(NodeState::Unknown, "its runtime could not be read");
    };
    match (run, node.desired, finding) {
        (RunObserved::Running { .. }, _, _) => of_running(node, report),
        (run, DesiredRun::Stopped, _) => of_stopped(run, report),
        (_, _, Some(finding)) => Status::because(NodeState::Error, finding.message.clone()),
        (RunObserved::Ended { exit, .. }, _, None) => of_ended(lab, node, report, exit),
        (RunObserved::Absent | RunObserved::Created, _, None) => match doing(report) {
            Some(doing) => Status::because(NodeState::Starting, doing),
            None => Status { state: NodeState::Pending, reason: report.waits.clone() },
        },
    }
}

/// What is done to a node, in words.
fn doing(report: &NodeReport) -> Option<String> {
    report.busy.as_ref().map(|busy| busy.doing.clone())
}

/// Whether an image is looked for or pulled for it, which may take any time.
fn awaits_image(report: &NodeReport) -> bool {
    report.busy.as_ref().is_some_and(|busy| matches!(busy.outside, Some(Outside::Image(_))))
}

fn of_running(node: &NodeSpec, report: &NodeReport) -> Status<NodeState> {
    let next = |words: &str| doing(report).unwrap_or_else(|| words.to_owned());
    match node.desired {
        DesiredRun::Stopped => Status::because(NodeState::Running, next("is to be stopped")),
        DesiredRun::Running if report.restarts < node.restarts => {
            Status::because(NodeState::Starting, next("is to be restarted"))
        }
        DesiredRun::Running if report.outdated => Status::because(NodeState::Starting, next("is to be made anew")),
        DesiredRun::Running => {
            Status { state: NodeState::Running, reason: doing(report).or_else(|| report.waits.clone()) }
        }
    }
}

/// One that is to be stopped and does not run.
fn of_stopped(run: &RunObserved, report: &NodeReport) -> Status<NodeState> {
    let is_under_way = report.busy.is_some() && !report.outdated;
    match run {
        // The image is for its next start.
        _ if awaits_image(report) => Status { state: NodeState::Stopped, reason: doing(report) },
        // What it left on its links goes before its task ends.
        RunObserved::Ended { .. } if is_under_way => Status { state: NodeState::Running, reason: doing(report) },
        _ => Status::plain(NodeState::Stopped),
    }
}

/// One that is to run, and ended.
fn of_ended(lab: &LabName, node: &NodeSpec, report: &NodeReport, exit: &Exit) -> Status<NodeState> {
    let doing = doing(report);
    // What it was before is missed, however long the image for what comes takes.
    if awaits_image(report) && node.restart.starts_again(exit) {
        let next = doing.unwrap_or_default();
        return Status::because(NodeState::Exited, format!("{exit}; made anew once its image is there ({next})"));
    }
    if doing.is_some() {
        return Status { state: NodeState::Starting, reason: doing };
    }
    if report.restarts < node.restarts {
        return Status::because(NodeState::Starting, "is to be started");
    }
    if report.at_rest {
        let (policy, name) = (node.restart, &node.name);
        let why = format!("{exit}; stays so by restart-policy {policy}, until `archetype node {lab} {name} start`");
        return Status::because(NodeState::Exited, why);
    }
    let times = report.ended.as_ref().map_or(1, |(count, _)| *count);
    let times = if times == 1 { "once".to_string() } else { format!("{times} times") };
    let next = report.waits.as_deref().unwrap_or("starts again");
    Status::because(NodeState::Exited, format!("{exit}; ended {times}, {next}"))
}

/// Whether a node ended with status 0 and is not to be started again: it did what it was there for.
pub fn has_finished(report: &NodeReport) -> bool {
    report.at_rest && matches!(report.run, Some(RunObserved::Ended { exit: Exit::Status { code: 0 }, .. }))
}

/// A node in the judgement of its lab.
#[derive(Debug, Clone, Copy)]
pub struct JudgedNode<'a> {
    /// What is wanted of it.
    pub node: &'a NodeSpec,
    /// Its state.
    pub state: NodeState,
    /// Whether it is as wanted although it does not run: see [`has_finished`]; or it waits for one that is stopped by wish.
    pub finished: bool,
}

/// The state of a lab from those of its nodes and links.
///
/// `current` says whether its host reported at least the target's generation, recently.
pub fn lab_state<'a>(
    current: bool,
    nodes: impl IntoIterator<Item = JudgedNode<'a>>,
    links: impl IntoIterator<Item = LinkState>,
    findings: usize,
) -> LabState {
    let nodes: Vec<_> = nodes.into_iter().collect();
    let links: Vec<LinkState> = links.into_iter().collect();
    if !current {
        return LabState::Converging;
    }
    let node_in = |states: &[NodeState]| nodes.iter().any(|one| !one.finished && states.contains(&one.state));
    let link_in = |states: &[LinkState]| links.iter().any(|state| states.contains(state));
    if node_in(&[NodeState::Unknown]) || link_in(&[LinkState::Unknown]) {
        return LabState::Unknown;
    }
    if findings > 0 || node_in(&[NodeState::Error, NodeState::Exited]) || link_in(&[LinkState::Error]) {
        return LabState::Degraded;
    }
    let stopped = |one: &JudgedNode<'_>| one.node.desired == DesiredRun::Stopped && one.state == NodeState::Stopped;
    if !nodes.is_empty() && nodes.iter().all(stopped) {
        return LabState::Down;
    }
    let runs = |one: &JudgedNode<'_>| one.node.desired == DesiredRun::Running && one.state == NodeState::Running;
    let settled_nodes = nodes.iter().all(|one| runs(one) || stopped(one) || one.finished);
    // A link to a stopped node waits by wish; one that a node's own software shut is no fault of the lab's.
    let any_stopped = nodes.iter().any(|one| stopped(one) || one.finished);
    let settled_links = links.iter().all(|state| match state {
        LinkState::Up | LinkState::Down => true,
        LinkState::Pending => any_stopped,
        _ => false,
    });
    if settled_nodes && settled_links { LabState::Up } else { LabState::Converging }
}
