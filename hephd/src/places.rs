//! So many at once, and whoever keeps others waiting makes room for the next: connections without a request, bodies that
//! come too slowly, readers that do not read. A place says since when it is waited for whom it was given to; when all
//! are taken, the one that is furthest behind is lost to the next who comes. Those who are in time keep theirs.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
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
            tokio::select! {
                biased;
                permit = self.free.clone().acquire_owned() => break permit.expect("the places are never closed"),
                () = more, if !is_leaving => {}
            }
        };
        self.place(permit)
    }

    fn place(&self, permit: OwnedSemaphorePermit) -> Place {
        let held = Arc::new(Held { permit: Mutex::new(Some(permit)), away: Notify::new() });
        Place { late: self.late.clone(), held, key: Mutex::default() }
    }
}

impl Late {
    /// Tells whoever is furthest behind, if anybody is, that the place is lost.
    fn lose(&self) -> Option<Arc<Held>> {
        let mut by_due = lock(&self.by_due);
        let held = by_due.first_entry().filter(|entry| entry.key().0 <= Instant::now())?.remove();
        held.away.notify_one();
        Some(held)
    }
}

impl Place {
    /// From `due` on, whoever has this place is behind; or is in time as long as it takes.
    pub fn due(&self, due: Option<Instant>) {
        let mut by_due = lock(&self.late.by_due);
        let mut key = lock(&self.key);
        let was_listed = key.take().map(|key| by_due.remove(&key).is_some());
        // What was lost stays lost.
        if let Some(due) = due.filter(|_| was_listed != Some(false)) {
            let number = Arc::as_ptr(&self.held) as usize as u64;
            by_due.insert((due, number), self.held.clone());
            *key = Some((due, number));
            drop((key, by_due));
            self.late.more.notify_waiters();
        }
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
        second.due(Some(now));
        assert!(places.try_take().is_none(), "what was lost stays lost");
        drop(second);
        assert!(places.try_take().is_none(), "and is not given back twice");
        assert!(first.lost().now_or_never().is_none() && third.lost().now_or_never().is_none());
        drop(fourth);
        assert!(places.try_take().is_some());
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
