//! Management addresses: stated ones first, then what each node has already, then what it had
//! before it left, then the lowest free one in file order. And the guests' blocks, from the rest.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use archetype_model::blueprint::{AddressAllocation, FormerHolder};
use archetype_model::name::{LabName, NetworkName, NodeName};
use archetype_model::spec::{NetworkSpec, Subnet};
use archetype_model::topology::{NodeDecl, Subject};
use ipnet::IpNet;

use super::attempt::Attempt;
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
    fn net_of_any(net: IpNet) -> Option<Self::Net>;
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
    fn net_of_any(net: IpNet) -> Option<Self::Net> {
        match net {
            IpNet::V4(net) => Some(net),
            IpNet::V6(_) => None,
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
    fn net_of_any(net: IpNet) -> Option<Self::Net> {
        match net {
            IpNet::V6(net) => Some(net),
            IpNet::V4(_) => None,
        }
    }
}

/// A node of a lab planned anew: the lab's place and the node's name.
type Key = (usize, NodeName);

/// A node that is to have an address.
#[derive(Debug, Clone)]
struct Want<A> {
    key: Key,
    lab: LabName,
    stated: Option<A>,
    held: Option<A>,
}

impl<A> Want<A> {
    fn holder(&self) -> String {
        format!("{}/{}", self.lab, self.key.1)
    }
}

struct Round<'a, 'b, A: Stated> {
    attempt: &'b mut Attempt<'a>,
    network: &'b NetworkName,
    pool: Pool<A>,
    /// In file order, labs that hold something first.
    wants: Vec<Want<A>>,
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
    let mut pool = Pool::new(laid.net, laid.gateway, range, laid.guests);
    if let Some(visited) = attempt.input.facts.visited.get(network) {
        let who = format!("{} is on its network {network}", visited.containers.join(", "));
        visited.ranges.iter().filter_map(|range| A::net_of_any(*range)).for_each(|range| pool.lend(range, &who));
    }
    let wants = wants(attempt, network);
    let mut round = Round { attempt, network, pool, wants, given: BTreeMap::new() };
    round.reserve_kept();
    round.stated();
    round.held();
    round.remembered();
    round.lowest();
    laid.guests = round.pool.guests();
    round.given
}

fn wants<A: Stated>(attempt: &Attempt<'_>, network: &NetworkName) -> Vec<Want<A>> {
    let mut wants = Vec::new();
    for (index, lab) in attempt.labs.iter().enumerate().filter(|(_, lab)| &attempt.network_of(lab) == network) {
        for node in lab.shape.managed() {
            let held = lab.held.and_then(|held| held.addresses.get(&node.name));
            wants.push(Want {
                key: (index, node.name.clone()),
                lab: lab.name.clone(),
                stated: <A as Stated>::stated(node),
                held: held.filter(|held| &held.network == network).and_then(A::held),
            });
        }
    }
    wants
}

impl<A: Stated> Round<'_, '_, A> {
    /// What labs have that keep their part or are leaving. A subnet that was changed for a lab
    /// that is leaving does not have its addresses any more; that is no harm.
    fn reserve_kept(&mut self) {
        for kept in &self.attempt.kept {
            for (node, held) in kept.held.addresses.iter().filter(|(_, held)| &held.network == self.network) {
                if let Some(address) = A::held(held) {
                    let _ = self.pool.keep(address, &format!("{}/{node}", kept.spec.name));
                }
            }
        }
    }

    /// Stated addresses. What a node of another lab has already is not taken from it; within one
    /// lab the statement wins, and the other node moves.
    fn stated(&mut self) {
        let silent = self.wants.iter().filter(|want| want.stated.is_none());
        let held: BTreeMap<A, Want<A>> = silent.filter_map(|want| Some((want.held?, want.clone()))).collect();
        for want in self.wants.clone() {
            let Some(address) = want.stated else { continue };
            let refused = match held.get(&address).filter(|other| other.key.0 != want.key.0) {
                Some(other) => Err(format!("is {}'s", other.holder())),
                None if want.held == Some(address) => self.pool.keep(address, &want.holder()),
                None => self.pool.take(address, &want.holder()),
            };
            match refused {
                Ok(()) => drop(self.given.insert(want.key, address)),
                Err(why) => self.refuse(&want.key, address, &why),
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
        for want in self.without() {
            if let Some(address) = want.held
                && self.pool.keep(address, &want.holder()).is_ok()
            {
                self.given.insert(want.key, address);
            }
        }
    }

    fn remembered(&mut self) {
        let Some(parent) = self.attempt.input.parent else { return };
        let Some(former) = parent.allocations.former.get(self.network) else { return };
        let of_family =
            former.iter().filter_map(|(address, holder)| Some(((&holder.lab, &holder.node), A::of_any(*address)?)));
        let addresses: BTreeMap<(&LabName, &NodeName), A> = of_family.collect();
        for want in self.without() {
            let address = addresses.get(&(&want.lab, &want.key.1)).copied();
            if let Some(address) = address {
                self.try_take(want, address);
            }
        }
    }

    /// Nodes that have no address yet.
    fn without(&self) -> Vec<Want<A>> {
        self.wants.iter().filter(|want| !self.given.contains_key(&want.key)).cloned().collect()
    }

    fn try_take(&mut self, want: Want<A>, address: A) {
        if self.pool.take(address, &want.holder()).is_ok() {
            self.given.insert(want.key, address);
        }
    }

    fn lowest(&mut self) {
        let mut without: BTreeMap<usize, usize> = BTreeMap::new();
        for want in self.without() {
            match self.pool.take_lowest(&want.holder()) {
                Some(address) => drop(self.given.insert(want.key, address)),
                None => *without.entry(want.key.0).or_default() += 1,
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
