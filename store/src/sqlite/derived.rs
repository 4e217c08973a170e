//! What can be rebuilt from the state at any time: tags by node, names and links, the search index; and the lists that
//! surfaces ask for. Nothing here is ever in the digest.

use super::log::array;
use super::state::{NodeRow, backwards};
use crate::error::Result;
use crate::id::NodeId;
use crate::undone::UNDO_KIND;
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
    let look = |from: From<'_>, limit: usize| {
        let (sql, values) = list_query(filter, from, limit);
        let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
        rows(db, &sql, &values)
    };
    let Some((do_date, id)) = &filter.after else { return look(From::Start, filter.limit) };
    let key = do_date.as_deref().unwrap_or(NO_DATE);
    let mut found = look(From::Within(key, *id), filter.limit)?;
    if found.len() < filter.limit {
        found.extend(look(From::Behind(key), filter.limit - found.len())?);
    }
    Ok(found)
}

/// Where a list begins. Rows of one day are told apart by their number, and SQLite does not look both up at once.
#[derive(Clone, Copy)]
enum From<'a> {
    Start,
    /// On this day, behind this row.
    Within(&'a str, i64),
    /// After this day.
    Behind(&'a str),
}

/// The query of a list. It names its index, since without statistics SQLite may prefer one that has to be sorted: each
/// but the one of what is due gives the rows in their order. What carries a tag is found by the tag.
fn list_query(filter: &Filter, from: From<'_>, limit: usize) -> (String, Vec<Box<dyn ToSql>>) {
    let index = match filter {
        Filter { tags, .. } if !tags.is_empty() => "NOT INDEXED",
        Filter { project: Some(_), .. } => "INDEXED BY node_project",
        Filter { due: Some(_), .. } => "INDEXED BY node_due",
        Filter { status: Some(_), .. } => "INDEXED BY node_state",
        _ => "INDEXED BY node_kind",
    };
    let mut sql = format!("SELECT id, uuid, state FROM node {index} WHERE hidden = 0 AND kind = ?");
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
        narrow(" AND due_key < '~' AND due_key <= ?", Box::new(format!("{due}T99")));
    }
    for tag in &filter.tags {
        narrow(" AND id IN (SELECT node FROM tagged WHERE tag = ?)", Box::new(*tag.as_bytes()));
    }
    match from {
        From::Start => {}
        From::Within(key, id) => {
            narrow(" AND do_key = ?", Box::new(key.to_owned()));
            narrow(" AND id > ?", Box::new(id));
        }
        From::Behind(key) => narrow(" AND do_key > ?", Box::new(key.to_owned())),
    }
    sql.push_str(" ORDER BY do_key, id LIMIT ?");
    values.push(Box::new(limit as i64));
    (sql, values)
}

/// Sorts behind every date.
pub const NO_DATE: &str = "~";

/// Nodes on which something awaits a choice, but for the marks of undone ops: nobody has to choose there.
pub fn conflicted(db: &Connection, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE conflicted = 1 AND kind IS NOT ?1 ORDER BY id LIMIT ?2";
    rows(db, sql, &[&UNDO_KIND, &(limit as i64)])
}

/// How many nodes await a choice; see [`conflicted`].
pub fn conflicted_count(db: &Connection) -> Result<u64> {
    let sql = "SELECT count(*) FROM node WHERE conflicted = 1 AND kind IS NOT ?1";
    let count: i64 = db.prepare_cached(sql)?.query_row([UNDO_KIND], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

/// Nodes whose id starts with these hex digits (lower case, at most 32), at most `limit`; no marks of undone ops.
pub fn by_prefix(db: &Connection, digits: &str, limit: usize) -> Result<Vec<NodeId>> {
    let bound = |pad: char| {
        let padded: String = digits.chars().chain(std::iter::repeat(pad)).take(32).collect();
        hex::decode(padded).unwrap_or_default()
    };
    let sql = "SELECT uuid FROM node WHERE uuid BETWEEN ?1 AND ?2 AND kind IS NOT ?3 LIMIT ?4";
    ids(db, sql, params![bound('0'), bound('f'), UNDO_KIND, limit as i64])
}

/// Nodes whose id ends with these hex digits (lower case, one to eight), at most `limit`; no marks of undone ops.
pub fn by_suffix(db: &Connection, digits: &str, limit: usize) -> Result<Vec<NodeId>> {
    let Ok(end) = u32::from_str_radix(digits, 16) else { return Ok(Vec::new()) };
    // Backwards, an ending is a beginning: one range of the index.
    let first = backwards(end);
    let last = first | u32::MAX.checked_shr(4 * digits.len() as u32).unwrap_or(0);
    let sql = "SELECT uuid FROM node WHERE tail BETWEEN ?1 AND ?2 AND kind IS NOT ?3 LIMIT ?4";
    ids(db, sql, params![first, last, UNDO_KIND, limit as i64])
}

fn ids(db: &Connection, sql: &str, values: &[&dyn ToSql]) -> Result<Vec<NodeId>> {
    let mut statement = db.prepare_cached(sql)?;
    let found = statement.query_map(values, |row| Ok(NodeId::from_bytes(array(row, 0)?)))?;
    Ok(found.collect::<rusqlite::Result<_>>()?)
}

/// Whether an op on a node is held.
pub fn has_held(db: &Connection, node: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM touch JOIN held ON held.pos = touch.pos WHERE touch.node = ?1)";
    Ok(db.prepare_cached(sql)?.query_row([node], |row| row.get(0))?)
}

/// Nodes that a link key may mean, the smallest id first: the same on every device.
pub fn named(db: &Connection, key: &str, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM name WHERE key = ?1)
               AND hidden = 0 AND coalesce(kind, '') NOT IN (?2, 'tag', 'device', 'entry') ORDER BY uuid LIMIT ?3";
    rows(db, sql, &[&key, &UNDO_KIND, &(limit as i64)])
}

/// Nodes of a kind with a title key, oldest first.
pub fn of_kind_named(db: &Connection, kind: &str, key: &str) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM name WHERE key = ?1)
               AND kind = ?2 AND hidden = 0 ORDER BY id";
    rows(db, sql, &[&key, &kind])
}

/// Nodes whose text links to a key, at most `limit`.
pub fn linking(db: &Connection, key: &str, limit: usize) -> Result<Vec<NodeRow>> {
    let sql = "SELECT id, uuid, state FROM node WHERE id IN (SELECT node FROM link WHERE key = ?1)
               AND hidden = 0 ORDER BY id LIMIT ?2";
    rows(db, sql, &[&key, &(limit as i64)])
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
    /// Positions of the edits that made it up, or that merged it into another text.
    pub versions: Vec<i64>,
    /// The text, if it was merged into another one.
    pub merged: Option<String>,
}

/// See [`Imported`].
pub fn imported(db: &Connection, vault: &str, path: &[u8]) -> Result<Option<Imported>> {
    let mut statement =
        db.prepare_cached("SELECT node, text, versions, merged FROM imported WHERE vault = ?1 AND path = ?2")?;
    let found = statement.query_row(params![vault, path], |row| {
        let packed: Vec<u8> = row.get(2)?;
        let versions = packed.chunks_exact(8).filter_map(|chunk| Some(i64::from_be_bytes(chunk.try_into().ok()?)));
        let (node, text) = (NodeId::from_bytes(array(row, 0)?), array(row, 1)?);
        Ok(Imported { node, text, versions: versions.collect(), merged: row.get(3)? })
    });
    Ok(found.optional()?)
}

/// Stores what was imported from a path.
pub fn put_imported(db: &Connection, vault: &str, path: &[u8], imported: &Imported) -> Result<()> {
    let packed: Vec<u8> = imported.versions.iter().flat_map(|pos| pos.to_be_bytes()).collect();
    let Imported { node, text, merged, .. } = imported;
    let sql = "INSERT INTO imported (vault, path, node, text, versions, merged) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
               ON CONFLICT (vault, path) DO UPDATE SET node = ?3, text = ?4, versions = ?5, merged = ?6";
    db.prepare_cached(sql)?.execute(params![vault, path, node.as_bytes(), text, packed, merged])?;
    Ok(())
}

/// How many nodes of each kind are not hidden.
pub fn kinds(db: &Connection) -> Result<Vec<(String, u64)>> {
    let sql = "SELECT kind, count(*) FROM node WHERE hidden = 0 AND kind IS NOT NULL GROUP BY kind ORDER BY kind";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.unsigned_abs())))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How SQLite finds the rows of a list.
    fn plan(filter: &Filter, from: From<'_>) -> String {
        let db = Connection::open_in_memory().unwrap();
        db.execute_batch(include_str!("../../../migrations/0001_replica.sql")).unwrap();
        let (sql, values) = list_query(filter, from, 10);
        let values: Vec<&dyn ToSql> = values.iter().map(AsRef::as_ref).collect();
        let mut statement = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps = statement.query_map(values.as_slice(), |row| row.get::<_, String>(3)).unwrap();
        steps.collect::<rusqlite::Result<Vec<_>>>().unwrap().join("; ")
    }

    #[test]
    fn lists_read_their_rows_in_order_from_an_index() {
        let any = || Filter { kind: "task".into(), ..Filter::default() };
        let stated = || Filter { status: Some("outstanding".into()), ..any() };
        let of_project = || Filter { project: Some(NodeId::from_bytes([1; 16])), ..stated() };
        let (within, behind) = (From::Within("2026-01-01", 7), From::Behind("2026-01-01"));
        let cases = [
            (any(), From::Start, "node_kind (kind=?)"),
            (any(), within, "node_kind (kind=? AND do_key=? AND id>?)"),
            (any(), behind, "node_kind (kind=? AND do_key>?)"),
            (stated(), From::Start, "node_state (kind=? AND status=?)"),
            (stated(), within, "node_state (kind=? AND status=? AND do_key=? AND id>?)"),
            (stated(), behind, "node_state (kind=? AND status=? AND do_key>?)"),
            (of_project(), From::Start, "node_project (project=? AND kind=?)"),
            (of_project(), behind, "node_project (project=? AND kind=? AND do_key>?)"),
        ];
        for (filter, from, expected) in cases {
            assert_eq!(plan(&filter, from), format!("SEARCH node USING INDEX {expected}"));
        }
    }

    #[test]
    fn what_is_due_or_carries_a_tag_is_found_by_that_and_sorted() {
        let filter = || Filter { kind: "task".into(), status: Some("outstanding".into()), ..Filter::default() };
        let due = Filter { due: Some(jiff::civil::date(2026, 1, 1)), ..filter() };
        let expected = "SEARCH node USING INDEX node_due (kind=? AND due_key<?); USE TEMP B-TREE FOR ORDER BY";
        assert_eq!(plan(&due, From::Start), expected);
        let tagged = Filter { tags: vec![NodeId::from_bytes([1; 16])], ..filter() };
        let found = plan(&tagged, From::Start);
        assert!(found.starts_with("SEARCH node USING INTEGER PRIMARY KEY (rowid=?)"), "{found}");
        assert!(found.contains("SEARCH tagged USING PRIMARY KEY (tag=?)"), "{found}");
    }
}
