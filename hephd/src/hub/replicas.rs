//! `OwnerId` → the one open file. Nothing here knows of identities.
//!
//! The first owner's replica is the file that `--db` names; the control file says which others lie beside it. A replica
//! names its owner itself, so that the control file can be lost: at the next start it is written anew.

use super::{
    control::{Control, OwnerFile},
    events::Feed,
    owner::Owners,
};
use crate::{
    config::{CONTROL_FILE, ServerConfig},
    deep_check::DeepCheck,
    lock::Lock,
    writer::{Readers, Writer},
};
use anyhow::Context;
use futures_util::future::{join_all, select_all};
use heph_store::{
    env::{Env, random},
    id::{LogId, OwnerId},
    replica::Replica,
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// One owner's replica, open.
pub struct HubReplica {
    /// Whose it is.
    pub owner: OwnerId,
    /// Names its log.
    pub log_id: LogId,
    /// The door to its one writer.
    pub writer: Writer,
    /// The door to its readers.
    pub readers: Readers,
    /// Who wants to know that its head moved.
    pub feed: Feed,
    /// What checks it.
    pub deep_check: DeepCheck,
    _lock: Lock,
}

/// All replicas of a hub. Clones share them.
#[derive(Clone)]
pub struct Replicas {
    by_owner: Arc<BTreeMap<OwnerId, Arc<HubReplica>>>,
}

impl Replicas {
    /// Opens the replica of every owner, making the first at the first start. Feeds are started on the runtime.
    ///
    /// # Errors
    /// If a file cannot be opened or is in use, or files and control file contradict each other.
    pub fn open(config: &ServerConfig, env: &Arc<dyn Env>) -> anyhow::Result<(Self, Owners)> {
        let file = file_name(&config.db)?;
        let lock = Lock::take(&config.db)?;
        // Neither file is made before the one that is there has been looked at.
        if config.control.exists() {
            check_directory(&owners_in(&Control::open(&config.control)?)?, &file)?;
        }
        let mut replica = Replica::open(&config.db, env.clone())?;
        let control = Control::open(&config.control)?;
        let rows = owners_in(&control)?;
        let first = first_owner(&mut replica, &rows, &file, &**env)?;
        if rows.is_empty() {
            let row = OwnerFile { owner: first, file: file.clone() };
            control.add(&row, env.now().get()).context("cannot write the hub's control file")?;
        }
        let mut by_owner = BTreeMap::from([(first, Arc::new(HubReplica::start(first, replica, lock, env)?))]);
        for row in rows.into_iter().filter(|row| row.file != file) {
            let path = config.db.with_file_name(&row.file);
            let replica = further(&path, row.owner, env).with_context(|| format!("the replica {}", path.display()))?;
            by_owner.insert(row.owner, Arc::new(replica));
        }
        Ok((Self { by_owner: Arc::new(by_owner) }, Owners { first }))
    }

    /// Returns the replica of an owner.
    pub fn get(&self, owner: OwnerId) -> Option<Arc<HubReplica>> {
        self.by_owner.get(&owner).cloned()
    }

    /// Returns all of them.
    pub fn all(&self) -> Vec<Arc<HubReplica>> {
        self.by_owner.values().cloned().collect()
    }

    /// Returns whether every replica can be read.
    pub async fn are_ready(&self) -> bool {
        let asked = self.by_owner.values().map(|replica| replica.readers.read(|view| view.end().is_ok()));
        join_all(asked).await.into_iter().all(|answer| answer.unwrap_or(false))
    }

    /// Waits until a writer has ended.
    pub async fn ended(&self) {
        select_all(self.by_owner.values().map(|replica| Box::pin(replica.writer.ended()))).await;
    }

    /// Finishes what is queued, and lets go of all files.
    pub async fn stop(&self) {
        self.by_owner.values().for_each(|replica| replica.readers.close());
        join_all(self.by_owner.values().map(|replica| replica.writer.stop())).await;
    }
}

impl HubReplica {
    fn start(owner: OwnerId, replica: Replica, lock: Lock, env: &Arc<dyn Env>) -> anyhow::Result<Self> {
        let (log_id, db) = (replica.log_id(), replica.path().to_owned());
        let readers = Readers::new(db.clone());
        let writer = Writer::start(replica)?;
        let feed = Feed::start(log_id, readers.clone(), writer.subscribe());
        let deep_check = DeepCheck::new(db, writer.clone(), readers.clone(), env.clone());
        Ok(Self { owner, log_id, writer, readers, feed, deep_check, _lock: lock })
    }
}

fn owners_in(control: &Control) -> anyhow::Result<Vec<OwnerFile>> {
    control.owners().context("cannot read the hub's control file")
}

/// Refuses a directory in which another hub lives.
fn check_directory(rows: &[OwnerFile], file: &str) -> anyhow::Result<()> {
    match rows.first() {
        Some(other) if rows.iter().all(|row| row.file != file) => anyhow::bail!(
            "the {CONTROL_FILE} beside {file} belongs to the hub of {}; give each hub a directory of its own \
             (or, if {file} is the same hub under a new name, move {CONTROL_FILE} away: it is written anew)",
            other.file
        ),
        _ => Ok(()),
    }
}

/// The first owner: who the replica says, else who the control file says, else a fresh one.
fn first_owner(replica: &mut Replica, rows: &[OwnerFile], file: &str, env: &dyn Env) -> anyhow::Result<OwnerId> {
    let known = rows.iter().find(|row| row.file == file).map(|row| row.owner);
    match (replica.owner()?, known) {
        (Some(owner), Some(known)) if owner != known => anyhow::bail!(
            "{file} is another owner's replica than {CONTROL_FILE} beside it says; put the right one back, \
             or move {CONTROL_FILE} away to go on with this one"
        ),
        (Some(owner), _) => Ok(owner),
        (None, known) => {
            let owner = known.unwrap_or_else(|| OwnerId::from_bytes(random(env)));
            replica.set_owner(owner)?;
            Ok(owner)
        }
    }
}

/// Opens the replica of an owner that is not the first.
fn further(path: &Path, owner: OwnerId, env: &Arc<dyn Env>) -> anyhow::Result<HubReplica> {
    let lock = Lock::take(path)?;
    let mut replica = Replica::open(path, env.clone())?;
    match replica.owner()? {
        Some(found) if found != owner => anyhow::bail!("it is another owner's than {CONTROL_FILE} says"),
        Some(_) => {}
        None => replica.set_owner(owner)?,
    }
    HubReplica::start(owner, replica, lock, env)
}

fn file_name(db: &Path) -> anyhow::Result<String> {
    let name = db.file_name().and_then(|name| name.to_str());
    name.map(str::to_owned).with_context(|| format!("the name of {} is not UTF-8", db.display()))
}
