//! OpenFlow 1.0 with Open vSwitch's own extensions, of each the little that is needed to hear and
//! to tell what a switch does with frames beside what its database says. Bytes only: knows no sockets.

use std::io;

use archetype_model::InterfaceName;

/// Numbers of ONF TS-001 (OpenFlow 1.0) and of Open vSwitch's `nicira-ext.h`.
const VERSION: u8 = 1;
pub(super) const HEADER: usize = 8;
pub(super) const HELLO: u8 = 0;
pub(super) const ERROR: u8 = 1;
pub(super) const ECHO_REQUEST: u8 = 2;
pub(super) const ECHO_REPLY: u8 = 3;
pub(super) const EXTENSION: u8 = 4;
pub(super) const CONFIG_REQUEST: u8 = 7;
pub(super) const CONFIG_REPLY: u8 = 8;
pub(super) const SET_CONFIG: u8 = 9;
pub(super) const PORT_STATUS: u8 = 12;
pub(super) const PACKET_OUT: u8 = 13;
pub(super) const FLOW_MOD: u8 = 14;
pub(super) const PORT_MOD: u8 = 15;
pub(super) const STATS_REQUEST: u8 = 16;
pub(super) const STATS_REPLY: u8 = 17;
pub(super) const BARRIER_REQUEST: u8 = 18;
pub(super) const BARRIER_REPLY: u8 = 19;
pub(super) const NO_BUFFER: u32 = u32::MAX;
pub(super) const PORT_NORMAL: u16 = 0xfffa;
pub(super) const PORT_NONE: u16 = 0xffff;
const STATS_PORTS: u16 = 13;
const STATS_EXTENSION: u16 = 0xffff;
const NICIRA: u32 = 0x2320;
const SET_ASYNC: u32 = 19;
const FLOWS: u32 = 0;
const FLOW_MONITOR: u32 = 2;
const ALL_TABLES: u8 = 0xff;
/// A match of OpenFlow 1.0 that every frame meets: all its bits are wildcards, the rest is unused.
const ANY_FRAME: u32 = (1 << 22) - 1;
const MATCH: usize = 40;
const PORT: usize = 48;
const FLOW: usize = 48;

/// A message without its header.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) body: Vec<u8>,
}

/// Settings of a port that keep frames from it or from its peers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortSettings {
    number: u16,
    address: [u8; 6],
    bits: u32,
}

/// What became of a request for statistics, or an event in the form of one.
#[derive(Debug)]
pub(super) enum Stats {
    /// A part of the flow table, and whether more is to come.
    Flows(Vec<Flow>, bool),
    /// A part of the ports with their settings, and whether more is to come.
    Ports(Vec<(InterfaceName, PortSettings)>, bool),
    /// The flow table has changed, or its changes are told from now on.
    FlowsChanged,
}

/// A flow, as far as it tells whether it is the one that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Flow {
    pub(super) table: u8,
    pub(super) priority: u16,
    /// It takes every frame, stays, and has it switched normally.
    switches_normally: bool,
}

// === impl Message ===

impl Message {
    /// Takes the first whole message out of what has come so far.
    pub(super) fn take(heard: &mut Vec<u8>) -> Option<Self> {
        let [_, kind, high, low, ..] = **heard else { return None };
        let length = usize::from(u16::from_be_bytes([high, low])).max(HEADER);
        if heard.len() < length {
            return None;
        }
        let rest = heard.split_off(length);
        Some(Self { kind, body: std::mem::replace(heard, rest).split_off(HEADER) })
    }

    /// What was asked for, or happened; none for what was neither.
    pub(super) fn stats(&self) -> Option<Stats> {
        let more = u16_at(&self.body, 2)? & 1 != 0;
        match u16_at(&self.body, 0)? {
            STATS_PORTS => Some(Stats::Ports(self.body.get(4..)?.chunks_exact(PORT).filter_map(port).collect(), more)),
            STATS_EXTENSION if u32_at(&self.body, 4)? == NICIRA => match u32_at(&self.body, 8)? {
                FLOWS => Some(Stats::Flows(flows(self.body.get(16..)?), more)),
                FLOW_MONITOR => Some(Stats::FlowsChanged),
                _ => None,
            },
            _ => None,
        }
    }

    /// The port that a [`PORT_STATUS`] is about; without settings when it is gone.
    pub(super) fn port_status(&self) -> Option<(InterfaceName, Option<PortSettings>)> {
        const GONE: u8 = 1;
        let (name, settings) = port(self.body.get(8..)?)?;
        Some((name, (self.body.first() != Some(&GONE)).then_some(settings)))
    }

    /// Whether a [`CONFIG_REPLY`] says that fragments are dropped or put together; and its flags.
    pub(super) fn fragments(&self) -> Option<(bool, u16)> {
        let flags = u16_at(&self.body, 0)?;
        Some((matches!(flags & 3, 1 | 2), flags))
    }
}

/// A message as it is sent.
pub(super) fn message(kind: u8, body: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(HEADER + body.len()).map_err(io::Error::other)?;
    let mut message = vec![VERSION, kind];
    message.extend(length.to_be_bytes());
    message.extend([0, 0, 0, 1]);
    message.extend(body);
    Ok(message)
}

/// Has settings of ports told when they change, and nothing else of what a switch tells unasked:
/// by the first it would send frames too.
pub(super) fn hear_of_ports(flags: u16) -> io::Result<Vec<u8>> {
    let mut config = flags.to_be_bytes().to_vec();
    config.extend(128u16.to_be_bytes());
    let mut asynchronous = extension(SET_ASYNC);
    let (frames, ports, flows) = ([0; 2], [0b111u32; 2], [0; 2]);
    asynchronous.extend([frames, ports, flows].concat().into_iter().flat_map(u32::to_be_bytes));
    Ok([message(SET_CONFIG, &config)?, message(EXTENSION, &asynchronous)?].concat())
}

/// Has changes of the flow table told; the first answer says that it is so from now on.
pub(super) fn hear_of_flows() -> io::Result<Vec<u8>> {
    const ADDED_DELETED_MODIFIED_BY_ANYBODY: u16 = 0b10_1110;
    let mut body = stats_of(FLOW_MONITOR);
    body.extend(1u32.to_be_bytes());
    for word in [ADDED_DELETED_MODIFIED_BY_ANYBODY, PORT_NONE, 0] {
        body.extend(word.to_be_bytes());
    }
    body.extend([ALL_TABLES, 0, 0, 0, 0, 0]);
    message(STATS_REQUEST, &body)
}

/// Asks for the flows of all tables.
pub(super) fn ask_for_flows() -> io::Result<Vec<u8>> {
    let mut body = stats_of(FLOWS);
    body.extend([PORT_NONE.to_be_bytes(), [0; 2]].concat());
    body.extend([ALL_TABLES, 0, 0, 0]);
    message(STATS_REQUEST, &body)
}

/// Asks for the ports and their settings.
pub(super) fn ask_for_ports() -> io::Result<Vec<u8>> {
    message(STATS_REQUEST, &[STATS_PORTS.to_be_bytes(), [0; 2]].concat())
}

/// Makes the flow table the one flow that switches normally, with fragments as any other frame.
pub(super) fn switch_normally() -> io::Result<Vec<u8>> {
    const DELETE: u16 = 3;
    const ADD: u16 = 0;
    let normal: Vec<u8> = [0, 8, PORT_NORMAL, 0].into_iter().flat_map(u16::to_be_bytes).collect();
    let whole_fragments = message(SET_CONFIG, &[0; 4])?;
    Ok([whole_fragments, flow_mod(DELETE, &[])?, flow_mod(ADD, &normal)?].concat())
}

fn flow_mod(command: u16, actions: &[u8]) -> io::Result<Vec<u8>> {
    let mut body = ANY_FRAME.to_be_bytes().to_vec();
    // The rest of the match, and the cookie.
    body.resize(MATCH + 8, 0);
    // No timeout, and the lowest priority there is.
    for word in [command, 0, 0, 0] {
        body.extend(word.to_be_bytes());
    }
    body.extend(NO_BUFFER.to_be_bytes());
    body.extend([PORT_NONE.to_be_bytes(), [0; 2]].concat());
    body.extend(actions);
    message(FLOW_MOD, &body)
}

fn extension(kind: u32) -> Vec<u8> {
    [NICIRA.to_be_bytes(), kind.to_be_bytes()].concat()
}

fn stats_of(kind: u32) -> Vec<u8> {
    [vec![0xff, 0xff, 0, 0], extension(kind), vec![0; 4]].concat()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn port(bytes: &[u8]) -> Option<(InterfaceName, PortSettings)> {
    let name = bytes.get(8..24)?.split(|byte| *byte == 0).next()?;
    let name = InterfaceName::new(std::str::from_utf8(name).ok()?).ok()?;
    let address = *bytes.get(2..)?.first_chunk()?;
    Some((name, PortSettings { number: u16_at(bytes, 0)?, address, bits: u32_at(bytes, 24)? }))
}

/// The flows of one part of an answer.
fn flows(mut bytes: &[u8]) -> Vec<Flow> {
    let mut found = Vec::new();
    while let Some(length) = u16_at(bytes, 0).map(usize::from).filter(|length| (FLOW..=bytes.len()).contains(length)) {
        let (one, rest) = bytes.split_at(length);
        found.extend(flow(one));
        bytes = rest;
    }
    found
}

fn flow(bytes: &[u8]) -> Option<Flow> {
    let [priority, idle, hard, matches] = [12, 14, 16, 18].map(|at| u16_at(bytes, at));
    let (table, priority) = (*bytes.get(2)?, priority?);
    // An output action of 8 bytes; its last two limit what a controller is sent.
    let outputs_normally = matches!(bytes.get(FLOW..), Some([0, 0, 0, 8, 0xff, 0xfa, _, _]));
    let takes_all = (table, priority, matches?) == (0, 0, 0);
    let stays = (idle?, hard?) == (0, 0);
    Some(Flow { table, priority, switches_normally: takes_all && stays && outputs_normally })
}

// === impl Flow ===

impl Flow {
    /// Whether it is the one flow that a bridge of ours has.
    pub(super) fn is_wanted(self) -> bool {
        self.switches_normally
    }
}

// === impl PortSettings ===

impl PortSettings {
    /// The settings that keep frames away, with the names that `ovs-ofctl mod-port` has for them.
    const HARMFUL: [(u32, &str); 4] =
        [(1 << 2, "no-receive"), (1 << 3, "no-receive-stp"), (1 << 4, "no-flood"), (1 << 5, "no-forward")];

    /// Those that are set.
    pub(super) fn harmful(self) -> impl Iterator<Item = &'static str> {
        Self::HARMFUL.into_iter().filter(move |(bit, _)| self.bits & bit != 0).map(|(_, name)| name)
    }

    /// The message that takes them back.
    pub(super) fn unset(self) -> io::Result<Vec<u8>> {
        let mut body = self.number.to_be_bytes().to_vec();
        body.extend(self.address);
        let mask = Self::HARMFUL.iter().fold(0, |mask, (bit, _)| mask | bit);
        // What to set, of which settings, and nothing of what is advertised.
        body.extend([0, mask, 0, 0].into_iter().flat_map(u32::to_be_bytes));
        message(PORT_MOD, &body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow_bytes(priority: u16, actions: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; FLOW];
        bytes[12..14].copy_from_slice(&priority.to_be_bytes());
        bytes.extend(actions);
        let length = u16::try_from(bytes.len()).unwrap();
        bytes[..2].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    #[test]
    fn a_message_is_taken_only_when_it_is_whole() {
        let whole = [message(HELLO, &[1, 2]).unwrap(), message(ECHO_REQUEST, &[3]).unwrap()].concat();
        let mut heard = Vec::new();
        let mut taken = Vec::new();
        for byte in whole {
            heard.push(byte);
            taken.extend(Message::take(&mut heard).map(|message| (message.kind, message.body)));
        }
        assert_eq!(taken, [(HELLO, vec![1, 2]), (ECHO_REQUEST, vec![3])]);
        assert!(heard.is_empty());
    }

    #[test]
    fn only_the_flow_that_takes_every_frame_and_switches_normally_is_wanted() {
        let normal = [0, 0, 0, 8, 0xff, 0xfa, 0, 0];
        let table = [flow_bytes(0, &normal), flow_bytes(100, &normal), flow_bytes(0, &[])].concat();
        assert_eq!(flows(&table).into_iter().map(Flow::is_wanted).collect::<Vec<_>>(), [true, false, false]);
    }
}
