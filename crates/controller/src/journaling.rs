//! What the journal says about states: a note whenever a lab, node, link, exec or finding came to
//! be something else that is worth telling.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use archetype_api::words::shown;
use archetype_model::observed::RunObserved;
use archetype_model::report::{ExecState, Finding};
use archetype_model::status::{LabState, LinkState, NodeState, Status};
use archetype_model::{LabName, NodeName};
use serde_json::json;

use crate::clock;
use crate::judging::{Judged, host_findings, judge};
use crate::now::Now;
use crate::store::{Note, Revision};

/// What was told last.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    labs: BTreeMap<LabName, Told>,
    /// Findings that are of no lab alone.
    host: BTreeSet<(String, String)>,
}

#[derive(Debug, Default)]
struct Told {
    state: Option<LabState>,
    nodes: BTreeMap<NodeName, NodeState>,
    links: BTreeMap<String, LinkState>,
    findings: BTreeSet<(String, String)>,
    execs: BTreeSet<(NodeName, String, usize)>,
    /// When somebody last did something to a node, in milliseconds of the Unix epoch, by what it was in words.
    hands: BTreeMap<(NodeName, &'static str), u64>,
}

impl Memory {
    /// What is so at the start is taken as told.
    pub fn of(now: &Now, silent_after: Duration) -> Self {
        let mut memory = Self::default();
        // Nothing is planned yet in this life, and what the target has was planned in the last.
        memory.learn_of(now, silent_after, |_| true);
        memory
    }

    /// What is to be told about what changed since.
    pub fn learn(&mut self, now: &Now, silent_after: Duration) -> Vec<Note> {
        // What is wished and not planned yet is no news of the lab: it is planned in a moment.
        self.learn_of(now, silent_after, |revision| now.is_planned(revision))
    }

    fn learn_of(&mut self, now: &Now, silent_after: Duration, is_news: impl Fn(&Revision) -> bool) -> Vec<Note> {
        let silent = now.is_silent(silent_after);
        let mut notes = Vec::new();
        let shown: BTreeSet<LabName> = now.labs().map(|revision| revision.lab.clone()).collect();
        for lab in self.labs.keys().filter(|lab| !shown.contains(*lab)) {
            notes.push(note(Some(lab), "lab", None, "nothing of it is left".into(), json!({ "state": "gone" })));
        }
        learn_findings(&mut self.host, None, &host_findings(now), &mut notes);
        self.labs.retain(|lab, _| shown.contains(lab));
        for revision in now.labs().filter(|revision| is_news(revision)) {
            let judged = judge(now, revision, silent);
            let told = self.labs.entry(revision.lab.clone()).or_default();
            told.learn_states(&revision.lab, &judged, &mut notes);
            let own: Vec<Finding> = judged.findings.into_iter().filter(|finding| finding.lab.is_some()).collect();
            learn_findings(&mut told.findings, Some(&revision.lab), &own, &mut notes);
            told.learn_hands(&revision.lab, now, &mut notes);
            told.learn_execs(&revision.lab, now, &mut notes);
        }
        notes
    }
}

impl Told {
    fn learn_states(&mut self, lab: &LabName, judged: &Judged, notes: &mut Vec<Note>) {
        for (name, status) in &judged.nodes {
            let passing = matches!(status.state, NodeState::Pending | NodeState::Starting);
            if !passing && self.nodes.insert(name.clone(), status.state) != Some(status.state) {
                notes.push(state_note(lab, "node", Some(name.to_string()), status));
            }
        }
        for (link, status) in &judged.links {
            let passing = matches!(status.state, LinkState::Pending | LinkState::Creating);
            if !passing && self.links.insert(link.id.clone(), status.state) != Some(status.state) {
                notes.push(state_note(lab, "link", Some(link.id.clone()), status));
            }
        }
        self.nodes.retain(|name, _| judged.nodes.iter().any(|(node, _)| node == name));
        self.links.retain(|id, _| judged.links.iter().any(|(link, _)| &link.id == id));
        if self.state.replace(judged.state.state) != Some(judged.state.state) {
            notes.push(state_note(lab, "lab", None, &judged.state));
        }
    }

    /// Each end and start that is somebody's doing: no drift, unless the node stays ended.
    fn learn_hands(&mut self, lab: &LabName, now: &Now, notes: &mut Vec<Note>) {
        let (Some(part), Some(heard)) = (now.part(lab), &now.heard) else { return };
        self.hands.retain(|(name, _), _| part.node(name).is_some());
        for node in &part.nodes {
            let Some(report) = heard.report.nodes.get(&node.container) else { continue };
            let told = [
                ("was started again while nobody watched", report.started_unseen_ms),
                ("ended by docker stop, kill or restart", report.ended_by_hand_ms),
            ];
            for (what, at_ms) in told.into_iter().filter_map(|(what, at_ms)| Some((what, at_ms?))) {
                if self.hands.insert((node.name.clone(), what), at_ms) != Some(at_ms) {
                    let (subject, detail) = (Some(node.name.to_string()), json!({ "at_ms": at_ms }));
                    notes.push(note(Some(lab), "node", subject, what.to_owned(), detail));
                }
            }
        }
    }

    /// Each command is told once it has ended; its output stays out, for it may show secrets.
    fn learn_execs(&mut self, lab: &LabName, now: &Now, notes: &mut Vec<Note>) {
        let (Some(part), Some(heard)) = (now.part(lab), &now.heard) else { return };
        let mut ended = BTreeSet::new();
        for node in &part.nodes {
            let Some((report, run)) =
                heard.report.nodes.get(&node.container).and_then(|report| Some((report, report.run.as_ref()?)))
            else {
                // A node that could not be read has not begun anew.
                ended.extend(self.execs.iter().filter(|(name, ..)| name == &node.name).cloned());
                continue;
            };
            let RunObserved::Running { start, .. } = run else { continue };
            for (index, exec) in report.execs.iter().enumerate() {
                let how = match &exec.state {
                    ExecState::Ended { code, .. } => format!("ended with status {code}"),
                    ExecState::OutOfTime { seconds, .. } => format!("was killed after {seconds} s"),
                    ExecState::GivenUp { .. } => "was given up, for the node ended or was to stop".to_string(),
                    ExecState::Unknown => "ended, how is not known".to_string(),
                    ExecState::Waiting | ExecState::Running { .. } | ExecState::NextStart => continue,
                };
                let key = (node.name.clone(), start.clone(), index);
                if ended.insert(key.clone()) && !self.execs.contains(&key) {
                    let message = format!("exec `{}` {how}", shown(&exec.command));
                    notes.push(note(
                        Some(lab),
                        "exec",
                        Some(node.name.to_string()),
                        message,
                        json!({ "index": index }),
                    ));
                }
            }
        }
        self.execs = ended;
    }
}

/// Tells findings that were not there before. What a refusal or an unreadable part is about stands
/// in its words; those are told anew when they differ.
fn learn_findings(
    told: &mut BTreeSet<(String, String)>,
    lab: Option<&LabName>,
    findings: &[Finding],
    notes: &mut Vec<Note>,
) {
    let mut found = BTreeSet::new();
    for finding in findings {
        let subject = finding.resource.as_ref().map(ToString::to_string);
        let about = subject.clone().unwrap_or_else(|| lab.map_or_else(|| finding.message.clone(), |_| String::new()));
        let key = (finding.code.clone(), about);
        if found.insert(key.clone()) && !told.contains(&key) {
            let detail = json!({ "code": finding.code, "hint": finding.hint });
            notes.push(note(lab, "finding", subject, finding.message.clone(), detail));
        }
    }
    *told = found;
}

fn state_note<S: std::fmt::Display>(
    lab: &LabName,
    kind: &'static str,
    subject: Option<String>,
    status: &Status<S>,
) -> Note {
    let message = match &status.reason {
        Some(reason) => format!("{}: {reason}", status.state),
        None => status.state.to_string(),
    };
    note(Some(lab), kind, subject, message, json!({ "state": status.state.to_string() }))
}

fn note(
    lab: Option<&LabName>,
    kind: &'static str,
    subject: Option<String>,
    message: String,
    detail: serde_json::Value,
) -> Note {
    Note { at_ms: clock::now_ms(), lab: lab.cloned(), kind, subject, message, detail }
}
