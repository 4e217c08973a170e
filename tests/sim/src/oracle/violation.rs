//! What a check found wrong: a short code that stays the same while a run is shrunk, and a sentence for a person.

use std::fmt;

/// Which promise is broken. Two failures with one code are taken for the same failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// Something that should be readable is not: the store returned an error.
    Unreadable,
    /// The log is not the one that was read before: it lost ops or changed them, without being put back.
    LogRewritten,
    /// A position of the log, or the op before an op, is not there.
    Gap,
    /// A page that another replica would get does not decode.
    BadPage,
    /// An origin is not the hash of its key.
    WrongKey,
    /// The signature of a stretch is not its author's.
    BadSignature,
    /// The rolling hash is not that of the log.
    BadRoll,
    /// The version vector does not say exactly what the log holds.
    VectorLies,
    /// A value that was erased is still in the log, or one that was not erased is gone.
    ErasedValue,
    /// A register is not what the ops on it say.
    Register,
    /// A head of a register cannot be read on a replica that holds it.
    HeadLost,
    /// A text is not what its edits say.
    Text,
    /// A conflict copy is missing, or there is one too many, or its text is another.
    Copy,
    /// A node is hidden and should not be, or is shown and should not be.
    Hidden,
    /// What awaits a choice is not what should.
    Conflict,
    /// A recurring task stands at another day than its marks say.
    Occurrence,
    /// A list or a count is not what the nodes say.
    List,
    /// A conflict on a node that one device alone wrote to, one thing after another.
    PhantomConflict,
    /// An op that was acknowledged is not there.
    AcknowledgedLost,
    /// A text that nobody took away cannot be read anywhere on the node.
    TextLost,
    /// The search index does not find what is there, or finds what is not.
    Search,
    /// Replicas do not hold the same ops although they should be in step.
    NotInStep,
    /// Replicas hold the same and show something else.
    Diverged,
    /// SQLite finds the file damaged.
    FileDamaged,
    /// `verify` found something.
    Verify,
    /// A daemon did or said what none ever should: it panicked, hung, does not start, or called its own work a defect.
    Daemon,
}

impl Code {
    /// The code as it is printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::LogRewritten => "log-rewritten",
            Self::Gap => "gap",
            Self::BadPage => "bad-page",
            Self::WrongKey => "wrong-key",
            Self::BadSignature => "bad-signature",
            Self::BadRoll => "bad-roll",
            Self::VectorLies => "vector-lies",
            Self::ErasedValue => "erased-value",
            Self::Register => "register",
            Self::HeadLost => "head-lost",
            Self::Text => "text",
            Self::Copy => "copy",
            Self::Hidden => "hidden",
            Self::Conflict => "conflict",
            Self::Occurrence => "occurrence",
            Self::List => "list",
            Self::PhantomConflict => "phantom-conflict",
            Self::AcknowledgedLost => "acknowledged-lost",
            Self::TextLost => "text-lost",
            Self::Search => "search",
            Self::NotInStep => "not-in-step",
            Self::Diverged => "diverged",
            Self::FileDamaged => "file-damaged",
            Self::Verify => "verify",
            Self::Daemon => "daemon",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which promise.
    pub code: Code,
    /// On which replica; of several, their names joined.
    pub replica: String,
    /// What is wrong, with the node or op, what was found and what was expected.
    pub sentence: String,
}

impl Violation {
    /// A broken promise on a replica.
    pub fn new(code: Code, replica: &str, sentence: impl Into<String>) -> Self {
        Self { code, replica: replica.to_owned(), sentence: sentence.into() }
    }

    /// What the store could not read.
    pub fn unreadable(replica: &str, what: &str, why: &dyn fmt::Display) -> Self {
        Self::new(Code::Unreadable, replica, format!("{what} cannot be read: {why}"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} on {}: {}", self.code, self.replica, self.sentence)
    }
}

impl std::error::Error for Violation {}

/// Why a look at a replica ended early.
#[derive(Debug)]
pub(super) enum Stop {
    Broken(Violation),
    Store(heph_store::Error),
}

impl From<Violation> for Stop {
    fn from(broken: Violation) -> Self {
        Self::Broken(broken)
    }
}

impl From<heph_store::Error> for Stop {
    fn from(error: heph_store::Error) -> Self {
        Self::Store(error)
    }
}

/// Looks at one state of a replica; what the store cannot read is a broken promise.
pub(super) fn look<T>(
    replica: &str,
    reads: &heph_store::read::Reads,
    look: impl FnOnce(&heph_store::read::View<'_>) -> Result<T, Stop>,
) -> Result<T, Violation> {
    reads.read(look).map_err(|stop| match stop {
        Stop::Broken(broken) => broken,
        Stop::Store(error) => Violation::unreadable(replica, "the replica", &error),
    })
}
