//! Both changes of one text, as a text: where a whole text took the place of another, and somebody saves what they made of
//! the one that was.
//!
//! It goes line by line. Where one text took the place of another, words that both have mean nothing, and a line that kept
//! some of them would be torn by who changed the other text there. Of a line that both changed, both stay.

use crate::body::{ClientId, Document};
use std::borrow::Cow;

/// What `ours` and `theirs` made of `base`, in one.
pub(crate) fn merge(base: &str, ours: &str, theirs: &str) -> String {
    // A text that both made of it stands there once; lines that both put into different ones may stand there twice.
    if theirs == base || theirs == ours {
        return ours.to_owned();
    }
    let client = ClientId::from_bits;
    let mut document = Document::empty();
    let begin = document.edit(&whole_lines(base), client(1), usize::MAX);
    begin.iter().for_each(|update| apply(&mut document, update));
    let ours = document.edit_lines(&whole_lines(ours), client(2), usize::MAX);
    let updates = [ours, document.edit_lines(&whole_lines(theirs), client(3), usize::MAX)].concat();
    updates.iter().for_each(|update| apply(&mut document, update));
    let merged = document.text();
    let end = if theirs.ends_with('\n') { None } else { merged.strip_suffix('\n') };
    end.unwrap_or(merged).to_owned()
}

fn apply(document: &mut Document, update: &[u8]) {
    let applied = document.apply(update);
    debug_assert!(applied, "an edit of a document applies to it");
}

/// A text whose last line ends as the others do, so that another that comes after it begins on its own.
fn whole_lines(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.ends_with('\n') { text.into() } else { format!("{text}\n").into() }
}

#[cfg(test)]
mod tests {
    use super::merge;

    #[test]
    fn what_only_one_changed_is_as_they_made_it() {
        for (old, new) in [("a\nb\n", "a\nc\n"), ("a\nb", "a"), ("a", "a\n"), ("", "a"), ("a", ""), ("a b\n", "a\n\nb")]
        {
            assert_eq!(merge(old, old, new), new, "{old:?}");
            assert_eq!(merge(old, new, old), new, "{old:?}");
        }
    }

    #[test]
    fn what_both_made_of_it_alike_stands_there_once() {
        assert_eq!(merge("a\n", "b\nc\n", "b\nc\n"), "b\nc\n");
    }

    #[test]
    fn a_line_that_took_the_place_of_one_like_it_is_not_torn_by_who_takes_that_one_away() {
        let (base, settled) = ("note <15>\nmilk <16>\nmilk <17>\n", "milk <83>\n\ncall <125>\n");
        assert_eq!(merge(base, settled, "note <15>\nmilk <17>\n"), settled);
    }

    #[test]
    fn nor_by_a_line_that_somebody_put_between_two_of_those() {
        let (base, settled) = ("milk <50>\nnote <24>\nnote <88>\n", "note <142>\n");
        let merged = merge(base, settled, "milk <50>\nmilk <145>\nnote <24>\nnote <88>\n");
        assert_eq!(merged, "note <142>\nmilk <145>\n");
    }

    #[test]
    fn of_a_line_that_both_changed_both_stay_on_lines_of_their_own() {
        assert_eq!(merge("a\nb 1", "a\nb 2", "a\nb 3"), "a\nb 2\nb 3");
        assert_eq!(merge("a", "a\nx", "a\ny"), "a\nx\ny");
    }
}
