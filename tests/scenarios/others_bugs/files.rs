//! Files: backups and what is put back, disks that are full, and files that are not heph's.

use super::{heal, in_step, push, set_over, several_pages, task, titles};
use heph_api::types::SyncState;
use heph_store::{
    field::Value,
    id::{OpRef, Stamp},
    op::{Op, RawChange},
    page,
    read::Reads,
};
use heph_tests::{
    Device, Ended, Hub, World,
    raw::Door,
    wait,
    wire::{Author, reference},
};
use std::{
    collections::BTreeSet,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

/// A kind of change that no version knows yet.
const UNKNOWN_KIND: u64 = 99;

/// An op as it stands in a replica's file.
fn stored(db: &Path, op: &OpRef) -> Option<Vec<u8>> {
    Reads::open(db).unwrap().read(|view| view.op(op)).unwrap().map(|(_, op, _)| op.pack())
}

/// An op as the hub gives it away.
fn served(hub: &Hub, op: &OpRef) -> Option<Vec<u8>> {
    let question = serde_json::json!({ "ops": [op.to_string()] }).to_string();
    let answer = Door::to_hub(&hub.url()).post("/v1/sync/ops", "application/json", question.as_bytes());
    assert_eq!(answer.status, 200, "{answer:?}");
    let stretches = page::decode(&zstd::decode_all(answer.body.as_slice()).unwrap()).unwrap();
    let mut entries = stretches.iter().flat_map(|stretch| &stretch.entries);
    entries.find(|entry| entry.op.reference(&entry.id) == *op).map(|entry| entry.op.pack())
}

/// Puts a backup in the place of a device's database, as the how-to says.
fn put_back(device: &Device, backup: &Path) {
    fs::rename(device.db_path(), device.dir().join("old.db")).unwrap();
    for beside in ["heph.db-wal", "heph.db-shm"] {
        let path = device.dir().join(beside);
        if path.exists() {
            fs::remove_file(path).unwrap();
        }
    }
    fs::copy(backup, device.db_path()).unwrap();
}

fn backup(device: &Device, to: &Path) {
    device.heph(&[OsString::from("backup"), to.into()]).ok();
}

/// Elsewhere an older server dropped, or a restore refused, what a newer version had written.
#[test]
fn c04_an_op_from_a_newer_version_through_an_old_hub_its_backup_and_its_restore() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    let mut newer = Author::new(4);
    let node = newer.node(1);
    let known = newer.write(&[task(node, "plain"), vec![super::set(node, "mood", Value::text("sunny"))]].concat());
    let title = set_over(node, "title", Value::text("half an action"), &[&known]);
    let title = Op::new(newer.place(), Stamp::from_millis(1), None, [0; 16], &[title]).changes.remove(0);
    let meta = [node.as_bytes().as_slice(), b"\x00\xff of a later day"].concat();
    let held = newer.write_raw(vec![title, RawChange::new(UNKNOWN_KIND, meta, vec![0xfe; 2_000])]);
    push(&hub, &newer.page(&[known, held.clone()]));
    let (op, bytes) = (reference(&held), held.pack());
    a.sync();
    let (of_hub, of_a) = (world.dir("copy"), world.root().join("backup.db"));
    backup(&a, &of_a);
    assert_eq!(stored(&of_a, &op).as_ref(), Some(&bytes), "in the backup");
    hub.stop();
    hub.copy_files(&of_hub);
    hub.start();

    // The hub is put back to its copy, and loses everything after that; each time a new device gets all of it.
    for (n, restore) in [Hub::put_back as fn(&Hub, &Path), |hub, _| hub.lose_disk_but_the_key()].iter().enumerate() {
        hub.kill9();
        restore(&hub, &of_hub);
        hub.start();
        let new = world.device(&format!("new {n}"));
        in_step(&hub, &[&a, &new]);
        assert_eq!((served(&hub, &op).as_ref(), stored(&new.db_path(), &op).as_ref()), (Some(&bytes), Some(&bytes)));
        let status = new.status();
        assert_eq!((status.state, status.held), (SyncState::Held, 1), "kept, and said so: {status:?}");
        assert_eq!(new.show(&node.to_string()).fields["mood"], "sunny");
        assert_eq!(new.title(&node.to_string()), "plain", "nothing of it has an effect yet");
    }
    // The device is put back to its backup, while nobody else is there to give it anything.
    a.stop();
    put_back(&a, &of_a);
    a.know(None);
    a.start();
    assert_eq!(stored(&a.db_path(), &op), Some(bytes));
    assert_eq!((a.status().held, a.title(&node.to_string())), (1, "plain".to_owned()));
    a.join(&hub);
    heal(&hub, &[&a]);
}

/// Elsewhere restoring made a backup of its own first, and rotation then removed the oldest: the one being restored.
#[test]
fn c07_a_restore_that_rotates_away_the_backup_being_restored() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    a.task("in the backup");
    a.sync();
    let dir = world.dir("backups");
    let first = dir.join("first.db");
    backup(&a, &first);
    let bytes = fs::read(&first).unwrap();
    let is_there = |what: &str| assert!(fs::read(&first).unwrap() == bytes, "{what} changed the backup");

    a.task("after the backup");
    a.heph(&[OsString::from("backup"), first.clone().into()]).exits(1);
    is_there("a backup of the same name");
    for round in 0..3 {
        (0..5).for_each(|n| backup(&a, &dir.join(format!("{round}-{n}.db"))));
        is_there("further backups");
        a.stop();
        put_back(&a, &first);
        is_there("putting it back");
        a.know(None);
        a.start();
        assert_eq!(titles(&a), ["in the backup".to_owned()].into());
        a.verify();
        a.task(&format!("round {round}"));
        is_there("going on from it");
    }
    let names: BTreeSet<OsString> = fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 16, "nothing removed any backup, or left anything beside them: {names:?}");
    is_there("all of it");
    a.join(&hub);
    heal(&hub, &[&a]);
    assert!(titles(&a).contains("after the backup"), "what was synced comes back");
}

/// Tries to start a daemon on a file that is not its own.
#[track_caller]
fn is_refused(db: &Path, start: impl FnOnce() -> Result<(), Ended>) {
    let beside = || -> BTreeSet<PathBuf> {
        let paths = fs::read_dir(db.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
        paths.filter(|path| !["lock", "log"].iter().any(|end| path.extension().is_some_and(|e| e == *end))).collect()
    };
    let (bytes, files) = (fs::read(db).unwrap(), beside());
    let ended = start().expect_err("a daemon started on a file that is not its own");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("is a database, but not heph's"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
    assert!(fs::read(db).unwrap() == bytes, "the file was changed");
    assert_eq!(beside(), files, "something was left beside it");
}

/// Elsewhere a mistyped path made the program put its tables into another program's database.
#[test]
fn c15_a_plain_sqlite_file_offered_as_a_replica() {
    let kinds = [
        ("plain", "CREATE TABLE log (pos INTEGER); INSERT INTO log VALUES (1);"),
        (
            "write-ahead",
            "PRAGMA journal_mode = WAL; CREATE TABLE meta (key TEXT, value); INSERT INTO meta VALUES ('owner', 'me');",
        ),
        ("of another application", "PRAGMA application_id = 7; PRAGMA user_version = 1; CREATE TABLE mine (x);"),
    ];
    let world = World::new();
    for (name, sql) in kinds {
        let device = world.stopped_device(name);
        let hub = world.another_hub(&format!("hub, {name}"));
        hub.stop();
        hub.lose_disk_but_the_key();
        for db in [device.db_path(), hub.db_path()] {
            rusqlite::Connection::open(db).unwrap().execute_batch(sql).unwrap();
        }
        is_refused(&device.db_path(), || device.try_start());
        is_refused(&hub.db_path(), || hub.try_start());
        // Nor is one taken for the hub's list of owners.
        let control = hub.dir().join("hub.db");
        fs::rename(hub.db_path(), &control).unwrap();
        is_refused(&control, || hub.try_start());
    }
}

/// The largest file that the daemon may write at first, in bytes.
const FILE_BYTES: u64 = 4_000_000;

/// The words by which a daemon is started whose files cannot grow beyond [`FILE_BYTES`]: a write beyond that fails, as
/// it does on a full disk.
fn on_a_small_disk() -> [String; 4] {
    // The limit counts in 512 bytes. Its signal is ignored, so that the write fails and not the process.
    let script = format!("trap '' XFSZ; ulimit -S -f {}; exec \"$@\"", FILE_BYTES / 512);
    ["/bin/sh".into(), "-c".into(), script, "sh".into()]
}

/// Lets a running daemon write as much as it likes.
#[cfg(target_os = "linux")]
fn make_room(device: &Device) {
    use rustix::process::{Pid, Resource, Rlimit, prlimit};
    let pid = Pid::from_raw(device.pid().cast_signed());
    prlimit(pid, Resource::Fsize, Rlimit { current: None, maximum: None }).unwrap();
}

/// The same where that cannot be done from outside: it is started again, as often happens where room was made.
#[cfg(not(target_os = "linux"))]
fn make_room(device: &Device) {
    device.run_under(&[]);
    device.restart();
}

/// Elsewhere a first sync that met a full disk left a client that had to be wiped, or that believed that it was done.
#[test]
fn c19_disk_full_in_the_first_sync_then_space_freed() {
    let world = World::new();
    let (hub, writer) = (world.hub(), world.device("writer"));
    let docs = several_pages(&writer, "large", 12);
    writer.sync();
    let reader = world.stopped_device("reader");
    reader.know(Some(&hub));
    reader.run_under(&on_a_small_disk());
    reader.start();

    let full =
        wait::until("the disk to be full", || Some(reader.exchange()).filter(|status| status.last_error.is_some()));
    assert!(!full.state.is_in_step(), "{full:?}");
    let there = hub.summary().head;
    assert!((2..there).contains(&full.op_count), "some of it fits: {full:?}");
    assert_eq!(super::passed_over(&reader, &hub), 0, "the cursor has passed over what did not fit");
    reader.tasks();

    make_room(&reader);
    in_step(&hub, &[&reader]);
    docs.iter().for_each(|(doc, text)| assert!(reader.text(doc) == *text, "{doc} is not what was written"));
    assert_eq!(reader.status().last_error, None);
    reader.task("and it can be written to");
    heal(&hub, &[&writer, &reader]);
}
