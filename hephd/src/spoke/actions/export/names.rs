//! Where an exported text is written: a name inside the directory, whatever a replica says its path is, and no name
//! twice.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The longest name of a file or folder, in bytes; what is put behind a name twice given fits beside it.
const NAME_BYTES_MAX: usize = 200;

/// Returns the path under which a note is written, inside the directory: the one it came from if that is a note's, else
/// one like it.
///
/// No import makes a path that leaves the vault, has a hidden part or is no note's; another device can claim any.
pub fn note_path(path: &[u8]) -> PathBuf {
    let mut parts: Vec<Vec<u8>> = path.split(|byte| *byte == b'/').filter(|part| !part.is_empty()).map(part).collect();
    let name = parts.pop().unwrap_or_else(|| b"untitled".to_vec());
    parts.push(note_name(name));
    parts.into_iter().map(OsString::from_vec).collect()
}

/// Returns the file of a text that has a title and no path.
pub fn titled(folder: &str, title: &str) -> PathBuf {
    let plain: String = title.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '-' } else { c }).collect();
    let name = plain.trim_matches(|c: char| c.is_whitespace()).as_bytes().to_vec();
    let name = if name.is_empty() { b"untitled".to_vec() } else { part(&name) };
    Path::new(folder).join(OsString::from_vec([name, b".md".to_vec()].concat()))
}

/// Returns the folder of a vault.
pub fn vault_folder(vault: &str) -> PathBuf {
    let name = titled("", vault);
    name.with_file_name(stem(&name))
}

/// A folder's or file's name that is neither hidden nor a way out, and that file systems take.
fn part(part: &[u8]) -> Vec<u8> {
    let mut name: Vec<u8> = part.iter().map(|byte| if *byte == 0 { b'_' } else { *byte }).collect();
    if name.starts_with(b".") {
        name[0] = b'_';
    }
    if name.len() > 255 {
        cut(&mut name, NAME_BYTES_MAX);
    }
    name
}

fn note_name(mut name: Vec<u8>) -> Vec<u8> {
    let is_note = name.len() > 3 && name[name.len() - 3..].eq_ignore_ascii_case(b".md");
    if !is_note {
        cut(&mut name, NAME_BYTES_MAX);
        name.extend_from_slice(b".md");
    }
    name
}

/// Shortens a name, not within a character.
fn cut(name: &mut Vec<u8>, bytes_max: usize) {
    let within = |end: usize| name.get(end).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end = (bytes_max.saturating_sub(3)..=bytes_max).rev().find(|end| !within(*end));
    name.truncate(end.unwrap_or(bytes_max));
}

fn stem(path: &Path) -> OsString {
    let name = path.file_name().unwrap_or_default().as_bytes();
    OsString::from_vec(name[..name.len().saturating_sub(3)].to_vec())
}

/// The names that are given already.
#[derive(Debug, Default)]
pub struct Names {
    given: BTreeSet<PathBuf>,
}

impl Names {
    /// Gives `path`, or one like it if that is given already.
    pub fn give(&mut self, path: PathBuf) -> PathBuf {
        if self.given.insert(path.clone()) {
            return path;
        }
        self.numbered(&path, "")
    }

    /// Gives the file beside `path` for a text that is kept as its conflict copy.
    pub fn give_copy(&mut self, path: &Path) -> PathBuf {
        let copy = beside(path, " (conflict copy)");
        if self.given.insert(copy.clone()) {
            return copy;
        }
        self.numbered(path, "conflict copy ")
    }

    fn numbered(&mut self, path: &Path, words: &str) -> PathBuf {
        let mut names = (2u64..).map(|number| beside(path, &format!(" ({words}{number})")));
        let free = names.find(|name| !self.given.contains(name)).expect("there are more numbers than names");
        self.given.insert(free.clone());
        free
    }
}

/// The path with `words` between the name and `.md`.
fn beside(path: &Path, words: &str) -> PathBuf {
    let mut name = stem(path).into_vec();
    cut(&mut name, NAME_BYTES_MAX);
    path.with_file_name(OsString::from_vec([name, words.as_bytes().to_vec(), b".md".to_vec()].concat()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(path: &[u8]) -> PathBuf {
        PathBuf::from(OsString::from_vec(path.to_vec()))
    }

    #[test]
    fn what_a_vault_holds_keeps_its_path_byte_for_byte() {
        for path in [&b"Deep/er/A note.md"[..], b"caf\xe9.md", b"b.MD", b"a\nb.md", b"a/b.md"] {
            assert_eq!(note_path(path), at(path));
        }
    }

    #[test]
    fn nothing_leaves_the_directory_or_hides_in_it() {
        for (path, safe) in [
            (&b"../../etc/passwd"[..], &b"_./_./etc/passwd.md"[..]),
            (b"/etc/cron.d/x.md", b"etc/cron.d/x.md"),
            (b"a/./b.md", b"a/_/b.md"),
            (b".git/config", b"_git/config.md"),
            (b"a\0b.md", b"a_b.md"),
            (b"", b"untitled.md"),
            (b"//", b"untitled.md"),
            (b"..", b"_..md"),
            (b".md", b"_md.md"),
        ] {
            assert_eq!(note_path(path), at(safe));
        }
        let long = [vec![b'x'; 300], b".md".to_vec()].concat();
        assert_eq!(note_path(&long).as_os_str().len(), 203);
    }

    #[test]
    fn titles_become_one_name() {
        assert_eq!(titled("notes", "AC/DC: live"), at(b"notes/AC-DC: live.md"));
        assert_eq!(titled("notes", " "), at(b"notes/untitled.md"));
        assert_eq!(titled("notes", "../x"), at(b"notes/_.-x.md"));
        assert_eq!(titled("notes", &"\u{e9}".repeat(400)).as_os_str().len(), 6 + 200 + 3);
        assert_eq!(vault_folder("My vault"), at(b"My vault"));
        assert_eq!(vault_folder("../.."), at(b"_.-.."));
    }

    #[test]
    fn no_name_is_given_twice() {
        let mut names = Names::default();
        assert_eq!(names.give("a/b.md".into()), at(b"a/b.md"));
        assert_eq!(names.give("a/b.md".into()), at(b"a/b (2).md"));
        assert_eq!(names.give("a/b.md".into()), at(b"a/b (3).md"));
        assert_eq!(names.give_copy(Path::new("a/b.md")), at(b"a/b (conflict copy).md"));
        assert_eq!(names.give_copy(Path::new("a/b.md")), at(b"a/b (conflict copy 2).md"));
    }
}
