//! Server-sent events, as much of them as the hub sends: bytes in, the data of `head` events out. Bounded, whatever
//! the other side sends.

use crate::limits::EVENT_PAGE_BYTES_MAX;
use crate::sync::protocol::HEAD_EVENT;

/// The longest line: an event with an inline page in base64, and the rest of its JSON.
const LINE_BYTES_MAX: usize = EVENT_PAGE_BYTES_MAX * 4 / 3 + 4 * 1024;
/// The longest event: its lines together.
const EVENT_BYTES_MAX: usize = 2 * LINE_BYTES_MAX;

/// A stream that is not one of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEvents {
    /// A line or an event beyond its limit.
    #[error("an event of more than {EVENT_BYTES_MAX} bytes")]
    TooLong,
    /// Bytes that are not text.
    #[error("an event that is not UTF-8")]
    NotText,
}

/// Takes bytes as they arrive, gives events as they are complete.
#[derive(Debug, Default)]
pub struct Lines {
    waiting: Vec<u8>,
    kind: String,
    data: String,
}

impl Lines {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Returns the data of the next `head` event that is complete; events of other kinds are passed over.
    ///
    /// # Errors
    /// If a line is too long or no text. Nothing after that can be read.
    pub fn next_event(&mut self) -> Result<Option<String>, BadEvents> {
        while let Some(line) = self.next_line()? {
            if let Some(data) = self.take(&line)? {
                return Ok(Some(data));
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<String>, BadEvents> {
        let end = self.waiting.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(self.waiting.len()) > LINE_BYTES_MAX {
            return Err(BadEvents::TooLong);
        }
        let Some(end) = end else { return Ok(None) };
        let line: Vec<u8> = self.waiting.drain(..=end).collect();
        let line = String::from_utf8(line).map_err(|_| BadEvents::NotText)?;
        Ok(Some(line.trim_end_matches(['\n', '\r']).to_owned()))
    }

    /// Takes a line in; an empty one ends the event.
    fn take(&mut self, line: &str) -> Result<Option<String>, BadEvents> {
        if line.is_empty() {
            let (kind, data) = (std::mem::take(&mut self.kind), std::mem::take(&mut self.data));
            return Ok((kind == HEAD_EVENT && !data.is_empty()).then_some(data));
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => self.kind = value.to_owned(),
            "data" if self.data.is_empty() => self.data = value.to_owned(),
            "data" => self.data = format!("{}\n{value}", self.data),
            // Comments (signs of life), `id`, `retry`, and what newer hubs may add.
            _ => {}
        }
        if self.data.len() > EVENT_BYTES_MAX { Err(BadEvents::TooLong) } else { Ok(None) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const STREAM: &[u8] =
        b": alive\n\nevent: head\ndata: {\"a\":1}\n\nevent: other\ndata: x\n\nevent: head\r\ndata:1\r\ndata: 2\r\n\r\n";

    #[test]
    fn events_come_back_however_the_bytes_are_cut() {
        for step in [1, 3, STREAM.len()] {
            let (mut lines, mut got) = (Lines::default(), Vec::new());
            for chunk in STREAM.chunks(step) {
                lines.feed(chunk);
                while let Some(event) = lines.next_event().unwrap() {
                    got.push(event);
                }
            }
            assert_eq!(got, ["{\"a\":1}", "1\n2"], "step {step}");
        }
    }

    #[test]
    fn a_line_without_end_and_an_event_without_end_are_refused() {
        let mut lines = Lines::default();
        lines.feed(&vec![b'a'; LINE_BYTES_MAX + 1]);
        assert_eq!(lines.next_event(), Err(BadEvents::TooLong));
        let mut lines = Lines::default();
        for _ in 0..4 {
            lines.feed(format!("data: {}\n", "a".repeat(LINE_BYTES_MAX - 10)).as_bytes());
        }
        assert_eq!(lines.next_event(), Err(BadEvents::TooLong));
    }

    #[test]
    fn bytes_that_are_no_text_are_refused() {
        let mut lines = Lines::default();
        lines.feed(b"data: \xff\n");
        assert_eq!(lines.next_event(), Err(BadEvents::NotText));
    }
}
