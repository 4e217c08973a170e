//! Files of an export: written beside and renamed, never over anything else, never through a symbolic link.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::spoke::refusal::Refusal;

/// What became of one file.
#[derive(Debug, PartialEq, Eq)]
pub enum Put {
    /// It was written.
    Written,
    /// It was there, byte for byte.
    Unchanged,
    /// It was not written, because of what stands there.
    InTheWay(&'static str),
}

const OTHER_CONTENT: &str = "a file with other content is there; export into another directory, or take it away";
const NO_FILE: &str = "something that is not a file is there";
const NO_FOLDER: &str = "something that is not a folder is in the way to it";

/// Makes the directory of an export, if it is missing.
pub fn make_root(dir: &Path) -> Result<(), Refusal> {
    fs::create_dir_all(dir).map_err(|source| Refusal::file("make", dir, &source))
}

/// Writes a file below `dir`, unless something is there.
pub fn put(dir: &Path, path: &Path, content: &[u8]) -> io::Result<Put> {
    let target = dir.join(path);
    if !make_folders(dir, path)? {
        return Ok(Put::InTheWay(NO_FOLDER));
    }
    if let Some(there) = what_is_there(&target, |file| same(file, content))? {
        return Ok(there);
    }
    let beside = Beside::new(target.parent().unwrap_or(dir));
    beside.create()?.write_all(content)?;
    beside.rename(&target)
}

/// Makes the folders on the way to a file. `false` if something else stands there, or a link that leads elsewhere.
fn make_folders(dir: &Path, path: &Path) -> io::Result<bool> {
    let mut folder = dir.to_owned();
    for part in path.parent().into_iter().flat_map(Path::iter) {
        folder.push(part);
        match fs::symlink_metadata(&folder) {
            Ok(there) if there.is_dir() => {}
            Ok(_) => return Ok(false),
            Err(error) if error.kind() == ErrorKind::NotFound => fs::create_dir(&folder)?,
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// What stands where a file is to be written; `None` if nothing does.
fn what_is_there(target: &Path, is_same: impl FnOnce(File) -> io::Result<bool>) -> io::Result<Option<Put>> {
    match fs::symlink_metadata(target) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(there) if !there.is_file() => Ok(Some(Put::InTheWay(NO_FILE))),
        Ok(_) => {
            let same = is_same(File::open(target)?)?;
            Ok(Some(if same { Put::Unchanged } else { Put::InTheWay(OTHER_CONTENT) }))
        }
    }
}

fn same(mut file: File, content: &[u8]) -> io::Result<bool> {
    if file.metadata()?.len() != content.len() as u64 {
        return Ok(false);
    }
    let mut there = Vec::with_capacity(content.len());
    file.read_to_end(&mut there)?;
    Ok(there == content)
}

/// A file that has no name of its own yet; it is gone unless it was given one.
#[derive(Debug)]
struct Beside(PathBuf);

impl Beside {
    fn new(folder: &Path) -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        Self(folder.join(format!(".heph-export-{}-{number}", std::process::id())))
    }

    fn create(&self) -> io::Result<File> {
        File::options().write(true).create_new(true).open(&self.0)
    }

    fn rename(self, target: &Path) -> io::Result<Put> {
        fs::rename(&self.0, target)?;
        Ok(Put::Written)
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, path = %self.0.display(), "an unfinished file of an export could not be removed");
            }
            _ => {}
        }
    }
}

/// A file that is written piece by piece.
#[derive(Debug, Default)]
pub struct Lines {
    open: Option<(BufWriter<File>, Beside)>,
}

impl Lines {
    /// Adds to the end.
    pub fn add(mut self, dir: &Path, lines: &[u8]) -> io::Result<Self> {
        let (mut file, beside) = match self.open.take() {
            Some(open) => open,
            None => {
                let beside = Beside::new(dir);
                (BufWriter::new(beside.create()?), beside)
            }
        };
        file.write_all(lines)?;
        Ok(Self { open: Some((file, beside)) })
    }

    /// Gives the file its name; `None` if nothing was added.
    pub fn finish(self, dir: &Path, path: &Path) -> Option<io::Result<Put>> {
        self.open.map(|(file, beside)| finish(file, beside, &dir.join(path)))
    }
}

fn finish(mut file: BufWriter<File>, beside: Beside, target: &Path) -> io::Result<Put> {
    file.flush()?;
    drop(file);
    let written = File::open(&beside.0)?;
    match what_is_there(target, |there| same_files(there, written))? {
        Some(there) => Ok(there),
        None => beside.rename(target),
    }
}

fn same_files(one: File, other: File) -> io::Result<bool> {
    if one.metadata()?.len() != other.metadata()?.len() {
        return Ok(false);
    }
    let (mut one, mut other) = (io::BufReader::new(one).bytes(), io::BufReader::new(other).bytes());
    loop {
        match (one.next().transpose()?, other.next().transpose()?) {
            (None, None) => return Ok(true),
            (a, b) if a != b => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_file_is_written_once_and_never_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let put = |content: &[u8]| put(dir.path(), Path::new("a/b.md"), content).unwrap();
        assert_eq!(put(b"one"), Put::Written);
        assert_eq!(put(b"one"), Put::Unchanged);
        assert_eq!(put(b"two"), Put::InTheWay(OTHER_CONTENT));
        assert_eq!(fs::read(dir.path().join("a/b.md")).unwrap(), b"one");
        assert_eq!(fs::read_dir(dir.path().join("a")).unwrap().count(), 1);
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        symlink(elsewhere.path(), dir.path().join("a")).unwrap();
        symlink(elsewhere.path().join("x"), dir.path().join("b.md")).unwrap();
        assert_eq!(put(dir.path(), Path::new("a/b.md"), b"x").unwrap(), Put::InTheWay(NO_FOLDER));
        assert_eq!(put(dir.path(), Path::new("b.md"), b"x").unwrap(), Put::InTheWay(NO_FILE));
        assert_eq!(fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn lines_are_one_file() {
        let dir = tempfile::tempdir().unwrap();
        let lines = || Lines::default().add(dir.path(), b"1\n").unwrap().add(dir.path(), b"2\n").unwrap();
        let target = Path::new("tasks.jsonl");
        assert_eq!(lines().finish(dir.path(), target).unwrap().unwrap(), Put::Written);
        assert_eq!(lines().finish(dir.path(), target).unwrap().unwrap(), Put::Unchanged);
        let more = lines().add(dir.path(), b"3\n").unwrap();
        assert_eq!(more.finish(dir.path(), target).unwrap().unwrap(), Put::InTheWay(OTHER_CONTENT));
        assert_eq!(fs::read(dir.path().join(target)).unwrap(), b"1\n2\n");
        assert!(Lines::default().finish(dir.path(), target).is_none());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
