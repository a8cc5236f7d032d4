//! Settings as every command takes them: who goes before whom, and that no command goes by settings that are wrong.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on is to fail")]

mod typed;

use typed::{archetype, written};

#[test]
fn a_flag_goes_before_a_variable_and_a_variable_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    std::fs::write(&file, "socket = \"/nonexistent/file.sock\"\n").unwrap();
    let named = [("ARCHETYPE_CONFIG", file.to_str().unwrap())];
    let variable = [named[0], ("ARCHETYPE_SOCKET", "/nonexistent/variable.sock")];
    let asked = |variables: &[(&str, &str)], arguments: &[&str]| {
        let ended = archetype(folder.path(), variables, arguments);
        assert_eq!(ended.code, 1, "{}", ended.err);
        ended.err.split_once("/nonexistent/").unwrap().1.split(".sock").next().unwrap().to_owned()
    };
    assert_eq!(asked(&variable, &["inspect", "--socket", "/nonexistent/flag.sock"]), "flag");
    assert_eq!(asked(&variable, &["inspect"]), "variable");
    assert_eq!(asked(&named, &["inspect"]), "file");
    // A file that is named goes before one of the variable.
    let other = folder.path().join("t.toml");
    std::fs::write(&other, "socket = \"/nonexistent/other.sock\"\n").unwrap();
    assert_eq!(asked(&named, &["--config", other.to_str().unwrap(), "inspect"]), "other");
}

/// Each command that speaks to a controller or changes this machine: below the test's folder, should it be run after all.
const BY_SETTINGS: [&[&str]; 14] = [
    &["serve", "--data", "data", "--socket", "serve.sock", "--listen", "none"],
    &["plan"],
    &["deploy"],
    &["destroy", "lab"],
    &["inspect"],
    &["exec", "lab", "n", "true"],
    &["logs", "lab", "n"],
    &["node", "lab", "n", "stop"],
    &["link", "lab", "down", "n:eth1"],
    &["journal"],
    &["explain", "lab", "n:eth1"],
    &["reconcile", "lab"],
    &["host", "setup", "--root", "."],
    &["host", "reset", "--root", "."],
];

#[test]
fn no_command_goes_by_settings_that_are_wrong_and_all_that_is_wrong_is_told() {
    let folder =
        written("name: x\ntopology:\n  nodes:\n    a: {kind: linux, labels: {archetype.runtime: namespace}}\n");
    let wrong = "sokcet = \"/x\"\ndocker = \"tcp:x\"\nartefacts = true\ntags = \"9-5\"\n";
    std::fs::write(folder.path().join("wrong.toml"), wrong).unwrap();
    std::fs::write(folder.path().join("no.toml"), "socket = \n").unwrap();
    std::fs::write(folder.path().join("binary.toml"), b"\xff\xfe").unwrap();
    std::fs::create_dir(folder.path().join("folder.toml")).unwrap();
    let told = |file: &str| match file {
        "wrong.toml" => vec![
            "no setting \"sokcet\"",
            "did you mean \"socket\"?",
            "\"tcp:x\" is no unix",
            "artefacts must be",
            "9-5",
        ],
        "no.toml" => vec!["this is not TOML"],
        _ => vec!["cannot be read"],
    };
    for command in BY_SETTINGS {
        for file in ["wrong.toml", "no.toml", "binary.toml", "folder.toml", "gone.toml"] {
            // What is said on the line does not make the file right.
            let line = [&["--config", file][..], command].concat();
            let ended = archetype(folder.path(), &[], &line);
            let by_variable = archetype(folder.path(), &[("ARCHETYPE_CONFIG", file)], command);
            for ended in [ended, by_variable] {
                assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{line:?}: {}", ended.err);
                told(file).iter().for_each(|words| assert!(ended.err.contains(words), "{line:?}: {}", ended.err));
            }
        }
    }
}

#[test]
fn commands_that_need_no_settings_stay_usable_with_wrong_ones() {
    let folder =
        written("name: x\ntopology:\n  nodes:\n    a: {kind: linux, labels: {archetype.runtime: namespace}}\n");
    for words in [&["check"][..], &["kinds", "linux"], &["completions", "bash"], &["man", "."], &["deploy", "--help"]] {
        let ended = archetype(folder.path(), &[], &[&["--config", "gone.toml"][..], words].concat());
        assert_eq!((ended.code, ended.err.as_str()), (0, ""), "{words:?}");
    }
    let ended = archetype(folder.path(), &[], &["--config", "gone.toml", "version"]);
    assert_eq!(ended.code, 0, "{}", ended.err);
    assert!(ended.out.ends_with("controller  not asked: the settings cannot be used\n"), "{}", ended.out);
    assert!(ended.err.contains("gone.toml cannot be read"), "{}", ended.err);
}
