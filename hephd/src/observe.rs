//! What the daemon says about itself: traces on standard error, chosen by `RUST_LOG`. Traces hold ids, counts and
//! times; never a token, a key, a header, or anything that a person wrote.
//!
//! There is no `/metrics` yet: numbers about a person's data belong behind the gate, and come with its tokens.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// What is traced unless `RUST_LOG` says otherwise.
const FILTER: &str = "warn,hephd=info,heph_store=info";

/// Starts tracing; called once, before anything else.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(FILTER));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
