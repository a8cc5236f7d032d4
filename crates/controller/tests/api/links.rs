//! Links: mappings, looks, explanations.

use archetype_api::LinkAction;
use archetype_model::report::Fault;
use archetype_model::spec::DesiredLink;
use archetype_model::status::{LabState, LinkState};

use super::stand::{Stand, TWO, lab, refusal};

#[tokio::test]
async fn each_wired_interface_is_mapped_to_its_port() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let mappings = stand.client.interface_mappings(&lab("two")).await.unwrap().mappings;
    assert_eq!(mappings.len(), 2);
    let a = &mappings[0];
    assert_eq!((a.node.as_str(), a.device_kind.as_str(), a.linux_interface.as_str()), ("a", "linux", "eth1"));
    assert_eq!(a.ovs_bridge.as_deref(), Some("arch-ovs"));
    assert_eq!((a.vlan_tag, a.link.as_str()), (mappings[1].vlan_tag, "a:eth1--b:eth1"));
    assert!(a.vlan_tag.is_some() && a.ovs_port.is_some() && a.last_verified_at.is_some());
    assert_ne!(a.ovs_port, mappings[1].ovs_port);
    let synced = stand.client.sync_interface_mappings(&lab("two")).await.unwrap().mappings;
    assert_eq!(synced.len(), 2);
    assert_eq!(stand.agent.look(|host| host.verified.clone()), [Some(lab("two"))]);
}

#[tokio::test]
async fn a_node_shows_its_interfaces_as_wanted_and_as_they_are() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let found = stand.client.interfaces(&lab("two"), &"a".parse().unwrap()).await.unwrap().interfaces;
    let names: Vec<_> = found.iter().map(|i| (i.linux_interface.as_str(), i.attachment.as_str())).collect();
    assert_eq!(names, [("eth0", "network"), ("eth1", "wire")]);
    for interface in &found {
        assert_eq!(interface.addresses, ["10.0.0.1/24"], "{}", interface.linux_interface);
        assert_eq!((interface.up, interface.mtu_now), (Some(true), Some(9500)), "{}", interface.linux_interface);
        assert!(interface.name_now.is_some() && interface.last_verified_at.is_some());
    }
    assert_eq!((found[0].link.as_deref(), found[1].link.as_deref()), (None, Some("a:eth1--b:eth1")));
    let problem = refusal(stand.client.interfaces(&lab("two"), &"zz".parse().unwrap()).await);
    assert_eq!((problem.status, problem.code.as_str()), (404, "node-unknown"));
}

#[tokio::test]
async fn reconcile_counts_what_was_right_what_was_mended_and_what_is_wrong() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let two = lab("two");
    let all_right = stand.client.reconcile(&two).await.unwrap();
    assert_eq!((all_right.checked, all_right.valid, all_right.repaired, all_right.errors), (1, 1, 0, 0));
    stand.agent.set(|host| drop(host.faults.insert("a:eth1".into(), Fault::NotMade("port x has tag 7".into()))));
    stand.until("two", |two| two.links[0].actual_state != LinkState::Up).await;
    let mended = stand.client.reconcile(&two).await.unwrap();
    assert_eq!((mended.checked, mended.valid, mended.repaired, mended.errors), (1, 0, 1, 0));
    assert_eq!(mended.links[0].state, LinkState::Up);
}

#[tokio::test]
async fn reconcile_waits_for_what_is_mended_late_and_not_long_for_what_stays_wrong_or_waits() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let two = lab("two");
    let wrong = |fault: Fault| stand.agent.set(|host| drop(host.faults.insert("a:eth1".into(), fault)));

    // What no look mends: the answer comes when nothing becomes of it, long before the longest wait is over.
    wrong(Fault::Wrong("port x: no such device".into()));
    stand.until("two", |two| two.links[0].actual_state == LinkState::Error).await;
    let begun = std::time::Instant::now();
    let told = stand.client.reconcile(&two).await.unwrap();
    assert_eq!((told.checked, told.valid, told.repaired, told.errors, told.pending), (1, 0, 0, 1, 0));
    assert_eq!(
        (told.links[0].state, told.links[0].reason.as_deref()),
        (LinkState::Error, Some("a:eth1: port x: no such device"))
    );
    assert!(begun.elapsed() < std::time::Duration::from_secs(14), "{:?}", begun.elapsed());

    // What becomes right while it is waited for.
    let agent = stand.agent.clone();
    let (told, ()) = tokio::join!(stand.client.reconcile(&two), async {
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        agent.set(|host| host.faults.clear());
    });
    let told = told.unwrap();
    assert_eq!((told.valid + told.repaired, told.errors, told.links[0].state), (1, 0, LinkState::Up), "{told:?}");

    // What could not be read is no error of the link, and is not valid either.
    wrong(Fault::Unreadable("Open vSwitch: it does not answer".into()));
    stand.until("two", |two| two.links[0].actual_state == LinkState::Unknown).await;
    let told = stand.client.reconcile(&two).await.unwrap();
    assert_eq!((told.valid, told.repaired, told.errors, told.links[0].state), (0, 0, 1, LinkState::Unknown));
    assert!(told.links[0].reason.as_ref().is_some_and(|why| why.contains("does not answer")), "{told:?}");
    stand.agent.set(|host| host.faults.clear());

    // A link that waits for a node is nobody's error.
    let stopped = stand.client.node(&two, &"a".parse().unwrap(), archetype_api::NodeAction::Stop).await.unwrap();
    stand.client.wait(&two, stopped.revision, std::time::Duration::from_secs(10)).await.unwrap();
    stand.until("two", |two| two.links[0].actual_state == LinkState::Pending).await;
    let told = stand.client.reconcile(&two).await.unwrap();
    assert_eq!((told.checked, told.valid, told.repaired, told.errors, told.pending), (1, 0, 0, 0, 1));
    assert_eq!(told.links[0].reason.as_deref(), Some("waits for a is stopped"));
}

#[tokio::test]
async fn a_look_that_no_agent_takes_is_refused_until_there_is_one() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    stand.agent.set(|host| host.away = true);
    let problem = refusal(stand.client.sync_interface_mappings(&lab("two")).await);
    assert_eq!((problem.status, problem.code.as_str()), (503, "agent-away"));
    assert_eq!(problem.detail, "the host's agent does not answer: it has ended");
    assert!(problem.hint.is_some_and(|hint| hint.contains("archetype serve")));
    assert_eq!(refusal(stand.client.reconcile(&lab("two")).await).code, "agent-away");
    stand.agent.set(|host| host.away = false);
    stand.client.sync_interface_mappings(&lab("two")).await.unwrap();
}

#[tokio::test]
async fn a_broken_link_says_what_is_wrong_and_on_which_side() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    stand.agent.set(|host| drop(host.faults.insert("b:eth1".into(), Fault::Wrong("port x: no such device".into()))));
    let shown = stand.until("two", |two| two.state == LabState::Degraded).await;
    assert_eq!(shown.links[0].actual_state, LinkState::Error);
    assert_eq!(shown.links[0].reason.as_deref(), Some("b:eth1: port x: no such device"));
}

#[tokio::test]
async fn a_link_is_explained_by_facts_and_the_commands_that_show_them() {
    let stand = Stand::new().await;
    stand.deploy(TWO).await;
    let explained = stand.client.explain(&lab("two"), "b:eth1").await.unwrap();
    assert_eq!((explained.link.as_str(), explained.state), ("a:eth1--b:eth1", LinkState::Up));
    let of = |about: &str| explained.facts.iter().filter(|fact| fact.about == about).count();
    assert!(of("a:eth1") >= 4 && of("b:eth1") >= 4 && of("both") == 4, "{:?}", explained.facts);
    assert!(explained.facts.iter().all(|fact| fact.good == Some(true)), "{:?}", explained.facts);
    assert!(explained.facts.iter().all(|fact| fact.command.is_some()), "{:?}", explained.facts);
    let commands: Vec<_> = explained.facts.iter().filter_map(|fact| fact.command.as_deref()).collect();
    assert!(commands.iter().any(|command| command.starts_with("ovs-vsctl")));
    assert!(commands.contains(&"ip -n clab-two-b -d link show eth1"));
    assert_eq!(refusal(stand.client.explain(&lab("two"), "b:eth7").await).code, "link-unknown");
    let by_id = stand.client.explain(&lab("two"), "a:eth1--b:eth1").await.unwrap();
    assert_eq!(by_id, explained);
}

const LAN: &str = "name: lan
topology:
  nodes:
    a: {kind: linux, image: alpine}
    b: {kind: linux, image: alpine}
    sw: {kind: bridge}
  links:
    - endpoints: ['a:eth1', 'sw:p1']
    - endpoints: ['b:eth1', 'sw:p2']
    - endpoints: ['a:eth2', 'host:to-a']
";

#[tokio::test]
async fn each_member_of_a_lan_is_a_link_of_its_own() {
    let stand = Stand::new().await;
    stand.deploy(LAN).await;
    let shown = stand.client.lab(&lab("lan")).await.unwrap();
    let ids: Vec<_> = shown.links.iter().map(|link| (link.id.as_str(), link.kind.as_str())).collect();
    assert_eq!(ids, [("a:eth1--sw:p1", "veth"), ("b:eth1--sw:p2", "veth"), ("a:eth2--host:to-a", "host")]);
    assert_eq!(shown.nodes[2].runtime, "bridge");
    assert!(shown.nodes[2].container.is_none() && shown.nodes[2].host.is_some());
    stand.agent.set(|host| drop(host.faults.insert("b:eth1".into(), Fault::Wrong("it has no peer".into()))));
    let links = stand.until("lan", |lan| lan.links[1].actual_state != LinkState::Up).await.links;
    assert_eq!((links[0].actual_state, links[1].actual_state), (LinkState::Up, LinkState::Error));
    let explained = stand.client.explain(&lab("lan"), "sw:p1").await.unwrap();
    assert!(explained.facts.iter().all(|fact| fact.about != "b:eth1"), "{:?}", explained.facts);
}

#[tokio::test]
async fn a_link_out_of_the_lab_is_judged_verified_and_explained_as_any_other() {
    let stand = Stand::new().await;
    stand.deploy(LAN).await;
    let (lan, a) = (lab("lan"), "a".parse().unwrap());
    let out = |links: Vec<archetype_api::Link>| links.into_iter().next_back().unwrap();
    let link = out(stand.client.lab(&lan).await.unwrap().links);
    assert_eq!((link.actual_state, link.reason), (LinkState::Up, None));
    assert!(link.last_verified_at.is_some());
    let explained = stand.client.explain(&lan, "a:eth2").await.unwrap();
    assert!(explained.facts.iter().all(|fact| fact.good == Some(true)), "{:?}", explained.facts);
    assert!(explained.facts.iter().all(|fact| fact.command.is_some()), "{:?}", explained.facts);
    let told = &explained.facts.last().unwrap().fact;
    assert!(told.contains("crossed between it and the host's device each way"), "{told}");

    stand.agent.set(|host| drop(host.faults.insert("a:eth2".into(), Fault::NotMade("device to-a is down".into()))));
    let link = out(stand.until("lan", |lan| lan.links[2].actual_state != LinkState::Up).await.links);
    assert_eq!((link.actual_state, link.reason.as_deref()), (LinkState::Error, Some("a:eth2: device to-a is down")));
    stand.agent.set(|host| host.faults.clear());

    let stopped = stand.client.node(&lan, &a, archetype_api::NodeAction::Stop).await.unwrap();
    let waited = stand.client.wait(&lan, stopped.revision, std::time::Duration::from_secs(3)).await.unwrap();
    assert_eq!(waited.progress.settled, Some(archetype_api::Settled::AsWanted), "{waited:?}");
    let link = out(stand.client.lab(&lan).await.unwrap().links);
    assert_eq!((link.actual_state, link.reason.as_deref()), (LinkState::Pending, Some("waits for a is stopped")));
}

#[tokio::test]
async fn links_have_one_id_in_inspect_mappings_interfaces_and_plan() {
    let stand = Stand::new().await;
    let planned = stand.client.plan(&stand.request(LAN)).await.unwrap();
    let mut of_plan: Vec<_> = planned.changes.iter().filter(|c| c.what == "link").map(|c| c.name.clone()).collect();
    stand.deploy(LAN).await;
    let lan = lab("lan");
    let mut of_inspect: Vec<_> = stand.client.lab(&lan).await.unwrap().links.into_iter().map(|link| link.id).collect();
    let mappings = stand.client.interface_mappings(&lan).await.unwrap().mappings;
    let mut of_mappings: Vec<_> = mappings.iter().map(|mapping| mapping.link.clone()).collect();
    let mut of_interfaces = Vec::new();
    for node in ["a", "b"] {
        let found = stand.client.interfaces(&lan, &node.parse().unwrap()).await.unwrap().interfaces;
        of_interfaces.extend(found.into_iter().filter_map(|interface| interface.link));
    }
    for ids in [&mut of_plan, &mut of_inspect, &mut of_mappings, &mut of_interfaces] {
        ids.sort();
        assert_eq!(*ids, ["a:eth1--sw:p1", "a:eth2--host:to-a", "b:eth1--sw:p2"]);
    }
    let out = mappings.iter().find(|mapping| mapping.attachment == "host").unwrap();
    assert_eq!((out.host_device.as_deref(), &out.ovs_port), (Some("to-a"), &None));
    assert!(out.last_verified_at.is_some());
}

/// Devices without their software: namespaces whose interfaces have the kinds' names.
const VENDORS: &str = "name: vendors
topology:
  defaults:
    labels: {archetype.runtime: namespace}
  nodes:
    ceos: {kind: arista_ceos}
    srl: {kind: srl}
    csr: {kind: cisco_csr1000v}
    xrd: {kind: cisco_xrd}
  links:
    - endpoints: ['ceos:Ethernet1', 'srl:e1-1']
    - endpoints: ['csr:GigabitEthernet2', 'xrd:Gi0-0-0-0']
";

#[tokio::test]
async fn an_interface_is_shown_by_what_its_device_calls_it() {
    let stand = Stand::new().await;
    stand.deploy(VENDORS).await;
    let shown = stand.client.lab(&lab("vendors")).await.unwrap();
    let ends = shown.links.iter().flat_map(|link| &link.endpoints);
    let names: Vec<_> = ends
        .map(|end| {
            let linux = end.linux_interface.as_ref().unwrap().as_str();
            (end.interface.as_str(), linux, end.vendor_interface.as_deref().unwrap())
        })
        .collect();
    let expected = [
        ("Ethernet1", "Ethernet1", "Ethernet1"),
        ("e1-1", "e1-1", "ethernet-1/1"),
        ("GigabitEthernet2", "eth1", "GigabitEthernet2"),
        ("Gi0-0-0-0", "Gi0-0-0-0", "GigabitEthernet0/0/0/0"),
    ];
    assert_eq!(names, expected);
    let mappings = stand.client.interface_mappings(&lab("vendors")).await.unwrap().mappings;
    let of = |node: &str| mappings.iter().find(|mapping| mapping.node.as_str() == node).unwrap();
    assert_eq!(of("csr").device_kind, "cisco_csr1000v");
    assert_eq!(
        (of("csr").linux_interface.as_str(), of("csr").vendor_interface.as_deref()),
        ("eth1", Some(expected[2].2))
    );
    let inside = stand.client.interfaces(&lab("vendors"), &"csr".parse().unwrap()).await.unwrap().interfaces;
    let names: Vec<_> = inside.iter().map(|i| (i.linux_interface.as_str(), i.vendor_interface.as_deref())).collect();
    assert_eq!(names, [("eth0", Some("GigabitEthernet1")), ("eth1", Some("GigabitEthernet2"))]);
}

#[tokio::test]
async fn a_link_is_found_by_any_name_of_its_ends() {
    let stand = Stand::new().await;
    stand.deploy(VENDORS).await;
    let vendors = lab("vendors");
    for (link, names) in [
        (0, &["ceos:Ethernet1", "ceos:eth1", "ceos:Et1", "ceos:et1", "srl:ethernet-1/1", "srl:e1-1"][..]),
        (1, &["csr:GigabitEthernet2", "csr:Gi2", "csr:gi2", "csr:eth1", "xrd:GigabitEthernet0/0/0/0", "xrd:Gi0/0/0/0"]),
    ] {
        let shown = &stand.client.lab(&vendors).await.unwrap().links[link];
        for name in names {
            let explained = stand.client.explain(&vendors, name).await.unwrap();
            assert_eq!((&explained.link, &explained.endpoints), (&shown.id, &shown.endpoints), "{name}");
        }
    }
    for name in ["ceos:Ethernet2", "csr:GigabitEthernet1", "csr:GigabitEthernet0", "srl:eth1", "xrd:eth1"] {
        assert_eq!(refusal(stand.client.explain(&vendors, name).await).code, "link-unknown", "{name}");
    }
}

#[tokio::test]
async fn a_link_that_is_wanted_down_stays_down_when_its_port_is_spelled_in_another_way() {
    let file = |port: &str| {
        format!(
            "name: sp
topology:
  defaults: {{labels: {{archetype.runtime: namespace}}}}
  nodes: {{c: {{kind: arista_ceos}}, h: {{kind: linux}}}}
  links: [{{endpoints: ['c:{port}', 'h:eth1']}}]
"
        )
    };
    let stand = Stand::new().await;
    stand.deploy(&file("Ethernet1")).await;
    stand.client.link(&lab("sp"), "h:eth1", LinkAction::Down).await.unwrap();
    stand.until("sp", |sp| sp.links[0].actual_state == LinkState::Down).await;
    stand.deploy(&file("eth1")).await;
    let shown = stand.until("sp", |sp| sp.links[0].actual_state == LinkState::Down).await;
    assert_eq!(shown.links.len(), 1);
    let spec = stand.agent.look(|host| host.spec.clone()).unwrap();
    assert!(spec.lab(&lab("sp")).unwrap().wires.iter().all(|wire| wire.desired == DesiredLink::Down));
}
