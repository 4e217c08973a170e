//! The action that undoes another: it touches only what that one still shows, puts back all that it had replaced, and
//! says what it left alone. Undoing twice, here or elsewhere, is undoing once.

mod action;
mod made;
mod text;

use crate::draft::Draft;
use crate::error::Result;
use crate::field::{BODY, DELETED, Field, KIND, UNDONE, Value};
use crate::id::{NodeId, OpId, OpRef};
use crate::merge::{Rank, Register};
use crate::op::{Change, ChangeRef, Op};
use crate::undone::{UNDO_KIND, mark_of};
use action::{Action, Logged};
use made::{Made, created};
use std::collections::BTreeSet;
use text::UndoneEdit;

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
    /// The ops that were undone: those of one action, and of what had brought it back.
    pub ops: Vec<OpRef>,
    /// Per change, what happened.
    pub items: Vec<UndoneItem>,
    /// Whether the action was undone before, so that nothing was done now.
    pub already: bool,
}

impl Undone {
    /// What was undone until now.
    fn undone(&self) -> BTreeSet<(NodeId, String)> {
        let undone = self.items.iter().filter(|item| item.kept.is_none());
        undone.filter_map(|item| Some((item.node?, item.what.clone()))).collect()
    }
}

const CHANGED_SINCE: &str = "it was changed since";
/// No reason to leave a value alone: it goes with another of the same action, which is shown.
const WITH_SHOWN: &str = "it goes with the shown one";
const WRITTEN_TOO: &str = "another op wrote the same";
/// How many ops are undone by one op.
const OPS_PER_UNDO: usize = 64;

impl Draft<'_> {
    /// Undoes the action that `op` belongs to.
    pub fn undo(&mut self, op: &OpRef) -> Result<Undone> {
        let own = self.action_of(op)?;
        let mut actions = self.redos_of(&own)?;
        actions.push(own);
        let action = self.whole(&actions)?;
        let own = actions.last().map(Vec::as_slice).unwrap_or_default();
        if !action.again && self.all_undone(own)? {
            return Ok(Undone { ops: action.ops.into_iter().collect(), already: true, items: Vec::new() });
        }
        let mut report = Undone::default();
        let mut created = created(own);
        self.owned_go_too(&mut created)?;
        for (number, (node, newest)) in created.goes.iter().enumerate() {
            self.split_at(number);
            self.undo_creation(*node, *newest, &mut report)?;
        }
        // Which text is shown is decided first: then it is known which edits bring it back.
        let (mut edits, mut number) = (Vec::new(), 0);
        for ops in &actions {
            // What an action wrote that was redone stands there as the redo's, and was undone as that.
            let done = if action.again { report.undone() } else { BTreeSet::new() };
            for (reference, _, op) in ops.iter().rev() {
                self.split_at(number);
                number += 1;
                edits.extend(self.undo_op(*reference, op, (&action, &created, &done), &mut report)?);
            }
        }
        self.undo_edits(edits, &action, &mut report)?;
        for (number, (_, id, _)) in actions.iter().flat_map(|ops| ops.iter().rev()).enumerate() {
            self.split_at(number);
            self.mark_undone(id)?;
        }
        report.ops = action.ops.into_iter().collect();
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

    fn all_undone(&self, ops: &[Logged]) -> Result<bool> {
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

    /// Undoes what an op wrote, but for what was undone by then, and its edits, which it returns.
    fn undo_op(
        &mut self,
        own: OpRef,
        op: &Op,
        (action, created, done): (&Action, &Made, &BTreeSet<(NodeId, String)>),
        report: &mut Undone,
    ) -> Result<Vec<UndoneEdit>> {
        let mut edits = Vec::new();
        let changes = match op.read() {
            Ok(changes) => changes,
            Err(why) => {
                report.items.push(UndoneItem { node: None, what: own.to_string(), kept: Some(why.to_string()) });
                return Ok(edits);
            }
        };
        for (index, change) in (0u32..).zip(changes) {
            if created.covers(&change) {
                continue;
            }
            let (node, what) = (change.node(), what(&change));
            if node.is_some_and(|node| self.is_mark(node)) {
                self.turn_mark(&change)?;
                continue;
            }
            let own = ChangeRef { op: own, index };
            if let Change::Edit { node, generation, .. } = change {
                edits.push(UndoneEdit { own, node, generation });
                continue;
            }
            if node.is_some_and(|node| done.contains(&(node, what.clone()))) {
                continue;
            }
            let kept = self.undo_change(own, action, change)?;
            match kept.as_deref() {
                // Whatever brought that one back says so.
                Some(WITH_SHOWN) if action.again => {}
                Some(WITH_SHOWN) => report.items.push(UndoneItem { node, what, kept: None }),
                _ => report.items.push(UndoneItem { node, what, kept }),
            }
        }
        Ok(edits)
    }

    fn is_mark(&self, node: NodeId) -> bool {
        self.state(node).is_ok_and(|state| state.text(KIND) == Some(UNDO_KIND))
    }

    /// Undoing an undo takes its mark away, so that the op can be undone again; undoing that sets it again.
    fn turn_mark(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Set { node, field, value, .. } if field.as_str() == UNDONE => {
                let was_marked = *value == Some(Value::Bool(true));
                self.set(*node, field, if was_marked { Value::Null } else { Value::Bool(true) })
            }
            _ => Ok(()),
        }
    }

    /// Undoes one change that is no edit, or says why not.
    fn undo_change(&mut self, own: ChangeRef, action: &Action, change: Change) -> Result<Option<String>> {
        if let Some(node) = change.node()
            && self.state(node)?.hidden
            && !matches!(change, Change::Delete { .. })
        {
            return Ok(Some("it is deleted".into()));
        }
        if self.is_chosen_too(&change, action)? {
            return Ok(Some(WRITTEN_TOO.into()));
        }
        match change {
            Change::Set { node, field, bases, seen, .. } if field.as_str() == BODY && bases.is_empty() => {
                self.undo_first_text(own, action, node, &field, !seen.is_empty())
            }
            Change::Set { node, field, bases, .. } => self.undo_register(own, action, node, &field, &bases),
            Change::Delete { node, bases, .. } => self.undo_register(own, action, node, &Field::known(DELETED), &bases),
            Change::Edit { .. } | Change::Erase { .. } => Ok(Some("what was erased is gone".into())),
        }
    }

    fn undo_register(
        &mut self,
        own: ChangeRef,
        action: &Action,
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
            return Ok(Some(WITH_SHOWN.into()));
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

    fn mark_undone(&mut self, id: &OpId) -> Result<()> {
        let mark = mark_of(id);
        self.set(mark, &Field::known(KIND), Value::text(UNDO_KIND))?;
        self.set(mark, &Field::known(UNDONE), Value::Bool(true))
    }
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
