//! A request put to a router without a network, on one thread and in virtual time: whatever comes back, in bounds.

use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use serde_json::Value as Json;
use std::convert::Infallible;
use tokio::runtime::Runtime;
use tower_service::Service;

/// How many parts of an answer are read; a stream of events has no end.
const PARTS_MAX: usize = 6;

/// What is asked.
#[derive(Debug, Default)]
pub struct Asked {
    /// Any word.
    pub method: String,
    /// With a query or not.
    pub path: String,
    /// Those that cannot be headers are left out.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
    /// Into how many parts it is divided.
    pub parts: u8,
    /// Whether it breaks off at the end.
    pub breaks_off: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    /// How it went.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The first parts of the body.
    pub body: Vec<u8>,
    /// Whether that is all of it.
    pub whole: bool,
}

/// A runtime of this thread alone, whose clock moves when nothing else does. What blocks is done on it, too.
pub fn runtime() -> Runtime {
    hephd::work::inline_on_this_thread();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime of one thread")
}

/// Puts the question. `None` if it is no HTTP.
pub fn ask(runtime: &Runtime, router: &Router, asked: &Asked) -> Option<Answer> {
    let request = request(asked)?;
    Some(runtime.block_on(async {
        let answer: Result<_, Infallible> = router.clone().call(request).await;
        let Ok(answer) = answer;
        let (head, mut rest) = answer.into_parts();
        let (mut body, mut whole) = (Vec::new(), false);
        for _ in 0..PARTS_MAX {
            match rest.frame().await {
                Some(Ok(frame)) => body.extend(frame.into_data().unwrap_or_default()),
                Some(Err(_)) => break,
                None => {
                    whole = true;
                    break;
                }
            }
        }
        Answer { status: head.status, headers: head.headers, body, whole }
    }))
}

fn request(asked: &Asked) -> Option<Request<Body>> {
    let mut request = Request::new(body(asked));
    *request.method_mut() = Method::from_bytes(asked.method.as_bytes()).ok()?;
    *request.uri_mut() = asked.path.parse::<Uri>().ok()?;
    for (name, value) in &asked.headers {
        let header = HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value).ok());
        if let Some((name, value)) = header {
            request.headers_mut().append(name, value);
        }
    }
    Some(request)
}

fn body(asked: &Asked) -> Body {
    let each = asked.body.len() / (usize::from(asked.parts) + 1) + 1;
    let mut parts: Vec<std::io::Result<Bytes>> =
        asked.body.chunks(each).map(|part| Ok(Bytes::copy_from_slice(part))).collect();
    if asked.breaks_off {
        parts.push(Err(std::io::ErrorKind::ConnectionReset.into()));
    }
    Body::from_stream(futures_util::stream::iter(parts))
}

impl Answer {
    /// Whether something was refused. Then it says so as every refusal does, and is none that nobody foresaw.
    pub fn is_refusal(&self) -> bool {
        if self.status.is_success() {
            return false;
        }
        let said = String::from_utf8_lossy(&self.body);
        assert!(self.status.is_client_error() || self.status.is_server_error(), "{} {said}", self.status);
        let refusal: Json = serde_json::from_slice(&self.body).unwrap_or_else(|why| panic!("{why}: {said}"));
        let text = |member: &str| refusal.get(member).and_then(Json::as_str).unwrap_or_default();
        let code = text("code");
        assert!(!code.is_empty() && code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'), "{said}");
        assert!(!text("message").is_empty() && refusal.get("hint").is_some(), "{said}");
        // A file that cannot be read or written is the machine's fault, and is foreseen.
        let foreseen = [501, 503].contains(&self.status.as_u16()) || code == "file_error";
        assert!(foreseen || !self.status.is_server_error(), "{} {said}", self.status);
        true
    }
}
