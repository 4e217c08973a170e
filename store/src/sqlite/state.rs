//! Rows of the merged state: nodes, bodies, digest; and which ops touch which node.

use super::log::array;
use crate::error::Result;
use crate::id::{Generation, NodeId};
use crate::op::Touch;
use rusqlite::{Connection, OptionalExtension, params};

/// A node's row.
#[derive(Debug, Clone)]
pub struct NodeRow {
    /// The row's number.
    pub id: i64,
    /// The node.
    pub node: NodeId,
    /// The packed state.
    pub state: Vec<u8>,
}

/// What lists are made from; repeats what the state says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns {
    /// Field `kind`.
    pub kind: Option<String>,
    /// Field `state`.
    pub status: Option<String>,
    /// Field `do_date`, as text.
    pub do_date: Option<String>,
    /// Field `late_on`, as text.
    pub late_on: Option<String>,
    /// Field `attention`.
    pub attention: Option<String>,
    /// Field `project`.
    pub project: Option<NodeId>,
    /// Field `of`.
    pub owner: Option<NodeId>,
    /// Whether the node is hidden.
    pub hidden: bool,
    /// Whether it awaits a choice.
    pub conflicted: bool,
}

fn node_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<NodeRow> {
    Ok(NodeRow { id: row.get(0)?, node: NodeId::from_bytes(array(row, 1)?), state: row.get(2)? })
}

/// A node's row, by its id.
pub fn node(db: &Connection, node: NodeId) -> Result<Option<NodeRow>> {
    let mut statement = db.prepare_cached("SELECT id, uuid, state FROM node WHERE uuid = ?1")?;
    Ok(statement.query_row([node.as_bytes()], node_row).optional()?)
}

/// Eight hex digits in reverse order, so that numbers with the same last digits stand together in an index.
pub fn backwards(digits: u32) -> u32 {
    (0..8).fold(0, |out, place| out << 4 | (digits >> (4 * place)) & 0xf)
}

/// What short ids are looked up by: the last eight hex digits of a node's id, backwards.
pub fn tail(node: NodeId) -> i64 {
    let bytes = node.as_bytes();
    i64::from(backwards(u32::from_be_bytes([bytes[12], bytes[13], bytes[14], bytes[15]])))
}

/// Adds an empty row for a node and returns its number.
pub fn insert_node(db: &Connection, node: NodeId) -> Result<i64> {
    let sql = "INSERT INTO node (uuid, state, tail, hidden, conflicted) VALUES (?1, x'', ?2, 1, 0)";
    Ok(db.prepare_cached(sql)?.insert(params![node.as_bytes(), tail(node)])?)
}

/// Stores a node's state.
pub fn update_node(db: &Connection, id: i64, state: &[u8], columns: &Columns) -> Result<()> {
    let sql = "UPDATE node SET state = ?2, kind = ?3, status = ?4, do_date = ?5, late_on = ?6, attention = ?7,
               project = ?8, owner = ?9, hidden = ?10, conflicted = ?11 WHERE id = ?1";
    let project = columns.project.map(|node| *node.as_bytes());
    let owner = columns.owner.map(|node| *node.as_bytes());
    db.prepare_cached(sql)?.execute(params![
        id,
        state,
        columns.kind,
        columns.status,
        columns.do_date,
        columns.late_on,
        columns.attention,
        project,
        owner,
        columns.hidden,
        columns.conflicted
    ])?;
    Ok(())
}

/// The nodes whose stored `of` names `owner`.
pub fn owned(db: &Connection, owner: NodeId) -> Result<Vec<NodeId>> {
    let mut statement = db.prepare_cached("SELECT uuid FROM node WHERE owner = ?1 ORDER BY id")?;
    let rows = statement.query_map([owner.as_bytes()], |row| Ok(NodeId::from_bytes(array(row, 0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Every node's row after number `after`, at most `limit`, in order.
pub fn nodes_after(db: &Connection, after: i64, limit: usize) -> Result<Vec<NodeRow>> {
    let mut statement = db.prepare_cached("SELECT id, uuid, state FROM node WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let rows = statement.query_map(params![after, limit as i64], node_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn bits(touch: Touch) -> u8 {
    u8::from(touch.writes) + 2 * u8::from(touch.edits)
}

/// Notes what an op does to a node.
pub fn touch(db: &Connection, node: i64, pos: i64, touch: Touch) -> Result<()> {
    let sql = "INSERT INTO touch (node, pos, what) VALUES (?1, ?2, ?3)
               ON CONFLICT (node, pos) DO UPDATE SET what = what | ?3";
    db.prepare_cached(sql)?.execute(params![node, pos, bits(touch)])?;
    Ok(())
}

/// The positions of the ops that do any of `wanted` to a node, in order.
pub fn touching(db: &Connection, node: i64, wanted: Touch) -> Result<Vec<i64>> {
    let mut statement = db.prepare_cached("SELECT pos FROM touch WHERE node = ?1 AND what & ?2 <> 0 ORDER BY pos")?;
    let rows = statement.query_map(params![node, bits(wanted)], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The positions of the last ops on a node, newest first.
pub fn last_touching(db: &Connection, node: i64, limit: usize) -> Result<Vec<i64>> {
    let mut statement = db.prepare_cached("SELECT pos FROM touch WHERE node = ?1 ORDER BY pos DESC LIMIT ?2")?;
    let rows = statement.query_map(params![node, limit as i64], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The position of the last edit of a node's bodies; 0 if none.
pub fn last_edit(db: &Connection, node: i64) -> Result<i64> {
    let sql = "SELECT pos FROM touch WHERE node = ?1 AND what & 2 <> 0 ORDER BY pos DESC LIMIT 1";
    let found = db.prepare_cached(sql)?.query_row([node], |row| row.get(0)).optional()?;
    Ok(found.unwrap_or_default())
}

/// A body's document, packed.
pub fn document(db: &Connection, node: i64, generation: Generation) -> Result<Option<Vec<u8>>> {
    let mut statement = db.prepare_cached("SELECT document FROM body WHERE node = ?1 AND generation = ?2")?;
    Ok(statement.query_row(params![node, generation.as_bytes()], |row| row.get(0)).optional()?)
}

/// A body's text.
pub fn text(db: &Connection, node: i64, generation: Generation) -> Result<Option<String>> {
    let mut statement = db.prepare_cached("SELECT text FROM body WHERE node = ?1 AND generation = ?2")?;
    Ok(statement.query_row(params![node, generation.as_bytes()], |row| row.get(0)).optional()?)
}

/// Stores a body.
pub fn put_body(db: &Connection, node: i64, generation: Generation, document: &[u8], text: &str) -> Result<()> {
    let sql = "INSERT INTO body (node, generation, document, text) VALUES (?1, ?2, ?3, ?4)
               ON CONFLICT (node, generation) DO UPDATE SET document = ?3, text = ?4";
    db.prepare_cached(sql)?.execute(params![node, generation.as_bytes(), document, text])?;
    Ok(())
}

/// Removes a body of which no readable edit is left.
pub fn remove_body(db: &Connection, node: i64, generation: Generation) -> Result<()> {
    let sql = "DELETE FROM body WHERE node = ?1 AND generation = ?2";
    db.prepare_cached(sql)?.execute(params![node, generation.as_bytes()])?;
    Ok(())
}

/// The sum of a bucket.
pub fn bucket(db: &Connection, bucket: u8) -> Result<[u8; 32]> {
    let mut statement = db.prepare_cached("SELECT sum FROM digest WHERE bucket = ?1")?;
    Ok(statement.query_row([bucket], |row| array(row, 0)).optional()?.unwrap_or_default())
}

/// The sums of all 256 buckets, in order.
pub fn buckets(db: &Connection) -> Result<Vec<[u8; 32]>> {
    let mut sums = vec![[0; 32]; 256];
    let mut statement = db.prepare_cached("SELECT bucket, sum FROM digest")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        sums[usize::from(row.get::<_, u8>(0)?)] = array(row, 1)?;
    }
    Ok(sums)
}

/// Stores the sum of a bucket.
pub fn put_bucket(db: &Connection, bucket: u8, sum: &[u8; 32]) -> Result<()> {
    let sql = "INSERT INTO digest (bucket, sum) VALUES (?1, ?2) ON CONFLICT (bucket) DO UPDATE SET sum = ?2";
    db.prepare_cached(sql)?.execute(params![bucket, sum])?;
    Ok(())
}

/// Empties every table that can be derived from the log.
pub fn clear(db: &Connection) -> Result<()> {
    let tables = [
        "node", "body", "touch", "grouped", "held", "awaited", "erased", "repeated", "missing", "digest", "tagged",
        "name", "link",
    ];
    for table in tables {
        db.execute(&format!("DELETE FROM {table}"), [])?;
    }
    db.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    Ok(())
}
