//! The files of a vault: which are notes, and why the others are not. Nothing is followed out of the directory.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use heph_api::types::{LeftOut, PathText};
use heph_store::id::NodeId;
use heph_store::natural;

use crate::spoke::refusal::Refusal;

/// The longest note that is imported, in bytes.
pub const NOTE_BYTES_MAX: u64 = 12 * 1024 * 1024;

/// What a vault's directory holds.
#[derive(Debug, Default)]
pub struct Found {
    /// The notes, relative to the vault, in the order of their bytes.
    pub notes: Vec<PathBuf>,
    /// Everything else that is not hidden, each with the reason.
    pub left_out: Vec<LeftOut>,
}

/// Finds the notes of the vault at `root`.
pub fn walk(root: &Path) -> Result<Found, Refusal> {
    let entries = fs::read_dir(root).map_err(|source| Refusal::file("read", root, &source))?;
    let mut found = Found::default();
    let mut open = vec![(PathBuf::new(), entries)];
    while let Some((folder, entries)) = open.pop() {
        for entry in entries {
            match entry.and_then(|entry| look(&folder, &entry)) {
                Err(error) => found.leave_out(&folder, format!("cannot be read: {error}")),
                Ok((path, Kind::Note)) => found.notes.push(path),
                Ok((path, Kind::Other(why))) => found.leave_out(&path, why),
                Ok((_, Kind::HiddenFolder)) => {}
                Ok((path, Kind::Folder)) => match fs::read_dir(root.join(&path)) {
                    Ok(entries) => open.push((path, entries)),
                    Err(error) => found.leave_out(&path, format!("cannot be read: {error}")),
                },
            }
        }
    }
    found.notes.sort_unstable_by(|a, b| bytes(a).cmp(bytes(b)));
    found.left_out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

impl Found {
    fn leave_out(&mut self, path: &Path, why: impl Into<String>) {
        self.left_out.push(LeftOut { name: PathText(path.to_owned()), why: why.into() });
    }
}

/// What stands in a directory.
enum Kind {
    Note,
    Folder,
    /// Settings, the version history, the trash of Obsidian.
    HiddenFolder,
    Other(&'static str),
}

fn look(folder: &Path, entry: &fs::DirEntry) -> io::Result<(PathBuf, Kind)> {
    let name = entry.file_name();
    let kind = entry.file_type()?;
    let is_hidden = name.as_bytes().starts_with(b".");
    let kind = match () {
        () if kind.is_symlink() => Kind::Other("a symbolic link, which is not followed"),
        () if kind.is_dir() && is_hidden => Kind::HiddenFolder,
        () if kind.is_dir() => Kind::Folder,
        () if !kind.is_file() => Kind::Other("neither a file nor a folder"),
        () if is_hidden => Kind::Other("a hidden file"),
        () if is_markdown(&name) => Kind::Note,
        () => Kind::Other("an attachment; only notes (.md) are imported"),
    };
    Ok((folder.join(name), kind))
}

fn is_markdown(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name.len() > 3 && name[name.len() - 3..].eq_ignore_ascii_case(b".md")
}

/// The path's bytes, with `/` between folders.
pub fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

/// The title of a note: its file's name without `.md`; what is not UTF-8 in it is shown as `�`.
pub fn title(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().as_bytes();
    String::from_utf8_lossy(&name[..name.len().saturating_sub(3)]).into_owned()
}

/// Returns the ids of the notes at these paths: where two of them differ in their Unicode normalisation only, those that
/// are not normalised are told apart by their raw bytes.
pub fn ids(vault: &str, notes: &[PathBuf]) -> Vec<NodeId> {
    let key = |path: &PathBuf| natural::note(vault, bytes(path), false);
    let mut sharing: BTreeMap<_, u32> = BTreeMap::new();
    notes.iter().for_each(|path| *sharing.entry(key(path)).or_default() += 1);
    let id = |path: &PathBuf| {
        let shared = sharing.get(&key(path)).is_some_and(|files| *files > 1);
        NodeId::from_uuid(natural::note(vault, bytes(path), shared))
    };
    notes.iter().map(id).collect()
}

/// Reads a note; the inner error says why it is left out.
pub fn read(root: &Path, path: &Path) -> io::Result<Result<String, String>> {
    let mut content = Vec::new();
    File::open(root.join(path))?.take(NOTE_BYTES_MAX + 1).read_to_end(&mut content)?;
    if content.len() as u64 > NOTE_BYTES_MAX {
        return Ok(Err(format!("longer than {} MiB", NOTE_BYTES_MAX >> 20)));
    }
    Ok(String::from_utf8(content).map_err(|_| "its content is not UTF-8".to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn notes_are_found_and_the_rest_is_named() {
        let vault = tempfile::tempdir().unwrap();
        let at = |name: &str| vault.path().join(name);
        for folder in [".obsidian", "Deep", "Deep/er"] {
            fs::create_dir(at(folder)).unwrap();
        }
        for file in [".obsidian/app.md", "b.md", "Deep/er/A.MD", "Deep/picture.png", ".hidden.md", ".md"] {
            fs::write(at(file), "x").unwrap();
        }
        let raw = PathBuf::from(OsString::from_vec(b"caf\xe9.md".to_vec()));
        fs::write(vault.path().join(&raw), "x").unwrap();
        symlink("b.md", at("c.md")).unwrap();

        let found = walk(vault.path()).unwrap();

        assert_eq!(found.notes, [PathBuf::from("Deep/er/A.MD"), "b.md".into(), raw]);
        let left_out: Vec<_> = found.left_out.iter().map(|file| file.name.to_string()).collect();
        assert_eq!(left_out, [".hidden.md", ".md", "Deep/picture.png", "c.md"]);
        assert_eq!(title(&found.notes[0]), "A");
        assert_eq!(title(&found.notes[2]), "caf\u{fffd}");
    }

    #[test]
    fn two_spellings_of_one_name_are_two_notes_and_one_alone_is_the_same_anywhere() {
        let (composed, decomposed) = (PathBuf::from("caf\u{e9}.md"), PathBuf::from("cafe\u{301}.md"));
        let both = ids("v", &[composed.clone(), decomposed.clone()]);
        assert_ne!(both[0], both[1]);
        assert_eq!(ids("v", &[composed])[0], both[0]);
        assert_eq!(ids("v", &[decomposed])[0], both[0]);
    }

    #[test]
    fn letter_case_makes_different_notes() {
        let two = ids("v", &["A.md".into(), "a.md".into()]);
        assert_ne!(two[0], two[1]);
    }

    #[test]
    fn what_is_no_text_is_left_out() {
        let vault = tempfile::tempdir().unwrap();
        fs::write(vault.path().join("a.md"), b"\xff").unwrap();
        fs::write(vault.path().join("b.md"), b"\xef\xbb\xbfone\r\ntwo").unwrap();
        assert_eq!(read(vault.path(), Path::new("a.md")).unwrap(), Err("its content is not UTF-8".to_owned()));
        assert_eq!(read(vault.path(), Path::new("b.md")).unwrap(), Ok("\u{feff}one\r\ntwo".to_owned()));
    }
}
