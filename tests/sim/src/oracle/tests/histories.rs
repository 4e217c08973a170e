//! Small histories, each with what it means.

use super::world::Alien;
use super::*;
use crate::oracle::Code;
use heph_store::body::{ClientId, Document};
use heph_store::field::Field;
use heph_store::id::Generation;
use heph_store::op::{Change, ChangeRef, RawChange};
use jiff::civil::date;

fn field(name: &str) -> Field {
    Field::new(name).unwrap()
}

#[test]
fn of_two_titles_written_apart_the_newer_is_shown_and_both_are_heads() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "first");
    meet(&mut a, &mut b);
    a.env.set_clock(1_790_000_100_000);
    a.set(NODE, "title", "by a");
    b.env.set_clock(1_790_000_200_000);
    b.set(NODE, "title", "by b");
    lab.look(&a).unwrap();
    assert_eq!(values(&lab.shown(&a, NODE), "title"), texts(&["by a"]), "a has not met b yet");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&a, NODE);
    assert_eq!(values(&shown, "title"), texts(&["by b", "by a"]));
    assert!(shown.conflicted && shown.contested.contains(&field("title")));
    a.env.set_clock(1_000);
    a.set(NODE, "title", "typed over what was shown, by a slow clock");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let typed = texts(&["typed over what was shown, by a slow clock", "by a"]);
    assert_eq!(values(&lab.shown(&b, NODE), "title"), typed);
}

#[test]
fn a_delete_that_had_not_seen_an_edit_leaves_a_conflict_and_a_second_one_hides() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "a task");
    a.op(|draft| draft.set(OTHER, &field("of"), Value::Node(NODE)));
    meet(&mut a, &mut b);
    a.delete(NODE);
    lab.look(&a).unwrap();
    assert!(lab.shown(&a, NODE).hidden && lab.shown(&a, OTHER).hidden, "with all that it owns");
    save(&mut b, OTHER, "a note on it\n");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&a, NODE);
    assert!(!shown.hidden && shown.deletion_contested && shown.conflicted, "what it owns was edited, unseen");
    b.delete(NODE);
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert!(lab.shown(&a, NODE).hidden && !lab.shown(&a, NODE).conflicted);
}

#[test]
fn undo_puts_back_what_was_replaced() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "before");
    let after = a.set(NODE, "title", "after");
    meet(&mut a, &mut b);
    let (a_undo, b_undo) = (a.undo(&after), b.undo(&after));
    assert!(!a_undo.already && !b_undo.already, "both undo it, apart");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!(values(&lab.shown(&b, NODE), "title"), texts(&["before", "before"]));
    assert!(!lab.shown(&b, NODE).conflicted);
}

#[test]
fn a_cloned_disk_makes_a_branch_and_a_delete_on_one_branch_has_not_seen_the_other() {
    let mut lab = Lab::new();
    let (mut a, mut hub) = (lab.device("a"), lab.device("hub"));
    a.set(NODE, "title", "shared");
    let mut clone = a.copy_to(lab.dir.path(), "clone", 77);
    a.set(NODE, "state", "done");
    clone.delete(NODE);
    lab.look(&clone).unwrap();
    assert!(lab.shown(&clone, NODE).hidden);
    sync(&mut hub, &mut a);
    sync(&mut hub, &mut clone);
    sync(&mut hub, &mut a);
    lab.agree(&[&a, &clone, &hub]);
    let shown = lab.shown(&hub, NODE);
    assert!(!shown.hidden && shown.deletion_contested);
    assert_eq!(shown.newest.len(), 1, "of this node only one branch has more than what both share");
}

#[test]
fn where_a_value_was_erased_what_it_had_replaced_shows_again() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "before");
    let secret = a.set(NODE, "title", "a secret");
    let typed = save(&mut a, NODE, "kept, and a secret\n");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let targets = vec![ChangeRef { op: secret, index: 0 }, ChangeRef { op: typed[0], index: 0 }];
    a.write(|draft| {
        draft.erase(targets);
        Ok(())
    });
    lab.look(&a).unwrap();
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&b, NODE);
    assert_eq!((values(&shown, "title"), shown.text()), (texts(&["before"]), ""));
}

#[test]
fn an_occurrence_that_two_devices_completed_is_completed_once() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.write(|draft| {
        draft.set(NODE, &field("kind"), Value::text("task"))?;
        draft.set(NODE, &field("do_date"), Value::Date(date(2026, 11, 20)))?;
        draft.set(NODE, &field("recurrence"), Value::text("FREQ=DAILY"))
    });
    meet(&mut a, &mut b);
    for (device, day) in [(&mut a, 20), (&mut b, 21)] {
        let done = Value::Date(date(2026, 11, day));
        device.op(|draft| draft.set(NODE, &Field::done(date(2026, 11, 20)), done));
    }
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&a, NODE);
    assert_eq!(values(&shown, "done/2026-11-20").len(), 2, "two heads, which is no conflict");
    assert_eq!((shown.conflicted, shown.occurrence), (false, Some(date(2026, 11, 21))));
}

#[test]
fn two_first_texts_stand_side_by_side_until_somebody_settles_them() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.write(|draft| draft.import_body("vault", b"note.md", NODE, "one\n"));
    b.write(|draft| draft.import_body("vault", b"note.md", NODE, "two\n"));
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&a, NODE);
    let copies: Vec<String> = shown.copies.iter().map(|copy| shown.copy(*copy)).collect();
    let mut all = [copies, vec![shown.text().to_owned()]].concat();
    all.sort();
    assert_eq!(all, ["one\n", "two\n"]);
    a.write(|draft| draft.settle_body(NODE, "one and two\n"));
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!((lab.shown(&b, NODE).text(), lab.shown(&b, NODE).conflicted), ("one and two\n", false));
    assert!(lab.oracle.model.texts_made().0 > 0, "by the reader that is not ours");
}

#[test]
fn a_held_op_has_no_effect_and_what_names_it_replaces_what_it_named() {
    let mut lab = Lab::new();
    let mut a = lab.device("a");
    let old = a.set(NODE, "title", "old");
    let mut alien = Alien::new(3);
    let set = |bases: Vec<OpRef>, value: &str| Change::Set {
        node: NODE,
        field: field("title"),
        bases,
        seen: Vec::new(),
        repeats: Vec::new(),
        value: Some(Value::text(value)),
    };
    let mut unknown = alien.raw(&[set(vec![old], "held")]);
    unknown.push(RawChange::new(99, vec![1, 2, 3], vec![4]));
    let (first, held) = alien.write(1_790_000_000_500, unknown);
    a.ingest(&[first]).unwrap();
    lab.agree(&[&a]);
    assert_eq!(values(&lab.shown(&a, NODE), "title"), texts(&["old"]));
    let (second, _) = alien.say(1_790_000_000_600, &[set(vec![held], "new")]);
    a.ingest(&[second]).unwrap();
    lab.agree(&[&a]);
    assert_eq!(values(&lab.shown(&a, NODE), "title"), texts(&["new"]));
}

#[test]
fn a_text_without_what_it_stands_on_is_taken_by_the_definition() {
    let mut lab = Lab::new();
    let mut a = lab.device("a");
    let client = ClientId::from_bits(5);
    let first = Document::empty().edit("one ", client, 1_000).remove(0);
    let whole = Document::rebuild(&[&first]);
    let second = whole.edit("one two", ClientId::from_bits(6), 1_000).remove(0);
    let edit = Change::Edit { node: NODE, generation: Generation::EMPTY, repeats: Vec::new(), update: Some(second) };
    let (stretch, _) = Alien::new(4).say(1_790_000_000_500, &[edit]);
    a.ingest(&[stretch]).unwrap();
    lab.agree(&[&a]);
    assert_eq!(lab.shown(&a, NODE).text(), "");
    assert_eq!(lab.oracle.model.texts_made(), (0, 1));
    assert!(lab.shown(&a, NODE).conflicted, "it is readable as a copy");
}

#[test]
fn what_one_device_wrote_without_naming_what_stood_there_is_a_conflict_out_of_nothing() {
    let mut lab = Lab::new();
    let mut a = lab.device("a");
    let mut alien = Alien::new(3);
    for (stamp, value) in [(1, "one"), (2, "two")] {
        let (field, value) = (field("title"), Some(Value::text(value)));
        let set = Change::Set { node: NODE, field, bases: vec![], seen: vec![], repeats: vec![], value };
        let (stretch, _) = alien.say(stamp, &[set]);
        a.ingest(&[stretch]).unwrap();
    }
    assert_eq!(lab.look(&a).unwrap_err().code, Code::PhantomConflict);
    lab.oracle.begin("a");
    lab.oracle.may_conflict(NODE);
    lab.look(&a).unwrap();
}

#[test]
fn a_token_that_nobody_took_away_must_be_readable() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    let (one, two) = ("⟦a-1⟧ one\n", "⟦a-1⟧ one\n⟦a-2⟧ two\n");
    let ops = save(&mut a, NODE, one);
    lab.oracle.rewrote(&ops, "", one);
    let ops = save(&mut a, NODE, two);
    lab.oracle.rewrote(&ops, one, two);
    a.set(NODE, "title", "⟦a-3⟧");
    a.set(NODE, "title", "⟦a-4⟧, typed over ⟦x-3⟧");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!(lab.oracle.ledger.len(), 5);
    let ops = save(&mut b, NODE, "⟦a-2⟧ two\n");
    assert_eq!(lab.look(&b).unwrap_err().code, Code::TextLost, "nobody said that a-1 was taken away");
    lab.oracle.begin("b");
    lab.oracle.rewrote(&ops, two, "⟦a-2⟧ two\n");
    lab.look(&b).unwrap();
    lab.look(&a).unwrap();
    let ops_in_doubt = save(&mut a, NODE, "⟦a-1⟧ one\n");
    assert_eq!(lab.look(&a).unwrap_err().code, Code::TextLost, "a-2 is gone on a");
    lab.oracle.begin("a");
    lab.oracle.rewrote(&[], two, "⟦a-1⟧ one\n");
    lab.look(&a).unwrap();
    a.undo(&ops_in_doubt[0]);
    let undone = ops[0];
    let (_, ops) = b.try_write(|draft| draft.undo(&undone)).unwrap();
    lab.oracle.undid(&ops, &[undone]);
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!(b.text(NODE), two);
}

#[test]
fn what_was_undone_unreported_is_lost_text_unless_whoever_did_it_was_not_told() {
    let mut lab = Lab::new();
    let mut a = lab.device("a");
    let ops = save(&mut a, NODE, "⟦a-1⟧ one\n");
    lab.look(&a).unwrap();
    a.undo(&ops[0]);
    assert_eq!(lab.look(&a).unwrap_err().code, Code::TextLost, "nobody said that it was undone");
    lab.oracle.begin("a");
    lab.oracle.undid_in_doubt(ops[0].origin);
    lab.look(&a).unwrap();
}

#[test]
fn undoing_an_import_takes_no_text_away_that_the_same_device_had_typed_before() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    let typed = "⟦typed-1⟧\n";
    let ops = save(&mut a, NODE, typed);
    lab.oracle.rewrote(&ops, "", typed);
    lab.oracle.may_conflict(NODE);
    let (_, imported) = a.try_write(|draft| draft.import_body("vault", b"note.md", NODE, "from a file\n")).unwrap();
    b.write(|draft| draft.import_body("vault", b"note.md", NODE, "from another file\n"));
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!(lab.shown(&a, NODE).texts.len(), 3, "all three are kept");
    let (_, ops) = a.try_write(|draft| draft.undo(&imported[0])).unwrap();
    lab.oracle.undid(&ops, &imported);
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&b, NODE);
    assert_eq!(shown.text(), "from another file\n");
    assert_eq!(shown.copies.iter().map(|copy| shown.copy(*copy)).collect::<Vec<_>>(), [typed]);
}

#[test]
fn undoing_an_import_takes_nothing_away_that_was_typed_into_it_since() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    lab.oracle.may_conflict(NODE);
    // The later import is the one that is shown.
    b.write(|draft| draft.import_body("vault", b"note.md", NODE, "from another file\n"));
    a.env.set_clock(1_790_000_100_000);
    let (_, imported) = a.try_write(|draft| draft.import_body("vault", b"note.md", NODE, "from a file\n")).unwrap();
    meet(&mut a, &mut b);
    let (before, after) = ("from a file\n", "from a file\n⟦typed-1⟧\n");
    let ops = save(&mut b, NODE, after);
    lab.oracle.rewrote(&ops, before, after);
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    assert_eq!(lab.shown(&a, NODE).text(), after);
    let (_, ops) = a.try_write(|draft| draft.undo(&imported[0])).unwrap();
    lab.oracle.undid(&ops, &imported);
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&b, NODE);
    assert_eq!(shown.text(), "from another file\n");
    assert_eq!(shown.copies.iter().map(|copy| shown.copy(*copy)).collect::<Vec<_>>(), ["⟦typed-1⟧\n"]);
}
