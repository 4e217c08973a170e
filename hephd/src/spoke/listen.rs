//! The ear at the hub: keeps one stream of events open while the hub is the right one, and hands on what it hears.
//! What is heard is only ever a hint, or ops that continue exactly where this device stands.

use super::hub_client::{Hub, HubError, Proven};
use super::schedule;
use crate::sync::protocol::{HeadEvent, code};
use futures_util::StreamExt;
use heph_store::env::{Env, random};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};

/// A stream that lasted so long was a good one: the next is opened without a longer pause.
const LASTED: Duration = Duration::from_secs(60);

/// What was heard.
#[derive(Debug)]
pub enum Heard {
    /// The hub's head moved, or stands here.
    Head(Box<HeadEvent>),
    /// The stream broke off.
    Lost,
}

/// Listens to whom `allowed` names, while it does, until who hears is gone.
pub async fn listen<H: Hub>(
    hub: Arc<H>,
    mut allowed: watch::Receiver<Option<Proven>>,
    heard: mpsc::Sender<Heard>,
    env: Arc<dyn Env>,
) {
    let mut failures = 0;
    loop {
        let Ok(named) = allowed.wait_for(Option::is_some).await.map(|named| *named) else { return };
        let Some(to) = named else { continue };
        let began = Instant::now();
        let mut gate = allowed.clone();
        let (heads, error) = tokio::select! {
            biased;
            followed = follow(&*hub, to, &heard) => followed,
            denied = gate.wait_for(|named| *named != Some(to)) => match denied {
                Ok(_) => {
                    failures = 0;
                    continue;
                }
                Err(_) => return,
            },
        };
        let is_other = error.as_ref().is_some_and(|error| error.is(code::OTHER_HUB));
        tracing::debug!(heads, error = error.map(|error| error.to_string()), "the hub's events ended");
        if (heads > 0 || is_other) && heard.send(Heard::Lost).await.is_err() {
            return;
        }
        failures = if began.elapsed() >= LASTED { 0 } else { failures + 1 };
        let pause_ms = schedule::pause_ms(failures, u64::from_le_bytes(random(&*env)));
        tokio::select! {
            biased;
            () = sleep(Duration::from_millis(pause_ms)) => {}
            // Once the hub is found again, the stream is opened at once.
            denied = gate.wait_for(|named| *named != Some(to)) => match denied {
                Ok(_) => failures = 0,
                Err(_) => return,
            },
        }
    }
}

/// Hands on events until the stream ends; returns how many came, and why it ended.
async fn follow<H: Hub>(hub: &H, to: Proven, heard: &mpsc::Sender<Heard>) -> (u64, Option<HubError>) {
    let mut count = 0;
    let mut stream = match hub.events(to).await {
        Ok(stream) => stream,
        Err(error) => return (count, Some(error)),
    };
    while let Some(event) = stream.next().await {
        match event {
            Ok(head) => match heard.send(Heard::Head(Box::new(head))).await {
                Ok(()) => count += 1,
                Err(_) => break,
            },
            Err(error) => return (count, Some(error)),
        }
    }
    (count, None)
}
