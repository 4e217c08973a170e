//! What a replica remembers beside its log, and how it takes pages in.
#![allow(clippy::unwrap_used)]

#[path = "laws/world.rs"]
mod world;

use heph_store::Result;
use heph_store::id::OwnerId;
use heph_store::op::{CHANGE_BYTES, OP_BYTES_MAX, RawChange, STRETCH_OP_BYTES};
use heph_store::page::{self, Stretch};
use heph_store::replica::{Cursor, Group};
use world::{Alien, Device, push, scratch};

const OWNER: OwnerId = OwnerId::from_bytes([3; 16]);

fn remember(device: &mut Device, step: impl FnOnce(&mut Group<'_>) -> Result<()>) {
    device.replica().group(step).unwrap().unwrap();
}

#[test]
fn whose_data_it_is_is_remembered_once_it_has_been_said() {
    let dir = scratch();
    let (mut one, mut other) = (Device::open(dir.path(), "a.db", 1), Device::open(dir.path(), "b.db", 2));
    assert_eq!(one.replica().owner().unwrap(), None);
    one.replica().set_owner(OWNER).unwrap();
    remember(&mut other, |group| group.set_owner(OWNER));
    for device in [&mut one, &mut other] {
        device.reopen();
        assert_eq!(device.replica().owner().unwrap(), Some(OWNER));
        assert_eq!(device.look(|view| view.owner()), Some(OWNER));
    }
}

#[test]
fn a_fact_is_remembered_until_it_is_forgotten() {
    let dir = scratch();
    let mut device = Device::open(dir.path(), "a.db", 1);
    remember(&mut device, |group| group.set_fact("hub", Some("one")));
    remember(&mut device, |group| group.set_fact("hub", Some("other")));
    device.reopen();
    assert_eq!(device.look(|view| view.fact("hub")).as_deref(), Some("other"));
    remember(&mut device, |group| group.set_fact("hub", None));
    assert_eq!(device.look(|view| view.fact("hub")), None);
}

#[test]
fn a_cursor_is_stored_with_its_page_until_it_is_forgotten() {
    let dir = scratch();
    let mut device = Device::open(dir.path(), "a.db", 1);
    let (stretch, _) = Alien::new(9).write(1, vec![RawChange::new(99, vec![], vec![1])]);
    let cursor = Cursor { log_id: device.replica().log_id(), position: 0x0102_0304, roll: [7; 32] };
    device.replica().group(|group| group.ingest(&[stretch], Some(&cursor))).unwrap().unwrap();
    device.reopen();
    assert_eq!(device.look(|view| view.cursor()), Some(cursor));
    remember(&mut device, |group| group.forget_cursor());
    assert_eq!(device.look(|view| view.cursor()), None);
}

/// A stretch of one op that weighs so many bytes.
fn weighing(bytes: usize, author: &mut Alien) -> Stretch {
    let (stretch, _) =
        author.write(1, vec![RawChange::new(99, vec![], vec![1; bytes - STRETCH_OP_BYTES - CHANGE_BYTES])]);
    assert_eq!(stretch.weight(), bytes);
    stretch
}

#[test]
fn what_is_new_and_what_was_here_is_counted() {
    let dir = scratch();
    let mut device = Device::open(dir.path(), "a.db", 1);
    let mut author = Alien::new(9);
    let mut stretches: Vec<Stretch> = (0..2).map(|_| weighing(120, &mut author)).collect();
    let report = device.ingest(&stretches).unwrap();
    assert_eq!((report.added, report.known, report.head), (2, 0, 2));
    stretches.extend((0..3).map(|_| weighing(120, &mut author)));
    let report = device.ingest(&stretches).unwrap();
    assert_eq!((report.added, report.known, report.head), (3, 2, 5));
    let report = device.ingest(&stretches).unwrap();
    assert_eq!((report.added, report.known, report.head), (0, 5, 5));
}

#[test]
fn stretches_that_continue_each_other_become_one_up_to_the_limit() {
    let dir = scratch();
    let half = OP_BYTES_MAX / 2;
    for (name, weights, kept) in [
        ("both", vec![half, half], 1),
        ("apart", vec![half, half + 1], 2),
        ("three", vec![half, half, 120], 2),
        ("many", vec![OP_BYTES_MAX / 3; 7], 3),
    ] {
        let mut author = Alien::new(9);
        let written: Vec<Stretch> = weights.iter().map(|bytes| weighing(*bytes, &mut author)).collect();
        let mut device = Device::open(dir.path(), &format!("{name}.db"), 1);
        device.ingest(&written).unwrap();
        assert_eq!(device.stretches_after(0).len(), kept, "{name}");
        let mut next = Device::open(dir.path(), &format!("{name} next.db"), 2);
        push(&device, &mut next, page::PAGE_BYTES_AIM);
        assert_eq!(next.vector(), device.vector(), "{name}: what was joined can be given on");
    }
}
