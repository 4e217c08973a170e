//! Many daemons that start at once for one database, or for one socket: exactly one wins, the others say so; and when
//! that one is killed, the next race has a winner again, whatever it left behind.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use heph_tests::programs::programs;
use heph_tests::wait::until;
use heph_tests::{World, process};
use rustix::process::{Pid, Signal, kill_process};

use super::alone;
use super::numbers::{Numbers, seed};
use super::tally::Tally;

/// How many start at once.
const RUNNERS: u64 = 6;
/// How often there is a race.
const RACES: usize = 3;

/// Sends a signal to a process of ours.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).expect("a process id"), signal).unwrap();
}

/// A daemon in a race.
struct Runner {
    child: Child,
    said: std::path::PathBuf,
}

impl Runner {
    fn start(mut command: Command, said: &Path) -> Self {
        let out = std::fs::File::create(said).unwrap();
        let err = out.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().unwrap();
        Self { child, said: said.to_owned() }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.said).unwrap_or_default()
    }

    fn has_won(&self) -> bool {
        self.said().contains("listening on")
    }

    fn has_lost(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.child.kill().ok(); // It may have ended.
        self.child.wait().ok();
    }
}

/// Runs races; `command` makes the command of a runner. The losers say one of `words`, each with a hint.
fn race(name: &str, command: impl Fn(&World, u64) -> Command, words: &[&str]) {
    let (seed, world, mut tally) = (seed(), World::new(), Tally::default());
    println!("HEPH_TEST_SEED={seed}");
    for number in 0..super::rounds("HEPH_RACES", RACES) {
        let mut numbers = Numbers::of_round(seed, number);
        let mut runners = Vec::new();
        for n in 0..RUNNERS {
            // Some come a moment later, while the first are at it.
            (0..numbers.below(400_000)).for_each(|n| assert!(std::hint::black_box(n) < 400_000));
            runners.push(Runner::start(command(&world, n), &world.root().join(format!("said-{n}"))));
        }
        until("one winner, and the end of all others", || {
            let lost = runners.iter_mut().map(Runner::has_lost).filter(|lost| *lost).count() as u64;
            (lost == RUNNERS - 1 && runners.iter().any(Runner::has_won)).then_some(())
        });
        for runner in &mut runners {
            if !runner.has_lost() {
                assert!(runner.has_won(), "{}", runner.said());
                continue;
            }
            let (code, said) = (runner.child.wait().unwrap().code(), runner.said());
            assert_eq!(code, Some(1), "race {number}: {said}");
            assert!(words.iter().any(|words| said.contains(words)), "race {number}: {said}");
            assert!(said.contains("hint: ") && !runner.has_won(), "race {number}: {said}");
        }
        tally.count(name, "start", RUNNERS - 1);
        drop(runners); // With SIGKILL: lock files and sockets are left behind.
    }
    println!("{tally}");
}

fn local(world: &World, db: &str, socket: &str) -> Command {
    let mut command = process::command(&programs().hephd, world.root());
    command.args(["--mode", "local", "--device-name", "runner", "--db"]).arg(world.root().join(db));
    command.arg("--socket").arg(world.root().join(socket));
    command
}

#[test]
fn of_many_daemons_for_one_database_one_wins_and_the_others_say_so() {
    alone(of_many_daemons_for_one_database_one_wins_and_the_others_say_so, || {
        let own_socket = |world: &World, n| local(world, "heph.db", &format!("socket-{n}"));
        race("daemons for one database", own_socket, &["another hephd"]);
    });
}

#[test]
fn of_many_daemons_for_one_socket_one_wins_and_the_others_say_so() {
    alone(of_many_daemons_for_one_socket_one_wins_and_the_others_say_so, || {
        let own_database = |world: &World, n| local(world, &format!("heph-{n}.db"), "socket");
        race("daemons for one socket", own_database, &["already answers"]);
    });
}

#[test]
fn of_many_daemons_for_both_one_wins_and_the_others_say_so() {
    alone(of_many_daemons_for_both_one_wins_and_the_others_say_so, || {
        race("daemons for both", |world, _| local(world, "heph.db", "socket"), &["another hephd"]);
    });
}

#[test]
fn of_many_hubs_for_one_database_one_wins_and_the_others_say_so() {
    alone(of_many_hubs_for_one_database_one_wins_and_the_others_say_so, || {
        let hub = |world: &World, _| {
            let mut command = process::command(&programs().hephd, world.root());
            command.args(["--mode", "server", "--open", "--http-addr", "127.0.0.1:0", "--db"]);
            command.arg(world.root().join("heph.db"));
            command
        };
        race("hubs for one database", hub, &["another hephd"]);
    });
}
