//! A replica: every transaction that changes it. One function here is one atomic step; a group nests several as
//! savepoints of one commit, so that many waiting writers share one fsync.

use crate::chain::{origin_of, verify};
use crate::codec::Malformed;
use crate::draft::Draft;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::id::{LogId, OpRef, Origin, OwnerId};
use crate::op::OP_BYTES_MAX;
use crate::page::{Entry, Stretch};
use crate::read::Reads;
use crate::sqlite::{self, log, meta};
use crate::writer::{Writer, emptied};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A position in another replica's log, trusted only while that log's id and rolling hash are what is remembered.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Cursor {
    /// Whose log.
    pub log_id: LogId,
    /// The position of the last op that was taken.
    pub position: u64,
    /// The rolling hash of that log up to the position.
    #[serde(with = "hex::serde")]
    pub roll: [u8; 32],
}

/// One SQLite file, open for writing. Everything blocks; it lives on one thread.
pub struct Replica {
    path: PathBuf,
    writer: Writer,
}

/// What an action wrote.
#[derive(Debug, Clone)]
pub struct Written<T> {
    /// What the action answers.
    pub answer: T,
    /// Its ops; none if nothing had to be written.
    pub ops: Vec<OpRef>,
    /// The position of the log's last op.
    pub position: u64,
}

/// What taking in a page did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ingested {
    /// Ops that are new here.
    pub added: u64,
    /// Ops that were here already.
    pub known: u64,
    /// Nodes that the page hid.
    pub nodes_hidden: u64,
    /// The position of the log's last op.
    pub head: u64,
    /// Set if ops of our own origin came that are not ours: what is written from now on has this origin.
    pub new_origin: Option<Origin>,
}

impl Replica {
    /// Opens the replica at `path`, creating it if there is no such file. The caller sees to it that no other process
    /// writes to the file.
    pub fn open(path: &Path, env: Arc<dyn Env>) -> Result<Self> {
        let db = sqlite::open_writer(path)?;
        let mut writer = Writer::open(db, env)?;
        crate::verify::upgrade_rules(&mut writer)?;
        Ok(Self { path: path.to_owned(), writer })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The origin of what is written from now on.
    pub fn origin(&self) -> Origin {
        self.writer.key.origin()
    }

    /// Names this file's log.
    pub fn log_id(&self) -> LogId {
        self.writer.log_id
    }

    /// Writes into the file itself what still stands in its write-ahead log, and empties that, so that the file is whole
    /// without it. What is durable already stays so if this fails.
    ///
    /// # Errors
    /// If the file cannot be written, or somebody reads from the write-ahead log for too long.
    pub fn tidy(&self) -> Result<()> {
        sqlite::checkpoint(&self.writer.db)
    }

    /// Opens a connection that only reads.
    pub fn reads(&self) -> Result<Reads> {
        Reads::open(&self.path)
    }

    /// Whose data this is, if it has been said.
    pub fn owner(&self) -> Result<Option<OwnerId>> {
        Ok(meta::get::<[u8; 16]>(&self.writer.db, "owner")?.map(OwnerId::from_bytes))
    }

    /// Says whose data this is. No op, id or link changes.
    pub fn set_owner(&mut self, owner: OwnerId) -> Result<()> {
        meta::put(&self.writer.db, "owner", owner.as_bytes())
    }

    /// Runs several steps in one transaction with one fsync. An error means that the commit failed and that nothing of
    /// the group happened.
    pub fn group<R>(&mut self, run: impl FnOnce(&mut Group<'_>) -> R) -> Result<R> {
        self.writer.freshen()?;
        self.writer.db.execute_batch("BEGIN IMMEDIATE")?;
        let mut group = Group { writer: &mut self.writer, lost: None };
        let answer = run(&mut group);
        let lost = group.lost;
        let commit = |writer: &mut Writer| {
            if writer.db.is_autocommit() {
                return Err(lost.unwrap_or(Error::GroupLost));
            }
            writer.freshen()?;
            writer.close_stretch()?;
            Ok(writer.db.execute_batch("COMMIT")?)
        };
        match commit(&mut self.writer) {
            Ok(()) => Ok(answer),
            Err(error) => {
                let back = self.roll_back();
                // That the disk failed is what counts, also if it goes on failing; what is outdated is read back later.
                if error.is_failed_sync() {
                    return Err(error);
                }
                back?;
                Err(error)
            }
        }
    }

    fn roll_back(&mut self) -> Result<()> {
        self.writer.outdate();
        if !self.writer.db.is_autocommit() {
            self.writer.db.execute_batch("ROLLBACK")?;
        }
        self.writer.freshen()
    }
}

/// Steps that share one commit.
pub struct Group<'a> {
    writer: &'a mut Writer,
    /// Why SQLite took all of it back, if it did.
    lost: Option<Error>,
}

impl Group<'_> {
    /// Runs one action. If it fails, nothing of it stays, and the other steps of the group are unharmed.
    pub fn write<T, E: From<Error>>(
        &mut self,
        action: impl FnOnce(&mut Draft<'_>) -> Result<T, E>,
    ) -> Result<Written<T>, E> {
        let mut lost = None;
        let written = self.step(|writer| {
            let mut draft = Draft::new(writer);
            let answer = action(&mut draft)?;
            let ended = draft.finish().and_then(|ops| writer.flush().map(|()| ops));
            let ops = ended.map_err(|error| took_back(writer, error, &mut lost))?;
            Ok(Written { answer, ops, position: writer.head.unsigned_abs() })
        });
        self.lost = self.lost.take().or(lost);
        written
    }

    /// Takes in a page: all or nothing, and nothing twice. The cursor is stored with it.
    pub fn ingest(&mut self, stretches: &[Stretch], cursor: Option<&Cursor>) -> Result<Ingested> {
        let taken = self.step(|writer| {
            let mut report = Ingested::default();
            writer.close_stretch()?;
            writer.hidden_by_merge = 0;
            let mut joined = 0;
            for (stretch, next) in stretches.iter().zip(stretches.iter().skip(1).map(Some).chain([None])) {
                joined = take_stretch(writer, stretch, next, joined, &mut report)?;
            }
            if joined > 0 {
                return Err(Malformed("ops that no signature ends").into());
            }
            writer.flush()?;
            if let Some(cursor) = cursor {
                put_cursor(writer, cursor)?;
            }
            (report.head, report.nodes_hidden) = (writer.head.unsigned_abs(), writer.hidden_by_merge);
            Ok(report)
        });
        taken.map_err(|error| took_back(self.writer, error, &mut self.lost))
    }

    /// Remembers or forgets a fact of the daemon's, such as which hub it knows.
    pub fn set_fact(&mut self, key: &str, value: Option<&str>) -> Result<()> {
        self.in_transaction()?;
        let key = format!("fact/{key}");
        match value {
            Some(value) => meta::put(&self.writer.db, &key, value),
            None => meta::remove(&self.writer.db, &key),
        }
    }

    /// Says whose data this is. No op, id or link changes.
    pub fn set_owner(&mut self, owner: OwnerId) -> Result<()> {
        self.in_transaction()?;
        meta::put(&self.writer.db, "owner", owner.as_bytes())
    }

    /// Forgets how far another log was read: the next pull goes by vector alone.
    pub fn forget_cursor(&mut self) -> Result<()> {
        self.in_transaction()?;
        meta::remove(&self.writer.db, "cursor")
    }

    /// Makes all that follows from the log anew; the log itself is only read. If it fails, nothing of the whole group
    /// happens: what this writes is too much to be set apart from the rest.
    pub fn rebuild(&mut self) -> Result<()> {
        self.in_transaction()?;
        self.writer.freshen()?;
        let Err(error) = crate::verify::rebuild(self.writer) else { return Ok(()) };
        self.writer.outdate();
        if !self.writer.db.is_autocommit() {
            self.writer.db.execute_batch("ROLLBACK")?;
        }
        Err(took_back(self.writer, error, &mut self.lost))
    }

    /// Refuses to go on once SQLite has taken the group back, since every statement would be a commit of its own.
    fn in_transaction(&self) -> Result<()> {
        if self.writer.db.is_autocommit() { Err(Error::GroupLost) } else { Ok(()) }
    }

    fn step<T, E: From<Error>>(&mut self, run: impl FnOnce(&mut Writer) -> Result<T, E>) -> Result<T, E> {
        self.in_transaction()?;
        self.writer.freshen()?;
        self.writer.db.execute_batch("SAVEPOINT step").map_err(Error::from)?;
        let answer = run(self.writer);
        if answer.is_ok() {
            self.writer.db.execute_batch("RELEASE step").map_err(Error::from)?;
        } else {
            self.writer.outdate();
            if !self.writer.db.is_autocommit() {
                self.writer.db.execute_batch("ROLLBACK TO step; RELEASE step").map_err(Error::from)?;
                self.writer.freshen()?;
            }
        }
        answer
    }
}

/// Keeps why a step failed if SQLite took the whole group back with it: that is why nobody's step happened.
fn took_back(writer: &Writer, error: Error, lost: &mut Option<Error>) -> Error {
    if !writer.db.is_autocommit() || lost.is_some() {
        return error;
    }
    *lost = Some(error);
    Error::GroupLost
}

fn put_cursor(writer: &Writer, cursor: &Cursor) -> Result<()> {
    let mut packed = Vec::with_capacity(56);
    packed.extend_from_slice(cursor.log_id.as_bytes());
    packed.extend_from_slice(&cursor.position.to_be_bytes());
    packed.extend_from_slice(&cursor.roll);
    meta::put(&writer.db, "cursor", packed)
}

/// Takes in a stretch that follows `joined` bytes of its chain that no signature has ended yet, and returns how many
/// such bytes there are now. Every signature that is stored has been checked, since it is relayed for ever. To check
/// few of them, stretches that continue each other in a page become one, as long as it stays within the limit.
fn take_stretch(
    writer: &mut Writer,
    stretch: &Stretch,
    next: Option<&Stretch>,
    joined: usize,
    report: &mut Ingested,
) -> Result<usize> {
    let mut new = 0;
    for entry in &stretch.entries {
        new += u64::from(take_entry(writer, entry, report)?);
    }
    report.added += new;
    report.known += stretch.entries.len() as u64 - new;
    let (Some(last), true) = (stretch.entries.last(), new > 0) else { return Ok(joined) };
    let joined = joined + stretch.weight();
    if next.is_some_and(|next| next.continues(last) && joined + next.weight() <= OP_BYTES_MAX) {
        return Ok(joined);
    }
    let (origin, seq) = (last.op.origin, last.op.seq);
    let key = writer.branches().origin(origin)?.map(|row| row.key);
    if !key.is_some_and(|key| verify(&key, &last.id, &stretch.signature)) {
        return Err(Error::BadSignature { origin, seq });
    }
    writer.end_stretch(stretch.signature)?;
    Ok(0)
}

/// Appends an op unless it is here; supplies values that it lacked. Returns whether it is new.
fn take_entry(writer: &mut Writer, entry: &Entry, report: &mut Ingested) -> Result<bool> {
    let Entry { op, id } = entry;
    if let Some((pos, _)) = writer.branches().find(op.origin, op.seq, |found| found == id)? {
        supply(writer, pos, entry)?;
        return Ok(false);
    }
    if op.key.is_some_and(|key| origin_of(&key) != op.origin) {
        return Err(Error::WrongKey { origin: op.origin });
    }
    if op.origin == writer.key.origin() {
        report.new_origin = Some(writer.draw_origin()?);
    }
    writer.append(op.clone(), *id)?;
    writer.flush_if_large()?;
    Ok(true)
}

/// Puts values back that came without their bytes and without an erase.
fn supply(writer: &mut Writer, pos: i64, entry: &Entry) -> Result<()> {
    let missing = log::missing(&writer.db, pos)?;
    let Some(row) = log::row(&writer.db, pos)?.filter(|_| !missing.is_empty()) else { return Ok(()) };
    let mut op = log::content(&writer.db, &row)?;
    let supplied = op.supply(&entry.op, &missing);
    if supplied.is_empty() {
        return Ok(());
    }
    for index in log::erased(&writer.db, &entry.op.reference(&entry.id))? {
        op.erase(index as usize);
    }
    log::replace(&writer.db, pos, &op.pack(), emptied(&op))?;
    for index in supplied {
        log::found(&writer.db, pos, index)?;
    }
    writer.reconsider(pos, &op, &entry.id)
}
