//! Pages on their way: cut short, lost, refused, sent again, and several of them where something goes wrong in the
//! middle.

use super::{
    heal, import, in_step, push, several_pages,
    tampering::{self, HELLO, Item, PULL, PUSH},
    task, titles,
};
use heph_api::types::{NodeHistory, SyncState};
use heph_store::{field::Value, read::Reads};
use heph_tests::{
    Device, World,
    between::{Between, Verdict, answer, only_nth},
    wait,
    wire::Author,
};
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A device that knows the hub by something between.
fn device_behind(world: &World, between: &Between, name: &str) -> Arc<Device> {
    between.lead_to(&world.hub().url());
    let device = world.stopped_device(name);
    device.know_url(Some(&between.url()));
    device.start();
    device
}

/// Takes one op out of what was pulled; says whether there was one to take.
type Shorten = fn(&mut Item) -> bool;

/// Out of a stretch of several, whose signature covers it.
fn last_op_of_a_stretch(item: &mut Item) -> bool {
    let Some(stretch) = item.stretches.iter_mut().find(|stretch| stretch.entries.len() > 1) else { return false };
    stretch.entries.pop().is_some()
}

/// A whole stretch of one op that others of its chain follow.
fn op_that_others_follow(item: &mut Item) -> bool {
    let follows = |at: usize| {
        let entry = item.stretches[at].entries.first();
        entry.is_some_and(|entry| item.stretches[at + 1..].iter().any(|stretch| stretch.continues(entry)))
    };
    let at = (0..item.stretches.len()).find(|at| item.stretches[*at].entries.len() == 1 && follows(*at));
    at.map(|at| item.stretches.remove(at)).is_some()
}

/// A whole stretch that is the newest of its chain: what is left is well-formed, signed and without a gap.
fn newest_op(item: &mut Item) -> bool {
    item.stretches.pop_if(|stretch| stretch.entries.len() == 1).is_some()
}

/// Elsewhere the client believed the count and the cursor of a page that had come one op short.
#[test]
fn c02_a_page_one_op_short_with_its_metadata_intact() {
    let table: [(&str, Shorten); 3] = [
        ("the last of a stretch", last_op_of_a_stretch),
        ("one that others follow", op_that_others_follow),
        ("the newest of its chain", newest_op),
    ];
    for (what, shorten) in table {
        let (world, between) = (World::new(), Between::start());
        let (hub, writer) = (world.hub(), world.device("writer"));
        import(&world, &writer, "imported", 20);
        writer.sync();
        for n in 0..5 {
            writer.task(&format!("task {n}"));
            writer.sync();
        }
        let (short, is_on) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(true)));
        let (shortened, on) = (short.clone(), is_on.clone());
        between.judge(tampering::every_pull(hub.url(), move |items| {
            if on.load(Ordering::SeqCst) && items.iter_mut().rev().any(shorten) {
                shortened.store(true, Ordering::SeqCst);
            }
        }));
        let reader = device_behind(&world, &between, "reader");

        for round in 0..2 {
            let status = reader.exchange();
            assert!(short.swap(false, Ordering::SeqCst), "{what}: no pull came short in round {round}");
            assert!(!status.state.is_in_step(), "{what}: {status:?}");
            assert!(status.op_count < hub.summary().head, "{what}: {status:?}");
            reader.verify();
        }
        is_on.store(false, Ordering::SeqCst);
        reader.sync();
        heal(&hub, &[&writer, &reader]);
        assert_eq!(titles(&reader), (0..5).map(|n| format!("task {n}")).collect(), "{what}");
    }
}

/// Elsewhere a batch whose answer was lost was applied twice, or refused for ever.
#[test]
fn c05_a_retry_of_an_accepted_batch() {
    let (world, between) = (World::new(), Between::start());
    let hub = world.hub();
    let device = device_behind(&world, &between, "device");
    device.sync();
    between.judge(only_nth(PUSH, 1, Verdict::LoseAnswer));
    let id = device.task("once");
    let log = device.log_entry(&id, "written once");
    wait::until("the hub to take the batch", || (hub.summary().head == device.status().op_count).then_some(()));
    heal(&hub, &[&device]);
    let reader = world.device("reader");
    heal(&hub, &[&device, &reader]);
    assert_eq!(titles(&reader), ["once".to_owned()].into());
    for node in [&id, &log] {
        let history = |device: &Device| device.call(&NodeHistory { id: node.clone(), ..NodeHistory::default() });
        assert_eq!(history(&reader).entries.len(), history(&device).entries.len());
    }

    // The same by hand, again and again: the answer says that all of it was known.
    let mut author = Author::new(5);
    let node = author.node(1);
    let ops = [author.write(&task(node, "by hand")), author.write(&[super::set(node, "mood", Value::text("calm"))])];
    let page = author.page(&ops);
    let first = push(&hub, &page);
    assert_eq!((&first["added"], &first["known"]), (&2.into(), &0.into()));
    let (log, digest) = (super::log_of(&hub.db_path()), hub.digest());
    for _ in 0..3 {
        let again = push(&hub, &page);
        assert_eq!((&again["added"], &again["known"]), (&0.into(), &2.into()));
        assert_eq!(
            ["position", "roll", "vector_hash"].map(|of| &again[of]),
            ["position", "roll", "vector_hash"].map(|of| &first[of])
        );
    }
    assert_eq!((super::log_of(&hub.db_path()), hub.digest()), (log, digest));
    heal(&hub, &[&device, &reader]);
}

/// Elsewhere a failed upload waited until something else was written, or until somebody restarted the program.
#[test]
fn c11_a_failed_upload_not_retried_until_the_next_local_write() {
    let refusals = [
        ("a broken connection", Verdict::Answer(Vec::new())),
        ("a hub that is busy", Verdict::Answer(answer("503 Service Unavailable", &[("retry-after", "1")], b""))),
        ("a lost answer", Verdict::LoseAnswer),
    ];
    for (what, verdict) in refusals {
        let (world, between) = (World::new(), Between::start());
        let hub = world.hub();
        let device = device_behind(&world, &between, "device");
        device.sync();
        let failed = Arc::new(AtomicBool::new(false));
        let seen = failed.clone();
        between.judge(move |request| {
            let first = request.path == PUSH && !seen.swap(true, Ordering::SeqCst);
            if first { verdict.clone() } else { Verdict::Pass }
        });

        let id = device.task("the only write");
        wait::until("the upload to fail", || failed.load(Ordering::SeqCst).then_some(()));

        // From here on, nothing is written and nobody asks for a sync.
        heal(&hub, &[&device]);
        let held = Reads::open(&hub.db_path()).unwrap().read(|view| view.titled("task", "the only write")).unwrap();
        assert_eq!(held.len(), 1, "after {what}, {id} never arrived");
    }
}

/// How a push is answered that does not go well, and which page of several it is.
fn mishaps() -> [(&'static str, Verdict, &'static [usize]); 3] {
    let full = br#"{"code":"disk_full","message":"the hub's disk is full","hint":null}"#;
    let json = [("content-type", "application/json"), ("heph-version", "0.1.0")];
    [
        ("lost", Verdict::LoseAnswer, &[1, 2, 3]),
        ("refused", Verdict::Answer(answer("507 Insufficient Storage", &json, full)), &[2]),
        ("not even taken", Verdict::Answer(Vec::new()), &[1]),
    ]
}

/// The nearest peer counts on from the page whose answer was lost: the retry reports success, and later pages are never
/// sent.
#[test]
fn c26_a_push_of_several_pages_of_which_one_answer_is_lost_or_refused() {
    let (world, between) = (World::new(), Between::start());
    let hub = world.hub();
    let device = device_behind(&world, &between, "device");
    device.sync();
    let mut written = Vec::new();
    for (what, verdict, mishaps) in mishaps() {
        for nth in mishaps.iter().copied() {
            between.lead_nowhere();
            written.extend(several_pages(&device, &format!("{what} {nth}"), 6));
            between.judge(only_nth(PUSH, nth, verdict.clone()));
            between.take_seen();
            between.lead_to(&hub.url());

            device.exchange();
            in_step(&hub, &[&device]);

            let pushes = between.take_seen().iter().filter(|(_, path)| path == PUSH).count();
            assert!(pushes >= 3, "{what} {nth}: there were not several pages: {pushes}");
            let status = device.status();
            assert_eq!((status.pending_push, status.op_count), (0, hub.summary().head), "{what} {nth}");
        }
    }
    let reader = world.device("reader");
    heal(&hub, &[&device, &reader]);
    written.iter().for_each(|(doc, text)| assert!(reader.text(doc) == *text, "{doc} did not arrive whole"));
}

/// The nearest peer transforms only its first unsent page against what came meanwhile, and diverges from then on.
#[test]
fn c27_several_pages_of_unsent_ops_meeting_a_remote_conflict_after_the_first_page() {
    let (world, between) = (World::new(), Between::start());
    let hub = world.hub();
    let (home, away) = (world.device("home"), device_behind(&world, &between, "away"));
    let (early, late) = (home.task("early, as it was"), home.task("late, as it was"));
    let shared = home.doc("shared", "one\n\ntwo\n");
    world.converge();
    // Away hears nothing any more, by no connection that is still there.
    away.stop();
    between.lead_nowhere();
    away.start();
    // Both write several pages; what they disagree about stands in the middle and at the end of both.
    let mut docs = Vec::new();
    for device in [&home, &away] {
        let name = device.name();
        docs.extend(several_pages(device, &format!("first of {name}"), 4));
        device.retitle(&early, &format!("early, by {name}"));
        device.append(&shared, &format!("by {name}\n"));
        docs.extend(several_pages(device, &format!("then of {name}"), 4));
        device.retitle(&late, &format!("late, by {name}"));
    }
    home.sync();
    let unsent = away.status().pending_push;
    assert!(unsent > 10, "{unsent}");
    between.lead_to(&hub.url());
    between.take_seen();
    away.exchange();
    heal(&hub, &[&home, &away]);
    let seen = between.take_seen();
    let count = |of: &str| seen.iter().filter(|(_, path)| path == of).count();
    assert!(count(HELLO) > 0 && count(PULL) > 0 && count(PUSH) >= 3, "{seen:?}");

    let new = world.device("new");
    heal(&hub, &[&home, &away, &new]);
    for device in [&home, &away, &new] {
        for (node, when) in [(&early, "early"), (&late, "late")] {
            let values: BTreeSet<String> =
                device.values(node, "title").iter().map(|title| title.as_str().expect("a text").to_owned()).collect();
            assert_eq!(values, ["away", "home"].map(|by| format!("{when}, by {by}")).into(), "on {}", device.name());
        }
        let text = device.text(&shared);
        assert!(["one", "two", "by home", "by away"].iter().all(|part| text.matches(part).count() == 1), "{text:?}");
        docs.iter().for_each(|(doc, text)| assert!(device.text(doc) == *text, "{doc} on {}", device.name()));
        assert_eq!(device.status().state, SyncState::InSync);
    }
}
