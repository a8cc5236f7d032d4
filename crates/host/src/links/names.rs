//! Hears when the name of a namespace comes or goes under `/run/netns`, a pin of ours does, or the
//! folder of a node goes, by whatever hand; and when anything is mounted or unmounted, by which a name leads elsewhere.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::place::Place;

/// What was heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// Whether a name may lead elsewhere now.
    pub(super) moved: bool,
    /// Whether a node lost its folder.
    pub(super) lost: bool,
}

/// The watch.
#[derive(Debug)]
pub(super) struct Names {
    inotify: Inotify,
    /// The table of mounts: it is ready for `POLLPRI` once after each change (proc_pid_mountinfo(5)).
    mounts: File,
    names: [PathBuf; 2],
    nodes: PathBuf,
    /// The watch of `nodes`.
    of_nodes: WatchDescriptor,
    /// Whether a folder is not watched any more: then anything may happen unheard.
    is_blind: bool,
}

impl Names {
    /// Begins to watch. Where that is refused, the timed full read is what finds what is lost.
    pub(super) fn open(place: &Place) -> Option<Self> {
        let begun = || -> io::Result<Self> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let names = [PathBuf::from(archetype_netns::pin::NETNS_FOLDER), place.pins()];
            let nodes = place.nodes();
            let mounts = File::open("/proc/thread-self/mountinfo")?;
            let of_nodes = watch(&inotify, &names, &nodes)?;
            Ok(Self { inotify, mounts, names, nodes, of_nodes, is_blind: false })
        };
        begun().inspect_err(|error| tracing::warn!(%error, "names of namespaces cannot be watched")).ok()
    }

    /// Becomes readable when something happens.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub(super) fn heard(&self) -> io::Result<OwnedFd> {
        self.inotify.as_fd().try_clone_to_owned()
    }

    /// Takes in what was heard. What exactly happened to a name is read where it is.
    pub(super) fn read(&mut self) -> Heard {
        let goes = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
        let (mut moved, mut lost, mut blind) = (self.mounts_changed(), false, self.is_blind);
        while let Ok(events) = self.inotify.read_events() {
            if events.is_empty() {
                break;
            }
            moved = true;
            blind |= events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED));
            lost |= events.iter().any(|event| event.wd == self.of_nodes && event.mask.intersects(goes));
        }
        // A folder that is gone takes its watch along.
        if blind {
            match watch(&self.inotify, &self.names, &self.nodes) {
                Ok(of_nodes) => (self.of_nodes, self.is_blind) = (of_nodes, false),
                Err(error) => {
                    if !std::mem::replace(&mut self.is_blind, true) {
                        tracing::warn!(%error, "names of namespaces cannot be watched any more");
                    }
                }
            }
        }
        Heard { moved: moved || blind, lost: lost || blind }
    }

    /// Whether anything was mounted or unmounted since this was last asked.
    fn mounts_changed(&self) -> bool {
        let mut watched = [PollFd::new(self.mounts.as_fd(), PollFlags::POLLPRI)];
        poll(&mut watched, PollTimeout::ZERO) != Ok(0)
    }
}

/// Watches each folder, making it where it is missing; answers the watch of the last.
fn watch(inotify: &Inotify, names: &[PathBuf], nodes: &PathBuf) -> io::Result<WatchDescriptor> {
    let comes = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
    let goes = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM | AddWatchFlags::IN_ONLYDIR;
    let add = |folder: &PathBuf, flags| -> io::Result<WatchDescriptor> {
        fs::create_dir_all(folder)?;
        Ok(inotify.add_watch(folder, flags)?)
    };
    for folder in names {
        add(folder, comes | goes)?;
    }
    add(nodes, goes)
}
