//! Answers as text: one row per line, columns that line up, colour on a terminal only.
//!
//! Data is not trusted: where it becomes part of a line it cannot end that line, and on a terminal it cannot
//! move the cursor or change colours. A body that goes into a pipe goes byte for byte.

use std::{
    borrow::Cow,
    fmt::Display,
    io::{self, IsTerminal},
};

use heph_api::types::{NodeRow, TaskRow};
use serde_json::Value;

/// How to print.
#[derive(Debug, Clone, Copy)]
pub struct Style {
    terminal: bool,
    colour: bool,
}

impl Style {
    /// Returns what standard output can show; `NO_COLOR` is heeded.
    pub fn of_stdout() -> Self {
        let terminal = io::stdout().is_terminal();
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        Self { terminal, colour: terminal && wanted && able }
    }

    fn paint(self, code: &str, text: &str) -> String {
        match self.colour && !text.is_empty() {
            true => format!("\x1b[{code}m{text}\x1b[0m"),
            false => text.to_owned(),
        }
    }

    /// Returns the text, for headings.
    pub fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    /// Returns the text, for what stands beside.
    pub fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    /// Returns the text, for what needs a person.
    pub fn alert(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn attention(self, word: &str) -> String {
        match word {
            "red" => self.paint("31", word),
            "orange" => self.paint("33", word),
            "blue" => self.paint("34", word),
            _ => word.to_owned(),
        }
    }
}

/// What one command prints.
pub struct Page {
    text: String,
    style: Style,
}

impl Page {
    /// Returns an empty page.
    pub fn new(style: Style) -> Self {
        Self { text: String::new(), style }
    }

    /// Returns how to print.
    pub fn style(&self) -> Style {
        self.style
    }

    /// Returns what to print.
    pub fn into_text(self) -> String {
        self.text
    }

    /// Adds one line. Data in it has gone through [`one_line`].
    pub fn line(&mut self, line: impl Display) {
        self.text.push_str(line.to_string().trim_end());
        self.text.push('\n');
    }

    /// Adds a body and nothing else: as it is into a pipe, as [`Page::text`] on a terminal.
    pub fn body(&mut self, body: &str) {
        match self.style.terminal {
            true => self.text(body),
            false => self.text.push_str(body),
        }
    }

    /// Adds a body among other lines: with a line end at its end, and no control characters on a terminal.
    pub fn text(&mut self, body: &str) {
        self.text.push_str(&clean(body, self.style.terminal));
        if !body.is_empty() && !body.ends_with('\n') {
            self.text.push('\n');
        }
    }

    /// Adds a body below a line that introduces it, indented.
    pub fn indented(&mut self, body: &str) {
        for line in body.lines() {
            self.line(format!("    {}", clean(line, true)));
        }
    }

    /// Adds rows whose columns line up; the last column is as long as it is.
    pub fn columns(&mut self, rows: &[Vec<String>]) {
        let widths = widths(rows);
        for row in rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| pad(cell, *width));
            self.line(cells.collect::<Vec<_>>().join("  "));
        }
    }
}

/// Returns whether a terminal acts upon it instead of showing it: a control character, or one that turns the direction
/// of what stands around it, so that a line reads otherwise than it is.
fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Returns the text without what a terminal would act upon, but for line end and tab. Nothing is changed where it does
/// not go to a terminal.
pub fn clean(text: &str, terminal: bool) -> Cow<'_, str> {
    let acts = |c: char| acts(c) && !matches!(c, '\n' | '\t');
    match terminal && text.contains(acts) {
        true => Cow::Owned(text.replace("\r\n", "\n").replace(acts, "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// Returns data as part of a line: nothing that a terminal acts upon, wherever it goes.
pub fn one_line(text: &str) -> String {
    text.replace(acts, "\u{fffd}")
}

/// Returns JSON that says the same, and that a terminal only shows: `\u00XX` and the like in place of what it would act
/// upon. Such characters stand in JSON's texts only, but for its line ends.
pub fn escape(json: &str) -> Cow<'_, str> {
    let acts = |c: char| acts(c) && c != '\n';
    if !json.contains(acts) {
        return Cow::Borrowed(json);
    }
    json.chars().map(|c| if acts(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() }).collect()
}

/// Returns a value of a field as part of a line.
pub fn value(value: &Value) -> String {
    match value {
        Value::Null => "(none)".to_owned(),
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    }
}

/// Returns a number and its noun: `1 note`, `2 notes`.
pub fn count(number: u64, noun: &str) -> String {
    match number {
        1 => format!("1 {noun}"),
        _ => format!("{number} {noun}s"),
    }
}

/// Returns how a note begins that not all of them are shown: `there are more than 2 hits`.
pub fn more_than(number: u64, noun: &str) -> String {
    format!("there {} more than {}", if number == 1 { "is" } else { "are" }, count(number, noun))
}

/// Returns a line that names a node: `a1b2 doc "Title"`.
pub fn node(row: &NodeRow) -> String {
    format!("{} {} \"{}\"", row.short_id, one_line(&row.kind), one_line(&row.title))
}

/// Returns the row of a task: id, state or attention, dates, and last the title with what belongs to it.
pub fn task_row(task: &TaskRow, style: Style) -> Vec<String> {
    let word = match task.state.as_str() {
        "outstanding" => style.attention(&one_line(task.attention.as_deref().unwrap_or_default())),
        state => style.dim(&one_line(state)),
    };
    let do_date = one_line(task.do_date.as_deref().unwrap_or("-"));
    let late_on = one_line(task.late_on.as_deref().unwrap_or("-"));
    vec![style.bold(&task.short_id), do_date, late_on, word, task_title(task, style)]
}

/// Returns the heading above [`task_row`]s.
pub fn task_heading(style: Style) -> Vec<String> {
    ["ID", "DO", "LATE", "", "TITLE"].map(|name| style.dim(name)).to_vec()
}

/// Returns a title with everything that fits behind it: `Water the plants  @Home #garden every weekly`.
pub fn task_title(task: &TaskRow, style: Style) -> String {
    let every = task.recurrence.as_ref().map(|rule| format!("every {}", one_line(rule)));
    let beside = beside(task.project.as_deref(), &task.tags, every);
    with_mark(format!("{}{}", one_line(&task.title), style.dim(&beside)), task.conflicted, style)
}

/// Returns what stands behind a title, with two spaces before it where there is anything.
pub fn beside(project: Option<&str>, tags: &[String], more: Option<String>) -> String {
    let project = project.map(|name| format!("@{}", one_line(name)));
    let tags = tags.iter().map(|tag| format!("#{}", one_line(tag)));
    let words: Vec<String> = project.into_iter().chain(tags).chain(more).collect();
    match words.is_empty() {
        true => String::new(),
        false => format!("  {}", words.join(" ")),
    }
}

/// Returns the line with a mark where `heph conflicts` lists the node.
pub fn with_mark(line: String, conflicted: bool, style: Style) -> String {
    match conflicted {
        true => format!("{line}  {}", style.alert("(conflict)")),
        false => line,
    }
}

fn widths(rows: &[Vec<String>]) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| shown_width(cell)).max()
    };
    (0..columns).map(|column| width(column).unwrap_or(0)).collect()
}

fn pad(cell: &str, width: usize) -> String {
    format!("{cell}{}", " ".repeat(width.saturating_sub(shown_width(cell))))
}

/// Returns how many characters show: all but those of the colours that [`Style`] puts around a cell.
fn shown_width(cell: &str) -> usize {
    let mut shown = 0;
    let mut in_colour = false;
    for c in cell.chars() {
        match (in_colour, c) {
            (false, '\x1b') => in_colour = true,
            (true, 'm') => in_colour = false,
            (true, _) => {}
            (false, _) => shown += 1,
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIPE: Style = Style { terminal: false, colour: false };
    const TERMINAL: Style = Style { terminal: true, colour: true };

    fn page(style: Style, fill: impl FnOnce(&mut Page)) -> String {
        let mut page = Page::new(style);
        fill(&mut page);
        page.into_text()
    }

    #[test]
    fn data_cannot_act_on_a_terminal_or_end_a_line() {
        assert_eq!(clean("a\x1b[2J\u{9b}b\tc\r\nd\n", true), "a\u{fffd}[2J\u{fffd}b\tc\nd\n");
        assert_eq!(clean("a\x1b[2J\r\n", false), "a\x1b[2J\r\n");
        assert_eq!(one_line("a\nb\x1b"), "a\u{fffd}b\u{fffd}");
    }

    #[test]
    fn data_cannot_turn_the_direction_of_what_stands_around_it() {
        assert_eq!(clean("a\u{202e}b\u{2066}", true), "a\u{fffd}b\u{fffd}");
        assert_eq!(clean("a\u{202e}b", false), "a\u{202e}b");
        assert_eq!(one_line("a\u{202a}b\u{2069}"), "a\u{fffd}b\u{fffd}");
        assert_eq!(one_line("\u{5e9}\u{5dc}\u{5d5}\u{5dd}"), "\u{5e9}\u{5dc}\u{5d5}\u{5dd}");
    }

    #[test]
    fn json_says_the_same_without_what_a_terminal_acts_upon() {
        let text = "a\u{9b}2J\u{80}\u{9f}\u{7f}\u{202e}\u{85}\x1b\n\u{fc}";
        let json = serde_json::to_string_pretty(&[text]).unwrap();
        let escaped = escape(&json);
        assert!(escaped.contains(r"a\u009b2J\u0080\u009f\u007f\u202e\u0085\u001b\nü"), "{escaped}");
        assert!(!escaped.contains(|c| acts(c) && c != '\n'), "{escaped}");
        assert_eq!(serde_json::from_str::<Vec<String>>(&escaped).unwrap(), [text]);
    }

    #[test]
    fn a_body_goes_into_a_pipe_byte_for_byte() {
        let body = "\u{feff}# Title\r\nno end";
        assert_eq!(page(PIPE, |page| page.body(body)), body);
        assert!(page(TERMINAL, |page| page.body(body)).ends_with("no end\n"));
    }

    #[test]
    fn columns_line_up_with_and_without_colour() {
        let rows = |style: Style| vec![vec![style.bold("ab"), "c".into()], vec!["d".into(), "é".into()]];
        assert_eq!(page(PIPE, |page| page.columns(&rows(PIPE))), "ab  c\nd   é\n");
        let coloured = page(TERMINAL, |page| page.columns(&rows(TERMINAL)));
        assert_eq!(coloured, "\x1b[1mab\x1b[0m  c\nd   é\n");
    }

    #[test]
    fn a_title_says_what_belongs_to_it() {
        let task = TaskRow {
            node_id: String::new(),
            short_id: "1a2b".into(),
            title: "Water\nthe plants".into(),
            state: "outstanding".into(),
            do_date: Some("2026-12-24".into()),
            late_on: None,
            recurrence: Some("weekly".into()),
            attention: Some("red".into()),
            project: Some("Home".into()),
            project_id: None,
            tags: vec!["garden".into()],
            conflicted: true,
        };
        let row = task_row(&task, PIPE).join("|");
        assert_eq!(row, "1a2b|2026-12-24|-|red|Water\u{fffd}the plants  @Home #garden every weekly  (conflict)");
    }

    #[test]
    fn one_is_not_many() {
        assert_eq!(count(1, "note"), "1 note");
        assert_eq!(count(0, "note"), "0 notes");
        assert_eq!(more_than(1, "hit"), "there is more than 1 hit");
        assert_eq!(more_than(2, "hit"), "there are more than 2 hits");
    }
}
