//! Pages on their way in: decoded off the writer's thread, two at a time, and what is worth knowing of them before
//! the store has them: whose ops they hold, and which tips the sender thereby said it has.

use super::cycle::Failure;
use super::hub_client::{HubError, Pages};
use crate::work::off_the_loop;
use futures_util::{Stream, StreamExt};
use heph_store::id::{LogId, Origin};
use heph_store::page::{self, Stretch};
use heph_store::replica::Cursor;
use heph_store::vector::{Tip, Vector};
use std::collections::BTreeMap;

/// Pages that are decoded while the one before them is written.
const DECODED_AHEAD: usize = 2;

/// A page, ready for the writer.
#[derive(Debug)]
pub struct Decoded {
    /// What is in it.
    pub stretches: Vec<Stretch>,
    /// The position in the sender's log after it.
    pub position: u64,
    /// The rolling hash of that log there.
    pub roll: [u8; 32],
}

impl Decoded {
    /// The cursor after this page.
    pub fn cursor(&self, log_id: LogId) -> Cursor {
        Cursor { log_id, position: self.position, roll: self.roll }
    }
}

/// Returns the pages of a pull, decoded; the last item, which has no page, is an empty one.
pub fn decoded(pages: Pages) -> impl Stream<Item = Result<Decoded, Failure>> {
    let decode_item = |item: Result<crate::sync::page::Item, HubError>| async move {
        let item = item?;
        let stretches = if item.is_end() { Vec::new() } else { decode(item.page).await? };
        Ok(Decoded { stretches, position: item.position, roll: item.roll })
    };
    pages.map(decode_item).buffered(DECODED_AHEAD)
}

/// Returns what is in a page; reading one means hashing all of it, so it is done on a thread that may block.
///
/// # Errors
/// If the page is broken: then the hub is not to be believed.
pub async fn decode(bytes: Vec<u8>) -> Result<Vec<Stretch>, Failure> {
    let decoded = off_the_loop(move || page::decode(&bytes)).await.map_err(|_| Failure::Stopping)?;
    Ok(decoded.map_err(|broken| HubError::BadAnswer(format!("a broken page: {broken}")))?)
}

/// Adds the tips of these stretches to what the sender is known to hold.
pub fn note_tips(vector: &mut Vector, stretches: &[Stretch]) {
    for entry in stretches.iter().filter_map(|stretch| stretch.entries.last()) {
        vector.insert(entry.op.origin, Tip { seq: entry.op.seq, id: entry.id });
    }
}

/// Counts ops by who wrote them.
pub fn tally(counts: &mut BTreeMap<Origin, u64>, stretches: &[Stretch]) {
    for stretch in stretches {
        if let Some(origin) = stretch.origin() {
            *counts.entry(origin).or_default() += stretch.entries.len() as u64;
        }
    }
}
