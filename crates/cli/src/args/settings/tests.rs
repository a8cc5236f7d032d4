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

/// Each setting with its default, from the table of the page on settings.
fn documented() -> Vec<(String, String)> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
    let page = std::fs::read_to_string(page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    let plain = |default: &str| default.split(" | ").next().unwrap().replace('`', "");
    rows.map(|(key, rest)| (key.to_owned(), plain(rest))).collect()
}

/// Each setting with the default that its flag's help names.
fn helped() -> Vec<(String, String)> {
    let command = Cli::command();
    let arguments = command.get_arguments().chain(command.find_subcommand("serve").unwrap().get_arguments());
    let stated = arguments.filter_map(|argument| {
        let help = argument.get_help()?.to_string();
        let (_, default) = help.split_once("[default: ")?;
        Some((argument.get_long()?.to_owned(), default.split(']').next()?.to_owned()))
    });
    stated.filter(|(key, _)| KEYS.contains(&key.as_str())).collect()
}

#[test]
fn the_defaults_are_those_of_the_documents() {
    let (_folder, nothing) = written("");
    let unsaid = gathered(&["--host", "h"], Some(&nothing)).serve().unwrap();
    for (told, host) in [(documented(), "the system's name"), (helped(), "what the system calls it")] {
        let mut keys: Vec<&str> = told.iter().map(|(key, _)| key.as_str()).collect();
        keys.push("artefacts");
        keys.sort_unstable();
        let mut all = KEYS;
        all.sort_unstable();
        assert_eq!(keys, all);
        for (key, default) in told.iter().filter(|(key, _)| key != "host") {
            let (_folder, file) = written(&format!("{key} = {default:?}\n"));
            let said = gathered(&["--host", "h"], Some(&file)).serve();
            assert_eq!(said.as_ref(), Ok(&unsaid), "{key} = {default:?}");
        }
        assert!(told.contains(&("host".to_owned(), host.to_owned())), "{told:?}");
    }
    assert_eq!(gathered(&[], Some(&nothing)).artefacts(), None);
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
            SettingProblem::Plain(text) | SettingProblem::OfDefault(text) => text.clone(),
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
