//! The hub over HTTP: every answer bounded and timed, no redirect followed, no proxy before a loopback address.

use super::{Away, Heads, Hub, HubError, Pages, Proven, events::Lines};
use crate::config::HubUrl;
use crate::limits::{HEADER_READ_TIMEOUT, JSON_BYTES_MAX, PAGE_WIRE_BYTES_MAX};
use crate::sync::page::{self, Items};
use crate::sync::protocol::{
    DigestAnswer, ForkAnswer, ForkRequest, HUB_HEADER, HeadEvent, HelloAnswer, HelloRequest, LOG_HEADER, OpsRequest,
    PAGE_TYPE, PAGES_TYPE, PullRequest, PushAnswer, Refusal, VectorAnswer, VectorRequest, path,
};
use anyhow::Context;
use futures_util::{StreamExt, future::BoxFuture, stream};
use heph_api::{VERSION, VERSION_HEADER};
use reqwest::header::{ACCEPT, CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Request, RequestBuilder, Response, StatusCode, Url};
use serde::{Serialize, de::DeserializeOwned};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a small question may take.
const QUESTION_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a page may take to be sent and answered: a megabyte over a thin line.
const PUSH_TIMEOUT: Duration = Duration::from_secs(180);
/// How long a stream may be silent.
const STREAM_SILENCE: Duration = Duration::from_secs(60);
/// What of a stream has to come in a second, on average over the time that it is waited for.
const STREAM_BYTES_PER_S_MIN: u64 = 1024;
/// How long events may be silent: three of the hub's signs of life.
const EVENTS_SILENCE: Duration = Duration::from_secs(45);
/// How long the start of a stream may take.
const STREAM_START_TIMEOUT: Duration = Duration::from_secs(60);

/// How long an idle connection is kept.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

const _: () = {
    assert!(IDLE_TIMEOUT.as_secs() < HEADER_READ_TIMEOUT.as_secs(), "no request goes out as the hub hangs up");
};

/// What carries a request to the hub and its answer back: the seam of the network.
pub trait Wire: Send + Sync {
    /// Sends a request; returns the head of its answer, whose body may still be on its way.
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, HubError>>;
}

/// The real network.
struct Network(Client);

impl Wire for Network {
    fn send(&self, request: Request) -> BoxFuture<'_, Result<Response, HubError>> {
        Box::pin(async { self.0.execute(request).await.map_err(|error| classify(&error)) })
    }
}

/// A hub behind a URL.
#[derive(Clone)]
pub struct HttpHub {
    url: HubUrl,
    /// Makes requests; only the wire sends them.
    client: Client,
    wire: Arc<dyn Wire>,
}

impl HttpHub {
    /// Returns the hub behind `url`, and whether that is a loopback address; nothing is opened yet.
    ///
    /// # Errors
    /// If the system's settings for HTTP cannot be read.
    pub fn new(url: &HubUrl) -> anyhow::Result<(Self, bool)> {
        let loopback = is_loopback(&Url::parse(url.as_str()).context("the hub's address")?);
        let builder = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            .tcp_keepalive(Duration::from_secs(30))
            .referer(false);
        let builder = if loopback { builder.no_proxy() } else { builder };
        let client = builder.build().context("the system's settings for HTTP")?;
        let wire = Arc::new(Network(client.clone()));
        Ok((Self { url: url.clone(), client, wire }, loopback))
    }

    /// The same hub behind another wire.
    pub fn over(self, wire: Arc<dyn Wire>) -> Self {
        Self { wire, ..self }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.at(path)).header(VERSION_HEADER, VERSION)
    }

    /// A call that is for this hub only.
    fn post_to(&self, to: Proven, path: &str) -> RequestBuilder {
        addressed(self.post(path), to)
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        question: &(impl Serialize + Sync),
    ) -> Result<A, HubError> {
        within(QUESTION_TIMEOUT, async {
            let response = self.accepted(request.json(question)).await?;
            read_json(response).await
        })
        .await
    }

    /// Sends a request; an answer that is no success is an error.
    async fn accepted(&self, request: RequestBuilder) -> Result<Response, HubError> {
        let request = request.build().map_err(|error| classify(&error))?;
        let response = self.wire.send(request).await?;
        match response.status() {
            StatusCode::OK => Ok(response),
            status if status.is_redirection() => Err(HubError::NotAHub("it redirects")),
            status => Err(refused(status, response).await),
        }
    }

    /// The address of a call: below whatever path the hub's URL has.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

fn addressed(request: RequestBuilder, to: Proven) -> RequestBuilder {
    request.header(HUB_HEADER, to.hub.to_string()).header(LOG_HEADER, to.log.to_string())
}

impl Hub for HttpHub {
    async fn hello(&self, request: &HelloRequest) -> Result<HelloAnswer, HubError> {
        self.ask(self.post(path::HELLO), request).await
    }

    async fn vector(&self, to: Proven, request: &VectorRequest) -> Result<VectorAnswer, HubError> {
        self.ask(self.post_to(to, path::VECTOR), request).await
    }

    async fn pull(&self, to: Proven, request: &PullRequest) -> Result<Pages, HubError> {
        let request = self.post_to(to, path::PULL).header(ACCEPT, PAGES_TYPE).json(request);
        let response = within(STREAM_START_TIMEOUT, self.accepted(request)).await?;
        require_type(&response, PAGES_TYPE)?;
        Ok(items(response))
    }

    async fn push(&self, to: Proven, page: Vec<u8>) -> Result<PushAnswer, HubError> {
        let packed = page::compress(&page).map_err(|error| HubError::BadAnswer(error.to_string()))?;
        within(PUSH_TIMEOUT, async {
            let request = self.post_to(to, path::PUSH).header(CONTENT_TYPE, PAGE_TYPE).body(packed);
            read_json(self.accepted(request).await?).await
        })
        .await
    }

    async fn fork(&self, to: Proven, request: &ForkRequest) -> Result<ForkAnswer, HubError> {
        self.ask(self.post_to(to, path::FORK), request).await
    }

    async fn digest(&self, to: Proven) -> Result<DigestAnswer, HubError> {
        self.ask(self.post_to(to, path::DIGEST), &serde_json::json!({})).await
    }

    async fn ops(&self, to: Proven, request: &OpsRequest) -> Result<Vec<u8>, HubError> {
        within(PUSH_TIMEOUT, async {
            let response = self.accepted(self.post_to(to, path::OPS).json(request)).await?;
            require_type(&response, PAGE_TYPE)?;
            let packed = read_bytes(response, PAGE_WIRE_BYTES_MAX).await?;
            page::decompress(&packed).map_err(|error| HubError::BadAnswer(error.to_string()))
        })
        .await
    }

    async fn events(&self, to: Proven) -> Result<Heads, HubError> {
        let request = addressed(self.client.get(self.at(path::EVENTS)), to).header(VERSION_HEADER, VERSION);
        let response = within(STREAM_START_TIMEOUT, self.accepted(request.header(ACCEPT, "text/event-stream"))).await?;
        require_type(&response, "text/event-stream")?;
        Ok(heads(response))
    }
}

/// Returns whether the URL names this machine by a loopback address or as `localhost`.
fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost") || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

/// What an answer that is no success says: the hub's own words, or somebody else's.
async fn refused(status: StatusCode, response: Response) -> HubError {
    let retry_after_ms = retry_after_ms(&response);
    let is_heph = response.headers().contains_key(VERSION_HEADER);
    let status = status.as_u16();
    let body = match read_bytes(response, JSON_BYTES_MAX).await {
        Ok(body) => body,
        Err(error) => return error,
    };
    match serde_json::from_slice::<Refusal>(&body) {
        Ok(refusal) => HubError::Refused { status, refusal: Box::new(refusal), retry_after_ms },
        Err(_) if is_heph || matches!(status, 408 | 413 | 429 | 500 | 502..=504) => {
            HubError::Status { status, retry_after_ms }
        }
        Err(_) => HubError::NotAHub("it answers in another language"),
    }
}

fn retry_after_ms(response: &Response) -> Option<u64> {
    let seconds: u64 = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(seconds.saturating_mul(1_000))
}

fn require_type(response: &Response, wanted: &str) -> Result<(), HubError> {
    let found = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = found.split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case(wanted) {
        return Ok(());
    }
    let is_page = essence.eq_ignore_ascii_case("text/html");
    Err(HubError::NotAHub(if is_page { "it sends a web page" } else { "it sends something else" }))
}

async fn read_json<A: DeserializeOwned>(response: Response) -> Result<A, HubError> {
    require_type(&response, "application/json")?;
    let body = read_bytes(response, JSON_BYTES_MAX).await?;
    serde_json::from_slice(&body).map_err(|error| HubError::BadAnswer(error.to_string()))
}

async fn read_bytes(mut response: Response, max: usize) -> Result<Vec<u8>, HubError> {
    let mut body = Vec::new();
    while let Some(chunk) = next_chunk(&mut response, STREAM_SILENCE).await? {
        if body.len() + chunk.len() > max {
            return Err(HubError::BadAnswer(format!("more than {max} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

async fn next_chunk(response: &mut Response, silence: Duration) -> Result<Option<bytes::Bytes>, HubError> {
    within(silence, async { response.chunk().await.map_err(|error| classify(&error)) }).await
}

async fn within<T>(limit: Duration, work: impl Future<Output = Result<T, HubError>>) -> Result<T, HubError> {
    timeout(limit, work).await.unwrap_or(Err(HubError::Away(Away::Timeout)))
}

/// The items of a pull, read as they arrive.
fn items(response: Response) -> Pages {
    let start = (response, Items::default(), Pace::default(), false);
    stream::try_unfold(start, |(mut response, mut items, mut pace, ended)| async move {
        if ended {
            return Ok(None);
        }
        loop {
            if let Some(item) = items.next_item().map_err(|error| HubError::BadAnswer(error.to_string()))? {
                let ended = item.is_end();
                return Ok(Some((item, (response, items, pace, ended))));
            }
            match pace.next_chunk(&mut response).await? {
                Some(chunk) => items.feed(&chunk),
                None => {
                    items.finish().map_err(|error| HubError::BadAnswer(error.to_string()))?;
                    return Err(HubError::Away(Away::Cut));
                }
            }
        }
    })
    .boxed()
}

/// How long a stream has been waited for, and how much of it came: one that trickles is given up like one that is silent.
#[derive(Default)]
struct Pace {
    waited: Duration,
    bytes: u64,
}

impl Pace {
    async fn next_chunk(&mut self, response: &mut Response) -> Result<Option<bytes::Bytes>, HubError> {
        let allowed = STREAM_SILENCE + Duration::from_secs(self.bytes / STREAM_BYTES_PER_S_MIN);
        let began = Instant::now();
        let chunk = next_chunk(response, STREAM_SILENCE.min(allowed.saturating_sub(self.waited))).await?;
        self.waited += began.elapsed();
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        Ok(chunk)
    }
}

/// The hub's events, read as they arrive; signs of life end in nothing but more patience.
fn heads(response: Response) -> Heads {
    stream::try_unfold((response, Lines::default()), |(mut response, mut lines)| async move {
        loop {
            if let Some(event) = lines.next_event().map_err(|error| HubError::BadAnswer(error.to_string()))? {
                let head: HeadEvent =
                    serde_json::from_str(&event).map_err(|error| HubError::BadAnswer(error.to_string()))?;
                return Ok(Some((head, (response, lines))));
            }
            match next_chunk(&mut response, EVENTS_SILENCE).await? {
                Some(chunk) => lines.feed(&chunk),
                None => return Ok(None),
            }
        }
    })
    .boxed()
}

/// What kind of failure it is, without the address, which stands in status anyway.
fn classify(error: &reqwest::Error) -> HubError {
    let io = std::iter::successors(error.source(), |cause| (*cause).source())
        .find_map(|cause| cause.downcast_ref::<std::io::Error>())
        .map(std::io::Error::kind);
    HubError::Away(match io {
        _ if error.is_timeout() => Away::Timeout,
        _ if error.is_dns() => Away::Name,
        _ if error.is_builder() => Away::Scheme,
        Some(std::io::ErrorKind::ConnectionRefused) => Away::ConnectionRefused,
        Some(std::io::ErrorKind::HostUnreachable | std::io::ErrorKind::NetworkUnreachable) => Away::NoRoute,
        Some(std::io::ErrorKind::TimedOut) => Away::Timeout,
        _ if speaks_no_http(error) => return HubError::NotAHub("it does not speak HTTP"),
        _ => Away::Cut,
    })
}

fn speaks_no_http(error: &reqwest::Error) -> bool {
    std::iter::successors(error.source(), |cause| (*cause).source())
        .filter_map(|cause| cause.downcast_ref::<hyper::Error>())
        .any(hyper::Error::is_parse)
}
