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
pub fn until<T>(what: &str, look: impl FnMut() -> Option<T>) -> T {
    until_within(PATIENCE, what, look)
}

/// Does the same for something that has a long limit of its own.
///
/// # Panics
/// If that takes longer than `patience`.
pub fn until_within<T>(patience: Duration, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < deadline, "waited {} s in vain for {what}", patience.as_secs());
        thread::sleep(LOOK_AGAIN);
    }
}

/// Returns when the clock says something else than when it was called: what is written afterwards is newer.
pub fn a_later_clock() {
    thread::sleep(Duration::from_millis(2));
}
