//! Table `admin_rooms`: in which room somebody gives the bridge commands. One for each person; a newer one takes its place.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::ids::{RoomId, UserId};

const SAVE: &str = "INSERT INTO admin_rooms (person, room) VALUES ($1, $2) \
    ON CONFLICT (person) DO UPDATE SET room = excluded.room";
const REMOVE: &str = "DELETE FROM admin_rooms WHERE person = $1 AND room = $2";
const ALL: &str = "SELECT person, room FROM admin_rooms ORDER BY person";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[("SAVE", SAVE), ("REMOVE", REMOVE), ("ALL", ALL)];

impl Store {
    /// Remembers somebody's admin room in place of the one before; lazy.
    pub async fn admin_room_save(&self, user: &UserId, room: &RoomId) -> Result<(), StoreError> {
        let (user, room) = (user.clone(), room.clone());
        self.writer.write_soon(Write::AdminRoomSave { user, room }).await
    }

    /// Forgets somebody's admin room, unless they have another one by now; lazy.
    pub async fn admin_room_remove(&self, user: &UserId, room: &RoomId) -> Result<(), StoreError> {
        let (user, room) = (user.clone(), room.clone());
        self.writer.write_soon(Write::AdminRoomRemove { user, room }).await
    }

    /// All admin rooms. A row whose ids are none is left out.
    pub async fn admin_rooms(&self) -> Result<Vec<(UserId, RoomId)>, StoreError> {
        let mut rooms = Vec::new();
        for row in self.read(ALL, &[]).await? {
            rooms.extend(UserId::new(&row.text(0)?).zip(RoomId::new(&row.text(1)?)));
        }
        Ok(rooms)
    }
}

pub(super) async fn save(conn: &mut Conn, user: &UserId, room: &RoomId) -> Result<(), Fault> {
    conn.execute(SAVE, &[Arg::Text(user.as_str()), Arg::Text(room.as_str())]).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, user: &UserId, room: &RoomId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[Arg::Text(user.as_str()), Arg::Text(room.as_str())]).await.map(|_| ())
}
