//! A netlink socket, one answer waited for at a time or many requests in one write.
//!
//! A socket belongs for ever to the namespace in which it was opened, so one descriptor a
//! namespace serves from any thread. It does not know what its messages mean.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::wire::{Attributes, HEADER, Message, Request, read_u32};
use crate::error::{Error, Result};

const NETLINK_EXT_ACK: libc::c_int = 11;
const NETLINK_CAP_ACK: libc::c_int = 10;
const NETLINK_GET_STRICT_CHK: libc::c_int = 12;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLM_F_CAPPED: u16 = 0x100;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// The most bytes given to one write: the kernel takes no more than the socket's send buffer.
const BATCH_BYTES: usize = 48 * 1024;
/// The most requests in one write: their answers wait in the receive buffer until it returns.
const BATCH_REQUESTS: usize = 128;
const RECEIVE_BUFFER: libc::c_int = 4 << 20;

/// The kernel's no to one request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", io::Error::from_raw_os_error(*errno), said(text))]
pub struct Refusal {
    /// The error number, positive (`ENODEV` and so on).
    pub errno: i32,
    /// The kernel's own words, when it had some.
    pub text: String,
}

fn said(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(": {text}") }
}

impl Refusal {
    /// This refusal as an error about `what`.
    pub fn about(self, what: impl Into<String>) -> Error {
        Error::Refused { what: what.into(), refusal: self }
    }
}

/// A synchronous netlink socket.
#[derive(Debug)]
pub struct Socket {
    fd: OwnedFd,
    sequence: u32,
}

/// Room for one read of a socket; the kernel fills 32 KiB of it where it has much to say.
const RECEIVED: usize = 64 * 1024;

thread_local! {
    /// What a read is put into. Each thread's own and not each socket's: a host keeps a socket open
    /// for every node, and few threads read them.
    static RECEIVING: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Socket {
    /// An rtnetlink socket in the caller's network namespace. To open one elsewhere:
    /// [`crate::Namespace::rtnl`].
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> Result<Self> {
        Self::open_protocol(libc::NETLINK_ROUTE)
    }

    /// A netlink socket of another protocol (`NETLINK_NETFILTER`, `NETLINK_XFRM`) in the caller's
    /// network namespace.
    ///
    /// # Errors
    /// When the kernel gives no socket, for instance because it lacks the protocol.
    pub fn open_protocol(protocol: libc::c_int) -> Result<Self> {
        let fd = open_raw(protocol, 0)?;
        for option in [NETLINK_EXT_ACK, NETLINK_CAP_ACK, NETLINK_GET_STRICT_CHK] {
            // Each is an improvement that an older kernel may lack; none is needed to be right.
            let _ = set_option(&fd, libc::SOL_NETLINK, option, 1);
        }
        Ok(Self { fd, sequence: 0 })
    }

    /// Sends one request and waits for the kernel's yes or no.
    ///
    /// # Errors
    /// [`Error::Refused`] with the kernel's words, named `what`.
    pub fn request(&mut self, what: &str, request: &Request) -> Result<()> {
        let answers = self.batch(std::slice::from_ref(request))?;
        answers.into_iter().next().unwrap_or(Ok(())).map_err(|refusal| refusal.about(what))
    }

    /// Sends many requests in as few writes as possible and gathers an answer for each, in their
    /// order. A refused one does not stop the others.
    ///
    /// # Errors
    /// When the socket itself fails; then it is unknown which requests were carried out.
    pub fn batch(&mut self, requests: &[Request]) -> Result<Vec<std::result::Result<(), Refusal>>> {
        let mut answers = Vec::with_capacity(requests.len());
        let mut rest = requests;
        while !rest.is_empty() {
            let first = self.sequence.wrapping_add(1);
            let mut bytes = Vec::with_capacity(BATCH_BYTES);
            let mut count = 0;
            for request in rest.iter().take(BATCH_REQUESTS) {
                if count > 0 && bytes.len() + HEADER + request.body().len() > BATCH_BYTES {
                    break;
                }
                let flags = (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16;
                bytes.extend(request.bytes(self.next_sequence(), flags));
                count += 1;
            }
            self.send(&bytes)?;
            self.gather(first, count, &mut answers)?;
            rest = &rest[count..];
        }
        Ok(answers)
    }

    /// Waits for the answers to `count` requests numbered from `first`.
    fn gather(&mut self, first: u32, count: usize, answers: &mut Vec<std::result::Result<(), Refusal>>) -> Result<()> {
        let base = answers.len();
        answers.resize(base + count, Ok(()));
        let mut missing = count;
        while missing > 0 {
            for message in self.receive()? {
                let index = message.sequence.wrapping_sub(first) as usize;
                if message.kind != libc::NLMSG_ERROR as u16 || index >= count {
                    continue;
                }
                answers[base + index] = answer(&message);
                missing -= 1;
            }
        }
        Ok(())
    }

    /// Sends one request that is answered by messages without a dump, such as a link asked for by
    /// name, and gives what came.
    ///
    /// # Errors
    /// [`Error::Refused`] with the kernel's words, named `what`.
    pub fn ask(&mut self, what: &str, request: &Request) -> Result<Vec<Message>> {
        let sequence = self.next_sequence();
        self.send(&request.bytes(sequence, (libc::NLM_F_REQUEST | libc::NLM_F_ACK) as u16))?;
        let mut came = Vec::new();
        loop {
            for message in self.receive()? {
                if message.sequence != sequence {
                    continue;
                }
                if message.kind == libc::NLMSG_ERROR as u16 {
                    return answer(&message).map(|()| came).map_err(|refusal| refusal.about(what));
                }
                came.push(message);
            }
        }
    }

    /// Sends a request for a whole table and gives every entry.
    ///
    /// A table that changed while it was read is read again, up to eight times.
    ///
    /// # Errors
    /// [`Error::Refused`] with the kernel's words, named `what`; `EINTR` when the table never
    /// held still.
    pub fn dump(&mut self, what: &str, request: &Request) -> Result<Vec<Message>> {
        for _ in 0..8 {
            if let Some(all) = self.dump_once(what, request)? {
                return Ok(all);
            }
        }
        Err(Refusal { errno: libc::EINTR, text: "the table kept changing while it was read".into() }.about(what))
    }

    /// One reading of a table; nothing when the table changed meanwhile.
    fn dump_once(&mut self, what: &str, request: &Request) -> Result<Option<Vec<Message>>> {
        let sequence = self.next_sequence();
        self.send(&request.bytes(sequence, (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16))?;
        let (mut came, mut torn) = (Vec::new(), false);
        loop {
            for message in self.receive()? {
                if message.sequence != sequence {
                    continue;
                }
                torn |= message.flags & libc::NLM_F_DUMP_INTR as u16 != 0;
                match i32::from(message.kind) {
                    libc::NLMSG_ERROR => {
                        answer(&message).map_err(|refusal| refusal.about(what))?;
                    }
                    libc::NLMSG_DONE => {
                        done(&message).map_err(|refusal| refusal.about(what))?;
                        return Ok((!torn).then_some(came));
                    }
                    _ => came.push(message),
                }
            }
        }
    }

    /// Writes raw bytes, for protocols whose messages must share one write (nftables' batches).
    ///
    /// # Errors
    /// When the kernel does not take them.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        // SAFETY: the pointer and the length describe `bytes`, which outlives the call.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        if sent < 0 { Err(Error::last("send a netlink request")) } else { Ok(()) }
    }

    /// One read of the socket, waited for.
    ///
    /// # Errors
    /// When reading fails; `ENOBUFS` means that answers were lost.
    pub fn receive(&mut self) -> Result<Vec<Message>> {
        RECEIVING.with_borrow_mut(|buffer| {
            buffer.resize(RECEIVED, 0);
            loop {
                // SAFETY: the pointer and the length describe `buffer`, which outlives the call.
                let got = unsafe { libc::recv(self.fd.as_raw_fd(), buffer.as_mut_ptr().cast(), buffer.len(), 0) };
                if got >= 0 {
                    return Ok(Message::parse_all(&buffer[..got as usize]));
                }
                let error = io::Error::last_os_error();
                if error.raw_os_error() != Some(libc::EINTR) {
                    return Err(Error::system("read a netlink answer", error));
                }
            }
        })
    }

    /// Waits for the answer to the request numbered `sequence`, sent by [`Self::send`].
    ///
    /// # Errors
    /// When reading fails.
    pub fn acknowledged(&mut self, sequence: u32) -> Result<std::result::Result<(), Refusal>> {
        loop {
            let came = self.receive()?;
            let is_answer = |m: &&Message| m.sequence == sequence && m.kind == libc::NLMSG_ERROR as u16;
            if let Some(message) = came.iter().find(is_answer) {
                return Ok(answer(message));
            }
        }
    }

    /// The number for the next request.
    pub fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A netlink socket with a large receive buffer; `flags` are further `SOCK_…` flags.
pub(super) fn open_raw(protocol: libc::c_int, flags: libc::c_int) -> Result<OwnedFd> {
    // SAFETY: a plain system call without pointers.
    let raw = unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC | flags, protocol) };
    if raw < 0 {
        return Err(Error::last("open a netlink socket"));
    }
    // SAFETY: `raw` was just opened and belongs to nobody else.
    let fd = unsafe { OwnedFd::from_raw_fd(raw) };
    if set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, RECEIVE_BUFFER).is_err() {
        // Without the right to force it the kernel's limit decides; a smaller buffer still works.
        let _ = set_option(&fd, libc::SOL_SOCKET, libc::SO_RCVBUF, RECEIVE_BUFFER);
    }
    Ok(fd)
}

/// Sets one whole-number option of a socket.
pub(super) fn set_option(fd: &OwnedFd, level: libc::c_int, option: libc::c_int, value: libc::c_int) -> io::Result<()> {
    let size = std::mem::size_of_val(&value) as libc::socklen_t;
    // SAFETY: the pointer and the size describe `value`, which outlives the call.
    let done = unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), size) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// What an `NLMSG_ERROR` says: yes, or no with words.
fn answer(message: &Message) -> std::result::Result<(), Refusal> {
    let code = read_u32(&message.body, 0).unwrap_or_default() as i32;
    if code == 0 {
        return Ok(());
    }
    // Behind the code stands the request's header, and its body unless the answer is capped.
    let quoted = match message.flags & NLM_F_CAPPED {
        0 => read_u32(&message.body, 4).unwrap_or(HEADER as u32) as usize,
        _ => HEADER,
    };
    Err(Refusal { errno: -code, text: words(message, 4 + quoted) })
}

/// What an `NLMSG_DONE` says: a dump can fail at its end.
fn done(message: &Message) -> std::result::Result<(), Refusal> {
    let code = read_u32(&message.body, 0).unwrap_or_default() as i32;
    if code >= 0 { Ok(()) } else { Err(Refusal { errno: -code, text: words(message, 4) }) }
}

/// The kernel's text in the attributes from `at` on.
fn words(message: &Message, at: usize) -> String {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return String::new();
    }
    let at = (at + 3) & !3;
    Attributes(message.body.get(at..).unwrap_or_default())
        .find(|attribute| attribute.kind == NLMSGERR_ATTR_MSG)
        .map(|attribute| attribute.text())
        .unwrap_or_default()
}
