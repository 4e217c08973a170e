//! Pages and what is in them. Any bytes are refused or mean one thing. Ops that are well signed are taken whatever they
//! say, and whatever the order, replicas that hold the same show the same, verify clean, and can be written on. What a
//! replica refuses changes nothing in it.
#![no_main]

use arbitrary::Arbitrary;
use heph_fuzz::memory;
use heph_fuzz::strange::{NODES, Write, Written, node, written};
use heph_fuzz::world::{Device, field, may_refuse, packed, push, scratch};
use heph_store::Filter;
use heph_store::field::Value;
use heph_store::page::{self, Stretch};
use libfuzzer_sys::{Corpus, fuzz_target};
use std::fs;
use std::path::Path;
use std::sync::OnceLock;

/// Actions on one device at the end.
const ACTIONS_MAX: usize = 6;

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Any bytes, taken for a page.
    raw: &'a [u8],
    writes: Vec<Write<'a>>,
    /// The order in which a second replica gets them, as far as chains allow; and how many at a time.
    ranks: &'a [u8],
    at_once: u8,
    /// What is changed in the page that holds them all.
    spoil: Option<(u16, u8)>,
    actions: Vec<Action<'a>>,
}

#[derive(Debug, Arbitrary)]
enum Action<'a> {
    Title { on: u8, title: &'a str },
    Save { on: u8, text: &'a str },
    Settle { on: u8, text: &'a str },
    Delete { on: u8 },
    Undelete { on: u8 },
    Undo { op: u8 },
    Import { on: u8, text: &'a str },
}

fuzz_target!(|input: Input<'_>| -> Corpus {
    let decoded = memory::within(input.raw.len(), 64, || means_one_thing(input.raw));
    let all = written(&input.writes);
    if all.is_empty() && !decoded {
        return Corpus::Keep;
    }
    let dir = scratch();
    let mut first = fresh(dir.path(), 0);
    refused_or_taken(&mut first, input.raw);
    let whole: Vec<Stretch> = all.iter().map(|written| written.stretch.clone()).collect();
    if let Some((at, by)) = input.spoil {
        let mut bytes = packed(&whole);
        let at = usize::from(at) % bytes.len();
        bytes[at] ^= by;
        refused_or_taken(&mut first, &bytes);
    }
    let mut second = converge(dir.path(), &mut first, &all, &whole, &input);
    act(&mut first, &all, &input.actions);
    if !input.actions.is_empty() {
        push(&first, &mut second, 4_096);
        same([&first, &second]);
    }
    // It derives everything again, so that a trace of what was refused shows here.
    let verified = if input.at_once & 128 == 0 { &first } else { &second };
    assert_eq!(verified.verify().problems, Vec::<String>::new());
    Corpus::Keep
});

/// An empty replica, as a copy of one that was made once.
fn fresh(dir: &Path, number: usize) -> Device {
    static MADE: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    const NAMES: [&str; 2] = ["first.db", "second.db"];
    let made = MADE.get_or_init(|| {
        let dir = scratch();
        [0, 1].map(|number| {
            let device = Device::open(dir.path(), NAMES[number], number as u64);
            let path = device.path.clone();
            drop(device);
            fs::read(path).expect("the replica was made")
        })
    });
    fs::write(dir.join(NAMES[number]), &made[number]).expect("there is room in memory");
    Device::open(dir, NAMES[number], number as u64)
}

/// Both get everything, in their own order; one of them some values late. Returns the second.
fn converge(dir: &Path, first: &mut Device, all: &[Written], whole: &[Stretch], input: &Input<'_>) -> Device {
    if !whole.is_empty() {
        let bytes = packed(whole);
        means_one_thing(&bytes);
        let decoded = page::decode(&bytes).expect("what is well signed can be sent");
        assert_eq!(decoded, whole);
        first.ingest(&decoded).expect("nothing can be written that a replica must refuse");
        assert_eq!(first.ingest(&decoded).expect("again").added, 0, "what comes twice is taken twice");
    }
    let mut second = fresh(dir, 1);
    let order = order(all, input.ranks);
    for some in order.chunks(usize::from(input.at_once % 8) + 1) {
        let late: Vec<Stretch> =
            some.iter().map(|number| without_values(&all[*number], &input.writes[*number])).collect();
        second.ingest(&late).expect("values may come later");
    }
    assert_eq!(second.ingest(whole).expect("the values come").added, 0);
    same([first, &second]);
    reads(&second);
    second
}

/// Returns whether the bytes are a page. If so, they are written again as a page of the same, which is written no other
/// way.
fn means_one_thing(bytes: &[u8]) -> bool {
    let Ok(stretches) = page::decode(bytes) else { return false };
    let again = packed(&stretches);
    assert_eq!(page::decode(&again).as_ref(), Ok(&stretches), "a page is written as another");
    assert_eq!(packed(&page::decode(&again).expect("it was decoded")), again);
    true
}

fn refused_or_taken(device: &mut Device, bytes: &[u8]) {
    let Ok(stretches) = page::decode(bytes) else { return };
    let (summary, vector) = (device.summary(), device.vector());
    if device.ingest(&stretches).is_err() {
        assert_eq!((device.summary(), device.vector()), (summary, vector), "what is refused leaves a trace");
    }
}

/// The ops by rank, each after the one before it on its chain.
fn order(all: &[Written], ranks: &[u8]) -> Vec<usize> {
    let rank = |number: &usize| (ranks.get(*number).copied().unwrap_or_default(), *number);
    let (mut order, mut left): (Vec<usize>, Vec<usize>) = (Vec::new(), (0..all.len()).collect());
    while !left.is_empty() {
        let ready = left.iter().filter(|number| all[**number].before.is_none_or(|before| order.contains(&before)));
        let next = *ready.min_by_key(|number| rank(number)).expect("chains have no circles");
        order.push(next);
        left.retain(|number| *number != next);
    }
    order
}

fn without_values(written: &Written, write: &Write<'_>) -> Stretch {
    let mut stretch = written.stretch.clone();
    for index in (0..8).filter(|bit| write.late & (1 << bit) != 0) {
        stretch.entries[0].op.erase(index);
    }
    stretch
}

fn same(devices: [&Device; 2]) {
    let held = |device: &Device| device.look(|view| Ok((view.summary()?, view.vector()?)));
    let [(one, ones), (other, others)] = devices.map(held);
    assert_eq!(ones, others, "they hold the same");
    assert_eq!((one.held, one.missing), (other.held, other.missing));
    assert_eq!(one.digest, other.digest, "so they show the same");
}

/// Whatever is asked, there is an answer.
fn reads(device: &Device) {
    device.look(|view| {
        view.list(&Filter::default())?;
        view.search("a \"b", 10)?;
        view.conflicted(10)?;
        view.held()?;
        for number in 0..NODES {
            let Some(node) = view.node(node(number))? else { continue };
            view.body(&node)?;
            view.awaits(&node)?;
            view.history(&node, 10)?;
            view.backlinks(&node)?;
            view.owned(node.id)?;
            view.short_id(node.id)?;
        }
        Ok(())
    });
}

/// Surfaces go on: an action is done or refused.
fn act(device: &mut Device, all: &[Written], actions: &[Action<'_>]) {
    for action in actions.iter().take(ACTIONS_MAX) {
        let outcome = device.try_write(|draft| match action {
            Action::Title { on, title } => draft.set(node(*on), &field("title"), Value::text(*title)),
            Action::Save { on, text } => draft.save_body(node(*on), text, None).map(drop),
            Action::Settle { on, text } => draft.settle_body(node(*on), text),
            Action::Delete { on } => draft.delete(node(*on)),
            Action::Undelete { on } => draft.undelete(node(*on)),
            Action::Undo { op } => match all.get(usize::from(*op)) {
                Some(written) => draft.undo(&written.op).map(drop),
                None => Ok(()),
            },
            Action::Import { on, text } => draft.import_body("vault", b"note.md", node(*on), text).map(drop),
        });
        may_refuse(outcome);
    }
}
