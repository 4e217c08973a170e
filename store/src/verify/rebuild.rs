//! Makes what follows from the log anew, in one transaction: after a change of the merge rules, and where it was
//! damaged. The log itself is only read.

use crate::error::Result;
use crate::merge::RULES_VERSION;
use crate::sqlite::{check, held, log, meta, state};
use crate::writer::Writer;

/// How many ops are applied before the nodes that changed reach their rows, and how many are in memory at a time.
const BATCH: i64 = 512;
const ROWS: i64 = 32;

/// Derives the state anew, in one transaction, if other merge rules made it.
pub(crate) fn upgrade_rules(writer: &mut Writer) -> Result<()> {
    let made_by: u32 = meta::get(&writer.db, "rules_version")?.unwrap_or_default();
    if made_by == RULES_VERSION {
        return Ok(());
    }
    check::begin(&writer.db)?;
    match rebuild(writer).and_then(|()| held::forget_late(&writer.db, 0)) {
        Ok(()) => check::commit(&writer.db),
        Err(error) => {
            if !writer.db.is_autocommit() {
                check::roll_back(&writer.db)?;
            }
            Err(error)
        }
    }
}

/// Derives the state anew, within a transaction of the caller's. Which ops took effect late is this file's own history:
/// it stays as it was.
pub(crate) fn rebuild(writer: &mut Writer) -> Result<()> {
    let late = held::last_late(&writer.db, i64::MAX)?;
    writer.known.clear();
    writer.nodes.clear();
    state::clear(&writer.db)?;
    let head = log::head(&writer.db)?;
    let mut next = 1;
    while next <= head {
        for first in (next..(next + BATCH).min(head + 1)).step_by(ROWS as usize) {
            apply(writer, first, (first + ROWS - 1).min(head))?;
        }
        writer.flush()?;
        next += BATCH;
    }
    held::forget_late(&writer.db, late)?;
    meta::put(&writer.db, "rules_version", RULES_VERSION)
}

fn apply(writer: &mut Writer, first: i64, last: i64) -> Result<()> {
    for row in log::rows(&writer.db, first, last)? {
        let op = log::content(&writer.db, &row)?;
        writer.head = row.pos; // What stands further on counts as not here yet.
        if let Some(group) = op.group {
            log::insert_grouped(&writer.db, group, row.pos)?;
        }
        writer.apply(row.pos, &op, &row.id)?;
        writer.flush_if_large()?;
    }
    Ok(())
}
