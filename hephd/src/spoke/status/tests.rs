//! What status says, case by case.

use super::words::clock;
use super::*;
use crate::spoke::hub_client::Proven;
use heph_store::id::{LogId, Origin};

const HOUR_MS: i64 = 3_600_000;
const URL: Option<&str> = Some("http://127.0.0.1:8787");

fn now() -> Now {
    Now {
        summary: Summary {
            head: 12,
            roll: [0; 32],
            held: 0,
            missing: 0,
            conflicts: 0,
            rules_version: 1,
            digest: [1; 32],
        },
        origin: Origin::from_bytes([1; 16]),
        owner: None,
        hub: Some(HubId::from_bytes([2; 16])),
        known_url: Some("http://127.0.0.1:8787".to_owned()),
        pull_cursor: 12,
        push_cursor: 12,
        pending: 0,
        last_sync_ms: None,
        clock_offset_ms: None,
        last_check: None,
        notices: Vec::new(),
    }
}

fn standing(last: Option<Last>) -> Standing {
    Standing { last, since_ms: 1_000, next_try_ms: Some(61_000), ..Standing::default() }
}

fn failed() -> Last {
    Last::Failed(ApiError::new(code::HUB_UNREACHABLE, "connection refused"))
}

#[test]
fn the_word_is_the_first_that_holds() {
    let equal = || Some(Last::InStep(Digests::Equal));
    let other = Some(Last::OtherHub { there: HubId::from_bytes([3; 16]), op_count: 4 });
    let held = Now { summary: Summary { held: 2, ..now().summary }, ..now() };
    let waiting = Now { pending: 3, ..held.clone() };
    let exchanging = Standing { exchanging_since_ms: Some(5), ..standing(equal()) };
    let refused = Some(Last::Refused(ApiError::new(code::HUB_REFUSED, "no")));
    let table = [
        (None, standing(None), Now { hub: None, ..now() }, SyncState::Local),
        (None, standing(None), now(), SyncState::Offline),
        (URL, standing(other), waiting.clone(), SyncState::OtherHub),
        (URL, standing(refused), waiting.clone(), SyncState::Refused),
        (URL, exchanging, waiting.clone(), SyncState::Syncing),
        (URL, standing(None), waiting.clone(), SyncState::Offline),
        (URL, standing(Some(failed())), waiting.clone(), SyncState::Unreachable),
        (URL, standing(equal()), waiting, SyncState::Pending),
        (URL, standing(equal()), held, SyncState::Held),
        (URL, standing(equal()), now(), SyncState::InSync),
        (URL, standing(Some(Last::InStep(Digests::Differ))), now(), SyncState::Pending),
        (URL, standing(Some(Last::NotYet(NotYet::Values(1)))), now(), SyncState::Pending),
    ];
    for (url, standing, now, wanted) in table {
        let told = tell(url, &standing, &now, 31_000);
        assert_eq!(told.state, wanted, "{}", told.words);
        assert!(!told.words.is_empty() && !told.words.ends_with('.'), "{}", told.words);
    }
}

#[test]
fn an_unreachable_hub_is_told_with_why_when_and_what_waits() {
    let told = tell(URL, &standing(Some(failed())), &Now { pending: 1, ..now() }, 31_000);
    assert_eq!(
        told.words,
        "cannot sync with the hub at http://127.0.0.1:8787 (connection refused); your changes are safe here, heph \
         retries in 30 s; 1 op waits to be sent"
    );
    assert_eq!(told.since, "1970-01-01T00:00:01Z");
    assert_eq!(told.next.as_deref(), Some("heph sync"));
    assert_eq!(told.last_error.map(|error| error.code).as_deref(), Some(code::HUB_UNREACHABLE));
}

#[test]
fn a_daemon_started_without_its_hub_says_where_its_ops_belong() {
    let told = tell(None, &standing(None), &Now { pending: 3, push_cursor: 9, ..now() }, 0);
    assert_eq!(
        told.words,
        format!(
            "this device belongs to the hub {} at http://127.0.0.1:8787 and was started without it; 3 ops wait to be \
             sent",
            "02".repeat(16)
        )
    );
    assert_eq!(told.next.as_deref(), Some("hephd --mode local --hub-url http://127.0.0.1:8787 \u{2026}"));
    assert_eq!((told.pending_push, told.push_cursor, told.hub_url), (3, 9, None));
    assert!(!told.state.is_in_step());
}

#[test]
fn the_last_sync_is_the_one_with_the_hub_of_now() {
    let at = |standing_ms, stored_ms| {
        let standing = Standing { last_sync_ms: standing_ms, ..standing(None) };
        tell(URL, &standing, &Now { last_sync_ms: stored_ms, ..now() }, 0).last_sync_at
    };
    assert_eq!(at(Some(1_000), Some(9_000)), Some(instant(1_000)), "the clock was put back meanwhile");
    assert_eq!(at(None, Some(9_000)), Some(instant(9_000)));
    assert_eq!(at(None, None), None);
}

#[test]
fn what_was_said_of_one_hub_is_not_said_of_another() {
    let with = |number| {
        let (hub, log) = (HubId::from_bytes([number; 16]), LogId::from_bytes([number; 16]));
        Seen { proven: Some(Proven { hub, log }), ..Seen::default() }
    };
    let mut standing = Standing::default();
    standing.met(&with(1));
    standing.last_sync_ms = Some(5);
    standing.met(&with(1));
    standing.met(&Seen::default());
    assert_eq!(standing.last_sync_ms, Some(5));
    standing.met(&with(2));
    assert_eq!(standing.last_sync_ms, None);
}

#[test]
fn another_hub_says_what_to_type_and_that_nothing_was_sent() {
    let last = Last::OtherHub { there: HubId::from_bytes([3; 16]), op_count: 1 };
    let told = tell(URL, &standing(Some(last)), &now(), 0);
    assert!(told.words.contains("nothing was sent"), "{}", told.words);
    assert_eq!(told.next.as_deref(), Some("heph sync --switch-hub"));
}

#[test]
fn clocks_that_are_far_apart_are_told_in_words() {
    assert_eq!(clock(90_000), None);
    assert_eq!(clock(-90_000), None);
    let says = |offset_ms| clock(offset_ms).unwrap_or_default();
    assert!(says(180_000).contains("3 minutes ahead of"));
    assert!(says(-5 * HOUR_MS).contains("5 hours behind"));
    assert!(says(-56 * 8_766 * HOUR_MS).contains("56 years behind"), "a hub in 1970");
    assert!(says(14 * 8_766 * HOUR_MS).contains("14 years ahead of"), "a hub in 2040");
    assert!(says(i64::MIN).contains("years behind"));
}

#[test]
fn an_instant_beyond_the_calendar_does_not_fail() {
    assert_eq!(instant(0), "1970-01-01T00:00:00Z");
    assert_eq!(instant(u64::MAX), Timestamp::MAX.to_string());
}
