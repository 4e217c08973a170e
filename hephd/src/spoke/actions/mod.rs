//! What a surface can ask of this device, one noun per file: a request becomes a draft, or a question to the replica,
//! and what came of it becomes an answer. SQL, sync and HTTP are elsewhere.
//!
//! An action that writes has two halves: the first runs inside the one write transaction and returns what only it can
//! know; the second runs once that is durable, and tells the caller how things stand.

pub mod conflict;
pub mod contested;
pub mod doc;
pub mod door;
pub mod export;
pub mod find;
pub mod import;
pub mod journal;
pub mod list;
pub mod node;
pub mod occurrence;
pub mod replica;
pub mod row;
pub mod task;
pub mod text;
pub mod undo;
pub mod value;
pub mod words;

use heph_store::replica::Written;

/// What the first half of a writing action found out, and the ops that came of it.
pub struct Done<T> {
    /// What the first half returned.
    pub answer: T,
    /// The last op that was written; `None` where everything was so already.
    pub op: Option<String>,
    /// The log's last position right after it.
    pub position: u64,
}

impl<T> From<Written<T>> for Done<T> {
    fn from(written: Written<T>) -> Self {
        let op = written.ops.last().map(ToString::to_string);
        Self { answer: written.answer, op, position: written.position }
    }
}
