//! Certificates for the nodes of a lab, in the lab's folder: an authority under `.tls/ca`, and a
//! certificate with its key for each node that asks for one under `.tls/NODE`. The folder is their
//! home: what is there is kept and never written again, so that they outlive the lab. Knows no
//! containers: nodes that are to see the files bind them.

mod folder;
mod issue;
mod key;

use std::path::{Path, PathBuf};

use archetype_model::topology::{Certificate, NodeDecl, Topology, span};
use time::{Duration, OffsetDateTime};

use folder::{is_there, pair_at, read, write};
use issue::{Measure, Pair};

/// The folder of certificates inside a lab's folder.
pub const FOLDER: &str = ".tls";
/// The name of the authority's folder and files.
const AUTHORITY: &str = "ca";
/// The sizes of RSA keys that are made, in bits.
const BITS: std::ops::RangeInclusive<u64> = 1024..=8192;
/// The size of a key for which the file states none, in bits.
const USUAL_BITS: u64 = 2048;
/// How long a certificate is valid for which the file states no time.
const USUAL_VALIDITY: Duration = Duration::days(365);

/// Why certificates cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refused {
    /// A key cannot be made or read.
    #[error("a key cannot be made or read: {0}")]
    Key(String),
    /// The size of a key is none that is made.
    #[error("a key of {0} bits is not made: 1024 to 8192 are")]
    Bits(u64),
    /// A certificate cannot be made.
    #[error("a certificate cannot be made: {0}")]
    Certificate(String),
    /// A certificate would be valid beyond all time.
    #[error("a certificate cannot be valid that long")]
    Validity,
    /// A certificate or key is there and its other half is not.
    #[error("{} has no {}: put it back, or remove both and they are made anew", .here.display(), .missing.display())]
    Half {
        /// The file that is there.
        here: PathBuf,
        /// The file that is not.
        missing: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{}: {source}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Whether anything of a lab speaks of certificates: a node that asks for one, or a bind of them.
pub fn are_wanted(topology: &Topology) -> bool {
    let folder = Path::new(topology.lab_directory()).join(FOLDER);
    let binds = |node: &NodeDecl| node.binds.iter().any(|bind| Path::new(&bind.source).starts_with(&folder));
    topology.nodes.iter().any(|node| asked(node).is_some() || binds(node))
}

/// Makes what is missing of a lab's certificates; `now` is when new ones begin to be valid. May
/// take a second for each new key.
///
/// # Errors
/// When a file cannot be read or written, or a key or certificate cannot be made.
pub fn keep(topology: &Topology, now: OffsetDateTime) -> Result<(), Refused> {
    if !are_wanted(topology) {
        return Ok(());
    }
    let folder = Path::new(topology.lab_directory()).join(FOLDER);
    let authority = authority(topology, &folder, now)?;
    for (node, wish) in topology.nodes.iter().filter_map(|node| Some((node, asked(node)?))) {
        let [cert, key] = pair_at(&folder, node.name.as_str());
        if is_there(&cert, &key)? {
            continue;
        }
        let measure = measure(wish.key_size, wish.validity_duration.as_deref(), now)?;
        let pair = issue::node(&common_name(topology, node), &names(topology, node, wish), measure, &authority)?;
        write(Path::new(topology.lab_directory()), [&cert, &key], &pair)?;
    }
    Ok(())
}

/// The authority that signs: the one that the file names, the one that is there, or a new one.
fn authority(topology: &Topology, folder: &Path, now: OffsetDateTime) -> Result<Pair, Refused> {
    let stated = topology.settings.certificate_authority.clone().unwrap_or_default();
    if let (Some(cert), Some(key)) = (&stated.cert, &stated.key) {
        return Ok(Pair { cert: read(Path::new(cert))?, key: read(Path::new(key))? });
    }
    let [cert, key] = pair_at(folder, AUTHORITY);
    if is_there(&cert, &key)? {
        return Ok(Pair { cert: read(&cert)?, key: read(&key)? });
    }
    let measure = measure(stated.key_size, stated.validity_duration.as_deref(), now)?;
    let pair = issue::authority(&format!("{} lab CA", topology.name), measure)?;
    write(Path::new(topology.lab_directory()), [&cert, &key], &pair)?;
    Ok(pair)
}

/// What a node asks for, where it asks for a certificate. A bridge, or the host, is given none.
fn asked(node: &NodeDecl) -> Option<&Certificate> {
    let node = Some(node).filter(|node| node.runtime().runs())?;
    node.definition.certificate.as_ref().filter(|certificate| certificate.issue == Some(true))
}

fn common_name(topology: &Topology, node: &NodeDecl) -> String {
    format!("{}.{}.io", node.name, topology.name)
}

/// Everything that a node is known by.
fn names(topology: &Topology, node: &NodeDecl, wish: &Certificate) -> Vec<String> {
    let mut names = vec![node.name.to_string()];
    names.extend(topology.container_name(&node.name).ok().map(|name| name.to_string()));
    names.push(common_name(topology, node));
    names.extend(wish.sans.iter().cloned());
    names.extend(node.definition.mgmt_ipv4.map(|address| address.to_string()));
    names.extend(node.definition.mgmt_ipv6.map(|address| address.to_string()));
    names
}

fn measure(bits: Option<u64>, validity: Option<&str>, now: OffsetDateTime) -> Result<Measure, Refused> {
    let bits = bits.unwrap_or(USUAL_BITS);
    let size = usize::try_from(bits).ok().filter(|_| BITS.contains(&bits)).ok_or(Refused::Bits(bits))?;
    Ok(Measure { bits: size, validity: validity.and_then(stated).unwrap_or(USUAL_VALIDITY), now })
}

/// A time as the file states it: a number alone is one of nanoseconds. One that is over at once is
/// not stated.
fn stated(text: &str) -> Option<Duration> {
    let seconds = span::seconds(text).or_else(|| text.parse::<f64>().ok().map(|nanoseconds| nanoseconds * 1e-9))?;
    Duration::checked_seconds_f64(seconds).filter(|duration| duration.is_positive())
}
