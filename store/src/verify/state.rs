//! Compares every node with what the log makes of it, and the digest with the nodes.

use super::derived::Expected;
use super::report::{Found, Part};
use super::{Depth, derived};
use crate::apply::text_hash;
use crate::body::Document;
use crate::digest;
use crate::error::Result;
use crate::id::NodeId;
use crate::merge::NodeState;
use crate::node::row_hash;
use crate::sqlite::state::NodeRow;
use crate::sqlite::{check, state};
use crate::writer::unpack;
use rusqlite::Connection;
use std::collections::BTreeMap;

/// How many nodes are read at a time.
const BATCH: usize = 512;

/// How far the nodes are compared.
pub(super) struct Compare {
    after: i64,
    sums: BTreeMap<u8, [u8; 32]>,
    expected: Expected,
    depth: Depth,
}

impl Compare {
    /// Before the first node.
    pub fn begin(depth: Depth) -> Self {
        Self { after: 0, sums: BTreeMap::new(), expected: Expected::default(), depth }
    }

    /// Compares a batch, with what the log makes of it as far as that is known. Returns whether there is more.
    pub fn step(&mut self, db: &Connection, derived: Option<&Connection>, found: &mut Found) -> Result<bool> {
        let read = state::nodes_after(db, self.after, BATCH);
        let rows = found.tolerate(Part::State, "the state", read)?.unwrap_or_default();
        if let Some(last) = rows.last() {
            self.after = last.id;
            for row in rows {
                let compared = self.node(db, derived, &row, found);
                if let Some(hash) = found.tolerate(Part::State, &format!("node {}", row.node), compared)?.flatten() {
                    digest::add(self.sums.entry(digest::bucket(row.node)).or_default(), &hash);
                }
                found.nodes += 1;
            }
            return Ok(true);
        }
        let ended = self.end(db, derived, found);
        found.tolerate(Part::State, "the state", ended)?;
        Ok(false)
    }

    /// Compares a node, and returns its part of the digest, if it has one.
    fn node(
        &mut self,
        db: &Connection,
        derived: Option<&Connection>,
        row: &NodeRow,
        found: &mut Found,
    ) -> Result<Option<[u8; 32]>> {
        let (node, stored) = (row.node, unpack(&row.state)?);
        let hash = part(node, &stored);
        if let Some(derived) = derived {
            let again = state::node(derived, node)?;
            let made = again.as_ref().map(|row| unpack(&row.state)).transpose()?.unwrap_or_default();
            // What is only of this program's own working is compared where all is.
            if hash != part(node, &made) || (self.depth == Depth::Deep && stored != made) {
                found.problem(Part::State, format!("the state of node {node} is not what its ops say"));
            }
            if hash.is_some() && check::columns(db, node)? != check::columns(derived, node)? {
                found.problem(Part::Index, format!("the columns of node {node} are not what its state says"));
            }
            if self.depth == Depth::Deep {
                let touching = again.map_or(Ok(Vec::new()), |again| check::touching(derived, again.id))?;
                if check::touching(db, row.id)? != touching {
                    found.problem(Part::State, format!("which ops are on node {node} is not what the log says"));
                }
            }
        }
        found.problems(Part::Texts, check_bodies(db, row, &stored)?);
        found.texts += stored.bodies.len() as u64;
        if self.depth == Depth::Deep {
            found.problems(Part::Texts, check_leftover(db, row, &stored)?);
            self.expected.check_node(db, row, &stored, found)?;
        }
        Ok(hash)
    }

    fn end(&self, db: &Connection, again: Option<&Connection>, found: &mut Found) -> Result<()> {
        for bucket in 0..=u8::MAX {
            let stored = state::bucket(db, bucket)?;
            if stored != self.sums.get(&bucket).copied().unwrap_or_default() {
                found.problem(Part::State, format!("bucket {bucket} of the state digest is not the sum of its nodes"));
            }
            if again.map_or(Ok(stored), |again| state::bucket(again, bucket))? != stored {
                found.problem(Part::State, format!("bucket {bucket} of the state digest is not what the log says"));
            }
        }
        if let Some(again) = again {
            derived::compare_counts(db, again, found)?;
        }
        if self.depth == Depth::Deep {
            self.expected.check_strays(db, found)?;
            if let Some(again) = again {
                derived::compare_rows(db, again, found)?;
                check_absent(db, again, found)?;
            }
        }
        Ok(())
    }
}

/// Names the nodes that the log makes and that are not here.
fn check_absent(db: &Connection, derived: &Connection, found: &mut Found) -> Result<()> {
    let mut after = 0;
    loop {
        let rows = state::nodes_after(derived, after, BATCH)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = last.id;
        for row in rows {
            if part(row.node, &unpack(&row.state)?).is_some() && state::node(db, row.node)?.is_none() {
                found.problem(Part::State, format!("node {} is missing from the state", row.node));
            }
        }
    }
}

/// Whether the stored bodies of a node are those of its state: a sentence for each that is not.
pub(crate) fn check_bodies(db: &Connection, row: &NodeRow, state: &NodeState) -> Result<Vec<String>> {
    let bodies = check::bodies(db, row.id)?;
    let mut wrong = Vec::new();
    if !bodies.iter().map(|body| body.generation).eq(state.bodies.iter().map(|body| body.generation)) {
        wrong.push(format!("the bodies of node {} are not those of its state", row.node));
    }
    for body in &bodies {
        let known = state.body(body.generation).is_some_and(|known| known.text == text_hash(&body.text));
        let made = Document::load(&body.document).is_ok_and(|document| document.text() == body.text);
        if !(known && made) {
            wrong.push(format!("the text of node {} is not what its edits make", row.node));
        }
    }
    Ok(wrong)
}

/// Whether what found no place in a text is what the state says.
fn check_leftover(db: &Connection, row: &NodeRow, state: &NodeState) -> Result<Vec<String>> {
    let bodies = check::bodies(db, row.id)?.into_iter();
    let is_other = |body: &check::BodyRow| {
        let known = state.body(body.generation).and_then(|known| known.leftover);
        Document::load(&body.document).is_ok_and(|document| text_hash(document.leftover()) != known)
    };
    let words = |_| format!("what is left over of the text of node {} is not what its edits make", row.node);
    Ok(bodies.filter(is_other).map(words).collect())
}

/// A node's part of the digest, if it has one.
pub(super) fn part(node: NodeId, state: &NodeState) -> Option<[u8; 32]> {
    (!crate::flush::is_empty(state)).then(|| row_hash(node, state))
}
