//! The deep check: one line per part on one screen, and while it goes on, on a terminal, how far it is.

use heph_api::types::{DeepReport, HubResult, ReadVerifyProgress, VerifyDeep, VerifyProgress};
use std::io::{self, IsTerminal, Write};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::{
    failure::Failure,
    render::{Page, count, one_line},
    surface::Surface,
};

/// The exit code where all is sound here, and the hub could not be compared.
const NOT_COMPARED: u8 = 4;
/// How often it is said how far the check is.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

pub fn verify(surface: &Surface, repair: bool) -> Result<(), Failure> {
    let report = match io::stderr().is_terminal() && !surface.json() {
        true => std::thread::scope(|scope| {
            let (ended, end) = mpsc::channel();
            scope.spawn(move || show_progress(surface, &end));
            let report = surface.ask(&VerifyDeep { repair });
            drop(ended);
            report
        }),
        false => surface.ask(&VerifyDeep { repair }),
    }?;
    surface.print(&report, |page| print(page, &report))?;
    match (report.ok, report.sound && report.hub.result != HubResult::Differs) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Said(NOT_COMPARED)),
        (false, false) => Err(Failure::Said(1)),
    }
}

/// Says on one line how far the check is, until it has ended.
fn show_progress(surface: &Surface, end: &Receiver<()>) {
    let say = |text: &str| {
        let mut to = io::stderr().lock();
        // Whoever closed it does not want to know.
        drop(write!(to, "\r\x1b[K{text}").and_then(|()| to.flush()));
    };
    while end.recv_timeout(LOOK_AGAIN) == Err(RecvTimeoutError::Timeout) {
        if let Ok(progress) = surface.ask(&ReadVerifyProgress {}) {
            say(&progress_line(&progress));
        }
    }
    say("");
}

fn progress_line(VerifyProgress { part, done, of }: &VerifyProgress) -> String {
    match part.as_deref() {
        None => "asking the hub …".to_owned(),
        Some("file") => "checking the file …".to_owned(),
        Some(part) => format!("checking the {}: {done} of {of} …", one_line(part)),
    }
}

fn print(page: &mut Page, report: &DeepReport) {
    let style = page.style();
    let took = match report.took_ms {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
    };
    let problems = report.problems.len() as u64 + report.more_problems;
    page.line(match report.sound {
        true => format!("{}: everything here was checked in {took}", style.bold("sound")),
        false => format!("{}: {}, found in {took}", style.alert("not sound"), count(problems, "problem")),
    });
    let rows: Vec<_> = parts(report)
        .into_iter()
        .map(|(part, fine)| {
            let wrong = report.problems.iter().filter(|problem| problem.part == part).count() as u64;
            let is = |parts: &[String]| parts.iter().any(|of| of == part);
            let said = match (is(&report.damaged), is(&report.unchecked)) {
                (true, _) if report.more_problems > 0 => style.alert("damaged"),
                (true, _) => style.alert(&count(wrong, "problem")),
                (false, true) => style.alert("not checked: the log that it follows from is damaged"),
                (false, false) => fine,
            };
            vec![style.dim(part), said]
        })
        .chain([vec![style.dim("hub"), one_line(&report.hub.words)]])
        .collect();
    page.columns(&rows);
    report.repaired.iter().for_each(|words| page.line(format!("made anew: {}", one_line(words))));
    print_problems(page, report);
    if !report.hub.nodes.is_empty() {
        page.line(format!("nodes to look at: {}", one_line(&report.hub.nodes.join(" "))));
    }
    if let Some(next) = &report.hub.next {
        page.line(format!("next: {}", one_line(next)));
    }
}

/// What stands beside each part if nothing is wrong with it.
fn parts(report: &DeepReport) -> [(&'static str, String); 5] {
    let held = if report.held > 0 { format!(", {} held", report.held) } else { String::new() };
    let missing = if report.missing > 0 { format!(", {} without a value", report.missing) } else { String::new() };
    let log = format!("{}, {}{held}{missing}", count(report.ops, "op"), count(report.signatures, "signature"));
    [
        ("file", "SQLite finds nothing wrong".to_owned()),
        ("log", log),
        ("state", format!("{}, digest {}", count(report.nodes, "node"), one_line(&report.state_digest))),
        ("texts", format!("{}, each what its edits make", count(report.texts, "text"))),
        ("index", format!("lists, tags, links, and {} to search for", count(report.words, "word"))),
    ]
}

/// Every problem, and what to do once for those about which the same is to be done.
fn print_problems(page: &mut Page, report: &DeepReport) {
    let mut last = None;
    for problem in &report.problems {
        if let Some(next) = last.replace(&problem.next).filter(|next| **next != problem.next) {
            page.line(format!("next: {}", one_line(next)));
        }
        page.line(format!("  {}: {}", one_line(&problem.part), one_line(&problem.words)));
    }
    if report.more_problems > 0 {
        page.line(format!("  and {} more", report.more_problems));
    }
    if let Some(next) = last {
        page.line(format!("next: {}", one_line(next)));
    }
}
