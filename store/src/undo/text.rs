//! What an undo does to texts: which one is shown again, and which edits are taken back.

use super::action::Action;
use super::{CHANGED_SINCE, Undone, UndoneItem, WRITTEN_TOO};
use crate::body::{ClientId, Document, Undoing};
use crate::derive::{Moment, from_log};
use crate::draft::Draft;
use crate::error::Result;
use crate::field::{BODY, Field, Value};
use crate::id::{Generation, NodeId, OpRef};
use crate::merge::{Body, Chains, Head, NodeState, Register};
use crate::op::{Change, ChangeRef, Touch};
use crate::sqlite::state;
use crate::text::{UPDATE_BYTES_MAX, derived_client};
use std::collections::{BTreeMap, BTreeSet};

/// How many edits the text of one edit may repeat: their names and an update fit into one op.
const SOURCES_MAX: usize = 1_000;

/// An edit that an action wrote.
#[derive(Debug, Clone, Copy)]
pub(super) struct UndoneEdit {
    pub own: ChangeRef,
    pub node: NodeId,
    pub generation: Generation,
}

/// What an undo has written to texts until now.
type Written = BTreeMap<(NodeId, Generation), Vec<Vec<u8>>>;

impl Draft<'_> {
    /// Whether a change makes a text the shown one that another op made so, too: two devices settled a conflict alike, or
    /// imported the same. It stays for as long as one of them stands.
    pub(super) fn is_chosen_too(&self, change: &Change, action: &Action) -> Result<bool> {
        let Change::Set { node, field, seen, value: Some(value), .. } = change else { return Ok(false) };
        if field.as_str() != BODY {
            return Ok(false);
        }
        let branches = self.writer.branches();
        let state = self.state(*node)?;
        let heads = state.registers.get(field).map(Register::heads).unwrap_or_default();
        // Whoever had seen less chose it for less: what this one settled would stay hidden.
        let saw = |head: &&Head| seen.iter().all(|op| head.seen.iter().any(|saw| branches.reaches(saw, op)));
        let alike: Vec<_> =
            heads.iter().filter(|head| head.value == *value).filter(saw).map(|head| head.own.op).collect();
        branches.finish()?;
        for op in alike {
            if self.stands_apart(&op, action)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A first text that was shown over one that was here already, or that settled the one which no write had ever chosen:
    /// that one is shown again, and ours has been seen. Where it stands alone, undoing its edits is enough.
    pub(super) fn undo_first_text(
        &mut self,
        own: ChangeRef,
        action: &Action,
        node: NodeId,
        field: &Field,
        settled: bool,
    ) -> Result<Option<String>> {
        let state = self.state(node)?;
        let heads = state.registers.get(field).map(Register::heads).unwrap_or_default();
        // One that was put back stands there as other edits.
        let Some(ours) = heads.iter().find(|head| head.own.op == own.op) else { return Ok(Some(CHANGED_SINCE.into())) };
        // Who chose the same was undone, too.
        let (same, others): (Vec<_>, Vec<_>) = heads.iter().partition(|head| head.value == ours.value);
        let other = others.first().copied();
        if !settled && other.is_none() {
            return Ok(None);
        }
        let value = other.map_or(Value::generation(Generation::EMPTY), |other| other.value.clone());
        let mut seen = other.map(|other| other.seen.clone()).unwrap_or_default();
        seen.extend(self.seen_away(node, &state, ours, (&value, &seen), action)?);
        let bases = same.into_iter().chain(other).map(|head| head.own.op).collect();
        let repeats = other.map(|other| ChangeRef { op: other.own.op, index: other.index }).into_iter().collect();
        let value = Some(value);
        self.push(Change::Set { node, field: field.clone(), bases, seen, repeats, value });
        Ok(None)
    }

    /// The edit up to which the text of `ours` has been seen by who undoes it: the action's own newest one. What was
    /// typed there since stays beside the text that is shown again. So does all of it, as far as undoing its edits leaves
    /// any, if a third text that the other's author had not seen stands before that edit on its chain: who has seen an
    /// edit has seen all before it.
    fn seen_away(
        &self,
        node: NodeId,
        state: &NodeState,
        ours: &Head,
        (other, told): (&Value, &[OpRef]),
        action: &Action,
    ) -> Result<Option<OpRef>> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(None) };
        let branches = self.writer.branches();
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&branches, node, row.id, wanted, Moment::NOW)?;
        let (ours, other) = (ours.value.as_generation(), other.as_generation());
        let edits = ours.and_then(|generation| updates.remove(&generation)).unwrap_or_default();
        let newest = edits.into_keys().map(|(op, _)| op).filter(|op| action.contains(op)).max_by_key(|op| op.seq);
        let is_third = |body: &&Body| ![ours, other].contains(&Some(body.generation)) && !body.is_blank();
        let unseen = |op: &&OpRef| !told.iter().any(|told| branches.reaches(told, op));
        let mut apart = state.bodies.iter().filter(is_third).flat_map(|body| &body.latest).filter(unseen);
        let seen = newest.filter(|newest| !apart.any(|op| branches.reaches(newest, op)));
        branches.finish()?;
        Ok(seen)
    }

    /// Undoes edits. A text that they do not bring back is not shown again: it would be an empty one, and those that it
    /// took the place of had been seen.
    pub(super) fn undo_edits(&mut self, edits: Vec<UndoneEdit>, action: &Action, report: &mut Undone) -> Result<()> {
        let (mut lacking, mut undone, mut written) = (BTreeSet::new(), BTreeSet::new(), Written::new());
        let (first, shows) = (report.items.len(), self.texts_set());
        for (number, edit) in edits.iter().enumerate() {
            self.split_at(number);
            let kept = self.undo_edit(edit, action, &shows, &mut written)?;
            match kept.as_deref() {
                None => drop(undone.insert(edit.node)),
                Some(WRITTEN_TOO) => {}
                Some(_) => drop(shows.contains(&(edit.node, edit.generation)).then(|| lacking.insert(edit.node))),
            }
            report.items.push(UndoneItem { node: Some(edit.node), what: "text".into(), kept });
        }
        if action.again {
            // Of what was redone, each edit takes back only what the others have left.
            let is_left =
                |item: &UndoneItem| item.kept.is_none() || item.node.is_none_or(|node| !undone.contains(&node));
            let texts = report.items.split_off(first);
            report.items.extend(texts.into_iter().filter(is_left));
            lacking.retain(|node| !undone.contains(node));
        }
        for node in lacking {
            self.withdraw(node, &Field::known(BODY));
            let is_body = |item: &&mut UndoneItem| item.node == Some(node) && item.what == BODY;
            report.items.iter_mut().filter(is_body).for_each(|item| item.kept = Some("its text is gone".into()));
        }
        Ok(())
    }

    /// Undoes one edit, or says why not. It has to be of the text that is shown, or that this undo shows again. What
    /// this undo has written to the text by then is there already.
    fn undo_edit(
        &mut self,
        edit: &UndoneEdit,
        action: &Action,
        shows: &BTreeSet<(NodeId, Generation)>,
        written: &mut Written,
    ) -> Result<Option<String>> {
        let UndoneEdit { own, node, generation } = *edit;
        let state = self.state(node)?;
        if state.hidden {
            return Ok(Some("it is deleted".into()));
        }
        if state.generation() != generation && !shows.contains(&(node, generation)) {
            return Ok(Some("the text was replaced since".into()));
        }
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Some(CHANGED_SINCE.into())) };
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.writer.branches(), node, row.id, wanted, Moment::NOW)?;
        let updates = updates.remove(&generation).unwrap_or_default();
        let written = written.entry((node, generation)).or_default();
        let ordered: Vec<&[u8]> = updates.values().chain(&*written).map(Vec::as_slice).collect();
        let clients: Vec<_> = ordered.iter().map(|update| undo_client(node, generation, update)).collect();
        let Some(at) = updates.keys().position(|key| *key == (own.op, own.index)) else {
            return Ok(Some("its text was erased".into()));
        };
        let keys: Vec<_> = updates.keys().collect();
        for twin in Document::twins(&ordered, at) {
            if let Some((op, _)) = keys.get(twin)
                && self.stands_apart(op, action)?
            {
                return Ok(Some(WRITTEN_TOO.into()));
            }
        }
        let undoing = Document::undo(&ordered, &clients, at, UPDATE_BYTES_MAX, SOURCES_MAX);
        if undoing.is_empty() {
            return Ok(Some(CHANGED_SINCE.into()));
        }
        let mut new = Vec::new();
        for Undoing { update, repeats } in undoing {
            let sources = repeats.into_iter().filter_map(|number| keys.get(number));
            let repeats = sources.map(|(op, index)| ChangeRef { op: *op, index: *index }).collect();
            new.push(update.clone());
            self.push(Change::Edit { node, generation, repeats, update: Some(update) });
        }
        written.extend(new);
        Ok(None)
    }
}

/// The Yjs client with which anyone undoes an edit, so that two who do it do it once. Edits of the same bytes do the same:
/// two devices deleted the same characters, or undid the same.
fn undo_client(node: NodeId, generation: Generation, update: &[u8]) -> ClientId {
    derived_client(node, &[b"undo", generation.as_bytes(), update], "")
}
