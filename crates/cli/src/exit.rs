//! How a command ends, and the exit code that says so.

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// As wished.
    Fine,
    /// Refused, failed, or a finding stands in the way.
    Failed,
    /// The command line or the settings cannot be understood.
    Usage,
    /// Not converged in the time that was given.
    NotConverged,
    /// A command in a node ended with this status, which is passed on.
    Of(i64),
}

impl Exit {
    /// The exit code.
    pub fn code(self) -> i32 {
        match self {
            Self::Fine => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotConverged => 3,
            Self::Of(code) => i32::try_from(code).unwrap_or(1),
        }
    }
}
