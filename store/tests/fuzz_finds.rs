//! What fuzzing found, as scenarios. Each of them failed once.
#![allow(clippy::unwrap_used)]

#[path = "laws/world.rs"]
mod world;

use heph_store::field::Value;
use heph_store::id::NodeId;
use heph_store::links;
use world::{Device, field, scratch};

#[test]
fn what_a_link_and_a_name_meet_by_is_its_own_key() {
    for name in ["a/ b.md", "notes.md.md", "x.md .md", "/ ./ ../x", "a/.md", "\u{6}/\u{c}-"] {
        for key in [links::key, links::basename_key, links::heading_key] {
            let once = key(name);
            assert_eq!(key(&once), once, "{name:?}");
        }
    }
}

#[test]
fn a_note_with_an_odd_file_name_is_found_by_its_links_and_knows_them() {
    for (path, link) in [("a/ b.md", "b"), ("a/notes.md.md", "notes.md.md"), ("notes.md.md", "notes.md")] {
        let dir = scratch();
        let mut device = Device::open(dir.path(), "a.db", 1);
        let [note, linking] = [1, 2].map(|n| NodeId::from_bytes([n; 16]));
        device.write(|draft| {
            draft.set(note, &field("kind"), Value::text("doc"))?;
            draft.set(note, &field("path"), Value::Bytes(path.into()))
        });
        device.set(linking, "kind", "doc");
        device.save(linking, &format!("see [[{link}]]\n"));
        let found = device.look(|view| view.resolve_link(link)).map(|node| node.id);
        assert_eq!(found, Some(note), "{path:?} by {link:?}");
        let from = device.look(|view| view.backlinks(&view.node(note)?.unwrap()));
        assert_eq!(from.iter().map(|node| node.id).collect::<Vec<_>>(), [linking], "{path:?} by {link:?}");
    }
}
