//! Which occurrence of something that repeats is current: a pure function of the rule, the start, and the occurrences
//! marked as done or skipped.
//!
//! Dates are civil dates. This module has no clock and no time zone: two replicas that hold the same ops name the same
//! day, wherever they are and whenever they look.
//!
//! A rule repeats in one of two ways:
//!
//! - *from its start* (the ordinary one): the dates of the calendar that fit the rule, as RFC 5545 reads it. The
//!   current occurrence is the first one after the latest that is marked, so a rule that is edited after twenty
//!   completions goes on from there and never goes back.
//! - *from completion* (`X-HEPH-FROM=DONE`): so long after the day on which the latest marked occurrence was really
//!   done.
//!
//! # Why not a crate
//!
//! The `rrule` crate expands instants in time zones from the start onwards. To use it for dates, without letting a
//! rule written elsewhere spin or cost a third of a second, its input has to be parsed and bounded here anyway, and its
//! start moved forward without losing the phase: that is most of the arithmetic below. What is left is one filter per
//! day. The tests hold this module against that crate on thousands of generated rules.
//!
//! # Why it ends
//!
//! The calendar repeats after 400 years, which are 146,097 days and exactly 20,871 weeks. A rule that finds no date in
//! that many of its periods finds none ever: the search stops there, or after the year 9999. What `COUNT` counts ends
//! as many days after the start, so that no such rule takes longer than one that fits no day.

mod calendar;
mod text;

use calendar::{CYCLE_DAYS, Pattern};
pub use calendar::{FIRST, LAST};
use jiff::Span;
use jiff::civil::Date;

/// How a task repeats: parsed, bounded, and printed by `Display` as the one canonical text that a register holds.
///
/// ```text
/// Rule::parse("weekdays")?.to_string() == "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    frequency: Frequency,
    /// Every how many days, weeks, months or years: 1..=[`INTERVAL_MAX`].
    interval: i64,
    end: End,
    basis: Basis,
}

/// The longest text that is read as a rule, in bytes.
pub const TEXT_BYTES_MAX: usize = 255;

/// The largest `INTERVAL`.
pub const INTERVAL_MAX: i64 = 9_999;

/// The largest `COUNT`: such a rule is counted from its start each time it is asked, so it is over after 400 years.
pub const COUNT_MAX: i64 = 1_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frequency {
    Daily,
    Weekly,
    Monthly,
    Yearly,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Never,
    /// The last occurrence is the one of this number, from 1.
    Count(i64),
    /// No occurrence is later than this day.
    Until(Date),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Basis {
    /// Dates of the calendar, counted from the start.
    Start(Pattern),
    /// So long after the last completion.
    Done,
}

/// Why a text is not a rule that heph repeats by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// The text is longer than [`TEXT_BYTES_MAX`].
    #[error("a rule of {0} bytes is too long, the limit is {TEXT_BYTES_MAX}")]
    TooLong(usize),
    /// Neither a preset nor an RRULE.
    #[error("{0:?} is not a rule; try daily, weekly, monthly, yearly, weekdays, or one like FREQ=WEEKLY;BYDAY=MO,TH")]
    NotARule(String),
    /// A part that heph does not know, or that is about times of day.
    #[error("{0:?} is not a part of a rule that heph can repeat by; it repeats by days, weeks, months and years")]
    UnknownPart(String),
    /// The same part twice.
    #[error("{0} stands twice in the rule")]
    Twice(String),
    /// A value that its part does not allow.
    #[error("{part}={value} cannot be read, {part} takes {takes}")]
    Value {
        /// The part's name.
        part: &'static str,
        /// The value, or the item of the list, as it was written.
        value: String,
        /// What would be right.
        takes: &'static str,
    },
    /// Two parts that exclude each other.
    #[error("{part} cannot stand beside {other}")]
    Beside {
        /// The part that is too much.
        part: &'static str,
        /// What it does not go with.
        other: &'static str,
    },
    /// `BYSETPOS` chooses among the dates that other `BY…` parts give.
    #[error("BYSETPOS needs another part to choose from, such as BYDAY")]
    NothingToChooseFrom,
}

/// Returns the current occurrence: the first of `rule` after the latest marked one, or, with none marked, the first on
/// or after `start`. `None` when the rule has no further occurrence within [`FIRST`]`..=`[`LAST`].
///
/// `marks` are the occurrences that are done or skipped, in any order, each with the date stored as the mark's value,
/// the largest where several heads or several marks give one. Only rules that count from completion look at that date:
/// counted from it is the latest marked occurrence's successor, and never a day that is not after that occurrence, so
/// that every completion moves on. A start set to later than every mark begins anew there.
#[must_use]
pub fn current(rule: &Rule, start: Date, marks: &[(Date, Date)]) -> Option<Date> {
    let Some(&(occurrence, done)) = marks.iter().max() else {
        return rule.on_or_after(start, start);
    };
    match rule.basis {
        Basis::Start(_) => following(rule, start, occurrence),
        Basis::Done if start > occurrence => rule.on_or_after(start, start),
        Basis::Done => {
            let next = rule.step(done, rule.steps_beyond(done, occurrence)).filter(|next| *next <= LAST)?;
            (start >= FIRST && !rule.end.is_before(marked_since(start, marks), next)).then_some(next)
        }
    }
}

/// Returns the first occurrence of `rule` after the day `after`, on the calendar alone: a rule that counts from
/// completion is read as if it counted from `start`. `None` as for [`current`].
#[must_use]
pub fn following(rule: &Rule, start: Date, after: Date) -> Option<Date> {
    rule.on_or_after(start, after.tomorrow().ok()?)
}

/// How many occurrences are marked since the start.
fn marked_since(start: Date, marks: &[(Date, Date)]) -> i64 {
    let mut occurrences: Vec<Date> = marks.iter().map(|mark| mark.0).filter(|day| *day >= start).collect();
    occurrences.sort_unstable();
    occurrences.dedup();
    i64::try_from(occurrences.len()).unwrap_or(i64::MAX)
}

impl Rule {
    /// Returns the first occurrence that is neither before `start` nor before `from`.
    fn on_or_after(&self, start: Date, from: Date) -> Option<Date> {
        if !(FIRST..=LAST).contains(&start) {
            return None;
        }
        let pattern = match &self.basis {
            Basis::Start(pattern) => pattern.anchored(self.frequency, start),
            Basis::Done => return self.step_on_or_after(start, from),
        };
        let next = |from| pattern.next(self.frequency, self.interval, start, from);
        match self.end {
            End::Never => next(from),
            End::Until(last) => next(from).filter(|day| *day <= last),
            End::Count(count) => std::iter::successors(next(start), |day| next(day.tomorrow().ok()?))
                .take(usize::try_from(count).unwrap_or(0))
                .take_while(|day| calendar::days_between(start, *day) <= CYCLE_DAYS)
                .find(|day| *day >= from),
        }
    }

    fn step_on_or_after(&self, start: Date, from: Date) -> Option<Date> {
        let steps = match from.yesterday() {
            Ok(before) if before >= start => self.steps_beyond(start, before),
            _ => 0,
        };
        let day = self.step(start, steps).filter(|day| *day <= LAST)?;
        (!self.end.is_before(steps, day)).then_some(day)
    }

    /// Returns the day that is `steps` intervals after `day`; in a month that is too short, its last day.
    fn step(&self, day: Date, steps: i64) -> Option<Date> {
        let count = steps.checked_mul(self.interval)?;
        let span = match self.frequency {
            Frequency::Daily => Span::new().try_days(count),
            Frequency::Weekly => Span::new().try_weeks(count),
            Frequency::Monthly => Span::new().try_months(count),
            Frequency::Yearly => Span::new().try_years(count),
        };
        day.checked_add(span.ok()?).ok()
    }

    /// Returns how many intervals, at least one, lead from `day` to the first date after `beyond`.
    fn steps_beyond(&self, day: Date, beyond: Date) -> i64 {
        let months = i64::from(beyond.year() - day.year()) * 12 + i64::from(beyond.month() - day.month());
        let units = match self.frequency {
            Frequency::Daily => calendar::days_between(day, beyond),
            Frequency::Weekly => calendar::days_between(day, beyond).div_euclid(7),
            Frequency::Monthly => months,
            Frequency::Yearly => months.div_euclid(12),
        };
        // The quotient is the number of the last step that can lie on or before `beyond`, or one too many where that
        // step's day of the month is the later one.
        let least = units.div_euclid(self.interval).max(1);
        if self.step(day, least).is_some_and(|next| next <= beyond) { least + 1 } else { least }
    }
}

impl End {
    /// Says whether the rule is over when `earlier` occurrences came before the one on `day`.
    fn is_before(self, earlier: i64, day: Date) -> bool {
        match self {
            End::Never => false,
            End::Count(count) => earlier >= count,
            End::Until(last) => day > last,
        }
    }
}

#[cfg(test)]
mod tests;
