//! Rows of ops without effect: those that are held, and those that took effect later than they came.

use crate::error::Result;
use rusqlite::{Connection, params};
use std::collections::BTreeSet;

/// Notes that an op is held.
pub fn hold(db: &Connection, pos: i64, reason: &str) -> Result<()> {
    let sql = "INSERT OR REPLACE INTO held (pos, reason) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![pos, reason])?;
    Ok(())
}

/// Whether an op is held.
pub fn is_held(db: &Connection, pos: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM held WHERE pos = ?1)";
    Ok(db.prepare_cached(sql)?.query_row([pos], |row| row.get(0))?)
}

/// Notes that an op is no longer held.
pub fn release(db: &Connection, pos: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM held WHERE pos = ?1")?.execute([pos])?;
    Ok(())
}

/// The held ops with their reasons.
pub fn held(db: &Connection) -> Result<Vec<(i64, String)>> {
    let mut statement = db.prepare_cached("SELECT pos, reason FROM held ORDER BY pos")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that an op that had been without effect took it when the log ended at `since`.
pub fn insert_late(db: &Connection, pos: i64, since: i64) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO late (pos, since) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute([pos, since])?;
    Ok(())
}

/// The last of the ops that took effect late, as long as the log ended at `since` at most; 0 if none did.
pub fn last_late(db: &Connection, since: i64) -> Result<i64> {
    let sql = "SELECT coalesce(max(number), 0) FROM late WHERE since <= ?1";
    Ok(db.prepare_cached(sql)?.query_row([since], |row| row.get(0))?)
}

/// The positions of the ops that took effect late, and after the one of the given number.
pub fn late_after(db: &Connection, number: i64) -> Result<BTreeSet<i64>> {
    let mut statement = db.prepare_cached("SELECT pos FROM late WHERE number > ?1")?;
    let rows = statement.query_map([number], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Forgets which ops took effect late, after the one of the given number.
pub fn forget_late(db: &Connection, number: i64) -> Result<()> {
    db.prepare_cached("DELETE FROM late WHERE number > ?1")?.execute([number])?;
    Ok(())
}
