//! Who typed what, and who took it away: no text is lost that nobody deleted.
//!
//! What is typed carries tokens, `⟦` and `⟧` with a few ASCII letters, digits or hyphens between, each typed once. They
//! are found in the values of the ops themselves, if they stand there in one piece. Who took a token away says whoever
//! drives the replicas ([`crate::oracle::Oracle::rewrote`]), from what a person had before their eyes and what they
//! wrote instead: so a text that vanishes by a merge, or by a save that had not seen it, is lost.

use crate::oracle::sight::{Shown, Sight};
use crate::oracle::violation::Stop;
use crate::oracle::{Code, Model, OpNumber, Violation};
use heph_store::field::{Field, UNDONE, Value};
use heph_store::id::{NodeId, OpRef, Origin};
use heph_store::natural::undo_mark;
use heph_store::op::{Change, ChangeRef};
use heph_store::read::{Node, View};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Where a token was typed.
#[derive(Debug, Clone)]
struct Typed {
    token: String,
    op: OpNumber,
    index: u32,
    /// The register; `None`: the body.
    field: Option<Field>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    typed: HashMap<NodeId, Vec<Typed>>,
    /// Which ops took a token away from a text.
    removed: HashMap<String, Vec<OpRef>>,
    /// Tokens that somebody may have taken away, nobody was told by which op.
    in_doubt: HashSet<String>,
    /// Which ops took back what an op did.
    undone: HashMap<OpRef, Vec<OpRef>>,
    /// The internal nodes on which ops are marked as undone, each with its op.
    marks: HashMap<NodeId, OpRef>,
    /// Which ops say by such a mark that they took one back.
    marked: HashMap<OpRef, Vec<OpRef>>,
    /// Who undid something and was not told whether, and what: their marks are believed.
    undid_in_doubt: HashSet<Origin>,
    /// The values that a value repeats, as undo and settling write them.
    repeats: HashMap<ChangeRef, Vec<ChangeRef>>,
    count: usize,
}

const OPEN: &str = "⟦";
const CLOSE: &str = "⟧";
/// The most bytes between the brackets of a token.
const TOKEN_BYTES_MAX: usize = 40;

/// The tokens in a text, or in bytes that hold text, each with its brackets.
pub fn tokens(bytes: &[u8]) -> BTreeSet<String> {
    let (open, close) = (OPEN.as_bytes(), CLOSE.as_bytes());
    let mut found = BTreeSet::new();
    let mut at = 0;
    while let Some(start) = find(&bytes[at..], open).map(|start| at + start) {
        let rest = &bytes[start + open.len()..];
        let len = rest.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'-').count();
        if (1..=TOKEN_BYTES_MAX).contains(&len) && rest[len..].starts_with(close) {
            let inner = std::str::from_utf8(&rest[..len]).unwrap();
            found.insert([OPEN, inner, CLOSE].concat());
        }
        at = start + open.len();
    }
    found
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = bytes[at..].iter().position(|byte| *byte == wanted[0]) {
        at += next;
        if bytes[at..].starts_with(wanted) {
            return Some(at);
        }
        at += 1;
    }
    None
}

impl Ledger {
    /// Finds what an op types. Called once for each.
    pub(super) fn scan(&mut self, number: OpNumber, model: &Model) {
        let (op, reference) = model.op(number);
        self.marks.insert(NodeId::from_uuid(undo_mark(model.id(number).as_bytes())), reference);
        for (index, change) in op.framed() {
            if !change.repeats().is_empty() {
                self.repeats.insert(ChangeRef { op: reference, index }, change.repeats().to_vec());
            }
            let (node, field) = match change {
                Change::Set { node, field, .. } => (node, Some(field)),
                Change::Edit { node, .. } => (node, None),
                Change::Delete { .. } | Change::Erase { .. } => continue,
            };
            if let (Some(UNDONE), Some(undone)) = (field.as_ref().map(Field::as_str), self.marks.get(&node)) {
                self.marked.entry(*undone).or_default().push(reference);
            }
            let Some(bytes) = op.changes[index as usize].value.here() else { continue };
            for token in tokens(bytes) {
                self.count += 1;
                let typed = Typed { token, op: number, index, field: field.clone() };
                self.typed.entry(node).or_default().push(typed);
            }
        }
    }

    /// How many tokens were typed.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether no token was typed.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The author of `ops` had `before` before their eyes and wrote `after`. Without an op, they may have.
    pub(super) fn rewrote(&mut self, ops: &[OpRef], before: &str, after: &str) {
        let kept = tokens(after.as_bytes());
        for token in tokens(before.as_bytes()).difference(&kept) {
            if ops.is_empty() {
                self.in_doubt.insert(token.clone());
            }
            self.removed.entry(token.clone()).or_default().extend(ops);
        }
    }

    /// `ops` took back what the ops `undone` did.
    pub(super) fn undid(&mut self, ops: &[OpRef], undone: &[OpRef]) {
        undone.iter().for_each(|op| self.undone.entry(*op).or_default().extend(ops));
    }

    /// Somebody writing as this origin undid something and was not told whether, and what.
    pub(super) fn undid_in_doubt(&mut self, origin: Origin) {
        self.undid_in_doubt.insert(origin);
    }

    /// The tokens of a node that whoever holds these ops must be able to read, each with the op that typed it.
    fn owed<'a>(&'a self, sight: &'a Sight<'_>, node: NodeId) -> impl Iterator<Item = &'a Typed> {
        let here = |op: &OpRef| sight.model.number(op).is_some_and(|op| sight.set.contains(op));
        let removed = move |token: &String| self.removed.get(token).into_iter().flatten().any(here);
        let typed = self.typed.get(&node).into_iter().flatten();
        let mut replaced = None;
        typed.filter(move |typed| {
            let change = ChangeRef { op: sight.model.op(typed.op).1, index: typed.index };
            if !sight.set.contains(typed.op)
                || sight.changes(typed.op).is_none()
                || sight.erased.contains(&change)
                || self.in_doubt.contains(&typed.token)
                || removed(&typed.token)
                || self.is_undone(sight, typed.op, change)
            {
                return false;
            }
            match &typed.field {
                None => true,
                Some(field) => {
                    let replaced = replaced.get_or_insert_with(|| replaced_on(sight, node));
                    !replaced.get(field).is_some_and(|named| named.contains(&change.op))
                }
            }
        })
    }

    /// Whether what an op typed, or what it put back there, was taken back later.
    fn is_undone(&self, sight: &Sight<'_>, typed: OpNumber, change: ChangeRef) -> bool {
        let later = |op: &OpRef| sight.model.number(op).is_some_and(|op| op > typed && sight.set.contains(op));
        let (mut next, mut reached) = (vec![change], BTreeSet::new());
        while let Some(change) = next.pop() {
            let told = self.undone.get(&change.op).into_iter().flatten();
            let untold = self.marked.get(&change.op).into_iter().flatten();
            if told.chain(untold.filter(|by| self.undid_in_doubt.contains(&by.origin))).any(later) {
                return true;
            }
            if reached.insert(change) {
                next.extend(self.repeats.get(&change).into_iter().flatten());
            }
        }
        false
    }

    /// Everything that was typed on a node and not taken away can be read there: shown, as a conflict, or as a copy.
    pub(super) fn check_node(&self, replica: &str, view: &View<'_>, sight: &Sight<'_>, id: NodeId) -> Result<(), Stop> {
        let owed: Vec<&Typed> = self.owed(sight, id).collect();
        if owed.is_empty() {
            return Ok(());
        }
        let readable = match view.node(id)? {
            Some(node) => readable(view, &node)?,
            None => BTreeSet::new(),
        };
        if let Some(lost) = owed.into_iter().find(|typed| !readable.contains(&typed.token)) {
            let place = lost.field.as_ref().map_or("the text", Field::as_str);
            let sentence = format!(
                "{} was typed into {place} of node {id} by op {}, nobody took it away, and it cannot be read there",
                lost.token,
                sight.model.op(lost.op).1
            );
            return Err(Violation::new(Code::TextLost, replica, sentence).into());
        }
        Ok(())
    }

    /// The tokens that a node shows, for a search.
    pub(super) fn shown(shown: &Shown) -> BTreeSet<String> {
        let mut all = tokens(shown.title().as_bytes());
        all.extend(tokens(shown.text().as_bytes()));
        all
    }
}

/// Per register of a node, the ops that any op there names as replaced.
fn replaced_on(sight: &Sight<'_>, node: NodeId) -> BTreeMap<Field, BTreeSet<OpRef>> {
    let mut replaced: BTreeMap<Field, BTreeSet<OpRef>> = BTreeMap::new();
    for number in sight.model.on(node, sight.set) {
        for (on, field, bases) in sight.model.op(number).0.registers() {
            if on == node {
                replaced.entry(field).or_default().extend(bases);
            }
        }
    }
    replaced
}

/// Every token that can be read on a node.
fn readable(view: &View<'_>, node: &Node) -> Result<BTreeSet<String>, Stop> {
    let mut all = BTreeSet::new();
    for head in node.state.registers.values().flat_map(|register| register.heads()) {
        if let Value::Text(text) = &head.value {
            all.extend(tokens(text.as_bytes()));
        }
    }
    if !node.state.bodies.is_empty() {
        let body = view.body(node)?;
        all.extend(tokens(body.text.as_bytes()));
        body.copies.iter().for_each(|copy| all.extend(tokens(copy.text.as_bytes())));
    }
    Ok(all)
}
