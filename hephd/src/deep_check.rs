//! The deep check of one replica, for hub and spoke alike: a small step at a time on a connection of its own, so that
//! nobody waits for it; once a day in the background; and what follows from a log that is sound is made anew where it
//! is not what the log says. How the last one ended is a fact in the replica.

use crate::work::{Unfinished, off_the_loop};
use crate::writer::{ReadError, Readers, WriteError, Writer};
use heph_api::causes::with_causes;
use heph_store::env::{Env, random};
use heph_store::error::{Error as StoreError, Result as StoreResult};
use heph_store::read::View;
use heph_store::verify::{Check, Depth, Found, Progress};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, sleep};

/// How old the last check may be, in milliseconds: usually, and while this replica and another make different states of
/// the same ops.
const EVERY_MS: u64 = 24 * 3_600_000;
const IN_DOUBT_EVERY_MS: u64 = 3_600_000;
/// How often it is looked at how old it is, for the first time so long after the start; up to half as much longer.
const LOOK_EVERY: Duration = Duration::from_secs(300);
/// How many sentences are kept.
const KEPT_MAX: usize = 3;
const FACT: &str = "deep_check";

/// What checks one replica.
pub struct DeepCheck {
    db: PathBuf,
    writer: Writer,
    readers: Readers,
    env: Arc<dyn Env>,
    /// One at a time.
    turn: Mutex<()>,
    progress: watch::Sender<Option<Progress>>,
    in_doubt: AtomicBool,
    doubted: Notify,
}

/// What a check here came to.
#[derive(Debug, Clone)]
pub struct Checked {
    /// What is so now.
    pub found: Found,
    /// What was wrong and was made anew.
    pub repaired: Vec<String>,
    /// When it ended, in Unix milliseconds.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
}

/// How the last check ended, as it is kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// When it ended, in Unix milliseconds.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// How many ops there were.
    pub ops: u64,
    /// How many problems there are.
    pub problems: u64,
    /// Whether all of them can be made anew.
    #[serde(default)]
    pub repairable: bool,
    /// The first of them; else what was repaired.
    #[serde(default)]
    pub first: Vec<String>,
    /// How many problems there were that are no more.
    #[serde(default)]
    pub repaired: u64,
    /// Why it could not be done.
    #[serde(default)]
    pub failed: Option<String>,
    /// What is wrong with the hub, if anything is.
    #[serde(default)]
    pub hub: Option<String>,
}

/// Why a check could not be done.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file cannot be read, or the scratch file not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to be made anew was not written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The daemon is stopping.
    #[error(transparent)]
    Unfinished(#[from] Unfinished),
    /// Nobody asked for it, and the scratch file could take the room that writes need.
    #[error(
        "{} MiB are free beside the database, and deriving everything anew in a scratch file may take {} MiB",
        free >> 20,
        size >> 20
    )]
    NoRoom {
        /// How many bytes are free.
        free: u64,
        /// How many the replica takes.
        size: u64,
    },
}

/// In whose time it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Somebody waits for it.
    Asked,
    /// Nobody does: between the steps it rests for as long as they take.
    Background,
}

impl DeepCheck {
    /// The checks of the replica at `db`.
    pub fn new(db: PathBuf, writer: Writer, readers: Readers, env: Arc<dyn Env>) -> Self {
        let (progress, _) = watch::channel(None);
        let (turn, in_doubt, doubted) = (Mutex::default(), AtomicBool::default(), Notify::new());
        Self { db, writer, readers, env, turn, progress, in_doubt, doubted }
    }

    /// The files that the replica is made of, for a sentence.
    pub fn files(&self) -> String {
        let name = self.db.file_name().unwrap_or_default().display();
        format!("{} ({name}, {name}-wal and {name}-shm)", self.db.display())
    }

    /// How far the one under way is.
    pub fn progress(&self) -> Option<Progress> {
        *self.progress.borrow()
    }

    /// Checks everything. With `repair`, what follows from a log that is sound is made anew where it is not what the
    /// log says, and checked again.
    pub async fn run(&self, pace: Pace, repair: bool) -> Result<Checked, CheckError> {
        let _turn = self.turn.lock().await;
        if pace == Pace::Background {
            let db = self.db.clone();
            off_the_loop(move || there_is_room(&db)).await??;
        }
        let begun = Instant::now();
        let mut found = self.look(pace).await?;
        let mut repaired = Vec::new();
        if repair && found.can_be_rebuilt() {
            repaired = found.problems.iter().map(ToString::to_string).collect();
            tracing::warn!(problems = ?repaired, "what follows from the log is not what it says, and is made anew");
            self.writer.run(|group| group.rebuild()).await??;
            found = self.look(pace).await?;
            // What is still wrong was not mended by that.
            repaired.retain(|words| !found.problems.iter().any(|problem| problem.words == *words));
        }
        let took_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        Ok(Checked { found, repaired, at_ms: self.env.now().get(), took_ms })
    }

    async fn look(&self, pace: Pace) -> Result<Found, CheckError> {
        let _under_way = UnderWay(&self.progress);
        let (db, env) = (self.db.clone(), self.env.clone());
        let mut check = off_the_loop(move || Check::begin(&db, env, Depth::Deep)).await??;
        let interrupter = check.interrupter();
        let _ends_with_this = Interrupts(&interrupter);
        loop {
            let begun = Instant::now();
            let step;
            (check, step) = off_the_loop(move || {
                let step = check.step();
                (check, step)
            })
            .await?;
            let Some(progress) = step? else { break };
            self.progress.send_replace(Some(progress));
            match pace {
                Pace::Asked => yield_now().await,
                Pace::Background => sleep(begun.elapsed()).await,
            }
        }
        Ok(off_the_loop(move || check.into_found()).await?)
    }

    /// Keeps how a check ended, and what is wrong with the hub, if anything is.
    pub async fn keep(&self, outcome: &Result<Checked, CheckError>, hub: Option<String>) {
        let last = match outcome {
            Ok(checked) => Last::of(checked, hub),
            Err(error) => Last { at_ms: self.env.now().get(), failed: Some(with_causes(error)), ..Last::default() },
        };
        self.in_doubt.store(false, Ordering::Relaxed);
        let json = serde_json::to_string(&last).expect("numbers and text can be written as JSON");
        match self.writer.run(move |group| group.set_fact(FACT, Some(&json))).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "how the deep check ended cannot be kept"),
            Err(error) => tracing::error!(%error, "how the deep check ended cannot be kept"),
        }
    }

    /// Says that another replica makes another state of the same ops: the next check is due sooner.
    pub fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
        self.doubted.notify_one();
    }

    /// Waits until a check is due: the last one is a day old. One that fell due while the daemon did not run is due
    /// some minutes after the start.
    pub async fn until_due(&self) {
        loop {
            let jitter = u64::from_le_bytes(random(&*self.env)) % 1_000;
            let pause = LOOK_EVERY + LOOK_EVERY.mul_f64(jitter as f64 / 2_000.0);
            tokio::select! {
                biased;
                () = self.doubted.notified() => {}
                () = sleep(pause) => {}
            }
            match self.readers.read(last).await {
                Ok(Ok(last)) if self.is_due(last.as_ref()) => return,
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::error!(%error, "it cannot be read when the last deep check was"),
                Err(ReadError::Stopped) => std::future::pending().await,
                Err(error) => tracing::error!(%error, "it cannot be read when the last deep check was"),
            }
        }
    }

    /// A clock that was set wrong then, or is now, makes it due too.
    fn is_due(&self, last: Option<&Last>) -> bool {
        let every_ms = if self.in_doubt.load(Ordering::Relaxed) { IN_DOUBT_EVERY_MS } else { EVERY_MS };
        last.is_none_or(|last| self.env.now().get().abs_diff(last.at_ms) >= every_ms)
    }
}

impl Last {
    fn of(checked: &Checked, hub: Option<String>) -> Self {
        let Checked { found, repaired, at_ms, took_ms } = checked;
        let mut first: Vec<String> = found.problems.iter().map(ToString::to_string).collect();
        if first.is_empty() {
            first.clone_from(repaired);
        }
        first.truncate(KEPT_MAX);
        Self {
            at_ms: *at_ms,
            took_ms: *took_ms,
            ops: found.ops,
            problems: found.problems.len() as u64 + found.more_problems,
            repairable: found.can_be_rebuilt(),
            first,
            repaired: repaired.len() as u64,
            failed: None,
            hub,
        }
    }

    /// Whether nothing is wrong, as far as it was seen.
    pub fn is_ok(&self) -> bool {
        self.problems == 0 && self.failed.is_none() && self.hub.is_none()
    }
}

/// How the last check ended, if there was one. A note that cannot be read was written by another version.
///
/// # Errors
/// If the database fails.
pub fn last(view: &View<'_>) -> StoreResult<Option<Last>> {
    Ok(view.fact(FACT)?.and_then(|json| serde_json::from_str(&json).ok()))
}

/// Refuses where the scratch file, which gets about as large as the replica, would leave less than that again. What
/// cannot be asked for is no reason.
fn there_is_room(db: &Path) -> Result<(), CheckError> {
    let (Ok(file), Ok(disk)) = (std::fs::metadata(db), rustix::fs::statvfs(db)) else { return Ok(()) };
    let (size, free) = (file.len(), disk.f_bavail.saturating_mul(disk.f_frsize));
    if free / 2 < size { Err(CheckError::NoRoom { free, size }) } else { Ok(()) }
}

/// Says that none is under way when it is dropped.
struct UnderWay<'a>(&'a watch::Sender<Option<Progress>>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.send_replace(None);
    }
}

/// Ends the step that is under way on another thread when nobody waits for it any more.
struct Interrupts<'a>(&'a rusqlite::InterruptHandle);

impl Drop for Interrupts<'_> {
    fn drop(&mut self) {
        self.0.interrupt();
    }
}

#[cfg(test)]
mod tests;
