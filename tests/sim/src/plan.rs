//! What happens in a run, as a list that follows from a seed. Every event stands for itself: leave any of them out and
//! the others still make sense, so that a run that fails can be made shorter.

use crate::aim::Aim;
use crate::clock::{BEGIN_MS, Face};
use crate::machine::End;
use crate::network::{Link, Weather};
use std::fmt;

mod scene;

/// One of the machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The hub.
    Hub,
    /// A spoke, by its number.
    Spoke(usize),
}

/// How a disk fails and stays alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskFault {
    /// A write fails.
    Write,
    /// A sync fails.
    Sync,
    /// A read fails.
    Read,
    /// It is full for one write.
    Full,
}

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// People do so many things at a spoke, one after the other, or several at once.
    Acts { spoke: usize, count: u32, at_once: bool },
    /// Time passes.
    Pass { ms: u64 },
    /// The network becomes better or worse.
    Weather(Weather),
    /// A spoke's link to the hub changes.
    Link { spoke: usize, link: Link },
    /// A spoke ends when so many things have passed on its wire.
    EndOnWire { spoke: usize, after: u64, end: End },
    /// A machine ends in the middle of the so-manieth call to its disk.
    EndOnDisk { who: Who, after: u64, end: End },
    /// A machine ends now.
    End { who: Who, end: End },
    /// A spoke's daemon is stopped in order.
    Stop { spoke: usize },
    /// A machine that is off is started.
    Start { who: Who },
    /// A machine's disk fails at the so-manieth call.
    DiskFault { who: Who, after: u64, fault: DiskFault },
    /// A machine's disk has room for so many bytes more, or for everything again.
    Room { who: Who, bytes: Option<u64> },
    /// A machine's clock is set.
    Clock { who: Who, face: Face },
    /// A machine's clock jumps.
    Jump { who: Who, ms: i64 },
    /// A machine is away for so many days, while the clocks of the others go on.
    Away { spoke: usize, days: u32 },
    /// A copy of a machine's disk is put aside.
    Keep { who: Who },
    /// A machine's disk is replaced by the copy that was put aside.
    PutBack { who: Who },
    /// The hub's disk is lost, and with it its key, or not.
    Wipe { with_key: bool },
    /// A spoke's disk is cloned over another's.
    Clone { from: usize, to: usize },
    /// A spoke is started without a hub from now on, or with one again.
    Member { spoke: usize, has_hub: bool },
    /// A machine is started by a program with other merge rules than wrote its state.
    Upgrade { who: Who },
    /// Something goes wrong when a spoke next asks the hub a certain thing.
    Aim { spoke: usize, aim: Aim },
    /// A spoke checks itself deeply, and compares with the hub.
    CheckDeeply { spoke: usize },
    /// Somebody asks for a sync and waits.
    Ask { spoke: usize },
}

/// How long a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Some hundreds of ops, many faults.
    Short,
    /// At least so many ops.
    Ops(u64),
    /// Short, of scenes in which something goes wrong at what is done seldom.
    Rare,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What it follows from.
    pub seed: u64,
    /// How long it is.
    pub length: Length,
    /// How many spokes there are.
    pub spokes: usize,
    /// What happens, in order.
    pub events: Vec<Event>,
}

const DAY_MS: i64 = 86_400_000;
const YEAR_MS: i64 = 365 * DAY_MS;

/// How many acts a person does in a row, at most.
const SHORT_BURST: u32 = 14;
const LONG_BURST: u32 = 400;

impl Plan {
    /// The run of a seed.
    pub fn new(seed: u64, length: Length) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x706c_616e);
        let spokes = rng.usize(2..=6);
        let (lossy, burst) = (rng.u8(0..3) > 0, SHORT_BURST);
        let mut planner = Planner { rng, spokes, burst, lossy };
        let mut events = vec![Event::Weather(planner.weather())];
        match length {
            Length::Short => (0..planner.rng.usize(60..200)).for_each(|_| planner.next(&mut events)),
            Length::Rare => (0..planner.rng.usize(12..40)).for_each(|_| planner.scene(&mut events)),
            Length::Ops(ops) => {
                planner.burst = LONG_BURST;
                let mut planned = 0;
                while planned < ops {
                    planner.next(&mut events);
                    if let Some(Event::Acts { count, .. }) = events.last() {
                        // About three in four write an op.
                        planned += u64::from(*count) * 3 / 4;
                    }
                }
            }
        }
        Self { seed, length, spokes, events }
    }

    /// The same run with some of its events only.
    pub fn only(&self, kept: &[usize]) -> Self {
        let events = kept.iter().filter_map(|at| self.events.get(*at).copied()).collect();
        Self { events, ..self.clone() }
    }
}

struct Planner {
    rng: fastrand::Rng,
    spokes: usize,
    /// How many acts a person does in a row, at most.
    burst: u32,
    /// Disks of spokes are put back and cloned, too, by which what only they had is lost.
    lossy: bool,
}

impl Planner {
    fn spoke(&mut self) -> usize {
        self.rng.usize(0..self.spokes)
    }

    fn who(&mut self) -> Who {
        if self.rng.u8(0..3) == 0 { Who::Hub } else { Who::Spoke(self.spoke()) }
    }

    fn end(&mut self) -> End {
        if self.rng.bool() { End::Kill } else { End::Power }
    }

    fn weather(&mut self) -> Weather {
        let mut rate = |max: u16| if self.rng.u8(0..3) == 0 { self.rng.u16(0..max) } else { 0 };
        let (lost, unanswered, doubled) = (rate(150), rate(150), rate(120));
        let (cut, stalled, refused) = (rate(150), rate(40), rate(80));
        Weather { lost, unanswered, doubled, cut, stalled, refused, delay_ms: [0, 3, 40, 400][self.rng.usize(0..4)] }
    }

    /// One thing more, with what leads to it.
    fn next(&mut self, events: &mut Vec<Event>) {
        let event = self.event();
        events.push(event);
        if let Event::Aim { spoke, aim } = event {
            // These two are asked seldom.
            match aim.state {
                "fork" if self.lossy => events.push(Event::Clone { from: self.spoke(), to: spoke }),
                "digest" => {
                    let check = self.deep_check(spoke);
                    events.push(check);
                }
                _ => {}
            }
        }
    }

    fn event(&mut self) -> Event {
        let spoke = self.spoke();
        match self.rng.u8(0..100) {
            0..33 => {
                let count = self.rng.u32(1..=self.burst);
                Event::Acts { spoke, count, at_once: self.rng.u8(0..4) == 0 }
            }
            33..45 => Event::Pass { ms: [20, 200, 2_000, 30_000, 400_000][self.rng.usize(0..5)] },
            45..48 => Event::Weather(self.weather()),
            48..52 => {
                let link = [Link::Up, Link::Up, Link::Refused, Link::Silent][self.rng.usize(0..4)];
                Event::Link { spoke, link }
            }
            52..55 => Event::EndOnWire { spoke, after: self.rng.u64(0..20), end: self.end() },
            55..61 => Event::EndOnDisk { who: self.who(), after: self.rng.u64(0..120), end: self.end() },
            61..70 => Event::Aim { spoke, aim: Aim::choose(&mut self.rng) },
            70..72 => Event::End { who: self.who(), end: self.end() },
            72 => Event::Stop { spoke },
            73..80 => Event::Start { who: self.who() },
            80..83 => {
                let fault = [DiskFault::Write, DiskFault::Sync, DiskFault::Read, DiskFault::Full];
                Event::DiskFault { who: self.who(), after: self.rng.u64(0..80), fault: fault[self.rng.usize(0..4)] }
            }
            83 => {
                let bytes = self.rng.bool().then(|| self.rng.u64(0..200_000));
                Event::Room { who: self.who(), bytes }
            }
            84..88 => self.clock(),
            88 => Event::Away { spoke, days: [1, 30, 200][self.rng.usize(0..3)] },
            89..91 => Event::Keep { who: self.who() },
            91..93 => Event::PutBack { who: if self.lossy { self.who() } else { Who::Hub } },
            93 => Event::Wipe { with_key: self.rng.bool() },
            94 if self.lossy => Event::Clone { from: spoke, to: self.spoke() },
            95 => Event::Member { spoke, has_hub: self.rng.u8(0..3) > 0 },
            96 => Event::Upgrade { who: self.who() },
            97 => self.deep_check(spoke),
            _ => Event::Ask { spoke },
        }
    }

    /// Derives a whole replica anew: in a long run, once where a short one does four times.
    fn deep_check(&mut self, spoke: usize) -> Event {
        if self.burst == LONG_BURST && self.rng.u8(0..4) > 0 {
            return Event::Ask { spoke };
        }
        Event::CheckDeeply { spoke }
    }

    fn clock(&mut self) -> Event {
        let who = self.who();
        match self.rng.u8(0..7) {
            0 => Event::Clock { who, face: Face::Off(0) },
            1 => Event::Clock { who, face: Face::Off(-56 * YEAR_MS) },
            2 => Event::Clock { who, face: Face::Off(14 * YEAR_MS) },
            3 => Event::Clock { who, face: Face::Frozen(BEGIN_MS + self.rng.i64(0..DAY_MS)) },
            _ => Event::Jump { who, ms: self.rng.i64(-2 * DAY_MS..2 * DAY_MS) },
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}
