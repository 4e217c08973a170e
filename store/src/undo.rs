//! The action that undoes another: it touches only what that one still shows, puts back all that it had replaced, and
//! says what it left alone. Undoing twice, here or elsewhere, is undoing once.

mod made;

use crate::body::{ClientId, Document, Undoing};
use crate::derive::{Moment, from_log};
use crate::draft::Draft;
use crate::error::Result;
use crate::field::{BODY, DELETED, Field, KIND, UNDONE, Value};
use crate::id::{Generation, NodeId, OpId, OpRef};
use crate::merge::{Chains, Head, NodeState, Rank, Register};
use crate::natural;
use crate::op::{Change, ChangeRef, Op, Touch};
use crate::sqlite::state;
use crate::text::{UPDATE_BYTES_MAX, derived_client};
use crate::undone::UNDO_KIND;
use made::{Made, created};
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
/// How many ops are undone by one op.
const OPS_PER_UNDO: usize = 64;
/// How many edits the text of one edit may repeat: their names and an update fit into one op.
const SOURCES_MAX: usize = 1_000;

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
        let mut created = created(&ops);
        self.owned_go_too(&mut created)?;
        let action = ops.iter().map(|(reference, ..)| *reference).collect();
        for (number, (node, newest)) in created.goes.iter().enumerate() {
            self.split_at(number);
            self.undo_creation(*node, *newest, &mut report)?;
        }
        for (number, (reference, id, op)) in ops.iter().rev().enumerate() {
            self.split_at(number);
            self.undo_op(*reference, op, &action, &created, &mut report)?;
            self.mark_undone(id)?;
            report.ops.push(*reference);
        }
        Ok(report)
    }

    /// What a going node owns is hidden with it, so that nothing of it has to be taken back, and the deletion has seen
    /// what the action did to it.
    fn owned_go_too(&self, made: &mut Made) -> Result<()> {
        let makes: BTreeSet<NodeId> = made.goes.keys().chain(&made.stays).copied().collect();
        for (node, newest) in &mut made.goes {
            if self.state(*node)?.owner().is_some() {
                continue;
            }
            for owned in self.writer.owned(*node)?.intersection(&makes) {
                if let Some(touched) = made.touched.get(owned) {
                    *newest = std::cmp::max_by_key(*newest, *touched, |op| op.seq);
                    made.with_owner.insert(*owned);
                }
            }
        }
        Ok(())
    }

    /// Begins another op, of the same group, every so often.
    fn split_at(&mut self, number: usize) {
        if number > 0 && number.is_multiple_of(OPS_PER_UNDO) {
            self.split();
        }
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
    fn undo_creation(&mut self, node: NodeId, newest: OpRef, report: &mut Undone) -> Result<()> {
        let state = self.state(node)?;
        let kept = state.hidden.then(|| "it is deleted already".to_owned());
        if kept.is_none() {
            let seen = vec![newest];
            let bases = state.registers.get(DELETED).map(Register::all).unwrap_or_default();
            self.push(Change::Delete { node, bases, seen });
        }
        report.items.push(UndoneItem { node: Some(node), what: "created".into(), kept });
        Ok(())
    }

    fn undo_op(
        &mut self,
        own: OpRef,
        op: &Op,
        action: &BTreeSet<OpRef>,
        created: &Made,
        report: &mut Undone,
    ) -> Result<()> {
        let changes = match op.read() {
            Ok(changes) => changes,
            Err(why) => {
                report.items.push(UndoneItem { node: None, what: own.to_string(), kept: Some(why.to_string()) });
                return Ok(());
            }
        };
        for (index, change) in (0u32..).zip(changes) {
            if created.covers(&change) {
                continue;
            }
            let (node, what) = (change.node(), what(&change));
            if node.is_some_and(|node| self.is_mark(node)) {
                self.unmark(node)?;
                continue;
            }
            let kept = self.undo_change(ChangeRef { op: own, index }, action, change)?;
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
    fn undo_change(&mut self, own: ChangeRef, action: &BTreeSet<OpRef>, change: Change) -> Result<Option<String>> {
        if let Some(node) = change.node()
            && self.state(node)?.hidden
            && !matches!(change, Change::Delete { .. })
        {
            return Ok(Some("it is deleted".into()));
        }
        match change {
            Change::Set { node, field, bases, seen, .. } if field.as_str() == BODY && bases.is_empty() => {
                self.undo_first_text(own, action, node, &field, !seen.is_empty())
            }
            Change::Set { node, field, bases, .. } => self.undo_register(own, action, node, &field, &bases),
            Change::Delete { node, bases, .. } => self.undo_register(own, action, node, &Field::known(DELETED), &bases),
            Change::Edit { node, generation, .. } => self.undo_edit(own, node, generation),
            Change::Erase { .. } => Ok(Some("what was erased is gone".into())),
        }
    }

    fn undo_register(
        &mut self,
        own: ChangeRef,
        action: &BTreeSet<OpRef>,
        node: NodeId,
        field: &Field,
        bases: &[OpRef],
    ) -> Result<Option<String>> {
        let register = self.state(node)?.registers.get(field).cloned().unwrap_or_default();
        let Some(shown) = register.shown() else { return Ok(Some(CHANGED_SINCE.into())) };
        let mut head = None;
        for found in register.heads() {
            if head.is_none() && self.stands_for(ChangeRef { op: found.own.op, index: found.index }, own)? {
                head = Some(found);
            }
        }
        let Some(head) = head else { return Ok(Some(CHANGED_SINCE.into())) };
        // Of several heads that the action put side by side, the shown one is undone with the others.
        if action.contains(&shown.own.op) && shown.own.op != own.op {
            return Ok(None);
        }
        if !field.heads_are_equal() && head.value != shown.value {
            return Ok(Some(CHANGED_SINCE.into()));
        }
        let ours = register.all().into_iter().filter(|head| action.contains(head));
        let replaced: Vec<OpRef> = register.bases(field).into_iter().chain(ours).collect();
        let mut before = self.writes_of(node, field, bases)?;
        if before.is_empty() {
            let value = if field.as_str() == DELETED { Value::Bool(false) } else { Value::Null };
            self.push_set(node, field, replaced, value, Vec::new());
            return Ok(None);
        }
        before.sort_by_key(|(order, ..)| *order);
        let several = before.len() > 1;
        for (_, repeated, write) in before {
            if several {
                self.split();
            }
            self.push(write.again(node, field, replaced.clone(), repeated));
        }
        Ok(None)
    }

    /// A first text that was shown over one that was here already, or that settled the one which no write had ever chosen:
    /// that one is shown again, and ours has been seen. Where it stands alone, undoing its edits is enough.
    fn undo_first_text(
        &mut self,
        own: ChangeRef,
        action: &BTreeSet<OpRef>,
        node: NodeId,
        field: &Field,
        settled: bool,
    ) -> Result<Option<String>> {
        let state = self.state(node)?;
        let heads = state.registers.get(field).map(Register::heads).unwrap_or_default();
        let ours = heads.iter().find(|head| head.own.op == own.op);
        let other = heads.iter().find(|head| head.own.op != own.op);
        let Some(ours) = ours.filter(|_| settled || other.is_some()) else { return Ok(None) };
        let value = other.map_or(Value::generation(Generation::EMPTY), |other| other.value.clone());
        let mut seen = other.map(|other| other.seen.clone()).unwrap_or_default();
        seen.extend(self.seen_away(node, &state, ours, &value, action)?);
        let bases = std::iter::once(ours).chain(other).map(|head| head.own.op).collect();
        let repeats = other.map(|other| ChangeRef { op: other.own.op, index: other.index }).into_iter().collect();
        let value = Some(value);
        self.push(Change::Set { node, field: field.clone(), bases, seen, repeats, value });
        Ok(None)
    }

    /// The edit up to which the text of `ours` has been seen by who undoes it: the action's own newest one. What was
    /// typed there since stays beside the text of `other`. So does all of it, as far as undoing its edits leaves any,
    /// if a third text is kept that stands before that edit on its chain: who has seen an edit has seen all before it.
    fn seen_away(
        &self,
        node: NodeId,
        state: &NodeState,
        ours: &Head,
        other: &Value,
        action: &BTreeSet<OpRef>,
    ) -> Result<Option<OpRef>> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(None) };
        let branches = self.writer.branches();
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&branches, node, row.id, wanted, Moment::NOW)?;
        let (ours, other) = (ours.value.as_generation(), other.as_generation());
        let edits = ours.and_then(|generation| updates.remove(&generation)).unwrap_or_default();
        let newest = edits.into_keys().map(|(op, _)| op).filter(|op| action.contains(op)).max_by_key(|op| op.seq);
        let mut kept = state.copies(&branches);
        kept.retain(|generation| ![ours, other].contains(&Some(*generation)));
        let mut apart = kept.iter().filter_map(|generation| state.body(*generation)).flat_map(|body| &body.latest);
        let seen = newest.filter(|newest| !apart.any(|op| branches.reaches(newest, op)));
        branches.finish()?;
        Ok(seen)
    }

    /// What these ops wrote to a register, as far as it is readable and not erased.
    fn writes_of(&self, node: NodeId, field: &Field, ops: &[OpRef]) -> Result<Vec<Written>> {
        let view = self.view();
        let mut found = Vec::new();
        for reference in ops {
            let Some(op) = view.decoded(reference)?.filter(|op| !op.held) else { continue };
            let order = (self.above(node, field, op.own)?, op.own);
            for (index, change) in op.changes_of(node, field) {
                if let Some(past) = Past::of(change.clone()) {
                    found.push((order, ChangeRef { op: *reference, index: *index }, past));
                }
            }
        }
        Ok(found)
    }

    /// The largest rank among an op and all that it replaced on a register: what made its value the shown one.
    fn above(&self, node: NodeId, field: &Field, own: Rank) -> Result<Rank> {
        let view = self.view();
        let (mut largest, mut reached, mut next) = (own, BTreeSet::new(), vec![own.op]);
        while let Some(reference) = next.pop() {
            let Some(op) = view.decoded(&reference)? else { continue };
            largest = largest.max(op.own);
            for (_, change) in op.changes_of(node, field) {
                if let Change::Set { bases, .. } | Change::Delete { bases, .. } = change {
                    next.extend(bases.iter().filter(|base| reached.insert(**base)));
                }
            }
        }
        Ok(largest)
    }

    fn undo_edit(&mut self, own: ChangeRef, node: NodeId, generation: Generation) -> Result<Option<String>> {
        let state = self.state(node)?;
        if state.generation() != generation {
            return Ok(Some("the text was replaced since".into()));
        }
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Some(CHANGED_SINCE.into())) };
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.writer.branches(), node, row.id, wanted, Moment::NOW)?;
        let updates = updates.remove(&generation).unwrap_or_default();
        let ordered: Vec<&[u8]> = updates.values().map(Vec::as_slice).collect();
        let clients: Vec<_> = updates.keys().map(|(op, index)| undo_client(node, op, *index)).collect();
        let Some(at) = updates.keys().position(|key| *key == (own.op, own.index)) else {
            return Ok(Some("its text was erased".into()));
        };
        let undoing = Document::undo(&ordered, &clients, at, UPDATE_BYTES_MAX, SOURCES_MAX);
        if undoing.is_empty() {
            return Ok(Some(CHANGED_SINCE.into()));
        }
        let keys: Vec<_> = updates.keys().collect();
        for Undoing { update, repeats } in undoing {
            let sources = repeats.into_iter().filter_map(|number| keys.get(number));
            let repeats = sources.map(|(op, index)| ChangeRef { op: *op, index: *index }).collect();
            self.push(Change::Edit { node, generation, repeats, update: Some(update) });
        }
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

/// A past write of a register, with what decided whether it was shown.
type Written = ((Rank, Rank), ChangeRef, Past);

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

fn what(change: &Change) -> String {
    match change {
        Change::Set { field, .. } => field.to_string(),
        Change::Delete { .. } => "deleted".into(),
        Change::Edit { .. } => "text".into(),
        Change::Erase { .. } => "erased".into(),
    }
}
