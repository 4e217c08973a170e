//! The memory that the connections to one file in WAL mode share, and the locks on its slots.

use super::lock::HandleId;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// A piece of shared memory. It never moves, and lives as long as anybody has it. SQLite's C writes to it beside us and
/// in several threads, which is why it is made of atomics.
pub type Region = Arc<[AtomicU64]>;

/// The slots that a connection has locked, as bits.
#[derive(Debug, Clone, Copy, Default)]
struct Held {
    shared: u32,
    exclusive: u32,
}

/// What the connections to one file share.
#[derive(Debug, Default)]
pub struct SharedMemory {
    regions: Vec<Region>,
    held: BTreeMap<HandleId, Held>,
}

impl SharedMemory {
    /// A connection takes part, and has the region of this number, which is made, all zeros, if it may be.
    pub fn region(&mut self, who: HandleId, index: usize, bytes: usize, make: bool) -> Option<Region> {
        self.held.entry(who).or_default();
        while make && self.regions.len() <= index {
            self.regions.push((0..bytes.div_ceil(8)).map(|_| AtomicU64::new(0)).collect());
        }
        self.regions.get(index).cloned()
    }

    /// Locks slots. Returns whether it could.
    pub fn lock(&mut self, who: HandleId, slots: u32, alone: bool) -> bool {
        for (other, held) in &self.held {
            let in_the_way = match (*other == who, alone) {
                (true, true) => held.shared,
                (true, false) => 0,
                (false, true) => held.shared | held.exclusive,
                (false, false) => held.exclusive,
            };
            if in_the_way & slots != 0 {
                return false;
            }
        }
        let held = self.held.entry(who).or_default();
        *(if alone { &mut held.exclusive } else { &mut held.shared }) |= slots;
        true
    }

    /// Unlocks slots.
    pub fn unlock(&mut self, who: HandleId, slots: u32) {
        if let Some(held) = self.held.get_mut(&who) {
            held.shared &= !slots;
            held.exclusive &= !slots;
        }
    }

    /// A connection takes part no longer. Returns whether nobody does.
    pub fn leave(&mut self, who: HandleId) -> bool {
        self.held.remove(&who);
        self.held.is_empty()
    }
}
