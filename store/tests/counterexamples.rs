//! Histories that break a simpler rule, each by name: three acts with devices that meet, and one claim. They stay in one
//! file, in which whoever doubts a rule looks for its name.
#![allow(clippy::unwrap_used)]

#[path = "laws/world.rs"]
mod world;

use heph_store::body::{ClientId, Document};
use heph_store::columns::task_view;
use heph_store::exchange::Coverage;
use heph_store::field::{Field, Value};
use heph_store::id::{Generation, NodeId, OpRef};
use heph_store::op::{Change, ChangeRef, RawChange, Slot};
use heph_store::page::{self, Stretch};
use heph_store::read::{Node, Resolved};
use heph_store::replica::{Cursor, Replica};
use heph_store::text::ImportedText;
use heph_store::{Error, Filter, Result};
use jiff::civil::date;
use tempfile::TempDir;
use world::{Alien, Device, SeededEnv, assert_in_step, field, scratch, sync, sync_all};

struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        Self { dir: scratch() }
    }

    fn device(&self, name: &str) -> Device {
        let seed = name.bytes().fold(17, |seed, byte| seed * 31 + u64::from(byte));
        Device::open(self.dir.path(), &format!("{name}.db"), seed)
    }

    /// A disk put back, or copied to a second machine.
    fn copy(&self, of: &Device, name: &str) -> Device {
        of.copy_to(self.dir.path(), &format!("{name}.db"), 900 + name.len() as u64)
    }
}

const NODE: NodeId = NodeId::from_bytes([7; 16]);
const OTHER: NodeId = NodeId::from_bytes([8; 16]);
const T: u64 = 1_790_000_000_000;

/// Two devices and a hub between them, all empty.
fn two_and_a_hub() -> (World, Device, Device, Device) {
    let world = World::new();
    let (a, b, hub) = (world.device("a"), world.device("b"), world.device("hub"));
    (world, a, b, hub)
}

/// Everyone meets at the hub, and agrees.
fn meet(a: &mut Device, b: &mut Device, hub: &mut Device) {
    for _ in 0..2 {
        sync(hub, a);
        sync(hub, b);
    }
    assert_in_step(&[a, b, hub]);
}

fn set_change(name: &str, bases: Vec<OpRef>, value: &str) -> Change {
    let value = Some(Value::text(value));
    Change::Set { node: NODE, field: field(name), bases, seen: Vec::new(), repeats: Vec::new(), value }
}

fn edit_change(update: Vec<u8>) -> Change {
    Change::Edit { node: NODE, generation: Generation::EMPTY, repeats: Vec::new(), update: Some(update) }
}

fn value(op: OpRef, index: u32) -> ChangeRef {
    ChangeRef { op, index }
}

fn erase(device: &mut Device, op: OpRef, index: u32) {
    device.write(|draft| {
        draft.erase(vec![value(op, index)]);
        Ok(())
    });
}

fn import(device: &mut Device, text: &str) -> ImportedText {
    device.write(|draft| draft.import_body("vault", b"note.md", NODE, text))
}

fn import_op(device: &mut Device, text: &str) -> OpRef {
    let (_, ops) = device.try_write(|draft| draft.import_body("vault", b"note.md", NODE, text)).unwrap();
    ops[0]
}

fn times(text: &str, part: &str) -> usize {
    text.matches(part).count()
}

// ------------------------------------------------------------------------------------------------------------ bodies

#[test]
fn a_body_that_is_stuck_on_missing_updates_is_whole_once_they_come() {
    let (world, mut a, mut b, mut c) = two_and_a_hub();
    a.save(NODE, "one\n");
    sync(&mut a, &mut b);
    b.save(NODE, "one\ntwo\n");
    sync(&mut a, &mut b);
    a.save(NODE, "one\ntwo\nthree\n");
    let mut late = world.device("late");
    let (first, rest): (Vec<Stretch>, Vec<Stretch>) =
        a.stretches_after(0).into_iter().partition(|stretch| stretch.origin().unwrap() == b.replica().origin());
    late.ingest(&first).unwrap();
    assert_eq!(late.text(NODE), "", "what b typed hangs on what is not here");
    late.ingest(&rest).unwrap();
    assert_eq!(late.text(NODE), "one\ntwo\nthree\n");
    sync(&mut a, &mut c);
    assert_in_step(&[&a, &c, &late]);
}

#[test]
fn a_yjs_item_supplied_twice_with_different_content_reads_the_same_in_any_order() {
    let world = World::new();
    let update = |text: &str| Document::empty().edit(text, ClientId::from_bits(5), 1_000).remove(0);
    let (first, _) = Alien::new(1).say(T, &[edit_change(update("left"))]);
    let (second, _) = Alien::new(2).say(T, &[edit_change(update("down"))]);
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.ingest(&[first.clone(), second.clone()]).unwrap();
    b.ingest(&[second]).unwrap();
    b.ingest(&[first]).unwrap();
    assert_in_step(&[&a, &b]);
    assert_eq!(a.text(NODE), b.text(NODE));
    let all = a.text(NODE) + &a.copies(NODE).concat();
    assert!(all.contains("left") && all.contains("down"), "the other text is kept beside it: {all}");
}

#[test]
fn an_editor_that_saves_what_it_opened_long_ago_deletes_nothing_that_arrived() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "first\nlast\n");
    meet(&mut a, &mut b, &mut hub);
    let opened = a.version(NODE);
    b.save(NODE, "first\na paragraph from elsewhere\nlast\n");
    meet(&mut a, &mut b, &mut hub);
    let saved = a.write(|draft| draft.save_body(NODE, "first\nlast\nand more\n", Some(&opened)));
    assert!(saved.merged);
    assert_eq!(a.text(NODE), "first\na paragraph from elsewhere\nlast\nand more\n");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn a_save_of_an_old_version_and_an_append_meanwhile_do_not_take_each_others_place() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "v1\n");
    let opened = a.version(NODE);
    a.write(|draft| draft.append_body(NODE, "appended\n"));
    a.write(|draft| draft.save_body(NODE, "v1\ntyped\n", Some(&opened)));
    let text = a.text(NODE);
    assert!(text.contains("appended") && text.contains("typed"), "{text}");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn a_cloned_disk_does_not_write_the_same_yjs_item_twice() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "shared\n");
    let mut clone = world.copy(&a, "clone");
    a.write(|draft| draft.append_body(NODE, "original\n"));
    clone.write(|draft| draft.append_body(NODE, "the clone\n"));
    sync(&mut hub, &mut clone);
    meet(&mut a, &mut b, &mut hub);
    let text = b.text(NODE);
    assert!(text.contains("original") && text.contains("the clone"), "{text}");
}

#[test]
fn a_rolled_back_write_does_not_lend_its_items_to_the_next() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "one\n");
    let failed: Result<((), _)> = a.try_write(|draft| {
        draft.append_body(NODE, "lost\n")?;
        Err(Error::UnknownVersion)
    });
    assert!(failed.is_err());
    a.write(|draft| draft.append_body(NODE, "kept\n"));
    assert_eq!(a.text(NODE), "one\nkept\n");
    a.write(|draft| draft.append_body(NODE, "and more\n"));
    // The client stands behind the numbers of clients and of structs, one byte each.
    let update = |stretch: &Stretch| stretch.entries[0].op.changes[0].value.here().unwrap()[2..8].to_vec();
    let clients: Vec<Vec<u8>> = a.stretches_after(0).iter().map(update).collect();
    assert!(clients[0] != clients[1] && clients[1] == clients[2], "another client after a roll-back, and only then");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn one_note_imported_on_two_devices_is_there_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    assert_eq!(import(&mut a, "line\n"), ImportedText::New);
    assert_eq!(import(&mut b, "line\n"), ImportedText::New);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(a.text(NODE), "line\n");
    assert!(!a.is_conflicted(NODE));
}

#[test]
fn the_second_version_of_a_note_imported_on_two_devices_is_there_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    for device in [&mut a, &mut b] {
        import(device, "line\n");
        assert_eq!(import(device, "line\nsecond\n"), ImportedText::Changed);
    }
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.text(NODE), a.is_conflicted(NODE)), ("line\nsecond\n".into(), false));
}

#[test]
fn slightly_different_copies_of_a_note_are_kept_beside_each_other() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "line one\n");
    import(&mut b, "line two\n");
    meet(&mut a, &mut b, &mut hub);
    let all = [vec![a.text(NODE)], a.copies(NODE)].concat();
    assert_eq!(all.len(), 2);
    assert!(all.contains(&"line one\n".into()) && all.contains(&"line two\n".into()), "never concatenated: {all:?}");
    assert!(b.is_conflicted(NODE));
    a.write(|draft| draft.settle_body(NODE, "line one and two\n"));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.text(NODE), b.is_conflicted(NODE)), ("line one and two\n".into(), false));
}

#[test]
fn an_edit_of_a_conflict_copy_that_its_settling_had_not_seen_keeps_the_copy() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    b.save(NODE, "typed\n");
    sync(&mut b, &mut hub);
    import(&mut a, "imported\n");
    b.write(|draft| draft.append_body(NODE, "later\n"));
    sync(&mut a, &mut hub);
    a.write(|draft| draft.settle_body(NODE, "settled\n"));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(a.text(NODE), "settled\n");
    assert_eq!(a.copies(NODE), ["typed\nlater\n"], "with its later edits");
    a.write(|draft| draft.settle_body(NODE, "settled\n"));
    meet(&mut a, &mut b, &mut hub);
    assert!(!b.is_conflicted(NODE));
}

#[test]
fn a_save_against_a_replaced_text_is_merged_into_the_shown_one() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "one\ntwo\n");
    let opened = a.version(NODE);
    import(&mut b, "one\nzwei\n");
    meet(&mut a, &mut b, &mut hub);
    a.write(|draft| draft.settle_body(NODE, "one\ntwo\nthree\n"));
    a.write(|draft| draft.save_body(NODE, "zero\none\ntwo\n", Some(&opened)));
    assert_eq!(a.text(NODE), "zero\none\ntwo\nthree\n");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn importing_again_compares_with_what_this_device_last_imported() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "one\n");
    meet(&mut a, &mut b, &mut hub);
    b.write(|draft| draft.append_body(NODE, "typed in heph\n"));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(import(&mut a, "one\n"), ImportedText::Unchanged);
    assert_eq!(import(&mut a, "zero\none\n"), ImportedText::Changed);
    assert_eq!(a.text(NODE), "zero\none\ntyped in heph\n");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn a_device_that_imports_what_was_edited_elsewhere_since_its_import_takes_nothing_back() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "one\n");
    a.write(|draft| draft.append_body(NODE, "typed in heph\n"));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(import(&mut b, "one\n"), ImportedText::Unchanged);
    assert_eq!(import(&mut b, "one\nand more\n"), ImportedText::Changed);
    let text = b.text(NODE);
    assert!(text.contains("typed in heph") && text.contains("and more") && times(&text, "one") == 1, "{text}");
    meet(&mut a, &mut b, &mut hub);
    assert!(!a.is_conflicted(NODE));
}

#[test]
fn importing_the_text_of_a_conflict_copy_writes_nothing_and_goes_on_from_it() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "line one\n");
    import(&mut b, "line two\n");
    meet(&mut a, &mut b, &mut hub);
    let copy = hub.copies(NODE).remove(0);
    assert_eq!(import(&mut hub, &copy), ImportedText::Unchanged);
    import(&mut hub, &format!("{copy}more\n"));
    let text = hub.text(NODE);
    assert!(
        text.ends_with("more\n") && times(&text, "line") == 1,
        "the shown text is not replaced by the copy: {text}"
    );
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn imports_into_a_settled_text_change_only_what_changed_in_the_file() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "one\ntwo\n");
    import(&mut b, "one\nzwei\n");
    meet(&mut a, &mut b, &mut hub);
    b.write(|draft| draft.settle_body(NODE, "one\ntwo\nzwei\n"));
    b.write(|draft| draft.append_body(NODE, "typed\n"));
    meet(&mut a, &mut b, &mut hub);
    for (file, shown) in [
        ("zero\none\ntwo\n", "zero\none\ntwo\nzwei\ntyped\n"),
        ("zero\nhalf\none\ntwo\n", "zero\nhalf\none\ntwo\nzwei\ntyped\n"),
        ("zero\none\ntwo\n", "zero\none\ntwo\nzwei\ntyped\n"),
    ] {
        assert_eq!(import(&mut a, file), ImportedText::Changed);
        assert_eq!(import(&mut a, file), ImportedText::Unchanged);
        assert_eq!(a.text(NODE), shown);
    }
    meet(&mut a, &mut b, &mut hub);
    assert!(!b.is_conflicted(NODE));
}

#[test]
fn a_note_that_was_empty_at_first_is_not_joined_with_other_first_texts() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    for (device, text) in [(&mut a, "from a\n"), (&mut b, "from b\n")] {
        import(device, "");
        import(device, text);
    }
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(times(&a.text(NODE), "from"), 1, "{}", a.text(NODE));
    assert_eq!(a.copies(NODE).len(), 1);
}

#[test]
fn an_import_that_was_undone_counts_as_not_made() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Note");
    let first = import_op(&mut a, "one\n");
    a.undo(&first);
    assert_eq!(a.text(NODE), "");
    assert_eq!(import(&mut a, "one\n"), ImportedText::New);
    assert_eq!(a.text(NODE), "one\n", "its items were deleted by the undo, and others took their place");
    assert_eq!(import(&mut a, "zero\none\n"), ImportedText::Changed);
    assert_eq!(a.text(NODE), "zero\none\n");
    meet(&mut a, &mut b, &mut hub);
    assert!(!a.is_conflicted(NODE));
}

#[test]
fn an_import_of_a_second_version_that_was_undone_counts_as_not_made() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "one\n");
    a.write(|draft| draft.append_body(NODE, "typed\n"));
    let second = import_op(&mut a, "one\ntwo\n");
    a.undo(&second);
    assert_eq!(a.text(NODE), "one\ntyped\n");
    assert_eq!(import(&mut a, "one\ntwo\n"), ImportedText::Changed);
    let text = a.text(NODE);
    assert!(text.contains("two") && text.contains("typed") && times(&text, "one") == 1, "{text}");
    meet(&mut a, &mut b, &mut hub);
    assert!(!a.is_conflicted(NODE));
}

#[test]
fn what_was_undone_or_redone_is_compared_with_what_is_imported_next() {
    let world = World::new();
    for redone in [false, true] {
        let mut a = world.device(if redone { "redone" } else { "undone" });
        import(&mut a, "one\ntwo\n");
        let second = import_op(&mut a, "one\nthree\n");
        let undo = a.undo_op(&second);
        if redone {
            a.undo(&undo);
        }
        a.write(|draft| draft.append_body(NODE, "typed\n"));
        assert_eq!(import(&mut a, "one\nfour\n"), ImportedText::Changed);
        assert_eq!(a.text(NODE), "one\nfour\ntyped\n");
        assert_eq!(import(&mut a, "one\nfour\n"), ImportedText::Unchanged);
        import(&mut a, "one\nfive\n");
        assert_eq!(a.text(NODE), "one\nfive\ntyped\n");
    }
}

#[test]
fn an_import_onto_a_deleted_note_is_skipped() {
    let world = World::new();
    let mut a = world.device("a");
    import(&mut a, "one\n");
    a.delete(NODE);
    assert_eq!(import(&mut a, "two\n"), ImportedText::SkippedDeleted);
    assert!(a.is_hidden(NODE));
}

#[test]
fn the_same_text_typed_again_after_its_deletion_is_there() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    import(&mut a, "text\n");
    a.save(NODE, "");
    a.save(NODE, "text\n");
    assert_eq!(a.text(NODE), "text\n");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn what_hangs_on_erased_text_stands_in_a_copy() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let secret = a.op(|draft| draft.save_body(NODE, "secret", None).map(drop));
    meet(&mut a, &mut b, &mut hub);
    b.save(NODE, "secret and a stranger's words");
    erase(&mut a, secret, 0);
    meet(&mut a, &mut b, &mut hub);
    let all = hub.text(NODE) + &hub.copies(NODE).concat();
    assert!(!all.contains("secret") && all.contains("a stranger's words"), "{all}");
}

// ------------------------------------------------------------------------------------------------- registers, clocks

#[test]
fn two_ops_never_compare_equal() {
    let world = World::new();
    let mut device = world.device("a");
    let (left, one) = Alien::new(1).say(T, &[set_change("title", vec![], "left")]);
    let mut alien = Alien::new(2);
    let (right, two) = alien.say(T, &[set_change("title", vec![], "right")]);
    let branch_of = alien.raw(&[set_change("title", vec![], "branch")]);
    let (branch, three) = alien.write_after(0, T, None, branch_of);
    device.ingest(&[left, right, branch]).unwrap();
    assert!(one != two && two != three && one.cmp(&three) != std::cmp::Ordering::Equal);
    let heads = device.node(NODE).state.registers["title"].heads().to_vec();
    let ranks: Vec<_> = heads.iter().map(|head| head.own).collect();
    assert!(ranks.is_sorted_by(|a, b| a > b), "origin, number and hash decide where clocks are equal: {ranks:?}");
}

#[test]
fn a_register_that_was_set_always_has_a_head() {
    let world = World::new();
    let mut device = world.device("a");
    let mut alien = Alien::new(1);
    let (first, one) = alien.say(T, &[set_change("title", vec![], "one")]);
    let never_written = OpRef { prefix: [9; 16], ..one };
    let (second, two) = alien.say(T, &[set_change("title", vec![one, never_written], "two")]);
    let (third, _) = Alien::new(2).say(T, &[set_change("title", vec![two], "three")]);
    for stretch in [third, first, second] {
        device.ingest(&[stretch]).unwrap();
        assert!(!device.values(NODE, "title").is_empty());
    }
    assert_eq!(device.title(NODE), "three");
}

#[test]
fn an_ordinary_set_leaves_the_value_that_its_author_never_saw() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "from a");
    b.set(NODE, "title", "from b");
    meet(&mut a, &mut b, &mut hub);
    let shown = a.title(NODE);
    let unseen = if shown == "from a" { "from b" } else { "from a" };
    a.set(NODE, "title", "typed over what was shown");
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.values(NODE, "title"), [Value::text("typed over what was shown"), Value::text(unseen)]);
    assert!(b.is_conflicted(NODE));
    b.write(|draft| draft.settle(NODE, &field("title"), Value::text("settled"), None));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.values(NODE, "title"), a.is_conflicted(NODE)), (vec![Value::text("settled")], false));
}

#[test]
fn what_a_slow_clock_types_over_the_shown_value_is_shown() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.env.set_clock(T + 1_000);
    b.env.set_clock(T + 2_000);
    a.set(NODE, "title", "from a");
    b.set(NODE, "title", "from b");
    meet(&mut a, &mut b, &mut hub);
    a.env.set_clock(T);
    a.set(NODE, "title", "typed");
    assert_eq!(a.title(NODE), "typed");
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.title(NODE), "typed");
}

#[test]
fn the_largest_stamp_there_is_can_be_superseded() {
    let world = World::new();
    let mut device = world.device("a");
    let (last, _) = Alien::new(1).say(u64::MAX, &[set_change("title", vec![], "for ever")]);
    device.ingest(&[last]).unwrap();
    device.set(NODE, "title", "not for ever");
    assert_eq!(device.values(NODE, "title"), [Value::text("not for ever")]);
}

#[test]
fn a_clock_in_2040_marks_what_it_wrote_and_nothing_spreads() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.env.set_clock(2_208_988_800_000);
    a.set(NODE, "title", "from the future");
    meet(&mut a, &mut b, &mut hub);
    let op = b.set(NODE, "title", "now");
    let (_, written, _) = b.look(|view| view.op(&op)).unwrap();
    assert!(written.stamp.get() < T + 1_000, "nobody stamps by another's clock");
    a.env.set_clock(0);
    a.set(OTHER, "title", "from 1970");
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(hub.title(NODE), "now");
}

#[test]
fn after_a_fork_a_base_does_not_name_the_op_of_the_other_branch() {
    let world = World::new();
    let mut device = world.device("a");
    let mut alien = Alien::new(1);
    let (first, one) = alien.say(T, &[set_change("title", vec![], "one")]);
    let raw = alien.raw(&[set_change("title", vec![], "branch")]);
    let (branch, _) = alien.write_after(0, T, None, raw);
    let (next, _) = Alien::new(2).say(T, &[set_change("title", vec![one], "two")]);
    device.ingest(&[branch, first, next]).unwrap();
    let mut values = device.values(NODE, "title");
    values.sort();
    assert_eq!(values, [Value::text("branch"), Value::text("two")]);
}

/// `typed` hangs on text that was erased: it is a copy beside an empty text.
fn copy_beside_nothing(a: &mut Device, b: &mut Device, hub: &mut Device) {
    let secret = a.op(|draft| draft.save_body(NODE, "secret\n", None).map(drop));
    meet(a, b, hub);
    b.write(|draft| draft.append_body(NODE, "typed\n"));
    erase(a, secret, 0);
    meet(a, b, hub);
}

#[test]
fn undoing_a_settling_brings_back_the_text_that_was_shown_and_the_copy() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    copy_beside_nothing(&mut a, &mut b, &mut hub);
    a.write(|draft| draft.append_body(NODE, "later\n"));
    assert_eq!((a.text(NODE), a.copies(NODE)), ("later\n".into(), vec!["typed\n".into()]));
    let settling = a.op(|draft| draft.settle_body(NODE, "typed\n"));
    assert_eq!((a.text(NODE), a.is_conflicted(NODE)), ("typed\n".into(), false));
    a.undo(&settling);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.text(NODE), b.copies(NODE)), ("later\n".into(), vec!["typed\n".into()]));
}

/// A settled conflict of two imports, with the text of it and the op that settled it.
fn settled_imports(a: &mut Device, b: &mut Device, hub: &mut Device, settled: &str) -> Vec<OpRef> {
    a.write(|draft| draft.import_body("vault", b"note.md", NODE, "line one\n").map(drop));
    b.write(|draft| draft.import_body("vault", b"note.md", NODE, "line two\n").map(drop));
    meet(a, b, hub);
    assert!(a.is_conflicted(NODE));
    let (_, ops) = a.try_write(|draft| draft.settle_body(NODE, settled)).unwrap();
    assert_eq!((a.text(NODE), a.is_conflicted(NODE)), (settled.to_owned(), false));
    ops
}

/// Both imports can be read, one of them shown.
fn shows_both_imports(device: &Device) -> bool {
    let mut texts = device.copies(NODE);
    texts.push(device.text(NODE));
    ["line one\n", "line two\n"].iter().all(|text| texts.contains(&(*text).to_owned()))
}

#[test]
fn redoing_a_settling_brings_its_text_back() {
    let long = "a text that no single op holds\n".repeat(20_000);
    for settled in ["line two\n", "line one\nline two\n", &long] {
        let (_world, mut a, mut b, mut hub) = two_and_a_hub();
        let settling = settled_imports(&mut a, &mut b, &mut hub, settled);
        let (_, undo) = a.try_write(|draft| draft.undo(&settling[0])).unwrap();
        assert!(a.is_conflicted(NODE) && shows_both_imports(&a));
        a.undo(&undo[0]);
        meet(&mut a, &mut b, &mut hub);
        assert_eq!((b.text(NODE), b.is_conflicted(NODE)), (settled.to_owned(), false));
        let (_, _, redo) = a.look(|view| view.op(&settling[0])).unwrap();
        assert!(!a.look(|view| view.is_undone(&redo)), "it can be undone again");
        // Now from the other end: the settling by its name, and what had undone it by its.
        a.try_write(|draft| draft.undo(&settling[0])).unwrap();
        assert!(a.is_conflicted(NODE) && shows_both_imports(&a));
        a.undo(&undo[0]);
        assert_eq!((a.text(NODE), a.is_conflicted(NODE)), (settled.to_owned(), false));
    }
}

/// Both devices do it, unaware of each other, and meet.
fn apart<T>(a: &mut Device, b: &mut Device, hub: &mut Device, mut act: impl FnMut(&mut Device, usize) -> T) -> (T, T) {
    let done = (act(a, 0), act(b, 1));
    meet(a, b, hub);
    done
}

#[test]
fn what_one_device_undid_and_another_redid_meanwhile_is_undone_whole() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let change = changed_text_and_title(&mut a);
    meet(&mut a, &mut b, &mut hub);
    let undo = b.undo_op(&change);
    b.undo(&undo);
    let undo = a.undo_op(&change);
    meet(&mut a, &mut b, &mut hub);
    a.undo(&undo);
    assert_eq!(a.text(NODE), "kept\nmilk\n");
    a.undo(&change);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(text_and_title(&b), ("kept\ngone\n".to_owned(), "first".to_owned()));
}

#[test]
fn what_counts_as_undone_and_stands_as_a_redo_can_be_undone() {
    for later in [0, 1] {
        let (_world, a, b, mut hub) = two_and_a_hub();
        let mut devices = [a, b];
        let change = changed_text_and_title(&mut devices[0]);
        let [a, b] = &mut devices;
        meet(a, b, &mut hub);
        let undo = devices[1 - later].undo_op(&change);
        devices[1 - later].undo(&undo);
        devices[later].undo(&change);
        let [a, b] = &mut devices;
        meet(a, b, &mut hub);
        a.undo(&change);
        assert_eq!(a.text(NODE), "kept\ngone\n");
    }
}

#[test]
fn what_two_devices_undid_and_redid_apart_is_there_once_and_undone_at_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let change = changed_text_and_title(&mut a);
    meet(&mut a, &mut b, &mut hub);
    let undos = apart(&mut a, &mut b, &mut hub, |device, _| device.undo_op(&change));
    let undos = [undos.0, undos.1];
    apart(&mut a, &mut b, &mut hub, |device, number| device.undo(&undos[number]));
    assert_eq!(text_and_title(&a), ("kept\nmilk\n".to_owned(), "second".to_owned()));
    apart(&mut a, &mut b, &mut hub, |device, _| device.undo(&change));
    assert_eq!(text_and_title(&a), ("kept\ngone\n".to_owned(), "first".to_owned()));
    assert!(a.undo(&change).already);
}

#[test]
fn two_devices_that_redo_and_undo_the_same_apart_do_it_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let change = changed_text_and_title(&mut a);
    let undo = a.undo_op(&change);
    meet(&mut a, &mut b, &mut hub);
    apart(&mut a, &mut b, &mut hub, |device, _| {
        device.undo(&undo);
        device.undo(&change)
    });
    assert_eq!(text_and_title(&a), ("kept\ngone\n".to_owned(), "first".to_owned()));
}

#[test]
fn what_a_redo_could_not_bring_back_is_undone_as_what_it_was() {
    let (_world, mut a, ..) = two_and_a_hub();
    let change = changed_text_and_title(&mut a);
    let third = a.set(NODE, "title", "third");
    let cut = a.op(|draft| draft.save_body(NODE, "kept\n\n", None).map(drop));
    let undo = a.undo_op(&change);
    assert_eq!(text_and_title(&a), ("kept\ngone\n".to_owned(), "third".to_owned()));
    a.undo(&undo);
    a.undo(&cut);
    a.undo(&third);
    assert_eq!(text_and_title(&a), ("kept\nmilk\n".to_owned(), "second".to_owned()));
    a.undo(&change);
    assert_eq!(text_and_title(&a), ("kept\ngone\n".to_owned(), "first".to_owned()));
}

#[test]
fn a_node_that_a_redo_could_not_bring_back_goes_with_the_others() {
    let (_world, mut a, ..) = two_and_a_hub();
    let made = a.op(|draft| {
        draft.set(NODE, &field("kind"), Value::text("doc"))?;
        draft.set(OTHER, &field("kind"), Value::text("doc"))
    });
    let gone = a.op(|draft| draft.delete(OTHER));
    let undo = a.undo_op(&made);
    a.undo(&undo);
    a.undo(&gone);
    assert!(!a.is_hidden(NODE) && !a.is_hidden(OTHER));
    let report = a.undo(&made);
    assert!(a.is_hidden(NODE) && a.is_hidden(OTHER), "{report:?}");
}

#[test]
fn an_action_of_which_a_part_was_undone_and_redone_elsewhere_is_undone_whole() {
    for first in [true, false] {
        let (_world, mut a, mut b, mut hub) = two_and_a_hub();
        for node in [NODE, OTHER] {
            a.write(|draft| draft.save_body(node, "kept\ngone\n", None).map(drop));
        }
        let group = a.write(|draft| Ok(draft.fresh_group()));
        let save = |device: &mut Device, node| {
            device.op(|draft| {
                draft.join(group);
                draft.save_body(node, "kept\nmilk\n", None).map(drop)
            })
        };
        // Of the action's two commits the other device has the first only.
        let one = save(&mut a, NODE);
        meet(&mut a, &mut b, &mut hub);
        let two = save(&mut a, OTHER);
        let undo = b.undo_op(&one);
        b.undo(&undo);
        meet(&mut a, &mut b, &mut hub);
        a.undo(if first { &one } else { &two });
        let texts = [NODE, OTHER].map(|node| a.text(node));
        assert_eq!(texts, ["kept\ngone\n"; 2], "{first}");
    }
}

/// Undoes one after the other of two ops that made the same text the shown one.
fn undo_both(a: &mut Device, b: &mut Device, hub: &mut Device, (one, two): (OpRef, OpRef), text: &str) {
    let kept = a.undo(&one);
    assert!(kept.items.iter().all(|item| item.kept.is_some()), "{kept:?}");
    meet(a, b, hub);
    assert_eq!((b.text(NODE), b.is_conflicted(NODE)), (text.to_owned(), false), "the other one stands");
    b.undo(&two);
    meet(a, b, hub);
}

#[test]
fn a_conflict_that_two_devices_settled_alike_is_open_again_when_both_are_undone() {
    for settled in ["line two\n", "line one\nline two\n"] {
        let (_world, mut a, mut b, mut hub) = two_and_a_hub();
        a.write(|draft| draft.import_body("vault", b"note.md", NODE, "line one\n").map(drop));
        b.write(|draft| draft.import_body("vault", b"note.md", NODE, "line two\n").map(drop));
        meet(&mut a, &mut b, &mut hub);
        let ops = [&mut a, &mut b].map(|device| device.op(|draft| draft.settle_body(NODE, settled)));
        meet(&mut a, &mut b, &mut hub);
        undo_both(&mut a, &mut b, &mut hub, (ops[0], ops[1]), settled);
        assert!(a.is_conflicted(NODE) && shows_both_imports(&a), "{:?} {:?}", a.text(NODE), a.copies(NODE));
    }
}

#[test]
fn a_text_beside_nothing_that_two_devices_settled_alike_is_kept_for_as_long_as_one_settling_stands() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    copy_beside_nothing(&mut a, &mut b, &mut hub);
    a.write(|draft| draft.append_body(NODE, "later\n"));
    meet(&mut a, &mut b, &mut hub);
    let ops = [&mut a, &mut b].map(|device| device.op(|draft| draft.settle_body(NODE, "typed\n")));
    meet(&mut a, &mut b, &mut hub);
    undo_both(&mut a, &mut b, &mut hub, (ops[0], ops[1]), "typed\n");
    assert_eq!((a.text(NODE), a.copies(NODE)), ("later\n".into(), vec!["typed\n".into()]));
}

#[test]
fn a_second_version_that_two_devices_imported_is_taken_back_when_both_imports_are_undone() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let import = |device: &mut Device, text: &str| {
        device.op(|draft| draft.import_body("vault", b"note.md", NODE, text).map(drop))
    };
    let both = [&mut a, &mut b].map(|device| import(device, "kept\nfirst\n"));
    assert_ne!(both[0], both[1]);
    meet(&mut a, &mut b, &mut hub);
    let again = [&mut a, &mut b].map(|device| import(device, "kept\nsecond\n"));
    meet(&mut a, &mut b, &mut hub);
    undo_both(&mut a, &mut b, &mut hub, (again[0], again[1]), "kept\nsecond\n");
    assert_eq!((a.text(NODE), a.is_conflicted(NODE)), ("kept\nfirst\n".into(), false));
}

#[test]
fn what_two_devices_deleted_or_undid_alike_comes_back_once_whoever_of_them_is_first() {
    for first in [0, 1] {
        let (_world, a, b, mut hub) = two_and_a_hub();
        let mut devices = [a, b];
        devices[0].save(NODE, "keep\ngone\n");
        let [a, b] = &mut devices;
        meet(a, b, &mut hub);
        let cuts =
            apart(a, b, &mut hub, |device, _| device.op(|draft| draft.save_body(NODE, "keep\n", None).map(drop)));
        let cuts = [cuts.0, cuts.1];
        for number in [first, 1 - first] {
            devices[number].undo(&cuts[number]);
            let [a, b] = &mut devices;
            meet(a, b, &mut hub);
            for device in [&*a, &*b] {
                assert_eq!((device.text(NODE), device.is_conflicted(NODE)), ("keep\ngone\n".into(), false));
            }
        }
        let typed = devices[0].op(|draft| draft.append_body(NODE, "milk\n").map(drop));
        let [a, b] = &mut devices;
        meet(a, b, &mut hub);
        let undos = apart(a, b, &mut hub, |device, _| device.undo_op(&typed));
        let undos = [undos.0, undos.1];
        for number in [first, 1 - first] {
            devices[number].undo(&undos[number]);
            let [a, b] = &mut devices;
            meet(a, b, &mut hub);
            for device in [&*a, &*b] {
                assert_eq!((device.text(NODE), device.is_conflicted(NODE)), ("keep\ngone\nmilk\n".into(), false));
                assert!(device.verify().problems.is_empty());
            }
        }
    }
}

#[test]
fn an_import_of_the_text_that_a_settling_chose_is_no_other_settling() {
    let (world, a, b, hub) = two_and_a_hub();
    let mut all = [hub, a, b, world.device("c")];
    for (number, text) in [(1, "line one\n"), (2, "line two\n"), (3, "line one\n")] {
        all[number].write(|draft| draft.import_body("vault", b"note.md", NODE, text).map(drop));
    }
    sync_all(&mut all[..3]);
    let settling = all[2].op(|draft| draft.settle_body(NODE, "line one\n"));
    sync_all(&mut all);
    all[2].undo(&settling);
    assert!(all[2].is_conflicted(NODE) && shows_both_imports(&all[2]));
}

#[test]
fn an_undo_that_two_devices_wrote_is_undone_as_one() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.write(|draft| draft.save_body(NODE, "kept\ntaken\n", None).map(drop));
    let edit = a.op(|draft| draft.save_body(NODE, "kept\n", None).map(drop));
    meet(&mut a, &mut b, &mut hub);
    let undos = [&mut a, &mut b].map(|device| device.undo_op(&edit));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(a.text(NODE), "kept\ntaken\n");
    let redo = b.undo_op(&undos[0]);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(a.text(NODE), "kept\n");
    a.undo(&redo);
    assert_eq!(a.text(NODE), "kept\ntaken\n");
}

#[test]
fn a_settling_whose_text_was_erased_is_not_redone() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let settling = settled_imports(&mut a, &mut b, &mut hub, "settled\n")[0];
    let (_, undo) = a.try_write(|draft| draft.undo(&settling)).unwrap();
    erase(&mut a, settling, 1);
    let redone = a.undo(&undo[0]);
    meet(&mut a, &mut b, &mut hub);
    assert!(b.is_conflicted(NODE) && shows_both_imports(&b), "an empty text would have taken their place");
    assert!(redone.items.iter().filter(|item| item.node == Some(NODE)).all(|item| item.kept.is_some()));
}

#[test]
fn what_was_undone_and_redone_is_not_taken_for_what_was_there_first() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.write(|draft| draft.import_body("vault", b"note.md", NODE, "line one\n").map(drop));
    meet(&mut a, &mut b, &mut hub);
    let import = b.op(|draft| draft.import_body("vault", b"note.md", NODE, "line two\n").map(drop));
    let undo = b.undo_op(&import);
    assert_eq!((b.text(NODE), b.is_conflicted(NODE)), ("line one\n".into(), false));
    b.undo(&undo);
    assert!(b.is_conflicted(NODE) && shows_both_imports(&b));
    assert!(b.undo(&import).ops.contains(&import));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.text(NODE), a.is_conflicted(NODE)), ("line one\n".into(), false));
}

/// A text and a title, both changed by one op.
fn changed_text_and_title(a: &mut Device) -> OpRef {
    a.write(|draft| draft.save_body(NODE, "kept\ngone\n", None).map(drop));
    a.set(NODE, "title", "first");
    a.op(|draft| {
        draft.set(NODE, &Field::new("title").unwrap(), Value::text("second"))?;
        draft.save_body(NODE, "kept\nmilk\n", None).map(drop)
    })
}

fn text_and_title(device: &Device) -> (String, String) {
    assert!(!device.is_conflicted(NODE));
    (device.text(NODE), device.title(NODE))
}

#[test]
fn what_was_undone_and_redone_any_number_of_times_is_undone_and_redone_again_from_either_end() {
    let before = ("kept\ngone\n".to_owned(), "first".to_owned());
    let after = ("kept\nmilk\n".to_owned(), "second".to_owned());
    // Which of all that were written is undone each time, counted from the change itself.
    for turns in [vec![0, 1, 2, 3, 4, 5], vec![0, 1, 0, 1, 0, 1], vec![0, 1, 2, 1, 0, 1], vec![0, 1, 2, 1, 4, 3, 0]] {
        let (_world, mut a, mut b, mut hub) = two_and_a_hub();
        let mut written = vec![changed_text_and_title(&mut a)];
        for (number, turn) in turns.iter().enumerate() {
            let on = if number.is_multiple_of(2) { &mut a } else { &mut b };
            written.push(on.undo_op(&written[*turn]));
            meet(&mut a, &mut b, &mut hub);
            let expected = if number.is_multiple_of(2) { &before } else { &after };
            assert_eq!((&text_and_title(&a), a.is_conflicted(NODE)), (expected, false), "{turns:?} {number}");
            let (_, _, change) = a.look(|view| view.op(&written[0])).unwrap();
            assert_eq!(a.look(|view| view.is_undone(&change)), number.is_multiple_of(2), "{turns:?} {number}");
        }
    }
}

#[test]
fn a_redo_that_brought_nothing_back_is_not_undone_in_place_of_its_op() {
    let (_world, mut a, ..) = two_and_a_hub();
    a.set(NODE, "title", "first");
    let change = a.set(NODE, "title", "second");
    let undo = a.undo_op(&change);
    a.set(NODE, "title", "third");
    let redone = a.undo(&undo);
    assert!(redone.items.iter().all(|item| item.kept.is_some()), "{redone:?}");
    let again = a.undo(&change);
    assert!(!again.items.is_empty() && again.items.iter().all(|item| item.kept.is_some()), "{again:?}");
    assert_eq!(a.values(NODE, "title"), [Value::text("third")]);
}

#[test]
fn undoing_a_settling_keeps_what_only_its_author_had_seen() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    copy_beside_nothing(&mut a, &mut b, &mut hub);
    b.write(|draft| draft.settle_body(NODE, "settled by b\n"));
    a.write(|draft| draft.append_body(NODE, "only a has seen this\n"));
    let settling = a.op(|draft| draft.settle_body(NODE, "settled by a\n"));
    meet(&mut a, &mut b, &mut hub);
    a.undo(&settling);
    meet(&mut a, &mut b, &mut hub);
    let mut texts = b.copies(NODE);
    texts.push(b.text(NODE));
    assert!(texts.iter().any(|text| text.contains("only a has seen this")), "{texts:?}");
    assert!(texts.iter().any(|text| text.contains("settled by b")), "{texts:?}");
}

#[test]
fn what_supersedes_an_erased_set_supersedes_what_that_one_named() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "A");
    let middle = a.set(NODE, "title", "B");
    a.set(NODE, "title", "C");
    erase(&mut a, middle, 0);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.values(NODE, "title"), [Value::text("C")]);
}

#[test]
fn an_erased_head_shows_what_it_had_replaced() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "A");
    let head = a.set(NODE, "title", "B");
    meet(&mut a, &mut b, &mut hub);
    erase(&mut b, head, 0);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(hub.values(NODE, "title"), [Value::text("A")]);
}

#[test]
fn what_supersedes_a_held_set_supersedes_what_that_one_named_in_any_order() {
    let world = World::new();
    let (mut first_writer, mut newer, mut last_writer) = (Alien::new(1), Alien::new(2), Alien::new(3));
    let (a, op_a) = first_writer.say(T, &[set_change("title", vec![], "A")]);
    let mut held = newer.raw(&[set_change("title", vec![op_a], "B")]);
    held.push(RawChange::new(77, NODE.as_bytes().to_vec(), b"from the future".to_vec()));
    let (b, op_b) = newer.write(T, held);
    let (c, _) = last_writer.say(T, &[set_change("title", vec![op_b], "C")]);
    let orders = [[&a, &b, &c], [&c, &b, &a], [&b, &c, &a], [&c, &a, &b]];
    let devices: Vec<Device> = orders
        .iter()
        .enumerate()
        .map(|(n, order)| {
            let mut device = world.device(&format!("d{n}"));
            for stretch in order {
                device.ingest(std::slice::from_ref(*stretch)).unwrap();
            }
            assert_eq!(device.values(NODE, "title"), [Value::text("C")], "order {n}");
            device
        })
        .collect();
    assert_in_step(&devices.iter().collect::<Vec<_>>());
}

#[test]
fn a_held_set_of_one_register_twice_passes_on_all_that_it_names() {
    let world = World::new();
    let mut device = world.device("a");
    let (one, op_one) = Alien::new(1).say(T, &[set_change("title", vec![], "one")]);
    let (two, op_two) = Alien::new(2).say(T, &[set_change("title", vec![], "two")]);
    let twice = [set_change("title", vec![op_one], "x"), set_change("title", vec![op_two], "y")];
    let (held, op_held) = Alien::new(3).say(T, &twice);
    let (last, _) = Alien::new(4).say(T, &[set_change("title", vec![op_held], "last")]);
    device.ingest(&[one, two, held, last]).unwrap();
    assert_eq!(device.summary().held, 1);
    assert_eq!(device.values(NODE, "title"), [Value::text("last")]);
}

// ------------------------------------------------------------------------------------------------------- held, erased

#[test]
fn an_op_with_one_unknown_change_shows_nothing_of_the_others() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    let mut newer = Alien::new(1);
    let mut changes = newer.raw(&[set_change("title", vec![], "half an action")]);
    changes.push(RawChange::new(99, vec![1, 2, 3], vec![4]));
    let (stretch, op) = newer.write(T, changes);
    a.ingest(std::slice::from_ref(&stretch)).unwrap();
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.title(NODE), "");
    let (held, why) = b.look(|view| view.held()).remove(0);
    assert_eq!((held, why.as_str()), (op, "change 1 is of kind 99, which this version does not know"));
    let mut far = world.device("far");
    sync(&mut far, &mut b);
    assert_eq!(far.stretches_after(0), [stretch], "it is relayed byte for byte");
    assert!(matches!(b.try_write(|draft| draft.delete(NODE)), Err(Error::HeldNode(_))));
}

#[test]
fn an_op_whose_unreadable_value_is_erased_is_held_nowhere() {
    let world = World::new();
    let mut newer = Alien::new(1);
    let mut changes = newer.raw(&[set_change("title", vec![], "readable"), set_change("state", vec![], "")]);
    changes[1].value = Slot::Here(vec![0xee]);
    let (op, reference) = newer.write(T, changes);
    let (erased, _) = Alien::new(2).say(T, &[Change::Erase { targets: vec![value(reference, 1)] }]);
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.ingest(std::slice::from_ref(&op)).unwrap();
    assert_eq!((a.title(NODE), a.summary().held), (String::new(), 1));
    a.ingest(std::slice::from_ref(&erased)).unwrap();
    b.ingest(&[erased]).unwrap();
    b.ingest(&[op]).unwrap();
    assert_eq!((a.title(NODE), a.summary().held), ("readable".into(), 0));
    assert_in_step(&[&a, &b]);
}

#[test]
fn erasing_one_value_of_an_op_leaves_its_other_values() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let (_, ops) = a
        .try_write(|draft| {
            draft.set(NODE, &field("title"), Value::text("a pasted secret"))?;
            draft.set(NODE, &field("state"), Value::text("outstanding"))
        })
        .unwrap();
    meet(&mut a, &mut b, &mut hub);
    erase(&mut b, ops[0], 0);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.title(NODE), a.text_field(NODE, "state")), (String::new(), "outstanding".into()));
    a.replica();
    for device in [&a, &b, &hub] {
        device.look(|view| {
            let (_, op, _) = view.op(&ops[0])?.unwrap();
            assert!(op.changes[0].value.here().is_none() && op.changes[1].value.here().is_some());
            Ok(())
        });
    }
}

#[test]
fn a_value_that_an_undo_repeats_is_erased_with_it() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let secret = a.set(NODE, "title", "secret");
    let harmless = a.set(NODE, "title", "harmless");
    meet(&mut a, &mut b, &mut hub);
    erase(&mut a, secret, 0);
    b.undo(&harmless);
    assert_eq!(b.title(NODE), "secret");
    meet(&mut a, &mut b, &mut hub);
    for device in [&a, &b, &hub] {
        assert_eq!(device.values(NODE, "title"), [Value::text("harmless")], "the secret is back nowhere");
        assert!(!device.stretches_after(0).iter().any(|stretch| format!("{stretch:?}").contains("115, 101, 99, 114")));
    }
}

#[test]
fn an_emptied_op_that_arrives_before_its_erase_waits_for_it() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    let (_, ops) = a
        .try_write(|draft| {
            draft.set(NODE, &field("title"), Value::text("secret"))?;
            draft.set(NODE, &field("state"), Value::text("done"))
        })
        .unwrap();
    erase(&mut a, ops[0], 0);
    let stretches = a.stretches_after(0);
    let mut late = world.device("late");
    late.ingest(&stretches[..1]).unwrap();
    assert_eq!(late.summary().missing, 1, "until the erase is here the value is asked for");
    assert_eq!(late.look(|view| view.missing(10)), ops);
    late.ingest(&stretches[1..]).unwrap();
    assert_eq!((late.summary().missing, late.text_field(NODE, "state")), (0, "done".into()));
    meet(&mut a, &mut b, &mut hub);
    assert_in_step(&[&a, &late]);
}

#[test]
fn a_withheld_value_is_asked_for_and_supplied_later() {
    let world = World::new();
    let (mut a, mut late) = (world.device("a"), world.device("late"));
    a.write(|draft| {
        draft.set(NODE, &field("title"), Value::text("title"))?;
        draft.save_body(NODE, "text\n", None)
    });
    let whole = a.stretches_after(0);
    let mut stripped = whole.clone();
    assert!(stripped[0].entries[0].op.erase(0) && stripped[0].entries[0].op.erase(1));
    late.ingest(&stripped).unwrap();
    assert_eq!(late.vector(), a.vector());
    assert_eq!(late.summary().missing, 1, "equal vectors, and not in sync");
    let asked = late.look(|view| view.missing(10));
    let answer = a.look(|view| view.stretches_of(&asked));
    late.ingest(&page::decode(&answer).unwrap()).unwrap();
    assert_eq!((late.title(NODE), late.text(NODE)), ("title".into(), "text\n".into()));
    assert_in_step(&[&a, &late]);
}

#[test]
fn a_supplied_value_that_turns_out_unreadable_leaves_no_trace_of_its_op() {
    let world = World::new();
    let mut newer = Alien::new(1);
    let mut changes = newer.raw(&[set_change("title", vec![], "half"), set_change("state", vec![], "")]);
    changes[1].value = Slot::Here(vec![0xee]);
    let (whole, _) = newer.write(T, changes);
    let mut stripped = whole.clone();
    stripped.entries[0].op.erase(1);
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.ingest(std::slice::from_ref(&whole)).unwrap();
    b.ingest(&[stripped]).unwrap();
    b.ingest(&[whole]).unwrap();
    assert_in_step(&[&a, &b]);
    assert_eq!((b.node(NODE).state.latest.len(), b.summary().held, b.summary().missing), (0, 1, 0));
}

#[test]
fn a_supplier_that_lost_another_value_for_a_reason_does_not_take_ours() {
    let world = World::new();
    let (mut a, mut late) = (world.device("a"), world.device("late"));
    let (_, ops) = a
        .try_write(|draft| {
            draft.set(NODE, &field("title"), Value::text("title"))?;
            draft.set(NODE, &field("state"), Value::text("secret"))
        })
        .unwrap();
    let mut stripped = a.stretches_after(0);
    stripped[0].entries[0].op.erase(0);
    erase(&mut a, ops[0], 1);
    late.ingest(&stripped).unwrap();
    let relayed = a.stretches_after(0);
    late.ingest(&relayed[..1]).unwrap();
    assert_eq!(late.summary().missing, 1, "both values together would need the op's own salt");
    late.ingest(&relayed[1..]).unwrap();
    late.ingest(&relayed[..1]).unwrap();
    assert_eq!((late.title(NODE), late.summary().missing), ("title".into(), 0));
    assert_in_step(&[&a, &late]);
}

#[test]
fn an_op_that_erases_what_it_lost_itself_waits_for_nobody() {
    let world = World::new();
    let (mut a, mut late) = (world.device("a"), world.device("late"));
    let (first, secret) = Alien::new(1).say(T, &[set_change("title", vec![], "secret")]);
    let again = Change::Set {
        node: NODE,
        field: field("title"),
        bases: vec![secret],
        seen: vec![],
        repeats: vec![value(secret, 0)],
        value: Some(Value::text("secret")),
    };
    let (second, _) = Alien::new(2).say(T, &[again, Change::Erase { targets: vec![value(secret, 0)] }]);
    a.ingest(&[first, second]).unwrap();
    late.ingest(&a.stretches_after(0)).unwrap();
    assert_eq!((late.summary().missing, late.summary().held), (0, 0));
    assert_in_step(&[&a, &late]);
}

// --------------------------------------------------------------------------------------------------- deleted, owned

#[test]
fn undeleting_shows_all_that_was_there() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Garden");
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert!(b.is_hidden(NODE));
    b.write(|draft| draft.undelete(NODE));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE), a.title(NODE)), (false, false, "Garden".into()));
}

#[test]
fn two_deletes_of_one_node_do_not_cross() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Garden");
    meet(&mut a, &mut b, &mut hub);
    a.delete(NODE);
    b.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE)), (true, false));
}

#[test]
fn delete_undelete_edit_and_delete_again_on_two_devices() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Garden");
    meet(&mut a, &mut b, &mut hub);
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    b.write(|draft| draft.undelete(NODE));
    b.set(NODE, "title", "Gardens");
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE)), (false, false), "an edit after an undelete is no conflict");
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert!(b.is_hidden(NODE));
}

#[test]
fn an_edit_that_the_deleting_person_had_not_seen_keeps_the_node_in_sight() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Garden");
    meet(&mut a, &mut b, &mut hub);
    a.delete(NODE);
    b.set(NODE, "title", "Gardens");
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE), a.title(NODE)), (false, true, "Gardens".into()));
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.is_hidden(NODE), b.is_conflicted(NODE)), (true, false), "deleting again settles it");
}

#[test]
fn a_delete_and_a_set_in_one_op_do_not_cross() {
    let world = World::new();
    let mut a = world.device("a");
    a.set(NODE, "title", "Garden");
    a.write(|draft| {
        draft.set(NODE, &field("state"), Value::text("dropped"))?;
        draft.delete(NODE)
    });
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE)), (true, false));
}

fn log_entry(device: &mut Device, on: NodeId, entry: NodeId) {
    device.write(|draft| {
        draft.set(entry, &field("kind"), Value::text("entry"))?;
        draft.set(entry, &field("of"), Value::Node(on))?;
        draft.append_body(entry, "call the dentist")
    });
}

#[test]
fn a_log_entry_on_a_task_that_was_deleted_elsewhere_keeps_both_in_sight() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Teeth");
    meet(&mut a, &mut b, &mut hub);
    a.delete(NODE);
    log_entry(&mut b, NODE, OTHER);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_hidden(OTHER), a.is_conflicted(NODE)), (false, false, true));
    assert_eq!(a.text(OTHER), "call the dentist");
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.is_hidden(NODE), b.is_hidden(OTHER)), (true, true), "now it was seen");
}

#[test]
fn a_log_entry_can_be_removed_alone() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Teeth");
    log_entry(&mut a, NODE, OTHER);
    a.delete(OTHER);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.is_hidden(NODE), b.is_hidden(OTHER)), (false, true));
}

#[test]
fn owners_set_both_ways_on_two_devices_hide_neither_node() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.write(|draft| draft.set(NODE, &field("of"), Value::Node(OTHER)));
    b.write(|draft| draft.set(OTHER, &field("of"), Value::Node(NODE)));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_hidden(OTHER)), (false, false));
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.is_hidden(NODE), b.is_hidden(OTHER)), (true, false), "a node that is owned owns nothing");
}

#[test]
fn a_delete_that_comes_before_an_op_it_has_seen_on_a_node_that_moved_hides_what_it_should() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    let (mut writer, mut mover, mut deleter) = (Alien::new(1), Alien::new(2), Alien::new(3));
    let of = |owner: Value, bases: Vec<OpRef>| Change::Set {
        node: OTHER,
        field: field("of"),
        bases,
        seen: vec![],
        repeats: vec![],
        value: Some(owner),
    };
    let (owned, op_owned) = writer.say(T, &[of(Value::Node(NODE), vec![])]);
    let titled = Change::Set {
        node: OTHER,
        field: field("title"),
        bases: vec![],
        seen: vec![],
        repeats: vec![],
        value: Some(Value::text("entry")),
    };
    let (edited, op_edited) = writer.say(T, &[titled]);
    let (moved, op_moved) = mover.say(T, &[of(Value::Node(NODE), vec![op_owned])]);
    let seen = vec![op_edited, op_moved];
    let (deleted, _) = deleter.say(T, &[Change::Delete { node: NODE, bases: vec![], seen }]);
    for stretch in [&owned, &edited, &moved, &deleted] {
        a.ingest(std::slice::from_ref(stretch)).unwrap();
    }
    for stretch in [&deleted, &moved, &owned, &edited] {
        b.ingest(std::slice::from_ref(stretch)).unwrap();
    }
    assert_in_step(&[&a, &b]);
    assert!(a.is_hidden(NODE) && a.is_hidden(OTHER));
}

#[test]
fn an_unseen_entry_that_moves_away_leaves_its_owner_deleted() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Teeth");
    meet(&mut a, &mut b, &mut hub);
    a.delete(NODE);
    log_entry(&mut b, NODE, OTHER);
    meet(&mut a, &mut b, &mut hub);
    assert!(a.is_conflicted(NODE));
    b.write(|draft| draft.set(OTHER, &field("of"), Value::Null));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_hidden(OTHER)), (true, false));
}

#[test]
fn a_hidden_node_is_not_written_to() {
    let world = World::new();
    let mut a = world.device("a");
    let titled = a.set(NODE, "title", "Garden");
    let retitled = a.set(NODE, "title", "Gardens");
    a.delete(NODE);
    assert!(matches!(a.try_write(|draft| draft.set(NODE, &field("title"), Value::text("x"))), Err(Error::Hidden(_))));
    assert!(matches!(a.try_write(|draft| draft.delete(NODE)), Err(Error::Hidden(_))));
    assert_eq!(a.undo(&retitled).items[0].kept.as_deref(), Some("it is deleted"));
    assert!(a.is_hidden(NODE));
    assert!(a.look(|view| view.op(&titled)).is_some());
}

// -------------------------------------------------------------------------------------------------------------- undo

#[test]
fn undo_leaves_a_later_value_alone_and_makes_no_conflict_of_it() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let first = a.set(NODE, "title", "one");
    let op = a.set(NODE, "title", "two");
    meet(&mut a, &mut b, &mut hub);
    b.set(NODE, "title", "three");
    meet(&mut a, &mut b, &mut hub);
    let undone = a.undo(&op);
    assert_eq!(undone.items[0].kept.as_deref(), Some("it was changed since"));
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.values(NODE, "title"), a.is_conflicted(NODE)), (vec![Value::text("three")], false));
    assert!(a.look(|view| view.rank(&first)).is_some());
}

#[test]
fn an_action_undone_on_two_devices_is_undone_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "one");
    let op = a.set(NODE, "title", "two");
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    b.undo(&op);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.title(NODE), a.is_conflicted(NODE)), ("one".into(), false));
    assert!(a.undo(&op).already, "a second undo is nothing");
}

#[test]
fn one_deletion_of_text_undone_on_two_devices_puts_it_back_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "keep\nremoved\nkeep too\n");
    let op = a.op(|draft| draft.save_body(NODE, "keep\nkeep too\n", None).map(drop));
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    b.undo(&op);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.text(NODE), "keep\nremoved\nkeep too\n");
}

#[test]
fn one_deletion_of_a_node_undone_on_two_devices_leaves_it_simply_alive() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "Garden");
    let op = a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    b.undo(&op);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.is_hidden(NODE), a.is_conflicted(NODE)), (false, false));
}

#[test]
fn undoing_a_settlement_puts_every_head_back() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "from a");
    b.set(NODE, "title", "from b");
    meet(&mut a, &mut b, &mut hub);
    let before = a.values(NODE, "title");
    let op = a.op(|draft| draft.settle(NODE, &field("title"), Value::text("settled"), None));
    meet(&mut a, &mut b, &mut hub);
    let (_, undo) = b.try_write(|draft| draft.undo(&op)).unwrap();
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.values(NODE, "title"), a.is_conflicted(NODE)), (before, true));
    a.undo(&undo[0]);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.values(NODE, "title"), [Value::text("settled")], "undoing the undo settles it again");
}

#[test]
fn undoing_one_of_two_equal_values_makes_no_conflict_out_of_nothing() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "before");
    meet(&mut a, &mut b, &mut hub);
    let op = a.set(NODE, "title", "after");
    b.set(NODE, "title", "after");
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((a.values(NODE, "title"), a.is_conflicted(NODE)), (vec![Value::text("before")], false));
}

#[test]
fn a_node_whose_making_is_undone_goes_unless_someone_wrote_to_it() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let make = |device: &mut Device, node| {
        device.op(|draft| {
            draft.set(node, &field("kind"), Value::text("task"))?;
            draft.set(node, &field("title"), Value::text("made"))
        })
    };
    let (one, two) = (make(&mut a, NODE), make(&mut a, OTHER));
    meet(&mut a, &mut b, &mut hub);
    b.set(OTHER, "title", "mine now");
    a.undo(&one);
    a.undo(&two);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.is_hidden(NODE), b.is_hidden(OTHER), b.is_conflicted(OTHER)), (true, false, true));
}

#[test]
fn two_changes_of_a_register_are_undone_one_after_the_other_and_come_back_one_after_the_other() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "one");
    let (two, three) = (a.set(NODE, "title", "two"), a.set(NODE, "title", "three"));
    meet(&mut a, &mut b, &mut hub);
    let last = b.undo_op(&three);
    let first = b.undo_op(&two);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(a.values(NODE, "title"), [Value::text("one")]);
    a.undo(&first);
    a.undo(&last);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((b.values(NODE, "title"), b.is_conflicted(NODE)), (vec![Value::text("three")], false));
}

#[test]
fn an_action_of_several_commits_is_undone_whole_and_leaves_what_was_written_between() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let group = a.write(|draft| Ok(draft.fresh_group()));
    let node = |number: u16| NodeId::from_bytes(std::array::from_fn(|at| number.to_be_bytes()[at % 2]));
    let mut parts = Vec::new();
    for number in 0..300 {
        parts.push(a.op(|draft| {
            draft.join(group);
            draft.set(node(number), &field("kind"), Value::text("doc"))
        }));
        a.set(OTHER, "title", number.to_string());
    }
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(b.undo(&parts[7]).ops.len(), 300);
    meet(&mut a, &mut b, &mut hub);
    assert!((0..300).all(|number| a.is_hidden(node(number))));
    assert_eq!(a.title(OTHER), "299");
    assert!(a.undo(&parts[200]).already);
}

#[test]
fn an_undo_of_several_ops_is_no_action_to_be_undone_next() {
    let (_world, mut a, ..) = two_and_a_hub();
    let before = a.set(OTHER, "title", "before");
    let group = a.write(|draft| Ok(draft.fresh_group()));
    for number in 20..220 {
        a.op(|draft| {
            draft.join(group);
            draft.set(NodeId::from_bytes([number; 16]), &field("kind"), Value::text("doc"))
        });
    }
    let newest = a.look(|view| view.newest_undoable()).unwrap();
    a.undo(&newest);
    assert_eq!(a.look(|view| view.newest_undoable()), Some(before));
}

#[test]
fn a_node_is_unmade_where_its_making_was_undone_and_not_where_it_was_deleted() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let make = |device: &mut Device, node| device.op(|draft| draft.set(node, &field("kind"), Value::text("doc")));
    let (one, _) = (make(&mut a, NODE), make(&mut a, OTHER));
    a.undo(&one);
    a.delete(OTHER);
    meet(&mut a, &mut b, &mut hub);
    let unmade = |device: &mut Device, node| device.write(|draft| draft.is_unmade(node));
    assert_eq!((unmade(&mut b, NODE), unmade(&mut b, OTHER)), (true, false));
    b.write(|draft| draft.undelete(NODE));
    assert!(!unmade(&mut b, NODE));
}

// -------------------------------------------------------------------------------------------------------- recurrence

fn weekly(device: &mut Device) {
    device.write(|draft| {
        draft.set(NODE, &field("kind"), Value::text("task"))?;
        draft.set(NODE, &field("do_date"), Value::Date(date(2026, 11, 2)))?;
        draft.set(NODE, &field("recurrence"), Value::text("FREQ=WEEKLY;BYDAY=MO"))
    });
}

fn complete(device: &mut Device, on: i8) -> OpRef {
    device.op(|draft| {
        let occurrence = task_view(&draft.state(NODE)?).occurrence.unwrap();
        draft.set(NODE, &Field::done(occurrence), Value::Date(date(2026, 11, on)))
    })
}

fn current(device: &Device) -> String {
    task_view(&device.node(NODE).state).do_date.unwrap()
}

#[test]
fn two_devices_that_complete_one_occurrence_have_completed_it_once() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    weekly(&mut a);
    meet(&mut a, &mut b, &mut hub);
    complete(&mut a, 2);
    complete(&mut b, 3);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!((current(&a), a.is_conflicted(NODE)), ("2026-11-09".into(), false));
}

#[test]
fn an_occurrence_completed_twice_with_different_dates_and_undone_once_is_not_done() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    weekly(&mut a);
    meet(&mut a, &mut b, &mut hub);
    let op = complete(&mut a, 2);
    complete(&mut b, 3);
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    meet(&mut a, &mut b, &mut hub);
    assert_eq!(current(&b), "2026-11-02");
}

#[test]
fn a_rule_changed_after_many_completions_does_not_go_back() {
    let world = World::new();
    let mut a = world.device("a");
    weekly(&mut a);
    for _ in 0..20 {
        complete(&mut a, 2);
    }
    a.write(|draft| draft.set(NODE, &field("recurrence"), Value::text("FREQ=WEEKLY;BYDAY=TU")));
    assert_eq!(current(&a), "2027-03-16", "the Tuesday after the twentieth Monday");
}

// ------------------------------------------------------------------------------------------------- chains, clones

#[test]
fn both_branches_of_a_cloned_disk_are_kept_and_a_third_replica_agrees() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "shared");
    sync(&mut a, &mut hub);
    a.set(OTHER, "title", "an unsent tail");
    let mut clone = world.copy(&a, "clone");
    a.set(NODE, "title", "the original");
    clone.set(NODE, "title", "the clone");
    sync(&mut hub, &mut clone);
    sync(&mut hub, &mut a);
    sync(&mut hub, &mut clone);
    meet(&mut a, &mut b, &mut hub);
    assert_in_step(&[&b, &clone]);
    assert_eq!(b.values(NODE, "title").len(), 2, "nothing is lost, nothing is there twice");
    assert_eq!(b.summary().head, 4, "the tail that both shared is one op");
    assert_eq!(b.values(OTHER, "title").len(), 1);
}

#[test]
fn a_restored_copy_gets_its_own_ops_back_and_writes_under_a_fresh_origin() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "before the backup");
    let mut restored = world.copy(&a, "restored");
    let origin = a.replica().origin();
    a.set(NODE, "title", "after the backup");
    sync(&mut a, &mut hub);
    sync(&mut hub, &mut restored);
    assert_eq!(restored.title(NODE), "after the backup");
    assert_ne!(restored.replica().origin(), origin);
    restored.set(NODE, "title", "goes on");
    sync(&mut hub, &mut restored);
    let mut others = [hub, b];
    sync_all(&mut others);
    [hub, b] = others;
    assert_in_step(&[&hub, &b, &restored]);
    assert_eq!(b.vector().tips(origin).count(), 1, "the old chain has no branch");
    restored.reopen();
    assert_ne!(restored.replica().origin(), origin, "not even after a restart");
}

#[test]
fn a_position_in_a_log_counts_only_over_the_same_past() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "a");
    b.set(NODE, "title", "b");
    sync(&mut hub, &mut a);
    sync(&mut hub, &mut b);
    let (position, roll) = hub.look(|view| view.end());
    let cursor = Cursor { log_id: hub.replica().log_id(), position, roll };
    assert!(hub.look(|view| view.position_is(&cursor)));
    let other_past = Cursor { roll: a.look(|view| view.end()).1, ..cursor.clone() };
    assert!(!hub.look(|view| view.position_is(&other_past)), "the same op at the same position over another past");
    assert!(!a.look(|view| view.position_is(&cursor)), "another log");
}

#[test]
fn a_page_never_ends_inside_a_stretch() {
    let world = World::new();
    let mut a = world.device("a");
    let group = a.replica().group(|group| {
        for n in 0..5 {
            group.write(|draft| draft.set(NODE, &field("title"), Value::text(format!("{n}")))).unwrap();
        }
    });
    group.unwrap();
    let first = a.look(|view| view.page_after(0, &Coverage::default(), 1)).unwrap();
    assert_eq!(first.ops, 5);
    let mut part = page::decode(&first.bytes).unwrap();
    part[0].entries.pop();
    let mut b = world.device("b");
    assert!(matches!(b.ingest(&part), Err(Error::BadSignature { .. })), "a part of it is not signed");
    assert_eq!(b.summary().head, 0);
}

#[test]
fn ops_that_do_not_follow_or_are_not_signed_are_refused_whole() {
    let world = World::new();
    let mut device = world.device("a");
    let mut alien = Alien::new(1);
    let (first, _) = alien.say(T, &[set_change("title", vec![], "one")]);
    let (second, _) = alien.say(T, &[set_change("title", vec![], "two")]);
    assert!(matches!(device.ingest(std::slice::from_ref(&second)), Err(Error::Gap { .. })));
    let mut forged = second.clone();
    forged.signature = Alien::new(2).key.sign(&forged.entries[0].id);
    assert!(matches!(device.ingest(&[first.clone(), forged]), Err(Error::BadSignature { .. })));
    let mut other_key = first.clone();
    other_key.entries[0].op.key = Some(Alien::new(2).key.public());
    other_key.entries[0].id = other_key.entries[0].op.id();
    assert!(matches!(device.ingest(&[other_key]), Err(Error::WrongKey { .. })));
    assert_eq!((device.summary().head, device.vector().len()), (0, 0), "nothing of them is here");
    device.ingest(&[first, second]).unwrap();
}

#[test]
fn many_origins_are_no_reason_to_refuse() {
    let world = World::new();
    let mut device = world.device("a");
    let stretches: Vec<Stretch> =
        (0..200).map(|n| Alien::new(n).say(T, &[set_change("title", vec![], "same")]).0).collect();
    device.ingest(&stretches).unwrap();
    assert_eq!(device.vector().len(), 200);
    assert!(!device.is_conflicted(NODE));
}

// ------------------------------------------------------------------------------------------------- the file, groups

#[test]
fn the_log_refuses_update_and_delete_but_for_dropped_values() {
    let world = World::new();
    let mut a = world.device("a");
    let op = a.set(NODE, "title", "secret");
    a.set(NODE, "state", "done");
    let db = rusqlite::Connection::open(&a.path).unwrap();
    let tries = [
        "DELETE FROM log WHERE pos = 1",
        "UPDATE log SET packed = x'00'",
        "UPDATE log SET id = zeroblob(32)",
        "UPDATE log SET pos = 9 WHERE pos = 1",
        "UPDATE log SET emptied = emptied - 1",
        "DELETE FROM stretch",
        "UPDATE stretch SET signature = zeroblob(64)",
    ];
    for sql in tries {
        let refused = db.execute(sql, []).unwrap_err().to_string();
        assert_eq!(refused, "the log is append-only", "{sql}");
    }
    drop(db);
    erase(&mut a, op, 0);
    assert_eq!(a.verify().problems, Vec::<String>::new());
}

#[test]
fn what_is_not_ours_is_refused_untouched() {
    let world = World::new();
    let path = |name: &str| world.dir.path().join(name);
    std::fs::write(
        path("text"),
        "a shopping list, longer than the header of a database file would have to be, and so on and on",
    )
    .unwrap();
    rusqlite::Connection::open(path("plain"))
        .unwrap()
        .execute_batch("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
        .unwrap();
    drop(world.device("newer"));
    let db = rusqlite::Connection::open(path("newer.db")).unwrap();
    db.pragma_update(None, "user_version", 99).unwrap();
    db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    drop(db);
    let refused = |name: &str, because: fn(&Error) -> bool| {
        let before = std::fs::read(path(name)).unwrap();
        let error = Replica::open(&path(name), SeededEnv::new(1)).err().unwrap();
        assert!(because(&error), "{error:?}");
        assert_eq!(std::fs::read(path(name)).unwrap(), before, "{name} is what it was");
        error.to_string()
    };
    refused("text", |error| matches!(error, Error::NotADatabase { .. }));
    refused("plain", |error| matches!(error, Error::NotAReplica { .. }));
    let sentence = refused("newer.db", |error| matches!(error, Error::FileTooNew { found: 99, .. }));
    assert!(sentence.contains("upgrade heph on this device"), "{sentence}");
}

#[test]
fn one_failing_draft_does_not_fail_its_neighbours() {
    let world = World::new();
    let mut a = world.device("a");
    let outcomes = a.replica().group(|group| {
        let first = group.write(|draft| draft.set(NODE, &field("title"), Value::text("first")));
        let failing = group.write(|draft| {
            draft.set(NODE, &field("state"), Value::text("never"))?;
            Err::<(), _>(Error::NoNode(NODE))
        });
        let broken_page = group.ingest(&[Alien::new(1).say(T, &[]).0, Alien::new(1).say(T + 1, &[]).0], None);
        let last = group.write(|draft| draft.set(OTHER, &field("title"), Value::text("last")));
        (first.is_ok(), failing.is_err(), broken_page.is_ok(), last.is_ok())
    });
    assert_eq!(outcomes.unwrap(), (true, true, true, true));
    assert_eq!(
        (a.title(NODE), a.text_field(NODE, "state"), a.title(OTHER)),
        ("first".into(), String::new(), "last".into())
    );
    assert_eq!(a.verify().problems, Vec::<String>::new());
}

#[test]
fn many_drafts_of_one_group_are_one_commit() {
    let world = World::new();
    let mut a = world.device("a");
    let written = a.replica().group(|group| {
        (0..100)
            .map(|n| group.write(|draft| draft.set(NODE, &field("title"), Value::text(n.to_string()))).unwrap())
            .count()
    });
    assert_eq!(written.unwrap(), 100);
    let stretches = a.stretches_after(0);
    assert_eq!(stretches.len(), 1, "one commit is one stretch with one signature");
    assert_eq!(stretches[0].entries.len(), 100);
}

fn when_writing(device: &Device, table: &str, fails: &str) {
    let db = rusqlite::Connection::open(&device.path).unwrap();
    db.execute_batch(&format!("CREATE TRIGGER disk BEFORE INSERT ON {table} BEGIN {fails}; END")).unwrap();
}

fn repaired(device: &Device) {
    rusqlite::Connection::open(&device.path).unwrap().execute_batch("DROP TRIGGER disk").unwrap();
}

#[test]
fn a_failed_commit_answers_all_with_an_error_and_leaves_nothing() {
    let world = World::new();
    let mut a = world.device("a");
    a.set(NODE, "title", "before");
    let digest = a.digest();
    when_writing(&a, "stretch", "SELECT RAISE(ABORT, 'the disk is full')");
    let outcome = a.replica().group(|group| {
        for name in ["title", "state"] {
            group.write(|draft| draft.set(NODE, &field(name), Value::text("lost"))).unwrap();
        }
    });
    assert!(matches!(outcome, Err(Error::Sqlite(_))), "{outcome:?}");
    repaired(&a);
    assert_eq!((a.title(NODE), a.digest()), ("before".into(), digest));
    a.set(NODE, "title", "after");
    assert_eq!((a.title(NODE), a.verify().problems), ("after".into(), vec![]));
}

#[test]
fn a_group_that_the_database_took_back_is_lost_as_a_whole() {
    let world = World::new();
    let mut a = world.device("a");
    a.set(NODE, "title", "before");
    when_writing(&a, "body", "SELECT RAISE(ROLLBACK, 'the disk is full')");
    let outcome = a.replica().group(|group| {
        group.write(|draft| draft.set(NODE, &field("title"), Value::text("lost"))).unwrap();
        let failed = group.write(|draft| draft.save_body(NODE, "lost\n", None));
        assert!(failed.is_err());
        let late = group.write(|draft| draft.set(OTHER, &field("title"), Value::text("late")));
        assert!(matches!(late, Err(Error::GroupLost)), "{late:?}");
    });
    assert!(outcome.is_err(), "those who were told that it went well are told otherwise");
    repaired(&a);
    assert_eq!(a.title(NODE), "before");
    a.set(NODE, "title", "after");
    assert_eq!((a.summary().head, a.verify().problems), (2, vec![]));
}

#[test]
fn merge_rules_of_another_version_are_replaced_by_a_rebuild() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "secret");
    let op = a.set(NODE, "title", "shown");
    a.save(NODE, "text\n");
    erase(&mut b, op, 0);
    meet(&mut a, &mut b, &mut hub);
    let digest = a.digest();
    let db = rusqlite::Connection::open(&a.path).unwrap();
    db.execute("UPDATE meta SET value = 0 WHERE key = 'rules_version'", []).unwrap();
    db.execute("UPDATE node SET state = x''", []).unwrap();
    drop(db);
    a.reopen();
    assert_eq!((a.digest(), a.text(NODE)), (digest, "text\n".into()));
    assert_in_step(&[&a, &b, &hub]);
}

/// Someone types so many letters, each an op, and a device clears the text: the op that cleared it.
fn typed_and_cleared(a: &mut Device, letters: usize) -> OpRef {
    let mut typist = Alien::new(9);
    let mut text = Document::empty();
    let mut typed = Vec::new();
    for letter in 0..letters {
        let update = text.append(if letter % 6 == 5 { " " } else { "x" }, ClientId::from_bits(77), 1_000).remove(0);
        assert!(text.apply(&update));
        let edit = Change::Edit { node: NODE, generation: Generation::EMPTY, repeats: vec![], update: Some(update) };
        typed.push(typist.say(T, &[edit]).0);
    }
    for page in typed.chunks(1_000) {
        a.ingest(page).unwrap();
    }
    a.op(|draft| draft.save_body(NODE, "", None).map(drop))
}

#[test]
fn a_text_of_very_many_edits_is_put_back_in_ops_that_fit() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    let cleared = typed_and_cleared(&mut a, 7_000);
    sync(&mut a, &mut b);
    a.undo(&cleared);
    b.undo(&cleared);
    sync(&mut a, &mut b);
    assert_in_step(&[&a, &b]);
    assert_eq!((a.text(NODE).len(), a.copies(NODE).len()), (7_000, 0));
}

#[test]
fn undoing_many_nodes_that_own_others_makes_no_conflict() {
    let world = World::new();
    let mut a = world.device("a");
    let id = |number: u8, last: u8| NodeId::from_bytes(std::array::from_fn(|at| if at < 15 { number } else { last }));
    let long: String = (0..40_000).map(|line| format!("line {line}\n")).collect();
    let (_, ops) = a
        .try_write(|draft| {
            for number in 1..=70 {
                let (task, context) = (id(number, 1), id(number, 2));
                draft.set(task, &field("kind"), Value::text("task"))?;
                draft.set(context, &field("kind"), Value::text("doc"))?;
                draft.set(context, &field("of"), Value::Node(task))?;
                draft.set(context, &field("role"), Value::text("context"))?;
                draft.save_body(context, if number == 1 { &long } else { "context\n" }, None)?;
            }
            Ok(())
        })
        .unwrap();
    let (_, undo) = a.try_write(|draft| draft.undo(&ops[0])).unwrap();
    for node in (1..=70).flat_map(|number| [id(number, 1), id(number, 2)]) {
        assert_eq!((a.is_hidden(node), a.is_conflicted(node)), (true, false), "{node}");
    }
    assert!((1..=70).all(|number| a.write(|draft| draft.is_unmade(id(number, 1)))), "nobody deleted them");
    a.undo(&undo[0]);
    assert!(!a.is_hidden(id(70, 2)));
    assert_eq!(a.text(id(1, 2)), long);
}

/// A node of its own per number.
fn numbered(number: u32) -> NodeId {
    let mut bytes = [0x22; 16];
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    NodeId::from_bytes(bytes)
}

/// Writes a title so many times.
fn retitle(device: &mut Device, node: NodeId, times: u32) {
    for number in 0..times {
        device.set(node, "title", number.to_string());
    }
}

/// Another's edit that adds a paragraph to an empty-born body, with a title for another node.
fn paragraph_and_title(author: &Alien) -> Vec<RawChange> {
    let update = Document::empty().append("a paragraph of another's\n", ClientId::from_bits(5), 10_000).remove(0);
    let title = Some(Value::text("readable"));
    let (bases, seen, repeats) = (vec![], vec![], vec![]);
    author.raw(&[
        edit_change(update),
        Change::Set { node: OTHER, field: field("title"), bases, seen, repeats, value: title },
    ])
}

#[test]
fn a_version_of_a_file_that_went_on_otherwise_after_a_restore_is_unknown() {
    let (world, mut a, mut b, mut hub) = two_and_a_hub();
    a.save(NODE, "one\n");
    meet(&mut a, &mut b, &mut hub);
    let kept = a.version(NODE);
    let backup = world.dir.path().join("backup.db");
    heph_store::copy::backup(&a.path, &backup).unwrap();
    retitle(&mut a, OTHER, 5);
    let lost = a.version(NODE);
    b.write(|draft| draft.append_body(NODE, "a paragraph of b's\n"));
    retitle(&mut b, numbered(1), 9);
    sync(&mut hub, &mut b);
    let mut a = Device::open(world.dir.path(), "backup.db", 77);
    assert!(matches!(
        a.try_write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&lost))),
        Err(Error::UnknownVersion)
    ));
    sync(&mut a, &mut hub);
    assert!(lost.log == kept.log && a.version(NODE).position > lost.position, "by position alone it would be known");
    assert!(matches!(
        a.try_write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&lost))),
        Err(Error::UnknownVersion)
    ));
    let told: heph_store::version::Version = kept.to_string().parse().unwrap();
    assert_eq!(told, kept);
    let saved = a.write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&told)));
    assert!(saved.merged, "what was read before the backup was made is read of this file, too");
    assert!(a.text(NODE).contains("two") && a.text(NODE).contains("a paragraph of b's"), "{}", a.text(NODE));
}

#[test]
fn a_version_is_known_right_after_a_write_within_a_group() {
    let world = World::new();
    let mut a = world.device("a");
    let positions: Vec<u64> = a
        .replica()
        .group(|group| {
            let mut write = |text: &str| group.write(|draft| draft.save_body(NODE, text, None)).unwrap().position;
            vec![write("one\n"), write("one\ntwo\n"), write("one\ntwo\nthree\n")]
        })
        .unwrap();
    let version = a.look(|view| view.version(positions[1], Generation::EMPTY));
    let saved = a.write(|draft| draft.save_body(NODE, "zero\none\ntwo\n", Some(&version)));
    assert_eq!((saved.merged, a.text(NODE).as_str()), (true, "zero\none\ntwo\nthree\n"));
}

#[test]
fn what_takes_effect_after_it_was_not_read_survives_a_save() {
    let world = World::new();
    let mut newer = Alien::new(1);
    let mut held = paragraph_and_title(&newer);
    held[1].value = Slot::Here(vec![0xee]);
    let (held, op) = newer.write(T, held);
    let mut a = world.device("a");
    a.save(NODE, "one\n");
    a.ingest(&[held]).unwrap();
    let before = a.version(NODE);
    assert_eq!(a.text(NODE), "one\n");
    erase(&mut a, op, 1);
    assert!(a.text(NODE).contains("another's"));
    let after = a.version(NODE);
    let saved = a.write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&before)));
    assert!(saved.merged && a.text(NODE).contains("another's"), "{}", a.text(NODE));
    a.write(|draft| draft.save_body(NODE, "none of it\n", Some(&after)));
    assert!(!a.text(NODE).contains("another's"), "who has read it may replace it: {}", a.text(NODE));
}

#[test]
fn a_value_that_comes_after_its_op_was_not_read_before() {
    let world = World::new();
    let author = &mut Alien::new(1);
    let changes = paragraph_and_title(author);
    let (whole, _) = author.write(T, changes);
    let mut stripped = whole.clone();
    assert!(stripped.entries[0].op.erase(1));
    let mut a = world.device("a");
    a.save(NODE, "one\n");
    a.ingest(&[stripped]).unwrap();
    let before = a.version(NODE);
    a.ingest(&[whole]).unwrap();
    let after = a.version(NODE);
    assert!(before.position == after.position && before != after, "the log is as long as before");
    let mut b = world.copy(&a, "b");
    let saved = a.write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&before)));
    assert!(saved.merged && a.text(NODE).contains("another's"), "{}", a.text(NODE));
    let saved = b.write(|draft| draft.save_body(NODE, "one\ntwo\n", Some(&after)));
    assert_eq!((saved.merged, b.text(NODE).as_str()), (false, "one\ntwo\n"));
}

#[test]
fn a_rebuild_of_a_log_out_of_causal_order_awaits_what_stands_further_on() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    let first = a.set(NODE, "title", "old");
    let (newer, _) = Alien::new(9).say(T, &[set_change("title", vec![first], "new")]);
    b.ingest(&[newer]).unwrap();
    retitle(&mut b, OTHER, 600);
    sync(&mut a, &mut b);
    let digest = b.digest();
    assert_eq!(b.values(NODE, "title"), [Value::text("new")]);
    let db = rusqlite::Connection::open(&b.path).unwrap();
    db.execute("UPDATE meta SET value = 0 WHERE key = 'rules_version'", []).unwrap();
    drop(db);
    b.reopen();
    assert_eq!((b.values(NODE, "title"), b.digest()), (vec![Value::text("new")], digest));
    assert_in_step(&[&a, &b]);
}

#[test]
fn what_a_node_owns_is_hidden_and_shown_with_it_however_much_it_is() {
    const OWNED: u32 = 3_000;
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(NODE, "title", "owner");
    a.write(|draft| (1..=OWNED).try_for_each(|n| draft.set(numbered(n), &field("of"), Value::Node(NODE))));
    meet(&mut a, &mut b, &mut hub);
    let all_hidden = |device: &Device| (1..=OWNED).step_by(97).all(|n| device.is_hidden(numbered(n)));
    let none_hidden = |device: &Device| (1..=OWNED).step_by(97).all(|n| !device.is_hidden(numbered(n)));
    a.delete(NODE);
    assert!(all_hidden(&a));
    b.set(numbered(5), "title", "not seen by who deleted");
    meet(&mut a, &mut b, &mut hub);
    assert!(a.is_conflicted(NODE) && none_hidden(&a) && none_hidden(&b));
    a.delete(NODE);
    meet(&mut a, &mut b, &mut hub);
    assert!(all_hidden(&a) && all_hidden(&b));
    b.write(|draft| draft.undelete(NODE));
    meet(&mut a, &mut b, &mut hub);
    assert!(none_hidden(&a) && none_hidden(&b));
    a.delete(NODE);
    a.write(|draft| draft.undelete(NODE));
    a.write(|draft| draft.set(NODE, &field("of"), Value::Node(OTHER)));
    a.op(|draft| draft.delete(NODE));
    assert!(a.is_hidden(NODE) && none_hidden(&a), "what shows an owner itself owns nothing");
    meet(&mut a, &mut b, &mut hub);
}

#[test]
fn all_values_of_a_bulk_op_are_erased_at_once_with_what_repeats_them() {
    const NODES: u32 = 300;
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let titles = |text: &'static str| {
        move |draft: &mut heph_store::draft::Draft<'_>| {
            (0..NODES).try_for_each(|n| draft.set(numbered(n), &field("title"), Value::text(text)))
        }
    };
    let first = a.op(titles("a secret"));
    let second = a.op(titles("shown over it"));
    meet(&mut a, &mut b, &mut hub);
    a.undo(&second);
    assert_eq!(a.title(numbered(7)), "a secret");
    let conflicting = b.op(titles("b's own"));
    b.op(|draft| {
        draft.erase((0..NODES).map(|index| value(first, index)).collect());
        Ok(())
    });
    meet(&mut a, &mut b, &mut hub);
    for node in (0..NODES).step_by(13).map(numbered) {
        assert_eq!(a.values(node, "title"), [Value::text("b's own")], "the erased value and its repeat have no effect");
    }
    let repeats = a.look(|view| view.op(&conflicting)).unwrap().1;
    assert!(repeats.changes.iter().all(|change| change.value.here().is_some()));
}

#[test]
fn an_origin_with_very_many_branches_is_told_apart() {
    const BRANCHES: usize = 2_000;
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    let mut alien = Alien::new(9);
    let (root, _) = alien.say(T, &[set_change("title", vec![], "root")]);
    let branches: Vec<(Stretch, OpRef)> = (0..BRANCHES)
        .map(|n| alien.write_after(usize::from(n % 2 == 0), T, None, vec![RawChange::new(99, vec![n as u8], vec![])]))
        .collect();
    let stretches: Vec<Stretch> = branches.iter().map(|(stretch, _)| stretch.clone()).collect();
    a.ingest(&[vec![root], stretches].concat()).unwrap();
    for (_, op) in branches.iter().step_by(131) {
        assert!(a.look(|view| view.op(op)).is_some());
    }
    a.reopen();
    sync(&mut a, &mut b);
    assert_in_step(&[&a, &b]);
}

fn tamper(device: &Device, sql: &str) {
    let db = rusqlite::Connection::open(&device.path).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    db.execute_batch(sql).unwrap();
}

#[test]
fn a_check_sees_whatever_people_would_see_wrong() {
    let damage = [
        "UPDATE body SET text = 'another text'",
        "UPDATE body SET document = x'01'",
        "DELETE FROM body",
        "UPDATE node SET kind = 'task' WHERE kind = 'doc'",
        "UPDATE node SET hidden = 1",
        "UPDATE node SET state = x'ff'",
        "DELETE FROM touch",
        "DELETE FROM name",
        "DELETE FROM link",
        "DELETE FROM tagged",
        "DELETE FROM search WHERE rowid = 1",
        "INSERT INTO erased VALUES (zeroblob(16), 1, zeroblob(16), 0)",
        "INSERT INTO missing VALUES (1, 0)",
        "INSERT INTO held VALUES (1, '')",
        "UPDATE chain SET tip_id = zeroblob(32)",
        "UPDATE digest SET sum = x'00'",
        "DROP TRIGGER stretch_is_append_only_delete; DELETE FROM stretch WHERE last = (SELECT max(last) FROM stretch)",
        "DROP TRIGGER log_is_append_only_update; UPDATE log SET packed = x'ff' WHERE pos = 2",
        "DROP TRIGGER log_is_append_only_update; UPDATE log SET id = x'ff' WHERE pos = 2",
        "DROP TRIGGER log_is_append_only_delete; DELETE FROM log WHERE pos = 2",
    ];
    for sql in damage {
        let world = World::new();
        let mut a = world.device("a");
        a.set(NODE, "kind", "doc");
        a.set(NODE, "title", "a title");
        a.write(|draft| draft.set(NODE, &field(&format!("tag/{OTHER}")), Value::Bool(true)));
        a.save(NODE, "the text, and a [[link]]\n");
        assert_eq!(a.verify().problems, Vec::<String>::new());
        tamper(&a, sql);
        assert_ne!(a.verify().problems, Vec::<String>::new(), "{sql}");
    }
}

#[test]
fn a_backup_of_other_texts_or_tips_is_refused() {
    for sql in ["UPDATE body SET text = 'another text'", "UPDATE chain SET tip_id = zeroblob(32)"] {
        let world = World::new();
        let mut a = world.device("a");
        a.save(NODE, "the text\n");
        tamper(&a, sql);
        let outcome = heph_store::copy::backup(&a.path, &world.dir.path().join("copy"));
        assert!(matches!(outcome, Err(Error::BadBackup(_))), "{sql}: {outcome:?}");
    }
}

#[test]
fn a_backup_leaves_the_files_of_others_alone() {
    let world = World::new();
    let mut a = world.device("a");
    a.set(NODE, "title", "kept");
    let of_the_user = world.dir.path().join("copy.partial");
    std::fs::write(&of_the_user, "mine").unwrap();
    let to = world.dir.path().join("copy");
    heph_store::copy::backup(&a.path, &to).unwrap();
    assert!(matches!(heph_store::copy::backup(&a.path, &to), Err(Error::Io { .. })));
    assert_eq!(std::fs::read(&of_the_user).unwrap(), b"mine");
    let names = std::fs::read_dir(world.dir.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let copies: Vec<_> = names.filter(|name| name.to_string_lossy().starts_with("copy")).collect();
    assert_eq!(copies.len(), 2, "{copies:?}");
}

#[test]
fn what_killed_backups_left_behind_keeps_none_from_being_made() {
    let world = World::new();
    let mut a = world.device("a");
    a.set(NODE, "title", "kept");
    let to = world.dir.path().join("copy");
    let left = |number: u32| world.dir.path().join(format!("copy.{}-{number}.partial", std::process::id()));
    (0..1_000).for_each(|number| std::fs::write(left(number), "half").unwrap());
    heph_store::copy::backup(&a.path, &to).unwrap();
    assert!((0..1_000).all(|number| std::fs::read(left(number)).unwrap() == b"half"));
}

#[test]
fn marks_of_undone_ops_neither_await_a_choice_nor_crowd_out_short_ids() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    let op = a.set(NODE, "title", "x");
    meet(&mut a, &mut b, &mut hub);
    a.undo(&op);
    let undo = b.undo_op(&op);
    b.undo(&undo);
    meet(&mut a, &mut b, &mut hub);
    let awaiting: Vec<NodeId> = a.look(|view| view.conflicted(10)).iter().map(|node| node.id).collect();
    assert_eq!((awaiting, a.summary().conflicts), (vec![NODE], 1));
    let ends_alike = |first: u8| NodeId::from_bytes(std::array::from_fn(|at| if at == 0 { first } else { 0xab }));
    for first in 10..22 {
        a.set(ends_alike(first), "kind", "undo");
    }
    a.set(ends_alike(30), "kind", "task");
    assert_eq!(a.look(|view| view.resolve("abab")), Resolved::One(ends_alike(30)));
}

#[test]
fn an_ambiguous_link_means_the_same_on_every_device() {
    let (_world, mut a, mut b, mut hub) = two_and_a_hub();
    a.set(OTHER, "title", "Same");
    b.set(NODE, "title", "Same");
    meet(&mut a, &mut b, &mut hub);
    for device in [&a, &b, &hub] {
        assert_eq!(device.look(|view| view.resolve_link("same")).unwrap().id, NODE);
    }
}

#[test]
fn a_held_op_forbids_deleting_its_own_node_only() {
    let world = World::new();
    let mut a = world.device("a");
    let mut alien = Alien::new(9);
    let text = Value::text("x");
    let mut raw = alien.raw(&[Change::Set {
        node: NODE,
        field: field("title"),
        bases: vec![],
        seen: vec![],
        repeats: vec![],
        value: Some(text),
    }]);
    raw[0].value = Slot::Here(vec![0xee]);
    let (stretch, _) = alien.write(T, raw);
    a.ingest(&[stretch]).unwrap();
    a.set(OTHER, "title", "x");
    assert!(matches!(a.try_write(|draft| draft.delete(NODE)), Err(Error::HeldNode(_))));
    a.delete(OTHER);
    assert!(a.is_hidden(OTHER));
}

#[test]
fn lists_go_on_where_the_last_page_ended() {
    let world = World::new();
    let mut a = world.device("a");
    let id = |number: u8| NodeId::from_bytes([number; 16]);
    for number in 0..30 {
        a.write(|draft| {
            draft.set(id(number), &field("kind"), Value::text("task"))?;
            let day = (number % 3 > 0).then(|| Value::Date(date(2026, 1, 1 + (number % 3) as i8)));
            day.map_or(Ok(()), |day| draft.set(id(number), &field("do_date"), day))
        });
    }
    let filter = |limit, after| Filter { kind: "task".into(), limit, after, ..Filter::default() };
    let rows = |nodes: &[Node]| -> Vec<i64> { nodes.iter().map(|node| node.row).collect() };
    let all = rows(&a.look(|view| view.list(&filter(100, None))));
    assert_eq!(all.len(), 30);
    let (mut paged, mut after) = (Vec::new(), None);
    loop {
        let page = a.look(|view| view.list(&filter(4, after.clone())));
        let Some(last) = page.last() else { break };
        after = Some((task_view(&last.state).do_date, last.row));
        paged.extend(rows(&page));
    }
    assert_eq!(paged, all);
    let due = Filter { due: Some(date(2026, 1, 2)), ..filter(100, None) };
    assert_eq!(a.look(|view| view.list(&due)).len(), 10);
}
