//! What was made and is not finished: set up inside its node where that runs, and marked.

use std::collections::BTreeMap;

use archetype_model::observed::Mark;
use archetype_model::spec::HostSpec;
use archetype_model::step::Step;
use archetype_model::{ContainerName, InterfaceName};
use archetype_netns::rtnl::{LinkChange, LinkKey};
use archetype_netns::{Error, Lock, Namespace, folder, interior};

use super::Links;
use super::apply::{Done, Nodes, runs};

/// A device of ours without the mark of what is finished.
pub(super) struct Unfinished {
    index: u32,
    inside: OtherEnd,
}

/// What is so of its other end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum OtherEnd {
    /// It is to be set up.
    Unset,
    /// It was set up: what was done to it inside since is the node's.
    Set,
    /// It is to be set up where it is shut.
    Unknown,
}

impl Unfinished {
    /// One whose other end is to be set up.
    pub(super) fn inside(index: u32) -> Self {
        Self { index, inside: OtherEnd::Unset }
    }

    /// What its alias says of a device that the plan knows for the one that is to bear the mark `wanted`. Whoever makes a
    /// pair writes a mark, or dies before; so anything else was written over a mark by hand.
    fn of(index: u32, alias: &str, wanted: &Mark) -> Option<Self> {
        match alias.parse::<Mark>() {
            Ok(mark) if mark == *wanted => None,
            Ok(mark)
                if mark.is_of_unfinished()
                    && mark == (Mark { interface: mark.interface.clone(), ..wanted.clone() }) =>
            {
                Some(Self::inside(index))
            }
            _ if alias.is_empty() => Some(Self { index, inside: OtherEnd::Unknown }),
            _ => Some(Self { index, inside: OtherEnd::Set }),
        }
    }
}

impl Links {
    /// Sets up inside what was made and may be needed at once, and gives it the mark of what is finished. A pair is made
    /// in one moment and set up in another: one whose maker died between the two tells so by its mark, and would else stay
    /// shut, as if the node's own software had shut it.
    pub(super) fn finish(
        &mut self,
        spec: &HostSpec,
        steps: &[&Step],
        mut answers: Vec<Done>,
        due: Vec<Option<Unfinished>>,
        nodes: &Nodes,
    ) -> Vec<Done> {
        let due = due.into_iter().enumerate().filter_map(|(at, due)| Some((at, due?)));
        let due: Vec<(usize, Unfinished)> = due.filter(|(at, _)| answers[*at].is_ok()).collect();
        if due.is_empty() {
            return answers;
        }
        let all = spec.nodes().flat_map(|(lab, node)| node.interfaces.iter().map(move |one| (lab, node, one)));
        let all: BTreeMap<_, _> = all.map(|(lab, node, one)| (&one.host_device, (lab, node, one))).collect();
        let marked: Vec<u32> = due.iter().map(|(_, due)| due.index).collect();
        for (at, Unfinished { index, inside }) in due {
            let found = device_of(steps[at]).and_then(|device| all.get(device));
            let Some((lab, node, one)) = found else { continue };
            let runs = nodes.get(&node.container).is_some_and(runs);
            let mark = Mark::of_port(spec, lab, node, one).to_string();
            // By its number: under the name may be somebody else's device by now.
            let change = LinkChange::new(LinkKey::Index(index), None).alias(&mark);
            let is_set = match inside {
                OtherEnd::Unset => Ok(false),
                OtherEnd::Set => Ok(true),
                OtherEnd::Unknown => self.is_up_inside(&node.container, index),
            };
            let plugged = match is_set {
                Ok(false) => self.plug(&node.container, &one.name, runs),
                is_set => is_set.map(drop),
            };
            answers[at] = plugged.and_then(|()| match self.host.change(&change) {
                // One that went meanwhile is made again in the next round.
                Err(error) if error.is_absent() => Ok(()),
                done => done,
            });
        }
        self.read_again(&marked);
        answers
    }

    /// The devices among those that are set which lack the mark of what is finished.
    pub(super) fn unfinished(&mut self, spec: &HostSpec, steps: &[&Step]) -> Vec<Option<Unfinished>> {
        let devices = self.devices().ok();
        let all = spec.nodes().flat_map(|(lab, node)| node.interfaces.iter().map(move |one| (lab, node, one)));
        let all: BTreeMap<_, _> = all.map(|(lab, node, one)| (&one.host_device, (lab, node, one))).collect();
        let find = |step: &Step| {
            let Step::SetDevice { device, ifindex, .. } = step else { return None };
            let (lab, node, one) = all.get(device)?;
            Unfinished::of(*ifindex, &devices?.get(ifindex)?.alias, &Mark::of_port(spec, lab, node, one))
        };
        steps.iter().map(|step| find(step)).collect()
    }

    /// Whether the other end of a device is up in its node.
    fn is_up_inside(&mut self, container: &ContainerName, index: u32) -> Result<bool, Error> {
        let Some(space) = self.spaces.get_mut(container) else { return Ok(false) };
        Ok(space.inside(&mut self.host)?.get(&index).is_some_and(|end| end.up))
    }

    /// Writes an interface inside a node that runs; one that does not has it written at its start. A start that has
    /// set up the namespace, by the facts as it read them, may be noted as over only later: so it is asked whether
    /// the namespace is set up, and not only whether the node is known to run.
    fn plug(&mut self, container: &ContainerName, interface: &InterfaceName, runs: bool) -> Done {
        let _lock = Lock::take(&self.facts_path(container), folder::LOCK_PATIENCE)?;
        let missing = || Error::Missing { what: format!("{container} has no facts") };
        let facts = folder::read(&self.place.facts_file(container))?.ok_or_else(missing)?;
        let is_booted = || Namespace::open_node(&facts.namespace)?.rtnl()?.links();
        if runs || is_booted()?.iter().any(|link| link.is_loopback() && link.is_up()) {
            interior::plug(&facts, interface)?;
        }
        Ok(())
    }
}

/// Whether a pair needs no more than to be made: the start of a node that does not run sets it up inside.
pub(super) fn is_finished_as_made(step: &Step, nodes: &Nodes) -> bool {
    matches!(step, Step::MakePair { container, .. } if !nodes.contains_key(container))
}

/// The device that a step makes or sets.
fn device_of(step: &Step) -> Option<&InterfaceName> {
    match step {
        Step::MakePair { device, .. } | Step::SetDevice { device, .. } => Some(device),
        _ => None,
    }
}
