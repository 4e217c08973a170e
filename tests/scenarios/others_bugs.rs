//! What broke other systems of this kind, done to heph: one test for each lesson that their users paid for, numbered
//! and named after it. `tests/tidy.rs` counts them.

mod age;
mod cursor;
mod digest;
mod files;
mod pages;
mod sockets;
mod strangers;
mod tampering;
mod twins;

use heph_api::types::{ImportObsidian, SyncStatus};
use heph_store::{
    exchange::Coverage,
    field::{Field, Value},
    id::{LogId, NodeId, Origin},
    op::{Change, Op},
    page::{self, PAGE_BYTES_AIM},
    read::Reads,
    replica::Cursor,
    vector::Tip,
};
use heph_tests::{Device, Hub, World, files::write_tree, raw::Door, wait, wire};
use std::{cell::RefCell, collections::BTreeSet, path::Path, sync::Arc};

/// Waits until all devices are in step with the hub by themselves: nobody asks for anything. Then all hold the same.
fn in_step(hub: &Hub, devices: &[&Arc<Device>]) {
    let last = Last::default();
    wait::until("everybody in step without being asked", || {
        let (ops, digest) = (hub.summary().head, hub.digest());
        *last.0.borrow_mut() = devices.iter().map(|device| device.status()).collect();
        let is_same = |status: &SyncStatus| (status.op_count, &status.state_digest) == (ops, &digest);
        let is_healed = |status: &SyncStatus| status.state.is_in_step() && is_same(status);
        last.0.borrow().iter().all(is_healed).then_some(())
    });
}

/// The same, and what each holds is sound.
fn heal(hub: &Hub, devices: &[&Arc<Device>]) {
    in_step(hub, devices);
    devices.iter().for_each(|device| device.verify());
}

/// The statuses that were last seen, told if it comes to nothing.
#[derive(Default)]
struct Last(RefCell<Vec<SyncStatus>>);

impl Drop for Last {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last statuses: {:#?}", self.0.borrow());
        }
    }
}

/// The titles of all tasks; each has to be there once.
#[track_caller]
fn titles(device: &Device) -> BTreeSet<String> {
    let tasks = device.tasks();
    let titles: BTreeSet<String> = tasks.iter().map(|task| task.title.clone()).collect();
    assert_eq!(titles.len(), tasks.len(), "a task is there twice on {}", device.name());
    titles
}

fn set_of(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

/// Imports so many notes on a device, in one go: at least as many ops.
fn import(world: &World, device: &Device, name: &str, count: usize) {
    let notes: Vec<(String, String)> =
        (0..count).map(|n| (format!("{name} {n}.md"), format!("Note {n} of {name}.\n"))).collect();
    let files: Vec<(&[u8], &[u8])> = notes.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes())).collect();
    let dir = world.dir(name);
    write_tree(&dir, &files);
    let report = device.call(&ImportObsidian { dir: dir.into(), vault: Some(name.into()) });
    assert!(report.ops >= count as u64, "{report:?}");
}

/// A text of about so many bytes that no other name has.
fn long_text(name: &str, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + 64);
    for line in 0.. {
        if text.len() >= bytes {
            break;
        }
        text.push_str(&format!("{name}, line {line} of many\n"));
    }
    text
}

/// Writes docs that need several pages to travel; returns their ids, each with its text.
fn several_pages(device: &Device, name: &str, docs: usize) -> Vec<(String, String)> {
    let texts = (0..docs).map(|n| long_text(&format!("{name} {n}"), 200_000));
    texts.enumerate().map(|(n, text)| (device.doc(&format!("{name} {n}"), &text), text)).collect()
}

/// Every op of a replica's log, in order.
fn log_of(db: &Path) -> Vec<(Origin, Tip)> {
    let reads = Reads::open(db).unwrap();
    let (mut log, mut after) = (Vec::new(), 0);
    let next = |after| reads.read(|view| view.page_after(after, &Coverage::default(), PAGE_BYTES_AIM)).unwrap();
    while let Some(read) = next(after) {
        after = read.position;
        let stretches = page::decode(&read.bytes).unwrap();
        let entries = stretches.into_iter().flat_map(|stretch| stretch.entries);
        log.extend(entries.map(|entry| (entry.op.origin, Tip { seq: entry.op.seq, id: entry.id })));
    }
    log
}

fn log_id_of(db: &Path) -> LogId {
    Reads::open(db).unwrap().read(|view| view.log_id()).unwrap()
}

/// Where in the hub's log a device stands, as its file has it.
fn cursor_of(device: &Device) -> Option<Cursor> {
    Reads::open(&device.db_path()).unwrap().read(|view| view.cursor()).unwrap()
}

/// How many ops of the hub's log, up to where the device stands in it, the device does not hold.
fn passed_over(device: &Device, hub: &Hub) -> usize {
    let stands = cursor_of(device).map_or(0, |cursor| cursor.position);
    let ours = Reads::open(&device.db_path()).unwrap();
    let log = log_of(&hub.db_path());
    let upto = log.iter().take(usize::try_from(stands).unwrap());
    upto.filter(|(origin, tip)| !ours.read(|view| view.holds(*origin, tip)).unwrap()).count()
}

/// Sets a field over nothing.
fn set(node: NodeId, field: &str, value: Value) -> Change {
    set_over(node, field, value, &[])
}

/// Sets a field over what these ops set.
fn set_over(node: NodeId, field: &str, value: Value, bases: &[&Op]) -> Change {
    let bases = bases.iter().map(|op| wire::reference(op)).collect();
    let field = Field::new(field).expect("a field's name");
    Change::Set { node, field, bases, seen: Vec::new(), repeats: Vec::new(), value: Some(value) }
}

/// What makes a task of this title.
fn task(node: NodeId, title: &str) -> Vec<Change> {
    vec![
        set(node, "kind", Value::text("task")),
        set(node, "title", Value::text(title)),
        set(node, "state", Value::text("outstanding")),
    ]
}

/// Pushes a page by hand, and returns what the hub says to it.
#[track_caller]
fn push(hub: &Hub, page: &[u8]) -> serde_json::Value {
    let answer = Door::to_hub(&hub.url()).post("/v1/sync/push", wire::PAGE_TYPE, page);
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}
