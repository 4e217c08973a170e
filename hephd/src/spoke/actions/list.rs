//! Lists of tasks and of docs, narrowed and in pages.

use std::collections::BTreeMap;

use heph_api::types::{DocList, ListDocs, ListTasks, StateFilter, TaskList};
use heph_store::Filter;
use heph_store::columns::{DONE, DROPPED, OUTSTANDING, task_view};
use heph_store::field::Value;
use heph_store::id::NodeId;
use heph_store::read::{Node, View};

use super::find;
use super::row::Rows;
use super::value::{attention, date, limit};
use crate::spoke::refusal::Refusal;

/// The rows of a page, unless said.
const ROWS_USUAL: u32 = 1_000;
/// The most rows of a page.
const ROWS_MAX: u32 = 10_000;
/// How many docs are looked at at a time.
const DOCS_AT_A_TIME: usize = 1_000;

/// The tasks that fit every filter given, soonest first.
pub fn tasks(view: &View<'_>, request: ListTasks) -> Result<TaskList, Refusal> {
    let wanted = limit(request.limit, ROWS_USUAL, ROWS_MAX)?;
    let status = match request.state {
        StateFilter::Outstanding => Some(OUTSTANDING),
        StateFilter::Done => Some(DONE),
        StateFilter::Dropped => Some(DROPPED),
        StateFilter::All => None,
    };
    let (project, tags) = project_and_tags(view, request.project.as_deref(), request.tag.as_deref())?;
    let filter = Filter {
        kind: "task".to_owned(),
        status: status.map(str::to_owned),
        project,
        tags,
        due: request.due.as_deref().map(|text| date("due", text)).transpose()?.as_ref().and_then(Value::as_date),
        attention: request.attention.map(|colour| attention(colour).to_owned()),
        limit: wanted + 1,
        after: request.after.as_deref().map(parse_task_cursor).transpose()?,
    };
    let found = view.list(&filter)?;
    let mut rows = Rows::new(view);
    let tasks = found.iter().take(wanted).map(|node| rows.task(node)).collect::<Result<_, _>>()?;
    let next = (found.len() > wanted).then(|| found.get(wanted - 1).map(task_cursor)).flatten();
    Ok(TaskList { tasks, next })
}

fn project_and_tags(
    view: &View<'_>,
    project: Option<&str>,
    tag: Option<&str>,
) -> Result<(Option<NodeId>, Vec<NodeId>), Refusal> {
    let project = project.map(|text| find::known_project(view, text)).transpose()?;
    let tag = tag.map(|text| find::known_tag(view, text)).transpose()?;
    Ok((project, tag.into_iter().collect()))
}

/// Names the place behind a row: its number, and the date that it is sorted by.
fn task_cursor(node: &Node) -> String {
    format!("{}:{}", node.row, task_view(&node.state).do_date.unwrap_or_default())
}

fn parse_task_cursor(after: &str) -> Result<(Option<String>, i64), Refusal> {
    let parse = || {
        let (row, date) = after.split_once(':')?;
        Some((Some(date.to_owned()).filter(|date| !date.is_empty()), row.parse().ok()?))
    };
    parse().ok_or_else(|| no_cursor(after))
}

fn no_cursor(after: &str) -> Refusal {
    Refusal::bad_request(format!("after: {after:?} is not what a page before gave as next"))
}

/// Where a doc stands in the list.
type Place = (String, NodeId);

/// The docs that fit every filter given, by title. Context documents belong to their tasks.
pub fn docs(view: &View<'_>, request: ListDocs) -> Result<DocList, Refusal> {
    let wanted = limit(request.limit, ROWS_USUAL, ROWS_MAX)?;
    let after = request.after.as_deref().map(parse_doc_cursor).transpose()?;
    let (project, tags) = project_and_tags(view, request.project.as_deref(), request.tag.as_deref())?;
    let mut page: BTreeMap<Place, Node> = BTreeMap::new();
    each_doc(view, "doc", project, tags, |node| {
        let place = (node.title().to_lowercase(), node.id);
        let is_last = page.len() > wanted && page.last_key_value().is_some_and(|(last, _)| *last < place);
        if after.as_ref().is_none_or(|after| *after < place) && !is_last {
            page.insert(place, node);
        }
        if page.len() > wanted + 1 {
            page.pop_last();
        }
        Ok(())
    })?;
    let mut rows = Rows::new(view);
    let docs = page.values().take(wanted).map(|node| rows.doc(node)).collect::<Result<_, _>>()?;
    let last = page.keys().nth(wanted - 1).map(|(title, id)| format!("{id}:{title}"));
    Ok(DocList { docs, next: last.filter(|_| page.len() > wanted) })
}

fn parse_doc_cursor(after: &str) -> Result<Place, Refusal> {
    let parse = || {
        let (id, title) = after.split_once(':')?;
        Some((title.to_owned(), id.parse().ok()?))
    };
    parse().ok_or_else(|| no_cursor(after))
}

/// Hands every node of a kind that is neither hidden nor owned to `take`, a page at a time.
pub fn each_doc(
    view: &View<'_>,
    kind: &str,
    project: Option<NodeId>,
    tags: Vec<NodeId>,
    mut take: impl FnMut(Node) -> Result<(), Refusal>,
) -> Result<(), Refusal> {
    let mut filter = Filter { kind: kind.to_owned(), project, tags, limit: DOCS_AT_A_TIME, ..Filter::default() };
    loop {
        let found = view.list(&filter)?;
        let Some(last) = found.last() else { return Ok(()) };
        filter.after = Some((task_view(&last.state).do_date, last.row));
        for node in found.into_iter().filter(|node| node.state.owner().is_none()) {
            take(node)?;
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn cursors_read_back() {
        assert_eq!(parse_task_cursor("7:2026-11-20").unwrap(), (Some("2026-11-20".to_owned()), 7));
        assert_eq!(parse_task_cursor("7:").unwrap(), (None, 7));
        let id = NodeId::from_bytes([7; 16]);
        assert_eq!(parse_doc_cursor(&format!("{id}:a: b")).unwrap(), ("a: b".to_owned(), id));
        assert!(parse_task_cursor("x:").is_err() && parse_task_cursor("").is_err() && parse_doc_cursor("7").is_err());
    }
}
