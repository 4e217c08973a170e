//! heph's daemon: the hub (`--mode server`) and the spoke (`--mode local`) in one binary.
//!
//! Arguments become one valid [`config::Config`]; [`run`] starts it and stops it in order; this file turns what came
//! of it into an exit code: 0 stopped as asked, 1 failed, 2 the arguments make no sense.

mod config;
mod http;
mod hub;
mod limits;
mod lock;
mod observe;
mod run;
mod socket;
mod spoke;
mod sync;
mod writer;

fn main() -> std::process::ExitCode {
    match config::Config::from_arguments() {
        Ok(config) => run::run(config),
        Err(refused) => refused.exit(),
    }
}
