//! The locks that connections hold on a database file, as SQLite's VFS for Unix grants them within one process.

use std::collections::BTreeMap;

/// The number of an open file of one disk.
pub type HandleId = u64;

/// How much of a file a connection has to itself; in the numbers of SQLite's `SQLITE_LOCK_…`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Reads, with others.
    Shared = 1,
    /// Will write; others still read.
    Reserved = 2,
    /// Waits for those who read; nobody else begins to.
    Pending = 3,
    /// Writes alone.
    Exclusive = 4,
}

impl Level {
    /// The level of this number; none for `SQLITE_LOCK_NONE`.
    pub fn from_number(number: i32) -> Option<Self> {
        [Self::Shared, Self::Reserved, Self::Pending, Self::Exclusive].into_iter().find(|level| *level as i32 == number)
    }
}

/// Who holds which lock on one file.
#[derive(Debug, Default)]
pub struct Locks(BTreeMap<HandleId, Level>);

impl Locks {
    /// Raises a connection's lock. Returns whether it has what it wants.
    pub fn raise(&mut self, who: HandleId, to: Level) -> bool {
        let held = self.0.get(&who).copied();
        if held >= Some(to) {
            return true;
        }
        let others = self.0.iter().filter(|(other, _)| **other != who).map(|(_, level)| *level).max();
        let granted = match to {
            Level::Shared => others < Some(Level::Pending),
            Level::Reserved | Level::Pending => others < Some(Level::Reserved),
            Level::Exclusive => others.is_none(),
        };
        if granted {
            self.0.insert(who, to);
        } else if to == Level::Exclusive && held == Some(Level::Reserved) && others < Some(Level::Reserved) {
            // Nobody else begins to read, so that it will have its turn.
            self.0.insert(who, Level::Pending);
        }
        granted
    }

    /// Lowers a connection's lock; `None` gives it back.
    pub fn lower(&mut self, who: HandleId, to: Option<Level>) {
        if self.0.get(&who).copied() <= to {
            return;
        }
        match to {
            Some(level) => drop(self.0.insert(who, level)),
            None => drop(self.0.remove(&who)),
        }
    }

    /// Whether anybody is about to write.
    pub fn is_reserved(&self) -> bool {
        self.0.values().any(|level| *level >= Level::Reserved)
    }
}
