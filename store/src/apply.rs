//! What an op does to the state: the merge rules applied to the nodes it is on, and the rows that follow from them.
//! Most ops merge into what is here; what arrives out of causal order, is held, or erases, has its nodes derived from
//! all their ops again. Both ways give the same state: that is tested as a law, and by `verify`.

use crate::body::Document;
use crate::error::Result;
use crate::field::{DELETED, Field, Value};
use crate::id::{Generation, NodeId, OpId, OpRef};
use crate::merge::{Body, Merged, Rank, Register, Write, note_latest};
use crate::op::{Change, ChangeRef, Op, Touch};
use crate::sqlite::{log, state};
use crate::writer::{Writer, emptied};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// An update with the rank of its op: the order in which a body is rebuilt.
type Ordered = BTreeMap<(OpRef, u32), Vec<u8>>;

impl Writer {
    /// Applies the op at `pos`.
    pub fn apply(&mut self, pos: i64, op: &Op, id: &OpId) -> Result<()> {
        let reference = op.reference(id);
        self.note_nodes(pos, op)?;
        for node in log::arrived(&self.db, &reference)? {
            self.derive(node)?;
        }
        self.note_missing(pos, op, &reference)?;
        match op.read() {
            Err(why) => log::hold(&self.db, pos, &why.to_string()),
            Ok(changes) => self.take_effect(pos, Rank { stamp: op.stamp, op: reference }, changes),
        }
    }

    /// Which nodes the op is on, and what of it they need when they are derived again.
    fn note_nodes(&mut self, pos: i64, op: &Op) -> Result<()> {
        for (node, touch) in op.touches() {
            let row = self.node(node)?.row;
            state::touch(&self.db, row, pos, touch)?;
        }
        Ok(())
    }

    /// Values that came without their bytes and whose erase is not here.
    fn note_missing(&mut self, pos: i64, op: &Op, reference: &OpRef) -> Result<()> {
        if emptied(op) == 0 {
            return Ok(());
        }
        let erased = log::erased(&self.db, reference)?;
        for (index, change) in (0u32..).zip(&op.changes) {
            if change.value.here().is_none() && !erased.contains(&index) {
                log::miss(&self.db, pos, index)?;
            }
        }
        Ok(())
    }

    fn take_effect(&mut self, pos: i64, own: Rank, changes: Vec<Change>) -> Result<()> {
        for (index, change) in (0u32..).zip(changes) {
            self.note_repeats(pos, own.op, index, &change)?;
            match change {
                Change::Set { node, field, bases, seen, value, .. } => {
                    self.merge(node, field, Write { own, index, bases, seen, value })?;
                }
                Change::Delete { node, bases, seen } => {
                    let write = Write { own, index, bases, seen, value: Some(Value::Bool(true)) };
                    self.merge(node, Field::known(DELETED), write)?;
                }
                Change::Edit { node, generation, update, .. } => {
                    self.edit(node, generation, own.op, update.as_deref())?;
                }
                Change::Erase { targets } => {
                    for target in targets {
                        self.erase(target)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// A value that repeats an erased one is erased with it, whichever comes first.
    fn note_repeats(&mut self, pos: i64, op: OpRef, index: u32, change: &Change) -> Result<()> {
        let mut is_erased = false;
        for repeated in change.repeats() {
            log::insert_repeat(&self.db, repeated, pos, index)?;
            is_erased |= log::erased(&self.db, &repeated.op)?.contains(&repeated.index);
        }
        if is_erased { self.erase(ChangeRef { op, index }) } else { Ok(()) }
    }

    fn merge(&mut self, node: NodeId, field: Field, write: Write) -> Result<()> {
        for named in write.bases.iter().chain(&write.seen) {
            if self.branches().locate(named)?.is_none() {
                log::await_op(&self.db, named, node)?;
            }
        }
        if field.as_str() != DELETED {
            self.note_on(node, write.own.op)?;
        }
        let open = self.node(node)?;
        open.changed = true;
        if open.state.registers.entry(field).or_default().merge(write) == Merged::NeedsAll {
            open.derive = true;
        }
        Ok(())
    }

    /// Notes an op as the newest on a node.
    fn note_on(&mut self, node: NodeId, op: OpRef) -> Result<()> {
        let mut latest = std::mem::take(&mut self.node(node)?.state.latest);
        let branches = self.branches();
        note_latest(&mut latest, op, &branches);
        branches.finish()?;
        self.node(node)?.state.latest = latest;
        Ok(())
    }

    fn edit(&mut self, node: NodeId, generation: Generation, op: OpRef, update: Option<&[u8]>) -> Result<()> {
        self.note_on(node, op)?;
        self.node(node)?.changed = true;
        let Some(update) = update else { return Ok(()) };
        let row = self.node(node)?.row;
        self.open_body(node, row, generation)?;
        self.note_edit(node, generation, op)?;
        let open = self.node(node)?.bodies.entry(generation).or_default();
        open.changed = true;
        if !open.rebuild {
            open.rebuild = !open.document.get_or_insert_with(Document::empty).apply(update);
        }
        Ok(())
    }

    fn note_edit(&mut self, node: NodeId, generation: Generation, op: OpRef) -> Result<()> {
        let bodies = &mut self.node(node)?.state.bodies;
        let at = bodies.iter().position(|body| body.generation == generation).unwrap_or_else(|| {
            bodies.push(Body { generation, latest: Vec::new(), text: None, leftover: None });
            bodies.len() - 1
        });
        let mut latest = std::mem::take(&mut bodies[at].latest);
        let branches = self.branches();
        note_latest(&mut latest, op, &branches);
        branches.finish()?;
        self.node(node)?.state.bodies[at].latest = latest;
        Ok(())
    }

    /// Loads the document of a generation for change.
    pub fn open_body(&mut self, node: NodeId, row: i64, generation: Generation) -> Result<()> {
        if self.node(node)?.bodies.get(&generation).is_some_and(|open| open.document.is_some()) {
            return Ok(());
        }
        let stored = state::document(&self.db, row, generation)?;
        let (document, rebuild) = match stored.map(|bytes| Document::load(&bytes)) {
            None => (Document::empty(), false),
            Some(Ok(document)) => (document, false),
            // A cache that does not load is made again from the log.
            Some(Err(_)) => (Document::empty(), true),
        };
        let open = self.node(node)?.bodies.entry(generation).or_default();
        open.document = Some(document);
        open.rebuild |= rebuild;
        Ok(())
    }

    /// Takes a value's effect and bytes away, here or once it comes, and those of all that repeat it.
    pub fn erase(&mut self, target: ChangeRef) -> Result<()> {
        let mut next = vec![target];
        while let Some(target) = next.pop() {
            if !log::erase(&self.db, &target)? {
                continue;
            }
            for (pos, index) in log::repeats_of(&self.db, &target)? {
                next.push(ChangeRef { op: self.reference_at(pos)?, index });
            }
            if let Some((pos, _)) = self.branches().locate(&target.op)? {
                log::found(&self.db, pos, target.index)?;
                self.drop_value(pos, target.index)?;
            }
        }
        Ok(())
    }

    fn reference_at(&self, pos: i64) -> Result<OpRef> {
        let row = log::row(&self.db, pos)?.ok_or(crate::codec::Malformed("a position beyond the log"))?;
        let (origin, _) = log::chain_origin(&self.db, row.chain)?;
        Ok(OpRef::new(origin, row.seq, &row.id))
    }

    fn drop_value(&mut self, pos: i64, index: u32) -> Result<()> {
        let Some(row) = log::row(&self.db, pos)? else { return Ok(()) };
        let mut op = log::content(&self.db, &row)?;
        let was_held = log::is_held(&self.db, pos)?;
        if !op.erase(index as usize) {
            return Ok(());
        }
        log::replace(&self.db, pos, &op.pack(), emptied(&op))?;
        self.reconsider(pos, &op, &row.id, was_held)
    }

    /// Applies an op again whose bytes changed: it may have become readable, and its nodes are derived anew.
    pub fn reconsider(&mut self, pos: i64, op: &Op, id: &OpId, was_held: bool) -> Result<()> {
        if was_held && op.read().is_ok() {
            log::release(&self.db, pos)?;
            return self.apply(pos, op, id).and_then(|()| self.derive_all(op));
        }
        self.derive_all(op)
    }

    /// Marks all nodes that an op is on to be derived from their ops.
    pub fn derive_all(&mut self, op: &Op) -> Result<()> {
        op.touches().into_keys().try_for_each(|node| self.derive(node))?;
        for change in op.read().unwrap_or_default() {
            if let Change::Edit { node, generation, .. } = change {
                let body = self.node(node)?.bodies.entry(generation).or_default();
                (body.rebuild, body.changed) = (true, true);
            }
        }
        Ok(())
    }

    /// Marks a node, with all its bodies, to be derived from its ops.
    pub fn derive(&mut self, node: NodeId) -> Result<()> {
        let open = self.node(node)?;
        (open.derive, open.changed) = (true, true);
        let generations: Vec<_> = open.state.bodies.iter().map(|body| body.generation).collect();
        for generation in generations {
            let body = open.bodies.entry(generation).or_default();
            (body.rebuild, body.changed) = (true, true);
        }
        Ok(())
    }

    /// Brings the registers and bodies of every node that needs it up to date.
    pub fn settle_nodes(&mut self) -> Result<()> {
        let nodes: Vec<NodeId> = self.nodes.iter().filter(|(_, open)| open.changed).map(|(node, _)| *node).collect();
        for node in nodes {
            self.settle_node(node)?;
        }
        Ok(())
    }

    fn settle_node(&mut self, node: NodeId) -> Result<()> {
        let open = self.node(node)?;
        let row = open.row;
        let rebuild: BTreeSet<Generation> =
            open.bodies.iter().filter(|(_, body)| body.rebuild).map(|(generation, _)| *generation).collect();
        if open.derive || !rebuild.is_empty() {
            let wanted = Touch { writes: self.node(node)?.derive, edits: !rebuild.is_empty() };
            let (registers, mut updates) = from_log(&self.db, node, row, wanted, i64::MAX)?;
            let open = self.node(node)?;
            if open.derive {
                open.state.registers = registers;
                open.derive = false;
            }
            for generation in rebuild {
                let updates = updates.remove(&generation).unwrap_or_default();
                self.rebuild_body(node, generation, &updates)?;
            }
        }
        self.note_texts(node)
    }

    fn rebuild_body(&mut self, node: NodeId, generation: Generation, updates: &Ordered) -> Result<()> {
        let ordered: Vec<&[u8]> = updates.values().map(Vec::as_slice).collect();
        let mut latest = Vec::new();
        let branches = self.branches();
        updates.keys().for_each(|(op, _)| note_latest(&mut latest, *op, &branches));
        branches.finish()?;
        let open = self.node(node)?;
        let body = open.bodies.entry(generation).or_default();
        (body.rebuild, body.changed) = (false, true);
        if updates.is_empty() {
            body.document = None;
            open.state.bodies.retain(|body| body.generation != generation);
            return Ok(());
        }
        body.document = Some(Document::rebuild(&ordered));
        match open.state.bodies.iter_mut().find(|body| body.generation == generation) {
            Some(body) => body.latest = latest,
            None => open.state.bodies.push(Body { generation, latest, text: None, leftover: None }),
        }
        Ok(())
    }

    /// Hashes the texts of the bodies that changed.
    fn note_texts(&mut self, node: NodeId) -> Result<()> {
        let open = self.node(node)?;
        for (generation, body) in open.bodies.iter().filter(|(_, body)| body.changed) {
            let Some(document) = &body.document else { continue };
            if let Some(known) = open.state.bodies.iter_mut().find(|known| known.generation == *generation) {
                known.text = text_hash(document.text());
                known.leftover = text_hash(document.leftover());
            }
        }
        open.state.registers.retain(|_, register| !register.heads().is_empty());
        open.state.bodies.sort_by_key(|body| body.generation);
        Ok(())
    }
}

/// All that the log says of a node up to a position: its registers, and per generation its readable updates.
pub(crate) fn from_log(
    db: &Connection,
    node: NodeId,
    row: i64,
    wanted: Touch,
    upto: i64,
) -> Result<(BTreeMap<Field, Register>, BTreeMap<Generation, Ordered>)> {
    let mut writes: BTreeMap<Field, Vec<Write>> = BTreeMap::new();
    let mut updates: BTreeMap<Generation, Ordered> = BTreeMap::new();
    for pos in state::touching(db, row, wanted)?.into_iter().take_while(|pos| *pos <= upto) {
        let Some(found) = log::row(db, pos)? else { continue };
        let op = log::content(db, &found)?;
        let own = Rank { stamp: op.stamp, op: op.reference(&found.id) };
        match op.read() {
            Ok(changes) => collect(node, own, changes, &mut writes, &mut updates),
            Err(_) => relay(node, own, &op, &mut writes),
        }
    }
    let registers = writes.into_iter().map(|(field, writes)| (field, Register::of(&writes)));
    Ok((registers.filter(|(_, register)| !register.heads().is_empty()).collect(), updates))
}

/// SHA-256 of a text; `None` for the empty one.
pub(crate) fn text_hash(text: &str) -> Option<[u8; 32]> {
    (!text.is_empty()).then(|| Sha256::digest(text.as_bytes()).into())
}

fn collect(
    on: NodeId,
    own: Rank,
    changes: Vec<Change>,
    writes: &mut BTreeMap<Field, Vec<Write>>,
    updates: &mut BTreeMap<Generation, Ordered>,
) {
    for (index, change) in (0u32..).zip(changes) {
        match change {
            Change::Set { node, field, bases, seen, value, .. } if node == on => {
                writes.entry(field).or_default().push(Write { own, index, bases, seen, value });
            }
            Change::Delete { node, bases, seen } if node == on => {
                let write = Write { own, index, bases, seen, value: Some(Value::Bool(true)) };
                writes.entry(Field::known(DELETED)).or_default().push(write);
            }
            Change::Edit { node, generation, update: Some(update), .. } if node == on => {
                updates.entry(generation).or_default().insert((own.op, index), update);
            }
            _ => {}
        }
    }
}

/// A held op shows nothing; what supersedes it supersedes what it names.
fn relay(on: NodeId, own: Rank, op: &Op, writes: &mut BTreeMap<Field, Vec<Write>>) {
    for (node, field, bases) in op.registers().into_iter().filter(|(node, ..)| *node == on) {
        debug_assert_eq!(node, on);
        writes.entry(field).or_default().push(Write { own, index: 0, bases, seen: Vec::new(), value: None });
    }
}
