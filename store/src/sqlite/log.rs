//! Rows of the log: origins, chains, ops, stretches, and what the log says of erased, repeated and awaited ops.

use crate::codec::Malformed;
use crate::error::Result;
use crate::id::{GroupId, NodeId, OpId, OpRef, Origin, Seq};
use crate::op::{ChangeRef, Op, Place};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// A chain or branch.
#[derive(Debug, Clone)]
pub struct Chain {
    /// Its row.
    pub id: i64,
    /// The chain it leaves.
    pub parent: Option<i64>,
    /// The number of the last op that it shares with its parent; 0 if none.
    pub fork_seq: u64,
    /// The number of its last op.
    pub tip_seq: u64,
    /// The hash of its last op.
    pub tip: OpId,
}

/// An origin with all its chains.
#[derive(Debug, Clone)]
pub struct OriginRow {
    /// Its row.
    pub id: i64,
    /// Its public key.
    pub key: [u8; 32],
    /// Its chains, in the order in which they were met, which is that of their rows.
    pub chains: Vec<Chain>,
}

impl OriginRow {
    /// Where a chain stands among them.
    pub fn at(&self, chain: i64) -> std::result::Result<usize, usize> {
        self.chains.binary_search_by_key(&chain, |known| known.id)
    }
}

/// A row of the log.
#[derive(Debug, Clone)]
pub struct LogRow {
    /// The position.
    pub pos: i64,
    /// The chain's row.
    pub chain: i64,
    /// The number on it.
    pub seq: Seq,
    /// The hash.
    pub id: OpId,
    /// The packed op.
    pub packed: Vec<u8>,
}

/// A stretch's row.
#[derive(Debug, Clone)]
pub struct StretchRow {
    /// The position of its last op.
    pub last: i64,
    /// The signature.
    pub signature: [u8; 64],
    /// The rolling hash of the log up to it.
    pub roll: [u8; 32],
}

pub(super) fn array<const N: usize>(row: &Row<'_>, column: usize) -> rusqlite::Result<[u8; N]> {
    let bytes = row.get_ref(column)?.as_blob()?;
    bytes
        .try_into()
        .map_err(|_| rusqlite::Error::InvalidColumnType(column, "length".into(), rusqlite::types::Type::Blob))
}

pub(super) fn seq(row: &Row<'_>, column: usize) -> rusqlite::Result<Seq> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).ok().and_then(Seq::new).ok_or(rusqlite::Error::IntegralValueOutOfRange(column, number))
}

fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(column, number))
}

/// An origin with its chains, if any op of it is here.
pub fn origin(db: &Connection, origin: Origin) -> Result<Option<OriginRow>> {
    let mut statement = db.prepare_cached("SELECT id, key FROM origin WHERE origin = ?1")?;
    let found = statement.query_row([origin.as_bytes()], |row| Ok((row.get(0)?, array(row, 1)?))).optional()?;
    let Some((id, key)) = found else { return Ok(None) };
    let sql = "SELECT id, parent, fork_seq, tip_seq, tip_id FROM chain WHERE origin = ?1 ORDER BY id";
    let mut statement = db.prepare_cached(sql)?;
    let chains = statement.query_map([id], |row| {
        let (fork_seq, tip_seq) = (number(row, 2)?, number(row, 3)?);
        Ok(Chain { id: row.get(0)?, parent: row.get(1)?, fork_seq, tip_seq, tip: OpId::from_bytes(array(row, 4)?) })
    })?;
    Ok(Some(OriginRow { id, key, chains: chains.collect::<rusqlite::Result<_>>()? }))
}

/// Every tip: origin, number, hash; origins ascending.
pub fn tips(db: &Connection, mut each: impl FnMut(Origin, Seq, OpId)) -> Result<()> {
    let sql = "SELECT origin.origin, tip_seq, tip_id FROM chain JOIN origin ON origin.id = chain.origin";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        each(Origin::from_bytes(array(row, 0)?), seq(row, 1)?, OpId::from_bytes(array(row, 2)?));
    }
    Ok(())
}

/// Every chain's row, the number of its tip, and of the last op that it shares with its parent.
pub fn chain_spans(db: &Connection) -> Result<Vec<(i64, u64, u64)>> {
    let mut statement = db.prepare_cached("SELECT id, tip_seq, fork_seq FROM chain")?;
    let rows = statement.query_map([], |row| Ok((row.get(0)?, number(row, 1)?, number(row, 2)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Chain and number of the op at a position.
pub fn chain_at(db: &Connection, pos: i64) -> Result<Option<(i64, u64)>> {
    let mut statement = db.prepare_cached("SELECT chain, seq FROM log WHERE pos = ?1")?;
    Ok(statement.query_row([pos], |row| Ok((row.get(0)?, number(row, 1)?))).optional()?)
}

/// Adds an origin.
pub fn insert_origin(db: &Connection, origin: Origin, key: &[u8; 32]) -> Result<i64> {
    let sql = "INSERT INTO origin (origin, key) VALUES (?1, ?2)";
    Ok(db.prepare_cached(sql)?.insert(params![origin.as_bytes(), key])?)
}

/// Adds a chain whose last op is the given one.
pub fn insert_chain(
    db: &Connection,
    origin: i64,
    parent: Option<i64>,
    fork_seq: u64,
    tip_seq: Seq,
    tip: &OpId,
) -> Result<i64> {
    let sql = "INSERT INTO chain (origin, parent, fork_seq, tip_seq, tip_id) VALUES (?1, ?2, ?3, ?4, ?5)";
    let values = params![origin, parent, fork_seq as i64, tip_seq.get() as i64, tip.as_bytes()];
    Ok(db.prepare_cached(sql)?.insert(values)?)
}

/// Moves a chain's tip.
pub fn set_tip(db: &Connection, chain: i64, tip_seq: Seq, tip: &OpId) -> Result<()> {
    let sql = "UPDATE chain SET tip_seq = ?2, tip_id = ?3 WHERE id = ?1";
    db.prepare_cached(sql)?.execute(params![chain, tip_seq.get() as i64, tip.as_bytes()])?;
    Ok(())
}

/// The origin that a chain's row belongs to, and its key.
pub fn chain_origin(db: &Connection, chain: i64) -> Result<(Origin, [u8; 32])> {
    let sql = "SELECT origin.origin, origin.key FROM chain JOIN origin ON origin.id = chain.origin WHERE chain.id = ?1";
    let mut statement = db.prepare_cached(sql)?;
    Ok(statement.query_row([chain], |row| Ok((Origin::from_bytes(array(row, 0)?), array(row, 1)?)))?)
}

/// Position and hash of an op by chain and number.
pub fn find(db: &Connection, chain: i64, number: u64) -> Result<Option<(i64, OpId)>> {
    let mut statement = db.prepare_cached("SELECT pos, id FROM log WHERE chain = ?1 AND seq = ?2")?;
    let found =
        statement.query_row(params![chain, number as i64], |row| Ok((row.get(0)?, OpId::from_bytes(array(row, 1)?))));
    Ok(found.optional()?)
}

/// Appends an op.
pub fn append(db: &Connection, row: &LogRow, emptied: usize) -> Result<()> {
    let sql = "INSERT INTO log (pos, chain, seq, id, emptied, packed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let values = params![row.pos, row.chain, row.seq.get() as i64, row.id.as_bytes(), emptied as i64, row.packed];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Notes that an op is part of an action that needed several.
pub fn insert_grouped(db: &Connection, group: GroupId, pos: i64) -> Result<()> {
    let sql = "INSERT INTO grouped (id, pos) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![group.as_bytes(), pos])?;
    Ok(())
}

/// The positions of the ops of such an action, in order.
pub fn grouped(db: &Connection, group: GroupId) -> Result<Vec<i64>> {
    let mut query = db.prepare_cached("SELECT pos FROM grouped WHERE id = ?1 ORDER BY pos")?;
    let rows = query.query_map([group.as_bytes()], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Stores an op again with other values erased or supplied: the only change that the log allows.
pub fn replace(db: &Connection, pos: i64, packed: &[u8], emptied: usize) -> Result<()> {
    let sql = "UPDATE log SET packed = ?2, emptied = ?3 WHERE pos = ?1";
    db.prepare_cached(sql)?.execute(params![pos, packed, emptied as i64])?;
    Ok(())
}

fn log_row(row: &Row<'_>) -> rusqlite::Result<LogRow> {
    let id = OpId::from_bytes(array(row, 3)?);
    Ok(LogRow { pos: row.get(0)?, chain: row.get(1)?, seq: seq(row, 2)?, id, packed: row.get(4)? })
}

/// The row at a position.
pub fn row(db: &Connection, pos: i64) -> Result<Option<LogRow>> {
    let mut statement = db.prepare_cached("SELECT pos, chain, seq, id, packed FROM log WHERE pos = ?1")?;
    Ok(statement.query_row([pos], log_row).optional()?)
}

/// The rows from `first` to `last`, both included.
pub fn rows(db: &Connection, first: i64, last: i64) -> Result<Vec<LogRow>> {
    let sql = "SELECT pos, chain, seq, id, packed FROM log WHERE pos BETWEEN ?1 AND ?2 ORDER BY pos";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([first, last], log_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The op of a row, as far as its content goes: its `prev` and `key` are left empty.
pub fn content(db: &Connection, row: &LogRow) -> Result<Op> {
    let (origin, _) = chain_origin(db, row.chain)?;
    let place = Place { origin, seq: row.seq, prev: OpId::NONE, key: None };
    Ok(Op::unpack(place, &row.packed)?)
}

/// Names the op at a position.
pub fn reference(db: &Connection, pos: i64) -> Result<OpRef> {
    let sql = "SELECT origin.origin, log.seq, log.id FROM log JOIN chain ON chain.id = log.chain
               JOIN origin ON origin.id = chain.origin WHERE log.pos = ?1";
    let named = |row: &Row<'_>| {
        let id = OpId::from_bytes(array(row, 2)?);
        Ok(OpRef::new(Origin::from_bytes(array(row, 0)?), seq(row, 1)?, &id))
    };
    Ok(db.prepare_cached(sql)?.query_row([pos], named)?)
}

/// The hashes of the ops from `first` to `last`, both included.
pub fn ids(db: &Connection, first: i64, last: i64) -> Result<Vec<OpId>> {
    let mut statement = db.prepare_cached("SELECT id FROM log WHERE pos BETWEEN ?1 AND ?2 ORDER BY pos")?;
    let rows = statement.query_map([first, last], |row| Ok(OpId::from_bytes(array(row, 0)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The last position of the log; 0 if it is empty.
pub fn head(db: &Connection) -> Result<i64> {
    Ok(db.prepare_cached("SELECT coalesce(max(pos), 0) FROM log")?.query_row([], |row| row.get(0))?)
}

/// Adds the end of a stretch.
pub fn insert_stretch(db: &Connection, row: &StretchRow) -> Result<()> {
    let sql = "INSERT INTO stretch (last, signature, roll) VALUES (?1, ?2, ?3)";
    db.prepare_cached(sql)?.execute(params![row.last, row.signature, row.roll])?;
    Ok(())
}

fn stretch_row(row: &Row<'_>) -> rusqlite::Result<StretchRow> {
    Ok(StretchRow { last: row.get(0)?, signature: array(row, 1)?, roll: array(row, 2)? })
}

/// The first stretch that ends after `after`.
pub fn stretch_after(db: &Connection, after: i64) -> Result<Option<StretchRow>> {
    let sql = "SELECT last, signature, roll FROM stretch WHERE last > ?1 ORDER BY last LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([after], stretch_row).optional()?)
}

/// The stretch that ends at `last`.
pub fn stretch_at(db: &Connection, last: i64) -> Result<Option<StretchRow>> {
    let sql = "SELECT last, signature, roll FROM stretch WHERE last = ?1";
    Ok(db.prepare_cached(sql)?.query_row([last], stretch_row).optional()?)
}

/// The last stretch that ends before `before`.
pub fn stretch_before(db: &Connection, before: i64) -> Result<Option<StretchRow>> {
    let sql = "SELECT last, signature, roll FROM stretch WHERE last < ?1 ORDER BY last DESC LIMIT 1";
    Ok(db.prepare_cached(sql)?.query_row([before], stretch_row).optional()?)
}

/// Notes that a node has to be derived again once `op` is here.
pub fn await_op(db: &Connection, op: &OpRef, node: NodeId) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO awaited (origin, seq, prefix, node) VALUES (?1, ?2, ?3, ?4)";
    let values = params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix, node.as_bytes()];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// Takes the nodes that waited for `op`.
pub fn arrived(db: &Connection, op: &OpRef) -> Result<Vec<NodeId>> {
    let sql = "SELECT node FROM awaited WHERE origin = ?1 AND seq = ?2 AND prefix = ?3";
    let mut statement = db.prepare_cached(sql)?;
    let key = params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix];
    let rows = statement.query_map(key, |row| Ok(NodeId::from_bytes(array(row, 0)?)))?;
    let nodes: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    if !nodes.is_empty() {
        let sql = "DELETE FROM awaited WHERE origin = ?1 AND seq = ?2 AND prefix = ?3";
        db.prepare_cached(sql)?.execute(params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix])?;
    }
    Ok(nodes)
}

/// Notes that a value has no effect. Returns whether that is news.
pub fn erase(db: &Connection, change: &ChangeRef) -> Result<bool> {
    let sql = "INSERT OR IGNORE INTO erased (origin, seq, prefix, idx) VALUES (?1, ?2, ?3, ?4)";
    let ChangeRef { op, index } = change;
    let values = params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix, index];
    Ok(db.prepare_cached(sql)?.execute(values)? > 0)
}

/// Which changes of an op have no effect.
pub fn erased(db: &Connection, op: &OpRef) -> Result<Vec<u32>> {
    let sql = "SELECT idx FROM erased WHERE origin = ?1 AND seq = ?2 AND prefix = ?3";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map(params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes that a change repeats another.
pub fn insert_repeat(db: &Connection, repeated: &ChangeRef, pos: i64, index: u32) -> Result<()> {
    let sql = "INSERT OR IGNORE INTO repeated (origin, seq, prefix, idx, pos, by_idx) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let ChangeRef { op, index: idx } = repeated;
    let values = params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix, idx, pos, index];
    db.prepare_cached(sql)?.execute(values)?;
    Ok(())
}

/// The changes that repeat one: position and index.
pub fn repeats_of(db: &Connection, change: &ChangeRef) -> Result<Vec<(i64, u32)>> {
    let sql = "SELECT pos, by_idx FROM repeated WHERE origin = ?1 AND seq = ?2 AND prefix = ?3 AND idx = ?4";
    let mut statement = db.prepare_cached(sql)?;
    let ChangeRef { op, index } = change;
    let key = params![op.origin.as_bytes(), op.seq.get() as i64, op.prefix, index];
    let rows = statement.query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// Notes a value that came without its bytes.
pub fn miss(db: &Connection, pos: i64, index: u32) -> Result<()> {
    db.prepare_cached("INSERT OR IGNORE INTO missing (pos, idx) VALUES (?1, ?2)")?.execute(params![pos, index])?;
    Ok(())
}

/// Notes that a value is no longer missed.
pub fn found(db: &Connection, pos: i64, index: u32) -> Result<()> {
    db.prepare_cached("DELETE FROM missing WHERE pos = ?1 AND idx = ?2")?.execute(params![pos, index])?;
    Ok(())
}

/// Which values of an op are missed.
pub fn missing(db: &Connection, pos: i64) -> Result<Vec<u32>> {
    let mut statement = db.prepare_cached("SELECT idx FROM missing WHERE pos = ?1")?;
    let rows = statement.query_map([pos], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// The ops after a position of which values are missed, at most `limit`.
pub fn missing_ops(db: &Connection, after: i64, limit: usize) -> Result<Vec<i64>> {
    let sql = "SELECT DISTINCT pos FROM missing WHERE pos > ?1 ORDER BY pos LIMIT ?2";
    let mut statement = db.prepare_cached(sql)?;
    let rows = statement.query_map([after, limit as i64], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// How many of (ops, held ops, ops with missing values) there are. The first is the log's last position, since
/// positions have no gaps.
pub fn counts(db: &Connection) -> Result<(u64, u64, u64)> {
    let sql = "SELECT (SELECT coalesce(max(pos), 0) FROM log), (SELECT count(*) FROM held), (SELECT count(DISTINCT pos) FROM missing)";
    Ok(db.prepare_cached(sql)?.query_row([], |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?)
}

/// A place for the first op of a stretch.
pub fn place(db: &Connection, row: &LogRow) -> Result<Place> {
    let (origin, key) = chain_origin(db, row.chain)?;
    if row.seq == Seq::FIRST {
        return Ok(Place { origin, seq: row.seq, prev: OpId::NONE, key: Some(key) });
    }
    let mut chain = row.chain;
    let number = row.seq.get() - 1;
    loop {
        if let Some((_, prev)) = find(db, chain, number)? {
            return Ok(Place { origin, seq: row.seq, prev, key: None });
        }
        let sql = "SELECT parent FROM chain WHERE id = ?1";
        let parent: Option<i64> = db.prepare_cached(sql)?.query_row([chain], |row| row.get(0))?;
        chain = parent.ok_or(Malformed("an op whose predecessor is not in the log"))?;
    }
}
