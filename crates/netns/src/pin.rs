//! Network namespaces that outlive every process: made on a thread of their own and pinned by
//! binding them to a file, as `ip netns add` does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::recorded;

/// The folder in which people's tools (`ip netns`) look for namespaces.
pub const NETNS_FOLDER: &str = "/run/netns";

/// Makes a network namespace and pins it at `path`; the folders above are made. Its devices are
/// `lo`, down, and whatever tunnels the kernel gives every namespace.
///
/// # Errors
/// [`Error::System`]; `EEXIST` when a namespace is pinned there already.
pub fn make(path: &Path) -> Result<Namespace> {
    prepare(path)?;
    let target = path.to_owned();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).map_err(|e| Error::system("make a network namespace", e))?;
        bind(Path::new("/proc/thread-self/ns/net"), &target)
    });
    thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).inspect_err(|_| {
        // The empty file would look like a namespace that is broken.
        let _ = fs::remove_file(path);
    })?;
    Namespace::open(path)
}

/// Makes many namespaces, two at a time (the kernel works on two side by side, not on more). One
/// answer for each path, in their order.
pub fn many(paths: &[PathBuf]) -> Vec<Result<Namespace>> {
    let (left, right) = paths.split_at(paths.len() / 2);
    std::thread::scope(|scope| {
        let other = scope.spawn(|| right.iter().map(|path| make(path)).collect::<Vec<_>>());
        let mut all: Vec<_> = left.iter().map(|path| make(path)).collect();
        all.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        all
    })
}

/// Pins a namespace that lives already at `path`; the folders above are made.
///
/// # Errors
/// [`Error::System`]; `EEXIST` when a namespace is pinned there already.
pub fn pin_again(namespace: &Namespace, path: &Path) -> Result<Namespace> {
    prepare(path)?;
    bind(namespace.path(), path).inspect_err(|_| {
        // The empty file would look like a namespace that is broken.
        let _ = fs::remove_file(path);
    })?;
    Namespace::open(path)
}

/// Pins a namespace a second time, under `name` in [`NETNS_FOLDER`]; one that is there already
/// and leads to the same namespace is left.
///
/// # Errors
/// [`Error::System`]; `EEXIST` when the name leads somewhere else.
pub fn publish(namespace: &Namespace, name: &str) -> Result<()> {
    let path = Path::new(NETNS_FOLDER).join(name);
    if Namespace::open(&path).is_ok_and(|there| there.identity() == namespace.identity()) {
        return Ok(());
    }
    prepare(&path)?;
    bind(namespace.path(), &path).inspect_err(|_| {
        let _ = fs::remove_file(&path);
    })
}

/// Takes a pin away; the namespace goes when nothing else holds it. One that is not there is no
/// error.
///
/// # Errors
/// [`Error::System`] when it cannot be taken away.
pub fn unpin(path: &Path) -> Result<()> {
    if let Ok(namespace) = Namespace::open(path) {
        recorded::forget(&namespace);
    }
    detach(path)
}

/// Takes one name of a namespace away; what is known of the namespace stays. One that is not there is no error.
///
/// # Errors
/// As [`unpin`].
pub fn detach(path: &Path) -> Result<()> {
    match umount2(path, MntFlags::MNT_DETACH) {
        // EINVAL: a plain file, the rest of a pin that a reboot took away.
        Ok(()) | Err(nix::errno::Errno::EINVAL | nix::errno::Errno::ENOENT) => {}
        Err(error) => return Err(Error::system(format!("unpin {}", path.display()), error)),
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::system(format!("remove {}", path.display()), error))
        }
        _ => Ok(()),
    }
}

/// Takes away the name that [`publish`] gave, if it still leads to this namespace.
///
/// # Errors
/// As [`unpin`].
pub fn unpublish(namespace: &Namespace, name: &str) -> Result<()> {
    let path = Path::new(NETNS_FOLDER).join(name);
    match Namespace::open(&path) {
        Ok(there) if there.identity() == namespace.identity() => detach(&path),
        _ => Ok(()),
    }
}

/// Binds whatever namespace is at `source` to the file `target`.
pub(crate) fn bind(source: &Path, target: &Path) -> Result<()> {
    let none: Option<&str> = None;
    mount(Some(source), target, none, MsFlags::MS_BIND, none)
        .map_err(|error| Error::system(format!("pin a namespace at {}", target.display()), error))?;
    // In a shared folder it would share its mount group with the one it was bound from: what somebody mounts over a
    // node's name would lie over its pin. Unmounting it still reaches other mount tables: that goes by the folder's group.
    let _ = mount(none, target, none, MsFlags::MS_PRIVATE, none);
    Ok(())
}

/// Makes the empty file that a namespace is bound to. What a reboot left of a pin is used again.
pub(crate) fn prepare(path: &Path) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)
        .map_err(|error| Error::system(format!("make the folder {}", folder.display()), error))?;
    share(folder);
    if Namespace::open(path).is_ok() {
        return Err(Error::system(format!("pin a namespace at {}", path.display()), nix::errno::Errno::EEXIST));
    }
    fs::write(path, "").map_err(|error| Error::system(format!("make the file {}", path.display()), error))
}

/// Makes the folder a shared mount of its own, once, so that pins made in it and taken from it
/// are made and taken in every copy of the mount table, and none keeps a namespace alive.
fn share(folder: &Path) {
    // Two threads that both find no mount would lay one over the other.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let none: Option<&str> = None;
    if mount(none, folder, none, MsFlags::MS_SHARED | MsFlags::MS_REC, none).is_ok() {
        return;
    }
    // EINVAL: not a mount yet. A failure shows when the pin itself fails, or does no harm.
    let _ = mount(Some(folder), folder, none, MsFlags::MS_BIND | MsFlags::MS_REC, none);
    let _ = mount(none, folder, none, MsFlags::MS_SHARED | MsFlags::MS_REC, none);
}
