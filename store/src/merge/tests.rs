#![allow(clippy::unwrap_used)]

use super::*;
use crate::id::{Origin, Seq};
use proptest::prelude::*;

/// Chains without branches, on which every op is before those with larger numbers.
struct Straight;

impl Chains for Straight {
    fn reaches(&self, newer: &OpRef, older: &OpRef) -> bool {
        newer.origin == older.origin && newer.seq >= older.seq
    }
}

fn op(origin: u8, seq: u64) -> OpRef {
    OpRef { origin: Origin::from_bytes([origin; 16]), seq: Seq::new(seq).unwrap(), prefix: [0; 16] }
}

fn write(of: OpRef, stamp: u64, bases: &[OpRef], value: &str) -> Write {
    let own = Rank { stamp: Stamp::from_millis(stamp), op: of };
    Write { own, index: 0, bases: bases.to_vec(), seen: Vec::new(), value: Some(Value::text(value)) }
}

fn values(register: &Register) -> Vec<&str> {
    register.heads().iter().map(|head| head.value.as_text().unwrap()).collect()
}

/// Writes in causal order: each names some of those before it.
fn history() -> impl Strategy<Value = Vec<Write>> {
    let step = (0u8..3, 0u64..5, any::<u16>(), 0u8..3, any::<bool>());
    proptest::collection::vec(step, 1..12).prop_map(|steps| {
        let mut writes: Vec<Write> = Vec::new();
        for (n, (origin, stamp, named, value, here)) in (1u64..).zip(steps) {
            let bases: Vec<OpRef> = writes
                .iter()
                .enumerate()
                .filter(|(at, _)| named >> (at % 16) & 1 == 1)
                .map(|(_, earlier)| earlier.own.op)
                .collect();
            let mut next = write(op(origin, n), stamp, &bases, ["x", "y", "z"][usize::from(value)]);
            next.value = next.value.filter(|_| here || n == 1);
            writes.push(next);
        }
        writes
    })
}

proptest! {
    #[test]
    fn merging_one_by_one_gives_what_the_definition_gives(writes in history()) {
        let mut register = Register::default();
        for (n, next) in writes.iter().enumerate() {
            let here = &writes[..=n];
            match register.merge(next.clone()) {
                Merged::Done => prop_assert_eq!(&register, &Register::of(here)),
                Merged::NeedsAll => register = Register::of(here),
            }
        }
    }

    #[test]
    fn the_order_in_which_writes_are_given_does_not_matter(writes in history(), seed: u64) {
        let mut other = writes.clone();
        let len = other.len();
        (0..len).for_each(|at| other.swap(at, (seed as usize).wrapping_mul(at + 7) % len));
        prop_assert_eq!(Register::of(&writes), Register::of(&other));
    }

    #[test]
    fn what_was_written_always_leaves_a_head(writes in history()) {
        prop_assert!(!Register::of(&writes).heads().is_empty());
    }

    #[test]
    fn no_two_heads_are_equal_in_rank(writes in history()) {
        let register = Register::of(&writes);
        prop_assert!(register.heads().is_sorted_by(|a, b| a.order() > b.order()));
    }
}

#[test]
fn the_newest_of_concurrent_values_is_shown_and_the_others_stay() {
    let register = Register::of(&[write(op(1, 1), 5, &[], "older"), write(op(2, 1), 6, &[], "newer")]);
    assert_eq!(values(&register), ["newer", "older"]);
    assert!(register.contested());
}

#[test]
fn a_slow_clock_that_types_over_the_shown_value_is_shown() {
    let (a, b) = (write(op(1, 1), 9, &[], "fast"), write(op(2, 1), 8, &[], "other"));
    let slow = write(op(3, 1), 1, &[op(1, 1)], "slow");
    assert_eq!(values(&Register::of(&[a, b, slow])), ["slow", "other"]);
}

#[test]
fn an_erased_value_in_between_does_not_bring_back_what_it_replaced() {
    let mut middle = write(op(1, 2), 2, &[op(1, 1)], "B");
    middle.value = None;
    let (first, last) = (write(op(1, 1), 1, &[], "A"), write(op(1, 3), 3, &[op(1, 2)], "C"));
    assert_eq!(values(&Register::of(&[first.clone(), middle.clone(), last])), ["C"]);
    assert_eq!(values(&Register::of(&[first, middle])), ["A"], "by itself it only passes on");
}

#[test]
fn an_ordinary_write_names_what_is_shown_and_what_equals_it() {
    let title = Field::new("title").unwrap();
    let writes = [write(op(1, 1), 3, &[], "same"), write(op(2, 1), 2, &[], "same"), write(op(3, 1), 1, &[], "unseen")];
    let register = Register::of(&writes);
    assert_eq!(register.bases(&title), [op(1, 1), op(2, 1)]);
    assert_eq!(register.all().len(), 3);
    assert_eq!(register.bases(&Field::new("done/2026-11-02").unwrap()).len(), 3, "all completions count as equal");
}

fn deleted(seen: &[OpRef], latest: &[OpRef]) -> NodeState {
    let own = Rank { stamp: Stamp::from_millis(1), op: op(9, 1) };
    let write = Write { own, index: 0, bases: vec![], seen: seen.to_vec(), value: Some(Value::Bool(true)) };
    let mut state = NodeState { latest: latest.to_vec(), ..NodeState::default() };
    state.registers.insert(Field::known(DELETED), Register::of(&[write]));
    state
}

#[test]
fn a_node_is_hidden_while_all_on_it_and_on_what_it_owns_was_seen() {
    let seen = [op(1, 5), op(2, 2)];
    assert_eq!(deleted(&seen, &[op(1, 3)]).deletion(&[op(2, 2)], &Straight), Deletion::Hidden);
    assert_eq!(deleted(&seen, &[op(1, 6)]).deletion(&[], &Straight), Deletion::Contested);
    assert_eq!(deleted(&seen, &[]).deletion(&[op(3, 1)], &Straight), Deletion::Contested);
    assert_eq!(deleted(&[], &[op(9, 1)]).deletion(&[], &Straight), Deletion::Hidden, "the deleting op is seen");
    assert_eq!(NodeState::default().deletion(&[], &Straight), Deletion::Alive);
}

#[test]
fn the_newest_ops_are_kept_per_chain() {
    let mut latest = Vec::new();
    for next in [op(1, 1), op(2, 7), op(1, 4), op(1, 2)] {
        note_latest(&mut latest, next, &Straight);
    }
    assert_eq!(latest, [op(1, 4), op(2, 7)]);
}

const SHOWN: Generation = Generation::from_bytes([1; 16]);
const OTHER: Generation = Generation::from_bytes([2; 16]);

/// A node whose register `body` has these generations as heads, the shown one first, all of whose authors had seen `seen`.
fn with_bodies(heads: &[Generation], seen: &[OpRef], bodies: &[Body]) -> NodeState {
    let head = |(at, generation): (u8, &Generation)| Write {
        own: Rank { stamp: Stamp::from_millis(u64::from(9 - at)), op: op(90 + at, 1) },
        index: 0,
        bases: vec![],
        seen: seen.to_vec(),
        value: Some(Value::Bytes(generation.as_bytes().to_vec())),
    };
    let writes: Vec<Write> = (0u8..).zip(heads).map(head).collect();
    let mut state = NodeState { bodies: bodies.to_vec(), ..NodeState::default() };
    state.registers.insert(Field::known(BODY), Register::of(&writes));
    state
}

fn body(generation: Generation, text: Option<u8>) -> Body {
    Body { generation, latest: vec![op(1, 5)], text: text.map(|byte| [byte; 32]), leftover: None }
}

#[test]
fn a_text_that_lost_is_kept_unless_it_is_empty_or_reads_like_the_shown_one() {
    let copies =
        |other: Body| with_bodies(&[SHOWN, OTHER], &[op(1, 5)], &[body(SHOWN, Some(1)), other]).copies(&Straight);
    assert_eq!(copies(body(OTHER, Some(2))), [OTHER]);
    assert_eq!(copies(body(OTHER, Some(1))), []);
    assert_eq!(copies(body(OTHER, None)), []);
    assert_eq!(
        copies(Body { leftover: Some([3; 32]), ..body(OTHER, None) }),
        [OTHER],
        "what found no place is text, too"
    );
}

#[test]
fn a_text_that_nobody_names_is_kept_while_some_of_it_is_unseen() {
    let copies =
        |seen: &[OpRef]| with_bodies(&[SHOWN], seen, &[body(SHOWN, Some(1)), body(OTHER, Some(2))]).copies(&Straight);
    assert_eq!(copies(&[op(1, 4)]), [OTHER]);
    assert_eq!(copies(&[op(1, 5)]), []);
}

#[test]
fn what_found_no_place_in_the_shown_text_is_a_copy_of_it() {
    let shown = Body { leftover: Some([3; 32]), ..body(SHOWN, Some(1)) };
    assert_eq!(with_bodies(&[SHOWN], &[op(1, 5)], &[shown]).copies(&Straight), [SHOWN]);
    assert_eq!(with_bodies(&[SHOWN], &[], &[body(SHOWN, Some(1))]).copies(&Straight), []);
}

#[test]
fn a_choice_is_awaited_where_values_deletions_or_texts_stand_side_by_side() {
    let title = |values: &[&str]| {
        let writes: Vec<Write> =
            (1u8..).zip(values).map(|(origin, value)| write(op(origin, 1), 1, &[], value)).collect();
        let mut state = NodeState::default();
        state.registers.insert(Field::new("title").unwrap(), Register::of(&writes));
        state
    };
    let awaits = |state: &NodeState, deletion| state.awaits_choice(deletion, &Straight);
    assert!(!awaits(&title(&["a", "a"]), Deletion::Alive));
    assert!(!awaits(&title(&["a"]), Deletion::Hidden));
    assert!(awaits(&title(&["a", "b"]), Deletion::Alive));
    assert!(awaits(&title(&["a"]), Deletion::Contested));
    let texts = with_bodies(&[SHOWN, OTHER], &[], &[body(SHOWN, Some(1)), body(OTHER, Some(2))]);
    assert!(awaits(&texts, Deletion::Alive));
    assert!(texts.contested().is_empty(), "texts are told apart by their copies");
    let mut done = title(&[]);
    done.registers.insert(Field::new("done/2026-11-02").unwrap(), title(&["a", "b"]).registers["title"].clone());
    assert!(!awaits(&done, Deletion::Alive), "all completions count as equal");
}

#[test]
fn a_register_that_shows_null_shows_no_value() {
    let mut cleared = write(op(1, 1), 1, &[], "");
    cleared.value = Some(Value::Null);
    assert_eq!(Register::of(&[cleared]).value(), None);
    assert_eq!(Register::of(&[write(op(1, 1), 1, &[], "a")]).value(), Some(&Value::text("a")));
}
