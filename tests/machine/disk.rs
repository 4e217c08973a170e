//! Disks that fail, fill up or lose power, and processes that are killed, stopped or started twice. After each of these
//! what was acknowledged is there, SQLite and heph find the files sound, and the daemons go on by themselves.
//!
//! ```text
//! matrix     (fault × what is going on): power cuts, kills, errors of single system calls, stops
//! full       disks and inode tables that fill up and are made room on; disks that become read-only
//! doubtful   what could not be synced is not believed afterwards
//! halted     processes that stand still, and daemons that race for one database
//! ```
//!
//! `HEPH_POWER_ROUNDS`, `HEPH_KILL_ROUNDS` and `HEPH_ERROR_ROUNDS` say how many rounds each part of the matrix runs, and
//! `HEPH_TEST_SEED` replays one.

mod acknowledged;
mod doubtful;
mod full;
mod going_on;
mod halted;
mod matrix;
mod mount;
mod numbers;
mod race;
mod stage;
mod tally;
mod tracer;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Set where a test runs in a mount namespace of its own.
const ALONE: &str = "HEPH_TEST_ALONE";

/// Runs a test in a mount namespace of its own: nobody else sees or keeps what it mounts, and however it ends, that is
/// gone with its last process. `test` is the test itself, which is called again there.
fn alone<T: Fn()>(test: T, body: impl FnOnce()) {
    if !can_run() {
        return;
    }
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let name = std::any::type_name_of_val(&test);
    let name = name.split_once("::").map_or(name, |(_, inside)| inside);
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "--"]).arg(std::env::current_exe().unwrap());
    command.args([name, "--exact", "--nocapture"]).env(ALONE, "1").stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    for line in BufReader::new(child.stdout.take().expect("it is piped")).lines() {
        println!("{}", line.unwrap());
    }
    assert!(child.wait().unwrap().success(), "{name} failed; why stands above");
}

/// Returns whether these tests can run here; if not, says why.
fn can_run() -> bool {
    let lacking = ["strace", "mkfs.ext4", "mount", "umount", "findmnt", "unshare", "perl"]
        .into_iter()
        .find(|tool| !is_there(tool));
    let why = match lacking {
        _ if !cfg!(target_os = "linux") => "this is not Linux".to_owned(),
        _ if !rustix::process::geteuid().is_root() => "this is not root".to_owned(),
        Some(tool) => format!("there is no {tool}"),
        None => return true,
    };
    println!("skipped: {why}");
    false
}

fn is_there(tool: &str) -> bool {
    let found = Command::new("sh").args(["-c", "command -v \"$0\"", tool]).stdout(Stdio::null()).status();
    found.is_ok_and(|status| status.success())
}

/// How many rounds a part runs.
fn rounds(variable: &str, usual: usize) -> usize {
    let set = std::env::var(variable).ok().and_then(|rounds| rounds.parse().ok());
    set.unwrap_or(usual)
}
