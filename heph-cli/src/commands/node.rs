//! What every node has: shown, deleted, found, linked, its history, and taking back what was done.

use heph_api::types::{
    Backlinks, DeleteNode, FindBacklinks, History as HistoryPage, HistoryEntry, NodeDetail, NodeHistory, NodeRow,
    NodeWritten, OwnedNode, Search as SearchCall, ShowNode, UndeleteNode, Undo as UndoCall, UndoLine,
};

use super::conflicts;
use crate::{
    args::{History, Id, Search, Undo},
    dates,
    failure::{Failure, note},
    render::{self, Page, more_than, one_line},
    surface::Surface,
};

pub fn show(surface: &Surface, args: Id) -> Result<(), Failure> {
    let detail = surface.ask(&ShowNode { id: args.id })?;
    surface.print(&detail, |page| print_detail(page, &detail))
}

fn print_detail(page: &mut Page, detail: &NodeDetail) {
    let style = page.style();
    page.line(style.bold(&one_line(&detail.node.title)));
    if detail.hidden {
        page.line(style.alert(&format!("deleted; bring it back: heph undelete {}", detail.node.short_id)));
    }
    let facts = facts(detail);
    let rows: Vec<_> = facts.into_iter().map(|(name, value)| vec![style.dim(name), value]).collect();
    page.columns(&rows);
    for contested in &detail.contested {
        page.line(String::new());
        conflicts::print_contested(page, contested);
    }
    print_log(page, &detail.owned);
    if let Some(body) = detail.body.as_ref().filter(|body| !body.text.is_empty()) {
        page.line(String::new());
        page.text(&body.text);
    }
}

/// Returns the lines above the text: those fields that have a value.
fn facts(detail: &NodeDetail) -> Vec<(&'static str, String)> {
    let task = |of: fn(&heph_api::types::TaskRow) -> Option<&String>| detail.task.as_ref().and_then(of).cloned();
    let some = |number: u64| (number > 0).then(|| number.to_string());
    let held = detail.held.iter().map(|held| format!("{} ({})", held.op, held.why)).collect::<Vec<_>>();
    let facts = [
        ("id", Some(detail.node.node_id.clone())),
        ("kind", Some(detail.node.kind.clone())),
        ("state", task(|task| Some(&task.state))),
        ("do", task(|task| task.do_date.as_ref())),
        ("late", task(|task| task.late_on.as_ref())),
        ("every", task(|task| task.recurrence.as_ref())),
        ("attention", task(|task| task.attention.as_ref())),
        ("project", detail.project.clone()),
        ("tags", (!detail.tags.is_empty()).then(|| detail.tags.join(", "))),
        ("path", detail.path.as_ref().map(ToString::to_string)),
        ("backlinks", some(detail.backlinks)),
        ("held", (!held.is_empty()).then(|| held.join("; "))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, one_line(&value?)))).collect()
}

fn print_log(page: &mut Page, owned: &[OwnedNode]) {
    let style = page.style();
    let entries = owned.iter().filter(|owned| !owned.hidden);
    for (at, text) in entries.filter_map(|entry| Some((entry.stamp_ms, entry.text.as_deref()?))) {
        let mut lines = text.trim_end().lines();
        let first = one_line(lines.next().unwrap_or_default());
        page.line(format!("{}  {first}", style.dim(&dates::at(at))));
        lines.for_each(|line| page.line(format!("    {}", one_line(line))));
    }
}

pub fn rm(surface: &Surface, args: Id) -> Result<(), Failure> {
    let written = surface.ask(&DeleteNode { id: args.id })?;
    print_written(surface, "deleted", &written)
}

pub fn undelete(surface: &Surface, args: Id) -> Result<(), Failure> {
    let written = surface.ask(&UndeleteNode { id: args.id })?;
    print_written(surface, "brought back", &written)
}

fn print_written(surface: &Surface, done: &str, written: &NodeWritten) -> Result<(), Failure> {
    let done = if written.op.is_some() { done } else { "nothing to do:" };
    surface.print(written, |page| page.line(format!("{done} {}", render::node(&written.node))))
}

pub fn search(surface: &Surface, args: Search) -> Result<(), Failure> {
    let found = surface.ask(&SearchCall { query: args.words.join(" "), limit: args.limit })?;
    surface.print(&found.hits, |page| {
        let style = page.style();
        let row = |node: &NodeRow, snippet: &str| {
            let snippet = if snippet.is_empty() { String::new() } else { format!("  {}", one_line(snippet)) };
            node_cells(node, &style.dim(&snippet), page)
        };
        let rows: Vec<_> = found.hits.iter().map(|hit| row(&hit.node, &hit.snippet)).collect();
        page.columns(&rows);
    })?;
    if found.more {
        note(format!("{}; ask for more with --limit", more_than(found.hits.len() as u64, "hit")));
    }
    Ok(())
}

fn node_cells(node: &NodeRow, behind: &str, page: &Page) -> Vec<String> {
    let style = page.style();
    vec![style.bold(&node.short_id), one_line(&node.kind), format!("{}{behind}", one_line(&node.title))]
}

pub fn backlinks(surface: &Surface, args: Id) -> Result<(), Failure> {
    let Backlinks { from, .. } = surface.ask(&FindBacklinks { id: args.id })?;
    surface.print(&from, |page| {
        let rows: Vec<_> = from.iter().map(|node| node_cells(node, "", page)).collect();
        page.columns(&rows);
    })
}

pub fn history(surface: &Surface, args: History) -> Result<(), Failure> {
    let HistoryPage { entries, next, .. } =
        surface.ask(&NodeHistory { id: args.id, limit: args.limit, after: None })?;
    surface.print(&entries, |page| entries.iter().for_each(|entry| print_entry(page, entry)))?;
    if next.is_some() {
        note(format!("{}; ask for more with --limit", more_than(entries.len() as u64, "entry")));
    }
    Ok(())
}

fn print_entry(page: &mut Page, entry: &HistoryEntry) {
    let style = page.style();
    let who = one_line(entry.device.as_deref().unwrap_or(&entry.origin));
    let marks = [(entry.undone, " (undone)"), (entry.held, " (held)")];
    let marks: String = marks.iter().filter(|(is, _)| *is).map(|(_, mark)| *mark).collect();
    page.line(format!("{}  {who}  {}{marks}", style.bold(&dates::at(entry.stamp_ms)), style.dim(&entry.op)));
    entry.what.iter().for_each(|what| page.line(format!("    {}", one_line(what))));
}

pub fn undo(surface: &Surface, args: Undo) -> Result<(), Failure> {
    let report = surface.ask(&UndoCall { op: args.op })?;
    surface.print(&report, |page| {
        if report.already {
            page.line("undone already; nothing to do");
        }
        report.undone.iter().for_each(|line| print_undo(page, "undone", line));
        report.kept.iter().for_each(|line| print_undo(page, "left", line));
    })
}

fn print_undo(page: &mut Page, done: &str, line: &UndoLine) {
    let why = line.why.as_ref().map(|why| format!(" ({})", one_line(why))).unwrap_or_default();
    page.line(format!("{done} on {}: {}{why}", render::node(&line.node), one_line(&line.what)));
}
