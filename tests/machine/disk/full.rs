//! Disks and inode tables that fill up, and are made room on; disks that the system makes read-only. A sentence says
//! what to do, and everything goes on by itself from there.

use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use heph_api::types::{Backup, Verify, code};
use heph_tests::wait::until;
use heph_tests::{Device, World};

use super::acknowledged::{Acknowledged, Told, heph_finds_it_sound, sqlite_finds_it_sound};
use super::alone;
use super::going_on::{doc, task};
use super::mount::{Ext4, Mount};
use super::numbers::{Numbers, seed};

/// A small disk that can grow.
const SMALL: &str = "size=5m";
const LARGE: &str = "size=96m";

/// The directory of this name in the world, on a tmpfs.
fn on_tmpfs(world: &World, name: &str, options: &str) -> Mount {
    Mount::tmpfs(&world.root().join(name), options)
}

/// Writes docs until the disk is full.
fn fill(device: &Device, told: &Acknowledged, prefix: &str) {
    let mut numbers = Numbers::of_round(seed(), prefix.len());
    for n in 0..200 {
        let (title, text) = (format!("{prefix} {n}"), numbers.letters(60_000));
        if let Err(error) = doc(device, told, &title, &text) {
            let error = error.to_api_error();
            assert_eq!(error.code, code::DISK_FULL, "{error:?}");
            return;
        }
    }
    panic!("the disk is not full");
}

/// What a device holds is sound, and everything that was acknowledged.
fn all_there(device: &Device, told: &Acknowledged, what: &str) {
    device.verify();
    sqlite_finds_it_sound(&device.db_path(), what);
    told.is_in(&device.db_path(), what);
}

#[test]
fn a_full_disk_is_told_and_writing_goes_on_once_there_is_room() {
    alone(a_full_disk_is_told_and_writing_goes_on_once_there_is_room, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let disk = on_tmpfs(&world, "laptop", SMALL);
        let laptop = world.stopped_device("laptop");
        laptop.log_to(world.root().join("laptop.log"));
        laptop.start();
        fill(&laptop, &told, "one");
        let said = laptop.heph(&["doc", "new", "too", "much", "--body", &"x".repeat(100_000)]).exits(1);
        assert!(said.stderr.contains("full") && said.stderr.contains("make room"), "{}", said.stderr);
        told.is_in(&laptop.db_path(), "full");
        assert!(laptop.heph(&["doc", "list"]).ok().text().contains("one 0"), "reading needs no room");

        disk.remount(LARGE);
        task(&laptop, &told, "there is room again").unwrap();
        all_there(&laptop, &told, "with room");
        laptop.kill9();
        laptop.start();
        all_there(&laptop, &told, "started again");
    });
}

#[test]
fn a_daemon_on_a_full_disk_says_so_or_starts_and_loses_nothing() {
    alone(a_daemon_on_a_full_disk_says_so_or_starts_and_loses_nothing, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let disk = on_tmpfs(&world, "laptop", SMALL);
        let laptop = world.stopped_device("laptop");
        laptop.log_to(world.root().join("laptop.log"));
        laptop.start();
        fill(&laptop, &told, "one");
        for end in [Device::kill9, Device::stop] {
            end(&laptop);
            fs::write(disk.at().join("ballast"), vec![0; 6 << 20]).expect_err("it is full");
            if let Err(ended) = laptop.try_start() {
                assert!(ended.code == Some(1) && ended.stderr.contains("hephd: "), "{ended:?}");
                assert!(ended.stderr.contains("full"), "it says why: {}", ended.stderr);
                fs::remove_file(disk.at().join("ballast")).unwrap();
                laptop.start();
            }
            told.is_in(&laptop.db_path(), "started on a full disk");
            drop(fs::remove_file(disk.at().join("ballast")));
        }
        disk.remount(LARGE);
        task(&laptop, &told, "there is room again").unwrap();
        all_there(&laptop, &told, "with room");
    });
}

#[test]
fn a_full_hub_says_so_and_devices_go_on_and_send_the_rest_by_themselves() {
    alone(a_full_hub_says_so_and_devices_go_on_and_send_the_rest_by_themselves, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let disk = on_tmpfs(&world, "hub", SMALL);
        let (hub, laptop) = (world.hub(), world.device("laptop"));
        let mut numbers = Numbers::of_round(seed(), 1);
        let refused = (0..200).find_map(|n| {
            doc(&laptop, &told, &format!("large {n}"), &numbers.letters(60_000)).unwrap();
            let status = laptop.exchange();
            (!status.state.is_in_step()).then_some(status)
        });
        let refused = refused.expect("the hub's disk fills up");
        assert!(refused.words.contains("full"), "{refused:?}");
        assert!(refused.next.is_some() || refused.last_error.is_some_and(|error| error.hint.is_some()));
        task(&laptop, &told, "written meanwhile").unwrap();

        disk.remount(LARGE);
        until("a device that sends the rest by itself", || laptop.status().state.is_in_step().then_some(()));
        let phone = world.device("phone");
        assert_eq!(world.converge(), laptop.digest());
        all_there(&phone, &told, "the phone");
        heph_finds_it_sound(&hub.db_path(), "the hub");
    });
}

#[test]
fn a_first_sync_onto_a_full_disk_goes_on_once_there_is_room() {
    alone(a_first_sync_onto_a_full_disk_goes_on_once_there_is_room, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let laptop = world.device("laptop");
        let mut numbers = Numbers::of_round(seed(), 2);
        (0..60).for_each(|n| doc(&laptop, &told, &format!("large {n}"), &numbers.letters(60_000)).unwrap());
        laptop.sync();
        let disk = on_tmpfs(&world, "phone", SMALL);
        let phone = world.stopped_device("phone");
        phone.log_to(world.root().join("phone.log"));
        phone.know(Some(&world.hub()));
        phone.start();
        let full = until("a full disk that is told", || {
            let status = phone.status();
            status.last_error.clone().map(|error| (status, error))
        });
        assert!(full.0.words.contains("full") || full.1.message.contains("full"), "{full:?}");
        assert_eq!(full.1.code, code::DISK_FULL, "{full:?}");

        disk.remount(LARGE);
        until("a device that goes on by itself", || phone.status().state.is_in_step().then_some(()));
        all_there(&phone, &told, "the phone");
        assert_eq!(phone.digest(), laptop.digest());
    });
}

/// Makes empty files until there is no inode left, but `spare`; returns them.
fn use_up_inodes(mount: &Mount, spare: usize) -> Vec<PathBuf> {
    let mut made = Vec::new();
    loop {
        let path = mount.at().join(format!("inode-{}", made.len()));
        if File::create_new(&path).is_err() {
            break;
        }
        made.push(path);
    }
    made.drain(..spare).for_each(|path| fs::remove_file(path).unwrap());
    made
}

#[test]
fn without_inodes_a_daemon_says_so_and_starts_once_there_are_some() {
    alone(without_inodes_a_daemon_says_so_and_starts_once_there_are_some, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let disk = on_tmpfs(&world, "laptop", "size=64m,nr_inodes=32");
        let laptop = world.stopped_device("laptop");
        laptop.log_to(world.root().join("laptop.log"));
        for spare in 0..6 {
            let used = use_up_inodes(&disk, spare);
            match laptop.try_start() {
                Ok(()) => laptop.stop(),
                Err(ended) => {
                    assert!(ended.code == Some(1) && ended.stderr.contains("hephd: "), "{spare}: {ended:?}");
                    assert!(!ended.stderr.contains("panicked"), "{spare}: {ended:?}");
                }
            }
            used.iter().for_each(|path| fs::remove_file(path).unwrap());
        }
        laptop.start();
        task(&laptop, &told, "there are inodes").unwrap();
        all_there(&laptop, &told, "with inodes");
    });
}

#[test]
fn inodes_that_run_out_keep_nobody_from_writing_and_are_told_by_what_needs_one() {
    alone(inodes_that_run_out_keep_nobody_from_writing_and_are_told_by_what_needs_one, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let disk = on_tmpfs(&world, "laptop", "size=64m,nr_inodes=32");
        let laptop = world.stopped_device("laptop");
        laptop.log_to(world.root().join("laptop.log"));
        laptop.start();
        task(&laptop, &told, "before").unwrap();
        let used = use_up_inodes(&disk, 0);
        (0..20).for_each(|n| task(&laptop, &told, &format!("meanwhile {n}")).unwrap());
        let backup = Backup { file: laptop.dir().join("backup.db").into() };
        let told_of_backup = laptop.try_call(&backup).unwrap_err().to_api_error();
        assert_eq!(told_of_backup.code, code::DISK_FULL, "{told_of_backup:?}");
        let told_of_verify = laptop.try_call(&Verify {}).unwrap_err().to_api_error();
        assert!(told_of_verify.message.len() > 20, "{told_of_verify:?}");
        laptop.kill9();
        if let Err(ended) = laptop.try_start() {
            assert!(ended.code == Some(1) && ended.stderr.contains("hephd: "), "{ended:?}");
        }
        used.iter().for_each(|path| fs::remove_file(path).unwrap());
        if !laptop.is_running() {
            laptop.start();
        }
        laptop.call(&backup);
        all_there(&laptop, &told, "with inodes again");
        told.is_in(&laptop.dir().join("backup.db"), "the backup");
    });
}

/// A device on an ext4 of its own.
fn on_ext4(world: &World, images: &Mount, name: &str) -> (Arc<Device>, Ext4) {
    let disk = Ext4::make(&images.at().join(name), &world.root().join(name), 64);
    let device = world.stopped_device(name);
    device.log_to(world.root().join(format!("{name}.log")));
    (device, disk)
}

#[test]
fn a_disk_that_becomes_read_only_takes_nothing_that_was_acknowledged() {
    alone(a_disk_that_becomes_read_only_takes_nothing_that_was_acknowledged, || {
        let (world, told) = (World::new(), Acknowledged::default());
        let images = Mount::tmpfs(&world.root().join("images"), "size=128m");
        let (laptop, mut disk) = on_ext4(&world, &images, "laptop");
        laptop.know(Some(&world.hub()));
        laptop.start();
        let phone = world.device("phone");
        (0..10).for_each(|n| task(&laptop, &told, &format!("before {n}")).unwrap());
        laptop.sync();
        // What the system does by itself when a disk with this option (most have it) becomes doubtful.
        disk.mount().remount("errors=remount-ro,abort");
        for n in 0..10 {
            let error = task(&laptop, &told, &format!("meanwhile {n}")).unwrap_err().to_api_error();
            assert!(error.message.len() > 20 && error.hint.is_some(), "{error:?}");
        }
        phone.task("from elsewhere");
        told.add(Told::task("from elsewhere"));
        phone.sync();
        if laptop.is_running() {
            laptop.kill9();
        }
        let ended = laptop.try_start().unwrap_err();
        assert!(ended.code == Some(1) && ended.stderr.contains("ead-only"), "{ended:?}");
        disk.start_again();
        laptop.start();
        world.converge();
        all_there(&laptop, &told, "the laptop");
        all_there(&phone, &told, "the phone");
    });
}
