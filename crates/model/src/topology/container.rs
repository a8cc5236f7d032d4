//! What containerlab gives a node's container beside what its definition states: labels and
//! environment variables that say which lab and node it is. Knows nothing of engines.

use super::{NodeDecl, TextMap, Topology};

/// Destinations that are never reached through a proxy.
const NEVER_PROXIED: [&str; 4] = ["localhost", "127.0.0.1", "::1", "*.local"];

impl Topology {
    /// The labels of the node's container: those of its definition, and containerlab's own, which
    /// win. containerlab's `clab-mgmt-net-bridge` is not among them: only the host knows that bridge.
    pub fn container_labels(&self, node: &NodeDecl) -> TextMap {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let long_name = self.container_name(&node.name).map(String::from).unwrap_or_else(|_| node.name.to_string());
        let own = [
            ("containerlab", self.name.to_string()),
            ("clab-node-name", node.name.to_string()),
            ("clab-node-longname", long_name),
            ("clab-node-kind", node.kind.clone()),
            ("clab-node-type", text(&node.definition.variant)),
            ("clab-node-group", text(&node.definition.group)),
            ("clab-node-lab-dir", format!("{}/{}", self.lab_directory(), node.name)),
            ("clab-topo-file", format!("{}/{}", self.source.directory, self.source.file)),
            ("clab-owner", self.source.owner.clone()),
        ];
        let mut labels = node.definition.labels.clone();
        labels.extend(own.map(|(key, value)| (key.to_owned(), value)));
        labels
    }

    /// The environment of the node's container: what the file states, each label as `CLAB_LABEL_…`, the number of its
    /// `links`, and the destinations that need no proxy; `unproxied` are those of the lab ([`Topology::unproxied`]).
    pub fn container_environment(&self, node: &NodeDecl, links: usize, unproxied: &str) -> TextMap {
        let mut environment = node.env.clone();
        let no_proxy = no_proxy(&environment, unproxied);
        environment.insert("no_proxy".to_owned(), no_proxy.clone());
        environment.insert("NO_PROXY".to_owned(), no_proxy);
        for (key, value) in self.container_labels(node) {
            environment.insert(format!("CLAB_LABEL_{}", variable(&key)), value);
        }
        environment.insert("CLAB_INTFS".to_owned(), links.to_string());
        environment
    }

    /// What of the lab needs no proxy, the same for all of its nodes: their names and stated addresses, and the
    /// management network's `subnets`, in byte order.
    pub fn unproxied(&self, subnets: impl IntoIterator<Item = String>) -> String {
        let mut all: Vec<String> = subnets.into_iter().collect();
        for node in &self.nodes {
            all.push(node.name.to_string());
            all.extend(node.definition.mgmt_ipv4.map(|address| address.to_string()));
            all.extend(node.definition.mgmt_ipv6.map(|address| address.to_string()));
        }
        all.sort();
        all.join(",")
    }
}

/// What a file excepts from proxies, what containerlab always does, and the lab.
fn no_proxy(stated: &TextMap, unproxied: &str) -> String {
    let stated = stated.get("no_proxy").or_else(|| stated.get("NO_PROXY"));
    let named = stated.map(String::as_str).unwrap_or_default();
    let always = NEVER_PROXIED.into_iter().filter(|name| !named.contains(name));
    stated.map(String::as_str).into_iter().chain(always).chain([unproxied]).collect::<Vec<_>>().join(",")
}

/// A label's key as part of a variable's name: `-`, `+`, `.` and `/` become `_`, whatever else a
/// variable cannot have is left out.
fn variable(key: &str) -> String {
    let separated = key.chars().map(|c| if "-+./".contains(c) { '_' } else { c });
    separated.filter(|c| c.is_ascii_alphanumeric() || *c == '_').map(|c| c.to_ascii_uppercase()).collect()
}
