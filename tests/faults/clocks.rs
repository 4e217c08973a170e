//! Clocks in 1970 and in 2040, on a hub and on a device: everything still syncs, the wrong clock is told, and nothing
//! of it spreads.

use crate::kill::verify_hub;
use heph_api::types::NodeHistory;
use heph_tests::{Device, World};
use std::{path::PathBuf, sync::Arc};

/// The first instants of 1970 and of 2040, as faketime takes them, each with what tells the year.
const YEARS: [(&str, i64); 2] = [("@1970-01-02 00:00:00", 1970), ("@2040-01-02 00:00:00", 2040)];
const MS_PER_YEAR: i64 = 31_556_952_000;

/// The library that gives a program another clock.
fn faketime() -> String {
    let found = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|dir| dir.path());
    let mut libraries = found.map(|dir: PathBuf| dir.join("faketime/libfaketimeMT.so.1"));
    let library = libraries.find(|library| library.exists());
    let library = library.expect("this test needs libfaketime: apt-get install --no-install-recommends faketime");
    library.to_str().expect("a path below /usr/lib").to_owned()
}

/// The variables that give a program another clock; time passes as fast as ever.
fn variables(at: &str) -> [(&'static str, String); 3] {
    [("LD_PRELOAD", faketime()), ("FAKETIME", at.to_owned()), ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned())]
}

fn year_of(stamp_ms: i64) -> i64 {
    1970 + stamp_ms / MS_PER_YEAR
}

/// The years in which the ops on a node were written, by the devices that wrote them.
fn years(device: &Device, node: &str) -> Vec<(String, i64)> {
    let history = device.call(&NodeHistory { id: node.into(), ..NodeHistory::default() });
    let mut years: Vec<_> = history
        .entries
        .into_iter()
        .map(|entry| (entry.device.expect("a known device"), year_of(entry.stamp_ms)))
        .collect();
    years.sort();
    years
}

fn clock_notice(device: &Device) -> Option<String> {
    device.status().notices.into_iter().find(|notice| notice.contains("the hub's clock is"))
}

/// A device with a clock in another year, in step with the hub.
fn device_in(world: &World, name: &str, at: &str) -> Arc<Device> {
    let device = world.stopped_device(name);
    variables(at).iter().for_each(|(name, value)| device.set_env(name, value));
    device.know(Some(&world.hub()));
    device.start();
    device
}

#[test]
fn a_device_in_1970_or_2040_syncs_and_says_so() {
    for (at, year) in YEARS {
        let world = World::new();
        let (right, wrong) = (world.device("right"), device_in(&world, "wrong", at));
        let (task, doc) = (wrong.task("made then"), wrong.doc("text", "one\n"));
        world.converge();
        let notice = clock_notice(&wrong).unwrap_or_else(|| panic!("nothing of {year} in {:?}", wrong.status()));
        assert!(
            notice.contains("years") && notice.contains(if year == 1970 { "ahead of" } else { "behind" }),
            "{notice}"
        );
        assert_eq!(clock_notice(&right), None, "the others' clocks are right");

        // What is typed over the shown value is shown, whoever's clock is ahead.
        right.retitle(&task, "changed by the right clock");
        right.append(&doc, "two\n");
        world.converge();
        wrong.retitle(&task, "changed by the wrong clock");
        wrong.append(&doc, "three\n");
        world.converge();
        right.retitle(&task, "and again by the right one");
        world.converge();
        for device in [&right, &wrong] {
            assert_eq!(device.title(&task), "and again by the right one", "{year}, on {}", device.name());
            assert_eq!(device.text(&doc), "one\ntwo\nthree\n");
            assert!(device.conflicts().is_empty());
            device.verify();
        }
        // Nothing of it spreads: who has the right clock stamps by the right clock.
        let written = years(&right, &task);
        assert!(written.iter().all(|(device, at)| (*at == year) == (device == "wrong")), "{year}: {written:?}");
        verify_hub(&world.hub());
    }
}

#[test]
fn a_hub_in_1970_or_2040_takes_everything_and_devices_say_so() {
    for (at, year) in YEARS {
        let world = World::new();
        let hub = world.hub();
        hub.stop();
        variables(at).iter().for_each(|(name, value)| hub.set_env(name, value));
        hub.start();
        let (a, b) = (world.device("a"), world.device("b"));
        let task = a.task("made");
        world.converge();
        b.retitle(&task, "changed");
        world.converge();
        assert_eq!(a.title(&task), "changed");
        for device in [&a, &b] {
            let notice = clock_notice(device).unwrap_or_else(|| panic!("nothing of {year} in {:?}", device.status()));
            assert!(
                notice.contains("years") && notice.contains(if year == 1970 { "behind" } else { "ahead of" }),
                "{notice}"
            );
        }
        assert!(years(&a, &task).iter().all(|(_, at)| *at != year), "nobody stamps by the hub's clock");
        // Once its clock is right, nobody complains any more; once it is wiped, it takes all of it again.
        hub.stop();
        hub.lose_disk_but_the_key();
        hub.set_env("FAKETIME", "+0");
        hub.start();
        world.converge();
        assert_eq!((clock_notice(&a), clock_notice(&b)), (None, None));
        verify_hub(&hub);
    }
}

#[test]
fn devices_in_1970_and_2040_settle_what_they_wrote_apart() {
    let world = World::new();
    let (past, future) = (device_in(&world, "past", YEARS[0].0), device_in(&world, "future", YEARS[1].0));
    let now = world.device("now");
    let task = now.task("as it was");
    world.converge();
    world.hub().stop();
    past.retitle(&task, "of the past");
    future.retitle(&task, "of the future");
    now.retitle(&task, "of now");
    world.hub().start();
    world.converge();
    for device in [&past, &future, &now] {
        assert_eq!(device.values(&task, "title").len(), 3, "on {}", device.name());
        assert_eq!(device.title(&task), "of the future", "the newest stamp is shown");
    }
    past.take(&task, "title", &"of now".into());
    world.converge();
    for device in [&past, &future, &now] {
        assert_eq!((device.title(&task).as_str(), device.conflicts().len()), ("of now", 0), "on {}", device.name());
        device.verify();
    }
    past.retitle(&task, "the past has the last word");
    world.converge();
    assert_eq!(future.title(&task), "the past has the last word");
}
