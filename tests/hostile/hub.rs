//! The hub's door.

use crate::{CLOSED, Row, cut, row, surprises};
use base64::{Engine, prelude::BASE64_STANDARD};
use heph_store::{
    codec::put_varint,
    id::{OpId, Seq},
    op::{Change, Op, RawChange},
    page,
};
use heph_tests::{
    World,
    raw::{Door, head, request},
    wire::{Author, PAGE_TYPE, packed, stretch_signed},
};
use serde_json::{Value as Json, json};

const JSON: &str = "application/json";
/// A count that nothing can hold.
const HUGE: u64 = 1 << 60;

fn post(path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    request("POST", path, &[("content-type", content_type)], body)
}

fn ask(path: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    post(path, JSON, body.as_ref())
}

fn push(page: &[u8]) -> Vec<u8> {
    post("/v1/sync/push", PAGE_TYPE, page)
}

/// A hello that a hub would answer.
fn hello() -> Json {
    json!({
        "protocol": { "min": 1, "max": 1 }, "origin": "11".repeat(16), "name": "stranger", "challenge": "22".repeat(32),
        "vector_hash": "33".repeat(32), "cursor": null, "clock_ms": 1, "rules_version": 1, "digest": "44".repeat(32),
        "op_count": 0, "version": "1",
    })
}

/// The same with one member replaced.
fn hello_with(member: &str, value: Json) -> Vec<u8> {
    let mut body = hello();
    body[member] = value;
    ask("/v1/sync/hello", body.to_string())
}

/// A vector of so many origins with one tip each, as JSON has it.
fn vector(origins: u64) -> String {
    let mut bytes = Vec::new();
    put_varint(&mut bytes, origins);
    for number in 0..origins {
        bytes.extend_from_slice(&u128::from(number).to_be_bytes());
        bytes.extend_from_slice(&[1, 1]);
        bytes.extend_from_slice(&[9; 32]);
    }
    BASE64_STANDARD.encode(bytes)
}

fn pull_of(vector: &str) -> Vec<u8> {
    ask("/v1/sync/pull", json!({ "vector": vector }).to_string())
}

/// The beginning of a page: its format, one stretch, of this author, at number 1.
fn page_start(author: &Author) -> Vec<u8> {
    let mut bytes = vec![page::FORMAT, 1, 0];
    bytes.extend_from_slice(author.origin().as_bytes());
    bytes.push(1);
    bytes.extend_from_slice(&author.key.public());
    bytes
}

/// A page with one op in these bytes.
fn page_of_op(author: &Author, op: &[u8]) -> Vec<u8> {
    let mut bytes = page_start(author);
    bytes.push(1);
    put_varint(&mut bytes, op.len() as u64);
    bytes.extend_from_slice(op);
    bytes.extend_from_slice(&[0; 64]);
    packed(&bytes)
}

/// A task of the author's, as an op.
fn task(author: &mut Author, title: &str) -> Op {
    use heph_store::field::{Field, Value};
    let node = author.node(1);
    let set = |field: &str, value: &str| Change::Set {
        node,
        field: Field::new(field).expect("a field's name"),
        bases: Vec::new(),
        seen: Vec::new(),
        repeats: Vec::new(),
        value: Some(Value::text(value)),
    };
    author.write(&[set("kind", "task"), set("title", title), set("state", "outstanding")])
}

/// Requests that are no HTTP, or not what HTTP allows.
fn not_http() -> Vec<Row> {
    let many: Vec<(String, String)> = (0..100).map(|n| (format!("x-{n}"), "1".to_owned())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let long = "a".repeat(64 * 1024);
    let chunked = |body: &str| {
        let head = head("POST", "/v1/sync/digest", &[("content-type", JSON), ("transfer-encoding", "chunked")]);
        [head.as_slice(), body.as_bytes()].concat()
    };
    let with_length = |length: &str| {
        let head = head("POST", "/v1/sync/digest", &[("content-type", JSON), ("content-length", length)]);
        [head.as_slice(), b"{}"].concat()
    };
    vec![
        cut("nothing at all", Vec::new(), CLOSED, ""),
        cut("junk", b"\x00\x01\x02\xff\xfe junk\r\n\r\n".to_vec(), 400, ""),
        cut("half a request line", b"POST /v1/sy".to_vec(), CLOSED, ""),
        cut("a TLS greeting", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(), 400, ""),
        cut("HTTP/2 from the start", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), CLOSED, ""),
        row("a header without a colon", b"GET /healthz HTTP/1.1\r\nhost localhost\r\n\r\n".to_vec(), 400, ""),
        row("a NUL in a header", head("GET", "/healthz", &[("x-nul", "a\0b")]), 400, ""),
        row("a hundred headers", head("GET", "/healthz", &many), 431, ""),
        row("a header of 64 KiB", head("GET", "/healthz", &[("x-long", &long)]), 431, ""),
        row("a path of 64 KiB", head("GET", &format!("/{long}"), &[]), 431, ""),
        row("a length below nothing", with_length("-5"), 400, ""),
        row("a length that is no number", with_length("2x"), 400, ""),
        row("two lengths", with_length("2\r\ncontent-length: 3"), 400, ""),
        cut("a body cut short", with_length("100"), 400, "bad_request"),
        row("chunks of garbage", chunked("zz\r\n{}\r\n0\r\n\r\n"), 400, "bad_request"),
        row("a chunk of 2^64 bytes", chunked("10000000000000000\r\n{}\r\n0\r\n\r\n"), 400, "bad_request"),
    ]
}

/// Requests that lead nowhere, or come from where nobody is let in.
fn not_a_call() -> Vec<Row> {
    let digest = |headers: &[(&str, &str)]| {
        request("POST", "/v1/sync/digest", &[headers, &[("content-type", JSON)]].concat(), b"{}")
    };
    vec![
        row("an unknown path", request("GET", "/", &[], b""), 404, "unknown_call"),
        row("an unknown call", ask("/v1/sync/everything", "{}"), 404, "unknown_call"),
        row("a call of another version", ask("/v2/sync/hello", "{}"), 404, "unknown_call"),
        row("a path with dots", request("GET", "/v1/sync/../../etc/passwd", &[], b""), 404, "unknown_call"),
        row("a path with hidden dots", request("GET", "/v1/%2e%2e/%2e%2e/etc/passwd", &[], b""), 404, "unknown_call"),
        row("no numbers for strangers", request("GET", "/metrics", &[], b""), 404, "unknown_call"),
        row("GET for a push", request("GET", "/v1/sync/push", &[], b""), 405, "method_not_allowed"),
        row("POST for events", ask("/v1/sync/events", "{}"), 405, "method_not_allowed"),
        row("DELETE for health", request("DELETE", "/healthz", &[], b""), 405, "method_not_allowed"),
        row("a method of its own", request("HEPH", "/v1/sync/hello", &[], b""), 405, "method_not_allowed"),
        row("another host", digest(&[("host", "evil.example")]), 403, "host_refused"),
        row("a host that only begins well", digest(&[("host", "localhost.evil.example")]), 403, "host_refused"),
        row("a good and another host", digest(&[("host", "localhost"), ("host", "evil.example")]), 403, "host_refused"),
        row("an address of everywhere", digest(&[("host", "0.0.0.0")]), 403, "host_refused"),
        row("a web page of this machine", digest(&[("origin", "http://localhost:8080")]), 403, "origin_refused"),
        row("a web page without a name", digest(&[("origin", "null")]), 403, "origin_refused"),
        row(
            "another host for events",
            request("GET", "/v1/sync/events", &[("host", "evil.example")], b""),
            403,
            "host_refused",
        ),
        row(
            "a proxy's request for another host",
            request("POST", "http://evil.example/v1/sync/digest", &[("content-type", JSON)], b"{}"),
            403,
            "host_refused",
        ),
    ]
}

/// Calls with bodies that are not what they take.
fn not_json() -> Vec<Row> {
    let deep = format!("{{\"x\":{}{}}}", "[".repeat(4_000), "]".repeat(4_000));
    let missing = {
        let mut body = hello();
        body.as_object_mut().expect("a hello is an object").remove("challenge");
        ask("/v1/sync/hello", body.to_string())
    };
    vec![
        row(
            "hello as text",
            post("/v1/sync/hello", "text/plain", hello().to_string().as_bytes()),
            415,
            "unsupported_media_type",
        ),
        row(
            "hello as a form",
            post("/v1/sync/hello", "application/x-www-form-urlencoded", b"a=b"),
            415,
            "unsupported_media_type",
        ),
        row("hello without a type", request("POST", "/v1/sync/hello", &[], b"{}"), 415, "unsupported_media_type"),
        row("an empty hello", ask("/v1/sync/hello", ""), 400, "bad_request"),
        row("a list for a hello", ask("/v1/sync/hello", "[1,2,3]"), 400, "bad_request"),
        row("half a hello", ask("/v1/sync/hello", "{\"protocol\":{\"min\":1"), 400, "bad_request"),
        row("bytes that are no text", ask("/v1/sync/hello", b"{\"name\":\"\xff\xfe\"}"), 400, "bad_request"),
        row("a hello without a challenge", missing, 400, "bad_request"),
        row("a number for an origin", hello_with("origin", json!(7)), 400, "bad_request"),
        row("an origin too short", hello_with("origin", json!("11")), 400, "bad_request"),
        row("an origin that is no hex", hello_with("origin", json!("zz".repeat(16))), 400, "bad_request"),
        row("a challenge too long", hello_with("challenge", json!("22".repeat(33))), 400, "bad_request"),
        row("a clock before all time", hello_with("clock_ms", json!(-1)), 400, "bad_request"),
        row("a clock with a fraction", hello_with("clock_ms", json!(1.5)), 400, "bad_request"),
        row(
            "more ops than can be",
            ask("/v1/sync/hello", hello().to_string().replace("\"op_count\":0", "\"op_count\":18446744073709551616")),
            400,
            "bad_request",
        ),
        row("a protocol range backwards", hello_with("protocol", json!({ "min": 3, "max": 2 })), 400, "bad_request"),
        row("a protocol that is a word", hello_with("protocol", json!("1")), 400, "bad_request"),
        row("a device name of 300 bytes", hello_with("name", json!("x".repeat(300))), 400, "bad_request"),
        row("a device name of two lines", hello_with("name", json!("a\nb")), 400, "bad_request"),
        row("a device name with a NUL", hello_with("name", json!("a\u{0}b")), 400, "bad_request"),
        row("a version of 100 bytes", hello_with("version", json!("9".repeat(100))), 400, "bad_request"),
        row(
            "a cursor below nothing",
            hello_with("cursor", json!({ "log_id": "55".repeat(16), "position": -1, "roll": "66".repeat(32) })),
            400,
            "bad_request",
        ),
        row("a hello as deep as a well", ask("/v1/sync/hello", &deep), 400, "bad_request"),
        row("a hello of 20 KiB", hello_with("name", json!("x".repeat(20 * 1024))), 413, "too_large"),
        row("a newer protocol only", hello_with("protocol", json!({ "min": 2, "max": 3 })), 426, "upgrade_hub"),
        row("an older protocol only", hello_with("protocol", json!({ "min": 0, "max": 0 })), 426, "upgrade_device"),
        row(
            "a place in the vector as deep as a well",
            ask("/v1/sync/vector", deep.replace("\"x\"", "\"after\"")),
            400,
            "bad_request",
        ),
        row("an unknown member as deep as a well", ask("/v1/sync/digest", &deep), 200, ""),
        row("null for a question", ask("/v1/sync/digest", "null"), 400, "bad_request"),
        row("two questions in one", ask("/v1/sync/digest", "{}{}"), 400, "bad_request"),
        row(
            "a question of 2 MiB",
            ask("/v1/sync/digest", json!({ "x": "y".repeat(2 << 20) }).to_string()),
            413,
            "too_large",
        ),
        row("a part of the vector after no origin", ask("/v1/sync/vector", "{\"after\":\"zzzz\"}"), 400, "bad_request"),
        row("tips of nobody", ask("/v1/sync/fork", "{\"tips\":[]}"), 400, "bad_request"),
        row(
            "the op with number 0",
            ask(
                "/v1/sync/fork",
                json!({ "origin": "11".repeat(16), "tips": [{ "seq": 0, "id": "22".repeat(32) }] }).to_string(),
            ),
            400,
            "bad_request",
        ),
        row(
            "an op below nothing",
            ask(
                "/v1/sync/fork",
                json!({ "origin": "11".repeat(16), "tips": [{ "seq": -4, "id": "22".repeat(32) }] }).to_string(),
            ),
            400,
            "bad_request",
        ),
        row(
            "129 tips",
            ask(
                "/v1/sync/fork",
                json!({ "origin": "11".repeat(16), "tips": vec![json!({ "seq": 1, "id": "22".repeat(32) }); 129] })
                    .to_string(),
            ),
            413,
            "too_large",
        ),
        row("an op named zzzz", ask("/v1/sync/ops", "{\"ops\":[\"zzzz\"]}"), 400, "bad_request"),
        row("an op named with a NUL", ask("/v1/sync/ops", "{\"ops\":[\"\\u0000\"]}"), 400, "bad_request"),
        row(
            "257 ops",
            ask(
                "/v1/sync/ops",
                json!({ "ops": vec![format!("{}:1:{}", "11".repeat(16), "22".repeat(16)); 257] }).to_string(),
            ),
            413,
            "too_large",
        ),
    ]
}

/// Pulls that ask for what cannot be.
fn pulls(log_id: &str) -> Vec<Row> {
    let cursor = |cursor: Json| ask("/v1/sync/pull", json!({ "cursor": cursor }).to_string());
    let at = |log_id: &str, position: Json| json!({ "log_id": log_id, "position": position, "roll": "66".repeat(32) });
    let count = |origins: u64| {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, origins);
        BASE64_STANDARD.encode(bytes)
    };
    let twice = {
        let mut bytes = vec![2];
        for _ in 0..2 {
            bytes.extend_from_slice(&[7; 16]);
            bytes.extend_from_slice(&[1, 1]);
            bytes.extend_from_slice(&[9; 32]);
        }
        BASE64_STANDARD.encode(bytes)
    };
    let whole = vector(3);
    vec![
        row("a vector of 100,000 origins", pull_of(&vector(100_000)), 413, "vector_too_long"),
        row("a vector of 5,000 origins", pull_of(&vector(5_000)), 413, "vector_too_long"),
        row("a vector that says it has 2^60 origins", pull_of(&count(HUGE)), 413, "vector_too_long"),
        row("a vector that says it has 3 origins", pull_of(&count(3)), 400, "bad_request"),
        row(
            "a vector cut short",
            pull_of(&BASE64_STANDARD.encode(&BASE64_STANDARD.decode(&whole).expect("base64")[..100])),
            400,
            "bad_request",
        ),
        row("a vector that names an origin twice", pull_of(&twice), 400, "bad_request"),
        row("a vector that is no base64", pull_of("@@@@"), 400, "bad_request"),
        row("a vector that is a number", ask("/v1/sync/pull", "{\"vector\":7}"), 400, "bad_request"),
        row("a vector of tips that are not here", pull_of(&vector(1)), 409, "unknown_tips"),
        row("a cursor in another log", cursor(at(&"55".repeat(16), json!(1))), 409, "cursor_unknown"),
        row("a cursor over another past", cursor(at(log_id, json!(1))), 409, "cursor_unknown"),
        row("a cursor beyond the end", cursor(at(log_id, json!(u64::MAX))), 409, "cursor_unknown"),
        row("a cursor before the start", cursor(at(log_id, json!(-1))), 400, "bad_request"),
        row("a cursor that is a word", cursor(json!("first")), 400, "bad_request"),
        row("pages of less than nothing", ask("/v1/sync/pull", "{\"page_bytes\":-1}"), 400, "bad_request"),
        row("a pull as a page", post("/v1/sync/pull", PAGE_TYPE, b"{}"), 415, "unsupported_media_type"),
    ]
}

/// Pages that cannot be read.
fn broken_pages() -> Vec<Row> {
    let mut author = Author::new(1);
    let start = page_start(&author);
    let op = task(&mut author, "fine");
    let page = page::encode(&[author.stretch(std::slice::from_ref(&op))]);
    let whole = packed(&page);
    let author = Author::new(1);
    let with = |more: &[u8]| packed(&[start.as_slice(), more].concat());
    let count = |before: &[u8], number: u64| {
        let mut bytes = before.to_vec();
        put_varint(&mut bytes, number);
        packed(&bytes)
    };
    let at_number = |number: u64| {
        let mut bytes = vec![page::FORMAT, 1, 0];
        bytes.extend_from_slice(author.origin().as_bytes());
        put_varint(&mut bytes, number);
        packed(&bytes)
    };
    let mut changes = vec![0, 0];
    changes.extend_from_slice(&[7; 16]);
    put_varint(&mut changes, HUGE);
    let flags = [vec![0, 0xfc], vec![7; 16], vec![0]].concat();
    let large = [vec![0, 0], vec![7; 16], vec![1, 99, 0], vec![0x80, 0x80, 0x20], vec![0; 512 * 1024]].concat();
    let opened = [vec![0, 2], vec![0]].concat();
    let too_large = packed(&vec![0; 64 << 20]);
    let incompressible: Vec<u8> = (0..1_100_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let chunked = {
        let head = head("POST", "/v1/sync/push", &[("content-type", PAGE_TYPE), ("transfer-encoding", "chunked")]);
        let size = format!("{:x}\r\n", incompressible.len());
        [head.as_slice(), size.as_bytes(), &incompressible, b"\r\n0\r\n\r\n"].concat()
    };
    vec![
        row("a page as JSON", ask("/v1/sync/push", "{\"ops\":[]}"), 415, "unsupported_media_type"),
        row(
            "a page as bytes",
            post("/v1/sync/push", "application/octet-stream", &whole),
            415,
            "unsupported_media_type",
        ),
        row("no page", push(b""), 400, "bad_page"),
        row("a page of junk", push(b"junk, not a page"), 400, "bad_page"),
        row("a page cut short", push(&whole[..whole.len() - 3]), 400, "bad_page"),
        row("a page cut short before compression", push(&packed(&page[..page.len() - 3])), 400, "bad_page"),
        row("a page with something behind it", push(&packed(&[page.as_slice(), b"x"].concat())), 400, "bad_page"),
        row("a page that is not compressed", push(&page), 400, "bad_page"),
        row("a page of a newer format", push(&packed(&[9, 0])), 400, "bad_page"),
        row("64 MiB in a few KiB", push(&too_large), 413, "too_large"),
        row("a body of more than a page", push(&incompressible), 413, "too_large"),
        row("chunks of more than a page", chunked, 413, "too_large"),
        row("2^60 stretches", push(&count(&[page::FORMAT], HUGE)), 400, "bad_page"),
        row("a stretch of 2^60 ops", push(&count(&start, HUGE)), 400, "bad_page"),
        row("a stretch of no ops", push(&with(&[0])), 400, "bad_page"),
        row("an op of 2^60 bytes", push(&count(&[start.as_slice(), &[1]].concat(), HUGE)), 400, "bad_page"),
        row("an op of 2^60 changes", push(&page_of_op(&author, &changes)), 400, "bad_page"),
        row("an op with unknown flags", push(&page_of_op(&author, &flags)), 400, "bad_page"),
        row("an op beyond 256 KiB", push(&page_of_op(&author, &large)), 400, "bad_page"),
        row("an op that lost its salt for nothing", push(&page_of_op(&author, &opened)), 400, "bad_page"),
        row("an op with number 0", push(&at_number(0)), 400, "bad_page"),
        row("an op with number 2^63", push(&at_number(1 << 63)), 400, "bad_page"),
    ]
}

/// The op with something changed that its author signed.
fn with(op: &Op, change: impl FnOnce(&mut Op)) -> Op {
    let mut op = op.clone();
    change(&mut op);
    op
}

/// Pages that read well and lie. `stretch` is one of the hub's own, the first of its author.
fn forged_pages(stretch: &page::Stretch) -> Vec<Row> {
    let (mut ada, mut bob) = (Author::new(2), Author::new(3));
    let (first, second) = (task(&mut ada, "first"), task(&mut ada, "second"));
    let one = |stretch: page::PackedStretch| push(&packed(&page::encode(&[stretch])));
    let signed_by = |ops: &[Op], author: &Author| stretch_signed(ops, author.key.sign(&ops[ops.len() - 1].id()));
    let bobs = task(&mut bob, "of bob");
    let not_his_key = with(&bobs, |op| op.key = Some(Author::new(4).key.public()));
    let other_past = with(&second, |op| op.prev = OpId::from_bytes([8; 32]));
    // What somebody else wrote, with another value put in, under the signature that was for the true one.
    let theirs = &stretch.entries[0].op;
    let mut altered = theirs.clone();
    altered.changes[0] =
        RawChange::new(altered.changes[0].kind, altered.changes[0].meta.clone(), b"\x01altered".to_vec());
    let mut later = theirs.clone();
    later.stamp = heph_store::id::Stamp::from_millis(later.stamp.get() + 1);
    // An op of theirs that they never wrote, after what they did write.
    let last = &stretch.entries[stretch.entries.len() - 1];
    let seq = last.op.seq.next().expect("a chain this short has not ended");
    let invented = with(&first, |op| (op.origin, op.seq, op.prev, op.key) = (theirs.origin, seq, last.id, None));
    let far = with(&second, |op| op.seq = Seq::new(1 << 40).expect("below 2^62"));
    let good_then_bad = packed(&page::encode(&[ada.stretch(std::slice::from_ref(&first)), {
        let fifth = Seq::new(5).expect("a number");
        let unknown = with(&bobs, |op| (op.seq, op.prev, op.key) = (fifth, OpId::from_bytes([1; 32]), None));
        bob.stretch(&[unknown])
    }]));
    vec![
        row("an op without the one before it", one(ada.stretch(std::slice::from_ref(&second))), 409, "gap"),
        row("an op far beyond the end", one(ada.stretch(std::slice::from_ref(&far))), 409, "gap"),
        row(
            "an op over another past",
            push(&packed(&page::encode(&[
                ada.stretch(std::slice::from_ref(&first)),
                ada.stretch(std::slice::from_ref(&other_past)),
            ]))),
            409,
            "gap",
        ),
        row("a good stretch before a bad one", push(&good_then_bad), 409, "gap"),
        row("a signature of zeros", one(stretch_signed(std::slice::from_ref(&first), [0; 64])), 422, "bad_signature"),
        row("a signature of ones", one(stretch_signed(std::slice::from_ref(&first), [0xff; 64])), 422, "bad_signature"),
        row("a signature of somebody else", one(signed_by(std::slice::from_ref(&first), &bob)), 422, "bad_signature"),
        row(
            "a signature for another op",
            one(stretch_signed(std::slice::from_ref(&first), ada.key.sign(&second.id()))),
            422,
            "bad_signature",
        ),
        row("a key that is not the origin's", one(bob.stretch(std::slice::from_ref(&not_his_key))), 422, "wrong_key"),
        row(
            "another's op with another value",
            one(stretch_signed(std::slice::from_ref(&altered), stretch.signature)),
            422,
            "bad_signature",
        ),
        row(
            "another's op at another time",
            one(stretch_signed(std::slice::from_ref(&later), stretch.signature)),
            422,
            "bad_signature",
        ),
        row(
            "another's op, signed by the forger",
            one(signed_by(std::slice::from_ref(&altered), &ada)),
            422,
            "bad_signature",
        ),
        row(
            "an op that another never wrote",
            one(signed_by(std::slice::from_ref(&invented), &ada)),
            422,
            "bad_signature",
        ),
    ]
}

/// Requests that take their time. They are sent together with the others, and last as long as the hub lets them.
fn slow() -> Vec<Row> {
    let started = head("POST", "/v1/sync/push", &[("content-type", PAGE_TYPE), ("content-length", "500")]);
    vec![
        row(
            "a head that does not end",
            b"POST /v1/sync/hello HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_vec(),
            CLOSED,
            "",
        ),
        row("a body that does not come", [started.as_slice(), b"\x28"].concat(), 408, "timeout"),
    ]
}

/// What a hub says of its state.
fn state(door: &Door) -> Json {
    let answer = door.ask("/v1/sync/hello", &hello());
    json!({ "head": answer["head"], "vector": answer["vector_hash"], "digest": answer["digest"], "ops": answer["op_count"] })
}

/// The first stretch of the hub's log that begins a chain.
fn a_stretch(door: &Door) -> page::Stretch {
    let answer = door.post("/v1/sync/pull", JSON, b"{}");
    assert_eq!(answer.status, 200, "{answer:?}");
    let length = u32::from_le_bytes(answer.body[..4].try_into().expect("four bytes")) as usize;
    let item = zstd::decode_all(&answer.body[4..4 + length]).expect("an item is compressed");
    let position = item.iter().position(|byte| byte & 0x80 == 0).expect("a varint ends") + 1;
    let stretches = page::decode(&item[position + 32..]).expect("a page of the hub's reads");
    let begins = |stretch: &page::Stretch| stretch.entries[0].op.seq == Seq::FIRST;
    stretches.into_iter().find(begins).expect("a log begins with the beginning of a chain")
}

#[test]
fn a_hub_refuses_what_is_wrong_by_name_and_stays_as_it_was() {
    let world = World::new();
    let hub = world.hub();
    let (good, other) = (world.device("good"), world.device("other"));
    let kept: Vec<String> = (0..5).map(|n| good.task(&format!("task {n}"))).collect();
    world.converge();
    let door = Door::to_hub(&hub.url());
    let (before, in_step) = (state(&door), good.status());
    let log_id = door.ask("/v1/sync/hello", &hello())["log_id"].as_str().expect("a log id").to_owned();

    let tables =
        [not_http(), not_a_call(), not_json(), pulls(&log_id), broken_pages(), forged_pages(&a_stretch(&door)), slow()];
    let rows: Vec<Row> = tables.into_iter().flatten().collect();
    assert!(rows.len() >= 40, "{} rows", rows.len());
    let surprises = surprises(&door, &rows);

    assert!(surprises.is_empty(), "{} of {} rows:\n{}", surprises.len(), rows.len(), surprises.join("\n"));
    assert_eq!(state(&door), before);
    assert_eq!(hub.summary().missing, 0);
    assert_eq!(good.status().state_digest, in_step.state_digest);
    let late = good.task("after all that");
    world.converge();
    assert_eq!(other.title(&late), "after all that");
    kept.iter().for_each(|id| assert!(!other.is_hidden(id)));
    other.verify();
}

#[test]
fn a_refusal_of_the_protocol_is_proven_and_names_the_side_to_upgrade() {
    let world = World::new();
    let door = Door::to_hub(&world.hub().url());
    let id = door.ask("/v1/sync/hello", &hello())["hub"]["id"].clone();
    for (range, code, side) in [((2, 3), "upgrade_hub", "hub"), ((0, 0), "upgrade_device", "device")] {
        let answer = door.send(&hello_with("protocol", json!({ "min": range.0, "max": range.1 }))).expect("an answer");
        let refusal = answer.json();
        assert_eq!((answer.status, answer.code().as_str()), (426, code));
        assert_eq!(refusal["hint"], json!(format!("upgrade heph on the {side}")));
        assert_eq!(refusal["hub"]["id"], id, "{refusal}");
    }
}

#[test]
fn every_answer_carries_the_version_and_an_error_is_one_shape() {
    let world = World::new();
    let door = Door::to_hub(&world.hub().url());
    for bytes in [request("GET", "/nowhere", &[], b""), push(b"junk"), ask("/v1/sync/hello", "[]")] {
        let answer = door.send(&bytes).expect("an answer");
        assert_eq!(answer.header("heph-version"), Some(heph_api::VERSION));
        assert!(answer.header("x-request-id").is_some(), "{answer:?}");
        let refusal = answer.json();
        assert!(refusal["message"].as_str().is_some_and(|message| !message.is_empty()), "{refusal}");
    }
}
