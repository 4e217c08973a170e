//! What a surface can ask about and of the hub: how things stand, a cycle now, another hub.

use super::compare::Compared;
use super::cycle::{Cycle, Failure, Preview};
use super::hub_client::HttpHub;
use super::notices::News;
use super::plan::Digests;
use super::status::{self, Last, Standing};
use crate::writer::Readers;
use heph_api::types::{SwitchReport, SyncStatus};
use heph_api::{ApiError, code};
use heph_store::env::Env;
use std::sync::Arc;
use tokio::sync::{Mutex, watch};

/// The way from a request to the task that keeps this device in step.
pub struct SyncHandle {
    readers: Readers,
    env: Arc<dyn Env>,
    /// When the daemon started, in Unix milliseconds.
    started_ms: u64,
    hub: Option<WithHub>,
}

struct WithHub {
    url: String,
    asks: watch::Sender<u64>,
    standing: watch::Receiver<Standing>,
    /// For looking at a hub without joining it; one at a time.
    preview: Mutex<Cycle<HttpHub>>,
}

impl SyncHandle {
    /// The handle of a device without a hub.
    pub fn without_hub(readers: Readers, env: Arc<dyn Env>) -> Self {
        Self { readers, started_ms: env.now().get(), env, hub: None }
    }

    /// The handle of a device with a hub behind `url`.
    pub fn with_hub(
        url: String,
        asks: watch::Sender<u64>,
        standing: watch::Receiver<Standing>,
        preview: Cycle<HttpHub>,
    ) -> Self {
        let (readers, env) = (preview.readers.clone(), preview.env.clone());
        let started_ms = env.now().get();
        Self { readers, env, started_ms, hub: Some(WithHub { url, asks, standing, preview: Mutex::new(preview) }) }
    }

    /// How things stand.
    pub async fn status(&self) -> Result<SyncStatus, ApiError> {
        let standing = self.hub.as_ref().map(|hub| hub.standing.borrow().clone());
        let url = self.hub.as_ref().map(|hub| hub.url.as_str());
        let standing = standing.unwrap_or(Standing { since_ms: self.started_ms, ..Standing::default() });
        let (theirs, sent, now_ms) = (standing.theirs.clone(), standing.sent, self.env.now().get());
        let look = self.readers.read(move |view| status::look(view, theirs.as_deref(), sent, now_ms)).await;
        let now = look.map_err(Failure::from).and_then(|now| Ok(now?)).map_err(|failure| told(&failure))?;
        Ok(status::tell(url, &standing, &now, now_ms))
    }

    /// Starts a cycle; with `wait`, waits for the end of one that began after now.
    pub async fn now(&self, wait: bool) -> Result<SyncStatus, ApiError> {
        if let Some(hub) = &self.hub {
            hub.ask(wait).await?;
        }
        self.status().await
    }

    /// Compares this device's state with its hub's; `None` if there is no hub.
    pub async fn compare(&self) -> Option<Result<Compared, Failure>> {
        let hub = self.hub.as_ref()?;
        Some(hub.preview.lock().await.compare().await)
    }

    /// Waits until the hub makes another state of the same ops.
    pub async fn differs(&self) {
        let differs = |standing: &Standing| standing.last == Some(Last::InStep(Digests::Differ));
        let seen = match &self.hub {
            Some(hub) => hub.standing.clone().wait_for(differs).await.is_ok(),
            None => false,
        };
        if !seen {
            std::future::pending().await
        }
    }

    /// Previews or makes the switch to the hub behind the URL.
    pub async fn switch_hub(&self, confirm: Option<String>) -> Result<SwitchReport, ApiError> {
        let Some(hub) = &self.hub else {
            return Err(ApiError::new(code::NOT_SUPPORTED, "this daemon was started without a hub")
                .with_hint("start it with one: hephd --mode local --hub-url URL"));
        };
        let preview = hub.preview.lock().await.preview().await.map_err(|failure| told(&failure))?;
        match confirm {
            None => Ok(report(hub, &preview, None)),
            Some(id) if id == preview.hub.id.to_string() => {
                hub.join(&preview).await?;
                Ok(report(hub, &preview, Some(&self.status().await?)))
            }
            Some(id) => Err(ApiError::new(
                code::HUB_REFUSED,
                format!("the hub at {} is {}, and what was confirmed is {id}", hub.url, preview.hub.id),
            )
            .with_hint("look again: heph sync --switch-hub")),
        }
    }
}

impl WithHub {
    async fn ask(&self, wait: bool) -> Result<(), ApiError> {
        let mut ask = 0;
        self.asks.send_modify(|asks| {
            *asks += 1;
            ask = *asks;
        });
        if wait {
            let ended = |standing: &Standing| standing.asks_answered >= ask;
            let stopping = |_| ApiError::new(code::STOPPING, "the daemon is stopping; nothing is lost");
            self.standing.clone().wait_for(ended).await.map_err(stopping)?;
        }
        Ok(())
    }

    /// Pins the hub that the preview met, and lets a cycle do the rest.
    async fn join(&self, preview: &Preview) -> Result<(), ApiError> {
        let news = News::Joined { there: preview.there, here: preview.here };
        let pinned = self.preview.lock().await.pin(preview.hub, preview.owner, news).await;
        pinned.map_err(|failure| told(&failure))?;
        self.ask(true).await
    }
}

/// What would be done, or what came of it.
fn report(hub: &WithHub, preview: &Preview, after: Option<&SyncStatus>) -> SwitchReport {
    SwitchReport {
        hub_url: hub.url.clone(),
        hub_id: preview.hub.id.to_string(),
        pinned_hub_id: preview.pinned.map(|pinned| pinned.to_string()),
        ops_here: preview.here,
        ops_there: preview.there,
        to_push: preview.to_push,
        to_pull: preview.to_pull(),
        switched: after.is_some(),
        words: words(&hub.url, preview, after),
    }
}

fn words(url: &str, preview: &Preview, after: Option<&SyncStatus>) -> String {
    let Preview { to_push, there, .. } = preview;
    let (to_pull, id) = (preview.to_pull(), preview.hub.id);
    let merging = format!(
        "{to_push} ops from here go there, and {to_pull} of its {there} ops come here; nothing is deleted on either side"
    );
    let merged = format!("{to_push} ops from here went there, and {to_pull} of its {there} ops came here");
    match (after, preview.pinned == Some(preview.hub.id)) {
        (Some(after), _) if after.state.is_in_step() => {
            format!("this device now belongs to the hub at {url} ({id}), and both are in step: {merged}")
        }
        (Some(after), _) => {
            format!("this device now belongs to the hub at {url} ({id}), and they are not in step: {}", after.words)
        }
        (None, true) => {
            format!("the hub at {url} ({id}) is the one this device belongs to; there is nothing to switch")
        }
        (None, false) => format!("the hub at {url} ({id}) would be merged with this device: {merging}"),
    }
}

/// A failure as the local API tells it.
fn told(failure: &Failure) -> ApiError {
    match Last::of(failure) {
        Last::Failed(error) | Last::Refused(error) => error,
        _ => ApiError::new(code::INTERNAL, failure.to_string()),
    }
}
