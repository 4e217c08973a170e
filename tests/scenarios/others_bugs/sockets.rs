//! The local socket: left behind, or wanted by several at once.

use super::titles;
use heph_api::types::ListDevices;
use heph_tests::{Process, World, process, programs::programs};
use std::{collections::BTreeSet, os::unix::net::UnixStream};

const READY: &str = "heph daemon listening on";

/// Elsewhere every command hung on the dead socket, and the daemon refused to start until somebody removed it by hand.
#[test]
fn c16_an_unclean_kill_that_leaves_the_socket() {
    let world = World::new();
    let laptop = world.device("laptop");
    for round in 1..=3 {
        laptop.task(&format!("task {round}"));
        laptop.kill9();
        assert!(laptop.socket_path().exists(), "the trap is set: the socket is there");
        assert!(UnixStream::connect(laptop.socket_path()).is_err(), "the trap is set: nobody is behind it");
        let said = laptop.heph(&["list", "--json"]).exits(3);
        assert_eq!(said.error().code, "not_running", "it says so and does not wait");

        laptop.start();
        assert_eq!(titles(&laptop).len(), round);
    }
    // The hub's address is a socket, too.
    world.hub().kill9();
    world.hub().start();
    world.converge();
}

/// Elsewhere both looked, both found the old socket dead, and the second removed the one that the first had just made.
#[test]
fn c17_two_daemons_racing_for_one_socket() {
    const RACERS: usize = 4;
    let world = World::new();
    for round in 0..2 {
        let laptop = world.lone_device(&format!("laptop {round}"));
        laptop.kill9();
        assert!(laptop.socket_path().exists(), "the trap is set: a dead socket lies there");
        let racers: Vec<Process> = (0..RACERS)
            .map(|n| {
                let mut command = process::command(&programs().hephd, laptop.dir());
                command.args(["--mode", "local", "--db", &format!("{n}.db"), "--device-name", &format!("racer {n}")]);
                command.arg("--socket").arg(laptop.socket_path());
                Process::spawn(command, &laptop.dir().join(format!("racer-{n}.log")))
            })
            .collect();
        let (mut running, mut ended) = (Vec::new(), Vec::new());
        for mut racer in racers {
            match racer.ready(READY) {
                Ok(_) => running.push(racer),
                Err(how) => ended.push(how),
            }
        }
        assert_eq!((running.len(), ended.len()), (1, RACERS - 1), "{ended:?}");
        for loser in &ended {
            assert_eq!(loser.code, Some(1), "{loser:?}");
            assert!(loser.stderr.contains("already answers at") && loser.stderr.contains("hint:"), "{loser:?}");
        }
        // The one that runs is the one that is reached, and goes on being it.
        laptop.task("for the winner");
        let devices = laptop.call(&ListDevices {}).devices;
        let here = devices.iter().filter(|device| device.here);
        let names: BTreeSet<&str> = here.filter_map(|device| device.name.as_deref()).collect();
        assert!(names.len() == 1 && names.iter().all(|name| name.starts_with("racer")), "{devices:?}");
        drop(running);
    }
}
