//! Every check can fail: replicas whose files were changed behind the store's back.

use super::world::push;
use super::*;
use crate::oracle::Code;
use heph_store::field::Field;
use heph_store::op::ChangeRef;
use rusqlite::Connection;

/// A replica with something of everything, whole, and looked at once.
fn whole() -> (Lab, Device) {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    for node in [NODE, OTHER] {
        a.set(node, "kind", "task");
        a.set(node, "title", "⟦t-1⟧ a title");
    }
    a.op(|draft| draft.set(NODE, &Field::tag(OTHER), Value::Bool(true)));
    save(&mut a, NODE, "⟦t-2⟧ a text\n");
    meet(&mut a, &mut b);
    b.set(NODE, "state", "done");
    lab.look(&b).unwrap();
    push(&b, &mut a, 10_000);
    lab.look(&a).unwrap();
    (lab, a)
}

fn tamper(device: &Device, sql: &str) {
    let db = Connection::open(&device.path).unwrap();
    for (table, when) in [("log", "delete"), ("log", "update"), ("stretch", "delete"), ("stretch", "update")] {
        db.execute_batch(&format!("DROP TRIGGER IF EXISTS {table}_is_append_only_{when}")).unwrap();
    }
    db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
    db.execute_batch(sql).unwrap();
}

/// What the oracle finds first in a replica that it has not seen yet.
fn found(lab: &mut Lab, device: &Device) -> Code {
    lab.oracle.begin(&name(device));
    lab.oracle.check_all(&name(device), &reads(device)).unwrap_err().code
}

/// What is found in a whole replica after this change.
fn after(sql: &str) -> Code {
    let (mut lab, device) = whole();
    tamper(&device, sql);
    found(&mut lab, &device)
}

fn blob(bytes: &[u8]) -> String {
    format!("x'{}'", hex::encode(bytes))
}

#[test]
fn a_whole_replica_is_found_whole_as_often_as_one_looks() {
    let (mut lab, device) = whole();
    lab.look(&device).unwrap();
    lab.oracle.begin("a");
    lab.look(&device).unwrap();
}

#[test]
fn an_op_that_is_missing_from_the_log_is_found() {
    assert_eq!(after("DELETE FROM log WHERE pos = 2"), Code::Unreadable, "a stretch without an op");
    assert_eq!(after("DELETE FROM log WHERE pos = 2; DELETE FROM stretch WHERE last = 2"), Code::Unreadable);
    assert_eq!(after("DELETE FROM log WHERE pos = (SELECT max(pos) FROM log)"), Code::Gap);
}

#[test]
fn a_log_that_was_cut_behind_what_was_read_is_found() {
    let (mut lab, device) = whole();
    tamper(&device, "DELETE FROM stretch WHERE last > 3; DELETE FROM log WHERE pos > 3");
    assert_eq!(lab.oracle.check_new("a", &reads(&device)).unwrap_err().code, Code::LogRewritten);
    assert_eq!(
        found(&mut lab, &device),
        Code::VectorLies,
        "and if it is read anew, the vector says more than is there"
    );
}

#[test]
fn a_changed_op_is_found_by_its_signature_or_by_who_names_it() {
    let sql = "UPDATE log SET packed = (SELECT packed FROM log WHERE pos = 3) WHERE pos = 1";
    assert_eq!(after(sql), Code::BadSignature);
    assert_eq!(after("UPDATE log SET packed = substr(packed, 1, 20) WHERE pos = 3"), Code::BadPage);
    assert_eq!(after("UPDATE stretch SET signature = zeroblob(64) WHERE last = 2"), Code::BadSignature);
    assert_eq!(after("UPDATE origin SET key = zeroblob(32)"), Code::WrongKey);
    let last = "(SELECT max(last) FROM stretch)";
    assert_eq!(after(&format!("UPDATE stretch SET roll = zeroblob(32) WHERE last = {last}")), Code::BadRoll);
}

#[test]
fn a_vector_that_says_less_than_is_there_is_found() {
    let sql = "UPDATE chain SET tip_seq = 2, tip_id = (SELECT id FROM log WHERE pos = 2) WHERE id = 1";
    assert_eq!(after(sql), Code::VectorLies);
}

#[test]
fn a_state_that_is_not_what_the_ops_say_is_found() {
    let row = format!("uuid = {}", blob(NODE.as_bytes()));
    let other = format!("(SELECT state FROM node WHERE uuid = {})", blob(OTHER.as_bytes()));
    assert_eq!(after(&format!("UPDATE node SET state = {other} WHERE {row}")), Code::HeadLost);
    // The second byte of a state says whether it is hidden, and whether it awaits a choice.
    for (flags, code) in [(1, Code::Hidden), (2, Code::Conflict)] {
        let flags = blob(&[1, flags]);
        let sql = format!("UPDATE node SET state = CAST({flags} || substr(state, 3) AS BLOB) WHERE {row}");
        assert_eq!(after(&sql), code);
    }
    assert_eq!(after(&format!("UPDATE node SET state = x'ffff' WHERE {row}")), Code::Unreadable);
    assert_eq!(after(&format!("DELETE FROM node WHERE {row}")), Code::Register);
    assert_eq!(after("UPDATE body SET text = 'another text'"), Code::Text);
}

#[test]
fn a_head_that_was_dropped_is_found() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "one");
    b.set(NODE, "title", "two");
    let state: Vec<u8> =
        Connection::open(&a.path).unwrap().query_row("SELECT state FROM node", [], |row| row.get(0)).unwrap();
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    tamper(&a, &format!("UPDATE node SET state = {}", blob(&state)));
    assert_eq!(found(&mut lab, &a), Code::HeadLost);
    assert!(lab.oracle.check_file("a", &a.path, a.env.clone()).is_err_and(|found| found.code == Code::Verify));
}

#[test]
fn a_copy_of_a_text_that_was_dropped_is_found() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.write(|draft| draft.import_body("vault", b"note.md", NODE, "one ⟦c-1⟧\n"));
    b.write(|draft| draft.import_body("vault", b"note.md", NODE, "two ⟦c-2⟧\n"));
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    let shown = lab.shown(&a, NODE);
    let copy = blob(shown.copies.first().unwrap().as_bytes());
    tamper(&a, &format!("UPDATE body SET document = (SELECT document FROM body WHERE generation <> {copy})"));
    assert_eq!(found(&mut lab, &a), Code::Copy);
}

#[test]
fn lists_that_are_not_what_the_nodes_say_are_found() {
    let row = format!("uuid = {}", blob(NODE.as_bytes()));
    assert_eq!(after(&format!("UPDATE node SET hidden = 1 WHERE {row}")), Code::List);
    assert_eq!(after(&format!("UPDATE node SET conflicted = 1 WHERE {row}")), Code::List);
    assert_eq!(
        after(&format!("UPDATE node SET do_date = '2026-01-01' WHERE uuid = {}", blob(OTHER.as_bytes()))),
        Code::List
    );
    assert_eq!(after("DELETE FROM tagged"), Code::List);
    assert_eq!(after("INSERT INTO held VALUES (1, 'no reason')"), Code::List);
}

#[test]
fn a_search_index_that_lost_a_text_or_finds_another_is_found() {
    let id = format!("(SELECT id FROM node WHERE uuid = {})", blob(NODE.as_bytes()));
    assert_eq!(after(&format!("DELETE FROM search WHERE rowid = {id}")), Code::Search);
    let other = format!("(SELECT id FROM node WHERE uuid = {})", blob(OTHER.as_bytes()));
    let sql = format!("INSERT OR REPLACE INTO search (rowid, title, body) VALUES ({other}, '⟦t-1⟧', '⟦t-2⟧')");
    assert_eq!(after(&sql), Code::Search);
}

#[test]
fn an_erased_value_that_is_still_there_is_found() {
    let mut lab = Lab::new();
    let mut a = lab.device("a");
    let secret = a.set(NODE, "title", "secret");
    let packed: Vec<u8> =
        Connection::open(&a.path).unwrap().query_row("SELECT packed FROM log", [], |row| row.get(0)).unwrap();
    a.write(|draft| {
        draft.erase(vec![ChangeRef { op: secret, index: 0 }]);
        Ok(())
    });
    lab.look(&a).unwrap();
    tamper(&a, &format!("UPDATE log SET packed = {}, emptied = 0 WHERE pos = 1", blob(&packed)));
    assert_eq!(found(&mut lab, &a), Code::ErasedValue);
}

#[test]
fn an_acknowledged_op_that_a_restore_took_away_is_found_unless_it_was_excused() {
    let mut lab = Lab::new();
    let (mut a, mut hub) = (lab.device("a"), lab.device("hub"));
    let first = a.set(NODE, "title", "one");
    let mut restored = a.copy_to(lab.dir.path(), "restored", 5);
    let second = a.set(NODE, "title", "two");
    lab.oracle.acknowledge("a", &[first, second], 12);
    lab.look(&a).unwrap();
    // The file of device a is the older one from now on.
    lab.oracle.begin("a");
    let lost = lab.oracle.check_new("a", &reads(&restored)).unwrap_err();
    assert_eq!(lost.code, Code::AcknowledgedLost);
    assert!(lost.sentence.contains(&second.to_string()), "{lost}");
    lab.oracle.excuse("a");
    lab.oracle.check_all("a", &reads(&restored)).unwrap();
    assert_eq!(lab.oracle.nothing_is_gone(&["a"]).unwrap_err().code, Code::AcknowledgedLost);
    sync(&mut hub, &mut a);
    sync(&mut hub, &mut restored);
    lab.look(&hub).unwrap();
    lab.oracle.nothing_is_gone(&["a", "hub"]).unwrap();
}

#[test]
fn replicas_that_are_not_in_step_or_show_different_things_are_found() {
    let mut lab = Lab::new();
    let (mut a, mut b) = (lab.device("a"), lab.device("b"));
    a.set(NODE, "title", "one");
    meet(&mut a, &mut b);
    lab.agree(&[&a, &b]);
    tamper(&b, "UPDATE digest SET sum = zeroblob(32)");
    let both = [reads(&a), reads(&b)];
    let converged = |lab: &mut Lab| lab.oracle.converged(&[("a", &both[0]), ("b", &both[1])]).unwrap_err().code;
    assert_eq!(converged(&mut lab), Code::Diverged);
    a.set(NODE, "title", "two");
    assert_eq!(converged(&mut lab), Code::NotInStep);
}

#[test]
fn a_damaged_file_is_found() {
    let (lab, mut device) = whole();
    device.reopen();
    Connection::open(&device.path).unwrap().execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut bytes = std::fs::read(&device.path).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0xa5);
    let path = device.path.with_file_name("damaged");
    std::fs::write(&path, bytes).unwrap();
    let found = lab.oracle.check_file("damaged", &path, device.env.clone()).unwrap_err();
    assert!([Code::FileDamaged, Code::Unreadable].contains(&found.code), "{found}");
}
