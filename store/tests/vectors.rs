//! The bytes of the formats, for ever. `docs/vectors.md` has the same table, so that another program can check itself.
//!
//! `HEPH_VECTORS_PRINT=1 cargo test -p heph-store --test vectors -- --nocapture` prints the table as it would be now.
#![allow(clippy::unwrap_used)]

use heph_store::body::{ClientId, Document};
use heph_store::chain::OriginKey;
use heph_store::codec::put_varint;
use heph_store::env::SystemEnv;
use heph_store::field::{Field, TITLE, Value};
use heph_store::id::{Generation, GroupId, NodeId, OpId, OpRef, Seq, Stamp};
use heph_store::natural;
use heph_store::op::{Change, ChangeRef, Op, Place};
use heph_store::page::{self, Entry, PackedStretch, Stretch};
use heph_store::replica::Replica;
use heph_store::vector::{Tip, Vector};
use jiff::civil::date;
use sha2::{Digest, Sha256};
use std::sync::Arc;

const TABLE: &str = include_str!("../../docs/vectors.md");

struct Row {
    name: &'static str,
    words: &'static str,
    bytes: Vec<u8>,
}

impl Row {
    fn line(&self) -> String {
        format!("| {} | {} | `{}` |", self.name, self.words, hex::encode(&self.bytes))
    }
}

/// What the ops of the table have in common.
struct Author {
    key: OriginKey,
    last: Option<(Seq, OpId)>,
}

impl Author {
    fn new(seed: u8) -> Self {
        Self { key: OriginKey::from_seed(&[seed; 32]), last: None }
    }

    fn write(&mut self, group: Option<GroupId>, changes: &[Change]) -> Op {
        let place = match self.last {
            None => {
                let (origin, key) = (self.key.origin(), Some(self.key.public()));
                Place { origin, seq: Seq::FIRST, prev: OpId::NONE, key }
            }
            Some((seq, prev)) => Place { origin: self.key.origin(), seq: seq.next().unwrap(), prev, key: None },
        };
        let salt = *b"0123456789abcdef";
        let op = Op::new(place, Stamp::from_millis(1_790_000_000_000 + place.seq.get()), group, salt, changes);
        self.last = Some((op.seq, op.id()));
        op
    }
}

fn node() -> NodeId {
    "018f0000-0000-7000-8000-0000000000ff".parse().unwrap()
}

fn set(field: &str, bases: Vec<OpRef>, repeats: Vec<ChangeRef>, text: &str) -> Change {
    let (field, value) = (Field::new(field).unwrap(), Some(Value::text(text)));
    Change::Set { node: node(), field, bases, seen: Vec::new(), repeats, value }
}

fn reference(op: &Op) -> OpRef {
    op.reference(&op.id())
}

fn stretch(key: &OriginKey, ops: &[Op]) -> Stretch {
    let entries: Vec<Entry> = ops.iter().map(|op| Entry { op: op.clone(), id: op.id() }).collect();
    let signature = key.sign(&entries.last().unwrap().id);
    Stretch { entries, signature }
}

fn packed(stretch: &Stretch) -> PackedStretch {
    let first = &stretch.entries[0].op;
    PackedStretch {
        place: Place { origin: first.origin, seq: first.seq, prev: first.prev, key: first.key },
        last: stretch.entries.last().unwrap().id,
        ops: stretch.entries.iter().map(|entry| entry.op.pack()).collect(),
        signature: stretch.signature,
    }
}

fn varint(number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put_varint(&mut out, number);
    out
}

fn numbers_and_values() -> Vec<Row> {
    let row = |name, words, bytes| Row { name, words, bytes };
    let value = |words, value: Value| Row { name: "value", words, bytes: value.encode() };
    vec![
        row("varint", "0", varint(0)),
        row("varint", "127", varint(127)),
        row("varint", "128", varint(128)),
        row("varint", "300", varint(300)),
        row("varint", "2^32", varint(1 << 32)),
        row("varint", "2^64 − 1", varint(u64::MAX)),
        value("null", Value::Null),
        value("the text `Grüße`", Value::text("Grüße")),
        value("the empty text", Value::text("")),
        value("true", Value::Bool(true)),
        value("false", Value::Bool(false)),
        value("the number 0", Value::Int(0)),
        value("the number −1", Value::Int(-1)),
        value("the number 300", Value::Int(300)),
        value("the number −2^63", Value::Int(i64::MIN)),
        value("the date 2026-11-20", Value::Date(date(2026, 11, 20))),
        value("the date and time 2026-11-20T14:30:05", Value::DateTime(date(2026, 11, 20).at(14, 30, 5, 0))),
        value("the node `018f0000-0000-7000-8000-0000000000ff`", Value::Node(node())),
        value("the bytes `ff00`", Value::Bytes(vec![0xff, 0])),
    ]
}

fn derived_ids() -> Vec<Row> {
    let row = |name, words, id: uuid::Uuid| Row { name, words, bytes: id.as_bytes().to_vec() };
    vec![
        row("node id", "the journal of 2026-11-20", natural::journal(date(2026, 11, 20))),
        row("node id", "the tag ` Straße `", natural::tag(" Straße ")),
        row("node id", "the note `a/Ü.md` (in NFC) of the vault `v`", natural::note("v", "a/Ü.md".as_bytes(), false)),
        row("node id", "the context document of the node of 16 bytes `07`", natural::context(&[7; 16])),
        row("node id", "the mark that the op of hash 32 bytes `07` is undone", natural::undo_mark(&[7; 32])),
    ]
}

fn of_op(rows: &mut Vec<Row>, words: &'static str, op: &Op) {
    rows.push(Row { name: "frame", words, bytes: op.frame() });
    rows.push(Row { name: "packed", words, bytes: op.pack() });
    rows.push(Row { name: "hash", words, bytes: op.id().as_bytes().to_vec() });
}

fn ops_and_what_carries_them() -> Vec<Row> {
    let (mut a, mut b) = (Author::new(1), Author::new(2));
    let update = Document::empty().edit("hi", ClientId::from_bits(7), 1_000).remove(0);
    let one = a.write(None, &[set(TITLE, vec![], vec![], "Garden")]);
    let edit =
        Change::Edit { node: node(), generation: Generation::EMPTY, repeats: vec![], update: Some(update.clone()) };
    let two = a.write(None, &[edit]);
    let group = Some(GroupId::from_bytes([5; 16]));
    let three = a.write(group, &[Change::Delete { node: node(), bases: vec![], seen: vec![reference(&two)] }]);
    let target = ChangeRef { op: reference(&one), index: 0 };
    let four = a.write(None, &[Change::Erase { targets: vec![target] }]);
    let other = [set(TITLE, vec![reference(&one)], vec![target], "Garden"), set("state", vec![], vec![], "done")];
    let five = b.write(None, &other);

    let mut rows = Vec::new();
    rows.push(Row { name: "key", words: "A's public key", bytes: a.key.public().to_vec() });
    rows.push(Row { name: "origin", words: "A's origin", bytes: a.key.origin().as_bytes().to_vec() });
    rows.push(Row {
        name: "update",
        words: "Yjs: client 7 types `hi` into the empty text named `body`",
        bytes: update,
    });
    of_op(&mut rows, "A1 sets `title` to the text `Garden`, no bases", &one);
    of_op(&mut rows, "A2 edits the body of generation zero with that update", &two);
    of_op(&mut rows, "A3, in the group of 16 bytes `05`, deletes; bases none, seen A2", &three);
    of_op(&mut rows, "A4 erases change 0 of A1", &four);
    of_op(
        &mut rows,
        "B1 sets `title` to the text `Garden`, base A1, repeating change 0 of A1; and `state` to `done`",
        &five,
    );

    let (mut one_erased, mut five_erased) = (one.clone(), five.clone());
    assert!(one_erased.erase(0) && five_erased.erase(0));
    assert_eq!((one_erased.id(), five_erased.id()), (one.id(), five.id()), "an erased op keeps its hash");
    rows.push(Row { name: "packed", words: "A1 with change 0 erased", bytes: one_erased.pack() });
    rows.push(Row { name: "packed", words: "B1 with change 0 erased", bytes: five_erased.pack() });

    let (of_a, of_b) = (stretch(&a.key, &[one.clone(), two]), stretch(&b.key, &[five]));
    rows.push(Row { name: "signature", words: "A's, over the stretch A1 to A2", bytes: of_a.signature.to_vec() });
    let later = stretch(&a.key, &[three, four]);
    let pages = [packed(&of_a), packed(&of_b), packed(&later)];
    let page = page::encode(&pages);
    assert_eq!(page::decode(&page).unwrap(), [of_a, of_b, later], "a page reads back");
    rows.push(Row { name: "page", words: "the stretches A1 to A2, B1, A3 to A4", bytes: page });

    let mut vector = Vector::default();
    for (author, (seq, id)) in [(&a, a.last.unwrap()), (&b, b.last.unwrap())] {
        vector.insert(author.key.origin(), Tip { seq, id });
    }
    assert_eq!(Vector::decode(&vector.encode(), 2).unwrap(), vector);
    rows.push(Row { name: "vector", words: "the tips A4 and B1", bytes: vector.encode() });
    rows.push(Row { name: "vector hash", words: "of it", bytes: vector.hash().to_vec() });
    rows.extend(state(&stretch(&a.key, &[one])));
    rows
}

/// What a replica that holds a single op says of itself.
fn state(first: &Stretch) -> Vec<Row> {
    let dir = tempfile::tempdir().unwrap();
    let mut replica = Replica::open(&dir.path().join("r.db"), Arc::new(SystemEnv)).unwrap();
    replica.group(|group| group.ingest(std::slice::from_ref(first), None)).unwrap().unwrap();
    let reads = replica.reads().unwrap();
    let (buckets, summary) = reads.read(|view| Ok::<_, heph_store::Error>((view.buckets()?, view.summary()?))).unwrap();
    let mut roll = Sha256::new();
    roll.update([0; 32]);
    roll.update(first.entries[0].id.as_bytes());
    assert_eq!(summary.roll, <[u8; 32]>::from(roll.finalize()), "the rolling hash goes on from 32 zero bytes");
    let row = |name, words, bytes: [u8; 32]| Row { name, words, bytes: bytes.to_vec() };
    vec![
        row("roll", "of a log of A1 alone", summary.roll),
        row("row hash", "of the node after A1 alone; the sum in bucket 255", buckets[255]),
        row("digest", "of that state", summary.digest),
    ]
}

#[test]
fn the_formats_have_the_bytes_that_are_written_down() {
    let groups = [numbers_and_values(), derived_ids(), ops_and_what_carries_them()];
    let rows: Vec<Row> = groups.into_iter().flatten().collect();
    if std::env::var_os("HEPH_VECTORS_PRINT").is_some() {
        rows.iter().for_each(|row| println!("{}", row.line()));
    }
    let written: Vec<&str> = TABLE.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")).collect();
    let now: Vec<String> = rows.iter().map(Row::line).collect();
    for (written, now) in written.iter().zip(&now) {
        assert_eq!(written, now, "docs/vectors.md is for ever");
    }
    assert_eq!(written.len(), now.len());
}
