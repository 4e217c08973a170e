//! Runs of seeds: each on a thread of its own with a runtime of one thread and a clock of its own, so that the seed
//! decides everything; and the shortest run that still fails.

use crate::disk;
use crate::oracle::{Code, Violation};
use crate::plan::{Length, Plan};
use crate::run;
use crate::tally::Tally;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// How many shorter runs are tried for a seed that failed.
const TRIES_MAX: usize = 400;

/// Does a run on this thread.
///
/// # Errors
/// The first promise that was broken; a panic is one.
pub fn once(plan: &Plan, tally: &Tally) -> Result<(), Violation> {
    hephd::work::inline_on_this_thread();
    disk::reset_randomness();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let ran = catch_unwind(AssertUnwindSafe(|| runtime.block_on(run::run(plan, tally))));
    ran.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Violation::new(Code::Daemon, "all", format!("a panic: {}", text.unwrap_or_default())))
    })
}

/// A run that failed.
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// Its length.
    pub length: Length,
    /// What was broken in the whole run.
    pub violation: Violation,
    /// Which of its events are enough to break the same, as far as was tried.
    pub enough: Vec<usize>,
}

impl Failed {
    /// The shortest command that does it again.
    pub fn command(&self) -> String {
        let length = match self.length {
            Length::Short => String::new(),
            Length::Rare => " --rare".to_owned(),
            Length::Ops(ops) => format!(" --ops {ops}"),
        };
        format!("cargo run -p heph-sim -- --seed {}{length} --only {}", self.seed, ranges(&self.enough))
    }
}

/// Does the run of a seed; if it fails, looks for fewer events that break the same promise.
///
/// # Errors
/// If a promise was broken.
pub fn seed(seed: u64, length: Length, shrinks: bool, tally: &Tally) -> Result<(), Box<Failed>> {
    let plan = Plan::new(seed, length);
    let Err(violation) = once(&plan, tally) else { return Ok(()) };
    let all: Vec<usize> = (0..plan.events.len()).collect();
    let enough = if shrinks { shrink(&plan, violation.code, all) } else { all };
    Err(Box::new(Failed { seed, length, violation, enough }))
}

/// Leaves out ever smaller parts of what is left, as long as the same promise is broken.
fn shrink(plan: &Plan, code: Code, mut kept: Vec<usize>) -> Vec<usize> {
    let mut tries = 0;
    let mut part = kept.len().div_ceil(2);
    while part > 0 && tries < TRIES_MAX {
        let mut at = 0;
        while at < kept.len() && tries < TRIES_MAX {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + part).min(kept.len()));
            tries += 1;
            match once(&plan.only(&fewer), &Tally::default()) {
                Err(violation) if violation.code == code => kept = fewer,
                _ => at += part,
            }
        }
        part = if part == 1 { 0 } else { part.div_ceil(2) };
    }
    kept
}

/// Numbers as `1-3,7`.
pub fn ranges(numbers: &[usize]) -> String {
    let mut texts: Vec<String> = Vec::new();
    let mut at = 0;
    while at < numbers.len() {
        let mut end = at;
        while numbers.get(end + 1) == Some(&(numbers[end] + 1)) {
            end += 1;
        }
        texts.push(if end == at { numbers[at].to_string() } else { format!("{}-{}", numbers[at], numbers[end]) });
        at = end + 1;
    }
    texts.join(",")
}

/// Reads what [`ranges`] writes.
pub fn parse_ranges(text: &str) -> Option<Vec<usize>> {
    let mut numbers = Vec::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        match part.split_once('-') {
            Some((first, last)) => numbers.extend(first.parse::<usize>().ok()?..=last.parse().ok()?),
            None => numbers.push(part.parse().ok()?),
        }
    }
    Some(numbers)
}
