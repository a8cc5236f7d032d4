//! Every code of a problem or finding, with what it means and what to do. A code never changes its
//! meaning and never goes away; each has a page, in `docs/problems` and,
//! where `archetype serve` runs, under `/docs/problems/`.
//!
//! Here are the codes of the controller, of the hosts and of the command line. Those of topology
//! files stand in `archetype_model::topology::codes`, and those of planning beside the planning.

pub use archetype_model::topology::codes::Code;

macro_rules! codes {
    ($list:ident: $($(#[$doc:meta])* $name:ident = $code:literal, $meaning:literal, $remedy:literal;)*) => {
        $($(#[$doc])* #[doc = $meaning] pub const $name: &str = $code;)*
        /// The list, in alphabetical order.
        pub const $list: &[Code] = &[$(Code { code: $code, meaning: $meaning, remedy: $remedy }),*];
    };
}

codes! {
    CONTROLLER:
    AGENT_AWAY = "agent-away", "The host's agent does not answer.",
        "Look at the output of `archetype serve`.";
    EXEC_FAILED = "exec-failed", "A command could not be run in a node, or could no longer be followed.",
        "See by `archetype inspect` whether the node runs, and whether it has that program.";
    HOST_UNREADABLE = "host-unreadable", "A part of the host could not be read; what depends on it is unknown.",
        "The message names the part; start its daemon.";
    LAB_UNKNOWN = "lab-unknown", "There is no lab of this name.", "`archetype inspect` lists the labs.";
    LINK_UNKNOWN = "link-unknown", "The lab has no such link.",
        "Name a link by its id or by one of its ends, as `node:interface`.";
    LOGS_FAILED = "logs-failed", "What a node printed could not be read.",
        "See by `archetype inspect` whether the node was ever started.";
    METHOD_REFUSED = "method-refused", "The path is served, but not for this method.",
        "The API is described under /docs.";
    NODE_UNKNOWN = "node-unknown", "The lab has no node of this name.",
        "`archetype inspect LAB` lists its nodes.";
    NODE_WITHOUT_PROCESS = "node-without-process", "The node is a bridge: nothing runs in it.",
        "Name one of the nodes that are on it.";
    ORIGIN_REFUSED = "origin-refused",
        "The request came by a name, or from a page, that is not this machine's own.",
        "Call 127.0.0.1, [::1] or localhost.";
    PATH_UNKNOWN = "path-unknown", "Nothing is served under this path.", "The API is described under /docs.";
    REQUEST_UNREADABLE = "request-unreadable", "The request could not be understood.",
        "The API is described under /docs.";
    SPEC_REFUSED = "spec-refused", "The host's agent refuses what it is to make true.",
        "The message says why; the host keeps true what it has.";
    STORE_FAILED = "store-failed", "The store could not be read or written.",
        "Look at free space and permissions of the data directory.";
    TOKEN_MISSING = "token-missing", "The request brings no token, or not the right one.",
        "Send `Authorization: Bearer TOKEN` with the content of the file `token` in the data directory.";
    TOPOLOGY_REFUSED = "topology-refused", "The topology file has problems; nothing was changed.",
        "Mend what is named, or leave out what cannot run with `--partial`.";
}

const fn code(code: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { code, meaning, remedy }
}

/// What hosts find, in alphabetical order.
#[rustfmt::skip]
pub const HOST: &[Code] = &[
    code("device-name-taken", "A device that a node's interface needs on the host exists and is not ours.",
        "Rename or remove that device, or give the link another host interface."),
    code("engine-missing", "A container is wanted, and the host was told to use no Docker Engine.",
        "Name its socket with `--docker`, or give the node the label `archetype.runtime: namespace`."),
    code("engine-refused", "The Docker Engine refused a management network.",
        "The engine's own words say why; it is tried again by itself."),
    code("engine-unreachable", "The Docker Engine does not answer.",
        "Start it, or name its socket with `--docker`."),
    code("exec-start-over", "A command of an exec list was not run, because its node was started again meanwhile.",
        "Nothing is to be done: the node's next start runs its commands anew."),
    code("harmful-switch-setting", "A setting of Open vSwitch keeps wires from carrying every frame.",
        "Unset it with `ovs-vsctl`; for `vlan-limit` restart `ovs-vswitchd` afterwards."),
    code("host-command-too-slow", "A command of a node's stages took longer on the host than it may, and was killed.",
        "Mend the command, or give it more time with `--host-command-limit`. It runs again at the node's next start."),
    code("image-missing", "The engine has no such image, and the file says never to pull it.",
        "Load or pull the image on this host, or let the file allow pulling."),
    code("image-pull-failed", "An image could not be pulled.",
        "The message has the registry's words; check the image's name and the way to the registry."),
    code("image-pull-stopped", "A pull was given up, for nothing is to be made of the image any more.",
        "Nothing is to be done."),
    code("ledger-not-written", "What a host did cannot be written down in its data directory.",
        "Make room there. Labs are kept true all the same; a new start of the agent before that may run commands of exec \
         lists a second time."),
    code("namespace-name-taken", "The name of a node under `/run/netns` leads to a namespace that is not the node's.",
        "The node runs all the same. Remove that name (`ip netns delete NAME`), and the node's comes back."),
    code("network-failed", "A management network could not be made or mended.",
        "The message says at which step; it is tried again by itself."),
    code("network-in-use", "A management network stays, for containers of somebody else are on it.",
        "It goes when they have left it."),
    code("network-name-taken", "The bridge or the network of that name is somebody else's.",
        "Remove it, or choose another with `mgmt.network` or `--mgmt-network`."),
    code("network-subnet-taken", "The subnet of a management network is used by somebody else.",
        "Choose another with `mgmt.ipv4-subnet` or `--mgmt-subnet`."),
    code("network-too-slow", "What a management network depends on took longer than it may.",
        "It is tried again; see whether the engine or the machine is overloaded."),
    code("node-create-refused", "The engine refused to create a node's container.",
        "The engine's own words say why."),
    code("node-facts-failed", "What the runtime must know of a node could not be kept.",
        "Look at the space and the rights below /run/archetype."),
    code("node-files-failed", "A node's own files could not be made.",
        "Look at the space and the rights below /run/archetype."),
    code("node-name-taken", "The name of a node's container is held by a container that is not ours.",
        "Remove that container, or rename the lab."),
    code("node-not-described", "Work was wanted on a node that nothing describes: a fault of ours.",
        "Tell us, with the journal."),
    code("node-not-made", "What was wanted of a node needs its container, which is not there.",
        "It is made by itself; `archetype inspect` shows when."),
    code("node-not-removed", "A namespace node could not be removed.", "It is tried again by itself."),
    code("node-remove-failed", "The engine did not remove a node's container.",
        "The engine's own words say why; it is tried again by itself."),
    code("node-start-failed", "A namespace node could not be started.",
        "It is tried again by itself; see `archetype logs`."),
    code("node-start-refused", "The engine refused to start a node.",
        "The words of the engine, and of the runtime it starts through, say why."),
    code("node-stop-failed", "A node could not be stopped.",
        "The message says why, in the engine's own words for a container; it is tried again by itself."),
    code("port-name-taken", "A port of that name is on the bridge and is not ours.",
        "Remove that port, or give this installation another bridge with `--bridge`."),
    code("privileged-refused", "The file demands `privileged: true`, and the machine cannot grant it.",
        "State `privileged: false` and the capabilities that are needed under `cap-add`."),
    code("program-missing", "A program that the host needs is not installed.", "Install it: `make setup`."),
    code("runtime-missing", "The engine does not know the runtime through which nodes start.",
        "Run `archetype host setup`."),
    code("step-failed", "Something could not be made or mended on the host.",
        "It is tried again by itself; `archetype journal` shows each try."),
    code("steps-without-end", "A change is made again and again: something else on the host undoes it.",
        "Look for what changes it: another program that manages Open vSwitch or devices."),
    code("switch-not-running", "`ovs-vswitchd` does not run: no wire carries anything.",
        "Start Open vSwitch."),
    code("task-crashed", "Work on a node ended by a fault of ours.", "It is tried again; tell us, with the journal."),
    code("wire-mirrored", "A mirror of Open vSwitch copies what wires carry, or takes one of their ports for its copies. \
         It is somebody's own, and is left alone.",
        "If nobody wants it, take it away with `ovs-vsctl clear bridge BRIDGE mirrors`."),
];

/// What the command line finds in its own settings, in alphabetical order.
#[rustfmt::skip]
pub const SETTINGS: &[Code] = &[
    code("setting-refused", "A setting has a value that it may not have.", "The message names what is allowed."),
    code("setting-unknown", "There is no such setting.", "`archetype serve --help` lists them."),
    code("settings-syntax", "A line of the settings file is not `name = value`.", "Correct the line."),
];

/// Every code that stands here or with the reading of topology files.
pub fn all() -> impl Iterator<Item = &'static Code> {
    [CONTROLLER, HOST, SETTINGS, archetype_model::topology::codes::CODES].into_iter().flatten()
}

/// What a code means, in a sentence.
pub fn meaning(code: &str) -> Option<&'static str> {
    all().find(|known| known.code == code).map(|known| known.meaning)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_code_has_one_meaning() {
        let mut seen = BTreeSet::new();
        for known in all() {
            let code = known.code;
            assert!(seen.insert(code), "{code} stands twice");
            assert!(code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{code}");
            assert!(known.meaning.ends_with('.') && known.remedy.ends_with('.'), "{code}");
        }
        for list in [CONTROLLER, HOST, SETTINGS] {
            assert!(list.is_sorted_by_key(|known| known.code));
        }
    }
}
