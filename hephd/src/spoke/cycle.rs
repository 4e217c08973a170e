//! One cycle, as a straight line: hello, proof, plan, pull, push, and hello again until both hold the same or it can
//! say why not. Cut it anywhere: what was committed stays, the rest is asked for again, nothing counts twice.
//!
//! ```text
//!   hello ─▶ proven? ─▶ plan ─▶ same ──────────────────────────▶ in step
//!     ▲                  │ └──▶ ask (another hub): nothing is sent
//!     │                  ▼
//!     │              exchange: their vector ─▶ pull (page and cursor in one transaction) ─▶ push ─┐
//!     └────────────────────────────────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Nothing here knows of merging, of SQL, or of when the next cycle goes.

mod outcome;

pub use outcome::{Failure, NotYet, Outcome, Preview, Seen};

use super::exchange::{Exchange, Progress};
use super::hub_client::{Hub, Proven};
use super::notices::{self, News};
use super::pages;
use super::plan::{self, Before, Digests, Here, Pin, Plan, Step, There};
use super::size::Size;
use crate::limits::OPS_REQUEST_MAX;
use crate::sync::protocol::{HelloAnswer, HelloRequest, HubProof, OpsRequest, PROTOCOL};
use crate::sync::text::Hex;
use crate::writer::{Readers, Writer};
use heph_api::VERSION;
use heph_store::env::{Env, random};
use heph_store::error::Result as StoreResult;
use heph_store::id::{OpRef, Origin, OwnerId};
use heph_store::read::View;
use heph_store::replica::{Cursor, Group, Ingested};
use heph_store::vector::Vector;
use std::sync::Arc;
use tokio::sync::Mutex;

/// How often a cycle says hello before it leaves the rest to the next one.
const ROUNDS_MAX: usize = 4;
/// How often being in step is written down while nothing moves, in milliseconds.
const NOTED_EVERY_MS: u64 = 60_000;

/// The facts that a cycle remembers in the replica.
pub mod fact {
    /// The pinned hub's id, in hex.
    pub const HUB_ID: &str = "hub_id";
    /// The pinned hub's public key, in hex.
    pub const HUB_KEY: &str = "hub_key";
    /// Where it was when it was last reached. A daemon that is started without it can so say where its ops belong.
    pub const HUB_URL: &str = "hub_url";
    /// When a cycle last ended in step, in Unix milliseconds.
    pub const LAST_SYNC_MS: &str = "last_sync_ms";
    /// The position of this log up to which the hub held everything then.
    pub const PUSH_CURSOR: &str = "push_cursor";
    /// The hub's clock minus this one at that time, in milliseconds.
    pub const CLOCK_OFFSET_MS: &str = "clock_offset_ms";
}

/// What takes a device through its cycles with one hub.
pub struct Cycle<H> {
    /// The hub.
    pub hub: Arc<H>,
    /// Where it is, for people.
    pub hub_url: String,
    /// The replica, for writing.
    pub writer: Writer,
    /// The replica, for reading.
    pub readers: Readers,
    /// Time and randomness.
    pub env: Arc<dyn Env>,
    /// What this device is called.
    pub device_name: String,
    /// Whether the hub's address is a loopback address.
    pub loopback: bool,
    /// How large pages may be on the way to this hub.
    pub size: Size,
    /// Whether the last cycle ended with unequal vectors: then the next one does not trust the cursor.
    pub apart: bool,
    /// Behind which position the ops stand that are asked for next because they lack a value.
    pub missing_after: u64,
    /// Held while a page is taken in and noted: a cycle is not ended in the middle of that.
    pub taking_in: Arc<Mutex<()>>,
}

/// How things stood here when hello was said.
pub(super) struct Look {
    pub(super) origin: Origin,
    pub(super) here: Here,
    pub(super) cursor: Option<Cursor>,
    pub(super) vector: Arc<Vector>,
    owner: Option<OwnerId>,
    hub_url: Option<String>,
    last_sync_ms: Option<u64>,
}

/// What came of a round, from one hello to the next.
enum Round {
    /// There is no next one.
    Ended(Outcome),
    /// What was tried, and why it was not the end.
    Again(Before, NotYet),
}

impl<H: Hub> Cycle<H> {
    /// Runs a cycle. `progress` is told how far it has come, once the two turn out to differ.
    ///
    /// # Errors
    /// If the hub, the way to it, or the replica fails. `seen` then holds what was done until then.
    pub async fn run(&mut self, seen: &mut Seen, progress: &Progress<'_>) -> Result<Outcome, Failure> {
        let mut before = if std::mem::take(&mut self.apart) { Before::Doubt } else { Before::Nothing };
        let mut why = NotYet::Misfit;
        for _ in 0..ROUNDS_MAX {
            (before, why) = match self.round(before, seen, progress).await {
                Ok(Round::Ended(outcome)) => return Ok(outcome),
                Ok(Round::Again(before, why)) => (before, why),
                Err(failure) if failure.is_misfit() => (Before::Doubt, NotYet::Misfit),
                Err(failure) => {
                    self.apart = before == Before::Doubt;
                    return Err(failure);
                }
            };
        }
        self.apart = true;
        Ok(Outcome::NotYet(why))
    }

    /// Says hello, and does what follows from the answer.
    async fn round(&mut self, before: Before, seen: &mut Seen, progress: &Progress<'_>) -> Result<Round, Failure> {
        let look = self.look().await?;
        let answer = self.hello(&look, seen).await?;
        let there = There { kin: self.is_kin(&look, &answer, seen).await?, ..there(&answer) };
        let Plan::Go(pin, step) = plan::plan(&look.here, &there, before) else {
            return Ok(Round::Ended(Outcome::OtherHub { there: answer.hub.id, op_count: answer.op_count }));
        };
        self.remember_hub(pin, &look, &answer).await?;
        seen.proven = Some(Proven::by(&answer));
        match step {
            Step::Same(Digests::Missing) => Ok(match self.ask_for_missing(Proven::by(&answer)).await? {
                0 => Round::Again(before, NotYet::Misfit),
                left => Round::Ended(Outcome::NotYet(NotYet::Values(left))),
            }),
            Step::Same(digests) => self.settle(&look, &answer, digests, seen).await.map(Round::Ended),
            Step::Exchange(from) => {
                let exchange = Exchange { cycle: self, look: &look, answer: &answer, seen, progress };
                let (before, why) = exchange.run(from).await?;
                Ok(Round::Again(before, why))
            }
        }
    }

    /// Looks at the hub, whichever it is, and compares; nothing is sent but the introduction.
    ///
    /// # Errors
    /// If the hub, the way to it, or the replica fails.
    pub async fn preview(&mut self) -> Result<Preview, Failure> {
        let (look, mut seen) = (self.look().await?, Seen::default());
        let answer = self.hello(&look, &mut seen).await?;
        let exchange = Exchange { cycle: self, look: &look, answer: &answer, seen: &mut seen, progress: &|_| {} };
        let to_push = exchange.to_push().await?;
        let (pinned, here) = (look.here.pinned, look.here.head);
        Ok(Preview { hub: answer.hub, owner: answer.owner_id, pinned, here, there: answer.op_count, to_push })
    }

    /// How things stand here, in one read.
    pub(super) async fn look(&self) -> Result<Look, Failure> {
        let loopback = self.loopback;
        self.read(move |view| {
            let (summary, vector) = (view.summary()?, view.vector()?);
            let here = Here {
                pinned: view.fact(fact::HUB_ID)?.and_then(|id| id.parse().ok()),
                loopback,
                vector_hash: vector.hash(),
                rules_version: summary.rules_version,
                digest: summary.digest,
                head: summary.head,
                missing: summary.missing,
            };
            let (origin, cursor, owner) = (view.origin()?, view.cursor()?, view.owner()?);
            let hub_url = view.fact(fact::HUB_URL)?;
            let last_sync_ms = view.fact(fact::LAST_SYNC_MS)?.and_then(|ms| ms.parse().ok());
            Ok(Look { origin, here, cursor, vector: Arc::new(vector), owner, hub_url, last_sync_ms })
        })
        .await
    }

    /// Says hello, and believes nothing of the answer before the hub has proven who it is.
    pub(super) async fn hello(&self, look: &Look, seen: &mut Seen) -> Result<HelloAnswer, Failure> {
        let challenge: [u8; 32] = random(&*self.env);
        let asked_ms = self.env.now().get();
        let request = HelloRequest {
            protocol: PROTOCOL,
            origin: look.origin,
            name: self.device_name.clone(),
            challenge: Hex(challenge),
            vector_hash: Hex(look.here.vector_hash),
            cursor: look.cursor.clone(),
            clock_ms: asked_ms,
            rules_version: look.here.rules_version,
            digest: Hex(look.here.digest),
            op_count: look.here.head,
            version: VERSION.to_owned(),
        };
        let answer = self.hub.hello(&request).await?;
        let answered_ms = self.env.now().get();
        check(&answer, &answer.hub, &challenge, look.origin)?;
        seen.clock_offset_ms = Some(clock_offset_ms(answer.clock_ms, asked_ms, answered_ms));
        Ok(answer)
    }

    /// Whether a hub that is not the pinned one holds an op that is here; asked only of one on this machine.
    async fn is_kin(&mut self, look: &Look, answer: &HelloAnswer, seen: &mut Seen) -> Result<bool, Failure> {
        let replaced = look.here.pinned.is_some_and(|pinned| pinned != answer.hub.id);
        if !replaced || !self.loopback || answer.op_count == 0 {
            return Ok(false);
        }
        Exchange { cycle: self, look, answer, seen, progress: &|_| {} }.has_common_op().await
    }

    /// Remembers the hub, where it is, and whose data it says this is.
    async fn remember_hub(&self, pin: Pin, look: &Look, answer: &HelloAnswer) -> Result<(), Failure> {
        let (owner, was_empty) = (answer.owner_id, answer.op_count == 0);
        let news = match (pin, look.here.pinned) {
            (Pin::Kept, _) if look.owner == Some(owner) && look.hub_url.as_ref() == Some(&self.hub_url) => {
                return Ok(());
            }
            (Pin::Kept, _) => {
                let url = self.hub_url.clone();
                let moved = move |group: &mut Group<'_>| {
                    group.set_fact(fact::HUB_URL, Some(&url))?;
                    group.set_owner(owner)
                };
                return self.write(moved).await;
            }
            (_, Some(was)) => News::Replaced { was, was_empty },
            (_, None) => News::Joined { there: answer.op_count, here: look.here.head },
        };
        self.pin(answer.hub, owner, news).await
    }

    /// Pins a hub that was not pinned before, and keeps what a person should know of it, in one transaction.
    pub(super) async fn pin(&self, hub: HubProof, owner: OwnerId, news: News) -> Result<(), Failure> {
        let (url, now_ms) = (self.hub_url.clone(), self.env.now().get());
        let told = notices::Hub { id: hub.id, url: url.clone() };
        let told = self.read(move |view| notices::with_news(view, now_ms, &told, news)).await?;
        self.write(move |group| {
            pin_hub(group, &hub, &url)?;
            group.set_owner(owner)?;
            notices::keep(group, &told)
        })
        .await
    }

    /// Remembers that both hold the same: everything up to both ends.
    async fn settle(
        &self,
        look: &Look,
        answer: &HelloAnswer,
        digests: Digests,
        seen: &mut Seen,
    ) -> Result<Outcome, Failure> {
        let cursor = Cursor { log_id: answer.log_id, position: answer.head.position, roll: answer.head.roll.0 };
        let (head, now_ms, offset_ms) = (look.here.head, self.env.now().get(), seen.clock_offset_ms);
        let is_noted = look.last_sync_ms.is_some_and(|noted_ms| now_ms.abs_diff(noted_ms) < NOTED_EVERY_MS);
        if look.cursor.as_ref() != Some(&cursor) || !is_noted {
            self.write(move |group| {
                group.ingest(&[], Some(&cursor))?;
                group.set_fact(fact::PUSH_CURSOR, Some(&head.to_string()))?;
                group.set_fact(fact::LAST_SYNC_MS, Some(&now_ms.to_string()))?;
                group.set_fact(fact::CLOCK_OFFSET_MS, offset_ms.map(|ms| ms.to_string()).as_deref())
            })
            .await?;
        }
        (seen.theirs, seen.sent, seen.in_step_at) = (Some(look.vector.clone()), 0, Some(head));
        if digests == Digests::Differ {
            self.report_difference(Proven::by(answer)).await?;
        }
        Ok(Outcome::InStep(digests))
    }

    /// The same ops and another state: a defect, of which the log keeps what can be known here.
    async fn report_difference(&self, to: Proven) -> Result<(), Failure> {
        let theirs = self.hub.digest(to).await?;
        let ours = self.read(|view| view.buckets()).await?;
        let differing: Vec<_> =
            (0..ours.len()).filter(|n| theirs.buckets.get(*n).map(|hex| hex.0) != Some(ours[*n])).collect();
        tracing::error!(buckets = ?differing, rules_version = theirs.rules_version, "the hub makes another state of the same ops");
        Ok(())
    }

    /// Asks for ops whose values are missing here. Returns how many ops still lack some.
    /// Where the hub has none of those that were asked for, the next time those behind them are.
    async fn ask_for_missing(&mut self, to: Proven) -> Result<u64, Failure> {
        let mut asked = None;
        loop {
            let after = self.missing_after;
            let (ops, last, count) = self.read(move |view| missing(view, after)).await?;
            if let Some((before, upto)) = asked
                && count >= before
            {
                self.missing_after = upto;
                return Ok(count);
            }
            if ops.is_empty() {
                if std::mem::take(&mut self.missing_after) == 0 {
                    return Ok(count);
                }
                asked = None;
                continue;
            }
            asked = Some((count, last));
            let stretches = pages::decode(self.hub.ops(to, &OpsRequest { ops }).await?).await?;
            self.write(move |group| group.ingest(&stretches, None)).await?;
        }
    }

    /// Takes a page in.
    pub(super) async fn ingest(&self, page: pages::Decoded, cursor: Cursor) -> Result<Ingested, Failure> {
        self.write(move |group| group.ingest(&page.stretches, Some(&cursor))).await
    }

    /// One consistent read.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&View<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        Ok(self.readers.read(look).await??)
    }

    /// One durable write.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        step: impl FnOnce(&mut Group<'_>) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Failure> {
        Ok(self.writer.run(step).await??)
    }
}

/// Remembers which hub this device belongs to, and forgets what was known of another one.
///
/// # Errors
/// If the database fails.
pub fn pin_hub(group: &mut Group<'_>, hub: &HubProof, url: &str) -> StoreResult<()> {
    group.set_fact(fact::HUB_ID, Some(&hub.id.to_string()))?;
    group.set_fact(fact::HUB_KEY, Some(&hub.key.to_string()))?;
    group.set_fact(fact::HUB_URL, Some(url))?;
    for of_the_other in [fact::PUSH_CURSOR, fact::LAST_SYNC_MS, fact::CLOCK_OFFSET_MS] {
        group.set_fact(of_the_other, None)?;
    }
    group.forget_cursor()
}

/// Ops behind a position that lack a value, the position of the last of them, and how many there are in all.
fn missing(view: &View<'_>, after: u64) -> StoreResult<(Vec<OpRef>, u64, u64)> {
    let (ops, last) = view.missing_after(after, OPS_REQUEST_MAX)?;
    Ok((ops, last, view.summary()?.missing))
}

fn check(answer: &HelloAnswer, hub: &HubProof, challenge: &[u8; 32], origin: Origin) -> Result<(), Failure> {
    if !hub.holds(challenge, origin) {
        return Err(Failure::Unproven);
    }
    let common = answer.protocol.min <= PROTOCOL.max && PROTOCOL.min <= answer.protocol.max;
    if common { Ok(()) } else { Err(Failure::OtherProtocol(answer.protocol)) }
}

/// The hub's clock minus this one, which is taken to be half-way between question and answer.
fn clock_offset_ms(theirs_ms: u64, asked_ms: u64, answered_ms: u64) -> i64 {
    let middle_ms = asked_ms / 2 + answered_ms / 2;
    let signed = |ms| i64::try_from(ms).unwrap_or(i64::MAX);
    signed(theirs_ms).saturating_sub(signed(middle_ms))
}

fn there(answer: &HelloAnswer) -> There {
    There {
        id: answer.hub.id,
        op_count: answer.op_count,
        kin: false,
        vector_hash: answer.vector_hash.0,
        rules_version: answer.rules_version,
        digest: answer.digest.0,
        head: answer.head.position,
        cursor_known: answer.cursor_known,
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;
