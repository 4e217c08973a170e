//! Others at the hub's door: who brings a secret in the wrong place, who never takes what was asked for, who sends
//! garbage, and another hub behind the address.

use super::{
    heal, in_step, log_of, several_pages,
    tampering::{HELLO, PUSH, pulled},
    titles,
};
use heph_api::types::SyncState;
use heph_store::codec::put_varint;
use heph_tests::{
    World,
    between::Between,
    process,
    programs::programs,
    raw::{Door, request},
    wire::{Author, PAGE_TYPE, packed, stretch_signed},
};
use std::{fs, io::Write, net::TcpStream, sync::Arc};

const JSON: &str = "application/json";
const SECRET: &str = "c0ffee-this-is-a-bearer-token-c0ffee";

/// Elsewhere access logs and error pages were full of tokens, because they travelled in addresses.
#[test]
fn c06_a_bearer_token_in_a_query_string_or_a_log_line() {
    let world = World::new();
    let hub = world.hub();
    hub.stop();
    hub.set_env("RUST_LOG", "trace");
    hub.start();
    let device = world.stopped_device("device");
    device.set_env("RUST_LOG", "trace");
    device.know(Some(&hub));
    device.start();
    device.task("synced while everything is traced");
    device.sync();
    let (before, doors) = (hub.summary(), [Door::to_hub(&hub.url()), Door::to_socket(&device.socket_path())]);
    let (bearer, query) = (format!("Bearer {SECRET}"), format!("access_token={SECRET}"));

    for door in &doors {
        for path in
            [HELLO, PUSH, "/v1/sync/pull", "/v1/sync/digest", "/v1/version", "/v1/task/list", "/healthz", "/nowhere"]
        {
            for method in ["GET", "POST"] {
                let asked = format!("{path}?{query}");
                let in_query = request(method, &asked, &[("content-type", JSON)], b"{}");
                let in_header = request(method, path, &[("authorization", &bearer), ("content-type", JSON)], b"{}");
                let elsewhere = request(method, path, &[("cookie", &query), ("heph-hub", &bearer)], b"{}");
                for bytes in [in_query, in_header, elsewhere] {
                    let Some(answer) = door.send(&bytes) else { continue };
                    let headers: String =
                        answer.headers.iter().map(|(name, value)| format!("{name}: {value}\n")).collect();
                    let body = String::from_utf8_lossy(&answer.body).into_owned();
                    assert!(!headers.contains(SECRET) && !body.contains(SECRET), "{path}: {headers}{body}");
                }
            }
        }
    }
    // In the address it opens nothing: who is refused without it is refused with it.
    for refused in [("host", "hub.example"), ("origin", "https://page.example")] {
        for path in ["/v1/sync/digest".to_owned(), format!("/v1/sync/digest?{query}")] {
            let answer = doors[0].send(&request("POST", &path, &[refused, ("content-type", JSON)], b"{}"));
            assert_eq!(answer.expect("an answer").status, 403, "{path} with {refused:?}");
        }
    }
    // And a device is not given one in the hub's address: it would stand in every list of processes.
    for url in [format!("{}?{query}", hub.url()), hub.url().replace("//", &format!("//me:{SECRET}@"))] {
        let mut hephd = process::command(&programs().hephd, world.root());
        hephd.args(["--mode", "local", "--hub-url", &url]);
        let said = process::run(hephd, b"").exits(2);
        assert!(!said.stderr.contains(SECRET) && said.stdout.is_empty(), "{}", said.stderr);
    }
    assert_eq!(hub.summary(), before);
    for log in [hub.stderr(), device.stderr()] {
        assert!(log.contains("DEBUG") || log.contains("TRACE"), "the trap is set: everything is traced");
        assert!(!log.contains(SECRET), "{}", log.lines().find(|line| line.contains(SECRET)).unwrap_or_default());
    }
}

/// Sends a request and takes nothing of its answer.
fn never_reads(hub_url: &str, bytes: &[u8]) -> TcpStream {
    let mut wire = TcpStream::connect(hub_url.trim_start_matches("http://")).unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&wire, 4_096).unwrap();
    wire.write_all(bytes).unwrap();
    wire
}

/// Elsewhere the server kept everything for whoever had not confirmed it, or kept a transaction open for them, and grew
/// until it fell.
#[test]
fn c24_a_reader_that_never_acknowledges() {
    const READERS: usize = 12;
    /// Some 5 MB lie in the write-ahead log if nobody holds anything open, and all that is written if somebody does:
    /// more than 30 MB.
    const WAL_BYTES_MAX: u64 = 16 << 20;
    let world = World::new();
    let (hub, writer, reader) = (world.hub(), world.device("writer"), world.device("reader"));
    several_pages(&writer, "before", 8);
    writer.sync();
    reader.sync();
    let pull = request("POST", "/v1/sync/pull", &[("content-type", JSON)], b"{}");
    let events = request("GET", "/v1/sync/events", &[], b"");
    let silent: Vec<TcpStream> =
        (0..READERS).flat_map(|_| [&pull, &events].map(|bytes| never_reads(&hub.url(), bytes))).collect();

    let mut wal = 0;
    for round in 0..4 {
        several_pages(&writer, &format!("meanwhile {round}"), 6);
        writer.sync();
        in_step(&hub, &[&writer, &reader]);
        wal = wal.max(fs::metadata(hub.dir().join("heph.db-wal")).map_or(0, |file| file.len()));
    }
    assert!(wal < WAL_BYTES_MAX, "the readers hold {wal} bytes back");

    // Who asks again from the same place is given the same again: nothing is kept about who has read what.
    let log = log_of(&hub.db_path());
    let count = || -> usize {
        let items = pulled(&hub.url(), b"{}");
        items.iter().flat_map(|item| &item.stretches).map(|stretch| stretch.entries.len()).sum()
    };
    assert_eq!([count(), count(), count()], [log.len(); 3]);
    assert_eq!(log_of(&hub.db_path()), log);
    drop(silent);
    in_step(&hub, &[&writer, &reader]);
    reader.verify();
}

/// Elsewhere the client found "no changes yet" at the new server and took it for a wish to have everything deleted, or
/// sent all of its data to a stranger.
#[test]
fn c25_a_hub_swapped_for_another_behind_the_same_url() {
    let (world, between) = (World::new(), Between::start());
    let (hub, strange) = (world.hub(), world.another_hub("strange"));
    let stranger = world.lone_device("stranger");
    stranger.join(&strange);
    stranger.task("a stranger's");
    stranger.sync();
    between.lead_to(&hub.url());
    let device = world.stopped_device("device");
    device.know_url(Some(&between.url()));
    device.start();
    device.task("ours");
    device.sync();
    let (ours, theirs) = (strange.summary(), device.status().hub_id);

    // Swapped while the device is connected, and while it is not.
    for restarts in [false, true] {
        between.take_seen();
        between.lead_to(&strange.url());
        if restarts {
            device.restart();
        }
        device.task(&format!("written in front of a stranger, {restarts}"));
        let status = device.exchange();
        assert_eq!((status.state, &status.hub_id), (SyncState::OtherHub, &theirs), "{status:?}");
        assert!(status.words.contains("nothing was sent") && status.next.is_some(), "{status:?}");
        assert!(device.heph(&["sync", "--status"]).exits(4).text().starts_with("other_hub: "));
        assert_eq!(strange.summary(), ours, "nothing came to the stranger's hub");
        let seen = between.take_seen();
        assert!(seen.iter().all(|(_, path)| path != PUSH), "{seen:?}");
        assert!(!titles(&device).contains("a stranger's"), "nothing came from there");
        assert!(titles(&device).contains("ours"), "nothing was taken away");

        between.lead_to(&hub.url());
        assert_eq!(device.exchange().state, SyncState::InSync, "the right one is known again");
    }
    let other = world.device("other");
    heal(&hub, &[&device, &other]);
    assert_eq!(titles(&other).len(), 3);
    assert_eq!(titles(&stranger), ["a stranger's".to_owned()].into());
}

/// Bodies that somebody makes up who knows where the hub is and how its calls are called.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut forged = Author::new(28);
    let node = forged.node(1);
    let ops = [forged.write(&super::task(node, "forged"))];
    let unsigned = heph_store::page::encode(&[stretch_signed(&ops, [1; 64])]);
    let good = heph_store::page::encode(&[forged.stretch(&ops)]);
    let mut endless = vec![1];
    put_varint(&mut endless, u64::MAX);
    // A multiplier and an addend of a well-known generator of numbers: bytes without any order.
    let noise = (0..50_000u32).scan(7u64, |state, _| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some((*state >> 56) as u8)
    });
    let noise: Vec<u8> = noise.collect();
    vec![
        ("nothing", Vec::new()),
        ("noise", noise.clone()),
        ("compressed noise", packed(&noise)),
        ("text", b"DROP TABLE log; -- \xff\xfe".to_vec()),
        ("a bomb", packed(&vec![0; 256 << 20])),
        ("a page that claims to hold all there is", packed(&endless)),
        ("a page that is not signed", packed(&unsigned)),
        ("a page cut short", packed(&good[..good.len() - 1])),
        ("a page with more behind it", packed(&[good.as_slice(), b"more"].concat())),
        ("a page of zeros", packed(&[0; 4_096])),
        ("brackets", vec![b'['; 900_000]),
        (
            "JSON of anything",
            br#"{"cursor":{"log_id":"zz","position":-1},"vector":"!","ops":[[]],"origin":7}"#.to_vec(),
        ),
    ]
}

/// Elsewhere one broken body, stored as it came, broke every client that read it; or the server fell over.
#[test]
fn c28_a_body_of_garbage_posted_by_someone_who_knows_the_address() {
    let world = World::new();
    let (hub, device) = (world.hub(), world.device("device"));
    device.task("before");
    device.sync();
    let (before, pid, door) = (hub.summary(), hub.pid(), Door::to_hub(&hub.url()));
    for (what, body) in garbage() {
        for path in
            [HELLO, "/v1/sync/vector", "/v1/sync/pull", PUSH, "/v1/sync/fork", "/v1/sync/digest", "/v1/sync/ops"]
        {
            for content_type in [PAGE_TYPE, JSON] {
                let is_empty_question = path != PUSH && content_type == JSON && body.starts_with(b"{\"cursor\"");
                let answer = door.post(path, content_type, &body);
                // A call that takes nothing, or only what it knows, may well find nothing wrong with some JSON.
                assert!(
                    (400..500).contains(&answer.status) || (is_empty_question && answer.status == 200),
                    "{what} to {path}: {answer:?}"
                );
                assert!(!answer.code().is_empty() || answer.status == 200, "{what} to {path}: {answer:?}");
            }
        }
        assert_eq!(hub.summary(), before, "{what}");
    }
    assert_eq!(hub.pid(), pid);
    assert!(!hub.stderr().contains("panicked"), "{}", hub.stderr());
    device.task("after");
    let new: Arc<_> = world.device("new");
    heal(&hub, &[&device, &new]);
    assert_eq!(titles(&new), super::set_of(&["after", "before"]));
    hub.restart();
    heal(&hub, &[&device, &new]);
}
