//! The state digest: 256 sums of row hashes, kept up with every change. Sums do not depend on order, and a difference
//! is found bucket by bucket.

use crate::id::NodeId;
use sha2::{Digest, Sha256};

/// How many buckets there are.
pub const BUCKETS: usize = 256;

/// The bucket of a node: the last byte of its id.
pub fn bucket(node: NodeId) -> u8 {
    node.as_bytes()[15]
}

/// Adds `row` to `sum`, both read as 256-bit big-endian numbers, modulo 2^256.
pub fn add(sum: &mut [u8; 32], row: &[u8; 32]) {
    let mut carry = 0u16;
    for (byte, other) in sum.iter_mut().zip(row).rev() {
        let total = u16::from(*byte) + u16::from(*other) + carry;
        *byte = total as u8;
        carry = total >> 8;
    }
}

/// Takes `row` from `sum`, modulo 2^256.
pub fn subtract(sum: &mut [u8; 32], row: &[u8; 32]) {
    let mut borrow = 0i16;
    for (byte, other) in sum.iter_mut().zip(row).rev() {
        let total = i16::from(*byte) - i16::from(*other) - borrow;
        *byte = total as u8;
        borrow = i16::from(total < 0);
    }
}

/// The digest of the whole state: the SHA-256 of all sums in order.
pub fn total(sums: &[[u8; 32]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    sums.iter().for_each(|sum| hash.update(sum));
    hash.finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_added_can_be_taken_away_in_any_order(a: [u8; 32], b: [u8; 32], start: [u8; 32]) {
            let mut sum = start;
            add(&mut sum, &a);
            add(&mut sum, &b);
            subtract(&mut sum, &a);
            subtract(&mut sum, &b);
            prop_assert_eq!(sum, start);
        }
    }
}
