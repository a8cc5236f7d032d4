//! What shells complete: bash itself is asked, and of the others the question that their script has the shell ask.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

use std::path::Path;
use std::process::Command;

/// The program, with nothing of this shell's environment.
fn archetype() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_archetype"));
    command.env_clear().env("ARCHETYPE_SOCKET", "/nonexistent/archetype.sock");
    command
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn script(shell: &str) -> String {
    output(archetype().args(["completions", shell]))
}

/// The commands that the help lists.
fn commands() -> Vec<String> {
    let help = output(archetype().arg("--help"));
    let (_, listed) = help.split_once("Commands:\n").unwrap();
    let (listed, _) = listed.split_once("\n\n").unwrap();
    let names: Vec<String> = listed.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect();
    assert!(names.len() > 15 && names.contains(&"deploy".to_owned()), "{names:?}");
    names
}

/// What a bash with the script offers for a line whose last word is being typed.
fn completed(line: &[&str]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let script = script("bash");
    std::fs::write(folder.path().join("script"), script).unwrap();
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_archetype"), folder.path().join("archetype")).unwrap();
    let ask = format!(
        "source {0}/script; COMP_WORDS=({1}); COMP_CWORD={2}; COMP_TYPE=9; \
         COMP_LINE=\"${{COMP_WORDS[*]}}\"; COMP_POINT=${{#COMP_LINE}}; \
         $(complete -p archetype | sed 's/.*-F \\([^ ]*\\).*/\\1/') archetype '{3}' x; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        folder.path().display(),
        line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
        line.len() - 1,
        line.last().unwrap(),
    );
    let path = format!("{}:/usr/bin:/bin", folder.path().display());
    let output = Command::new("bash").args(["-c", &ask]).env_clear().env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(|line| line.trim().to_string()).collect()
}

/// What a shell with the script offers for a line whose last word is being typed, asked as the script asks.
fn asked(shell: &str, line: &[&str]) -> Vec<String> {
    let mut command = archetype();
    command.env("ARCHETYPE_COMPLETE", shell).arg("--").args(line);
    // fish and PowerShell give the line as far as the word; the others say which word it is.
    if ["zsh", "elvish"].contains(&shell) {
        command.env("_CLAP_COMPLETE_INDEX", (line.len() - 1).to_string()).env("_CLAP_IFS", "\n");
    }
    let offered = output(&mut command);
    offered.lines().map(|line| line.split(['\t', ':']).next().unwrap().to_owned()).collect()
}

const OTHERS: [&str; 4] = ["zsh", "fish", "elvish", "powershell"];

#[test]
fn a_script_is_of_its_shell_and_asks_this_program() {
    for (shell, first) in [
        ("zsh", "#compdef archetype"),
        ("fish", "complete --keep-order --exclusive --command archetype --arguments"),
        ("elvish", "\nset edit:completion:arg-completer[archetype] = {"),
        ("powershell", "\nRegister-ArgumentCompleter -Native -CommandName archetype -ScriptBlock {"),
    ] {
        let script = script(shell);
        assert!(script.starts_with(first), "{shell}: {script}");
        assert!(script.contains("archetype -- ") && script.contains("ARCHETYPE_COMPLETE"), "{shell}: {script}");
        let opened = |open: char, close: char| script.matches(open).count() == script.matches(close).count();
        assert!(opened('{', '}') && opened('[', ']'), "{shell}: {script}");
    }
}

/// Each shell that this machine has reads the script without complaint.
#[test]
fn a_shell_that_is_here_reads_its_script() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let file = folder.path().join(shell);
        std::fs::write(&file, script(shell)).unwrap();
        let is_here = ["/usr/bin", "/bin"].iter().any(|place| Path::new(place).join(shell).exists());
        assert!(is_here || shell != "bash", "the tests need bash");
        if is_here {
            output(Command::new(shell).arg("-n").arg(&file));
        }
    }
}

#[test]
fn every_command_is_completed_in_every_shell() {
    for command in commands() {
        assert!(completed(&["archetype", &command]).contains(&command), "bash: {command}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        let (_, named) = script.split_once("# Completes archetype: ").unwrap();
        let named: Vec<&str> = named.split_whitespace().chain(["help"]).collect();
        assert_eq!(named, commands(), "{shell}");
    }
    for shell in OTHERS {
        let offered = asked(shell, &["archetype", ""]);
        let missing: Vec<String> = commands().into_iter().filter(|command| !offered.contains(command)).collect();
        assert!(missing.is_empty(), "{shell} does not offer {missing:?}: {offered:?}");
    }
}

#[test]
fn pressing_tab_offers_commands_and_wishes() {
    assert_eq!(completed(&["archetype", "des"]), ["destroy"]);
    assert_eq!(completed(&["archetype", "node", "lab", "r1", "st"]), ["start", "stop"]);
    assert_eq!(completed(&["archetype", "inspect", "--format", ""]), ["table", "json"]);
    for shell in OTHERS {
        assert_eq!(asked(shell, &["archetype", "des"]), ["destroy"], "{shell}");
        assert_eq!(asked(shell, &["archetype", "node", "lab", "r1", "st"]), ["start", "stop"], "{shell}");
        assert_eq!(asked(shell, &["archetype", "inspect", "--format", ""]), ["table", "json"], "{shell}");
    }
}

#[test]
fn a_shell_can_complete_the_name_of_a_kind() {
    for (typed, whole) in [("cisco_csr", "cisco_csr1000v"), ("vr-vm", "vr-vmx")] {
        assert_eq!(completed(&["archetype", "kinds", typed]), [whole]);
        assert!(OTHERS.iter().all(|shell| asked(shell, &["archetype", "kinds", typed]) == [whole]), "{typed}");
    }
    let help = output(archetype().args(["kinds", "--help"]));
    assert!(!help.contains("cisco_csr1000v"), "{help}");
}
