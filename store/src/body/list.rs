//! The items of one document in their order: where an insertion stands among concurrent ones, and what is deleted.
//!
//! This is the sequence of Yjs (YATA), for text alone. An item goes between the two units that its author saw on
//! its left and right; among others that went there too, the client id decides. Clocks of one client are taken
//! without gaps. Nothing here knows updates, bytes or what to do with an item that finds no place.

use std::collections::BTreeMap;

use super::piece::{Content, Piece};
use super::queue::Queues;
use super::wire::{self, Id, Span, Struct};

/// No item.
const NONE: usize = usize::MAX;

/// A run of units that stand side by side.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub piece: Piece,
    pub live: bool,
    left: usize,
    right: usize,
}

impl Item {
    /// Returns the id of the last unit.
    pub fn last(&self) -> Id {
        self.piece.id.plus(self.piece.len - 1)
    }

    fn end(&self) -> u32 {
        self.piece.id.plus(self.piece.len).clock
    }
}

/// The items of one document.
#[derive(Debug, Clone)]
pub(super) struct List {
    items: Vec<Item>,
    by_id: BTreeMap<Id, usize>,
    /// Per client, the first clock that is not here.
    next: BTreeMap<u64, u32>,
    units: Vec<u16>,
    first: usize,
    last: usize,
    /// Whether an item lies between units that never stood in that order, so that arrival could decide its place.
    odd: bool,
    /// Per item, when the search for a place last passed it: number of the search, and of the step.
    passed: Vec<(usize, usize)>,
    searches: usize,
}

impl List {
    pub fn empty() -> List {
        List {
            items: Vec::new(),
            by_id: BTreeMap::new(),
            next: BTreeMap::new(),
            units: Vec::new(),
            first: NONE,
            last: NONE,
            odd: false,
            passed: Vec::new(),
            searches: 0,
        }
    }

    /// Returns the first clock of a client that is not here.
    pub fn next_clock(&self, client: u64) -> u32 {
        self.next.get(&client).copied().unwrap_or(0)
    }

    /// Returns whether the place of some item depends on the order of arrival.
    pub fn is_odd(&self) -> bool {
        self.odd
    }

    /// Returns the items in the order of the text.
    pub fn iter(&self) -> impl Iterator<Item = &Item> {
        std::iter::successors(self.items.get(self.first), |item| self.items.get(item.right))
    }

    /// Returns the runs of ids that are taken without a place.
    pub fn gone(&self) -> impl Iterator<Item = Span> {
        let pieces = self.by_id.values().map(|&index| self.items[index].piece);
        pieces.filter(|piece| piece.content == Content::Gone).map(|piece| Span::new(piece.id, piece.len))
    }

    /// Returns every client with an item here, in ascending order.
    pub fn clients(&self) -> impl Iterator<Item = u64> {
        self.next.keys().copied()
    }

    /// Returns the units of a piece, as far as they are known.
    pub fn units(&self, piece: &Piece) -> Option<&[u16]> {
        match piece.content {
            Content::Units(start) => self.units.get(start..start + piece.len as usize),
            Content::Deleted | Content::Gone => None,
        }
    }

    /// Returns the text. Half a character stands as U+FFFD.
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.units.len());
        for units in self.iter().filter(|item| item.live).filter_map(|item| self.units(&item.piece)) {
            text.extend(char::decode_utf16(units.iter().copied()).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)));
        }
        text
    }

    /// Returns whether every id below the first missing one of each client is here once, and so is every neighbour.
    pub fn is_whole(&self) -> bool {
        let mut next = Id { client: 0, clock: 0 };
        for (&id, &index) in &self.by_id {
            let begins = if id.client == next.client { id == next } else { id.clock == 0 };
            if !begins || self.missing(&self.items[index].piece).is_some() {
                return false;
            }
            next = Id { clock: self.items[index].end(), ..id };
        }
        self.by_id.len() == self.items.len()
    }

    /// Keeps the text of a struct, so that it can be inserted.
    pub fn keep(&mut self, item: &Struct<'_>) -> Piece {
        let content = match &item.content {
            wire::Content::Text(text) => self.keep_text(text),
            wire::Content::Deleted => Content::Deleted,
            wire::Content::Gone => Content::Gone,
        };
        Piece { id: item.id, len: item.len, origin: item.origin, right_origin: item.right_origin, content }
    }

    pub fn keep_text(&mut self, text: &str) -> Content {
        let start = self.units.len();
        self.units.extend(text.encode_utf16());
        Content::Units(start)
    }

    /// Returns whether a unit is here.
    pub fn holds(&self, id: Id) -> bool {
        id.clock < self.next_clock(id.client)
    }

    /// Inserts the pieces that find their place, causes first.
    pub fn insert(&mut self, pieces: impl Iterator<Item = Piece>) {
        let mut queues = Queues::new(pieces);
        while let Some(client) = queues.next_ready() {
            self.insert_of(client, &mut queues);
        }
    }

    /// Inserts what one client wrote, up to something that is not here yet.
    fn insert_of(&mut self, client: u64, queues: &mut Queues) {
        while let Some(&piece) = queues.head(client) {
            if piece.id.clock != self.next_clock(client) {
                return;
            }
            if let Some(missing) = self.missing(&piece) {
                return queues.wait(missing, client);
            }
            if !self.place(piece) {
                return;
            }
            queues.done(client, self.next_clock(client));
        }
    }

    fn missing(&self, piece: &Piece) -> Option<Id> {
        [piece.origin, piece.right_origin].into_iter().flatten().find(|&id| !self.holds(id))
    }

    /// Puts a piece in its place; `false` if a neighbour has none.
    fn place(&mut self, piece: Piece) -> bool {
        let near = |id: Option<Id>| id.is_none_or(|id| self.placed(id));
        if !near(piece.origin) || !near(piece.right_origin) {
            return false;
        }
        if piece.content == Content::Gone {
            self.add(piece);
            return true;
        }
        // In this order, because dividing an item leaves its number with the left part.
        let right = piece.right_origin.map_or(NONE, |id| self.beginning_at(id));
        let left = piece.origin.map_or(NONE, |id| self.ending_at(id));
        let left = self.search(&piece, left, right);
        let index = self.add(piece);
        self.link(left, index);
        true
    }

    fn placed(&self, id: Id) -> bool {
        self.find(id).is_some_and(|index| self.items[index].piece.content != Content::Gone)
    }

    /// Finds the item after which a piece stands that its author put between `left` and `right`.
    ///
    /// ```text
    ///   left   o o o o o   right        o: put there by others
    ///        ^ passed: those with the same left neighbour and a smaller client, and what they brought along
    /// ```
    fn search(&mut self, piece: &Piece, mut left: usize, right: usize) -> usize {
        self.searches += 1;
        let mut settled = false;
        let mut conflicts_from = 0;
        let mut step = 0;
        let mut at = self.after(left);
        while at != NONE && at != right {
            if !settled {
                step += 1;
                self.passed[at] = (self.searches, step);
                match self.compare(piece, at, conflicts_from) {
                    Side::Before => settled = true,
                    Side::After => (left, conflicts_from) = (at, step + 1),
                    Side::Open => {}
                }
            }
            // The author knew what it had written before: it would stand beside that, not around it.
            self.odd |= self.items[at].piece.id.client == piece.id.client;
            at = self.items[at].right;
        }
        self.odd |= at != right;
        left
    }

    fn compare(&self, piece: &Piece, at: usize, conflicts_from: usize) -> Side {
        let other = &self.items[at].piece;
        if other.origin == piece.origin {
            return match other.id.client < piece.id.client {
                true => Side::After,
                false if other.right_origin == piece.right_origin => Side::Before,
                false => Side::Open,
            };
        }
        let origin = other.origin.and_then(|id| self.find(id)).map(|index| self.passed[index]);
        match origin {
            Some((search, step)) if search == self.searches => {
                if step < conflicts_from {
                    Side::After
                } else {
                    Side::Open
                }
            }
            _ => Side::Before,
        }
    }

    fn after(&self, index: usize) -> usize {
        self.items.get(index).map_or(self.first, |item| item.right)
    }

    fn add(&mut self, piece: Piece) -> usize {
        let index = self.items.len();
        let live = matches!(piece.content, Content::Units(_));
        self.items.push(Item { piece, live, left: NONE, right: NONE });
        self.passed.push((0, 0));
        self.by_id.insert(piece.id, index);
        let next = self.next.entry(piece.id.client).or_insert(0);
        *next = (*next).max(piece.id.plus(piece.len).clock);
        index
    }

    fn link(&mut self, left: usize, index: usize) {
        let right = self.after(left);
        self.items[index].left = left;
        self.items[index].right = right;
        *self.items.get_mut(left).map_or(&mut self.first, |item| &mut item.right) = index;
        *self.items.get_mut(right).map_or(&mut self.last, |item| &mut item.left) = index;
    }

    /// Adds an item behind all others, where its author's text is known to be in order.
    pub fn push(&mut self, piece: Piece) {
        let index = self.add(piece);
        if piece.content != Content::Gone {
            self.link(self.last, index);
        }
    }

    fn find(&self, id: Id) -> Option<usize> {
        let (start, &index) = self.by_id.range(..=id).next_back()?;
        (start.client == id.client && id.clock < self.items[index].end()).then_some(index)
    }

    /// Returns the item that holds a unit.
    pub fn item(&self, id: Id) -> Option<&Item> {
        self.find(id).map(|index| &self.items[index])
    }

    /// Returns the id of the first unit to the right of an item.
    pub fn right_of(&self, item: &Item) -> Option<Id> {
        self.items.get(item.right).map(|right| right.piece.id)
    }

    fn ending_at(&mut self, id: Id) -> usize {
        self.beginning_at(id.plus(1));
        self.find(id).unwrap_or(NONE)
    }

    /// Returns the item that begins with this unit, dividing the one that holds it if need be.
    fn beginning_at(&mut self, id: Id) -> usize {
        let Some(index) = self.find(id) else {
            return NONE;
        };
        let Item { piece, live, .. } = self.items[index];
        let at = id.clock - piece.id.clock;
        if at == 0 {
            return index;
        }
        self.items[index].piece = piece.first(at);
        let right = self.add(piece.without_first(at));
        self.items[right].live = live;
        if piece.content != Content::Gone {
            self.link(index, right);
        }
        right
    }

    /// Deletes what is here of these ids; `false` if something is not here.
    pub fn delete(&mut self, spans: &[Span]) -> bool {
        for &span in spans {
            self.delete_span(span);
        }
        spans.iter().all(|span| span.end <= self.next_clock(span.client))
    }

    fn delete_span(&mut self, span: Span) {
        let mut id = Id { client: span.client, clock: span.start };
        while let Some(index) = self.find(id).filter(|_| id.clock < span.end) {
            let end = self.items[index].end();
            if self.items[index].live {
                let index = self.beginning_at(id);
                self.beginning_at(Id { clock: span.end.min(end), ..id });
                self.items[index].live = false;
            }
            id.clock = end;
        }
    }
}

/// Where a piece stands, seen from another one at the same place.
enum Side {
    Before,
    After,
    /// What follows decides.
    Open,
}

#[cfg(test)]
mod tests;
