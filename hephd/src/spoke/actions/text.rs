//! Texts: of a doc its own, of a task its context document's, of a day its journal's. Read with a version, and written
//! against one, so that what arrived meanwhile stays.

use heph_api::code;
use heph_api::types::{BodyRead, BodyWritten, HeldOp};
use heph_store::draft::Draft;
use heph_store::field::{KIND, OF, ROLE, TITLE, Value};
use heph_store::id::NodeId;
use heph_store::natural;
use heph_store::read::{Node, View};
use heph_store::version::Version;
use jiff::civil::Date;

use super::row::{CONTEXT, Rows, path};
use super::value::field;
use super::{Done, contested, find, replica::Devices};
use crate::spoke::refusal::Refusal;

/// How many of the last ops on a node are searched for held ones.
const HELD_AMONG: usize = 1_000;

/// The node that holds the text of `node`: of a task its context document, which is the same on every device.
pub fn of(node: &Node) -> NodeId {
    match node.kind() {
        "task" => context(node.id),
        _ => node.id,
    }
}

/// The context document of a task, written or not.
pub fn context(task: NodeId) -> NodeId {
    NodeId::from_uuid(natural::context(task.as_bytes()))
}

/// What was written where, as far as only the write itself can know.
pub struct Wrote {
    /// The node that the caller named.
    pub node: NodeId,
    /// The node that holds the text.
    pub text: NodeId,
    /// Whether the text is another one now.
    pub changed: bool,
    /// Whether something that had arrived meanwhile is merged into it.
    pub merged: bool,
}

/// What a text belongs to, and what has to be said of it when it is first written.
pub enum Owner {
    /// A node that is there, with a text of its own or a context document.
    Node(Node),
    /// A day.
    Day(Date),
}

impl Owner {
    /// The node that a caller sees.
    pub fn id(&self) -> NodeId {
        match self {
            Self::Node(node) => node.id,
            Self::Day(date) => NodeId::from_uuid(natural::journal(*date)),
        }
    }

    /// The node that holds the text.
    pub fn text(&self) -> NodeId {
        match self {
            Self::Node(node) => of(node),
            Self::Day(_) => self.id(),
        }
    }

    /// Says what the node of the text is, where nobody has said so yet.
    fn introduce(&self, draft: &mut Draft<'_>) -> Result<(), Refusal> {
        let text = self.text();
        let state = draft.state(text)?;
        let registers = match self {
            Self::Node(node) if text != node.id => {
                vec![(KIND, Value::text("doc")), (OF, Value::Node(node.id)), (ROLE, Value::text(CONTEXT))]
            }
            Self::Node(_) => Vec::new(),
            Self::Day(date) => vec![(KIND, Value::text("journal")), (TITLE, Value::text(date.to_string()))],
        };
        for (name, value) in registers.into_iter().filter(|(name, _)| state.value(name).is_none()) {
            draft.set(text, &field(name), value)?;
        }
        Ok(())
    }

    /// Refuses to write where the node is deleted, or the one that owns it.
    fn check_visible(&self, draft: &Draft<'_>) -> Result<(), Refusal> {
        let state = draft.state(self.id())?;
        match state.hidden {
            true => Err(Refusal::hidden(self.id(), state.text(TITLE).unwrap_or_default())),
            false => Ok(()),
        }
    }

    /// Writes the whole text, relative to the version that its author read; without one, to what is there.
    pub fn save(&self, draft: &mut Draft<'_>, text: &str, version: Option<&str>) -> Result<Wrote, Refusal> {
        self.check_visible(draft)?;
        let version = version.map(parse_version).transpose()?;
        let saved = draft.save_body(self.text(), text, version.as_ref())?;
        if saved.changed {
            self.introduce(draft)?;
        }
        Ok(Wrote { node: self.id(), text: self.text(), changed: saved.changed, merged: saved.merged })
    }

    /// Appends a paragraph: a line end stands before and after it.
    pub fn append(&self, draft: &mut Draft<'_>, text: &str) -> Result<Wrote, Refusal> {
        self.check_visible(draft)?;
        if text.is_empty() {
            return Err(Refusal::bad_request("there is nothing to append: the text is empty"));
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        draft.append_body(self.text(), &format!("{text}{end}"))?;
        self.introduce(draft)?;
        Ok(Wrote { node: self.id(), text: self.text(), changed: true, merged: false })
    }
}

/// Reads a version token.
pub fn parse_version(text: &str) -> Result<Version, Refusal> {
    let hint = "read the text again, and save against the version that comes with it";
    text.parse().map_err(|why| Refusal::new(code::STALE_VERSION, format!("{why}")).hint(hint))
}

/// Reads a text that is not deleted.
pub fn read(view: &View<'_>, owner: &Owner) -> Result<BodyRead, Refusal> {
    let shown = find::perhaps(view, owner.id())?;
    if shown.state.hidden {
        return Err(Refusal::hidden(shown.id, shown.title()));
    }
    let holder = find::perhaps(view, owner.text())?;
    let body = view.body(&holder)?;
    let mut rows = Rows::new(view);
    let mut node = rows.node(&shown)?;
    if let Owner::Day(date) = owner {
        // A day that was never written is one all the same.
        (node.kind, node.title) = ("journal".to_owned(), date.to_string());
    }
    Ok(BodyRead {
        node,
        text: body.text.clone(),
        version: body.version.to_string(),
        path: path(&holder),
        tags: rows.tags(&shown)?,
        contested: contested::body(view, &holder, &body, &Devices::read(view)?)?,
        held: held(view, &holder)?,
    })
}

/// The ops on a node that are held, as far as they are among the last that were written to it.
pub fn held(view: &View<'_>, node: &Node) -> Result<Vec<HeldOp>, Refusal> {
    if !view.has_held(node.id)? {
        return Ok(Vec::new());
    }
    let history = view.history(node, HELD_AMONG)?.into_iter();
    Ok(history.filter_map(|entry| Some(HeldOp { op: entry.op.to_string(), why: entry.held? })).collect())
}

/// Says how a text stands after a write.
pub fn written(view: &View<'_>, done: Done<Wrote>) -> Result<BodyWritten, Refusal> {
    let node = Rows::new(view).node(&find::perhaps(view, done.answer.node)?)?;
    let version = version_after(view, done.answer.text, done.position)?.to_string();
    Ok(BodyWritten { node, version, changed: done.answer.changed, merged: done.answer.merged, op: done.op })
}

/// The version of a text right after a write: what arrives between the write and this answer, its author has not read.
pub fn version_after(view: &View<'_>, text: NodeId, position: u64) -> Result<Version, Refusal> {
    Ok(view.version(position, find::perhaps(view, text)?.state.generation())?)
}
