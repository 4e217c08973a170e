//! heph's command line: words become one request to the local daemon, and its answer is printed.
//!
//! Nothing here opens the database or talks to the hub. Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the
//! daemon is not running, 4 not in sync (`heph sync --status` and `heph verify --deep` only).
//!
//! With `--json` a command prints one JSON value: an array of rows where it lists something, else one object,
//! with the fields that `heph_api::types` documents. An error, wrong usage too, is one JSON object on standard error,
//! `{"code", "message", "hint"}`, and nothing on standard output.

#![cfg_attr(test, allow(clippy::unwrap_used))] // In a test, a panic is the report.

mod args;
mod commands;
mod dates;
mod demo;
mod editor;
mod failure;
mod render;
mod surface;
mod usage;

use std::process::ExitCode;

use clap::Parser;

use crate::{args::Args, surface::Surface};

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return usage::report(&error),
    };
    let json = args.json;
    match Surface::new(&args).and_then(|surface| commands::run(&surface, args.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(json),
    }
}
