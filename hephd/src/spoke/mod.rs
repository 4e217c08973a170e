//! The spoke, assembled: one replica, its lock, its local socket, and the task that keeps it in step with a hub. The
//! order of start and stop stands here; what each part does stands in its own module.
//!
//! It works for ever without a hub. Nothing that a surface asks for waits for the network, but for `sync/now` with
//! `wait` and `sync/switch-hub`, whose purpose it is.
//!
//! ```text
//! surface ─▶ socket ─▶ routes ─▶ actions ─▶ writer ─▶ replica
//!                                                       │ moved
//!                      hub ◀─▶ hub_client ◀─ cycle ◀─ in_step ◀─ schedule
//! ```

mod actions;
mod compare;
mod cycle;
mod deep_check;
mod device;
mod exchange;
mod hub_client;
mod in_step;
mod listen;
mod network;
mod notices;
mod pages;
mod plan;
mod refusal;
mod routes;
mod schedule;
mod size;
mod status;
mod sync_handle;

use crate::config::LocalConfig;
use crate::deep_check::DeepCheck;
use crate::http;
use crate::lock::Lock;
use crate::run::Shutdown;
use crate::socket::{LocalSocket, SocketError};
use crate::writer::{Readers, Writer};
use anyhow::Context;
use axum::Router;
use cycle::Cycle;
use heph_api::ApiError;
use heph_api::types::{SwitchReport, SyncStatus};
use heph_store::env::{Env, SystemEnv};
use heph_store::replica::Replica;
use hub_client::HttpHub;
pub use hub_client::{Away, HubError, Wire};
use in_step::InStep;
use std::io::Write;
use std::sync::Arc;
use sync_handle::SyncHandle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

/// Connections to the local socket at once; further ones wait to be accepted.
const CONNECTIONS_MAX: usize = 128;
/// What was heard from the hub and waits for the cycle in hand to end.
const HEARD_MAX: usize = 16;

/// All that a request of the local API may use.
pub struct Spoke {
    /// How the daemon was started.
    pub config: LocalConfig,
    /// The door to the one writer: `spoke.writer.run(|group| …).await`.
    pub writer: Writer,
    /// The door to the readers: `spoke.readers.read(|view| …).await`.
    pub readers: Readers,
    /// What keeps this device in step with its hub.
    sync: SyncHandle,
    /// What checks the replica.
    deep_check: DeepCheck,
}

impl Spoke {
    /// `sync/status`: how this device stands with its hub. Never waits for the network.
    ///
    /// # Errors
    /// If the database cannot be read.
    pub async fn sync_status(&self) -> Result<SyncStatus, ApiError> {
        self.sync.status().await
    }

    /// `sync/now`: starts a cycle at once. With `wait`, answers when a cycle that began after this call has ended, well
    /// or not.
    ///
    /// # Errors
    /// If the database cannot be read, or the daemon stops meanwhile.
    pub async fn sync_now(&self, wait: bool) -> Result<SyncStatus, ApiError> {
        self.sync.now(wait).await
    }

    /// `sync/switch-hub`: previews what joining the hub behind the URL would do; with the id that the preview showed,
    /// does it.
    ///
    /// # Errors
    /// If there is no hub, it does not answer, or it is not the one that was confirmed.
    pub async fn switch_hub(&self, confirm: Option<String>) -> Result<SwitchReport, ApiError> {
        self.sync.switch_hub(confirm).await
    }
}

/// Runs a spoke until it is asked to stop.
///
/// # Errors
/// If it cannot start, in a sentence; or if its writer ended before it was asked to.
pub async fn run(config: LocalConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let _lock = Lock::take(&config.db)?;
    let socket = LocalSocket::bind(&config.socket).map_err(with_hint)?;
    let ready = format!("heph daemon listening on {}", config.socket.display());
    let (changes, network) = watch::channel(0);
    let outside = Outside { env: Arc::new(SystemEnv), wire: None, network };
    let mut running = Running::start(config, outside, &shutdown).await?;
    running.tasks.spawn(network::watch(changes));
    running.check_daily();
    let outcome = match announce(&ready) {
        Ok(()) => tokio::select! {
            biased;
            () = http::serve(socket, running.routes(), CONNECTIONS_MAX, shutdown) => Ok(()),
            () = running.spoke.writer.ended() => anyhow::bail!("the daemon cannot write any more; its log says why"),
        },
        Err(error) => Err(error),
    };
    running.stop().await;
    outcome
}

/// What a spoke touches of the world, besides its files.
pub struct Outside {
    /// Time and chance.
    pub env: Arc<dyn Env>,
    /// What carries requests to the hub, if not the network.
    pub wire: Option<Arc<dyn Wire>>,
    /// Counts changes of the network.
    pub network: watch::Receiver<u64>,
}

/// A spoke at work, without its socket: whoever has its routes is in front of it.
pub struct Running {
    spoke: Arc<Spoke>,
    tasks: JoinSet<()>,
}

impl Running {
    /// Opens the replica and begins to keep it in step. The caller sees to it that nobody else has it open.
    ///
    /// # Errors
    /// If it cannot start, in a sentence.
    pub async fn start(config: LocalConfig, outside: Outside, shutdown: &Shutdown) -> anyhow::Result<Self> {
        let replica = Replica::open(&config.db, outside.env.clone());
        let replica = replica.with_context(|| format!("cannot open {}", config.db.display()))?;
        let writer = Writer::start(replica)?;
        let readers = Readers::new(config.db.clone());
        let deep_check = DeepCheck::new(config.db.clone(), writer.clone(), readers.clone(), outside.env.clone());
        let mut tasks = JoinSet::new();
        let named = device::ensure(&writer, &config.device_name).await.context("cannot write down this device's name");
        let begun = named.and_then(|()| start_sync(&config, outside, &writer, &readers, &mut tasks, shutdown));
        match begun {
            Ok(sync) => Ok(Self { spoke: Arc::new(Spoke { config, writer, readers, sync, deep_check }), tasks }),
            Err(error) => {
                writer.stop().await;
                Err(error)
            }
        }
    }

    /// Begins to check the replica once a day.
    pub fn check_daily(&mut self) {
        self.tasks.spawn(deep_check::daily(self.spoke.clone()));
    }

    /// The local API.
    pub fn routes(&self) -> Router {
        routes::routes(self.spoke.clone())
    }

    /// The door to its replica.
    pub fn writer(&self) -> Writer {
        self.spoke.writer.clone()
    }

    /// Ends what keeps it in step, and lets go of the replica once what is queued is written.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
        self.spoke.readers.close();
        self.spoke.writer.stop().await;
    }
}

fn with_hint(error: SocketError) -> anyhow::Error {
    let hint = error.hint();
    anyhow::anyhow!("{:#}\n  hint: {hint}", anyhow::Error::new(error))
}

/// Starts what keeps this device in step, if there is a hub.
fn start_sync(
    config: &LocalConfig,
    Outside { env, wire, network }: Outside,
    writer: &Writer,
    readers: &Readers,
    tasks: &mut JoinSet<()>,
    shutdown: &Shutdown,
) -> anyhow::Result<SyncHandle> {
    let Some(url) = &config.hub_url else { return Ok(SyncHandle::without_hub(readers.clone(), env)) };
    let (hub, loopback) = HttpHub::new(url)?;
    let hub = Arc::new(match wire {
        Some(wire) => hub.over(wire),
        None => hub,
    });
    let (asking, asks) = watch::channel(0);
    let since_ms = env.now().get();
    let (standing, seen) = watch::channel(status::Standing { since_ms, ..status::Standing::default() });
    let (listening, allowed) = watch::channel(None);
    let (hearing, heard) = mpsc::channel(HEARD_MAX);
    let cycle = || Cycle {
        hub: hub.clone(),
        hub_url: url.to_string(),
        writer: writer.clone(),
        readers: readers.clone(),
        env: env.clone(),
        device_name: config.device_name.clone(),
        loopback,
        size: size::Size::default(),
        apart: false,
        missing_after: 0,
        taking_in: Arc::default(),
    };
    tasks.spawn(listen::listen(hub.clone(), allowed, hearing, env.clone()));
    let (moved, shutdown) = (writer.subscribe(), shutdown.clone());
    let in_step = InStep {
        cycle: cycle(),
        standing,
        asks,
        moved,
        heard,
        network,
        listening,
        shutdown,
        in_step_at: None,
        interrupted: None,
    };
    tasks.spawn(in_step.run());
    Ok(SyncHandle::with_hub(url.to_string(), asking, seen, cycle()))
}

/// Says that the daemon is ready, on standard output, where a script waits for it.
fn announce(line: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).context("cannot write to standard output")
}
