//! A page: whole stretches in log order, as they travel between replicas. Reading one is bounded, checks its form and
//! computes every op's hash; whether its chains fit what is here is asked by [`crate::replica`].

use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::id::{OpId, Origin, Seq};
use crate::op::{OP_BYTES_MAX, Op, Place};

/// The format of pages written by this version.
pub const FORMAT: u8 = 1;
/// The most bytes of a page before compression. It holds the largest stretch, even with all its salts opened, and fits
/// the smallest common proxy limit (1 MB).
pub const PAGE_BYTES_MAX: usize = 960 * 1024;
/// How many bytes a page aims at, before compression.
pub const PAGE_BYTES_AIM: usize = 512 * 1024;
/// The most ops in a page.
pub const PAGE_OPS_MAX: usize = 16_384;

/// An op with what was computed from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The op.
    pub op: Op,
    /// Its hash.
    pub id: OpId,
}

/// The ops of one commit of one origin, contiguous in every log, signed as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stretch {
    /// The ops, each naming the one before. Never empty.
    pub entries: Vec<Entry>,
    /// The origin's signature over the last.
    pub signature: [u8; 64],
}

impl Stretch {
    /// What it counts against [`OP_BYTES_MAX`], in bytes.
    pub fn weight(&self) -> usize {
        self.entries.iter().map(|entry| entry.op.stretch_weight()).sum()
    }

    /// Whether it goes on where `last` ends.
    pub fn continues(&self, last: &Entry) -> bool {
        self.entries.first().is_some_and(|first| first.op.origin == last.op.origin && first.op.prev == last.id)
    }

    /// Whose it is.
    pub fn origin(&self) -> Option<Origin> {
        self.entries.first().map(|entry| entry.op.origin)
    }
}

/// What the writer of a page knows of each stretch.
#[derive(Debug, Clone)]
pub struct PackedStretch {
    /// Where its first op stands.
    pub place: Place,
    /// The hash of its last op.
    pub last: OpId,
    /// The packed ops.
    pub ops: Vec<Vec<u8>>,
    /// The origin's signature over the last.
    pub signature: [u8; 64],
}

impl PackedStretch {
    /// About how many bytes it takes in a page.
    pub fn bytes(&self) -> usize {
        160 + self.ops.iter().map(|op| op.len() + 4).sum::<usize>()
    }
}

/// Encodes stretches, in the order in which they stand in the log.
pub fn encode(stretches: &[PackedStretch]) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + stretches.iter().map(PackedStretch::bytes).sum::<usize>());
    out.push(FORMAT);
    put_varint(&mut out, stretches.len() as u64);
    let mut known: Vec<(Origin, OpId)> = Vec::new();
    for stretch in stretches {
        let place = &stretch.place;
        let index = known.iter().position(|(origin, _)| *origin == place.origin);
        put_varint(&mut out, index.unwrap_or(known.len()) as u64);
        if index.is_none() {
            out.extend_from_slice(place.origin.as_bytes());
        }
        put_varint(&mut out, place.seq.get());
        match &place.key {
            Some(key) => out.extend_from_slice(key),
            None if index.is_some_and(|index| known[index].1 == place.prev) => out.push(0),
            None => {
                out.push(1);
                out.extend_from_slice(place.prev.as_bytes());
            }
        }
        put_varint(&mut out, stretch.ops.len() as u64);
        stretch.ops.iter().for_each(|op| put_bytes(&mut out, op));
        out.extend_from_slice(&stretch.signature);
        match index {
            Some(index) => known[index].1 = stretch.last,
            None => known.push((place.origin, stretch.last)),
        }
    }
    out
}

/// Reads a page and computes the hashes of its ops.
pub fn decode(bytes: &[u8]) -> Result<Vec<Stretch>, Malformed> {
    if bytes.len() > PAGE_BYTES_MAX {
        return Err(Malformed("a page beyond its size limit"));
    }
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Malformed("a page of a format that this version does not know"));
    }
    let count = reader.count(PAGE_OPS_MAX)?;
    let mut stretches = Vec::new();
    let mut known: Vec<(Origin, OpId)> = Vec::new();
    let mut ops_left = PAGE_OPS_MAX;
    for _ in 0..count {
        let stretch = take_stretch(&mut reader, &mut known, ops_left)?;
        ops_left -= stretch.entries.len();
        stretches.push(stretch);
    }
    reader.end()?;
    Ok(stretches)
}

fn take_stretch(
    reader: &mut Reader<'_>,
    known: &mut Vec<(Origin, OpId)>,
    ops_max: usize,
) -> Result<Stretch, Malformed> {
    let index = reader.count(known.len())?;
    if index == known.len() {
        known.push((Origin::from_bytes(reader.array()?), OpId::NONE));
    }
    let origin = known[index].0;
    let mut seq = Seq::new(reader.varint()?).ok_or(Malformed("no such number on a chain"))?;
    let mut key = None;
    let mut prev = OpId::NONE;
    if seq == Seq::FIRST {
        key = Some(reader.array()?);
    } else {
        prev = match reader.byte()? {
            0 => known[index].1,
            1 => OpId::from_bytes(reader.array()?),
            _ => return Err(Malformed("an op that does not name the one before")),
        };
    }
    let count = reader.count(ops_max)?;
    let mut entries = Vec::new();
    for n in 0..count {
        if n > 0 {
            seq = seq.next().ok_or(Malformed("a chain beyond its end"))?;
        }
        let op = Op::unpack(Place { origin, seq, prev, key: key.take() }, reader.bytes()?)?;
        prev = op.id();
        entries.push(Entry { op, id: prev });
    }
    if entries.is_empty() {
        return Err(Malformed("a stretch without an op"));
    }
    known[index].1 = prev;
    let stretch = Stretch { entries, signature: reader.array()? };
    // A single op may be as large as an op can be. More than one has to leave room for salts that erasing opens, so
    // that every stretch fits into a page for ever.
    if stretch.entries.len() > 1 && stretch.weight() > OP_BYTES_MAX {
        return Err(Malformed("a stretch beyond its size limit"));
    }
    Ok(stretch)
}

#[cfg(test)]
mod tests;
