//! Which paths belong to which disk.

use super::state::{Shared, State};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The living disks of this process.
static DISKS: Mutex<Vec<Weak<Shared>>> = Mutex::new(Vec::new());

fn disks() -> MutexGuard<'static, Vec<Weak<Shared>>> {
    DISKS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adds a disk. Its directory is made in the real file system, where real files may stand for its own.
///
/// # Panics
/// If another has this root, or the directory cannot be made.
pub fn add(root: &Path, state: State) -> Arc<Shared> {
    std::fs::create_dir_all(root).expect("the directory of a simulated disk can be made");
    let disk = Arc::new(Shared::new(root, state));
    let mut disks = disks();
    disks.retain(|known| known.strong_count() > 0);
    let taken = disks.iter().filter_map(Weak::upgrade).any(|known| known.root == root);
    assert!(!taken, "another simulated disk is at {}", root.display());
    disks.push(Arc::downgrade(&disk));
    disk
}

/// The disk that a path belongs to, and the path below its root.
pub fn find(path: &Path) -> Option<(Arc<Shared>, PathBuf)> {
    let living: Vec<_> = disks().iter().filter_map(Weak::upgrade).collect();
    let owning = living.into_iter().filter_map(|disk| {
        let below = disk.strip(path)?.to_owned();
        Some((disk, below))
    });
    owning.min_by_key(|(_, below)| below.components().count())
}
