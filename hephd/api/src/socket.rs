//! The one rule for where the socket and the database are, shared by the daemon and every client.
//!
//! The socket: what was asked for (`--socket`, `HEPH_SOCKET`), else `$XDG_RUNTIME_DIR/heph/heph.sock`, else
//! `~/.local/state/heph/heph.sock`. The database: what was asked for (`--db`, `HEPH_DB`), else
//! `$XDG_DATA_HOME/heph/heph.db`, else `~/.local/share/heph/heph.db`. As the XDG rules want it, a variable
//! that does not hold an absolute path counts as not set.
//!
//! Nothing is created here, and nothing is looked at but the environment.

use std::{
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

/// The longest path of a unix socket, in bytes: `sun_path` has 108, one of them for the final zero.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;

/// Why there is no path for the socket or the database.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Neither asked for nor derivable.
    #[error("there is no home directory, so there is no place for {0}")]
    NoHome(&'static str),
    /// The kernel takes no longer one.
    #[error("the socket path is {length} bytes long, and {SOCKET_PATH_BYTES_MAX} is the most there can be: {path}")]
    TooLong {
        /// The path.
        path: String,
        /// Its length in bytes.
        length: usize,
    },
    /// An empty path was asked for.
    #[error("the path of {0} is empty")]
    Empty(&'static str),
}

impl PlaceError {
    /// Returns what to do next.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoHome(_) => "set HOME, or give the path: --socket (HEPH_SOCKET), --db (HEPH_DB)",
            Self::TooLong { .. } => "give a shorter one: --socket /tmp/heph.sock, or HEPH_SOCKET",
            Self::Empty(_) => "leave the option and its variable out to use the usual place",
        }
    }
}

/// Returns the path of the socket; `asked` is what `--socket` or `HEPH_SOCKET` said.
///
/// # Errors
/// If there is no home to derive it from, or the path is empty or too long for a socket.
pub fn socket_path(asked: Option<&Path>) -> Result<PathBuf, PlaceError> {
    Places::from_environment().socket(asked)
}

/// Returns the path of the database; `asked` is what `--db` or `HEPH_DB` said.
///
/// # Errors
/// If there is no home to derive it from, or the path is empty.
pub fn db_path(asked: Option<&Path>) -> Result<PathBuf, PlaceError> {
    Places::from_environment().db(asked)
}

/// Returns the directory for what a surface must not lose, such as an edited text that could not be saved:
/// `$XDG_STATE_HOME/heph`, else `~/.local/state/heph`.
///
/// # Errors
/// If there is no home to derive it from.
pub fn state_dir() -> Result<PathBuf, PlaceError> {
    Places::from_environment().state()
}

/// What the rule depends on.
struct Places {
    runtime_dir: Option<PathBuf>,
    state_home: Option<PathBuf>,
    data_home: Option<PathBuf>,
}

impl Places {
    fn from_environment() -> Self {
        let home = etcetera::home_dir().ok().filter(|home| home.is_absolute());
        let under_home = |variable, rest| absolute(variable).or_else(|| Some(home.as_ref()?.join(rest)));
        Self {
            runtime_dir: absolute("XDG_RUNTIME_DIR"),
            state_home: under_home("XDG_STATE_HOME", ".local/state"),
            data_home: under_home("XDG_DATA_HOME", ".local/share"),
        }
    }

    fn socket(&self, asked: Option<&Path>) -> Result<PathBuf, PlaceError> {
        let base = self.runtime_dir.as_ref().or(self.state_home.as_ref());
        let path = choose(asked, base, "heph/heph.sock", "the socket")?;
        match path.as_os_str().as_bytes().len() {
            length if length > SOCKET_PATH_BYTES_MAX => {
                Err(PlaceError::TooLong { path: path.display().to_string(), length })
            }
            _ => Ok(path),
        }
    }

    fn state(&self) -> Result<PathBuf, PlaceError> {
        choose(None, self.state_home.as_ref(), "heph", "the state of heph")
    }

    fn db(&self, asked: Option<&Path>) -> Result<PathBuf, PlaceError> {
        choose(asked, self.data_home.as_ref(), "heph/heph.db", "the database")
    }
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}

fn choose(asked: Option<&Path>, base: Option<&PathBuf>, rest: &str, what: &'static str) -> Result<PathBuf, PlaceError> {
    match asked {
        Some(path) if path.as_os_str().is_empty() => Err(PlaceError::Empty(what)),
        Some(path) => Ok(path.to_owned()),
        None => base.map(|base| base.join(rest)).ok_or(PlaceError::NoHome(what)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        Places {
            runtime_dir: Some("/run/user/7".into()),
            state_home: Some("/home/ada/.local/state".into()),
            data_home: Some("/home/ada/.local/share".into()),
        }
    }

    #[test]
    fn what_was_asked_for_comes_first_then_the_runtime_directory_then_home() {
        let asked = Path::new("/tmp/x.sock");
        assert_eq!(places().socket(Some(asked)).unwrap(), asked);
        assert_eq!(places().socket(None).unwrap(), Path::new("/run/user/7/heph/heph.sock"));
        let no_runtime = Places { runtime_dir: None, ..places() };
        assert_eq!(no_runtime.socket(None).unwrap(), Path::new("/home/ada/.local/state/heph/heph.sock"));
        assert_eq!(places().db(None).unwrap(), Path::new("/home/ada/.local/share/heph/heph.db"));
    }

    #[test]
    fn no_home_and_too_long_and_empty_say_so() {
        let nowhere = Places { runtime_dir: None, state_home: None, data_home: None };
        assert_eq!(nowhere.socket(None), Err(PlaceError::NoHome("the socket")));
        assert_eq!(nowhere.db(None), Err(PlaceError::NoHome("the database")));
        assert_eq!(places().db(Some(Path::new(""))), Err(PlaceError::Empty("the database")));
        let just_fits = format!("/{}", "s".repeat(106));
        assert!(places().socket(Some(Path::new(&just_fits))).is_ok());
        let long = format!("/{}", "s".repeat(107));
        let error = places().socket(Some(Path::new(&long))).unwrap_err();
        assert_eq!(error, PlaceError::TooLong { path: long, length: 108 });
    }
}
