//! What hub and spoke say to each other: the JSON envelopes ([`protocol`]) and the pages of ops ([`page`]). Both sides
//! use the same types, so that neither can drift from the other. Nothing here knows of tokens or of SQL.

pub mod page;
pub mod protocol;
pub mod text;
