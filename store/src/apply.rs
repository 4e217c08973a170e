//! What an op does to the state: the merge rules applied to the nodes it is on, and the rows that follow from them.
//! Most ops merge into what is here; what arrives out of causal order, is held, or erases, has its nodes derived from
//! all their ops again. Both ways give the same state: that is tested as a law, and by `verify`.

use crate::body::Document;
use crate::derive::{Moment, Ordered, from_log, read, readable};
use crate::error::Result;
use crate::field::{DELETED, Field, Value};
use crate::id::{Generation, NodeId, OpId, OpRef};
use crate::merge::{Body, Merged, Rank, Write, note_latest};
use crate::op::{Change, ChangeRef, Op, Touch};
use crate::sqlite::{held, log, state};
use crate::writer::{Writer, emptied};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

impl Writer {
    /// Applies the op at `pos`.
    pub fn apply(&mut self, pos: i64, op: &Op, id: &OpId) -> Result<()> {
        let reference = op.reference(id);
        self.note_nodes(pos, op)?;
        for node in log::arrived(&self.db, &reference)? {
            self.derive(node)?;
        }
        let changes = op.read();
        let repeats = match &changes {
            Ok(changes) => self.note_erases(pos, reference, (0u32..).zip(changes)),
            Err(_) => self.note_erases(pos, reference, op.framed().iter().map(|(index, change)| (*index, change))),
        }?;
        self.note_missing(pos, op, &reference)?;
        // An op that repeats something may have lost values of its own just now.
        let changes =
            if repeats { read(&self.db, pos, &self.content(pos)?)? } else { readable(&self.db, pos, op, changes)? };
        match changes {
            Err(why) => self.hold(pos, op, &why),
            Ok(changes) => self.take_effect(Rank { stamp: op.stamp, op: reference }, changes),
        }
    }

    /// Takes away what the op erases, and what of it repeats something erased, whichever comes first. That follows from
    /// frames alone, so it is done for held ops, too. Returns whether the op repeats anything.
    fn note_erases<'a>(
        &mut self,
        pos: i64,
        op: OpRef,
        changes: impl Iterator<Item = (u32, &'a Change)>,
    ) -> Result<bool> {
        let mut repeats = false;
        let mut targets = Vec::new();
        for (index, change) in changes {
            for repeated in change.repeats() {
                repeats = true;
                log::insert_repeat(&self.db, repeated, pos, index)?;
                if log::erased(&self.db, &repeated.op)?.contains(&repeated.index) {
                    targets.push(ChangeRef { op, index });
                }
            }
            targets.extend_from_slice(change.erases());
        }
        self.erase(targets)?;
        Ok(repeats)
    }

    /// Keeps an op without effect. What its sets name is waited for: what supersedes them supersedes that, too.
    fn hold(&mut self, pos: i64, op: &Op, why: &str) -> Result<()> {
        held::hold(&self.db, pos, why)?;
        op.registers().into_iter().try_for_each(|(node, _, bases)| self.await_ops(node, &bases))
    }

    /// Notes ops that are named and not here, so that the node is derived again when they come. While the state is made
    /// anew, what stands further on in the log has not come yet.
    fn await_ops(&mut self, node: NodeId, named: &[OpRef]) -> Result<()> {
        for op in named {
            if self.branches().locate(op)?.is_none_or(|(pos, _)| pos > self.head) {
                log::await_op(&self.db, op, node)?;
            }
        }
        Ok(())
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

    fn take_effect(&mut self, own: Rank, changes: Vec<Change>) -> Result<()> {
        for (index, change) in (0u32..).zip(changes) {
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
                Change::Erase { .. } => {}
            }
        }
        Ok(())
    }

    fn merge(&mut self, node: NodeId, field: Field, write: Write) -> Result<()> {
        self.await_ops(node, &write.bases)?;
        self.await_ops(node, &write.seen)?;
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
        self.opened_bytes += stored.as_ref().map_or(0, Vec::len);
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

    /// Takes the effect and bytes of values away, here or once they come, and those of all that repeat them.
    fn erase(&mut self, targets: Vec<ChangeRef>) -> Result<()> {
        let mut next = targets;
        let mut erased: BTreeMap<OpRef, Vec<u32>> = BTreeMap::new();
        while let Some(target) = next.pop() {
            if !log::erase(&self.db, &target)? {
                continue;
            }
            for (pos, index) in log::repeats_of(&self.db, &target)? {
                next.push(ChangeRef { op: log::reference(&self.db, pos)?, index });
            }
            erased.entry(target.op).or_default().push(target.index);
        }
        // What was erased may be text of this writer's own Yjs client. Its items' numbers would be given out again, and
        // who has not heard of the erase may delete them.
        if !erased.is_empty() {
            self.draw_client();
        }
        for (op, indexes) in erased {
            if let Some((pos, _)) = self.branches().locate(&op)? {
                self.drop_values(pos, &indexes)?;
            }
        }
        Ok(())
    }

    fn content(&self, pos: i64) -> Result<Op> {
        let row = log::row(&self.db, pos)?.ok_or(crate::codec::Malformed("a position beyond the log"))?;
        log::content(&self.db, &row)
    }

    fn drop_values(&mut self, pos: i64, indexes: &[u32]) -> Result<()> {
        let Some(row) = log::row(&self.db, pos)? else { return Ok(()) };
        let mut op = log::content(&self.db, &row)?;
        let mut dropped = false;
        for index in indexes {
            log::found(&self.db, pos, *index)?;
            dropped |= op.erase(*index as usize);
        }
        if dropped {
            log::replace(&self.db, pos, &op.pack(), emptied(&op))?;
        }
        if dropped || log::missing(&self.db, pos)?.is_empty() { self.reconsider(pos, &op, &row.id) } else { Ok(()) }
    }

    /// Looks again at an op of which a value was dropped, supplied or found to be erased: it may have become readable,
    /// and its nodes are derived anew.
    pub fn reconsider(&mut self, pos: i64, op: &Op, id: &OpId) -> Result<()> {
        self.known.ops.forget(pos);
        if held::is_held(&self.db, pos)? {
            held::release(&self.db, pos)?;
            self.apply(pos, op, id)?;
            if !held::is_held(&self.db, pos)? {
                held::insert_late(&self.db, pos, self.head)?;
            }
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
            let (registers, mut updates) = from_log(&self.branches(), node, row, wanted, Moment::NOW)?;
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

/// SHA-256 of a text; `None` for the empty one.
pub(crate) fn text_hash(text: &str) -> Option<[u8; 32]> {
    (!text.is_empty()).then(|| Sha256::digest(text.as_bytes()).into())
}
