//! The subnet of one family of a management network: stated, kept, defaulted or chosen.

use std::net::{Ipv4Addr, Ipv6Addr};

use archetype_model::spec::{NetworkSpec, Subnet as Laid};
use archetype_model::topology::{MgmtDecl, Subnet};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::super::attempt::Attempt;
use super::super::input::PlanSettings;
use super::super::pool::{Address, Pool};
use super::{Users, agreed};

/// What declarations, settings and specs say of a family.
pub(in super::super) trait Family: Address {
    /// The word of the family in a file's keys.
    const KEY: &'static str;
    fn stated(mgmt: &MgmtDecl) -> Option<Subnet<Self::Net>>;
    fn gateway(mgmt: &MgmtDecl) -> Option<Self>;
    fn range(mgmt: &MgmtDecl) -> Option<Self::Net>;
    fn default(settings: &PlanSettings) -> Option<Subnet<Self::Net>>;
    fn laid(network: &NetworkSpec) -> Option<&Laid<Self::Net, Self>>;
    /// Subnets to choose from, the preferred ones first.
    fn candidates() -> Box<dyn Iterator<Item = Self::Net>>;
    fn any(net: Self::Net) -> IpNet;
}

impl Family for Ipv4Addr {
    const KEY: &'static str = "ipv4";
    fn stated(mgmt: &MgmtDecl) -> Option<Subnet<Ipv4Net>> {
        mgmt.ipv4_subnet
    }
    fn gateway(mgmt: &MgmtDecl) -> Option<Self> {
        mgmt.ipv4_gw
    }
    fn range(mgmt: &MgmtDecl) -> Option<Ipv4Net> {
        mgmt.ipv4_range
    }
    fn default(settings: &PlanSettings) -> Option<Subnet<Ipv4Net>> {
        settings.mgmt_ipv4
    }
    fn laid(network: &NetworkSpec) -> Option<&Laid<Ipv4Net, Self>> {
        network.ipv4.as_ref()
    }
    fn candidates() -> Box<dyn Iterator<Item = Ipv4Net>> {
        let octets =
            (20..=255u8).map(|third| (20, third)).chain((21..=31u8).flat_map(|b| (0..=255).map(move |c| (b, c))));
        Box::new(octets.map(|(second, third)| Ipv4Net::new_assert(Ipv4Addr::new(172, second, third, 0), 24)))
    }
    fn any(net: Ipv4Net) -> IpNet {
        IpNet::V4(net)
    }
}

impl Family for Ipv6Addr {
    const KEY: &'static str = "ipv6";
    fn stated(mgmt: &MgmtDecl) -> Option<Subnet<Ipv6Net>> {
        mgmt.ipv6_subnet
    }
    fn gateway(mgmt: &MgmtDecl) -> Option<Self> {
        mgmt.ipv6_gw
    }
    fn range(mgmt: &MgmtDecl) -> Option<Ipv6Net> {
        mgmt.ipv6_range
    }
    fn default(settings: &PlanSettings) -> Option<Subnet<Ipv6Net>> {
        settings.mgmt_ipv6
    }
    fn laid(network: &NetworkSpec) -> Option<&Laid<Ipv6Net, Self>> {
        network.ipv6.as_ref()
    }
    fn candidates() -> Box<dyn Iterator<Item = Ipv6Net>> {
        let of = |fourth: u16| Ipv6Net::new_assert(Ipv6Addr::new(0x3fff, 0x172, 0x20, fourth, 0, 0, 0, 0), 64);
        Box::new((0x20..=0xffff).map(of))
    }
    fn any(net: Ipv6Net) -> IpNet {
        IpNet::V6(net)
    }
}

/// What a network's subnet is to be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Choice<N> {
    /// The network has no addresses of this family.
    None,
    /// This one.
    Net(N),
    /// Any that is free.
    Any,
}

/// A choice, and whether it is already known to be free.
#[derive(Debug)]
pub(super) struct Chosen<N> {
    choice: Choice<N>,
    kept: bool,
}

/// Subnets given so far, with their network.
#[derive(Debug, Default)]
pub(super) struct Nets(Vec<(IpNet, String)>);

impl Nets {
    fn holder(&self, net: IpNet) -> Option<&str> {
        self.0.iter().find(|(other, _)| overlap(other, &net)).map(|(_, holder)| holder.as_str())
    }
}

fn overlap(a: &IpNet, b: &IpNet) -> bool {
    a.contains(b) || b.contains(a)
}

/// What the subnet is to be by what labs state, what is kept and the default.
pub(super) fn choose<A: Family>(attempt: &mut Attempt<'_>, users: &Users<'_>) -> Chosen<A::Net> {
    let former = users.former.and_then(A::laid).map(|laid| laid.net);
    let kept = users.former.filter(|_| users.keeps_subnets || users.labs.is_empty()).map(|_| former);
    let wanted = stated::<A>(attempt, users, kept.flatten());
    let choice = match (wanted, kept) {
        (Some(Subnet::Net(net)), _) => Choice::Net(net),
        (_, Some(Some(net))) => Choice::Net(net),
        (Some(Subnet::Auto), _) => former.map_or(Choice::Any, Choice::Net),
        (None, Some(None)) => Choice::None,
        (None, None) if users.states_subnet => Choice::None,
        (None, None) => match A::default(&attempt.input.settings) {
            Some(Subnet::Net(net)) => Choice::Net(net),
            Some(Subnet::Auto) => Choice::Any,
            None => Choice::None,
        },
    };
    Chosen { kept: former.is_some_and(|net| choice == Choice::Net(net)), choice }
}

/// The subnet that the labs state; each that disagrees is told so.
fn stated<A: Family>(attempt: &mut Attempt<'_>, users: &Users<'_>, kept: Option<A::Net>) -> Option<Subnet<A::Net>> {
    let mut wanted = kept.map(|net| (Subnet::Net(net), "labs that are on it".to_owned()));
    let mut is_stated = false;
    for index in &users.labs {
        let lab = &attempt.labs[*index];
        let Some(subnet) = A::stated(&lab.topology.mgmt) else { continue };
        is_stated = true;
        match (&wanted, subnet) {
            (None | Some((Subnet::Auto, _)), _) => wanted = Some((subnet, format!("lab {}", lab.name))),
            (Some((Subnet::Net(net), whose)), Subnet::Net(other)) if *net != other => {
                let message = format!("network {}: subnet {other}, but {whose} made it {net}", users.name);
                let hint = "state the same, or name another network under mgmt";
                let path = format!("mgmt.{}-subnet", A::KEY);
                let (name, problem) = (lab.name, lab.problem("network-conflict", &path, message).hint(hint));
                attempt.fail(name, problem);
            }
            _ => {}
        }
    }
    wanted.filter(|_| is_stated).map(|(subnet, _)| subnet)
}

/// Takes a subnet that is known, in the round of those that stay (`kept`) or of the others, which
/// must not be anybody else's.
pub(super) fn settle<A: Family>(
    attempt: &mut Attempt<'_>,
    users: &Users<'_>,
    chosen: &mut Chosen<A::Net>,
    nets: &mut Nets,
    kept: bool,
) {
    let Choice::Net(net) = chosen.choice else { return };
    if chosen.kept != kept {
        return;
    }
    let any = A::any(net);
    if !kept {
        let foreign =
            attempt.input.facts.held.iter().find(|held| held.subnets.iter().any(|other| overlap(other, &any)));
        let holder = foreign.map(|held| held.holder.clone()).or_else(|| nets.holder(any).map(str::to_owned));
        if let Some(holder) = holder {
            let message = format!("network {}: subnet {net} overlaps one of {holder}", users.name);
            fail::<A>(attempt, users, "subnet-taken", message, "state another subnet under mgmt, or auto");
        } else if !Pool::<A>::holds_a_node(net) {
            let message = format!("network {}: subnet {net} has no room for a gateway and a node", users.name);
            fail::<A>(attempt, users, "network-too-small", message, "state a larger subnet");
        }
    }
    nets.0.push((any, format!("network {}", users.name)));
}

/// The subnet with its gateway; one that is left open is chosen now.
pub(super) fn pick<A: Family>(
    attempt: &mut Attempt<'_>,
    users: &Users<'_>,
    chosen: Chosen<A::Net>,
    nets: &mut Nets,
) -> Option<Laid<A::Net, A>> {
    let net = match chosen.choice {
        Choice::None => return None,
        Choice::Net(net) => net,
        Choice::Any => {
            let is_foreign = |any: IpNet| {
                attempt.input.facts.held.iter().flat_map(|held| &held.subnets).any(|other| overlap(other, &any))
            };
            let free = A::candidates().find(|net| !is_foreign(A::any(*net)) && nets.holder(A::any(*net)).is_none());
            let Some(net) = free else {
                let message = format!("network {}: no {} subnet is free to choose", users.name, A::KEY);
                fail::<A>(attempt, users, "subnet-taken", message, "state a subnet under mgmt");
                return None;
            };
            nets.0.push((A::any(net), format!("network {}", users.name)));
            net
        }
    };
    let former = users.former.and_then(A::laid).filter(|former| former.net == net);
    let gateway = gateway::<A>(attempt, users, net, former.map(|former| former.gateway));
    Some(Laid { net, gateway, guests: former.and_then(|former| former.guests) })
}

fn gateway<A: Family>(attempt: &mut Attempt<'_>, users: &Users<'_>, net: A::Net, former: Option<A>) -> A {
    if users.labs.is_empty() {
        return former.unwrap_or_else(|| Pool::first_host(net));
    }
    let key = format!("{}-gw", A::KEY);
    let stated = agreed(attempt, users, &key, A::gateway, former.filter(|_| users.pinned));
    let Some(gateway) = stated else { return Pool::first_host(net) };
    // Asked as if another address were the gateway: a gateway must be an address a node could have.
    let pool: Pool<A> = Pool::new(net, A::of(0), None, None);
    if let Some(why) = pool.unusable(gateway) {
        let message = format!("network {}: the gateway {gateway} {why}", users.name);
        fail::<A>(attempt, users, "address-refused", message, "state an address of the subnet");
    }
    gateway
}

fn fail<A: Family>(attempt: &mut Attempt<'_>, users: &Users<'_>, code: &'static str, message: String, hint: &str) {
    let path = format!("mgmt.{}-subnet", A::KEY);
    for index in &users.labs {
        let lab = &attempt.labs[*index];
        let (name, problem) = (lab.name, lab.problem(code, &path, message.clone()).hint(hint));
        attempt.fail(name, problem);
    }
}
