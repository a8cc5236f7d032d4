//! Policy rules put back to those that every namespace is born with.

use crate::error::Result;
use crate::room::Room;
use crate::rtnl::network::Table;
use crate::rtnl::{Message, Request};

const FRA_PRIORITY: u16 = 6;
const FRA_SUPPRESS_PREFIXLEN: u16 = 14;
const FRA_TABLE: u16 = 15;
const FRA_L3MDEV: u16 = 19;
const FRA_PROTOCOL: u16 = 21;
const HEADER: usize = 12;
const TO_TABLE: u8 = 1;
const KERNEL: u8 = 2;

/// Priority and table of the rules that a new namespace has.
type Born = &'static [(u32, u32)];

const BORN: [(Table, u8, Born); 4] = [
    (Table::Rules4, 2, &[(0, 255), (32766, 254), (32767, 253)]),
    (Table::Rules6, 10, &[(0, 255), (32766, 254)]),
    (Table::RulesMulticast4, 128, &[(32767, 253)]),
    (Table::RulesMulticast6, 129, &[(32767, 253)]),
];

/// Deletes every rule that a new namespace lacks and adds those of it that are gone.
pub(super) fn restore(room: &mut Room<'_>) -> Result<()> {
    for (table, family, born) in BORN {
        let rules = room.node.table(table)?;
        let mut missing = born.to_vec();
        let mut requests = Vec::new();
        for rule in &rules {
            match plain(rule).and_then(|rule| missing.iter().position(|wanted| *wanted == rule)) {
                Some(at) => drop(missing.remove(at)),
                None if is_of_vrf(rule) => {}
                None => requests.push(table.delete_request(&rule.body)),
            }
        }
        // A kernel without the family lists nothing and takes nothing.
        if !rules.is_empty() || matches!(table, Table::Rules4 | Table::Rules6) {
            requests.extend(missing.into_iter().map(|wanted| add(family, wanted)));
        }
        room.node.batch(&requests)?;
    }
    Ok(())
}

/// Priority and table of a rule that sends everything to a table, under no condition.
fn plain(rule: &Message) -> Option<(u32, u32)> {
    let [_, to, from, tos, table, _, _, action, flags @ ..] = rule.body.get(..HEADER)? else { return None };
    let (mut priority, mut number) = (0, u32::from(*table));
    for attribute in rule.attributes(HEADER) {
        match attribute.kind {
            FRA_PRIORITY => priority = attribute.u32(),
            FRA_TABLE => number = attribute.u32(),
            FRA_SUPPRESS_PREFIXLEN if attribute.u32() == u32::MAX => {}
            FRA_PROTOCOL if attribute.u8() == KERNEL => {}
            _ => return None,
        }
    }
    let is_plain = *to == 0 && *from == 0 && *tos == 0 && *action == TO_TABLE && flags == [0; 4];
    is_plain.then_some((priority, number))
}

/// Whether it is the rule that the kernel adds with a namespace's first VRF device, and only then.
fn is_of_vrf(rule: &Message) -> bool {
    let has = |kind: u16, value: u8| rule.attributes(HEADER).any(|a| a.kind == kind && a.u8() == value);
    has(FRA_L3MDEV, 1) && has(FRA_PROTOCOL, KERNEL)
}

fn add(family: u8, (priority, table): (u32, u32)) -> Request {
    let fixed = [family, 0, 0, 0, table as u8, 0, 0, TO_TABLE, 0, 0, 0, 0];
    let flags = (libc::NLM_F_CREATE | libc::NLM_F_EXCL) as u16;
    let mut request = Request::new(libc::RTM_NEWRULE, flags, &fixed);
    request.put_u32(FRA_PRIORITY, priority).put_u32(FRA_TABLE, table).put_u8(FRA_PROTOCOL, KERNEL);
    request
}
