//! Where work that blocks is done: off the threads that answer, so that it holds nobody up. A simulation says instead
//! that it is to be done at once and on its own thread, so that a seed decides everything and no scheduler does.

use std::cell::Cell;

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// Why work has no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfinished {
    /// The runtime is about to end.
    #[error("the work was not finished: the daemon is stopping")]
    Stopping,
    /// It met a defect.
    #[error("the work was not finished: heph has a defect, of which the daemon's log says more")]
    Panicked,
}

impl From<tokio::task::JoinError> for Unfinished {
    fn from(error: tokio::task::JoinError) -> Self {
        if error.is_panic() { Self::Panicked } else { Self::Stopping }
    }
}

/// From now on, what is begun on this thread is also done on it. For simulations, with a runtime of one thread.
pub fn inline_on_this_thread() {
    INLINE.set(true);
}

/// Does `work` where it may block.
///
/// # Errors
/// If it was not finished.
pub async fn off_the_loop<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Unfinished> {
    if INLINE.get() {
        return Ok(work());
    }
    Ok(tokio::task::spawn_blocking(work).await?)
}

/// Drives `task`, which may block, to its end on a thread of its own called `name`.
///
/// # Errors
/// If the system starts no thread.
pub fn on_a_thread(name: &str, task: impl Future<Output = ()> + Send + 'static) -> std::io::Result<()> {
    if INLINE.get() {
        tokio::spawn(task);
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    std::thread::Builder::new().name(name.to_owned()).spawn(move || runtime.block_on(task)).map(drop)
}
