//! The oracle: what a whole system must show, worked out apart from the code under test, and the checks that hold a
//! replica against it.
//!
//! It keeps every op that any replica was ever seen to hold, in memory, and derives from a set of them what a node
//! shows: the slow, obvious way, from the rules in `docs/design.md`. It shares with the store how an op is read from
//! its bytes, ids, field names and values, and the dates of a recurrence rule; texts it takes from `yrs`.
//!
//! ```text
//! oracle.begin("laptop");                              // a new file, or one that was put back or replaced
//! oracle.acknowledge("laptop", &written.ops, now);     // whenever anybody was told "it is written"
//! oracle.rewrote(&written.ops, before, after);         // whenever a text that somebody had read was written anew
//! oracle.undid(&written.ops, &undone.ops);
//! oracle.check_new("laptop", &reads)?;                 // after a step: what is new, and what it is on
//! oracle.check_all("laptop", &reads)?;                 // now and then, and after each start: everything
//! oracle.check_file("laptop", path, env)?;             // SQLite's own check, and `verify`
//! oracle.converged(&[("laptop", &reads), …])?;         // once the faults have stopped
//! ```

mod convergence;
mod file;
mod ledger;
mod model;
mod observed;
mod promises;
mod register;
mod search;
mod set;
mod sight;
mod state;
#[cfg(test)]
mod tests;
mod text;
mod violation;

pub use ledger::{Ledger, tokens};
pub use model::{Model, OpNumber};
pub use observed::{Fresh, Observed};
pub use promises::Promises;
pub use set::Set;
pub use sight::{Head, Shown, Sight};
pub use text::Text;
pub use violation::{Code, Violation};

use heph_store::env::Env;
use heph_store::id::{NodeId, OpRef, Origin};
use heph_store::read::{Reads, View};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;
use violation::{Stop, look};

/// The model, what was promised, what was typed, and how far each replica's log has been read.
#[derive(Default)]
pub struct Oracle {
    /// Every op that was ever seen.
    pub model: Model,
    /// Who typed which token, and who took it away.
    pub ledger: Ledger,
    /// Who was told that something is written.
    pub promises: Promises,
    replicas: BTreeMap<String, Observed>,
    may_conflict: BTreeSet<NodeId>,
}

impl Oracle {
    /// An oracle that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins to read a replica from its first op: it is new, or its file was put back, replaced or made anew. What was
    /// promised there still has to be there; see [`Oracle::excuse`].
    pub fn begin(&mut self, replica: &str) {
        self.replicas.insert(replica.to_owned(), Observed::new(replica));
        self.promises.look_again(replica);
    }

    /// Goes on reading a replica that has started anew from where it was left, if all that was read of it is still
    /// there by its rolling hash; else begins. For long runs, which would read whole logs after each start.
    pub fn resume(&mut self, replica: &str, reads: &Reads) -> Result<(), Violation> {
        let observed = self.replicas.get(replica);
        let is_as_left = observed.map(|observed| look(replica, reads, |view| observed.is_as_left(view)));
        match is_as_left.transpose()? {
            Some(true) => self.promises.look_again(replica),
            Some(false) | None => self.begin(replica),
        }
        Ok(())
    }

    /// Somebody was told that this replica holds these ops durably: a surface after a write, a spoke after a push.
    pub fn acknowledge(&mut self, replica: &str, ops: &[OpRef], at: u64) {
        self.promises.give(replica, ops, at);
    }

    /// What this replica has promised so far it may have lost: its disk was put back or thrown away, or had lied.
    pub fn excuse(&mut self, replica: &str) {
        self.replicas.remove(replica);
        self.promises.excuse(replica);
    }

    /// What this replica has promised is gone for good, and nobody is to blame: its disk was thrown away before anybody
    /// else had heard of it.
    pub fn write_off(&mut self, replica: &str) {
        self.promises.write_off(replica);
    }

    /// `ops` turned the text that their author had read, `before`, into `after` (of a body; registers say so
    /// themselves). `before` is what the author had on the screen: an older version if that was open; all texts side by
    /// side if a conflict was settled; what was last imported, if this is an import. `ops` are all ops of the action,
    /// or at least the first of them on the chain; none if it failed in a way that leaves open whether it was written.
    pub fn rewrote(&mut self, ops: &[OpRef], before: &str, after: &str) {
        self.ledger.rewrote(ops, before, after);
    }

    /// `ops` took back what the ops `undone` had done.
    pub fn undid(&mut self, ops: &[OpRef], undone: &[OpRef]) {
        self.ledger.undid(ops, undone);
    }

    /// Somebody who writes as this origin undid something, and it failed in a way that leaves open whether it was
    /// undone, and what: what their ops say of that is believed.
    pub fn undid_in_doubt(&mut self, origin: Origin) {
        self.ledger.undid_in_doubt(origin);
    }

    /// A node was written to from an old reading, or imported beside a text that was there, on purpose: a conflict on
    /// it is none out of nothing, even if one device alone made it.
    pub fn may_conflict(&mut self, node: NodeId) {
        self.may_conflict.insert(node);
    }

    /// Reads what is new in a replica's log and checks it: the chains, the vector, and the state of every node that the
    /// new ops are on or can have changed.
    pub fn check_new(&mut self, replica: &str, reads: &Reads) -> Result<Fresh, Violation> {
        let observed = self.replicas.entry(replica.to_owned()).or_insert_with(|| Observed::new(replica));
        let (model, ledger, promises) = (&mut self.model, &mut self.ledger, &mut self.promises);
        let may_conflict = &self.may_conflict;
        look(replica, reads, |view| {
            let fresh = read_on(observed, view, model, ledger)?;
            promises.check(replica, model, observed.set())?;
            let sight = model.at(observed.set(), observed.missing());
            for node in &fresh.touched {
                check_node(replica, view, &sight, ledger, may_conflict, *node)?;
            }
            Ok(fresh)
        })
    }

    /// As [`Oracle::check_new`], and then everything: the state of every node, lists, the promises, every token, the
    /// search index for some of them.
    pub fn check_all(&mut self, replica: &str, reads: &Reads) -> Result<(), Violation> {
        let observed = self.replicas.entry(replica.to_owned()).or_insert_with(|| Observed::new(replica));
        let (model, ledger, promises) = (&mut self.model, &mut self.ledger, &mut self.promises);
        let may_conflict = &self.may_conflict;
        look(replica, reads, |view| {
            read_on(observed, view, model, ledger)?;
            promises.look_again(replica);
            promises.check(replica, model, observed.set())?;
            let sight = model.at(observed.set(), observed.missing());
            let mut all = BTreeMap::new();
            for node in model.nodes(observed.set()) {
                all.insert(node, check_node(replica, view, &sight, ledger, may_conflict, node)?);
            }
            check_held(replica, view, &sight)?;
            search::check_lists(replica, view, &all)?;
            search::check_search(replica, view, &all)
        })
    }

    /// SQLite's `integrity_check`, and `verify`, of a replica's file.
    pub fn check_file(&self, replica: &str, path: &Path, env: Arc<dyn Env>) -> Result<(), Violation> {
        file::integrity(replica, path)?;
        file::verified(replica, path, env)
    }

    /// Replicas that should be in step hold the same ops, and show the same. Reads what is new first.
    pub fn converged(&mut self, replicas: &[(&str, &Reads)]) -> Result<(), Violation> {
        for (replica, reads) in replicas {
            self.check_new(replica, reads)?;
        }
        let observed: Vec<(&Observed, &Reads)> =
            replicas.iter().map(|(replica, reads)| (&self.replicas[*replica], *reads)).collect();
        convergence::check(&self.model, &observed)
    }

    /// Every op that any of these replicas ever promised, excused or not, is on at least one of them.
    pub fn nothing_is_gone(&self, replicas: &[&str]) -> Result<(), Violation> {
        let sets: Vec<(&str, &Set)> =
            replicas.iter().filter_map(|replica| Some((*replica, self.holds(replica)?))).collect();
        self.promises.check_together(&self.model, &sets)
    }

    /// The ops that a replica was last seen to hold.
    pub fn holds(&self, replica: &str) -> Option<&Set> {
        self.replicas.get(replica).map(Observed::set)
    }
}

/// Reads what is new, and finds the tokens in it.
fn read_on(observed: &mut Observed, view: &View<'_>, model: &mut Model, ledger: &mut Ledger) -> Result<Fresh, Stop> {
    let known = model.len();
    let fresh = observed.refresh(view, model)?;
    (known..model.len()).for_each(|number| ledger.scan(number as OpNumber, model));
    Ok(fresh)
}

/// Everything that can be asked about one node.
fn check_node(
    replica: &str,
    view: &View<'_>,
    sight: &Sight<'_>,
    ledger: &Ledger,
    may_conflict: &BTreeSet<NodeId>,
    node: NodeId,
) -> Result<Shown, Stop> {
    let shown = sight.state(node);
    state::check_node(replica, view, node, &shown)?;
    if !may_conflict.contains(&node) {
        state::check_no_phantom(replica, view, sight, node, &shown)?;
    }
    ledger.check_node(replica, view, sight, node)?;
    Ok(shown)
}

fn check_held(replica: &str, view: &View<'_>, sight: &Sight<'_>) -> Result<(), Stop> {
    let (found, expected) = (view.summary()?.held, sight.held());
    if found == expected {
        return Ok(());
    }
    let sentence = format!("it says that {found} ops have no effect, and there are {expected}");
    Err(Violation::new(Code::List, replica, sentence).into())
}
