//! The one way to wait for something that does not say when it happens.

use std::{
    thread,
    time::{Duration, Instant},
};

/// How long anything may take before a test gives up. Generous: other tests run beside this one.
pub const PATIENCE: Duration = Duration::from_secs(60);

const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks until `look` returns something.
///
/// # Panics
/// If that takes longer than [`PATIENCE`]; `what` says what was waited for.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", PATIENCE.as_secs());
        thread::sleep(LOOK_AGAIN);
    }
}

/// Returns when the clock says something else than when it was called: what is written afterwards is newer.
pub fn a_later_clock() {
    thread::sleep(Duration::from_millis(2));
}
