//! Fields written apart: every value is kept, all devices show the same one, and settling it once settles it everywhere.

use heph_api::types::{Attention, EditTask, ListTasks, Patch, SyncState};
use heph_tests::wait;
use serde_json::json;

use crate::Apart;

/// A task whose title was changed apart: on the laptop first, on the phone later.
fn two_titles() -> (Apart, String) {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    apart.laptop.retitle(&task, "Buy oat milk");
    wait::a_later_clock();
    apart.phone.retitle(&task, "Buy bread");
    apart.meet();
    (apart, task)
}

#[test]
fn titles_written_apart_are_both_kept_and_the_same_one_is_shown_on_both() {
    let (apart, task) = two_titles();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy bread", "the newer one is shown");
        assert_eq!(device.values(&task, "title"), [json!("Buy bread"), json!("Buy oat milk")]);
        assert_eq!(device.conflicts().len(), 1);
        assert_eq!(device.status().conflicts, 1);
    }
}

#[test]
fn a_conflict_settled_on_one_device_is_settled_on_all() {
    let (apart, task) = two_titles();

    apart.laptop.take(&task, "title", &json!("Buy oat milk"));
    apart.world.converge();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy oat milk");
        assert!(device.conflicts().is_empty());
        assert!(device.values(&task, "title").is_empty());
    }
}

#[test]
fn an_ordinary_edit_replaces_what_is_shown_and_leaves_the_other_value_listed() {
    let (apart, task) = two_titles();

    apart.laptop.retitle(&task, "Buy bread and butter");
    apart.world.converge();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy bread and butter");
        assert_eq!(device.values(&task, "title"), [json!("Buy bread and butter"), json!("Buy oat milk")]);
    }
}

#[test]
fn a_conflict_settled_differently_on_two_devices_is_a_conflict_again() {
    let (apart, task) = two_titles();
    apart.part();

    apart.laptop.take(&task, "title", &json!("Buy oat milk"));
    apart.phone.take(&task, "title", &json!("Buy bread"));
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.values(&task, "title").len(), 2);
        assert_eq!(device.conflicts()[0].fields, ["title"]);
    }
}

#[test]
fn a_conflict_settled_alike_on_two_devices_is_settled() {
    let (apart, task) = two_titles();
    apart.part();

    for device in apart.both() {
        device.take(&task, "title", &json!("Buy oat milk"));
    }
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy oat milk");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn one_value_written_apart_on_both_is_no_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));

    for device in apart.both() {
        device.retitle(&task, "Buy oat milk");
    }
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy oat milk");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn different_fields_written_apart_are_both_there_and_no_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    let edit = |edit: EditTask| EditTask { id: task.clone(), ..edit };

    apart.laptop.call(&edit(EditTask { do_date: Patch::Set("2026-12-24".into()), ..EditTask::default() }));
    apart.phone.call(&edit(EditTask { attention: Patch::Set(Attention::Red), ..EditTask::default() }));
    apart.meet();

    for device in apart.both() {
        let row = device.task_row(&task);
        assert_eq!((row.do_date.as_deref(), row.attention.as_deref()), (Some("2026-12-24"), Some("red")));
        assert!(device.conflicts().is_empty() && !row.conflicted);
    }
}

#[test]
fn a_conflict_is_listed_shown_and_settled_with_the_command_line() {
    let (apart, task) = two_titles();

    let listed = apart.phone.heph(&["conflicts"]).ok().text();
    let shown = apart.phone.heph(&["conflicts", "show", &task]).ok().text();
    apart.phone.heph(&["conflicts", "take", &task, "2"]).ok();
    apart.world.converge();

    assert!(listed.contains("Buy bread") && listed.contains("title"), "{listed}");
    assert!(shown.contains("1. Buy bread") && shown.contains("2. Buy oat milk"), "{shown}");
    assert!(shown.contains("laptop") && shown.contains("phone"), "who wrote what: {shown}");
    assert_eq!(apart.laptop.title(&task), "Buy oat milk");
    assert_eq!(apart.laptop.heph(&["conflicts"]).ok().text(), "");
}

#[test]
fn tags_of_one_name_made_apart_are_one_tag() {
    let (apart, (milk, bread)) = Apart::after(|laptop| (laptop.task("Buy milk"), laptop.task("Buy bread")));

    apart.laptop.heph(&["edit", &milk, "--tag", "Café"]).ok();
    apart.phone.heph(&["edit", &bread, "--tag", "cafe\u{301}"]).ok();
    apart.meet();

    for device in apart.both() {
        let tagged = device.call(&ListTasks { tag: Some("café".into()), ..ListTasks::default() }).tasks;
        assert_eq!(tagged.len(), 2, "{tagged:?}");
        assert_eq!(tagged[0].tags, tagged[1].tags);
    }
}

#[test]
fn tags_added_apart_to_one_task_are_all_there() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));

    apart.laptop.heph(&["edit", &task, "--tag", "shop"]).ok();
    apart.phone.heph(&["edit", &task, "--tag", "food"]).ok();
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.task_row(&task).tags, ["food", "shop"]);
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn projects_of_one_name_made_apart_stay_two() {
    let (apart, ()) = Apart::after(|_| ());

    apart.laptop.heph(&["task", "Paint the door", "--project", "Home"]).ok();
    apart.phone.heph(&["task", "Mow the lawn", "--project", "Home"]).ok();
    apart.meet();

    for device in apart.both() {
        let tasks = device.tasks();
        assert!(tasks.iter().all(|task| task.project.as_deref() == Some("Home")));
        assert_ne!(tasks[0].project_id, tasks[1].project_id);
    }
}

#[test]
fn dates_are_the_same_dates_in_every_time_zone() {
    let (apart, ()) = Apart::after(|_| ());
    for (device, zone) in [(&apart.laptop, "Pacific/Kiritimati"), (&apart.phone, "Pacific/Pago_Pago")] {
        device.stop();
        device.set_env("TZ", zone);
        device.start();
    }

    apart.laptop.heph(&["task", "Wrap presents", "--do", "2026-12-24", "--late", "2026-12-24T18:00"]).ok();
    apart.meet();

    for device in apart.both() {
        let tasks = device.json(&["list"]);
        assert_eq!(tasks[0]["do_date"], "2026-12-24");
        assert_eq!(tasks[0]["late_on"], "2026-12-24T18:00");
    }
}

#[test]
fn a_task_moved_into_different_projects_apart_is_listed_with_both_names() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Paint the door"));

    apart.laptop.heph(&["edit", &task, "--project", "House"]).ok();
    apart.phone.heph(&["edit", &task, "--project", "Garden"]).ok();
    apart.meet();

    for device in apart.both() {
        let shown = device.heph(&["conflicts", "show", &task]).ok().text();
        assert!(shown.contains("House") && shown.contains("Garden"), "{shown}");
    }
}

#[test]
fn a_tag_taken_away_on_one_device_is_gone_on_the_other() {
    let (apart, task) = Apart::after(|laptop| {
        let task = laptop.task("Buy milk");
        laptop.heph(&["edit", &task, "--tag", "shop", "--tag", "food"]).ok();
        task
    });

    apart.laptop.heph(&["edit", &task, "--untag", "shop"]).ok();
    apart.phone.retitle(&task, "Buy oat milk");
    apart.meet();

    for device in apart.both() {
        assert_eq!(device.task_row(&task).tags, ["food"]);
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn three_titles_written_apart_are_three_values_until_one_is_taken() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    let tablet = apart.world.stopped_device("tablet");
    apart.meet();
    tablet.know(Some(&apart.world.hub()));
    tablet.start();
    apart.world.converge();
    apart.part();

    apart.laptop.retitle(&task, "Buy oat milk");
    apart.phone.retitle(&task, "Buy bread");
    tablet.retitle(&task, "Buy tea");
    apart.meet();
    assert_eq!(tablet.values(&task, "title").len(), 3);
    tablet.take(&task, "title", &json!("Buy oat milk"));
    apart.world.converge();

    for device in apart.both() {
        assert_eq!(device.title(&task), "Buy oat milk");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn what_was_written_without_a_hub_arrives_by_itself_once_it_is_back() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));
    apart.laptop.retitle(&task, "Buy oat milk");

    apart.world.hub().start();

    wait::until("the title to arrive by itself", || (apart.phone.title(&task) == "Buy oat milk").then_some(()));
}

#[test]
fn both_devices_and_the_hub_say_that_they_are_in_step_and_whose_data_it_is() {
    let (apart, _) = Apart::after(|laptop| laptop.task("Buy milk"));
    apart.meet();

    let statuses = apart.both().map(|device| device.status());

    assert!(statuses.iter().all(|status| status.state == SyncState::InSync && status.pending_push == 0));
    assert!(statuses[0].owner_id.is_some() && statuses[0].hub_id.is_some());
    assert_eq!(statuses[0].owner_id, statuses[1].owner_id);
    assert_eq!(statuses[0].hub_id, statuses[1].hub_id);
    assert_ne!(statuses[0].origin, statuses[1].origin);
    assert_eq!(statuses[0].op_count, statuses[1].op_count);
}

#[test]
fn today_is_the_day_of_the_person_who_types_it_and_that_day_on_every_device() {
    let (apart, ()) = Apart::after(|_| ());
    // They are 25 hours apart: it is never the same day there.
    apart.laptop.set_env("TZ", "Pacific/Kiritimati");
    apart.phone.set_env("TZ", "Pacific/Pago_Pago");

    apart.laptop.heph(&["task", "Rest", "--do", "today"]).ok();
    apart.phone.heph(&["task", "Rest", "--do", "today"]).ok();
    apart.meet();

    let dates = apart.both().map(|device| device.tasks().into_iter().map(|task| task.do_date).collect::<Vec<_>>());
    assert_eq!(dates[0], dates[1]);
    assert_ne!(dates[0][0], dates[0][1]);
}
