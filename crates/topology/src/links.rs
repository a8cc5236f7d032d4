//! The list `links`: brief and extended forms to declared links. Knows nothing of nodes: whether
//! the ends exist, and what their interfaces are called in Linux, is found later.

use archetype_model::topology::{EndpointDecl, LinkDecl, LinkKind, MacvlanMode, Place, Position, VxlanDecl};
use archetype_model::{Mac, Mtu};

use crate::management::mtu;
use crate::suggest::nearest;
use crate::tree::{Tree, Value};
use crate::walk::{Fields, Walker};

const TYPES: [&str; 9] =
    ["veth", "veth-stitch", "host", "mgmt-net", "macvlan", "vxlan", "vxlan-stitch", "dummy", "brief"];
/// The UDP port of a VXLAN link that states none.
const VXLAN_PORT: u16 = 14789;

/// A link as read.
pub struct Read {
    /// The link.
    pub link: LinkDecl,
    /// Whether it is written in the short form, which leaves its type to the kinds of its nodes.
    pub brief: bool,
}

/// Reads `topology.links`.
pub fn links(w: &mut Walker, tree: &Tree) -> Vec<Read> {
    let path = "topology.links";
    let items = w.items(path, tree);
    let mut links = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        match w.fields(&path, item) {
            Some(fields) => links.extend(link(w, fields.unnoted())),
            None if item.is_null() => {
                w.problem("missing-value", item.at, format!("{path} is empty"));
            }
            None => {}
        }
    }
    links
}

fn link(w: &mut Walker, mut fields: Fields<'_>) -> Option<Read> {
    let f = &mut fields;
    let word = f.text(w, "type").unwrap_or_else(|| "brief".to_owned());
    let common = Common { mtu: mtu(w, f, "mtu"), labels: f.text_map(w, "labels"), vars: f.free_map(w, "vars") };
    let addresses = [f.texts(w, "ipv4"), f.texts(w, "ipv6")];
    let brief_form = word.trim().eq_ignore_ascii_case("brief");
    let found = match word.trim().to_lowercase().as_str() {
        "brief" => brief(w, f, &addresses),
        "veth" => pair(w, f, &addresses).map(outward),
        "veth-stitch" => pair(w, f, &addresses).map(|ends| (LinkKind::VethStitch, ends)),
        "host" => host_side(w, f, Place::Host).map(|ends| (LinkKind::Host, ends)),
        "mgmt-net" => host_side(w, f, Place::MgmtNet).map(|ends| (LinkKind::MgmtNet, ends)),
        "macvlan" => macvlan(w, f),
        "vxlan" => vxlan(w, f).map(|(tunnel, ends)| (LinkKind::Vxlan(tunnel), ends)),
        "vxlan-stitch" => vxlan(w, f).map(|(tunnel, ends)| (LinkKind::VxlanStitch(tunnel), ends)),
        "dummy" => one_end(w, f).map(|end| (LinkKind::Dummy, vec![end])),
        _ => {
            let message = format!("{}: unknown link type {word:?}", f.path);
            let hint = nearest(&word, TYPES).map(|word| format!("did you mean {word:?}?"));
            let known = || format!("known types: {}", TYPES[..8].join(", "));
            w.problem("unknown-link-type", f.place("type"), message).hint = Some(hint.unwrap_or_else(known));
            return None;
        }
    };
    let position = f.at;
    fields.finish(w);
    let (kind, endpoints) = found?;
    let Common { mtu, labels, vars } = common;
    Some(Read { link: LinkDecl { kind, endpoints, mtu, labels, vars, position }, brief: brief_form })
}

struct Common {
    mtu: Option<Mtu>,
    labels: archetype_model::topology::TextMap,
    vars: std::collections::BTreeMap<String, serde_json::Value>,
}

fn end(place: Place, node: &str, interface: &str, position: Position) -> EndpointDecl {
    EndpointDecl {
        place,
        node: node.to_owned(),
        interface: interface.to_owned(),
        linux_interface: None,
        mac: None,
        ipv4: None,
        ipv6: None,
        vars: Default::default(),
        position,
    }
}

/// The short form: two texts `node:interface`; a node called `host`, `mgmt-net` or `macvlan`
/// stands for that place.
fn brief(w: &mut Walker, f: &mut Fields<'_>, addresses: &[Vec<String>; 2]) -> Option<(LinkKind, Vec<EndpointDecl>)> {
    let (list, items) = endpoint_items(w, f)?;
    let mut ends = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        let text = w.text(format_args!("{list}[{index}]"), item)?;
        match text.split_once(':') {
            Some((node, interface)) if !node.is_empty() && !interface.is_empty() => {
                ends.push(match special(node) {
                    // Such a place has one name, however it is written.
                    Some(place) => end(place, &node.trim().to_lowercase(), interface, item.at),
                    None => end(Place::Node, node, interface, item.at),
                });
            }
            _ => {
                let message = format!("{list}[{index}]: {text:?} is not of the form node:interface");
                w.problem("bad-endpoint", item.at, message).hint = Some("write for instance \"r1:eth1\"".into());
                return None;
            }
        }
    }
    let specials: Vec<usize> = (0..ends.len()).filter(|at| ends[*at].place != Place::Node).collect();
    let kind = match specials.first().map(|at| ends[*at].place) {
        None => LinkKind::Veth,
        Some(Place::Host) => LinkKind::Host,
        Some(Place::MgmtNet) => LinkKind::MgmtNet,
        Some(_) => LinkKind::Macvlan { mode: MacvlanMode::default() },
    };
    if specials.len() > 1 {
        let message = format!("{}: both ends are outside of the lab's nodes", f.path);
        w.problem("bad-endpoint", f.at, message).hint = Some("one end must be a node of the topology".into());
        return None;
    }
    give_addresses(w, f, &mut ends, addresses);
    if specials == [0] {
        ends.swap(0, 1);
    }
    Some((kind, ends))
}

fn special(node: &str) -> Option<Place> {
    match node.trim().to_lowercase().as_str() {
        "host" => Some(Place::Host),
        "mgmt-net" => Some(Place::MgmtNet),
        "macvlan" => Some(Place::MacvlanParent),
        _ => None,
    }
}

/// The path of `endpoints`, and its two items.
fn endpoint_items<'t>(w: &mut Walker, f: &mut Fields<'t>) -> Option<(String, &'t [Tree])> {
    let Some(tree) = f.take(w, "endpoints") else {
        let message = format!("{} has no endpoints", f.path);
        w.problem("missing-value", f.at, message).hint = Some("endpoints: [\"r1:eth1\", \"r2:eth1\"]".into());
        return None;
    };
    let before = w.problems.len();
    let path = f.path_of("endpoints");
    let items = w.items(&path, tree);
    if items.len() == 2 {
        return Some((path, items));
    }
    if w.problems.len() == before {
        let message = format!("{} needs exactly 2 endpoints, not {}", f.path, items.len());
        w.problem("bad-endpoint", tree.at, message);
    }
    None
}

/// The long form's two ends; none when one of them cannot be read.
fn pair(w: &mut Walker, f: &mut Fields<'_>, addresses: &[Vec<String>; 2]) -> Option<Vec<EndpointDecl>> {
    let (path, items) = endpoint_items(w, f)?;
    if let [Tree { value: Value::Scalar { text: a, .. }, at, .. }, Tree { value: Value::Scalar { text: b, .. }, .. }] =
        items
        && let (Some(a), Some(b)) = (long_form(a), long_form(b))
    {
        let message = format!("{path}: a link that states its type has mappings as ends, not texts");
        w.problem("bad-endpoint", *at, message).hint =
            Some(format!("write endpoints: [{a}, {b}], or leave type out for the short form"));
        return None;
    }
    let read = |w: &mut Walker, (index, item)| endpoint(w, &format!("{path}[{index}]"), item);
    let ends: Vec<Option<EndpointDecl>> = items.iter().enumerate().map(|item| read(w, item)).collect();
    let mut ends = ends.into_iter().collect::<Option<Vec<EndpointDecl>>>()?;
    give_addresses(w, f, &mut ends, addresses);
    Some(ends)
}

/// An end in the short form as the long form has it.
fn long_form(text: &str) -> Option<String> {
    let (node, interface) = text.split_once(':')?;
    Some(format!("{{node: {node}, interface: {interface}}}"))
}

/// A link of the long form whose one end is the node `host` or `mgmt-net`, which is no node of the
/// file, is one to that place.
fn outward(mut ends: Vec<EndpointDecl>) -> (LinkKind, Vec<EndpointDecl>) {
    let place = |end: &EndpointDecl| match end.node.as_str() {
        "host" => Some((LinkKind::Host, Place::Host)),
        "mgmt-net" => Some((LinkKind::MgmtNet, Place::MgmtNet)),
        _ => None,
    };
    let (near, (kind, far)) = match ends.as_slice() {
        [first, second] => match (place(first), place(second)) {
            (None, Some(found)) => (0, found),
            (Some(found), None) => (1, found),
            _ => return (LinkKind::Veth, ends),
        },
        _ => return (LinkKind::Veth, ends),
    };
    ends.rotate_left(near);
    ends[1].place = far;
    (kind, ends)
}

fn endpoint(w: &mut Walker, path: &str, tree: &Tree) -> Option<EndpointDecl> {
    let Some(mut fields) = w.fields(path, tree).map(Fields::unnoted) else {
        match &tree.value {
            _ if tree.is_null() => {
                w.problem("missing-value", tree.at, format!("{path} is empty"));
            }
            Value::Scalar { text, .. } => {
                let form = long_form(text).unwrap_or_else(|| "{node: r1, interface: eth1}".to_owned());
                w.problems.last_mut().into_iter().for_each(|told| told.hint = Some(format!("write {form}")));
            }
            _ => {}
        }
        return None;
    };
    let f = &mut fields;
    let (node, interface) = (needed(w, f, "node"), needed(w, f, "interface"));
    let mac = f.parsed(w, "mac", "bad-mac", |text| text.parse::<Mac>().map_err(|e| e.to_string()));
    let network = "is not an address with a prefix length like";
    let ipv4 = f.parsed(w, "ipv4", "bad-address", |t| t.parse().map_err(|_| format!("{t:?} {network} 192.0.2.1/24")));
    let ipv6 = f.parsed(w, "ipv6", "bad-address", |t| t.parse().map_err(|_| format!("{t:?} {network} 2001:db8::1/64")));
    let vars = f.free_map(w, "vars");
    let position = f.at;
    fields.finish(w);
    Some(EndpointDecl { mac, ipv4, ipv6, vars, ..end(Place::Node, &node?, &interface?, position) })
}

fn one_end(w: &mut Walker, f: &mut Fields<'_>) -> Option<EndpointDecl> {
    match f.take(w, "endpoint") {
        Some(tree) => endpoint(w, &f.path_of("endpoint"), tree),
        None => {
            w.problem("missing-value", f.at, format!("{} has no endpoint", f.path));
            None
        }
    }
}

/// A node's end and a device of the host.
fn host_side(w: &mut Walker, f: &mut Fields<'_>, place: Place) -> Option<Vec<EndpointDecl>> {
    let near = one_end(w, f);
    let device = needed(w, f, "host-interface");
    let node = match place {
        Place::MgmtNet => "mgmt-net",
        Place::MacvlanParent => "macvlan",
        _ => "host",
    };
    let far = end(place, node, &device?, f.place("host-interface"));
    Some(vec![near?, far])
}

fn macvlan(w: &mut Walker, f: &mut Fields<'_>) -> Option<(LinkKind, Vec<EndpointDecl>)> {
    let words = [
        ("private", MacvlanMode::Private),
        ("vepa", MacvlanMode::Vepa),
        ("bridge", MacvlanMode::Bridge),
        ("passthru", MacvlanMode::Passthru),
        ("source", MacvlanMode::Source),
    ];
    let mode = f.choice(w, "mode", &words).unwrap_or_default();
    Some((LinkKind::Macvlan { mode }, host_side(w, f, Place::MacvlanParent)?))
}

fn vxlan(w: &mut Walker, f: &mut Fields<'_>) -> Option<(VxlanDecl, Vec<EndpointDecl>)> {
    let near = one_end(w, f);
    let remote = needed(w, f, "remote");
    let vni = stated(w, f, "vni", |w, f| number(w, f, "vni", 0xff_ffff));
    let ports = ["dst-port", "udp-port", "src-port"].map(|key| number(w, f, key, 0xffff).map(|port| port as u16));
    let parent_interface = f.text(w, "parent-interface");
    let dst_port = ports[0].or(ports[1]).unwrap_or(VXLAN_PORT);
    let tunnel = VxlanDecl { remote: remote?, vni: vni?, dst_port, src_port: ports[2], parent_interface };
    Some((tunnel, vec![near?]))
}

/// A text that must be stated. Nothing and the empty text are not: the link would be left out without a word.
fn needed(w: &mut Walker, f: &mut Fields<'_>, key: &'static str) -> Option<String> {
    stated(w, f, key, |w, f| f.text(w, key))
}

/// What `read` finds under `key`; that it found nothing is a problem where it told none itself.
fn stated<T>(
    w: &mut Walker,
    f: &mut Fields<'_>,
    key: &'static str,
    read: impl FnOnce(&mut Walker, &mut Fields<'_>) -> Option<T>,
) -> Option<T> {
    let before = w.problems.len();
    let value = read(w, f);
    if value.is_none() && w.problems.len() == before {
        w.problem("missing-value", f.place(key), format!("{} has no {key}", f.path));
    }
    value
}

/// A whole number from 1 to `largest`; 0 is not stated.
fn number(w: &mut Walker, f: &mut Fields<'_>, key: &'static str, largest: u32) -> Option<u32> {
    let number = f.whole(w, key)?;
    match u32::try_from(number).ok().filter(|number| *number <= largest) {
        Some(number) => Some(number),
        None => {
            let message = format!("{} is {number}, but must be 1 to {largest}", f.path_of(key));
            w.problem("bad-value", f.place(key), message);
            None
        }
    }
}

/// Gives the ends the addresses that the link lists in their order; an empty text skips an end.
fn give_addresses(w: &mut Walker, f: &Fields<'_>, ends: &mut [EndpointDecl], addresses: &[Vec<String>; 2]) {
    for (key, list) in [("ipv4", &addresses[0]), ("ipv6", &addresses[1])] {
        for (index, text) in list.iter().map(|text| text.trim()).enumerate().filter(|(_, text)| !text.is_empty()) {
            let fits = match (ends.get_mut(index), key) {
                (None, _) => false,
                (Some(end), "ipv4") => text.parse().map(|net| end.ipv4 = Some(net)).is_ok(),
                (Some(end), _) => text.parse().map(|net| end.ipv6 = Some(net)).is_ok(),
            };
            if !fits {
                let message = match index < ends.len() {
                    true => format!("{}[{index}]: {text:?} is not an address with a prefix length", f.path_of(key)),
                    false => format!("{} has more addresses than the link has ends", f.path_of(key)),
                };
                w.problem("bad-address", f.place(key), message);
            }
        }
    }
}
