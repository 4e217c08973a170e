//! Names and values of registers: parse, print, compare by bytes. What a field means is said elsewhere.

use crate::codec::{Malformed, Reader, put_varint};
use crate::id::{Generation, NodeId};
use jiff::civil::{Date, DateTime};
use std::fmt;

/// The name of a register: 1 to 200 visible ASCII characters, such as `title`, `tag/<node>`, `done/2026-11-20`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Field(Box<str>);

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: &str = $text;)*
    };
}

fields! {
    /// What a node is: `task`, `doc`, `journal`, `project`, `tag`, `entry`, `device`.
    KIND = "kind";
    /// One line that names the node.
    TITLE = "title";
    /// `outstanding`, `done` or `dropped`.
    STATE = "state";
    /// The day (or minute) on which to do a task; for a recurring one, the first.
    DO_DATE = "do_date";
    /// The day from which on a task is late.
    LATE_ON = "late_on";
    /// `red`, `orange`, `white` or `blue`.
    ATTENTION = "attention";
    /// A recurrence rule as [`crate::recur::Rule`] prints it.
    RECURRENCE = "recurrence";
    /// The project a node belongs to.
    PROJECT = "project";
    /// The node that owns this one.
    OF = "of";
    /// What a node is to its owner: `context` or `log`.
    ROLE = "role";
    /// True: deleted. Written by `delete`; `set` may only make it false.
    DELETED = "deleted";
    /// The generation of the body that is shown.
    BODY = "body";
    /// The named vault a note was imported from.
    VAULT = "vault";
    /// A note's path in its vault, as bytes.
    PATH = "path";
    /// On an internal node: the op it names was undone.
    UNDONE = "undone";
}

/// What starts the field of each tag on a node; the tag's node id follows. The value is true, or null.
pub const TAG_PREFIX: &str = "tag/";
/// What starts the field that marks an occurrence of a recurring task; the date follows. The value is the day on
/// which it was done or skipped, or null.
pub const DONE_PREFIX: &str = "done/";
/// What starts the field of an origin that a device has written under.
pub const ORIGIN_PREFIX: &str = "origin/";

impl Field {
    /// Returns the field of this name, or why it cannot be one.
    pub fn new(name: &str) -> Result<Self, Malformed> {
        let fits = (1..=200).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic());
        if fits { Ok(Self(name.into())) } else { Err(Malformed("a field name is 1 to 200 visible ASCII characters")) }
    }

    /// A field whose name is part of this program, or such a prefix with a node id, a date or an origin behind it.
    pub(crate) fn known(name: impl Into<Box<str>>) -> Self {
        Self(name.into())
    }

    /// The field that says that a node carries a tag.
    pub fn tag(tag: NodeId) -> Self {
        Self(format!("{TAG_PREFIX}{tag}").into())
    }

    /// The field that marks one occurrence of a recurring task.
    pub fn done(occurrence: Date) -> Self {
        Self(format!("{DONE_PREFIX}{occurrence}").into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag, if this is the field of one.
    pub fn as_tag(&self) -> Option<NodeId> {
        self.0.strip_prefix(TAG_PREFIX)?.parse().ok()
    }

    /// The occurrence, if this field marks one.
    pub fn as_done(&self) -> Option<Date> {
        self.0.strip_prefix(DONE_PREFIX)?.parse().ok()
    }

    /// Whether all heads of this register count as equal.
    pub fn heads_are_equal(&self) -> bool {
        self.0.starts_with(DONE_PREFIX)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Field({})", self.0)
    }
}

impl std::borrow::Borrow<str> for Field {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What a register can hold. Each value has exactly one encoding, so that values are equal if their bytes are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Nothing: the field was cleared.
    Null,
    /// UTF-8 text.
    Text(String),
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A date: not an instant, the same day in every time zone.
    Date(Date),
    /// A date and a time of day to the second, without a zone.
    DateTime(DateTime),
    /// Another node.
    Node(NodeId),
    /// Bytes, such as a path that is not UTF-8, or a generation.
    Bytes(Vec<u8>),
}

impl Value {
    /// A text value.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// The value of the register `body`.
    pub fn generation(generation: Generation) -> Self {
        Self::Bytes(generation.as_bytes().to_vec())
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    /// The node, if it is one.
    pub fn as_node(&self) -> Option<NodeId> {
        if let Self::Node(node) = self { Some(*node) } else { None }
    }

    /// The day, of a date or of a date and time.
    pub fn as_date(&self) -> Option<Date> {
        match self {
            Self::Date(date) => Some(*date),
            Self::DateTime(at) => Some(at.date()),
            _ => None,
        }
    }

    /// The generation, if the value is 16 bytes.
    pub fn as_generation(&self) -> Option<Generation> {
        if let Self::Bytes(bytes) = self { Generation::from_slice(bytes) } else { None }
    }

    /// The one encoding: a tag byte, then the content.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        match self {
            Self::Null => out.push(0),
            Self::Text(text) => {
                out.push(1);
                out.extend_from_slice(text.as_bytes());
            }
            Self::Bool(yes) => out.extend_from_slice(&[2, u8::from(*yes)]),
            Self::Int(number) => {
                out.push(3);
                put_varint(&mut out, ((number << 1) ^ (number >> 63)) as u64);
            }
            Self::Date(date) => {
                out.push(4);
                put_date(&mut out, *date);
            }
            Self::DateTime(at) => {
                out.push(5);
                put_date(&mut out, at.date());
                out.extend_from_slice(&[at.hour() as u8, at.minute() as u8, at.second() as u8]);
            }
            Self::Node(node) => {
                out.push(6);
                out.extend_from_slice(node.as_bytes());
            }
            Self::Bytes(bytes) => {
                out.push(7);
                out.extend_from_slice(bytes);
            }
        }
        out
    }

    /// Reads the one encoding back, or says why this version cannot.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let value = match reader.byte()? {
            0 => Self::Null,
            1 => {
                let text = std::str::from_utf8(reader.take(reader.rest().len())?);
                Self::Text(text.map_err(|_| Malformed("a text that is not UTF-8"))?.to_owned())
            }
            2 => match reader.byte()? {
                0 => Self::Bool(false),
                1 => Self::Bool(true),
                _ => return Err(Malformed("neither true nor false")),
            },
            3 => {
                let folded = reader.varint()?;
                Self::Int((folded >> 1) as i64 ^ -((folded & 1) as i64))
            }
            4 => Self::Date(take_date(&mut reader)?),
            5 => {
                let date = take_date(&mut reader)?;
                let [hour, minute, second] = reader.array()?.map(|byte: u8| byte as i8);
                let time = jiff::civil::Time::new(hour, minute, second, 0);
                Self::DateTime(date.to_datetime(time.map_err(|_| Malformed("no such time of day"))?))
            }
            6 => Self::Node(NodeId::from_bytes(reader.array()?)),
            7 => Self::Bytes(reader.take(reader.rest().len())?.to_vec()),
            _ => return Err(Malformed("a type of value that this version does not know")),
        };
        reader.end()?;
        Ok(value)
    }
}

/// Year (two bytes, big-endian, 0 to 9999), month, day.
fn put_date(out: &mut Vec<u8>, date: Date) {
    let year = u16::try_from(date.year().max(0)).unwrap_or_default();
    out.extend_from_slice(&year.to_be_bytes());
    out.extend_from_slice(&[date.month() as u8, date.day() as u8]);
}

fn take_date(reader: &mut Reader<'_>) -> Result<Date, Malformed> {
    let [high, low, month, day] = reader.array()?;
    let year = i16::try_from(u16::from_be_bytes([high, low])).map_err(|_| Malformed("no such year"))?;
    Date::new(year, month as i8, day as i8).map_err(|_| Malformed("no such date"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_type_of_value_reads_back() {
        let values = [
            Value::Null,
            Value::text("Grüße"),
            Value::Bool(true),
            Value::Int(i64::MIN),
            Value::Int(-1),
            Value::Date(jiff::civil::date(2026, 2, 28)),
            Value::DateTime(jiff::civil::date(2026, 12, 1).at(14, 30, 5, 0)),
            Value::Node(NodeId::from_bytes([9; 16])),
            Value::Bytes(vec![0xff, 0]),
        ];
        for value in values {
            assert_eq!(Value::decode(&value.encode()).unwrap(), value);
        }
    }

    proptest! {
        #[test]
        fn what_decodes_has_one_encoding(bytes in proptest::collection::vec(any::<u8>(), 0..12)) {
            if let Ok(value) = Value::decode(&bytes) {
                prop_assert_eq!(value.encode(), bytes);
            }
        }
    }
}
