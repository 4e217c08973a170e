//! Vaults: notes in, and out again.

use heph_api::types::{ExportVault, ImportObsidian as ImportCall, ImportReport, LeftOut, PathText};

use crate::{
    args::{Export, Import, ImportObsidian},
    failure::Failure,
    render::{Page, count, one_line},
    surface::{Surface, absolute},
};

pub fn import(surface: &Surface, command: Import) -> Result<(), Failure> {
    let Import::Obsidian(ImportObsidian { dir, vault }) = command;
    let report = surface.ask(&ImportCall { dir: PathText(absolute(&dir)?), vault })?;
    surface.print(&report, |page| {
        page.line(summary(&report));
        page.line(format!(
            "{}, {} of them lead to a note; {}",
            count(report.links, "link"),
            report.links_resolved,
            count(report.tags, "tag")
        ));
        print_left_out(page, &report.left_out);
    })
}

fn summary(report: &ImportReport) -> String {
    let parts = [
        (report.new, "new"),
        (report.changed, "changed"),
        (report.conflicts, "kept beside another text (heph conflicts)"),
        (report.unchanged, "unchanged"),
        (report.skipped_deleted, "deleted here and left so"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0);
    let parts: Vec<_> = parts.map(|(number, word)| format!("{number} {word}")).collect();
    let what = if parts.is_empty() { "nothing to import".to_owned() } else { parts.join(", ") };
    let nothing = if report.ops == 0 { "; nothing was written" } else { "" };
    format!("{} in the vault {}: {what}{nothing}", count(report.notes, "note"), one_line(&report.vault))
}

pub fn export(surface: &Surface, args: Export) -> Result<(), Failure> {
    let report = surface.ask(&ExportVault { dir: PathText(absolute(&args.dir)?) })?;
    surface.print(&report, |page| {
        page.line(format!(
            "{} written, {} there already, in {}",
            count(report.written, "file"),
            report.unchanged,
            one_line(&report.dir.to_string())
        ));
        print_left_out(page, &report.left_out);
    })
}

fn print_left_out(page: &mut Page, left_out: &[LeftOut]) {
    if left_out.is_empty() {
        return;
    }
    page.line(format!("left out {}:", count(left_out.len() as u64, "file")));
    for file in left_out {
        page.line(format!("  {}: {}", one_line(&file.name.to_string()), one_line(&file.why)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn importing_again_says_that_nothing_was_written() {
        let report = ImportReport {
            vault: "help".into(),
            notes: 3,
            new: 0,
            changed: 0,
            conflicts: 0,
            unchanged: 3,
            skipped_deleted: 0,
            links: 0,
            links_resolved: 0,
            tags: 0,
            left_out: Vec::new(),
            ops: 0,
        };
        assert_eq!(summary(&report), "3 notes in the vault help: 3 unchanged; nothing was written");
        let first = ImportReport { new: 2, unchanged: 1, ops: 2, ..report };
        assert_eq!(summary(&first), "3 notes in the vault help: 2 new, 1 unchanged");
    }
}
