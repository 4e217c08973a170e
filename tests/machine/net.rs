//! Networks of their own: a hub and a device in namespaces of theirs, and between them a link that is cut, in both
//! directions or in one, loses packets, is reset, thin, flaps, or changes its address, while the two say hello, pull,
//! push, tell of something new, or are idle. Work goes on on both sides, what was acknowledged stays, the device says
//! what is the matter, and both are in step again without anybody asking for it.
//!
//! `HEPH_TEST_ROUNDS` says how often each pair of fault and state is tried; once if it says nothing.

mod fault;
mod lab;

use fault::Fault;
use heph_api::types::{SyncState, SyncStatus};
use heph_tests::wait;
use lab::Lab;
use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

/// What the device and the hub are at when the fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    Hello,
    Pull,
    Push,
    Events,
    Idle,
}

const ALL: [At; 5] = [At::Hello, At::Pull, At::Push, At::Events, At::Idle];

/// Large texts of a transfer, and the length of each: several pages, on a link that takes a second or two for them.
const TEXTS: usize = 5;
const TEXT_BYTES: usize = 250_000;
/// The same on a link that is slow: at 64 kbit/s a second is 8,000 bytes.
const SLOW_TEXT_BYTES: usize = 6_000;

fn rounds() -> usize {
    std::env::var("HEPH_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(1)
}

/// The status that was last seen, told if it is none that was waited for.
#[derive(Default)]
struct Last(RefCell<Option<SyncStatus>>);

impl Drop for Last {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last status: {:#?}", self.0.borrow());
        }
    }
}

/// A lab in which one fault is tried at every state, and the titles of all that was acknowledged.
struct Trial {
    lab: Lab,
    fault: Fault,
    written: BTreeSet<String>,
    number: usize,
}

/// What came of a state.
#[derive(Debug, Default)]
struct Count {
    rounds: usize,
    /// Rounds in which the two still were at it when the fault began.
    in_time: usize,
    /// Packets that it struck, or changes that it made.
    hits: u64,
    /// The longest time that healing took.
    healing: Duration,
}

impl Trial {
    fn title(&mut self, what: &str) -> String {
        self.number += 1;
        let title = format!("{what} {}", self.number);
        self.written.insert(title.clone());
        title
    }

    /// A letter or two for each byte: texts that hardly compress, each another one.
    fn text(&self) -> String {
        let bytes = if self.fault.cuts() { TEXT_BYTES } else { SLOW_TEXT_BYTES };
        let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ ((self.number as u64) << 32);
        let next = |_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            char::from(b' ' + state.to_le_bytes()[0] % 94)
        };
        (0..bytes).map(next).collect()
    }

    fn near_writes(&mut self) {
        let title = self.title("near");
        self.lab.near.task(&title);
        self.lab.near.sync();
    }

    fn far_writes(&mut self) {
        let title = self.title("far");
        self.lab.far.task(&title);
    }

    /// Brings the two to `at` and lets the fault begin. Returns whether they still were at it when it had begun.
    fn begin(&mut self, at: At) -> bool {
        if !self.fault.cuts() {
            // Everything goes on under it, only slowly: it is there from the start.
            self.fault.on(&self.lab.net);
        }
        self.bring_to(at) || !self.fault.cuts()
    }

    fn strike(&self) {
        if self.fault.cuts() {
            self.fault.on(&self.lab.net);
        }
    }

    fn bring_to(&mut self, at: At) -> bool {
        match at {
            At::Hello => {
                self.lab.far.stop();
                self.strike();
                self.lab.far.start();
                true
            }
            At::Pull => {
                self.lab.far.stop();
                for _ in 0..TEXTS {
                    let (title, text) = (self.title("near's text"), self.text());
                    self.lab.near.doc(&title, &text);
                }
                self.lab.near.sync();
                let before = self.lab.far.summary().head;
                self.lab.far.start();
                let (far, hub) = (&self.lab.far, &self.lab.hub);
                wait::until("the first page pulled", || (far.summary().head > before).then_some(()));
                self.strike();
                far.status().pull_cursor < hub.summary().head
            }
            At::Push => {
                let before = self.lab.hub.summary().head;
                for _ in 0..TEXTS {
                    let (title, text) = (self.title("far's text"), self.text());
                    self.lab.far.doc(&title, &text);
                }
                let hub = &self.lab.hub;
                wait::until("the first page pushed", || (hub.summary().head > before).then_some(()));
                self.strike();
                self.lab.far.status().pending_push > 0
            }
            At::Events | At::Idle => {
                self.strike();
                true
            }
        }
    }

    /// Work goes on on both sides, and the device tells what is the matter.
    fn goes_on(&mut self, at: At) {
        if at == At::Idle {
            // Nothing is written; that takes as long as the other device takes to find out that nothing was.
            self.lab.near.sync();
            return;
        }
        self.near_writes();
        self.far_writes();
        if !self.fault.cuts() {
            return;
        }
        let (far, says) = (&self.lab.far, self.fault.says());
        let fits = |status: &SyncStatus| match at {
            At::Hello => status.state == SyncState::Unreachable && says.iter().any(|says| status.words.contains(says)),
            _ => !status.state.is_in_step() && status.words.contains("to be sent"),
        };
        let last = Last::default();
        let status = wait::until("a status that tells of it", || {
            *last.0.borrow_mut() = Some(far.status());
            last.0.borrow().clone().filter(fits)
        });
        wait::until("a packet that is struck", || (self.fault.hits(&self.lab.net) > 0).then_some(()));
        assert!(at != At::Hello || status.words.contains("your changes are safe here"), "{status:?}");
        far.heph(&["list"]).ok();
    }

    /// Both are in step by themselves, and hold all that was written.
    fn heals(&mut self, at: At) {
        if at == At::Idle {
            self.near_writes();
            self.far_writes();
        }
        let Lab { hub, near, far, .. } = &self.lab;
        wait::until(&format!("being in step after {:?} at {at:?}", self.fault), || {
            let (near, far, digest) = (near.status(), far.status(), hub.digest());
            let same = near.state_digest == digest && far.state_digest == digest;
            (same && near.state.is_in_step() && far.state.is_in_step()).then_some(())
        });
        for device in [near, far] {
            let tasks = device.tasks().into_iter().map(|row| row.title);
            let found: BTreeSet<String> = tasks.filter(|title| self.written.contains(title)).collect();
            let wanted: BTreeSet<&String> = self.written.iter().filter(|title| !title.contains("text")).collect();
            assert_eq!(found.iter().collect::<BTreeSet<_>>(), wanted, "on {} after {at:?}", device.name());
        }
    }

    fn run(&mut self) -> BTreeMap<At, Count> {
        let mut counts: BTreeMap<At, Count> = BTreeMap::new();
        for at in (0..rounds()).flat_map(|_| ALL) {
            let in_time = self.begin(at);
            self.goes_on(at);
            if !self.fault.cuts() {
                self.heals(at);
            }
            let hits = self.fault.off(&self.lab.net, &|| drop(self.lab.near.sync()));
            let over = Instant::now();
            self.heals(at);
            let count = counts.entry(at).or_default();
            count.rounds += 1;
            count.in_time += usize::from(in_time);
            count.hits += hits;
            count.healing = count.healing.max(over.elapsed());
        }
        counts
    }
}

fn tried(fault: Fault) {
    let Some(lab) = Lab::new() else { return };
    let mut trial = Trial { lab, fault, written: BTreeSet::new(), number: 0 };
    let counts = trial.run();
    println!("| fault | at | rounds | in time | packets or changes | longest healing |");
    for (at, Count { rounds, in_time, hits, healing }) in counts {
        println!("| {fault:?} | {at:?} | {rounds} | {in_time} | {hits} | {:.1} s |", healing.as_secs_f64());
        assert!(hits > 0 || at == At::Idle, "{fault:?} at {at:?} hit nothing");
    }
    trial.lab.near.verify();
    trial.lab.far.verify();
    let texts = trial.written.iter().filter(|title| title.contains("text")).count();
    assert!(trial.lab.far.status().op_count >= texts as u64);
}

#[test]
fn a_link_that_is_cut_in_both_directions() {
    tried(Fault::Cut);
}

#[test]
fn a_link_on_which_nothing_reaches_the_hub() {
    tried(Fault::CutTo);
}

#[test]
fn a_link_on_which_nothing_comes_from_the_hub() {
    tried(Fault::CutFrom);
}

#[test]
fn a_link_that_loses_a_quarter() {
    tried(Fault::Loss);
}

#[test]
fn a_link_that_resets_every_connection() {
    tried(Fault::Reset);
}

#[test]
fn a_link_of_64_kbit_a_second() {
    tried(Fault::Thin);
}

#[test]
fn a_link_that_flaps() {
    tried(Fault::Flap);
}

#[test]
fn a_device_whose_address_changes() {
    tried(Fault::Address);
}
