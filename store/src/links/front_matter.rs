//! The YAML between two lines of dashes at the very beginning of a text.

use super::Reading;
use crate::natural::is_white_space;
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};

/// The longest front matter whose YAML is read, in bytes; a longer one is skipped like one that does not parse.
const YAML_BYTES_MAX: usize = 64 * 1024;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// Reads the front matter, if there is one, and returns where the text behind it begins.
///
/// Its properties are all read or, where the YAML is malformed, none; keys in either case of letters.
pub(super) fn read(text: &str, reading: &mut Reading) -> usize {
    let start = if text.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len_utf8() } else { 0 };
    let Some((yaml, length)) = split(&text[start..]) else { return start };
    reading.front_matter = Some(start..start + length);
    if yaml.len() <= YAML_BYTES_MAX {
        for (name, value) in properties(yaml).unwrap_or_default() {
            take(reading, &name.to_lowercase(), value);
        }
    }
    start + length
}

/// Returns the YAML, and the length of the front matter with its lines of dashes.
fn split(text: &str) -> Option<(&str, usize)> {
    let dashes = |line: &str| line.trim_end() == "---";
    let mut lines = text.split_inclusive('\n');
    let first = lines.next().filter(|line| dashes(line) && line.ends_with('\n'))?.len();
    let mut end = first;
    for line in lines {
        if dashes(line) {
            return Some((&text[first..end], end + line.len()));
        }
        end += line.len();
    }
    None
}

/// The value of a property, as far as it is text. Scalars are what stands there: `1.10` is not a number here.
enum Value {
    Text(String),
    List(Vec<String>),
}

fn take(reading: &mut Reading, name: &str, value: Value) {
    let comma = |c: char| c == ',' || c == '\n';
    match (name, value) {
        ("aliases" | "alias", Value::Text(text)) => reading.aliases.extend(items(text.split(comma))),
        ("aliases" | "alias", Value::List(list)) => reading.aliases.extend(items(list.iter().map(String::as_str))),
        ("tags" | "tag", Value::Text(text)) => {
            let words = text.split(|c| comma(c) || is_white_space(c));
            reading.tags.extend(tags(words));
        }
        ("tags" | "tag", Value::List(list)) => reading.tags.extend(tags(list.iter().map(String::as_str))),
        ("permalink", Value::Text(text)) => reading.permalink = items([text.as_str()].into_iter()).next(),
        _ => {}
    }
}

fn items<'a>(list: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    list.map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned)
}

/// Tags are written with and without `#`, and with a comma that belongs to no list.
fn tags<'a>(list: impl Iterator<Item = &'a str>) -> impl Iterator<Item = String> {
    items(list.map(|tag| tag.trim().trim_start_matches('#').trim_end_matches(',')))
}

/// Returns the properties that are text or lists of text; `None` where the YAML is malformed or no mapping.
fn properties(yaml: &str) -> Option<Vec<(String, Value)>> {
    let mut events = Events(Parser::new_from_str(yaml));
    loop {
        match events.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            Event::MappingStart(..) => break,
            _ => return None,
        }
    }
    let mut properties = Vec::new();
    loop {
        let name = match events.next()? {
            Event::MappingEnd => break,
            Event::Scalar(name, ..) => Some(name.into_owned()),
            other => events.skip(&other).map(|()| None)?,
        };
        let value = events.value()?;
        properties.extend(name.zip(value));
    }
    // What follows the mapping has to parse, too.
    while !matches!(events.next()?, Event::StreamEnd) {}
    Some(properties)
}

/// The parser's events, up to the first error.
struct Events<'a>(Parser<'a, StrInput<'a>>);

impl<'a> Events<'a> {
    fn next(&mut self) -> Option<Event<'a>> {
        self.0.next_event()?.ok().map(|(event, _)| event)
    }

    /// Reads one value; `Some(None)` if it is neither text nor a list.
    fn value(&mut self) -> Option<Option<Value>> {
        match self.next()? {
            Event::Scalar(text, style, ..) => Some(Some(Value::Text(plain(text.into_owned(), style)))),
            Event::SequenceStart(..) => self.list().map(|list| Some(Value::List(list))),
            other => self.skip(&other).map(|()| None),
        }
    }

    fn list(&mut self) -> Option<Vec<String>> {
        let mut list = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Some(list),
                Event::Scalar(text, style, ..) => list.push(plain(text.into_owned(), style)),
                other => self.skip(&other)?,
            }
        }
    }

    /// Passes over the rest of the collection that `first` begins.
    fn skip(&mut self, first: &Event<'_>) -> Option<()> {
        let mut depth = nesting(first);
        while depth > 0 {
            depth += nesting(&self.next()?);
        }
        Some(())
    }
}

/// By how much deeper an event leads.
fn nesting(event: &Event<'_>) -> i64 {
    match event {
        Event::SequenceStart(..) | Event::MappingStart(..) => 1,
        Event::SequenceEnd | Event::MappingEnd => -1,
        _ => 0,
    }
}

/// Returns a scalar's text; YAML's words for nothing are nothing, unless quoted.
fn plain(text: String, style: ScalarStyle) -> String {
    let nothing = style == ScalarStyle::Plain && ["~", "null", "Null", "NULL"].contains(&text.as_str());
    if nothing { String::new() } else { text }
}
