//! The simulator: a hub and its spokes in one process, under one seed, with the store, the sync engine and the pages
//! that the real programs have. What is not real is what fails in life: the disk, the network, the clocks.

#![allow(clippy::unwrap_used)] // This is part of tests: a panic is the report.

pub mod acts;
pub mod aim;
pub mod clock;
pub mod desk;
pub mod disk;
pub mod machine;
pub mod network;
pub mod oracle;
pub mod plan;
pub mod run;
pub mod seeds;
pub mod tally;
