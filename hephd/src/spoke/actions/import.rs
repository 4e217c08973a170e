//! Importing a vault: every note its own op, many of them in one commit, so that other writers are not kept waiting and
//! an import that was cut short is simply run again; all of one group, which is what undo takes back. Only what changed
//! is written.

mod walk;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use heph_api::code;
use heph_api::types::{ImportObsidian, ImportReport, LeftOut, PathText};
use heph_store::draft::Draft;
use heph_store::field::{Field, KIND, PATH, TITLE, VAULT, Value};
use heph_store::id::{GroupId, NodeId};
use heph_store::merge::NodeState;
use heph_store::read::View;
use heph_store::replica::{Group, Written};
use heph_store::text::ImportedText;
use heph_store::{links, natural};

use super::door;
use super::find;
use super::value::{field, one_line, tag_name};
use crate::spoke::Spoke;
use crate::spoke::refusal::Refusal;

/// The most notes that share a commit.
const NOTES_PER_COMMIT_MAX: usize = 64;
/// Texts of a commit are together not much longer than this, in bytes.
const COMMIT_BYTES_AIM: usize = 4 * 1024 * 1024;

/// A note as it stands in the vault.
struct Note {
    id: NodeId,
    path: PathBuf,
    text: String,
}

/// An import under way.
struct Import {
    root: Arc<Path>,
    vault: Arc<str>,
    report: ImportReport,
    /// What makes it one action; drawn by its first write.
    group: Option<GroupId>,
    /// The notes that are here now.
    here: Vec<NodeId>,
}

/// Imports every note of a vault.
pub async fn obsidian(spoke: &Spoke, request: ImportObsidian) -> Result<ImportReport, Refusal> {
    let root: Arc<Path> = request.dir.0.into();
    if !root.is_absolute() {
        return Err(Refusal::bad_request(format!("dir: {} is not an absolute path", root.display())));
    }
    let vault = vault_name(&root, request.vault.as_deref())?;
    let walked = root.clone();
    let found = door::blocking(move || walk::walk(&walked)).await??;
    let ids = walk::ids(&vault, &found.notes);
    let mut import = Import { root, report: empty_report(&vault), vault: vault.into(), group: None, here: Vec::new() };
    import.report.left_out = found.left_out;
    let mut waiting: Vec<(NodeId, PathBuf)> = ids.into_iter().zip(found.notes).collect();
    waiting.reverse();
    while !waiting.is_empty() {
        let notes;
        (waiting, notes) = import.read(waiting).await?;
        import.write(spoke, notes).await?;
    }
    import.count_links(spoke).await?;
    import.report.left_out.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(import.report)
}

/// What the vault is called: as said, else as its directory is.
fn vault_name(root: &Path, said: Option<&str>) -> Result<String, Refusal> {
    if let Some(name) = said {
        return one_line("the vault's name", name);
    }
    let name = root.file_name().and_then(|name| name.to_str());
    match name {
        Some(name) => one_line("the vault's name", name),
        None => {
            let message = format!("{} gives the vault no name", root.display());
            Err(Refusal::bad_request(message).hint("say one: --vault NAME"))
        }
    }
}

fn empty_report(vault: &str) -> ImportReport {
    ImportReport {
        vault: vault.to_owned(),
        notes: 0,
        new: 0,
        changed: 0,
        conflicts: 0,
        unchanged: 0,
        skipped_deleted: 0,
        links: 0,
        links_resolved: 0,
        tags: 0,
        left_out: Vec::new(),
        ops: 0,
    }
}

impl Import {
    /// Reads the next notes, from the end of `waiting`.
    async fn read(
        &mut self,
        mut waiting: Vec<(NodeId, PathBuf)>,
    ) -> Result<(Vec<(NodeId, PathBuf)>, Vec<Note>), Refusal> {
        let root = self.root.clone();
        let (waiting, notes, left_out) = door::blocking(move || {
            let (mut notes, mut left_out, mut bytes) = (Vec::new(), Vec::new(), 0);
            while notes.len() < NOTES_PER_COMMIT_MAX && bytes < COMMIT_BYTES_AIM {
                let Some((id, path)) = waiting.pop() else { break };
                match walk::read(&root, &path) {
                    Ok(Ok(text)) => {
                        bytes += text.len();
                        notes.push(Note { id, path, text });
                    }
                    Ok(Err(why)) => left_out.push(LeftOut { name: PathText(path), why }),
                    Err(error) => {
                        left_out.push(LeftOut { name: PathText(path), why: format!("cannot be read: {error}") })
                    }
                }
            }
            (waiting, notes, left_out)
        })
        .await?;
        self.report.left_out.extend(left_out);
        Ok((waiting, notes))
    }

    /// Writes what changed of these notes, in one commit.
    async fn write(&mut self, spoke: &Spoke, notes: Vec<Note>) -> Result<(), Refusal> {
        let (vault, mut action) = (self.vault.clone(), self.group);
        let (outcomes, action) = door::group(spoke, move |group| {
            let each = notes.into_iter().map(|note| {
                let written = import_in_steps(group, &mut action, &vault, &note);
                (note.id, note.path, written)
            });
            (each.collect::<Vec<_>>(), action)
        })
        .await?;
        self.group = action;
        for (id, path, written) in outcomes {
            match written {
                Ok((outcome, ops)) => {
                    self.report.ops += ops;
                    self.count(id, outcome);
                }
                Err(refusal) if is_of_this_note(&refusal) => {
                    self.report.left_out.push(LeftOut { name: PathText(path), why: refusal.message().to_owned() });
                }
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    fn count(&mut self, id: NodeId, outcome: ImportedText) {
        let report = &mut self.report;
        report.notes += 1;
        match outcome {
            ImportedText::New => report.new += 1,
            ImportedText::Changed => report.changed += 1,
            ImportedText::Conflict => report.conflicts += 1,
            ImportedText::Unchanged => report.unchanged += 1,
            ImportedText::SkippedDeleted => report.skipped_deleted += 1,
        }
        if outcome != ImportedText::SkippedDeleted {
            self.here.push(id);
        }
    }

    /// Counts what the notes that are here link to, now that all of them are.
    async fn count_links(&mut self, spoke: &Spoke) -> Result<(), Refusal> {
        let mut tags = BTreeSet::new();
        for some in self.here.chunks(NOTES_PER_COMMIT_MAX) {
            let some = some.to_vec();
            let counted = door::read(spoke, move |view| count_links(view, &some)).await?;
            self.report.links += counted.links;
            self.report.links_resolved += counted.resolved;
            tags.extend(counted.tags);
        }
        self.report.tags = tags.len() as u64;
        Ok(())
    }
}

/// Whether a refusal is about one note, so that the others go on.
fn is_of_this_note(refusal: &Refusal) -> bool {
    [code::TOO_LARGE, code::BAD_REQUEST, code::HELD, code::CONFLICT, code::HIDDEN].contains(&refusal.code())
}

/// Writes what changed of one note, as part of the import; returns how many ops that took. A note that is hidden only
/// because its import was undone comes back first: such an import counts as not made.
fn import_in_steps(
    group: &mut Group<'_>,
    action: &mut Option<GroupId>,
    vault: &str,
    note: &Note,
) -> Result<(ImportedText, u64), Refusal> {
    let written = import_step(group, action, vault, note)?;
    if written.answer != ImportedText::SkippedDeleted {
        return Ok((written.answer, written.ops.len() as u64));
    }
    let brought_back = group.write(|draft| {
        join(draft, action);
        let unmade = draft.is_unmade(note.id)?;
        if unmade {
            draft.undelete(note.id)?;
        }
        Ok::<_, Refusal>(unmade)
    })?;
    if !brought_back.answer {
        return Ok((ImportedText::SkippedDeleted, 0));
    }
    let written = import_step(group, action, vault, note)?;
    Ok((ImportedText::New, (brought_back.ops.len() + written.ops.len()) as u64))
}

fn import_step(
    group: &mut Group<'_>,
    action: &mut Option<GroupId>,
    vault: &str,
    note: &Note,
) -> Result<Written<ImportedText>, Refusal> {
    group.write(|draft| {
        join(draft, action);
        import_note(draft, vault, note)
    })
}

/// Makes a draft part of the import.
fn join(draft: &mut Draft<'_>, action: &mut Option<GroupId>) {
    let group = match *action {
        Some(group) => group,
        None => *action.insert(draft.fresh_group()),
    };
    draft.join(group);
}

/// Writes what changed of one note.
fn import_note(draft: &mut Draft<'_>, vault: &str, note: &Note) -> Result<ImportedText, Refusal> {
    let state = draft.state(note.id)?;
    if state.hidden {
        return Ok(ImportedText::SkippedDeleted);
    }
    let path = walk::bytes(&note.path);
    let is_new = introduce(draft, vault, note, &state)?;
    let outcome = draft.import_body(vault, path, note.id, &note.text)?;
    match outcome {
        ImportedText::New | ImportedText::Changed => tag(draft, note)?,
        ImportedText::Unchanged | ImportedText::Conflict | ImportedText::SkippedDeleted => {}
    }
    Ok(if is_new { ImportedText::New } else { outcome })
}

/// Says what the node is, where nobody has said so yet. Returns whether it was not here.
fn introduce(draft: &mut Draft<'_>, vault: &str, note: &Note, state: &NodeState) -> Result<bool, Refusal> {
    let registers = [
        (KIND, Value::text("doc")),
        (TITLE, Value::text(walk::title(&note.path))),
        (VAULT, Value::text(vault)),
        (PATH, Value::Bytes(walk::bytes(&note.path).to_vec())),
    ];
    for (name, value) in registers {
        if !state.registers.contains_key(name) {
            draft.set(note.id, &field(name), value)?;
        }
    }
    Ok(!state.registers.contains_key(KIND))
}

/// Carries over what the list of tags in the front matter gained and lost. Other tags are left as they are.
fn tag(draft: &mut Draft<'_>, note: &Note) -> Result<(), Refusal> {
    let known = find::perhaps(&draft.view(), note.id)?;
    let before = front_tags(&draft.view().body(&known)?.text);
    let after = front_tags(&note.text);
    for tag in after.iter().filter(|tag| !holds(&before, tag)) {
        let tag = find::or_make_tag(draft, tag)?;
        draft.set(note.id, &Field::tag(tag), Value::Bool(true))?;
    }
    for tag in before.iter().filter(|tag| !holds(&after, tag)) {
        let tag = NodeId::from_uuid(natural::tag(tag));
        draft.set(note.id, &Field::tag(tag), Value::Null)?;
    }
    Ok(())
}

fn holds(tags: &[String], tag: &str) -> bool {
    tags.iter().any(|other| natural::tag_key(other) == natural::tag_key(tag))
}

/// The tags that a text's front matter lists; those that can be tags.
fn front_tags(text: &str) -> Vec<String> {
    let Some(front_matter) = links::read(text).front_matter else { return Vec::new() };
    let tags = links::read(&text[..front_matter.end]).tags.into_iter();
    tags.filter(|tag| tag_name(tag).is_ok()).collect()
}

/// What some notes link to.
struct Counted {
    links: u64,
    resolved: u64,
    tags: BTreeSet<String>,
}

fn count_links(view: &View<'_>, notes: &[NodeId]) -> Result<Counted, Refusal> {
    let mut counted = Counted { links: 0, resolved: 0, tags: BTreeSet::new() };
    for id in notes {
        let text = view.body(&find::perhaps(view, *id)?)?.text;
        let reading = links::read(&text);
        counted.tags.extend(reading.tags.iter().map(|tag| natural::tag_key(tag)));
        for link in reading.links.iter().filter(|link| is_wikilink(&text[link.range.clone()])) {
            // A link without a target leads to a place in the same note.
            let leads = link.target.is_empty() || view.resolve_link(&link.target)?.is_some();
            counted.links += 1;
            counted.resolved += u64::from(leads);
        }
    }
    Ok(counted)
}

fn is_wikilink(source: &str) -> bool {
    source.starts_with("[[") || source.starts_with("![[")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_the_front_matter_gives_tags() {
        let text = "\u{feff}---\ntags: [recipe, '#Cooking', '']\n---\n#inline text\n";
        assert_eq!(front_tags(text), ["recipe", "Cooking"]);
        assert_eq!(front_tags("#inline\n"), Vec::<String>::new());
        assert!(holds(&front_tags(text), "cooking"));
    }

    #[test]
    fn a_vault_is_called_as_said_or_as_its_directory() {
        assert_eq!(vault_name(Path::new("/home/me/Notes"), None).unwrap(), "Notes");
        assert_eq!(vault_name(Path::new("/home/me/Notes"), Some("work")).unwrap(), "work");
        assert!(vault_name(Path::new("/"), None).is_err());
        assert!(vault_name(Path::new("/x"), Some(" ")).is_err());
    }
}
