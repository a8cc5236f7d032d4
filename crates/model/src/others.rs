//! What is on a host and of somebody else, where a plan and who looks at the host speak of the same.

use ipnet::IpNet;

/// A management network of ours on which containers of somebody else are. Its Docker network cannot be laid anew while
/// they are there, and goes on giving addresses of its ranges to whoever joins.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visited {
    /// The ranges.
    pub ranges: Vec<IpNet>,
    /// The containers' names.
    pub containers: Vec<String>,
}

/// Who has a name that a node would have on its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NameHolder {
    /// A node of another installation.
    Installation(String),
    /// Somebody else, in words: `a container`, `a namespace in which process 12 (sleep) runs`.
    Other(String),
}
