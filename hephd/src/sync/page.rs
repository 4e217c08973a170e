//! Pages as they travel: compressed one by one, and in the answer to a pull each with its length, the position after
//! it in the sender's log, and the rolling hash there. Reading is bounded before anything is allocated.
//!
//! ```text
//! push, ops:  zstd(page)
//! pull:       item item … end        item = u32 LE length, zstd(varint position, 32 bytes of rolling hash, page)
//!                                    end  = an item without a page: the end of the log
//! ```

use crate::limits::{ITEM_HEAD_BYTES_MAX, PAGE_WIRE_BYTES_MAX};
use heph_store::{
    codec::{Malformed, Reader, put_varint},
    page::PAGE_BYTES_MAX,
};

/// How hard zstd tries: its own default, which is where the time goes up and the size hardly down.
const ZSTD_LEVEL: i32 = 3;

/// How far back zstd may look, as a power of two: what every decoder supports, and what bounds its memory.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// What stands before every item, in bytes.
const LENGTH_BYTES: usize = 4;

/// One item of the answer to a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// The position in the sender's log after this page.
    pub position: u64,
    /// The rolling hash of that log there.
    pub roll: [u8; 32],
    /// The page, not compressed; empty in the last item, whose position is the log's end.
    pub page: Vec<u8>,
}

/// Why bytes are not what they should be.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// More bytes than can be in one page.
    #[error("a page of more than {PAGE_BYTES_MAX} bytes")]
    TooLarge,
    /// Not zstd, or cut short.
    #[error("what came is not compressed by zstd, or is cut short")]
    NotCompressed(#[source] std::io::Error),
    /// The bytes inside are wrong.
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

/// Returns `bytes` compressed.
///
/// # Errors
/// If zstd cannot allocate.
pub fn compress(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    zstd::bulk::compress(bytes, ZSTD_LEVEL)
}

/// Returns the page in `bytes`, not compressed.
///
/// # Errors
/// If it is not zstd, cut short, or would be larger than a page can be.
pub fn decompress(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
    decompress_within(bytes, PAGE_BYTES_MAX)
}

impl Item {
    /// Returns whether this is the last item: the end of the log.
    pub fn is_end(&self) -> bool {
        self.page.is_empty()
    }

    /// Returns the item as it travels: its length, then itself, compressed.
    ///
    /// # Errors
    /// If zstd cannot allocate.
    pub fn encode(&self) -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(ITEM_HEAD_BYTES_MAX + self.page.len());
        put_varint(&mut bytes, self.position);
        bytes.extend_from_slice(&self.roll);
        bytes.extend_from_slice(&self.page);
        let packed = compress(&bytes)?;
        let length = u32::try_from(packed.len()).map_err(std::io::Error::other)?;
        Ok([length.to_le_bytes().as_slice(), &packed].concat())
    }

    fn decode(packed: &[u8]) -> Result<Self, Broken> {
        let bytes = decompress_within(packed, ITEM_HEAD_BYTES_MAX + PAGE_BYTES_MAX)?;
        let mut reader = Reader::new(&bytes);
        let (position, roll) = (reader.varint()?, reader.array()?);
        Ok(Self { position, roll, page: reader.rest().to_vec() })
    }
}

/// Takes bytes as they arrive, gives items as they are complete. It holds no more than one item and what came with it.
///
/// ```text
/// while let Some(chunk) = body.next().await { items.feed(&chunk); while let Some(item) = items.next_item()? { … } }
/// items.finish()?
/// ```
#[derive(Debug, Default)]
pub struct Items {
    waiting: Vec<u8>,
}

impl Items {
    /// Adds bytes that arrived.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend_from_slice(bytes);
    }

    /// Returns the next item that is whole.
    ///
    /// # Errors
    /// If it claims to be too long, or does not decode. Nothing after that can be read.
    pub fn next_item(&mut self) -> Result<Option<Item>, Broken> {
        let Some((length, rest)) = self.waiting.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
        if length > PAGE_WIRE_BYTES_MAX {
            return Err(Broken::TooLarge);
        }
        let Some(packed) = rest.get(..length) else { return Ok(None) };
        let item = Item::decode(packed)?;
        self.waiting.drain(..LENGTH_BYTES + length);
        Ok(Some(item))
    }

    /// Refuses bytes left over once the stream has ended.
    ///
    /// # Errors
    /// If the stream was cut inside an item.
    pub fn finish(&self) -> Result<(), Malformed> {
        if self.waiting.is_empty() { Ok(()) } else { Err(Malformed("a stream cut inside an item")) }
    }
}

/// Decompresses at most `max` bytes: the buffer is no larger, whatever the bytes claim, and more is refused.
fn decompress_within(bytes: &[u8], max: usize) -> Result<Vec<u8>, Broken> {
    use std::io::Read;
    let mut out = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let mut decoder = zstd::Decoder::with_buffer(bytes).map_err(Broken::NotCompressed)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX).map_err(Broken::NotCompressed)?;
    decoder.take(limit).read_to_end(&mut out).map_err(Broken::NotCompressed)?;
    if out.len() > max { Err(Broken::TooLarge) } else { Ok(out) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn item(page: Vec<u8>) -> Item {
        Item { position: 300, roll: [9; 32], page }
    }

    #[test]
    fn items_come_back_however_the_bytes_are_cut() {
        let sent = [item(vec![1; 5_000]), item(vec![2; 70]), item(Vec::new())];
        let bytes: Vec<u8> = sent.iter().flat_map(|item| item.encode().unwrap()).collect();
        for step in [1, 7, 64, bytes.len()] {
            let (mut items, mut got) = (Items::default(), Vec::new());
            for chunk in bytes.chunks(step) {
                items.feed(chunk);
                while let Some(item) = items.next_item().unwrap() {
                    got.push(item);
                }
            }
            items.finish().unwrap();
            assert_eq!(got, sent);
            assert!(got[2].is_end());
        }
    }

    #[test]
    fn a_stream_cut_inside_an_item_is_noticed() {
        let bytes = item(vec![1; 500]).encode().unwrap();
        let mut items = Items::default();
        items.feed(&bytes[..bytes.len() - 1]);
        assert_eq!(items.next_item().unwrap(), None);
        assert!(items.finish().is_err());
    }

    #[test]
    fn a_bomb_is_refused_before_it_is_large() {
        let bomb = compress(&vec![0; 64 * 1024 * 1024]).unwrap();
        assert!(bomb.len() < 16 * 1024);
        assert!(matches!(decompress(&bomb), Err(Broken::TooLarge)));
        let mut items = Items::default();
        items.feed(&u32::MAX.to_le_bytes());
        assert!(matches!(items.next_item(), Err(Broken::TooLarge)));
    }

    #[test]
    fn what_is_not_zstd_or_cut_short_is_refused() {
        let packed = compress(&[7; 3_000]).unwrap();
        assert_eq!(decompress(&packed).unwrap(), vec![7; 3_000]);
        assert!(matches!(decompress(&packed[..packed.len() - 2]), Err(Broken::NotCompressed(_))));
        assert!(matches!(decompress(b"{\"ops\":[]}"), Err(Broken::NotCompressed(_))));
    }
}
