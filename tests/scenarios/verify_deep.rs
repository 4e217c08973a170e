//! The deep check: what it finds, on which side, what it says to do, and that doing that helps.

use heph_api::types::{DeepReport, HubResult, SyncState};
use heph_store::env::{Env, SystemEnv};
use heph_tests::{Device, World, wait};
use rusqlite::Connection;
use std::path::Path;

const FREE_LOG: &str = "DROP TRIGGER log_is_append_only_update; DROP TRIGGER log_is_append_only_delete;";

/// Types `heph verify --deep`, and returns what it found; it has to end with this exit code.
#[track_caller]
fn verify_deep(device: &Device, more: &[&str], code: i32) -> DeepReport {
    device.heph(&[&["verify", "--deep", "--json"], more].concat()).exits(code).json()
}

fn damage(db: &Path, sql: &str) {
    Connection::open(db).unwrap().execute_batch(sql).unwrap();
}

/// A node's id as SQL has it.
fn blob(node: &str) -> String {
    format!("x'{}'", node.replace('-', ""))
}

/// Sentences of problems in a part.
fn of_part<'r>(report: &'r DeepReport, part: &str) -> Vec<&'r str> {
    report.problems.iter().filter(|problem| problem.part == part).map(|problem| problem.words.as_str()).collect()
}

#[test]
fn a_device_and_its_hub_that_are_sound_and_equal_are_said_to_be() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    laptop.task("Buy milk");
    phone.doc("Garden", "Tomatoes, and a [[Compost]] heap.\n");
    world.converge();
    assert_eq!(laptop.status().last_check, None);

    for device in [&laptop, &phone] {
        let report = verify_deep(device, &[], 0);
        assert!(report.ok && report.sound && report.problems.is_empty(), "{report:?}");
        assert_eq!((report.hub.result, report.hub.next.as_deref()), (HubResult::Equal, None));
        assert_eq!((report.ops, &report.state_digest), (device.summary().head, &report.rebuilt_digest));
        assert!(report.signatures > 0 && report.words >= 7 && report.texts == 1, "{report:?}");
    }
    let screen = laptop.heph(&["verify", "--deep"]).ok().text();
    assert!(screen.starts_with("sound: everything here was checked in "), "{screen}");
    assert!(screen.lines().count() <= 7 && screen.contains("all 256 buckets are equal"), "{screen}");
    let last = laptop.status().last_check.unwrap();
    assert!(last.ok && last.next.is_none() && last.words.starts_with("sound"), "{last:?}");
    assert!(laptop.heph(&["sync", "--status"]).ok().text().contains("last deep check"));
}

#[test]
fn a_device_without_a_hub_is_checked_by_itself() {
    let world = World::new();
    let lone = world.lone_device("lone");
    lone.task("Buy milk");
    let report = verify_deep(&lone, &[], 0);
    assert_eq!((report.ok, report.hub.result), (true, HubResult::None));
}

#[test]
fn what_is_wrong_with_a_devices_state_and_indexes_is_named_and_made_anew_when_asked() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    let (milk, garden) = (laptop.task("Buy milk"), laptop.doc("Garden", "Tomatoes.\n"));
    let digest = world.converge();
    laptop.stop();
    let state = format!(
        "UPDATE node SET state = (SELECT state FROM node WHERE uuid = {}) WHERE uuid = {}",
        blob(&garden),
        blob(&milk)
    );
    let search = format!("DELETE FROM search WHERE rowid = (SELECT id FROM node WHERE uuid = {})", blob(&garden));
    damage(&laptop.db_path(), &state);
    damage(&laptop.db_path(), &search);
    laptop.start();

    let report = verify_deep(&laptop, &[], 1);
    assert!(!report.ok && !report.sound, "{report:?}");
    assert!(of_part(&report, "state").iter().any(|words| words.contains(&milk)), "{report:?}");
    assert!(of_part(&report, "index").iter().any(|words| words.contains(&garden)), "{report:?}");
    assert!(report.problems.iter().all(|problem| problem.next == "heph verify --deep --repair"), "{report:?}");
    let status = laptop.status();
    assert!(!status.last_check.as_ref().unwrap().ok);
    assert_eq!(status.next.as_deref(), Some("heph verify --deep --repair"), "{status:?}");
    assert!(status.notices.iter().any(|notice| notice.contains("the deep check of")), "{status:?}");

    let report = verify_deep(&laptop, &["--repair"], 0);
    assert!(report.ok && !report.repaired.is_empty() && report.problems.is_empty(), "{report:?}");
    assert_eq!((report.hub.result, &report.state_digest), (HubResult::Equal, &digest));
    assert_eq!(laptop.title(&milk), "Buy milk");
    assert!(laptop.heph(&["search", "tomatoes"]).ok().text().contains("Garden"));
    assert_eq!(laptop.status().next, None);
    phone.retitle(&milk, "Buy oat milk");
    world.converge();
    assert_eq!(laptop.title(&milk), "Buy oat milk");
    laptop.verify();
}

#[test]
fn a_hub_that_makes_another_state_of_the_same_ops_is_told_from_the_device_and_heals_itself() {
    let world = World::new();
    let laptop = world.device("laptop");
    let milk = laptop.task("Buy milk");
    let digest = world.converge();
    let hub = world.hub();
    hub.stop();
    let bucket = u8::from_str_radix(&milk[milk.len() - 2..], 16).unwrap();
    let tampered = format!(
        "UPDATE node SET state = x'', hidden = 1 WHERE uuid = {};
         UPDATE digest SET sum = zeroblob(32) WHERE bucket = {bucket}",
        blob(&milk)
    );
    damage(&hub.db_path(), &tampered);
    // It has just looked, so that it does not look again because of what a device says.
    let now_ms = SystemEnv.now().get();
    let looked = format!(
        r#"INSERT INTO meta VALUES ('fact/deep_check', '{{"at_ms":{now_ms},"took_ms":1,"ops":1,"problems":0}}')"#
    );
    damage(&hub.db_path(), &looked);
    hub.start();

    let status = laptop.exchange();
    assert_eq!((status.state, status.next.as_deref()), (SyncState::Pending, Some("heph verify --deep")), "{status:?}");
    let report = verify_deep(&laptop, &[], 1);
    assert!(report.sound && !report.ok, "{report:?}");
    assert_eq!((report.hub.result, report.hub.buckets.as_slice()), (HubResult::Differs, [bucket].as_slice()));
    assert!(report.hub.nodes.contains(&milk), "{report:?}");
    assert!(report.hub.words.contains(&format!("nothing of {milk}")), "{}", report.hub.words);
    assert!(report.hub.next.unwrap().contains("the hub checks itself"));
    assert!(!laptop.status().last_check.unwrap().ok);

    hub.stop();
    damage(&hub.db_path(), "DELETE FROM meta WHERE key = 'fact/deep_check'");
    hub.start();
    laptop.exchange();
    wait::until("the hub to make its state anew", || (hub.digest() == digest).then_some(()));
    assert_eq!(laptop.exchange().state, SyncState::InSync);
    assert!(laptop.status().last_check.unwrap().ok, "what was found of the hub is no more");
    assert_eq!(verify_deep(&laptop, &[], 0).hub.result, HubResult::Equal);
    assert!(hub.stderr().contains("made anew"), "{}", hub.stderr());
}

#[test]
fn a_hub_that_is_away_is_said_to_be_and_the_rest_is_checked() {
    let world = World::new();
    let laptop = world.device("laptop");
    laptop.task("Buy milk");
    world.converge();
    world.hub().stop();
    let report = verify_deep(&laptop, &[], 4);
    assert!(report.sound && !report.ok, "{report:?}");
    assert_eq!(report.hub.result, HubResult::Away);
    assert!(report.hub.words.contains("connection refused"), "{}", report.hub.words);
    assert!(report.hub.words.ends_with("what is here is sound by itself"), "{}", report.hub.words);
    assert!(laptop.status().last_check.unwrap().ok, "nothing was found to be wrong");
}

#[test]
fn what_one_side_lacks_is_exchanged_before_the_states_are_compared() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    laptop.task("Buy milk");
    world.converge();
    let hub = world.hub();
    hub.stop();
    let old = world.dir("old");
    hub.copy_files(&old);
    hub.start();
    let bread = phone.task("Buy bread");
    world.converge();
    hub.stop();
    hub.put_back(&old);
    laptop.task("Buy eggs");
    hub.start();
    let report = verify_deep(&laptop, &[], 0);
    assert_eq!((report.hub.result, report.state_digest), (HubResult::Equal, hub.digest()));
    assert_eq!(laptop.title(&bread), "Buy bread");
}

#[test]
fn damage_of_the_log_is_not_touched_and_what_is_said_to_do_about_it_helps() {
    let world = World::new();
    let laptop = world.device("laptop");
    let milk = laptop.task("Buy milk");
    let digest = world.converge();
    laptop.stop();
    damage(&laptop.db_path(), FREE_LOG);
    damage(&laptop.db_path(), "UPDATE log SET packed = unhex(replace(hex(packed), hex('Buy milk'), hex('Buy silk')))");
    laptop.start();

    let report = verify_deep(&laptop, &["--repair"], 1);
    assert!(report.repaired.is_empty(), "{report:?}");
    assert!(of_part(&report, "log").iter().any(|words| words.contains(&milk)), "{report:?}");
    let files = format!("move {} (heph.db, heph.db-wal and heph.db-shm) away", laptop.db_path().display());
    assert!(report.problems.iter().all(|problem| problem.next.contains(&files)), "{report:?}");
    assert_eq!(
        (report.damaged.as_slice(), report.unchecked.as_slice()),
        (&["log".into(), "state".into()][..], &[][..])
    );
    assert_eq!(laptop.title(&milk), "Buy milk", "nothing was made of what is damaged");

    laptop.stop();
    for end in ["", "-wal", "-shm"] {
        let name = format!("heph.db{end}");
        let file = laptop.dir().join(&name);
        if file.exists() {
            std::fs::rename(&file, world.root().join(&name)).unwrap();
        }
    }
    laptop.start();
    laptop.sync();
    assert_eq!(laptop.title(&milk), "Buy milk");
    assert!(verify_deep(&laptop, &[], 0).ok);
    assert_ne!(laptop.digest(), digest, "it writes under another origin from now on, and says so");
}
