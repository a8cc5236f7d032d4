//! What a namespace filters, translates and encrypts: nftables, legacy tables, sets, tracked
//! connections, IPsec. All of it is emptied. Every function works on the calling thread's
//! namespace.
//!
//! Asking for a subsystem would make the kernel load its module; where that can be told beforehand
//! nothing is asked.

mod legacy;

use std::path::Path;

use crate::error::{Error, Result};
use crate::rtnl::{Request, Socket};

const NFT: u16 = 10;
const CONNTRACK: u16 = 1;
const EXPECTATIONS: u16 = 2;
const SETS: u16 = 6;
const ACCOUNTS: u16 = 7;
const TIMEOUTS: u16 = 8;

const NFT_GETTABLE: u16 = 1;
const NFT_DELTABLE: u16 = 2;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// The fixed part of a message: no family, version 0, no resource.
const ANY: [u8; 4] = [0; 4];

/// Empties everything. What the kernel lacks is empty already.
///
/// # Errors
/// When rules are there and cannot be removed.
pub fn flush() -> Result<()> {
    let mut socket = Socket::open_protocol(libc::NETLINK_NETFILTER)?;
    flush_nft(&mut socket)?;
    legacy::flush()?;
    flush_sets(&mut socket);
    flush_connections(&mut socket);
    flush_ipsec();
    Ok(())
}

/// Deletes all tables of all families in one transaction, as `nft flush ruleset` does.
fn flush_nft(socket: &mut Socket) -> Result<()> {
    let list = Request::new(NFT << 8 | NFT_GETTABLE, 0, &ANY);
    if socket.dump("list the nft tables", &list).is_ok_and(|tables| tables.is_empty()) {
        return Ok(());
    }
    // The resource of the outer messages names the subsystem, in network order.
    let outer = [0, 0, 0, NFT as u8];
    let acknowledged = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
    let request = libc::NLM_F_REQUEST as u16;
    let mut bytes = Request::new(BATCH_BEGIN, 0, &outer).bytes(socket.next_sequence(), request);
    let awaited = socket.next_sequence();
    bytes.extend(Request::new(NFT << 8 | NFT_DELTABLE, 0, &ANY).bytes(awaited, acknowledged));
    bytes.extend(Request::new(BATCH_END, 0, &outer).bytes(socket.next_sequence(), request));
    socket.send(&bytes)?;
    match socket.acknowledged(awaited)? {
        Err(refusal) if !matches!(refusal.errno, libc::ENOENT | libc::EOPNOTSUPP | libc::EINVAL) => {
            Err(refusal.about("delete the nft tables"))
        }
        _ => Ok(()),
    }
}

/// Destroys all sets; rules that used them are gone by now.
fn flush_sets(socket: &mut Socket) {
    const IPSET_CMD_DESTROY: u16 = 3;
    if !Path::new("/sys/module/ip_set").exists() {
        return;
    }
    for protocol in [7u8, 6] {
        let mut destroy = Request::new(SETS << 8 | IPSET_CMD_DESTROY, 0, &ANY);
        destroy.put_u8(1, protocol);
        if socket.request("destroy the sets", &destroy).is_ok() {
            break;
        }
    }
}

/// Forgets all tracked connections and what hangs on tracking.
fn flush_connections(socket: &mut Socket) {
    let Ok(count) = std::fs::read_to_string("/proc/sys/net/netfilter/nf_conntrack_count") else { return };
    let kinds: &[u16] = if count.trim() == "0" { &[] } else { &[CONNTRACK << 8 | 2, EXPECTATIONS << 8 | 2] };
    let all: Vec<_> = kinds.iter().map(|kind| Request::new(*kind, 0, &ANY)).collect();
    let _ = socket.batch(&all);
    if Path::new("/sys/module/nfnetlink_cttimeout").exists() {
        let _ = socket.request("forget the time-outs", &Request::new(TIMEOUTS << 8 | 2, 0, &ANY));
    }
    if Path::new("/sys/module/nfnetlink_acct").exists() {
        let _ = socket.request("forget the accounts", &Request::new(ACCOUNTS << 8 | 3, 0, &ANY));
    }
}

/// Forgets all IPsec states and policies, and lets pass again what has no policy.
fn flush_ipsec() {
    const FLUSH_STATES: u16 = 0x1c;
    const FLUSH_POLICIES: u16 = 0x1d;
    const SET_DEFAULT: u16 = 0x27;
    const POLICY_TYPE: u16 = 16;
    const ACCEPT: u8 = 2;
    let Ok(mut socket) = Socket::open_protocol(libc::NETLINK_XFRM) else { return };
    let mut sub = Request::new(FLUSH_POLICIES, 0, &[]);
    sub.put(POLICY_TYPE, &[1, 0, 0, 0, 0, 0]);
    let all = [
        Request::new(FLUSH_STATES, 0, &[0; 4]),
        Request::new(FLUSH_POLICIES, 0, &[]),
        sub,
        Request::new(SET_DEFAULT, 0, &[ACCEPT; 3]),
    ];
    // "Nothing there" is an error to the kernel.
    let _ = socket.batch(&all);
}

/// An error about a legacy table.
fn legacy_error(table: &str) -> Error {
    Error::last(format!("empty the legacy table {table}"))
}
