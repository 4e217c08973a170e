//! What is in one file: in the cache, and on the disk. Since most syncs succeed, the cache is what is kept, and of each
//! write since the last sync what was there before.

use fastrand::Rng;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Range;

/// What a disk writes at once: a power loss does not tear it.
pub const SECTOR: usize = 512;
/// How many changes a file can have that are not on the disk yet; beyond them the oldest reach it on their own.
const UNSYNCED: usize = 4_096;

/// A file's bytes.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// As everybody sees it.
    cache: Vec<u8>,
    /// What changed since it was the same on the disk, oldest first.
    unsynced: VecDeque<Change>,
    /// What the disk has in sectors that the cache shows otherwise and takes for written: a sync of them failed.
    stale: BTreeMap<u64, [u8; SECTOR]>,
}

/// A change, and what it takes to undo it.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, len: usize, size_before: usize, before: Vec<u8> },
    Truncate { cut: Vec<u8> },
}

/// A change that was undone.
enum Undone {
    Write { at: usize, bytes: Vec<u8> },
    Truncate { size: usize },
}

impl File {
    /// A file that is on the disk.
    pub fn durable(bytes: Vec<u8>) -> Self {
        Self { cache: bytes, ..Self::default() }
    }

    /// What everybody sees.
    pub fn cache(&self) -> &[u8] {
        &self.cache
    }

    /// What is on the disk for certain.
    pub fn on_disk(&self) -> Vec<u8> {
        self.clone().rewind().0
    }

    /// Writes, and returns whether an older change had to reach the disk for it.
    pub fn write(&mut self, at: usize, bytes: &[u8]) -> bool {
        let (size_before, end) = (self.cache.len(), at + bytes.len());
        let before = self.cache.get(at..end.min(size_before)).unwrap_or_default().to_vec();
        if end > size_before {
            self.cache.resize(end, 0);
        }
        self.cache[at..end].copy_from_slice(bytes);
        self.changed(Change::Write { at, len: bytes.len(), size_before, before })
    }

    /// Cuts the file off, or makes it longer with zeros.
    pub fn resize(&mut self, size: usize) -> bool {
        let size_before = self.cache.len();
        if size > size_before {
            return self.write(size_before, &vec![0; size - size_before]);
        }
        let cut = self.cache.split_off(size);
        self.changed(Change::Truncate { cut })
    }

    fn changed(&mut self, change: Change) -> bool {
        self.unsynced.push_back(change);
        if self.unsynced.len() <= UNSYNCED {
            return false;
        }
        if let Some(Change::Write { at, len, .. }) = self.unsynced.pop_front() {
            self.stale.retain(|sector, _| !sectors(at..at + len).contains(sector));
        }
        true
    }

    /// Everything that the cache does not take for written reaches the disk.
    pub fn sync(&mut self) {
        if !self.stale.is_empty() {
            let (touched, size) = (self.touched(), self.cache.len() as u64);
            self.stale.retain(|sector, _| !touched.contains(sector) && sector * (SECTOR as u64) < size);
        }
        self.unsynced.clear();
    }

    /// Everything is written over itself, and synced.
    pub fn rewrite(&mut self) {
        self.stale.clear();
        self.unsynced.clear();
    }

    /// A sync fails: of what was to be written each sector is on the disk now, or only the cache has it and takes it for
    /// written, or it is lost from both.
    pub fn fail_to_sync(&mut self, rng: &mut Rng) {
        // Some drop what they could not write, most keep it, and all of it can have failed or a part.
        let fates: &[Fate] = match rng.u8(0..4) {
            0 => &[Fate::CacheOnly],
            1 => &[Fate::Written, Fate::CacheOnly],
            2 => &[Fate::Written, Fate::CacheOnly, Fate::Lost],
            _ => &[Fate::Lost],
        };
        let disk = self.on_disk();
        for sector in self.touched() {
            let start = sector as usize * SECTOR;
            let end = (start + SECTOR).min(self.cache.len());
            if start >= end {
                continue;
            }
            let mut was = [0; SECTOR];
            let known = disk.get(start..disk.len().min(start + SECTOR)).unwrap_or_default();
            was[..known.len()].copy_from_slice(known);
            self.stale.remove(&sector);
            match fates[rng.usize(0..fates.len())] {
                Fate::Written => {}
                Fate::CacheOnly => {
                    self.stale.insert(sector, was);
                }
                Fate::Lost => self.cache[start..end].copy_from_slice(&was[..end - start]),
            }
        }
        self.unsynced.clear();
    }

    /// What is on the disk after the power was lost: of what was not synced, each sector of each write by chance.
    pub fn after_power_loss(self, rng: &mut Rng) -> Vec<u8> {
        let (mut disk, undone) = self.rewind();
        for change in undone.into_iter().rev() {
            let luck = Luck::new(rng);
            match change {
                Undone::Truncate { size } if luck.holds(rng) => disk.truncate(size),
                Undone::Truncate { .. } => {}
                Undone::Write { at, bytes } => {
                    let end = at + bytes.len();
                    // The size is written apart from the bytes: where it alone survives, zeros stand.
                    if end > disk.len() && luck.holds(rng) {
                        disk.resize(end, 0);
                    }
                    for sector in sectors(at..end) {
                        let from = (sector as usize * SECTOR).max(at);
                        let to = ((sector as usize + 1) * SECTOR).min(end).min(disk.len());
                        if luck.holds(rng) && from < to {
                            disk[from..to].copy_from_slice(&bytes[from - at..to - at]);
                        }
                    }
                }
            }
        }
        disk
    }

    /// A bit changes on the disk and in the cache.
    pub fn flip(&mut self, at: usize, bit: u8) -> bool {
        let Some(byte) = self.cache.get_mut(at) else { return false };
        *byte ^= 1 << (bit % 8);
        if let Some(stale) = self.stale.get_mut(&((at / SECTOR) as u64)) {
            stale[at % SECTOR] ^= 1 << (bit % 8);
        }
        true
    }

    /// The sectors that were written to since the last sync.
    fn touched(&self) -> BTreeSet<u64> {
        let mut found = BTreeSet::new();
        for change in &self.unsynced {
            if let Change::Write { at, len, .. } = change {
                found.extend(sectors(*at..at + len));
            }
        }
        found
    }

    /// Undoes what was not synced. Returns what the disk has, and the changes, the newest first.
    fn rewind(mut self) -> (Vec<u8>, Vec<Undone>) {
        let mut disk = self.cache;
        let mut undone = Vec::with_capacity(self.unsynced.len());
        while let Some(change) = self.unsynced.pop_back() {
            undone.push(match change {
                Change::Truncate { cut } => {
                    let size = disk.len();
                    disk.extend_from_slice(&cut);
                    Undone::Truncate { size }
                }
                Change::Write { at, len, size_before, before } => {
                    let bytes = disk[at..at + len].to_vec();
                    disk[at..at + before.len()].copy_from_slice(&before);
                    disk.truncate(size_before);
                    Undone::Write { at, bytes }
                }
            });
        }
        for (sector, bytes) in &self.stale {
            let start = *sector as usize * SECTOR;
            let end = (start + SECTOR).min(disk.len());
            if start < end {
                disk[start..end].copy_from_slice(&bytes[..end - start]);
            }
        }
        (disk, undone)
    }
}

/// The sectors that some bytes lie in.
fn sectors(bytes: Range<usize>) -> Range<u64> {
    (bytes.start / SECTOR) as u64..bytes.end.div_ceil(SECTOR) as u64
}

/// What becomes of a sector when a sync fails.
#[derive(Clone, Copy)]
enum Fate {
    /// It is on the disk.
    Written,
    /// The cache shows it, and takes it for written.
    CacheOnly,
    /// It is what it was before.
    Lost,
}

/// What one change can hope for when the power is lost.
#[derive(Clone, Copy)]
enum Luck {
    None,
    Half,
    All,
}

impl Luck {
    fn new(rng: &mut Rng) -> Self {
        match rng.u8(0..4) {
            0 => Self::None,
            1 => Self::All,
            _ => Self::Half,
        }
    }

    fn holds(self, rng: &mut Rng) -> bool {
        match self {
            Self::None => false,
            Self::Half => rng.bool(),
            Self::All => true,
        }
    }
}
