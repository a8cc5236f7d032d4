//! The names of namespaces: rings when one of them comes or goes under `/run/netns`, or a pin of
//! ours does, by whatever hand.

use std::fs;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use archetype_model::observed::Part;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use tokio::io::unix::AsyncFd;

use crate::event::{Event, Waker};
use crate::place::Place;

/// Begins to watch. Where that is refused, the timed full read is what finds a lost name.
pub(crate) fn watch(place: &Place, waker: &Waker) {
    let folders = [PathBuf::from(archetype_netns::pin::NETNS_FOLDER), place.pins()];
    if let Err(error) = begin(&folders, waker.clone()) {
        tracing::warn!(%error, "names of namespaces cannot be watched");
    }
}

fn begin(folders: &[PathBuf], waker: Waker) -> std::io::Result<()> {
    let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    let flags =
        AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE | AddWatchFlags::IN_MOVE | AddWatchFlags::IN_ONLYDIR;
    for folder in folders {
        fs::create_dir_all(folder)?;
        inotify.add_watch(folder, flags)?;
    }
    let readable = inotify.as_fd().try_clone_to_owned()?;
    // SAFETY: the descriptor is owned by the value that is registered, and is never exchanged in it.
    let readable = unsafe { AsyncFd::register_with_interest(readable, tokio::io::Interest::READABLE) }?;
    tokio::spawn(async move {
        while let Ok(mut ready) = readable.readable().await {
            // What exactly happened is read by the room; that something did is enough here.
            while inotify.read_events().is_ok_and(|events| !events.is_empty()) {}
            ready.clear_ready();
            waker.ring(Event::Changed(Part::Namespaces));
        }
    });
    Ok(())
}
