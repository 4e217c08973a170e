//! Taking back: from any device, once, without touching what was done since.

use heph_api::types::{ListDocs, Undo};
use heph_tests::{files, wait};

use crate::Apart;

#[test]
fn an_edit_is_undone_from_the_other_device_and_a_second_time_is_nothing() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy silk");
        (task, op)
    });
    apart.meet();

    let first = apart.phone.undo(&op);
    apart.world.converge();
    let before = apart.laptop.status().op_count;
    let second = [apart.laptop.undo(&op), apart.phone.undo(&op)];

    assert!(!first.already && first.undone.len() == 1);
    assert!(second.iter().all(|report| report.already && report.op.is_none()));
    assert_eq!(apart.laptop.status().op_count, before);
    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy milk");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn one_deletion_undone_on_both_devices_at_once_is_undone_once() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.delete(&task);
        (task, op)
    });

    for device in apart.both() {
        assert!(!device.undo(&op).already);
    }
    apart.meet();

    for device in apart.both() {
        assert!(!device.is_hidden(&task));
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn one_deletion_of_text_undone_on_both_devices_at_once_does_not_double_the_text() {
    let (apart, (doc, op)) = Apart::after(|laptop| {
        let doc = laptop.doc("Trip", "Pack the tent.\n\nFeed the cat.\n");
        let op = laptop.rewrite(&doc, "Feed the cat.\n").op.expect("a paragraph went");
        (doc, op)
    });

    for device in apart.both() {
        assert!(!device.undo(&op).already);
    }
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.text(&doc), "Pack the tent.\n\nFeed the cat.\n");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn what_was_changed_since_is_left_and_said() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy silk");
        (task, op)
    });
    apart.phone.retitle(&task, "Buy silk and thread");
    apart.meet();

    let report = apart.laptop.undo(&op);
    apart.world.converge();

    assert!(report.undone.is_empty());
    assert!(report.kept[0].why.as_deref().is_some_and(|why| why.contains("since")), "{report:?}");
    assert_eq!(apart.phone.title(&task), "Buy silk and thread");
}

#[test]
fn an_undo_apart_from_a_later_edit_keeps_both_values() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy silk");
        (task, op)
    });

    apart.laptop.undo(&op);
    apart.phone.retitle(&task, "Buy silk and thread");
    apart.meet();

    for device in apart.both() {
        let mut values = device.values(&task, "title");
        values.sort_by_key(ToString::to_string);
        assert_eq!(values, ["Buy milk", "Buy silk and thread"]);
    }
}

#[test]
fn undo_without_an_op_takes_back_what_this_device_did_last() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    apart.laptop.retitle(&task, "Buy oat milk");
    apart.meet();
    apart.phone.log_entry(&task, "sold out");
    apart.world.converge();

    apart.laptop.heph(&["undo"]).ok();
    apart.world.converge();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy milk");
        assert_eq!(device.show(&task).owned.len(), 1, "the other device's entry stays");
    }
}

#[test]
fn undo_twice_goes_back_two_steps() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    apart.laptop.retitle(&task, "Buy oat milk");
    apart.laptop.retitle(&task, "Buy rice milk");

    apart.laptop.heph(&["undo"]).ok();
    apart.laptop.heph(&["undo"]).ok();
    apart.meet();

    assert_eq!(apart.phone.title(&task), "Buy milk");
}

#[test]
fn two_changes_of_a_text_are_undone_one_after_the_other() {
    let (apart, doc) = Apart::after(|laptop| laptop.doc("Trip", "Pack the tent.\n"));
    apart.laptop.append(&doc, "Book the train.");
    apart.laptop.rewrite(&doc, "Pack the red tent.\nBook the train.\n");

    apart.laptop.heph(&["undo"]).ok();
    apart.laptop.heph(&["undo"]).ok();
    apart.meet();

    assert_eq!(apart.phone.text(&doc), "Pack the tent.\n");
}

#[test]
fn a_change_undone_and_made_again_is_undone_again() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy oat milk");
        (task, op)
    });
    let undo = apart.laptop.undo(&op).op.expect("it was undone");
    apart.laptop.undo(&undo);
    assert_eq!(apart.laptop.title(&task), "Buy oat milk");

    let again = apart.laptop.undo(&op);
    apart.meet();

    assert_eq!(again.undone.len(), 1, "{again:?}");
    assert_eq!(apart.phone.title(&task), "Buy milk");
}

#[test]
fn an_undo_is_undone_like_anything_else() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy oat milk");
        (task, op)
    });
    apart.meet();

    let undo = apart.phone.undo(&op).op.expect("it was undone");
    apart.world.converge();
    apart.laptop.undo(&undo);
    apart.world.converge();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy oat milk");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn a_task_that_was_made_is_gone_when_that_is_undone() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));

    apart.laptop.heph(&["undo"]).ok();
    apart.meet();

    assert!(apart.phone.is_hidden(&task));
    assert!(apart.phone.tasks().is_empty());
}

#[test]
fn undoing_what_made_a_task_that_someone_wrote_to_keeps_it_as_a_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));

    apart.laptop.heph(&["undo"]).ok();
    apart.phone.log_entry(&task, "sold out");
    apart.meet();

    for device in apart.both() {
        assert!(!device.is_hidden(&task));
        assert_eq!(device.conflicts()[0].fields, ["deleted"]);
    }
}

#[test]
fn an_import_is_undone_as_a_whole_and_may_be_made_again() {
    let (apart, vault) = Apart::after(|laptop| {
        let vault = laptop.dir().join("vault");
        files::write_tree(
            &vault,
            &[(b"a.md", b"---\ntags: [shop]\n---\none [[b]]\n"), (b"b.md", b"two\n"), (b"c/d.md", b"")],
        );
        laptop.heph(&["import", "obsidian", vault.to_str().unwrap()]).ok();
        vault
    });
    let docs = |device: &heph_tests::Device| device.call(&ListDocs::default()).docs.len();
    assert_eq!(docs(&apart.phone), 3);

    apart.laptop.heph(&["undo"]).ok();
    assert_eq!(docs(&apart.laptop), 0);
    apart.laptop.heph(&["import", "obsidian", vault.to_str().unwrap()]).ok();
    apart.meet();

    for device in apart.both() {
        assert_eq!(docs(device), 3);
        assert!(device.conflicts().is_empty());
        let tagged = device.call(&ListDocs { tag: Some("shop".into()), ..ListDocs::default() }).docs;
        assert_eq!(device.text(&tagged[0].node.node_id), "---\ntags: [shop]\n---\none [[b]]\n");
    }
}

#[test]
fn an_import_with_other_writes_between_is_undone_from_the_other_device_and_leaves_them_alone() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let vault = laptop.dir().join("vault");
        let names: Vec<_> = (0..200).map(|number| format!("note {number}.md")).collect();
        let files: Vec<_> = names.iter().map(|name| (name.as_bytes(), name.as_bytes())).collect();
        files::write_tree(&vault, &files);
        let task = std::thread::scope(|scope| {
            let import = scope.spawn(|| laptop.heph(&["import", "obsidian", vault.to_str().unwrap()]));
            let task = laptop.task("Buy milk");
            (0..20).for_each(|number| drop(laptop.retitle(&task, &format!("Buy milk {number}"))));
            import.join().unwrap().ok();
            task
        });
        let doc = &laptop.call(&ListDocs::default()).docs[0].node.node_id;
        (task, laptop.json(&["history", doc])[0]["op"].as_str().unwrap().to_owned())
    });
    apart.meet();

    let report = apart.phone.undo(&op);
    apart.world.converge();

    assert_eq!(report.undone.len(), 200);
    for device in apart.both() {
        assert!(device.call(&ListDocs::default()).docs.is_empty());
        assert_eq!(device.title(&task), "Buy milk 19");
    }
}

#[test]
fn an_op_that_is_nowhere_cannot_be_undone() {
    let (apart, _) = Apart::after(|laptop| laptop.task("Buy milk"));
    let nowhere = format!("{}:7:{}", "0f".repeat(16), "ab".repeat(16));

    let said = apart.laptop.heph(&["undo", &nowhere, "--json"]).exits(1);

    assert_eq!(said.error().code, "not_found");
}

#[test]
fn a_device_that_is_told_of_an_undo_by_the_hub_shows_it_without_being_asked_to_exchange() {
    let (apart, (task, op)) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        let op = laptop.retitle(&task, "Buy silk");
        (task, op)
    });
    apart.meet();

    apart.phone.call(&Undo { op: Some(op) });

    wait::until("the undo to arrive by itself", || (apart.laptop.title(&task) == "Buy milk").then_some(()));
}

#[test]
fn undoing_what_made_a_project_leaves_it_to_the_tasks_that_came_into_it_since() {
    let (apart, op) = Apart::after(|laptop| {
        let made = laptop.json(&["task", "Paint the door", "--project", "House", "--tag", "diy"]);
        laptop.heph(&["task", "Mow the lawn", "--project", "House", "--tag", "diy"]).ok();
        made["op"].as_str().unwrap().to_owned()
    });

    apart.laptop.undo(&op);
    apart.meet();

    for device in apart.both() {
        for words in [["list", "--project", "House"], ["list", "--tag", "diy"]] {
            let rows = device.json(&words);
            assert_eq!(rows.as_array().map(Vec::len), Some(1), "{rows}");
            assert_eq!(rows[0]["title"], "Mow the lawn");
            assert_eq!((&rows[0]["project"], &rows[0]["tags"][0]), (&"House".into(), &"diy".into()));
        }
    }
}
