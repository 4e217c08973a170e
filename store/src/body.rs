//! Text bodies: what a set of updates makes of a text, and which update makes of one text another.
//!
//! A body is a function of its updates in the order of their ops; [`Document::rebuild`] is the definition, and
//! [`Document::apply`] a shortcut to the same result. Updates have the format of Yjs, so that browsers and editors
//! can take part; their order in the text is found by the rule of Yjs, too. Text that finds no place there is not
//! lost: it stands in [`Document::leftover`].
//!
//! This module does not know ops, registers, generations, files, time or randomness. Any bytes may be handed to it.

mod diff;
mod list;
mod piece;
mod queue;
mod rebuild;
mod state;
#[cfg(test)]
mod tests;
mod undo;
mod wire;
mod write;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::OnceLock;

use list::{Item, List};
use piece::Piece;
use rebuild::Gathered;
use undo::{Removal, Sources};
use wire::{CLOCK_MAX, Id, NUMBER_MAX, Span, Update, normalize, utf16_len};
use write::Writer;

/// The Yjs name of one author of insertions: 53 bits, never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(u64);

impl ClientId {
    /// Takes the lower 53 bits of random or derived ones.
    pub fn from_bits(bits: u64) -> ClientId {
        ClientId((bits & NUMBER_MAX).max(1))
    }

    /// Returns the number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Returns the client id that stands in for this one.
    fn next(self) -> ClientId {
        ClientId::from_bits(self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(0x2545_f491_4f6c_dd1d))
    }
}

/// Why this version cannot read an update, or a stored document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes end early.
    #[error("the update ends early")]
    CutShort,
    /// Bytes follow the end.
    #[error("the update goes on after its end")]
    Trailing,
    /// A number is not in its shortest form, or cannot be counted to.
    #[error("a number in the update is out of range")]
    Number,
    /// A text is not UTF-8.
    #[error("a text in the update is not UTF-8")]
    NotUtf8,
    /// A struct holds no unit, or a deletion deletes none.
    #[error("the update has an empty part")]
    Empty,
    /// The structs of one client are not in one run.
    #[error("the update names a client twice")]
    RepeatedClient,
    /// A struct holds something else than text; the number is the first byte of the struct.
    #[error("the update holds something else than text (kind {0})")]
    Content(u8),
    /// A struct belongs to another root or within another struct.
    #[error("the update belongs to something else than the text named \"{root}\"", root = wire::ROOT)]
    Parent,
    /// A stored document is damaged, or a newer version wrote it.
    #[error("the stored text is damaged or in a form that this version does not know")]
    State,
}

/// An update that takes another back, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// The update.
    pub update: Vec<u8>,
    /// Which updates inserted the text that this one inserts again.
    pub repeats: Vec<usize>,
}

/// Checks that an update can be read, so that the other functions here heed it.
///
/// # Errors
///
/// What a text does not contain, or bytes that no implementation of Yjs writes.
pub fn check(update: &[u8]) -> Result<(), Unreadable> {
    Update::decode(update).map(drop)
}

/// One generation of a body, made from a set of updates.
#[derive(Debug, Clone)]
pub struct Document {
    list: List,
    /// Made when it is asked for.
    text: OnceLock<String>,
    leftover: String,
    /// Whether everything found its place, so that another update can be applied without the others.
    settled: bool,
    /// Clients whose next ids may be taken by what found no place.
    blocked: Vec<u64>,
}

impl Document {
    /// Returns a document without any update.
    pub fn empty() -> Document {
        Document { list: List::empty(), text: OnceLock::new(), leftover: String::new(), settled: true, blocked: vec![] }
    }

    /// Returns the document that [`Document::state`] wrote.
    ///
    /// # Errors
    ///
    /// [`Unreadable`] if the bytes are damaged, or of a newer version: then the document is to be rebuilt.
    pub fn load(state: &[u8]) -> Result<Document, Unreadable> {
        state::read(state)
    }

    /// Returns the document in the form in which it is stored. It may differ for equal documents.
    pub fn state(&self) -> Vec<u8> {
        state::write(self)
    }

    /// Returns the text that is shown.
    pub fn text(&self) -> &str {
        self.text.get_or_init(|| self.list.text())
    }

    /// Returns the text that found no place in the document; usually none.
    pub fn leftover(&self) -> &str {
        &self.leftover
    }

    /// Applies one more readable update. `false` if that needs the other updates, too: then this document is spoilt
    /// and takes no further update, and the caller rebuilds it from all of them.
    #[must_use = "if the update was not applied, the document must be rebuilt"]
    pub fn apply(&mut self, update: &[u8]) -> bool {
        self.settled = self.settled && Update::decode(update).is_ok_and(|update| self.apply_decoded(&update));
        if self.settled {
            self.text.take();
        }
        self.settled
    }

    fn apply_decoded(&mut self, update: &Update<'_>) -> bool {
        if update.structs.iter().any(|item| self.list.holds(item.id)) {
            return false;
        }
        let pieces: Vec<Piece> = update.structs.iter().map(|item| self.list.keep(item)).collect();
        self.list.insert(pieces.iter().copied());
        let placed = pieces.iter().all(|piece| self.list.holds(piece.id));
        let deleted = self.list.delete(&normalize(update.deletes.clone()));
        placed && deleted && !self.list.is_odd()
    }

    /// Returns the document that these updates make, in the order of their ops. One that cannot be read is nothing.
    ///
    /// An update that gives an id to other text than an earlier one did is left out, and its text is left over, like
    /// text whose neighbours are not among the updates.
    pub fn rebuild(updates: &[&[u8]]) -> Document {
        Gathered::from_updates(updates).document()
    }

    /// Returns the updates that turn the text into `new`: none if it is equal, and one if `max_bytes` allows.
    ///
    /// The same document, text and client give the same updates. They apply on any document that holds this version.
    pub fn edit(&self, new: &str, client: ClientId, max_bytes: usize) -> Vec<Vec<u8>> {
        self.write(&diff::hunks(self.text(), new), client, max_bytes)
    }

    /// As [`Document::edit`], but that lines come and go whole: no word of one stays in another.
    pub fn edit_lines(&self, new: &str, client: ClientId, max_bytes: usize) -> Vec<Vec<u8>> {
        self.write(&diff::hunks_of_lines(self.text(), new), client, max_bytes)
    }

    /// Returns the updates that add `text` at the end, as [`Document::edit`] would.
    pub fn append(&self, text: &str, client: ClientId, max_bytes: usize) -> Vec<Vec<u8>> {
        let hunk = diff::Hunk { at: utf16_len(self.text()), deleted: 0, inserted: text };
        self.write(&[hunk], client, max_bytes)
    }

    /// Returns the updates that take `updates[undone]` back in the document that `updates` make: what it inserted and
    /// still shows is deleted, what it deleted is inserted again at its place, unless another undo has done so.
    ///
    /// `clients` are the client ids with which each of the updates is undone, here and anywhere else; they belong to
    /// one update each, or to several of the same bytes. The ids of what is inserted again depend on them and on that
    /// update alone, so that undoing it twice undoes it once. An update that was left out of the document is not undone.
    ///
    /// None of what is returned has more than `max_bytes`, or repeats text of more than `max_sources` updates and the
    /// one whose character ends behind the last of them.
    pub fn undo(
        updates: &[&[u8]],
        clients: &[ClientId],
        undone: usize,
        max_bytes: usize,
        max_sources: usize,
    ) -> Vec<Undoing> {
        let gathered = Gathered::from_updates(updates);
        let mut others = Vec::new();
        let mut own = None;
        for (number, (bytes, client)) in updates.iter().zip(clients).enumerate() {
            let Ok(update) = Update::decode(bytes) else {
                continue;
            };
            let removal = Removal::of(&update, client.get());
            if number == undone {
                own = Some((update, removal));
            } else if !gathered.left_out(number) {
                others.push(removal);
            }
        }
        let Some((update, removal)) = own.filter(|_| !gathered.left_out(undone)) else { return Vec::new() };
        let sources = Sources::of(&removal, gathered.supplied());
        undo::undo(&gathered.document().list, &update, &removal, &others, &sources, (max_bytes, max_sources))
    }

    /// Returns which of the other updates insert something under the ids of what `updates[of]` inserts: those that were
    /// written with the same derived client.
    pub fn twins(updates: &[&[u8]], of: usize) -> Vec<usize> {
        let inserted = |bytes: &&[u8]| Update::decode(bytes).map(|update| undo::inserted(&update)).unwrap_or_default();
        let own = updates.get(of).map(inserted).unwrap_or_default();
        let clients: BTreeSet<u64> = own.iter().map(|span| span.client).collect();
        let shares = |bytes: &&[u8]| {
            let theirs = inserted(bytes);
            theirs.iter().any(|span| clients.contains(&span.client)) && undo::without(&own, &theirs) != own
        };
        let others = updates.iter().enumerate().filter(|(number, _)| *number != of);
        others.filter(|(_, bytes)| shares(bytes)).map(|(number, _)| number).collect()
    }

    fn write(&self, hunks: &[diff::Hunk<'_>], client: ClientId, max_bytes: usize) -> Vec<Vec<u8>> {
        let inserted: usize = hunks.iter().map(|hunk| utf16_len(hunk.inserted)).sum();
        let mut writer = Writer::new(self.next_id(client, inserted), max_bytes);
        let live = Live::of(&self.list);
        for hunk in hunks {
            let (left, right) = live.around(&self.list, hunk.at);
            writer.insert(left, right, Cow::Borrowed(hunk.inserted));
            live.spans(hunk.at, hunk.deleted).for_each(|span| writer.delete(span));
        }
        writer.finish()
    }

    /// Returns the first id that `client`, or the one that stands in for it, can give to so many units.
    fn next_id(&self, mut client: ClientId, units: usize) -> Id {
        let free = |client: u64| {
            let room = (CLOCK_MAX - self.list.next_clock(client)) as usize;
            room >= units && self.blocked.binary_search(&client).is_err()
        };
        // Each blocked client is left behind once; more steps than that find nothing better.
        for _ in 0..=self.blocked.len() {
            if free(client.get()) {
                break;
            }
            client = client.next();
        }
        Id { client: client.get(), clock: self.list.next_clock(client.get()) }
    }
}

/// The units of a text by their place.
struct Live<'a> {
    /// Where each item begins in the text.
    items: Vec<(usize, &'a Item)>,
}

impl<'a> Live<'a> {
    fn of(list: &'a List) -> Live<'a> {
        let live = list.iter().filter(|item| item.live);
        let items = live.scan(0, |end, item| {
            let start = *end;
            *end += item.piece.len as usize;
            Some((start, item))
        });
        Live { items: items.collect() }
    }

    /// Returns the units between which an insertion at `at` goes: right after the text before it.
    fn around(&self, list: &List, at: usize) -> (Option<Id>, Option<Id>) {
        let before = self.items.partition_point(|&(start, _)| start < at);
        let Some(&(start, item)) = before.checked_sub(1).and_then(|index| self.items.get(index)) else {
            return (None, list.iter().next().map(|first| first.piece.id));
        };
        let left = item.piece.id.plus((at - 1 - start) as u32);
        let right = if left == item.last() { list.right_of(item) } else { Some(left.plus(1)) };
        (Some(left), right)
    }

    /// Returns the ids of `len` units from `at` on.
    fn spans(&self, at: usize, len: usize) -> impl Iterator<Item = Span> {
        let end = at + len;
        let from = self.items.partition_point(|(start, item)| start + item.piece.len as usize <= at);
        self.items[from..].iter().take_while(move |&&(start, _)| start.max(at) < end).map(move |&(start, item)| {
            let skip = at.saturating_sub(start);
            let take = (end - start).min(item.piece.len as usize) - skip;
            Span::new(item.piece.id.plus(skip as u32), take as u32)
        })
    }
}
