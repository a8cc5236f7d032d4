//! What the engine's process may hand on: capabilities and open files. Read from `/proc`, once per
//! start of the engine, instead of by a container that is made to fail.

use archetype_model::capability::NAMES;
use archetype_model::spec::Privileges;

/// Engines below API 1.42 (Docker 23) know capabilities only up to AUDIT_READ.
const KNOWN_BEFORE_1_42: usize = 38;
/// What containerlab gives nodes at most.
const OPEN_FILES: u64 = 1_048_576;
/// Whether a process may raise its limits by itself.
const SYS_RESOURCE: usize = 24;

/// What an engine can grant its containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Names, without `CAP_`, of the capabilities it can hand on.
    pub capabilities: Vec<&'static str>,
    /// Names of those it knows and cannot hand on: with any in here, `privileged` is refused.
    pub withheld: Vec<&'static str>,
    /// The most open files a container can be given.
    pub open_files: u64,
}

impl Grant {
    /// Reads what process `pid` may hand on to containers through an engine that speaks `api`.
    pub(super) fn of(pid: u32, api: (usize, usize)) -> Option<Self> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let bounding = bounding_set(&status)?;
        let last = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").ok()?.trim().parse::<usize>().ok()?;
        let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).ok();
        let files = limits.as_deref().and_then(hard_open_files);
        Some(Self::from_sets(bounding, last, api, files))
    }

    fn from_sets(bounding: u64, last: usize, api: (usize, usize), files: Option<u64>) -> Self {
        let known = if api < (1, 42) { KNOWN_BEFORE_1_42 } else { NAMES.len() };
        let (capabilities, withheld): (Vec<_>, Vec<_>) =
            NAMES.iter().enumerate().take(known.min(last + 1)).partition(|(number, _)| bounding & (1 << number) != 0);
        let names = |list: Vec<(usize, &&'static str)>| list.into_iter().map(|(_, name)| *name).collect();
        let raise = bounding & (1 << SYS_RESOURCE) != 0;
        let open_files = if raise { OPEN_FILES } else { files.unwrap_or(1024).min(OPEN_FILES) };
        Self { capabilities: names(capabilities), withheld: names(withheld), open_files }
    }

    /// Whether the engine can start a container with `privileged`.
    pub fn privileged(&self) -> bool {
        self.withheld.is_empty()
    }
}

/// What one node is given, decided before it is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Granted {
    /// Everything, as `docker run --privileged`.
    Privileged,
    /// Everything the engine can hand on, where it cannot hand on everything.
    Confined(Grant),
    /// Docker's defaults and what the file adds.
    Plain,
}

impl Granted {
    /// What a node that asks for `wanted` gets of an engine with `grant` (none: not known, and
    /// then the engine is believed to be able to). `Err` names what is missing for a demand.
    pub(super) fn decide(wanted: Privileges, grant: Option<&Grant>) -> Result<Self, String> {
        match (wanted, grant) {
            (Privileges::Confined, _) => Ok(Self::Plain),
            (Privileges::Demanded, Some(grant)) if !grant.privileged() => Err(grant.withheld.join(", ")),
            (Privileges::AsGranted, Some(grant)) if !grant.privileged() => Ok(Self::Confined(grant.clone())),
            _ => Ok(Self::Privileged),
        }
    }

    /// For people.
    pub(super) fn words(&self, cap_add: &[String]) -> String {
        match self {
            Self::Privileged => "privileged".into(),
            Self::Confined(grant) => format!("confined: all capabilities but {}", grant.withheld.join(", ")),
            Self::Plain if cap_add.is_empty() => "confined: the engine's defaults".into(),
            Self::Plain => format!("confined: the engine's defaults and {}", cap_add.join(", ")),
        }
    }
}

fn bounding_set(status: &str) -> Option<u64> {
    let value = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

fn hard_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().nth(1)? {
        "unlimited" => Some(OPEN_FILES),
        number => number.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_with_every_capability_grants_privileged() {
        let grant = Grant::from_sets(0x1ff_ffff_ffff, 40, (1, 45), Some(4096));
        assert!(grant.privileged());
        assert_eq!(grant.capabilities.len(), 41);
        assert_eq!(grant.open_files, OPEN_FILES);
        assert_eq!(Granted::decide(Privileges::AsGranted, Some(&grant)), Ok(Granted::Privileged));
    }

    #[test]
    fn a_missing_capability_is_named_and_left_out() {
        let grant = Grant::from_sets(0x1ff_feff_ffff, 40, (1, 41), Some(20_000));
        assert_eq!((grant.withheld.as_slice(), grant.open_files), (["SYS_RESOURCE"].as_slice(), 20_000));
        let given = Granted::decide(Privileges::AsGranted, Some(&grant)).unwrap();
        assert_eq!(given.words(&[]), "confined: all capabilities but SYS_RESOURCE");
        assert_eq!(Granted::decide(Privileges::Demanded, Some(&grant)), Err("SYS_RESOURCE".into()));
        assert_eq!(Granted::decide(Privileges::Confined, Some(&grant)), Ok(Granted::Plain));
    }

    #[test]
    fn a_capability_that_the_engine_does_not_know_is_neither_given_nor_missed() {
        let without_bpf = 0x17f_ffff_ffff;
        assert!(Grant::from_sets(without_bpf, 40, (1, 41), None).privileged());
        assert_eq!(Grant::from_sets(without_bpf, 40, (1, 44), None).withheld, ["BPF"]);
        assert!(!Grant::from_sets(without_bpf, 40, (1, 41), None).capabilities.contains(&"BPF"));
    }
}
