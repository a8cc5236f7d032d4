//! The links of a LAN's members, judged one by one.

#![allow(clippy::unwrap_used, reason = "a test fails by it")]

use archetype_model::report::{EndReport, Fault, ProbeResult, Proof, WireReport, Wiring};
use archetype_model::spec::{Carrier, DesiredLink, EndRef, LinkId, WireShape, WireSpec};
use archetype_model::status::LinkState;
use archetype_model::{NodeName, VlanTag};
use archetype_plan::judge::{link_status, member_status};

fn end(node: &str) -> EndRef {
    EndRef { node: node.parse().unwrap(), interface: "eth1".parse().unwrap() }
}

fn lan() -> WireSpec {
    WireSpec {
        id: LinkId::lan(&"lan".parse::<NodeName>().unwrap()),
        shape: WireShape::Lan,
        ends: ["a", "b", "c"].map(end).to_vec(),
        desired: DesiredLink::Up,
        carrier: Carrier::Follow,
        tag: VlanTag::new(100).unwrap(),
    }
}

/// What a host tells of the LAN: a fault at each of some members, and what the probes showed.
fn told(faults: &[(&str, Fault)], result: ProbeResult) -> WireReport {
    let of = |name: &EndRef| -> Vec<Fault> {
        faults.iter().filter(|(node, _)| end(node) == *name).map(|(_, fault)| fault.clone()).collect()
    };
    let ends = lan().ends.into_iter().map(|end| EndReport {
        device_name: format!("a-{}", end.node),
        port: None,
        device: None,
        bridge: None,
        inside: None,
        running: Some(true),
        faults: of(&end),
        end,
    });
    let wiring = Wiring("now".into());
    WireReport { ends: ends.collect(), wiring: Some(wiring.clone()), proof: Some(Proof { wiring, result }) }
}

fn states(report: &WireReport) -> [LinkState; 3] {
    ["a", "b", "c"].map(|node| member_status(&lan(), Some(report), &end(node)).state)
}

#[test]
fn a_fault_of_one_member_is_no_fault_of_another() {
    use LinkState::{Down, Error, Pending, Unknown, Up};
    for (fault, state) in [
        (Fault::NodeNotRunning("c: stopped".into()), Pending),
        (Fault::ShutInside("eth1 is shut inside c".into()), Down),
        (Fault::Unreadable("namespace of c".into()), Unknown),
        (Fault::Wrong("no switch".into()), Error),
    ] {
        let report = told(&[("c", fault)], ProbeResult::Crossed);
        assert_eq!(states(&report), [Up, Up, state]);
        assert_eq!(link_status(&lan(), Some(&report)).state, state, "the LAN is as bad as its worst member");
    }
}

#[test]
fn a_lost_probe_is_told_at_both_its_ends_and_nowhere_else() {
    use LinkState::{Error, Up};
    let report = told(&[], ProbeResult::Lost { directions: vec!["a:eth1 -> b:eth1".into()] });
    assert_eq!(states(&report), [Error, Error, Up]);
}

#[test]
fn a_members_proof_is_that_of_the_members_that_are_there_now() {
    let mut report = told(&[], ProbeResult::Crossed);
    report.wiring = Some(Wiring("with another member".into()));
    assert_eq!(states(&report), [LinkState::Creating; 3]);
    assert_eq!(member_status(&lan(), None, &end("a")).state, LinkState::Pending);
}

#[test]
fn a_member_of_which_its_host_has_not_told_yet_is_not_up_by_what_the_others_showed() {
    let mut report = told(&[], ProbeResult::Crossed);
    report.ends.retain(|told| told.end != end("c"));
    assert_eq!(states(&report), [LinkState::Up, LinkState::Up, LinkState::Pending]);
}

#[test]
fn a_cables_end_is_as_the_cable() {
    let cable = WireSpec { shape: WireShape::Cable, ends: vec![end("a"), end("c")], ..lan() };
    let mut report = told(&[("c", Fault::NodeNotRunning("c".into()))], ProbeResult::Crossed);
    report.ends.remove(1);
    assert_eq!(member_status(&cable, Some(&report), &end("a")), link_status(&cable, Some(&report)));
    assert_eq!(link_status(&cable, Some(&report)).state, LinkState::Pending);
}
