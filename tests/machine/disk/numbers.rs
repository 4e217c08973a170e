//! Chance that can be had again: numbers that follow from a seed.

/// The seed; `HEPH_TEST_SEED` replays another run.
pub fn seed() -> u64 {
    let set = std::env::var("HEPH_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    set.unwrap_or(20_261_120)
}

/// A small generator of numbers (SplitMix64), the same for the same seed.
pub struct Numbers(u64);

impl Numbers {
    /// The numbers of one round of a run.
    pub fn of_round(seed: u64, round: usize) -> Self {
        let mut start = Self(seed);
        Self(start.next() ^ (round as u64).wrapping_mul(0xd6e8_feb8_6659_fd93))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// A number from 1 to `last`.
    pub fn nth(&mut self, last: u64) -> u64 {
        1 + self.below(last)
    }

    /// Yes or no.
    pub fn coin(&mut self) -> bool {
        self.below(2) == 0
    }

    /// Letters that hardly compress.
    pub fn letters(&mut self, count: usize) -> String {
        const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 \n";
        (0..count).map(|_| char::from(ALPHABET[self.below(ALPHABET.len() as u64) as usize])).collect()
    }
}
