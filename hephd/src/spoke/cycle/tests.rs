//! What a cycle survives, told as scenarios: hubs that lose their disk, devices that are copied, answers that are lost.

#![allow(clippy::unwrap_used)]

use super::world::{Device, Faults, World};
use super::*;
use crate::spoke::hub_client::HubError;
use heph_store::env::SystemEnv;
use heph_store::vector::Tip;

impl Device {
    /// Makes its pages as small as they can be: a hub joins what one page holds of a chain.
    fn send_single_stretches(&mut self) {
        while self.cycle.size.shrink(SystemEnv.now().get()) {}
    }
}

#[tokio::test]
async fn a_first_fill_and_a_second_device_and_nothing_more_to_say() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("from a", 120).await;
    b.write("from b", 3).await;
    a.sync().await;
    assert_eq!(a.seen.pushed, 120);
    b.sync().await;
    assert_eq!((b.seen.pushed, b.seen.pulled.values().sum()), (3, 120));
    a.sync().await;
    assert_eq!(a.doors.titles().await.len(), 123);
    assert_eq!(a.doors.digest().await, b.doors.digest().await);
    world.hub.called();
    a.sync().await;
    assert_eq!(world.hub.called(), ["hello"], "in step, one hello says so");
}

#[tokio::test]
async fn a_pull_that_breaks_off_resumes_where_it_was() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.send_single_stretches();
    a.write("from a", 200).await;
    a.sync().await;
    world.faults(Faults { cut_pull_after: Some(2), ..Faults::default() });
    assert!(b.try_sync().await.is_err());
    let here = b.doors.titles().await.len();
    assert!((1..200).contains(&here), "{here}");
    let cursor = b.doors.read(|view| view.cursor()).await.unwrap();
    assert_eq!(cursor.position as usize, here, "ops and cursor move together");
    world.faults(Faults::default());
    b.sync().await;
    assert_eq!(b.seen.pulled.values().sum::<u64>() as usize, 200 - here, "nothing comes twice");
}

#[tokio::test]
async fn a_lost_answer_to_a_push_of_many_pages_loses_nothing() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 300).await;
    a.cycle.size.shrink(0);
    a.cycle.size.shrink(0);
    a.cycle.size.shrink(0);
    world.faults(Faults { lose_push_answers: 1, ..Faults::default() });
    assert!(a.try_sync().await.is_err());
    a.sync().await;
    assert_eq!(world.hub.doors().titles().await.len(), 300);
    assert!(a.seen.pushed < 300, "the page whose answer was lost is not sent again");
}

#[tokio::test]
async fn what_is_too_large_goes_in_smaller_pages() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 300).await;
    world.faults(Faults { too_large_over: Some(600), ..Faults::default() });
    a.sync().await;
    world.faults(Faults { too_large_over: Some(10), ..Faults::default() });
    a.write("more", 1).await;
    assert!(matches!(a.try_sync().await, Err(Failure::Hub(HubError::Status { status: 413, .. }))));
}

#[tokio::test]
async fn a_wiped_hub_with_its_key_gets_everything_back() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("from a", 20).await;
    a.sync().await;
    b.write("from b", 20).await;
    b.sync().await;
    world.replace_hub(world.path("empty.db"));
    b.write("later", 1).await;
    b.sync().await;
    assert_eq!(b.seen.pushed, 41, "also what the other one wrote");
    a.sync().await;
    assert_eq!(a.doors.titles().await.len(), 41);
    assert!(b.doors.notices().await.iter().all(|notice| !notice.contains("replaced")));
}

#[tokio::test]
async fn a_hub_put_back_to_old_copies_twice_is_given_back_what_it_lost() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    for round in 0..3 {
        a.write(&format!("a{round}"), 10).await;
        a.sync().await;
        b.write(&format!("b{round}"), 10).await;
        b.sync().await;
        world.keep(&world.hub.doors(), &format!("kept{round}.db"));
    }
    a.sync().await;
    for kept in ["kept1.db", "kept0.db"] {
        world.replace_hub(world.path(kept));
        a.write(kept, 1).await;
        a.sync().await;
        b.sync().await;
        a.sync().await;
        assert_eq!(a.doors.titles().await, b.doors.titles().await);
    }
    assert_eq!(world.hub.doors().titles().await.len(), 62);
}

#[tokio::test]
async fn the_cursor_trap_a_hub_refilled_in_another_order() {
    let world = World::new();
    let (mut a, mut b, mut c) = (world.device("a"), world.device("b"), world.device("c"));
    a.write("from a", 5).await;
    a.sync().await;
    world.keep(&world.hub.doors(), "early.db");
    b.write("from b", 10).await;
    b.sync().await;
    a.sync().await;
    // The copy meets a device that nobody else knows: position 15 now stands over another past.
    world.replace_hub(world.path("early.db"));
    c.write("from c", 10).await;
    c.sync().await;
    a.sync().await;
    b.sync().await;
    c.sync().await;
    a.sync().await;
    for device in [&a, &b, &c] {
        assert_eq!(device.doors.titles().await.len(), 25);
    }
}

#[tokio::test]
async fn a_hub_that_skips_ops_is_asked_again_by_vector_alone() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    b.write("from b", 1).await;
    b.sync().await;
    // Two origins, so that what is skipped leaves no gap on the chain that comes.
    a.write("from a", 60).await;
    a.sync().await;
    let mut c = world.device("c");
    c.write("from c", 60).await;
    c.sync().await;
    world.faults(Faults { skip_pages: 3, ..Faults::default() });
    assert!(b.try_sync().await.is_err() || b.doors.titles().await.len() < 121);
    world.faults(Faults::default());
    b.sync().await;
    assert_eq!(b.doors.titles().await.len(), 121);
}

#[tokio::test]
async fn a_copied_device_draws_a_new_origin_and_both_branches_live() {
    let world = World::new();
    let mut a = world.device("a");
    a.send_single_stretches();
    a.write("before", 100).await;
    a.sync().await;
    a.write("unsent", 40).await;
    let copied = world.keep(&a.doors, "copy.db");
    let mut twin = world.device_at(copied, "twin");
    a.write("of a", 30).await;
    twin.write("of twin", 50).await;
    let origin = a.doors.read(|view| view.origin()).await;
    assert_eq!(twin.doors.read(|view| view.origin()).await, origin);
    a.sync().await;
    world.hub.called();
    twin.sync().await;
    let calls = world.hub.called();
    let asked = calls.iter().filter(|call| **call == "fork").count();
    assert!((1..=4).contains(&asked), "the branching point is found in a few questions: {calls:?}");
    assert_eq!(twin.seen.pulled.values().sum::<u64>(), 30, "only what comes after the branching point");
    assert_eq!(twin.seen.pushed, 50);
    assert!(twin.seen.new_origin.is_some());
    a.sync().await;
    assert_eq!(a.doors.titles().await.len(), 220);
    assert_eq!(a.doors.titles().await, twin.doors.titles().await);
    assert_eq!(a.doors.vector().await.tips(origin).collect::<Vec<Tip>>().len(), 2);
    twin.write("on its own", 1).await;
    twin.sync().await;
    a.write("on its own", 1).await;
    a.sync().await;
    twin.sync().await;
    assert_eq!(a.doors.digest().await, twin.doors.digest().await);
}

#[tokio::test]
async fn a_device_put_back_to_an_old_copy_and_written_to_heals() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("before", 10).await;
    a.sync().await;
    let old = world.keep(&a.doors, "old.db");
    a.write("lost here, not there", 25).await;
    a.sync().await;
    let mut restored = world.device_at(old, "a");
    restored.write("after", 7).await;
    restored.sync().await;
    assert!(restored.seen.new_origin.is_some());
    b.sync().await;
    assert_eq!(restored.doors.titles().await.len(), 42);
    assert_eq!(restored.doors.titles().await, b.doors.titles().await);
}

#[tokio::test]
async fn another_hub_that_holds_something_gets_nothing() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 5).await;
    a.sync().await;
    let other = world.another_hub("other.db");
    a.cycle.hub = other.clone();
    other.doors().write(["of somebody else".to_owned()]).await;
    a.write("secret", 1).await;
    let outcome = a.try_sync().await.unwrap();
    assert!(matches!(outcome, Outcome::OtherHub { op_count: 1, .. }), "{outcome:?}");
    assert_eq!(other.called(), ["hello"]);
    let preview = a.cycle.preview().await.unwrap();
    assert_eq!((preview.to_push, preview.to_pull()), (6, 1));
    assert_eq!(other.doors().titles().await.len(), 1, "a preview sends nothing");
    a.doors.writer.run(move |group| pin_hub(group, &preview.hub, "")).await.unwrap().unwrap();
    a.sync().await;
    assert_eq!(a.doors.titles().await.len(), 7);
}

#[tokio::test]
async fn an_empty_hub_with_another_key_is_pinned_anew_on_loopback_only() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 5).await;
    a.sync().await;
    a.cycle.hub = world.another_hub("other.db");
    a.cycle.loopback = false;
    assert!(matches!(a.try_sync().await.unwrap(), Outcome::OtherHub { op_count: 0, .. }));
    a.cycle.loopback = true;
    a.sync().await;
    let notices = a.doors.notices().await;
    assert!(notices[0].contains("by an empty one, which was filled again from here"), "{notices:?}");
    assert_eq!(a.seen.pushed, 5);
}

#[tokio::test]
async fn a_hub_that_lost_its_key_too_is_filled_by_every_device_on_its_machine() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("from a", 5).await;
    a.sync().await;
    b.write("from b", 5).await;
    b.sync().await;
    a.sync().await;
    a.write("unsent of a", 1).await;
    b.write("unsent of b", 1).await;
    let other = world.another_hub("other.db");
    (a.cycle.hub, b.cycle.hub) = (other.clone(), other);
    a.sync().await;
    b.sync().await;
    let notices = b.doors.notices().await;
    assert!(notices.iter().any(|notice| notice.contains("another device here has filled already")), "{notices:?}");
    a.sync().await;
    assert_eq!(a.doors.titles().await.len(), 12);
    assert_eq!(a.doors.titles().await, b.doors.titles().await);
}

#[tokio::test]
async fn a_hub_that_cannot_prove_itself_learns_nothing() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 5).await;
    world.faults(Faults { lies: true, ..Faults::default() });
    assert!(matches!(a.try_sync().await, Err(Failure::Unproven)));
    assert_eq!(world.hub.called(), ["hello"]);
}

#[tokio::test]
async fn values_that_did_not_come_are_asked_for_again() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("from a", 20).await;
    a.sync().await;
    world.faults(Faults { withhold_values: true, ..Faults::default() });
    b.sync().await;
    assert!(world.hub.called().contains(&"ops"));
    assert_eq!(b.doors.titles().await, a.doors.titles().await);
}

#[tokio::test]
async fn values_that_nobody_has_do_not_keep_those_behind_them_from_being_asked_for() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.send_single_stretches();
    a.write("from a", 300).await;
    a.sync().await;
    world.faults(Faults { withhold_values: true, lost_values_to: 270, ..Faults::default() });
    for _ in 0..3 {
        assert!(matches!(b.try_sync().await, Ok(Outcome::NotYet(NotYet::Values(_)))));
    }
    assert_eq!(b.doors.read(|view| Ok(view.summary()?.missing)).await, 270);
    world.faults(Faults::default());
    b.sync().await;
    assert_eq!(b.doors.titles().await, a.doors.titles().await);
}

#[tokio::test]
async fn a_vector_of_many_origins_comes_in_parts() {
    let world = World::new();
    for n in 0..30 {
        let mut device = world.device(&format!("d{n}"));
        device.write("one", 2).await;
        device.sync().await;
    }
    let mut last = world.device("last");
    last.write("last", 1).await;
    last.sync().await;
    assert_eq!(last.doors.titles().await.len(), 61);
    assert!(world.hub.called().contains(&"vector"));
}

#[tokio::test]
async fn a_hub_that_is_away_is_an_error_in_words_and_nothing_else() {
    let world = World::new();
    let mut a = world.device("a");
    world.faults(Faults { away: true, ..Faults::default() });
    let failure = a.try_sync().await.unwrap_err();
    assert_eq!(failure.to_string(), "connection refused");
}

#[tokio::test]
async fn a_hub_that_is_replaced_after_hello_is_sent_no_op() {
    for call in ["pull", "push"] {
        let world = World::new();
        let (mut a, mut b) = (world.device("a"), world.device("b"));
        b.write("from b", 5).await;
        b.sync().await;
        a.sync().await;
        a.cycle.loopback = false;
        a.write("secret", 5).await;
        b.write("more", 5).await;
        b.sync().await;
        world.faults(Faults { replaced_at: Some(call), ..Faults::default() });
        let before = world.hub.doors().vector().await;
        world.hub.called();
        let outcome = a.try_sync().await.unwrap();
        assert!(matches!(outcome, Outcome::OtherHub { .. }), "{outcome:?}");
        assert_eq!(world.hub.called().last(), Some(&"hello"), "{call}");
        assert_eq!(world.hub.doors().vector().await, before);
    }
}

#[tokio::test]
async fn a_hub_whose_log_is_replaced_in_the_middle_is_greeted_again_and_filled() {
    let world = World::new();
    let (mut a, mut b) = (world.device("a"), world.device("b"));
    a.write("from a", 20).await;
    a.sync().await;
    b.sync().await;
    world.replace_hub(world.path("empty.db"));
    world.hub.called();
    let stale = b.cycle.hello(&b.cycle.look().await.unwrap(), &mut Seen::default()).await.unwrap();
    world.replace_hub(world.path("emptier.db"));
    let error = b.cycle.hub.pull(Proven::by(&stale), &Default::default()).await.err().unwrap();
    assert!(error.is(crate::sync::protocol::code::OTHER_HUB), "another log of the same hub");
    b.sync().await;
    assert_eq!(world.hub.doors().titles().await.len(), 20);
}

#[tokio::test]
async fn what_does_not_fit_is_not_yet_and_the_next_cycle_pulls_by_vector() {
    use crate::sync::protocol::code;
    for (call, code) in
        [("push", code::GAP), ("pull", code::UNKNOWN_TIPS), ("pull", code::CURSOR_UNKNOWN), ("push", code::OTHER_HUB)]
    {
        let world = World::new();
        let (mut a, mut b) = (world.device("a"), world.device("b"));
        a.write("from a", 3).await;
        a.sync().await;
        b.write("from b", 3).await;
        world.faults(Faults { refuse: Some((call, code)), ..Faults::default() });
        assert_eq!(b.try_sync().await.unwrap(), Outcome::NotYet(NotYet::Misfit), "{call}: {code}");
        assert!(b.cycle.apart);
        world.faults(Faults::default());
        b.sync().await;
    }
}

#[tokio::test]
async fn two_that_both_hold_something_are_joined_with_a_word() {
    let world = World::new();
    let (mut a, mut b, mut bare) = (world.device("a"), world.device("b"), world.device("bare"));
    a.write("from a", 5).await;
    a.sync().await;
    b.write("from b", 2).await;
    b.sync().await;
    bare.sync().await;
    let told = b.doors.notices().await;
    let (id, there) = (b.doors.fact(fact::HUB_ID).await.unwrap(), "it held 5 ops, this device 2");
    assert!(told.len() == 1 && told[0].contains(&format!("joined the hub {id} at http://hub: {there}")), "{told:?}");
    assert_eq!(a.doors.notices().await, [""; 0], "its hub held nothing");
    assert_eq!(bare.doors.notices().await, [""; 0], "it had nothing to merge");
}

#[tokio::test]
async fn what_was_known_of_the_hub_before_is_forgotten_when_another_is_pinned() {
    let world = World::new();
    let mut a = world.device("a");
    a.write("from a", 5).await;
    a.sync().await;
    assert_eq!(a.doors.fact(fact::PUSH_CURSOR).await.as_deref(), Some("5"));
    assert_eq!(a.doors.fact(fact::HUB_URL).await.as_deref(), Some("http://hub"));
    a.cycle.hub = world.another_hub("other.db");
    a.cycle.hub_url = "http://other".to_owned();
    *a.cycle.hub.faults.lock().unwrap() = Faults { too_large_over: Some(0), ..Faults::default() };
    assert!(a.try_sync().await.is_err());
    for forgotten in [fact::PUSH_CURSOR, fact::LAST_SYNC_MS, fact::CLOCK_OFFSET_MS] {
        assert_eq!(a.doors.fact(forgotten).await, None, "{forgotten}");
    }
    assert_eq!(a.doors.fact(fact::HUB_URL).await.as_deref(), Some("http://other"));
    let notices = a.doors.notices().await;
    assert!(notices[0].contains("by an empty one, which is being filled from here"), "{notices:?}");
    *a.cycle.hub.faults.lock().unwrap() = Faults::default();
    a.sync().await;
    let notices = a.doors.notices().await;
    assert!(notices[0].contains("was filled again from here"), "{notices:?}");
}

#[tokio::test]
async fn being_in_step_is_written_down_at_most_once_a_minute() {
    let world = World::new();
    let mut a = world.device("a");
    a.sync().await;
    for (ago_ms, is_written) in [(30_000, false), (90_000, true)] {
        let noted = (SystemEnv.now().get() - ago_ms).to_string();
        let put = noted.clone();
        let set = move |group: &mut Group<'_>| group.set_fact(fact::LAST_SYNC_MS, Some(&put));
        a.doors.writer.run(set).await.unwrap().unwrap();
        a.sync().await;
        assert_eq!(a.doors.fact(fact::LAST_SYNC_MS).await != Some(noted), is_written, "{ago_ms}");
    }
}
