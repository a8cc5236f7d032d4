//! From what users ask for to drafts of revisions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use archetype_api::{DeployRequest, FileProblem, NodeAction, Problem, TopologyText, codes};
use archetype_model::topology::{self, Subject, Topology};
use archetype_model::{LabName, NodeName};
use archetype_plan::blueprint::HostFacts;
use archetype_plan::check::{beyond_reading, check, not_let_in, notes};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::clock;
use crate::now::Now;
use crate::reader::{FileReader, FileReading, FileText};
use crate::store::{Draft, LeftOutPart, Note, Present, Wish, Wishes};

/// A file that was read and checked.
pub(crate) struct ReadFile {
    /// What it declares, as far as it could be read.
    pub topology: Option<Topology>,
    /// What it states and the topology cannot hold.
    pub stated: topology::Stated,
    /// What `--partial` leaves out.
    pub left_out: Vec<LeftOutPart>,
    /// What keeps it from being deployed, in the order of the file.
    pub problems: Vec<topology::Problem>,
    /// What the file states and nothing comes of.
    pub notes: Vec<topology::Problem>,
    /// The files that the reading consumed, by path.
    pub files: BTreeMap<String, Vec<u8>>,
    /// What else was on the host when it was checked.
    pub beside: HostFacts,
}

/// Reads a file, and the content of files that belong to it. Not for an async thread.
pub(crate) fn read(reader: &FileReader, text: &TopologyText) -> (FileReading, BTreeMap<String, Vec<u8>>) {
    let shown = text.shown.as_deref().unwrap_or(&text.file);
    let variables: Vec<PathBuf> = text.variables.iter().map(PathBuf::from).collect();
    let directory = Path::new(&text.directory);
    let file = FileText { shown, directory, text: &text.text, env: &text.env, variables: &variables };
    let mut reading = reader.read(file);
    if let Some(topology) = &mut reading.topology {
        topology.source.file.clone_from(&text.file);
    }
    let files = reading.topology.as_ref().map(consumed).unwrap_or_default();
    (reading, files)
}

/// Checks what was read against what else is on the host.
pub(crate) fn checked(
    (reading, files): (FileReading, BTreeMap<String, Vec<u8>>),
    partial: bool,
    facts: HostFacts,
) -> ReadFile {
    let FileReading { topology, stated, mut problems, notes: mut noted } = reading;
    let mut left_out = Vec::new();
    if let Some(topology) = &topology {
        problems.extend(beyond_reading(topology, &stated, &problems, &facts));
        problems.extend(not_let_in(topology, &facts));
        if partial {
            leave_out(topology, &facts, &mut problems, &mut left_out);
        }
        problems.sort_by_key(topology::Problem::position);
        problems.dedup();
        noted.extend(notes(topology, &left_out.iter().map(|part| part.subject.clone()).collect()));
        noted.sort_by_key(topology::Problem::position);
    }
    ReadFile { topology, stated, left_out, problems, notes: noted, files, beside: facts }
}

/// Leaves out every part that has a problem, until what remains has none of a part.
fn leave_out(
    topology: &Topology,
    facts: &HostFacts,
    problems: &mut Vec<topology::Problem>,
    left_out: &mut Vec<LeftOutPart>,
) {
    let mut subjects: BTreeSet<Subject> = BTreeSet::new();
    loop {
        let before = subjects.len();
        for problem in problems.extract_if(.., |problem| problem.subject.is_some()) {
            let Some(subject) = problem.subject.clone() else { continue };
            if subjects.insert(subject.clone()) {
                left_out.push(LeftOutPart { subject, problem });
            }
        }
        if subjects.len() == before {
            return;
        }
        problems.extend(check(topology, &subjects, facts));
    }
}

/// The topology without the nodes that are left out. Its links may end nowhere.
pub(crate) fn without(topology: &Topology, left_out: &[LeftOutPart]) -> Topology {
    let mut rest = topology.clone();
    rest.nodes.retain(|node| !left_out.iter().any(|part| part.subject == Subject::Node(node.name.clone())));
    rest
}

/// The draft of a deployment.
pub(crate) fn deployment(
    now: &Now,
    topology: Topology,
    left_out: Vec<LeftOutPart>,
    request: &DeployRequest,
    files: BTreeMap<String, Vec<u8>>,
) -> (Draft, Note) {
    let lab = topology.name.clone();
    let before = now.revisions.get(&lab).and_then(|revision| revision.wish.present());
    let mut wishes = before.map(|before| before.carried_to(&topology)).unwrap_or_default();
    wishes.left_out = left_out;
    for node in request.reload.iter().filter(|node| topology.node(node.as_str()).is_some()) {
        *wishes.reloads.entry(node.clone()).or_default() += 1;
    }
    let file = format!("{}/{}", topology.source.directory, topology.source.file);
    let what = if before.is_some() { "changed" } else { "deployed" };
    let note = Note {
        at_ms: clock::now_ms(),
        lab: Some(lab.clone()),
        kind: "deploy",
        subject: None,
        message: format!("{what} from {file}"),
        detail: json!({ "file": file, "left_out": wishes.left_out.len(), "reload": request.reload }),
    };
    let hashed: BTreeMap<String, Vec<u8>> = files.values().map(|content| (hash(content), content.clone())).collect();
    let files = files.into_iter().map(|(path, content)| (path, hash(&content))).collect();
    let wish = Wish::Present(Box::new(Present { topology, wishes, files }));
    (Draft::new(lab, wish, hashed), note)
}

/// Nodes that are to be reloaded and are not in the file.
pub(crate) fn unknown_reloads(topology: &Topology, request: &DeployRequest) -> Option<Box<Problem>> {
    let unknown = request.reload.iter().find(|node| topology.node(node.as_str()).is_none())?;
    Some(Box::new(node_unknown(&topology.name, unknown)))
}

/// The files that the reading consumed: their content belongs to the revision.
fn consumed(topology: &Topology) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for node in &topology.nodes {
        let definition = &node.definition;
        let named = definition.env_files.iter().chain(&definition.startup_config).chain(&definition.license);
        for name in named.filter(|name| !name.contains('\n')) {
            let path = Path::new(&topology.source.directory).join(name);
            // What is no file need not end: /dev/zero.
            if path.is_file()
                && let Ok(content) = std::fs::read(&path)
            {
                files.insert(path.display().to_string(), content);
            }
        }
    }
    files
}

fn hash(content: &[u8]) -> String {
    Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The draft of a destruction.
pub(crate) fn destruction(now: &Now, lab: &LabName) -> Result<(Draft, Note), Box<Problem>> {
    now.revision(lab).ok_or_else(|| Box::new(lab_unknown(lab)))?;
    let note = note(lab, "destroy", None, "wanted gone".into());
    Ok((Draft::new(lab.clone(), Wish::Gone, BTreeMap::new()), note))
}

/// The draft of what is wished of a node.
pub(crate) fn node_wish(
    now: &Now,
    lab: &LabName,
    node: &NodeName,
    action: NodeAction,
) -> Result<(Draft, Note), Box<Problem>> {
    let revision = now.revision(lab).ok_or_else(|| Box::new(lab_unknown(lab)))?;
    let present = revision.wish.present().ok_or_else(|| Box::new(lab_unknown(lab)))?;
    let declared = present.topology.node(node.as_str()).ok_or_else(|| Box::new(node_unknown(lab, node)))?;
    if !declared.runtime().runs() {
        return Err(Box::new(without_process(declared)));
    }
    let mut present = present.clone();
    change(&mut present.wishes, node, action, has_ended(now, lab, node));
    let draft = Draft::new(lab.clone(), Wish::Present(Box::new(present)), BTreeMap::new());
    Ok((draft, note(lab, "wish", Some(node.to_string()), format!("{action} wanted"))))
}

/// Whether the node ended by itself and stays so.
fn has_ended(now: &Now, lab: &LabName, node: &NodeName) -> bool {
    let spec = now.part(lab).and_then(|part| part.node(node));
    let report = spec.zip(now.heard.as_ref()).and_then(|(spec, heard)| heard.report.nodes.get(&spec.container));
    report.is_some_and(|report| report.at_rest)
}

fn change(wishes: &mut Wishes, node: &NodeName, action: NodeAction, has_ended: bool) {
    match action {
        NodeAction::Start => {
            let was_stopped = wishes.stopped.remove(node);
            // Its restart policy may be to stay ended: that it is wanted again must be said.
            if was_stopped || has_ended {
                *wishes.restarts.entry(node.clone()).or_default() += 1;
            }
        }
        NodeAction::Stop => drop(wishes.stopped.insert(node.clone())),
        NodeAction::Restart => {
            wishes.stopped.remove(node);
            *wishes.restarts.entry(node.clone()).or_default() += 1;
        }
    }
}

pub(crate) fn note(lab: &LabName, kind: &'static str, subject: Option<String>, message: String) -> Note {
    Note { at_ms: clock::now_ms(), lab: Some(lab.clone()), kind, subject, message, detail: json!({}) }
}

/// There is no such lab.
pub(crate) fn lab_unknown(lab: &LabName) -> Problem {
    Problem::new(404, codes::LAB_UNKNOWN, format!("there is no lab {lab}")).hint("`archetype inspect` lists the labs")
}

/// There is no such node.
pub(crate) fn node_unknown(lab: &LabName, node: &NodeName) -> Problem {
    Problem::new(404, codes::NODE_UNKNOWN, format!("lab {lab} has no node {node}"))
        .hint(format!("`archetype inspect {lab}` lists its nodes"))
}

/// The node is a bridge.
pub(crate) fn without_process(node: &topology::NodeDecl) -> Problem {
    let (what, hint) = match node.runtime() {
        topology::RuntimeKind::Host => ("the host itself", "name one of the nodes that something runs in"),
        _ => ("a bridge", "name one of the nodes that are on it"),
    };
    Problem::new(409, codes::NODE_WITHOUT_PROCESS, format!("{} is {what}; nothing runs in it", node.name)).hint(hint)
}

/// The file has problems.
pub(crate) fn refused(problems: Vec<topology::Problem>) -> Problem {
    let count = problems.len();
    let noun = if count == 1 { "problem" } else { "problems" };
    let detail = format!("the topology has {count} {noun}; nothing was changed");
    let hint = "mend the file, or leave out what cannot run with --partial";
    Problem::new(422, codes::TOPOLOGY_REFUSED, detail)
        .hint(hint)
        .with(problems.into_iter().map(FileProblem::from).collect())
}
