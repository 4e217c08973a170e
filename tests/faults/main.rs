//! What laptops, disks, networks, clocks and old versions do to a hub and its devices; and that nothing is lost by it.

#![allow(clippy::unwrap_used)] // This is a test: a panic is the report.

mod attack;
mod clocks;
mod healing;
mod hub_gone_bad;
mod kill;
mod skew;
mod which_hub;
