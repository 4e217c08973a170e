//! The replica as such: is it sound, a copy of it, who writes into it.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use heph_api::code;
use heph_api::types::{BackupReport, DeviceList, DeviceRow, ListDevices, PathText, VerifyReport};
use heph_store::env::SystemEnv;
use heph_store::field::{ORIGIN_PREFIX, Value};
use heph_store::id::{OpRef, Origin};
use heph_store::read::View;
use heph_store::vector::{Tip, Vector};
use heph_store::{Filter, copy, verify};
use rustix::fs::{Access, access};

use super::contested::millis;
use crate::spoke::refusal::Refusal;

/// How many problems an answer lists.
const PROBLEMS_MAX: usize = 100;
/// How many devices are known by name.
const DEVICES_MAX: usize = 10_000;

/// The names of the devices, by the origins they have written under.
pub struct Devices(BTreeMap<Origin, String>);

impl Devices {
    /// Reads the names.
    pub fn read(view: &View<'_>) -> Result<Self, Refusal> {
        let filter = Filter { kind: "device".to_owned(), limit: DEVICES_MAX, ..Filter::default() };
        let mut names = BTreeMap::new();
        for device in view.list(&filter)? {
            for (field, register) in &device.state.registers {
                let origin = field.as_str().strip_prefix(ORIGIN_PREFIX).and_then(|origin| origin.parse().ok());
                let is_its = register.value().is_some_and(|value| *value != Value::Bool(false));
                if let Some(origin) = origin.filter(|_| is_its && !device.title().is_empty()) {
                    names.insert(origin, device.title().to_owned());
                }
            }
        }
        Ok(Self(names))
    }

    /// The name of the device that writes, or wrote, under an origin.
    pub fn name(&self, origin: Origin) -> Option<String> {
        self.0.get(&origin).cloned()
    }
}

/// The origins that have written into this replica: this device first, then by name.
pub fn devices(view: &View<'_>, _: ListDevices) -> Result<DeviceList, Refusal> {
    let names = Devices::read(view)?;
    let here = view.origin()?;
    let mut devices = Vec::new();
    for (origin, tips) in view.vector()?.iter() {
        let mut newest = None;
        for tip in tips {
            newest = newest.max(view.rank(&OpRef::new(origin, tip.seq, &tip.id))?.map(|rank| rank.stamp));
        }
        devices.push(DeviceRow {
            origin: origin.to_string(),
            name: names.name(origin),
            here: origin == here,
            ops: ops_of(view, origin, tips.iter())?,
            newest_stamp_ms: newest.map(millis),
            branches: u32::try_from(tips.len()).unwrap_or(u32::MAX),
        });
    }
    devices.sort_by_key(|device| (!device.here, device.name.is_none(), device.name.clone(), device.origin.clone()));
    Ok(DeviceList { devices })
}

/// How many ops of an origin are here: of a chain with branches, what they share counts once.
fn ops_of<'t>(view: &View<'_>, origin: Origin, tips: impl Iterator<Item = &'t Tip>) -> Result<u64, Refusal> {
    let tips: Vec<&Tip> = tips.collect();
    if let [only] = tips.as_slice() {
        return Ok(only.seq.get());
    }
    let mut its_own = Vector::default();
    tips.into_iter().for_each(|tip| its_own.insert(origin, *tip));
    let (coverage, _) = view.coverage(&its_own)?;
    let (all, _) = view.end()?;
    Ok(all.saturating_sub(view.count_lacking(&coverage)?))
}

/// Rebuilds the state from the log and compares. It blocks for as long as that takes.
pub fn verify(db: &Path) -> Result<VerifyReport, Refusal> {
    let report = verify::verify(db, Arc::new(SystemEnv))?;
    let mut problems = report.problems;
    problems.truncate(PROBLEMS_MAX);
    if report.more_problems > 0 {
        problems.push(format!("and {} more", report.more_problems));
    }
    let ok = problems.is_empty();
    Ok(VerifyReport {
        ok,
        ops: report.ops,
        nodes: report.nodes,
        state_digest: hex::encode(report.digest),
        rebuilt_digest: hex::encode(report.rebuilt),
        problems,
    })
}

/// Copies the replica to a new file and checks the copy. It blocks for as long as that takes.
pub fn backup(db: &Path, file: PathText) -> Result<BackupReport, Refusal> {
    let to = file.as_path();
    if !to.is_absolute() {
        return Err(Refusal::bad_request(format!("file: {file} is not an absolute path")));
    }
    check_target(to)?;
    let report = copy::backup(db, to)?;
    Ok(BackupReport { file, bytes: report.bytes, ops: report.ops, state_digest: hex::encode(report.digest) })
}

/// Refuses a name that is taken, and one in a directory that is not there or not to be written in.
fn check_target(to: &Path) -> Result<(), Refusal> {
    let no_file =
        |why: &str| Refusal::new(code::FILE_ERROR, format!("cannot write a backup to {}: {why}", to.display()));
    if to.symlink_metadata().is_ok() {
        return Err(no_file("it is there already, and a backup replaces nothing").hint("give a name that is not taken"));
    }
    let dir = to.parent().unwrap_or(Path::new("/"));
    let is_dir = dir.metadata().map(|found| found.is_dir());
    match is_dir.and_then(|is| access(dir, Access::WRITE_OK).map(|()| is).map_err(io::Error::from)) {
        Ok(true) => Ok(()),
        Ok(false) => Err(no_file(&format!("{} is not a directory", dir.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let hint = format!("make it first: mkdir -p '{}'", dir.display());
            Err(no_file(&format!("there is no directory {}", dir.display())).hint(hint))
        }
        Err(error) => {
            let hint = format!("may this user write in {}?", dir.display());
            Err(no_file(&error.to_string()).hint(hint))
        }
    }
}
