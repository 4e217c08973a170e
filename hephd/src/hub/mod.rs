//! The hub, assembled: its key, its control file, the replica of each owner, the routes. What each of them does stands
//! in its own module; the order of start and stop stands here.
//!
//! ```text
//! request ─▶ answer ─▶ route ─▶ gate: identity ─▶ owner ─▶ replica ─▶ handler
//!            (dress)            (401)       (403)
//! ```

mod answer;
mod asked;
mod control;
mod deep_check;
mod error;
mod events;
mod exchange;
mod gate;
mod hello;
mod identity;
mod key;
mod lines;
mod owner;
mod pull;
mod replicas;
mod routes;
mod turns;

use crate::{config::ServerConfig, http, limits, run::Shutdown, sync::protocol::hub_id};
use anyhow::Context;
use axum::Router;
use ed25519_dalek::SigningKey;
use heph_store::env::{Env, SystemEnv};
use heph_store::id::HubId;
use owner::Owners;
use replicas::Replicas;
use std::{io::Write, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use turns::Turns;

/// What all handlers share. Nothing in it leads to a replica but the gate.
pub struct Hub {
    key: SigningKey,
    /// The hash of its public key.
    id: HubId,
    owners: Owners,
    replicas: Replicas,
    env: Arc<dyn Env>,
    shutdown: Shutdown,
    /// How much it does at once.
    turns: Turns,
}

/// Runs a hub until it is asked to stop.
///
/// # Errors
/// If it cannot start, in a sentence; or if its writer ended before it was asked to.
pub async fn run(config: ServerConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let (replicas, owners) = Replicas::open(&config, &(Arc::new(SystemEnv) as Arc<dyn Env>))?;
    let outcome = match open(&config, Arc::new(SystemEnv), (replicas.clone(), owners), &shutdown) {
        Ok(hub) => serve(config.http_addr, Arc::new(hub), shutdown).await,
        Err(error) => Err(error),
    };
    replicas.stop().await;
    outcome
}

fn open(
    config: &ServerConfig,
    env: Arc<dyn Env>,
    (replicas, owners): (Replicas, Owners),
    shutdown: &Shutdown,
) -> anyhow::Result<Hub> {
    let key = key::load_or_make(&config.key, &*env)?;
    let id = hub_id(&key.verifying_key().to_bytes());
    Ok(Hub { id, key, owners, replicas, env, shutdown: shutdown.clone(), turns: Turns::default() })
}

/// A hub without a listener: whoever has its routes is in front of it. For simulations.
///
/// # Errors
/// If it cannot start, in a sentence.
pub fn routes_of(config: &ServerConfig, env: Arc<dyn Env>, shutdown: &Shutdown) -> anyhow::Result<Router> {
    let opened = Replicas::open(config, &env)?;
    Ok(routes::routes(Arc::new(open(config, env, opened, shutdown)?)))
}

async fn serve(address: SocketAddr, hub: Arc<Hub>, shutdown: Shutdown) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    announce(&listener, &hub)?;
    let serving = http::serve(listener, routes::routes(hub.clone()), limits::CONNECTIONS_MAX, shutdown);
    tokio::select! {
        biased;
        () = serving => Ok(()),
        () = hub.replicas.ended() => anyhow::bail!("the hub cannot write any more; its log says why"),
        never = deep_check::daily(&hub.replicas) => match never {},
    }
}

/// Says that the hub is ready, on standard output, where a script waits for it.
fn announce(listener: &TcpListener, hub: &Hub) -> anyhow::Result<()> {
    let address = listener.local_addr().context("cannot tell where the hub listens")?;
    tracing::info!(hub_id = %hub.id, version = heph_api::VERSION, "the hub is ready");
    let mut out = std::io::stdout().lock();
    writeln!(out, "heph hub listening on http://{address}")
        .and_then(|()| out.flush())
        .context("cannot write to standard output")
}
