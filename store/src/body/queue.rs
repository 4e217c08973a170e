//! Pieces in the order in which they can be inserted: a client's own in the order of its clocks, causes first.

use std::collections::{BTreeMap, VecDeque};

use super::piece::Piece;
use super::wire::Id;

/// Pieces by client, and who waits for what.
pub(super) struct Queues {
    heads: BTreeMap<u64, VecDeque<Piece>>,
    /// Clients of which something may have its causes now.
    ready: VecDeque<u64>,
    waiting: BTreeMap<Id, Vec<u64>>,
}

impl Queues {
    pub fn new(pieces: impl Iterator<Item = Piece>) -> Queues {
        let mut sorted: Vec<Piece> = pieces.collect();
        sorted.sort_by_key(|piece| piece.id);
        let mut heads: BTreeMap<u64, VecDeque<Piece>> = BTreeMap::new();
        for piece in sorted {
            heads.entry(piece.id.client).or_default().push_back(piece);
        }
        Queues { ready: heads.keys().copied().collect(), heads, waiting: BTreeMap::new() }
    }

    /// Returns what a client wrote next.
    pub fn head(&self, client: u64) -> Option<&Piece> {
        self.heads.get(&client).and_then(VecDeque::front)
    }

    /// Lets a client wait for a unit.
    pub fn wait(&mut self, missing: Id, client: u64) {
        self.waiting.entry(missing).or_default().push(client);
    }

    /// Returns a client that need not wait.
    pub fn next_ready(&mut self) -> Option<u64> {
        self.ready.pop_front()
    }

    /// Drops the head of a client whose clocks are now here below `next`, and wakes who waited for it.
    pub fn done(&mut self, client: u64, next: u32) {
        if let Some(queue) = self.heads.get_mut(&client) {
            queue.pop_front();
        }
        let from = Id { client, clock: 0 };
        while let Some((&id, _)) = self.waiting.range(from..Id { clock: next, ..from }).next() {
            self.ready.extend(self.waiting.remove(&id).into_iter().flatten());
        }
    }
}
