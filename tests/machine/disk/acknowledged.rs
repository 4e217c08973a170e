//! What surfaces and devices were told is written, and whether it is: looked at in the files as a daemon left them,
//! before it starts again, and in all replicas afterwards.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use heph_store::exchange::Coverage;
use heph_store::page::{self, PAGE_BYTES_AIM};
use heph_store::read::{Reads, View};
use heph_store::replica::Cursor;
use heph_store::vector::Tip;
use heph_tests::files;

/// Something that was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Told {
    /// Of which kind the node is.
    pub kind: &'static str,
    /// Its title, which no other node has.
    pub title: String,
    /// What its text holds.
    pub text: String,
}

impl Told {
    /// A task.
    pub fn task(title: &str) -> Self {
        Self { kind: "task", title: title.to_owned(), text: String::new() }
    }

    /// A doc whose text holds this.
    pub fn doc(title: &str, text: &str) -> Self {
        Self { kind: "doc", title: title.to_owned(), text: text.to_owned() }
    }

    fn is_in(&self, view: &View<'_>) -> bool {
        let nodes = view.titled(self.kind, &self.title).unwrap();
        let holds = |node| self.text.is_empty() || view.body(node).unwrap().text.contains(&self.text);
        nodes.len() == 1 && nodes.iter().all(holds)
    }
}

/// What one replica acknowledged.
#[derive(Debug, Default)]
pub struct Acknowledged(Mutex<BTreeSet<Told>>);

impl Acknowledged {
    /// Remembers that this was acknowledged.
    pub fn add(&self, told: Told) {
        self.told().insert(told);
    }

    /// Remembers all that another acknowledged.
    pub fn add_all(&self, other: &Self) {
        let all = other.told().clone();
        self.told().extend(all);
    }

    /// Forgets everything: the replica is to begin anew.
    pub fn forget(&self) {
        self.told().clear();
    }

    /// Whether nothing was acknowledged.
    pub fn is_empty(&self) -> bool {
        self.told().is_empty()
    }

    /// All of it has to be in this replica, each once.
    #[track_caller]
    pub fn is_in(&self, db: &Path, what: &str) {
        let reads = Reads::open(db).unwrap();
        let told = self.told();
        let lost = reads.read(|view| {
            let lost = told.iter().filter(|told| !told.is_in(view));
            Ok::<_, heph_store::Error>(lost.map(|told| told.title.clone()).collect::<Vec<_>>())
        });
        let lost = lost.unwrap();
        assert!(lost.is_empty(), "{what}: lost of {} that were acknowledged: {lost:?}", told.len());
    }

    fn told(&self) -> MutexGuard<'_, BTreeSet<Told>> {
        self.0.lock().unwrap()
    }
}

/// A copy of the files of a daemon that is gone, to be looked at without touching them.
pub struct Left {
    dir: tempfile::TempDir,
}

impl Left {
    /// Copies them, and has SQLite check the database, if there is one yet.
    #[track_caller]
    pub fn behind_by(dir: &Path, what: &str) -> Option<Self> {
        let copy = tempfile::tempdir().unwrap();
        files::copy_kept(dir, copy.path());
        let left = Self { dir: copy };
        let bytes = fs::metadata(left.db()).map_or(0, |metadata| metadata.len());
        if bytes == 0 && !left.dir.path().join("heph.db-wal").exists() {
            return None;
        }
        sqlite_finds_it_sound(&left.db(), what);
        Some(left)
    }

    /// The database.
    pub fn db(&self) -> std::path::PathBuf {
        self.dir.path().join("heph.db")
    }
}

/// Has SQLite check every page and index of a database.
#[track_caller]
pub fn sqlite_finds_it_sound(db: &Path, what: &str) {
    let connection = rusqlite::Connection::open(db).unwrap();
    let found = connection.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(found, "ok", "{what}: {}", db.display());
}

/// Rebuilds the state of a replica from its log, which has to agree with it.
#[track_caller]
pub fn heph_finds_it_sound(db: &Path, what: &str) {
    let report = heph_store::verify::verify(db, std::sync::Arc::new(heph_store::env::SystemEnv));
    let report = report.unwrap_or_else(|error| panic!("{what}: {} cannot be checked: {error:?}", db.display()));
    assert!(report.problems.is_empty(), "{what}: {} is not sound: {report:?}", db.display());
}

/// The cursor of a device is a position in the hub's log, and all before it is here.
#[track_caller]
pub fn cursor_covers_only_what_is_here(device: &Path, hub: &Path, what: &str) {
    let (ours, theirs) = (Reads::open(device).unwrap(), Reads::open(hub).unwrap());
    let cursor: Option<Cursor> = ours.read(|view| view.cursor()).unwrap();
    let Some(cursor) = cursor else { return };
    let known = theirs.read(|view| view.position_is(&cursor)).unwrap();
    assert!(known, "{what}: the cursor ({}) is no position in the hub's log", cursor.position);
    let (mut position, mut after) = (0, 0);
    let next_page = |after| theirs.read(|view| view.page_after(after, &Coverage::default(), PAGE_BYTES_AIM)).unwrap();
    while let Some(read) = next_page(after).filter(|_| position < cursor.position) {
        let stretches = page::decode(&read.bytes).unwrap();
        let left = usize::try_from(cursor.position - position).unwrap();
        for entry in stretches.iter().flat_map(|stretch| &stretch.entries).take(left) {
            position += 1;
            let tip = Tip { seq: entry.op.seq, id: entry.id };
            let here = ours.read(|view| view.holds(entry.op.origin, &tip)).unwrap();
            assert!(here, "{what}: the cursor ({}) has passed over op {position} of the hub", cursor.position);
        }
        after = read.position;
    }
}
