//! A replica as it is read from outside: its log from position to position, with every chain, signature and rolling
//! hash checked on the way, and whether its vector says what the log holds.

use crate::oracle::violation::Stop;
use crate::oracle::{Code, Model, OpNumber, Set, Violation};
use ed25519_dalek::{Signature, VerifyingKey};
use heph_store::exchange::Coverage;
use heph_store::id::{LogId, NodeId, OpId, OpRef, Origin, Seq};
use heph_store::op::ChangeRef;
use heph_store::page::{self, Entry, PAGE_BYTES_AIM, Stretch};
use heph_store::read::View;
use heph_store::replica::Cursor;
use heph_store::vector::{Tip, Vector};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// More values than any run can lack.
const MISSING_MAX: usize = 1_000_000;

/// What was new in a replica's log.
#[derive(Debug, Clone, Default)]
pub struct Fresh {
    /// The ops, in log order.
    pub ops: Vec<OpRef>,
    /// The nodes that they are on, or whose state they can have changed.
    pub touched: BTreeSet<NodeId>,
}

/// How far a replica's log was read, and what it holds.
#[derive(Debug, Default)]
pub struct Observed {
    name: String,
    log_id: Option<LogId>,
    position: u64,
    roll: [u8; 32],
    set: Set,
    tips: BTreeMap<Origin, BTreeSet<Tip>>,
    /// Values that were not here when their op was read last.
    emptied: BTreeSet<ChangeRef>,
    /// Of these, the ones that nobody has erased.
    missing: BTreeSet<ChangeRef>,
    /// Erased values that were found to be gone.
    gone: HashSet<ChangeRef>,
}

impl Observed {
    /// A replica of which nothing was read yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The ops that it holds.
    pub fn set(&self) -> &Set {
        &self.set
    }

    /// The values that it lacks and that nobody erased.
    pub fn missing(&self) -> &BTreeSet<ChangeRef> {
        &self.missing
    }

    /// The position of the last op that was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Reads what is new, teaches it to the model, and checks it.
    pub(super) fn refresh(&mut self, view: &View<'_>, model: &mut Model) -> Result<Fresh, Stop> {
        self.check_is_the_same_log(view)?;
        let mut fresh = Fresh::default();
        let mut numbers = Vec::new();
        while let Some(found) = view.page_after(self.position, &Coverage::default(), PAGE_BYTES_AIM)? {
            let stretches = page::decode(&found.bytes)
                .map_err(|why| self.broken(Code::BadPage, format!("the page after {}: {why}", self.position)))?;
            let before = self.position;
            for stretch in &stretches {
                self.take(stretch, model, &mut numbers)?;
            }
            if self.position != found.position {
                let sentence = format!(
                    "after position {before} come {} ops, and the last of them is at {}",
                    self.position - before,
                    found.position
                );
                return Err(self.broken(Code::Gap, sentence).into());
            }
            self.check_roll(&found.roll)?;
        }
        self.check_end(view)?;
        self.check_vector(&view.vector()?)?;
        fresh.ops = numbers.iter().map(|number| model.op(*number).1).collect();
        let mut nodes: BTreeSet<NodeId> =
            numbers.iter().flat_map(|number| model.op(*number).0.touches().into_keys()).collect();
        nodes.extend(self.check_values(view, model)?);
        fresh.touched = model.affected(nodes);
        Ok(fresh)
    }

    fn broken(&self, code: Code, sentence: String) -> Violation {
        Violation::new(code, &self.name, sentence)
    }

    /// Whether the log still holds all that was read of it, and lacks the same values.
    pub(super) fn is_as_left(&self, view: &View<'_>) -> Result<bool, Stop> {
        let Some(log_id) = self.log_id else { return Ok(false) };
        let here = Cursor { log_id, position: self.position, roll: self.roll };
        let lacking: BTreeSet<OpRef> = self.missing.iter().map(|change| change.op).collect();
        Ok(view.position_is(&here)? && view.missing(MISSING_MAX)?.into_iter().collect::<BTreeSet<_>>() == lacking)
    }

    /// The log is append-only: what was read once is there for ever.
    fn check_is_the_same_log(&mut self, view: &View<'_>) -> Result<(), Stop> {
        let log_id = view.log_id()?;
        let known = *self.log_id.get_or_insert(log_id);
        let here = Cursor { log_id, position: self.position, roll: self.roll };
        if known != log_id || !view.position_is(&here)? {
            let sentence = format!(
                "its log {known} was read up to position {}; now it is log {log_id} and another up to there",
                self.position
            );
            return Err(self.broken(Code::LogRewritten, sentence).into());
        }
        Ok(())
    }

    fn take(&mut self, stretch: &Stretch, model: &mut Model, numbers: &mut Vec<OpNumber>) -> Result<(), Violation> {
        for entry in &stretch.entries {
            self.check_place(entry, model)?;
            let number = model.learn(&entry.op, &entry.id);
            let reference = entry.op.reference(&entry.id);
            self.position += 1;
            if !self.set.insert(number) {
                return Err(self.broken(Code::Gap, format!("op {reference} stands in the log twice")));
            }
            let mut hash = Sha256::new();
            hash.update(self.roll);
            hash.update(entry.id.as_bytes());
            self.roll = hash.finalize().into();
            let tips = self.tips.entry(entry.op.origin).or_default();
            tips.retain(|tip| tip.id != entry.op.prev);
            tips.insert(Tip { seq: entry.op.seq, id: entry.id });
            let empty = (0u32..).zip(&entry.op.changes).filter(|(_, change)| change.value.here().is_none());
            self.emptied.extend(empty.map(|(index, _)| ChangeRef { op: reference, index }));
            numbers.push(number);
        }
        self.check_signature(stretch, model)
    }

    /// The op before an op on its chain is in the log before it, with the number before.
    fn check_place(&self, Entry { op, id }: &Entry, model: &Model) -> Result<(), Violation> {
        let reference = op.reference(id);
        if op.seq == Seq::FIRST {
            let hash: Option<[u8; 32]> = op.key.map(|key| Sha256::digest(key).into());
            return match hash {
                Some(hash) if hash[..16] == op.origin.as_bytes()[..] && op.prev == OpId::NONE => Ok(()),
                _ => Err(self.broken(Code::WrongKey, format!("op {reference} begins a chain with another's key"))),
            };
        }
        let before = model.by_id(&op.prev).filter(|before| self.set.contains(*before)).map(|before| model.op(before).1);
        match before {
            Some(before) if before.origin == op.origin && before.seq.next() == Some(op.seq) => Ok(()),
            Some(before) => Err(self.broken(Code::Gap, format!("op {reference} names {before} as the one before"))),
            None => {
                let sentence = format!(
                    "op {reference} at position {} comes without the op before it, {}",
                    self.position + 1,
                    op.prev
                );
                Err(self.broken(Code::Gap, sentence))
            }
        }
    }

    fn check_signature(&self, stretch: &Stretch, model: &mut Model) -> Result<(), Violation> {
        let Some(last) = stretch.entries.last() else { return Ok(()) };
        if model.signatures.contains(&(last.id, stretch.signature)) {
            return Ok(());
        }
        let message = [b"heph stretch 1", last.id.as_bytes().as_slice()].concat();
        let key = model.keys.get(&last.op.origin).and_then(|key| VerifyingKey::from_bytes(key).ok());
        let signature = Signature::from_bytes(&stretch.signature);
        if key.is_none_or(|key| key.verify_strict(&message, &signature).is_err()) {
            let reference = last.op.reference(&last.id);
            return Err(self.broken(Code::BadSignature, format!("the signature over {reference} is not its origin's")));
        }
        model.signatures.insert((last.id, stretch.signature));
        Ok(())
    }

    fn check_roll(&self, found: &[u8; 32]) -> Result<(), Violation> {
        if *found == self.roll {
            return Ok(());
        }
        let sentence = format!(
            "at position {} the rolling hash is {}, and the ops up to there make {}",
            self.position,
            hex::encode(found),
            hex::encode(self.roll)
        );
        Err(self.broken(Code::BadRoll, sentence))
    }

    fn check_end(&self, view: &View<'_>) -> Result<(), Stop> {
        let (summary, (end, roll)) = (view.summary()?, view.end()?);
        if summary.head != self.position || end != self.position {
            let sentence = format!(
                "the log is said to end at {} and its last stretch at {end}, and {} ops can be read from it",
                summary.head, self.position
            );
            return Err(self.broken(Code::Gap, sentence).into());
        }
        Ok(self.check_roll(&roll)?)
    }

    /// The vector says exactly the tips of what is in the log.
    fn check_vector(&self, said: &Vector) -> Result<(), Violation> {
        let origins: BTreeSet<Origin> =
            said.iter().map(|(origin, _)| origin).chain(self.tips.keys().copied()).collect();
        for origin in origins {
            let (said, held): (BTreeSet<Tip>, _) = (said.tips(origin).collect(), self.tips.get(&origin));
            if Some(&said) != held {
                let sentence = format!(
                    "of origin {origin} the vector says {}, and the log holds {}",
                    tips(Some(&said)),
                    tips(held)
                );
                return Err(self.broken(Code::VectorLies, sentence));
            }
        }
        Ok(())
    }

    /// What was erased is gone, and what is not here was erased or is asked for. Returns the nodes that this touches.
    fn check_values(&mut self, view: &View<'_>, model: &mut Model) -> Result<BTreeSet<NodeId>, Stop> {
        let erased = model.erased(&self.set);
        let mut looked_at: BTreeSet<OpRef> = self.missing.iter().map(|change| change.op).collect();
        looked_at.extend(erased.iter().filter(|change| !self.gone.contains(change)).map(|change| change.op));
        looked_at.extend(self.emptied.iter().filter(|change| !erased.contains(change)).map(|change| change.op));
        let mut nodes = BTreeSet::new();
        for reference in looked_at {
            // An erase may come before what it empties.
            if !model.number(&reference).is_some_and(|number| self.set.contains(number)) {
                continue;
            }
            let found = view.op(&reference)?;
            let Some((_, op, id)) = found else {
                return Err(self.broken(Code::Gap, format!("op {reference} cannot be found")).into());
            };
            model.learn(&op, &id);
            nodes.extend(op.touches().into_keys());
            for (index, raw) in (0u32..).zip(&op.changes) {
                let change = ChangeRef { op: reference, index };
                let (here, is_erased) = (raw.value.here().is_some(), erased.contains(&change));
                // Kinds that carry no value keep their empty one.
                if here && is_erased && !raw.value.is_empty() {
                    let sentence = format!("value {index} of op {reference} was erased and is still in the log");
                    return Err(self.broken(Code::ErasedValue, sentence).into());
                }
                if here {
                    self.emptied.remove(&change)
                } else {
                    self.emptied.insert(change)
                };
                if is_erased {
                    self.gone.insert(change);
                }
            }
        }
        self.missing = self.emptied.iter().filter(|change| !erased.contains(change)).copied().collect();
        let said: BTreeSet<OpRef> = view.missing(MISSING_MAX)?.into_iter().collect();
        let lacking: BTreeSet<OpRef> = self.missing.iter().map(|change| change.op).collect();
        if said != lacking {
            let sentence = format!("values are missing from the ops {lacking:?}, and it asks for {said:?}");
            return Err(self.broken(Code::ErasedValue, sentence).into());
        }
        Ok(nodes)
    }
}

fn tips(tips: Option<&BTreeSet<Tip>>) -> String {
    let tips: Vec<String> = tips.into_iter().flatten().map(|tip| format!("{}:{}", tip.seq.get(), tip.id)).collect();
    if tips.is_empty() { "nothing".into() } else { tips.join(" and ") }
}
