//! Real files that stand for simulated ones. The store makes, renames and removes files by itself, beside SQLite; so the
//! file that it made receives a mark that says for which simulated file it stands, and that one follows it.

use super::directory::FileId;
use super::state::State;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What the mark begins with.
const MARK: &str = "heph-sim stands for ";
/// How long a mark is.
const MARK_BYTES: u64 = MARK.len() as u64 + 20;
/// What belongs to a database, by the end of its name.
const BESIDE: [&str; 3] = ["-wal", "-shm", "-journal"];

/// Reads the mark of a real file: `None` if there is no file, `Some(None)` if it has no mark.
fn read(path: &Path) -> Option<Option<FileId>> {
    let found = std::fs::metadata(path).ok()?;
    if !found.is_file() || found.len() != MARK_BYTES {
        return Some(None);
    }
    let text = std::fs::read_to_string(path).ok();
    Some(text.and_then(|text| text.strip_prefix(MARK)?.trim_start().parse().ok()))
}

/// Before a database is opened: whatever happened to the real file of this name happens to the simulated one.
pub fn before_open(root: &Path, path: &Path, state: &mut State) {
    let file = state.directory.get(path);
    let marked = file.and_then(|file| state.find(file)).is_some_and(|node| node.marked);
    let as_expected = match read(&root.join(path)) {
        None => !marked,
        Some(None) => file.is_some() && !marked,
        Some(Some(mark)) => file == Some(mark),
    };
    if !as_expected {
        follow(root, state);
    }
}

/// After a database was opened: the real file of this name, if it is an empty one, stands for it.
pub fn after_open(root: &Path, path: &Path, file: FileId, state: &mut State) {
    let path = root.join(path);
    if std::fs::metadata(&path).is_ok_and(|found| found.is_file() && found.len() == 0)
        && let Some(node) = state.find(file)
    {
        // A file that cannot be marked stands for nothing.
        node.marked = std::fs::write(&path, format!("{MARK}{file:>20}")).is_ok();
    }
}

/// Renames and removes what was renamed and removed in the real file system.
pub fn follow(root: &Path, state: &mut State) {
    let names: Vec<(PathBuf, FileId)> = state.directory.now().map(|(path, file)| (path.to_owned(), file)).collect();
    let marked: Vec<_> =
        names.into_iter().filter(|(_, file)| state.find(*file).is_some_and(|node| node.marked)).collect();
    if marked.iter().all(|(path, file)| read(&root.join(path)) == Some(Some(*file))) {
        return;
    }
    let mut real = BTreeMap::new();
    look(root, root, &mut real);
    for (path, file) in &marked {
        if real.get(path) == Some(file) {
            continue;
        }
        // Renamed first, so that the file has a name all the time. Whoever renames a file syncs it and its folder, which
        // is not seen here.
        for (to, _) in real.iter().filter(|(_, found)| *found == file) {
            state.rename(to, Some(*file));
            if let Some(node) = state.find(*file) {
                node.file.sync();
            }
            to.parent().map(|folder| state.directory.sync_folder(folder));
        }
        if state.directory.get(path) == Some(*file) {
            state.rename(path, None);
            for end in BESIDE {
                let mut beside = path.clone().into_os_string();
                beside.push(end);
                state.rename(Path::new(&beside), None);
            }
        }
    }
}

fn look(root: &Path, folder: &Path, found: &mut BTreeMap<PathBuf, FileId>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            look(root, &path, found);
        } else if let (Some(Some(file)), Ok(below)) = (read(&path), path.strip_prefix(root)) {
            found.insert(below.to_owned(), file);
        }
    }
}

/// What is put there or taken away from outside has no real file any more.
pub fn forget(root: &Path, path: &Path) {
    let path = root.join(path);
    if let Some(Some(_)) = read(&path) {
        // It is there no longer if this fails.
        drop(std::fs::remove_file(path));
    }
}
