//! A machine: a disk, a clock, and what runs on it. It can be stopped in order, killed, lose its power, be put back to
//! an older copy of its disk, or be cloned; each time it starts it does so in a directory of its own, so that nothing of
//! what ran before can reach it.

use crate::clock::MachineEnv;
use crate::disk::{Disk, Image, Watch};
use crate::network::{Network, SpokeWire, Stopped};
use axum::Router;
use heph_store::read::Reads;
use hephd::config::{HubUrl, LocalConfig, ServerConfig};
use hephd::spoke::{Outside, Running, Wire};
use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use tokio::sync::watch;

/// The name of the replica's file.
const DB: &str = "heph.db";
/// The name of the hub's control file.
const CONTROL: &str = "hub.db";

/// How a machine ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Its processes are killed; what they wrote is there.
    Kill,
    /// Its power is gone; what was not synced may be there or not.
    Power,
}

/// A disk in the directory of the incarnation that uses it.
pub struct Storage {
    base: PathBuf,
    incarnation: u32,
    disk: Disk,
    rng: fastrand::Rng,
    /// A connection for looking at the replica, kept while its file is in use: opening one costs as much as looking.
    looking: RefCell<Option<Rc<Reads>>>,
    watch: Option<Watch>,
}

impl Storage {
    fn new(base: PathBuf, seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let disk = Disk::new(&directory(&base, 0), rng.u64(..));
        Self { base, incarnation: 0, disk, rng, looking: RefCell::default(), watch: None }
    }

    fn next_directory(&mut self) -> PathBuf {
        self.look_away();
        self.incarnation += 1;
        directory(&self.base, self.incarnation)
    }

    /// Everything that used the disk is gone.
    fn end(&mut self, end: End) {
        let (to, seed) = (self.next_directory(), self.rng.u64(..));
        self.disk = match end {
            End::Kill => self.disk.kill(&to, seed),
            End::Power => self.disk.power_loss(&to, seed),
        };
        self.watch_again();
    }

    /// The disk is replaced by a copy of another.
    fn put_back(&mut self, image: &Image) {
        let (to, seed) = (self.next_directory(), self.rng.u64(..));
        self.disk = Disk::from_image(&to, image, seed);
        self.watch_again();
    }

    /// Tells of every fault of this and all later disks, in the moment when it strikes.
    pub fn watch(&mut self, watch: Watch) {
        self.watch = Some(watch);
        self.watch_again();
    }

    fn watch_again(&self) {
        if let Some(watch) = &self.watch {
            self.disk.watch(watch.clone());
        }
    }

    /// The disk of now.
    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The replica's file.
    pub fn db(&self) -> PathBuf {
        self.path(DB)
    }

    fn path(&self, name: &str) -> PathBuf {
        directory(&self.base, self.incarnation).join(name)
    }

    /// Looks at the replica.
    ///
    /// # Errors
    /// If the file cannot be read now.
    pub fn reads(&self) -> heph_store::Result<Rc<Reads>> {
        if let Some(reads) = &*self.looking.borrow() {
            return Ok(Rc::clone(reads));
        }
        let reads = Rc::new(Reads::open(&self.db())?);
        self.looking.replace(Some(Rc::clone(&reads)));
        Ok(reads)
    }

    /// Closes what looks at the replica, so that whoever stops next is the last to use its file, or opens it first.
    pub fn look_away(&self) {
        self.looking.take();
    }
}

/// Makes the real directory that stands for one on the simulated disk: locks live there, and the store makes an empty
/// file before SQLite opens it.
fn directory(base: &Path, incarnation: u32) -> PathBuf {
    let directory = base.join(incarnation.to_string());
    std::fs::create_dir_all(&directory).unwrap();
    directory
}

/// A spoke's machine.
pub struct Spoke {
    /// Which it is, from 0.
    pub number: usize,
    /// Its disk.
    pub storage: Storage,
    /// Its clock and chance.
    pub env: Arc<MachineEnv>,
    /// Whether it is started with the hub's address.
    pub has_hub: bool,
    /// Told when it stops as its wire was told to.
    pub stopped: Arc<Stopped>,
    running: Option<RunningSpoke>,
}

struct RunningSpoke {
    daemon: Running,
    wire: SpokeWire,
    stop: watch::Sender<bool>,
    _network: watch::Sender<u64>,
}

impl Spoke {
    /// A machine with an empty disk, switched off.
    pub fn new(number: usize, base: PathBuf, seed: u64) -> Self {
        let env = Arc::new(MachineEnv::new(seed ^ 0x5eed));
        let (stopped, storage) = (Arc::default(), Storage::new(base, seed));
        Self { number, storage, env, has_hub: true, stopped, running: None }
    }

    /// What it is called.
    pub fn name(&self) -> String {
        format!("spoke {}", self.number)
    }

    /// Starts its daemon, if it does not run.
    ///
    /// # Errors
    /// What the daemon says if it does not start: its disk may have failed again.
    pub async fn start(&mut self, network: &Network) -> anyhow::Result<()> {
        if self.running.is_some() {
            return Ok(());
        }
        self.storage.look_away();
        let wire = SpokeWire::new(network.clone(), self.number, self.storage.disk.clone(), self.stopped.clone());
        let config = LocalConfig {
            db: self.storage.db(),
            socket: self.storage.path("socket"),
            hub_url: self.has_hub.then(|| HubUrl::parse("http://127.0.0.1:8787").ok()).flatten(),
            device_name: self.name(),
        };
        let (stop, shutdown) = hephd::run::shutdown();
        let (changes, networks) = watch::channel(0);
        let outside =
            Outside { env: self.env.clone(), wire: Some(Arc::new(wire.clone()) as Arc<dyn Wire>), network: networks };
        let daemon = Running::start(config, outside, &shutdown).await?;
        self.running = Some(RunningSpoke { daemon, wire, stop, _network: changes });
        Ok(())
    }

    /// Whether its daemon runs.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Its local API, while it runs.
    pub fn routes(&self) -> Option<Router> {
        self.running.as_ref().map(|running| running.daemon.routes())
    }

    /// The door to its replica, while it runs, for what has no call yet.
    pub fn writer(&self) -> Option<hephd::writer::Writer> {
        self.running.as_ref().map(|running| running.daemon.writer())
    }

    /// Its wire, while it runs.
    pub fn wire(&self) -> Option<&SpokeWire> {
        self.running.as_ref().map(|running| &running.wire)
    }

    /// Stops the daemon in order.
    pub async fn stop(&mut self) {
        self.storage.look_away();
        if let Some(running) = self.running.take() {
            running.stop.send_replace(true);
            running.daemon.stop().await;
        }
    }

    /// The machine ends, whatever it was doing.
    pub fn end(&mut self, end: End) {
        self.storage.end(end);
        self.running = None;
    }

    /// Its disk is replaced by a copy; it must not run.
    pub fn put_back(&mut self, image: &Image) {
        assert!(self.running.is_none(), "a disk is replaced while it is in use");
        self.storage.put_back(image);
    }
}

/// The hub's machine.
pub struct Hub {
    /// Its disk; the key is kept elsewhere.
    pub storage: Storage,
    /// Its clock and chance.
    pub env: Arc<MachineEnv>,
    keys: PathBuf,
    key: u32,
    stop: Option<watch::Sender<bool>>,
}

impl Hub {
    /// A machine with an empty disk, switched off.
    pub fn new(base: &Path, seed: u64) -> Self {
        let keys = base.join("keys");
        std::fs::create_dir_all(&keys).unwrap();
        let storage = Storage::new(base.join("hub"), seed);
        Self { storage, env: Arc::new(MachineEnv::new(seed ^ 0x5eed)), keys, key: 0, stop: None }
    }

    /// Starts its daemon, if it does not run.
    ///
    /// # Errors
    /// What the daemon says if it does not start: its disk may have failed again.
    pub fn start(&mut self, network: &Network) -> anyhow::Result<()> {
        if self.stop.is_some() {
            return Ok(());
        }
        self.storage.look_away();
        let control = self.storage.path(CONTROL);
        if self.storage.disk.files().iter().any(|(path, _)| path.ends_with(CONTROL)) {
            std::fs::write(&control, "")?;
        }
        let config = ServerConfig {
            db: self.storage.db(),
            control,
            key: self.keys.join(format!("{}.key", self.key)),
            http_addr: ([127, 0, 0, 1], 8787).into(),
        };
        let (stop, shutdown) = hephd::run::shutdown();
        let routes = hephd::hub::routes_of(&config, self.env.clone(), &shutdown)?;
        network.listen(routes, self.storage.disk.clone());
        self.stop = Some(stop);
        Ok(())
    }

    /// Whether its daemon runs.
    pub fn is_running(&self) -> bool {
        self.stop.is_some()
    }

    /// The machine ends, whatever it was doing.
    pub fn end(&mut self, network: &Network, end: End) {
        network.hub_gone();
        self.storage.end(end);
        self.stop = None;
    }

    /// Its disk is replaced by a copy; it must not run.
    pub fn put_back(&mut self, image: &Image) {
        assert!(self.stop.is_none(), "a disk is replaced while it is in use");
        self.storage.put_back(image);
    }

    /// Its key is lost: the next start makes another.
    pub fn lose_key(&mut self) {
        self.key += 1;
    }
}
