//! The one door from async to the store. A thread owns the [`Replica`]; closures come to it through a bounded queue,
//! and those that wait together share one commit. Each is answered only once that commit is durable. What the
//! closures do is their own business.
//!
//! ```text
//! run(f) ─┐
//! run(g) ─┼─▶ queue ─▶ group { f, g, h } ─▶ commit, fsync ─▶ three answers ─▶ the head moved
//! run(h) ─┘
//! ```

use crate::limits::{READERS_MAX, WRITES_PER_COMMIT_MAX, WRITES_QUEUED_MAX};
use crate::work;
use heph_store::{
    error::Error as StoreError,
    read::{Reads, View},
    replica::{Group, Replica},
};
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

/// Why a write did not happen, as far as its caller may believe.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// The commit failed: nothing of it happened.
    #[error("nothing was written: the commit failed")]
    Commit(#[source] Arc<StoreError>),
    /// The daemon is about to stop, and took no more writes; or the writer died.
    #[error("nothing was written: the daemon is stopping")]
    Stopped,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the replica cannot be read")]
    Store(#[from] StoreError),
    /// The daemon is about to stop, or the reader died.
    #[error("the read was not finished: the daemon is stopping")]
    Stopped,
}

/// The end of the log after a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The log's last position.
    pub position: u64,
    /// The rolling hash there.
    pub roll: [u8; 32],
}

/// The door to the one writer of a replica. Clones lead to the same thread.
#[derive(Clone)]
pub struct Writer {
    queue: mpsc::Sender<Message>,
    moved: watch::Receiver<Moved>,
}

enum Message {
    Work(Box<dyn Work>),
    Stop,
}

/// A closure that waits for a commit, and who waits for its answer.
trait Work: Send {
    fn perform(&mut self, group: &mut Group<'_>);
    fn answer(self: Box<Self>, outcome: Result<(), WriteError>);
}

struct Waiting<F, T> {
    perform: Option<F>,
    result: Option<T>,
    caller: oneshot::Sender<Result<T, WriteError>>,
}

impl<F: FnOnce(&mut Group<'_>) -> T + Send, T: Send> Work for Waiting<F, T> {
    fn perform(&mut self, group: &mut Group<'_>) {
        self.result = self.perform.take().map(|perform| perform(group));
    }

    fn answer(self: Box<Self>, outcome: Result<(), WriteError>) {
        let Self { result, caller, .. } = *self;
        if caller.send(outcome.and_then(|()| result.ok_or(WriteError::Stopped))).is_err() {
            tracing::debug!("who asked for a write did not wait for its answer");
        }
    }
}

impl Writer {
    /// Starts the thread that owns `replica`.
    ///
    /// # Errors
    /// If the head of its log cannot be read, or the system starts no thread.
    pub fn start(replica: Replica) -> anyhow::Result<Self> {
        let reads = replica.reads()?;
        let (sender, receiver) = watch::channel(head(&reads)?);
        let (queue, waiting) = mpsc::channel(WRITES_QUEUED_MAX);
        let thread = WriterThread { reads, replica, waiting, moved: sender };
        work::on_a_thread("heph-writer", thread.work())?;
        Ok(Self { queue, moved: receiver })
    }

    /// Runs `perform` in a transaction, perhaps together with others, and returns what it returned once that is
    /// durable. A caller that does not wait to the end leaves the write to happen or not, as a whole.
    ///
    /// # Errors
    /// If the commit failed or the daemon is stopping: then nothing of it happened.
    pub async fn run<T: Send + 'static>(
        &self,
        perform: impl FnOnce(&mut Group<'_>) -> T + Send + 'static,
    ) -> Result<T, WriteError> {
        let (caller, answer) = oneshot::channel();
        let work = Box::new(Waiting { perform: Some(perform), result: None, caller });
        self.queue.send(Message::Work(work)).await.map_err(|_| WriteError::Stopped)?;
        answer.await.map_err(|_| WriteError::Stopped)?
    }

    /// Returns what tells when the head has moved, and where it is.
    pub fn subscribe(&self) -> watch::Receiver<Moved> {
        self.moved.clone()
    }

    /// Finishes what is queued, then lets go of the replica. Returns when that is done.
    pub async fn stop(&self) {
        if self.queue.send(Message::Stop).await.is_err() {
            tracing::debug!("the writer has already stopped");
        }
        self.ended().await;
    }

    /// Waits until the writer has let go of the replica, asked to or not.
    pub async fn ended(&self) {
        let mut moved = self.moved.clone();
        while moved.changed().await.is_ok() {}
    }
}

fn head(reads: &Reads) -> Result<Moved, StoreError> {
    let (position, roll) = reads.read(|view| view.end())?;
    Ok(Moved { position, roll })
}

/// The thread. Its fields are dropped in this order: the replica after its reader, so that SQLite tidies up behind the
/// last connection; and who waits for the end of the thread is told last.
struct WriterThread {
    reads: Reads,
    replica: Replica,
    waiting: mpsc::Receiver<Message>,
    moved: watch::Sender<Moved>,
}

impl WriterThread {
    async fn work(mut self) {
        while let Some(batch) = self.next_batch().await {
            if !batch.is_empty() && !self.commit(batch) {
                return;
            }
        }
        // Whoever copies or moves the file while nobody has it open takes all that is in it.
        if let Err(error) = self.replica.tidy() {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "the write-ahead log was left beside the database"
            );
        }
    }

    /// Waits for work, then takes what else waits. `None` once the queue is closed and empty.
    async fn next_batch(&mut self) -> Option<Vec<Box<dyn Work>>> {
        let mut batch = Vec::new();
        let mut message = self.waiting.recv().await?;
        loop {
            match message {
                Message::Work(work) => batch.push(work),
                Message::Stop => self.waiting.close(),
            }
            if batch.len() == WRITES_PER_COMMIT_MAX {
                break;
            }
            match self.waiting.try_recv() {
                Ok(next) => message = next,
                Err(_) => break,
            }
        }
        Some(batch)
    }

    /// Commits, and answers everybody. Returns whether to go on: once the disk failed to take what was to be synced, the
    /// system shows what need not be on the disk, and nothing may be acknowledged on top of that. Another start looks at
    /// the disk itself, and goes on from what was acknowledged.
    fn commit(&mut self, mut batch: Vec<Box<dyn Work>>) -> bool {
        let outcome = self.replica.group(|group| batch.iter_mut().for_each(|work| work.perform(group)));
        let outcome = outcome.map_err(|error| {
            tracing::error!(error = &error as &dyn std::error::Error, "a commit failed");
            WriteError::Commit(Arc::new(error))
        });
        let is_doubtful = matches!(&outcome, Err(WriteError::Commit(error)) if error.is_failed_sync());
        for work in batch {
            work.answer(outcome.clone());
        }
        if is_doubtful {
            tracing::error!("the disk failed to take a write; ending, so that nothing is built on it; start it again");
        } else {
            self.tell();
        }
        !is_doubtful
    }

    fn tell(&self) {
        match head(&self.reads) {
            Ok(now) => {
                self.moved.send_if_modified(|moved| std::mem::replace(moved, now) != now);
            }
            Err(error) => tracing::error!(error = &error as &dyn std::error::Error, "the head cannot be read"),
        }
    }
}

/// The door to a few read connections of one replica. Clones share them.
#[derive(Clone)]
pub struct Readers {
    pool: Arc<Pool>,
}

struct Pool {
    path: PathBuf,
    turns: Arc<Semaphore>,
    idle: Mutex<Vec<Reads>>,
}

impl Readers {
    /// Returns the door to readers of the replica at `path`; they are opened as they are needed.
    pub fn new(path: PathBuf) -> Self {
        let turns = Arc::new(Semaphore::new(READERS_MAX));
        Self { pool: Arc::new(Pool { path, turns, idle: Mutex::default() }) }
    }

    /// Looks at one state of the replica, off the async threads, and returns what `look` returned.
    ///
    /// # Errors
    /// If the file cannot be read or the daemon is stopping.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, ReadError> {
        let pool = self.pool.clone();
        let turn = pool.turns.clone().acquire_owned().await.map_err(|_| ReadError::Stopped)?;
        let answer = work::off_the_loop(move || {
            let reads = pool.take()?;
            let seen = reads.read(|view| Ok::<T, StoreError>(look(view)))?;
            pool.give_back(reads);
            drop(turn);
            Ok(seen)
        });
        answer.await.map_err(|_| ReadError::Stopped)?
    }

    /// Lets nobody read any more, and closes the connections. Called before the writer is stopped, so that SQLite can
    /// tidy up behind it.
    pub fn close(&self) {
        self.pool.turns.close();
        self.pool.idle().clear();
    }

    /// Opens a read connection of the caller's own, for what takes longer than a turn. It blocks for a moment.
    ///
    /// # Errors
    /// If the file cannot be opened.
    pub fn open(&self) -> Result<Reads, StoreError> {
        Reads::open(&self.pool.path)
    }
}

impl Pool {
    fn take(&self) -> Result<Reads, StoreError> {
        let idle = self.idle().pop();
        idle.map_or_else(|| Reads::open(&self.path), Ok)
    }

    fn give_back(&self, reads: Reads) {
        let mut idle = self.idle();
        if !self.turns.is_closed() {
            idle.push(reads);
        }
    }

    /// A lock poisoned by a panic elsewhere still guards a plain list of connections.
    fn idle(&self) -> MutexGuard<'_, Vec<Reads>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use heph_store::{
        Error,
        env::SystemEnv,
        field::{Field, TITLE, Value},
        replica::Written,
    };
    use std::path::Path;

    fn start(dir: &Path) -> (Writer, Readers) {
        let path = dir.join("heph.db");
        let replica = Replica::open(&path, Arc::new(SystemEnv)).unwrap();
        (Writer::start(replica).unwrap(), Readers::new(path))
    }

    fn add(group: &mut Group<'_>, title: &str) -> Result<Written<()>, Error> {
        group.write(|draft| {
            let node = draft.fresh_node();
            draft.set(node, &Field::new(TITLE)?, Value::text(title))
        })
    }

    #[tokio::test]
    async fn what_is_answered_can_be_read_and_the_head_has_moved() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, readers) = start(dir.path());
        let mut moved = writer.subscribe();
        let written = writer.run(|group| add(group, "milk")).await.unwrap().unwrap();
        let (position, roll) = readers.read(|view| view.end()).await.unwrap().unwrap();
        assert_eq!(position, written.position);
        moved.changed().await.unwrap();
        assert_eq!(*moved.borrow(), Moved { position, roll });
    }

    #[tokio::test]
    async fn a_write_that_fails_leaves_those_beside_it_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, readers) = start(dir.path());
        let fails = writer.run(|group| group.write::<(), Error>(|_| Err(Error::UnknownVersion)));
        let (good, bad, also_good) =
            tokio::join!(writer.run(|group| add(group, "a")), fails, writer.run(|group| add(group, "b")));
        assert!(matches!(bad.unwrap(), Err(Error::UnknownVersion)));
        assert!(good.unwrap().is_ok() && also_good.unwrap().is_ok());
        assert_eq!(readers.read(|view| view.end()).await.unwrap().unwrap().0, 2);
    }

    #[tokio::test]
    async fn stopping_finishes_what_is_queued_and_takes_nothing_more() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, readers) = start(dir.path());
        let queued: Vec<_> = (0..500)
            .map(|number| {
                let writer = writer.clone();
                tokio::spawn(async move { writer.run(move |group| add(group, &number.to_string())).await })
            })
            .collect();
        tokio::task::yield_now().await;
        writer.stop().await;
        let mut kept = 0;
        for waiting in queued {
            match waiting.await.unwrap() {
                Ok(written) => kept += u64::from(written.is_ok()),
                Err(error) => assert!(matches!(error, WriteError::Stopped)),
            }
        }
        assert_eq!(readers.read(|view| view.end()).await.unwrap().unwrap().0, kept);
        assert!(matches!(writer.run(|group| add(group, "late")).await, Err(WriteError::Stopped)));
        readers.close();
        assert!(matches!(readers.read(|_| ()).await, Err(ReadError::Stopped)));
    }

    #[tokio::test]
    async fn a_stop_leaves_a_file_that_is_whole_by_itself_whoever_still_has_it_open() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, readers) = start(dir.path());
        writer.run(|group| add(group, "milk")).await.unwrap().unwrap();
        readers.read(|view| view.end()).await.unwrap().unwrap();
        let idle = readers.open().unwrap();
        idle.read(|view| view.end()).unwrap();
        writer.stop().await;
        let alone = dir.path().join("alone.db");
        std::fs::copy(dir.path().join("heph.db"), &alone).unwrap();
        assert_eq!(Reads::open(&alone).unwrap().read(|view| view.end()).unwrap().0, 1);
    }

    #[tokio::test]
    async fn a_writer_that_dies_says_so_to_everybody() {
        let dir = tempfile::tempdir().unwrap();
        let (writer, _readers) = start(dir.path());
        let died = writer.run(|_| panic!("a defect")).await;
        assert!(matches!(died, Err::<(), _>(WriteError::Stopped)));
        writer.ended().await;
        assert!(matches!(writer.run(|_| ()).await, Err(WriteError::Stopped)));
    }
}
