//! What can be rebuilt from the state at any time: tags by node, names and links, the search index; and the lists that
//! surfaces ask for. Nothing here is ever in the digest.

use super::log::array;
use super::state::NodeRow;
use crate::error::Result;
use crate::id::NodeId;
use jiff::civil::Date;
use rusqlite::{Connection, OptionalExtension, Row, ToSql, params};
use std::collections::BTreeSet;

fn strings(db: &Connection, sql: &str, node: i64) -> Result<BTreeSet<String>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([node], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores which tags a node carries.
pub fn put_tags(db: &Connection, node: i64, before: &BTreeSet<NodeId>, after: &BTreeSet<NodeId>) -> Result<()> {
    for tag in before.difference(after) {
        db.prepare_cached("DELETE FROM tagged WHERE tag = ?1 AND node = ?2")?.execute(params![tag.as_bytes(), node])?;
    }
    for tag in after.difference(before) {
        let sql = "INSERT OR IGNORE INTO tagged (tag, node) VALUES (?1, ?2)";
        db.prepare_cached(sql)?.execute(params![tag.as_bytes(), node])?;
    }
    Ok(())
}

/// Stores the keys under which a node is found.
pub fn put_names(db: &Connection, node: i64, keys: &BTreeSet<String>) -> Result<()> {
    let before = strings(db, "SELECT key FROM name WHERE node = ?1", node)?;
    for key in before.difference(keys) {
        db.prepare_cached("DELETE FROM name WHERE key = ?1 AND node = ?2")?.execute(params![key, node])?;
    }
    for key in keys.difference(&before) {
        db.prepare_cached("INSERT OR IGNORE INTO name (key, node) VALUES (?1, ?2)")?.execute(params![key, node])?;
    }
    Ok(())
}

/// Stores the keys that a node's text links to.
pub fn put_links(db: &Connection, node: i64, keys: &BTreeSet<String>) -> Result<()> {
    let before = strings(db, "SELECT key FROM link WHERE node = ?1", node)?;
    for key in before.difference(keys) {
        db.prepare_cached("DELETE FROM link WHERE key = ?1 AND node = ?2")?.execute(params![key, node])?;
    }
    for key in keys.difference(&before) {
        db.prepare_cached("INSERT OR IGNORE INTO link (key, node) VALUES (?1, ?2)")?.execute(params![key, node])?;
    }
    Ok(())
}

/// The keys under which a node is found.
pub fn names_of(db: &Connection, node: i64) -> Result<BTreeSet<String>> {
    strings(db, "SELECT key FROM name WHERE node = ?1", node)
}

/// Indexes a node's words; empty ones are taken out.
pub fn put_search(db: &Connection, node: i64, was_indexed: bool, title: &str, body: &str) -> Result<()> {
    if was_indexed {
        db.prepare_cached("DELETE FROM search WHERE rowid = ?1")?.execute([node])?;
    }
    if !(title.is_empty() && body.is_empty()) {
        let sql = "INSERT INTO search (rowid, title, body) VALUES (?1, ?2, ?3)";
        db.prepare_cached(sql)?.execute(params![node, title, body])?;
    }
    Ok(())
}

fn rows(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<NodeRow>> {
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(values, node_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn node_row(row: &Row<'_>) -> rusqlite::Result<NodeRow> {
    Ok(NodeRow { id: row.get(0)?, node: NodeId::from_bytes(array(row, 1)?), state: row.get(2)? })
}

/// What a list is narrowed by. Every given part must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The kind of node.
    pub kind: String,
    /// Field `state`; `None`: any.
    pub status: Option<String>,
    /// Field `project`.
    pub project: Option<NodeId>,
    /// Carries all of these tags.
    pub tags: Vec<NodeId>,
    /// To be done, or late, on or before this day.
    pub due: Option<Date>,
    /// Field `attention`.
    pub attention: Option<String>,
    /// How many rows at most.
    pub limit: usize,
    /// Continue behind this row of an earlier answer: its do-date and number.
    pub after: Option<(Option<String>, i64)>,
}

/// Nodes that are not hidden, by do-date (none last), then age.
pub fn list(db: &Connection, filter: &Filter) -> Result<Vec<NodeRow>> {
    let mut sql = String::from("SELECT id, uuid, state FROM node WHERE hidden = 0 AND kind = ?");
    let mut values: Vec<Box<dyn ToSql>> = vec![Box::new(filter.kind.clone())];
    let mut narrow = |part: &str, value: Box<dyn ToSql>| {
        sql.push_str(part);
        values.push(value);
    };
    if let Some(status) = &filter.status {
        narrow(" AND status = ?", Box::new(status.clone()));
    }
    if let Some(project) = &filter.project {
        narrow(" AND project = ?", Box::new(*project.as_bytes()));
    }
    if let Some(attention) = &filter.attention {
        narrow(" AND attention = ?", Box::new(attention.clone()));
    }
    if let Some(due) = filter.due {
        let limit = format!("{due}T99");
        narrow(" AND min(coalesce(do_date, late_on), coalesce(late_on, do_date)) <= ?", Box::new(limit));
    }
    for tag in &filter.tags {
        narrow(" AND id IN (SELECT node FROM tagged WHERE tag = ?)", Box::new(*tag.as_bytes()));
    }
    if let Some((do_date, id)) = &filter.after {
        let key = do_date.clone().unwrap_or_else(|| NO_DATE.to_owned());
        narrow(" AND (coalesce(do_date, '~'), id) > (?", Box::new(key));
        narrow(", ?)", Box::new(*id));
    }
    sql.push_str(" ORDER BY coalesce(do_date, '~'), id LIMIT ?");
    values.push(Box::new(filter.limit as i64));
    let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
    rows(db, &sql, &values)
}

/// Sorts behind every date.
pub const NO_DATE: &str = "~";

/// Nodes on which something awaits a choice.
pub fn conflicted(db: &Connection, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE conflicted = 1 ORDER BY id LIMIT ?1";
    rows(db, sql, &[&(limit as i64)])
}

/// How many nodes await a choice.
pub fn conflicted_count(db: &Connection) -> Result<u64> {
    let count: i64 =
        db.prepare_cached("SELECT count(*) FROM node WHERE conflicted = 1")?.query_row([], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Nodes whose id starts with these hex digits (lower case, at most 32), at most `limit`.
pub fn by_prefix(db: &Connection, digits: &str, limit: usize) -> Result<Vec<NodeId>> {
    let bound = |pad: char| {
        let padded: String = digits.chars().chain(std::iter::repeat(pad)).take(32).collect();
        hex::decode(padded).unwrap_or_default()
    };
    let mut statement = db.prepare_cached("SELECT uuid FROM node WHERE uuid BETWEEN ?1 AND ?2 LIMIT ?3")?;
    let found = statement
        .query_map(params![bound('0'), bound('f'), limit as i64], |row| Ok(NodeId::from_bytes(array(row, 0)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Nodes whose id ends with these hex digits (lower case, one to eight), at most `limit`.
pub fn by_suffix(db: &Connection, digits: &str, limit: usize) -> Result<Vec<NodeId>> {
    let Ok(low) = i64::from_str_radix(digits, 16) else { return Ok(Vec::new()) };
    let modulus = 1i64 << (4 * digits.len().min(8));
    let mut found = Vec::new();
    // A full tail is one look into the index; a shorter one walks the index of tails, four bytes a node.
    let sql = if modulus == 1 << 32 {
        "SELECT uuid FROM node WHERE tail = ?1 AND ?2 > 0 LIMIT ?3"
    } else {
        "SELECT uuid FROM node WHERE id IN (SELECT id FROM node INDEXED BY node_tail WHERE tail % ?2 = ?1 LIMIT ?3)"
    };
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params![low, modulus, limit as i64])?;
    while let Some(row) = rows.next()? {
        found.push(NodeId::from_bytes(array(row, 0)?));
    }
    Ok(found)
}

/// Nodes that a link key names, oldest first.
pub fn named(db: &Connection, key: &str, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM name WHERE key = ?1)
               AND hidden = 0 ORDER BY id LIMIT ?2";
    rows(db, sql, &[&key, &(limit as i64)])
}

/// Nodes of a kind with a title key, oldest first.
pub fn of_kind_named(db: &Connection, kind: &str, key: &str) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM name WHERE key = ?1)
               AND kind = ?2 AND hidden = 0 ORDER BY id";
    rows(db, sql, &[&key, &kind])
}

/// Nodes whose text links to a key.
pub fn linking(db: &Connection, key: &str) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM link WHERE key = ?1)
               AND hidden = 0 ORDER BY id";
    rows(db, sql, &[&key])
}

/// Full-text search, best first: `query` in FTS5's own syntax.
pub fn search(db: &Connection, query: &str, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT node.id, node.uuid, node.state FROM search JOIN node ON node.id = search.rowid
               WHERE search MATCH ?1 AND node.hidden = 0 ORDER BY bm25(search, 4.0, 1.0), node.id LIMIT ?2";
    rows(db, sql, &[&query, &(limit as i64)])
}

/// What this device last imported from a path.
#[derive(Debug, Clone)]
pub struct Imported {
    /// The node.
    pub node: NodeId,
    /// SHA-256 of the text.
    pub text: [u8; 32],
    /// Positions of the edits that made it up.
    pub versions: Vec<i64>,
}

/// See [`Imported`].
pub fn imported(db: &Connection, vault: &str, path: &[u8]) -> Result<Option<Imported>> {
    let mut statement =
        db.prepare_cached("SELECT node, text, versions FROM imported WHERE vault = ?1 AND path = ?2")?;
    let found = statement.query_row(params![vault, path], |row| {
        let packed: Vec<u8> = row.get(2)?;
        let versions = packed.chunks_exact(8).filter_map(|chunk| Some(i64::from_be_bytes(chunk.try_into().ok()?)));
        Ok(Imported { node: NodeId::from_bytes(array(row, 0)?), text: array(row, 1)?, versions: versions.collect() })
    });
    Ok(found.optional()?)
}

/// Stores what was imported from a path.
pub fn put_imported(db: &Connection, vault: &str, path: &[u8], imported: &Imported) -> Result<()> {
    let packed: Vec<u8> = imported.versions.iter().flat_map(|pos| pos.to_be_bytes()).collect();
    let sql = "INSERT INTO imported (vault, path, node, text, versions) VALUES (?1, ?2, ?3, ?4, ?5)
               ON CONFLICT (vault, path) DO UPDATE SET node = ?3, text = ?4, versions = ?5";
    db.prepare_cached(sql)?.execute(params![vault, path, imported.node.as_bytes(), imported.text, packed])?;
    Ok(())
}

/// How many nodes of each kind are not hidden.
pub fn kinds(db: &Connection) -> Result<Vec<(String, u64)>> {
    let sql = "SELECT kind, count(*) FROM node WHERE hidden = 0 AND kind IS NOT NULL GROUP BY kind ORDER BY kind";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
