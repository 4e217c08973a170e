//! The Markdown behind the front matter: one pass over the parser's events.

use super::{Check, Heading, Link, Reading};
use crate::natural::tag_key;
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::HashSet;
use std::ops::Range;

/// Tables are left out on purpose: a `|` inside a link would end a cell, and nothing here needs cells.
const OPTIONS: Options = Options::ENABLE_WIKILINKS
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_MATH);

/// Reads `text` from the byte `start` on.
pub(super) fn read(text: &str, start: usize, reading: &mut Reading) {
    let mut reader = Reader::new(text, reading);
    for (event, range) in Parser::new_ext(&text[start..], OPTIONS).into_offset_iter() {
        reader.event(event, start + range.start..start + range.end);
    }
    reader.end_run();
}

struct Reader<'a> {
    text: &'a str,
    reading: &'a mut Reading,
    /// Keys of the tags met so far.
    tags: HashSet<String>,
    /// Text that the parser gave in pieces, though nothing stands between them.
    run: Range<usize>,
    /// Whether a tag may begin where the next run does, whatever stands before it: markup that opens does.
    opens: bool,
    /// The links around the current text; of a Markdown link, whose alias that text is, the place in `reading.links`.
    open_links: Vec<Option<usize>>,
    in_code: bool,
    in_heading: bool,
    in_check: bool,
}

impl<'a> Reader<'a> {
    fn new(text: &'a str, reading: &'a mut Reading) -> Reader<'a> {
        let mut tags = HashSet::new();
        reading.tags.retain(|tag| tags.insert(tag_key(tag)));
        Reader {
            text,
            reading,
            tags,
            run: 0..0,
            opens: true,
            open_links: Vec::new(),
            in_code: false,
            in_heading: false,
            in_check: false,
        }
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        if let Event::Text(shown) = &event {
            self.show(shown);
            return self.text(range);
        }
        self.end_run();
        self.opens = matches!(event, Event::Start(_));
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Code(shown) | Event::InlineMath(shown) => self.show(&shown),
            Event::SoftBreak | Event::HardBreak => self.show(" "),
            Event::TaskListMarker(done) => {
                self.reading.checklist.push(Check { done, text: String::new(), range });
                self.in_check = true;
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: Range<usize>) {
        match tag {
            Tag::CodeBlock(_) => self.in_code = true,
            Tag::Heading { level, .. } => {
                self.reading.headings.push(Heading { level: level as u8, text: String::new(), range });
                self.in_heading = true;
            }
            Tag::List(_) => self.in_check = false,
            Tag::Link { link_type, dest_url, .. } => self.open_link(link_type, &dest_url, false, range),
            Tag::Image { link_type, dest_url, .. } => self.open_link(link_type, &dest_url, true, range),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::CodeBlock => self.in_code = false,
            TagEnd::Heading(_) => {
                self.in_heading = false;
                trim(self.reading.headings.last_mut().map(|heading| &mut heading.text));
            }
            TagEnd::Paragraph | TagEnd::Item => {
                self.in_check = false;
                trim(self.reading.checklist.last_mut().map(|check| &mut check.text));
            }
            TagEnd::Link | TagEnd::Image => {
                if let Some(Some(place)) = self.open_links.pop() {
                    trim(self.reading.links[place].alias.as_mut());
                }
            }
            _ => {}
        }
    }

    fn open_link(&mut self, kind: LinkType, destination: &str, embed: bool, range: Range<usize>) {
        let place = self.reading.links.len();
        let (link, alias_of) = match kind {
            LinkType::WikiLink { .. } => (wikilink(&self.text[range.clone()], embed, range), None),
            LinkType::Autolink | LinkType::Email => (None, None),
            _ => (markdown_link(destination, embed, range), Some(place)),
        };
        self.open_links.push(alias_of.filter(|_| link.is_some()));
        self.reading.links.extend(link);
    }

    /// Adds to the texts that are being shown: of a heading, of a check, of a Markdown link.
    fn show(&mut self, shown: &str) {
        if self.in_code {
            return;
        }
        if self.in_heading
            && let Some(heading) = self.reading.headings.last_mut()
        {
            heading.text.push_str(shown);
        }
        if self.in_check
            && let Some(check) = self.reading.checklist.last_mut()
        {
            check.text.push_str(shown);
        }
        if let Some(Some(place)) = self.open_links.last() {
            self.reading.links[*place].alias.get_or_insert_default().push_str(shown);
        }
    }

    fn text(&mut self, range: Range<usize>) {
        if self.in_code || !self.open_links.is_empty() {
            self.opens = false;
        } else if self.run.end == range.start && !self.run.is_empty() {
            self.run.end = range.end;
        } else {
            self.end_run();
            self.run = range;
        }
    }

    /// Reads the tags, and the block id, of the text that ends here.
    fn end_run(&mut self) {
        let run = std::mem::replace(&mut self.run, 0..0);
        if run.is_empty() {
            return;
        }
        let before = self.text[..run.start].chars().next_back();
        let escaped = before == Some('\\');
        let free = before.is_none_or(char::is_whitespace) || (self.opens && !escaped);
        self.opens = false;
        let (text, rest) = (&self.text[run.clone()], &self.text[run.end..]);
        for tag in tags(text, free) {
            if self.tags.insert(tag_key(tag)) {
                self.reading.tags.push(tag.to_owned());
            }
        }
        if rest.is_empty() || rest.starts_with(['\n', '\r']) {
            self.reading.blocks.extend(block(text).filter(|_| !escaped));
        }
    }
}

fn trim(text: Option<&mut String>) {
    if let Some(text) = text {
        *text = text.trim().to_owned();
    }
}

/// Reads `[[target|alias]]` or `![[target|alias]]` from its source: neither escapes nor entities mean anything in it,
/// but for `\|`, which people write inside tables.
fn wikilink(source: &str, embed: bool, range: Range<usize>) -> Option<Link> {
    let inner = source.trim_start_matches('!').strip_prefix("[[")?.strip_suffix("]]")?;
    if inner.contains('\n') {
        return None;
    }
    let (target, alias) = match inner.split_once('|') {
        Some((target, alias)) => (target.strip_suffix('\\').unwrap_or(target), non_empty(alias)),
        None => (inner, None),
    };
    place(target, str::to_owned).map(|link| Link { alias, embed, range, ..link })
}

/// Reads the destination of a Markdown link, if that is a note: no address, and no file but `.md`.
fn markdown_link(destination: &str, embed: bool, range: Range<usize>) -> Option<Link> {
    let path = destination.split('#').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let is_note = name.rsplit_once('.').is_none_or(|(_, extension)| extension.eq_ignore_ascii_case("md"));
    if destination.starts_with("//") || has_scheme(path) || !is_note {
        return None;
    }
    place(destination, percent_decoded).map(|link| Link { embed, range, ..link })
}

/// Reads `note#heading`, `note#^block` or `#heading`, each part through `decode`; `None` if nothing is named.
fn place(target: &str, decode: impl Fn(&str) -> String) -> Option<Link> {
    let (note, inside) = target.split_once('#').unwrap_or((target, ""));
    let (heading, block) = match inside.strip_prefix('^') {
        Some(block) => ("", block),
        None => inside.split_once("#^").unwrap_or((inside, "")),
    };
    let part = |text: &str| non_empty(&decode(text));
    let link = Link {
        target: part(note).unwrap_or_default(),
        heading: part(heading.trim_matches('#')),
        block: part(block),
        alias: None,
        embed: false,
        range: 0..0,
    };
    (!link.target.is_empty() || link.heading.is_some() || link.block.is_some()).then_some(link)
}

fn non_empty(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Says whether an address begins like `https:`.
fn has_scheme(address: &str) -> bool {
    address.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c))
    })
}

/// Returns the text with `%20` and the like decoded, or as it is where that would not be UTF-8.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let decoded = after.split_at_checked(2).filter(|_| byte == b'%').and_then(|(digits, after)| {
            let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
            Some((u8::from_str_radix(digits, 16).ok()?, after))
        });
        let (byte, after) = decoded.unwrap_or((byte, after));
        bytes.push(byte);
        rest = after;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

/// Returns the tags in a stretch of plain text, without `#`. A tag begins after white space, where the text begins if
/// that is `free`, or where another tag ends; it is not made of digits alone.
fn tags(text: &str, free: bool) -> impl Iterator<Item = &str> {
    let mut may_begin_at = if free { Some(0) } else { None };
    text.match_indices('#').filter_map(move |(hash, _)| {
        let free = may_begin_at == Some(hash) || text[..hash].ends_with(char::is_whitespace);
        let rest = &text[hash + 1..];
        let length = rest.find(|c| !in_tag(c)).unwrap_or(rest.len());
        let name = rest[..length].trim_end_matches('/');
        let is_tag = free && name.contains(|c: char| !c.is_numeric() && c != '/');
        if is_tag {
            may_begin_at = Some(hash + 1 + length);
        }
        is_tag.then_some(name)
    })
}

/// What a tag is made of: letters, digits, `_`, `-`, `/`, and signs beyond ASCII that are not punctuation.
fn in_tag(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || "_-/".contains(c);
    }
    let joiner = '\u{200d}';
    let punctuation = matches!(c,
        '\u{80}'..='\u{a9}' | '\u{ab}'..='\u{b1}' | '\u{b4}' | '\u{b6}'..='\u{b8}' | '\u{bb}' | '\u{bf}'
        | '\u{2000}'..='\u{206f}' | '\u{2e00}'..='\u{2e7f}' | '\u{3000}'..='\u{303f}'
        | '\u{ff00}'..='\u{ff0f}' | '\u{ff1a}'..='\u{ff20}' | '\u{ff3b}'..='\u{ff40}' | '\u{ff5b}'..='\u{ff65}');
    c == joiner || (!punctuation && !c.is_whitespace())
}

/// Returns the `id` of a text that ends with `^id`, apart from the words before it.
fn block(text: &str) -> Option<String> {
    let (before, id) = text.trim_end().rsplit_once('^')?;
    let apart = before.is_empty() || before.ends_with(char::is_whitespace);
    let readable = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (apart && readable).then(|| id.to_owned())
}
