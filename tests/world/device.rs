//! A device: a local daemon as a child process, and the command line that talks to it.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use heph_api::{
    Call, Client, ClientError,
    types::{ReadSyncStatus, SyncNow, SyncStatus},
};
use heph_store::{exchange::Summary, read::Reads};
use rustix::process::Signal;
use serde_json::Value;

use crate::{
    files,
    hub::Hub,
    process::{self, Ended, Process, Said},
    programs::programs,
};

/// A device in a directory of its own. It may be stopped and started as often as one likes.
#[derive(Debug)]
pub struct Device {
    name: String,
    dir: PathBuf,
    hub_url: Mutex<Option<String>>,
    process: Mutex<Option<Process>>,
    envs: Mutex<Vec<(String, String)>>,
    under: Mutex<Vec<String>>,
    log: Mutex<Option<PathBuf>>,
}

impl Device {
    pub(crate) fn new(name: &str, dir: PathBuf) -> Self {
        Self {
            name: name.into(),
            dir,
            hub_url: Mutex::default(),
            process: Mutex::default(),
            envs: Mutex::default(),
            under: Mutex::default(),
            log: Mutex::default(),
        }
    }

    /// What it is called.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its directory, which is also its home.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its replica.
    pub fn db_path(&self) -> PathBuf {
        self.dir.join("heph.db")
    }

    /// Its local socket.
    pub fn socket_path(&self) -> PathBuf {
        self.dir.join("heph.sock")
    }

    /// Sets a variable of the environment of its daemon, from the next start on, and of its commands, from now on.
    pub fn set_env(&self, name: &str, value: &str) {
        self.envs.lock().unwrap().push((name.into(), value.into()));
    }

    /// Starts its daemon under another program, such as a tracer, from the next start on; under none if there are no words.
    pub fn run_under(&self, words: &[String]) {
        *self.under.lock().unwrap() = words.to_vec();
    }

    /// Keeps what its daemon writes to standard error elsewhere, from the next start on: its directory may be on a disk that
    /// takes nothing.
    pub fn log_to(&self, path: PathBuf) {
        *self.log.lock().unwrap() = Some(path);
    }

    /// Gives it a hub, or takes it away, from the next start on.
    pub fn know(&self, hub: Option<&Hub>) {
        self.know_url(hub.map(Hub::url).as_deref());
    }

    /// Gives it the address of a hub, or takes it away, from the next start on.
    pub fn know_url(&self, url: Option<&str>) {
        *self.hub_url.lock().unwrap() = url.map(str::to_owned);
    }

    /// Returns whether it has been given a hub.
    pub fn knows_a_hub(&self) -> bool {
        self.hub_url.lock().unwrap().is_some()
    }

    /// Restarts it with this hub.
    pub fn join(&self, hub: &Hub) {
        self.stop();
        self.know(Some(hub));
        self.start();
    }

    /// Returns the command that starts its daemon.
    pub fn command(&self) -> Command {
        let mut command = process::command_under(&self.under.lock().unwrap(), &programs().hephd, &self.dir);
        command.args(["--mode", "local", "--device-name", &self.name, "--db"]).arg(self.db_path());
        command.arg("--socket").arg(self.socket_path());
        if let Some(url) = &*self.hub_url.lock().unwrap() {
            command.args(["--hub-url", url]);
        }
        command.envs(self.envs.lock().unwrap().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts its daemon and waits until it listens.
    pub fn start(&self) {
        if let Err(ended) = self.try_start() {
            panic!("the daemon of {} did not start: {ended:?}", self.name);
        }
    }

    /// Starts its daemon, and returns how it ended if it did instead of listening.
    pub fn try_start(&self) -> Result<(), Ended> {
        let mut slot = self.process.lock().unwrap();
        assert!(slot.is_none(), "the daemon of {} is running already", self.name);
        let mut process = Process::spawn(self.command(), &self.log());
        process.ready("heph daemon listening on")?;
        *slot = Some(process);
        Ok(())
    }

    /// Stops its daemon with SIGTERM, and waits for its end, which has to be a success.
    pub fn stop(&self) {
        self.stop_with(Signal::TERM);
    }

    /// Stops its daemon with this signal, and waits for its end, which has to be a success.
    pub fn stop_with(&self, signal: Signal) {
        let ended = self.finish(|process| {
            process.signal(signal);
            process.wait()
        });
        assert_eq!(ended.code, Some(0), "the daemon of {} did not stop well: {ended:?}", self.name);
    }

    /// Kills its daemon with SIGKILL, and waits for its end.
    pub fn kill9(&self) {
        self.finish(Process::kill9);
    }

    /// Stops its daemon, and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Returns whether its daemon runs, as far as this world has to do with it.
    pub fn is_running(&self) -> bool {
        self.process.lock().unwrap().is_some()
    }

    /// The process id of its daemon, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().expect("the daemon runs").id()
    }

    /// Returns a command of its command line that is not run yet.
    pub fn heph_command<S: AsRef<OsStr>>(&self, args: &[S]) -> Command {
        let mut command = process::command(&programs().heph, &self.dir);
        command.args(args).env("HEPH_SOCKET", self.socket_path());
        command.envs(self.envs.lock().unwrap().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Types a command, and returns what it said.
    pub fn heph<S: AsRef<OsStr>>(&self, args: &[S]) -> Said {
        self.heph_with_stdin(args, b"")
    }

    /// Types a command that may read this from its standard input.
    pub fn heph_with_stdin<S: AsRef<OsStr>>(&self, args: &[S], stdin: &[u8]) -> Said {
        process::run(self.heph_command(args), stdin)
    }

    /// Types a command with `--json`, which has to succeed, and returns what it printed.
    #[track_caller]
    pub fn json<S: AsRef<OsStr>>(&self, args: &[S]) -> Value {
        let mut words: Vec<&OsStr> = args.iter().map(AsRef::as_ref).collect();
        words.push(OsStr::new("--json"));
        self.heph(&words).ok().json()
    }

    /// Sends a call of the local API, which has to succeed.
    #[track_caller]
    pub fn call<C: Call>(&self, call: &C) -> C::Answer {
        self.try_call(call).unwrap_or_else(|error| panic!("{} on {}: {error:?}", C::PATH, self.name))
    }

    /// Sends a call of the local API.
    pub fn try_call<C: Call>(&self, call: &C) -> Result<C::Answer, ClientError> {
        Client::new(self.socket_path()).call(call)
    }

    /// Exchanges with the hub as `heph sync --wait` does; it has to end in step.
    #[track_caller]
    pub fn sync(&self) -> SyncStatus {
        self.heph(&["sync", "--wait", "--json"]).ok().json()
    }

    /// Exchanges with the hub, however that ends.
    pub fn exchange(&self) -> SyncStatus {
        self.call(&SyncNow { wait: true })
    }

    /// Returns how it stands with its hub.
    pub fn status(&self) -> SyncStatus {
        self.call(&ReadSyncStatus {})
    }

    /// The digest of its state, in hex, as its daemon says it.
    pub fn digest(&self) -> String {
        self.status().state_digest
    }

    /// Returns what its replica holds, in numbers, read from the file.
    pub fn summary(&self) -> Summary {
        let reads = Reads::open(&self.db_path()).unwrap();
        reads.read(|view| view.summary()).unwrap()
    }

    /// Copies its files (the database and what belongs to it) while its daemon is stopped.
    pub fn copy_files(&self, to: &Path) {
        assert!(!self.is_running(), "copy the files of {} while it is stopped", self.name);
        files::copy_kept(&self.dir, to);
    }

    /// Puts back a copy of its files; what it had is gone.
    pub fn put_back(&self, from: &Path) {
        assert!(!self.is_running(), "put back the files of {} while it is stopped", self.name);
        files::remove_kept(&self.dir);
        files::copy_kept(from, &self.dir);
    }

    /// Returns all that its daemon wrote to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    /// Where its daemon's standard error goes.
    pub fn log(&self) -> PathBuf {
        self.log.lock().unwrap().clone().unwrap_or_else(|| self.dir.join("stderr.log"))
    }

    fn finish(&self, end: impl FnOnce(&mut Process) -> Ended) -> Ended {
        let mut process = self.process.lock().unwrap().take().expect("the daemon runs");
        end(&mut process)
    }

    pub(crate) fn end(&self, failed: bool) {
        drop(self.process.lock().unwrap().take());
        if failed {
            eprintln!("--- the daemon of {} wrote:\n{}", self.name, self.stderr());
        }
    }
}
