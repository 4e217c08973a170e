//! The action that undoes another: it touches only what that one still shows, puts back all that it had replaced, and
//! says what it left alone. Undoing twice, here or elsewhere, is undoing once.

use crate::apply::from_log;
use crate::body::{ClientId, Document};
use crate::draft::Draft;
use crate::error::{Error, Result};
use crate::field::{BODY, DELETED, Field, KIND, UNDONE, Value};
use crate::id::{Generation, NodeId, OpId, OpRef, Seq};
use crate::merge::Register;
use crate::natural;
use crate::op::{Change, ChangeRef, Op, Touch};
use crate::read::UNDO_KIND;
use crate::sqlite::state;
use crate::text::derived_client;
use std::collections::BTreeSet;

/// What happened to one change of the undone action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UndoneItem {
    /// The node it was on, if it was on one.
    pub node: Option<NodeId>,
    /// The register, or `text`.
    pub what: String,
    /// Why it was left alone; `None` if it was undone.
    pub kept: Option<String>,
}

/// What an undo did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Undone {
    /// The ops that were undone: those of one action.
    pub ops: Vec<OpRef>,
    /// Per change, what happened.
    pub items: Vec<UndoneItem>,
    /// Whether the action was undone before, so that nothing was done now.
    pub already: bool,
}

const CHANGED_SINCE: &str = "it was changed since";

impl Draft<'_> {
    /// Undoes the action that `op` belongs to.
    pub fn undo(&mut self, op: &OpRef) -> Result<Undone> {
        let mut report = Undone::default();
        let ops = self.action_of(op)?;
        if self.all_undone(&ops)? {
            return Ok(Undone {
                ops: ops.iter().map(|(reference, ..)| *reference).collect(),
                already: true,
                items: Vec::new(),
            });
        }
        let created = created(&ops);
        for node in &created {
            self.undo_creation(*node, &ops, &mut report)?;
        }
        for (reference, id, op) in ops.iter().rev() {
            self.undo_op(*reference, op, &created, &mut report)?;
            self.mark_undone(id)?;
            report.ops.push(*reference);
        }
        Ok(report)
    }

    /// The ops of one action: those around `op` on its chain that share its group.
    fn action_of(&self, op: &OpRef) -> Result<Vec<(OpRef, OpId, Op)>> {
        let view = self.view();
        let (_, first, id) = view.op(op)?.ok_or(Error::NoOp(*op))?;
        let Some(group) = first.group else { return Ok(vec![(*op, id, first)]) };
        let chain = self.writer.branches().locate(op)?.map(|(_, chain)| chain).ok_or(Error::NoOp(*op))?;
        let lineage = self.writer.branches().lineage(op.origin, &chain, Seq::new(chain.tip_seq).unwrap_or(op.seq))?;
        let mut ops = vec![(*op, id, first)];
        for step in [-1i64, 1] {
            let mut number = op.seq.get() as i64 + step;
            while let Some(seq) = u64::try_from(number).ok().and_then(Seq::new) {
                let found = lineage.iter().find(|(_, upto)| seq.get() <= *upto && number > 0);
                let Some((id, _)) = found.map(|(chain, _)| chain).and_then(|_| self.tip_on(&lineage, seq)) else {
                    break;
                };
                let reference = OpRef::new(op.origin, seq, &id);
                let Some((_, other, id)) = view.op(&reference)?.filter(|(_, other, _)| other.group == Some(group))
                else {
                    break;
                };
                ops.push((reference, id, other));
                number += step;
            }
        }
        ops.sort_by_key(|(reference, ..)| reference.seq);
        Ok(ops)
    }

    fn tip_on(&self, lineage: &[(i64, u64)], seq: Seq) -> Option<(OpId, i64)> {
        lineage.iter().filter(|(_, upto)| seq.get() <= *upto).find_map(|(chain, _)| {
            let found = crate::sqlite::log::find(&self.writer.db, *chain, seq.get()).ok().flatten()?;
            Some((found.1, *chain))
        })
    }

    fn all_undone(&self, ops: &[(OpRef, OpId, Op)]) -> Result<bool> {
        let view = self.view();
        for (_, id, _) in ops {
            if !view.is_undone(id)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A node that the action made goes away, unless someone wrote to it since: then it stays, as a conflict.
    fn undo_creation(&mut self, node: NodeId, ops: &[(OpRef, OpId, Op)], report: &mut Undone) -> Result<()> {
        let state = self.state(node)?;
        let kept = state.hidden.then(|| "it is deleted already".to_owned());
        if kept.is_none() {
            let seen = ops.iter().map(|(reference, ..)| *reference).collect();
            let bases = state.registers.get(DELETED).map(Register::all).unwrap_or_default();
            self.push(Change::Delete { node, bases, seen });
        }
        report.items.push(UndoneItem { node: Some(node), what: "created".into(), kept });
        Ok(())
    }

    fn undo_op(&mut self, own: OpRef, op: &Op, created: &BTreeSet<NodeId>, report: &mut Undone) -> Result<()> {
        let changes = match op.read() {
            Ok(changes) => changes,
            Err(why) => {
                report.items.push(UndoneItem { node: None, what: own.to_string(), kept: Some(why.to_string()) });
                return Ok(());
            }
        };
        for (index, change) in (0u32..).zip(changes) {
            if change.node().is_some_and(|node| created.contains(&node)) {
                continue;
            }
            let (node, what) = (change.node(), what(&change));
            if node.is_some_and(|node| self.is_mark(node)) {
                self.unmark(node)?;
                continue;
            }
            let kept = self.undo_change(ChangeRef { op: own, index }, change)?;
            report.items.push(UndoneItem { node, what, kept });
        }
        Ok(())
    }

    fn is_mark(&self, node: NodeId) -> bool {
        self.state(node).is_ok_and(|state| state.text(KIND) == Some(UNDO_KIND))
    }

    /// Undoing an undo takes its mark away, so that the op can be undone again.
    fn unmark(&mut self, node: Option<NodeId>) -> Result<()> {
        node.map_or(Ok(()), |node| self.set(node, &Field::known(UNDONE), Value::Null))
    }

    /// Undoes one change, or says why not.
    fn undo_change(&mut self, own: ChangeRef, change: Change) -> Result<Option<String>> {
        if let Some(node) = change.node()
            && self.state(node)?.hidden
            && !matches!(change, Change::Delete { .. })
        {
            return Ok(Some("it is deleted".into()));
        }
        match change {
            Change::Set { field, bases, .. } if field.as_str() == BODY && bases.is_empty() => Ok(None),
            Change::Set { node, field, bases, .. } => self.undo_register(own, node, &field, &bases),
            Change::Delete { node, bases, .. } => self.undo_register(own, node, &Field::known(DELETED), &bases),
            Change::Edit { node, generation, .. } => self.undo_edit(own, node, generation),
            Change::Erase { .. } => Ok(Some("what was erased is gone".into())),
        }
    }

    fn undo_register(
        &mut self,
        own: ChangeRef,
        node: NodeId,
        field: &Field,
        bases: &[OpRef],
    ) -> Result<Option<String>> {
        let register = self.state(node)?.registers.get(field).cloned().unwrap_or_default();
        let shown = register.shown().map(|head| head.value.clone());
        let head = register.heads().iter().find(|head| head.own.op == own.op);
        let Some(head) = head.filter(|head| field.heads_are_equal() || Some(&head.value) == shown.as_ref()) else {
            return Ok(Some(CHANGED_SINCE.into()));
        };
        let replaced = vec![head.own.op];
        let mut before = self.writes_of(node, field, bases)?;
        if before.is_empty() {
            let value = if field.as_str() == DELETED { Value::Bool(false) } else { Value::Null };
            self.push_set(node, field, replaced, value, Vec::new());
            return Ok(None);
        }
        before.sort_by_key(|(rank, ..)| *rank);
        let several = before.len() > 1;
        for (_, repeated, write) in before {
            if several {
                self.split();
            }
            self.push(write.again(node, field, replaced.clone(), repeated));
        }
        Ok(None)
    }

    /// What these ops wrote to a register, as far as it is readable and not erased.
    fn writes_of(
        &self,
        node: NodeId,
        field: &Field,
        ops: &[OpRef],
    ) -> Result<Vec<(crate::merge::Rank, ChangeRef, Past)>> {
        let view = self.view();
        let mut found = Vec::new();
        for reference in ops {
            let (Some((_, op, _)), Some(rank)) = (view.op(reference)?, view.rank(reference)?) else { continue };
            for (index, change) in (0u32..).zip(op.read().unwrap_or_default()) {
                if change.register().as_ref() == Some(&(node, field.clone()))
                    && let Some(past) = Past::of(change)
                {
                    found.push((rank, ChangeRef { op: *reference, index }, past));
                }
            }
        }
        Ok(found)
    }

    fn undo_edit(&mut self, own: ChangeRef, node: NodeId, generation: Generation) -> Result<Option<String>> {
        let state = self.state(node)?;
        if state.generation() != generation {
            return Ok(Some("the text was replaced since".into()));
        }
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Some(CHANGED_SINCE.into())) };
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.writer.db, node, row.id, wanted, i64::MAX)?;
        let updates = updates.remove(&generation).unwrap_or_default();
        let ordered: Vec<&[u8]> = updates.values().map(Vec::as_slice).collect();
        let clients: Vec<_> = updates.keys().map(|(op, index)| undo_client(node, op, *index)).collect();
        let Some(at) = updates.keys().position(|key| *key == (own.op, own.index)) else {
            return Ok(Some("its text was erased".into()));
        };
        let edits = Document::undo(&ordered, &clients, at, crate::text::UPDATE_BYTES_MAX);
        if edits.is_empty() {
            return Ok(Some(CHANGED_SINCE.into()));
        }
        self.push_edits(node, generation, edits);
        Ok(None)
    }

    fn mark_undone(&mut self, id: &OpId) -> Result<()> {
        let mark = NodeId::from_uuid(natural::undo_mark(id.as_bytes()));
        self.set(mark, &Field::known(KIND), Value::text(UNDO_KIND))?;
        self.set(mark, &Field::known(UNDONE), Value::Bool(true))
    }
}

/// The Yjs client with which anyone undoes one change of one op, so that two who do it do it once.
fn undo_client(node: NodeId, op: &OpRef, index: u32) -> ClientId {
    let (seq, index) = (op.seq.get().to_be_bytes(), index.to_be_bytes());
    let undone = [op.origin.as_bytes().as_slice(), &seq, &op.prefix, &index].concat();
    derived_client(node, &[b"undo", &undone], "")
}

/// A value that a register once had, and how it was written.
enum Past {
    Set { seen: Vec<OpRef>, value: Value },
    Delete { seen: Vec<OpRef> },
}

impl Past {
    fn of(change: Change) -> Option<Self> {
        match change {
            Change::Set { seen, value: Some(value), .. } => Some(Self::Set { seen, value }),
            Change::Delete { seen, .. } => Some(Self::Delete { seen }),
            _ => None,
        }
    }

    /// The change that writes it once more.
    fn again(self, node: NodeId, field: &Field, bases: Vec<OpRef>, repeated: ChangeRef) -> Change {
        match self {
            Self::Delete { seen } => Change::Delete { node, bases, seen },
            Self::Set { seen, value } => {
                Change::Set { node, field: field.clone(), bases, seen, repeats: vec![repeated], value: Some(value) }
            }
        }
    }
}

/// The nodes that an action made: their kind was not set before.
fn created(ops: &[(OpRef, OpId, Op)]) -> BTreeSet<NodeId> {
    let changes = ops.iter().flat_map(|(_, _, op)| op.read().unwrap_or_default());
    let made = changes.filter_map(|change| match change {
        Change::Set { node, field, bases, value, .. } if field.as_str() == KIND && bases.is_empty() => {
            (value != Some(Value::text(UNDO_KIND))).then_some(node)
        }
        _ => None,
    });
    made.collect()
}

fn what(change: &Change) -> String {
    match change {
        Change::Set { field, .. } => field.to_string(),
        Change::Delete { .. } => "deleted".into(),
        Change::Edit { .. } => "text".into(),
        Change::Erase { .. } => "erased".into(),
    }
}
