//! Every code of a problem or finding, with what it means. A code never changes its meaning and
//! never goes away; each has a page under `/docs/problems/`.

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal: $meaning:literal;)*) => {
        $($(#[$doc])* #[doc = $meaning] pub const $name: &str = $code;)*
        /// The codes that the controller itself gives.
        const OWN: &[(&str, &str)] = &[$(($code, $meaning)),*];
    };
}

codes! {
    LAB_UNKNOWN = "lab-unknown": "There is no lab of this name.";
    NODE_UNKNOWN = "node-unknown": "The lab has no node of this name.";
    LINK_UNKNOWN = "link-unknown": "The lab has no such link.";
    PATH_UNKNOWN = "path-unknown": "Nothing is served under this path.";
    METHOD_REFUSED = "method-refused": "The path is served, but not for this method.";
    REQUEST_UNREADABLE = "request-unreadable": "The request could not be understood.";
    TOKEN_MISSING = "token-missing": "The request brings no token, or not the right one.";
    ORIGIN_REFUSED = "origin-refused": "The request came by a name or from a page that is not this machine's.";
    TOPOLOGY_REFUSED = "topology-refused": "The topology file has problems; nothing was changed.";
    NODE_NOT_RUNNING = "node-not-running": "What was asked for needs a node that runs.";
    NODE_WITHOUT_PROCESS = "node-without-process": "The node is a bridge: nothing runs in it.";
    EXEC_FAILED = "exec-failed": "The command could not be run in the node.";
    LOGS_FAILED = "logs-failed": "What the node printed could not be read.";
    AGENT_AWAY = "agent-away": "The host's agent does not answer.";
    STORE_FAILED = "store-failed": "The store could not be read or written.";
    PLAN_FAILED = "plan-failed": "The lab could not be planned.";
    SPEC_REFUSED = "spec-refused": "The host's agent refuses what it is to make true.";
    HOST_SILENT = "host-silent": "The host's agent has not reported for too long.";
    HOST_UNREADABLE = "host-unreadable": "A part of the host could not be read.";
    RESOURCE_FAILING = "resource-failing": "Something could not be made or mended; it is tried again.";
}

/// What a code means, in a sentence.
pub fn meaning(code: &str) -> Option<&'static str> {
    all().find(|(known, _)| *known == code).map(|(_, meaning)| meaning)
}

/// Every code with its meaning.
pub fn all() -> impl Iterator<Item = (&'static str, &'static str)> {
    OWN.iter().chain(ELSEWHERE).copied()
}

/// Codes that the reading of topology files, the planning and the hosts give.
const ELSEWHERE: &[(&str, &str)] = &[
    ("not-runnable-kind", "This version cannot run nodes of this kind."),
    ("not-runnable-network-mode", "This version cannot run nodes with this network mode."),
    ("not-runnable-nested-bridge", "This version cannot make a bridge inside another node."),
    ("not-runnable-runtime", "This version runs containers through Docker only."),
    ("not-runnable-stages", "This version does not order starts by stages."),
    ("not-runnable-far-end", "The link ends at a node that this version cannot run."),
    ("not-runnable-dummy-link", "This version cannot make dummy links."),
    ("not-runnable-veth-stitch-link", "This version cannot make veth-stitch links."),
    ("not-runnable-macvlan-link", "This version cannot make macvlan links."),
    ("not-runnable-vxlan-link", "This version cannot make vxlan links."),
    ("not-runnable-vxlan-stitch-link", "This version cannot make vxlan-stitch links."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_has_one_meaning() {
        let mut seen = BTreeSet::new();
        for (code, meaning) in all() {
            assert!(seen.insert(code), "{code} stands twice in the table");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{code}");
            assert!(meaning.ends_with('.'), "{code}: {meaning}");
        }
    }
}
