//! Documents against Yjs and `yrs`, and against themselves: one file, as all share the generated histories.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, Options, ReadTxn, StateVector, Text, Transact, Update as YrsUpdate};

use super::wire::{Content, Id, Span, Struct, encode, put_number};
use super::*;

const MAX: usize = 200_000;

fn client(number: u64) -> ClientId {
    ClientId::from_bits(number)
}

fn refs(updates: &[Vec<u8>]) -> Vec<&[u8]> {
    updates.iter().map(Vec::as_slice).collect()
}

fn rebuilt(updates: &[Vec<u8>]) -> Document {
    Document::rebuild(&refs(updates))
}

/// The first text of a document.
fn first(text: &str, by: u64) -> Vec<Vec<u8>> {
    Document::empty().edit(text, client(by), MAX)
}

fn one(updates: Vec<Vec<u8>>) -> Vec<u8> {
    assert_eq!(updates.len(), 1);
    updates.into_iter().next().unwrap()
}

/// Undoes one of the updates, as every device does.
fn undo(updates: &[Vec<u8>], undone: usize) -> Vec<Vec<u8>> {
    undo_in_parts(updates, undone, MAX)
}

fn undo_in_parts(updates: &[Vec<u8>], undone: usize, max: usize) -> Vec<Vec<u8>> {
    let of = |update: &Vec<u8>| {
        client(update.iter().fold(7, |hash: u64, byte| hash.wrapping_mul(0x100_0000_01b3) ^ u64::from(*byte)))
    };
    let clients: Vec<ClientId> = updates.iter().map(of).collect();
    let undoing = Document::undo(&refs(updates), &clients, undone, max, 3);
    assert!(undoing.iter().all(|undoing| undoing.repeats.len() <= 4));
    undoing.into_iter().map(|undoing| undoing.update).collect()
}

/// What a device shows: the updates arrive one by one, and it rebuilds when it must.
fn arriving(updates: &[Vec<u8>], order: &[usize]) -> (String, String) {
    let mut document = Document::empty();
    let mut here: Vec<usize> = Vec::new();
    for &index in order {
        here.push(index);
        document = Document::load(&document.state()).unwrap();
        if !document.apply(&updates[index]) {
            here.sort_unstable();
            here.dedup();
            let sorted: Vec<&[u8]> = here.iter().map(|&index| updates[index].as_slice()).collect();
            document = Document::rebuild(&sorted);
        }
    }
    (document.text().to_owned(), document.leftover().to_owned())
}

/// Small numbers that repeat for one seed.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

const ALPHABET: [&str; 12] = ["a", "b", "c", " ", "\n", "\r\n", "é", "e\u{301}", "😀", "👩‍👩‍👧", "\u{feff}", "word "];

fn typed(dice: &mut Dice) -> String {
    (0..1 + dice.below(4)).map(|_| ALPHABET[dice.below(ALPHABET.len())]).collect()
}

/// The text with one place changed.
fn changed(text: &str, dice: &mut Dice) -> String {
    let chars: Vec<char> = text.chars().collect();
    let from = dice.below(chars.len() + 1);
    let to = (from + if dice.below(3) == 0 { dice.below(5) } else { 0 }).min(chars.len());
    let insert = if dice.below(4) == 0 { String::new() } else { typed(dice) };
    chars[..from].iter().collect::<String>() + &insert + &chars[to..].iter().collect::<String>()
}

/// A history: each update was written on a document made of some earlier ones, closed under causes.
fn history(seed: u64, devices: usize, edits: usize) -> Vec<Vec<u8>> {
    history_with_undos(seed, devices, edits, 0)
}

/// The same, where so many in ten updates undo an earlier one.
fn history_with_undos(seed: u64, devices: usize, edits: usize, undos: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(seed);
    let mut updates: Vec<Vec<u8>> = Vec::new();
    let mut known: Vec<Vec<usize>> = vec![Vec::new(); devices];
    for _ in 0..edits {
        let device = dice.below(devices);
        if dice.below(3) == 0 {
            let other = known[dice.below(devices)].clone();
            known[device].extend(other);
            known[device].sort_unstable();
            known[device].dedup();
        }
        let here: Vec<Vec<u8>> = known[device].iter().map(|&index| updates[index].clone()).collect();
        let document = rebuilt(&here);
        assert_eq!(document.leftover(), "");
        let written = if dice.below(10) < undos && !here.is_empty() {
            undo(&here, dice.below(here.len()))
        } else {
            let new = changed(document.text(), &mut dice);
            document.edit(&new, client(1 + device as u64), MAX)
        };
        for update in written {
            known[device].push(updates.len());
            updates.push(update);
        }
    }
    updates
}

fn yrs_text(updates: &[Vec<u8>]) -> String {
    let doc = Doc::with_options(Options { offset_kind: OffsetKind::Utf16, ..Options::default() });
    let text = doc.get_or_insert_text("body");
    let mut txn = doc.transact_mut();
    for update in updates {
        txn.apply_update(YrsUpdate::decode_v1(update).unwrap()).unwrap();
    }
    text.get_string(&txn)
}

fn shuffled(len: usize, seed: u64) -> Vec<usize> {
    let mut dice = Dice(seed);
    let mut order: Vec<usize> = (0..len).collect();
    for at in (1..len).rev() {
        order.swap(at, dice.below(at + 1));
    }
    order
}

/// Updates written by yrs on devices that exchange everything now and then.
fn foreign_history(seed: u64, edits: usize) -> (Vec<Vec<u8>>, String) {
    let mut dice = Dice(seed);
    let docs: Vec<Doc> = (1..4)
        .map(|id| {
            Doc::with_options(Options {
                offset_kind: OffsetKind::Utf16,
                ..Options::with_client_id(yrs::block::ClientID::new(id))
            })
        })
        .collect();
    let mut updates: Vec<Vec<u8>> = Vec::new();
    for _ in 0..edits {
        let doc = &docs[dice.below(docs.len())];
        if dice.below(4) == 0 {
            updates.iter().for_each(|update| take_in(doc, update));
        }
        let text = doc.get_or_insert_text("body");
        let mut txn = doc.transact_mut();
        let shown = text.get_string(&txn);
        let chars: Vec<char> = shown.chars().collect();
        let units = |chars: &[char]| chars.iter().map(|c| c.len_utf16() as u32).sum::<u32>();
        let at = dice.below(chars.len() + 1);
        if dice.below(3) == 0 && at < chars.len() {
            let to = (at + 1 + dice.below(4)).min(chars.len());
            text.remove_range(&mut txn, units(&chars[..at]), units(&chars[at..to]));
        } else {
            text.insert(&mut txn, units(&chars[..at]), &typed(&mut dice));
        }
        updates.push(txn.encode_update_v1());
    }
    updates.iter().for_each(|update| take_in(&docs[0], update));
    let text = docs[0].get_or_insert_text("body").get_string(&docs[0].transact());
    let whole = docs[0].transact().encode_state_as_update_v1(&StateVector::default());
    if dice.below(2) == 0 {
        updates = vec![whole];
    }
    (updates, text)
}

fn take_in(doc: &Doc, update: &[u8]) {
    doc.transact_mut().apply_update(YrsUpdate::decode_v1(update).unwrap()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_arrival_gives_the_same(seed: u64, order: u64) {
        let updates = history(seed, 3, 20);
        let expected = rebuilt(&updates);
        let mut order = shuffled(updates.len(), order);
        order.extend_from_within(..order.len() / 3);
        prop_assert_eq!(arriving(&updates, &order), shown(&expected));
    }

    #[test]
    fn any_arrival_of_undos_gives_the_same(seed: u64, order: u64) {
        let updates = history_with_undos(seed, 3, 24, 4);
        prop_assert_eq!(arriving(&updates, &shuffled(updates.len(), order)), shown(&rebuilt(&updates)));
    }

    #[test]
    fn any_arrival_with_gaps_and_forks_gives_the_same(seed: u64, order: u64) {
        // Two histories that know nothing of each other and use the same client ids, and a third of it lost.
        let mut updates = [history(seed, 3, 10), history(seed ^ 1, 3, 10)].concat();
        let lost = Dice(order).below(3);
        updates = updates.into_iter().enumerate().filter(|(at, _)| at % 3 != lost).map(|(_, update)| update).collect();
        let expected = rebuilt(&updates);
        prop_assert_eq!(arriving(&updates, &shuffled(updates.len(), order)), shown(&expected));
    }

    #[test]
    fn in_causal_order_nothing_is_ever_rebuilt(seed: u64) {
        let updates = history(seed, 4, 25);
        let mut document = Document::empty();
        for update in &updates {
            prop_assert!(document.apply(update));
        }
        prop_assert_eq!(shown(&document), shown(&rebuilt(&updates)));
    }

    #[test]
    fn yrs_shows_what_we_show(seed: u64) {
        let updates = history(seed, 3, 25);
        prop_assert_eq!(yrs_text(&updates), shown(&rebuilt(&updates)).0);
    }

    #[test]
    fn we_show_what_yrs_shows(seed: u64) {
        let (updates, text) = foreign_history(seed, 25);
        let document = rebuilt(&updates);
        prop_assert_eq!(document.text(), text);
        prop_assert_eq!(document.leftover(), "");
        prop_assert!(document.settled);
    }

    #[test]
    fn an_edit_gives_the_text_in_updates_of_any_size(old: String, new: String, max in 0usize..200) {
        let start = first(&old, 1);
        let mut updates = start.clone();
        updates.extend(rebuilt(&start).edit(&new, client(2), max));
        prop_assert!(updates.iter().all(|update| check(update).is_ok()));
        let document = rebuilt(&updates);
        prop_assert_eq!(document.text(), &new);
        prop_assert!(document.edit(&new, client(3), MAX).is_empty());
    }

    #[test]
    fn an_edit_of_words_and_lines_gives_the_text(old in "([ab]{1,2}[ \n]){0,60}", new in "([ab]{1,2}[ \n]){0,60}") {
        let mut updates = first(&old, 1);
        updates.extend(rebuilt(&updates).edit(&new, client(2), MAX));
        prop_assert_eq!(shown(&rebuilt(&updates)).0, new.as_str());
    }

    #[test]
    fn undoing_everything_from_the_last_on_gives_back_every_text(seed: u64) {
        let mut updates = Vec::new();
        let mut texts = vec![String::new()];
        let mut dice = Dice(seed);
        for _ in 0..8 {
            let document = rebuilt(&updates);
            updates.extend(document.edit(&changed(document.text(), &mut dice), client(1), MAX));
            texts.resize(updates.len(), String::new());
            texts.push(rebuilt(&updates).text().to_owned());
        }
        for number in (0..updates.len()).rev() {
            updates.extend(undo(&updates, number));
            prop_assert_eq!(shown(&rebuilt(&updates)).0, texts[number].as_str());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = check(&bytes);
        let _ = Document::load(&bytes);
        prop_assert!(Document::rebuild(&[&bytes]).state().len() <= 100 + 20 * bytes.len());
    }
}

fn shown(document: &Document) -> (String, String) {
    (document.text().to_owned(), document.leftover().to_owned())
}

#[test]
fn an_empty_document_has_nothing() {
    let document = Document::load(&Document::empty().state()).unwrap();
    assert_eq!(shown(&document), (String::new(), String::new()));
    assert!(document.edit("", client(1), MAX).is_empty());
    assert!(document.append("", client(1), MAX).is_empty());
}

#[test]
fn texts_of_every_kind_are_kept() {
    for text in ["", "\u{feff}a\r\nb\r\n", "a\u{0}b", "😀👩‍👩‍👧e\u{301}", "\n\n\n", "\u{10ffff}\u{fffd}", "עברית 中文"]
    {
        let document = rebuilt(&first(text, 1));
        assert_eq!(document.text(), text);
        assert_eq!(Document::load(&document.state()).unwrap().text(), text);
    }
}

#[test]
fn one_diff_on_two_devices_is_one_update() {
    let start = first("one\ntwo\nthree\n", 1);
    let there = Document::load(&rebuilt(&start).state()).unwrap();
    let new = "one\n2\nthree\nfour\n";
    let updates = rebuilt(&start).edit(new, client(7), MAX);
    assert_eq!(updates, there.edit(new, client(7), MAX));
    let twice = [start, updates.clone(), updates].concat();
    assert_eq!(rebuilt(&twice).text(), new);
}

#[test]
fn an_edit_of_an_old_version_keeps_what_came_since() {
    let start = first("first line\nlast line\n", 1);
    let old = rebuilt(&start);
    let since = old.edit("first line\nsince then\nlast line\n", client(2), MAX);
    let saved = old.edit("first line\nlast line, saved\n", client(3), MAX);
    let merged = rebuilt(&[start, since, saved].concat());
    assert_eq!(merged.text(), "first line\nsince then\nlast line, saved\n");
}

#[test]
fn appending_is_the_edit_that_adds_at_the_end() {
    let mut updates = first("a\nb 😀", 1);
    updates.extend(rebuilt(&updates).edit("a\n", client(1), MAX));
    let document = rebuilt(&updates);
    let appended = document.append("😀 c", client(2), MAX);
    assert_eq!(appended, document.edit("a\n😀 c", client(2), MAX));
    assert_eq!(rebuilt(&[updates, appended].concat()).text(), "a\n😀 c");
}

#[test]
fn one_id_with_two_texts_leaves_the_later_update_over() {
    // A cloned device: the same client and clocks, other text.
    let mine = one(first("mine", 1));
    let theirs = one(first("theirs", 1));
    let document = rebuilt(&[mine.clone(), theirs.clone()]);
    assert_eq!(shown(&document), ("mine".into(), "theirs".into()));
    assert_eq!(shown(&rebuilt(&[theirs.clone(), mine.clone()])), ("theirs".into(), "mine".into()));
    assert_eq!(arriving(&[mine, theirs], &[1, 0]), ("mine".into(), "theirs".into()));
}

#[test]
fn what_follows_leftover_text_is_written_by_another_client() {
    let document = rebuilt(&[one(first("mine", 1)), one(first("theirs", 1))]);
    let mut updates = vec![one(first("mine", 1)), one(first("theirs", 1))];
    let appended = one(document.append(" too", client(1), MAX));
    assert_ne!(Update::decode(&appended).unwrap().structs[0].id.client, 1);
    updates.push(appended);
    assert_eq!(shown(&rebuilt(&updates)), ("mine too".into(), "theirs".into()));
}

#[test]
fn text_beside_erased_text_is_left_over() {
    let secret = first("secret", 1);
    let mut beside = secret.clone();
    for text in ["secret t", "secret typed", "secret typd", "secret typd\nline"] {
        beside.extend(rebuilt(&beside).edit(text, client(2), MAX));
    }
    beside.extend(first("elsewhere", 3));
    let document = rebuilt(&beside[1..]);
    assert_eq!(shown(&document), ("elsewhere".into(), " typd\nline".into()));
    let order: Vec<usize> = (0..beside.len() - 1).rev().collect();
    assert_eq!(arriving(&beside[1..], &order), shown(&document));
}

#[test]
fn a_deletion_that_comes_before_its_text_deletes_it() {
    let start = one(first("gone", 1));
    let deletion = one(rebuilt(std::slice::from_ref(&start)).edit("", client(2), MAX));
    assert_eq!(arriving(&[start, deletion], &[1, 0]), (String::new(), String::new()));
}

#[test]
fn a_pair_of_surrogates_that_another_divides_stays_two_units() {
    let half = Struct {
        id: Id { client: 9, clock: 0 },
        len: 1,
        origin: Some(Id { client: 1, clock: 0 }),
        right_origin: Some(Id { client: 1, clock: 1 }),
        content: Content::Text("x".into()),
    };
    let updates = [one(first("😀!", 1)), encode(&[half], &[])];
    let document = rebuilt(&updates);
    assert_eq!(document.text(), "\u{fffd}x\u{fffd}!");
    let again = Document::load(&document.state()).unwrap();
    assert_eq!(again.text(), document.text());
    let more = again.edit("\u{fffd}\u{fffd}!?", client(3), MAX);
    assert_eq!(rebuilt(&[updates.to_vec(), more].concat()).text(), "\u{fffd}\u{fffd}!?");
}

#[test]
fn a_large_text_with_one_changed_line_is_one_small_update() {
    let line = |number: usize| format!("line {number} of a long text that goes on for a while\n");
    let text: String = (0..20_000).map(line).collect();
    let document = rebuilt(&first(&text, 1));
    let update = one(document.edit(&text.replace("line 9999 of", "line 9999, of"), client(2), MAX));
    assert!(update.len() < 40);
    let both = text.replace("line 7 of", "line seven of").replace("line 19990 of", "line 19990, of");
    assert!(one(document.edit(&both, client(2), MAX)).len() < 80);
}

#[test]
fn a_different_text_replaces_the_whole() {
    let text =
        |salt: usize| -> String { (0..40_000).map(|at| format!("{}\n", (at * 7919 + salt) % 100_003)).collect() };
    let mut updates = first(&text(1), 1);
    updates.extend(rebuilt(&updates).edit(&text(50), client(2), MAX));
    assert_eq!(rebuilt(&updates).text(), text(50));
}

#[test]
fn a_state_is_hardly_longer_than_its_text() {
    let mut dice = Dice(1);
    let mut document = Document::empty();
    let mut at = 0;
    for number in 0..3_000 {
        let mut text = document.text().to_owned();
        at = if dice.below(30) == 0 { dice.below(text.len() + 1) } else { at };
        if at > 0 && dice.below(8) == 0 {
            at -= 1;
            text.remove(at);
        } else {
            text.insert(at, char::from(b'a' + dice.below(26) as u8));
            at += 1;
        }
        let update = one(document.edit(&text, client(1 + number / 1_000), MAX));
        assert!(document.apply(&update));
    }
    let state = document.state();
    assert!(state.len() <= 3 * document.text().len(), "{} for {}", state.len(), document.text().len());
}

#[test]
fn a_damaged_state_is_refused_or_another_document() {
    let state = rebuilt(&history(5, 3, 20)).state();
    for at in 0..state.len() {
        assert!(Document::load(&state[..at]).is_err());
        for bit in 0..8 {
            let mut damaged = state.clone();
            damaged[at] ^= 1 << bit;
            if let Ok(mut document) = Document::load(&damaged) {
                let _ = document.apply(&document.edit("something else", client(9), MAX).concat());
            }
        }
    }
}

#[test]
fn what_a_text_does_not_contain_is_refused() {
    let refused: [(&[u8], Unreadable); 13] = [
        (&[], Unreadable::CutShort),
        (&[0], Unreadable::CutShort),
        (&[0, 0, 0], Unreadable::Trailing),
        (&[1, 1, 1, 0, 4, 1, 1, b'x', 1, b'a', 0], Unreadable::Parent),
        (&[1, 1, 1, 0, 4, 0, 1, 0, 1, b'a', 0], Unreadable::Parent),
        (&[1, 1, 1, 0, 0x24, 1, 4, b'b', b'o', b'd', b'y', 1, b'k', 1, b'a', 0], Unreadable::Content(0x24)),
        (&[1, 1, 1, 0, 0x88, 2, 0, 1, 119, 1, b'a', 0], Unreadable::Content(0x88)),
        (&[1, 1, 1, 0, 0x84, 2, 0, 0, 0], Unreadable::Empty),
        (&[1, 1, 1, 0, 0x84, 2, 0, 1, 0xff, 0], Unreadable::NotUtf8),
        (&[1, 1, 1, 0, 0x84, 2, 0, 0xff, 0xff, 0xff, 0x7f, 0], Unreadable::CutShort),
        (&[1, 1, 1, 0, 0x81, 2, 0, 0xff, 0xff, 0xff, 0xff, 0x7f, 0], Unreadable::Number),
        (&[2, 1, 1, 0, 0, 1, 1, 1, 1, 0, 1, 0], Unreadable::RepeatedClient),
        (&[0, 1, 1, 1, 0x80, 0, 1], Unreadable::Number),
    ];
    for (bytes, why) in refused {
        assert_eq!(check(bytes), Err(why), "{bytes:?}");
        assert_eq!(shown(&Document::rebuild(&[bytes])), (String::new(), String::new()));
    }
}

#[test]
fn the_ends_of_counting_are_reached_without_harm() {
    let last = Id { client: NUMBER_MAX, clock: CLOCK_MAX - 1 };
    let item =
        |id, origin, right_origin| Struct { id, len: 1, origin, right_origin, content: Content::Text("a".into()) };
    let own = Id { client: 1, clock: 0 };
    let updates = [
        encode(&[item(last, None, None)], &[Span::new(last, 1)]),
        encode(&[item(own, Some(own), Some(own))], &[]),
        encode(
            &[Struct { len: CLOCK_MAX, content: Content::Gone, ..item(Id { client: 2, clock: 0 }, None, None) }],
            &[],
        ),
        encode(&[item(Id { client: 3, clock: 0 }, Some(Id { client: 2, clock: 5 }), None)], &[]),
    ];
    let document = rebuilt(&updates);
    assert_eq!(shown(&document), (String::new(), "a\na".into()));
    assert_eq!(Document::load(&document.state()).unwrap().text(), "");
    for undone in 0..updates.len() {
        assert!(undo(&updates, undone).iter().all(|update| check(update).is_ok()));
    }
    assert_eq!(document.append("b", client(2), MAX).len(), 1);
}

#[test]
fn a_client_that_cannot_count_as_far_as_the_text_is_long_leaves_it_to_another() {
    let item = |len| Struct {
        id: Id { client: 1, clock: 0 },
        len,
        origin: None,
        right_origin: None,
        content: Content::Deleted,
    };
    let by = |len| {
        let document = rebuilt(&[encode(&[item(len)], &[])]);
        Update::decode(&one(document.append("five!", client(1), MAX))).unwrap().structs[0].id.client
    };
    assert_eq!(by(CLOCK_MAX - 5), 1, "the last clocks there are");
    assert_ne!(by(CLOCK_MAX - 4), 1);
}

#[test]
fn mutated_updates_do_no_harm() {
    let mut dice = Dice(3);
    let mut readable = 0;
    for round in 0..2_000u64 {
        let mut updates = history(round % 20, 3, 8);
        for _ in 0..10 {
            let number = dice.below(updates.len());
            let update = &mut updates[number];
            let at = dice.below(update.len());
            match dice.below(4) {
                0 => drop(update.remove(at)),
                1 => update.insert(at, dice.below(256) as u8),
                _ => update[at] = dice.below(256) as u8,
            }
            if update.is_empty() {
                *update = vec![0, 0];
            }
            readable += usize::from(check(update).is_ok());
        }
        let document = rebuilt(&updates);
        assert_eq!(shown(&Document::load(&document.state()).unwrap()), shown(&document));
        assert!(undo(&updates, 0).iter().all(|undo| check(undo).is_ok()));
    }
    assert!(readable > 1_000);
}

#[test]
fn a_huge_count_takes_no_memory() {
    for position in 0..4 {
        let mut bytes = vec![1, 1, 1, 0];
        let mut count = Vec::new();
        put_number(&mut count, NUMBER_MAX);
        bytes.splice(position..=position, count);
        assert!(check(&bytes).is_err());
    }
}

#[test]
fn many_at_one_place_are_merged_in_time() {
    let updates: Vec<Vec<u8>> = (1..3_000).map(|by| one(first("x", by * 7919 % 3_001))).collect();
    assert_eq!(rebuilt(&updates).text().len(), 2_999);
}

#[test]
fn one_deletion_undone_on_two_devices_is_undone_once() {
    let start = first("keep this text", 1);
    let deletion = one(rebuilt(&start).edit("keep text", client(1), MAX));
    let base = [start, vec![deletion.clone()]].concat();
    let here = [base.clone(), rebuilt(&base).edit("keep text, here", client(2), MAX)].concat();
    let there = [base.clone(), rebuilt(&base).edit("there: keep text", client(3), MAX)].concat();
    let undone_here = undo(&here, 1);
    let undone_there = undo(&there, 1);
    let merged = [here, there, undone_here, undone_there].concat();
    assert_eq!(rebuilt(&merged).text(), "there: keep this text, here");
    let reversed: Vec<usize> = (0..merged.len()).rev().collect();
    assert_eq!(arriving(&merged, &reversed).0, "there: keep this text, here");
}

#[test]
fn undoing_an_insertion_deletes_what_is_left_of_it() {
    let start = first("ab", 1);
    let insertion = one(rebuilt(&start).edit("a12345b", client(1), MAX));
    let mut updates = [start, vec![insertion.clone()]].concat();
    updates.extend(rebuilt(&updates).edit("a12.45b", client(2), MAX));
    updates.extend(undo(&updates, 1));
    assert_eq!(rebuilt(&updates).text(), "a.b");
}

#[test]
fn text_put_back_stands_around_what_was_typed_into_it() {
    let start = first("<hello>", 1);
    let deletion = one(rebuilt(&start).edit("<>", client(1), MAX));
    let typed = rebuilt(&start).edit("<hel😀lo>", client(2), MAX);
    let mut updates = [start, vec![deletion.clone()], typed].concat();
    assert_eq!(rebuilt(&updates).text(), "<😀>");
    updates.extend(undo(&updates, 1));
    assert_eq!(rebuilt(&updates).text(), "<hel😀lo>");
}

#[test]
fn an_undo_is_undone_like_any_update() {
    let start = first("one two three", 1);
    let edit = one(rebuilt(&start).edit("one 2 three", client(1), MAX));
    let mut updates = [start, vec![edit]].concat();
    updates.extend(undo(&updates, 1));
    assert_eq!(rebuilt(&updates).text(), "one two three");
    updates.extend(undo(&updates, 2));
    assert_eq!(rebuilt(&updates).text(), "one 2 three");
    updates.extend(undo(&updates, 3));
    assert_eq!(rebuilt(&updates).text(), "one two three");
}

#[test]
fn an_undo_of_a_long_text_comes_in_parts() {
    let text = "many words 😀 ".repeat(200);
    let start = one(first(&text, 1));
    let deletion = one(rebuilt(std::slice::from_ref(&start)).edit("", client(1), MAX));
    let mut updates = vec![start, deletion.clone()];
    let undone = undo_in_parts(&updates, 1, 300);
    assert!(undone.len() > 5 && undone.iter().all(|update| update.len() <= 300));
    updates.extend(undone);
    assert_eq!(rebuilt(&updates).text(), text);
}

#[test]
fn each_part_of_an_undo_repeats_what_its_own_text_came_from() {
    let letters = ["a", "😀", "b", "c", "😀", "d", "e"];
    let mut updates: Vec<Vec<u8>> = Vec::new();
    for letter in letters {
        updates.extend(rebuilt(&updates).append(letter, client(1), MAX));
    }
    updates.extend(rebuilt(&updates).edit("", client(2), MAX));
    let clients: Vec<ClientId> = (0..8).map(|number| client(100 + number)).collect();
    let undoing = Document::undo(&refs(&updates), &clients, 7, MAX, 3);
    let repeats: Vec<&[usize]> = undoing.iter().map(|undoing| undoing.repeats.as_slice()).collect();
    assert_eq!(repeats, [&[0, 1, 2][..], &[3, 4, 5], &[6]]);
    let whole = Document::undo(&refs(&updates), &clients, 7, MAX, 100);
    assert_eq!(whole.len(), 1);
    // Whoever divides otherwise undoes the same.
    updates.extend(undoing.into_iter().chain(whole).map(|undoing| undoing.update));
    assert_eq!(shown(&rebuilt(&updates)), ("a😀bc😀de".into(), "".into()));
}

#[test]
fn an_update_that_was_left_out_is_not_undone() {
    let updates = [one(first("mine", 1)), one(first("theirs", 1))];
    assert!(undo(&updates, 1).is_empty());
}

#[test]
fn what_two_deleted_is_put_back_once() {
    let start = first("keep this text", 1);
    let here = one(rebuilt(&start).edit("keep text", client(2), MAX));
    let there = one(rebuilt(&start).edit("keep", client(3), MAX));
    let mut updates = [start, vec![here, there]].concat();
    assert_eq!(rebuilt(&updates).text(), "keep");
    updates.extend(undo(&updates, 1));
    assert_eq!(rebuilt(&updates).text(), "keepthis ");
    updates.extend(undo(&updates, 2));
    assert_eq!(rebuilt(&updates).text(), "keep this text");
}

#[test]
fn an_insertion_that_was_deleted_and_put_back_is_undone() {
    let start = first("<>", 1);
    let insertion = one(rebuilt(&start).edit("<aa>", client(1), MAX));
    let mut updates = [start, vec![insertion]].concat();
    for text in ["<a>", "<a"] {
        updates.extend(rebuilt(&updates).edit(text, client(2), MAX));
    }
    updates.extend(undo(&updates, 2));
    assert_eq!(rebuilt(&updates).text(), "<aa");
    updates.extend(undo(&updates, 1));
    assert_eq!(rebuilt(&updates).text(), "<");
}

/// Two Yjs documents in JavaScript that typed, deleted and exchanged their states.
const FROM_JAVASCRIPT: [&str; 6] = [
    "0101c7ebe8910400040104626f64791248656c6c6f20f09f988020776f726c640d0a00",
    "01018effa7dd0f00c4c7ebe8910405c7ebe89104060662726176652000",
    "0001c7ebe89104010005",
    "0101c7ebe8910410c4c7ebe8910404c7ebe89104050342796500",
    "0101c7ebe8910413c4c7ebe8910412c7ebe89104050121018effa7dd0f010003",
    "01018effa7dd0f0684c7ebe891040f03656e6400",
];

/// The state of both in the end.
const STATE_FROM_JAVASCRIPT: &str = "02038effa7dd0f00c1c7ebe8910405c7ebe891040603c48effa7dd0f02c7eb\
    e89104060376652084c7ebe891040f03656e6404c7ebe8910400010104626f64790584c7ebe8910404012084c7ebe8\
    9104050cf09f988020776f726c640d0ac4c7ebe8910404c7ebe89104050442796521028effa7dd0f010003c7ebe891\
    04010005";

fn from_hex(hex: &str) -> Vec<u8> {
    let byte = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}

#[test]
fn updates_from_javascript_are_read() {
    let mut updates: Vec<Vec<u8>> = FROM_JAVASCRIPT.iter().map(|hex| from_hex(hex)).collect();
    let state = from_hex(STATE_FROM_JAVASCRIPT);
    let text = "Bye! ve 😀 world\r\nend";
    assert_eq!(rebuilt(&updates).text(), text);
    assert_eq!(rebuilt(std::slice::from_ref(&state)).text(), text);
    for at in 0..=updates.len() {
        updates.insert(at, state.clone());
        assert_eq!(shown(&rebuilt(&updates)), (text.into(), String::new()));
        updates.remove(at);
    }
    updates.extend(undo(&updates, 2));
    assert_eq!(rebuilt(&updates).text(), "HelloBye! ve 😀 world\r\nend");
}

#[test]
fn a_place_that_never_was_is_found_anew_with_every_update() {
    // The left neighbour stands to the right of the right one: the order of arrival could decide.
    let letters = one(first("abc", 1));
    let id = |clock| Some(Id { client: 1, clock });
    let crossed = Struct {
        id: Id { client: 2, clock: 0 },
        len: 1,
        origin: id(2),
        right_origin: id(0),
        content: Content::Text("x".into()),
    };
    let mut document = rebuilt(std::slice::from_ref(&letters));
    assert!(!document.apply(&encode(std::slice::from_ref(&crossed), &[])));
    let mut document = rebuilt(&[letters, encode(&[crossed], &[])]);
    assert!(!document.apply(&one(first("y", 3))));
}
