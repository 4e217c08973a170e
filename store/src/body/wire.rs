//! The Yjs update format, version 1, as far as a plain text needs it: read strictly, written plainly.
//!
//! An update is, per client, a run of structs with consecutive clocks, and then a set of deleted ids. A clock counts
//! UTF-16 code units. Nothing here knows what an update does to a document.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::Unreadable;

/// The name of the one root text of every body.
pub(super) const ROOT: &str = "body";

/// The largest clock: what every implementation of Yjs can count to.
pub(super) const CLOCK_MAX: u32 = i32::MAX as u32;

/// The largest client id, and the largest number of any kind: what JavaScript can count to.
pub(super) const NUMBER_MAX: u64 = (1 << 53) - 1;

/// The name of one UTF-16 code unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id {
    pub client: u64,
    pub clock: u32,
}

impl Id {
    /// Returns the id `units` further on.
    pub fn plus(self, units: u32) -> Id {
        Id { clock: self.clock.saturating_add(units), ..self }
    }
}

/// The ids from `start` to below `end` of one client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub client: u64,
    pub start: u32,
    pub end: u32,
}

impl Span {
    pub fn new(id: Id, len: u32) -> Span {
        Span { client: id.client, start: id.clock, end: id.clock.saturating_add(len) }
    }
}

/// What a struct holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content<'a> {
    Text(Cow<'a, str>),
    /// Deleted text that still has its place.
    Deleted,
    /// Deleted text without a place: nothing can stand beside it.
    Gone,
}

/// A run of consecutive ids that was inserted at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Struct<'a> {
    pub id: Id,
    pub len: u32,
    /// The unit that stood on the left when this was inserted; `None` at the beginning.
    pub origin: Option<Id>,
    /// The unit that stood on the right; `None` at the end.
    pub right_origin: Option<Id>,
    pub content: Content<'a>,
}

/// One decoded update.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Update<'a> {
    pub structs: Vec<Struct<'a>>,
    pub deletes: Vec<Span>,
}

impl<'a> Update<'a> {
    /// Reads an update; refuses whatever a plain text would not contain.
    pub fn decode(bytes: &'a [u8]) -> Result<Update<'a>, Unreadable> {
        let mut reader = Reader::new(bytes);
        let structs = read_structs(&mut reader)?;
        let deletes = read_deletes(&mut reader)?;
        reader.end()?;
        Ok(Update { structs, deletes })
    }
}

const KIND: u8 = 0b0001_1111;
const HAS_ORIGIN: u8 = 0b1000_0000;
const HAS_RIGHT_ORIGIN: u8 = 0b0100_0000;
const HAS_KEY: u8 = 0b0010_0000;

const GONE: u8 = 0;
const DELETED: u8 = 1;
const TEXT: u8 = 4;
const SKIP: u8 = 10;

const PARENT_BY_NAME: u64 = 1;

fn read_structs<'a>(reader: &mut Reader<'a>) -> Result<Vec<Struct<'a>>, Unreadable> {
    let mut structs = Vec::new();
    let mut clients = BTreeSet::new();
    for _ in 0..reader.number()? {
        let count = reader.number()?;
        let mut id = reader.id()?;
        if !clients.insert(id.client) {
            return Err(Unreadable::RepeatedClient);
        }
        for _ in 0..count {
            let (len, read) = read_struct(reader, id)?;
            structs.extend(read);
            id.clock += len;
        }
    }
    Ok(structs)
}

/// Reads one struct and how many ids it takes; there is none for a gap that the sender left.
fn read_struct<'a>(reader: &mut Reader<'a>, id: Id) -> Result<(u32, Option<Struct<'a>>), Unreadable> {
    let info = reader.byte()?;
    let kind = info & KIND;
    let placed = matches!(kind, DELETED | TEXT);
    if !placed && info != kind || info & HAS_KEY != 0 {
        return Err(Unreadable::Content(info));
    }
    let (origin, right_origin) = if placed { read_place(reader, info)? } else { (None, None) };
    let (len, content) = match kind {
        GONE => (reader.number()?, Some(Content::Gone)),
        SKIP => (reader.number()?, None),
        DELETED => (reader.number()?, Some(Content::Deleted)),
        TEXT => {
            let text = reader.text()?;
            (utf16_len(text) as u64, Some(Content::Text(Cow::Borrowed(text))))
        }
        _ => return Err(Unreadable::Content(info)),
    };
    let len = run_len(id.clock, len)?;
    Ok((len, content.map(|content| Struct { id, len, origin, right_origin, content })))
}

fn read_place(reader: &mut Reader<'_>, info: u8) -> Result<(Option<Id>, Option<Id>), Unreadable> {
    let origin = if info & HAS_ORIGIN != 0 { Some(reader.id()?) } else { None };
    let right_origin = if info & HAS_RIGHT_ORIGIN != 0 { Some(reader.id()?) } else { None };
    let own_parent = origin.is_none() && right_origin.is_none();
    if own_parent && (reader.number()? != PARENT_BY_NAME || reader.text()? != ROOT) {
        return Err(Unreadable::Parent);
    }
    Ok((origin, right_origin))
}

fn read_deletes(reader: &mut Reader<'_>) -> Result<Vec<Span>, Unreadable> {
    let mut spans = Vec::new();
    for _ in 0..reader.number()? {
        let client = reader.number()?;
        for _ in 0..reader.number()? {
            let clock = reader.clock()?;
            let len = reader.number()?;
            spans.push(Span::new(Id { client, clock }, run_len(clock, len)?));
        }
    }
    Ok(spans)
}

/// Returns the length of a run that begins at `clock`, if it is not empty and its end can be counted to.
fn run_len(clock: u32, len: u64) -> Result<u32, Unreadable> {
    match u32::try_from(len) {
        Ok(0) => Err(Unreadable::Empty),
        Ok(len) if len <= CLOCK_MAX - clock => Ok(len),
        _ => Err(Unreadable::Number),
    }
}

/// Returns the length of a text in UTF-16 code units.
pub(super) fn utf16_len(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// Writes an update: one client's consecutive structs, and deletions.
pub(super) fn encode(structs: &[Struct<'_>], deletes: &[Span]) -> Vec<u8> {
    let mut out = Vec::new();
    match structs.first() {
        None => put_number(&mut out, 0),
        Some(first) => {
            put_number(&mut out, 1);
            put_number(&mut out, structs.len() as u64);
            put_id(&mut out, first.id);
            structs.iter().for_each(|item| put_struct(&mut out, item));
        }
    }
    put_deletes(&mut out, deletes);
    out
}

fn put_struct(out: &mut Vec<u8>, item: &Struct<'_>) {
    let kind = match item.content {
        Content::Text(_) => TEXT,
        Content::Deleted => DELETED,
        Content::Gone => GONE,
    };
    if kind != GONE {
        put_place(out, kind, item);
    } else {
        out.push(kind);
    }
    match &item.content {
        Content::Text(text) => put_text(out, text),
        Content::Deleted | Content::Gone => put_number(out, u64::from(item.len)),
    }
}

fn put_place(out: &mut Vec<u8>, kind: u8, item: &Struct<'_>) {
    let origin = if item.origin.is_some() { HAS_ORIGIN } else { 0 };
    let right = if item.right_origin.is_some() { HAS_RIGHT_ORIGIN } else { 0 };
    out.push(kind | origin | right);
    for id in [item.origin, item.right_origin].into_iter().flatten() {
        put_id(out, id);
    }
    if origin == 0 && right == 0 {
        put_number(out, PARENT_BY_NAME);
        put_text(out, ROOT);
    }
}

/// Writes deletions by descending client, as Yjs does.
fn put_deletes(out: &mut Vec<u8>, deletes: &[Span]) {
    let spans = normalize(deletes.to_vec());
    let groups: Vec<&[Span]> = spans.chunk_by(|a, b| a.client == b.client).collect();
    put_number(out, groups.len() as u64);
    for group in groups.iter().rev() {
        put_number(out, group[0].client);
        put_number(out, group.len() as u64);
        for span in *group {
            put_number(out, u64::from(span.start));
            put_number(out, u64::from(span.end - span.start));
        }
    }
}

/// Returns the same ids in ascending order, no two spans touching.
pub(super) fn normalize(mut spans: Vec<Span>) -> Vec<Span> {
    spans.sort_unstable();
    spans.dedup_by(|next, last| {
        let touches = next.client == last.client && next.start <= last.end;
        if touches {
            last.end = last.end.max(next.end);
        }
        touches
    });
    spans
}

/// Writes a number as lib0 does: seven bits per byte, the lowest first.
pub(super) fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_id(out: &mut Vec<u8>, id: Id) {
    put_number(out, id.client);
    put_number(out, u64::from(id.clock));
}

pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    put_number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

/// Reads lib0's encoding from bytes that anybody may have written.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub fn byte(&mut self) -> Result<u8, Unreadable> {
        let (&first, rest) = self.rest.split_first().ok_or(Unreadable::CutShort)?;
        self.rest = rest;
        Ok(first)
    }

    /// Reads a number up to [`NUMBER_MAX`] in its shortest form.
    pub fn number(&mut self) -> Result<u64, Unreadable> {
        let mut number = 0;
        for shift in (0..56).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                let shortest = byte != 0 || shift == 0;
                return if shortest && number <= NUMBER_MAX { Ok(number) } else { Err(Unreadable::Number) };
            }
        }
        Err(Unreadable::Number)
    }

    pub fn clock(&mut self) -> Result<u32, Unreadable> {
        let number = u32::try_from(self.number()?).map_err(|_| Unreadable::Number)?;
        if number <= CLOCK_MAX { Ok(number) } else { Err(Unreadable::Number) }
    }

    pub fn id(&mut self) -> Result<Id, Unreadable> {
        Ok(Id { client: self.number()?, clock: self.clock()? })
    }

    pub fn text(&mut self) -> Result<&'a str, Unreadable> {
        let len = usize::try_from(self.number()?).map_err(|_| Unreadable::Number)?;
        let (text, rest) = self.rest.split_at_checked(len).ok_or(Unreadable::CutShort)?;
        self.rest = rest;
        std::str::from_utf8(text).map_err(|_| Unreadable::NotUtf8)
    }

    /// Checks that nothing is left.
    pub fn end(&self) -> Result<(), Unreadable> {
        if self.rest.is_empty() { Ok(()) } else { Err(Unreadable::Trailing) }
    }
}

#[cfg(test)]
mod tests;
