//! Child processes: daemons that say when they are ready, commands that end.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::wait::{self, PATIENCE};

/// A daemon. Dropping it kills it and waits for its end.
#[derive(Debug)]
pub struct Process {
    child: Child,
    lines: Receiver<String>,
    log: PathBuf,
}

/// How a process ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The signal.
    pub signal: Option<i32>,
    /// All that was written to its standard error, by the processes before it too.
    pub stderr: String,
}

impl Process {
    /// Starts a daemon; its standard error is appended to `log`.
    pub fn spawn(mut command: Command, log: &Path) -> Self {
        let stderr = File::options().create(true).append(true).open(log).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let stdout = child.stdout.take().expect("standard output is piped");
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                drop(send.send(line)); // Nobody listens any more once the daemon is ready.
            }
        });
        Self { child, lines, log: log.to_owned() }
    }

    /// Waits for the line that begins with `ready` and returns the rest of it, or how the process ended before.
    pub fn ready(&mut self, ready: &str) -> Result<String, Ended> {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    if let Some(rest) = line.strip_prefix(ready) {
                        return Ok(rest.trim().to_owned());
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.wait()),
                Err(RecvTimeoutError::Timeout) => panic!("a daemon never said {ready:?}; it said:\n{}", self.stderr()),
            }
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a child has a process id");
        kill_process(pid, signal).unwrap();
    }

    /// Waits for the end.
    pub fn wait(&mut self) -> Ended {
        let status = wait::until("the end of a daemon", || self.child.try_wait().unwrap());
        self.ended(status)
    }

    /// Kills it as `kill -9` does, and waits for the end.
    pub fn kill9(&mut self) -> Ended {
        self.child.kill().unwrap();
        let status = self.child.wait().unwrap();
        self.ended(status)
    }

    /// Returns what was written to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        Ended { code: status.code(), signal: status.signal(), stderr: self.stderr() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill()); // Fails only where it has ended already.
        drop(self.child.wait());
    }
}

/// What a command said.
#[derive(Debug, Clone)]
pub struct Said {
    /// What was typed.
    pub typed: String,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
    /// Its exit code.
    pub code: i32,
}

impl Said {
    /// Returns the same, if the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "`{}` printed:\n{}\n{}", self.typed, self.text(), self.stderr);
        self
    }

    /// Returns the same, if it succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// Returns its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Returns its standard output, read as JSON.
    #[track_caller]
    pub fn json<T: DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("`{}` printed no such JSON ({error}):\n{}", self.typed, self.text()))
    }

    /// Returns its standard error, read as the one JSON object that an error is.
    #[track_caller]
    pub fn error(&self) -> heph_api::ApiError {
        serde_json::from_str(&self.stderr)
            .unwrap_or_else(|error| panic!("`{}` said no JSON error ({error}):\n{}", self.typed, self.stderr))
    }
}

/// Runs a command to its end.
///
/// # Panics
/// If it does not end in time, or a signal ends it.
pub fn run(mut command: Command, stdin: &[u8]) -> Said {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let typed = words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start `{typed}`: {error}"));
    let pid = Pid::from_raw(child.id().cast_signed()).expect("a child has a process id");
    let mut to = child.stdin.take().expect("standard input is piped");
    let stdin = stdin.to_owned();
    thread::spawn(move || drop(to.write_all(&stdin))); // A command need not read what it is given.
    let (send, ended) = channel();
    thread::spawn(move || drop(send.send(child.wait_with_output())));
    let output = ended.recv_timeout(PATIENCE * 2).unwrap_or_else(|_| {
        let killed = kill_process(pid, Signal::KILL);
        panic!("`{typed}` did not end (killed: {killed:?})");
    });
    let output = output.unwrap();
    let code = output.status.code().unwrap_or_else(|| panic!("a signal ended `{typed}`: {:?}", output.status));
    Said { typed, stdout: output.stdout, stderr: String::from_utf8_lossy(&output.stderr).into_owned(), code }
}

/// Returns a command whose environment is empty but for what makes programs run, and a home of its own.
pub fn command(program: &Path, home: &Path) -> Command {
    command_under(&[], program, home)
}

/// Returns the same, with the program and its arguments behind the words of another program that runs it.
pub fn command_under(words: &[String], program: &Path, home: &Path) -> Command {
    let mut command = match words {
        [] => Command::new(program),
        [first, rest @ ..] => {
            let mut outer = Command::new(first);
            outer.args(rest).arg(program);
            outer
        }
    };
    command.env_clear().env("HOME", home).env("RUST_BACKTRACE", "1").current_dir(home);
    for name in ["PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LLVM_PROFILE_FILE", "RUST_LOG"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}
