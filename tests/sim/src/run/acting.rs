//! People at work at a spoke, and what the oracle is told of it.

use super::{Run, name, struck};
use crate::acts::{self, Act, Done};
use crate::desk::{Attempted, Desk};
use crate::oracle::{Code, Violation};
use crate::plan::Who;
use heph_api::ApiError;
use heph_store::env::Env;
use heph_store::exchange::Coverage;
use heph_store::id::{OpRef, Origin};
use heph_store::page::{PAGE_BYTES_AIM, decode};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// How long people wait for an act, simulated: none waits for the network.
const ACT_TIMEOUT: Duration = Duration::from_secs(300);
/// How many acts are under way at once, if several are.
const AT_ONCE: usize = 5;

impl Run {
    pub(super) async fn acts(&mut self, spoke: usize, count: u32, at_once: bool) -> Result<(), Violation> {
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
    pub(super) async fn act(&mut self, spoke: usize, acts: &[Act]) -> Result<(), Violation> {
        let (Some(routes), writer) = (self.spokes[spoke].routes(), self.spokes[spoke].writer()) else { return Ok(()) };
        let disk = self.spokes[spoke].storage.disk().clone();
        let (before, origin) = disk.spared(|| (self.end_of(Who::Spoke(spoke)), self.origin_of(spoke)));
        let performed = acts.iter().map(|act| {
            let (known, vaults, seed) = (self.known.clone(), self.vaults.clone(), self.rng.u64(..));
            let mut desk = Desk::new(spoke, routes.clone(), writer.clone(), known, vaults, seed);
            async move {
                let outcome = timeout(ACT_TIMEOUT, acts::perform(*act, &mut desk)).await;
                (*act, outcome, desk.attempted)
            }
        });
        self.network.set_local(Some(spoke), Some("local write"));
        let performed: Vec<_> = futures_util::future::join_all(performed.collect::<Vec<_>>()).await;
        self.network.set_local(Some(spoke), None);
        // What several did at once is told of together: which op is whose cannot be seen.
        let who = Who::Spoke(spoke);
        let ops = disk.spared(|| self.written_since(who, before));
        for (act, outcome, attempted) in performed {
            self.performed(spoke, act, outcome.ok(), attempted, origin, &ops)?;
        }
        Ok(())
    }

    /// Where the log ends, if it can be read.
    fn end_of(&self, who: Who) -> u64 {
        let end = self.reads(who).ok().and_then(|reads| reads.read(|view| view.end()).ok());
        end.map_or(0, |(position, _)| position)
    }

    /// As which origin a spoke writes, if it can be read.
    fn origin_of(&self, spoke: usize) -> Option<Origin> {
        self.reads(Who::Spoke(spoke)).ok()?.read(|view| view.origin()).ok()
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
        origin: Option<Origin>,
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
                if disk.is_dead() || struck(&disk) > 0 {
                    self.in_doubt(attempted, origin);
                }
                Ok(())
            }
            Some(Err(error)) => {
                let sentence = format!("{} was refused: {} ({})", act.name(), error.message, error.code);
                Err(Violation::new(Code::Daemon, &name, sentence))
            }
            None if disk.is_dead() => {
                self.in_doubt(attempted, origin);
                Ok(())
            }
            None => Err(Violation::new(Code::Daemon, &name, format!("{} hangs", act.name()))),
        }
    }

    /// Whether it was done nobody was told: what it was to write over, or to undo, is not missed.
    fn in_doubt(&mut self, attempted: Attempted, origin: Option<Origin>) {
        if let Some((before, after)) = attempted.text {
            self.oracle.rewrote(&[], &before, &after);
        }
        if let Some(origin) = origin.filter(|_| attempted.undoes) {
            self.oracle.undid_in_doubt(origin);
        }
        if let Some(node) = attempted.old_reading {
            self.oracle.may_conflict(node);
        }
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
