//! `archetype-oci supervise`: the process that stands behind a namespace node's command.
//!
//! It cold boots the node's namespace, starts the command as the first process of a process
//! namespace of its own, and from then on lives beside it: collects its output, passes a wish to
//! end on, and at its end makes the node dead on the wire. It outlives whoever called it; when it
//! is killed itself, the command dies with it, and so it does when its note in the state folder
//! goes: a run that nobody can find is none.
//!
//! ```text
//! archetype-oci supervise --facts FILE --state FOLDER [--bind SOURCE:TARGET[:ro]]…
//!     [--hostname NAME] [--cwd FOLDER] [--log-file FILE] [--stop-timeout SECONDS] -- COMMAND…
//! ```
//!
//! The caller gets its answer (exit status 0, or 1 with words on standard error) when the command
//! has been started. The command inherits the caller's environment. `SIGTERM` to the supervisor
//! ends the command: by `SIGTERM`, and after the time-out by `SIGKILL`; at once by `SIGKILL` when
//! it does not catch `SIGTERM`, which the kernel keeps from a first process that does not.

mod child;
mod log;
mod options;
mod watch;

use std::ffi::OsString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use archetype_model::facts::NamespaceFacts;
use archetype_netns::folder::{self, LOCK_PATIENCE};
use archetype_netns::supervised::{Ended, Process, Started, write_ended, write_started};
use archetype_netns::{Error, Lock, cold_boot, quiesce};
use nix::fcntl::OFlag;
use nix::unistd::{ForkResult, Pid, fork, pipe2, setsid};

pub use options::Options;

/// Carries the verb out; `all` are the words behind it.
pub fn main(all: &[OsString]) -> ExitCode {
    // It lives for as long as its node and outlives who started it. Where it may not ask, it has what that one had.
    let _ = archetype_netns::time_slice::be_usual();
    let options = match Options::parse(all) {
        Ok(options) => options,
        Err(why) => return refuse(&why),
    };
    let (told, tell) = match pipe2(OFlag::O_CLOEXEC) {
        Ok(pipe) => pipe,
        Err(error) => return refuse(&format!("make a pipe: {error}")),
    };
    // SAFETY: the process has one thread.
    match unsafe { fork() } {
        Ok(ForkResult::Parent { .. }) => {
            drop(tell);
            answer(told)
        }
        Ok(ForkResult::Child) => {
            drop(told);
            detached(&options, tell)
        }
        Err(error) => refuse(&format!("fork: {error}")),
    }
}

fn refuse(why: &str) -> ExitCode {
    eprintln!("archetype: {why}");
    ExitCode::FAILURE
}

/// Waits for the supervisor's word: nothing but the end of the pipe means that all is well.
fn answer(told: OwnedFd) -> ExitCode {
    let mut words = String::new();
    match File::from(told).read_to_string(&mut words) {
        Ok(_) if words == "started" => ExitCode::SUCCESS,
        Ok(_) if words.is_empty() => refuse("the supervisor died before it had started the command"),
        Ok(_) => refuse(&words),
        Err(error) => refuse(&error.to_string()),
    }
}

/// The supervisor's whole life.
fn detached(options: &Options, tell: OwnedFd) -> ExitCode {
    let mut tell = File::from(tell);
    match start(options, tell.as_raw_fd()) {
        Ok(mut running) => {
            // The caller may have gone; the command runs all the same.
            let _ = tell.write_all(b"started");
            drop(tell);
            let end = running.watch();
            match running.is_forgotten() {
                // What is in the namespace now may be the next run's.
                true => ExitCode::SUCCESS,
                false => finish(options, end),
            }
        }
        Err(error) => {
            // The namespace may have been booted already; a node that does not run is dead on the wire.
            let _ = silence(options);
            let _ = tell.write_all(error.to_string().as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Detaches, boots the namespace and starts the command.
fn start(options: &Options, keep: i32) -> Result<watch::Running, Error> {
    setsid().map_err(|error| Error::system("leave the caller's session", error))?;
    child::close_others(keep)?;
    let (facts, is_first) = {
        let _lock = Lock::take(&options.facts, LOCK_PATIENCE)?;
        let facts = read_facts(options)?;
        let boot = cold_boot(&facts)?;
        (facts, boot.is_first)
    };
    let signals = watch::Signals::block()?;
    let log = log::Log::open(options.log_file.as_deref())?;
    let started = child::spawn(options, &facts.namespace)?;
    let process = Process::of(started.pid.as_raw());
    let own = Process::of(Pid::this().as_raw());
    let note = process.zip(own).map(|(process, own)| Started {
        process,
        supervisor: own.pid,
        supervisor_start_time: own.start_time,
        is_first,
        started_at: now(),
    });
    started.release()?.map_err(|why| Error::Missing { what: why })?;
    let note = note.ok_or_else(|| Error::Missing { what: "the command's process died while it was made".into() })?;
    write_started(&options.state, &note)?;
    let note = watch::Note::watch(&options.state, note);
    Ok(watch::Running::new(started.pid, started.output, log, signals, note, options.stop_timeout))
}

fn read_facts(options: &Options) -> Result<NamespaceFacts, Error> {
    let absent = || Error::Missing { what: format!("there are no facts at {}", options.facts.display()) };
    folder::read(&options.facts)?.ok_or_else(absent)
}

/// Makes the node dead on the wire and notes how its command ended.
fn finish(options: &Options, end: watch::End) -> ExitCode {
    let quiet = silence(options);
    let ended = Ended {
        code: end.code,
        signal: end.signal,
        oom: end.oom,
        stopped: end.stopped,
        finished_at: now(),
        not_quiet: quiet.err().map(|error| error.to_string()),
    };
    match write_ended(&options.state, &ended) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn silence(options: &Options) -> Result<(), Error> {
    let _lock = Lock::take(&options.facts, LOCK_PATIENCE)?;
    quiesce(&read_facts(options)?)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
