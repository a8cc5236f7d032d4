//! Where the controller listens.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::net as std_unix;
use std::path::Path;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use tokio::net::{TcpListener, UnixListener};

use super::StartError;

/// Listens on a unix socket that only its owner may connect to, from its first moment on.
pub(super) fn unix(path: &Path) -> Result<UnixListener, StartError> {
    let failed = |why: String| StartError::Listen { at: path.display().to_string(), why };
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|error| failed(error.to_string()))?;
    }
    remove_stale(path).map_err(|error| failed(error.to_string()))?;
    let made = made(path).map_err(|error| failed(error.to_string()))?;
    UnixListener::from_std(made).map_err(|error| failed(error.to_string()))
}

fn made(path: &Path) -> nix::Result<std_unix::UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // On Linux the name gets the mode of the socket it is made from: there is no moment in which
    // others could connect.
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    listen(&socket, Backlog::new(1024)?)?;
    Ok(socket.into())
}

/// Removes a socket on which nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match std_unix::UnixStream::connect(path) {
        Ok(_) => {
            Err(io::Error::new(io::ErrorKind::AddrInUse, "another controller serves there; name another --socket"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => Err(error),
    }
}

/// Listens for HTTP, on loopback only.
pub(super) async fn tcp(address: SocketAddr) -> Result<TcpListener, StartError> {
    let failed = |why: String| StartError::Listen { at: address.to_string(), why };
    if !address.ip().is_loopback() {
        return Err(failed("only loopback addresses are allowed: the token would cross a network in the clear".into()));
    }
    TcpListener::bind(address).await.map_err(|error| failed(error.to_string()))
}
