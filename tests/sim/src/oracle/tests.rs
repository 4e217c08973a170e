//! The oracle on histories whose meaning is known, and on replicas that were tampered with.

mod histories;
mod random;
mod tampered;
#[path = "../../../../store/tests/laws/world.rs"]
mod world;

use crate::oracle::{Oracle, Shown, Violation};
use heph_store::field::Value;
use heph_store::id::{NodeId, OpRef};
use heph_store::read::Reads;
use tempfile::TempDir;
use world::{Device, scratch, sync};

const NODE: NodeId = NodeId::from_bytes([7; 16]);
const OTHER: NodeId = NodeId::from_bytes([8; 16]);

/// Devices in a directory of their own, and an oracle that watches them.
struct Lab {
    dir: TempDir,
    oracle: Oracle,
}

impl Lab {
    fn new() -> Self {
        Self { dir: scratch(), oracle: Oracle::new() }
    }

    fn device(&self, name: &str) -> Device {
        let seed = name.bytes().fold(29, |seed, byte| seed * 31 + u64::from(byte));
        Device::open(self.dir.path(), name, seed)
    }

    /// Everything that the oracle can ask of a device.
    fn look(&mut self, device: &Device) -> Result<(), Violation> {
        self.oracle.check_new(&name(device), &reads(device))?;
        self.oracle.check_all(&name(device), &reads(device))?;
        self.oracle.check_file(&name(device), &device.path, device.env.clone())
    }

    /// The claim that the model and these devices agree, and the devices with each other.
    fn agree(&mut self, devices: &[&Device]) {
        devices.iter().for_each(|device| self.look(device).unwrap());
        let names: Vec<String> = devices.iter().map(|device| name(device)).collect();
        let reads: Vec<Reads> = devices.iter().map(|device| reads(device)).collect();
        let both: Vec<(&str, &Reads)> = names.iter().map(String::as_str).zip(&reads).collect();
        self.oracle.converged(&both).unwrap();
    }

    /// What the model says that a device shows of a node.
    fn shown(&self, device: &Device, node: NodeId) -> Shown {
        let observed = &self.oracle.replicas[&name(device)];
        self.oracle.model.at(observed.set(), observed.missing()).state(node)
    }
}

fn name(device: &Device) -> String {
    device.path.file_name().unwrap().to_str().unwrap().to_owned()
}

fn reads(device: &Device) -> Reads {
    Reads::open(&device.path).unwrap()
}

/// The values of a register's heads, the shown one first.
fn values(shown: &Shown, field: &str) -> Vec<Value> {
    shown.registers.get(field).into_iter().flatten().map(|head| head.value.clone()).collect()
}

fn texts(values: &[&str]) -> Vec<Value> {
    values.iter().map(|value| Value::text(*value)).collect()
}

/// The ops that a save took.
fn save(device: &mut Device, node: NodeId, text: &str) -> Vec<OpRef> {
    device.try_write(|draft| draft.save_body(node, text, None)).unwrap().1
}

fn meet(a: &mut Device, b: &mut Device) {
    sync(a, b);
    sync(a, b);
}
