//! The local API, at its router: every call with anything in it, over a vault with any files. There is always an answer,
//! a refusal has the one shape and changes nothing, and at the end the replica is sound.
#![no_main]

use arbitrary::Arbitrary;
use axum::Router;
use heph_fuzz::furnished;
use heph_fuzz::http::{Answer, Asked, ask, runtime};
use heph_fuzz::strange::node;
use heph_fuzz::world::SeededEnv;
use heph_store::read::Reads;
use hephd::config::LocalConfig;
use hephd::run::shutdown;
use hephd::spoke::{Outside, Running};
use libfuzzer_sys::fuzz_target;
use serde_json::{Value as Json, json};
use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use tokio::runtime::Runtime;
use tokio::sync::watch;

/// Calls of one input.
const CALLS_MAX: usize = 8;
/// Files in the vault.
const FILES_MAX: usize = 6;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    files: Vec<(&'a [u8], &'a [u8])>,
    calls: Vec<Call<'a>>,
}

#[derive(Debug, Arbitrary)]
struct Call<'a> {
    which: u8,
    /// Members that are set otherwise than in the example.
    members: Vec<(u8, Member<'a>)>,
    /// Another body altogether.
    raw: Option<&'a str>,
    manner: Option<Manner<'a>>,
}

#[derive(Debug, Arbitrary)]
struct Manner<'a> {
    method: Option<&'a str>,
    path: Option<&'a str>,
    headers: Vec<(&'a str, &'a [u8])>,
    parts: u8,
    breaks_off: bool,
}

#[derive(Debug, Arbitrary)]
enum Member<'a> {
    Absent,
    Null,
    Flag(bool),
    Number(i64),
    Text(&'a str),
    Texts(Vec<&'a str>),
    /// One of the nodes; by so many of its last digits, if it is said.
    Node(u8, Option<u8>),
    Day(u16),
    /// The version of a text, as it was at the start.
    Version,
    Written {
        text: &'a str,
        version: bool,
    },
    /// An op of the history of a node.
    Op(u8),
}

/// The calls, each with an example of it. `~` stands for the directory of the input.
const CALLS: &[(&str, &str)] = &[
    (
        "/v1/task/create",
        r#"{"title":"t","do_date":"2026-11-20","late_on":"2026-11-21T10:30","attention":"red",
        "recurrence":"weekdays","project":"garden","tags":["home"],"body":"text"}"#,
    ),
    (
        "/v1/task/list",
        r#"{"project":null,"tag":null,"state":"all","due":"2026-12-01","attention":null,"limit":2,"after":null}"#,
    ),
    (
        "/v1/task/edit",
        r#"{"id":"$0","title":"u","do_date":"2026-11-20","late_on":null,"attention":"blue",
        "recurrence":"FREQ=DAILY","project":"$1","state":"done","add_tags":["a"],"remove_tags":["seeds"],
        "body":{"text":"x"},"seen":[]}"#,
    ),
    ("/v1/task/edit", r#"{"id":"$3","title":"u"}"#),
    ("/v1/task/done", r#"{"id":"$0","occurrence":null,"today":"2026-11-27"}"#),
    ("/v1/task/drop", r#"{"id":"$3"}"#),
    ("/v1/task/log", r#"{"id":"$0","text":"note"}"#),
    ("/v1/task/context", r#"{"id":"$0"}"#),
    ("/v1/task/append-context", r#"{"id":"$0","text":"more"}"#),
    ("/v1/node/show", r#"{"id":"$2"}"#),
    ("/v1/node/delete", r#"{"id":"$2"}"#),
    ("/v1/node/undelete", r#"{"id":"$4"}"#),
    ("/v1/node/history", r#"{"id":"$2","limit":3,"after":null}"#),
    ("/v1/node/backlinks", r#"{"id":"$0"}"#),
    ("/v1/node/search", r#"{"query":"seeds","limit":5}"#),
    ("/v1/doc/create", r#"{"title":"d","body":"b","project":null,"tags":[]}"#),
    ("/v1/doc/show", r#"{"id":"$2"}"#),
    ("/v1/doc/save", r#"{"id":"$2","body":"new","version":"@"}"#),
    ("/v1/doc/append", r#"{"id":"$2","text":"more"}"#),
    ("/v1/doc/list", r#"{"project":null,"tag":"seeds","limit":1,"after":null}"#),
    ("/v1/journal/show", r#"{"date":"2026-11-20"}"#),
    ("/v1/journal/append", r#"{"date":"2026-11-20","text":"today"}"#),
    ("/v1/journal/save", r#"{"date":"2026-11-20","body":"today","version":"@"}"#),
    ("/v1/conflict/list", "{}"),
    ("/v1/conflict/show", r#"{"id":"$3"}"#),
    ("/v1/conflict/take", r#"{"id":"$3","field":"title","head":{"number":2}}"#),
    ("/v1/undo/undo", r#"{"op":null}"#),
    ("/v1/replica/verify", "{}"),
    ("/v1/replica/devices", "{}"),
    ("/v1/daemon/version", "{}"),
    ("/v1/sync/now", r#"{"wait":true}"#),
    ("/v1/sync/status", "{}"),
    ("/v1/sync/switch-hub", r#"{"confirm":null}"#),
    ("/v1/import/obsidian", r#"{"dir":"~vault","vault":"notes"}"#),
    ("/v1/export/vault", r#"{"dir":"~out"}"#),
    ("/v1/replica/backup", r#"{"file":"~copy.db"}"#),
];
/// So many at the end name places in the file system.
const OF_FILES: usize = 3;

/// A daemon, and what a person knows of it.
struct Daemon {
    router: Router,
    reads: Reads,
    version: String,
    ops: Vec<String>,
    // Dropped in this order: the daemon closes its file on the runtime, in the directory.
    _running: Running,
    runtime: Runtime,
    dir: tempfile::TempDir,
}

thread_local! {
    static DAEMON: RefCell<Option<Daemon>> = const { RefCell::new(None) };
}

fuzz_target!(|input: Input<'_>| {
    DAEMON.with_borrow_mut(|slot| {
        let daemon = slot.get_or_insert_with(Daemon::open);
        let begun = daemon.standing();
        let wrote = lay_out(&daemon.dir.path().join("vault"), &input.files);
        let calls: Vec<usize> = input.calls.iter().take(CALLS_MAX).map(|call| daemon.take(call)).collect();
        let changed = daemon.standing() != begun;
        if changed {
            let body = b"{}".to_vec();
            let answer = daemon.put("/v1/replica/verify", body, None).expect("it is HTTP");
            let report: Json = serde_json::from_slice(&answer.body).expect("a report");
            assert_eq!(report["ok"], json!(true), "{report}");
        }
        if changed || wrote || calls.iter().any(|which| *which + OF_FILES >= CALLS.len()) {
            *slot = None;
        }
    });
});

/// Writes the files, under names that lead nowhere else. Returns whether there are any.
fn lay_out(vault: &Path, files: &[(&[u8], &[u8])]) -> bool {
    for (name, content) in files.iter().take(FILES_MAX) {
        let parts: Vec<&[u8]> =
            name.split(|byte| *byte == b'/').filter(|part| !matches!(*part, b"" | b"." | b"..")).collect();
        let path = parts.iter().fold(vault.to_owned(), |path, part| path.join(OsStr::from_bytes(part)));
        let folder = path.parent().filter(|folder| folder.starts_with(vault));
        // A name that no file can have is not written.
        if folder.is_some_and(|folder| fs::create_dir_all(folder).is_ok()) && fs::write(&path, content).is_err() {
            continue;
        }
    }
    !files.is_empty()
}

impl Daemon {
    fn open() -> Self {
        let (dir, runtime) = (tempfile::tempdir().expect("a directory"), runtime());
        let db = dir.path().join("heph.db");
        furnished::copy_to(&db);
        fs::create_dir(dir.path().join("vault")).expect("a vault");
        let socket = dir.path().join("heph.sock");
        let config = LocalConfig { db: db.clone(), socket, hub_url: None, device_name: "here".to_owned() };
        let (stop, shutdown) = shutdown();
        // It is never asked to stop; a sender that is gone would ask for that.
        std::mem::forget(stop);
        let outside = Outside { env: SeededEnv::new(5), wire: None, network: watch::channel(0).1 };
        let running = runtime.block_on(Running::start(config, outside, &shutdown)).expect("a daemon");
        let reads = Reads::open(&db).expect("its replica");
        let (version, ops) = reads
            .read(|view| {
                let seeds = view.node(node(2))?.expect("it is furnished");
                let task = view.node(node(3))?.expect("it is furnished");
                let history = [view.history(&seeds, 9)?, view.history(&task, 9)?].concat();
                let ops = history.iter().map(|entry| entry.op.to_string()).collect();
                Ok::<_, heph_store::Error>((view.body(&seeds)?.version.to_string(), ops))
            })
            .expect("the replica can be read");
        Self { router: running.routes(), reads, version, ops, _running: running, runtime, dir }
    }

    fn standing(&self) -> (u64, [u8; 32]) {
        let summary = self.reads.read(|view| view.summary()).expect("the replica can be read");
        (summary.head, summary.digest)
    }

    /// Makes a call, and returns which.
    fn take(&self, call: &Call<'_>) -> usize {
        let which = usize::from(call.which) % CALLS.len();
        let (path, example) = CALLS[which];
        let names_files = which + OF_FILES >= CALLS.len();
        let body = match call.raw.filter(|_| !names_files) {
            Some(raw) => raw.as_bytes().to_vec(),
            None => self.filled(example, &call.members, names_files).into_bytes(),
        };
        let manner = call.manner.as_ref().filter(|_| !names_files);
        let before = self.standing();
        if let Some(answer) = self.put(path, body, manner) {
            assert!(answer.whole && answer.headers.contains_key("heph-version"), "{answer:?}");
            // An import or an export goes on with the other notes.
            if answer.is_refusal() && !names_files {
                assert_eq!(self.standing(), before, "{path} is refused and leaves a trace");
            }
        }
        which
    }

    fn put(&self, path: &str, body: Vec<u8>, manner: Option<&Manner<'_>>) -> Option<Answer> {
        let mut asked = Asked { method: "POST".to_owned(), path: path.to_owned(), body, ..Asked::default() };
        if let Some(manner) = manner {
            asked.method = manner.method.unwrap_or("POST").to_owned();
            asked.path = manner.path.filter(|path| is_of_no_file(path)).unwrap_or(path).to_owned();
            asked.headers = manner.headers.iter().map(|(name, value)| ((*name).to_owned(), value.to_vec())).collect();
            (asked.parts, asked.breaks_off) = (manner.parts, manner.breaks_off);
        }
        ask(&self.runtime, &self.router, &asked)
    }

    /// The example with these members, and with what its signs stand for.
    fn filled(&self, example: &str, members: &[(u8, Member<'_>)], names_files: bool) -> String {
        let mut example: Json = serde_json::from_str(example).expect("the example is JSON");
        let object = example.as_object_mut().expect("and an object");
        for value in object.values_mut() {
            if let Some(text) = value.as_str().filter(|text| text.len() == 2 && text.starts_with('$')) {
                *value = json!(node(text.as_bytes()[1] - b'0').to_string());
            } else if value == "@" {
                *value = json!(self.version);
            }
        }
        let names: Vec<String> = object.keys().cloned().collect();
        for (which, member) in members.iter().filter(|_| !names.is_empty()) {
            let name = &names[usize::from(*which) % names.len()];
            match member.json(self) {
                Some(value) => object.insert(name.clone(), value),
                None => object.remove(name),
            };
        }
        for name in ["dir", "file"].into_iter().filter(|_| names_files) {
            if let Some(value) = object.get_mut(name) {
                *value = json!(self.inside(value.as_str().unwrap_or("~vault")));
            }
        }
        example.to_string()
    }

    /// A place within the directory.
    fn inside(&self, said: &str) -> PathBuf {
        let name = said.trim_start_matches('~').replace(['/', '\0'], "_");
        let name = if matches!(name.as_str(), "" | "." | "..") || name.starts_with("heph.") { "vault" } else { &name };
        self.dir.path().join(name)
    }
}

fn is_of_no_file(path: &str) -> bool {
    let of_files = &CALLS[CALLS.len() - OF_FILES..];
    // What is percent-encoded is no other path to heph; it need not be tried with a body that may name any place.
    !path.contains('%') && of_files.iter().all(|(known, _)| !path.contains(known))
}

impl Member<'_> {
    fn json(&self, daemon: &Daemon) -> Option<Json> {
        Some(match self {
            Self::Absent => return None,
            Self::Null => Json::Null,
            Self::Flag(flag) => json!(flag),
            Self::Number(number) => json!(number),
            Self::Text(text) => json!(text),
            Self::Texts(texts) => json!(texts),
            Self::Node(number, None) => json!(node(*number).to_string()),
            Self::Node(number, Some(digits)) => {
                let id = node(*number).digits();
                json!(id[id.len() - usize::from(*digits) % id.len()..])
            }
            Self::Day(day) => json!(format!("20{:02}-{:02}-{:02}", day % 100, day / 100 % 14, day / 1_400 % 33)),
            Self::Version => json!(daemon.version),
            Self::Written { text, version: true } => json!({ "text": text, "version": daemon.version }),
            Self::Written { text, version: false } => json!({ "text": text }),
            Self::Op(number) => json!(daemon.ops.get(usize::from(*number) % daemon.ops.len().max(1))),
        })
    }
}
