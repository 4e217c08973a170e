//! A copy of all files of a disk.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// All files of a disk at one moment, by their paths below its root. Clones share the bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image(pub(super) BTreeMap<PathBuf, Arc<Vec<u8>>>);

impl Image {
    /// The files and what is in them, in the order of their paths.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.0.iter().map(|(path, bytes)| (path.as_path(), bytes.as_slice()))
    }

    /// What is in a file.
    pub fn read(&self, path: &Path) -> Option<&[u8]> {
        self.0.get(path).map(|bytes| bytes.as_slice())
    }

    /// Puts a file in, in place of one of the same path.
    pub fn put(&mut self, path: &Path, bytes: Vec<u8>) {
        self.0.insert(path.to_owned(), Arc::new(bytes));
    }

    /// Takes a file out.
    pub fn remove(&mut self, path: &Path) {
        self.0.remove(path);
    }
}
