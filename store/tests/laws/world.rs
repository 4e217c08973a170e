//! Devices on throw-away files, with a clock and randomness of their own, that exchange pages as a hub and its spokes do.
#![allow(dead_code, clippy::unwrap_used)]

use heph_store::chain::OriginKey;
use heph_store::draft::Draft;
use heph_store::env::Env;
use heph_store::exchange::{Coverage, Summary};
use heph_store::field::{Field, Value};
use heph_store::id::{GroupId, NodeId, OpId, OpRef, Seq, Stamp};
use heph_store::op::{Change, Op, Place, RawChange};
use heph_store::page::{self, Entry, PackedStretch, Stretch};
use heph_store::read::{Node, View};
use heph_store::replica::{Ingested, Replica};
use heph_store::vector::Vector;
use heph_store::verify::{VerifyReport, verify};
use heph_store::version::Version;
use heph_store::{Error, Result};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// Numbers that repeat for one seed.
#[derive(Debug, Clone)]
pub struct Dice(pub u64);

impl Dice {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    pub fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        if from.is_empty() { None } else { from.get(self.below(from.len())) }
    }
}

/// A clock that stands until it is moved, and randomness from a seed.
#[derive(Debug)]
pub struct SeededEnv {
    clock: AtomicU64,
    dice: Mutex<Dice>,
}

impl SeededEnv {
    pub fn new(seed: u64) -> Arc<Self> {
        Arc::new(Self { clock: AtomicU64::new(1_790_000_000_000), dice: Mutex::new(Dice(seed)) })
    }

    pub fn set_clock(&self, millis: u64) {
        self.clock.store(millis, Ordering::Relaxed);
    }
}

impl Env for SeededEnv {
    fn now(&self) -> Stamp {
        Stamp::from_millis(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    fn random(&self, bytes: &mut [u8]) {
        let mut dice = self.dice.lock().unwrap();
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&dice.next().to_be_bytes()[..chunk.len()]);
        }
    }
}

/// A directory that is gone when the test ends; in memory where the system has such a place.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

pub fn field(name: &str) -> Field {
    Field::new(name).unwrap()
}

/// One replica with its clock.
pub struct Device {
    pub path: PathBuf,
    pub env: Arc<SeededEnv>,
    replica: Option<Replica>,
}

impl Device {
    pub fn open(dir: &Path, name: &str, seed: u64) -> Self {
        let (path, env) = (dir.join(name), SeededEnv::new(seed));
        let replica = Replica::open(&path, env.clone()).unwrap();
        Self { path, env, replica: Some(replica) }
    }

    pub fn replica(&mut self) -> &mut Replica {
        self.replica.as_mut().unwrap()
    }

    /// Ends the process and starts it again.
    pub fn reopen(&mut self) {
        self.replica = None;
        self.replica = Some(Replica::open(&self.path, self.env.clone()).unwrap());
    }

    /// A copy of the disk, as another device.
    pub fn copy_to(&self, dir: &Path, name: &str, seed: u64) -> Self {
        heph_store::copy::backup(&self.path, &dir.join(name)).unwrap();
        Self::open(dir, name, seed)
    }

    pub fn try_write<T>(&mut self, action: impl FnOnce(&mut Draft<'_>) -> Result<T>) -> Result<(T, Vec<OpRef>)> {
        let written = self.replica().group(|group| group.write(action)).unwrap()?;
        Ok((written.answer, written.ops))
    }

    pub fn write<T>(&mut self, action: impl FnOnce(&mut Draft<'_>) -> Result<T>) -> T {
        self.try_write(action).unwrap().0
    }

    /// Writes, and returns the one op that it took.
    pub fn op(&mut self, action: impl FnOnce(&mut Draft<'_>) -> Result<()>) -> OpRef {
        let (_, ops) = self.try_write(action).unwrap();
        assert_eq!(ops.len(), 1, "one op");
        ops[0]
    }

    pub fn set(&mut self, node: NodeId, name: &str, value: impl Into<String>) -> OpRef {
        self.op(|draft| draft.set(node, &field(name), Value::text(value)))
    }

    pub fn save(&mut self, node: NodeId, text: &str) {
        self.write(|draft| draft.save_body(node, text, None));
    }

    pub fn delete(&mut self, node: NodeId) -> OpRef {
        self.op(|draft| draft.delete(node))
    }

    pub fn undo(&mut self, op: &OpRef) -> heph_store::undo::Undone {
        self.write(|draft| draft.undo(op))
    }

    /// Undoes, and returns the one op that it took.
    pub fn undo_op(&mut self, op: &OpRef) -> OpRef {
        self.op(|draft| draft.undo(op).map(drop))
    }

    pub fn ingest(&mut self, stretches: &[Stretch]) -> Result<Ingested> {
        self.replica().group(|group| group.ingest(stretches, None)).unwrap()
    }

    pub fn look<T>(&self, look: impl FnOnce(&View<'_>) -> Result<T>) -> T {
        self.replica.as_ref().unwrap().reads().unwrap().read(look).unwrap()
    }

    pub fn summary(&self) -> Summary {
        self.look(|view| view.summary())
    }

    pub fn digest(&self) -> [u8; 32] {
        self.summary().digest
    }

    pub fn vector(&self) -> Vector {
        self.look(|view| view.vector())
    }

    pub fn node(&self, node: NodeId) -> Node {
        self.look(|view| view.node(node)).unwrap()
    }

    pub fn text_field(&self, node: NodeId, name: &str) -> String {
        self.node(node).state.text(name).unwrap_or_default().to_owned()
    }

    pub fn title(&self, node: NodeId) -> String {
        self.text_field(node, "title")
    }

    /// The values of a register, the shown one first.
    pub fn values(&self, node: NodeId, name: &str) -> Vec<Value> {
        let state = self.node(node).state;
        state
            .registers
            .get(name)
            .map(|all| all.heads().iter().map(|head| head.value.clone()).collect())
            .unwrap_or_default()
    }

    pub fn text(&self, node: NodeId) -> String {
        self.look(|view| Ok(view.body(&view.node(node)?.unwrap())?.text))
    }

    pub fn copies(&self, node: NodeId) -> Vec<String> {
        self.look(|view| Ok(view.body(&view.node(node)?.unwrap())?.copies.into_iter().map(|copy| copy.text).collect()))
    }

    pub fn version(&self, node: NodeId) -> Version {
        self.look(|view| Ok(view.body(&view.node(node)?.unwrap())?.version))
    }

    pub fn is_hidden(&self, node: NodeId) -> bool {
        self.node(node).state.hidden
    }

    pub fn is_conflicted(&self, node: NodeId) -> bool {
        self.node(node).state.conflicted
    }

    pub fn verify(&self) -> VerifyReport {
        verify(&self.path, self.env.clone()).unwrap()
    }

    /// Every stretch after a position of the log, as another replica gets it.
    pub fn stretches_after(&self, position: u64) -> Vec<Stretch> {
        let mut stretches = Vec::new();
        let mut position = position;
        loop {
            let next = self.look(|view| view.page_after(position, &Coverage::default(), page::PAGE_BYTES_AIM));
            // Without a coverage, everything is lacking, from the first op on.
            let Some(next) = next else { return stretches };
            position = next.position;
            stretches.extend(page::decode(&next.bytes).unwrap());
        }
    }
}

/// Gives `to` what it lacks of `from`, in pages of about `bytes`.
pub fn push(from: &Device, to: &mut Device, bytes: usize) {
    let vector = to.vector();
    let mut position = 0;
    loop {
        let next = from.look(|view| {
            let (coverage, _) = view.coverage(&vector)?;
            view.page_after(position, &coverage, bytes)
        });
        let Some(next) = next else { break };
        position = next.position;
        to.ingest(&page::decode(&next.bytes).unwrap()).unwrap();
    }
    fetch_missing(from, to);
}

/// Asks `from` for the values that `to` came to hold without.
fn fetch_missing(from: &Device, to: &mut Device) {
    let missing = to.look(|view| view.missing(1_000));
    if !missing.is_empty() {
        let found = from.look(|view| view.stretches_of(&missing));
        to.ingest(&page::decode(&found).unwrap()).unwrap();
    }
}

/// Two devices exchange everything.
pub fn sync(a: &mut Device, b: &mut Device) {
    push(a, b, page::PAGE_BYTES_AIM);
    push(b, a, page::PAGE_BYTES_AIM);
}

/// All devices exchange everything through the first, until nothing is new.
pub fn sync_all(devices: &mut [Device]) {
    for _ in 0..2 {
        let (hub, spokes) = devices.split_first_mut().unwrap();
        spokes.iter_mut().for_each(|spoke| sync(hub, spoke));
    }
}

/// The claim that the devices hold and show the same.
pub fn assert_in_step(devices: &[&Device]) {
    for device in devices {
        assert_eq!(device.vector(), devices[0].vector(), "they hold the same");
        assert_eq!(device.digest(), devices[0].digest(), "so they show the same");
        let report = device.verify();
        assert_eq!(report.problems, Vec::<String>::new(), "and their logs agree");
        assert_eq!(report.digest, device.digest());
    }
}

/// An author outside of this program, who can write any op that a chain admits.
pub struct Alien {
    pub key: OriginKey,
    pub chain: Vec<(Seq, OpId)>,
    dice: Dice,
}

impl Alien {
    pub fn new(seed: u8) -> Self {
        Self { key: OriginKey::from_seed(&[seed; 32]), chain: Vec::new(), dice: Dice(u64::from(seed)) }
    }

    /// The place after the `nth` op of the chain; 0 begins it.
    fn place(&self, nth: usize) -> Place {
        let origin = self.key.origin();
        match nth.checked_sub(1).and_then(|at| self.chain.get(at)) {
            None => Place { origin, seq: Seq::FIRST, prev: OpId::NONE, key: Some(self.key.public()) },
            Some((seq, id)) => Place { origin, seq: seq.next().unwrap(), prev: *id, key: None },
        }
    }

    /// Writes an op at the end of the chain.
    pub fn write(&mut self, stamp: u64, changes: Vec<RawChange>) -> (Stretch, OpRef) {
        self.write_after(self.chain.len(), stamp, None, changes)
    }

    /// Writes an op of changes that this program knows.
    pub fn say(&mut self, stamp: u64, changes: &[Change]) -> (Stretch, OpRef) {
        let raw = self.raw(changes);
        self.write(stamp, raw)
    }

    /// Changes that this program knows, encoded for this author.
    pub fn raw(&self, changes: &[Change]) -> Vec<RawChange> {
        Op::new(self.place(0), Stamp::default(), None, [0; 16], changes).changes
    }

    /// Writes an op after the `nth` one: a branch, unless that is the last.
    pub fn write_after(
        &mut self,
        nth: usize,
        stamp: u64,
        group: Option<GroupId>,
        changes: Vec<RawChange>,
    ) -> (Stretch, OpRef) {
        let place = self.place(nth);
        let mut salt = [0; 16];
        salt[..8].copy_from_slice(&self.dice.next().to_be_bytes());
        let op = Op::from_raw(place, Stamp::from_millis(stamp), group, salt, changes);
        let id = op.id();
        let reference = op.reference(&id);
        if nth == self.chain.len() {
            self.chain.push((place.seq, id));
        }
        (Stretch { signature: self.key.sign(&id), entries: vec![Entry { op, id }] }, reference)
    }
}

/// A page of these stretches, as it travels.
pub fn packed(stretches: &[Stretch]) -> Vec<u8> {
    let packed: Vec<PackedStretch> = stretches
        .iter()
        .map(|stretch| {
            let first = &stretch.entries[0].op;
            PackedStretch {
                place: Place { origin: first.origin, seq: first.seq, prev: first.prev, key: first.key },
                last: stretch.entries.last().unwrap().id,
                ops: stretch.entries.iter().map(|entry| entry.op.pack()).collect(),
                signature: stretch.signature,
            }
        })
        .collect();
    page::encode(&packed)
}

/// The outcome of an action that a surface may refuse: refused is as good as done.
pub fn may_refuse<T>(outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(done) => Some(done),
        Err(Error::Hidden(_) | Error::HeldNode(_) | Error::NoOp(_)) => None,
        Err(other) => panic!("{other:?}"),
    }
}
