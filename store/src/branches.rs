//! Where ops stand: which chain or branch holds an op, and whether one op is behind another on its chain.
//! What is read from the file is kept per origin until the writer rolls back.

use crate::derive::Kept;
use crate::error::{Error, Result};
use crate::id::{OpId, OpRef, Origin, Seq};
use crate::merge::Chains;
use crate::sqlite::log::{self, Chain, OriginRow};
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

/// How many origins are remembered before all are forgotten.
const ORIGINS_KEPT: usize = 4_096;

/// What is known of the chains of the origins met so far, and of ops that are looked at again and again.
#[derive(Debug, Default)]
pub struct Known {
    origins: RefCell<HashMap<Origin, Option<Arc<OriginRow>>>>,
    pub(crate) ops: Kept,
}

impl Known {
    /// Forgets everything, after a roll-back.
    pub fn clear(&self) {
        self.origins.borrow_mut().clear();
        self.ops.clear();
    }

    /// Moves the tip of a chain that is remembered. Nobody may hold the origin's row meanwhile, or it is copied.
    pub fn moved(&self, origin: Origin, chain: i64, seq: Seq, tip: OpId) {
        if let Some(Some(row)) = self.origins.borrow_mut().get_mut(&origin)
            && let Ok(at) = row.at(chain)
        {
            let known = &mut Arc::make_mut(row).chains[at];
            (known.tip_seq, known.tip) = (seq.get(), tip);
        }
    }

    /// Adds the newest chain of an origin that is remembered; one that was not here is looked up again. Nobody may hold
    /// the origin's row meanwhile, or it is copied.
    pub fn began(&self, origin: Origin, chain: Chain) {
        let mut origins = self.origins.borrow_mut();
        match origins.get_mut(&origin) {
            Some(Some(row)) => Arc::make_mut(row).chains.push(chain),
            _ => drop(origins.remove(&origin)),
        }
    }
}

/// A view of the chains through one connection.
pub struct Branches<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) known: &'a Known,
    failed: RefCell<Option<Error>>,
}

impl<'a> Branches<'a> {
    /// A view through `db`.
    pub fn new(db: &'a Connection, known: &'a Known) -> Self {
        Self { db, known, failed: RefCell::new(None) }
    }

    /// The first failure of the database during calls that cannot return one.
    pub fn finish(self) -> Result<()> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    /// An origin with its chains.
    pub fn origin(&self, origin: Origin) -> Result<Option<Arc<OriginRow>>> {
        if let Some(row) = self.known.origins.borrow().get(&origin) {
            return Ok(row.clone());
        }
        let row = log::origin(self.db, origin)?.map(Arc::new);
        let mut known = self.known.origins.borrow_mut();
        if known.len() >= ORIGINS_KEPT {
            known.clear();
        }
        known.insert(origin, row.clone());
        Ok(row)
    }

    /// Position and chain of an op by origin, number and a test of its hash.
    pub fn find(&self, origin: Origin, seq: Seq, is_it: impl Fn(&OpId) -> bool) -> Result<Option<(i64, Chain)>> {
        let Some(row) = self.origin(origin)? else { return Ok(None) };
        for chain in row.chains.iter().filter(|chain| chain.fork_seq < seq.get() && seq.get() <= chain.tip_seq) {
            // The tips are known, so that of many branches only one is looked up.
            if chain.tip_seq == seq.get() && !is_it(&chain.tip) {
                continue;
            }
            if let Some((pos, id)) = log::find(self.db, chain.id, seq.get())?
                && is_it(&id)
            {
                return Ok(Some((pos, chain.clone())));
            }
        }
        Ok(None)
    }

    /// Position and chain of the op that a reference names.
    pub fn locate(&self, op: &OpRef) -> Result<Option<(i64, Chain)>> {
        self.find(op.origin, op.seq, |id| id.prefix() == op.prefix)
    }

    /// For each chain behind an op of `chain` with number `seq`, how far it is behind: `(chain, number)`.
    pub fn lineage(&self, origin: Origin, chain: &Chain, seq: Seq) -> Result<Vec<(i64, u64)>> {
        let mut lineage = vec![(chain.id, seq.get())];
        let row = self.origin(origin)?;
        let mut next = chain.parent.map(|parent| (parent, chain.fork_seq));
        while let Some((id, upto)) = next {
            lineage.push((id, upto));
            let parent = row.as_ref().and_then(|row| row.at(id).ok().map(|at| &row.chains[at]));
            next = parent.and_then(|known| known.parent.map(|parent| (parent, known.fork_seq.min(upto))));
        }
        Ok(lineage)
    }

    fn is_behind(&self, newer: &OpRef, older: &OpRef) -> Result<bool> {
        let Some(row) = self.origin(newer.origin)? else { return Ok(false) };
        if let [only] = row.chains.as_slice()
            && only.tip_seq == newer.seq.get()
        {
            return Ok(only.tip.prefix() == newer.prefix);
        }
        let Some((_, chain)) = self.locate(newer)? else { return Ok(false) };
        if row.chains.len() == 1 {
            return Ok(true);
        }
        let Some((_, its)) = self.locate(older)? else { return Ok(false) };
        let lineage = self.lineage(newer.origin, &chain, newer.seq)?;
        Ok(lineage.iter().any(|(id, upto)| *id == its.id && older.seq.get() <= *upto))
    }
}

impl Chains for Branches<'_> {
    /// `older` must be here; a `newer` that is not reaches only itself.
    fn reaches(&self, newer: &OpRef, older: &OpRef) -> bool {
        if newer == older {
            return true;
        }
        if newer.origin != older.origin || newer.seq <= older.seq {
            return false;
        }
        self.is_behind(newer, older).unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            false
        })
    }
}

#[cfg(test)]
mod tests;
