//! What changed between two texts: first by lines, then, where lines were replaced by lines like them, by words.
//!
//! The result depends on the two texts alone. Work is bounded by their size and by the number of differences;
//! beyond that number a stretch is replaced whole.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use super::wire::utf16_len;

/// The number of differing lines beyond which a stretch is replaced whole.
const LINES_MAX: usize = 2_000;

/// The number of replaced lines, on either side, beyond which none is looked for that is like another.
const ALIKE_MAX: usize = 64;

/// The number of bytes, times lines, beyond which it is not looked for either.
const ALIKE_WORK_MAX: usize = 4_000_000;

/// How alike a line is to itself, twice.
const ALIKE: usize = 10_000;

/// The number of differing words beyond which a stretch is replaced whole.
const WORDS_MAX: usize = 400;

/// A stretch of the old text, in UTF-16 code units, and what stands there in the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hunk<'a> {
    pub at: usize,
    pub deleted: usize,
    pub inserted: &'a str,
}

/// Returns what turns `old` into `new`, from left to right, none touching the next.
pub(super) fn hunks<'a>(old: &str, new: &'a str) -> Vec<Hunk<'a>> {
    compare(old, new, false)
}

/// As [`hunks`], but that lines come and go whole: no word of one stays in another.
pub(super) fn hunks_of_lines<'a>(old: &str, new: &'a str) -> Vec<Hunk<'a>> {
    compare(old, new, true)
}

fn compare<'a>(old: &str, new: &'a str, whole_lines: bool) -> Vec<Hunk<'a>> {
    let mut found = Found { old, new, whole_lines, units: 0, bytes: 0, hunks: Vec::new() };
    found.compare(0..old.len(), 0..new.len(), Grain::Line);
    found.hunks
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Grain {
    Line,
    Word,
}

struct Found<'o, 'n> {
    old: &'o str,
    new: &'n str,
    whole_lines: bool,
    /// How many units the first `bytes` bytes of the old text have.
    units: usize,
    bytes: usize,
    hunks: Vec<Hunk<'n>>,
}

impl Found<'_, '_> {
    fn compare(&mut self, old: Range<usize>, new: Range<usize>, grain: Grain) {
        let (old, new) = match grain {
            Grain::Line => self.trim_lines(old, new),
            Grain::Word => (old, new),
        };
        if old.is_empty() || new.is_empty() {
            return self.replace(old, new);
        }
        let (old_text, new_text) = (&self.old[old.clone()], &self.new[new.clone()]);
        let (old_parts, new_parts) = (parts(old_text, grain), parts(new_text, grain));
        let max = if grain == Grain::Line { LINES_MAX } else { WORDS_MAX };
        let same = same_runs(&old_parts, &new_parts, max);
        let (old_at, new_at) = (offsets(old.start, &old_parts), offsets(new.start, &new_parts));
        let (mut i, mut j) = (0, 0);
        for run in same.into_iter().flatten().chain([Run { old: old_parts.len(), new: new_parts.len(), len: 0 }]) {
            let (old_gap, new_gap) = (old_at[i]..old_at[run.old], new_at[j]..new_at[run.new]);
            match grain {
                Grain::Line => self.compare_lines(old_gap, new_gap),
                Grain::Word => {
                    let (old_gap, new_gap) = self.trim(old_gap, new_gap);
                    self.replace(old_gap, new_gap);
                }
            }
            (i, j) = (run.old + run.len, run.new + run.len);
        }
    }

    /// Compares lines that were replaced: a line with the one that is most like it, by words; the others go and come whole.
    /// Else words that stand in every other line would be taken from one for another, and whoever edits those lines
    /// elsewhere would tear this one apart.
    fn compare_lines(&mut self, old: Range<usize>, new: Range<usize>) {
        if self.whole_lines {
            return self.replace(old, new);
        }
        let (a, b) = (parts(&self.old[old.clone()], Grain::Line), parts(&self.new[new.clone()], Grain::Line));
        let (lines, work) = (a.len().max(b.len()), (old.len() + new.len()).saturating_mul(a.len().max(b.len())));
        if old.is_empty() || new.is_empty() || lines > ALIKE_MAX || work > ALIKE_WORK_MAX {
            return self.compare(old, new, Grain::Word);
        }
        let (old_at, new_at) = (offsets(old.start, &a), offsets(new.start, &b));
        let (mut i, mut j) = (0, 0);
        for (x, y) in alike(&a, &b).into_iter().chain([(a.len(), b.len())]) {
            let (old_gap, new_gap) = (old_at[i]..old_at[x], new_at[j]..new_at[y]);
            // One line for one line is that line, edited.
            if (x - i, y - j) == (1, 1) {
                self.compare(old_gap, new_gap, Grain::Word)
            } else {
                self.replace(old_gap, new_gap)
            }
            if x < a.len() {
                self.compare(old_at[x]..old_at[x + 1], new_at[y]..new_at[y + 1], Grain::Word);
            }
            (i, j) = (x + 1, y + 1);
        }
    }

    /// Takes away what both begin and end with.
    fn trim(&self, old: Range<usize>, new: Range<usize>) -> (Range<usize>, Range<usize>) {
        let (a, b) = (&self.old[old.clone()], &self.new[new.clone()]);
        let front = common_front(a, b);
        let back = common_back(&a[front..], &b[front..]);
        (old.start + front..old.end - back, new.start + front..new.end - back)
    }

    /// Takes away the lines that both begin and end with.
    fn trim_lines(&self, old: Range<usize>, new: Range<usize>) -> (Range<usize>, Range<usize>) {
        let (a, b) = (&self.old[old.clone()], &self.new[new.clone()]);
        let front = a[..common_front(a, b)].rfind('\n').map_or(0, |at| at + 1);
        let (a, b) = (&a[front..], &b[front..]);
        let same = &a[a.len() - common_back(a, b)..];
        let back = same.find('\n').map_or(0, |at| same.len() - at - 1);
        (old.start + front..old.end - back, new.start + front..new.end - back)
    }

    /// Moves what only went, or only came, to the front as far as both texts stay what they are, so that it begins where a
    /// line does: of "x\nx\n" a line goes, not the end of one and the beginning of the next. Who edits the same lines
    /// elsewhere then loses or keeps whole ones.
    fn at_a_line(&self, old: Range<usize>, new: Range<usize>) -> (Range<usize>, Range<usize>) {
        let (text, moved) = match (old.is_empty(), new.is_empty()) {
            (false, true) => (self.old, &old),
            (true, false) => (self.new, &new),
            _ => return (old, new),
        };
        // Before the stretch both are the same, back to the last hunk, which it must not touch.
        let room = (old.start - self.bytes).saturating_sub(usize::from(!self.hunks.is_empty()));
        let before = text.as_bytes();
        let slides = |by: usize| by == 0 || before[moved.start - by] == before[moved.end - by];
        let begins_line = |by: &usize| moved.start == *by || before[moved.start - by - 1] == b'\n';
        match (0..=room).take_while(|by| slides(*by)).find(begins_line) {
            // A line begins behind an end of line or where the text does, so never within a character.
            Some(by) => (old.start - by..old.end - by, new.start - by..new.end - by),
            None => (old, new),
        }
    }

    fn replace(&mut self, old: Range<usize>, new: Range<usize>) {
        if old.is_empty() && new.is_empty() {
            return;
        }
        let (old, new) = self.at_a_line(old, new);
        let is_next = self.bytes == old.start;
        let at = self.units + utf16_len(&self.old[self.bytes..old.start]);
        let deleted = utf16_len(&self.old[old.clone()]);
        (self.units, self.bytes) = (at + deleted, old.end);
        match self.hunks.last_mut().filter(|_| is_next) {
            Some(last) => {
                last.deleted += deleted;
                last.inserted = &self.new[new.start - last.inserted.len()..new.end];
            }
            None => self.hunks.push(Hunk { at, deleted, inserted: &self.new[new] }),
        }
    }
}

/// Pairs lines of which at least half the words are the same, in order, so that the pairs are as alike as possible.
fn alike(old: &[&str], new: &[&str]) -> Vec<(usize, usize)> {
    let (old, new) = (old.iter().map(|line| counted(line)), new.iter().map(|line| counted(line)).collect::<Vec<_>>());
    let old: Vec<_> = old.collect();
    // `best[i][j]`: how alike the pairs are of what is left from old line i and new line j on.
    let mut best = vec![vec![0; new.len() + 1]; old.len() + 1];
    let weight = |i: usize, j: usize| {
        let same: usize =
            old[i].iter().map(|(word, count)| new[j].get(word).map_or(0, |other| *count.min(other))).sum();
        let all: usize = old[i].values().chain(new[j].values()).sum();
        if 4 * same >= all { same * ALIKE / all.max(1) } else { 0 }
    };
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            best[i][j] = best[i + 1][j].max(best[i][j + 1]).max(weight(i, j) + best[i + 1][j + 1]);
        }
    }
    let (mut i, mut j, mut pairs) = (0, 0, Vec::new());
    while i < old.len() && j < new.len() {
        if weight(i, j) > 0 && best[i][j] == weight(i, j) + best[i + 1][j + 1] {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if best[i][j] == best[i + 1][j] {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}

/// How often each word stands in a line; what is no word does not count.
fn counted(line: &str) -> BTreeMap<&str, usize> {
    let mut counts = BTreeMap::new();
    for word in words(line).into_iter().filter(|word| word.chars().any(char::is_alphanumeric)) {
        *counts.entry(word).or_default() += 1;
    }
    counts
}

fn common_front(a: &str, b: &str) -> usize {
    let same = a.bytes().zip(b.bytes()).take_while(|(x, y)| x == y).count();
    // Where characters end is the same in both: it follows from the bytes before.
    (0..=same).rev().find(|&at| a.is_char_boundary(at)).unwrap_or(0)
}

fn common_back(a: &str, b: &str) -> usize {
    let same = a.bytes().rev().zip(b.bytes().rev()).take_while(|(x, y)| x == y).count();
    // Where characters begin is the same in both: it follows from the byte there.
    (0..=same).rev().find(|&at| a.is_char_boundary(a.len() - at)).unwrap_or(0)
}

fn parts(text: &str, grain: Grain) -> Vec<&str> {
    match grain {
        Grain::Line => text.split_inclusive('\n').collect(),
        Grain::Word => words(text),
    }
}

/// Divides a text, which is not empty, into words and single other characters; scripts without spaces count by
/// character.
fn words(text: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut start = 0;
    let mut in_word = false;
    for (at, c) in text.char_indices() {
        let part_of_word = c.is_alphanumeric() && c < '\u{2e80}';
        if at > start && !(in_word && part_of_word) {
            words.push(&text[start..at]);
            start = at;
        }
        in_word = part_of_word;
    }
    words.push(&text[start..]);
    words
}

/// Returns where each part begins, and where the last one ends.
fn offsets(start: usize, parts: &[&str]) -> Vec<usize> {
    let ends = parts.iter().scan(start, |at, part| {
        *at += part.len();
        Some(*at)
    });
    std::iter::once(start).chain(ends).collect()
}

/// Parts that stand in both texts.
#[derive(Debug, Clone, Copy)]
struct Run {
    old: usize,
    new: usize,
    len: usize,
}

/// Finds a shortest script by Myers' greedy algorithm; `None` if it has more than `max` steps.
fn same_runs(old: &[&str], new: &[&str], max: usize) -> Option<Vec<Run>> {
    let (old, new) = number(old, new);
    if old.len().abs_diff(new.len()) > max {
        return None;
    }
    // `reach[d][(k + d) / 2]` is how far diagonal k, of -d, -d + 2 … d, gets into the old text with d steps.
    let mut reach: Vec<Vec<usize>> = Vec::new();
    for d in 0..=max {
        let mut row = Vec::with_capacity(d + 1);
        for turn in 0..=d {
            let x = start(reach.last(), d, turn);
            // Above the start of the old text or beyond the end of the new one there is nothing.
            let y = (x + d).wrapping_sub(2 * turn);
            let same = match (old.get(x..), new.get(y..)) {
                (Some(a), Some(b)) => a.iter().zip(b).take_while(|(a, b)| a == b).count(),
                _ => 0,
            };
            row.push(x + same);
            if x + same == old.len() && y.wrapping_add(same) == new.len() {
                reach.push(row);
                return Some(walk_back(&reach, turn));
            }
        }
        reach.push(row);
    }
    None
}

/// Returns where diagonal `turn` of round `d` begins in the old text: one insertion or deletion after round `d - 1`.
fn start(last: Option<&Vec<usize>>, d: usize, turn: usize) -> usize {
    let Some(last) = last else { return 0 };
    let inserted = last.get(turn).copied();
    let deleted = turn.checked_sub(1).map(|turn| last[turn] + 1);
    debug_assert!(last.len() == d);
    inserted.max(deleted).unwrap_or(0)
}

fn walk_back(reach: &[Vec<usize>], mut turn: usize) -> Vec<Run> {
    let mut runs = Vec::new();
    for d in (0..reach.len()).rev() {
        let last = d.checked_sub(1).map(|d| &reach[d]);
        let (from, to) = (start(last, d, turn), reach[d][turn]);
        if to > from {
            runs.push(Run { old: from, new: from + d - 2 * turn, len: to - from });
        }
        let inserted = last.and_then(|last| last.get(turn).copied());
        if inserted != Some(from) {
            turn = turn.saturating_sub(1);
        }
    }
    runs.reverse();
    runs
}

/// Gives equal parts equal numbers.
fn number<'a>(old: &[&'a str], new: &[&'a str]) -> (Vec<usize>, Vec<usize>) {
    let mut numbers: HashMap<&'a str, usize> = HashMap::new();
    let mut of = |parts: &[&'a str]| -> Vec<usize> {
        let number = |part: &&'a str| {
            let next = numbers.len();
            *numbers.entry(part).or_insert(next)
        };
        parts.iter().map(number).collect()
    };
    (of(old), of(new))
}

#[cfg(test)]
mod tests;
