//! What people do on a device, said shortly: scenarios speak in these words, so that a change of the API is one here.

use heph_api::types::{
    AppendDoc, BodyRead, BodyWritten, ConflictRow, Contested, CreateDoc, CreateTask, DeleteNode, EditTask, HeadChoice,
    ListConflicts, ListTasks, LogEntry, NodeDetail, SaveDoc, ShowConflict, ShowDoc, ShowNode, StateFilter,
    TakeConflict, TaskRow, UndeleteNode, Undo, UndoReport, Verify,
};
use serde_json::Value;

use crate::Device;

impl Device {
    /// Makes a task, and returns its id.
    #[track_caller]
    pub fn task(&self, title: &str) -> String {
        self.call(&CreateTask { title: title.into(), ..CreateTask::default() }).task.node_id
    }

    /// Makes a doc with this text, and returns its id.
    #[track_caller]
    pub fn doc(&self, title: &str, body: &str) -> String {
        let call = CreateDoc { title: title.into(), body: Some(body.into()), ..CreateDoc::default() };
        self.call(&call).node.node_id
    }

    /// Gives a node another title, and returns the op.
    #[track_caller]
    pub fn retitle(&self, id: &str, title: &str) -> String {
        let call = EditTask { id: id.into(), title: Some(title.into()), ..EditTask::default() };
        self.call(&call).op.expect("a title that differs is written")
    }

    /// Returns everything about a node.
    #[track_caller]
    pub fn show(&self, id: &str) -> NodeDetail {
        self.call(&ShowNode { id: id.into() })
    }

    /// Returns the title that is shown.
    #[track_caller]
    pub fn title(&self, id: &str) -> String {
        self.show(id).node.title
    }

    /// Returns whether a node is hidden.
    #[track_caller]
    pub fn is_hidden(&self, id: &str) -> bool {
        self.show(id).hidden
    }

    /// Returns the tasks that are not deleted.
    #[track_caller]
    pub fn tasks(&self) -> Vec<TaskRow> {
        self.call(&ListTasks { state: StateFilter::All, ..ListTasks::default() }).tasks
    }

    /// Returns a task as lists show it.
    #[track_caller]
    pub fn task_row(&self, id: &str) -> TaskRow {
        self.show(id).task.expect("it is a task")
    }

    /// Reads a text.
    #[track_caller]
    pub fn read(&self, id: &str) -> BodyRead {
        self.call(&ShowDoc { id: id.into() })
    }

    /// Returns the text that is shown.
    #[track_caller]
    pub fn text(&self, id: &str) -> String {
        self.read(id).text
    }

    /// Saves a whole text that was made from this version.
    #[track_caller]
    pub fn save(&self, id: &str, body: &str, version: &str) -> BodyWritten {
        self.call(&SaveDoc { id: id.into(), body: body.into(), version: version.into() })
    }

    /// Reads a text, and saves another one right away.
    #[track_caller]
    pub fn rewrite(&self, id: &str, body: &str) -> BodyWritten {
        let version = self.read(id).version;
        self.save(id, body, &version)
    }

    /// Appends a paragraph.
    #[track_caller]
    pub fn append(&self, id: &str, text: &str) -> BodyWritten {
        self.call(&AppendDoc { id: id.into(), text: text.into() })
    }

    /// Adds a log entry, and returns its id.
    #[track_caller]
    pub fn log_entry(&self, id: &str, text: &str) -> String {
        self.call(&LogEntry { id: id.into(), text: text.into() }).entry_id
    }

    /// Deletes a node, and returns the op.
    #[track_caller]
    pub fn delete(&self, id: &str) -> String {
        self.call(&DeleteNode { id: id.into() }).op.expect("it was not deleted yet")
    }

    /// Undeletes a node.
    #[track_caller]
    pub fn undelete(&self, id: &str) {
        self.call(&UndeleteNode { id: id.into() }).op.expect("it was deleted");
    }

    /// Takes back an op.
    #[track_caller]
    pub fn undo(&self, op: &str) -> UndoReport {
        self.call(&Undo { op: Some(op.into()) })
    }

    /// Returns the nodes with something contested, and which of their fields are.
    #[track_caller]
    pub fn conflicts(&self) -> Vec<ConflictRow> {
        self.call(&ListConflicts {}).conflicts
    }

    /// Returns the values of a contested field, the shown one first; none where it is settled.
    #[track_caller]
    pub fn values(&self, id: &str, field: &str) -> Vec<Value> {
        let contested = self.contested(id, field);
        contested.map_or_else(Vec::new, |contested| contested.heads.into_iter().map(|head| head.value).collect())
    }

    /// Returns a contested field.
    #[track_caller]
    pub fn contested(&self, id: &str, field: &str) -> Option<Contested> {
        let detail = self.call(&ShowConflict { id: id.into() });
        detail.contested.into_iter().find(|contested| contested.field == field)
    }

    /// Settles a contested field on the one of its values that equals `value`.
    #[track_caller]
    pub fn take(&self, id: &str, field: &str, value: &Value) {
        let heads = self.contested(id, field).unwrap_or_else(|| panic!("{field} is not contested")).heads;
        let head = heads.iter().find(|head| head.value == *value);
        let op = head.unwrap_or_else(|| panic!("{value} is none of {heads:?}")).op.clone();
        self.call(&TakeConflict { id: id.into(), field: field.into(), head: HeadChoice::Op(op) });
    }

    /// Rebuilds the state from the log, which has to agree with it.
    #[track_caller]
    pub fn verify(&self) {
        let report = self.call(&Verify {});
        assert!(report.ok, "{} is not sound: {report:?}", self.name());
    }
}
