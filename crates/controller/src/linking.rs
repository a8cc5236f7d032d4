//! From what users ask of a link to drafts of revisions: up, down, added, removed.
//!
//! What is added or removed changes the topology as it was declared, in the store and not in the
//! user's file: the next deployment of the file brings back what the file says.

use std::collections::BTreeMap;

use archetype_api::{LinkAction, Problem, codes};
use archetype_kinds::Unfit;
use archetype_model::topology::{
    EndpointDecl, LinkDecl, LinkKind, NetworkMode, NodeDecl, Place, Position, Subject, Topology,
};
use archetype_model::{InterfaceName, LabName, NodeName};

use crate::now::Now;
use crate::planning::NotTaken;
use crate::store::{Draft, Note, Present, Wish, link_id};
use crate::wishing::{lab_unknown, node_unknown, note};

/// What is wished of a link of a lab.
pub(crate) struct LinkWish<'a> {
    pub lab: &'a LabName,
}

impl LinkWish<'_> {
    /// The draft of a link that is to be up or down.
    pub fn action(&self, now: &Now, named: &str, action: LinkAction) -> Result<(Draft, Note), Box<Problem>> {
        let mut present = self.present(now)?;
        let index = self.find(&present.topology, named)?;
        let link = &present.topology.links[index];
        let id = link_id(&present.topology, link).ok_or_else(|| Box::new(link_unknown(self.lab, named)))?;
        let subject = id.to_string();
        match action {
            LinkAction::Up => drop(present.wishes.links_down.remove(&id)),
            LinkAction::Down => drop(present.wishes.links_down.insert(id)),
        }
        Ok(self.draft(present, subject, format!("{action} wanted")))
    }

    /// The draft of a lab with one link more, and the link's place in its topology.
    pub fn add(&self, now: &Now, ends: &[String; 2]) -> Result<((Draft, Note), usize), Box<Problem>> {
        let mut present = self.present(now)?;
        let topology = &mut present.topology;
        let [a, b] = [self.endpoint(topology, &ends[0])?, self.endpoint(topology, &ends[1])?];
        for end in [&a, &b] {
            self.must_be_free(topology, end)?;
        }
        let link = joined(a, b)?;
        let subject = link_id(topology, &link).map(|id| id.to_string()).unwrap_or_default();
        let place = topology.links.len();
        topology.links.push(link);
        Ok((self.draft(present, subject, "added".into()), place))
    }

    /// The draft of a lab with one link less.
    pub fn remove(&self, now: &Now, named: &str) -> Result<(Draft, Note), Box<Problem>> {
        let mut present = self.present(now)?;
        let index = self.find(&present.topology, named)?;
        let link = present.topology.links.remove(index);
        let id = link_id(&present.topology, &link);
        if let Some(id) = &id {
            present.wishes.links_down.remove(id);
        }
        move_up(&mut present, index);
        Ok(self.draft(present, id.map(|id| id.to_string()).unwrap_or_default(), "removed".into()))
    }

    /// The place in the file of the link of this name: its id, one of its ends, or both joined by `--`.
    pub fn index(&self, now: &Now, named: &str) -> Result<usize, Box<Problem>> {
        let revision = now.revision(self.lab).ok_or_else(|| Box::new(lab_unknown(self.lab)))?;
        let present = revision.wish.present().ok_or_else(|| Box::new(link_unknown(self.lab, named)))?;
        self.find(&present.topology, named)
    }

    fn present(&self, now: &Now) -> Result<Present, Box<Problem>> {
        let revision = now.revision(self.lab).ok_or_else(|| Box::new(lab_unknown(self.lab)))?;
        revision.wish.present().cloned().ok_or_else(|| Box::new(lab_unknown(self.lab)))
    }

    fn draft(&self, present: Present, subject: String, message: String) -> (Draft, Note) {
        let draft = Draft::new(self.lab.clone(), Wish::Present(Box::new(present)), BTreeMap::new());
        (draft, note(self.lab, "wish", Some(format!("link {subject}")), message))
    }

    /// The link of this name: its id, or one or both of its ends, in whatever spelling.
    fn find(&self, topology: &Topology, named: &str) -> Result<usize, Box<Problem>> {
        let wanted = readings(named);
        let has = |link: &LinkDecl, said: &Said<'_>| link.endpoints.iter().any(|end| means(topology, said, end));
        let is_it = |link: &LinkDecl| wanted.iter().any(|ends| ends.iter().all(|said| has(link, said)));
        let found = topology.links.iter().position(is_it);
        found.ok_or_else(|| Box::new(link_unknown(self.lab, named)))
    }

    /// An end as a user names it, read as one of the file would be.
    fn endpoint(&self, topology: &Topology, text: &str) -> Result<EndpointDecl, Box<Problem>> {
        let parts = text.split_once(':').filter(|(node, interface)| !node.is_empty() && !interface.is_empty());
        let (node, interface) = parts.ok_or_else(|| {
            let detail = format!("{text:?} is not of the form node:interface");
            Box::new(Problem::new(422, "bad-endpoint", detail).hint("write for instance r1:eth1"))
        })?;
        let declared = topology.node(node);
        let place = match (declared, node) {
            (Some(_), _) => Place::Node,
            (None, "host") => Place::Host,
            (None, "mgmt-net") => Place::MgmtNet,
            (None, _) => return Err(Box::new(self.no_node(node))),
        };
        let linux = linux_name(declared, interface).map_err(|unfit| {
            let code = if unfit.is_reserved() { "interface-reserved" } else { "invalid-interface" };
            let hint = unfit.hint().unwrap_or_else(|| "see `archetype kinds` for the names of ports".into());
            Box::new(Problem::new(422, code, format!("{node}:{unfit}")).hint(hint))
        })?;
        Ok(EndpointDecl {
            place,
            node: node.to_owned(),
            interface: interface.to_owned(),
            linux_interface: Some(linux),
            mac: None,
            ipv4: None,
            ipv6: None,
            vars: BTreeMap::new(),
            position: Position::START,
        })
    }

    fn no_node(&self, node: &str) -> Problem {
        match NodeName::new(node) {
            Ok(name) => node_unknown(self.lab, &name),
            Err(error) => Problem::new(422, "bad-name", error.to_string()).hint("write for instance r1:eth1"),
        }
    }

    /// Whether no other link ends at an interface.
    fn must_be_free(&self, topology: &Topology, end: &EndpointDecl) -> Result<(), Box<Problem>> {
        let said = (end.node.as_str(), end.interface.as_str());
        let holds = |link: &&LinkDecl| link.endpoints.iter().any(|end| means(topology, &said, end));
        let Some(link) = topology.links.iter().find(holds) else { return Ok(()) };
        let shown = format!("{}:{}", end.node, end.interface);
        let id = link_id(topology, link).map(|id| id.to_string()).unwrap_or_default();
        let detail = format!("{shown} is an end of the link {id} already");
        let hint = format!("remove that one first: archetype link {} rm {shown}", self.lab);
        Err(Box::new(Problem::new(422, "interface-used-twice", detail).hint(hint)))
    }
}

/// An end as a user names it: a node, and one of its interfaces.
type Said<'a> = (&'a str, &'a str);

/// What a name of a link may mean: one end, or two of them joined by `--`.
fn readings(named: &str) -> Vec<Vec<Said<'_>>> {
    let mut readings: Vec<Vec<Said<'_>>> = named.split_once(':').into_iter().map(|end| vec![end]).collect();
    for (at, joint) in named.match_indices("--") {
        let both = named[..at].split_once(':').zip(named[at + joint.len()..].split_once(':'));
        readings.extend(both.map(|(a, b)| vec![a, b]));
    }
    readings
}

/// Whether a user means this end, by its node or by the one in whose network it is: as the file writes
/// it, as Linux calls it, or by any name that the node's kind has for the port.
fn means(topology: &Topology, (node, said): &Said<'_>, end: &EndpointDecl) -> bool {
    let linux = end.linux_interface.as_ref().map_or(end.interface.as_str(), |linux| linux.as_str());
    let kind = topology.node(node).map_or("", |node| node.kind.as_str());
    let is_its = || end.node == *node || topology.end_ref(end).is_some_and(|end| end.node.as_str() == *node);
    is_its() && (*said == end.interface || archetype_kinds::same_port(kind, linux, said))
}

/// What an interface is called in Linux: as in a file, or by any other spelling that its kind has.
fn linux_name(node: Option<&NodeDecl>, said: &str) -> Result<InterfaceName, Unfit> {
    let Some((node, kind)) = node.and_then(|node| Some((node, archetype_kinds::find(&node.kind)?))) else {
        return archetype_kinds::in_linux(said);
    };
    let on_network = kind.needs_image() && node.network_mode() != NetworkMode::None;
    kind.in_file(said, on_network).or_else(|unfit| match (&unfit, kind.canonical(said)) {
        (Unfit::Spelling { .. }, Some(name)) => kind.in_file(&name, on_network),
        _ => Err(unfit),
    })
}

/// The link of two ends: its kind follows from what they are.
fn joined(a: EndpointDecl, b: EndpointDecl) -> Result<LinkDecl, Box<Problem>> {
    let (a, b) = if a.place == Place::Node { (a, b) } else { (b, a) };
    if a.place != Place::Node {
        let detail = "both ends are outside of the lab's nodes".to_owned();
        return Err(Box::new(Problem::new(422, "bad-endpoint", detail).hint("one end must be a node of the lab")));
    }
    let kind = match b.place {
        Place::Host => LinkKind::Host,
        Place::MgmtNet => LinkKind::MgmtNet,
        Place::Node | Place::MacvlanParent => LinkKind::Veth,
    };
    Ok(LinkDecl {
        kind,
        endpoints: vec![a, b],
        mtu: None,
        labels: BTreeMap::new(),
        vars: BTreeMap::new(),
        position: Position::START,
    })
}

/// Links that are left out are named by their place in the list; those behind a removed one move up.
fn move_up(present: &mut Present, removed: usize) {
    present.wishes.left_out.retain_mut(|part| match &mut part.subject {
        Subject::Link(index) if *index == removed => false,
        Subject::Link(index) if *index > removed => {
            *index -= 1;
            true
        }
        _ => true,
    });
}

/// Why the link at this place, which nobody has in a file, cannot be planned; as it is where something else is wrong.
pub(crate) fn unfit(not_taken: NotTaken<Box<Problem>>, place: usize) -> NotTaken<Box<Problem>> {
    let NotTaken::Unplannable(problems) = &not_taken else { return not_taken };
    let Some(problem) = problems.iter().find(|problem| problem.subject == Some(Subject::Link(place))) else {
        return not_taken;
    };
    let refusal = Problem::new(422, &problem.code, problem.message.clone());
    NotTaken::Refused(Box::new(match problem.hint.clone() {
        Some(hint) => refusal.hint(hint),
        None => refusal,
    }))
}

/// There is no such link.
pub(crate) fn link_unknown(lab: &LabName, link: &str) -> Problem {
    Problem::new(404, codes::LINK_UNKNOWN, format!("lab {lab} has no link {link}"))
        .hint("name a link by its id or by one of its ends, as `node:interface`")
}
