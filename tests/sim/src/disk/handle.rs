//! An open file, as one connection has it.

use super::directory::FileId;
use super::lock::{HandleId, Level};
use super::outside;
use super::registry;
use super::shared_memory::{Region, SharedMemory};
use super::state::{Result, Shared, State};
use rusqlite::ffi;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What somebody wants to open.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// A database, as opposed to a journal or a log.
    pub database: bool,
    /// It will not be written to.
    pub read_only: bool,
    /// It may be made.
    pub make: bool,
    /// It must be made.
    pub alone: bool,
}

/// An open file.
pub struct Handle {
    disk: Arc<Shared>,
    file: FileId,
    number: HandleId,
    read_only: bool,
    /// The folder that the first sync makes durable, too.
    folder: Option<PathBuf>,
    /// Shared memory that SQLite has the addresses of.
    regions: Vec<Region>,
}

impl Handle {
    /// Opens a file of the disk that the path belongs to.
    pub fn open(path: &Path, wanted: Wanted) -> Result<Self> {
        let (disk, path) = registry::find(path).ok_or(ffi::SQLITE_CANTOPEN)?;
        let mut state = disk.lock();
        if wanted.database {
            outside::before_open(&disk.root, &path, &mut state);
        }
        // The store makes its file in the real file system, and then SQLite opens it without making it.
        let make = wanted.make || (wanted.database && !wanted.read_only);
        let (file, number) = state.open(&path, make, wanted.alone)?;
        if wanted.database {
            outside::after_open(&disk.root, &path, file, &mut state);
        }
        drop(state);
        // As SQLite's VFS for Unix does with what it may have to make: journals and logs.
        let folder = (wanted.make && !wanted.database).then(|| path.parent().map(Path::to_owned)).flatten();
        Ok(Self { disk, file, number, read_only: wanted.read_only, folder, regions: Vec::new() })
    }

    /// A scratch file without a name. It is on no disk, so nothing befalls it.
    pub fn nameless() -> Result<Self> {
        let disk = Arc::new(Shared::new(Path::new(""), State::new(0)));
        let (file, number) = disk.lock().open(Path::new("scratch"), true, false)?;
        Ok(Self { disk, file, number, read_only: false, folder: None, regions: Vec::new() })
    }

    /// Reads; what lies behind the end is zero, and an error.
    pub fn read(&self, at: usize, into: &mut [u8]) -> Result {
        self.disk.lock().read(self.file, at, into)
    }

    /// Writes.
    pub fn write(&self, at: usize, bytes: &[u8]) -> Result {
        if self.read_only { Err(ffi::SQLITE_IOERR_WRITE) } else { self.disk.lock().write(self.file, at, bytes) }
    }

    /// Cuts the file off.
    pub fn truncate(&self, size: usize) -> Result {
        if self.read_only { Err(ffi::SQLITE_IOERR_TRUNCATE) } else { self.disk.lock().truncate(self.file, size) }
    }

    /// Makes the file durable.
    pub fn sync(&mut self) -> Result {
        self.disk.lock().sync(self.file, self.folder.as_deref())?;
        self.folder = None;
        Ok(())
    }

    /// Its size.
    pub fn size(&self) -> Result<usize> {
        Ok(self.disk.lock().node(self.file, ffi::SQLITE_IOERR_FSTAT)?.file.cache().len())
    }

    /// Raises the lock on the file.
    pub fn lock(&self, to: Level) -> Result {
        let mut state = self.disk.lock();
        let node = state.node(self.file, ffi::SQLITE_IOERR_LOCK)?;
        if self.read_only && to > Level::Shared {
            return Err(ffi::SQLITE_IOERR_LOCK);
        }
        if node.locks.raise(self.number, to) { Ok(()) } else { Err(ffi::SQLITE_BUSY) }
    }

    /// Lowers the lock on the file.
    pub fn unlock(&self, to: Option<Level>) -> Result {
        self.disk.lock().node(self.file, ffi::SQLITE_IOERR_UNLOCK)?.locks.lower(self.number, to);
        Ok(())
    }

    /// Whether anybody is about to write to the file.
    pub fn is_reserved(&self) -> Result<bool> {
        Ok(self.disk.lock().node(self.file, ffi::SQLITE_IOERR_CHECKRESERVEDLOCK)?.locks.is_reserved())
    }

    /// A region of the memory that is shared by those who have the file open. It stays until [`Handle::unmap`].
    pub fn map(&mut self, index: usize, bytes: usize, make: bool) -> Result<Option<&Region>> {
        let mut state = self.disk.lock();
        let node = state.node(self.file, ffi::SQLITE_IOERR_SHMMAP)?;
        let shared = node.shared_memory.get_or_insert_with(SharedMemory::default);
        let Some(region) = shared.region(self.number, index, bytes, make) else { return Ok(None) };
        drop(state);
        self.regions.push(region);
        Ok(self.regions.last())
    }

    /// Locks slots of the shared memory.
    pub fn lock_slots(&self, slots: u32, alone: bool) -> Result {
        let mut state = self.disk.lock();
        let node = state.node(self.file, ffi::SQLITE_IOERR_SHMLOCK)?;
        let shared = node.shared_memory.as_mut().ok_or(ffi::SQLITE_IOERR_SHMLOCK)?;
        if shared.lock(self.number, slots, alone) { Ok(()) } else { Err(ffi::SQLITE_BUSY) }
    }

    /// Unlocks slots of the shared memory.
    pub fn unlock_slots(&self, slots: u32) -> Result {
        let mut state = self.disk.lock();
        let node = state.node(self.file, ffi::SQLITE_IOERR_SHMLOCK)?;
        node.shared_memory.as_mut().ok_or(ffi::SQLITE_IOERR_SHMLOCK)?.unlock(self.number, slots);
        Ok(())
    }

    /// Takes part in the shared memory no longer; it is gone with the last one.
    pub fn unmap(&mut self) {
        if let Some(node) = self.disk.lock().find(self.file)
            && node.shared_memory.as_mut().is_some_and(|shared| shared.leave(self.number))
        {
            node.shared_memory = None;
        }
        self.regions.clear();
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.unmap();
        self.disk.lock().close(self.file, self.number);
    }
}

/// Takes a file's name away.
pub fn delete(path: &Path, durably: bool) -> Result {
    let (disk, path) = registry::find(path).ok_or(ffi::SQLITE_IOERR_DELETE)?;
    disk.lock().delete(&path, durably)
}

/// The size of the file of this name, if there is one.
pub fn size(path: &Path) -> Result<Option<u64>> {
    let Some((disk, path)) = registry::find(path) else { return Ok(None) };
    disk.lock().size(&path)
}
