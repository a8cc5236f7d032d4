//! What is wrong with a topology that can be seen from its file alone. Knows nothing of hosts.

use std::collections::HashMap;
use std::net::IpAddr;

use archetype_model::topology::{
    EndpointDecl, NetworkMode, NodeDecl, Place, Position, Problem, RuntimeKind, Subject, Subnet, Topology,
};
use archetype_model::{ContainerName, InterfaceName};

use crate::suggest::nearest;
use crate::{interfaces, kinds};

/// Gives every end its Linux name and names everything that is wrong. `known` are all names the
/// file has under `nodes`, those that could not be read included.
pub fn check(topology: &mut Topology, known: &[String]) -> Vec<Problem> {
    let file = topology.source.shown.clone();
    let mut check = Check { file, problems: Vec::new() };
    check.nodes(topology);
    check.ends(topology, known);
    check.used_twice(topology);
    check.addresses(topology);
    check.problems
}

struct Check {
    file: String,
    problems: Vec<Problem>,
}

impl Check {
    fn add(&mut self, code: &'static str, at: Position, message: String) -> &mut Problem {
        self.problems.push(Problem::new(code, &self.file, at, message));
        self.problems.last_mut().expect("one was just pushed")
    }

    fn nodes(&mut self, topology: &Topology) {
        let mut containers: HashMap<String, &NodeDecl> = HashMap::new();
        if let Some(Err(error)) =
            topology.prefix.as_deref().filter(|p| !p.is_empty() && *p != "__lab-name").map(ContainerName::new)
        {
            let at = topology.positions.get("prefix").copied().unwrap_or_default();
            self.add("bad-name", at, format!("the prefix cannot begin container names: {error}"));
        }
        for node in &topology.nodes {
            self.kind_and_image(topology, node);
            self.names(topology, node, &mut containers);
            self.others(topology, node);
        }
    }

    fn kind_and_image(&mut self, topology: &Topology, node: &NodeDecl) {
        let subject = Some(Subject::Node(node.name.clone()));
        if node.kind.is_empty() && topology.position_of_key(node, "kind") != node.position {
            return;
        }
        if node.kind.is_empty() {
            let problem = self.add("missing-kind", node.position, format!("node {} has no kind", node.name));
            problem.hint = Some("add \"kind: linux\" to the node, its group or the defaults".into());
            problem.subject = subject;
            return;
        }
        if !kinds::is_known(&node.kind) {
            let at = topology.position_of_key(node, "kind");
            let problem = self.add("unknown-kind", at, format!("node {}: unknown kind {:?}", node.name, node.kind));
            problem.hint = Some(kinds::hint(&node.kind));
            problem.subject = subject;
            return;
        }
        let imageless = node.runtime() != RuntimeKind::Container || !kinds::needs_image(&node.kind);
        // An image that is stated and could not be read has its own problem already.
        let stated = topology.position_of_key(node, "image") != node.position;
        if node.definition.image.is_none() && !imageless && !stated {
            let problem = self.add("missing-image", node.position, format!("node {} has no image", node.name));
            let hint = "add \"image:\" to the node, its group, its kind or the defaults; or the label \
                        \"archetype.runtime: namespace\" to run it without one";
            problem.hint = Some(hint.into());
            problem.subject = subject;
        }
    }

    fn names<'t>(&mut self, topology: &'t Topology, node: &'t NodeDecl, seen: &mut HashMap<String, &'t NodeDecl>) {
        if node.runtime() == RuntimeKind::Bridge {
            return;
        }
        match topology.container_name(&node.name) {
            // A prefix that is refused is named once, not for each node.
            Err(_) if ContainerName::new(node.name.as_str()).is_ok() => {}
            Err(error) => {
                self.add("bad-container-name", node.position, format!("node {}: {error}", node.name)).subject =
                    Some(Subject::Node(node.name.clone()));
            }
            Ok(name) => {
                if let Some(other) = seen.insert(name.to_string(), node) {
                    let message = format!("nodes {} and {} would both be called {name}", other.name, node.name);
                    self.add("container-name-twice", node.position, message);
                }
            }
        }
    }

    /// Nodes that others refer to by name: network-mode and stages.
    fn others(&mut self, topology: &Topology, node: &NodeDecl) {
        let Some(stages) = &node.definition.stages else { return };
        for wait in stages.0.values().flat_map(|stage| &stage.wait_for) {
            if topology.node(&wait.node).is_none() {
                let at = topology.position_of_key(node, "stages");
                let message = format!("node {} waits for {:?}, which is no node of the topology", node.name, wait.node);
                let hint = nearest(&wait.node, topology.nodes.iter().map(|n| n.name.as_str()));
                self.add("unknown-node", at, message).hint = hint.map(|name| format!("did you mean {name:?}?"));
            }
        }
    }

    /// Whether each end's node exists, and what its interface is called in Linux.
    fn ends(&mut self, topology: &mut Topology, known: &[String]) {
        let mut links = std::mem::take(&mut topology.links);
        for (index, link) in links.iter_mut().enumerate() {
            for end in &mut link.endpoints {
                let before = self.problems.len();
                end.linux_interface = self.linux_interface(topology, known, end);
                for problem in &mut self.problems[before..] {
                    problem.subject = Some(Subject::Link(index));
                }
            }
        }
        topology.links = links;
    }

    fn linux_interface(&mut self, topology: &Topology, known: &[String], end: &EndpointDecl) -> Option<InterfaceName> {
        let mut kind = "";
        if end.place == Place::Node {
            match topology.node(&end.node) {
                Some(node) if self.is_reserved(node, end) => return None,
                Some(node) => kind = &node.kind,
                None => self.unknown_node(known, end),
            }
        }
        let name = interfaces::linux_name(kind, &end.interface);
        match name.and_then(|name| InterfaceName::new(name).map_err(|error| error.to_string())) {
            Ok(name) => Some(name),
            Err(why) => {
                let message = format!("{}:{}: {why}", end.node, end.interface);
                self.add("invalid-interface", end.position, message);
                None
            }
        }
    }

    fn unknown_node(&mut self, known: &[String], end: &EndpointDecl) {
        if known.contains(&end.node) {
            return;
        }
        let message =
            format!("{}:{} ends at {:?}, which is no node of the topology", end.node, end.interface, end.node);
        let hint = match nearest(&end.node, known.iter().map(String::as_str)) {
            Some(name) => format!("did you mean {name:?}?"),
            None => format!("nodes: {}", known.join(", ")),
        };
        self.add("unknown-node", end.position, message).hint = Some(hint);
    }

    /// eth0, and SR Linux' mgmt0, belong to the management network unless the node is on none.
    fn is_reserved(&mut self, node: &NodeDecl, end: &EndpointDecl) -> bool {
        let own = match node.kind.as_str() {
            "nokia_srlinux" | "srl" => "mgmt0",
            _ => "eth0",
        };
        let free = !kinds::needs_image(&node.kind) || node.network_mode() == NetworkMode::None;
        if end.interface != own || free {
            return false;
        }
        let message = format!("{}:{own} is the node's interface on the management network", node.name);
        self.add("interface-reserved", end.position, message).hint =
            Some("use another, or \"network-mode: none\" for a node without management network".into());
        true
    }

    /// Each interface of a node, and each device of the host, ends one link only.
    fn used_twice(&mut self, topology: &Topology) {
        let mut seen: HashMap<(String, &str), &EndpointDecl> = HashMap::new();
        for (index, link) in topology.links.iter().enumerate() {
            self.one_address(index, &link.endpoints);
            for end in link.endpoints.iter().filter(|end| end.place != Place::MacvlanParent) {
                let Some(interface) = &end.linux_interface else { continue };
                let Some(first) = seen.insert((namespace(topology, end), interface.as_str()), end) else { continue };
                let spelled = |end: &EndpointDecl| format!("{}:{}", end.node, end.interface);
                let also = match spelled(first) == spelled(end) {
                    true => String::new(),
                    false => format!(" (as {})", spelled(first)),
                };
                let message = format!("{} is the end of two links: here and at {}{also}", spelled(end), first.position);
                let problem = self.add("interface-used-twice", end.position, message);
                problem.hint = Some("give one of the two links an interface of its own".into());
                problem.subject = Some(Subject::Link(index));
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

    fn addresses(&mut self, topology: &Topology) {
        let mut seen: HashMap<IpAddr, &NodeDecl> = HashMap::new();
        for node in &topology.nodes {
            let stated = [
                ("mgmt-ipv4", node.definition.mgmt_ipv4.map(IpAddr::from)),
                ("mgmt-ipv6", node.definition.mgmt_ipv6.map(IpAddr::from)),
            ];
            for (key, address) in stated {
                let Some(address) = address else { continue };
                let at = topology.position_of_key(node, key);
                if let Some(first) = seen.insert(address, node) {
                    let line = topology.position_of_key(first, key);
                    let message = format!(
                        "management address {address} is given to {} here and to {} at {line}",
                        node.name, first.name
                    );
                    self.add("management-address-twice", at, message).subject = Some(Subject::Node(node.name.clone()));
                }
                self.in_subnet(topology, node, address, at);
            }
        }
    }

    fn in_subnet(&mut self, topology: &Topology, node: &NodeDecl, address: IpAddr, at: Position) {
        let mgmt = &topology.mgmt;
        // Where the file states no subnet, the installation's may differ from the usual ones.
        if !mgmt.states_subnet() {
            return;
        }
        let (subnet, gateway) = match address {
            IpAddr::V4(_) => (net(mgmt.ipv4_subnet), mgmt.ipv4_gw.map(IpAddr::from)),
            IpAddr::V6(_) => (net(mgmt.ipv6_subnet), mgmt.ipv6_gw.map(IpAddr::from)),
        };
        let message = match subnet {
            Some(subnet) if !subnet.contains(&address) => {
                format!("node {}: {address} is outside of the management subnet {subnet}", node.name)
            }
            Some(subnet) if is_end(&subnet, address) => {
                format!("node {}: {address} is no host's address in {subnet}", node.name)
            }
            _ if gateway == Some(address) => {
                format!("node {}: {address} is the management network's gateway", node.name)
            }
            _ => return,
        };
        self.add("management-address-outside", at, message).subject = Some(Subject::Node(node.name.clone()));
    }
}

fn net<T: Into<ipnet::IpNet>>(subnet: Option<Subnet<T>>) -> Option<ipnet::IpNet> {
    match subnet {
        Some(Subnet::Net(net)) => Some(net.into()),
        _ => None,
    }
}

/// Whether an IPv4 address is its subnet's own or its broadcast address, an IPv6 one its own.
fn is_end(subnet: &ipnet::IpNet, address: IpAddr) -> bool {
    let wide = subnet.prefix_len() + 1 < subnet.max_prefix_len();
    wide && (subnet.network() == address || (address.is_ipv4() && subnet.broadcast() == address))
}

/// What interface names are unique within: a node, or the host's own network for the host, the
/// management bridge, bridges, and nodes that use the host's network.
fn namespace(topology: &Topology, end: &EndpointDecl) -> String {
    let on_host = match topology.node(&end.node) {
        _ if end.place != Place::Node => true,
        Some(node) => {
            node.kind == "host" || node.runtime() == RuntimeKind::Bridge || node.network_mode() == NetworkMode::Host
        }
        None => false,
    };
    match on_host {
        true => "\0host".to_owned(),
        false => end.node.clone(),
    }
}
