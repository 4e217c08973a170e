//! Crowds that mean harm, at a hub's door and at a daemon's socket: thousands of connections, heads and bodies that
//! drip or do not end, readers that take nothing, garbage. While a crowd stands there, a device that comes for the first
//! time is served and one that was there before stays in step; and what the daemon takes of the machine stays below
//! bounds that follow from its limits. A line for each attack says what was taken.

mod crowd;

use crowd::{At, Crowd, Deed};
use heph_tests::{
    Device, Hub, World,
    raw::{head, request},
    vitals::{Vitals, Watch, at_most},
    wait,
    wire::PAGE_TYPE,
};
use std::sync::Arc;

const JSON: &str = "application/json";

/// File descriptors of a hub at most: 512 connections, three for each of 64 pulls, and what it has open anyway.
const HUB_FDS: usize = 512 + 3 * 64 + 100;
/// Memory of a hub while connections come that ask for nothing: 512 of them at 64 KiB each, and what it takes anyway.
const HUB_MIB: u64 = 32 + 64;
/// The same with bodies on the way: 128 of them at 1 MiB.
const HUB_WITH_BODIES_MIB: u64 = HUB_MIB + 128;
/// The same with pulls: 64 of them with a connection to the database (2 MiB of cache) and four pages of 1 MiB.
const HUB_WITH_PULLS_MIB: u64 = HUB_MIB + 64 * 6;
/// File descriptors of a daemon: 128 connections, and what it has open anyway.
const DAEMON_FDS: usize = 128 + 60;
/// Memory of a daemon: 128 connections of 64 KiB each, and what it takes anyway.
const DAEMON_MIB: u64 = 8 + 64;
/// Who pours whole bodies into it, at once.
const POURING: usize = 40;
/// The same with as many bodies on the way, of 16 MiB at most.
const DAEMON_WITH_BODIES_MIB: u64 = DAEMON_MIB + 16 * POURING as u64;

/// A hub that is attacked, with a device that it has known for long.
struct Siege {
    world: World,
    hub: Arc<Hub>,
    old: Arc<Device>,
    watch: Watch,
    came: usize,
}

impl Siege {
    fn begin() -> Self {
        let world = World::new();
        let (hub, old) = (world.hub(), world.device("old"));
        old.task("before the siege");
        world.converge();
        let watch = Watch::start(hub.pid());
        Self { world, hub, old, watch, came: 0 }
    }

    fn crowd(&self, size: usize, deed: &Deed) -> Crowd {
        Crowd::gather(&At::hub(&self.hub.address()), size, deed)
    }

    /// A device that comes only now is served, both ways, and the one that was there stays in step, by themselves.
    fn holds(&mut self, what: &str) {
        self.came += 1;
        let new = self.world.device(&format!("new {}", self.came));
        let (of_old, of_new) = (self.old.task(what), new.task(what));
        let digest = wait::until(&format!("devices in step ({what})"), || {
            let (old, new) = (self.old.status(), new.status());
            let same = old.state_digest == new.state_digest && old.state_digest == self.hub.digest();
            (same && old.state.is_in_step() && new.state.is_in_step()).then_some(new.state_digest)
        });
        assert_eq!((self.old.title(&of_new), new.title(&of_old)), (what.to_owned(), what.to_owned()));
        assert_eq!(self.hub.digest(), digest);
        new.stop();
    }

    /// The crowd is gone: everything is as it should be, and was never too much.
    fn ends(self, what: &str, at_most: Vitals) {
        self.world.converge();
        self.old.verify();
        self.watch.within(what, at_most);
        self.hub.stop();
    }
}

/// A head that does not end.
fn half_a_head() -> Vec<u8> {
    b"POST /v1/sync/hello HTTP/1.1\r\nhost: localhost\r\nx-slow: ".to_vec()
}

/// The head of a push of so many bytes.
fn push_of(bytes: u64) -> Vec<u8> {
    head("POST", "/v1/sync/push", &[("content-type", PAGE_TYPE), ("content-length", &bytes.to_string())])
}

/// The head of a call whose body comes in chunks.
fn in_chunks(path: &str, content_type: &str) -> Vec<u8> {
    head("POST", path, &[("content-type", content_type), ("transfer-encoding", "chunked")])
}

/// Bytes that nobody chose.
fn garbage(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[0]
    };
    (0..count).map(next).collect()
}

#[test]
fn ten_thousand_connections_at_once_keep_no_device_from_its_hub() {
    let mut siege = Siege::begin();
    let crowd = siege.crowd(10_000, &Deed::Knock(half_a_head()));
    wait::until("a crowd", || (crowd.let_in() >= crowd.size().min(2_000)).then_some(()));
    siege.holds("among ten thousand");
    wait::until("everybody to have been let in", || (crowd.let_in() >= crowd.size()).then_some(()));
    siege.holds("among ten thousand, later");
    let (size, let_in, most) = (crowd.size(), crowd.let_in(), crowd.most());
    println!("{size} came, {let_in} connections were made, {most} of them stood at once");
    drop(crowd);
    siege.ends("10,000 connections", at_most(HUB_MIB, HUB_FDS));
}

#[test]
fn heads_and_bodies_that_drip_keep_no_device_from_its_hub() {
    let mut siege = Siege::begin();
    let heads = siege.crowd(600, &Deed::Drip(half_a_head(), b'x'));
    let hellos = [in_chunks("/v1/sync/hello", JSON), b"4000\r\n".to_vec()].concat();
    let hellos = siege.crowd(100, &Deed::Drip(hellos, b' '));
    let pushes = siege.crowd(100, &Deed::Drip(push_of(900_000), 0x28));
    let all = || heads.let_in() >= 400 && hellos.let_in() >= 50 && pushes.let_in() >= 50;
    wait::until("those who drip", || all().then_some(()));
    siege.holds("while all drips");
    wait::until("bodies that are given up", || (pushes.sent_away() > 0).then_some(()));
    siege.holds("while all drips on");
    drop((heads, hellos, pushes));
    siege.ends("800 that drip heads and bodies", at_most(HUB_WITH_BODIES_MIB, HUB_FDS));
}

#[test]
fn readers_that_take_nothing_keep_no_device_from_its_hub() {
    let mut siege = Siege::begin();
    let text: String = garbage(200_000).iter().map(|byte| char::from(b' ' + byte % 94)).collect();
    (0..40).for_each(|number| drop(siege.old.doc(&format!("large {number}"), &text)));
    siege.world.converge();
    let pulls = siege.crowd(150, &Deed::Hold(request("POST", "/v1/sync/pull", &[("content-type", JSON)], b"{}")));
    let events = siege.crowd(300, &Deed::Hold(request("GET", "/v1/sync/events", &[], b"")));
    wait::until("the readers", || (pulls.let_in() >= 150 && events.let_in() >= 300).then_some(()));
    // More than what waits for a slow listener, each as large as fits an event.
    (0..40).for_each(|number| drop(siege.old.doc(&format!("told {number}"), &text[..20_000])));
    siege.old.sync();
    // Those who came before and are still in the way of others are let go.
    drop(pulls);
    siege.holds("among those who do not read");
    drop(events);
    siege.ends("450 that read nothing (150 pulls of 8 MiB, 300 listeners)", at_most(HUB_WITH_PULLS_MIB, HUB_FDS));
}

#[test]
fn bodies_and_heads_without_end_keep_no_device_from_its_hub() {
    let mut siege = Siege::begin();
    let chunk = [b"8000\r\n".as_slice(), &garbage(0x8000), b"\r\n"].concat();
    let endless = [
        Deed::Pour(in_chunks("/v1/sync/push", PAGE_TYPE), chunk.clone()),
        Deed::Pour(in_chunks("/v1/sync/hello", JSON), chunk.clone()),
        Deed::Pour(in_chunks("/v1/sync/pull", JSON), chunk),
        Deed::Pour(push_of(1 << 40), garbage(1 << 15)),
        Deed::Pour(half_a_head(), vec![b'x'; 1 << 15]),
        Deed::Pour(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n".to_vec(), b"x-more: and more\r\n".repeat(1_000)),
    ];
    let crowds: Vec<Crowd> = endless.iter().map(|deed| siege.crowd(12, deed)).collect();
    let turned_away = |times| crowds.iter().all(|crowd| crowd.sent_away() >= times * crowd.size());
    siege.holds("against what does not end");
    wait::until("each to be turned away", || turned_away(1).then_some(()));
    siege.holds("against what does not end, again");
    drop(crowds);
    siege.ends("72 bodies and heads without end", at_most(HUB_WITH_BODIES_MIB, HUB_FDS));
}

#[test]
fn a_flood_of_garbage_keeps_no_device_from_its_hub() {
    let mut siege = Siege::begin();
    let crowds: Vec<Crowd> = [
        garbage(20_000),
        [b"\r\n".as_slice(), &garbage(500)].concat(),
        [b"POST /v1/sync/push HTTP/1.1\r\nhost: localhost\r\n".as_slice(), &garbage(9_000)].concat(),
        request("POST", "/v1/sync/push", &[("content-type", PAGE_TYPE)], &garbage(60_000)),
        request("POST", "/v1/sync/hello", &[("content-type", JSON)], &garbage(9_000)),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
    ]
    .into_iter()
    .map(|bytes| siege.crowd(100, &Deed::Knock(bytes)))
    .collect();
    let knocked = |times| crowds[..5].iter().all(|crowd| crowd.sent_away() >= times);
    wait::until("a flood", || knocked(100).then_some(()));
    siege.holds("in a flood of garbage");
    wait::until("more of the flood", || knocked(500).then_some(()));
    siege.holds("in more of it");
    let times: usize = crowds.iter().map(Crowd::sent_away).sum();
    println!("garbage was turned away {times} times");
    drop(crowds);
    siege.ends("600 that send garbage", at_most(HUB_WITH_BODIES_MIB, HUB_FDS));
}

/// The socket is this person's own, but programs are broken: none of them keeps another from the daemon.
#[test]
fn crowds_at_a_daemons_socket_keep_nobody_from_it() {
    let world = World::new();
    let device = world.device("laptop");
    let watch = Watch::start(device.pid());
    let at = At::socket(&device.socket_path());
    let post = |length: &str| head("POST", "/v1/task/create", &[("content-type", JSON), ("content-length", length)]);
    let deeds = [
        (400, "that say half a head", Deed::Knock(half_a_head())),
        (400, "that drip heads", Deed::Drip(half_a_head(), b'x')),
        (100, "that drip bodies", Deed::Drip(post("16000000"), b' ')),
        (POURING, "that pour bodies", Deed::Pour(post("16000000"), vec![b' '; 1 << 15])),
        (POURING, "that pour heads", Deed::Pour(half_a_head(), vec![b'x'; 1 << 15])),
        (100, "that send garbage", Deed::Knock(garbage(9_000))),
    ];
    for (size, what, deed) in deeds {
        let crowd = Crowd::gather(&at, size, &deed);
        wait::until("a crowd at the socket", || (crowd.let_in() >= size.min(100)).then_some(()));
        let task = device.task(what);
        device.retitle(&task, &format!("{what}, again"));
        device.heph(&["list"]).ok();
        device.sync();
    }
    assert_eq!(device.tasks().len(), 6);
    device.verify();
    world.converge();
    watch.within("crowds at a daemon's socket", at_most(DAEMON_WITH_BODIES_MIB, DAEMON_FDS));
    device.stop();
}
