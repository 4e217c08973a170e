//! What the fuzz targets share. Each target in `fuzz_targets/` is one program: it reads bytes, and claims something of
//! what heph makes of them. How to run them is said in `run`.

pub mod furnished;
pub mod http;
pub mod memory;
pub mod strange;
#[path = "../../store/tests/laws/world.rs"]
pub mod world;
