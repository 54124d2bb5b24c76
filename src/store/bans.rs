//! Table `bans`: by which mask a ghost that is banned in a room is banned in its channel, so that who lifts the one lifts the
//! other, also after a restart.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::input::BanRow;
use crate::ids::{NetworkId, RoomId, UserId};

const SAVE: &str = "INSERT INTO bans (network, room, ghost, mask) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (room, ghost) DO UPDATE SET network = excluded.network, mask = excluded.mask";
const REMOVE: &str = "DELETE FROM bans WHERE room = $1 AND ghost = $2";
const MOVE: &str = "INSERT INTO bans (network, room, ghost, mask) SELECT network, $2, ghost, mask FROM bans WHERE room = $1 \
    ON CONFLICT (room, ghost) DO NOTHING";
const REMOVE_ROOM: &str = "DELETE FROM bans WHERE room = $1";
const ALL: &str = "SELECT room, ghost, mask FROM bans WHERE network = $1 ORDER BY room, ghost";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("REMOVE", REMOVE), ("MOVE", MOVE), ("REMOVE_ROOM", REMOVE_ROOM), ("ALL", ALL)];

impl Store {
    /// Remembers a ban in place of an older one of the same ghost; lazy.
    pub async fn ban_save(&self, network: &NetworkId, row: &BanRow) -> Result<(), StoreError> {
        let (network, row) = (network.clone(), row.clone());
        self.writer.write_soon(Write::BanSave { network, row }).await
    }

    /// Forgets a ban; lazy.
    pub async fn ban_remove(&self, room: &RoomId, ghost: &UserId) -> Result<(), StoreError> {
        let (room, ghost) = (room.clone(), ghost.clone());
        self.writer.write_soon(Write::BanRemove { room, ghost }).await
    }

    /// The bans of a network. A row whose ids are none is left out.
    pub async fn bans(&self, network: &NetworkId) -> Result<Vec<BanRow>, StoreError> {
        let mut bans = Vec::new();
        for row in self.read(ALL, &[Arg::Text(network.as_str())]).await? {
            let (room, ghost) = (RoomId::new(&row.text(0)?), UserId::new(&row.text(1)?));
            if let (Some(room), Some(ghost)) = (room, ghost) {
                bans.push(BanRow { room, ghost, mask: row.text(2)? });
            }
        }
        Ok(bans)
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &BanRow) -> Result<(), Fault> {
    let args = [
        Arg::Text(network.as_str()),
        Arg::Text(row.room.as_str()),
        Arg::Text(row.ghost.as_str()),
        Arg::Text(&row.mask),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, room: &RoomId, ghost: &UserId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[Arg::Text(room.as_str()), Arg::Text(ghost.as_str())]).await.map(|_| ())
}

/// The bans of a room are its successor's, but for those that it has already.
pub(super) async fn move_room(conn: &mut Conn, from: &RoomId, to: &RoomId) -> Result<(), Fault> {
    conn.execute(MOVE, &[Arg::Text(from.as_str()), Arg::Text(to.as_str())]).await?;
    conn.execute(REMOVE_ROOM, &[Arg::Text(from.as_str())]).await.map(|_| ())
}
