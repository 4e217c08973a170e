//! The file in which a check derives the state again: beside the replica, where there is room for it, and without a
//! name as soon as it is open, so that nothing of it is left behind however the check ends.

use crate::env::Env;
use crate::error::{Error, Result};
use crate::sqlite;
use crate::writer::Writer;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How many checks this process began: two of one file must not share a scratch file.
static CHECKS: AtomicU64 = AtomicU64::new(0);

/// Opens a replica that is thrown away when it is closed.
pub(super) fn open(beside: &Path, env: Arc<dyn Env>) -> Result<Writer> {
    let mut name = beside.file_name().unwrap_or_default().to_os_string();
    let number = CHECKS.fetch_add(1, Ordering::Relaxed);
    name.push(format!(".verify-{}-{number}", std::process::id()));
    let file = Named(beside.with_file_name(name));
    file.remove()?;
    let db = sqlite::open_writer(&file.0)?;
    sqlite::make_throwaway(&db)?;
    let writer = Writer::open(db, env)?;
    file.remove()?;
    Ok(writer)
}

/// A file that has lost its name when this is dropped.
struct Named(PathBuf);

impl Named {
    fn remove(&self) -> Result<()> {
        for end in ["", "-wal", "-shm", "-journal"] {
            let mut name = self.0.clone().into_os_string();
            name.push(end);
            match std::fs::remove_file(&name) {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::Io { path: name.into(), source });
                }
                _ => {}
            }
        }
        Ok(())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(%error, "a scratch file of a check could not be removed");
        }
    }
}
