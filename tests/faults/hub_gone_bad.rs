//! Hubs that have gone bad, and what stands in their place: garbage of every kind to every call, redirections, refusals,
//! silence, a byte a second, proxies that cut, connections that nobody closes. Nothing is lost by any of it, nothing is
//! sent before a hub has proven itself, the device takes no more memory for it, says in words what is the matter, and
//! is in step again when the hub is good again.
//!
//! What a status says word for word stands in `skew`; what a hub swapped for another does stands in `which_hub`.

mod answers;

use crate::kill::verify_hub;
use heph_api::types::{SyncState, SyncStatus};
use heph_store::{read::Reads, replica::Cursor};
use heph_tests::{
    Device, World,
    between::{Between, Request, Verdict, answer},
    vitals::{Watch, at_most},
    wait,
};
use std::{sync::Arc, thread, time::Duration};

const HELLO: &str = "/v1/sync/hello";
const PULL: &str = "/v1/sync/pull";
const PUSH: &str = "/v1/sync/push";
const EVENTS: &str = "/v1/sync/events";

/// Memory of a device's daemon, whatever its hub answers: a page or two of 1 MiB, in both forms, a database's cache, and
/// what it takes anyway.
const DAEMON_MIB: u64 = 80;
const DAEMON_FDS: usize = 60;
/// Several times as long as a daemon waits for the longest silence of a hub: what it then says stands there until the next
/// try, which may follow at once.
const GIVEN_UP: Duration = Duration::from_secs(420);

/// A device that is in step with its hub through something between, and another one that has a way of its own.
struct Pair {
    world: World,
    between: Arc<Between>,
    device: Arc<Device>,
    other: Arc<Device>,
}

impl Pair {
    fn in_step() -> Self {
        let (world, between) = (World::new(), Arc::new(Between::start()));
        between.lead_to(&world.hub().url());
        let (device, other) = (world.stopped_device("device"), world.device("other"));
        device.know_url(Some(&between.url()));
        device.start();
        world.converge();
        Self { world, between, device, other }
    }

    /// Answers this call so from now on, and all others as the hub does.
    fn spoil(&self, path: &'static str, verdict: Verdict) {
        self.between.judge(move |request| match request.path.as_str() {
            at if at == path => verdict.clone(),
            // What comes by an event need not be pulled.
            EVENTS if path == PULL => Verdict::Answer(Vec::new()),
            _ => Verdict::Pass,
        });
    }

    /// The device and its hub hold the same, without anybody asking for it.
    fn heals(&self, what: &str) {
        wait::until(&format!("a device in step by itself after {what}"), || {
            let status = self.device.status();
            let same = status.state_digest == self.world.hub().digest();
            (same && status.state.is_in_step() && status.last_error.is_none()).then_some(())
        });
    }
}

/// What a status has to say while the hub is bad.
#[track_caller]
fn tells(what: &str, status: &SyncStatus) {
    assert!(!status.state.is_in_step(), "{what}: {status:?}");
    let error = status.last_error.clone().unwrap_or_else(|| panic!("{what}: no error in {status:?}"));
    assert!(!error.message.is_empty() && status.words.contains(&error.message), "{what}: {status:?}");
    assert!(error.hint.is_some() || status.next.is_some(), "{what}: nothing to do in {status:?}");
    let is_safe = status.words.contains("your changes are safe here") || status.state == SyncState::Refused;
    assert!(is_safe, "{what}: {status:?}");
}

/// Nothing but introductions, and asking for events, which carry no ops.
fn sends_no_op(seen: &[(String, String)]) -> bool {
    seen.iter().all(|(_, path)| path == HELLO || path == EVENTS)
}

#[test]
fn whatever_answers_a_call_nothing_is_lost_and_memory_stays_bounded() {
    let pair = Pair::in_step();
    let elsewhere = Between::start();
    let watch = Watch::start(pair.device.pid());
    let mut counts = Vec::new();
    for (path, content_type) in [
        (HELLO, "application/json"),
        (PULL, "application/vnd.heph.pages"),
        (PUSH, "application/json"),
        (EVENTS, "text/event-stream"),
    ] {
        let table = answers::all(content_type, &pair.between.url(), &elsewhere.url(), path);
        for bad in &table {
            let what = format!("{} for {path}", bad.what);
            pair.between.take_seen();
            pair.spoil(path, bad.verdict.clone());
            if path == PULL {
                // More than an event brings along.
                pair.other.doc(&what, &letters(50_000));
                pair.other.sync();
            }
            let task = pair.device.task(&what);
            let before = pair.world.hub().summary().head;
            let status = pair.device.exchange();
            let seen = pair.between.take_seen();
            match path {
                EVENTS => assert!(status.state.is_in_step(), "{what}: {status:?}"),
                _ => tells(&what, &status),
            }
            if path == HELLO {
                assert!(sends_no_op(&seen), "{what}: {seen:?}");
                assert_eq!(pair.world.hub().summary().head, before, "{what}");
            }
            assert!(seen.len() < 40, "{what}: asked again and again: {seen:?}");
            assert_eq!(pair.device.title(&task), what);
            pair.between.let_pass();
            assert_eq!(pair.device.exchange().state, SyncState::InSync, "after {what}");
            assert_eq!(pair.device.digest(), pair.world.hub().digest(), "after {what}");
        }
        counts.push((path, table.len()));
    }
    assert!(elsewhere.take_seen().is_empty(), "a redirection was followed");
    counts.iter().for_each(|(path, count)| println!("{count} bad answers to {path}"));
    watch.within("a device whose hub answers garbage", at_most(DAEMON_MIB, DAEMON_FDS));
    pair.world.converge();
    pair.device.verify();
    verify_hub(&pair.world.hub());
}

/// An event that continues where the device stands, with a page that is none.
#[test]
fn an_event_with_a_bomb_in_it_is_not_believed() {
    let pair = Pair::in_step();
    let watch = Watch::start(pair.device.pid());
    let Cursor { log_id, position, roll } =
        Reads::open(&pair.device.db_path()).unwrap().read(|view| view.cursor()).unwrap().expect("it has pulled");
    let page = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, answers::bomb());
    let event = |page: &str| {
        let head = serde_json::json!({ "position": position, "roll": hex::encode(roll) });
        let data = serde_json::json!({
            "log_id": log_id.to_string(), "position": position + 1, "roll": "11".repeat(32),
            "vector_hash": "22".repeat(32), "previous": head, "page": page,
        });
        format!("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\nevent: head\ndata: {data}\n\n").into_bytes()
    };
    for (what, bytes) in [("a bomb", event(&page[..page.len().min(40_000) / 4 * 4])), ("junk", event("anVuaw=="))] {
        pair.between.strand();
        pair.spoil(EVENTS, Verdict::Drip(bytes, Vec::new()));
        pair.device.restart();
        wait::until("the event to be asked for", || {
            pair.between.take_seen().iter().any(|(_, path)| path == EVENTS).then_some(())
        });
        let task = pair.other.task(what);
        pair.other.sync();
        pair.device.exchange();
        assert_eq!(pair.device.title(&task), what);
    }
    pair.between.let_pass();
    watch.within("a device that is told of a bomb by an event", at_most(DAEMON_MIB, DAEMON_FDS));
    pair.device.restart();
    pair.world.converge();
    pair.device.verify();
}

#[test]
fn a_hub_that_asks_to_be_left_alone_is_left_alone_and_asked_again_by_itself() {
    let pair = Pair::in_step();
    let refusal = |status: &str, after: &str| Verdict::Answer(answer(status, &[("retry-after", after)], b"busy"));
    for (status, after) in [("429 Too Many Requests", "3600"), ("503 Service Unavailable", "99999999999")] {
        pair.spoil(HELLO, refusal(status, after));
        pair.device.task(after);
        let told = pair.device.exchange();
        tells(status, &told);
        pair.device.task("written while it is left alone");
        let next = pair.device.status().next_try_at.expect("a next try");
        let left = next.parse::<jiff::Timestamp>().unwrap().duration_since(told.since.parse().unwrap());
        assert!((3_000..=3_700).contains(&left.as_secs()), "{status}, {after}: {left:?}");
        pair.between.let_pass();
        assert_eq!(pair.device.exchange().state, SyncState::InSync, "a person is not kept waiting");
    }
    for after in ["0", "1", "-1", "soon", "99999999999999999999999", "Fri, 31 Dec 1999 23:59:59 GMT"] {
        pair.spoil(HELLO, refusal("503 Service Unavailable", after));
        pair.device.task(after);
        tells(after, &pair.device.exchange());
        pair.between.let_pass();
        pair.heals(after);
    }
}

/// Letters that hardly compress.
fn letters(count: usize) -> String {
    answers::garbage(count).iter().map(|byte| char::from(b' ' + byte % 94)).collect()
}

#[test]
fn a_proxy_that_cuts_every_body_at_a_megabyte_stops_nobody() {
    const MEGABYTE: usize = 1_000_000;
    let pair = Pair::in_step();
    let watch = Watch::start(pair.device.pid());
    // A request that is longer breaks; an answer that is longer does, too, whatever it is.
    pair.between.judge(|request: &Request| match request.body.len() {
        MEGABYTE.. => Verdict::CutRequestAfter(MEGABYTE),
        _ => Verdict::CutAfter(MEGABYTE),
    });
    let text = letters(8 * MEGABYTE);
    let (sent, waiting) = text.split_at(3 * MEGABYTE);
    let cut = |text: &str, device: &Device, name: &str| -> Vec<String> {
        let parts = text.as_bytes().chunks(MEGABYTE / 5).map(|part| String::from_utf8_lossy(part).into_owned());
        parts.enumerate().map(|(n, part)| device.doc(&format!("{name} {n}"), &part)).collect()
    };
    let sent = cut(sent, &pair.device, "sent");
    pair.heals("pushing three megabytes");
    pair.device.stop();
    let waiting = cut(waiting, &pair.other, "waiting");
    pair.other.sync();
    pair.device.start();
    pair.heals("pulling five megabytes");
    pair.other.sync();
    for doc in sent.iter().chain(&waiting) {
        assert!(pair.device.text(doc) == pair.other.text(doc), "{doc} is another text");
    }
    drop(watch);
    pair.device.verify();
    verify_hub(&pair.world.hub());
}

/// A device whose hub says nothing, or next to nothing, to one of its calls.
struct Silenced {
    what: &'static str,
    pair: Pair,
    /// What its status has to say in the end.
    words: &'static str,
}

fn silenced(what: &'static str, path: &'static str, verdict: Verdict, words: &'static str) -> Silenced {
    let pair = Pair::in_step();
    pair.spoil(path, verdict);
    pair.other.doc("to be pulled", &letters(50_000));
    pair.other.sync();
    pair.device.task("to be sent");
    Silenced { what, pair, words }
}

#[test]
fn hubs_that_never_answer_or_a_byte_a_second_are_given_up_and_heal() {
    let type_of = |content_type: &str| format!("HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\n\r\n").into_bytes();
    let (json, pages) = (type_of("application/json"), type_of("application/vnd.heph.pages"));
    let spaces = vec![b' '; 1_000];
    let announcing = Verdict::Endless(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec());
    let page = [[0, 0, 8, 0].as_slice(), &[7; 1_000]].concat();
    let all = [
        silenced("heads that only announce", HELLO, announcing, "no answer in time"),
        silenced("no answer to hello", HELLO, Verdict::Drip(Vec::new(), Vec::new()), "no answer in time"),
        silenced("a head that drips", HELLO, Verdict::Drip(Vec::new(), json.clone()), "no answer in time"),
        silenced("a hello that drips", HELLO, Verdict::Drip(json, spaces), "no answer in time"),
        silenced("no answer to a pull", PULL, Verdict::Drip(Vec::new(), Vec::new()), "no answer in time"),
        silenced("a pull that goes silent", PULL, Verdict::Drip(pages.clone(), Vec::new()), "no answer in time"),
        silenced("a pull that drips", PULL, Verdict::Drip(pages, page), "no answer in time"),
    ];
    thread::scope(|scope| {
        for Silenced { what, pair, words } in &all {
            scope.spawn(move || {
                let status = wait::until_within(GIVEN_UP, what, || {
                    Some(pair.device.status()).filter(|status| status.words.contains(words))
                });
                tells(what, &status);
                pair.between.start_again();
                pair.heals(what);
                pair.world.converge();
                assert_eq!(pair.other.tasks().len(), 1, "{what}");
            });
        }
    });
}

/// Something on the way forgets about a connection, as home routers do: no end is told, and nothing comes any more.
#[test]
fn connections_that_nobody_closed_are_noticed() {
    let listening = Pair::in_step();
    let pushing = Pair::in_step();
    wait::until("both to listen", || {
        let listens = |pair: &Pair| pair.between.take_seen().iter().any(|(_, path)| path == EVENTS);
        (listens(&listening) || listening.device.status().state.is_in_step()).then_some(())
    });
    listening.between.strand();
    let task = listening.other.task("told by a stream that is dead");
    listening.other.sync();
    // The answer to a push is lost in a connection that stays open, and then that connection is closed after all.
    pushing.spoil(PUSH, Verdict::Drip(Vec::new(), Vec::new()));
    pushing.device.task("sent into nothing");
    let status = wait::until("a push that is not answered", || {
        let status = pushing.device.status();
        (status.state == SyncState::Syncing).then_some(status)
    });
    assert!(status.words.contains("1 op waits to be sent"), "{status:?}");
    pushing.device.restart();
    pushing.between.let_pass();
    pushing.heals("a push into nothing");
    wait::until("the dead stream to be noticed", || {
        listening.device.tasks().iter().any(|row| row.node_id == task).then_some(())
    });
    listening.heals("a dead stream");
}
