//! Vaults: notes in from a directory of Markdown files, and out again byte for byte.

use serde::{Deserialize, Serialize};

use super::{PathText, call};

/// `import/obsidian`: imports every note of a vault. Importing again writes only what changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportObsidian {
    /// The vault's directory, absolute.
    pub dir: PathText,
    /// What the vault is called, the same on every device that imports it; the directory's name unless said.
    #[serde(default)]
    pub vault: Option<String>,
}
call!(ImportObsidian, "/v1/import/obsidian", ImportReport, unhurried);

/// What an import found and did. Every file is counted once, in `notes` or in `left_out`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// What the vault is called here.
    pub vault: String,
    /// Notes in the directory: the sum of the next five.
    pub notes: u64,
    /// Notes that were not here.
    pub new: u64,
    /// Notes that differ from what this device last imported.
    pub changed: u64,
    /// Notes of which another text is here that this device did not import: both are kept, as a conflict.
    #[serde(default)]
    pub conflicts: u64,
    /// Notes with nothing to write.
    pub unchanged: u64,
    /// Notes that were imported once and are deleted here: they stay deleted.
    pub skipped_deleted: u64,
    /// Wikilinks in the notes.
    pub links: u64,
    /// Those of them that lead to a node.
    pub links_resolved: u64,
    /// Different tags in the notes.
    pub tags: u64,
    /// Files that were not imported, each with the reason.
    pub left_out: Vec<LeftOut>,
    /// Ops written.
    pub ops: u64,
}

/// A file that was left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its path inside the vault.
    pub name: PathText,
    /// Why, in words.
    pub why: String,
}

/// `export/vault`: writes every doc under its path, and the journals under `journal/`. Nothing that is
/// already there is overwritten with other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportVault {
    /// The directory to write into, absolute; made if missing.
    pub dir: PathText,
}
call!(ExportVault, "/v1/export/vault", ExportReport, unhurried);

/// What an export wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExportReport {
    /// Where.
    pub dir: PathText,
    /// Files written.
    pub written: u64,
    /// Files that were there already, byte for byte.
    pub unchanged: u64,
    /// What was not written, each with the reason.
    pub left_out: Vec<LeftOut>,
}
