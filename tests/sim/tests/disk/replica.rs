//! A replica of the real store on the simulated disk.

use crate::workload::Place;
use heph_sim::disk::{Disk, Fault};
use heph_store::Error;
use heph_store::env::Env;
use heph_store::field::{Field, KIND, TITLE, Value};
use heph_store::id::Stamp;
use heph_store::replica::Replica;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A clock that ticks once per look, and chance that is none.
struct Fixed(AtomicU64);

impl Env for Fixed {
    fn now(&self) -> Stamp {
        Stamp::from_millis(1_700_000_000_000 + self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn random(&self, bytes: &mut [u8]) {
        fastrand::Rng::with_seed(self.0.fetch_add(1, Ordering::Relaxed)).fill(bytes);
    }
}

fn env(seed: u64) -> Arc<Fixed> {
    Arc::new(Fixed(AtomicU64::new(seed << 32)))
}

/// Writes documents until the machine stops, and returns how many were acknowledged.
fn write(path: &Path, count: u64, seed: u64) -> Result<u64, (u64, Error)> {
    let mut replica = Replica::open(path, env(seed)).map_err(|error| (0, error))?;
    for i in 0..count {
        let written = replica.group(|group| {
            group.write(|draft| {
                let node = draft.fresh_node();
                draft.set(node, &Field::new(KIND).unwrap(), Value::text("doc"))?;
                draft.set(node, &Field::new(TITLE).unwrap(), Value::text(format!("number {i}")))?;
                draft.save_body(node, &"some text\n".repeat(i as usize * 50), None)?;
                Ok::<_, Error>(node)
            })
        });
        written.and_then(|step| step).map_err(|error| (i, error))?;
    }
    Ok(count)
}

fn check(path: &Path) -> u64 {
    let report = heph_store::verify::verify(path, env(99)).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
    let reads = heph_store::read::Reads::open(path).unwrap();
    let summary = reads.read(|view| view.summary()).unwrap();
    assert_eq!(summary.digest, report.digest);
    report.ops
}

#[test]
fn a_replica_is_whole_after_the_machine_stopped_at_any_call_of_a_write() {
    const DOCS: u64 = 3;
    let place = Place::new();
    let whole = Disk::new(&place.root(), 0);
    assert_eq!(write(&whole.root().join("heph.db"), DOCS, 0).unwrap(), DOCS);
    let ops = check(&whole.root().join("heph.db"));
    let calls = whole.counters().calls;
    assert!(ops >= DOCS);
    let mut cut_short = 0;
    for at in 0..calls {
        let disk = Disk::new(&place.root(), at);
        disk.fail(at, Fault::Die);
        let acknowledged = match write(&disk.root().join("heph.db"), DOCS, 0) {
            Ok(count) => count,
            Err((count, _)) => count,
        };
        if !disk.is_dead() {
            continue; // Those calls belong to the check.
        }
        cut_short += 1;
        let next = if at % 4 == 0 { disk.kill(&place.root(), at) } else { disk.power_loss(&place.root(), at) };
        let path = next.root().join("heph.db");
        drop(Replica::open(&path, env(at + 1)).unwrap());
        assert!(check(&path) >= acknowledged * ops / DOCS, "call {at}: {acknowledged} of {DOCS} were acknowledged");
        assert_eq!(write(&path, 1, at + 1000).unwrap(), 1);
        check(&path);
    }
    assert!(cut_short > 50, "{cut_short} of {calls}");
}

#[test]
fn a_copy_is_made_and_checks_leave_nothing_behind() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = |name: &str| disk.root().join(name);
    write(&path("heph.db"), 3, 0).unwrap();
    check(&path("heph.db"));
    let report = heph_store::copy::backup(&path("heph.db"), &path("copy.db")).unwrap();
    check(&path("copy.db"));
    let names: Vec<_> = disk.files().into_iter().map(|(path, _)| path).collect();
    // Who can only read leaves the log behind.
    assert_eq!(names, [Path::new("copy.db"), Path::new("heph.db"), Path::new("heph.db-wal")]);
    let next = disk.power_loss(&place.root(), 3);
    assert_eq!(check(&next.root().join("copy.db")), report.ops);
}

#[test]
fn a_replica_that_opens_after_an_error_writes_to_a_log_as_always() {
    let place = Place::new();
    let whole = Disk::new(&place.root(), 0);
    drop(Replica::open(&whole.root().join("heph.db"), env(0)).unwrap());
    for fault in [Fault::WriteError, Fault::SyncError, Fault::Full] {
        for at in 0..whole.counters().calls {
            let disk = Disk::new(&place.root(), at);
            disk.fail(at, fault);
            let path = disk.root().join("heph.db");
            let Ok(replica) = Replica::open(&path, env(0)) else { continue };
            // The format that a reader needs, at byte 19: 1 with a rollback journal, 2 with a log.
            let header = disk.read(&path).unwrap();
            assert_eq!(header.get(19), Some(&2), "{fault:?} at call {at}");
            drop(replica);
        }
    }
}
