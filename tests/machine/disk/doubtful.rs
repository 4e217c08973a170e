//! Disks that really fail to take what is synced: a thin one, whose own storage has run out. The system then takes the
//! pages for written and goes on showing them, and what is synced on top of them later need not be there either once the
//! power goes. So the daemon that was told ends, and the next one looks at the disk itself.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use heph_api::types::Verify;
use heph_tests::wait::until;
use heph_tests::{Device, World};

use super::acknowledged::{Acknowledged, Left};
use super::alone;
use super::going_on::{doc, task};
use super::mount::{Ext4, Mount};
use super::numbers::{Numbers, seed};
use super::tracer::is_gone;

/// How many rounds: each fails at another place of a page.
const ROUNDS: usize = 3;

/// A device on a thin disk.
struct Thin {
    device: Arc<Device>,
    told: Acknowledged,
    _world: World,
    disk: Ext4,
    storage: Mount,
    _ground: tempfile::TempDir,
}

impl Thin {
    fn new() -> Self {
        let (world, ground) = (World::new(), tempfile::tempdir().unwrap());
        let storage = Mount::tmpfs(&ground.path().join("storage"), "size=48m");
        let at = ground.path().join("disk");
        // Without a journal, which would take the whole file system down with the first block that fails.
        let options = ["-b", "4096", "-O", "^has_journal", "-E", "lazy_itable_init=0,nodiscard"];
        let disk = Ext4::make_with(&storage.at().join("image"), &at, 64, &options);
        disk.write_block_by_block();
        std::os::unix::fs::symlink(&at, world.root().join("thin")).unwrap();
        let device = world.stopped_device("thin");
        device.log_to(world.root().join("thin.log"));
        device.start();
        Self { device, told: Acknowledged::default(), _world: world, disk, storage, _ground: ground }
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.storage.at().join("ballast")
    }

    /// Uses up what is left of the storage.
    fn run_out(&self) {
        sync(self.device.dir());
        let (mut file, zeros) = (File::create(self.ballast()).unwrap(), vec![0; 64 << 10]);
        while file.write_all(&zeros).is_ok() {}
        while file.write_all(&[0]).is_ok() {}
    }

    /// Makes a few tasks, which have to be taken.
    fn tasks(&self, prefix: &str) {
        (0..3).for_each(|n| task(&self.device, &self.told, &format!("{prefix} {n}")).unwrap());
    }

    /// Writes until a write fails, and returns how that was told.
    fn write_until_it_fails(&self, prefix: &str, numbers: &mut Numbers) -> heph_api::ApiError {
        for n in 0..100 {
            let text = numbers.letters(50_000);
            if let Err(error) = doc(&self.device, &self.told, &format!("{prefix} {n}"), &text) {
                return error.to_api_error();
            }
        }
        panic!("the storage has not run out");
    }

    fn check_after_power_cut(&mut self, what: &str) {
        self.device.kill9();
        self.disk.lose_power();
        self.disk.start_again();
        self.disk.write_block_by_block();
        let left = Left::behind_by(self.device.dir(), what).expect("there is a database");
        self.told.is_in(&left.db(), what);
        self.device.start();
        let report = self.device.call(&Verify {});
        assert!(report.ok, "{what}: {report:?}");
    }
}

fn sync(dir: &Path) {
    assert!(Command::new("sync").arg("-f").arg(dir).status().unwrap().success());
}

/// How the daemon ends whose write could not be synced.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// By itself, saying why.
    ByItself,
    /// It is killed before it can do anything.
    Killed,
}

/// Goes on after something could not be synced, and cuts the power: what was acknowledged before and after is there.
fn acknowledges_nothing_on_top_of_it(end: End) {
    let (seed, mut thin) = (seed(), Thin::new());
    println!("HEPH_TEST_SEED={seed}");
    for round in 0..ROUNDS {
        let mut numbers = Numbers::of_round(seed, round);
        let what = format!("HEPH_TEST_SEED={seed}, round {round}");
        thin.tasks(&format!("before {round}"));
        thin.run_out();
        let told = thin.write_until_it_fails(&format!("much {round}"), &mut numbers);
        // The daemon may have ended before its answer was read.
        let plain = told.message.contains("database failed") || told.code == "interrupted";
        assert!(plain && told.hint.is_some(), "{told:?}");
        fs::remove_file(thin.ballast()).unwrap();
        if end == End::ByItself {
            let pid = thin.device.pid();
            until("a daemon that ends by itself", || is_gone(pid).then_some(()));
            let said = thin.device.stderr();
            assert!(said.contains("the disk failed to take a write") && said.contains("start it again"), "{said}");
        }
        thin.device.kill9();
        thin.device.start(); // As whoever keeps it running does.
        thin.tasks(&format!("after {round}"));
        thin.check_after_power_cut(&what);
    }
}

#[test]
fn a_daemon_whose_write_cannot_be_synced_ends_and_goes_on_from_what_is_on_the_disk() {
    alone(a_daemon_whose_write_cannot_be_synced_ends_and_goes_on_from_what_is_on_the_disk, || {
        acknowledges_nothing_on_top_of_it(End::ByItself);
    });
}

#[test]
fn what_could_not_be_synced_carries_nothing_that_is_acknowledged_after_a_restart() {
    alone(what_could_not_be_synced_carries_nothing_that_is_acknowledged_after_a_restart, || {
        acknowledges_nothing_on_top_of_it(End::Killed);
    });
}
