//! Table `bars`: who is to be removed from a room, from the moment in which that is asked of the homeserver until it is done
//! or no longer wanted. What is said there meanwhile is kept back, also after a restart.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError, now};
use crate::bridge::input::BarRow;
use crate::ids::{NetworkId, RoomId, UserId};

const SAVE: &str = "INSERT INTO bars (network, room, member, reason, since) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (network, room, member) DO UPDATE SET reason = excluded.reason";
const REMOVE: &str = "DELETE FROM bars WHERE network = $1 AND room = $2 AND member = $3";
const ALL: &str = "SELECT room, member, reason FROM bars WHERE network = $1 ORDER BY since, room, member";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers that somebody is to be removed; lazy. Handed over before what is said after it.
    pub async fn bar_save(&self, network: &NetworkId, row: &BarRow) -> Result<(), StoreError> {
        let (network, row) = (network.clone(), row.clone());
        self.writer.write_soon(Write::BarSave { network, row }).await
    }

    /// Forgets it; lazy.
    pub async fn bar_remove(
        &self,
        network: &NetworkId,
        room: &RoomId,
        user: &UserId,
    ) -> Result<(), StoreError> {
        let (network, room, user) = (network.clone(), room.clone(), user.clone());
        self.writer.write_soon(Write::BarRemove { network, room, user }).await
    }

    /// All of a network, the oldest first. A row whose ids are none is left out.
    pub async fn bars(&self, network: &NetworkId) -> Result<Vec<BarRow>, StoreError> {
        let mut bars = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let (room, user) = (RoomId::new(&row.text(0)?), UserId::new(&row.text(1)?));
            if let (Some(room), Some(user)) = (room, user) {
                bars.push(BarRow { room, user, reason: row.text(2)? });
            }
        }
        Ok(bars)
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &BarRow) -> Result<(), Fault> {
    let args = [
        Arg::Text(network.as_str()),
        Arg::Text(row.room.as_str()),
        Arg::Text(row.user.as_str()),
        Arg::Text(&row.reason),
        Arg::Int(i64::try_from(now().0).unwrap_or(i64::MAX)),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(
    conn: &mut Conn,
    network: &NetworkId,
    room: &RoomId,
    user: &UserId,
) -> Result<(), Fault> {
    let args = [network.as_str(), room.as_str(), user.as_str()].map(Arg::Text);
    conn.execute(REMOVE, &args).await.map(|_| ())
}
