//! How often which fault met which state of the protocol: the table that is printed at the end of a part.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

/// What was counted of a pair.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    rounds: u64,
    hits: u64,
}

/// Counters of (fault × state).
#[derive(Debug, Default)]
pub struct Tally {
    pairs: BTreeMap<(String, String), Count>,
}

impl Tally {
    /// Counts a round; `hits` is how often the fault fell into the midst of it.
    pub fn count(&mut self, fault: impl Display, state: impl Display, hits: u64) {
        let count = self.pairs.entry((fault.to_string(), state.to_string())).or_default();
        count.rounds += 1;
        count.hits += hits;
    }

    /// How often a fault fell into the midst of anything.
    pub fn hits(&self) -> u64 {
        self.pairs.values().map(|count| count.hits).sum()
    }
}

impl Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| fault | state | rounds | hits |\n|---|---|---|---|")?;
        for ((fault, state), Count { rounds, hits }) in &self.pairs {
            writeln!(f, "| {fault} | {state} | {rounds} | {hits} |")?;
        }
        Ok(())
    }
}
