//! The seam: the only place where time and randomness enter the crate, so that a simulation can own both.

use crate::id::Stamp;

/// Where a replica takes time and randomness from.
pub trait Env: Send + Sync {
    /// The clock, in Unix milliseconds; 0 if it stands before 1970.
    fn now(&self) -> Stamp;

    /// Fills `bytes` with randomness fit for keys.
    fn random(&self, bytes: &mut [u8]);
}

/// So many random bytes.
pub fn random<const N: usize>(env: &dyn Env) -> [u8; N] {
    let mut bytes = [0; N];
    env.random(&mut bytes);
    bytes
}

/// The machine's own clock and randomness.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemEnv;

impl Env for SystemEnv {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn now(&self) -> Stamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Stamp::from_millis(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }

    fn random(&self, bytes: &mut [u8]) {
        // A machine without randomness cannot make keys, and there is nothing sensible to do instead.
        getrandom::fill(bytes).expect("the operating system supplies randomness");
    }
}
