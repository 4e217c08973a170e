#![allow(clippy::unwrap_used)]

use super::*;
use crate::sqlite::{self, log::LogRow};

const ORIGIN: Origin = Origin::from_bytes([1; 16]);

fn id(branch: u8, number: u64) -> OpId {
    let mut bytes = [branch; 32];
    bytes[1] = number as u8;
    OpId::from_bytes(bytes)
}

fn op(branch: u8, number: u64) -> OpRef {
    OpRef::new(ORIGIN, Seq::new(number).unwrap(), &id(branch, number))
}

/// ```text
///   a1 ─ a2 ─ a3 ─ a4
///         └── b3 ─ b4
///              └── c4
/// ```
fn tree(dir: &std::path::Path) -> Connection {
    let db = sqlite::open_writer(&dir.join("tree.db")).unwrap();
    let origin = log::insert_origin(&db, ORIGIN, &[0; 32]).unwrap();
    let chain =
        |parent, fork, branch| log::insert_chain(&db, origin, parent, fork, Seq::new(4).unwrap(), &id(branch, 4));
    let a = chain(None, 0, b'a').unwrap();
    let b = chain(Some(a), 2, b'b').unwrap();
    let c = chain(Some(b), 3, b'c').unwrap();
    let ops = [(a, b'a', 1), (a, b'a', 2), (a, b'a', 3), (a, b'a', 4), (b, b'b', 3), (b, b'b', 4), (c, b'c', 4)];
    for (pos, (chain, branch, number)) in (1i64..).zip(ops) {
        let row = LogRow { pos, chain, seq: Seq::new(number).unwrap(), id: id(branch, number), packed: vec![] };
        log::append(&db, &row, 0).unwrap();
    }
    db
}

#[test]
fn an_op_reaches_what_is_behind_it_on_its_own_branch_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let (db, known) = (tree(dir.path()), Known::default());
    let branches = Branches::new(&db, &known);
    let reached = |newer: OpRef| -> Vec<&str> {
        let all = [("a1", op(b'a', 1)), ("a2", op(b'a', 2)), ("a3", op(b'a', 3)), ("a4", op(b'a', 4))];
        let all = all.into_iter().chain([("b3", op(b'b', 3)), ("b4", op(b'b', 4)), ("c4", op(b'c', 4))]);
        all.filter(|(_, older)| branches.reaches(&newer, older)).map(|(name, _)| name).collect()
    };
    assert_eq!(reached(op(b'a', 4)), ["a1", "a2", "a3", "a4"]);
    assert_eq!(reached(op(b'b', 4)), ["a1", "a2", "b3", "b4"]);
    assert_eq!(reached(op(b'c', 4)), ["a1", "a2", "b3", "c4"]);
    assert_eq!(reached(op(b'a', 1)), ["a1"]);
    assert_eq!(reached(op(b'x', 4)), Vec::<&str>::new(), "an op that is not here reaches nothing");
    branches.finish().unwrap();
}

#[test]
fn ops_are_found_on_their_branch() {
    let dir = tempfile::tempdir().unwrap();
    let (db, known) = (tree(dir.path()), Known::default());
    let branches = Branches::new(&db, &known);
    let position = |reference: OpRef| branches.locate(&reference).unwrap().map(|(pos, _)| pos);
    assert_eq!((position(op(b'a', 3)), position(op(b'b', 3)), position(op(b'c', 4))), (Some(3), Some(5), Some(7)));
    assert_eq!((position(op(b'c', 3)), position(op(b'a', 5))), (None, None));
    let (_, c) = branches.locate(&op(b'c', 4)).unwrap().unwrap();
    let lineage = branches.lineage(ORIGIN, &c, Seq::new(4).unwrap()).unwrap();
    assert_eq!(lineage.into_iter().map(|(_, upto)| upto).collect::<Vec<_>>(), [4, 3, 2]);
}
