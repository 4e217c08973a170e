//! The file: connections, settings, and the only SQL of the crate, a file per group of tables.

pub mod check;
pub mod derived;
pub mod held;
pub mod log;
pub mod meta;
pub mod migrate;
pub mod state;
pub mod vocabulary;

use crate::error::{Error, Result};
use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

/// How many prepared statements a connection keeps.
const STATEMENTS: usize = 128;
/// How long a connection waits for another's lock before it fails.
const BUSY: Duration = Duration::from_secs(10);

/// Opens the writer's connection, creating the file (readable by its owner only) and its tables where they lack.
pub fn open_writer(path: &Path) -> Result<Connection> {
    create_private(path)?;
    see_the_disk(path)?;
    let mut db =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    migrate::check(&db, path)?;
    write_ahead(&db, path)?;
    db.pragma_update(None, "synchronous", "full")?;
    db.pragma_update(None, "temp_store", "memory")?;
    db.pragma_update(None, "cache_size", -16_384)?;
    db.pragma_update(None, "journal_size_limit", 16 << 20)?;
    migrate::run(&mut db, path)?;
    Ok(db)
}

/// Opens a connection that can only read.
pub fn open_reader(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(STATEMENTS);
    db.pragma_update(None, "cache_size", -4_096)?;
    migrate::check(&db, path)?;
    Ok(db)
}

/// Moves what stands in the write-ahead log into the file, and empties it.
pub fn checkpoint(db: &Connection) -> Result<()> {
    let busy: bool = db.query_row("PRAGMA wal_checkpoint(truncate)", [], |row| row.get(0))?;
    let locked = || rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
    if busy { Err(rusqlite::Error::SqliteFailure(locked(), None).into()) } else { Ok(()) }
}

/// Takes away what makes a file last: it is thrown away in any case.
pub fn make_throwaway(db: &Connection) -> Result<()> {
    db.pragma_update(None, "synchronous", "off")?;
    db.pragma_update(None, "journal_mode", "memory")?;
    Ok(())
}

/// Turns to a write-ahead log. If SQLite cannot, it may say so, or answer the mode that it stays in, or fail only after
/// its answer, and goes on with a rollback journal: then readers would keep the writer waiting, and a power loss could
/// take back the last commit.
fn write_ahead(db: &Connection, path: &Path) -> Result<()> {
    let mut statement = db.prepare("PRAGMA journal_mode = wal")?;
    let answers = statement.query_map([], |row| row.get(0))?;
    let answers: Vec<String> = answers.collect::<rusqlite::Result<_>>()?;
    if answers == ["wal"] {
        return Ok(());
    }
    let source = std::io::Error::other("no write-ahead log could be made for it");
    Err(Error::Io { path: path.to_owned(), source })
}

fn create_private(path: &Path) -> Result<()> {
    let opened = private().create(true).truncate(false).open(path);
    opened.map(drop).map_err(|source| Error::Io { path: path.to_owned(), source })
}

/// Makes the system forget what it remembers of a file that was not closed well, so that SQLite sees what the disk has.
///
/// What the system fails to sync it takes for written all the same, and goes on showing it. SQLite would take that for
/// committed, and whatever is acknowledged on top of it would be gone with it once the power goes.
fn see_the_disk(path: &Path) -> Result<()> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let is_left = std::fs::metadata(&log).is_ok_and(|log| log.len() > 0);
    for path in [path, Path::new(&log)].into_iter().filter(|_| is_left) {
        let forget = |file: std::fs::File| {
            file.sync_all()?; // Only what needs no writing can be forgotten.
            // Where there is no such call, the sync is all that can be done.
            #[cfg(target_os = "linux")]
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
            Ok(())
        };
        let forgotten = std::fs::OpenOptions::new().read(true).write(true).open(path).and_then(forget);
        forgotten.map_err(|source| Error::Io { path: path.to_owned(), source })?;
    }
    Ok(())
}

fn private() -> std::fs::OpenOptions {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

/// Makes an empty file that only its owner can read. Nothing of this name is written over.
pub fn make_private(path: &Path) -> std::io::Result<()> {
    private().create_new(true).open(path).map(drop)
}

/// Copies the file, as it stands at one moment, into an empty one.
pub fn copy_into(from: &Path, to: &Path) -> Result<()> {
    let db = open_reader(from)?;
    let name = to.to_str().ok_or_else(|| Error::Io {
        path: to.to_owned(),
        source: std::io::Error::new(std::io::ErrorKind::InvalidInput, "the name of a backup must be UTF-8"),
    })?;
    db.execute("VACUUM INTO ?1", [name])?;
    Ok(())
}

/// Lets SQLite check a copy.
pub fn check_copy(path: &Path) -> Result<()> {
    let db = open_reader(path)?;
    let found: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if found == "ok" { Ok(()) } else { Err(Error::BadBackup(found)) }
}
