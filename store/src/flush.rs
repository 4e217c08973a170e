//! How changed nodes reach their rows: what is hidden and what is in conflict, the columns of lists, tags, links and
//! the search index, and the digest. Once per action or page, not once per op; sooner where a page opens many large texts.

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
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// How many bytes of documents, as they are stored, may be open before they are written; in memory they take some times
/// as much.
const OPENED_BYTES_MAX: usize = 32 << 20;

/// What was found out while the nodes of one flush are judged. It holds for all of it: judging changes nothing of what
/// it asks about.
#[derive(Default)]
struct Judged {
    /// The open nodes that show an owner, by owner.
    owned: BTreeMap<NodeId, Vec<NodeId>>,
    deletions: HashMap<NodeId, Deletion>,
}

impl Writer {
    /// Does so if the texts that are open take much memory: each of many small edits may open a large one.
    pub fn flush_if_large(&mut self) -> Result<()> {
        if self.opened_bytes > OPENED_BYTES_MAX { self.flush() } else { Ok(()) }
    }

    /// Writes every changed node to its rows.
    pub fn flush(&mut self) -> Result<()> {
        self.settle_nodes()?;
        self.judge_nodes()?;
        let mut sums: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
        for (node, mut open) in std::mem::take(&mut self.nodes) {
            if open.changed {
                self.store(node, &mut open, &mut sums)?;
            }
        }
        for (bucket, sum) in sums {
            state::put_bucket(&self.db, bucket, &sum)?;
        }
        self.known.ops.clear();
        self.opened_bytes = 0;
        Ok(())
    }

    /// Says anew which nodes are hidden, and which await a choice: those that changed, their owners, and what is owned
    /// by a node that hides it now and did not, or the other way round.
    fn judge_nodes(&mut self) -> Result<()> {
        let mut judged = Judged { owned: self.open_by_owner(), ..Judged::default() };
        let mut nodes = BTreeSet::new();
        for (node, open) in self.nodes.iter().filter(|(_, open)| open.changed) {
            nodes.extend([Some(*node), open.state.owner(), open.before.owner()].into_iter().flatten());
        }
        for node in nodes.clone() {
            let before = &self.node(node)?.before;
            let hid = before.owner().is_none() && before.hidden;
            if hid != self.hides(node, &mut judged)? {
                nodes.extend(self.owned_by(node, &judged)?);
            }
        }
        nodes.into_iter().try_for_each(|node| self.judge(node, &mut judged))
    }

    fn judge(&mut self, node: NodeId, judged: &mut Judged) -> Result<()> {
        let own = self.deletion(node, judged)?;
        let owner = self.node(node)?.state.owner().filter(|owner| *owner != node);
        let hidden = own == Deletion::Hidden || owner.map_or(Ok(false), |owner| self.hides(owner, judged))?;
        let state = self.lent(node)?;
        let branches = self.branches();
        let conflicted = !hidden && state.awaits_choice(own, &branches);
        branches.finish()?;
        if (state.hidden, state.conflicted) != (hidden, conflicted) {
            let open = self.node(node)?;
            (open.state.hidden, open.state.conflicted) = (hidden, conflicted);
            open.changed = true;
        }
        Ok(())
    }

    /// Whether a node hides what it owns.
    fn hides(&self, node: NodeId, judged: &mut Judged) -> Result<bool> {
        Ok(self.lent(node)?.owner().is_none() && self.deletion(node, judged)? == Deletion::Hidden)
    }

    /// What a node's `deleted` says, with the newest ops on what it owns.
    fn deletion(&self, node: NodeId, judged: &mut Judged) -> Result<Deletion> {
        if let Some(known) = judged.deletions.get(&node) {
            return Ok(*known);
        }
        let state = self.lent(node)?;
        let deletion = if state.registers.contains_key(DELETED) {
            let owned = if state.owner().is_none() { self.owned_by(node, judged)? } else { BTreeSet::new() };
            let latest = self.latest_on(owned)?;
            let branches = self.branches();
            let deletion = state.deletion(&latest, &branches);
            branches.finish()?;
            deletion
        } else {
            Deletion::Alive
        };
        judged.deletions.insert(node, deletion);
        Ok(deletion)
    }

    /// The newest ops on what a node owns; a node that shows an owner owns nothing.
    pub fn latest_on_owned(&self, node: NodeId, state: &NodeState) -> Result<Vec<OpRef>> {
        if state.owner().is_some() { Ok(Vec::new()) } else { self.latest_on(self.owned(node)?) }
    }

    fn latest_on(&self, nodes: BTreeSet<NodeId>) -> Result<Vec<OpRef>> {
        let mut latest = Vec::new();
        for node in nodes {
            latest.extend_from_slice(&self.lent(node)?.latest);
        }
        Ok(latest)
    }

    /// The open nodes that show an owner, by owner.
    fn open_by_owner(&self) -> BTreeMap<NodeId, Vec<NodeId>> {
        let mut owned: BTreeMap<NodeId, Vec<NodeId>> = BTreeMap::new();
        for (node, open) in &self.nodes {
            if let Some(owner) = open.state.owner() {
                owned.entry(owner).or_default().push(*node);
            }
        }
        owned
    }

    /// The nodes that show `owner` as their owner: the stored ones, unless they are open and say otherwise.
    fn owned_by(&self, owner: NodeId, judged: &Judged) -> Result<BTreeSet<NodeId>> {
        let still = |node: &NodeId| self.nodes.get(node).is_none_or(|open| open.state.owner() == Some(owner));
        let stored = state::owned(&self.db, owner)?.into_iter().filter(still);
        Ok(stored.chain(judged.owned.get(&owner).into_iter().flatten().copied()).collect())
    }

    /// A node's state as it is now, without a copy of it if the node is open.
    fn lent(&self, node: NodeId) -> Result<Cow<'_, NodeState>> {
        match self.nodes.get(&node) {
            Some(open) => Ok(Cow::Borrowed(&open.state)),
            None => self.peek(node).map(Cow::Owned),
        }
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
