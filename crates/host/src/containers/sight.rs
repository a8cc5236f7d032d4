//! A container as the engine shows it, turned into what a node does. Pure.

use std::collections::BTreeSet;

use archetype_model::observed::{Busy, Exit, Mark, NodeObserved, RunObserved};
use archetype_model::{ContainerName, InstallationId};
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum, HealthStatusEnum};
use nix::sys::signal::Signal;

use super::label;

/// What the engine gives a container whose end it did not see.
const END_NOT_SEEN: i64 = 255;

/// One container of this installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sight {
    pub name: ContainerName,
    pub node: NodeObserved,
    /// Whether it ended with the status that the engine also gives where it saw no end.
    pub doubtful_end: bool,
    /// The signal that its engine ends it by, where it has one of its own.
    pub stop_signal: Option<i32>,
}

/// Reads a container; none when it is not one of `installation`'s nodes.
pub(super) fn sight(inspected: &ContainerInspectResponse, installation: &InstallationId) -> Option<Sight> {
    let labels = inspected.config.as_ref()?.labels.as_ref()?;
    if labels.get(label::INSTALLATION)? != installation.as_str() {
        return None;
    }
    let id = inspected.id.clone()?;
    let mark = Mark {
        installation: installation.clone(),
        lab: labels.get(label::LAB)?.parse().ok()?,
        node: labels.get(label::NODE)?.parse().ok()?,
        interface: None,
    };
    let state = inspected.state.clone().unwrap_or_default();
    let run = run(&state, &id);
    Some(Sight {
        name: inspected.name.as_deref()?.trim_start_matches('/').parse().ok()?,
        doubtful_end: matches!(run, RunObserved::Ended { exit: Exit::Lost, .. })
            && state.exit_code == Some(END_NOT_SEEN)
            && !state.dead.unwrap_or_default(),
        stop_signal: inspected.config.as_ref()?.stop_signal.as_deref().and_then(signal_of),
        node: NodeObserved {
            id,
            mark,
            made_from: labels.get(label::MADE_FROM).cloned().unwrap_or_default(),
            run,
            busy: leaving(&state),
            privileges: labels.get(label::PRIVILEGES).cloned(),
            image: inspected.config.as_ref()?.image.clone(),
            stand_in: labels.get(label::STAND_IN).is_some_and(|value| value == "true"),
            shares_with: shares_with(inspected),
            ended_by_hand_ms: None,
        },
    })
}

/// The engine keeps the id of the container that had the name when this one was made.
fn shares_with(inspected: &ContainerInspectResponse) -> BTreeSet<String> {
    let modes = inspected.host_config.iter().flat_map(|config| [&config.network_mode, &config.pid_mode]);
    modes.flatten().filter_map(|mode| mode.strip_prefix("container:")).map(str::to_owned).collect()
}

/// A signal by its name, with or without `SIG`, or by its number.
fn signal_of(text: &str) -> Option<i32> {
    let by_name = || text.parse().or_else(|_| format!("SIG{text}").parse::<Signal>()).ok().map(|signal| signal as i32);
    text.parse().ok().or_else(by_name)
}

fn run(state: &ContainerState, id: &str) -> RunObserved {
    let started = state.started_at.as_deref().unwrap_or_default();
    if started.is_empty() || started.starts_with("0001-") {
        return RunObserved::Created;
    }
    let start = format!("{}@{started}", id.get(..12).unwrap_or(id));
    if state.running.unwrap_or_default() && !state.restarting.unwrap_or_default() {
        let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        return RunObserved::Running { pid, start, health: health(state) };
    }
    RunObserved::Ended { start, exit: exit(state) }
}

/// A container that somebody is removing can neither be started nor made anew until it is gone.
fn leaving(state: &ContainerState) -> Option<Busy> {
    let is_leaving = state.status == Some(ContainerStateStatusEnum::REMOVING);
    // The engine does not say since when.
    is_leaving.then(|| Busy { doing: "being removed".into(), since_ms: 0, outside: None })
}

fn exit(state: &ContainerState) -> Exit {
    let code = state.exit_code.unwrap_or_default();
    if state.oom_killed.unwrap_or_default() && code != 0 {
        return Exit::OutOfMemory;
    }
    if state.dead.unwrap_or_default() || state.status == Some(ContainerStateStatusEnum::DEAD) {
        return Exit::Lost;
    }
    match code {
        END_NOT_SEEN => Exit::Lost,
        // A shell's convention, and the engine's: 128 and the signal.
        129..=192 => Exit::Signal { signal: i32::try_from(code - 128).unwrap_or_default() },
        _ => Exit::Status { code: i32::try_from(code).unwrap_or(-1) },
    }
}

fn health(state: &ContainerState) -> Option<String> {
    if state.paused.unwrap_or_default() {
        return Some("paused".into());
    }
    match state.health.as_ref()?.status? {
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
        status => Some(status.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(code: i64, oom_killed: bool) -> RunObserved {
        let started_at = Some("2026-01-01T00:00:00Z".to_owned());
        run(
            &ContainerState { exit_code: Some(code), oom_killed: Some(oom_killed), started_at, ..Default::default() },
            "0123456789abcdef",
        )
    }

    fn exit_of(code: i64, oom: bool) -> Exit {
        match ended(code, oom) {
            RunObserved::Ended { exit, .. } => exit,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(exit_of(0, false), Exit::Status { code: 0 });
        assert_eq!(exit_of(3, false), Exit::Status { code: 3 });
        assert_eq!(exit_of(137, false), Exit::Signal { signal: 9 });
        assert_eq!(exit_of(137, true), Exit::OutOfMemory);
        assert_eq!(exit_of(0, true), Exit::Status { code: 0 }, "a child that was killed is no end of the node");
        assert_eq!(exit_of(255, false), Exit::Lost);
        assert_eq!(exit_of(128, false), Exit::Status { code: 128 });
    }

    #[test]
    fn a_container_that_never_started_is_created_whatever_its_exit_code() {
        let started_at = Some("0001-01-01T00:00:00Z".to_owned());
        let state = ContainerState { exit_code: Some(127), started_at, ..Default::default() };
        assert_eq!(run(&state, "0123456789abcdef"), RunObserved::Created);
    }
}
