//! The sandbox against the machine it runs on: what is inside is private, and nothing of it stays.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use archetype_testbed::{
    Datapaths, Engine, EngineOptions, Ovs, Sandbox, eventually, in_sandbox, run, sandbox, scratch, scratch_dir,
};

#[test]
fn a_sandbox_has_only_a_loopback_that_is_up_and_a_run_folder_of_its_own() {
    sandbox(|| {
        let names: Vec<String> = folder("/sys/class/net");
        assert_eq!(names, ["lo"]);
        assert!(run("ip", ["link", "show", "lo"]).contains("LOWER_UP"));
        assert_eq!(folder("/run"), ["lock", "netns", "openvswitch"]);
        assert_ne!(std::process::id(), 1, "PID 1 reaps and does nothing else");
    });
}

#[test]
fn an_orphan_is_reaped_by_the_sandbox() {
    sandbox(|| {
        run("sh", ["-c", "setsid sh -c 'echo $$ > $TMPDIR/orphan; sleep 0.05' >/dev/null 2>&1 &"]);
        let file = std::env::temp_dir().join("orphan");
        let pid = eventually(Duration::from_secs(5), "the orphan tells its number", || {
            std::fs::read_to_string(&file).ok().filter(|text| text.ends_with('\n'))
        });
        let entry = PathBuf::from(format!("/proc/{}", pid.trim()));
        eventually(Duration::from_secs(5), "the orphan is gone, not a zombie", || (!entry.exists()).then_some(()));
    });
}

#[test]
#[should_panic(expected = "a panic, told above")]
fn a_body_that_panics_fails_its_test() {
    sandbox(|| assert!(!in_sandbox(), "this panics on purpose"));
}

#[test]
#[should_panic(expected = "ended after its limit")]
fn a_body_that_hangs_is_ended() {
    Sandbox::new().limit(Duration::from_millis(300)).run(|| std::thread::sleep(Duration::from_secs(60)));
}

#[test]
#[should_panic(expected = "no test of that name ran")]
fn a_name_that_matches_no_test_is_a_failure() {
    Sandbox::new().test_name("there_is_no_such_test").run(|| ());
}

#[test]
fn two_sandboxes_side_by_side_see_nothing_of_each_other() {
    let paths: Vec<PathBuf> = std::thread::scope(|scope| {
        let victims: Vec<_> = (0..2).map(|_| scope.spawn(Victim::start)).collect();
        let victims: Vec<Victim> = victims.into_iter().map(|thread| thread.join().expect("it starts")).collect();
        victims.iter().map(|victim| victim.scratch.clone()).collect()
    });
    assert_ne!(paths[0], paths[1]);
    for path in paths {
        gone(&path);
    }
}

#[test]
fn kill_9_of_a_test_run_leaves_no_process_folder_or_control_group() {
    let victim = Victim::start();
    let scratch = victim.scratch.clone();
    assert!(processes_of(&scratch).len() > 5, "engine, switch and container run");
    assert!(!groups_of(&scratch).is_empty(), "the engine's container has a control group");
    drop(victim);
    gone(&scratch);
}

/// A test run of its own whose only test is the one below; dropping it is `kill -9`.
struct Victim {
    process: std::process::Child,
    scratch: PathBuf,
}

impl Victim {
    fn start() -> Self {
        let told = tempfile::NamedTempFile::new().expect("a file can be made");
        let this = std::env::current_exe().expect("a running program has a path");
        let mut command = Command::new(this);
        command.args(["--exact", "a_victim_builds_a_lot_and_waits_to_be_killed", "--nocapture"]);
        command.env("ARCHETYPE_VICTIM", told.path()).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().expect("this program can be started");
        let scratch = eventually(Duration::from_secs(60), "the victim is ready", || {
            std::fs::read_to_string(told.path()).ok().filter(|text| text.ends_with('\n'))
        });
        Self { process, scratch: PathBuf::from(scratch.trim()) }
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        self.process.kill().expect("our own child can be killed");
        self.process.wait().expect("our own child can be waited for");
    }
}

#[test]
fn a_victim_builds_a_lot_and_waits_to_be_killed() {
    let Some(told) = std::env::var_os("ARCHETYPE_VICTIM") else { return };
    sandbox(|| {
        let ovs = Ovs::start(scratch_dir("ovs"));
        ovs.vsctl(["add-br", "b0", "--", "set", "bridge", "b0", "datapath_type=netdev"]);
        run("ip", ["netns", "add", "n0"]);
        run("ip", ["link", "add", "p0", "type", "veth", "peer", "name", "p1", "netns", "n0"]);
        let engine = Engine::start(scratch_dir("engine"), &[]);
        engine.import_busybox("bb");
        engine.docker(["run", "-d", "--network", "none", "bb", "sleep", "1000"]);
        std::fs::write(&told, format!("{}\n", scratch().display())).expect("the file is there");
        std::thread::sleep(Duration::from_secs(100));
    });
}

#[test]
fn a_switch_takes_ports_and_comes_back_after_a_restart_and_a_kill() {
    sandbox(|| {
        let mut ovs = Ovs::start(scratch_dir("ovs"));
        ovs.vsctl(["add-br", "b0", "--", "set", "bridge", "b0", "datapath_type=netdev"]);
        run("ip", ["link", "add", "p0", "type", "veth", "peer", "name", "p1"]);
        ovs.vsctl(["add-port", "b0", "p0", "tag=7"]);
        let ofport = |ovs: &Ovs| ovs.vsctl(["get", "interface", "p0", "ofport"]).trim().to_owned();
        assert_eq!(ofport(&ovs), "1");
        ovs.restart_vswitchd();
        ovs.kill_vswitchd();
        ovs.start_vswitchd();
        assert_eq!(ofport(&ovs), "1");
        assert!(ovs.tool("ovs-appctl", ["version"]).contains("ovs-vswitchd"));
    });
}

#[test]
fn a_pretended_switch_takes_ports_that_no_kernel_has() {
    sandbox(|| {
        let ovs = Ovs::start_with(scratch_dir("ovs"), Datapaths::Dummy);
        ovs.vsctl(["add-br", "b0"]);
        for number in 0..20 {
            ovs.vsctl(["add-port", "b0", &format!("p{number}")]);
        }
        let ofport = ovs.vsctl(["get", "interface", "p19", "ofport"]);
        assert!(ofport.trim().parse::<i32>().is_ok_and(|number| number > 0), "{ofport}");
        assert_eq!(folder("/sys/class/net"), ["lo"]);
    });
}

#[test]
fn an_engine_runs_containers_and_comes_back_after_a_restart_and_a_kill() {
    sandbox(|| {
        let options = EngineOptions { networks: true, ..EngineOptions::default() };
        let mut engine = Engine::start_with(scratch_dir("engine"), options);
        engine.import_busybox("bb");
        engine.docker(["run", "-d", "--name", "c1", "--stop-timeout", "1", "bb", "sleep", "1000"]);
        let state = |engine: &Engine| engine.docker(["inspect", "-f", "{{.State.Status}}", "c1"]).trim().to_owned();
        assert_eq!(state(&engine), "running");
        engine.restart();
        assert_eq!(state(&engine), "exited");
        engine.docker(["start", "c1"]);
        engine.kill9();
        engine.launch();
        engine.docker(["rm", "-f", "c1"]);
    });
}

fn folder(path: &str) -> Vec<String> {
    let entries = std::fs::read_dir(path).expect("the folder is there");
    let mut names: Vec<String> =
        entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// All processes that were started with this scratch folder in their environment, those of daemons and shims too.
fn processes_of(scratch: &Path) -> Vec<String> {
    let needle = scratch.to_string_lossy().into_owned();
    let mine = std::process::id().to_string();
    let numbers = folder("/proc").into_iter().filter(|name| name.parse::<u32>().is_ok() && *name != mine);
    let holds = |pid: &String, file: &str| {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&text).contains(&needle)
    };
    numbers.filter(|pid| holds(pid, "environ") || holds(pid, "cmdline")).collect()
}

fn groups_of(scratch: &Path) -> Vec<String> {
    let name = scratch.file_name().expect("it has a name").to_string_lossy().into_owned();
    let trees = folder("/sys/fs/cgroup").into_iter().map(|tree| format!("/sys/fs/cgroup/{tree}/{name}"));
    trees.chain([format!("/sys/fs/cgroup/{name}")]).filter(|path| Path::new(path).is_dir()).collect()
}

fn gone(scratch: &Path) {
    eventually(Duration::from_secs(20), "everything of the sandbox is gone", || {
        let gone = processes_of(scratch).is_empty() && !scratch.exists() && groups_of(scratch).is_empty();
        gone.then_some(())
    });
}
