//! Ops as no heph would write them, but well signed: any change, on a few nodes that they all share, naming any op, in
//! chains that branch.

use crate::world::Alien;
use arbitrary::Arbitrary;
use heph_store::body::{ClientId, Document};
use heph_store::field::{self, Field, Value};
use heph_store::id::{Generation, GroupId, NodeId, OpId, OpRef, Origin, Seq};
use heph_store::op::{CHANGES_MAX, Change, ChangeRef, RawChange};
use heph_store::page::Stretch;

/// Authors; each has a chain.
pub const AUTHORS: usize = 3;
/// Nodes that the changes are on.
pub const NODES: u8 = 5;
/// Ops that are written of one input.
const OPS_MAX: usize = 24;

/// One op.
#[derive(Debug, Arbitrary)]
pub struct Write<'a> {
    author: u8,
    /// How many ops before the last one of its chain it goes on from: 0 is the last.
    back: u8,
    stamp: Stamp,
    group: Option<u8>,
    changes: Vec<Strange<'a>>,
    /// Which values another replica gets only later, a bit each.
    pub late: u8,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
enum Stamp {
    Near(u8),
    Any(u64),
}

#[derive(Debug, Arbitrary)]
enum Strange<'a> {
    Set {
        node: u8,
        field: Name<'a>,
        value: Content<'a>,
        bases: Vec<u8>,
        seen: Vec<u8>,
        repeats: Vec<(u8, u8)>,
    },
    Type {
        node: u8,
        generation: u8,
        after: &'a str,
        insert: &'a str,
    },
    Edit {
        node: u8,
        generation: u8,
        update: &'a [u8],
        repeats: Vec<(u8, u8)>,
    },
    Delete {
        node: u8,
        bases: Vec<u8>,
        seen: Vec<u8>,
    },
    Erase {
        targets: Vec<(u8, u8)>,
    },
    /// A change of a known kind whose meta is not in order.
    Disorder {
        kind: u8,
        node: u8,
        meta: &'a [u8],
        value: &'a [u8],
    },
    Unknown {
        kind: u64,
        meta: &'a [u8],
        value: &'a [u8],
    },
}

#[derive(Debug, Arbitrary)]
enum Name<'a> {
    Known(u8),
    Tag(u8),
    Any(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Content<'a> {
    Text(&'a str),
    Node(u8),
    Flag(bool),
    Generation(u8),
    Null,
    Any(&'a [u8]),
}

/// An op with its signature, and where it stands.
#[derive(Debug, Clone)]
pub struct Written {
    /// The op alone, as one stretch.
    pub stretch: Stretch,
    /// What names it.
    pub op: OpRef,
    /// Which of those before it is the one before on its chain.
    pub before: Option<usize>,
}

/// Writes the ops, each after those that it names.
pub fn written(writes: &[Write<'_>]) -> Vec<Written> {
    let mut authors: Vec<(Alien, Vec<usize>)> = (0..AUTHORS).map(|n| (Alien::new(100 + n as u8), Vec::new())).collect();
    let mut all: Vec<Written> = Vec::new();
    for (number, write) in writes.iter().take(OPS_MAX).enumerate() {
        let (alien, own) = &mut authors[usize::from(write.author) % AUTHORS];
        let nth = own.len().saturating_sub(usize::from(write.back));
        let origin = alien.key.origin();
        let names = Names { origin, all: &all };
        let changes = write.changes.iter().map(|change| change.raw(&names, alien)).take(CHANGES_MAX).collect();
        let group = write.group.map(|group| GroupId::from_bytes([group % 3; 16]));
        let (stretch, op) = alien.write_after(nth, write.stamp.millis(), group, changes);
        let before = nth.checked_sub(1).and_then(|at| own.get(at)).copied();
        // What follows goes on from the longest branch, by its numbers: the chain is what the author says it is.
        own.truncate(nth);
        own.push(number);
        alien.chain.truncate(nth);
        alien.chain.push((op.seq, stretch.entries.last().map_or(OpId::NONE, |entry| entry.id)));
        all.push(Written { stretch, op, before });
    }
    all
}

impl Stamp {
    fn millis(self) -> u64 {
        match self {
            Self::Near(at) => 1_790_000_000_000 + u64::from(at),
            Self::Any(millis) => millis,
        }
    }
}

/// What a change can name: the ops so far.
struct Names<'a> {
    origin: Origin,
    all: &'a [Written],
}

impl Names<'_> {
    /// An op; one that is nowhere, if there is none of this number.
    fn op(&self, number: u8) -> OpRef {
        let nowhere = OpRef::new(self.origin, Seq::FIRST, &OpId::from_bytes([number; 32]));
        self.all.get(usize::from(number)).map_or(nowhere, |written| written.op)
    }

    fn ops(&self, numbers: &[u8]) -> Vec<OpRef> {
        numbers.iter().take(8).map(|number| self.op(*number)).collect()
    }

    fn values(&self, numbers: &[(u8, u8)]) -> Vec<ChangeRef> {
        let value = |(op, index): &(u8, u8)| ChangeRef { op: self.op(*op), index: u32::from(*index) };
        numbers.iter().take(8).map(value).collect()
    }
}

/// One of the nodes.
pub fn node(number: u8) -> NodeId {
    NodeId::from_bytes([0x10 + number % NODES; 16])
}

fn generation(number: u8) -> Generation {
    Generation::from_bytes([number % 3; 16])
}

impl Strange<'_> {
    fn raw(&self, names: &Names<'_>, alien: &Alien) -> RawChange {
        let known = match self {
            Self::Set { node: on, field, value, bases, seen, repeats } => {
                let (bases, seen, repeats) = (names.ops(bases), names.ops(seen), names.values(repeats));
                let set = Change::Set { node: node(*on), field: field.field(), bases, seen, repeats, value: None };
                let frame = only(alien.raw(&[set]));
                return RawChange::new(frame.kind, frame.meta, value.bytes());
            }
            Self::Type { node: on, generation: of, after, insert } => {
                let client = ClientId::from_bits(1 + names.all.len() as u64);
                let first = Document::empty().edit(after, ClientId::from_bits(7), usize::MAX);
                let before = Document::rebuild(&first.iter().map(Vec::as_slice).collect::<Vec<_>>());
                let update = before.append(insert, client, usize::MAX).pop().or_else(|| first.first().cloned());
                Change::Edit { node: node(*on), generation: generation(*of), repeats: Vec::new(), update }
            }
            Self::Edit { node: on, generation: of, update, repeats } => {
                let (repeats, update) = (names.values(repeats), Some(update.to_vec()));
                Change::Edit { node: node(*on), generation: generation(*of), repeats, update }
            }
            Self::Delete { node: on, bases, seen } => {
                Change::Delete { node: node(*on), bases: names.ops(bases), seen: names.ops(seen) }
            }
            Self::Erase { targets } => Change::Erase { targets: names.values(targets) },
            Self::Disorder { kind, node: on, meta, value } => {
                let meta = [node(*on).as_bytes(), *meta].concat();
                return RawChange::new(u64::from(kind % 6), meta, value.to_vec());
            }
            Self::Unknown { kind, meta, value } => return RawChange::new(*kind, meta.to_vec(), value.to_vec()),
        };
        only(alien.raw(&[known]))
    }
}

fn only(changes: Vec<RawChange>) -> RawChange {
    changes.into_iter().next().expect("a change is encoded as one")
}

impl Name<'_> {
    fn field(&self) -> Field {
        const KNOWN: [&str; 17] = [
            field::KIND,
            field::TITLE,
            field::STATE,
            field::DO_DATE,
            field::LATE_ON,
            field::ATTENTION,
            field::RECURRENCE,
            field::PROJECT,
            field::OF,
            field::ROLE,
            field::DELETED,
            field::BODY,
            field::VAULT,
            field::PATH,
            field::UNDONE,
            "done/2026-11-20",
            "done/2026-11-27",
        ];
        let known = |name: &str| Field::new(name).expect("a known name is a name");
        match self {
            Self::Known(number) => known(KNOWN[usize::from(*number) % KNOWN.len()]),
            Self::Tag(on) => Field::tag(node(*on)),
            Self::Any(name) => Field::new(name).unwrap_or_else(|_| known(field::TITLE)),
        }
    }
}

impl Content<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => Value::text(*text).encode(),
            Self::Node(on) => Value::Node(node(*on)).encode(),
            Self::Flag(flag) => Value::Bool(*flag).encode(),
            Self::Generation(of) => Value::generation(generation(*of)).encode(),
            Self::Null => Value::Null.encode(),
            Self::Any(bytes) => bytes.to_vec(),
        }
    }
}
