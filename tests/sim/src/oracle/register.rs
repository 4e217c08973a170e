//! A register: what of all that was written to it stands.

use crate::oracle::OpNumber;
use crate::oracle::sight::{Head, Rank};
use heph_store::field::Value;
use heph_store::id::OpRef;
use std::collections::{HashMap, HashSet};

/// One write of a register; without a value if that is erased or its op is held.
pub(super) struct Write {
    pub number: OpNumber,
    pub own: Rank,
    pub bases: Vec<OpRef>,
    pub seen: Vec<OpRef>,
    pub value: Option<Value>,
}

/// The writes that nothing has replaced, the shown one first.
pub(super) fn heads(writes: Vec<Write>) -> Vec<Head> {
    let at: HashMap<OpRef, usize> = writes.iter().enumerate().map(|(at, write)| (write.own.1, at)).collect();
    let replaced = replaced(&writes, &at);
    let above = above(&writes, &at);
    let mut heads = Vec::new();
    for (write, above) in writes.into_iter().zip(above) {
        if let Some(value) = write.value
            && !replaced.contains(&write.own.1)
        {
            heads.push(Head { number: write.number, own: write.own, above, seen: write.seen, value });
        }
    }
    heads.sort_by_key(|head| std::cmp::Reverse((head.above, head.own)));
    heads
}

/// What a write with a value names, and what a write without one names that is itself so named.
fn replaced(writes: &[Write], at: &HashMap<OpRef, usize>) -> HashSet<OpRef> {
    let mut replaced = HashSet::new();
    let valued = writes.iter().filter(|write| write.value.is_some());
    let mut next: Vec<OpRef> = valued.flat_map(|write| &write.bases).copied().collect();
    while let Some(op) = next.pop() {
        if replaced.insert(op)
            && let Some(named) = at.get(&op).map(|at| &writes[*at]).filter(|named| named.value.is_none())
        {
            next.extend(&named.bases);
        }
    }
    replaced
}

/// For each write, the largest rank among it and all that is behind it.
fn above(writes: &[Write], at: &HashMap<OpRef, usize>) -> Vec<Rank> {
    let mut largest: Vec<Option<Rank>> = vec![None; writes.len()];
    for start in 0..writes.len() {
        let mut path = vec![start];
        while let Some(this) = path.last().copied() {
            let behind =
                || writes[this].bases.iter().filter_map(|base| at.get(base).copied()).filter(|base| *base != this);
            match behind().find(|base| largest[*base].is_none()) {
                Some(unknown) if largest[this].is_none() => path.push(unknown),
                _ => {
                    largest[this] = Some(behind().filter_map(|base| largest[base]).fold(writes[this].own, Rank::max));
                    path.pop();
                }
            }
        }
    }
    largest.into_iter().flatten().collect()
}
