//! Undo as a switch: whoever undoes an action turns it off, and whoever undoes what turned it off turns it on again, any
//! number of times, here, elsewhere, or on two devices apart. What is shown is what the actions say that are on.

use crate::world::{Device, field, sync_all};
use heph_store::field::Value;
use heph_store::id::{NodeId, OpRef};
use std::collections::BTreeSet;
use std::path::Path;

const NODE: NodeId = NodeId::from_bytes([7; 16]);

/// One thing done: which device does it, or both apart; to which action; by naming the action or what last turned it.
#[derive(Debug, Clone, Copy)]
pub struct Toggle {
    pub who: u8,
    pub action: u8,
    pub by_name: u8,
}

/// An action on one note, by number: every third takes a line away that was there first, the others add one; some set a
/// register of their own, too.
struct Action {
    op: OpRef,
    is_on: bool,
    /// What turned it last, on either device.
    last: Vec<OpRef>,
}

struct Game {
    /// A hub and two devices.
    devices: Vec<Device>,
    actions: Vec<Action>,
}

fn first(number: usize) -> String {
    format!("first {number}")
}

fn added(number: usize) -> String {
    format!("added {number}")
}

fn takes_away(number: usize) -> bool {
    number.is_multiple_of(3)
}

fn sets(number: usize) -> bool {
    number.is_multiple_of(2)
}

/// The node whose title an action sets.
fn titled(number: usize) -> NodeId {
    NodeId::from_bytes([100 + number as u8; 16])
}

impl Game {
    fn new(dir: &Path, count: usize, seed: u64) -> Self {
        let names = ["hub", "a", "b"].into_iter().zip(seed..);
        let devices = names.map(|(name, seed)| Device::open(dir, name, seed)).collect();
        let mut game = Self { devices, actions: Vec::new() };
        let lines: Vec<String> = (0..count).filter(|number| takes_away(*number)).map(first).collect();
        game.devices[1].save(NODE, &text(&lines));
        for number in 0..count {
            sync_all(&mut game.devices);
            let device = &mut game.devices[1 + number % 2];
            let mut lines: Vec<String> = device.text(NODE).lines().map(str::to_owned).collect();
            match takes_away(number) {
                true => lines.retain(|line| *line != first(number)),
                false => lines.insert(number % (lines.len() + 1), added(number)),
            }
            let op = device.op(|draft| {
                if sets(number) {
                    draft.set(titled(number), &field("title"), Value::text("on"))?;
                }
                draft.save_body(NODE, &text(&lines), None).map(drop)
            });
            game.actions.push(Action { op, is_on: true, last: Vec::new() });
        }
        sync_all(&mut game.devices);
        game
    }

    fn toggle(&mut self, Toggle { who, action, by_name }: Toggle) {
        let number = usize::from(action) % self.actions.len();
        let action = &self.actions[number];
        let devices: &[usize] = [[1].as_slice(), &[2], &[1, 2]][usize::from(who) % 3];
        let mut last = Vec::new();
        // What two devices turned apart is turned back by undoing one of their ops, or both, one after the other.
        let all_of_last = action.last.len() > 1 && by_name % 4 == 3;
        let turns = if all_of_last { vec![devices[0]; action.last.len()] } else { devices.to_vec() };
        for (at, device) in turns.into_iter().enumerate() {
            let of_last = action.last.get((usize::from(by_name) + at) % action.last.len().max(1));
            // What is off is turned on by undoing what turned it off.
            let by_its_name = !all_of_last && action.is_on && (usize::from(by_name) + at).is_multiple_of(2);
            let target = of_last.filter(|_| !by_its_name).unwrap_or(&action.op);
            let (_, ops) = self.devices[device].try_write(|draft| draft.undo(target)).unwrap();
            // Of several, one after the other, the first did it.
            if !all_of_last || at == 0 {
                last.extend(ops);
            }
            if all_of_last {
                sync_all(&mut self.devices);
            }
        }
        sync_all(&mut self.devices);
        let action = &mut self.actions[number];
        (action.is_on, action.last) = (!action.is_on, last);
    }

    fn check(&self) {
        let is_shown = |line: &&String| self.is_shown(line);
        let count = self.actions.len();
        let all: Vec<String> = (0..count).map(first).chain((0..count).map(added)).collect();
        let expected: BTreeSet<&String> = all.iter().filter(is_shown).collect();
        for device in &self.devices {
            let text = device.text(NODE);
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            assert_eq!(lines.iter().collect::<BTreeSet<_>>(), expected);
            assert_eq!(lines.len(), expected.len(), "a line twice: {text}");
            assert!(!device.is_conflicted(NODE));
            for (number, action) in self.actions.iter().enumerate() {
                let (_, _, id) = device.look(|view| view.op(&action.op)).unwrap();
                assert_eq!(device.look(|view| view.is_undone(&id)), !action.is_on, "action {number}");
                let title = if sets(number) { device.title(titled(number)) } else { String::new() };
                assert_eq!(!title.is_empty(), sets(number) && action.is_on, "the title of {number}");
            }
        }
    }

    fn is_shown(&self, line: &str) -> bool {
        let number = |of: fn(usize) -> String| (0..self.actions.len()).find(|number| of(*number) == line);
        match (number(first), number(added)) {
            (Some(number), _) => takes_away(number) && !self.actions[number].is_on,
            (_, Some(number)) => !takes_away(number) && self.actions[number].is_on,
            _ => false,
        }
    }
}

fn text(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// Plays a game, and checks after each step.
pub fn play(dir: &Path, count: usize, toggles: &[Toggle], seed: u64) {
    let mut game = Game::new(dir, count, seed);
    game.check();
    for toggle in toggles {
        game.toggle(*toggle);
        game.check();
    }
}
