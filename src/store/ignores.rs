//! Table `ignores`: whom somebody ignores in private on a network, so that they do after a restart too.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::ids::{NetworkId, UserId};

const REMOVE: &str = "DELETE FROM ignores WHERE network = $1 AND mxid = $2";
const ADD: &str = "INSERT INTO ignores (network, mxid, mask) VALUES ($1, $2, $3)";
const ALL: &str = "SELECT mxid, mask FROM ignores WHERE network = $1 ORDER BY mxid, mask";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("REMOVE", REMOVE), ("ADD", ADD), ("ALL", ALL)];

impl Store {
    /// Remembers that somebody ignores these masks, each once, and no others; lazy.
    pub async fn ignores_save(
        &self,
        network: &NetworkId,
        user: &UserId,
        masks: Vec<String>,
    ) -> Result<(), StoreError> {
        let (network, user) = (network.clone(), user.clone());
        self.writer.write_soon(Write::IgnoresSave { network, user, masks }).await
    }

    /// Whom the people of a network ignore. A row whose user id is none is left out.
    pub async fn ignores(&self, network: &NetworkId) -> Result<Vec<(UserId, Vec<String>)>, StoreError> {
        let mut ignores: Vec<(UserId, Vec<String>)> = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let (Some(user), mask) = (UserId::new(&row.text(0)?), row.text(1)?) else { continue };
            match ignores.last_mut() {
                Some((last, masks)) if *last == user => masks.push(mask),
                Some(_) | None => ignores.push((user, vec![mask])),
            }
        }
        Ok(ignores)
    }
}

pub(super) async fn save(conn: &mut Conn, [network, user]: [&str; 2], masks: &[String]) -> Result<(), Fault> {
    conn.execute(REMOVE, &[network, user].map(Arg::Text)).await?;
    for mask in masks {
        conn.execute(ADD, &[network, user, mask].map(Arg::Text)).await?;
    }
    Ok(())
}
