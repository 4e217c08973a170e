//! Exchange with the hub, and how things stand with it.

use heph_api::{
    ApiError,
    types::{ReadSyncStatus, SwitchHub, SwitchReport, SyncNow, SyncStatus},
};

use crate::{
    args::Sync,
    failure::Failure,
    render::{Page, count, one_line},
    surface::Surface,
};

/// The exit code of `sync --status` where something is left to be exchanged.
const NOT_IN_SYNC: u8 = 4;

pub fn run(surface: &Surface, args: Sync) -> Result<(), Failure> {
    match args {
        Sync { switch_hub: true, yes, .. } => switch_hub(surface, yes),
        Sync { status: true, .. } => status(surface),
        Sync { wait, .. } => now(surface, wait),
    }
}

fn status(surface: &Surface) -> Result<(), Failure> {
    let status = surface.ask(&ReadSyncStatus {})?;
    surface.print(&status, |page| print_status(page, &status))?;
    if status.state.is_in_step() { Ok(()) } else { Err(Failure::Said(NOT_IN_SYNC)) }
}

fn now(surface: &Surface, wait: bool) -> Result<(), Failure> {
    let status = surface.ask(&SyncNow { wait })?;
    surface.print(&status, |page| {
        page.line(one_line(&status.words));
        print_advice(page, &status);
    })?;
    if !wait || status.state.is_in_step() { Ok(()) } else { Err(Failure::Said(1)) }
}

fn print_status(page: &mut Page, status: &SyncStatus) {
    let style = page.style();
    let word = status.state.word();
    let word = if status.state.is_in_step() { style.bold(word) } else { style.alert(word) };
    page.line(format!("{word}: {}", one_line(&status.words)));
    let rows = facts(status).into_iter().map(|(name, value)| vec![style.dim(name), one_line(&value)]);
    page.columns(&rows.collect::<Vec<_>>());
    print_advice(page, status);
}

/// Returns the lines below the sentence: those that say something.
fn facts(status: &SyncStatus) -> Vec<(&'static str, String)> {
    let some = |number: u64, more: &str| (number > 0).then(|| format!("{number}{more}"));
    let facts = [
        ("since", Some(status.since.clone())),
        ("hub", status.hub_url.clone()),
        ("hub id", status.hub_id.clone()),
        ("last sync", status.last_sync_at.clone()),
        ("next try", status.next_try_at.clone()),
        ("last error", status.last_error.as_ref().map(error_line)),
        ("to send", some(status.pending_push, "")),
        ("ops", Some(status.op_count.to_string())),
        ("digest", Some(status.state_digest.clone())),
        ("held", some(status.held, "")),
        ("conflicts", some(status.conflicts, " (heph conflicts)")),
        ("last deep check", status.last_check.as_ref().map(|last| format!("{}: {}", last.at, last.words))),
    ];
    facts.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

fn error_line(error: &ApiError) -> String {
    let hint = error.hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
    format!("{}{hint}", error.message)
}

fn print_advice(page: &mut Page, status: &SyncStatus) {
    status.notices.iter().for_each(|notice| page.line(one_line(notice)));
    if let Some(next) = &status.next {
        page.line(format!("next: {}", one_line(next)));
    }
}

fn switch_hub(surface: &Surface, yes: bool) -> Result<(), Failure> {
    let preview = surface.ask(&SwitchHub { confirm: None })?;
    if preview.pinned_hub_id.as_ref() == Some(&preview.hub_id) {
        return surface.print(&preview, |page| page.line(one_line(&preview.words)));
    }
    if !yes {
        return surface.print(&preview, |page| {
            print_switch(page, &preview);
            page.line("nothing was done; do it with: heph sync --switch-hub --yes");
        });
    }
    let switched = surface.ask(&SwitchHub { confirm: Some(preview.hub_id) })?;
    surface.print(&switched, |page| print_switch(page, &switched))
}

fn print_switch(page: &mut Page, report: &SwitchReport) {
    let ops = |number| count(number, "op");
    page.line(one_line(&report.words));
    let known = report.pinned_hub_id.as_deref().unwrap_or("none");
    let rows = [
        ("hub", report.hub_url.clone()),
        ("its id", report.hub_id.clone()),
        ("known until now", known.to_owned()),
        ("here", format!("{}, {} to send", ops(report.ops_here), report.to_push)),
        ("there", format!("{}, {} to fetch", ops(report.ops_there), report.to_pull)),
    ];
    let style = page.style();
    let rows: Vec<_> = rows.into_iter().map(|(name, value)| vec![style.dim(name), one_line(&value)]).collect();
    page.columns(&rows);
}
