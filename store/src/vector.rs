//! The version vector: per origin the tips that a replica holds. What another lacks follows from it.

use crate::codec::{Malformed, Reader, put_varint};
use crate::id::{OpId, Origin, Seq};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The end of a chain or of one of its branches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Tip {
    /// The op's number.
    pub seq: Seq,
    /// The op's hash.
    pub id: OpId,
}

/// Per origin, the tips that are held: one, or as many as the chain has branches. All before a tip is held too.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vector {
    tips: BTreeMap<Origin, BTreeSet<Tip>>,
}

impl Vector {
    /// Adds a tip.
    pub fn insert(&mut self, origin: Origin, tip: Tip) {
        self.tips.entry(origin).or_default().insert(tip);
    }

    /// How many origins are in it.
    pub fn len(&self) -> usize {
        self.tips.len()
    }

    /// Whether no op is held.
    pub fn is_empty(&self) -> bool {
        self.tips.is_empty()
    }

    /// The tips of an origin, by number.
    pub fn tips(&self, origin: Origin) -> impl Iterator<Item = Tip> + '_ {
        self.tips.get(&origin).into_iter().flatten().copied()
    }

    /// All origins with their tips, in the order of the encoding.
    pub fn iter(&self) -> impl Iterator<Item = (Origin, &BTreeSet<Tip>)> {
        self.tips.iter().map(|(origin, tips)| (*origin, tips))
    }

    /// The origins whose tips differ from those in `other`, in order.
    pub fn differing(&self, other: &Self) -> Vec<Origin> {
        let origins: BTreeSet<_> = self.tips.keys().chain(other.tips.keys()).collect();
        origins.into_iter().filter(|origin| self.tips.get(origin) != other.tips.get(origin)).copied().collect()
    }

    /// The part of at most `max` origins that come after `after` in the order of the encoding.
    pub fn part(&self, after: Option<Origin>, max: usize) -> Self {
        let later = self.tips.iter().filter(|(origin, _)| after.is_none_or(|after| **origin > after));
        Self { tips: later.take(max).map(|(origin, tips)| (*origin, tips.clone())).collect() }
    }

    /// Adds all tips of `other`.
    pub fn extend(&mut self, other: Self) {
        for (origin, tips) in other.tips {
            self.tips.entry(origin).or_default().extend(tips);
        }
    }

    /// The one encoding: origins ascending, each with its tips ascending.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.tips.len() * 56);
        put_varint(&mut out, self.tips.len() as u64);
        for (origin, tips) in &self.tips {
            out.extend_from_slice(origin.as_bytes());
            put_varint(&mut out, tips.len() as u64);
            for tip in tips {
                put_varint(&mut out, tip.seq.get());
                out.extend_from_slice(tip.id.as_bytes());
            }
        }
        out
    }

    /// Reads the one encoding back, with at most `origins_max` origins.
    pub fn decode(bytes: &[u8], origins_max: usize) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let mut tips = BTreeMap::new();
        let mut last = None;
        for _ in 0..reader.count(origins_max)? {
            let origin = Origin::from_bytes(reader.array()?);
            if last.is_some_and(|last| last >= origin) {
                return Err(Malformed("a vector whose origins do not ascend"));
            }
            last = Some(origin);
            let mut ends = BTreeSet::new();
            for _ in 0..reader.count(reader.rest().len())? {
                let seq = Seq::new(reader.varint()?).ok_or(Malformed("no such number on a chain"))?;
                let tip = Tip { seq, id: OpId::from_bytes(reader.array()?) };
                if ends.last().is_some_and(|last| *last >= tip) {
                    return Err(Malformed("a vector whose tips do not ascend"));
                }
                ends.insert(tip);
            }
            if ends.is_empty() {
                return Err(Malformed("an origin without a tip"));
            }
            tips.insert(origin, ends);
        }
        reader.end()?;
        Ok(Self { tips })
    }

    /// The SHA-256 of the encoding: equal hashes mean equal vectors.
    pub fn hash(&self) -> [u8; 32] {
        Sha256::digest(self.encode()).into()
    }
}

#[cfg(test)]
mod tests;
