//! This device as a node: `kind` device, its name as `title`, and a field for every origin it has written under, so
//! that every replica can say whose ops are whose. Written through the ordinary path, and only where it is not so yet.

use super::cycle::Failure;
use crate::writer::Writer;
use heph_store::draft::Draft;
use heph_store::error::{Error, Result};
use heph_store::field::{Field, KIND, ORIGIN_PREFIX, TITLE, Value};
use heph_store::id::NodeId;
use heph_store::replica::Group;

/// The fact that names the node.
const NODE: &str = "device_node";
/// The fact that holds the name as it was last given; a name given elsewhere stays until another is given here.
const NAME: &str = "device_name";

/// Sees to it that this device has its node, with the origin that it writes under now.
///
/// # Errors
/// If the database fails, or the daemon is stopping.
pub async fn ensure(writer: &Writer, name: &str) -> std::result::Result<(), Failure> {
    let name = name.to_owned();
    Ok(writer.run(move |group| write(group, &name)).await??)
}

fn write(group: &mut Group<'_>, name: &str) -> Result<()> {
    let noted = match group.write(|draft| note(draft, name, Whose::Own)) {
        Err(Error::Hidden(_)) => group.write(|draft| note(draft, name, Whose::Fresh))?,
        noted => noted?,
    };
    if noted.ops.is_empty() {
        return Ok(());
    }
    group.set_fact(NODE, Some(&noted.answer.to_string()))?;
    group.set_fact(NAME, Some(name))
}

/// Which node to write to: a device whose node was deleted is a new device.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    Own,
    Fresh,
}

fn note(draft: &mut Draft<'_>, name: &str, whose: Whose) -> Result<NodeId> {
    let known: Option<NodeId> = draft.view().fact(NODE)?.and_then(|id| id.parse().ok());
    let named = draft.view().fact(NAME)?;
    let known = known.filter(|_| whose == Whose::Own);
    let node = known.unwrap_or_else(|| draft.fresh_node());
    let origin = Field::new(&format!("{ORIGIN_PREFIX}{}", draft.origin()))?;
    draft.set(node, &Field::new(KIND)?, Value::text("device"))?;
    if known.is_none() || named.as_deref() != Some(name) {
        draft.set(node, &Field::new(TITLE)?, Value::text(name))?;
    }
    draft.set(node, &origin, Value::Bool(true))?;
    Ok(node)
}
