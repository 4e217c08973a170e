//! What a replica takes in, and what it can give on: nothing that is stored may wedge the next replica.
#![allow(clippy::unwrap_used)]

#[path = "laws/world.rs"]
mod world;

use heph_store::exchange::Coverage;
use heph_store::field::Value;
use heph_store::id::NodeId;
use heph_store::op::{Change, RawChange};
use heph_store::page::{self, PackedStretch, Stretch};
use heph_store::{Error, verify};
use world::{Alien, Device, field, scratch};

fn title(text: &str) -> Change {
    let value = Some(Value::text(text));
    let node = NodeId::from_bytes([7; 16]);
    Change::Set { node, field: field("title"), bases: vec![], seen: vec![], repeats: vec![], value }
}

fn packed(stretch: &Stretch) -> Vec<u8> {
    let (first, last) = (stretch.entries.first().unwrap(), stretch.entries.last().unwrap());
    let op = &first.op;
    let place = heph_store::op::Place { origin: op.origin, seq: op.seq, prev: op.prev, key: op.key };
    let ops = stretch.entries.iter().map(|entry| entry.op.pack()).collect();
    page::encode(&[PackedStretch { place, last: last.id, ops, signature: stretch.signature }])
}

/// Takes every page of one replica, of the smallest size, into another.
fn relay(from: &mut Device, to: &mut Device) {
    let mut position = 0;
    while let Some(page) = from.look(|view| view.page_after(position, &Coverage::default(), 1)) {
        to.ingest(&page::decode(&page.bytes).unwrap()).unwrap();
        position = page.position;
    }
}

#[test]
fn a_spoiled_inner_signature_is_not_kept_and_wedges_nobody() {
    let dir = scratch();
    let (mut hub, mut spoke) = (Device::open(dir.path(), "hub.db", 1), Device::open(dir.path(), "spoke.db", 2));
    let mut alien = Alien::new(9);
    let (mut first, _) = alien.say(1, &[title("a")]);
    let (second, _) = alien.say(2, &[title("b")]);
    first.signature = [7; 64];
    assert_eq!(hub.ingest(&[first, second]).unwrap().added, 2);
    assert_eq!(hub.verify().problems, Vec::<String>::new());
    relay(&mut hub, &mut spoke);
    assert_eq!(spoke.summary().digest, hub.summary().digest);
}

#[test]
fn a_spoiled_signature_between_two_origins_is_refused() {
    let dir = scratch();
    let mut hub = Device::open(dir.path(), "hub.db", 1);
    let (mut one, mut other) = (Alien::new(9), Alien::new(10));
    let (mut first, _) = one.say(1, &[title("a")]);
    let (between, _) = other.say(1, &[title("c")]);
    let (second, _) = one.say(2, &[title("b")]);
    first.signature = [7; 64];
    assert!(matches!(hub.ingest(&[first, between, second]), Err(Error::BadSignature { .. })));
    assert_eq!(hub.summary().head, 0);
}

#[test]
fn a_stretch_that_could_outgrow_a_page_is_refused() {
    let mut alien = Alien::new(9);
    let (mut entries, mut signature) = (Vec::new(), [0; 64]);
    for _ in 0..8 {
        let (stretch, _) = alien.write(1, vec![RawChange::new(99, vec![], vec![1]); 4_096]);
        signature = stretch.signature;
        entries.extend(stretch.entries);
    }
    let refused = page::decode(&packed(&Stretch { entries, signature }));
    assert_eq!(refused.unwrap_err().to_string(), "a stretch beyond its size limit");
}

#[test]
fn a_roll_back_that_cannot_be_read_back_is_not_written_on_from() {
    let dir = scratch();
    let mut device = Device::open(dir.path(), "a.db", 1);
    let node = NodeId::from_bytes([7; 16]);
    device.set(node, "title", "before");
    let disk = rusqlite::Connection::open(&device.path).unwrap();
    let seed: Vec<u8> =
        disk.query_row("SELECT value FROM meta WHERE key = 'origin_seed'", [], |row| row.get(0)).unwrap();
    disk.execute("UPDATE meta SET value = x'00' WHERE key = 'origin_seed'", []).unwrap();
    disk.execute_batch("CREATE TRIGGER t BEFORE INSERT ON touch BEGIN SELECT RAISE(ABORT, 'io'); END").unwrap();
    let failed =
        device.replica().group(|group| group.write(|draft| draft.set(node, &field("title"), Value::text("d"))));
    assert!(failed.is_err() || failed.unwrap().is_err());
    disk.execute_batch("DROP TRIGGER t").unwrap();
    disk.execute("UPDATE meta SET value = ?1 WHERE key = 'origin_seed'", [&seed]).unwrap();
    device.set(node, "title", "after");
    let report = verify::verify(&device.path, device.env.clone()).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    assert_eq!(report.ops, 2);
}
