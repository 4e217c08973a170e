#![allow(clippy::unwrap_used)]
use super::*;
use crate::env::SystemEnv;
use crate::error::Error;
use crate::field::{Field, KIND, TITLE, Value};
use crate::id::NodeId;
use crate::replica::Replica;
use std::path::PathBuf;

const GARDEN: NodeId = NodeId::from_bytes([7; 16]);
const TAG: NodeId = NodeId::from_bytes([9; 16]);

/// A replica with notes, tags, links, an erased value and a log of more than one batch.
struct Kept {
    path: PathBuf,
    _dir: tempfile::TempDir,
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("heph.db");
    let mut replica = Replica::open(&path, Arc::new(SystemEnv)).unwrap();
    let written = replica.group(|group| {
        group.write(|draft| {
            draft.set(TAG, &field(KIND), Value::text("tag"))?;
            draft.set(TAG, &field(TITLE), Value::text("outside"))?;
            draft.set(GARDEN, &field(KIND), Value::text("doc"))?;
            draft.set(GARDEN, &field(TITLE), Value::text("Garden"))?;
            draft.set(GARDEN, &field(&format!("tag/{TAG}")), Value::Bool(true))?;
            draft.save_body(GARDEN, "Tomatoes, and a [[Compost]] heap.\n", None)
        })
    });
    written.unwrap().unwrap();
    let written = replica.group(|group| {
        for number in 0..520 {
            group.write(|draft| {
                let node = if number % 2 == 0 { draft.fresh_node() } else { GARDEN };
                draft.set(node, &field(KIND), Value::text("doc"))?;
                draft.append_body(node, &format!("line {number}\n"))
            })?;
        }
        Ok::<_, Error>(())
    });
    written.unwrap().unwrap();
    drop(replica);
    Kept { path, _dir: dir }
}

fn field(name: &str) -> Field {
    Field::new(name).unwrap()
}

impl Kept {
    fn damage(&self, sql: &str) {
        Connection::open(&self.path).unwrap().execute_batch(sql).unwrap();
    }

    fn look(&self) -> Found {
        let mut check = Check::begin(&self.path, Arc::new(SystemEnv), Depth::Deep).unwrap();
        while check.step().unwrap().is_some() {}
        check.into_found()
    }

    /// Every row of the log, of its signatures, and of this file's own history.
    fn log(&self) -> Vec<Vec<rusqlite::types::Value>> {
        let db = Connection::open(&self.path).unwrap();
        let mut rows = Vec::new();
        for table in ["log", "stretch", "origin", "chain", "late", "imported"] {
            let mut statement = db.prepare(&format!("SELECT * FROM {table} ORDER BY 1")).unwrap();
            let columns = statement.column_count();
            let read = statement.query_map([], |row| (0..columns).map(|column| row.get(column)).collect()).unwrap();
            rows.extend(read.map(Result::unwrap).collect::<Vec<_>>());
        }
        rows
    }

    fn rebuild(&self) {
        let mut replica = Replica::open(&self.path, Arc::new(SystemEnv)).unwrap();
        replica.group(|group| group.rebuild()).unwrap().unwrap();
    }
}

/// What was damaged, and what is said of it.
fn said(found: &Found) -> Vec<(Part, String)> {
    found.problems.iter().map(|problem| (problem.part, problem.words.clone())).collect()
}

#[test]
fn a_sound_replica_is_sound_in_every_part_and_everything_was_counted() {
    let kept = kept();
    let found = kept.look();
    assert_eq!(said(&found), []);
    assert!(found.is_sound() && !found.can_be_rebuilt());
    assert_eq!((found.ops, found.nodes, found.texts), (521, 262, 261));
    assert!(found.signatures > 0 && found.words > 1_000, "{found:?}");
    assert_eq!(found.digest, found.rebuilt);
    let names: Vec<_> =
        std::fs::read_dir(kept.path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().all(|name| !name.to_string_lossy().contains("verify")), "{names:?}");
}

#[test]
fn a_word_that_the_index_cuts_in_the_middle_of_a_letter_is_compared_like_any_other() {
    let kept = kept();
    let write = |text: &str| {
        let mut replica = Replica::open(&kept.path, Arc::new(SystemEnv)).unwrap();
        replica.group(|group| group.write(|draft| draft.append_body(TAG, text))).unwrap().unwrap();
    };
    write(&"漢".repeat(11_000));
    write(&"é".repeat(17_000));
    assert_eq!(said(&kept.look()), []);
    kept.damage(
        "DELETE FROM search WHERE rowid = (SELECT id FROM node WHERE uuid = x'09090909090909090909090909090909')",
    );
    assert!(said(&kept.look()).iter().any(|(part, words)| *part == Part::Index && words.contains(&TAG.to_string())));
}

#[test]
fn what_follows_from_the_log_is_found_named_and_made_anew_and_the_log_is_as_it_was() {
    let node = &GARDEN.to_string();
    let cases: &[(&str, Part, &str)] = &[
        (
            "UPDATE node SET state = (SELECT state FROM node WHERE uuid = x'09090909090909090909090909090909') \
          WHERE uuid = x'07070707070707070707070707070707'",
            Part::State,
            node,
        ),
        ("UPDATE node SET state = x'ff' WHERE uuid = x'07070707070707070707070707070707'", Part::State, node),
        ("DELETE FROM node WHERE uuid = x'07070707070707070707070707070707'", Part::State, node),
        ("UPDATE digest SET sum = zeroblob(32) WHERE bucket = 7", Part::State, "bucket 7"),
        ("DELETE FROM touch WHERE pos = 1", Part::State, node),
        ("INSERT INTO touch VALUES ((SELECT max(id) FROM node), 1, 1)", Part::State, "which ops are on node"),
        ("INSERT INTO touch VALUES (99999, 1, 1)", Part::Index, "of no node"),
        ("INSERT INTO grouped VALUES (zeroblob(16), 1)", Part::State, "grouped"),
        ("INSERT INTO held VALUES (3, '')", Part::State, "held"),
        ("INSERT INTO awaited VALUES (zeroblob(16), 1, zeroblob(16), zeroblob(16))", Part::State, "awaited"),
        ("INSERT INTO erased VALUES (zeroblob(16), 1, zeroblob(16), 0)", Part::State, "erased"),
        ("INSERT INTO missing VALUES (1, 0)", Part::State, "missing"),
        ("UPDATE body SET document = zeroblob(4) WHERE node = 1", Part::Texts, node),
        ("UPDATE body SET document = (SELECT document FROM body WHERE node = 3) WHERE node = 1", Part::Texts, node),
        ("UPDATE body SET text = text || '!' WHERE node = 1", Part::Texts, node),
        ("DELETE FROM body WHERE node = 1", Part::Texts, node),
        ("UPDATE node SET do_date = '2026-01-01' WHERE id = 1", Part::Index, node),
        ("UPDATE node SET hidden = 1 WHERE id = 1", Part::Index, node),
        ("UPDATE node SET tail = 5 WHERE id = 1", Part::Index, node),
        ("DELETE FROM tagged", Part::Index, node),
        ("INSERT INTO tagged VALUES (zeroblob(16), 1)", Part::Index, node),
        ("INSERT INTO tagged VALUES (zeroblob(16), 99999)", Part::Index, "of no node"),
        ("UPDATE name SET key = 'weeds' WHERE key = 'garden'", Part::Index, node),
        ("UPDATE link SET key = 'weeds'", Part::Index, node),
        ("INSERT INTO link VALUES ('weeds', 99999)", Part::Index, "of no node"),
        ("DELETE FROM search WHERE rowid = 1", Part::Index, node),
        (
            "DELETE FROM search WHERE rowid = 1; INSERT INTO search (rowid, title, body) VALUES (1, 'Garden', 'Weeds.')",
            Part::Index,
            node,
        ),
        ("INSERT INTO search (rowid, title, body) VALUES (99999, 'Weeds', '')", Part::Index, "row 99999"),
        ("INSERT INTO search (search) VALUES ('delete-all')", Part::Index, node),
    ];
    let sound = kept();
    for (sql, part, named) in cases {
        let kept = Kept { path: sound.path.with_file_name("copy.db"), _dir: tempfile::tempdir().unwrap() };
        std::fs::copy(&sound.path, &kept.path).unwrap();
        kept.damage(sql);
        let log = kept.log();
        let found = kept.look();
        assert!(
            said(&found).iter().any(|(at, words)| at == part && words.contains(named)),
            "{sql}: {:?}",
            said(&found)
        );
        assert!(found.can_be_rebuilt(), "{sql}: {:?}", said(&found));
        kept.rebuild();
        assert_eq!(said(&kept.look()), [], "after {sql}");
        assert_eq!(kept.log(), log, "{sql}");
    }
}

#[test]
fn damage_of_the_log_is_found_and_named_and_nothing_is_made_of_it() {
    const FREE: &str = "DROP TRIGGER log_is_append_only_update; DROP TRIGGER log_is_append_only_delete;
                        DROP TRIGGER stretch_is_append_only_update; DROP TRIGGER stretch_is_append_only_delete;";
    let cases: &[(&str, &str)] = &[
        (
            "UPDATE log SET packed = unhex(replace(hex(packed), hex('Garden'), hex('Barden'))) WHERE pos = 1",
            &format!("(it is on {GARDEN}, {TAG})"),
        ),
        (
            "UPDATE log SET packed = CAST(substr(packed, 1, length(packed) - 1) || x'7e' AS BLOB) WHERE pos = 9",
            "op 9 of origin",
        ),
        ("UPDATE log SET packed = x'ff' WHERE pos = 515", "position 515"),
        ("UPDATE log SET id = zeroblob(32) WHERE pos = 9", "op 9 of origin"),
        ("UPDATE log SET id = x'ff' WHERE pos = 9", "position 9 of the log cannot be read"),
        ("DELETE FROM log WHERE pos = 9", "position 9 is missing"),
        ("UPDATE stretch SET signature = zeroblob(64) WHERE last = 1", "the signature after op 1"),
        ("UPDATE stretch SET roll = zeroblob(32) WHERE last = 1", "the rolling hash at position 1"),
        ("UPDATE origin SET key = zeroblob(32)", "is not its key"),
        ("UPDATE chain SET tip_seq = 9", "do not end in the last of their ops"),
        ("DELETE FROM stretch WHERE last = (SELECT max(last) FROM stretch)", "goes on after the last signature"),
    ];
    let sound = kept();
    for (sql, named) in cases {
        let kept = Kept { path: sound.path.with_file_name("copy.db"), _dir: tempfile::tempdir().unwrap() };
        std::fs::copy(&sound.path, &kept.path).unwrap();
        kept.damage(FREE);
        kept.damage(sql);
        let found = kept.look();
        assert!(
            said(&found).iter().any(|(at, words)| *at == Part::Log && words.contains(named)),
            "{sql}: {:?}",
            said(&found)
        );
        assert!(!found.can_be_rebuilt(), "{sql}: {:?}", said(&found));
    }
}

#[test]
fn a_signature_that_is_gone_in_the_middle_is_missed_where_another_chain_follows() {
    let dir = tempfile::tempdir().unwrap();
    let (mine, theirs) = (dir.path().join("a.db"), dir.path().join("b.db"));
    let mut a = Replica::open(&mine, Arc::new(SystemEnv)).unwrap();
    let mut b = Replica::open(&theirs, Arc::new(SystemEnv)).unwrap();
    let write = |replica: &mut Replica| {
        replica
            .group(|group| group.write(|draft| draft.set(GARDEN, &field(TITLE), Value::text("x"))))
            .unwrap()
            .unwrap();
    };
    write(&mut a);
    write(&mut b);
    let page = b.reads().unwrap().read(|view| view.page_after(0, &Default::default(), 1 << 20)).unwrap().unwrap();
    let stretches = crate::page::decode(&page.bytes).unwrap();
    a.group(|group| group.ingest(&stretches, None)).unwrap().unwrap();
    drop(a);
    let kept = Kept { path: mine, _dir: dir };
    assert_eq!(said(&kept.look()), []);
    kept.damage("DROP TRIGGER stretch_is_append_only_delete; DELETE FROM stretch WHERE last = 1");
    assert_eq!(said(&kept.look()), [(Part::Log, "no signature ends what stands before position 2 of the log".into())]);
}

#[test]
fn a_page_of_the_file_that_is_overwritten_is_found_by_sqlite_and_left_alone() {
    let kept = kept();
    let root: i64 = Connection::open(&kept.path)
        .unwrap()
        .query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'log_chain'", [], |row| row.get(0))
        .unwrap();
    let mut bytes = std::fs::read(&kept.path).unwrap();
    let page = 4096 * (usize::try_from(root).unwrap() - 1);
    bytes[page..page + 64].fill(0xa5);
    std::fs::write(&kept.path, bytes).unwrap();
    let found = kept.look();
    assert!(found.damaged.contains(&Part::File), "{:?}", said(&found));
    assert!(!found.can_be_rebuilt());
}

#[test]
fn which_ops_are_of_one_action_is_made_anew() {
    let kept = kept();
    let mut replica = Replica::open(&kept.path, Arc::new(SystemEnv)).unwrap();
    // More than one op holds.
    let long = "A long list of weeds.\n".repeat(15_000);
    replica.group(|group| group.write(|draft| draft.append_body(TAG, &long))).unwrap().unwrap();
    drop(replica);
    assert_eq!(said(&kept.look()), []);
    kept.damage("DELETE FROM grouped WHERE pos = (SELECT max(pos) FROM grouped)");
    let found = kept.look();
    assert!(found.can_be_rebuilt() && said(&found)[0].1.contains("grouped"), "{:?}", said(&found));
    kept.rebuild();
    assert_eq!(said(&kept.look()), []);
}

#[test]
fn an_index_of_sqlites_that_lacks_a_row_is_made_anew() {
    let kept = kept();
    kept.damage(
        "PRAGMA writable_schema = 1; UPDATE sqlite_schema SET sql = sql || ' AND id > 9' WHERE name = 'node_conflicted';",
    );
    kept.damage("REINDEX node_conflicted; UPDATE node SET conflicted = 1 WHERE id = 2");
    kept.damage(
        "PRAGMA writable_schema = 1;
         UPDATE sqlite_schema SET sql = replace(sql, ' AND id > 9', '') WHERE name = 'node_conflicted';",
    );
    let found = kept.look();
    assert!(
        said(&found).iter().any(|(_, words)| words.contains("missing from index node_conflicted")),
        "{:?}",
        said(&found)
    );
    assert!(found.can_be_rebuilt(), "{:?}", said(&found));
    kept.rebuild();
    assert_eq!(said(&kept.look()), []);
}

#[test]
fn a_check_sees_one_state_of_the_file_and_keeps_nobody_from_writing() {
    let kept = kept();
    let mut replica = Replica::open(&kept.path, Arc::new(SystemEnv)).unwrap();
    let mut check = Check::begin(&kept.path, Arc::new(SystemEnv), Depth::Deep).unwrap();
    let mut parts = Vec::new();
    while let Some(Progress { part, done, of }) = check.step().unwrap() {
        assert!(done <= of, "{part:?}: {done} of {of}");
        parts.push(part);
        let write = |group: &mut crate::replica::Group<'_>| {
            group.write(|draft| draft.set(GARDEN, &field(TITLE), Value::text(format!("Garden {}", parts.len()))))
        };
        replica.group(write).unwrap().unwrap();
    }
    let found = check.into_found();
    assert_eq!((said(&found), found.ops), (vec![], 521));
    parts.dedup();
    assert_eq!(parts, [Part::Log, Part::State, Part::Index]);
    assert!(replica.reads().unwrap().read(|view| view.end()).unwrap().0 > 521);
    drop(replica);
    assert_eq!(said(&kept.look()), []);
}

#[test]
fn a_rebuild_that_fails_leaves_all_as_it_was() {
    let kept = kept();
    kept.damage("DROP TRIGGER log_is_append_only_update; UPDATE log SET packed = x'ff' WHERE pos = 515");
    let before = kept.look();
    let mut replica = Replica::open(&kept.path, Arc::new(SystemEnv)).unwrap();
    let outcome = replica.group(|group| group.rebuild());
    assert!(outcome.is_err(), "{outcome:?}");
    replica.group(|group| group.write(|draft| draft.set(TAG, &field(TITLE), Value::text("inside")))).unwrap().unwrap();
    drop(replica);
    let after = kept.look();
    assert_eq!((after.nodes, after.ops), (before.nodes, before.ops + 1));
}

#[test]
fn what_was_read_before_a_rebuild_is_merged_after_it() {
    let kept = kept();
    let mut replica = Replica::open(&kept.path, Arc::new(SystemEnv)).unwrap();
    let read = |replica: &Replica| {
        let body = |view: &View<'_>| view.body(&view.node(GARDEN)?.unwrap());
        replica.reads().unwrap().read(body).unwrap()
    };
    let before = read(&replica);
    replica.group(|group| group.write(|draft| draft.append_body(GARDEN, "between\n"))).unwrap().unwrap();
    replica.group(|group| group.rebuild()).unwrap().unwrap();
    let text = format!("first\n{}", before.text);
    let saved = replica.group(|group| group.write(|draft| draft.save_body(GARDEN, &text, Some(&before.version))));
    saved.unwrap().unwrap();
    let after = read(&replica).text;
    assert!(after.starts_with("first\n") && after.ends_with("between\n"), "{after}");
    drop(replica);
    assert_eq!(said(&kept.look()), []);
}
