//! Time and chance of one machine: a wall clock that can be wrong, over the simulation's own time, and numbers that
//! follow from a seed.

use heph_store::env::Env;
use heph_store::id::Stamp;
use std::sync::{Mutex, PoisonError};
use tokio::time::Instant;

/// The true time at which every simulation begins: 2026-01-05 08:00 UTC, in Unix milliseconds.
pub const BEGIN_MS: i64 = 1_767_600_000_000;

/// What a wall clock shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Face {
    /// The true time and so many milliseconds.
    Off(i64),
    /// It stands still at this time.
    Frozen(i64),
}

/// One machine's clock and chance.
pub struct MachineEnv {
    began: Instant,
    inner: Mutex<Inner>,
}

struct Inner {
    face: Face,
    rng: fastrand::Rng,
}

impl MachineEnv {
    /// A clock that is right, on a machine with a chance of its own. Made inside the simulation's runtime.
    pub fn new(seed: u64) -> Self {
        let inner = Inner { face: Face::Off(0), rng: fastrand::Rng::with_seed(seed) };
        Self { began: Instant::now(), inner: Mutex::new(inner) }
    }

    /// Sets the clock.
    pub fn set(&self, face: Face) {
        self.locked().face = face;
    }

    /// Moves the clock by so many milliseconds.
    pub fn jump(&self, ms: i64) {
        let now = self.wall_ms();
        let mut inner = self.locked();
        inner.face = match inner.face {
            Face::Off(off) => Face::Off(off + ms),
            Face::Frozen(_) => Face::Frozen(now + ms),
        };
    }

    fn wall_ms(&self) -> i64 {
        let since = i64::try_from(self.began.elapsed().as_millis()).unwrap_or(i64::MAX / 4);
        match self.locked().face {
            Face::Off(off) => BEGIN_MS + since + off,
            Face::Frozen(at) => at,
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Env for MachineEnv {
    fn now(&self) -> Stamp {
        Stamp::from_millis(u64::try_from(self.wall_ms()).unwrap_or(0))
    }

    fn random(&self, bytes: &mut [u8]) {
        self.locked().rng.fill(bytes);
    }
}
