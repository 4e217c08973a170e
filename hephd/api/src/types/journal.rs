//! Journals: one text per day, the same node on every device.

use serde::{Deserialize, Serialize};

use super::{BodyRead, BodyWritten, call};

/// `journal/show`: reads a day. A day that was never written is an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShowJournal {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
}
call!(ShowJournal, "/v1/journal/show", BodyRead, read);

/// `journal/append`: appends a paragraph to a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendJournal {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// Markdown; a line end is put before and after it where one is missing.
    pub text: String,
}
call!(AppendJournal, "/v1/journal/append", BodyWritten);

/// `journal/save`: writes the whole text of a day.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SaveJournal {
    /// The day, `YYYY-MM-DD`.
    pub date: String,
    /// The whole text as it is to be.
    pub body: String,
    /// The token that came with what was read.
    pub version: String,
}
call!(SaveJournal, "/v1/journal/save", BodyWritten);
