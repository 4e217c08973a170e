//! Something between that takes the answers to pulls apart, changes what they carry, and puts them together again with
//! everything that says how much it is left as it was.

use heph_store::{
    codec::{Reader, put_varint},
    page::{self, PackedStretch, Stretch},
};
use heph_tests::{
    between::{Request, Verdict, answer},
    raw::Door,
    wire::{packed, stretch_signed},
};

pub const PULL: &str = "/v1/sync/pull";
pub const PUSH: &str = "/v1/sync/push";
pub const HELLO: &str = "/v1/sync/hello";
pub const EVENTS: &str = "/v1/sync/events";
const PAGES_TYPE: &str = "application/vnd.heph.pages";

/// One item of the answer to a pull: a page, and where in the hub's log it ends. The last one has no page.
pub struct Item {
    pub position: u64,
    roll: [u8; 32],
    pub stretches: Vec<Stretch>,
    is_end: bool,
}

impl Item {
    fn decode(bytes: &[u8]) -> Self {
        let bytes = zstd::decode_all(bytes).expect("an item is compressed");
        let mut reader = Reader::new(&bytes);
        let (position, roll) = (reader.varint().expect("a position"), reader.array().expect("a rolling hash"));
        let page = reader.rest();
        let stretches = if page.is_empty() { Vec::new() } else { page::decode(page).expect("a page") };
        Self { position, roll, is_end: stretches.is_empty(), stretches }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        put_varint(&mut bytes, self.position);
        bytes.extend_from_slice(&self.roll);
        if !self.is_end {
            let stretches: Vec<PackedStretch> = self.stretches.iter().map(repacked).collect();
            bytes.extend_from_slice(&page::encode(&stretches));
        }
        let bytes = packed(&bytes);
        let length = u32::try_from(bytes.len()).expect("a page is small");
        [length.to_le_bytes().as_slice(), &bytes].concat()
    }
}

fn repacked(stretch: &Stretch) -> PackedStretch {
    let ops: Vec<_> = stretch.entries.iter().map(|entry| entry.op.clone()).collect();
    stretch_signed(&ops, stretch.signature)
}

/// What the hub answers to this pull.
pub fn pulled(hub_url: &str, request: &[u8]) -> Vec<Item> {
    let answer = Door::to_hub(hub_url).post(PULL, "application/json", request);
    assert_eq!(answer.status, 200, "{answer:?}");
    let (mut items, mut rest) = (Vec::new(), answer.body.as_slice());
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (item, behind) = behind.split_at(u32::from_le_bytes(*length) as usize);
        items.push(Item::decode(item));
        rest = behind;
    }
    items
}

/// Items as an answer that a device reads.
pub fn as_answer(items: &[Item]) -> Verdict {
    let body: Vec<u8> = items.iter().flat_map(Item::encode).collect();
    Verdict::Answer(answer("200 OK", &[("content-type", PAGES_TYPE), ("heph-version", "0.1.0")], &body))
}

/// The rule that hands every answer to a pull to `spoil` before the device gets it. Events do not come through, so that
/// everything comes by pulls. A pull that the hub refuses is let through to it.
pub fn every_pull(
    hub_url: String,
    mut spoil: impl FnMut(&mut Vec<Item>) + Send + 'static,
) -> impl FnMut(&Request) -> Verdict + Send + 'static {
    move |request| match request.path.as_str() {
        EVENTS => no_events(),
        PULL => {
            let asked = Door::to_hub(&hub_url).post(PULL, "application/json", &request.body);
            if asked.status != 200 {
                return Verdict::Pass;
            }
            let mut items = pulled(&hub_url, &request.body);
            spoil(&mut items);
            as_answer(&items)
        }
        _ => Verdict::Pass,
    }
}

/// A refusal of events: what comes has to come by pulls.
pub fn no_events() -> Verdict {
    Verdict::Answer(answer("503 Service Unavailable", &[], b""))
}
