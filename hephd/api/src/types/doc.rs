//! Docs: notes in Markdown, and the answers that every text gives.

use serde::{Deserialize, Serialize};

use super::{Contested, HeldOp, NodeRow, PathText, call};

/// `doc/create`: makes a doc.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateDoc {
    /// One line, not empty.
    pub title: String,
    /// Its text.
    #[serde(default)]
    pub body: Option<String>,
    /// A project's name or id; a name that no project has makes one.
    #[serde(default)]
    pub project: Option<String>,
    /// Names of tags; missing ones are made.
    #[serde(default)]
    pub tags: Vec<String>,
}
call!(CreateDoc, "/v1/doc/create", BodyWritten);

/// `doc/show`: reads a doc (or any other node that has a text).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowDoc {
    /// Which node.
    pub id: String,
}
call!(ShowDoc, "/v1/doc/show", BodyRead, read);

/// A text as it is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BodyRead {
    /// The node that the text belongs to; of a context document, the task.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The text; empty where none was written yet.
    pub text: String,
    /// To be sent with a whole-body write. One that was never written has a version too.
    pub version: String,
    /// The path in the vault it was imported from.
    pub path: Option<PathText>,
    /// Names of tags, sorted.
    pub tags: Vec<String>,
    /// The texts kept beside the shown one, where there are any.
    pub contested: Option<Contested>,
    /// Ops on it that are held.
    pub held: Vec<HeldOp>,
}

/// A text after a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyWritten {
    /// The node that the text belongs to.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The version it has now.
    pub version: String,
    /// Whether anything was written; `false` where the text was so already.
    pub changed: bool,
    /// Whether something that had arrived since the version was read is merged with what was written.
    pub merged: bool,
    /// The last op that was written, if any.
    pub op: Option<String>,
}

/// `doc/save`: writes the whole text of a doc, or of any other node that has one. It is diffed against the
/// version that its author read, so that what arrived meanwhile stays.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveDoc {
    /// Which node; of a task, its context document is written.
    pub id: String,
    /// The whole text as it is to be.
    pub body: String,
    /// The token that came with what was read.
    pub version: String,
}
call!(SaveDoc, "/v1/doc/save", BodyWritten);

/// `doc/append`: appends a paragraph.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendDoc {
    /// Which node.
    pub id: String,
    /// Markdown; a line end is put before and after it where one is missing.
    pub text: String,
}
call!(AppendDoc, "/v1/doc/append", BodyWritten);

/// `doc/list`: the docs, by title.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListDocs {
    /// A project's name or id.
    #[serde(default)]
    pub project: Option<String>,
    /// A tag's name.
    #[serde(default)]
    pub tag: Option<String>,
    /// At most so many, 1 to 10,000; 1,000 unless said.
    #[serde(default)]
    pub limit: Option<u32>,
    /// What the page before gave as `next`.
    #[serde(default)]
    pub after: Option<String>,
}
call!(ListDocs, "/v1/doc/list", DocList, read);

/// One page of docs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocList {
    /// The page, in order.
    pub docs: Vec<DocRow>,
    /// To be sent as `after` for the next page; `null` on the last one.
    pub next: Option<String>,
}

/// A doc in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DocRow {
    /// Its ids, kind and title.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The path in the vault it was imported from.
    pub path: Option<PathText>,
    /// The project's name.
    pub project: Option<String>,
    /// Names of tags, sorted.
    pub tags: Vec<String>,
    /// Whether `heph conflicts` lists it.
    pub conflicted: bool,
}
