//! Lists, counts and the search index of a replica against what its nodes show.

use crate::oracle::ledger::Ledger;
use crate::oracle::sight::Shown;
use crate::oracle::violation::Stop;
use crate::oracle::{Code, Violation};
use heph_store::Filter;
use heph_store::columns::date_text;
use heph_store::field::{DO_DATE, Value};
use heph_store::id::NodeId;
use heph_store::read::{Node, View};
use std::collections::{BTreeMap, BTreeSet};

/// More than any list holds.
const ALL: usize = 100_000_000;
/// How many tokens are searched for.
const SEARCHES: usize = 64;
/// How many tags are listed.
const TAGS: usize = 32;
/// The kind of the marks of undone ops, which nobody is asked to choose about.
const UNDO: &str = "undo";

/// What the model says of every node that there is an op on.
pub(super) type All = BTreeMap<NodeId, Shown>;

/// Compares every list with the nodes.
pub(super) fn check_lists(replica: &str, view: &View<'_>, all: &All) -> Result<(), Stop> {
    let mut kinds: BTreeMap<&str, BTreeSet<NodeId>> = BTreeMap::new();
    let mut tags: BTreeMap<(NodeId, &str), BTreeSet<NodeId>> = BTreeMap::new();
    for (node, shown) in all.iter().filter(|(_, shown)| !shown.hidden) {
        let Some(kind) = shown.kind() else { continue };
        kinds.entry(kind).or_default().insert(*node);
        shown.tags().into_iter().for_each(|tag| {
            tags.entry((tag, kind)).or_default().insert(*node);
        });
    }
    let counts = kinds.iter().map(|(kind, nodes)| ((*kind).to_owned(), nodes.len() as u64)).collect::<Vec<_>>();
    claim(replica, "the count of each kind", view.kinds()?, counts)?;
    for (kind, nodes) in &kinds {
        let found = view.list(&Filter { kind: (*kind).to_owned(), limit: ALL, ..Filter::default() })?;
        claim_same(replica, &format!("the list of {kind}"), &found, nodes)?;
        check_order(replica, kind, &found, all)?;
    }
    for ((tag, kind), nodes) in tags.iter().take(TAGS) {
        let filter = Filter { kind: (*kind).to_owned(), tags: vec![*tag], limit: ALL, ..Filter::default() };
        claim_same(replica, &format!("the list of {kind} with tag {tag}"), &view.list(&filter)?, nodes)?;
    }
    let asks = all.iter().filter(|(_, shown)| shown.conflicted && shown.kind() != Some(UNDO));
    claim_same(replica, "the list of conflicts", &view.conflicted(ALL)?, &asks.map(|(node, _)| *node).collect())
}

fn claim<T: PartialEq + std::fmt::Debug>(replica: &str, what: &str, found: T, expected: T) -> Result<(), Violation> {
    if found == expected {
        return Ok(());
    }
    Err(Violation::new(Code::List, replica, format!("{what} is {found:?}, and should be {expected:?}")))
}

fn claim_same(replica: &str, what: &str, found: &[Node], expected: &BTreeSet<NodeId>) -> Result<(), Stop> {
    let ids: BTreeSet<NodeId> = found.iter().map(|node| node.id).collect();
    let lacking: Vec<&NodeId> = expected.difference(&ids).collect();
    let beyond: Vec<&NodeId> = ids.difference(expected).collect();
    if lacking.is_empty() && beyond.is_empty() && ids.len() == found.len() {
        return Ok(());
    }
    let sentence = format!("{what} has {} nodes; it lacks {lacking:?} and should not have {beyond:?}", found.len());
    Err(Violation::new(Code::List, replica, sentence).into())
}

/// A list goes by the day to do it, none last, and then by arrival.
fn check_order(replica: &str, kind: &str, found: &[Node], all: &All) -> Result<(), Violation> {
    let key = |node: &Node| (do_date(&all[&node.id]).unwrap_or_else(|| "~".into()), node.row);
    let keys: Vec<(String, i64)> = found.iter().map(key).collect();
    if keys.is_sorted() {
        return Ok(());
    }
    Err(Violation::new(Code::List, replica, format!("the list of {kind} is not in its order: {keys:?}")))
}

fn do_date(shown: &Shown) -> Option<String> {
    let own = shown.value(DO_DATE)?;
    match (shown.occurrence, own) {
        (Some(day), Value::DateTime(at)) => date_text(&Value::DateTime(day.to_datetime(at.time()))),
        (Some(day), _) => Some(day.to_string()),
        (None, _) => date_text(own),
    }
}

/// For some of the tokens that are shown, searching for one finds the nodes that show it, and none that does not.
pub(super) fn check_search(replica: &str, view: &View<'_>, all: &All) -> Result<(), Stop> {
    let visible: Vec<(&NodeId, BTreeSet<String>)> =
        all.iter().filter(|(_, shown)| !shown.hidden).map(|(node, shown)| (node, Ledger::shown(shown))).collect();
    let mut showing: BTreeMap<&str, BTreeSet<NodeId>> = BTreeMap::new();
    for (node, tokens) in &visible {
        tokens.iter().for_each(|token| {
            showing.entry(token).or_default().insert(**node);
        });
    }
    let every = showing.len().div_ceil(SEARCHES).max(1);
    // Of a token that concurrent edits tore, what is left may have an end that no word is.
    let is_whole = |token: &str| token.trim_matches(['⟦', '⟧']).split('-').all(|part| !part.is_empty());
    for (token, nodes) in showing.iter().filter(|(token, _)| is_whole(token)).step_by(every) {
        let found = view.search(token, ALL)?;
        let ids: BTreeSet<NodeId> = found.iter().map(|node| node.id).collect();
        if let Some(unfound) = nodes.difference(&ids).next() {
            let sentence = format!("node {unfound} shows {token}, and searching for that does not find it");
            return Err(Violation::new(Code::Search, replica, sentence).into());
        }
        // A search is for what a word begins, so only that much can be claimed of what else it finds.
        let begins = token.trim_end_matches('⟧');
        for node in ids.difference(nodes) {
            let shown = &all[node];
            if shown.hidden || !(shown.title().contains(begins) || shown.text().contains(begins)) {
                let sentence = format!("searching for {token} finds node {node}, which does not show it");
                return Err(Violation::new(Code::Search, replica, sentence).into());
            }
        }
    }
    Ok(())
}
