//! The words of a search index, place by place, so that what is indexed can be compared with what ought to be.

use crate::error::Result;
use rusqlite::{Connection, Row};
use std::hash::{DefaultHasher, Hash, Hasher};

/// Makes the words of a connection's search index readable.
pub fn open(db: &Connection) -> Result<()> {
    let sql = "CREATE VIRTUAL TABLE IF NOT EXISTS temp.vocabulary USING fts5vocab(main, search, instance)";
    Ok(db.execute_batch(sql)?)
}

/// An empty search index in memory that is made like that of `db`.
pub fn like(db: &Connection) -> Result<Connection> {
    let sql: String = db.query_row("SELECT sql FROM sqlite_schema WHERE name = 'search'", [], |row| row.get(0))?;
    let memory = Connection::open_in_memory()?;
    memory.execute_batch(&sql)?;
    open(&memory)?;
    Ok(memory)
}

/// Empties an index in memory.
pub fn clear(memory: &Connection) -> Result<()> {
    memory.execute("INSERT INTO search (search) VALUES ('delete-all')", [])?;
    Ok(())
}

/// Tells, from the word `from` on, where each word stands: the row, and a number that stands for word, column and
/// place. After `most` of them it ends before the next other word, and returns that.
pub fn each(
    db: &Connection,
    from: &[u8],
    most: usize,
    mut each: impl FnMut(i64, u64) -> Result<()>,
) -> Result<Option<Vec<u8>>> {
    let sql = "SELECT term, doc, col, offset FROM temp.vocabulary WHERE term >= CAST(?1 AS TEXT)";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([from])?;
    let (mut seen, mut last) = (0, Vec::new());
    while let Some(row) = rows.next()? {
        let word = bytes(row, 0)?;
        if word != last {
            if seen >= most {
                return Ok(Some(word.to_owned()));
            }
            word.clone_into(&mut last);
        }
        let mut hash = DefaultHasher::new();
        (word, bytes(row, 2)?, row.get::<_, i64>(3)?).hash(&mut hash);
        each(row.get(1)?, hash.finish())?;
        seen += 1;
    }
    Ok(None)
}

/// A long word is cut after so many bytes that the last character may be half of one.
fn bytes<'row>(row: &'row Row<'_>, column: usize) -> rusqlite::Result<&'row [u8]> {
    Ok(row.get_ref(column)?.as_bytes()?)
}
