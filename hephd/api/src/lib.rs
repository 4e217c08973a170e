//! The local API of the heph daemon: its types, said once, and the only client of it.
//!
//! It is HTTP/1.1 over a unix socket, JSON in and JSON out. Every call is `POST /v1/<noun>/<verb>` with
//! one object as its body; reads are calls like any other, so that one shape fits all:
//!
//! ```text
//! curl --unix-socket "$XDG_RUNTIME_DIR/heph/heph.sock" http://heph/v1/task/list -d '{"tag":"home"}'
//! ```
//!
//! * [`types`] holds one struct per call, its answer, and the one shape of an error.
//! * [`client`] sends a call and returns its answer, with a deadline.
//! * [`causes`] tells an error with what caused it.
//! * [`change`] says whether a daemon is about to listen where nobody does.
//! * [`socket`] is the one rule for where the socket and the database are, shared by daemon and clients.
//!
//! This crate knows neither the store nor the network. It exists so that a surface *cannot* open the
//! database.

#![deny(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used))] // In a test, a panic is the report.

pub mod causes;
pub mod change;
pub mod client;
pub mod socket;
pub mod types;

pub use client::{Client, ClientError};
pub use types::{ApiError, Call, code};

/// The version of this program, as sent in [`VERSION_HEADER`].
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The header that carries the sender's version, on every request and on every answer.
pub const VERSION_HEADER: &str = "heph-version";

/// The largest body of a request, in bytes: a text of 12 MiB fits, even where JSON has to escape some of it.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024 * 1024;
