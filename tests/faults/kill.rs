//! `kill -9` at random moments, and answers that are lost on the way. What was acknowledged is there afterwards, the
//! cursor has moved with the ops or not at all, and everybody converges.

use heph_api::types::{CreateTask, ImportObsidian, SyncState};
use heph_store::{
    exchange::Coverage,
    page::{self, PAGE_BYTES_AIM},
    read::Reads,
    vector::Tip,
};
use heph_tests::{
    Device, Hub, World,
    between::{Between, Verdict, answer, only_nth},
    files::write_tree,
};
use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Where the kills fall; `HEPH_TEST_SEED` replays another run.
fn seed() -> u64 {
    let set = std::env::var("HEPH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    set.unwrap_or(20_261_120)
}

/// A small generator of numbers, the same for the same seed.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A daemon that can be killed.
#[derive(Clone)]
enum Victim {
    Hub(Arc<Hub>),
    Device(Arc<Device>),
}

impl Victim {
    fn kill(&self) {
        match self {
            Self::Hub(hub) => hub.kill9(),
            Self::Device(device) => device.kill9(),
        }
    }

    fn start(&self) {
        match self {
            Self::Hub(hub) => hub.start(),
            Self::Device(device) => device.start(),
        }
    }
}

/// What a surface was told is written: the titles of tasks, and the names of vaults that were imported.
#[derive(Default)]
struct Acknowledged {
    titles: Mutex<BTreeSet<String>>,
    vaults: Mutex<BTreeSet<String>>,
}

/// Notes in a vault.
const NOTES: usize = 60;
/// Tasks that each device makes while somebody is killed.
const TASKS: usize = 6;
/// How often somebody is killed: each of the three as often as the others.
const KILLS: usize = 108;
/// An import begins with every so many kills.
const KILLS_PER_IMPORT: usize = 6;
/// The latest moment of a kill after the work has begun, in microseconds.
const KILL_WITHIN_US: u64 = 120_000;

fn titles_of(vault: &str) -> impl Iterator<Item = String> {
    (0..NOTES).map(move |n| format!("{vault} {n}"))
}

fn write_vault(dir: &Path, name: &str) {
    let notes = titles_of(name).enumerate().map(|(n, title)| {
        let next = (n + 1) % NOTES;
        (format!("{title}.md"), format!("# Note {n}\n\nOf {name}, before [[{name} {next}]]. #kept\n"))
    });
    let notes: Vec<(String, String)> = notes.collect();
    let files: Vec<(&[u8], &[u8])> = notes.iter().map(|(name, text)| (name.as_bytes(), text.as_bytes())).collect();
    write_tree(dir, &files);
}

/// Makes tasks on a device, one after the other; those that were answered are acknowledged.
fn write_tasks(device: &Device, prefix: &str, told: &Acknowledged) {
    for number in 0..TASKS {
        let title = format!("{} {prefix}.{number}", device.name());
        let call = CreateTask { title: title.clone(), body: Some("text".into()), ..CreateTask::default() };
        if device.try_call(&call).is_ok() {
            told.titles.lock().unwrap().insert(title);
        }
    }
}

/// Imports a vault on a device; an import that was answered is acknowledged.
fn import(device: &Device, dir: &Path, name: &str, told: &Acknowledged) {
    let call = ImportObsidian { dir: dir.to_owned().into(), vault: Some(name.into()) };
    if device.try_call(&call).is_ok() {
        told.vaults.lock().unwrap().insert(name.to_owned());
    }
}

/// A device whose daemon is gone holds everything of the hub's log up to its cursor.
#[track_caller]
fn cursor_covers_only_what_is_here(device: &Device, hub: &Hub) {
    let ours = Reads::open(&device.db_path()).unwrap();
    let Some(cursor) = ours.read(|view| view.cursor()).unwrap() else { return };
    let theirs = Reads::open(&hub.db_path()).unwrap();
    let name = device.name();
    let known = theirs.read(|view| view.position_is(&cursor)).unwrap();
    assert!(known, "the cursor of {name} ({}) is no position in the hub's log", cursor.position);
    let (mut position, mut after) = (0, 0);
    let next_page = |after| theirs.read(|view| view.page_after(after, &Coverage::default(), PAGE_BYTES_AIM)).unwrap();
    while let Some(read) = next_page(after).filter(|_| position < cursor.position) {
        let stretches = page::decode(&read.bytes).unwrap();
        for entry in stretches.iter().flat_map(|stretch| &stretch.entries).take((cursor.position - position) as usize) {
            position += 1;
            let tip = Tip { seq: entry.op.seq, id: entry.id };
            let here = ours.read(|view| view.holds(entry.op.origin, &tip)).unwrap();
            assert!(here, "the cursor of {name} ({}) has passed over op {position} of the hub's log", cursor.position);
        }
        after = read.position;
    }
}

/// Rebuilds the state of a hub's replica from its log, which has to agree with it.
#[track_caller]
pub fn verify_hub(hub: &Hub) {
    let report = heph_store::verify::verify(&hub.db_path(), Arc::new(heph_store::env::SystemEnv)).unwrap();
    assert!(report.problems.is_empty(), "the hub is not sound: {report:?}");
}

/// How many visible nodes of a kind have this title, in a replica's file.
fn count(db: &Path, kind: &str, title: &str) -> usize {
    let reads = Reads::open(db).unwrap();
    reads.read(|view| view.titled(kind, title)).unwrap().len()
}

#[test]
fn kill_9_at_any_moment_loses_nothing_that_was_acknowledged() {
    let seed = seed();
    println!("HEPH_TEST_SEED={seed}");
    let (world, told, mut numbers) = (World::new(), Acknowledged::default(), Numbers(seed));
    let (hub, a, b) = (world.hub(), world.device("a"), world.device("b"));
    let victims = [Victim::Hub(hub.clone()), Victim::Device(a.clone()), Victim::Device(b.clone())];
    let mut vaults = Vec::new();
    for kill in 0..KILLS {
        let victim = &victims[kill % victims.len()];
        let moment = Duration::from_micros(numbers.below(KILL_WITHIN_US));
        let importing = (kill % KILLS_PER_IMPORT == 0).then(|| {
            let name = format!("vault-{kill}");
            write_vault(&world.dir(&name), &name);
            (if numbers.below(2) == 0 { &a } else { &b }, name)
        });
        vaults.extend(importing.clone());
        thread::scope(|scope| {
            scope.spawn(|| write_tasks(&a, &kill.to_string(), &told));
            scope.spawn(|| write_tasks(&b, &kill.to_string(), &told));
            if let Some((device, name)) = &importing {
                let (dir, told) = (world.root().join(name), &told);
                scope.spawn(move || import(device, &dir, name, told));
            }
            thread::sleep(moment); // The moment is the point of it; nothing is waited for.
            victim.kill();
            if let Victim::Device(device) = victim {
                cursor_covers_only_what_is_here(device, &hub);
            }
            victim.start();
        });
    }

    world.converge();
    let titles = told.titles.lock().unwrap().clone();
    let imported = told.vaults.lock().unwrap().clone();
    let dbs = [hub.db_path(), a.db_path(), b.db_path()];
    assert!(titles.len() > KILLS, "only {} tasks were acknowledged", titles.len());
    for db in &dbs {
        let lost: Vec<_> = titles.iter().filter(|title| count(db, "task", title) != 1).collect();
        assert!(lost.is_empty(), "seed {seed}: {} has not exactly one each of {lost:?}", db.display());
        for vault in &imported {
            let lost: Vec<_> = titles_of(vault).filter(|title| count(db, "doc", title) != 1).collect();
            assert!(lost.is_empty(), "seed {seed}: {} has not exactly one each of {lost:?}", db.display());
        }
    }
    // An import that was killed is simply made again: every note is there once.
    for (device, name) in &vaults {
        import(device, &world.root().join(name), name, &told);
    }
    world.converge();
    for (title, db) in vaults
        .iter()
        .flat_map(|(_, vault)| titles_of(vault))
        .flat_map(|title| dbs.iter().map(move |db| (title.clone(), db)))
    {
        assert_eq!(count(db, "doc", &title), 1, "seed {seed}: {title} in {}", db.display());
    }
    a.verify();
    b.verify();
    verify_hub(&hub);
}

/// How often somebody is killed while large pages travel.
const KILLS_ON_THE_WAY: usize = 24;

#[test]
fn kill_9_while_many_pages_travel_loses_nothing() {
    let seed = seed() + 1;
    println!("HEPH_TEST_SEED={}", seed - 1);
    let (world, mut numbers) = (World::new(), Numbers(seed));
    let (hub, writer, reader) = (world.hub(), world.device("writer"), world.device("reader"));
    let victims = [Victim::Device(reader.clone()), Victim::Hub(hub.clone()), Victim::Device(writer.clone())];
    let mut docs = Vec::new();
    for kill in 0..KILLS_ON_THE_WAY {
        let text = letters(&mut numbers, 300_000);
        docs.push((writer.doc(&format!("large {kill}"), &text), text));
        let victim = &victims[kill % victims.len()];
        thread::sleep(Duration::from_micros(numbers.below(KILL_WITHIN_US))); // The moment is the point of it.
        victim.kill();
        if let Victim::Device(device) = victim {
            cursor_covers_only_what_is_here(device, &hub);
        }
        victim.start();
    }
    world.converge();
    for (doc, text) in &docs {
        assert!(writer.text(doc) == *text && reader.text(doc) == *text, "seed {seed}: {doc} is not what was written");
    }
    [&writer, &reader].iter().for_each(|device| device.verify());
    verify_hub(&hub);
}

/// A device that talks to the hub through something between, with a log of many pages that the hub does not have yet.
fn many_pages_to_send(world: &World, between: &Between) -> (Arc<Device>, Vec<String>) {
    between.lead_to(&world.hub().url());
    let device = world.lone_device("offline");
    let mut numbers = Numbers(7);
    let docs = (0..14).map(|n| device.doc(&format!("large {n}"), &letters(&mut numbers, 200_000))).collect();
    device.stop();
    device.know_url(Some(&between.url()));
    (device, docs)
}

/// Letters that hardly compress.
fn letters(numbers: &mut Numbers, count: usize) -> String {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n";
    (0..count).map(|_| char::from(ALPHABET[numbers.below(ALPHABET.len() as u64) as usize])).collect()
}

/// Exchanges until the device is in step; returns how many tries it took.
fn tries_until_in_step(device: &Device) -> usize {
    (1..=20).find(|_| device.exchange().state == SyncState::InSync).expect("in step within 20 tries")
}

fn pushes(between: &Between) -> usize {
    between.take_seen().iter().filter(|(_, path)| path == PUSH).count()
}

const PUSH: &str = "/v1/sync/push";

#[test]
fn a_push_of_many_pages_with_one_answer_lost_arrives_whole() {
    let (world, between) = (World::new(), Between::start());
    let (device, docs) = many_pages_to_send(&world, &between);
    between.judge(only_nth(PUSH, 2, Verdict::LoseAnswer));
    device.start();
    let first = device.exchange();
    let tries = tries_until_in_step(&device);
    assert!(pushes(&between) >= 5, "there were not many pages");
    assert!(tries > 1 || first.state == SyncState::InSync);
    let reader = world.device("reader");
    assert_eq!(world.converge(), device.digest());
    docs.iter().for_each(|doc| assert_eq!(reader.text(doc), device.text(doc)));
    assert_eq!(world.hub().summary().head, device.status().op_count);
    reader.verify();
    verify_hub(&world.hub());
}

#[test]
fn every_single_answer_to_a_push_may_be_lost_once() {
    let (world, between) = (World::new(), Between::start());
    let (device, _) = many_pages_to_send(&world, &between);
    let mut lost = BTreeSet::new();
    between.judge(move |request| {
        let first_time = request.path == PUSH && lost.insert(request.body.clone());
        if first_time { Verdict::LoseAnswer } else { Verdict::Pass }
    });
    device.start();
    tries_until_in_step(&device);
    assert_eq!(world.hub().digest(), device.digest());
    assert_eq!(world.hub().summary().head, device.status().op_count);
}

#[test]
fn a_page_refused_in_the_middle_stops_nothing_behind_it() {
    let (world, between) = (World::new(), Between::start());
    let (device, docs) = many_pages_to_send(&world, &between);
    let full = br#"{"code":"disk_full","message":"the hub's disk is full; nothing of the request was kept","hint":"make room on the hub"}"#;
    let refusal =
        answer("507 Insufficient Storage", &[("content-type", "application/json"), ("heph-version", "0.1.0")], full);
    let mut count = 0;
    between.judge(move |request| {
        count += usize::from(request.path == PUSH);
        if request.path == PUSH && count >= 3 { Verdict::Answer(refusal.clone()) } else { Verdict::Pass }
    });
    device.start();
    let refused = device.exchange();
    let error = refused.last_error.clone().expect("a refusal is told");
    assert!(error.message.contains("disk is full"), "{refused:?}");
    assert!(refused.pending_push > 0 && !refused.state.is_in_step(), "{refused:?}");

    let later = device.task("written while the hub was full");
    between.let_pass();
    tries_until_in_step(&device);
    let reader = world.device("reader");
    assert_eq!(world.converge(), device.digest());
    docs.iter().for_each(|doc| assert_eq!(reader.text(doc), device.text(doc)));
    assert_eq!(reader.title(&later), "written while the hub was full");
}

#[test]
fn a_proxy_that_takes_small_bodies_only_gets_small_ones() {
    let (world, between) = (World::new(), Between::start());
    let (device, _) = many_pages_to_send(&world, &between);
    let too_large = answer("413 Content Too Large", &[("content-type", "text/html")], b"<h1>413</h1>");
    between.judge(
        move |request| {
            if request.body.len() > 300_000 { Verdict::Answer(too_large.clone()) } else { Verdict::Pass }
        },
    );
    device.start();
    tries_until_in_step(&device);
    assert_eq!(world.hub().digest(), device.digest());
}

#[test]
fn a_pull_that_is_cut_anywhere_goes_on_from_there() {
    let seed = seed();
    println!("HEPH_TEST_SEED={seed}");
    let (world, between, mut numbers) = (World::new(), Between::start(), Numbers(seed));
    let (writer, docs) = many_pages_to_send(&world, &between);
    writer.start();
    tries_until_in_step(&writer);
    let hub = world.hub();
    // Nothing comes at first; later ever more does.
    let mut bytes_max = 10_000;
    between.judge(move |request| match request.path.as_str() {
        "/v1/sync/pull" => {
            bytes_max += 150_000;
            Verdict::CutAfter(numbers.below(bytes_max) as usize)
        }
        "/v1/sync/events" => Verdict::Answer(answer("503 Service Unavailable", &[], b"")),
        _ => Verdict::Pass,
    });
    let reader = world.stopped_device("reader");
    reader.know_url(Some(&between.url()));
    reader.start();
    let mut cursors = Vec::new();
    while !reader.exchange().state.is_in_step() {
        cursors.push(reader.status().pull_cursor);
        cursor_covers_only_what_is_here(&reader, &hub);
        assert!(cursors.len() < 100, "seed {seed}: no progress: {cursors:?}");
    }
    assert!(cursors.len() > 2 && cursors.is_sorted(), "seed {seed}: {cursors:?}");
    docs.iter().for_each(|doc| assert_eq!(reader.text(doc), writer.text(doc)));
    assert_eq!(reader.digest(), hub.digest());
    reader.verify();
}

#[test]
fn many_unsent_pages_meet_a_conflict_that_comes_after_the_first() {
    let (world, between) = (World::new(), Between::start());
    between.lead_to(&world.hub().url());
    let (home, away) = (world.device("home"), world.stopped_device("away"));
    away.know_url(Some(&between.url()));
    away.start();
    let contested = home.task("as it was");
    world.converge();
    between.lead_nowhere();
    let mut numbers = Numbers(9);
    (0..10).for_each(|n| drop(away.doc(&format!("large {n}"), &letters(&mut numbers, 150_000))));
    away.retitle(&contested, "away's");
    home.retitle(&contested, "home's");
    home.sync();
    between.lead_to(&world.hub().url());
    world.converge();
    for device in [&home, &away] {
        let values: BTreeSet<String> = device.values(&contested, "title").iter().map(ToString::to_string).collect();
        assert_eq!(values, ["\"away's\"".to_owned(), "\"home's\"".to_owned()].into(), "on {}", device.name());
        device.verify();
    }
}
