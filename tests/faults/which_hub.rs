//! Hubs that change behind an address, devices that are started without theirs, and what people are told of it.

use heph_api::types::{SwitchHub, SyncState};
use heph_tests::{
    World,
    between::{Between, Verdict},
};
use std::sync::Arc;

#[test]
fn a_hub_that_is_swapped_between_hello_and_push_is_sent_nothing() {
    let world = World::new();
    let (near, far) = (Between::start(), Arc::new(Between::start()));
    let strange = world.another_hub("strange");
    let stranger = world.lone_device("stranger");
    stranger.join(&strange);
    stranger.task("a stranger's");
    stranger.sync();
    near.lead_to(&far.url());
    far.lead_to(&world.hub().url());
    let device = world.stopped_device("device");
    device.know_url(Some(&near.url()));
    device.start();
    device.task("ours");
    device.sync();

    let (swapped, strange_url, before) = (far.clone(), strange.url(), strange.summary());
    near.judge(move |request| {
        if request.path == "/v1/sync/push" {
            swapped.lead_to(&strange_url);
        }
        Verdict::Pass
    });
    let task = device.task("not for a stranger");
    let status = device.exchange();
    assert_eq!(status.state, SyncState::OtherHub, "{status:?}");
    assert_eq!(strange.summary(), before);
    near.let_pass();
    far.lead_to(&world.hub().url());
    assert_eq!(device.exchange().state, SyncState::InSync);
    let other = world.device("other");
    other.sync();
    assert_eq!(other.title(&task), "not for a stranger");
}

#[test]
fn a_device_started_without_its_hub_says_so_and_is_not_in_step() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    a.task("sent");
    world.converge();
    let id = a.status().hub_id.expect("a pinned hub");
    a.stop();
    a.know(None);
    a.start();
    a.task("waits");
    let status = a.status();
    assert_eq!((status.state, status.pending_push, status.hub_url.as_deref()), (SyncState::Offline, 1, None));
    for said in [id.as_str(), &hub.url(), "was started without it", "1 op waits to be sent"] {
        assert!(status.words.contains(said), "{}", status.words);
    }
    assert!(status.next.is_some_and(|next| next.contains(&format!("--hub-url {}", hub.url()))));
    assert!(a.heph(&["sync", "--status"]).exits(4).text().starts_with("offline: "));
    a.join(&hub);
    world.converge();
}

#[test]
fn two_that_both_hold_something_are_joined_with_a_word_that_stays() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    a.task("of a");
    world.converge();
    let held = hub.summary().head;
    let b = world.lone_device("b");
    b.task("of b");
    let here = b.status().op_count;
    b.join(&hub);
    b.sync();
    b.restart();
    let status = b.status();
    let wanted = format!("at {}: it held {held} ops, this device {here}; what both hold is merged", hub.url());
    assert!(status.notices.iter().any(|notice| notice.contains(&wanted)), "{wanted}: {status:?}");
    assert!(a.status().notices.is_empty());
}

#[test]
fn a_switch_that_exchanged_nothing_does_not_say_that_it_did() {
    let world = World::new();
    let between = Between::start();
    let strange = world.another_hub("strange");
    between.lead_to(&world.hub().url());
    let device = world.stopped_device("device");
    device.know_url(Some(&between.url()));
    device.start();
    device.task("ours");
    device.sync();
    between.lead_to(&strange.url());
    let id = device.call(&SwitchHub { confirm: None }).hub_id;
    // A hub that is empty is joined by itself on this machine; this one refuses whatever it is sent.
    let refusal = br#"{"code":"disk_full","message":"the hub's disk is full","hint":null}"#;
    let full =
        heph_tests::between::answer("507 Insufficient Storage", &[("content-type", "application/json")], refusal);
    between.judge(move |request| match request.path.as_str() {
        "/v1/sync/push" => Verdict::Answer(full.clone()),
        _ => Verdict::Pass,
    });
    let report = device.call(&SwitchHub { confirm: Some(id.clone()) });
    assert!(report.switched && report.words.contains("not in step"), "{}", report.words);
    assert!(report.words.contains("the hub's disk is full"), "{}", report.words);
    assert!(strange.summary().head == 0 && !device.status().state.is_in_step());
    between.let_pass();
    let report = device.call(&SwitchHub { confirm: Some(id) });
    assert!(report.words.contains("both are in step"), "{}", report.words);
}
