//! What an action made, and which of it goes when the action is undone.

use crate::field::{KIND, ROLE, Value};
use crate::id::{NodeId, OpId, OpRef};
use crate::op::{Change, Op};
use crate::undone::UNDO_KIND;
use std::collections::{BTreeMap, BTreeSet};

/// The nodes that an action made (their kind was not set before), each with the newest op of the action on it. What
/// stands for something beyond the action stays: a day's journal and a context document, of which only the text is
/// taken back, and a tag or project that was made in passing, which others may use by now.
pub(super) fn created(ops: &[(OpRef, OpId, Op)]) -> Made {
    let changes: Vec<Change> = ops.iter().flat_map(|(_, _, op)| op.read().unwrap_or_default()).collect();
    let contexts: BTreeSet<NodeId> = changes.iter().filter_map(context_of).collect();
    let made: Vec<(NodeId, &str)> = changes.iter().filter_map(begins).collect();
    let stays = |kind: &str| ["tag", "project"].contains(&kind);
    let only_such = made.iter().all(|(_, kind)| stays(kind));
    let goes =
        |(node, kind): &&(NodeId, &str)| *kind != "journal" && !contexts.contains(node) && (only_such || !stays(kind));
    let gone: BTreeSet<NodeId> = made.iter().filter(goes).map(|(node, _)| *node).collect();
    let touched = ops.iter().flat_map(|(reference, _, op)| op.touches().into_keys().map(|node| (node, *reference)));
    // Ops are in their order, so the newest is the one that stays.
    let touched: BTreeMap<NodeId, OpRef> = touched.collect();
    let goes = touched.iter().filter(|(node, _)| gone.contains(node)).map(|(node, newest)| (*node, *newest)).collect();
    let stays = made.into_iter().map(|(node, _)| node).filter(|node| !gone.contains(node)).collect();
    Made { goes, stays, touched, with_owner: BTreeSet::new() }
}

/// The nodes that an action made.
pub(super) struct Made {
    /// Those that go with it, each with the newest op of the action on it and on what it owns.
    pub goes: BTreeMap<NodeId, OpRef>,
    /// Those that stay, with what they were made of.
    pub stays: BTreeSet<NodeId>,
    /// Every node that the action is on, each with the newest op of the action on it.
    pub touched: BTreeMap<NodeId, OpRef>,
    /// Those that a going node owns.
    pub with_owner: BTreeSet<NodeId>,
}

impl Made {
    /// Whether undoing the action leaves this change alone: its node goes as a whole, itself or with its owner, or stays
    /// as it was made.
    pub fn covers(&self, change: &Change) -> bool {
        let is_first = matches!(change, Change::Set { bases, .. } if bases.is_empty());
        let goes = |node| self.goes.contains_key(&node) || self.with_owner.contains(&node);
        change.node().is_some_and(|node| goes(node) || is_first && self.stays.contains(&node))
    }
}

/// The node that a change gives its first kind, and the kind; marks of undone ops are no such nodes.
fn begins(change: &Change) -> Option<(NodeId, &str)> {
    match change {
        Change::Set { node, field, bases, value: Some(Value::Text(kind)), .. }
            if field.as_str() == KIND && bases.is_empty() && kind != UNDO_KIND =>
        {
            Some((*node, kind))
        }
        _ => None,
    }
}

/// The node that a change makes somebody's context document.
fn context_of(change: &Change) -> Option<NodeId> {
    match change {
        Change::Set { node, field, value: Some(Value::Text(role)), .. } if field.as_str() == ROLE => {
            (role == "context").then_some(*node)
        }
        _ => None,
    }
}
