//! Nodes as rows of answers: what a list shows of a task, a doc, any node.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use heph_api::types::{DocRow, NodeRow, PathText, TaskRow};
use heph_store::columns::{OUTSTANDING, date_text, task_view};
use heph_store::field::{ATTENTION, LATE_ON, PATH, PROJECT, RECURRENCE, ROLE, Value};
use heph_store::id::NodeId;
use heph_store::read::{Node, View};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::value::rule_words;
use crate::spoke::refusal::Refusal;

/// The most nodes with something contested that an answer looks at.
pub const CONFLICTS_MAX: usize = 10_000;

/// The role of a task's context document.
pub const CONTEXT: &str = "context";

/// Makes rows; remembers the titles that many of them share.
pub struct Rows<'a> {
    view: &'a View<'a>,
    titles: HashMap<NodeId, Option<String>>,
    with_contested_context: OnceCell<HashSet<NodeId>>,
}

impl<'a> Rows<'a> {
    /// Rows of what `view` shows.
    pub fn new(view: &'a View<'a>) -> Self {
        Self { view, titles: HashMap::new(), with_contested_context: OnceCell::new() }
    }

    /// What every node shows of itself.
    pub fn node(&mut self, node: &Node) -> Result<NodeRow, Refusal> {
        Ok(NodeRow {
            node_id: node.id.to_string(),
            short_id: self.view.short_id(node.id)?,
            kind: node.kind().to_owned(),
            title: self.title(node)?,
        })
    }

    /// A node's title; a context document is called after its task.
    fn title(&mut self, node: &Node) -> Result<String, Refusal> {
        if is_context(node)
            && let Some(owner) = node.state.owner()
        {
            return Ok(self.title_of(owner)?.map_or_else(String::new, |title| format!("context of {title}")));
        }
        Ok(node.title().to_owned())
    }

    /// A task.
    pub fn task(&mut self, node: &Node) -> Result<TaskRow, Refusal> {
        let view = task_view(&node.state);
        let project = node.state.value(PROJECT).and_then(Value::as_node);
        Ok(TaskRow {
            node_id: node.id.to_string(),
            short_id: self.view.short_id(node.id)?,
            title: node.title().to_owned(),
            state: view.state.unwrap_or_else(|| OUTSTANDING.to_owned()),
            do_date: view.do_date,
            late_on: node.state.value(LATE_ON).and_then(date_text),
            recurrence: node.state.text(RECURRENCE).map(rule_words),
            attention: node.state.text(ATTENTION).map(str::to_owned),
            project: self.project_name(project)?,
            project_id: project.map(|id| id.to_string()),
            tags: self.tags(node)?,
            conflicted: self.conflicted(node)?,
        })
    }

    /// A doc.
    pub fn doc(&mut self, node: &Node) -> Result<DocRow, Refusal> {
        let project = node.state.value(PROJECT).and_then(Value::as_node);
        Ok(DocRow {
            node: self.node(node)?,
            path: path(node),
            project: self.project_name(project)?,
            tags: self.tags(node)?,
            conflicted: node.state.conflicted,
        })
    }

    /// Names of the tags on a node, sorted.
    pub fn tags(&mut self, node: &Node) -> Result<Vec<String>, Refusal> {
        let mut names = Vec::new();
        for tag in node.tags() {
            names.extend(self.title_of(tag)?);
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The name of a project; one that has none, or is deleted, is named by its id.
    pub fn project_name(&mut self, project: Option<NodeId>) -> Result<Option<String>, Refusal> {
        let Some(id) = project else { return Ok(None) };
        Ok(Some(self.title_of(id)?.unwrap_or_else(|| id.to_string())))
    }

    fn title_of(&mut self, id: NodeId) -> Result<Option<String>, Refusal> {
        if let Some(known) = self.titles.get(&id) {
            return Ok(known.clone());
        }
        let title = self.view.node(id)?.map(|node| node.title().to_owned()).filter(|title| !title.is_empty());
        self.titles.insert(id, title.clone());
        Ok(title)
    }

    /// Whether something on a task, or in its context document, awaits a choice.
    fn conflicted(&self, node: &Node) -> Result<bool, Refusal> {
        if node.state.conflicted {
            return Ok(true);
        }
        if self.with_contested_context.get().is_none() {
            let contested = self.view.conflicted(CONFLICTS_MAX)?;
            let owners = contested.iter().filter(|node| is_context(node)).filter_map(|node| node.state.owner());
            let owners: HashSet<NodeId> = owners.collect();
            return Ok(self.with_contested_context.get_or_init(|| owners).contains(&node.id));
        }
        Ok(self.with_contested_context.get().is_some_and(|owners| owners.contains(&node.id)))
    }
}

/// Whether a node is the context document of its owner.
pub fn is_context(node: &Node) -> bool {
    node.state.owner().is_some() && node.state.text(ROLE) == Some(CONTEXT)
}

/// The path in the vault that a note was imported from.
pub fn path(node: &Node) -> Option<PathText> {
    match node.state.value(PATH) {
        Some(Value::Bytes(bytes)) => Some(PathText(PathBuf::from(OsString::from_vec(bytes.clone())))),
        _ => None,
    }
}
