//! What new namespaces have in common: their settings, read of one, speak for a moment for those that are made beside it.
//!
//! All namespaces get the same settings from the kernel, and reading them takes it some 5 to 10 ms, a good part of a
//! node's start: a lab of a hundred nodes reads a few. Only for a moment, because they come from the host's own settings,
//! which somebody may change. They are kept in a file as well: each container starts through a process of its own.

use std::os::linux::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use crate::folder::replace;
use crate::sysctl::{self, Settings};

/// How long what one new namespace was like speaks for others.
const MOMENT: Duration = Duration::from_secs(2);
/// Where processes tell each other.
const FILE: &str = "/run/archetype/recorded/alike";
/// Stands for the fresh device in the settings that are kept for others; no device has such a name.
const ANY_DEVICE: &str = "a fresh device";

/// What this process knows.
static KNOWN: Mutex<Option<Alike>> = Mutex::new(None);

/// What a new namespace was like.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Alike {
    /// Since the machine was booted.
    read_at: Duration,
    /// The host's namespace, by its inode: another has settings of its own.
    host: u64,
    /// Whether it had a fresh device; its settings are among those below.
    has_device: bool,
    settings: Settings,
}

impl Alike {
    /// Whether it speaks for a namespace that is new now.
    fn speaks_for(&self, (host, device): (u64, Option<&str>), now: Duration) -> bool {
        let is_of_now = now.checked_sub(self.read_at).is_some_and(|age| age < MOMENT);
        is_of_now && self.host == host && (self.has_device || device.is_none())
    }

    /// What was told by any process.
    fn read() -> Option<Self> {
        serde_json::from_slice(&std::fs::read(FILE).ok()?).ok()
    }

    /// Tells others. Who cannot be told reads by itself.
    fn write(&self) {
        let _ = serde_json::to_vec(self).map(|text| replace(Path::new(FILE), &text));
    }
}

/// The settings of the calling thread's namespace, which is new, with those of its fresh device `device`.
pub(crate) fn settings(device: Option<&str>) -> Settings {
    // Where either cannot be asked, nothing speaks for others.
    let (Some(host), Some(now)) = (host(), now()) else { return read(device) };
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let speaks = |alike: &Alike| alike.speaks_for((host, device), now);
    if !known.as_ref().is_some_and(speaks) {
        *known = Alike::read().filter(speaks);
    }
    let alike = known.get_or_insert_with(|| {
        let settings = read(device);
        let settings = device.map_or(settings.clone(), |device| sysctl::rename(&settings, device, ANY_DEVICE));
        let alike = Alike { read_at: now, host, has_device: device.is_some(), settings };
        alike.write();
        alike
    });
    sysctl::rename(&alike.settings, ANY_DEVICE, device.unwrap_or("default"))
}

fn read(device: Option<&str>) -> Settings {
    let devices: Vec<&str> = ["all", "default", "lo"].into_iter().chain(device).collect();
    sysctl::record(&devices)
}

/// The namespace that this process is of; a thread may be in another.
fn host() -> Option<u64> {
    std::fs::metadata("/proc/self/ns/net").ok().map(|meta| meta.st_ino())
}

fn now() -> Option<Duration> {
    clock_gettime(ClockId::CLOCK_BOOTTIME).ok().map(Duration::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_namespace_speaks_for_a_moment_for_those_of_the_same_host_that_have_no_more_than_it() {
        let at = Duration::from_secs(100);
        let alike = |has_device| Alike { read_at: at, host: 7, has_device, settings: Settings::new() };
        assert!(alike(true).speaks_for((7, Some("eth1")), at));
        assert!(alike(true).speaks_for((7, None), at + MOMENT / 2));
        assert!(alike(false).speaks_for((7, None), at));
        assert!(!alike(false).speaks_for((7, Some("eth1")), at));
        assert!(!alike(true).speaks_for((8, Some("eth1")), at));
        assert!(!alike(true).speaks_for((7, Some("eth1")), at + MOMENT));
        // A file of before the clock began anew.
        assert!(!alike(true).speaks_for((7, Some("eth1")), at - MOMENT / 2));
    }
}
