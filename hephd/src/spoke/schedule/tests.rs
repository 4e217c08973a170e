//! Histories of events, each with the plan that follows.

use super::*;

const AWAY: Event = Event::Ended(Ending::Away { retry_after_ms: None, further: false });
const IN_STEP: Event = Event::Ended(Ending::InStep);

/// A machine after these events, without jitter.
fn after(events: &[(u64, Event)]) -> Schedule {
    let mut schedule = Schedule::new(0);
    for (at_ms, event) in events {
        schedule.on(*at_ms, *event, 0);
    }
    schedule
}

/// What is claimed, what happened, the time of asking, and the plan then.
type Case<'a> = (&'a str, &'a [(u64, Event)], u64, Next);

#[test]
fn plans_follow_from_events() {
    let began = (0, Event::Began);
    let ok = (0, IN_STEP);
    let table: &[Case<'_>] = &[
        ("a fresh daemon goes at once", &[], 0, Next::Go),
        ("nothing beside a running cycle", &[began, (5, Event::Asked)], 5, Next::Running),
        ("in step: polled after a minute", &[began, ok], 10, Next::At(POLL_MS)),
        ("the first write after a silence goes at once", &[began, ok, (9_000, Event::Write)], 9_000, Next::Go),
        (
            "the second waits a little for a third",
            &[began, ok, (9_000, Event::Write), (9_000, Event::Began), (9_010, IN_STEP), (9_020, Event::Write)],
            9_020,
            Next::At(9_030),
        ),
        ("the hub moved", &[began, ok, (70, Event::HubMoved)], 70, Next::Go),
        ("away: a pause", &[began, (100, AWAY)], 100, Next::At(600)),
        ("asked while away: at once", &[began, (100, AWAY), (110, Event::Asked)], 110, Next::Go),
        ("the network returned", &[began, (100, AWAY), (110, Event::Network)], 110, Next::Go),
        (
            "a write after a silence, while away",
            &[began, (100, AWAY), (200, Event::Began), (210, AWAY), (250, Event::Write)],
            250,
            Next::Go,
        ),
        (
            "writes in a row, while away, wait for the retry",
            &[began, (50, Event::Write), (100, AWAY), (150, Event::Began), (190, AWAY), (200, Event::Write)],
            200,
            Next::At(1_190),
        ),
        (
            "retry-after holds writes back",
            &[
                began,
                (100, Event::Ended(Ending::Away { retry_after_ms: Some(9_000), further: false })),
                (200, Event::Write),
            ],
            200,
            Next::At(9_100),
        ),
        (
            "a person may ask before",
            &[
                began,
                (100, Event::Ended(Ending::Away { retry_after_ms: Some(9_000), further: false })),
                (200, Event::Asked),
            ],
            200,
            Next::Go,
        ),
        ("not in step yet: once more at once", &[began, (10, Event::Ended(Ending::NotYet))], 10, Next::Go),
        (
            "then with a pause",
            &[began, (10, Event::Ended(Ending::NotYet)), (10, Event::Began), (20, Event::Ended(Ending::NotYet))],
            20,
            Next::At(1_020),
        ),
        (
            "refused: slowly, whatever is written",
            &[began, (0, Event::Ended(Ending::Refused)), (40_000, Event::Write)],
            40_000,
            Next::At(150_000),
        ),
        (
            "refused, and the network changed: perhaps it is another hub now",
            &[began, (0, Event::Ended(Ending::Refused)), (40_000, Event::Network)],
            40_000,
            Next::Go,
        ),
        (
            "refused, and the hub moved",
            &[began, (0, Event::Ended(Ending::Refused)), (40_000, Event::HubMoved)],
            40_000,
            Next::Go,
        ),
        (
            "retry-after holds whatever else is heard",
            &[
                began,
                (100, Event::Ended(Ending::Away { retry_after_ms: Some(9_000), further: false })),
                (200, Event::Network),
            ],
            200,
            Next::At(9_100),
        ),
        ("asked while it ran: again", &[began, (5, Event::Asked), (10, IN_STEP)], 10, Next::Go),
        ("written while it ran: again", &[began, (5, Event::Write), (600, IN_STEP)], 600, Next::Go),
    ];
    for (claim, events, now_ms, wanted) in table {
        assert_eq!(after(events).next(*now_ms), *wanted, "{claim}");
    }
}

#[test]
fn no_write_waits_longer_than_a_tenth_of_a_second() {
    let mut schedule = after(&[(0, Event::Began), (1, IN_STEP), (2, Event::Write), (2, Event::Began), (3, IN_STEP)]);
    let mut now_ms = 8;
    schedule.on(now_ms, Event::Write, 0);
    while schedule.next(now_ms) != Next::Go {
        now_ms += 8;
        schedule.on(now_ms, Event::Write, 0);
    }
    assert!((108..=116).contains(&now_ms), "{now_ms}");
}

#[test]
fn pauses_double_up_to_five_minutes_and_success_resets_them() {
    let mut schedule = Schedule::new(0);
    let mut pauses = Vec::new();
    for round in 0..12 {
        schedule.on(0, Event::Began, 0);
        schedule.on(0, AWAY, u64::MAX - round);
        pauses.push(schedule.due_ms());
    }
    let longest = |round: u32| (BACKOFF_MIN_MS << round).min(BACKOFF_MAX_MS);
    for (round, pause) in (0..12).zip(&pauses) {
        assert!((longest(round) / 2..=longest(round)).contains(pause), "round {round}: {pause}");
    }
    schedule.on(0, Event::Began, 0);
    schedule.on(0, IN_STEP, 0);
    schedule.on(0, Event::Began, 0);
    schedule.on(0, AWAY, 0);
    assert_eq!(schedule.due_ms(), BACKOFF_MIN_MS / 2);
}
