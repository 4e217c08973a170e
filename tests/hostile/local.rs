//! The local socket's door. Who comes through is this device's own person, so nothing here is forged; but programs are
//! broken, and paths and texts come from anywhere.

use crate::{CLOSED, Row, cut, row, surprises};
use heph_store::{
    field::{Field, Value},
    op::{Change, Op},
};
use heph_tests::{
    World,
    raw::{Door, head, request},
    wire::{Author, PAGE_TYPE},
};
use serde_json::{Value as Json, json};

fn ask(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    request("POST", path, &[("content-type", "application/json")], body.as_ref())
}

fn call(path: &str, body: &Json) -> Vec<u8> {
    ask(path, body.to_string())
}

/// Requests that are no calls.
fn not_a_call() -> Vec<Row> {
    let typed = |content_type: &str| request("POST", "/v1/task/list", &[("content-type", content_type)], b"{}");
    let headed =
        |headers: &[(&str, &str)], body: &[u8]| [head("POST", "/v1/task/list", headers).as_slice(), body].concat();
    let long = "a".repeat(64 * 1024);
    vec![
        cut("nothing at all", Vec::new(), CLOSED, ""),
        cut("junk", b"\x00\xff junk\r\n\r\n".to_vec(), 400, ""),
        cut("a body cut short", headed(&[("content-length", "100")], b"{}"), 400, "bad_request"),
        row("a length below nothing", headed(&[("content-length", "-1")], b"{}"), 400, ""),
        row("chunks of garbage", headed(&[("transfer-encoding", "chunked")], b"zz\r\n{}\r\n"), 400, "bad_request"),
        row("a header of 64 KiB", headed(&[("x-long", &long)], b""), 431, ""),
        row("GET", request("GET", "/v1/task/list", &[], b""), 405, "method_not_allowed"),
        row("DELETE", request("DELETE", "/v1/task/list", &[], b""), 405, "method_not_allowed"),
        row("an unknown call", ask("/v1/task/explode", "{}"), 404, "unknown_call"),
        row("a path with dots", ask("/v1/../../etc/passwd", "{}"), 404, "unknown_call"),
        row("a hub's call", ask("/v1/sync/hello", "{}"), 404, "unknown_call"),
        row("plain text", typed("text/plain"), 415, "unsupported_media_type"),
        row("a page", typed("application/vnd.heph.page"), 415, "unsupported_media_type"),
        row("17 MiB", ask("/v1/task/create", format!("{{\"title\":\"{}\"}}", "x".repeat(17 << 20))), 413, "too_large"),
    ]
}

/// Bodies that are not what their call takes.
fn not_json() -> Vec<Row> {
    let deep = format!("{{\"title\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        row("half an object", ask("/v1/task/create", "{\"title\":"), 400, "bad_request"),
        row("a list", ask("/v1/task/create", "[\"x\"]"), 400, "bad_request"),
        row("null", ask("/v1/task/create", "null"), 400, "bad_request"),
        row("bytes that are no text", ask("/v1/task/create", b"{\"title\":\"\xff\xfe\"}"), 400, "bad_request"),
        row("half of a surrogate pair", ask("/v1/task/create", "{\"title\":\"\\ud800\"}"), 400, "bad_request"),
        row("a list as deep as a well", ask("/v1/task/create", deep), 400, "bad_request"),
        row("no title", call("/v1/task/create", &json!({})), 400, "bad_request"),
        row("a number for a title", call("/v1/task/create", &json!({ "title": 7 })), 400, "bad_request"),
        row(
            "a field that there is not",
            call("/v1/task/create", &json!({ "title": "x", "colour": "red" })),
            400,
            "bad_request",
        ),
        row("a field twice", ask("/v1/task/create", "{\"title\":\"a\",\"title\":\"b\"}"), 400, "bad_request"),
        row("a limit below nothing", call("/v1/task/list", &json!({ "limit": -1 })), 400, "bad_request"),
        row("a limit of nothing", call("/v1/task/list", &json!({ "limit": 0 })), 400, "bad_request"),
        row("a limit of everything", call("/v1/task/list", &json!({ "limit": 4_294_967_295_u32 })), 400, "bad_request"),
        row("an unknown state", call("/v1/task/list", &json!({ "state": "maybe" })), 400, "bad_request"),
        row("a page that no page gave", call("/v1/task/list", &json!({ "after": "zzzz" })), 400, "bad_request"),
    ]
}

/// Values that cannot be, on a task that is there.
fn wrong_values(task: &str) -> Vec<Row> {
    let create = |member: &str, value: Json| {
        let mut body = json!({ "title": "never made" });
        body[member] = value;
        call("/v1/task/create", &body)
    };
    let edit = |member: &str, value: Json| {
        let mut body = json!({ "id": task });
        body[member] = value;
        call("/v1/task/edit", &body)
    };
    vec![
        row("an empty title", create("title", json!("")), 400, "bad_request"),
        row("a title of spaces", create("title", json!("   ")), 400, "bad_request"),
        row("a title of two lines", create("title", json!("a\nb")), 400, "bad_request"),
        row("a NUL in a title", create("title", json!("a\u{0}b")), 400, "bad_request"),
        row("a title of a megabyte", create("title", json!("x".repeat(1 << 20))), 413, "too_large"),
        row("the 31st of February", create("do_date", json!("2026-02-31")), 400, "bad_request"),
        row("a date that is a word", create("do_date", json!("soon")), 400, "bad_request"),
        row("a date beyond the calendar", create("do_date", json!("99999-01-01")), 400, "bad_request"),
        row("a colour that there is not", create("attention", json!("mauve")), 400, "bad_request"),
        row("a rule that is none", create("recurrence", json!("now and then")), 400, "bad_request"),
        row(
            "a rule without end",
            create("recurrence", json!(format!("FREQ=DAILY;BYDAY={}", "MO,".repeat(10_000)))),
            400,
            "bad_request",
        ),
        row("an empty tag", create("tags", json!([""])), 400, "bad_request"),
        row("a NUL in a tag", create("tags", json!(["a\u{0}b"])), 400, "bad_request"),
        row("an id that is none", call("/v1/node/show", &json!({ "id": "zzzz" })), 404, "not_found"),
        row("an empty id", call("/v1/node/show", &json!({ "id": "" })), 404, "not_found"),
        row("a NUL in an id", call("/v1/node/show", &json!({ "id": "\u{0}" })), 404, "not_found"),
        row(
            "an id of nobody",
            call("/v1/node/show", &json!({ "id": "01890000-0000-7000-8000-000000000000" })),
            404,
            "not_found",
        ),
        row("an id that is a path", call("/v1/node/show", &json!({ "id": "../../etc/passwd" })), 404, "not_found"),
        row("an id that is SQL", call("/v1/node/show", &json!({ "id": "' OR 1=1 --" })), 404, "not_found"),
        row("a state that there is not", edit("state", json!("maybe")), 400, "bad_request"),
        row("an edit to nothing", edit("title", json!("")), 400, "bad_request"),
        row("a version that is none", edit("body", json!({ "text": "x", "version": "zzzz" })), 409, "stale_version"),
        row("an op that is none", call("/v1/undo/undo", &json!({ "op": "zzzz" })), 400, "bad_request"),
        row(
            "an op of nobody",
            call("/v1/undo/undo", &json!({ "op": format!("{}:1:{}", "11".repeat(16), "22".repeat(16)) })),
            404,
            "not_found",
        ),
        row(
            "a field that nobody contests",
            call("/v1/conflict/take", &json!({ "id": task, "field": "title", "head": { "number": 9 } })),
            404,
            "not_found",
        ),
        row(
            "a day that is none",
            call("/v1/journal/append", &json!({ "date": "2026-13-01", "text": "x" })),
            400,
            "bad_request",
        ),
        row("a search for nothing", call("/v1/node/search", &json!({ "query": "" })), 400, "bad_request"),
    ]
}

/// Paths that lead nowhere, or out.
fn paths(dir: &str) -> Vec<Row> {
    let import = |dir: Json| call("/v1/import/obsidian", &json!({ "dir": dir }));
    let export = |dir: Json| call("/v1/export/vault", &json!({ "dir": dir }));
    let backup = |file: Json| call("/v1/replica/backup", &json!({ "file": file }));
    vec![
        row("an import from a relative path", import(json!("../../etc")), 400, "bad_request"),
        row("an import from nowhere", import(json!(format!("{dir}/nowhere"))), 500, "file_error"),
        row("an import from a file", import(json!(format!("{dir}/file"))), 500, "file_error"),
        row("an import with a NUL in the path", import(json!("/tmp/a\u{0}b")), 400, "bad_request"),
        row("an import from hex that is none", import(json!({ "hex": "zz" })), 400, "bad_request"),
        row("an export to a relative path", export(json!("../../etc")), 400, "bad_request"),
        row("an export into a file", export(json!(format!("{dir}/file"))), 500, "file_error"),
        row("an export with a NUL in the path", export(json!("/tmp/a\u{0}b")), 400, "bad_request"),
        row("a backup to a relative path", backup(json!("backup.db")), 400, "bad_request"),
        row("a backup over a file", backup(json!(format!("{dir}/file"))), 500, "file_error"),
        row("a backup over the database", backup(json!(format!("{dir}/heph.db"))), 500, "file_error"),
        row("a backup to nowhere", backup(json!(format!("{dir}/nowhere/backup.db"))), 500, "file_error"),
    ]
}

/// Requests that take their time.
fn slow() -> Vec<Row> {
    let started = head("POST", "/v1/task/create", &[("content-length", "500")]);
    vec![
        row("a head that does not end", b"POST /v1/task/list HTTP/1.1\r\nhost: heph\r\nx-slow: ".to_vec(), CLOSED, ""),
        row("a body that does not come", [started.as_slice(), b"{"].concat(), 408, "timeout"),
    ]
}

#[test]
fn a_daemon_refuses_what_is_wrong_by_name_and_stays_as_it_was() {
    let world = World::new();
    let device = world.lone_device("laptop");
    let task = device.task("here before");
    std::fs::write(device.dir().join("file"), "mine").unwrap();
    let before = device.status();

    let dir = device.dir().to_str().unwrap();
    let tables = [not_a_call(), not_json(), wrong_values(&task), paths(dir), slow()];
    let rows: Vec<Row> = tables.into_iter().flatten().collect();
    let surprises = surprises(&Door::to_socket(&device.socket_path()), &rows);

    assert!(surprises.is_empty(), "{} of {} rows:\n{}", surprises.len(), rows.len(), surprises.join("\n"));
    let after = device.status();
    assert_eq!((after.op_count, after.state_digest), (before.op_count, before.state_digest));
    assert_eq!(std::fs::read_to_string(device.dir().join("file")).unwrap(), "mine");
    assert_eq!(device.title(&task), "here before");
    device.verify();
}

#[test]
fn an_export_never_leaves_its_directory() {
    let world = World::new();
    let device = world.lone_device("laptop");
    let titles = ["../../escaped", "/etc/escaped", "a/../../escaped", "..", ".", "~/escaped", "a\\..\\escaped", "con:"];
    let docs: Vec<String> = titles.iter().map(|title| device.doc(title, "text")).collect();
    let (outside, inside) = (world.dir("outside"), world.dir("outside/in/side"));
    device.heph(&["export", inside.to_str().unwrap()]).ok();
    let everywhere = heph_tests::files::read_tree(&outside, &|_| true);
    assert!(everywhere.keys().all(|path| path.starts_with("in/side")), "{everywhere:?}");
    let texts = everywhere.values().filter(|bytes| bytes.as_slice() == b"text").count();
    assert_eq!(texts, docs.len(), "{everywhere:?}");
}

/// Paths that another device claims for its notes.
fn claimed_paths() -> Vec<Vec<u8>> {
    let mut paths: Vec<Vec<u8>> = [
        &b"../../escaped.md"[..],
        b"/etc/escaped.md",
        b"a/../../../escaped.md",
        b"..",
        b".",
        b"",
        b"/",
        b"a//b/./../../../escaped.md",
        b".git/hooks/escaped.md",
        b"nul\0.md",
        b"\xff\xfe.md",
        b"new\nline.md",
    ]
    .map(<[u8]>::to_vec)
    .into();
    paths.push([b"long ".repeat(2_000), b".md".to_vec()].concat());
    paths.push([b"deep/".repeat(3_000), b".md".to_vec()].concat());
    paths
}

#[test]
fn a_path_that_another_device_claims_never_leads_out_of_an_export() {
    let world = World::new();
    let device = world.device("laptop");
    let mut stranger = Author::new(20);
    let ops: Vec<Op> = claimed_paths()
        .into_iter()
        .zip(1..)
        .map(|(path, number)| {
            let node = stranger.node(number);
            let set = |field: &str, value: Value| Change::Set {
                node,
                field: Field::new(field).unwrap(),
                bases: Vec::new(),
                seen: Vec::new(),
                repeats: Vec::new(),
                value: Some(value),
            };
            let vault = if number % 2 == 0 { "../../escaped" } else { "vault" };
            let fields = [
                ("kind", Value::text("doc")),
                ("title", Value::text("claims")),
                ("vault", Value::text(vault)),
                ("path", Value::Bytes(path)),
            ];
            stranger.write(&fields.map(|(field, value)| set(field, value)))
        })
        .collect();
    let answer = Door::to_hub(&world.hub().url()).post("/v1/sync/push", PAGE_TYPE, &stranger.page(&ops));
    assert_eq!(answer.status, 200, "{answer:?}");
    world.converge();
    assert_eq!(device.status().held, 0);

    let (outside, inside) = (world.dir("outside"), world.dir("outside/in/side"));
    let report = device.json(&["export", inside.to_str().unwrap()]);
    let everywhere = heph_tests::files::read_tree(&outside, &|_| true);
    assert!(everywhere.keys().all(|path| path.starts_with("in/side")), "{everywhere:?}");
    let hidden = everywhere
        .keys()
        .filter(|path| path.components().any(|part| part.as_os_str().as_encoded_bytes().starts_with(b".")));
    assert_eq!(hidden.count(), 0, "{everywhere:?}");
    // One is deeper than any file system goes; all the others are written, under a name that is told where it had to be
    // another one.
    assert_eq!(everywhere.len() + 1, ops.len(), "{report}");
    let told = report["left_out"].as_array().expect("a list");
    let is_told = |part: &str, why: &str| {
        let fits =
            |left: &Json, member: &str, words: &str| left[member].as_str().is_some_and(|text| text.contains(words));
        told.iter().any(|left| fits(left, "name", part) && fits(left, "why", why))
    };
    assert!(is_told("deep/deep/deep", "cannot be written") && is_told("../../escaped.md", "written as"), "{report}");
    assert!(!std::path::Path::new("/etc/escaped.md").exists());
}

#[test]
fn an_import_follows_nothing_out_of_its_directory() {
    let world = World::new();
    let device = world.lone_device("laptop");
    let (vault, outside) = (world.dir("vault"), world.dir("outside"));
    std::fs::write(outside.join("secret.md"), "a secret").unwrap();
    std::fs::write(vault.join("note.md"), "a note, see [[secret]] and ![[../outside/secret.md]]").unwrap();
    for (link, target) in [
        ("link.md", "../outside/secret.md"),
        ("folder", "../outside"),
        ("loop", "."),
        ("dead.md", "nowhere.md"),
        ("dev.md", "/dev/zero"),
    ] {
        std::os::unix::fs::symlink(target, vault.join(link)).unwrap();
    }
    let report = device.json(&["import", "obsidian", vault.to_str().unwrap()]);
    assert_eq!((report["notes"].as_u64(), report["new"].as_u64()), (Some(1), Some(1)), "{report}");
    assert_eq!(report["left_out"].as_array().map(Vec::len), Some(5), "{report}");
    let search = device.json(&["search", "secret"]);
    assert!(!search.to_string().contains("a secret"), "{search}");
}
