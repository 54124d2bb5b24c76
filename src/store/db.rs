//! The two databases behind one face: connect, migrate, bind, run, read a row, and say whose fault it was.
//!
//! No table is known here. Text goes in and out through [`escape`], because PostgreSQL has no NUL in its
//! text type and a homeserver may send one in an id.

use std::borrow::Cow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgPool, PgPoolOptions, PgRow};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow,
    SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, Row as _};

use super::StoreError;

/// Longest wait for a connection or for one read.
const WAIT_MS_MAX: u64 = 10_000;
/// How long SQLite waits for another process that holds the file.
const BUSY_MS_MAX: u64 = 2_000;
/// Connections for reading.
const READERS_MAX: u32 = 4;

pub(super) static SQLITE_SCHEMA: Migrator = sqlx::migrate!("schema/sqlite");
pub(super) static POSTGRES_SCHEMA: Migrator = sqlx::migrate!("schema/postgres");

const BEGIN_SQLITE: &str = "BEGIN IMMEDIATE";
const BEGIN_POSTGRES: &str = "BEGIN";
const COMMIT: &str = "COMMIT";
const ROLLBACK: &str = "ROLLBACK";
const SAVEPOINT: &str = "SAVEPOINT one";
const SAVEPOINT_UNDO: &str = "ROLLBACK TO SAVEPOINT one";
const SAVEPOINT_END: &str = "RELEASE SAVEPOINT one";
const ENCODING_POSTGRES: &str = "SELECT current_setting('server_encoding')";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("BEGIN_SQLITE", BEGIN_SQLITE),
    ("BEGIN_POSTGRES", BEGIN_POSTGRES),
    ("COMMIT", COMMIT),
    ("ROLLBACK", ROLLBACK),
    ("SAVEPOINT", SAVEPOINT),
    ("SAVEPOINT_UNDO", SAVEPOINT_UNDO),
    ("SAVEPOINT_END", SAVEPOINT_END),
    ("ENCODING_POSTGRES", ENCODING_POSTGRES),
];

/// A query with its arguments, for either database.
macro_rules! bound {
    ($sql:expr, $args:expr) => {{
        let mut query = sqlx::query($sql);
        for arg in $args {
            query = match arg {
                Arg::Int(number) => query.bind(*number),
                Arg::Text(text) => query.bind(escape(text)),
                Arg::MaybeText(text) => query.bind(text.map(escape)),
                Arg::MaybeBytes(bytes) => query.bind(*bytes),
            };
        }
        query
    }};
}

/// Where the database is.
#[derive(Clone)]
pub(super) enum Source {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

/// The readers.
pub(super) enum Db {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The writer's connection.
pub(super) enum Conn {
    Sqlite(Box<SqliteConnection>),
    Postgres(Box<PgConnection>),
}

/// One value for a `$N`.
pub(super) enum Arg<'a> {
    Int(i64),
    Text(&'a str),
    MaybeText(Option<&'a str>),
    MaybeBytes(Option<&'a [u8]>),
}

/// One row of an answer.
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

/// Whose fault it was.
#[derive(Debug)]
pub(super) enum Fault {
    /// This change cannot be stored, now or later.
    Change(String),
    /// The database (file, disk, server, network) failed; the same change may pass later.
    Database(String),
}

impl Source {
    /// Reads the URL. An error never repeats it: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            let options = PgConnectOptions::from_str(url).map_err(|error| bad_url(&error))?;
            return Ok(Self::Postgres(options.application_name("bunraku").disable_statement_logging()));
        }
        if !url.starts_with("sqlite:") {
            return Err(StoreError::BadUrl("it must start with sqlite: or postgres://".to_owned()));
        }
        if url.contains(":memory:") || url.contains("mode=memory") {
            return Err(StoreError::BadUrl("a database in memory would not outlive a restart".to_owned()));
        }
        let options = SqliteConnectOptions::from_str(url).map_err(|error| bad_url(&error))?;
        let options = options
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // In pages: how long the log stays, see `wal.rs`. A checkpoint holds up the commit that starts it,
            // one in some hundred.
            .pragma("wal_autocheckpoint", "1000")
            .busy_timeout(Duration::from_millis(BUSY_MS_MAX))
            .foreign_keys(true)
            .disable_statement_logging();
        Ok(Self::Sqlite(options))
    }

    /// One new connection, within 10 seconds.
    pub(super) async fn connect(&self) -> Result<Conn, sqlx::Error> {
        let dial = async {
            match self {
                Self::Sqlite(options) => {
                    SqliteConnection::connect_with(options).await.map(|conn| Conn::Sqlite(Box::new(conn)))
                }
                Self::Postgres(options) => {
                    PgConnection::connect_with(options).await.map(|conn| Conn::Postgres(Box::new(conn)))
                }
            }
        };
        within(dial).await
    }

    /// What an error at opening means to the operator.
    pub(super) fn open_error(&self, error: sqlx::Error) -> StoreError {
        match self {
            Self::Sqlite(options) => sqlite_open_error(options, &error),
            Self::Postgres(options) => postgres_open_error(options, &error),
        }
    }

    fn migrate_error(&self, error: MigrateError) -> StoreError {
        let schema = match self {
            Self::Sqlite(_) => &SQLITE_SCHEMA,
            Self::Postgres(_) => &POSTGRES_SCHEMA,
        };
        let known = schema.iter().map(|step| step.version).max().unwrap_or_default();
        match error {
            MigrateError::VersionMissing(found) if found > known => StoreError::Newer { found, known },
            MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => self.open_error(error),
            error => StoreError::Unusable(error.to_string()),
        }
    }
}

impl Db {
    /// Opens the readers and brings the schema up to date.
    pub(super) async fn open(source: &Source) -> Result<Self, StoreError> {
        let wait = Duration::from_millis(WAIT_MS_MAX);
        match source {
            Source::Sqlite(options) => {
                writable(options.get_filename())?;
                let pool = SqlitePoolOptions::new().max_connections(READERS_MAX).acquire_timeout(wait);
                let opening = pool.connect_with(options.clone()).await;
                let pool = opening.map_err(|error| source.open_error(error))?;
                SQLITE_SCHEMA.run(&pool).await.map_err(|error| source.migrate_error(error))?;
                Ok(Self::Sqlite(pool))
            }
            Source::Postgres(options) => {
                // A pool would repeat a refused connection until its time is up; ask once, plainly.
                let probe = within(PgConnection::connect_with(options)).await;
                probe.map_err(|error| source.open_error(error))?.close().await.ok();
                let pool = PgPoolOptions::new().max_connections(READERS_MAX).acquire_timeout(wait);
                let opening = pool.connect_with(options.clone()).await;
                let pool = opening.map_err(|error| source.open_error(error))?;
                let db = Self::Postgres(pool.clone());
                db.require_utf8().await?;
                POSTGRES_SCHEMA.run(&pool).await.map_err(|error| source.migrate_error(error))?;
                Ok(db)
            }
        }
    }

    /// Runs one statement that need not keep its place among changes, within 10 seconds.
    pub(super) async fn fetch(&self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, Fault> {
        let rows = async {
            match self {
                Self::Sqlite(pool) => bound!(sql, args)
                    .fetch_all(pool)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
                Self::Postgres(pool) => bound!(sql, args)
                    .fetch_all(pool)
                    .await
                    .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
            }
        };
        within(rows).await.map_err(Fault::from)
    }

    pub(super) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    pub(super) async fn close(&self) {
        match self {
            Self::Sqlite(pool) => pool.close().await,
            Self::Postgres(pool) => pool.close().await,
        }
    }

    async fn require_utf8(&self) -> Result<(), StoreError> {
        let rows = self.fetch(ENCODING_POSTGRES, &[]).await?;
        let encoding = rows.first().map_or(Ok(String::new()), |row| row.text(0))?;
        if encoding == "UTF8" {
            return Ok(());
        }
        Err(StoreError::Unusable(format!("its encoding is {encoding}, it must be UTF8")))
    }
}

impl Conn {
    pub(super) async fn begin(&mut self) -> Result<(), Fault> {
        let sql = match self {
            Self::Sqlite(_) => BEGIN_SQLITE,
            Self::Postgres(_) => BEGIN_POSTGRES,
        };
        self.execute(sql, &[]).await.map(|_| ())
    }

    pub(super) async fn commit(&mut self) -> Result<(), Fault> {
        self.execute(COMMIT, &[]).await.map(|_| ())
    }

    pub(super) async fn rollback(&mut self) -> Result<(), Fault> {
        self.execute(ROLLBACK, &[]).await.map(|_| ())
    }

    pub(super) async fn savepoint(&mut self) -> Result<(), Fault> {
        self.execute(SAVEPOINT, &[]).await.map(|_| ())
    }

    /// Takes back what was done since the savepoint, and forgets it.
    pub(super) async fn undo_savepoint(&mut self) -> Result<(), Fault> {
        self.execute(SAVEPOINT_UNDO, &[]).await?;
        self.end_savepoint().await
    }

    pub(super) async fn end_savepoint(&mut self) -> Result<(), Fault> {
        self.execute(SAVEPOINT_END, &[]).await.map(|_| ())
    }

    /// Runs one statement; the number of rows it changed.
    pub(super) async fn execute(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<u64, Fault> {
        match self {
            Self::Sqlite(conn) => {
                bound!(sql, args).execute(&mut **conn).await.map(|done| done.rows_affected())
            }
            Self::Postgres(conn) => {
                bound!(sql, args).execute(&mut **conn).await.map(|done| done.rows_affected())
            }
        }
        .map_err(Fault::from)
    }

    /// Runs one statement; the rows it gives.
    pub(super) async fn fetch(&mut self, sql: &'static str, args: &[Arg<'_>]) -> Result<Vec<Row>, Fault> {
        match self {
            Self::Sqlite(conn) => bound!(sql, args)
                .fetch_all(&mut **conn)
                .await
                .map(|rows| rows.into_iter().map(Row::Sqlite).collect()),
            Self::Postgres(conn) => bound!(sql, args)
                .fetch_all(&mut **conn)
                .await
                .map(|rows| rows.into_iter().map(Row::Postgres).collect()),
        }
        .map_err(Fault::from)
    }

    /// The text for this database.
    pub(super) fn choose(&self, sqlite: &'static str, postgres: &'static str) -> &'static str {
        match self {
            Self::Sqlite(_) => sqlite,
            Self::Postgres(_) => postgres,
        }
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        match self {
            Self::Sqlite(conn) => conn.close().await,
            Self::Postgres(conn) => conn.close().await,
        }
    }
}

impl Row {
    pub(super) fn int(&self, column: usize) -> Result<i64, Fault> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(Fault::from)
    }

    pub(super) fn maybe_int(&self, column: usize) -> Result<Option<i64>, Fault> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(Fault::from)
    }

    pub(super) fn text(&self, column: usize) -> Result<String, Fault> {
        self.maybe_text(column).map(Option::unwrap_or_default)
    }

    pub(super) fn maybe_text(&self, column: usize) -> Result<Option<String>, Fault> {
        let stored: Result<Option<String>, _> = match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        };
        stored.map(|text| text.map(unescape)).map_err(Fault::from)
    }

    pub(super) fn maybe_bytes(&self, column: usize) -> Result<Option<Vec<u8>>, Fault> {
        match self {
            Self::Sqlite(row) => row.try_get(column),
            Self::Postgres(row) => row.try_get(column),
        }
        .map_err(Fault::from)
    }
}

impl From<sqlx::Error> for Fault {
    /// What the database says about a statement is about the change, unless it is known to be about the
    /// database itself: one change that can never pass must not stop the others for ever.
    fn from(error: sqlx::Error) -> Self {
        let blamed = match &error {
            sqlx::Error::Encode(_) | sqlx::Error::ColumnDecode { .. } => true,
            sqlx::Error::Database(refusal) => match refusal.try_downcast_ref::<PgDatabaseError>() {
                Some(refusal) => !postgres_failed(refusal.code()),
                None => !sqlite_failed(&refusal.code().unwrap_or_default()),
            },
            _ => false,
        };
        if blamed { Self::Change(error.to_string()) } else { Self::Database(error.to_string()) }
    }
}

/// BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CORRUPT, FULL, CANTOPEN, PROTOCOL, AUTH, NOTADB: the low
/// byte of the extended code (sqlite.org/rescode.html).
fn sqlite_failed(code: &str) -> bool {
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5..=11 | 13..=15 | 23 | 26))
}

/// Connection, transaction state, login, rollback, resources, state of an object, operator, system, internal,
/// and a missing privilege (PostgreSQL manual, appendix A).
fn postgres_failed(code: &str) -> bool {
    let classes = ["08", "25", "28", "3D", "40", "53", "55", "57", "58", "XX"];
    code == "42501" || classes.iter().any(|class| code.starts_with(class))
}

/// NUL is not text to PostgreSQL. It becomes U+0001 `0`, and U+0001 becomes U+0001 `1`.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if memchr::memchr2(0, 1, text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    Cow::Owned(text.replace('\u{1}', "\u{1}1").replace('\0', "\u{1}0"))
}

fn unescape(text: String) -> String {
    if memchr::memchr(1, text.as_bytes()).is_none() {
        return text;
    }
    text.replace("\u{1}0", "\0").replace("\u{1}1", "\u{1}")
}

async fn within<T>(work: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, sqlx::Error> {
    let limit = Duration::from_millis(WAIT_MS_MAX);
    tokio::time::timeout(limit, work).await.unwrap_or(Err(sqlx::Error::PoolTimedOut))
}

fn bad_url(error: &sqlx::Error) -> StoreError {
    let why = match error {
        sqlx::Error::Configuration(why) => why.to_string(),
        _ => "it cannot be read".to_owned(),
    };
    StoreError::BadUrl(why)
}

/// Asks the file system for the right to write, because SQLite's own words name neither file nor cause. A
/// new file is for its owner only: people's messages will be in it.
fn writable(path: &Path) -> Result<(), StoreError> {
    let mut options = std::fs::OpenOptions::new();
    let opened = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let why = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "its folder does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        std::io::ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    };
    opened
        .map(|_| ())
        .map_err(|error| StoreError::NotWritable { path: path.display().to_string(), why: why(error) })
}

fn sqlite_open_error(options: &SqliteConnectOptions, error: &sqlx::Error) -> StoreError {
    let path = options.get_filename().display().to_string();
    let code = error.as_database_error().and_then(|refusal| refusal.code()?.parse::<u32>().ok());
    match code.map(|code| code & 0xff) {
        Some(8) => StoreError::NotWritable { path, why: "it is read-only".to_owned() },
        Some(10 | 13 | 14) => StoreError::NotWritable { path, why: error.to_string() },
        Some(26) => StoreError::Unusable(format!("{path} is not an SQLite database")),
        Some(5 | 6) => StoreError::Unusable(format!("{path} is in use by another process")),
        _ => StoreError::Unusable(format!("{path}: {error}")),
    }
}

fn postgres_open_error(options: &PgConnectOptions, error: &sqlx::Error) -> StoreError {
    let address = format!("{}:{}", options.get_host(), options.get_port());
    match error {
        sqlx::Error::Io(io) => StoreError::Unreachable { address, why: io.to_string() },
        sqlx::Error::PoolTimedOut => StoreError::Unreachable { address, why: "no answer in time".to_owned() },
        sqlx::Error::Tls(why) => StoreError::Unreachable { address, why: format!("TLS: {why}") },
        sqlx::Error::Database(refusal) => {
            let code = refusal.code().unwrap_or_default();
            let why = refusal.message().to_owned();
            if code.starts_with("28") {
                return StoreError::LoginRefused { address, user: options.get_username().to_owned(), why };
            }
            StoreError::Unusable(why)
        }
        error => StoreError::Unusable(error.to_string()),
    }
}
