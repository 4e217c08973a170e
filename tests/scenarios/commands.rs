//! The command line as scripts rely on it: the keys of `--json`, and the exit codes.

use heph_tests::World;
use serde_json::Value;

#[track_caller]
fn assert_keys(value: &Value, keys: &[&str], what: &str) {
    let object = value.as_object().unwrap_or_else(|| panic!("{what} is no object: {value}"));
    for key in keys {
        assert!(object.contains_key(*key), "{what} has no {key}: {value}");
    }
}

const TASK: &[&str] =
    &["node_id", "short_id", "title", "state", "do_date", "late_on", "recurrence", "attention", "project", "tags"];
const NODE: &[&str] = &["node_id", "short_id", "kind", "title"];
const TEXT: &[&str] = &["node_id", "text", "version", "path", "tags", "contested", "held"];
const WRITTEN: &[&str] = &["node_id", "version", "changed", "merged", "op"];
const STATUS: &[&str] = &[
    "state",
    "since",
    "hub_url",
    "hub_id",
    "owner_id",
    "origin",
    "pull_cursor",
    "push_cursor",
    "pending_push",
    "last_sync_at",
    "last_error",
    "state_digest",
    "op_count",
    "held",
    "conflicts",
    "words",
    "next",
];

#[test]
fn every_command_prints_json_with_its_documented_keys() {
    let world = World::new();
    let laptop = world.device("laptop");
    let vault = world.dir("vault");
    std::fs::write(vault.join("Note.md"), "see [[Trip]]\n").unwrap();
    let (vault, out) = (vault.to_str().unwrap().to_owned(), world.root().join("out"));
    let backup = world.root().join("copy.db");
    let task = laptop.task("Buy milk");
    let doc = laptop.doc("Trip", "Pack the tent.\n");
    let (out, backup) = (out.to_str().unwrap(), backup.to_str().unwrap());

    let objects: &[(&[&str], &[&str])] = &[
        (&["task", "Water the plants", "--do", "2026-12-24", "--every", "weekly", "--tag", "home"], TASK),
        (&["show", &task], &["node_id", "kind", "title", "hidden", "task", "fields", "contested", "body", "owned"]),
        (&["edit", &task, "--attention", "red", "--project", "House"], &["node_id", "kind", "task", "merged", "op"]),
        (&["log", &task, "sold out"], &["node_id", "entry_id", "op"]),
        (&["context", &task], TEXT),
        (&["context", &task, "--append", "Oat, not cow."], WRITTEN),
        (&["done", &task], &[TASK, &["op", "occurrence", "next"]].concat()),
        (&["drop", &task], &[TASK, &["op"]].concat()),
        (&["rm", &task], &[NODE, &["op"]].concat()),
        (&["undelete", &task], &[NODE, &["op"]].concat()),
        (&["undo"], &["ops", "undone", "kept", "already", "op"]),
        (&["doc", "new", "Another", "--body", "x"], WRITTEN),
        (&["doc", "show", &doc], TEXT),
        (&["doc", "edit", &doc, "--body", "Pack the red tent.\n"], WRITTEN),
        (&["doc", "append", &doc, "Book the train."], WRITTEN),
        (&["journal", "2026-12-24"], TEXT),
        (&["journal", "2026-12-24", "--append", "Rain."], WRITTEN),
        (&["conflicts", "show", &doc], &[NODE, &["contested"]].concat()),
        (
            &["import", "obsidian", &vault],
            &["vault", "notes", "new", "changed", "unchanged", "links", "links_resolved", "left_out", "ops"],
        ),
        (&["export", out], &["dir", "written", "unchanged", "left_out"]),
        (&["sync", "--wait"], STATUS),
        (&["sync", "--status"], STATUS),
        (&["sync", "--switch-hub"], &["hub_id", "pinned_hub_id", "to_push", "to_pull", "switched", "words"]),
        (&["verify"], &["ok", "ops", "nodes", "state_digest", "rebuilt_digest", "problems"]),
        (
            &["verify", "--deep"],
            &[
                "ok",
                "sound",
                "checked_at",
                "took_ms",
                "ops",
                "signatures",
                "nodes",
                "texts",
                "words",
                "held",
                "missing",
                "state_digest",
                "rebuilt_digest",
                "problems",
                "more_problems",
                "repaired",
                "hub",
            ],
        ),
        (&["backup", backup], &["file", "bytes", "ops", "state_digest"]),
        (&["version"], &["version", "daemon"]),
    ];
    for (words, keys) in objects {
        let said = laptop.json(words);
        assert_keys(&said, keys, &words.join(" "));
        if words[0] == "drop" {
            // What follows needs it outstanding no longer.
            assert_eq!(said["state"], "dropped");
        }
    }
    let lists: &[(&[&str], &[&str])] = &[
        (&["list", "--state", "all"], TASK),
        (&["search", "tent"], &[NODE, &["snippet"]].concat()),
        (&["backlinks", &doc], NODE),
        (&["history", &doc], &["op", "stamp_ms", "origin", "device", "group", "what", "undone", "held"]),
        (&["doc", "list"], &[NODE, &["path", "project", "tags", "conflicted"]].concat()),
        (&["devices"], &["origin", "name", "here", "ops", "newest_stamp_ms", "branches"]),
    ];
    for (words, keys) in lists {
        let said = laptop.json(words);
        let rows = said.as_array().unwrap_or_else(|| panic!("{words:?} printed no array: {said}"));
        assert!(!rows.is_empty(), "{words:?} printed nothing");
        rows.iter().for_each(|row| assert_keys(row, keys, &words.join(" ")));
    }
    assert_eq!(laptop.json(&["conflicts"]), serde_json::json!([]));
}

#[test]
fn the_values_of_a_task_row_are_what_was_typed() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    laptop
        .heph(&[
            "task",
            "Water",
            "the",
            "plants",
            "--do",
            "2026-12-24",
            "--late",
            "2026-12-25",
            "--every",
            "weekly",
            "--attention",
            "red",
            "--project",
            "House",
            "--tag",
            "home",
            "--tag",
            "garden",
        ])
        .ok();
    let row = &laptop.json(&["list"])[0];

    assert_eq!(row["title"], "Water the plants");
    assert_eq!(row["state"], "outstanding");
    assert_eq!(row["do_date"], "2026-12-24");
    assert_eq!(row["late_on"], "2026-12-25");
    assert_eq!(row["recurrence"], "weekly");
    assert_eq!(row["attention"], "red");
    assert_eq!(row["project"], "House");
    assert_eq!(row["tags"], serde_json::json!(["garden", "home"]));
}

#[test]
fn a_task_without_fields_has_nulls_and_no_missing_keys() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    let made = laptop.json(&["task", "Buy milk"]);

    for key in ["do_date", "late_on", "recurrence", "attention", "project"] {
        assert_eq!(made.get(key), Some(&Value::Null), "{key}");
    }
}

#[test]
fn every_field_of_a_task_is_changed_and_cleared() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");

    laptop
        .heph(&[
            "edit",
            &task,
            "--title",
            "Buy bread",
            "--do",
            "2026-12-24",
            "--late",
            "2026-12-31",
            "--attention",
            "blue",
            "--every",
            "daily",
            "--project",
            "House",
            "--tag",
            "shop",
            "--body",
            "rye\n",
        ])
        .ok();
    let changed = laptop.show(&task);
    laptop
        .heph(&[
            "edit",
            &task,
            "--no-do",
            "--no-late",
            "--no-attention",
            "--no-every",
            "--no-project",
            "--untag",
            "shop",
        ])
        .ok();
    let cleared = laptop.task_row(&task);

    let row = changed.task.unwrap();
    let fields = (row.do_date.as_deref(), row.late_on.as_deref(), row.attention.as_deref(), row.recurrence.as_deref());
    assert_eq!(fields, (Some("2026-12-24"), Some("2026-12-31"), Some("blue"), Some("daily")));
    assert_eq!(
        (row.title.as_str(), row.project.as_deref(), row.tags.join(" ").as_str()),
        ("Buy bread", Some("House"), "shop")
    );
    assert_eq!(changed.body.unwrap().text, "rye\n");
    let none = (cleared.do_date, cleared.late_on, cleared.attention, cleared.recurrence, cleared.project);
    assert_eq!(none, (None, None, None, None, None));
    assert!(cleared.tags.is_empty());
}

#[test]
fn lists_are_narrowed_by_project_tag_state_and_date() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    laptop.heph(&["task", "Paint", "--project", "House", "--do", "2026-11-01"]).ok();
    laptop.heph(&["task", "Mow", "--tag", "garden", "--do", "2026-12-01"]).ok();
    let done = laptop.task("Rest");
    laptop.heph(&["done", &done]).ok();
    let titles = |words: &[&str]| -> Vec<String> {
        let rows = laptop.json(words);
        rows.as_array().unwrap().iter().map(|row| row["title"].as_str().unwrap().to_owned()).collect()
    };

    assert_eq!(titles(&[]), ["Paint", "Mow"], "without a command: what is to do");
    assert_eq!(titles(&["list"]), ["Paint", "Mow"]);
    assert_eq!(titles(&["list", "--project", "House"]), ["Paint"]);
    assert_eq!(titles(&["list", "--tag", "garden"]), ["Mow"]);
    assert_eq!(titles(&["list", "--state", "done"]), ["Rest"]);
    assert_eq!(titles(&["list", "--state", "all"]).len(), 3);
    assert_eq!(titles(&["list", "--due", "2026-11-30"]), ["Paint"]);
}

#[test]
fn ids_may_be_shortened_to_any_unique_end() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let made = laptop.json(&["task", "Buy milk"]);

    let short = made["short_id"].as_str().unwrap();
    let shown = laptop.json(&["show", short]);

    assert!(short.len() >= 4);
    assert_eq!(shown["node_id"], made["node_id"]);
}

#[test]
fn texts_are_read_from_standard_input_and_written_to_standard_output_byte_for_byte() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let text = "one\r\n\ttwo \u{1f98a}\nno end";

    let made = laptop.heph_with_stdin(&["doc", "new", "Piped", "--body", "-", "--json"], text.as_bytes()).ok();
    let id = made.json::<Value>()["node_id"].as_str().unwrap().to_owned();

    assert_eq!(laptop.heph(&["doc", "show", &id]).ok().stdout, text.as_bytes());
}

#[test]
fn what_fails_exits_with_one_and_says_one_json_object() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    for (words, code) in [
        (&["show", "0123abcd"][..], "not_found"),
        (&["task", "x", "--every", "sometimes"], "bad_request"),
        (&["undo", "nonsense"], "bad_request"),
        (&["import", "obsidian", "/nowhere/at/all"], "file_error"),
        (&["list", "--tag", "none-such"], "not_found"),
    ] {
        let said = laptop.heph(&[words, &["--json"]].concat()).exits(1);
        assert!(said.stdout.is_empty(), "{}", said.text());
        assert_eq!(said.error().code, code, "{}", said.typed);
    }
}

#[test]
fn what_cannot_be_typed_exits_with_two() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    for words in
        [&["task"][..], &["no-such-command"], &["list", "--state", "odd"], &["task", "x", "--do", "32-13-2026"]]
    {
        let said = laptop.heph(words).exits(2);
        assert!(
            said.stderr.contains("Usage") || said.stderr.contains("usage") || said.stderr.contains("--help"),
            "{said:?}"
        );
    }
}

#[test]
fn without_a_daemon_a_command_exits_with_three() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");

    for words in [&["task", "x"][..], &["list"], &["sync", "--status"], &["verify"], &["doc", "list"]] {
        let said = laptop.heph(&[words, &["--json"]].concat()).exits(3);
        assert_eq!(said.error().code, "not_running");
    }
}

#[test]
fn the_status_exits_with_four_while_something_is_left_to_exchange() {
    let world = World::new();
    let laptop = world.device("laptop");
    world.converge();
    laptop.heph(&["sync", "--status"]).exits(0);
    world.hub().stop();

    laptop.task("Buy milk");
    laptop.heph(&["sync", "--wait"]).exits(1);
    let said = laptop.heph(&["sync", "--status", "--json"]).exits(4);

    let status: Value = said.json();
    assert_eq!(status["pending_push"], 1);
    assert_eq!(status["last_error"]["code"], "hub_unreachable");
    assert!(status["last_error"]["hint"].is_string(), "{status}");
    world.hub().start();
    world.converge();
    laptop.heph(&["sync", "--status"]).exits(0);
}

#[test]
fn a_device_without_a_hub_is_in_step_with_all_there_is() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    laptop.task("Buy milk");

    let status: Value = laptop.heph(&["sync", "--status", "--json"]).exits(0).json();

    assert_eq!(status["state"], "local");
    assert_eq!(status["hub_url"], Value::Null);
}

#[test]
fn a_backup_is_a_replica_that_a_daemon_opens() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");
    let spare = world.stopped_device("spare");

    let report = laptop.json(&["backup", spare.db_path().to_str().unwrap()]);
    spare.start();

    assert_eq!(spare.title(&task), "Buy milk");
    assert_eq!(report["state_digest"], laptop.digest());
    spare.verify();
}

#[test]
fn devices_are_listed_by_name_with_what_they_wrote() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    laptop.task("Buy milk");
    phone.task("Buy bread");
    world.converge();

    let rows = laptop.json(&["devices"]);

    let rows: Vec<_> = rows.as_array().unwrap().iter().map(|row| (row["name"].as_str(), row["here"] == true)).collect();
    assert_eq!(rows, [(Some("laptop"), true), (Some("phone"), false)]);
}

#[test]
fn the_history_says_who_did_what() {
    let world = World::new();
    let (laptop, phone) = (world.device("laptop"), world.device("phone"));
    let task = laptop.task("Buy milk");
    world.converge();
    phone.retitle(&task, "Buy oat milk");
    world.converge();

    let history = laptop.json(&["history", &task]);

    assert_eq!((&history[0]["device"], &history[1]["device"]), (&"phone".into(), &"laptop".into()));
    assert!(history[0]["what"][0].as_str().is_some_and(|what| what.contains("Buy oat milk")), "{history}");
}

#[test]
fn a_log_entry_of_several_lines_is_shown_on_several_lines() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");

    laptop.heph_with_stdin(&["log", &task, "-"], b"sold out\nback on Monday\n").ok();
    let shown = laptop.heph(&["show", &task]).ok().text();

    assert!(shown.contains("  sold out\n    back on Monday\n"), "{shown}");
}

#[test]
fn a_control_sequence_in_a_title_is_data() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    let made = laptop.json(&["task", "red \u{1b}[31m herring"]);
    let listed = laptop.heph(&["list"]).ok().text();

    assert_eq!(made["title"], "red \u{1b}[31m herring");
    assert!(listed.contains("red \u{fffd}[31m herring"), "{listed:?}");
}
