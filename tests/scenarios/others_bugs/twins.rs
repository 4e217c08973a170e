//! Two where one was expected: one database on two machines, one occurrence completed on two devices.

use super::{heal, titles};
use heph_api::types::{CompleteTask, CreateTask, ListDevices};
use heph_tests::World;

use crate::Apart;

/// Elsewhere the server saw one client whose numbers jumped, and dropped what it took for repetitions.
#[test]
fn c20_one_device_id_on_two_machines() {
    let world = World::new();
    let (hub, a, other) = (world.hub(), world.device("a"), world.device("other"));
    let doc = a.doc("shared", "one\n");
    world.converge();
    let origin = a.status().origin;
    a.stop();
    let twin = world.stopped_device("twin");
    a.copy_files(twin.dir());
    twin.know(Some(&hub));
    hub.stop();
    a.start();
    twin.start();
    assert_eq!((&a.status().origin, &twin.status().origin), (&origin, &origin), "the trap is set: both are one");

    // Both live, both write, and for a while neither can know of the other.
    for n in 0..3 {
        for machine in [&a, &twin] {
            machine.task(&format!("{n} of {}", machine.name()));
            machine.append(&doc, &format!("{n} by {}\n", machine.name()));
        }
    }
    hub.start();
    heal(&hub, &[&a, &twin, &other]);
    for n in 3..5 {
        for machine in [&a, &twin] {
            machine.task(&format!("{n} of {}", machine.name()));
            machine.append(&doc, &format!("{n} by {}\n", machine.name()));
        }
        heal(&hub, &[&a, &twin, &other]);
    }

    let wanted = (0..5).flat_map(|n| ["a", "twin"].map(|machine| format!("{n} of {machine}"))).collect();
    for device in [&a, &twin, &other] {
        assert_eq!(titles(device), wanted, "on {}", device.name());
        let text = device.text(&doc);
        for line in (0..5).flat_map(|n| ["a", "twin"].map(|machine| format!("{n} by {machine}"))) {
            assert_eq!(text.matches(&line).count(), 1, "{line}: {text:?} on {}", device.name());
        }
    }
    let (origins, told) = ([a.status(), twin.status()], "copied or restored");
    assert_ne!(origins[0].origin, origins[1].origin, "from then on they are two");
    assert!(origins.iter().any(|status| status.notices.iter().any(|notice| notice.contains(told))), "{origins:?}");
    let devices = other.call(&ListDevices {}).devices;
    let row = devices.iter().find(|row| row.origin == origin).expect("the origin that both had");
    assert_eq!(row.branches, 2, "{devices:?}");
}

/// Elsewhere each of the two made the next occurrence, and every week there was one more.
#[test]
fn c21_two_offline_devices_completing_one_recurring_task() {
    let call = CreateTask {
        title: "Water the plants".into(),
        do_date: Some("2026-11-02".into()),
        recurrence: Some("weekly".into()),
        ..CreateTask::default()
    };
    let (apart, task) = Apart::after(|laptop| laptop.call(&call).task.node_id);
    let weeks = ["2026-11-02", "2026-11-09", "2026-11-16"];
    for (week, next) in weeks.iter().zip(["2026-11-09", "2026-11-16", "2026-11-23"]) {
        for device in apart.both() {
            let done = CompleteTask { id: task.clone(), today: Some((*week).into()), ..CompleteTask::default() };
            assert_eq!(device.call(&done).next.as_deref(), Some(next));
        }
        apart.meet();
        for device in apart.both() {
            let tasks = device.tasks();
            assert_eq!(tasks.len(), 1, "one task, not one for each completion: {tasks:?}");
            assert_eq!((tasks[0].do_date.as_deref(), tasks[0].state.as_str()), (Some(next), "outstanding"));
            assert!(device.conflicts().is_empty(), "both did the same: {:?}", device.conflicts());
        }
        apart.part();
    }
}
