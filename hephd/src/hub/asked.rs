//! What a request brings: JSON of a known shape, or a page. Bounded, of the announced type, refused in words.

use super::{
    error::Refused,
    turns::{Turn, Turns},
};
use crate::{
    limits::{JSON_BYTES_MAX, PAGE_WIRE_BYTES_MAX},
    sync::protocol::PAGE_TYPE,
};
use axum::extract::{FromRef, FromRequest, Request};
use bytes::Bytes;
use hyper::{HeaderMap, header::CONTENT_TYPE};
use serde::de::DeserializeOwned;

const JSON_TYPE: &str = "application/json";

/// A JSON object of the shape `T`, and the turn of the request that brought it. Members that `T` does not know are
/// ignored.
pub struct Asked<T>(pub T, pub Turn);

/// The bytes of a page, compressed, and the turn of the request that brought them.
pub struct PackedPage(pub Bytes, pub Turn);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Asked<T>
where
    Turns: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        check_type(request.headers(), JSON_TYPE)?;
        let turns = Turns::from_ref(state);
        let body = turns.body(request.into_body(), JSON_BYTES_MAX).await?;
        let turn = turns.request()?;
        Ok(Self(parse(&body)?, turn))
    }
}

impl<S: Send + Sync> FromRequest<S> for PackedPage
where
    Turns: FromRef<S>,
{
    type Rejection = Refused;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refused> {
        check_type(request.headers(), PAGE_TYPE)?;
        let turns = Turns::from_ref(state);
        let body = turns.body(request.into_body(), PAGE_WIRE_BYTES_MAX).await?;
        Ok(Self(body, turns.request()?))
    }
}

fn check_type(headers: &HeaderMap, wanted: &str) -> Result<(), Refused> {
    let announced = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = announced.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) { Ok(()) } else { Err(Refused::media_type(wanted)) }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refused> {
    // Serde would also take a list of the members' values, in order.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refused::bad_request("the body is not a JSON object"));
    }
    serde_json::from_slice(bytes)
        .map_err(|why| Refused::bad_request(format!("the body is not what this call takes: {why}")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::sync::protocol::{ForkRequest, VectorRequest};
    use axum::body::Body;

    async fn status<T: DeserializeOwned>(content_type: &str, body: &'static str) -> u16 {
        let request = Request::post("/").header(CONTENT_TYPE, content_type).body(Body::from(body)).unwrap();
        Asked::<T>::from_request(request, &Turns::default())
            .await
            .map_or_else(|refused| refused.status.as_u16(), |_| 200)
    }

    #[tokio::test]
    async fn only_the_announced_shape_gets_in() {
        assert_eq!(status::<VectorRequest>("application/json", "{}").await, 200);
        assert_eq!(status::<VectorRequest>("Application/JSON; charset=utf-8", r#" {"newer":1}"#).await, 200);
        assert_eq!(status::<VectorRequest>("text/plain", "{}").await, 415);
        assert_eq!(status::<VectorRequest>("application/json", "[]").await, 400);
        assert_eq!(status::<VectorRequest>("application/json", "").await, 400);
        assert_eq!(status::<VectorRequest>("application/json", r#"{"after":7}"#).await, 400);
        assert_eq!(status::<VectorRequest>("application/json", r#"{"after":"00"}"#).await, 400);
        assert_eq!(status::<ForkRequest>("application/json", r#"{"tips":[]}"#).await, 400);
    }
}
