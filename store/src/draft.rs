//! What one action writes: the changes it collects, with their bases and what they have seen, and how they become ops.

use crate::derive::{Moment, from_log};
use crate::env::random;
use crate::error::{Error, Result};
use crate::field::{BODY, DELETED, Field, Value};
use crate::id::{Generation, GroupId, NodeId, OpRef, Origin, Stamp};
use crate::merge::{NodeState, Register};
use crate::op::{CHANGES_MAX, Change, ChangeRef, OP_BYTES_MAX, Op, Place, Touch};
use crate::read::View;
use crate::sqlite::{derived, log, state};
use crate::text::Importing;
use crate::writer::Writer;
use std::collections::BTreeSet;

/// An action in the making. Its changes are applied when it ends, all or none.
pub struct Draft<'a> {
    pub(crate) writer: &'a mut Writer,
    stamp: Stamp,
    group: Option<GroupId>,
    ops: Vec<Vec<Change>>,
    /// The registers that the last of them writes.
    registers: BTreeSet<(NodeId, Field)>,
    pub(crate) importing: Option<Importing>,
}

impl<'a> Draft<'a> {
    pub(crate) fn new(writer: &'a mut Writer) -> Self {
        let stamp = writer.env.now();
        Self { writer, stamp, group: None, ops: vec![Vec::new()], registers: BTreeSet::new(), importing: None }
    }

    /// The author's clock, in the ops of this action.
    pub fn now(&self) -> Stamp {
        self.stamp
    }

    /// The origin this action is written under.
    pub fn origin(&self) -> Origin {
        self.writer.key.origin()
    }

    /// A fresh node id.
    pub fn fresh_node(&mut self) -> NodeId {
        NodeId::fresh(self.stamp, random(&*self.writer.env))
    }

    /// A fresh group id, for an action that takes several commits.
    pub fn fresh_group(&mut self) -> GroupId {
        GroupId::from_bytes(random(&*self.writer.env))
    }

    /// Makes this part of an action that other drafts are part of too: undo takes them back together.
    pub fn join(&mut self, group: GroupId) {
        self.group = Some(group);
    }

    /// Reads within the same transaction: the state before this action.
    pub fn view(&self) -> View<'_> {
        View::new(&self.writer.db, &self.writer.known)
    }

    /// A node's state before this action; an empty one if it is not here.
    pub fn state(&self, node: NodeId) -> Result<NodeState> {
        self.writer.peek(node)
    }

    /// Whether nothing has been collected yet.
    pub fn is_empty(&self) -> bool {
        self.ops.iter().all(Vec::is_empty)
    }

    /// What follows goes into another op of the same group.
    pub fn split(&mut self) {
        if self.ops.last().is_some_and(|op| !op.is_empty()) {
            self.ops.push(Vec::new());
            self.registers.clear();
        }
    }

    /// Whether this action already edits a body of the node.
    pub(crate) fn edits(&self, on: NodeId) -> bool {
        let edit = |change: &Change| matches!(change, Change::Edit { node, .. } if *node == on);
        self.ops.iter().flatten().any(edit)
    }

    /// The texts that this action shows.
    pub(crate) fn texts_set(&self) -> BTreeSet<(NodeId, Generation)> {
        let shown = |change: &Change| match change {
            Change::Set { node, field, value: Some(value), .. } if field.as_str() == BODY => {
                value.as_generation().map(|generation| (*node, generation))
            }
            _ => None,
        };
        self.ops.iter().flatten().filter_map(shown).collect()
    }

    /// What this action sets a register to, it does not after all.
    pub(crate) fn withdraw(&mut self, node: NodeId, field: &Field) {
        let register = (node, field.clone());
        self.ops.iter_mut().for_each(|op| op.retain(|change| change.register().as_ref() != Some(&register)));
        self.registers.remove(&register);
    }

    pub(crate) fn push(&mut self, change: Change) {
        if let Some(op) = self.ops.last_mut() {
            let register = change.register();
            // What an op sets twice it sets to the last of both.
            if register.as_ref().is_some_and(|register| !self.registers.insert(register.clone())) {
                op.retain(|earlier| earlier.register() != register);
            }
            op.push(change);
        }
    }

    /// Refuses to write to a node that is hidden.
    pub(crate) fn writable(&self, node: NodeId) -> Result<NodeState> {
        let state = self.state(node)?;
        if state.hidden { Err(Error::Hidden(node)) } else { Ok(state) }
    }

    /// Sets a register: replaces the shown value and those equal to it, and leaves others in the conflict that they are
    /// in. What is shown already is not written again.
    pub fn set(&mut self, node: NodeId, field: &Field, value: Value) -> Result<()> {
        let state = self.writable(node)?;
        let register = state.registers.get(field).cloned().unwrap_or_default();
        let shown = register.shown().map_or(&Value::Null, |head| &head.value);
        if *shown == value {
            return Ok(());
        }
        let bases = register.bases(field);
        self.push_set(node, field, bases, value, Vec::new());
        Ok(())
    }

    /// Sets a register whose value was read when the log ended at `position`: a value that arrived since stays beside it.
    pub fn set_read_at(&mut self, node: NodeId, field: &Field, value: Value, position: u64) -> Result<()> {
        let state = self.writable(node)?;
        let now = state.registers.get(field).cloned().unwrap_or_default();
        let read = self.register_at(node, field, position)?;
        if now.shown().map_or(&Value::Null, |head| &head.value) == &value {
            return Ok(());
        }
        self.push_set(node, field, read.bases(field), value, Vec::new());
        Ok(())
    }

    fn register_at(&self, node: NodeId, field: &Field, position: u64) -> Result<Register> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Register::default()) };
        let then = Moment { position: i64::try_from(position).unwrap_or(i64::MAX), ..Moment::NOW };
        let wanted = Touch { writes: true, edits: false };
        let (mut registers, _) = from_log(&self.writer.branches(), node, row.id, wanted, then)?;
        Ok(registers.remove(field).unwrap_or_default())
    }

    /// Settles a register: replaces every head. `repeats`: the head whose value is taken.
    pub fn settle(&mut self, node: NodeId, field: &Field, value: Value, repeats: Option<OpRef>) -> Result<()> {
        let state = self.writable(node)?;
        let register = state.registers.get(field).cloned().unwrap_or_default();
        let taken = register.heads().iter().filter(|head| Some(head.own.op) == repeats);
        let repeats = taken.map(|head| ChangeRef { op: head.own.op, index: head.index }).collect();
        self.push_set(node, field, register.all(), value, repeats);
        Ok(())
    }

    pub(crate) fn push_set(
        &mut self,
        node: NodeId,
        field: &Field,
        bases: Vec<OpRef>,
        value: Value,
        repeats: Vec<ChangeRef>,
    ) {
        self.push(Change::Set { node, field: field.clone(), bases, seen: Vec::new(), repeats, value: Some(value) });
    }

    /// Deletes a node with all that is on it and on what it owns now. A hidden node is refused like any write to it.
    pub fn delete(&mut self, node: NodeId) -> Result<()> {
        let state = self.writable(node)?;
        if self.view().has_held(node)? {
            return Err(Error::HeldNode(node));
        }
        let mut seen = state.latest.clone();
        seen.extend(self.writer.latest_on_owned(node, &state)?);
        let bases = state.registers.get(DELETED).map(Register::all).unwrap_or_default();
        self.push(Change::Delete { node, bases, seen });
        Ok(())
    }

    /// Brings a deleted node back, or keeps one whose deletion is contested. Alive: writes nothing.
    pub fn undelete(&mut self, node: NodeId) -> Result<()> {
        let state = self.state(node)?;
        let heads = state.registers.get(DELETED).cloned().unwrap_or_default();
        if heads.heads().iter().all(|head| head.value == Value::Bool(false)) {
            return Ok(());
        }
        self.push_set(node, &Field::known(DELETED), heads.all(), Value::Bool(false), Vec::new());
        Ok(())
    }

    /// Takes the effect and the bytes of values away, here and everywhere.
    pub fn erase(&mut self, targets: Vec<ChangeRef>) {
        self.push(Change::Erase { targets });
    }

    /// Turns what was collected into ops, applies them, and returns them.
    pub(crate) fn finish(self) -> Result<Vec<OpRef>> {
        let origin = self.writer.key.origin();
        let ops = pack_into_ops(self.ops, origin)?;
        let several = ops.len() > 1;
        let group = self.group.or_else(|| several.then(|| GroupId::from_bytes(random(&*self.writer.env))));
        let mut written = Vec::with_capacity(ops.len());
        let mut edits = Vec::new();
        for changes in ops {
            let place: Place = self.writer.next_place()?;
            let salt = random(&*self.writer.env);
            let op = Op::new(place, self.stamp, group, salt, &changes);
            let seq = op.seq;
            let id = self.writer.append_own(op)?;
            written.push(OpRef::new(origin, seq, &id));
            if changes.iter().any(|change| matches!(change, Change::Edit { .. })) {
                edits.push(self.writer.head);
            }
        }
        if let Some(Importing { vault, path, mut record }) = self.importing {
            record.versions.extend(edits);
            derived::put_imported(&self.writer.db, &vault, &path, &record)?;
        }
        Ok(written)
    }

    /// The position of an op that is here.
    pub(crate) fn position(&self, op: &OpRef) -> Result<i64> {
        let found = self.writer.branches().locate(op)?;
        found.map(|(pos, _)| pos).ok_or(Error::NoOp(*op))
    }

    /// The op at a position, as far as its content goes.
    pub(crate) fn op_at(&self, pos: i64) -> Result<Option<(Op, OpRef)>> {
        let Some(row) = log::row(&self.writer.db, pos)? else { return Ok(None) };
        let op = log::content(&self.writer.db, &row)?;
        let reference = op.reference(&row.id);
        Ok(Some((op, reference)))
    }
}

/// Cuts what was collected into ops within the limits.
fn pack_into_ops(collected: Vec<Vec<Change>>, origin: Origin) -> Result<Vec<Vec<Change>>> {
    let mut ops: Vec<Vec<Change>> = Vec::new();
    for changes in collected {
        let mut weight = 0;
        let mut op = Vec::new();
        for change in changes {
            let bytes = Op::weight_of(&change, origin);
            if bytes > OP_BYTES_MAX {
                return Err(Error::TooLong { bytes, max: OP_BYTES_MAX });
            }
            if weight + bytes > OP_BYTES_MAX || op.len() == CHANGES_MAX {
                ops.push(std::mem::take(&mut op));
                weight = 0;
            }
            weight += bytes;
            op.push(change);
        }
        if !op.is_empty() {
            ops.push(op);
        }
    }
    Ok(ops)
}
