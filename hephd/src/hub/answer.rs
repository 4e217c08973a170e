//! Every answer on its way out: the version, the request's id, and one shape for every error, whoever refused. A
//! handler that panics becomes a 500, and the hub goes on.

use super::error::Refused;
use crate::sync::protocol::code;
use axum::{
    Json,
    extract::Request,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use heph_api::{VERSION, VERSION_HEADER};
use heph_store::env::{SystemEnv, random};
use hyper::{
    HeaderMap, StatusCode,
    header::{HeaderName, HeaderValue, RETRY_AFTER},
};
use std::panic::AssertUnwindSafe;
use tracing::Instrument;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The longest id that is taken from a request, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 64;
/// When to try again after 503, in seconds.
const RETRY_AFTER_S: u16 = 2;

/// Dresses the answer to `request`.
pub async fn dress(request: Request, next: Next) -> Response {
    let id = request_id(request.headers());
    let span = tracing::info_span!("request", id = id.to_str().unwrap_or_default());
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().instrument(span).await;
    let mut response = shape(answered.unwrap_or_else(|_| Refused::broken().into_response()));
    let headers = response.headers_mut();
    headers.insert(HeaderName::from_static(VERSION_HEADER), HeaderValue::from_static(VERSION));
    headers.insert(REQUEST_ID, id);
    response
}

/// The id that the request brings, if it is a plain one; else a fresh one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let brought = headers
        .get(REQUEST_ID)
        .filter(|id| (1..=REQUEST_ID_BYTES_MAX).contains(&id.len()) && id.as_bytes().iter().all(is_plain));
    brought.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&hex::encode(random::<8>(&SystemEnv))).expect("hex digits may stand in a header")
    })
}

/// Gives a refusal its body; so also what the framework refused by itself.
fn shape(mut response: Response) -> Response {
    let status = response.status();
    let by_framework = || (status.is_client_error() || status.is_server_error()).then(|| unforeseen(status));
    let Some(refused) = response.extensions_mut().remove::<Refused>().or_else(by_framework) else { return response };
    let mut shaped = (refused.status, Json(&*refused.refusal)).into_response();
    if refused.status == StatusCode::SERVICE_UNAVAILABLE {
        shaped.headers_mut().insert(RETRY_AFTER, RETRY_AFTER_S.into());
    }
    if let Some(allow) = response.headers_mut().remove(hyper::header::ALLOW) {
        shaped.headers_mut().insert(hyper::header::ALLOW, allow);
    }
    shaped
}

fn unforeseen(status: StatusCode) -> Refused {
    match status {
        StatusCode::NOT_FOUND => Refused::new(status, code::UNKNOWN_CALL, "there is no such call")
            .hint("the calls are under /v1; a newer hub may have more"),
        StatusCode::METHOD_NOT_ALLOWED => {
            Refused::new(status, code::METHOD_NOT_ALLOWED, "this call is made with another method")
        }
        _ if status.is_client_error() => Refused::new(status, code::BAD_REQUEST, "the request cannot be understood"),
        _ => Refused::broken(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_request_keeps_its_own_id_if_it_is_a_plain_one() {
        let id_for = |brought: &'static str| {
            let headers = HeaderMap::from_iter([(REQUEST_ID, HeaderValue::from_static(brought))]);
            request_id(&headers).to_str().unwrap().to_owned()
        };
        assert_eq!(id_for("trace-1.2_3"), "trace-1.2_3");
        for bad in
            ["", "two words", "<script>", "0123456789012345678901234567890123456789012345678901234567890123456789"]
        {
            assert_eq!(id_for(bad).len(), 16, "{bad}");
        }
    }
}
