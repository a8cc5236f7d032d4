//! Every code that a problem found by planning can have and that reading alone cannot find: the
//! list behind the documentation page and the tests.

use archetype_model::topology::codes::Code;

const fn code(code: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { code, meaning, remedy }
}

/// All codes, in alphabetical order.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    code("address-refused", "A static management address or a gateway cannot be had on its network: it is another \
         node's, the gateway's, the network's own or broadcast address, or not in the subnet.",
        "State another address, or none to be given one."),
    code("bind-replaced", "The source of a bind was replaced by another file or folder since the node was started, as many \
         editors do when they save: the node sees what was there before.",
        "Have the node made anew, with what is there now: `archetype deploy --reload NODE`."),
    code("bridge-heard", "A port of the bridge that is not ours hears every tag, so that it would hear each wire, and no \
         wire would be up.",
        "Take that port off the bridge, give it a tag, or give this installation another bridge with `--bridge`."),
    code("bridge-shared", "Another installation has wires on the same bridge in tags that are this one's to give, so that \
         each would meet the frames of the other.",
        "Give one of the two another bridge with `--bridge`, or tags of its own with `--tags`."),
    code("bridge-taken", "The name that the file gives the management bridge is that of another network's bridge or \
         of a device of the host that is not ours.",
        "Name another bridge under `mgmt`, or leave it out."),
    code("container-name-twice", "Two labs come to the same name of a node on the host.",
        "Rename the node or the lab, or state another `prefix`."),
    code("container-taken", "The name that the node would have on its host is held by a container that is not ours.",
        "Remove that container, or rename the lab. Where another installation on the host has a lab of this name, the message \
         names it: rename the lab, or destroy that one there."),
    code("cyclic-stages", "Nodes wait for each other's stages in a circle: none of them would ever start.",
        "Take one of the nodes that the message names out of `wait-for`, `network-mode` or `pid-mode`."),
    code("device-taken", "A device that the file names on the host exists there and is not the lab's.",
        "Give the host's end of the link another name."),
    code("host-commands-refused", "The stages of a node have commands for the host itself, and this one runs none.",
        "Take the commands with `target: host` out, leave the node out with `--partial`, or start with \
         `--host-commands allow`."),
    code("mtu-too-large", "A link between nodes, or of a LAN, states an MTU above 65000, the most that a wire carries.",
        "State a smaller one, or none for the default."),
    code("namespace-taken", "The name that the node would have under `/run/netns` leads to a namespace that is not ours; \
         the message says who is in it.",
        "Remove that name (`ip netns delete NAME`), or rename the lab."),
    code("network-conflict", "Labs on one management network state different things of it.",
        "State the same, or name another network under `mgmt`."),
    code("network-taken", "The name of the management network is held by somebody else; the message says by whom.",
        "Name another network under `mgmt`, or start with `--mgmt-network`."),
    code("network-too-small", "The management network has fewer addresses than its nodes need.",
        "State a larger subnet under `mgmt`, or another network."),
    code("no-effect", "A node has a key that nothing comes of here: a limit of a container on a node that is a namespace, or \
         something that only the software of a device reads. It is told as a note, and the file is taken.",
        "Leave the key out, or have a container where it is needed. What has an effect on which sort of node is in \
         the documentation of nodes."),
    code("not-runnable-bridge-link", "Neither end of a link is at a node: bridges, host and management network are \
         not joined with each other.",
        "Leave the link out with `--partial`."),
    code("not-runnable-container", "A node is a container, and the host starts none: it was told to use no Docker Engine, or \
         the engine does not know the runtime through which nodes start.",
        "Run `archetype host setup`, start with `--docker SOCKET`, give the node the label `archetype.runtime: namespace`, \
         or leave it out with `--partial`."),
    code("not-runnable-key", "A node has a key that this version does not carry out.",
        "Leave the key out, or the node with `--partial`."),
    code("port-taken", "A port of the host that a node publishes is used by something else; the message says by what.",
        "Publish another port of the host."),
    code("subnet-taken", "The subnet of the management network overlaps one of somebody else; the message says whose.",
        "State another subnet under `mgmt`, `auto`, or start with `--mgmt-subnet`."),
    code("tags-exhausted", "The bridge has no tags left for the wires of the lab.",
        "Remove a lab, widen `--tags`, or reserve fewer with `--reserve-tags`."),
];
