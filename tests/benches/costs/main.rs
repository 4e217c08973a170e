//! What heph costs at this stage: one command, real processes, every wall time beside a physical limit of the same run.
//!
//! `cargo bench -p heph-tests --profile quick --bench costs [-- TASKS]` prints the tables of `docs/benchmarks.md`.

#![allow(clippy::unwrap_used)] // A bench that fails should say so.

mod load;
mod wire;

use heph_api::types::{CreateTask, ReadSyncStatus, ShowNode, SyncState};
use heph_api::{Call, Client};
use heph_store::body::{ClientId, Document};
use heph_tests::{Device, World};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};
use wire::Meter;

fn main() {
    let tasks = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100_000);
    let limits = Limits::measure();
    println!(
        "physical limits: one SQLite transaction (WAL, FULL) {:?}; bulk insert {:.0} rows/s; spawning /bin/true {:?}\n",
        limits.commit, limits.bulk, limits.spawn
    );
    cli(10_000, &limits);
    writes(&limits);
    exchange(tasks, &limits);
    latency();
    body();
}

/// What the machine itself takes.
struct Limits {
    commit: Duration,
    spawn: Duration,
    /// Rows a second, a thousand to a transaction, with random keys of 16 bytes and 80 bytes beside them.
    bulk: f64,
}

impl Limits {
    fn measure() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let db = rusqlite::Connection::open(dir.path().join("raw.db")).unwrap();
        db.execute_batch(
            "PRAGMA journal_mode = wal; PRAGMA synchronous = full; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)",
        )
        .unwrap();
        let commit = median(300, || {
            db.execute("INSERT INTO t (v) VALUES (zeroblob(300))", []).unwrap();
        });
        let spawn = median(100, || {
            Command::new("/bin/true").status().unwrap();
        });
        Self { commit, spawn, bulk: bulk_rate(&db) }
    }
}

fn bulk_rate(db: &rusqlite::Connection) -> f64 {
    const ROWS: usize = 100_000;
    db.execute_batch("CREATE TABLE bulk (id BLOB PRIMARY KEY, node BLOB, clock INTEGER, v BLOB) WITHOUT ROWID")
        .unwrap();
    let start = Instant::now();
    for _ in 0..ROWS / 1_000 {
        db.execute_batch("BEGIN").unwrap();
        let mut insert =
            db.prepare_cached("INSERT INTO bulk VALUES (randomblob(16), randomblob(16), ?1, zeroblob(80))").unwrap();
        for n in 0..1_000 {
            insert.execute([n]).unwrap();
        }
        db.execute_batch("COMMIT").unwrap();
    }
    ROWS as f64 / start.elapsed().as_secs_f64()
}

fn median(times: usize, mut run: impl FnMut()) -> Duration {
    let mut taken: Vec<Duration> = (0..times)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    taken.sort();
    taken[times / 2]
}

fn ratio(time: Duration, limit: Duration) -> f64 {
    time.as_secs_f64() / limit.as_secs_f64()
}

/// `heph task` and `heph list`, from fork to exit.
fn cli(tasks: usize, limits: &Limits) {
    let world = World::new();
    let device = world.stopped_device("laptop");
    load::fill(&device.db_path(), tasks);
    device.start();
    println!("| command line, {tasks} tasks | median | × spawn of an empty program |\n|---|---|---|");
    for words in [
        vec!["task", "Water the tomatoes"],
        vec!["list", "--limit", "50"],
        vec!["search", "tomatoes"],
        vec!["sync", "--status"],
    ] {
        let taken = median(100, || {
            device.heph_command(&words).output().unwrap();
        });
        println!("| `heph {}` | {taken:?} | {:.1} |", words.join(" "), ratio(taken, limits.spawn));
    }
    println!();
}

/// Durable writes through the socket, by one client and by many.
fn writes(limits: &Limits) {
    let world = World::new();
    let device = world.lone_device("laptop");
    let one = write_rate(device.socket_path().as_path(), 1, 1_000);
    let many = write_rate(device.socket_path().as_path(), 64, 100);
    let limit = 1.0 / limits.commit.as_secs_f64();
    println!("| durable writes through the socket | tasks/s | of one SQLite transaction each |\n|---|---|---|");
    println!("| 1 client | {one:.0} | {:.2} |\n| 64 clients | {many:.0} | {:.2} |\n", one / limit, many / limit);
}

fn write_rate(socket: &Path, clients: usize, each: usize) -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let start = Instant::now();
    runtime.block_on(async {
        let local = tokio::task::LocalSet::new();
        let socket = socket.to_owned();
        local
            .run_until(async move {
                let running: Vec<_> = (0..clients)
                    .map(|client| {
                        let socket = socket.clone();
                        tokio::task::spawn_local(async move {
                            for n in 0..each {
                                let title = format!("Task {n} of client {client}");
                                call(&socket, CreateTask { title, ..CreateTask::default() }).await;
                            }
                        })
                    })
                    .collect();
                for task in running {
                    task.await.unwrap();
                }
            })
            .await;
    });
    (clients * each) as f64 / start.elapsed().as_secs_f64()
}

async fn call<C: Call>(socket: &Path, request: C) -> C::Answer {
    Client::new(socket.to_owned()).send(&request).await.unwrap()
}

/// A spoke fills an empty hub, and a fresh spoke is filled by it.
fn exchange(tasks: usize, limits: &Limits) {
    let world = World::new();
    let hub = world.hub();
    let laptop = world.stopped_device("laptop");
    let start = Instant::now();
    load::fill(&laptop.db_path(), tasks);
    let written = start.elapsed();
    println!(
        "| {tasks} tasks of five fields, one op each | time | tasks/s | of SQLite's bulk insert | bytes a task on the wire | peak memory: spoke / hub |\n|---|---|---|---|---|---|"
    );
    let rate = |taken: Duration| tasks as f64 / taken.as_secs_f64();
    let of_limit = |taken: Duration| rate(taken) / limits.bulk;
    let (per_second, share) = (rate(written), of_limit(written));
    println!("| written in process, 100 a commit | {written:.2?} | {per_second:.0} | {share:.2} | | |");
    for (what, device) in [("spoke → empty hub", laptop.clone()), ("hub → fresh spoke", world.stopped_device("server"))]
    {
        let meter = Meter::before(&hub.address());
        device.know_url(Some(&meter.url()));
        let start = Instant::now();
        device.start();
        wait_in_step(&device);
        let taken = start.elapsed();
        let bytes = meter.bytes() / tasks as u64;
        let memory = format!("{} / {} MB", peak_mb(device.pid()), peak_mb(hub.pid()));
        let (per_second, share) = (rate(taken), of_limit(taken));
        println!("| {what} | {taken:.2?} | {per_second:.0} | {share:.2} | {bytes} | {memory} |");
        device.stop();
    }
    println!("\n| on disk | bytes a task |\n|---|---|");
    for (what, path) in [("spoke", laptop.db_path()), ("hub", hub.db_path())] {
        println!("| {what} | {} |", std::fs::metadata(path).unwrap().len() / tasks as u64);
    }
    println!();
}

fn wait_in_step(device: &Device) {
    device.sync();
    while device.call(&ReadSyncStatus {}).state != SyncState::InSync {
        device.sync();
    }
}

fn peak_mb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() / 1024
}

/// An edit on one device, visible through the socket of another.
fn latency() {
    let world = World::new();
    let (a, b) = (world.device("laptop"), world.device("server"));
    world.converge();
    let mut taken: Vec<Duration> = (0..100)
        .map(|n| {
            let start = Instant::now();
            let id = a.task(&format!("Edit number {n}"));
            while b.try_call(&ShowNode { id: id.clone() }).is_err() {}
            start.elapsed()
        })
        .collect();
    taken.sort();
    println!(
        "| an edit on A, visible on B | |\n|---|---|\n| median | {:?} |\n| 99th of 100 | {:?} |\n",
        taken[50], taken[98]
    );
}

/// A body after ten thousand keystrokes.
fn body() {
    let client = ClientId::from_bits(7);
    let (mut document, mut text, mut log) = (Document::empty(), String::new(), 0);
    let start = Instant::now();
    for n in 0..10_000usize {
        let at = if n % 50 == 0 { text.len() / 2 } else { text.len() };
        text.insert(at, char::from(b'a' + (n * 7 % 26) as u8));
        for update in document.edit(&text, client, usize::MAX) {
            log += update.len();
            assert!(document.apply(&update));
        }
    }
    let each = start.elapsed() / 10_000;
    let state = document.state();
    let open = median(50, || {
        Document::load(&state).unwrap();
    });
    println!("| a body after 10,000 keystrokes | |\n|---|---|\n| text | {} bytes |", text.len());
    println!(
        "| state | {} bytes ({:.1} × text) |\n| updates in the log | {log} bytes |",
        state.len(),
        state.len() as f64 / text.len() as f64
    );
    println!("| one keystroke, diffed against the whole | {each:?} |\n| opening it | {open:?} |");
}
