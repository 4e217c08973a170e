//! What a spoke reads from its hub: the items of a pull, server-sent events, the envelopes. However the bytes are cut,
//! the same comes out of them, bounded; and what was sent as it should be comes back.
#![no_main]

#[path = "../../hephd/src/spoke/hub_client/events.rs"]
mod events;

use arbitrary::Arbitrary;
use events::Lines;
use heph_fuzz::memory;
use heph_store::page;
use hephd::sync::page::{Item, Items, compress, decompress};
use hephd::sync::protocol::{
    DigestAnswer, ForkAnswer, ForkRequest, HeadEvent, HelloAnswer, HelloRequest, OpsRequest, PullRequest, PushAnswer,
    Refusal, VectorAnswer, VectorRequest, VersionAnswer,
};
use hephd::{limits, sync};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Where the stream is cut, by the lengths of its parts.
    cuts: &'a [u8],
    stream: Stream<'a>,
}

#[derive(Debug, Arbitrary)]
enum Stream<'a> {
    Items(Vec<Sent<'a>>),
    RawItems(&'a [u8]),
    Events(&'a [u8]),
    Envelope(&'a str),
}

#[derive(Debug, Arbitrary)]
enum Sent<'a> {
    Whole {
        position: u64,
        page: &'a [u8],
    },
    /// One byte of it was changed on the way.
    Spoilt {
        position: u64,
        page: &'a [u8],
        at: u16,
        by: u8,
    },
    /// Compressed by whoever it was, with a length of their own.
    Packed {
        length: Option<u32>,
        bytes: &'a [u8],
    },
    /// The same byte many times.
    Bomb {
        byte: u8,
        times: u32,
    },
}

/// What one item or page may take on top, in bytes: itself, and a buffer that grows to hold it.
const LARGEST_BYTES: usize = 4 * page::PAGE_BYTES_MAX;

fuzz_target!(|input: Input<'_>| match input.stream {
    Stream::Items(sent) => {
        let (bytes, whole) = stream(&sent);
        memory::within(LARGEST_BYTES + bytes.len(), 2, || pull(&bytes, input.cuts, whole));
    }
    Stream::RawItems(bytes) => memory::within(LARGEST_BYTES + bytes.len(), 2, || {
        pull(bytes, input.cuts, None);
        let _ = decompress(bytes).map(|page| page::decode(&page));
    }),
    Stream::Events(bytes) => memory::within(LARGEST_BYTES + bytes.len(), 16, || heard(bytes, input.cuts)),
    Stream::Envelope(text) => memory::within(text.len(), 256, || envelopes(text)),
});

/// Returns the bytes, and what they are if nothing is wrong with them.
fn stream(sent: &[Sent<'_>]) -> (Vec<u8>, Option<Vec<(u64, usize)>>) {
    let (mut bytes, mut items, mut right) = (Vec::new(), Vec::new(), true);
    for sent in sent.iter().take(8) {
        match sent {
            Sent::Whole { position, page } => {
                bytes.extend(item(*position, page));
                items.push((*position, page.len()));
            }
            Sent::Spoilt { position, page, at, by } => {
                let mut item = item(*position, page);
                let at = usize::from(*at) % item.len();
                item[at] ^= by;
                right &= *by == 0;
                items.push((*position, page.len()));
                bytes.extend(item);
            }
            Sent::Packed { length, bytes: packed } => {
                bytes.extend(length.unwrap_or(packed.len() as u32).to_le_bytes());
                bytes.extend_from_slice(packed);
                right = false;
            }
            Sent::Bomb { byte, times } => {
                let packed = compress(&vec![*byte; *times as usize % (4 << 20)]).expect("zstd compresses");
                bytes.extend((packed.len() as u32).to_le_bytes());
                bytes.extend(packed);
                right = false;
            }
        }
    }
    (bytes, right.then_some(items))
}

fn item(position: u64, page: &[u8]) -> Vec<u8> {
    let packed = compress(page).expect("zstd compresses");
    assert_eq!(decompress(&packed).expect("and takes back"), page);
    Item { position, roll: [7; 32], page: page.to_vec() }.encode().expect("zstd compresses")
}

/// Position and length of each item, and whether the stream is right to its end.
type Pulled = (Vec<(u64, usize)>, bool);

fn pull(bytes: &[u8], cuts: &[u8], sent: Option<Vec<(u64, usize)>>) {
    let pulled = pulled(bytes, &[]);
    assert_eq!(self::pulled(bytes, cuts), pulled, "how it is cut decides what comes");
    if let Some(sent) = sent {
        assert_eq!(pulled, (sent, true), "what is sent comes");
    }
}

fn pulled(bytes: &[u8], cuts: &[u8]) -> Pulled {
    let (mut items, mut got) = (Items::default(), Vec::new());
    for part in parts(bytes, cuts) {
        items.feed(part);
        loop {
            match items.next_item() {
                Ok(Some(item)) => {
                    assert!(item.page.len() <= page::PAGE_BYTES_MAX + limits::ITEM_HEAD_BYTES_MAX);
                    let _ = page::decode(&item.page);
                    got.push((item.position, item.page.len()));
                }
                Ok(None) => break,
                Err(_) => return (got, false),
            }
        }
    }
    (got, items.finish().is_ok())
}

/// The bytes in parts of these lengths, over and over.
fn parts<'a>(mut bytes: &'a [u8], cuts: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let mut lengths = cuts.iter().map(|cut| usize::from(*cut) + 1).cycle();
    std::iter::from_fn(move || {
        let (part, rest) = bytes.split_at(lengths.next().unwrap_or(usize::MAX).min(bytes.len()));
        bytes = rest;
        (!part.is_empty()).then_some(part)
    })
}

fn heard(bytes: &[u8], cuts: &[u8]) {
    let whole = events_in(bytes, &[]);
    assert_eq!(events_in(bytes, cuts), whole, "how it is cut decides what is heard");
    for data in whole.0 {
        let Ok(event) = serde_json::from_str::<HeadEvent>(&data) else { continue };
        if let Some(page) = event.page {
            let _ = decompress(&page.0).map(|page| page::decode(&page));
        }
    }
}

fn events_in(bytes: &[u8], cuts: &[u8]) -> (Vec<String>, bool) {
    let (mut lines, mut got) = (Lines::default(), Vec::new());
    for part in parts(bytes, cuts) {
        lines.feed(part);
        loop {
            match lines.next_event() {
                Ok(Some(data)) => got.push(data),
                Ok(None) => break,
                Err(_) => return (got, false),
            }
        }
    }
    (got, true)
}

fn envelopes(text: &str) {
    prints_back::<HelloRequest>(text);
    prints_back::<HelloAnswer>(text);
    prints_back::<VectorRequest>(text);
    prints_back::<VectorAnswer>(text);
    prints_back::<PullRequest>(text);
    prints_back::<PushAnswer>(text);
    prints_back::<ForkRequest>(text);
    prints_back::<ForkAnswer>(text);
    prints_back::<DigestAnswer>(text);
    prints_back::<OpsRequest>(text);
    prints_back::<HeadEvent>(text);
    prints_back::<VersionAnswer>(text);
    prints_back::<Refusal>(text);
}

fn prints_back<T: Serialize + DeserializeOwned>(text: &str) {
    let Ok(read) = serde_json::from_str::<T>(text) else { return };
    let printed = serde_json::to_string(&read).expect("an envelope can be written");
    let again: T = serde_json::from_str(&printed).expect("and read");
    assert_eq!(serde_json::to_string(&again).ok(), Some(printed));
}
