//! Other versions and other things: ops that a newer heph wrote, files of a newer program or of none, hubs that speak
//! another protocol, and what answers in a hub's place.

use crate::kill::verify_hub;
use heph_api::types::{DeleteNode, SyncState, SyncStatus};
use heph_store::{
    field::{Field, Value},
    id::{NodeId, OpRef},
    op::{Change, ChangeRef, Op, RawChange},
    page,
    read::Reads,
};
use heph_tests::{
    Device, Ended, Hub, World,
    between::{Between, Verdict, answer},
    raw::Door,
    wire::{Author, PAGE_TYPE, reference},
};
use std::{collections::BTreeSet, ffi::OsString, fs, path::Path, sync::Arc};

/// A kind of change that no version knows yet.
const UNKNOWN_KIND: u64 = 77;

fn set(node: NodeId, field: &str, value: Value, bases: &[&Op]) -> Change {
    let bases = bases.iter().map(|op| reference(op)).collect();
    let field = Field::new(field).expect("a field's name");
    Change::Set { node, field, bases, seen: Vec::new(), repeats: Vec::new(), value: Some(value) }
}

/// What makes a task of this title.
fn task(node: NodeId, title: &str) -> Vec<Change> {
    vec![
        set(node, "kind", Value::text("task"), &[]),
        set(node, "title", Value::text(title), &[]),
        set(node, "state", Value::text("outstanding"), &[]),
    ]
}

/// A change as it is encoded: what a program that knows more kinds would put into one op with others.
fn raw(author: &Author, change: &Change) -> RawChange {
    let op =
        Op::new(author.place(), heph_store::id::Stamp::from_millis(1), None, [0; 16], std::slice::from_ref(change));
    op.changes.into_iter().next().expect("one change")
}

/// Pushes a page by hand; it has to be taken.
fn push(hub: &Hub, page: &[u8]) {
    let answer = Door::to_hub(&hub.url()).post("/v1/sync/push", PAGE_TYPE, page);
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// An op as it stands in a replica's file.
fn stored(db: &Path, op: &OpRef) -> Vec<u8> {
    let reads = Reads::open(db).unwrap();
    reads.read(|view| view.op(op)).unwrap().expect("the op is here").1.pack()
}

/// An op as the hub gives it to a device.
fn served(hub: &Hub, op: &OpRef) -> Vec<u8> {
    let question = serde_json::json!({ "ops": [op.to_string()] }).to_string();
    let answer = Door::to_hub(&hub.url()).post("/v1/sync/ops", "application/json", question.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let stretches = page::decode(&zstd::decode_all(answer.body.as_slice()).unwrap()).unwrap();
    let mut entries = stretches.iter().flat_map(|stretch| &stretch.entries);
    entries.find(|entry| entry.op.reference(&entry.id) == *op).expect("the op was asked for").op.pack()
}

#[test]
fn what_a_newer_version_wrote_passes_through_byte_for_byte_and_is_held() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    let mut newer = Author::new(10);
    let node = newer.node(1);
    let known = newer.write(&[task(node, "plain"), vec![set(node, "mood", Value::text("sunny"), &[])]].concat());
    let retitle = raw(&newer, &set(node, "title", Value::text("half an action"), &[&known]));
    let meta = [node.as_bytes().as_slice(), b"\x00\xff meta of a later day"].concat();
    let held = newer.write_raw(vec![retitle, RawChange::new(UNKNOWN_KIND, meta, vec![0xfe; 1_000])]);
    let after = newer.write(&[set(node, "attention", Value::text("red"), &[])]);
    push(&hub, &newer.page(&[known.clone(), held.clone(), after]));
    world.converge();

    let status = a.status();
    assert_eq!((status.state, status.held), (SyncState::Held, 1), "{status:?}");
    assert!(status.notices.iter().any(|notice| notice.contains("newer heph")), "{status:?}");
    a.heph(&["sync", "--status"]).ok();
    let id = node.to_string();
    let shown = a.show(&id);
    assert_eq!(shown.fields["mood"], "sunny", "an unknown field applies and shows");
    assert_eq!(shown.node.title, "plain", "nothing of a held op has an effect");
    assert_eq!(shown.task.expect("a task").attention.as_deref(), Some("red"), "what follows it is not in its way");
    let listed: Vec<_> = shown.held.iter().map(|held| (held.op.as_str(), held.why.contains("kind 77"))).collect();
    assert_eq!(listed, [(reference(&held).to_string().as_str(), true)]);
    let refused = a.try_call(&DeleteNode { id: id.clone() }).expect_err("a node with a held op is not deleted");
    assert_eq!(refused.to_api_error().code, "held");

    let bytes = held.pack();
    for db in [hub.db_path(), a.db_path()] {
        assert_eq!(stored(&db, &reference(&held)), bytes);
    }
    assert_eq!(served(&hub, &reference(&held)), bytes);
    // The hub loses it; the device, which cannot read it either, gives it back as it was.
    hub.kill9();
    hub.lose_disk_but_the_key();
    hub.start();
    let b = world.device("b");
    world.converge();
    assert_eq!(served(&hub, &reference(&held)), bytes);
    assert_eq!(stored(&b.db_path(), &reference(&held)), bytes);
    assert_eq!(b.status().held, 1);
    [&a, &b].iter().for_each(|device| device.verify());
    verify_hub(&hub);
}

#[test]
fn what_was_held_takes_effect_as_soon_as_it_can_be_read() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    let mut author = Author::new(11);
    let node = author.node(1);
    // No version can read a deletion that is a word. Once that value is erased, the rest of the op can be read.
    let mut changes = task(node, "readable at last");
    changes.push(set(node, "deleted", Value::text("perhaps"), &[]));
    let held = author.write(&changes);
    push(&hub, &author.page(std::slice::from_ref(&held)));
    world.converge();
    assert_eq!((a.status().state, a.status().held), (SyncState::Held, 1));
    assert!(a.tasks().is_empty());

    let target = ChangeRef { op: reference(&held), index: 3 };
    let erase = author.write(&[Change::Erase { targets: vec![target] }]);
    push(&hub, &author.page(&[erase]));
    let b = world.device("b");
    world.converge();
    for device in [&a, &b] {
        assert_eq!((device.status().state, device.status().held), (SyncState::InSync, 0), "{}", device.name());
        assert_eq!(device.title(&node.to_string()), "readable at last");
        assert!(!device.is_hidden(&node.to_string()));
        device.verify();
    }
    verify_hub(&hub);
}

/// The names of the files in a directory but for locks and logs.
fn files_in(dir: &Path) -> BTreeSet<OsString> {
    let names = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names
        .filter(|name| !name.to_string_lossy().ends_with(".lock") && !name.to_string_lossy().ends_with(".log"))
        .collect()
}

/// Tries to start a daemon on a file that is not its own: it says so in a sentence, and the file stays as it is.
#[track_caller]
fn is_refused(db: &Path, start: impl FnOnce() -> Result<(), Ended>, sentence: &str) {
    let dir = db.parent().expect("a file lies in a directory");
    let (bytes, files) = (fs::read(db).unwrap(), files_in(dir));
    let ended = start().expect_err("a daemon started on a file that is not its own");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    let said = ended.stderr.lines().filter(|line| line.starts_with("hephd: ")).collect::<Vec<_>>().join("\n");
    assert!(said.contains(sentence) && said.contains(&*db.to_string_lossy()), "{said:?} does not say {sentence:?}");
    assert!(!ended.stderr.contains("panicked"), "{ended:?}");
    assert_eq!(fs::read(db).unwrap(), bytes, "the file was changed");
    assert_eq!(files_in(dir), files, "something was left beside it");
}

/// The files that are not a replica of this version, with what is said about them.
fn foreign_files() -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain.db");
    rusqlite::Connection::open(&plain)
        .unwrap()
        .execute_batch("CREATE TABLE mine (x); INSERT INTO mine VALUES (1)")
        .unwrap();
    vec![
        ("is a database, but not heph's", fs::read(plain).unwrap()),
        ("is not a database", b"Dear diary, today I was almost overwritten.\n".repeat(200)),
    ]
}

#[test]
fn a_file_that_is_no_replica_is_refused_with_a_sentence_and_untouched() {
    let world = World::new();
    for (sentence, bytes) in foreign_files() {
        let device = world.stopped_device(&format!("device, {}", bytes.len()));
        fs::write(device.db_path(), &bytes).unwrap();
        is_refused(&device.db_path(), || device.try_start(), sentence);
        let hub = world.another_hub(&format!("hub, {}", bytes.len()));
        hub.stop();
        hub.lose_disk_but_the_key();
        fs::write(hub.db_path(), &bytes).unwrap();
        is_refused(&hub.db_path(), || hub.try_start(), sentence);
    }
}

#[test]
fn a_file_of_a_newer_program_is_refused_with_a_sentence_and_untouched() {
    let world = World::new();
    let newer = |db: &Path| rusqlite::Connection::open(db).unwrap().execute_batch("PRAGMA user_version = 99").unwrap();
    let device = world.lone_device("device");
    let kept = device.task("kept");
    device.stop();
    newer(&device.db_path());
    is_refused(&device.db_path(), || device.try_start(), "was written by a newer heph (format 99");
    rusqlite::Connection::open(device.db_path()).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    device.start();
    assert_eq!(device.title(&kept), "kept");

    let hub = world.hub();
    hub.stop();
    newer(&hub.db_path());
    is_refused(&hub.db_path(), || hub.try_start(), "was written by a newer heph (format 99");
    rusqlite::Connection::open(hub.db_path()).unwrap().execute_batch("PRAGMA user_version = 1").unwrap();
    let control = hub.dir().join("hub.db");
    newer(&control);
    is_refused(&control, || hub.try_start(), "was written by a newer heph (format 99");
}

/// A device that was in step with the hub through something between, which is closed now, and an op that is not sent yet.
struct Apart {
    world: World,
    between: Between,
    device: Arc<Device>,
    unsent: String,
}

fn apart() -> Apart {
    let (world, between) = (World::new(), Between::start());
    between.lead_to(&world.hub().url());
    let device = world.stopped_device("device");
    device.know_url(Some(&between.url()));
    device.start();
    world.converge();
    between.judge(|_| Verdict::Answer(Vec::new()));
    let unsent = device.task("not sent yet");
    Apart { world, between, device, unsent }
}

impl Apart {
    /// Lets the real hub answer again; all has to arrive.
    fn recovers(&self, what: &str) {
        self.between.let_pass();
        let status = self.device.exchange();
        assert_eq!(status.state, SyncState::InSync, "after {what}: {status:?}");
        assert_eq!(status.last_error, None, "after {what}");
        assert_eq!(self.world.hub().digest(), status.state_digest, "after {what}");
    }
}

/// What a status has to say while something is wrong.
#[track_caller]
fn says(what: &str, status: &SyncStatus, state: SyncState, words: &str) {
    let error = status.last_error.clone().unwrap_or_else(|| panic!("{what}: no error in {status:?}"));
    assert_eq!(status.state, state, "{what}: {status:?}");
    assert!(error.message.contains(words) && status.words.contains(words), "{what}: not {words:?} in {status:?}");
    assert!(status.pending_push > 0, "{what}: {status:?}");
    assert!(status.next.is_some() || error.hint.is_some(), "{what}: nothing to do next in {status:?}");
}

const HELLO: &str = "/v1/sync/hello";
const HTML: &[(&str, &str)] = &[("content-type", "text/html")];
const JSON: &[(&str, &str)] = &[("content-type", "application/json")];

/// What answers in the hub's place, and what a device says of it.
fn impostors() -> Vec<(&'static str, Verdict, SyncState, &'static str)> {
    use SyncState::{Refused, Unreachable};
    let page = b"<html><body>Please log in to the hotel's network</body></html>";
    let refusal = |code: &str, hint: &str| {
        format!(r#"{{"code":"{code}","message":"this hub speaks protocols 5 to 7","hint":"{hint}"}}"#)
    };
    let wrong = |status: &str, headers: &[(&str, &str)], body: &[u8]| Verdict::Answer(answer(status, headers, body));
    let elsewhere = [("location", "https://login.example/")];
    vec![
        ("a web page", wrong("200 OK", HTML, page), Unreachable, "not a heph hub (it sends a web page)"),
        ("a redirection", wrong("302 Found", &elsewhere, b""), Unreachable, "not a heph hub (it redirects)"),
        (
            "a lasting redirection",
            wrong("308 Permanent Redirect", &elsewhere, b""),
            Unreachable,
            "not a heph hub (it redirects)",
        ),
        ("another program", wrong("404 Not Found", HTML, b"<h1>404</h1>"), Unreachable, "not a heph hub"),
        ("something that wants a login", wrong("401 Unauthorized", HTML, b""), Unreachable, "not a heph hub"),
        ("a proxy that takes nothing", wrong("413 Content Too Large", HTML, b""), Unreachable, "413"),
        (
            "a proxy that is asked too often",
            wrong("429 Too Many Requests", &[("retry-after", "3600")], b""),
            Unreachable,
            "429",
        ),
        ("a proxy without a hub", wrong("502 Bad Gateway", HTML, b"<h1>502</h1>"), Unreachable, "502"),
        ("a proxy that waited", wrong("504 Gateway Timeout", HTML, b""), Unreachable, "504"),
        ("JSON that is cut", wrong("200 OK", JSON, b"{\"version\":"), Unreachable, "cannot be used"),
        ("JSON of something else", wrong("200 OK", JSON, b"{\"status\":\"ok\"}"), Unreachable, "cannot be used"),
        ("nothing, as JSON", wrong("200 OK", JSON, b""), Unreachable, "cannot be used"),
        (
            "another protocol",
            Verdict::Answer(b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec()),
            Unreachable,
            "does not speak HTTP",
        ),
        ("a closed door", Verdict::Answer(Vec::new()), Unreachable, "the connection broke"),
        (
            "a body without end",
            Verdict::Endless(
                [b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n\r\n{\"a\":\"".as_slice(), &[b'x'; 8_192]]
                    .concat(),
            ),
            Unreachable,
            "cannot be used",
        ),
        ("a head without end", Verdict::Endless(b"x-more: and more and more and more\r\n".to_vec()), Unreachable, ""),
        (
            "a hub of a newer protocol",
            wrong("426 Upgrade Required", JSON, refusal("upgrade_device", "upgrade heph on the device").as_bytes()),
            Refused,
            "protocols 5 to 7",
        ),
        (
            "a hub of an older protocol",
            wrong("426 Upgrade Required", JSON, refusal("upgrade_hub", "upgrade heph on the hub").as_bytes()),
            Refused,
            "protocols 5 to 7",
        ),
    ]
}

#[test]
fn what_answers_in_the_hubs_place_is_told_in_words_and_nothing_is_lost() {
    let apart = apart();
    for (what, verdict, state, words) in impostors() {
        apart.between.judge(move |_| verdict.clone());
        let task = apart.device.task(what);
        let status = apart.device.exchange();
        says(what, &status, state, words);
        assert_eq!(apart.device.title(&task), what);
        apart.device.heph(&["sync", "--status"]).exits(4);
        apart.recovers(what);
    }
    assert_eq!(apart.device.title(&apart.unsent), "not sent yet");
    let other = apart.world.device("other");
    apart.world.converge();
    assert_eq!(other.tasks().len(), impostors().len() + 1);
}

#[test]
fn a_mismatch_of_protocols_names_the_side_to_upgrade() {
    let apart = apart();
    let real = r#""protocol":{"min":1,"max":1}"#;
    for (range, side) in [(r#""protocol":{"min":2,"max":3}"#, "device"), (r#""protocol":{"min":0,"max":0}"#, "hub")] {
        apart.between.judge(move |request| match request.path.as_str() {
            HELLO => Verdict::Rewrite(real.into(), range.into()),
            _ => Verdict::Pass,
        });
        apart.device.task(range);
        let status = apart.device.exchange();
        says(range, &status, SyncState::Refused, "the hub speaks protocol");
        assert_eq!(status.next, Some(format!("upgrade heph on {} {side}", if side == "hub" { "the" } else { "this" })));
        apart.recovers(range);
    }
}

#[test]
fn a_hub_that_cannot_prove_its_id_gets_nothing() {
    let apart = apart();
    let id = apart.device.status().hub_id.expect("a pinned hub");
    apart.between.take_seen();
    let other = "0".repeat(id.len());
    apart.between.judge(move |_| Verdict::Rewrite(id.clone(), other.clone()));
    let status = apart.device.exchange();
    says("a false id", &status, SyncState::Unreachable, "does not prove that it is a heph hub");
    let seen = apart.between.take_seen();
    assert!(seen.iter().all(|(_, path)| path == HELLO), "{seen:?}");
    apart.recovers("a false id");
}

#[test]
fn a_hub_that_merges_by_other_rules_is_in_step_and_one_with_another_digest_is_not() {
    let apart = apart();
    apart.recovers("nothing");
    let rewrite = |from: String, to: String| {
        move |request: &heph_tests::between::Request| match request.path.as_str() {
            HELLO => Verdict::Rewrite(from.clone(), to.clone()),
            _ => Verdict::Pass,
        }
    };
    apart.between.judge(rewrite(r#""rules_version":1"#.into(), r#""rules_version":2"#.into()));
    let status = apart.device.exchange();
    assert_eq!(status.state, SyncState::InSync);
    assert!(status.notices.iter().any(|notice| notice.contains("another version of the rules")), "{status:?}");

    apart.between.judge(rewrite(status.state_digest.clone(), "0".repeat(64)));
    let status = apart.device.exchange();
    assert_eq!((status.state, status.next.as_deref()), (SyncState::Pending, Some("heph verify --deep")), "{status:?}");
    assert!(status.words.contains("makes another state"), "{}", status.words);
    apart.between.let_pass();
    assert_eq!(apart.device.exchange().state, SyncState::InSync);
}

/// Answers to later calls that are not what they should be: the hello was the real hub's.
#[test]
fn a_call_that_is_answered_by_something_else_changes_nothing() {
    let apart = apart();
    let other = apart.world.device("other");
    let page = b"<html></html>";
    let pages = [("content-type", "application/vnd.heph.pages")];
    let endless =
        [b"HTTP/1.1 200 OK\r\ncontent-type: application/vnd.heph.pages\r\n\r\n".as_slice(), &[0xff; 4_096]].concat();
    let table = [
        ("/v1/sync/pull", Verdict::Answer(answer("200 OK", HTML, page)), "web page"),
        ("/v1/sync/pull", Verdict::Answer(answer("200 OK", &pages, b"")), "the connection broke"),
        ("/v1/sync/pull", Verdict::Answer(answer("200 OK", &pages, &[5, 0, 0, 0, 1, 2, 3, 4, 5])), "cannot be used"),
        ("/v1/sync/pull", Verdict::Endless(endless), "cannot be used"),
        ("/v1/sync/push", Verdict::Answer(answer("200 OK", HTML, page)), "web page"),
        ("/v1/sync/push", Verdict::Answer(answer("200 OK", JSON, b"{\"added\":1}")), "cannot be used"),
        ("/v1/sync/push", Verdict::Answer(answer("502 Bad Gateway", HTML, page)), "502"),
    ];
    for (number, (path, verdict, words)) in table.into_iter().enumerate() {
        // The device hears of nothing but by a cycle, and that one meets the wrong answer.
        apart.device.stop();
        other.task(&format!("to pull {number}"));
        other.sync();
        let there = apart.world.hub().summary();
        apart.between.judge(move |request| match request.path.as_str() {
            at if at == path => verdict.clone(),
            _ => Verdict::Pass,
        });
        apart.device.start();
        let here = apart.device.task(&format!("to push {number}"));
        let status = apart.device.exchange();
        says(path, &status, SyncState::Unreachable, words);
        assert_eq!(apart.world.hub().summary(), there, "{path}");
        assert_eq!(apart.device.title(&here), format!("to push {number}"));
        apart.recovers(path);
    }
    apart.world.converge();
    assert_eq!(other.tasks().len(), 15);
}
