//! When a check is due, and what a check does to a replica that is in use. Time is the test's own.

#![allow(clippy::unwrap_used)]
use super::*;
use heph_store::env::SystemEnv;
use heph_store::field::{Field, TITLE, Value};
use heph_store::id::Stamp;
use heph_store::replica::Replica;
use std::future::Future;
use std::path::Path;
use std::sync::atomic::AtomicI64;
use tokio::time::timeout;

const DAY: Duration = Duration::from_millis(EVERY_MS);
const NOON_MS: u64 = 1_800_000_000_000;

/// A clock that goes with the runtime's, and may be set.
struct Clock {
    began: Instant,
    set_by_ms: AtomicI64,
}

impl Env for Clock {
    fn now(&self) -> Stamp {
        let now_ms = NOON_MS + u64::try_from(self.began.elapsed().as_millis()).unwrap();
        Stamp::from_millis(now_ms.saturating_add_signed(self.set_by_ms.load(Ordering::Relaxed)))
    }

    fn random(&self, bytes: &mut [u8]) {
        SystemEnv.random(bytes);
    }
}

struct World {
    clock: Arc<Clock>,
    deep_check: DeepCheck,
    _dir: tempfile::TempDir,
}

fn world() -> World {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(Clock { began: Instant::now(), set_by_ms: AtomicI64::new(0) });
    let deep_check = start(dir.path(), clock.clone());
    World { clock, deep_check, _dir: dir }
}

fn start(dir: &Path, clock: Arc<Clock>) -> DeepCheck {
    let db = dir.join("heph.db");
    let replica = Replica::open(&db, clock.clone()).unwrap();
    crate::work::inline_on_this_thread();
    let writer = Writer::start(replica).unwrap();
    let readers = Readers::new(db.clone());
    DeepCheck::new(db, writer, readers, clock)
}

impl World {
    async fn write(&self, title: &str) {
        let title = title.to_owned();
        let write = move |group: &mut heph_store::replica::Group<'_>| {
            group.write(|draft| {
                let node = draft.fresh_node();
                draft.set(node, &Field::new(TITLE)?, Value::text(&title))
            })
        };
        self.deep_check.writer.run(write).await.unwrap().unwrap();
    }

    async fn check(&self) -> Checked {
        let outcome = self.deep_check.run(Pace::Background, true).await;
        self.deep_check.keep(&outcome, None).await;
        outcome.unwrap()
    }

    /// How long it takes until a check is due, if that is within two days.
    async fn due_in(&self) -> Option<Duration> {
        let begun = Instant::now();
        timeout(2 * DAY, self.deep_check.until_due()).await.ok().map(|()| begun.elapsed())
    }
}

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(test);
}

#[test]
fn the_first_check_is_due_some_minutes_after_the_start_and_each_a_day_after_the_last() {
    run(async {
        let world = world();
        let first = world.due_in().await.unwrap();
        assert!(first >= LOOK_EVERY && first <= 2 * LOOK_EVERY, "{first:?}");
        world.check().await;
        let next = world.due_in().await.unwrap();
        assert!(next >= DAY && next <= DAY + 2 * LOOK_EVERY, "{next:?}");
        sleep(5 * DAY).await;
        let missed = world.due_in().await.unwrap();
        assert!(missed <= 2 * LOOK_EVERY, "{missed:?}");
    });
}

#[test]
fn a_clock_that_is_set_back_or_was_wrong_keeps_no_check_from_being_due() {
    run(async {
        let world = world();
        world.check().await;
        world.clock.set_by_ms.store(-(3 * EVERY_MS as i64), Ordering::Relaxed);
        assert!(world.due_in().await.unwrap() <= 2 * LOOK_EVERY);
        world.check().await;
        world.clock.set_by_ms.store(14 * 365 * EVERY_MS as i64, Ordering::Relaxed);
        assert!(world.due_in().await.unwrap() <= 2 * LOOK_EVERY);
    });
}

#[test]
fn a_doubt_makes_it_due_at_once_but_not_twice_within_an_hour() {
    run(async {
        let world = world();
        world.deep_check.doubt();
        assert_eq!(world.due_in().await, Some(Duration::ZERO));
        world.check().await;
        world.deep_check.doubt();
        let again = world.due_in().await.unwrap();
        let hour = Duration::from_millis(IN_DOUBT_EVERY_MS);
        assert!(again >= hour && again <= hour + 2 * LOOK_EVERY, "{again:?}");
    });
}

#[test]
fn what_is_not_as_the_log_says_is_made_anew_while_the_replica_is_in_use_and_that_is_kept() {
    run(async {
        let world = world();
        world.write("milk").await;
        let sound = world.check().await;
        assert!(sound.found.is_sound() && sound.repaired.is_empty());
        let damage = rusqlite::Connection::open(&world.deep_check.db).unwrap();
        damage.execute("INSERT INTO search (search) VALUES ('delete-all')", []).unwrap();
        drop(damage);
        let looked = world.deep_check.run(Pace::Asked, false).await.unwrap();
        assert!(looked.found.can_be_rebuilt() && looked.repaired.is_empty());
        let healed = world.check().await;
        assert!(healed.found.is_sound() && !healed.repaired.is_empty(), "{healed:?}");
        let last = world.deep_check.readers.read(last).await.unwrap().unwrap().unwrap();
        assert_eq!((last.problems, last.repaired, last.ops), (0, healed.repaired.len() as u64, 1));
        assert!(last.is_ok() && last.first == healed.repaired);
        world.write("bread").await;
        assert_eq!(world.deep_check.progress(), None);
    });
}
