#![allow(clippy::unwrap_used)]

use super::super::ClientId;
use super::super::wire::{self, Struct, encode};
use super::*;
use proptest::prelude::*;

const A: Id = Id { client: 1, clock: 0 };

fn deleted(id: Id, len: u32, origin: Option<Id>, right_origin: Option<Id>) -> Piece {
    Piece { id, len, origin, right_origin, content: Content::Deleted }
}

/// Whether a list of these pieces, whatever they are, is read back.
fn is_read(pieces: &[Piece]) -> bool {
    let mut document = Document::empty();
    pieces.iter().for_each(|&piece| document.list.push(piece));
    read(&write(&document)).is_ok()
}

#[test]
fn a_stored_list_holds_every_id_once_from_the_first_on_and_every_neighbour() {
    let whole = [deleted(A, 2, None, None), deleted(Id { client: 2, clock: 0 }, 1, Some(A), Some(A.plus(1)))];
    assert!(is_read(&whole));
    assert!(!is_read(&[deleted(A.plus(1), 1, None, None)]), "the first id is missing");
    assert!(!is_read(&[deleted(A, 1, None, None), deleted(A.plus(2), 1, None, None)]), "an id is missing between two");
    assert!(!is_read(&[deleted(A, 2, None, None), deleted(A.plus(1), 1, None, None)]), "an id is there twice");
    assert!(!is_read(&[deleted(A, 1, None, None), deleted(A, 1, None, None)]), "an item is there twice");
    assert!(!is_read(&[deleted(A, 1, Some(A.plus(5)), None)]), "the left neighbour is missing");
    assert!(!is_read(&[deleted(A, 1, None, Some(A.plus(5)))]), "the right neighbour is missing");
    let end = deleted(A, CLOCK_MAX, None, None);
    assert!(is_read(&[end]));
    assert!(!is_read(&[end, deleted(A.plus(CLOCK_MAX), 1, None, None)]), "an id that no one can count to");
}

#[test]
fn ids_that_are_taken_without_a_place_stay_taken() {
    let placed = Struct { id: A, len: 1, origin: None, right_origin: None, content: wire::Content::Text("a".into()) };
    let gone = Struct { id: A.plus(1), len: 5, content: wire::Content::Gone, ..placed.clone() };
    let document = Document::rebuild(&[&encode(&[placed, gone], &[])]);
    let again = read(&write(&document)).unwrap();
    assert_eq!(again.next_id(ClientId::from_bits(A.client), 1), A.plus(6));
}

type Shown = (Id, u32, Option<Id>, Option<Id>, bool);

fn items(document: &Document) -> Vec<Shown> {
    let shown = |item: &Item| {
        let piece = item.piece;
        (piece.id, piece.len, piece.origin, piece.right_origin, item.live)
    };
    joined(&document.list).iter().map(shown).collect()
}

/// A document of items in this order, each with its length, its neighbours and whether it is live.
fn document(rows: &[Shown]) -> Document {
    let mut document = Document::empty();
    for &(id, len, origin, right_origin, live) in rows {
        let content = if live { document.list.keep_text(&"t".repeat(len as usize)) } else { Content::Deleted };
        document.list.push(Piece { id, len, origin, right_origin, content });
    }
    document
}

proptest! {
    #[test]
    fn every_item_is_read_back_with_its_neighbours(
        rows in proptest::collection::vec((1u64..4, 1u32..4, 0usize..12, 0usize..12, any::<bool>()), 1..10),
    ) {
        let mut next = BTreeMap::from([(1, 0), (2, 0), (3, 0)]);
        let ids: Vec<Id> = rows.iter().map(|(client, len, ..)| {
            let clock = next.get_mut(client).unwrap();
            *clock += len;
            Id { client: *client, clock: *clock - len }
        }).collect();
        let rows: Vec<Shown> = rows.iter().zip(&ids).map(|(&(_, len, origin, right, live), &id)| {
            let other = |at: usize| ids.get(at).copied().filter(|other| *other != id);
            (id, len, other(origin), other(right), live)
        }).collect();
        let document = document(&rows);
        let again = read(&write(&document)).unwrap();
        prop_assert_eq!(items(&again), items(&document));
        prop_assert_eq!(again.text(), document.text());
    }
}

#[test]
fn the_stored_form_has_the_bytes_that_are_written_down() {
    let (b, c) = (Id { client: 2, clock: 0 }, Id { client: 3, clock: 0 });
    let mut document = document(&[
        (A, 3, None, None, true),
        (A.plus(3), 2, Some(A.plus(2)), Some(b), false),
        (b, 1, Some(A.plus(4)), None, true),
        (b.plus(1), 1, Some(b), Some(A.plus(7)), true),
        (A.plus(5), 1, Some(A.plus(4)), Some(A.plus(7)), true),
        (A.plus(6), 1, Some(A.plus(5)), Some(A.plus(7)), false),
        (A.plus(7), 1, Some(A), Some(c), false),
        (c, 2, Some(b), Some(A.plus(2)), true),
        (c.plus(2), 1, Some(c), None, true),
    ]);
    document.leftover = "left".into();
    document.blocked = vec![9];
    document.settled = false;
    let bytes = write(&document);
    let written = concat!(
        "0100046c656674",
        "0109",
        "03010203",
        "00",
        "0901010003160205030001270101073d01050116011a011a29050002030001020b0106",
        "09747474747474747474",
    );
    assert_eq!(hex::encode(&bytes), written);
    let again = read(&bytes).unwrap();
    assert_eq!((items(&again), again.text()), (items(&document), document.text()));
    assert_eq!((again.leftover(), again.blocked.as_slice(), again.settled), ("left", &[9][..], false));
}
