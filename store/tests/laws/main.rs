//! The laws of a replica: its state is a function of the set of ops that it holds. Whatever the order in which they
//! arrive, in whatever pages, however often, and whatever is interrupted in between, the same is shown, and it is what
//! the rules say.
//!
//! `HEPH_LAWS_CASES` says how many histories are tried instead of the usual number.
#![allow(clippy::unwrap_used)]

mod histories;
mod oracle;
mod toggles;
mod world;

use heph_store::field::Value;
use heph_store::id::{NodeId, OpId};
use heph_store::page::{self, Stretch};
use histories::{History, Step};
use oracle::{Oracle, Shown, observe};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toggles::Toggle;
use world::{Device, Dice, packed, scratch};

fn cases(usual: u32) -> u32 {
    std::env::var("HEPH_LAWS_CASES").ok().and_then(|number| number.parse().ok()).unwrap_or(usual)
}

fn config(usual: u32) -> ProptestConfig {
    ProptestConfig {
        cases: cases(usual),
        failure_persistence: None,
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    }
}

fn steps(length: usize) -> impl Strategy<Value = Vec<Step>> {
    let step = any::<(u8, u8, u8, u8, u8)>().prop_map(|(who, what, x, y, z)| Step(who, what, x, y, z));
    proptest::collection::vec(step, 1..length)
}

/// What a page does not carry is put in its way: it comes twice, in another order, in other company.
struct Courier<'a> {
    written: &'a [Stretch],
    dice: Dice,
}

impl Courier<'_> {
    /// The stretches in an order in which each chain stands in its own, and nothing else is in order.
    fn order(&mut self) -> Vec<usize> {
        let ids: BTreeSet<OpId> =
            self.written.iter().flat_map(|stretch| &stretch.entries).map(|entry| entry.id).collect();
        let mut here: BTreeSet<OpId> = BTreeSet::new();
        let mut left: Vec<usize> = (0..self.written.len()).collect();
        let mut order = Vec::new();
        let backwards = self.dice.one_in(3);
        while !left.is_empty() {
            let ready = |at: &usize| {
                let before = self.written[*at].entries[0].op.prev;
                here.contains(&before) || !ids.contains(&before)
            };
            let ready: Vec<usize> = left.iter().copied().filter(ready).collect();
            let next = if backwards { *ready.last().unwrap() } else { *self.dice.pick(&ready).unwrap() };
            left.retain(|at| *at != next);
            here.extend(self.written[next].entries.iter().map(|entry| entry.id));
            order.push(next);
        }
        order
    }

    /// Delivers everything to a fresh replica.
    fn deliver(&mut self, device: &mut Device, emptied: &BTreeMap<OpId, Stretch>) {
        let order = self.order();
        let mut withheld = Vec::new();
        let mut rest = order.as_slice();
        let mut delivered: Vec<usize> = Vec::new();
        while !rest.is_empty() {
            let (page, later) = rest.split_at(1 + self.dice.below(rest.len().min(6)));
            rest = later;
            let mut stretches = Vec::new();
            if let Some(again) = self.dice.pick(&delivered).filter(|_| delivered.len() > 1) {
                stretches.push(self.written[*again].clone());
            }
            stretches.extend(page.iter().map(|at| self.dress(*at, emptied, &mut withheld)));
            if self.dice.one_in(4) {
                self.interrupt(device, &stretches);
            }
            if self.dice.one_in(8) {
                device.reopen();
            }
            device.ingest(&page::decode(&packed(&stretches)).unwrap()).unwrap();
            delivered.extend(page);
        }
        for at in withheld {
            device.ingest(&[self.written[at].clone()]).unwrap();
        }
    }

    /// A stretch as it was written, or as another replica relays it, or with a value withheld.
    fn dress(&mut self, at: usize, emptied: &BTreeMap<OpId, Stretch>, withheld: &mut Vec<usize>) -> Stretch {
        let mut stretch = self.written[at].clone();
        let last = stretch.entries.last().unwrap().id;
        if self.dice.one_in(2)
            && let Some(relayed) = emptied.get(&last)
        {
            stretch = relayed.clone();
        }
        if self.dice.one_in(8) {
            let entry = self.dice.below(stretch.entries.len());
            let op = &mut stretch.entries[entry].op;
            let index = self.dice.below(op.changes.len());
            op.erase(index);
            withheld.push(at);
        }
        stretch
    }

    /// A page whose last signature is wrong: it is taken in, and taken back.
    fn interrupt(&mut self, device: &mut Device, stretches: &[Stretch]) {
        let (before, vector) = (device.summary(), device.vector());
        let mut broken = stretches.to_vec();
        broken.last_mut().unwrap().signature[0] ^= 1;
        let outcome = device.ingest(&broken);
        if outcome.is_err() {
            assert_eq!((device.summary(), device.vector()), (before, vector), "a page is taken in whole or not at all");
        }
    }
}

/// The law, for one history: every replica that holds it shows what the oracle says.
fn check(dir: &Path, history: &mut History, seed: u64) {
    history.gather();
    if std::env::var_os("HEPH_LAWS_SHOW").is_some() {
        history.print();
    }
    let oracle = Oracle::new(history.ops());
    let expected = oracle.show();
    let emptied: BTreeMap<OpId, Stretch> = history.devices[0]
        .stretches_after(0)
        .into_iter()
        .map(|stretch| (stretch.entries.last().unwrap().id, stretch))
        .collect();
    let mut courier = Courier { written: &history.written, dice: Dice(seed) };
    let mut replicas: Vec<Device> = Vec::new();
    for n in 0..3 {
        let mut fresh = Device::open(dir, &format!("fresh{n}.db"), 5_000 + n);
        courier.deliver(&mut fresh, &emptied);
        replicas.push(fresh);
    }
    replicas.append(&mut history.devices);
    let vector = replicas[0].vector();
    for (n, replica) in replicas.iter().enumerate() {
        assert_eq!(replica.vector(), vector, "replica {n} holds the same");
        for (node, shown) in &expected {
            assert_eq!(&observe(replica, *node), shown, "replica {n} shows of {node} what the rules say");
        }
        let (summary, first) = (replica.summary(), replicas[0].summary());
        let counts =
            |summary: &heph_store::exchange::Summary| (summary.head, summary.held, summary.missing, summary.conflicts);
        assert_eq!(counts(&summary), counts(&first), "replica {n} counts the same");
        assert_eq!(summary.digest, first.digest, "replica {n}: equal vectors mean equal digests");
        assert_eq!((summary.held, summary.missing), (oracle.held(), 0), "replica {n} holds back what it must");
        assert_eq!(summary.conflicts, expected.values().filter(|shown| shown.conflicted).count() as u64);
        assert_finds(replica, &expected);
        let report = replica.verify();
        assert_eq!(report.problems, Vec::<String>::new(), "replica {n} agrees with its log");
        assert_eq!(report.digest, summary.digest);
        for node in expected.keys() {
            assert_same_newest(replica, &replicas[0], *node);
        }
    }
}

/// What is derived for searching is as true as the state.
fn assert_finds(replica: &Device, expected: &BTreeMap<NodeId, Shown>) {
    for word in ["milk", "bread", "garden"] {
        let found =
            replica.look(|view| view.search(word, 100)).into_iter().map(|node| node.id).collect::<BTreeSet<_>>();
        let has = |shown: &Shown| {
            let title = shown.registers.get("title").map(|heads| heads[0].2.clone());
            let title = title.as_ref().and_then(Value::as_text).unwrap_or_default().to_lowercase();
            !shown.hidden && format!("{title} {}", shown.text).split_whitespace().any(|own| own.starts_with(word))
        };
        let meant: BTreeSet<NodeId> = expected.iter().filter(|(_, shown)| has(shown)).map(|(node, _)| *node).collect();
        assert_eq!(found, meant, "a search for {word} finds what is shown");
    }
}

/// What a delete would name as seen is no matter of the order of arrival either.
fn assert_same_newest(one: &Device, other: &Device, node: NodeId) {
    let newest = |device: &Device| device.look(|view| view.node(node)).map(|node| node.state.latest);
    assert_eq!(newest(one).unwrap_or_default(), newest(other).unwrap_or_default());
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn any_history_in_any_order_shows_what_the_rules_say(steps in steps(40), devices in 2usize..4, seed: u64) {
        let dir = scratch();
        let mut history = History::begin(dir.path(), devices, seed);
        history.run(&steps);
        check(dir.path(), &mut history, seed);
    }
}

proptest! {
    #![proptest_config(config(120))]

    #[test]
    fn ops_that_no_program_of_ours_would_write_converge_too(
        written in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..25),
        seed: u64,
    ) {
        let dir = scratch();
        let mut history = History::begin(dir.path(), 2, seed);
        let steps: Vec<Step> = written.iter().map(|(x, y, z)| Step(0, 25, *x, *y, *z)).collect();
        history.run(&steps);
        check(dir.path(), &mut history, seed);
    }
}

proptest! {
    #![proptest_config(config(12))]

    #[test]
    fn undo_turns_an_action_off_and_on_wherever_and_however_often(
        toggles in proptest::collection::vec((any::<u8>(), any::<u8>(), any::<u8>()), 1..14),
        count in 1usize..7,
        seed: u64,
    ) {
        let dir = scratch();
        let toggles: Vec<Toggle> =
            toggles.into_iter().map(|(who, action, by_name)| Toggle { who, action, by_name }).collect();
        toggles::play(dir.path(), count, &toggles, seed);
    }
}
