//! Hello: a device introduces itself, the hub proves who it is, and both learn how far apart they are. Also what is
//! refused here is proven, so that a device need not show a token to a stranger in order to learn that it needs one.

use super::{Hub, asked::Asked, error::Refused, gate::Admitted};
use crate::{
    limits::{DEVICE_NAME_BYTES_MAX, HELLO_BYTES_MAX, VECTOR_INLINE_ORIGINS, VERSION_BYTES_MAX},
    sync::{
        protocol::{Head, HelloAnswer, HelloRequest, HubProof, PROTOCOL, ProtocolRange},
        text::{Base64, Hex},
    },
};
use axum::{
    Json,
    body::Body,
    extract::{Request, State},
    middleware::Next,
    response::Response,
};
use heph_store::{Result as StoreResult, exchange::Summary, id::Origin, read::View, replica::Cursor, vector::Vector};
use serde::Deserialize;
use std::sync::Arc;

/// As much of a hello as every protocol has, whatever else it says.
#[derive(Deserialize)]
struct Opening {
    protocol: ProtocolRange,
    #[serde(flatten)]
    challenge: Challenge,
}

#[derive(Deserialize)]
struct Challenge {
    origin: Origin,
    challenge: Hex<32>,
}

impl Challenge {
    fn proof(&self, hub: &Hub) -> HubProof {
        HubProof::new(&hub.key, &self.challenge.0, self.origin)
    }
}

/// Stands before the gate: sees to the protocol, and proves who refuses whatever is refused behind it.
pub async fn prove(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Result<Response, Refused> {
    let (head, body) = request.into_parts();
    let bytes = hub.turns.body(body, HELLO_BYTES_MAX).await?;
    if let Ok(opening) = serde_json::from_slice::<Opening>(&bytes) {
        check_protocol(opening.protocol).map_err(|refused| refused.by(opening.challenge.proof(&hub)))?;
    }
    let challenge = serde_json::from_slice::<Challenge>(&bytes);
    let mut response = next.run(Request::from_parts(head, Body::from(bytes))).await;
    if let (Some(refused), Ok(challenge)) = (response.extensions_mut().get_mut::<Refused>(), challenge) {
        refused.refusal.hub = Some(challenge.proof(&hub));
    }
    Ok(response)
}

fn check_protocol(theirs: ProtocolRange) -> Result<(), Refused> {
    if theirs.min > theirs.max {
        return Err(Refused::bad_request("the protocol range ends before it begins"));
    }
    if theirs.min > PROTOCOL.max {
        return Err(Refused::protocol(true));
    }
    if theirs.max < PROTOCOL.min {
        return Err(Refused::protocol(false));
    }
    Ok(())
}

/// Answers a hello.
pub async fn hello(
    replica: Admitted,
    State(hub): State<Arc<Hub>>,
    Asked(request, _turn): Asked<HelloRequest>,
) -> Result<Json<HelloAnswer>, Refused> {
    check(&request)?;
    let cursor = request.cursor.clone();
    let seen = replica.readers.read(move |view| look(view, cursor.as_ref())).await??;
    let Seen { summary, vector, cursor_known } = seen;
    // A device that still lacks a value makes another state, too; to look once too often does no harm.
    if request.vector_hash.0 == vector.hash()
        && request.rules_version == summary.rules_version
        && request.digest.0 != summary.digest
    {
        replica.deep_check.doubt();
    }
    let inline = vector.len() <= VECTOR_INLINE_ORIGINS;
    tracing::debug!(origin = %request.origin, theirs = request.op_count, ours = summary.head, "hello");
    Ok(Json(HelloAnswer {
        version: heph_api::VERSION.to_owned(),
        protocol: PROTOCOL,
        hub: HubProof::new(&hub.key, &request.challenge.0, request.origin),
        log_id: replica.log_id,
        owner_id: replica.owner,
        head: Head { position: summary.head, roll: Hex(summary.roll) },
        vector_hash: Hex(vector.hash()),
        vector: inline.then(|| Base64(vector.encode())),
        clock_ms: hub.env.now().get(),
        rules_version: summary.rules_version,
        digest: Hex(summary.digest),
        op_count: summary.head,
        cursor_known,
    }))
}

fn check(request: &HelloRequest) -> Result<(), Refused> {
    if request.name.len() > DEVICE_NAME_BYTES_MAX || request.name.chars().any(char::is_control) {
        let message = format!("a device's name has at most {DEVICE_NAME_BYTES_MAX} bytes and stands on one line");
        return Err(Refused::bad_request(message));
    }
    if request.version.len() > VERSION_BYTES_MAX {
        return Err(Refused::bad_request(format!("a version has at most {VERSION_BYTES_MAX} bytes")));
    }
    Ok(())
}

/// One state of the replica, as a hello tells it.
struct Seen {
    summary: Summary,
    vector: Vector,
    cursor_known: bool,
}

fn look(view: &View<'_>, cursor: Option<&Cursor>) -> StoreResult<Seen> {
    let cursor_known = cursor.map_or(Ok(false), |cursor| view.position_is(cursor))?;
    Ok(Seen { summary: view.summary()?, vector: view.vector()?, cursor_known })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sync::protocol::code;

    fn code_for(min: u32, max: u32) -> Option<String> {
        check_protocol(ProtocolRange { min, max }).err().map(|refused| refused.refusal.code)
    }

    #[test]
    fn a_mismatch_names_the_side_to_upgrade() {
        let (older, newer) = (PROTOCOL.min - 1, PROTOCOL.max + 1);
        assert_eq!(code_for(older, newer), None);
        assert_eq!(code_for(PROTOCOL.max, newer + 7), None);
        assert_eq!(code_for(newer, newer).as_deref(), Some(code::UPGRADE_HUB));
        assert_eq!(code_for(older, older).as_deref(), Some(code::UPGRADE_DEVICE));
        assert_eq!(code_for(2, 1).as_deref(), Some(code::BAD_REQUEST));
    }
}
