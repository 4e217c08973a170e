//! The cursor says how far another's log was read. It may lie in many ways: be ahead of what is here, stand in a log
//! that became another, or not be there at all.

use super::{
    cursor_of, heal, import, in_step, log_id_of, log_of, passed_over, push, set_of, several_pages, tampering, task,
    titles,
};
use heph_store::{read::Reads, replica::Cursor};
use heph_tests::{Device, Hub, World, between::Between, wire::Author};
use std::{path::Path, sync::Arc};

/// Elsewhere the cursor was stored first, and a crash before the ops were lost them for ever.
#[test]
fn c01_a_cursor_stored_before_the_ops_it_covers() {
    let (world, between) = (World::new(), Between::start());
    let (hub, writer) = (world.hub(), world.device("writer"));
    let docs = several_pages(&writer, "large", 9);
    writer.sync();
    let reader = world.stopped_device("reader");
    between.lead_to(&hub.url());
    reader.know_url(Some(&between.url()));

    // Of each pull, one page can be kept; the next one, whose position is as good, is refused by the store.
    between.judge(tampering::every_pull(hub.url(), |items| {
        if items.len() > 2 {
            items[1].stretches.last_mut().expect("a stretch").signature[0] ^= 1;
        }
    }));
    let mut stood = Vec::new();
    while stood.len() < 3 {
        reader.start();
        reader.exchange();
        reader.kill9();
        assert_eq!(passed_over(&reader, &hub), 0, "the cursor has passed over ops that are not here: {stood:?}");
        stood.push(cursor_of(&reader).map(|cursor| cursor.position));
    }
    assert!(stood[0].is_some() && stood[0] < Some(hub.summary().head), "a part of it was to come: {stood:?}");
    assert!(stood.is_sorted(), "what was kept is asked for again: {stood:?}");

    between.let_pass();
    reader.start();
    heal(&hub, &[&writer, &reader]);
    docs.iter().for_each(|(doc, text)| assert!(reader.text(doc) == *text, "{doc} is not what was written"));
}

/// Brings `away` to a place in the hub's log, resets the hub, and lets another device fill it beyond that place with
/// other ops: the same numbers mean other things now.
fn reset_and_refilled(reset: impl FnOnce(&Hub, &Path)) -> (World, [Arc<Device>; 3], Cursor) {
    let world = World::new();
    let (hub, a, away) = (world.hub(), world.device("a"), world.device("away"));
    a.task("from the start");
    world.converge();
    hub.stop();
    let copy = world.dir("copy");
    hub.copy_files(&copy);
    hub.start();
    (0..8).for_each(|n| drop(a.task(&format!("of a {n}"))));
    heal(&hub, &[&a, &away]);
    away.stop();
    a.stop();
    let (stands, log_was) = (cursor_of(&away).expect("it has pulled"), log_of(&hub.db_path()));
    assert_eq!(stands.position, log_was.len() as u64);

    hub.kill9();
    reset(&hub, &copy);
    hub.start();
    let b = world.lone_device("b");
    b.join(&hub);
    for n in 0..20 {
        // One by one, so that the position is an end in the new log, too.
        b.task(&format!("of b {n}"));
        b.sync();
    }
    let log_is = log_of(&hub.db_path());
    assert!(log_is.len() > log_was.len(), "the trap is set: the position is used again");
    assert_ne!(log_is[log_was.len() - 1], log_was[log_was.len() - 1], "the trap is set: by another op");
    (world, [a, away, b], stands)
}

/// Elsewhere clients went on from their number in the new log, and never saw what had come below it.
#[test]
fn c03_a_hub_reset_that_reuses_positions() {
    let wiped = |hub: &Hub, _: &Path| hub.lose_disk_but_the_key();
    let put_back = |hub: &Hub, copy: &Path| hub.put_back(copy);
    for (what, (world, [a, away, b], stands)) in
        [("wiped", reset_and_refilled(wiped)), ("put back", reset_and_refilled(put_back))]
    {
        let hub = world.hub();
        let is_same_log = log_id_of(&hub.db_path()) == stands.log_id;
        assert_eq!(is_same_log, what == "put back", "a copy goes on with its log, and an empty disk begins another");

        away.start();
        heal(&hub, &[&away, &b]);
        a.start();
        heal(&hub, &[&a, &away, &b]);

        let all = titles(&a);
        assert_eq!(all.len(), 29, "{what}: {all:?}");
        assert_eq!((titles(&away), titles(&b)), (all.clone(), all), "{what}");
    }
}

/// Elsewhere a new device asked for "the last 30 days" or "the last 1,000", and old items were never seen again.
#[test]
fn c08_a_first_sync_that_assumes_a_recent_window() {
    const DAY_MS: u64 = 86_400_000;
    const NOW_MS: u64 = 1_795_000_000_000;
    let world = World::new();
    let (hub, mut author) = (world.hub(), Author::new(8));
    let ages = [0, 1, 8, 31, 91, 366, 3_000, NOW_MS / DAY_MS];
    for (n, days) in ages.into_iter().enumerate() {
        let node = author.node(u8::try_from(n).expect("few"));
        let op = author.write_at(NOW_MS - days * DAY_MS, &task(node, &format!("{days} days old")));
        push(&hub, &author.page(&[op]));
    }
    let writer = world.device("writer");
    import(&world, &writer, "since then", 1_000);
    writer.sync();

    let new = world.device("new");
    let status = new.sync();

    assert_eq!((status.op_count, &status.state_digest), (hub.summary().head, &hub.digest()));
    assert!(status.op_count > 1_000);
    assert_eq!(titles(&new), ages.iter().map(|days| format!("{days} days old")).collect());
    new.verify();
    // The same the other way round: a hub that is new gets all of it, too.
    let other = world.another_hub("other");
    new.stop();
    hub.stop();
    let lone = world.stopped_device("lone");
    new.copy_files(lone.dir());
    lone.know(Some(&other));
    lone.start();
    in_step(&other, &[&lone]);
    assert_eq!(other.summary().head, lone.status().op_count);
}

/// A cursor as the file keeps it: log, position in eight bytes, rolling hash.
fn put_cursor(device: &Device, cursor: &Cursor) {
    let packed = [cursor.log_id.as_bytes().as_slice(), &cursor.position.to_be_bytes(), &cursor.roll].concat();
    let file = rusqlite::Connection::open(device.db_path()).unwrap();
    let changed = file.execute("UPDATE meta SET value = ?1 WHERE key = 'cursor'", [packed]).unwrap();
    assert_eq!(changed, 1);
}

/// Elsewhere a crash kept the cursor and lost the ops (or the hub lost its newest ones), and the client waited for
/// numbers beyond it while everything new came below.
#[test]
fn c12_a_crash_that_leaves_a_cursor_beyond_the_last_op() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    a.task("from the start");
    world.converge();

    // On the device: the cursor is at the end of the hub's log, or behind that, and the ops up to there are not here.
    for (n, beyond) in [0, 1, 1_000_000].into_iter().enumerate() {
        b.stop();
        a.task(&format!("unseen {n}"));
        a.sync();
        let (position, roll) = Reads::open(&hub.db_path()).unwrap().read(|view| view.end()).unwrap();
        let end = Cursor { log_id: log_id_of(&hub.db_path()), position: position + beyond, roll };
        put_cursor(&b, &end);
        assert!(passed_over(&b, &hub) > 0, "the trap is set");
        b.start();
        heal(&hub, &[&a, &b]);
        assert_eq!((passed_over(&b, &hub), titles(&b).len()), (0, 2 + n), "{beyond} beyond the end");
    }

    // On the hub: it comes back without its newest ops, and what is written next takes their numbers.
    hub.stop();
    let copy = world.dir("copy");
    hub.copy_files(&copy);
    hub.start();
    a.task("of the lost tail");
    a.task("of the lost tail, too");
    heal(&hub, &[&a, &b]);
    a.stop();
    b.stop();
    hub.kill9();
    hub.put_back(&copy);
    hub.start();
    let beyond = cursor_of(&b).expect("it has pulled").position;
    assert_eq!(beyond, hub.summary().head + 2, "the trap is set: b stands behind the last op");
    let c = world.device("c");
    c.task("in the place of what was lost");
    c.sync();
    assert!(hub.summary().head >= beyond, "the trap is set: the numbers are used again");
    b.start();
    heal(&hub, &[&b, &c]);
    let wanted = ["from the start", "unseen 0", "unseen 1", "unseen 2", "of the lost tail", "of the lost tail, too"];
    let wanted = &set_of(&wanted) | &set_of(&["in the place of what was lost"]);
    assert_eq!((titles(&b), titles(&c)), (wanted.clone(), wanted), "and b gave back what the hub had lost");
}
