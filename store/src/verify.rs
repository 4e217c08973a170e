//! Checks a replica: every hash, chain and signature of the log, and the state against one derived from the log anew.

use crate::apply::text_hash;
use crate::body::Document;
use crate::chain::{origin_of, verify as verify_signature};
use crate::env::Env;
use crate::error::{Error, Result};
use crate::id::{NodeId, Seq};
use crate::merge::{NodeState, RULES_VERSION};
use crate::node::row_hash;
use crate::op::{Op, Place};
use crate::read::{Reads, View};
use crate::sqlite::state::NodeRow;
use crate::sqlite::{self, check, log, meta, state};
use crate::writer::{Writer, unpack};
use crate::{digest, page};
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many rows are read at a time.
const BATCH: i64 = 512;
/// How many problems are listed; more are only counted.
const PROBLEMS_MAX: usize = 50;

/// How many checks this process began: two of one file must not share a scratch file.
static CHECKS: AtomicU64 = AtomicU64::new(0);

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
    /// The digest of the state that was derived from the log again.
    pub rebuilt: [u8; 32],
    /// What is wrong, each a sentence; empty if nothing is.
    pub problems: Vec<String>,
    /// How many problems there are beyond those listed.
    pub more_problems: u64,
}

impl VerifyReport {
    fn problem(&mut self, sentence: String) {
        if self.problems.len() < PROBLEMS_MAX { self.problems.push(sentence) } else { self.more_problems += 1 }
    }

    /// Takes what damage makes fail as a problem; any other failure stays one.
    fn tolerate<T>(&mut self, what: &str, found: Result<T>) -> Result<Option<T>> {
        match found.map_err(|error| damage(&error).ok_or(error)) {
            Ok(found) => Ok(Some(found)),
            Err(Ok(why)) => {
                self.problem(format!("{what} cannot be read: {why}"));
                Ok(None)
            }
            Err(Err(error)) => Err(error),
        }
    }
}

/// What is damaged, if that is why something failed.
fn damage(error: &Error) -> Option<String> {
    use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt};
    match error {
        Error::Corrupt(what) => Some(what.to_string()),
        Error::Sqlite(why) => match why.sqlite_error_code() {
            None | Some(ConstraintViolation | DatabaseCorrupt) => Some(why.to_string()),
            Some(_) => None,
        },
        Error::Gap { .. } | Error::WrongKey { .. } | Error::BadSignature { .. } => Some(error.to_string()),
        _ => None,
    }
}

/// Checks the replica at `path`, which may be in use. The state is derived again in a scratch file beside it.
pub fn verify(path: &Path, env: Arc<dyn Env>) -> Result<VerifyReport> {
    let reads = Reads::open(path)?;
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    let number = CHECKS.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".verify-{}-{number}", std::process::id()));
    let scratch = Scratch(path.with_file_name(name));
    scratch.remove()?;
    let mut writer = scratch.writer(env)?;
    reads.read(|view| {
        let mut report = VerifyReport::default();
        let found = check::quick_check(view.db)?;
        if found != "ok" {
            report.problem(format!("the database file is damaged: {found}"));
        }
        let whole = replay(view.db, &mut writer, &mut report)?;
        let compared = compare(view.db, whole.then_some(&writer.db), &mut report);
        report.tolerate("the state", compared)?;
        let ends = check_ends(view.db);
        report.tolerate("the log", ends)?.into_iter().flatten().for_each(|wrong| report.problem(wrong));
        report.held = log::counts(view.db)?.1;
        report.digest = report.tolerate("the digest", view.buckets())?.map_or([0; 32], |sums| digest::total(&sums));
        report.rebuilt = digest::total(&View::new(&writer.db, &writer.known).buckets()?);
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

/// Feeds the log to an empty replica, checking hashes, chains and signatures on the way. Returns whether all of it could
/// be fed; what follows damage is still checked.
fn replay(db: &Connection, writer: &mut Writer, report: &mut VerifyReport) -> Result<bool> {
    writer.db.execute_batch("BEGIN IMMEDIATE")?;
    let head = log::head(db)?;
    let (mut roll, mut whole) = ([0; 32], true);
    let mut next = 1;
    while next <= head {
        let last = (next + BATCH - 1).min(head);
        let rows = report.tolerate(&format!("the log from position {next} on"), log::rows(db, next, last))?;
        if rows.as_ref().is_some_and(|rows| rows.len() as i64 != last - next + 1) {
            report.problem(format!("positions are missing from the log after {next}"));
        }
        whole &= rows.is_some();
        for row in rows.unwrap_or_default() {
            let what = format!("position {} of the log", row.pos);
            let checked = check_row(db, &row, &mut roll, report);
            match report.tolerate(&what, checked)? {
                Some(op) if whole => whole = report.tolerate(&what, writer.append(op, row.id))?.is_some(),
                op => whole &= op.is_some(),
            }
            report.ops += 1;
        }
        if whole {
            writer.flush()?;
        }
        next += BATCH;
    }
    writer.db.execute_batch("COMMIT")?;
    Ok(whole)
}

/// Checks a row of the log, and returns its op if that can be read.
fn check_row(db: &Connection, row: &log::LogRow, roll: &mut [u8; 32], report: &mut VerifyReport) -> Result<Op> {
    *roll = crate::writer::next_roll(roll, &row.id);
    let place = log::place(db, row)?;
    check_stretch(db, row, &place, roll, report)?;
    if place.seq == Seq::FIRST && place.key.is_none_or(|key| origin_of(&key) != place.origin) {
        report.problem(format!("the key of origin {} is not its key", place.origin));
    }
    let op = Op::unpack(place, &row.packed)?;
    if op.id() != row.id {
        report.problem(format!("op {} of origin {} is not what its hash says", place.seq.get(), place.origin));
    }
    Ok(op)
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

/// Compares every node with what the log makes of it, as far as that is known, and the digest with the nodes.
fn compare(db: &Connection, derived: Option<&Connection>, report: &mut VerifyReport) -> Result<()> {
    let mut sums: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
    let mut after = 0;
    loop {
        let rows = state::nodes_after(db, after, BATCH as usize)?;
        let Some(last) = rows.last() else { break };
        after = last.id;
        for row in rows {
            let compared = compare_node(db, derived, &row, report);
            if let Some(hash) = report.tolerate(&format!("the state of node {}", row.node), compared)?.flatten() {
                digest::add(sums.entry(digest::bucket(row.node)).or_default(), &hash);
            }
            report.nodes += 1;
        }
    }
    for bucket in 0..=u8::MAX {
        let stored = state::bucket(db, bucket)?;
        if stored != sums.get(&bucket).copied().unwrap_or_default() {
            report.problem(format!("bucket {bucket} of the state digest is not the sum of its nodes"));
        }
        if derived.map_or(Ok(stored), |derived| state::bucket(derived, bucket))? != stored {
            report.problem(format!("bucket {bucket} of the state digest is not what the log says"));
        }
    }
    derived.map_or(Ok(()), |derived| compare_counts(db, derived, report))
}

/// Compares a node, and returns its part of the digest, if it has one.
fn compare_node(
    db: &Connection,
    derived: Option<&Connection>,
    row: &NodeRow,
    report: &mut VerifyReport,
) -> Result<Option<[u8; 32]>> {
    let state = unpack(&row.state)?;
    let stored = part(row.node, &state);
    if let Some(derived) = derived {
        let found = state::node(derived, row.node)?.map(|found| unpack(&found.state)).transpose()?;
        if stored != found.and_then(|found| part(row.node, &found)) {
            report.problem(format!("the state of node {} is not what its ops say", row.node));
        }
        if stored.is_some() && check::columns(db, row.node)? != check::columns(derived, row.node)? {
            report.problem(format!("the columns of node {} are not what its state says", row.node));
        }
    }
    check_bodies(db, row, &state)?.into_iter().for_each(|wrong| report.problem(wrong));
    Ok(stored)
}

/// Whether the stored bodies of a node are those of its state: a sentence for each that is not.
pub(crate) fn check_bodies(db: &Connection, row: &NodeRow, state: &NodeState) -> Result<Vec<String>> {
    let bodies = check::bodies(db, row.id)?;
    let mut wrong = Vec::new();
    if !bodies.iter().map(|body| body.generation).eq(state.bodies.iter().map(|body| body.generation)) {
        wrong.push(format!("the bodies of node {} are not those of its state", row.node));
    }
    for body in &bodies {
        let known = state.body(body.generation).is_some_and(|known| known.text == text_hash(&body.text));
        let made = Document::load(&body.document).is_ok_and(|document| document.text() == body.text);
        if !(known && made) {
            wrong.push(format!("the text of node {} is not what its edits make", row.node));
        }
    }
    Ok(wrong)
}

/// Whether chains and log end where they say: a sentence for each that does not.
pub(crate) fn check_ends(db: &Connection) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let (tips, head) = (check::wrong_tips(db)?, log::head(db)?);
    if tips > 0 {
        wrong.push(format!("{tips} chains do not end in the last of their ops"));
    }
    if head > 0 && log::stretch_at(db, head)?.is_none() {
        wrong.push("the log goes on after the last signature".to_owned());
    }
    Ok(wrong)
}

fn compare_counts(db: &Connection, derived: &Connection, report: &mut VerifyReport) -> Result<()> {
    for ((table, stored), (_, again)) in check::counts(db)?.into_iter().zip(check::counts(derived)?) {
        if stored != again {
            report.problem(format!("the table {table} has {stored} rows, and the log makes {again}"));
        }
    }
    Ok(())
}

fn part(node: NodeId, state: &NodeState) -> Option<[u8; 32]> {
    (!crate::flush::is_empty(state)).then(|| row_hash(node, state))
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
            writer.head = row.pos; // What stands further on counts as not here yet.
            writer.apply(row.pos, &op, &row.id)?;
        }
        writer.flush()?;
        next += BATCH;
    }
    meta::put(&writer.db, "rules_version", RULES_VERSION)
}

const _: () = assert!(page::PAGE_BYTES_AIM < page::PAGE_BYTES_MAX);
