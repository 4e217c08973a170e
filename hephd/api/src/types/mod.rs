//! One struct per call, grouped by noun. What crosses the socket is exactly what stands here.
//!
//! Rules that hold everywhere:
//!
//! * A field that can be absent is `null` in an answer, never left out; in a request it may be left out.
//! * `node_id` is a UUID as text. `short_id` is its shortest unique ending, at least four hex digits. Where
//!   a request says `id`, a whole UUID does, and so does any four or more hex digits that are the beginning
//!   or the end of exactly one node's 32.
//! * A date is `YYYY-MM-DD`, or `YYYY-MM-DDTHH:MM` where a time of day is meant: civil, without a zone.
//! * An op is written `origin:seq:hash`, in hex, decimal and hex: `5f…16 bytes…:42:91ab03…16 bytes…`.
//! * `stamp_ms` is the author's clock in Unix milliseconds: what a device said, whether right or not. The
//!   daemon's own instants (`…_at`, `since`) are RFC 3339 in UTC.
//! * Unknown fields of an answer are to be ignored: newer daemons may add some.

mod conflict;
mod deep_check;
mod doc;
mod error;
mod import;
mod journal;
mod node;
mod patch;
mod path;
mod replica;
mod sync;
mod task;
mod undo;

use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

pub use conflict::*;
pub use deep_check::*;
pub use doc::*;
pub use error::{ApiError, code};
pub use import::*;
pub use journal::*;
pub use node::*;
pub use patch::Patch;
pub use path::PathText;
pub use replica::*;
pub use sync::*;
pub use task::*;
pub use undo::*;

/// How long a client waits for what is only read.
pub const READ_DEADLINE: Duration = Duration::from_secs(10);

/// One call of the local API: the request is the type itself, sent as the JSON body of a `POST` to
/// [`PATH`](Call::PATH).
///
/// ```
/// use heph_api::types::{Call, CreateTask};
/// assert_eq!(CreateTask::PATH, "/v1/task/create");
/// ```
pub trait Call: Serialize + DeserializeOwned {
    /// The path, `/v1/<noun>/<verb>`.
    const PATH: &'static str;
    /// How long a client waits for the answer; `None` for as long as it takes.
    const DEADLINE: Option<Duration> = Some(Duration::from_secs(30));
    /// What comes back with status 200.
    type Answer: Serialize + DeserializeOwned;
}

/// Says which path and answer belong to a request, whether it only reads, and whether it may take as long as it takes.
macro_rules! call {
    ($request:ty, $path:literal, $answer:ty) => {
        impl $crate::types::Call for $request {
            const PATH: &'static str = $path;
            type Answer = $answer;
        }
    };
    ($request:ty, $path:literal, $answer:ty, read) => {
        impl $crate::types::Call for $request {
            const PATH: &'static str = $path;
            const DEADLINE: Option<std::time::Duration> = Some($crate::types::READ_DEADLINE);
            type Answer = $answer;
        }
    };
    ($request:ty, $path:literal, $answer:ty, unhurried) => {
        impl $crate::types::Call for $request {
            const PATH: &'static str = $path;
            const DEADLINE: Option<std::time::Duration> = None;
            type Answer = $answer;
        }
    };
}
pub(crate) use call;

#[cfg(test)]
mod tests;
