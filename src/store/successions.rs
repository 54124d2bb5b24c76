//! Table `successions`: which room took the place of which. Kept for good: a mapped room is named by its first id in the
//! configuration, and a room that was replaced replaces none.

use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, bans, members, now, portals, tombstones};
use crate::bridge::input::{Member, PortalRow};
use crate::ids::{NetworkId, RoomId};

const SAVE: &str = "INSERT INTO successions (room, network, successor, since) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (room) DO UPDATE SET network = excluded.network, successor = excluded.successor, since = excluded.since";
const OF_ROOM: &str = "SELECT successor FROM successions WHERE room = $1";
const OF_NETWORK: &str = "SELECT room, successor FROM successions WHERE network = $1 ORDER BY since, room";
const EVERY: &str = "SELECT room, successor FROM successions ORDER BY since, room";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("OF_ROOM", OF_ROOM), ("OF_NETWORK", OF_NETWORK), ("EVERY", EVERY)];

impl Store {
    /// The room that took the place of this one.
    pub async fn successor(&self, room: &RoomId) -> Result<Option<RoomId>, StoreError> {
        let rows = self.read(OF_ROOM, &[Arg::Text(room.as_str())]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(RoomId::new(&row.text(0)?))
    }

    /// All rooms of a network that were replaced, each with its successor, the oldest first.
    pub async fn successions(&self, network: &NetworkId) -> Result<Vec<(RoomId, RoomId)>, StoreError> {
        pairs(&self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?)
    }

    /// As [`successions`](Self::successions), of whatever network: of a room that several share it is the same for all.
    pub async fn all_successions(&self) -> Result<Vec<(RoomId, RoomId)>, StoreError> {
        pairs(&self.read(EVERY, &[]).await?)
    }
}

fn pairs(rows: &[Row]) -> Result<Vec<(RoomId, RoomId)>, StoreError> {
    let mut pairs = Vec::new();
    for row in rows {
        let (room, successor) = (RoomId::new(&row.text(0)?), RoomId::new(&row.text(1)?));
        pairs.extend(room.zip(successor));
    }
    Ok(pairs)
}

/// The portal of a room is its successor's, with who is there and whose bans can be lifted: all of it, or nothing. Who is
/// there has to be known with it: of whom nobody knows, nobody asks whether they are seen.
pub(super) async fn portal_move(
    conn: &mut Conn,
    network: &NetworkId,
    from: &RoomId,
    row: &PortalRow,
    people: &[Member],
) -> Result<(), Fault> {
    portals::save_as(conn, network, from, row).await?;
    let since = Arg::Int(i64::try_from(now().0).unwrap_or(i64::MAX));
    let [from_id, network_id, to] = [from.as_str(), network.as_str(), row.room.as_str()].map(Arg::Text);
    conn.execute(SAVE, &[from_id, network_id, to, since]).await?;
    for Member { user, display_name } in people {
        members::save(conn, &row.room, user, display_name.as_deref()).await?;
    }
    bans::move_room(conn, from, &row.room).await?;
    tombstones::remove(conn, network, from).await?;
    portals::remove(conn, network, from).await
}
