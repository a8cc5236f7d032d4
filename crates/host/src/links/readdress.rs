//! Declared addresses of a running node that become others: its management network's, changed in the file.

use archetype_model::facts::{InterfaceFacts, NamespaceFacts, RouteFacts};
use archetype_model::observed::InsideObserved;
use archetype_netns::Error;
use archetype_netns::rtnl::Socket;
use archetype_netns::rtnl::network::{address_removal, address_request, route_addition, route_removal};
use ipnet::IpNet;

/// The declared addresses of an interface, and the routes by it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ways<'a> {
    addresses: &'a [IpNet],
    routes: Vec<&'a RouteFacts>,
}

/// What facts declare of one of their interfaces.
pub(super) fn ways<'a>(facts: &'a NamespaceFacts, one: &'a InterfaceFacts) -> Ways<'a> {
    let routes = facts.routes.iter().filter(|route| route.dev == one.name).collect();
    Ways { addresses: &one.addresses, routes }
}

/// Turns what was declared of an interface into what is declared now, once. Inside its own software rules: what the node
/// has taken away or made otherwise stays so, and what its kernel refuses (`disable_ipv6`) it does without.
///
/// What is to go goes first, for an address takes along those of its subnet that came after it, and routes.
///
/// # Errors
/// When the kernel cannot be asked.
pub(super) fn readdress(
    socket: &mut Socket,
    inside: &InsideObserved,
    former: &Ways<'_>,
    now: &Ways<'_>,
) -> Result<(), Error> {
    if former == now {
        return Ok(());
    }
    let index = inside.ifindex;
    let removals: Vec<_> = former.routes.iter().map(|route| route_removal(route.dst, Some(route.via), index)).collect();
    let had: Vec<bool> = socket.batch(&removals)?.iter().map(Result::is_ok).collect();
    let old = former.addresses.iter().filter(|net| !now.addresses.contains(net));
    let removed = socket.batch(&old.map(|net| address_removal(index, *net)).collect::<Vec<_>>())?;
    // One that is down and never had the former ones is written at its start.
    if !inside.up && !removed.iter().any(Result::is_ok) {
        return Ok(());
    }
    let new = now.addresses.iter().filter(|net| !former.addresses.contains(net));
    let addresses = new.map(|net| address_request(index, *net));
    let routes = now.routes.iter().filter(|route| is_to_be(route, former, &had));
    let routes = routes.map(|route| route_addition(route.dst, Some(route.via), index));
    for refusal in socket.batch(&addresses.chain(routes).collect::<Vec<_>>())?.into_iter().filter_map(Result::err) {
        tracing::warn!(interface = inside.name, error = %refusal.about("change the addresses of a running node"));
    }
    Ok(())
}

/// Whether a route is to be added: one to the same place was there and has been removed, or none was declared.
fn is_to_be(route: &RouteFacts, former: &Ways<'_>, had: &[bool]) -> bool {
    let same = |(old, _): &(&&RouteFacts, &bool)| (old.dst, old.via.is_ipv4()) == (route.dst, route.via.is_ipv4());
    former.routes.iter().zip(had).find(same).is_none_or(|(_, had)| *had)
}
