//! Tables `ghosts` and `ghost_rooms`: which ghosts are registered, under which name, and where they are.
//! They warm a cache at the start; the homeserver knows better where the two differ.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::effect::Ghost;
use crate::ids::{RoomId, UserId};

const SAVE: &str = "INSERT INTO ghosts (ghost, display_name) VALUES ($1, $2) \
    ON CONFLICT (ghost) DO UPDATE SET display_name = excluded.display_name";
const ALL: &str = "SELECT ghost, display_name FROM ghosts ORDER BY ghost";
const JOINED: &str =
    "INSERT INTO ghost_rooms (room, ghost) VALUES ($1, $2) ON CONFLICT (room, ghost) DO NOTHING";
const LEFT: &str = "DELETE FROM ghost_rooms WHERE room = $1 AND ghost = $2";
const REMOVE_ROOM: &str = "DELETE FROM ghost_rooms WHERE room = $1";
const ALL_ROOMS: &str = "SELECT room, ghost FROM ghost_rooms ORDER BY room, ghost";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE", SAVE),
    ("ALL", ALL),
    ("JOINED", JOINED),
    ("LEFT", LEFT),
    ("REMOVE_ROOM", REMOVE_ROOM),
    ("ALL_ROOMS", ALL_ROOMS),
];

impl Store {
    /// A ghost is registered and has this display name; lazy.
    pub async fn ghost_save(&self, user: &UserId, display_name: &str) -> Result<(), StoreError> {
        let write = Write::GhostSave { user: user.clone(), display_name: display_name.to_owned() };
        self.writer.write_soon(write).await
    }

    /// A ghost is in a room; lazy.
    pub async fn ghost_joined(&self, room: &RoomId, user: &UserId) -> Result<(), StoreError> {
        self.writer.write_soon(Write::GhostJoined { room: room.clone(), user: user.clone() }).await
    }

    /// A ghost is no longer in a room; lazy.
    pub async fn ghost_left(&self, room: &RoomId, user: &UserId) -> Result<(), StoreError> {
        self.writer.write_soon(Write::GhostLeft { room: room.clone(), user: user.clone() }).await
    }

    /// All registered ghosts.
    pub async fn ghosts(&self) -> Result<Vec<Ghost>, StoreError> {
        let mut ghosts = Vec::new();
        for row in self.read(ALL, &[]).await? {
            let (user, display_name) = (row.text(0)?, row.text(1)?);
            match UserId::new(&user) {
                Some(user) => ghosts.push(Ghost { user, display_name }),
                None => tracing::warn!(user, "a ghost cannot be read, it is left alone"),
            }
        }
        Ok(ghosts)
    }

    /// Which ghost is in which room.
    pub async fn ghost_rooms(&self) -> Result<Vec<(RoomId, UserId)>, StoreError> {
        self.ghosts_in_rooms(ALL_ROOMS).await
    }

    /// Rooms and ghosts, as a statement has them in its first two columns.
    pub(super) async fn ghosts_in_rooms(
        &self,
        sql: &'static str,
    ) -> Result<Vec<(RoomId, UserId)>, StoreError> {
        let mut pairs = Vec::new();
        for row in self.read(sql, &[]).await? {
            let (room, user) = (row.text(0)?, row.text(1)?);
            match (RoomId::new(&room), UserId::new(&user)) {
                (Some(room), Some(user)) => pairs.push((room, user)),
                (None, Some(_)) | (Some(_), None) | (None, None) => {
                    tracing::warn!(room, user, "a ghost's room cannot be read, it is left alone");
                }
            }
        }
        Ok(pairs)
    }
}

pub(super) async fn save(conn: &mut Conn, user: &UserId, display_name: &str) -> Result<(), Fault> {
    conn.execute(SAVE, &[Arg::Text(user.as_str()), Arg::Text(display_name)]).await.map(|_| ())
}

pub(super) async fn joined(conn: &mut Conn, room: &RoomId, user: &UserId) -> Result<(), Fault> {
    conn.execute(JOINED, &[Arg::Text(room.as_str()), Arg::Text(user.as_str())]).await.map(|_| ())
}

pub(super) async fn left(conn: &mut Conn, room: &RoomId, user: &UserId) -> Result<(), Fault> {
    conn.execute(LEFT, &[Arg::Text(room.as_str()), Arg::Text(user.as_str())]).await.map(|_| ())
}

pub(super) async fn remove_room(conn: &mut Conn, room: &RoomId) -> Result<(), Fault> {
    conn.execute(REMOVE_ROOM, &[Arg::Text(room.as_str())]).await.map(|_| ())
}
