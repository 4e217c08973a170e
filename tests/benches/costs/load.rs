//! The work: tasks of five fields with titles of a person's length and variety, from a fixed seed, one op each.

use heph_store::Error;
use heph_store::env::SystemEnv;
use heph_store::field::{Field, Value};
use heph_store::replica::Replica;
use jiff::civil::date;
use std::path::Path;
use std::sync::Arc;

const VERBS: &[&str] = &[
    "Call", "Write to", "Pay", "Mend", "Order", "Read", "Plan", "Book", "Return", "Clean", "Sort", "Ask", "Measure",
    "Paint",
];
const THINGS: &[&str] = &[
    "the plumber",
    "Aunt Vera",
    "the electricity bill",
    "the garden gate",
    "seed potatoes",
    "the chapter on soil",
    "a weekend in the hills",
    "the dentist",
    "library books",
    "the gutter",
    "old photographs",
    "the landlord about the cellar",
    "the back window",
    "the shed",
];
const ENDS: &[&str] = &[
    "",
    " before it rains",
    " (second reminder)",
    ", and note what it cost",
    " with Jo",
    " — only if the weather holds",
    " this time for good",
    " at the corner shop",
];
const ATTENTION: &[&str] = &["white", "white", "white", "blue", "orange", "red"];

/// A small generator (xorshift): the same work on every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % sides
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.roll(words.len())]
    }
}

/// Writes so many tasks into the replica at `path`, a hundred to a commit.
pub fn fill(path: &Path, tasks: usize) {
    let mut replica = Replica::open(path, Arc::new(SystemEnv)).unwrap();
    let field = |name: &str| Field::new(name).unwrap();
    let (kind, title, state, do_date, attention) =
        (field("kind"), field("title"), field("state"), field("do_date"), field("attention"));
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let mut left = tasks;
    while left > 0 {
        let batch = left.min(100);
        left -= batch;
        let written = replica.group(|group| {
            for n in 0..batch {
                let words = format!("{} {}{} {}", dice.pick(VERBS), dice.pick(THINGS), dice.pick(ENDS), left + n);
                let day = date(2026 + dice.roll(2) as i16, 1 + dice.roll(12) as i8, 1 + dice.roll(28) as i8);
                let colour = dice.pick(ATTENTION);
                let task = group.write(|draft| {
                    let node = draft.fresh_node();
                    draft.set(node, &kind, Value::text("task"))?;
                    draft.set(node, &title, Value::text(words))?;
                    draft.set(node, &state, Value::text("outstanding"))?;
                    draft.set(node, &do_date, Value::Date(day))?;
                    draft.set(node, &attention, Value::text(colour))
                });
                task.map_err(|error: Error| error.to_string()).unwrap();
            }
        });
        written.unwrap();
    }
}
