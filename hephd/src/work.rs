//! Where work that blocks is done: off the threads that answer, so that it holds nobody up. A simulation says instead
//! that it is to be done at once and on its own thread, so that a seed decides everything and no scheduler does.

use std::cell::Cell;

thread_local! {
    static INLINE: Cell<bool> = const { Cell::new(false) };
}

/// The runtime is about to end, or the work panicked: it has no result.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the work was not finished: the daemon is stopping")]
pub struct Unfinished;

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
    tokio::task::spawn_blocking(work).await.map_err(|_| Unfinished)
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
