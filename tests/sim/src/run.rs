//! One run: the machines of a system, the events of a plan, and the oracle that looks on.

mod acting;
mod calm;
mod watch;

use crate::acts::Act;
use crate::desk::{Desk, Known};
use crate::disk::{Fault, Image};
use crate::machine::{End, Hub, Spoke, Storage};
use crate::network::Network;
use crate::oracle::{Code, Oracle, Violation};
use crate::plan::{DiskFault, Event, Plan, Who};
use crate::tally::Tally;
use heph_api::types::{SyncNow, VerifyDeep};
use heph_store::read::Reads;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// What the oracle calls the hub.
const HUB: &str = "hub";
/// How long whoever asks for a deep check waits for it, simulated.
const CHECK_TIMEOUT: Duration = Duration::from_secs(120);
/// After how many events of a long run what is new is checked.
const CHECK_EVERY: usize = 12;

/// A system at work.
struct Run {
    network: Network,
    hub: Hub,
    spokes: Vec<Spoke>,
    /// How a machine that ends as planned does.
    ends: BTreeMap<usize, End>,
    hub_end: End,
    kept: BTreeMap<String, Image>,
    /// Per machine, the file that was checked last, and how much had been written to its disk by then.
    checked: BTreeMap<String, (PathBuf, u64)>,
    known: Arc<Mutex<Known>>,
    vaults: PathBuf,
    oracle: Oracle,
    tally: Tally,
    rng: fastrand::Rng,
    /// Somebody's disk was put back, or thrown away: what only it had is gone.
    lossy: bool,
    thorough: bool,
    /// What is new is checked now.
    checks: bool,
}

/// Does all of a plan.
///
/// # Errors
/// The first promise that was broken.
pub async fn run(plan: &Plan, tally: &Tally) -> Result<(), Violation> {
    let dir = tempfile::Builder::new().prefix("heph-sim").tempdir().unwrap();
    let mut rng = fastrand::Rng::with_seed(plan.seed);
    let network = Network::new(rng.u64(..), tally.clone());
    let hub = Hub::new(dir.path(), rng.u64(..));
    let spokes = (0..plan.spokes).map(|number| Spoke::new(number, dir.path().join(number.to_string()), rng.u64(..)));
    let spokes = spokes.collect();
    let thorough = !matches!(plan.length, crate::plan::Length::Ops(_));
    let mut run = Run {
        network,
        hub,
        spokes,
        ends: BTreeMap::new(),
        hub_end: End::Kill,
        kept: BTreeMap::new(),
        checked: BTreeMap::new(),
        known: Arc::default(),
        vaults: dir.path().join("vaults"),
        oracle: Oracle::new(),
        tally: tally.clone(),
        rng,
        lossy: false,
        thorough,
        checks: true,
    };
    run.count_faults_of_disks();
    let began = Instant::now();
    let outcome = run.all(plan).await;
    tally.count(|counts| counts.simulated_ms += u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX));
    run.network.hub_gone();
    outcome
}

impl Run {
    async fn all(&mut self, plan: &Plan) -> Result<(), Violation> {
        self.start(Who::Hub).await?;
        for spoke in 0..self.spokes.len() {
            self.start(Who::Spoke(spoke)).await?;
        }
        // All begin with a few things in common that they will edit apart.
        self.pass(Duration::from_secs(5)).await?;
        for act in [Act::Add, Act::AddRecurring, Act::Add, Act::Add, Act::Write, Act::Write, Act::Write, Act::Write] {
            self.act(0, &[act]).await?;
        }
        self.pass(Duration::from_secs(5)).await?;
        for (at, event) in plan.events.iter().enumerate() {
            self.tally.step(|| format!("{at}: {event}"));
            self.happens(*event).await?;
            self.checks = self.thorough || at.is_multiple_of(CHECK_EVERY);
            self.look_around().await?;
        }
        self.checks = true;
        self.calm_down().await
    }

    /// Counts what strikes a disk by what its machine is doing in that moment.
    fn count_faults_of_disks(&mut self) {
        for who in self.everybody() {
            let (network, tally, number) = (self.network.clone(), self.tally.clone(), number(who));
            let watch = Arc::new(move |fault| {
                match fault_name(number.is_none(), fault) {
                    Some(name) => tally.fault(name, network.doing(number)),
                    // It is counted when it is known how the machine ended.
                    None => network.dies(number),
                }
            });
            match who {
                Who::Hub => self.hub.storage.watch(watch),
                Who::Spoke(number) => self.spokes[number].storage.watch(watch),
            }
        }
    }

    async fn happens(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Acts { spoke, count, at_once } => self.acts(spoke, count, at_once).await?,
            Event::Pass { ms } => self.pass(Duration::from_millis(ms)).await?,
            Event::Weather(weather) => self.network.set_weather(weather),
            Event::Link { spoke, link } => self.network.set_link(spoke, link),
            Event::EndOnWire { spoke, after, end } => {
                self.ends.insert(spoke, end);
                if let Some(wire) = self.spokes[spoke].wire() {
                    wire.stop_after(after);
                }
            }
            Event::EndOnDisk { who, after, end } => {
                self.plan_end(who, end);
                self.disk_of(who).fail(after, Fault::Die);
            }
            Event::End { who, end } => self.strike_down(who, end, "at rest"),
            Event::Stop { spoke } => self.spokes[spoke].stop().await,
            Event::Start { who } => self.start(who).await?,
            Event::DiskFault { who, after, fault } => self.disk_of(who).fail(
                after,
                match fault {
                    DiskFault::Write => Fault::WriteError,
                    DiskFault::Sync => Fault::SyncError,
                    DiskFault::Read => Fault::ReadError,
                    DiskFault::Full => Fault::Full,
                },
            ),
            Event::Room { who, bytes } => {
                let disk = self.disk_of(who);
                let used: u64 = disk.files().iter().map(|(_, bytes)| bytes).sum();
                disk.capacity(bytes.map(|bytes| used + bytes));
            }
            Event::Clock { who, face } => self.env_of(who).set(face),
            Event::Jump { who, ms } => self.env_of(who).jump(ms),
            Event::Away { spoke, days } => self.away(spoke, days).await,
            Event::Keep { who } => {
                let image = self.disk_of(who).image();
                self.kept.insert(name(who), image);
            }
            Event::PutBack { who } => self.put_back(who).await?,
            Event::Wipe { with_key } => self.wipe(with_key)?,
            Event::Clone { from, to } => self.clone_over(from, to).await?,
            Event::Member { spoke, has_hub } => {
                self.spokes[spoke].stop().await;
                self.spokes[spoke].has_hub = has_hub;
                self.start(Who::Spoke(spoke)).await?;
            }
            Event::Upgrade { who } => self.upgrade(who).await?,
            Event::Aim { spoke, aim } => self.network.aim(spoke, aim),
            Event::CheckDeeply { spoke } => self.check_deeply(spoke).await,
            Event::Ask { spoke } => self.ask(spoke).await,
        }
        Ok(())
    }

    fn disk_of(&self, who: Who) -> crate::disk::Disk {
        self.storage(who).disk().clone()
    }

    fn env_of(&self, who: Who) -> Arc<crate::clock::MachineEnv> {
        match who {
            Who::Hub => self.hub.env.clone(),
            Who::Spoke(number) => self.spokes[number].env.clone(),
        }
    }

    fn is_running(&self, who: Who) -> bool {
        match who {
            Who::Hub => self.hub.is_running(),
            Who::Spoke(number) => self.spokes[number].is_running(),
        }
    }

    fn storage(&self, who: Who) -> &Storage {
        match who {
            Who::Hub => &self.hub.storage,
            Who::Spoke(number) => &self.spokes[number].storage,
        }
    }

    fn reads(&self, who: Who) -> Result<Rc<Reads>, Violation> {
        self.storage(who).reads().map_err(|error| Violation::unreadable(&name(who), "the file", &error))
    }

    fn plan_end(&mut self, who: Who, end: End) {
        match who {
            Who::Hub => self.hub_end = end,
            Who::Spoke(number) => drop(self.ends.insert(number, end)),
        }
    }

    /// A machine ends in such a state, which is counted.
    fn strike_down(&mut self, who: Who, end: End, state: &'static str) {
        let fault = match (who, end) {
            (Who::Hub, End::Kill) => "the hub is killed",
            (Who::Hub, End::Power) => "the hub loses power",
            (_, End::Kill) => "killed",
            (_, End::Power) => "power lost",
        };
        self.tally.fault(fault, state);
        self.end(who, end);
    }

    /// A machine whose disk died ends.
    fn end_dead(&mut self, who: Who) {
        let end = match who {
            Who::Hub => self.hub_end,
            Who::Spoke(number) => self.ends.get(&number).copied().unwrap_or(End::Power),
        };
        let state = self.network.died(number(who)).unwrap_or("settling");
        self.strike_down(who, end, state);
    }

    fn end(&mut self, who: Who, end: End) {
        match who {
            Who::Hub => self.hub.end(&self.network, end),
            Who::Spoke(number) => self.spokes[number].end(end),
        }
    }

    /// Starts a machine, which may take several tries while its disk is still bad.
    async fn start(&mut self, who: Who) -> Result<(), Violation> {
        if self.is_running(who) {
            return Ok(());
        }
        for _ in 0..4 {
            self.see_the_disk(who);
            self.network.set_local(number(who), Some("start"));
            let started = match who {
                Who::Hub => self.hub.start(&self.network),
                Who::Spoke(number) => self.spokes[number].start(&self.network).await,
            };
            self.network.set_local(number(who), None);
            let disk = self.disk_of(who);
            match started {
                Ok(()) => {
                    self.tally.step(|| format!("{} started", name(who)));
                    return self.check_started(who);
                }
                Err(_) if disk.is_dead() => {
                    self.end_dead(who);
                }
                Err(_) if struck(&disk) > 0 => {
                    self.tally.fault("did not start on a bad disk", "start");
                    disk.capacity(None);
                }
                Err(error) => {
                    return Err(Violation::new(Code::Daemon, &name(who), format!("it does not start: {error:#}")));
                }
            }
        }
        Ok(())
    }

    /// What the real program does by its own means when it finds a log that was left behind: it reads what the disk has,
    /// not what the system remembers.
    fn see_the_disk(&self, who: Who) {
        let disk = self.disk_of(who);
        for (file, _) in disk.files() {
            disk.rewrite(&file);
        }
    }

    fn everybody(&self) -> Vec<Who> {
        let spokes = (0..self.spokes.len()).map(Who::Spoke);
        [Who::Hub].into_iter().chain(spokes).collect()
    }

    async fn away(&mut self, spoke: usize, days: u32) {
        self.spokes[spoke].stop().await;
        for who in self.everybody() {
            self.env_of(who).jump(i64::from(days) * 86_400_000);
        }
    }

    async fn off(&mut self, who: Who) {
        match who {
            Who::Spoke(number) => self.spokes[number].stop().await,
            Who::Hub if self.hub.is_running() => self.end(who, End::Kill),
            Who::Hub => {}
        }
        if self.disk_of(who).is_dead() {
            self.end_dead(who);
        }
    }

    async fn put_back(&mut self, who: Who) -> Result<(), Violation> {
        let Some(image) = self.kept.get(&name(who)).cloned() else { return Ok(()) };
        self.off(who).await;
        self.tally.fault("put back to an older copy", if who == Who::Hub { "hub" } else { "spoke" });
        match who {
            Who::Hub => self.hub.put_back(&image),
            Who::Spoke(number) => {
                self.lossy = true;
                self.spokes[number].put_back(&image);
            }
        }
        self.oracle.excuse(&name(who));
        self.start(who).await
    }

    fn wipe(&mut self, with_key: bool) -> Result<(), Violation> {
        if self.hub.is_running() {
            self.end(Who::Hub, End::Kill);
        }
        self.tally.fault(if with_key { "disk and key lost" } else { "disk lost" }, "hub");
        self.hub.put_back(&Image::default());
        if with_key {
            self.hub.lose_key();
        }
        self.oracle.excuse(HUB);
        let started = self.hub.start(&self.network);
        started.map_err(|error| Violation::new(Code::Daemon, HUB, format!("it does not start: {error:#}")))?;
        self.oracle.begin(HUB);
        Ok(())
    }

    async fn clone_over(&mut self, from: usize, to: usize) -> Result<(), Violation> {
        if from == to {
            return Ok(());
        }
        self.off(Who::Spoke(to)).await;
        self.tally.fault("cloned with what it had not sent", "spoke");
        let image = self.disk_of(Who::Spoke(from)).image();
        self.spokes[to].put_back(&image);
        self.lossy = true;
        self.oracle.excuse(&name(Who::Spoke(to)));
        self.start(Who::Spoke(to)).await
    }

    /// The state is as an older version of the rules left it: the next start derives it anew.
    async fn upgrade(&mut self, who: Who) -> Result<(), Violation> {
        self.off(who).await;
        self.storage(who).look_away();
        let changed = rusqlite::Connection::open(self.storage(who).db())
            .and_then(|db| db.execute("UPDATE meta SET value = 0 WHERE key = 'rules_version'", []));
        match changed {
            Ok(_) => self.tally.fault("upgraded", if who == Who::Hub { "hub" } else { "spoke" }),
            Err(_) => self.tally.fault("not upgraded on a bad disk", "start"),
        }
        self.start(who).await
    }

    async fn ask(&mut self, spoke: usize) {
        let Some(desk) = self.desk(spoke) else { return };
        // Whoever asks may give up waiting; the cycle goes on.
        drop(timeout(Duration::from_secs(20), desk.call(&SyncNow { wait: true })).await);
    }

    /// What it finds is looked at where nobody writes meanwhile: at the end.
    async fn check_deeply(&mut self, spoke: usize) {
        let Some(desk) = self.desk(spoke) else { return };
        self.network.set_local(Some(spoke), Some("deep check"));
        drop(timeout(CHECK_TIMEOUT, desk.call(&VerifyDeep { repair: false })).await);
        self.network.set_local(Some(spoke), None);
    }

    fn desk(&mut self, spoke: usize) -> Option<Desk> {
        let routes = self.spokes[spoke].routes()?;
        let seed = self.rng.u64(..);
        Some(Desk::new(spoke, routes, None, self.known.clone(), self.vaults.clone(), seed))
    }
}

/// What a fault of a disk is called that its machine outlives.
fn fault_name(is_hub: bool, fault: Fault) -> Option<&'static str> {
    Some(match (is_hub, fault) {
        (_, Fault::Die) => return None,
        (true, Fault::WriteError) => "EIO on write at the hub",
        (true, Fault::SyncError) => "EIO on fsync at the hub",
        (true, Fault::Full) => "ENOSPC at the hub",
        (true, Fault::ReadError) => "EIO on read at the hub",
        (false, Fault::WriteError) => "EIO on write",
        (false, Fault::SyncError) => "EIO on fsync",
        (false, Fault::Full) => "ENOSPC",
        (false, Fault::ReadError) => "EIO on read",
    })
}

/// A spoke's number; the hub has none.
fn number(who: Who) -> Option<usize> {
    match who {
        Who::Hub => None,
        Who::Spoke(number) => Some(number),
    }
}

/// How often calls to a disk failed that did not end it.
fn struck(disk: &crate::disk::Disk) -> u64 {
    let counters = disk.counters();
    counters.write_errors + counters.sync_errors + counters.full + counters.read_errors
}

fn name(who: Who) -> String {
    match who {
        Who::Hub => HUB.to_owned(),
        Who::Spoke(number) => format!("spoke {number}"),
    }
}
