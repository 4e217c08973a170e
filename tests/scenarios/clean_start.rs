//! The first minute, and the minutes in which something is started twice, killed or left behind.

use std::{
    fs,
    io::Write,
    os::unix::{
        fs::{FileTypeExt, PermissionsExt, symlink},
        net::UnixStream,
    },
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use heph_api::types::CreateTask;
use heph_tests::{Device, Ended, Process, World, process, programs::programs, wait};
use rustix::process::Signal;
use serde_json::Value;

const READY: &str = "heph daemon listening on";

/// Generous: how fast it really is, the benchmarks say.
const AT_ONCE: Duration = Duration::from_secs(2);

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).permissions().mode() & 0o777
}

fn heph_at_home(home: &Path, words: &[&str]) -> process::Said {
    let mut command = process::command(&programs().heph, home);
    command.args(words);
    process::run(command, b"")
}

#[test]
fn heph_without_a_daemon_says_what_to_type() {
    let world = World::new();
    let home = world.dir("home");

    for words in [&[][..], &["list"]] {
        let begun = Instant::now();
        let said = heph_at_home(&home, words).exits(3);
        assert!(begun.elapsed() < AT_ONCE, "it took {:?}", begun.elapsed());
        assert!(said.stderr.contains("the heph daemon is not running"), "{}", said.stderr);
        assert!(said.stderr.contains("hephd --mode local"), "{}", said.stderr);
    }
}

#[test]
fn what_it_says_to_type_is_all_there_is_to_type() {
    let world = World::new();
    let home = world.dir("home");
    let mut hephd = process::command(&programs().hephd, &home);
    hephd.args(["--mode", "local"]);

    let mut daemon = Process::spawn(hephd, &home.join("stderr.log"));
    daemon.ready(READY).unwrap();
    heph_at_home(&home, &["task", "Try heph"]).ok();

    assert!(heph_at_home(&home, &[]).ok().text().contains("Try heph"));
}

#[test]
fn the_usual_places_are_for_their_owner_only() {
    let world = World::new();
    let home = world.dir("home");
    let mut hephd = process::command(&programs().hephd, &home);
    hephd.args(["--mode", "local"]);

    let mut daemon = Process::spawn(hephd, &home.join("stderr.log"));
    daemon.ready(READY).unwrap();
    heph_at_home(&home, &["task", "Try heph"]).ok();

    let (data, state) = (home.join(".local/share/heph"), home.join(".local/state/heph"));
    assert_eq!([mode(&data), mode(&state)], [0o700, 0o700]);
    assert!(fs::metadata(state.join("heph.sock")).unwrap().file_type().is_socket());
    assert_eq!(mode(&state.join("heph.sock")), 0o600);
    assert_eq!(mode(&data.join("heph.db")), 0o600);
    assert_eq!(mode(&data.join("heph.db-wal")), 0o600);
}

#[test]
fn the_files_of_a_hub_in_an_open_directory_are_for_their_owner_only() {
    let world = World::new();
    let laptop = world.device("laptop");
    laptop.task("Buy milk");
    laptop.sync();

    for entry in fs::read_dir(world.hub().dir()).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name != "stderr.log") {
            assert_eq!(mode(&path), 0o600, "{}", path.display());
        }
    }
}

/// Starts two daemons at once, of which one has to give up; returns the one that runs and how the other ended.
fn race(world: &World, commands: [Command; 2]) -> (Process, Ended) {
    let mut number = 0;
    let started = commands.map(|command| {
        number += 1;
        Process::spawn(command, &world.root().join(format!("racer-{number}.log")))
    });
    let mut ended = Vec::new();
    let mut running = Vec::new();
    for mut process in started {
        match process.ready(READY) {
            Ok(_) => running.push(process),
            Err(how) => ended.push(how),
        }
    }
    assert_eq!((running.len(), ended.len()), (1, 1), "one runs and one gives up: {ended:?}");
    (running.remove(0), ended.remove(0))
}

#[test]
fn of_two_daemons_that_race_for_one_database_the_second_says_so_and_ends() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");
    let sockets = ["one.sock", "two.sock"].map(|name| laptop.dir().join(name));
    let daemon = |socket: &Path| {
        let mut command = process::command(&programs().hephd, laptop.dir());
        command.args(["--mode", "local", "--db"]).arg(laptop.db_path()).arg("--socket").arg(socket);
        command
    };

    let (_running, ended) = race(&world, [daemon(&sockets[0]), daemon(&sockets[1])]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("another hephd") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    let made = sockets.iter().filter(|socket| UnixStream::connect(socket).is_ok());
    assert_eq!(made.count(), 1);
}

#[test]
fn of_two_daemons_that_race_for_one_socket_the_second_says_so_and_ends() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");
    let daemon = |db: &str| {
        let mut command = process::command(&programs().hephd, laptop.dir());
        command.args(["--mode", "local", "--db", db, "--socket"]).arg(laptop.socket_path());
        command
    };

    let (_running, ended) = race(&world, [daemon("one.db"), daemon("two.db")]);

    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains("already answers at") && ended.stderr.contains("hint:"), "{}", ended.stderr);
    laptop.task("the first one is unharmed");
}

#[test]
fn a_daemon_that_runs_is_not_disturbed_by_others_that_want_its_database_or_its_socket() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");

    let others = [1, 2, 3].map(|_| Process::spawn(laptop.command(), &world.root().join("others.log")));
    for mut other in others {
        let ended = other.ready(READY).expect_err("the first one has both");
        assert_eq!(ended.code, Some(1));
    }

    assert_eq!(laptop.title(&task), "Buy milk");
    laptop.retitle(&task, "Buy oat milk");
}

#[test]
fn two_names_of_one_database_are_one_database_also_before_it_is_made() {
    let world = World::new();
    let (one, two) = (world.stopped_device("one"), world.stopped_device("two"));
    symlink(one.db_path(), two.db_path()).unwrap();

    two.start();
    let ended = one.try_start().expect_err("the other one has it, by its other name");

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("another hephd"), "{}", ended.stderr);
    assert!(one.db_path().exists(), "the link still leads there");
}

#[test]
fn a_daemon_that_is_started_while_the_one_before_it_stops_takes_over() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");
    let mut half = crate::half_a_request(&laptop);

    // The one before waits for the request in hand, and goes as soon as that is whole.
    let next = thread::scope(|scope| {
        let next = scope.spawn(|| {
            wait::until("the socket to go", || (!laptop.socket_path().exists()).then_some(()));
            let mut next = Process::spawn(laptop.command(), &world.root().join("next.log"));
            half.write_all(b"{}").unwrap();
            next.ready(READY).unwrap();
            next
        });
        laptop.stop();
        next.join().unwrap()
    });

    assert_eq!(laptop.title(&task), "Buy milk");
    drop(next);
}

#[test]
fn a_hub_and_a_local_daemon_do_not_share_a_database() {
    let world = World::new();
    let hub = world.hub();
    let mut local = process::command(&programs().hephd, world.root());
    local.args(["--mode", "local", "--db"]).arg(hub.db_path()).arg("--socket").arg(world.root().join("s.sock"));

    let ended = Process::spawn(local, &world.root().join("local.log")).ready(READY).expect_err("the hub has it");

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("another hephd"), "{}", ended.stderr);
}

#[test]
fn a_socket_left_behind_by_a_kill_is_recovered() {
    let world = World::new();
    let laptop = world.lone_device("laptop");
    let task = laptop.task("Buy milk");

    laptop.kill9();
    assert!(laptop.socket_path().exists(), "nobody removed it");
    let said = laptop.heph(&["list", "--json"]).exits(3);
    laptop.start();

    assert_eq!(said.error().code, "not_running");
    assert_eq!(laptop.title(&task), "Buy milk");
}

#[test]
fn a_socket_of_another_program_is_never_taken() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");
    let other = std::os::unix::net::UnixListener::bind(laptop.socket_path()).unwrap();

    let ended = laptop.try_start().expect_err("somebody listens there");

    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("another program answers at"), "{}", ended.stderr);
    drop(UnixStream::connect(laptop.socket_path()).expect("it still listens"));
    drop(other);
}

#[test]
fn a_file_in_the_socket_s_place_is_left_alone() {
    let world = World::new();
    let laptop = world.stopped_device("laptop");
    fs::write(laptop.socket_path(), "mine").unwrap();

    let ended = laptop.try_start().expect_err("a file is there");

    assert_eq!(ended.code, Some(1));
    assert_eq!(fs::read_to_string(laptop.socket_path()).unwrap(), "mine");
}

#[test]
fn the_socket_is_gone_when_the_daemon_was_stopped() {
    let world = World::new();
    let laptop = world.lone_device("laptop");

    laptop.stop();

    assert!(!laptop.socket_path().exists());
}

/// Makes tasks from several threads until the daemon is gone; returns the titles that were acknowledged.
fn write_until_it_is_gone(laptop: &Device, signal: Signal) -> Vec<String> {
    let acknowledged = Mutex::new(Vec::new());
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for writer in 0..4 {
            let (acknowledged, count) = (&acknowledged, &count);
            scope.spawn(move || {
                for number in 0.. {
                    let title = format!("task {writer}/{number}");
                    if laptop.try_call(&CreateTask { title: title.clone(), ..CreateTask::default() }).is_err() {
                        break;
                    }
                    acknowledged.lock().unwrap().push(title);
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        wait::until("fifty tasks", || (count.load(Ordering::Relaxed) >= 50).then_some(()));
        laptop.stop_with(signal);
    });
    acknowledged.into_inner().unwrap()
}

#[test]
fn being_stopped_while_writing_loses_nothing_that_was_acknowledged() {
    for signal in [Signal::TERM, Signal::INT] {
        let world = World::new();
        let laptop = world.lone_device("laptop");

        let acknowledged = write_until_it_is_gone(&laptop, signal);
        laptop.start();

        let there: Vec<_> = laptop.tasks().into_iter().map(|task| task.title).collect();
        let lost: Vec<_> = acknowledged.iter().filter(|title| !there.contains(title)).collect();
        assert!(lost.is_empty(), "lost after {signal:?}: {lost:?}");
        laptop.verify();
    }
}

#[test]
fn the_demonstration_runs_to_its_end_from_an_empty_home_and_leaves_nothing_there() {
    let world = World::new();
    let home = world.dir("home");

    let said = heph_at_home(&home, &["demo"]).ok().text();

    let digests: Vec<_> = said.lines().filter_map(|line| line.split("digest ").nth(1)).collect();
    assert!(digests.len() >= 2 && digests.windows(2).all(|pair| pair[0] == pair[1]), "{digests:?} in {said}");
    assert!(said.contains("hephd --mode local --hub-url"), "how to do the same for real: {said}");
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "the home is still empty");
}

#[test]
fn the_demonstration_says_as_json_that_both_devices_are_equal() {
    let world = World::new();

    let outcome: Value = heph_at_home(&world.dir("home"), &["demo", "--json"]).ok().json();

    assert_eq!(outcome["equal"], true);
    assert_eq!(outcome["laptop_digest"], outcome["phone_digest"]);
    assert!(outcome["notes"].as_u64().is_some_and(|notes| notes > 0), "{outcome}");
}

#[test]
fn arguments_that_make_no_sense_end_the_daemon_with_two() {
    let world = World::new();
    let home = world.dir("home");

    for words in [
        &["--mode", "server"][..],
        &["--mode", "local", "--open"],
        &["--mode", "server", "--open", "--db", "h.db", "--http-addr", "0.0.0.0:0"],
        &["--mode", "local", "--hub-url", "ftp://x"],
        &[],
    ] {
        let mut hephd = process::command(&programs().hephd, &home);
        hephd.args(words);
        let ended = process::run(hephd, b"").exits(2);
        assert!(!ended.stderr.is_empty() && ended.stdout.is_empty(), "{ended:?}");
    }
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0, "nothing was made");
}
