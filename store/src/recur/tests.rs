use super::*;
use jiff::civil::date;
use proptest::prelude::*;

fn rule(text: &str) -> Rule {
    Rule::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn day(text: &str) -> Date {
    text.parse().expect("a date")
}

/// The first `count` occurrences from `start`, as heph would walk through them by marking one after the other.
fn walk(rule: &Rule, start: &str, count: usize) -> Vec<String> {
    let mut marks = Vec::new();
    let mut seen = Vec::new();
    while let Some(next) = current(rule, day(start), &marks) {
        if seen.len() == count {
            break;
        }
        marks.push((next, next));
        seen.push(next.to_string());
    }
    seen
}

#[track_caller]
fn check(text: &str, start: &str, expected: &[&str]) {
    assert_eq!(walk(&rule(text), start, expected.len()), expected, "{text} from {start}");
}

/// Like `check`, where nothing may follow.
#[track_caller]
fn check_all(text: &str, start: &str, expected: &[&str]) {
    assert_eq!(walk(&rule(text), start, expected.len() + 1), expected, "{text} from {start}");
}

#[test]
fn presets() {
    check("daily", "2026-12-31", &["2026-12-31", "2027-01-01"]);
    check("weekly", "2026-11-18", &["2026-11-18", "2026-11-25", "2026-12-02"]);
    check("monthly", "2026-11-05", &["2026-11-05", "2026-12-05", "2027-01-05"]);
    check("yearly", "2026-11-05", &["2026-11-05", "2027-11-05"]);
    // The 20th of November 2026 is a Friday; a start on the weekend waits for Monday.
    check("weekdays", "2026-11-20", &["2026-11-20", "2026-11-23", "2026-11-24"]);
    check("weekdays", "2026-11-21", &["2026-11-23"]);
}

#[test]
fn month_ends_and_leap_days() {
    check("monthly", "2026-01-31", &["2026-01-31", "2026-03-31", "2026-05-31", "2026-07-31"]);
    check("FREQ=MONTHLY;BYMONTHDAY=-1", "2027-12-01", &["2027-12-31", "2028-01-31", "2028-02-29", "2028-03-31"]);
    check("FREQ=MONTHLY;BYMONTHDAY=30,-1", "2027-01-30", &["2027-01-30", "2027-01-31", "2027-02-28", "2027-03-30"]);
    check("yearly", "2024-02-29", &["2024-02-29", "2028-02-29", "2032-02-29"]);
    check("yearly", "2096-02-29", &["2096-02-29", "2104-02-29"]);
    check("FREQ=YEARLY;BYYEARDAY=-1,60", "2027-01-01", &["2027-03-01", "2027-12-31", "2028-02-29"]);
    check("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=-1", "2027-01-01", &["2027-02-28", "2028-02-29", "2029-02-28"]);
}

#[test]
fn weekdays_of_a_month() {
    check("FREQ=MONTHLY;BYDAY=1MO", "2026-11-03", &["2026-12-07", "2027-01-04"]);
    check("FREQ=MONTHLY;BYDAY=-1FR", "2026-11-01", &["2026-11-27", "2026-12-25", "2027-01-29"]);
    check("FREQ=MONTHLY;BYDAY=MO,1TU", "2026-11-01", &["2026-11-02", "2026-11-03", "2026-11-09"]);
    check("FREQ=MONTHLY;BYDAY=5SU", "2026-11-01", &["2026-11-29", "2027-01-31", "2027-05-30"]);
    // The last working day, the first one, and the second weekend day of a month.
    check("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1", "2026-10-01", &["2026-10-30", "2026-11-30", "2026-12-31"]);
    check("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=1", "2026-10-02", &["2026-11-02", "2026-12-01", "2027-01-01"]);
    check("FREQ=MONTHLY;BYDAY=SA,SU;BYSETPOS=2", "2026-11-01", &["2026-11-07", "2026-12-06"]);
    check("FREQ=MONTHLY;BYMONTHDAY=13;BYDAY=FR", "2026-11-01", &["2026-11-13", "2027-08-13"]);
    check("FREQ=YEARLY;BYDAY=20MO", "1997-05-19", &["1997-05-19", "1998-05-18", "1999-05-17"]);
    check("FREQ=YEARLY;BYMONTH=11;BYDAY=4TH", "2026-01-01", &["2026-11-26", "2027-11-25"]);
    check(
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=11;BYDAY=TU;BYMONTHDAY=2,3,4,5,6,7,8",
        "1996-11-05",
        &["1996-11-05", "2000-11-07", "2004-11-02"],
    );
}

#[test]
fn phase_of_intervals() {
    // RFC 5545's own pair: the start of the week decides which weeks count.
    let common = "FREQ=WEEKLY;INTERVAL=2;COUNT=4;BYDAY=TU,SU";
    check_all(&format!("{common};WKST=MO"), "1997-08-05", &["1997-08-05", "1997-08-10", "1997-08-19", "1997-08-24"]);
    check_all(&format!("{common};WKST=SU"), "1997-08-05", &["1997-08-05", "1997-08-17", "1997-08-19", "1997-08-31"]);

    let fortnight = rule("FREQ=WEEKLY;INTERVAL=2");
    let start = day("1990-01-01");
    assert_eq!(following(&fortnight, start, day("2026-11-20")), Some(day("2026-11-30")));
    assert_eq!(following(&fortnight, start, day("2026-11-30")), Some(day("2026-12-14")));
    check("FREQ=DAILY;INTERVAL=10", "2026-11-20", &["2026-11-20", "2026-11-30", "2026-12-10"]);
    check("FREQ=MONTHLY;INTERVAL=5", "2026-10-31", &["2026-10-31", "2027-03-31", "2027-08-31", "2028-01-31"]);
    assert_eq!(following(&rule("FREQ=YEARLY;INTERVAL=9999"), start, start), None);
}

#[test]
fn ends() {
    check_all("FREQ=WEEKLY;COUNT=3", "2026-11-18", &["2026-11-18", "2026-11-25", "2026-12-02"]);
    check_all("FREQ=DAILY;COUNT=1", "2026-11-18", &["2026-11-18"]);
    check_all("FREQ=DAILY;UNTIL=20261120", "2026-11-18", &["2026-11-18", "2026-11-19", "2026-11-20"]);
    check_all("FREQ=DAILY;UNTIL=20261120T235959Z", "2026-11-20", &["2026-11-20"]);
    check_all("FREQ=DAILY;UNTIL=20261117", "2026-11-18", &[]);
    check_all("FREQ=DAILY", "9999-12-30", &["9999-12-30", "9999-12-31"]);
    // What a skip leaves out was an occurrence all the same.
    let thrice = rule("FREQ=WEEKLY;COUNT=3");
    assert_eq!(current(&thrice, day("2026-11-18"), &[(day("2026-12-02"), day("2026-12-02"))]), None);
}

#[test]
fn an_edited_rule_goes_on_from_the_latest_mark() {
    let start = day("2026-01-05");
    let mondays = rule("FREQ=WEEKLY;BYDAY=MO");
    let mut marks = Vec::new();
    for _ in 0..20 {
        let next = current(&mondays, start, &marks).expect("weekly has no end");
        marks.push((next, next));
    }
    assert_eq!(marks.last(), Some(&(day("2026-05-18"), day("2026-05-18"))));
    assert_eq!(current(&rule("FREQ=WEEKLY;BYDAY=TU"), start, &marks), Some(day("2026-05-19")));
    assert_eq!(current(&rule("FREQ=WEEKLY;BYDAY=SU"), start, &marks), Some(day("2026-05-24")));
    // A start set to later begins there, one set to earlier changes nothing.
    assert_eq!(current(&mondays, day("2026-08-01"), &marks), Some(day("2026-08-03")));
    assert_eq!(current(&mondays, day("2025-08-01"), &marks), Some(day("2026-05-25")));
    // A rule that is over by then stays over.
    assert_eq!(current(&rule("FREQ=DAILY;COUNT=20"), start, &marks), None);
}

#[test]
fn the_order_and_the_gaps_of_marks_do_not_matter() {
    let start = day("2026-11-02");
    let weekly = rule("weekly");
    // The 9th was never marked: it is past, not current.
    let marks = [(day("2026-11-16"), day("2026-11-20")), (day("2026-11-02"), day("2026-11-02"))];
    assert_eq!(current(&weekly, start, &marks), Some(day("2026-11-23")));
    // A mark on a day that the rule does not have counts like any other.
    assert_eq!(current(&weekly, start, &[(day("2026-11-04"), day("2026-11-04"))]), Some(day("2026-11-09")));
    // A mark before the start.
    assert_eq!(current(&weekly, start, &[(day("2026-10-01"), day("2026-10-01"))]), Some(start));
}

#[test]
fn counted_from_completion() {
    let water = rule("FREQ=DAILY;INTERVAL=3;X-HEPH-FROM=DONE");
    let start = day("2026-11-10");
    let at = |marks: &[(&str, &str)]| {
        let marks: Vec<_> = marks.iter().map(|(occurrence, done)| (day(occurrence), day(done))).collect();
        current(&water, start, &marks).expect("no end").to_string()
    };
    assert_eq!(at(&[]), "2026-11-10");
    assert_eq!(at(&[("2026-11-10", "2026-11-10")]), "2026-11-13");
    // Late, and early.
    assert_eq!(at(&[("2026-11-10", "2026-11-14")]), "2026-11-17");
    assert_eq!(at(&[("2026-11-10", "2026-11-09")]), "2026-11-12");
    // Two devices completed one occurrence on different days: the later day.
    assert_eq!(at(&[("2026-11-10", "2026-11-12"), ("2026-11-10", "2026-11-11")]), "2026-11-15");
    // Two devices went on apart: the latest occurrence decides.
    let apart = [("2026-11-14", "2026-11-14"), ("2026-11-10", "2026-11-11"), ("2026-11-13", "2026-11-12")];
    assert_eq!(at(&apart), "2026-11-17");
    // So early that the distance ends before the occurrence itself: the next step after it, never a marked day again.
    assert_eq!(at(&[("2026-11-10", "2026-11-02")]), "2026-11-11");
    assert_eq!(at(&[("2026-11-10", "2026-11-10"), ("2026-11-13", "2026-11-10")]), "2026-11-16");
    // Put off by hand: the start is later than every mark.
    assert_eq!(at(&[("2026-11-03", "2026-11-03")]), "2026-11-10");
}

#[test]
fn months_after_completion_end_with_the_month() {
    let monthly = rule("FREQ=MONTHLY;X-HEPH-FROM=DONE");
    let start = day("2026-01-31");
    let after = |done| current(&monthly, start, &[(start, day(done))]).map(|next| next.to_string());
    assert_eq!(after("2026-01-31").as_deref(), Some("2026-02-28"));
    assert_eq!(after("2026-02-03").as_deref(), Some("2026-03-03"));
    let yearly = rule("FREQ=YEARLY;X-HEPH-FROM=DONE");
    let leap = day("2024-02-29");
    assert_eq!(current(&yearly, leap, &[(leap, leap)]), Some(day("2025-02-28")));
    assert_eq!(following(&monthly, start, day("2026-02-28")), Some(day("2026-03-31")));
}

#[test]
fn ends_after_completion() {
    let start = day("2026-11-10");
    let twice = rule("FREQ=WEEKLY;COUNT=2;X-HEPH-FROM=DONE");
    let first = (start, day("2026-11-12"));
    assert_eq!(current(&twice, start, &[first]), Some(day("2026-11-19")));
    assert_eq!(current(&twice, start, &[first, first, (day("2026-11-19"), day("2026-11-19"))]), None);
    assert_eq!(following(&twice, start, start), Some(day("2026-11-17")));
    assert_eq!(following(&twice, start, day("2026-11-17")), None);
    let until = rule("FREQ=WEEKLY;UNTIL=20261118;X-HEPH-FROM=DONE");
    assert_eq!(current(&until, start, &[]), Some(start));
    assert_eq!(current(&until, start, &[first]), None);
    assert_eq!(current(&until, day("2026-12-01"), &[]), None);
    let done = (start, day("2026-11-11"));
    assert_eq!(current(&until, start, &[done]), Some(day("2026-11-18")), "the day of UNTIL is one of them");
}

#[test]
fn rules_that_fit_no_day_end_quickly() {
    let begin = std::time::Instant::now();
    for text in [
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=31;BYMONTH=4,6,9,11",
        "FREQ=WEEKLY;BYDAY=MO;BYSETPOS=2",
        "FREQ=YEARLY;BYYEARDAY=366;BYMONTH=1;COUNT=1000",
        "FREQ=MONTHLY;BYDAY=53MO",
        "FREQ=YEARLY;INTERVAL=2;BYMONTH=2;BYMONTHDAY=29",
    ] {
        assert_eq!(current(&rule(text), day("1901-01-01"), &[]), None, "{text}");
    }
    assert!(begin.elapsed().as_secs() < 2, "took {:?}", begin.elapsed());
    // Rare is not never: the 29th of February on a Monday, every 28 years.
    let rare = "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO";
    check(rare, "2026-01-01", &["2044-02-29", "2072-02-29", "2112-02-29"]);
}

#[test]
fn a_count_is_over_after_the_calendar_repeats() {
    let rare = rule("FREQ=DAILY;BYMONTH=2;BYMONTHDAY=29;BYDAY=MO;COUNT=1000");
    let (start, far) = (day("1900-01-01"), day("9990-01-01"));
    assert_eq!(current(&rare, start, &[(far, far)]), None);
    let early = day("2025-01-01");
    assert_eq!(current(&rare, start, &[(early, early)]), Some(day("2044-02-29")));
    let yearly = rule("FREQ=YEARLY;COUNT=1000");
    let (last, over) = (day("2299-06-01"), day("2300-01-01"));
    assert_eq!(current(&yearly, start, &[(last, last)]), Some(over));
    assert_eq!(current(&yearly, start, &[(over, over)]), None);
}

#[test]
fn dates_out_of_range_have_no_occurrence() {
    let daily = rule("daily");
    let done = rule("FREQ=YEARLY;INTERVAL=9999;X-HEPH-FROM=DONE");
    for start in [Date::MIN, date(1899, 12, 31)] {
        assert_eq!(current(&daily, start, &[]), None);
        assert_eq!(current(&done, start, &[(Date::MIN, Date::MIN)]), None);
    }
    assert_eq!(following(&daily, FIRST, Date::MAX), None);
    assert_eq!(following(&daily, FIRST, Date::MIN), Some(FIRST));
    assert_eq!(current(&done, FIRST, &[(FIRST, Date::MAX)]), None);
    assert_eq!(current(&daily, LAST, &[]), Some(LAST));
}

#[test]
fn canonical_text() {
    for (text, canonical) in [
        ("daily", "FREQ=DAILY"),
        (" Weekdays ", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
        ("RRULE:FREQ=WEEKLY;INTERVAL=1", "FREQ=WEEKLY"),
        ("rrule:byday=fr,mo,fr;freq=weekly;", "FREQ=WEEKLY;BYDAY=MO,FR"),
        ("FREQ=MONTHLY;BYDAY=+1MO,-1FR,WE", "FREQ=MONTHLY;BYDAY=-1FR,WE,1MO"),
        ("FREQ=MONTHLY;WKST=MO;BYMONTHDAY=-1,15,01", "FREQ=MONTHLY;BYMONTHDAY=-1,1,15"),
        ("UNTIL=20261231T120000Z;FREQ=DAILY;WKST=SU", "FREQ=DAILY;UNTIL=20261231;WKST=SU"),
        ("X-HEPH-FROM=DONE;INTERVAL=3;FREQ=DAILY", "FREQ=DAILY;INTERVAL=3;X-HEPH-FROM=DONE"),
    ] {
        assert_eq!(rule(text).to_string(), canonical, "{text}");
        assert_eq!(rule(canonical), rule(text));
    }
}

#[test]
fn refused_texts_say_why() {
    for (text, message) in [
        ("", "\"\" is not a rule"),
        ("every now and then", "\"EVERY NOW AND THEN\" is not a rule"),
        ("INTERVAL=2", "\"INTERVAL=2\" is not a rule"),
        ("FREQ=SECONDLY", "FREQ=SECONDLY cannot be read, FREQ takes DAILY, WEEKLY, MONTHLY or YEARLY"),
        ("FREQ=HOURLY", "FREQ=HOURLY cannot be read"),
        ("FREQ=DAILY;BYHOUR=9", "\"BYHOUR\" is not a part of a rule"),
        ("FREQ=YEARLY;BYWEEKNO=20", "\"BYWEEKNO\" is not a part"),
        ("FREQ=DAILY;FREQ=DAILY", "FREQ stands twice"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL=0 cannot be read, INTERVAL takes 1 to 9999"),
        ("FREQ=DAILY;INTERVAL=10000", "INTERVAL=10000 cannot"),
        ("FREQ=DAILY;INTERVAL=00002", "INTERVAL=00002 cannot"),
        ("FREQ=DAILY;INTERVAL=99999999999999999999", "INTERVAL=99999999999999999999 cannot"),
        ("FREQ=DAILY;COUNT=1001", "COUNT=1001 cannot be read, COUNT takes 1 to 1000"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "COUNT cannot stand beside UNTIL"),
        ("FREQ=DAILY;UNTIL=20270230", "UNTIL=20270230 cannot"),
        ("FREQ=DAILY;UNTIL=2027", "UNTIL=2027 cannot"),
        ("FREQ=WEEKLY;BYDAY=1MO", "a numbered BYDAY cannot stand beside FREQ=WEEKLY"),
        ("FREQ=WEEKLY;BYMONTHDAY=3", "BYMONTHDAY cannot stand beside FREQ=WEEKLY"),
        ("FREQ=MONTHLY;BYYEARDAY=3", "BYYEARDAY cannot stand beside FREQ=MONTHLY"),
        ("FREQ=MONTHLY;BYMONTHDAY=0", "BYMONTHDAY=0 cannot"),
        ("FREQ=MONTHLY;BYMONTHDAY=1,,2", "BYMONTHDAY= cannot"),
        ("FREQ=MONTHLY;BYDAY=54MO", "BYDAY=54MO cannot"),
        ("FREQ=MONTHLY;BYDAY=ü", "BYDAY=ü cannot"),
        ("FREQ=MONTHLY;BYSETPOS=1", "BYSETPOS needs another part"),
        ("FREQ=WEEKLY;BYDAY=MO;X-HEPH-FROM=DONE", "BYDAY cannot stand beside X-HEPH-FROM=DONE"),
        ("FREQ=WEEKLY;X-HEPH-FROM=START", "X-HEPH-FROM=START cannot"),
    ] {
        let error = Rule::parse(text).expect_err(text).to_string();
        assert!(error.starts_with(message), "{text}: {error}");
    }
    assert_eq!(Rule::parse(&"x".repeat(256)), Err(RuleError::TooLong(256)));
    assert_eq!(Rule::parse(&format!("daily{}", " ".repeat(250))), Ok(rule("daily")), "255 bytes are read");
}

fn part() -> impl Strategy<Value = String> {
    let nth = prop_oneof![Just(0), -5..=5_i64, -53..=53_i64];
    let weekday = (nth, prop::sample::select(vec!["MO", "TU", "WE", "TH", "FR", "SA", "SU"]))
        .prop_map(|(nth, name)| if nth == 0 { name.to_owned() } else { format!("{nth}{name}") });
    let list = |items: Vec<i64>| items.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    prop_oneof![
        (1..40_i64).prop_map(|interval| format!("INTERVAL={interval}")),
        (1..60_i64).prop_map(|count| format!("COUNT={count}")),
        (1990..2060_i64, 1..=12_i64).prop_map(|(year, month)| format!("UNTIL={year}{month:02}15")),
        prop::collection::vec(1..=12_i64, 1..4).prop_map(move |l| format!("BYMONTH={}", list(l))),
        prop::collection::vec((1..=366_i64, any::<bool>()), 1..4).prop_map(move |l| format!(
            "BYYEARDAY={}",
            list(l.iter().map(|(d, n)| if *n { -d } else { *d }).collect())
        )),
        prop::collection::vec((1..=31_i64, any::<bool>()), 1..6).prop_map(move |l| format!(
            "BYMONTHDAY={}",
            list(l.iter().map(|(d, n)| if *n { -d } else { *d }).collect())
        )),
        prop::collection::vec(weekday, 1..5).prop_map(|l| format!("BYDAY={}", l.join(","))),
        prop::collection::vec((1..=6_i64, any::<bool>()), 1..3)
            .prop_map(move |l| format!("BYSETPOS={}", list(l.iter().map(|(d, n)| if *n { -d } else { *d }).collect()))),
        prop::sample::select(vec!["WKST=SU", "WKST=WE", "WKST=SA"]).prop_map(str::to_owned),
        Just("X-HEPH-FROM=DONE".to_owned()),
    ]
}

fn rule_text() -> impl Strategy<Value = String> {
    let frequency = prop::sample::select(vec!["DAILY", "WEEKLY", "MONTHLY", "YEARLY"]);
    (frequency, prop::collection::vec(part(), 0..4))
        .prop_map(|(frequency, parts)| [vec![format!("FREQ={frequency}")], parts].concat().join(";"))
}

fn any_day() -> impl Strategy<Value = Date> {
    (1990_i16..2060, 1_i8..=12, 1_i8..=31).prop_filter_map("no such day", |(y, m, d)| Date::new(y, m, d).ok())
}

/// The `rrule` crate's first dates on or after `from`, or `None` where it does not read the rule.
fn oracle(rule: &Rule, start: Date, from: Date) -> Option<Vec<String>> {
    let set: rrule::RRuleSet =
        format!("DTSTART:{}T000000Z\nRRULE:{}", start.strftime("%Y%m%d"), until_utc(rule)).parse().ok()?;
    let from = from.to_string();
    let dates = set.into_iter().map(|at| at.format("%Y-%m-%d").to_string());
    Some(dates.take_while(|day| day.as_str() < "2090").filter(|day| *day >= from).take(5).collect())
}

/// The crate does not know `X-HEPH-FROM`, and where a rule has numbered and plain weekdays it takes the days that are
/// both, RFC 5545 those that are either.
fn comparable(rule: &Rule) -> bool {
    match &rule.basis {
        Basis::Start(pattern) => pattern.weekdays.windows(2).all(|pair| (pair[0].nth == 0) == (pair[1].nth == 0)),
        Basis::Done => false,
    }
}

/// The crate wants `UNTIL` as an instant in UTC.
fn until_utc(rule: &Rule) -> String {
    let text = rule.to_string();
    match text.find("UNTIL=") {
        Some(at) => format!("{}T000000Z{}", &text[..at + 14], &text[at + 14..]),
        None => text,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn agrees_with_the_rrule_crate(text in rule_text(), start in any_day(), from in any_day()) {
        let Ok(rule) = Rule::parse(&text) else { return Ok(()) };
        if !comparable(&rule) { return Ok(()) }
        let from = from.max(start);
        let Some(expected) = oracle(&rule, start, from) else { return Ok(()) };
        let next = |day: &Date| following(&rule, start, *day);
        let ours = std::iter::successors(rule.on_or_after(start, from), next);
        let ours: Vec<_> = ours.map(|day| day.to_string()).take_while(|day| day.as_str() < "2090").take(5).collect();
        prop_assert_eq!(ours, expected, "{} from {} after {}", rule, start, from);
    }

    #[test]
    fn canonical_text_parses_to_the_same_rule(text in rule_text()) {
        if let Ok(rule) = Rule::parse(&text) {
            let canonical = rule.to_string();
            prop_assert_eq!(Rule::parse(&canonical), Ok(rule));
            prop_assert!(canonical.len() <= TEXT_BYTES_MAX);
        }
    }

    #[test]
    fn every_mark_moves_on(
        text in rule_text(),
        start in any_day(),
        marks in prop::collection::vec((any_day(), any_day()), 0..9),
    ) {
        let Ok(rule) = Rule::parse(&text) else { return Ok(()) };
        if let Some(next) = current(&rule, start, &marks) {
            prop_assert!(next >= start);
            prop_assert!(marks.iter().all(|mark| mark.0 < next));
            let mut reversed = marks.clone();
            reversed.reverse();
            prop_assert_eq!(current(&rule, start, &reversed), Some(next));
            let more = [marks, vec![(next, next)]].concat();
            prop_assert!(current(&rule, start, &more).is_none_or(|later| later > next));
        }
    }

    #[test]
    fn any_text_is_read_or_refused(
        text in ".{0,80}",
        parts in prop::collection::vec("[A-Z-]{2,11}=[-+0-9A-Z,]{0,12}", 0..6),
    ) {
        for text in [text, format!("FREQ=DAILY;{}", parts.join(";"))] {
            if let Ok(rule) = Rule::parse(&text) {
                let _ = current(&rule, date(1900, 1, 1), &[]);
            }
        }
    }
}
