//! Which node a person means: by a whole id or a part of it, a project's name, a tag's.

use heph_api::code;
use heph_store::Filter;
use heph_store::draft::Draft;
use heph_store::field::{KIND, TITLE, Value};
use heph_store::id::NodeId;
use heph_store::natural;
use heph_store::read::{Node, Resolved, View};

use super::value::{field, one_line, tag_name};
use crate::spoke::refusal::Refusal;

/// How many names a hint lists.
const NAMES_MAX: usize = 8;

/// The node with this id, or with an id that begins or ends with these digits.
pub fn node(view: &View<'_>, text: &str) -> Result<Node, Refusal> {
    let text = text.trim();
    match view.resolve(text)? {
        Resolved::One(id) => by_id(view, id),
        Resolved::None => Err(no_node(text)),
        Resolved::Several(ids) => Err(several(view, &format!("the id {text}"), "give more of the id", &ids)?),
    }
}

/// The node with this whole id.
pub fn by_id(view: &View<'_>, id: NodeId) -> Result<Node, Refusal> {
    view.node(id)?.ok_or_else(|| no_node(&id.to_string()))
}

/// A node that is there or could be: an empty one if it never was.
pub fn perhaps(view: &View<'_>, id: NodeId) -> Result<Node, Refusal> {
    Ok(view.node(id)?.unwrap_or_else(|| Node { row: 0, id, state: Default::default() }))
}

/// The node with this id, if it is not deleted.
pub fn visible(view: &View<'_>, text: &str) -> Result<Node, Refusal> {
    let found = node(view, text)?;
    match found.state.hidden {
        true => Err(Refusal::hidden(found.id, found.title())),
        false => Ok(found),
    }
}

/// The task with this id, deleted or not.
pub fn task(view: &View<'_>, text: &str) -> Result<Node, Refusal> {
    let found = visible(view, text)?;
    match found.kind() {
        "task" => Ok(found),
        kind => {
            let message = format!("{text} is a {kind}, not a task: {}", found.title());
            Err(Refusal::bad_request(message).hint("heph list shows tasks"))
        }
    }
}

fn no_node(text: &str) -> Refusal {
    let is_id = text.len() >= 4 && text.chars().all(|c| c == '-' || c.is_ascii_hexdigit());
    let message = match is_id {
        true => format!("no node has an id that begins or ends with {text}"),
        false => format!("{text:?} is not an id: an id is four or more hex digits"),
    };
    let hint = match is_id || text.is_empty() {
        true => "heph list, heph doc list and heph search show ids".to_owned(),
        false => format!("find it: heph search {text}"),
    };
    Refusal::not_found(message).hint(hint)
}

/// Refuses what several nodes fit, listing them.
fn several(view: &View<'_>, what: &str, to_do: &str, ids: &[NodeId]) -> Result<Refusal, Refusal> {
    let mut candidates = Vec::new();
    for id in ids.iter().take(NAMES_MAX) {
        let node = by_id(view, *id)?;
        candidates.push(format!("{} {} {}", view.short_id(*id)?, node.kind(), node.title()));
    }
    let refusal = Refusal::new(code::AMBIGUOUS_ID, format!("{what} fits several nodes"));
    Ok(refusal.hint(format!("{to_do}: {}", candidates.join("; "))))
}

/// A project, there or to be made.
pub enum Project {
    /// This one.
    Known(NodeId),
    /// None has this name.
    New(String),
}

/// The project of this name, or else with this id.
pub fn project(view: &View<'_>, text: &str) -> Result<Project, Refusal> {
    let name = one_line("the project's name", text)?;
    let named = view.titled("project", &name)?;
    let exact: Vec<NodeId> = named.iter().filter(|node| node.title() == name).map(|node| node.id).collect();
    let folded: Vec<NodeId> = named.iter().map(|node| node.id).collect();
    match (exact.as_slice(), folded.as_slice()) {
        ([one], _) | ([], [one]) => return Ok(Project::Known(*one)),
        ([], []) => {}
        _ => return Err(several(view, &format!("the name {name}"), "give the id of one", &folded)?),
    }
    match view.resolve(&name)? {
        Resolved::One(id) if is_project(view, id)? => Ok(Project::Known(id)),
        _ => Ok(Project::New(name)),
    }
}

fn is_project(view: &View<'_>, id: NodeId) -> Result<bool, Refusal> {
    Ok(view.node(id)?.is_some_and(|node| node.kind() == "project" && !node.state.hidden))
}

/// The project of this name or with this id, which has to be there.
pub fn known_project(view: &View<'_>, text: &str) -> Result<NodeId, Refusal> {
    let name = match project(view, text)? {
        Project::Known(id) => return Ok(id),
        Project::New(name) => name,
    };
    Err(Refusal::not_found(format!("there is no project named {name}")).hint(names(view, "project")?))
}

/// The tag of this name, which has to be there.
pub fn known_tag(view: &View<'_>, text: &str) -> Result<NodeId, Refusal> {
    let name = tag_name(text)?;
    let id = NodeId::from_uuid(natural::tag(&name));
    match view.node(id)? {
        Some(_) => Ok(id),
        None => Err(Refusal::not_found(format!("there is no tag named {name}")).hint(names(view, "tag")?)),
    }
}

/// Which names there are, for someone who typed another.
fn names(view: &View<'_>, kind: &str) -> Result<String, Refusal> {
    let filter = Filter { kind: kind.to_owned(), limit: NAMES_MAX + 1, ..Filter::default() };
    let nodes = view.list(&filter)?;
    let mut names: Vec<&str> = nodes.iter().take(NAMES_MAX).map(Node::title).collect();
    if nodes.len() > NAMES_MAX {
        names.push("…");
    }
    Ok(match names.is_empty() {
        true => format!("there is no {kind} yet; heph task TITLE --{kind} NAME makes one"),
        false => format!("there are: {}", names.join(", ")),
    })
}

/// The project of this name or with this id; it is made if there is none.
pub fn or_make_project(draft: &mut Draft<'_>, text: &str) -> Result<NodeId, Refusal> {
    match project(&draft.view(), text)? {
        Project::Known(id) => Ok(id),
        Project::New(name) => {
            let id = draft.fresh_node();
            draft.set(id, &field(KIND), Value::text("project"))?;
            draft.set(id, &field(TITLE), Value::text(name))?;
            Ok(id)
        }
    }
}

/// The tag of this name; it is made if there is none, and comes back if it was deleted.
pub fn or_make_tag(draft: &mut Draft<'_>, text: &str) -> Result<NodeId, Refusal> {
    let name = tag_name(text)?;
    let id = NodeId::from_uuid(natural::tag(&name));
    let state = draft.state(id)?;
    if state.hidden {
        draft.undelete(id)?;
    } else if state.text(KIND).is_none() {
        draft.set(id, &field(KIND), Value::text("tag"))?;
        draft.set(id, &field(TITLE), Value::text(name))?;
    }
    Ok(id)
}
