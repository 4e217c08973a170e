//! Docs: made, read, saved, appended to.

use heph_api::types::{AppendDoc, BodyRead, CreateDoc, SaveDoc, ShowDoc};
use heph_store::draft::Draft;
use heph_store::field::{KIND, TITLE, Value};
use heph_store::read::{Node, View};

use super::find;
use super::task::set_project_and_tags;
use super::text::{self, Owner, Wrote};
use super::value::{field, one_line};
use crate::spoke::refusal::Refusal;

/// Makes a doc, with the project and the tags that are missing.
pub fn create(draft: &mut Draft<'_>, request: &CreateDoc) -> Result<Wrote, Refusal> {
    let doc = draft.fresh_node();
    draft.set(doc, &field(KIND), Value::text("doc"))?;
    draft.set(doc, &field(TITLE), Value::text(one_line("the title", &request.title)?))?;
    set_project_and_tags(draft, doc, request.project.as_deref(), &request.tags)?;
    if let Some(body) = &request.body {
        draft.save_body(doc, body, None)?;
    }
    Ok(Wrote { node: doc, text: doc, changed: true, merged: false })
}

/// Reads the text of a doc, or of any other node that has one.
pub fn show(view: &View<'_>, request: ShowDoc) -> Result<BodyRead, Refusal> {
    text::read(view, &Owner::Node(with_text(find::visible(view, &request.id)?)?))
}

/// Writes the whole text of a node that has one.
pub fn save(draft: &mut Draft<'_>, request: &SaveDoc) -> Result<Wrote, Refusal> {
    let node = with_text(find::visible(&draft.view(), &request.id)?)?;
    Owner::Node(node).save(draft, &request.body, Some(&request.version))
}

/// Appends a paragraph to the text of a node that has one.
pub fn append(draft: &mut Draft<'_>, request: &AppendDoc) -> Result<Wrote, Refusal> {
    let node = with_text(find::visible(&draft.view(), &request.id)?)?;
    Owner::Node(node).append(draft, &request.text)
}

/// Refuses nodes that are known by their name alone.
fn with_text(node: Node) -> Result<Node, Refusal> {
    match node.kind() {
        kind @ ("tag" | "device") => Err(Refusal::bad_request(format!("{} is a {kind}, which has no text", node.id))),
        _ => Ok(node),
    }
}
