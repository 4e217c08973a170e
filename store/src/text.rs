//! What an action writes to a body. A text is only ever changed relative to the version that its author read.

use crate::apply::text_hash;
use crate::body::{ClientId, Document};
use crate::derive::{Moment, from_log};
use crate::draft::Draft;
use crate::env::random;
use crate::error::Result;
use crate::field::{BODY, Field, Value};
use crate::id::{Generation, NodeId};
use crate::merge::{NodeState, Register};
use crate::op::{Change, Touch};
use crate::sqlite::derived::{self, Imported};
use crate::sqlite::{log, state};
use crate::three_way;
use crate::undone::mark_of;
use crate::version::Version;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

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

/// What an import is compared with: what this device last imported.
enum Base {
    /// These edits make it up. Not `exact`: some edits of it were undone, if only for a while, so that it stands there
    /// as other items, if at all.
    Edits { made: Vec<i64>, exact: bool },
    /// This text, which was merged into another.
    Merged(String),
}

impl Draft<'_> {
    /// Saves a whole text that was made from what was read at `version`; without one, from what is shown now.
    pub fn save_body(&mut self, node: NodeId, text: &str, version: Option<&Version>) -> Result<Saved> {
        let state = self.writable(node)?;
        let shown = state.generation();
        let current = self.document(node, shown, Moment::NOW)?;
        let read = match version {
            None => None,
            Some(version) => Some((version.generation, version.moment(&self.writer.db, self.writer.log_id)?)),
        };
        let (updates, merged) = match read {
            Some((generation, then)) if generation != shown => {
                let base = self.document(node, generation, then)?;
                let whole = three_way::merge(base.text(), current.text(), text);
                let client = self.client(node);
                (current.edit(&whole, client, UPDATE_BYTES_MAX), whole != text)
            }
            Some((_, then)) if self.is_older(node, then)? => {
                let base = self.document(node, shown, then)?;
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
        let current = self.document(node, shown, Moment::NOW)?;
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
        let (made, undone, exact) = self.made(last.as_ref())?;
        if !undone && last.as_ref().is_some_and(|last| last.text == hash) {
            return Ok(ImportedText::Unchanged);
        }
        let base = match last.and_then(|last| last.merged).filter(|_| !undone) {
            Some(merged) => Some(Base::Merged(merged)),
            None if made.is_empty() => None,
            None => Some(Base::Edits { made, exact }),
        };
        let (outcome, versions, merged) = match base {
            Some(base) => self.import_again(node, &state, base, text)?,
            None => self.import_first(node, &state, text)?,
        };
        let record = Imported { node, text: hash, versions, merged: merged.then(|| text.to_owned()) };
        self.importing = Some(Importing { vault: vault.to_owned(), path: path.to_vec(), record });
        Ok(outcome)
    }

    /// As [`Draft::import_again`], where this device has imported nothing yet.
    fn import_first(&mut self, node: NodeId, state: &NodeState, text: &str) -> Result<(ImportedText, Vec<i64>, bool)> {
        let wanted = text_hash(text);
        let shown = state.generation();
        let begun = !state.bodies.is_empty() || state.registers.contains_key(BODY);
        if !begun && text.is_empty() {
            return Ok((ImportedText::New, Vec::new(), false));
        }
        let shown_text = state.body(shown).and_then(|body| body.text);
        if begun && shown_text == wanted {
            return self.is_here(self.edits_of(node, shown)?);
        }
        for copy in self.copies(state)? {
            if state.body(copy).is_some_and(|body| body.text == wanted) {
                return self.is_here(self.edits_of(node, copy)?);
            }
        }
        let generation = first_generation(node, text);
        let client = derived_client(node, &[b"first", generation.as_bytes()], text);
        let updates = Document::empty().edit(text, client, UPDATE_BYTES_MAX);
        if state.body(generation).is_none() {
            self.begin_body(node, generation, updates);
            return Ok((if begun { ImportedText::Conflict } else { ImportedText::New }, Vec::new(), false));
        }
        if let Some(here) = self.positions_of(node, generation, &updates)? {
            return Ok((ImportedText::Unchanged, here, false));
        }
        // This import was made before and undone: its items are deleted for ever, so others are needed.
        let client = self.fresh_client();
        if shown_text.is_none() {
            let current = self.document(node, shown, Moment::NOW)?;
            self.push_edits(node, shown, current.edit(text, client, UPDATE_BYTES_MAX));
            return Ok((ImportedText::New, Vec::new(), true));
        }
        let generation = Generation::from_bytes(random(&*self.writer.env));
        self.begin_body(node, generation, Document::empty().edit(text, client, UPDATE_BYTES_MAX));
        Ok((ImportedText::Conflict, Vec::new(), false))
    }

    /// A text that these edits made is here already. If some of them were undone, they are no longer what makes it up.
    fn is_here(&self, edits: Vec<i64>) -> Result<(ImportedText, Vec<i64>, bool)> {
        for pos in &edits {
            if self.was_undone(*pos)? {
                return Ok((ImportedText::Unchanged, Vec::new(), true));
            }
        }
        Ok((ImportedText::Unchanged, edits, false))
    }

    /// Begins a body beside what is there.
    fn begin_body(&mut self, node: NodeId, generation: Generation, updates: Vec<Vec<u8>>) {
        self.push_set(node, &Field::known(BODY), Vec::new(), Value::generation(generation), Vec::new());
        self.push_edits(node, generation, updates);
    }

    /// What is kept beside the shown text.
    fn copies(&self, state: &NodeState) -> Result<Vec<Generation>> {
        let branches = self.writer.branches();
        let copies = state.copies(&branches);
        branches.finish()?;
        Ok(copies)
    }

    /// What happened, the positions of the edits that this text goes on from, and whether it was merged into another.
    fn import_again(
        &mut self,
        node: NodeId,
        state: &NodeState,
        base: Base,
        text: &str,
    ) -> Result<(ImportedText, Vec<i64>, bool)> {
        let shown = state.generation();
        let base = match base {
            Base::Merged(merged) => merged,
            Base::Edits { made, exact } => {
                let (generation, document) = self.document_of(node, &made)?;
                if generation == Some(shown) && exact {
                    let client = again(node, shown, document.text(), text);
                    self.push_edits(node, shown, document.edit(text, client, UPDATE_BYTES_MAX));
                    return Ok((ImportedText::Changed, made, false));
                }
                document.text().to_owned()
            }
        };
        let current = self.document(node, shown, Moment::NOW)?;
        let whole = three_way::merge(&base, current.text(), text);
        let client = again(node, shown, current.text(), text);
        self.push_edits(node, shown, current.edit(&whole, client, UPDATE_BYTES_MAX));
        Ok((ImportedText::Changed, Vec::new(), true))
    }

    /// The edits of an import that are not undone, whether any is, and whether none ever was.
    fn made(&self, last: Option<&Imported>) -> Result<(Vec<i64>, bool, bool)> {
        let (mut made, mut exact) = (Vec::new(), true);
        let all = last.map(|last| last.versions.as_slice()).unwrap_or_default();
        for pos in all {
            if !self.was_undone(*pos)? {
                made.push(*pos);
            }
            exact &= !self.was_marked(*pos)?;
        }
        let undone = made.len() < all.len();
        Ok((made, undone, exact))
    }

    /// Whether an op was undone, if only for a while.
    fn was_marked(&self, pos: i64) -> Result<bool> {
        let Some(row) = log::row(&self.writer.db, pos)? else { return Ok(false) };
        Ok(self.view().node(mark_of(&row.id))?.is_some())
    }

    fn was_undone(&self, pos: i64) -> Result<bool> {
        match log::row(&self.writer.db, pos)? {
            Some(row) => self.view().is_undone(&row.id),
            None => Ok(false),
        }
    }

    /// Where these updates of a generation stand in the log, if all do and none was undone.
    fn positions_of(&self, node: NodeId, generation: Generation, updates: &[Vec<u8>]) -> Result<Option<Vec<i64>>> {
        let mut lacking: BTreeSet<&[u8]> = updates.iter().map(Vec::as_slice).collect();
        let mut here = Vec::new();
        for pos in self.edits_of(node, generation)? {
            let Some((op, _)) = self.op_at(pos)? else { continue };
            if self.was_undone(pos)? {
                continue;
            }
            for change in op.read().unwrap_or_default() {
                if matches!(&change, Change::Edit { update: Some(update), .. } if lacking.remove(update.as_slice())) {
                    here.push(pos);
                }
            }
        }
        Ok(lacking.is_empty().then_some(here))
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

    /// Whether an edit of the node's bodies came after a moment.
    fn is_older(&self, node: NodeId, then: Moment) -> Result<bool> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(false) };
        then.is_before_an_edit(&self.writer.db, row.id)
    }

    /// The document of a generation, with the edits up to a moment.
    fn document(&self, node: NodeId, generation: Generation, then: Moment) -> Result<Document> {
        let Some(row) = state::node(&self.writer.db, node)? else { return Ok(Document::empty()) };
        if !then.is_before_an_edit(&self.writer.db, row.id)? {
            let stored = state::document(&self.writer.db, row.id, generation)?;
            if let Some(document) = stored.and_then(|bytes| Document::load(&bytes).ok()) {
                return Ok(document);
            }
        }
        let wanted = Touch { writes: false, edits: true };
        let (_, mut updates) = from_log(&self.writer.branches(), node, row.id, wanted, then)?;
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
        let (_, updates) = from_log(&self.writer.branches(), node, row.id, wanted, Moment::NOW)?;
        let edits = updates.get(&generation).into_iter().flat_map(|updates| updates.keys());
        edits.map(|(op, _)| self.position(op)).collect()
    }
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

/// The Yjs client of an import that changes an earlier text of the note.
fn again(node: NodeId, generation: Generation, before: &str, text: &str) -> ClientId {
    let against = [b"again".as_slice(), generation.as_bytes(), &Sha256::digest(before)].concat();
    derived_client(node, &[&against], text)
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
