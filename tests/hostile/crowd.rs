//! Many at once: those who send slowly, those who only listen, and those who knock at another hub's door.

use crate::{Row, row, surprises};
use heph_tests::{
    World,
    raw::{Door, head, request},
    wire::PAGE_TYPE,
};
use serde_json::json;
use std::{
    io::{Read, Write},
    net::TcpStream,
    os::unix::net::UnixStream,
    thread,
};

const JSON: &str = "application/json";
/// More than a hub has requests in hand at once, and less than bodies that arrive.
const SLOW: usize = 100;
/// More than a daemon has connections at once.
const CROWD: usize = 400;
/// More than a hub has listeners.
const LISTENERS: usize = 200;

/// A connection on which this was sent, and whose answer, if any, is not waited for.
fn sent(address: &str, bytes: &[u8]) -> TcpStream {
    let mut wire = TcpStream::connect(address).expect("the hub listens");
    wire.write_all(bytes).expect("the hub reads");
    wire
}

#[test]
fn a_hundred_who_send_slowly_and_two_hundred_who_listen_stop_nobody() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let before = a.task("before the crowd");
    world.converge();
    let begun = head("POST", "/v1/sync/push", &[("content-type", PAGE_TYPE), ("content-length", "50000")]);
    let begun = [begun.as_slice(), &[7; 100]].concat();
    let slow: Vec<TcpStream> = (0..SLOW).map(|_| sent(&hub.address(), &begun)).collect();
    let listening = request("GET", "/v1/sync/events", &[], b"");
    let mut listeners: Vec<TcpStream> = (0..LISTENERS).map(|_| sent(&hub.address(), &listening)).collect();
    // Each has been let in or refused when it has an answer.
    let answers = thread::scope(|scope| {
        let status = |wire: &mut TcpStream| {
            let mut start = [0; 12];
            wire.read_exact(&mut start).expect("a status line");
            String::from_utf8_lossy(&start).into_owned()
        };
        let asked: Vec<_> = listeners.iter_mut().map(|wire| scope.spawn(move || status(wire))).collect();
        asked.into_iter().map(|asked| asked.join().expect("reading does not panic")).collect::<Vec<_>>()
    });
    assert!(answers.iter().any(|answer| answer == "HTTP/1.1 503"), "there are more than a hub listens to");

    let door = Door::to_hub(&hub.url());
    assert_eq!(door.post("/v1/sync/pull", JSON, b"{}").status, 200);
    let task = a.task("in the crowd");
    a.sync();
    b.sync();
    assert_eq!((b.title(&before), b.title(&task)), ("before the crowd".to_owned(), "in the crowd".to_owned()));
    drop((slow, listeners));
    world.converge();
}

#[test]
fn all_who_come_at_once_are_answered_one_after_the_other() {
    let world = World::new();
    let a = world.device("a");
    a.task("milk");
    let asked = request("POST", "/v1/task/list", &[("content-type", JSON), ("connection", "close")], b"{}");
    let at_once = |_| {
        let mut wire = UnixStream::connect(a.socket_path()).expect("the daemon listens");
        wire.write_all(&asked).expect("a request fits into what the system keeps");
        wire
    };
    let wires: Vec<UnixStream> = (0..CROWD).map(at_once).collect();
    for mut wire in wires {
        let mut answer = String::new();
        wire.read_to_string(&mut answer).expect("an answer, not a reset");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("milk"), "{answer}");
    }
}

#[test]
fn a_call_that_names_another_hub_or_log_is_refused_before_its_body_is_there() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    a.task("one");
    world.converge();
    let door = Door::to_hub(&hub.url());
    let hello = door.ask(
        "/v1/sync/hello",
        &json!({
            "protocol": { "min": 1, "max": 1 }, "origin": "11".repeat(16), "name": "n", "challenge": "22".repeat(32),
            "vector_hash": "33".repeat(32), "clock_ms": 1, "rules_version": 1, "digest": "44".repeat(32), "op_count": 0,
            "version": "1",
        }),
    );
    let (id, log) = (hello["hub"]["id"].as_str().expect("its id"), hello["log_id"].as_str().expect("its log"));
    let other = "ab".repeat(16);
    let ops = hub.summary().head;
    let push = |what, headers: &[(&str, &str)]| Row {
        // Its body never comes: it is not waited for.
        bytes: head(
            "POST",
            "/v1/sync/push",
            &[headers, &[("content-type", PAGE_TYPE), ("content-length", "9")]].concat(),
        ),
        ..row(what, Vec::new(), 421, "other_hub")
    };
    let call = |what, path: &str, headers: &[(&str, &str)], status, code| {
        row(what, request("POST", path, &[headers, &[("content-type", JSON)]].concat(), b"{}"), status, code)
    };
    let ours = [("heph-hub", id), ("heph-log", log)];
    let rows = [
        push("a push for another hub", &[("heph-hub", &other), ("heph-log", log)]),
        push("a push for another log", &[("heph-hub", id), ("heph-log", &other)]),
        push("a push for two hubs", &[("heph-hub", id), ("heph-hub", &other)]),
        push("a push for no hub at all", &[("heph-hub", "")]),
        call("a pull for another hub", "/v1/sync/pull", &[("heph-hub", &other)], 421, "other_hub"),
        call("a digest of another log", "/v1/sync/digest", &[("heph-log", &other)], 421, "other_hub"),
        row("events of another hub", request("GET", "/v1/sync/events", &[("heph-hub", &other)], b""), 421, "other_hub"),
        call("a digest for this hub", "/v1/sync/digest", &ours, 200, ""),
        call("a digest for whoever is here", "/v1/sync/digest", &[], 200, ""),
    ];
    let surprises = surprises(&door, &rows);
    assert!(surprises.is_empty(), "{}", surprises.join("\n"));
    assert_eq!(hub.summary().head, ops);
}
