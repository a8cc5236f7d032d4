//! From topologies, settings and what else is on the host to a blueprint.
//!
//! The plan is a function of its input: no clock, no randomness, and the order in which labs are
//! named does not count. What the parent gave away is kept (A2); what is new is given
//! lowest-free-first, in file order.
//!
//! **A plan made incrementally equals one made from scratch**, in this sense: planned again from
//! nothing but the allocations of its result, the same input gives the same specs; and planned
//! without any parent it gives specs that differ in nothing but what was given away (tags,
//! devices, bridges, management addresses, guests' blocks, chosen ports, generations). So history
//! decides which free value somebody has, and nothing else.

mod addresses;
mod attempt;
mod devices;
mod input;
mod macs;
mod networks;
mod nodes;
mod pool;
mod ports;
pub(crate) mod shape;
mod spelling;
mod tags;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use archetype_model::blueprint::Blueprint;
use archetype_model::name::LabName;
use archetype_model::number::Generation;
use archetype_model::spec::{FORMAT, HostSpec};
use archetype_model::topology::Problem;

use crate::invariants;

use attempt::{Attempt, Drawn, Failures};
pub use input::{
    HeldNetwork, HostFacts, LabInput, Listener, NoContainers, Overrides, PlanInput, PlanSettings, PortKey, Wanted,
    port_by_name,
};

/// A blueprint, and the labs that could not be planned.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The blueprint. The parent itself where nothing differs from it.
    pub blueprint: Blueprint,
    /// Labs that keep their former part (or none), and everything that is wrong with each.
    pub problems: BTreeMap<LabName, Vec<Problem>>,
}

/// Makes a blueprint. A lab that cannot be planned keeps its former part and gets its problems;
/// the others go on.
pub fn plan(input: &PlanInput<'_>) -> Planned {
    plan_after(input, &Known::default())
}

/// What need not be found out while planning. Of a lab of 200 links each takes a good part of a plan's time.
#[derive(Debug, Clone, Copy, Default)]
pub struct Known<'a> {
    /// The parent's digest, where it is at hand.
    pub parent: Option<&'a str>,
    /// A lab in which [`check`](crate::check::check) has found nothing wrong beside the facts of this input.
    pub sound: Option<&'a LabName>,
}

/// As [`plan`], with what is known.
pub fn plan_after(input: &PlanInput<'_>, known: &Known<'_>) -> Planned {
    let mut problems = check_all(input, known.sound);
    let drawn = loop {
        let frozen: BTreeSet<LabName> = problems.keys().cloned().collect();
        match Attempt::begin(input, &frozen).draw() {
            Ok(drawn) => break drawn,
            // Each round has fewer labs to plan anew, so this ends.
            Err(failures) => note(&mut problems, failures),
        }
    };
    let blueprint = follow(input, drawn, known.parent);
    if cfg!(debug_assertions) {
        assert_sound(input, &blueprint, &problems);
    }
    Planned { blueprint, problems }
}

/// In debug builds every plan keeps the invariants, follows its parent, and equals the one made
/// from nothing but its allocations.
fn assert_sound(input: &PlanInput<'_>, blueprint: &Blueprint, problems: &Failures) {
    // With other settings wires may have to move, and a lab that keeps its part may have what is
    // no longer allowed.
    let held = input.parent.iter().flat_map(|parent| parent.allocations.labs.values());
    if held.flat_map(|held| held.tags.values()).all(|tag| input.settings.allows(*tag)) {
        assert_eq!(invariants::check_blueprint(blueprint), [], "a plan keeps the invariants");
        let broken = input.parent.map(|parent| invariants::check_succession(parent, blueprint));
        assert_eq!(broken.unwrap_or_default(), [], "a plan follows its parent");
    }

    let is_anew = |lab: &LabName| {
        let is_present = |named: &LabInput<'_>| &named.name == lab && matches!(named.wanted, Wanted::Present { .. });
        input.labs.iter().any(is_present) && !problems.contains_key(lab)
    };
    let mut alone = blueprint.clone();
    for spec in alone.specs.values_mut().map(Arc::make_mut) {
        spec.labs.retain(|lab| !is_anew(&lab.name));
        spec.networks.clear();
    }
    let again = PlanInput { parent: Some(&alone), reported_gone: BTreeSet::new(), ..input.clone() };
    let frozen: BTreeSet<LabName> = problems.keys().cloned().collect();
    let drawn = Attempt::begin(&again, &frozen).draw();
    let spec = &blueprint.specs[&input.host];
    assert!(
        drawn.is_ok_and(|drawn| drawn.labs == spec.labs && drawn.networks == spec.networks),
        "a plan made step by step equals one made at once"
    );
}

fn check_all(input: &PlanInput<'_>, sound: Option<&LabName>) -> Failures {
    let mut problems = Failures::new();
    for lab in input.labs.iter().filter(|lab| Some(&lab.name) != sound) {
        let Wanted::Present { topology, overrides } = &lab.wanted else { continue };
        let mut facts = input.facts.clone();
        // What the lab holds is its own, whatever is said of the host.
        facts.devices.retain(|device| !holds_device(input, &lab.name, device));
        let found = crate::check::check(topology, &overrides.left_out, &facts);
        if !found.is_empty() {
            problems.insert(lab.name.clone(), found);
        }
    }
    problems
}

fn holds_device(input: &PlanInput<'_>, lab: &LabName, device: &str) -> bool {
    let spec = input.parent.and_then(|parent| parent.lab(&input.host, lab));
    let mut interfaces = spec.into_iter().flat_map(|lab| &lab.nodes).flat_map(|node| &node.interfaces);
    interfaces.any(|interface| interface.host_device.as_str() == device)
}

fn note(problems: &mut Failures, failures: Failures) {
    for (lab, found) in failures {
        let all = problems.entry(lab).or_default();
        all.extend(found);
        all.sort_by_key(Problem::position);
        all.dedup();
    }
}

/// The blueprint of what was drawn: a host's generation rises only if its spec differs (B1), and
/// there is no new blueprint where nothing differs.
fn follow(input: &PlanInput<'_>, drawn: Drawn, digest: Option<&str>) -> Blueprint {
    let former = input.parent.and_then(|parent| parent.specs.get(&input.host));
    let mut spec = HostSpec {
        format: FORMAT,
        installation: input.installation.clone(),
        host: input.host.clone(),
        generation: former.map_or_else(|| first(input), |former| former.generation.clone()),
        networks: drawn.networks,
        labs: drawn.labs,
    };
    let same_incarnation = spec.generation.incarnation == input.incarnation;
    if former.is_some_and(|former| **former != spec || !same_incarnation) {
        spec.generation = Generation { incarnation: input.incarnation.clone(), number: spec.generation.number + 1 };
    }
    let others = input.parent.into_iter().flat_map(|parent| &parent.specs).filter(|(host, _)| **host != input.host);
    let mut specs: BTreeMap<_, _> = others.map(|(host, spec)| (host.clone(), spec.clone())).collect();
    specs.insert(input.host.clone(), Arc::new(spec));
    let blueprint = Blueprint {
        format: FORMAT,
        incarnation: input.incarnation.clone(),
        number: input.parent.map_or(1, |parent| parent.number),
        parent: input.parent.and_then(|parent| parent.parent.clone()),
        installation: input.installation.clone(),
        dead_tag: input.settings.dead_tag(),
        specs,
        allocations: drawn.allocations,
    };
    match input.parent {
        Some(parent) if *parent != blueprint => {
            let digest = digest.map_or_else(|| parent.digest(), str::to_owned);
            Blueprint { number: parent.number + 1, parent: Some(digest), ..blueprint }
        }
        _ => blueprint,
    }
}

fn first(input: &PlanInput<'_>) -> Generation {
    Generation { incarnation: input.incarnation.clone(), number: 1 }
}
