#![allow(clippy::unwrap_used)]

use super::super::wire::{Struct, encode};
use super::super::{ClientId, Document};
use super::*;

const A: Id = Id { client: 1, clock: 0 };

fn text(id: Id, text: &str, origin: Option<Id>) -> Struct<'_> {
    let len = text.encode_utf16().count() as u32;
    Struct { id, len, origin, right_origin: None, content: Content::Text(text.into()) }
}

fn deleted(id: Id, len: u32) -> Struct<'static> {
    Struct { id, len, origin: None, right_origin: None, content: Content::Deleted }
}

/// The text after the last of the updates was undone.
fn after_undo(updates: &[Vec<u8>]) -> String {
    let clients: Vec<ClientId> = (101..).map(ClientId::from_bits).take(updates.len()).collect();
    let updates: Vec<&[u8]> = updates.iter().map(Vec::as_slice).collect();
    let undoing = Document::undo(&updates, &clients, updates.len() - 1, 1_000, 10);
    let all: Vec<&[u8]> =
        updates.iter().copied().chain(undoing.iter().map(|undoing| undoing.update.as_slice())).collect();
    Document::rebuild(&all).text().to_owned()
}

#[test]
fn text_at_the_last_clocks_is_put_back() {
    let late = A.plus(CLOCK_MAX - 2);
    let far = encode(&[deleted(A, CLOCK_MAX - 2), text(late, "ab", None)], &[]);
    let deletion = encode(&[], &[Span::new(late, 2)]);
    assert_eq!(after_undo(&[far, deletion]), "ab");
}

#[test]
fn a_deletion_of_more_than_can_be_counted_is_not_put_back() {
    let letters = encode(&[text(A, "ab", None)], &[]);
    let other = Id { client: 2, clock: 0 };
    let all_but_one = encode(&[], &[Span::new(A, CLOCK_MAX - 1)]);
    let too_many = encode(&[], &[Span::new(A, CLOCK_MAX), Span::new(other, 1)]);
    assert_eq!(after_undo(&[letters.clone(), all_but_one]), "ab");
    assert_eq!(after_undo(&[letters, too_many]), "");
}

#[test]
fn what_was_put_back_and_deleted_again_is_not_said_to_come_back_once_more() {
    let (back, other) = (Id { client: 102, clock: 0 }, Id { client: 2, clock: 0 });
    let letters = [encode(&[text(A, "ab", None)], &[]), encode(&[], &[Span::new(A, 2)])];
    let again = encode(&[text(back, "ab", Some(A.plus(1)))], &[]);
    let put_back = |gone: Span| {
        let all = [&letters[0], &letters[1], &again, &encode(&[text(other, "c", None)], &[gone])];
        let (clients, all) = ([101, 102, 103, 104].map(ClientId::from_bits), all.map(Vec::as_slice));
        let undoing = Document::undo(&all, &clients, 1, 1_000, 10);
        let texts = undoing.iter().flat_map(|undoing| Update::decode(&undoing.update).unwrap().structs);
        let texts = texts.filter_map(|item| match item.content {
            Content::Text(text) => Some((item.id.clock, text.into_owned())),
            _ => None,
        });
        texts.collect::<Vec<_>>()
    };
    // Whether all of it, a part or nothing was deleted again.
    for gone in [Span::new(back, 2), Span::new(back, 1), Span::new(back.plus(1), 1), Span::new(A, 1)] {
        assert_eq!(put_back(gone), []);
    }
}

#[test]
fn of_what_was_put_back_in_part_the_rest_is_put_back() {
    let back = Id { client: 102, clock: 0 };
    let letters = [encode(&[text(A, "abc", None)], &[]), encode(&[], &[Span::new(A, 3)])];
    let a_part = encode(&[Struct { right_origin: Some(A.plus(1)), ..text(back, "a", Some(A)) }], &[]);
    let all = [&letters[0], &letters[1], &a_part].map(Vec::as_slice);
    let clients = [101, 102, 103].map(ClientId::from_bits);
    let undoing = Document::undo(&all, &clients, 1, 1_000, 10);
    let with: Vec<&[u8]> = all.into_iter().chain(undoing.iter().map(|undoing| undoing.update.as_slice())).collect();
    assert_eq!(Document::rebuild(&with).text(), "abc");
    let ids = undoing.iter().flat_map(|undoing| Update::decode(&undoing.update).unwrap().structs);
    assert_eq!(ids.map(|item| item.id.clock).min(), Some(1));
}

#[test]
fn what_another_undo_put_back_in_part_is_put_back_whole() {
    let back = Id { client: 103, clock: 0 };
    let deletion = |more: Option<Struct<'static>>| encode(&more.into_iter().collect::<Vec<_>>(), &[Span::new(A, 3)]);
    let other = Id { client: 2, clock: 0 };
    let letters = encode(&[text(A, "abc", None)], &[]);
    let a_part = encode(&[Struct { right_origin: Some(A.plus(1)), ..text(back, "a", Some(A)) }], &[]);
    let all = [letters, deletion(None), deletion(Some(deleted(other, 1))), a_part];
    let all = all.each_ref().map(Vec::as_slice);
    let clients = [101, 102, 103, 104].map(ClientId::from_bits);
    let undoing = Document::undo(&all, &clients, 1, 1_000, 10);
    let with: Vec<&[u8]> = all.into_iter().chain(undoing.iter().map(|undoing| undoing.update.as_slice())).collect();
    assert_eq!(Document::rebuild(&with).text(), "abc");
}

#[test]
fn what_is_left_of_some_ids_has_no_empty_parts() {
    let span = |start, end| Span { client: 1, start, end };
    let two_gone = [span(2, 4), span(6, 8)];
    assert_eq!(without(&[span(0, 10)], &two_gone), [span(0, 2), span(4, 6), span(8, 10)]);
    assert_eq!(without(&[span(2, 8)], &two_gone), [span(4, 6)]);
    assert_eq!(without(&[span(2, 4)], &two_gone), []);
    assert_eq!(without(&[span(0, 2), span(4, 6)], &two_gone), [span(0, 2), span(4, 6)]);
    assert_eq!(without(&[span(0, 10)], &[Span { client: 2, ..span(0, 10) }]), [span(0, 10)]);
}

/// Adds the updates by which a client makes another text of this one.
fn edit(updates: &mut Vec<Vec<u8>>, new: &str, client: u64) {
    let document = Document::rebuild(&updates.iter().map(Vec::as_slice).collect::<Vec<_>>());
    updates.extend(document.edit(new, ClientId::from_bits(client), 1_000));
}

/// Undoes one of the first `known` updates, as a device does that has no others.
fn undo_knowing(updates: &[Vec<u8>], known: usize, undone: usize) -> Vec<Vec<u8>> {
    let clients: Vec<ClientId> = (101..).map(ClientId::from_bits).take(known).collect();
    let known: Vec<&[u8]> = updates[..known].iter().map(Vec::as_slice).collect();
    Document::undo(&known, &clients, undone, 1_000, 10).into_iter().map(|undoing| undoing.update).collect()
}

/// The text, and what found no place in it.
fn shown_text(updates: &[Vec<u8>]) -> (String, String) {
    let document = Document::rebuild(&updates.iter().map(Vec::as_slice).collect::<Vec<_>>());
    (document.text().to_owned(), document.leftover().to_owned())
}

#[test]
fn text_around_what_is_back_already_gets_the_ids_that_it_gets_anywhere() {
    let mut updates = Vec::new();
    edit(&mut updates, "abcdef", 1);
    edit(&mut updates, "abcf", 2);
    let start = updates[0].clone();
    let all = Document::rebuild(&[&start]).edit("", ClientId::from_bits(3), 1_000).remove(0);
    updates.push(all);
    let elsewhere = undo_knowing(&[updates[0].clone(), updates[1].clone(), updates[2].clone()], 3, 2);
    updates.extend(undo_knowing(&updates, 3, 1));
    let here = undo_knowing(&updates, 4, 2);
    let clocks = |item: &Struct<'_>| (item.id.clock, item.len);
    let given: Vec<_> = Update::decode(&here[0]).unwrap().structs.iter().map(clocks).collect();
    assert_eq!(given, [(0, 3), (3, 2), (5, 1)]);
    updates.extend(here);
    updates.extend(elsewhere);
    assert_eq!(shown_text(&updates), ("abcdef".into(), String::new()));
}

#[test]
fn undoing_an_insertion_takes_of_what_was_put_back_only_its_own() {
    let mut updates = Vec::new();
    for (text, client) in [("ab", 1), ("abxy", 1), ("abxyzz", 2), ("ab", 3)] {
        edit(&mut updates, text, client);
    }
    updates.extend(undo_knowing(&updates, 4, 3));
    assert_eq!(shown_text(&updates), ("abxyzz".into(), String::new()));
    updates.extend(undo_knowing(&updates, 5, 1));
    assert_eq!(shown_text(&updates), ("abzz".into(), String::new()));
}

#[test]
fn a_character_that_another_divided_is_put_back_whole() {
    let between = Struct { right_origin: Some(A.plus(1)), ..text(Id { client: 9, clock: 0 }, "x", Some(A)) };
    let mut updates = vec![encode(&[text(A, "😀!", None)], &[]), encode(&[between], &[])];
    edit(&mut updates, "", 3);
    assert_eq!(after_undo(&updates), "x😀!");
}
