//! Histories that simulations of whole systems found, each made as short as it goes.
#![allow(clippy::unwrap_used)]

#[path = "laws/world.rs"]
mod world;

use heph_store::id::NodeId;
use heph_store::op::ChangeRef;
use world::{Device, scratch, sync};

const NODE: NodeId = NodeId::from_bytes([7; 16]);

/// The erased items' numbers are free again in the document that remains; whoever still has the erased text may delete
/// them by these numbers.
#[test]
fn what_is_typed_after_an_erase_is_not_taken_for_what_was_erased() {
    for erases_itself in [true, false] {
        let dir = scratch();
        let open = |name: &str, seed| Device::open(dir.path(), name, seed);
        let (mut a, mut b, mut c) = (open("a.db", 1), open("b.db", 2), open("c.db", 3));
        let secret = a.op(|draft| draft.save_body(NODE, "the secret\n", None).map(drop));
        sync(&mut a, &mut b);
        sync(&mut a, &mut c);
        let eraser = if erases_itself { &mut a } else { &mut c };
        eraser.write(|draft| {
            draft.erase(vec![ChangeRef { op: secret, index: 0 }]);
            Ok(())
        });
        sync(&mut a, &mut c);
        a.save(NODE, "quite something else\n");
        b.undo(&secret);
        sync(&mut a, &mut b);
        assert_eq!(a.text(NODE), "quite something else\n", "erased by itself: {erases_itself}");
        assert_eq!(b.text(NODE), a.text(NODE));
    }
}
