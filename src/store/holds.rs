//! Table `holds`: puppets that stay away from IRC until a person says otherwise, so that a restart does not
//! bring back who was banned.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::input::HoldRow;
use crate::ids::{NetworkId, Time, UserId};

const SAVE: &str = "INSERT INTO holds (network, mxid, ending, words, since) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (network, mxid) DO UPDATE SET ending = excluded.ending, words = excluded.words, \
    since = excluded.since";
const REMOVE: &str = "DELETE FROM holds WHERE network = $1 AND mxid = $2";
const RELEASE: &str = "DELETE FROM holds WHERE network = $1 AND mxid = $2 AND ending IN ($3, $4, $5)";
const ALL: &str = "SELECT mxid, ending, words, since FROM holds WHERE network = $1 ORDER BY mxid";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("REMOVE", REMOVE), ("RELEASE", RELEASE), ("ALL", ALL)];

impl Store {
    /// Remembers a hold in place of an older one of the same user; awaited, for a ban must not be forgotten.
    pub async fn hold_save(&self, network: &NetworkId, row: &HoldRow) -> Result<(), StoreError> {
        let write = Write::HoldSave { network: network.clone(), row: row.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets a user's hold; lazy.
    pub async fn hold_remove(&self, network: &NetworkId, user: &UserId) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::HoldRemove { network, user }).await
    }

    /// Who is kept away for a refused login may try the new one, or none. True where they were. Whatever else keeps them away by
    /// the time it is done goes on to.
    pub async fn release_for_login(&self, network: &NetworkId, user: &UserId) -> Result<bool, StoreError> {
        let refused = self.holds(network).await?.iter().any(|hold| hold.user == *user && hold.is_for_login());
        if refused {
            let (network, user) = (network.clone(), user.clone());
            self.writer.write_soon(Write::HoldRelease { network, user }).await?;
        }
        Ok(refused)
    }

    /// The holds of a network. A row whose user id is none is left out, with a warning.
    pub async fn holds(&self, network: &NetworkId) -> Result<Vec<HoldRow>, StoreError> {
        let mut holds = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let (user, ending, words) = (row.text(0)?, row.text(1)?, row.text(2)?);
            let since = Time(u64::try_from(row.int(3)?).unwrap_or_default());
            match UserId::new(&user) {
                Some(user) => holds.push(HoldRow { user, ending, words, since }),
                None => tracing::warn!(user, "a hold of somebody who cannot be is left out"),
            }
        }
        Ok(holds)
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &HoldRow) -> Result<(), Fault> {
    let since = i64::try_from(row.since.0).unwrap_or(i64::MAX);
    let args = [
        Arg::Text(network.as_str()),
        Arg::Text(row.user.as_str()),
        Arg::Text(&row.ending),
        Arg::Text(&row.words),
        Arg::Int(since),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[Arg::Text(network.as_str()), Arg::Text(user.as_str())]).await.map(|_| ())
}

pub(super) async fn release(conn: &mut Conn, network: &NetworkId, user: &UserId) -> Result<(), Fault> {
    let [login, no_way, wanted] = HoldRow::FOR_LOGIN;
    let args = [network.as_str(), user.as_str(), login, no_way, wanted].map(Arg::Text);
    conn.execute(RELEASE, &args).await.map(|_| ())
}
