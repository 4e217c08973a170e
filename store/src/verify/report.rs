//! What a check found, said of the part that is concerned: what can be made anew and what cannot follows from that.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;

/// How many problems are listed; more are only counted.
const PROBLEMS_MAX: usize = 50;

/// A part of a replica. The first two are what it is; the others follow from the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The file, as SQLite sees it.
    File,
    /// Ops, chains, signatures, rolling hashes.
    Log,
    /// The merged state of nodes, its digest, and what is noted of ops.
    State,
    /// Bodies and their texts.
    Texts,
    /// What lists, tags, links and searches are made from.
    Index,
}

impl Part {
    /// All, in the order in which they are checked.
    pub const ALL: [Self; 5] = [Self::File, Self::Log, Self::State, Self::Texts, Self::Index];

    /// In one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Log => "log",
            Self::State => "state",
            Self::Texts => "texts",
            Self::Index => "index",
        }
    }

    /// Whether it can be made anew from the log.
    pub fn is_derived(self) -> bool {
        matches!(self, Self::State | Self::Texts | Self::Index)
    }
}

/// Something that is not as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is concerned.
    pub part: Part,
    /// A sentence.
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// Ops checked.
    pub ops: u64,
    /// Signatures checked.
    pub signatures: u64,
    /// Nodes compared.
    pub nodes: u64,
    /// Texts compared with their documents.
    pub texts: u64,
    /// Words of the search index compared.
    pub words: u64,
    /// Ops that this version cannot read.
    pub held: u64,
    /// Ops that came without a value and without an erase.
    pub missing: u64,
    /// The digest of the state.
    pub digest: [u8; 32],
    /// The digest of the state that was derived from the log again.
    pub rebuilt: [u8; 32],
    /// What is wrong; empty if nothing is.
    pub problems: Vec<Problem>,
    /// How many problems there are beyond those listed.
    pub more_problems: u64,
    /// The parts that are concerned, also by problems that are only counted.
    pub damaged: BTreeSet<Part>,
    /// The parts that could not be compared with what they follow from, since that is damaged.
    pub unchecked: BTreeSet<Part>,
}

impl Found {
    /// Whether nothing is wrong.
    pub fn is_sound(&self) -> bool {
        self.damaged.is_empty()
    }

    /// Whether something is wrong, and all of it follows from a log that is sound: it can be made anew.
    pub fn can_be_rebuilt(&self) -> bool {
        !self.is_sound() && self.damaged.iter().all(|part| part.is_derived())
    }

    pub(super) fn problem(&mut self, part: Part, words: String) {
        self.damaged.insert(part);
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { part, words });
        } else {
            self.more_problems += 1;
        }
    }

    pub(super) fn problems(&mut self, part: Part, sentences: impl IntoIterator<Item = String>) {
        sentences.into_iter().for_each(|words| self.problem(part, words));
    }

    /// Takes what damage makes fail as a problem; any other failure stays one.
    pub(super) fn tolerate<T>(&mut self, part: Part, what: &str, found: Result<T>) -> Result<Option<T>> {
        match found.map_err(|error| damage(&error).ok_or(error)) {
            Ok(found) => Ok(Some(found)),
            Err(Ok(why)) => {
                self.problem(part, format!("{what} cannot be read: {why}"));
                Ok(None)
            }
            Err(Err(error)) => Err(error),
        }
    }
}

/// Whether something failed because of damage.
pub(super) fn is_damage(error: &Error) -> bool {
    damage(error).is_some()
}

/// What is damaged, if that is why something failed.
fn damage(error: &Error) -> Option<String> {
    use rusqlite::ErrorCode::{ConstraintViolation, DatabaseCorrupt};
    match error {
        Error::Corrupt(what) => Some(what.to_string()),
        Error::Sqlite(why) => match why.sqlite_error_code() {
            None | Some(ConstraintViolation | DatabaseCorrupt) => Some(why.to_string()),
            Some(_) => None,
        },
        Error::Gap { .. } | Error::WrongKey { .. } | Error::BadSignature { .. } => Some(error.to_string()),
        _ => None,
    }
}
