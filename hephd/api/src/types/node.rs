//! What every node has, whatever its kind: fields, a body, owned nodes, history, links.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Contested, TaskRow, call};

/// A node in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// The node's UUID.
    pub node_id: String,
    /// Its short id.
    pub short_id: String,
    /// `task`, `doc`, `journal`, `project`, `tag`, `entry`, `device`, or a word of a newer version.
    pub kind: String,
    /// Its title; of a journal the date, of a tag its name; empty where it has none.
    pub title: String,
}

/// `node/show`: everything about one node, also where it is deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowNode {
    /// Which node.
    pub id: String,
}
call!(ShowNode, "/v1/node/show", NodeDetail, read);

/// Everything about one node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeDetail {
    /// Its ids, kind and title; in JSON they stand beside the rest.
    #[serde(flatten)]
    pub node: NodeRow,
    /// Whether it is deleted, or its owner is.
    pub hidden: bool,
    /// The task, where it is one.
    pub task: Option<TaskRow>,
    /// The shown value of every field, by name, unknown ones too.
    pub fields: BTreeMap<String, Value>,
    /// The fields with several differing values, `body` and `deleted` among them.
    pub contested: Vec<Contested>,
    /// The text and its version token, where it has one: of a task its context document's.
    pub body: Option<Body>,
    /// Names of tags, sorted.
    pub tags: Vec<String>,
    /// The project's name.
    pub project: Option<String>,
    /// The project's UUID.
    pub project_id: Option<String>,
    /// The path in the vault it was imported from.
    pub path: Option<super::PathText>,
    /// How many visible nodes link here.
    pub backlinks: u64,
    /// The nodes it owns, oldest first: log entries, the context document.
    pub owned: Vec<OwnedNode>,
    /// Ops on it that are held.
    pub held: Vec<HeldOp>,
}

/// A text, and the token that says which state of it this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Body {
    /// The text.
    pub text: String,
    /// To be sent with a whole-body write: the write is diffed against this state of the text.
    pub version: String,
}

/// A whole text to be written, and the state of it that its author read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyWrite {
    /// The whole text as it is to be.
    pub text: String,
    /// The token that came with what was read. Without one: what is there when the call arrives, which is
    /// right only for a text that its author did not derive from an older one.
    #[serde(default)]
    pub version: Option<String>,
}

/// A node that another one owns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnedNode {
    /// Its ids, kind and title.
    #[serde(flatten)]
    pub node: NodeRow,
    /// Whether it is deleted by itself.
    pub hidden: bool,
    /// The text of a log entry; `null` for other kinds.
    pub text: Option<String>,
    /// When it was made, by its author's clock.
    pub stamp_ms: i64,
}

/// An op that is kept and relayed, without effect until it can be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldOp {
    /// Which op.
    pub op: String,
    /// Why, in words.
    pub why: String,
}

/// `node/delete`: deletes a node with what it owns. It can be undeleted, and undone.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeleteNode {
    /// Which node.
    pub id: String,
}
call!(DeleteNode, "/v1/node/delete", NodeWritten);

/// `node/undelete`: makes a deleted node visible again.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndeleteNode {
    /// Which node.
    pub id: String,
}
call!(UndeleteNode, "/v1/node/undelete", NodeWritten);

/// A node after a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeWritten {
    /// Its ids, kind and title; in JSON they stand beside `op`.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The last op that was written; `null` where everything was so already.
    pub op: Option<String>,
}

/// `node/history`: the ops on a node and on what it owns, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeHistory {
    /// Which node.
    pub id: String,
    /// At most so many, 1 to 1,000; 100 unless said.
    #[serde(default)]
    pub limit: Option<u32>,
    /// What the page before gave as `next`.
    #[serde(default)]
    pub after: Option<String>,
}
call!(NodeHistory, "/v1/node/history", History, read);

/// One page of a node's history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The node.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The ops, newest first.
    pub entries: Vec<HistoryEntry>,
    /// To be sent as `after` for the next page; `null` on the last one.
    pub next: Option<String>,
}

/// One op in a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The op; `heph undo` takes it.
    pub op: String,
    /// Its author's clock.
    pub stamp_ms: i64,
    /// The origin that wrote it, in hex.
    pub origin: String,
    /// The device's name, where it is known.
    pub device: Option<String>,
    /// What ops of one command share.
    pub group: Option<String>,
    /// What it did to this node, one line per change.
    pub what: Vec<String>,
    /// Whether it has been undone.
    pub undone: bool,
    /// Whether it is held, and so without effect.
    pub held: bool,
}

/// `node/backlinks`: the visible nodes whose text links here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FindBacklinks {
    /// Which node.
    pub id: String,
}
call!(FindBacklinks, "/v1/node/backlinks", Backlinks, read);

/// What links to a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backlinks {
    /// The node that is linked to.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The nodes that link to it, each once, by title.
    pub from: Vec<NodeRow>,
}

/// `node/search`: nodes whose title or text has all the words, best first.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Search {
    /// Words; the last one may be the beginning of one.
    pub query: String,
    /// At most so many, 1 to 1,000; 50 unless said.
    #[serde(default)]
    pub limit: Option<u32>,
}
call!(Search, "/v1/node/search", SearchResult, read);

/// What a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchResult {
    /// Best first.
    pub hits: Vec<SearchHit>,
    /// Whether there are more than `limit`.
    pub more: bool,
}

/// One node that a search found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SearchHit {
    /// The node; for a hit in a context document or log entry, the node that owns it.
    #[serde(flatten)]
    pub node: NodeRow,
    /// A few words around the first hit in the text, on one line; empty for a hit in the title only.
    pub snippet: String,
}
