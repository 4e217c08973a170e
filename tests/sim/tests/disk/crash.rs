//! The machine stops at every call of a workload.

use crate::workload::{JOURNAL, Mode, Place, Run, STEPS, WAL, calls, read};
use heph_sim::disk::{Disk, Fault};

/// Stops the machine at every call, and checks what `seeds` next incarnations find.
fn die_at_every_call(mode: Mode, seeds: u64, next: impl Fn(&Disk, &Place, u64) -> Disk) {
    let place = Place::new();
    let calls = calls(&place, mode);
    assert!(calls > 100, "{calls}");
    for at in 0..calls {
        for seed in 0..seeds {
            let disk = Disk::new(&place.root(), seed ^ at << 8);
            disk.fail(at, Fault::Die);
            let mut run = Run::new(&disk, mode);
            // The last calls belong to the closing of the file.
            let gone = run.go(&STEPS).is_err();
            assert_eq!(gone, disk.is_dead());
            let found = next(&disk, &place, seed);
            run.check(&found).unwrap_or_else(|wrong| panic!("call {at}, seed {seed}: {wrong}"));
        }
    }
}

#[test]
fn what_was_committed_survives_a_power_loss_at_every_call() {
    die_at_every_call(WAL, 4, |disk, place, seed| disk.power_loss(&place.root(), seed));
}

#[test]
fn what_was_committed_survives_a_kill_at_every_call() {
    die_at_every_call(WAL, 1, |disk, place, seed| disk.kill(&place.root(), seed));
}

#[test]
fn a_rollback_journal_survives_a_power_loss_at_every_call() {
    die_at_every_call(JOURNAL, 3, |disk, place, seed| disk.power_loss(&place.root(), seed));
}

#[test]
fn a_kill_and_a_power_loss_of_what_came_after_it_lose_nothing() {
    die_at_every_call(WAL, 1, |disk, place, seed| {
        let killed = disk.kill(&place.root(), seed);
        // Whoever starts again closes the file in order, and only then the power goes.
        read(&killed.root().join("a.db"), WAL).unwrap();
        killed.power_loss(&place.root(), seed)
    });
}

/// Loses the power at the end of all steps, and returns what each seed finds.
fn lost(mode: Mode, lies: bool) -> usize {
    let place = Place::new();
    let found = (0..20).filter(|seed| {
        let disk = Disk::new(&place.root(), *seed);
        disk.lie(lies);
        let mut run = Run::new(&disk, mode);
        run.go(&STEPS).unwrap();
        run.check(&disk.power_loss(&place.root(), *seed)).is_err()
    });
    found.count()
}

#[test]
fn the_disk_can_lose_what_was_not_synced() {
    assert_eq!(lost(WAL, false), 0);
    assert!(lost(Mode("wal", "off"), false) > 5);
    assert!(lost(Mode("wal", "normal"), false) > 5);
}

#[test]
fn a_disk_that_lies_loses_what_was_synced() {
    assert!(lost(WAL, true) > 5);
    assert!(lost(JOURNAL, true) > 5);
}

#[test]
fn a_dead_machine_does_nothing_more() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let mut run = Run::new(&disk, WAL);
    run.go(&STEPS[..4]).unwrap();
    disk.fail(2, Fault::Die);
    run.go(&STEPS[5..]).unwrap_err();
    let (image, calls) = (disk.image(), disk.counters());
    for step in STEPS {
        run.step(step).unwrap_err();
    }
    read(&run.path, WAL).unwrap_err();
    assert_eq!(disk.counters().calls, calls.calls);
    assert_eq!((disk.counters().died, disk.is_dead()), (1, true));
    assert_eq!(disk.image(), image);
    // Nor does it harm what comes after it.
    let next = disk.kill(&place.root(), 0);
    let before = next.image();
    run.go(&STEPS).unwrap_err();
    drop(run);
    assert_eq!(next.image(), before);
    assert!(!next.is_dead());
}
