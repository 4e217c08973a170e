//! Conflicts: listed, shown, settled. What is contested in a task's context document is said of the task.

use std::collections::{BTreeMap, BTreeSet};

use heph_api::types::{
    ConflictDetail, ConflictList, ConflictRow, Contested, Head, HeadChoice, ListConflicts, ShowConflict, TakeConflict,
};
use heph_store::draft::Draft;
use heph_store::field::{DELETED, Field, Value};
use heph_store::id::{NodeId, OpRef};
use heph_store::read::{Node, View};

use super::contested::{self, BODY};
use super::replica::Devices;
use super::row::{CONFLICTS_MAX, Rows};
use super::{find, text};
use crate::spoke::refusal::Refusal;

/// Every visible node with something contested, by title.
pub fn list(view: &View<'_>, _: ListConflicts) -> Result<ConflictList, Refusal> {
    let mut found: BTreeMap<NodeId, BTreeSet<String>> = BTreeMap::new();
    for node in view.conflicted(CONFLICTS_MAX)? {
        let mut names = contested::names(view, &node)?;
        if contested::belongs_to_task(&node, &names) {
            names.retain(|name| name != BODY);
            found.entry(node.state.owner().unwrap_or(node.id)).or_default().insert(BODY.to_owned());
        }
        if !names.is_empty() {
            found.entry(node.id).or_default().extend(names);
        }
    }
    let mut rows = Rows::new(view);
    let mut conflicts = Vec::new();
    for (id, fields) in found {
        let node = rows.node(&find::by_id(view, id)?)?;
        conflicts.push(ConflictRow { node, fields: fields.into_iter().collect() });
    }
    conflicts.sort_by(|a, b| (&a.node.title, &a.node.node_id).cmp(&(&b.node.title, &b.node.node_id)));
    Ok(ConflictList { conflicts })
}

/// What is contested on one node.
pub fn show(view: &View<'_>, request: ShowConflict) -> Result<ConflictDetail, Refusal> {
    let node = find::visible(view, &request.id)?;
    let contested = contested::all(view, &node, &Devices::read(view)?)?;
    Ok(ConflictDetail { node: Rows::new(view).node(&node)?, contested })
}

/// Settles a contested field on one of its values.
pub fn take(draft: &mut Draft<'_>, request: &TakeConflict) -> Result<NodeId, Refusal> {
    let (node, taken) = {
        let view = draft.view();
        let node = find::visible(&view, &request.id)?;
        let contested = contested::all(&view, &node, &Devices::read(&view)?)?;
        let Some(contested) = contested.iter().find(|contested| contested.field == request.field) else {
            return settled_already(&node, request);
        };
        let taken = chosen(contested, &request.head)?.clone();
        (node, taken)
    };
    match request.field.as_str() {
        BODY => draft.settle_body(text::of(&node), taken.value.as_str().unwrap_or_default())?,
        DELETED if taken.value == true => draft.delete(node.id)?,
        DELETED => draft.undelete(node.id)?,
        name => settle_register(draft, &node, name, &taken)?,
    }
    Ok(node.id)
}

/// The value that a person chose.
fn chosen<'c>(contested: &'c Contested, choice: &HeadChoice) -> Result<&'c Head, Refusal> {
    let found = match choice {
        HeadChoice::Op(op) => contested.heads.iter().find(|head| head.op == *op),
        HeadChoice::Number(number) => {
            (1..).zip(&contested.heads).find(|(place, _)| place == number).map(|(_, head)| head)
        }
    };
    found.ok_or_else(|| {
        let asked = match choice {
            HeadChoice::Op(op) => format!("set by {op}"),
            HeadChoice::Number(number) => format!("number {number}"),
        };
        let message = format!("{} has no value {asked}", contested.field);
        Refusal::not_found(message).hint(format!("it has {}: heph conflicts show ID", contested.heads.len()))
    })
}

/// Taking the value that is shown and uncontested is nothing; anything else is not there any more.
fn settled_already(node: &Node, request: &TakeConflict) -> Result<NodeId, Refusal> {
    let shown = node.state.registers.get(request.field.as_str()).and_then(|register| register.shown());
    match (&request.head, shown) {
        (HeadChoice::Op(op), Some(head)) if head.own.op.to_string() == *op => Ok(node.id),
        _ => {
            let message = format!("{} of {} is not contested", request.field, node.id);
            Err(Refusal::not_found(message).hint("heph conflicts lists what is"))
        }
    }
}

fn settle_register(draft: &mut Draft<'_>, node: &Node, name: &str, taken: &Head) -> Result<(), Refusal> {
    let field = Field::new(name).map_err(|why| Refusal::bad_request(format!("field: {why}")))?;
    let op: Option<OpRef> = taken.op.parse().ok();
    let register = node.state.registers.get(name);
    let head = register.and_then(|register| register.heads().iter().find(|head| Some(head.own.op) == op));
    let value = head.map_or(Value::Null, |head| head.value.clone());
    Ok(draft.settle(node.id, &field, value, op)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_is_chosen_by_number_or_by_op() {
        let head = |op: &str| Head {
            op: op.into(),
            value: json!("x"),
            stamp_ms: 0,
            origin: String::new(),
            device: None,
            shown: false,
        };
        let title = Contested { field: "title".into(), heads: vec![head("a"), head("b")] };
        assert_eq!(chosen(&title, &HeadChoice::Number(2)).unwrap().op, "b");
        assert_eq!(chosen(&title, &HeadChoice::Op("a".into())).unwrap().op, "a");
        for bad in [HeadChoice::Number(0), HeadChoice::Number(3), HeadChoice::Op("c".into())] {
            assert!(chosen(&title, &bad).is_err());
        }
    }
}
