//! How changed nodes reach their rows: what is hidden and what is in conflict, the columns of lists, tags, links and
//! the search index, and the digest. Once per action or page, not once per op.

use crate::columns::{columns, names};
use crate::digest;
use crate::error::Result;
use crate::field::{DELETED, Field, PATH, TITLE, Value};
use crate::id::{NodeId, OpRef};
use crate::links;
use crate::merge::{Deletion, NodeState, Register};
use crate::node::{pack, row_hash};
use crate::sqlite::{derived, state};
use crate::writer::{OpenNode, Writer};
use std::collections::{BTreeMap, BTreeSet};

impl Writer {
    /// Writes every changed node to its rows.
    pub fn flush(&mut self) -> Result<()> {
        self.settle_nodes()?;
        for node in self.to_judge()? {
            self.judge(node)?;
        }
        let mut sums: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
        for (node, mut open) in std::mem::take(&mut self.nodes) {
            if open.changed {
                self.store(node, &mut open, &mut sums)?;
            }
        }
        for (bucket, sum) in sums {
            state::put_bucket(&self.db, bucket, &sum)?;
        }
        Ok(())
    }

    /// The nodes whose visibility may have changed: those that changed, their owners, and what deleted ones own.
    fn to_judge(&mut self) -> Result<BTreeSet<NodeId>> {
        let changed: Vec<NodeId> = self.nodes.iter().filter(|(_, open)| open.changed).map(|(node, _)| *node).collect();
        let mut judged: BTreeSet<NodeId> = changed.iter().copied().collect();
        for open in self.nodes.values().filter(|open| open.changed) {
            judged.extend(open.state.owner());
            judged.extend(open.before.owner());
        }
        for node in judged.clone() {
            let open = self.node(node)?;
            let says = |state: &NodeState| state.registers.contains_key(DELETED) || state.owner().is_some();
            if says(&open.state) || says(&open.before) {
                judged.extend(self.owned(node)?);
            }
        }
        Ok(judged)
    }

    fn judge(&mut self, node: NodeId) -> Result<()> {
        let state = self.peek(node)?;
        let own = self.deletion(node, &state)?;
        let owner = state.owner().filter(|owner| *owner != node);
        let with_owner = match owner {
            None => false,
            Some(owner) => {
                let its = self.peek(owner)?;
                its.owner().is_none() && self.deletion(owner, &its)? == Deletion::Hidden
            }
        };
        let branches = self.branches();
        let conflicted = state.awaits_choice(own, &branches);
        branches.finish()?;
        let hidden = with_owner || own == Deletion::Hidden;
        let open = self.node(node)?;
        if (open.state.hidden, open.state.conflicted) != (hidden, conflicted && !hidden) {
            (open.state.hidden, open.state.conflicted) = (hidden, conflicted && !hidden);
            open.changed = true;
        }
        Ok(())
    }

    /// What a node's `deleted` says, with the newest ops on what it owns.
    pub fn deletion(&self, node: NodeId, state: &NodeState) -> Result<Deletion> {
        if !state.registers.contains_key(DELETED) {
            return Ok(Deletion::Alive);
        }
        let owned = self.latest_on_owned(node, state)?;
        let branches = self.branches();
        let deletion = state.deletion(&owned, &branches);
        branches.finish()?;
        Ok(deletion)
    }

    /// The newest ops on what a node owns; a node that shows an owner owns nothing.
    pub fn latest_on_owned(&self, node: NodeId, state: &NodeState) -> Result<Vec<OpRef>> {
        let mut latest = Vec::new();
        if state.owner().is_none() {
            for owned in self.owned(node)? {
                latest.extend(self.peek(owned)?.latest);
            }
        }
        Ok(latest)
    }

    fn store(&mut self, node: NodeId, open: &mut OpenNode, sums: &mut BTreeMap<u8, [u8; 32]>) -> Result<()> {
        self.hidden_by_merge += u64::from(open.state.hidden && !open.before.hidden && !is_empty(&open.before));
        for (generation, body) in open.bodies.iter().filter(|(_, body)| body.changed) {
            match &body.document {
                Some(document) => {
                    state::put_body(&self.db, open.row, *generation, &document.state(), document.text())?;
                }
                None => state::remove_body(&self.db, open.row, *generation)?,
            }
        }
        state::update_node(&self.db, open.row, &pack(&open.state), &columns(&open.state))?;
        self.add_to_digest(node, open, sums)?;
        self.index(open)
    }

    fn add_to_digest(&self, node: NodeId, open: &OpenNode, sums: &mut BTreeMap<u8, [u8; 32]>) -> Result<()> {
        let bucket = digest::bucket(node);
        let mut sum = match sums.get(&bucket) {
            Some(sum) => *sum,
            None => state::bucket(&self.db, bucket)?,
        };
        if !is_empty(&open.before) {
            digest::subtract(&mut sum, &row_hash(node, &open.before));
        }
        if !is_empty(&open.state) {
            digest::add(&mut sum, &row_hash(node, &open.state));
        }
        sums.insert(bucket, sum);
        Ok(())
    }

    /// Tags, names, links and words of a node, where they changed.
    fn index(&self, open: &OpenNode) -> Result<()> {
        let (before, after) = (tags(&open.before), tags(&open.state));
        if before != after {
            derived::put_tags(&self.db, open.row, &before, &after)?;
        }
        if words(&open.before) == words(&open.state) {
            return Ok(());
        }
        let text = self.shown_text(open)?;
        let reading = if text.is_empty() { links::Reading::default() } else { links::read(&text) };
        derived::put_names(&self.db, open.row, &names(&open.state, &reading))?;
        let keys = reading.links.iter().filter(|link| !link.target.is_empty()).map(|link| links::key(&link.target));
        derived::put_links(&self.db, open.row, &keys.collect())?;
        let title = open.state.text(TITLE).unwrap_or_default();
        derived::put_search(&self.db, open.row, words(&open.before) != words(&NodeState::default()), title, &text)
    }

    fn shown_text(&self, open: &OpenNode) -> Result<String> {
        let generation = open.state.generation();
        match open.bodies.get(&generation).and_then(|body| body.document.as_ref()) {
            Some(document) => Ok(document.text().to_owned()),
            None => Ok(state::text(&self.db, open.row, generation)?.unwrap_or_default()),
        }
    }
}

/// Whether nothing is known of a node but that ops without effect name it.
pub(crate) fn is_empty(state: &NodeState) -> bool {
    state.bodies.is_empty() && state.registers.values().all(|register| register.heads().is_empty())
}

/// The tags that a node carries.
pub(crate) fn tags(state: &NodeState) -> BTreeSet<NodeId> {
    let carried = |(field, register): (&Field, &Register)| register.value().and_then(|_| field.as_tag());
    state.registers.iter().filter_map(carried).collect()
}

/// What the names, links and words of a node follow from.
fn words(state: &NodeState) -> (Option<&str>, Option<&Value>, Option<[u8; 32]>) {
    let text = state.body(state.generation()).and_then(|body| body.text);
    (state.text(TITLE), state.value(PATH), text)
}
