//! Questions that the exchange with another replica asks: what is here, what the other side lacks, and the pages that
//! carry it.

use crate::digest;
use crate::error::Result;
use crate::id::{LogId, OpRef, Origin, Seq};
use crate::merge::RULES_VERSION;
use crate::page::{self, PAGE_OPS_MAX, PackedStretch};
use crate::read::View;
use crate::replica::Cursor;
use crate::sqlite::log::{self, LogRow, StretchRow};
use crate::sqlite::{derived, held, meta, state};
use crate::vector::{Tip, Vector};
use std::collections::BTreeMap;

/// What a replica holds, in numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// How many ops: the position of the last.
    pub head: u64,
    /// The rolling hash of the log up to there.
    pub roll: [u8; 32],
    /// Ops that this version cannot read.
    pub held: u64,
    /// Ops that came without a value and without an erase.
    pub missing: u64,
    /// Nodes that await a choice.
    pub conflicts: u64,
    /// The version of the merge rules that made the state.
    pub rules_version: u32,
    /// The digest of the state.
    pub digest: [u8; 32],
}

/// How far each chain is held by the other side, by this file's own numbering of chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<i64, u64>);

impl Coverage {
    fn note(&mut self, chain: i64, upto: u64) {
        let known = self.0.entry(chain).or_default();
        *known = (*known).max(upto);
    }

    fn holds(&self, chain: i64, seq: u64) -> bool {
        self.0.get(&chain).is_some_and(|upto| seq <= *upto)
    }
}

/// An encoded page and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageOut {
    /// The page, see [`page`].
    pub bytes: Vec<u8>,
    /// How many ops it holds; never 0.
    pub ops: u64,
    /// The position of its last op in this file's log.
    pub position: u64,
    /// The rolling hash of the log up to there.
    pub roll: [u8; 32],
}

impl View<'_> {
    /// What is here, in numbers.
    pub fn summary(&self) -> Result<Summary> {
        let (head, held, missing) = log::counts(self.db)?;
        let (_, roll) = self.end()?;
        let conflicts = derived::conflicted_count(self.db)?;
        let digest = digest::total(&self.buckets()?);
        Ok(Summary { head, roll, held, missing, conflicts, rules_version: RULES_VERSION, digest })
    }

    /// The position and rolling hash at the end of the log.
    pub fn end(&self) -> Result<(u64, [u8; 32])> {
        let last = log::stretch_before(self.db, i64::MAX)?;
        Ok(last.map_or((0, [0; 32]), |stretch| (stretch.last.unsigned_abs(), stretch.roll)))
    }

    /// The tips of every chain.
    pub fn vector(&self) -> Result<Vector> {
        let mut vector = Vector::default();
        log::tips(self.db, |origin, seq, id| vector.insert(origin, Tip { seq, id }))?;
        Ok(vector)
    }

    /// The digest's buckets.
    pub fn buckets(&self) -> Result<Vec<[u8; 32]>> {
        state::buckets(self.db)
    }

    /// How far another log was read.
    pub fn cursor(&self) -> Result<Option<Cursor>> {
        let Some(packed) = meta::get::<Vec<u8>>(self.db, "cursor")? else { return Ok(None) };
        let parse = || {
            let (log, rest) = packed.split_first_chunk::<16>()?;
            let (position, rest) = rest.split_first_chunk::<8>()?;
            let roll = rest.try_into().ok()?;
            Some(Cursor { log_id: LogId::from_bytes(*log), position: u64::from_be_bytes(*position), roll })
        };
        Ok(parse())
    }

    /// Whether a cursor is a position in this very log.
    pub fn position_is(&self, cursor: &Cursor) -> Result<bool> {
        if cursor.log_id != self.log_id()? {
            return Ok(false);
        }
        if cursor.position == 0 {
            return Ok(cursor.roll == [0; 32]);
        }
        let Ok(position) = i64::try_from(cursor.position) else { return Ok(false) };
        Ok(log::stretch_at(self.db, position)?.is_some_and(|stretch| stretch.roll == cursor.roll))
    }

    /// Whether an op is here.
    pub fn holds(&self, origin: Origin, tip: &Tip) -> Result<bool> {
        Ok(self.branches().find(origin, tip.seq, |id| *id == tip.id)?.is_some())
    }

    /// What someone with these tips holds of this log; tips that are not here are returned.
    pub fn coverage(&self, vector: &Vector) -> Result<(Coverage, Vec<(Origin, Tip)>)> {
        let branches = self.branches();
        let (mut coverage, mut unknown) = (Coverage::default(), Vec::new());
        for (origin, tips) in vector.iter() {
            for tip in tips {
                match branches.find(origin, tip.seq, |id| *id == tip.id)? {
                    None => unknown.push((origin, *tip)),
                    Some((_, chain)) => {
                        let lineage = branches.lineage(origin, &chain, tip.seq)?;
                        lineage.into_iter().for_each(|(chain, upto)| coverage.note(chain, upto));
                    }
                }
            }
        }
        Ok((coverage, unknown))
    }

    /// How many ops of this log someone with that coverage lacks.
    pub fn count_lacking(&self, coverage: &Coverage) -> Result<u64> {
        let mut lacking = 0;
        for (chain, tip, fork) in log::chain_spans(self.db)? {
            let held = coverage.0.get(&chain).copied().unwrap_or_default().max(fork);
            lacking += tip.saturating_sub(held);
        }
        Ok(lacking)
    }

    /// The first position at which something is lacking, less one; the end of the log if nothing is.
    fn first_lacking(&self, coverage: &Coverage) -> Result<i64> {
        let mut first = log::head(self.db)?;
        for (chain, tip, fork) in log::chain_spans(self.db)? {
            let held = coverage.0.get(&chain).copied().unwrap_or_default().max(fork);
            if held < tip
                && let Some((pos, _)) = log::find(self.db, chain, held + 1)?
            {
                first = first.min(pos - 1);
            }
        }
        Ok(first)
    }

    /// The next page in log order after `position`, without the stretches that `coverage` holds; `None` if nothing is
    /// left. The page holds about `bytes` bytes, at least one stretch.
    pub fn page_after(&self, position: u64, coverage: &Coverage, bytes: usize) -> Result<Option<PageOut>> {
        let mut after = i64::try_from(position).unwrap_or(i64::MAX).max(self.first_lacking(coverage)?);
        let (mut stretches, mut size, mut ops) = (Vec::new(), 0, 0);
        let mut end = None;
        while let Some(stretch) = log::stretch_after(self.db, after)? {
            if self.is_lacking(&stretch, coverage)? {
                let packed = self.packed(&stretch)?;
                let grown = size + packed.bytes();
                if !stretches.is_empty() && (grown > bytes || ops + packed.ops.len() > PAGE_OPS_MAX) {
                    break;
                }
                (size, ops) = (grown, ops + packed.ops.len());
                stretches.push(packed);
                end = Some((stretch.last, stretch.roll));
            } else if let Some(end) = &mut end {
                *end = (stretch.last, stretch.roll);
            }
            after = stretch.last;
        }
        Ok(end.map(|(last, roll)| {
            let bytes = page::encode(&stretches);
            PageOut { bytes, ops: ops as u64, position: last.unsigned_abs(), roll }
        }))
    }

    fn is_lacking(&self, stretch: &StretchRow, coverage: &Coverage) -> Result<bool> {
        let place = log::chain_at(self.db, stretch.last)?;
        Ok(place.is_some_and(|(chain, seq)| !coverage.holds(chain, seq)))
    }

    fn packed(&self, stretch: &StretchRow) -> Result<PackedStretch> {
        let before = log::stretch_before(self.db, stretch.last)?.map_or(0, |before| before.last);
        let rows: Vec<LogRow> = log::rows(self.db, before + 1, stretch.last)?;
        let ends = rows.first().zip(rows.last());
        let (first, last) = ends.ok_or(crate::codec::Malformed("a stretch without an op"))?;
        let (place, last) = (log::place(self.db, first)?, last.id);
        Ok(PackedStretch {
            place,
            last,
            ops: rows.into_iter().map(|row| row.packed).collect(),
            signature: stretch.signature,
        })
    }

    /// Ops of a chain at doubling distances before `tip`, the tip first, number 1 last: for finding where two branches
    /// part.
    pub fn samples(&self, origin: Origin, tip: &Tip) -> Result<Vec<Tip>> {
        let branches = self.branches();
        let Some((_, chain)) = branches.find(origin, tip.seq, |id| *id == tip.id)? else { return Ok(Vec::new()) };
        let lineage = branches.lineage(origin, &chain, tip.seq)?;
        let mut samples = Vec::new();
        let mut distance = 0;
        loop {
            let number = tip.seq.get().saturating_sub(distance).max(1);
            samples.extend(self.on_lineage(&lineage, number)?);
            if number == 1 {
                return Ok(samples);
            }
            distance = (distance * 2).max(1);
        }
    }

    /// Ops between two numbers of the chain that ends in `tip`, at most `max`, evenly spread, the newest first.
    pub fn between(&self, origin: Origin, tip: &Tip, low: Seq, high: Seq, max: usize) -> Result<Vec<Tip>> {
        let branches = self.branches();
        let Some((_, chain)) = branches.find(origin, tip.seq, |id| *id == tip.id)? else { return Ok(Vec::new()) };
        let lineage = branches.lineage(origin, &chain, tip.seq)?;
        let (low, high) = (low.get(), high.get().min(tip.seq.get()));
        let step = (high.saturating_sub(low) / max.max(1) as u64).max(1);
        let mut samples = Vec::new();
        let mut number = high;
        while number >= low.max(1) && samples.len() < max {
            samples.extend(self.on_lineage(&lineage, number)?);
            number = number.saturating_sub(step);
        }
        Ok(samples)
    }

    fn on_lineage(&self, lineage: &[(i64, u64)], number: u64) -> Result<Option<Tip>> {
        for (chain, _) in lineage.iter().filter(|(_, upto)| number <= *upto) {
            if let Some((_, id)) = log::find(self.db, *chain, number)? {
                return Ok(Seq::new(number).map(|seq| Tip { seq, id }));
            }
        }
        Ok(None)
    }

    /// Ops that came without a value and without an erase, at most `limit`: to be asked for again.
    pub fn missing(&self, limit: usize) -> Result<Vec<OpRef>> {
        Ok(self.missing_after(0, limit)?.0)
    }

    /// The same of those behind a position of the log, with the position of the last of them.
    pub fn missing_after(&self, position: u64, limit: usize) -> Result<(Vec<OpRef>, u64)> {
        let after = i64::try_from(position).unwrap_or(i64::MAX);
        let positions = log::missing_ops(self.db, after, limit)?;
        let last = positions.last().map_or(position, |last| last.unsigned_abs());
        let mut refs = Vec::with_capacity(positions.len());
        for pos in positions {
            refs.extend(self.reference_at(pos)?);
        }
        Ok((refs, last))
    }

    fn reference_at(&self, pos: i64) -> Result<Option<OpRef>> {
        let Some(row) = log::row(self.db, pos)? else { return Ok(None) };
        let (origin, _) = log::chain_origin(self.db, row.chain)?;
        Ok(Some(OpRef::new(origin, row.seq, &row.id)))
    }

    /// A page with the stretches that these ops are in, as far as they are here and fit.
    pub fn stretches_of(&self, ops: &[OpRef]) -> Result<Vec<u8>> {
        let mut stretches = BTreeMap::new();
        let mut size = 0;
        for op in ops {
            let Some((pos, _)) = self.branches().locate(op)? else { continue };
            let Some(stretch) = log::stretch_after(self.db, pos - 1)? else { continue };
            if stretches.contains_key(&stretch.last) {
                continue;
            }
            let packed = self.packed(&stretch)?;
            size += packed.bytes();
            if size > page::PAGE_BYTES_AIM && !stretches.is_empty() {
                break;
            }
            stretches.insert(stretch.last, packed);
        }
        Ok(page::encode(&stretches.into_values().collect::<Vec<_>>()))
    }

    /// The held ops, with why.
    pub fn held(&self) -> Result<Vec<(OpRef, String)>> {
        let mut held = Vec::new();
        for (pos, why) in held::held(self.db)? {
            held.extend(self.reference_at(pos)?.map(|op| (op, why)));
        }
        Ok(held)
    }
}
