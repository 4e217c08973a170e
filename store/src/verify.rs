//! Checks a replica: every hash, chain and signature of the log, and the state against one derived from the log anew.

use crate::chain::{origin_of, verify as verify_signature};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::id::{NodeId, Seq};
use crate::merge::RULES_VERSION;
use crate::node::row_hash;
use crate::op::{Op, Place};
use crate::read::Reads;
use crate::sqlite::{self, log, meta, state};
use crate::writer::{Writer, unpack};
use crate::{digest, page};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// How many rows are read at a time.
const BATCH: i64 = 512;
/// How many problems are listed; more are only counted.
const PROBLEMS_MAX: usize = 50;

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Ops checked.
    pub ops: u64,
    /// Nodes compared.
    pub nodes: u64,
    /// Ops that this version cannot read.
    pub held: u64,
    /// The digest of the state.
    pub digest: [u8; 32],
    /// What is wrong, each a sentence; empty if nothing is.
    pub problems: Vec<String>,
    /// How many problems there are beyond those listed.
    pub more_problems: u64,
}

impl VerifyReport {
    fn problem(&mut self, sentence: String) {
        if self.problems.len() < PROBLEMS_MAX { self.problems.push(sentence) } else { self.more_problems += 1 }
    }
}

/// Checks the replica at `path`, which may be in use. The state is derived again in a scratch file beside it.
pub fn verify(path: &Path, env: Arc<dyn Env>) -> Result<VerifyReport> {
    let reads = Reads::open(path)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".verify-{}", std::process::id()));
    let scratch = Scratch(path.with_file_name(name));
    scratch.remove()?;
    let mut writer = scratch.writer(env)?;
    reads.read(|view| {
        let mut report = VerifyReport::default();
        check_sqlite(view.db, &mut report)?;
        replay(view.db, &mut writer, &mut report)?;
        compare(view.db, &writer.db, &mut report)?;
        report.held = log::counts(view.db)?.1;
        report.digest = digest::total(&view.buckets()?);
        Ok(report)
    })
}

/// A file that is gone when the check ends.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn writer(&self, env: Arc<dyn Env>) -> Result<Writer> {
        let db = sqlite::open_writer(&self.0)?;
        // It is thrown away in any case, so nothing of it needs to reach the disk.
        db.pragma_update(None, "synchronous", "off")?;
        db.pragma_update(None, "journal_mode", "memory")?;
        Writer::open(db, env)
    }

    fn remove(&self) -> Result<()> {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { path: name.into(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "a scratch file of a check could not be removed");
        }
    }
}

fn check_sqlite(db: &Connection, report: &mut VerifyReport) -> Result<()> {
    let found: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        report.problem(format!("the database file is damaged: {found}"));
    }
    Ok(())
}

/// Feeds the log to an empty replica, checking hashes, chains and signatures on the way.
fn replay(db: &Connection, writer: &mut Writer, report: &mut VerifyReport) -> Result<()> {
    writer.db.execute_batch("BEGIN IMMEDIATE")?;
    let head = log::head(db)?;
    let mut roll = [0; 32];
    let mut next = 1;
    while next <= head {
        let rows = log::rows(db, next, (next + BATCH - 1).min(head))?;
        if rows.len() as i64 != BATCH.min(head - next + 1) {
            report.problem(format!("positions are missing from the log after {next}"));
        }
        for row in rows {
            let place = log::place(db, &row)?;
            check_op(&place, &row, report);
            let op = Op::unpack(place, &row.packed)?;
            roll = crate::writer::next_roll(&roll, &row.id);
            check_stretch(db, &row, &place, &roll, report)?;
            writer.append(op, row.id)?;
            report.ops += 1;
        }
        writer.flush()?;
        next += BATCH;
    }
    writer.db.execute_batch("COMMIT")?;
    Ok(())
}

fn check_op(place: &Place, row: &log::LogRow, report: &mut VerifyReport) {
    let hash = Op::unpack(*place, &row.packed).map(|op| op.id());
    if hash != Ok(row.id) {
        report.problem(format!("op {} of origin {} is not what its hash says", place.seq.get(), place.origin));
    }
    if place.seq == Seq::FIRST && place.key.is_none_or(|key| origin_of(&key) != place.origin) {
        report.problem(format!("the key of origin {} is not its key", place.origin));
    }
}

fn check_stretch(
    db: &Connection,
    row: &log::LogRow,
    place: &Place,
    roll: &[u8; 32],
    report: &mut VerifyReport,
) -> Result<()> {
    let Some(stretch) = log::stretch_at(db, row.pos)? else { return Ok(()) };
    let (_, key) = log::chain_origin(db, row.chain)?;
    if !verify_signature(&key, &row.id, &stretch.signature) {
        report.problem(format!("the signature after op {} of origin {} is not right", place.seq.get(), place.origin));
    }
    if stretch.roll != *roll {
        report.problem(format!("the rolling hash at position {} is not that of the log", row.pos));
    }
    Ok(())
}

/// Compares every node's part of the digest, and the sums.
fn compare(db: &Connection, derived: &Connection, report: &mut VerifyReport) -> Result<()> {
    let mut sums: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
    let mut after = 0;
    loop {
        let rows = state::nodes_after(db, after, BATCH as usize)?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in rows {
            let stored = part(row.node, &row.state)?;
            let again = match state::node(derived, row.node)? {
                Some(found) => part(row.node, &found.state)?,
                None => None,
            };
            if stored != again {
                report.problem(format!("the state of node {} is not what its ops say", row.node));
            }
            if let Some(hash) = stored {
                digest::add(sums.entry(digest::bucket(row.node)).or_default(), &hash);
            }
            report.nodes += 1;
        }
    }
    for bucket in 0..=u8::MAX {
        if state::bucket(db, bucket)? != sums.get(&bucket).copied().unwrap_or_default() {
            report.problem(format!("bucket {bucket} of the state digest is not the sum of its nodes"));
        }
        if state::bucket(derived, bucket)? != state::bucket(db, bucket)? {
            report.problem(format!("bucket {bucket} of the state digest is not what the log says"));
        }
    }
    Ok(())
}

fn part(node: NodeId, packed: &[u8]) -> Result<Option<[u8; 32]>> {
    let state = unpack(packed)?;
    Ok((!crate::flush::is_empty(&state)).then(|| row_hash(node, &state)))
}

/// Derives the state anew, in one transaction, if other merge rules made it.
pub(crate) fn upgrade_rules(writer: &mut Writer) -> Result<()> {
    let made_by: u32 = meta::get(&writer.db, "rules_version")?.unwrap_or_default();
    if made_by == RULES_VERSION {
        return Ok(());
    }
    writer.db.execute_batch("BEGIN IMMEDIATE")?;
    match rebuild(writer) {
        Ok(()) => Ok(writer.db.execute_batch("COMMIT")?),
        Err(error) => {
            if !writer.db.is_autocommit() {
                writer.db.execute_batch("ROLLBACK")?;
            }
            Err(error)
        }
    }
}

fn rebuild(writer: &mut Writer) -> Result<()> {
    state::clear(&writer.db)?;
    let head = log::head(&writer.db)?;
    let mut next = 1;
    while next <= head {
        for row in log::rows(&writer.db, next, next + BATCH - 1)? {
            let op = log::content(&writer.db, &row)?;
            writer.apply(row.pos, &op, &row.id)?;
        }
        writer.flush()?;
        next += BATCH;
    }
    meta::put(&writer.db, "rules_version", RULES_VERSION)
}

const _: () = assert!(page::PAGE_BYTES_AIM < page::PAGE_BYTES_MAX);
