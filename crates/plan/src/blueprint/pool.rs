//! Addresses of one subnet: which are taken, which is the next free one, and which block is left
//! for other people's containers. Works on numbers, so both families share it.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// An address family: addresses as numbers.
pub(super) trait Address: Copy + Ord + Display {
    /// A subnet of it.
    type Net: Copy + PartialEq + Display;
    /// The bits of an address.
    const BITS: u8;
    /// The longest prefix of a block left for guests.
    const SMALLEST_GUESTS: u8;
    /// The shortest prefix of a block left for guests: IPv6 needs no more than 4 thousand million.
    const LARGEST_GUESTS: u8;
    /// Whether the last address of a subnet is its broadcast address.
    const BROADCAST: bool;

    /// The address as a number.
    fn number(self) -> u128;
    /// The address of this number.
    fn of(number: u128) -> Self;
    /// A subnet as a block of numbers.
    fn block(net: Self::Net) -> Block;
    /// A block of numbers as a subnet.
    fn net(block: Block) -> Self::Net;
}

/// An aligned block of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Block {
    pub first: u128,
    pub last: u128,
    pub prefix: u8,
}

impl Block {
    fn aligned<A: Address>(first: u128, prefix: u8) -> Self {
        Self { first, last: first + (size(A::BITS - prefix) - 1), prefix }
    }

    pub fn contains(&self, number: u128) -> bool {
        (self.first..=self.last).contains(&number)
    }

    pub fn within(&self, other: &Self) -> bool {
        other.contains(self.first) && other.contains(self.last)
    }
}

/// The number of addresses of so many bits; the whole of IPv6 is counted one short.
fn size(bits: u8) -> u128 {
    1u128.checked_shl(bits.into()).unwrap_or(u128::MAX)
}

impl Address for Ipv4Addr {
    type Net = Ipv4Net;
    const BITS: u8 = 32;
    const SMALLEST_GUESTS: u8 = 30;
    const LARGEST_GUESTS: u8 = 1;
    const BROADCAST: bool = true;

    fn number(self) -> u128 {
        u32::from(self).into()
    }

    fn of(number: u128) -> Self {
        Self::from(number as u32)
    }

    fn block(net: Ipv4Net) -> Block {
        Block::aligned::<Self>(net.network().number(), net.prefix_len())
    }

    fn net(block: Block) -> Ipv4Net {
        Ipv4Net::new(Self::of(block.first), block.prefix).expect("a block's prefix fits its family")
    }
}

impl Address for Ipv6Addr {
    type Net = Ipv6Net;
    const BITS: u8 = 128;
    const SMALLEST_GUESTS: u8 = 126;
    const LARGEST_GUESTS: u8 = 96;
    const BROADCAST: bool = false;

    fn number(self) -> u128 {
        self.into()
    }

    fn of(number: u128) -> Self {
        Self::from(number)
    }

    fn block(net: Ipv6Net) -> Block {
        Block::aligned::<Self>(net.network().number(), net.prefix_len())
    }

    fn net(block: Block) -> Ipv6Net {
        Ipv6Net::new(Self::of(block.first), block.prefix).expect("a block's prefix fits its family")
    }
}

/// The addresses of one subnet.
#[derive(Debug, Clone)]
pub(super) struct Pool<A: Address> {
    subnet: Block,
    gateway: A,
    /// Where addresses are taken from that nobody asked for.
    range: Block,
    /// A block that is left alone as long as there is anything else.
    guests: Option<Block>,
    /// Blocks of which somebody else gives addresses now, and who, for people.
    lent: Vec<(Block, String)>,
    /// Who has what, for people.
    taken: BTreeMap<A, String>,
}

/// Why an address cannot be had; the end of a sentence about it.
pub(super) type Refused = String;

impl<A: Address> Pool<A> {
    /// A subnet with nothing taken but the gateway; `range` limits what is given without being
    /// asked for, `guests` is the block that was left for guests before.
    pub fn new(subnet: A::Net, gateway: A, range: Option<A::Net>, guests: Option<A::Net>) -> Self {
        let subnet = A::block(subnet);
        let range = range.map(A::block).filter(|range| range.within(&subnet)).unwrap_or(subnet);
        let guests = guests.map(A::block).filter(|guests| guests.within(&subnet));
        Self { subnet, gateway, range, guests, lent: Vec::new(), taken: BTreeMap::new() }
    }

    /// Leaves a block to who gives its addresses away now: no node gets one, and it stays the guests'.
    pub fn lend(&mut self, net: A::Net, to: &str) {
        let block = A::block(net);
        if block.within(&self.subnet) {
            self.lent.push((block, to.to_owned()));
        }
    }

    fn lent(&self, number: u128) -> Option<&(Block, String)> {
        self.lent.iter().find(|(block, _)| block.contains(number))
    }

    /// The first address after the subnet's own: the gateway where none is stated.
    pub fn first_host(subnet: A::Net) -> A {
        A::of(A::block(subnet).first + 1)
    }

    /// The smallest number of addresses that makes a subnet: gateway and one node.
    pub fn holds_a_node(subnet: A::Net) -> bool {
        A::block(subnet).prefix <= A::BITS - 2
    }

    /// Why no node may ever have this address, if so.
    pub fn unusable(&self, address: A) -> Option<Refused> {
        let number = address.number();
        if !self.subnet.contains(number) {
            return Some(format!("is not in {}", A::net(self.subnet)));
        }
        if address == self.gateway {
            return Some("is the gateway's".into());
        }
        if number == self.subnet.first {
            return Some(format!("is the address of {} itself", A::net(self.subnet)));
        }
        (A::BROADCAST && number == self.subnet.last)
            .then(|| format!("is the broadcast address of {}", A::net(self.subnet)))
    }

    /// Gives this address to `holder`, unless it cannot be had.
    pub fn take(&mut self, address: A, holder: &str) -> Result<(), Refused> {
        if let Some((block, to)) = self.lent(address.number()) {
            return Err(format!("is in {}, from which Docker gives addresses to others while {to}", A::net(*block)));
        }
        self.keep(address, holder)
    }

    /// As [`Self::take`], of an address that `holder` has already: it is not taken from it for anybody's sake.
    pub fn keep(&mut self, address: A, holder: &str) -> Result<(), Refused> {
        if let Some(why) = self.unusable(address) {
            return Err(why);
        }
        if let Some(other) = self.taken.get(&address) {
            return Err(format!("is {other}'s"));
        }
        self.taken.insert(address, holder.to_owned());
        Ok(())
    }

    /// Gives the lowest free address to `holder`; the guests' block is touched last.
    pub fn take_lowest(&mut self, holder: &str) -> Option<A> {
        let address = self.lowest(self.guests).or_else(|| self.lowest(None))?;
        self.taken.insert(address, holder.to_owned());
        Some(address)
    }

    fn lowest(&self, avoid: Option<Block>) -> Option<A> {
        let mut number = self.range.first;
        while number <= self.range.last {
            let lent = || self.lent(number).map(|(block, _)| *block);
            match avoid.filter(|block| block.contains(number)).or_else(lent) {
                Some(block) => number = block.last.checked_add(1)?,
                None => {
                    let address = A::of(number);
                    if self.unusable(address).is_none() && !self.taken.contains_key(&address) {
                        return Some(address);
                    }
                    number = number.checked_add(1)?;
                }
            }
        }
        None
    }

    /// How many addresses can be given without being asked for, taken ones included.
    pub fn capacity(&self) -> u128 {
        let fixed = [Some(self.subnet.first), Some(self.gateway.number()), A::BROADCAST.then_some(self.subnet.last)];
        let mut fixed: Vec<u128> = fixed.into_iter().flatten().filter(|number| self.range.contains(*number)).collect();
        fixed.dedup();
        (self.range.last - self.range.first).saturating_add(1).saturating_sub(fixed.len() as u128)
    }

    /// How many are taken.
    pub fn in_use(&self) -> usize {
        self.taken.len()
    }

    /// The block for guests: the former one while it is free, else the largest aligned block that
    /// is, the highest of its size. None where there is no room.
    pub fn guests(&self) -> Option<A::Net> {
        if let Some((block, _)) = self.lent.iter().find(|(block, _)| self.is_free(block)) {
            return Some(A::net(*block));
        }
        if let Some(former) = self.guests.filter(|block| self.is_free(block)) {
            return Some(A::net(former));
        }
        let longest = (self.subnet.prefix + 1).max(A::LARGEST_GUESTS);
        (longest..=A::SMALLEST_GUESTS).find_map(|prefix| self.highest_free(prefix)).map(A::net)
    }

    /// The highest free block of this prefix. Every try that fails meets an address that is taken,
    /// so there are no more tries than addresses taken.
    fn highest_free(&self, prefix: u8) -> Option<Block> {
        let step = size(A::BITS - prefix);
        let mut first = self.subnet.last - (step - 1);
        loop {
            let block = Block::aligned::<A>(first, prefix);
            if self.is_free(&block) {
                return Some(block);
            }
            first = first.checked_sub(step).filter(|first| *first >= self.subnet.first)?;
        }
    }

    /// Docker counts a subnet's addresses in 64 bits. In one that has as many or more, it gives no
    /// address of a block that holds the last.
    fn beyond_count(&self) -> bool {
        A::BITS - self.subnet.prefix >= 64
    }

    fn is_free(&self, block: &Block) -> bool {
        let reserved = block.contains(self.gateway.number()) || block.contains(self.subnet.first);
        let beyond = self.beyond_count() && block.contains(self.subnet.last);
        !reserved && !beyond && self.taken.range(A::of(block.first)..=A::of(block.last)).next().is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(subnet: &str) -> Pool<Ipv4Addr> {
        let subnet = subnet.parse().unwrap();
        Pool::new(subnet, Pool::first_host(subnet), None, None)
    }

    #[test]
    fn the_first_node_gets_two_and_the_guests_the_upper_half() {
        let mut pool = pool("172.20.20.0/24");
        assert_eq!(pool.take_lowest("r1").unwrap().to_string(), "172.20.20.2");
        assert_eq!(pool.take_lowest("r2").unwrap().to_string(), "172.20.20.3");
        assert_eq!(pool.guests().unwrap().to_string(), "172.20.20.128/25");
    }

    #[test]
    fn guests_keep_their_block_until_nothing_else_is_left() {
        let subnet = "10.0.0.0/29".parse().unwrap();
        let mut pool: Pool<Ipv4Addr> =
            Pool::new(subnet, Pool::first_host(subnet), None, Some("10.0.0.4/30".parse().unwrap()));
        assert_eq!(pool.take_lowest("a").unwrap().to_string(), "10.0.0.2");
        assert_eq!(pool.take_lowest("b").unwrap().to_string(), "10.0.0.3");
        assert_eq!(pool.guests().unwrap().to_string(), "10.0.0.4/30");
        assert_eq!(pool.take_lowest("c").unwrap().to_string(), "10.0.0.4");
        assert_eq!(pool.guests(), None);
    }

    #[test]
    fn a_lent_block_stays_the_guests_and_no_node_gets_any_of_it() {
        let mut pool = pool("10.0.0.0/29");
        pool.lend("10.0.0.4/30".parse().unwrap(), "foreign is there");
        let given: Vec<_> = std::iter::from_fn(|| pool.take_lowest("x")).map(|a| a.to_string()).collect();
        assert_eq!(given, ["10.0.0.2", "10.0.0.3"]);
        let refused = pool.take("10.0.0.5".parse().unwrap(), "x").unwrap_err();
        assert_eq!(refused, "is in 10.0.0.4/30, from which Docker gives addresses to others while foreign is there");
        assert_eq!(pool.guests().unwrap().to_string(), "10.0.0.4/30");
        pool.keep("10.0.0.5".parse().unwrap(), "one that has it already").unwrap();
        assert_eq!(pool.guests(), None, "who has an address keeps it, and the block is no more the guests' alone");
    }

    #[test]
    fn a_subnet_gives_neither_itself_nor_gateway_nor_broadcast() {
        let mut pool = pool("10.0.0.0/29");
        assert_eq!(pool.capacity(), 5);
        let given: Vec<_> = std::iter::from_fn(|| pool.take_lowest("x")).map(|a| a.to_string()).collect();
        assert_eq!(given, ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
        assert!(pool.take("10.0.0.7".parse().unwrap(), "x").unwrap_err().contains("broadcast"));
        assert!(pool.take("10.0.0.1".parse().unwrap(), "x").unwrap_err().contains("gateway"));
        assert!(pool.take("10.0.1.1".parse().unwrap(), "x").unwrap_err().contains("not in"));
    }

    #[test]
    fn ipv6_counts_as_containerlab_does_and_guests_get_a_96() {
        let subnet = "3fff:172:20:20::/64".parse().unwrap();
        let mut pool: Pool<Ipv6Addr> = Pool::new(subnet, Pool::first_host(subnet), None, None);
        assert_eq!(pool.take_lowest("r1").unwrap().to_string(), "3fff:172:20:20::2");
        assert_eq!(pool.guests().unwrap().to_string(), "3fff:172:20:20:ffff:fffe::/96");
    }

    #[test]
    fn a_range_limits_what_is_given() {
        let subnet = "10.0.0.0/24".parse().unwrap();
        let mut pool: Pool<Ipv4Addr> =
            Pool::new(subnet, Pool::first_host(subnet), Some("10.0.0.128/31".parse().unwrap()), None);
        assert_eq!(pool.take_lowest("a").unwrap().to_string(), "10.0.0.128");
        assert_eq!(pool.take_lowest("b").unwrap().to_string(), "10.0.0.129");
        assert_eq!(pool.take_lowest("c"), None);
        assert!(pool.take("10.0.0.9".parse().unwrap(), "d").is_ok(), "a stated address may be anywhere");
    }
}
