//! One of the two devices: commands typed on it, shown with what they print.

use std::{
    io::Read,
    process::{Command, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use serde::de::DeserializeOwned;

use super::{
    Narrator,
    interrupt::Interrupt,
    place::Place,
    process::{Daemon, without_settings},
};
use crate::{failure::Failure, render::clean};

/// How often whoever waits looks up.
const LOOK_UP: Duration = Duration::from_millis(2);
const ENDED_WITHIN: Duration = Duration::from_secs(60);
/// How many lines of an output are shown at most: the last ones.
const LINES_SHOWN: usize = 14;

/// A device with its daemon running.
pub struct Device<'a> {
    name: &'static str,
    place: &'a Place,
    interrupt: &'a Interrupt,
    narrator: Narrator,
    _daemon: Daemon,
}

/// What a command left behind.
struct Ended {
    ok: bool,
    out: String,
    err: String,
}

impl<'a> Device<'a> {
    /// Starts the device's daemon, and says how.
    pub fn start(
        name: &'static str,
        hub_url: &str,
        narrator: Narrator,
        place: &'a Place,
        interrupt: &'a Interrupt,
    ) -> Result<Self, Failure> {
        let db = format!("{name}/heph.db");
        let socket = format!("{name}/heph.sock");
        let args = ["--mode", "local", "--device-name", name, "--hub-url", hub_url, "--db", &db, "--socket", &socket];
        narrator.say(&format!("{}hephd {}", prompt(name), args.join(" ")))?;
        let (daemon, _) = Daemon::start(place, name, &args, "heph daemon listening on", interrupt)?;
        Ok(Self { name, place, interrupt, narrator, _daemon: daemon })
    }

    /// Types a command that has to succeed, and shows what it prints.
    pub fn types(&self, args: &[&str]) -> Result<(), Failure> {
        let ended = self.show(args)?;
        if ended.ok { Ok(()) } else { Err(self.failed(args, &ended)) }
    }

    /// Types a command that is expected to fail, and shows what it says.
    pub fn types_in_vain(&self, args: &[&str]) -> Result<(), Failure> {
        self.show(args).map(drop)
    }

    /// Asks something that is not shown, and returns the answer.
    pub fn answer<T: DeserializeOwned>(&self, args: &[&str]) -> Result<T, Failure> {
        let ended = self.run(&[args, &["--json"]].concat())?;
        serde_json::from_str(&ended.out).map_err(|_| self.failed(args, &ended))
    }

    fn show(&self, args: &[&str]) -> Result<Ended, Failure> {
        let words: Vec<_> = args.iter().map(|word| quoted(word)).collect();
        self.narrator.say(&format!("{}heph {}", prompt(self.name), words.join(" ")))?;
        let ended = self.run(args)?;
        let lines: Vec<_> = ended.out.lines().chain(ended.err.lines()).collect();
        if lines.len() > LINES_SHOWN {
            self.narrator.say("         …")?;
        }
        for line in &lines[lines.len().saturating_sub(LINES_SHOWN)..] {
            self.narrator.say(format!("         {}", clean(line, true)).trim_end())?;
        }
        Ok(ended)
    }

    fn run(&self, args: &[&str]) -> Result<Ended, Failure> {
        self.interrupt.check()?;
        let mut command = Command::new(self.place.heph());
        without_settings(&mut command);
        command.args(args).current_dir(self.place.root()).env("HEPH_SOCKET", format!("{}/heph.sock", self.name));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Failure::file("run", self.place.heph()))?;
        let out = child.stdout.take().map(read_all);
        let err = child.stderr.take().map(read_all);
        let until = Instant::now() + ENDED_WITHIN;
        let status = loop {
            if let Some(status) = child.try_wait().map_err(Failure::file("wait for", self.place.heph()))? {
                break status;
            }
            if let Err(failure) = self.interrupt.check().and_then(|()| in_time(until, args)) {
                // Fails only where it has ended by now.
                drop(child.kill());
                drop(child.wait());
                return Err(failure);
            }
            thread::sleep(LOOK_UP);
        };
        self.interrupt.check()?;
        Ok(Ended { ok: status.success(), out: joined(out), err: joined(err) })
    }

    fn failed(&self, args: &[&str], ended: &Ended) -> Failure {
        let said = format!("{}{}", ended.err, ended.out);
        let command = format!("heph {}", args.join(" "));
        let hint = "look at the logs: heph demo --dir DIR keeps everything in DIR";
        Failure::here_with_hint("demo", format!("on the {}, `{command}` failed: {}", self.name, said.trim()), hint)
    }
}

/// Returns what stands before a command, as wide for every machine.
pub fn prompt(machine: &str) -> String {
    format!("{:<9}", format!("{machine}$"))
}

fn in_time(until: Instant, args: &[&str]) -> Result<(), Failure> {
    match Instant::now() < until {
        true => Ok(()),
        false => Err(Failure::here("demo", format!("`heph {}` did not end in time", args.join(" ")))),
    }
}

fn read_all(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What was read before an error is what there is to show.
        drop(from.read_to_end(&mut bytes));
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn joined(reader: Option<JoinHandle<String>>) -> String {
    reader.and_then(|reader| reader.join().ok()).unwrap_or_default()
}

/// Returns a word as it has to be typed.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=@".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("\"{word}\""),
    }
}
