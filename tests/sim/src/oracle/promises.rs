//! What somebody was told is written: it has to be there for good.

use crate::oracle::{Code, Model, Set, Violation};
use heph_store::id::OpRef;
use std::collections::BTreeMap;

/// An op that a replica was said to hold.
#[derive(Debug, Clone, Copy)]
struct Promise {
    op: OpRef,
    /// When it was given, on the caller's clock.
    at: u64,
}

#[derive(Debug, Default)]
struct Given {
    promises: Vec<Promise>,
    /// So many of them it may have lost: its disk was put back or thrown away.
    excused: usize,
    /// So many of them were looked for since the file was last put back or opened.
    kept: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Promises(BTreeMap<String, Given>);

impl Promises {
    pub(super) fn give(&mut self, replica: &str, ops: &[OpRef], at: u64) {
        let given = self.0.entry(replica.to_owned()).or_default();
        given.promises.extend(ops.iter().map(|op| Promise { op: *op, at }));
    }

    pub(super) fn look_again(&mut self, replica: &str) {
        if let Some(given) = self.0.get_mut(replica) {
            given.kept = 0;
        }
    }

    pub(super) fn excuse(&mut self, replica: &str) {
        if let Some(given) = self.0.get_mut(replica) {
            given.excused = given.promises.len();
        }
    }

    pub(super) fn write_off(&mut self, replica: &str) {
        self.0.remove(replica);
    }

    /// How many promises were given.
    pub fn len(&self) -> usize {
        self.0.values().map(|given| given.promises.len()).sum()
    }

    /// Whether nothing was promised yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every promise of a replica that was not looked for yet is kept by what it holds.
    pub(super) fn check(&mut self, replica: &str, model: &Model, set: &Set) -> Result<(), Violation> {
        let Some(given) = self.0.get_mut(replica) else { return Ok(()) };
        for promise in &given.promises[given.kept.max(given.excused)..] {
            if !model.number(&promise.op).is_some_and(|op| set.contains(op)) {
                let sentence = format!("op {} was acknowledged here at {} and is not here", promise.op, promise.at);
                return Err(Violation::new(Code::AcknowledgedLost, replica, sentence));
            }
        }
        given.kept = given.promises.len();
        Ok(())
    }

    /// Every promise of anybody, excused or not, is kept by one of these sets at least.
    pub(super) fn check_together(&self, model: &Model, sets: &[(&str, &Set)]) -> Result<(), Violation> {
        for (replica, given) in &self.0 {
            for promise in &given.promises {
                let number = model.number(&promise.op);
                if !number.is_some_and(|op| sets.iter().any(|(_, set)| set.contains(op))) {
                    let names: Vec<&str> = sets.iter().map(|(name, _)| *name).collect();
                    let sentence = format!(
                        "op {} was acknowledged by {replica} at {} and is nowhere any more",
                        promise.op, promise.at
                    );
                    return Err(Violation::new(Code::AcknowledgedLost, &names.join("+"), sentence));
                }
            }
        }
        Ok(())
    }
}
