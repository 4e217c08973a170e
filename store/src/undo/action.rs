//! What is undone together: the ops of an action, and every redo of it that stands. What was redone stands there as the
//! redo's writes, and one of two that undid or redid the same apart stands there as the other's.

use crate::draft::Draft;
use crate::error::Result;
use crate::field::{UNDONE, Value};
use crate::id::{NodeId, OpId, OpRef};
use crate::merge::Register;
use crate::op::{Change, Op};
use crate::undone::mark_of;
use std::collections::BTreeSet;

/// How many of the newest ops that mark an op as undone or not are looked at.
const MARKS_MAX: usize = 256;

/// An op of the log, with its names.
pub(super) type Logged = (OpRef, OpId, Op);

/// Ops that are undone together: those of one action, and what brought them back.
pub(super) struct Action {
    pub ops: BTreeSet<OpRef>,
    /// Whether any of them brought others back.
    pub again: bool,
    /// If they undo something: the ops of others that undo the same.
    twins: BTreeSet<OpRef>,
}

impl Action {
    /// Whether an op is one of them.
    pub fn contains(&self, op: &OpRef) -> bool {
        self.ops.contains(op)
    }
}

impl Draft<'_> {
    /// The actions that brought back what these ops had done and somebody had undone, as far as they stand, newest first.
    pub(super) fn redos_of(&self, ops: &[Logged]) -> Result<Vec<Vec<Logged>>> {
        let (mut found, mut known) = (Vec::new(), BTreeSet::new());
        let view = self.view();
        for (_, id, _) in ops {
            let Some(mark) = view.node(mark_of(id))? else { continue };
            for entry in view.history(&mark, MARKS_MAX)? {
                let unmarks = |change: &Change| matches!(change, Change::Set { value: Some(Value::Null), .. });
                if !entry.undone && entry.changes.iter().any(unmarks) && !known.contains(&entry.op) {
                    let redo = self.action_of(&entry.op)?;
                    known.extend(redo.iter().map(|(reference, ..)| *reference));
                    found.push(((entry.stamp, entry.op), redo));
                }
            }
        }
        found.sort_by_key(|(order, _)| std::cmp::Reverse(*order));
        Ok(found.into_iter().map(|(_, redo)| redo).collect())
    }

    /// These actions as one.
    pub(super) fn whole(&self, actions: &[Vec<Logged>]) -> Result<Action> {
        let ops: BTreeSet<OpRef> = actions.iter().flatten().map(|(reference, ..)| *reference).collect();
        let registers = actions.iter().flatten().flat_map(|(_, _, op)| op.registers());
        let marks: BTreeSet<NodeId> =
            registers.filter(|(_, field, _)| field.as_str() == UNDONE).map(|(node, ..)| node).collect();
        let mut twins = BTreeSet::new();
        for mark in marks {
            let state = self.state(mark)?;
            for head in state.registers.get(UNDONE).map(Register::heads).unwrap_or_default() {
                if !ops.contains(&head.own.op) && !twins.contains(&head.own.op) {
                    twins.extend(self.action_of(&head.own.op)?.into_iter().map(|(reference, ..)| reference));
                }
            }
        }
        Ok(Action { ops, again: actions.len() > 1, twins })
    }

    /// Whether an op that is no part of this stands, so that what it wrote, too, is not taken back.
    pub(super) fn stands_apart(&self, op: &OpRef, action: &Action) -> Result<bool> {
        if action.contains(op) || action.twins.contains(op) {
            return Ok(false);
        }
        let view = self.view();
        Ok(match view.op(op)? {
            Some((_, _, id)) => !view.is_undone(&id)?,
            None => false,
        })
    }
}
