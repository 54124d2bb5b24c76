//! Table `networks`: what must be known about an IRC network before its first connection.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::ids::NetworkId;

const CASEMAP_SAVE: &str = "INSERT INTO networks (network, casemap) VALUES ($1, $2) \
    ON CONFLICT (network) DO UPDATE SET casemap = excluded.casemap";
const CASEMAP: &str = "SELECT casemap FROM networks WHERE network = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("CASEMAP_SAVE", CASEMAP_SAVE), ("CASEMAP", CASEMAP)];

impl Store {
    /// Remembers a network's case mapping by its ISUPPORT name; lazy.
    pub async fn casemap_save(&self, network: &NetworkId, name: &str) -> Result<(), StoreError> {
        let write = Write::CaseMapSave { network: network.clone(), name: name.to_owned() };
        self.writer.write_soon(write).await
    }

    /// The case mapping last seen there, if any was.
    pub async fn casemap(&self, network: &NetworkId) -> Result<Option<String>, StoreError> {
        let rows = self.read(CASEMAP, &[Arg::Text(network.as_str())]).await?;
        rows.first().map(|row| row.text(0)).transpose().map_err(StoreError::from)
    }
}

pub(super) async fn casemap_save(conn: &mut Conn, network: &NetworkId, name: &str) -> Result<(), Fault> {
    conn.execute(CASEMAP_SAVE, &[Arg::Text(network.as_str()), Arg::Text(name)]).await.map(|_| ())
}
