//! Date words to civil dates, in the caller's own time zone: the daemon is never asked what today is.

use jiff::{ToSpan, Zoned, civil};

/// Returns what is sent for a date, with or without a time of day.
pub fn parse(words: &str) -> Result<String, String> {
    day(words, today)
        .ok()
        .or_else(|| moment(words))
        .ok_or_else(|| "expected YYYY-MM-DD, YYYY-MM-DDTHH:MM, today, tomorrow or yesterday".to_owned())
}

/// Returns what is sent for a day.
pub fn parse_day(words: &str) -> Result<String, String> {
    day(words, today)
}

/// Returns today's date, as the person's calendar has it.
pub fn today_text() -> String {
    today().to_string()
}

/// Returns the author's clock as the person's calendar and clock have it.
pub fn at(stamp_ms: i64) -> String {
    match jiff::Timestamp::from_millisecond(stamp_ms) {
        Ok(at) => at.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Err(_) => format!("{stamp_ms} ms"), // No calendar reaches there: the author's clock was off.
    }
}

fn today() -> civil::Date {
    Zoned::now().date()
}

fn day(words: &str, today: impl FnOnce() -> civil::Date) -> Result<String, String> {
    let days = match words {
        "today" => 0,
        "tomorrow" => 1,
        "yesterday" => -1,
        _ => return written(words),
    };
    today().checked_add(days.days()).map(|date| date.to_string()).map_err(|error| error.to_string())
}

/// Returns a date that stands there as it is sent. jiff reads and writes more than heph takes: other forms, and years
/// before the first.
fn written(words: &str) -> Result<String, String> {
    match words.parse::<civil::Date>() {
        Ok(date) if date.to_string() == words && words.len() == "YYYY-MM-DD".len() => Ok(date.to_string()),
        _ => Err("expected YYYY-MM-DD, today, tomorrow or yesterday".to_owned()),
    }
}

fn moment(words: &str) -> Option<String> {
    let (date, time) = words.split_once('T')?;
    let with_seconds = format!("{time}:00");
    let time_of_day: civil::Time = with_seconds.parse().ok()?;
    (time_of_day.to_string() == with_seconds).then(|| written(date)).and_then(Result::ok).map(|_| words.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new_years_eve() -> civil::Date {
        civil::date(2026, 12, 31)
    }

    #[test]
    fn words_are_days_from_today() {
        for (words, date) in [("today", "2026-12-31"), ("tomorrow", "2027-01-01"), ("yesterday", "2026-12-30")] {
            assert_eq!(day(words, new_years_eve).as_deref(), Ok(date));
        }
    }

    #[test]
    fn a_date_is_sent_as_written_and_nothing_else_is_one() {
        assert_eq!(parse("2028-02-29").as_deref(), Ok("2028-02-29"));
        assert_eq!(parse("2026-12-24T18:00").as_deref(), Ok("2026-12-24T18:00"));
        let forms = ["2026-02-29", "20261224", "24.12.2026", "2026-12-24T18", "2026-12-24T24:00", "-002028-02-29"];
        for bad in forms.into_iter().chain(["soon", "", "-002028-02-29T19:00"]) {
            assert!(parse(bad).is_err(), "{bad} was taken for a date");
        }
        assert!(parse_day("2026-12-24T18:00").is_err());
        assert!(parse("soon").unwrap_err().contains("YYYY-MM-DDTHH:MM"));
    }

    #[test]
    fn stamps_off_every_calendar_are_still_shown() {
        assert_eq!(at(i64::MAX), format!("{} ms", i64::MAX));
    }
}
