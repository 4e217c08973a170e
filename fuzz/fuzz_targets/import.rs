//! What a note says, whoever wrote it: every place that a reading names is one of the text. And what a person makes of
//! one text is a difference that gives the other, and is taken back by undoing it.
#![no_main]

use arbitrary::Arbitrary;
use heph_fuzz::memory;
use heph_store::body::{ClientId, Document, check};
use heph_store::links::{self, Reading};
use heph_store::natural;
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::ops::Range;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// The most bytes of an update, but for what cannot be divided.
    update_bytes: u8,
    path: &'a [u8],
    old: &'a str,
    new: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    let bytes = input.path.len() + input.old.len() + input.new.len();
    memory::within(bytes, 2_000, || {
        read(input.new);
        note(input.path);
        differ(input.old, input.new, usize::from(input.update_bytes) * 16);
    });
});

fn read(text: &str) {
    let reading = links::read(text);
    let slice = |range: &Range<usize>| text.get(range.clone()).unwrap_or_else(|| panic!("{range:?} of {text:?}"));
    for link in &reading.links {
        let source = slice(&link.range);
        assert!(
            source.starts_with('[') || source.starts_with('!') || source.starts_with('<'),
            "{link:?} is {source:?}"
        );
        assert!(!link.target.is_empty() || link.heading.is_some() || link.block.is_some(), "{link:?} leads nowhere");
        assert_eq!(links::key(&links::key(&link.target)), links::key(&link.target));
    }
    assert!(reading.links.is_sorted_by_key(|link| link.range.start), "links in the order of the text");
    for heading in &reading.headings {
        slice(&heading.range);
        assert!((1..=6).contains(&heading.level));
    }
    for check in &reading.checklist {
        let mark = slice(&check.range);
        assert!(mark.starts_with('[') && mark.ends_with(']') && (mark == "[ ]") != check.done, "{mark:?}: {check:?}");
    }
    tags(text, &reading);
}

fn tags(text: &str, reading: &Reading) {
    let keys: BTreeSet<String> = reading.tags.iter().map(|tag| natural::tag_key(tag)).collect();
    assert_eq!(keys.len(), reading.tags.len(), "each tag once: {:?}", reading.tags);
    let Some(front) = &reading.front_matter else { return };
    let source = text.get(front.clone()).expect("front matter is of the text");
    assert!(source.starts_with("---") && source.trim_end().ends_with("---"), "{source:?}");
    let alone = links::read(&text[..front.end]);
    assert_eq!(alone.front_matter.as_ref(), Some(front), "front matter reads alone");
    assert_eq!(alone.aliases, reading.aliases);
    assert!(reading.tags.starts_with(&alone.tags), "its tags come first");
}

/// Two spellings of a path are one note, unless told apart.
fn note(path: &[u8]) {
    assert_eq!(natural::note("v", path, false), natural::note("v", path, false));
    let is_text = std::str::from_utf8(path).is_ok();
    assert!(is_text || natural::note("v", path, false) == natural::note("v", path, true));
}

fn differ(old: &str, new: &str, update_bytes: usize) {
    let mut updates = Document::empty().edit(old, ClientId::from_bits(1), usize::MAX);
    let before = updates.len();
    let document = rebuilt(&updates);
    assert_eq!(document.text(), old);
    updates.extend(document.edit(new, ClientId::from_bits(2), update_bytes));
    assert!(updates.iter().all(|update| check(update).is_ok()));
    assert_eq!(updates.len() == before, old == new, "a difference is written, and no other");
    let mut document = document;
    assert!(updates[before..].iter().all(|update| document.apply(update)), "they apply one after the other");
    assert_eq!(document.text(), new);
    assert_eq!(rebuilt(&updates).text(), new);
    for undone in (before..updates.len()).rev() {
        let clients: Vec<ClientId> =
            (0..updates.len()).map(|number| ClientId::from_bits(100 + number as u64)).collect();
        let refs: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
        let undoing = Document::undo(&refs, &clients, undone, update_bytes.max(64), 8);
        updates.extend(undoing.into_iter().map(|undoing| undoing.update));
    }
    let document = rebuilt(&updates);
    assert_eq!((document.text(), document.leftover()), (old, ""), "undone, the text is as it was");
}

fn rebuilt(updates: &[Vec<u8>]) -> Document {
    Document::rebuild(&updates.iter().map(Vec::as_slice).collect::<Vec<_>>())
}
