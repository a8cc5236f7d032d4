//! A network namespace held by a descriptor: opened and told apart from the host's own, entered
//! for the length of a call.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;

use crate::error::{Error, Result};
use crate::other_root;
use crate::rtnl::{Socket, Watch};

const NSFS_MAGIC: i64 = 0x6e73_6673;
const SO_NETNS_COOKIE: libc::c_int = 71;

/// Which namespace: the same one whatever path leads to it, until it is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The device of the kernel's namespace file system.
    pub device: u64,
    /// The namespace's number there. The kernel may give it again once the namespace is gone.
    pub inode: u64,
}

/// An open network namespace. It lives at least as long as this value.
#[derive(Debug)]
pub struct Namespace {
    file: File,
    path: PathBuf,
    identity: Identity,
}

impl Namespace {
    /// Opens the namespace at `path` and makes sure that it is a network namespace.
    ///
    /// # Errors
    /// [`Error::NotANamespace`] when nothing is there or something else.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let found = nix::fcntl::open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty());
        Self::found(path, found)
    }

    /// What was found at `path`, opened only once it is known to be a namespace: anything may lie there.
    fn found(path: &Path, found: nix::Result<OwnedFd>) -> Result<Self> {
        let wrong = |why: String| Error::NotANamespace { path: path.to_owned(), why };
        let found = found.map_err(|error| wrong(std::io::Error::from(error).to_string()))?;
        let kind = nix::sys::statfs::fstatfs(&found).map_err(|error| wrong(error.to_string()))?;
        if kind.filesystem_type().0 as i64 != NSFS_MAGIC {
            return Err(wrong("an ordinary file is there".into()));
        }
        let again = format!("/proc/self/fd/{}", found.as_raw_fd());
        let file = File::open(again).map_err(|error| wrong(error.to_string()))?;
        // SAFETY: NS_GET_NSTYPE takes no pointer; the descriptor is open.
        let sort = unsafe { libc::ioctl(file.as_raw_fd(), 0xb703) };
        if sort >= 0 && sort != libc::CLONE_NEWNET {
            return Err(wrong("a namespace of another sort is there".into()));
        }
        let meta = file.metadata().map_err(|error| wrong(error.to_string()))?;
        let identity = Identity { device: meta.dev(), inode: meta.ino() };
        Ok(Self { file, path: path.to_owned(), identity })
    }

    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When `/proc` is not there.
    pub fn own() -> Result<Self> {
        Self::open("/proc/thread-self/ns/net")
    }

    /// Opens the namespace at `path` for being changed as a node's: refused when it is the
    /// caller's own or that of the first process.
    ///
    /// # Errors
    /// [`Error::HostNamespace`], else as [`Self::open`].
    pub fn open_node(path: impl AsRef<Path>) -> Result<Self> {
        Self::open(path)?.not_the_hosts()
    }

    /// As [`Self::open_node`], of a path for who has this root: links on it lead where they lead there, and never out.
    ///
    /// # Errors
    /// As [`Self::open_node`].
    pub fn open_node_in(root: &Path, path: &Path) -> Result<Self> {
        Self::found(path, other_root::open(root, path, OFlag::O_PATH))?.not_the_hosts()
    }

    fn not_the_hosts(self) -> Result<Self> {
        let host = ["/proc/self/ns/net", "/proc/1/ns/net"];
        let is_host = |path: &&str| Self::open(path).is_ok_and(|host| host.identity == self.identity);
        if host.iter().any(is_host) {
            return Err(Error::HostNamespace { path: self.path });
        }
        Ok(self)
    }

    /// Which namespace it is.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// The path it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs `work` inside the namespace, on a thread of its own, and waits for it. Files under
    /// `/proc/sys/net` are the namespace's there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or what `work` answers.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                self.enter()?;
                work()
            });
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace for good.
    ///
    /// # Errors
    /// When the caller may not.
    pub fn enter(&self) -> Result<()> {
        nix::sched::setns(&self.file, nix::sched::CloneFlags::CLONE_NEWNET)
            .map_err(|error| Error::system(format!("enter the namespace {}", self.path.display()), error))
    }

    /// An rtnetlink socket in the namespace, usable from any thread.
    ///
    /// # Errors
    /// When the namespace cannot be entered or gives no socket.
    pub fn rtnl(&self) -> Result<Socket> {
        self.inside(Socket::open)
    }

    /// A netlink socket of another protocol in the namespace.
    ///
    /// # Errors
    /// As [`Socket::open_protocol`].
    pub fn netlink(&self, protocol: libc::c_int) -> Result<Socket> {
        self.inside(|| Socket::open_protocol(protocol))
    }

    /// A watch over the devices of the namespace; see [`Watch::open`].
    ///
    /// # Errors
    /// When the namespace cannot be entered or gives no socket.
    pub fn watch(&self, all: bool) -> Result<Watch> {
        self.inside(|| Watch::open(all))
    }

    /// A number that no other namespace has had since the machine was booted.
    ///
    /// # Errors
    /// On kernels before 5.14.
    pub fn cookie(&self) -> Result<u64> {
        self.inside(|| cookie_of(Socket::open()?.as_fd()))
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

/// The cookie of the namespace that a socket belongs to.
pub(crate) fn cookie_of(socket: BorrowedFd<'_>) -> Result<u64> {
    let mut cookie = 0u64;
    let mut size = std::mem::size_of_val(&cookie) as libc::socklen_t;
    // SAFETY: the pointers describe `cookie` and `size`, which outlive the call.
    let done = unsafe {
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE, (&raw mut cookie).cast(), &raw mut size)
    };
    if done < 0 { Err(Error::last("read a namespace's cookie")) } else { Ok(cookie) }
}
