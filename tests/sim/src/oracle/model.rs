//! Every op that was ever seen on any replica, indexed by node and by chain.

use crate::oracle::text::Texts;
use crate::oracle::{Set, Sight};
use heph_store::field::{OF, Value};
use heph_store::id::{NodeId, OpId, OpRef, Origin};
use heph_store::op::{Change, ChangeRef, Op};
use std::collections::{BTreeSet, HashMap, HashSet};

/// The number that the model gives an op: in the order in which it came to see them, which is a causal one as long as
/// it reads whole logs.
pub type OpNumber = u32;

/// An op as the model knows it.
pub(super) struct Known {
    pub id: OpId,
    pub reference: OpRef,
    /// With all values that any replica ever showed.
    pub op: Op,
    /// What it does; `None` if it is held.
    pub changes: Option<Vec<Change>>,
    pub branch: usize,
}

/// A chain from its first op, or from where it left another, to its tip.
struct Branch {
    left: Option<OpNumber>,
    tip: OpNumber,
}

/// See the module.
#[derive(Default)]
pub struct Model {
    pub(super) ops: Vec<Known>,
    by_id: HashMap<OpId, OpNumber>,
    by_reference: HashMap<OpRef, OpNumber>,
    branches: Vec<Branch>,
    /// The public key of each origin.
    pub(super) keys: HashMap<Origin, [u8; 32]>,
    /// Signatures that were found right, by the op that they are over.
    pub(super) signatures: HashSet<(OpId, [u8; 64])>,
    /// The ops whose changes are on a node, held or not.
    on: HashMap<NodeId, Vec<OpNumber>>,
    /// The nodes that any op ever said to be owned by a node, and the other way round.
    ever_owned: HashMap<NodeId, BTreeSet<NodeId>>,
    ever_owner: HashMap<NodeId, BTreeSet<NodeId>>,
    erasing: Vec<(OpNumber, Vec<ChangeRef>)>,
    repeating: HashMap<ChangeRef, Vec<(OpNumber, u32)>>,
    pub(super) texts: Texts,
}

impl Model {
    /// Takes note of an op, once. Of several copies of it, the one with the most values is kept.
    pub fn learn(&mut self, op: &Op, id: &OpId) -> OpNumber {
        if let Some(number) = self.by_id.get(id).copied() {
            let known = &mut self.ops[number as usize];
            if here(op) > here(&known.op) {
                (known.op, known.changes) = (op.clone(), op.read().ok());
            }
            return number;
        }
        let number = OpNumber::try_from(self.ops.len()).unwrap();
        let (reference, branch) = (op.reference(id), self.branch_of(op, number));
        self.by_id.insert(*id, number);
        self.by_reference.insert(reference, number);
        self.keys.extend(op.key.map(|key| (op.origin, key)));
        for node in op.touches().into_keys() {
            self.on.entry(node).or_default().push(number);
        }
        self.index(number, op);
        self.ops.push(Known { id: *id, reference, changes: op.read().ok(), op: op.clone(), branch });
        number
    }

    /// What follows from frames alone: erases and repeats take effect even in an op that is held.
    fn index(&mut self, number: OpNumber, op: &Op) {
        for (index, change) in op.framed() {
            if !change.erases().is_empty() {
                self.erasing.push((number, change.erases().to_vec()));
            }
            for repeated in change.repeats() {
                self.repeating.entry(*repeated).or_default().push((number, index));
            }
            if let Change::Set { node, field, .. } = &change
                && field.as_str() == OF
                && let Some(Ok(Value::Node(owner))) = op.changes[index as usize].value.here().map(Value::decode)
            {
                self.ever_owned.entry(owner).or_default().insert(*node);
                self.ever_owner.entry(*node).or_default().insert(owner);
            }
        }
    }

    fn branch_of(&mut self, op: &Op, number: OpNumber) -> usize {
        let left = self.by_id.get(&op.prev).copied();
        if let Some(before) = left {
            let branch = self.ops[before as usize].branch;
            if self.branches[branch].tip == before {
                self.branches[branch].tip = number;
                return branch;
            }
        }
        self.branches.push(Branch { left, tip: number });
        self.branches.len() - 1
    }

    /// How many ops there are.
    pub fn len(&self) -> usize {
        self.ops.len()
    }

    /// Whether no op was seen yet.
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The op of this number.
    pub fn op(&self, number: OpNumber) -> (&Op, OpRef) {
        let known = &self.ops[number as usize];
        (&known.op, known.reference)
    }

    /// The hash of the op of this number.
    pub fn id(&self, number: OpNumber) -> &OpId {
        &self.ops[number as usize].id
    }

    /// The number of an op by its hash.
    pub fn by_id(&self, id: &OpId) -> Option<OpNumber> {
        self.by_id.get(id).copied()
    }

    /// The number of an op by its reference.
    pub fn number(&self, op: &OpRef) -> Option<OpNumber> {
        self.by_reference.get(op).copied()
    }

    /// The ops of a set that are on a node.
    pub fn on(&self, node: NodeId, set: &Set) -> Vec<OpNumber> {
        let all = self.on.get(&node).map(Vec::as_slice).unwrap_or_default();
        all.iter().copied().filter(|op| set.contains(*op)).collect()
    }

    /// Every node that an op of a set is on, in order.
    pub fn nodes(&self, set: &Set) -> Vec<NodeId> {
        let here = self.on.iter().filter(|(_, ops)| ops.iter().any(|op| set.contains(*op)));
        let mut nodes: Vec<NodeId> = here.map(|(node, _)| *node).collect();
        nodes.sort_unstable();
        nodes
    }

    /// The nodes that any op ever said to be owned by this one.
    pub(super) fn ever_owned(&self, owner: NodeId) -> impl Iterator<Item = NodeId> + '_ {
        self.ever_owned.get(&owner).into_iter().flatten().copied()
    }

    /// These nodes, and those whose state depends on theirs: what owns them, what they own.
    pub fn affected(&self, nodes: impl IntoIterator<Item = NodeId>) -> BTreeSet<NodeId> {
        let mut affected = BTreeSet::new();
        for node in nodes {
            affected.insert(node);
            for owner in self.ever_owner.get(&node).into_iter().flatten() {
                affected.insert(*owner);
                affected.extend(self.ever_owned(*owner));
            }
            affected.extend(self.ever_owned(node));
        }
        affected
    }

    /// Whether `older` is `newer` or stands before it on its chain.
    pub(super) fn reaches(&self, newer: OpNumber, older: OpNumber) -> bool {
        let older = &self.ops[older as usize];
        let mut next = Some(newer);
        while let Some(at) = next {
            let at = &self.ops[at as usize];
            if at.branch == older.branch {
                return older.reference.seq <= at.reference.seq;
            }
            next = self.branches[at.branch].left;
        }
        false
    }

    /// The values that have no effect for whoever holds a set of ops: what any of them erases, and what repeats that.
    pub(super) fn erased(&self, set: &Set) -> HashSet<ChangeRef> {
        let erasing = self.erasing.iter().filter(|(op, _)| set.contains(*op));
        let mut next: Vec<ChangeRef> = erasing.flat_map(|(_, targets)| targets).copied().collect();
        let mut erased = HashSet::new();
        while let Some(target) = next.pop() {
            if erased.insert(target) {
                let repeating = self.repeating.get(&target).into_iter().flatten().filter(|(op, _)| set.contains(*op));
                next.extend(
                    repeating.map(|(op, index)| ChangeRef { op: self.ops[*op as usize].reference, index: *index }),
                );
            }
        }
        erased
    }

    /// What somebody shows who holds these ops, without the values in `missing`, which never came.
    pub fn at<'a>(&'a self, set: &'a Set, missing: &'a BTreeSet<ChangeRef>) -> Sight<'a> {
        Sight::new(self, set, missing)
    }

    /// How many texts were made by `yrs`, and how many by the definition alone, since two updates gave one place in the
    /// text to different neighbours, or what they stand on was erased.
    pub fn texts_made(&self) -> (u64, u64) {
        self.texts.made()
    }
}

fn here(op: &Op) -> usize {
    op.changes.iter().filter(|change| change.value.here().is_some()).count()
}
