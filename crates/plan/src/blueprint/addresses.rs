//! Management addresses: stated ones first, then what each node has already, then what it had
//! before it left, then the lowest free one in file order. And the guests' blocks, from the rest.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use archetype_model::blueprint::{AddressAllocation, FormerHolder};
use archetype_model::name::{LabName, NetworkName, NodeName};
use archetype_model::spec::{NetworkSpec, Subnet};
use archetype_model::topology::{NodeDecl, Subject};

use super::attempt::{Attempt, Lab};
use super::networks::Family;
use super::pool::Pool;

/// The addresses of each lab planned anew, in the order of `Attempt::labs`, and who had those that
/// are free now.
pub(super) struct Addresses {
    pub labs: Vec<BTreeMap<NodeName, AddressAllocation>>,
    pub former: BTreeMap<NetworkName, BTreeMap<IpAddr, FormerHolder>>,
}

/// Gives every managed node its addresses and every network its guests' blocks.
pub(super) fn give(attempt: &mut Attempt<'_>, networks: &mut BTreeMap<NetworkName, NetworkSpec>) -> Addresses {
    let mut labs = vec![BTreeMap::new(); attempt.labs.len()];
    for (name, network) in networks.iter_mut() {
        let ipv4 = network.ipv4.as_mut().map(|laid| give_family::<Ipv4Addr>(attempt, name, laid)).unwrap_or_default();
        let ipv6 = network.ipv6.as_mut().map(|laid| give_family::<Ipv6Addr>(attempt, name, laid)).unwrap_or_default();
        for (index, lab) in attempt.labs.iter().enumerate().filter(|(_, lab)| &attempt.network_of(lab) == name) {
            for node in lab.shape.managed() {
                let key = (index, node.name.clone());
                let allocation = AddressAllocation {
                    network: name.clone(),
                    ipv4: ipv4.get(&key).copied(),
                    ipv6: ipv6.get(&key).copied(),
                };
                labs[index].insert(node.name.clone(), allocation);
            }
        }
    }
    let former = former(attempt, &labs);
    Addresses { labs, former }
}

/// What a family says of nodes.
trait Stated: Family {
    fn stated(node: &NodeDecl) -> Option<Self>;
    fn held(allocation: &AddressAllocation) -> Option<Self>;
    fn of_any(address: IpAddr) -> Option<Self>;
}

impl Stated for Ipv4Addr {
    fn stated(node: &NodeDecl) -> Option<Self> {
        node.definition.mgmt_ipv4
    }
    fn held(allocation: &AddressAllocation) -> Option<Self> {
        allocation.ipv4
    }
    fn of_any(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V4(address) => Some(address),
            IpAddr::V6(_) => None,
        }
    }
}

impl Stated for Ipv6Addr {
    fn stated(node: &NodeDecl) -> Option<Self> {
        node.definition.mgmt_ipv6
    }
    fn held(allocation: &AddressAllocation) -> Option<Self> {
        allocation.ipv6
    }
    fn of_any(address: IpAddr) -> Option<Self> {
        match address {
            IpAddr::V6(address) => Some(address),
            IpAddr::V4(_) => None,
        }
    }
}

/// A node of a lab planned anew: the lab's place and the node's name.
type Key = (usize, NodeName);

struct Round<'a, 'b, A: Stated> {
    attempt: &'b mut Attempt<'a>,
    network: &'b NetworkName,
    pool: Pool<A>,
    given: BTreeMap<Key, A>,
}

fn give_family<A: Stated>(
    attempt: &mut Attempt<'_>,
    network: &NetworkName,
    laid: &mut Subnet<A::Net, A>,
) -> BTreeMap<Key, A> {
    let range = attempt
        .labs
        .iter()
        .filter(|lab| &attempt.network_of(lab) == network)
        .find_map(|lab| A::range(&lab.topology.mgmt));
    let pool = Pool::new(laid.net, laid.gateway, range, laid.guests);
    let mut round = Round { attempt, network, pool, given: BTreeMap::new() };
    round.reserve_kept();
    round.stated();
    round.held();
    round.remembered();
    round.lowest();
    laid.guests = round.pool.guests();
    round.given
}

impl<A: Stated> Round<'_, '_, A> {
    /// What labs have that keep their part or are leaving. A subnet that was changed for a lab
    /// that is leaving does not have its addresses any more; that is no harm.
    fn reserve_kept(&mut self) {
        for kept in &self.attempt.kept {
            for (node, held) in kept.held.addresses.iter().filter(|(_, held)| &held.network == self.network) {
                if let Some(address) = A::held(held) {
                    let _ = self.pool.take(address, &format!("{}/{node}", kept.spec.name));
                }
            }
        }
    }

    fn nodes(&self) -> Vec<Key> {
        let labs = self.attempt.labs.iter().enumerate();
        let on_it = labs.filter(|(_, lab)| &self.attempt.network_of(lab) == self.network);
        on_it.flat_map(|(index, lab)| lab.shape.managed().map(move |node| (index, node.name.clone()))).collect()
    }

    fn lab(&self, key: &Key) -> &Lab<'_> {
        &self.attempt.labs[key.0]
    }

    fn holder(&self, key: &Key) -> String {
        format!("{}/{}", self.lab(key).name, key.1)
    }

    fn stated_of(&self, key: &Key) -> Option<A> {
        self.lab(key).topology.node(key.1.as_str()).and_then(<A as Stated>::stated)
    }

    fn held_of(&self, key: &Key) -> Option<A> {
        let held = self.lab(key).held?.addresses.get(&key.1)?;
        (&held.network == self.network).then(|| A::held(held)).flatten()
    }

    /// Stated addresses. What a node of another lab has already is not taken from it; within one
    /// lab the statement wins, and the other node moves.
    fn stated(&mut self) {
        let nodes = self.nodes();
        for key in &nodes {
            let Some(address) = self.stated_of(key) else { continue };
            let other = nodes.iter().find(|other| {
                other.0 != key.0 && self.stated_of(other).is_none() && self.held_of(other) == Some(address)
            });
            let holder = self.holder(key);
            let refused = match other {
                Some(other) => Err(format!("is {}'s", self.holder(other))),
                None => self.pool.take(address, &holder),
            };
            match refused {
                Ok(()) => drop(self.given.insert(key.clone(), address)),
                Err(why) => self.refuse(key, address, &why),
            }
        }
    }

    fn refuse(&mut self, key: &Key, address: A, why: &str) {
        let lab = &self.attempt.labs[key.0];
        let message = format!("node {}: {address} on network {} {why}", key.1, self.network);
        let node = lab.topology.node(key.1.as_str());
        let named = format!("mgmt-{}", A::KEY);
        let position = node.map(|node| lab.topology.position_of_key(node, &named)).unwrap_or_default();
        let problem = crate::check::problem(lab.topology, "address-refused", position, message)
            .hint("state another address, or none to be given one")
            .about(Subject::Node(key.1.clone()));
        let name = lab.name;
        self.attempt.fail(name, problem);
    }

    fn held(&mut self) {
        for key in self.nodes() {
            if let (None, Some(address)) = (self.given.get(&key), self.held_of(&key)) {
                self.try_take(key, address);
            }
        }
    }

    fn remembered(&mut self) {
        let Some(parent) = self.attempt.input.parent else { return };
        let Some(former) = parent.allocations.former.get(self.network) else { return };
        for key in self.nodes() {
            let is_its = |holder: &FormerHolder| &holder.lab == self.lab(&key).name && holder.node == key.1;
            let mut addresses = former.iter().filter(|(_, holder)| is_its(holder));
            let address = addresses.find_map(|(address, _)| A::of_any(*address));
            if let (None, Some(address)) = (self.given.get(&key), address) {
                self.try_take(key, address);
            }
        }
    }

    fn try_take(&mut self, key: Key, address: A) {
        let holder = self.holder(&key);
        if self.pool.take(address, &holder).is_ok() {
            self.given.insert(key, address);
        }
    }

    fn lowest(&mut self) {
        let nodes = self.nodes();
        let mut without: BTreeMap<usize, usize> = BTreeMap::new();
        for key in nodes.iter().filter(|key| !self.given.contains_key(key)).cloned().collect::<Vec<_>>() {
            let holder = self.holder(&key);
            match self.pool.take_lowest(&holder) {
                Some(address) => drop(self.given.insert(key, address)),
                None => *without.entry(key.0).or_default() += 1,
            }
        }
        for (index, missing) in without {
            self.too_small(index, missing);
        }
    }

    fn too_small(&mut self, index: usize, missing: usize) {
        let lab = &self.attempt.labs[index];
        let message = format!(
            "network {} has {} {} addresses for nodes, {} are taken and {missing} more are wanted",
            self.network,
            self.pool.capacity(),
            A::KEY,
            self.pool.in_use(),
        );
        let hint = "state a larger subnet under mgmt, or another network";
        let problem = lab.problem("network-too-small", &format!("mgmt.{}-subnet", A::KEY), message).hint(hint);
        let name = lab.name;
        self.attempt.fail(name, problem);
    }
}

/// Remembers who had what is free now, and forgets it where somebody has it.
fn former(
    attempt: &Attempt<'_>,
    given: &[BTreeMap<NodeName, AddressAllocation>],
) -> BTreeMap<NetworkName, BTreeMap<IpAddr, FormerHolder>> {
    let Some(parent) = attempt.input.parent else { return BTreeMap::new() };
    let mut former = parent.allocations.former.clone();
    let held = |lab: &LabName| parent.allocations.labs.get(lab).map(|held| &held.addresses);
    let moved = attempt.labs.iter().map(|lab| lab.name).chain(&attempt.dropped);
    for (lab, addresses) in moved.filter_map(|lab| Some((lab, held(lab)?))) {
        for (node, allocation) in addresses {
            for address in allocation.all() {
                let holder = FormerHolder { lab: lab.clone(), node: node.clone() };
                former.entry(allocation.network.clone()).or_default().insert(address, holder);
            }
        }
    }
    let kept = attempt.kept.iter().map(|kept| &kept.held.addresses);
    for allocation in given.iter().chain(kept).flat_map(BTreeMap::values) {
        if let Some(network) = former.get_mut(&allocation.network) {
            allocation.all().for_each(|address| drop(network.remove(&address)));
        }
    }
    former.retain(|_, network| !network.is_empty());
    former
}
