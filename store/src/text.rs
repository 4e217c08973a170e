//! What an action writes to a body. A text is only ever changed relative to the version that its author read.

use crate::apply::{from_log, text_hash};
use crate::body::{ClientId, Document};
use crate::draft::Draft;
use crate::env::random;
use crate::error::{Error, Result};
use crate::field::{BODY, Field, Value};
use crate::id::{Generation, NodeId};
use crate::merge::{NodeState, Register};
use crate::op::{Change, Touch};
use crate::sqlite::derived::{self, Imported};
use crate::sqlite::state;
use crate::version::Version;
use sha2::{Digest, Sha256};

/// The most bytes of a single update: an op has room for it, whatever else it holds.
pub(crate) const UPDATE_BYTES_MAX: usize = 160 * 1024;

/// What a whole-body write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Saved {
    /// Whether anything was written.
    pub changed: bool,
    /// Whether something that had arrived since the text was read was merged with it.
    pub merged: bool,
}

/// What an import of a note did to its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportedText {
    /// The note had no text here.
    New,
    /// It changed since this device last imported it.
    Changed,
    /// This text is here already.
    Unchanged,
    /// Another text is here that this device did not import: both are kept, as a conflict.
    Conflict,
    /// The note was deleted in heph.
    SkippedDeleted,
}

/// An import to remember once its ops have positions.
#[derive(Debug)]
pub(crate) struct Importing {
    pub vault: String,
    pub path: Vec<u8>,
    pub record: Imported,
}

impl Draft<'_> {
    /// Saves a whole text that was made from what was read at `version`; without one, from what is shown now.
    pub fn save_body(&mut self, node: NodeId, text: &str, version: Option<&Version>) -> Result<Saved> {
        let state = self.writable(node)?;
        let shown = state.generation();
        let current = self.document(node, shown, i64::MAX)?;
        let read = match version {
            None => None,
            Some(version) if version.log != self.writer.log_id => return Err(Error::UnknownVersion),
            Some(version) => Some((version.generation, i64::try_from(version.position).unwrap_or(i64::MAX))),
        };
        let (updates, merged) = match read {
            Some((generation, upto)) if generation != shown => {
                let base = self.document(node, generation, upto)?;
                let whole = three_way(base.text(), current.text(), text);
                let client = self.client(node);
                (current.edit(&whole, client, UPDATE_BYTES_MAX), whole != text)
            }
            Some((_, upto)) if self.is_older(node, upto)? => {
                let base = self.document(node, shown, upto)?;
                let client = self.fresh_client();
                (base.edit(text, client, UPDATE_BYTES_MAX), base.text() != current.text())
            }
            _ => {
                let client = self.client(node);
                (current.edit(text, client, UPDATE_BYTES_MAX), false)
            }
        };
        let changed = !updates.is_empty();
        self.push_edits(node, shown, updates);
        Ok(Saved { changed, merged })
    }

    /// Adds to the end of a text, on a line of its own.
    pub fn append_body(&mut self, node: NodeId, text: &str) -> Result<()> {
        let shown = self.writable(node)?.generation();
        let current = self.document(node, shown, i64::MAX)?;
        let between = if current.text().is_empty() || current.text().ends_with('\n') { "" } else { "\n" };
        let client = self.client(node);
        let updates = current.append(&format!("{between}{text}"), client, UPDATE_BYTES_MAX);
        self.push_edits(node, shown, updates);
        Ok(())
    }

    /// Settles a body: this text is shown, and all that is kept beside it has been seen.
    pub fn settle_body(&mut self, node: NodeId, text: &str) -> Result<()> {
        let state = self.writable(node)?;
        let shown = state.generation();
        let body = state.body(shown);
        let same = body.is_some_and(|body| body.text == text_hash(text) && body.leftover.is_none());
        let generation = if same { shown } else { replacing(node, &state, text) };
        let bases = state.registers.get(BODY).map(Register::all).unwrap_or_default();
        let seen = state.bodies.iter().flat_map(|body| body.latest.clone()).collect();
        let value = Some(Value::generation(generation));
        let field = Field::known(BODY);
        self.push(Change::Set { node, field, bases, seen, repeats: Vec::new(), value });
        if !same {
            let client = derived_client(node, &[b"settle", generation.as_bytes()], text);
            self.push_edits(node, generation, Document::empty().edit(text, client, UPDATE_BYTES_MAX));
        }
        Ok(())
    }

    /// Imports the text of a note. It is compared with what *this* device last imported from that path.
    pub fn import_body(&mut self, vault: &str, path: &[u8], node: NodeId, text: &str) -> Result<ImportedText> {
        let state = self.state(node)?;
        if state.hidden {
            return Ok(ImportedText::SkippedDeleted);
        }
        let hash: [u8; 32] = Sha256::digest(text.as_bytes()).into();
        let last = derived::imported(&self.writer.db, vault, path)?.filter(|last| last.node == node);
        let last = match last {
            Some(last) if !self.was_undone(&last)? => Some(last),
            _ => None,
        };
        if last.as_ref().is_some_and(|last| last.text == hash) {
            return Ok(ImportedText::Unchanged);
        }
        let versions = last.as_ref().map(|last| last.versions.clone());
        let outcome = match last {
            Some(last) => self.import_again(node, &state, &last, text)?,
            None => self.import_first(node, &state, text)?,
        };
        let versions = match versions {
            Some(versions) => versions,
            None if outcome == ImportedText::Unchanged => self.edits_of(node, state.generation())?,
            None => Vec::new(),
        };
        let record = Imported { node, text: hash, versions };
        self.importing = Some(Importing { vault: vault.to_owned(), path: path.to_vec(), record });
        Ok(outcome)
    }

    fn import_first(&mut self, node: NodeId, state: &NodeState, text: &str) -> Result<ImportedText> {
        let wanted = text_hash(text);
        let begun = !state.bodies.is_empty() || state.registers.contains_key(BODY);
        if !begun && text.is_empty() {
            return Ok(ImportedText::New);
        }
        if begun && state.body(state.generation()).and_then(|body| body.text) == wanted {
            return Ok(ImportedText::Unchanged);
        }
        if state.bodies.iter().any(|body| body.text == wanted) && self.view_copies(state)? {
            return Ok(ImportedText::Unchanged);
        }
        let generation = first_generation(node, text);
        let field = Field::known(BODY);
        self.push_set(node, &field, Vec::new(), Value::generation(generation), Vec::new());
        let client = derived_client(node, &[b"first", generation.as_bytes()], text);
        self.push_edits(node, generation, Document::empty().edit(text, client, UPDATE_BYTES_MAX));
        Ok(if begun { ImportedText::Conflict } else { ImportedText::New })
    }

    /// Whether anything is kept beside the shown text.
    fn view_copies(&self, state: &NodeState) -> Result<bool> {
        let branches = self.writer.branches();
        let any = !state.copies(&branches).is_empty();
        branches.finish()?;
        Ok(any)
    }

    fn import_again(&mut self, node: NodeId, state: &NodeState, last: &Imported, text: &str) -> Result<ImportedText> {
        let (generation, base) = self.document_of(node, &last.versions)?;
        let shown = state.generation();
        let generation = generation.unwrap_or(shown);
        let against = [b"again".as_slice(), generation.as_bytes(), &Sha256::digest(base.text().as_bytes())].concat();
        let client = derived_client(node, &[&against], text);
        let updates = if generation == shown {
            base.edit(text, client, UPDATE_BYTES_MAX)
        } else {
            let current = self.document(node, shown, i64::MAX)?;
            let whole = three_way(base.text(), current.text(), text);
            let own = self.client(node);
            current.edit(&whole, own, UPDATE_BYTES_MAX)
        };
        self.push_edits(node, shown, updates);
        Ok(ImportedText::Changed)
    }

    fn was_undone(&self, last: &Imported) -> Result<bool> {
        let Some(pos) = last.versions.last() else { return Ok(false) };
        let Some((_, reference)) = self.op_at(*pos)? else { return Ok(false) };
        let view = self.view();
        match view.op(&reference)? {
            Some((_, _, id)) => view.is_undone(&id),
            None => Ok(false),
        }
    }

    pub(crate) fn push_edits(&mut self, node: NodeId, generation: Generation, updates: Vec<Vec<u8>>) {
        for update in updates {
            self.push(Change::Edit { node, generation, repeats: Vec::new(), update: Some(update) });
        }
    }

    /// The Yjs client for an edit of what is shown now; a fresh one if this action edits the same body twice.
    fn client(&mut self, node: NodeId) -> ClientId {
        if self.edits(node) { self.fresh_client() } else { self.writer.client }
    }

    fn fresh_client(&self) -> ClientId {
        ClientId::from_bits(u64::from_be_bytes(random(&*self.writer.env)))
    }

    /// Whether an edit of the node's bodies came after a position.
    fn is_older(&self, node: NodeId, upto: i64) -> Result<bool> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(false) };
        Ok(state::last_edit(&self.writer.db, row.id)? > upto)
    }

    /// The document of a generation, with the edits up to a position.
    fn document(&self, node: NodeId, generation: Generation, upto: i64) -> Result<Document> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Document::empty()) };
        if state::last_edit(&self.writer.db, row.id)? <= upto {
            let stored = state::document(&self.writer.db, row.id, generation)?;
            if let Some(document) = stored.and_then(|bytes| Document::load(&bytes).ok()) {
                return Ok(document);
            }
        }
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.writer.db, node, row.id, wanted, upto)?;
        let updates = updates.remove(&generation).unwrap_or_default();
        Ok(Document::rebuild(&updates.values().map(Vec::as_slice).collect::<Vec<_>>()))
    }

    /// The document that the edits at these positions make, and its generation.
    fn document_of(&self, node: NodeId, positions: &[i64]) -> Result<(Option<Generation>, Document)> {
        let mut found = Vec::new();
        let mut shown = None;
        for pos in positions {
            let Some((op, reference)) = self.op_at(*pos)? else { continue };
            for (index, change) in (0u32..).zip(op.read().unwrap_or_default()) {
                match change {
                    Change::Edit { node: on, generation, update: Some(update), .. } if on == node => {
                        shown = Some(generation);
                        found.push((reference, index, update));
                    }
                    _ => {}
                }
            }
        }
        found.sort();
        let updates: Vec<&[u8]> = found.iter().map(|(_, _, update)| update.as_slice()).collect();
        Ok((shown, Document::rebuild(&updates)))
    }

    /// The positions of the edits of a generation.
    fn edits_of(&self, node: NodeId, generation: Generation) -> Result<Vec<i64>> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Vec::new()) };
        let wanted = Touch { writes: false, edits: true };
        let (_, updates) = from_log(&self.writer.db, node, row.id, wanted, i64::MAX)?;
        let edits = updates.get(&generation).into_iter().flat_map(|updates| updates.keys());
        edits.map(|(op, _)| self.position(op)).collect()
    }
}

/// Both changes of a text, made from the same one.
fn three_way(base: &str, ours: &str, theirs: &str) -> String {
    let client = ClientId::from_bits;
    let mut document = Document::empty();
    let begin = document.edit(base, client(1), usize::MAX);
    begin.iter().for_each(|update| apply(&mut document, update));
    let updates = [document.edit(ours, client(2), usize::MAX), document.edit(theirs, client(3), usize::MAX)].concat();
    updates.iter().for_each(|update| apply(&mut document, update));
    document.text().to_owned()
}

fn apply(document: &mut Document, update: &[u8]) {
    let applied = document.apply(update);
    debug_assert!(applied, "an edit of a document applies to it");
}

/// The generation of a first text that was imported: the same on every device that imports the same.
fn first_generation(node: NodeId, text: &str) -> Generation {
    generation(&[b"heph generation 1", node.as_bytes(), text.as_bytes()])
}

/// The generation that replaces all that a node has: the same on every device that settles alike.
fn replacing(node: NodeId, state: &NodeState, text: &str) -> Generation {
    let replaced: Vec<u8> = state.bodies.iter().flat_map(|body| *body.generation.as_bytes()).collect();
    generation(&[b"heph settled 1", node.as_bytes(), &replaced, text.as_bytes()])
}

fn generation(parts: &[&[u8]]) -> Generation {
    let hash = Sha256::digest(parts.concat());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    Generation::from_bytes(bytes)
}

/// The Yjs client of a text that several devices may insert alike: from the node, what it was diffed against, the text.
pub(crate) fn derived_client(node: NodeId, against: &[&[u8]], text: &str) -> ClientId {
    let mut hash = Sha256::new();
    hash.update(b"heph client 1");
    hash.update(node.as_bytes());
    against.iter().for_each(|part| hash.update(Sha256::digest(part)));
    hash.update(text.as_bytes());
    let mut bits = [0; 8];
    bits.copy_from_slice(&hash.finalize()[..8]);
    ClientId::from_bits(u64::from_be_bytes(bits))
}
