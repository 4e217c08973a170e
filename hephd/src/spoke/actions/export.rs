//! Exporting: every text under its path, byte for byte, and the tasks as lines of JSON. Nothing that is already there is
//! overwritten with other bytes, and nothing is written outside the directory.

mod files;
mod names;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use heph_api::code;
use heph_api::types::{ExportReport, ExportVault, LeftOut, PathText, TaskRow};
use heph_store::Filter;
use heph_store::columns::task_view;
use heph_store::field::{PATH, VAULT, Value};
use heph_store::id::NodeId;
use heph_store::read::{Node, View};
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use super::row::Rows;
use super::{door, find, list, node, text};
use crate::spoke::Spoke;
use crate::spoke::refusal::Refusal;
use files::Put;
use names::Names;

/// How many texts are read, and then written, at a time.
const TEXTS_AT_A_TIME: usize = 64;
/// How many tasks are read, and then written, at a time.
const TASKS_AT_A_TIME: usize = 500;

/// Where a text comes from.
struct Source {
    id: NodeId,
    /// Its vault and its path there; of a text that was not imported, the folder and the title.
    origin: Origin,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Origin {
    Vault { vault: String, path: Vec<u8> },
    Titled { folder: &'static str, title: String },
}

/// Writes every text, and the tasks, into a directory.
pub async fn vault(spoke: &Spoke, request: ExportVault) -> Result<ExportReport, Refusal> {
    let dir: Arc<Path> = request.dir.0.clone().into();
    if !dir.is_absolute() {
        return Err(Refusal::bad_request(format!("dir: {} is not an absolute path", dir.display())));
    }
    let (sources, root) = (door::read(spoke, sources).await?, dir.clone());
    door::blocking(move || files::make_root(&root)).await??;
    let mut report = ExportReport { dir: request.dir, written: 0, unchanged: 0, left_out: Vec::new() };
    let mut names = Names::default();
    let planned = plan(sources, &mut names, &mut report.left_out);
    for some in planned.chunks(TEXTS_AT_A_TIME) {
        let ids: Vec<NodeId> = some.iter().map(|(id, _)| *id).collect();
        let texts = door::read(spoke, move |view| texts(view, &ids)).await?;
        let mut to_write = Vec::new();
        for ((_, path), (text, copies)) in some.iter().zip(texts) {
            to_write.extend(copies.into_iter().map(|copy| (names.give_copy(path), copy)));
            to_write.push((path.clone(), text));
        }
        let dir = dir.clone();
        let put = door::blocking(move || put_all(&dir, to_write)).await?;
        put.into_iter().try_for_each(|(path, put)| count(&mut report, path, put))?;
    }
    let path = names.give(PathBuf::from("tasks.jsonl"));
    if let Some(put) = tasks(spoke, &dir, &path).await? {
        count(&mut report, path, put)?;
    }
    report.left_out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(report)
}

fn put_all(dir: &Path, texts: Vec<(PathBuf, String)>) -> Vec<(PathBuf, std::io::Result<Put>)> {
    let put = |(path, text): (PathBuf, String)| {
        let put = files::put(dir, &path, text.as_bytes());
        (path, put)
    };
    texts.into_iter().map(put).collect()
}

/// Counts a file; a full disk ends the export, anything else is about this one.
fn count(report: &mut ExportReport, path: PathBuf, put: std::io::Result<Put>) -> Result<(), Refusal> {
    match put {
        Ok(Put::Written) => report.written += 1,
        Ok(Put::Unchanged) => report.unchanged += 1,
        Ok(Put::InTheWay(why)) => report.left_out.push(LeftOut { name: PathText(path), why: why.to_owned() }),
        Err(error) if error.kind() == std::io::ErrorKind::StorageFull => {
            return Err(Refusal::file("write", &path, &error));
        }
        Err(error) => {
            report.left_out.push(LeftOut { name: PathText(path), why: format!("cannot be written: {error}") })
        }
    }
    Ok(())
}

/// All that has a text of its own and is not deleted.
fn sources(view: &View<'_>) -> Result<Vec<Source>, Refusal> {
    let mut sources = Vec::new();
    for (kind, folder) in [("doc", "notes"), ("journal", "journal"), ("project", "projects")] {
        list::each_doc(view, kind, None, Vec::new(), |node| {
            if kind == "doc" || !view.body(&node)?.text.is_empty() {
                sources.push(Source { id: node.id, origin: origin(&node, folder) });
            }
            Ok(())
        })?;
    }
    sources.sort_by(|a, b| (&a.origin, a.id).cmp(&(&b.origin, b.id)));
    Ok(sources)
}

fn origin(node: &Node, folder: &'static str) -> Origin {
    match (node.state.text(VAULT), node.state.value(PATH)) {
        (Some(vault), Some(Value::Bytes(path))) => Origin::Vault { vault: vault.to_owned(), path: path.clone() },
        _ => Origin::Titled { folder, title: node.title().to_owned() },
    }
}

/// Gives every text its file. Those that keep their path come first, so that none of them loses it to another.
fn plan(sources: Vec<Source>, names: &mut Names, left_out: &mut Vec<LeftOut>) -> Vec<(NodeId, PathBuf)> {
    let vaults: BTreeSet<&str> = sources.iter().filter_map(|source| source.origin.vault()).collect();
    let several = vaults.len() > 1;
    let (own, other): (Vec<&Source>, Vec<&Source>) = sources.iter().partition(|source| source.origin.is_sound());
    let mut planned = Vec::new();
    for source in own.into_iter().chain(other) {
        let wanted = source.origin.file(several);
        let given = names.give(wanted.clone());
        if let Origin::Vault { path, .. } = &source.origin
            && (given != wanted || !source.origin.is_sound())
        {
            let why = if given == wanted { "not a note's path in a vault" } else { "another note has this path" };
            let name = PathText(OsString::from_vec(path.clone()).into());
            left_out.push(LeftOut { name, why: format!("{why}; written as {}", given.display()) });
        }
        planned.push((source.id, given));
    }
    planned
}

impl Origin {
    fn vault(&self) -> Option<&str> {
        match self {
            Self::Vault { vault, .. } => Some(vault),
            Self::Titled { .. } => None,
        }
    }

    /// Whether the file is written under the very path that the note has.
    fn is_sound(&self) -> bool {
        match self {
            Self::Vault { path, .. } => names::note_path(path).into_os_string().into_vec() == *path,
            Self::Titled { .. } => false,
        }
    }

    fn file(&self, several_vaults: bool) -> PathBuf {
        match self {
            Self::Vault { vault, path } if several_vaults => names::vault_folder(vault).join(names::note_path(path)),
            Self::Vault { path, .. } => names::note_path(path),
            Self::Titled { folder, title } => names::titled(folder, title),
        }
    }
}

/// The texts of some nodes, each with those that are kept beside it.
fn texts(view: &View<'_>, ids: &[NodeId]) -> Result<Vec<(String, Vec<String>)>, Refusal> {
    let mut texts = Vec::new();
    for id in ids {
        let body = view.body(&find::perhaps(view, *id)?)?;
        texts.push((body.text, body.copies.into_iter().map(|copy| copy.text).collect()));
    }
    Ok(texts)
}

/// A task as a line of JSON: what lists show of it, and all its texts.
#[derive(Serialize)]
struct TaskLine {
    #[serde(flatten)]
    task: TaskRow,
    /// The text of its context document.
    context: String,
    /// Texts that are kept beside that one until someone settles them.
    context_copies: Vec<String>,
    /// Its log, oldest entry first.
    log: Vec<String>,
}

/// Writes the tasks; `None` where there are none.
async fn tasks(spoke: &Spoke, dir: &Arc<Path>, path: &Path) -> Result<Option<std::io::Result<Put>>, Refusal> {
    let mut after = None;
    let mut lines = files::Lines::default();
    loop {
        let (some, last) = door::read(spoke, move |view| task_lines(view, after)).await?;
        let Some(last) = last else { break };
        after = Some(last);
        let dir = dir.clone();
        let full = door::blocking(move || lines.add(&dir, &some)).await?;
        lines = full.map_err(|error| Refusal::file("write", path, &error))?;
    }
    let (dir, path) = (dir.clone(), path.to_owned());
    door::blocking(move || lines.finish(&dir, &path)).await
}

/// Where a page of tasks ends: its last one's date and number.
type Place = (Option<String>, i64);

fn task_lines(view: &View<'_>, after: Option<Place>) -> Result<(Vec<u8>, Option<Place>), Refusal> {
    let filter = Filter { kind: "task".to_owned(), limit: TASKS_AT_A_TIME, after, ..Filter::default() };
    let found = view.list(&filter)?;
    let mut rows = Rows::new(view);
    let mut lines = Vec::new();
    for task in &found {
        let line = task_line(view, &mut rows, task)?;
        serde_json::to_writer(&mut lines, &line).map_err(|error| Refusal::new(code::INTERNAL, error.to_string()))?;
        lines.push(b'\n');
    }
    let last = found.last().map(|task| (task_view(&task.state).do_date, task.row));
    Ok((lines, last))
}

fn task_line(view: &View<'_>, rows: &mut Rows<'_>, task: &Node) -> Result<TaskLine, Refusal> {
    let body = view.body(&find::perhaps(view, text::of(task))?)?;
    let mut log = Vec::new();
    for entry in view.owned(task.id)?.iter().filter(|entry| !entry.state.hidden) {
        log.extend(node::entry_text(view, entry)?.map(|text| (entry.id, text)));
    }
    log.sort_unstable();
    Ok(TaskLine {
        task: rows.task(task)?,
        context: body.text,
        context_copies: body.copies.into_iter().map(|copy| copy.text).collect(),
        log: log.into_iter().map(|(_, text)| text).collect(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn note(number: u8, vault: &str, path: &[u8]) -> Source {
        let origin = Origin::Vault { vault: vault.to_owned(), path: path.to_vec() };
        Source { id: NodeId::from_bytes([number; 16]), origin }
    }

    fn planned(sources: Vec<Source>) -> (Vec<String>, Vec<String>) {
        let mut left_out = Vec::new();
        let planned = plan(sources, &mut Names::default(), &mut left_out);
        let files = planned.iter().map(|(_, path)| path.display().to_string()).collect();
        (files, left_out.iter().map(|file| format!("{}: {}", file.name, file.why)).collect())
    }

    #[test]
    fn a_vault_alone_stands_directly_in_the_directory_and_several_side_by_side() {
        assert_eq!(planned(vec![note(1, "v", b"a/b.md")]), (vec!["a/b.md".to_owned()], Vec::new()));
        let (files, _) = planned(vec![note(1, "v", b"b.md"), note(2, "w", b"b.md")]);
        assert_eq!(files, ["v/b.md", "w/b.md"]);
    }

    #[test]
    fn a_note_keeps_its_path_whatever_others_claim() {
        let (files, named) = planned(vec![note(1, "v", b"/a.md"), note(2, "v", b"a.md"), note(3, "v", b"../x")]);
        assert_eq!(files, ["a.md", "a (2).md", "_./x.md"]);
        assert_eq!(
            named,
            [
                "/a.md: another note has this path; written as a (2).md",
                "../x: not a note's path in a vault; written as _./x.md"
            ]
        );
    }
}
