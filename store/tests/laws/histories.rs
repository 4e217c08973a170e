//! Histories: what several devices and an outside author write, generated from numbers, so that a failing one shrinks.
#![allow(clippy::unwrap_used)]

use crate::world::{Alien, Device, Dice, field, may_refuse, push, sync};
use heph_store::body::{ClientId, Document};
use heph_store::draft::Draft;
use heph_store::field::{Field, Value};
use heph_store::id::{Generation, NodeId, OpId, OpRef};
use heph_store::op::{Change, ChangeRef, Op, RawChange};
use heph_store::page::Stretch;
use heph_store::version::Version;
use jiff::civil::date;
use std::collections::BTreeMap;
use std::path::Path;

/// One step: whose, which, and three numbers that say what exactly.
#[derive(Clone, Copy)]
pub struct Step(pub u8, pub u8, pub u8, pub u8, pub u8);

impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Step({}, {}, {}, {}, {})", self.0, self.1, self.2, self.3, self.4)
    }
}

/// What a history left behind.
pub struct History {
    pub devices: Vec<Device>,
    /// Every stretch as it was written, in the order of writing.
    pub written: Vec<Stretch>,
    pub aliens: Vec<Alien>,
    known: BTreeMap<OpId, usize>,
    ops: Vec<(OpRef, usize)>,
    versions: Vec<Vec<(NodeId, Version)>>,
    dir: std::path::PathBuf,
}

const TEXTS: [&str; 8] =
    ["", "milk\n", "milk\neggs\n", "bread\n", "milk\nbread\neggs\n", "a b c", "a x c d", "secret\n"];
const TITLES: [&str; 4] = ["Garden", "House", "Boat", "House"];
const FIELDS: [&str; 6] = ["title", "of", "state", "of", "done/2026-11-02", "body"];

pub fn pool(n: u8) -> NodeId {
    let mut bytes = [0x11; 16];
    bytes[15] = n % 4;
    NodeId::from_bytes(bytes)
}

impl History {
    pub fn begin(dir: &Path, devices: usize, seed: u64) -> Self {
        let open = |n| Device::open(dir, &format!("device{n}.db"), seed.wrapping_add(n as u64));
        Self {
            devices: (0..devices).map(open).collect(),
            written: Vec::new(),
            aliens: vec![Alien::new(201), Alien::new(202)],
            known: BTreeMap::new(),
            ops: Vec::new(),
            versions: (0..devices).map(|_| Vec::new()).collect(),
            dir: dir.to_owned(),
        }
    }

    pub fn run(&mut self, steps: &[Step]) {
        for (number, step) in steps.iter().enumerate() {
            self.step(number, *step);
        }
    }

    /// Prints what was written, for who looks for the reason of a failure.
    pub fn print(&self) {
        println!("---- a history");
        for entry in self.written.iter().flat_map(|stretch| &stretch.entries) {
            println!("{} at {}", entry.op.reference(&entry.id), entry.op.stamp.get());
            match entry.op.read() {
                Ok(changes) => changes.iter().for_each(|change| println!("    {change:?}")),
                Err(why) => println!("    held: {why}; {:?}", entry.op.changes),
            }
        }
    }

    /// Every op as it was written.
    pub fn ops(&self) -> Vec<(Op, OpId)> {
        let entries = self.written.iter().flat_map(|stretch| &stretch.entries);
        entries.map(|entry| (entry.op.clone(), entry.id)).collect()
    }

    fn step(&mut self, number: usize, Step(who, what, x, y, z): Step) {
        let who = usize::from(who) % self.devices.len();
        let other = usize::from(x) % self.devices.len();
        let node = pool(x);
        match what % 26 {
            0..=1 => self.act(who, |draft| draft.set(node, &field("title"), title(y))),
            2 => self.act(who, |draft| draft.set(node, &field("of"), owner(y))),
            3 => self.act(who, |draft| draft.set(node, &field("done/2026-11-02"), day(y))),
            4 => self.act(who, |draft| draft.delete(node)),
            5 => self.act(who, |draft| draft.undelete(node)),
            6..=7 => self.act(who, |draft| draft.save_body(node, text(y), None).map(drop)),
            8 => self.act(who, |draft| draft.append_body(node, text(y | 1))),
            9 => self.save_at_old(who, y, z),
            10 => self.act(who, |draft| draft.import_body("vault", &[y % 2], node, text(z)).map(drop)),
            11 => self.act(who, |draft| draft.settle_body(node, text(y))),
            12 => self.act(who, |draft| draft.settle(node, &field("title"), title(y), None)),
            13..=14 => self.undo(who, y, z),
            15 => self.erase(who, y, z),
            16 => self.act(who, |draft| several(draft, x, y, z)),
            17 => self.devices[who]
                .env
                .set_clock([0, 1_790_000_000_000, 2_200_000_000_000, 1_789_999_999_999][usize::from(y) % 4]),
            18 if self.devices.len() < 5 => self.clone_of(who, number),
            19 => self.devices[who].reopen(),
            20..=21 => self.meet(who, other),
            22 => {
                let node = NodeId::from_bytes([0x40 | (y % 2); 16]);
                self.act(who, |draft| log_entry(draft, node, x));
            }
            _ => self.alien(x, y, z),
        }
    }

    fn act(&mut self, who: usize, action: impl FnOnce(&mut Draft<'_>) -> heph_store::Result<()>) {
        let device = &mut self.devices[who];
        let outcome = device.try_write(action);
        may_refuse(outcome);
        self.collect(who);
        let (device, versions) = (&self.devices[who], &mut self.versions[who]);
        for node in (0..4).map(pool) {
            if device.look(|view| view.node(node)).is_some() && versions.len() < 40 {
                versions.push((node, device.version(node)));
            }
        }
    }

    /// Keeps what a device wrote, as it was written.
    fn collect(&mut self, who: usize) {
        for stretch in self.devices[who].stretches_after(0) {
            self.keep(stretch);
        }
    }

    fn keep(&mut self, stretch: Stretch) {
        let last = stretch.entries.last().unwrap().id;
        if self.known.contains_key(&last) {
            return;
        }
        self.known.insert(last, self.written.len());
        for entry in &stretch.entries {
            self.ops.push((entry.op.reference(&entry.id), entry.op.changes.len()));
        }
        self.written.push(stretch);
    }

    fn save_at_old(&mut self, who: usize, y: u8, z: u8) {
        let versions = &self.versions[who];
        let Some((node, version)) = versions.get(usize::from(z) % versions.len().max(1)).cloned() else { return };
        self.act(who, |draft| match draft.save_body(node, text(y), Some(&version)) {
            Err(heph_store::Error::UnknownVersion) => Ok(()),
            saved => saved.map(drop),
        });
    }

    fn undo(&mut self, who: usize, y: u8, z: u8) {
        let newest = self.devices[who].look(|view| view.newest_undoable());
        let any = self.ops.get(usize::from(z) % self.ops.len().max(1)).map(|(op, _)| *op);
        let Some(op) = (if y.is_multiple_of(2) { newest } else { any }) else { return };
        self.act(who, |draft| draft.undo(&op).map(drop));
    }

    fn erase(&mut self, who: usize, y: u8, z: u8) {
        let targets = self.targets(y, z);
        self.act(who, |draft| {
            draft.erase(targets);
            Ok(())
        });
    }

    fn targets(&self, y: u8, z: u8) -> Vec<ChangeRef> {
        let recent = self.ops.len().saturating_sub(usize::from(y) % 16 + 1);
        let Some((op, changes)) = self.ops.get(recent) else { return Vec::new() };
        vec![ChangeRef { op: *op, index: u32::from(z) % (*changes as u32).max(1) }]
    }

    /// A disk is copied, and both copies are written to.
    fn clone_of(&mut self, who: usize, number: usize) {
        let seed = 1_000 + number as u64;
        let copy = self.devices[who].copy_to(&self.dir, &format!("copy{number}.db"), seed);
        self.devices.push(copy);
        self.versions.push(Vec::new());
    }

    fn meet(&mut self, who: usize, other: usize) {
        if who == other {
            return;
        }
        let (low, high) = (who.min(other), who.max(other));
        let (front, back) = self.devices.split_at_mut(high);
        sync(&mut front[low], &mut back[0]);
        self.collect(who);
        self.collect(other);
    }

    /// An op of an author who follows no habits, only the format.
    fn alien(&mut self, x: u8, y: u8, z: u8) {
        let mut dice = Dice(u64::from(x) << 16 | u64::from(y) << 8 | u64::from(z));
        let at = usize::from(x / 4) % 2;
        let count = 1 + dice.below(3);
        let changes: Vec<RawChange> = (0..count).map(|_| self.foreign_change(at, &mut dice)).collect();
        let length = self.aliens[at].chain.len();
        let nth = if dice.one_in(6) { dice.below(length + 1) } else { length };
        let stamp = 1_790_000_000_000 + dice.below(40) as u64;
        let (stretch, _) = self.aliens[at].write_after(nth, stamp, None, changes);
        self.keep(stretch);
        if dice.one_in(2) {
            let who = dice.below(self.devices.len());
            self.deliver_all(who);
        }
    }

    /// A device gets all that the outside authors wrote.
    fn deliver_all(&mut self, who: usize) {
        let foreign: Vec<_> = self.aliens.iter().map(|alien| alien.key.origin()).collect();
        let theirs: Vec<Stretch> =
            self.written.iter().filter(|stretch| foreign.contains(&stretch.origin().unwrap())).cloned().collect();
        self.devices[who].ingest(&theirs).unwrap();
    }

    fn some_ops(&self, dice: &mut Dice) -> Vec<OpRef> {
        let recent = self.ops.len().saturating_sub(14);
        (0..dice.below(3)).filter_map(|_| dice.pick(&self.ops[recent..]).map(|(op, _)| *op)).collect()
    }

    /// What an author who has read everything names: all that was written to a register, or all that is on any node.
    fn all_ops(&self, node: NodeId, name: &str) -> Vec<OpRef> {
        let entries = self.written.iter().flat_map(|stretch| &stretch.entries);
        let writes = |op: &Op| op.registers().iter().any(|(on, field, _)| *on == node && field.as_str() == name);
        entries
            .filter(|entry| name.is_empty() || writes(&entry.op))
            .map(|entry| entry.op.reference(&entry.id))
            .collect()
    }

    fn foreign_change(&self, at: usize, dice: &mut Dice) -> RawChange {
        let node = pool(dice.below(4) as u8);
        let alien = &self.aliens[at];
        let known = |change: Change| alien.raw(&[change]).pop().unwrap();
        let name = FIELDS[dice.below(FIELDS.len())];
        let bases = if dice.one_in(2) { self.some_ops(dice) } else { self.all_ops(node, name) };
        let seen = if dice.one_in(2) { self.some_ops(dice) } else { self.all_ops(node, "") };
        let (y, z) = (dice.below(256) as u8, dice.below(256) as u8);
        let repeats = if dice.one_in(4) { self.targets(y, z) } else { Vec::new() };
        match dice.below(16) {
            0..=5 => {
                let seen = if name == "body" { seen } else { Vec::new() };
                let value = Some(value_of(name, y));
                known(Change::Set { node, field: field(name), bases, seen, repeats, value })
            }
            6 => {
                let false_again = Some(Value::Bool(false));
                known(Change::Set { node, field: field("deleted"), bases, seen, repeats, value: false_again })
            }
            7..=9 => known(Change::Delete { node, bases, seen }),
            10..=11 => {
                let update = Some(update_of(y));
                known(Change::Edit { node, generation: generation(z), repeats, update })
            }
            12 => known(Change::Erase { targets: [self.targets(y, z), self.targets(z, y)].concat() }),
            13 => RawChange::new(99, [node.as_bytes().as_slice(), b"later"].concat(), b"unknown".to_vec()),
            14 => {
                let mut raw =
                    known(Change::Set { node, field: field("title"), bases, seen, repeats, value: Some(Value::Null) });
                raw.value = heph_store::op::Slot::Here(vec![0xee, y]);
                raw
            }
            _ => {
                let mut raw = known(Change::Edit { node, generation: generation(z), repeats, update: None });
                raw.value = heph_store::op::Slot::Here(vec![1, 1, y]);
                raw
            }
        }
    }

    /// Everyone exchanges everything, as the last act.
    pub fn gather(&mut self) {
        for who in 0..self.devices.len() {
            self.deliver_all(who);
        }
        let (hub, spokes) = self.devices.split_first_mut().unwrap();
        spokes.iter_mut().for_each(|spoke| push(spoke, hub, 700));
        spokes.iter_mut().for_each(|spoke| push(hub, spoke, 1_500));
        for who in 0..self.devices.len() {
            self.collect(who);
        }
    }
}

fn title(y: u8) -> Value {
    Value::text(TITLES[usize::from(y) % TITLES.len()])
}

fn owner(y: u8) -> Value {
    if y.is_multiple_of(5) { Value::Null } else { Value::Node(pool(y)) }
}

fn day(y: u8) -> Value {
    if y.is_multiple_of(4) { Value::Null } else { Value::Date(date(2026, 11, 1 + (y % 20) as i8)) }
}

fn text(y: u8) -> &'static str {
    TEXTS[usize::from(y) % TEXTS.len()]
}

fn generation(z: u8) -> Generation {
    if z.is_multiple_of(2) { Generation::EMPTY } else { Generation::from_bytes([z % 4; 16]) }
}

fn value_of(name: &str, y: u8) -> Value {
    match name {
        "of" => owner(y),
        "body" => Value::generation(generation(y)),
        "done/2026-11-02" => day(y),
        _ => title(y),
    }
}

/// First texts by two clients, so that the same Yjs items come with different content; and an edit that needs one.
fn update_of(y: u8) -> Vec<u8> {
    let client = ClientId::from_bits(7 + u64::from(y % 2));
    let first = Document::empty().edit(TEXTS[1 + usize::from(y / 2) % 2], client, 10_000).remove(0);
    if y < 128 {
        return first;
    }
    let mut document = Document::empty();
    assert!(document.apply(&first));
    document.edit("milk\nflour\n", ClientId::from_bits(9 + u64::from(y % 3)), 10_000).remove(0)
}

fn log_entry(draft: &mut Draft<'_>, entry: NodeId, x: u8) -> heph_store::Result<()> {
    draft.set(entry, &field("kind"), Value::text("entry"))?;
    draft.set(entry, &field("of"), Value::Node(pool(x)))?;
    draft.append_body(entry, "called")
}

/// One action on several nodes, cut into two ops.
fn several(draft: &mut Draft<'_>, x: u8, y: u8, z: u8) -> heph_store::Result<()> {
    draft.set(pool(x), &field("title"), title(y))?;
    draft.set(pool(x), &Field::tag(pool(z)), Value::Bool(!z.is_multiple_of(3)))?;
    draft.save_body(pool(x), text(z), None)?;
    draft.split();
    draft.set(pool(y), &field("state"), title(z))?;
    draft.append_body(pool(y), "and more\n")
}
