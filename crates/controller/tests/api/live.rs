//! Links that are changed while the lab runs: up, down, added, removed.

use std::time::Duration;

use archetype_api::{Accepted, LinkAction, NewLink, Settled};
use archetype_model::status::LinkState;

use super::stand::{Stand, TWO, lab, refusal};

const MORE: &str = "name: more
topology:
  nodes:
    a: {kind: arista_ceos, labels: {archetype.runtime: namespace}}
    b: {kind: linux, image: x}
    sw: {kind: bridge}
  links:
    - endpoints: ['a:eth1', 'b:eth1']
    - endpoints: ['b:eth2', 'sw:p1']
    - endpoints: ['a:eth2', 'sw:p2']
    - endpoints: ['b:eth3', 'host:to-b']
";

async fn settled(stand: &Stand, accepted: &Accepted) {
    let waited = stand.client.wait(&accepted.lab, accepted.revision, Duration::from_secs(10)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(Settled::AsWanted), "{waited:?}");
}

async fn states(stand: &Stand, name: &str) -> Vec<(String, LinkState)> {
    let links = stand.client.lab(&lab(name)).await.unwrap().links;
    links.into_iter().map(|link| (link.id, link.actual_state)).collect()
}

fn ends(a: &str, b: &str) -> NewLink {
    NewLink { endpoints: [a.into(), b.into()] }
}

#[tokio::test]
async fn a_link_wanted_down_says_so_and_stays_so_when_its_file_is_deployed_again() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let two = lab("two");
    let down = stand.client.link(&two, "b:eth1", LinkAction::Down).await.unwrap();
    settled(&stand, &down).await;
    let link = stand.client.lab(&two).await.unwrap().links.remove(0);
    assert_eq!(link.actual_state, LinkState::Down);
    let reason = "wanted down by a user; `archetype link two up a:eth1` takes it back";
    assert_eq!(link.reason.as_deref(), Some(reason));
    assert!(!stand.client.link(&two, "a:eth1", LinkAction::Down).await.unwrap().changed, "it is so already");
    assert!(!stand.deploy(TWO).await.changed, "the wish is none of the file's");
    assert_eq!(states(&stand, "two").await, [("a:eth1--b:eth1".into(), LinkState::Down)]);
    let up = stand.client.link(&two, "a:eth1--b:eth1", LinkAction::Up).await.unwrap();
    settled(&stand, &up).await;
    assert_eq!(states(&stand, "two").await, [("a:eth1--b:eth1".into(), LinkState::Up)]);
}

#[tokio::test]
async fn a_link_is_found_by_each_spelling_of_its_ends() {
    let stand = Stand::new().await;
    stand.deploy(MORE).await;
    let more = lab("more");
    for name in ["a:Ethernet1", "a:eth1", "a:Et1", "b:eth1", "a:Ethernet1--b:eth1", "b:eth1--a:eth1", "a:eth1--b:eth1"]
    {
        assert_eq!(stand.client.explain(&more, name).await.unwrap().link, "a:eth1--b:eth1", "{name}");
    }
    for name in ["a:eth9", "zz:eth1", "a:Ethernet1--b:eth2", "a", "--"] {
        let problem = refusal(stand.client.link(&more, name, LinkAction::Down).await);
        assert_eq!((problem.status, problem.code.as_str()), (404, "link-unknown"), "{name}");
    }
}

#[tokio::test]
async fn a_member_of_a_lan_and_a_link_out_of_the_lab_are_cut_alone() {
    let stand = Stand::new().await;
    stand.deploy(MORE).await;
    let more = lab("more");
    for (end, at) in [("sw:p1", 1), ("b:eth3", 3)] {
        let down = stand.client.link(&more, end, LinkAction::Down).await.unwrap();
        settled(&stand, &down).await;
        let mut expected = [LinkState::Up; 4];
        expected[at] = LinkState::Down;
        let found: Vec<LinkState> = states(&stand, "more").await.into_iter().map(|(_, state)| state).collect();
        assert_eq!(found, expected, "{end}");
        let up = stand.client.link(&more, end, LinkAction::Up).await.unwrap();
        settled(&stand, &up).await;
    }
}

#[tokio::test]
async fn a_link_is_added_and_removed_and_the_file_brings_back_what_it_says() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let two = lab("two");
    let before = states(&stand, "two").await;
    let added = stand.client.add_link(&two, &ends("a:eth2", "b:eth7")).await.unwrap();
    settled(&stand, &added).await;
    let both = [before[0].clone(), ("a:eth2--b:eth7".into(), LinkState::Up)];
    assert_eq!(states(&stand, "two").await, both);
    let plan = stand.client.plan(&stand.request(TWO)).await.unwrap();
    let words: Vec<String> = plan.changes.iter().map(|change| format!("{change:?}")).collect();
    assert!(words.len() == 1 && words[0].contains("a:eth2--b:eth7"), "{words:?}");
    let removed = stand.client.remove_link(&two, "b:eth1").await.unwrap();
    settled(&stand, &removed).await;
    assert_eq!(states(&stand, "two").await, both[1..]);
    stand.deploy(TWO).await;
    assert_eq!(states(&stand, "two").await, before);
    let noted = stand.client.journal(Some(&two), Some(0)).await.unwrap().entries;
    let wishes = noted.iter().filter(|entry| entry.kind == "wish");
    let told: Vec<_> = wishes.map(|entry| (entry.subject.clone().unwrap(), entry.message.as_str())).collect();
    assert_eq!(told, [("link a:eth2--b:eth7".into(), "added"), ("link a:eth1--b:eth1".into(), "removed")]);
}

#[tokio::test]
async fn a_link_that_cannot_be_added_says_why_and_changes_nothing() {
    let stand = Stand::new().await;
    stand.deploy(MORE).await;
    let more = lab("more");
    for (a, b, code, detail) in [
        ("a:eth1", "b:eth4", "interface-used-twice", "a:eth1 is an end of the link a:eth1--b:eth1 already"),
        ("b:eth4", "a:Ethernet1", "interface-used-twice", "a:Ethernet1 is an end of the link a:eth1--b:eth1 already"),
        ("b:eth4", "zz:eth1", "node-unknown", "lab more has no node zz"),
        ("b:eth0", "a:eth5", "interface-reserved", "b:eth0 is the node's interface on the management network"),
        ("b", "a:eth5", "bad-endpoint", "\"b\" is not of the form node:interface"),
        ("host:x", "mgmt-net:y", "bad-endpoint", "both ends are outside of the lab's nodes"),
        ("b:eth4", "b:eth4", "interface-used-twice", "b:eth4 is used by two ends of links"),
    ] {
        let problem = refusal(stand.client.add_link(&more, &ends(a, b)).await);
        assert_eq!((problem.code.as_str(), problem.detail.as_str()), (code, detail), "{a} {b}");
        assert!(problem.hint.is_some(), "{a} {b}");
    }
    let wrong = refusal(stand.client.add_link(&more, &ends("a:a name that is too long", "b:eth4")).await);
    assert_eq!(wrong.code, "invalid-interface");
    assert_eq!(states(&stand, "more").await.len(), 4);
}
