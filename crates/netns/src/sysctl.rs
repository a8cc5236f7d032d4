//! The settings under `/proc/sys/net` of a namespace: all of them written down when it is new, and
//! put back before each start.
//!
//! Settings of single devices are many (some 130 each). They are not read one by one: the dump of
//! devices carries them as arrays, and only a device whose array differs from that of a fresh one
//! is looked at file by file. Every function works on the calling thread's namespace.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};

const ROOT: &str = "/proc/sys/net";
/// Folders with one folder per device in them.
const PER_DEVICE: [&str; 4] = ["ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh"];
/// Follows the device's MTU by itself, at the latest when the device comes up.
const FOLLOWS: &str = "ipv6/conf/";

/// How long what one new namespace was like speaks for those that are made beside it.
const ALIKE: Duration = Duration::from_secs(2);
/// Stands for the fresh device in the settings that are kept for others; no device has such a name.
const ANY_DEVICE: &str = "a fresh device";

/// What the last new namespace that this process read was like, and when it was read.
static LAST_NEW: Mutex<Option<(Instant, Settings)>> = Mutex::new(None);

/// Settings by their path below `/proc/sys/net`.
pub type Settings = BTreeMap<String, String>;

/// Reads every setting that can be written back, leaving out those of devices other than the ones
/// named (`all` and `default` count as devices).
pub fn record(devices: &[&str]) -> Settings {
    let mut all = Settings::new();
    walk(Path::new(ROOT), "", devices, &mut all);
    all
}

/// As [`record`], of a new namespace with the fresh device `device` (`default` when it has none).
///
/// All namespaces get the same settings from the kernel, and reading them takes it some 10 ms, a
/// good part of a node's start. So one that was read a moment ago speaks for others: a lab of a
/// hundred nodes reads one. Only for a moment, because they come from the host's own settings, which
/// somebody may change.
pub fn record_new(device: &str) -> Settings {
    let mut last = LAST_NEW.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, settings)) = &*last
        && at.elapsed() < ALIKE
    {
        return rename(settings, ANY_DEVICE, device);
    }
    let settings = record(&["all", "default", "lo", device]);
    if device != "default" {
        *last = Some((Instant::now(), rename(&settings, device, ANY_DEVICE)));
    }
    settings
}

/// The settings with one device's name exchanged for another.
fn rename(settings: &Settings, from: &str, to: &str) -> Settings {
    let mut renamed = transfer(settings, from, to);
    let is_of = |path: &str| {
        let device = PER_DEVICE.iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'));
        device.and_then(|rest| rest.split('/').next()) == Some(from)
    };
    renamed.extend(settings.iter().filter(|(path, _)| !is_of(path)).map(|(path, value)| (path.clone(), value.clone())));
    renamed
}

fn walk(folder: &Path, prefix: &str, devices: &[&str], all: &mut Settings) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if !PER_DEVICE.contains(&prefix) || devices.contains(&name.as_str()) {
                walk(&entry.path(), &path, devices, all);
            }
        } else if is_kept(&path, &entry) {
            // Some cannot be read in every state (a secret that was never set); they stay out.
            if let Ok(value) = value_of(&entry.path()) {
                all.insert(path, value);
            }
        }
    }
}

/// Whether a setting is one that somebody can set, and not a trigger or a mirror of something else.
fn is_kept(path: &str, entry: &fs::DirEntry) -> bool {
    let mode = entry.metadata().map_or(0, |meta| meta.permissions().mode());
    mode & 0o600 == 0o600 && !(path.starts_with(FOLLOWS) && path.ends_with("/mtu"))
}

/// What a setting is now. Most tell nothing to a second read, wherever the first one ended: all of it is read at once.
fn value_of(path: &Path) -> io::Result<String> {
    const USUAL: usize = 1024;
    const LONGEST: usize = 1 << 20;
    let file = File::open(path)?;
    let mut room = vec![0; USUAL];
    let length = loop {
        let length = file.read_at(&mut room, 0)?;
        if length < room.len() || room.len() >= LONGEST {
            break length;
        }
        room.resize(LONGEST, 0);
    };
    let text = str::from_utf8(&room[..length]).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    Ok(text.trim_end().to_owned())
}

/// Puts back every setting that differs from `wanted`. Some change others when they are written
/// (forwarding does), so it is repeated until nothing differs. Gives the paths that were written.
///
/// One that the kernel does not take back is left: it is told by the next comparison.
pub fn restore(wanted: &Settings) -> Vec<String> {
    let mut written = Vec::new();
    for _ in 0..4 {
        let before = written.len();
        for (path, value) in wanted {
            let file = Path::new(ROOT).join(path);
            let differs = value_of(&file).is_ok_and(|now| now != *value);
            if differs && set(&file, value).is_ok() {
                written.push(path.clone());
            }
        }
        if written.len() == before {
            break;
        }
    }
    written
}

/// Writes a setting. With an end of line, for to write nothing at all changes nothing: a list that is to be empty again
/// would stay.
fn set(path: &Path, value: &str) -> io::Result<()> {
    fs::write(path, format!("{value}\n"))
}

/// The settings of the device `from` in `settings`, as those of the device `to`.
pub fn transfer(settings: &Settings, from: &str, to: &str) -> Settings {
    let mut transferred = Settings::new();
    for folder in PER_DEVICE {
        let prefix = format!("{folder}/{from}/");
        for (path, value) in settings.range(prefix.clone()..) {
            let Some(name) = path.strip_prefix(&prefix) else { break };
            transferred.insert(format!("{folder}/{to}/{name}"), value.clone());
        }
    }
    transferred
}

/// The settings that belong to no device but to the namespace, `all` and `default` among them.
pub fn shared(settings: &Settings) -> Settings {
    let is_shared = |path: &str| {
        let device = PER_DEVICE.iter().find_map(|folder| path.strip_prefix(folder)?.strip_prefix('/'));
        device.is_none_or(|rest| rest.starts_with("all/") || rest.starts_with("default/"))
    };
    settings.iter().filter(|(path, _)| is_shared(path)).map(|(p, v)| (p.clone(), v.clone())).collect()
}

/// Writes declared settings. A name is as sysctl(8) takes it: dots between the parts, a slash
/// within one where the part itself has a dot (`net.ipv4.conf.eth1/100.forwarding`).
///
/// # Errors
/// When a setting is not one of the network, is not there, or does not take the value.
pub fn declare(settings: &BTreeMap<String, String>) -> Result<()> {
    for (name, value) in settings {
        let path: String = name
            .chars()
            .map(|c| {
                if c == '.' {
                    '/'
                } else if c == '/' {
                    '.'
                } else {
                    c
                }
            })
            .collect();
        if !path.starts_with("net/") || path.contains("..") {
            let what = format!("sysctl {name} is no setting of a network namespace: only net.* can be set for a node");
            return Err(Error::Missing { what });
        }
        fs::write(Path::new("/proc/sys").join(path), value)
            .map_err(|error| Error::system(format!("set sysctl {name} to {value:?}"), error))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        pairs.iter().map(|(path, value)| ((*path).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn settings_of_one_device_become_those_of_another() {
        let all = settings(&[("ipv4/conf/eth1/a", "1"), ("ipv4/conf/eth10/a", "2"), ("ipv6/neigh/eth1/b", "3")]);
        assert_eq!(transfer(&all, "eth1", "eth7"), settings(&[("ipv4/conf/eth7/a", "1"), ("ipv6/neigh/eth7/b", "3")]));
    }

    #[test]
    fn a_renamed_device_leaves_nothing_under_its_old_name() {
        let all = settings(&[("ipv4/conf/eth1/a", "1"), ("ipv4/conf/all/a", "2"), ("ipv4/ip_forward", "0")]);
        let renamed = settings(&[("ipv4/conf/x/a", "1"), ("ipv4/conf/all/a", "2"), ("ipv4/ip_forward", "0")]);
        assert_eq!(rename(&all, "eth1", "x"), renamed);
        assert_eq!(rename(&renamed, "x", "eth1"), all);
    }

    #[test]
    fn shared_settings_are_those_of_no_device() {
        let all = settings(&[("ipv4/conf/all/a", "1"), ("ipv4/conf/eth1/a", "2"), ("ipv4/ip_forward", "0")]);
        assert_eq!(shared(&all), settings(&[("ipv4/conf/all/a", "1"), ("ipv4/ip_forward", "0")]));
    }
}
