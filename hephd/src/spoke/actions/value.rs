//! What a person wrote, as values: titles, dates, rules, names of tags. Parsed once, refused in words.

use heph_api::types::Attention;
use heph_store::field::{Field, Value};
use heph_store::natural;
use heph_store::recur::{self, Rule, RuleError};
use jiff::civil::{Date, DateTime};

use crate::spoke::refusal::Refusal;

/// The longest title or name, in bytes.
pub const TITLE_BYTES_MAX: usize = 4096;

/// The field of this name.
pub fn field(name: &str) -> Field {
    Field::new(name).expect("the names of this program's own fields are visible ASCII, at most 200 bytes")
}

/// Reads one line that is not empty: a title, a name.
pub fn one_line(what: &str, text: &str) -> Result<String, Refusal> {
    let line = text.trim();
    if line.is_empty() {
        return Err(Refusal::bad_request(format!("{what} is empty")));
    }
    if line.contains(['\n', '\r', '\0']) {
        return Err(Refusal::bad_request(format!("{what} is more than one line")));
    }
    if line.len() > TITLE_BYTES_MAX {
        let message = format!("{what} of {} bytes is too long, the limit is {TITLE_BYTES_MAX}", line.len());
        return Err(Refusal::new(heph_api::code::TOO_LARGE, message));
    }
    Ok(line.to_owned())
}

/// Reads a day, `YYYY-MM-DD`.
pub fn day(what: &str, text: &str) -> Result<Date, Refusal> {
    written_day(text).ok_or_else(|| Refusal::bad_request(format!("{what}: {text:?} is not a date, YYYY-MM-DD")))
}

/// Reads a day, or a day and a time of day, `YYYY-MM-DDTHH:MM`.
pub fn date(what: &str, text: &str) -> Result<Value, Refusal> {
    let read = written_day(text).map(Value::Date).or_else(|| written_minute(text).map(Value::DateTime));
    read.ok_or_else(|| Refusal::bad_request(format!("{what}: {text:?} is not a date, YYYY-MM-DD or YYYY-MM-DDTHH:MM")))
}

/// Only what heph itself would write is a date: jiff reads more.
fn written_day(text: &str) -> Option<Date> {
    let date: Date = text.parse().ok()?;
    (text.len() == 10 && date.to_string() == text).then_some(date)
}

fn written_minute(text: &str) -> Option<DateTime> {
    let (day, minute) = text.split_once('T')?;
    let time: jiff::civil::Time = format!("{minute}:00").parse().ok()?;
    let same = time.strftime("%H:%M").to_string() == minute;
    written_day(day).filter(|_| same).map(|day| day.to_datetime(time))
}

/// Reads a rule, and checks that it has an occurrence from `start` on.
pub fn rule(text: &str, start: Date) -> Result<Rule, Refusal> {
    let rule = Rule::parse(text).map_err(|why| no_rule(text, &why))?;
    match recur::current(&rule, start, &[]) {
        Some(_) => Ok(rule),
        None => Err(Refusal::bad_request(format!("recurrence: {text:?} fits no day from {start} on"))),
    }
}

/// Says why a text is no rule, in the letters in which it was typed.
fn no_rule(text: &str, why: &RuleError) -> Refusal {
    let why = match why {
        RuleError::NotARule(_) => RuleError::NotARule(text.trim().to_owned()).to_string(),
        _ => why.to_string(),
    };
    Refusal::bad_request(format!("recurrence: {why}"))
}

/// The word under which a person knows a rule: a preset's, where it is one.
pub fn rule_words(canonical: &str) -> String {
    let presets = ["daily", "weekly", "monthly", "yearly", "weekdays"];
    let is = |preset: &&str| Rule::parse(preset).is_ok_and(|rule| rule.to_string() == canonical);
    presets.iter().find(|preset| is(preset)).map_or_else(|| canonical.to_owned(), |preset| (*preset).to_owned())
}

/// The word that stands for it in a register.
pub fn attention(attention: Attention) -> &'static str {
    match attention {
        Attention::Red => "red",
        Attention::Orange => "orange",
        Attention::White => "white",
        Attention::Blue => "blue",
    }
}

/// Reads a tag's name, with or without `#` in front.
pub fn tag_name(text: &str) -> Result<String, Refusal> {
    let name = one_line("a tag's name", text.trim().trim_start_matches('#'))?;
    match natural::tag_key(&name).is_empty() {
        true => Err(Refusal::bad_request("a tag's name is empty")),
        false => Ok(name),
    }
}

/// Reads how many rows are asked for.
pub fn limit(asked: Option<u32>, usual: u32, most: u32) -> Result<usize, Refusal> {
    let limit = asked.unwrap_or(usual);
    match (1..=most).contains(&limit) {
        true => Ok(limit as usize),
        false => Err(Refusal::bad_request(format!("limit: {limit} is not in 1 to {most}"))),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use jiff::civil::date as on;

    use super::*;

    #[test]
    fn dates_are_read_as_they_are_written_and_nothing_else_is() {
        assert_eq!(date("do_date", "2028-02-29").unwrap(), Value::Date(on(2028, 2, 29)));
        assert_eq!(date("do_date", "2026-12-24T18:00").unwrap(), Value::DateTime(on(2026, 12, 24).at(18, 0, 0, 0)));
        for bad in [
            "2026-02-29",
            "20261224",
            "-000001-01-01",
            "2026-12-24T18",
            "2026-12-24T24:00",
            "2026-12-24T18:00:05",
            "",
            "soon",
        ] {
            assert!(date("do_date", bad).is_err(), "{bad} was taken for a date");
        }
    }

    #[test]
    fn presets_are_shown_as_they_are_typed() {
        for preset in ["daily", "weekly", "monthly", "yearly", "weekdays"] {
            let canonical = rule(preset, on(2026, 1, 1)).unwrap().to_string();
            assert_eq!(rule_words(&canonical), preset);
        }
        assert_eq!(rule_words("FREQ=WEEKLY;BYDAY=MO"), "FREQ=WEEKLY;BYDAY=MO");
    }

    #[test]
    fn a_rule_without_a_day_is_refused() {
        assert!(rule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", on(2026, 1, 1)).is_err());
        let why = rule("now and then", on(2026, 1, 1)).unwrap_err();
        assert!(
            why.message().starts_with("recurrence: \"now and then\" is not a rule; try daily"),
            "{}",
            why.message()
        );
    }

    #[test]
    fn a_tag_has_a_name() {
        assert_eq!(tag_name("#home/garden").unwrap(), "home/garden");
        for bad in ["", "#", "  ", "a\nb"] {
            assert!(tag_name(bad).is_err(), "{bad:?} was taken for a tag");
        }
    }

    #[test]
    fn limits_hold() {
        assert_eq!(limit(None, 100, 1000).unwrap(), 100);
        assert!(limit(Some(0), 100, 1000).is_err());
        assert!(limit(Some(1001), 100, 1000).is_err());
    }
}
