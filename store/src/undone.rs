//! Questions about undo: what belongs to one action, whether it was undone, and whether what it wrote still stands. What
//! undoing writes is in [`crate::undo`].

use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::field::{DELETED, KIND, UNDONE, Value};
use crate::id::{NodeId, OpId, OpRef, Seq};
use crate::merge::Register;
use crate::natural;
use crate::op::{Change, ChangeRef, Op};
use crate::read::{Node, View};
use crate::sqlite::log;
use std::collections::BTreeSet;

/// The kind of the internal nodes that say which ops were undone.
pub(crate) const UNDO_KIND: &str = "undo";
/// How often in a row a value may have been put back and still count as the one it was.
const PUT_BACK_MAX: usize = 256;

impl View<'_> {
    /// Whether an op was undone, here or elsewhere.
    pub fn is_undone(&self, op: &OpId) -> Result<bool> {
        let mark = self.node(mark_of(op))?;
        Ok(mark.is_some_and(|mark| mark.state.value(UNDONE).is_some()))
    }

    /// The newest action of this replica that can be undone: not an undo, not undone, not the device's own notes.
    pub fn newest_undoable(&self) -> Result<Option<OpRef>> {
        let origin = self.origin()?;
        let Some(row) = self.branches().origin(origin)? else { return Ok(None) };
        let Some(own) = row.chains.first() else { return Ok(None) };
        let mut number = own.tip_seq;
        // An undo of several ops marks in its last one what it undoes: the others are told by their group.
        let mut internal = BTreeSet::new();
        while let Some(seq) = Seq::new(number) {
            let Some((pos, id)) = log::find(self.db, own.id, number)? else { break };
            let Some(row) = log::row(self.db, pos)? else { break };
            let op = log::content(self.db, &row)?;
            let changes = op.read().unwrap_or_default();
            if self.is_internal(&changes)? {
                internal.extend(op.group);
            } else if !changes.is_empty()
                && !op.group.is_some_and(|group| internal.contains(&group))
                && !self.is_undone(&id)?
            {
                return Ok(Some(OpRef::new(origin, seq, &id)));
            }
            number -= 1;
        }
        Ok(None)
    }

    /// Whether an op is an undo, or only says something about a device or erases.
    fn is_internal(&self, changes: &[Change]) -> Result<bool> {
        let mut only_devices = true;
        for node in changes.iter().filter_map(Change::node) {
            match self.node(node)?.as_ref().map(Node::kind) {
                Some(UNDO_KIND) => return Ok(true),
                Some("device") => {}
                _ => only_devices = false,
            }
        }
        Ok(only_devices)
    }
}

impl Draft<'_> {
    /// Whether a node is hidden only because the action that made it was undone.
    pub fn is_unmade(&self, node: NodeId) -> Result<bool> {
        let state = self.state(node)?;
        if !state.hidden {
            return Ok(false);
        }
        let heads = |name: &str| state.registers.get(name).map(Register::heads).unwrap_or_default();
        let view = self.view();
        for head in heads(DELETED).iter().filter(|head| head.value == Value::Bool(true)) {
            if !self.undoes(&head.own.op)? {
                return Ok(false);
            }
        }
        for head in heads(KIND) {
            match view.op(&head.own.op)? {
                Some((_, _, id)) if view.is_undone(&id)? => {}
                _ => return Ok(false),
            }
        }
        Ok(true)
    }

    /// The ops of one action: those of `op`'s origin that share its group.
    pub(crate) fn action_of(&self, op: &OpRef) -> Result<Vec<(OpRef, OpId, Op)>> {
        let (_, first, id) = self.view().op(op)?.ok_or(Error::NoOp(*op))?;
        let Some(group) = first.group else { return Ok(vec![(*op, id, first)]) };
        let mut ops = Vec::new();
        for pos in log::grouped(&self.writer.db, group)? {
            let Some(row) = log::row(&self.writer.db, pos)? else { continue };
            let other = log::content(&self.writer.db, &row)?;
            if other.origin == op.origin {
                ops.push((other.reference(&row.id), row.id, other));
            }
        }
        ops.sort_by_key(|(reference, ..)| reference.seq);
        Ok(ops)
    }

    /// Whether an op is part of an undo. One of several ops marks in its last ones what it undoes.
    fn undoes(&self, op: &OpRef) -> Result<bool> {
        let Some((_, found, _)) = self.view().op(op)? else { return Ok(false) };
        let in_group = || Ok(self.action_of(op)?.iter().rev().any(|(_, _, op)| marks(op)));
        if marks(&found) { Ok(true) } else { in_group() }
    }

    /// Whether a head is the value that `own` wrote: written by it, or put back by an undo of what had replaced it.
    pub(crate) fn stands_for(&self, head: ChangeRef, own: ChangeRef) -> Result<bool> {
        let mut at = head;
        for _ in 0..PUT_BACK_MAX {
            if at.op == own.op {
                return Ok(true);
            }
            let Some((_, op, _)) = self.view().op(&at.op)? else { return Ok(false) };
            let changes = op.read().unwrap_or_default();
            match changes.get(at.index as usize) {
                Some(Change::Set { repeats, .. }) if !repeats.is_empty() && self.undoes(&at.op)? => at = repeats[0],
                _ => return Ok(false),
            }
        }
        Ok(false)
    }
}

/// The internal node on which an op is marked as undone.
pub(crate) fn mark_of(op: &OpId) -> NodeId {
    NodeId::from_uuid(natural::undo_mark(op.as_bytes()))
}

/// Whether an op marks something as undone.
fn marks(op: &Op) -> bool {
    let is_mark = |change: &Change| matches!(change, Change::Set { field, .. } if field.as_str() == UNDONE);
    op.read().unwrap_or_default().iter().any(is_mark)
}
