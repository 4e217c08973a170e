//! A run of consecutive ids with one place, on its way into the list or in it.

use super::wire::Id;

/// Where the units of an item stand in the list's units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Units(usize),
    /// Deleted, and the text is not known.
    Deleted,
    /// Deleted, and not in the list: only the ids are taken.
    Gone,
}

/// A struct on its way into the list.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece {
    pub id: Id,
    pub len: u32,
    pub origin: Option<Id>,
    pub right_origin: Option<Id>,
    pub content: Content,
}

impl Piece {
    /// Returns what is left from the unit `at` on.
    pub fn without_first(self, at: u32) -> Piece {
        let content = match self.content {
            Content::Units(start) => Content::Units(start + at as usize),
            other => other,
        };
        let origin = if at == 0 { self.origin } else { Some(self.id.plus(at - 1)) };
        Piece { id: self.id.plus(at), len: self.len - at, origin, content, ..self }
    }

    /// Returns the first `len` units.
    pub fn first(self, len: u32) -> Piece {
        Piece { len, ..self }
    }
}
