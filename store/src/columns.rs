//! What lists show of a node: its columns, and where a recurring task stands.

use crate::field::{ATTENTION, DO_DATE, KIND, LATE_ON, PROJECT, RECURRENCE, STATE, Value};
use crate::links;
use crate::merge::NodeState;
use crate::recur::{self, Rule};
use crate::sqlite::state::Columns;
use jiff::civil::Date;
use std::collections::BTreeSet;

/// `state` of a task that waits to be done.
pub const OUTSTANDING: &str = "outstanding";
/// `state` of a task that is done.
pub const DONE: &str = "done";
/// `state` of a task that will not be done.
pub const DROPPED: &str = "dropped";

/// A date as text: `2026-11-20`, or with a time of day `2026-11-20T14:30`.
pub fn date_text(value: &Value) -> Option<String> {
    match value {
        Value::Date(date) => Some(date.to_string()),
        Value::DateTime(at) => Some(at.strftime("%Y-%m-%dT%H:%M").to_string()),
        _ => None,
    }
}

/// Where a task stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskView {
    /// The day to do it: of a recurring task, its current occurrence.
    pub do_date: Option<String>,
    /// Outstanding, done or dropped: a recurring task is done once its rule has no more occurrences.
    pub state: Option<String>,
    /// The current occurrence of a recurring task.
    pub occurrence: Option<Date>,
}

/// The occurrences that are marked as done or skipped, with the largest day stored for each.
pub fn marks(state: &NodeState) -> Vec<(Date, Date)> {
    let marked = state.registers.iter().filter_map(|(field, register)| {
        let occurrence = field.as_done()?;
        let day = register.heads().iter().filter_map(|head| head.value.as_date()).max()?;
        Some((occurrence, day))
    });
    marked.collect()
}

/// Where a task stands, derived from its registers alone.
pub fn task_view(state: &NodeState) -> TaskView {
    let own_date = state.value(DO_DATE).and_then(date_text);
    let own_state = state.text(STATE).map(str::to_owned);
    let rule = state.text(RECURRENCE).and_then(|text| Rule::parse(text).ok());
    let start = state.value(DO_DATE).and_then(Value::as_date);
    let (Some(rule), Some(start)) = (rule, start) else {
        return TaskView { do_date: own_date, state: own_state, occurrence: None };
    };
    match recur::current(&rule, start, &marks(state)) {
        Some(day) => {
            let same_time = state.value(DO_DATE).and_then(|value| match value {
                Value::DateTime(at) => date_text(&Value::DateTime(day.to_datetime(at.time()))),
                _ => None,
            });
            let do_date = Some(same_time.unwrap_or_else(|| day.to_string()));
            TaskView { do_date, state: own_state, occurrence: Some(day) }
        }
        None => {
            let ended = own_state.map(|state| if state == OUTSTANDING { DONE.to_owned() } else { state });
            TaskView { do_date: own_date, state: ended, occurrence: None }
        }
    }
}

/// The columns of a node's row.
pub fn columns(state: &NodeState) -> Columns {
    let view = task_view(state);
    Columns {
        kind: state.text(KIND).map(str::to_owned),
        status: view.state,
        do_date: view.do_date,
        late_on: state.value(LATE_ON).and_then(date_text),
        attention: state.text(ATTENTION).map(str::to_owned),
        project: state.value(PROJECT).and_then(Value::as_node),
        owner: state.owner(),
        hidden: state.hidden,
        conflicted: state.conflicted,
    }
}

/// The keys under which a link finds a node: its title, its path, its file name, its aliases.
pub fn names(state: &NodeState, reading: &links::Reading) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    if let Some(title) = state.text(crate::field::TITLE) {
        keys.insert(links::key(title));
    }
    if let Some(Value::Bytes(path)) = state.value(crate::field::PATH) {
        let path = String::from_utf8_lossy(path);
        keys.insert(links::key(&path));
        keys.insert(links::basename_key(&path));
    }
    keys.extend(reading.aliases.iter().map(|alias| links::key(alias)));
    keys.remove("");
    keys
}
