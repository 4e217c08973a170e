//! So many at once, and whoever keeps others waiting makes room for the next: connections without a request, bodies that
//! come too slowly, readers that do not read. A place says since when it is waited for whom it was given to; when all
//! are taken, the one that is furthest behind is lost to the next who comes. Those who are in time keep theirs.

use std::{
    collections::BTreeMap,
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::{Instant, sleep_until},
};

/// The places of one kind. Clones share them.
#[derive(Clone)]
pub struct Places {
    free: Arc<Semaphore>,
    late: Arc<Late>,
}

/// Whose place may be lost, those furthest behind first.
#[derive(Default)]
struct Late {
    by_due: Mutex<BTreeMap<(Instant, u64), Arc<Held>>>,
    more: Notify,
}

#[derive(Default)]
struct Held {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    away: Notify,
    /// It was told to leave. Set while the list of those who are late is locked.
    lost: AtomicBool,
}

/// A place, until it is dropped or lost.
pub struct Place {
    late: Arc<Late>,
    held: Arc<Held>,
    key: Mutex<Option<(Instant, u64)>>,
}

fn lock<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Places {
    /// So many.
    pub fn new(count: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(count)), late: Arc::default() }
    }

    /// Returns a free place, or at once that of whoever is furthest behind; `None` if all are in time.
    #[must_use]
    pub fn try_take(&self) -> Option<Place> {
        let free = self.free.clone().try_acquire_owned().ok();
        let permit = free.or_else(|| lock(&self.late.lose()?.permit).take())?;
        Some(self.place(permit))
    }

    /// Waits for a place: whoever is furthest behind is to leave, and is waited for.
    pub async fn take(&self) -> Place {
        let permit = loop {
            let more = self.late.more.notified();
            if let Ok(permit) = self.free.clone().try_acquire_owned() {
                break permit;
            }
            let is_leaving = self.late.lose().is_some();
            let due = self.late.first_due().filter(|_| !is_leaving);
            tokio::select! {
                biased;
                permit = self.free.clone().acquire_owned() => break permit.expect("the places are never closed"),
                () = more, if !is_leaving => {}
                () = async { if let Some(due) = due { sleep_until(due).await } else { pending().await } } => {}
            }
        };
        self.place(permit)
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        let held = Arc::new(Held { permit: Mutex::new(Some(permit)), ..Held::default() });
        Place { late: self.late.clone(), held, key: Mutex::default() }
    }
}

impl Late {
    /// Tells whoever is furthest behind, if anybody is, that the place is lost.
    fn lose(&self) -> Option<Arc<Held>> {
        let mut by_due = lock(&self.by_due);
        let held = by_due.first_entry().filter(|entry| entry.key().0 <= Instant::now())?.remove();
        held.lost.store(true, Ordering::Relaxed);
        held.away.notify_one();
        Some(held)
    }

    /// From when on the first of those who are not late yet is.
    fn first_due(&self) -> Option<Instant> {
        lock(&self.by_due).first_key_value().map(|((due, _), _)| *due)
    }
}

impl Place {
    /// From `due` on, whoever has this place is behind; or is in time as long as it takes. Returns whether the place is
    /// still theirs: what was lost stays lost.
    pub fn due(&self, due: Option<Instant>) -> bool {
        let mut by_due = lock(&self.late.by_due);
        let mut key = lock(&self.key);
        if let Some(key) = key.take() {
            by_due.remove(&key);
        }
        let is_theirs = !self.held.lost.load(Ordering::Relaxed);
        if let Some(due) = due.filter(|_| is_theirs) {
            let number = Arc::as_ptr(&self.held) as usize as u64;
            by_due.insert((due, number), self.held.clone());
            *key = Some((due, number));
            drop((key, by_due));
            self.late.more.notify_waiters();
        }
        is_theirs
    }

    /// Returns when the place is lost.
    pub async fn lost(&self) {
        self.held.away.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.due(None);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures_util::FutureExt;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn who_is_furthest_behind_loses_the_place_and_who_is_in_time_keeps_it() {
        let (places, now) = (Places::new(3), Instant::now());
        let [first, second, third] = [(); 3].map(|()| places.try_take().unwrap());
        first.due(Some(now + Duration::from_secs(2)));
        second.due(Some(now + Duration::from_secs(1)));
        assert!(places.try_take().is_none(), "all are in time");
        tokio::time::advance(Duration::from_secs(3)).await;
        let fourth = places.try_take().unwrap();
        assert!(second.lost().now_or_never().is_some());
        first.due(None);
        assert!(!second.due(None) && !second.due(Some(now)));
        assert!(places.try_take().is_none(), "what was lost stays lost");
        drop(second);
        assert!(places.try_take().is_none(), "and is not given back twice");
        assert!(first.lost().now_or_never().is_none() && third.lost().now_or_never().is_none());
        drop(fourth);
        assert!(places.try_take().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_waits_until_somebody_is_late() {
        let places = Places::new(1);
        let place = places.take().await;
        let begun = Instant::now();
        place.due(Some(begun + Duration::from_secs(1)));
        let mut next = Box::pin(places.take());
        assert!((&mut next).now_or_never().is_none() && place.lost().now_or_never().is_none());
        tokio::join!(next, async {
            place.lost().await;
            assert_eq!(begun.elapsed(), Duration::from_secs(1));
            drop(place);
        });
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_first_place_that_is_free_or_late() {
        let places = Places::new(1);
        let place = places.take().await;
        let mut next = Box::pin(places.take());
        assert!((&mut next).now_or_never().is_none() && place.lost().now_or_never().is_none());
        place.due(Some(Instant::now()));
        assert!((&mut next).now_or_never().is_none(), "it has not left yet");
        assert!(place.lost().now_or_never().is_some());
        drop(place);
        let taken = next.now_or_never().unwrap();
        assert!(places.take().now_or_never().is_none(), "one place is one place");
        drop(taken);
        assert!(places.take().now_or_never().is_some());
    }
}
