//! Tasks: made, changed, given up, commented.

use heph_api::code;
use heph_api::types::BodyRead;
use heph_api::types::{
    AppendContext, CreateTask, DropTask, EditTask, EditWritten, LogEntry, LogWritten, Patch, ReadContext, TaskState,
    TaskWritten,
};
use heph_store::columns::{DONE, DROPPED, OUTSTANDING, task_view};
use heph_store::draft::Draft;
use heph_store::field::{ATTENTION, DO_DATE, Field, KIND, LATE_ON, OF, PROJECT, RECURRENCE, ROLE, STATE, TITLE, Value};
use heph_store::id::{NodeId, OpRef};
use heph_store::read::{Node, View};

use super::occurrence::{self, local_day};
use super::row::Rows;
use super::text::{Owner, Wrote};
use super::value::{self, attention, field, one_line};
use super::{Done, find, text};
use crate::spoke::refusal::Refusal;

/// The longest text of a log entry that stands in its title, in bytes.
const ENTRY_TITLE_BYTES_MAX: usize = 200;

/// Makes a task, with the project and the tags that are missing.
pub fn create(draft: &mut Draft<'_>, request: &CreateTask) -> Result<NodeId, Refusal> {
    let task = draft.fresh_node();
    let title = one_line("the title", &request.title)?;
    draft.set(task, &field(KIND), Value::text("task"))?;
    draft.set(task, &field(TITLE), Value::text(title))?;
    draft.set(task, &field(STATE), Value::text(OUTSTANDING))?;
    let start = request.do_date.as_deref().map(|text| value::date("do_date", text)).transpose()?;
    let rule = request.recurrence.as_deref();
    // Something that repeats and has no date yet starts today.
    let start = start.or_else(|| rule.map(|_| Value::Date(local_day(draft.now()))));
    if let Some(rule) = rule {
        set_rule(draft, task, rule, start.as_ref())?;
    }
    if let Some(start) = start {
        draft.set(task, &field(DO_DATE), start)?;
    }
    if let Some(text) = &request.late_on {
        draft.set(task, &field(LATE_ON), value::date("late_on", text)?)?;
    }
    if let Some(colour) = request.attention {
        draft.set(task, &field(ATTENTION), Value::text(attention(colour)))?;
    }
    set_project_and_tags(draft, task, request.project.as_deref(), &request.tags)?;
    if let Some(body) = request.body.as_deref().filter(|body| !body.is_empty()) {
        save_first_context(draft, task, body)?;
    }
    Ok(task)
}

fn set_rule(draft: &mut Draft<'_>, task: NodeId, rule: &str, start: Option<&Value>) -> Result<(), Refusal> {
    let start = start.and_then(Value::as_date).unwrap_or_else(|| local_day(draft.now()));
    let rule = value::rule(rule, start)?;
    Ok(draft.set(task, &field(RECURRENCE), Value::text(rule.to_string()))?)
}

/// Puts a node into a project and gives it tags; both are made where they are missing.
pub fn set_project_and_tags(
    draft: &mut Draft<'_>,
    node: NodeId,
    project: Option<&str>,
    tags: &[String],
) -> Result<(), Refusal> {
    if let Some(project) = project {
        let project = find::or_make_project(draft, project)?;
        draft.set(node, &field(PROJECT), Value::Node(project))?;
    }
    for tag in tags {
        let tag = find::or_make_tag(draft, tag)?;
        draft.set(node, &Field::tag(tag), Value::Bool(true))?;
    }
    Ok(())
}

/// Writes the context document of a task that is being made.
fn save_first_context(draft: &mut Draft<'_>, task: NodeId, body: &str) -> Result<(), Refusal> {
    let context = text::context(task);
    draft.set(context, &field(KIND), Value::text("doc"))?;
    draft.set(context, &field(OF), Value::Node(task))?;
    draft.set(context, &field(ROLE), Value::text(super::row::CONTEXT))?;
    draft.save_body(context, body, None)?;
    Ok(())
}

/// Says how a task stands after a write.
pub fn written(view: &View<'_>, done: Done<NodeId>) -> Result<TaskWritten, Refusal> {
    Ok(TaskWritten { task: Rows::new(view).task(&find::by_id(view, done.answer)?)?, op: done.op })
}

/// What an edit did, as far as only the write itself can know.
pub struct Edited {
    node: NodeId,
    merged: bool,
}

/// Changes the fields that are given, of a task, a doc or a project.
pub fn edit(draft: &mut Draft<'_>, request: &EditTask) -> Result<Edited, Refusal> {
    let node = find::visible(&draft.view(), &request.id)?;
    check_editable(&node, request)?;
    let seen = parse_seen(&request.seen)?;
    let mut edit = Edit { draft, node: &node, seen: &seen };
    if let Some(title) = &request.title {
        edit.set(TITLE, Value::text(one_line("the title", title)?))?;
    }
    edit.dates_and_rule(request)?;
    edit.late_on(request)?;
    match request.attention {
        Patch::Keep => {}
        Patch::Clear => edit.set(ATTENTION, Value::Null)?,
        Patch::Set(colour) => edit.set(ATTENTION, Value::text(attention(colour)))?,
    }
    if let Some(state) = request.state {
        edit.set(STATE, Value::text(state_word(state)))?;
    }
    edit.project_and_tags(request)?;
    let mut merged = false;
    if let Some(body) = &request.body {
        let owner = Owner::Node(node.clone());
        merged = owner.save(draft, &body.text, body.version.as_deref())?.merged;
    }
    Ok(Edited { node: node.id, merged })
}

/// Of a doc or a project, only what they have can be changed.
fn check_editable(node: &Node, request: &EditTask) -> Result<(), Refusal> {
    let for_tasks = [
        ("do_date", !request.do_date.is_keep()),
        ("late_on", !request.late_on.is_keep()),
        ("attention", !request.attention.is_keep()),
        ("recurrence", !request.recurrence.is_keep()),
        ("state", request.state.is_some()),
    ];
    let wrong = for_tasks.iter().find(|(_, given)| *given).map(|(name, _)| *name);
    match (node.kind(), wrong) {
        ("task", _) | ("doc" | "project", None) => Ok(()),
        ("doc" | "project", Some(name)) => {
            Err(Refusal::bad_request(format!("{} is a {}, which has no {name}", node.id, node.kind())))
        }
        (kind, _) => {
            let message = format!("{} is a {kind}; only tasks, docs and projects can be edited", node.id);
            Err(Refusal::bad_request(message))
        }
    }
}

fn parse_seen(seen: &[String]) -> Result<Vec<OpRef>, Refusal> {
    let parse = |text: &String| text.parse().map_err(|why| Refusal::bad_request(format!("seen: {why}")));
    seen.iter().map(parse).collect()
}

fn state_word(state: TaskState) -> &'static str {
    match state {
        TaskState::Outstanding => OUTSTANDING,
        TaskState::Done => DONE,
        TaskState::Dropped => DROPPED,
    }
}

/// An edit of one node, by someone who had seen certain ops.
struct Edit<'e, 'd> {
    draft: &'e mut Draft<'d>,
    node: &'e Node,
    seen: &'e [OpRef],
}

impl Edit<'_, '_> {
    fn set(&mut self, name: &str, value: Value) -> Result<(), Refusal> {
        self.set_field(&field(name), value)
    }

    /// Replaces the value that the person saw, where a surface says so, else the one that is shown.
    fn set_field(&mut self, field: &Field, value: Value) -> Result<(), Refusal> {
        match self.seen_at(field)? {
            None => self.draft.set(self.node.id, field, value)?,
            Some(position) => self.draft.set_read_at(self.node.id, field, value, position)?,
        }
        Ok(())
    }

    /// When the person saw this register: right after the last of the ops they had seen that wrote it.
    fn seen_at(&self, field: &Field) -> Result<Option<u64>, Refusal> {
        let view = self.draft.view();
        let mut newest = None;
        for op in self.seen {
            let Some((position, found, _)) = view.op(op)? else {
                return Err(Refusal::not_found(format!("seen: there is no op {op} here")));
            };
            let register = (self.node.id, field.clone());
            let writes =
                found.read().unwrap_or_default().iter().any(|change| change.register().as_ref() == Some(&register));
            newest = newest.max(writes.then_some(position));
        }
        Ok(newest)
    }

    fn dates_and_rule(&mut self, request: &EditTask) -> Result<(), Refusal> {
        let mut start = self.node.state.value(DO_DATE).cloned();
        match &request.do_date {
            // What no longer recurs stays on the day on which it stood.
            Patch::Keep if request.recurrence == Patch::Clear => start = occurrence::stands_on(self.node),
            Patch::Keep => {}
            Patch::Clear => start = None,
            Patch::Set(text) => start = Some(value::date("do_date", text)?),
        }
        let rule = match &request.recurrence {
            Patch::Keep => self.node.state.text(RECURRENCE).map(str::to_owned),
            Patch::Clear => None,
            Patch::Set(text) => Some(text.clone()),
        };
        let touched = !request.do_date.is_keep() || !request.recurrence.is_keep();
        if rule.is_some() && start.is_none() && touched {
            if request.do_date == Patch::Clear {
                let hint = "clear the recurrence, too, or give another date";
                return Err(Refusal::bad_request("a task that recurs has a date").hint(hint));
            }
            start = Some(Value::Date(local_day(self.draft.now())));
        }
        if let (Patch::Set(text), Some(start)) = (&request.recurrence, start.as_ref().and_then(Value::as_date)) {
            self.set(RECURRENCE, Value::text(value::rule(text, start)?.to_string()))?;
        } else if request.recurrence == Patch::Clear {
            self.set(RECURRENCE, Value::Null)?;
            self.keep_ended(request)?;
        }
        if touched {
            self.set(DO_DATE, start.unwrap_or(Value::Null))?;
        }
        Ok(())
    }

    /// A task that is done because its rule has ended stays done without the rule.
    fn keep_ended(&mut self, request: &EditTask) -> Result<(), Refusal> {
        let is_done = task_view(&self.node.state).state.as_deref() == Some(DONE);
        if is_done && request.state.is_none() { self.set(STATE, Value::text(DONE)) } else { Ok(()) }
    }

    fn late_on(&mut self, request: &EditTask) -> Result<(), Refusal> {
        match &request.late_on {
            Patch::Keep => Ok(()),
            Patch::Clear => self.set(LATE_ON, Value::Null),
            Patch::Set(text) => self.set(LATE_ON, value::date("late_on", text)?),
        }
    }

    fn project_and_tags(&mut self, request: &EditTask) -> Result<(), Refusal> {
        match &request.project {
            Patch::Keep => {}
            Patch::Clear => self.set(PROJECT, Value::Null)?,
            Patch::Set(text) => {
                let project = find::or_make_project(self.draft, text)?;
                self.set(PROJECT, Value::Node(project))?;
            }
        }
        for tag in &request.add_tags {
            let tag = find::or_make_tag(self.draft, tag)?;
            self.set_field(&Field::tag(tag), Value::Bool(true))?;
        }
        for tag in &request.remove_tags {
            let tag = find::known_tag(&self.draft.view(), tag)?;
            self.set_field(&Field::tag(tag), Value::Null)?;
        }
        Ok(())
    }
}

/// Says how a node stands after an edit.
pub fn edited(view: &View<'_>, done: Done<Edited>) -> Result<EditWritten, Refusal> {
    let node = find::by_id(view, done.answer.node)?;
    let mut rows = Rows::new(view);
    let row = rows.node(&node)?;
    let task = if node.kind() == "task" { Some(rows.task(&node)?) } else { None };
    let (node_id, short_id, kind, title) = (row.node_id, row.short_id, row.kind, row.title);
    Ok(EditWritten { node_id, short_id, kind, title, task, merged: done.answer.merged, op: done.op })
}

/// Gives a task up, with all its occurrences.
pub fn drop(draft: &mut Draft<'_>, request: &DropTask) -> Result<NodeId, Refusal> {
    let task = find::task(&draft.view(), &request.id)?;
    draft.set(task.id, &field(STATE), Value::text(DROPPED))?;
    Ok(task.id)
}

/// Adds an entry to a node's log; what a node owns has its log with its owner.
pub fn log(draft: &mut Draft<'_>, request: &LogEntry) -> Result<(NodeId, NodeId), Refusal> {
    let named = find::visible(&draft.view(), &request.id)?;
    let owner = named.state.owner().unwrap_or(named.id);
    let text = request.text.trim();
    if text.is_empty() {
        return Err(Refusal::bad_request("the entry is empty"));
    }
    let entry = draft.fresh_node();
    draft.set(entry, &field(KIND), Value::text("entry"))?;
    draft.set(entry, &field(OF), Value::Node(owner))?;
    draft.set(entry, &field(ROLE), Value::text("log"))?;
    match entry_title(text) {
        None => draft.set(entry, &field(TITLE), Value::text(text))?,
        Some(beginning) => {
            draft.set(entry, &field(TITLE), Value::text(beginning))?;
            draft.save_body(entry, text, None)?;
        }
    }
    Ok((owner, entry))
}

/// The beginning of a text that is too long for a title or has several lines; `None` where it is itself one.
fn entry_title(text: &str) -> Option<String> {
    let first = text.lines().next().unwrap_or_default();
    let fits = first.floor_char_boundary(ENTRY_TITLE_BYTES_MAX);
    (first.len() != text.len() || fits < first.len()).then(|| format!("{}…", first[..fits].trim_end()))
}

/// Says which entry was added.
pub fn logged(view: &View<'_>, done: Done<(NodeId, NodeId)>) -> Result<LogWritten, Refusal> {
    let (owner, entry) = done.answer;
    let row = Rows::new(view).node(&find::by_id(view, owner)?)?;
    let op = done.op.ok_or_else(|| Refusal::new(code::INTERNAL, "the entry was not written"))?;
    let (node_id, short_id, title) = (row.node_id, row.short_id, row.title);
    Ok(LogWritten { node_id, short_id, title, entry_id: entry.to_string(), op })
}

/// Reads the context document of a task.
pub fn context(view: &View<'_>, request: ReadContext) -> Result<BodyRead, Refusal> {
    text::read(view, &Owner::Node(find::task(view, &request.id)?))
}

/// Appends to the context document of a task.
pub fn append_context(draft: &mut Draft<'_>, request: &AppendContext) -> Result<Wrote, Refusal> {
    let task = find::task(&draft.view(), &request.id)?;
    Owner::Node(task).append(draft, &request.text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_short_line_is_an_entry_by_itself() {
        assert_eq!(entry_title("called, nobody there"), None);
        assert_eq!(entry_title("called\nnobody there").as_deref(), Some("called…"));
        assert_eq!(entry_title(&"ü".repeat(150)), Some(format!("{}…", "ü".repeat(100))));
    }
}
