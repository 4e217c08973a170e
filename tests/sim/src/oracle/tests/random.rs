//! Generated histories: whatever devices do and in whatever order it comes to them, the model says what they show.

use super::world::{Dice, may_refuse};
use super::*;
use heph_store::draft::Draft;
use heph_store::field::Field;
use heph_store::op::ChangeRef;
use jiff::civil::date;

const NODES: [NodeId; 4] = [NODE, OTHER, NodeId::from_bytes([0x10; 16]), NodeId::from_bytes([0x11; 16])];

/// What happened so far.
struct Story {
    lab: Lab,
    dice: Dice,
    devices: Vec<Device>,
    ops: Vec<OpRef>,
    tokens: u32,
}

impl Story {
    fn new(seed: u64) -> Self {
        let lab = Lab::new();
        let devices = (0..4).map(|number| Device::open(lab.dir.path(), &format!("d{number}"), seed * 10 + number));
        let devices = devices.collect();
        Self { devices, lab, dice: Dice(seed), ops: Vec::new(), tokens: 0 }
    }

    fn token(&mut self) -> String {
        self.tokens += 1;
        format!("⟦s-{}⟧", self.tokens)
    }

    /// An action on a device that a surface may refuse; its ops are acknowledged.
    fn write<T>(&mut self, device: usize, action: impl FnOnce(&mut Draft<'_>) -> heph_store::Result<T>) -> Vec<OpRef> {
        let written = may_refuse(self.devices[device].try_write(action)).map(|(_, ops)| ops).unwrap_or_default();
        self.lab.oracle.acknowledge(&format!("d{device}"), &written, 0);
        self.ops.extend(&written);
        written
    }

    fn step(&mut self) {
        let (device, node) = (self.dice.below(self.devices.len()), *self.dice.pick(&NODES).unwrap());
        match self.dice.below(16) {
            0..4 => self.register(device, node),
            4..8 => self.text(device, node),
            8 => drop(self.write(device, |draft| draft.delete(node))),
            9 => drop(self.write(device, |draft| draft.undelete(node))),
            10 => self.undo(device),
            11 => self.settle(device, node),
            12 => self.import(device, node),
            13 => self.erase(device),
            14 => self.own(device),
            _ => self.clone_disk(device),
        }
        if self.dice.one_in(3) {
            self.exchange();
        }
        let seen = self.dice.below(self.devices.len());
        self.lab.oracle.check_new(&format!("d{seen}"), &reads(&self.devices[seen])).unwrap();
    }

    fn register(&mut self, device: usize, node: NodeId) {
        let (name, value) = match self.dice.below(5) {
            0 => ("title".to_owned(), Value::text(self.token())),
            1 => ("kind".to_owned(), Value::text("task")),
            2 => ("recurrence".to_owned(), Value::text("FREQ=DAILY")),
            3 => ("do_date".to_owned(), Value::Date(date(2026, 11, 1 + self.dice.below(9) as i8))),
            _ => {
                let day = date(2026, 11, 1 + self.dice.below(9) as i8);
                (Field::done(day).to_string(), Value::Date(day))
            }
        };
        self.write(device, |draft| draft.set(node, &Field::new(&name).unwrap(), value));
    }

    fn shown_text(&self, device: usize, node: NodeId) -> String {
        self.devices[device]
            .look(|view| view.node(node)?.map(|node| view.body(&node)).transpose())
            .map(|body| body.text)
            .unwrap_or_default()
    }

    /// Rewrites a part of what is shown, and types a token.
    fn text(&mut self, device: usize, node: NodeId) {
        let before = self.shown_text(device, node);
        let mut lines: Vec<String> = before.split_inclusive('\n').map(str::to_owned).collect();
        if self.dice.one_in(3) && !lines.is_empty() {
            lines.remove(self.dice.below(lines.len()));
        }
        let line = format!("{} and more\n", self.token());
        lines.insert(self.dice.below(lines.len() + 1), line);
        let after = lines.concat();
        let ops = self.write(device, |draft| draft.save_body(node, &after, None));
        self.lab.oracle.rewrote(&ops, &before, &after);
    }

    fn undo(&mut self, device: usize) {
        let Some(op) = self.dice.pick(&self.ops).copied() else { return };
        let Some((undone, ops)) = may_refuse(self.devices[device].try_write(|draft| draft.undo(&op))) else { return };
        self.lab.oracle.acknowledge(&format!("d{device}"), &ops, 0);
        self.lab.oracle.undid(&ops, &undone.ops);
        self.ops.extend(ops);
    }

    fn settle(&mut self, device: usize, node: NodeId) {
        let before = self.devices[device].look(|view| {
            let body = view.node(node)?.map(|node| view.body(&node)).transpose()?;
            Ok(body.map(|body| body.text + &body.copies.into_iter().map(|copy| copy.text).collect::<String>()))
        });
        let after = self.token();
        let ops = self.write(device, |draft| draft.settle_body(node, &after));
        self.lab.oracle.rewrote(&ops, &before.unwrap_or_default(), &after);
    }

    fn import(&mut self, device: usize, node: NodeId) {
        let text = format!("imported {}\n", self.dice.below(3));
        self.lab.oracle.may_conflict(node);
        self.write(device, |draft| draft.import_body("vault", node.digits().as_bytes(), node, &text));
    }

    fn erase(&mut self, device: usize) {
        let Some(op) = self.dice.pick(&self.ops).copied() else { return };
        self.write(device, |draft| {
            draft.erase(vec![ChangeRef { op, index: 0 }]);
            Ok(())
        });
    }

    /// As surfaces do it: nothing is given to what is hidden.
    fn own(&mut self, device: usize) {
        if !self.devices[device].look(|view| Ok(view.node(NODE)?.is_some_and(|owner| owner.state.hidden))) {
            self.write(device, |draft| draft.set(OTHER, &Field::new("of").unwrap(), Value::Node(NODE)));
        }
    }

    fn clone_disk(&mut self, device: usize) {
        if self.devices.len() < 6 {
            let name = format!("d{}", self.devices.len());
            let seed = self.dice.next();
            let clone = self.devices[device].copy_to(self.lab.dir.path(), &name, seed);
            self.devices.push(clone);
        }
    }

    fn exchange(&mut self) {
        let (from, to) = (self.dice.below(self.devices.len()), self.dice.below(self.devices.len()));
        if let Ok([from, to]) = self.devices.get_disjoint_mut([from, to]) {
            world::push(from, to, 2_000);
        }
    }
}

#[test]
fn the_model_says_what_devices_show_whatever_they_do() {
    let mut made = (0, 0);
    for seed in 1..=12 {
        let mut story = Story::new(seed);
        (0..90).for_each(|_| story.step());
        world::sync_all(&mut story.devices);
        let devices: Vec<&Device> = story.devices.iter().collect();
        story.lab.agree(&devices);
        let names: Vec<String> = devices.iter().map(|device| name(device)).collect();
        story.lab.oracle.nothing_is_gone(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
        assert!(!story.lab.oracle.ledger.is_empty() && !story.lab.oracle.promises.is_empty());
        let (by_yrs, by_definition) = story.lab.oracle.model.texts_made();
        made = (made.0 + by_yrs, made.1 + by_definition);
    }
    assert!(made.0 > made.1, "most texts are made by the reader that is not ours: {made:?}");
}
