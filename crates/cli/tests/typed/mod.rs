//! `archetype` as somebody types it on a machine where nothing serves: what it prints, and how it ends. Knows no lab.

use std::path::Path;
use std::process::{Command, Stdio};

/// What a command printed, and how it ended.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub err: String,
}

/// Runs `archetype` in a directory with these variables, and with nothing else of this shell's environment.
pub fn archetype(directory: &Path, variables: &[(&str, &str)], arguments: &[&str]) -> Ended {
    let output = Command::new("timeout")
        .args(["60", env!("CARGO_BIN_EXE_archetype")])
        .args(arguments)
        .current_dir(directory)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A folder with this text as its only topology file.
pub fn written(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x.clab.yml"), text).unwrap();
    folder
}
