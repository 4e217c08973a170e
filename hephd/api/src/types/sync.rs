//! Being in step with the hub: the status that does not lie, and what moves it.

use serde::{Deserialize, Serialize};

use super::{ApiError, LastCheck, call};

/// `sync/now`: starts a cycle at once.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyncNow {
    /// Whether to answer only when the cycle has ended, well or not, with everything written before this
    /// call sent.
    #[serde(default)]
    pub wait: bool,
}
call!(SyncNow, "/v1/sync/now", SyncStatus, unhurried);

/// `sync/status`: how this device stands with its hub. Never waits for the network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadSyncStatus {}
call!(ReadSyncStatus, "/v1/sync/status", SyncStatus, read);

/// How a device stands with its hub, in one word. The first that holds, from top to bottom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncState {
    /// There is no hub: a device by itself.
    Local,
    /// The hub behind the URL is another one: nothing is sent until a person says so.
    OtherHub,
    /// The hub answered and refused, or speaks another protocol.
    Refused,
    /// A cycle is running.
    Syncing,
    /// Not connected yet since the daemon started, or waiting for the network to return.
    Offline,
    /// The last try failed; the next one is planned.
    Unreachable,
    /// Filled from a snapshot that is not checked yet.
    Provisional,
    /// There are ops to send.
    Pending,
    /// In step, and some ops are held until they can be read.
    Held,
    /// In step: equal vectors, equal digests.
    InSync,
}

impl SyncState {
    /// Returns the word, as JSON has it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::OtherHub => "other_hub",
            Self::Refused => "refused",
            Self::Syncing => "syncing",
            Self::Offline => "offline",
            Self::Unreachable => "unreachable",
            Self::Provisional => "provisional",
            Self::Pending => "pending",
            Self::Held => "held",
            Self::InSync => "in_sync",
        }
    }

    /// Returns whether nothing is left to be done between this device and its hub. A device without a hub is
    /// in step with all there is; held ops are here and there alike.
    pub fn is_in_step(self) -> bool {
        matches!(self, Self::InSync | Self::Held | Self::Local)
    }
}

/// How this device stands with its hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// In one word.
    pub state: SyncState,
    /// Since when it is so.
    pub since: String,
    /// In one sentence.
    pub words: String,
    /// What to type, where there is something to type.
    pub next: Option<String>,
    /// The hub's address, as given to the daemon.
    pub hub_url: Option<String>,
    /// The pinned hub's id, in hex.
    pub hub_id: Option<String>,
    /// Whose data this is, a UUID, once a hub has said so.
    pub owner_id: Option<String>,
    /// This replica's origin, in hex.
    pub origin: String,
    /// How far the hub's log is pulled.
    pub pull_cursor: u64,
    /// Up to which of this replica's log positions the hub is known to hold everything.
    pub push_cursor: u64,
    /// Ops that the hub does not have yet, as far as is known here.
    pub pending_push: u64,
    /// When a cycle last ended with both in step.
    pub last_sync_at: Option<String>,
    /// When the next try is planned.
    pub next_try_at: Option<String>,
    /// What went wrong in the last cycle; `null` once one went well.
    pub last_error: Option<ApiError>,
    /// The digest of the state, in hex: equal on every replica that holds the same ops.
    pub state_digest: String,
    /// Ops in the log.
    pub op_count: u64,
    /// Ops that are held.
    pub held: u64,
    /// Nodes with something contested.
    pub conflicts: u64,
    /// The hub's clock minus this one, in milliseconds, at the last hello.
    pub clock_offset_ms: Option<i64>,
    /// The last deep check; `null` before the first one.
    pub last_check: Option<LastCheck>,
    /// What else a person should know, each a sentence.
    pub notices: Vec<String>,
}

/// `sync/switch-hub`: previews what joining the hub behind the URL would do, or does it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SwitchHub {
    /// The id of the hub that the preview showed: merge with this one and no other. Without it, a preview.
    #[serde(default)]
    pub confirm: Option<String>,
}
call!(SwitchHub, "/v1/sync/switch-hub", SwitchReport, unhurried);

/// What joining another hub would do, or did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SwitchReport {
    /// The hub's address.
    pub hub_url: String,
    /// The id of the hub behind it.
    pub hub_id: String,
    /// The id of the hub that was pinned.
    pub pinned_hub_id: Option<String>,
    /// Ops here, all of which the hub would get or has.
    pub ops_here: u64,
    /// Ops on the hub.
    pub ops_there: u64,
    /// Ops here that the hub does not have.
    pub to_push: u64,
    /// Ops on the hub that are not here.
    pub to_pull: u64,
    /// Whether the switch was made; `false` for a preview.
    pub switched: bool,
    /// All that in a sentence.
    pub words: String,
}
