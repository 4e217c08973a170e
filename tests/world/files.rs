//! Files of a replica, copied and put back as a person does it with a stopped machine; trees of files, compared.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

/// Copies what a daemon keeps in `from` into the directory `to`: no socket, no lock, no log, no directory.
pub fn copy_kept(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if is_kept(&entry) {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Removes what a daemon keeps in `dir`.
pub fn remove_kept(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        if is_kept(&entry) {
            fs::remove_file(entry.path()).unwrap();
        }
    }
}

fn is_kept(entry: &fs::DirEntry) -> bool {
    let name = entry.file_name();
    let beside = [".lock", ".sock", ".log"].iter().any(|end| name.as_bytes().ends_with(end.as_bytes()));
    entry.file_type().unwrap().is_file() && !beside
}

/// Writes files into `dir`, making directories; a name is raw bytes.
pub fn write_tree(dir: &Path, files: &[(&[u8], &[u8])]) {
    for (name, bytes) in files {
        let path = dir.join(OsString::from_vec(name.to_vec()));
        fs::create_dir_all(path.parent().expect("a file lies in a directory")).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// Returns every file below `dir` that `wanted` says yes to, by its path inside.
pub fn read_tree(dir: &Path, wanted: &dyn Fn(&Path) -> bool) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(at) = dirs.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let inside = path.strip_prefix(dir).expect("it was found below").to_owned();
            if path.is_dir() {
                dirs.push(path);
            } else if wanted(&inside) {
                found.insert(inside, fs::read(path).unwrap());
            }
        }
    }
    found
}
