//! "The head moved": one task per replica turns commits into events, with the new ops inline where they are small, and
//! every listener gets them as they come. One that is too slow misses events, not the news: it gets the newest head.

use super::{Hub, error::Refused, gate::Admitted, replicas::HubReplica, turns::Turn};
use crate::{
    limits::{EVENT_KEEP_ALIVE, EVENT_PAGE_BYTES_MAX, EVENTS_AHEAD},
    run::Shutdown,
    sync::{
        page::compress,
        protocol::{HEAD_EVENT, Head, HeadEvent},
        text::{Base64, Hex},
    },
    writer::{Moved, Readers},
};
use axum::{
    body::Body,
    extract::State,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use heph_store::{Result as StoreResult, exchange::Coverage, id::LogId, read::View};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE};
use std::{convert::Infallible, sync::Arc};
use tokio::{
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
    time::timeout,
};

/// What an event's page aims at before compression: about what compresses to [`EVENT_PAGE_BYTES_MAX`].
const EVENT_PAGE_BYTES_AIM: usize = 3 * EVENT_PAGE_BYTES_MAX;

/// Where the events of one replica come from.
pub struct Feed {
    events: broadcast::Sender<Bytes>,
}

impl Feed {
    /// Starts the task that follows the head of a log, until its writer ends.
    pub fn start(log_id: LogId, readers: Readers, moved: watch::Receiver<Moved>) -> Self {
        let (events, _) = broadcast::channel(EVENTS_AHEAD);
        tokio::spawn(follow(log_id, readers, moved, events.downgrade()));
        Self { events }
    }
}

async fn follow(
    log_id: LogId,
    readers: Readers,
    mut moved: watch::Receiver<Moved>,
    events: broadcast::WeakSender<Bytes>,
) {
    let mut last = *moved.borrow_and_update();
    while moved.changed().await.is_ok() {
        let Some(events) = events.upgrade() else { return };
        let now = *moved.borrow_and_update();
        // The last event may have told of this commit already.
        if now.position <= last.position {
            continue;
        }
        // Whoever begins to listen after this is told where the head is by its own first event.
        if events.receiver_count() == 0 {
            last = now;
            continue;
        }
        match look(log_id, &readers, Some(last)).await {
            Ok(event) => {
                last = Moved { position: event.position, roll: event.roll.0 };
                // It fails if the last listener has gone meanwhile.
                if events.send(frame(&event)).is_err() {
                    tracing::debug!("nobody listens any more");
                }
            }
            Err(refused) => tracing::warn!(code = refused.refusal.code, "the head cannot be told"),
        }
    }
}

/// Returns an event for where the head is now; with the ops since `previous`, if they are small.
async fn look(log_id: LogId, readers: &Readers, previous: Option<Moved>) -> Result<HeadEvent, Refused> {
    let seen = readers.read(move |view| look_at(view, log_id, previous)).await;
    Ok(seen??)
}

fn look_at(view: &View<'_>, log_id: LogId, previous: Option<Moved>) -> StoreResult<HeadEvent> {
    let (position, roll) = view.end()?;
    let before = previous.unwrap_or(Moved { position, roll });
    Ok(HeadEvent {
        log_id,
        position,
        roll: Hex(roll),
        vector_hash: Hex(view.vector()?.hash()),
        previous: Head { position: before.position, roll: Hex(before.roll) },
        page: page_since(view, before.position, position)?,
    })
}

/// The ops after `previous` as one compressed page, if they all fit.
fn page_since(view: &View<'_>, previous: u64, position: u64) -> StoreResult<Option<Base64>> {
    if previous == position {
        return Ok(None);
    }
    let page = view.page_after(previous, &Coverage::default(), EVENT_PAGE_BYTES_AIM)?;
    let whole = page.filter(|page| page.position == position);
    let packed = whole.and_then(|page| {
        let packed = compress(&page.bytes);
        packed.inspect_err(|error| tracing::warn!(%error, "an event goes without its page")).ok()
    });
    Ok(packed.filter(|packed| packed.len() <= EVENT_PAGE_BYTES_MAX).map(Base64))
}

/// An event as it travels.
fn frame(event: &HeadEvent) -> Bytes {
    let data = serde_json::to_string(event).expect("an event has no map keys that JSON cannot have");
    format!("event: {HEAD_EVENT}\ndata: {data}\n\n").into()
}

/// Streams events: first where the head is, then every move of it.
pub async fn events(replica: Admitted, State(hub): State<Arc<Hub>>) -> Result<Response, Refused> {
    let place = hub.turns.listener()?;
    let listener = Listener {
        events: replica.feed.events.subscribe(),
        first: true,
        replica,
        shutdown: hub.shutdown.clone(),
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(listener, |mut listener| async {
        let next = listener.next().await?;
        Some((Ok::<_, Infallible>(next), listener))
    }));
    Ok(([(CONTENT_TYPE, "text/event-stream"), (CACHE_CONTROL, "no-store")], body).into_response())
}

struct Listener {
    events: broadcast::Receiver<Bytes>,
    first: bool,
    replica: Admitted,
    shutdown: Shutdown,
    _place: Turn,
}

impl Listener {
    /// Returns what to send next; `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        if std::mem::take(&mut self.first) {
            return self.head().await;
        }
        let shutdown = self.shutdown.clone();
        let event = tokio::select! {
            biased;
            () = shutdown.requested() => return None,
            event = timeout(EVENT_KEEP_ALIVE, self.events.recv()) => event,
        };
        match event {
            Ok(Ok(event)) => Some(event),
            Ok(Err(RecvError::Lagged(_))) => self.head().await,
            Ok(Err(RecvError::Closed)) => None,
            Err(_) => Some(Bytes::from_static(b":\n\n")),
        }
    }

    async fn head(&self) -> Option<Bytes> {
        let replica: &HubReplica = &self.replica;
        match look(replica.log_id, &replica.readers, None).await {
            Ok(event) => Some(frame(&event)),
            Err(refused) => {
                tracing::warn!(code = refused.refusal.code, "the head cannot be told");
                None
            }
        }
    }
}
