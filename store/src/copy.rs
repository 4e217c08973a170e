//! Backups: a consistent copy of a replica in use, opened and checked before it counts.

use crate::digest;
use crate::error::{Error, Result};
use crate::node::row_hash;
use crate::read::Reads;
use crate::sqlite::{self, state};
use crate::writer::unpack;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// How many nodes are read at a time.
const BATCH: usize = 1_024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupReport {
    /// Ops in it.
    pub ops: u64,
    /// Nodes in it.
    pub nodes: u64,
    /// The digest of its state.
    pub digest: [u8; 32],
    /// Its size in bytes.
    pub bytes: u64,
}

/// Copies the replica at `from` to a new file at `to`, while it is in use. The copy gets its name only once it was
/// opened, found whole, and its digest computed from its nodes. An existing file is never replaced.
pub fn backup(from: &Path, to: &Path) -> Result<BackupReport> {
    if to.exists() {
        let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "there is a file of this name already");
        return Err(Error::Io { path: to.to_owned(), source });
    }
    let partial = beside(to, ".partial");
    let cleanup = Partial(partial.clone());
    cleanup.remove()?;
    sqlite::copy_into(from, &partial)?;
    let report = check(&partial)?;
    settle(&partial, to)?;
    Ok(report)
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(end);
    path.with_file_name(name)
}

/// An unfinished copy, removed unless it was given its name.
struct Partial(PathBuf);

impl Partial {
    fn remove(&self) -> Result<()> {
        match std::fs::remove_file(&self.0) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::Io { path: self.0.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        for end in ["", "-wal", "-shm"] {
            let path = beside(&self.0, end);
            if path.exists()
                && let Err(error) = std::fs::remove_file(&path)
            {
                tracing::warn!(%error, "an unfinished backup could not be removed");
            }
        }
    }
}

/// Opens a copy, lets SQLite check it, and computes its digest from its nodes.
fn check(path: &Path) -> Result<BackupReport> {
    sqlite::check_copy(path)?;
    let reads = Reads::open(path)?;
    let bytes = std::fs::metadata(path).map_err(|source| Error::Io { path: path.to_owned(), source })?.len();
    reads.read(|view| {
        let mut sums: BTreeMap<u8, [u8; 32]> = BTreeMap::new();
        let (mut nodes, mut after) = (0, 0);
        loop {
            let rows = state::nodes_after(view.db, after, BATCH)?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in rows {
                let state = unpack(&row.state)?;
                if !crate::flush::is_empty(&state) {
                    digest::add(sums.entry(digest::bucket(row.node)).or_default(), &row_hash(row.node, &state));
                }
                nodes += 1;
            }
        }
        let computed: Vec<[u8; 32]> =
            (0..=u8::MAX).map(|bucket| sums.get(&bucket).copied().unwrap_or_default()).collect();
        if computed != view.buckets()? {
            return Err(Error::BadBackup("its digest is not the sum of its nodes".into()));
        }
        Ok(BackupReport { ops: view.summary()?.head, nodes, digest: digest::total(&computed), bytes })
    })
}

/// Makes the copy durable and gives it its name.
fn settle(partial: &Path, to: &Path) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    File::open(partial).and_then(|file| file.sync_all()).map_err(io(partial))?;
    std::fs::rename(partial, to).map_err(io(to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(io(parent))
}
