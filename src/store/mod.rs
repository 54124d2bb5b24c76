//! What must outlive the process: on SQLite (embedded, the default) or PostgreSQL.
//!
//! One file owns one table: its SQL, its rows, and the [`Store`] methods that touch it. Everything that
//! changes is listed in `change` and goes through the one task in `writer`, which commits a `batch` at a
//! time; everything that is read comes from a small pool, after what was written before it. The same SQL
//! text runs on both databases; where the two must differ, two constants end in `_SQLITE` and `_POSTGRES`.
//!
//! It never decides anything about chat, and no other adapter is known here.
//!
//! **A new column**: add `schema/sqlite/000N_what.sql` and `schema/postgres/000N_what.sql` with the next
//! number and an `ALTER TABLE … ADD COLUMN` with a default (migrations only add; a rename takes two
//! releases), and save `db.rs`, which embeds them, so that it is compiled again; then name the column in
//! the constants of the file that owns the table and in its row type. **A new table**: the same, and a new
//! file here whose `STATEMENTS` are named in the list below. The tests prepare every statement on both
//! databases and compare the embedded migrations with the folders.

mod admin_rooms;
mod bans;
mod bars;
mod batch;
mod change;
mod channel_keys;
mod db;
mod ghosts;
mod holds;
mod identities;
mod ignores;
mod inbox;
mod links;
mod logins;
mod members;
mod mentions;
mod meta;
mod networks;
mod nicks;
mod operators;
mod outbox;
mod policy_rules;
mod portals;
mod queries;
mod realnames;
mod sayings;
mod sealed;
mod sts;
mod successions;
mod tallies;
#[cfg(test)]
mod tests;
mod tombstones;
mod wal;
mod writer;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use prometheus_client::metrics::histogram::Histogram;

use crate::ids::{InboxSeq, Time};
use crate::vault::VaultError;
use change::Write;
use db::{Arg, Db, Fault, Row, Source};
pub use identities::{IdentOwner, StoredIdentity};
pub use inbox::{InboxCounts, InboxRow, NewEvent, copy_name};
pub use links::{LinkId, Linked};
pub use logins::{LoginSummary, StoredCertificate, StoredLogin};
pub use outbox::{DeadLetter, OutboxRow};
pub use policy_rules::{KeptRule, RulesChange};
pub use portals::{Naming, Pairing};
pub use sealed::Resealed;
pub use sts::StsPolicy;
pub use tallies::{Audit, Direction, Figure, GivenUp, Tally, Uncounted, Unsettled};
use writer::Writer;

/// How long [`Store::open`] may take; another process may be changing the schema.
const OPEN_MS_MAX: u64 = 30_000;
/// How long [`Store::close`] may take.
const CLOSE_MS_MAX: u64 = 10_000;

/// The door to the database; cheap to clone. Dropping all clones commits what was handed over and closes.
///
/// Two kinds of change exist. An *awaited* one is on disk when its method returns. A *lazy* one is handed
/// over: it is on disk with the next commit, at the latest 10 ms later while the database works. Changes of
/// one caller keep their order, and every read sees what its caller handed over before.
#[derive(Clone)]
pub struct Store {
    db: Arc<Db>,
    writer: Writer,
    /// The last inbox number of earlier runs.
    inherited: InboxSeq,
}

/// Why the store could not do something; each variant is one thing its caller can do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Correct the setting.
    #[error("the database URL is not usable: {0}")]
    BadUrl(String),
    /// Give the program the right to write there, or name another place.
    #[error("the database file {path} cannot be written: {why}")]
    NotWritable { path: String, why: String },
    /// Start the server, or correct its address.
    #[error("the database server at {address} cannot be reached: {why}")]
    Unreachable { address: String, why: String },
    /// Correct the user name or the password.
    #[error("the database server at {address} refused the user {user}: {why}")]
    LoginRefused { address: String, user: String, why: String },
    /// Start the newer program, or restore the older database.
    #[error(
        "the database was last used by a newer version of bunraku (schema {found}, this version knows up to {known})"
    )]
    Newer { found: i64, known: i64 },
    /// Look at the database: it is not what this program left behind.
    #[error("the database cannot be used: {0}")]
    Unusable(String),
    /// This one change cannot be stored; trying again does not help.
    #[error("the database refused this change: {0}")]
    Refused(String),
    /// A stored secret does not open. Look at the key file, or set the secret anew.
    #[error(transparent)]
    Sealed(#[from] VaultError),
    /// Nothing is known to be stored. Try again.
    #[error("the database does not answer now: {0}")]
    Unavailable(String),
    /// Changes were lost because the database failed for too long. Restart the program.
    #[error("the database failed for too long and the store has stopped; restart after repair: {0}")]
    Broken(String),
    /// The store was closed.
    #[error("the store is closed")]
    Closed,
}

impl Store {
    /// Opens `sqlite:PATH` (made if missing) or `postgres://…` and brings its schema up to date.
    ///
    /// Starts one task, the writer: the one exception to the rule that only `app` starts tasks, because a
    /// store without it is no store. It ends when the store is closed or its last clone is dropped.
    /// Needs a tokio runtime with time. Fails within 30 seconds, with one sentence.
    pub async fn open(url: &str) -> Result<Self, StoreError> {
        let source = Source::parse(url)?;
        let opening = async {
            let db = Db::open(&source).await?;
            let mut conn = source.connect().await.map_err(|error| source.open_error(error))?;
            let last = inbox::last(&mut conn).await?;
            Ok::<_, StoreError>((db, conn, last))
        };
        let late = || StoreError::Unavailable("opening took too long".to_owned());
        let limit = Duration::from_millis(OPEN_MS_MAX);
        let (db, conn, last) = tokio::time::timeout(limit, opening).await.map_err(|_| late())??;
        let (writer, task) = writer::new(source, conn, last);
        tokio::spawn(task);
        Ok(Self { db: Arc::new(db), writer, inherited: last })
    }

    /// How long commits took, in seconds; counted on.
    pub fn commit_seconds(&self) -> Histogram {
        self.writer.commit_seconds.clone()
    }

    /// Waits until everything handed over before is committed.
    pub async fn flush(&self) -> Result<(), StoreError> {
        self.writer.write(Write::Nothing).await.map(|_| ())
    }

    /// Commits everything handed over before and closes the database; at most 10 seconds. Later calls on
    /// any clone give [`StoreError::Closed`].
    pub async fn close(&self) -> Result<(), StoreError> {
        let closing = async {
            let result = self.writer.close().await;
            self.db.close().await;
            result
        };
        let late = || StoreError::Unavailable("closing took too long".to_owned());
        tokio::time::timeout(Duration::from_millis(CLOSE_MS_MAX), closing).await.map_err(|_| late())?
    }

    /// Runs one statement that changes nothing, after everything handed over before.
    async fn read(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, StoreError> {
        self.flush().await?;
        self.db.fetch(sql, args).await.map_err(StoreError::from)
    }
}

impl From<Fault> for StoreError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Change(why) => Self::Refused(why),
            Fault::Database(why) => Self::Unavailable(why),
        }
    }
}

/// Now, by the system's clock.
fn now() -> Time {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// Every statement of every table, for the test that prepares them all.
#[cfg(test)]
const STATEMENTS: &[&[(&str, &str)]] = &[
    db::STATEMENTS,
    inbox::STATEMENTS,
    outbox::STATEMENTS,
    portals::STATEMENTS,
    successions::STATEMENTS,
    queries::STATEMENTS,
    bans::STATEMENTS,
    admin_rooms::STATEMENTS,
    bars::STATEMENTS,
    tombstones::STATEMENTS,
    operators::STATEMENTS,
    policy_rules::STATEMENTS,
    sayings::STATEMENTS,
    members::STATEMENTS,
    ghosts::STATEMENTS,
    holds::STATEMENTS,
    networks::STATEMENTS,
    nicks::STATEMENTS,
    realnames::STATEMENTS,
    ignores::STATEMENTS,
    mentions::STATEMENTS,
    meta::STATEMENTS,
    identities::STATEMENTS,
    logins::STATEMENTS,
    channel_keys::STATEMENTS,
    links::STATEMENTS,
    sts::STATEMENTS,
    tallies::STATEMENTS,
    wal::STATEMENTS,
];
