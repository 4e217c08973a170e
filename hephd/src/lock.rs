//! One daemon per database: an exclusive `flock` on `<db>.lock`, held as long as the daemon lives. The system lets go
//! of it however the daemon ends, so a lock file that is left behind locks nothing; it is never removed.
//!
//! A holder may be about to end (`kill` returns before the daemon has), so that it is waited for a little.

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a holder is waited for: a daemon that was asked to stop is gone by then, unless something keeps it.
pub const LEAVES_WITHIN: Duration = Duration::from_secs(3);
/// How often it is looked at meanwhile.
const LOOK_AGAIN: Duration = Duration::from_millis(10);

/// The lock on a database. Dropping it lets go.
#[derive(Debug)]
#[must_use = "the lock is let go as soon as this is dropped"]
pub struct Lock {
    _file: File,
}

/// Why there is no lock.
#[derive(Debug, thiserror::Error)]
pub enum Locked {
    /// Another daemon has the database.
    #[error("another hephd{} has {} open", pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(), db.display())]
    Taken {
        /// The database.
        db: PathBuf,
        /// Which process, where its lock file says so.
        pid: Option<u32>,
    },
    /// The lock file, or its directory, cannot be made.
    #[error("cannot make {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Locked {
    /// Returns what to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Taken { pid: Some(pid), .. } => format!("use that one, or stop it first: kill {pid}"),
            Self::Taken { pid: None, .. } => "use that one, or stop it first".to_owned(),
            Self::Io { .. } => "may you write there? --db PATH names another place".to_owned(),
        }
    }
}

impl Lock {
    /// Takes the lock on the database at `db`, which need not be there yet; its directory is made (for its owner
    /// only) if it is not there.
    ///
    /// # Errors
    /// If another process has it and does not let go within [`LEAVES_WITHIN`], or the file cannot be made.
    pub fn take(db: &Path) -> Result<Self, Locked> {
        Self::take_within(db, LEAVES_WITHIN)
    }

    fn take_within(db: &Path, patience: Duration) -> Result<Self, Locked> {
        let path = lock_path(db)?;
        let failed = |source| Locked::Io { path: path.clone(), source };
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = options.map_err(failed)?;
        match lock_within(&file, patience) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Err(Locked::Taken { db: db.to_owned(), pid: read_pid(&mut file) }),
            Err(errno) => return Err(failed(errno.into())),
        }
        file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// Locks a file for this process alone, as soon as nobody else has it locked.
///
/// # Errors
/// `WOULDBLOCK` if somebody has for as long as `patience`.
pub fn lock_within(file: &File, patience: Duration) -> Result<(), Errno> {
    let begun = Instant::now();
    loop {
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if begun.elapsed() < patience => thread::sleep(LOOK_AGAIN),
            outcome => return outcome,
        }
    }
}

/// The lock file of the database that `db` leads to, so that all names of one file share it, also before it is there.
fn lock_path(db: &Path) -> Result<PathBuf, Locked> {
    let dir = match db.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| Locked::Io { path, source }
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed(dir))?;
    let real = match db.canonicalize() {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Ok(target) = db.read_link() {
                return lock_path(&dir.join(target)); // It ends: links in a circle are another error.
            }
            let name = db.file_name().ok_or_else(|| failed(db)(io::ErrorKind::InvalidFilename.into()))?;
            dir.canonicalize().map_err(failed(dir))?.join(name)
        }
        Err(error) => return Err(failed(db)(error)),
    };
    let mut name = real.into_os_string();
    name.push(".lock");
    Ok(name.into())
}

/// Who has the lock; `None` if it has not written that yet.
fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_second_lock_is_refused_and_names_the_holder_until_the_first_is_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("new/heph.db");
        let first = Lock::take(&db).unwrap();
        let refused = Lock::take_within(&db, Duration::ZERO).unwrap_err();
        let words = format!("another hephd (pid {}) has {} open", std::process::id(), db.display());
        assert_eq!(refused.to_string(), words);
        drop(first);
        drop(Lock::take(&db).unwrap());
    }

    #[test]
    fn two_names_of_one_file_share_the_lock() {
        let dir = tempfile::tempdir().unwrap();
        let (db, alias) = (dir.path().join("heph.db"), dir.path().join("alias.db"));
        std::fs::write(&db, "").unwrap();
        std::os::unix::fs::symlink(&db, &alias).unwrap();
        let _lock = Lock::take(&db).unwrap();
        assert!(matches!(Lock::take_within(&alias, Duration::ZERO), Err(Locked::Taken { .. })));
    }

    #[test]
    fn two_names_share_the_lock_also_where_the_file_is_made_in_between() {
        let dir = tempfile::tempdir().unwrap();
        let (db, alias) = (dir.path().join("data/heph.db"), dir.path().join("alias.db"));
        std::os::unix::fs::symlink("over.db", &alias).unwrap();
        std::os::unix::fs::symlink("data/heph.db", dir.path().join("over.db")).unwrap();
        let _lock = Lock::take(&alias).unwrap();
        for _ in ["not there", "there"] {
            for name in [&alias, &db] {
                assert!(matches!(Lock::take_within(name, Duration::ZERO), Err(Locked::Taken { .. })));
            }
            std::fs::write(&alias, "").unwrap();
        }
        assert!(db.exists());
    }

    #[test]
    fn links_in_a_circle_are_no_database() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["a.db", "b.db"].map(|name| dir.path().join(name));
        std::os::unix::fs::symlink("b.db", &names[0]).unwrap();
        std::os::unix::fs::symlink("a.db", &names[1]).unwrap();
        assert!(matches!(Lock::take(&names[0]), Err(Locked::Io { .. })));
    }

    #[test]
    fn a_holder_that_goes_away_is_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        let db = dir.path().join("heph.db");
        let first = Lock::take(&db).unwrap();
        let second = std::thread::spawn(move || Lock::take(&db).map(drop));
        drop(first);
        second.join().unwrap().unwrap();
    }

    #[test]
    fn a_place_where_nothing_can_be_made_is_said() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(matches!(Lock::take(&dir.path().join("file/heph.db")), Err(Locked::Io { .. })));
    }
}
