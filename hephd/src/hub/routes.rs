//! Which call is which handler, what stands before it, and the three calls that anybody may make. There is no
//! `/metrics` yet: numbers about a person's data belong behind the gate, and come with its tokens.

use super::{Hub, answer, error::Refused, events, exchange, gate, hello, pull};
use crate::sync::protocol::{PROTOCOL, VersionAnswer, path};
use axum::{
    Json, Router,
    extract::State,
    middleware::{from_fn, from_fn_with_state},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use hyper::StatusCode;
use serde_json::json;
use std::{sync::Arc, time::Duration};

/// How long a replica may take to show that it can be read.
const READY_TIMEOUT: Duration = Duration::from_secs(2);

/// Returns all routes of the hub.
pub fn routes(hub: Arc<Hub>) -> Router {
    let gate = from_fn_with_state(hub.clone(), gate::gate);
    let introduced = Router::new()
        .route(path::HELLO, post(hello::hello))
        .route_layer(gate.clone())
        .route_layer(from_fn_with_state(hub.clone(), hello::prove));
    let gated = Router::new()
        .route(path::VECTOR, post(exchange::vector))
        .route(path::PULL, post(pull::pull))
        .route(path::PUSH, post(exchange::push))
        .route(path::FORK, post(exchange::fork))
        .route(path::DIGEST, post(exchange::digest))
        .route(path::OPS, post(exchange::ops))
        .route(path::EVENTS, get(events::events))
        .route_layer(gate);
    Router::new()
        .route("/healthz", get(healthy))
        .route("/readyz", get(ready))
        .route(path::VERSION, get(version))
        .merge(introduced)
        .merge(gated)
        .layer(from_fn(answer::dress))
        .with_state(hub)
}

/// The process is there and answers.
async fn healthy() -> Response {
    Json(json!({ "status": "ok" })).into_response()
}

/// Every replica can be read, and the hub is not about to stop.
async fn ready(State(hub): State<Arc<Hub>>) -> Result<Response, Refused> {
    if hub.shutdown.is_requested() {
        return Err(Refused::stopping());
    }
    match tokio::time::timeout(READY_TIMEOUT, hub.replicas.are_ready()).await {
        Ok(true) => Ok(Json(json!({ "status": "ready" })).into_response()),
        Ok(false) | Err(_) => {
            let message = "a replica cannot be read";
            Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message).hint("the hub's log says why"))
        }
    }
}

async fn version() -> Json<VersionAnswer> {
    let (name, version) = ("heph hub".to_owned(), heph_api::VERSION.to_owned());
    Json(VersionAnswer { name, version, protocol: PROTOCOL })
}
