//! Calls that fail while the machine goes on.

use crate::workload::{JOURNAL, Mode, Place, Run, STEPS, Step, WAL, calls, image, read};
use heph_sim::disk::{Disk, Fault};
use rusqlite::ErrorCode;
use std::path::Path;

/// Lets each call fail once, has the step tried again, and checks at the end, after the machine went on or stopped.
/// Returns how many errors SQLite reported.
fn fail_at_every_call(mode: Mode, fault: Fault, calls: u64, last: impl Fn(&Disk, &Place, u64) -> Disk) -> u64 {
    let place = Place::new();
    let mut reported = 0;
    for at in 0..calls {
        let disk = Disk::new(&place.root(), at);
        disk.fail(at, fault);
        let mut run = Run::new(&disk, mode);
        for step in STEPS {
            if let Err(error) = run.step(step) {
                reported += 1;
                let code = error.sqlite_error_code();
                let expected = [ErrorCode::SystemIoFailure, ErrorCode::DiskFull, ErrorCode::CannotOpen];
                assert!(code.is_some_and(|code| expected.contains(&code)), "call {at}: {error}");
                run.step(step).unwrap_or_else(|again| panic!("call {at}, {step:?}: {error}, and then {again}"));
            }
        }
        run.instead = run.rows.clone();
        run.check(&last(&disk, &place, at)).unwrap_or_else(|wrong| panic!("call {at}: {wrong}"));
    }
    reported
}

#[test]
fn a_failed_write_is_reported_and_harms_nothing() {
    for mode in [WAL, JOURNAL] {
        let calls = calls(&Place::new(), mode);
        for fault in [Fault::WriteError, Fault::Full] {
            let reported = fail_at_every_call(mode, fault, calls, |disk, place, at| disk.power_loss(&place.root(), at));
            assert!(reported > calls / 2, "{fault:?}: {reported} of {calls}");
        }
    }
}

#[test]
fn a_failed_read_is_reported_and_harms_nothing() {
    let reported = fail_at_every_call(WAL, Fault::ReadError, 60, |disk, place, at| disk.kill(&place.root(), at));
    assert!(reported > 20, "{reported}");
}

#[test]
fn a_failed_sync_is_reported_and_nothing_that_was_acknowledged_is_lost() {
    let calls = calls(&Place::new(), WAL);
    let at_once = |disk: &Disk, place: &Place, at| disk.power_loss(&place.root(), at);
    let reported = fail_at_every_call(WAL, Fault::SyncError, calls, at_once);
    assert!(reported > calls / 2, "{reported} of {calls}");
    fail_at_every_call(WAL, Fault::SyncError, calls, |disk, place, at| disk.kill(&place.root(), at));
}

/// With a rollback journal nobody may go on after that: what SQLite would read back from its journal may be gone.
#[test]
fn after_a_failed_sync_and_a_power_loss_everything_acknowledged_is_there() {
    let place = Place::new();
    for mode in [WAL, JOURNAL] {
        for at in 0..calls(&place, mode) {
            for seed in 0..3 {
                let disk = Disk::new(&place.root(), seed);
                disk.fail(at, Fault::SyncError);
                let mut run = Run::new(&disk, mode);
                drop(run.go(&STEPS));
                let found = disk.power_loss(&place.root(), seed);
                run.check(&found).unwrap_or_else(|wrong| panic!("{mode:?}, call {at}, seed {seed}: {wrong}"));
            }
        }
    }
}

#[test]
fn a_failed_sync_can_leave_in_the_cache_what_is_not_on_the_disk() {
    let place = Place::new();
    let differs = (0..20).filter(|seed| {
        let disk = Disk::new(&place.root(), *seed);
        let mut run = Run::new(&disk, WAL);
        run.go(&STEPS[..3]).unwrap();
        disk.fail(0, Fault::SyncError);
        run.step(STEPS[3]).unwrap_err();
        // A power loss brings it out, and no chance is left in it.
        disk.image() != disk.durable_image()
            && disk.durable_image() == disk.kill(&place.root(), 1).power_loss(&place.root(), 2).image()
    });
    assert!(differs.count() > 10);
}

/// Kills after a failed sync, has the next incarnation write another row, and loses the power: how often is one that was
/// there in between gone?
fn lost_after_a_failed_sync_and_a_kill(rewrite: bool) -> usize {
    let place = Place::new();
    let lost = (0..60).filter(|seed| {
        let disk = Disk::new(&place.root(), *seed);
        let mut run = Run::new(&disk, WAL);
        run.go(&STEPS[..3]).unwrap();
        disk.fail(0, Fault::SyncError);
        run.step(STEPS[3]).unwrap_err();
        let next = disk.kill(&place.root(), *seed);
        if rewrite {
            next.rewrite(Path::new("a.db-wal"));
        }
        let mut again = Run::new(&next, WAL);
        again.step(Step::Insert(50, 10)).unwrap();
        let between = read(&again.path, WAL).unwrap();
        let found = next.power_loss(&place.root(), *seed);
        read(&found.root().join("a.db"), WAL) != Ok(between)
    });
    lost.count()
}

#[test]
fn what_a_failed_sync_left_in_the_cache_deceives_those_who_start_again_unless_it_is_written_anew() {
    assert!(lost_after_a_failed_sync_and_a_kill(false) > 0);
    assert_eq!(lost_after_a_failed_sync_and_a_kill(true), 0);
}

#[test]
fn a_full_disk_refuses_what_does_not_fit_and_works_again_when_there_is_room() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let mut run = Run::new(&disk, WAL);
    run.go(&STEPS[..4]).unwrap();
    let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
    disk.capacity(Some(used + 8_000));
    let error = run.step(Step::Insert(9, 20_000)).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::DiskFull));
    assert!(disk.counters().full > 0);
    assert!(disk.files().iter().map(|(_, bytes)| bytes).sum::<u64>() <= used + 8_000);
    disk.capacity(None);
    run.go(&STEPS[4..]).unwrap();
    run.check(&disk.power_loss(&place.root(), 0)).unwrap();
}

#[test]
fn a_bit_that_rots_is_found() {
    let place = Place::new();
    let (image, rows) = image(&place, WAL);
    let disk = Disk::from_image(&place.root(), &image, 0);
    assert_eq!(read(&disk.root().join("a.db"), WAL).unwrap(), Some(rows));
    assert!(!disk.flip_bit(Path::new("a.db"), 1 << 40, 0));
    assert!(disk.flip_bit(Path::new("a.db"), 4_096 + 3, 1));
    read(&disk.root().join("a.db"), WAL).unwrap_err();
}
