//! Several connections to one file, several disks, and the same run twice.

use crate::workload::{Mode, Place, Run, STEPS, WAL, calls, open};
use heph_sim::disk::{Counters, Disk, Fault, Image, reset_randomness};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::path::Path;
use std::time::Duration;

fn count(db: &Connection) -> i64 {
    db.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

fn reader(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX).unwrap()
}

fn busy(result: rusqlite::Result<()>) -> bool {
    result.is_err_and(|error| error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy))
}

#[test]
fn readers_see_their_snapshot_while_another_writes() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = disk.root().join("a.db");
    let writer = open(&path, WAL).unwrap();
    writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    let (old, new) = (reader(&path), reader(&path));
    old.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&old), 1);
    // Enough for the shared memory to have a second region.
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0").unwrap();
    for i in 0..5_000 {
        writer.execute("INSERT INTO t VALUES (?1)", [i]).unwrap();
    }
    assert!(disk.files().iter().any(|(path, bytes)| path.ends_with("a.db-wal") && *bytes > 5_000 * 4_096));
    assert_eq!((count(&old), count(&new)), (1, 5_001));
    writer.busy_timeout(Duration::ZERO).unwrap();
    let kept_busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(kept_busy, 1, "a reader needs what would be cut off");
    old.execute_batch("COMMIT").unwrap();
    assert_eq!(count(&old), 5_001);
    let kept_busy: i64 = writer.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).unwrap();
    assert_eq!(kept_busy, 0);
    assert_eq!((count(&old), count(&new)), (5_001, 5_001));
    drop((old, new, writer));
    // The last one to go tidies up.
    assert_eq!(disk.files().into_iter().map(|(path, _)| path).collect::<Vec<_>>(), [Path::new("a.db")]);
}

#[test]
fn of_two_writers_one_is_busy() {
    for mode in [WAL, Mode("delete", "full")] {
        let place = Place::new();
        let disk = Disk::new(&place.root(), 0);
        let path = disk.root().join("a.db");
        let (one, two) = (open(&path, mode).unwrap(), open(&path, mode).unwrap());
        one.execute_batch("CREATE TABLE t (x); BEGIN IMMEDIATE; INSERT INTO t VALUES (1)").unwrap();
        // A timeout passes at once, since nothing here takes time.
        two.busy_timeout(Duration::from_secs(3_600)).unwrap();
        assert!(busy(two.execute_batch("BEGIN IMMEDIATE")));
        assert_eq!(count(&two), 0);
        one.execute_batch("COMMIT").unwrap();
        two.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2); COMMIT").unwrap();
        assert_eq!((count(&one), count(&two)), (2, 2));
    }
}

#[test]
fn a_writer_with_a_journal_waits_for_readers() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = disk.root().join("a.db");
    let writer = open(&path, Mode("delete", "full")).unwrap();
    writer.execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    writer.busy_timeout(Duration::ZERO).unwrap();
    let (old, new) = (reader(&path), reader(&path));
    old.busy_timeout(Duration::ZERO).unwrap();
    new.busy_timeout(Duration::ZERO).unwrap();
    old.execute_batch("BEGIN").unwrap();
    assert_eq!(count(&old), 1);
    writer.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (2)").unwrap();
    assert!(busy(writer.execute_batch("COMMIT")));
    // It is its turn now: nobody else begins to read.
    assert!(busy(new.query_row("SELECT count(*) FROM t", [], |_| Ok(()))));
    old.execute_batch("COMMIT").unwrap();
    writer.execute_batch("COMMIT").unwrap();
    assert_eq!((count(&old), count(&new)), (2, 2));
}

#[test]
fn threads_share_a_file() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = disk.root().join("a.db");
    let writer = open(&path, WAL).unwrap();
    writer.execute_batch("CREATE TABLE t (x)").unwrap();
    std::thread::scope(|scope| {
        let readers = [(); 3].map(|()| {
            scope.spawn(|| {
                let db = reader(&path);
                let mut seen = 0;
                while seen < 1_000 {
                    let now = count(&db);
                    assert!(now >= seen);
                    seen = now;
                }
            })
        });
        for i in 0..1_000 {
            writer.execute("INSERT INTO t VALUES (?1)", [i]).unwrap();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
    assert_eq!(count(&writer), 1_000);
}

/// A run in which several things fail: all that can be said of it.
fn eventful(place: &Place, seed: u64) -> Vec<(Image, Image, Counters)> {
    let calls = calls(place, WAL);
    let mut seen = Vec::new();
    let mut disk = Disk::new(&place.root(), seed);
    for (turn, fault) in
        [Fault::WriteError, Fault::SyncError, Fault::Full, Fault::Die, Fault::Die].into_iter().enumerate()
    {
        disk.fail((seed * 7 + turn as u64 * 13) % calls, fault);
        let mut run = Run::new(&disk, WAL);
        drop(run.go(&STEPS));
        seen.push((disk.image(), disk.durable_image(), disk.counters()));
        disk = disk.power_loss(&place.root(), seed ^ turn as u64);
    }
    seen.push((disk.image(), disk.durable_image(), disk.counters()));
    seen
}

/// What SQLite draws goes into the headers of its logs, and tests that run beside this one draw, too. So what is
/// compared to the byte is what another process of this test does alone.
#[test]
fn the_same_seed_does_the_same_to_the_byte() {
    const ALONE: &str = "HEPH_SIM_ALONE";
    if std::env::var_os(ALONE).is_none() {
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        again.args(["--exact", "many::the_same_seed_does_the_same_to_the_byte"]).env(ALONE, "1");
        let done = again.output().unwrap();
        let said = String::from_utf8_lossy(&done.stdout);
        assert!(done.status.success() && said.contains("1 passed"), "{said}");
        return;
    }
    let place = Place::new();
    for seed in 0..10 {
        let [once, twice, other] = [seed, seed, seed + 100].map(|seed| {
            reset_randomness();
            eventful(&place, seed)
        });
        assert!(once == twice, "seed {seed}");
        assert!(once != other, "seed {seed} is as another");
    }
}

#[test]
fn disks_on_different_threads_do_not_disturb_each_other() {
    let place = Place::new();
    let roots = [(); 8].map(|()| place.root());
    let one_by_one = roots.clone().map(|_| {
        let disk = Disk::new(&place.root(), 5);
        Run::new(&disk, WAL).go(&STEPS).unwrap();
        disk.counters()
    });
    let at_once = std::thread::scope(|scope| {
        let running = roots.each_ref().map(|root| {
            scope.spawn(move || {
                let disk = Disk::new(root, 5);
                let mut run = Run::new(&disk, WAL);
                run.go(&STEPS).unwrap();
                drop(run);
                disk.counters()
            })
        });
        running.map(|thread| thread.join().unwrap())
    });
    assert_eq!(one_by_one, at_once);
}

#[test]
fn there_is_nothing_below_no_disk() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let outside = place.root().join("a.db");
    let error = open(&outside, WAL).unwrap_err();
    assert_eq!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen));
    assert!(!outside.exists());
    // Nor below one that is not used any more.
    let path = disk.root().join("a.db");
    drop(open(&path, WAL).unwrap());
    drop(disk);
    open(&path, WAL).unwrap_err();
    // Scratch files need no disk.
    let memory = Connection::open_in_memory().unwrap();
    memory.execute_batch("PRAGMA temp_store = file; CREATE TEMP TABLE t (x); INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(count(&memory), 1);
}
