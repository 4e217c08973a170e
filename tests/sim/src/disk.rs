//! A disk that fails: the storage of one simulated machine, in memory, under SQLite.
//!
//! Every [`Disk`] owns the paths below its root. The first one registers a SQLite VFS, `heph-sim`, as the default of the
//! process, so that the store runs on it unchanged by opening paths; a path below no living disk is refused from then on.
//! Each disk is deterministic by its seed and knows nothing of the others.
//!
//! What it models, and what not:
//!
//! - What is written is in the machine's cache at once, and on the disk after a sync of its file. [`Disk::kill`] keeps
//!   the cache. [`Disk::power_loss`] takes what was synced, and of each later write each sector of 512 bytes or not, by
//!   chance; so later writes may survive where earlier ones did not. The bytes of a sector that a write does not touch
//!   are safe, as SQLite's `POWERSAFE_OVERWRITE` says, on which it relies on every real machine, too.
//! - A sync makes a file's own name durable, as journaling file systems do. Where SQLite's own VFS for Unix syncs the
//!   folder (the first sync of a journal, a deletion that asks for it), all names in it are. Other creations and deletions
//!   are subject to chance, name by name.
//! - A cache is not endless: of very many writes without a sync the oldest reach the disk on their own.
//! - Real files may stand at the same paths: the store makes its file, with the rights it should have, before SQLite
//!   opens it. They stand for their simulated namesakes, which follow when they are renamed or removed.

mod directory;
mod fault;
mod file;
mod handle;
mod image;
mod lock;
mod outside;
mod registry;
mod shared_memory;
mod state;
mod vfs;

pub use fault::{Counters, Fault, Watch};
pub use image::Image;
pub use vfs::reset_randomness;

use state::{Shared, State};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The storage of one machine: all files below a root. Clones are the same disk.
#[derive(Clone)]
pub struct Disk(Arc<Shared>);

impl Disk {
    /// An empty disk. The directory is made, in the real file system, if it is not there.
    ///
    /// # Panics
    /// If another living disk has this root, or the directory cannot be made.
    pub fn new(root: &Path, seed: u64) -> Self {
        Self::with(root, State::new(seed))
    }

    /// A disk that holds a copy, all of it durable.
    pub fn from_image(root: &Path, image: &Image, seed: u64) -> Self {
        let mut state = State::new(seed);
        for (path, bytes) in image.files() {
            state.put(path, bytes.to_vec());
        }
        Self::with(root, state)
    }

    fn with(root: &Path, state: State) -> Self {
        vfs::register();
        Self(registry::add(root, state))
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// All files as they are written now: what a copy has that is made while the machine is off.
    pub fn image(&self) -> Image {
        self.0.tidy().image()
    }

    /// What is on the disk for certain: the names and bytes that were synced.
    pub fn durable_image(&self) -> Image {
        self.0.tidy().durable_image()
    }

    /// All processes of the machine are killed: every open file fails for ever. Returns the disk that they find when
    /// they start again, which holds all that was written, below another root.
    pub fn kill(&self, new_root: &Path, seed: u64) -> Self {
        let state = self.0.tidy().die().killed(seed);
        Self::with(new_root, state)
    }

    /// The machine loses its power: every open file fails for ever. Returns the disk that it finds when it starts
    /// again, below another root; what of the unsynced survives, `seed` says.
    pub fn power_loss(&self, new_root: &Path, seed: u64) -> Self {
        let state = self.0.tidy().die().after_power_loss(seed);
        Self::with(new_root, state)
    }

    /// Whether the machine has stopped.
    pub fn is_dead(&self) -> bool {
        self.0.lock().is_dead()
    }

    /// Plans a fault for the call that follows `after` others that change something (for [`Fault::ReadError`]: others
    /// that read), or for the first one after that which can fail so.
    pub fn fail(&self, after: u64, fault: Fault) {
        self.0.lock().plan.add(after, fault);
    }

    /// Tells of every fault from now on, in the moment when it strikes; it may not use the disk.
    pub fn watch(&self, watch: Watch) {
        self.0.lock().plan.watch = Some(watch);
    }

    /// Does something that no fault strikes, and that is not counted: somebody looks on who is no part of the system.
    pub fn spared<T>(&self, look: impl FnOnce() -> T) -> T {
        self.0.lock().plan.spares = true;
        let seen = look();
        self.0.lock().plan.spares = false;
        seen
    }

    /// Forgets the planned faults that have not struck yet, and returns how many there were.
    pub fn forgive(&self) -> usize {
        self.0.lock().plan.clear()
    }

    /// How many bytes fit; beyond them a write fails as on a full disk.
    pub fn capacity(&self, bytes: Option<u64>) {
        self.0.lock().capacity = bytes;
    }

    /// From now on syncs are acknowledged and do nothing, or do what they should again.
    pub fn lie(&self, lies: bool) {
        self.0.lock().lies = lies;
    }

    /// What happened so far.
    pub fn counters(&self) -> Counters {
        self.0.lock().plan.counters
    }

    /// The files, by their paths below the root, and their sizes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        self.0.tidy().files()
    }

    /// What is in a file now. Here and below, a path may stand with or without the root.
    pub fn read(&self, path: &Path) -> Option<Vec<u8>> {
        self.0.tidy().contents(&self.below(path))
    }

    /// Puts a file there, durably, as from outside: one of the same name that is open stays what it was to those who
    /// have it open.
    pub fn write(&self, path: &Path, bytes: Vec<u8>) {
        let path = self.below(path);
        let mut state = self.0.tidy();
        outside::forget(self.root(), &path);
        state.put(&path, bytes);
    }

    /// Writes a file over itself and syncs it, as from outside: what a failed sync left in the cache only is on the disk
    /// then. Cache and disk agree after that, as they do once the store has seen to it before SQLite opens a file, with
    /// calls of its own, which do not come here.
    pub fn rewrite(&self, path: &Path) {
        let path = self.below(path);
        self.0.tidy().rewrite(&path);
    }

    /// Removes a file, durably, as from outside.
    pub fn remove(&self, path: &Path) {
        let path = self.below(path);
        let mut state = self.0.tidy();
        outside::forget(self.root(), &path);
        state.rename(&path, None);
    }

    /// A bit rots, in the cache and on the disk. Returns whether there is such a byte.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> bool {
        let path = self.below(path);
        self.0.tidy().flip_bit(&path, offset, bit)
    }

    fn below(&self, path: &Path) -> PathBuf {
        self.0.strip(path).unwrap_or(path).to_owned()
    }
}
