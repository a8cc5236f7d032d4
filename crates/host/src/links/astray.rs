//! Interfaces that a node moved into a namespace of its own, as some vendors' systems do: they are read and probed where
//! they are. No such namespace is held open: it would outlive the processes in it, and its devices with it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use archetype_model::observed::{InsideObserved, Mark};
use archetype_netns::pin::NETNS_FOLDER;
use archetype_netns::rtnl::{Link, Socket};
use archetype_netns::{Error, Namespace};

/// What was read in namespaces that are no node's own.
#[derive(Debug, Default)]
pub(super) struct Astray {
    /// By the namespace's number, as the host's counts others, and the device's in it.
    read: BTreeMap<(i32, u32), Option<InsideObserved>>,
    /// Where a namespace was found last.
    ways: BTreeMap<i32, PathBuf>,
}

/// A device of the host whose other end is in no node's own namespace.
#[derive(Debug, Clone)]
pub(super) struct Stray {
    /// Whose it is.
    pub(super) mark: Mark,
    /// Its number.
    pub(super) device: u32,
    /// Where its other end is.
    pub(super) nsid: i32,
    /// The other end's number there.
    peer: u32,
}

impl Stray {
    /// Whether the other end of a device is where none of `own` is.
    pub(super) fn of(link: &Link, own: &BTreeSet<i32>) -> Option<Self> {
        let nsid = link.peer_nsid.filter(|nsid| !own.contains(nsid))?;
        let (peer, mark) = (link.peer_index?, link.alias.parse().ok()?);
        Some(Self { mark, device: link.index, nsid, peer })
    }
}

impl Astray {
    /// The other end, where it is; none when it is not there any more.
    pub(super) fn look(&mut self, host: &mut Socket, stray: &Stray) -> Result<Option<InsideObserved>, Error> {
        let key = (stray.nsid, stray.peer);
        if let Some(read) = self.read.get(&key) {
            return Ok(read.clone());
        }
        let link = host.link_in(stray.nsid, stray.peer)?;
        let read = link.as_ref().and_then(super::inside::observed);
        let read = read.filter(|(device, _)| *device == stray.device).map(|(_, inside)| inside);
        self.read.insert(key, read.clone());
        Ok(read)
    }

    /// Has what is in a namespace read again next time.
    pub(super) fn forget(&mut self, nsid: i32) {
        self.read.retain(|(of, _), _| *of != nsid);
    }

    /// Has everything read again next time.
    pub(super) fn forget_all(&mut self) {
        self.read.clear();
    }

    /// The namespace of a number, opened: a process is in it, or a name on the host or inside the node with the namespace
    /// `own` leads to it.
    pub(super) fn open(&mut self, host: &mut Socket, nsid: i32, own: &Namespace) -> Option<Namespace> {
        let mut known = BTreeSet::from([own.identity().inode]);
        let mut open = |path: &Path| {
            let namespace = Namespace::open_node(path).ok()?;
            let is_new = known.insert(namespace.identity().inode);
            let is_it = is_new && host.nsid_of(namespace.as_fd()).ok()? == Some(nsid);
            is_it.then_some(namespace)
        };
        let found = match self.ways.get(&nsid).and_then(|way| open(way)) {
            Some(found) => Some(found),
            None => candidates(own.identity().inode).iter().find_map(|path| open(path)),
        };
        match &found {
            Some(namespace) => drop(self.ways.insert(nsid, namespace.path().to_owned())),
            None => drop(self.ways.remove(&nsid)),
        }
        found
    }
}

/// Where namespaces may be found: by processes, by the host's names, by names inside the node with the namespace `own`.
fn candidates(own: u64) -> Vec<PathBuf> {
    use std::os::unix::fs::MetadataExt as _;
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes =
        processes.filter(|entry| entry.file_name().to_str().is_some_and(|name| name.parse::<u32>().is_ok()));
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    let mut own_root = None;
    for process in processes.map(|entry| entry.path()) {
        let namespace = process.join("ns/net");
        let Ok(inode) = fs::metadata(&namespace).map(|meta| meta.ino()) else { continue };
        if inode == own {
            own_root.get_or_insert_with(|| process.join("root"));
        } else if seen.insert(inode) {
            found.push(namespace);
        }
    }
    let inside = own_root.iter().flat_map(|root| ["run/netns", "var/run/netns"].map(|folder| root.join(folder)));
    for folder in inside.chain([PathBuf::from(NETNS_FOLDER)]) {
        found.extend(fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()));
    }
    found
}
