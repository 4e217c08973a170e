//! The rules of the merge once more, the slow and obvious way: everything in memory, every question asked of all ops.
//! It shares with the crate how an op is read and how a text is made of its updates, and nothing else.
#![allow(clippy::unwrap_used)]

use crate::world::Device;
use heph_store::body::Document;
use heph_store::field::{Field, Value};
use heph_store::id::{Generation, NodeId, OpId, OpRef, Stamp};
use heph_store::op::{Change, ChangeRef, Op, Place, RawChange, Slot};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

type Rank = (Stamp, OpRef);
/// The SHA-256 of each text, and of what found no place in it.
type Texts = BTreeMap<Generation, (Option<[u8; 32]>, Option<[u8; 32]>)>;

/// What a node shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shown {
    /// Per register its heads, the shown one first: the op, the largest rank behind it, the value.
    pub registers: BTreeMap<String, Vec<(OpRef, Rank, Value)>>,
    pub texts: Texts,
    pub text: String,
    pub contested: BTreeSet<String>,
    pub deletion_contested: bool,
    pub copies: BTreeSet<Generation>,
    pub hidden: bool,
    pub conflicted: bool,
}

/// What a replica shows of a node.
pub fn observe(device: &Device, node: NodeId) -> Shown {
    device.look(|view| {
        let Some(node) = view.node(node)? else { return Ok(Shown::default()) };
        let awaits = view.awaits(&node)?;
        let head =
            |head: &heph_store::merge::Head| (head.own.op, (head.above.stamp, head.above.op), head.value.clone());
        let registers = node.state.registers.iter();
        Ok(Shown {
            registers: registers
                .map(|(field, register)| (field.to_string(), register.heads().iter().map(head).collect()))
                .collect(),
            texts: node.state.bodies.iter().map(|body| (body.generation, (body.text, body.leftover))).collect(),
            text: view.body(&node)?.text,
            contested: awaits.fields.iter().map(Field::to_string).collect(),
            deletion_contested: awaits.deletion,
            copies: awaits.copies.into_iter().collect(),
            hidden: node.state.hidden,
            conflicted: node.state.conflicted,
        })
    })
}

/// One write of a register; without a value if it is erased or its op is held.
struct Write {
    rank: Rank,
    bases: BTreeSet<OpRef>,
    seen: Vec<OpRef>,
    value: Option<Value>,
}

struct Known {
    reference: OpRef,
    op: Op,
    changes: Option<Vec<Change>>,
}

/// Every op of a history, as it was written.
pub struct Oracle {
    ops: Vec<Known>,
    at: BTreeMap<OpRef, usize>,
    by_id: BTreeMap<OpId, usize>,
    erased: BTreeSet<ChangeRef>,
}

impl Oracle {
    pub fn new(ops: impl IntoIterator<Item = (Op, OpId)>) -> Self {
        let mut oracle = Self { ops: Vec::new(), at: BTreeMap::new(), by_id: BTreeMap::new(), erased: BTreeSet::new() };
        for (op, id) in ops {
            if oracle.by_id.contains_key(&id) {
                continue;
            }
            let reference = op.reference(&id);
            oracle.at.insert(reference, oracle.ops.len());
            oracle.by_id.insert(id, oracle.ops.len());
            oracle.ops.push(Known { reference, changes: op.read().ok(), op });
        }
        while oracle.erase_more() {}
        oracle
    }

    /// Erases what any op says, held or not, and what repeats it, until nothing more is; whether anything was.
    fn erase_more(&mut self) -> bool {
        let before = self.erased.len();
        for known in &self.ops {
            for (index, change) in (0u32..).zip(framed(&known.op)) {
                let Some(change) = change else { continue };
                if let Change::Erase { targets } = &change {
                    self.erased.extend(targets);
                }
                if change.repeats().iter().any(|repeated| self.erased.contains(repeated)) {
                    self.erased.insert(ChangeRef { op: known.reference, index });
                }
            }
        }
        for target in &self.erased {
            if let Some(at) = self.at.get(&target.op) {
                self.ops[*at].op.erase(target.index as usize);
            }
        }
        for known in &mut self.ops {
            known.changes = known.op.read().ok();
        }
        self.erased.len() > before
    }

    /// How many ops have no effect.
    pub fn held(&self) -> u64 {
        self.ops.iter().filter(|known| known.changes.is_none()).count() as u64
    }

    /// Every node that any op is on.
    pub fn nodes(&self) -> BTreeSet<NodeId> {
        self.ops.iter().flat_map(|known| known.op.touches().into_keys()).collect()
    }

    /// Whether `older` is `newer` or before it on its chain.
    fn reaches(&self, newer: &OpRef, older: &OpRef) -> bool {
        let mut next = self.at.get(newer).copied();
        while let Some(at) = next {
            if self.ops[at].reference == *older {
                return true;
            }
            next = self.by_id.get(&self.ops[at].op.prev).copied();
        }
        false
    }

    fn writes(&self, node: NodeId) -> BTreeMap<Field, Vec<Write>> {
        let mut writes: BTreeMap<Field, Vec<Write>> = BTreeMap::new();
        for known in &self.ops {
            let rank = (known.op.stamp, known.reference);
            let changes: Vec<Change> = framed(&known.op).into_iter().flatten().collect();
            let values = known.changes.as_deref();
            let changes = values.map_or(changes, <[Change]>::to_vec);
            for change in changes.into_iter().filter(|change| change.node() == Some(node)) {
                let (field, bases, seen, value) = match change {
                    Change::Set { field, bases, seen, value, .. } => (field, bases, seen, value),
                    Change::Delete { bases, seen, .. } => (field("deleted"), bases, seen, Some(Value::Bool(true))),
                    _ => continue,
                };
                let value = value.filter(|_| values.is_some());
                let register = writes.entry(field).or_default();
                match register.iter_mut().find(|write| write.rank == rank) {
                    Some(twice) => twice.bases.extend(bases),
                    None => register.push(Write { rank, bases: bases.into_iter().collect(), seen, value }),
                }
            }
        }
        writes
    }

    /// The ops that are on a node: all readable ones that change it, but for those that only delete or undelete it.
    fn on(&self, node: NodeId) -> Vec<OpRef> {
        let is_on = |change: &Change| match change {
            Change::Set { node: on, field, .. } => *on == node && field.as_str() != "deleted",
            Change::Edit { node: on, .. } => *on == node,
            Change::Delete { .. } | Change::Erase { .. } => false,
        };
        let on = self.ops.iter().filter(|known| known.changes.iter().flatten().any(is_on));
        on.map(|known| known.reference).collect()
    }

    /// Those that are not before another on its chain.
    fn newest(&self, ops: Vec<OpRef>) -> Vec<OpRef> {
        let before_another = |op: &OpRef| ops.iter().any(|other| other != op && self.reaches(other, op));
        ops.iter().filter(|op| !before_another(op)).copied().collect()
    }

    /// The readable edits of a node by generation, in the order in which a text is made of them.
    fn edits(&self, node: NodeId) -> BTreeMap<Generation, BTreeMap<(OpRef, usize), Vec<u8>>> {
        let mut edits: BTreeMap<Generation, BTreeMap<_, _>> = BTreeMap::new();
        for known in &self.ops {
            for (index, change) in known.changes.iter().flatten().enumerate() {
                if let Change::Edit { node: on, generation, update: Some(update), .. } = change
                    && *on == node
                {
                    edits.entry(*generation).or_default().insert((known.reference, index), update.clone());
                }
            }
        }
        edits
    }

    /// What every node shows.
    pub fn show(&self) -> BTreeMap<NodeId, Shown> {
        let nodes: BTreeMap<NodeId, Model> = self.nodes().into_iter().map(|node| (node, self.model(node))).collect();
        nodes.keys().map(|node| (*node, self.judge(*node, &nodes))).collect()
    }

    fn model(&self, node: NodeId) -> Model {
        let heads = self.writes(node).into_iter().map(|(field, writes)| (field, heads(writes)));
        let heads: BTreeMap<Field, Vec<(Write, Rank)>> = heads.filter(|(_, heads)| !heads.is_empty()).collect();
        let owner = match heads.get(&field("of")).map(|heads| heads[0].0.value.clone()) {
            Some(Some(Value::Node(owner))) => Some(owner),
            _ => None,
        };
        Model { heads, owner, newest: self.newest(self.on(node)) }
    }

    /// Whether one of the heads' authors had seen an op.
    fn is_seen(&self, heads: &[&Write], op: &OpRef) -> bool {
        heads.iter().any(|head| head.rank.1 == *op || head.seen.iter().any(|seen| self.reaches(seen, op)))
    }

    /// Whether the node's own `deleted` hides it, and whether it is contested.
    fn deletion(&self, node: NodeId, nodes: &BTreeMap<NodeId, Model>) -> (bool, bool) {
        let Some(model) = nodes.get(&node) else { return (false, false) };
        let heads: Vec<&Write> =
            model.heads.get(&field("deleted")).into_iter().flatten().map(|(head, _)| head).collect();
        let deleting: Vec<&Write> =
            heads.iter().filter(|head| head.value == Some(Value::Bool(true))).copied().collect();
        if deleting.is_empty() {
            return (false, false);
        }
        let mut on = model.newest.clone();
        if model.owner.is_none() {
            let owned = nodes.values().filter(|owned| owned.owner == Some(node));
            on.extend(owned.flat_map(|owned| owned.newest.clone()));
        }
        let hidden = deleting.len() == heads.len() && on.iter().all(|op| self.is_seen(&deleting, op));
        (hidden, !hidden)
    }

    fn judge(&self, node: NodeId, nodes: &BTreeMap<NodeId, Model>) -> Shown {
        let model = &nodes[&node];
        let (deleted, deletion_contested) = self.deletion(node, nodes);
        let by_owner = model.owner.filter(|owner| *owner != node).is_some_and(|owner| {
            nodes.get(&owner).is_some_and(|its| its.owner.is_none()) && self.deletion(owner, nodes).0
        });
        let hidden = deleted || by_owner;
        let differ = |heads: &Vec<(Write, Rank)>| heads.iter().any(|(head, _)| head.value != heads[0].0.value);
        let ordinary =
            |field: &Field| !matches!(field.as_str(), "deleted" | "body") && !field.as_str().starts_with("done/");
        let contested = model.heads.iter().filter(|(field, heads)| ordinary(field) && differ(heads));
        let contested: BTreeSet<String> = contested.map(|(field, _)| field.to_string()).collect();
        let (texts, text, copies) = self.bodies(node, model);
        let awaits = deletion_contested || !contested.is_empty() || !copies.is_empty();
        let shown = |heads: &Vec<(Write, Rank)>| {
            heads.iter().map(|(head, above)| (head.rank.1, *above, head.value.clone().unwrap())).collect()
        };
        Shown {
            registers: model.heads.iter().map(|(field, heads)| (field.to_string(), shown(heads))).collect(),
            texts,
            text,
            contested,
            deletion_contested,
            copies,
            hidden,
            conflicted: awaits && !hidden,
        }
    }

    fn bodies(&self, node: NodeId, model: &Model) -> (Texts, String, BTreeSet<Generation>) {
        let heads: Vec<&Write> = model.heads.get(&field("body")).into_iter().flatten().map(|(head, _)| head).collect();
        let named: Vec<Generation> = heads.iter().map(|head| named(head)).collect();
        let shown = named.first().copied().unwrap_or(Generation::EMPTY);
        let (mut texts, mut text, mut copies) = (BTreeMap::new(), String::new(), BTreeSet::new());
        let mut unread = BTreeSet::new();
        for (generation, edits) in self.edits(node) {
            let ordered: Vec<&[u8]> = edits.values().map(Vec::as_slice).collect();
            let document = Document::rebuild(&ordered);
            texts.insert(generation, (hash(document.text()), hash(document.leftover())));
            if generation == shown {
                text = document.text().to_owned();
            }
            let newest = self.newest(edits.keys().map(|(op, _)| *op).collect::<BTreeSet<_>>().into_iter().collect());
            if named.iter().skip(1).any(|losing| *losing == generation)
                || !newest.iter().all(|op| self.is_seen(&heads, op))
            {
                unread.insert(generation);
            }
        }
        for (generation, (its, leftover)) in &texts {
            let is_copy = if *generation == shown {
                leftover.is_some()
            } else {
                unread.contains(generation) && (leftover.is_some() || (its.is_some() && *its != hash(&text)))
            };
            if is_copy {
                copies.insert(*generation);
            }
        }
        (texts, text, copies)
    }
}

struct Model {
    heads: BTreeMap<Field, Vec<(Write, Rank)>>,
    owner: Option<NodeId>,
    newest: Vec<OpRef>,
}

fn field(name: &str) -> Field {
    Field::new(name).unwrap()
}

fn hash(text: &str) -> Option<[u8; 32]> {
    (!text.is_empty()).then(|| Sha256::digest(text).into())
}

fn named(head: &Write) -> Generation {
    match &head.value {
        Some(Value::Bytes(bytes)) => Generation::from_slice(bytes).unwrap(),
        other => panic!("a body is named by 16 bytes, not {other:?}"),
    }
}

/// The changes of an op one by one, without their values, as far as this version knows them.
fn framed(op: &Op) -> Vec<Option<Change>> {
    let alone = |raw: &RawChange| {
        let mut raw = raw.clone();
        raw.value = Slot::Erased { len: 0, commitment: [0; 32] };
        let place = Place { origin: op.origin, seq: op.seq, prev: op.prev, key: op.key };
        let alone = Op::from_raw(place, op.stamp, None, [0; 16], vec![raw]);
        alone.read().ok().and_then(|mut changes| changes.pop())
    };
    op.changes.iter().map(alone).collect()
}

/// The writes that nothing replaces, with the largest rank behind each, the shown one first.
fn heads(writes: Vec<Write>) -> Vec<(Write, Rank)> {
    let of = |op: &OpRef| writes.iter().find(|write| write.rank.1 == *op);
    // Everything behind a write: what it names, what that names, and so on; through values or not.
    let behind = |write: &Write, through_values: bool| {
        let mut reached: BTreeSet<OpRef> = BTreeSet::new();
        let mut next: Vec<OpRef> = write.bases.iter().copied().collect();
        while let Some(op) = next.pop() {
            if reached.insert(op)
                && let Some(named) = of(&op).filter(|named| through_values || named.value.is_none())
            {
                next.extend(&named.bases);
            }
        }
        reached
    };
    let replaced: BTreeSet<OpRef> =
        writes.iter().filter(|write| write.value.is_some()).flat_map(|write| behind(write, false)).collect();
    let aboves: BTreeMap<OpRef, Rank> = writes
        .iter()
        .map(|write| {
            let ranks = behind(write, true).into_iter().filter_map(|op| of(&op).map(|named| named.rank));
            (write.rank.1, ranks.fold(write.rank, Rank::max))
        })
        .collect();
    let mut heads: Vec<(Write, Rank)> = writes
        .into_iter()
        .filter(|write| write.value.is_some() && !replaced.contains(&write.rank.1))
        .map(|write| {
            let above = aboves[&write.rank.1];
            (write, above)
        })
        .collect();
    heads.sort_by_key(|(write, above)| std::cmp::Reverse((*above, write.rank)));
    heads
}
