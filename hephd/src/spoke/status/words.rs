//! The sentences of a status: what is the matter, what to type, and what else a person should know.

use super::{Last, Now, Standing};
use crate::spoke::cycle::NotYet;
use crate::spoke::deep_check::last_check;
use crate::spoke::plan::Digests;
use heph_api::types::SyncState;
use heph_api::{ApiError, code};

/// Clocks further apart than this are worth a word, in milliseconds.
const CLOCK_OFF_MS: u64 = 120_000;

pub fn words(state: SyncState, url: Option<&str>, standing: &Standing, now: &Now, now_ms: u64) -> String {
    let Some(url) = url else { return without_url(now) };
    let wait = waiting(now.pending);
    match (state, &standing.last) {
        (SyncState::OtherHub, _) => other_hub(url, standing, now),
        (SyncState::Refused, Some(Last::Refused(error))) => format!("the hub at {url} refuses: {}", error.message),
        (SyncState::Syncing, _) => format!("exchanging ops with the hub at {url}{wait}"),
        (SyncState::Offline, _) => format!("the hub at {url} has not answered yet{wait}"),
        (_, Some(Last::Failed(error))) => {
            let retry = standing.next_try_ms.map(|at_ms| at_ms.saturating_sub(now_ms).div_ceil(1_000));
            let retry = retry.map(|seconds| format!(", heph retries in {seconds} s")).unwrap_or_default();
            match error.code.as_str() {
                code::HUB_UNREACHABLE => {
                    format!(
                        "cannot sync with the hub at {url} ({}); your changes are safe here{retry}{wait}",
                        error.message
                    )
                }
                _ => format!("the last sync failed here ({}){retry}{wait}", error.message),
            }
        }
        (_, Some(Last::NotYet(why))) => format!("not in step with the hub at {url} yet: {}", not_yet(why)),
        (_, Some(Last::InStep(Digests::Differ))) => {
            format!("the hub at {url} holds the same ops and makes another state of them; this is a defect")
        }
        (SyncState::Pending, _) => {
            format!("{} to be sent to the hub at {url}", count(now.pending, "op waits", "ops wait"))
        }
        (SyncState::Held, _) => {
            format!(
                "in step with the hub at {url}; {} held until a newer heph can read it",
                count(now.summary.held, "op is", "ops are")
            )
        }
        _ => format!("in step with the hub at {url}"),
    }
}

/// A daemon that was not told where its hub is.
fn without_url(now: &Now) -> String {
    let Some(hub) = now.hub else { return "no hub is set: this device works by itself".to_owned() };
    let at = now.known_url.as_ref().map(|url| format!(" at {url}")).unwrap_or_default();
    format!("this device belongs to the hub {hub}{at} and was started without it{}", waiting(now.pending))
}

fn other_hub(url: &str, standing: &Standing, now: &Now) -> String {
    let Some(Last::OtherHub { there, op_count }) = &standing.last else { return String::new() };
    let holds = count(*op_count, "op", "ops");
    match now.hub {
        Some(pinned) => format!(
            "the hub at {url} is another one: {there} with {holds}, where this device knows {pinned}; nothing was sent to it"
        ),
        None => format!(
            "the hub at {url} ({there}, {holds}) is not known to this device yet, and it is not on this machine; nothing was sent to it"
        ),
    }
}

fn not_yet(why: &NotYet) -> String {
    match why {
        NotYet::Misfit => {
            "what went to and fro did not fit together; heph goes on from what both say they hold".to_owned()
        }
        NotYet::Values(ops) => {
            format!("{} without a value that the hub does not have either", count(*ops, "op is", "ops are"))
        }
        NotYet::Ops { to_push: 0, to_pull: 0 } => "something was written on one side meanwhile".to_owned(),
        NotYet::Ops { to_push, to_pull: 0 } => {
            format!("{} on the way to the hub", count(*to_push, "op was", "ops were"))
        }
        NotYet::Ops { to_push: 0, to_pull } => format!("something new of {} waited on the hub", devices(*to_pull)),
        NotYet::Ops { to_push, to_pull } => format!(
            "{} on the way to the hub, and something new of {} waited there",
            count(*to_push, "op was", "ops were"),
            devices(*to_pull)
        ),
    }
}

/// As many devices as there are origins that the hub knows more of.
fn devices(origins: usize) -> String {
    count(origins as u64, "device", "devices")
}

fn waiting(pending: u64) -> String {
    if pending == 0 { String::new() } else { format!("; {} to be sent", count(pending, "op waits", "ops wait")) }
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// What to type.
pub fn next(state: SyncState, url: Option<&str>, standing: &Standing, now: &Now) -> Option<String> {
    if url.is_none() {
        let known = now.known_url.as_deref().unwrap_or("URL");
        let with_hub = now.hub.map(|_| format!("hephd --mode local --hub-url {known} \u{2026}"));
        return with_hub.or_else(|| now.last_check.as_ref().and_then(|last| last_check(last).next));
    }
    match (state, &standing.last) {
        (SyncState::OtherHub, _) => Some("heph sync --switch-hub".to_owned()),
        (_, Some(Last::InStep(Digests::Differ))) => Some("heph verify --deep".to_owned()),
        (_, Some(Last::Refused(error))) => error.hint.clone(),
        (SyncState::Unreachable | SyncState::Offline, _) => Some("heph sync".to_owned()),
        _ => now.last_check.as_ref().and_then(|last| last_check(last).next),
    }
}

pub fn last_error(url: &str, standing: &Standing, now: &Now) -> Option<ApiError> {
    match standing.last.as_ref()? {
        Last::Failed(error) | Last::Refused(error) => Some(error.clone()),
        Last::OtherHub { .. } => {
            Some(ApiError::new(code::HUB_REFUSED, other_hub(url, standing, now)).with_hint("heph sync --switch-hub"))
        }
        Last::InStep(Digests::Differ) => Some(
            ApiError::new(code::INTERNAL, "the same ops make another state on the hub than here")
                .with_hint("heph verify --deep"),
        ),
        Last::InStep(_) | Last::NotYet(_) => None,
    }
}

pub fn all_notices(now: &Now, offset_ms: Option<i64>, standing: &Standing) -> Vec<String> {
    let mut notices = now.notices.clone();
    notices.extend(offset_ms.and_then(clock));
    notices.extend(checked(now));
    if now.summary.held > 0 {
        notices.push(format!(
            "{} by a newer heph: kept and passed on, without effect here until heph is upgraded",
            count(now.summary.held, "op was written", "ops were written")
        ));
    }
    if now.summary.missing > 0 {
        notices.push(format!(
            "{} without a value; heph asks the hub for it",
            count(now.summary.missing, "op came", "ops came")
        ));
    }
    if now.summary.conflicts > 0 {
        let nodes =
            count(now.summary.conflicts, "node awaits a choice between values", "nodes await a choice between values");
        notices.push(format!("{nodes} that were written apart: heph conflicts"));
    }
    if standing.last == Some(Last::InStep(Digests::OtherRules)) {
        notices.push("the hub merges by another version of the rules, so its digest cannot be compared".to_owned());
    }
    notices
}

/// A word about a deep check that did not find all well.
fn checked(now: &Now) -> Option<String> {
    let last = now.last_check.as_ref()?;
    let told = last_check(last);
    match (told.ok, &told.next) {
        (false, Some(next)) => Some(format!("the deep check of {} found: {}; type {next}", told.at, told.words)),
        (true, _) if last.repaired > 0 => Some(format!(
            "the deep check of {}: {}; nothing is lost, but if that happens again, look after the disk",
            told.at, told.words
        )),
        _ => None,
    }
}

/// A word about clocks that are far apart: both sides' stamps stand, and nothing is refused.
pub fn clock(offset_ms: i64) -> Option<String> {
    let apart_ms = offset_ms.unsigned_abs();
    if apart_ms <= CLOCK_OFF_MS {
        return None;
    }
    let (direction, distance) = (if offset_ms > 0 { "ahead of" } else { "behind" }, distance(apart_ms));
    Some(format!(
        "the hub's clock is {distance} {direction} this device's; everything syncs, but dates in the history and the \
         choice between conflicting values go by these clocks: set the wrong one"
    ))
}

fn distance(ms: u64) -> String {
    let minutes = ms / 60_000;
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2_880 => format!("{} hours", minutes / 60),
        2_880..1_051_200 => format!("{} days", minutes / 1_440),
        _ => format!("{} years", minutes / 525_960),
    }
}
