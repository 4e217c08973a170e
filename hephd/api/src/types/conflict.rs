//! Conflicts: values that were written apart, all kept, one of them shown.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{NodeRow, NodeWritten, call};

/// A field with several differing values. `body` and `deleted` are named like fields.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contested {
    /// The field's name.
    pub field: String,
    /// The values, the shown one first, then newest first.
    pub heads: Vec<Head>,
}

/// One of the values of a contested field.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Head {
    /// The op that set it.
    pub op: String,
    /// The value; of `body` the whole text, of `deleted` `true` or `false`. An edit that a deletion had not
    /// seen stands beside it as `false`.
    pub value: Value,
    /// Its author's clock.
    pub stamp_ms: i64,
    /// The origin that wrote it, in hex.
    pub origin: String,
    /// The device's name, where it is known.
    pub device: Option<String>,
    /// Whether it is the one that is shown.
    pub shown: bool,
}

/// `conflict/list`: every visible node with something contested.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListConflicts {}
call!(ListConflicts, "/v1/conflict/list", ConflictList, read);

/// The conflicts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictList {
    /// One row per node, by title.
    pub conflicts: Vec<ConflictRow>,
}

/// A node with something contested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictRow {
    /// The node.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The names of the contested fields.
    pub fields: Vec<String>,
}

/// `conflict/show`: what is contested on one node.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowConflict {
    /// Which node.
    pub id: String,
}
call!(ShowConflict, "/v1/conflict/show", ConflictDetail, read);

/// What is contested on one node; nothing where all is settled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConflictDetail {
    /// The node.
    #[serde(flatten)]
    pub node: NodeRow,
    /// The contested fields.
    pub contested: Vec<Contested>,
}

/// `conflict/take`: settles a contested field on one of its values, on every device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TakeConflict {
    /// Which node.
    pub id: String,
    /// Which field, as `conflict/show` names it.
    pub field: String,
    /// Which value.
    pub head: HeadChoice,
}
call!(TakeConflict, "/v1/conflict/take", NodeWritten);

/// Names one value of a contested field: `{"op": "…"}` or `{"number": 2}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadChoice {
    /// The op that set it: also where another value arrives meanwhile, this is the one taken.
    Op(String),
    /// Its place in `heads`, counted from 1.
    Number(u32),
}
