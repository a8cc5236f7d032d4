//! Every code that a problem of a topology file can have: the one list behind the documentation
//! page and the test that each is produced somewhere.

/// A code, what it means, and what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code {
    /// The code.
    pub code: &'static str,
    /// What is wrong.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

const fn code(code: &'static str, meaning: &'static str, remedy: &'static str) -> Code {
    Code { code, meaning, remedy }
}

/// What to do about a problem of this code, in general.
pub fn remedy(code: &str) -> Option<&'static str> {
    let at = CODES.binary_search_by_key(&code, |known| known.code).ok()?;
    CODES.get(at).map(|known| known.remedy)
}

/// All codes, in alphabetical order.
#[rustfmt::skip]
pub const CODES: &[Code] = &[
    code("bad-address", "An address or a subnet is not one.",
        "Write IPv4 or IPv6 addresses in their usual form; subnets and addresses of links with a prefix length."),
    code("bad-bind", "A bind is not `source:target[:options]`, its target is not an absolute path, or an option is unknown.",
        "A path inside the node alone belongs under `volumes`."),
    code("bad-command", "A command line has a quote that is not closed.",
        "`cmd`, `entrypoint` and `exec` are split into words as a shell splits them, but no shell runs them."),
    code("bad-container-name", "The name that the node would have on its host is no name of a container.",
        "Use letters, digits, `-`, `.` and `_`."),
    code("bad-endpoint", "An end of a link is not `node:interface`, or a link has not exactly two ends.",
        "Write `endpoints: [\"r1:eth1\", \"r2:eth1\"]`."),
    code("bad-env-file", "A line of an env file is not `NAME=value`.", "Correct the line that the message names."),
    code("bad-mac", "A MAC address is not six hexadecimal octets, is all zero, or is a group address.",
        "Leave it out to have one made, or write one like `02:00:00:00:00:01`."),
    code("bad-mtu", "An MTU is outside of 68 to 65535.", "Leave it out for the default."),
    code("bad-name", "A name has characters that it may not have.",
        "Labs, nodes and networks begin with a letter or a digit, then letters, digits, `-`, `.` and `_`."),
    code("bad-port", "A published port is not in the form that `docker -p` takes.",
        "For instance `8080:80`, `127.0.0.1:53:53/udp`, `8000-8009:9000-9009`."),
    code("bad-size", "An amount of memory has no number or an unknown unit.",
        "For instance `512MB` (millions of bytes) or `512MiB` (steps of 1024)."),
    code("bad-value", "A value is not one of those the key takes, or outside of their range.", "Write a value that the message allows."),
    code("bad-variables", "A file of template variables cannot be read, or is no YAML or JSON mapping.",
        "Name it with `--vars`, or correct it."),
    code("bad-volume", "A volume is not `name:target[:options]`, or names a path of the host.",
        "Paths of the host belong under `binds`."),
    code("bind-missing", "The source of a bind does not exist on the host of the file.",
        "Create it. Relative paths begin at the topology file, `~` is the home of the caller."),
    code("certificate-refused", "A certificate of a node, or of the authority that signs it, cannot be had.",
        "The message says what is wrong; what is under `.tls` in the lab's folder may be removed and is made anew."),
    code("device-missing", "A device that a container is to have does not exist on the host of the file.",
        "Load its driver, correct the path, or leave it out of `devices`."),
    code("duplicate-key", "A key stands twice in one mapping.", "Leave one of the two."),
    code("empty-file", "The file declares nothing.", "A topology has `name` and `topology`."),
    code("env-file-missing", "An env file cannot be read.", "Relative paths begin at the topology file."),
    code("exclusive-keys", "Two keys exclude each other.", "Leave one of the two."),
    code("ignored-value", "A value does nothing: containerlab takes it and goes on as if it were not there. It is told as \
         a note, and the file is taken.",
        "Write one of the words that the note lists, or leave it out."),
    code("interface-reserved", "A link ends at the interface that the node has on the management network, or that its \
         software or Linux keeps for itself: `lo` is in every network namespace, and Linux makes no interface `all` or \
         `default`.",
        "Use another interface, or `network-mode: none` for a node without management network. \
         `archetype kinds NAME` shows what a kind's interfaces are called."),
    code("interface-used-twice", "An interface of a node, or a device of the host, is the end of two links.",
        "Give one of the links another interface. Two spellings of one port are one port; the host, bridges and \
         nodes with `network-mode: host` share one set of names, and so do nodes that share a network."),
    code("invalid-interface", "An interface has no valid name in Linux, or the node's kind has no such interface. \
         A name of more than 15 bytes, or with a blank or `/`, containerlab gives to an interface as a second name, beside a \
         random one by which no configuration finds it.",
        "Write a name that the node's kind has; `archetype kinds NAME` shows them. For kind linux, that is any name of 1 to \
         15 bytes without `/`, `:`, `%` and blanks."),
    code("license-missing", "The file that a container names as its license does not exist on the host of the file.",
        "Create it, or leave `license` out. Relative paths begin at the topology file, `~` is the home of the caller."),
    code("mac-twice", "Both ends of a link have the same MAC address.", "Change or leave out one of the two."),
    code("management-address-outside", "A static management address, the gateway or the range is not in the subnet.",
        "Correct the address or the subnet under `mgmt`."),
    code("management-address-outside-default",
        "A static management address is not in the default subnet, and the file states none.",
        "State the subnet under `mgmt`."),
    code("management-address-twice", "Two nodes have the same static management address.", "Change one of the two."),
    code("missing-image", "A node that is a container has no image.",
        "State `image` at the node, its group, its kind or the defaults."),
    code("missing-kind", "A node has no kind.", "State `kind` at the node, its group or the defaults."),
    code("missing-value", "A value that must be there is not.", "Add what the message names."),
    code("not-runnable-dummy-link", "This version makes no dummy links.", "Leave the link out with `--partial`."),
    code("not-runnable-far-end", "A link ends at a node that this version cannot run.",
        "It is left out together with the node by `--partial`."),
    code("not-runnable-host-mode-link", "A link ends at a node that uses the host's network.",
        "Use a link of type `host`."),
    code("not-runnable-kind", "This version does not run nodes of this kind.", "Leave the node out with `--partial`."),
    code("not-runnable-macvlan-link", "This version makes no macvlan links.", "Leave the link out with `--partial`."),
    code("not-runnable-management-network", "The management network is Docker's own network `bridge`.",
        "Give it a name of its own, or leave it out."),
    code("not-runnable-nested-bridge", "This version makes no bridge inside another node.",
        "Leave it out with `--partial`."),
    code("not-runnable-network-mode", "This version does not run the node's network mode.",
        "`bridge`, `none` and, for containers, `host` and `container:` with the name of another container of the lab run."),
    code("not-runnable-port", "A port is published at the host's address `::1`, which the kernel does not route out.",
        "Publish it at `127.0.0.1`, at another address of the host, or without an address."),
    code("not-runnable-runtime", "The node asks for a container engine other than Docker.", "Leave out `runtime`."),
    code("not-runnable-value", "A value with which a node, or its management network, could not be made or would not work: \
         a capability that there is not, less memory than a container has at least, a setting of which it has none of its \
         own, a subnet of loopback addresses.",
        "Write what the message asks for; a node can be left out with `--partial`."),
    code("not-runnable-veth-stitch-link", "This version makes no veth-stitch links.",
        "Leave the link out with `--partial`."),
    code("not-runnable-vxlan-link", "This version makes no vxlan links.", "Leave the link out with `--partial`."),
    code("not-runnable-vxlan-stitch-link", "This version makes no vxlan-stitch links.",
        "Leave the link out with `--partial`."),
    code("port-twice", "Two nodes publish the same port of the host.", "Change one of the two."),
    code("startup-config-missing", "The file that a container names as its startup configuration does not exist on the \
         host of the file.",
        "Create it, or leave `startup-config` out. Relative paths begin at the topology file, `~` is the home of the \
         caller."),
    code("template-failed", "The file is a template, and an action of it fails, or it does not come to an end.",
        "The message names the action. Variables come from `--vars`, or from files beside it: for `x.clab.yml` \
         `x.clab_vars.yml`."),
    code("template-syntax", "The file is a template, and this is none: every file is read as one of Go's \
        `text/template`, so `{{` begins an action.", "For two braces write `{{ \"{{\" }}`."),
    code("unclosed-variable", "A `${` has no `}` on its line.", "Write `$$` for a dollar sign."),
    code("unknown-key", "A key is not known.", "Write the key that was meant, or leave it out."),
    code("unknown-kind", "A node has a kind that is not known.", "`archetype kinds` lists all of them."),
    code("unknown-link-type", "A link has a type that is not known.", "Leave out `type` for a link between two nodes."),
    code("unknown-node", "A link or a stage names a node that the file does not have.",
        "Write the node that was meant, or add it under `nodes`."),
    code("unknown-type", "A node's kind has types, and the node's is none of them.",
        "Write one of the types of its kind."),
    code("wrong-type", "A value is of another sort than the key takes: a list instead of a text, for instance.",
        "Write it as the message says; text that looks like a number or a list stands in quotes."),
    code("yaml-syntax", "The file is not YAML from the named place on.", "Look at the named line and the one above it."),
];
