//! Compares the search index with titles and texts, word by word: what ought to be indexed is indexed again, a few
//! nodes at a time, in memory. Per node one number is kept, the sum over all its words and their places, so that the order in
//! which the index is read does not matter.

use super::report::{Found, Part};
use crate::error::Result;
use crate::field::TITLE;
use crate::sqlite::{check, derived, state, vocabulary};
use crate::writer::unpack;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// How many nodes are compared in one reading of the index.
const WINDOW: usize = 262_144;
/// How many nodes, and how many bytes of text, are indexed at a time.
const BATCH: usize = 512;
const BATCH_BYTES: usize = 4 << 20;
/// How many places of words are read at a time.
const PLACES: usize = 65_536;
/// How many rows that are no node's are named.
const STRAYS_MAX: usize = 50;

/// How far the index is compared.
pub(super) struct Search {
    /// An index for what ought to be there.
    memory: Connection,
    /// The rows of the nodes in hand, ascending, each with what ought to be indexed of it less what is.
    window: Vec<(i64, u64)>,
    /// The last row of those before.
    before: i64,
    reading: Reading,
    /// How many nodes ought to be indexed.
    indexed: i64,
    strays: BTreeSet<i64>,
}

enum Reading {
    Nodes,
    /// The index, from a word on; whether the window ends with the last node.
    Words(Vec<u8>, bool),
}

impl Search {
    /// Before the first node.
    pub fn begin(db: &Connection) -> Result<Self> {
        vocabulary::open(db)?;
        let (window, before, reading) = (Vec::new(), i64::MIN, Reading::Nodes);
        let (memory, strays) = (vocabulary::like(db)?, BTreeSet::new());
        Ok(Self { memory, window, before, reading, indexed: 0, strays })
    }

    /// How many nodes of the window are read.
    pub fn done(&self) -> u64 {
        self.window.len() as u64
    }

    /// Goes on. Returns whether there is more.
    pub fn step(&mut self, db: &Connection, found: &mut Found) -> Result<bool> {
        match &self.reading {
            Reading::Nodes => {
                let ended = self.read_nodes(db)?;
                if ended || self.window.len() >= WINDOW {
                    self.reading = Reading::Words(Vec::new(), ended);
                }
                Ok(true)
            }
            Reading::Words(from, ended) => {
                let (from, ended) = (from.clone(), *ended);
                if let Some(next) = self.read_words(db, &from, ended, found)? {
                    self.reading = Reading::Words(next, ended);
                    return Ok(true);
                }
                self.judge(db, found)?;
                self.reading = Reading::Nodes;
                if ended {
                    self.end(db, found)?;
                }
                Ok(!ended)
            }
        }
    }

    /// Indexes a batch of nodes in memory. Returns whether it was the last.
    fn read_nodes(&mut self, db: &Connection) -> Result<bool> {
        let after = self.window.last().map_or(self.before, |(row, _)| *row);
        let rows = state::nodes_after(db, after, BATCH)?;
        let (ended, first) = (rows.is_empty(), self.window.len());
        let mut bytes = 0;
        check::begin(&self.memory)?;
        for row in rows {
            // What cannot be read was said of the state already.
            let state = unpack(&row.state).unwrap_or_default();
            let title = state.text(TITLE).unwrap_or_default();
            let text = state::text(db, row.id, state.generation())?.unwrap_or_default();
            derived::put_search(&self.memory, row.id, false, title, &text)?;
            self.window.push((row.id, 0));
            self.indexed += i64::from(!(title.is_empty() && text.is_empty()));
            bytes += title.len() + text.len();
            if bytes > BATCH_BYTES {
                break;
            }
        }
        check::commit(&self.memory)?;
        let batch = &mut self.window[first..];
        vocabulary::each(&self.memory, &[], usize::MAX, |doc, place| {
            if let Ok(at) = batch.binary_search_by_key(&doc, |(row, _)| *row) {
                batch[at].1 = batch[at].1.wrapping_add(place);
            }
            Ok(())
        })?;
        vocabulary::clear(&self.memory)?;
        Ok(ended)
    }

    /// Reads a part of the index. Returns with which word to go on.
    fn read_words(&mut self, db: &Connection, from: &[u8], ended: bool, found: &mut Found) -> Result<Option<Vec<u8>>> {
        let Self { window, before, strays, .. } = self;
        let last = if ended { i64::MAX } else { window.last().map_or(*before, |(row, _)| *row) };
        vocabulary::each(db, from, PLACES, |doc, place| {
            if (doc <= *before && *before != i64::MIN) || doc > last {
                return Ok(());
            }
            found.words += 1;
            match window.binary_search_by_key(&doc, |(row, _)| *row) {
                Ok(at) => window[at].1 = window[at].1.wrapping_sub(place),
                Err(_) if strays.len() < STRAYS_MAX => drop(strays.insert(doc)),
                Err(_) => {}
            }
            Ok(())
        })
    }

    /// Names the nodes of the window whose words are not those of their title and text.
    fn judge(&mut self, db: &Connection, found: &mut Found) -> Result<()> {
        self.before = self.window.last().map_or(self.before, |(row, _)| *row);
        for (row, _) in std::mem::take(&mut self.window).into_iter().filter(|(_, sum)| *sum != 0) {
            let node = check::node_at(db, row)?.map_or_else(|| format!("in row {row}"), |node| node.to_string());
            found.problem(Part::Index, format!("the search index of node {node} is not what its title and text say"));
        }
        Ok(())
    }

    fn end(&mut self, db: &Connection, found: &mut Found) -> Result<()> {
        for row in &self.strays {
            found.problem(Part::Index, format!("the search index has words in row {row}, which is no node's"));
        }
        let rows = check::count(db, "search")?;
        if rows != self.indexed {
            let words = format!("the search index has {rows} rows, and {} nodes have a title or a text", self.indexed);
            found.problem(Part::Index, words);
        }
        Ok(())
    }
}
