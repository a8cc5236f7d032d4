//! The journal, read and followed.

use std::time::Duration;

use archetype_model::observed::Part;
use archetype_model::report::{Repair, RepairOutcome};
use archetype_model::status::LabState;
use archetype_model::step::Resource;
use futures::StreamExt;

use super::stand::{Stand, TWO, lab, refusal};

fn repair(number: u64) -> Repair {
    Repair {
        number,
        lab: Some(lab("two")),
        found: "port x has tag 7".into(),
        done: vec!["set port x tag 3".into()],
        resource: Resource::Port("x".parse().unwrap()),
        at_ms: 1_800_000_000_000,
        outcome: RepairOutcome::Mended,
    }
}

#[tokio::test]
async fn a_repair_reaches_the_journal_once_and_is_acknowledged() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    for _ in 0..3 {
        stand.agent.set(|host| host.repairs = vec![repair(1), repair(2)]);
    }
    stand.noted("two", |entry| entry.kind == "repair").await;
    stand.agent.set(|host| host.repairs = vec![repair(2), repair(3)]);
    let entries = stand.noted("two", |entry| entry.detail["number"] == 3).await;
    let repairs: Vec<_> = entries.iter().filter(|entry| entry.kind == "repair").collect();
    assert_eq!(repairs.len(), 3, "{entries:?}");
    assert_eq!(repairs[0].message, "port x has tag 7; set port x tag 3");
    for _ in 0..500 {
        if stand.agent.look(|host| host.acknowledged) == 3 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was not acknowledged");
}

#[tokio::test]
async fn an_end_by_hand_is_told_once_however_often_it_is_reported() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    for at in [5_000, 5_000, 9_000, 9_000] {
        stand.agent.set(|host| host.ended_by_hand_ms = Some(at));
        stand.noted("two", |entry| entry.detail["at_ms"] == at).await;
    }
    let told = stand.noted("two", |entry| entry.detail["at_ms"] == 9_000).await;
    let told: Vec<_> = told.iter().filter(|entry| entry.message == "ended by docker stop, kill or restart").collect();
    assert_eq!(told.len(), 2, "{told:#?}");
    assert_eq!(told[0].kind, "node");
}

#[tokio::test]
async fn of_a_long_journal_the_newest_entries_are_read() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    stand.agent.set(|host| host.repairs = (1..=1100).map(repair).collect());
    let two = lab("two");
    let newest = async || stand.client.journal(Some(&two), None).await.unwrap().entries;
    let mut read = newest().await;
    for _ in 0..500 {
        if read.iter().any(|entry| entry.detail["number"] == 1100) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        read = newest().await;
    }
    assert!(read.iter().any(|entry| entry.detail["number"] == 1100), "{:?}", read.last());
    assert_eq!(read.len(), 1000);
    assert!(read.windows(2).all(|pair| pair[0].id < pair[1].id));
    let first = stand.client.journal(Some(&two), Some(0)).await.unwrap().entries;
    assert!(first[0].message.starts_with("deployed from "), "{:?}", first[0]);
}

#[tokio::test]
async fn a_lab_that_never_was_has_no_journal_and_one_that_is_gone_has_its_own() {
    let stand = Stand::new().await;
    let never = refusal(stand.client.journal(Some(&lab("never")), None).await);
    assert_eq!((never.status, never.code.as_str()), (404, "lab-unknown"));
    stand.deploy(TWO).await;
    let gone = stand.client.destroy(&lab("two")).await.unwrap();
    stand.client.wait(&gone.lab, gone.revision, Duration::from_secs(10)).await.unwrap();
    let entries = stand.client.journal(Some(&lab("two")), None).await.unwrap().entries;
    let last = entries.last().unwrap().id;
    stand.client.journal(Some(&lab("two")), Some(last + 1000)).await.unwrap();
}

#[tokio::test]
async fn the_journal_tells_how_a_lab_came_to_be() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let entries = stand.noted("two", |entry| entry.kind == "lab" && entry.message == "up").await;
    let has = |kind: &str, subject: Option<&str>, message: &str| {
        entries.iter().any(|e| e.kind == kind && e.subject.as_deref() == subject && e.message.starts_with(message))
    };
    assert!(has("deploy", None, "deployed from "), "{entries:#?}");
    assert!(has("node", Some("a"), "running"));
    assert!(has("link", Some("a:eth1--b:eth1"), "up"));
    assert!(has("exec", Some("a"), "exec `ip addr add 10.0.0.1/24 dev eth1` ended with status 0"));
    assert!(has("lab", None, "up"));
    assert!(entries.windows(2).all(|pair| pair[0].id < pair[1].id));
}

#[tokio::test]
async fn a_start_tells_nothing_that_was_told_in_the_life_before() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    stand.noted("two", |entry| entry.kind == "lab" && entry.message == "up").await;
    let Stand { running, directory, .. } = stand;
    running.stop().await;
    // The engine is reached a moment after the start, and then everything is as it was.
    let away = |host: &mut super::agent::Host| host.unreadable = vec![(Part::Engine, "not reached yet".into())];
    let stand = Stand::on_a_host(directory, Duration::from_secs(60), away).await;
    let before = stand.client.journal(None, None).await.unwrap().entries;
    let shown = stand.client.lab(&lab("two")).await.unwrap();
    assert_ne!(shown.state, LabState::Pending, "{shown:?}");
    stand.until("two", |two| two.findings.iter().any(|finding| finding.code == "host-unreadable")).await;
    stand.agent.set(|host| host.unreadable.clear());
    stand.until("two", |two| two.findings.is_empty()).await;
    stand.agent.set(|host| host.repairs = vec![repair(1)]);
    let after = stand.noted("two", |entry| entry.kind == "repair").await;
    let last = before.last().unwrap().id;
    let new: Vec<_> = after.iter().filter(|entry| entry.id > last).map(|entry| entry.kind.as_str()).collect();
    assert_eq!(new, ["repair"], "{after:#?}");
    // From then on it is news when the engine is away.
    stand.agent.set(|host| host.unreadable = vec![(Part::Engine, "gone".into())]);
    for _ in 0..500 {
        let all = stand.client.journal(None, None).await.unwrap().entries;
        if all.iter().any(|entry| entry.message.ends_with("could not be read: gone")) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it was not told");
}

#[tokio::test]
async fn a_follower_hears_what_happens_and_goes_on_where_it_left_off() {
    let stand = Stand::new().await;
    let mut heard = Box::pin(stand.client.follow_journal(Some(&lab("two")), 0).await.unwrap());
    stand.deploy(TWO).await;
    let first = tokio::time::timeout(Duration::from_secs(5), heard.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(first.kind, "deploy");
    let second = tokio::time::timeout(Duration::from_secs(5), heard.next()).await.unwrap().unwrap().unwrap();
    assert!(second.id > first.id);
    drop(heard);
    let mut again = Box::pin(stand.client.follow_journal(None, first.id).await.unwrap());
    let same = tokio::time::timeout(Duration::from_secs(5), again.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(same, second);
}

#[tokio::test]
async fn progress_is_told_until_the_lab_is_as_wanted() {
    let stand = Stand::new().await;
    let accepted = stand.client.deploy(&stand.request(TWO)).await.unwrap();
    let told = stand.client.progress(&accepted.lab, accepted.revision).await.unwrap();
    let told: Vec<_> = tokio::time::timeout(Duration::from_secs(5), told.collect()).await.unwrap();
    let last = told.last().unwrap().as_ref().unwrap();
    assert_eq!(last.settled, Some(archetype_api::Settled::AsWanted));
    assert_eq!((last.nodes_ready, last.nodes, last.links_ready, last.links), (2, 2, 1, 1));
}
