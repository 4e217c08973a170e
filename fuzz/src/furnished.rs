//! A replica with something of everything in it, made once and copied: tasks, a recurring one, texts that link, a
//! conflict, two first texts of one note, a deleted node, an op that nobody can read.

use crate::strange::node;
use crate::world::{Alien, Device, field, scratch};
use heph_store::field::{Field, Value};
use heph_store::id::NodeId;
use heph_store::op::{Change, RawChange};
use heph_store::{Result, draft::Draft};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Writes a copy of the replica to `path`.
pub fn copy_to(path: &Path) {
    static MADE: OnceLock<Vec<u8>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let dir = scratch();
        let mut device = Device::open(dir.path(), "made.db", 1);
        furnish(&mut device);
        let path = device.path.clone();
        drop(device);
        fs::read(path).expect("the replica was made")
    });
    fs::write(path, made).expect("there is room in memory");
}

fn furnish(device: &mut Device) {
    let date = |text: &str| Value::Date(text.parse().expect("a date"));
    device.write(|draft| {
        put(draft, 0, &[("kind", Value::text("task")), ("title", Value::text("water the plants"))])?;
        put(draft, 0, &[("do_date", date("2026-11-20")), ("recurrence", Value::text("FREQ=WEEKLY"))])?;
        put(draft, 1, &[("kind", Value::text("project")), ("title", Value::text("garden"))])?;
        put(draft, 0, &[("project", Value::Node(node(1)))])?;
        put(draft, 2, &[("kind", Value::text("doc")), ("title", Value::text("Seeds"))])?;
        put(draft, 3, &[("kind", Value::text("task")), ("title", Value::text("buy a spade"))])?;
        put(draft, 4, &[("kind", Value::text("doc")), ("title", Value::text("old"))])?;
        draft.set(node(0), &Field::done("2026-11-20".parse().expect("a date")), date("2026-11-21"))
    });
    device.save(
        node(2),
        "---\ntags: [seeds]\n---\n# Seeds\n\nSee [[water the plants]] and [[Soil#Wet|soil]].\n- [ ] sow\n",
    );
    device.save(node(2), "---\ntags: [seeds]\n---\n# Seeds\n\nSee [[water the plants]].\n- [x] sow\n");
    device.delete(node(4));
    let mut alien = Alien::new(9);
    let title = |text: &str| one(node(3), "title", Value::text(text));
    for changes in [vec![title("buy two spades")], vec![one(node(0), "attention", Value::text("red"))]] {
        let (stretch, _) = alien.say(1_790_000_000_500, &changes);
        device.ingest(&[stretch]).expect("it is well signed");
    }
    let (unknown, _) = alien.write(1_790_000_000_600, vec![RawChange::new(99, node(3).as_bytes().to_vec(), vec![1])]);
    device.ingest(&[unknown]).expect("it is well signed");
}

fn put(draft: &mut Draft<'_>, on: u8, values: &[(&str, Value)]) -> Result<()> {
    values.iter().try_for_each(|(name, value)| draft.set(node(on), &field(name), value.clone()))
}

fn one(node: NodeId, name: &str, value: Value) -> Change {
    Change::Set { node, field: field(name), bases: vec![], seen: vec![], repeats: vec![], value: Some(value) }
}
