//! The one shape of an error, and its stable codes.

use serde::{Deserialize, Serialize};

/// An error as it crosses the socket: what happened, to what, and what to do next.
///
/// ```
/// use heph_api::{ApiError, code};
/// let error = ApiError::new(code::NOT_FOUND, "no node has the id 1a2b").with_hint("heph search WORDS");
/// assert_eq!(error.status(), 404);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    /// One of [`code`]; a newer daemon may send one that is not there.
    pub code: String,
    /// What happened, to what: lower-case, no full stop at the end.
    pub message: String,
    /// What to do next, where there is something to do.
    #[serde(default)]
    pub hint: Option<String>,
}

impl ApiError {
    /// Returns an error without a hint.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), hint: None }
    }

    /// Returns the same error, saying what to do next.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// Returns the HTTP status that belongs to the code; 500 for a code that is not in [`code`].
    pub fn status(&self) -> u16 {
        match self.code.as_str() {
            code::BAD_REQUEST => 400,
            code::FORBIDDEN => 403,
            code::NOT_FOUND | code::UNKNOWN_CALL => 404,
            code::METHOD_NOT_ALLOWED => 405,
            code::TIMEOUT => 408,
            code::AMBIGUOUS_ID
            | code::HIDDEN
            | code::STALE_VERSION
            | code::CONFLICT
            | code::HELD
            | code::FILE_TOO_NEW
            | code::HUB_REFUSED => 409,
            code::TOO_LARGE => 413,
            code::UNSUPPORTED_MEDIA_TYPE => 415,
            code::NOT_SUPPORTED => 501,
            code::HUB_UNREACHABLE => 502,
            code::BUSY | code::STOPPING => 503,
            code::DISK_FULL => 507,
            _ => 500,
        }
    }
}

/// The stable codes of [`ApiError`]: scripts branch on these, never on a message.
pub mod code {
    /// No node, op, date, field or head fits what was asked for.
    pub const NOT_FOUND: &str = "not_found";
    /// The id fits several nodes; the hint lists them.
    pub const AMBIGUOUS_ID: &str = "ambiguous_id";
    /// The request is not what this call takes: not JSON, a wrong type, a field with a value that cannot be.
    pub const BAD_REQUEST: &str = "bad_request";
    /// There is no such call; a newer daemon may have it.
    pub const UNKNOWN_CALL: &str = "unknown_call";
    /// Calls are `POST`.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// The body is announced as something other than `application/json`.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    /// The request, or a text in it, is larger than the limit.
    pub const TOO_LARGE: &str = "too_large";
    /// The request did not arrive within the time allowed.
    pub const TIMEOUT: &str = "timeout";
    /// The caller's user may not use this socket.
    pub const FORBIDDEN: &str = "forbidden";
    /// The node is deleted (or its owner is): nothing is written to it until it is undeleted.
    pub const HIDDEN: &str = "hidden";
    /// The version token is none that this replica gave out, or belongs to another node.
    pub const STALE_VERSION: &str = "stale_version";
    /// The write contradicts what is there, and merging cannot settle it.
    pub const CONFLICT: &str = "conflict";
    /// An op on the node is held: it needs a newer version, or an update that is still missing.
    pub const HELD: &str = "held";
    /// This daemon cannot do that, in this mode or in this version.
    pub const NOT_SUPPORTED: &str = "not_supported";
    /// A file was written by a newer version of heph.
    pub const FILE_TOO_NEW: &str = "file_too_new";
    /// A directory or file that the request names cannot be read or written.
    pub const FILE_ERROR: &str = "file_error";
    /// The disk is full; nothing of the request was written.
    pub const DISK_FULL: &str = "disk_full";
    /// The hub cannot be reached; what was written is safe here.
    pub const HUB_UNREACHABLE: &str = "hub_unreachable";
    /// The hub answered, and refused or is not the one that is known.
    pub const HUB_REFUSED: &str = "hub_refused";
    /// Too many requests at once; try again.
    pub const BUSY: &str = "busy";
    /// The daemon is about to stop.
    pub const STOPPING: &str = "stopping";
    /// The daemon failed in a way that nobody foresaw; its log says more.
    pub const INTERNAL: &str = "internal";
}
