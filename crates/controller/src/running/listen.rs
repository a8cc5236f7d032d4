//! Where the controller listens.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt as _;
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

/// Removes a socket on which nobody listens any more; anything else that stands there is somebody's.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let why = "something that is no socket stands there; move it away, or name another --socket";
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, why));
        }
        _ => {}
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_no_socket_is_never_removed_and_a_socket_nobody_listens_on_is() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("notes");
        fs::write(&file, "words").unwrap();
        let refused = remove_stale(&file).unwrap_err();
        assert!(refused.to_string().contains("no socket"), "{refused}");
        assert_eq!(fs::read_to_string(&file).unwrap(), "words");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        remove_stale(&link).unwrap_err();

        let socket = folder.path().join("socket");
        let listener = std_unix::UnixListener::bind(&socket).unwrap();
        remove_stale(&socket).unwrap_err();
        drop(listener);
        remove_stale(&socket).unwrap();
        assert!(!socket.exists());
    }
}
