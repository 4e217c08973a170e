//! Texts: context documents, docs, journals.

use clap::{Args as ClapArgs, Subcommand};

use super::{Id, Note};
use crate::dates;

/// A whole text, and the version that its author read.
#[derive(Debug, ClapArgs)]
pub struct WholeText {
    /// The whole text; - reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// The version that the text was made from, as --json shows it; what arrived since then is kept
    #[arg(long, value_name = "VERSION", requires = "body")]
    pub base: Option<String>,
}

#[derive(Debug, ClapArgs)]
pub struct Context {
    /// Which task
    pub id: String,
    /// Append a paragraph; - reads it from standard input
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["edit", "body"], allow_hyphen_values = true)]
    pub append: Option<String>,
    /// Edit it in $VISUAL or $EDITOR
    #[arg(long, conflicts_with = "body")]
    pub edit: bool,
    #[command(flatten)]
    pub text: WholeText,
}

#[derive(Debug, Subcommand)]
pub enum Doc {
    /// Make a doc
    New(NewDoc),
    /// Print the text of a doc
    Show(Id),
    /// Edit a doc in $VISUAL or $EDITOR, or write its whole text
    Edit(EditDoc),
    /// Append a paragraph to a doc
    Append(Note),
    /// List docs
    List(ListDocs),
}

#[derive(Debug, ClapArgs)]
pub struct NewDoc {
    /// Its title
    #[arg(required = true)]
    pub title: Vec<String>,
    /// Its text; - reads it from standard input
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub body: Option<String>,
    /// Write its text in $VISUAL or $EDITOR
    #[arg(long, conflicts_with = "body")]
    pub editor: bool,
    /// A project's name or id; a new name makes one
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// A tag; may be given several times
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
}

#[derive(Debug, ClapArgs)]
pub struct EditDoc {
    /// Which doc
    pub id: String,
    #[command(flatten)]
    pub text: WholeText,
}

#[derive(Debug, ClapArgs)]
pub struct ListDocs {
    /// Only of this project
    #[arg(long, value_name = "PROJECT")]
    pub project: Option<String>,
    /// Only with this tag
    #[arg(long, value_name = "TAG")]
    pub tag: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: Option<u32>,
}

#[derive(Debug, ClapArgs)]
pub struct Journal {
    /// Which day: YYYY-MM-DD, today, yesterday, tomorrow
    #[arg(value_name = "DATE", value_parser = dates::parse_day)]
    pub date: Option<String>,
    /// Append a paragraph; - reads it from standard input
    #[arg(long, value_name = "TEXT", conflicts_with_all = ["edit", "body"], allow_hyphen_values = true)]
    pub append: Option<String>,
    /// Edit it in $VISUAL or $EDITOR
    #[arg(long, conflicts_with = "body")]
    pub edit: bool,
    #[command(flatten)]
    pub text: WholeText,
}
