//! The replica and the daemon as such: is it sound, keep a copy of it, who writes into it, who answers.

use serde::{Deserialize, Serialize};

use super::{PathText, call};

/// `replica/verify`: rebuilds the state from the log and compares.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verify {}
call!(Verify, "/v1/replica/verify", VerifyReport, unhurried);

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerifyReport {
    /// Whether the log's chains and signatures hold and the state is what the log says.
    pub ok: bool,
    /// Ops read.
    pub ops: u64,
    /// Nodes rebuilt.
    pub nodes: u64,
    /// The digest of the state in the file, in hex.
    pub state_digest: String,
    /// The digest of the state rebuilt from the log, in hex.
    pub rebuilt_digest: String,
    /// What is wrong, each a sentence; of very many, the first.
    pub problems: Vec<String>,
}

/// `replica/backup`: writes a consistent copy while everything goes on, and checks it by opening it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    /// The file to write, absolute; it must not exist.
    pub file: PathText,
}
call!(Backup, "/v1/replica/backup", BackupReport, unhurried);

/// A backup that was written and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupReport {
    /// The file.
    pub file: PathText,
    /// Its size in bytes.
    pub bytes: u64,
    /// Ops in it.
    pub ops: u64,
    /// The digest of the state in it, in hex.
    pub state_digest: String,
}

/// `replica/devices`: the devices and origins that have written into this replica.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListDevices {}
call!(ListDevices, "/v1/replica/devices", DeviceList, read);

/// The devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceList {
    /// This device first, then by name.
    pub devices: Vec<DeviceRow>,
}

/// One origin, and the device it belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRow {
    /// The origin, in hex.
    pub origin: String,
    /// The device's name, where it is known.
    pub name: Option<String>,
    /// Whether this daemon writes under it.
    pub here: bool,
    /// Ops of it that are here.
    pub ops: u64,
    /// The stamp of the newest of them.
    pub newest_stamp_ms: Option<i64>,
    /// How many branches its chain has: more than one after a copied or restored disk.
    pub branches: u32,
}

/// `daemon/version`: who answers. Also the ping: it never touches the database.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadVersion {}
call!(ReadVersion, "/v1/daemon/version", VersionReport, read);

/// Who answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionReport {
    /// The daemon's version.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// The database it has open.
    pub db: PathText,
    /// The socket it answers on.
    pub socket: PathText,
    /// The hub's address, if it was given one.
    pub hub_url: Option<String>,
    /// The device's name, as other devices see it.
    pub device: String,
    /// The version of the merge rules.
    pub rules_version: u32,
}
