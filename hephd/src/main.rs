//! The program: arguments become one valid [`config::Config`]; [`run`] starts it and stops it in order; this file turns
//! what came of it into an exit code: 0 stopped as asked, 1 failed, 2 the arguments make no sense.

use hephd::{config, run};

fn main() -> std::process::ExitCode {
    match config::Config::from_arguments() {
        Ok(config) => run::run(config),
        Err(refused) => refused.exit(),
    }
}
