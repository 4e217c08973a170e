//! Rules as text: RRULE as RFC 5545 writes it, the preset words, and the canonical form.

use super::calendar::{OnWeekday, Pattern};
use super::{Basis, COUNT_MAX, End, Frequency, INTERVAL_MAX, Rule, RuleError, TEXT_BYTES_MAX};
use jiff::civil::{Date, Weekday};
use std::fmt::{self, Display, Formatter};
use std::ops::RangeInclusive;
use std::str::FromStr;

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

/// The parts of a rule, in the order in which the canonical text has them.
const PARTS: [&str; 11] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "BYMONTH",
    "BYYEARDAY",
    "BYMONTHDAY",
    "BYDAY",
    "BYSETPOS",
    "WKST",
    "X-HEPH-FROM",
];

/// The parts that a rule counting from completion does not take: it knows distances, not days.
const CALENDAR_PARTS: [&str; 6] = ["BYMONTH", "BYYEARDAY", "BYMONTHDAY", "BYDAY", "BYSETPOS", "WKST"];

impl Rule {
    /// Reads a rule, in either case of letters: a preset (`daily`, `weekly`, `monthly`, `yearly`, `weekdays`), or an
    /// RRULE with or without `RRULE:` in front.
    ///
    /// Read are `FREQ` from `DAILY` to `YEARLY`, `INTERVAL`, `COUNT` or `UNTIL` (of which only the date counts),
    /// `BYMONTH`, `BYYEARDAY`, `BYMONTHDAY`, `BYDAY`, `BYSETPOS`, `WKST`; and `X-HEPH-FROM=DONE`, which counts from the
    /// last completion and goes with `FREQ`, `INTERVAL`, `COUNT` and `UNTIL` alone.
    ///
    /// # Errors
    ///
    /// [`RuleError`] says which part cannot be read and what would be right. A rule that is well formed and fits no
    /// day, such as the 30th of February, is read: it has no occurrence.
    pub fn parse(text: &str) -> Result<Rule, RuleError> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(RuleError::TooLong(text.len()));
        }
        let upper = text.trim().to_ascii_uppercase();
        let rule = match upper.as_str() {
            "DAILY" => "FREQ=DAILY",
            "WEEKLY" => "FREQ=WEEKLY",
            "MONTHLY" => "FREQ=MONTHLY",
            "YEARLY" => "FREQ=YEARLY",
            "WEEKDAYS" => "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            other => other.strip_prefix("RRULE:").unwrap_or(other),
        };
        Parts::split(rule)?.into_rule()
    }
}

/// The values of a rule's parts, by the place of the part in [`PARTS`].
#[derive(Default)]
struct Parts<'a> {
    rule: &'a str,
    values: [Option<&'a str>; PARTS.len()],
}

impl<'a> Parts<'a> {
    fn split(rule: &'a str) -> Result<Parts<'a>, RuleError> {
        let mut parts = Parts { rule, ..Parts::default() };
        for part in rule.strip_suffix(';').unwrap_or(rule).split(';') {
            let (name, value) = part.split_once('=').ok_or_else(|| parts.not_a_rule())?;
            let (name, value) = (name.trim(), value.trim());
            let place = PARTS.iter().position(|known| *known == name);
            let place = place.ok_or_else(|| RuleError::UnknownPart(name.to_owned()))?;
            if parts.values[place].replace(value).is_some() {
                return Err(RuleError::Twice(name.to_owned()));
            }
        }
        Ok(parts)
    }

    fn not_a_rule(&self) -> RuleError {
        RuleError::NotARule(self.rule.to_owned())
    }

    fn get(&self, part: &str) -> Option<&'a str> {
        PARTS.iter().position(|known| *known == part).and_then(|place| self.values[place])
    }

    fn into_rule(self) -> Result<Rule, RuleError> {
        let frequency = self
            .read("FREQ", "DAILY, WEEKLY, MONTHLY or YEARLY", |value| {
                Frequency::ALL.into_iter().find(|frequency| frequency.name() == value)
            })?
            .ok_or_else(|| self.not_a_rule())?;
        let interval = self.read("INTERVAL", "1 to 9999", number_in(1..=INTERVAL_MAX))?.unwrap_or(1);
        let end = self.end()?;
        let from_done = self.read("X-HEPH-FROM", "DONE", |value| (value == "DONE").then_some(()))?.is_some();
        let basis = if from_done { self.done()? } else { Basis::Start(self.pattern(frequency)?) };
        Ok(Rule { frequency, interval, end, basis })
    }

    fn end(&self) -> Result<End, RuleError> {
        let count = self.read("COUNT", "1 to 1000", number_in(1..=COUNT_MAX))?;
        let until = self.read("UNTIL", "a date such as 20261231", date_of)?;
        match (count, until) {
            (Some(_), Some(_)) => Err(RuleError::Beside { part: "COUNT", other: "UNTIL" }),
            (Some(count), None) => Ok(End::Count(count)),
            (None, Some(last)) => Ok(End::Until(last)),
            (None, None) => Ok(End::Never),
        }
    }

    fn done(&self) -> Result<Basis, RuleError> {
        match CALENDAR_PARTS.into_iter().find(|part| self.get(part).is_some()) {
            Some(part) => Err(RuleError::Beside { part, other: "X-HEPH-FROM=DONE" }),
            None => Ok(Basis::Done),
        }
    }

    fn pattern(&self, frequency: Frequency) -> Result<Pattern, RuleError> {
        let pattern = Pattern {
            months: self.list("BYMONTH", "months, 1 to 12", number_in(1..=12))?,
            year_days: self.list("BYYEARDAY", "days, 1 to 366 or -366 to -1", from_either_end(366))?,
            month_days: self.list("BYMONTHDAY", "days, 1 to 31 or -31 to -1", from_either_end(31))?,
            weekdays: self.list("BYDAY", "weekdays such as MO, 1MO or -1FR", on_weekday)?,
            positions: self.list("BYSETPOS", "positions, 1 to 366 or -366 to -1", from_either_end(366))?,
            week_start: self.read("WKST", "a weekday such as MO", weekday_of)?.unwrap_or(Weekday::Monday),
        };
        self.allow(&pattern, frequency)?;
        Ok(pattern)
    }

    /// Refuses what RFC 5545 does: parts that have no meaning beside the frequency.
    fn allow(&self, pattern: &Pattern, frequency: Frequency) -> Result<(), RuleError> {
        use Frequency::{Daily, Weekly, Yearly};
        let numbered = pattern.weekdays.iter().any(|on| on.nth != 0);
        let refused = [
            (numbered && matches!(frequency, Daily | Weekly), "a numbered BYDAY"),
            (!pattern.month_days.is_empty() && frequency == Weekly, "BYMONTHDAY"),
            (!pattern.year_days.is_empty() && frequency != Yearly, "BYYEARDAY"),
        ];
        if let Some((_, part)) = refused.into_iter().find(|(refused, _)| *refused) {
            return Err(RuleError::Beside { part, other: frequency.part() });
        }
        let choosable = ["BYMONTH", "BYYEARDAY", "BYMONTHDAY", "BYDAY"].iter().any(|part| self.get(part).is_some());
        if !pattern.positions.is_empty() && !choosable {
            return Err(RuleError::NothingToChooseFrom);
        }
        Ok(())
    }

    fn read<T>(
        &self,
        part: &'static str,
        takes: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Option<T>, RuleError> {
        let Some(value) = self.get(part) else { return Ok(None) };
        read(value).map(Some).ok_or_else(|| RuleError::Value { part, value: value.to_owned(), takes })
    }

    /// Reads a list, sorted and without repetitions; at most as long as the text allows.
    fn list<T: Listed>(
        &self,
        part: &'static str,
        takes: &'static str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<Vec<T>, RuleError> {
        let Some(value) = self.get(part) else { return Ok(Vec::new()) };
        let item =
            |item: &str| read(item.trim()).ok_or_else(|| RuleError::Value { part, value: item.to_owned(), takes });
        let mut items = value.split(',').map(item).collect::<Result<Vec<T>, RuleError>>()?;
        items.sort_by_key(Listed::place);
        items.dedup_by_key(|item| item.place());
        Ok(items)
    }
}

fn number(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let plain = (1..=4).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { i64::from_str(text).ok() } else { None }
}

fn number_in(range: RangeInclusive<i64>) -> impl Fn(&str) -> Option<i64> {
    move |text| number(text).filter(|number| range.contains(number))
}

fn from_either_end(max: i64) -> impl Fn(&str) -> Option<i64> {
    move |text| number(text).filter(|number| (1..=max).contains(&number.abs()))
}

fn weekday_of(text: &str) -> Option<Weekday> {
    WEEKDAYS.iter().find(|(name, _)| *name == text).map(|(_, weekday)| *weekday)
}

fn on_weekday(text: &str) -> Option<OnWeekday> {
    let (nth, name) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let nth = if nth.is_empty() { 0 } else { from_either_end(53)(nth)? };
    Some(OnWeekday { nth, weekday: weekday_of(name)? })
}

/// Reads `YYYYMMDD`, and the date of `YYYYMMDDTHHMMSS` with or without a `Z`.
fn date_of(text: &str) -> Option<Date> {
    let (date, time) = text.split_once('T').unwrap_or((text, "000000"));
    let time = time.strip_suffix('Z').unwrap_or(time);
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date, 8) || !digits(time, 6) {
        return None;
    }
    Date::new(date[..4].parse().ok()?, date[4..6].parse().ok()?, date[6..].parse().ok()?).ok()
}

impl Frequency {
    const ALL: [Frequency; 4] = [Frequency::Daily, Frequency::Weekly, Frequency::Monthly, Frequency::Yearly];

    fn name(self) -> &'static str {
        self.part().trim_start_matches("FREQ=")
    }

    fn part(self) -> &'static str {
        match self {
            Frequency::Daily => "FREQ=DAILY",
            Frequency::Weekly => "FREQ=WEEKLY",
            Frequency::Monthly => "FREQ=MONTHLY",
            Frequency::Yearly => "FREQ=YEARLY",
        }
    }
}

/// An item of a list, with its place in the canonical order.
trait Listed: Display {
    fn place(&self) -> (i64, i8);
}

impl Listed for i64 {
    fn place(&self) -> (i64, i8) {
        (*self, 0)
    }
}

impl Listed for OnWeekday {
    fn place(&self) -> (i64, i8) {
        (self.nth, self.weekday.to_monday_zero_offset())
    }
}

impl Display for OnWeekday {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.nth != 0 {
            write!(f, "{}", self.nth)?;
        }
        f.write_str(name_of(self.weekday))
    }
}

fn name_of(weekday: Weekday) -> &'static str {
    WEEKDAYS.iter().find(|(_, known)| *known == weekday).map_or("MO", |(name, _)| name)
}

/// The canonical text: the parts in one order, lists sorted, nothing that says what holds anyway. It parses to the
/// same rule.
impl Display for Rule {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.frequency.part())?;
        if self.interval != 1 {
            write!(f, ";INTERVAL={}", self.interval)?;
        }
        match self.end {
            End::Never => {}
            End::Count(count) => write!(f, ";COUNT={count}")?,
            End::Until(last) => write!(f, ";UNTIL={}", last.strftime("%Y%m%d"))?,
        }
        match &self.basis {
            Basis::Start(pattern) => pattern.fmt(f),
            Basis::Done => f.write_str(";X-HEPH-FROM=DONE"),
        }
    }
}

impl Display for Pattern {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write_list(f, "BYMONTH", &self.months)?;
        write_list(f, "BYYEARDAY", &self.year_days)?;
        write_list(f, "BYMONTHDAY", &self.month_days)?;
        write_list(f, "BYDAY", &self.weekdays)?;
        write_list(f, "BYSETPOS", &self.positions)?;
        if self.week_start != Weekday::Monday {
            write!(f, ";WKST={}", name_of(self.week_start))?;
        }
        Ok(())
    }
}

fn write_list<T: Listed>(f: &mut Formatter<'_>, part: &str, list: &[T]) -> fmt::Result {
    for (place, item) in list.iter().enumerate() {
        if place == 0 {
            write!(f, ";{part}={item}")?;
        } else {
            write!(f, ",{item}")?;
        }
    }
    Ok(())
}
