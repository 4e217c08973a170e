//! The deep check of a device: its own replica, and then the hub's state beside it. Asked for, or once a day.

use super::Spoke;
use super::compare::Compared;
use super::cycle::Failure;
use super::refusal::Refusal;
use super::status::{Last as LastCycle, instant};
use crate::deep_check::{CheckError, Checked, Last, Pace};
use crate::work::Unfinished;
use heph_api::code;
use heph_api::types::{DeepProblem, DeepReport, HubComparison, HubResult, LastCheck, VerifyProgress};
use heph_store::verify::{Difference, Part, Problem};
use std::sync::Arc;

/// How often ops are exchanged before a comparison is given up.
const EXCHANGES: usize = 3;
/// What makes it anew.
const REPAIR: &str = "heph verify --deep --repair";

impl Spoke {
    /// `replica/verify-deep`: checks all there is, and compares with the hub.
    ///
    /// # Errors
    /// If the check cannot be done.
    pub async fn verify_deep(&self, repair: bool) -> Result<DeepReport, Refusal> {
        let outcome = self.deep_check.run(Pace::Asked, repair).await;
        let hub = self.compared(&outcome).await;
        self.deep_check.keep(&outcome, wrong_there(&hub)).await;
        Ok(report(outcome.map_err(refused)?, hub, &self.deep_check.files()))
    }

    /// `replica/verify-progress`.
    pub fn verify_progress(&self) -> VerifyProgress {
        match self.deep_check.progress() {
            Some(progress) => {
                VerifyProgress { part: Some(progress.part.word().to_owned()), done: progress.done, of: progress.of }
            }
            None => VerifyProgress { part: None, done: 0, of: 0 },
        }
    }

    /// How the hub's state compares. What the two do not both hold is exchanged first.
    async fn compared(&self, outcome: &Result<Checked, CheckError>) -> HubComparison {
        let mut exchanges = 0;
        loop {
            let Some(compared) = self.sync.compare().await else {
                return self.without_url().await;
            };
            let apart = matches!(compared, Ok(Compared::NotInStep | Compared::Missing(_) | Compared::OtherHub));
            if !apart || exchanges == EXCHANGES {
                return self.told(compared, outcome.as_ref().is_ok_and(|checked| checked.found.is_sound())).await;
            }
            exchanges += 1;
            if let Err(error) = self.sync.now(true).await {
                return comparison(HubResult::Away, &error.message, error.hint);
            }
        }
    }

    /// A device that was started without its hub's address may belong to one all the same.
    async fn without_url(&self) -> HubComparison {
        match self.sync.status().await {
            Ok(status) if status.hub_id.is_some() => comparison(HubResult::Away, &status.words, status.next),
            _ => comparison(HubResult::None, "no hub is set, so there is nothing to compare with", None),
        }
    }

    async fn told(&self, compared: Result<Compared, Failure>, sound: bool) -> HubComparison {
        let url = self.config.hub_url.as_ref().map(ToString::to_string).unwrap_or_default();
        match compared {
            Ok(Compared::Equal) => {
                let words = format!(
                    "the hub at {url} holds the same ops and makes the same state of them: all 256 buckets are equal"
                );
                comparison(HubResult::Equal, &words, None)
            }
            Ok(Compared::Differs(difference)) => differs(&url, sound, &difference),
            Ok(Compared::OtherRules(theirs)) => {
                let ours = heph_store::merge::RULES_VERSION;
                let words = format!(
                    "the hub at {url} merges by version {theirs} of the rules and this device by {ours}, so their \
                     states cannot be compared"
                );
                let older = if theirs < ours { "upgrade heph on the hub" } else { "upgrade heph on this device" };
                comparison(HubResult::OtherRules, &words, Some(older.to_owned()))
            }
            Ok(Compared::NotInStep | Compared::Missing(_) | Compared::OtherHub) => match self.sync.status().await {
                Ok(status) => comparison(HubResult::NotInStep, &status.words, status.next),
                Err(error) => comparison(HubResult::NotInStep, &error.message, error.hint),
            },
            Err(failure) => {
                let (why, hint) = match LastCycle::of(&failure) {
                    LastCycle::Failed(error) | LastCycle::Refused(error) => (error.message, error.hint),
                    _ => (failure.to_string(), None),
                };
                let here = if sound { "; what is here is sound by itself" } else { "" };
                let words = format!("the hub at {url} could not be asked ({why}){here}");
                comparison(HubResult::Away, &words, hint)
            }
        }
    }
}

fn comparison(result: HubResult, words: &str, next: Option<String>) -> HubComparison {
    HubComparison { result, words: words.to_owned(), next, buckets: Vec::new(), nodes: Vec::new() }
}

/// The same ops, another state: whose it is that is wrong follows from this device's own check.
fn differs(url: &str, sound: bool, difference: &Difference) -> HubComparison {
    let Difference { buckets, nodes, of, only_here } = difference;
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    let only_here: Vec<String> = only_here.iter().map(ToString::to_string).collect();
    let lacking = match only_here.as_slice() {
        [] => String::new(),
        lacking => format!("; its state has nothing of {}", lacking.join(", ")),
    };
    let (whose, next) = match sound {
        true => (
            "; here the state is what the ops say, so it is the hub's that is not",
            "nothing is lost: the hub checks itself now and makes its state anew from its ops; look again in some \
             minutes: heph verify --deep (if that does not help, the hub's log says why)",
        ),
        false => ("", REPAIR),
    };
    let words = format!(
        "the hub at {url} holds the same ops and makes another state of them, in {} of 256 buckets, in which {of} nodes \
         are{lacking}{whose}",
        buckets.len()
    );
    HubComparison { result: HubResult::Differs, words, next: Some(next.to_owned()), buckets: buckets.clone(), nodes }
}

/// What is wrong with the hub, if anything is.
fn wrong_there(hub: &HubComparison) -> Option<String> {
    (hub.result == HubResult::Differs).then(|| hub.words.clone())
}

fn refused(error: CheckError) -> Refusal {
    match error {
        CheckError::Store(error) => error.into(),
        CheckError::Write(error) => error.into(),
        error @ CheckError::NoRoom { .. } => Refusal::new(code::INTERNAL, error.to_string()),
        CheckError::Unfinished(error @ Unfinished::Stopping) => Refusal::new(code::STOPPING, error.to_string()),
        CheckError::Unfinished(error @ Unfinished::Panicked) => Refusal::new(code::INTERNAL, error.to_string()),
    }
}

fn report(checked: Checked, hub: HubComparison, files: &str) -> DeepReport {
    let Checked { found, repaired, at_ms, took_ms } = checked;
    let sound = found.is_sound();
    let next = |problem: &Problem| match problem.part {
        _ if found.can_be_rebuilt() => REPAIR.to_owned(),
        Part::File if !found.damaged.contains(&Part::Log) => {
            "heph backup FILE: it writes a copy that is sound, or says that it cannot; then look after the disk"
                .to_owned()
        }
        _ => {
            let put_back = format!("stop hephd, move {files} away and keep it, put a backup in its place");
            match hub.result {
                HubResult::None => format!("{put_back}, and start it again (heph export DIR writes what can be read)"),
                _ => format!("{put_back} if there is one, and start it again: the hub gives back all that it has"),
            }
        }
    };
    let told = |problem: &Problem| DeepProblem {
        part: problem.part.word().to_owned(),
        words: problem.words.clone(),
        next: next(problem),
    };
    DeepReport {
        ok: sound && matches!(hub.result, HubResult::None | HubResult::Equal),
        sound,
        checked_at: instant(at_ms),
        took_ms,
        ops: found.ops,
        signatures: found.signatures,
        nodes: found.nodes,
        texts: found.texts,
        words: found.words,
        held: found.held,
        missing: found.missing,
        state_digest: hex::encode(found.digest),
        rebuilt_digest: hex::encode(found.rebuilt),
        problems: found.problems.iter().map(told).collect(),
        more_problems: found.more_problems,
        damaged: found.damaged.iter().map(|part| part.word().to_owned()).collect(),
        unchecked: found.unchecked.iter().map(|part| part.word().to_owned()).collect(),
        repaired,
        hub,
    }
}

/// The last check, as a status tells it.
pub fn last_check(last: &Last) -> LastCheck {
    let first = last.first.first().map(|words| format!(": {words}")).unwrap_or_default();
    let (words, next) = if let Some(why) = &last.failed {
        (format!("it could not be done: {why}"), Some("heph verify --deep"))
    } else if last.problems > 0 {
        let noun = if last.problems == 1 { "problem" } else { "problems" };
        let next = if last.repairable { REPAIR } else { "heph verify --deep" };
        (format!("{} {noun}{first}", last.problems), Some(next))
    } else if let Some(hub) = &last.hub {
        (hub.clone(), Some("heph verify --deep"))
    } else if last.repaired > 0 {
        (format!("sound; what was not as the log says was made anew from it{first}"), None)
    } else {
        let took =
            if last.took_ms < 1_000 { format!("{} ms", last.took_ms) } else { format!("{} s", last.took_ms / 1_000) };
        (format!("sound ({} ops in {took})", last.ops), None)
    };
    LastCheck { at: instant(last.at_ms), ok: last.is_ok(), words, next: next.map(str::to_owned) }
}

/// Checks once a day, for as long as it is polled.
pub async fn daily(spoke: Arc<Spoke>) {
    loop {
        tokio::select! {
            biased;
            () = spoke.deep_check.until_due() => {}
            () = spoke.sync.differs() => {
                spoke.deep_check.doubt();
                spoke.deep_check.until_due().await;
            }
        }
        let outcome = spoke.deep_check.run(Pace::Background, true).await;
        let hub = spoke.compared(&outcome).await;
        match &outcome {
            Ok(checked) if checked.found.is_sound() => {
                let (ops, took_ms, repaired) = (checked.found.ops, checked.took_ms, checked.repaired.len());
                tracing::info!(ops, took_ms, repaired, hub = hub.words, "deep check: the replica is sound");
            }
            Ok(checked) => {
                let problems: Vec<String> = checked.found.problems.iter().map(ToString::to_string).collect();
                tracing::error!(?problems, more = checked.found.more_problems, "deep check: the replica is damaged");
            }
            Err(error) => tracing::error!(%error, "deep check: it could not be done"),
        }
        spoke.deep_check.keep(&outcome, wrong_there(&hub)).await;
    }
}
