//! Which name means which file: as everybody sees it, and on the disk.

use fastrand::Rng;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The number of a file of one disk, in the order in which they were made.
pub type FileId = u64;

/// How many meanings a name can have had since it was the same on the disk; beyond them the oldest reach it.
const UNSYNCED: usize = 8;

/// A name.
#[derive(Debug, Clone, Default)]
struct Name {
    /// What it means on the disk.
    durable: Option<FileId>,
    /// What it came to mean since, one after another; the last is what everybody sees.
    since: Vec<Option<FileId>>,
}

impl Name {
    fn now(&self) -> Option<FileId> {
        self.since.last().copied().unwrap_or(self.durable)
    }

    fn settle(&mut self) {
        self.durable = self.now();
        self.since.clear();
    }

    fn meanings(&self) -> impl Iterator<Item = FileId> {
        [self.durable].into_iter().chain(self.since.iter().copied()).flatten()
    }
}

/// All names of a disk, by their paths below its root.
#[derive(Debug, Default)]
pub struct Directory(BTreeMap<PathBuf, Name>);

impl Directory {
    /// The file that everybody sees under a name.
    pub fn get(&self, path: &Path) -> Option<FileId> {
        self.0.get(path)?.now()
    }

    /// Every name that everybody sees.
    pub fn now(&self) -> impl Iterator<Item = (&Path, FileId)> {
        self.0.iter().filter_map(|(path, name)| Some((path.as_path(), name.now()?)))
    }

    /// Every name that is on the disk.
    pub fn durable(&self) -> impl Iterator<Item = (&Path, FileId)> {
        self.0.iter().filter_map(|(path, name)| Some((path.as_path(), name.durable?)))
    }

    /// Makes a name mean a file, or nothing.
    pub fn set(&mut self, path: &Path, file: Option<FileId>, durably: bool) {
        let name = self.0.entry(path.to_owned()).or_default();
        name.since.push(file);
        if durably {
            name.settle();
        } else if name.since.len() > UNSYNCED {
            name.durable = name.since.remove(0);
        }
        self.forget();
    }

    /// A file was synced, and with it its names. Returns whether that changed anything.
    pub fn sync_file(&mut self, file: FileId) -> bool {
        self.settle(|_, name| name.now() == Some(file))
    }

    /// A folder was synced, and with it what the names in it mean.
    pub fn sync_folder(&mut self, folder: &Path) -> bool {
        self.settle(|path, _| path.parent() == Some(folder))
    }

    fn settle(&mut self, which: impl Fn(&Path, &Name) -> bool) -> bool {
        let mut changed = false;
        for (path, name) in &mut self.0 {
            if !name.since.is_empty() && which(path, name) {
                name.settle();
                changed = true;
            }
        }
        if changed {
            self.forget();
        }
        changed
    }

    fn forget(&mut self) {
        self.0.retain(|_, name| name.meanings().next().is_some());
    }

    /// Whether a name means this file, or may do so again after a power loss.
    pub fn knows(&self, file: FileId) -> bool {
        self.0.values().any(|name| name.meanings().any(|meant| meant == file))
    }

    /// What the names mean after the power was lost.
    pub fn after_power_loss(&self, seed: u64) -> Vec<(PathBuf, FileId)> {
        let mut names: Vec<_> = self.0.iter().collect();
        // Not by name: some contain what differs from run to run.
        names.sort_by_key(|(_, name)| name.meanings().next());
        let mut rng = Rng::with_seed(seed);
        let mut found = Vec::new();
        for (path, name) in names {
            let meant = match rng.usize(0..=name.since.len()) {
                0 => name.durable,
                later => name.since[later - 1],
            };
            found.extend(meant.map(|file| (path.clone(), file)));
        }
        found
    }
}
