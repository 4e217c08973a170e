//! What the command line takes for a date is a date, it sends what it would take again, and a stamp can always be shown.
#![no_main]

#[path = "../../heph-cli/src/dates.rs"]
mod dates;

use arbitrary::Arbitrary;
use heph_fuzz::memory;
use heph_store::field::Value;
use jiff::civil::{Date, DateTime};
use libfuzzer_sys::fuzz_target;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    stamp_ms: i64,
    words: &'a str,
}

fuzz_target!(|input: Input<'_>| {
    memory::within(input.words.len(), 16, || {
        let shown = dates::at(input.stamp_ms);
        assert!(!shown.is_empty() && shown.len() < 64, "{shown:?}");
        let named = ["today", "tomorrow", "yesterday"].contains(&input.words);
        if let Ok(day) = dates::parse_day(input.words) {
            assert!(named || day == input.words, "{:?} became {day:?}", input.words);
            assert_eq!(dates::parse(&day).as_ref(), Ok(&day), "what is sent for a day is a date");
            assert_eq!(day.parse::<Date>().ok().map(|day| day.to_string()), Some(day));
        }
        if let Ok(date) = dates::parse(input.words) {
            assert!(named || date == input.words, "{:?} became {date:?}", input.words);
            let value = value(&date);
            assert_eq!(Value::decode(&value.encode()), Ok(value), "{date} cannot be kept");
        }
    });
    assert_eq!(dates::parse("today"), dates::parse_day("today"));
    assert_eq!(dates::today_text().len(), 10);
});

/// What a register holds of a date that was sent.
fn value(sent: &str) -> Value {
    match sent.len() {
        10 => Value::Date(sent.parse::<Date>().expect("a day is sent as YYYY-MM-DD")),
        _ => Value::DateTime(sent.parse::<DateTime>().expect("a minute is sent as YYYY-MM-DDTHH:MM")),
    }
}
