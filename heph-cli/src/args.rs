//! What can be typed. Each command becomes a value that cannot be wrong in itself; what only the daemon can
//! know (does this id fit, is this a rule) is left to it.

mod text;
mod words;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand};

use crate::dates;

pub use text::*;
pub use words::*;

/// Tasks and notes that are always here, and in step with your other devices.
#[derive(Debug, Parser)]
#[command(name = "heph", version, propagate_version = false, max_term_width = 100)]
#[command(after_help = "Without a command: the outstanding tasks.\nIDs: any four or more hex digits that begin \
    or end exactly one id.\nExit codes: 0 ok, 1 failed, 2 usage, 3 daemon not running, 4 not in sync.")]
pub struct Args {
    /// Print JSON: an array of rows for lists, else one object
    #[arg(long, global = true)]
    pub json: bool,
    /// The daemon's socket [default: $XDG_RUNTIME_DIR/heph/heph.sock]
    #[arg(long, global = true, value_name = "PATH", env = "HEPH_SOCKET", hide_env_values = true)]
    pub socket: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a task
    Task(NewTask),
    /// List tasks
    List(List),
    /// Show everything about a task, a doc or any other node
    Show(Id),
    /// Change a task, a doc or a project
    Edit(Edit),
    /// Complete a task; a recurring one moves to its next occurrence
    Done(Done),
    /// Give a task up
    Drop(Id),
    /// Delete a task, a doc or any other node, with what it owns
    Rm(Id),
    /// Bring back what was deleted
    Undelete(Id),
    /// Add an entry to a task's log
    Log(Note),
    /// Read or write the context document of a task
    Context(Context),
    /// Write and read docs
    #[command(subcommand)]
    Doc(Doc),
    /// Read or write the journal of a day
    Journal(Journal),
    /// Find nodes by words in their title or text
    Search(Search),
    /// List what links to a node
    Backlinks(Id),
    /// List what was written differently on several devices, and settle it
    Conflicts(Conflicts),
    /// List what was done to a node, by whom and when
    History(History),
    /// Take back the last command of this device, or any op
    Undo(Undo),
    /// Bring notes in
    #[command(subcommand)]
    Import(Import),
    /// Write every note into a directory
    Export(Export),
    /// Exchange with the hub now, or say how things stand
    Sync(Sync),
    /// Rebuild the state from the log and compare
    Verify(Verify),
    /// Write a checked copy of the database
    Backup(Backup),
    /// List the devices that have written here
    Devices,
    /// Say the versions of heph and of its daemon
    Version,
    /// See a hub and two devices at work, on throw-away data
    Demo(Demo),
}

#[derive(Debug, ClapArgs)]
pub struct Id {
    /// Which one
    pub id: String,
}

#[derive(Debug, ClapArgs)]
pub struct NewTask {
    /// What is to be done
    #[arg(required = true)]
    pub title: Vec<String>,
    /// When: YYYY-MM-DD, today, tomorrow, or with a time, as in 2026-12-24T18:00
    #[arg(long = "do", value_name = "DATE", value_parser = dates::parse)]
    pub do_date: Option<String>,
    /// From when on it is late
    #[arg(long = "late", value_name = "DATE", value_parser = dates::parse)]
    pub late_on: Option<String>,
    /// How much it asks for
    #[arg(long, value_name = "COLOUR")]
    pub attention: Option<Colour>,
    /// daily, weekly, monthly, yearly, weekdays, or an RRULE
    #[arg(long, value_name = "RULE")]
    pub every: Option<String>,
    /// A project's name or id; a new name makes one
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// A tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// The text of its context document; - reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub body: Option<String>,
}

#[derive(Debug, Default, ClapArgs)]
pub struct List {
    /// Only of this project
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// Only with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// In this state
    #[arg(long, value_name = "STATE", default_value = "outstanding")]
    pub state: ListedState,
    /// Only to be done, or late, on or before this date
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub due: Option<String>,
    /// Only with this attention
    #[arg(long, value_name = "COLOUR")]
    pub attention: Option<Colour>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub struct Edit {
    /// Which one
    pub id: String,
    /// A new title
    #[arg(long, value_name = "TITLE")]
    pub title: Option<String>,
    /// When to do it
    #[arg(long = "do", value_name = "DATE", value_parser = dates::parse)]
    pub do_date: Option<String>,
    /// Not on any date
    #[arg(long, conflicts_with = "do_date")]
    pub no_do: bool,
    /// From when on it is late
    #[arg(long = "late", value_name = "DATE", value_parser = dates::parse)]
    pub late_on: Option<String>,
    /// Never late
    #[arg(long, conflicts_with = "late_on")]
    pub no_late: bool,
    /// How much attention it asks for
    #[arg(long, value_name = "COLOUR")]
    pub attention: Option<Colour>,
    /// No attention set
    #[arg(long, conflicts_with = "attention")]
    pub no_attention: bool,
    /// daily, weekly, monthly, yearly, weekdays, or an RRULE
    #[arg(long, value_name = "RULE")]
    pub every: Option<String>,
    /// No longer recurring
    #[arg(long, conflicts_with = "every")]
    pub no_every: bool,
    /// A project's name or id; a new name makes one
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// In no project
    #[arg(long, conflicts_with = "project")]
    pub no_project: bool,
    /// Outstanding, done or dropped
    #[arg(long, value_name = "STATE")]
    pub state: Option<GivenState>,
    /// Add a tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Take a tag away; may be given several times
    #[arg(long = "untag", value_name = "TAG")]
    pub untags: Vec<String>,
    #[command(flatten)]
    pub text: WholeText,
    /// Edit its text in $VISUAL or $EDITOR
    #[arg(long, conflicts_with = "body")]
    pub editor: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Done {
    /// Which task
    pub id: String,
    /// Which occurrence of a recurring task
    #[arg(long, value_name = "DATE", value_parser = dates::parse)]
    pub on: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Note {
    /// Which one
    pub id: String,
    /// What happened; - reads it from standard input
    #[arg(required = true)]
    pub text: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Search {
    /// Words that all have to be there
    #[arg(required = true)]
    pub words: Vec<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

#[derive(Debug, ClapArgs)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Conflicts {
    #[command(subcommand)]
    pub command: Option<ConflictCommand>,
}

#[derive(Debug, Subcommand)]
pub enum ConflictCommand {
    /// Show all values of what is contested on a node
    Show(Id),
    /// Settle on one value, on every device
    Take(TakeConflict),
}

#[derive(Debug, ClapArgs)]
pub struct TakeConflict {
    /// Which node
    pub id: String,
    /// Which value: its number or its op, as `conflicts show` prints them
    pub value: String,
    /// Which field; may be left out where only one is contested
    #[arg(long, value_name = "FIELD")]
    pub field: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct History {
    /// Which one
    pub id: String,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub struct Undo {
    /// Which op, as `heph history` prints it; the newest of this device unless said
    pub op: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Import {
    /// Import an Obsidian vault, or any directory of Markdown files
    Obsidian(ImportObsidian),
}

#[derive(Debug, ClapArgs)]
pub struct ImportObsidian {
    /// The vault's directory
    pub dir: PathBuf,
    /// What the vault is called on every device that imports it [default: the directory's name]
    #[arg(long, value_name = "NAME")]
    pub vault: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Export {
    /// The directory to write into
    pub dir: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct Sync {
    /// Return when the exchange has ended
    #[arg(long, conflicts_with_all = ["status", "switch_hub"])]
    pub wait: bool,
    /// Say how things stand; exit code 4 if not in sync
    #[arg(long, conflicts_with = "switch_hub")]
    pub status: bool,
    /// Show what joining the other hub behind the URL would do
    #[arg(long)]
    pub switch_hub: bool,
    /// Do it
    #[arg(long, requires = "switch_hub")]
    pub yes: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Verify {
    /// Check every index and the file too, and compare with the hub; exit code 4 if that cannot be asked
    #[arg(long)]
    pub deep: bool,
    /// Make anew, from a log that is sound, what is not as the log says
    #[arg(long, requires = "deep")]
    pub repair: bool,
}

#[derive(Debug, ClapArgs)]
pub struct Backup {
    /// The file to write
    pub file: PathBuf,
}

#[derive(Debug, ClapArgs)]
pub struct Demo {
    /// Where to put the throw-away data, and leave it [default: a temporary directory, removed at the end]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_options_fit_each_other() {
        Args::command().debug_assert();
    }

    #[test]
    fn words_of_a_title_need_no_quotes() {
        let args = Args::try_parse_from(["heph", "task", "Buy", "oat", "milk", "--tag", "shop", "--tag", "food"]);
        let Some(Command::Task(task)) = args.unwrap().command else { panic!("not a task") };
        assert_eq!(task.title, ["Buy", "oat", "milk"]);
        assert_eq!(task.tags, ["shop", "food"]);
    }

    #[test]
    fn options_may_stand_behind_words_and_a_dash_is_a_word() {
        let args = Args::try_parse_from(["heph", "log", "1a2b", "it", "works", "--json"]).unwrap();
        assert!(args.json);
        let piped = Args::try_parse_from(["heph", "doc", "append", "1a2b", "-"]);
        assert!(piped.is_ok());
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for words in [
            &["heph", "edit", "1a2b", "--do", "today", "--no-do"][..],
            &["heph", "sync", "--wait", "--status"],
            &["heph", "sync", "--yes"],
            &["heph", "verify", "--repair"],
            &["heph", "doc", "edit", "1a2b", "--base", "v"],
            &["heph", "task", "x", "--do", "soon"],
            &["heph", "journal", "2026-12-24T18:00"],
            &["heph", "journal", "--append", "x", "--edit"],
        ] {
            assert!(Args::try_parse_from(words).is_err(), "{words:?} was accepted");
        }
    }
}
