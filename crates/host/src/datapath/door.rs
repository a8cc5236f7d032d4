//! The switch process itself, asked by its own sockets in its run folder: what it has learned,
//! whether it answers at all, and frames handed to it to be switched.
//!
//! Two protocols, of each the little that is needed: the control socket of `ovs-appctl` (JSON-RPC)
//! and OpenFlow 1.0 on the bridge's management socket. Synchronous; every wait is bounded.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use archetype_model::BridgeName;

use super::openflow::{self, PortSettings};

/// How long a switch that is only asked about a frame may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// The way to a running switch.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    rundir: PathBuf,
    bridge: BridgeName,
}

/// An address that the switch has learned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Learned {
    /// The number of the port behind which it is.
    pub(crate) ofport: i64,
    /// In which tag.
    pub(crate) tag: u16,
    /// The address.
    pub(crate) address: [u8; 6],
}

/// An address that somebody put into the bridge's table by hand (`ovs-appctl fdb/add`): it never ages, and frames to it
/// go where it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ByHand {
    /// In which tag.
    pub(super) tag: u16,
    /// The address, as the table has it.
    address: String,
}

/// A session in which frames are handed to the switch.
#[derive(Debug)]
pub(crate) struct Injector(UnixStream);

impl Door {
    pub(crate) fn new(rundir: PathBuf, bridge: BridgeName) -> Self {
        Self { rundir, bridge }
    }

    /// Every address that the bridge has learned.
    pub(crate) fn learned(&self) -> io::Result<BTreeSet<Learned>> {
        let table = self.ask("fdb/show", &[self.bridge.as_str()], PATIENCE)?;
        Ok(table.lines().filter_map(learned).collect())
    }

    /// Every address that somebody put into the bridge's table by hand.
    pub(super) fn by_hand(&self) -> io::Result<Vec<ByHand>> {
        let table = self.ask("fdb/show", &[self.bridge.as_str()], PATIENCE)?;
        Ok(table.lines().filter_map(by_hand).collect())
    }

    /// Whether the switch answers within `patience`.
    pub(crate) fn answers(&self, patience: Duration) -> io::Result<()> {
        self.ask("version", &[], patience).map(drop)
    }

    /// The bridge's socket for those who speak OpenFlow.
    pub(super) fn management(&self) -> PathBuf {
        self.rundir.join(format!("{}.mgmt", self.bridge))
    }

    /// Begins to hand frames to the switch.
    pub(crate) fn injector(&self) -> io::Result<Injector> {
        let socket = UnixStream::connect(self.management())?;
        bounded(&socket, PATIENCE)?;
        let mut injector = Injector(socket);
        injector.send(openflow::HELLO, &[])?;
        injector.await_message(openflow::HELLO)?;
        Ok(injector)
    }

    /// Has the bridge switch normally and do nothing else, and takes addresses that were put into its table and harmful
    /// settings of ports back. Answers when it is done.
    pub(super) fn restore(&self, flows: bool, by_hand: &[ByHand], ports: &[PortSettings]) -> io::Result<()> {
        // Before the flows: their change has everything looked at again.
        for ByHand { tag, address } in by_hand {
            // One that is gone meanwhile is refused; whether it is gone is seen when the table is read again.
            if let Err(error) = self.ask("fdb/del", &[self.bridge.as_str(), &tag.to_string(), address], PATIENCE) {
                tracing::debug!(%error, address, tag, "an address was not taken from the switch's table");
            }
        }
        let mut injector = self.injector()?;
        if flows {
            injector.0.write_all(&openflow::switch_normally()?)?;
        }
        for port in ports {
            injector.0.write_all(&port.unset()?)?;
        }
        injector.barrier()
    }

    fn ask(&self, method: &str, params: &[&str], patience: Duration) -> io::Result<String> {
        let pid = std::fs::read_to_string(self.rundir.join("ovs-vswitchd.pid"))?;
        let socket = UnixStream::connect(self.rundir.join(format!("ovs-vswitchd.{}.ctl", pid.trim())))?;
        bounded(&socket, patience)?;
        let request = serde_json::json!({ "id": 0, "method": method, "params": params });
        (&socket).write_all(request.to_string().as_bytes())?;
        let mut answers = serde_json::Deserializer::from_reader(&socket).into_iter::<serde_json::Value>();
        let answer = answers.next().ok_or(io::ErrorKind::UnexpectedEof)?.map_err(io::Error::from)?;
        match (answer["result"].as_str(), answer["error"].as_str()) {
            (Some(text), _) => Ok(text.to_string()),
            (None, why) => Err(io::Error::other(why.unwrap_or("no answer that is understood").to_string())),
        }
    }
}

impl Injector {
    /// Has a frame switched as if it had come by a port of all tags, and waits until it was.
    pub(crate) fn inject(&mut self, frame: &[u8]) -> io::Result<()> {
        let mut body = Vec::with_capacity(frame.len() + 16);
        body.extend(openflow::NO_BUFFER.to_be_bytes());
        body.extend(openflow::PORT_NONE.to_be_bytes());
        body.extend(8u16.to_be_bytes());
        // One action: output (0), 8 bytes, to the normal switching, no limit.
        for word in [0, 8, openflow::PORT_NORMAL, 0] {
            body.extend(word.to_be_bytes());
        }
        body.extend(frame);
        self.send(openflow::PACKET_OUT, &body)?;
        self.barrier()
    }

    /// Waits until everything before is carried out.
    fn barrier(&mut self) -> io::Result<()> {
        self.send(openflow::BARRIER_REQUEST, &[])?;
        self.await_message(openflow::BARRIER_REPLY)
    }

    fn send(&mut self, kind: u8, body: &[u8]) -> io::Result<()> {
        self.0.write_all(&openflow::message(kind, body)?)
    }

    /// Reads until a message of this type, answering what wants an answer.
    fn await_message(&mut self, wanted: u8) -> io::Result<()> {
        loop {
            let mut header = [0; openflow::HEADER];
            self.0.read_exact(&mut header)?;
            let [_, kind, high, low, ..] = header;
            let length = usize::from(u16::from_be_bytes([high, low]));
            let mut body = vec![0; length.saturating_sub(openflow::HEADER)];
            self.0.read_exact(&mut body)?;
            match kind {
                _ if kind == wanted => return Ok(()),
                openflow::ECHO_REQUEST => self.send(openflow::ECHO_REPLY, &body)?,
                openflow::ERROR => return Err(io::Error::other(format!("the switch refused it: {body:02x?}"))),
                _ => {}
            }
        }
    }
}

fn bounded(socket: &UnixStream, patience: Duration) -> io::Result<()> {
    socket.set_read_timeout(Some(patience))?;
    socket.set_write_timeout(Some(patience))
}

/// A line of the table of addresses: port, tag, address, age.
fn learned(line: &str) -> Option<Learned> {
    let mut words = line.split_ascii_whitespace();
    let (ofport, tag) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    let octets: Vec<u8> = words.next()?.split(':').filter_map(|two| u8::from_str_radix(two, 16).ok()).collect();
    Some(Learned { ofport, tag, address: octets.try_into().ok()? })
}

/// The same of an address that was put there by hand, which has no age.
fn by_hand(line: &str) -> Option<ByHand> {
    let words: Vec<&str> = line.split_ascii_whitespace().collect();
    match words.as_slice() {
        [_, tag, address, "static"] => Some(ByHand { tag: tag.parse().ok()?, address: (*address).to_owned() }),
        _ => None,
    }
}

impl std::fmt::Display for ByHand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} in tag {}", self.address, self.tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learned_address_is_read_and_the_head_of_the_table_is_not() {
        assert_eq!(learned(" port  VLAN  MAC                Age"), None);
        assert_eq!(learned("LOCAL     0  02:00:00:00:00:01    1"), None);
        let address = [0x02, 0xab, 0, 0, 0, 0x1f];
        assert_eq!(learned("   12   104  02:ab:00:00:00:1f    3"), Some(Learned { ofport: 12, tag: 104, address }));
        assert_eq!(by_hand("   12   104  02:ab:00:00:00:1f    3"), None);
        let shown = by_hand("   12   104  02:ab:00:00:00:1f  static").map(|one| one.to_string());
        assert_eq!(shown.as_deref(), Some("02:ab:00:00:00:1f in tag 104"));
    }
}
