use super::super::ClientId;
use super::super::wire::{Content as Held, Struct, encode};
use super::*;

const A: Id = Id { client: 1, clock: 0 };
const X: Id = Id { client: 2, clock: 0 };

/// An update that inserts one text.
fn insert(id: Id, text: &str, origin: Option<Id>, right_origin: Option<Id>) -> Vec<u8> {
    let content = Held::Text(text.into());
    encode(&[Struct { id, len: text.encode_utf16().count() as u32, origin, right_origin, content }], &[])
}

#[test]
fn what_is_here_in_part_is_completed_before_and_after_it() {
    let (middle, whole) = (insert(A.plus(1), "b", Some(A), None), insert(A, "abc", None, None));
    let document = Document::rebuild(&[&middle, &whole]);
    assert_eq!((document.text(), document.leftover()), ("abc", ""));
}

#[test]
fn the_same_text_twice_at_one_place_leaves_nothing_open() {
    let letters = insert(A, "ab", None, None);
    let mut document = Document::rebuild(&[&letters, &letters]);
    assert!(document.apply(&insert(X, "x", Some(A), Some(A.plus(1)))));
    assert_eq!(document.text(), "axb");
}

#[test]
fn the_same_text_at_two_places_is_put_together_anew_with_every_update() {
    let letters = insert(A, "ab", None, None);
    let (here, there) = (insert(X, "x", Some(A), Some(A.plus(1))), insert(X, "x", Some(A.plus(1)), None));
    let next = Document::empty().append("y", ClientId::from_bits(3), 1_000).remove(0);
    assert!(!Document::rebuild(&[&letters, &here, &there]).apply(&next));
    let again = insert(X, "x", Some(A), Some(A.plus(1)));
    assert!(!Document::rebuild(&[&letters, &here, &there, &again]).apply(&next), "however often it comes");
}
