//! What people do with heph, end to end: one scenario per test, grouped by subject.

#![allow(clippy::unwrap_used)] // In a test, a panic is the report.

mod bodies;
mod clean_start;
mod commands;
mod conflicts;
mod deletes;
mod others_bugs;
mod readme;
mod real_input;
mod recurring;
mod stuck;
mod undo;
mod verify_deep;
mod wording;

use std::{
    io::{Read, Write},
    os::unix::net::UnixStream,
    sync::Arc,
};

use heph_tests::{Device, World, raw};

/// Two devices that hold the same, with their hub stopped: what they write from now on, they write apart.
struct Apart {
    world: World,
    laptop: Arc<Device>,
    phone: Arc<Device>,
}

impl Apart {
    /// Lets `begin` write on the laptop, brings both devices in step, and takes the hub away. Returns what `begin`
    /// returned, too.
    fn after<T>(begin: impl FnOnce(&Device) -> T) -> (Self, T) {
        let world = World::new();
        let (laptop, phone) = (world.device("laptop"), world.device("phone"));
        let begun = begin(&laptop);
        world.converge();
        world.hub().stop();
        (Self { world, laptop, phone }, begun)
    }

    /// Brings the hub back and both devices in step.
    fn meet(&self) {
        self.world.hub().start();
        self.world.converge();
    }

    /// Takes the hub away again.
    fn part(&self) {
        self.world.hub().stop();
    }

    fn both(&self) -> [&Device; 2] {
        [&self.laptop, &self.phone]
    }
}

/// Begins a request whose body the daemon waits for, so that it does not end before that has come: `{}`.
fn half_a_request(device: &Device) -> UnixStream {
    let mut half = UnixStream::connect(device.socket_path()).unwrap();
    half.write_all(&raw::head("POST", "/v1/task/list", &[("content-length", "2"), ("expect", "100-continue")]))
        .unwrap();
    let mut said = [0; 12];
    half.read_exact(&mut said).unwrap();
    assert_eq!(&said, b"HTTP/1.1 100");
    half
}
