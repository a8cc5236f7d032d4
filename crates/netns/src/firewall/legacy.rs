//! The tables of the older iptables, replaced by empty ones: every built-in chain accepts.
//!
//! Bridge and ARP tables of that age (ebtables, arptables) are not covered.

use std::fs::File;
use std::os::fd::{AsRawFd, FromRawFd};

use super::legacy_error;
use crate::error::{Error, Result};

/// Reads and replaces a table, in both families.
const GET_INFO: libc::c_int = 64;
const SET_REPLACE: libc::c_int = 64;
const HOOKS: usize = 5;
const NAME: usize = 32;
/// `-NF_ACCEPT - 1`: the verdict "accept" of a built-in target.
const ACCEPT: i32 = -2;
const STANDARD_TARGET: usize = 40;
const ERROR_TARGET: usize = 64;

/// One family's form of a rule.
struct Family {
    names: &'static str,
    domain: libc::c_int,
    level: libc::c_int,
    /// Bytes of a rule before its matches and target.
    rule: usize,
    /// Where in a rule its two offsets stand.
    offsets: usize,
}

const FAMILIES: [Family; 2] = [
    Family { names: "ip_tables_names", domain: libc::AF_INET, level: libc::SOL_IP, rule: 112, offsets: 88 },
    Family { names: "ip6_tables_names", domain: libc::AF_INET6, level: libc::SOL_IPV6, rule: 168, offsets: 140 },
];

/// Replaces every table that this namespace has.
pub(super) fn flush() -> Result<()> {
    for family in FAMILIES {
        let names = std::fs::read_to_string(format!("/proc/thread-self/net/{}", family.names)).unwrap_or_default();
        for table in names.lines() {
            family.empty(table)?;
        }
    }
    Ok(())
}

/// `struct ipt_getinfo`.
#[repr(C)]
#[derive(Default)]
struct Info {
    name: [u8; NAME],
    valid_hooks: u32,
    hook_entry: [u32; HOOKS],
    underflow: [u32; HOOKS],
    entries: u32,
    size: u32,
}

impl Family {
    fn empty(&self, table: &str) -> Result<()> {
        // SAFETY: a plain system call without pointers.
        let fd = unsafe { libc::socket(self.domain, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_RAW) };
        if fd < 0 {
            return Err(Error::last("open a raw socket"));
        }
        // SAFETY: `fd` was just opened and belongs to nobody else.
        let socket = unsafe { File::from_raw_fd(fd) };
        let info = self.info(&socket, table)?;
        let mut counters = vec![0u64; 2 * info.entries as usize];
        let replacement = self.replacement(&info, counters.as_mut_ptr());
        let size = replacement.len() as libc::socklen_t;
        // SAFETY: pointer and size describe `replacement`; the pointer in it leads to `counters`,
        // which has room for as many counters as the table has rules; both outlive the call.
        let done =
            unsafe { libc::setsockopt(socket.as_raw_fd(), self.level, SET_REPLACE, replacement.as_ptr().cast(), size) };
        if done < 0 { Err(legacy_error(table)) } else { Ok(()) }
    }

    fn info(&self, socket: &File, table: &str) -> Result<Info> {
        let mut info = Info::default();
        let length = table.len().min(NAME - 1);
        info.name[..length].copy_from_slice(&table.as_bytes()[..length]);
        let mut size = std::mem::size_of_val(&info) as libc::socklen_t;
        // SAFETY: the pointers describe `info` and `size`, which outlive the call.
        let done = unsafe {
            libc::getsockopt(socket.as_raw_fd(), self.level, GET_INFO, (&raw mut info).cast(), &raw mut size)
        };
        if done < 0 { Err(legacy_error(table)) } else { Ok(info) }
    }

    /// `struct ipt_replace` with an accepting rule per built-in chain and the rule that ends a table.
    fn replacement(&self, old: &Info, counters: *mut u64) -> Vec<u8> {
        let standard = self.rule + STANDARD_TARGET;
        let mut at = [0u32; HOOKS];
        let mut rules = Vec::new();
        for (_, at) in at.iter_mut().enumerate().filter(|(hook, _)| old.valid_hooks & 1 << hook != 0) {
            *at = rules.len() as u32;
            rules.extend(self.rule(standard, "", &ACCEPT.to_ne_bytes()));
        }
        let count = old.valid_hooks.count_ones() + 1;
        rules.extend(self.rule(self.rule + ERROR_TARGET, "ERROR", b"ERROR"));
        let mut bytes = old.name.to_vec();
        for number in [old.valid_hooks, count, rules.len() as u32].iter().chain(&at).chain(&at).chain([&old.entries]) {
            bytes.extend(number.to_ne_bytes());
        }
        bytes.extend((counters as usize).to_ne_bytes());
        bytes.extend(rules);
        bytes
    }

    /// One rule of `size` bytes that matches everything, with the target `name`.
    fn rule(&self, size: usize, name: &str, data: &[u8]) -> Vec<u8> {
        let mut rule = vec![0u8; size];
        rule[self.offsets..self.offsets + 2].copy_from_slice(&(self.rule as u16).to_ne_bytes());
        rule[self.offsets + 2..self.offsets + 4].copy_from_slice(&(size as u16).to_ne_bytes());
        let target = &mut rule[self.rule..];
        let length = target.len() as u16;
        target[..2].copy_from_slice(&length.to_ne_bytes());
        target[2..2 + name.len()].copy_from_slice(name.as_bytes());
        target[32..32 + data.len()].copy_from_slice(data);
        rule
    }
}
