//! Queueing disciplines: listed, shaped, removed. Filters go with the discipline that they hang on.

use super::socket::Socket;
use super::wire::{Message, Request, read_u32};
use crate::error::Result;

const TCMSG: usize = 20;

/// A queueing discipline of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Qdisc {
    /// The index of its device.
    pub index: u32,
    /// Its number; 0 for the one that the kernel put there by itself.
    pub handle: u32,
    /// What it hangs on: `0xffffffff` the device itself, `0xfffffff1` its way in.
    pub parent: u32,
    /// What it is: `noqueue`, `tbf`, `netem`, `clsact`, …
    pub kind: String,
}

impl Qdisc {
    fn parse(message: &Message) -> Option<Self> {
        if message.kind != libc::RTM_NEWQDISC {
            return None;
        }
        Some(Self {
            index: read_u32(&message.body, 4)?,
            handle: read_u32(&message.body, 8)?,
            parent: read_u32(&message.body, 12)?,
            kind: message.attributes(TCMSG).find(|a| a.kind == libc::TCA_KIND)?.text(),
        })
    }

    /// Whether somebody put it there: the kernel's own has no number.
    pub fn is_chosen(&self) -> bool {
        self.handle != 0
    }

    /// Whether it hangs on the device itself or its way in, and not inside another one.
    pub fn is_outermost(&self) -> bool {
        self.parent >= 0xffff_fff1
    }

    /// The request that removes it, with everything inside it and all filters on it.
    pub fn delete_request(&self) -> Request {
        Request::new(libc::RTM_DELQDISC, 0, &tcmsg(self.index, 0, self.parent))
    }
}

/// The fixed part of a message about queueing.
pub fn tcmsg(index: u32, handle: u32, parent: u32) -> [u8; TCMSG] {
    let mut bytes = [0; TCMSG];
    bytes[4..8].copy_from_slice(&index.to_ne_bytes());
    bytes[8..12].copy_from_slice(&handle.to_ne_bytes());
    bytes[12..16].copy_from_slice(&parent.to_ne_bytes());
    bytes
}

impl Socket {
    /// Every queueing discipline of the namespace; those that the kernel hides (a plain device's
    /// own default) are not among them.
    ///
    /// # Errors
    /// When the kernel cannot be asked.
    pub fn qdiscs(&mut self) -> Result<Vec<Qdisc>> {
        let request = Request::new(libc::RTM_GETQDISC, 0, &tcmsg(0, 0, 0));
        let messages = self.dump("list the queueing disciplines", &request)?;
        Ok(messages.iter().filter_map(Qdisc::parse).collect())
    }
}
