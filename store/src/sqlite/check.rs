//! What checks ask of the rows: whether those that follow from others still do.

use super::log::array;
use super::state::{Columns, NodeRow, tail};
use crate::error::Result;
use crate::id::{Generation, NodeId};
use rusqlite::types::Value;
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::collections::BTreeSet;

/// How many findings of SQLite's are told.
const FINDINGS_MAX: usize = 50;

/// A stored body.
pub struct BodyRow {
    /// Which generation it is.
    pub generation: Generation,
    /// The document, packed.
    pub document: Vec<u8>,
    /// Its text.
    pub text: String,
}

/// Begins a transaction that writes.
pub fn begin(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("BEGIN IMMEDIATE")?)
}

/// Begins a transaction that sees one state of the file, from its first look on.
pub fn begin_reading(db: &Connection) -> Result<()> {
    db.pragma_update(None, "temp_store", "memory")?;
    Ok(db.execute_batch("BEGIN")?)
}

/// Ends a transaction.
pub fn commit(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("COMMIT")?)
}

/// Takes a transaction back.
pub fn roll_back(db: &Connection) -> Result<()> {
    Ok(db.execute_batch("ROLLBACK")?)
}

/// Lets SQLite look at the file: the first that it finds wrong.
pub fn quick(db: &Connection) -> Result<Vec<String>> {
    findings(db, "PRAGMA quick_check(1)")
}

/// Lets SQLite look at every page and every index of the file: what it finds wrong.
pub fn integrity(db: &Connection) -> Result<Vec<String>> {
    findings(db, &format!("PRAGMA integrity_check({FINDINGS_MAX})"))
}

fn findings(db: &Connection, sql: &str) -> Result<Vec<String>> {
    let mut statement = db.prepare(sql)?;
    let rows = statement.query_map([], |row| row.get(0))?;
    let found: Vec<String> = rows.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Whether what SQLite finds wrong concerns nothing but an index of what follows from the log.
pub fn is_of_an_index(finding: &str) -> bool {
    let derived = ["node_", "name_node", "link_node"];
    let of_rows = ["missing from index ", "wrong # of entries in index ", "non-unique entry in index "];
    let index = of_rows.iter().find_map(|words| Some(finding.split_once(words)?.1));
    index.is_some_and(|name| derived.iter().any(|derived| name.starts_with(derived)))
        || finding.starts_with("malformed inverted index for FTS5 table main.search")
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
    tables.into_iter().map(|table| Ok((table, count(db, table)?))).collect()
}

/// Whether the columns of a node's row are these, with what its id says.
pub fn columns_are(db: &Connection, node: NodeId, columns: &Columns) -> Result<bool> {
    let id = |node: Option<NodeId>| node.map_or(Value::Null, |node| Value::Blob(node.as_bytes().to_vec()));
    let text = |text: &Option<String>| text.clone().map_or(Value::Null, Value::Text);
    let expected = [
        text(&columns.kind),
        text(&columns.status),
        text(&columns.do_date),
        text(&columns.late_on),
        text(&columns.attention),
        id(columns.project),
        id(columns.owner),
        Value::Integer(tail(node)),
        Value::Integer(columns.hidden.into()),
        Value::Integer(columns.conflicted.into()),
    ];
    Ok(self::columns(db, node)? == expected)
}

/// Whether the lists of a tag have a node.
pub fn is_tagged(db: &Connection, tag: NodeId, node: i64) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM tagged WHERE tag = ?1 AND node = ?2)";
    Ok(db.prepare_cached(sql)?.query_row(params![tag.as_bytes(), node], |row| row.get(0))?)
}

/// Every tag of every node that is there.
pub fn each_tag(db: &Connection, mut each: impl FnMut(NodeId, NodeRow) -> Result<()>) -> Result<()> {
    let sql = "SELECT node.id, node.uuid, node.state, tagged.tag FROM tagged JOIN node ON node.id = tagged.node";
    let mut statement = db.prepare(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let node = NodeRow { id: row.get(0)?, node: NodeId::from_bytes(array(row, 1)?), state: row.get(2)? };
        each(NodeId::from_bytes(array(row, 3)?), node)?;
    }
    Ok(())
}

/// The keys that a node's text links to.
pub fn links_of(db: &Connection, node: i64) -> Result<BTreeSet<String>> {
    let mut statement = db.prepare_cached("SELECT key FROM link WHERE node = ?1")?;
    let rows = statement.query_map([node], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Which ops are on a node, and what they do to it.
pub fn touching(db: &Connection, node: i64) -> Result<Vec<(i64, i64)>> {
    let mut statement = db.prepare_cached("SELECT pos, what FROM touch WHERE node = ?1 ORDER BY pos")?;
    let rows = statement.query_map([node], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Which node has a row.
pub fn node_at(db: &Connection, row: i64) -> Result<Option<NodeId>> {
    let mut statement = db.prepare_cached("SELECT uuid FROM node WHERE id = ?1")?;
    Ok(statement.query_row([row], |row| Ok(NodeId::from_bytes(array(row, 0)?))).optional()?)
}

/// How many rows a table has.
pub fn count(db: &Connection, table: &str) -> Result<i64> {
    Ok(db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))?)
}

/// How many rows, per table, are of a node that is not there.
pub fn strays(db: &Connection) -> Result<Vec<(&'static str, i64)>> {
    let count = |table: &'static str| {
        let sql = format!("SELECT count(*) FROM {table} WHERE node NOT IN (SELECT id FROM node)");
        Ok((table, db.query_row(&sql, [], |row| row.get(0))?))
    };
    ["touch", "body", "tagged", "name", "link"].into_iter().map(count).collect()
}

/// A table of what is noted of ops, and all of it in an order of its own.
pub struct Table {
    /// What it is called.
    pub name: &'static str,
    /// Its rows.
    pub sql: &'static str,
}

/// The tables whose rows the log alone says.
pub const NOTED: [Table; 8] = [
    Table { name: "origin", sql: "SELECT origin, key FROM origin ORDER BY origin" },
    Table {
        name: "chain",
        sql: "SELECT origin.origin, fork_seq, tip_seq, tip_id FROM chain JOIN origin ON origin.id = chain.origin
              ORDER BY origin.origin, fork_seq, tip_seq, tip_id",
    },
    Table { name: "grouped", sql: "SELECT id, pos FROM grouped ORDER BY id, pos" },
    Table { name: "held", sql: "SELECT pos FROM held ORDER BY pos" },
    Table { name: "awaited", sql: "SELECT origin, seq, prefix, node FROM awaited ORDER BY origin, seq, prefix, node" },
    Table { name: "erased", sql: "SELECT origin, seq, prefix, idx FROM erased ORDER BY origin, seq, prefix, idx" },
    Table {
        name: "repeated",
        sql: "SELECT origin, seq, prefix, idx, pos, by_idx FROM repeated
              ORDER BY origin, seq, prefix, idx, pos, by_idx",
    },
    Table { name: "missing", sql: "SELECT pos, idx FROM missing ORDER BY pos, idx" },
];

/// Whether two files give the same rows.
pub fn rows_are_equal(one: &Connection, other: &Connection, sql: &str) -> Result<bool> {
    let (mut ours, mut theirs) = (one.prepare(sql)?, other.prepare(sql)?);
    let columns = ours.column_count();
    let (mut ours, mut theirs) = (ours.query([])?, theirs.query([])?);
    let values = |row: &Row<'_>| (0..columns).map(|column| row.get(column)).collect::<rusqlite::Result<Vec<Value>>>();
    loop {
        match (ours.next()?, theirs.next()?) {
            (None, None) => return Ok(true),
            (Some(ours), Some(theirs)) if values(ours)? == values(theirs)? => {}
            _ => return Ok(false),
        }
    }
}
