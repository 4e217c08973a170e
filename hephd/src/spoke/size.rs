//! How large pages may be on their way to one hub: as large as usual, until something on the way answers that one was
//! too large; then smaller, and larger again by and by. It has no clock: times come in from outside.

use crate::limits::PAGE_BYTES_MIN;
use heph_store::page::PAGE_BYTES_AIM;

/// After so many pages that were taken, twice the size is tried.
const GROW_AFTER: u32 = 16;
/// How long a size that was too large is not tried again, in milliseconds.
const REMEMBERED_MS: u64 = 3_600_000;

/// What a page aims at, in bytes before compression.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    bytes: usize,
    /// Pages of this size that were taken.
    taken: u32,
    /// A size that was too large, and when it was, in Unix milliseconds.
    too_large: Option<(usize, u64)>,
}

impl Default for Size {
    fn default() -> Self {
        Self { bytes: PAGE_BYTES_AIM, taken: 0, too_large: None }
    }
}

impl Size {
    /// What a page aims at; the smallest page, at 0, is one stretch.
    pub fn bytes(self) -> usize {
        self.bytes
    }

    /// Makes pages smaller, because one was too large; says whether they can be.
    pub fn shrink(&mut self, now_ms: u64) -> bool {
        let can = self.bytes > 0;
        *self = Self { bytes: self.bytes / 4, taken: 0, too_large: Some((self.bytes, now_ms)) };
        can
    }

    /// Takes note of a page that was taken.
    pub fn took(&mut self, now_ms: u64) {
        self.taken += 1;
        if self.bytes >= PAGE_BYTES_AIM || self.taken < GROW_AFTER {
            return;
        }
        self.taken = 0;
        let larger = (2 * self.bytes).clamp(PAGE_BYTES_MIN, PAGE_BYTES_AIM);
        let remembered = |(bytes, at_ms): (usize, u64)| larger >= bytes && now_ms.abs_diff(at_ms) < REMEMBERED_MS;
        if !self.too_large.is_some_and(remembered) {
            self.bytes = larger;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn took(size: &mut Size, pages: u32, now_ms: u64) -> usize {
        (0..pages).for_each(|_| size.took(now_ms));
        size.bytes()
    }

    #[test]
    fn pages_grow_again_below_what_was_too_large_and_beyond_it_after_an_hour() {
        let mut size = Size::default();
        assert_eq!(took(&mut size, 100, 0), PAGE_BYTES_AIM);
        assert!(size.shrink(0));
        assert_eq!(size.bytes(), PAGE_BYTES_AIM / 4);
        assert_eq!(took(&mut size, GROW_AFTER - 1, 1), PAGE_BYTES_AIM / 4);
        assert_eq!(took(&mut size, 1, 1), PAGE_BYTES_AIM / 2);
        assert_eq!(took(&mut size, 10 * GROW_AFTER, REMEMBERED_MS - 1), PAGE_BYTES_AIM / 2, "the whole was too large");
        assert_eq!(took(&mut size, GROW_AFTER, REMEMBERED_MS), PAGE_BYTES_AIM, "which is an hour ago");
    }

    #[test]
    fn the_smallest_page_is_the_end_and_not_for_ever() {
        let mut size = Size::default();
        let shrunk = (0..64).take_while(|_| size.shrink(0)).count();
        assert_eq!(size.bytes(), 0);
        assert!(shrunk < 16, "{shrunk}");
        assert_eq!(took(&mut size, GROW_AFTER, REMEMBERED_MS), PAGE_BYTES_MIN);
    }
}
