//! Whether a replica shows of a node what the model says, and keeps every conflict readable.

use crate::oracle::sight::{Head, Shown, Sight};
use crate::oracle::violation::Stop;
use crate::oracle::{Code, Violation};
use heph_store::columns::task_view;
use heph_store::field::{BODY, DELETED, Field, UNDONE};
use heph_store::id::{Generation, NodeId, OpRef};
use heph_store::merge;
use heph_store::op::Change;
use heph_store::read::{Node, View};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// A replica's node beside the model's.
struct Beside<'a> {
    replica: &'a str,
    view: &'a View<'a>,
    node: Node,
    expected: &'a Shown,
}

/// Compares a node on a replica with what the model says of it.
pub(super) fn check_node(replica: &str, view: &View<'_>, id: NodeId, expected: &Shown) -> Result<(), Stop> {
    let Some(node) = view.node(id)? else {
        if expected.is_empty() {
            return Ok(());
        }
        let sentence = format!("node {id} is not here, and there are ops on it: {}", registers(expected));
        return Err(Violation::new(Code::Register, replica, sentence).into());
    };
    let beside = Beside { replica, view, node, expected };
    beside.registers()?;
    beside.flags()?;
    beside.bodies()?;
    beside.awaits()
}

fn registers(shown: &Shown) -> String {
    let names: Vec<&str> = shown.registers.keys().map(Field::as_str).collect();
    names.join(", ")
}

impl Beside<'_> {
    fn differs(&self, code: Code, what: &str, found: impl Debug, expected: impl Debug) -> Violation {
        let sentence = format!("{what} of node {} is {found:?}, and its ops make it {expected:?}", self.node.id);
        Violation::new(code, self.replica, sentence)
    }

    fn claim<T: PartialEq + Debug>(&self, code: Code, what: &str, found: T, expected: T) -> Result<(), Violation> {
        if found == expected { Ok(()) } else { Err(self.differs(code, what, found, expected)) }
    }

    fn registers(&self) -> Result<(), Violation> {
        let found = &self.node.state.registers;
        let fields: BTreeSet<&Field> = found.keys().chain(self.expected.registers.keys()).collect();
        for field in fields {
            let found = found.get(field).map(merge::Register::heads).unwrap_or_default();
            let expected = self.expected.registers.get(field).map(Vec::as_slice).unwrap_or_default();
            if let Some(lost) = expected.iter().find(|head| !found.iter().any(|its| its.own.op == head.own.1)) {
                let sentence = format!(
                    "on node {} nothing has replaced {:?} of {field}, by op {}, and it cannot be read there: {:?}",
                    self.node.id,
                    lost.value,
                    lost.own.1,
                    found.iter().map(|head| &head.value).collect::<Vec<_>>()
                );
                return Err(Violation::new(Code::HeadLost, self.replica, sentence));
            }
            if found.len() != expected.len() || !found.iter().zip(expected).all(|(its, head)| is_same(its, head)) {
                return Err(self.differs(Code::Register, &format!("register {field}"), found, expected));
            }
        }
        Ok(())
    }

    fn flags(&self) -> Result<(), Violation> {
        let (state, expected) = (&self.node.state, self.expected);
        self.claim(Code::Hidden, "whether it is hidden,", state.hidden, expected.hidden)?;
        self.claim(Code::Conflict, "whether anything awaits a choice,", state.conflicted, expected.conflicted)?;
        let newest: BTreeSet<OpRef> = state.latest.iter().copied().collect();
        self.claim(Code::Register, "the newest ops", &newest, &expected.newest)?;
        self.claim(Code::Register, "the tags", self.node.tags(), expected.tags())?;
        self.claim(Code::Occurrence, "the occurrence", task_view(state).occurrence, expected.occurrence)
    }

    fn bodies(&self) -> Result<(), Stop> {
        let (state, expected) = (&self.node.state, self.expected);
        let generations: Vec<Generation> = state.bodies.iter().map(|body| body.generation).collect();
        self.claim(Code::Text, "the generations", generations, expected.texts.keys().copied().collect())?;
        self.claim(Code::Text, "the shown generation", state.generation(), expected.generation)?;
        if expected.texts.is_empty() {
            return Ok(());
        }
        let body = self.view.body(&self.node)?;
        self.claim(Code::Text, "the text", body.text.as_str(), expected.text())?;
        for known in &state.bodies {
            let text = &expected.texts[&known.generation];
            let what = format!("the hash of generation {}", known.generation);
            self.claim(Code::Text, &what, known.text, hash(&text.text))?;
            self.claim(Code::Text, &what, known.leftover, hash(&text.leftover))?;
        }
        let copies: BTreeSet<Generation> = body.copies.iter().map(|copy| copy.generation).collect();
        self.claim(Code::Copy, "the conflict copies", &copies, &expected.copies)?;
        for copy in &body.copies {
            let what = format!("the copy {}", copy.generation);
            self.claim(Code::Copy, &what, &copy.text, &expected.copy(copy.generation))?;
        }
        Ok(())
    }

    /// What a person is asked about.
    fn awaits(&self) -> Result<(), Stop> {
        let several = |heads: &Vec<Head>| heads.len() > 1;
        let expected = self.expected;
        let plain = !expected.registers.contains_key(DELETED) && !expected.registers.values().any(several);
        if plain && expected.texts.is_empty() {
            return Ok(());
        }
        let awaits = self.view.awaits(&self.node)?;
        let fields: BTreeSet<&Field> = awaits.fields.iter().collect();
        self.claim(Code::Conflict, "the list of contested registers", fields, expected.contested.iter().collect())?;
        self.claim(Code::Conflict, "a contested deletion", awaits.deletion, expected.deletion_contested)?;
        let copies: BTreeSet<Generation> = awaits.copies.into_iter().collect();
        Ok(self.claim(Code::Copy, "the list of copies", &copies, &expected.copies)?)
    }
}

fn is_same(its: &merge::Head, head: &Head) -> bool {
    let seen = |seen: &[OpRef]| seen.iter().copied().collect::<BTreeSet<_>>();
    (its.own.stamp, its.own.op) == head.own
        && (its.above.stamp, its.above.op) == head.above
        && its.value == head.value
        && seen(&its.seen) == seen(&head.seen)
}

fn hash(text: &str) -> Option<[u8; 32]> {
    (!text.is_empty()).then(|| Sha256::digest(text).into())
}

/// A node that one device wrote to, one thing after another, has nothing to choose: unless its author erased something,
/// began a text beside another, or took back the making of something that was written to since.
pub(super) fn check_no_phantom(
    replica: &str,
    view: &View<'_>,
    sight: &Sight<'_>,
    id: NodeId,
    expected: &Shown,
) -> Result<(), Stop> {
    let Some(node) = view.node(id)? else { return Ok(()) };
    if !node.state.conflicted || !sight.is_one_history(id) {
        return Ok(());
    }
    let awaits = view.awaits(&node)?;
    let several_texts = expected.texts.len() > 1
        || expected.texts.values().any(|text| !text.leftover.is_empty())
        || expected.registers.get(BODY).is_some_and(|heads| heads.len() > 1);
    let copies = !awaits.copies.is_empty() && !several_texts;
    let deletion = awaits.deletion && !expected.registers[DELETED].iter().any(|head| is_undo(sight, head));
    if awaits.fields.is_empty() && !copies && !deletion {
        return Ok(());
    }
    let sentence = format!("one device alone wrote to node {id}, and it awaits a choice: {awaits:?}");
    Err(Violation::new(Code::PhantomConflict, replica, sentence).into())
}

fn is_undo(sight: &Sight<'_>, head: &Head) -> bool {
    let marks = |change: &Change| matches!(change, Change::Set { field, .. } if field.as_str() == UNDONE);
    let op = sight.model.op(head.number).0;
    op.group.is_some() || sight.changes(head.number).into_iter().flatten().any(marks)
}
