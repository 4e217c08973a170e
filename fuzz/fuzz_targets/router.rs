//! The hub's calls, at its router: there is always an answer, a refusal has the one shape and changes nothing, and what
//! is well signed is taken, whatever it says.
#![no_main]

use arbitrary::Arbitrary;
use axum::Router;
use heph_fuzz::furnished;
use heph_fuzz::http::{Answer, Asked, ask, runtime};
use heph_fuzz::strange::{Write, written};
use heph_fuzz::world::{SeededEnv, packed};
use heph_store::id::{LogId, OpRef, Origin};
use heph_store::page;
use heph_store::read::Reads;
use heph_store::vector::{Tip, Vector};
use hephd::config::ServerConfig;
use hephd::hub::routes_of;
use hephd::limits::{VECTOR_PART_ORIGINS, VERSION_BYTES_MAX};
use hephd::run::shutdown;
use hephd::sync::page::{Items, compress, decompress};
use hephd::sync::protocol::{
    HUB_HEADER, HelloAnswer, LOG_HEADER, NDJSON_TYPE, OpsRequest, PAGE_TYPE, PAGES_TYPE, PushAnswer, VectorAnswer, path,
};
use hephd::sync::text::Base64;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use tokio::runtime::Runtime;

/// Requests of one input.
const REQUESTS_MAX: usize = 8;
const CHALLENGE: [u8; 32] = [3; 32];

#[derive(Debug, Arbitrary)]
struct Sent<'a> {
    call: Call<'a>,
    manner: Manner<'a>,
}

/// How a request is made; by default as a device makes it.
#[derive(Debug, Arbitrary)]
struct Manner<'a> {
    plain: bool,
    host: Option<&'a str>,
    hub: Option<&'a str>,
    log: Option<&'a str>,
    more: Vec<(&'a str, &'a [u8])>,
    method: Option<&'a str>,
    path: Option<&'a str>,
    parts: u8,
    breaks_off: bool,
}

#[derive(Debug, Arbitrary)]
enum Call<'a> {
    Hello { protocol: (u8, u8), name: &'a str, version: &'a str, cursor: Option<Position>, clock_ms: u64 },
    Vector { after: Option<u8> },
    Pull { cursor: Option<Position>, vector: Option<Have<'a>>, page_bytes: Option<u64>, lines: bool },
    Push(Page<'a>),
    Fork { origin: u8, tips: Vec<(u64, u8)> },
    Digest,
    Ops(Vec<u8>),
    Events,
    Ask(u8),
    Json { call: u8, text: &'a str },
}

#[derive(Debug, Arbitrary)]
enum Page<'a> {
    Raw(&'a [u8]),
    Packed(&'a [u8]),
    Signed(Vec<Write<'a>>),
    Spoilt { writes: Vec<Write<'a>>, at: u16, by: u8 },
}

#[derive(Debug, Arbitrary)]
struct Position {
    log: u8,
    position: u8,
    roll: u8,
}

#[derive(Debug, Arbitrary)]
enum Have<'a> {
    Raw(&'a [u8]),
    /// Some of what the hub has, and other things.
    Tips(Vec<(u8, u8, u8)>),
}

/// A hub, and what a device knows of it.
struct Hub {
    router: Router,
    reads: Reads,
    log: LogId,
    id: String,
    origins: Vec<Origin>,
    ops: Vec<(OpRef, Tip)>,
    // Dropped last: the hub closes its files on it, in the directory.
    runtime: Runtime,
    _dir: tempfile::TempDir,
}

thread_local! {
    static HUB: RefCell<Option<Hub>> = const { RefCell::new(None) };
}

fuzz_target!(|sent: Vec<Sent<'_>>| {
    HUB.with_borrow_mut(|slot| {
        let hub = slot.get_or_insert_with(Hub::open);
        let begun = hub.standing();
        for sent in sent.iter().take(REQUESTS_MAX) {
            hub.take(sent);
        }
        if hub.standing() != begun {
            *slot = None;
        }
    });
});

impl Hub {
    fn open() -> Self {
        let (dir, runtime) = (tempfile::tempdir().expect("a directory"), runtime());
        let at = |name: &str| dir.path().join(name);
        let config = ServerConfig {
            db: at("heph.db"),
            control: at("hub.db"),
            key: at("hub.key"),
            http_addr: "127.0.0.1:8787".parse().expect("an address"),
        };
        furnished::copy_to(&config.db);
        let (stop, shutdown) = shutdown();
        // It is never asked to stop; a sender that is gone would ask for that.
        std::mem::forget(stop);
        let router = runtime.block_on(async { routes_of(&config, SeededEnv::new(5), &shutdown) }).expect("a hub");
        let reads = Reads::open(&config.db).expect("its replica");
        let (log, vector) =
            reads.read(|view| Ok::<_, heph_store::Error>((view.log_id()?, view.vector()?))).expect("reads");
        let tips = vector.iter().flat_map(|(origin, tips)| tips.iter().map(move |tip| (origin, *tip)));
        let ops = tips.map(|(origin, tip)| (OpRef::new(origin, tip.seq, &tip.id), tip)).collect();
        let origins = vector.iter().map(|(origin, _)| origin).collect();
        let mut hub = Self { router, reads, log, id: String::new(), origins, ops, runtime, _dir: dir };
        let hello = Call::Hello { protocol: (1, 1), name: "a", version: "1", cursor: None, clock_ms: 1 };
        let answer = hub.put(&hello, &PLAIN).expect("hello is HTTP");
        let answer: HelloAnswer = serde_json::from_slice(&answer.body).expect("hello is answered");
        hub.id = answer.hub.id.to_string();
        hub
    }

    /// All that a refused request must leave alone.
    fn standing(&self) -> (u64, [u8; 32]) {
        let summary = self.reads.read(|view| view.summary()).expect("the replica can be read");
        (summary.head, summary.digest)
    }

    fn take(&self, sent: &Sent<'_>) {
        let manner = if sent.manner.plain { &PLAIN } else { &sent.manner };
        let before = self.standing();
        let Some(answer) = self.put(&sent.call, manner) else { return };
        assert!(answer.headers.contains_key("heph-version"), "{answer:?}");
        if answer.is_refusal() || !matches!(sent.call, Call::Push(_)) {
            assert_eq!(self.standing(), before, "{} left a trace", answer.status);
        }
        if sent.manner.plain {
            self.answered(&sent.call, &answer);
        }
    }

    fn put(&self, call: &Call<'_>, manner: &Manner<'_>) -> Option<Answer> {
        let (method, path, content, body) = self.plain(call);
        let text = |text: &str| text.as_bytes().to_vec();
        let mut headers = vec![("host".to_owned(), text(manner.host.unwrap_or("127.0.0.1:8787")))];
        headers.push(("content-type".to_owned(), text(content)));
        if path != path::HELLO {
            headers.push((HUB_HEADER.to_owned(), text(manner.hub.unwrap_or(&self.id))));
            headers.push((LOG_HEADER.to_owned(), text(manner.log.unwrap_or(&self.log.to_string()))));
        }
        if let Call::Pull { lines, .. } = call {
            headers.push(("accept".to_owned(), text(if *lines { NDJSON_TYPE } else { PAGES_TYPE })));
        }
        headers.extend(manner.more.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())));
        let method = manner.method.unwrap_or(method).to_owned();
        let path = manner.path.unwrap_or(path).to_owned();
        let (parts, breaks_off) = (manner.parts, manner.breaks_off);
        ask(&self.runtime, &self.router, &Asked { method, path, headers, body, parts, breaks_off })
    }

    /// Method, path, type and body of a call as a device makes it.
    fn plain(&self, call: &Call<'_>) -> (&'static str, &'static str, &'static str, Vec<u8>) {
        let json = |path, body: Json| ("POST", path, "application/json", body.to_string().into_bytes());
        match call {
            Call::Hello { protocol, name, version, cursor, clock_ms } => {
                let hello = json!({
                    "protocol": { "min": protocol.0, "max": protocol.1 }, "origin": self.origin(0).to_string(),
                    "name": name, "challenge": "03".repeat(32), "vector_hash": "00".repeat(32),
                    "cursor": self.cursor(cursor.as_ref()), "clock_ms": clock_ms, "rules_version": 1,
                    "digest": "00".repeat(32), "op_count": 0, "version": version,
                });
                json(path::HELLO, hello)
            }
            Call::Vector { after } => json(path::VECTOR, json!({ "after": after.map(|n| self.origin(n).to_string()) })),
            Call::Pull { cursor, vector, page_bytes, .. } => {
                let vector = vector.as_ref().map(|vector| Base64(self.vector(vector)));
                let cursor = self.cursor(cursor.as_ref());
                json(path::PULL, json!({ "cursor": cursor, "vector": vector, "page_bytes": page_bytes }))
            }
            Call::Push(page) => ("POST", path::PUSH, PAGE_TYPE, page.bytes()),
            Call::Fork { origin, tips } => {
                let tip = |(seq, id): &(u64, u8)| {
                    self.ops.get(usize::from(*id)).map_or_else(
                        || json!({ "seq": seq, "id": hex(*id, 32) }),
                        |(_, tip)| json!({ "seq": tip.seq.get(), "id": tip.id.to_string() }),
                    )
                };
                let tips: Vec<Json> = tips.iter().map(tip).collect();
                json(path::FORK, json!({ "origin": self.origin(*origin).to_string(), "tips": tips }))
            }
            Call::Digest => json(path::DIGEST, json!({})),
            Call::Ops(ops) => {
                let known = |number: &u8| self.ops.get(usize::from(*number)).map(|(op, _)| *op);
                let ops = OpsRequest { ops: ops.iter().filter_map(known).collect() };
                json(path::OPS, serde_json::to_value(ops).expect("references are text"))
            }
            Call::Events => ("GET", path::EVENTS, "", Vec::new()),
            Call::Ask(which) => {
                ("GET", ["/healthz", "/readyz", path::VERSION][usize::from(*which) % 3], "", Vec::new())
            }
            Call::Json { call, text } => {
                const CALLS: [&str; 7] =
                    [path::HELLO, path::VECTOR, path::PULL, path::PUSH, path::FORK, path::DIGEST, path::OPS];
                ("POST", CALLS[usize::from(*call) % CALLS.len()], "application/json", text.as_bytes().to_vec())
            }
        }
    }

    fn origin(&self, number: u8) -> Origin {
        self.origins.get(usize::from(number)).copied().unwrap_or(Origin::from_bytes([number; 16]))
    }

    fn cursor(&self, cursor: Option<&Position>) -> Json {
        cursor.map_or(Json::Null, |cursor| {
            let log = if cursor.log == 0 { self.log.to_string() } else { hex(cursor.log, 16) };
            json!({ "log_id": log, "position": cursor.position, "roll": hex(cursor.roll, 32) })
        })
    }

    fn vector(&self, have: &Have<'_>) -> Vec<u8> {
        let tips = match have {
            Have::Raw(bytes) => return bytes.to_vec(),
            Have::Tips(tips) => tips,
        };
        let mut vector = Vector::default();
        for (origin, seq, id) in tips {
            let foreign = || Tip {
                seq: heph_store::id::Seq::new(u64::from(*seq) + 1).expect("at least one"),
                id: heph_store::id::OpId::from_bytes([*id; 32]),
            };
            let tip = self.ops.get(usize::from(*id)).map_or_else(foreign, |(_, tip)| *tip);
            vector.insert(self.origin(*origin), tip);
        }
        vector.encode()
    }

    /// What has to come of a call that was made as devices make it.
    fn answered(&self, call: &Call<'_>, answer: &Answer) {
        let status = answer.status.as_u16();
        match call {
            Call::Hello { version, name, .. } if status == 200 => {
                let hello: HelloAnswer = serde_json::from_slice(&answer.body).expect("an answer to hello");
                assert!(
                    hello.hub.holds(&CHALLENGE, self.origin(0))
                        && version.len() <= VERSION_BYTES_MAX
                        && !name.contains('\n')
                );
            }
            Call::Vector { .. } => {
                let part: VectorAnswer = serde_json::from_slice(&answer.body).expect("a part of the vector");
                Vector::decode(&part.vector.0, VECTOR_PART_ORIGINS).expect("it decodes");
            }
            Call::Pull { lines: false, .. } if status == 200 => pages(answer),
            Call::Pull { lines: true, .. } if status == 200 && answer.whole => {
                let text = std::str::from_utf8(&answer.body).expect("lines of text");
                text.lines().for_each(|line| drop(serde_json::from_str::<Json>(line).expect("a line of JSON")));
            }
            Call::Push(Page::Signed(writes)) => {
                assert_eq!(status, 200, "what is well signed is refused: {}", String::from_utf8_lossy(&answer.body));
                let taken: PushAnswer = serde_json::from_slice(&answer.body).expect("an answer to push");
                assert_eq!(taken.added + taken.known, written(writes).len() as u64);
            }
            Call::Digest | Call::Events | Call::Ask(_) => assert_eq!(status, 200),
            Call::Ops(ops) if status == 200 => {
                let page = decompress(&answer.body).expect("a page");
                assert!(!page::decode(&page).expect("a page").is_empty() || ops.is_empty() || self.ops.len() <= 255);
            }
            _ => {}
        }
    }
}

fn pages(answer: &Answer) {
    let mut items = Items::default();
    items.feed(&answer.body);
    let mut ended = false;
    while let Some(item) = items.next_item().expect("items") {
        assert!(!ended, "something follows the end");
        ended = item.is_end();
        assert!(ended || !page::decode(&item.page).expect("a page").is_empty());
    }
    assert!(!answer.whole || ended, "a pull without an end");
}

const PLAIN: Manner<'static> = Manner {
    plain: true,
    host: None,
    hub: None,
    log: None,
    more: Vec::new(),
    method: None,
    path: None,
    parts: 0,
    breaks_off: false,
};

impl Page<'_> {
    fn bytes(&self) -> Vec<u8> {
        let signed = |writes: &[Write<'_>]| {
            let stretches: Vec<_> = written(writes).into_iter().map(|written| written.stretch).collect();
            packed(&stretches)
        };
        let page = match self {
            Self::Raw(bytes) => return bytes.to_vec(),
            Self::Packed(bytes) => bytes.to_vec(),
            Self::Signed(writes) => signed(writes),
            Self::Spoilt { writes, at, by } => {
                let mut page = signed(writes);
                let at = usize::from(*at) % page.len();
                page[at] ^= by;
                page
            }
        };
        compress(&page).expect("zstd compresses")
    }
}

fn hex(byte: u8, times: usize) -> String {
    format!("{byte:02x}").repeat(times)
}
