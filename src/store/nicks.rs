//! Table `nicks`: which nick somebody chose on a network, so that they have it after a restart too.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::effect::NickRow;
use crate::ids::{NetworkId, UserId};

const SAVE: &str = "INSERT INTO nicks (network, mxid, nick) VALUES ($1, $2, $3) \
    ON CONFLICT (network, mxid) DO UPDATE SET nick = excluded.nick";
const REMOVE: &str = "DELETE FROM nicks WHERE network = $1 AND mxid = $2";
const ALL: &str = "SELECT mxid, nick FROM nicks WHERE network = $1 ORDER BY mxid";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers a nick in place of an older one of the same user; lazy.
    pub async fn nick_save(&self, network: &NetworkId, row: &NickRow) -> Result<(), StoreError> {
        let (network, row) = (network.clone(), row.clone());
        self.writer.write_soon(Write::NickSave { network, row }).await
    }

    /// Forgets a user's nick; lazy. Nothing happens when there is none.
    pub async fn nick_remove(&self, network: &NetworkId, user: &UserId) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::NickRemove { network, user }).await
    }

    /// The nicks of a network. A row whose user id is none is left out.
    pub async fn nicks(&self, network: &NetworkId) -> Result<Vec<NickRow>, StoreError> {
        let mut nicks = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            if let Some(user) = UserId::new(&row.text(0)?) {
                nicks.push(NickRow { user, nick: row.text(1)? });
            }
        }
        Ok(nicks)
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &NickRow) -> Result<(), Fault> {
    let args = [network.as_str(), row.user.as_str(), &row.nick].map(Arg::Text);
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[network.as_str(), user.as_str()].map(Arg::Text)).await.map(|_| ())
}
