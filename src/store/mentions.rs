//! Table `mentions_off`: whose nick is not to become a mention of them on a network.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::ids::{NetworkId, UserId};

const ADD: &str =
    "INSERT INTO mentions_off (network, mxid) VALUES ($1, $2) ON CONFLICT (network, mxid) DO NOTHING";
const REMOVE: &str = "DELETE FROM mentions_off WHERE network = $1 AND mxid = $2";
const ALL: &str = "SELECT mxid FROM mentions_off WHERE network = $1 ORDER BY mxid";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("ADD", ADD), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers that somebody's nick is not to become a mention of them; lazy.
    pub async fn mentions_off(&self, network: &NetworkId, user: &UserId) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::MentionsOff { network, user }).await
    }

    /// Forgets it; lazy.
    pub async fn mentions_on(&self, network: &NetworkId, user: &UserId) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::MentionsOn { network, user }).await
    }

    /// Those of a network who want none. A row whose user id is none is left out.
    pub async fn unmentioned(&self, network: &NetworkId) -> Result<Vec<UserId>, StoreError> {
        let mut users = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            users.extend(UserId::new(&row.text(0)?));
        }
        Ok(users)
    }
}

pub(super) async fn off(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<(), Fault> {
    conn.execute(ADD, &[network.as_str(), user.as_str()].map(Arg::Text)).await.map(|_| ())
}

pub(super) async fn on(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[network.as_str(), user.as_str()].map(Arg::Text)).await.map(|_| ())
}
