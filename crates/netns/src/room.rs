//! A node's namespace together with what is needed to work on it: a socket inside, one where the
//! host's ends are, and where each interface of the facts is now.

use std::os::fd::{AsFd, OwnedFd};

use archetype_model::facts::{InterfaceFacts, NamespaceFacts};

use crate::error::{Error, Result};
use crate::ethtool::Switch;
use crate::namespace::Namespace;
use crate::rtnl::{Link, LinkKey, Request, Socket};
use crate::veth::{self, VethOrder};

/// Where an interface of the facts is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    /// In the node's namespace, under whatever name: the device there.
    Here(Box<Link>),
    /// The host's end lives (this is its index), its peer is somewhere else: in a namespace that
    /// the node made, which may be dying.
    Astray(u32),
    /// Both ends are gone.
    Missing,
}

/// The tools for one namespace.
pub(crate) struct Room<'a> {
    /// What is declared.
    pub facts: &'a NamespaceFacts,
    /// A socket in the node's namespace.
    pub node: Socket,
    /// A socket where the host's ends are.
    pub host: Socket,
    /// Switches features in the node's namespace.
    pub switch: Switch,
    /// The node's namespace as the host's numbers it; it may get its number only later.
    nsid: Option<i32>,
    /// The node's namespace.
    inside: OwnedFd,
}

impl<'a> Room<'a> {
    /// Opens the namespace of the facts and the tools for it. To be called in the namespace where
    /// the host's ends are, unless the facts name it.
    pub fn open(facts: &'a NamespaceFacts) -> Result<(Namespace, Self)> {
        let namespace = Namespace::open_node(&facts.namespace)?;
        let mut host = match &facts.host_namespace {
            Some(path) => Namespace::open(path)?.rtnl()?,
            None => Socket::open()?,
        };
        let nsid = host.nsid_of(namespace.as_fd())?;
        let inside = namespace.as_fd().try_clone_to_owned();
        let inside = inside.map_err(|error| Error::system("hold a namespace open", error))?;
        let (node, switch) = namespace.inside(|| Ok((Socket::open()?, Switch::open()?)))?;
        Ok((namespace, Self { facts, node, host, switch, nsid, inside }))
    }

    /// Finds an interface by its host's end, since inside the node may have renamed it, or given
    /// its name to another one. `links` are the devices in the node's namespace.
    pub fn place(&mut self, interface: &InterfaceFacts, links: &[Link]) -> Result<Place> {
        let Some(peer) = self.host.link(&LinkKey::Name(interface.peer.name.clone()))? else {
            return Ok(Place::Missing);
        };
        if self.nsid.is_none() {
            self.nsid = self.host.nsid_of(self.inside.as_fd())?;
        }
        let inside = peer.peer_index.filter(|_| peer.peer_nsid.is_some() && peer.peer_nsid == self.nsid);
        let link = links.iter().find(|link| Some(link.index) == inside && link.kind == "veth");
        Ok(link.map_or(Place::Astray(peer.index), |link| Place::Here(Box::new(link.clone()))))
    }

    /// Finds all interfaces of the facts, in their order.
    pub fn places(&mut self, links: &[Link]) -> Result<Vec<Place>> {
        let facts = self.facts;
        facts.interfaces.iter().map(|interface| self.place(interface, links)).collect()
    }

    /// Makes the pairs of `interfaces` anew, in place. A host's end whose peer is astray is deleted
    /// first, and with it the peer wherever it is.
    pub fn make_again(&mut self, namespace: &Namespace, interfaces: &[(&InterfaceFacts, Place)]) -> Result<()> {
        for (interface, place) in interfaces {
            if let Place::Astray(index) = place {
                self.remove_astray(interface, *index)?;
            }
        }
        let mut orders = Vec::new();
        for (interface, _) in interfaces {
            orders.push(self.order(namespace, interface)?);
        }
        let host = &mut self.host;
        let made = match &self.facts.host_namespace {
            Some(path) => Namespace::open(path)?.inside(|| veth::create(host, &orders))?,
            None => veth::create(host, &orders)?,
        };
        made.into_iter().try_for_each(|pair| pair.map(drop))?;
        self.nsid = self.host.nsid_of(namespace.as_fd())?;
        Ok(())
    }

    /// Deletes a host's end that bears the mark of the facts.
    fn remove_astray(&mut self, interface: &InterfaceFacts, index: u32) -> Result<()> {
        let Some(link) = self.host.link(&LinkKey::Index(index))? else { return Ok(()) };
        // One that nobody finished setting up bears the mark of its node, with which that of the port begins.
        let rest = interface.peer.alias.strip_prefix(&link.alias).filter(|_| !link.alias.is_empty());
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(':')) {
            let what = format!(
                "device {} on the host is not ours (it is marked {:?}); rename or remove it",
                link.name, link.alias
            );
            return Err(Error::Missing { what });
        }
        match self.host.delete(&LinkKey::Index(index)) {
            Err(error) if !error.is_absent() => Err(error),
            _ => Ok(()),
        }
    }

    fn order<'n>(&mut self, namespace: &'n Namespace, interface: &InterfaceFacts) -> Result<VethOrder<'n>> {
        let master = match &interface.peer.master {
            None => None,
            Some(name) => {
                let bridge = self.host.link(&LinkKey::Name(name.clone()))?;
                let absent = || Error::Missing { what: format!("bridge {name} of {} is not there", interface.name) };
                Some(bridge.ok_or_else(absent)?.index)
            }
        };
        Ok(VethOrder::of(interface, namespace.as_fd(), master))
    }

    /// Sends requests to the node's namespace; the first refusal that is not "it is not there" is
    /// the answer. `what` names each.
    pub fn all(&mut self, requests: Vec<(String, Request)>) -> Result<()> {
        let (names, requests): (Vec<_>, Vec<_>) = requests.into_iter().unzip();
        let answers = self.node.batch(&requests)?;
        for (name, answer) in names.into_iter().zip(answers) {
            if let Err(refusal) = answer {
                let error = refusal.about(name);
                if !error.is_absent() {
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}
