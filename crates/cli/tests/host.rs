//! `host setup` and `host reset` against a Docker Engine of one's own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use archetype_testbed::{Engine, EngineOptions, sandbox, scratch_dir};

/// A machine below a folder, and the runtime that is to get there.
struct Machine {
    root: PathBuf,
    runtime: PathBuf,
    engine: Engine,
}

impl Machine {
    fn with(engine: Engine) -> Self {
        let root = scratch_dir("root");
        let runtime = scratch_dir("built").join("archetype-oci");
        program(&runtime, "0.1.0");
        Self { root, runtime, engine }
    }

    fn host(&self, verb: &str) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_archetype"));
        command.args(["host", verb, "--docker", &self.engine.host(), "--root"]).arg(&self.root);
        if verb == "setup" {
            command.arg("--runtime-binary").arg(&self.runtime);
        }
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    }

    fn installed(&self) -> PathBuf {
        self.root.join("usr/local/libexec/archetype/archetype-oci")
    }

    fn settings(&self) -> String {
        std::fs::read_to_string(self.engine.config()).unwrap()
    }
}

/// A runtime that is runc but for its version.
fn program(path: &Path, version: &str) {
    let text = format!("#!/bin/sh\n[ \"$1\" = archetype-version ] && {{ echo {version}; exit; }}\nexec runc \"$@\"\n");
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn inode(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(path).unwrap().ino()
}

#[test]
fn a_prepared_machine_runs_containers_through_the_runtime_and_is_left_as_it_is() {
    sandbox(|| {
        let machine = Machine::with(Engine::start(scratch_dir("engine"), &[]));
        std::fs::write(machine.engine.config(), "{\n  \"max-concurrent-downloads\": 2\n}\n").unwrap();
        let (code, told) = machine.host("setup");
        assert_eq!(code, 0, "{told}");
        assert!(
            told.contains("installed") && told.contains("registered") && told.contains("read its settings"),
            "{told}"
        );
        assert!(machine.settings().contains("\"max-concurrent-downloads\": 2"));
        machine.engine.import_busybox("bb");
        machine.engine.docker(["run", "--rm", "--runtime", "archetype", "--network", "none", "bb", "true"]);

        let before = (inode(&machine.installed()), inode(&machine.engine.config()), machine.settings());
        let (code, told) = machine.host("setup");
        assert_eq!((code, told.as_str()), (0, "the engine lists the runtime archetype\n"));
        assert_eq!((inode(&machine.installed()), inode(&machine.engine.config()), machine.settings()), before);
    });
}

#[test]
fn a_runtime_in_use_stays_and_the_containers_are_named() {
    sandbox(|| {
        let machine = Machine::with(Engine::start(scratch_dir("engine"), &[]));
        let before = machine.settings();
        assert_eq!(machine.host("setup").0, 0);
        machine.engine.import_busybox("bb");
        machine.engine.docker(["create", "--name", "c1", "--runtime", "archetype", "--network", "none", "bb", "true"]);
        machine.engine.docker(["create", "--name", "c2", "--network", "none", "bb", "true"]);
        let (code, told) = machine.host("reset");
        assert_eq!(code, 1);
        assert!(told.starts_with("error: 1 container of the engine use"), "{told}");
        assert!(told.contains("c1") && !told.contains("c2"), "{told}");
        assert!(machine.installed().exists());

        machine.engine.docker(["rm", "c1"]);
        let (code, told) = machine.host("reset");
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("next restart"), "{told}");
        assert!(!machine.installed().exists());
        assert_eq!(machine.settings(), before);
        assert_eq!(machine.host("reset").0, 0);
    });
}

#[test]
fn settings_that_are_no_json_are_refused_with_their_place_and_left_alone() {
    sandbox(|| {
        let machine = Machine::with(Engine::start(scratch_dir("engine"), &[]));
        std::fs::write(machine.engine.config(), "{\n  \"mtu\": 1400,\n}\n").unwrap();
        let (code, told) = machine.host("setup");
        assert_eq!(code, 1);
        assert!(told.contains(&format!("  at {}:3:1\n", machine.engine.config().display())), "{told}");
        assert_eq!(machine.settings(), "{\n  \"mtu\": 1400,\n}\n");
    });
}

#[test]
fn an_engine_with_runtimes_as_arguments_keeps_its_settings() {
    sandbox(|| {
        let runtimes = vec![("other".to_owned(), PathBuf::from("/usr/sbin/runc"))];
        let options = EngineOptions { runtimes, ..EngineOptions::default() };
        let machine = Machine::with(Engine::start_with(scratch_dir("engine"), options));
        let before = machine.settings();
        let (code, told) = machine.host("setup");
        assert_eq!(code, 1);
        assert!(told.contains("hint: start dockerd with --add-runtime archetype="), "{told}");
        assert_eq!(machine.settings(), before);
    });
}

#[test]
fn a_newer_runtime_is_never_replaced() {
    sandbox(|| {
        let machine = Machine::with(Engine::start(scratch_dir("engine"), &[]));
        assert_eq!(machine.host("setup").0, 0);
        program(&machine.installed(), "0.2.0");
        let (code, told) = machine.host("setup");
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("is newer (0.2.0) and stays"), "{told}");
    });
}

#[test]
fn without_an_engine_the_registration_waits_for_it() {
    sandbox(|| {
        let mut machine = Machine::with(Engine::start(scratch_dir("engine"), &[]));
        machine.engine.stop();
        let (code, told) = machine.host("setup");
        assert_eq!(code, 1);
        assert!(told.contains("no Docker Engine answers"), "{told}");
        let settings = std::fs::read_to_string(machine.root.join("etc/docker/daemon.json")).unwrap();
        assert!(settings.contains(&*machine.installed().to_string_lossy()), "{settings}");
        assert_eq!(machine.host("reset").0, 1);
    });
}
