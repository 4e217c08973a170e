//! The writer's working state inside one transaction: where the log ends, which nodes are being changed, and how an op
//! is appended. What an op then does to the state is in [`crate::apply`].

use crate::body::{ClientId, Document};
use crate::branches::{Branches, Known};
use crate::chain::OriginKey;
use crate::env::{Env, random};
use crate::error::{Error, Result};
use crate::id::{Generation, LogId, NodeId, OpId, Origin, Seq};
use crate::merge::NodeState;
use crate::op::{OP_BYTES_MAX, Op, Place};
use crate::sqlite::log::{self, Chain, LogRow, StretchRow};
use crate::sqlite::{meta, state};
use crate::{codec, node};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A body that is being changed.
#[derive(Debug, Default)]
pub(crate) struct OpenBody {
    pub document: Option<Document>,
    pub rebuild: bool,
    pub changed: bool,
}

/// A node that is being changed.
#[derive(Debug)]
pub(crate) struct OpenNode {
    pub row: i64,
    pub state: NodeState,
    /// The state in the file.
    pub before: NodeState,
    pub bodies: BTreeMap<Generation, OpenBody>,
    /// The registers have to be derived from all their writes.
    pub derive: bool,
    pub changed: bool,
}

/// Our own ops that are appended and not signed yet.
#[derive(Debug, Default)]
struct OpenStretch {
    last: Option<OpId>,
    bytes: usize,
}

/// See the module.
pub(crate) struct Writer {
    pub db: Connection,
    pub env: Arc<dyn Env>,
    pub key: OriginKey,
    pub log_id: LogId,
    /// The Yjs client of edits against the current text; fresh at every start, after every roll-back and every erase.
    pub client: ClientId,
    pub known: Known,
    pub nodes: BTreeMap<NodeId, OpenNode>,
    /// How many bytes the documents in `nodes` have in the file.
    pub opened_bytes: usize,
    pub head: i64,
    roll: [u8; 32],
    open: OpenStretch,
    /// Nodes that were hidden since the page in hand began.
    pub hidden_by_merge: u64,
    /// Memory does not say what the file says: something was rolled back and is not read back yet.
    outdated: bool,
}

const SEED: &str = "origin_seed";
const LOG_ID: &str = "log_id";

impl Writer {
    pub fn open(mut db: Connection, env: Arc<dyn Env>) -> Result<Self> {
        let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let seed = match meta::get::<[u8; 32]>(&tx, SEED)? {
            Some(seed) => Zeroizing::new(seed),
            None => fresh_seed(&tx, &*env)?,
        };
        let log_id = match meta::get::<[u8; 16]>(&tx, LOG_ID)? {
            Some(id) => id,
            None => {
                let id = random::<16>(&*env);
                meta::put(&tx, LOG_ID, id)?;
                meta::put(&tx, "rules_version", crate::merge::RULES_VERSION)?;
                id
            }
        };
        tx.commit()?;
        let mut writer = Self {
            key: OriginKey::from_seed(&seed),
            log_id: LogId::from_bytes(log_id),
            client: ClientId::from_bits(u64::from_be_bytes(random(&*env))),
            known: Known::default(),
            nodes: BTreeMap::new(),
            opened_bytes: 0,
            head: 0,
            roll: [0; 32],
            open: OpenStretch::default(),
            hidden_by_merge: 0,
            outdated: true,
            db,
            env,
        };
        writer.freshen()?;
        Ok(writer)
    }

    /// Says that something is being rolled back, so that nothing in memory holds until [`Writer::freshen`] has read it
    /// back: a failure in between must not be written on from.
    pub fn outdate(&mut self) {
        self.outdated = true;
        self.known.clear();
        self.nodes.clear();
    }

    /// Reads back what a roll-back undid, if there was one, and draws another Yjs client: the old one's items may be
    /// gone.
    pub fn freshen(&mut self) -> Result<()> {
        if !self.outdated {
            return Ok(());
        }
        let seed = meta::get::<[u8; 32]>(&self.db, SEED)?.map(Zeroizing::new);
        let head = log::head(&self.db)?;
        let stretch = log::stretch_before(&self.db, head + 1)?;
        let (signed, mut roll) = stretch.map_or((0, [0; 32]), |stretch| (stretch.last, stretch.roll));
        let mut open = OpenStretch::default();
        for row in log::rows(&self.db, signed + 1, head)? {
            roll = next_roll(&roll, &row.id);
            open.last = Some(row.id);
            open.bytes += log::content(&self.db, &row)?.stretch_weight();
        }
        if let Some(seed) = seed {
            self.key = OriginKey::from_seed(&seed);
        }
        self.draw_client();
        (self.head, self.roll, self.open, self.outdated) = (head, roll, open, false);
        Ok(())
    }

    /// Draws another Yjs client for what is edited from now on.
    pub fn draw_client(&mut self) {
        self.client = ClientId::from_bits(u64::from_be_bytes(random(&*self.env)));
    }

    pub fn branches(&self) -> Branches<'_> {
        Branches::new(&self.db, &self.known)
    }

    /// Where this replica's next op stands.
    pub fn next_place(&self) -> Result<Place> {
        let origin = self.key.origin();
        let row = self.branches().origin(origin)?;
        let Some(own) = row.as_ref().and_then(|row| row.chains.first()) else {
            return Ok(Place { origin, seq: Seq::FIRST, prev: OpId::NONE, key: Some(self.key.public()) });
        };
        let seq = Seq::new(own.tip_seq).and_then(Seq::next).ok_or(Error::ChainFull(origin))?;
        Ok(Place { origin, seq, prev: own.tip, key: None })
    }

    /// Appends an op of our own and applies it.
    pub fn append_own(&mut self, op: Op) -> Result<OpId> {
        let weight = op.stretch_weight();
        if self.open.bytes + weight > OP_BYTES_MAX {
            self.close_stretch()?;
        }
        let id = op.id();
        self.append(op, id)?;
        self.open.last = Some(id);
        self.open.bytes += weight;
        Ok(id)
    }

    /// Signs our own ops since the last stretch ended.
    pub fn close_stretch(&mut self) -> Result<()> {
        if let Some(last) = std::mem::take(&mut self.open).last {
            let signature = self.key.sign(&last);
            self.end_stretch(signature)?;
        }
        Ok(())
    }

    /// Ends a stretch at the head of the log.
    pub fn end_stretch(&mut self, signature: [u8; 64]) -> Result<()> {
        log::insert_stretch(&self.db, &StretchRow { last: self.head, signature, roll: self.roll })
    }

    /// Appends an op whose predecessor is here, with the values that are erased already dropped, and applies it.
    pub fn append(&mut self, mut op: Op, id: OpId) -> Result<()> {
        let chain = self.place(&op, &id)?;
        let reference = op.reference(&id);
        for index in log::erased(&self.db, &reference)? {
            op.erase(index as usize);
        }
        self.head += 1;
        self.roll = next_roll(&self.roll, &id);
        let row = LogRow { pos: self.head, chain, seq: op.seq, id, packed: op.pack() };
        log::append(&self.db, &row, emptied(&op))?;
        if let Some(group) = op.group {
            log::insert_grouped(&self.db, group, self.head)?;
        }
        self.apply(self.head, &op, &id)
    }

    /// The chain that an op extends or begins.
    fn place(&mut self, op: &Op, id: &OpId) -> Result<i64> {
        let Some(row) = self.branches().origin(op.origin)? else {
            let key = op.key.ok_or(Error::Gap { origin: op.origin, seq: op.seq })?;
            let origin = log::insert_origin(&self.db, op.origin, &key)?;
            return self.begin(op, id, origin, None);
        };
        if op.seq == Seq::FIRST {
            let origin = row.id;
            drop(row);
            return self.begin(op, id, origin, None);
        }
        let Some(before) = Seq::new(op.seq.get() - 1) else {
            return Err(Error::Gap { origin: op.origin, seq: op.seq });
        };
        let origin = row.id;
        drop(row);
        let found = self.branches().find(op.origin, before, |found| *found == op.prev)?;
        let (_, chain) = found.ok_or(Error::Gap { origin: op.origin, seq: op.seq })?;
        if chain.tip_seq != before.get() {
            return self.begin(op, id, origin, Some(chain));
        }
        log::set_tip(&self.db, chain.id, op.seq, id)?;
        self.known.moved(op.origin, chain.id, op.seq, *id);
        Ok(chain.id)
    }

    fn begin(&mut self, op: &Op, id: &OpId, origin: i64, parent: Option<Chain>) -> Result<i64> {
        let fork_seq = op.seq.get() - 1;
        let parent = parent.map(|parent| parent.id);
        let chain = log::insert_chain(&self.db, origin, parent, fork_seq, op.seq, id)?;
        self.known.began(op.origin, Chain { id: chain, parent, fork_seq, tip_seq: op.seq.get(), tip: *id });
        Ok(chain)
    }

    /// Draws a fresh origin for what is written from now on.
    pub fn draw_origin(&mut self) -> Result<Origin> {
        self.close_stretch()?;
        let seed = fresh_seed(&self.db, &*self.env)?;
        self.key = OriginKey::from_seed(&seed);
        Ok(self.key.origin())
    }

    /// A node that is about to change; an empty one if it is not here yet.
    pub fn node(&mut self, id: NodeId) -> Result<&mut OpenNode> {
        if !self.nodes.contains_key(&id) {
            let (row, state) = match state::node(&self.db, id)? {
                Some(found) => (found.id, unpack(&found.state)?),
                None => (state::insert_node(&self.db, id)?, NodeState::default()),
            };
            let before = state.clone();
            let open = OpenNode { row, state, before, bodies: BTreeMap::new(), derive: false, changed: false };
            self.nodes.insert(id, open);
        }
        self.nodes.get_mut(&id).ok_or(Error::NoNode(id))
    }

    /// A node's state as it is now, without opening it for change.
    pub fn peek(&self, id: NodeId) -> Result<NodeState> {
        match self.nodes.get(&id) {
            Some(open) => Ok(open.state.clone()),
            None => match state::node(&self.db, id)? {
                Some(row) => Ok(unpack(&row.state)?),
                None => Ok(NodeState::default()),
            },
        }
    }

    /// The nodes that show `owner` as their owner.
    pub fn owned(&self, owner: NodeId) -> Result<BTreeSet<NodeId>> {
        let stored = state::owned(&self.db, owner)?.into_iter().filter(|node| !self.nodes.contains_key(node));
        let open = self.nodes.iter().filter(|(_, open)| open.state.owner() == Some(owner)).map(|(node, _)| *node);
        Ok(stored.chain(open).collect())
    }
}

/// Reads a node's row; a row that holds nothing yet is an empty state.
pub(crate) fn unpack(bytes: &[u8]) -> Result<NodeState, codec::Malformed> {
    if bytes.is_empty() { Ok(NodeState::default()) } else { node::unpack(bytes) }
}

/// How many values of an op are erased.
pub(crate) fn emptied(op: &Op) -> usize {
    op.changes.iter().filter(|change| change.value.here().is_none()).count()
}

/// The rolling hash of a log, one op on.
pub(crate) fn next_roll(roll: &[u8; 32], id: &OpId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(roll);
    hash.update(id.as_bytes());
    hash.finalize().into()
}

fn fresh_seed(db: &Connection, env: &dyn Env) -> Result<Zeroizing<[u8; 32]>> {
    let seed = Zeroizing::new(random::<32>(env));
    meta::put(db, SEED, *seed)?;
    Ok(seed)
}
