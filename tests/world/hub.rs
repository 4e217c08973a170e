//! A hub as a child process.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

use heph_store::{exchange::Summary, read::Reads};
use rustix::process::Signal;

use crate::{
    files,
    process::{self, Ended, Process},
    programs::programs,
};

/// A hub in a directory of its own. It may be stopped and started as often as one likes, and keeps its address.
#[derive(Debug)]
pub struct Hub {
    name: String,
    dir: PathBuf,
    address: Mutex<String>,
    process: Mutex<Option<Process>>,
    envs: Mutex<Vec<(String, String)>>,
    under: Mutex<Vec<String>>,
    log: Mutex<Option<PathBuf>>,
}

impl Hub {
    pub(crate) fn new(name: &str, dir: PathBuf, ip: String) -> Self {
        let address = Mutex::new(format!("{ip}:0"));
        Self {
            name: name.into(),
            dir,
            address,
            process: Mutex::default(),
            envs: Mutex::default(),
            under: Mutex::default(),
            log: Mutex::default(),
        }
    }

    /// Its directory, with the database, the control file and the key.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The first owner's replica.
    pub fn db_path(&self) -> PathBuf {
        self.dir.join("heph.db")
    }

    /// The file with its key.
    pub fn key_path(&self) -> PathBuf {
        self.dir.join("hub.key")
    }

    /// `ADDRESS:PORT`.
    pub fn address(&self) -> String {
        self.address.lock().unwrap().clone()
    }

    /// What devices are given as `--hub-url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Sets a variable of its environment, from the next start on.
    pub fn set_env(&self, name: &str, value: &str) {
        self.envs.lock().unwrap().push((name.into(), value.into()));
    }

    /// Starts it under another program, such as a tracer, from the next start on; under none if there are no words.
    pub fn run_under(&self, words: &[String]) {
        *self.under.lock().unwrap() = words.to_vec();
    }

    /// Keeps what it writes to standard error elsewhere, from the next start on: its directory may be on a disk that
    /// takes nothing.
    pub fn log_to(&self, path: PathBuf) {
        *self.log.lock().unwrap() = Some(path);
    }

    /// Returns the command that starts it.
    pub fn command(&self) -> Command {
        let mut command = process::command_under(&self.under.lock().unwrap(), &programs().hephd, &self.dir);
        command.args(["--mode", "server", "--open", "--http-addr", &self.address(), "--db"]).arg(self.db_path());
        command.envs(self.envs.lock().unwrap().iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it and waits until it listens.
    pub fn start(&self) {
        if let Err(ended) = self.try_start() {
            panic!("the hub {} did not start: {ended:?}", self.name);
        }
    }

    /// Starts it, and returns how it ended if it did instead of listening.
    pub fn try_start(&self) -> Result<(), Ended> {
        let mut slot = self.process.lock().unwrap();
        assert!(slot.is_none(), "the hub {} is running already", self.name);
        let mut process = Process::spawn(self.command(), &self.log());
        let url = process.ready("heph hub listening on")?;
        let address = url.strip_prefix("http://").unwrap_or_else(|| panic!("the hub listens on {url}"));
        *self.address.lock().unwrap() = address.to_owned();
        *slot = Some(process);
        Ok(())
    }

    /// Stops it with SIGTERM, and waits for its end, which has to be a success.
    pub fn stop(&self) {
        let ended = self.finish(|process| {
            process.signal(Signal::TERM);
            process.wait()
        });
        assert_eq!(ended.code, Some(0), "the hub {} did not stop well: {ended:?}", self.name);
    }

    /// Kills it with SIGKILL, and waits for its end.
    pub fn kill9(&self) {
        self.finish(Process::kill9);
    }

    /// Stops it, and starts it again.
    pub fn restart(&self) {
        self.stop();
        self.start();
    }

    /// Returns whether it runs, as far as this world has to do with it.
    pub fn is_running(&self) -> bool {
        self.process.lock().unwrap().is_some()
    }

    /// Its process id, while it runs.
    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().expect("the hub runs").id()
    }

    /// Returns what its replica holds, in numbers, read from the file.
    pub fn summary(&self) -> Summary {
        let reads = Reads::open(&self.db_path()).unwrap();
        reads.read(|view| view.summary()).unwrap()
    }

    /// The digest of its state, in hex, read from the file.
    pub fn digest(&self) -> String {
        hex::encode(self.summary().digest)
    }

    /// Returns a copy of its files (database, control file, key), made while it is stopped.
    pub fn copy_files(&self, to: &Path) {
        assert!(!self.is_running(), "copy the hub's files while it is stopped");
        files::copy_kept(&self.dir, to);
    }

    /// Puts back a copy of its files; what it had is gone.
    pub fn put_back(&self, from: &Path) {
        self.lose_disk();
        files::copy_kept(from, &self.dir);
    }

    /// Removes all its files, the key too.
    pub fn lose_disk(&self) {
        assert!(!self.is_running(), "the hub loses its disk while it is stopped");
        files::remove_kept(&self.dir);
    }

    /// Removes all its files but the key.
    pub fn lose_disk_but_the_key(&self) {
        let key = fs::read(self.key_path()).unwrap();
        self.lose_disk();
        fs::write(self.key_path(), key).unwrap();
        let owner_only = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(self.key_path(), owner_only).unwrap();
    }

    /// Returns all that it wrote to standard error.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log()).unwrap_or_default()).into_owned()
    }

    fn log(&self) -> PathBuf {
        self.log.lock().unwrap().clone().unwrap_or_else(|| self.dir.join("stderr.log"))
    }

    fn finish(&self, end: impl FnOnce(&mut Process) -> Ended) -> Ended {
        let mut process = self.process.lock().unwrap().take().expect("the hub runs");
        end(&mut process)
    }

    pub(crate) fn end(&self, failed: bool) {
        drop(self.process.lock().unwrap().take());
        if failed {
            eprintln!("--- the hub {} wrote:\n{}", self.name, self.stderr());
        }
    }
}
