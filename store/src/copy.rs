//! Backups: a consistent copy of a replica in use, opened and checked before it counts.

use crate::digest;
use crate::error::{Error, Result};
use crate::node::row_hash;
use crate::read::Reads;
use crate::sqlite::{self, state};
use crate::verify::{check_bodies, check_ends};
use crate::writer::unpack;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many nodes are read at a time.
const BATCH: usize = 1_024;

/// How many copies this process began, or tried to: no two of them share an unfinished file.
static COPIES: AtomicU64 = AtomicU64::new(0);

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
/// opened and found whole: its digest computed from its nodes, its texts from its documents. An existing file is never replaced.
pub fn backup(from: &Path, to: &Path) -> Result<BackupReport> {
    if to.exists() {
        return Err(taken(to));
    }
    let partial = begin(to)?;
    sqlite::copy_into(from, &partial.0)?;
    let report = check(&partial.0)?;
    settle(&partial.0, to)?;
    Ok(report)
}

/// Makes an empty file beside `to`. One of that name was left behind by a copy that was killed, or is being written by a
/// process of the same number elsewhere: it is let be, and another name is taken.
fn begin(to: &Path) -> Result<Partial> {
    loop {
        let number = COPIES.fetch_add(1, Ordering::Relaxed);
        let path = beside(to, &format!(".{}-{number}.partial", std::process::id()));
        match sqlite::make_private(&path) {
            Ok(()) => return Ok(Partial(path)),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(source) => return Err(Error::Io { path, source }),
        }
    }
}

fn taken(path: &Path) -> Error {
    let source = std::io::Error::new(std::io::ErrorKind::AlreadyExists, "there is a file of this name already");
    Error::Io { path: path.to_owned(), source }
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(end);
    path.with_file_name(name)
}

/// An unfinished copy, removed unless it was given its name.
struct Partial(PathBuf);

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

/// Opens a copy, lets SQLite check it, computes its digest from its nodes, and looks at texts and ends.
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
                refuse(check_bodies(view.db, &row, &state)?)?;
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
        refuse(check_ends(view.db)?)?;
        Ok(BackupReport { ops: view.summary()?.head, nodes, digest: digest::total(&computed), bytes })
    })
}

/// A copy in which anything is wrong is no backup.
fn refuse(wrong: Vec<String>) -> Result<()> {
    wrong.into_iter().next().map_or(Ok(()), |sentence| Err(Error::BadBackup(sentence)))
}

/// Makes the copy durable and gives it its name.
fn settle(partial: &Path, to: &Path) -> Result<()> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::Io { path, source }
    };
    File::open(partial).and_then(|file| file.sync_all()).map_err(io(partial))?;
    rename_new(partial, to).map_err(io(to))?;
    let parent = to.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent).and_then(|dir| dir.sync_all()).map_err(io(parent))
}

/// Renames a file; fails if there is one of the new name, even one that appears just now.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do that; then a second name does it.
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {
            std::fs::hard_link(from, to).and_then(|()| std::fs::remove_file(from))
        }
        done => Ok(done?),
    }
}
