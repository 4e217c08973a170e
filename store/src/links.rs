//! What a Markdown text says about other notes and itself: links, front matter, tags, headings, checklists.
//!
//! A reading is derived from the text alone and never stored in an op: what a link points at is decided when it is
//! read, by [`key`], among the notes that are there then. This module does not know which notes there are.
//!
//! The dialect is CommonMark with what people write in Obsidian: `[[Note#Heading|alias]]`, `![[embed]]`, `#tags`, YAML
//! front matter. Any text is read; what does not parse says nothing.

mod front_matter;
mod markdown;

use crate::natural::{fold, is_white_space};
use std::ops::Range;
use unicode_normalization::UnicodeNormalization;

/// What one text says. All ranges are in bytes of that text; lists are in the order of the text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The front matter with both its lines of dashes; the rest of the text follows at its end.
    pub front_matter: Option<Range<usize>>,
    /// Other names of the note, from the front matter.
    pub aliases: Vec<String>,
    /// Tags of the front matter, then those in the text, without `#`, each once (as [`crate::natural::tag_key`]
    /// compares), spelt as first met.
    pub tags: Vec<String>,
    /// The path under which the note is published, from the front matter.
    pub permalink: Option<String>,
    /// Links and embeds, outside code.
    pub links: Vec<Link>,
    /// Headings of every level.
    pub headings: Vec<Heading>,
    /// The `id` of every paragraph or item that ends with `^id`.
    pub blocks: Vec<String>,
    /// Items of lists that can be ticked off.
    pub checklist: Vec<Check>,
}

/// A link to a note, or to a place in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The note as it is written (percent-decoded in a Markdown link); empty for the note itself.
    pub target: String,
    /// The heading after `#`; with several, as in `Note#Chapter#Section`, all of them as written.
    pub heading: Option<String>,
    /// The block after `#^`.
    pub block: Option<String>,
    /// What is shown instead of the target: the text after `|`, or that of a Markdown link.
    pub alias: Option<String>,
    /// Whether the target is shown in place: `![[…]]`.
    pub embed: bool,
    /// Where the whole link stands.
    pub range: Range<usize>,
}

/// A heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heading {
    /// 1..=6.
    pub level: u8,
    /// Its text, without marks of emphasis, links or code.
    pub text: String,
    /// Where it stands, marks included.
    pub range: Range<usize>,
}

/// An item of a checklist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// Whether it is ticked off.
    pub done: bool,
    /// The text of its first paragraph, without marks of emphasis, links or code.
    pub text: String,
    /// Where `[ ]` or `[x]` stands.
    pub range: Range<usize>,
}

/// Reads a text. Takes time and memory in proportion to its length.
#[must_use]
pub fn read(text: &str) -> Reading {
    let mut reading = Reading::default();
    let body = front_matter::read(text, &mut reading);
    markdown::read(text, body, &mut reading);
    reading
}

/// Returns the key by which a link's target and the names of a note meet: its title, its aliases, its path and, by
/// [`basename_key`], the last part of its path.
///
/// It is NFC and case folded, without white space around it, without `.md`, with `/` for `\`, and without `/`, `./` and
/// `../` in front, however many there are: a key is its own key.
#[must_use]
pub fn key(target: &str) -> String {
    let slashes: String = target.nfc().map(|c| if c == '\\' { '/' } else { c }).collect();
    let folded = fold(slashes.trim_matches(is_white_space));
    let mut name = folded.as_str();
    while let Some(rest) = without_one_ornament(name) {
        name = rest.trim_matches(is_white_space);
    }
    name.to_owned()
}

fn without_one_ornament(name: &str) -> Option<&str> {
    let in_front = ["/", "./", "../"].iter().find_map(|prefix| name.strip_prefix(prefix));
    in_front.or_else(|| name.strip_suffix(".md"))
}

/// Returns the [`key`] of the last part of a path.
#[must_use]
pub fn basename_key(target: &str) -> String {
    let path = key(target);
    let base = path.rfind('/').map_or(0, |slash| slash + 1);
    key(&path[base..])
}

/// Returns the key by which a link's heading and a note's heading meet: folded as [`key`] does, with a single space for
/// everything that is neither letter nor digit, since links cannot hold all that headings do. Of several headings in
/// one link, the last counts.
#[must_use]
pub fn heading_key(heading: &str) -> String {
    let last = heading.rsplit('#').find(|part| !part.trim().is_empty()).unwrap_or_default();
    let folded = fold(&last.nfc().collect::<String>());
    let words: Vec<&str> = folded.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests;
