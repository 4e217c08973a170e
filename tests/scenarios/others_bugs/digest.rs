//! The digest says whether two hold the same. It helps only if each makes its own, from what it holds and from nothing
//! else.

use super::{
    heal, in_step,
    tampering::{self, HELLO},
    titles,
};
use heph_api::types::{Backup, ImportObsidian, Search, SyncState};
use heph_store::read::Reads;
use heph_tests::{
    Device, Hub, World,
    between::{Between, Verdict},
    files::write_tree,
};

/// The digest that a device makes when it derives its whole state from its own log again.
#[track_caller]
fn rebuilt(device: &Device) -> String {
    device.json(&["verify"])["rebuilt_digest"].as_str().expect("a digest").to_owned()
}

/// Elsewhere the client took over the server's digest at the end of a sync, and with that called itself equal.
#[test]
fn c09_a_client_that_adopts_the_hubs_digest_and_so_never_sees_its_gap() {
    let (world, between) = (World::new(), Between::start());
    let (hub, writer) = (world.hub(), world.device("writer"));
    writer.task("seen");
    writer.sync();
    writer.task("in the gap");
    writer.sync();
    between.lead_to(&hub.url());
    let gap = hub.summary().head;
    // What comes is whole but for the newest op, and whatever is asked for again comes without it, too.
    between.judge(tampering::every_pull(hub.url(), move |items| {
        for item in items.iter_mut().filter(|item| item.position >= gap) {
            item.stretches.pop_if(|stretch| stretch.entries.len() == 1);
        }
    }));
    let reader = world.stopped_device("reader");
    reader.know_url(Some(&between.url()));
    for _ in 0..3 {
        reader.start();
        let status = reader.exchange();
        assert!(!titles(&reader).contains("in the gap"), "the trap is set");
        assert!(!status.state.is_in_step(), "{status:?}");
        assert_ne!(status.state_digest, hub.digest());
        assert_eq!(status.state_digest, rebuilt(&reader), "its digest is that of what it holds");
        reader.stop();
    }
    between.let_pass();
    reader.start();
    heal(&hub, &[&writer, &reader]);
    assert!(titles(&reader).contains("in the gap"));

    // The same ops, and a hub that says that they make another state: that is told, and never taken over.
    let (ours, other) = (reader.digest(), "5".repeat(64));
    let (from, to) = (ours.clone(), other.clone());
    between.judge(move |request| match request.path.as_str() {
        HELLO => Verdict::Rewrite(from.clone(), to.clone()),
        _ => Verdict::Pass,
    });
    for _ in 0..3 {
        let status = reader.exchange();
        assert_eq!(
            (status.state, status.next.as_deref()),
            (SyncState::Pending, Some("heph verify --deep")),
            "{status:?}"
        );
        assert_eq!((&status.state_digest, &rebuilt(&reader)), (&ours, &ours));
        reader.restart();
    }
    between.let_pass();
    reader.sync();
}

fn buckets(hub: &Hub) -> Vec<[u8; 32]> {
    Reads::open(&hub.db_path()).unwrap().read(|view| view.buckets()).unwrap()
}

fn found(device: &Device, words: &str) -> usize {
    device.call(&Search { query: words.into(), ..Search::default() }).hits.len()
}

/// Elsewhere a counter, an index or a cached list was hashed along, and two that held the same differed for ever.
#[test]
fn c10_derived_data_in_a_digest() {
    let world = World::new();
    let (hub, a, b) = (world.hub(), world.lone_device("a"), world.lone_device("b"));
    // The same ops come to each in another order and by another way: written here, imported, pulled.
    let vault = world.dir("vault");
    let notes: [(&[u8], &[u8]); 2] = [(b"One.md", b"To [[Two]]. #green\n"), (b"Two.md", b"Back to [[One]].\n")];
    write_tree(&vault, &notes);
    a.call(&ImportObsidian { dir: vault.into(), vault: Some("vault".into()) });
    let milk = b.json(&["task", "Buy milk", "--tag", "shop", "--do", "2026-11-20"]);
    let milk = milk["node_id"].as_str().expect("its id");
    assert_ne!(a.digest(), b.digest(), "what they hold differs");
    a.join(&hub);
    b.join(&hub);
    let digest = world.converge();
    let [on_a, on_b] = [&a, &b].map(|device| super::log_of(&device.db_path()));
    assert_ne!(on_a, on_b, "the trap is set: the logs stand in another order");

    // What is derived is lost on one of them: what it finds is less, what it holds is the same.
    b.stop();
    let file = rusqlite::Connection::open(b.db_path()).unwrap();
    let spoil = "DELETE FROM link; DELETE FROM name; DELETE FROM tagged; DELETE FROM imported;
        INSERT INTO search (search) VALUES ('delete-all'); UPDATE node SET do_date = NULL, late_on = NULL;";
    file.execute_batch(spoil).unwrap();
    drop(file);
    b.start();
    assert_eq!((found(&a, "milk"), found(&b, "milk")), (1, 0), "the trap is set: the indexes differ");
    let status = b.exchange();
    assert_eq!((status.state, &status.state_digest, status.last_error), (SyncState::InSync, &digest, None));
    let (own, theirs) = (buckets(&hub), Reads::open(&b.db_path()).unwrap().read(|view| view.buckets()).unwrap());
    assert!(own == theirs, "bucket by bucket");

    // A backup adds the digest up anew from what is there.
    let copy = world.root().join("copy.db");
    let report = b.call(&Backup { file: copy.into() });
    assert_eq!(report.state_digest, digest);

    // And it stays so over what is written next, also where something was lost.
    a.task("after that");
    b.retitle(milk, "Buy oat milk");
    in_step(&hub, &[&a, &b]);
    assert_ne!(a.digest(), digest, "what is held is in it");
}
