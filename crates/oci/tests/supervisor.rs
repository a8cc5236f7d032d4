//! The supervisor of namespace nodes, with real commands.

#![allow(clippy::unwrap_used)] // a test has nobody to hand an error to

mod node;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use archetype_model::facts::NamespaceFacts;
use archetype_netns::enter::Entry;
use archetype_netns::folder;
use archetype_netns::supervised::{self, Ended, Started};
use archetype_testbed::{eventually, run, sandbox, scratch_dir};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use node::{facts, made, up};

const RUNTIME: &str = env!("CARGO_BIN_EXE_archetype-oci");
const SOON: Duration = Duration::from_secs(10);

fn prepared() -> (PathBuf, NamespaceFacts) {
    let facts = facts("n1", 2);
    made(&facts);
    folder::write(&state().join("facts.json"), &facts).unwrap();
    (state(), facts)
}

fn state() -> PathBuf {
    scratch_dir("state")
}

/// Runs the verb with more options and gives what it said.
fn supervise(options: &[&str], command: &[&str]) -> Result<Started, String> {
    let state = state();
    let mut supervise = Command::new(RUNTIME);
    supervise.arg("supervise").arg("--facts").arg(state.join("facts.json")).arg("--state").arg(&state);
    supervise.arg("--log-file").arg(state.join("log")).args(options).arg("--").args(command);
    let output = supervise.env("NODE_COLOUR", "blue").stdin(Stdio::null()).output().unwrap();
    match output.status.success() {
        true => Ok(supervised::started(&state).unwrap().unwrap()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

fn ended() -> Ended {
    eventually(SOON, "the end is noted", || supervised::ended(&state()).unwrap())
}

fn log() -> String {
    std::fs::read_to_string(state().join("log")).unwrap_or_default()
}

#[test]
fn a_command_is_the_first_process_of_a_node_with_its_interfaces_and_name() {
    sandbox(|| {
        prepared();
        let script =
            "echo pid $$; hostname; ls /sys/class/net; ls -d /proc/[0-9]* | wc -l; echo $NODE_COLOUR; pwd; exit 7";
        supervise(&["--hostname", "router", "--cwd", "/tmp"], &["sh", "-c", script]).unwrap();
        let ended = ended();
        assert_eq!(
            (ended.code, ended.signal, ended.oom, ended.stopped, ended.not_quiet),
            (Some(7), None, false, false, None)
        );
        let lines = log();
        assert!(lines.starts_with("pid 1\nrouter\neth1\neth2\nlo\n") && lines.ends_with("\nblue\n/tmp\n"), "{lines}");
        assert_eq!(up("n1"), Vec::<String>::new());
    });
}

#[test]
fn a_stop_is_passed_on_and_one_that_does_not_listen_is_killed() {
    sandbox(|| {
        prepared();
        let started =
            supervise(&[], &["sh", "-c", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"])
                .unwrap();
        assert!(started.process.is_running() && started.is_first);
        eventually(SOON, "the trap is set", || log().contains("ready").then_some(()));
        assert_eq!(up("n1"), ["eth1", "eth2", "lo"]);
        kill(Pid::from_raw(started.supervisor), Signal::SIGTERM).unwrap();
        let end = ended();
        assert_eq!((end.code, end.stopped), (Some(3), true));
        assert!(log().ends_with("bye\n") && up("n1").is_empty());

        // A first process without a handler never sees SIGTERM: no time-out is waited for.
        let started = supervise(&["--stop-timeout", "60"], &["sleep", "1000"]).unwrap();
        assert!(!started.is_first && supervised::ended(&state()).unwrap().is_none());
        kill(Pid::from_raw(started.supervisor), Signal::SIGTERM).unwrap();
        assert_eq!(ended().signal, Some(9));

        // One that catches it and goes on is killed after the time-out.
        let started =
            supervise(&["--stop-timeout", "1"], &["sh", "-c", "trap : TERM; while :; do sleep 0.05; done"]).unwrap();
        kill(Pid::from_raw(started.supervisor), Signal::SIGTERM).unwrap();
        assert_eq!((ended().signal, ended().stopped), (Some(9), true));
    });
}

#[test]
fn the_command_dies_with_its_supervisor_and_not_with_the_caller() {
    sandbox(|| {
        prepared();
        let started = supervise(&[], &["sh", "-c", "sleep 1000 & sleep 1000"]).unwrap();
        // The caller of `supervise` has ended by now.
        std::thread::sleep(Duration::from_millis(100));
        assert!(started.process.is_running());
        kill(Pid::from_raw(started.supervisor), Signal::SIGKILL).unwrap();
        eventually(SOON, "the command is gone", || (!started.process.is_running()).then_some(()));
        assert_eq!(supervised::ended(&state()).unwrap(), None);
    });
}

#[test]
fn a_run_whose_note_is_taken_away_ends_and_leaves_what_comes_after_it_alone() {
    sandbox(|| {
        let (state, _) = prepared();
        let first = supervise(&[], &["sh", "-c", "trap '' TERM; sleep 1000 & wait; sleep 1000"]).unwrap();
        let is_over = |run: &Started| {
            let own = supervised::Process { pid: run.supervisor, start_time: run.supervisor_start_time };
            (!run.process.is_running() && !own.is_running()).then_some(())
        };
        assert!(is_over(&first).is_none());
        std::fs::remove_file(state.join("pid.json")).unwrap();
        eventually(SOON, "command and supervisor are gone", || is_over(&first));
        assert_eq!(supervised::ended(&state).unwrap(), None, "nobody asks how it ended");

        // The next run replaces the note of the one before it, were that still there.
        let second = supervise(&[], &["sleep", "1000"]).unwrap();
        let third = supervise(&[], &["sleep", "1000"]).unwrap();
        eventually(SOON, "of two runs the later one stays", || is_over(&second));
        assert!(is_over(&third).is_none() && !up("n1").is_empty(), "the node is on the wire");
        kill(Pid::from_raw(third.supervisor), Signal::SIGTERM).unwrap();
        assert!(ended().stopped);
    });
}

#[test]
fn what_cannot_be_started_is_told_and_leaves_the_node_dead_on_the_wire() {
    sandbox(|| {
        let error = supervise(&[], &["true"]).unwrap_err();
        assert!(error.contains("there are no facts at"), "{error}");
        let (_, facts) = prepared();
        let error = supervise(&[], &["/no/such/program"]).unwrap_err();
        assert!(error.contains("run /no/such/program: No such file or directory"), "{error}");
        assert!(up("n1").is_empty());
        let error = supervise(&["--bind", "/etc:/no/such/folder"], &["true"]).unwrap_err();
        assert!(error.contains("the target /no/such/folder of a bind cannot be used"), "{error}");
        archetype_netns::pin::unpin(&facts.namespace).unwrap();
        let error = supervise(&[], &["true"]).unwrap_err();
        assert!(error.contains("is not a network namespace"), "{error}");
        assert_eq!(supervised::started(&state()).unwrap(), None);
    });
}

#[test]
fn binds_are_seen_by_the_node_and_not_by_the_host() {
    sandbox(|| {
        prepared();
        let ours = scratch_dir("ours");
        std::fs::write(ours.join("file"), "ours\n").unwrap();
        std::fs::write("/run/target", "the host's\n").unwrap();
        std::fs::create_dir_all("/run/folder").unwrap();
        let file = format!("{}/file:/run/target:ro", ours.display());
        let folder = format!("{}:/run/folder", ours.display());
        let script = "cat /run/target /run/folder/file; echo x > /run/target; echo new > /run/folder/new; true";
        supervise(&["--bind", &file, "--bind", &folder], &["sh", "-c", script]).unwrap();
        assert_eq!(ended().code, Some(0));
        let lines = log();
        assert!(lines.starts_with("ours\nours\n") && lines.contains("Read-only file system"), "{lines}");
        assert_eq!(std::fs::read_to_string("/run/target").unwrap(), "the host's\n");
        assert_eq!(std::fs::read_to_string(ours.join("new")).unwrap(), "new\n");
        assert_eq!(std::fs::read_dir("/run/folder").unwrap().count(), 0);
        let error = supervise(&["--bind", "/no/such:/run/target"], &["true"]).unwrap_err();
        assert!(error.contains("the source /no/such of a bind cannot be used"), "{error}");
    });
}

#[test]
fn a_command_that_is_run_inside_shares_the_nodes_processes_network_and_name() {
    sandbox(|| {
        prepared();
        let started = supervise(&["--hostname", "router"], &["sleep", "1000"]).unwrap();
        let entry = Entry::of_process(started.process.pid).unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "hostname; ls /sys/class/net | tr '\\n' ' '; cat /proc/1/comm; pwd; echo self $$; exit 5"]);
        command.stdout(Stdio::piped());
        let output = entry.spawn(command, Path::new("/tmp"), false, None).unwrap().wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(5));
        assert!(text.starts_with("router\neth1 eth2 lo sleep\n/tmp\nself "), "{text}");
        let own: u32 = text.trim().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(own < 20, "{text}");
        let error = entry.spawn(Command::new("/no/such"), Path::new("/"), false, None).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        kill(Pid::from_raw(started.supervisor), Signal::SIGTERM).unwrap();
        ended();
    });
}

#[test]
#[ignore = "prints times, claims none"]
fn times() {
    sandbox(|| {
        prepared();
        for _ in 0..5 {
            let begun = std::time::Instant::now();
            let started = supervise(&[], &["sleep", "1000"]).unwrap();
            let up = begun.elapsed();
            kill(Pid::from_raw(started.supervisor), Signal::SIGTERM).unwrap();
            ended();
            eprintln!("start {up:?}, start and stop {:?}", begun.elapsed());
        }
        let memory = run("sh", ["-c", "grep -h VmRSS /proc/self/status"]);
        eprintln!("{memory}");
    });
}
