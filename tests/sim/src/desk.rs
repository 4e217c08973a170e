//! Where a person sits: one spoke's local API, what they know of, what they type. No two words typed are the same.

use axum::Router;
use axum::body::Body;
use heph_api::types::Call;
use heph_api::{ApiError, code};
use heph_store::id::NodeId;
use http_body_util::BodyExt;
use hyper_util::service::TowerToHyperService;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// A text that somebody has open.
#[derive(Debug, Clone)]
pub struct Seen {
    /// At which spoke.
    pub spoke: usize,
    /// Of which node.
    pub id: String,
    /// As it was read.
    pub text: String,
    /// The version that was read.
    pub version: String,
}

/// What an act of unknown outcome may have done.
#[derive(Debug, Default)]
pub struct Attempted {
    /// A text was written over another.
    pub text: Option<(String, String)>,
    /// Something was undone.
    pub undoes: bool,
    /// A text was saved from an old reading.
    pub old_reading: Option<NodeId>,
}

/// What all desks of a system know of.
#[derive(Debug, Default)]
pub struct Known {
    /// Tasks, oldest first, each with the spoke that made it.
    pub tasks: Vec<(usize, String)>,
    /// Notes, likewise.
    pub docs: Vec<(usize, String)>,
    /// Notes that were imported.
    pub imports: u64,
    /// Texts that are open somewhere.
    pub open: VecDeque<Seen>,
    /// Ops that undid or settled something lately, as they were told of.
    pub turned: VecDeque<String>,
    /// Words that were typed.
    words: u64,
}

/// One person at one spoke, for one thing to do.
pub struct Desk {
    /// Chance.
    pub rng: fastrand::Rng,
    /// What was about to be done when the last act failed: maybe it was.
    pub attempted: Attempted,
    /// The door to the replica, for what has no call yet.
    pub writer: Option<hephd::writer::Writer>,
    spoke: usize,
    routes: Router,
    known: Arc<Mutex<Known>>,
    vaults: PathBuf,
}

/// How many texts stay open.
const OPEN_MAX: usize = 12;
/// How many ops that undid or settled something are remembered.
const TURNED_MAX: usize = 4;
/// How many nodes everybody edits at a time, and until how many more there are.
const HOT: usize = 4;
const HOT_FOR: usize = 60;
/// Bytes of a long text: more than one op holds.
const LONG_BYTES: usize = 300_000;
/// Notes in a vault.
const VAULT_NOTES: usize = 12;

impl Desk {
    /// A desk at a spoke.
    pub fn new(
        spoke: usize,
        routes: Router,
        writer: Option<hephd::writer::Writer>,
        known: Arc<Mutex<Known>>,
        vaults: PathBuf,
        seed: u64,
    ) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(seed),
            attempted: Attempted::default(),
            writer,
            spoke,
            routes,
            known,
            vaults,
        }
    }

    /// Asks the daemon.
    pub async fn call<C: Call>(&self, call: &C) -> Result<C::Answer, ApiError> {
        let lost = |what: String| ApiError::new(code::STOPPING, what);
        let body = serde_json::to_vec(call).map_err(|error| lost(error.to_string()))?;
        let request = hyper::Request::post(C::PATH).header("content-type", "application/json").body(Body::from(body));
        let request = request.map_err(|error| lost(error.to_string()))?;
        let routes = TowerToHyperService::new(self.routes.clone());
        let Ok(response) = hyper::service::Service::call(&routes, request).await;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|error| lost(error.to_string()))?.to_bytes();
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| ApiError::new(code::INTERNAL, error.to_string()));
        }
        Err(serde_json::from_slice(&body).unwrap_or_else(|error| ApiError::new(code::INTERNAL, error.to_string())))
    }

    /// Changes what is known of.
    pub fn known<T>(&self, change: impl FnOnce(&mut Known) -> T) -> T {
        change(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A task: one that everybody edits, one that was made here lately, or any.
    pub fn task(&mut self) -> String {
        let tasks = self.known(|known| std::mem::take(&mut known.tasks));
        let chosen = self.choice(&tasks);
        self.known(|known| known.tasks = tasks);
        chosen
    }

    /// A note, likewise.
    pub fn doc(&mut self) -> String {
        let docs = self.known(|known| std::mem::take(&mut known.docs));
        let chosen = self.choice(&docs);
        self.known(|known| known.docs = docs);
        chosen
    }

    /// A task or a note.
    pub fn any(&mut self) -> String {
        if self.rng.u8(..) < 170 { self.task() } else { self.doc() }
    }

    fn choice(&mut self, of: &[(usize, String)]) -> String {
        let mut made_here = of.iter().rev().filter(|(spoke, _)| *spoke == self.spoke);
        let chosen = match self.rng.u8(0..10) {
            // What all work on changes in time, as it does in life.
            0..4 => of.get(of.len() / HOT_FOR * HOT_FOR + self.rng.usize(0..HOT)),
            4..8 => made_here.nth(self.rng.usize(0..8)),
            _ => of.get(self.rng.usize(0..of.len().max(1))),
        };
        chosen.or_else(|| of.first()).map_or_else(nothing, |(_, id)| id.clone())
    }

    /// A day near the others', as dates are written.
    pub fn day(&mut self) -> String {
        format!("2026-01-{:02}", self.rng.u8(5..12))
    }

    /// One of a few tags.
    pub fn tag(&mut self) -> String {
        ["home", "Work", "ÄRGER", "x/y"][self.rng.usize(0..4)].to_owned()
    }

    /// A few words that were never typed before.
    pub fn words(&mut self) -> String {
        let number = self.known(|known| {
            known.words += 1;
            known.words
        });
        let word = ["note", "call", "milk", "Grüße", "日本", "🙂"][self.rng.usize(0..6)];
        format!("{word} ⟦s{}-{number}⟧", self.spoke)
    }

    /// Several lines of them.
    pub fn lines(&mut self, count: usize) -> String {
        (0..count).map(|_| self.words() + "\n").collect()
    }

    /// What an edit makes of a text: lines go, come, change places.
    pub fn edited(&mut self, text: &str) -> String {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        for _ in 0..self.rng.usize(1..4) {
            let at = self.rng.usize(0..=lines.len());
            match self.rng.u8(0..10) {
                0..2 if at < lines.len() => drop(lines.remove(at)),
                2..4 if at < lines.len() => lines[at] = self.words(),
                4 if at < lines.len() => {
                    let word = self.words();
                    lines[at].push_str(&word);
                }
                _ => lines.insert(at, self.words()),
            }
        }
        lines.truncate(200);
        // As editors do: without the last line's end, it would be another line.
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    /// A text and much more, so that it becomes several ops.
    pub fn lengthened(&mut self, text: &str) -> String {
        if text.len() > LONG_BYTES {
            return self.edited(text.get(..1_000).unwrap_or_default());
        }
        let mut long = text.to_owned();
        let word = self.words();
        while long.len() < LONG_BYTES {
            long.push_str("\nsomething long-winded that nobody reads");
        }
        long + "\n" + &word + "\n"
    }

    /// Keeps a text open.
    pub fn keep(&self, seen: Seen) {
        self.known(|known| {
            known.open.push_back(seen);
            if known.open.len() > OPEN_MAX {
                known.open.pop_front();
            }
        });
    }

    /// Notes an op that undid or settled something: it may be undone, too.
    pub fn turned(&self, op: Option<&String>) {
        self.known(|known| {
            known.turned.extend(op.cloned());
            if known.turned.len() > TURNED_MAX {
                known.turned.pop_front();
            }
        });
    }

    /// One of these ops.
    pub fn turn(&mut self) -> Option<String> {
        let back = self.rng.usize(0..TURNED_MAX);
        self.known(|known| known.turned.iter().rev().cycle().nth(back).cloned())
    }

    /// A text that was opened here some time ago.
    pub fn kept(&self) -> Option<Seen> {
        self.known(|known| {
            let at = known.open.iter().position(|seen| seen.spoke == self.spoke)?;
            known.open.remove(at)
        })
    }

    /// Which spoke this is.
    pub fn spoke(&self) -> usize {
        self.spoke
    }

    /// The directory of one of a few vaults, made if it is not there; the same on every device.
    pub fn vault(&mut self) -> PathBuf {
        let number = self.rng.usize(0..3);
        let dir = self.vaults.join(format!("vault{number}"));
        if !dir.exists() {
            std::fs::create_dir_all(&dir).unwrap();
            for note in 0..VAULT_NOTES {
                let text = format!("# Note {note}\n\nfrom the vault ⟦v{number}-{note}⟧ see [[Note {}]]\n", note + 1);
                std::fs::write(dir.join(format!("Note {note}.md")), text).unwrap();
            }
        }
        dir
    }
}

/// The id of a node that is nowhere.
fn nothing() -> String {
    "0198c000-0000-7000-8000-000000000000".to_owned()
}
