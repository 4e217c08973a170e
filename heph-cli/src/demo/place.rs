//! The directories of the demonstration: one per machine, and the vault to import.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use crate::{failure::Failure, surface::absolute};

/// The directory that holds everything.
pub struct Place {
    root: PathBuf,
    hephd: OsString,
    heph: PathBuf,
    _removed_at_the_end: Option<TempDir>,
}

impl Place {
    /// Makes the directories: in `dir`, which must be new or empty, or in a temporary one.
    pub fn make(dir: Option<PathBuf>) -> Result<Self, Failure> {
        let temporary = match &dir {
            Some(_) => None,
            None => Some(TempDir::with_prefix("heph-demo-").map_err(Failure::file("make", &std::env::temp_dir()))?),
        };
        let root = match (&dir, &temporary) {
            (_, Some(temporary)) => temporary.path().to_owned(),
            (dir, None) => absolute(dir.as_deref().unwrap_or(Path::new(".")))?,
        };
        must_be_new(&root)?;
        for machine in ["hub", "laptop", "phone", "vault"] {
            let dir = root.join(machine);
            fs::create_dir_all(&dir).map_err(Failure::file("make", &dir))?;
        }
        let heph = std::env::current_exe().map_err(Failure::file("find", Path::new("heph")))?;
        let beside = heph.with_file_name("hephd");
        let hephd = if beside.is_file() { beside.into_os_string() } else { "hephd".into() };
        Ok(Self { root, hephd, heph, _removed_at_the_end: temporary })
    }

    /// Returns the directory that every command runs in.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the daemon: the one beside this program, else the one that the shell would find.
    pub fn hephd(&self) -> &OsString {
        &self.hephd
    }

    /// Returns this program.
    pub fn heph(&self) -> &Path {
        &self.heph
    }

    /// Writes the files of the vault.
    pub fn write_vault(&self, files: &[(&str, &[u8])]) -> Result<(), Failure> {
        let vault = self.root.join("vault");
        for (name, bytes) in files {
            let path = vault.join(name);
            let dir = path.parent().unwrap_or(&vault);
            fs::create_dir_all(dir).map_err(Failure::file("make", dir))?;
            fs::write(&path, bytes).map_err(Failure::file("write", &path))?;
        }
        Ok(())
    }
}

fn must_be_new(root: &Path) -> Result<(), Failure> {
    let used = match fs::read_dir(root) {
        Ok(mut entries) => entries.next().is_some(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => false,
        Err(error) => return Err(Failure::file("look into", root)(error)),
    };
    match used {
        true => Err(Failure::here_with_hint(
            "bad_request",
            format!("{} is not empty", root.display()),
            "give a new directory: --dir DIR",
        )),
        false => Ok(()),
    }
}
