//! What SQLite and `verify` say of a replica's file.

use crate::oracle::{Code, Violation};
use heph_store::env::Env;
use heph_store::verify::verify;
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::sync::Arc;

/// SQLite's own check of a file, in full.
pub(super) fn integrity(replica: &str, path: &Path) -> Result<(), Violation> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let check = || -> rusqlite::Result<String> {
        let db = Connection::open_with_flags(path, flags)?;
        db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
    };
    match check() {
        Ok(found) if found == "ok" => Ok(()),
        Ok(found) => Err(Violation::new(Code::FileDamaged, replica, format!("SQLite finds: {found}"))),
        Err(why) => Err(Violation::unreadable(replica, "the file", &why)),
    }
}

/// The store's own check: hashes, chains, signatures, and the state derived from the log anew.
pub(super) fn verified(replica: &str, path: &Path, env: Arc<dyn Env>) -> Result<(), Violation> {
    let report = verify(path, env).map_err(|why| Violation::unreadable(replica, "the file", &why))?;
    if !report.problems.is_empty() {
        let sentence = format!("{} (and {} more)", report.problems.join("; "), report.more_problems);
        return Err(Violation::new(Code::Verify, replica, sentence));
    }
    if report.digest != report.rebuilt {
        let (stored, again) = (hex::encode(report.digest), hex::encode(report.rebuilt));
        let sentence = format!("the digest is {stored}, and the log makes {again}");
        return Err(Violation::new(Code::Verify, replica, sentence));
    }
    Ok(())
}
