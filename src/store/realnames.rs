//! Table `realnames`: the realname that somebody chose on a network, so that they have it after a restart too.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::ids::{NetworkId, UserId};

const SAVE: &str = "INSERT INTO realnames (network, mxid, realname) VALUES ($1, $2, $3) \
    ON CONFLICT (network, mxid) DO UPDATE SET realname = excluded.realname";
const REMOVE: &str = "DELETE FROM realnames WHERE network = $1 AND mxid = $2";
const ALL: &str = "SELECT mxid, realname FROM realnames WHERE network = $1 ORDER BY mxid";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers a realname in place of an older one of the same user, or forgets it; lazy.
    pub async fn realname_save(
        &self,
        network: &NetworkId,
        user: &UserId,
        realname: Option<String>,
    ) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::RealnameSave { network, user, realname }).await
    }

    /// The realnames of a network. A row whose user id is none is left out.
    pub async fn realnames(&self, network: &NetworkId) -> Result<Vec<(UserId, String)>, StoreError> {
        let mut realnames = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let user = UserId::new(&row.text(0)?);
            realnames.extend(user.zip(Some(row.text(1)?)));
        }
        Ok(realnames)
    }
}

pub(super) async fn save(
    conn: &mut Conn,
    [network, user]: [&str; 2],
    realname: Option<&str>,
) -> Result<(), Fault> {
    let done = match realname {
        Some(realname) => conn.execute(SAVE, &[network, user, realname].map(Arg::Text)).await,
        None => conn.execute(REMOVE, &[network, user].map(Arg::Text)).await,
    };
    done.map(|_| ())
}
