//! Tasks: what is to be done, when, how urgently, and what was noted on the way.

use serde::{Deserialize, Serialize};

use super::{BodyRead, BodyWrite, BodyWritten, Patch, call};

/// How much attention a task asks for, most first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Attention {
    /// Now.
    Red,
    /// Soon.
    Orange,
    /// As usual.
    White,
    /// When there is time.
    Blue,
}

/// Which tasks a list shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StateFilter {
    /// Those still to do.
    #[default]
    Outstanding,
    /// Those done.
    Done,
    /// Those given up.
    Dropped,
    /// All but the deleted ones.
    All,
}

/// A task as lists show it. `state` and `attention` are text, because a newer version may have written a
/// word that this one does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The node's UUID.
    pub node_id: String,
    /// The shortest unique ending of its 32 hex digits, at least four.
    pub short_id: String,
    /// One line.
    pub title: String,
    /// `outstanding`, `done` or `dropped`.
    pub state: String,
    /// When to do it: a date. Of a recurring task, its current occurrence.
    pub do_date: Option<String>,
    /// From when on it counts as late: a date.
    pub late_on: Option<String>,
    /// `daily`, `weekly`, `monthly`, `yearly`, `weekdays`, or an RRULE.
    pub recurrence: Option<String>,
    /// `red`, `orange`, `white` or `blue`.
    pub attention: Option<String>,
    /// The project's name.
    pub project: Option<String>,
    /// The project's UUID.
    pub project_id: Option<String>,
    /// Names of tags, sorted.
    pub tags: Vec<String>,
    /// Whether `heph conflicts` lists it.
    pub conflicted: bool,
}

/// `task/create`: makes a task.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateTask {
    /// One line, not empty.
    pub title: String,
    /// When to do it: a date.
    #[serde(default)]
    pub do_date: Option<String>,
    /// From when on it counts as late: a date.
    #[serde(default)]
    pub late_on: Option<String>,
    /// How much attention it asks for.
    #[serde(default)]
    pub attention: Option<Attention>,
    /// `daily`, `weekly`, `monthly`, `yearly`, `weekdays`, or an RRULE.
    #[serde(default)]
    pub recurrence: Option<String>,
    /// A project's name or id; a name that no project has makes one.
    #[serde(default)]
    pub project: Option<String>,
    /// Names of tags; missing ones are made.
    #[serde(default)]
    pub tags: Vec<String>,
    /// The text of its context document.
    #[serde(default)]
    pub body: Option<String>,
}
call!(CreateTask, "/v1/task/create", TaskWritten);

/// A task as it is after a write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskWritten {
    /// The task; in JSON its fields stand beside `op`.
    #[serde(flatten)]
    pub task: TaskRow,
    /// The (last) op that was written; `null` where everything was so already.
    pub op: Option<String>,
}

/// `task/list`: the tasks that fit every filter given, soonest `do_date` first, those without one last.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListTasks {
    /// A project's name or id.
    #[serde(default)]
    pub project: Option<String>,
    /// A tag's name.
    #[serde(default)]
    pub tag: Option<String>,
    /// Outstanding ones, unless it says otherwise.
    #[serde(default)]
    pub state: StateFilter,
    /// Only with a `do_date` or `late_on` on or before this date.
    #[serde(default)]
    pub due: Option<String>,
    /// Only with this attention.
    #[serde(default)]
    pub attention: Option<Attention>,
    /// At most so many, 1 to 10,000; 1,000 unless said.
    #[serde(default)]
    pub limit: Option<u32>,
    /// What the page before gave as `next`.
    #[serde(default)]
    pub after: Option<String>,
}
call!(ListTasks, "/v1/task/list", TaskList, read);

/// One page of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskList {
    /// The page, in order.
    pub tasks: Vec<TaskRow>,
    /// To be sent as `after` for the next page; `null` on the last one.
    pub next: Option<String>,
}

/// `task/edit`: changes the fields that are given, in one op.
///
/// Also takes a doc or a project, of which `title`, `project`, tags and `body` can be changed; other fields
/// are then `bad_request`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditTask {
    /// Which node.
    pub id: String,
    /// One line, not empty.
    #[serde(default)]
    pub title: Option<String>,
    /// When to do it.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub do_date: Patch<String>,
    /// From when on it counts as late.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub late_on: Patch<String>,
    /// How much attention it asks for.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub attention: Patch<Attention>,
    /// `daily`, `weekly`, `monthly`, `yearly`, `weekdays`, or an RRULE.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub recurrence: Patch<String>,
    /// A project's name or id; a name that no project has makes one.
    #[serde(default, skip_serializing_if = "Patch::is_keep")]
    pub project: Patch<String>,
    /// `outstanding` makes a done or dropped task one to do again.
    #[serde(default)]
    pub state: Option<TaskState>,
    /// Names of tags it has afterwards, beside those it has.
    #[serde(default)]
    pub add_tags: Vec<String>,
    /// Names of tags it no longer has afterwards.
    #[serde(default)]
    pub remove_tags: Vec<String>,
    /// The whole text: of a task its context document, of a doc its own.
    #[serde(default)]
    pub body: Option<BodyWrite>,
    /// The ops whose values the person had before their eyes, where a surface showed them some time ago. For
    /// fields it does not name, and where it is empty: what is shown when the call arrives.
    #[serde(default)]
    pub seen: Vec<String>,
}
call!(EditTask, "/v1/task/edit", EditWritten);

/// The state a task can be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskState {
    /// Still to do.
    Outstanding,
    /// Done.
    Done,
    /// Given up.
    Dropped,
}

/// A node as it is after an edit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EditWritten {
    /// The node's UUID.
    pub node_id: String,
    /// Its short id.
    pub short_id: String,
    /// `task`, `doc`, `project`.
    pub kind: String,
    /// Its title.
    pub title: String,
    /// The task, where it is one.
    pub task: Option<TaskRow>,
    /// Whether something that had arrived since the body was read is merged into it now.
    pub merged: bool,
    /// The last op that was written; `null` where everything was so already.
    pub op: Option<String>,
}

/// `task/done`: completes a task; a recurring one moves to its next occurrence.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompleteTask {
    /// Which task.
    pub id: String,
    /// Which occurrence of a recurring task: its date. The current one unless said.
    #[serde(default)]
    pub occurrence: Option<String>,
    /// Today, as the person's calendar has it: what rules that count from completion count from.
    #[serde(default)]
    pub today: Option<String>,
}
call!(CompleteTask, "/v1/task/done", TaskCompleted);

/// A task after `task/done`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskCompleted {
    /// The task as it is now; of a recurring one, `do_date` is the next occurrence.
    #[serde(flatten)]
    pub task: TaskRow,
    /// The op; `null` where it was done already.
    pub op: Option<String>,
    /// The occurrence that is done now, of a recurring task.
    pub occurrence: Option<String>,
    /// The next one; `null` where there is none, and for a task that does not recur.
    pub next: Option<String>,
}

/// `task/drop`: gives a task up, with all its occurrences.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropTask {
    /// Which task.
    pub id: String,
}
call!(DropTask, "/v1/task/drop", TaskWritten);

/// `task/log`: adds an entry to a node's log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// Which task (or doc, or project).
    pub id: String,
    /// What happened.
    pub text: String,
}
call!(LogEntry, "/v1/task/log", LogWritten);

/// An entry that was added to a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogWritten {
    /// The node whose log it is.
    pub node_id: String,
    /// Its short id.
    pub short_id: String,
    /// Its title.
    pub title: String,
    /// The entry's own UUID.
    pub entry_id: String,
    /// The op.
    pub op: String,
}

/// `task/context`: reads the context document of a task. One that was never written is an empty text.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReadContext {
    /// Which task.
    pub id: String,
}
call!(ReadContext, "/v1/task/context", BodyRead, read);

/// `task/append-context`: appends a paragraph to the context document of a task, making it if need be.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppendContext {
    /// Which task.
    pub id: String,
    /// Markdown; a line end is put before and after it where one is missing.
    pub text: String,
}
call!(AppendContext, "/v1/task/append-context", BodyWritten);
