//! A body is the same function of its updates however they arrive, whoever wrote them: no set of updates makes it panic,
//! hang or take memory out of proportion. Where all of them were written by heph, yrs shows the same text.
#![no_main]

use arbitrary::Arbitrary;
use heph_fuzz::memory;
use heph_store::body::{ClientId, Document, check};
use heph_store::codec::{put_bytes, put_varint};
use libfuzzer_sys::fuzz_target;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, Transact, Update};

/// Devices that write as heph does.
const DEVICES: usize = 3;
/// Steps that are taken of one input.
const STEPS_MAX: usize = 32;
const UPDATE_BYTES_MAX: usize = 160 * 1024;
/// How many edits the text of one undo may repeat.
const SOURCES_MAX: usize = 3;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    steps: Vec<Step<'a>>,
    /// Two orders in which the updates arrive, by the rank of each.
    orders: [&'a [u8]; 2],
    /// What is typed at the end, whatever came of it.
    last: &'a str,
}

#[derive(Debug, Arbitrary)]
enum Step<'a> {
    /// A device replaces `cut` characters at `at`.
    Type { device: u8, at: u8, cut: u8, insert: &'a str },
    /// A device gets what another has.
    Sync { from: u8, to: u8 },
    /// A device takes back what it has of an update.
    Undo { device: u8, which: u8 },
    /// An earlier update with one byte changed, or cut short.
    Alter { which: u8, at: u16, to: Option<u8> },
    /// Anything at all.
    Raw(&'a [u8]),
    /// A well-formed update with ids that meet others.
    Craft { client: u8, clock: u8, structs: Vec<Struct<'a>>, deletes: Vec<(u8, u8, u8)> },
}

#[derive(Debug, Arbitrary)]
struct Struct<'a> {
    kind: Kind<'a>,
    origin: Option<(u8, u8)>,
    right: Option<(u8, u8)>,
}

#[derive(Debug, Arbitrary)]
enum Kind<'a> {
    Text(&'a str),
    Deleted(u32),
    Gone(u32),
    Skip(u32),
}

fuzz_target!(|input: Input<'_>| {
    let updates = written(&input.steps);
    let bytes = updates.all.iter().map(Vec::len).sum::<usize>() + input.last.len();
    memory::within(bytes, 2_000, || {
        let whole = updates.document();
        for order in input.orders {
            assert_eq!(shown(&arriving(&updates.all, order)), shown(&whole), "the order of arrival shows");
        }
        whole_again(&updates.all, &whole);
        typed_at_the_end(&updates, &whole, input.last);
        undone_twice(&updates);
    });
    if updates.honest {
        assert_eq!(yrs_text(&updates.all), updates.document().text(), "yrs shows another text");
    }
});

#[derive(Default)]
struct Updates {
    /// In the order of their ops.
    all: Vec<Vec<u8>>,
    known: [BTreeSet<usize>; DEVICES],
    /// Whether heph wrote all of them, on documents that it had made of earlier ones.
    honest: bool,
}

impl Updates {
    fn document(&self) -> Document {
        Document::rebuild(&self.all.iter().map(Vec::as_slice).collect::<Vec<_>>())
    }

    fn known_to(&self, device: usize) -> Vec<&[u8]> {
        self.known[device].iter().map(|number| self.all[*number].as_slice()).collect()
    }

    fn add(&mut self, device: usize, updates: impl IntoIterator<Item = Vec<u8>>) {
        for update in updates {
            assert_eq!(check(&update), Ok(()), "what heph writes, it reads");
            self.known[device].insert(self.all.len());
            self.all.push(update);
        }
    }

    fn add_foreign(&mut self, update: Vec<u8>) {
        self.honest = false;
        let number = self.all.len();
        for known in &mut self.known {
            known.insert(number);
        }
        self.all.push(update);
    }

    fn alter(&mut self, which: u8, at: u16, to: Option<u8>) {
        let Some(mut update) = self.all.get(usize::from(which) % self.all.len().max(1)).cloned() else { return };
        let at = usize::from(at) % update.len().max(1);
        match to {
            Some(to) => update.get_mut(at).into_iter().for_each(|byte| *byte = to),
            None => update.truncate(at),
        }
        self.add_foreign(update);
    }
}

fn written(steps: &[Step<'_>]) -> Updates {
    let mut updates = Updates { honest: true, ..Updates::default() };
    for step in steps.iter().take(STEPS_MAX) {
        match step {
            Step::Type { device, at, cut, insert } => {
                let device = usize::from(*device) % DEVICES;
                let document = Document::rebuild(&updates.known_to(device));
                let new = spliced(document.text(), *at, *cut, insert);
                let written = document.edit(&new, ClientId::from_bits(1 + device as u64), UPDATE_BYTES_MAX);
                updates.add(device, written);
            }
            Step::Sync { from, to } => {
                let more = updates.known[usize::from(*from) % DEVICES].clone();
                updates.known[usize::from(*to) % DEVICES].extend(more);
            }
            Step::Undo { device, which } => {
                let device = usize::from(*device) % DEVICES;
                let undoing = undo(&updates.known_to(device), usize::from(*which));
                updates.add(device, undoing);
            }
            Step::Alter { which, at, to } => updates.alter(*which, *at, *to),
            Step::Raw(bytes) => updates.add_foreign(bytes.to_vec()),
            Step::Craft { client, clock, structs, deletes } => {
                updates.add_foreign(crafted((*client, *clock), structs, deletes));
            }
        }
    }
    updates
}

fn spliced(text: &str, at: u8, cut: u8, insert: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = usize::from(at) % (chars.len() + 1);
    let to = (from + usize::from(cut)).min(chars.len());
    chars[..from].iter().copied().chain(insert.chars()).chain(chars[to..].iter().copied()).collect()
}

/// As every device undoes it: with a client id that follows from the undone update.
fn undo(here: &[&[u8]], which: usize) -> Vec<Vec<u8>> {
    let of =
        |update: &&[u8]| update.iter().fold(7, |hash: u64, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte));
    let clients: Vec<ClientId> = here.iter().map(|update| ClientId::from_bits(of(update))).collect();
    let Some(undone) = which.checked_rem(here.len()) else { return Vec::new() };
    let undoing = Document::undo(here, &clients, undone, UPDATE_BYTES_MAX, SOURCES_MAX);
    assert!(undoing.iter().all(|undoing| undoing.repeats.len() <= SOURCES_MAX + 1));
    undoing.into_iter().map(|undoing| undoing.update).collect()
}

fn crafted((client, clock): (u8, u8), structs: &[Struct<'_>], deletes: &[(u8, u8, u8)]) -> Vec<u8> {
    let mut out = Vec::new();
    match structs.len() as u64 {
        0 => numbers(&mut out, &[0]),
        count => numbers(&mut out, &[1, count, client.into(), clock.into()]),
    }
    structs.iter().for_each(|item| item.put(&mut out));
    numbers(&mut out, &[deletes.len() as u64]);
    for (client, clock, len) in deletes {
        numbers(&mut out, &[(*client).into(), 1, (*clock).into(), (*len).into()]);
    }
    out
}

impl Struct<'_> {
    fn put(&self, out: &mut Vec<u8>) {
        let (code, placed) = match self.kind {
            Kind::Gone(_) => (0, false),
            Kind::Skip(_) => (10, false),
            Kind::Deleted(_) => (1, true),
            Kind::Text(_) => (4, true),
        };
        let ids = [self.origin, self.right].map(|id| id.filter(|_| placed));
        out.push(code | (u8::from(ids[0].is_some()) << 7) | (u8::from(ids[1].is_some()) << 6));
        for (client, clock) in ids.into_iter().flatten() {
            numbers(out, &[client.into(), clock.into()]);
        }
        if placed && ids == [None, None] {
            out.extend_from_slice(b"\x01\x04body");
        }
        match self.kind {
            Kind::Text(text) => put_bytes(out, text.as_bytes()),
            Kind::Deleted(len) | Kind::Gone(len) | Kind::Skip(len) => numbers(out, &[len.into()]),
        }
    }
}

/// Yjs writes numbers as heph does.
fn numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    numbers.iter().for_each(|number| put_varint(out, *number));
}

fn shown(document: &Document) -> (&str, &str) {
    (document.text(), document.leftover())
}

/// What a device shows that takes them in by rank, each on what it stored, and rebuilds when it must.
fn arriving(updates: &[Vec<u8>], ranks: &[u8]) -> Document {
    let mut order: Vec<usize> = (0..updates.len()).collect();
    order.sort_by_key(|number| ranks.get(*number).copied().unwrap_or_default());
    let (mut document, mut here) = (Document::empty(), BTreeSet::new());
    for number in order {
        here.insert(number);
        document = Document::load(&document.state()).expect("what heph stores, it reads");
        // An update that cannot be read is held and never applied.
        if check(&updates[number]).is_ok() && !document.apply(&updates[number]) {
            document = Document::rebuild(&here.iter().map(|number| updates[*number].as_slice()).collect::<Vec<_>>());
        }
    }
    document
}

/// What was stored shows the same, and goes on the same; what came twice counts once.
fn whole_again(updates: &[Vec<u8>], whole: &Document) {
    let stored = whole.state();
    let bytes = updates.iter().map(Vec::len).sum::<usize>();
    assert!(stored.len() <= 100 + 20 * bytes, "{} bytes are stored of {bytes}", stored.len());
    let loaded = Document::load(&stored).expect("what heph stores, it reads");
    assert_eq!(shown(&loaded), shown(whole), "what is stored shows something else");
    let twice: Vec<&[u8]> = updates.iter().chain(updates).map(Vec::as_slice).collect();
    assert_eq!(Document::rebuild(&twice).text(), whole.text(), "what comes twice counts twice");
    let client = unforeseen(updates);
    assert_eq!(loaded.append("more", client, UPDATE_BYTES_MAX), whole.append("more", client, UPDATE_BYTES_MAX));
}

/// Whatever stands there, a person can type over it, under a client id that nobody has foreseen.
fn typed_at_the_end(updates: &Updates, whole: &Document, new: &str) {
    let client = unforeseen(&updates.all);
    let written = whole.edit(new, client, UPDATE_BYTES_MAX);
    let all: Vec<&[u8]> = updates.all.iter().chain(&written).map(Vec::as_slice).collect();
    let then = Document::rebuild(&all);
    assert_eq!(then.text(), new, "the text is not what was typed");
    assert_eq!(then.leftover(), whole.leftover(), "typing moves what found no place");
    assert!(then.edit(new, client, UPDATE_BYTES_MAX).is_empty());
}

fn unforeseen(updates: &[Vec<u8>]) -> ClientId {
    let mut hash = DefaultHasher::new();
    updates.hash(&mut hash);
    ClientId::from_bits(hash.finish())
}

/// Undoing one twice, one after the other or apart, undoes it once.
fn undone_twice(updates: &Updates) {
    let here: Vec<&[u8]> = updates.all.iter().map(Vec::as_slice).collect();
    for which in [0, here.len() / 2, here.len().saturating_sub(1)] {
        let first = undo(&here, which);
        let once: Vec<&[u8]> = here.iter().copied().chain(first.iter().map(Vec::as_slice)).collect();
        let twice: Vec<&[u8]> = once.iter().copied().chain(first.iter().map(Vec::as_slice)).collect();
        assert_eq!(Document::rebuild(&twice).text(), Document::rebuild(&once).text());
    }
}

fn yrs_text(updates: &[Vec<u8>]) -> String {
    let doc = Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..Options::default() });
    let text = doc.get_or_insert_text("body");
    let mut txn = doc.transact_mut();
    for update in updates {
        let update = Update::decode_v1(update).expect("yrs reads what heph writes");
        txn.apply_update(update).expect("yrs takes what heph writes");
    }
    text.get_string(&txn)
}
