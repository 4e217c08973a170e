#![allow(clippy::unwrap_used)]

use super::*;
use crate::chain::OriginKey;
use crate::id::Stamp;
use crate::op::RawChange;
use proptest::prelude::*;

/// Stretches of two authors, with so many ops each.
fn stretches(lengths: &[(bool, usize)]) -> Vec<PackedStretch> {
    let keys = [OriginKey::from_seed(&[1; 32]), OriginKey::from_seed(&[2; 32])];
    let mut tips = [(0u64, OpId::NONE); 2];
    let mut stretches = Vec::new();
    for (first, length) in lengths {
        let at = usize::from(*first);
        let mut place = None;
        let mut ops = Vec::new();
        for _ in 0..*length {
            let (number, prev) = tips[at];
            let key = (number == 0).then(|| keys[at].public());
            let here = Place { origin: keys[at].origin(), seq: Seq::new(number + 1).unwrap(), prev, key };
            let changes = vec![RawChange::new(9, vec![1], vec![2; ops.len()])];
            let op = Op::from_raw(here, Stamp::from_millis(number), None, [3; 16], changes);
            tips[at] = (number + 1, op.id());
            place.get_or_insert(here);
            ops.push(op.pack());
        }
        let signature = keys[at].sign(&tips[at].1);
        stretches.push(PackedStretch { place: place.unwrap(), last: tips[at].1, ops, signature });
    }
    stretches
}

fn lengths() -> impl Strategy<Value = Vec<(bool, usize)>> {
    proptest::collection::vec((any::<bool>(), 1usize..4), 1..6)
}

proptest! {
    #[test]
    fn a_page_reads_back(lengths in lengths()) {
        let written = stretches(&lengths);
        let read = decode(&encode(&written)).unwrap();
        prop_assert_eq!(read.len(), written.len());
        for (read, written) in read.iter().zip(&written) {
            prop_assert_eq!(read.origin(), Some(written.place.origin));
            prop_assert_eq!(read.entries.last().unwrap().id, written.last);
            prop_assert_eq!(read.entries.len(), written.ops.len());
            prop_assert_eq!(read.signature, written.signature);
        }
    }

    #[test]
    fn a_page_cut_short_or_too_long_is_refused(lengths in lengths(), at: usize) {
        let page = encode(&stretches(&lengths));
        prop_assert!(decode(&page[..at % page.len()]).is_err());
        prop_assert!(decode(&[page.as_slice(), &[0]].concat()).is_err());
    }

    #[test]
    fn a_changed_page_is_refused_or_says_something_else(lengths in lengths(), at: usize, bit in 0u8..8) {
        let page = encode(&stretches(&lengths));
        let mut changed = page.clone();
        changed[at % page.len()] ^= 1 << bit;
        if let Ok(read) = decode(&changed) {
            prop_assert_ne!(read, decode(&page).unwrap());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        drop(decode(&[&[FORMAT], bytes.as_slice()].concat()));
    }
}

#[test]
fn limits_are_kept() {
    assert!(decode(&vec![FORMAT; PAGE_BYTES_MAX + 1]).is_err());
    assert!(decode(&[FORMAT + 1, 0]).is_err());
    assert_eq!(decode(&[FORMAT, 0]).unwrap(), []);
    let mut many = vec![FORMAT];
    put_varint(&mut many, PAGE_OPS_MAX as u64 + 1);
    assert!(decode(&many).is_err());
    let mut stretch = stretches(&[(false, 1)]);
    stretch[0].ops.clear();
    assert!(decode(&encode(&stretch)).is_err(), "a stretch has an op");
}
