//! Names of files: those that real files stand for, and those that were not synced.

use crate::workload::{Place, WAL, open};
use heph_sim::disk::{Disk, Fault};
use std::fs;
use std::path::{Path, PathBuf};

fn names(disk: &Disk) -> Vec<PathBuf> {
    disk.files().into_iter().map(|(path, _)| path).collect()
}

/// A database behind an empty real file, as the store makes one.
fn make(path: &Path, rows: i64) {
    fs::OpenOptions::new().write(true).create(true).truncate(false).open(path).unwrap();
    let db = open(path, WAL).unwrap();
    db.execute_batch("CREATE TABLE IF NOT EXISTS t (x)").unwrap();
    for i in 0..rows {
        db.execute("INSERT INTO t VALUES (?1)", [i]).unwrap();
    }
}

fn rows(path: &Path) -> i64 {
    open(path, WAL).unwrap().query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap()
}

#[test]
fn a_file_follows_the_real_one_that_stands_for_it() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = |name: &str| disk.root().join(name);
    make(&path("a"), 1);
    make(&path("b"), 2);
    make(&path("c"), 3);
    make(&path("a"), 1);
    assert_eq!(rows(&path("a")), 2);
    fs::rename(path("a"), path("z")).unwrap();
    fs::remove_file(path("b")).unwrap();
    fs::rename(path("c"), path("b")).unwrap();
    assert_eq!(rows(&path("b")), 3);
    assert_eq!(rows(&path("z")), 2);
    assert_eq!(names(&disk), [Path::new("b"), Path::new("z")]);
    // One that was removed and made again is another.
    fs::remove_file(path("b")).unwrap();
    make(&path("b"), 5);
    assert_eq!(rows(&path("b")), 5);
    // What happened to names in this way is durable, as the files are.
    let next = disk.power_loss(&place.root(), 1);
    assert_eq!(rows(&next.root().join("z")), 2);
    assert_eq!(rows(&next.root().join("b")), 5);
    assert_eq!(names(&next), [Path::new("b"), Path::new("z")]);
}

#[test]
fn what_is_put_there_from_outside_is_what_is_found() {
    let place = Place::new();
    let disk = Disk::new(&place.root(), 0);
    let path = disk.root().join("a");
    make(&path, 4);
    let old = disk.read(&path).unwrap();
    make(&path, 1);
    assert_eq!(rows(&path), 5);
    disk.write(&path, old.clone());
    assert_eq!(disk.read(Path::new("a")), Some(old.clone()));
    assert_eq!(rows(&path), 4);
    let image = disk.image();
    disk.remove(&path);
    assert_eq!((names(&disk), disk.read(&path)), (vec![], None));
    make(&path, 1);
    assert_eq!(rows(&path), 1);
    let copy = Disk::from_image(&place.root(), &image, 0);
    assert_eq!(copy.read(Path::new("a")).as_deref(), image.read(Path::new("a")));
    assert_eq!(rows(&copy.root().join("a")), 4);
    assert_eq!(copy.durable_image().files().count(), 1);
}

#[test]
fn a_file_that_was_never_synced_may_be_gone() {
    let place = Place::new();
    let found: Vec<bool> = (0..20)
        .map(|seed| {
            let disk = Disk::new(&place.root(), seed);
            let db = rusqlite::Connection::open(disk.root().join("a")).unwrap();
            db.execute_batch("PRAGMA synchronous = off; CREATE TABLE t (x)").unwrap();
            assert_eq!(disk.durable_image().files().count(), 0);
            !names(&disk.power_loss(&place.root(), seed)).is_empty()
        })
        .collect();
    assert!(found.contains(&true) && found.contains(&false));
}

#[test]
fn a_file_that_cannot_be_made_is_reported_and_can_be_made_later() {
    for fault in [Fault::WriteError, Fault::Full] {
        let place = Place::new();
        let disk = Disk::new(&place.root(), 0);
        disk.fail(0, fault);
        let path = disk.root().join("a");
        open(&path, WAL).unwrap_err();
        assert_eq!(names(&disk), Vec::<PathBuf>::new());
        make(&path, 1);
        assert_eq!(rows(&path), 1);
    }
}
