//! What every command is handed: the daemon to ask, and the way to print its answer.

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use heph_api::{Call, Client, socket};
use serde::Serialize;

use crate::{
    args::Args,
    failure::Failure,
    render::{self, Page, Style},
};

/// One run of the command line.
pub struct Surface {
    client: Client,
    json: bool,
    style: Style,
}

impl Surface {
    /// Returns the surface that the global options ask for; nothing is opened yet.
    pub fn new(args: &Args) -> Result<Self, Failure> {
        let socket = socket::socket_path(args.socket.as_deref())?;
        Ok(Self { client: Client::new(socket), json: args.json, style: Style::of_stdout() })
    }

    /// Returns the client of the daemon.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Returns whether the answer is printed as JSON.
    pub fn json(&self) -> bool {
        self.json
    }

    /// Sends one request and returns its answer.
    pub fn ask<C: Call>(&self, call: &C) -> Result<C::Answer, Failure> {
        Ok(self.client.call(call)?)
    }

    /// Prints an answer: the whole of it as JSON, or what `fill` says about it.
    pub fn print(&self, answer: &impl Serialize, fill: impl FnOnce(&mut Page)) -> Result<(), Failure> {
        let text = match self.json {
            true => serde_json::to_string_pretty(answer)
                .map(|json| render::escape(&json).into_owned() + "\n")
                .map_err(|error| Failure::here("internal", format!("cannot write the answer: {error}")))?,
            false => {
                let mut page = Page::new(self.style);
                fill(&mut page);
                page.into_text()
            }
        };
        write_out(&text)
    }
}

/// Writes to standard output. A reader that has seen enough (`| head`) is no failure.
pub fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Said(0)),
        Err(error) => Err(Failure::here("output", format!("cannot write to standard output: {error}"))),
        Ok(()) => Ok(()),
    }
}

/// Returns the text that was given, or all of standard input where `-` was given.
pub fn text_or_stdin(text: &str) -> Result<String, Failure> {
    if text != "-" {
        return Ok(text.to_owned());
    }
    let mut bytes = Vec::new();
    io::stdin()
        .lock()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::here("input", format!("cannot read standard input: {error}")))?;
    String::from_utf8(bytes)
        .map_err(|error| Failure::here("bad_request", format!("standard input is not UTF-8: {error}")))
}

/// Returns words that were typed one by one as one text; a single `-` reads standard input.
pub fn words_or_stdin(words: &[String]) -> Result<String, Failure> {
    text_or_stdin(&words.join(" "))
}

/// Returns the path as the daemon needs it, who does not know the caller's directory.
pub fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::file("make an absolute path of", path))
}
