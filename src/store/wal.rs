//! SQLite's write-ahead log, made long before anybody waits for it.
//!
//! A commit that makes the log's file longer waits for the file system's own journal as well; one that writes
//! over an older part of it does not. So the log is filled once, while the bridge starts, and begun again from
//! its front: from then on it stays at about that length (`wal_autocheckpoint`, in `db.rs`).

use super::db::Fault;
use super::{Store, StoreError};

/// A thousand pages, under a name that no fact has. Left over from a start that was cut short, it is replaced.
const FILL_SQLITE: &str = "INSERT INTO meta (name, value) VALUES ('filler', zeroblob(4096000)) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const CLEAR_SQLITE: &str = "DELETE FROM meta WHERE name = 'filler'";
const RESTART_SQLITE: &str = "PRAGMA wal_checkpoint(RESTART)";
/// What the connection that did this keeps of it in memory is of no use.
const SHRINK_SQLITE: &str = "PRAGMA shrink_memory";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("FILL_SQLITE", FILL_SQLITE),
    ("CLEAR_SQLITE", CLEAR_SQLITE),
    ("RESTART_SQLITE", RESTART_SQLITE),
    ("SHRINK_SQLITE", SHRINK_SQLITE),
];

impl Store {
    /// Makes the log as long as it will be: a quarter off the time of every commit that follows, for some
    /// hundredths of a second now. Nothing to do on PostgreSQL, which keeps its log that way itself.
    ///
    /// # Errors
    /// What the database says. Everything works without, a little slower.
    pub async fn lengthen_log(&self) -> Result<(), StoreError> {
        if !self.db.is_sqlite() {
            return Ok(());
        }
        self.flush().await?;
        self.fill_log().await.map_err(StoreError::from)
    }

    async fn fill_log(&self) -> Result<(), Fault> {
        for statement in [FILL_SQLITE, CLEAR_SQLITE, RESTART_SQLITE, SHRINK_SQLITE] {
            self.db.fetch(statement, &[]).await?;
        }
        Ok(())
    }
}
