//! What an op did to a node, in words: one line per change.

use heph_store::columns::date_text;
use heph_store::field::{BODY, DELETED, Field, KIND, ROLE, TITLE, Value};
use heph_store::id::{NodeId, OpRef};
use heph_store::op::Change;
use heph_store::read::{Node, View};

use super::row::is_context;
use super::value::rule_words;
use crate::spoke::refusal::Refusal;

/// How much of a value stands in a line, in characters.
const QUOTED_MAX: usize = 60;

/// How the line begins that says what a new node is.
const MADE: &str = "made, as ";

/// What these changes did to a node; of a node that another one owns, said as part of that one.
pub fn lines(view: &View<'_>, node: &Node, changes: &[Change]) -> Result<Vec<String>, Refusal> {
    let prefix = match (is_context(node), node.state.owner()) {
        (true, _) => "context: ",
        (false, Some(_)) if node.kind() == "entry" => "log: ",
        _ => "",
    };
    let is_new = |change: &Change| matches!(change, Change::Set { field, bases, .. } if field.as_str() == KIND && bases.is_empty());
    let made = changes.iter().any(is_new);
    let mut lines = Vec::new();
    for change in changes {
        lines.extend(line(view, change, made)?.map(|line| format!("{prefix}{line}")));
    }
    // What it is comes before what it says; a long text is several edits, and one line.
    lines.sort_by_key(|line| !line.contains(MADE));
    lines.dedup();
    Ok(lines)
}

fn line(view: &View<'_>, change: &Change, made: bool) -> Result<Option<String>, Refusal> {
    Ok(match change {
        Change::Edit { update: None, .. } => Some("text: erased".to_owned()),
        Change::Edit { .. } => Some("text changed".to_owned()),
        Change::Delete { .. } => Some("deleted".to_owned()),
        Change::Erase { .. } => None,
        Change::Set { node, field, bases, value, .. } => set_line(view, *node, field, bases, value.as_ref(), made)?,
    })
}

fn set_line(
    view: &View<'_>,
    node: NodeId,
    field: &Field,
    bases: &[OpRef],
    value: Option<&Value>,
    made: bool,
) -> Result<Option<String>, Refusal> {
    let name = field.as_str();
    let Some(value) = value else { return Ok(Some(format!("{name}: erased"))) };
    let is_set = *value != Value::Null;
    if let Some(tag) = field.as_tag() {
        return Ok(Some(format!("tag {}{}", if is_set { "+" } else { "-" }, named(view, tag)?)));
    }
    if let Some(occurrence) = field.as_done() {
        return Ok(Some(if is_set { format!("done: {occurrence}") } else { format!("no longer done: {occurrence}") }));
    }
    Ok(match name {
        KIND if made => Some(format!("{MADE}{}", shown(view, field, value)?)),
        ROLE | heph_store::field::OF if made => None,
        DELETED => Some("brought back".to_owned()),
        BODY if bases.is_empty() => None,
        BODY => Some("text: settled".to_owned()),
        _ => {
            let before = replaced(view, node, field, bases)?;
            let after = shown(view, field, value)?;
            match before.as_slice() {
                [] => Some(format!("{name}: {after}")),
                several => Some(format!("{name}: {} → {after}", several.join(", "))),
            }
        }
    })
}

/// Says that a register has a value again: `title back to “Buy milk”`.
pub fn back_to(view: &View<'_>, field: &Field, value: &Value) -> Result<String, Refusal> {
    let is_set = *value != Value::Null;
    if let Some(tag) = field.as_tag() {
        let tag = named(view, tag)?;
        return Ok(if is_set { format!("tag {tag} back") } else { format!("tag {tag} gone again") });
    }
    if let Some(occurrence) = field.as_done() {
        return Ok(format!("{occurrence} {} done", if is_set { "again" } else { "no longer" }));
    }
    Ok(format!("{field} back to {}", shown(view, field, value)?))
}

/// The values that a change replaced, each once.
fn replaced(view: &View<'_>, node: NodeId, field: &Field, bases: &[OpRef]) -> Result<Vec<String>, Refusal> {
    let mut before: Vec<String> = Vec::new();
    for base in bases {
        let Some((_, op, _)) = view.op(base)? else { continue };
        for change in op.read().unwrap_or_default() {
            if let Change::Set { node: on, field: of, value: Some(value), .. } = change
                && (on, &of) == (node, field)
            {
                before.push(shown(view, field, &value)?);
            }
        }
    }
    before.sort_unstable();
    before.dedup();
    Ok(before)
}

/// A value as a person reads it.
fn shown(view: &View<'_>, field: &Field, value: &Value) -> Result<String, Refusal> {
    Ok(match value {
        Value::Null => "nothing".to_owned(),
        Value::Text(text) if field.as_str() == heph_store::field::RECURRENCE => rule_words(text),
        Value::Text(text) if field.as_str() == TITLE => format!("\u{201c}{}\u{201d}", shortened(text)),
        Value::Text(text) => shortened(text),
        Value::Bool(yes) => yes.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Date(_) | Value::DateTime(_) => date_text(value).unwrap_or_default(),
        Value::Node(node) => named(view, *node)?,
        Value::Bytes(bytes) => shortened(&String::from_utf8_lossy(bytes)),
    })
}

fn named(view: &View<'_>, node: NodeId) -> Result<String, Refusal> {
    let title = view.node(node)?.map(|node| node.title().to_owned()).filter(|title| !title.is_empty());
    Ok(title.unwrap_or_else(|| node.to_string()))
}

/// The beginning of a text, on one line.
pub fn shortened(text: &str) -> String {
    let mut chars = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let start: String = chars.by_ref().take(QUOTED_MAX).collect();
    if chars.next().is_some() { format!("{start}…") } else { start }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_long_value_is_shortened_and_stays_on_its_line() {
        assert_eq!(shortened("a\nb"), "a b");
        assert_eq!(shortened(&"ü".repeat(60)), "ü".repeat(60));
        assert_eq!(shortened(&"ü".repeat(61)), format!("{}…", "ü".repeat(60)));
    }
}
