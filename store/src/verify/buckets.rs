//! Compares the state digest with another replica's, bucket by bucket: which nodes two that hold the same ops make
//! otherwise, as far as sums can tell.

use super::state::part;
use crate::digest;
use crate::error::Result;
use crate::id::NodeId;
use crate::read::View;
use crate::sqlite::state;
use crate::writer::unpack;

/// How many nodes are read at a time.
const BATCH: usize = 512;

/// What of two digests differs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The buckets.
    pub buckets: Vec<u8>,
    /// Nodes here in these buckets, the first of them: at least one of each bucket differs, or lacks on one side.
    pub nodes: Vec<NodeId>,
    /// How many there are.
    pub of: u64,
    /// Nodes of which all that differs in their bucket is that the other has nothing of them.
    pub only_here: Vec<NodeId>,
}

impl View<'_> {
    /// Compares with the buckets of another replica; names at most `most` nodes.
    pub fn difference(&self, theirs: &[[u8; 32]], most: usize) -> Result<Difference> {
        let ours = self.buckets()?;
        let differs = |bucket: u8| theirs.get(usize::from(bucket)) != Some(&ours[usize::from(bucket)]);
        let mut difference =
            Difference { buckets: (0..=u8::MAX).filter(|n| differs(*n)).collect(), ..Default::default() };
        let mut after = 0;
        while !difference.buckets.is_empty() {
            let rows = state::nodes_after(self.db, after, BATCH)?;
            let Some(last) = rows.last() else { break };
            after = last.id;
            for row in rows.into_iter().filter(|row| differs(digest::bucket(row.node))) {
                let Some(hash) = part(row.node, &unpack(&row.state)?) else { continue };
                difference.of += 1;
                if difference.nodes.len() < most {
                    difference.nodes.push(row.node);
                }
                let bucket = usize::from(digest::bucket(row.node));
                let mut without = ours[bucket];
                digest::subtract(&mut without, &hash);
                if theirs.get(bucket) == Some(&without) && difference.only_here.len() < most {
                    difference.only_here.push(row.node);
                }
            }
        }
        Ok(difference)
    }
}
