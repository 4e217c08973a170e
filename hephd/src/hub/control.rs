//! The hub's control file, `hub.db`: which owners there are, and which file each one's replica is. All of the hub's own
//! SQL stands here. The file can be lost: what it says about an owner also stands in that owner's replica.

use anyhow::Context;
use heph_store::id::OwnerId;
use rusqlite::{Connection, OpenFlags, params};
use std::{fs::OpenOptions, os::unix::fs::OpenOptionsExt, path::Path};

/// Tells SQLite files apart: `hpHC`.
const APPLICATION_ID: i32 = 0x6870_4843;
/// The format that this version writes.
const FORMAT: i32 = 1;

const SCHEMA: &str = "
    CREATE TABLE owner (
        id         BLOB PRIMARY KEY CHECK (length(id) = 16),
        file       TEXT NOT NULL UNIQUE,
        created_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    PRAGMA application_id = 0x68704843;
    PRAGMA user_version = 1;
";

/// The open control file.
pub struct Control {
    db: Connection,
}

/// An owner, and where its replica is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnerFile {
    /// The owner.
    pub owner: OwnerId,
    /// The name of the replica's file, in the directory of the control file.
    pub file: String,
}

impl Control {
    /// Opens the file at `path`, which is made, readable by its owner only, if it is not there.
    ///
    /// # Errors
    /// If it cannot be opened, is something else, or was written by a newer version.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot open the hub's control file {}", path.display());
        let made = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
        made.map(drop).with_context(failed)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut db = Connection::open_with_flags(path, flags).with_context(failed)?;
        prepare(&mut db, path).with_context(failed)?;
        Ok(Self { db })
    }

    /// Returns the owners, oldest first.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn owners(&self) -> rusqlite::Result<Vec<OwnerFile>> {
        let mut statement = self.db.prepare("SELECT id, file FROM owner ORDER BY created_ms, id")?;
        let rows = statement
            .query_map([], |row| Ok(OwnerFile { owner: OwnerId::from_bytes(row.get(0)?), file: row.get(1)? }))?;
        rows.collect()
    }

    /// Adds an owner; `created_ms` is the clock in Unix milliseconds.
    ///
    /// # Errors
    /// If the owner or the file has a row, or the file cannot be written.
    pub fn add(&self, added: &OwnerFile, created_ms: u64) -> rusqlite::Result<()> {
        let created_ms = i64::try_from(created_ms).unwrap_or(i64::MAX);
        let sql = "INSERT INTO owner (id, file, created_ms) VALUES (?1, ?2, ?3)";
        self.db.execute(sql, params![added.owner.as_bytes(), added.file, created_ms]).map(drop)
    }
}

fn prepare(db: &mut Connection, path: &Path) -> anyhow::Result<()> {
    // Its journal is a file that a commit deletes; only `extra` also syncs that deletion, without which a loss of power
    // would bring the journal back and undo the commit.
    db.pragma_update(None, "synchronous", "extra")?;
    let application: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let format: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let tables: i64 = db.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (application, format) {
        (APPLICATION_ID, FORMAT) => {}
        (APPLICATION_ID, newer) if newer > FORMAT => {
            anyhow::bail!(
                "it was written by a newer heph (format {newer}, this program knows {FORMAT}); upgrade heph on this machine"
            )
        }
        (0, 0) if tables == 0 => {
            let transaction = db.transaction()?;
            transaction.execute_batch(SCHEMA)?;
            transaction.commit()?;
        }
        _ => anyhow::bail!("{} is a database, but not a hub's control file; nothing in it was changed", path.display()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn owners_are_there_again_and_each_only_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.db");
        let row = |n: u8, file: &str| OwnerFile { owner: OwnerId::from_bytes([n; 16]), file: file.to_owned() };
        let control = Control::open(&path).unwrap();
        control.add(&row(2, "heph.db"), 1).unwrap();
        control.add(&row(1, "heph.1.db"), 2).unwrap();
        assert!(control.add(&row(1, "other.db"), 3).is_err());
        assert!(control.add(&row(3, "heph.db"), 3).is_err());
        drop(control);
        let owners = Control::open(&path).unwrap().owners().unwrap();
        assert_eq!(owners, [row(2, "heph.db"), row(1, "heph.1.db")]);
    }

    #[test]
    fn another_database_is_refused_and_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.db");
        Connection::open(&path).unwrap().execute_batch("CREATE TABLE mine (x)").unwrap();
        let why = format!("{:#}", Control::open(&path).err().unwrap());
        assert!(why.contains("not a hub's control file"), "{why}");
        Connection::open(&path).unwrap().execute_batch("INSERT INTO mine VALUES (1)").unwrap();
    }

    #[test]
    fn a_newer_file_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hub.db");
        Control::open(&path).unwrap().db.execute_batch("PRAGMA user_version = 2").unwrap();
        let why = format!("{:#}", Control::open(&path).err().unwrap());
        assert!(why.contains("newer heph"), "{why}");
    }
}
