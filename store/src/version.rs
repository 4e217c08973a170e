//! A version token: what a surface read of a body, so that what it writes is merged and not laid over what arrived since.

use crate::derive::Moment;
use crate::error::{Error, Result};
use crate::id::{Generation, LogId};
use crate::merge::RULES_VERSION;
use crate::sqlite::{held, log};
use crate::writer::next_roll;
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// Which text a surface read: everything in this file's log up to a position, of the generation that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// The file's log.
    pub log: LogId,
    /// The last position that was read.
    pub position: u64,
    /// How many ops had taken effect later than they came.
    pub late: u64,
    /// Which ops these are, and by which rules they were merged: a file that was put back may have gone on otherwise.
    pub check: [u8; 8],
    /// The generation that was shown.
    pub generation: Generation,
}

impl Version {
    /// The version of a text at a position of the log; a later one than its end stands for its end.
    pub(crate) fn at(db: &Connection, log: LogId, position: u64, generation: Generation) -> Result<Self> {
        let position = i64::try_from(position).unwrap_or(i64::MAX).min(log::head(db)?);
        let late = held::last_late(db, position)?.unsigned_abs();
        Ok(Self { log, position: position.unsigned_abs(), late, check: check(db, position)?, generation })
    }

    /// What had been read, if it was read of this file as it is.
    pub(crate) fn moment(&self, db: &Connection, log: LogId) -> Result<Moment> {
        let number = |number: u64| i64::try_from(number).map_err(|_| Error::UnknownVersion);
        let moment = Moment { position: number(self.position)?, late: number(self.late)? };
        let known = self.log == log && moment.position <= log::head(db)? && self.check == check(db, moment.position)?;
        if known { Ok(moment) } else { Err(Error::UnknownVersion) }
    }
}

/// Tells the log up to a position, and the rules by which it was merged, from any other.
fn check(db: &Connection, position: i64) -> Result<[u8; 8]> {
    let (signed, mut roll) = log::stretch_before(db, position + 1)?.map_or((0, [0; 32]), |end| (end.last, end.roll));
    for id in log::ids(db, signed + 1, position)? {
        roll = next_roll(&roll, &id);
    }
    let hash = Sha256::digest([roll.as_slice(), &RULES_VERSION.to_be_bytes()].concat());
    let mut check = [0; 8];
    check.copy_from_slice(&hash[..8]);
    Ok(check)
}

/// A text that is not a version token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a version token")]
pub struct BadVersion(String);

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let check = u64::from_be_bytes(self.check);
        write!(f, "{}.{}.{check:016x}.{}.{}", self.position, self.late, self.generation, self.log)
    }
}

impl FromStr for Version {
    type Err = BadVersion;

    fn from_str(text: &str) -> std::result::Result<Self, BadVersion> {
        let parse = || {
            let mut parts = text.split('.');
            let position = parts.next()?.parse().ok()?;
            let late = parts.next()?.parse().ok()?;
            let check = u64::from_str_radix(parts.next()?, 16).ok()?.to_be_bytes();
            let generation = parts.next()?.parse().ok()?;
            let log = parts.next()?.parse().ok()?;
            parts.next().is_none().then_some(Self { log, position, late, check, generation })
        };
        parse().ok_or_else(|| BadVersion(text.to_owned()))
    }
}
