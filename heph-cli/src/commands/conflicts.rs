//! Conflicts: what was written differently apart, listed, shown, settled.

use heph_api::types::{Contested, HeadChoice, ListConflicts, ShowConflict, TakeConflict as TakeCall};
use serde_json::Value;

use crate::{
    args::{ConflictCommand, Conflicts, TakeConflict},
    dates,
    failure::Failure,
    render::{self, Page, one_line},
    surface::Surface,
};

pub fn run(surface: &Surface, args: Conflicts) -> Result<(), Failure> {
    match args.command {
        None => list(surface),
        Some(ConflictCommand::Show(args)) => show(surface, args.id),
        Some(ConflictCommand::Take(args)) => take(surface, args),
    }
}

fn list(surface: &Surface) -> Result<(), Failure> {
    let list = surface.ask(&ListConflicts {})?;
    surface.print(&list.conflicts, |page| {
        let style = page.style();
        let row = |row: &heph_api::types::ConflictRow| {
            let title = format!("{}  {}", one_line(&row.node.title), style.dim(&one_line(&row.fields.join(", "))));
            vec![style.bold(&row.node.short_id), one_line(&row.node.kind), title]
        };
        let rows: Vec<_> = list.conflicts.iter().map(row).collect();
        page.columns(&rows);
    })
}

fn show(surface: &Surface, id: String) -> Result<(), Failure> {
    let detail = surface.ask(&ShowConflict { id })?;
    surface.print(&detail, |page| {
        page.line(render::node(&detail.node));
        detail.contested.iter().for_each(|contested| print_contested(page, contested));
        match detail.contested.first() {
            None => page.line("nothing is contested"),
            Some(first) => page.line(format!(
                "settle it with: heph conflicts take {} NUMBER --field {}",
                detail.node.short_id,
                one_line(&first.field)
            )),
        }
    })
}

/// Prints the values of one field, the shown one first.
pub fn print_contested(page: &mut Page, contested: &Contested) {
    let style = page.style();
    page.line(style.alert(&format!("{} has {} values:", one_line(&contested.field), contested.heads.len())));
    for (number, head) in (1..).zip(&contested.heads) {
        let who = one_line(head.device.as_deref().unwrap_or(&head.origin));
        let shown = if head.shown { ", shown" } else { "" };
        let by = style.dim(&format!("{who}, {}{shown}", dates::at(head.stamp_ms)));
        match &head.value {
            Value::String(text) if text.contains('\n') => {
                page.line(format!("  {number}. ({by})"));
                page.indented(text);
            }
            value => page.line(format!("  {number}. {}  ({by})", render::value(value))),
        }
    }
}

fn take(surface: &Surface, args: TakeConflict) -> Result<(), Failure> {
    let detail = surface.ask(&ShowConflict { id: args.id })?;
    let contested = chosen_field(&detail.contested, args.field.as_deref())?;
    let head = chosen(contested, &args.value)?;
    let field = contested.field.clone();
    let settled = surface.ask(&TakeCall { id: detail.node.node_id.clone(), field, head })?;
    surface.print(&settled, |page| {
        page.line(format!("settled {} of {}", one_line(&contested.field), render::node(&settled.node)));
    })
}

fn chosen_field<'a>(contested: &'a [Contested], field: Option<&str>) -> Result<&'a Contested, Failure> {
    let names = || contested.iter().map(|contested| contested.field.as_str()).collect::<Vec<_>>().join(", ");
    match (field, contested) {
        (_, []) => Err(Failure::here("not_found", "nothing is contested there; nothing to settle")),
        (None, [only]) => Ok(only),
        (None, _) => {
            let hint = format!("say which: --field, one of {}", names());
            Err(Failure::here_with_hint("bad_request", "several fields are contested", hint))
        }
        (Some(field), _) => contested.iter().find(|contested| contested.field == field).ok_or_else(|| {
            let hint = format!("one of {}", names());
            Failure::here_with_hint("not_found", format!("the field {field} is not contested"), hint)
        }),
    }
}

/// Returns the chosen value by the op that set it: should another value arrive meanwhile, this is the one taken. Two
/// texts of one op are told apart by their numbers.
fn chosen(contested: &Contested, value: &str) -> Result<HeadChoice, Failure> {
    let by_number =
        value.parse::<u32>().ok().filter(|number| (1..=contested.heads.len() as u64).contains(&(*number).into()));
    let by_op = || (1u32..).zip(&contested.heads).find(|(_, head)| head.op == value).map(|(number, _)| number);
    let chosen = by_number.or_else(by_op).and_then(|number| {
        let op = &contested.heads.get(number as usize - 1)?.op;
        let unique = contested.heads.iter().filter(|head| head.op == *op).count() == 1;
        Some(if unique { HeadChoice::Op(op.clone()) } else { HeadChoice::Number(number) })
    });
    chosen.ok_or_else(|| {
        let hint = format!("give a number from 1 to {}, or an op", contested.heads.len());
        Failure::here_with_hint("not_found", format!("{} has no value {value}", contested.field), hint)
    })
}

#[cfg(test)]
mod tests {
    use heph_api::types::Head;
    use serde_json::json;

    use super::*;

    fn contested(field: &str) -> Contested {
        let head = |op: &str, shown| Head {
            op: op.into(),
            value: json!("x"),
            stamp_ms: 0,
            origin: "0f".into(),
            device: None,
            shown,
        };
        Contested { field: field.into(), heads: vec![head("a:1:b", true), head("c:2:d", false)] }
    }

    #[test]
    fn a_value_is_chosen_by_number_or_by_op() {
        let title = contested("title");
        assert_eq!(chosen(&title, "2").unwrap(), HeadChoice::Op("c:2:d".into()));
        assert_eq!(chosen(&title, "a:1:b").unwrap(), HeadChoice::Op("a:1:b".into()));
        for bad in ["0", "3", "-1", "x"] {
            assert!(chosen(&title, bad).is_err(), "{bad} was taken for a value");
        }
    }

    #[test]
    fn a_field_may_be_left_out_only_where_there_is_one() {
        let both = [contested("title"), contested("body")];
        assert_eq!(chosen_field(&both[..1], None).unwrap().field, "title");
        assert_eq!(chosen_field(&both, Some("body")).unwrap().field, "body");
        assert!(chosen_field(&both, None).is_err());
        assert!(chosen_field(&both, Some("state")).is_err());
        assert!(chosen_field(&[], None).is_err());
    }
}
