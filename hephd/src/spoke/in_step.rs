//! Keeps this device in step: runs a cycle when the schedule says so, takes in what the hub's events bring, and lets
//! everybody see how things stand. One task; nothing waits for it but who asked to.

use super::cycle::{Cycle, Failure, Outcome, Seen, fact};
use super::hub_client::{Hub, HubError, Proven};
use super::listen::Heard;
use super::plan::Digests;
use super::schedule::{Ending, Event, Next, Schedule};
use super::status::{self, Last, Standing};
use super::{device, notices, pages};
use crate::run::Shutdown;
use crate::sync::page::decompress;
use crate::sync::protocol::HeadEvent;
use crate::writer::Moved;
use heph_store::env::random;
use heph_store::replica::{Cursor, Group, Ingested};
use heph_store::vector::Vector;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

/// The task's own: what it is told by, and what it tells.
pub struct InStep<H> {
    /// What it runs.
    pub cycle: Cycle<H>,
    /// How things stand, for everybody to see.
    pub standing: watch::Sender<Standing>,
    /// Counts what surfaces asked for.
    pub asks: watch::Receiver<u64>,
    /// The log here moved.
    pub moved: watch::Receiver<Moved>,
    /// What the hub's events say.
    pub heard: mpsc::Receiver<Heard>,
    /// Counts changes of the network.
    pub network: watch::Receiver<u64>,
    /// To whose events to listen.
    pub listening: watch::Sender<Option<Proven>>,
    /// When to end.
    pub shutdown: Shutdown,
    /// Where the log here ended when both last held the same.
    pub in_step_at: Option<u64>,
    /// When a cycle was last ended because the network changed.
    pub interrupted: Option<Instant>,
}

/// What came of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Heads {
    /// Its ops are here now.
    Taken,
    /// They were here.
    Known,
    /// There is more than it brought.
    Beyond,
}

/// A machine that slept notices it by this much of a jump between its clocks, in milliseconds.
const SLEPT_MS: u64 = 20_000;
/// How long cycles are left alone after one was ended by a change of the network: longer than the slowest step takes.
const UNINTERRUPTED: Duration = Duration::from_secs(200);
/// How often it looks, and how late it may be noticed.
const LOOK_EVERY: Duration = Duration::from_secs(10);

impl<H: Hub> InStep<H> {
    /// Runs until the daemon is asked to stop, or the writer is gone.
    pub async fn run(mut self) {
        let mut clocks = Clocks::new(self.wall_ms());
        let mut schedule = Schedule::new(0);
        loop {
            let due = match schedule.next(clocks.now_ms()) {
                Next::Go => {
                    if !self.go(&mut schedule, &clocks).await {
                        return;
                    }
                    continue;
                }
                Next::At(due_ms) => due_ms,
                Next::Running => clocks.now_ms(),
            };
            self.plan_told(due, clocks.now_ms());
            // In order of rarity, so that none keeps another waiting for ever; what is due is begun above.
            let event = tokio::select! {
                biased;
                () = self.shutdown.requested() => return,
                asked = self.asks.changed() => match asked {
                    Ok(()) => Some(Event::Asked),
                    Err(_) => return,
                },
                Ok(()) = self.network.changed() => Some(Event::Network),
                moved = self.moved.changed() => match moved {
                    Ok(()) => self.written().await,
                    Err(_) => return,
                },
                Some(heard) = self.heard.recv() => self.hear(heard).await,
                () = sleep_until(clocks.at(due)) => None,
                () = sleep_until(Instant::now() + LOOK_EVERY) => {
                    let wall_ms = self.wall_ms();
                    clocks.slept(wall_ms).then_some(Event::Network)
                }
            };
            if let Some(event) = event {
                schedule.on(clocks.now_ms(), event, self.jitter());
            }
        }
    }

    /// Runs one cycle. Returns whether to go on.
    async fn go(&mut self, schedule: &mut Schedule, clocks: &Clocks) -> bool {
        let ask = *self.asks.borrow_and_update();
        self.moved.mark_unchanged();
        schedule.on(clocks.now_ms(), Event::Began, self.jitter());
        let (mut seen, was_with) = (Seen::default(), self.standing.borrow().with);
        let (standing, env) = (&self.standing, self.cycle.env.clone());
        let progress = |seen: &Seen| {
            standing.send_modify(|standing| {
                standing.exchanging_since_ms = standing.exchanging_since_ms.or(Some(env.now().get()));
                standing.met(seen);
                standing.last.take_if(|last| matches!(last, Last::OtherHub { .. } | Last::Refused(_)));
                (standing.theirs, standing.sent) = (seen.theirs.clone(), seen.sent);
            });
        };
        let (network, taking_in) = (&mut self.network, self.cycle.taking_in.clone());
        let may_end = self.interrupted.is_none_or(|at| at.elapsed() >= UNINTERRUPTED);
        let changed = async {
            if network.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            // What came in that moment is noted with the rest.
            drop(taking_in.lock().await);
        };
        let outcome = tokio::select! {
            biased;
            () = self.shutdown.requested() => return false,
            outcome = self.cycle.run(&mut seen, &progress) => Some(outcome),
            // What goes to and fro over connections of the network that was comes to no end. But where addresses change
            // all the time, cycles have to end, too.
            () = changed, if may_end => None,
        };
        let noted = self.note(&seen).await;
        let with = seen.proven.map(|proven| proven.hub).or(was_with);
        self.in_step_at.take_if(|_| with != was_with);
        let Some(outcome) = outcome else {
            self.interrupted = Some(Instant::now());
            self.cycle.apart = true;
            if let Err(failure) = noted {
                tracing::warn!(%failure, "what came cannot be noted");
            }
            schedule.on(clocks.now_ms(), Event::Ended(Ending::NotYet), self.jitter());
            schedule.on(clocks.now_ms(), Event::Network, self.jitter());
            return true;
        };
        let outcome = outcome.and_then(|outcome| noted.map(|()| outcome));
        self.in_step_at = seen.in_step_at.or(self.in_step_at);
        let further = seen.pushed > 0 || !seen.pulled.is_empty();
        let (ending, last) = (ending(&outcome, further), last(outcome));
        schedule.on(clocks.now_ms(), Event::Ended(ending), self.jitter());
        self.listening.send_replace(seen.proven.filter(|_| matches!(ending, Ending::InStep | Ending::NotYet)));
        self.plan_told(schedule.due_ms(), clocks.now_ms());
        self.ended(last, seen, ask);
        // What was written while the cycle ran, and did not come from the hub.
        self.moved.mark_changed();
        true
    }

    /// Lets everybody see how the cycle ended.
    fn ended(&self, last: Last, seen: Seen, ask: u64) {
        let now_ms = self.wall_ms();
        self.standing.send_modify(|standing| {
            let same = standing.last.as_ref().is_some_and(|before| before.is_like(&last));
            if !same || (standing.unsent_since_ms.is_some() && matches!(last, Last::InStep(_))) {
                standing.since_ms = now_ms;
            }
            standing.met(&seen);
            if matches!(last, Last::InStep(_)) {
                standing.last_sync_ms = Some(now_ms);
                standing.unsent_since_ms = None;
            }
            standing.exchanging_since_ms = None;
            standing.clock_offset_ms = seen.clock_offset_ms.or(standing.clock_offset_ms);
            if seen.theirs.is_some() {
                (standing.theirs, standing.sent) = (seen.theirs, seen.sent);
            }
            standing.last = Some(last);
            standing.asks_answered = ask;
        });
    }

    /// Writes down what a person should hear of, also from a cycle that failed half-way.
    async fn note(&self, seen: &Seen) -> Result<(), Failure> {
        if seen.new_origin.is_some() {
            device::ensure(&self.cycle.writer, &self.cycle.device_name).await?;
        }
        notices::note(&self.cycle, seen).await
    }

    /// Something was written here, or came in: an event if the hub lacks anything.
    async fn written(&mut self) -> Option<Event> {
        let theirs = self.standing.borrow().theirs.clone();
        let pending = match theirs {
            None => true,
            Some(theirs) => match self.cycle.read(move |view| status::pending(view, &theirs)).await {
                Ok(pending) => pending > 0,
                Err(failure) => {
                    tracing::warn!(%failure, "cannot tell whether there is something to send");
                    true
                }
            },
        };
        let now_ms = self.wall_ms();
        self.standing.send_if_modified(|standing| {
            let fresh = pending && standing.unsent_since_ms.is_none();
            if fresh {
                standing.unsent_since_ms = Some(now_ms);
            }
            fresh
        });
        pending.then_some(Event::Write)
    }

    async fn hear(&mut self, heard: Heard) -> Option<Event> {
        let head = match heard {
            Heard::Lost => return Some(Event::HubMoved),
            Heard::Head(head) => head,
        };
        match self.take_in(*head).await {
            Ok(Heads::Taken | Heads::Known) => None,
            Ok(Heads::Beyond) => Some(Event::HubMoved),
            Err(failure) => {
                tracing::info!(%failure, "an event could not be taken in; a cycle will tell");
                Some(Event::HubMoved)
            }
        }
    }

    /// Takes in the ops of an event if they continue exactly where this device stands in the hub's log. The rolling
    /// hash says so: nobody but that hub knows it.
    async fn take_in(&mut self, event: HeadEvent) -> Result<Heads, Failure> {
        let Some(cursor) = self.cycle.read(|view| view.cursor()).await? else { return Ok(Heads::Beyond) };
        let after = Cursor { log_id: event.log_id, position: event.position, roll: event.roll.0 };
        // The first event of a stream says where the head is: below this device's place, the hub was put back to a copy.
        // Below it, any other event is one that a cycle came before.
        let is_first = event.previous.position == event.position;
        if after == cursor || (event.log_id == cursor.log_id && event.position < cursor.position && !is_first) {
            return Ok(Heads::Known);
        }
        let continues = event.log_id == cursor.log_id
            && (event.previous.position, event.previous.roll.0) == (cursor.position, cursor.roll);
        let Some(packed) = event.page.filter(|_| continues) else { return Ok(Heads::Beyond) };
        let page = decompress(&packed.0);
        let page = page.map_err(|broken| HubError::BadAnswer(format!("an event with a broken page: {broken}")))?;
        let stretches = pages::decode(page).await?;
        let mut seen = Seen::default();
        pages::tally(&mut seen.pulled, &stretches);
        let mut theirs = self.standing.borrow().theirs.as_deref().cloned().unwrap_or_default();
        pages::note_tips(&mut theirs, &stretches);
        let in_step_at = self.in_step_at;
        let taken = self.cycle.write(move |group| {
            let taken = group.ingest(&stretches, Some(&after))?;
            note_in_step(group, in_step_at, &taken)?;
            Ok(taken)
        });
        let taken = taken.await?;
        (seen.hidden, seen.new_origin) = (taken.nodes_hidden, taken.new_origin);
        self.heard_of(theirs, event.vector_hash.0, &taken).await?;
        self.note(&seen).await?;
        Ok(Heads::Taken)
    }

    /// The hub holds what it sent; whether it now holds the same as this device, the hash of its vector says.
    async fn heard_of(&mut self, theirs: Vector, vector_hash: [u8; 32], taken: &Ingested) -> Result<(), Failure> {
        let ours = self.cycle.read(|view| view.vector()).await?;
        let same = ours.hash() == vector_hash;
        if same {
            self.in_step_at = Some(taken.head);
        }
        let now_ms = self.wall_ms();
        self.standing.send_modify(|standing| {
            (standing.theirs, standing.sent) = (Some(Arc::new(if same { ours } else { theirs })), 0);
            if same {
                standing.last_sync_ms = Some(now_ms);
            }
        });
        Ok(())
    }

    fn plan_told(&self, due_ms: u64, now_ms: u64) {
        let at_ms = self.wall_ms().saturating_add(due_ms.saturating_sub(now_ms));
        self.standing.send_if_modified(|standing| {
            let moved = standing.next_try_ms.is_none_or(|before| before.abs_diff(at_ms) > 500);
            standing.next_try_ms = Some(at_ms);
            moved
        });
    }

    fn wall_ms(&self) -> u64 {
        self.cycle.env.now().get()
    }

    fn jitter(&self) -> u64 {
        u64::from_le_bytes(random(&*self.cycle.env))
    }
}

/// Nothing was written here between being in step and what came now: then the hub holds all of it.
fn note_in_step(group: &mut Group<'_>, in_step_at: Option<u64>, taken: &Ingested) -> heph_store::Result<()> {
    if in_step_at != Some(taken.head - taken.added) {
        return Ok(());
    }
    group.set_fact(fact::PUSH_CURSOR, Some(&taken.head.to_string()))
}

fn last(outcome: Result<Outcome, Failure>) -> Last {
    match outcome {
        Ok(Outcome::InStep(digests)) => Last::InStep(digests),
        Ok(Outcome::NotYet(why)) => Last::NotYet(why),
        Ok(Outcome::OtherHub { there, op_count }) => Last::OtherHub { there, op_count },
        Err(failure) => Last::of(&failure),
    }
}

fn ending(outcome: &Result<Outcome, Failure>, further: bool) -> Ending {
    match outcome {
        Ok(Outcome::InStep(Digests::Missing) | Outcome::NotYet(_)) => Ending::NotYet,
        Ok(Outcome::InStep(_)) => Ending::InStep,
        Ok(Outcome::OtherHub { .. }) | Err(Failure::OtherProtocol(_)) => Ending::Refused,
        Err(Failure::Hub(error)) if !error.may_pass() => Ending::Refused,
        Err(Failure::Hub(error)) => Ending::Away { retry_after_ms: error.retry_after_ms(), further },
        Err(_) => Ending::Away { retry_after_ms: None, further: false },
    }
}

/// Two clocks: one that never goes back, for waiting, and the one on the wall, which goes on while the machine sleeps.
struct Clocks {
    began: Instant,
    wall_began_ms: u64,
}

impl Clocks {
    fn new(wall_ms: u64) -> Self {
        Self { began: Instant::now(), wall_began_ms: wall_ms }
    }

    /// Milliseconds since the daemon started.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn at(&self, ms: u64) -> Instant {
        self.began + Duration::from_millis(ms)
    }

    /// Returns whether the wall clock has run ahead since this was last asked: the machine slept, and whatever
    /// connection there was is likely gone.
    fn slept(&mut self, wall_ms: u64) -> bool {
        let expected_ms = self.wall_began_ms.saturating_add(self.now_ms());
        self.wall_began_ms = wall_ms.saturating_sub(self.now_ms());
        wall_ms > expected_ms.saturating_add(SLEPT_MS)
    }
}
