//! What somebody shows who holds a certain set of ops: every question asked of all the ops on a node.

use crate::oracle::register::{Write, heads};
use crate::oracle::text::{Edits, Text};
use crate::oracle::{Model, OpNumber, Set};
use heph_store::field::{BODY, DELETED, DO_DATE, Field, KIND, OF, RECURRENCE, TITLE, Value};
use heph_store::id::{Generation, NodeId, OpRef, Stamp};
use heph_store::op::{Change, ChangeRef};
use heph_store::recur::{self, Rule};
use jiff::civil::Date;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::rc::Rc;

/// What decides between values that were written unaware of each other.
pub(super) type Rank = (Stamp, OpRef);

/// A value of a register that nothing has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The op that wrote it, by its number in the model.
    pub number: OpNumber,
    /// Its stamp and name.
    pub own: (Stamp, OpRef),
    /// The largest of these among it and all that it replaced.
    pub above: (Stamp, OpRef),
    /// What its author had seen (of `deleted` and `body`).
    pub seen: Vec<OpRef>,
    /// The value.
    pub value: Value,
}

/// What is shown of a node.
#[derive(Debug, Clone)]
pub struct Shown {
    /// Per register that has any, its heads, the shown one first.
    pub registers: BTreeMap<Field, Vec<Head>>,
    /// The newest ops on it per chain, but for those that are only on `deleted`.
    pub newest: BTreeSet<OpRef>,
    /// The generation of the body that is shown.
    pub generation: Generation,
    /// Per generation its text.
    pub texts: BTreeMap<Generation, Rc<Text>>,
    /// Registers on which differing values stand side by side.
    pub contested: BTreeSet<Field>,
    /// It was deleted by someone who had not seen all of it, or deleted and kept at once.
    pub deletion_contested: bool,
    /// The generations that are kept beside the shown one.
    pub copies: BTreeSet<Generation>,
    /// It is hidden.
    pub hidden: bool,
    /// Something about it awaits a choice.
    pub conflicted: bool,
    /// The current occurrence, if it is a recurring task that has one.
    pub occurrence: Option<Date>,
}

impl Shown {
    /// Whether nothing is known of the node but that ops without effect name it.
    pub fn is_empty(&self) -> bool {
        self.registers.is_empty() && self.texts.is_empty()
    }

    /// The value that a register shows, unless there is none or it is null.
    pub fn value(&self, field: &str) -> Option<&Value> {
        let heads = self.registers.get(field)?;
        heads.first().map(|head| &head.value).filter(|value| **value != Value::Null)
    }

    /// The kind.
    pub fn kind(&self) -> Option<&str> {
        self.value(KIND).and_then(Value::as_text)
    }

    /// The title.
    pub fn title(&self) -> &str {
        self.value(TITLE).and_then(Value::as_text).unwrap_or_default()
    }

    /// The text that is shown.
    pub fn text(&self) -> &str {
        self.texts.get(&self.generation).map_or("", |text| text.text.as_str())
    }

    /// The text of a conflict copy, with what found no place behind it.
    pub fn copy(&self, generation: Generation) -> String {
        let Some(text) = self.texts.get(&generation) else { return String::new() };
        let own = if generation == self.generation { "" } else { text.text.as_str() };
        let between = if own.is_empty() || text.leftover.is_empty() { "" } else { "\n" };
        [own, between, &text.leftover].concat()
    }

    /// The tags that it carries.
    pub fn tags(&self) -> BTreeSet<NodeId> {
        self.registers.keys().filter(|field| self.value(field.as_str()).is_some()).filter_map(Field::as_tag).collect()
    }
}

/// What the ops on one node say, before anything is asked about its owner or what it owns.
struct Part {
    registers: BTreeMap<Field, Vec<Head>>,
    owner: Option<NodeId>,
    newest: Vec<OpNumber>,
}

/// See the module.
pub struct Sight<'a> {
    pub(super) model: &'a Model,
    pub(super) set: &'a Set,
    pub(super) erased: HashSet<ChangeRef>,
    /// What ops of which a value is erased or missing do.
    altered: HashMap<OpNumber, Option<Vec<Change>>>,
    parts: RefCell<HashMap<NodeId, Rc<Part>>>,
}

impl<'a> Sight<'a> {
    pub(super) fn new(model: &'a Model, set: &'a Set, missing: &BTreeSet<ChangeRef>) -> Self {
        let erased = model.erased(set);
        let mut opened = HashMap::new();
        for target in &erased {
            let Some(number) = model.number(&target.op).filter(|op| set.contains(*op)) else { continue };
            let op = opened.entry(number).or_insert_with(|| model.ops[number as usize].op.clone());
            op.erase(target.index as usize);
        }
        let mut altered: HashMap<OpNumber, Option<Vec<Change>>> =
            opened.into_iter().map(|(number, op)| (number, op.read().ok())).collect();
        for target in missing.iter().filter(|target| !erased.contains(target)) {
            altered.extend(model.number(&target.op).map(|number| (number, None)));
        }
        Self { model, set, erased, altered, parts: RefCell::default() }
    }

    /// What an op does; `None` if it is held.
    pub(super) fn changes(&self, op: OpNumber) -> Option<&[Change]> {
        match self.altered.get(&op) {
            Some(altered) => altered.as_deref(),
            None => self.model.ops[op as usize].changes.as_deref(),
        }
    }

    /// How many ops have no effect.
    pub fn held(&self) -> u64 {
        self.set.iter().filter(|op| self.changes(*op).is_none()).count() as u64
    }

    /// Whether `older` is an op that whoever had seen `newer` had seen, too.
    fn reaches(&self, newer: &OpRef, older: OpNumber) -> bool {
        let here = self.model.number(newer).filter(|op| self.set.contains(*op));
        here.is_some_and(|newer| self.model.reaches(newer, older))
    }

    /// Whether one of the heads' authors had seen an op.
    fn is_seen(&self, heads: &[&Head], op: OpNumber) -> bool {
        heads.iter().any(|head| head.number == op || head.seen.iter().any(|seen| self.reaches(seen, op)))
    }

    /// Those that are not before another on its chain.
    fn newest(&self, ops: impl IntoIterator<Item = OpNumber>) -> Vec<OpNumber> {
        // Of one branch only the last can be.
        let mut last: BTreeMap<usize, OpNumber> = BTreeMap::new();
        for op in ops {
            let known = &self.model.ops[op as usize];
            let of_branch = last.entry(known.branch).or_insert(op);
            if self.model.ops[*of_branch as usize].reference.seq < known.reference.seq {
                *of_branch = op;
            }
        }
        let ends: Vec<OpNumber> = last.into_values().collect();
        let before_another = |op: OpNumber| ends.iter().any(|other| *other != op && self.model.reaches(*other, op));
        ends.iter().copied().filter(|op| !before_another(*op)).collect()
    }

    fn part(&self, node: NodeId) -> Rc<Part> {
        if let Some(part) = self.parts.borrow().get(&node) {
            return Rc::clone(part);
        }
        let part = Rc::new(self.make_part(node));
        self.parts.borrow_mut().insert(node, Rc::clone(&part));
        part
    }

    fn make_part(&self, node: NodeId) -> Part {
        let mut writes: BTreeMap<Field, Vec<Write>> = BTreeMap::new();
        let mut on = Vec::new();
        for number in self.model.on(node, self.set) {
            let known = &self.model.ops[number as usize];
            let own = (known.op.stamp, known.reference);
            let Some(changes) = self.changes(number) else {
                relay(node, number, own, &known.op.framed(), &mut writes);
                continue;
            };
            for change in changes.iter().filter(|change| change.node() == Some(node)) {
                let is_on = !matches!(change.register(), Some((_, field)) if field.as_str() == DELETED);
                if is_on && on.last() != Some(&number) {
                    on.push(number);
                }
                let Some((field, bases, seen, value)) = write_of(change) else { continue };
                let write = Write { number, own, bases: bases.to_vec(), seen: seen.to_vec(), value };
                writes.entry(field).or_default().push(write);
            }
        }
        let registers = writes.into_iter().map(|(field, writes)| (field, heads(writes)));
        let registers: BTreeMap<Field, Vec<Head>> = registers.filter(|(_, heads)| !heads.is_empty()).collect();
        let owner = registers.get(OF).and_then(|heads| heads[0].value.as_node());
        Part { registers, owner, newest: self.newest(on) }
    }

    /// Whether the node's own `deleted` hides it, and whether it is contested.
    fn deletion(&self, node: NodeId) -> (bool, bool) {
        let part = self.part(node);
        let heads: Vec<&Head> = part.registers.get(DELETED).into_iter().flatten().collect();
        let deleting: Vec<&Head> = heads.iter().filter(|head| head.value == Value::Bool(true)).copied().collect();
        if deleting.is_empty() {
            return (false, false);
        }
        let mut on = part.newest.clone();
        if part.owner.is_none() {
            let owned = self.model.ever_owned(node).map(|owned| self.part(owned));
            on.extend(owned.filter(|owned| owned.owner == Some(node)).flat_map(|owned| owned.newest.clone()));
        }
        let hidden = deleting.len() == heads.len() && on.iter().all(|op| self.is_seen(&deleting, *op));
        (hidden, !hidden)
    }

    /// What is shown of a node.
    pub fn state(&self, node: NodeId) -> Shown {
        let part = self.part(node);
        let (deleted, deletion_contested) = self.deletion(node);
        let by_owner = part.owner.filter(|owner| *owner != node);
        let by_owner = by_owner.is_some_and(|owner| self.part(owner).owner.is_none() && self.deletion(owner).0);
        let differ = |heads: &[Head]| heads.iter().any(|head| head.value != heads[0].value);
        let ordinary =
            |field: &Field| ![DELETED, BODY].contains(&field.as_str()) && !field.as_str().starts_with("done/");
        let contested = part.registers.iter().filter(|(field, heads)| ordinary(field) && differ(heads));
        let mut shown = Shown {
            contested: contested.map(|(field, _)| field.clone()).collect(),
            newest: part.newest.iter().map(|op| self.model.ops[*op as usize].reference).collect(),
            registers: part.registers.clone(),
            generation: Generation::EMPTY,
            texts: BTreeMap::new(),
            deletion_contested,
            copies: BTreeSet::new(),
            hidden: deleted || by_owner,
            conflicted: false,
            occurrence: None,
        };
        self.bodies(node, &mut shown);
        let awaits = deletion_contested || !shown.contested.is_empty() || !shown.copies.is_empty();
        shown.conflicted = awaits && !shown.hidden;
        shown.occurrence = occurrence(&shown);
        shown
    }

    fn bodies(&self, node: NodeId, shown: &mut Shown) {
        let heads: Vec<&Head> = shown.registers.get(BODY).into_iter().flatten().collect();
        let named: Vec<Generation> = heads.iter().filter_map(|head| head.value.as_generation()).collect();
        let generation = named.first().copied().unwrap_or(Generation::EMPTY);
        let mut unread = BTreeSet::new();
        let mut texts = BTreeMap::new();
        for (generation, edits) in self.edits(node) {
            texts.insert(generation, self.model.texts.of(node, generation, &edits));
            let newest = self.newest(edits.values().map(|(number, _)| *number));
            if named.iter().skip(1).any(|losing| *losing == generation)
                || !newest.iter().all(|op| self.is_seen(&heads, *op))
            {
                unread.insert(generation);
            }
        }
        let text = texts.get(&generation).map_or("", |text| text.text.as_str());
        let is_copy = |of: &Generation, its: &Text| {
            let differs = !its.leftover.is_empty() || (!its.text.is_empty() && its.text != text);
            if *of == generation { !its.leftover.is_empty() } else { unread.contains(of) && differs }
        };
        let copies = texts.iter().filter(|(of, its)| is_copy(of, its)).map(|(of, _)| *of).collect();
        (shown.generation, shown.texts, shown.copies) = (generation, texts, copies);
    }

    /// The readable edits of a node by generation, in the order of their ops.
    fn edits(&self, node: NodeId) -> BTreeMap<Generation, Edits<'_>> {
        let mut edits: BTreeMap<Generation, Edits<'_>> = BTreeMap::new();
        for number in self.model.on(node, self.set) {
            let reference = self.model.ops[number as usize].reference;
            for (index, change) in (0u32..).zip(self.changes(number).into_iter().flatten()) {
                if let Change::Edit { node: on, generation, update: Some(update), .. } = change
                    && *on == node
                {
                    edits.entry(*generation).or_default().insert((reference, index), (number, update));
                }
            }
        }
        edits
    }

    /// Whether the ops on a node, and on what it ever owned or was owned by, are one history of one device, of which
    /// nothing was erased.
    pub fn is_one_history(&self, node: NodeId) -> bool {
        let mut ops = self.model.affected([node]).into_iter().flat_map(|node| self.model.on(node, self.set));
        let branch = |op: OpNumber| self.model.ops[op as usize].branch;
        let Some(first) = ops.next() else { return true };
        !self.altered.contains_key(&first)
            && ops.all(|op| branch(op) == branch(first) && !self.altered.contains_key(&op))
    }
}

/// The field that a change writes, what it names and had seen, and the value.
type Written<'a> = (Field, &'a [OpRef], &'a [OpRef], Option<Value>);

/// What a change writes, if it writes a register.
fn write_of(change: &Change) -> Option<Written<'_>> {
    match change {
        Change::Set { field, bases, seen, value, .. } => Some((field.clone(), bases, seen, value.clone())),
        Change::Delete { bases, seen, .. } => {
            Some((Field::new(DELETED).unwrap(), bases, seen, Some(Value::Bool(true))))
        }
        Change::Edit { .. } | Change::Erase { .. } => None,
    }
}

/// A held op writes nothing; what it names passes on to what names it.
fn relay(
    node: NodeId,
    number: OpNumber,
    own: Rank,
    framed: &[(u32, Change)],
    writes: &mut BTreeMap<Field, Vec<Write>>,
) {
    for (_, change) in framed.iter().filter(|(_, change)| change.node() == Some(node)) {
        let Some((field, bases, _, _)) = write_of(change) else { continue };
        let register = writes.entry(field).or_default();
        match register.iter_mut().find(|write| write.number == number) {
            Some(twice) => twice.bases.extend(bases),
            None => register.push(Write { number, own, bases: bases.to_vec(), seen: Vec::new(), value: None }),
        }
    }
}

/// The first occurrence after the latest one that is marked.
fn occurrence(shown: &Shown) -> Option<Date> {
    let rule = Rule::parse(shown.value(RECURRENCE)?.as_text()?).ok()?;
    let start = shown.value(DO_DATE)?.as_date()?;
    let mut marks = Vec::new();
    for (field, heads) in &shown.registers {
        let day = heads.iter().filter_map(|head| head.value.as_date()).max();
        marks.extend(field.as_done().zip(day));
    }
    recur::current(&rule, start, &marks)
}
