//! Why a command failed: the words for a person, the object for a script, the exit code for both.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Write},
    path::Path,
    process::ExitCode,
};

use heph_api::{ApiError, ClientError, socket::PlaceError};

use crate::render;

/// Why a command failed.
#[derive(Debug)]
pub enum Failure {
    /// The daemon is not there, or said no.
    Client(ClientError),
    /// Something on this side, with what to do next.
    Here(ApiError),
    /// All has been said already; only the exit code is left.
    Said(u8),
}

impl Failure {
    /// Returns a failure on this side.
    pub fn here(code: &str, message: impl Into<String>) -> Self {
        Self::Here(ApiError::new(code, message))
    }

    /// Returns a failure on this side, with what to do next.
    pub fn here_with_hint(code: &str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Here(ApiError::new(code, message).with_hint(hint))
    }

    /// Returns a function that turns an I/O error into a failure that names what was to be done, and to what.
    pub fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::here("file_error", format!("cannot {what} {}: {error}", path.display()))
    }

    /// Returns the same failure, saying also that a text is kept in a file.
    pub fn keeping(self, file: &Path, how_to_save: &str) -> Self {
        let error = self.to_api_error();
        let hint = error.hint.map(|hint| format!("{hint}; ")).unwrap_or_default();
        let kept = format!("{hint}your text is kept in {}; save it with: {how_to_save}", file.display());
        Self::Here(ApiError { hint: Some(kept), ..error })
    }

    /// Returns the failure as scripts get it.
    pub fn to_api_error(&self) -> ApiError {
        match self {
            Self::Client(error) => error.to_api_error(),
            Self::Here(error) => error.clone(),
            Self::Said(_) => ApiError::new("failed", "failed"),
        }
    }

    /// Says what happened on standard error and returns the exit code.
    pub fn report(&self, json: bool) -> ExitCode {
        if !matches!(self, Self::Said(_)) {
            say(&self.to_api_error(), json);
        }
        ExitCode::from(self.exit_code())
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Said(code) => *code,
            _ if self.to_api_error().code == "not_running" => 3,
            _ => 1,
        }
    }
}

/// Says an error on standard error: as one JSON object, or in words.
pub fn say(error: &ApiError, json: bool) {
    match (json, serde_json::to_string(error)) {
        (true, Ok(object)) => complain(&render::escape(&object)),
        _ => {
            let hint = error.hint.as_deref().map(|hint| format!("\nhint: {hint}"));
            complain(&format!("heph: {}{}", error.message, hint.unwrap_or_default()));
        }
    }
}

/// Writes to standard error. If that is gone, nobody is left to be told.
fn complain(text: &str) {
    let mut to = io::stderr().lock();
    let text = render::clean(text, to.is_terminal());
    drop(writeln!(to, "{text}"));
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl From<PlaceError> for Failure {
    fn from(error: PlaceError) -> Self {
        Self::here_with_hint("no_place", error.to_string(), error.hint())
    }
}

/// Says something beside the answer, on standard error: a warning, never part of a result.
pub fn note(text: impl Display) {
    complain(&format!("heph: {text}"));
}
