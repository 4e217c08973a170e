//! Undo: takes back an op with the others of its action, and says in words what became of each change.

use heph_api::types::{NodeRow, Undo, UndoLine, UndoReport};
use heph_store::draft::Draft;
use heph_store::field::{BODY, DELETED, Field, Value};
use heph_store::id::OpRef;
use heph_store::read::{Node, View};
use heph_store::undo::{Undone, UndoneItem};

use super::row::Rows;
use super::{Done, words};
use crate::spoke::refusal::Refusal;

/// Undoes the op that is named, else the newest action of this device.
pub fn undo(draft: &mut Draft<'_>, request: &Undo) -> Result<Undone, Refusal> {
    let op: OpRef = match &request.op {
        Some(text) => text.trim().parse().map_err(|why| {
            Refusal::bad_request(format!("op: {why}")).hint("heph history ID shows the ops of a node")
        })?,
        None => draft.view().newest_undoable()?.ok_or_else(nothing)?,
    };
    Ok(draft.undo(&op)?)
}

fn nothing() -> Refusal {
    Refusal::not_found("this device has done nothing that can be undone")
        .hint("name an op of another device: heph history ID, then heph undo OP")
}

/// Says what an undo did.
pub fn undone(view: &View<'_>, done: Done<Undone>) -> Result<UndoReport, Refusal> {
    let (mut undone, mut kept) = (Vec::new(), Vec::new());
    let mut rows = Rows::new(view);
    for item in &done.answer.items {
        let line = line(view, &mut rows, item)?;
        let lines = if line.why.is_none() { &mut undone } else { &mut kept };
        // A long text is several edits, and one line.
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    let ops = done.answer.ops.iter().map(ToString::to_string).collect();
    Ok(UndoReport { ops, undone, kept, already: done.answer.already, op: done.op })
}

fn line(view: &View<'_>, rows: &mut Rows<'_>, item: &UndoneItem) -> Result<UndoLine, Refusal> {
    let node = match item.node {
        Some(id) => view.node(id)?,
        None => None,
    };
    let row = match &node {
        Some(node) => rows.node(node)?,
        None => NodeRow { node_id: String::new(), short_id: String::new(), kind: String::new(), title: String::new() },
    };
    let what = match (&item.kept, &node) {
        (None, Some(node)) => back(view, node, &item.what)?,
        _ => item.what.clone(),
    };
    Ok(UndoLine { node: row, what, why: item.kept.clone() })
}

/// What a change that was undone is like now.
fn back(view: &View<'_>, node: &Node, what: &str) -> Result<String, Refusal> {
    let field = match what {
        "created" if node.state.hidden => return Ok("made, and gone again".to_owned()),
        "created" => return Ok("made; in conflict with what was written to it since".to_owned()),
        "text" | BODY => return Ok("the text as it was".to_owned()),
        DELETED if node.state.hidden => return Ok("deleted again".to_owned()),
        DELETED => return Ok("brought back".to_owned()),
        name => match Field::new(name) {
            Ok(field) => field,
            Err(_) => return Ok(name.to_owned()),
        },
    };
    let value = node.state.value(what).cloned().unwrap_or(Value::Null);
    words::back_to(view, &field, &value)
}
