//! Scenes for what is done seldom: a fork, a comparison of digests, a start, a deep check. Each leads to one of them and
//! lets one thing go wrong there, so that every fault meets these states, too, often enough.

use super::{DiskFault, Event, Planner, Who};
use crate::aim::{Aim, Strike};
use crate::disk::Fault;
use crate::network::{Link, Weather};

/// Within how many calls to its disk a machine is struck that starts and derives its state anew. Any other start reads
/// only, but for the first.
const START_CALLS: u64 = 90;
/// The same of a deep check and of whoever writes meanwhile.
const CHECK_CALLS: u64 = 60;

impl Planner {
    /// One scene more.
    pub(super) fn scene(&mut self, events: &mut Vec<Event>) {
        if self.rng.u8(0..6) == 0 {
            self.next(events);
        }
        match self.rng.u8(0..12) {
            0..4 if self.lossy => self.at_a_fork(events),
            0..7 => self.at_a_digest(events),
            7..10 => self.at_a_start(events),
            10 => self.at_a_deep_check(events),
            _ => self.at_a_pull(events),
        }
    }

    /// What finds a call that is over in one message only if it is meant to.
    fn strike(&mut self) -> Strike {
        let strikes = [
            Strike::Cut,
            Strike::Stalled,
            Strike::Silent,
            Strike::Broken,
            Strike::SpokeStops,
            Strike::Unanswered,
            Strike::HubDisk(Fault::ReadError),
        ];
        strikes[self.rng.usize(0..strikes.len())]
    }

    /// The network is quiet, and slow enough for something to happen meanwhile.
    fn quiet(&mut self, spoke: usize, events: &mut Vec<Event>) {
        let delay_ms = [3, 40, 400][self.rng.usize(0..3)];
        events.push(Event::Weather(Weather { delay_ms, ..Weather::default() }));
        events.extend([Who::Hub, Who::Spoke(spoke)].map(|who| Event::Start { who }));
        events.push(Event::Link { spoke, link: Link::Up });
    }

    fn act(&mut self, spoke: usize) -> Event {
        Event::Acts { spoke, count: self.rng.u32(1..6), at_once: false }
    }

    /// Two go on from one disk, and the hub has heard of one of them when the other comes.
    fn at_a_fork(&mut self, events: &mut Vec<Event>) {
        let from = self.spoke();
        let to = (from + self.rng.usize(1..self.spokes)) % self.spokes;
        self.quiet(from, events);
        events.push(Event::Start { who: Who::Spoke(to) });
        events.push(Event::Link { spoke: to, link: Link::Refused });
        events.push(self.act(from));
        events.push(Event::Clone { from, to });
        events.extend([self.act(to), self.act(from), Event::Ask { spoke: from }]);
        let strike = self.strike();
        events.push(Event::Aim { spoke: to, aim: Aim { strike, state: "fork" } });
        events.extend([Event::Link { spoke: to, link: Link::Up }, Event::Ask { spoke: to }]);
        events.push(Event::Pass { ms: 30_000 });
    }

    fn at_a_digest(&mut self, events: &mut Vec<Event>) {
        let (spoke, strike) = (self.spoke(), self.strike());
        self.quiet(spoke, events);
        events.extend([self.act(spoke), Event::Aim { spoke, aim: Aim { strike, state: "digest" } }]);
        events.extend([Event::CheckDeeply { spoke }, Event::Pass { ms: 2_000 }]);
    }

    fn at_a_start(&mut self, events: &mut Vec<Event>) {
        let who = if self.rng.bool() { Who::Hub } else { Who::Spoke(self.spoke()) };
        events.extend([Event::Start { who }, self.act(0)]);
        events.push(Event::End { who, end: self.end() });
        let after = self.rng.u64(0..START_CALLS);
        let fault = self.disk_fault(who, after);
        events.extend([fault, Event::Upgrade { who }, Event::Start { who }]);
    }

    fn at_a_deep_check(&mut self, events: &mut Vec<Event>) {
        let spoke = self.spoke();
        self.quiet(spoke, events);
        let after = self.rng.u64(0..CHECK_CALLS);
        let fault = self.disk_fault(Who::Spoke(spoke), after);
        events.extend([fault, Event::CheckDeeply { spoke }]);
    }

    fn at_a_pull(&mut self, events: &mut Vec<Event>) {
        let from = self.spoke();
        let to = (from + self.rng.usize(1..self.spokes)) % self.spokes;
        self.quiet(from, events);
        events.push(Event::Start { who: Who::Spoke(to) });
        let strike = Strike::SpokeDisk(if self.rng.bool() { Fault::ReadError } else { Fault::Full });
        events.push(Event::Aim { spoke: to, aim: Aim { strike, state: "pull" } });
        events.extend([self.act(from), Event::Ask { spoke: from }, Event::Ask { spoke: to }]);
    }

    fn disk_fault(&mut self, who: Who, after: u64) -> Event {
        let faults = [DiskFault::Write, DiskFault::Sync, DiskFault::Read, DiskFault::Full];
        match self.rng.usize(0..faults.len() + 2) {
            at if at < faults.len() => Event::DiskFault { who, after, fault: faults[at] },
            _ => Event::EndOnDisk { who, after, end: self.end() },
        }
    }
}
