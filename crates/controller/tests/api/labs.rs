//! Labs come, change and go.

use std::time::Duration;

use archetype_api::{ChangeKind, Lab, NodeAction, Settled};
use archetype_controller::store::{Draft, Note, Present, Sqlite, Store, Wish, Wishes};
use archetype_model::observed::Part;
use archetype_model::report::Finding;
use archetype_model::status::{LabState, LinkState, NodeState};

use super::stand::{PREPARED, Stand, TWO, lab, refusal};

#[tokio::test]
async fn a_deployed_file_becomes_a_lab_that_is_up() {
    let stand = Stand::new().await;
    let accepted = stand.deploy(TWO).await;
    assert!(accepted.changed);
    let labs = serde_json::to_value(stand.client.labs().await.unwrap()).unwrap();
    let two = &labs["labs"][0];
    assert_eq!((two["name"].as_str(), two["state"].as_str()), (Some("two"), Some("up")));
    let a = &two["nodes"][0];
    assert_eq!(a["name"], "a");
    assert_eq!(a["kind"], "linux");
    assert_eq!(a["runtime"], "container");
    assert_eq!(a["host"], "here");
    assert_eq!(a["state"], "running");
    assert_eq!(a["image"], "alpine");
    assert_eq!(a["container"], "clab-two-a");
    assert_eq!(a["management"]["network"], "clab");
    assert_eq!(a["management"]["ipv4"], "172.20.20.2");
    assert_eq!(a["execs"][0]["state"], "ended");
    let link = &two["links"][0];
    assert_eq!(link["id"], "a:eth1--b:eth1");
    assert_eq!(link["actual_state"], "up");
    assert!(link["last_verified_at"].as_str().unwrap().ends_with('Z'));
    let end = &link["endpoints"][0];
    assert_eq!((end["node"].as_str(), end["interface"].as_str()), (Some("a"), Some("eth1")));
    assert_eq!(end["linux_interface"], "eth1");
    assert!(end["vendor_interface"].is_null());
    assert!(end["ovs_port"].is_string() && end["vlan_tag"].is_u64());
}

#[tokio::test]
async fn the_same_file_again_is_no_revision_and_no_spec() {
    let stand = Stand::new().await;
    let first = stand.deploy(TWO).await;
    stand.noted("two", |entry| entry.kind == "lab" && entry.message == "up").await;
    let handed_out = stand.agent.look(|host| host.accepted);
    let journal = stand.client.journal(None, Some(0)).await.unwrap().entries.len();
    let again = stand.client.deploy(&stand.request(&format!("# a comment\n{TWO}"))).await.unwrap();
    assert!(!again.changed);
    assert_eq!(again.revision, first.revision);
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(stand.agent.look(|host| host.accepted), handed_out);
    assert_eq!(stand.client.journal(None, Some(0)).await.unwrap().entries.len(), journal);
}

#[tokio::test]
async fn a_file_with_problems_is_refused_whole_and_each_is_named() {
    let stand = Stand::new().await;
    let text = TWO.replace("'b:eth1'", "'c:eth1'").replace("kind: linux, image: alpine", "kind: nosuch, image: x");
    let problem = refusal(stand.client.deploy(&stand.request(&text)).await);
    assert_eq!((problem.status, problem.code.as_str()), (422, "topology-refused"));
    assert_eq!(problem.instance.as_deref(), Some("/api/v1/labs"));
    assert!(problem.problems.len() >= 2, "{:?}", problem.problems);
    assert!(problem.problems.iter().all(|p| p.file == "./x.clab.yml" && p.line > 1 && p.column > 0));
    assert_eq!(stand.client.labs().await.unwrap().labs, []);
}

#[tokio::test]
async fn what_cannot_run_is_left_out_at_the_users_wish_and_named() {
    let stand = Stand::new().await;
    let text = format!("{TWO}    - type: dummy\n      endpoint: {{node: a, interface: eth9}}\n");
    let problem = refusal(stand.client.deploy(&stand.request(&text)).await);
    assert_eq!(problem.problems[0].code, "not-runnable-dummy-link");
    let mut request = stand.request(&text);
    request.partial = true;
    let accepted = stand.client.deploy(&request).await.unwrap();
    assert_eq!(accepted.left_out.len(), 1);
    let shown = stand.client.lab(&lab("two")).await.unwrap();
    assert_eq!(shown.left_out[0].what, "link");
    assert_eq!(shown.left_out[0].why.code, "not-runnable-dummy-link");
    assert_eq!(shown.links.len(), 1);
}

#[tokio::test]
async fn a_link_whose_end_has_an_impossible_name_is_told_once_and_left_out_alone() {
    let stand = Stand::new().await;
    for (name, code) in [("a name of 20 bytes..", "invalid-interface"), ("lo", "interface-reserved")] {
        let text = format!("{TWO}    - endpoints: ['a:{name}', 'b:eth9']\n");
        let problem = refusal(stand.client.deploy(&stand.request(&text)).await);
        let told: Vec<_> = problem.problems.iter().map(|problem| problem.code.as_str()).collect();
        assert_eq!(told, [code], "{name}");
        let mut request = stand.request(&text);
        request.partial = true;
        let left = stand.client.deploy(&request).await.unwrap().left_out;
        assert_eq!(left.iter().map(|part| (&*part.what, &*part.why.code)).collect::<Vec<_>>(), [("link", code)]);
        let shown = stand.client.lab(&lab("two")).await.unwrap();
        assert_eq!((shown.nodes.len(), shown.links.len()), (2, 1), "{name}");
    }
}

#[tokio::test]
async fn a_node_without_a_file_that_it_names_keeps_the_lab_out_or_is_left_out() {
    let stand = Stand::new().await;
    let text = TWO.replace("b: {kind: linux,", "b: {kind: linux, startup-config: b.cfg,");
    let problem = refusal(stand.client.deploy(&stand.request(&text)).await);
    let told: Vec<_> = problem.problems.iter().map(|p| (p.code.as_str(), p.line, p.column)).collect();
    assert_eq!(told, [("startup-config-missing", 9, 38)]);
    assert_eq!(stand.client.labs().await.unwrap().labs, []);
    let mut request = stand.request(&text);
    request.partial = true;
    let accepted = stand.client.deploy(&request).await.unwrap();
    let left: Vec<_> = accepted.left_out.iter().map(|left| (&*left.name, &*left.why.code)).collect();
    assert!(left.contains(&("b", "startup-config-missing")), "{left:?}");
    assert_eq!(accepted.notes, [], "of a node that is left out nothing more is told");
}

#[tokio::test]
async fn a_key_without_effect_is_told_by_check_plan_and_deploy_and_keeps_nothing_out() {
    let stand = Stand::new().await;
    std::fs::write(stand.directory.path().join("b.cfg"), "").unwrap();
    let text = TWO.replace("b: {kind: linux,", "b: {kind: linux, startup-config: b.cfg,");
    let request = stand.request(&text);
    let accepted = stand.client.deploy(&request).await.unwrap();
    let told: Vec<_> = accepted.notes.iter().map(|note| (&*note.code, note.line, note.column)).collect();
    assert_eq!(told, [("no-effect", 9, 38)]);
    assert_eq!(accepted.left_out, []);
    let plan = stand.client.plan(&request).await.unwrap();
    assert_eq!((plan.notes, plan.problems), (accepted.notes.clone(), Vec::new()));
    let checked = stand.client.check(&request.topology).await.unwrap();
    assert_eq!((checked.notes, checked.problems), (accepted.notes, Vec::new()));
}

#[tokio::test]
async fn files_are_made_for_the_nodes_that_are_deployed() {
    let stand = Stand::new().await;
    let mut request = stand.request(&TWO.replace("b: {kind: linux,", "b: {kind: nokia_srlinux,"));
    request.partial = true;
    let accepted = stand.client.deploy(&request).await.unwrap();
    assert!(accepted.left_out.iter().any(|part| part.name == "b"), "{:?}", accepted.left_out);
    let made = || std::fs::read_to_string(stand.directory.path().join(PREPARED)).unwrap();
    assert_eq!(made(), "a");
    stand.deploy(TWO).await;
    assert_eq!(made(), "a b");
}

#[tokio::test]
async fn a_plan_names_only_the_difference_and_changes_nothing() {
    let stand = Stand::new().await;
    let plan = stand.client.plan(&stand.request(TWO)).await.unwrap();
    assert_eq!(plan.changes.iter().filter(|change| change.change == ChangeKind::Add).count(), 3);
    assert_eq!(stand.client.labs().await.unwrap().labs, []);
    stand.deploy(TWO).await;
    let plan = stand.client.plan(&stand.request(TWO)).await.unwrap();
    assert_eq!((plan.changes.len(), plan.nodes_untouched, plan.links_untouched), (0, 2, 1));
    let other = TWO.replace("b: {kind: linux, image: alpine}", "b: {kind: linux, image: debian}");
    let plan = stand.client.plan(&stand.request(&other)).await.unwrap();
    let names: Vec<_> = plan.changes.iter().map(|change| (change.change, change.name.as_str())).collect();
    assert_eq!(names, [(ChangeKind::Recreate, "b")]);
}

#[tokio::test]
async fn a_check_answers_with_what_is_written_and_what_is_wrong() {
    let stand = Stand::new().await;
    let mut text = stand.request(TWO).topology;
    text.text = text.text.replace("'b:eth1'", "'c:eth1'");
    let checked = serde_json::to_value(stand.client.check(&text).await.unwrap()).unwrap();
    assert_eq!(checked["name"], "two");
    assert_eq!(checked["nodes"][0]["kind"], "linux");
    assert_eq!(checked["links"][0]["endpoints"][1]["node"], "c");
    assert_eq!(checked["links"][0]["type"], "veth");
    assert!(!checked["problems"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn a_node_stopped_stays_stopped_through_a_deployment() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let (two, b) = (lab("two"), "b".parse().unwrap());
    let stopped = stand.client.node(&two, &b, NodeAction::Stop).await.unwrap();
    let waited = stand.client.wait(&two, stopped.revision, Duration::from_secs(5)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(Settled::AsWanted));
    assert!(!stand.client.deploy(&stand.request(TWO)).await.unwrap().changed);
    let shown = stand.client.lab(&two).await.unwrap();
    assert_eq!(shown.nodes[1].state, NodeState::Stopped);
    assert_eq!(shown.links[0].actual_state, LinkState::Pending);
    assert_eq!(shown.state, LabState::Up);
    let restarted = stand.client.node(&two, &b, NodeAction::Restart).await.unwrap();
    stand.client.wait(&two, restarted.revision, Duration::from_secs(5)).await.unwrap();
    assert_eq!(stand.client.lab(&two).await.unwrap().nodes[1].state, NodeState::Running);
    let spec = stand.agent.look(|host| host.spec.clone()).unwrap();
    assert_eq!(spec.lab(&two).unwrap().node(&b).unwrap().restarts, 1);
}

#[tokio::test]
async fn a_reloaded_node_is_made_from_something_else() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let digest = |stand: &Stand| {
        let spec = stand.agent.look(|host| host.spec.clone()).unwrap();
        let two = spec.lab(&lab("two")).unwrap().clone();
        two.nodes.iter().map(|node| node.body_digest()).collect::<Vec<_>>()
    };
    let before = digest(&stand);
    let mut request = stand.request(TWO);
    request.reload = vec!["b".parse().unwrap()];
    let accepted = stand.client.deploy(&request).await.unwrap();
    stand.client.wait(&accepted.lab, accepted.revision, Duration::from_secs(5)).await.unwrap();
    let after = digest(&stand);
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
    request.reload = vec!["nobody".parse().unwrap()];
    assert_eq!(refusal(stand.client.deploy(&request).await).code, "node-unknown");
}

#[tokio::test]
async fn a_destroyed_lab_is_shown_until_nothing_of_it_is_left() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let two = lab("two");
    stand.agent.set(|host| host.leaving.extend([lab("two")]));
    let accepted = stand.client.destroy(&two).await.unwrap();
    let waited = stand.client.wait(&two, accepted.revision, Duration::from_millis(400)).await.unwrap();
    assert_eq!(waited.progress.settled, None);
    let shown = stand.client.lab(&two).await.unwrap();
    assert_eq!(shown.state, LabState::Destroying);
    assert_eq!(shown.reason.as_deref(), Some("still there: container x"));
    stand.agent.set(|host| host.leaving.clear());
    let waited = stand.client.wait(&two, accepted.revision, Duration::from_secs(5)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(Settled::Gone));
    assert_eq!(refusal(stand.client.lab(&two).await).code, "lab-unknown");
    assert_eq!(refusal(stand.client.destroy(&two).await).code, "lab-unknown");
    stand.deploy(TWO).await;
}

#[tokio::test]
async fn waiting_ends_when_a_finding_says_why_not() {
    let stand = Stand::new().await;
    stand.agent.set(|host| {
        host.findings = vec![Finding {
            code: "image-pull-failed".into(),
            lab: Some(lab("two")),
            resource: Some(archetype_model::step::Resource::Node("clab-two-a".parse().unwrap())),
            message: "image alpine could not be pulled".into(),
            hint: "look at the registry".into(),
        }];
    });
    let accepted = stand.client.deploy(&stand.request(TWO)).await.unwrap();
    let waited = stand.client.wait(&accepted.lab, accepted.revision, Duration::from_secs(10)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(Settled::Finding));
    assert_eq!(waited.findings[0].code, "image-pull-failed");
    assert_eq!(waited.progress.state, LabState::Degraded);
}

#[tokio::test]
async fn a_restarted_controller_hands_out_the_same_and_reads_its_host_again() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let before = stand.agent.look(|host| host.spec.clone()).unwrap();
    let Stand { running, directory, client, .. } = stand;
    drop(client);
    running.stop().await;
    let stand = Stand::on(directory, Duration::from_secs(60)).await;
    stand.until("two", |two| two.state == LabState::Up).await;
    for _ in 0..500 {
        if stand.agent.look(|host| host.spec.is_some()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(stand.agent.look(|host| host.spec.clone()).unwrap(), before);
    assert!(!stand.client.deploy(&stand.request(TWO)).await.unwrap().changed);
}

#[tokio::test]
async fn what_a_former_life_was_told_is_unknown_until_the_host_is_read_again() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let Stand { running, directory, client, .. } = stand;
    drop(client);
    running.stop().await;
    let stand = Stand::on_a_host(directory, Duration::from_secs(60), |host| host.quiet = true).await;
    let shown = stand.client.lab(&lab("two")).await.unwrap();
    let link = &shown.links[0];
    assert_eq!((shown.state, link.actual_state), (LabState::Unknown, LinkState::Unknown));
    assert!(link.reason.as_deref().unwrap_or_default().contains("since the controller started"), "{link:?}");
    stand.agent.set(|host| host.quiet = false);
    stand.until("two", |two| two.state == LabState::Up).await;
}

#[tokio::test]
async fn a_silent_host_makes_everything_unknown() {
    let stand = Stand::on(tempfile::tempdir().unwrap(), Duration::from_secs(2)).await;
    stand.deploy(TWO).await;
    stand.agent.set(|host| host.quiet = true);
    let shown = stand.until("two", |two| two.state == LabState::Unknown).await;
    assert_eq!(shown.links[0].actual_state, LinkState::Unknown);
    stand.agent.set(|host| host.quiet = false);
    stand.until("two", |two| two.state == LabState::Up).await;
}

#[tokio::test]
async fn a_host_that_refuses_its_spec_is_a_finding() {
    let stand = Stand::new().await;
    stand.agent.set(|host| host.refuses = Some("generation 1 is older than 5".into()));
    stand.client.deploy(&stand.request(TWO)).await.unwrap();
    let refused = |two: &Lab| two.findings.iter().any(|finding| finding.code == "spec-refused");
    let shown = stand.until("two", refused).await;
    assert_ne!(shown.state, LabState::Up);
}

#[tokio::test]
async fn a_wish_accepted_right_before_the_end_is_planned_by_the_next_life() {
    let directory = tempfile::tempdir().unwrap();
    let reading = archetype_topology::read_text("x.clab.yml", directory.path(), TWO, &Default::default());
    let (topology, wishes, files) = (reading.topology.unwrap(), Wishes::default(), Default::default());
    let wish = Wish::Present(Box::new(Present { topology, wishes, files }));
    let note = Note {
        at_ms: 1,
        lab: Some(lab("two")),
        kind: "deploy",
        subject: None,
        message: "deployed".into(),
        detail: serde_json::Value::Null,
    };
    let store = Sqlite::open(&directory.path().join("data")).await.unwrap();
    let draft = Draft::new(lab("two"), wish, Default::default());
    let number = store.append_revision(draft.written(), note).await.unwrap().revision.number;
    drop(store);
    let stand = Stand::on(directory, Duration::from_secs(60)).await;
    let waited = stand.client.wait(&lab("two"), number, Duration::from_secs(5)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(Settled::AsWanted));
}

#[tokio::test]
async fn a_part_of_the_host_that_cannot_be_read_is_named() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    stand.agent.set(|host| host.unreadable = vec![(Part::Engine, "no answer within 5 s".into())]);
    let shown = stand.until("two", |two| !two.findings.is_empty()).await;
    assert_eq!(shown.findings[0].code, "host-unreadable");
    assert_eq!(shown.findings[0].message, "Docker Engine could not be read: no answer within 5 s");
    assert_eq!(shown.state, LabState::Up, "what could be read is as it was");
}

#[tokio::test]
async fn a_lab_has_files_for_other_programs_with_its_addresses_as_soon_as_it_is_accepted() {
    let stand = Stand::new().await;
    let problem = refusal(stand.client.artefacts(&lab("two")).await);
    assert_eq!((problem.status, problem.code.as_str()), (404, "lab-unknown"));
    stand.client.deploy(&stand.request(TWO)).await.unwrap();
    let answer = stand.client.artefacts(&lab("two")).await.unwrap();
    let names: Vec<&str> = answer.files.keys().filter_map(|path| path.strip_prefix("clab-two/")).collect();
    let known =
        ["ansible-inventory.yml", "etc-hosts", "nornir-simple-inventory.yml", "ssh_config", "topology-data.json"];
    assert_eq!(names, known);
    let inventory = &answer.files["clab-two/ansible-inventory.yml"];
    assert!(inventory.contains("        clab-two-a:\n          ansible_host: 172.20.20.2\n"), "{inventory}");
}
