//! One module per noun: words become one request, its answer becomes lines.

mod conflicts;
mod deep_check;
mod doc;
mod journal;
mod node;
mod replica;
mod sync;
mod task;
mod text;
mod vault;

use crate::{
    args::{Command, List},
    demo,
    failure::Failure,
    surface::Surface,
};

/// Runs what was typed; without a command, lists what is to do.
pub fn run(surface: &Surface, command: Option<Command>) -> Result<(), Failure> {
    match command.unwrap_or_else(|| Command::List(List::default())) {
        Command::Task(args) => task::new(surface, args),
        Command::List(args) => task::list(surface, args),
        Command::Edit(args) => task::edit(surface, args),
        Command::Done(args) => task::done(surface, args),
        Command::Drop(args) => task::drop(surface, args),
        Command::Log(args) => task::log(surface, args),
        Command::Context(args) => task::context(surface, args),
        Command::Show(args) => node::show(surface, args),
        Command::Rm(args) => node::rm(surface, args),
        Command::Undelete(args) => node::undelete(surface, args),
        Command::Search(args) => node::search(surface, args),
        Command::Backlinks(args) => node::backlinks(surface, args),
        Command::History(args) => node::history(surface, args),
        Command::Undo(args) => node::undo(surface, args),
        Command::Doc(args) => doc::run(surface, args),
        Command::Journal(args) => journal::run(surface, args),
        Command::Conflicts(args) => conflicts::run(surface, args),
        Command::Import(args) => vault::import(surface, args),
        Command::Export(args) => vault::export(surface, args),
        Command::Sync(args) => sync::run(surface, args),
        Command::Verify(args) if args.deep => deep_check::verify(surface, args.repair),
        Command::Verify(_) => replica::verify(surface),
        Command::Backup(args) => replica::backup(surface, args),
        Command::Devices => replica::devices(surface),
        Command::Version => replica::version(surface),
        Command::Demo(args) => demo::run(surface, args),
    }
}
