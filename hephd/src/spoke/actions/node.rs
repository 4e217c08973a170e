//! What every node has: shown, deleted, brought back, found, linked, its history.

use std::collections::{BTreeMap, BTreeSet};

use heph_api::types::{
    Backlinks, Body, DeleteNode, FindBacklinks, History, HistoryEntry, NodeDetail, NodeHistory, NodeRow, NodeWritten,
    OwnedNode, Search, SearchHit, SearchResult, ShowNode, UndeleteNode,
};
use heph_store::draft::Draft;
use heph_store::field::{PROJECT, ROLE, Value};
use heph_store::id::NodeId;
use heph_store::read::{self, Node, View};

use super::contested::{self, millis, value_json};
use super::replica::Devices;
use super::row::{Rows, is_context, path};
use super::value::{limit, one_line};
use super::{Done, find, text, words};
use crate::spoke::refusal::Refusal;

/// The characters of a text that stand around a hit.
const SNIPPET_BEFORE: usize = 30;
const SNIPPET_CHARS: usize = 90;

/// Everything about one node, also where it is deleted.
pub fn show(view: &View<'_>, request: ShowNode) -> Result<NodeDetail, Refusal> {
    let node = find::node(view, &request.id)?;
    let devices = Devices::read(view)?;
    let mut rows = Rows::new(view);
    let project = node.state.value(PROJECT).and_then(Value::as_node);
    let shown = node.state.registers.iter();
    let shown = shown.filter_map(|(field, register)| Some((field.as_str(), register.value()?)));
    let fields = shown.map(|(name, value)| (name.to_owned(), value_json(name, value))).collect();
    let is_task = node.kind() == "task";
    Ok(NodeDetail {
        node: rows.node(&node)?,
        hidden: node.state.hidden,
        task: if is_task { Some(rows.task(&node)?) } else { None },
        fields,
        contested: contested::all(view, &node, &devices)?,
        body: body(view, &node)?,
        tags: rows.tags(&node)?,
        project: rows.project_name(project)?,
        project_id: project.map(|id| id.to_string()),
        path: path(&node),
        backlinks: view.backlinks(&node)?.len() as u64,
        owned: owned(view, &node, &mut rows)?,
        held: text::held(view, &node)?,
    })
}

/// The text of a node that has one; a task, a doc and a journal always do.
fn body(view: &View<'_>, node: &Node) -> Result<Option<Body>, Refusal> {
    let holder = find::perhaps(view, text::of(node))?;
    let read = view.body(&holder)?;
    let has_one = !read.text.is_empty() || matches!(node.kind(), "task" | "doc" | "journal");
    Ok(has_one.then(|| Body { text: read.text, version: read.version.to_string() }))
}

fn owned(view: &View<'_>, node: &Node, rows: &mut Rows<'_>) -> Result<Vec<OwnedNode>, Refusal> {
    if node.state.owner().is_some() {
        return Ok(Vec::new());
    }
    let mut owned = Vec::new();
    for child in view.owned(node.id)? {
        let first = child.state.registers.get(ROLE).and_then(|register| register.shown());
        let stamp_ms = first.map(|head| millis(head.own.stamp)).unwrap_or_default();
        let text = entry_text(view, &child)?;
        owned.push(OwnedNode { node: rows.node(&child)?, hidden: child.state.hidden, text, stamp_ms });
    }
    owned.sort_by(|a, b| (a.stamp_ms, &a.node.node_id).cmp(&(b.stamp_ms, &b.node.node_id)));
    Ok(owned)
}

/// The text of a log entry: its title, or, where that is the beginning of a longer text, its body.
pub fn entry_text(view: &View<'_>, node: &Node) -> Result<Option<String>, Refusal> {
    if node.kind() != "entry" {
        return Ok(None);
    }
    let body = view.body(node)?.text;
    Ok(Some(if body.is_empty() { node.title().to_owned() } else { body }))
}

/// Deletes a node with what it owns.
pub fn delete(draft: &mut Draft<'_>, request: &DeleteNode) -> Result<NodeId, Refusal> {
    let node = find::node(&draft.view(), &request.id)?;
    if !node.state.hidden {
        draft.delete(node.id)?;
    }
    Ok(node.id)
}

/// Makes a deleted node visible again.
pub fn undelete(draft: &mut Draft<'_>, request: &UndeleteNode) -> Result<NodeId, Refusal> {
    let node = find::node(&draft.view(), &request.id)?;
    if let Some(owner) = node.state.owner().filter(|owner| *owner != node.id)
        && draft.state(owner)?.hidden
    {
        let message = format!("node {} belongs to a deleted one", node.id);
        return Err(
            Refusal::new(heph_api::code::HIDDEN, message).hint(format!("bring that back: heph undelete {owner}"))
        );
    }
    draft.undelete(node.id)?;
    Ok(node.id)
}

/// Says how a node stands after a write.
pub fn written(view: &View<'_>, done: Done<NodeId>) -> Result<NodeWritten, Refusal> {
    Ok(NodeWritten { node: Rows::new(view).node(&find::by_id(view, done.answer)?)?, op: done.op })
}

/// The ops on a node and on what it owns, newest first.
pub fn history(view: &View<'_>, request: NodeHistory) -> Result<History, Refusal> {
    let wanted = limit(request.limit, 100, 1_000)?;
    let before = request.after.as_deref().map(parse_position).transpose()?;
    let node = find::node(view, &request.id)?;
    let mut nodes = if node.state.owner().is_none() { view.owned(node.id)? } else { Vec::new() };
    nodes.push(node.clone());
    // Newest first; an op that is on several of them is one entry.
    let mut found: BTreeMap<std::cmp::Reverse<u64>, Vec<(&Node, read::HistoryEntry)>> = BTreeMap::new();
    for on in &nodes {
        for entry in page(view, on, before, wanted + 1)? {
            found.entry(std::cmp::Reverse(entry.position)).or_default().push((on, entry));
        }
    }
    let devices = Devices::read(view)?;
    let mut entries = Vec::new();
    for on_several in found.values().take(wanted) {
        entries.push(entry(view, on_several, &devices)?);
    }
    let last = found.keys().take(wanted).next_back().map(|position| position.0.to_string());
    let next = last.filter(|_| found.len() > wanted);
    Ok(History { node: Rows::new(view).node(&node)?, entries, next })
}

fn parse_position(after: &str) -> Result<u64, Refusal> {
    after.parse().map_err(|_| Refusal::bad_request(format!("after: {after:?} is not what a page before gave as next")))
}

/// The newest ops on a node before a position, at least `wanted` if there are so many.
fn page(view: &View<'_>, node: &Node, before: Option<u64>, wanted: usize) -> Result<Vec<read::HistoryEntry>, Refusal> {
    let mut ask = wanted;
    loop {
        let entries = view.history(node, ask)?;
        let all = entries.len() < ask;
        let entries: Vec<_> =
            entries.into_iter().filter(|entry| before.is_none_or(|before| entry.position < before)).collect();
        if all || entries.len() >= wanted {
            return Ok(entries);
        }
        ask *= 4;
    }
}

fn entry(view: &View<'_>, on: &[(&Node, read::HistoryEntry)], devices: &Devices) -> Result<HistoryEntry, Refusal> {
    let (_, first) = on.first().ok_or_else(|| Refusal::not_found("the op is on no node"))?;
    let mut what = Vec::new();
    for (node, entry) in on {
        match &entry.held {
            Some(why) => what.push(why.clone()),
            None => what.extend(words::lines(view, node, &entry.changes)?),
        }
    }
    let group = view.op(&first.op)?.and_then(|(_, op, _)| op.group);
    Ok(HistoryEntry {
        op: first.op.to_string(),
        stamp_ms: millis(first.stamp),
        origin: first.op.origin.to_string(),
        device: devices.name(first.op.origin),
        group: group.map(|group| group.to_string()),
        what,
        undone: first.undone,
        held: first.held.is_some(),
    })
}

/// The visible nodes whose text links to one.
pub fn backlinks(view: &View<'_>, request: FindBacklinks) -> Result<Backlinks, Refusal> {
    let node = find::node(view, &request.id)?;
    let mut rows = Rows::new(view);
    let mut from: Vec<NodeRow> = Vec::new();
    let mut met = BTreeSet::new();
    for linking in view.backlinks(&node)? {
        let shown = owner_of(view, linking)?;
        if shown.id != node.id && met.insert(shown.id) {
            from.push(rows.node(&shown)?);
        }
    }
    from.sort_by(|a, b| (&a.title, &a.node_id).cmp(&(&b.title, &b.node_id)));
    Ok(Backlinks { node: rows.node(&node)?, from })
}

/// The node that a person knows: the owner of a context document or log entry.
fn owner_of(view: &View<'_>, node: Node) -> Result<Node, Refusal> {
    let is_part = is_context(&node) || node.kind() == "entry";
    match node.state.owner().filter(|_| is_part) {
        Some(owner) => Ok(view.node(owner)?.unwrap_or(node)),
        None => Ok(node),
    }
}

/// Nodes whose title or text has all the words, best first.
pub fn search(view: &View<'_>, request: Search) -> Result<SearchResult, Refusal> {
    let wanted = limit(request.limit, 50, 1_000)?;
    let query = one_line("the query", &request.query)?;
    let found = view.search(&query, wanted + 1)?;
    let more = found.len() > wanted;
    let words: Vec<String> =
        query.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    let (mut rows, mut hits, mut met) = (Rows::new(view), Vec::new(), BTreeSet::new());
    for node in found.into_iter().take(wanted) {
        let text = view.body(&node)?.text;
        let text = if text.is_empty() && node.kind() == "entry" { node.title().to_owned() } else { text };
        let shown = owner_of(view, node)?;
        if met.insert(shown.id) {
            hits.push(SearchHit { node: rows.node(&shown)?, snippet: snippet(&text, &words) });
        }
    }
    Ok(SearchResult { hits, more })
}

/// A few words around the first place where one of `words` begins a word, on one line.
fn snippet(text: &str, words: &[String]) -> String {
    let begins = |at: usize| !text[..at].chars().next_back().is_some_and(char::is_alphanumeric);
    let is_hit = |at: usize| words.iter().any(|word| starts_with(&text[at..], word));
    let Some((at, _)) = text.char_indices().find(|(at, _)| begins(*at) && is_hit(*at)) else { return String::new() };
    let before: Vec<(usize, char)> = text[..at].char_indices().rev().take(SNIPPET_BEFORE).collect();
    let start = before.last().map_or(at, |(start, _)| *start);
    let cut: String = text[start..].chars().take(SNIPPET_CHARS).collect();
    let (head, tail) = (if start > 0 { "…" } else { "" }, if start + cut.len() < text.len() { "…" } else { "" });
    format!("{head}{}{tail}", cut.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// Whether a text starts with a word in lower case, whatever its own case.
fn starts_with(text: &str, word: &str) -> bool {
    let mut chars = text.chars().flat_map(char::to_lowercase);
    word.chars().all(|c| chars.next() == Some(c))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(text: &str, words: &[&str]) -> String {
        snippet(text, &words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn a_snippet_stands_around_the_first_hit_on_one_line() {
        assert_eq!(of("Call the\ndentist on Monday", &["dent"]), "Call the dentist on Monday");
        assert_eq!(of("accident", &["dent"]), "");
        assert_eq!(of("ÜBER alles", &["über"]), "ÜBER alles");
        let long = format!("{} dentist {}", "x ".repeat(100), "y ".repeat(100));
        let found = of(&long, &["dentist"]);
        assert!(found.starts_with("…x ") && found.ends_with('…') && found.contains(" dentist y"), "{found}");
    }
}
