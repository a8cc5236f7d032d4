//! What a namespace was like when it was new: its settings and the features of a fresh interface.
//!
//! It is kept by the namespace's own number, not by the node's facts: a container that is made
//! anew in the same namespace starts in one that has been used. Without it a start is the first.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::ethtool::{Features, Switch};
use crate::folder::replace;
use crate::namespace::{Namespace, cookie_of};
use crate::rtnl::network::Table;
use crate::rtnl::wire::Attributes;
use crate::rtnl::{Link, Message, Request, Socket};
use crate::sysctl::{self, Settings};

/// Where it is kept for the namespaces of every installation, until they are unpinned.
const FOLDER: &str = "/run/archetype/recorded";
const FORMAT: u32 = 1;
const MTU6: usize = 2;

/// The state of a new namespace.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recorded {
    format: u32,
    /// The namespace's number, never given twice while the machine runs.
    cookie: u64,
    /// The settings of the namespace, of `lo` and of the sample.
    pub settings: Settings,
    /// A fresh interface, by which all others of ours are judged; `default` when there was none.
    pub sample: String,
    /// The sample's settings as the dump of devices has them.
    pub arrays: Option<Arrays>,
    /// The same of `lo`.
    pub loopback: Option<Arrays>,
    /// The features of the sample that are on.
    pub features: Option<Vec<u32>>,
    /// The address labels of IPv6; none where it has no IPv6, or an older version wrote this.
    #[serde(default)]
    pub labels: Vec<AddressLabel>,
}

/// An address label of IPv6 (RFC 6724), as the kernel tells it but for the number of its last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AddressLabel(Vec<u8>);

impl AddressLabel {
    /// Where that number stands in `struct ifaddrlblmsg`.
    const CHANGE: std::ops::Range<usize> = 8..12;

    /// Those of the namespace of `socket`; none where it has no IPv6.
    pub fn all(socket: &mut Socket) -> Vec<Self> {
        let plain = |message: Message| {
            let mut body = message.body;
            body[Self::CHANGE].fill(0);
            Self(body)
        };
        socket.table(Table::AddressLabels).unwrap_or_default().into_iter().map(plain).collect()
    }

    /// The request that adds it.
    pub fn add(&self) -> Request {
        Table::AddressLabels.add_request(&self.0)
    }

    /// The request that deletes it.
    pub fn delete(&self) -> Request {
        Table::AddressLabels.delete_request(&self.0)
    }
}

/// The settings of one device as the kernel numbers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Arrays {
    ipv4: Vec<u8>,
    ipv6: Vec<u8>,
    neighbours: Vec<u8>,
}

impl Arrays {
    /// Takes them out of a device as it was read.
    pub fn of(link: &Link, neighbours: &NeighbourArrays) -> Self {
        const CONF4: u16 = 1;
        const CONF6: u16 = 2;
        let find = |family: i32, kind: u16| {
            let family = Attributes(&link.settings).find(|a| i32::from(a.kind) == family);
            family.and_then(|a| a.inner().find(|a| a.kind == kind)).map(|a| a.value.to_vec()).unwrap_or_default()
        };
        let mut ipv6 = find(libc::AF_INET6, CONF6);
        // The IPv6 MTU follows the device's by itself.
        ipv6.iter_mut().skip(4 * MTU6).take(4).for_each(|byte| *byte = 0);
        let neighbours = neighbours.0.get(&link.index).cloned().unwrap_or_default();
        Self { ipv4: find(libc::AF_INET, CONF4), ipv6, neighbours }
    }
}

/// The settings of all devices about neighbours, by the device's index.
pub(crate) struct NeighbourArrays(BTreeMap<u32, Vec<u8>>);

impl NeighbourArrays {
    /// Reads them from the namespace of `socket`.
    pub fn read(socket: &mut Socket) -> Result<Self> {
        const RTM_GETNEIGHTBL: u16 = 66;
        const NDTA_PARMS: u16 = 6;
        const INDEX: u16 = 1;
        /// How many use the table, and a time that the kernel draws anew every few minutes.
        const UNSTEADY: [u16; 3] = [INDEX, 2, 3];
        let tables = socket.dump("list the neighbour tables", &Request::new(RTM_GETNEIGHTBL, 0, &[0; 4]))?;
        let mut all: BTreeMap<u32, Vec<u8>> = BTreeMap::new();
        for parameters in tables.iter().flat_map(|table| table.attributes(4)).filter(|a| a.kind == NDTA_PARMS) {
            let Some(index) = parameters.inner().find(|a| a.kind == INDEX) else { continue };
            let array = all.entry(index.u32()).or_default();
            for attribute in parameters.inner().filter(|a| !UNSTEADY.contains(&a.kind)) {
                array.extend(attribute.kind.to_ne_bytes());
                array.extend(attribute.value);
            }
        }
        Ok(Self(all))
    }
}

impl Recorded {
    /// Reads what was recorded of the namespace of `socket`; nothing when nothing was.
    pub fn read(socket: &Socket) -> Option<Self> {
        let cookie = cookie_of(socket.as_fd()).ok()?;
        let text = std::fs::read_to_string(path_of(cookie)).ok()?;
        let recorded: Self = serde_json::from_str(&text).ok()?;
        (recorded.format == FORMAT && recorded.cookie == cookie).then_some(recorded)
    }

    /// Records the calling thread's namespace, which is that of `socket`. `ours` are its
    /// interfaces, fresh as they were made.
    pub fn take(socket: &mut Socket, links: &[Link], ours: &[&Link], switch: &Switch) -> Result<Self> {
        let sample = ours.first();
        let cookie = cookie_of(socket.as_fd())?;
        let neighbours = NeighbourArrays::read(socket)?;
        let name = sample.map_or("default", |link| link.name.as_str());
        let loopback = links.iter().find(|link| link.is_loopback());
        let recorded = Self {
            format: FORMAT,
            cookie,
            settings: sysctl::record_new(name),
            sample: name.to_owned(),
            arrays: sample.map(|link| Arrays::of(link, &neighbours)),
            loopback: loopback.map(|link| Arrays::of(link, &neighbours)),
            labels: AddressLabel::all(socket),
            features: sample.and_then(|link| switch.features(&link.name).ok()).map(|Features { wanted, .. }| wanted),
        };
        let text = serde_json::to_vec(&recorded)
            .map_err(|error| Error::Missing { what: format!("write down a new namespace: {error}") })?;
        replace(&path_of(cookie), &text)?;
        Ok(recorded)
    }
}

fn path_of(cookie: u64) -> PathBuf {
    Path::new(FOLDER).join(cookie.to_string())
}

/// Forgets what was recorded of a namespace that is about to go.
pub(crate) fn forget(namespace: &Namespace) {
    if let Ok(cookie) = namespace.cookie() {
        // One that was never started has none.
        let _ = std::fs::remove_file(path_of(cookie));
    }
}
