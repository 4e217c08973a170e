//! Checks the log, op by op: hashes, chains, signatures, rolling hashes; and feeds it to an empty replica on the way.

use super::report::{Found, Part, is_damage};
use crate::chain::{origin_of, verify as verify_signature};
use crate::error::Result;
use crate::id::Seq;
use crate::op::{Op, Place};
use crate::sqlite::{check, log};
use crate::writer::{Writer, next_roll};
use rusqlite::Connection;

/// How many rows are fed before the nodes that changed reach their rows, and how many bytes.
const BATCH: i64 = 512;
const BATCH_BYTES: usize = 4 << 20;
/// How many rows are in memory at a time; each may be as large as an op.
const ROWS: i64 = 32;

/// How far the log is read.
pub(super) struct Replay {
    next: i64,
    /// The last position.
    pub head: i64,
    ends: Ends,
    /// Whether all of the log up to here could be fed.
    pub whole: bool,
}

/// What the ends of stretches are compared with.
#[derive(Default)]
struct Ends {
    roll: [u8; 32],
    /// Something was unreadable since the last one, so that the rolling hash has to be believed there.
    lost: bool,
    /// Chain and number of the op before, within a stretch.
    open: Option<(i64, u64)>,
}

impl Replay {
    /// Before the first op.
    pub fn begin(db: &Connection, writer: &Writer) -> Result<Self> {
        check::begin(&writer.db)?;
        Ok(Self { next: 1, head: log::head(db)?, ends: Ends::default(), whole: true })
    }

    /// How many positions are behind.
    pub fn done(&self) -> u64 {
        (self.next - 1).unsigned_abs()
    }

    /// Reads a batch. Returns whether there is more; what follows damage is still checked.
    pub fn step(&mut self, db: &Connection, writer: &mut Writer, found: &mut Found) -> Result<bool> {
        let (end, mut bytes) = (self.next + BATCH, 0);
        while self.next <= self.head && self.next < end && bytes < BATCH_BYTES {
            bytes += self.rows(db, writer, found)?;
        }
        if self.whole {
            let what = format!("the log before position {}", self.next);
            let flushed = writer.flush();
            self.whole &= found.tolerate(Part::Log, &what, flushed)?.is_some();
        }
        if self.next <= self.head {
            return Ok(true);
        }
        check::commit(&writer.db)?;
        Ok(false)
    }

    fn rows(&mut self, db: &Connection, writer: &mut Writer, found: &mut Found) -> Result<usize> {
        let (first, last) = (self.next, (self.next + ROWS - 1).min(self.head));
        self.next = last + 1;
        let rows = match log::rows(db, first, last) {
            Ok(rows) if rows.len() as i64 == last - first + 1 => rows,
            // Somewhere in there is damage: one by one it can be said where.
            Ok(_) => self.one_by_one(db, first, last, found)?,
            Err(error) if is_damage(&error) => self.one_by_one(db, first, last, found)?,
            Err(error) => return Err(error),
        };
        let mut bytes = 0;
        for row in rows {
            bytes += row.packed.len();
            let what = format!("position {} of the log", row.pos);
            let checked = check_row(db, &row, &mut self.ends, found);
            match found.tolerate(Part::Log, &what, checked)? {
                Some(op) if self.whole => {
                    let fed = writer.append(op, row.id).and_then(|_| writer.flush_if_large());
                    self.whole = found.tolerate(Part::Log, &what, fed)?.is_some();
                }
                op => self.whole &= op.is_some(),
            }
            found.ops += 1;
        }
        Ok(bytes)
    }

    fn one_by_one(&mut self, db: &Connection, first: i64, last: i64, found: &mut Found) -> Result<Vec<log::LogRow>> {
        let mut rows = Vec::new();
        for pos in first..=last {
            let row = log::row(db, pos);
            match found.tolerate(Part::Log, &format!("position {pos} of the log"), row)? {
                Some(Some(row)) => {
                    rows.push(row);
                    continue;
                }
                Some(None) => found.problem(Part::Log, format!("position {pos} is missing from the log")),
                None => {}
            }
            (self.whole, self.ends.lost) = (false, true);
        }
        Ok(rows)
    }
}

/// Checks a row of the log, and returns its op if that can be read.
fn check_row(db: &Connection, row: &log::LogRow, ends: &mut Ends, found: &mut Found) -> Result<Op> {
    ends.roll = next_roll(&ends.roll, &row.id);
    let place = log::place(db, row)?;
    check_stretch(db, row, &place, ends, found)?;
    if place.seq == Seq::FIRST && place.key.is_none_or(|key| origin_of(&key) != place.origin) {
        found.problem(Part::Log, format!("the key of origin {} is not its key", place.origin));
    }
    let op = Op::unpack(place, &row.packed)?;
    if op.id() != row.id {
        let nodes: Vec<String> = op.touches().into_keys().map(|node| node.to_string()).collect();
        let on = if nodes.is_empty() { String::new() } else { format!(" (it is on {})", nodes.join(", ")) };
        let (seq, origin) = (place.seq.get(), place.origin);
        found.problem(Part::Log, format!("op {seq} of origin {origin} is not what its hash says{on}"));
    }
    Ok(op)
}

fn check_stretch(db: &Connection, row: &log::LogRow, place: &Place, ends: &mut Ends, found: &mut Found) -> Result<()> {
    let (pos, seq, origin) = (row.pos, row.seq.get(), place.origin);
    if !ends.lost && ends.open.is_some_and(|before| before != (row.chain, seq - 1)) {
        found.problem(Part::Log, format!("no signature ends what stands before position {pos} of the log"));
    }
    ends.open = Some((row.chain, seq));
    let Some(stretch) = log::stretch_at(db, pos)? else { return Ok(()) };
    ends.open = None;
    let (_, key) = log::chain_origin(db, row.chain)?;
    found.signatures += 1;
    if !verify_signature(&key, &row.id, &stretch.signature) {
        found.problem(Part::Log, format!("the signature after op {seq} of origin {origin} is not right"));
    }
    if std::mem::take(&mut ends.lost) {
        ends.roll = stretch.roll;
    } else if stretch.roll != ends.roll {
        found.problem(Part::Log, format!("the rolling hash at position {pos} is not that of the log"));
    }
    Ok(())
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
