//! The form in which a document is stored: its items in order, and its text once, as it reads.
//!
//! The form is our own, because an update in the format of Yjs would have to find every item's place again.

use std::collections::BTreeMap;

use super::list::{Item, List};
use super::piece::{Content, Piece};
use super::wire::{CLOCK_MAX, Id, Reader, put_number, put_text, utf16_len};
use super::{Document, Unreadable};

const VERSION: u8 = 1;

const SETTLED: u8 = 0b1;

const LIVE: u8 = 0b1;
/// The item continues the ids of the item before it.
const CONTINUES: u8 = 0b10;
const ORIGIN: u8 = 0b1100;
const ORIGIN_BEFORE: u8 = 0b0100;
const ORIGIN_GIVEN: u8 = 0b1000;
/// The item was divided from the one that ends with the id before its own.
const ORIGIN_OWN: u8 = 0b1100;
const RIGHT: u8 = 0b11_0000;
const RIGHT_NEXT: u8 = 0b01_0000;
const RIGHT_GIVEN: u8 = 0b10_0000;
const RIGHT_SAME: u8 = 0b11_0000;

/// Writes a document.
pub(super) fn write(document: &Document) -> Vec<u8> {
    let list = &document.list;
    let clients: Vec<u64> = list.clients().collect();
    let mut out = vec![VERSION, if document.settled { SETTLED } else { 0 }];
    put_text(&mut out, &document.leftover);
    put_numbers(&mut out, &document.blocked);
    put_numbers(&mut out, &clients);
    let number: BTreeMap<u64, u64> = clients.iter().copied().zip(0..).collect();
    let mut items = Items { out, number };
    items.put_gone(list);
    items.put_list(list);
    put_text(&mut items.out, document.text());
    items.out
}

fn put_numbers(out: &mut Vec<u8>, numbers: &[u64]) {
    put_number(out, numbers.len() as u64);
    numbers.iter().for_each(|&number| put_number(out, number));
}

struct Items {
    out: Vec<u8>,
    /// Clients by their place in the table.
    number: BTreeMap<u64, u64>,
}

impl Items {
    fn put_gone(&mut self, list: &List) {
        put_number(&mut self.out, list.gone().count() as u64);
        for span in list.gone() {
            self.put_id(None, Id { client: span.client, clock: span.start });
            put_number(&mut self.out, u64::from(span.end - span.start));
        }
    }

    fn put_list(&mut self, list: &List) {
        let runs = joined(list);
        put_number(&mut self.out, runs.len() as u64);
        let mut before: Option<&Item> = None;
        for (at, item) in runs.iter().enumerate() {
            self.put_item(before, item, runs.get(at + 1));
            before = Some(item);
        }
    }

    fn put_item(&mut self, before: Option<&Item>, item: &Item, next: Option<&Item>) {
        let last = before.map(Item::last);
        let piece = &item.piece;
        let continues = last.is_some_and(|last| last.plus(1) == piece.id);
        let origin = match piece.origin {
            None => 0,
            id if id == last => ORIGIN_BEFORE,
            Some(id) if id.plus(1) == piece.id => ORIGIN_OWN,
            _ => ORIGIN_GIVEN,
        };
        let right = match piece.right_origin {
            None => 0,
            id if id == next.map(|next| next.piece.id) => RIGHT_NEXT,
            id if id == before.and_then(|before| before.piece.right_origin) => RIGHT_SAME,
            _ => RIGHT_GIVEN,
        };
        let live = if item.live { LIVE } else { 0 };
        self.out.push(live | if continues { CONTINUES } else { 0 } | origin | right);
        if !continues {
            self.put_id(last, piece.id);
        }
        put_number(&mut self.out, u64::from(piece.len));
        let given = [(origin == ORIGIN_GIVEN, piece.origin), (right == RIGHT_GIVEN, piece.right_origin)];
        for id in given.into_iter().filter_map(|(given, id)| id.filter(|_| given)) {
            self.put_id(Some(piece.id), id);
        }
    }

    /// Writes an id: by its distance from one nearby if that has the same client, else with its client.
    fn put_id(&mut self, near: Option<Id>, id: Id) {
        match near.filter(|near| near.client == id.client) {
            Some(near) => put_number(&mut self.out, zigzag(id.clock, near.clock) << 1),
            None => {
                let number = self.number.get(&id.client).copied().unwrap_or(0);
                put_number(&mut self.out, number << 1 | 1);
                put_number(&mut self.out, u64::from(id.clock));
            }
        }
    }
}

/// Returns the items in order, those that were typed one after the other as one.
fn joined(list: &List) -> Vec<Item> {
    let mut runs: Vec<Item> = Vec::new();
    for item in list.iter() {
        match runs.last_mut() {
            Some(last) if continues(last, item) => last.piece.len += item.piece.len,
            _ => runs.push(*item),
        }
    }
    runs
}

fn continues(last: &Item, item: &Item) -> bool {
    let (a, b) = (&last.piece, &item.piece);
    last.live == item.live
        && a.id.plus(a.len) == b.id
        && b.origin == Some(last.last())
        && a.right_origin == b.right_origin
}

/// Reads what [`write`] gave.
pub(super) fn read(bytes: &[u8]) -> Result<Document, Unreadable> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != VERSION {
        return Err(Unreadable::State);
    }
    let settled = match reader.byte()? {
        0 => false,
        SETTLED => true,
        _ => return Err(Unreadable::State),
    };
    let leftover = reader.text()?.to_owned();
    let blocked = read_numbers(&mut reader)?;
    let clients = read_numbers(&mut reader)?;
    let gone = read_gone(&mut reader, &clients)?;
    let items = read_items(&mut reader, &clients)?;
    let text = reader.text()?;
    reader.end()?;
    let list = fill(&gone, &items, text)?;
    Ok(Document { list, text: text.to_owned().into(), leftover, settled, blocked })
}

fn read_numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, Unreadable> {
    (0..reader.number()?).map(|_| reader.number()).collect()
}

/// Returns the distance between two clocks, small whether up or down.
fn zigzag(clock: u32, near: u32) -> u64 {
    let distance = u64::from(clock.abs_diff(near)) << 1;
    if clock < near { distance - 1 } else { distance }
}

fn unzigzag(zigzag: u64, near: u32) -> Option<u32> {
    let distance = u32::try_from(zigzag.div_ceil(2)).ok()?;
    let clock = if zigzag % 2 == 1 { near.checked_sub(distance) } else { near.checked_add(distance) };
    clock.filter(|&clock| clock <= CLOCK_MAX)
}

fn read_id(reader: &mut Reader<'_>, near: Option<Id>, clients: &[u64]) -> Result<Id, Unreadable> {
    let number = reader.number()?;
    if number % 2 == 0 {
        let near = near.ok_or(Unreadable::State)?;
        return Ok(Id { clock: unzigzag(number >> 1, near.clock).ok_or(Unreadable::State)?, ..near });
    }
    let number = usize::try_from(number >> 1).map_err(|_| Unreadable::State)?;
    let client = *clients.get(number).ok_or(Unreadable::State)?;
    Ok(Id { client, clock: reader.clock()? })
}

fn read_len(reader: &mut Reader<'_>, id: Id) -> Result<u32, Unreadable> {
    match reader.clock()? {
        len if len > 0 && len <= CLOCK_MAX - id.clock => Ok(len),
        _ => Err(Unreadable::State),
    }
}

fn read_gone(reader: &mut Reader<'_>, clients: &[u64]) -> Result<Vec<Piece>, Unreadable> {
    let mut gone = Vec::new();
    for _ in 0..reader.number()? {
        let id = read_id(reader, None, clients)?;
        let len = read_len(reader, id)?;
        gone.push(Piece { id, len, origin: None, right_origin: None, content: Content::Gone });
    }
    Ok(gone)
}

/// Reads the items in order, with whether each is live.
fn read_items(reader: &mut Reader<'_>, clients: &[u64]) -> Result<Vec<(Piece, bool)>, Unreadable> {
    let mut items: Vec<(Piece, bool)> = Vec::new();
    let mut waits_for_next = false;
    for _ in 0..reader.number()? {
        let before = items.last().map(|(piece, _)| *piece);
        let head = reader.byte()?;
        if head >= 0b100_0000 {
            return Err(Unreadable::State);
        }
        let last = before.map(|before| before.id.plus(before.len - 1));
        let id = match last.filter(|_| head & CONTINUES != 0) {
            Some(last) => last.plus(1),
            None => read_id(reader, last, clients)?,
        };
        let len = read_len(reader, id)?;
        let origin = match head & ORIGIN {
            0 => None,
            ORIGIN_BEFORE => last,
            ORIGIN_OWN => Some(Id { clock: id.clock.checked_sub(1).ok_or(Unreadable::State)?, ..id }),
            _ => Some(read_id(reader, Some(id), clients)?),
        };
        let right_origin = match head & RIGHT {
            RIGHT_GIVEN => Some(read_id(reader, Some(id), clients)?),
            RIGHT_SAME => before.and_then(|before| before.right_origin),
            _ => None,
        };
        if let Some((before, _)) = items.last_mut().filter(|_| waits_for_next) {
            before.right_origin = Some(id);
        }
        waits_for_next = head & RIGHT == RIGHT_NEXT;
        items.push((Piece { id, len, origin, right_origin, content: Content::Deleted }, head & LIVE != 0));
    }
    Ok(items)
}

/// Puts the items into a list; refuses ids that are missing or there twice, and a text of another length.
fn fill(gone: &[Piece], items: &[(Piece, bool)], text: &str) -> Result<List, Unreadable> {
    let mut list = List::empty();
    let mut at = match list.keep_text(text) {
        Content::Units(start) => start,
        Content::Deleted | Content::Gone => return Err(Unreadable::State),
    };
    gone.iter().for_each(|&piece| list.push(piece));
    for &(mut piece, live) in items {
        if live {
            piece.content = Content::Units(at);
            at += piece.len as usize;
        }
        list.push(piece);
    }
    if at == utf16_len(text) && list.is_whole() { Ok(list) } else { Err(Unreadable::State) }
}

#[cfg(test)]
mod tests;
