//! What runs the nodes of the host in memory: every step is over at once.

use std::collections::{BTreeMap, BTreeSet};

use archetype_model::ContainerName;
use archetype_model::observed::{Exit, Mark, NodeObserved, Reading, RunObserved};
use archetype_model::report::ExecState;
use archetype_model::spec::{HostSpec, InterfaceSpec, NodeBody, NodeSpec};
use archetype_model::step::NodeAction;

use super::{State, inside_of};
use crate::event::TaskEnded;

/// What a task tells at its end.
pub(super) fn ended(container: &ContainerName, action: &NodeAction) -> TaskEnded {
    let exec = matches!(action, NodeAction::Exec { .. }).then(|| ExecState::Ended { code: 0, output: String::new() });
    TaskEnded { container: container.clone(), action: action.clone(), error: None, exec }
}

impl State {
    pub(super) fn node_step(
        &mut self,
        spec: &HostSpec,
        container: &ContainerName,
        action: &NodeAction,
    ) -> Result<(), String> {
        if *action == NodeAction::Remove {
            self.containers.remove(container);
            self.processes.remove(container);
            self.set_inside(container, false);
            return Ok(());
        }
        let (lab, node) = spec.node(container).ok_or("no such node")?;
        let number = self.number();
        let shares_with = self.shared_by(node);
        let room = match node.body {
            NodeBody::Namespace(_) => &mut self.processes,
            NodeBody::Container(_) => &mut self.containers,
        };
        let seen = room.entry(container.clone()).or_insert_with(|| NodeObserved {
            id: format!("id-{number}"),
            mark: Mark::of_node(spec, lab, node),
            made_from: node.body_digest(),
            run: RunObserved::Created,
            busy: None,
            privileges: None,
            image: None,
            stand_in: false,
            shares_with,
            ended_by_hand_ms: None,
        });
        let running = || RunObserved::Running { pid: Some(number), start: format!("start-{number}"), health: None };
        match action {
            NodeAction::Start | NodeAction::Restart => {
                seen.run = running();
                self.cold_boot(node);
            }
            NodeAction::Stop => {
                seen.run = RunObserved::Ended { start: "stopped".into(), exit: Exit::Status { code: 0 } };
                self.set_inside(container, false);
            }
            NodeAction::Create | NodeAction::Exec { .. } | NodeAction::Remove | NodeAction::GiveUp => {}
        }
        Ok(())
    }

    /// As the engine: the ids of the containers that have these names now.
    fn shared_by(&self, node: &NodeSpec) -> BTreeSet<String> {
        let named = node.processes_of().into_iter().chain(node.network_of().map(|other| other.as_str()));
        named.filter_map(|named| Some(self.containers.get(&named.parse::<ContainerName>().ok()?)?.id.clone())).collect()
    }

    /// Every start finds its interfaces as declared.
    fn cold_boot(&mut self, node: &NodeSpec) {
        let by_index: BTreeMap<u32, &InterfaceSpec> = node
            .interfaces
            .iter()
            .filter_map(|interface| Some((self.devices.get(&interface.host_device)?.ifindex, interface)))
            .collect();
        let Some(space) = self.namespaces.get_mut(&node.container) else { return };
        space.awake = true;
        let Reading::Known(inside) = &mut space.inside else { return };
        for (index, device) in inside.iter_mut() {
            if let Some(interface) = by_index.get(index) {
                *device = inside_of(interface, device.ifindex, true);
            }
        }
    }

    fn set_inside(&mut self, container: &ContainerName, up: bool) {
        let Some(space) = self.namespaces.get_mut(container) else { return };
        space.awake = up;
        if let Reading::Known(inside) = &mut space.inside {
            inside.values_mut().for_each(|device| device.up = up);
        }
    }
}
