#![allow(clippy::unwrap_used)]

use super::*;
use crate::merge::Write;
use proptest::prelude::*;

fn op((origin, seq, prefix): (u8, u64, u8)) -> OpRef {
    OpRef { origin: Origin::from_bytes([origin; 16]), seq: Seq::new(seq).unwrap(), prefix: [prefix; 16] }
}

fn any_ops() -> impl Strategy<Value = Vec<OpRef>> {
    proptest::collection::btree_set((0u8..3, 1u64..9, 0u8..2), 0..4).prop_map(|ops| ops.into_iter().map(op).collect())
}

fn register() -> impl Strategy<Value = Register> {
    let write = ((0u8..3, 1u64..9, 0u8..2), 0u64..4, any_ops(), any_ops(), ".{0,5}");
    proptest::collection::vec(write, 1..4).prop_map(|writes| {
        let write = |(own, stamp, bases, seen, text): (_, u64, _, _, String)| {
            let own = Rank { stamp: Stamp::from_millis(stamp), op: op(own) };
            Write { own, index: 2, bases, seen, value: Some(Value::text(text)) }
        };
        Register::of(&writes.into_iter().map(write).collect::<Vec<_>>())
    })
}

fn any_state() -> impl Strategy<Value = NodeState> {
    let body = (any::<[u8; 16]>(), any_ops(), any::<Option<[u8; 32]>>(), any::<Option<[u8; 32]>>());
    let bodies = proptest::collection::vec(body, 0..3).prop_map(|bodies| {
        let body = |(generation, latest, text, leftover)| Body {
            generation: Generation::from_bytes(generation),
            latest,
            text,
            leftover,
        };
        bodies.into_iter().map(body).collect()
    });
    let registers =
        proptest::collection::btree_map("[a-z]{1,6}".prop_map(|name| Field::new(&name).unwrap()), register(), 0..4);
    (registers, any_ops(), bodies, any::<bool>(), any::<bool>()).prop_map(
        |(registers, latest, bodies, hidden, conflicted)| NodeState { registers, latest, bodies, hidden, conflicted },
    )
}

proptest! {
    #[test]
    fn a_row_reads_back(state in any_state()) {
        prop_assert_eq!(unpack(&pack(&state)).unwrap(), state);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
        drop(unpack(&[&[FORMAT], bytes.as_slice()].concat()));
    }

    #[test]
    fn what_is_shown_is_in_the_hash_and_the_order_of_arrival_is_not(state in any_state()) {
        let node = NodeId::from_bytes([1; 16]);
        let hash = row_hash(node, &state);
        let mut arrived_otherwise = state.clone();
        arrived_otherwise.bodies.reverse();
        arrived_otherwise.latest.clear();
        prop_assert_eq!(row_hash(node, &arrived_otherwise), hash);
        let differing = [
            NodeState { hidden: !state.hidden, ..state.clone() },
            NodeState { conflicted: !state.conflicted, ..state.clone() },
        ];
        for other in &differing {
            prop_assert_ne!(row_hash(node, other), hash);
        }
        prop_assert_ne!(row_hash(NodeId::from_bytes([2; 16]), &state), hash);
    }
}
