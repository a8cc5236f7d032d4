//! Settings: who goes before whom, and that nothing wrong stays untold.

use std::path::Path;

use clap::CommandFactory;

use super::*;
use crate::args::Cli;

fn gathered(flags: &[&str], file: Option<&Path>) -> Settings {
    let line = ["archetype", "serve"].iter().chain(flags);
    let matches = Cli::command().try_get_matches_from(line).unwrap();
    Settings::gather(matches.subcommand().unwrap().1, file)
}

fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("archetype.toml");
    std::fs::write(&file, text).unwrap();
    (folder, file)
}

#[test]
fn the_defaults_are_those_of_the_documents() {
    let (_folder, file) = written("");
    let args = gathered(&["--host", "h"], Some(&file)).serve().unwrap();
    assert_eq!(args.data, Path::new("/var/lib/archetype"));
    assert_eq!(args.socket, Path::new("/run/archetype/archetype.sock"));
    assert_eq!(args.listen.unwrap().to_string(), "127.0.0.1:7070");
    assert_eq!(args.bridge.as_str(), "arch-ovs");
    assert_eq!(args.ovsdb.to_string(), "unix:/run/openvswitch/db.sock");
    assert_eq!(args.docker.unwrap(), Path::new("/var/run/docker.sock"));
    assert_eq!(args.docker_runtime, "archetype");
    assert_eq!(args.mgmt_network.as_str(), "clab");
    assert_eq!((args.tags.0.get(), args.tags.1.get()), (1, 4094));
    assert_eq!(args.probe_interval, None);
    assert_eq!(args.hosts_file.unwrap(), Path::new("/etc/hosts"));
    assert_eq!(args.host_commands, archetype_host::HostCommands::default());
}

#[test]
fn a_flag_goes_before_the_file() {
    let (_folder, file) = written("bridge = \"from-file\"\ntags = \"5-9\"\nreserve-tags = [6, \"8-9\"]\n");
    let args = gathered(&["--bridge", "from-flag", "--host", "h"], Some(&file)).serve().unwrap();
    assert_eq!(args.bridge.as_str(), "from-flag");
    assert_eq!((args.tags.0.get(), args.tags.1.get()), (5, 9));
    assert_eq!(args.reserve_tags.iter().map(|tag| tag.get()).collect::<Vec<_>>(), [6, 8, 9]);
}

#[test]
fn everything_wrong_is_told_at_once_with_its_place() {
    let (_folder, file) = written("brigde = \"x\"\ntags = \"9-5\"\nlisten = true\n");
    let problems = gathered(&["--full-read-interval", "5", "--docker", "tcp:x", "--host", "h"], Some(&file));
    let problems = problems.serve().unwrap_err();
    let told: Vec<String> = problems
        .iter()
        .map(|problem| match problem {
            SettingProblem::Plain(text) => text.clone(),
            SettingProblem::OfFile(at) => format!("{}:{} {} {:?}", at.line, at.column, at.message, at.hint),
        })
        .collect();
    assert_eq!(
        told,
        [
            "1:1 there is no setting \"brigde\" Some(\"did you mean \\\"bridge\\\"?\")",
            "3:1 listen must be a text, a number or a list of them None",
            "--docker: \"tcp:x\" is no unix socket; write unix:///var/run/docker.sock",
            "2:1 tags: the range 9-5 ends before it begins None",
            "--full-read-interval: \"5\" is no duration; write 30s, 5m, 1m30s or 250ms",
        ]
    );
}

#[test]
fn a_file_that_is_no_toml_is_told_with_its_place() {
    let (_folder, file) = written("data = \"/x\"\nbridge = \n");
    let problems = gathered(&[], Some(&file)).serve().unwrap_err();
    assert!(matches!(&problems[0], SettingProblem::OfFile(at) if at.line == 2), "{problems:?}");
}

#[test]
fn a_family_without_a_subnet_is_chosen_when_the_other_is_stated() {
    let (_folder, file) = written("mgmt-subnet = \"172.30.0.0/24\"");
    let args = gathered(&["--host", "h"], Some(&file)).serve().unwrap();
    assert_eq!(args.mgmt_ipv4.unwrap().to_string(), "172.30.0.0/24");
    assert_eq!(args.mgmt_ipv6.unwrap().to_string(), "auto");
}

#[test]
fn a_named_settings_file_must_be_there() {
    let problems = gathered(&["--host", "h"], Some(Path::new("/nonexistent.toml"))).serve().unwrap_err();
    assert!(matches!(&problems[..], [SettingProblem::Plain(text)] if text.contains("cannot be read")), "{problems:?}");
}
