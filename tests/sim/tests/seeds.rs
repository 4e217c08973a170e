//! The simulator itself: a seed decides everything; a run that fails says how to do it again; and some seeds, so that
//! the ordinary tests also simulate a little. The command does many more.

#![allow(clippy::unwrap_used)]

use heph_sim::plan::{Length, Plan};
use heph_sim::seeds::{self, parse_ranges, ranges};
use heph_sim::tally::Tally;

/// What a run does and how it ends, on a thread of its own.
fn course(seed: u64) -> (u64, Option<String>, Vec<String>) {
    let ran = std::thread::spawn(move || {
        let tally = Tally::default();
        tally.keep_steps();
        let outcome = seeds::once(&Plan::new(seed, Length::Short), &tally);
        (tally.course(), outcome.err().map(|violation| violation.to_string()), tally.steps())
    });
    ran.join().unwrap()
}

#[test]
fn a_seed_decides_everything_that_happens() {
    for seed in [3, 4, 5] {
        let (first, second) = (course(seed), course(seed));
        let differing = first.2.iter().zip(&second.2).find(|(first, second)| first != second);
        assert_eq!(differing, None, "seed {seed}");
        assert_eq!((first.0, first.1), (second.0, second.1), "seed {seed}");
        assert!(first.2.len() > 50, "seed {seed}: {} steps", first.2.len());
    }
}

#[test]
fn another_seed_is_another_course() {
    assert_ne!(course(6).0, course(7).0);
}

#[test]
fn some_seeds_break_no_promise() {
    for seed in 100..112 {
        let (_, broken, _) = course(seed);
        assert_eq!(broken, None, "cargo run -p heph-sim -- --seed {seed}");
    }
}

#[test]
fn events_that_are_enough_are_printed_as_they_are_read() {
    let numbers = [0, 1, 2, 5, 7, 8];
    assert_eq!(ranges(&numbers), "0-2,5,7-8");
    assert_eq!(parse_ranges("0-2,5,7-8").unwrap(), numbers);
    assert_eq!(parse_ranges("1-x"), None);
}
