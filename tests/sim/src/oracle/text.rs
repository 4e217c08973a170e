//! What a set of edits makes of a text: by `yrs`, a reader of the format that is not ours.

use heph_store::body::Document;
use heph_store::id::{Generation, NodeId, OpRef};
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::rc::Rc;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, Transact, Update};

use crate::oracle::OpNumber;

/// How many texts of one body are kept: replicas hold different edits of it, and each is asked again and again.
const KEPT: usize = 8;

/// A text, and what found no place in it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Text {
    /// The text.
    pub text: String,
    /// What found no place; only where something was erased, or two ops give one id to different texts.
    pub leftover: String,
}

/// The edits of one generation, in the order of their ops, each with its number in the model.
pub(super) type Edits<'a> = BTreeMap<(OpRef, u32), (OpNumber, &'a [u8])>;

/// The texts of one body that were made lately, each with what it was made of.
type Lately = Vec<([u8; 32], Rc<Text>)>;

/// How many bodies are kept open: one that many write to is asked for after every edit.
const OPEN: usize = 64;

/// Texts that were made, by node and generation.
#[derive(Default)]
pub(super) struct Texts(RefCell<Made>);

#[derive(Default)]
struct Made {
    kept: HashMap<(NodeId, Generation), Lately>,
    /// The bodies that were asked for last, the latest at the end.
    open: Vec<((NodeId, Generation), Open)>,
    by_yrs: u64,
    by_definition: u64,
}

impl Texts {
    /// How many were made by `yrs`, and how many by the definition.
    pub fn made(&self) -> (u64, u64) {
        let made = self.0.borrow();
        (made.by_yrs, made.by_definition)
    }

    /// The text of these edits.
    pub fn of(&self, node: NodeId, generation: Generation, edits: &Edits<'_>) -> Rc<Text> {
        let mut hash = Sha256::new();
        for ((_, index), (number, _)) in edits {
            hash.update(number.to_be_bytes());
            hash.update(index.to_be_bytes());
        }
        let print: [u8; 32] = hash.finalize().into();
        let made = &mut *self.0.borrow_mut();
        let lately = made.kept.get(&(node, generation)).into_iter().flatten();
        if let Some((_, text)) = lately.into_iter().find(|(of, _)| *of == print) {
            return Rc::clone(text);
        }
        let text = match made.by_yrs(node, generation, edits) {
            Some(text) => {
                made.by_yrs += 1;
                Text { text, leftover: String::new() }
            }
            None => {
                made.by_definition += 1;
                let ordered: Vec<&[u8]> = edits.values().map(|(_, update)| *update).collect();
                let document = Document::rebuild(&ordered);
                Text { text: document.text().to_owned(), leftover: document.leftover().to_owned() }
            }
        };
        let text = Rc::new(text);
        let lately = made.kept.entry((node, generation)).or_default();
        lately.insert(0, (print, Rc::clone(&text)));
        lately.truncate(KEPT);
        text
    }
}

impl Made {
    /// The text that `yrs` makes of the edits in causal order. `None` if it depends on more than the rules of Yjs: what
    /// an edit stands on is not there, or two edits that differ give text under one id.
    fn by_yrs(&mut self, node: NodeId, generation: Generation, edits: &Edits<'_>) -> Option<String> {
        let mut causal: Vec<(OpNumber, u32, &[u8])> =
            edits.iter().map(|((_, index), (number, update))| (*number, *index, *update)).collect();
        causal.sort_unstable();
        let fits = |open: &Open| {
            open.applied.iter().copied().eq(causal.iter().take(open.applied.len()).map(|edit| (edit.0, edit.1)))
        };
        let found = self.open.iter().position(|(of, open)| *of == (node, generation) && fits(open));
        let mut open = found.map_or_else(Open::empty, |found| self.open.remove(found).1);
        for (number, index, update) in &causal[open.applied.len()..] {
            open.apply(update)?;
            open.applied.push((*number, *index));
        }
        let text = open.text();
        self.open.push(((node, generation), open));
        if self.open.len() > OPEN {
            self.open.remove(0);
        }
        text
    }
}

/// A document, with the edits that it was made of.
struct Open {
    doc: Doc,
    applied: Vec<(OpNumber, u32)>,
    updates: HashSet<Vec<u8>>,
}

impl Open {
    fn empty() -> Self {
        let doc = Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..Options::default() });
        Self { doc, applied: Vec::new(), updates: HashSet::new() }
    }

    /// Applies one more edit, unless it gives ids that another gave, or leaves some out that its client must have given
    /// before: `yrs` goes on across such a gap, and heph keeps what comes behind it beside the text.
    fn apply(&mut self, bytes: &[u8]) -> Option<()> {
        if !self.updates.insert(bytes.to_vec()) {
            return Some(());
        }
        let update = Update::decode_v1(bytes).ok()?;
        let mut txn = self.doc.transact_mut();
        let known = txn.state_vector();
        if update.state_vector_lower().iter().any(|(client, clock)| *clock != known.get(client)) {
            return None;
        }
        txn.apply_update(update).ok()
    }

    fn text(&self) -> Option<String> {
        let text = self.doc.get_or_insert_text("body");
        let txn = self.doc.transact();
        if txn.has_missing_updates() { None } else { Some(text.get_string(&txn)) }
    }
}
