//! New updates: insertions of one client and deletions, divided so that none is too long.

use std::borrow::Cow;
use std::collections::VecDeque;

use super::wire::{Content, Id, Span, Struct, encode};

/// The most that an update takes beside its structs and spans.
const UPDATE_BYTES: usize = 32;
/// The most that a struct takes beside its text.
const STRUCT_BYTES: usize = 40;
/// The most that a span takes.
const SPAN_BYTES: usize = 24;
/// The least that an update may take: any one struct with a character, or any one span.
const UPDATE_BYTES_MIN: usize = UPDATE_BYTES + STRUCT_BYTES + SPAN_BYTES;

/// Collects what one client inserts and deletes.
pub(super) struct Writer<'a> {
    next: Id,
    bytes_max: usize,
    bytes: usize,
    /// The clocks at which another update begins, the next one first.
    cuts: VecDeque<u32>,
    structs: Vec<Struct<'a>>,
    deletes: Vec<Span>,
    updates: Vec<Vec<u8>>,
}

impl<'a> Writer<'a> {
    /// Begins with the id that the next inserted unit gets.
    pub fn new(next: Id, bytes_max: usize) -> Writer<'a> {
        Writer {
            next,
            bytes_max: bytes_max.max(UPDATE_BYTES_MIN),
            bytes: UPDATE_BYTES,
            cuts: VecDeque::new(),
            structs: Vec::new(),
            deletes: Vec::new(),
            updates: Vec::new(),
        }
    }

    /// Begins another update at these clocks, too, or behind the character that one of them divides.
    pub fn cut_at(&mut self, cuts: Vec<u32>) {
        self.cuts = cuts.into();
    }

    /// Inserts a text between two units.
    pub fn insert(&mut self, origin: Option<Id>, right_origin: Option<Id>, mut text: Cow<'a, str>) {
        let mut origin = origin;
        while !text.is_empty() {
            self.cut();
            self.reserve(STRUCT_BYTES + char::MAX.len_utf8());
            let room = self.bytes_max - self.bytes - STRUCT_BYTES;
            let uncut = self.cuts.front().map_or(text.len(), |cut| bytes_of(&text, cut - self.next.clock));
            let room = room.min(uncut);
            let (chunk, rest) = split(text, room);
            let len = super::wire::utf16_len(&chunk) as u32;
            let bytes = chunk.len();
            self.push(Struct { id: self.next, len, origin, right_origin, content: Content::Text(chunk) }, bytes);
            origin = Some(self.next.plus(len - 1));
            self.next = self.next.plus(len);
            text = rest;
        }
    }

    /// Takes ids that hold nothing, where others may know a text.
    pub fn fill(&mut self, len: u32) {
        let origin = self.next.clock.checked_sub(1).map(|clock| Id { clock, ..self.next });
        self.reserve(STRUCT_BYTES);
        self.push(Struct { id: self.next, len, origin, right_origin: None, content: Content::Deleted }, 0);
        self.next = self.next.plus(len);
    }

    /// Deletes what bears these ids.
    pub fn delete(&mut self, span: Span) {
        self.reserve(SPAN_BYTES);
        self.bytes += SPAN_BYTES;
        self.deletes.push(span);
    }

    /// Returns the updates, in the order in which they apply.
    pub fn finish(mut self) -> Vec<Vec<u8>> {
        self.flush();
        self.updates
    }

    fn push(&mut self, item: Struct<'a>, text_bytes: usize) {
        self.bytes += STRUCT_BYTES + text_bytes;
        self.structs.push(item);
    }

    fn reserve(&mut self, bytes: usize) {
        if self.bytes + bytes > self.bytes_max {
            self.flush();
        }
    }

    /// Ends the update if the next unit belongs to another.
    fn cut(&mut self) {
        let reached = self.cuts.partition_point(|cut| *cut <= self.next.clock);
        if self.cuts.drain(..reached).next().is_some() {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.structs.is_empty() || !self.deletes.is_empty() {
            self.updates.push(encode(&self.structs, &self.deletes));
        }
        self.structs.clear();
        self.deletes.clear();
        self.bytes = UPDATE_BYTES;
    }
}

/// Returns the bytes of the first characters of a text that make up so many UTF-16 code units.
fn bytes_of(text: &str, units: u32) -> usize {
    let ends = text.char_indices().scan(0, |units, (at, c)| {
        *units += c.len_utf16();
        Some((*units, at + c.len_utf8()))
    });
    ends.skip_while(|(so_far, _)| *so_far < units as usize).map(|(_, end)| end).next().unwrap_or(text.len())
}

/// Divides a text after at most `room` bytes, between characters.
fn split(text: Cow<'_, str>, room: usize) -> (Cow<'_, str>, Cow<'_, str>) {
    if text.len() <= room {
        return (text, Cow::Borrowed(""));
    }
    let at = text.floor_char_boundary(room);
    match text {
        Cow::Borrowed(text) => {
            let (chunk, rest) = text.split_at(at);
            (Cow::Borrowed(chunk), Cow::Borrowed(rest))
        }
        Cow::Owned(mut text) => {
            let rest = text.split_off(at);
            (Cow::Owned(text), Cow::Owned(rest))
        }
    }
}

#[cfg(test)]
mod tests;
