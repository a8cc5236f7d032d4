//! What this room last meant to make of each network: the measure that a reading of the kernel and
//! of files is held against. It lies under `/run` and is gone after a reboot, as the networks are;
//! a network without a record is made right anew.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use archetype_model::network::{LabNames, NamesWanted, NetworkWanted};
use archetype_model::{ContainerName, LabName, NetworkName};
use serde::{Deserialize, Serialize};

use super::Error;
use super::hosts::Block;
use crate::Place;

/// The format this code writes; another one is not read.
const FORMAT: u32 = 2;

/// One network's record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    format: u32,
    /// What was wanted at the last apply.
    pub wanted: NetworkWanted,
    /// The digest of the nft table as read back right after it was written, with the digest of the
    /// text that made it; none before the first time.
    pub table: Option<TableRecord>,
    /// The resolver settings handed to each node.
    pub resolvers: BTreeMap<ContainerName, String>,
    /// Whether a Docker network was found lying over the bridge.
    pub laid: bool,
    /// Whether the network was taken down except for what others still use.
    pub stripped: bool,
}

/// What is derived from a record, once: networks are read at every pass.
#[derive(Debug)]
pub(super) struct Meant {
    /// The record.
    pub record: Record,
    /// The digest of the rules.
    pub rules_digest: String,
    /// The digest of the names.
    pub hosts_digest: String,
    /// The block of each node's hosts file.
    pub nodes: BTreeMap<ContainerName, Arc<Block>>,
    /// Each lab's block in the host's file.
    pub labs: BTreeMap<LabName, Block>,
}

impl From<Record> for Meant {
    fn from(record: Record) -> Self {
        Self {
            rules_digest: record.wanted.rules_digest(),
            hosts_digest: record.wanted.hosts_digest(),
            nodes: node_blocks(&record.wanted),
            labs: host_blocks(&record.wanted),
            record,
        }
    }
}

/// The block of each node's hosts file: one for all nodes of a lab, but for those with lines of
/// their own.
pub(super) fn node_blocks(wanted: &NetworkWanted) -> BTreeMap<ContainerName, Arc<Block>> {
    let of_lab = |(lab, names): (_, &LabNames)| (lab, Arc::new(Block::of(&names.inside)));
    let labs: BTreeMap<&LabName, Arc<Block>> = wanted.labs.iter().map(of_lab).collect();
    let of_node = |(container, names): (&ContainerName, &NamesWanted)| {
        let shared = labs.get(&names.lab).cloned().unwrap_or_default();
        let block = if names.extra.is_empty() { shared } else { Arc::new(shared.with(&names.extra)) };
        (container.clone(), block)
    };
    wanted.nodes.iter().map(of_node).collect()
}

/// Each lab's block in the host's own hosts file.
pub(super) fn host_blocks(wanted: &NetworkWanted) -> BTreeMap<LabName, Block> {
    wanted.labs.iter().map(|(lab, names)| (lab.clone(), Block::of(&names.host))).collect()
}

/// An nft table as it was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TableRecord {
    /// Of the transaction's text.
    pub made_from: String,
    /// Of the table as the kernel told it.
    pub read_back: String,
}

impl Record {
    /// A record of what is about to be made.
    pub fn new(wanted: NetworkWanted) -> Self {
        Self { format: FORMAT, wanted, table: None, resolvers: BTreeMap::new(), laid: false, stripped: false }
    }

    /// Writes it where the next agent finds it, by rename.
    pub fn save(&self, place: &Place) -> Result<(), Error> {
        let path = path(place, &self.wanted.network.name);
        let folder = folder(place);
        std::fs::create_dir_all(&folder).map_err(|error| Error::file(&folder, error))?;
        let new = path.with_extension("json.new");
        let text = serde_json::to_vec(self).map_err(|error| Error::file(&path, error))?;
        std::fs::write(&new, text).map_err(|error| Error::file(&new, error))?;
        std::fs::rename(&new, &path).map_err(|error| Error::file(&path, error))
    }

    /// Removes a network's record. One that is not there is no error.
    pub fn forget(place: &Place, network: &NetworkName) -> Result<(), Error> {
        let path = path(place, network);
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&path, error)),
            _ => {
                // The last one takes the folder along; one that is not empty stays.
                let _ = std::fs::remove_dir(folder(place));
                Ok(())
            }
        }
    }

    /// Every record there is. One that cannot be read counts as missing: its network is made right
    /// anew.
    pub fn all(place: &Place) -> BTreeMap<NetworkName, Self> {
        let Ok(files) = std::fs::read_dir(folder(place)) else { return BTreeMap::new() };
        let json = files.flatten().filter(|file| file.path().extension().is_some_and(|extension| extension == "json"));
        let records = json.filter_map(|file| {
            let text = std::fs::read(file.path()).ok()?;
            serde_json::from_slice::<Self>(&text).ok().filter(|record| record.format == FORMAT)
        });
        records.map(|record| (record.wanted.network.name.clone(), record)).collect()
    }
}

fn folder(place: &Place) -> PathBuf {
    place.root().join("networks")
}

fn path(place: &Place, network: &NetworkName) -> PathBuf {
    folder(place).join(format!("{network}.json"))
}
