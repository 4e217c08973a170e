//! A recurrence rule, whoever wrote it: it prints as what it was parsed from means, it always moves on, and it answers
//! in bounded time.
#![no_main]

use arbitrary::Arbitrary;
use heph_fuzz::memory;
use heph_store::recur::{COUNT_MAX, FIRST, LAST, Rule, TEXT_BYTES_MAX, current, following};
use jiff::ToSpan;
use jiff::civil::Date;
use libfuzzer_sys::fuzz_target;
use std::fmt::Write;

/// Occurrences that are looked at in a row.
const STEPS_MAX: usize = 12;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    rule: Text<'a>,
    start: Day,
    /// Occurrences that are marked, by their distance from the start, and the days on which that was done.
    marks: Vec<(i16, i16)>,
    after: Day,
}

#[derive(Debug, Arbitrary)]
enum Text<'a> {
    Any(&'a str),
    Parts { frequency: u8, parts: Vec<Part> },
}

#[derive(Debug, Arbitrary)]
enum Part {
    Interval(u16),
    Count(u16),
    Until(Day),
    Months(Vec<u8>),
    YearDays(Vec<i16>),
    MonthDays(Vec<i8>),
    Weekdays(Vec<(i8, u8)>),
    Positions(Vec<i16>),
    WeekStart(u8),
    FromDone,
}

#[derive(Debug, Clone, Copy, Arbitrary)]
struct Day(u32);

impl Day {
    /// A day of any year; most of them of our time.
    fn date(self) -> Date {
        let days = if self.0 & 1 == 0 { self.0 / 2 % 40_000 } else { self.0 / 2 % 3_652_000 };
        Date::constant(0, 1, 1)
            .saturating_add((if self.0 & 1 == 0 { 711_000 + i64::from(days) } else { days.into() }).days())
    }
}

const WEEKDAYS: [&str; 7] = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"];

fuzz_target!(|input: Input<'_>| {
    let text = input.rule.text();
    memory::within(text.len() + 64 * input.marks.len(), 64, || {
        let Ok(rule) = Rule::parse(&text) else { return };
        prints_back(&rule);
        let start = input.start.date();
        marked(&rule, start, &input.marks);
        moves_on(&rule, start, input.after.date());
    });
});

fn prints_back(rule: &Rule) {
    let canonical = rule.to_string();
    assert!(canonical.len() <= TEXT_BYTES_MAX, "{canonical:?} cannot be kept");
    assert_eq!(Rule::parse(&canonical).as_ref(), Ok(rule), "{canonical:?} is another rule");
    assert_eq!(Rule::parse(&canonical.to_ascii_lowercase()).as_ref(), Ok(rule));
}

fn marked(rule: &Rule, start: Date, marks: &[(i16, i16)]) {
    let day = |days: i16| start.saturating_add(i64::from(days).days());
    let marks: Vec<(Date, Date)> =
        marks.iter().take(16).map(|(occurrence, done)| (day(*occurrence), day(*done))).collect();
    let next = current(rule, start, &marks);
    let mut otherwise = marks.clone();
    otherwise.reverse();
    otherwise.extend_from_within(..);
    assert_eq!(current(rule, start, &otherwise), next, "{rule}: the order of marks decides");
    let Some(next) = next else { return };
    assert!((FIRST..=LAST).contains(&next), "{rule}: {next}");
    let latest = marks.iter().map(|(occurrence, _)| *occurrence).max();
    assert!(latest.is_none_or(|latest| next > latest), "{rule} from {start} does not go on after {latest:?}: {next}");
    assert!(latest.is_some_and(|latest| latest >= start) || next >= start, "{rule}: {next} is before {start}");
}

fn moves_on(rule: &Rule, start: Date, after: Date) {
    let mut day = after;
    for _ in 0..STEPS_MAX {
        let Some(next) = following(rule, start, day) else { return };
        assert!(next > day && next >= start && (FIRST..=LAST).contains(&next), "{rule}: {next} after {day}");
        let before = next.yesterday().expect("an occurrence is not the first of all days");
        assert_eq!(following(rule, start, before), Some(next), "{rule}: {next} is passed over");
        if before >= day {
            let between =
                day.saturating_add((i64::from(day.until(before).map_or(0, |span| span.get_days())) / 2).days());
            assert_eq!(following(rule, start, between), Some(next), "{rule}: {next} is not the first after {day}");
        }
        day = next;
    }
    const { assert!(COUNT_MAX >= STEPS_MAX as i64) };
}

impl Text<'_> {
    fn text(&self) -> String {
        match self {
            Self::Any(text) => (*text).to_owned(),
            Self::Parts { frequency, parts } => {
                let frequency = ["DAILY", "WEEKLY", "MONTHLY", "YEARLY"][usize::from(*frequency) % 4];
                let mut text = format!("FREQ={frequency}");
                for part in parts.iter().take(8) {
                    write!(text, ";{}", part.text()).expect("a text can be written to");
                }
                text
            }
        }
    }
}

impl Part {
    fn text(&self) -> String {
        fn list(name: &str, items: impl Iterator<Item = String>) -> String {
            format!("{name}={}", items.take(12).collect::<Vec<_>>().join(","))
        }
        let weekday = |day: &u8| WEEKDAYS[usize::from(*day) % 7];
        match self {
            Self::Interval(every) => format!("INTERVAL={every}"),
            Self::Count(count) => format!("COUNT={count}"),
            Self::Until(day) => format!("UNTIL={}", day.date().strftime("%Y%m%d")),
            Self::Months(months) => list("BYMONTH", months.iter().map(|month| (month % 13).to_string())),
            Self::YearDays(days) => list("BYYEARDAY", days.iter().map(|day| (day % 367).to_string())),
            Self::MonthDays(days) => list("BYMONTHDAY", days.iter().map(|day| (day % 32).to_string())),
            Self::Weekdays(days) => {
                let nth = |nth: i8| if nth % 6 == 0 { String::new() } else { (nth % 6).to_string() };
                list("BYDAY", days.iter().map(|(number, day)| format!("{}{}", nth(*number), weekday(day))))
            }
            Self::Positions(days) => list("BYSETPOS", days.iter().map(|day| (day % 367).to_string())),
            Self::WeekStart(day) => format!("WKST={}", weekday(day)),
            Self::FromDone => "X-HEPH-FROM=DONE".to_owned(),
        }
    }
}
