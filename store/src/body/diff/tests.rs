use super::*;

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
