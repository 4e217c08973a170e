//! `strace` as the fault: a system call of a daemon fails, kills it or stops it. Each thread counts its own calls.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use heph_tests::wait::until;
use rustix::process::{Pid, Signal, kill_process};

/// How long strace may take to let go.
const LETS_GO_WITHIN: Duration = Duration::from_secs(1);

/// What happens at which call.
#[derive(Debug, Clone)]
pub struct Trap {
    /// Which calls, such as `fsync,fdatasync`.
    pub calls: &'static str,
    /// What happens: `signal=KILL`, `error=EIO`.
    pub what: &'static str,
    /// When, in strace's words: `3`, `3..5` or `3+`.
    pub when: String,
    /// Only calls on this file count.
    pub file: Option<PathBuf>,
}

impl Trap {
    fn words(&self, log: &Path) -> Vec<String> {
        let Self { calls, what, when, file } = self;
        let mut words = vec!["-f".to_owned(), "-o".to_owned(), log.display().to_string()];
        words.extend(["-e".to_owned(), format!("trace={calls}")]);
        words.extend(["-e".to_owned(), format!("inject={calls}:{what}:when={when}")]);
        if let Some(file) = file {
            words.extend(["-P".to_owned(), file.display().to_string()]);
        }
        words
    }

    /// The words before a daemon's own that let it run into the trap from its start on. The daemon keeps its process
    /// id; what happens is written to `log`.
    pub fn words_before(&self, log: &Path) -> Vec<String> {
        drop(fs::remove_file(log)); // Of the round before, if there was one.
        let mut words = vec!["strace".to_owned(), "-D".to_owned()];
        words.extend(self.words(log));
        words.push("--".to_owned());
        words
    }
}

/// How often a trap closed, as its log says.
pub fn hits(log: &Path) -> u64 {
    let said = String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned();
    let hit = |line: &&str| {
        line.contains("(INJECTED)") || line.contains("killed by SIGKILL") || line.contains("--- stopped by SIGSTOP")
    };
    let killed = said.lines().any(|line| line.contains("killed by SIGKILL"));
    if killed { 1 } else { said.lines().filter(hit).count() as u64 }
}

/// A tracer that was attached to a running daemon. Dropping it lets the daemon go.
#[derive(Debug)]
pub struct Tracer {
    child: Child,
    traced: u32,
}

impl Tracer {
    /// Attaches to a process, and returns once all its threads are traced.
    pub fn attach(pid: u32, trap: &Trap, log: &Path) -> Self {
        drop(fs::remove_file(log));
        let said = log.with_extension("attached");
        let stderr = File::create(&said).unwrap();
        let mut command = Command::new("strace");
        command.args(trap.words(log)).args(["-p", &pid.to_string()]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr).spawn().unwrap();
        let mut tracer = Self { child, traced: pid };
        until("an attached tracer", || {
            let words = fs::read_to_string(&said).unwrap_or_default();
            assert!(tracer.child.try_wait().unwrap().is_none(), "strace ended: {words}");
            words.contains(" attached").then_some(())
        });
        tracer
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        // Asked to end, strace lets go of what it traces. If that is just dying, strace may wait for its end in vain.
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a process id");
        if !is_gone(self.traced) {
            kill_process(pid, Signal::TERM).ok();
        }
        let deadline = Instant::now() + LETS_GO_WITHIN;
        until("the end of strace", || {
            if Instant::now() > deadline {
                kill_process(pid, Signal::KILL).ok();
            }
            self.child.try_wait().unwrap()
        });
    }
}

/// Whether a process has ended.
pub fn is_gone(pid: u32) -> bool {
    matches!(state(pid), None | Some('Z' | 'X'))
}

/// Whether a process has been stopped.
pub fn stands_still(pid: u32) -> bool {
    matches!(state(pid), Some('T' | 't'))
}

/// The state of a process, in the kernel's letter.
fn state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}
