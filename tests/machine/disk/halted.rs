//! Daemons that stand still (a laptop that is shut, a process that the system stopped) in the midst of an exchange:
//! nobody waits for them for ever, the others go on, and once they run again everybody gets in step.

use std::time::{Duration, Instant};

use heph_tests::World;
use rustix::process::{Pid, Signal, kill_process};

use super::acknowledged::{Acknowledged, Told};
use super::alone;
use super::going_on::doc;
use super::numbers::{Numbers, seed};
use super::race::signal;

/// The longest that a command may take whose daemon stands still: what is asked for in no hurry is told sooner.
const SAYS_SO_WITHIN: Duration = Duration::from_secs(45);

/// A process that stands still until this is dropped.
struct Halted(u32);

impl Halted {
    fn halt(pid: u32) -> Self {
        signal(pid, Signal::STOP);
        heph_tests::wait::until("a process that stands still", || super::tracer::stands_still(pid).then_some(()));
        Self(pid)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        if let Some(pid) = Pid::from_raw(self.0.cast_signed()) {
            kill_process(pid, Signal::CONT).ok(); // It may have ended.
        }
    }
}

#[test]
fn a_command_whose_daemon_stands_still_says_so_in_time() {
    alone(a_command_whose_daemon_stands_still_says_so_in_time, || {
        let world = World::new();
        let laptop = world.lone_device("laptop");
        laptop.task("milk");
        let halted = Halted::halt(laptop.pid());
        for words in [&["task", "bread"][..], &["sync", "--wait"], &["verify"]] {
            let began = Instant::now();
            let said = laptop.heph(words).exits(1);
            assert!(began.elapsed() < SAYS_SO_WITHIN, "{words:?}: {:?}", began.elapsed());
            assert!(said.stderr.contains("did not answer within"), "{words:?}: {}", said.stderr);
            assert!(said.stderr.contains("hint: "), "{words:?}: {}", said.stderr);
        }
        drop(halted);
        let titles = laptop.tasks();
        assert!((1..=2).contains(&titles.len()), "bread was written once or not at all: {titles:?}");
        laptop.verify();
    });
}

#[test]
fn a_device_that_stands_still_in_the_midst_of_an_exchange_holds_nobody_up() {
    alone(a_device_that_stands_still_in_the_midst_of_an_exchange_holds_nobody_up, || {
        let (seed, told) = (seed(), Acknowledged::default());
        println!("HEPH_TEST_SEED={seed}");
        let world = World::new();
        let (laptop, phone, tablet) = (world.device("laptop"), world.device("phone"), world.device("tablet"));
        for round in 0..3 {
            let mut numbers = Numbers::of_round(seed, round);
            let texts: Vec<_> = (0..6).map(|n| (format!("large {round}.{n}"), numbers.letters(150_000))).collect();
            let mut halted = None;
            for (n, (title, text)) in texts.iter().enumerate() {
                doc(&laptop, &told, title, text).unwrap();
                if n as u64 == numbers.below(6) && halted.is_none() {
                    halted = Some(Halted::halt(phone.pid())); // It is being told of the one before.
                }
            }
            let halted = halted.unwrap_or_else(|| Halted::halt(phone.pid()));
            laptop.sync();
            tablet.sync();
            told.is_in(&tablet.db_path(), "while one stands still");
            drop(halted);
            world.converge();
            told.is_in(&phone.db_path(), "after it stood still");
        }
        [&laptop, &phone, &tablet].iter().for_each(|device| device.verify());
    });
}

#[test]
fn a_hub_that_stands_still_keeps_nobody_from_writing_and_is_told() {
    alone(a_hub_that_stands_still_keeps_nobody_from_writing_and_is_told, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let (hub, laptop, phone) = (world.hub(), world.device("laptop"), world.device("phone"));
        let mut numbers = Numbers::of_round(seed(), 9);
        let halted = Halted::halt(hub.pid());
        for (device, name) in [(&laptop, "laptop"), (&phone, "phone")] {
            (0..4).for_each(|n| doc(device, &told, &format!("{name} {n}"), &numbers.letters(90_000)).unwrap());
        }
        let began = Instant::now();
        let said = laptop.heph(&["sync", "--wait"]);
        assert!(began.elapsed() < Duration::from_secs(100), "{:?}", began.elapsed());
        assert_ne!(said.code, 0, "{}", said.text());
        let words = format!("{}{}", said.text(), said.stderr);
        assert!(words.contains("hub") && words.contains("safe"), "{words}");
        laptop.task("while it stands still");
        told.add(Told::task("while it stands still"));
        drop(halted);
        world.converge();
        for db in [laptop.db_path(), phone.db_path(), hub.db_path()] {
            told.is_in(&db, "after the hub stood still");
        }
        super::acknowledged::heph_finds_it_sound(&hub.db_path(), "the hub");
    });
}
