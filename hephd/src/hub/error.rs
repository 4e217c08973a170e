//! Every way in which the hub refuses: status and code stand here, once. A refusal travels as an extension of the
//! answer, and becomes its body on the way out ([`super::answer`]).

use crate::{
    http::BodyError,
    sync::{
        page::Broken,
        protocol::{HubProof, PROTOCOL, Refusal, code},
    },
    writer::{ReadError, WriteError},
};
use axum::response::{IntoResponse, Response};
use heph_store::{
    codec::Malformed,
    error::Error as StoreError,
    id::{HubId, LogId, Origin},
};
use hyper::StatusCode;

/// A refusal with its status.
#[derive(Debug, Clone)]
pub struct Refused {
    /// The status.
    pub status: StatusCode,
    /// What is said. Boxed, because answers are moved around.
    pub refusal: Box<Refusal>,
}

impl Refused {
    /// Returns a refusal without a hint.
    pub fn new(status: StatusCode, code: &str, message: impl Into<String>) -> Self {
        let (code, message) = (code.to_owned(), message.into());
        Self { status, refusal: Box::new(Refusal { code, message, hint: None, hub: None, origins: None }) }
    }

    /// Returns the same refusal, saying what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.refusal.hint = Some(hint.into());
        self
    }

    /// Returns the same refusal, proving who refuses.
    #[must_use]
    pub fn by(mut self, hub: HubProof) -> Self {
        self.refusal.hub = Some(hub);
        self
    }

    /// A request that is not what its call takes.
    pub fn bad_request(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code::BAD_REQUEST, message)
    }

    /// A page that cannot be read.
    pub fn bad_page(why: &(dyn std::error::Error + 'static)) -> Self {
        let message = format!("the page cannot be read: {why}");
        Self::new(StatusCode::BAD_REQUEST, code::BAD_PAGE, message).hint("nothing of it was kept")
    }

    /// Something beyond its limit.
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::TOO_LARGE, message)
    }

    /// A vector of more origins than a request may carry.
    pub fn vector_too_long(origins_max: usize) -> Self {
        let message = format!("a vector of more than {origins_max} origins");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, code::VECTOR_TOO_LONG, message)
            .hint("send only the origins that differ from the hub's vector")
    }

    /// A body of the wrong type.
    pub fn media_type(wanted: &str) -> Self {
        let message = format!("this call takes {wanted}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, code::UNSUPPORTED_MEDIA_TYPE, message)
            .hint(format!("send the header content-type: {wanted}"))
    }

    /// A cursor that is no position here.
    pub fn cursor_unknown() -> Self {
        Self::new(StatusCode::CONFLICT, code::CURSOR_UNKNOWN, "the cursor is no position of this log")
            .hint("pull by vector alone")
    }

    /// Tips that are not here.
    pub fn unknown_tips(origins: Vec<Origin>) -> Self {
        let message = "the vector names tips that are not here";
        let mut refused = Self::new(StatusCode::CONFLICT, code::UNKNOWN_TIPS, message)
            .hint("find the newest common ops of these origins by /v1/sync/fork");
        refused.refusal.origins = Some(origins);
        refused
    }

    /// A request that names another hub or another log.
    pub fn other_hub(hub: HubId, log: LogId) -> Self {
        let message = format!("this is the hub {hub} with the log {log}, and the request is for another");
        Self::new(StatusCode::MISDIRECTED_REQUEST, code::OTHER_HUB, message)
            .hint("say hello again: another hub, or one with another log, answers here now")
    }

    /// A device that speaks no protocol that this hub speaks.
    pub fn protocol(theirs_is_newer: bool) -> Self {
        let (code, side) = match theirs_is_newer {
            true => (code::UPGRADE_HUB, "hub"),
            false => (code::UPGRADE_DEVICE, "device"),
        };
        let message = format!("this hub speaks protocols {} to {}", PROTOCOL.min, PROTOCOL.max);
        Self::new(StatusCode::UPGRADE_REQUIRED, code, message).hint(format!("upgrade heph on the {side}"))
    }

    /// Too much at once.
    pub fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::BUSY, message).hint("try again in a few seconds")
    }

    /// The hub is about to stop.
    pub fn stopping() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code::STOPPING, "the hub is about to stop").hint("try again later")
    }

    /// No room for what came.
    pub fn disk_full() -> Self {
        let message = "the hub's disk is full; nothing of the request was kept";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, code::DISK_FULL, message)
            .hint("make room on the hub; devices keep what they have and try again")
    }

    /// What nobody foresaw; the log says more.
    pub fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        tracing::error!(error, "a request failed");
        Self::broken()
    }

    /// The same, where the log has it already.
    pub fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code::INTERNAL, "the hub failed")
            .hint("its log says more, under the x-request-id of this answer")
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        response.extensions_mut().insert(self);
        response
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        let message = error.to_string();
        let unprocessable = |code| Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message.clone());
        match &error {
            StoreError::Gap { .. } => Self::new(StatusCode::CONFLICT, code::GAP, message)
                .hint("send the ops before it first; hello says what is here"),
            StoreError::BadSignature { .. } => unprocessable(code::BAD_SIGNATURE).hint("nothing of the page was kept"),
            StoreError::WrongKey { .. } => unprocessable(code::WRONG_KEY).hint("nothing of the page was kept"),
            _ if is_disk_full(&error) => Self::disk_full(),
            _ => Self::internal(&error),
        }
    }
}

/// Returns whether the store failed for want of room.
fn is_disk_full(error: &StoreError) -> bool {
    match error {
        StoreError::Sqlite(error) => error.sqlite_error_code() == Some(rusqlite::ErrorCode::DiskFull),
        StoreError::Io { source, .. } => source.kind() == std::io::ErrorKind::StorageFull,
        _ => false,
    }
}

impl From<WriteError> for Refused {
    fn from(error: WriteError) -> Self {
        match error {
            WriteError::Stopped => Self::stopping(),
            WriteError::Commit(error) if is_disk_full(&error) => Self::disk_full(),
            WriteError::Commit(error) => Self::internal(&*error),
        }
    }
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Stopped => Self::stopping(),
            ReadError::Store(error) => error.into(),
        }
    }
}

impl From<Broken> for Refused {
    fn from(error: Broken) -> Self {
        match error {
            Broken::TooLarge => Self::too_large(error.to_string()).hint("send smaller pages"),
            Broken::NotCompressed(_) | Broken::Malformed(_) => Self::bad_page(&error),
        }
    }
}

impl From<Malformed> for Refused {
    fn from(error: Malformed) -> Self {
        Self::bad_page(&error)
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        let message = error.to_string();
        match error {
            BodyError::TooLarge { .. } => Self::too_large(message),
            BodyError::TooSlow | BodyError::Stalled | BodyError::BelowRate => {
                Self::new(StatusCode::REQUEST_TIMEOUT, code::TIMEOUT, message)
            }
            BodyError::Cut(_) => Self::bad_request(message),
        }
    }
}
