//! Texts written apart: every paragraph is there, once, and no save takes away what its author never saw.

use std::{fs, os::unix::fs::PermissionsExt, thread};

use heph_tests::{Said, process, wait};

use crate::Apart;

const FIRST: &str = "# Trip\n\nPack the tent.\n";

#[track_caller]
fn assert_once(text: &str, part: &str) {
    assert_eq!(text.matches(part).count(), 1, "{part:?} is not there once in {text:?}");
}

#[test]
fn paragraphs_written_apart_into_one_text_are_both_there() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));

    apart.laptop.rewrite(&doc, "# Trip\n\nBook the train.\n\nPack the tent.\n");
    apart.phone.rewrite(&doc, "# Trip\n\nPack the tent.\n\nAsk the neighbours.\n");
    apart.meet();

    let text = apart.laptop.text(&doc);
    assert_eq!(text, apart.phone.text(&doc));
    for part in ["Book the train.", "Pack the tent.", "Ask the neighbours."] {
        assert_once(&text, part);
    }
    assert!(apart.laptop.conflicts().is_empty());
}

#[test]
fn a_text_saved_from_an_editor_that_was_open_while_a_paragraph_arrived_loses_nothing_and_says_merged() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));
    apart.meet();

    let opened = apart.laptop.json(&["doc", "show", &doc]);
    apart.phone.append(&doc, "Ask the neighbours.");
    apart.world.converge();
    let version = opened["version"].as_str().expect("a text comes with its version");
    let edited = opened["text"].as_str().unwrap().replace("tent", "red tent");
    let saved = apart.laptop.json(&["doc", "edit", &doc, "--body", &edited, "--base", version]);
    apart.world.converge();

    assert_eq!(saved["merged"], true);
    for device in apart.both() {
        let text = device.text(&doc);
        assert_once(&text, "Pack the red tent.");
        assert_once(&text, "Ask the neighbours.");
    }
}

/// Opens a doc in an editor that adds `Buy a map.` and stays open while `meanwhile` happens; returns what was said then.
fn edited_while(apart: &Apart, doc: &str, meanwhile: impl FnOnce()) -> Said {
    let dir = apart.world.dir("editor");
    let script =
        "#!/bin/sh\nset -e\nprintf 'Buy a map.\\n' >> \"$1\"\n: > opened\nwhile [ ! -e close ]; do sleep 0.02; done\n";
    fs::write(dir.join("editor"), script).unwrap();
    fs::set_permissions(dir.join("editor"), fs::Permissions::from_mode(0o700)).unwrap();
    let mut edit = apart.laptop.heph_command(&["doc", "edit", doc]);
    edit.env("EDITOR", dir.join("editor")).current_dir(&dir);
    let editing = thread::spawn(move || process::run(edit, b""));
    wait::until("the editor to open", || dir.join("opened").exists().then_some(()));
    meanwhile();
    fs::write(dir.join("close"), "").unwrap();
    editing.join().unwrap()
}

#[test]
fn a_real_editor_may_stay_open_while_a_paragraph_arrives() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));
    apart.meet();

    let said = edited_while(&apart, &doc, || {
        apart.phone.append(&doc, "Ask the neighbours.");
        apart.world.converge();
    });
    apart.world.converge();

    assert!(said.ok().stderr.contains("merged"));
    let text = apart.phone.text(&doc);
    for part in ["Pack the tent.", "Buy a map.", "Ask the neighbours."] {
        assert_once(&text, part);
    }
}

#[test]
fn a_text_in_an_editor_whose_doc_is_deleted_meanwhile_is_kept_in_a_file() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));
    apart.meet();

    let said = edited_while(&apart, &doc, || {
        apart.phone.delete(&doc);
        apart.world.converge();
    });

    let said = said.exits(1).stderr;
    let (_, behind) =
        said.split_once("your text is kept in ").unwrap_or_else(|| panic!("it is not said where: {said}"));
    let (file, _) = behind.split_once(';').expect("how to save it comes next");
    assert!(fs::read_to_string(file).unwrap().ends_with("Pack the tent.\nBuy a map.\n"));
}

#[test]
fn a_paragraph_deleted_while_another_one_grows_is_gone_and_the_other_one_stays() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", "Pack the tent.\n\nFeed the cat.\n"));

    apart.laptop.rewrite(&doc, "Feed the cat.\n");
    apart.phone.rewrite(&doc, "Pack the tent.\n\nFeed the cat and the fish.\n");
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.text(&doc), "Feed the cat and the fish.\n");
    }
}

#[test]
fn the_journal_of_a_day_begun_apart_has_what_both_wrote() {
    let (apart, ()) = Apart::after(|_| ());

    apart.laptop.heph(&["journal", "2026-12-24", "--append", "Rain all morning."]).ok();
    apart.phone.heph(&["journal", "2026-12-24", "--append", "Found the old map."]).ok();
    apart.meet();

    let texts = apart.both().map(|device| device.heph(&["journal", "2026-12-24"]).ok().text());
    assert_eq!(texts[0], texts[1]);
    assert_once(&texts[0], "Rain all morning.\n");
    assert_once(&texts[0], "Found the old map.\n");
}

#[test]
fn the_context_of_a_task_begun_apart_has_what_both_wrote() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Repair the roof"));

    apart.laptop.heph(&["context", &task, "--append", "Ask for the ladder."]).ok();
    apart.phone.heph(&["context", &task, "--append", "Order tiles."]).ok();
    apart.meet();

    let texts = apart.both().map(|device| device.heph(&["context", &task]).ok().text());
    assert_eq!(texts[0], texts[1]);
    assert_once(&texts[0], "Ask for the ladder.\n");
    assert_once(&texts[0], "Order tiles.\n");
}

#[test]
fn log_entries_added_apart_are_all_there() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Repair the roof"));

    apart.laptop.log_entry(&task, "called the roofer");
    apart.phone.log_entry(&task, "measured the hole");
    apart.meet();

    for device in apart.both() {
        let mut log: Vec<_> = device.show(&task).owned.into_iter().filter_map(|entry| entry.text).collect();
        log.sort();
        assert_eq!(log, ["called the roofer", "measured the hole"]);
    }
}

#[test]
fn saving_what_is_there_already_writes_nothing() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));
    let before = apart.laptop.status().op_count;

    let saved = apart.laptop.rewrite(&doc, FIRST);

    assert!(!saved.changed && saved.op.is_none());
    assert_eq!(apart.laptop.status().op_count, before);
}

#[test]
fn a_text_of_a_megabyte_travels_whole() {
    let long: String =
        (0..20_000).map(|line| format!("line {line}: the quick brown fox, ünïcödé, \u{1f98a}\n")).collect();
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Long", &long));

    apart.phone.rewrite(&doc, &long.replace("line 7777:", "line seven:"));
    apart.meet();

    assert_eq!(apart.laptop.text(&doc), long.replace("line 7777:", "line seven:"));
}

#[test]
fn characters_of_four_bytes_and_lone_carriage_returns_survive_edits_apart() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Odd", "\u{feff}🦊🦊\r\nmiddle\rend"));

    apart.laptop.rewrite(&doc, "\u{feff}🦊🐻🦊\r\nmiddle\rend");
    apart.phone.rewrite(&doc, "\u{feff}🦊🦊\r\nmiddle\rend\u{0}🐟");
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.text(&doc), "\u{feff}🦊🐻🦊\r\nmiddle\rend\u{0}🐟");
    }
}

#[test]
fn a_version_of_another_replica_is_refused_and_nothing_is_written() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", FIRST));
    let foreign = apart.phone.read(&doc).version;

    let said = apart.laptop.heph(&["doc", "edit", &doc, "--body", "x", "--base", &foreign, "--json"]).exits(1);

    assert_eq!(said.error().code, "stale_version");
    assert_eq!(apart.laptop.text(&doc), FIRST);
}
