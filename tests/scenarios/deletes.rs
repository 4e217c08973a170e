//! Deleting apart: what a deletion had not seen stays visible, is listed, and is settled either way.

use heph_api::types::{AppendContext, ReadContext};
use heph_tests::Device;
use serde_json::json;

use crate::Apart;

/// A task that the laptop deleted while the phone did something with it.
fn deleted_while(elsewhere: impl FnOnce(&Device, &str)) -> (Apart, String) {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    apart.laptop.delete(&task);
    elsewhere(&apart.phone, &task);
    apart.meet();
    (apart, task)
}

#[track_caller]
fn assert_visible_and_listed(apart: &Apart, task: &str) {
    for device in apart.both() {
        assert!(!device.is_hidden(task), "it is hidden on the {}", device.name());
        assert_eq!(device.tasks().len(), 1);
        assert_eq!(device.conflicts()[0].fields, ["deleted"]);
        assert_eq!(device.values(task, "deleted"), [json!(false), json!(true)]);
    }
}

#[track_caller]
fn assert_settled(apart: &Apart, task: &str, hidden: bool) {
    for device in apart.both() {
        assert_eq!(device.is_hidden(task), hidden, "on the {}", device.name());
        assert_eq!(device.tasks().len(), usize::from(!hidden));
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn a_task_deleted_on_one_device_is_gone_on_the_other() {
    let (apart, task) = deleted_while(|_, _| ());

    assert_settled(&apart, &task, true);
}

#[test]
fn a_task_deleted_on_both_devices_is_gone_and_no_conflict() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.delete(task)));

    assert_settled(&apart, &task, true);
}

#[test]
fn an_edit_that_the_deletion_had_not_seen_keeps_the_task_visible() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.retitle(task, "Call the new dentist")));

    assert_visible_and_listed(&apart, &task);
    assert_eq!(apart.laptop.title(&task), "Call the new dentist");
}

#[test]
fn a_log_entry_that_the_deletion_had_not_seen_keeps_the_task_visible() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.log_entry(task, "they call back on Monday")));

    assert_visible_and_listed(&apart, &task);
    let log = apart.laptop.show(&task).owned;
    assert_eq!(log[0].text.as_deref(), Some("they call back on Monday"));
}

#[test]
fn a_first_context_that_the_deletion_had_not_seen_keeps_the_task_visible() {
    let (apart, task) = deleted_while(|phone, task| {
        phone.call(&AppendContext { id: task.into(), text: "Ask about the X-rays.".into() });
    });

    assert_visible_and_listed(&apart, &task);
    assert_eq!(apart.laptop.call(&ReadContext { id: task }).text, "Ask about the X-rays.\n");
}

#[test]
fn an_edit_of_the_context_that_the_deletion_had_not_seen_keeps_the_task_visible() {
    let context = |id: &str, text: &str| AppendContext { id: id.into(), text: text.into() };
    let (apart, task) = Apart::after(|laptop| {
        let task = laptop.task("Call the dentist");
        laptop.call(&context(&task, "The number is on the fridge."));
        task
    });

    apart.laptop.delete(&task);
    apart.phone.call(&context(&task, "Ask about the X-rays."));
    apart.meet();

    assert_visible_and_listed(&apart, &task);
    let text = apart.laptop.call(&ReadContext { id: task }).text;
    assert_eq!(text, "The number is on the fridge.\nAsk about the X-rays.\n");
}

#[test]
fn a_contested_deletion_settled_as_kept_is_kept_everywhere() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.retitle(task, "Call the new dentist")));

    apart.laptop.take(&task, "deleted", &json!(false));
    apart.world.converge();

    assert_settled(&apart, &task, false);
}

#[test]
fn a_contested_deletion_settled_as_deleted_is_deleted_everywhere() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.log_entry(task, "they call back on Monday")));

    apart.phone.take(&task, "deleted", &json!(true));
    apart.world.converge();

    assert_settled(&apart, &task, true);
}

#[test]
fn deleting_again_settles_a_contested_deletion() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.retitle(task, "Call the new dentist")));

    apart.phone.heph(&["rm", &task]).ok();
    apart.world.converge();

    assert_settled(&apart, &task, true);
}

#[test]
fn an_edit_after_an_undelete_is_no_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    apart.laptop.delete(&task);
    apart.meet();

    apart.phone.undelete(&task);
    apart.phone.retitle(&task, "Call the new dentist");
    apart.world.converge();

    assert_settled(&apart, &task, false);
    assert_eq!(apart.laptop.title(&task), "Call the new dentist");
}

#[test]
fn deleted_undeleted_edited_and_deleted_again_on_two_devices_leaves_no_phantom_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    apart.meet();

    apart.laptop.delete(&task);
    apart.world.converge();
    apart.phone.undelete(&task);
    apart.world.converge();
    apart.laptop.retitle(&task, "Call the new dentist");
    apart.world.converge();
    assert_settled(&apart, &task, false);
    apart.phone.delete(&task);
    apart.world.converge();

    assert_settled(&apart, &task, true);
}

#[test]
fn an_undelete_apart_from_a_second_deletion_is_settled_like_any_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    apart.laptop.delete(&task);
    apart.meet();
    apart.part();

    apart.laptop.undelete(&task);
    apart.phone.undelete(&task);
    apart.phone.delete(&task);
    apart.meet();
    assert_visible_and_listed(&apart, &task);
    apart.laptop.take(&task, "deleted", &json!(true));
    apart.world.converge();

    assert_settled(&apart, &task, true);
}

#[test]
fn nothing_is_written_to_a_deleted_task() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    apart.laptop.delete(&task);
    let before = apart.laptop.status().op_count;

    for words in [
        &["edit", &task, "--title", "x"][..],
        &["log", &task, "x"],
        &["context", &task, "--append", "x"],
        &["done", &task],
        &["drop", &task],
    ] {
        let said = apart.laptop.heph(&[words, &["--json"]].concat()).exits(1);
        assert_eq!(said.error().code, "hidden", "{}", said.typed);
    }

    assert_eq!(apart.laptop.status().op_count, before);
}

#[test]
fn a_deleted_task_is_found_no_more_and_comes_back_with_all_it_had() {
    let (apart, task) = Apart::after(|laptop| {
        let task = laptop.task("Call the dentist");
        laptop.log_entry(&task, "engaged");
        task
    });
    apart.laptop.delete(&task);
    apart.meet();
    assert_eq!(apart.phone.json(&["search", "dentist"]).as_array().map(Vec::len), Some(0));

    apart.phone.heph(&["undelete", &task]).ok();
    apart.world.converge();

    assert_eq!(apart.laptop.json(&["search", "dentist"]).as_array().map(Vec::len), Some(1));
    assert_eq!(apart.laptop.show(&task).owned[0].text.as_deref(), Some("engaged"));
}

#[test]
fn a_log_entry_deleted_by_itself_is_gone_and_its_task_stays() {
    let (apart, (task, entry)) = Apart::after(|laptop| {
        let task = laptop.task("Call the dentist");
        let entry = laptop.log_entry(&task, "engaged");
        (task, entry)
    });

    apart.laptop.delete(&entry);
    apart.meet();

    assert_settled(&apart, &task, false);
    assert!(apart.phone.show(&task).owned.iter().all(|owned| owned.hidden));
}

#[test]
fn a_contested_deletion_that_is_undone_leaves_the_task_alive_and_settled() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Call the dentist"));
    let deletion = apart.laptop.delete(&task);
    apart.phone.retitle(&task, "Call the new dentist");
    apart.meet();
    assert_visible_and_listed(&apart, &task);

    apart.phone.undo(&deletion);
    apart.world.converge();

    assert_settled(&apart, &task, false);
    assert_eq!(apart.laptop.title(&task), "Call the new dentist");
}

#[test]
fn a_second_edit_after_a_contested_deletion_was_settled_as_kept_is_no_conflict() {
    let (apart, task) = deleted_while(|phone, task| drop(phone.retitle(task, "Call the new dentist")));
    apart.laptop.take(&task, "deleted", &json!(false));
    apart.world.converge();

    apart.phone.retitle(&task, "Call any dentist");
    apart.laptop.log_entry(&task, "on Monday");
    apart.world.converge();

    assert_settled(&apart, &task, false);
}
