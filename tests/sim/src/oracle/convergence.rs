//! Replicas that hold the same show the same.

use crate::oracle::violation::look;
use crate::oracle::{Code, Model, Observed, Violation};
use heph_store::Filter;
use heph_store::id::NodeId;
use heph_store::read::{Reads, View};
use std::collections::BTreeMap;

/// More than any list holds.
const ALL: usize = 100_000_000;

/// All that two replicas in step must agree in.
#[derive(PartialEq, Eq)]
struct Said {
    rules_version: u32,
    vector_hash: [u8; 32],
    digest: [u8; 32],
    held: u64,
    conflicts: Vec<NodeId>,
    /// Per kind the nodes that are shown; their order may differ, since it goes by arrival where days are equal.
    lists: BTreeMap<String, Vec<NodeId>>,
}

fn said(view: &View<'_>) -> heph_store::Result<Said> {
    let summary = view.summary()?;
    let sorted = |nodes: Vec<heph_store::read::Node>| {
        let mut ids: Vec<NodeId> = nodes.into_iter().map(|node| node.id).collect();
        ids.sort_unstable();
        ids
    };
    let mut lists = BTreeMap::new();
    for (kind, _) in view.kinds()? {
        let list = view.list(&Filter { kind: kind.clone(), limit: ALL, ..Filter::default() })?;
        lists.insert(kind, sorted(list));
    }
    Ok(Said {
        rules_version: summary.rules_version,
        vector_hash: view.vector()?.hash(),
        digest: summary.digest,
        held: summary.held,
        conflicts: sorted(view.conflicted(ALL)?),
        lists,
    })
}

/// Replicas whose logs were read to their ends hold the same, and show the same.
pub(super) fn check(model: &Model, replicas: &[(&Observed, &Reads)]) -> Result<(), Violation> {
    let Some((first, reads)) = replicas.first() else { return Ok(()) };
    let all = look(first.name(), reads, |view| Ok(said(view)?))?;
    for (other, reads) in &replicas[1..] {
        let names = format!("{}+{}", first.name(), other.name());
        for (has, lacks) in [(first, other), (other, first)] {
            if let Some(op) = has.set().first_beyond(lacks.set()) {
                let (op, lacking) = (model.op(op).1, count_beyond(has, lacks));
                let sentence = format!(
                    "{} holds op {op}, and {} does not; there are {lacking} of that kind",
                    has.name(),
                    lacks.name()
                );
                return Err(Violation::new(Code::NotInStep, &names, sentence));
            }
        }
        if first.missing() != other.missing() {
            let sentence = format!("one lacks the values {:?}, the other {:?}", first.missing(), other.missing());
            return Err(Violation::new(Code::NotInStep, &names, sentence));
        }
        let its = look(other.name(), reads, |view| Ok(said(view)?))?;
        if let Some(what) = difference(&all, &its) {
            let sentence = format!("both hold the same {} ops, and {what}", first.set().len());
            return Err(Violation::new(Code::Diverged, &names, sentence));
        }
    }
    Ok(())
}

fn count_beyond(has: &Observed, lacks: &Observed) -> usize {
    has.set().iter().filter(|op| !lacks.set().contains(*op)).count()
}

fn difference(all: &Said, its: &Said) -> Option<String> {
    let hashes = |what: &str, a: &[u8; 32], b: &[u8; 32]| {
        (a != b).then(|| format!("the {what} of one is {}, of the other {}", hex::encode(a), hex::encode(b)))
    };
    if all == its || all.rules_version != its.rules_version && all.vector_hash == its.vector_hash {
        return None;
    }
    hashes("vector's hash", &all.vector_hash, &its.vector_hash)
        .or_else(|| hashes("digest", &all.digest, &its.digest))
        .or_else(|| (all.held != its.held).then(|| format!("one holds {} ops back, the other {}", all.held, its.held)))
        .or_else(|| (all.conflicts != its.conflicts).then(|| "they list other conflicts".to_owned()))
        .or_else(|| Some("they list other nodes".to_owned()))
}
