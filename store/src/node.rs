//! A node's merged state as bytes: packed for its row, and hashed for the digest.

use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::field::{Field, Value};
use crate::id::{Generation, NodeId, OpRef, Origin, Seq, Stamp};
use crate::merge::{Body, Head, NodeState, Rank, Register};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const FORMAT: u8 = 1;
const RANK_DIFFERS: u8 = 1;
const HAS_SEEN: u8 = 2;

/// Writes a state whose origins stand once each, at the front of their first use.
#[derive(Default)]
struct Packer {
    out: Vec<u8>,
    origins: BTreeMap<Origin, u64>,
    ranks: BTreeMap<Rank, u64>,
}

impl Packer {
    fn op(&mut self, op: &OpRef) {
        let next = self.origins.len() as u64;
        match self.origins.get(&op.origin) {
            Some(index) => put_varint(&mut self.out, *index),
            None => {
                put_varint(&mut self.out, next);
                self.out.extend_from_slice(op.origin.as_bytes());
                self.origins.insert(op.origin, next);
            }
        }
        put_varint(&mut self.out, op.seq.get());
        self.out.extend_from_slice(&op.prefix);
    }

    fn rank(&mut self, rank: &Rank) {
        let next = self.ranks.len() as u64;
        match self.ranks.get(rank) {
            Some(index) => put_varint(&mut self.out, *index),
            None => {
                put_varint(&mut self.out, next);
                self.op(&rank.op);
                put_varint(&mut self.out, rank.stamp.get());
                self.ranks.insert(*rank, next);
            }
        }
    }

    fn ops(&mut self, ops: &[OpRef]) {
        put_varint(&mut self.out, ops.len() as u64);
        ops.iter().for_each(|op| self.op(op));
    }

    fn head(&mut self, head: &Head) {
        let (differs, has_seen) = (head.above != head.own, !head.seen.is_empty());
        self.out.push(u8::from(differs) * RANK_DIFFERS + u8::from(has_seen) * HAS_SEEN);
        self.rank(&head.own);
        put_varint(&mut self.out, u64::from(head.index));
        if differs {
            self.rank(&head.above);
        }
        if has_seen {
            self.ops(&head.seen);
        }
        put_bytes(&mut self.out, &head.value.encode());
    }

    fn hash(&mut self, hash: Option<&[u8; 32]>) {
        self.out.push(u8::from(hash.is_some()));
        self.out.extend_from_slice(hash.map_or(&[], |hash| hash.as_slice()));
    }
}

struct Unpacker<'a> {
    reader: Reader<'a>,
    origins: Vec<Origin>,
    ranks: Vec<Rank>,
}

impl Unpacker<'_> {
    fn op(&mut self) -> Result<OpRef, Malformed> {
        let index = self.reader.count(self.origins.len())?;
        if index == self.origins.len() {
            self.origins.push(Origin::from_bytes(self.reader.array()?));
        }
        let seq = Seq::new(self.reader.varint()?).ok_or(Malformed("no such number on a chain"))?;
        Ok(OpRef { origin: self.origins[index], seq, prefix: self.reader.array()? })
    }

    fn rank(&mut self) -> Result<Rank, Malformed> {
        let index = self.reader.count(self.ranks.len())?;
        if index == self.ranks.len() {
            let op = self.op()?;
            let stamp = Stamp::from_millis(self.reader.varint()?);
            self.ranks.push(Rank { stamp, op });
        }
        Ok(self.ranks[index])
    }

    fn ops(&mut self) -> Result<Vec<OpRef>, Malformed> {
        let count = self.reader.count(self.reader.rest().len())?;
        (0..count).map(|_| self.op()).collect()
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let flags = self.reader.byte()?;
        let own = self.rank()?;
        let index = u32::try_from(self.reader.varint()?).map_err(|_| Malformed("no such change"))?;
        let above = if flags & RANK_DIFFERS == 0 { own } else { self.rank()? };
        let seen = if flags & HAS_SEEN == 0 { Vec::new() } else { self.ops()? };
        let value = Value::decode(self.reader.bytes()?)?;
        Ok(Head { own, above, index, seen, value })
    }

    fn hash(&mut self) -> Result<Option<[u8; 32]>, Malformed> {
        Ok(if self.reader.byte()? == 0 { None } else { Some(self.reader.array()?) })
    }
}

/// The bytes of a node's row.
pub fn pack(state: &NodeState) -> Vec<u8> {
    let mut packer = Packer { out: Vec::with_capacity(160), ..Packer::default() };
    packer.out.push(FORMAT);
    packer.out.push(u8::from(state.hidden) + 2 * u8::from(state.conflicted));
    put_varint(&mut packer.out, state.registers.len() as u64);
    for (field, register) in &state.registers {
        put_bytes(&mut packer.out, field.as_str().as_bytes());
        put_varint(&mut packer.out, register.heads().len() as u64);
        register.heads().iter().for_each(|head| packer.head(head));
    }
    packer.ops(&state.latest);
    put_varint(&mut packer.out, state.bodies.len() as u64);
    for body in &state.bodies {
        packer.out.extend_from_slice(body.generation.as_bytes());
        packer.ops(&body.latest);
        packer.hash(body.text.as_ref());
        packer.hash(body.leftover.as_ref());
    }
    packer.out
}

/// Reads a node's row back.
pub fn unpack(bytes: &[u8]) -> Result<NodeState, Malformed> {
    let mut from = Unpacker { reader: Reader::new(bytes), origins: Vec::new(), ranks: Vec::new() };
    if from.reader.byte()? != FORMAT {
        return Err(Malformed("a node's row of another format"));
    }
    let flags = from.reader.byte()?;
    let mut registers = BTreeMap::new();
    for _ in 0..from.reader.count(bytes.len())? {
        let name = std::str::from_utf8(from.reader.bytes()?).map_err(|_| Malformed("a field name not in ASCII"))?;
        let field = Field::new(name)?;
        let count = from.reader.count(bytes.len())?;
        let heads: Result<Vec<_>, _> = (0..count).map(|_| from.head()).collect();
        registers.insert(field, Register::from_heads(heads?));
    }
    let latest = from.ops()?;
    let mut bodies = Vec::new();
    for _ in 0..from.reader.count(bytes.len())? {
        let generation = Generation::from_bytes(from.reader.array()?);
        bodies.push(Body { generation, latest: from.ops()?, text: from.hash()?, leftover: from.hash()? });
    }
    from.reader.end()?;
    Ok(NodeState { registers, latest, bodies, hidden: flags & 1 != 0, conflicted: flags & 2 != 0 })
}

/// The node's part of the state digest: its registers with all heads, the texts of its bodies, and what follows from
/// them. What depends on the order of arrival or on other software's encodings is not in it.
pub fn row_hash(node: NodeId, state: &NodeState) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(256);
    bytes.extend_from_slice(b"heph row 1");
    bytes.extend_from_slice(node.as_bytes());
    bytes.push(u8::from(state.hidden) + 2 * u8::from(state.conflicted));
    for (field, register) in state.registers.iter().filter(|(_, register)| !register.heads().is_empty()) {
        put_bytes(&mut bytes, field.as_str().as_bytes());
        put_varint(&mut bytes, register.heads().len() as u64);
        for head in register.heads() {
            for rank in [&head.own, &head.above] {
                put_varint(&mut bytes, rank.stamp.get());
                bytes.extend_from_slice(rank.op.origin.as_bytes());
                put_varint(&mut bytes, rank.op.seq.get());
                bytes.extend_from_slice(&rank.op.prefix);
            }
            put_bytes(&mut bytes, &head.value.encode());
        }
    }
    let mut bodies: Vec<_> = state.bodies.iter().collect();
    bodies.sort_by_key(|body| body.generation);
    for body in bodies {
        bytes.extend_from_slice(body.generation.as_bytes());
        bytes.extend_from_slice(&body.text.unwrap_or_default());
        bytes.extend_from_slice(&body.leftover.unwrap_or_default());
    }
    Sha256::digest(&bytes).into()
}

#[cfg(test)]
mod tests;
