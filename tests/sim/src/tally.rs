//! What a run did: how often each fault struck in which state of the protocol, what people did, and a hash over the
//! whole course, by which two runs are the same or not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a machine may be doing when a fault strikes it: the columns of the table.
const STATES: [&str; 10] =
    ["hello", "pull", "push", "fork", "digest", "events", "local write", "deep check", "start", "settling"];

/// Counts and the course of a run; clones share them.
#[derive(Clone, Default)]
pub struct Tally(Arc<Mutex<Counts>>);

/// What was counted.
#[derive(Clone)]
pub struct Counts {
    /// How often each fault struck, by its name and the state of the protocol.
    pub faults: BTreeMap<(&'static str, &'static str), u64>,
    /// How often each action of a person succeeded, was refused, or has no known outcome.
    pub acts: BTreeMap<(&'static str, &'static str), u64>,
    /// How often spokes asked the hub each thing.
    pub asked: BTreeMap<&'static str, u64>,
    /// Messages on the network.
    pub messages: u64,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// Ops in the log of the hub at the end.
    pub ops: u64,
    /// Checks of the oracle.
    pub checks: u64,
    course: u64,
    steps: Option<Vec<String>>,
}

impl Default for Counts {
    fn default() -> Self {
        let (faults, acts, asked) = Default::default();
        // FNV-1a's start: a hash of which only equality matters.
        let course = 0xcbf2_9ce4_8422_2325;
        Self { faults, acts, asked, messages: 0, simulated_ms: 0, ops: 0, checks: 0, course, steps: None }
    }
}

impl Tally {
    /// A fault struck.
    pub fn fault(&self, fault: &'static str, state: &'static str) {
        *self.locked().faults.entry((fault, state)).or_default() += 1;
        self.step(|| format!("fault {fault} in {state}"));
    }

    /// A person did something.
    pub fn act(&self, act: &'static str, outcome: &'static str) {
        *self.locked().acts.entry((act, outcome)).or_default() += 1;
    }

    /// A spoke asked the hub something.
    pub fn asked(&self, state: &'static str) {
        *self.locked().asked.entry(state).or_default() += 1;
    }

    /// Something happened that makes the course what it is.
    pub fn step(&self, what: impl FnOnce() -> String) {
        let what = what();
        let mut counts = self.locked();
        for byte in what.bytes() {
            counts.course = (counts.course ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        if let Some(steps) = &mut counts.steps {
            steps.push(what);
        }
    }

    /// Keeps the course in words, to be read when something went wrong.
    pub fn keep_steps(&self) {
        self.locked().steps = Some(Vec::new());
    }

    /// The course in words, if it was kept.
    pub fn steps(&self) -> Vec<String> {
        self.locked().steps.clone().unwrap_or_default()
    }

    /// A hash over everything that happened.
    pub fn course(&self) -> u64 {
        self.locked().course
    }

    /// Changes a count.
    pub fn count(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.locked());
    }

    /// What was counted until now.
    pub fn counts(&self) -> Counts {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counts {
    /// Adds what another run counted.
    pub fn add(&mut self, other: &Self) {
        for (key, count) in &other.faults {
            *self.faults.entry(*key).or_default() += count;
        }
        for (key, count) in &other.acts {
            *self.acts.entry(*key).or_default() += count;
        }
        for (state, count) in &other.asked {
            *self.asked.entry(*state).or_default() += count;
        }
        self.messages += other.messages;
        self.simulated_ms += other.simulated_ms;
        self.ops += other.ops;
        self.checks += other.checks;
    }

    /// The table of faults by the state of the protocol, and of what else happened, as Markdown.
    pub fn fault_table(&self) -> String {
        let mut table = format!("| fault | {} |\n|---|{}\n", STATES.join(" | "), "---:|".repeat(STATES.len()));
        let mut faults: Vec<_> = self.faults.keys().filter(|key| STATES.contains(&key.1)).map(|key| key.0).collect();
        faults.dedup();
        for fault in faults {
            let row =
                STATES.iter().map(|state| self.faults.get(&(fault, *state)).map_or("–".to_owned(), u64::to_string));
            table.push_str(&format!("| {fault} | {} |\n", row.collect::<Vec<_>>().join(" | ")));
        }
        let others = self.faults.iter().filter(|(key, _)| !STATES.contains(&key.1));
        let others = others.map(|((fault, who), count)| format!("{fault} ({who}) {count}"));
        table.push_str(&format!("\nbesides: {}\n", others.collect::<Vec<_>>().join(", ")));
        table
    }
}
