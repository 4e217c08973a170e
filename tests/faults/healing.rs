//! Disks that are lost, copies that are put back, files that run twice, hubs that are swapped. All of it heals with
//! nobody typing anything on a device, nothing is lost, and every replica is equal; only a stranger's hub is asked about.

use crate::kill::verify_hub;
use heph_api::types::{ImportObsidian, ListDevices, NodeHistory, SwitchHub, SyncState, SyncStatus};
use heph_store::{id::OpId, read::Reads, replica::Cursor};
use heph_tests::{Device, Hub, World, between::Between, files::write_tree, wait};
use std::{cell::RefCell, collections::BTreeSet, path::Path, sync::Arc};

/// Waits until all devices are in step with the hub by themselves, and all replicas are equal and sound.
fn heal(hub: &Hub, devices: &[&Arc<Device>]) {
    let last = Last::default();
    wait::until("everybody in step without being asked", || {
        let (ops, digest) = (hub.summary().head, hub.digest());
        *last.0.borrow_mut() = devices.iter().map(|device| device.status()).collect();
        let is_same = |status: &SyncStatus| (status.op_count, &status.state_digest) == (ops, &digest);
        let is_healed = |status: &SyncStatus| status.state.is_in_step() && is_same(status);
        last.0.borrow().iter().all(is_healed).then_some(())
    });
    devices.iter().for_each(|device| device.verify());
    verify_hub(hub);
}

/// The statuses that were last seen, told if it comes to nothing.
#[derive(Default)]
struct Last(RefCell<Vec<SyncStatus>>);

impl Drop for Last {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("the last statuses: {:#?}", self.0.borrow());
        }
    }
}

/// The titles of all tasks; each has to be there once.
fn titles(device: &Device) -> BTreeSet<String> {
    let tasks = device.tasks();
    let titles: BTreeSet<String> = tasks.iter().map(|task| task.title.clone()).collect();
    assert_eq!(titles.len(), tasks.len(), "a task is there twice on {}", device.name());
    titles
}

fn set(titles: &[&str]) -> BTreeSet<String> {
    titles.iter().map(|title| (*title).to_owned()).collect()
}

/// Writes so many ops on a device, as one import.
fn many_ops(world: &World, device: &Device, name: &str, count: usize) {
    let notes: Vec<(String, String)> =
        (0..count).map(|n| (format!("{name} {n}.md"), format!("note {n} of {name}\n"))).collect();
    let files: Vec<(&[u8], &[u8])> = notes.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes())).collect();
    let dir = world.dir(name);
    write_tree(&dir, &files);
    let report = device.call(&ImportObsidian { dir: dir.into(), vault: Some(name.into()) });
    assert!(report.ops >= count as u64, "{report:?}");
}

#[test]
fn a_hub_that_lost_its_disk_but_not_its_key_is_filled_again() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    a.task("of a");
    b.task("of b");
    let digest = world.converge();
    let (id, ops) = (a.status().hub_id, hub.summary().head);
    hub.kill9();
    hub.lose_disk_but_the_key();
    b.task("written meanwhile");
    hub.start();
    heal(&hub, &[&a, &b]);
    assert_ne!(a.digest(), digest);
    assert!(hub.summary().head > ops);
    assert_eq!((a.status().hub_id, b.status().hub_id), (id.clone(), id));
    let c = world.device("c");
    heal(&hub, &[&a, &b, &c]);
    assert_eq!(titles(&c), set(&["of a", "of b", "written meanwhile"]));
}

#[test]
fn a_hub_on_this_machine_that_lost_its_key_too_is_pinned_anew_and_status_says_so() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    a.task("of a");
    b.task("of b");
    world.converge();
    let before = a.status().hub_id.expect("a pinned hub");
    hub.kill9();
    hub.lose_disk();
    a.task("written meanwhile");
    hub.start();
    heal(&hub, &[&a, &b]);
    for device in [&a, &b] {
        let status = device.status();
        assert_ne!(status.hub_id.as_ref(), Some(&before));
        assert!(
            status.notices.iter().any(|notice| notice.contains("hub was replaced") && notice.contains(&before)),
            "{status:?}"
        );
    }
    let c = world.device("c");
    heal(&hub, &[&a, &b, &c]);
    assert_eq!(titles(&c), set(&["of a", "of b", "written meanwhile"]));
}

#[test]
fn a_hub_put_back_to_copies_500_ops_old_gets_back_what_it_lost_twice() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let (older, old) = (world.dir("copy-1"), world.dir("copy-2"));
    let task = a.task("as it was");
    let copy = |to: &Path| {
        world.converge();
        hub.stop();
        hub.copy_files(to);
        hub.start();
        hub.summary().head
    };
    let at_older = copy(&older);
    many_ops(&world, &a, "first of a", 300);
    many_ops(&world, &b, "first of b", 250);
    b.retitle(&task, "once changed");
    let at_old = copy(&old);
    many_ops(&world, &a, "second of a", 250);
    many_ops(&world, &b, "second of b", 300);
    a.retitle(&task, "twice changed");
    world.converge();
    let (ops, digest) = (hub.summary().head, hub.digest());
    assert!(at_old >= at_older + 500 && ops >= at_old + 500, "{at_older}, {at_old}, {ops}");

    for copy in [&old, &older] {
        hub.kill9();
        hub.put_back(copy);
        hub.start();
        heal(&hub, &[&a, &b]);
        assert_eq!((hub.summary().head, hub.digest()), (ops, digest.clone()));
    }
    let c = world.device("c");
    heal(&hub, &[&a, &b, &c]);
    assert_eq!(c.title(&task), "twice changed");
}

#[test]
fn a_device_put_back_to_an_old_copy_and_written_to_keeps_both_branches() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let doc = a.doc("shared", "one\n");
    world.converge();
    a.stop();
    let copy = world.dir("copy");
    a.copy_files(&copy);
    a.start();
    a.append(&doc, "two, before the disk was lost\n");
    a.task("before");
    world.converge();
    let origin = a.status().origin;

    a.stop();
    hub.stop();
    a.put_back(&copy);
    a.start();
    a.append(&doc, "two, on the old copy\n");
    a.task("after");
    assert_eq!(a.status().origin, origin, "nothing has shown the copy yet that it is one");
    hub.start();
    heal(&hub, &[&a, &b]);

    assert_eq!(titles(&b), set(&["before", "after"]));
    for device in [&a, &b] {
        let text = device.text(&doc);
        for line in ["two, before the disk was lost", "two, on the old copy"] {
            assert_eq!(text.matches(line).count(), 1, "{text:?} on {}", device.name());
        }
        let devices = device.call(&ListDevices {}).devices;
        assert_eq!(devices.iter().find(|row| row.origin == origin).expect("its origin").branches, 2, "{devices:?}");
        let history = device.call(&NodeHistory { id: doc.clone(), ..NodeHistory::default() });
        assert!(history.entries.len() >= 3, "{history:?}");
    }
    let status = a.status();
    assert_ne!(status.origin, origin, "what it writes from now on has an origin of its own");
    assert!(status.notices.iter().any(|notice| notice.contains("copied or restored")), "{status:?}");
    a.task("with the new origin");
    heal(&hub, &[&a, &b]);
    let c = world.device("c");
    heal(&hub, &[&a, &b, &c]);
    assert_eq!(titles(&c), set(&["before", "after", "with the new origin"]));
}

#[test]
fn a_device_put_back_that_meets_the_hub_before_anybody_writes_gets_its_own_ops_back() {
    let world = World::new();
    let (hub, a) = (world.hub(), world.device("a"));
    world.converge();
    a.stop();
    let copy = world.dir("copy");
    a.copy_files(&copy);
    a.start();
    let task = a.task("lost here, kept at the hub");
    world.converge();
    let (origin, ops) = (a.status().origin, hub.summary().head);
    a.kill9();
    a.put_back(&copy);
    a.start();
    heal(&hub, &[&a]);
    assert!(hub.summary().head >= ops);
    assert_eq!(a.title(&task), "lost here, kept at the hub");
    assert_ne!(a.status().origin, origin, "it does not go on with a chain that it may not hold the end of");
    a.retitle(&task, "and on");
    heal(&hub, &[&a]);
    let rows = a.call(&ListDevices {}).devices;
    assert!(rows.iter().all(|row| row.branches <= 1), "nothing forked: {rows:?}");
}

#[test]
fn a_copied_device_with_an_unsent_tail_and_its_twin_are_both_kept() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let doc = a.doc("shared", "one\n");
    world.converge();
    hub.stop();
    a.append(&doc, "in the tail\n");
    let retitled = a.task("of the tail");
    a.stop();
    let twin = world.stopped_device("twin");
    a.copy_files(twin.dir());
    twin.know(Some(&hub));
    a.start();
    twin.start();
    a.append(&doc, "of the original\n");
    twin.append(&doc, "of the twin\n");
    a.retitle(&retitled, "by the original");
    twin.retitle(&retitled, "by the twin");
    a.task("task of the original");
    twin.task("task of the twin");
    hub.start();
    heal(&hub, &[&a, &twin, &b]);

    for device in [&a, &twin, &b] {
        let text = device.text(&doc);
        for line in ["one", "in the tail", "of the original", "of the twin"] {
            assert_eq!(text.matches(line).count(), 1, "{text:?} on {}", device.name());
        }
        assert_eq!(device.values(&retitled, "title").len(), 2, "both titles are there on {}", device.name());
    }
    a.task("later original");
    twin.task("later twin");
    heal(&hub, &[&a, &twin, &b]);
    assert_ne!(a.status().origin, twin.status().origin);
    let c = world.device("c");
    heal(&hub, &[&a, &twin, &b, &c]);
    let tasks = c.tasks().len();
    assert_eq!(tasks, 5, "{:?}", titles(&c));
    a.take(&retitled, "title", &"by the twin".into());
    heal(&hub, &[&a, &twin, &b, &c]);
    assert!(c.values(&retitled, "title").is_empty() && c.title(&retitled) == "by the twin");
}

#[test]
fn hub_and_device_put_back_at_once_get_everything_from_the_third() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    a.task("from the start");
    world.converge();
    let (of_hub, of_a) = (world.dir("copy-hub"), world.dir("copy-a"));
    hub.stop();
    a.stop();
    hub.copy_files(&of_hub);
    a.copy_files(&of_a);
    hub.start();
    a.start();
    a.task("lost by a");
    b.task("of b");
    world.converge();

    hub.kill9();
    a.kill9();
    hub.put_back(&of_hub);
    a.put_back(&of_a);
    a.start();
    a.task("on the old copy");
    b.task("of b, meanwhile");
    hub.start();
    heal(&hub, &[&a, &b]);
    let all = set(&["from the start", "lost by a", "of b", "on the old copy", "of b, meanwhile"]);
    assert_eq!((titles(&a), titles(&b)), (all.clone(), all.clone()));
    a.task("and on");
    heal(&hub, &[&a, &b]);
    let c = world.device("c");
    heal(&hub, &[&a, &b, &c]);
    assert_eq!(titles(&c), &all | &set(&["and on"]));
}

#[test]
fn a_hub_that_lost_what_only_a_stopped_device_has_gets_it_when_that_one_returns() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    a.task("of both");
    world.converge();
    let copy = world.dir("copy");
    hub.stop();
    hub.copy_files(&copy);
    hub.start();
    b.stop();
    a.task("only a has it");
    a.sync();
    a.stop();
    hub.kill9();
    hub.put_back(&copy);
    hub.start();
    b.start();
    heal(&hub, &[&b]);
    assert_eq!(titles(&b), set(&["of both"]));
    a.start();
    heal(&hub, &[&a, &b]);
    assert_eq!(titles(&b), set(&["of both", "only a has it"]));
}

/// The ids of the hub's ops in the order of its log.
fn log_of(hub: &Hub) -> Vec<OpId> {
    let reads = Reads::open(&hub.db_path()).unwrap();
    let page = reads.read(|view| view.page_after(0, &heph_store::exchange::Coverage::default(), usize::MAX)).unwrap();
    let stretches = page.map(|page| heph_store::page::decode(&page.bytes).unwrap()).unwrap_or_default();
    stretches.into_iter().flat_map(|stretch| stretch.entries).map(|entry| entry.id).collect()
}

fn cursor_of(device: &Device) -> Cursor {
    Reads::open(&device.db_path()).unwrap().read(|view| view.cursor()).unwrap().expect("it has pulled")
}

/// ```text
///   position      N+1         N+2        N+3
///   the log was   made by a   made by b            the away device stands behind N+2
///   it becomes    made by d   made by b  made by a
/// ```
#[test]
fn the_same_position_and_op_over_another_past_is_not_mistaken_for_the_place_where_a_device_stands() {
    let world = World::new();
    let (hub, a, b, d) = (world.hub(), world.device("a"), world.device("b"), world.device("d"));
    let away = world.device("away");
    world.converge();
    hub.stop();
    let copy = world.dir("copy");
    hub.copy_files(&copy);
    let begun = log_of(&hub).len();
    // While the hub is away: the one of d is never sent to it, and b has its own before that of a.
    d.task("made by d");
    d.stop();
    b.task("made by b");
    b.stop();
    hub.start();
    a.task("made by a");
    heal(&hub, &[&a]);
    b.start();
    heal(&hub, &[&a, &b, &away]);
    away.stop();
    let (log_was, stands) = (log_of(&hub), cursor_of(&away));
    assert_eq!((log_was.len(), stands.position), (begun + 2, begun as u64 + 2));

    a.stop();
    b.stop();
    hub.kill9();
    hub.put_back(&copy);
    hub.start();
    d.start();
    heal(&hub, &[&d]);
    b.start();
    heal(&hub, &[&d, &b]);
    let log_is = log_of(&hub);
    assert_eq!(log_is.get(begun + 1), log_was.get(begun + 1), "the trap is set: the same op at the same position");
    assert_ne!(log_is.get(begun), log_was.get(begun), "the trap is set: another op before it");

    away.start();
    a.start();
    heal(&hub, &[&a, &b, &d, &away]);
    assert_eq!(titles(&away), set(&["made by a", "made by b", "made by d"]));
}

/// Two hubs, each with a device and a task, and something between that leads the first device to either.
struct TwoHubs {
    world: World,
    between: Between,
    device: Arc<Device>,
    strange: Arc<Hub>,
    stranger: Arc<Device>,
}

fn two_hubs() -> TwoHubs {
    let (world, between) = (World::new(), Between::start());
    let strange = world.another_hub("strange");
    let stranger = world.lone_device("stranger");
    stranger.join(&strange);
    stranger.task("a stranger's");
    stranger.sync();
    between.lead_to(&world.hub().url());
    let device = world.stopped_device("device");
    device.know_url(Some(&between.url()));
    device.start();
    device.task("ours");
    device.sync();
    TwoHubs { world, between, device, strange, stranger }
}

#[test]
fn another_hub_behind_the_url_is_sent_nothing_until_a_person_has_seen_what_would_happen() {
    let TwoHubs { world, between, device, strange, stranger } = two_hubs();
    let (ours, theirs) = (device.status().hub_id.unwrap(), stranger.status().hub_id.unwrap());
    device.stop();
    between.take_seen();
    between.lead_to(&strange.url());
    let before = strange.summary();
    device.start();
    device.exchange();
    device.task("written in front of a stranger");
    let status = device.exchange();
    assert_eq!((status.state, status.hub_id.as_ref()), (SyncState::OtherHub, Some(&ours)));
    assert!(status.words.contains(&theirs) && status.words.contains("nothing was sent"), "{}", status.words);
    assert_eq!(status.next.as_deref(), Some("heph sync --switch-hub"));
    assert_eq!(status.last_error.expect("said as an error too").code, "hub_refused");
    assert_eq!(strange.summary(), before);
    let seen = between.take_seen();
    assert!(!seen.is_empty() && seen.iter().all(|(_, path)| path == "/v1/sync/hello"), "{seen:?}");
    let said = device.heph(&["sync", "--status"]).exits(4).text();
    assert!(said.starts_with("other_hub: ") && said.contains("heph sync --switch-hub"), "{said}");

    let preview = device.call(&SwitchHub { confirm: None });
    assert_eq!(
        (preview.switched, preview.hub_id.as_str(), preview.pinned_hub_id.as_ref()),
        (false, theirs.as_str(), Some(&ours))
    );
    assert_eq!((preview.ops_there, preview.ops_here), (before.head, device.status().op_count));
    assert_eq!((preview.to_push, preview.to_pull), (preview.ops_here, preview.ops_there));
    device.heph(&["sync", "--switch-hub"]).ok();
    assert_eq!(strange.summary(), before, "a preview sends nothing");
    assert!(
        device.try_call(&SwitchHub { confirm: Some(ours.clone()) }).is_err(),
        "another id than the one that answers"
    );
    assert_eq!(strange.summary(), before);

    device.heph(&["sync", "--switch-hub", "--yes"]).ok();
    heal(&strange, &[&device, &stranger]);
    assert_eq!(titles(&stranger), set(&["ours", "a stranger's", "written in front of a stranger"]));
    assert_eq!(device.status().hub_id, Some(theirs));
    assert_eq!(world.hub().summary().head, 2, "the hub that was left is as it was");
}

#[test]
fn the_right_hub_behind_the_url_again_is_known_again() {
    let TwoHubs { world, between, device, strange, .. } = two_hubs();
    between.lead_to(&strange.url());
    assert_eq!(device.exchange().state, SyncState::OtherHub);
    let task = device.task("kept for the right one");
    between.lead_to(&world.hub().url());
    assert_eq!(device.exchange().state, SyncState::InSync);
    let other = world.device("other");
    heal(&world.hub(), &[&device, &other]);
    assert_eq!(other.title(&task), "kept for the right one");
}
