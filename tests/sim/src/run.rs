//! One run: the machines of a system, the events of a plan, the oracle that looks on, and the end, when nothing fails
//! any more and all have to come into step by themselves.

use crate::acts::{self, Act, Done};
use crate::desk::{Attempted, Desk, Known};
use crate::disk::{Fault, Image};
use crate::machine::{End, Hub, Spoke};
use crate::network::{Link, Network, SpokeWire, Weather};
use crate::oracle::{Code, Oracle, Violation};
use crate::plan::{DiskFault, Event, Plan, Who};
use crate::tally::Tally;
use heph_api::ApiError;
use heph_api::types::{ReadSyncStatus, SwitchHub, SyncNow, SyncState};
use heph_store::env::Env;
use heph_store::exchange::Coverage;
use heph_store::id::OpRef;
use heph_store::page::{PAGE_BYTES_AIM, decode};
use heph_store::read::Reads;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// What the oracle calls the hub.
const HUB: &str = "hub";
/// How long people wait for an act, simulated: none waits for the network.
const ACT_TIMEOUT: Duration = Duration::from_secs(300);
/// How long all may take to come into step once nothing fails any more, simulated: a few of the longest pauses.
const CALM: Duration = Duration::from_secs(1_500);
/// Into how many parts passing time is divided, to look whether a machine ended.
const SLICES: u32 = 12;
/// After how many events of a long run what is new is checked.
const CHECK_EVERY: usize = 12;
/// How many acts are under way at once, if several are.
const AT_ONCE: usize = 5;

/// A system at work.
struct Run {
    network: Network,
    hub: Hub,
    spokes: Vec<Spoke>,
    /// How a machine that ends as planned does.
    ends: BTreeMap<usize, End>,
    hub_end: End,
    kept: BTreeMap<String, Image>,
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
    let thorough = matches!(plan.length, crate::plan::Length::Short);
    let mut run = Run {
        network,
        hub,
        spokes,
        ends: BTreeMap::new(),
        hub_end: End::Kill,
        kept: BTreeMap::new(),
        known: Arc::default(),
        vaults: dir.path().join("vaults"),
        oracle: Oracle::new(),
        tally: tally.clone(),
        rng,
        lossy: false,
        thorough,
        checks: true,
    };
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
            self.look_around(matches!(event, Event::Acts { .. })).await?;
        }
        self.checks = true;
        self.calm_down().await
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
            Event::End { who, end } => self.end(who, end, "at rest"),
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
            Event::Ask { spoke } => self.ask(spoke).await,
        }
        Ok(())
    }

    fn disk_of(&self, who: Who) -> crate::disk::Disk {
        match who {
            Who::Hub => self.hub.storage.disk().clone(),
            Who::Spoke(number) => self.spokes[number].storage.disk().clone(),
        }
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

    fn reads(&self, who: Who) -> Result<Reads, Violation> {
        let db = match who {
            Who::Hub => self.hub.storage.db(),
            Who::Spoke(number) => self.spokes[number].storage.db(),
        };
        Reads::open(&db).map_err(|error| Violation::unreadable(&name(who), "the file", &error))
    }

    fn plan_end(&mut self, who: Who, end: End) {
        match who {
            Who::Hub => self.hub_end = end,
            Who::Spoke(number) => drop(self.ends.insert(number, end)),
        }
    }

    fn end(&mut self, who: Who, end: End, state: &'static str) {
        self.tally.fault(if end == End::Kill { "killed" } else { "power lost" }, state);
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
            let started = match who {
                Who::Hub => self.hub.start(&self.network),
                Who::Spoke(number) => self.spokes[number].start(&self.network).await,
            };
            let disk = self.disk_of(who);
            match started {
                Ok(()) => {
                    let reads = self.reads(who)?;
                    self.oracle.begin(&name(who));
                    self.tally.step(|| format!("{} started", name(who)));
                    return if self.thorough {
                        self.tally.count(|counts| counts.checks += 1);
                        self.oracle.check_all(&name(who), &reads)
                    } else {
                        self.oracle.check_new(&name(who), &reads).map(drop)
                    };
                }
                Err(_) if disk.is_dead() => {
                    let end = if who == Who::Hub { self.hub_end } else { End::Power };
                    self.end(who, end, "start");
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

    async fn acts(&mut self, spoke: usize, count: u32, at_once: bool) -> Result<(), Violation> {
        if !self.spokes[spoke].is_running() {
            self.start(Who::Spoke(spoke)).await?;
        }
        let mut left = count;
        while left > 0 {
            let together = if at_once { self.rng.usize(1..=AT_ONCE).min(left as usize) } else { 1 };
            left -= u32::try_from(together).unwrap_or(1);
            let chosen: Vec<Act> = (0..together).map(|_| Act::choose(&mut self.rng)).collect();
            self.act(spoke, &chosen).await?;
            if self.rng.u8(0..3) == 0 {
                sleep(Duration::from_millis(self.rng.u64(0..40))).await;
            }
            self.end_stopped();
            if self.spokes[spoke].storage.disk().is_dead() || !self.spokes[spoke].is_running() {
                break;
            }
        }
        Ok(())
    }

    /// Things that are done at once at a spoke, if it runs.
    async fn act(&mut self, spoke: usize, acts: &[Act]) -> Result<(), Violation> {
        let (Some(routes), writer) = (self.spokes[spoke].routes(), self.spokes[spoke].writer()) else { return Ok(()) };
        let before = self.end_of(Who::Spoke(spoke));
        let performed = acts.iter().map(|act| {
            let (known, vaults, seed) = (self.known.clone(), self.vaults.clone(), self.rng.u64(..));
            let mut desk = Desk::new(spoke, routes.clone(), writer.clone(), known, vaults, seed);
            async move {
                let outcome = timeout(ACT_TIMEOUT, acts::perform(*act, &mut desk)).await;
                (*act, outcome, desk.attempted)
            }
        });
        let performed: Vec<_> = futures_util::future::join_all(performed.collect::<Vec<_>>()).await;
        // What several did at once is told of together: which op is whose cannot be seen.
        let who = Who::Spoke(spoke);
        let ops = self.written_since(who, before);
        for (act, outcome, attempted) in performed {
            self.performed(spoke, act, outcome.ok(), attempted, &ops)?;
        }
        Ok(())
    }

    /// Where the log ends, if it can be read.
    fn end_of(&self, who: Who) -> u64 {
        let end = self.reads(who).ok().and_then(|reads| reads.read(|view| view.end()).ok());
        end.map_or(0, |(position, _)| position)
    }

    /// Which ops came into a log after a position, as far as it can be read.
    fn written_since(&self, who: Who, mut position: u64) -> Vec<OpRef> {
        let mut ops = Vec::new();
        let Ok(reads) = self.reads(who) else { return ops };
        while let Ok(Some(page)) = reads.read(|view| view.page_after(position, &Coverage::default(), PAGE_BYTES_AIM)) {
            position = page.position;
            let stretches = decode(&page.bytes).unwrap_or_default();
            let entries = stretches.iter().flat_map(|stretch| &stretch.entries);
            ops.extend(entries.map(|entry| entry.op.reference(&entry.id)));
        }
        ops
    }

    fn performed(
        &mut self,
        spoke: usize,
        act: Act,
        outcome: Option<Result<Done, ApiError>>,
        attempted: Attempted,
        written: &[OpRef],
    ) -> Result<(), Violation> {
        let name = name(Who::Spoke(spoke));
        let disk = self.spokes[spoke].storage.disk().clone();
        match outcome {
            Some(Ok(done)) => {
                self.tally.act(act.name(), "done");
                self.tally.step(|| format!("{}: {done:?}", act.name()));
                let acknowledged: Vec<_> = done.op.into_iter().collect();
                let now = self.spokes[spoke].env.now().get();
                self.oracle.acknowledge(&name, &acknowledged, now);
                // An act may write several ops; of those, it is told of one.
                let is_his = |op: &&OpRef| done.op.is_some_and(|told| told.origin == op.origin);
                let ops: Vec<_> = written.iter().filter(is_his).copied().collect();
                if let Some((before, after)) = done.rewrote {
                    self.oracle.rewrote(&ops, &before, &after);
                    self.oracle.rewrote(&[], &beside_changes(&before, &after), "");
                }
                if !done.undid.is_empty() {
                    self.oracle.undid(&ops, &done.undid);
                }
                if let Some(node) = done.may_conflict {
                    self.oracle.may_conflict(node);
                }
                Ok(())
            }
            Some(Err(error)) if disk.is_dead() || struck(&disk) > 0 || acts::is_expected(&error) => {
                self.tally.act(act.name(), "refused");
                self.tally.step(|| format!("{}: {}", act.name(), error.code));
                // Whether it was written nobody was told; what it was to write over is not missed.
                if disk.is_dead() || struck(&disk) > 0 {
                    if let Some((before, after)) = attempted.text {
                        self.oracle.rewrote(&[], &before, &after);
                    }
                    self.oracle.undid(&[], &attempted.undo);
                }
                Ok(())
            }
            Some(Err(error)) => {
                let sentence = format!("{} was refused: {} ({})", act.name(), error.message, error.code);
                Err(Violation::new(Code::Daemon, &name, sentence))
            }
            None if disk.is_dead() => Ok(()),
            None => Err(Violation::new(Code::Daemon, &name, format!("{} hangs", act.name()))),
        }
    }

    async fn pass(&mut self, time: Duration) -> Result<(), Violation> {
        for _ in 0..SLICES {
            let mut rest = Box::pin(sleep(time / SLICES));
            // A machine that its wire ended is off from that moment on.
            loop {
                let stopped = self.spokes.iter().map(|spoke| Box::pin(spoke.stopped.notified()));
                tokio::select! {
                    biased;
                    _ = futures_util::future::select_all(stopped) => {}
                    () = &mut rest => break,
                }
                self.end_stopped();
            }
            self.look_around(false).await?;
        }
        Ok(())
    }

    /// Machines that stopped on their wire are off.
    fn end_stopped(&mut self) {
        for number in 0..self.spokes.len() {
            if self.spokes[number].stopped.take() {
                let end = self.ends.get(&number).copied().unwrap_or(End::Kill);
                // Where on the wire has been counted.
                self.end(Who::Spoke(number), end, "on the wire");
            }
        }
    }

    /// Machines whose disk died are off; what is new anywhere is checked.
    async fn look_around(&mut self, acting: bool) -> Result<(), Violation> {
        // Whoever commits or answers in this moment does so now.
        tokio::task::yield_now().await;
        if self.hub.storage.disk().is_dead() {
            let state = self.network.answering().unwrap_or("settling");
            self.end(Who::Hub, self.hub_end, state);
        }
        self.end_doubtful();
        for number in 0..self.spokes.len() {
            if self.spokes[number].storage.disk().is_dead() {
                let end = self.ends.get(&number).copied().unwrap_or(End::Power);
                let local = if acting { "local write" } else { "settling" };
                let state = self.network.asking(number).unwrap_or(local);
                self.end(Who::Spoke(number), end, state);
            }
        }
        for who in self.everybody() {
            if self.checks && self.is_running(who) && !self.disk_of(who).is_dead() {
                self.check_new(who)?;
            }
        }
        Ok(())
    }

    /// A daemon ends when a sync failed, since the system then shows what the disk need not have.
    fn end_doubtful(&mut self) {
        for who in self.everybody() {
            let failed = self.disk_of(who).counters().sync_errors;
            if failed > 0 && self.is_running(who) {
                self.end(who, End::Kill, "a failed sync");
            }
        }
    }

    /// Checks what is new; a disk whose failure strikes this very reading is no broken promise.
    fn check_new(&mut self, who: Who) -> Result<(), Violation> {
        let (disk, before) = (self.disk_of(who), struck(&self.disk_of(who)));
        self.tally.count(|counts| counts.checks += 1);
        let checked = self.reads(who).and_then(|reads| self.oracle.check_new(&name(who), &reads));
        match checked {
            Err(broken) if broken.code == Code::Unreadable && (disk.is_dead() || struck(&disk) > before) => Ok(()),
            checked => checked.map(drop),
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
            Who::Hub if self.hub.is_running() => self.end(who, End::Kill, "at rest"),
            Who::Hub => {}
        }
        if self.disk_of(who).is_dead() {
            self.end(who, End::Power, "stopping");
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
            self.end(Who::Hub, End::Kill, "at rest");
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
        let db = match who {
            Who::Hub => self.hub.storage.db(),
            Who::Spoke(number) => self.spokes[number].storage.db(),
        };
        let changed = rusqlite::Connection::open(db)
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

    fn desk(&mut self, spoke: usize) -> Option<Desk> {
        let routes = self.spokes[spoke].routes()?;
        let seed = self.rng.u64(..);
        Some(Desk::new(spoke, routes, None, self.known.clone(), self.vaults.clone(), seed))
    }

    /// Nothing fails any more. All come into step by themselves, and then hold and show the same.
    async fn calm_down(&mut self) -> Result<(), Violation> {
        self.tally.step(|| "calm".to_owned());
        self.network.set_weather(Weather::default());
        self.spokes.iter().filter_map(Spoke::wire).for_each(SpokeWire::stop_never);
        self.end_stopped();
        self.look_around(false).await?;
        for who in self.everybody() {
            let disk = self.disk_of(who);
            disk.forgive();
            disk.capacity(None);
        }
        self.look_around(false).await?;
        for who in self.everybody() {
            self.env_of(who).jump(0);
            if let Who::Spoke(number) = who {
                self.network.set_link(number, Link::Up);
                if !self.spokes[number].has_hub {
                    self.spokes[number].stop().await;
                    self.spokes[number].has_hub = true;
                }
            }
            self.start(who).await?;
        }
        self.pass(CALM).await?;
        for spoke in 0..self.spokes.len() {
            self.answer_what_is_asked(spoke).await;
        }
        self.pass(CALM).await?;
        self.in_step().await?;
        let everybody = self.everybody();
        let mut reads = Vec::new();
        for who in &everybody {
            reads.push((name(*who), self.reads(*who)?));
        }
        for ((replica, reads), who) in reads.iter().zip(&everybody) {
            self.oracle.check_all(replica, reads)?;
            let db = match who {
                Who::Hub => self.hub.storage.db(),
                Who::Spoke(number) => self.spokes[*number].storage.db(),
            };
            self.oracle.check_file(replica, &db, self.env_of(*who))?;
        }
        let named: Vec<_> = reads.iter().map(|(replica, reads)| (replica.as_str(), reads)).collect();
        self.oracle.converged(&named)?;
        if !self.lossy {
            let names: Vec<_> = named.iter().map(|(name, _)| *name).collect();
            self.oracle.nothing_is_gone(&names)?;
        }
        let (ops, _) = reads[0].1.read(|view| view.end()).map_err(|error| Violation::unreadable(HUB, "it", &error))?;
        self.tally.count(|counts| counts.ops += ops);
        self.tally.step(|| format!("{ops} ops"));
        for number in 0..self.spokes.len() {
            self.spokes[number].stop().await;
        }
        Ok(())
    }

    /// The one thing that a person is asked: whether another hub, which holds other data, is the right one.
    async fn answer_what_is_asked(&mut self, spoke: usize) {
        let Some(desk) = self.desk(spoke) else { return };
        let Ok(status) = desk.call(&ReadSyncStatus {}).await else { return };
        if status.state == SyncState::OtherHub
            && let Ok(preview) = desk.call(&SwitchHub { confirm: None }).await
        {
            self.tally.fault("a person was asked", "another hub");
            drop(desk.call(&SwitchHub { confirm: Some(preview.hub_id) }).await);
        }
    }

    async fn in_step(&mut self) -> Result<(), Violation> {
        for spoke in 0..self.spokes.len() {
            let Some(desk) = self.desk(spoke) else { continue };
            let status = desk.call(&ReadSyncStatus {}).await;
            let status = status.unwrap_or_else(|error| panic!("no status: {error:?}"));
            if !status.state.is_in_step() {
                let sentence = format!("after {} s of calm: {}", 2 * CALM.as_secs(), status.words);
                return Err(Violation::new(Code::NotInStep, &name(Who::Spoke(spoke)), sentence));
            }
        }
        Ok(())
    }
}

/// The lines that stayed, next to one that did not. A comparison may take a word of such a line for the same word of its
/// neighbour; if the neighbour is edited elsewhere meanwhile, the line is torn. Of that no claim is made.
fn beside_changes(before: &str, after: &str) -> String {
    let kept: BTreeSet<&str> = after.lines().collect();
    let lines: Vec<&str> = before.lines().collect();
    let stays = |at: usize| lines.get(at).is_none_or(|line| kept.contains(line));
    let old: BTreeSet<&str> = lines.iter().copied().collect();
    // What came in between two lines that stayed touches both.
    let after: Vec<&str> = after.lines().collect();
    let comes = |line: &str| {
        after.iter().position(|kept| *kept == line).is_some_and(|at| {
            let is_new = |at: usize| after.get(at).is_some_and(|line| !old.contains(line));
            is_new(at + 1) || at.checked_sub(1).is_some_and(is_new)
        })
    };
    let beside = |at: &usize| !stays(at + 1) || at.checked_sub(1).is_some_and(|at| !stays(at)) || comes(lines[*at]);
    let torn = (0..lines.len()).filter(|at| stays(*at)).filter(beside).map(|at| lines[at]);
    torn.collect::<Vec<_>>().join("\n")
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
