//! From the picture to the states that users see: the rules are `archetype_plan::judge`'s, here is
//! only which of them applies to which thing of a topology.

mod declared;

use archetype_api::words::shown;
use archetype_model::NodeName;
use archetype_model::observed::RunObserved;
use archetype_model::report::{ExecState, Finding, NodeReport, WireReport};
use archetype_model::spec::{DesiredRun, EndRef, LabSpec, LinkId, NodeSpec, Presence, WireSpec};
use archetype_model::status::{LabState, LinkState, NodeState, Status};
use archetype_model::step::Resource;
use archetype_model::topology::{RuntimeKind, Topology};
use archetype_plan::joining;
use archetype_plan::judge::{self, ToCome};

use crate::now::{Now, Planning};
use crate::planning::left_out;
use crate::store::{Revision, Wish};

pub(crate) use declared::{DeclaredLink, Leads, LinkIds, ids, links};

/// A lab with all its states.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judged {
    pub state: Status<LabState>,
    /// By node, in file order; what is left out is not here.
    pub nodes: Vec<(NodeName, Status<NodeState>)>,
    /// In file order; what is left out is not here.
    pub links: Vec<(DeclaredLink, Status<LinkState>)>,
    /// What remains different, of this lab and of the host as a whole.
    pub findings: Vec<Finding>,
    /// What is being done, in words.
    pub doing: Vec<String>,
    /// Whether every command of the nodes that run has ended.
    pub execs_done: bool,
    /// What is still to come of it by itself.
    pub to_come: ToCome,
}

/// Judges a lab. `silent` says that its host was not heard for too long.
pub(crate) fn judge(now: &Now, revision: &Revision, silent: bool) -> Judged {
    match &*revision.wish {
        Wish::Gone => leaving(now, revision, silent),
        Wish::Present(present) => {
            let view = View { now, part: now.part(&revision.lab), silent };
            view.present(revision, &present.topology, &left_out(&present.wishes))
        }
    }
}

fn leaving(now: &Now, revision: &Revision, silent: bool) -> Judged {
    let left = now.heard.as_ref().and_then(|heard| heard.report.leaving.get(&revision.lab));
    let reason = match left {
        Some(left) if !left.is_empty() => Some(format!("still there: {}", left.join(", "))),
        _ => None,
    };
    let state = if silent { LabState::Unknown } else { LabState::Destroying };
    let findings = findings_of(now, revision);
    Judged {
        state: Status { state, reason },
        nodes: Vec::new(),
        links: Vec::new(),
        findings,
        doing: Vec::new(),
        execs_done: true,
        to_come: ToCome::More,
    }
}

/// What the host and the planning say against a lab.
fn findings_of(now: &Now, revision: &Revision) -> Vec<Finding> {
    let lab = &revision.lab;
    let planning = now.planned.get(lab).into_iter().flat_map(|planning| &planning.problems).map(|problem| Finding {
        code: problem.code.to_string(),
        lab: Some(lab.clone()),
        resource: None,
        message: problem.message.clone(),
        hint: problem.hint.clone().unwrap_or_default(),
    });
    let heard = now.heard.iter().flat_map(|heard| &heard.report.findings);
    let own = heard.filter(|finding| finding.lab.as_ref() == Some(lab)).cloned();
    planning.chain(own).chain(host_findings(now)).collect()
}

/// What the host says that is of no lab alone.
pub(crate) fn host_findings(now: &Now) -> Vec<Finding> {
    let heard = now.heard.iter().flat_map(|heard| &heard.report.findings);
    let told = heard.filter(|finding| finding.lab.is_none()).cloned();
    let refusal = now.refusal.iter().map(|why| Finding {
        code: archetype_api::codes::SPEC_REFUSED.into(),
        lab: None,
        resource: None,
        message: why.clone(),
        hint: "the host keeps what it has; see the controller's log".into(),
    });
    let unreadable = now.heard.iter().flat_map(|heard| &heard.report.unreadable).map(|(part, why)| Finding {
        code: archetype_api::codes::HOST_UNREADABLE.into(),
        lab: None,
        resource: None,
        message: format!("{part} could not be read: {why}"),
        hint: "start what does not answer; what depends on it is unknown until then".into(),
    });
    told.chain(refusal).chain(unreadable).collect()
}

/// Everything a judgement looks at.
struct View<'a> {
    now: &'a Now,
    part: Option<&'a LabSpec>,
    silent: bool,
}

impl View<'_> {
    fn present(
        &self,
        revision: &Revision,
        topology: &Topology,
        left_out: &std::collections::BTreeSet<archetype_model::topology::Subject>,
    ) -> Judged {
        use archetype_model::topology::Subject;
        let findings = findings_of(self.now, revision);
        let wanted = topology.nodes.iter().filter(|node| !left_out.contains(&Subject::Node(node.name.clone())));
        let nodes: Vec<(NodeName, Status<NodeState>)> =
            wanted.map(|node| (node.name.clone(), self.node(&node.name, node.runtime(), &findings))).collect();
        let links: Vec<_> = links(topology, left_out)
            .into_iter()
            .map(|link| {
                let status = self.link(&link, &findings);
                (link, status)
            })
            .collect();
        let state = self.lab(revision, &nodes, &links, &findings);
        let to_come = self.to_come(&links);
        Judged { state, findings, doing: self.doing(), execs_done: self.execs_done(), to_come, nodes, links }
    }

    fn wanted_part(&self) -> Option<&LabSpec> {
        self.part.filter(|part| part.presence == Presence::Present)
    }

    /// Why nothing is known of the host.
    fn silence(&self) -> &'static str {
        match self.now.is_kept() {
            true => "its host has not been read since the controller started",
            false => "its host is silent",
        }
    }

    fn node(&self, name: &NodeName, runtime: RuntimeKind, findings: &[Finding]) -> Status<NodeState> {
        if self.silent {
            return Status::because(NodeState::Unknown, self.silence());
        }
        let Some(part) = self.wanted_part() else { return Status::because(NodeState::Pending, "not planned yet") };
        if !runtime.runs() {
            // Nothing runs in a bridge: it is there with its members. So is the host.
            let told = self.now.is_told(&part.name);
            return Status::plain(if told { NodeState::Running } else { NodeState::Pending });
        }
        match part.node(name) {
            Some(node) => judge::node_state(&part.name, node, self.node_report(node), findings),
            None => Status::because(NodeState::Pending, "not planned yet"),
        }
    }

    fn node_report(&self, node: &NodeSpec) -> Option<&NodeReport> {
        self.now.heard.as_ref()?.report.nodes.get(&node.container)
    }

    fn link(&self, link: &DeclaredLink, findings: &[Finding]) -> Status<LinkState> {
        if self.silent {
            return Status::because(LinkState::Unknown, self.silence());
        }
        match &link.leads {
            Leads::Wire(id) => self.wire(id, None, findings),
            Leads::Member { lan, end } if self.wire_spec(lan).is_some() => self.wire(lan, Some(end), findings),
            Leads::Member { lan, end } => self.outward(lan, Some(end)),
            Leads::Out { id, .. } => self.outward(id, None),
            Leads::Nowhere => Status::because(LinkState::Pending, "not planned yet"),
        }
    }

    fn wire_spec(&self, id: &LinkId) -> Option<&WireSpec> {
        self.wanted_part()?.wires.iter().find(|wire| &wire.id == id)
    }

    fn wire(&self, id: &LinkId, member: Option<&EndRef>, findings: &[Finding]) -> Status<LinkState> {
        let Some((part, wire)) = self.wanted_part().zip(self.wire_spec(id)) else {
            return Status::because(LinkState::Pending, "not planned yet");
        };
        let report = self.wire_report(part, id);
        let status = match member {
            None => judge::link_status(wire, report),
            Some(end) => judge::member_status(wire, report, end),
        };
        match (status.state, failed_end(part, wire, member, findings)) {
            (LinkState::Creating, Some(why)) => Status::because(LinkState::Error, why),
            _ => status,
        }
    }

    fn wire_report(&self, part: &LabSpec, id: &LinkId) -> Option<&WireReport> {
        self.now.heard.as_ref()?.report.wires.get(&part.name)?.get(id)
    }

    /// A link that leads out of the lab; of a bridge of the host's, the link of one member.
    fn outward(&self, id: &LinkId, member: Option<&EndRef>) -> Status<LinkState> {
        let part = self.wanted_part();
        let found = part.and_then(|part| Some((part, part.outward().into_iter().find(|outward| &outward.id == id)?)));
        let Some((part, outward)) = found else {
            return Status::because(LinkState::Pending, "not planned yet");
        };
        judge::outward_status(&outward, self.wire_report(part, id), member)
    }

    fn lab(
        &self,
        revision: &Revision,
        nodes: &[(NodeName, Status<NodeState>)],
        links: &[(DeclaredLink, Status<LinkState>)],
        findings: &[Finding],
    ) -> Status<LabState> {
        if self.silent {
            return Status::because(LabState::Unknown, self.silence());
        }
        let planning = self.now.planned.get(&revision.lab);
        if let Some(Planning { problems, .. }) = planning
            && let Some(problem) = problems.first()
        {
            let state = if self.wanted_part().is_some() { LabState::Degraded } else { LabState::Pending };
            return Status::because(state, format!("it cannot be planned: {}", problem.message));
        }
        let Some(part) = self.wanted_part() else {
            return Status::because(LabState::Pending, "not planned yet");
        };
        // Before the first planning of the controller's life the target is what the last one planned.
        if planning.is_some_and(|planning| planning.revision != revision.number) {
            return Status::because(LabState::Converging, "the last change is being planned");
        }
        let told = self.now.is_told(&part.name);
        let node_states = nodes.iter().filter_map(|(name, status)| {
            let node = part.node(name)?;
            let waits_by_wish = status.state == NodeState::Pending && joining::shares_what_is_stopped(part, node);
            let finished = waits_by_wish || self.node_report(node).is_some_and(judge::has_finished);
            Some(judge::JudgedNode { node, state: status.state, finished })
        });
        let link_states = links.iter().map(|(_, status)| status.state);
        // What is wrong with the switch is wrong with every lab on it.
        let of_lab = |finding: &&Finding| finding.lab.is_some() || finding.resource == Some(Resource::Bridge);
        let own = findings.iter().filter(of_lab);
        let state = judge::lab_state(told, node_states, link_states, own.clone().count());
        match state {
            LabState::Degraded => {
                let is_fine = |name: &NodeName| {
                    let report = part.node(name).and_then(|node| self.node_report(node));
                    report.is_some_and(judge::has_finished)
                };
                let others = nodes.iter().filter(|(name, _)| !is_fine(name));
                Status { state, reason: reason_of(own, others, links) }
            }
            LabState::Unknown => Status { state, reason: unreadable(self.now) },
            state => Status::plain(state),
        }
    }

    fn reports(&self) -> impl Iterator<Item = (&NodeSpec, &NodeReport)> {
        let nodes = self.wanted_part().into_iter().flat_map(|part| &part.nodes);
        nodes.filter_map(|node| Some((node, self.node_report(node)?)))
    }

    fn doing(&self) -> Vec<String> {
        let mut doing = Vec::new();
        for (node, report) in self.reports() {
            doing.extend(report.busy.iter().map(|busy| format!("{}: {}", node.name, busy.doing)));
            let running = report.execs.iter().filter(|exec| matches!(exec.state, ExecState::Running { .. }));
            doing.extend(running.map(|exec| format!("{}: running {}", node.name, shown(&exec.command))));
        }
        doing
    }

    fn execs_done(&self) -> bool {
        self.reports().all(|(node, report)| {
            let runs = matches!(report.run, Some(RunObserved::Running { .. }));
            !runs || node.desired == DesiredRun::Stopped || judge::execs_are_over(report)
        })
    }

    fn to_come(&self, links: &[(DeclaredLink, Status<LinkState>)]) -> ToCome {
        match self.wanted_part() {
            Some(part) if !self.silent && self.now.is_told(&part.name) => {
                let nodes = part.nodes.iter().map(|node| (node, self.node_report(node)));
                judge::to_come(nodes, links.iter().map(|(_, status)| status.state))
            }
            _ => ToCome::More,
        }
    }
}

/// What keeps an end of a wire from being made, as the host tells it.
fn failed_end(part: &LabSpec, wire: &WireSpec, member: Option<&EndRef>, findings: &[Finding]) -> Option<String> {
    let ends = wire.ends.iter().filter(|end| member.is_none_or(|member| member == *end));
    ends.filter_map(|end| Some((end, part.interface(end)?))).find_map(|(end, (node, interface))| {
        let finding = findings.iter().find(|finding| match &finding.resource {
            Some(Resource::Device(name) | Resource::Port(name)) => name == &interface.host_device,
            Some(Resource::Namespace(name)) => name == &node.container,
            _ => false,
        })?;
        Some(format!("{end}: {}", finding.message))
    })
}

/// The first thing that is wrong, for the reason of a lab.
fn reason_of<'a>(
    mut findings: impl Iterator<Item = &'a Finding>,
    nodes: impl Iterator<Item = &'a (NodeName, Status<NodeState>)> + Clone,
    links: &[(DeclaredLink, Status<LinkState>)],
) -> Option<String> {
    let node = || {
        let in_state = |wanted: NodeState| nodes.clone().find(move |(_, status)| status.state == wanted);
        let (name, status) = in_state(NodeState::Error).or_else(|| in_state(NodeState::Exited))?;
        Some(format!("node {name}: {}", status.reason.as_deref().unwrap_or("does not run")))
    };
    let link = || {
        let (link, status) = links.iter().find(|(_, status)| status.state == LinkState::Error)?;
        Some(format!("link {}: {}", link.id, status.reason.as_deref().unwrap_or("is not as wanted")))
    };
    findings.next().map(|finding| finding.message.clone()).or_else(node).or_else(link)
}

fn unreadable(now: &Now) -> Option<String> {
    let heard = now.heard.as_ref()?;
    let (part, why) = heard.report.unreadable.first()?;
    Some(format!("{part} could not be read: {why}"))
}
