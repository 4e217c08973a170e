//! What the log says of a node: its registers, and the updates of its bodies, from all the ops on it, now or as of an
//! earlier moment. This is the definition; [`crate::apply`] takes a shorter way to the same state.

use crate::branches::Branches;
use crate::error::Result;
use crate::field::{DELETED, Field, Value};
use crate::id::{Generation, NodeId, OpRef};
use crate::merge::{Rank, Register, Write};
use crate::op::{Change, Held, Op, Touch};
use crate::read::View;
use crate::sqlite::{held, log, state};
use crate::writer::emptied;
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Updates with the rank of their ops: the order in which a body is rebuilt.
pub(crate) type Ordered = BTreeMap<(OpRef, u32), Vec<u8>>;

/// From how many changes on an op is kept decoded: it is likely to be asked for again, for the next of its nodes.
const CHANGES_KEPT: usize = 8;
/// How many bytes of packed ops are kept decoded.
const PACKED_KEPT: usize = 8 * 1024 * 1024;

/// How much of the log had an effect: what stood up to a position, but for what took effect later than it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    /// The last position.
    pub position: i64,
    /// The last of the ops that took effect later than they came, by the number in which they did.
    pub late: i64,
}

impl Moment {
    /// All that is here.
    pub const NOW: Self = Self { position: i64::MAX, late: i64::MAX };

    /// The positions of the ops on a node that do any of `wanted` and had an effect then, in order.
    fn positions(self, db: &Connection, row: i64, wanted: Touch) -> Result<Vec<i64>> {
        let mut positions = state::touching(db, row, wanted)?;
        positions.truncate(positions.partition_point(|pos| *pos <= self.position));
        if self.late < i64::MAX {
            let later = held::late_after(db, self.late)?;
            positions.retain(|pos| !later.contains(pos));
        }
        Ok(positions)
    }

    /// Whether a body of the node was edited after this moment.
    pub fn is_before_an_edit(self, db: &Connection, row: i64) -> Result<bool> {
        let edits = Touch { writes: false, edits: true };
        if state::last_edit(db, row)? > self.position {
            return Ok(true);
        }
        let later = if self.late < i64::MAX { held::late_after(db, self.late)? } else { Default::default() };
        Ok(!later.is_empty() && state::touching(db, row, edits)?.iter().any(|pos| later.contains(pos)))
    }
}

/// An op of the log, decoded once for all the nodes that it is on.
#[derive(Debug)]
pub(crate) struct Decoded {
    /// The op and its stamp.
    pub own: Rank,
    /// What it does; of one without effect, the frames of the registers that it names.
    changes: Vec<(u32, Change)>,
    /// Whether it has no effect.
    pub held: bool,
    /// Which changes are on which node, sorted.
    on: Vec<(NodeId, usize)>,
}

impl Decoded {
    fn new(db: &Connection, pos: i64, op: &Op, reference: OpRef) -> Result<Self> {
        let (changes, held) = match read(db, pos, op)? {
            Ok(changes) => ((0u32..).zip(changes).collect(), false),
            Err(_) => (op.framed(), true),
        };
        let on = (0..).zip(&changes).filter_map(|(at, (_, change))| Some((change.node()?, at)));
        let mut on: Vec<_> = on.collect();
        on.sort_unstable();
        Ok(Self { own: Rank { stamp: op.stamp, op: reference }, changes, held, on })
    }

    fn changes_on(&self, node: NodeId) -> impl Iterator<Item = &(u32, Change)> {
        let from = self.on.partition_point(|(on, _)| *on < node);
        self.on[from..].iter().take_while(move |(on, _)| *on == node).map(|(_, at)| &self.changes[*at])
    }

    /// What it does to a register, each change with its number.
    pub fn changes_of(&self, node: NodeId, field: &Field) -> impl Iterator<Item = &(u32, Change)> {
        self.changes_on(node).filter(move |(_, change)| match change {
            Change::Set { field: on, .. } => on == field,
            Change::Delete { .. } => field.as_str() == DELETED,
            Change::Edit { .. } | Change::Erase { .. } => false,
        })
    }
}

/// Ops that were decoded and may be asked for again, by position. Nothing in it outlives a step, or a change of a row.
#[derive(Debug, Default)]
pub(crate) struct Kept(RefCell<Ops>);

#[derive(Debug, Default)]
struct Ops {
    by_position: HashMap<i64, Arc<Decoded>>,
    /// How many bytes they have, packed.
    packed: usize,
}

impl Kept {
    /// Forgets an op of which a value was dropped or supplied.
    pub fn forget(&self, pos: i64) {
        self.0.borrow_mut().by_position.remove(&pos);
    }

    /// Forgets all.
    pub fn clear(&self) {
        self.0.take();
    }

    fn op(&self, db: &Connection, pos: i64) -> Result<Option<Arc<Decoded>>> {
        if let Some(kept) = self.0.borrow().by_position.get(&pos) {
            return Ok(Some(Arc::clone(kept)));
        }
        let Some(row) = log::row(db, pos)? else { return Ok(None) };
        let op = log::content(db, &row)?;
        let decoded = Arc::new(Decoded::new(db, pos, &op, op.reference(&row.id))?);
        if decoded.changes.len() >= CHANGES_KEPT {
            let mut kept = self.0.borrow_mut();
            if kept.packed + row.packed.len() > PACKED_KEPT {
                *kept = Ops::default();
            }
            kept.packed += row.packed.len();
            kept.by_position.insert(pos, Arc::clone(&decoded));
        }
        Ok(Some(decoded))
    }
}

impl View<'_> {
    /// An op that is here, decoded.
    pub(crate) fn decoded(&self, op: &OpRef) -> Result<Option<Arc<Decoded>>> {
        let Some((pos, _)) = self.branches().locate(op)? else { return Ok(None) };
        self.known.ops.op(self.db, pos)
    }
}

/// All that the log says of a node as of a moment: its registers, and per generation its readable updates.
pub(crate) fn from_log(
    through: &Branches<'_>,
    node: NodeId,
    row: i64,
    wanted: Touch,
    moment: Moment,
) -> Result<(BTreeMap<Field, Register>, BTreeMap<Generation, Ordered>)> {
    let mut writes: BTreeMap<Field, Vec<Write>> = BTreeMap::new();
    let mut updates: BTreeMap<Generation, Ordered> = BTreeMap::new();
    for pos in moment.positions(through.db, row, wanted)? {
        let Some(op) = through.known.ops.op(through.db, pos)? else { continue };
        if op.held {
            relay(node, &op, &mut writes);
        } else {
            collect(node, &op, &mut writes, &mut updates);
        }
    }
    let registers = writes.into_iter().map(|(field, writes)| (field, Register::of(&writes)));
    Ok((registers.filter(|(_, register)| !register.heads().is_empty()).collect(), updates))
}

/// The changes of the op at a position, or why it has no effect.
pub(crate) fn read(db: &Connection, pos: i64, op: &Op) -> Result<Result<Vec<Change>, String>> {
    readable(db, pos, op, op.read())
}

/// What was read of an op, unless it came without a value that nobody is known to have erased: then it cannot be told
/// yet whether it can be read.
pub(crate) fn readable(
    db: &Connection,
    pos: i64,
    op: &Op,
    changes: Result<Vec<Change>, Held>,
) -> Result<Result<Vec<Change>, String>> {
    if emptied(op) > 0 && !log::missing(db, pos)?.is_empty() {
        return Ok(Err("a value of it has not come yet".to_owned()));
    }
    Ok(changes.map_err(|why| why.to_string()))
}

fn collect(
    on: NodeId,
    op: &Decoded,
    writes: &mut BTreeMap<Field, Vec<Write>>,
    updates: &mut BTreeMap<Generation, Ordered>,
) {
    let own = op.own;
    for (index, change) in op.changes_on(on) {
        let index = *index;
        match change.clone() {
            Change::Set { field, bases, seen, value, .. } => {
                writes.entry(field).or_default().push(Write { own, index, bases, seen, value });
            }
            Change::Delete { bases, seen, .. } => {
                let write = Write { own, index, bases, seen, value: Some(Value::Bool(true)) };
                writes.entry(Field::known(DELETED)).or_default().push(write);
            }
            Change::Edit { generation, update: Some(update), .. } => {
                updates.entry(generation).or_default().insert((own.op, index), update);
            }
            Change::Edit { update: None, .. } | Change::Erase { .. } => {}
        }
    }
}

/// A held op shows nothing; what supersedes it supersedes what it names.
fn relay(on: NodeId, op: &Decoded, writes: &mut BTreeMap<Field, Vec<Write>>) {
    let mut named: BTreeMap<Field, Vec<OpRef>> = BTreeMap::new();
    for (_, change) in op.changes_on(on) {
        let (field, bases) = match change {
            Change::Set { field, bases, .. } => (field.clone(), bases),
            Change::Delete { bases, .. } => (Field::known(DELETED), bases),
            Change::Edit { .. } | Change::Erase { .. } => continue,
        };
        named.entry(field).or_default().extend(bases);
    }
    for (field, bases) in named {
        writes.entry(field).or_default().push(Write { own: op.own, index: 0, bases, seen: Vec::new(), value: None });
    }
}
