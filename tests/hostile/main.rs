//! What strangers, broken programs and forgers send: a table per door, each row with the status and the code that it
//! gets. Nothing of it may change anything, or keep the door from opening for those who knock properly.

#![allow(clippy::unwrap_used)] // This is a test: a panic is the report.

mod crowd;
mod hub;
mod local;

use heph_tests::raw::{AndThen, Door};
use std::thread;

/// One thing that somebody sends, and what it gets.
struct Row {
    what: &'static str,
    bytes: Vec<u8>,
    then: AndThen,
    status: u16,
    code: &'static str,
}

/// No answer: the connection is closed.
const CLOSED: u16 = 0;

/// A row that waits for its answer.
fn row(what: &'static str, bytes: Vec<u8>, status: u16, code: &'static str) -> Row {
    Row { what, bytes, then: AndThen::Listen, status, code }
}

/// A row that says that nothing more comes, and then waits.
fn cut(what: &'static str, bytes: Vec<u8>, status: u16, code: &'static str) -> Row {
    Row { what, bytes, then: AndThen::Finish, status, code }
}

/// Sends every row, each on a connection of its own, and returns a line for each that got something else.
fn surprises(door: &Door, rows: &[Row]) -> Vec<String> {
    thread::scope(|scope| {
        let sent: Vec<_> = rows.iter().map(|row| scope.spawn(move || surprise(door, row))).collect();
        sent.into_iter().filter_map(|answer| answer.join().expect("sending does not panic")).collect()
    })
}

fn surprise(door: &Door, row: &Row) -> Option<String> {
    let answer = door.send_and(&row.bytes, row.then);
    let (status, code) = answer.as_ref().map_or((CLOSED, String::new()), |answer| (answer.status, answer.code()));
    let wanted = (row.status, row.code);
    let differs = (status, code.as_str()) != wanted;
    differs.then(|| format!("{}: wanted {wanted:?}, got {answer:?}", row.what))
}
