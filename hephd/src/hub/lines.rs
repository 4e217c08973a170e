//! A page for people: an op a line, in JSON, with names instead of numbers. It is for reading only; nothing takes it
//! back in.

use heph_store::{
    field::Value,
    id::{OpRef, Origin},
    op::{Change, ChangeRef, Op, RawChange},
    page::{Entry, decode},
};
use serde::Serialize;
use serde_json::{Value as Json, json};
use std::io;

/// One op.
#[derive(Serialize)]
struct Line {
    origin: Origin,
    seq: u64,
    hash: String,
    stamp: u64,
    group: Option<String>,
    held: Option<String>,
    changes: Vec<Json>,
}

/// Returns the ops of a page, a line each; nothing for the empty page that ends a stream.
///
/// # Errors
/// If the page, which this replica wrote itself, does not decode.
pub fn write(page: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    if page.is_empty() {
        return Ok(out);
    }
    for stretch in decode(page).map_err(io::Error::other)? {
        for entry in &stretch.entries {
            serde_json::to_writer(&mut out, &line(entry))?;
            out.push(b'\n');
        }
    }
    Ok(out)
}

fn line(Entry { op, id }: &Entry) -> Line {
    let (held, changes) = match op.read() {
        Ok(changes) => (None, changes.iter().map(change).collect()),
        Err(why) => (Some(why.to_string()), op.changes.iter().map(unread).collect()),
    };
    let Op { origin, seq, stamp, group, .. } = op;
    let group = group.map(|group| group.to_string());
    Line { origin: *origin, seq: seq.get(), hash: id.to_string(), stamp: stamp.get(), group, held, changes }
}

fn change(change: &Change) -> Json {
    match change {
        Change::Set { node, field, bases, seen, repeats, value } => {
            let (of_type, shown) = value.as_ref().map_or(("erased", Json::Null), typed);
            json!({
                "change": "set", "node": node.to_string(), "field": field.as_str(), "type": of_type, "value": shown,
                "bases": refs(bases), "seen": refs(seen), "repeats": places(repeats),
            })
        }
        Change::Edit { node, generation, repeats, update } => json!({
            "change": "edit", "node": node.to_string(), "generation": generation.to_string(),
            "update_bytes": update.as_ref().map(Vec::len), "repeats": places(repeats),
        }),
        Change::Delete { node, bases, seen } => json!({
            "change": "delete", "node": node.to_string(), "bases": refs(bases), "seen": refs(seen),
        }),
        Change::Erase { targets } => json!({ "change": "erase", "targets": places(targets) }),
    }
}

/// A change of an op that is held.
fn unread(raw: &RawChange) -> Json {
    json!({ "change": raw.kind, "meta": hex::encode(&raw.meta), "value_bytes": raw.value.len() })
}

fn typed(value: &Value) -> (&'static str, Json) {
    match value {
        Value::Null => ("null", Json::Null),
        Value::Text(text) => ("text", json!(text)),
        Value::Bool(yes) => ("bool", json!(yes)),
        Value::Int(number) => ("int", json!(number)),
        Value::Date(date) => ("date", json!(date.to_string())),
        Value::DateTime(at) => ("datetime", json!(at.to_string())),
        Value::Node(node) => ("node", json!(node.to_string())),
        Value::Bytes(bytes) => ("bytes", json!(hex::encode(bytes))),
    }
}

fn refs(refs: &[OpRef]) -> Vec<String> {
    refs.iter().map(ToString::to_string).collect()
}

fn places(places: &[ChangeRef]) -> Vec<String> {
    places.iter().map(|place| format!("{}#{}", place.op, place.index)).collect()
}
