//! Merge: which values of a register remain, which of them is shown, what is deleted and what is in conflict.
//!
//! Pure and total: no I/O, no clock, no randomness, no settings, no owner. Everything here is a function of the set of
//! ops, so that the order of their arrival cannot matter. This is the only place that compares ops by
//! `(stamp, origin, seq, hash)`.
//!
//! ```text
//!   A ──▶ B ──▶ C          an arrow: "is named in the bases of"
//!    └──▶ D                heads: C and D; shown: the larger rank
//! ```

use crate::field::{BODY, DELETED, Field, OF, Value};
use crate::id::{Generation, NodeId, OpRef, Stamp};
use std::collections::{BTreeMap, BTreeSet};

/// The version of these rules. A replica whose state was made by another version rebuilds it from its log.
pub const RULES_VERSION: u32 = 1;

/// What chooses among concurrent heads: the larger one is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// The author's clock.
    pub stamp: Stamp,
    /// The op; its origin, number and hash decide between equal clocks.
    pub op: OpRef,
}

/// One `set` or `delete` of a register, as the merge sees it.
#[derive(Debug, Clone)]
pub struct Write {
    /// The op and its stamp.
    pub own: Rank,
    /// Which change of the op.
    pub index: u32,
    /// The ops whose value it replaces.
    pub bases: Vec<OpRef>,
    /// What its author had seen (of `deleted` and `body`).
    pub seen: Vec<OpRef>,
    /// The value; `None` if it is erased or its op is held: it then only passes on what supersedes it.
    pub value: Option<Value>,
}

/// A value of a register that nothing has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The op that wrote it.
    pub own: Rank,
    /// The largest rank among the op and all that it supersedes.
    pub above: Rank,
    /// Which change of the op.
    pub index: u32,
    /// What its author had seen (of `deleted` and `body`).
    pub seen: Vec<OpRef>,
    /// The value.
    pub value: Value,
}

impl Head {
    fn order(&self) -> (Rank, Rank) {
        (self.above, self.own)
    }
}

/// A register: its heads, the shown one first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    heads: Vec<Head>,
}

/// Whether a write could be merged into what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Merged {
    /// It was.
    Done,
    /// It names something that is not a head: the register has to be derived from all its writes.
    NeedsAll,
}

impl Register {
    /// The register with these heads, in any order.
    pub fn from_heads(mut heads: Vec<Head>) -> Self {
        heads.sort_by_key(|head| std::cmp::Reverse(head.order()));
        Self { heads }
    }

    /// The heads, the shown one first.
    pub fn heads(&self) -> &[Head] {
        &self.heads
    }

    /// The head that is shown.
    pub fn shown(&self) -> Option<&Head> {
        self.heads.first()
    }

    /// The value that is shown, unless there is none or it is null.
    pub fn value(&self) -> Option<&Value> {
        self.shown().map(|head| &head.value).filter(|value| **value != Value::Null)
    }

    /// Whether heads with differing values stand side by side.
    pub fn contested(&self) -> bool {
        self.heads.windows(2).any(|pair| pair[0].value != pair[1].value)
    }

    /// What an ordinary write names: the shown head and those equal to it, or all if all count as equal.
    pub fn bases(&self, field: &Field) -> Vec<OpRef> {
        let shown = self.shown().map(|head| &head.value);
        let equal = |head: &&Head| field.heads_are_equal() || Some(&head.value) == shown;
        self.heads.iter().filter(equal).map(|head| head.own.op).collect()
    }

    /// What settling a conflict names: every head.
    pub fn all(&self) -> Vec<OpRef> {
        self.heads.iter().map(|head| head.own.op).collect()
    }

    /// The definition: the register that these writes make, in whatever order they are given.
    pub fn of(writes: &[Write]) -> Self {
        let by_op: BTreeMap<OpRef, &Write> = writes.iter().map(|write| (write.own.op, write)).collect();
        let mut superseded = BTreeSet::new();
        for write in by_op.values().filter(|write| write.value.is_some()) {
            supersede(write, &by_op, &mut superseded);
        }
        let live = by_op.values().filter(|write| !superseded.contains(&write.own.op));
        let heads = live.filter_map(|write| {
            let value = write.value.clone()?;
            let above = above(write, &by_op);
            Some(Head { own: write.own, above, index: write.index, seen: write.seen.clone(), value })
        });
        Self::from_heads(heads.collect())
    }

    /// Merges one more write if all that it replaces are heads now and nothing replaces it; equals [`Register::of`].
    pub fn merge(&mut self, write: Write) -> Merged {
        let Some(value) = write.value else { return Merged::Done };
        let is_head = |base: &OpRef| self.heads.iter().any(|head| head.own.op == *base);
        if !write.bases.iter().all(is_head) {
            return Merged::NeedsAll;
        }
        let replaced = |head: &Head| write.bases.contains(&head.own.op);
        let above = self.heads.iter().filter(|head| replaced(head)).map(|head| head.above).fold(write.own, Rank::max);
        self.heads.retain(|head| !replaced(head));
        self.heads.push(Head { own: write.own, above, index: write.index, seen: write.seen, value });
        self.heads.sort_by_key(|head| std::cmp::Reverse(head.order()));
        Merged::Done
    }
}

/// Marks all that a write with a value replaces: what it names, and through erased or held writes what those name.
fn supersede(write: &Write, by_op: &BTreeMap<OpRef, &Write>, superseded: &mut BTreeSet<OpRef>) {
    let mut reached = BTreeSet::new();
    let mut next = write.bases.clone();
    while let Some(base) = next.pop() {
        if base == write.own.op || !reached.insert(base) {
            continue;
        }
        if let Some(named) = by_op.get(&base).filter(|named| named.value.is_none()) {
            next.extend(&named.bases);
        }
    }
    superseded.extend(reached);
}

/// The largest rank among a write and all that is behind it.
fn above(write: &Write, by_op: &BTreeMap<OpRef, &Write>) -> Rank {
    let mut reached = BTreeSet::new();
    let mut next = write.bases.clone();
    let mut largest = write.own;
    while let Some(base) = next.pop() {
        if let Some(named) = by_op.get(&base).filter(|_| reached.insert(base)) {
            largest = largest.max(named.own);
            next.extend(&named.bases);
        }
    }
    largest
}

/// What is known of one generation of a body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Which Yjs document.
    pub generation: Generation,
    /// The newest readable edits, per chain.
    pub latest: Vec<OpRef>,
    /// SHA-256 of the text; `None` if it is empty.
    pub text: Option<[u8; 32]>,
    /// SHA-256 of what could not be integrated; `None` if there is nothing.
    pub leftover: Option<[u8; 32]>,
}

impl Body {
    /// Whether there is nothing to read in it.
    pub fn is_blank(&self) -> bool {
        self.text.is_none() && self.leftover.is_none()
    }
}

/// The merged state of one node.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeState {
    /// Its registers.
    pub registers: BTreeMap<Field, Register>,
    /// The newest ops on it per chain, but for those that are only on `deleted`.
    pub latest: Vec<OpRef>,
    /// Its bodies.
    pub bodies: Vec<Body>,
    /// Whether it is hidden, by its own `deleted` or by its owner's.
    pub hidden: bool,
    /// Whether anything about it awaits a person's choice.
    pub conflicted: bool,
}

/// What the merge asks about chains: whether `older` is `newer` or stands before it on its chain.
pub trait Chains {
    /// See the trait.
    fn reaches(&self, newer: &OpRef, older: &OpRef) -> bool;
}

/// Keeps of the newest ops per chain those that are not before another.
pub fn note_latest(latest: &mut Vec<OpRef>, op: OpRef, chains: &dyn Chains) {
    if latest.iter().any(|known| chains.reaches(known, &op)) {
        return;
    }
    latest.retain(|known| !chains.reaches(&op, known));
    latest.push(op);
    latest.sort_unstable();
}

/// What a node's `deleted` says, before its owner is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Alive.
    Alive,
    /// Deleted, and all on it was seen by who deleted it.
    Hidden,
    /// Deleted by some, or with something on it that the deleting person had not seen.
    Contested,
}

impl NodeState {
    /// A register's shown value, if any.
    pub fn value(&self, field: &str) -> Option<&Value> {
        self.registers.get(field).and_then(Register::value)
    }

    /// The text of a register.
    pub fn text(&self, field: &str) -> Option<&str> {
        self.value(field).and_then(Value::as_text)
    }

    /// The node that owns this one, if it shows one.
    pub fn owner(&self) -> Option<NodeId> {
        self.value(OF).and_then(Value::as_node)
    }

    /// The generation of the body that is shown.
    pub fn generation(&self) -> Generation {
        self.value(BODY).and_then(Value::as_generation).unwrap_or(Generation::EMPTY)
    }

    /// What is known of a generation.
    pub fn body(&self, generation: Generation) -> Option<&Body> {
        self.bodies.iter().find(|body| body.generation == generation)
    }

    /// The generations that are kept beside the shown one because nobody has seen all of them, and whether the shown
    /// one has text that could not be integrated.
    pub fn copies(&self, chains: &dyn Chains) -> Vec<Generation> {
        let shown = self.generation();
        let shown_text = self.body(shown).and_then(|body| body.text);
        let heads = self.registers.get(BODY).map(Register::heads).unwrap_or_default();
        let losing = |generation| heads.iter().skip(1).any(|head| head.value.as_generation() == Some(generation));
        let seen = |op: &OpRef| heads.iter().any(|head| covers(head, op, chains));
        let unread = |body: &Body| losing(body.generation) || !body.latest.iter().all(seen);
        let differs = |body: &Body| body.leftover.is_some() || (body.text.is_some() && body.text != shown_text);
        let is_copy = |body: &&Body| {
            if body.generation == shown { body.leftover.is_some() } else { differs(body) && unread(body) }
        };
        self.bodies.iter().filter(is_copy).map(|body| body.generation).collect()
    }

    /// The fields on which heads with differing values stand side by side; `deleted` and `body` are told apart by
    /// [`NodeState::deletion`] and [`NodeState::copies`].
    pub fn contested(&self) -> Vec<&Field> {
        let ours = |field: &Field| ![DELETED, BODY].contains(&field.as_str()) && !field.heads_are_equal();
        let contested = |(field, register): (_, &Register)| (ours(field) && register.contested()).then_some(field);
        self.registers.iter().filter_map(contested).collect()
    }

    /// Whether the node is deleted, given the newest ops on what it owns.
    pub fn deletion(&self, owned: &[OpRef], chains: &dyn Chains) -> Deletion {
        let heads = self.registers.get(DELETED).map(Register::heads).unwrap_or_default();
        let deleting: Vec<_> = heads.iter().filter(|head| head.value == Value::Bool(true)).collect();
        if deleting.is_empty() {
            return Deletion::Alive;
        }
        let seen = |op: &OpRef| deleting.iter().any(|head| covers(head, op, chains));
        let all_true = deleting.len() == heads.len();
        if all_true && self.latest.iter().chain(owned).all(seen) { Deletion::Hidden } else { Deletion::Contested }
    }

    /// Whether something about the node awaits a choice.
    pub fn awaits_choice(&self, deletion: Deletion, chains: &dyn Chains) -> bool {
        deletion == Deletion::Contested || !self.contested().is_empty() || !self.copies(chains).is_empty()
    }
}

/// Whether a head's author had seen an op: it is the head's own op, one of those in `seen`, or before one of them.
fn covers(head: &Head, op: &OpRef, chains: &dyn Chains) -> bool {
    head.own.op == *op || head.seen.iter().any(|seen| chains.reaches(seen, op))
}

#[cfg(test)]
mod tests;
