//! Whether a daemon is about to listen where nobody does: one that starts, or one that still has to make room for it.
//!
//! A daemon holds a lock on its database, and one on its socket, from its first moment to its last: `flock` on the
//! path with `.lock` behind it. Nothing is made here, and a lock that is looked at is let go at once.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::socket::{db_path, socket_path};

/// How often a daemon is looked for that may have been started this very moment and has no lock yet. Looks, not time:
/// on a busy machine both it and whoever looks take longer.
const LOOKS_BEFORE_THE_FIRST_LOCK: u32 = 9;
/// How many times as often on the busiest machine.
const BUSY_MAX: u32 = 8;
/// How long a daemon may take to listen, or to be gone, as long as a lock is held.
const TO_THE_SOCKET: Duration = Duration::from_secs(3);

/// What goes on at a socket where nobody listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing to be seen: nobody is there, or somebody was started this very moment.
    None,
    /// A daemon holds its lock, so that it starts or stops.
    UnderWay,
}

impl Change {
    /// Looks at what goes on at `socket`: at its lock, and at that of the database behind it, as far as the environment
    /// says which one that is; it is held first and last.
    pub fn of(socket: &Path) -> Self {
        match is_locked(socket) || db_behind(socket).is_some_and(|db| is_locked(&db)) {
            true => Self::UnderWay,
            false => Self::None,
        }
    }

    /// Returns whether somebody may listen soon, after so many looks and so much time.
    pub fn is_worth_another_look(self, looks: u32, waited: Duration) -> bool {
        match self {
            Self::None => looks < LOOKS_BEFORE_THE_FIRST_LOCK * busy(),
            Self::UnderWay => waited < TO_THE_SOCKET,
        }
    }
}

/// The database that `HEPH_DB` names, or the usual one where the socket is the usual one.
fn db_behind(socket: &Path) -> Option<PathBuf> {
    let asked = std::env::var_os("HEPH_DB").map(PathBuf::from);
    let is_usual = || socket_path(None).is_ok_and(|usual| usual == socket);
    (asked.is_some() || is_usual()).then(|| db_path(asked.as_deref()).ok()).flatten()
}

/// Returns how many programs want to run for each processor, as far as the system says so; at least one.
fn busy() -> u32 {
    let processors = std::thread::available_parallelism().map_or(1, |number| u32::try_from(number.get()).unwrap_or(1));
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let running = load.split([' ', '/']).nth(3).and_then(|number| number.parse::<u32>().ok());
    running.map_or(1, |running| running.div_ceil(processors)).clamp(1, BUSY_MAX)
}

/// Returns whether somebody holds the lock that belongs to a path. What cannot be looked at is not held.
fn is_locked(path: &Path) -> bool {
    let mut lock = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).into_os_string();
    lock.push(".lock");
    File::open(lock).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn a_lock_that_is_held_means_that_a_daemon_comes_or_goes() {
        let dir = TempDir::new().unwrap();
        let socket = dir.path().join("heph.sock");
        assert_eq!(Change::of(&socket), Change::None);
        let lock = File::create(dir.path().join("heph.sock.lock")).unwrap();
        assert_eq!(Change::of(&socket), Change::None, "left behind");
        lock.lock().unwrap();
        assert_eq!(Change::of(&socket), Change::UnderWay);
        lock.unlock().unwrap();
        assert_eq!(Change::of(&socket), Change::None);
        assert!(lock.try_lock().is_ok(), "looking at it leaves nothing");
    }

    #[test]
    fn nobody_is_waited_for_for_ever() {
        assert!(Change::None.is_worth_another_look(1, Duration::ZERO));
        assert!(!Change::None.is_worth_another_look(LOOKS_BEFORE_THE_FIRST_LOCK * BUSY_MAX, Duration::ZERO));
        assert!(Change::UnderWay.is_worth_another_look(100, Duration::from_secs(2)));
        assert!(!Change::UnderWay.is_worth_another_look(100, TO_THE_SOCKET));
    }
}
