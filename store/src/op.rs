//! The op: one action of a person, and its one canonical encoding.
//!
//! An op has two forms. The *frame* is what is hashed and signed: everything but the values, and for each value its
//! length and a salted hash. The *packed op* is what is stored and sent: everything but the hashes of the values that
//! are here, since they can be computed. `docs/design.md` has both to the byte, with test vectors.
//!
//! It knows nothing of who wins ([`crate::merge`]) or where ops are kept. It stays whole so that what is encoded and
//! what is decoded are read side by side.

use crate::codec::{Malformed, Reader, put_bytes, put_varint};
use crate::field::{BODY, DELETED, Field, KIND, OF, Value};
use crate::id::{Generation, GroupId, NodeId, OpId, OpRef, Origin, Seq, Stamp};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// The format of frames and packed ops written by this version.
pub const FORMAT: u8 = 1;
/// The most changes an op may hold.
pub const CHANGES_MAX: usize = 4_096;
/// The most bytes of meta and values, with 16 bytes a change, that an op may hold.
pub const OP_BYTES_MAX: usize = 256 * 1024;
/// What each change counts for in [`OP_BYTES_MAX`] on top of its meta and value, in bytes.
pub const CHANGE_BYTES: usize = 16;

/// What each op counts for in a stretch on top of its changes, in bytes.
pub const STRETCH_OP_BYTES: usize = 96;

const SET: u64 = 1;
const EDIT: u64 = 2;
const DELETE: u64 = 3;
const ERASE: u64 = 4;

const HAS_GROUP: u8 = 1;
const OPENED: u8 = 2;

/// A change within an op: the op, and the change's place in it from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChangeRef {
    /// The op.
    pub op: OpRef,
    /// Which of its changes, from 0.
    pub index: u32,
}

/// The value of a change: here, or dropped by an erase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// The value's bytes.
    Here(Vec<u8>),
    /// The value is gone; its length (bytes) and its salted hash keep the chain whole.
    Erased {
        /// Length of the value in bytes.
        len: u64,
        /// The salted hash that stands in the frame.
        commitment: [u8; 32],
    },
}

impl Slot {
    /// Length of the value in bytes, here or not.
    pub fn len(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Erased { len, .. } => *len,
        }
    }

    /// Whether the value is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value's bytes, unless erased.
    pub fn here(&self) -> Option<&[u8]> {
        if let Self::Here(bytes) = self { Some(bytes) } else { None }
    }
}

/// A change as it is stored: kind and meta verbatim, so that what this version does not know is kept and relayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawChange {
    /// The kind's number.
    pub kind: u64,
    /// Everything but the value; it stands in the frame and can never be erased.
    pub meta: Vec<u8>,
    /// The value, which can be erased alone.
    pub value: Slot,
    /// The salt of this value; kept only in an op whose own salt is gone.
    salt: Option<[u8; 16]>,
}

/// One action of one person on one replica: the unit of log, sync, history and undo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Op {
    /// Whose chain it stands on.
    pub origin: Origin,
    /// Its number there.
    pub seq: Seq,
    /// The hash of the op before; [`OpId::NONE`] for the first.
    pub prev: OpId,
    /// The origin's public key, in the first op of a chain only.
    pub key: Option<[u8; 32]>,
    /// The author's clock.
    pub stamp: Stamp,
    /// Set where one action needed several ops.
    pub group: Option<GroupId>,
    /// What it does.
    pub changes: Vec<RawChange>,
    /// The salt that the salts of all values derive from; gone once a value is erased.
    salt: Option<[u8; 16]>,
}

/// A change as this version understands it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Sets a register.
    Set {
        /// The node.
        node: NodeId,
        /// The register.
        field: Field,
        /// The ops whose value this one replaces.
        bases: Vec<OpRef>,
        /// For `body`: the newest edits that its author had read, as in a delete.
        seen: Vec<OpRef>,
        /// The values that this one repeats; it is erased with any of them.
        repeats: Vec<ChangeRef>,
        /// The value; `None` once erased.
        value: Option<Value>,
    },
    /// Changes a body.
    Edit {
        /// The node.
        node: NodeId,
        /// Which Yjs document of it.
        generation: Generation,
        /// The values that this one repeats; it is erased with any of them.
        repeats: Vec<ChangeRef>,
        /// A Yjs update, version 1; `None` once erased.
        update: Option<Vec<u8>>,
    },
    /// Sets the register `deleted` to true.
    Delete {
        /// The node.
        node: NodeId,
        /// The ops on `deleted` that this one replaces.
        bases: Vec<OpRef>,
        /// The newest ops, per origin and branch, on the node and on what it owns.
        seen: Vec<OpRef>,
    },
    /// Takes the effect and the bytes of these values away, here and everywhere.
    Erase {
        /// Which.
        targets: Vec<ChangeRef>,
    },
}

/// What an op does to a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Touch {
    /// It writes registers.
    pub writes: bool,
    /// It edits a body.
    pub edits: bool,
}

/// Why an op has no effect yet. It is kept byte for byte, relayed and listed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Held {
    /// A newer version wrote a kind of change that this one does not know.
    #[error("change {index} is of kind {kind}, which this version does not know")]
    UnknownKind {
        /// Which change, from 0.
        index: usize,
        /// Its kind.
        kind: u64,
    },
    /// A change or its value does not decode.
    #[error("change {index} cannot be read: {why}")]
    Unreadable {
        /// Which change, from 0.
        index: usize,
        /// What does not decode.
        why: String,
    },
    /// Two changes set the same register, so neither order is right.
    #[error("change {index} sets a register a second time")]
    SetTwice {
        /// Which change, from 0.
        index: usize,
    },
}

impl Change {
    /// The node that the change is on; an erase is on none.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Self::Set { node, .. } | Self::Edit { node, .. } | Self::Delete { node, .. } => Some(*node),
            Self::Erase { .. } => None,
        }
    }

    /// The values that this change repeats.
    pub fn repeats(&self) -> &[ChangeRef] {
        match self {
            Self::Set { repeats, .. } | Self::Edit { repeats, .. } => repeats,
            Self::Delete { .. } | Self::Erase { .. } => &[],
        }
    }

    /// The values that this change erases. They are erased even if the op as a whole is held: what is erased follows
    /// from frames alone, so that nothing that was emptied for a reason is missed for ever.
    pub fn erases(&self) -> &[ChangeRef] {
        if let Self::Erase { targets } = self { targets } else { &[] }
    }

    /// The register it writes, if it writes one.
    pub fn register(&self) -> Option<(NodeId, Field)> {
        match self {
            Self::Set { node, field, .. } => Some((*node, field.clone())),
            Self::Delete { node, .. } => Some((*node, Field::known(DELETED))),
            Self::Edit { .. } | Self::Erase { .. } => None,
        }
    }

    /// Encodes the change for an op of `origin`.
    fn encode(&self, origin: Origin) -> RawChange {
        let mut meta = Vec::with_capacity(64);
        let (kind, value) = match self {
            Self::Set { node, field, bases, seen, repeats, value } => {
                meta.extend_from_slice(node.as_bytes());
                put_bytes(&mut meta, field.as_str().as_bytes());
                put_refs(&mut meta, origin, bases);
                put_refs(&mut meta, origin, seen);
                put_change_refs(&mut meta, origin, repeats);
                (SET, value.as_ref().map(Value::encode).unwrap_or_default())
            }
            Self::Edit { node, generation, repeats, update } => {
                meta.extend_from_slice(node.as_bytes());
                meta.extend_from_slice(generation.as_bytes());
                put_change_refs(&mut meta, origin, repeats);
                (EDIT, update.clone().unwrap_or_default())
            }
            Self::Delete { node, bases, seen } => {
                meta.extend_from_slice(node.as_bytes());
                put_refs(&mut meta, origin, bases);
                put_refs(&mut meta, origin, seen);
                (DELETE, Vec::new())
            }
            Self::Erase { targets } => {
                put_change_refs(&mut meta, origin, targets);
                (ERASE, Vec::new())
            }
        };
        RawChange { kind, meta, value: Slot::Here(value), salt: None }
    }

    /// Reads a change of an op of `origin`; `None` for a kind that this version does not know.
    fn decode(raw: &RawChange, origin: Origin) -> Result<Option<Self>, Malformed> {
        let mut meta = Reader::new(&raw.meta);
        let here = raw.value.here();
        let change = match raw.kind {
            SET => {
                let node = NodeId::from_bytes(meta.array()?);
                let name = std::str::from_utf8(meta.bytes()?).map_err(|_| Malformed("a field name not in ASCII"))?;
                let field = Field::new(name)?;
                let bases = take_refs(&mut meta, origin)?;
                let seen = take_refs(&mut meta, origin)?;
                let repeats = take_change_refs(&mut meta, origin)?;
                let value = here.map(Value::decode).transpose()?;
                check_value(&field, value.as_ref())?;
                Self::Set { node, field, bases, seen, repeats, value }
            }
            EDIT => {
                let node = NodeId::from_bytes(meta.array()?);
                let generation = Generation::from_bytes(meta.array()?);
                let repeats = take_change_refs(&mut meta, origin)?;
                Self::Edit { node, generation, repeats, update: here.map(<[u8]>::to_vec) }
            }
            DELETE => {
                let node = NodeId::from_bytes(meta.array()?);
                let bases = take_refs(&mut meta, origin)?;
                let seen = take_refs(&mut meta, origin)?;
                no_value(raw)?;
                Self::Delete { node, bases, seen }
            }
            ERASE => {
                no_value(raw)?;
                Self::Erase { targets: take_change_refs(&mut meta, origin)? }
            }
            _ => return Ok(None),
        };
        meta.end()?;
        Ok(Some(change))
    }
}

/// Registers that the merge itself reads hold one type of value only.
fn check_value(field: &Field, value: Option<&Value>) -> Result<(), Malformed> {
    let fits = match (field.as_str(), value) {
        (_, None) => true,
        (DELETED, Some(value)) => *value == Value::Bool(false),
        (BODY, Some(value)) => value.as_generation().is_some(),
        (OF, Some(value)) => matches!(value, Value::Null | Value::Node(_)),
        (KIND, Some(value)) => matches!(value, Value::Text(_)),
        _ => true,
    };
    if fits { Ok(()) } else { Err(Malformed("a value of a type that this register cannot hold")) }
}

fn no_value(raw: &RawChange) -> Result<(), Malformed> {
    if raw.value.is_empty() { Ok(()) } else { Err(Malformed("a value where none belongs")) }
}

fn put_ref(out: &mut Vec<u8>, origin: Origin, op: &OpRef) {
    if op.origin == origin {
        out.push(0);
    } else {
        out.push(1);
        out.extend_from_slice(op.origin.as_bytes());
    }
    put_varint(out, op.seq.get());
    out.extend_from_slice(&op.prefix);
}

fn take_ref(reader: &mut Reader<'_>, origin: Origin) -> Result<OpRef, Malformed> {
    let named = match reader.byte()? {
        0 => origin,
        1 => Origin::from_bytes(reader.array()?),
        _ => return Err(Malformed("a reference of an unknown form")),
    };
    let seq = Seq::new(reader.varint()?).ok_or(Malformed("no such number on a chain"))?;
    Ok(OpRef { origin: named, seq, prefix: reader.array()? })
}

fn put_refs(out: &mut Vec<u8>, origin: Origin, refs: &[OpRef]) {
    let sorted: BTreeSet<_> = refs.iter().collect();
    put_varint(out, sorted.len() as u64);
    for op in sorted {
        put_ref(out, origin, op);
    }
}

fn put_change_refs(out: &mut Vec<u8>, origin: Origin, refs: &[ChangeRef]) {
    let sorted: BTreeSet<_> = refs.iter().collect();
    put_varint(out, sorted.len() as u64);
    for change in sorted {
        put_ref(out, origin, &change.op);
        put_varint(out, u64::from(change.index));
    }
}

/// The least that a reference takes, in bytes: bounds a declared count before anything is allocated.
const REF_BYTES_MIN: usize = 18;

fn take_refs(reader: &mut Reader<'_>, origin: Origin) -> Result<Vec<OpRef>, Malformed> {
    let count = reader.count(reader.rest().len() / REF_BYTES_MIN)?;
    let mut refs = Vec::with_capacity(count);
    for _ in 0..count {
        refs.push(take_ref(reader, origin)?);
    }
    ascending(&refs)?;
    Ok(refs)
}

fn take_change_refs(reader: &mut Reader<'_>, origin: Origin) -> Result<Vec<ChangeRef>, Malformed> {
    let count = reader.count(reader.rest().len() / REF_BYTES_MIN)?;
    let mut refs = Vec::with_capacity(count);
    for _ in 0..count {
        let op = take_ref(reader, origin)?;
        let index = u32::try_from(reader.varint()?).map_err(|_| Malformed("no such change"))?;
        refs.push(ChangeRef { op, index });
    }
    ascending(&refs)?;
    Ok(refs)
}

fn ascending<T: Ord>(items: &[T]) -> Result<(), Malformed> {
    if items.is_sorted_by(|a, b| a < b) { Ok(()) } else { Err(Malformed("references not in ascending order")) }
}

fn change_salt(salt: &[u8; 16], index: usize) -> [u8; 16] {
    let mut hash = Sha256::new();
    hash.update(b"heph salt 1");
    hash.update(salt);
    hash.update((index as u32).to_be_bytes());
    let mut derived = [0; 16];
    derived.copy_from_slice(&hash.finalize()[..16]);
    derived
}

fn commit(salt: &[u8; 16], value: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"heph value 1");
    hash.update(salt);
    hash.update(value);
    hash.finalize().into()
}

/// Where an op stands: what the frame holds besides the packed op.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Whose chain.
    pub origin: Origin,
    /// The number on it.
    pub seq: Seq,
    /// The hash of the op before.
    pub prev: OpId,
    /// The origin's public key, at number 1 only.
    pub key: Option<[u8; 32]>,
}

impl Op {
    /// A new op. `salt` is 16 fresh random bytes.
    pub fn new(place: Place, stamp: Stamp, group: Option<GroupId>, salt: [u8; 16], changes: &[Change]) -> Self {
        let changes = changes.iter().map(|change| change.encode(place.origin)).collect();
        Self::from_raw(place, stamp, group, salt, changes)
    }

    /// A new op of changes encoded elsewhere, for instance by a version that knows more kinds than this one.
    pub fn from_raw(
        place: Place,
        stamp: Stamp,
        group: Option<GroupId>,
        salt: [u8; 16],
        changes: Vec<RawChange>,
    ) -> Self {
        let Place { origin, seq, prev, key } = place;
        Self { origin, seq, prev, key, stamp, group, changes, salt: Some(salt) }
    }

    /// What counts against [`OP_BYTES_MAX`] for one change, in bytes.
    pub fn weight(change: &RawChange) -> usize {
        change.meta.len() + usize::try_from(change.value.len()).unwrap_or(usize::MAX / 2) + CHANGE_BYTES
    }

    /// What the op counts for in a stretch, in bytes: its changes, and [`STRETCH_OP_BYTES`].
    pub fn stretch_weight(&self) -> usize {
        self.changes.iter().fold(STRETCH_OP_BYTES, |sum, change| sum.saturating_add(Self::weight(change)))
    }

    /// What `change` would count for in an op of `origin`, in bytes.
    pub fn weight_of(change: &Change, origin: Origin) -> usize {
        Self::weight(&change.encode(origin))
    }

    /// Whether counts and sizes are within the limits.
    pub fn fits(&self) -> bool {
        let weight = self.changes.iter().fold(0usize, |sum, change| sum.saturating_add(Self::weight(change)));
        self.changes.len() <= CHANGES_MAX && weight <= OP_BYTES_MAX
    }

    /// The short reference to this op, given its hash.
    pub fn reference(&self, id: &OpId) -> OpRef {
        OpRef::new(self.origin, self.seq, id)
    }

    /// The bytes that are hashed: everything but the values, and of each value its length and salted hash.
    pub fn frame(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128 + self.changes.iter().map(|c| c.meta.len() + 40).sum::<usize>());
        out.push(FORMAT);
        out.extend_from_slice(self.origin.as_bytes());
        put_varint(&mut out, self.seq.get());
        if let Some(key) = &self.key {
            out.extend_from_slice(key);
        }
        out.extend_from_slice(self.prev.as_bytes());
        put_varint(&mut out, self.stamp.get());
        out.push(u8::from(self.group.is_some()));
        if let Some(group) = &self.group {
            out.extend_from_slice(group.as_bytes());
        }
        put_varint(&mut out, self.changes.len() as u64);
        for (index, change) in self.changes.iter().enumerate() {
            put_varint(&mut out, change.kind);
            put_bytes(&mut out, &change.meta);
            put_varint(&mut out, change.value.len());
            out.extend_from_slice(&self.commitment(index, change));
        }
        out
    }

    fn salt_of(&self, index: usize, change: &RawChange) -> Option<[u8; 16]> {
        self.salt.map(|salt| change_salt(&salt, index)).or(change.salt)
    }

    fn commitment(&self, index: usize, change: &RawChange) -> [u8; 32] {
        match &change.value {
            Slot::Erased { commitment, .. } => *commitment,
            Slot::Here(value) => commit(&self.salt_of(index, change).unwrap_or_default(), value),
        }
    }

    /// The op's identity.
    pub fn id(&self) -> OpId {
        OpId::from_bytes(Sha256::digest(self.frame()).into())
    }

    /// Drops the value of one change. The hash stays what it was. Returns whether there was anything to drop:
    /// values of kinds that carry none stay.
    pub fn erase(&mut self, index: usize) -> bool {
        let erasable = |change: &RawChange| !matches!(change.kind, DELETE | ERASE) && change.value.here().is_some();
        if !self.changes.get(index).is_some_and(erasable) {
            return false;
        }
        if let Some(salt) = self.salt.take() {
            for (index, change) in self.changes.iter_mut().enumerate() {
                change.salt = Some(change_salt(&salt, index));
            }
        }
        let commitment = self.commitment(index, &self.changes[index]);
        let change = &mut self.changes[index];
        change.value = Slot::Erased { len: change.value.len(), commitment };
        change.salt = None;
        true
    }

    /// Puts values back that are not here, from another copy of this op. Returns which: none if that would bring back
    /// every value without the salt that they were written with, because the other copy lacks other values.
    pub fn supply(&mut self, from: &Self, wanted: &[u32]) -> Vec<u32> {
        let has = |index: &u32| from.changes.get(*index as usize).is_some_and(|change| change.value.here().is_some());
        let supplied: Vec<u32> = wanted.iter().copied().filter(has).collect();
        if from.salt.is_some() {
            (self.salt, self.changes) = (from.salt, from.changes.clone());
            return supplied;
        }
        let lacking = self.changes.iter().filter(|change| change.value.here().is_none()).count();
        if supplied.len() == lacking {
            return Vec::new();
        }
        for index in &supplied {
            self.changes[*index as usize] = from.changes[*index as usize].clone();
        }
        supplied
    }

    /// The bytes that are stored and sent.
    pub fn pack(&self) -> Vec<u8> {
        let values: usize =
            self.changes.iter().map(|c| c.meta.len() + c.value.here().map_or(32, <[u8]>::len) + 24).sum();
        let mut out = Vec::with_capacity(64 + values);
        put_varint(&mut out, self.stamp.get());
        out.push(u8::from(self.group.is_some()) * HAS_GROUP + u8::from(self.salt.is_none()) * OPENED);
        if let Some(group) = &self.group {
            out.extend_from_slice(group.as_bytes());
        }
        if let Some(salt) = &self.salt {
            out.extend_from_slice(salt);
        }
        put_varint(&mut out, self.changes.len() as u64);
        for change in &self.changes {
            put_varint(&mut out, change.kind);
            put_bytes(&mut out, &change.meta);
            put_varint(&mut out, change.value.len());
            match (&change.value, &change.salt) {
                (Slot::Here(value), None) => out.extend_from_slice(value),
                (Slot::Here(value), Some(salt)) => {
                    out.push(1);
                    out.extend_from_slice(salt);
                    out.extend_from_slice(value);
                }
                (Slot::Erased { commitment, .. }, _) => {
                    out.push(0);
                    out.extend_from_slice(commitment);
                }
            }
        }
        out
    }

    /// Reads a packed op that stands at `place`, within the limits on counts and sizes.
    pub fn unpack(place: Place, bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let stamp = Stamp::from_millis(reader.varint()?);
        let flags = reader.byte()?;
        if flags & !(HAS_GROUP | OPENED) != 0 {
            return Err(Malformed("an op with flags that this version does not know"));
        }
        let group = if flags & HAS_GROUP == 0 { None } else { Some(GroupId::from_bytes(reader.array()?)) };
        let opened = flags & OPENED != 0;
        let salt = if opened { None } else { Some(reader.array()?) };
        let count = reader.count(CHANGES_MAX)?;
        let mut changes = Vec::with_capacity(count.min(reader.rest().len() / 3));
        for _ in 0..count {
            changes.push(take_change(&mut reader, opened)?);
        }
        reader.end()?;
        let Place { origin, seq, prev, key } = place;
        let op = Self { origin, seq, prev, key, stamp, group, changes, salt };
        if !op.fits() {
            return Err(Malformed("an op beyond its size limit"));
        }
        if opened && op.changes.iter().all(|change| change.value.here().is_some()) {
            return Err(Malformed("an op that lost its salt but no value"));
        }
        Ok(op)
    }

    /// The changes as this version understands them, or why the op is held, whole. The answer depends on the bytes
    /// that are not erased, on counts and sizes, and on the version of the merge rules: never on time or luck.
    pub fn read(&self) -> Result<Vec<Change>, Held> {
        let mut registers = BTreeSet::new();
        let mut changes = Vec::with_capacity(self.changes.len());
        for (index, raw) in self.changes.iter().enumerate() {
            let unreadable = |why: String| Held::Unreadable { index, why };
            let change = Change::decode(raw, self.origin).map_err(|why| unreadable(why.to_string()))?;
            let change = change.ok_or(Held::UnknownKind { index, kind: raw.kind })?;
            if let Change::Edit { update: Some(update), .. } = &change {
                crate::body::check(update).map_err(|why| unreadable(why.to_string()))?;
            }
            if change.register().is_some_and(|register| !registers.insert(register)) {
                return Err(Held::SetTwice { index });
            }
            changes.push(change);
        }
        Ok(changes)
    }

    /// The nodes that the changes are on, as far as their kinds are known and even if the op as a whole is held; and
    /// for each whether the op writes its registers, and whether it edits its body.
    pub fn touches(&self) -> BTreeMap<NodeId, Touch> {
        let mut touches: BTreeMap<NodeId, Touch> = BTreeMap::new();
        for raw in &self.changes {
            let Ok(node) = Reader::new(&raw.meta).array().map(NodeId::from_bytes) else { continue };
            match raw.kind {
                SET | DELETE => touches.entry(node).or_default().writes = true,
                EDIT => touches.entry(node).or_default().edits = true,
                _ => {}
            }
        }
        touches
    }

    /// The `bases` of every register write of the op, whether it is held or not: what supersedes a held or erased
    /// set supersedes what that one names.
    pub fn registers(&self) -> Vec<(NodeId, Field, Vec<OpRef>)> {
        let register = |(_, change)| match change {
            Change::Set { node, field, bases, .. } => Some((node, field, bases)),
            Change::Delete { node, bases, .. } => Some((node, Field::known(DELETED), bases)),
            Change::Edit { .. } | Change::Erase { .. } => None,
        };
        self.framed().into_iter().filter_map(register).collect()
    }

    /// The changes, each by itself with its index, as far as they can be read without their values.
    pub fn framed(&self) -> Vec<(u32, Change)> {
        let framed = |(index, raw): (u32, &RawChange)| {
            let value = Slot::Erased { len: 0, commitment: [0; 32] };
            let framed = RawChange { kind: raw.kind, meta: raw.meta.clone(), value, salt: None };
            Some((index, Change::decode(&framed, self.origin).ok()??))
        };
        (0u32..).zip(&self.changes).filter_map(framed).collect()
    }
}

impl RawChange {
    /// A change of any kind, for a new op.
    pub fn new(kind: u64, meta: Vec<u8>, value: Vec<u8>) -> Self {
        Self { kind, meta, value: Slot::Here(value), salt: None }
    }
}

fn take_change(reader: &mut Reader<'_>, opened: bool) -> Result<RawChange, Malformed> {
    let kind = reader.varint()?;
    let meta = reader.bytes()?.to_vec();
    let len = reader.count(OP_BYTES_MAX)?;
    let (value, salt) = if !opened {
        (Slot::Here(reader.take(len)?.to_vec()), None)
    } else {
        match reader.byte()? {
            0 => (Slot::Erased { len: len as u64, commitment: reader.array()? }, None),
            1 => {
                let salt = reader.array()?;
                (Slot::Here(reader.take(len)?.to_vec()), Some(salt))
            }
            _ => return Err(Malformed("a value neither here nor erased")),
        }
    };
    Ok(RawChange { kind, meta, value, salt })
}

#[cfg(test)]
mod tests;
