//! What of a node was written differently apart: every value, who wrote it, and which is shown.

use heph_api::types::{Contested, Head, PathText};
use heph_store::columns::date_text;
use heph_store::field::{DELETED, Field, PATH, Value};
use heph_store::id::{Generation, OpRef};
use heph_store::merge::Rank;
use heph_store::read::{BodyText, Node, View};
use serde_json::json;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::replica::Devices;
use super::row::is_context;
use super::text;
use crate::spoke::refusal::Refusal;

/// The name under which conflicts of a text are listed.
pub const BODY: &str = heph_store::field::BODY;

/// Everything that is contested on a node; of a task, also the text of its context document, as its `body`.
pub fn all(view: &View<'_>, node: &Node, devices: &Devices) -> Result<Vec<Contested>, Refusal> {
    let awaits = view.awaits(node)?;
    let mut contested = Vec::new();
    for field in &awaits.fields {
        contested.push(register(view, node, field, devices)?);
    }
    if awaits.deletion {
        contested.push(deletion(view, node, devices)?);
    }
    contested.extend(body_of(view, node, devices)?);
    Ok(contested)
}

/// The names of what is contested on a node itself.
pub fn names(view: &View<'_>, node: &Node) -> Result<Vec<String>, Refusal> {
    let awaits = view.awaits(node)?;
    let mut names: Vec<String> = awaits.fields.iter().map(ToString::to_string).collect();
    if awaits.deletion {
        names.push(DELETED.to_owned());
    }
    if !awaits.copies.is_empty() {
        names.push(BODY.to_owned());
    }
    Ok(names)
}

/// The texts of a node, where there are several; of a task, those of its context document.
fn body_of(view: &View<'_>, node: &Node, devices: &Devices) -> Result<Option<Contested>, Refusal> {
    let id = text::of(node);
    let owner = if id == node.id { None } else { view.node(id)? };
    let with_text = owner.as_ref().unwrap_or(node);
    if with_text.id != id {
        return Ok(None);
    }
    body(view, with_text, &view.body(with_text)?, devices)
}

/// The texts of a node, where there are several: the shown one first.
pub fn body(view: &View<'_>, node: &Node, body: &BodyText, devices: &Devices) -> Result<Option<Contested>, Refusal> {
    if body.copies.is_empty() {
        return Ok(None);
    }
    let mut heads = vec![text_head(view, node, node.state.generation(), &body.text, devices)?];
    for copy in &body.copies {
        heads.push(text_head(view, node, copy.generation, &copy.text, devices)?);
    }
    heads[0].shown = true;
    Ok(Some(Contested { field: BODY.to_owned(), heads }))
}

fn text_head(
    view: &View<'_>,
    node: &Node,
    generation: Generation,
    text: &str,
    devices: &Devices,
) -> Result<Head, Refusal> {
    let shows = |head: &&heph_store::merge::Head| head.value.as_generation() == Some(generation);
    let named = node.state.registers.get(BODY).into_iter().flat_map(|register| register.heads()).filter(shows);
    let mut ranks: Vec<Rank> = named.map(|head| head.own).collect();
    for op in node.state.body(generation).into_iter().flat_map(|body| &body.latest) {
        ranks.extend(view.rank(op)?);
    }
    Ok(head(ranks.iter().max(), json!(text), devices))
}

/// The values of a register, each once, the shown one first, then newest first.
fn register(view: &View<'_>, node: &Node, field: &Field, devices: &Devices) -> Result<Contested, Refusal> {
    let register = node.state.registers.get(field).cloned().unwrap_or_default();
    let mut heads: Vec<Head> = Vec::new();
    let mut values: Vec<&Value> = Vec::new();
    for found in register.heads().iter().filter(|found| {
        let is_new = !values.contains(&&found.value);
        values.extend(is_new.then_some(&found.value));
        is_new
    }) {
        heads.push(head(Some(&found.own), value_json(field.as_str(), &found.value), devices));
    }
    if let Some(shown) = heads.first_mut() {
        shown.shown = true;
    }
    if field.as_str() == heph_store::field::PROJECT {
        name_projects(view, &mut heads)?;
    }
    Ok(Contested { field: field.to_string(), heads })
}

/// Projects of one name are told apart by their ids, all others are known by their names.
fn name_projects(view: &View<'_>, heads: &mut [Head]) -> Result<(), Refusal> {
    for head in heads {
        let id = head.value.as_str().and_then(|id| id.parse().ok());
        let Some(id) = id else { continue };
        if let Some(project) = view.node(id)? {
            head.value = json!(format!("{} ({})", project.title(), view.short_id(id)?));
        }
    }
    Ok(())
}

/// A contested deletion: kept or deleted. It is shown, since a node that is not is in no conflict.
fn deletion(view: &View<'_>, node: &Node, devices: &Devices) -> Result<Contested, Refusal> {
    let register = node.state.registers.get(DELETED).cloned().unwrap_or_default();
    let is = |deleted| move |head: &&heph_store::merge::Head| head.value == Value::Bool(deleted);
    let kept = match register.heads().iter().find(is(false)) {
        Some(head) => Some(head.own),
        None => newest_unseen(view, node, &register)?,
    };
    let mut heads = vec![head(kept.as_ref(), json!(false), devices)];
    heads[0].shown = true;
    let deleted = register.heads().iter().find(is(true));
    heads.extend(deleted.map(|found| head(Some(&found.own), json!(true), devices)));
    Ok(Contested { field: DELETED.to_owned(), heads })
}

/// The newest edit that the deletions had not seen, on the node or on what it owns.
fn newest_unseen(
    view: &View<'_>,
    node: &Node,
    register: &heph_store::merge::Register,
) -> Result<Option<Rank>, Refusal> {
    let mut latest: Vec<OpRef> = node.state.latest.clone();
    if node.state.owner().is_none() {
        latest.extend(view.owned(node.id)?.into_iter().flat_map(|owned| owned.state.latest));
    }
    let seen = |op: &OpRef| register.heads().iter().any(|head| head.own.op == *op || head.seen.contains(op));
    let mut newest = None;
    for op in latest.iter().filter(|op| !seen(op)) {
        newest = newest.max(view.rank(op)?);
    }
    Ok(newest)
}

fn head(rank: Option<&Rank>, value: serde_json::Value, devices: &Devices) -> Head {
    Head {
        op: rank.map(|rank| rank.op.to_string()).unwrap_or_default(),
        value,
        stamp_ms: rank.map(|rank| millis(rank.stamp)).unwrap_or_default(),
        origin: rank.map(|rank| rank.op.origin.to_string()).unwrap_or_default(),
        device: rank.and_then(|rank| devices.name(rank.op.origin)),
        shown: false,
    }
}

/// A clock that no calendar reaches is shown as the largest.
pub fn millis(stamp: heph_store::id::Stamp) -> i64 {
    i64::try_from(stamp.get()).unwrap_or(i64::MAX)
}

/// A register's value in JSON.
pub fn value_json(field: &str, value: &Value) -> serde_json::Value {
    match value {
        Value::Null => serde_json::Value::Null,
        Value::Text(text) => json!(text),
        Value::Bool(yes) => json!(yes),
        Value::Int(number) => json!(number),
        Value::Date(_) | Value::DateTime(_) => json!(date_text(value)),
        Value::Node(node) => json!(node.to_string()),
        Value::Bytes(bytes) if field == PATH => json!(PathText(PathBuf::from(OsString::from_vec(bytes.clone())))),
        Value::Bytes(bytes) => json!({ "hex": hex::encode(bytes) }),
    }
}

/// Whether a conflict is listed under the task whose context document it is in.
pub fn belongs_to_task(node: &Node, names: &[String]) -> bool {
    is_context(node) && names.iter().any(|name| name == BODY)
}
