//! The dates of the calendar that fit a pattern, one period (day, week, month or year) at a time.

use super::Frequency;
use jiff::Unit;
use jiff::civil::{Date, Weekday, date};

/// The first day that can be an occurrence. It is a Monday.
pub const FIRST: Date = date(1900, 1, 1);

/// The last day that can be an occurrence.
pub const LAST: Date = date(9999, 12, 31);

/// Days until the calendar repeats, weekdays included. So many periods of any length and interval are a whole number
/// of repetitions, and what they do not contain does not exist.
pub(super) const CYCLE_DAYS: i64 = 146_097;

/// What a day must fit. An empty list allows every day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern {
    /// 1..=12.
    pub(super) months: Vec<i64>,
    /// 1..=366, or counted from the end of the year: -366..=-1.
    pub(super) year_days: Vec<i64>,
    /// 1..=31, or counted from the end of the month: -31..=-1.
    pub(super) month_days: Vec<i64>,
    pub(super) weekdays: Vec<OnWeekday>,
    /// Which of the days that fit in one period count, from 1, or from the end: -1 is the last.
    pub(super) positions: Vec<i64>,
    pub(super) week_start: Weekday,
}

/// A weekday, every one of the period (`nth` is 0) or its nth, from the end where negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OnWeekday {
    pub(super) nth: i64,
    pub(super) weekday: Weekday,
}

impl Pattern {
    /// Returns the pattern with what it leaves open taken from the start: its weekday, day of the month, month.
    pub(super) fn anchored(&self, frequency: Frequency, start: Date) -> Pattern {
        let mut pattern = self.clone();
        if !(self.year_days.is_empty() && self.month_days.is_empty() && self.weekdays.is_empty()) {
            return pattern;
        }
        match frequency {
            Frequency::Daily => {}
            Frequency::Weekly => pattern.weekdays.push(OnWeekday { nth: 0, weekday: start.weekday() }),
            Frequency::Monthly => pattern.month_days.push(i64::from(start.day())),
            Frequency::Yearly => {
                pattern.month_days.push(i64::from(start.day()));
                if self.months.is_empty() {
                    pattern.months.push(i64::from(start.month()));
                }
            }
        }
        pattern
    }

    /// Returns the first day that fits, neither before `start` nor before `from`, in every `interval`th period from the
    /// one of `start`.
    ///
    /// ```text
    ///   start            from
    ///     |                |
    /// [ 0 ] . [ 1 ] . [ 2 ] . [ 3 ]     interval 2: the search begins in the last period
    ///                 begin             whose first day is not after `from`
    /// ```
    pub(super) fn next(&self, frequency: Frequency, interval: i64, start: Date, from: Date) -> Option<Date> {
        let from = from.max(start);
        let origin = self.period(frequency, start);
        let begin = (self.period(frequency, from) - origin).div_euclid(interval);
        (begin..=begin + CYCLE_DAYS / frequency.days_min())
            .map(|number| self.first_day(frequency, origin + number * interval))
            .take_while(|first| first.is_some_and(|day| day <= LAST))
            .flatten()
            .find_map(|first| self.fitting(frequency, first).into_iter().find(|day| *day >= from))
    }

    /// Returns the days that fit in the period that begins on `first`.
    fn fitting(&self, frequency: Frequency, first: Date) -> Vec<Date> {
        let mut days: Vec<Date> = std::iter::successors(Some(first), |day| day.tomorrow().ok())
            .take(frequency.length(first))
            .filter(|day| self.fits(frequency, *day))
            .collect();
        if !self.positions.is_empty() {
            let count = signed(days.len());
            let mut position = 0;
            days.retain(|_| {
                position += 1;
                either_end(&self.positions, position, count)
            });
        }
        days
    }

    fn fits(&self, frequency: Frequency, day: Date) -> bool {
        let month_length = i64::from(day.days_in_month());
        (self.months.is_empty() || self.months.contains(&i64::from(day.month())))
            && either_end(&self.month_days, i64::from(day.day()), month_length)
            && either_end(&self.year_days, i64::from(day.day_of_year()), i64::from(day.days_in_year()))
            && (self.weekdays.is_empty() || self.on_weekday(frequency, day))
    }

    fn on_weekday(&self, frequency: Frequency, day: Date) -> bool {
        let (number, length) = if frequency == Frequency::Yearly && self.months.is_empty() {
            (i64::from(day.day_of_year()), i64::from(day.days_in_year()))
        } else {
            (i64::from(day.day()), i64::from(day.days_in_month()))
        };
        let (nth, from_end) = ((number - 1) / 7 + 1, -((length - number) / 7 + 1));
        let weekday = day.weekday();
        self.weekdays.iter().any(|on| on.weekday == weekday && [0, nth, from_end].contains(&on.nth))
    }

    /// Numbers the periods: consecutive ones have consecutive numbers.
    fn period(&self, frequency: Frequency, day: Date) -> i64 {
        match frequency {
            Frequency::Daily => days_between(FIRST, day),
            Frequency::Weekly => (days_between(FIRST, day) - self.week_offset()).div_euclid(7),
            Frequency::Monthly => i64::from(day.year()) * 12 + i64::from(day.month()) - 1,
            Frequency::Yearly => i64::from(day.year()),
        }
    }

    /// Returns the first day of the period with this number; `None` if that is no date at all.
    fn first_day(&self, frequency: Frequency, number: i64) -> Option<Date> {
        match frequency {
            Frequency::Daily => days_after_first(number),
            Frequency::Weekly => days_after_first(number.checked_mul(7)? + self.week_offset()),
            Frequency::Monthly => {
                let month = i8::try_from(number.rem_euclid(12) + 1).ok()?;
                Date::new(i16::try_from(number.div_euclid(12)).ok()?, month, 1).ok()
            }
            Frequency::Yearly => Date::new(i16::try_from(number).ok()?, 1, 1).ok(),
        }
    }

    fn week_offset(&self) -> i64 {
        i64::from(self.week_start.to_monday_zero_offset())
    }
}

impl Frequency {
    /// Days in the shortest period.
    fn days_min(self) -> i64 {
        match self {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            Frequency::Monthly => 28,
            Frequency::Yearly => 365,
        }
    }

    /// Days in the period that begins on `first`.
    fn length(self, first: Date) -> usize {
        let days = match self {
            Frequency::Daily => 1,
            Frequency::Weekly => 7,
            Frequency::Monthly => i16::from(first.days_in_month()),
            Frequency::Yearly => first.days_in_year(),
        };
        usize::try_from(days).unwrap_or(0)
    }
}

/// Says whether `list`, if it has any, names the item of this number (from 1) among `count`, from either end.
fn either_end(list: &[i64], number: i64, count: i64) -> bool {
    list.is_empty() || list.contains(&number) || list.contains(&(number - count - 1))
}

/// Days from one date to another, negative if that is earlier.
pub(super) fn days_between(from: Date, to: Date) -> i64 {
    let span = from.until((Unit::Day, to)).expect("two dates of the calendar are less than 7.4 million days apart");
    i64::from(span.get_days())
}

fn days_after_first(days: i64) -> Option<Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    FIRST.checked_add(span).ok()
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
