#![allow(clippy::unwrap_used)]

use super::*;

#[test]
fn a_gap_that_the_sender_left_takes_its_ids() {
    let update = Update::decode(&[1, 2, 7, 0, SKIP, 3, GONE, 2, 0]).unwrap();
    let ids: Vec<(Id, u32)> = update.structs.iter().map(|item| (item.id, item.len)).collect();
    assert_eq!(ids, [(Id { client: 7, clock: 3 }, 2)]);
}

#[test]
fn what_ends_beyond_the_last_clock_is_refused() {
    let update = |kind: u8, len: u64| {
        let mut bytes = vec![1, 1, 7];
        put_number(&mut bytes, u64::from(CLOCK_MAX - 2));
        bytes.push(kind);
        put_number(&mut bytes, len);
        bytes.push(0);
        bytes
    };
    let deletion = |len: u64| {
        let mut bytes = vec![0, 1, 7, 1];
        put_number(&mut bytes, u64::from(CLOCK_MAX - 2));
        put_number(&mut bytes, len);
        bytes
    };
    for bytes in [update(GONE, 2), update(SKIP, 2), deletion(2)] {
        assert!(Update::decode(&bytes).is_ok(), "{bytes:?}");
    }
    for bytes in [update(GONE, 3), update(SKIP, 3), deletion(3)] {
        assert_eq!(Update::decode(&bytes), Err(Unreadable::Number), "{bytes:?}");
    }
}
