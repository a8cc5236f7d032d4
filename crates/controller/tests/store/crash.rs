//! A controller killed at any moment loses no revision that it accepted.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use archetype_controller::store::{Sqlite, Store};

use super::fixture::{draft, note};

const DIRECTORY: &str = "ARCHETYPE_TEST_CRASH_DIRECTORY";
const ROUNDS: u64 = 25;
/// Rounds in which the child is killed a while after its start; in the others, after its first revision.
const EARLY: u64 = 5;

/// The child of the test below: writes revisions and prints each number once it is accepted.
#[tokio::test]
#[ignore = "runs as the child of another test"]
async fn writes_until_it_is_killed() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let store = Sqlite::open(Path::new(&directory)).await.unwrap();
    for count in 0.. {
        let prefix = format!("{}-{count}", std::process::id());
        let appended = store.append_revision(draft("a", &prefix).written(), note(Some("a"), &prefix)).await.unwrap();
        println!("accepted {} {prefix}", appended.revision.number);
    }
}

#[tokio::test]
async fn no_accepted_revision_is_lost_by_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut accepted = BTreeSet::new();
    for round in 0..ROUNDS {
        let mut child = Killed(start(directory.path()));
        let output = BufReader::new(child.0.stdout.take().unwrap());
        let pid = child.0.id();
        // Not at all the same moment each time: the steps of 7 ms meet a commit at any of its phases, and some of the
        // first rounds the opening.
        let moment = Duration::from_millis(round * 7);
        let mut killer = (round < EARLY).then(|| kill_after(pid, moment + Duration::from_millis(40)));
        for line in output.lines().map_while(Result::ok) {
            let Some(revision) = parse(&line) else { continue };
            accepted.insert(revision);
            killer.get_or_insert_with(|| kill_after(pid, moment));
        }
        killer.expect("a child ends by being killed").join().unwrap();
        child.0.wait().unwrap();
        let store = Sqlite::open(directory.path()).await.unwrap();
        for (number, prefix) in &accepted {
            let revision = store.revision(*number).await.unwrap();
            let revision = revision.unwrap_or_else(|| panic!("revision {number} was accepted and is lost"));
            let present = revision.wish.present().unwrap();
            assert_eq!(present.topology.prefix.as_deref(), Some(prefix.as_str()));
        }
        store.close().await;
    }
    assert!(accepted.len() > ROUNDS as usize, "the children wrote: {}", accepted.len());
}

fn kill_after(pid: u32, moment: Duration) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(moment);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), nix::sys::signal::Signal::SIGKILL).unwrap();
    })
}

fn start(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::crash::writes_until_it_is_killed", "--ignored", "--nocapture"])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A line that was cut off by the kill says nothing.
fn parse(line: &str) -> Option<(u64, String)> {
    let mut words = line.split_once("accepted ")?.1.split(' ');
    let (number, prefix) = (words.next()?.parse().ok()?, words.next()?);
    Some((number, prefix.to_string()))
}

/// A child that does not outlive the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
