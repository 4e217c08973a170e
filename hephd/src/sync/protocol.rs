//! The envelopes of the sync protocol, version 1: what each call takes and gives. All of it is JSON but the pages of
//! ops, which are binary ([`super::page`]).
//!
//! | call | takes | gives |
//! |---|---|---|
//! | `POST /v1/sync/hello` | [`HelloRequest`] | [`HelloAnswer`] |
//! | `POST /v1/sync/vector` | [`VectorRequest`] | [`VectorAnswer`] |
//! | `POST /v1/sync/pull` | [`PullRequest`] | a stream of items ([`super::page::Item`]), or lines of JSON |
//! | `POST /v1/sync/push` | one compressed page | [`PushAnswer`] |
//! | `POST /v1/sync/fork` | [`ForkRequest`] | [`ForkAnswer`] |
//! | `POST /v1/sync/digest` | [`DigestRequest`] | [`DigestAnswer`] |
//! | `POST /v1/sync/ops` | [`OpsRequest`] | one compressed page |
//! | `GET /v1/sync/events` | nothing | server-sent events: `head` with a [`HeadEvent`] |
//! | `GET /v1/version` | nothing | [`VersionAnswer`] |
//!
//! Members that a version does not know are ignored, so that a newer peer can say more. Every refusal is a
//! [`Refusal`].

use super::text::{Base64, Hex};
use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use heph_store::{
    id::{HubId, LogId, OpRef, Origin, OwnerId},
    replica::Cursor,
    vector::Tip,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The protocol versions that this program speaks.
pub const PROTOCOL: ProtocolRange = ProtocolRange { min: 1, max: 1 };

/// The body of push and of the answer to ops: one page, compressed by zstd.
pub const PAGE_TYPE: &str = "application/vnd.heph.page";
/// The body of the answer to pull: items, each with its length before it.
pub const PAGES_TYPE: &str = "application/vnd.heph.pages";
/// The other body of the answer to pull, for people: an op a line.
pub const NDJSON_TYPE: &str = "application/x-ndjson";
/// The header by which every call after hello names the hub that it is for: its id, in hex.
pub const HUB_HEADER: &str = "heph-hub";
/// The header by which it names the log that it is about: the log's id, in hex.
pub const LOG_HEADER: &str = "heph-log";
/// The name of the only kind of event.
pub const HEAD_EVENT: &str = "head";

/// Where the calls are.
pub mod path {
    /// A device introduces itself, and the hub proves who it is.
    pub const HELLO: &str = "/v1/sync/hello";
    /// The hub's vector, in parts.
    pub const VECTOR: &str = "/v1/sync/vector";
    /// The ops that the caller lacks.
    pub const PULL: &str = "/v1/sync/pull";
    /// A page of ops that the hub lacks.
    pub const PUSH: &str = "/v1/sync/push";
    /// Which of these tips the hub holds.
    pub const FORK: &str = "/v1/sync/fork";
    /// The digest's buckets.
    pub const DIGEST: &str = "/v1/sync/digest";
    /// Single ops again, for values that are missing.
    pub const OPS: &str = "/v1/sync/ops";
    /// The head moved.
    pub const EVENTS: &str = "/v1/sync/events";
    /// What answers here.
    pub const VERSION: &str = "/v1/version";
}

/// The stable codes of a [`Refusal`].
pub mod code {
    /// Not JSON, a member is missing, or one is of a wrong type or beyond its limit. 400.
    pub const BAD_REQUEST: &str = "bad_request";
    /// A page is broken: not zstd, cut short, not in its one form. 400.
    pub const BAD_PAGE: &str = "bad_page";
    /// An identity that may act for no owner here. 403.
    pub const NO_OWNER: &str = "no_owner";
    /// An open hub answers to loopback names only. 403.
    pub const HOST_REFUSED: &str = "host_refused";
    /// An open hub answers no web page. 403.
    pub const ORIGIN_REFUSED: &str = "origin_refused";
    /// There is no such call. 404.
    pub const UNKNOWN_CALL: &str = "unknown_call";
    /// The call is there, with another method. 405.
    pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
    /// The request did not arrive in time. 408.
    pub const TIMEOUT: &str = "timeout";
    /// The cursor is no position of this log: pull by vector. 409.
    pub const CURSOR_UNKNOWN: &str = "cursor_unknown";
    /// The vector names tips that are not here (`origins` says whose): ask `fork` first. 409.
    pub const UNKNOWN_TIPS: &str = "unknown_tips";
    /// An op whose predecessor is not here. 409.
    pub const GAP: &str = "gap";
    /// A body, or a page once decompressed, beyond its limit. 413.
    pub const TOO_LARGE: &str = "too_large";
    /// A vector of more origins than one request may carry. 413.
    pub const VECTOR_TOO_LONG: &str = "vector_too_long";
    /// The body is announced as something else than this call takes. 415.
    pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
    /// The request is for another hub, or about another log, than answers here: say hello again. 421.
    pub const OTHER_HUB: &str = "other_hub";
    /// A signature does not cover the ops that it ends. 422.
    pub const BAD_SIGNATURE: &str = "bad_signature";
    /// The public key in a first op is not its origin's. 422.
    pub const WRONG_KEY: &str = "wrong_key";
    /// The hub speaks only older protocols. 426.
    pub const UPGRADE_HUB: &str = "upgrade_hub";
    /// The device speaks only older protocols. 426.
    pub const UPGRADE_DEVICE: &str = "upgrade_device";
    /// The hub failed in a way that nobody foresaw; its log says more. 500.
    pub const INTERNAL: &str = "internal";
    /// Too many requests at once. 503.
    pub const BUSY: &str = "busy";
    /// The hub is about to stop. 503.
    pub const STOPPING: &str = "stopping";
    /// The disk is full; nothing of the request was kept. 507.
    pub const DISK_FULL: &str = "disk_full";
}

/// A range of protocol versions, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProtocolRange {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

/// A position in a log, and the rolling hash of the log up to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many ops stand up to here.
    pub position: u64,
    /// The rolling hash.
    pub roll: Hex<32>,
}

/// A device introduces itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HelloRequest {
    /// The protocols that it speaks.
    pub protocol: ProtocolRange,
    /// What it writes under.
    pub origin: Origin,
    /// What its person calls it; at most [`crate::limits::DEVICE_NAME_BYTES_MAX`] bytes.
    pub name: String,
    /// 32 fresh random bytes, which the hub signs.
    pub challenge: Hex<32>,
    /// The hash of its vector.
    pub vector_hash: Hex<32>,
    /// Up to where in the hub's log it has pulled.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// Its clock, in Unix milliseconds.
    pub clock_ms: u64,
    /// The version of its merge rules.
    pub rules_version: u32,
    /// The digest of its state.
    pub digest: Hex<32>,
    /// How many ops it holds.
    pub op_count: u64,
    /// The version of its program.
    pub version: String,
}

/// The hub's answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// The version of the hub's program.
    pub version: String,
    /// The protocols that it speaks.
    pub protocol: ProtocolRange,
    /// Who it is, proven.
    pub hub: HubProof,
    /// Names the log that positions are in.
    pub log_id: LogId,
    /// Whose data it is.
    pub owner_id: OwnerId,
    /// The end of the log.
    pub head: Head,
    /// The hash of its vector.
    pub vector_hash: Hex<32>,
    /// The vector's encoding, if it has at most [`crate::limits::VECTOR_INLINE_ORIGINS`] origins; else it is asked
    /// for in parts.
    pub vector: Option<Base64>,
    /// Its clock, in Unix milliseconds.
    pub clock_ms: u64,
    /// The version of its merge rules.
    pub rules_version: u32,
    /// The digest of its state.
    pub digest: Hex<32>,
    /// How many ops it holds.
    pub op_count: u64,
    /// Whether the caller's cursor is a position of this log. False without one.
    pub cursor_known: bool,
}

/// Who a hub is, proven over the caller's challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubProof {
    /// The first 16 bytes of the SHA-256 of its public key.
    pub id: HubId,
    /// Its Ed25519 public key.
    pub key: Hex<32>,
    /// Its signature over `heph hub 1`, the challenge and the caller's origin.
    pub proof: Hex<64>,
}

impl HubProof {
    /// Signs `challenge`, which came from `origin`, as the hub with this key.
    pub fn new(key: &SigningKey, challenge: &[u8; 32], origin: Origin) -> Self {
        let public = key.verifying_key().to_bytes();
        let proof = key.sign(&proof_message(challenge, origin)).to_bytes();
        Self { id: hub_id(&public), key: Hex(public), proof: Hex(proof) }
    }

    /// Returns whether this is the proof of the hub that it names, over this challenge to this origin.
    pub fn holds(&self, challenge: &[u8; 32], origin: Origin) -> bool {
        let signature = Signature::from_bytes(&self.proof.0);
        self.id == hub_id(&self.key.0)
            && VerifyingKey::from_bytes(&self.key.0)
                .is_ok_and(|key| key.verify_strict(&proof_message(challenge, origin), &signature).is_ok())
    }
}

/// Returns the id of the hub with this public key.
pub fn hub_id(public: &[u8; 32]) -> HubId {
    let mut id = [0; 16];
    id.copy_from_slice(&Sha256::digest(public)[..16]);
    HubId::from_bytes(id)
}

fn proof_message(challenge: &[u8; 32], origin: Origin) -> Vec<u8> {
    [b"heph hub 1".as_slice(), challenge, origin.as_bytes()].concat()
}

/// Asks for a part of the hub's vector.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct VectorRequest {
    /// The part after this origin; the first part without.
    #[serde(default)]
    pub after: Option<Origin>,
}

/// A part of the hub's vector: at most [`crate::limits::VECTOR_PART_ORIGINS`] origins.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VectorAnswer {
    /// The part, encoded as a vector.
    pub vector: Base64,
    /// What to ask for next; `null` in the last part.
    pub next: Option<Origin>,
    /// The hash of the whole vector as it is now: parts belong together if they agree in it.
    pub vector_hash: Hex<32>,
}

/// Asks for the ops that come after `cursor` and that `vector` does not cover.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct PullRequest {
    /// Where to begin in the hub's log; from its start without.
    #[serde(default)]
    pub cursor: Option<Cursor>,
    /// What the caller holds, encoded: at most [`crate::limits::VECTOR_PART_ORIGINS`] origins, those that differ from
    /// the hub's.
    #[serde(default)]
    pub vector: Option<Base64>,
    /// How many bytes a page aims at, before compression; the hub's own aim is the most.
    #[serde(default)]
    pub page_bytes: Option<u64>,
}

/// A page is kept, and will survive power loss.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PushAnswer {
    /// Ops that were new to the hub.
    pub added: u64,
    /// Ops that it held before.
    pub known: u64,
    /// The end of the hub's log after it.
    pub position: u64,
    /// The rolling hash there.
    pub roll: Hex<32>,
    /// The hash of the hub's vector after it.
    pub vector_hash: Hex<32>,
}

/// Asks which of these places on an origin's chain the hub holds, to find where two branches part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForkRequest {
    /// Whose chain.
    pub origin: Origin,
    /// At most [`crate::limits::FORK_TIPS_MAX`].
    pub tips: Vec<Tip>,
}

/// The tips that the hub holds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ForkAnswer {
    /// In the order of the question.
    pub known: Vec<Tip>,
}

/// Asks for the digest's buckets. There is nothing to say yet.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct DigestRequest {}

/// The buckets whose sum the digest of the state is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DigestAnswer {
    /// The version of the merge rules that they are computed by.
    pub rules_version: u32,
    /// 256 of them.
    pub buckets: Vec<Hex<32>>,
}

/// Asks for the stretches with these ops.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpsRequest {
    /// At most [`crate::limits::OPS_REQUEST_MAX`]. The answer may hold only the first of them: ask again for the rest.
    #[serde(with = "op_refs")]
    pub ops: Vec<OpRef>,
}

/// The head moved (or: this is where it is, as the first event of a stream).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct HeadEvent {
    /// Names the log that positions are in.
    pub log_id: LogId,
    /// The end of the log.
    pub position: u64,
    /// The rolling hash there.
    pub roll: Hex<32>,
    /// The hash of the hub's vector.
    pub vector_hash: Hex<32>,
    /// The end of the log before the ops of this event; equal to the new one in the first event.
    pub previous: Head,
    /// The ops between, as one compressed page, if it is at most [`crate::limits::EVENT_PAGE_BYTES_MAX`] bytes long.
    pub page: Option<Base64>,
}

/// What answers here.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VersionAnswer {
    /// Always `heph hub`.
    pub name: String,
    /// The version of its program.
    pub version: String,
    /// The protocols that it speaks.
    pub protocol: ProtocolRange,
}

/// Why a call was refused: the one shape of every error answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One of [`code`]; a newer hub may send one that is not there.
    pub code: String,
    /// What happened, to what.
    pub message: String,
    /// What to do next, where there is something to do.
    #[serde(default)]
    pub hint: Option<String>,
    /// In answers to hello: who refuses, proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hub: Option<HubProof>,
    /// With [`code::UNKNOWN_TIPS`]: the origins with tips that are not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origins: Option<Vec<Origin>>,
}

/// References in JSON: `origin:number:sixteen bytes of the hash`, the bytes in hex.
mod op_refs {
    use heph_store::id::OpRef;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub fn serialize<S: Serializer>(refs: &[OpRef], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(refs.iter().map(ToString::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<OpRef>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        texts.iter().map(|text| text.parse().map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_proof_holds_for_its_challenge_its_caller_and_its_hub_only() {
        let key = SigningKey::from_bytes(&[1; 32]);
        let (challenge, origin) = ([2; 32], Origin::from_bytes([3; 16]));
        let proof = HubProof::new(&key, &challenge, origin);
        assert!(proof.holds(&challenge, origin));
        assert!(!proof.holds(&[4; 32], origin));
        assert!(!proof.holds(&challenge, Origin::from_bytes([5; 16])));
        let claimed = HubProof { id: HubId::from_bytes([6; 16]), ..proof };
        assert!(!claimed.holds(&challenge, origin));
        let other = HubProof::new(&SigningKey::from_bytes(&[7; 32]), &challenge, origin);
        assert!(!HubProof { id: proof.id, key: proof.key, ..other }.holds(&challenge, origin));
    }

    #[test]
    fn members_of_a_newer_peer_are_ignored_and_wrong_types_are_not() {
        let known = r#"{"cursor":null,"page_bytes":7,"colour":"red"}"#;
        assert_eq!(serde_json::from_str::<PullRequest>(known).unwrap().page_bytes, Some(7));
        assert!(serde_json::from_str::<PullRequest>(r#"{"vector":7}"#).is_err());
        assert!(serde_json::from_str::<OpsRequest>(r#"{"ops":["1"]}"#).is_err());
    }
}
