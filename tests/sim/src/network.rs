//! The network between the spokes and their hub: how it is, what goes wrong on it, and what everybody is doing. Each
//! spoke has a [wire](SpokeWire) on it, which carries the real requests to the hub's real routes.

mod wire;

pub use wire::{SpokeWire, Stopped};

use crate::aim::{Aim, Strike};
use crate::disk::{Disk, Fault};
use crate::tally::Tally;
use axum::Router;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// How likely each thing is to go wrong with a message, in thousandths.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Weather {
    /// The request is lost, and the sender hears that the connection broke.
    pub lost: u16,
    /// The request arrives and is done; the answer is lost.
    pub unanswered: u16,
    /// The request arrives once more, later.
    pub doubled: u16,
    /// The answer breaks off in its body.
    pub cut: u16,
    /// Nothing more is heard, and nobody says that the connection is gone.
    pub stalled: u16,
    /// Somebody in between answers with 413, 429, 502 or 503.
    pub refused: u16,
    /// The longest delay of a message or of a part of one, in milliseconds.
    pub delay_ms: u64,
}

/// How a spoke's link to the hub stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// Messages go, as the weather lets them.
    #[default]
    Up,
    /// Connections are refused or broken at once.
    Refused,
    /// Everything vanishes, without a word.
    Silent,
}

/// How long a link stays silent that fell silent in the middle of an answer.
const SILENCE: Duration = Duration::from_secs(45);

/// The network.
#[derive(Clone)]
pub struct Network(Arc<Mutex<Inner>>, Tally);

struct Inner {
    rng: fastrand::Rng,
    weather: Weather,
    links: BTreeMap<usize, Link>,
    /// Counts changes of a link: what was under way then is gone.
    epochs: BTreeMap<usize, u64>,
    hub: Option<Arc<Listening>>,
    hub_number: u64,
    /// What each spoke is asking the hub, and what the hub is answering: the state of the protocol.
    asking: BTreeMap<usize, &'static str>,
    answering: Option<&'static str>,
    /// What a machine does by itself; the hub has no number.
    local: BTreeMap<Option<usize>, &'static str>,
    /// What machines did when their disks died.
    died: BTreeMap<Option<usize>, &'static str>,
    /// What is to go wrong when each spoke asks the hub certain things.
    aims: BTreeMap<usize, Vec<Aim>>,
    /// Tells of changes of links and of the hub, those first who have waited longest: a `watch` wakes in an order that no
    /// seed decides.
    changes: Arc<Notify>,
}

/// A hub that listens.
struct Listening {
    number: u64,
    routes: Router,
    disk: Disk,
    /// What it is doing.
    tasks: Mutex<JoinSet<()>>,
}

impl Network {
    /// A quiet network without a hub.
    pub fn new(seed: u64, tally: Tally) -> Self {
        let inner = Inner {
            rng: fastrand::Rng::with_seed(seed),
            weather: Weather::default(),
            links: BTreeMap::new(),
            epochs: BTreeMap::new(),
            hub: None,
            hub_number: 0,
            asking: BTreeMap::new(),
            answering: None,
            local: BTreeMap::new(),
            died: BTreeMap::new(),
            aims: BTreeMap::new(),
            changes: Arc::default(),
        };
        Self(Arc::new(Mutex::new(inner)), tally)
    }

    /// Sets how likely things are to go wrong.
    pub fn set_weather(&self, weather: Weather) {
        self.locked().weather = weather;
    }

    /// Sets how a spoke's link stands; what is under way breaks or hangs.
    pub fn set_link(&self, spoke: usize, link: Link) {
        let mut inner = self.locked();
        if inner.links.insert(spoke, link).unwrap_or_default() != link {
            *inner.epochs.entry(spoke).or_default() += 1;
            inner.changes.notify_waiters();
        }
    }

    fn break_connections(&self, spoke: usize) {
        let mut inner = self.locked();
        *inner.epochs.entry(spoke).or_default() += 1;
        inner.changes.notify_waiters();
    }

    fn silent_for_a_while(&self, spoke: usize) {
        self.set_link(spoke, Link::Silent);
        let network = self.clone();
        tokio::spawn(async move {
            sleep(SILENCE).await;
            network.set_link(spoke, Link::Up);
        });
    }

    /// A hub begins to listen.
    pub fn listen(&self, routes: Router, disk: Disk) {
        let mut inner = self.locked();
        inner.hub_number += 1;
        let listening = Listening { number: inner.hub_number, routes, disk, tasks: Mutex::default() };
        inner.hub = Some(Arc::new(listening));
    }

    /// The hub is gone, with everything that it was doing.
    pub fn hub_gone(&self) {
        let hub = self.locked().hub.take();
        self.locked().changes.notify_waiters();
        if let Some(hub) = hub {
            hub.tasks.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
        }
    }

    /// What a spoke, or the hub, is doing: what it asks or answers, or else what was told by [`Network::set_local`].
    pub fn doing(&self, number: Option<usize>) -> &'static str {
        let inner = self.locked();
        let wire = match number {
            Some(spoke) => inner.asking.get(&spoke).copied(),
            None => inner.answering,
        };
        wire.or_else(|| inner.local.get(&number).copied()).unwrap_or("settling")
    }

    /// A spoke, or the hub, does this by itself from now on, or nothing.
    pub fn set_local(&self, number: Option<usize>, doing: Option<&'static str>) {
        let mut inner = self.locked();
        match doing {
            Some(doing) => drop(inner.local.insert(number, doing)),
            None => drop(inner.local.remove(&number)),
        }
    }

    /// A machine's disk dies over what it is doing.
    pub fn dies(&self, number: Option<usize>) {
        let doing = self.doing(number);
        self.locked().died.insert(number, doing);
    }

    /// What a machine was doing when its disk died, since this was last asked.
    pub fn died(&self, number: Option<usize>) -> Option<&'static str> {
        self.locked().died.remove(&number)
    }

    /// Something is to go wrong when a spoke next asks the hub a certain thing.
    pub fn aim(&self, spoke: usize, aim: Aim) {
        self.locked().aims.entry(spoke).or_default().push(aim);
    }

    /// Nothing is to go wrong any more.
    pub fn forgive(&self) {
        self.locked().aims.clear();
    }

    /// Takes a fault that was aimed at this.
    fn aimed<T>(&self, spoke: usize, state: &str, wanted: impl Fn(Strike) -> Option<T>) -> Option<T> {
        let mut inner = self.locked();
        let aims = inner.aims.get_mut(&spoke)?;
        let at = aims.iter().position(|aim| aim.state == state && wanted(aim.strike).is_some())?;
        wanted(aims.remove(at).strike)
    }

    /// A disk is to fail in a moment.
    fn fail(&self, disk: &Disk, fault: Option<Fault>) {
        if let Some(fault) = fault {
            let calls = Aim::calls(fault, &mut self.locked().rng);
            disk.fail(calls, fault);
        }
    }

    fn locked(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something strikes that was aimed at this, or is so likely. What is asked seldom is struck more often, so that every fault meets
    /// every state of the protocol.
    fn strikes(&self, spoke: usize, strike: Strike, per_mille: u16, state: &str) -> bool {
        if self.aimed(spoke, state, |aimed| (aimed == strike).then_some(())).is_some() {
            return true;
        }
        let times = match state {
            "hello" | "events" => 1,
            "push" => 2,
            "pull" => 3,
            _ => 6,
        };
        per_mille > 0 && self.locked().rng.u16(0..1_000) < (per_mille * times).min(400)
    }

    fn delay(&self) -> Duration {
        let mut inner = self.locked();
        let max_ms = inner.weather.delay_ms;
        Duration::from_millis(if max_ms == 0 { 0 } else { inner.rng.u64(0..=max_ms) })
    }

    fn link(&self, spoke: usize) -> (Link, u64) {
        let inner = self.locked();
        (inner.links.get(&spoke).copied().unwrap_or_default(), inner.epochs.get(&spoke).copied().unwrap_or_default())
    }

    fn hub(&self) -> Option<Arc<Listening>> {
        self.locked().hub.clone().filter(|hub| !hub.disk.is_dead())
    }
}
