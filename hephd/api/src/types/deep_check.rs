//! The deep check: all that a replica is made of, and the hub's state beside it.

use serde::{Deserialize, Serialize};

use super::call;

/// `replica/verify-deep`: checks every part of the replica, exchanges what this device or the hub lacks, and compares
/// the two states.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyDeep {
    /// Whether to make state and indexes anew, where they are not what the log says and the log is sound.
    #[serde(default)]
    pub repair: bool,
}
call!(VerifyDeep, "/v1/replica/verify-deep", DeepReport, unhurried);

/// What a deep check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepReport {
    /// Whether all is well: sound here, and the same on the hub, if there is one.
    pub ok: bool,
    /// Whether this replica is sound.
    pub sound: bool,
    /// When it ended.
    pub checked_at: String,
    /// How long it took, in milliseconds, without the hub.
    pub took_ms: u64,
    /// Ops read.
    pub ops: u64,
    /// Signatures checked.
    pub signatures: u64,
    /// Nodes derived again and compared.
    pub nodes: u64,
    /// Texts compared with their edits.
    pub texts: u64,
    /// Words of the search index compared with titles and texts.
    pub words: u64,
    /// Ops that this version cannot read.
    pub held: u64,
    /// Ops that came without a value; heph asks the hub for it.
    pub missing: u64,
    /// The digest of the state in the file, in hex.
    pub state_digest: String,
    /// The digest of the state rebuilt from the log, in hex.
    pub rebuilt_digest: String,
    /// What is wrong; of very much, the first.
    pub problems: Vec<DeepProblem>,
    /// How many problems there are beyond those.
    pub more_problems: u64,
    /// The parts in which something is wrong, also if it is only counted: see [`DeepProblem::part`].
    pub damaged: Vec<String>,
    /// The parts that could not be compared with the log, since that is damaged.
    pub unchecked: Vec<String>,
    /// What was wrong and is not any more, since it was made anew from the log: each a sentence.
    pub repaired: Vec<String>,
    /// How the hub's state compares.
    pub hub: HubComparison,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeepProblem {
    /// `file`, `log`, `state`, `texts` or `index`.
    pub part: String,
    /// What, in a sentence.
    pub words: String,
    /// What to do about it.
    pub next: String,
}

/// How a hub's state compares with this device's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubComparison {
    /// In one word.
    pub result: HubResult,
    /// In one sentence.
    pub words: String,
    /// What to do, where there is something to do.
    pub next: Option<String>,
    /// The buckets of the digest that differ.
    pub buckets: Vec<u8>,
    /// Nodes here in these buckets, of very many the first: those that differ are among them.
    pub nodes: Vec<String>,
}

/// How a hub's state compares, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HubResult {
    /// There is no hub.
    None,
    /// The same ops, the same state.
    Equal,
    /// The same ops, another state.
    Differs,
    /// The two do not hold the same ops, and could not be brought to.
    NotInStep,
    /// It merges by another version of the rules, so the states cannot be compared.
    OtherRules,
    /// It does not answer, or refuses.
    Away,
}

/// `replica/verify-progress`: how far the deep check is that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadVerifyProgress {}
call!(ReadVerifyProgress, "/v1/replica/verify-progress", VerifyProgress, read);

/// How far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyProgress {
    /// `file`, `log`, `state` or `index`; `null` if none is under way, or it is with the hub.
    pub part: Option<String>,
    /// How many ops or nodes of it are done.
    pub done: u64,
    /// Of how many.
    pub of: u64,
}

/// The last deep check, as a status tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastCheck {
    /// When it ended.
    pub at: String,
    /// Whether nothing is wrong here, and nothing was found to differ on the hub.
    pub ok: bool,
    /// In one sentence.
    pub words: String,
    /// What to type, where there is something to type.
    pub next: Option<String>,
}
