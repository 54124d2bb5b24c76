//! Table `meta`: single facts about this bridge, by name. For what fits no other table; never a secret.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};

const SET: &str = "INSERT INTO meta (name, value) VALUES ($1, $2) \
    ON CONFLICT (name) DO UPDATE SET value = excluded.value";
const GET: &str = "SELECT value FROM meta WHERE name = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SET", SET), ("GET", GET)];

impl Store {
    /// Remembers a fact; awaited.
    pub async fn meta_set(&self, name: &str, value: &str) -> Result<(), StoreError> {
        let write = Write::MetaSet { name: name.to_owned(), value: value.to_owned() };
        self.writer.write(write).await.map(|_| ())
    }

    /// The fact of that name, if there is one.
    pub async fn meta_get(&self, name: &str) -> Result<Option<String>, StoreError> {
        let rows = self.read(GET, &[Arg::Text(name)]).await?;
        rows.first().map(|row| row.text(0)).transpose().map_err(StoreError::from)
    }
}

pub(super) async fn set(conn: &mut Conn, name: &str, value: &str) -> Result<(), Fault> {
    conn.execute(SET, &[Arg::Text(name), Arg::Text(value)]).await.map(|_| ())
}
