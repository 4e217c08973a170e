//! Where ops stand: which chain or branch holds an op, and whether one op is behind another on its chain.
//! What is read from the file is kept per origin until the writer rolls back.

use crate::error::{Error, Result};
use crate::id::{OpId, OpRef, Origin, Seq};
use crate::merge::Chains;
use crate::sqlite::log::{self, Chain, OriginRow};
use rusqlite::Connection;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// How many origins are remembered before all are forgotten.
const ORIGINS_KEPT: usize = 4_096;

/// What is known of the chains of the origins met so far.
#[derive(Debug, Default)]
pub struct Known(RefCell<HashMap<Origin, Option<Rc<OriginRow>>>>);

impl Known {
    /// Forgets an origin whose rows changed.
    pub fn forget(&self, origin: Origin) {
        self.0.borrow_mut().remove(&origin);
    }

    /// Forgets everything, after a roll-back.
    pub fn clear(&self) {
        self.0.borrow_mut().clear();
    }

    /// Moves the tip of a chain that is remembered.
    pub fn moved(&self, origin: Origin, chain: i64, seq: Seq, tip: OpId) {
        if let Some(Some(row)) = self.0.borrow_mut().get_mut(&origin) {
            for known in Rc::make_mut(row).chains.iter_mut().filter(|known| known.id == chain) {
                (known.tip_seq, known.tip) = (seq.get(), tip);
            }
        }
    }
}

/// A view of the chains through one connection.
pub struct Branches<'a> {
    db: &'a Connection,
    known: &'a Known,
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
    pub fn origin(&self, origin: Origin) -> Result<Option<Rc<OriginRow>>> {
        if let Some(row) = self.known.0.borrow().get(&origin) {
            return Ok(row.clone());
        }
        let row = log::origin(self.db, origin)?.map(Rc::new);
        let mut known = self.known.0.borrow_mut();
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
            let parent = row.iter().flat_map(|row| &row.chains).find(|known| known.id == id);
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
