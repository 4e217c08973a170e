//! Undo: an op that takes another one back, on every device.

use serde::{Deserialize, Serialize};

use super::{NodeRow, call};

/// `undo/undo`: takes back an op, with the others of its group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Undo {
    /// Which op, as history prints it; without one, this device's newest group that is not undone and is no
    /// undo itself.
    #[serde(default)]
    pub op: Option<String>,
}
call!(Undo, "/v1/undo/undo", UndoReport);

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoReport {
    /// The ops it was about.
    pub ops: Vec<String>,
    /// What was taken back.
    pub undone: Vec<UndoLine>,
    /// What was left as it is, and why.
    pub kept: Vec<UndoLine>,
    /// Whether all of it had been undone before, here or elsewhere: then this was nothing.
    pub already: bool,
    /// The op that undoes, if one was written.
    pub op: Option<String>,
}

/// One thing that an undo took back or left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UndoLine {
    /// The node.
    #[serde(flatten)]
    pub node: NodeRow,
    /// What, in words: `title back to "Buy milk"`.
    pub what: String,
    /// Why it was left; `null` for what was taken back.
    pub why: Option<String>,
}
