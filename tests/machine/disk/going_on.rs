//! What is going on while a fault happens: the states of the protocol in which something is written durably.

use std::fmt::{self, Display};
use std::fs::{self, File};
use std::path::PathBuf;
use std::thread;

use heph_api::ClientError;
use heph_api::types::{AppendDoc, Backup, CreateDoc, CreateTask, SyncNow};
use heph_tests::Device;
use rustix::process::{Pid, Signal, kill_process};

use super::acknowledged::{Acknowledged, Told, heph_finds_it_sound, sqlite_finds_it_sound};
use super::numbers::Numbers;
use super::stage::{Stage, Victim};
use super::tracer;

/// A state of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GoingOn {
    /// A daemon makes its files.
    FirstStart,
    /// Several surfaces write at once.
    Write,
    /// A fresh device takes in all that the hub has.
    FirstPull,
    /// A device takes in what is new, and stores its cursor with it.
    Pull,
    /// The hub takes in what devices send.
    Push,
    /// A device that has data meets the hub for the first time.
    Hello,
    /// A backup is made.
    Backup,
    /// The log of writes goes into the database.
    Checkpoint,
    /// A daemon stops.
    Close,
    /// A daemon starts after it was killed.
    Recovery,
}

/// How many things a surface writes.
const WRITES: u64 = 5;
/// The texts of a checkpoint: together more than the log of writes may hold.
const LARGE: usize = 110_000;

/// What went wrong, as people were told: code and sentence.
pub type Complaints = Vec<(String, String)>;

impl Display for GoingOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstStart => "first start",
            Self::Write => "local write",
            Self::FirstPull => "first pull",
            Self::Pull => "pull with cursor",
            Self::Push => "push at the hub",
            Self::Hello => "hello and pin",
            Self::Backup => "backup",
            Self::Checkpoint => "checkpoint",
            Self::Close => "stop",
            Self::Recovery => "start after a kill",
        })
    }
}

impl GoingOn {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Write,
        Self::Push,
        Self::FirstPull,
        Self::Hello,
        Self::Pull,
        Self::Checkpoint,
        Self::FirstStart,
        Self::Backup,
        Self::Close,
        Self::Recovery,
    ];

    /// To whom the fault happens.
    pub fn victim(self, numbers: &mut Numbers) -> Victim {
        match self {
            Self::Push => Victim::Hub,
            Self::FirstStart | Self::Close | Self::Recovery if numbers.coin() => Victim::Hub,
            _ => Victim::Device,
        }
    }

    /// Whether the fault has to lie in wait from the start of the daemon on.
    pub fn is_a_start(self) -> bool {
        matches!(self, Self::FirstStart | Self::Recovery)
    }

    /// About how often a thread syncs meanwhile.
    pub fn syncs(self) -> u64 {
        match self {
            Self::FirstStart => 10,
            Self::Write => 8,
            Self::FirstPull | Self::Pull | Self::Push => 5,
            Self::Hello => 4,
            Self::Backup | Self::Close => 2,
            Self::Checkpoint => 14,
            Self::Recovery => 3,
        }
    }

    /// About how long it takes, in microseconds.
    pub fn takes_us(self) -> u64 {
        match self {
            Self::FirstStart | Self::Close | Self::Recovery => 15_000,
            Self::Write | Self::Backup | Self::Hello => 50_000,
            Self::FirstPull | Self::Pull | Self::Push | Self::Checkpoint => 150_000,
        }
    }

    /// Whether it is the database itself, not its log of writes, whose syncs matter.
    pub fn is_about_the_database(self) -> bool {
        self == Self::Checkpoint
    }

    /// Brings everybody to the point where it begins.
    pub fn prepare(self, stage: &mut Stage, victim: Victim, numbers: &mut Numbers) {
        match self {
            Self::FirstStart => {
                stop(stage, victim);
                stage.wipe(victim);
            }
            Self::FirstPull | Self::Hello => {
                stage.device.stop();
                stage.wipe(Victim::Device);
                if self == Self::Hello {
                    stage.device.know(None);
                    stage.device.start();
                    write(stage, numbers);
                    stage.device.stop();
                }
                stage.between.lead_nowhere();
                stage.device.know_url(Some(&stage.between.url()));
                stage.device.start();
            }
            Self::Backup => {
                let dir = stage.device.dir().join("backups");
                fs::create_dir_all(&dir).unwrap();
                for made in [dir.as_path(), stage.device.dir()] {
                    File::open(made).unwrap().sync_all().unwrap();
                }
            }
            Self::Close | Self::Recovery => {
                match victim {
                    Victim::Device => drop(write(stage, numbers)),
                    Victim::Hub => drop(push(stage, numbers)),
                }
                if self == Self::Recovery {
                    stage.kill(victim);
                }
            }
            Self::Write | Self::Pull | Self::Push | Self::Checkpoint => {}
        }
    }

    /// Does it. Whatever fails is told, and what is acknowledged is remembered.
    pub fn go_on(self, stage: &mut Stage, victim: Victim, numbers: &mut Numbers) -> Complaints {
        match self {
            Self::FirstStart | Self::Recovery => match stage.try_start(victim) {
                Ok(()) => Vec::new(),
                Err(ended) => vec![("start".to_owned(), ended.stderr)],
            },
            Self::Write => write(stage, numbers),
            Self::Push => push(stage, numbers),
            Self::FirstPull | Self::Hello => {
                stage.between.lead_to(&stage.hub.url());
                exchange(&stage.device, &stage.by_device, &stage.by_anybody)
            }
            Self::Pull => pull(stage, numbers),
            Self::Backup => backup(stage),
            Self::Checkpoint => large_writes(stage, numbers),
            Self::Close => {
                let pid = Pid::from_raw(stage.pid(victim).cast_signed()).expect("it runs");
                kill_process(pid, Signal::TERM).unwrap();
                let ended = || tracer::is_gone(stage.pid(victim)).then_some(());
                heph_tests::wait::until("a daemon's end", ended);
                Vec::new()
            }
        }
    }
}

fn stop(stage: &Stage, victim: Victim) {
    match victim {
        Victim::Device => stage.device.stop(),
        Victim::Hub => stage.hub.stop(),
    }
}

fn complaint(error: &ClientError) -> (String, String) {
    let told = error.to_api_error();
    (told.code, format!("{} ({})", told.message, told.hint.unwrap_or_default()))
}

/// Three surfaces write on the device at once.
fn write(stage: &mut Stage, numbers: &mut Numbers) -> Complaints {
    let plans: Vec<Vec<(String, String)>> =
        (0..3).map(|_| (0..WRITES).map(|_| (stage.title(), numbers.letters(400))).collect()).collect();
    let (device, told) = (&stage.device, &stage.by_device);
    thread::scope(|scope| {
        let [tasks, docs, entries] = &plans[..] else { unreachable!("there are three plans") };
        let writers = [
            scope.spawn(move || each(tasks, |title, _| task(device, told, title))),
            scope.spawn(move || each(docs, |title, text| doc(device, told, title, text))),
            scope.spawn(move || each(entries, |title, text| appended(device, told, title, text))),
        ];
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

fn each(plan: &[(String, String)], write: impl Fn(&str, &str) -> Result<(), ClientError>) -> Complaints {
    plan.iter().filter_map(|(title, text)| write(title, text).err().map(|error| complaint(&error))).collect()
}

/// Makes a task.
pub fn task(device: &Device, told: &Acknowledged, title: &str) -> Result<(), ClientError> {
    device.try_call(&CreateTask { title: title.into(), ..CreateTask::default() })?;
    told.add(Told::task(title));
    Ok(())
}

/// Makes a doc.
pub fn doc(device: &Device, told: &Acknowledged, title: &str, text: &str) -> Result<(), ClientError> {
    let call = CreateDoc { title: title.into(), body: Some(text.into()), ..CreateDoc::default() };
    device.try_call(&call)?;
    told.add(Told::doc(title, text));
    Ok(())
}

/// Makes a doc, and appends to it.
fn appended(device: &Device, told: &Acknowledged, title: &str, text: &str) -> Result<(), ClientError> {
    let call = CreateDoc { title: title.into(), body: Some("first".into()), ..CreateDoc::default() };
    let id = device.try_call(&call)?.node.node_id;
    told.add(Told::doc(title, "first"));
    device.try_call(&AppendDoc { id, text: text.trim().into() })?;
    told.add(Told::doc(title, text.trim()));
    Ok(())
}

fn large_writes(stage: &mut Stage, numbers: &mut Numbers) -> Complaints {
    let plans: Vec<Vec<(String, String)>> =
        (0..2).map(|_| (0..7).map(|_| (stage.title(), numbers.letters(LARGE))).collect()).collect();
    let (device, told) = (&stage.device, &stage.by_device);
    thread::scope(|scope| {
        let writers: Vec<_> = plans
            .iter()
            .map(|plan| scope.spawn(move || each(plan, |title, text| doc(device, told, title, text))))
            .collect();
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect()
    })
}

/// Exchanges; a device that is in step afterwards has acknowledged what everybody has.
fn exchange(device: &Device, told: &Acknowledged, all: &Acknowledged) -> Complaints {
    match device.try_call(&SyncNow { wait: true }) {
        Ok(status) => {
            if status.state.is_in_step() {
                told.add_all(all);
            }
            status.last_error.map(|error| (error.code, status.words)).into_iter().collect()
        }
        Err(error) => vec![complaint(&error)],
    }
}

/// The witness writes a lot, which the device takes in as it comes.
fn pull(stage: &mut Stage, numbers: &mut Numbers) -> Complaints {
    for _ in 0..4 {
        let (title, text) = (stage.title(), numbers.letters(90_000));
        stage.witness.doc(&title, &text);
        stage.by_anybody.add(Told::doc(&title, &text));
        stage.witness.exchange();
    }
    exchange(&stage.device, &stage.by_device, &stage.by_anybody)
}

/// Both devices write and send at once. A device that is in step has been told by the hub that it has everything.
fn push(stage: &mut Stage, numbers: &mut Numbers) -> Complaints {
    let plans: Vec<Vec<(String, String)>> =
        (0..2).map(|_| (0..3).map(|_| (stage.title(), numbers.letters(60_000))).collect()).collect();
    let by_hub = &stage.by_hub;
    let complaints = thread::scope(|scope| {
        let devices = [&stage.device, &stage.witness];
        let senders: Vec<_> = devices
            .into_iter()
            .zip(&plans)
            .map(|(device, plan)| {
                scope.spawn(move || {
                    let mut complaints = Vec::new();
                    for (title, text) in plan {
                        let own = Acknowledged::default();
                        // Nothing happens to the devices here.
                        doc(device, &own, title, text).unwrap();
                        complaints.extend(exchange(device, by_hub, &own));
                    }
                    complaints
                })
            })
            .collect();
        senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect()
    });
    for (title, text) in plans.iter().flatten() {
        stage.by_anybody.add(Told::doc(title, text));
    }
    complaints
}

/// A backup that was asked for.
#[derive(Debug)]
pub struct Asked {
    file: PathBuf,
    acknowledged: bool,
    holds: Acknowledged,
}

/// Makes a backup of what has been acknowledged by now.
fn backup(stage: &mut Stage) -> Complaints {
    let file = stage.device.dir().join("backups").join(stage.title().replace(' ', "-"));
    let holds = Acknowledged::default();
    holds.add_all(&stage.by_device);
    let answer = stage.device.try_call(&Backup { file: file.clone().into() });
    stage.backups.push(Asked { file, acknowledged: answer.is_ok(), holds });
    answer.err().iter().map(complaint).collect()
}

/// A backup that was acknowledged is there and whole; one that was not is whole, or not there.
pub fn check_backups(stage: &mut Stage, what: &str) {
    for Asked { file, acknowledged, holds } in std::mem::take(&mut stage.backups) {
        assert!(file.exists() || !acknowledged, "{what}: {} is gone", file.display());
        if file.exists() {
            sqlite_finds_it_sound(&file, what);
            heph_finds_it_sound(&file, what);
            holds.is_in(&file, what);
        }
    }
}
