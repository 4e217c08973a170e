//! The house rules that a machine can check, as ordinary tests. Each message names the better way.
//!
//! What stands in an exception list here is a ratchet: it may shrink, and an entry that is no longer needed has to go.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Lines of a file without its tests; past this it is divided by invariant.
const FILE_LINES: usize = 400;
/// Past this there are no exceptions for new files.
const FILE_LINES_NEVER: usize = 600;
/// Lines of a function, with its signature and closing brace.
const FUNCTION_LINES: usize = 70;

/// Files beyond [`FILE_LINES`], and how long each may be.
const LONG_FILES: &[(&str, usize)] = &[
    ("store/src/op.rs", 683), // The op, its two encodings and its changes; to be divided by frame and changes.
];

/// Functions beyond [`FUNCTION_LINES`], and how long each may be.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// Where SQL stands besides `store/src/sqlite/`, and why.
const SQL_ELSEWHERE: &[(&str, &str)] = &[
    ("hephd/src/hub/control.rs", "the hub's control file is a database of its own"),
    ("store/src/replica.rs", "begins and ends transactions, and nothing else"),
];

/// Where the outside world may be asked, what for, and why.
const SEAMS: &[(&str, &str, &str)] = &[
    ("store/src/env.rs", "SystemTime::now", "the seam"),
    ("store/src/env.rs", "getrandom", "the seam"),
    ("hephd/src/lock.rs", "thread::sleep", "a lock that another process holds can only be tried again"),
    ("heph-cli/src/dates.rs", "Zoned::now", "what a person calls today; the daemon is told"),
    ("heph-cli/src/demo/process.rs", "thread::sleep", "a child's end can only be looked for"),
    ("heph-cli/src/demo/device.rs", "thread::sleep", "a child's end can only be looked for"),
    ("tests/world/wait.rs", "thread::sleep", "the one place where tests look again, with a deadline"),
    ("tests/faults/kill.rs", "thread::sleep", "the moment of the kill is what is tried"),
];

/// Lessons of other systems (`tests/scenarios/others_bugs`), numbered from 1 to this.
const LESSONS: usize = 28;

/// Lessons that no test can show yet, and why.
const LESSONS_PENDING: &[(usize, &str)] = &[
    (13, "a reconnect that reuses an expired token for ever: there are no tokens yet"),
    (14, "a bad token, then a good one: there are no tokens yet"),
    (22, "a keyring write that only seems to succeed: nothing is kept in a keyring yet"),
];

/// A file of the tree, with its path from the top.
struct Source {
    path: String,
    text: String,
}

impl Source {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether the whole file is a test, or what tests and measurements stand on.
    fn is_test(&self) -> bool {
        let parts: Vec<&str> = self.path.split('/').collect();
        let folder = parts[..parts.len() - 1].iter().any(|part| matches!(*part, "tests" | "benches" | "fuzz"));
        folder || parts.last() == Some(&"tests.rs")
    }

    /// The text without the tests at its end.
    fn without_tests(&self) -> &str {
        let tests = self.text.match_indices("#[cfg(test)]\n").find(|(at, mark)| {
            let behind = &self.text[at + mark.len()..];
            behind.starts_with("mod ") && behind.lines().next().is_some_and(|line| line.ends_with('{'))
        });
        tests.map_or(&self.text, |(at, _)| &self.text[..at])
    }
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every text file of the project.
fn sources() -> Vec<Source> {
    let top = top();
    let (mut folders, mut found) = (vec![top.clone()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (name, path) = (entry.file_name().into_string().unwrap_or_default(), entry.path());
            match entry.file_type().unwrap() {
                kind if kind.is_dir() && !matches!(name.as_str(), "target" | ".git" | "scratch") => folders.push(path),
                kind if kind.is_file() => {
                    let relative = path.strip_prefix(&top).unwrap().to_string_lossy().into_owned();
                    found.extend(fs::read_to_string(&path).ok().map(|text| Source { path: relative, text }));
                }
                _ => {}
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn rust() -> Vec<Source> {
    sources().into_iter().filter(Source::is_rust).collect()
}

/// Fails with every finding, one a line.
fn claim(findings: Vec<String>) {
    assert!(findings.is_empty(), "{} to put right:\n  {}\n", findings.len(), findings.join("\n  "));
}

/// The code with its comments, and if asked its texts, blanked: lines and columns stay.
fn code(text: &str, keep_texts: bool) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let starts = |at: usize, with: &str| with.chars().enumerate().all(|(n, c)| chars.get(at + n) == Some(&c));
    while at < chars.len() {
        let (end, kept) = match chars[at] {
            '/' if starts(at, "//") => ((at..chars.len()).find(|n| chars[*n] == '\n').unwrap_or(chars.len()), false),
            '/' if starts(at, "/*") => {
                ((at..chars.len()).find(|n| starts(*n, "*/")).map_or(chars.len(), |n| n + 2), false)
            }
            'r' if raw_hashes(&chars, at).is_some() => (raw_end(&chars, at), keep_texts),
            '"' => (quoted_end(&chars, at), keep_texts),
            '\'' => (char_end(&chars, at), true),
            _ => (at + 1, true),
        };
        let blank = |c: char| if kept || c == '\n' { c } else { ' ' };
        out.extend(chars[at..end].iter().map(|c| blank(*c)));
        at = end;
    }
    out
}

/// How many `#` a raw text that begins here has.
fn raw_hashes(chars: &[char], at: usize) -> Option<usize> {
    let is_name = |c: &char| c.is_alphanumeric() || *c == '_';
    if at > 0 && is_name(&chars[at - 1]) && chars[at - 1] != 'b' {
        return None;
    }
    let hashes = chars[at + 1..].iter().take_while(|c| **c == '#').count();
    (chars.get(at + 1 + hashes) == Some(&'"')).then_some(hashes)
}

fn raw_end(chars: &[char], at: usize) -> usize {
    let hashes = raw_hashes(chars, at).unwrap_or_default();
    let closes =
        |n: usize| chars[n] == '"' && chars[n + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    (at + 2 + hashes..chars.len()).find(|n| closes(*n)).map_or(chars.len(), |n| n + 1 + hashes)
}

fn quoted_end(chars: &[char], at: usize) -> usize {
    let mut n = at + 1;
    while n < chars.len() && chars[n] != '"' {
        n += if chars[n] == '\\' { 2 } else { 1 };
    }
    (n + 1).min(chars.len())
}

/// The end of a character, or of the quote of a lifetime.
fn char_end(chars: &[char], at: usize) -> usize {
    match chars.get(at + 1) {
        Some('\\') => (at + 3..chars.len()).find(|n| chars[*n] == '\'').map_or(chars.len(), |n| n + 1),
        Some(_) if chars.get(at + 2) == Some(&'\'') => at + 3,
        _ => at + 1,
    }
}

/// The functions in blanked code: name, and number of lines.
fn functions(code: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let before = code[..at].chars().next_back().unwrap_or(' ');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if name.is_empty() || before.is_alphanumeric() || before == '_' {
            continue;
        }
        let (mut braces, mut begun) = (0i32, false);
        let mut end = at;
        for (offset, c) in code[at..].char_indices() {
            end = at + offset;
            match c {
                '{' => (braces, begun) = (braces + 1, true),
                '}' => braces -= 1,
                ';' if !begun => break,
                _ => {}
            }
            if begun && braces == 0 {
                break;
            }
        }
        found.push((name, code[at..=end].lines().count()));
    }
    found
}

#[test]
fn sql_stands_in_one_place() {
    const WORDS: [&str; 15] = [
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "DELETE FROM",
        "CREATE ",
        "ALTER ",
        "DROP ",
        "PRAGMA ",
        "VACUUM",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "SAVEPOINT",
        "RELEASE",
        "ATTACH ",
    ];
    let (mut findings, mut used) = (Vec::new(), BTreeSet::new());
    for source in rust().iter().filter(|source| !source.is_test() && !source.path.starts_with("store/src/sqlite/")) {
        let code = code(source.without_tests(), true);
        let is_sql = |line: &&str| WORDS.iter().any(|word| line.contains(&format!("\"{word}")));
        let Some(line) = code.lines().find(is_sql) else { continue };
        match SQL_ELSEWHERE.iter().find(|(path, _)| *path == source.path) {
            Some((path, _)) => drop(used.insert(*path)),
            None => findings.push(format!(
                "{}: SQL ({}): put it in a function of store/src/sqlite/",
                source.path,
                line.trim()
            )),
        }
    }
    let unused = SQL_ELSEWHERE.iter().filter(|(path, _)| !used.contains(path));
    findings.extend(unused.map(|(path, _)| format!("{path} has no SQL any more: take it off SQL_ELSEWHERE")));
    claim(findings);
}

#[test]
fn time_and_chance_enter_by_the_seam() {
    const ASKED: [&str; 7] =
        ["SystemTime::now", "Utc::now", "Local::now", "Zoned::now", "Timestamp::now", "thread::sleep", "getrandom"];
    let (mut findings, mut used) = (Vec::new(), BTreeSet::new());
    for source in rust() {
        let text = if source.path.starts_with("tests/") { &source.text } else { source.without_tests() };
        let code = code(text, false);
        for asked in ASKED.into_iter().filter(|asked| code.contains(asked)) {
            match SEAMS.iter().find(|(path, what, _)| (*path, *what) == (source.path.as_str(), asked)) {
                Some((path, what, _)) => drop(used.insert((*path, *what))),
                None => findings.push(format!(
                    "{}: {asked}: take time and randomness from store's Env (tests wait on an event, with the world's wait)",
                    source.path
                )),
            }
        }
    }
    let unused = SEAMS.iter().filter(|(path, what, _)| !used.contains(&(path, what)));
    findings.extend(unused.map(|(path, what, _)| format!("{path} does not use {what} any more: take it off SEAMS")));
    claim(findings);
}

#[test]
fn files_are_named_after_what_they_own() {
    const VAGUE: [&str; 7] = ["util", "utils", "helper", "helpers", "common", "manager", "misc"];
    let vague = |part: &str| VAGUE.contains(&part.trim_end_matches(".rs"));
    let found = rust().into_iter().filter(|source| source.path.split('/').any(vague));
    claim(found.map(|source| format!("{}: name it after the invariant that it owns", source.path)).collect());
}

#[test]
fn the_data_does_not_know_whose_it_is() {
    let core = ["store/src/merge.rs", "store/src/op.rs"];
    let knowing =
        rust().into_iter().filter(|source| core.contains(&source.path.as_str()) && source.text.contains("OwnerId"));
    claim(
        knowing
            .map(|source| format!("{}: OwnerId: an owner stands in a replica's meta and nowhere else", source.path))
            .collect(),
    );
}

#[test]
fn the_map_holds() {
    let read = |path: &str| fs::read_to_string(top().join(path)).unwrap();
    let mut findings = Vec::new();
    for (manifest, named, better) in [
        ("heph-cli/Cargo.toml", "heph-store", "a surface asks the daemon, by a call of heph-api"),
        ("heph-cli/Cargo.toml", "rusqlite", "a surface asks the daemon, by a call of heph-api"),
        ("hephd/api/Cargo.toml", "heph-store", "what crosses the socket has its own type"),
        ("store/Cargo.toml", "tokio", "the store blocks; hephd's writer carries closures to it"),
    ] {
        if read(manifest).lines().any(|line| line.starts_with(named)) {
            findings.push(format!("{manifest}: {named}: {better}"));
        }
    }
    for source in
        rust().iter().filter(|source| !source.is_test() && code(source.without_tests(), false).contains("yrs::"))
    {
        findings
            .push(format!("{}: yrs: it is an oracle of tests; the reader of updates is store/src/body", source.path));
    }
    claim(findings);
}

#[test]
fn every_file_says_what_it_is() {
    // A module's own tests, in `tests.rs` below it, are what that module says it is.
    let silent = |source: &Source| !source.text.starts_with("//! ") && !source.path.ends_with("/tests.rs");
    let found = rust().into_iter().filter(silent);
    claim(found.map(|source| format!("{}: begin with a `//!` line: what does it own?", source.path)).collect());
}

#[test]
fn files_stay_short() {
    let mut allowed: BTreeMap<&str, usize> = LONG_FILES.iter().copied().collect();
    let mut findings = Vec::new();
    for source in rust().iter().filter(|source| !source.is_test()) {
        let lines = source.without_tests().lines().count();
        match allowed.remove(source.path.as_str()) {
            Some(most) if lines > most => findings.push(format!("{}: {lines} lines, {most} before: divide it", source.path)),
            Some(_) if lines <= FILE_LINES => findings.push(format!("{}: short again: take it off LONG_FILES", source.path)),
            Some(_) => {}
            None if lines > FILE_LINES_NEVER => {
                findings.push(format!("{}: {lines} lines without tests, {FILE_LINES_NEVER} is the end: divide it", source.path));
            }
            None if lines > FILE_LINES => findings.push(format!(
                "{}: {lines} lines without tests, the limit is {FILE_LINES}: divide it by invariant, or give LONG_FILES a reason",
                source.path
            )),
            None => {}
        }
    }
    findings.extend(allowed.keys().map(|path| format!("{path}: not there any more: take it off LONG_FILES")));
    claim(findings);
}

#[test]
fn functions_stay_short() {
    let mut findings = Vec::new();
    // A test may be a table as long as its cases.
    for source in rust().iter().filter(|source| !source.is_test()) {
        for (name, lines) in functions(&code(source.without_tests(), false)) {
            let known = LONG_FUNCTIONS
                .iter()
                .find(|(path, function, _)| (*path, *function) == (source.path.as_str(), name.as_str()));
            if lines > known.map_or(FUNCTION_LINES, |(_, _, most)| *most) {
                let better = "push ifs up and fors down, and name the parts";
                findings.push(format!(
                    "{}: fn {name}: {lines} lines, the limit is {FUNCTION_LINES}: {better}",
                    source.path
                ));
            }
        }
    }
    claim(findings);
}

#[test]
fn nothing_is_left_for_later() {
    let better = [
        ("todo!", "write it, or open an issue and refuse in words"),
        ("unimplemented!", "write it, or open an issue and refuse in words"),
        ("#[ignore", "a test runs everywhere, or says what the machine lacks and is counted as skipped"),
        ("dbg!", "tracing, with ids and counts"),
    ];
    let mut findings = Vec::new();
    for source in rust() {
        let code = code(&source.text, false);
        for (mark, better) in better.iter().filter(|(mark, _)| code.contains(mark)) {
            findings.push(format!("{}: {mark}: {better}", source.path));
        }
    }
    claim(findings);
}

#[test]
fn the_project_speaks_of_itself_only() {
    let folders = ["work", "farm", "root", "mnt", "Users"].map(|folder| format!("/{folder}/"));
    let is_path = |text: &str, folder: &str| {
        text.match_indices(folder)
            .any(|(at, _)| !text[..at].ends_with(|c: char| c.is_alphanumeric() || "._-~})".contains(c)))
    };
    let mut findings = Vec::new();
    for source in sources() {
        for folder in folders.iter().filter(|folder| is_path(&source.text, folder)) {
            findings.push(format!("{}: {folder}…: name places that every machine has", source.path));
        }
        if source.path.ends_with("Cargo.lock") {
            let foreign =
                |line: &&str| line.starts_with("source = ") && !line.contains("github.com/rust-lang/crates.io-index");
            findings
                .extend(source.text.lines().filter(foreign).map(|line| format!("Cargo.lock: {line}: crates.io only")));
        }
        if source.path.starts_with(".cargo/") && source.text.contains("replace-with") {
            findings.push(format!("{}: a registry of one machine: set it in that machine's home", source.path));
        }
    }
    claim(findings);
}

/// The links of a page outside code: `[…](here)`.
fn links(page: &str) -> Vec<String> {
    let mut fenced = false;
    let prose = page.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    });
    let targets = |line: &str| -> Vec<String> {
        let spans = line.split('`').step_by(2).collect::<Vec<_>>().join("");
        let open = spans.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        open.map(|(target, _)| target.to_owned()).collect()
    };
    prose.flat_map(targets).collect()
}

/// A heading's anchor, as forges make it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
    kept.replace(' ', "-")
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    let mut findings = Vec::new();
    for page in sources().iter().filter(|source| source.path.ends_with(".md") && !source.path.contains("vault/")) {
        let folder = top().join(&page.path).parent().unwrap().to_owned();
        for link in links(&page.text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            let (file, part) = link.split_once('#').map_or((link.as_str(), None), |(file, part)| (file, Some(part)));
            let target = if file.is_empty() { top().join(&page.path) } else { folder.join(file) };
            let text = fs::read_to_string(&target).unwrap_or_default();
            let is_there = |part: &str| text.lines().any(|line| anchor(line.trim_start_matches('#').trim()) == part);
            if !target.exists() || part.is_some_and(|part| !is_there(part)) {
                findings.push(format!("{}: {link} leads nowhere: link to a file or heading that is there", page.path));
            }
        }
    }
    claim(findings);
}

#[test]
fn every_how_to_is_in_the_readme() {
    let readme = fs::read_to_string(top().join("README.md")).unwrap();
    let pages = sources().into_iter().filter(|source| source.path.starts_with("docs/how-to/"));
    let unlisted = pages.filter(|page| !links(&readme).contains(&page.path));
    claim(
        unlisted.map(|page| format!("{}: link it in README.md, under what a person wants to do", page.path)).collect(),
    );
}

#[test]
fn every_lesson_of_other_systems_has_its_test() {
    let shows = |source: &Source| source.path.starts_with("tests/scenarios/others_bugs");
    let shown: Vec<String> =
        rust().iter().filter(|source| shows(source)).map(|source| code(&source.text, false)).collect();
    let mut findings = Vec::new();
    for lesson in 1..=LESSONS {
        let begins = format!("c{lesson:02}_");
        let test = format!("#[test]\nfn {begins}");
        let count: usize = shown.iter().map(|code| code.matches(&test).count()).sum();
        match (count, LESSONS_PENDING.iter().any(|(pending, _)| *pending == lesson)) {
            (1, false) | (0, true) => {}
            (0, false) => findings.push(format!("{begins}…: no test: tests/scenarios/others_bugs shows each lesson")),
            (_, true) => findings.push(format!("{begins}…: it has its test: take it off LESSONS_PENDING")),
            (_, false) => findings.push(format!("{begins}…: {count} tests: one lesson, one test")),
        }
    }
    claim(findings);
}
