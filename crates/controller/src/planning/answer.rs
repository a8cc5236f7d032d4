//! What a deployment would change, for people.

use archetype_api::answer::{Change, ChangeKind, PlanAnswer};
use archetype_model::LabName;
use archetype_model::spec::HostSpec;
use archetype_plan::changes::{Part, changes};

use crate::judging::LinkIds;

/// The answer to `plan`, without problems, notes and what is left out. `ids` has the links of the former
/// and of the new file, by their ends.
pub(crate) fn answer(old: Option<&HostSpec>, new: Option<&HostSpec>, lab: &LabName, ids: [&LinkIds; 2]) -> PlanAnswer {
    let mut answer = PlanAnswer {
        lab: Some(lab.to_string()),
        changes: Vec::new(),
        nodes_untouched: 0,
        links_untouched: 0,
        left_out: Vec::new(),
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let Some(new) = new else { return answer };
    let found = changes(old, new, lab);
    let [former, fresh] = ids;
    let removed = found.removed.iter().map(|part| change(ChangeKind::Remove, part, former, None));
    let added = found.added.iter().map(|part| change(ChangeKind::Add, part, fresh, None));
    let changed = found.changed.iter().map(|(part, what)| {
        let is_made_again = matches!(part, Part::Node { node } if found.made_anew.contains(node));
        let kind = if is_made_again { ChangeKind::Recreate } else { ChangeKind::Change };
        change(kind, part, fresh, Some(what.join("; ")))
    });
    answer.changes = removed.chain(changed).chain(added).collect();
    for part in &found.untouched {
        match part {
            Part::Node { .. } => answer.nodes_untouched += 1,
            Part::Wire { .. } | Part::Interface { .. } => answer.links_untouched += 1,
        }
    }
    answer
}

fn change(kind: ChangeKind, part: &Part, ids: &LinkIds, why: Option<String>) -> Change {
    let (what, name) = match part {
        Part::Node { node } => ("node", node.to_string()),
        Part::Wire { wire } => ("link", wire.to_string()),
        Part::Interface { end } => ("link", ids.get(end).cloned().unwrap_or_else(|| end.to_string())),
    };
    Change { change: kind, what: what.to_string(), name, why }
}
