//! What a spoke asks of its hub, behind one small trait, so that tests and simulations can own the network; and what
//! can go wrong on the way, by class and in words.
//!
//! [`HttpHub`] is the real one. Nothing here knows of merging, of SQL, or of when to try again.

mod events;
mod http;

pub use http::{HttpHub, Wire};

use crate::sync::page::Item;
use crate::sync::protocol::{
    DigestAnswer, ForkAnswer, ForkRequest, HeadEvent, HelloAnswer, HelloRequest, OpsRequest, PullRequest, PushAnswer,
    Refusal, VectorAnswer, VectorRequest, code,
};
use futures_util::stream::BoxStream;
use heph_store::id::{HubId, LogId};
use std::future::Future;

/// Items of the answer to a pull, in log order; the last one has no page.
pub type Pages = BoxStream<'static, Result<Item, HubError>>;
/// Events, as they come.
pub type Heads = BoxStream<'static, Result<HeadEvent, HubError>>;

/// The hub that proved itself in a hello, and the log that it has. Every later call is for this one and nobody else,
/// and says so: behind the same address there may be another by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proven {
    /// The hub.
    pub hub: HubId,
    /// Its log.
    pub log: LogId,
}

impl Proven {
    /// Whose answer this is, once its proof has been looked at.
    pub fn by(answer: &HelloAnswer) -> Self {
        Self { hub: answer.hub.id, log: answer.log_id }
    }
}

/// A hub, as a spoke sees it. Pages come and go decompressed.
pub trait Hub: Send + Sync + 'static {
    /// The device introduces itself; the hub proves who it is.
    fn hello(&self, request: &HelloRequest) -> impl Future<Output = Result<HelloAnswer, HubError>> + Send;
    /// A part of the hub's vector.
    fn vector(
        &self,
        to: Proven,
        request: &VectorRequest,
    ) -> impl Future<Output = Result<VectorAnswer, HubError>> + Send;
    /// The ops that are not here.
    fn pull(&self, to: Proven, request: &PullRequest) -> impl Future<Output = Result<Pages, HubError>> + Send;
    /// Gives the hub a page.
    fn push(&self, to: Proven, page: Vec<u8>) -> impl Future<Output = Result<PushAnswer, HubError>> + Send;
    /// Which of these tips the hub holds.
    fn fork(&self, to: Proven, request: &ForkRequest) -> impl Future<Output = Result<ForkAnswer, HubError>> + Send;
    /// The buckets of the hub's digest.
    fn digest(&self, to: Proven) -> impl Future<Output = Result<DigestAnswer, HubError>> + Send;
    /// A page with the stretches of these ops.
    fn ops(&self, to: Proven, request: &OpsRequest) -> impl Future<Output = Result<Vec<u8>, HubError>> + Send;
    /// The hub's events, from now on.
    fn events(&self, to: Proven) -> impl Future<Output = Result<Heads, HubError>> + Send;
}

/// Why a question to the hub has no answer.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// Nobody answers there.
    #[error("{0}")]
    Away(Away),
    /// What answers is no heph hub.
    #[error("what answers there is not a heph hub ({0})")]
    NotAHub(&'static str),
    /// It broke off, or its answer is not what it should be.
    #[error("the hub's answer cannot be used: {0}")]
    BadAnswer(String),
    /// Something between here and the hub answered in its place.
    #[error("HTTP status {status} from something before the hub")]
    Status {
        /// The status.
        status: u16,
        /// What `Retry-After` said.
        retry_after_ms: Option<u64>,
    },
    /// The hub refused, in its own words.
    #[error("{}", refusal.message)]
    Refused {
        /// The status.
        status: u16,
        /// Its words.
        refusal: Box<Refusal>,
        /// What `Retry-After` said.
        retry_after_ms: Option<u64>,
    },
}

/// Why nobody answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Away {
    /// The name is not known.
    Name,
    /// Nobody listens.
    ConnectionRefused,
    /// There is no way there.
    NoRoute,
    /// Nothing came in time.
    Timeout,
    /// The connection ended in the middle.
    Cut,
    /// The address begins with a scheme that this version does not speak.
    Scheme,
}

impl std::fmt::Display for Away {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Name => "its name is not known",
            Self::ConnectionRefused => "connection refused",
            Self::NoRoute => "no route to it",
            Self::Timeout => "no answer in time",
            Self::Cut => "the connection broke",
            Self::Scheme => "this version speaks http only",
        })
    }
}

impl Away {
    /// Returns what to look at.
    pub fn hint(self) -> &'static str {
        match self {
            Self::Name => "is the address right, and is this device online?",
            Self::ConnectionRefused => "is the hub running? on its machine: hephd --mode server",
            Self::NoRoute | Self::Timeout | Self::Cut => "is this device online, and is the hub up?",
            Self::Scheme => "give the hub's address as http://HOST:PORT",
        }
    }
}

impl HubError {
    /// Returns whether the hub refused with this code.
    pub fn is(&self, wanted: &str) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == wanted)
    }

    /// Returns whether a smaller page may pass: the hub or a proxy before it found this one too large.
    pub fn is_too_large(&self) -> bool {
        self.is(code::TOO_LARGE) || matches!(self, Self::Status { status: 413, .. })
    }

    /// Returns whether the same question may be answered later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429) || *status >= 500,
            _ => true,
        }
    }

    /// Returns how long the hub asked to be left alone, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self {
            Self::Status { retry_after_ms, .. } | Self::Refused { retry_after_ms, .. } => *retry_after_ms,
            _ => None,
        }
    }
}
