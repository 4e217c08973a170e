//! Start, signal, stop in order, exit code. SIGTERM and SIGINT mean: accept nothing more, finish the commit in hand,
//! end the streams, exit 0. A second one means: at once, with 128 and the signal's number. Whatever keeps the daemon from starting is a sentence with a hint, and exit 1.

use crate::{config::Config, hub, limits::STOP_TIMEOUT, lock::Locked, observe, spoke};
use anyhow::Context;
use heph_store::error::Error as StoreError;
use std::{io, process::ExitCode};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};

/// Tells everybody who holds it when the daemon is asked to stop.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

impl Shutdown {
    /// Waits until the daemon is asked to stop.
    pub async fn requested(&self) {
        if self.0.clone().wait_for(|stop| *stop).await.is_err() {
            tracing::debug!("who could ask to stop is gone, so this is the end");
        }
    }

    /// Returns whether the daemon has been asked to stop.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }
}

/// Returns a shutdown and what asks for it: `send(true)`, or dropping it.
pub fn shutdown() -> (watch::Sender<bool>, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (sender, Shutdown(receiver))
}

/// Runs the daemon until it is asked to stop.
pub fn run(config: Config) -> ExitCode {
    observe::start();
    match start(config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hephd: {error:#}");
            if let Some(hint) = hint(&error) {
                eprintln!("  hint: {hint}");
            }
            ExitCode::FAILURE
        }
    }
}

fn start(config: Config) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let shutdown = on_signals()?;
    let outcome = runtime.block_on(async {
        match config {
            Config::Server(config) => hub::run(config, shutdown).await,
            Config::Local(config) => spoke::run(config, shutdown).await,
        }
    });
    runtime.shutdown_timeout(STOP_TIMEOUT);
    outcome
}

/// Listens on a thread of its own: a second signal is also heard while everything else is being taken down.
fn on_signals() -> anyhow::Result<Shutdown> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
    let runtime = runtime.context("cannot listen for signals")?;
    let mut signals = runtime.block_on(async { Signals::listen() }).context("cannot listen for signals")?;
    let (stop, shutdown) = shutdown();
    let end = async move {
        let (name, _) = signals.next().await;
        tracing::info!("{name}: stopping");
        stop.send_replace(true);
        let (name, code) = signals.next().await;
        tracing::warn!("{name} again: ending at once; nothing that was confirmed is lost");
        std::process::exit(code)
    };
    std::thread::spawn(move || runtime.block_on(end));
    Ok(shutdown)
}

/// The signals that ask the daemon to stop.
struct Signals {
    term: Signal,
    int: Signal,
}

impl Signals {
    fn listen() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    /// Waits for the next one, and returns its name and the exit code that shells know it by.
    async fn next(&mut self) -> (&'static str, i32) {
        let kind = tokio::select! {
            _ = self.term.recv() => SignalKind::terminate(),
            _ = self.int.recv() => SignalKind::interrupt(),
        };
        let name = if kind == SignalKind::terminate() { "SIGTERM" } else { "SIGINT" };
        (name, 128 + kind.as_raw_value())
    }
}

/// What to do about what kept the daemon from starting.
fn hint(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        let of_lock = cause.downcast_ref::<Locked>().map(Locked::hint);
        let of_store = || cause.downcast_ref::<StoreError>().and_then(store_hint).map(str::to_owned);
        let of_system = || cause.downcast_ref::<io::Error>().and_then(system_hint).map(str::to_owned);
        of_lock.or_else(of_store).or_else(of_system)
    })
}

fn store_hint(error: &StoreError) -> Option<&'static str> {
    match error {
        StoreError::FileTooNew { .. } => Some("the file is as it was; a backup from before the upgrade also opens"),
        StoreError::NotAReplica { .. } | StoreError::NotADatabase { .. } => {
            Some("is the path right? --db PATH names another, which is made if it is not there")
        }
        _ => None,
    }
}

fn system_hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            Some("another program listens there; --http-addr names another port, and port 0 takes a free one")
        }
        io::ErrorKind::AddrNotAvailable => Some("this machine has no such address; use 127.0.0.1 or [::1]"),
        io::ErrorKind::PermissionDenied => Some("may this user read and write there? `ls -ld` on the path says so"),
        io::ErrorKind::StorageFull => Some("the disk is full; make room, then start again"),
        _ => None,
    }
}
