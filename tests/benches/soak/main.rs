//! A week of a busy person's typing, in accelerated time: three devices and a hub, real processes. Prints, day by day,
//! what grows: log, files, write-ahead logs, memory, file descriptors, latency.
//!
//! `cargo bench -p heph-tests --profile quick --bench soak [-- DAYS]` prints the table of `docs/verification.md`.

#![allow(clippy::unwrap_used)] // A bench that fails should say so.

use heph_api::types::{
    AppendJournal, CompleteTask, CreateDoc, CreateTask, DeleteNode, EditTask, ListTasks, SaveDoc, Search, ShowDoc,
};
use heph_tests::World;
use heph_tests::device::Device;
use heph_tests::vitals::Vitals;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An editor saves every half minute, three hours a day, on each device.
const SAVES: usize = 360;
/// Tasks made, retitled and done a day on each device.
const TASKS: usize = 40;
/// Lines in the journal.
const LINES: usize = 25;
/// Times that a list or a search is looked at.
const LOOKS: usize = 80;
/// Notes that are worked on.
const NOTES: usize = 30;

fn main() {
    let days: usize = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(7);
    let world = World::new();
    let devices: Vec<Arc<Device>> = ["laptop", "desk", "server"].iter().map(|name| world.device(name)).collect();
    let mut week = Week { seed: 0x5eed, notes: Vec::new(), latencies: Vec::new() };
    println!(
        "| day | ops | spoke's file | WAL | hub's file | WAL | spoke: memory, descriptors | hub | write: median, 99th |"
    );
    println!("|---:|---:|---:|---:|---:|---:|---|---|---|");
    for day in 1..=days {
        for step in 0..SAVES {
            // Three people's worth of hands, at once on all devices.
            for device in &devices {
                week.step(device, day, step);
            }
        }
        world.converge();
        week.print(day, &devices[0], &world);
    }
}

struct Week {
    seed: u64,
    notes: Vec<String>,
    latencies: Vec<Duration>,
}

impl Week {
    fn chance(&mut self, of: usize) -> usize {
        // xorshift: any reproducible sequence will do.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        usize::try_from(self.seed % of as u64).unwrap()
    }

    /// What is done in the half minute between two saves.
    fn step(&mut self, device: &Device, day: usize, step: usize) {
        if self.notes.len() < NOTES {
            let call = CreateDoc {
                title: format!("Note {}", self.notes.len()),
                body: Some(words(20)),
                ..CreateDoc::default()
            };
            self.notes.push(device.call(&call).node.node_id);
            return;
        }
        self.save(device);
        if step.is_multiple_of(SAVES / TASKS) {
            self.task(device, day, step);
        }
        if step.is_multiple_of(SAVES / LINES) {
            let call = AppendJournal { date: format!("2026-11-{day:02}"), text: words(12) };
            self.timed(|| device.call(&call));
        }
        if step.is_multiple_of(SAVES / LOOKS) {
            device.call(&ListTasks { limit: Some(50), ..ListTasks::default() });
            device.call(&Search { query: "tomatoes".into(), limit: Some(20) });
        }
    }

    fn save(&mut self, device: &Device) {
        // The note of the hour, most often.
        let note = if self.chance(4) == 0 { self.chance(NOTES) } else { 0 };
        let read = device.try_call(&ShowDoc { id: self.notes[note].clone() });
        // It may not have come here yet.
        let Ok(read) = read else { return };
        let mut lines: Vec<String> = read.text.lines().map(str::to_owned).collect();
        let at = self.chance(lines.len() + 1);
        match self.chance(6) {
            0 if lines.len() > 150 => drop(lines.drain(..40)),
            1 if at < lines.len() => lines[at] = words(8),
            _ => lines.insert(at, words(10)),
        }
        let call = SaveDoc { id: self.notes[note].clone(), body: lines.join("\n"), version: read.version };
        self.timed(|| device.call(&call));
    }

    fn task(&mut self, device: &Device, day: usize, step: usize) {
        let call = CreateTask { title: words(6), tags: vec!["home".into()], ..CreateTask::default() };
        let id = self.timed(|| device.call(&call)).task.node_id;
        let call = EditTask { id: id.clone(), title: Some(words(7)), ..EditTask::default() };
        self.timed(|| device.call(&call));
        match (day + step) % 5 {
            0 => drop(self.timed(|| device.call(&DeleteNode { id: id.clone() }))),
            _ => drop(self.timed(|| device.call(&CompleteTask { id: id.clone(), ..CompleteTask::default() }))),
        }
    }

    fn timed<T>(&mut self, act: impl FnOnce() -> T) -> T {
        let start = Instant::now();
        let answer = act();
        self.latencies.push(start.elapsed());
        answer
    }

    fn print(&mut self, day: usize, spoke: &Device, world: &World) {
        self.latencies.sort();
        let (count, hub) = (self.latencies.len(), world.hub());
        let (median, high) = (self.latencies[count / 2], self.latencies[count * 99 / 100]);
        self.latencies.clear();
        let vitals =
            |pid| Vitals::of(pid).map_or("not known".to_owned(), |it| format!("{} MiB, {}", it.peak_mib(), it.fds));
        println!(
            "| {day} | {} | {} | {} | {} | {} | {} | {} | {:.1} ms, {:.1} ms |",
            hub.summary().head,
            size(&spoke.db_path(), ""),
            size(&spoke.db_path(), "-wal"),
            size(&hub.db_path(), ""),
            size(&hub.db_path(), "-wal"),
            vitals(spoke.pid()),
            vitals(hub.pid()),
            median.as_secs_f64() * 1e3,
            high.as_secs_f64() * 1e3,
        );
    }
}

/// Words of an ordinary length.
fn words(count: usize) -> String {
    const WORDS: [&str; 12] = [
        "water", "the", "tomatoes", "before", "noon", "and", "call", "about", "Grüße", "invoice", "window", "tomorrow",
    ];
    (0..count).map(|at| WORDS[(at * 7 + count * 5) % WORDS.len()]).collect::<Vec<_>>().join(" ")
}

fn size(db: &Path, end: &str) -> String {
    let mut name = db.as_os_str().to_owned();
    name.push(end);
    let bytes = std::fs::metadata(name).map_or(0, |metadata| metadata.len());
    format!("{:.1} MB", bytes as f64 / 1e6)
}
