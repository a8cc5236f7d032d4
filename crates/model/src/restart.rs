//! What becomes of a node that ended by itself. Knows nothing of who stops or starts it.

use serde::{Deserialize, Serialize};

use crate::observed::Exit;

/// Whether a node that ended by itself is started again. Carried out by the agent: Docker's own
/// policy is always `no`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RestartRule {
    /// It stays ended.
    No,
    /// It is started again unless it ended with status 0.
    OnFailure,
    /// It is started again.
    #[default]
    Always,
    /// The same: whoever wants it stopped says so to us, and that wish is kept.
    UnlessStopped,
}

impl RestartRule {
    /// Whether a node that ended like this is started again. An end that nobody saw (a reboot, a
    /// crash of the engine) is none of the node's own doing: after it every node starts again.
    pub fn starts_again(self, exit: &Exit) -> bool {
        match (self, exit) {
            (_, Exit::Lost | Exit::WithEngine) | (Self::Always | Self::UnlessStopped, _) => true,
            (Self::OnFailure, exit) => *exit != Exit::Status { code: 0 },
            (Self::No, _) => false,
        }
    }
}

impl std::fmt::Display for RestartRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::No => "no",
            Self::OnFailure => "on-failure",
            Self::Always => "always",
            Self::UnlessStopped => "unless-stopped",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_end_keeps_a_node_ended() {
        let again = |rule: RestartRule| {
            let ends = [Exit::Status { code: 0 }, Exit::Status { code: 1 }, Exit::OutOfMemory, Exit::Lost];
            ends.map(|exit| rule.starts_again(&exit))
        };
        assert_eq!(again(RestartRule::No), [false, false, false, true]);
        assert_eq!(again(RestartRule::OnFailure), [false, true, true, true]);
        assert_eq!(again(RestartRule::Always), [true; 4]);
        assert_eq!(again(RestartRule::UnlessStopped), [true; 4]);
    }
}
