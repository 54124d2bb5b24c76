//! Table `members`: the Matrix people in portal rooms, as last seen. Ghosts are not in it.

use super::change::Write;
use super::db::{Arg, Conn, Fault};
use super::{Store, StoreError};
use crate::bridge::input::Member;
use crate::ids::{NetworkId, RoomId, UserId};

const SAVE: &str = "INSERT INTO members (room, member, display_name) VALUES ($1, $2, $3) \
    ON CONFLICT (room, member) DO UPDATE SET display_name = excluded.display_name";
const REMOVE: &str = "DELETE FROM members WHERE room = $1 AND member = $2";
const REMOVE_ROOM: &str = "DELETE FROM members WHERE room = $1";
const OF_NETWORK: &str = "SELECT members.room, members.member, members.display_name FROM members \
    JOIN portals ON portals.room = members.room WHERE portals.network = $1 UNION ALL \
    SELECT members.room, members.member, members.display_name FROM members \
    JOIN shared_portals ON shared_portals.room = members.room WHERE shared_portals.network = $1 ORDER BY 1, 2";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("REMOVE", REMOVE), ("REMOVE_ROOM", REMOVE_ROOM), ("OF_NETWORK", OF_NETWORK)];

impl Store {
    /// Somebody is in a room, under this name; lazy.
    pub async fn member_save(
        &self,
        room: &RoomId,
        user: &UserId,
        display_name: Option<&str>,
    ) -> Result<(), StoreError> {
        let display_name = display_name.map(str::to_owned);
        let write = Write::MemberSave { room: room.clone(), user: user.clone(), display_name };
        self.writer.write_soon(write).await
    }

    /// Somebody is no longer in a room; lazy.
    pub async fn member_remove(&self, room: &RoomId, user: &UserId) -> Result<(), StoreError> {
        self.writer.write_soon(Write::MemberRemove { room: room.clone(), user: user.clone() }).await
    }

    /// Who is in the rooms of a network's portals. Rooms where nobody is known are left out.
    pub async fn members(&self, network: &NetworkId) -> Result<Vec<(RoomId, Vec<Member>)>, StoreError> {
        let mut rooms: Vec<(RoomId, Vec<Member>)> = Vec::new();
        for row in self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await? {
            let (room, user) = (row.text(0)?, row.text(1)?);
            let (Some(room), Some(user)) = (RoomId::new(&room), UserId::new(&user)) else {
                tracing::warn!(room, user, "a member cannot be read, it is left alone");
                continue;
            };
            let member = Member { user, display_name: row.maybe_text(2)? };
            match rooms.last_mut() {
                Some((last, members)) if *last == room => members.push(member),
                Some(_) | None => rooms.push((room, vec![member])),
            }
        }
        Ok(rooms)
    }
}

pub(super) async fn save(
    conn: &mut Conn,
    room: &RoomId,
    user: &UserId,
    display_name: Option<&str>,
) -> Result<(), Fault> {
    let args = [Arg::Text(room.as_str()), Arg::Text(user.as_str()), Arg::MaybeText(display_name)];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, room: &RoomId, user: &UserId) -> Result<(), Fault> {
    conn.execute(REMOVE, &[Arg::Text(room.as_str()), Arg::Text(user.as_str())]).await.map(|_| ())
}

pub(super) async fn remove_room(conn: &mut Conn, room: &RoomId) -> Result<(), Fault> {
    conn.execute(REMOVE_ROOM, &[Arg::Text(room.as_str())]).await.map(|_| ())
}
