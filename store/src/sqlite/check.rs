//! What checks ask of the rows: whether those that follow from others still do.

use super::log::array;
use crate::error::Result;
use crate::id::{Generation, NodeId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension};

/// A stored body.
pub struct BodyRow {
    /// Which generation it is.
    pub generation: Generation,
    /// The document, packed.
    pub document: Vec<u8>,
    /// Its text.
    pub text: String,
}

/// Lets SQLite look at the file; what it found, or `ok`.
pub fn quick_check(db: &Connection) -> Result<String> {
    Ok(db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?)
}

/// The columns of a node's row that lists are made from; none if it has no row.
pub fn columns(db: &Connection, node: NodeId) -> Result<Vec<Value>> {
    let sql = "SELECT kind, status, do_date, late_on, attention, project, owner, tail, hidden, conflicted
               FROM node WHERE uuid = ?1";
    let mut statement = db.prepare_cached(sql)?;
    let count = statement.column_count();
    let found = statement.query_row([node.as_bytes()], |row| (0..count).map(|column| row.get(column)).collect());
    Ok(found.optional()?.unwrap_or_default())
}

/// The bodies of a node.
pub fn bodies(db: &Connection, node: i64) -> Result<Vec<BodyRow>> {
    let sql = "SELECT generation, document, text FROM body WHERE node = ?1 ORDER BY generation";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([node], |row| {
        Ok(BodyRow { generation: Generation::from_bytes(array(row, 0)?), document: row.get(1)?, text: row.get(2)? })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many chains do not end in the last of their ops.
pub fn wrong_tips(db: &Connection) -> Result<i64> {
    let sql = "SELECT count(*) FROM chain LEFT JOIN log ON log.chain = chain.id AND log.seq = chain.tip_seq
               WHERE log.id IS NOT chain.tip_id
               OR EXISTS (SELECT 1 FROM log AS later WHERE later.chain = chain.id AND later.seq > chain.tip_seq)";
    Ok(db.query_row(sql, [], |row| row.get(0))?)
}

/// How many rows the tables have that follow from the log.
pub fn counts(db: &Connection) -> Result<Vec<(&'static str, i64)>> {
    let tables = [
        "origin", "chain", "grouped", "touch", "held", "awaited", "erased", "repeated", "missing", "body", "tagged",
        "name", "link", "search",
    ];
    let count = |table: &'static str| {
        let found = db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?;
        Ok((table, found))
    };
    tables.into_iter().map(count).collect()
}
