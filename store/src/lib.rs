//! One person's replica: an append-only op-log, the merge that makes state from it, and the SQLite file that holds both.
//!
//! A replica is a set of ops and the state that follows from it. State is a pure function of that set: whatever the
//! order of arrival, replicas that hold the same ops show the same. The same type serves spoke and hub.
//!
//! Reading order: [`op`] (what is written), [`merge`] (what follows), [`replica`] (every transaction), then
//! [`draft`] (what an action writes), [`read`] and [`exchange`] (what surfaces and other replicas ask).

#![warn(missing_docs)]

pub mod body;
pub mod chain;
pub mod codec;
pub mod columns;
pub mod copy;
pub mod digest;
pub mod draft;
pub mod env;
pub mod error;
pub mod exchange;
pub mod field;
pub mod id;
pub mod links;
pub mod merge;
pub mod natural;
pub mod op;
pub mod page;
pub mod read;
pub mod recur;
pub mod replica;
pub mod text;
mod three_way;
pub mod undo;
pub mod vector;
pub mod verify;
pub mod version;

mod apply;
mod branches;
mod derive;
mod flush;
mod node;
mod sqlite;
mod undone;
mod writer;

pub use error::{Error, Result};
pub use sqlite::derived::Filter;
