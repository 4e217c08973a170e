//! A bound on the memory that one input may take, held by the allocator: beyond it the program aborts, and libFuzzer
//! keeps the input.

use cap::Cap;
use std::alloc::System;
use std::panic;
use std::sync::Once;

#[global_allocator]
static ALLOCATOR: Cap<System> = Cap::new(System, usize::MAX);

/// So that a broken claim can be reported in full.
static LIFTED_BY_A_PANIC: Once = Once::new();

/// How much one input may ask for on top of what it is given by its size, in bytes.
const BASE_BYTES: usize = 8 * 1024 * 1024;

/// Runs `work` with no more memory at any time than [`BASE_BYTES`] and `factor` times `input_bytes`. Only what Rust
/// allocates counts.
pub fn within<T>(input_bytes: usize, factor: usize, work: impl FnOnce() -> T) -> T {
    LIFTED_BY_A_PANIC.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            lift();
            report(info);
        }));
    });
    let limit = ALLOCATOR.allocated() + BASE_BYTES + factor * input_bytes;
    ALLOCATOR.set_limit(limit).expect("less than the limit is allocated");
    let done = work();
    lift();
    done
}

fn lift() {
    ALLOCATOR.set_limit(usize::MAX).expect("there is no limit any more");
}
