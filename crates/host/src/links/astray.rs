//! Interfaces that a node moved into a namespace of its own, as some vendors' systems do: they are read and probed where
//! they are. No such namespace is held open: it would outlive the processes in it, and its devices with it. It is not
//! read by its number from the host's socket either, which has the kernel give the host's own namespace a number, and older
//! kernels then tell the host's own devices as those of another namespace.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use archetype_model::observed::Mark;
use archetype_netns::pin::NETNS_FOLDER;
use archetype_netns::rtnl::{Link, Socket};
use archetype_netns::{Error, Namespace};

use super::holders;
use super::inside::There;
use crate::probe::Reached;

/// A namespace that was not found is not looked for again within this.
const LOOKED_FOR_EACH: Duration = Duration::from_secs(1);

/// How namespaces that are no node's own are found again.
#[derive(Debug, Default)]
pub(super) struct Astray {
    /// Where each was found last, by its number as the host's namespace counts others.
    ways: BTreeMap<i32, Way>,
    /// When each was looked for last and not found.
    missed: BTreeMap<i32, Instant>,
}

/// Where a namespace may be found.
#[derive(Debug, Clone)]
enum Way {
    /// By a path of the host.
    Plain(PathBuf),
    /// By a path inside a root, whose links lead where they lead for who has that root.
    In { root: PathBuf, path: PathBuf },
}

/// A device of the host whose other end is in no node's own namespace.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    /// Whose it is.
    mark: Mark,
    /// Its number.
    pub(super) device: u32,
    /// Where its other end is.
    pub(super) nsid: i32,
}

impl Stray {
    /// Whether the other end of a device is where none of `own` is.
    pub(super) fn of(link: &Link, own: &BTreeSet<i32>) -> Option<Self> {
        let nsid = link.peer_nsid.filter(|nsid| !own.contains(nsid))?;
        Some(Self { mark: link.alias.parse().ok()?, device: link.index, nsid })
    }

    /// Whether it is of the node with this mark.
    pub(super) fn is_of(&self, node: &Mark) -> bool {
        let whose = |mark: &Mark| (mark.installation.clone(), mark.lab.clone(), mark.node.clone());
        whose(&self.mark) == whose(node)
    }
}

impl Astray {
    /// The namespace of a number and what is in it, where it can be found: by a process in it, by a name on the host, by a
    /// name inside the node with the namespace `own`. `nodes` are those that are nodes' own, by their inodes.
    pub(super) fn read(
        &mut self,
        host: &mut Socket,
        nsid: i32,
        (own, nodes): (u64, &BTreeSet<u64>),
    ) -> Result<Option<Reached>, Error> {
        let Some(namespace) = self.open(host, nsid, own, nodes) else { return Ok(None) };
        let identity = namespace.identity().inode;
        let mut socket = namespace.rtnl()?;
        let links = socket.links()?;
        let there = There::of(&mut socket, identity)?;
        let devices = links.iter().filter_map(|link| there.observed(link)).collect();
        Ok(Some((namespace, devices)))
    }

    fn open(&mut self, host: &mut Socket, nsid: i32, own: u64, nodes: &BTreeSet<u64>) -> Option<Namespace> {
        let mut seen = nodes.clone();
        let mut open = |way: &Way| {
            let namespace = way.open().ok()?;
            let is_new = seen.insert(namespace.identity().inode);
            let is_it = is_new && host.nsid_of(namespace.as_fd()).ok()? == Some(nsid);
            is_it.then_some(namespace)
        };
        if let Some(found) = self.ways.get(&nsid).and_then(&mut open) {
            return Some(found);
        }
        self.ways.remove(&nsid);
        if self.missed.get(&nsid).is_some_and(|missed| missed.elapsed() < LOOKED_FOR_EACH) {
            return None;
        }
        for way in candidates(own) {
            if let Some(found) = open(&way) {
                self.missed.remove(&nsid);
                self.ways.insert(nsid, way);
                return Some(found);
            }
        }
        self.missed.insert(nsid, Instant::now());
        None
    }
}

impl Way {
    fn open(&self) -> Result<Namespace, Error> {
        match self {
            Self::Plain(path) => Namespace::open_node(path),
            Self::In { root, path } => Namespace::open_node_in(root, path),
        }
    }
}

/// Where namespaces may be found.
fn candidates(own: u64) -> Vec<Way> {
    let (mut found, mut seen, mut root) = (Vec::new(), BTreeSet::from([own]), None);
    for process in holders::pids().into_iter().map(|pid| PathBuf::from(format!("/proc/{pid}"))) {
        let namespace = process.join("ns/net");
        let Ok(inode) = fs::metadata(&namespace).map(|meta| meta.ino()) else { continue };
        if inode == own {
            root.get_or_insert_with(|| process.join("root"));
        }
        if seen.insert(inode) {
            found.push(Way::Plain(namespace));
        }
    }
    let names = fs::read_dir(NETNS_FOLDER).into_iter().flatten().flatten();
    found.extend(names.map(|entry| Way::Plain(entry.path())));
    found.extend(root.iter().flat_map(|root| names_inside(root)));
    found
}

/// The names that a node itself has given to namespaces.
fn names_inside(root: &Path) -> Vec<Way> {
    let folder = Path::new("run/netns");
    let names = archetype_netns::other_root::names_in(root, folder).unwrap_or_default();
    names.into_iter().map(|name| Way::In { root: root.to_owned(), path: folder.join(name) }).collect()
}
