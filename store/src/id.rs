//! The names of things: origins, ops, nodes, owners, generations. Each has private insides and one door that can
//! refuse; what has passed it needs no further check.

use std::fmt;
use std::str::FromStr;

/// A text that is not the name it was taken for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not {wanted}")]
pub struct BadId {
    text: String,
    wanted: &'static str,
}

macro_rules! bytes_id {
    ($(#[$doc:meta])* $name:ident, $len:literal, $wanted:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $len]);

        impl $name {
            /// The name with these bytes.
            pub const fn from_bytes(bytes: [u8; $len]) -> Self {
                Self(bytes)
            }

            /// The bytes as they stand in files and on the wire.
            pub const fn as_bytes(&self) -> &[u8; $len] {
                &self.0
            }

            /// Returns the name if `bytes` has exactly the right length.
            pub fn from_slice(bytes: &[u8]) -> Option<Self> {
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }

        impl FromStr for $name {
            type Err = BadId;

            fn from_str(text: &str) -> Result<Self, BadId> {
                let mut bytes = [0; $len];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| BadId { text: text.to_owned(), wanted: $wanted })?;
                Ok(Self(bytes))
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                to.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                let text = String::deserialize(from)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

bytes_id!(
    /// One replica's authorship: the first 16 bytes of the SHA-256 of its Ed25519 public key.
    Origin, 16, "an origin (32 hex digits)"
);
bytes_id!(
    /// The identity of an op: the SHA-256 of its frame.
    OpId, 32, "an op's hash (64 hex digits)"
);
bytes_id!(
    /// Whose data a replica holds. It stands in a replica's `meta`, never in an op.
    OwnerId, 16, "an owner id (32 hex digits)"
);
bytes_id!(
    /// A hub's identity: the first 16 bytes of the SHA-256 of its Ed25519 public key.
    HubId, 16, "a hub id (32 hex digits)"
);
bytes_id!(
    /// Names one history of one replica file's log, so that a position in another log is never taken for one in this.
    LogId, 16, "a log id (32 hex digits)"
);
bytes_id!(
    /// The ops of one action that needed several: what undo takes back together.
    GroupId, 16, "a group id (32 hex digits)"
);
bytes_id!(
    /// One Yjs document of a node's body. All zero: the body began empty.
    Generation, 16, "a generation (32 hex digits)"
);

impl Generation {
    /// The generation of a body that began empty.
    pub const EMPTY: Self = Self([0; 16]);
}

impl OpId {
    /// What the first op of a chain names as the one before.
    pub const NONE: Self = Self([0; 32]);

    /// The sixteen bytes that an [`OpRef`] carries.
    pub fn prefix(&self) -> [u8; 16] {
        let mut prefix = [0; 16];
        prefix.copy_from_slice(&self.0[..16]);
        prefix
    }
}

/// A node: a task, document, journal, project, tag, log entry or device. A UUID, version 7 or (natural keys) 5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct NodeId(uuid::Uuid);

impl NodeId {
    /// The node with this UUID, whatever its version: other replicas may name nodes as they like.
    pub const fn from_uuid(uuid: uuid::Uuid) -> Self {
        Self(uuid)
    }

    /// The node with these 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(uuid::Uuid::from_bytes(bytes))
    }

    /// A fresh node id (UUIDv7): milliseconds first, so that nodes made together lie together.
    pub fn fresh(now: Stamp, random: [u8; 10]) -> Self {
        Self(uuid::Builder::from_unix_timestamp_millis(now.get(), &random).into_uuid())
    }

    /// The 16 bytes as they stand in files and on the wire.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The 32 hex digits without hyphens.
    pub fn digits(&self) -> String {
        hex::encode(self.0.as_bytes())
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({})", self.0)
    }
}

impl FromStr for NodeId {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let bad = |_| BadId { text: text.to_owned(), wanted: "a node id (a UUID)" };
        uuid::Uuid::from_str(text).map(Self).map_err(bad)
    }
}

/// The number of an op on its origin's chain: 1, 2, 3 … up to 2^62.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "u64", into = "u64")]
pub struct Seq(u64);

impl Seq {
    /// The first op of a chain.
    pub const FIRST: Self = Self(1);
    const MAX: u64 = 1 << 62;

    /// Returns the number, unless it is zero or beyond 2^62.
    pub fn new(number: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The number itself.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The next number on the chain, or `None` at its end.
    pub fn next(self) -> Option<Self> {
        Self::new(self.0 + 1)
    }
}

impl TryFrom<u64> for Seq {
    type Error = BadId;

    fn try_from(number: u64) -> Result<Self, BadId> {
        Self::new(number).ok_or_else(|| BadId { text: number.to_string(), wanted: "an op's number (1 to 2^62)" })
    }
}

impl From<Seq> for u64 {
    fn from(seq: Seq) -> u64 {
        seq.0
    }
}

/// The author's clock when an op was written, in Unix milliseconds. It is never raised and never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct Stamp(u64);

impl Stamp {
    /// A stamp of so many Unix milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Unix milliseconds.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// Names an op by where it stands and sixteen bytes of its hash, which tell branches apart.
/// Two ops that share all three cannot be made: not even by their author, who would need about 2^64 hashes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpRef {
    /// Whose chain.
    pub origin: Origin,
    /// The number on it.
    pub seq: Seq,
    /// The first sixteen bytes of the op's hash.
    pub prefix: [u8; 16],
}

impl OpRef {
    /// The reference to the op `id`, which is number `seq` of `origin`.
    pub fn new(origin: Origin, seq: Seq, id: &OpId) -> Self {
        Self { origin, seq, prefix: id.prefix() }
    }
}

impl fmt::Display for OpRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.origin, self.seq.get(), hex::encode(self.prefix))
    }
}

impl fmt::Debug for OpRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpRef({self})")
    }
}

impl FromStr for OpRef {
    type Err = BadId;

    fn from_str(text: &str) -> Result<Self, BadId> {
        let parse = || {
            let mut parts = text.split(':');
            let origin = parts.next()?.parse().ok()?;
            let seq = Seq::new(parts.next()?.parse().ok()?)?;
            let mut prefix = [0; 16];
            hex::decode_to_slice(parts.next()?, &mut prefix).ok()?;
            parts.next().is_none().then_some(Self { origin, seq, prefix })
        };
        parse()
            .ok_or_else(|| BadId { text: text.to_owned(), wanted: "an op (origin:number:sixteen bytes of its hash)" })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_name_prints_and_parses_back() {
        let origin = Origin::from_bytes([7; 16]);
        assert_eq!(origin.to_string().parse::<Origin>().unwrap(), origin);
        let op = OpRef { origin, seq: Seq::new(12).unwrap(), prefix: [1; 16] };
        assert_eq!(op.to_string().parse::<OpRef>().unwrap(), op);
        let node = NodeId::fresh(Stamp::from_millis(1_700_000_000_000), [3; 10]);
        assert_eq!(node.to_string().parse::<NodeId>().unwrap(), node);
    }

    #[test]
    fn what_is_not_a_name_is_refused_in_words() {
        assert_eq!("zz".parse::<Origin>().unwrap_err().to_string(), "\"zz\" is not an origin (32 hex digits)");
        assert!(Seq::new(0).is_none());
        assert!("00:1:00".parse::<OpRef>().is_err());
    }
}
