//! One node's namespace as the room keeps it: its handle, its netlink socket, and what was read.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsFd as _;

use archetype_model::ContainerName;
use archetype_model::observed::{InsideObserved, Mark};
use archetype_netns::rtnl::{Link, Socket};
use archetype_netns::{Error, Namespace};
use ipnet::IpNet;

use crate::place::Place;

/// A node's namespace.
#[derive(Debug)]
pub(super) struct Space {
    namespace: Namespace,
    socket: Option<Socket>,
    nsid: Option<i32>,
    there: Option<There>,
    inside: Option<Inside>,
    notes: Option<Notes>,
    /// Whether the name that people's tools use led to it when that was last read.
    pub(super) is_named: bool,
}

/// What is in a namespace.
#[derive(Debug, Clone, Default)]
pub(super) struct Inside {
    /// The devices with a peer on the host, by the peer's ifindex.
    pub(super) devices: BTreeMap<u32, InsideObserved>,
    /// Whether `lo` is up.
    pub(super) awake: bool,
}

/// What the room itself noted of a namespace, in files that nobody else writes.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    /// Whose it is.
    pub(super) mark: Mark,
    /// What its facts were made from; none before they were written.
    pub(super) facts: Option<String>,
}

impl Space {
    pub(super) fn new(namespace: Namespace) -> Self {
        Self { namespace, socket: None, nsid: None, there: None, inside: None, notes: None, is_named: false }
    }

    /// What was noted of it, read once; none where it bears no mark.
    pub(super) fn notes(&mut self, place: &Place, container: &ContainerName) -> Option<Notes> {
        if self.notes.is_none() {
            let mark = fs::read_to_string(place.mark_file(container)).ok()?.trim().parse().ok()?;
            // Who takes the facts away leaves the digest of what is not there.
            let is_there = place.facts_file(container).exists();
            let facts = is_there.then(|| fs::read_to_string(place.facts_digest(container)).ok()).flatten();
            self.notes = Some(Notes { mark, facts });
        }
        self.notes.clone()
    }

    /// Has the notes read again next time: they were written anew.
    pub(super) fn forget_notes(&mut self) {
        self.notes = None;
    }

    /// Has everything read from its source next time.
    pub(super) fn forget_all(&mut self) {
        self.forget();
        self.forget_notes();
    }

    /// The namespace's number on nsfs.
    pub(super) fn identity(&self) -> u64 {
        self.namespace.identity().inode
    }

    /// The namespace.
    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// How the host's namespace numbers this one; none until it shares a pair with it.
    pub(super) fn nsid(&self) -> Option<i32> {
        self.nsid
    }

    /// Has it read again next time.
    pub(super) fn forget(&mut self) {
        self.inside = None;
    }

    /// As [`Space::forget`], where no event could have said that pairs were made.
    pub(super) fn forget_if_new(&mut self) {
        if self.nsid.is_none() {
            self.inside = None;
        }
    }

    /// The addresses inside, by the ifindex of the host's device whose peer has them. Read anew each
    /// time: no event tells of them.
    pub(super) fn addresses(&mut self, host: &mut Socket) -> Result<BTreeMap<u32, Vec<IpNet>>, Error> {
        let inside = self.inside(host)?;
        let Some(socket) = &mut self.socket else { return Ok(BTreeMap::new()) };
        let all = socket.addresses()?;
        let on = |index: u32| all.iter().filter(move |one| one.index == index).map(|one| one.net).collect();
        Ok(inside.into_iter().map(|(peer, device)| (peer, on(device.ifindex))).collect())
    }

    /// The devices with a peer on the host, by the peer's ifindex.
    pub(super) fn inside(&mut self, host: &mut Socket) -> Result<BTreeMap<u32, InsideObserved>, Error> {
        self.look(host).map(|inside| inside.devices)
    }

    /// What is in it.
    pub(super) fn look(&mut self, host: &mut Socket) -> Result<Inside, Error> {
        if let Some(inside) = &self.inside {
            return Ok(inside.clone());
        }
        if self.nsid.is_none() {
            self.nsid = host.nsid_of(self.namespace.as_fd())?;
        }
        if self.socket.is_none() {
            self.socket = Some(self.namespace.rtnl()?);
        }
        let Some(socket) = &mut self.socket else { return Ok(Inside::default()) };
        let links = socket.links()?;
        let there = match self.there {
            Some(there) => there,
            None => There::of(socket, self.namespace.identity().inode)?,
        };
        // The number stays, once there is one.
        self.there = Some(there).filter(|there| there.host.is_some());
        let inside = Inside {
            devices: links.iter().filter_map(|link| there.observed(link)).collect(),
            awake: links.iter().any(|link| link.is_loopback() && link.is_up()),
        };
        // Without a number no event would say that this has changed.
        if self.nsid.is_some() {
            self.inside = Some(inside.clone());
        }
        Ok(inside)
    }
}

/// A namespace in which devices with a peer on the host are.
#[derive(Debug, Clone, Copy)]
pub(super) struct There {
    namespace: u64,
    /// How it numbers the host's namespace; none where no pair leads there.
    host: Option<i32>,
}

impl There {
    /// The namespace of a socket, with its inode. To be asked after its devices were: the kernel numbers a namespace when
    /// it first tells of a pair that leads there.
    pub(super) fn of(socket: &mut Socket, namespace: u64) -> Result<Self, Error> {
        Ok(Self { namespace, host: socket.nsid_of(Namespace::own()?.as_fd())? })
    }

    /// A device with a peer on the host, by the peer's ifindex there. A peer in this very namespace, or in another one
    /// still, is the node's own affair.
    pub(super) fn observed(self, link: &Link) -> Option<(u32, InsideObserved)> {
        let leads_to_host = link.kind == "veth" && link.peer_nsid.is_some() && link.peer_nsid == self.host;
        let peer = link.peer_index.filter(|_| leads_to_host)?;
        let observed = InsideObserved {
            name: link.name.clone(),
            namespace: self.namespace,
            ifindex: link.index,
            up: link.is_up(),
            carrier: link.has_carrier(),
            mtu: link.mtu,
            mac: link.mac(),
        };
        Some((peer, observed))
    }
}
