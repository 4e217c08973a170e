//! When the next cycle goes: a pure machine of events and milliseconds, without a clock, a socket or a store.
//!
//! Offline is normal. A hub that is away is tried again with growing, jittered pauses; a person who asks, the first
//! write after a silence, and a hub that says it moved do not wait for the pause to end. Times are milliseconds of one
//! clock that never goes back; jitter comes in from outside.
//!
//! ```text
//!            write ──▶ debounce ─┐
//!   hub moved, asked, network ───┼──▶ now ──▶ running ──▶ in step ──▶ poll
//!                         retry ─┘               └──▶ failed ──▶ backoff, retry-after
//! ```

/// A write that follows another waits so long for the next one, in milliseconds.
pub const DEBOUNCE_MS: u64 = 10;
/// No write waits longer than this for its neighbours, in milliseconds.
pub const DEBOUNCE_MAX_MS: u64 = 100;
/// After so long without a write, in milliseconds, a write goes at once.
pub const IDLE_MS: u64 = 100;
/// The same while the hub is away: after so long a silence, a write is worth a try of its own.
pub const IDLE_AWAY_MS: u64 = 30_000;
/// The first pause after a failure, in milliseconds; it doubles with each further one.
pub const BACKOFF_MIN_MS: u64 = 1_000;
/// The longest pause, in milliseconds.
pub const BACKOFF_MAX_MS: u64 = 300_000;
/// How often a hub in step is asked anyway, in milliseconds, in case its events do not arrive.
pub const POLL_MS: u64 = 60_000;
/// The longest pause that a hub can ask for, in milliseconds.
pub const RETRY_AFTER_MAX_MS: u64 = 3_600_000;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Something was written here that the hub does not have.
    Write,
    /// The hub said that its log moved.
    HubMoved,
    /// A person asked for a cycle.
    Asked,
    /// The network is back, or the hub answers again.
    Network,
    /// A cycle begins now: it covers all that happened before.
    Began,
    /// The cycle ended.
    Ended(Ending),
}

/// How a cycle ended, as far as it decides when the next one goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Both hold the same.
    InStep,
    /// Nothing failed, and the two do not hold the same yet.
    NotYet,
    /// The hub could not be reached or broke off; it may have said when to come back, in milliseconds from now.
    Away {
        /// What `Retry-After` said.
        retry_after_ms: Option<u64>,
        /// Whether ops went to or fro before: then it is the first failure, however many there were before.
        further: bool,
    },
    /// The hub answered and will answer the same until somebody does something.
    Refused,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Run a cycle now.
    Go,
    /// Nothing before this time.
    At(u64),
    /// A cycle is running: its end decides.
    Running,
}

/// Writes that no cycle covers yet.
#[derive(Debug, Clone, Copy)]
struct Unsent {
    first_ms: u64,
    last_ms: u64,
    after_silence_ms: u64,
}

/// The machine: what is wanted, and what has failed how often.
#[derive(Debug, Clone)]
pub struct Schedule {
    running: bool,
    asked: bool,
    woken: bool,
    unsent: Option<Unsent>,
    last_write_ms: Option<u64>,
    failures: u32,
    planned_ms: u64,
    /// Set by a refusal, until something may have changed at the hub or on the way there.
    not_before_ms: u64,
    /// Set by `Retry-After`.
    retry_after_ms: u64,
}

impl Schedule {
    /// A daemon that just started: the first cycle goes at once.
    pub fn new(now_ms: u64) -> Self {
        Self {
            running: false,
            asked: false,
            woken: false,
            unsent: None,
            last_write_ms: None,
            failures: 0,
            planned_ms: now_ms,
            not_before_ms: 0,
            retry_after_ms: 0,
        }
    }

    /// Takes note of an event. `jitter` is any number; equal ones give equal plans.
    pub fn on(&mut self, now_ms: u64, event: Event, jitter: u64) {
        match event {
            Event::Write => self.written(now_ms),
            Event::HubMoved | Event::Network => (self.woken, self.not_before_ms) = (true, 0),
            Event::Asked => self.asked = true,
            Event::Began => {
                (self.running, self.asked, self.woken, self.unsent) = (true, false, false, None);
            }
            Event::Ended(ending) => self.ended(now_ms, ending, jitter),
        }
    }

    /// What to do at `now_ms`.
    pub fn next(&self, now_ms: u64) -> Next {
        match self.due_ms() {
            _ if self.running => Next::Running,
            due if due <= now_ms => Next::Go,
            due => Next::At(due),
        }
    }

    /// When the next cycle goes if nothing else happens.
    pub fn due_ms(&self) -> u64 {
        if self.asked {
            return 0;
        }
        let write = self.unsent.and_then(|unsent| self.write_due_ms(unsent));
        let woken = self.woken.then_some(0);
        let due = [write, woken].into_iter().flatten().fold(self.planned_ms, u64::min);
        due.max(self.not_before_ms).max(self.retry_after_ms)
    }

    fn written(&mut self, now_ms: u64) {
        let silence_ms = self.last_write_ms.map_or(u64::MAX, |last| now_ms.saturating_sub(last));
        self.last_write_ms = Some(now_ms);
        match &mut self.unsent {
            Some(unsent) => {
                unsent.last_ms = now_ms;
                unsent.after_silence_ms = unsent.after_silence_ms.max(silence_ms);
            }
            None => {
                self.unsent = Some(Unsent { first_ms: now_ms, last_ms: now_ms, after_silence_ms: silence_ms });
            }
        }
    }

    /// While the hub is away, only a write after a long silence goes before the planned retry.
    fn write_due_ms(&self, unsent: Unsent) -> Option<u64> {
        let idle_ms = if self.failures == 0 { IDLE_MS } else { IDLE_AWAY_MS };
        if unsent.after_silence_ms >= idle_ms {
            return Some(unsent.first_ms);
        }
        let due_ms = (unsent.last_ms + DEBOUNCE_MS).min(unsent.first_ms + DEBOUNCE_MAX_MS);
        (self.failures == 0).then_some(due_ms)
    }

    fn ended(&mut self, now_ms: u64, ending: Ending, jitter: u64) {
        self.running = false;
        (self.not_before_ms, self.retry_after_ms) = (0, 0);
        match ending {
            Ending::InStep => {
                self.failures = 0;
                self.planned_ms = now_ms + POLL_MS + jitter % (POLL_MS / 10);
            }
            // Once more at once: most often something was written while the cycle ran.
            Ending::NotYet if self.failures == 0 => {
                self.failures = 1;
                self.planned_ms = now_ms;
            }
            Ending::NotYet => self.back_off(now_ms, jitter),
            Ending::Away { retry_after_ms, further } => {
                self.failures = if further { 0 } else { self.failures };
                self.back_off(now_ms, jitter);
                if let Some(after_ms) = retry_after_ms {
                    self.retry_after_ms = now_ms + after_ms.min(RETRY_AFTER_MAX_MS);
                    self.planned_ms = self.planned_ms.max(self.retry_after_ms);
                }
            }
            Ending::Refused => {
                self.failures = self.failures.saturating_add(1);
                self.planned_ms = now_ms + half_to_whole(BACKOFF_MAX_MS, jitter);
                self.not_before_ms = self.planned_ms;
            }
        }
    }

    fn back_off(&mut self, now_ms: u64, jitter: u64) {
        self.planned_ms = now_ms + pause_ms(self.failures, jitter);
        self.failures = self.failures.saturating_add(1);
    }
}

/// How long to wait after this many failures before the last one, in milliseconds.
pub fn pause_ms(failures: u32, jitter: u64) -> u64 {
    half_to_whole(BACKOFF_MIN_MS.saturating_mul(1 << failures.min(20)).min(BACKOFF_MAX_MS), jitter)
}

/// A pause between half of `pause_ms` and all of it, so that devices that lost a hub together do not return together.
fn half_to_whole(pause_ms: u64, jitter: u64) -> u64 {
    pause_ms / 2 + jitter % (pause_ms / 2 + 1)
}

#[cfg(test)]
mod tests;
