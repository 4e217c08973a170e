//! Schema versions: each a numbered file in `migrations/`, applied in one transaction, never edited once released.

use crate::error::{Error, Result};
use rusqlite::Connection;
use std::path::Path;

/// "heph" in ASCII, in the file's header: tells a replica from any other SQLite file.
const APPLICATION_ID: i64 = 0x6865_7068;

const MIGRATIONS: &[&str] = &[include_str!("../../../migrations/0001_replica.sql")];

/// The newest schema that this program knows.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Refuses what is not a replica, or is one of a newer program. Changes nothing.
pub fn check(db: &Connection, path: &Path) -> Result<()> {
    let pragma = |name: &str| db.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    let application = pragma("application_id").map_err(|error| not_a_database(error, path))?;
    let version = pragma("user_version")?;
    let empty = db.query_row("SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema)", [], |row| row.get::<_, bool>(0))?;
    if empty && application == 0 && version == 0 {
        return Ok(());
    }
    if application != APPLICATION_ID {
        return Err(Error::NotAReplica { path: path.to_owned() });
    }
    if version > SCHEMA_VERSION {
        return Err(Error::FileTooNew { path: path.to_owned(), found: version, known: SCHEMA_VERSION });
    }
    Ok(())
}

fn not_a_database(error: rusqlite::Error, path: &Path) -> Error {
    match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => Error::NotADatabase { path: path.to_owned() },
        _ => error.into(),
    }
}

/// Applies the migrations that the file lacks, all in one transaction.
pub fn run(db: &mut Connection, path: &Path) -> Result<()> {
    let tx = db.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    check(&tx, path)?;
    let version: i64 = tx.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for migration in MIGRATIONS.iter().skip(usize::try_from(version).unwrap_or_default()) {
        tx.execute_batch(migration)?;
    }
    if version < SCHEMA_VERSION {
        tx.pragma_update(None, "application_id", APPLICATION_ID)?;
        tx.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    }
    tx.commit()?;
    Ok(())
}
