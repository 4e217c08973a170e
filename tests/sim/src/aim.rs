//! Faults that wait for a state of the protocol: each strikes when its spoke next asks the hub that, so that every fault
//! meets every state often enough.

use crate::disk::Fault;
use std::fmt;

/// What a spoke asks of its hub, as states of the protocol.
pub const STATES: [&str; 5] = ["hello", "pull", "push", "fork", "digest"];

/// How many calls to a disk a fault of it waits, at most, once its state has come. Most reads are answered by SQLite's
/// cache, and come to few.
const CALLS: u64 = 12;
const READS: u64 = 3;

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strike {
    /// The request is lost.
    Lost,
    /// The request arrives and is done; the answer is lost.
    Unanswered,
    /// The request arrives once more, later.
    Doubled,
    /// The answer breaks off in its body.
    Cut,
    /// Nothing more is heard.
    Stalled,
    /// Somebody in between answers.
    Refused,
    /// The link falls silent while the answer is on its way.
    Silent,
    /// The connection breaks while the answer is on its way.
    Broken,
    /// The spoke stops.
    SpokeStops,
    /// The spoke's disk fails.
    SpokeDisk(Fault),
    /// The hub's disk fails.
    HubDisk(Fault),
}

impl Strike {
    /// The fault of a spoke's disk that it is.
    pub fn of_spoke_disk(self) -> Option<Fault> {
        if let Self::SpokeDisk(fault) = self { Some(fault) } else { None }
    }

    /// The fault of the hub's disk that it is.
    pub fn of_hub_disk(self) -> Option<Fault> {
        if let Self::HubDisk(fault) = self { Some(fault) } else { None }
    }
}

/// A fault, for a state of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// What goes wrong.
    pub strike: Strike,
    /// In which of [`STATES`].
    pub state: &'static str,
}

impl Aim {
    /// One of all, each as likely as another.
    pub fn choose(rng: &mut fastrand::Rng) -> Self {
        let plain = [
            Strike::Lost,
            Strike::Unanswered,
            Strike::Doubled,
            Strike::Cut,
            Strike::Stalled,
            Strike::Refused,
            Strike::Silent,
            Strike::Broken,
            Strike::SpokeStops,
        ];
        let faults = [Fault::Die, Fault::WriteError, Fault::SyncError, Fault::Full, Fault::ReadError];
        let disks = faults.into_iter().flat_map(|fault| [Strike::SpokeDisk(fault), Strike::HubDisk(fault)]);
        let strikes: Vec<Strike> = plain.into_iter().chain(disks).collect();
        Self { strike: strikes[rng.usize(0..strikes.len())], state: STATES[rng.usize(0..STATES.len())] }
    }

    /// After how many calls a disk fails.
    pub fn calls(fault: Fault, rng: &mut fastrand::Rng) -> u64 {
        rng.u64(0..if fault == Fault::ReadError { READS } else { CALLS })
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.strike, self.state)
    }
}
