//! A hub and two devices: one beside it, the other in a network namespace of its own, at the other end of a link. The
//! hub is open and so listens on a loopback address only; here that address is routed over the link, so that the two
//! talk to each other directly, in packets that rules can drop.
//!
//! ```text
//! namespace of the hub                          namespace of the far device
//!   hub 127.P.H.L:PORT, near device               far device
//!   10.77.0.1 on hub0 ═══════════ veth ═══════════ far0, 10.77.0.2 or .3;  127.P.H.L via 10.77.0.1
//! ```

use heph_tests::{Device, Hub, World};
use std::{
    process::{Command, Output},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

/// What the link lets through while nothing is the matter: a transfer takes a second or two.
pub const USUAL_RATE: &str = "16mbit burst 32k latency 1s";

/// Namespaces of a lab. They go when it is dropped, however the test ended.
#[derive(Debug)]
pub struct Net {
    /// That of the hub.
    pub hub: String,
    /// That of the far device.
    pub far: String,
    /// The hub's address.
    pub ip: String,
    moved: AtomicU32,
}

/// All of it. The processes end before their namespaces go.
pub struct Lab {
    /// Keeps the hub and the devices.
    _world: World,
    /// The hub.
    pub hub: Arc<Hub>,
    /// The device beside the hub.
    pub near: Arc<Device>,
    /// The device behind the link.
    pub far: Arc<Device>,
    /// The link.
    pub net: Net,
}

/// The words before a command that is to run in a namespace.
fn within(namespace: &str) -> Vec<String> {
    ["ip", "netns", "exec", namespace].map(str::to_owned).to_vec()
}

/// Runs a command line that has no quotes.
fn run(line: &str) -> Output {
    let mut words = line.split(' ');
    let program = words.next().expect("a program");
    Command::new(program).args(words).output().unwrap_or_else(|error| panic!("cannot run `{line}`: {error}"))
}

/// Runs a command line, which has to succeed, and returns what it printed.
pub fn ok(line: &str) -> String {
    let output = run(line);
    assert!(output.status.success(), "`{line}`: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What this machine lacks for a lab.
fn lacks() -> Option<String> {
    if !cfg!(target_os = "linux") || !rustix::process::geteuid().is_root() {
        return Some("network namespaces need root on Linux".to_owned());
    }
    let there = |program: &&str| Command::new(program).arg("-V").output().is_ok();
    if let Some(missing) = ["ip", "tc", "nft", "sysctl"].iter().find(|program| !there(program)) {
        return Some(format!("there is no `{missing}` (Debian: iproute2, nftables, procps)"));
    }
    let name = format!("heph-probe-{}-{}", std::process::id(), number());
    let made = run(&format!("ip netns add {name}"));
    run(&format!("ip netns del {name}"));
    (!made.status.success()).then(|| String::from_utf8_lossy(&made.stderr).trim().to_owned())
}

fn number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

impl Net {
    fn new(address: &str) -> Self {
        let (ip, _) = address.split_once(':').expect("an address and a port");
        let name = format!("heph-{}-{}", std::process::id(), number());
        let (hub, far) = (format!("{name}-hub"), format!("{name}-far"));
        let net = Self { hub, far, ip: ip.to_owned(), moved: AtomicU32::new(0) };
        let Self { hub, far, .. } = &net;
        for line in [
            format!("ip netns add {hub}"),
            format!("ip netns add {far}"),
            format!("ip link add hub0 netns {hub} type veth peer name far0 netns {far}"),
            format!("ip -n {hub} link set lo up"),
            format!("ip -n {far} link set lo up"),
            // Only this much of the loopback network is here: the hub's address is behind the link.
            format!("ip -n {far} addr del 127.0.0.1/8 dev lo"),
            format!("ip -n {far} addr add 127.0.0.1/32 dev lo"),
            format!("ip netns exec {hub} sysctl -q -w net.ipv4.conf.all.route_localnet=1"),
            format!("ip netns exec {far} sysctl -q -w net.ipv4.conf.all.route_localnet=1"),
            format!("ip -n {hub} addr add 10.77.0.1/24 dev hub0"),
            format!("ip -n {hub} link set hub0 up"),
            format!("ip -n {far} link set far0 up"),
        ] {
            ok(&line);
        }
        net.move_house();
        net.shape(USUAL_RATE);
        net
    }

    /// Gives the far device another address than the last one, and with it the way to the hub.
    pub fn move_house(&self) {
        let Self { far, ip, moved, .. } = self;
        let address = format!("10.77.0.{}", 2 + moved.fetch_add(1, Ordering::Relaxed) % 2);
        ok(&format!("ip -n {far} addr add {address}/24 dev far0"));
        ok(&format!("ip -n {far} route replace {ip}/32 via 10.77.0.1 src {address}"));
    }

    /// Lets so much through the link, both ways.
    pub fn shape(&self, rate: &str) {
        for (namespace, device) in [(&self.hub, "hub0"), (&self.far, "far0")] {
            // It begins to count anew.
            run(&format!("tc -n {namespace} qdisc del dev {device} root"));
            ok(&format!("tc -n {namespace} qdisc add dev {device} root tbf rate {rate}"));
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for name in [&self.far, &self.hub] {
            run(&format!("ip netns del {name}"));
        }
    }
}

impl Lab {
    /// Sets one up, with both devices in step; or says what the machine lacks for it.
    pub fn new() -> Option<Self> {
        if let Some(why) = lacks() {
            println!("skipped: {why}");
            return None;
        }
        let world = World::new();
        let hub = world.hub();
        // It has its port now; it goes to another network with it.
        hub.stop();
        let net = Net::new(&hub.address());
        hub.run_under(&within(&net.hub));
        hub.start();
        let device = |name: &str, namespace: &str| {
            let device = world.stopped_device(name);
            device.know(Some(&hub));
            device.run_under(&within(namespace));
            device.start();
            device
        };
        let (near, far) = (device("near", &net.hub), device("far", &net.far));
        near.sync();
        far.sync();
        Some(Self { _world: world, hub, near, far, net })
    }
}
