//! Whatever reads small things from bytes or words refuses them, or gives back the very same when it prints them: there
//! is one encoding of each value, number, vector, id and token.
#![no_main]

use heph_fuzz::memory;
use heph_store::codec::{Reader, put_bytes, put_varint};
use heph_store::field::{Field, Value};
use heph_store::id::{Generation, GroupId, HubId, LogId, NodeId, OpId, OpRef, Origin, OwnerId, Seq};
use heph_store::links;
use heph_store::natural;
use heph_store::op::{Op, Place};
use heph_store::replica::Cursor;
use heph_store::vector::Vector;
use heph_store::version::Version;
use libfuzzer_sys::fuzz_target;
use std::fmt::{Debug, Display};
use std::str::FromStr;

/// More than any vector of these inputs names.
const ORIGINS_MAX: usize = 4_096;

fuzz_target!(|bytes: &[u8]| {
    memory::within(bytes.len(), 64, || {
        numbers_and_lengths(bytes);
        value(bytes);
        vector(bytes);
        op(bytes);
        if let Ok(text) = std::str::from_utf8(bytes) {
            names(text);
            keys(text);
            json(text);
        }
    });
});

fn numbers_and_lengths(bytes: &[u8]) {
    let (mut reader, mut out) = (Reader::new(bytes), Vec::new());
    let read = |reader: &Reader<'_>| bytes.len() - reader.rest().len();
    while let Ok(number) = reader.varint() {
        put_varint(&mut out, number);
        assert_eq!(out, bytes[..read(&reader)], "a number has one form");
    }
    let (mut reader, mut out) = (Reader::new(bytes), Vec::new());
    while let Ok(part) = reader.bytes() {
        put_bytes(&mut out, part);
        assert_eq!(out, bytes[..read(&reader)], "bytes have one form");
    }
}

fn value(bytes: &[u8]) {
    let Ok(value) = Value::decode(bytes) else { return };
    assert_eq!(value.encode(), bytes, "a value has one encoding");
    if let Some(date) = value.as_date() {
        assert_eq!(Field::done(date).as_done(), Some(date), "an occurrence is found by its field");
    }
    if let Some(node) = value.as_node() {
        assert_eq!(Field::tag(node).as_tag(), Some(node), "a tag is found by its field");
    }
}

fn vector(bytes: &[u8]) {
    let Ok(vector) = Vector::decode(bytes, ORIGINS_MAX) else { return };
    assert_eq!(vector.encode(), bytes, "a vector has one encoding");
    assert!(vector.differing(&vector).is_empty());
    let (mut parts, mut after) = (Vector::default(), None);
    loop {
        let part = vector.part(after, 3);
        let Some((last, _)) = part.iter().last() else { break };
        after = Some(last);
        parts.extend(part);
    }
    assert_eq!(parts, vector, "its parts make the whole");
}

/// A packed op on a chain of its own.
fn op(bytes: &[u8]) {
    let place = Place { origin: Origin::from_bytes([7; 16]), seq: Seq::FIRST, prev: OpId::NONE, key: Some([7; 32]) };
    let Ok(mut op) = Op::unpack(place, bytes) else { return };
    assert_eq!(op.pack(), bytes, "an op has one packed form");
    let id = op.id();
    let (read, touches) = (op.read(), op.touches());
    for change in read.iter().flatten() {
        assert!(change.node().is_none_or(|node| touches.contains_key(&node)), "what is changed is touched");
    }
    assert!(op.framed().len() >= read.map_or(0, |changes| changes.len()), "what reads can be read without values");
    for index in 0..op.changes.len() {
        op.erase(index);
        assert_eq!(op.id(), id, "erasing leaves the hash alone");
        assert_eq!(Op::unpack(place, &op.pack()).as_ref(), Ok(&op), "and the packed form readable");
    }
}

fn prints_back<T: FromStr + Display + PartialEq + Debug>(text: &str) -> Option<String> {
    let parsed: T = text.parse().ok()?;
    let printed = parsed.to_string();
    assert_eq!(printed.parse::<T>().ok(), Some(parsed), "{text:?} prints as {printed:?}, which is another");
    Some(printed)
}

fn names(text: &str) {
    prints_back::<Origin>(text);
    prints_back::<OpId>(text);
    prints_back::<OwnerId>(text);
    prints_back::<HubId>(text);
    prints_back::<LogId>(text);
    prints_back::<GroupId>(text);
    prints_back::<Generation>(text);
    prints_back::<NodeId>(text);
    prints_back::<OpRef>(text);
    prints_back::<Version>(text);
    if let Ok(field) = Field::new(text) {
        assert_eq!(field.as_str(), text);
        assert_eq!(field.heads_are_equal(), text.starts_with("done/"));
    }
}

/// A key means itself.
fn keys(text: &str) {
    for key in [natural::tag_key, links::key, links::basename_key, links::heading_key] {
        let once = key(text);
        assert_eq!(key(&once), once, "{text:?}");
    }
    assert_eq!(natural::tag(&natural::tag_key(text)), natural::tag(text), "{text:?}");
}

fn json(text: &str) {
    let Ok(cursor) = serde_json::from_str::<Cursor>(text) else { return };
    let printed = serde_json::to_string(&cursor).expect("a cursor can be printed");
    assert_eq!(serde_json::from_str::<Cursor>(&printed).ok(), Some(cursor));
}
