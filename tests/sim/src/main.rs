//! Runs the simulator: a seed, some of its events, many seeds, or fresh ones for some minutes.

use clap::Parser;
use heph_sim::plan::{Length, Plan};
use heph_sim::seeds;
use heph_sim::tally::{Counts, Tally};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Simulates whole systems, each from a seed, and looks for a broken promise.
#[derive(Parser)]
#[command(name = "heph-sim")]
struct Arguments {
    /// Run this seed.
    #[arg(long, conflicts_with_all = ["seeds", "fresh_for"])]
    seed: Option<u64>,
    /// Of that seed, only these events, such as 3-7,12.
    #[arg(long, requires = "seed")]
    only: Option<String>,
    /// Print the course of that seed.
    #[arg(long, requires = "seed")]
    course: bool,
    /// Run so many seeds, from --first on.
    #[arg(long)]
    seeds: Option<u64>,
    /// The first of them.
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Then run fresh seeds for so many seconds.
    #[arg(long, value_name = "SECONDS")]
    fresh_for: Option<u64>,
    /// Long runs of so many ops, instead of short ones.
    #[arg(long, conflicts_with = "rare")]
    ops: Option<u64>,
    /// Runs in which something goes wrong at what is done seldom.
    #[arg(long)]
    rare: bool,
    /// So many at a time.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Leave a run that fails as long as it is.
    #[arg(long)]
    no_shrink: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let short = if arguments.rare { Length::Rare } else { Length::Short };
    let length = arguments.ops.map_or(short, Length::Ops);
    match arguments.seed {
        Some(seed) => one(seed, length, &arguments),
        None => many(length, &arguments),
    }
}

fn one(seed: u64, length: Length, arguments: &Arguments) -> ExitCode {
    let plan = Plan::new(seed, length);
    let kept = match &arguments.only {
        Some(text) => match seeds::parse_ranges(text) {
            Some(kept) => kept,
            None => {
                eprintln!("--only is not a list of numbers and ranges, such as 3-7,12");
                return ExitCode::from(2);
            }
        },
        None => (0..plan.events.len()).collect(),
    };
    let tally = Tally::default();
    if arguments.course {
        tally.keep_steps();
    }
    let outcome = seeds::once(&plan.only(&kept), &tally);
    tally.steps().iter().for_each(|step| println!("{step}"));
    println!("seed {seed}: {} spokes, {} of {} events", plan.spokes, kept.len(), plan.events.len());
    report(&tally.counts(), 1);
    println!("course {:016x}", tally.course());
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(violation) => {
            println!("BROKEN: {violation}");
            ExitCode::FAILURE
        }
    }
}

fn many(length: Length, arguments: &Arguments) -> ExitCode {
    let (began, counts, failed) = (Instant::now(), Mutex::new(Counts::default()), AtomicBool::new(false));
    let (next, done) = (AtomicU64::new(0), AtomicU64::new(0));
    let fixed = arguments.seeds.unwrap_or(0);
    let fresh = arguments.fresh_for.map(Duration::from_secs);
    // Fresh seeds differ from run to run; what failed is printed and can be run again.
    let fresh_first = u64::from(std::process::id()) << 32 | u64::from(began_ns());
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let seed = match fresh {
                        _ if number < fixed => arguments.first + number,
                        Some(fresh) if began.elapsed() < fresh => fresh_first.wrapping_add(number),
                        _ => return,
                    };
                    let tally = Tally::default();
                    // A thread of its own, so that nothing of a run is left for the next.
                    let ran = std::thread::scope(|own| {
                        own.spawn(|| seeds::seed(seed, length, !arguments.no_shrink, &tally)).join()
                    });
                    counts.lock().unwrap_or_else(PoisonError::into_inner).add(&tally.counts());
                    done.fetch_add(1, Ordering::Relaxed);
                    if matches!(length, Length::Ops(_)) {
                        println!("seed {seed}: {} ops, {} s", tally.counts().ops, began.elapsed().as_secs());
                    }
                    match ran {
                        Ok(Ok(())) => {}
                        Ok(Err(broken)) => {
                            failed.store(true, Ordering::Relaxed);
                            println!("BROKEN: {}\n  {}", broken.violation, broken.command());
                        }
                        Err(_) => {
                            failed.store(true, Ordering::Relaxed);
                            println!("BROKEN: seed {seed} panicked");
                        }
                    }
                }
            });
        }
    });
    report(&counts.lock().unwrap_or_else(PoisonError::into_inner), done.into_inner());
    if failed.into_inner() { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn began_ns() -> u32 {
    heph_store::env::random::<4>(&heph_store::env::SystemEnv).iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

fn report(counts: &Counts, runs: u64) {
    println!("\n{}", counts.fault_table());
    let asked = counts.asked.iter().map(|(state, count)| format!("{state} {count}"));
    println!("asked of the hub: {}", asked.collect::<Vec<_>>().join(", "));
    let acts = counts.acts.iter().map(|((act, outcome), count)| format!("{act} {outcome} {count}"));
    println!("acts: {}", acts.collect::<Vec<_>>().join(", "));
    println!(
        "{runs} runs, {} ops, {} simulated hours, {} messages, {} checks",
        counts.ops,
        counts.simulated_ms / 3_600_000,
        counts.messages,
        counts.checks
    );
}
