//! The hub's daily check of each of its replicas. What it finds stands in the hub's log; whether the hub is ready is
//! another question.

use super::replicas::{HubReplica, Replicas};
use crate::deep_check::Pace;
use futures_util::future::join_all;
use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;

/// Checks every replica once a day, for as long as it is polled.
pub async fn daily(replicas: &Replicas) -> Infallible {
    join_all(replicas.all().into_iter().map(check_daily)).await;
    pending().await
}

async fn check_daily(replica: Arc<HubReplica>) {
    loop {
        replica.deep_check.until_due().await;
        check(&replica).await;
    }
}

async fn check(replica: &HubReplica) {
    let outcome = replica.deep_check.run(Pace::Background, true).await;
    let owner = replica.owner;
    match &outcome {
        Ok(checked) if checked.found.is_sound() => {
            let (ops, took_ms, repaired) = (checked.found.ops, checked.took_ms, checked.repaired.len());
            tracing::info!(%owner, ops, took_ms, repaired, "deep check: the replica is sound");
        }
        Ok(checked) => {
            let problems: Vec<String> = checked.found.problems.iter().map(ToString::to_string).collect();
            let files = replica.deep_check.files();
            tracing::error!(
                %owner, ?problems, more = checked.found.more_problems, files,
                "deep check: the replica is damaged; stop the hub, move all its files away (keep them), put a backup in \
                 its place if there is one, and start it again: its spokes give it what it lacks"
            );
        }
        Err(error) => tracing::error!(%owner, %error, "deep check: it could not be done"),
    }
    replica.deep_check.keep(&outcome, None).await;
}
