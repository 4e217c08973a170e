//! Stamps that are far from now: of a clock that is ahead by centuries, and of a device that was away for long.

use super::{heal, import, in_step, push, set_over, task};
use heph_api::types::{Attention, CreateTask, EditTask, NodeHistory};
use heph_store::field::Value;
use heph_tests::{World, wire::Author};
use std::{collections::BTreeSet, path::PathBuf};

/// The first instant of the year 2400, in Unix milliseconds.
const CENTURIES_AHEAD_MS: u64 = 13_569_465_600_000;

/// Elsewhere one device with a wrong year won every conflict for ever, dragged all clocks along, or was refused.
#[test]
fn c18_a_far_future_timestamp() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let plain = a.task("of today");
    for (n, stamp_ms) in [CENTURIES_AHEAD_MS, i64::MAX as u64, u64::MAX].into_iter().enumerate() {
        let number = u8::try_from(n).expect("few");
        let mut ahead = Author::new(180 + number);
        let node = ahead.node(number);
        let id = node.to_string();
        let made = ahead.write_at(stamp_ms, &task(node, "of the future"));
        push(&hub, &ahead.page(std::slice::from_ref(&made)));
        world.converge();

        // What is typed over it is shown at once and everywhere, and goes on being shown.
        assert_eq!(a.title(&id), "of the future");
        for (device, title) in [(&a, "changed by a"), (&b, "changed by b"), (&a, "and by a again")] {
            device.retitle(&id, title);
            assert_eq!(device.title(&id), title);
            world.converge();
            assert_eq!([a.title(&id), b.title(&id)], [title, title], "{stamp_ms}");
        }
        assert!(a.conflicts().is_empty(), "{:?}", a.conflicts());
        // Written without having seen that, it is a conflict like any other; settling it is the end of it.
        let again = ahead.write_at(stamp_ms, &[set_over(node, "title", Value::text("the future again"), &[&made])]);
        push(&hub, &ahead.page(&[again]));
        world.converge();
        for device in [&a, &b] {
            let values: BTreeSet<String> = device.values(&id, "title").iter().map(ToString::to_string).collect();
            assert_eq!(values, ["\"and by a again\"".to_owned(), "\"the future again\"".to_owned()].into());
        }
        b.take(&id, "title", &"and by a again".into());
        world.converge();
        assert_eq!((a.title(&id).as_str(), a.conflicts().len()), ("and by a again", 0));

        // Nobody's clock was dragged along.
        a.retitle(&plain, &format!("still of today {n}"));
        let history = a.call(&NodeHistory { id: plain.clone(), ..NodeHistory::default() });
        let ours = history.entries.iter().map(|entry| entry.stamp_ms);
        assert!(ours.max().is_some_and(|newest| newest < CENTURIES_AHEAD_MS as i64), "{history:?}");
    }
    world.converge();
    heal(&hub, &[&a, &b]);
}

/// The library that gives a program another clock.
fn faketime() -> String {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|dir| dir.path());
    let mut libraries = found.map(|dir: PathBuf| dir.join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|library| library.exists());
    let library = library.expect("this test needs libfaketime: apt-get install --no-install-recommends faketime");
    library.to_str().expect("a path below /usr/lib").to_owned()
}

/// Elsewhere whoever synced last won, so that a laptop out of a drawer undid half a year; or what was in the drawer
/// was beyond what the server kept, and was lost.
#[test]
fn c23_a_device_200_days_away_with_five_edits() {
    let world = World::new();
    let (hub, home) = (world.hub(), world.device("home"));
    let away = world.stopped_device("away");
    for (name, value) in
        [("LD_PRELOAD", faketime().as_str()), ("FAKETIME", "-200d"), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")]
    {
        away.set_env(name, value);
    }
    away.know(Some(&hub));
    away.start();
    let [both, only_away, deleted] =
        ["both retitle it", "only away marks it", "home deletes it"].map(|of| away.task(of));
    let doc = away.doc("both append to it", "one\n");
    world.converge();

    // Five edits, 200 days ago; then the device lies in a drawer.
    hub.stop();
    away.retitle(&both, "retitled by away, 200 days ago");
    let mark = EditTask {
        id: only_away.clone(),
        attention: heph_api::types::Patch::Set(Attention::Red),
        ..EditTask::default()
    };
    away.call(&mark);
    away.append(&doc, "by away\n");
    away.retitle(&deleted, "and yet away worked on it");
    let new = away.call(&CreateTask { title: "made by away".into(), ..CreateTask::default() }).task.node_id;
    let unsent = away.status().pending_push;
    assert!((5..=7).contains(&unsent), "five edits: {unsent}");
    away.stop();
    hub.start();
    import(&world, &home, "half a year", 2_000);
    home.retitle(&both, "retitled by home");
    home.append(&doc, "by home\n");
    home.delete(&deleted);
    home.sync();
    let there = hub.summary().head;
    assert!(there > 2_000);

    away.set_env("FAKETIME", "+0");
    away.start();
    in_step(&hub, &[&home, &away]);

    assert_eq!(hub.summary().head, there + unsent, "all of it arrived, and nothing twice");
    let other = world.device("other");
    in_step(&hub, &[&home, &away, &other]);
    other.verify();
    for device in [&home, &away, &other] {
        let on = device.name();
        assert_eq!(device.title(&both), "retitled by home", "being late wins nothing, on {on}");
        let values: Vec<String> = device.values(&both, "title").iter().map(ToString::to_string).collect();
        assert_eq!(
            values,
            ["\"retitled by home\"", "\"retitled by away, 200 days ago\""],
            "and loses nothing, on {on}"
        );
        assert_eq!(device.task_row(&only_away).attention.as_deref(), Some("red"), "on {on}");
        let text = device.text(&doc);
        assert!(["one", "by away", "by home"].iter().all(|part| text.matches(part).count() == 1), "{text:?} on {on}");
        assert!(!device.is_hidden(&deleted), "a deletion that had not seen it hides nothing, on {on}");
        assert_eq!(device.title(&deleted), "and yet away worked on it");
        assert_eq!(device.title(&new), "made by away");
        let listed: BTreeSet<String> = device.conflicts().into_iter().map(|row| row.node.node_id).collect();
        assert_eq!(listed, [both.clone(), deleted.clone()].into(), "both are listed, on {on}");
    }
}
