//! One `hephd` as a child process: ready when it says so, gone when it is dropped.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{interrupt::Interrupt, place::Place};
use crate::failure::Failure;

/// How often whoever waits looks up.
const LOOK_UP: Duration = Duration::from_millis(10);
const READY_WITHIN: Duration = Duration::from_secs(20);
const STOPPED_WITHIN: Duration = Duration::from_secs(10);
/// How much of a daemon's log a failure shows.
const LOG_LINES: usize = 5;

/// A running daemon.
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts a daemon for one of the machines and returns it with what it says after `ready`.
    pub fn start(
        place: &Place,
        machine: &str,
        args: &[&str],
        ready: &str,
        interrupt: &Interrupt,
    ) -> Result<(Self, String), Failure> {
        let log = place.root().join(machine).join("hephd.log");
        let open = || fs::File::options().create(true).append(true).open(&log);
        let mut command = Command::new(place.hephd());
        command.args(args).current_dir(place.root()).stdin(Stdio::null()).stdout(Stdio::piped());
        command.stderr(open().map_err(Failure::file("write", &log))?);
        without_settings(&mut command);
        let mut child = command.spawn().map_err(|error| no_hephd(place, &error))?;
        let lines = child.stdout.take().map(lines_of);
        let mut daemon = Self { child, log };
        let said = match lines {
            Some(lines) => daemon.wait_for(&lines, ready, interrupt)?,
            None => return Err(daemon.failed("its output is not to be had")),
        };
        Ok((daemon, said))
    }

    fn wait_for(&mut self, lines: &Receiver<String>, ready: &str, interrupt: &Interrupt) -> Result<String, Failure> {
        let until = Instant::now() + READY_WITHIN;
        while Instant::now() < until {
            interrupt.check()?;
            match lines.recv_timeout(LOOK_UP) {
                Ok(line) => {
                    if let Some(said) = line.trim_end().strip_prefix(ready) {
                        return Ok(said.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(self.failed("ended before it was ready"));
                }
            }
        }
        Err(self.failed("was not ready in time"))
    }

    fn failed(&self, how: &str) -> Failure {
        // A log that cannot be read is an empty one: the failure is told all the same.
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        let hint = "look at its log: heph demo --dir DIR keeps everything in DIR";
        Failure::here_with_hint("demo", format!("hephd {how}\n{tail}"), hint)
    }

    /// Stops the daemon as `kill` does, and returns once it is gone.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let asked =
            Pid::from_raw(self.child.id().cast_signed()).is_some_and(|pid| kill_process(pid, Signal::TERM).is_ok());
        if !asked || !self.gone_within(STOPPED_WITHIN) {
            // Fails only for a process that has ended already, which is what is wanted.
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }

    fn gone_within(&mut self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            match self.child.try_wait() {
                Ok(Some(_)) => return true,
                Ok(None) if Instant::now() < until => thread::sleep(LOOK_UP),
                Ok(None) | Err(_) => return false,
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A child that has been waited for is no longer signalled: its number may be somebody else's by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            self.end();
        }
    }
}

/// Lets a child start from its options alone, whatever is set for the heph that this person uses.
pub fn without_settings(command: &mut Command) {
    let ours = std::env::vars_os().map(|(name, _)| name);
    for name in ours.filter(|name| name.to_string_lossy().starts_with("HEPH")) {
        command.env_remove(name);
    }
}

/// Reads lines for as long as the child writes any, so that it never waits for a reader.
fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (send, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // Nobody listens any more once the daemon is ready.
            drop(send.send(line));
        }
    });
    lines
}

fn no_hephd(place: &Place, error: &std::io::Error) -> Failure {
    Failure::here_with_hint(
        "demo",
        format!("cannot start {}: {error}", place.hephd().display()),
        "build it beside heph: cargo build --profile quick",
    )
}
