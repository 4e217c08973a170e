#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn place(seq: u64) -> Place {
    let key = (seq == 1).then_some([4; 32]);
    Place { origin: Origin::from_bytes([3; 16]), seq: Seq::new(seq).unwrap(), prev: OpId::from_bytes([2; 32]), key }
}

fn raw() -> impl Strategy<Value = RawChange> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..60);
    (prop_oneof![1u64..5, any::<u64>()], bytes(), bytes())
        .prop_map(|(kind, meta, value)| RawChange::new(kind, meta, value))
}

fn any_op() -> impl Strategy<Value = Op> {
    let group = proptest::option::of(any::<[u8; 16]>().prop_map(GroupId::from_bytes));
    (1u64..4, any::<u64>(), group, any::<[u8; 16]>(), proptest::collection::vec(raw(), 0..6)).prop_map(
        |(seq, stamp, group, salt, changes)| Op::from_raw(place(seq), Stamp::from_millis(stamp), group, salt, changes),
    )
}

fn reference() -> impl Strategy<Value = OpRef> {
    (0u8..5, 1u64..1_000, any::<[u8; 16]>()).prop_map(|(origin, seq, prefix)| OpRef {
        origin: Origin::from_bytes([origin; 16]),
        seq: Seq::new(seq).unwrap(),
        prefix,
    })
}

fn references() -> impl Strategy<Value = Vec<OpRef>> {
    proptest::collection::btree_set(reference(), 0..4).prop_map(|refs| refs.into_iter().collect())
}

fn targets() -> impl Strategy<Value = Vec<ChangeRef>> {
    let target = (reference(), 0u32..4_096).prop_map(|(op, index)| ChangeRef { op, index });
    proptest::collection::btree_set(target, 0..4).prop_map(|refs| refs.into_iter().collect())
}

fn change() -> impl Strategy<Value = Change> {
    let node = || any::<[u8; 16]>().prop_map(NodeId::from_bytes);
    let set = (node(), "[a-z]{1,9}", references(), references(), targets(), ".{0,9}").prop_map(
        |(node, name, bases, seen, repeats, text)| {
            let field = Field::new(&format!("x/{name}")).unwrap();
            Change::Set { node, field, bases, seen, repeats, value: Some(Value::text(text)) }
        },
    );
    let delete =
        (node(), references(), references()).prop_map(|(node, bases, seen)| Change::Delete { node, bases, seen });
    let edit = (node(), any::<[u8; 16]>(), targets()).prop_map(|(node, generation, repeats)| {
        let update = crate::body::Document::empty().edit("text", crate::body::ClientId::from_bits(7), 1_000).remove(0);
        Change::Edit { node, generation: Generation::from_bytes(generation), repeats, update: Some(update) }
    });
    prop_oneof![set, delete, edit, targets().prop_map(|targets| Change::Erase { targets })]
}

proptest! {
    #[test]
    fn an_op_reads_back_from_its_packed_form(op in any_op()) {
        let read = Op::unpack(place(op.seq.get()), &op.pack()).unwrap();
        prop_assert_eq!(read.id(), op.id());
        prop_assert_eq!(read, op);
    }

    #[test]
    fn an_erased_op_keeps_its_hash_and_its_other_values(op in any_op(), index in 0usize..6) {
        let mut erased = op.clone();
        let dropped = erased.erase(index);
        prop_assert_eq!(erased.id(), op.id());
        for (at, (before, after)) in op.changes.iter().zip(&erased.changes).enumerate() {
            prop_assert_eq!(after.value.here().is_none(), dropped && at == index);
            prop_assert_eq!(before.value.len(), after.value.len());
        }
        let read = Op::unpack(place(op.seq.get()), &erased.pack()).unwrap();
        prop_assert_eq!(read, erased);
    }

    #[test]
    fn erasing_in_any_order_gives_the_same_bytes(op in any_op()) {
        let (mut up, mut down) = (op.clone(), op.clone());
        for index in 0..op.changes.len() {
            up.erase(index);
        }
        for index in (0..op.changes.len()).rev() {
            down.erase(index);
        }
        prop_assert_eq!(up.pack(), down.pack());
    }

    #[test]
    fn supplied_values_give_the_op_back(op in any_op(), lost in proptest::collection::btree_set(0u32..6, 1..6)) {
        let mut emptied = op.clone();
        for index in &lost {
            emptied.erase(*index as usize);
        }
        let gone: Vec<u32> = (0u32..).zip(&emptied.changes).filter(|(_, c)| c.value.here().is_none()).map(|(n, _)| n).collect();
        prop_assert_eq!(emptied.supply(&op, &gone), gone);
        prop_assert_eq!(emptied, op);
    }

    #[test]
    fn any_bytes_are_read_or_refused_and_have_one_form(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        if let Ok(op) = Op::unpack(place(2), &bytes) {
            prop_assert_eq!(op.pack(), bytes);
            drop(op.read());
        }
    }

    #[test]
    fn changes_read_back(change in change()) {
        let op = Op::new(place(2), Stamp::default(), None, [0; 16], std::slice::from_ref(&change));
        prop_assert_eq!(op.read().unwrap(), vec![change]);
    }

    #[test]
    fn what_an_op_says_without_its_values_does_not_depend_on_them(change in change()) {
        let whole = Op::new(place(2), Stamp::default(), None, [0; 16], &[change]);
        let mut erased = whole.clone();
        erased.erase(0);
        prop_assert_eq!(whole.registers(), erased.registers());
        prop_assert_eq!(whole.touches(), erased.touches());
        prop_assert_eq!(format!("{:?}", whole.framed()), format!("{:?}", erased.framed()));
    }

    #[test]
    fn a_changed_bit_changes_the_hash(op in any_op(), at: usize, bit in 0u8..8) {
        prop_assume!(!op.changes.is_empty(), "without a change nothing is salted");
        let mut bytes = op.pack();
        let at = at % bytes.len();
        bytes[at] ^= 1 << bit;
        if let Ok(other) = Op::unpack(place(op.seq.get()), &bytes) {
            prop_assert_ne!(other.id(), op.id());
        }
    }
}

#[test]
fn an_op_beyond_its_limits_is_refused() {
    let value = |bytes| RawChange::new(1, vec![0; 16], vec![0; bytes]);
    let op = |changes| Op::from_raw(place(2), Stamp::default(), None, [0; 16], changes);
    let largest = op(vec![value(OP_BYTES_MAX - CHANGE_BYTES - 16)]);
    assert!(largest.fits() && Op::unpack(place(2), &largest.pack()).is_ok());
    let larger = op(vec![value(OP_BYTES_MAX - CHANGE_BYTES - 15)]);
    assert!(!larger.fits() && Op::unpack(place(2), &larger.pack()).is_err());
    let most = op(vec![RawChange::new(9, vec![], vec![]); CHANGES_MAX]);
    assert!(most.fits() && Op::unpack(place(2), &most.pack()).is_ok());
    let more = op(vec![RawChange::new(9, vec![], vec![]); CHANGES_MAX + 1]);
    assert!(Op::unpack(place(2), &more.pack()).is_err());
}

#[test]
fn what_this_version_cannot_read_is_held_whole() {
    let node = NodeId::from_bytes([1; 16]);
    let set = |text: &str| Change::Set {
        node,
        field: Field::known("title"),
        bases: vec![],
        seen: vec![],
        repeats: vec![],
        value: Some(Value::text(text)),
    };
    let twice = Op::new(place(2), Stamp::default(), None, [0; 16], &[set("a"), set("b")]);
    assert_eq!(twice.read(), Err(Held::SetTwice { index: 1 }));
    let mut unknown = Op::new(place(2), Stamp::default(), None, [0; 16], &[set("a")]);
    unknown.changes.push(RawChange::new(77, vec![], vec![]));
    assert_eq!(unknown.read(), Err(Held::UnknownKind { index: 1, kind: 77 }));
    let mut wrong = Op::new(place(2), Stamp::default(), None, [0; 16], &[set("a")]);
    wrong.changes[0].value = Slot::Here(vec![0xee]);
    assert!(matches!(wrong.read(), Err(Held::Unreadable { index: 0, .. })));
    assert!(wrong.erase(0) && wrong.read().is_ok(), "only bytes that are here can hold an op");
}

#[test]
fn registers_that_the_merge_reads_hold_one_type_only() {
    let held = |name: &'static str, value: Value| {
        let node = NodeId::from_bytes([1; 16]);
        let (bases, seen, repeats) = (vec![], vec![], vec![]);
        let change = Change::Set { node, field: Field::known(name), bases, seen, repeats, value: Some(value) };
        Op::new(place(2), Stamp::default(), None, [0; 16], &[change]).read().is_err()
    };
    assert!(held("deleted", Value::Bool(true)), "only a delete says so");
    assert!(!held("deleted", Value::Bool(false)));
    assert!(held("of", Value::text("x")) && !held("of", Value::Null));
    assert!(held("body", Value::Bytes(vec![1])) && !held("body", Value::Bytes(vec![1; 16])));
    assert!(held("kind", Value::Null) && held("kind", Value::Int(1)));
}

#[test]
fn deletes_and_erases_cannot_be_erased() {
    let node = NodeId::from_bytes([1; 16]);
    let changes = [Change::Delete { node, bases: vec![], seen: vec![] }, Change::Erase { targets: vec![] }];
    let mut op = Op::new(place(2), Stamp::default(), None, [0; 16], &changes);
    assert!(!op.erase(0) && !op.erase(1) && !op.erase(2));
}
