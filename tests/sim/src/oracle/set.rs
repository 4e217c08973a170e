//! A set of ops, by the numbers that the model gives them.

use crate::oracle::OpNumber;

/// A set of ops: one bit each.
#[derive(Debug, Clone, Default)]
pub struct Set {
    words: Vec<u64>,
    len: usize,
}

impl Set {
    /// Adds an op; whether it is new.
    pub fn insert(&mut self, op: OpNumber) -> bool {
        let (word, bit) = place(op);
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.len += usize::from(new);
        new
    }

    /// Whether an op is in it.
    pub fn contains(&self, op: OpNumber) -> bool {
        let (word, bit) = place(op);
        self.words.get(word).is_some_and(|found| found & bit != 0)
    }

    /// How many ops are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no op is in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ops, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = OpNumber> + '_ {
        let bits = |word: u64| (0..64).filter(move |bit| word >> bit & 1 == 1);
        self.words.iter().enumerate().flat_map(move |(at, word)| bits(*word).map(move |bit| at as OpNumber * 64 + bit))
    }

    /// An op that is in this set and not in `other`.
    pub fn first_beyond(&self, other: &Self) -> Option<OpNumber> {
        self.iter().find(|op| !other.contains(*op))
    }
}

/// Equal if the same ops are in both, however far the bits reach.
impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.len == other.len && self.first_beyond(other).is_none()
    }
}

impl Eq for Set {}

impl FromIterator<OpNumber> for Set {
    fn from_iter<I: IntoIterator<Item = OpNumber>>(ops: I) -> Self {
        let mut set = Self::default();
        for op in ops {
            set.insert(op);
        }
        set
    }
}

fn place(op: OpNumber) -> (usize, u64) {
    (op as usize / 64, 1 << (op % 64))
}
