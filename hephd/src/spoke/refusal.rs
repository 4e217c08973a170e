//! What a surface is told when something cannot be done: a stable code, a sentence, and what to type.
//!
//! Every error of the store becomes an [`ApiError`] here and nowhere else.

use heph_api::causes::with_causes;
use heph_api::{ApiError, code};
use heph_store::error::Error;
use heph_store::id::NodeId;

use crate::writer::{ReadError, WriteError};

/// A request that is refused, or that failed.
#[derive(Debug)]
pub struct Refusal(Box<ApiError>);

impl Refusal {
    /// A refusal without a hint; `code` is one of [`code`].
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self(Box::new(ApiError::new(code, message)))
    }

    /// The request holds something that cannot be.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(code::BAD_REQUEST, message)
    }

    /// Nothing fits what was asked for.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(code::NOT_FOUND, message)
    }

    /// The node is deleted, or its owner is.
    pub fn hidden(node: NodeId, title: &str) -> Self {
        let named = if title.is_empty() { node.to_string() } else { format!("\u{201c}{title}\u{201d}") };
        Self::new(code::HIDDEN, format!("{named} is deleted"))
            .hint(format!("bring it back first: heph undelete {node}"))
    }

    /// A file or directory that the request names cannot be read or written.
    pub fn file(what: &str, path: &std::path::Path, source: &std::io::Error) -> Self {
        let code = match source.kind() {
            std::io::ErrorKind::StorageFull => code::DISK_FULL,
            // No file could have such a name.
            std::io::ErrorKind::InvalidInput => code::BAD_REQUEST,
            _ => code::FILE_ERROR,
        };
        Self::new(code, format!("cannot {what} {}: {source}", path.display()))
    }

    fn of(error: &Error) -> Self {
        let (code, hint) = told(error);
        let refusal = Self::new(code, with_causes(&error));
        match hint {
            Some(hint) => refusal.hint(hint),
            None => refusal,
        }
    }

    /// The same refusal, saying what to do next.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self(Box::new(self.0.with_hint(hint)))
    }

    /// The error as it crosses the socket.
    pub fn into_api(self) -> ApiError {
        *self.0
    }

    /// The code, one of [`code`].
    pub fn code(&self) -> &str {
        &self.0.code
    }

    /// What happened.
    pub fn message(&self) -> &str {
        &self.0.message
    }
}

impl From<ApiError> for Refusal {
    fn from(error: ApiError) -> Self {
        Self(Box::new(error))
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::of(&error)
    }
}

impl From<WriteError> for Refusal {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Commit(source) => Self::of(&source),
            WriteError::Stopped => {
                Self::new(code::STOPPING, error.to_string()).hint("start it again: hephd --mode local")
            }
        }
    }
}

impl From<ReadError> for Refusal {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Store(source) => Self::of(&source),
            ReadError::Stopped => {
                Self::new(code::STOPPING, error.to_string()).hint("start it again: hephd --mode local")
            }
        }
    }
}

/// What SQLite answers when the disk is full, and when another process holds the file.
const SQLITE_FULL: i32 = 13;
const SQLITE_BUSY: i32 = 5;

/// The code of an error of the store, and what to do about it.
fn told(error: &Error) -> (&'static str, Option<String>) {
    match error {
        Error::Sqlite(source) => match source.sqlite_error().map(|error| error.extended_code & 0xff) {
            Some(SQLITE_FULL) => (code::DISK_FULL, Some("nothing was written; make room, then try again".to_owned())),
            Some(SQLITE_BUSY) => (code::BUSY, Some("does another program have the database open?".to_owned())),
            _ => (code::INTERNAL, Some("heph verify says whether the database is sound".to_owned())),
        },
        Error::FileTooNew { .. } => (code::FILE_TOO_NEW, Some("upgrade heph on this device".to_owned())),
        Error::Io { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => (code::DISK_FULL, None),
        Error::Io { .. } | Error::NotAReplica { .. } | Error::NotADatabase { .. } => (code::FILE_ERROR, None),
        Error::NoNode(_) => (code::NOT_FOUND, Some("heph list, heph doc list and heph search show ids".to_owned())),
        Error::NoOp(_) => (code::NOT_FOUND, Some("heph history ID shows the ops of a node".to_owned())),
        Error::Hidden(node) => (code::HIDDEN, Some(format!("bring it back first: heph undelete {node}"))),
        Error::HeldNode(_) => (code::HELD, Some("upgrade heph on this device, then try again".to_owned())),
        Error::UnknownVersion => (
            code::STALE_VERSION,
            Some("read the text again, and save against the version that comes with it".to_owned()),
        ),
        Error::TooLong { .. } => (code::TOO_LARGE, Some("divide it".to_owned())),
        _ => (code::INTERNAL, Some("heph verify says whether the database is sound".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_deleted_node_is_refused_with_what_to_type() {
        let node = NodeId::from_bytes([7; 16]);
        let told = Refusal::from(Error::Hidden(node)).into_api();
        assert_eq!(told.code, code::HIDDEN);
        assert_eq!(told.hint, Some(format!("bring it back first: heph undelete {node}")));
    }

    #[test]
    fn a_file_error_says_why() {
        let source = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        let told = Refusal::file("read", std::path::Path::new("/v"), &source).into_api();
        assert_eq!(told.code, code::FILE_ERROR);
        assert_eq!(told.message, "cannot read /v: permission denied");
    }
}
