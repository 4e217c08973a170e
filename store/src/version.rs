//! A version token: what a surface read of a body, so that what it writes is merged and not laid over what arrived since.

use crate::id::{Generation, LogId};
use std::fmt;
use std::str::FromStr;

/// Which text a surface read: everything in this file's log up to a position, of the generation that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The file's log.
    pub log: LogId,
    /// The last position that was read.
    pub position: u64,
    /// The generation that was shown.
    pub generation: Generation,
}

/// A text that is not a version token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version token")]
pub struct BadVersion(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.position, self.generation, self.log)
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        let parse = || {
            let mut parts = text.split('.');
            let position = parts.next()?.parse().ok()?;
            let generation = parts.next()?.parse().ok()?;
            let log = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { log, position, generation })
        };
        parse().ok_or_else(|| BadVersion(text.to_owned()))
    }
}
