//! An author who writes ops by hand: what another program, a newer version or a forger would send.

use heph_store::{
    chain::OriginKey,
    id::{NodeId, OpId, OpRef, Origin, Seq, Stamp},
    op::{Change, Op, Place, RawChange},
    page::{self, PackedStretch},
};

/// The content type of a page.
pub const PAGE_TYPE: &str = "application/vnd.heph.page";
/// What ops written by hand are stamped with: a day in 2026.
pub const STAMP_MS: u64 = 1_780_000_000_000;

/// Somebody with a key of their own, and how far their chain has come.
pub struct Author {
    /// Their key.
    pub key: OriginKey,
    next: u64,
    prev: OpId,
}

impl Author {
    /// The author with this number; each has another key.
    pub fn new(number: u8) -> Self {
        Self { key: OriginKey::from_seed(&[number; 32]), next: 1, prev: OpId::NONE }
    }

    /// Under which name they write.
    pub fn origin(&self) -> Origin {
        self.key.origin()
    }

    /// A node id of theirs that nobody else has.
    pub fn node(&self, number: u8) -> NodeId {
        let mut bytes = *self.origin().as_bytes();
        bytes[15] = number;
        NodeId::from_bytes(bytes)
    }

    /// Where their next op stands.
    pub fn place(&self) -> Place {
        let seq = Seq::new(self.next).expect("a chain this short has not ended");
        let key = (seq == Seq::FIRST).then(|| self.key.public());
        Place { origin: self.origin(), seq, prev: self.prev, key }
    }

    /// Writes an op of changes that this version knows.
    pub fn write(&mut self, changes: &[Change]) -> Op {
        self.write_at(STAMP_MS, changes)
    }

    /// Writes the same by a clock that says this, in Unix milliseconds.
    pub fn write_at(&mut self, stamp_ms: u64, changes: &[Change]) -> Op {
        let op = Op::new(self.place(), Stamp::from_millis(stamp_ms), None, [7; 16], changes);
        self.took(op)
    }

    /// Writes an op of any changes.
    pub fn write_raw(&mut self, changes: Vec<RawChange>) -> Op {
        let op = Op::from_raw(self.place(), Stamp::from_millis(STAMP_MS), None, [7; 16], changes);
        self.took(op)
    }

    fn took(&mut self, op: Op) -> Op {
        (self.next, self.prev) = (self.next + 1, op.id());
        op
    }

    /// These ops as a stretch that the author signed.
    pub fn stretch(&self, ops: &[Op]) -> PackedStretch {
        let last = ops.last().expect("a stretch holds an op").id();
        stretch_signed(ops, self.key.sign(&last))
    }

    /// These ops, one stretch, as a page that can be pushed.
    pub fn page(&self, ops: &[Op]) -> Vec<u8> {
        packed(&page::encode(&[self.stretch(ops)]))
    }
}

/// These ops as a stretch with this signature, right or wrong.
pub fn stretch_signed(ops: &[Op], signature: [u8; 64]) -> PackedStretch {
    let (first, last) = (ops.first().expect("a stretch holds an op"), ops.last().expect("a stretch holds an op"));
    let place = Place { origin: first.origin, seq: first.seq, prev: first.prev, key: first.key };
    PackedStretch { place, last: last.id(), ops: ops.iter().map(Op::pack).collect(), signature }
}

/// Bytes as they travel: compressed.
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    zstd::bulk::compress(bytes, 3).expect("memory for compressing a page")
}

/// How another op names this one.
pub fn reference(op: &Op) -> OpRef {
    op.reference(&op.id())
}
