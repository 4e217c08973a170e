//! One disk: its files, their names, and what each call does to them when a fault strikes and when none does.

use super::directory::{Directory, FileId};
use super::fault::{Call, Fault, Plan};
use super::file::{File, SECTOR};
use super::image::Image;
use super::lock::{HandleId, Locks};
use super::outside;
use super::shared_memory::SharedMemory;
use fastrand::Rng;
use rusqlite::ffi;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What a call answers; the error is SQLite's result code.
pub type Result<T = ()> = std::result::Result<T, i32>;

/// A disk and where it is.
pub struct Shared {
    /// Where it is.
    pub root: PathBuf,
    /// The same place by its name without symbolic links.
    real_root: PathBuf,
    state: Mutex<State>,
}

impl Shared {
    /// A disk at `root`.
    pub fn new(root: &Path, state: State) -> Self {
        let real_root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
        Self { root: root.to_owned(), real_root, state: Mutex::new(state) }
    }

    /// The disk, for one call.
    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The disk, after its files followed the real ones that stand for them.
    pub fn tidy(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        outside::follow(&self.root, &mut state);
        state
    }

    /// A path below the root, without it; none if it is elsewhere.
    pub fn strip<'a>(&self, path: &'a Path) -> Option<&'a Path> {
        path.strip_prefix(&self.root).or_else(|_| path.strip_prefix(&self.real_root)).ok()
    }
}

/// A file, and what those who have it open share.
#[derive(Default)]
pub struct Node {
    pub file: File,
    pub locks: Locks,
    pub shared_memory: Option<SharedMemory>,
    /// Whether a real file stands for it.
    pub marked: bool,
    handles: u64,
}

/// The state of a disk.
pub struct State {
    pub plan: Plan,
    pub capacity: Option<u64>,
    pub lies: bool,
    pub directory: Directory,
    nodes: BTreeMap<FileId, Node>,
    rng: Rng,
    dead: bool,
    files_made: FileId,
    handles_made: HandleId,
}

impl State {
    /// An empty disk.
    pub fn new(seed: u64) -> Self {
        Self {
            plan: Plan::default(),
            capacity: None,
            lies: false,
            directory: Directory::default(),
            nodes: BTreeMap::new(),
            rng: Rng::with_seed(seed),
            dead: false,
            files_made: 0,
            handles_made: 0,
        }
    }

    /// Whether the machine has stopped.
    pub fn is_dead(&self) -> bool {
        self.dead
    }

    /// A file that was opened.
    ///
    /// # Errors
    /// `otherwise`, if the machine has stopped.
    pub fn node(&mut self, file: FileId, otherwise: i32) -> Result<&mut Node> {
        if self.dead { Err(otherwise) } else { self.nodes.get_mut(&file).ok_or(otherwise) }
    }

    /// A file by its number, dead or alive.
    pub fn find(&mut self, file: FileId) -> Option<&mut Node> {
        self.nodes.get_mut(&file)
    }

    /// Counts a call; the fault that strikes it is returned if the machine was alive.
    fn strike(&mut self, call: Call, otherwise: i32) -> Result<Option<Fault>> {
        if self.dead {
            return Err(otherwise);
        }
        let fault = self.plan.next(call);
        self.dead |= fault == Some(Fault::Die);
        Ok(fault)
    }

    /// Whether a call that fails is done nevertheless: only if the machine dies over it, and then by chance.
    fn half_done(&mut self, fault: Fault) -> bool {
        fault == Fault::Die && self.rng.bool()
    }

    /// Opens the file of this name, which is made if `make` and it is not there; with `alone` it must not be there.
    pub fn open(&mut self, path: &Path, make: bool, alone: bool) -> Result<(FileId, HandleId)> {
        if self.dead {
            return Err(ffi::SQLITE_IOERR);
        }
        let file = match self.directory.get(path) {
            Some(_) if alone => return Err(ffi::SQLITE_CANTOPEN),
            Some(file) => file,
            None if make => self.create(path)?,
            None => return Err(ffi::SQLITE_CANTOPEN),
        };
        self.handles_made += 1;
        self.nodes.entry(file).or_default().handles += 1;
        Ok((file, self.handles_made))
    }

    fn create(&mut self, path: &Path) -> Result<FileId> {
        let fault = self.strike(Call::Create, ffi::SQLITE_IOERR)?;
        if let Some(fault) = fault
            && !self.half_done(fault)
        {
            return Err(if fault == Fault::Die { ffi::SQLITE_IOERR } else { ffi::SQLITE_CANTOPEN });
        }
        let file = self.add(File::default());
        self.directory.set(path, Some(file), false);
        if fault.is_none() { Ok(file) } else { Err(ffi::SQLITE_IOERR) }
    }

    fn add(&mut self, file: File) -> FileId {
        self.files_made += 1;
        self.nodes.insert(self.files_made, Node { file, ..Node::default() });
        self.files_made
    }

    /// Somebody has the file open no longer.
    pub fn close(&mut self, file: FileId, who: HandleId) {
        let Some(node) = self.nodes.get_mut(&file) else { return };
        node.locks.lower(who, None);
        node.handles = node.handles.saturating_sub(1);
        if node.handles == 0 {
            self.collect();
        }
    }

    /// Forgets files that have no name and that nobody has open.
    fn collect(&mut self) {
        let directory = &self.directory;
        self.nodes.retain(|file, node| node.handles > 0 || directory.knows(*file));
    }

    /// Takes a name away. With `durably` its folder is synced.
    pub fn delete(&mut self, path: &Path, durably: bool) -> Result {
        if self.dead {
            return Err(ffi::SQLITE_IOERR_DELETE);
        }
        if self.directory.get(path).is_none() {
            return Err(ffi::SQLITE_IOERR_DELETE_NOENT);
        }
        let fault = self.strike(Call::Delete, ffi::SQLITE_IOERR_DELETE)?;
        if fault.is_none_or(|fault| self.half_done(fault)) {
            let folder = path.parent().filter(|_| durably && fault.is_none() && !self.lies);
            self.directory.set(path, None, false);
            folder.map(|folder| self.directory.sync_folder(folder));
            self.collect();
        }
        if fault.is_none() { Ok(()) } else { Err(ffi::SQLITE_IOERR_DELETE) }
    }

    /// Whether a file has this name; `size` is asked for, too.
    pub fn size(&self, path: &Path) -> Result<Option<u64>> {
        if self.dead {
            return Err(ffi::SQLITE_IOERR_ACCESS);
        }
        let file = self.directory.get(path).and_then(|file| self.nodes.get(&file));
        Ok(file.map(|node| node.file.cache().len() as u64))
    }

    /// Reads; what lies behind the end is zero, and an error.
    pub fn read(&mut self, file: FileId, at: usize, into: &mut [u8]) -> Result {
        if self.strike(Call::Read, ffi::SQLITE_IOERR_READ)?.is_some() {
            return Err(ffi::SQLITE_IOERR_READ);
        }
        let bytes = self.node(file, ffi::SQLITE_IOERR_READ)?.file.cache();
        let found = bytes.get(at..bytes.len().min(at + into.len())).unwrap_or_default();
        into[..found.len()].copy_from_slice(found);
        into[found.len()..].fill(0);
        if found.len() == into.len() { Ok(()) } else { Err(ffi::SQLITE_IOERR_SHORT_READ) }
    }

    /// Writes.
    pub fn write(&mut self, file: FileId, at: usize, bytes: &[u8]) -> Result {
        let fault = self.strike(Call::Write, ffi::SQLITE_IOERR_WRITE)?;
        if fault.is_none() && !self.fits(file, at + bytes.len()) {
            self.plan.strike(Fault::Full);
            return Err(ffi::SQLITE_FULL);
        }
        let done = if fault.is_some() { SECTOR * self.rng.usize(0..=bytes.len() / SECTOR) } else { bytes.len() };
        let Some(node) = self.nodes.get_mut(&file) else { return Err(ffi::SQLITE_IOERR_WRITE) };
        self.plan.counters.bytes_written += done as u64;
        if done > 0 && node.file.write(at, &bytes[..done]) {
            self.directory.sync_file(file);
        }
        match fault {
            None => Ok(()),
            Some(Fault::Full) => Err(ffi::SQLITE_FULL),
            Some(_) => Err(ffi::SQLITE_IOERR_WRITE),
        }
    }

    /// Whether a file may become so large.
    fn fits(&self, file: FileId, size: usize) -> bool {
        let Some(capacity) = self.capacity else { return true };
        let sizes = || self.nodes.values().map(|node| node.file.cache().len());
        let now = self.nodes.get(&file).map_or(0, |node| node.file.cache().len());
        size <= now || (sizes().sum::<usize>() - now + size) as u64 <= capacity
    }

    /// Cuts a file off, or makes it longer.
    pub fn truncate(&mut self, file: FileId, size: usize) -> Result {
        let fault = self.strike(Call::Truncate, ffi::SQLITE_IOERR_TRUNCATE)?;
        if fault.is_none_or(|fault| self.half_done(fault))
            && self.nodes.get_mut(&file).is_some_and(|node| node.file.resize(size))
        {
            self.directory.sync_file(file);
        }
        if fault.is_none() { Ok(()) } else { Err(ffi::SQLITE_IOERR_TRUNCATE) }
    }

    /// Makes a file durable, and its name; with `folder` all names in that folder.
    pub fn sync(&mut self, file: FileId, folder: Option<&Path>) -> Result {
        let fault = self.strike(Call::Sync, ffi::SQLITE_IOERR_FSYNC)?;
        let Some(node) = self.nodes.get_mut(&file) else { return Err(ffi::SQLITE_IOERR_FSYNC) };
        if fault == Some(Fault::SyncError) {
            node.file.fail_to_sync(&mut self.rng);
        } else if self.lies {
            self.plan.counters.lies += u64::from(fault.is_none());
        } else if fault.is_none() || self.rng.bool() {
            node.file.sync();
            let mut changed = self.directory.sync_file(file);
            changed |= folder.is_some_and(|folder| self.directory.sync_folder(folder));
            if changed {
                self.collect();
            }
        }
        if fault.is_none() { Ok(()) } else { Err(ffi::SQLITE_IOERR_FSYNC) }
    }

    /// All files as they are written.
    pub fn image(&self) -> Image {
        let copy = |(path, file): (&Path, FileId)| {
            let node = self.nodes.get(&file)?;
            Some((path.to_owned(), Arc::new(node.file.cache().to_vec())))
        };
        Image(self.directory.now().filter_map(copy).collect())
    }

    /// What is on the disk for certain.
    pub fn durable_image(&self) -> Image {
        let copy = |(path, file): (&Path, FileId)| {
            let node = self.nodes.get(&file)?;
            Some((path.to_owned(), Arc::new(node.file.on_disk())))
        };
        Image(self.directory.durable().filter_map(copy).collect())
    }

    /// The files and their sizes.
    pub fn files(&self) -> Vec<(PathBuf, u64)> {
        let size = |file| self.nodes.get(&file).map_or(0, |node: &Node| node.file.cache().len() as u64);
        self.directory.now().map(|(path, file)| (path.to_owned(), size(file))).collect()
    }

    /// What is in a file.
    pub fn contents(&self, path: &Path) -> Option<Vec<u8>> {
        let file = self.directory.get(path)?;
        Some(self.nodes.get(&file)?.file.cache().to_vec())
    }

    /// Puts a file there, durably.
    pub fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        let file = self.add(File::durable(bytes));
        self.rename(path, Some(file));
    }

    /// Makes a name mean another file, or nothing, durably.
    pub fn rename(&mut self, path: &Path, file: Option<FileId>) {
        self.directory.set(path, file, true);
        self.collect();
    }

    /// Writes a file over itself, and syncs it.
    pub fn rewrite(&mut self, path: &Path) {
        if let Some(file) = self.directory.get(path).filter(|_| !self.lies)
            && let Some(node) = self.nodes.get_mut(&file)
        {
            node.file.rewrite();
            self.directory.sync_file(file);
            self.collect();
        }
    }

    /// Changes a bit of a file.
    pub fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) -> bool {
        let node = self.directory.get(path).and_then(|file| self.nodes.get_mut(&file));
        node.is_some_and(|node| node.file.flip(offset as usize, bit))
    }

    /// The machine has stopped: what it held is taken out, for what comes after it.
    pub fn die(&mut self) -> Self {
        let next = Self { dead: true, files_made: self.files_made, ..Self::new(0) };
        let mut last = std::mem::replace(self, next);
        std::mem::swap(&mut self.plan, &mut last.plan);
        last
    }

    /// What the machine finds after its processes were killed: the cache is as it was.
    pub fn killed(mut self, seed: u64) -> Self {
        for node in self.nodes.values_mut() {
            *node = Node { file: std::mem::take(&mut node.file), ..Node::default() };
        }
        self.collect();
        let (directory, nodes, files_made) = (self.directory, self.nodes, self.files_made);
        Self { directory, nodes, files_made, lies: self.lies, capacity: self.capacity, ..Self::new(seed) }
    }

    /// What the machine finds after its power was lost.
    pub fn after_power_loss(mut self, seed: u64) -> Self {
        let mut next = Self { lies: self.lies, capacity: self.capacity, ..Self::new(seed) };
        next.files_made = self.files_made;
        for (path, file) in self.directory.after_power_loss(seed) {
            if let Some(node) = self.nodes.remove(&file) {
                let mut rng = Rng::with_seed(seed ^ file.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let bytes = node.file.after_power_loss(&mut rng);
                next.nodes.insert(file, Node { file: File::durable(bytes), ..Node::default() });
            }
            next.directory.set(&path, Some(file), true);
        }
        next
    }
}
