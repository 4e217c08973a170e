//! Docs: made, read, edited, listed.

use heph_api::types::{CreateDoc, DocRow, ListDocs as ListCall};

use super::text::{self, Action, Owner};
use crate::{
    args::{Doc, ListDocs, NewDoc},
    editor::Draft,
    failure::Failure,
    render::{Page, beside, one_line, with_mark},
    surface::Surface,
};

/// The most rows of one page, as the daemon gives them.
const PAGE_ROWS: u32 = 10_000;

pub fn run(surface: &Surface, command: Doc) -> Result<(), Failure> {
    match command {
        Doc::New(args) => new(surface, args),
        Doc::Show(args) => text::run(surface, &Owner::Doc(args.id), Action::Read),
        Doc::Edit(args) => {
            let edit = args.text.body.is_none();
            text::run(surface, &Owner::Doc(args.id), Action::of(None, edit, args.text))
        }
        Doc::Append(args) => text::append(surface, &Owner::Doc(args.id), &args.text.join(" ")),
        Doc::List(args) => list(surface, args),
    }
}

fn new(surface: &Surface, args: NewDoc) -> Result<(), Failure> {
    let title = args.title.join(" ");
    let draft = match (args.editor, args.body.as_deref()) {
        (true, _) => Draft::from_editor("")?,
        (false, Some(text)) => Some(Draft::from_words(text)?),
        (false, None) => None,
    };
    let call = CreateDoc { title, body: None, project: args.project, tags: args.tags };
    let written = match draft {
        None => surface.ask(&call)?,
        Some(draft) => draft.send(
            |file| format!("heph doc new TITLE --body - < {}", file.display()),
            |text| surface.ask(&CreateDoc { body: Some(text), ..call }),
        )?,
    };
    text::print(surface, &written)
}

fn list(surface: &Surface, args: ListDocs) -> Result<(), Failure> {
    let mut call = ListCall {
        project: args.project,
        tag: args.tag,
        limit: Some(args.limit.unwrap_or(PAGE_ROWS).min(PAGE_ROWS)),
        after: None,
    };
    let wanted = args.limit.map_or(usize::MAX, |limit| limit as usize);
    let mut docs: Vec<DocRow> = Vec::new();
    loop {
        let page = surface.ask(&call)?;
        docs.extend(page.docs);
        call.after = page.next;
        if call.after.is_none() || docs.len() >= wanted {
            break;
        }
    }
    docs.truncate(wanted);
    surface.print(&docs, |page| {
        let rows: Vec<_> = docs.iter().map(|doc| row(doc, page)).collect();
        page.columns(&rows);
    })
}

fn row(doc: &DocRow, page: &Page) -> Vec<String> {
    let style = page.style();
    let beside = style.dim(&beside(doc.project.as_deref(), &doc.tags, None));
    let title = format!("{}{beside}", one_line(&doc.node.title));
    vec![style.bold(&doc.node.short_id), with_mark(title, doc.conflicted, style)]
}
