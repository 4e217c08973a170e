//! What can go wrong in a replica, in words of the domain.

use crate::codec::Malformed;
use crate::id::{NodeId, OpRef, Origin, Seq};
use std::path::PathBuf;

/// The crate's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a replica refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// SQLite failed: disk full, I/O error, a file that is not what it was.
    #[error("the database failed")]
    Sqlite(#[from] rusqlite::Error),
    /// A file could not be read or written.
    #[error("cannot access {path}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file was written by a newer program.
    #[error(
        "{path} was written by a newer heph (format {found}, this program knows {known}); upgrade heph on this device"
    )]
    FileTooNew {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The file is a SQLite database of something else.
    #[error("{path} is a database, but not heph's; nothing in it was changed")]
    NotAReplica {
        /// The file.
        path: PathBuf,
    },
    /// The file is no database at all.
    #[error("{path} is not a database; nothing in it was changed")]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// What stands in our own file does not decode.
    #[error("the database holds something unreadable ({0}); run `heph verify`")]
    Corrupt(#[from] Malformed),
    /// An op whose predecessor is not here.
    #[error("op {} of origin {origin} does not follow what is here", seq.get())]
    Gap {
        /// Whose chain.
        origin: Origin,
        /// The number of the op that cannot be placed.
        seq: Seq,
    },
    /// The public key does not belong to the origin.
    #[error("the key that came with origin {origin} is not its key")]
    WrongKey {
        /// Whose chain.
        origin: Origin,
    },
    /// A signature does not cover the op that it ends.
    #[error("the signature after op {} of origin {origin} is not right", seq.get())]
    BadSignature {
        /// Whose chain.
        origin: Origin,
        /// The last op of the stretch.
        seq: Seq,
    },
    /// A node that is not here.
    #[error("no node {0}")]
    NoNode(NodeId),
    /// An op that is not here.
    #[error("no op {0}")]
    NoOp(OpRef),
    /// The node is deleted, so nothing may be written to it.
    #[error("node {0} is deleted")]
    Hidden(NodeId),
    /// The node has an op that this version cannot read.
    #[error("node {0} has changes that a newer heph wrote and this one cannot read")]
    HeldNode(NodeId),
    /// A version token of another file or of a text that was never here.
    #[error("this version of the text is not known here")]
    UnknownVersion,
    /// One change alone is beyond the size of an op.
    #[error("a value of {bytes} bytes is too long (at most {max})")]
    TooLong {
        /// Its size.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// A backup could not be trusted.
    #[error("the backup does not match what was copied: {0}")]
    BadBackup(String),
    /// SQLite took the whole group back after another step of it failed, for instance because the disk is full.
    #[error("the database took back everything that was being written with this")]
    GroupLost,
    /// This replica's origin has used up its numbers.
    #[error("origin {0} has used up its numbers")]
    ChainFull(Origin),
}

impl Error {
    /// Returns whether the system could not sync a file: what it shows of the file from then on need not be on the disk.
    pub fn is_failed_sync(&self) -> bool {
        use rusqlite::ffi::{SQLITE_IOERR_DIR_FSYNC, SQLITE_IOERR_FSYNC};
        let Self::Sqlite(error) = self else { return false };
        let code = error.sqlite_error().map(|error| error.extended_code);
        matches!(code, Some(SQLITE_IOERR_FSYNC | SQLITE_IOERR_DIR_FSYNC))
    }
}
