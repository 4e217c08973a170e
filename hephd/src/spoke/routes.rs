//! The local API: one match from path to action. A body is read, bounded, decoded; an answer or an error is encoded;
//! every answer carries this program's version. What the actions do stands in [`super::actions`].

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use heph_api::types::*;
use heph_api::{ApiError, REQUEST_BYTES_MAX, VERSION, VERSION_HEADER, code};
use heph_store::draft::Draft;
use heph_store::read::View;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use super::Spoke;
use super::actions::{
    Done, conflict, doc, door, export, import, journal, list, node, occurrence, replica, task, text, undo,
};
use super::refusal::Refusal;
use crate::http::{BodyError, read_body};

/// Returns all routes of the local API.
pub fn routes(spoke: Arc<Spoke>) -> Router {
    Router::new().fallback(serve).with_state(spoke)
}

/// Answers one request.
async fn serve(State(spoke): State<Arc<Spoke>>, request: Request<Body>) -> Response {
    let path = request.uri().path().to_owned();
    let answered = match take_body(request).await {
        Ok(body) => call(&spoke, &path, &body).await,
        Err(refusal) => Err(refusal),
    };
    answered.map_or_else(|refusal| refused(&refusal.into_api()), |json| respond(StatusCode::OK, json))
}

/// Does what `path` stands for.
async fn call(spoke: &Arc<Spoke>, path: &str, body: &Bytes) -> Result<Vec<u8>, Refusal> {
    match path {
        CreateTask::PATH => write(spoke, body, task::create, task::written).await,
        ListTasks::PATH => read(spoke, body, list::tasks).await,
        EditTask::PATH => write(spoke, body, task::edit, task::edited).await,
        CompleteTask::PATH => write(spoke, body, occurrence::complete, occurrence::completed).await,
        DropTask::PATH => write(spoke, body, task::drop, task::written).await,
        LogEntry::PATH => write(spoke, body, task::log, task::logged).await,
        ReadContext::PATH => read(spoke, body, task::context).await,
        AppendContext::PATH => write(spoke, body, task::append_context, text::written).await,

        ShowNode::PATH => read(spoke, body, node::show).await,
        DeleteNode::PATH => write(spoke, body, node::delete, node::written).await,
        UndeleteNode::PATH => write(spoke, body, node::undelete, node::written).await,
        NodeHistory::PATH => read(spoke, body, node::history).await,
        FindBacklinks::PATH => read(spoke, body, node::backlinks).await,
        Search::PATH => read(spoke, body, node::search).await,

        CreateDoc::PATH => write(spoke, body, doc::create, text::written).await,
        ShowDoc::PATH => read(spoke, body, doc::show).await,
        SaveDoc::PATH => write(spoke, body, doc::save, text::written).await,
        AppendDoc::PATH => write(spoke, body, doc::append, text::written).await,
        ListDocs::PATH => read(spoke, body, list::docs).await,
        ShowJournal::PATH => read(spoke, body, journal::show).await,
        AppendJournal::PATH => write(spoke, body, journal::append, text::written).await,
        SaveJournal::PATH => write(spoke, body, journal::save, text::written).await,

        ListConflicts::PATH => read(spoke, body, conflict::list).await,
        ShowConflict::PATH => read(spoke, body, conflict::show).await,
        TakeConflict::PATH => write(spoke, body, conflict::take, node::written).await,
        Undo::PATH => write(spoke, body, undo::undo, undo::undone).await,

        ImportObsidian::PATH => encode::<ImportObsidian>(&import::obsidian(spoke, decode(body)?).await?),
        ExportVault::PATH => encode::<ExportVault>(&export::vault(spoke, decode(body)?).await?),
        _ => call_daemon(spoke, path, body).await,
    }
}

/// Does what `path` stands for, of what concerns the daemon as such and its hub.
async fn call_daemon(spoke: &Arc<Spoke>, path: &str, body: &Bytes) -> Result<Vec<u8>, Refusal> {
    match path {
        Verify::PATH => {
            let Verify {} = decode(body)?;
            let db = spoke.config.db.clone();
            encode::<Verify>(&door::blocking(move || replica::verify(&db)).await??)
        }
        VerifyDeep::PATH => {
            let VerifyDeep { repair } = decode(body)?;
            encode::<VerifyDeep>(&spoke.verify_deep(repair).await?)
        }
        ReadVerifyProgress::PATH => {
            let ReadVerifyProgress {} = decode(body)?;
            encode::<ReadVerifyProgress>(&spoke.verify_progress())
        }
        Backup::PATH => {
            let (Backup { file }, db) = (decode(body)?, spoke.config.db.clone());
            encode::<Backup>(&door::blocking(move || replica::backup(&db, file)).await??)
        }
        ListDevices::PATH => read(spoke, body, replica::devices).await,
        ReadVersion::PATH => {
            let ReadVersion {} = decode(body)?;
            encode::<ReadVersion>(&version(spoke))
        }
        ReadSyncStatus::PATH => {
            let ReadSyncStatus {} = decode(body)?;
            encode::<ReadSyncStatus>(&spoke.sync_status().await?)
        }
        SyncNow::PATH => {
            let SyncNow { wait } = decode(body)?;
            encode::<SyncNow>(&spoke.sync_now(wait).await?)
        }
        SwitchHub::PATH => {
            let SwitchHub { confirm } = decode(body)?;
            encode::<SwitchHub>(&spoke.switch_hub(confirm).await?)
        }
        _ => {
            let refusal = Refusal::new(code::UNKNOWN_CALL, format!("this daemon (heph {VERSION}) has no call {path}"));
            Err(refusal.hint("restart hephd, so that it and the caller are of one version"))
        }
    }
}

/// Who answers. The database is not asked.
fn version(spoke: &Spoke) -> VersionReport {
    let config = &spoke.config;
    VersionReport {
        version: VERSION.to_owned(),
        pid: std::process::id(),
        db: config.db.clone().into(),
        socket: config.socket.clone().into(),
        hub_url: config.hub_url.as_ref().map(|url| url.as_str().to_owned()),
        device: config.device_name.clone(),
        rules_version: heph_store::merge::RULES_VERSION,
    }
}

/// A question: decoded, asked of one state of the replica, its answer encoded.
async fn read<C: Call + Send + 'static>(
    spoke: &Spoke,
    body: &Bytes,
    ask: fn(&View<'_>, C) -> Result<C::Answer, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let request: C = decode(body)?;
    door::read(spoke, move |view| encode::<C>(&ask(view, request)?)).await
}

/// A write: decoded, done in one action, and told once that is durable.
async fn write<C: Call + Send + 'static, T: Send + 'static>(
    spoke: &Spoke,
    body: &Bytes,
    act: fn(&mut Draft<'_>, &C) -> Result<T, Refusal>,
    tell: fn(&View<'_>, Done<T>) -> Result<C::Answer, Refusal>,
) -> Result<Vec<u8>, Refusal> {
    let request: C = decode(body)?;
    let done = door::write(spoke, move |draft| act(draft, &request)).await?;
    door::read(spoke, move |view| encode::<C>(&tell(view, done)?)).await
}

fn decode<C: Call>(body: &Bytes) -> Result<C, Refusal> {
    // A call without fields needs no body.
    let json: &[u8] = if body.is_empty() { b"{}" } else { body };
    // Serde would also take a list of the fields' values, in order.
    if json.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::bad_request(format!("the request for {} is not a JSON object", C::PATH)));
    }
    serde_json::from_slice(json).map_err(|error| Refusal::bad_request(format!("the request for {}: {error}", C::PATH)))
}

fn encode<C: Call>(answer: &C::Answer) -> Result<Vec<u8>, Refusal> {
    serde_json::to_vec(answer)
        .map_err(|error| Refusal::new(code::INTERNAL, format!("the answer to {}: {error}", C::PATH)))
}

/// Returns the body of a request that is a call.
async fn take_body(request: Request<Body>) -> Result<Bytes, Refusal> {
    if request.method() != Method::POST {
        let message = format!("{} is not how calls are made: they are POST", request.method());
        return Err(Refusal::new(code::METHOD_NOT_ALLOWED, message));
    }
    check_media_type(request.headers().get(CONTENT_TYPE))?;
    read_body(request.into_body(), REQUEST_BYTES_MAX).await.map_err(|error| {
        let code = match error {
            BodyError::TooLarge { .. } => code::TOO_LARGE,
            BodyError::TooSlow | BodyError::Stalled | BodyError::BelowRate => code::TIMEOUT,
            BodyError::Cut(_) => code::BAD_REQUEST,
        };
        Refusal::new(code, error.to_string())
    })
}

/// JSON, said or not; `curl -d` says what forms say, and means JSON all the same.
fn check_media_type(said: Option<&HeaderValue>) -> Result<(), Refusal> {
    let Some(said) = said else { return Ok(()) };
    let text = String::from_utf8_lossy(said.as_bytes());
    let essence = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/json" | "application/x-www-form-urlencoded" => Ok(()),
        _ => {
            let message = format!("the body is announced as {}, not as application/json", essence.escape_debug());
            Err(Refusal::new(code::UNSUPPORTED_MEDIA_TYPE, message))
        }
    }
}

fn refused(error: &ApiError) -> Response {
    let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if error.code == code::INTERNAL {
        tracing::error!(code = error.code, "{}", error.message);
    }
    let json = serde_json::to_vec(error).expect("three texts are always JSON");
    respond(status, json)
}

fn respond(status: StatusCode, json: Vec<u8>) -> Response {
    let mut response = Response::new(Body::from(json));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(VERSION_HEADER, HeaderValue::from_static(VERSION));
    if status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(ALLOW, HeaderValue::from_static("POST"));
    }
    response
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_body_is_json_and_a_call_without_fields_needs_none() {
        assert!(decode::<Verify>(&Bytes::new()).is_ok());
        let refused = decode::<ShowNode>(&Bytes::from_static(b"{\"id\":7}")).unwrap_err().into_api();
        assert_eq!(refused.code, code::BAD_REQUEST);
        assert!(refused.message.starts_with("the request for /v1/node/show: invalid type"), "{}", refused.message);
        assert!(decode::<ShowNode>(&Bytes::from_static(b"{\"id\":\"1a2b\",\"x\":1}")).is_err());
        assert!(decode::<ShowNode>(&Bytes::from_static(b"[\"1a2b\"]")).is_err());
    }

    #[test]
    fn only_json_is_taken() {
        let of = |text| check_media_type(Some(&HeaderValue::from_static(text)));
        assert!(check_media_type(None).is_ok());
        assert!(of("application/json; charset=utf-8").is_ok() && of("application/x-www-form-urlencoded").is_ok());
        assert_eq!(of("text/plain").unwrap_err().into_api().status(), 415);
    }
}
