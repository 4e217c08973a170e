//! Tasks that recur: which occurrence is current follows from what was completed, on every device alike.

use heph_api::types::{CompleteTask, CreateTask, DropTask};
use heph_tests::Device;

use crate::Apart;

fn weekly(device: &Device) -> String {
    let call = CreateTask {
        title: "Water the plants".into(),
        do_date: Some("2026-11-02".into()),
        recurrence: Some("weekly".into()),
        ..CreateTask::default()
    };
    device.call(&call).task.node_id
}

fn done(device: &Device, task: &str, today: &str) -> Option<String> {
    device.call(&CompleteTask { id: task.into(), today: Some(today.into()), ..CompleteTask::default() }).next
}

#[track_caller]
fn assert_do_date(apart: &Apart, task: &str, date: &str) {
    for device in apart.both() {
        let row = device.task_row(task);
        assert_eq!(row.do_date.as_deref(), Some(date), "on the {}", device.name());
        assert_eq!(row.state, "outstanding");
        assert!(device.conflicts().is_empty());
    }
}

#[test]
fn an_occurrence_completed_on_two_devices_apart_is_completed_once() {
    let (apart, task) = Apart::after(weekly);

    let next = apart.both().map(|device| done(device, &task, "2026-11-02"));
    apart.meet();

    assert_eq!(next, [Some("2026-11-09".into()), Some("2026-11-09".into())]);
    assert_do_date(&apart, &task, "2026-11-09");
}

#[test]
fn an_occurrence_completed_apart_on_different_days_is_completed_once() {
    let (apart, task) = Apart::after(weekly);

    done(&apart.laptop, &task, "2026-11-02");
    done(&apart.phone, &task, "2026-11-04");
    apart.meet();

    assert_do_date(&apart, &task, "2026-11-09");
}

#[test]
fn two_occurrences_completed_on_one_device_and_one_on_the_other_are_two() {
    let (apart, task) = Apart::after(weekly);

    done(&apart.laptop, &task, "2026-11-02");
    done(&apart.laptop, &task, "2026-11-09");
    done(&apart.phone, &task, "2026-11-03");
    apart.meet();

    assert_do_date(&apart, &task, "2026-11-16");
}

#[test]
fn a_rule_that_counts_from_completion_counts_from_the_latest_of_two() {
    let (apart, task) = Apart::after(|laptop| {
        let task = laptop.json(&[
            "task",
            "Descale",
            "--do",
            "2026-11-02",
            "--every",
            "FREQ=DAILY;INTERVAL=10;X-HEPH-FROM=DONE",
        ]);
        task["node_id"].as_str().unwrap().to_owned()
    });

    done(&apart.laptop, &task, "2026-11-03");
    done(&apart.phone, &task, "2026-11-05");
    apart.meet();

    assert_do_date(&apart, &task, "2026-11-15");
}

#[test]
fn the_next_occurrence_is_the_same_date_whatever_the_time_zone() {
    let (apart, task) = Apart::after(weekly);
    for (device, zone) in [(&apart.laptop, "Pacific/Kiritimati"), (&apart.phone, "Pacific/Pago_Pago")] {
        device.stop();
        device.set_env("TZ", zone);
        device.start();
        device.heph(&["done", &task]).ok();
    }
    apart.meet();

    assert_do_date(&apart, &task, "2026-11-09");
}

#[test]
fn a_completion_undone_on_one_device_is_to_be_done_again_on_both() {
    let (apart, task) = Apart::after(weekly);
    apart.laptop.heph(&["done", &task]).ok();
    apart.meet();
    assert_do_date(&apart, &task, "2026-11-09");

    apart.laptop.heph(&["undo"]).ok();
    apart.world.converge();

    assert_do_date(&apart, &task, "2026-11-02");
}

#[test]
fn a_rule_changed_after_completions_goes_on_from_there() {
    let (apart, task) = Apart::after(weekly);
    for day in ["2026-11-02", "2026-11-09", "2026-11-16"] {
        done(&apart.laptop, &task, day);
    }

    apart.laptop.heph(&["edit", &task, "--every", "FREQ=WEEKLY;BYDAY=TU"]).ok();
    apart.meet();

    assert_do_date(&apart, &task, "2026-11-17");
}

#[test]
fn a_recurring_task_given_up_is_dropped_with_all_its_occurrences() {
    let (apart, task) = Apart::after(weekly);

    apart.laptop.call(&DropTask { id: task.clone() });
    apart.meet();

    assert_eq!(apart.phone.task_row(&task).state, "dropped");
    let said = apart.phone.heph(&["done", &task, "--json"]).exits(1);
    assert_eq!(said.error().code, "conflict");
}

#[test]
fn a_rule_with_an_end_is_done_after_its_last_occurrence() {
    let (apart, task) = Apart::after(|laptop| {
        let task = laptop.json(&["task", "Take the pill", "--do", "2026-11-02", "--every", "FREQ=DAILY;COUNT=2"]);
        task["node_id"].as_str().unwrap().to_owned()
    });

    assert_eq!(done(&apart.laptop, &task, "2026-11-02").as_deref(), Some("2026-11-03"));
    assert_eq!(done(&apart.laptop, &task, "2026-11-03"), None);
    apart.meet();

    assert_eq!(apart.phone.task_row(&task).state, "done");
    assert_eq!(apart.phone.json(&["list"]).as_array().map(Vec::len), Some(0));
}

#[test]
fn every_preset_names_the_next_date() {
    let (apart, ()) = Apart::after(|_| ());

    for (rule, next) in [
        ("daily", "2026-11-07"),
        ("weekly", "2026-11-13"),
        ("monthly", "2026-12-06"),
        ("yearly", "2027-11-06"),
        ("weekdays", "2026-11-09"),
    ] {
        let task = apart.laptop.json(&["task", "Again", "--do", "2026-11-06", "--every", rule]);
        let completed = apart.laptop.json(&["done", task["node_id"].as_str().unwrap()]);
        assert_eq!(completed["next"], next, "{rule}");
        assert_eq!(completed["recurrence"], rule);
    }
}

#[test]
fn an_occurrence_completed_apart_on_different_days_is_to_be_done_again_when_one_completion_is_undone() {
    let (apart, task) = Apart::after(weekly);
    done(&apart.laptop, &task, "2026-11-02");
    done(&apart.phone, &task, "2026-11-04");
    apart.meet();

    apart.laptop.heph(&["undo"]).ok();
    apart.world.converge();

    assert_do_date(&apart, &task, "2026-11-02");
}

#[test]
fn a_task_done_on_one_device_and_dropped_on_the_other_is_a_conflict() {
    let (apart, task) = Apart::after(|laptop| laptop.task("Buy milk"));

    apart.laptop.heph(&["done", &task]).ok();
    apart.phone.heph(&["drop", &task]).ok();
    apart.meet();

    for device in apart.both() {
        let mut values = device.values(&task, "state");
        values.sort_by_key(ToString::to_string);
        assert_eq!(values, ["done", "dropped"]);
    }
}
