//! Ctrl-C and its like, as a question that whoever waits asks now and then.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

use crate::failure::Failure;

/// What a shell reports for a program that Ctrl-C has ended.
const INTERRUPTED: u8 = 130;

/// Whether this process was asked to stop.
#[derive(Clone)]
pub struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// From here on a request to stop no longer ends the process, but waits to be asked for.
    pub fn watch() -> Result<Self, Failure> {
        let watch = Self { asked: Arc::default() };
        let asked = Arc::clone(&watch.asked);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(no_signals)?;
        let mut signals = Vec::new();
        {
            let _inside = runtime.enter();
            for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
                signals.push(signal(kind).map_err(no_signals)?);
            }
        }
        thread::spawn(move || {
            runtime.block_on(async {
                let [first, second, third] = signals.as_mut_slice() else { return };
                tokio::select! { _ = first.recv() => (), _ = second.recv() => (), _ = third.recv() => () }
            });
            asked.store(true, Ordering::Release);
        });
        Ok(watch)
    }

    /// Returns the failure that ends everything, where somebody has asked for it.
    pub fn check(&self) -> Result<(), Failure> {
        if self.asked.load(Ordering::Acquire) { Err(Failure::Said(INTERRUPTED)) } else { Ok(()) }
    }
}

fn no_signals(error: std::io::Error) -> Failure {
    Failure::here("internal", format!("cannot watch for signals: {error}"))
}
