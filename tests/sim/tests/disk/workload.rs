//! Something for a database to do, of which is known what it must hold after each step.

use heph_sim::disk::{Disk, Image};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How a database writes: `PRAGMA journal_mode` and `PRAGMA synchronous`.
#[derive(Debug, Clone, Copy)]
pub struct Mode(pub &'static str, pub &'static str);

/// As the store has it.
pub const WAL: Mode = Mode("wal", "full");
/// With a rollback journal; `extra`, since `full` may take back the last commit.
pub const JOURNAL: Mode = Mode("delete", "extra");

/// The rows: a number, and how many bytes of that number.
pub type Rows = BTreeMap<i64, usize>;

/// One step.
#[derive(Debug, Clone, Copy)]
pub enum Step {
    Create,
    Insert(i64, usize),
    Update(i64, usize),
    Delete(i64),
    /// Several rows in one transaction, larger than the cache.
    Bulk(i64),
    Checkpoint,
    Vacuum,
    VacuumInto,
    Reopen,
}

pub const STEPS: [Step; 19] = [
    Step::Create,
    Step::Insert(1, 10),
    Step::Insert(2, 3_000),
    Step::Insert(3, 9_000),
    Step::Checkpoint,
    Step::Insert(4, 100),
    Step::Update(2, 5_000),
    Step::VacuumInto,
    Step::Delete(3),
    Step::Insert(5, 700),
    Step::Reopen,
    Step::Insert(6, 6_000),
    Step::Update(1, 20),
    Step::Bulk(10),
    Step::Insert(7, 1),
    Step::Checkpoint,
    Step::Delete(6),
    Step::Vacuum,
    Step::Insert(8, 4_096),
];

const COPY: &str = "copy.db";

/// A root that no other test has. Nothing has to be there in the real file system.
pub struct Place {
    dir: tempfile::TempDir,
    next: std::cell::Cell<u32>,
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), next: 0.into() }
    }

    /// A root for another disk.
    pub fn root(&self) -> PathBuf {
        self.next.set(self.next.get() + 1);
        self.dir.path().join(self.next.get().to_string())
    }
}

pub fn open(path: &Path, mode: Mode) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.pragma_update(None, "cache_size", 4)?;
    db.pragma_update(None, "journal_mode", mode.0)?;
    db.pragma_update(None, "synchronous", mode.1)?;
    Ok(db)
}

/// A database on a disk, and what was acknowledged.
pub struct Run {
    pub disk: Disk,
    pub path: PathBuf,
    pub mode: Mode,
    pub rows: Rows,
    /// What the rows would be if the step that failed had not.
    pub instead: Rows,
    pub copied: Option<Rows>,
    pub made: bool,
    db: Option<Connection>,
}

impl Run {
    pub fn new(disk: &Disk, mode: Mode) -> Self {
        let (disk, path) = (disk.clone(), disk.root().join("a.db"));
        let (rows, instead) = Default::default();
        Self { disk, path, mode, rows, instead, copied: None, made: false, db: None }
    }

    /// Goes through the steps up to the first that fails.
    pub fn go(&mut self, steps: &[Step]) -> rusqlite::Result<()> {
        steps.iter().try_for_each(|step| self.step(*step))
    }

    /// Does one step. If it fails, the rows may be as if it had not.
    pub fn step(&mut self, step: Step) -> rusqlite::Result<()> {
        let mut after = self.rows.clone();
        match step {
            Step::Insert(id, bytes) | Step::Update(id, bytes) => drop(after.insert(id, bytes)),
            Step::Delete(id) => drop(after.remove(&id)),
            Step::Bulk(from) => after.extend((from..from + 20).map(|id| (id, 2_000))),
            _ => {}
        }
        self.instead = after.clone();
        self.write(step)?;
        self.rows = after;
        self.made |= matches!(step, Step::Create);
        if matches!(step, Step::VacuumInto) {
            self.copied = Some(self.rows.clone());
        }
        Ok(())
    }

    fn write(&mut self, step: Step) -> rusqlite::Result<()> {
        if let Step::Reopen = step {
            self.db = None;
        }
        let db = match self.db.take() {
            Some(db) => db,
            None => open(&self.path, self.mode)?,
        };
        let db = self.db.insert(db);
        let fill = |id: i64, bytes: usize| (id, vec![id as u8; bytes]);
        match step {
            Step::Create => db.execute_batch("CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, bytes BLOB)"),
            Step::Insert(id, n) => db.execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", fill(id, n)).map(drop),
            Step::Update(id, n) => db.execute("UPDATE t SET bytes = ?2 WHERE id = ?1", fill(id, n)).map(drop),
            Step::Delete(id) => db.execute("DELETE FROM t WHERE id = ?1", [id]).map(drop),
            Step::Bulk(from) => {
                let transaction = db.unchecked_transaction()?;
                for id in from..from + 20 {
                    transaction.execute("INSERT OR REPLACE INTO t VALUES (?1, ?2)", fill(id, 2_000))?;
                }
                transaction.commit()
            }
            Step::Checkpoint => db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| match row.get(0)? {
                0 => Ok(()),
                busy => panic!("nobody else is there, and yet the checkpoint was kept busy: {busy}"),
            }),
            Step::Vacuum => db.execute_batch("VACUUM"),
            Step::VacuumInto => {
                // What an earlier try left there is in the way.
                self.disk.remove(Path::new(COPY));
                let to = self.path.with_file_name(COPY);
                // Otherwise its journal, deleted without a sync of the folder, may come back and empty the copy.
                db.pragma_update(None, "synchronous", "extra")?;
                db.execute("VACUUM INTO ?1", [to.to_str().unwrap()])?;
                db.pragma_update(None, "synchronous", self.mode.1)
            }
            Step::Reopen => Ok(()),
        }
    }

    /// Whether another disk, which came after this one, holds what was acknowledged, and all of it in order.
    pub fn check(&self, disk: &Disk) -> Result<(), String> {
        let found = read(&disk.root().join("a.db"), self.mode)?;
        match found {
            Some(rows) if rows == self.rows || rows == self.instead => {}
            None if !self.made => {}
            other => return Err(format!("{other:?} instead of {:?} or {:?}", self.rows, self.instead)),
        }
        match &self.copied {
            Some(rows) if read(&disk.root().join(COPY), Mode("delete", "full"))?.as_ref() != Some(rows) => {
                Err("the copy is gone".to_owned())
            }
            _ => Ok(()),
        }
    }
}

/// The rows of a database that is in order; none if it has no table.
pub fn read(path: &Path, mode: Mode) -> Result<Option<Rows>, String> {
    try_read(path, mode).map_err(|error| format!("{}: {error}", path.display()))?
}

fn try_read(path: &Path, mode: Mode) -> rusqlite::Result<Result<Option<Rows>, String>> {
    let db = open(path, mode)?;
    let checked: String = db.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if checked != "ok" {
        return Ok(Err(checked));
    }
    if !db.table_exists(None, "t")? {
        return Ok(Ok(None));
    }
    let mut statement = db.prepare("SELECT id, bytes FROM t")?;
    let mut rows = statement.query([])?;
    let mut found = Rows::new();
    while let Some(row) = rows.next()? {
        let (id, bytes): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        if bytes.iter().any(|byte| *byte != id as u8) {
            return Ok(Err(format!("row {id} is not what was written")));
        }
        found.insert(id, bytes.len());
    }
    Ok(Ok(Some(found)))
}

/// How many calls the steps take if nothing fails.
pub fn calls(place: &Place, mode: Mode) -> u64 {
    let disk = Disk::new(&place.root(), 0);
    let mut run = Run::new(&disk, mode);
    run.go(&STEPS).unwrap();
    drop(run);
    disk.counters().calls
}

/// A copy of a disk after all steps.
pub fn image(place: &Place, mode: Mode) -> (Image, Rows) {
    let disk = Disk::new(&place.root(), 0);
    let mut run = Run::new(&disk, mode);
    run.go(&STEPS).unwrap();
    (disk.image(), run.rows)
}
