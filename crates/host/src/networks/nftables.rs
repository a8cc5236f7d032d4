//! What the kernel tells about nftables without a program: the generation of the ruleset, which
//! changes with every change anybody makes, and the news of each change.

use std::os::fd::{AsRawFd, OwnedFd};

use archetype_netns::rtnl::{Request, Socket};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, setsockopt, socket, sockopt,
};
use tokio::io::unix::AsyncFd;

use super::Error;

const SUBSYSTEM: u16 = 10 << 8;
const GET_GENERATION: u16 = SUBSYSTEM | 16;
/// `NFNLGRP_NFTABLES` as a bit.
const GROUP: u32 = 1 << 6;
/// `struct nfgenmsg`: family, version, resource.
const HEADER: [u8; 4] = [0; 4];

/// The ruleset's generation in the caller's network namespace. Two equal ones: nothing changed.
pub(super) fn generation() -> Result<u32, Error> {
    let mut socket = Socket::open_protocol(libc::NETLINK_NETFILTER)?;
    let answers = socket.ask("read the generation of the packet rules", &Request::new(GET_GENERATION, 0, &HEADER))?;
    let generation = answers.iter().flat_map(|answer| answer.attributes(HEADER.len())).find(|a| a.kind == 1);
    let bytes = generation.and_then(|attribute| <[u8; 4]>::try_from(attribute.value).ok());
    bytes.map(u32::from_be_bytes).ok_or_else(|| Error::Kernel {
        what: "read the generation of the packet rules".into(),
        said: "the answer has none".into(),
    })
}

/// Hears every change of the ruleset.
pub(super) struct News {
    socket: AsyncFd<OwnedFd>,
}

impl News {
    /// Listens in the caller's network namespace. Needs a tokio runtime.
    pub fn open() -> std::io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkNetFilter)?;
        // Rulesets of thousands of rules come in one burst; a lost one is told by ENOBUFS.
        let _ = setsockopt(&fd, sockopt::RcvBuf, &(1 << 20));
        bind(fd.as_raw_fd(), &NetlinkAddr::new(0, GROUP))?;
        // SAFETY: an OwnedFd names one open descriptor for as long as it lives.
        let socket = unsafe { AsyncFd::register(fd) }?;
        Ok(Self { socket })
    }

    /// Waits for a change in which one of `names` (of a table or chain) stands; also when news were
    /// lost.
    pub async fn of(&self, names: &[String]) -> std::io::Result<()> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let mut ready = self.socket.readable().await?;
            let read = ready.try_io(|fd| Ok(recv(fd.as_raw_fd(), &mut buffer, MsgFlags::MSG_TRUNC)?));
            match read {
                Ok(Ok(length)) => {
                    let news = &buffer[..length.min(buffer.len())];
                    if length > buffer.len() || names.iter().any(|name| contains(news, name.as_bytes())) {
                        return Ok(());
                    }
                }
                Ok(Err(error)) if error.raw_os_error() == Some(libc::ENOBUFS) => return Ok(()),
                Ok(Err(error)) => return Err(error),
                Err(_) => {}
            }
        }
    }
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
