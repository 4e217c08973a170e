//! What is said where something was typed wrongly: what is wrong, in the person's own words, and what to type instead.

use heph_api::ApiError;
use heph_tests::{Device, World};

/// Types a command that fails, and returns what it said.
#[track_caller]
fn refused(device: &Device, words: &[&str]) -> ApiError {
    device.heph(&[words, &["--json"]].concat()).exits(1).error()
}

#[test]
fn wrong_usage_is_one_json_object_too_where_json_is_asked_for() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");

    for words in
        [&["task", "--json"][..], &["--json", "lisst"], &["list", "--state", "odd", "--json"], &["doc", "--json"]]
    {
        let said = laptop.heph(words).exits(2);
        let error = said.error();
        assert!(said.stdout.is_empty() && error.code == "usage" && error.hint.is_some(), "{error:?}");
        assert!(!error.message.contains('\n') && !error.message.starts_with("error"), "{error:?}");
    }
    let plain = laptop.heph(&["lisst"]).exits(2).stderr;
    assert!(plain.starts_with("error: ") && plain.contains("Usage: heph"), "{plain}");
    assert!(laptop.heph(&["--json", "--help"]).exits(0).text().contains("Usage: heph"));
}

#[test]
fn a_backup_that_cannot_be_written_names_the_file_that_was_typed() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let (taken, nowhere) = (world.root().join("taken.db"), world.root().join("no/such/copy.db"));
    let (inside, taken) = (taken.join("copy.db"), taken.to_str().unwrap());
    std::fs::write(taken, "mine").unwrap();

    let error = refused(&laptop, &["backup", taken]);
    assert_eq!(
        error.message,
        format!("cannot write a backup to {taken}: it is there already, and a backup replaces nothing")
    );
    assert_eq!((error.code.as_str(), error.hint.is_some()), ("file_error", true));
    let error = refused(&laptop, &["backup", nowhere.to_str().unwrap()]);
    let dir = nowhere.parent().unwrap().display();
    assert_eq!(error.message, format!("cannot write a backup to {}: there is no directory {dir}", nowhere.display()));
    assert_eq!(error.hint, Some(format!("make it first: mkdir -p '{dir}'")));
    let error = refused(&laptop, &["backup", inside.to_str().unwrap()]);
    assert!(error.message.ends_with(&format!("{taken} is not a directory")), "{}", error.message);

    assert_eq!(std::fs::read_to_string(taken).unwrap(), "mine");
}

#[test]
fn what_was_typed_is_what_is_said_to_be_wrong() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    laptop.heph(&["task", "Mow", "--tag", "garden"]).ok();

    let rule = refused(&laptop, &["task", "x", "--every", "Fortnightly"]);
    assert!(rule.message.contains("\"Fortnightly\" is not a rule; try daily"), "{}", rule.message);
    let tag = refused(&laptop, &["list", "--tag", "gardn"]);
    assert_eq!((tag.message.as_str(), tag.hint.as_deref()), ("there is no tag named gardn", Some("there are: garden")));
    let empty = refused(&laptop, &["show", ""]);
    assert_eq!(empty.hint.as_deref(), Some("heph list, heph doc list and heph search show ids"));
    let date = laptop.heph(&["task", "x", "--do", "soon"]).exits(2).stderr;
    assert!(date.contains("YYYY-MM-DDTHH:MM"), "{date}");
}

#[test]
fn a_task_without_occurrences_is_named_by_its_short_id() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let made = laptop.json(&["task", "Mow"]);
    let short = made["short_id"].as_str().unwrap();

    let error = refused(&laptop, &["done", made["node_id"].as_str().unwrap(), "--on", "2026-12-01"]);

    assert_eq!(error.message, format!("{short} does not recur, so it has no occurrences"));
}

#[test]
fn one_hit_of_several_is_one() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    (0..3).for_each(|number| drop(laptop.task(&format!("milk {number}"))));

    let one = laptop.heph(&["search", "milk", "--limit", "1"]).ok().stderr;
    let two = laptop.heph(&["search", "milk", "--limit", "2"]).ok().stderr;

    assert_eq!(one, "heph: there is more than 1 hit; ask for more with --limit\n");
    assert_eq!(two, "heph: there are more than 2 hits; ask for more with --limit\n");
}

#[test]
fn a_hub_that_is_one_s_own_is_nothing_to_switch_to() {
    let world = World::new();
    let laptop = world.device("laptop");
    laptop.sync();

    for words in [&["sync", "--switch-hub"][..], &["sync", "--switch-hub", "--yes"]] {
        let said = laptop.heph(words).ok().text();
        assert!(said.ends_with("is the one this device belongs to; there is nothing to switch\n"), "{said}");
        assert_eq!(said.lines().count(), 1, "{said}");
        assert_eq!(laptop.json(words)["switched"], false);
    }
}
