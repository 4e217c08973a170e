//! Completing: a task is done, or one occurrence of a task that recurs.

use heph_api::code;
use heph_api::types::{CompleteTask, TaskCompleted};
use heph_store::columns::{DONE, OUTSTANDING, marks, task_view};
use heph_store::draft::Draft;
use heph_store::field::{DO_DATE, Field, RECURRENCE, STATE, Value};
use heph_store::id::{NodeId, Stamp};
use heph_store::read::{Node, View};
use heph_store::recur::{self, Rule};
use jiff::civil::Date;

use super::row::Rows;
use super::value::{day, field};
use super::{Done, find};
use crate::spoke::refusal::Refusal;

/// The day of an instant where this device is. The instant is the store's clock; only the zone is asked of the system.
pub fn local_day(now: Stamp) -> Date {
    let millis = i64::try_from(now.get()).unwrap_or(i64::MAX);
    let now = jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX);
    now.to_zoned(jiff::tz::TimeZone::system()).date()
}

/// The date, and time of day, on which a task stands: of one that recurs, its current occurrence.
pub fn stands_on(task: &Node) -> Option<Value> {
    let start = task.state.value(DO_DATE)?;
    Some(match (start, task_view(&task.state).occurrence) {
        (Value::DateTime(at), Some(day)) => Value::DateTime(day.to_datetime(at.time())),
        (_, Some(day)) => Value::Date(day),
        (_, None) => start.clone(),
    })
}

/// What was completed, as far as only the write itself can know.
pub struct Completed {
    task: NodeId,
    occurrence: Option<Date>,
}

/// Completes a task; one that recurs has an occurrence marked with the day on which it was done.
pub fn complete(draft: &mut Draft<'_>, request: &CompleteTask) -> Result<Completed, Refusal> {
    let task = find::task(&draft.view(), &request.id)?;
    let asked = request.occurrence.as_deref().map(occurrence_day).transpose()?;
    let today = match &request.today {
        Some(text) => day("today", text)?,
        None => local_day(draft.now()),
    };
    let Some((rule, start)) = recurrence(&task) else {
        if asked.is_some() {
            let id = draft.view().short_id(task.id)?;
            return Err(Refusal::bad_request(format!("{id} does not recur, so it has no occurrences")));
        }
        draft.set(task.id, &field(STATE), Value::text(DONE))?;
        return Ok(Completed { task: task.id, occurrence: None });
    };
    check_outstanding(&draft.view(), &task)?;
    let occurrence = match asked {
        Some(asked) => checked_occurrence(&task, &rule, start, asked)?,
        None => match task_view(&task.state).occurrence {
            Some(current) => current,
            // Its rule is over: it is done already.
            None => return Ok(Completed { task: task.id, occurrence: None }),
        },
    };
    if !marks(&task.state).iter().any(|(marked, _)| *marked == occurrence) {
        draft.set(task.id, &Field::done(occurrence), Value::Date(today))?;
    }
    Ok(Completed { task: task.id, occurrence: Some(occurrence) })
}

/// An occurrence is a day, also where the task has a time of day.
fn occurrence_day(text: &str) -> Result<Date, Refusal> {
    super::value::date("occurrence", text)?.as_date().ok_or_else(|| Refusal::bad_request("occurrence: not a date"))
}

fn recurrence(task: &Node) -> Option<(Rule, Date)> {
    let rule = Rule::parse(task.state.text(RECURRENCE)?).ok()?;
    Some((rule, task.state.value(DO_DATE)?.as_date()?))
}

fn check_outstanding(view: &View<'_>, task: &Node) -> Result<(), Refusal> {
    match task.state.text(STATE) {
        None | Some(OUTSTANDING) => Ok(()),
        Some(state) => {
            let id = view.short_id(task.id)?;
            let message = format!("{id} is {state} with all its occurrences: {}", task.title());
            let hint = format!("make it one to do again: heph edit {id} --state outstanding");
            Err(Refusal::new(code::CONFLICT, message).hint(hint))
        }
    }
}

/// An occurrence is one that is marked, the current one, or a day on which the rule falls.
fn checked_occurrence(task: &Node, rule: &Rule, start: Date, asked: Date) -> Result<Date, Refusal> {
    let current = task_view(&task.state).occurrence;
    let is_marked = marks(&task.state).iter().any(|(marked, _)| *marked == asked);
    let falls_on =
        |day: Date| day.yesterday().ok().and_then(|before| recur::following(rule, start, before)) == Some(day);
    if is_marked || current == Some(asked) || falls_on(asked) {
        return Ok(asked);
    }
    let refusal = Refusal::not_found(format!("{asked} is no occurrence of {}", task.title()));
    Err(match current {
        Some(current) => refusal.hint(format!("the current one is {current}")),
        None => refusal,
    })
}

/// Says how a task stands after it was completed.
pub fn completed(view: &View<'_>, done: Done<Completed>) -> Result<TaskCompleted, Refusal> {
    let node = find::by_id(view, done.answer.task)?;
    let next = task_view(&node.state).occurrence.map(|day| day.to_string());
    let occurrence = done.answer.occurrence.map(|day| day.to_string());
    Ok(TaskCompleted { task: Rows::new(view).task(&node)?, op: done.op, occurrence, next })
}
