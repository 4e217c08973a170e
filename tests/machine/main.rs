//! What a machine can do to the real programs: disks that fail, fill up or lose power, and networks of their own. These
//! tests mount file systems, trace system calls and make network namespaces, so they need root on Linux; as anybody
//! else each says why it cannot run, and counts as skipped.
//!
//! They are not part of `cargo test`: run `cargo test -p heph-tests --test machine`.

#![allow(clippy::unwrap_used)] // This is part of tests: a panic is the report.

mod disk;
mod net;
