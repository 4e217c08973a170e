#![allow(clippy::unwrap_used)]

use super::super::wire::Update;
use super::super::{ClientId, Document};
use super::*;

const X: Id = Id { client: 2, clock: 0 };

#[test]
fn small_insertions_share_an_update_as_long_as_the_limit_allows() {
    let start = Document::empty().edit("a b c", ClientId::from_bits(1), 1_000);
    let document = Document::rebuild(&[&start[0]]);
    let updates = |max| document.edit("0123456789a 0123456789b 0123456789c", ClientId::from_bits(2), max).len();
    assert_eq!(updates(182), 1, "32 bytes, and 40 and its text for each of three insertions");
    assert_eq!(updates(181), 2);
}

#[test]
fn deletions_share_an_update_as_long_as_the_limit_allows() {
    let updates = |max| {
        let mut writer = Writer::new(X, max);
        (0..3).for_each(|at| writer.delete(Span::new(Id { client: 1, clock: 2 * at }, 1)));
        writer.finish().len()
    };
    assert_eq!(updates(104), 1, "32 bytes, and 24 for each of three deletions");
    assert_eq!(updates(103), 2);
}

#[test]
fn a_text_is_divided_where_another_update_is_to_begin_and_nowhere_else() {
    let mut writer = Writer::new(X, 1_000);
    writer.cut_at(vec![3]);
    writer.insert(None, None, "abcdef".into());
    let updates = writer.finish();
    let structs: Vec<_> = updates.iter().flat_map(|update| Update::decode(update).unwrap().structs).collect();
    assert_eq!(updates.len(), 2);
    assert_eq!(structs.iter().map(|item| (item.id, item.len)).collect::<Vec<_>>(), [(X, 3), (X.plus(3), 3)]);
}
