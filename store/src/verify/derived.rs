//! Compares what is made from states and texts with them: the columns of lists, tags, names, links; and what is noted
//! of ops with the log.

use super::report::{Found, Part};
use crate::columns::{columns, names};
use crate::error::Result;
use crate::flush::tags;
use crate::links;
use crate::merge::NodeState;
use crate::sqlite::check::{self, Table};
use crate::sqlite::state::{Columns, NodeRow};
use crate::sqlite::{derived, state};
use crate::writer::unpack;
use rusqlite::Connection;
use std::collections::BTreeSet;

/// What the nodes met so far make.
#[derive(Default)]
pub(super) struct Expected {
    tags: i64,
}

impl Expected {
    /// Compares what a node's own state and text make with what is stored of it.
    pub fn check_node(&mut self, db: &Connection, row: &NodeRow, state: &NodeState, found: &mut Found) -> Result<()> {
        let node = row.node;
        // A node that ops without effect name has a row without a state, and no list shows it.
        let bare = || Columns { hidden: true, ..Columns::default() };
        let shown = if row.state.is_empty() { bare() } else { columns(state) };
        if !check::columns_are(db, node, &shown)? {
            found.problem(Part::Index, format!("what lists show of node {node} is not what its state says"));
        }
        let carried = tags(state);
        self.tags += carried.len() as i64;
        for tag in carried {
            if !check::is_tagged(db, tag, row.id)? {
                found.problem(Part::Index, format!("lists by tag lack node {node}, which carries {tag}"));
            }
        }
        let text = state::text(db, row.id, state.generation())?.unwrap_or_default();
        let reading = if text.is_empty() { links::Reading::default() } else { links::read(&text) };
        if derived::names_of(db, row.id)? != names(state, &reading) {
            found.problem(Part::Index, format!("the names of node {node} are not what its title and text say"));
        }
        let targets = reading.links.iter().filter(|link| !link.target.is_empty());
        let targets: BTreeSet<String> = targets.map(|link| links::key(&link.target)).collect();
        if check::links_of(db, row.id)? != targets {
            found.problem(Part::Index, format!("the links of node {node} are not what its text says"));
        }
        Ok(())
    }

    /// Finds what stands there of no node, and tags that no node carries.
    pub fn check_strays(&self, db: &Connection, found: &mut Found) -> Result<()> {
        for (table, rows) in check::strays(db)? {
            if rows > 0 {
                found.problem(Part::Index, format!("{rows} rows of the table {table} are of no node"));
            }
        }
        if check::count(db, "tagged")? > self.tags {
            check::each_tag(db, |tag, row| {
                if !tags(&unpack(&row.state)?).contains(&tag) {
                    let node = row.node;
                    found.problem(Part::Index, format!("lists by tag have node {node}, which does not carry {tag}"));
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}

/// Compares how many rows the tables have that follow from the log.
pub(super) fn compare_counts(db: &Connection, derived: &Connection, found: &mut Found) -> Result<()> {
    for ((table, stored), (_, again)) in check::counts(db)?.into_iter().zip(check::counts(derived)?) {
        if stored != again {
            let words = format!("the table {table} has {stored} rows, and the log makes {again}");
            found.problem(part_of(table), words);
        }
    }
    Ok(())
}

/// Compares the rows of what is noted of ops; positions are the same in both.
pub(super) fn compare_rows(db: &Connection, derived: &Connection, found: &mut Found) -> Result<()> {
    for Table { name, sql } in check::NOTED {
        if !check::rows_are_equal(db, derived, sql)? {
            found.problem(part_of(name), format!("the table {name} is not what the log says"));
        }
    }
    Ok(())
}

fn part_of(table: &str) -> Part {
    match table {
        "origin" | "chain" => Part::Log,
        "tagged" | "name" | "link" | "search" => Part::Index,
        "body" => Part::Texts,
        _ => Part::State,
    }
}
