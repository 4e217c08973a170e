//! A world without sockets: devices and a hub as replicas in a directory, and a network between them that can be told
//! to fail.

#![allow(clippy::unwrap_used)]

mod faults;

pub use faults::Faults;

use super::*;
use crate::spoke::hub_client::{Away, Heads, HubError, Pages, Proven};
use crate::spoke::notices;
use crate::spoke::size::Size;
use crate::sync::page::Item;
use crate::sync::protocol::{
    DigestAnswer, ForkAnswer, ForkRequest, Head, PullRequest, PushAnswer, Refusal, VectorAnswer, VectorRequest, code,
    hub_id,
};
use crate::sync::text::Base64;
use ed25519_dalek::SigningKey;
use futures_util::{StreamExt, stream};
use heph_store::copy;
use heph_store::env::SystemEnv;
use heph_store::error::Error as StoreError;
use heph_store::exchange::Coverage;
use heph_store::field::{Field, KIND, TITLE, Value};
use heph_store::merge::RULES_VERSION;
use heph_store::op::Place;
use heph_store::page::{PackedStretch, Stretch, decode, encode};
use heph_store::replica::Replica;
use std::path::PathBuf;
use std::sync::Mutex;

/// Origins in a vector that the fake hub's hello carries.
const INLINE: usize = 8;
/// How many bytes its pages aim at: small, so that there are several.
const PAGE: usize = 2_000;

/// A hub in the same process.
pub struct FakeHub {
    pub key: Mutex<SigningKey>,
    pub replica: Mutex<Doors>,
    pub faults: Mutex<Faults>,
    /// Names of the calls, in order.
    pub calls: Mutex<Vec<&'static str>>,
}

/// A replica's file and the doors to it.
#[derive(Clone)]
pub struct Doors {
    pub path: PathBuf,
    pub writer: Writer,
    pub readers: Readers,
}

impl Doors {
    pub fn open(path: PathBuf) -> Self {
        let replica = Replica::open(&path, Arc::new(SystemEnv)).unwrap();
        Self { writer: Writer::start(replica).unwrap(), readers: Readers::new(path.clone()), path }
    }

    pub async fn read<T: Send + 'static>(&self, look: impl FnOnce(&View<'_>) -> StoreResult<T> + Send + 'static) -> T {
        self.readers.read(look).await.unwrap().unwrap()
    }

    /// Writes nodes with these titles, each in a commit and a stretch of its own.
    pub async fn write(&self, titles: impl IntoIterator<Item = String>) {
        for title in titles {
            let write = move |group: &mut Group<'_>| {
                group.write(|draft| {
                    let node = draft.fresh_node();
                    draft.set(node, &Field::new(KIND)?, Value::text("doc"))?;
                    draft.set(node, &Field::new(TITLE)?, Value::text(&title))
                })?;
                group.ingest(&[], None)
            };
            self.writer.run(write).await.unwrap().unwrap();
        }
    }

    /// Titles of all nodes, sorted.
    pub async fn titles(&self) -> Vec<String> {
        let filter = heph_store::Filter { kind: "doc".into(), limit: 100_000, ..Default::default() };
        let nodes = self.read(move |view| view.list(&filter)).await;
        let mut titles: Vec<_> = nodes.iter().map(|node| node.title().to_owned()).collect();
        titles.sort();
        titles
    }

    /// What a person is told.
    pub async fn notices(&self) -> Vec<String> {
        self.read(|view| notices::read(view, SystemEnv.now().get())).await
    }

    pub async fn fact(&self, key: &'static str) -> Option<String> {
        self.read(move |view| view.fact(key)).await
    }

    pub async fn vector(&self) -> Vector {
        self.read(|view| view.vector()).await
    }

    pub async fn digest(&self) -> [u8; 32] {
        self.read(|view| Ok(view.summary()?.digest)).await
    }
}

/// A directory with everything in it.
pub struct World {
    dir: tempfile::TempDir,
    pub hub: Arc<FakeHub>,
}

impl World {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let hub = Arc::new(FakeHub::new([1; 32], dir.path().join("hub.db")));
        Self { dir, hub }
    }

    /// A hub with another key.
    pub fn another_hub(&self, name: &str) -> Arc<FakeHub> {
        Arc::new(FakeHub::new([2; 32], self.path(name)))
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A device with a replica of its own.
    pub fn device(&self, name: &str) -> Device {
        self.device_at(self.path(&format!("{name}.db")), name)
    }

    pub fn device_at(&self, path: PathBuf, name: &str) -> Device {
        let doors = Doors::open(path);
        let cycle = Cycle {
            hub: self.hub.clone(),
            hub_url: "http://hub".to_owned(),
            writer: doors.writer.clone(),
            readers: doors.readers.clone(),
            env: Arc::new(SystemEnv),
            device_name: name.to_owned(),
            loopback: true,
            size: Size::default(),
            apart: false,
            missing_after: 0,
            taking_in: Arc::default(),
        };
        Device { doors, cycle, seen: Seen::default() }
    }

    /// Keeps a copy of a replica as it is now.
    pub fn keep(&self, doors: &Doors, name: &str) -> PathBuf {
        let to = self.path(name);
        copy::backup(&doors.path, &to).unwrap();
        to
    }

    /// Puts another file in place of the hub's.
    pub fn replace_hub(&self, path: PathBuf) {
        *self.hub.replica.lock().unwrap() = Doors::open(path);
    }

    pub fn faults(&self, faults: Faults) {
        *self.hub.faults.lock().unwrap() = faults;
    }
}

/// A device, and what its last cycle saw.
pub struct Device {
    pub doors: Doors,
    pub cycle: Cycle<FakeHub>,
    pub seen: Seen,
}

impl Device {
    pub async fn try_sync(&mut self) -> Result<Outcome, Failure> {
        self.seen = Seen::default();
        self.cycle.run(&mut self.seen, &|_| {}).await
    }

    /// Runs a cycle that must end in step, with equal digests.
    pub async fn sync(&mut self) {
        assert_eq!(self.try_sync().await.unwrap(), Outcome::InStep(Digests::Equal));
        assert_eq!(self.doors.vector().await, self.cycle.hub.doors().vector().await);
    }

    pub async fn write(&self, title: &str, count: usize) {
        self.doors.write((0..count).map(|n| format!("{title} {n}"))).await;
    }
}

impl FakeHub {
    fn new(key: [u8; 32], path: PathBuf) -> Self {
        let (key, replica) = (Mutex::new(SigningKey::from_bytes(&key)), Mutex::new(Doors::open(path)));
        Self { key, replica, faults: Mutex::default(), calls: Mutex::default() }
    }

    pub fn doors(&self) -> Doors {
        self.replica.lock().unwrap().clone()
    }

    pub fn called(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.calls.lock().unwrap())
    }

    fn enter(&self, call: &'static str) -> Result<(Doors, Faults), HubError> {
        self.calls.lock().unwrap().push(call);
        let faults = self.faults.lock().unwrap().clone();
        if faults.away { Err(HubError::Away(Away::ConnectionRefused)) } else { Ok((self.doors(), faults)) }
    }

    /// Enters for a call that names the hub and the log that it is for.
    async fn enter_for(&self, to: Proven, call: &'static str) -> Result<(Doors, Faults), HubError> {
        let (doors, faults) = self.enter(call)?;
        if faults.replaced_at == Some(call) {
            *self.key.lock().unwrap() = SigningKey::from_bytes(&[9; 32]);
        }
        let hub = hub_id(&self.key.lock().unwrap().verifying_key().to_bytes());
        if to != (Proven { hub, log: doors.read(|view| view.log_id()).await }) {
            return Err(refused(421, code::OTHER_HUB, None));
        }
        match faults.refuse {
            Some((at, code)) if at == call => Err(refused(409, code, None)),
            _ => Ok((doors, faults)),
        }
    }
}

fn refused(status: u16, code: &str, origins: Option<Vec<Origin>>) -> HubError {
    let (code, message) = (code.to_owned(), code.to_owned());
    let refusal = Refusal { code, message, hint: None, hub: None, origins };
    HubError::Refused { status, refusal: Box::new(refusal), retry_after_ms: None }
}

impl Hub for FakeHub {
    async fn hello(&self, request: &HelloRequest) -> Result<HelloAnswer, HubError> {
        let (doors, faults) = self.enter("hello")?;
        let cursor = request.cursor.clone();
        let (summary, vector, known, log_id) = doors
            .read(move |view| {
                let known = cursor.map_or(Ok(false), |cursor| view.position_is(&cursor))?;
                Ok((view.summary()?, view.vector()?, known, view.log_id()?))
            })
            .await;
        let mut hub = HubProof::new(&self.key.lock().unwrap(), &request.challenge.0, request.origin);
        if faults.lies {
            hub = HubProof::new(&self.key.lock().unwrap(), &[0; 32], request.origin);
        }
        Ok(HelloAnswer {
            version: "0".into(),
            protocol: PROTOCOL,
            hub,
            log_id,
            owner_id: OwnerId::from_bytes([7; 16]),
            head: Head { position: summary.head, roll: Hex(summary.roll) },
            vector_hash: Hex(vector.hash()),
            vector: (vector.len() <= INLINE).then(|| Base64(vector.encode())),
            clock_ms: SystemEnv.now().get(),
            rules_version: RULES_VERSION,
            digest: Hex(summary.digest),
            op_count: summary.head,
            cursor_known: known,
        })
    }

    async fn vector(&self, to: Proven, request: &VectorRequest) -> Result<VectorAnswer, HubError> {
        let (doors, _) = self.enter_for(to, "vector").await?;
        let whole = doors.vector().await;
        let part = whole.part(request.after, INLINE);
        let next = part.iter().last().map(|(origin, _)| origin);
        let next = next.filter(|last| !whole.part(Some(*last), 1).is_empty());
        Ok(VectorAnswer { vector: Base64(part.encode()), next, vector_hash: Hex(whole.hash()) })
    }

    async fn pull(&self, to: Proven, request: &PullRequest) -> Result<Pages, HubError> {
        let (doors, faults) = self.enter_for(to, "pull").await?;
        let (cursor, vector) =
            (request.cursor.clone(), Vector::decode(&request.vector.as_ref().unwrap().0, 4_096).unwrap());
        let walked = doors.read(move |view| walk(view, cursor, &vector)).await;
        let mut items: Vec<_> = walked?.into_iter().skip(faults.skip_pages).collect();
        if faults.withhold_values {
            items.iter_mut().filter(|item| !item.is_end()).for_each(|item| item.page = emptied(&item.page));
        }
        let mut items: Vec<_> = items.into_iter().map(Ok).collect();
        if let Some(after) = faults.cut_pull_after {
            items.truncate(after);
            items.push(Err(HubError::Away(Away::Cut)));
        }
        Ok(stream::iter(items).boxed())
    }

    async fn push(&self, to: Proven, page: Vec<u8>) -> Result<PushAnswer, HubError> {
        let (doors, faults) = self.enter_for(to, "push").await?;
        if faults.too_large_over.is_some_and(|max| page.len() > max) {
            return Err(HubError::Status { status: 413, retry_after_ms: None });
        }
        let stretches = decode(&page).unwrap();
        let taken = doors.writer.run(move |group| group.ingest(&stretches, None)).await.unwrap();
        let taken = match taken {
            Err(StoreError::Gap { .. }) => return Err(refused(409, code::GAP, None)),
            taken => taken.unwrap(),
        };
        if faults.lose_push_answers > 0 {
            self.faults.lock().unwrap().lose_push_answers -= 1;
            return Err(HubError::Away(Away::Cut));
        }
        let (end, vector) = doors.read(|view| Ok((view.end()?, view.vector()?))).await;
        let (position, roll, vector_hash) = (end.0, Hex(end.1), Hex(vector.hash()));
        Ok(PushAnswer { added: taken.added, known: taken.known, position, roll, vector_hash })
    }

    async fn fork(&self, to: Proven, request: &ForkRequest) -> Result<ForkAnswer, HubError> {
        let (doors, _) = self.enter_for(to, "fork").await?;
        let (origin, tips) = (request.origin, request.tips.clone());
        let known = move |view: &View<'_>| {
            let mut known = Vec::new();
            for tip in tips {
                if view.holds(origin, &tip)? {
                    known.push(tip);
                }
            }
            Ok(known)
        };
        Ok(ForkAnswer { known: doors.read(known).await })
    }

    async fn digest(&self, to: Proven) -> Result<DigestAnswer, HubError> {
        let (doors, _) = self.enter_for(to, "digest").await?;
        let buckets = doors.read(|view| view.buckets()).await;
        Ok(DigestAnswer { rules_version: RULES_VERSION, buckets: buckets.into_iter().map(Hex).collect() })
    }

    async fn ops(&self, to: Proven, request: &OpsRequest) -> Result<Vec<u8>, HubError> {
        let (doors, Faults { lost_values_to, .. }) = self.enter_for(to, "ops").await?;
        let asked = request.ops.clone();
        let answer = doors.read(move |view| {
            let is_here = |op: &OpRef| Ok(view.op(op)?.is_some_and(|(position, ..)| position > lost_values_to));
            let here = asked.into_iter().filter_map(|op| is_here(&op).map(|here| here.then_some(op)).transpose());
            view.stretches_of(&here.collect::<StoreResult<Vec<_>>>()?)
        });
        Ok(answer.await)
    }

    async fn events(&self, to: Proven) -> Result<Heads, HubError> {
        self.enter_for(to, "events").await?;
        Ok(stream::empty().boxed())
    }
}

/// Everything that a pull gives, as the hub does it.
fn walk(view: &View<'_>, cursor: Option<Cursor>, vector: &Vector) -> StoreResult<Result<Vec<Item>, HubError>> {
    if let Some(cursor) = &cursor
        && !view.position_is(cursor)?
    {
        return Ok(Err(refused(409, code::CURSOR_UNKNOWN, None)));
    }
    let (coverage, unknown): (Coverage, _) = view.coverage(vector)?;
    if !unknown.is_empty() {
        let origins = unknown.into_iter().map(|(origin, _)| origin).collect();
        return Ok(Err(refused(409, code::UNKNOWN_TIPS, Some(origins))));
    }
    let (mut items, mut position) = (Vec::new(), cursor.map_or(0, |cursor| cursor.position));
    while let Some(page) = view.page_after(position, &coverage, PAGE)? {
        position = page.position;
        items.push(Item { position, roll: page.roll, page: page.bytes });
    }
    let (position, roll) = view.end()?;
    items.push(Item { position, roll, page: Vec::new() });
    Ok(Ok(items))
}

/// The page without the first value of each of its ops.
fn emptied(page: &[u8]) -> Vec<u8> {
    let pack = |mut stretch: Stretch| {
        let first = &stretch.entries[0].op;
        let place = Place { origin: first.origin, seq: first.seq, prev: first.prev, key: first.key };
        let last = stretch.entries[stretch.entries.len() - 1].id;
        for entry in &mut stretch.entries {
            entry.op.erase(0);
        }
        let ops = stretch.entries.iter().map(|entry| entry.op.pack()).collect();
        PackedStretch { place, last, ops, signature: stretch.signature }
    };
    encode(&decode(page).unwrap().into_iter().map(pack).collect::<Vec<_>>())
}
