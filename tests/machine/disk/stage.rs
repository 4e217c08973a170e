//! A hub and two devices of which the hub and one device stand on disks of their own, and are what faults happen to;
//! the other device is there to see whether anything got lost.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heph_tests::between::Between;
use heph_tests::{Device, Ended, Hub, World};

use super::acknowledged::{
    Acknowledged, Left, Told, cursor_covers_only_what_is_here, heph_finds_it_sound, sqlite_finds_it_sound,
};
use super::going_on::Asked;
use super::mount::{Ext4, Mount};
use super::numbers::Numbers;

/// The size of a disk, in MiB.
const DISK_MIB: u64 = 128;

/// What the hub and the first device stand on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// A disk each, which can lose power.
    Ext4,
    /// Directories as anybody has.
    Directory,
}

/// Whom something happens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    /// The first device.
    Device,
    /// The hub.
    Hub,
}

/// The stage. Processes end first, then the disks go.
pub struct Stage {
    /// The hub.
    pub hub: Arc<Hub>,
    /// The device that things happen to.
    pub device: Arc<Device>,
    /// The device that nothing happens to.
    pub witness: Arc<Device>,
    /// What the hub acknowledged.
    pub by_hub: Acknowledged,
    /// What the device acknowledged.
    pub by_device: Acknowledged,
    /// What anybody acknowledged.
    pub by_anybody: Acknowledged,
    /// What a device may have in front of the hub.
    pub between: Between,
    /// The world.
    pub world: World,
    /// Backups of the device that were asked for and not looked at yet.
    pub backups: Vec<Asked>,
    /// The most memory that a victim was seen to have held, in MiB.
    pub peak_mib: u64,
    device_disk: Option<Ext4>,
    hub_disk: Option<Ext4>,
    _images: Mount,
    _ground: tempfile::TempDir,
    titles: u64,
}

impl Stage {
    /// Sets the stage: everybody runs, holds a few texts, and is in step.
    pub fn new(on: Ground, numbers: &mut Numbers) -> Self {
        let (world, ground) = (World::new(), tempfile::tempdir().unwrap());
        let images = Mount::tmpfs(&ground.path().join("images"), "size=300m");
        let disk = |name: &str| {
            let at = ground.path().join(name);
            std::os::unix::fs::symlink(&at, world.root().join(name)).unwrap();
            fs::create_dir(&at).unwrap();
            (on == Ground::Ext4).then(|| Ext4::make(&images.at().join(name), &at, DISK_MIB))
        };
        let (hub_disk, device_disk) = (disk("hub"), disk("device"));
        let (hub, log) = (world.hub(), world.root().join("hub.log"));
        hub.stop();
        hub.log_to(log);
        hub.start();
        let (device, witness, between) = (world.stopped_device("device"), world.device("witness"), Between::start());
        device.log_to(world.root().join("device.log"));
        device.know(Some(&hub));
        device.start();
        let mut stage = Self {
            hub,
            device,
            witness,
            by_hub: Acknowledged::default(),
            by_device: Acknowledged::default(),
            by_anybody: Acknowledged::default(),
            between,
            world,
            backups: Vec::new(),
            peak_mib: 0,
            device_disk,
            hub_disk,
            _images: images,
            _ground: ground,
            titles: 0,
        };
        for _ in 0..5 {
            let (title, text) = (stage.title(), numbers.letters(120_000));
            stage.witness.doc(&title, &text);
            stage.by_anybody.add(Told::doc(&title, &text));
        }
        stage.all_in_step("at the start");
        stage
    }

    /// A title that nothing has yet.
    pub fn title(&mut self) -> String {
        self.titles += 1;
        format!("number {}", self.titles)
    }

    /// The directory of a victim.
    pub fn dir(&self, victim: Victim) -> &Path {
        match victim {
            Victim::Device => self.device.dir(),
            Victim::Hub => self.hub.dir(),
        }
    }

    /// The database of a victim.
    pub fn db(&self, victim: Victim) -> PathBuf {
        self.dir(victim).join("heph.db")
    }

    /// Where the tracer of a victim writes.
    pub fn trace(&self) -> PathBuf {
        self.world.root().join("trace")
    }

    /// The process id of a victim that runs.
    pub fn pid(&self, victim: Victim) -> u32 {
        match victim {
            Victim::Device => self.device.pid(),
            Victim::Hub => self.hub.pid(),
        }
    }

    /// The same, if it runs.
    pub fn running_pid(&self, victim: Victim) -> Option<u32> {
        let runs = match victim {
            Victim::Device => self.device.is_running(),
            Victim::Hub => self.hub.is_running(),
        };
        runs.then(|| self.pid(victim))
    }

    /// Runs a victim under another program from its next start on.
    pub fn run_under(&self, victim: Victim, words: &[String]) {
        match victim {
            Victim::Device => self.device.run_under(words),
            Victim::Hub => self.hub.run_under(words),
        }
    }

    /// Starts a victim, unless something keeps it from starting.
    pub fn try_start(&self, victim: Victim) -> Result<(), Ended> {
        match victim {
            Victim::Device => self.device.try_start(),
            Victim::Hub => self.hub.try_start(),
        }
    }

    /// Kills a victim, if it lives.
    pub fn kill(&self, victim: Victim) {
        match victim {
            Victim::Device if self.device.is_running() => self.device.kill9(),
            Victim::Hub if self.hub.is_running() => self.hub.kill9(),
            _ => {}
        }
    }

    /// The disk of a victim.
    pub fn disk(&mut self, victim: Victim) -> &mut Ext4 {
        let disk = match victim {
            Victim::Device => &mut self.device_disk,
            Victim::Hub => &mut self.hub_disk,
        };
        disk.as_mut().expect("it stands on a disk of its own")
    }

    /// Takes everything from a victim, which does not run, for good; a hub keeps its key.
    pub fn wipe(&self, victim: Victim) {
        let dir = self.dir(victim);
        for entry in fs::read_dir(dir).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_file() && entry.file_name() != "hub.key" {
                fs::remove_file(entry.path()).unwrap();
            }
        }
        fs::File::open(dir).unwrap().sync_all().unwrap();
        match victim {
            Victim::Device => self.by_device.forget(),
            Victim::Hub => self.by_hub.forget(),
        }
    }

    /// What a victim that does not run left behind is sound, and holds what it acknowledged.
    #[track_caller]
    pub fn check_what_is_left(&self, victim: Victim, what: &str) {
        let told = if victim == Victim::Hub { &self.by_hub } else { &self.by_device };
        let left = Left::behind_by(self.dir(victim), what);
        if told.is_empty() {
            return; // It may have been cut off while its tables were made.
        }
        let left = left.unwrap_or_else(|| panic!("{what}: there is no database left"));
        told.is_in(&left.db(), what);
        let (device, hub) = match victim {
            Victim::Device => (left.db(), self.hub.db_path()),
            Victim::Hub => (self.witness.db_path(), left.db()),
        };
        cursor_covers_only_what_is_here(&device, &hub, what);
    }

    /// Everybody gets in step, without any help, and then holds everything that anybody acknowledged.
    #[track_caller]
    pub fn all_in_step(&self, what: &str) {
        self.world.converge();
        self.by_anybody.add_all(&self.by_device);
        self.by_anybody.add_all(&self.by_hub);
        let all = [self.hub.db_path(), self.device.db_path(), self.witness.db_path()];
        all.iter().for_each(|db| self.by_anybody.is_in(db, what));
        for acknowledged in [&self.by_device, &self.by_hub] {
            acknowledged.add_all(&self.by_anybody);
        }
    }

    /// Both programs that can tell find a victim's files sound.
    #[track_caller]
    pub fn check_files(&self, victim: Victim, what: &str) {
        sqlite_finds_it_sound(&self.db(victim), what);
        heph_finds_it_sound(&self.db(victim), what);
    }
}
