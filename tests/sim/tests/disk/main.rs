//! The simulated disk, under the real SQLite and the real store: what it keeps, what it loses, and that it can lose.
#![allow(clippy::unwrap_used)]

mod crash;
mod error;
mod many;
mod names;
mod replica;
mod workload;
