//! The local socket: its directory and modes, who may connect, and whose it is. A stale socket is recovered under a
//! lock, a live one is never stolen, and at the end it is removed only if it is still the one that was made here.
//!
//! What is said over it is not known here.

use crate::http::Accept;
use crate::lock::{LEAVES_WITHIN, lock_within};
use rustix::io::Errno;
use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::net::{UnixListener, UnixStream};

/// Others may write there.
const OTHERS_WRITE: u32 = 0o022;
/// What others make there, only they can remove or rename.
const STICKY: u32 = 0o1000;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// A daemon answers there, or is about to.
    #[error("a heph daemon already answers at {}", .0.display())]
    Taken(PathBuf),
    /// Something that does not take the lock answers there.
    #[error("another program answers at {}", .0.display())]
    Foreign(PathBuf),
    /// Something else has that name.
    #[error("{} is there and is not a socket; nothing was changed", .0.display())]
    NotASocket(PathBuf),
    /// Others could put their own socket in its place.
    #[error("others can write in {}, where the socket would be", .0.display())]
    OpenDirectory(PathBuf),
    /// The system refused.
    #[error("cannot make the socket {}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl SocketError {
    /// Returns what to do next.
    pub fn hint(&self) -> String {
        match self {
            Self::Taken(_) => {
                "use that one (`heph version` says which), or give another path: --socket PATH".to_owned()
            }
            Self::Foreign(_) | Self::NotASocket(_) | Self::Io { .. } => {
                "give another path: --socket PATH, or HEPH_SOCKET".to_owned()
            }
            Self::OpenDirectory(dir) => {
                format!("close it, `chmod go-w {}`, or give another path: --socket PATH", dir.display())
            }
        }
    }
}

/// The socket, listening. Dropping it removes it.
#[derive(Debug)]
pub struct LocalSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode, to know it again.
    made: (u64, u64),
    _lock: File,
}

impl LocalSocket {
    /// Makes the socket at `path`, in a directory of its owner's own, and listens. A socket there that nobody listens
    /// on is replaced; a daemon of ours that is about to end is waited for.
    ///
    /// # Errors
    /// If somebody listens there, or it cannot be made.
    pub fn bind(path: &Path) -> Result<Self, SocketError> {
        Self::bind_within(path, LEAVES_WITHIN)
    }

    fn bind_within(path: &Path, patience: Duration) -> Result<Self, SocketError> {
        let failed = |source| SocketError::Io { path: path.to_owned(), source };
        prepare_directory(path)?;
        let lock = lock(path, patience)?;
        clear(path)?;
        let listener = UnixListener::bind(path).map_err(failed)?;
        fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(failed)?;
        let made = identity(path).map_err(failed)?;
        Ok(Self { listener, path: path.to_owned(), made, _lock: lock })
    }

    /// Whether whoever connected is this user, or root.
    fn admits(stream: &UnixStream) -> io::Result<bool> {
        let peer = stream.peer_cred()?.uid();
        Ok(peer == 0 || peer == rustix::process::geteuid().as_raw())
    }
}

impl Accept for LocalSocket {
    type Io = UnixStream;

    async fn accept(&self) -> io::Result<UnixStream> {
        loop {
            let (stream, _) = self.listener.accept().await?;
            if Self::admits(&stream)? {
                return Ok(stream);
            }
            tracing::warn!("a connection of another user was refused");
        }
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|found| found == self.made)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "the socket cannot be removed");
        }
    }
}

/// Makes the directory, for its owner only; one that is there must not let others put a socket in place of this one.
fn prepare_directory(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed)?;
    let mode = fs::metadata(dir).map_err(failed)?.mode();
    let is_open = mode & OTHERS_WRITE != 0 && mode & STICKY == 0;
    if is_open { Err(SocketError::OpenDirectory(dir.to_owned())) } else { Ok(()) }
}

/// Takes the lock of this socket's path. It is let go when the process ends, however it ends; the file stays.
fn lock(path: &Path, patience: Duration) -> Result<File, SocketError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let failed = |source| SocketError::Io { path: PathBuf::from(&name), source };
    let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&name);
    let file = options.map_err(failed)?;
    match lock_within(&file, patience) {
        Ok(()) => Ok(file),
        Err(Errno::WOULDBLOCK) => Err(SocketError::Taken(path.to_owned())),
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Removes a stale socket. The lock is held, so no daemon of ours is about to listen on it.
fn clear(path: &Path) -> Result<(), SocketError> {
    let failed = |source| SocketError::Io { path: path.to_owned(), source };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => return Err(SocketError::NotASocket(path.to_owned())),
        Ok(_) => {}
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path).map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(failed(error)),
        Ok(_) => Err(SocketError::Foreign(path.to_owned())),
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[tokio::test]
    async fn it_is_its_owners_alone_and_gone_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heph/heph.sock");
        let socket = LocalSocket::bind(&path).unwrap();
        assert_eq!((mode(path.parent().unwrap()), mode(&path)), (0o700, 0o600));
        let (client, server) = tokio::join!(UnixStream::connect(&path), socket.accept());
        assert!(client.is_ok() && server.is_ok());
        drop(socket);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_live_one_is_never_stolen_and_a_stale_one_is_recovered() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heph.sock");
        let socket = LocalSocket::bind(&path).unwrap();
        assert!(matches!(LocalSocket::bind_within(&path, Duration::ZERO), Err(SocketError::Taken(_))));
        drop(socket);
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "stale");
        drop(LocalSocket::bind(&path).unwrap());
        let foreign = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert!(matches!(LocalSocket::bind(&path), Err(SocketError::Foreign(_))));
        drop(foreign);
    }

    #[tokio::test]
    async fn what_is_not_a_socket_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notes.txt");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(LocalSocket::bind(&path), Err(SocketError::NotASocket(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn one_that_took_its_place_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("heph.sock");
        let socket = LocalSocket::bind(&path).unwrap();
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        let _other = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_directory_that_others_can_write_in_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let open = dir.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
        assert!(matches!(LocalSocket::bind(&open.join("s")), Err(SocketError::OpenDirectory(_))));
        fs::set_permissions(&open, Permissions::from_mode(0o1777)).unwrap();
        drop(LocalSocket::bind(&open.join("s")).unwrap());
    }
}
