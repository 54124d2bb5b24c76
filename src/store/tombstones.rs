//! Table `tombstones`: rooms that say they are replaced, and could not be followed. They are looked at again at the next start;
//! why they were not followed is kept with them, so that nobody is told twice.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::input::{TombstoneRow, Unfit};
use crate::ids::{NetworkId, RoomId, UserId};

const SAVE: &str = "INSERT INTO tombstones (network, room, successor, sender, why) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (network, room) DO UPDATE SET successor = excluded.successor, sender = excluded.sender, \
    why = excluded.why";
const REMOVE: &str = "DELETE FROM tombstones WHERE network = $1 AND room = $2";
const ALL: &str = "SELECT room, successor, sender, why FROM tombstones WHERE network = $1 ORDER BY room";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers a tombstone in place of an earlier one of its room; lazy.
    pub async fn tombstone_save(&self, network: &NetworkId, row: &TombstoneRow) -> Result<(), StoreError> {
        let (network, row) = (network.clone(), row.clone());
        self.writer.write_soon(Write::TombstoneSave { network, row }).await
    }

    /// Forgets it; lazy.
    pub async fn tombstone_remove(&self, network: &NetworkId, room: &RoomId) -> Result<(), StoreError> {
        let (network, room) = (network.clone(), room.clone());
        self.writer.write_soon(Write::TombstoneRemove { network, room }).await
    }

    /// All of a network. A row that cannot be read is left out.
    pub async fn tombstones(&self, network: &NetworkId) -> Result<Vec<TombstoneRow>, StoreError> {
        let mut tombstones = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let (room, to) = (RoomId::new(&row.text(0)?), RoomId::new(&row.text(1)?));
            let (sender, why) = (UserId::new(&row.text(2)?), Unfit::read(&row.text(3)?));
            if let (Some(room), Some(to), Some(sender), Some(why)) = (room, to, sender, why) {
                tombstones.push(TombstoneRow { room, to, sender, why });
            }
        }
        Ok(tombstones)
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &TombstoneRow) -> Result<(), Fault> {
    let TombstoneRow { room, to, sender, why } = row;
    let args = [network.as_str(), room.as_str(), to.as_str(), sender.as_str(), why.name()].map(Arg::Text);
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, room: &RoomId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[network.as_str(), room.as_str()].map(Arg::Text)).await.map(|_| ())
}
