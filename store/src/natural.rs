//! Ids on which two devices must agree without having met: the journal of a day, a tag, a note of an imported vault,
//! the context document of a task, the mark that an op is undone. All other ids are random.
//!
//! An id is the UUIDv5 (SHA-1) of [`NAMESPACE`] and a name; the name is the kind's ASCII bytes, one zero byte, and the
//! key's bytes:
//!
//! | kind | key |
//! |---|---|
//! | `journal` | the date as `YYYY-MM-DD` |
//! | `tag` | [`tag_key`] of the name, in UTF-8 |
//! | `note` | the length of the vault's id in bytes (4 bytes, big endian), the vault's id, the path |
//! | `context` | the 16 bytes of the task's id |
//! | `undo` | the 32 bytes of the op's hash |
//!
//! These bytes are for ever: another recipe, or another Unicode version under it, would give the same note two ids. The
//! Unicode version is that of the crates `caseless` (16.0, case folding) and `unicode-normalization` (18.0, NFC); the
//! test `unicode_versions_are_pinned` fails when an update changes one. For characters that are assigned in both,
//! Unicode promises that neither changes.

use caseless::Caseless;
use jiff::civil::Date;
use unicode_normalization::UnicodeNormalization;
use uuid::Uuid;

/// The namespace of every derived id: a random UUID, drawn once.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x5eb70a01_c261_4d59_825c_10e8df7000cd);

/// Returns the id of the journal of a day.
///
/// Surfaces offer the years 0000 to 9999, written with four digits.
#[must_use]
pub fn journal(date: Date) -> Uuid {
    derive("journal", &[date.to_string().as_bytes()])
}

/// Returns the id of the tag of this name, however it is capitalised. The name has no `#`; a nested tag is one of its
/// own: `home/garden` is not `home`.
#[must_use]
pub fn tag(name: &str) -> Uuid {
    derive("tag", &[tag_key(name).as_bytes()])
}

/// Returns the id of the note that was imported from `path` (relative to the vault, with `/` between folders).
///
/// Two paths that differ in their Unicode normalisation only are one key, since file systems change it; letter case and
/// spaces make different notes. Where two files of one vault share a key, those whose path is not in NFC already are
/// asked for with `raw`, which takes the bytes as they are.
#[must_use]
pub fn note(vault_id: &str, path: &[u8], raw: bool) -> Uuid {
    let normal = match std::str::from_utf8(path) {
        Ok(path) if !raw => Some(path.nfc().collect::<String>()),
        _ => None,
    };
    let path = normal.as_ref().map_or(path, String::as_bytes);
    let length = u32::try_from(vault_id.len()).unwrap_or(u32::MAX);
    derive("note", &[&length.to_be_bytes(), vault_id.as_bytes(), path])
}

/// Returns the id of the context document of the task with these 16 bytes as its id.
#[must_use]
pub fn context(task: &[u8; 16]) -> Uuid {
    derive("context", &[task])
}

/// Returns the id of the internal node on which the op of this hash is marked as undone.
#[must_use]
pub fn undo_mark(op_hash: &[u8; 32]) -> Uuid {
    derive("undo", &[op_hash])
}

/// Returns what makes two names one tag: NFC, without white space at either end, case folded (Unicode's default, full
/// folding: `Straße` and `STRASSE` are one), and in NFC again.
#[must_use]
pub fn tag_key(name: &str) -> String {
    let normal: String = name.nfc().collect();
    fold(normal.trim_matches(is_white_space))
}

/// Returns `text` case folded and in NFC. A text in NFC is expected.
pub(crate) fn fold(text: &str) -> String {
    text.chars().default_case_fold().nfc().collect()
}

/// Unicode's property `White_Space`, written out so that no compiler's tables decide about an id.
pub(crate) fn is_white_space(c: char) -> bool {
    matches!(
        c,
        '\u{9}'..='\u{d}'
            | ' '
            | '\u{85}'
            | '\u{a0}'
            | '\u{1680}'
            | '\u{2000}'..='\u{200a}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{202f}'
            | '\u{205f}'
            | '\u{3000}'
    )
}

fn derive(kind: &str, key: &[&[u8]]) -> Uuid {
    let name = [&[kind.as_bytes(), b"\0"], key].concat().concat();
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests;
