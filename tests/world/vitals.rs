//! What a process takes of the machine, as the kernel tells it: the most memory that it ever held, and how many file
//! descriptors are open. Where there is no `/proc`, nothing is known, and whoever asks says so.

use std::{
    fs,
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::Duration,
};

/// How often file descriptors are counted: of those the kernel keeps no maximum.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The most that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vitals {
    /// The most memory resident at once since the process started (`VmHWM`), in KiB.
    pub peak_kib: u64,
    /// File descriptors open at once, as far as they were looked at.
    pub fds: usize,
}

impl Vitals {
    /// What a process takes now; `None` if it is gone or the kernel does not tell.
    pub fn of(pid: u32) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let peak_kib = peak.trim().trim_end_matches(" kB").parse().ok()?;
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count();
        Some(Self { peak_kib, fds })
    }

    fn or_more(self, other: Self) -> Self {
        Self { peak_kib: self.peak_kib.max(other.peak_kib), fds: self.fds.max(other.fds) }
    }

    /// The memory in MiB, rounded up.
    pub fn peak_mib(self) -> u64 {
        self.peak_kib.div_ceil(1024)
    }
}

/// Looks at a process until told to end.
#[derive(Debug)]
pub struct Watch {
    end: Sender<()>,
    seen: JoinHandle<Option<Vitals>>,
}

impl Watch {
    /// Begins to look.
    pub fn start(pid: u32) -> Self {
        let (end, ended) = channel();
        let seen = thread::spawn(move || {
            let mut most: Option<Vitals> = None;
            loop {
                most = match (most, Vitals::of(pid)) {
                    (Some(most), Some(now)) => Some(most.or_more(now)),
                    (most, now) => most.or(now),
                };
                match ended.recv_timeout(LOOK_EVERY) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return most,
                }
            }
        });
        Self { end, seen }
    }

    /// Ends, prints what was seen as one line of a table, and holds it against what it may be at most.
    ///
    /// # Panics
    /// If it was more.
    pub fn within(self, what: &str, at_most: Vitals) {
        drop(self.end);
        let Some(most) = self.seen.join().expect("looking does not panic") else {
            println!("skipped: {what}: the kernel does not tell what a process takes");
            return;
        };
        let (mib, mib_max) = (most.peak_mib(), at_most.peak_mib());
        println!("| {what} | {mib} MiB of {mib_max} | {} of {} |", most.fds, at_most.fds);
        assert!(mib <= mib_max && most.fds <= at_most.fds, "{what}: {most:?} is more than {at_most:?}");
    }
}

/// So much memory, and so many file descriptors.
pub const fn at_most(mib: u64, fds: usize) -> Vitals {
    Vitals { peak_kib: mib * 1024, fds }
}
