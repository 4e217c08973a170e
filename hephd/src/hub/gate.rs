//! The one gate: a request's head becomes an identity, the identity an owner, the owner a replica. A handler gets a
//! replica by an [`Admitted`], which only the gate makes: a route that the gate does not guard cannot have one.

use super::{Hub, error::Refused, identity::identify, replicas::HubReplica};
use crate::sync::protocol::{HUB_HEADER, LOG_HEADER, code};
use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::Response,
};
use heph_store::id::{HubId, LogId};
use hyper::{HeaderMap, StatusCode, http::request::Parts};
use std::{ops::Deref, sync::Arc};

/// Leave to use one owner's replica, for the time of one request.
#[derive(Clone)]
pub struct Admitted(Arc<HubReplica>);

impl Deref for Admitted {
    type Target = HubReplica;

    fn deref(&self) -> &HubReplica {
        &self.0
    }
}

/// Lets a request through with the replica that it may use, or refuses it.
pub async fn gate(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Result<Response, Refused> {
    let (mut head, body) = request.into_parts();
    let identity = identify(&head)?;
    let owner = hub.owners.resolve_owner(&identity).ok_or_else(no_owner)?;
    let replica = hub.replicas.get(owner).ok_or_else(Refused::broken)?;
    check_addressee(&head.headers, hub.id, replica.log_id)?;
    head.extensions.insert(Admitted(replica));
    Ok(next.run(Request::from_parts(head, body)).await)
}

/// Refuses what was meant for the hub, or the log, that was here when its sender said hello. Who names none, such as a
/// person with curl, takes what is here.
fn check_addressee(headers: &HeaderMap, hub: HubId, log: LogId) -> Result<(), Refused> {
    let is_ours = |header, ours: String| {
        let mut named = headers.get_all(header).iter();
        named.all(|name| name.as_bytes().eq_ignore_ascii_case(ours.as_bytes()))
    };
    let is_for_here = is_ours(HUB_HEADER, hub.to_string()) && is_ours(LOG_HEADER, log.to_string());
    if is_for_here { Ok(()) } else { Err(Refused::other_hub(hub, log)) }
}

fn no_owner() -> Refused {
    Refused::new(StatusCode::FORBIDDEN, code::NO_OWNER, "this identity may act for no owner on this hub")
}

impl<S: Sync> FromRequestParts<S> for Admitted {
    type Rejection = Refused;

    async fn from_request_parts(head: &mut Parts, _: &S) -> Result<Self, Refused> {
        // Without a gate before it a route fails always, not only for strangers, so that no test can miss it.
        head.extensions.get::<Self>().cloned().ok_or_else(Refused::broken)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_is_for_the_hub_and_the_log_that_it_names_or_for_whoever_is_here() {
        let (hub, log) = (HubId::from_bytes([0xab; 16]), LogId::from_bytes([2; 16]));
        let other = "cd".repeat(16);
        let is_refused = |named: &[(&'static str, &str)]| {
            let headers = named.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
            check_addressee(&HeaderMap::from_iter(headers), hub, log).is_err()
        };
        let (hub, log) = (hub.to_string(), log.to_string());
        assert!(!is_refused(&[]));
        assert!(!is_refused(&[(HUB_HEADER, &hub), (LOG_HEADER, &log)]));
        assert!(!is_refused(&[(HUB_HEADER, &hub.to_uppercase())]));
        assert!(is_refused(&[(HUB_HEADER, &other), (LOG_HEADER, &log)]));
        assert!(is_refused(&[(HUB_HEADER, &hub), (LOG_HEADER, &other)]));
        assert!(is_refused(&[(HUB_HEADER, "")]));
    }
}
