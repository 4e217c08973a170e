//! What a cycle can come to: how it ended, why it failed, and what it saw and did on the way.

use crate::spoke::hub_client::{HubError, Proven};
use crate::spoke::plan::Digests;
use crate::sync::protocol::{HubProof, PROTOCOL, ProtocolRange, code};
use crate::writer::{ReadError, WriteError};
use heph_store::error::Error as StoreError;
use heph_store::id::{HubId, Origin, OwnerId};
use heph_store::vector::Vector;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How a cycle ended, where nothing failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Both hold the same ops.
    InStep(Digests),
    /// They do not, and why.
    NotYet(NotYet),
    /// The hub is not the one that is pinned: a person has to say that it is.
    OtherHub {
        /// Who answers.
        there: HubId,
        /// How many ops it holds.
        op_count: u64,
    },
}

/// Why two that talked to each other do not hold the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotYet {
    /// Ops that one of them lacks, most often because somebody goes on writing.
    Ops {
        /// How many the hub lacks.
        to_push: u64,
        /// Chains of which the hub has more.
        to_pull: usize,
    },
    /// What one sent did not fit what the other held, again and again: it lost something, or became another one.
    Misfit,
    /// Values that came without their bytes, and that the hub does not have either.
    Values(u64),
}

/// Why a cycle failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The hub, or the way to it.
    #[error(transparent)]
    Hub(#[from] HubError),
    /// It could not prove that it is who it says it is.
    #[error("what answers there does not prove that it is a heph hub")]
    Unproven,
    /// The two speak no common protocol.
    #[error("the hub speaks protocol {} to {}, this device {} to {}", .0.min, .0.max, PROTOCOL.min, PROTOCOL.max)]
    OtherProtocol(ProtocolRange),
    /// The replica cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The commit failed.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The store refused, or failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The daemon is stopping.
    #[error("the daemon is stopping")]
    Stopping,
}

impl Failure {
    /// Returns whether what one side sent did not fit what the other holds: somebody lost something since hello, or
    /// another hub answers now. Whoever says hello again learns which, and nothing of the kind is for a person to do.
    pub fn is_misfit(&self) -> bool {
        match self {
            Self::Store(StoreError::Gap { .. }) => true,
            Self::Hub(error) => {
                [code::GAP, code::CURSOR_UNKNOWN, code::UNKNOWN_TIPS, code::OTHER_HUB].iter().any(|code| error.is(code))
            }
            _ => false,
        }
    }
}

/// What a cycle saw and did, also where it failed half-way.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The hub's clock minus this one, in milliseconds.
    pub clock_offset_ms: Option<i64>,
    /// What the hub is known to hold.
    pub theirs: Option<Arc<Vector>>,
    /// The pinned hub, once it has proven itself.
    pub proven: Option<Proven>,
    /// Ops that came, by who wrote them.
    pub pulled: BTreeMap<Origin, u64>,
    /// Ops that were new to the hub.
    pub pushed: u64,
    /// Ops that the hub has taken since it was known to hold `theirs`.
    pub sent: u64,
    /// Nodes that what came hid.
    pub hidden: u64,
    /// Where the log here ended when both held the same.
    pub in_step_at: Option<u64>,
    /// Set if this database turned out to be a copy of another one.
    pub new_origin: Option<Origin>,
}

/// What joining a hub would mean.
#[derive(Debug, Clone, Copy)]
pub struct Preview {
    /// Who answers, proven.
    pub hub: HubProof,
    /// Whose data it says this is.
    pub owner: OwnerId,
    /// The hub that is pinned.
    pub pinned: Option<HubId>,
    /// Ops here.
    pub here: u64,
    /// Ops there.
    pub there: u64,
    /// Ops here that the hub lacks.
    pub to_push: u64,
}

impl Preview {
    /// Returns how many of the hub's ops are not here: all but those that both have.
    pub fn to_pull(self) -> u64 {
        self.there.saturating_sub(self.here.saturating_sub(self.to_push))
    }
}
