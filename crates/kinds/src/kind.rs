//! One kind of device, as its file describes it, and what its names mean.

use archetype_model::InterfaceName;
use serde::Deserialize;

use crate::pattern::{BadPattern, Numbers, Pattern, Reading};
use crate::unfit::Unfit;

/// A kind of device.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Kind {
    /// Its name in topology files.
    pub name: String,
    /// Other names of it, most of them older.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// What it is, for people.
    pub title: String,
    /// How it comes.
    pub packaging: Packaging,
    /// Whether a file may use any name that Linux takes.
    #[serde(default)]
    pub any: bool,
    /// Its interface on the management network.
    pub management: Option<Management>,
    /// Its ports, in families of one form.
    #[serde(default)]
    pub ports: Vec<Ports>,
    /// What containerlab takes beyond the ports' names.
    #[serde(default)]
    pub loose: Loose,
    /// Interfaces that the device keeps for itself.
    #[serde(default)]
    pub reserved: Vec<Reserved>,
    /// What `type` may be; any text where there is none.
    pub types: Option<Types>,
    /// Who logs in to a device as it comes, where somebody can.
    pub login: Option<Login>,
    /// How Ansible speaks to it, where there is a usual way.
    pub ansible: Option<Ansible>,
}

/// How a kind comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Packaging {
    /// A container whose processes are the device.
    Container,
    /// A virtual machine inside a container, whose ports are the container's interfaces.
    Machine,
    /// Something that is there already, or that others make: no image.
    Outside,
}

/// The interface on the management network.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Management {
    /// What it is called in Linux when the node starts.
    pub linux: String,
    /// What the device calls it, where that is another name.
    pub vendor: Option<String>,
    /// Other spellings.
    #[serde(default)]
    pub also: Vec<String>,
}

/// Ports of one form.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Ports {
    /// What the device calls them, where that is another name than Linux has.
    #[serde(default, deserialize_with = "one")]
    pub vendor: Option<Pattern>,
    /// What the Linux interface may be called; a file may use these, and the interface is called
    /// as written. The first is the usual one.
    #[serde(deserialize_with = "several")]
    pub linux: Vec<Pattern>,
    /// What a file may write beyond that; the interface then has the first name of `linux`.
    #[serde(default, deserialize_with = "several")]
    pub file: Vec<Pattern>,
    /// Spellings that are understood where a person names a port, and not in files.
    #[serde(default, deserialize_with = "several")]
    pub said: Vec<Pattern>,
    /// The least of each number.
    #[serde(default = "first")]
    pub from: u32,
    /// The greatest of each number, where there is one.
    pub to: Option<u32>,
}

/// What containerlab takes beyond the ports' names, because its own patterns fit a part of a name.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Loose {
    /// Names that the interface has as written.
    #[serde(default, deserialize_with = "several")]
    pub linux: Vec<Pattern>,
    /// Names that mean the first family's port of that number.
    #[serde(default, deserialize_with = "several")]
    pub file: Vec<Pattern>,
    /// The least of each number.
    #[serde(default = "first")]
    pub from: u32,
}

/// An interface that the device keeps for itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Reserved {
    /// Its names.
    pub names: Vec<String>,
    /// What for.
    pub why: String,
}

/// What `type` of a node may be.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Types {
    /// The types.
    pub names: Vec<String>,
    /// Whether they may be written in any case.
    #[serde(default)]
    pub any_case: bool,
    /// Whether a node must state one.
    #[serde(default)]
    pub required: bool,
}

impl Types {
    /// Whether `written` is one of them.
    pub fn has(&self, written: &str) -> bool {
        self.names.iter().any(|name| name == written || self.any_case && name.eq_ignore_ascii_case(written))
    }
}

/// Who logs in to a device as it comes: known to everybody, and no secret.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Login {
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// What an ssh client's `PubkeyAuthentication` must be, where the usual does not work.
    pub public_keys: Option<String>,
}

/// How Ansible speaks to a device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[non_exhaustive]
pub struct Ansible {
    /// Its `ansible_network_os`.
    pub network_os: String,
    /// Its `ansible_connection`.
    pub connection: String,
}

impl Kind {
    /// Whether nodes of this kind are made from an image.
    pub fn needs_image(&self) -> bool {
        self.packaging != Packaging::Outside
    }

    /// What the Linux interface is called when a topology file writes `written`: by containerlab's
    /// rule, and where that refuses the vendor's own name of a port, as for any other name of it. The
    /// management interface can be a link's end only where the node is not on a management network. An error says why the name cannot be used, and what can.
    pub fn in_file(&self, written: &str, on_management_network: bool) -> Result<InterfaceName, Unfit> {
        if let Some(unfit) = Unfit::of_linux(written) {
            return Err(unfit);
        }
        if on_management_network && let Some(management) = self.managed_by(written) {
            return Err(self.is_management(written, management));
        }
        match self.by_the_files_rule(written) {
            Some(linux) => Ok(InterfaceName::new(linux)?),
            None => Err(self.unfit(written)),
        }
    }

    fn by_the_files_rule(&self, written: &str) -> Option<String> {
        let own = self.ports.iter().any(|ports| ports.read(&ports.linux, written, Reading::Exact).is_some());
        if own || self.any {
            return Some(written.to_owned());
        }
        for ports in &self.ports {
            if let Some(numbers) = ports.read(&ports.file, written, Reading::Padded) {
                return ports.linux.first()?.write(&numbers);
            }
        }
        let counted = |numbers: &Numbers| numbers.values().all(|number| *number >= self.loose.from);
        if self.loose.linux.iter().filter_map(|pattern| pattern.read(written, Reading::Exact)).any(|n| counted(&n)) {
            return Some(written.to_owned());
        }
        let mut loose = self.loose.file.iter().filter_map(|pattern| pattern.read(written, Reading::Padded));
        self.ports.first()?.linux.first()?.write(&loose.find(counted)?)
    }

    /// Why a file cannot use a name.
    fn unfit(&self, written: &str) -> Unfit {
        let (kind, name) = (self.name.clone(), written.to_owned());
        if let Some(management) = self.managed_by(written) {
            return self.is_management(written, management);
        }
        let is_named = |reserved: &&Reserved| reserved.names.iter().any(|known| known.eq_ignore_ascii_case(written));
        if let Some(reserved) = self.reserved.iter().find(is_named) {
            return Unfit::Reserved { kind, name, why: reserved.why.clone() };
        }
        if let Some((ports, numbers)) = self.meant(written) {
            let takes = ports.linux.iter().chain(&ports.file).filter_map(|pattern| pattern.write(&numbers)).collect();
            return Unfit::Spelling { kind, name, takes };
        }
        let takes = self.ports.iter().flat_map(|ports| ports.linux.iter().chain(&ports.file));
        Unfit::NoPort { kind, name, takes: takes.map(Pattern::shown).collect(), first: self.first_port() }
    }

    fn is_management(&self, written: &str, management: &Management) -> Unfit {
        Unfit::Management { kind: self.name.clone(), name: written.to_owned(), linux: management.linux.clone() }
    }

    fn managed_by(&self, said: &str) -> Option<&Management> {
        let management = self.management.as_ref()?;
        let mut names = std::iter::once(&management.linux).chain(&management.vendor).chain(&management.also);
        names.any(|name| name.eq_ignore_ascii_case(said)).then_some(management)
    }

    /// The usual Linux name of the interface that a person means by `said`, in whatever spelling;
    /// `None` when the kind has no port of such a name.
    pub fn canonical(&self, said: &str) -> Option<String> {
        if let Some(management) = self.managed_by(said) {
            return Some(management.linux.clone());
        }
        if let Some((ports, numbers)) = self.meant(said) {
            return ports.linux.first()?.write(&numbers);
        }
        self.any.then(|| said.to_owned())
    }

    /// What two names of one port have in common: its usual name, else the name itself.
    pub fn port_key(&self, said: &str) -> String {
        self.canonical(said).unwrap_or_else(|| said.to_owned())
    }

    /// The port that is meant by any of its names.
    fn meant(&self, said: &str) -> Option<(&Ports, Numbers)> {
        [Reading::Padded, Reading::Folded].into_iter().find_map(|reading| {
            self.ports.iter().find_map(|ports| {
                ports.spellings().find_map(|pattern| ports.counted(pattern.read(said, reading)?)).map(|n| (ports, n))
            })
        })
    }

    /// What the device calls the port whose interface is `linux`; `None` where it has no name of
    /// its own.
    pub fn vendor_name(&self, linux: &str) -> Option<String> {
        if let Some(management) = self.management.as_ref().filter(|management| management.linux == linux) {
            return management.vendor.clone();
        }
        self.ports.iter().find_map(|ports| {
            let numbers = ports.read(&ports.linux, linux, Reading::Exact)?;
            ports.vendor.as_ref()?.write(&numbers)
        })
    }

    /// The first port: as the device calls it, and in Linux.
    pub fn first_port(&self) -> Option<(String, String)> {
        self.ports.first()?.examples().into_iter().next()
    }
}

impl Ports {
    /// Every spelling, the vendor's first.
    pub fn spellings(&self) -> impl Iterator<Item = &Pattern> {
        self.vendor.iter().chain(&self.linux).chain(&self.file).chain(&self.said)
    }

    /// The first three ports: as the device calls them, and in Linux.
    pub fn examples(&self) -> Vec<(String, String)> {
        let Some(linux) = self.linux.first() else { return Vec::new() };
        let last = linux.letters().last();
        let ports = (0..3).map(|more| {
            let number = |letter| self.from + if Some(letter) == last { more } else { 0 };
            linux.letters().map(|letter| (letter, number(letter))).collect::<Numbers>()
        });
        let pairs = ports.filter_map(|numbers| {
            let name = linux.write(&numbers)?;
            let vendor = self.vendor.as_ref().and_then(|vendor| vendor.write(&numbers));
            Some((vendor.unwrap_or_else(|| name.clone()), name))
        });
        pairs.collect()
    }

    fn read(&self, patterns: &[Pattern], text: &str, reading: Reading) -> Option<Numbers> {
        patterns.iter().find_map(|pattern| self.counted(pattern.read(text, reading)?))
    }

    /// The numbers, where the kind has a port of them.
    fn counted(&self, numbers: Numbers) -> Option<Numbers> {
        let fits = |number: &u32| *number >= self.from && self.to.is_none_or(|to| *number <= to);
        numbers.values().all(fits).then_some(numbers)
    }
}

fn first() -> u32 {
    1
}

fn one<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Pattern>, D::Error> {
    let written = String::deserialize(deserializer)?;
    Pattern::try_from(written).map(Some).map_err(serde::de::Error::custom)
}

fn several<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<Pattern>, D::Error> {
    let written = Vec::<String>::deserialize(deserializer)?;
    let read: Result<Vec<Pattern>, BadPattern> = written.into_iter().map(Pattern::try_from).collect();
    read.map_err(serde::de::Error::custom)
}
