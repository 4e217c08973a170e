//! What a person does: every action that the local API has, through its real routes, in words of which each is typed
//! only once, so that it can be told whether any was lost.

use crate::desk::{Desk, Seen};
use heph_api::types::{
    AppendContext, AppendDoc, AppendJournal, Attention, CompleteTask, CreateDoc, CreateTask, DeleteNode, DropTask,
    EditTask, HeadChoice, ImportObsidian, ListConflicts, ListTasks, LogEntry, NodeHistory, Patch, SaveDoc, SaveJournal,
    Search, ShowConflict, ShowDoc, ShowJournal, ShowNode, TakeConflict, TaskState, UndeleteNode, Undo,
};
use heph_api::{ApiError, code};
use heph_store::id::{NodeId, OpRef};
use heph_store::op::ChangeRef;

/// What an act did, as far as whoever did it was told.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// An op that was acknowledged; with it everything that its author wrote before.
    pub op: Option<OpRef>,
    /// A text that was read, and what was made of it.
    pub rewrote: Option<(String, String)>,
    /// Ops that were taken back.
    pub undid: Vec<OpRef>,
    /// A node on which this may be a conflict, although one device alone wrote it.
    pub may_conflict: Option<NodeId>,
}

/// The kinds of act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// A new task.
    Add,
    /// A new task that recurs.
    AddRecurring,
    /// A new note.
    Write,
    /// A title, often the one that others edit, too.
    Title,
    /// Attention, dates, tags, project, state.
    Fields,
    /// A note is read, edited and saved.
    Save,
    /// A note that was read some time ago is saved.
    SaveStale,
    /// A line at the end of a note.
    Append,
    /// A line in the journal of a day.
    Journal,
    /// A journal is read, edited and saved.
    SaveJournal,
    /// A long text is saved, in several ops.
    Long,
    /// An entry in a task's log.
    Log,
    /// A line in a task's context.
    Context,
    /// A task, or an occurrence of it, is done.
    Complete,
    /// A task is dropped.
    Drop,
    /// A node is deleted.
    Delete,
    /// A node is brought back.
    Undelete,
    /// The last thing, or an older one, is undone.
    Undo,
    /// A conflict is settled.
    Settle,
    /// A value is erased.
    Erase,
    /// A vault is imported.
    Import,
    /// Lists and searches are read.
    Read,
}

/// How often each is done, out of the sum.
const WEIGHTS: &[(Act, u32)] = &[
    (Act::Add, 14),
    (Act::AddRecurring, 3),
    (Act::Write, 7),
    (Act::Title, 14),
    (Act::Fields, 10),
    (Act::Save, 12),
    (Act::SaveStale, 4),
    (Act::Append, 6),
    (Act::Journal, 5),
    (Act::SaveJournal, 2),
    (Act::Long, 1),
    (Act::Log, 3),
    (Act::Context, 4),
    (Act::Complete, 7),
    (Act::Drop, 1),
    (Act::Delete, 4),
    (Act::Undelete, 3),
    (Act::Undo, 8),
    (Act::Settle, 4),
    (Act::Erase, 1),
    (Act::Import, 1),
    (Act::Read, 3),
];

const RULES: &[&str] = &[
    "FREQ=DAILY",
    "FREQ=WEEKLY;BYDAY=MO,FR",
    "FREQ=MONTHLY;BYMONTHDAY=-1",
    "FREQ=DAILY;INTERVAL=3;X-HEPH-FROM=DONE",
    "FREQ=YEARLY;COUNT=4",
];

impl Act {
    /// Chooses one.
    pub fn choose(rng: &mut fastrand::Rng) -> Self {
        let sum: u32 = WEIGHTS.iter().map(|(_, weight)| weight).sum();
        let mut left = rng.u32(0..sum);
        for (act, weight) in WEIGHTS {
            if left < *weight {
                return *act;
            }
            left -= weight;
        }
        Self::Read
    }

    /// What it is called in counts.
    pub fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::AddRecurring => "add recurring",
            Self::Write => "write a note",
            Self::Title => "title",
            Self::Fields => "fields",
            Self::Save => "save",
            Self::SaveStale => "save an old reading",
            Self::Append => "append",
            Self::Journal => "journal",
            Self::SaveJournal => "save a journal",
            Self::Long => "long text",
            Self::Log => "log",
            Self::Context => "context",
            Self::Complete => "complete",
            Self::Drop => "drop",
            Self::Delete => "delete",
            Self::Undelete => "undelete",
            Self::Undo => "undo",
            Self::Settle => "settle",
            Self::Erase => "erase",
            Self::Import => "import",
            Self::Read => "read",
        }
    }
}

/// Whether an error is the answer that a person may get, whatever they do.
pub fn is_expected(error: &ApiError) -> bool {
    !matches!(error.code.as_str(), code::INTERNAL | code::UNKNOWN_CALL)
}

/// Does one thing at a desk.
///
/// # Errors
/// What the daemon refused.
pub async fn perform(act: Act, desk: &mut Desk) -> Result<Done, ApiError> {
    match act {
        Act::Add => add(desk, None).await,
        Act::AddRecurring => {
            let rule = RULES[desk.rng.usize(0..RULES.len())];
            add(desk, Some(rule)).await
        }
        Act::Write => write(desk).await,
        Act::Title => title(desk).await,
        Act::Fields => fields(desk).await,
        Act::Save => save(desk, false).await,
        Act::SaveStale => save_stale(desk).await,
        Act::Long => save(desk, true).await,
        Act::Append => append(desk).await,
        Act::Journal => journal(desk).await,
        Act::SaveJournal => save_journal(desk).await,
        Act::Log => {
            let (id, text) = (desk.task(), desk.words());
            desk.call(&LogEntry { id, text }).await.map(|done| written(Some(done.op)))
        }
        Act::Context => {
            let (id, text) = (desk.task(), desk.words());
            desk.call(&AppendContext { id, text }).await.map(|done| written(done.op))
        }
        Act::Complete => {
            let (id, today) = (desk.task(), Some(desk.day()));
            desk.call(&CompleteTask { id, occurrence: None, today }).await.map(|done| written(done.op))
        }
        Act::Drop => {
            let id = desk.task();
            desk.call(&DropTask { id }).await.map(|done| written(done.op))
        }
        Act::Delete => {
            let id = desk.any();
            desk.call(&DeleteNode { id }).await.map(|done| written(done.op))
        }
        Act::Undelete => {
            let id = desk.any();
            desk.call(&UndeleteNode { id }).await.map(|done| written(done.op))
        }
        Act::Undo => undo(desk).await,
        Act::Settle => settle(desk).await,
        Act::Erase => erase(desk).await,
        Act::Import => import(desk).await,
        Act::Read => read(desk).await,
    }
}

fn written(op: Option<String>) -> Done {
    Done { op: op.and_then(|op| op.parse().ok()), ..Done::default() }
}

fn rewritten(op: Option<String>, before: String, after: String) -> Done {
    let rewrote = op.is_some().then_some((before, after));
    Done { rewrote, ..written(op) }
}

async fn add(desk: &mut Desk, rule: Option<&str>) -> Result<Done, ApiError> {
    let due = rule.is_some() || desk.rng.bool();
    let call = CreateTask {
        title: desk.words(),
        do_date: due.then(|| desk.day()),
        recurrence: rule.map(str::to_owned),
        tags: desk.rng.bool().then(|| desk.tag()).into_iter().collect(),
        body: (desk.rng.u8(..) < 40).then(|| desk.words()),
        ..CreateTask::default()
    };
    let made = desk.call(&call).await?;
    desk.known(|known| known.tasks.push((desk.spoke(), made.task.node_id.clone())));
    Ok(written(made.op))
}

async fn write(desk: &mut Desk) -> Result<Done, ApiError> {
    let call = CreateDoc { title: desk.words(), body: Some(desk.lines(3)), ..CreateDoc::default() };
    let made = desk.call(&call).await?;
    desk.known(|known| known.docs.push((desk.spoke(), made.node.node_id.clone())));
    Ok(written(made.op))
}

async fn title(desk: &mut Desk) -> Result<Done, ApiError> {
    let call = EditTask { id: desk.any(), title: Some(desk.words()), ..EditTask::default() };
    desk.call(&call).await.map(|done| written(done.op))
}

async fn fields(desk: &mut Desk) -> Result<Done, ApiError> {
    let mut call = EditTask { id: desk.task(), ..EditTask::default() };
    match desk.rng.u8(0..7) {
        0 => call.attention = Patch::Set([Attention::Red, Attention::Blue][desk.rng.usize(0..2)]),
        1 => call.do_date = Patch::Set(desk.day()),
        2 => call.do_date = Patch::Clear,
        3 => call.add_tags = vec![desk.tag()],
        4 => call.remove_tags = vec![desk.tag()],
        5 => call.state = Some([TaskState::Outstanding, TaskState::Done, TaskState::Dropped][desk.rng.usize(0..3)]),
        _ => call.recurrence = Patch::Set(RULES[desk.rng.usize(0..RULES.len())].to_owned()),
    }
    desk.call(&call).await.map(|done| written(done.op))
}

async fn save(desk: &mut Desk, long: bool) -> Result<Done, ApiError> {
    let doc = desk.doc();
    let read = desk.call(&ShowDoc { id: doc }).await?;
    let id = read.node.node_id.clone();
    if desk.rng.u8(..) < 60 {
        desk.keep(Seen { spoke: desk.spoke(), id: id.clone(), text: read.text.clone(), version: read.version.clone() });
    }
    let body = if long { desk.lengthened(&read.text) } else { desk.edited(&read.text) };
    desk.attempted.text = Some((read.text.clone(), body.clone()));
    let saved = desk.call(&SaveDoc { id, body: body.clone(), version: read.version }).await?;
    Ok(rewritten(saved.op, read.text, body))
}

async fn save_stale(desk: &mut Desk) -> Result<Done, ApiError> {
    let Some(seen) = desk.kept() else { return save(desk, false).await };
    let body = desk.edited(&seen.text);
    desk.attempted.text = Some((seen.text.clone(), body.clone()));
    desk.attempted.old_reading = seen.id.parse().ok();
    let saved = desk.call(&SaveDoc { id: seen.id, body: body.clone(), version: seen.version }).await?;
    let may_conflict = saved.node.node_id.parse().ok();
    Ok(Done { may_conflict, ..rewritten(saved.op, seen.text, body) })
}

async fn append(desk: &mut Desk) -> Result<Done, ApiError> {
    let (id, text) = (desk.doc(), desk.words());
    desk.call(&AppendDoc { id, text }).await.map(|done| written(done.op))
}

async fn journal(desk: &mut Desk) -> Result<Done, ApiError> {
    let (date, text) = (desk.day(), desk.words());
    desk.call(&AppendJournal { date, text }).await.map(|done| written(done.op))
}

async fn save_journal(desk: &mut Desk) -> Result<Done, ApiError> {
    let date = desk.day();
    let read = desk.call(&ShowJournal { date: date.clone() }).await?;
    let body = desk.edited(&read.text);
    desk.attempted.text = Some((read.text.clone(), body.clone()));
    let saved = desk.call(&SaveJournal { date, body: body.clone(), version: read.version }).await?;
    Ok(rewritten(saved.op, read.text, body))
}

async fn undo(desk: &mut Desk) -> Result<Done, ApiError> {
    let op = match desk.rng.u8(0..4) {
        0 => None,
        1 => desk.turn(),
        _ => {
            let id = desk.any();
            let history = desk.call(&NodeHistory { id, limit: Some(6), after: None }).await?;
            let choice = desk.rng.usize(0..history.entries.len().max(1));
            history.entries.get(choice).map(|entry| entry.op.clone())
        }
    };
    desk.attempted.undoes = true;
    let report = desk.call(&Undo { op }).await?;
    desk.turned(report.op.as_ref());
    let undid = report.ops.iter().filter_map(|op| op.parse().ok()).collect();
    Ok(Done { undid, ..written(report.op) })
}

async fn settle(desk: &mut Desk) -> Result<Done, ApiError> {
    let conflicts = desk.call(&ListConflicts {}).await?.conflicts;
    if conflicts.is_empty() {
        return Ok(Done::default());
    }
    let id = conflicts[desk.rng.usize(0..conflicts.len())].node.node_id.clone();
    let detail = desk.call(&ShowConflict { id: id.clone() }).await?;
    let Some(contested) = detail.contested.first() else { return Ok(Done::default()) };
    let number = desk.rng.u32(1..=u32::try_from(contested.heads.len()).unwrap_or(1));
    let texts: Vec<String> = contested.heads.iter().filter_map(|head| head.value.as_str().map(str::to_owned)).collect();
    let after = texts.get(number as usize - 1).cloned().unwrap_or_default();
    let call = TakeConflict { id, field: contested.field.clone(), head: HeadChoice::Number(number) };
    let is_body = contested.field == "body";
    desk.attempted.text = is_body.then(|| (texts.join("\n"), after.clone()));
    let taken = desk.call(&call).await?;
    desk.turned(taken.op.as_ref());
    Ok(if is_body { rewritten(taken.op, texts.join("\n"), after) } else { written(taken.op) })
}

async fn erase(desk: &mut Desk) -> Result<Done, ApiError> {
    let id = desk.any();
    let history = desk.call(&NodeHistory { id, limit: Some(3), after: None }).await?;
    let op = history.entries.iter().find_map(|entry| entry.op.parse::<OpRef>().ok());
    let (Some(op), Some(writer)) = (op, desk.writer.clone()) else { return Ok(Done::default()) };
    let erased = writer.run(move |group| {
        group.write(|draft| {
            draft.erase(vec![ChangeRef { op, index: 0 }]);
            Ok::<_, heph_store::Error>(())
        })
    });
    match erased.await {
        Ok(Ok(written)) => Ok(Done { op: written.ops.last().copied(), ..Done::default() }),
        _ => Err(ApiError::new(code::STOPPING, "not erased")),
    }
}

async fn import(desk: &mut Desk) -> Result<Done, ApiError> {
    let dir = desk.vault();
    let report = desk.call(&ImportObsidian { dir: dir.into(), vault: None }).await?;
    desk.known(|known| known.imports += report.new);
    Ok(Done::default())
}

async fn read(desk: &mut Desk) -> Result<Done, ApiError> {
    desk.call(&ListTasks { limit: Some(20), ..ListTasks::default() }).await?;
    desk.call(&Search { query: "note".to_owned(), limit: Some(5) }).await?;
    let id = desk.any();
    desk.call(&ShowNode { id }).await?;
    Ok(Done::default())
}
