//! Whole texts and paragraphs, whichever node they belong to: read, append, edit, save.

use heph_api::types::{AppendContext, AppendDoc, AppendJournal, BodyRead, BodyWritten};
use heph_api::types::{ReadContext, SaveDoc, SaveJournal, ShowDoc, ShowJournal};

use crate::{
    args::WholeText,
    editor::Draft,
    failure::{Failure, note},
    render,
    surface::Surface,
};

/// Whose text.
pub enum Owner {
    /// A doc, or any other node with a text of its own.
    Doc(String),
    /// A task, whose text is its context document.
    Task(String),
    /// A day.
    Day(String),
}

/// What to do with it.
pub enum Action {
    /// Print it.
    Read,
    /// Append a paragraph; `-` for standard input.
    Append(String),
    /// Edit it in the person's editor.
    Edit,
    /// Write the whole of it; `-` for standard input.
    Write(String, Option<String>),
}

impl Action {
    /// Returns what the options of a command ask for.
    pub fn of(append: Option<String>, edit: bool, whole: WholeText) -> Self {
        match (append, edit, whole.body) {
            (Some(text), ..) => Self::Append(text),
            (None, true, _) => Self::Edit,
            (None, false, Some(text)) => Self::Write(text, whole.base),
            (None, false, None) => Self::Read,
        }
    }
}

/// Does it, and prints what came of it.
pub fn run(surface: &Surface, owner: &Owner, action: Action) -> Result<(), Failure> {
    match action {
        Action::Read => {
            let read = owner.read(surface)?;
            surface.print(&read, |page| page.body(&read.text))?;
            note_copies(&read);
            Ok(())
        }
        Action::Append(text) => append(surface, owner, &text),
        Action::Write(text, base) => {
            let draft = Draft::from_words(&text)?;
            let version = base.map_or_else(|| owner.read(surface).map(|read| read.version), Ok);
            save(surface, owner, draft, version)
        }
        Action::Edit => edit(surface, owner),
    }
}

/// Appends a paragraph, and prints what came of it.
pub fn append(surface: &Surface, owner: &Owner, words: &str) -> Result<(), Failure> {
    let written =
        Draft::from_words(words)?.send(|file| owner.how_to_append(file), |text| owner.append(surface, text))?;
    print(surface, &written)
}

fn edit(surface: &Surface, owner: &Owner) -> Result<(), Failure> {
    let read = owner.read(surface)?;
    note_copies(&read);
    match Draft::from_editor(&read.text)? {
        Some(draft) => save(surface, owner, draft, Ok(read.version)),
        None => print(surface, &unchanged(read)),
    }
}

fn save(surface: &Surface, owner: &Owner, draft: Draft, version: Result<String, Failure>) -> Result<(), Failure> {
    let based_on = version.as_ref().ok().cloned();
    let written =
        draft.send(|file| owner.how_to_save(file, based_on.as_deref()), |text| owner.save(surface, text, version?))?;
    print(surface, &written)
}

/// Prints what a write did.
pub fn print(surface: &Surface, written: &BodyWritten) -> Result<(), Failure> {
    let node = render::node(&written.node);
    surface.print(written, |page| match written.changed {
        true => page.line(format!("saved {node}")),
        false => page.line(format!("nothing changed in {node}")),
    })?;
    if written.merged {
        note("something that arrived meanwhile was merged with it; have a look at the text");
    }
    Ok(())
}

fn unchanged(read: BodyRead) -> BodyWritten {
    BodyWritten { node: read.node, version: read.version, changed: false, merged: false, op: None }
}

fn note_copies(read: &BodyRead) {
    if read.contested.is_some() {
        note(format!("another text is kept beside this one: heph conflicts show {}", read.node.short_id));
    }
}

impl Owner {
    fn read(&self, surface: &Surface) -> Result<BodyRead, Failure> {
        match self {
            Self::Doc(id) => surface.ask(&ShowDoc { id: id.clone() }),
            Self::Task(id) => surface.ask(&ReadContext { id: id.clone() }),
            Self::Day(date) => surface.ask(&ShowJournal { date: date.clone() }),
        }
    }

    fn append(&self, surface: &Surface, text: String) -> Result<BodyWritten, Failure> {
        match self {
            Self::Doc(id) => surface.ask(&AppendDoc { id: id.clone(), text }),
            Self::Task(id) => surface.ask(&AppendContext { id: id.clone(), text }),
            Self::Day(date) => surface.ask(&AppendJournal { date: date.clone(), text }),
        }
    }

    fn save(&self, surface: &Surface, body: String, version: String) -> Result<BodyWritten, Failure> {
        match self {
            Self::Doc(id) | Self::Task(id) => surface.ask(&SaveDoc { id: id.clone(), body, version }),
            Self::Day(date) => surface.ask(&SaveJournal { date: date.clone(), body, version }),
        }
    }

    fn how_to_append(&self, file: &std::path::Path) -> String {
        let file = file.display();
        match self {
            Self::Doc(id) => format!("heph doc append {id} - < {file}"),
            Self::Task(id) => format!("heph context {id} --append - < {file}"),
            Self::Day(date) => format!("heph journal {date} --append - < {file}"),
        }
    }

    fn how_to_save(&self, file: &std::path::Path, version: Option<&str>) -> String {
        let base = version.map(|version| format!(" --base {version}")).unwrap_or_default();
        let file = file.display();
        match self {
            Self::Doc(id) => format!("heph doc edit {id} --body -{base} < {file}"),
            Self::Task(id) => format!("heph context {id} --body -{base} < {file}"),
            Self::Day(date) => format!("heph journal {date} --body -{base} < {file}"),
        }
    }
}
