//! What can be the matter with a link: how it begins, how it ends, and how often it struck.

use super::lab::{Net, USUAL_RATE, ok};
use std::process::Command;

/// What is the matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing goes or comes.
    Cut,
    /// Nothing reaches the hub.
    CutTo,
    /// The hub's packets do not arrive: what was sent to it is done, and nobody learns of it.
    CutFrom,
    /// A quarter of the packets is lost, each way.
    Loss,
    /// Every packet is answered by a reset, each way.
    Reset,
    /// 64 kbit/s each way.
    Thin,
    /// The link goes down and up again, several times.
    Flap,
    /// The device's address goes away, and it gets another one.
    Address,
}

/// How often a link that flaps goes down.
const FLAPS: u64 = 4;

const IN: &str = "type filter hook input priority 0; iifname \"hub0\"";
const OUT: &str = "type filter hook output priority 0; oifname \"hub0\"";

impl Fault {
    /// Whether nothing can be exchanged while it lasts.
    pub fn cuts(self) -> bool {
        !matches!(self, Self::Loss | Self::Thin)
    }

    /// What a device says that starts while it lasts; one of these.
    pub fn says(self) -> &'static [&'static str] {
        match self {
            Self::Reset => &["connection refused", "the connection broke"],
            Self::Address => &["no route to it"],
            Self::Flap => &["no answer in time", "no route to it"],
            _ => &["no answer in time"],
        }
    }

    /// Begins.
    pub fn on(self, net: &Net) {
        let both = |what: &str| nft(net, &format!("chain in {{ {IN} {what} }}\nchain out {{ {OUT} {what} }}\n"));
        match self {
            Self::Cut => both("counter drop;"),
            Self::CutTo => nft(net, &format!("chain in {{ {IN} counter drop; }}\n")),
            Self::CutFrom => nft(net, &format!("chain out {{ {OUT} counter drop; }}\n")),
            Self::Loss => both("numgen random mod 100 < 25 counter drop;"),
            // But a reset itself passes.
            Self::Reset => both("tcp flags & rst == 0 counter reject with tcp reset;"),
            Self::Thin => net.shape("64kbit burst 1600 latency 2s"),
            Self::Flap => drop(ok(&format!("ip -n {} link set hub0 down", net.hub))),
            Self::Address => {
                ok(&format!("ip -n {} addr flush dev far0", net.far));
            }
        }
    }

    /// How many packets it struck so far; of those that strike otherwise, that it did.
    pub fn hits(self, net: &Net) -> u64 {
        match self {
            Self::Cut | Self::CutTo | Self::CutFrom | Self::Loss | Self::Reset => {
                packets(&ok(&format!("ip netns exec {} nft list table inet fault", net.hub)))
            }
            Self::Thin | Self::Flap | Self::Address => 1,
        }
    }

    /// Ends. Returns how many packets, or changes, it was. What a fault does for a while is paced by `meanwhile`.
    pub fn off(self, net: &Net, meanwhile: &dyn Fn()) -> u64 {
        match self {
            Self::Cut | Self::CutTo | Self::CutFrom | Self::Loss | Self::Reset => {
                let hits = self.hits(net);
                ok(&format!("ip netns exec {} nft delete table inet fault", net.hub));
                hits
            }
            Self::Thin => {
                let shown = ok(&format!("tc -s -n {} qdisc show dev far0", net.far));
                net.shape(USUAL_RATE);
                number_after(&shown, "bytes ")
            }
            Self::Flap => {
                for _ in 1..FLAPS {
                    ok(&format!("ip -n {} link set hub0 up", net.hub));
                    meanwhile();
                    ok(&format!("ip -n {} link set hub0 down", net.hub));
                    meanwhile();
                }
                ok(&format!("ip -n {} link set hub0 up", net.hub));
                FLAPS
            }
            Self::Address => {
                net.move_house();
                1
            }
        }
    }
}

/// Makes these chains the only rules of the hub's namespace.
fn nft(net: &Net, chains: &str) {
    let rules = format!("table inet fault {{\n{chains}}}");
    let output = Command::new("ip").args(["netns", "exec", &net.hub, "nft", &rules]).output().unwrap();
    assert!(output.status.success(), "{rules}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The sum of what the counters of a listing say.
fn packets(listed: &str) -> u64 {
    listed.split("counter packets ").skip(1).filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

fn number_after(shown: &str, mark: &str) -> u64 {
    shown.split(mark).nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or_default()
}
