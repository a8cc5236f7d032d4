//! The commands against a real `serve` with a real Open vSwitch: nodes are namespaces.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use archetype_testbed::{Ovs, eventually, in_sandbox, sandbox, scratch_dir};
use nix::sys::signal::Signal;
use serde_json::Value;

const ARCHETYPE: &str = env!("CARGO_BIN_EXE_archetype");
const START: Duration = Duration::from_secs(20);

/// Two wires in a row, without any image.
const ROW: &str = "\
name: row
topology:
  defaults:
    kind: linux
    labels: {archetype.runtime: namespace}
  nodes:
    a: {}
    b: {cmd: \"sh -c 'echo hello from b; sleep 1000'\"}
    c: {}
  links:
    - endpoints: [\"a:eth1\", \"b:eth1\"]
    - endpoints: [\"b:eth2\", \"c:eth1\"]
";

/// A machine with Open vSwitch and a controller that serves.
struct Machine {
    ovs: Ovs,
    serve: Child,
    folder: PathBuf,
}

/// What a command printed, and how it ended.
#[derive(Debug)]
struct Ended {
    code: i32,
    out: String,
    err: String,
}

impl Ended {
    #[track_caller]
    fn fine(self) -> Self {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn json(self) -> Value {
        let ended = self.fine();
        serde_json::from_str(&ended.out).unwrap()
    }
}

impl Machine {
    fn start() -> Self {
        let ovs = Ovs::start(scratch_dir("ovs"));
        let folder = scratch_dir("labs");
        std::fs::write(folder.join("row.clab.yml"), ROW).unwrap();
        let log = std::fs::File::create(folder.join("serve.log")).unwrap();
        let serve = Command::new(ARCHETYPE)
            .args(["serve", "--docker", "none", "--hosts-file", "none", "--host", "h1", "--listen", "none"])
            .args(["--ovsdb", &ovs.target(), "--data"])
            .arg(scratch_dir("data"))
            .stderr(log)
            .spawn()
            .unwrap();
        let machine = Self { ovs, serve, folder };
        eventually(START, "serve answers", || (machine.archetype(&["inspect"]).code == 0).then_some(()));
        machine
    }

    fn archetype(&self, arguments: &[&str]) -> Ended {
        self.fed(arguments, "")
    }

    /// Runs a command that reads `input`.
    fn fed(&self, arguments: &[&str], input: &str) -> Ended {
        let mut command = Command::new(ARCHETYPE);
        command.args(arguments).current_dir(&self.folder).env("NO_COLOR", "1");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // A command that reads nothing may be gone by now.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
    }
}

impl Machine {
    /// What a bash on a terminal shows while this is typed.
    fn typed(&self, text: &str) -> String {
        let path = Path::new(ARCHETYPE).parent().unwrap().display().to_string();
        let mut command = Command::new("script");
        command.args(["-qec", "bash --norc --noprofile -i", "/dev/null"]).current_dir(&self.folder);
        command.env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap())).env("TERM", "dumb");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(text.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(input);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", std::fs::read_to_string(self.folder.join("serve.log")).unwrap_or_default());
        }
        // What it leaves ends with the sandbox.
        let _ = self.serve.kill();
        let _ = self.serve.wait();
    }
}

/// Namespace nodes are started by the runtime's binary, which lies beside `archetype`.
fn on_a_machine(test: impl FnOnce(Machine)) {
    if !in_sandbox() {
        build_the_runtime();
    }
    sandbox(|| test(Machine::start()));
}

/// Cargo builds the binaries of one package for its tests; the runtime is of another. Unless somebody says that it is
/// built (`ARCHETYPE_TEST_BUILT`).
fn build_the_runtime() {
    if std::env::var_os("ARCHETYPE_TEST_BUILT").is_some() {
        return;
    }
    let profile = Path::new(ARCHETYPE).parent().unwrap();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--package", "archetype-oci"]).env("CARGO_TARGET_DIR", profile.parent().unwrap());
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap().success());
}

#[test]
fn a_file_becomes_a_lab_that_is_up_and_the_same_file_changes_nothing() {
    on_a_machine(|machine| {
        let plan = machine.archetype(&["plan"]).fine().out;
        assert!(
            plan.contains("+ add node a\n") && plan.ends_with("row: 5 changes, 0 nodes and 0 links untouched\n"),
            "{plan}"
        );
        let deployed = machine.archetype(&["deploy", "--wait", "30s"]).fine();
        assert!(deployed.out.starts_with("row is up  (revision 1, "), "{}", deployed.out);
        assert!(deployed.err.contains("row: up  nodes 3/3  links 2/2"), "{}", deployed.err);
        let again = machine.archetype(&["apply", "-t", "row.clab.yml", "-f", "json"]).json();
        assert_eq!(again["labs"][0]["revision"], 1);
        let plan = machine.archetype(&["plan"]).fine().out;
        assert_eq!(plan, "row: nothing would change, 3 nodes and 2 links untouched\n");

        let inspected = machine.archetype(&["inspect", "row", "--format", "json"]).json();
        let lab = &inspected["labs"][0];
        assert_eq!((&lab["name"], &lab["state"]), (&"row".into(), &"up".into()));
        let node = &lab["nodes"][0];
        for key in ["name", "kind", "runtime", "host", "state", "image", "management"] {
            assert!(node.as_object().unwrap().contains_key(key), "{key}: {node}");
        }
        let link = &lab["links"][0];
        assert_eq!(link["actual_state"], "up");
        for key in ["id", "reason", "last_verified_at"] {
            assert!(link.as_object().unwrap().contains_key(key), "{key}: {link}");
        }
        for key in ["node", "interface", "linux_interface", "vendor_interface", "ovs_port", "vlan_tag"] {
            assert!(link["endpoints"][0].as_object().unwrap().contains_key(key), "{key}: {link}");
        }

        let explained = machine.archetype(&["explain", "row", "a:eth1"]).fine().out;
        assert!(explained.starts_with("row a:eth1--b:eth1 is up") && explained.contains("ovs-vsctl"), "{explained}");
        assert_eq!(machine.archetype(&["destroy"]).fine().out, "row is gone\n");
        assert_eq!(machine.archetype(&["inspect"]).fine().out, "there are no labs\n");
    });
}

#[test]
fn a_command_in_a_node_reads_writes_and_ends_as_it_would_here() {
    on_a_machine(|machine| {
        machine.archetype(&["deploy"]).fine();
        let ended = machine.archetype(&["exec", "row", "a", "--", "sh", "-c", "echo out; echo err >&2; exit 7"]);
        assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (7, "out\n", "err\n"));
        let ended = machine.fed(&["exec", "-i", "row.clab.yml", "a", "wc", "-c"], &"x".repeat(100_000));
        assert_eq!((ended.code, ended.out.trim()), (0, "100000"));
        let ended = machine.archetype(&["exec", "-e", "WORD=hello", "row", "a", "--", "sh", "-c", "echo $WORD"]);
        assert_eq!(ended.fine().out, "hello\n");
        assert_eq!(machine.archetype(&["logs", "row", "b"]).fine().out, "hello from b\n");

        let line = format!("{ARCHETYPE} exec -it row a -- sh -c 'tty; stty size'");
        let script =
            Command::new("script").args(["-qec", &format!("stty rows 33 cols 77; {line}"), "/dev/null"]).output();
        let shown = String::from_utf8_lossy(&script.unwrap().stdout).into_owned();
        assert!(shown.contains("/dev/") && shown.contains("33 77"), "{shown}");
    });
}

#[test]
fn pressing_tab_in_a_real_shell_completes_ends_of_links_behind_their_colon() {
    on_a_machine(|machine| {
        machine.archetype(&["deploy"]).fine();
        machine.archetype(&["completions", "bash"]).fine();
        // What is typed: each line is run once Tab has completed it. `c` has one link.
        let typed = "source <(archetype completions bash)\n\
                     archetype explain row c\t\n\
                     archetype explain row c:e\t\n\
                     archetype link row down c:\t --no-wait\n\
                     archetype link row add c\teth7 b:eth8 --no-wait\n\
                     exit\n";
        let shown = machine.typed(typed);
        let proven = shown.matches("row b:eth2--c:eth1 is up").count();
        assert_eq!(proven, 2, "{shown}");
        let journal = machine.archetype(&["journal", "row"]).fine().out;
        assert!(journal.contains("down wanted"), "{journal}\n{shown}");
        assert!(journal.contains("c:eth7") || journal.contains("eth7--"), "{journal}\n{shown}");
    });
}

#[test]
fn a_name_that_is_not_known_is_answered_with_a_close_one() {
    on_a_machine(|machine| {
        machine.archetype(&["deploy"]).fine();
        for (arguments, offered) in [
            (&["inspect", "rowe"][..], "did you mean row?"),
            (&["exec", "row", "A", "true"], "did you mean a?"),
            (&["explain", "row", "a:eth11"], "did you mean a:eth1?"),
            (&["node", "row", "bb", "stop"], "did you mean b?"),
        ] {
            let ended = machine.archetype(arguments);
            assert_eq!(ended.code, 1);
            assert!(ended.err.ends_with(&format!("  hint: {offered}\n")), "{arguments:?}: {}", ended.err);
        }
    });
}

#[test]
fn a_wish_for_a_node_is_kept_and_drift_reaches_the_journal() {
    on_a_machine(|machine| {
        machine.archetype(&["deploy"]).fine();
        assert_eq!(machine.archetype(&["node", "row", "c", "stop"]).fine().out, "c is stopped\n");
        let state =
            || machine.archetype(&["inspect", "row", "-f", "json"]).json()["labs"][0]["nodes"][2]["state"].clone();
        eventually(START, "c is stopped", || (state() == "stopped").then_some(()));
        machine.archetype(&["deploy"]).fine();
        assert_eq!(state(), "stopped", "the wish is kept");
        machine.archetype(&["node", "row", "c", "start"]).fine();
        eventually(START, "c runs", || (state() == "running").then_some(()));

        let ports = machine.ovs.vsctl(["list-ports", "arch-ovs"]);
        machine.ovs.vsctl(["set", "port", ports.lines().next().unwrap(), "tag=999"]);
        let journal = eventually(START, "the repair is in the journal", || {
            let told = machine.archetype(&["journal", "row"]).fine().out;
            told.contains("repair").then_some(told)
        });
        assert!(journal.lines().next().unwrap().contains("deployed from"), "{journal}");
    });
}

#[test]
fn what_does_not_converge_in_time_ends_with_3_and_goes_on() {
    on_a_machine(|machine| {
        machine.ovs.signal_vswitchd(Signal::SIGSTOP);
        let ended = machine.archetype(&["deploy", "--wait", "1s"]);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.err.contains("error: row is not as wished after 1s"), "{}", ended.err);
        assert!(ended.out.starts_with("row is "), "{}", ended.out);
        machine.ovs.signal_vswitchd(Signal::SIGCONT);
        machine.archetype(&["deploy", "--wait", "30s"]).fine();
    });
}

#[test]
fn what_cannot_run_is_refused_whole_unless_it_is_left_out() {
    on_a_machine(|machine| {
        let file = machine.folder.join("part.clab.yml");
        let text =
            ROW.replace("name: row", "name: part") + "    - type: dummy\n      endpoint: {node: a, interface: eth5}\n";
        std::fs::write(file, text).unwrap();
        let refused = machine.archetype(&["deploy", "-t", "part.clab.yml"]);
        assert_eq!(refused.code, 1);
        assert!(refused.err.contains("[not-runnable-dummy-link]\n  at part.clab.yml:13:7\n"), "{}", refused.err);
        assert_eq!(machine.archetype(&["inspect"]).fine().out, "there are no labs\n");
        assert_eq!(machine.archetype(&["plan", "-t", "part.clab.yml"]).code, 1);

        let deployed = machine.archetype(&["deploy", "-t", "part.clab.yml", "--partial"]).fine();
        assert!(deployed.out.contains("left out: link "), "{}", deployed.out);
        machine.archetype(&["destroy", "-t", "part.clab.yml"]).fine();
    });
}

#[test]
fn without_a_name_one_of_several_files_must_be_named() {
    on_a_machine(|machine| {
        std::fs::write(machine.folder.join("other.clab.yml"), ROW.replace("row", "other")).unwrap();
        let ended = machine.archetype(&["deploy"]);
        assert_eq!(ended.code, 2);
        assert!(ended.err.contains("other.clab.yml, row.clab.yml"), "{}", ended.err);
        machine.archetype(&["deploy", "-t", "row.clab.yml"]).fine();
        machine.archetype(&["deploy", "-t", "other.clab.yml"]).fine();
        let both = machine.archetype(&["inspect"]).fine().out;
        assert!(both.contains("row ") && both.contains("other "), "{both}");
    });
}
