//! Every fault in every state of the protocol, round after round: the fault falls at the n-th call of its kind, or at
//! any moment; then everything that was acknowledged has to be there, and everybody gets in step by themselves.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use heph_tests::vitals::Vitals;
use heph_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

use super::acknowledged::Told;
use super::going_on::{Complaints, GoingOn, check_backups, task};
use super::numbers::{Numbers, seed};
use super::stage::{Ground, Stage, Victim};
use super::tally::Tally;
use super::tracer::{Tracer, Trap, hits, is_gone};
use super::{alone, rounds};

/// So many rounds take place on one stage, then it is set anew.
const ROUNDS_PER_STAGE: usize = 10;
/// After so many rounds a long run says how far it is.
const SAID_EVERY: usize = 50;
/// How long a daemon that was stopped stands still.
const STANDSTILL: Duration = Duration::from_millis(200);
/// The most memory that a daemon may have held, in MiB.
const PEAK_MIB_MAX: u64 = 160;

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    PowerAtSync,
    PowerAnytime,
    KillAtSync,
    FailedSync,
    FailedWrite,
    FullAtWrite,
    Standstill,
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PowerAtSync => "power cut at a sync",
            Self::PowerAnytime => "power cut at any moment",
            Self::KillAtSync => "kill at a sync",
            Self::FailedSync => "failed sync (EIO)",
            Self::FailedWrite => "failed write (EIO)",
            Self::FullAtWrite => "failed write (ENOSPC)",
            Self::Standstill => "SIGSTOP at a sync",
        })
    }
}

impl Fault {
    /// On what it can happen.
    fn ground(self) -> Ground {
        if matches!(self, Self::KillAtSync | Self::Standstill) { Ground::Directory } else { Ground::Ext4 }
    }

    /// Whether the daemon goes on afterwards.
    fn is_survived(self) -> bool {
        matches!(self, Self::FailedSync | Self::FailedWrite | Self::FullAtWrite | Self::Standstill)
    }

    /// The trap for a state, if the fault is one of a system call.
    fn trap(self, going_on: GoingOn, stage: &Stage, victim: Victim, numbers: &mut Numbers) -> Option<Trap> {
        const SYNCS: &str = "fsync,fdatasync";
        let (calls, what, last) = match self {
            Self::PowerAnytime => return None,
            Self::PowerAtSync | Self::KillAtSync => (SYNCS, "signal=KILL", going_on.syncs()),
            Self::Standstill => (SYNCS, "signal=STOP", going_on.syncs()),
            Self::FailedSync => (SYNCS, "error=EIO", going_on.syncs()),
            Self::FailedWrite => ("pwrite64", "error=EIO", going_on.syncs() * 8),
            Self::FullAtWrite => ("pwrite64", "error=ENOSPC", going_on.syncs() * 8),
        };
        let of_the_file = calls == SYNCS && going_on.is_about_the_database() && numbers.coin();
        let nth = if of_the_file { 1 } else { numbers.nth(last) };
        let fails = matches!(self, Self::FailedSync | Self::FailedWrite | Self::FullAtWrite);
        let when = match numbers.below(3) {
            0 if fails => format!("{nth}..{}", nth + 2),
            1 if fails && !going_on.is_a_start() => format!("{nth}+"),
            _ => nth.to_string(),
        };
        Some(Trap { calls, what, when, file: of_the_file.then(|| stage.db(victim)) })
    }
}

/// One round. Returns how often the fault fell into the midst of it.
fn round(stage: &mut Stage, fault: Fault, going_on: GoingOn, what: &str, numbers: &mut Numbers) -> u64 {
    let victim = going_on.victim(numbers);
    going_on.prepare(stage, victim, numbers);
    let trap = fault.trap(going_on, stage, victim, numbers);
    let log = stage.trace();
    drop(fs::remove_file(&log));
    let tracer = trap.and_then(|trap| {
        if going_on.is_a_start() {
            stage.run_under(victim, &trap.words_before(&log));
            return None;
        }
        Some(Tracer::attach(stage.pid(victim), &trap, &log))
    });
    let (complaints, cut) =
        beside(stage, fault, (going_on, victim), numbers, |stage, numbers| going_on.go_on(stage, victim, numbers));
    drop(tracer);
    stage.run_under(victim, &[]);
    let hits = if fault == Fault::PowerAnytime { u64::from(cut) } else { hits(&log) };
    complaints.iter().for_each(|(code, sentence)| speaks_plainly(code, sentence, what));
    if fault.is_survived() {
        goes_on(stage, fault, going_on, victim, what);
    }
    end(stage, fault, victim, numbers);
    stage.check_what_is_left(victim, what);
    start_all(stage, what);
    check_backups(stage, what);
    stage.all_in_step(what);
    stage.check_files(victim, what);
    hits
}

/// Does something while the power may go, or a daemon that stands still is woken again. Returns whether the power went.
fn beside(
    stage: &mut Stage,
    fault: Fault,
    (going_on, victim): (GoingOn, Victim),
    numbers: &mut Numbers,
    go_on: impl FnOnce(&mut Stage, &mut Numbers) -> Complaints,
) -> (Complaints, bool) {
    let moment = Duration::from_micros(numbers.below(going_on.takes_us()));
    let (done, ended) = channel::<()>();
    let disk = (fault == Fault::PowerAnytime).then(|| stage.disk(victim).switch());
    let (log, pid) = (stage.trace(), stage.running_pid(victim));
    thread::scope(|scope| {
        let other = scope.spawn(move || match disk {
            Some(switch) => {
                // Whether it is done before is chance, too.
                let in_the_midst = ended.recv_timeout(moment) == Err(RecvTimeoutError::Timeout);
                switch.lose_power();
                in_the_midst
            }
            None if fault == Fault::Standstill => {
                wake(&log, pid, &ended);
                false
            }
            None => false,
        });
        let complaints = go_on(stage, numbers);
        drop(done);
        (complaints, other.join().unwrap())
    })
}

/// Lets a daemon go on a while after it was stopped.
fn wake(log: &std::path::Path, pid: Option<u32>, ended: &Receiver<()>) {
    while ended.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
        let said = fs::read_to_string(log).unwrap_or_default();
        if !said.contains("stopped by SIGSTOP") {
            continue;
        }
        // A daemon that was started under the tracer is the first process in its log, or has started that one.
        let first = || said.split_whitespace().next().and_then(|pid| pid.parse().ok());
        ended.recv_timeout(STANDSTILL).ok(); // It may be done before.
        if let Some(pid) = pid.or_else(first).and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            kill_process(pid, Signal::CONT).ok(); // It may have ended.
        }
    }
}

/// What people are told is a sentence, with what to do.
#[track_caller]
fn speaks_plainly(code: &str, sentence: &str, what: &str) {
    assert!(sentence.len() > 20 && !sentence.contains("panicked"), "{what}: {code}: {sentence}");
}

/// After a fault that a daemon survives it takes what is written, without being started again. If the fault ended it,
/// or kept it from starting, that is right where it was starting or stopping, or a write could not be synced.
fn goes_on(stage: &mut Stage, fault: Fault, going_on: GoingOn, victim: Victim, what: &str) {
    let lives = stage.running_pid(victim).is_some_and(|pid| !is_gone(pid));
    if !lives || going_on == GoingOn::Close {
        let may_end = going_on.is_a_start() || going_on == GoingOn::Close || fault == Fault::FailedSync;
        assert!(may_end, "{what}: the daemon ended");
        return;
    }
    let title = stage.title();
    match victim {
        Victim::Device => until("a write that is taken", || {
            let taken = task(&stage.device, &stage.by_device, &title).is_ok();
            (taken || (fault == Fault::FailedSync && is_gone(stage.pid(victim)))).then_some(())
        }),
        Victim::Hub => {
            stage.witness.task(&title);
            let taken = || stage.witness.exchange().state.is_in_step();
            until("a push that is taken", || {
                let taken = taken();
                if taken {
                    stage.by_hub.add(Told::task(&title));
                }
                (taken || (fault == Fault::FailedSync && is_gone(stage.pid(victim)))).then_some(())
            });
        }
    }
}

/// Ends the victim, and on a disk of its own the power with it. Files may have been written back before that, or not.
fn end(stage: &mut Stage, fault: Fault, victim: Victim, numbers: &mut Numbers) {
    let peak_mib = stage.running_pid(victim).and_then(Vitals::of).map_or(0, Vitals::peak_mib);
    stage.peak_mib = stage.peak_mib.max(peak_mib);
    stage.kill(victim);
    if fault.ground() != Ground::Ext4 {
        return;
    }
    if fault != Fault::PowerAnytime {
        let early = ["heph.db", "heph.db-wal"].get(usize::try_from(numbers.below(4)).expect("below four"));
        if let Some(Ok(file)) = early.map(|name| File::open(stage.dir(victim).join(name))) {
            file.sync_data().unwrap();
        }
        stage.disk(victim).lose_power();
    }
    stage.disk(victim).start_again();
}

/// Starts whoever does not run; each has to come up at the first try.
fn start_all(stage: &Stage, what: &str) {
    stage.device.know(Some(&stage.hub)); // Directly again.
    for victim in [Victim::Hub, Victim::Device] {
        if stage.running_pid(victim).is_none() {
            stage.try_start(victim).unwrap_or_else(|ended| panic!("{what}: {victim:?} does not start: {ended:?}"));
        }
    }
}

/// Runs so many rounds: the faults in turn, and with each every state in turn.
fn run(name: &str, faults: &[Fault], rounds: usize) {
    let (seed, mut tally, mut peak_mib) = (seed(), Tally::default(), 0);
    println!("HEPH_TEST_SEED={seed} ({name}, {rounds} rounds)");
    let mut stage = None;
    for number in 0..rounds {
        let mut numbers = Numbers::of_round(seed, number);
        let (fault, state) = (number % faults.len(), number / faults.len() % GoingOn::ALL.len());
        let (fault, going_on) = (faults[fault], GoingOn::ALL[state]);
        let what = format!("HEPH_TEST_SEED={seed}, {name} {number}: {fault}, {going_on}");
        if number % ROUNDS_PER_STAGE == 0 {
            drop(stage.take()); // Its disks make room for the next.
        }
        let stage = stage.get_or_insert_with(|| Stage::new(fault.ground(), &mut numbers));
        tally.count(fault, going_on, round(stage, fault, going_on, &what, &mut numbers));
        peak_mib = stage.peak_mib.max(peak_mib);
        assert!(peak_mib <= PEAK_MIB_MAX, "{what}: a daemon held {peak_mib} MiB");
        if (number + 1) % SAID_EVERY == 0 {
            println!("{name}: {} rounds of {rounds}", number + 1);
        }
    }
    println!("{tally}\nthe most memory that a daemon held: {peak_mib} MiB of {PEAK_MIB_MAX}");
    assert!(tally.hits() * 2 > rounds as u64, "{name}: the faults hardly ever fell into the midst of anything");
}

#[test]
fn power_that_goes_at_any_sync_or_moment_takes_nothing_that_was_acknowledged() {
    alone(power_that_goes_at_any_sync_or_moment_takes_nothing_that_was_acknowledged, || {
        run("power", &[Fault::PowerAtSync, Fault::PowerAnytime], rounds("HEPH_POWER_ROUNDS", 30));
    });
}

#[test]
fn a_kill_at_any_sync_takes_nothing_that_was_acknowledged() {
    alone(a_kill_at_any_sync_takes_nothing_that_was_acknowledged, || {
        run("kill", &[Fault::KillAtSync], rounds("HEPH_KILL_ROUNDS", 30));
    });
}

#[test]
fn a_system_call_that_fails_anywhere_is_told_and_takes_nothing_that_was_acknowledged() {
    alone(a_system_call_that_fails_anywhere_is_told_and_takes_nothing_that_was_acknowledged, || {
        let faults = [Fault::FailedSync, Fault::FailedWrite, Fault::FullAtWrite];
        run("error", &faults, rounds("HEPH_ERROR_ROUNDS", 30));
    });
}

#[test]
fn a_daemon_that_stands_still_at_any_sync_goes_on_where_it_was() {
    alone(a_daemon_that_stands_still_at_any_sync_goes_on_where_it_was, || {
        run("standstill", &[Fault::Standstill], rounds("HEPH_STOP_ROUNDS", 10));
    });
}
