//! How this device stands with its hub, in one word and in sentences: what the sync task last saw, and what the
//! replica says now, become a [`SyncStatus`]. The telling is pure; it never waits for the network.

mod words;

use super::cycle::{Failure, NotYet, Seen, fact};
use super::deep_check::last_check;
use super::hub_client::HubError;
use super::notices;
use super::plan::Digests;
use crate::deep_check;
use crate::writer::WriteError;
use heph_api::causes::with_causes;
use heph_api::types::{SyncState, SyncStatus};
use heph_api::{ApiError, code};
use heph_store::error::{Error as StoreError, Result as StoreResult};
use heph_store::exchange::Summary;
use heph_store::id::{HubId, Origin, OwnerId};
use heph_store::read::View;
use heph_store::vector::Vector;
use jiff::Timestamp;
use std::sync::Arc;

/// What the sync task last saw. Times are Unix milliseconds of this device's clock.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Up to which ask cycles have ended.
    pub asks_answered: u64,
    /// How the last cycle ended; `None` before the first one.
    pub last: Option<Last>,
    /// Since when cycles end like that; before the first one, since the daemon started.
    pub since_ms: u64,
    /// Set while ops go to and fro, since when.
    pub exchanging_since_ms: Option<u64>,
    /// Set while something was written that the hub does not have, since when.
    pub unsent_since_ms: Option<u64>,
    /// When the next try is planned.
    pub next_try_ms: Option<u64>,
    /// What the hub is known to hold.
    pub theirs: Option<Arc<Vector>>,
    /// Ops that it has taken since.
    pub sent: u64,
    /// Which hub that was.
    pub with: Option<HubId>,
    /// When both last held the same.
    pub last_sync_ms: Option<u64>,
    /// The hub's clock minus this one, in milliseconds.
    pub clock_offset_ms: Option<i64>,
}

impl Standing {
    /// Takes note of whom a cycle is with: what was said of another hub is not said of this one.
    pub fn met(&mut self, seen: &Seen) {
        let with = seen.proven.map(|proven| proven.hub).or(self.with);
        self.last_sync_ms.take_if(|_| with != self.with);
        self.with = with;
    }
}

/// How a cycle ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// Both hold the same ops.
    InStep(Digests),
    /// They do not, and why.
    NotYet(NotYet),
    /// The hub is not the one that is pinned.
    OtherHub {
        /// Who answers.
        there: HubId,
        /// How many ops it holds.
        op_count: u64,
    },
    /// The hub, or the way to it, or the replica failed.
    Failed(ApiError),
    /// The hub refused, and will again.
    Refused(ApiError),
}

impl Last {
    /// Returns whether a status that said the one need not change for the other.
    pub fn is_like(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// How a failure is told.
    pub fn of(failure: &Failure) -> Self {
        let (code, refused) = match failure {
            Failure::Hub(error) if !error.may_pass() => (code::HUB_REFUSED, true),
            Failure::OtherProtocol(_) => (code::HUB_REFUSED, true),
            Failure::Hub(_) | Failure::Unproven => (code::HUB_UNREACHABLE, false),
            Failure::Stopping => (code::STOPPING, false),
            _ if store_error(failure).is_some_and(is_disk_full) => (code::DISK_FULL, false),
            _ => (code::INTERNAL, false),
        };
        let error = ApiError { code: code.to_owned(), message: with_causes(failure), hint: hint(failure) };
        if refused { Self::Refused(error) } else { Self::Failed(error) }
    }
}

/// What the store said, if it is the store that failed.
fn store_error(failure: &Failure) -> Option<&StoreError> {
    match failure {
        Failure::Store(error) => Some(error),
        Failure::Write(WriteError::Commit(error)) => Some(error),
        _ => None,
    }
}

fn is_disk_full(error: &StoreError) -> bool {
    match error {
        StoreError::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
        StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

fn hint(failure: &Failure) -> Option<String> {
    match failure {
        _ if store_error(failure).is_some_and(is_disk_full) => {
            Some("make room on the disk; heph goes on by itself".to_owned())
        }
        Failure::Hub(HubError::Refused { refusal, .. }) => refusal.hint.clone(),
        Failure::Hub(HubError::Away(away)) => Some(away.hint().to_owned()),
        Failure::Hub(HubError::Status { .. }) => Some("look at the proxy before the hub".to_owned()),
        Failure::Hub(HubError::NotAHub(_)) | Failure::Unproven => {
            Some("is the address right, and is this the network that the hub is on? curl -i URL/v1/version".to_owned())
        }
        Failure::OtherProtocol(theirs) if theirs.max < crate::sync::protocol::PROTOCOL.min => {
            Some("upgrade heph on the hub".to_owned())
        }
        Failure::OtherProtocol(_) => Some("upgrade heph on this device".to_owned()),
        Failure::Store(_) | Failure::Write(_) | Failure::Read(_) => {
            Some("heph verify says whether the database is sound".to_owned())
        }
        _ => None,
    }
}

/// What the replica says now.
#[derive(Debug, Clone)]
pub struct Now {
    /// In numbers.
    pub summary: Summary,
    /// What it writes under.
    pub origin: Origin,
    /// Whose data it is.
    pub owner: Option<OwnerId>,
    /// The pinned hub.
    pub hub: Option<HubId>,
    /// Where it was when it was last reached.
    pub known_url: Option<String>,
    /// How far the hub's log is pulled.
    pub pull_cursor: u64,
    /// Up to where the hub had everything when a cycle last ended in step.
    pub push_cursor: u64,
    /// Ops that the hub lacks.
    pub pending: u64,
    /// When a cycle last ended in step, as far as it was stored.
    pub last_sync_ms: Option<u64>,
    /// The hub's clock minus this one then.
    pub clock_offset_ms: Option<i64>,
    /// How the last deep check ended.
    pub last_check: Option<deep_check::Last>,
    /// What a person should know, stored until it is old.
    pub notices: Vec<String>,
}

/// Reads it.
///
/// # Errors
/// If the database fails.
pub fn look(view: &View<'_>, theirs: Option<&Vector>, sent: u64, now_ms: u64) -> StoreResult<Now> {
    let summary = view.summary()?;
    let number = |key| Ok::<_, StoreError>(view.fact(key)?.and_then(|text| text.parse::<u64>().ok()));
    let push_cursor = number(fact::PUSH_CURSOR)?.unwrap_or_default();
    let pending = match theirs {
        Some(theirs) => pending(view, theirs)?.saturating_sub(sent),
        // Since the daemon started the hub has not answered: what was written since both last held the same.
        None => summary.head.saturating_sub(push_cursor),
    };
    Ok(Now {
        origin: view.origin()?,
        owner: view.owner()?,
        hub: view.fact(fact::HUB_ID)?.and_then(|id| id.parse().ok()),
        known_url: view.fact(fact::HUB_URL)?,
        pull_cursor: view.cursor()?.map_or(0, |cursor| cursor.position),
        push_cursor: if pending == 0 { summary.head } else { push_cursor.min(summary.head) },
        pending,
        last_sync_ms: number(fact::LAST_SYNC_MS)?,
        clock_offset_ms: view.fact(fact::CLOCK_OFFSET_MS)?.and_then(|text| text.parse().ok()),
        last_check: deep_check::last(view)?,
        notices: notices::read(view, now_ms)?,
        summary,
    })
}

/// How many ops someone who holds `theirs` lacks.
///
/// # Errors
/// If the database fails.
pub fn pending(view: &View<'_>, theirs: &Vector) -> StoreResult<u64> {
    let (coverage, _) = view.coverage(theirs)?;
    view.count_lacking(&coverage)
}

/// The whole status.
pub fn tell(hub_url: Option<&str>, standing: &Standing, now: &Now, now_ms: u64) -> SyncStatus {
    let now = &since_then(standing, now);
    let (state, belongs) = (state(hub_url.is_some(), standing, now), hub_url.is_some() || now.hub.is_some());
    let offset_ms = standing.clock_offset_ms.or(now.clock_offset_ms);
    SyncStatus {
        state,
        since: instant(since_ms(state, standing)),
        words: words::words(state, hub_url, standing, now, now_ms),
        next: words::next(state, hub_url, standing, now),
        hub_url: hub_url.map(str::to_owned),
        hub_id: now.hub.map(|hub| hub.to_string()),
        owner_id: now.owner.map(|owner| uuid_text(&owner)),
        origin: now.origin.to_string(),
        pull_cursor: now.pull_cursor,
        push_cursor: if belongs { now.push_cursor } else { 0 },
        pending_push: if belongs { now.pending } else { 0 },
        last_sync_at: standing.last_sync_ms.or(now.last_sync_ms).map(instant),
        next_try_at: standing.next_try_ms.filter(|_| standing.exchanging_since_ms.is_none()).map(instant),
        last_error: words::last_error(hub_url.unwrap_or_default(), standing, now),
        state_digest: hex::encode(now.summary.digest),
        op_count: now.summary.head,
        held: now.summary.held,
        conflicts: now.summary.conflicts,
        last_check: now.last_check.as_ref().map(last_check),
        clock_offset_ms: offset_ms,
        notices: words::all_notices(now, offset_ms, standing),
    }
}

/// What the last deep check found of the hub does not stand any more once both make the same state.
fn since_then(standing: &Standing, now: &Now) -> Now {
    let mut now = now.clone();
    if let (Some(Last::InStep(Digests::Equal)), Some(check)) = (&standing.last, &mut now.last_check) {
        check.hub = None;
    }
    now
}

/// The one word: the first that holds.
fn state(has_hub: bool, standing: &Standing, now: &Now) -> SyncState {
    if !has_hub {
        // It belongs to one, and does not know where it is: nothing says that the two hold the same.
        return if now.hub.is_some() { SyncState::Offline } else { SyncState::Local };
    }
    match &standing.last {
        Some(Last::OtherHub { .. }) => SyncState::OtherHub,
        Some(Last::Refused(_)) => SyncState::Refused,
        _ if standing.exchanging_since_ms.is_some() => SyncState::Syncing,
        None => SyncState::Offline,
        Some(Last::Failed(_)) => SyncState::Unreachable,
        Some(Last::NotYet(_) | Last::InStep(Digests::Differ | Digests::Missing)) => SyncState::Pending,
        Some(Last::InStep(_)) if now.pending > 0 => SyncState::Pending,
        Some(Last::InStep(_)) if now.summary.held > 0 => SyncState::Held,
        Some(Last::InStep(_)) => SyncState::InSync,
    }
}

fn since_ms(state: SyncState, standing: &Standing) -> u64 {
    match state {
        SyncState::Syncing => standing.exchanging_since_ms.unwrap_or(standing.since_ms),
        SyncState::Pending => standing.unsent_since_ms.unwrap_or(standing.since_ms),
        _ => standing.since_ms,
    }
}

fn uuid_text(owner: &OwnerId) -> String {
    heph_store::id::NodeId::from_bytes(*owner.as_bytes()).to_string()
}

/// An instant as the local API has it; what is beyond the calendar stands at its end.
pub fn instant(ms: u64) -> String {
    let at = i64::try_from(ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    at.unwrap_or(Timestamp::MAX).to_string()
}

#[cfg(test)]
mod tests;
