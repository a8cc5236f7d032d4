//! Kinds of device and what their ports are called. Everything about a kind is in its file under
//! `kinds/`; the code here only reads them. Knows nothing of links, and not how a node is run.
//!
//! A port has many names: the one its software shows (`GigabitEthernet2`), the one of the Linux
//! interface that stands for it (`eth1`), and short or older spellings. What a topology file may
//! write, and what the Linux interface is called then, is containerlab's rule, beside which vendors'
//! own names are taken ([`Kind::in_file`]); a person who names a port by hand may use any spelling
//! ([`Kind::canonical`]).

mod files;
mod kind;
mod pattern;
mod unfit;

use std::collections::HashMap;
use std::sync::LazyLock;

use archetype_model::InterfaceName;

pub use kind::{Ansible, Kind, Login, Loose, Management, Packaging, Ports, Reserved, Types};
pub use pattern::{BadPattern, Numbers, Pattern, Reading};
pub use unfit::Unfit;

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| {
    let read = |(_, text): &(&str, &str)| toml::from_str(text).expect("a test reads each of these files");
    files::FILES.iter().map(read).collect()
});

/// Each name that a kind has: every end of every link asks for its node's.
static BY_NAME: LazyLock<HashMap<&str, &Kind>> = LazyLock::new(|| named().collect());

/// Every kind, by name.
pub fn all() -> &'static [Kind] {
    &KINDS
}

/// Every name that a kind has, older ones included.
pub fn names() -> impl Iterator<Item = &'static str> {
    named().map(|(name, _)| name)
}

fn named() -> impl Iterator<Item = (&'static str, &'static Kind)> {
    let names = |kind: &'static Kind| std::iter::once(&kind.name).chain(&kind.aliases);
    all().iter().flat_map(move |kind| names(kind).map(move |name| (name.as_str(), kind)))
}

/// The kind of this name, in lower case; also an older name.
pub fn find(name: &str) -> Option<&'static Kind> {
    BY_NAME.get(name).copied()
}

/// What an end of a link is called where no kind has a say, as on the host: as written. An error says
/// why Linux gives an interface no such name.
pub fn in_linux(written: &str) -> Result<InterfaceName, Unfit> {
    Unfit::of_linux(written).map_or_else(|| Ok(InterfaceName::new(written)?), Err)
}

/// What the vendor calls the port whose interface is `linux` on a node of this kind; `None` where
/// it has no name of its own, or the kind is not known.
pub fn vendor_name(kind: &str, linux: &str) -> Option<String> {
    find(kind)?.vendor_name(linux)
}

/// What two names of one port of a node of this kind have in common. Without a kind that is known,
/// names mean what they say.
pub fn port_key(kind: &str, said: &str) -> String {
    find(kind).map_or_else(|| said.to_owned(), |kind| kind.port_key(said))
}

/// Whether two names mean one port of a node of this kind.
pub fn same_port(kind: &str, one: &str, other: &str) -> bool {
    one == other || port_key(kind, one) == port_key(kind, other)
}
