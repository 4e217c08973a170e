//! Questions that a surface asks. A [`View`] is one connection's sight of the replica; [`Reads`] owns a connection that
//! can only read, and gives a view in which nothing changes while it is looked at.

use crate::branches::{Branches, Known};
use crate::derive::{Moment, from_log};
use crate::error::Result;
use crate::field::{KIND, TITLE};
use crate::id::{Generation, LogId, NodeId, OpRef, Origin, OwnerId, Stamp};
use crate::merge::{NodeState, Rank};
use crate::op::{Change, Op, Touch};
use crate::sqlite::derived::{self, Filter};
use crate::sqlite::state::NodeRow;
use crate::sqlite::{self, log, meta, state};
use crate::version::Version;
use crate::writer::unpack;
use crate::{body, chain, links};
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::path::Path;

/// A connection that can only read.
pub struct Reads {
    db: Connection,
    known: Known,
}

impl Reads {
    /// Opens the replica at `path` for reading.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { db: sqlite::open_reader(path)?, known: Known::default() })
    }

    /// Looks at one state of the replica, whatever is written meanwhile.
    pub fn read<T, E: From<crate::Error>>(&self, look: impl FnOnce(&View<'_>) -> Result<T, E>) -> Result<T, E> {
        self.known.clear();
        let sql = |error: rusqlite::Error| E::from(error.into());
        let transaction = self.db.unchecked_transaction().map_err(sql)?;
        let seen = look(&View::new(&self.db, &self.known));
        transaction.finish().map_err(sql)?;
        seen
    }
}

/// One connection's sight of the replica.
pub struct View<'a> {
    pub(crate) db: &'a Connection,
    pub(crate) known: &'a Known,
}

/// A node as it stands.
#[derive(Debug, Clone)]
pub struct Node {
    /// Its row in this file: the order of arrival, for paging.
    pub row: i64,
    /// The node.
    pub id: NodeId,
    /// Its state.
    pub state: NodeState,
}

impl Node {
    /// Its kind.
    pub fn kind(&self) -> &str {
        self.state.text(KIND).unwrap_or_default()
    }

    /// Its title.
    pub fn title(&self) -> &str {
        self.state.text(TITLE).unwrap_or_default()
    }

    /// The tags that it carries.
    pub fn tags(&self) -> BTreeSet<NodeId> {
        crate::flush::tags(&self.state)
    }
}

/// What an id's beginning or end stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resolved {
    /// This node.
    One(NodeId),
    /// No node.
    None,
    /// Any of these.
    Several(Vec<NodeId>),
}

/// A body as a surface reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyText {
    /// The text that is shown.
    pub text: String,
    /// What was read, to be handed back with a write.
    pub version: Version,
    /// Texts that are kept beside it until someone settles them.
    pub copies: Vec<Copy>,
}

/// A text kept beside the one that is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    /// Which generation it is.
    pub generation: Generation,
    /// The text, with what could not be integrated behind it.
    pub text: String,
}

/// An op on a node.
#[derive(Debug, Clone)]
pub struct HistoryEntry {
    /// The op.
    pub op: OpRef,
    /// Its author's clock.
    pub stamp: Stamp,
    /// Its position in this file's log.
    pub position: u64,
    /// What it did to the node; empty if it is held.
    pub changes: Vec<Change>,
    /// Why it has no effect, if it is held.
    pub held: Option<String>,
    /// Whether it was undone.
    pub undone: bool,
}

/// How many hex digits a short id has at least.
const SHORT_ID_MIN: usize = 4;
/// How many candidates an ambiguous id is answered with.
const CANDIDATES: usize = 8;
/// How many notes of one file name a link is looked for among.
const SAME_NAME_MAX: usize = 1_000;
/// How many nodes that link to one node are found.
pub const BACKLINKS_MAX: usize = 10_000;

impl<'a> View<'a> {
    pub(crate) fn new(db: &'a Connection, known: &'a Known) -> Self {
        Self { db, known }
    }

    pub(crate) fn branches(&self) -> Branches<'a> {
        Branches::new(self.db, self.known)
    }

    /// A fact that the daemon remembered.
    pub fn fact(&self, key: &str) -> Result<Option<String>> {
        meta::get(self.db, &format!("fact/{key}"))
    }

    /// Whose data this is, if it has been said.
    pub fn owner(&self) -> Result<Option<OwnerId>> {
        Ok(meta::get::<[u8; 16]>(self.db, "owner")?.map(OwnerId::from_bytes))
    }

    /// Names this file's log.
    pub fn log_id(&self) -> Result<LogId> {
        Ok(LogId::from_bytes(meta::get::<[u8; 16]>(self.db, "log_id")?.unwrap_or_default()))
    }

    /// The origin of what is written from now on.
    pub fn origin(&self) -> Result<Origin> {
        let seed = meta::get::<[u8; 32]>(self.db, "origin_seed")?.unwrap_or_default();
        Ok(chain::OriginKey::from_seed(&seed).origin())
    }

    /// The node that a whole id, or at least four hex digits of its beginning or end, stands for.
    pub fn resolve(&self, text: &str) -> Result<Resolved> {
        if let Ok(node) = text.parse::<NodeId>() {
            return Ok(if state::node(self.db, node)?.is_some() { Resolved::One(node) } else { Resolved::None });
        }
        let digits: String = text.chars().filter(|c| *c != '-').map(|c| c.to_ascii_lowercase()).collect();
        let plausible = (SHORT_ID_MIN..=32).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
        if !plausible {
            return Ok(Resolved::None);
        }
        let mut found: BTreeSet<NodeId> = derived::by_prefix(self.db, &digits, CANDIDATES)?.into_iter().collect();
        let tail = &digits[digits.len().saturating_sub(8)..];
        let ends = derived::by_suffix(self.db, tail, CANDIDATES)?;
        found.extend(ends.into_iter().filter(|node| node.digits().ends_with(&digits)));
        let found: Vec<NodeId> = found.into_iter().collect();
        Ok(match found.as_slice() {
            [] => Resolved::None,
            [one] => Resolved::One(*one),
            _ => Resolved::Several(found),
        })
    }

    /// The shortest ending of a node's id that is unique, at least four hex digits.
    pub fn short_id(&self, node: NodeId) -> Result<String> {
        let digits = node.digits();
        for len in SHORT_ID_MIN..=8 {
            let end = &digits[32 - len..];
            let ends = derived::by_suffix(self.db, end, 2)?.len();
            if ends <= 1 && derived::by_prefix(self.db, end, 1)?.is_empty() {
                return Ok(end.to_owned());
            }
        }
        Ok(digits)
    }

    /// A node, hidden or not.
    pub fn node(&self, node: NodeId) -> Result<Option<Node>> {
        state::node(self.db, node)?.map(as_node).transpose()
    }

    /// A node's shown text, the version that this is, and its conflict copies.
    pub fn body(&self, node: &Node) -> Result<BodyText> {
        let generation = node.state.generation();
        let version = self.version(u64::MAX, generation)?;
        let text = state::text(self.db, node.row, generation)?.unwrap_or_default();
        let branches = self.branches();
        let copies = node.state.copies(&branches);
        branches.finish()?;
        let copies = copies.into_iter().map(|kept| self.copy(node, kept, generation)).collect::<Result<_>>()?;
        Ok(BodyText { text, version, copies })
    }

    /// The version of a text of this generation, as it stood when the log ended at `position`.
    pub fn version(&self, position: u64, generation: Generation) -> Result<Version> {
        Version::at(self.db, self.log_id()?, position, generation)
    }

    fn copy(&self, node: &Node, generation: Generation, shown: Generation) -> Result<Copy> {
        let document = self.document(node, generation)?;
        let own = if generation == shown { "" } else { document.text() };
        let between = if own.is_empty() || document.leftover().is_empty() { "" } else { "\n" };
        Ok(Copy { generation, text: [own, between, document.leftover()].concat() })
    }

    /// A generation's document: as stored, or made again from the log if what is stored cannot be read.
    fn document(&self, node: &Node, generation: Generation) -> Result<body::Document> {
        let stored = state::document(self.db, node.row, generation)?.unwrap_or_default();
        if let Ok(document) = body::Document::load(&stored) {
            return Ok(document);
        }
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.branches(), node.id, node.row, wanted, Moment::NOW)?;
        let updates = updates.remove(&generation).unwrap_or_default();
        Ok(body::Document::rebuild(&updates.values().map(Vec::as_slice).collect::<Vec<_>>()))
    }

    /// Which registers, whose deletion, and whose body await a choice.
    pub fn awaits(&self, node: &Node) -> Result<Awaits> {
        let branches = self.branches();
        let owned = if node.state.owner().is_some() { Vec::new() } else { self.owned(node.id)? };
        let latest: Vec<OpRef> = owned.into_iter().flat_map(|owned| owned.state.latest).collect();
        let awaits = Awaits {
            fields: node.state.contested().into_iter().cloned().collect(),
            deletion: node.state.deletion(&latest, &branches) == crate::merge::Deletion::Contested,
            copies: node.state.copies(&branches),
        };
        branches.finish()?;
        Ok(awaits)
    }

    /// Whether an op on the node is held.
    pub fn has_held(&self, node: NodeId) -> Result<bool> {
        let Some(row) = state::node(self.db, node)? else { return Ok(false) };
        derived::has_held(self.db, row.id)
    }

    /// Nodes that are not hidden, narrowed by `filter`, by do-date.
    pub fn list(&self, filter: &Filter) -> Result<Vec<Node>> {
        as_nodes(derived::list(self.db, filter)?)
    }

    /// Nodes with these words, best first. Each word stands for what it begins; `"…"` for the words in a row.
    pub fn search(&self, words: &str, limit: usize) -> Result<Vec<Node>> {
        let query = search_query(words);
        if query.is_empty() { Ok(Vec::new()) } else { as_nodes(derived::search(self.db, &query, limit)?) }
    }

    /// The node that a link's target means: by title, path, file name or alias; of several the one with the smallest id.
    pub fn resolve_link(&self, target: &str) -> Result<Option<Node>> {
        let path = links::key(target);
        if let Some(node) = as_nodes(derived::named(self.db, &path, 1)?)?.pop() {
            return Ok(Some(node));
        }
        let by_file = as_nodes(derived::named(self.db, &links::basename_key(target), SAME_NAME_MAX)?)?;
        let ends = |node: &Node| match node.state.value(crate::field::PATH) {
            Some(crate::field::Value::Bytes(own)) => links::key(&String::from_utf8_lossy(own)).ends_with(&path),
            _ => false,
        };
        Ok(by_file.into_iter().find(ends))
    }

    /// The nodes whose text links to a node, at most [`BACKLINKS_MAX`].
    pub fn backlinks(&self, node: &Node) -> Result<Vec<Node>> {
        let mut rows = BTreeSet::from([node.row]);
        let mut found = Vec::new();
        for key in derived::names_of(self.db, node.row)? {
            if self.resolve_link(&key)?.is_some_and(|meant| meant.id == node.id) {
                let linking = as_nodes(derived::linking(self.db, &key, BACKLINKS_MAX)?)?;
                found.extend(linking.into_iter().filter(|other| rows.insert(other.row)));
            }
        }
        found.truncate(BACKLINKS_MAX);
        Ok(found)
    }

    /// Nodes on which something awaits a choice.
    pub fn conflicted(&self, limit: usize) -> Result<Vec<Node>> {
        as_nodes(derived::conflicted(self.db, limit)?)
    }

    /// The nodes that a node owns: its context document, its log entries.
    pub fn owned(&self, owner: NodeId) -> Result<Vec<Node>> {
        let owned = state::owned(self.db, owner)?.into_iter();
        owned.filter_map(|node| self.node(node).transpose()).collect()
    }

    /// The nodes of a kind whose title means the same as `title`, oldest first.
    pub fn titled(&self, kind: &str, title: &str) -> Result<Vec<Node>> {
        as_nodes(derived::of_kind_named(self.db, kind, &links::key(title))?)
    }

    /// How many nodes of each kind there are.
    pub fn kinds(&self) -> Result<Vec<(String, u64)>> {
        derived::kinds(self.db)
    }

    /// The last `limit` ops on a node, newest first.
    pub fn history(&self, node: &Node, limit: usize) -> Result<Vec<HistoryEntry>> {
        let positions = state::last_touching(self.db, node.row, limit)?;
        let mut entries = Vec::with_capacity(positions.len());
        for pos in positions {
            let Some(row) = log::row(self.db, pos)? else { continue };
            let op = log::content(self.db, &row)?;
            let reference = op.reference(&row.id);
            let (changes, held) = match op.read() {
                Ok(changes) => (changes.into_iter().filter(|change| change.node() == Some(node.id)).collect(), None),
                Err(why) => (Vec::new(), Some(why.to_string())),
            };
            let undone = self.is_undone(&row.id)?;
            let position = pos.unsigned_abs();
            entries.push(HistoryEntry { op: reference, stamp: op.stamp, position, changes, held, undone });
        }
        Ok(entries)
    }

    /// An op that is here, with its position and hash.
    pub fn op(&self, op: &OpRef) -> Result<Option<(u64, Op, crate::id::OpId)>> {
        let Some((pos, _)) = self.branches().locate(op)? else { return Ok(None) };
        let Some(row) = log::row(self.db, pos)? else { return Ok(None) };
        Ok(Some((pos.unsigned_abs(), log::content(self.db, &row)?, row.id)))
    }

    /// The rank of an op that is here.
    pub fn rank(&self, op: &OpRef) -> Result<Option<Rank>> {
        Ok(self.op(op)?.map(|(_, found, _)| Rank { stamp: found.stamp, op: *op }))
    }
}

/// What of a node awaits a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Awaits {
    /// Registers with differing values side by side.
    pub fields: Vec<crate::field::Field>,
    /// It was deleted by someone who had not seen all of it, or deleted and kept at once.
    pub deletion: bool,
    /// Texts kept beside the shown one.
    pub copies: Vec<Generation>,
}

fn as_node(row: NodeRow) -> Result<Node> {
    Ok(Node { row: row.id, id: row.node, state: unpack(&row.state)? })
}

fn as_nodes(rows: Vec<NodeRow>) -> Result<Vec<Node>> {
    rows.into_iter().map(as_node).collect()
}

/// Words as a person types them, as a query that FTS5 cannot misread: each quoted, each the beginning of a word.
fn search_query(words: &str) -> String {
    let mut parts = Vec::new();
    for (n, part) in words.split('"').enumerate() {
        if n % 2 == 1 {
            parts.push(format!("\"{part}\""));
        } else {
            parts.extend(part.split_whitespace().map(|word| format!("\"{word}\"*")));
        }
    }
    parts.retain(|part| part.chars().any(char::is_alphanumeric));
    parts.join(" ")
}
