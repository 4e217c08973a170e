//! What laptops, disks, networks, clocks and old versions do to a hub and its devices; and that nothing is lost by it.

#![allow(clippy::unwrap_used)] // This is a test: a panic is the report.

mod clocks;
mod healing;
mod kill;
mod skew;
mod which_hub;
