//! Nouns for the suite.

use std::collections::BTreeMap;

use archetype_controller::store::{Draft, Identity, Note, Present, Target, Verified, Wish, Wishes};
use archetype_model::LabName;
use archetype_model::blueprint::{Allocations, Blueprint};
use archetype_model::number::{Generation, VlanTag};
use archetype_model::report::{Repair, RepairOutcome, Report};
use archetype_model::spec::{FORMAT, HostSpec, LabSpec, Presence};
use archetype_model::step::Resource;
use archetype_model::topology::{Settings, Source, Topology};

pub fn lab(name: &str) -> LabName {
    name.parse().unwrap()
}

pub fn topology(name: &str, prefix: &str) -> Topology {
    Topology {
        name: lab(name),
        prefix: Some(prefix.into()),
        mgmt: Default::default(),
        settings: Settings::default(),
        nodes: Default::default(),
        links: Vec::new(),
        source: Source {
            directory: "/labs".into(),
            file: "x.clab.yml".into(),
            shown: "x.clab.yml".into(),
            lab_directory: "/labs/clab-x".into(),
            owner: String::new(),
        },
        positions: BTreeMap::new(),
    }
}

pub fn draft(name: &str, prefix: &str) -> Draft {
    let present = Present { topology: topology(name, prefix), wishes: Wishes::default(), files: BTreeMap::new() };
    Draft::new(lab(name), Wish::Present(Box::new(present)), BTreeMap::new())
}

pub fn note(lab_name: Option<&str>, message: &str) -> Note {
    Note {
        at_ms: 1_700_000_000_000,
        lab: lab_name.map(lab),
        kind: "deploy",
        subject: None,
        message: message.into(),
        detail: serde_json::json!({ "a": 1 }),
    }
}

pub fn target(identity: &Identity, parent: Option<&Target>, lab_name: &str) -> Target {
    let number = parent.map_or(1, |parent| parent.blueprint.number + 1);
    let host = "here".parse().unwrap();
    let spec = HostSpec {
        format: FORMAT,
        installation: identity.installation.clone(),
        host,
        generation: Generation { incarnation: identity.incarnation.clone(), number },
        networks: Vec::new(),
        labs: vec![LabSpec {
            name: lab(lab_name),
            presence: Presence::Gone,
            nodes: archetype_model::Nodes::default(),
            wires: Vec::new(),
            hosts: Vec::new(),
        }],
    };
    Target::new(Blueprint {
        format: FORMAT,
        incarnation: identity.incarnation.clone(),
        number,
        parent: parent.map(|parent| parent.digest.clone()),
        installation: identity.installation.clone(),
        dead_tag: VlanTag::new(4094).unwrap(),
        specs: [(spec.host.clone(), std::sync::Arc::new(spec))].into(),
        allocations: Allocations::default(),
    })
}

pub fn verified(identity: &Identity, verified_at_ms: u64) -> Verified {
    let report = Report {
        format: FORMAT,
        installation: identity.installation.clone(),
        host: "here".parse().unwrap(),
        generation: Generation { incarnation: identity.incarnation.clone(), number: 1 },
        converged: true,
        datapath: None,
        unreadable: Vec::new(),
        nodes: BTreeMap::new(),
        wires: BTreeMap::new(),
        management: BTreeMap::new(),
        leaving: BTreeMap::new(),
        findings: Vec::new(),
    };
    Verified { report, verified_at_ms }
}

pub fn repair(number: u64) -> Repair {
    Repair {
        number,
        lab: Some(lab("a")),
        found: "port x has tag 7".into(),
        done: vec!["set port x tag 3".into()],
        resource: Resource::Bridge,
        at_ms: 1_700_000_000_000 + number,
        outcome: RepairOutcome::Mended,
    }
}
