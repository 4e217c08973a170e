//! What to do about a hub that has just said and proven who it is: a pure decision, from what is remembered here and
//! what the hub says of itself. Nothing has been sent yet but the device's own introduction, which holds no op.
//!
//! | the hub is | it holds | its address | then |
//! |---|---|---|---|
//! | the pinned one | anything, or nothing after a wipe | any | go on; it is filled without a word |
//! | another one | nothing | loopback | pinned anew and filled, and status says so |
//! | another one | ops that are here too | loopback | the same: another device here has filled it already |
//! | the first one | anything | loopback | pinned; a word if both hold something |
//! | another or the first one | anything | elsewhere | asked about: nothing is sent |
//! | another one | something else | loopback | asked about: nothing is sent |

use heph_store::id::HubId;

/// What this device knows when the hub has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Here {
    /// The hub that is pinned.
    pub pinned: Option<HubId>,
    /// Whether the hub's address is a loopback address: then its hub is an open one of this machine.
    pub loopback: bool,
    /// The hash of the vector.
    pub vector_hash: [u8; 32],
    /// The version of the merge rules.
    pub rules_version: u32,
    /// The digest of the state.
    pub digest: [u8; 32],
    /// The position of the log's last op.
    pub head: u64,
    /// Values that are missing.
    pub missing: u64,
}

/// What the hub said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct There {
    /// Who it is, proven.
    pub id: HubId,
    /// How many ops it holds.
    pub op_count: u64,
    /// Whether it holds an op that is here too; asked only where it matters. A stranger cannot: ops go to nobody but
    /// the pinned hub.
    pub kin: bool,
    /// The hash of its vector.
    pub vector_hash: [u8; 32],
    /// The version of its merge rules.
    pub rules_version: u32,
    /// The digest of its state.
    pub digest: [u8; 32],
    /// The position of its log's last op.
    pub head: u64,
    /// Whether the cursor that it was shown is a position in its log.
    pub cursor_known: bool,
}

/// Both logs' ends, as an exchange left them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Left {
    /// The end of the log here.
    pub here: u64,
    /// The end of the hub's log.
    pub there: u64,
}

/// What was tried already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// An exchange went to its end, and left the logs so.
    Exchange(Left),
    /// An exchange met an op whose predecessor the other side did not have, or the cycle before ended apart.
    Doubt,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// Nothing is sent: a person has to say that this is the hub.
    Ask,
    /// It is the hub.
    Go(Pin, Step),
}

/// Whether the hub is remembered already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// It is the pinned one.
    Kept,
    /// There was none.
    First,
    /// There was another one.
    Anew,
}

/// What the two have to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Both hold the same ops.
    Same(Digests),
    /// They do not; the pull begins here.
    Exchange(From),
}

/// How the states of two that hold the same ops compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Digests {
    /// They are equal.
    Equal,
    /// They are not, and ought to be.
    Differ,
    /// They are made by different versions of the merge rules.
    OtherRules,
    /// Values are missing here, so nothing can be said.
    Missing,
}

/// Where in the hub's log a pull begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// After the cursor.
    Cursor,
    /// At the start: what is held here is left out by vector alone.
    Start,
}

/// Decides what to do, also from what was tried `before` in this cycle.
pub fn plan(here: &Here, there: &There, before: Before) -> Plan {
    match pin(here, there) {
        Some(pin) => Plan::Go(pin, step(here, there, before)),
        None => Plan::Ask,
    }
}

fn pin(here: &Here, there: &There) -> Option<Pin> {
    match here.pinned {
        Some(pinned) if pinned == there.id => Some(Pin::Kept),
        Some(_) if here.loopback && (there.op_count == 0 || there.kin) => Some(Pin::Anew),
        None if here.loopback => Some(Pin::First),
        _ => None,
    }
}

fn step(here: &Here, there: &There, before: Before) -> Step {
    if here.vector_hash == there.vector_hash {
        return Step::Same(digests(here, there));
    }
    let doubtful = match before {
        Before::Nothing => false,
        // Nobody wrote since, and yet the two differ: then the cursor has passed over something.
        Before::Exchange(left) => left == Left { here: here.head, there: there.head },
        Before::Doubt => true,
    };
    Step::Exchange(if there.cursor_known && !doubtful { From::Cursor } else { From::Start })
}

fn digests(here: &Here, there: &There) -> Digests {
    match (here.missing, here.rules_version == there.rules_version, here.digest == there.digest) {
        (1.., _, _) => Digests::Missing,
        (_, false, _) => Digests::OtherRules,
        (_, true, true) => Digests::Equal,
        (_, true, false) => Digests::Differ,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HUB: HubId = HubId::from_bytes([1; 16]);
    const OTHER: HubId = HubId::from_bytes([2; 16]);

    fn here(pinned: Option<HubId>, loopback: bool) -> Here {
        Here { pinned, loopback, vector_hash: [1; 32], rules_version: 1, digest: [3; 32], head: 10, missing: 0 }
    }

    fn there(op_count: u64) -> There {
        There {
            id: HUB,
            op_count,
            kin: false,
            vector_hash: [2; 32],
            rules_version: 1,
            digest: [3; 32],
            head: op_count,
            cursor_known: true,
        }
    }

    #[test]
    fn the_table_of_hubs_holds() {
        let table = [
            ("pinned", Some(HUB), false, 5, Some(Pin::Kept)),
            ("pinned and wiped", Some(HUB), false, 0, Some(Pin::Kept)),
            ("another, empty, loopback", Some(OTHER), true, 0, Some(Pin::Anew)),
            ("another, not empty, loopback", Some(OTHER), true, 5, None),
            ("another, empty, elsewhere", Some(OTHER), false, 0, None),
            ("the first, loopback", None, true, 5, Some(Pin::First)),
            ("the first, elsewhere", None, false, 5, None),
            ("the first, empty, elsewhere", None, false, 0, None),
        ];
        for (claim, pinned, loopback, op_count, wanted) in table {
            let planned = plan(&here(pinned, loopback), &there(op_count), Before::Nothing);
            let expected = wanted.map_or(Plan::Ask, |pin| Plan::Go(pin, Step::Exchange(From::Cursor)));
            assert_eq!(planned, expected, "{claim}");
        }
    }

    #[test]
    fn a_hub_that_another_device_filled_again_is_joined_on_loopback_only() {
        let kin = There { kin: true, ..there(5) };
        let pin = |loopback| match plan(&here(Some(OTHER), loopback), &kin, Before::Nothing) {
            Plan::Go(pin, _) => Some(pin),
            Plan::Ask => None,
        };
        assert_eq!(pin(true), Some(Pin::Anew));
        assert_eq!(pin(false), None);
    }

    #[test]
    fn equal_vectors_are_in_step_as_far_as_the_digests_say() {
        let here = here(Some(HUB), false);
        let there = There { vector_hash: here.vector_hash, ..there(10) };
        let same = |here: &Here, there: &There| match plan(here, there, Before::Nothing) {
            Plan::Go(Pin::Kept, Step::Same(digests)) => Some(digests),
            _ => None,
        };
        assert_eq!(same(&here, &there), Some(Digests::Equal));
        assert_eq!(same(&here, &There { digest: [9; 32], ..there }), Some(Digests::Differ));
        assert_eq!(same(&here, &There { rules_version: 2, digest: [9; 32], ..there }), Some(Digests::OtherRules));
        assert_eq!(same(&Here { missing: 1, ..here }, &there), Some(Digests::Missing));
    }

    #[test]
    fn a_cursor_is_trusted_unless_unknown_or_proven_wrong() {
        let (here, there) = (here(Some(HUB), false), there(7));
        let from = |there: &There, before| match plan(&here, there, before) {
            Plan::Go(_, Step::Exchange(from)) => Some(from),
            _ => None,
        };
        let left = |here, there| Before::Exchange(Left { here, there });
        assert_eq!(from(&there, Before::Nothing), Some(From::Cursor));
        assert_eq!(from(&There { cursor_known: false, ..there }, Before::Nothing), Some(From::Start));
        assert_eq!(from(&there, left(10, 7)), Some(From::Start));
        assert_eq!(from(&there, left(9, 7)), Some(From::Cursor), "written here meanwhile");
        assert_eq!(from(&there, left(10, 6)), Some(From::Cursor), "written there meanwhile");
        assert_eq!(from(&there, Before::Doubt), Some(From::Start));
    }
}
