//! What takes an update back: its insertions deleted, its deletions inserted again at their place.
//!
//! A unit that is inserted again gets as its clock the number of units that the undone update deleted before it, in
//! the order of their ids. So whoever undoes that update with the same client id gives it the same id, and whoever
//! knows the client ids finds what was put back of a deleted text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Range;

use super::Undoing;
use super::list::{Item, List};
use super::piece::Piece;
use super::wire::{CLOCK_MAX, Content, Id, Span, Update, normalize};
use super::write::Writer;

/// What an update deleted that others had inserted, and the client that inserts it again.
pub(super) struct Removal {
    client: u64,
    spans: Vec<Span>,
    /// Per span, how many units were removed before it.
    before: Vec<u32>,
}

impl Removal {
    pub fn of(update: &Update<'_>, client: u64) -> Removal {
        let spans = without(&normalize(update.deletes.clone()), &inserted(update));
        let before = spans.iter().scan(0u32, |before, span| {
            let units = *before;
            *before = before.saturating_add(span.end - span.start);
            Some(units)
        });
        Removal { client, before: before.collect(), spans }
    }

    /// Returns the parts of `span` that were removed, each with the first id that its text gets when put back.
    fn copies(&self, span: Span) -> impl Iterator<Item = (Span, Id)> {
        let from = self.spans.partition_point(|removed| (removed.client, removed.end) <= (span.client, span.start));
        let removed = self.spans.iter().zip(&self.before).skip(from);
        let meets = move |removed: &Span| removed.client == span.client && removed.start < span.end;
        removed.take_while(move |(removed, _)| meets(removed)).map(move |(removed, before)| {
            let start = removed.start.max(span.start);
            let clock = before.saturating_add(start - removed.start);
            (Span { start, end: removed.end.min(span.end), ..span }, Id { client: self.client, clock })
        })
    }

    fn units(&self) -> u64 {
        self.spans.iter().map(|span| u64::from(span.end - span.start)).sum()
    }
}

/// Returns the updates that take `undone` back in the document of `list`, which remembers deleted text. `own` is its
/// removal, `others` are those of the other updates; no update is longer or has more sources than the last two say.
pub(super) fn undo(
    list: &List,
    undone: &Update<'_>,
    own: &Removal,
    others: &[Removal],
    sources: &Sources,
    (bytes_max, sources_max): (usize, usize),
) -> Vec<Undoing> {
    let first = Id { client: own.client, clock: list.next_clock(own.client) };
    let mut writer = Writer::new(first, bytes_max);
    writer.cut_at(sources.cuts(sources_max).into_iter().filter(|cut| *cut > first.clock).collect());
    if own.units() <= u64::from(CLOCK_MAX) {
        restore(list, own, others, &mut writer);
    }
    for span in shown(list, inserted(undone), others) {
        writer.delete(span);
    }
    let updates = writer.finish().into_iter();
    updates.map(|update| Undoing { repeats: sources.of_update(&update), update }).collect()
}

/// Which update supplied what was removed: each run by the clocks that its text gets when put back, and the number of
/// the update; in order, and no two of a clock.
pub(super) struct Sources(Vec<(Range<u32>, usize)>);

impl Sources {
    pub fn of(removal: &Removal, supplied: impl Iterator<Item = (usize, Span)>) -> Sources {
        let copies = supplied.flat_map(|(number, span)| removal.copies(span).map(move |copy| (number, copy)));
        let runs = copies.map(|(number, (part, copy))| (copy.clock..copy.plus(part.end - part.start).clock, number));
        let mut runs: Vec<_> = runs.collect();
        runs.sort_unstable_by_key(|(clocks, _)| clocks.start);
        Sources(runs)
    }

    /// Returns where to begin another update, so that each has at most `max` sources.
    fn cuts(&self, max: usize) -> Vec<u32> {
        let (mut cuts, mut held) = (Vec::new(), BTreeSet::new());
        for (clocks, number) in &self.0 {
            if held.len() == max && !held.contains(number) {
                cuts.push(clocks.start);
                held.clear();
            }
            held.insert(number);
        }
        cuts
    }

    /// Returns which updates supplied the text that an update puts back.
    fn of_update(&self, update: &[u8]) -> Vec<usize> {
        let Ok(update) = Update::decode(update) else { return Vec::new() };
        let texts = update.structs.iter().filter(|item| matches!(item.content, Content::Text(_)));
        let mut numbers = BTreeSet::new();
        for item in texts {
            let (start, end) = (item.id.clock, item.id.plus(item.len).clock);
            let from = self.0.partition_point(|(clocks, _)| clocks.end <= start);
            let fed = self.0[from..].iter().take_while(|(clocks, _)| clocks.start < end);
            numbers.extend(fed.map(|(_, number)| *number));
        }
        numbers.into_iter().collect()
    }
}

pub(super) fn inserted(update: &Update<'_>) -> Vec<Span> {
    normalize(update.structs.iter().map(|item| Span::new(item.id, item.len)).collect())
}

/// Returns what still shows of some ids: themselves, or the copies that undoing their deletion made.
fn shown(list: &List, ids: Vec<Span>, removals: &[Removal]) -> Vec<Span> {
    let mut shown = Vec::new();
    let mut seen = ids.clone();
    let mut next = ids;
    while !next.is_empty() {
        shown.extend(next.iter().flat_map(|&span| live(list, span)));
        let copies = next.iter().flat_map(|&span| copies(list, span, removals)).map(|(_, copy)| copy);
        next = without(&normalize(copies.collect()), &seen);
        seen = normalize([seen, next.clone()].concat());
    }
    shown
}

/// Returns the parts of `span` that were put back, each with its copy.
fn copies(list: &List, span: Span, removals: &[Removal]) -> Vec<(Span, Span)> {
    let mut here = Vec::new();
    for (part, copy) in removals.iter().flat_map(|removal| removal.copies(span)) {
        let held = list.next_clock(copy.client).saturating_sub(copy.clock).min(part.end - part.start);
        if held > 0 {
            here.push((Span { end: part.start + held, ..part }, Span::new(copy, held)));
        }
    }
    here
}

/// Returns the ids of `spans` that are not in `others`; both are normalized.
pub(super) fn without(spans: &[Span], others: &[Span]) -> Vec<Span> {
    let mut rest = Vec::new();
    for &span in spans {
        let mut start = span.start;
        let from = others.partition_point(|other| (other.client, other.end) <= (span.client, span.start));
        for other in others[from..].iter().take_while(|other| other.client == span.client && other.start < span.end) {
            if other.start > start {
                rest.push(Span { start, end: other.start, ..span });
            }
            start = start.max(other.end);
        }
        if start < span.end {
            rest.push(Span { start, ..span });
        }
    }
    rest
}

fn live(list: &List, span: Span) -> Vec<Span> {
    let parts = parts(list, span).into_iter().filter(|part| part.item.is_some_and(|item| item.live));
    parts.map(|part| Span::new(part.id, part.len)).collect()
}

/// A stretch of ids within one item, or not here.
#[derive(Clone, Copy)]
struct Part<'a> {
    id: Id,
    len: u32,
    item: Option<&'a Item>,
}

impl Part<'_> {
    fn last(&self) -> Id {
        self.id.plus(self.len - 1)
    }

    /// Returns the deleted item that this is a part of, and the part as a piece of its own.
    fn deleted(&self) -> Option<(&Item, Piece)> {
        let item = self.item.filter(|item| !item.live)?;
        let piece = item.piece.without_first(self.id.clock - item.piece.id.clock);
        Some((item, piece.first(self.len)))
    }
}

fn parts(list: &List, span: Span) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut id = Id { client: span.client, clock: span.start };
    while id.clock < span.end {
        let item = list.item(id);
        let end = item.map_or(span.end, |item| item.last().clock + 1).min(span.end);
        parts.push(Part { id, len: end - id.clock, item });
        id.clock = end;
    }
    parts
}

/// Deleted text that is inserted again in one piece.
struct Run {
    last: Id,
    len: u32,
    /// The deleted units and what stands to their right; `None` where the text is not known here.
    text: Option<(Vec<u16>, Option<Id>)>,
}

/// Inserts what `own` removed, but for what is back already because others removed it, too, or was put back as `own`'s
/// before: its ids are used, whether it shows or was deleted again.
fn restore(list: &List, own: &Removal, others: &[Removal], writer: &mut Writer<'_>) {
    let used = list.next_clock(own.client);
    let unused = own.spans.iter().zip(&own.before).filter_map(|(&span, before)| {
        let start = span.start + used.saturating_sub(*before).min(span.end - span.start);
        (start < span.end).then_some(Span { start, ..span })
    });
    let mut runs: Vec<Run> = unused.flat_map(|span| runs_missing(list, span, others)).collect();
    let known = runs.iter().rposition(|run| run.text.is_some());
    runs.truncate(known.map_or(0, |last| last + 1));
    for run in runs {
        match run.text {
            Some((units, right)) => {
                writer.insert(Some(run.last), right, Cow::Owned(String::from_utf16_lossy(&units)));
            }
            None => writer.fill(run.len),
        }
    }
}

/// Returns the runs of `span`, without the text of those that are back already.
fn runs_missing(list: &List, span: Span, others: &[Removal]) -> Vec<Run> {
    let back = normalize(copies(list, span, others).into_iter().map(|(part, _)| part).collect());
    let mut runs: Vec<Run> = without(&[span], &back).into_iter().flat_map(|part| runs(list, part)).collect();
    runs.extend(back.into_iter().map(|part| Run {
        last: Id { client: part.client, clock: part.end - 1 },
        len: part.end - part.start,
        text: None,
    }));
    runs.sort_by_key(|run| run.last);
    runs
}

fn runs(list: &List, span: Span) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for part in parts(list, span) {
        let next = run(list, &part);
        match runs.last_mut() {
            Some(last) if joins(last, &part, &next) => last.extend(next),
            _ => runs.push(next),
        }
    }
    runs
}

fn run(list: &List, part: &Part<'_>) -> Run {
    let last = part.last();
    let text = part.deleted().and_then(|(item, piece)| {
        let right = if last == item.last() { list.right_of(item) } else { Some(last.plus(1)) };
        Some((list.units(&piece)?.to_vec(), right))
    });
    Run { last, len: part.len, text }
}

/// Returns whether two runs still stand side by side, or share a character.
fn joins(last: &Run, part: &Part<'_>, next: &Run) -> bool {
    let (Some((units, right)), Some((more, _))) = (&last.text, &next.text) else {
        return false;
    };
    let halves = matches!((units.last(), more.first()), (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)));
    halves || *right == Some(part.id)
}

impl Run {
    fn extend(&mut self, next: Run) {
        if let (Some((units, right)), Some((more, after))) = (&mut self.text, next.text) {
            units.extend(more);
            *right = after;
        }
        self.len += next.len;
        self.last = next.last;
    }
}

/// Returns the text of `units` that no span deletes.
pub(super) fn remaining(id: Id, units: &[u16], deleted: &[Span]) -> Vec<u16> {
    let spans = without(&[Span::new(id, units.len() as u32)], deleted);
    let range = |span: &Span| (span.start - id.clock) as usize..(span.end - id.clock) as usize;
    spans.iter().filter_map(|span| units.get(range(span))).flatten().copied().collect()
}

#[cfg(test)]
mod tests;
