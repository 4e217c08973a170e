//! The world of the end-to-end scenarios: a hub and named devices, each a child process of the real programs, on
//! throw-away directories, real sockets and real SQLite files.
//!
//! ```no_run
//! let world = heph_tests::World::new();
//! let (laptop, phone) = (world.device("laptop"), world.device("phone"));
//! let milk = laptop.task("Buy milk");
//! world.converge();
//! assert_eq!(phone.title(&milk), "Buy milk");
//! ```
//!
//! Nothing here sleeps to let something happen: programs say when they are ready, `heph sync --wait` says when an
//! exchange has ended, children are waited for, and what can only be looked at is looked at through [`wait::until`],
//! which says what it waited for. When a test fails, what the children wrote to standard error is printed with it.

#![allow(clippy::unwrap_used)] // This is part of tests: a panic is the report.

pub mod between;
pub mod device;
pub mod files;
pub mod hub;
pub mod process;
pub mod programs;
pub mod raw;
pub mod verbs;
pub mod vitals;
pub mod wait;
pub mod wire;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU16, Ordering},
    },
};

pub use device::Device;
pub use hub::Hub;
pub use process::{Ended, Process, Said};

/// How often all devices exchange, one after the other, before they have to be equal.
const ROUNDS_MAX: usize = 10;

/// A hub and devices, in one temporary directory. Everything ends and is removed when it is dropped.
pub struct World {
    hub: OnceLock<Arc<Hub>>,
    devices: Mutex<Vec<Arc<Device>>>,
    root: tempfile::TempDir,
}

impl World {
    /// Returns an empty world; the first call of a process also sees to it that the programs are built.
    #[expect(clippy::new_without_default, reason = "a world has side effects")]
    pub fn new() -> Self {
        programs::programs();
        Self { hub: OnceLock::new(), devices: Mutex::default(), root: short_tempdir() }
    }

    /// The directory that holds everything.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Returns a new directory of this name.
    pub fn dir(&self, name: &str) -> PathBuf {
        let dir = self.root().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    /// Returns the hub, which is started by the first call.
    pub fn hub(&self) -> Arc<Hub> {
        self.hub.get_or_init(|| self.another_hub("hub")).clone()
    }

    /// Starts a further hub, with a key and a replica of its own.
    pub fn another_hub(&self, name: &str) -> Arc<Hub> {
        let hub = Arc::new(Hub::new(name, self.dir(name), loopback()));
        hub.start();
        hub
    }

    /// Starts a device that knows the hub.
    pub fn device(&self, name: &str) -> Arc<Device> {
        let device = self.stopped_device(name);
        device.know(Some(&self.hub()));
        device.start();
        device
    }

    /// Starts a device without a hub. [`Device::join`] gives it one.
    pub fn lone_device(&self, name: &str) -> Arc<Device> {
        let device = self.stopped_device(name);
        device.start();
        device
    }

    /// Returns a device whose daemon is not running yet, without a hub.
    pub fn stopped_device(&self, name: &str) -> Arc<Device> {
        let device = Arc::new(Device::new(name, self.dir(name)));
        self.devices.lock().unwrap().push(device.clone());
        device
    }

    /// Exchanges, one running device after the other, until all of them and the hub hold the same; returns the
    /// digest. Devices that are stopped or have no hub stay out of it.
    pub fn converge(&self) -> String {
        let hub = self.hub();
        let devices = self.devices.lock().unwrap().clone();
        let spokes: Vec<_> = devices.into_iter().filter(|device| device.is_running() && device.knows_a_hub()).collect();
        let mut story = Vec::new();
        for round in 0..ROUNDS_MAX {
            let statuses: Vec<_> = spokes.iter().map(|device| (device.name(), device.exchange())).collect();
            let digest = hub.digest();
            let same = statuses.iter().all(|(_, status)| status.state.is_in_step() && status.state_digest == digest);
            if same {
                return digest;
            }
            story.push(format!("round {round}: the hub has {digest}"));
            story.extend(statuses.iter().map(|(name, is)| {
                format!("  {name}: {} ({}), {} ops, digest {}", is.state.word(), is.words, is.op_count, is.state_digest)
            }));
        }
        panic!("not equal after {ROUNDS_MAX} rounds:\n{}", story.join("\n"))
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let devices = std::mem::take(&mut *self.devices.lock().unwrap());
        let failed = std::thread::panicking();
        for device in devices {
            device.end(failed);
        }
        if let Some(hub) = self.hub.get() {
            hub.end(failed);
        }
    }
}

/// A directory whose path leaves room for the name of a socket below it.
fn short_tempdir() -> tempfile::TempDir {
    let usual = std::env::temp_dir();
    let base = if usual.as_os_str().len() <= 40 { usual } else { "/tmp".into() };
    tempfile::Builder::new().prefix("heph-").tempdir_in(base).unwrap()
}

/// A loopback address of this hub's own, so that nothing else takes its port while it is stopped. Only Linux has more
/// than one.
fn loopback() -> String {
    static HUBS: AtomicU16 = AtomicU16::new(1);
    if !cfg!(target_os = "linux") {
        return "127.0.0.1".into();
    }
    let [high, low] = HUBS.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = std::process::id() % 200 + 20;
    format!("127.{process}.{high}.{low}")
}
