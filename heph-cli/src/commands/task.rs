//! Tasks: made, listed, changed, completed, given up, commented.

use heph_api::types::{
    BodyWrite, CompleteTask, CreateTask, DropTask, EditTask, EditWritten, ListTasks, LogEntry, Patch, ShowDoc, TaskRow,
    TaskWritten,
};

use super::text::{self, Action, Owner};
use crate::{
    args::{Context, Done, Edit, Id, List, NewTask, Note},
    dates,
    editor::Draft,
    failure::{Failure, note},
    render::{Page, one_line, task_heading, task_row, task_title},
    surface::{Surface, text_or_stdin, words_or_stdin},
};

/// The most rows of one page, as the daemon gives them.
const PAGE_ROWS: u32 = 10_000;

pub fn new(surface: &Surface, args: NewTask) -> Result<(), Failure> {
    let written = surface.ask(&CreateTask {
        title: args.title.join(" "),
        do_date: args.do_date,
        late_on: args.late_on,
        attention: args.attention.map(Into::into),
        recurrence: args.every,
        project: args.project,
        tags: args.tags,
        body: args.body.as_deref().map(text_or_stdin).transpose()?,
    })?;
    print_task(surface, "made", &written)
}

pub fn list(surface: &Surface, args: List) -> Result<(), Failure> {
    let mut call = ListTasks {
        project: args.project,
        tag: args.tag,
        state: args.state.into(),
        due: args.due,
        attention: args.attention.map(Into::into),
        limit: Some(args.limit.unwrap_or(PAGE_ROWS).min(PAGE_ROWS)),
        after: None,
    };
    let mut tasks: Vec<TaskRow> = Vec::new();
    let wanted = args.limit.map_or(usize::MAX, |limit| limit as usize);
    loop {
        let page = surface.ask(&call)?;
        tasks.extend(page.tasks);
        call.after = page.next;
        if call.after.is_none() || tasks.len() >= wanted {
            break;
        }
    }
    tasks.truncate(wanted);
    surface.print(&tasks, |page| print_rows(page, &tasks))
}

fn print_rows(page: &mut Page, tasks: &[TaskRow]) {
    if tasks.is_empty() {
        return;
    }
    let style = page.style();
    let heading = std::iter::once(task_heading(style));
    let rows: Vec<_> = heading.chain(tasks.iter().map(|task| task_row(task, style))).collect();
    page.columns(&rows);
}

pub fn edit(surface: &Surface, args: Edit) -> Result<(), Failure> {
    let body = match (args.editor, args.text.body.as_deref()) {
        (true, _) => return edit_text(surface, args),
        (false, Some(text)) => Some((Draft::from_words(text)?, args.text.base.clone())),
        (false, None) => None,
    };
    send_edit(surface, args, body)
}

fn edit_text(surface: &Surface, args: Edit) -> Result<(), Failure> {
    let read = surface.ask(&ShowDoc { id: args.id.clone() })?;
    let draft = Draft::from_editor(&read.text)?;
    send_edit(surface, args, draft.map(|draft| (draft, Some(read.version))))
}

fn send_edit(surface: &Surface, args: Edit, body: Option<(Draft, Option<String>)>) -> Result<(), Failure> {
    let id = args.id.clone();
    let call = edit_call(args);
    let written = match body {
        None => surface.ask(&call)?,
        Some((draft, version)) => {
            let base = version.as_ref().map(|version| format!(" --base {version}")).unwrap_or_default();
            draft.send(
                |file| format!("heph edit {id} --body -{base} < {}", file.display()),
                |text| surface.ask(&EditTask { body: Some(BodyWrite { text, version }), ..call }),
            )?
        }
    };
    print_edit(surface, &written)
}

fn edit_call(args: Edit) -> EditTask {
    EditTask {
        id: args.id,
        title: args.title,
        do_date: patch(args.do_date, args.no_do),
        late_on: patch(args.late_on, args.no_late),
        attention: patch(args.attention.map(Into::into), args.no_attention),
        recurrence: patch(args.every, args.no_every),
        project: patch(args.project, args.no_project),
        state: args.state.map(Into::into),
        add_tags: args.tags,
        remove_tags: args.untags,
        body: None,
        seen: Vec::new(),
    }
}

fn patch<T>(value: Option<T>, clear: bool) -> Patch<T> {
    match (value, clear) {
        (Some(value), _) => Patch::Set(value),
        (None, true) => Patch::Clear,
        (None, false) => Patch::Keep,
    }
}

fn print_edit(surface: &Surface, written: &EditWritten) -> Result<(), Failure> {
    let done = if written.op.is_some() { "changed" } else { "unchanged" };
    surface.print(written, |page| {
        let title = match &written.task {
            Some(task) => task_line(task, page),
            None => one_line(&written.title),
        };
        page.line(format!("{done} {} {title}", written.short_id));
    })?;
    if written.merged {
        note("something that arrived meanwhile was merged with the text; have a look at it");
    }
    Ok(())
}

pub fn done(surface: &Surface, args: Done) -> Result<(), Failure> {
    let today = Some(dates::today_text());
    let completed = surface.ask(&CompleteTask { id: args.id, occurrence: args.on, today })?;
    surface.print(&completed, |page| {
        let title = format!("{} {}", completed.task.short_id, one_line(&completed.task.title));
        match (&completed.occurrence, &completed.next) {
            (Some(occurrence), Some(next)) => {
                page.line(format!("done {title} for {}, next on {}", one_line(occurrence), one_line(next)));
            }
            _ if completed.op.is_none() => page.line(format!("{title} was done already")),
            _ => page.line(format!("done {title}")),
        }
    })
}

pub fn drop(surface: &Surface, args: Id) -> Result<(), Failure> {
    let written = surface.ask(&DropTask { id: args.id })?;
    print_task(surface, "dropped", &written)
}

pub fn log(surface: &Surface, args: Note) -> Result<(), Failure> {
    let text = words_or_stdin(&args.text)?;
    let written = surface.ask(&LogEntry { id: args.id, text })?;
    surface.print(&written, |page| {
        page.line(format!("logged on {} {}", written.short_id, one_line(&written.title)));
    })
}

pub fn context(surface: &Surface, args: Context) -> Result<(), Failure> {
    text::run(surface, &Owner::Task(args.id), Action::of(args.append, args.edit, args.text))
}

fn print_task(surface: &Surface, done: &str, written: &TaskWritten) -> Result<(), Failure> {
    surface.print(written, |page| {
        let line = task_line(&written.task, page);
        page.line(format!("{done} {} {line}", written.task.short_id));
    })
}

/// Returns a task in one line: title, what belongs to it, dates.
fn task_line(task: &TaskRow, page: &Page) -> String {
    let dates = [("do", &task.do_date), ("late", &task.late_on)];
    let dates = dates.iter().filter_map(|(word, date)| date.as_ref().map(|date| format!(" {word} {}", one_line(date))));
    let dates: String = dates.collect();
    format!("{}{dates}", task_title(task, page.style()))
}
