//! The definition of a document: its updates, taken in order.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use super::Document;
use super::list::List;
use super::piece::{Content, Piece};
use super::undo::remaining;
use super::wire::{Id, Span, Update, normalize};

/// What a set of updates supplies, before any of it has its place.
pub(super) struct Gathered {
    list: List,
    /// What each id holds, by the first id of each piece.
    supplied: BTreeMap<Id, Piece>,
    /// The pieces in the order of the updates, each with the number of its update.
    pieces: Vec<(usize, Piece)>,
    deletes: Vec<Span>,
    left_out: Vec<LeftOut>,
    /// Whether two updates put the same text in different places, so that the order of arrival could decide.
    moved: bool,
}

/// An update that gives an id to other text than an earlier one.
struct LeftOut {
    number: usize,
    pieces: Vec<Piece>,
    deletes: Vec<Span>,
}

impl Gathered {
    pub fn from_updates(updates: &[&[u8]]) -> Gathered {
        let mut gathered = Gathered {
            list: List::empty(),
            supplied: BTreeMap::new(),
            pieces: Vec::new(),
            deletes: Vec::new(),
            left_out: Vec::new(),
            moved: false,
        };
        for (number, bytes) in updates.iter().enumerate() {
            if let Ok(update) = Update::decode(bytes) {
                gathered.add(number, update);
            }
        }
        gathered
    }

    /// Returns whether an update contradicts an earlier one.
    pub fn left_out(&self, number: usize) -> bool {
        self.left_out.iter().any(|left_out| left_out.number == number)
    }

    /// Returns which ids each update is the first to supply a text of.
    pub fn supplied(&self) -> impl Iterator<Item = (usize, Span)> {
        let texts = self.pieces.iter().filter(|(_, piece)| matches!(piece.content, Content::Units(_)));
        texts.map(|(number, piece)| (*number, Span::new(piece.id, piece.len)))
    }

    fn add(&mut self, number: usize, update: Update<'_>) {
        let pieces: Vec<Piece> = update.structs.iter().map(|item| self.list.keep(item)).collect();
        if pieces.iter().any(|piece| self.contradicts(piece)) {
            self.left_out.push(LeftOut { number, pieces, deletes: update.deletes });
            return;
        }
        for piece in pieces {
            self.supply(number, piece);
        }
        self.deletes.extend(update.deletes);
    }

    fn contradicts(&self, piece: &Piece) -> bool {
        self.overlaps(piece).iter().any(|(there, again)| match (self.list.units(there), self.list.units(again)) {
            (Some(there), Some(again)) => there != again,
            _ => false,
        })
    }

    /// Returns what is already supplied of a piece, beside what the piece says about it.
    fn overlaps(&self, piece: &Piece) -> Vec<(Piece, Piece)> {
        let end = piece.id.plus(piece.len);
        let before = self.supplied.range(..piece.id).next_back().map(|(_, there)| *there);
        let others = before.into_iter().chain(self.supplied.range(piece.id..end).map(|(_, there)| *there));
        others.filter_map(|there| overlap(there, *piece)).collect()
    }

    /// Takes in what is new of a piece; what is deleted in either supply is deleted.
    fn supply(&mut self, number: usize, piece: Piece) {
        let mut rest = Some(piece);
        for (there, again) in self.overlaps(&piece) {
            if !matches!(again.content, Content::Units(_)) {
                self.deletes.push(Span::new(there.id, there.len));
            }
            self.moved |= (there.origin, there.right_origin) != (again.origin, again.right_origin);
            let Some(piece) = rest else { break };
            let skip = there.id.clock - piece.id.clock;
            if skip > 0 {
                self.take(number, piece.first(skip));
            }
            rest = (skip + there.len < piece.len).then(|| piece.without_first(skip + there.len));
        }
        rest.into_iter().for_each(|piece| self.take(number, piece));
    }

    fn take(&mut self, number: usize, piece: Piece) {
        self.supplied.insert(piece.id, piece);
        self.pieces.push((number, piece));
    }

    /// Puts everything in its place, and lists what has none.
    pub fn document(mut self) -> Document {
        self.list.insert(self.pieces.iter().map(|&(_, piece)| piece));
        let deletes = normalize(std::mem::take(&mut self.deletes));
        let all_deleted = self.list.delete(&deletes);
        let unplaced: Vec<(usize, Piece)> =
            self.pieces.iter().filter(|(_, piece)| !self.list.holds(piece.id)).copied().collect();
        let in_place = all_deleted && unplaced.is_empty() && self.left_out.is_empty();
        let settled = in_place && !self.moved && !self.list.is_odd();
        let mut rest = runs(&self.list, &unplaced, &deletes);
        let mut blocked: Vec<u64> = unplaced.iter().map(|(_, piece)| piece.id.client).collect();
        for left_out in &self.left_out {
            let numbered: Vec<(usize, Piece)> = left_out.pieces.iter().map(|&piece| (left_out.number, piece)).collect();
            rest.extend(runs(&self.list, &numbered, &normalize(left_out.deletes.clone())));
            blocked.extend(left_out.pieces.iter().map(|piece| piece.id.client));
        }
        blocked.sort_unstable();
        blocked.dedup();
        Document { text: OnceLock::new(), list: self.list, leftover: lines(rest), settled, blocked }
    }
}

/// Returns what two pieces say about the ids that they share.
fn overlap(there: Piece, again: Piece) -> Option<(Piece, Piece)> {
    let start = there.id.clock.max(again.id.clock);
    let end = (there.id.clock + there.len).min(again.id.clock + again.len);
    if there.id.client != again.id.client || start >= end {
        return None;
    }
    let cut = |piece: Piece| piece.without_first(start - piece.id.clock).first(end - start);
    Some((cut(there), cut(again)))
}

/// Text that was typed in one go.
struct Run {
    number: usize,
    units: Vec<u16>,
}

/// Returns what the pieces insert and nothing deletes, in runs, each numbered by its first update.
fn runs(list: &List, pieces: &[(usize, Piece)], deletes: &[Span]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut ends: BTreeMap<Id, usize> = BTreeMap::new();
    for (number, piece) in pieces {
        let units = list.units(piece).map_or(Vec::new(), |units| remaining(piece.id, units, deletes));
        let before = piece.origin.filter(|origin| origin.plus(1) == piece.id);
        let run = before.and_then(|before| ends.remove(&before)).unwrap_or(runs.len());
        match runs.get_mut(run) {
            Some(run) => run.units.extend(units),
            None => runs.push(Run { number: *number, units }),
        }
        ends.insert(piece.id.plus(piece.len - 1), run);
    }
    runs
}

/// Returns the runs as text, one below the other in the order of their updates.
fn lines(mut runs: Vec<Run>) -> String {
    runs.retain(|run| !run.units.is_empty());
    runs.sort_by_key(|run| run.number);
    let texts: Vec<String> = runs.iter().map(|run| String::from_utf16_lossy(&run.units)).collect();
    texts.join("\n")
}

#[cfg(test)]
mod tests;
