//! Who holds a namespace that is not ours, for people: the processes that are in it.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use archetype_model::others::NameHolder;
use archetype_model::{ContainerName, InstallationId};

use crate::place::Place;

/// Who has the name of a node of ours, which leads to the namespace of this number.
pub(super) fn of_name(place: &Place, container: &ContainerName, identity: u64) -> NameHolder {
    let installations = place.root().parent().and_then(|all| fs::read_dir(all).ok()).into_iter().flatten().flatten();
    let mut installations = installations.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let has = |other: &InstallationId| {
        let pin = Place::new(other.clone()).pin(container);
        fs::metadata(pin).is_ok_and(|meta| meta.ino() == identity)
    };
    match installations.find(has) {
        Some(other) => NameHolder::Installation(other.to_string()),
        None => NameHolder::Other(of(identity)),
    }
}

/// Who is in the namespace of this number, in words.
pub(super) fn of(identity: u64) -> String {
    // Through the link: its target is the namespace itself.
    let is_in = |pid: &u32| fs::metadata(format!("/proc/{pid}/ns/net")).is_ok_and(|meta| meta.ino() == identity);
    match pids().into_iter().find(is_in) {
        Some(pid) => {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("a namespace in which process {pid} ({}) runs", name.trim())
        }
        None => "a namespace in which no process runs".to_string(),
    }
}

/// The processes of the machine, in the order of their numbers.
pub(super) fn pids() -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut pids: Vec<u32> = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    pids.sort_unstable();
    pids
}
