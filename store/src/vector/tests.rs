#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn any_vector() -> impl Strategy<Value = Vector> {
    let tip = (0u8..6, 1u64..400, any::<[u8; 32]>());
    proptest::collection::vec(tip, 0..12).prop_map(|tips| {
        let mut vector = Vector::default();
        for (origin, seq, id) in tips {
            let tip = Tip { seq: Seq::new(seq).unwrap(), id: OpId::from_bytes(id) };
            vector.insert(Origin::from_bytes([origin; 16]), tip);
        }
        vector
    })
}

proptest! {
    #[test]
    fn a_vector_reads_back(vector in any_vector()) {
        prop_assert_eq!(Vector::decode(&vector.encode(), vector.len()).unwrap(), vector);
    }

    #[test]
    fn what_decodes_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
        if let Ok(vector) = Vector::decode(&bytes, 100) {
            prop_assert_eq!(vector.encode(), bytes);
        }
    }

    #[test]
    fn parts_make_up_the_whole(vector in any_vector(), max in 1usize..4) {
        let mut whole = Vector::default();
        let mut after = None;
        loop {
            let part = vector.part(after, max);
            prop_assert!(part.len() <= max);
            let Some((last, _)) = part.iter().last() else { break };
            after = Some(last);
            whole.extend(part);
        }
        prop_assert_eq!(whole, vector);
    }

    #[test]
    fn vectors_are_equal_if_their_hashes_are_and_nothing_differs(a in any_vector(), b in any_vector()) {
        prop_assert_eq!(a == b, a.hash() == b.hash());
        prop_assert_eq!(a == b, a.differing(&b).is_empty());
        prop_assert_eq!(a.differing(&b), b.differing(&a));
    }
}

#[test]
fn more_origins_than_allowed_are_refused() {
    let mut vector = Vector::default();
    for origin in 0..3 {
        vector.insert(Origin::from_bytes([origin; 16]), Tip { seq: Seq::FIRST, id: OpId::NONE });
    }
    assert!(Vector::decode(&vector.encode(), 2).is_err());
    assert!(Vector::decode(&vector.encode(), 3).is_ok());
    assert!(Vector::decode(&[1], 3).is_err());
}

#[test]
fn only_a_vector_without_tips_is_empty() {
    let mut vector = Vector::default();
    assert!(vector.is_empty());
    vector.insert(Origin::from_bytes([1; 16]), Tip { seq: Seq::FIRST, id: OpId::NONE });
    assert!(!vector.is_empty());
}
