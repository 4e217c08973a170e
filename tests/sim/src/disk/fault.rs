//! Which calls fail, and how: the faults that are planned, and the count of what happened.

/// How a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The machine stops in this call, which may be half done: this and all later calls fail.
    Die,
    /// A write, truncation, creation or deletion fails once with EIO. A part of a write may be done.
    WriteError,
    /// A sync fails once. Of what it should have made durable each sector is on the disk, or is in the cache only and
    /// counts as clean there (so that no later sync writes it), or is what it was before: as Linux has it.
    SyncError,
    /// A write or creation finds the disk full once. A part of a write may be done.
    Full,
    /// A read fails once with EIO.
    ReadError,
}

/// What happened on a disk since it came into being.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Calls that change something: writes, syncs, truncations, creations and deletions.
    pub calls: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Syncs, also those that lied.
    pub syncs: u64,
    /// Truncations.
    pub truncations: u64,
    /// Files created.
    pub creations: u64,
    /// Files deleted.
    pub deletions: u64,
    /// Syncs that did nothing and said otherwise.
    pub lies: u64,
    /// How often [`Fault::Die`] struck.
    pub died: u64,
    /// How often [`Fault::WriteError`] struck.
    pub write_errors: u64,
    /// How often [`Fault::SyncError`] struck.
    pub sync_errors: u64,
    /// How often a write was refused for want of space: [`Fault::Full`], or beyond the capacity.
    pub full: u64,
    /// How often [`Fault::ReadError`] struck.
    pub read_errors: u64,
}

/// A call of SQLite's on a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Reads some bytes.
    Read,
    /// Writes some bytes.
    Write,
    /// Syncs a file.
    Sync,
    /// Cuts a file off.
    Truncate,
    /// Makes a file.
    Create,
    /// Takes a file's name away.
    Delete,
}

impl Fault {
    fn strikes(self, call: Call) -> bool {
        match self {
            Self::Die => call != Call::Read,
            Self::WriteError => !matches!(call, Call::Read | Call::Sync),
            Self::SyncError => call == Call::Sync,
            Self::Full => matches!(call, Call::Write | Call::Create),
            Self::ReadError => call == Call::Read,
        }
    }
}

/// Told of every fault when it strikes.
pub type Watch = std::sync::Arc<dyn Fn(Fault) + Send + Sync>;

/// The faults to come, and the counters.
#[derive(Default)]
pub struct Plan {
    /// A fault, and the count of its calls from which on it strikes.
    to_come: Vec<(u64, Fault)>,
    pub counters: Counters,
    /// Somebody looks on who is no part of the system: nothing strikes, nothing is counted.
    pub spares: bool,
    pub watch: Option<Watch>,
}

impl Plan {
    /// Plans a fault for the call that follows `after` others.
    pub fn add(&mut self, after: u64, fault: Fault) {
        let so_far = if fault == Fault::ReadError { self.counters.reads } else { self.counters.calls };
        self.to_come.push((so_far + after, fault));
    }

    /// Counts a call and returns the fault that strikes it.
    pub fn next(&mut self, call: Call) -> Option<Fault> {
        if self.spares {
            return None;
        }
        let counters = &mut self.counters;
        let kind = match call {
            Call::Read => &mut counters.reads,
            Call::Write => &mut counters.writes,
            Call::Sync => &mut counters.syncs,
            Call::Truncate => &mut counters.truncations,
            Call::Create => &mut counters.creations,
            Call::Delete => &mut counters.deletions,
        };
        *kind += 1;
        counters.calls += u64::from(call != Call::Read);
        let count = if call == Call::Read { counters.reads } else { counters.calls };
        let due = self.to_come.iter().position(|(after, fault)| *after < count && fault.strikes(call))?;
        let (_, fault) = self.to_come.remove(due);
        self.strike(fault);
        Some(fault)
    }

    /// Counts a fault that strikes.
    pub fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Die => self.counters.died += 1,
            Fault::WriteError => self.counters.write_errors += 1,
            Fault::SyncError => self.counters.sync_errors += 1,
            Fault::Full => self.counters.full += 1,
            Fault::ReadError => self.counters.read_errors += 1,
        }
        if let Some(watch) = &self.watch {
            watch(fault);
        }
    }

    /// Forgets the faults to come, and returns how many there were.
    pub fn clear(&mut self) -> usize {
        std::mem::take(&mut self.to_come).len()
    }
}
