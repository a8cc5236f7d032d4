//! Hears when the name of a namespace comes or goes under `/run/netns`, a pin of ours does, or the
//! folder of a node goes, by whatever hand.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};

use crate::place::Place;

/// The watch.
#[derive(Debug)]
pub(super) struct Names {
    inotify: Inotify,
    names: [PathBuf; 2],
    nodes: PathBuf,
    /// The watch of `nodes`.
    of_nodes: WatchDescriptor,
}

impl Names {
    /// Begins to watch. Where that is refused, the timed full read is what finds what is lost.
    pub(super) fn open(place: &Place) -> Option<Self> {
        let begun = || -> io::Result<Self> {
            let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let names = [PathBuf::from(archetype_netns::pin::NETNS_FOLDER), place.pins()];
            let nodes = place.nodes();
            let of_nodes = watch(&inotify, &names, &nodes)?;
            Ok(Self { inotify, names, nodes, of_nodes })
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

    /// Takes in what was heard, and answers whether a node lost its folder. What exactly happened to
    /// a name is read where it is.
    pub(super) fn read(&mut self) -> bool {
        let goes = AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVED_FROM;
        let (mut lost, mut blind) = (false, false);
        while let Ok(events) = self.inotify.read_events() {
            if events.is_empty() {
                break;
            }
            blind |= events.iter().any(|event| event.mask.contains(AddWatchFlags::IN_IGNORED));
            lost |= events.iter().any(|event| event.wd == self.of_nodes && event.mask.intersects(goes));
        }
        // A folder that is gone takes its watch along.
        if blind {
            match watch(&self.inotify, &self.names, &self.nodes) {
                Ok(of_nodes) => self.of_nodes = of_nodes,
                Err(error) => tracing::warn!(%error, "names of namespaces cannot be watched any more"),
            }
        }
        lost || blind
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
