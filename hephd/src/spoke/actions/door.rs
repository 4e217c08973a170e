//! How an action reaches the replica and the disk from an async handler: one question, one write, one piece of
//! blocking work. Nothing is held across the wait but the closure itself.

use heph_api::code;
use heph_store::draft::Draft;
use heph_store::read::View;
use heph_store::replica::Group;

use super::Done;
use crate::spoke::Spoke;
use crate::spoke::refusal::Refusal;
use crate::work::off_the_loop;

/// Asks one state of the replica.
pub async fn read<T: Send + 'static>(
    spoke: &Spoke,
    ask: impl FnOnce(&View<'_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    spoke.readers.read(ask).await?
}

/// Runs one action in the next commit, and returns once that is durable.
pub async fn write<T: Send + 'static>(
    spoke: &Spoke,
    act: impl FnOnce(&mut Draft<'_>) -> Result<T, Refusal> + Send + 'static,
) -> Result<Done<T>, Refusal> {
    let written = spoke.writer.run(move |group| group.write(act)).await??;
    Ok(Done::from(written))
}

/// Runs several actions in the next commit, and returns once that is durable.
pub async fn group<T: Send + 'static>(
    spoke: &Spoke,
    act: impl FnOnce(&mut Group<'_>) -> T + Send + 'static,
) -> Result<T, Refusal> {
    Ok(spoke.writer.run(act).await?)
}

/// Does what blocks, off the async threads.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Refusal> {
    let done = off_the_loop(work).await;
    done.map_err(|error| Refusal::new(code::INTERNAL, format!("what was asked for was not finished: {error}")))
}
