//! Links of a lab, and what their state rests on.

use std::collections::BTreeMap;
use std::time::Duration;

use archetype_api::answer::ReconciledLink;
use archetype_api::lab::{Link, Links};
use archetype_api::mapping::InterfaceMappings;
use archetype_api::{Accepted, Explanation, LinkAction, NewLink, Problem, Reconciled};
use archetype_model::LabName;
use archetype_model::status::LinkState;
use archetype_model::step::Resource;
use axum::Json;
use axum::extract::State;
use tokio::time::Instant;

use super::extract::{Document, Segments};
use super::failure::Failure;
use super::labs::accepted;
use crate::desk::{Desk, revision};
use crate::explaining::{Since, explain as explanation};
use crate::linking::{LinkWish, link_unknown, unfit};
use crate::now::Now;
use crate::planning::NotTaken;
use crate::view::LabView;

/// How long a look at every link may take until what was mended is proven again.
const MENDING: Duration = Duration::from_secs(15);

/// So long nothing may become of a link that is wrong before it counts as staying so. The answer to
/// the look at everything has come by then, with what the pass mended.
const STILL: Duration = Duration::from_secs(2);

/// The links of a lab
#[utoipa::path(get, path = "/labs/{lab}/links", operation_id = "list_links", tag = "links", params(("lab" = String, Path)),
    responses((status = 200, body = Links), (status = 404, body = Problem)))]
pub(super) async fn list(State(desk): State<Desk>, Segments(lab): Segments<LabName>) -> Result<Json<Links>, Failure> {
    Ok(Json(Links { links: links(&desk, &lab)? }))
}

fn links(desk: &Desk, lab: &LabName) -> Result<Vec<Link>, Failure> {
    let now = desk.board.look();
    Ok(LabView::of(&now, revision(&now, lab)?, desk.silent_after).links())
}

/// Look at every link again, and mend what is not as wanted
///
/// Everything is read from its source and every link is probed. `valid` were as wanted at the
/// first look, `repaired` were not and are now, or what carries them was mended meanwhile; `errors` still are not, `pending`
/// wait for a node.
#[utoipa::path(post, path = "/labs/{lab}/links/reconcile", operation_id = "reconcile_links", tag = "links", params(("lab" = String, Path)),
    responses((status = 200, body = Reconciled), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn reconcile(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
) -> Result<Json<Reconciled>, Failure> {
    let first = links(&desk, &lab)?;
    let since = Since::now(&desk).await?;
    verify(&desk, &lab).await?;
    let last = at_rest(&desk, &lab).await?;
    let mended = crate::explaining::mended(&desk, &lab, since).await?;
    Ok(Json(counted(&first, last, &mended)))
}

/// The links once all are as wanted; where some stay wrong, once nothing becomes of them any more.
async fn at_rest(desk: &Desk, lab: &LabName) -> Result<Vec<Link>, Failure> {
    let end = Instant::now() + MENDING;
    let mut watch = desk.board.watch();
    let (mut before, mut since) = (None, Instant::now());
    loop {
        watch.mark_unchanged();
        let links = links(desk, lab)?;
        let states: Vec<_> = links.iter().map(|link| (link.actual_state, link.reason.clone())).collect();
        let is_under_way = links.iter().any(|link| link.actual_state == LinkState::Creating);
        if is_under_way || before.as_ref() != Some(&states) {
            (before, since) = (Some(states), Instant::now());
        }
        let rest = (since + STILL).min(end);
        if links.iter().all(|link| is_valid(link) || link.actual_state == LinkState::Pending) || Instant::now() >= rest
        {
            return Ok(links);
        }
        drop(tokio::time::timeout_at(rest, watch.changed()).await);
    }
}

fn is_valid(link: &Link) -> bool {
    matches!(link.actual_state, LinkState::Up | LinkState::Down)
}

fn counted(first: &[Link], last: Vec<Link>, mended: &[String]) -> Reconciled {
    let before: BTreeMap<&str, bool> = first.iter().map(|link| (link.id.as_str(), is_valid(link))).collect();
    // The bridge carries every link that has a port.
    let is_beneath = |subject: &String, port: &str| {
        *subject == Resource::Bridge.to_string() || subject.split(' ').any(|word| word == port)
    };
    let was_mended = |link: &Link| {
        let mut ports = link.endpoints.iter().filter_map(|end| end.ovs_port.as_deref());
        ports.any(|port| mended.iter().any(|subject| is_beneath(subject, port)))
    };
    let mut answer =
        Reconciled { checked: last.len(), valid: 0, repaired: 0, errors: 0, pending: 0, links: Vec::new() };
    for link in last {
        let was_valid = before.get(link.id.as_str()).copied().unwrap_or(false) && !was_mended(&link);
        match (is_valid(&link), was_valid) {
            _ if link.actual_state == LinkState::Pending => answer.pending += 1,
            (true, true) => answer.valid += 1,
            (true, false) => answer.repaired += 1,
            (false, _) => answer.errors += 1,
        }
        answer.links.push(ReconciledLink { id: link.id, state: link.actual_state, reason: link.reason });
    }
    answer
}

/// The facts behind a link's state
///
/// `link` is the link's id, or one of its ends as `node:interface`; the interface by any name it has.
#[utoipa::path(get, path = "/labs/{lab}/links/{link}/explain", operation_id = "explain_link", tag = "links",
    params(("lab" = String, Path), ("link" = String, Path)),
    responses((status = 200, body = Explanation), (status = 404, body = Problem)))]
pub(super) async fn explain(
    State(desk): State<Desk>,
    Segments((lab, link)): Segments<(LabName, String)>,
) -> Result<Json<Explanation>, Failure> {
    let now = desk.board.look();
    let view = LabView::of(&now, revision(&now, &lab)?, desk.silent_after);
    let index = LinkWish { lab: &lab }.index(&now, &link)?;
    let found = explanation(&now, &lab, &view, index, &desk.access.tools());
    Ok(Json(found.ok_or_else(|| link_unknown(&lab, &link))?))
}

/// Wish for a link to carry frames
///
/// `link` is the link's id, or one of its ends as `node:interface`.
#[utoipa::path(post, path = "/labs/{lab}/links/{link}/up", operation_id = "set_link_up", tag = "links",
    params(("lab" = String, Path), ("link" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn up(desk: State<Desk>, at: Segments<(LabName, String)>) -> Result<Json<Accepted>, Failure> {
    wish(desk, at, LinkAction::Up).await
}

/// Wish for a link to have carrier at neither end
///
/// `link` is the link's id, or one of its ends as `node:interface`. The wish is kept when the file
/// is deployed again.
#[utoipa::path(post, path = "/labs/{lab}/links/{link}/down", operation_id = "set_link_down", tag = "links",
    params(("lab" = String, Path), ("link" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn down(desk: State<Desk>, at: Segments<(LabName, String)>) -> Result<Json<Accepted>, Failure> {
    wish(desk, at, LinkAction::Down).await
}

async fn wish(
    State(desk): State<Desk>,
    Segments((lab, link)): Segments<(LabName, String)>,
    action: LinkAction,
) -> Result<Json<Accepted>, Failure> {
    let wish = LinkWish { lab: &lab };
    let appended = desk.planner.take(None, |now| wish.action(now, &link, action)).await?;
    Ok(Json(accepted(&appended)))
}

/// Add a link to a lab
///
/// The lab's declared topology is changed in the store; its file is not, and the next deployment of
/// the file brings back what the file says.
#[utoipa::path(post, path = "/labs/{lab}/links", operation_id = "add_link", tag = "links", params(("lab" = String, Path)),
    request_body = NewLink,
    responses((status = 200, body = Accepted), (status = 404, body = Problem), (status = 422, body = Problem)))]
pub(super) async fn add(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
    Document(link): Document<NewLink>,
) -> Result<Json<Accepted>, Failure> {
    let wish = LinkWish { lab: &lab };
    let mut place = 0;
    let mut add = |now: &Now| {
        let draft;
        (draft, place) = wish.add(now, &link.endpoints)?;
        Ok(draft)
    };
    desk.planner.look_at_wires().await;
    let mut taken = desk.planner.take(None, &mut add).await;
    if matches!(taken, Err(NotTaken::Unplannable(_))) {
        // What is known of the rest of the host may be old: nobody is refused for that.
        desk.planner.refresh_facts().await;
        taken = desk.planner.take(None, &mut add).await;
    }
    Ok(Json(accepted(&taken.map_err(|not_taken| unfit(not_taken, place))?)))
}

/// Remove a link from a lab
///
/// `link` is the link's id, one of its ends as `node:interface`, or both joined by `--`. As with
/// adding, the file is not changed.
#[utoipa::path(delete, path = "/labs/{lab}/links/{link}", operation_id = "remove_link", tag = "links",
    params(("lab" = String, Path), ("link" = String, Path)),
    responses((status = 200, body = Accepted), (status = 404, body = Problem)))]
pub(super) async fn remove(
    State(desk): State<Desk>,
    Segments((lab, link)): Segments<(LabName, String)>,
) -> Result<Json<Accepted>, Failure> {
    let wish = LinkWish { lab: &lab };
    let appended = desk.planner.take(None, |now| wish.remove(now, &link)).await?;
    Ok(Json(accepted(&appended)))
}

/// Which port of Open vSwitch is which interface
#[utoipa::path(get, path = "/labs/{lab}/interface-mappings", operation_id = "list_interface_mappings", tag = "links", params(("lab" = String, Path)),
    responses((status = 200, body = InterfaceMappings), (status = 404, body = Problem)))]
pub(super) async fn mappings(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
) -> Result<Json<InterfaceMappings>, Failure> {
    let now = desk.board.look();
    let view = LabView::of(&now, revision(&now, &lab)?, desk.silent_after);
    Ok(Json(InterfaceMappings { mappings: view.mappings() }))
}

/// The same, with everything read from its source first
#[utoipa::path(post, path = "/labs/{lab}/interface-mappings/sync", operation_id = "sync_interface_mappings", tag = "links", params(("lab" = String, Path)),
    responses((status = 200, body = InterfaceMappings), (status = 404, body = Problem), (status = 503, body = Problem)))]
pub(super) async fn sync(
    State(desk): State<Desk>,
    Segments(lab): Segments<LabName>,
) -> Result<Json<InterfaceMappings>, Failure> {
    revision(&desk.board.look(), &lab)?;
    verify(&desk, &lab).await?;
    mappings(State(desk), Segments(lab)).await
}

/// Has everything read again, and waits until that is on the board.
async fn verify(desk: &Desk, lab: &LabName) -> Result<(), Failure> {
    let verified = |desk: &Desk| desk.board.look().heard.as_ref().and_then(|heard| heard.received);
    let before = verified(desk);
    desk.access.verify(Some(lab.clone())).await.map_err(Failure::agent_away)?;
    let end = Instant::now() + MENDING;
    let mut watch = desk.board.watch();
    while verified(desk) == before && Instant::now() < end {
        drop(tokio::time::timeout_at(end, watch.changed()).await);
    }
    Ok(())
}
