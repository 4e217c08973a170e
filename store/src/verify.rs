//! Checks a replica, which may be in use: every hash, chain and signature of its log, and all that follows from the log
//! against the same derived anew. It looks at one state of the file and keeps nobody from writing; step by step, so
//! that who checks can say how far it is, leave room for others, and stop; and a batch at a time, so that a large
//! replica needs no more memory than a small one.
//!
//! Nothing here writes to the replica but `rebuild`, and that only what follows from the log.

mod buckets;
mod derived;
mod log;
mod rebuild;
mod report;
mod scratch;
mod search;
mod state;

pub use buckets::Difference;
pub use report::{Found, Part, Problem};

pub(crate) use log::check_ends;
pub(crate) use rebuild::{rebuild, upgrade_rules};
pub(crate) use state::check_bodies;

use crate::env::Env;
use crate::error::Result;
use crate::read::View;
use crate::sqlite::log as log_rows;
use crate::sqlite::{self, check};
use crate::writer::Writer;
use crate::{digest, page};
use log::Replay;
use rusqlite::{Connection, InterruptHandle};
use search::Search;
use state::Compare;
use std::path::Path;
use std::sync::Arc;

/// How much is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The log, and that the state is what it says.
    Usual,
    /// Also every index, the search index word by word, and the file page by page.
    Deep,
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being checked.
    pub part: Part,
    /// How many ops or nodes of it are.
    pub done: u64,
    /// Of how many.
    pub of: u64,
}

/// What [`verify`] found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VerifyReport {
    /// Ops checked.
    pub ops: u64,
    /// Nodes compared.
    pub nodes: u64,
    /// Ops that this version cannot read.
    pub held: u64,
    /// The digest of the state.
    pub digest: [u8; 32],
    /// The digest of the state that was derived from the log again.
    pub rebuilt: [u8; 32],
    /// What is wrong, each a sentence; empty if nothing is.
    pub problems: Vec<String>,
    /// How many problems there are beyond those listed.
    pub more_problems: u64,
}

/// Checks the replica at `path` as usual.
pub fn verify(path: &Path, env: Arc<dyn Env>) -> Result<VerifyReport> {
    let mut check = Check::begin(path, env, Depth::Usual)?;
    while check.step()?.is_some() {}
    let Found { ops, nodes, held, digest, rebuilt, problems, more_problems, .. } = check.into_found();
    let problems = problems.into_iter().map(|problem| problem.words).collect();
    Ok(VerifyReport { ops, nodes, held, digest, rebuilt, problems, more_problems })
}

/// A check under way. It may be dropped at any time.
pub struct Check {
    /// In a read transaction from beginning to end.
    db: Connection,
    scratch: Writer,
    depth: Depth,
    /// How many ops and nodes there are.
    of: (u64, u64),
    stage: Stage,
    /// Whether the scratch replica is what the whole log makes.
    whole: bool,
    found: Found,
}

enum Stage {
    File,
    Log(Replay),
    State(Compare),
    Search(Box<Search>),
    Ended,
}

/// What comes after a step.
enum Next {
    Same,
    Stage(Stage),
    End,
}

impl Next {
    fn or_end(stage: Option<Stage>) -> Self {
        stage.map_or(Self::End, Self::Stage)
    }
}

impl Check {
    /// Begins to check the replica at `path`. The state is derived again in a scratch file beside it.
    pub fn begin(path: &Path, env: Arc<dyn Env>, depth: Depth) -> Result<Self> {
        let db = sqlite::open_reader(path)?;
        check::begin_reading(&db)?;
        let scratch = scratch::open(path, env)?;
        let mut found = Found::default();
        let size = log_rows::head(&db).and_then(|head| Ok((head.unsigned_abs(), check::count(&db, "node")?)));
        let of = found.tolerate(Part::File, "the file", size)?.unwrap_or_default();
        let of = (of.0, of.1.unsigned_abs());
        Ok(Self { db, scratch, depth, of, stage: Stage::File, whole: false, found })
    }

    /// What makes a step that is under way on another thread end early, with an error.
    pub fn interrupter(&self) -> InterruptHandle {
        self.db.get_interrupt_handle()
    }

    /// Checks a little more, and says what is next; `None` once all is checked.
    ///
    /// # Errors
    /// If the file cannot be read for another reason than that it is damaged, or the scratch file not written.
    pub fn step(&mut self) -> Result<Option<Progress>> {
        match self.advance()? {
            Next::Same => {}
            Next::Stage(stage) => self.stage = stage,
            Next::End => {
                self.end()?;
                return Ok(None);
            }
        }
        Ok(Some(self.progress()))
    }

    fn advance(&mut self) -> Result<Next> {
        let Self { db, scratch, depth, stage, whole, found, .. } = self;
        match stage {
            Stage::File => {
                check_file(db, *depth, found)?;
                let begun = Replay::begin(db, scratch);
                let begun = found.tolerate(Part::Log, "the log", begun)?;
                if begun.is_none() {
                    found.unchecked.extend(Part::ALL.into_iter().filter(|part| part.is_derived()));
                }
                Ok(Next::or_end(begun.map(Stage::Log)))
            }
            Stage::Log(replay) => {
                if replay.step(db, scratch, found)? {
                    return Ok(Next::Same);
                }
                *whole = replay.whole;
                if !*whole {
                    found.unchecked.extend([Part::State, Part::Texts]);
                }
                Ok(Next::Stage(Stage::State(Compare::begin(*depth))))
            }
            Stage::State(compare) => {
                if compare.step(db, whole.then_some(&scratch.db), found)? {
                    return Ok(Next::Same);
                }
                if *depth == Depth::Usual {
                    return Ok(Next::End);
                }
                let begun = Search::begin(db).map(|search| Stage::Search(Box::new(search)));
                Ok(Next::or_end(found.tolerate(Part::Index, "the search index", begun)?))
            }
            Stage::Search(search) => {
                let step = search.step(db, found);
                let more = found.tolerate(Part::Index, "the search index", step)?;
                Ok(if more == Some(true) { Next::Same } else { Next::End })
            }
            Stage::Ended => Ok(Next::End),
        }
    }

    /// What was found.
    pub fn into_found(self) -> Found {
        self.found
    }

    fn end(&mut self) -> Result<()> {
        if matches!(self.stage, Stage::Ended) {
            return Ok(());
        }
        self.stage = Stage::Ended;
        let Self { db, scratch, found, .. } = self;
        let ends = check_ends(db);
        let wrong = found.tolerate(Part::Log, "the log", ends)?.unwrap_or_default();
        found.problems(Part::Log, wrong);
        let counts = log_rows::counts(db);
        (_, found.held, found.missing) = found.tolerate(Part::Log, "the log", counts)?.unwrap_or_default();
        let known = crate::branches::Known::default();
        let buckets = View::new(db, &known).buckets();
        let buckets = found.tolerate(Part::State, "the digest", buckets)?;
        found.digest = buckets.map_or([0; 32], |sums| digest::total(&sums));
        found.rebuilt = digest::total(&View::new(&scratch.db, &scratch.known).buckets()?);
        Ok(())
    }

    fn progress(&self) -> Progress {
        let (ops, nodes) = self.of;
        let (part, done, of) = match &self.stage {
            Stage::File => (Part::File, 0, 1),
            Stage::Log(replay) => (Part::Log, replay.done(), ops),
            Stage::State(_) => (Part::State, self.found.nodes, nodes),
            Stage::Search(search) => (Part::Index, search.done(), nodes),
            Stage::Ended => (Part::Index, nodes, nodes),
        };
        Progress { part, done, of }
    }
}

/// Lets SQLite look at the file.
fn check_file(db: &Connection, depth: Depth, found: &mut Found) -> Result<()> {
    let said = match depth {
        Depth::Usual => check::quick(db),
        Depth::Deep => check::integrity(db),
    };
    for line in found.tolerate(Part::File, "the database file", said)?.unwrap_or_default() {
        let part = if check::is_of_an_index(&line) { Part::Index } else { Part::File };
        found.problem(part, format!("the database file is damaged: {line}"));
    }
    Ok(())
}

const _: () = assert!(page::PAGE_BYTES_AIM < page::PAGE_BYTES_MAX);

#[cfg(test)]
mod tests;
