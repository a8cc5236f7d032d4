//! What is wrong with a topology that can be seen from its file alone. Knows nothing of hosts.

mod addresses;
mod published;

use std::collections::{HashMap, HashSet};

use archetype_kinds::{Kind, Unfit};
use archetype_model::topology::codes::CODES;
use archetype_model::topology::{
    CARRIER_LABEL, EndpointDecl, LinkDecl, NetworkMode, NodeDecl, Place, Position, Problem, RUNTIME_LABEL, RuntimeKind,
    Subject, Topology,
};
use archetype_model::{ContainerName, InterfaceName};

use crate::kinds;
use crate::suggest::nearest;

/// Gives every end its Linux name and names everything that is wrong. `known` are all names the
/// file has under `nodes`, those that could not be read included; `before` is what was already wrong
/// with the values themselves.
pub fn check(topology: &mut Topology, known: &[String], before: &[Problem]) -> Vec<Problem> {
    let file = topology.source.shown.clone();
    let refused = before.iter().map(|problem| Position { line: problem.line, column: problem.column }).collect();
    let mut check = Check { file, refused, problems: Vec::new(), looked_for: 0 };
    check.nodes(topology);
    let mut links = std::mem::take(&mut topology.links);
    let nodes = Nodes { declared: &topology.nodes, known };
    links.iter_mut().enumerate().for_each(|(index, link)| check.ends(&nodes, index, &mut link.endpoints));
    check.used_twice(&nodes, &links);
    topology.links = links;
    check.link_labels(topology);
    check.addresses(topology);
    check.published(topology);
    check.problems
}

/// What becomes of carrier, and the values the label may have.
const CARRIER: (&str, [&str; 2]) = (CARRIER_LABEL, ["follow", "keep"]);

/// The nodes that could be read, and all there are.
struct Nodes<'t> {
    declared: &'t archetype_model::Nodes<NodeDecl>,
    /// All names that the file has under `nodes`.
    known: &'t [String],
}

struct Check {
    file: String,
    /// Where values stand that could not be read.
    refused: HashSet<Position>,
    problems: Vec<Problem>,
    /// How many names were compared with all others.
    looked_for: usize,
}

/// So many names are compared with all others: a file with more that are not known has one reason for all of them.
const COMPARED: usize = 100;
/// So many names are told where none is near.
const NAMED: usize = 10;

impl Check {
    fn add(&mut self, code: &'static str, at: Position, message: String) -> &mut Problem {
        debug_assert!(CODES.iter().any(|known| known.code == code), "{code} is not in the list");
        self.problems.push(Problem::new(code, &self.file, at, message));
        self.problems.last_mut().expect("one was just pushed")
    }

    fn nodes(&mut self, topology: &Topology) {
        let stated = topology.prefix.as_deref().filter(|prefix| !prefix.is_empty() && *prefix != "__lab-name");
        let refused = stated.and_then(|prefix| ContainerName::new(prefix).err());
        if let Some(error) = &refused {
            let at = topology.positions.get("prefix").copied().unwrap_or_default();
            self.add("bad-name", at, format!("the prefix cannot begin container names: {error}"));
        }
        for node in &topology.nodes {
            self.kind_and_image(topology, node);
            if refused.is_none() {
                self.container_name(topology, node);
            }
            self.others(topology, node);
            self.labels(topology, node);
            self.bridges_network(topology, node);
        }
    }

    fn kind_and_image(&mut self, topology: &Topology, node: &NodeDecl) {
        let subject = Some(Subject::Node(node.name.clone()));
        let at = || topology.position_of_key(node, "kind");
        if node.kind.is_empty() {
            let at = at();
            if self.refused.contains(&at) {
                return;
            }
            let problem = self.add("missing-kind", at, format!("node {} has no kind", node.name));
            problem.hint = Some("add \"kind: linux\" to the node, its group or the defaults".into());
            problem.subject = subject;
            return;
        }
        let Some(kind) = archetype_kinds::find(&node.kind) else {
            let problem = self.add("unknown-kind", at(), format!("node {}: unknown kind {:?}", node.name, node.kind));
            problem.hint = Some(kinds::hint(&node.kind));
            problem.subject = subject;
            return;
        };
        self.variant(topology, node, kind);
        let imageless = node.runtime() != RuntimeKind::Container || !kind.needs_image();
        // An image that is stated and could not be read has its own problem already.
        let stated = || topology.position_of_key(node, "image") != node.position;
        if node.definition.image.is_none() && !imageless && !stated() {
            let problem = self.add("missing-image", node.position, format!("node {} has no image", node.name));
            let hint = "add \"image:\" to the node, its group, its kind or the defaults; or the label \
                        \"archetype.runtime: namespace\" to run it without one";
            problem.hint = Some(hint.into());
            problem.subject = subject;
        }
    }

    /// `type` is one of those that the kind has, where it has some.
    fn variant(&mut self, topology: &Topology, node: &NodeDecl, kind: &Kind) {
        let Some(types) = &kind.types else { return };
        let Some(written) = &node.definition.variant else {
            if types.required {
                let message = format!("node {}: a node of kind {} must have a type", node.name, node.kind);
                let problem = self.add("missing-value", node.position, message);
                problem.hint = Some(format!("types: {}", types.names.join(", ")));
                problem.subject = Some(Subject::Node(node.name.clone()));
            }
            return;
        };
        if types.has(written) {
            return;
        }
        let at = topology.position_of_key(node, "type");
        let message = format!("node {}: kind {} has no type {written:?}", node.name, node.kind);
        let problem = self.add("unknown-type", at, message);
        problem.hint = Some(match nearest(written, types.names.iter().map(String::as_str)) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("types: {}", types.names.join(", ")),
        });
        problem.subject = Some(Subject::Node(node.name.clone()));
    }

    /// A bridge stands on the host or in the network of another container, and nowhere else.
    fn bridges_network(&mut self, topology: &Topology, node: &NodeDecl) {
        let Some(mode) = node.definition.network_mode.as_ref().filter(|_| node.kind == "bridge") else { return };
        if matches!(mode, NetworkMode::Host | NetworkMode::Container(_)) {
            return;
        }
        let at = topology.position_of_key(node, "network-mode");
        let message = format!("node {}: a bridge cannot have network-mode {:?}", node.name, mode.to_string());
        let problem = self.add("bad-value", at, message);
        problem.hint = Some("leave it out, or write container: and the name of the node it stands in".into());
        problem.subject = Some(Subject::Node(node.name.clone()));
    }

    fn container_name(&mut self, topology: &Topology, node: &NodeDecl) {
        let runs = node.runtime().runs();
        if let (Err(error), true) = (topology.container_name(&node.name), runs) {
            let message = format!("node {}: {error}", node.name);
            self.add("bad-container-name", node.position, message).subject = Some(Subject::Node(node.name.clone()));
        }
    }

    /// Labels that speak to us have values that are known.
    fn labels(&mut self, topology: &Topology, node: &NodeDecl) {
        for (label, values) in [(RUNTIME_LABEL, ["namespace", "container"]), CARRIER] {
            let Some(value) = node.definition.labels.get(label) else { continue };
            self.label((label, values), value, || {
                let at = topology.position_of_key(node, &format!("labels.{label}"));
                (at, format!("node {}", node.name), Subject::Node(node.name.clone()))
            });
        }
    }

    /// `whose` finds out where a value stands that cannot be, and whose label it is.
    fn label(&mut self, known: (&str, [&str; 2]), value: &str, whose: impl FnOnce() -> (Position, String, Subject)) {
        let (label, values) = known;
        if values.contains(&value) {
            return;
        }
        let (at, what, subject) = whose();
        let problem = self.add("bad-value", at, format!("{what}: the label {label} cannot be {value:?}"));
        problem.hint = Some(format!("it can be {} or {}", values[0], values[1]));
        problem.subject = Some(subject);
    }

    fn link_labels(&mut self, topology: &Topology) {
        for (index, link) in topology.links.iter().enumerate() {
            let Some(value) = link.labels.get(CARRIER_LABEL) else { continue };
            self.label(CARRIER, value, || {
                let path = format!("topology.links[{index}].labels.{CARRIER_LABEL}");
                let at = topology.positions.get(&path).copied().unwrap_or(link.position);
                (at, format!("link {index}"), Subject::Link(index))
            });
        }
    }

    /// Nodes that others refer to by name: network-mode and stages.
    fn others(&mut self, topology: &Topology, node: &NodeDecl) {
        let Some(stages) = &node.definition.stages else { return };
        for (stage, wait) in stages.0.iter().flat_map(|(stage, of)| of.wait_for.iter().map(move |wait| (stage, wait))) {
            if topology.node(&wait.node).is_none() {
                let named = topology.position_of_stated(node, &format!("stages.{stage}.wait-for.{}", wait.node));
                let at = named.unwrap_or_else(|| topology.position_of_key(node, "stages"));
                let message = format!("node {} waits for {:?}, which is no node of the topology", node.name, wait.node);
                let hint = self.instead_of(&wait.node, topology.nodes.iter().map(|n| n.name.as_str()));
                self.add("unknown-node", at, message).hint = Some(hint);
            }
        }
    }

    /// Whether each end's node exists, and what its interface is called in Linux.
    fn ends(&mut self, nodes: &Nodes<'_>, index: usize, ends: &mut [EndpointDecl]) {
        let before = self.problems.len();
        for end in ends {
            end.linux_interface = self.linux_interface(nodes, end);
        }
        for problem in &mut self.problems[before..] {
            problem.subject = Some(Subject::Link(index));
        }
    }

    fn linux_interface(&mut self, nodes: &Nodes<'_>, end: &EndpointDecl) -> Option<InterfaceName> {
        let node = match (end.place, nodes.declared.named(end.node.as_str())) {
            (Place::Node, None) => {
                self.unknown_node(nodes.known, end);
                None
            }
            (Place::Node, Some(node)) => Some(node),
            _ => None,
        };
        let kind = node.and_then(|node| archetype_kinds::find(&node.kind));
        let name = match (node, kind) {
            (Some(node), Some(kind)) => {
                let on_network = kind.needs_image() && node.network_mode() != NetworkMode::None;
                kind.in_file(&end.interface, on_network)
            }
            // It is there, and no link makes it.
            _ if end.place == Place::MacvlanParent => InterfaceName::new(&end.interface).map_err(Unfit::from),
            _ => archetype_kinds::in_linux(&end.interface),
        };
        name.map_err(|unfit| {
            let code = if unfit.is_reserved() { "interface-reserved" } else { "invalid-interface" };
            let problem = self.add(code, end.position, format!("{}:{unfit}", end.node));
            problem.hint = unfit.hint().or(problem.hint.take());
        })
        .ok()
    }

    fn unknown_node(&mut self, known: &[String], end: &EndpointDecl) {
        if known.contains(&end.node) {
            return;
        }
        let message =
            format!("{}:{} ends at {:?}, which is no node of the topology", end.node, end.interface, end.node);
        let hint = self.instead_of(&end.node, known.iter().map(String::as_str));
        self.add("unknown-node", end.position, message).hint = Some(hint);
    }

    /// The node that may be meant by a name, or what the nodes are called.
    fn instead_of<'k>(&mut self, word: &str, known: impl Iterator<Item = &'k str> + Clone) -> String {
        self.looked_for += 1;
        let near = (self.looked_for <= COMPARED).then(|| nearest(word, known.clone())).flatten();
        if let Some(name) = near {
            return format!("did you mean {name:?}?");
        }
        let mut rest = known;
        let named: Vec<&str> = rest.by_ref().take(NAMED).collect();
        match rest.count() {
            0 => format!("nodes: {}", named.join(", ")),
            more => format!("nodes: {} and {more} more", named.join(", ")),
        }
    }

    /// Each interface of a node, and each device of the host, ends one link only.
    fn used_twice(&mut self, nodes: &Nodes<'_>, links: &[LinkDecl]) {
        let mut seen: HashMap<(&str, String), (usize, &EndpointDecl)> = HashMap::new();
        for (index, link) in links.iter().enumerate() {
            self.one_address(index, &link.endpoints);
            for end in link.endpoints.iter().filter(|end| end.place != Place::MacvlanParent) {
                let Some(interface) = &end.linux_interface else { continue };
                let node = nodes.declared.named(end.node.as_str()).filter(|_| end.place == Place::Node);
                let port = (namespace(nodes, end, node), port(node, interface));
                let Some((of, first)) = seen.insert(port, (index, end)) else { continue };
                let spelled = |end: &EndpointDecl| format!("{}:{}", end.node, end.interface);
                let also = match spelled(first) == spelled(end) {
                    true => String::new(),
                    false => format!(" (as {})", spelled(first)),
                };
                let (what, which) = match of == index {
                    true => ("both ends of one link", "ends"),
                    false => ("the end of two links", "links"),
                };
                let message = format!("{} is {what}: here and at {}{also}", spelled(end), first.position);
                let problem = self.add("interface-used-twice", end.position, message);
                problem.hint = Some(format!("give one of the two {which} an interface of its own"));
                problem.subject = Some(Subject::Link(index));
                problem.also = Some(first.position);
            }
        }
    }

    /// The ends of a link have different MAC addresses.
    fn one_address(&mut self, index: usize, ends: &[EndpointDecl]) {
        if let [EndpointDecl { mac: Some(first), .. }, end @ EndpointDecl { mac: Some(second), .. }] = ends
            && first == second
        {
            let message = format!("both ends of the link have the MAC address {first}");
            self.add("mac-twice", end.position, message).subject = Some(Subject::Link(index));
        }
    }
}

/// What all names of one port have in common: names of a device's ports have several spellings.
fn port(node: Option<&NodeDecl>, interface: &InterfaceName) -> String {
    match node.and_then(|node| archetype_kinds::find(&node.kind)) {
        Some(kind) => kind.port_key(interface.as_str()),
        None => interface.to_string(),
    }
}

/// What interface names are unique within: a node, that of another whose network it uses, or the
/// host's own network for the host, the management bridge, bridges, and nodes that use the host's.
fn namespace<'e>(nodes: &Nodes<'e>, end: &'e EndpointDecl, node: Option<&'e NodeDecl>) -> &'e str {
    const HOST: &str = "";
    if end.place != Place::Node {
        return HOST;
    }
    match node {
        // A bridge inside another node's namespace.
        Some(node) if node.name.as_str().contains('|') => &end.node,
        Some(node) if !node.runtime().runs() => HOST,
        Some(node) => match node.network_mode() {
            NetworkMode::Host => HOST,
            NetworkMode::Container(other) => match nodes.declared.named(other.as_str()) {
                Some(owner) if owner.network_mode() == NetworkMode::Host => HOST,
                Some(owner) => owner.name.as_str(),
                None => &end.node,
            },
            _ => &end.node,
        },
        None => &end.node,
    }
}
