//! A mount namespace of a process's own: the host's file system with some paths replaced. It goes with the last process
//! inside; whoever wants the same again arranges it again.

use std::fs;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Error, Result};

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

/// Gives the calling thread a mount namespace of its own, with `binds` over the host's file system. Mounts that the host
/// makes later are seen inside, none of those inside on the host. Mounts at the paths in `without` are left out, and
/// nothing is seen there: folders of pins, which would multiply with every node.
///
/// It is not pinned: since its numbers come from counters of each CPU, the kernel (6.18) refuses now and then to bind a
/// mount namespace to a file of an older one.
///
/// # Errors
/// When a source or a target is not there (nothing is changed then), or [`Error::System`].
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
    // What a bind shows is the host's, whatever the rest has covered.
    let sources: Vec<_> = binds.iter().map(|bind| fs::File::open(&bind.source)).collect();
    for path in without {
        // EINVAL: nothing is mounted there, which is what is wanted.
        if umount2(path, MntFlags::MNT_DETACH).is_ok() {
            // The names that are left lead nowhere, and `ip` would say so of each.
            let _ = mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some("mode=755"));
        }
    }
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
