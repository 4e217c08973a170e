//! What the two do when they do not hold the same: fetch the hub's vector, pull what is not here, push what is not
//! there. Each page that comes is one transaction together with the cursor after it; each that goes is answered when
//! it is durable on the hub.

use super::cycle::{Cycle, Failure, Look, NotYet, Seen};
use super::hub_client::{Hub, HubError, Pages, Proven};
use super::pages;
use super::plan::{Before, From, Left};
use crate::limits::{FORK_TIPS_MAX, VECTOR_PART_ORIGINS};
use crate::sync::protocol::{ForkRequest, HelloAnswer, PullRequest, PushAnswer, VectorRequest, code};
use crate::sync::text::Base64;
use futures_util::StreamExt;
use heph_store::error::Result as StoreResult;
use heph_store::exchange::{Coverage, PageOut};
use heph_store::id::{Origin, Seq};
use heph_store::read::View;
use heph_store::replica::Cursor;
use heph_store::vector::{Tip, Vector};
use std::pin::pin;
use std::sync::Arc;

/// The most origins that a hub's vector may have here, in parts: some 300 MB of memory.
const THEIR_ORIGINS_MAX: usize = 2_000_000;

/// One exchange, of one cycle.
pub(super) struct Exchange<'a, H> {
    pub(super) cycle: &'a mut Cycle<H>,
    pub(super) look: &'a Look,
    pub(super) answer: &'a HelloAnswer,
    pub(super) seen: &'a mut Seen,
    /// Told whenever there is something new to see.
    pub(super) progress: &'a Progress<'a>,
}

/// Who is told how far an exchange has come.
pub(super) type Progress<'a> = dyn Fn(&Seen) + Send + Sync + 'a;

/// How two vectors compare, as far as the replica here can tell.
#[derive(Debug, Default)]
struct Compared {
    /// The origins that differ, in order.
    differing: Vec<Origin>,
    /// Per origin that differs, what is held here and may be known there.
    held: Vector,
    /// How many chains the hub has more of.
    more_there: usize,
    /// How many ops the hub lacks.
    to_push: u64,
}

impl<H: Hub> Exchange<'_, H> {
    /// Runs it. Returns how it left both logs, and what they were apart in before.
    pub(super) async fn run(mut self, from: From) -> Result<(Before, NotYet), Failure> {
        let mut theirs = self.their_vector().await?;
        self.seen.theirs = Some(Arc::new(theirs.clone()));
        self.seen.sent = 0;
        (self.progress)(self.seen);
        let compared = self.compare(theirs.clone()).await?;
        let why = NotYet::Ops { to_push: compared.to_push, to_pull: compared.more_there };
        let left = self.both_ways(compared, from, &mut theirs).await?;
        Ok((Before::Exchange(left), why))
    }

    /// Whom all of it is for.
    fn to(&self) -> Proven {
        Proven::by(self.answer)
    }

    /// How many ops the hub lacks.
    pub(super) async fn to_push(&self) -> Result<u64, Failure> {
        Ok(self.compare(self.their_vector().await?).await?.to_push)
    }

    /// Whether the hub says that it holds an op that is here.
    pub(super) async fn has_common_op(&self) -> Result<bool, Failure> {
        let theirs = self.their_vector().await?;
        self.cycle
            .read(move |view| {
                for (origin, tips) in theirs.iter() {
                    for tip in tips {
                        if view.holds(origin, tip)? {
                            return Ok(true);
                        }
                    }
                }
                Ok(false)
            })
            .await
    }

    async fn both_ways(&mut self, compared: Compared, from: From, theirs: &mut Vector) -> Result<Left, Failure> {
        let mut there = self.answer.head.position;
        if compared.more_there > 0 {
            there = self.pull(compared, from, theirs).await?;
        }
        let (here, pushed_to) = self.push(theirs.clone()).await?;
        Ok(Left { here, there: pushed_to.unwrap_or(there) })
    }

    /// The hub's vector: from its answer to hello, or in parts. Parts from different moments belong together, since
    /// what a hub held it holds.
    async fn their_vector(&self) -> Result<Vector, Failure> {
        if let Some(inline) = &self.answer.vector {
            return Ok(decode_vector(inline)?);
        }
        let (mut whole, mut after) = (Vector::default(), None);
        loop {
            let part = self.cycle.hub.vector(self.to(), &VectorRequest { after }).await?;
            whole.extend(decode_vector(&part.vector)?);
            match part.next {
                None => return Ok(whole),
                Some(next) if after.is_some_and(|after| next <= after) || whole.len() > THEIR_ORIGINS_MAX => {
                    return Err(HubError::BadAnswer("a vector that does not end".to_owned()).into());
                }
                next => after = next,
            }
        }
    }

    async fn compare(&self, theirs: Vector) -> Result<Compared, Failure> {
        let ours = self.look.vector.clone();
        self.cycle.read(move |view| compare(view, &ours, &theirs)).await
    }

    /// Pulls to the end of the hub's log; returns its position.
    async fn pull(&mut self, mut compared: Compared, from: From, theirs: &mut Vector) -> Result<u64, Failure> {
        let cursor = self.look.cursor.clone().filter(|_| from == From::Cursor);
        let mut position = cursor.as_ref().map_or(0, |cursor| cursor.position);
        let mut incoming = pin!(pages::decoded(self.open_pull(&mut compared, cursor).await?));
        while let Some(page) = incoming.next().await.transpose()? {
            if page.position < position {
                return Err(HubError::BadAnswer("pages out of order".to_owned()).into());
            }
            position = page.position;
            if page.stretches.is_empty() {
                continue;
            }
            pages::note_tips(theirs, &page.stretches);
            pages::tally(&mut self.seen.pulled, &page.stretches);
            let cursor = page.cursor(self.answer.log_id);
            let _taking_in = self.cycle.taking_in.lock().await;
            let taken = self.cycle.ingest(page, cursor).await?;
            self.seen.hidden += taken.nodes_hidden;
            self.seen.new_origin = taken.new_origin.or(self.seen.new_origin);
            self.seen.theirs = Some(Arc::new(theirs.clone()));
            (self.progress)(self.seen);
        }
        Ok(position)
    }

    /// Starts a pull. Where the hub does not know a tip, the branching point is put in its place first.
    async fn open_pull(&self, compared: &mut Compared, mut cursor: Option<Cursor>) -> Result<Pages, Failure> {
        let mut searched = false;
        loop {
            let vector = Some(Base64(self.filter(compared).encode()));
            let request = PullRequest { cursor: cursor.clone(), vector, page_bytes: None };
            match self.cycle.hub.pull(self.to(), &request).await {
                Err(error) if error.is(code::CURSOR_UNKNOWN) && cursor.is_some() => cursor = None,
                Err(HubError::Refused { refusal, .. }) if refusal.code == code::UNKNOWN_TIPS && !searched => {
                    searched = true;
                    self.branch(&mut compared.held, refusal.origins.unwrap_or_default()).await?;
                }
                answer => return Ok(answer?),
            }
        }
    }

    /// What the pull leaves out: what differs first, then as much of the rest as one request carries. What does not
    /// fit comes twice, which costs time and nothing else.
    fn filter(&self, compared: &Compared) -> Vector {
        let differs = |origin: &Origin| compared.differing.binary_search(origin).is_ok();
        let equal = self.look.vector.iter().filter(|(origin, _)| !differs(origin));
        let mut filter = Vector::default();
        for (origin, tips) in compared.held.iter().chain(equal).take(VECTOR_PART_ORIGINS) {
            tips.iter().for_each(|tip| filter.insert(origin, *tip));
        }
        filter
    }

    /// Puts, for these origins, the newest ops that both sides have in place of tips that only one has.
    async fn branch(&self, held: &mut Vector, origins: Vec<Origin>) -> Result<(), Failure> {
        let mut common = Vector::default();
        for (origin, tips) in held.iter().filter(|(origin, _)| !origins.contains(origin)) {
            tips.iter().for_each(|tip| common.insert(origin, *tip));
        }
        for origin in origins {
            for tip in self.look.vector.tips(origin).collect::<Vec<_>>() {
                if let Some(point) = self.branching_point(origin, tip).await? {
                    common.insert(origin, point);
                }
            }
        }
        *held = common;
        Ok(())
    }

    /// The newest op at or before `tip` on its chain that the hub has: first at doubling distances, then narrowing.
    async fn branching_point(&self, origin: Origin, tip: Tip) -> Result<Option<Tip>, Failure> {
        let samples = self.cycle.read(move |view| view.samples(origin, &tip)).await?;
        let Some((mut common, mut above)) = self.bracket(origin, samples).await? else { return Ok(None) };
        while let Some(high) = above.and_then(|above| Seq::new(above.seq.get() - 1)).filter(|high| *high > common.seq) {
            let Some(low) = common.seq.next() else { break };
            let between = move |view: &View<'_>| view.between(origin, &tip, low, high, FORK_TIPS_MAX);
            let samples = self.cycle.read(between).await?;
            let lowest = samples.iter().min().copied();
            match self.bracket(origin, samples).await? {
                Some((nearer, unknown)) => (common, above) = (nearer, unknown.or(above)),
                None if lowest.is_some() => above = lowest,
                None => break,
            }
        }
        Ok(Some(common))
    }

    /// Of these ops of one chain, the newest that the hub has and the oldest after it that it has not.
    async fn bracket(&self, origin: Origin, mut samples: Vec<Tip>) -> Result<Option<(Tip, Option<Tip>)>, Failure> {
        samples.sort_unstable();
        samples.dedup();
        let mut known = Vec::new();
        for tips in samples.chunks(FORK_TIPS_MAX) {
            known.extend(self.cycle.hub.fork(self.to(), &ForkRequest { origin, tips: tips.to_vec() }).await?.known);
        }
        let newest = samples.iter().rev().find(|tip| known.contains(tip)).copied();
        Ok(newest.map(|newest| (newest, samples.into_iter().find(|tip| *tip > newest))))
    }

    /// Pushes what the hub lacks, page by page. Returns the ends of both logs, that of the hub if it took any page.
    async fn push(&mut self, theirs: Vector) -> Result<(u64, Option<u64>), Failure> {
        let (coverage, _) = self.cycle.read(move |view| view.coverage(&theirs)).await?;
        let coverage = Arc::new(coverage);
        let (mut after, mut there) = (0, None);
        let (mut page, mut here) = self.next_page(after, &coverage).await?;
        while let Some(PageOut { bytes, position, ops, .. }) = page {
            let (sent, next) = tokio::join!(self.cycle.hub.push(self.to(), bytes), self.next_page(position, &coverage));
            if self.is_taken(sent, &mut there)? {
                after = position;
                self.seen.sent += ops;
                (self.progress)(self.seen);
                (page, here) = next?;
            } else {
                (page, here) = self.next_page(after, &coverage).await?;
            }
        }
        Ok((here, there))
    }

    /// Whether the hub took the page. One that was too large goes again as smaller ones.
    fn is_taken(&mut self, sent: Result<PushAnswer, HubError>, there: &mut Option<u64>) -> Result<bool, Failure> {
        match sent {
            Ok(answer) => {
                self.seen.pushed += answer.added;
                self.cycle.size.took(self.cycle.env.now().get());
                *there = Some(answer.position);
                Ok(true)
            }
            Err(error) if error.is_too_large() && self.cycle.size.shrink(self.cycle.env.now().get()) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// The next page after a position, and where the log here ends.
    async fn next_page(&self, after: u64, coverage: &Arc<Coverage>) -> Result<(Option<PageOut>, u64), Failure> {
        let (coverage, bytes) = (coverage.clone(), self.cycle.size.bytes());
        self.cycle.read(move |view| Ok((view.page_after(after, &coverage, bytes)?, view.end()?.0))).await
    }
}

fn compare(view: &View<'_>, ours: &Vector, theirs: &Vector) -> StoreResult<Compared> {
    let mut compared = Compared { differing: ours.differing(theirs), ..Compared::default() };
    for origin in compared.differing.iter().copied() {
        let mut unknown_here = 0;
        for tip in theirs.tips(origin) {
            if view.holds(origin, &tip)? {
                compared.held.insert(origin, tip);
            } else {
                unknown_here += 1;
            }
        }
        if unknown_here > 0 {
            ours.tips(origin).for_each(|tip| compared.held.insert(origin, tip));
        }
        compared.more_there += unknown_here;
    }
    let (coverage, _) = view.coverage(theirs)?;
    compared.to_push = view.count_lacking(&coverage)?;
    Ok(compared)
}

fn decode_vector(encoded: &Base64) -> Result<Vector, HubError> {
    let decoded = Vector::decode(&encoded.0, VECTOR_PART_ORIGINS);
    decoded.map_err(|broken| HubError::BadAnswer(format!("a broken vector: {broken}")))
}
