use super::*;
use sha2::{Digest, Sha256};

/// The hunks: where each stands, how many units it deletes, and how many it inserts.
fn sizes(old: &str, new: &str) -> Vec<(usize, usize, usize)> {
    hunks(old, new).iter().map(|hunk| (hunk.at, hunk.deleted, hunk.inserted.len())).collect()
}

#[test]
fn a_word_among_new_ones_keeps_its_place_up_to_the_limit() {
    let (before, after) = ("a ".repeat(WORDS_MAX / 4), " b".repeat(WORDS_MAX / 4));
    let new = format!("{before}o{after}");
    assert_eq!(sizes("o", &new), [(0, 0, before.len()), (1, 0, after.len())]);
    let more = format!("{before}o{after} ");
    assert_eq!(sizes("o", &more), [(0, 1, more.len())], "one more, and the whole is replaced");
}

#[test]
fn a_line_among_new_ones_keeps_its_place_up_to_the_limit() {
    let (before, after) = ("a\n".repeat(LINES_MAX / 2), "b\n".repeat(LINES_MAX / 2));
    let new = format!("{before}o\n{after}");
    assert_eq!(sizes("o\n", &new), [(0, 0, before.len()), (2, 0, after.len())]);
    let more = format!("{before}o\n{after}b\n");
    assert_eq!(sizes("o\n", &more), [(0, 1, more.len() - 1)], "one more, and all but the last line feed is replaced");
}

#[test]
fn of_two_lines_that_changed_places_one_is_moved_whole() {
    let moved = hunks("first line\nsecond line\nend\n", "second line\nfirst line\nend\n");
    let hunk = |at, deleted, inserted| Hunk { at, deleted, inserted };
    assert_eq!(moved, [hunk(0, 11, ""), hunk(23, 0, "first line\n")]);
}

/// Two devices that import one text write one update, if they find one diff.
#[test]
fn the_diff_of_two_texts_is_always_the_same() {
    let hunk = |at, deleted, inserted| Hunk { at, deleted, inserted };
    assert_eq!(hunks("\n\n", "\na\n\n\n"), [hunk(1, 0, "a\n"), hunk(2, 0, "\n")]);
    assert_eq!(hunks("naïve 中文", "naive 中国文"), [hunk(2, 1, "i"), hunk(7, 0, "国")]);
}

#[test]
fn a_line_goes_as_a_line_where_its_words_also_stand_beside_it() {
    let gone = hunks("note ⟦30⟧\nnote ⟦8⟧note ⟦31⟧\nlast\n", "note ⟦8⟧note ⟦31⟧ and more\nlast\n");
    assert_eq!(gone[0], Hunk { at: 0, deleted: utf16_len("note ⟦30⟧\n"), inserted: "" });
    // Nothing moves over the difference before it, or to where no line begins.
    assert_eq!(
        hunks("b ab ab", "c ab"),
        [Hunk { at: 0, deleted: 1, inserted: "c" }, Hunk { at: 4, deleted: 3, inserted: "" }]
    );
}

#[test]
fn a_line_is_compared_with_the_one_most_like_it_and_the_others_come_and_go_whole() {
    // Of two that are like it by half and by more than half, the second.
    let edited = hunks("Call ⟦s2-25⟧\nnote ⟦s2-26⟧\n", "note ⟦s2-26⟧Call ⟦s1-9⟧\n");
    assert_eq!(edited[0], Hunk { at: 0, deleted: utf16_len("Call ⟦s2-25⟧\n"), inserted: "" });
    assert_eq!((edited.len(), edited[1].deleted), (2, 0));
    // What is less like it than by half is another line.
    assert_eq!(alike(&["a b c"], &["a x y"]), []);
    assert_eq!(alike(&["a b"], &["x", "a y"]), [(0, 1)]);
    assert_eq!(alike(&["a b", "c d"], &["c d", "a b"]), [(1, 0)], "in order");
    assert_eq!(alike(&["a a b c"], &["a x y z"]), [], "a word counts as often as it stands in both");
    assert_eq!(alike(&["--"], &["--"]), [], "what has no word is like nothing");
    assert_eq!(alike(&["a b c d", "a b"], &["a b", "z"]), [(1, 0)], "the one that is more alike");
}

/// Numbers that follow from a seed, the same for ever (splitmix64, Steele, Lea and Flood 2014).
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    }

    fn line(&mut self) -> String {
        const SCRAPS: [&str; 16] = [
            "a", "b", "ab", "call", "milk", "⟦1⟧", "中", "文", "\u{2e7f}", "\u{2e80}", "é", "x1", "-", "--", "🙂", "7",
        ];
        const SPACES: [&str; 5] = [" ", " ", "", ", ", "\t"];
        let scraps = (0..self.below(6)).map(|_| [SCRAPS[self.below(16)], SPACES[self.below(5)]].concat());
        scraps.collect::<String>() + if self.below(12) == 0 { "" } else { "\n" }
    }

    /// An old text and a new one that was made of it.
    fn texts(&mut self) -> (String, String) {
        let old: Vec<String> = (0..self.below(7)).map(|_| self.line()).collect();
        let mut new = old.clone();
        for _ in 0..=self.below(4) {
            let at = self.below(new.len() + 1);
            match self.below(5) {
                0 => new.insert(at, self.line()),
                1 if at < new.len() => drop(new.remove(at)),
                2 if at < new.len() => new.push(new[at].clone()),
                3 if at < new.len() => new.swap(0, at),
                _ if at < new.len() => {
                    let places: Vec<usize> = new[at].char_indices().map(|(place, _)| place).collect();
                    let place = places.get(self.below(places.len() + 1)).copied().unwrap_or(new[at].len());
                    let line = self.line();
                    new[at].insert_str(place, line.trim_end());
                }
                _ => {}
            }
        }
        (old.concat(), new.concat())
    }
}

/// Devices of any version that import one text write one update only if they find one diff: who changes it changes what
/// is written, and sees it here.
#[test]
fn the_diffs_of_twenty_thousand_texts_are_what_they_always_were() {
    let (mut chance, mut all) = (Chance(1), Sha256::new());
    for _ in 0..20_000 {
        let (old, new) = chance.texts();
        let found = hunks(&old, &new);
        let (units, mut end, mut made) = (old.encode_utf16().collect::<Vec<_>>(), 0, Vec::new());
        for (number, hunk) in found.iter().enumerate() {
            assert!(number == 0 || hunk.at > end, "none touches the next: {old:?} {new:?}");
            made.extend_from_slice(&units[end..hunk.at]);
            made.extend(hunk.inserted.encode_utf16());
            end = hunk.at + hunk.deleted;
            all.update(format!("{} {} {:?}\n", hunk.at, hunk.deleted, hunk.inserted));
        }
        made.extend_from_slice(&units[end..]);
        assert_eq!(String::from_utf16(&made).unwrap(), new, "from {old:?}");
        all.update("\n");
    }
    assert_eq!(hex::encode(all.finalize()), "da5a48797afe859e1deb4ad79062b3a3d49a1d9960a5f19f787755f3664172ec");
}

/// Lines that are each edited in one word, so many that with what follows there are `lines`, all in all of `bytes` bytes;
/// at the end two lines that are one, or one that is two, and are like none, but for a word. Returns whether lines were
/// compared with lines: then that word goes, too.
fn compares_lines(lines: usize, bytes: usize, more_old: bool) -> bool {
    let text = |word: &str, others: usize, pad: usize| -> String {
        let edited = (0..lines - 2).map(|number| format!("{word}{number} same{number} also{number}\n"));
        let other = |number: usize| format!("{word} {word}{number}a {word}{number}b {word}{number}c common\n");
        format!("{word} {} also\n", "x".repeat(pad)) + &edited.skip(1).chain((0..others).map(other)).collect::<String>()
    };
    let (old, new) = if more_old { (2, 1) } else { (1, 2) };
    let left = bytes.saturating_sub(text("o", old, 0).len() + text("n", new, 0).len());
    let (before, after) = (text("o", old, left / 2), text("n", new, left / 2));
    // What is odd stands in a word that differs anyway.
    let before = before.replacen("o ", &format!("o{} ", "o".repeat(left % 2)), 1);
    let (begin, found) = (before.find("o o0a").unwrap(), hunks(&before, &after));
    found.last().is_some_and(|hunk| hunk.at == begin && hunk.deleted == before.len() - begin)
}

#[test]
fn lines_are_compared_with_lines_up_to_the_limits() {
    for more_old in [true, false] {
        for (lines, expected) in [(ALIKE_MAX, true), (ALIKE_MAX + 1, false), (ALIKE_MAX + 2, false)] {
            assert_eq!(compares_lines(lines, 0, more_old), expected, "{lines} lines, {more_old}");
        }
        let bytes = ALIKE_WORK_MAX / 50;
        for (bytes, expected) in [(bytes - 1, true), (bytes, true), (bytes + 1, false)] {
            assert_eq!(compares_lines(50, bytes, more_old), expected, "{bytes} bytes, {more_old}");
        }
    }
}
