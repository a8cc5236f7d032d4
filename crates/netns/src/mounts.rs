//! A mount namespace of a node's own: the host's file system with some paths replaced, pinned so
//! that it outlives every process.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Error, Result};
use crate::pin;

/// One path of the host seen at another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bind {
    /// What is seen: a file or a folder of the host.
    pub source: PathBuf,
    /// Where it is seen. It must be there, a file for a file and a folder for a folder.
    pub target: PathBuf,
    /// Whether it can only be read there.
    pub read_only: bool,
}

/// Makes a mount namespace with `binds` over the host's file system and pins it at `path`. Mounts
/// that the host makes later are seen inside, none of those inside on the host. Mounts at the
/// paths in `without` are left out: folders of pins, which would multiply with every node.
///
/// # Errors
/// When a source or a target is not there (nothing is pinned then), or [`Error::System`].
pub fn make(path: &Path, binds: &[Bind], without: &[PathBuf]) -> Result<()> {
    binds.iter().try_for_each(check)?;
    isolate(path)?;
    let (ready, made) = mpsc::channel();
    let (done, over) = mpsc::channel::<()>();
    let pinned = std::thread::scope(|scope| {
        scope.spawn(move || {
            // The result stands in the message; a receiver that is gone wants none.
            let _ = ready.send(arrange(binds, without).map(|()| nix::unistd::gettid()));
            // The namespace lives as long as this thread until it is pinned.
            let _ = over.recv();
        });
        let pinned = made.recv().unwrap_or_else(|_| Err(Error::Missing { what: "the thread that mounts died".into() }));
        let pinned = pinned.and_then(|thread| {
            let source = format!("/proc/self/task/{thread}/ns/mnt");
            pin::bind(Path::new(&source), path)
        });
        drop(done);
        pinned
    });
    pinned.inspect_err(|_| {
        // The empty file would look like a namespace that is broken.
        let _ = fs::remove_file(path);
    })
}

/// Takes the pin away; the namespace goes with the last process inside.
///
/// # Errors
/// [`Error::System`] when it cannot be taken away.
pub fn remove(path: &Path) -> Result<()> {
    pin::detach(path)
}

fn check(bind: &Bind) -> Result<()> {
    let meta = |path: &Path, role: &str| {
        fs::metadata(path).map_err(|error| Error::Missing {
            what: format!("{role} {} of a bind cannot be used: {error}; make it on the host first", path.display()),
        })
    };
    let (source, target) = (meta(&bind.source, "the source")?, meta(&bind.target, "the target")?);
    if source.is_dir() != target.is_dir() {
        let what = format!(
            "{} and {} cannot be bound: one is a folder, the other a file",
            bind.source.display(),
            bind.target.display()
        );
        return Err(Error::Missing { what });
    }
    Ok(())
}

/// Gives the calling thread a mount namespace of its own, arranged as [`make`] says, and pins
/// nothing: it goes with the last process inside.
///
/// # Errors
/// As [`make`].
pub fn enter_new(binds: &[Bind], without: &[PathBuf]) -> Result<()> {
    binds.iter().try_for_each(check)?;
    arrange(binds, without)
}

/// Gives the calling thread a mount namespace of its own and arranges it.
fn arrange(binds: &[Bind], without: &[PathBuf]) -> Result<()> {
    let none: Option<&str> = None;
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| Error::system("make a mount namespace", error))?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_SLAVE, none)
        .map_err(|error| Error::system("keep mounts inside from the host", error))?;
    for path in without {
        // EINVAL: nothing is mounted there, which is what is wanted.
        let _ = umount2(path, MntFlags::MNT_DETACH);
    }
    // What a bind shows is the host's, whatever the binds before it have covered.
    let sources: Vec<_> = binds.iter().map(|bind| fs::File::open(&bind.source)).collect();
    for (bind, source) in binds.iter().zip(sources) {
        let failed = |error: std::io::Error| {
            Error::system(format!("bind {} at {}", bind.source.display(), bind.target.display()), error)
        };
        let source = source.map_err(failed)?;
        let open = format!("/proc/thread-self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&source));
        mount(Some(open.as_str()), &bind.target, none, MsFlags::MS_BIND | MsFlags::MS_REC, none)
            .map_err(|error| failed(error.into()))?;
        if bind.read_only {
            let flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
            mount(none, &bind.target, none, flags, none).map_err(|error| failed(error.into()))?;
        }
    }
    Ok(())
}

/// Makes the file for the pin, in a folder that is a mount of its own and shared with nobody: the
/// kernel takes no pin of a mount namespace where it would appear inside that very namespace.
fn isolate(path: &Path) -> Result<()> {
    let none: Option<&str> = None;
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |error: nix::errno::Errno| Error::system(format!("isolate the folder {}", folder.display()), error);
    fs::create_dir_all(folder)
        .map_err(|error| Error::system(format!("make the folder {}", folder.display()), error))?;
    if mount(none, folder, none, MsFlags::MS_PRIVATE, none).is_err() {
        mount(Some(folder), folder, none, MsFlags::MS_BIND, none).map_err(failed)?;
        mount(none, folder, none, MsFlags::MS_PRIVATE, none).map_err(failed)?;
    }
    fs::write(path, "").map_err(|error| Error::system(format!("make the file {}", path.display()), error))
}
