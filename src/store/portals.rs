//! Table `portals`: which room is paired with which channel. A room is in at most one portal.

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, ghosts, members, now};
use crate::bridge::input::{PortalOrigin, PortalRow};
use crate::ids::{NetworkId, RoomId, Time};

const SAVE: &str = "INSERT INTO portals (room, network, channel, origin, since) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (room) DO UPDATE SET channel = excluded.channel, origin = excluded.origin \
    WHERE portals.network = excluded.network";
const OF_NETWORK: &str = "SELECT room, channel, origin FROM portals WHERE network = $1 ORDER BY room";
// Rooms where something was said of late come first.
const ROOMS: &str = "SELECT portals.room, portals.since FROM portals \
    LEFT JOIN (SELECT room_id, max(seq) AS seq FROM inbox GROUP BY room_id) AS heard ON heard.room_id = portals.room \
    ORDER BY coalesce(heard.seq, 0) DESC, portals.room";
const REMOVE: &str = "DELETE FROM portals WHERE network = $1 AND room = $2";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("OF_NETWORK", OF_NETWORK), ("ROOMS", ROOMS), ("REMOVE", REMOVE)];

impl Store {
    /// Remembers a portal, or its new channel; awaited. [`StoreError::Refused`] when the room is in a
    /// portal of another network.
    pub async fn portal_save(&self, network: &NetworkId, row: &PortalRow) -> Result<(), StoreError> {
        let write = Write::PortalSave { network: network.clone(), row: row.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// All portals of a network.
    pub async fn portals(&self, network: &NetworkId) -> Result<Vec<PortalRow>, StoreError> {
        let rows = self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?;
        rows.iter().filter_map(|row| portal_row(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }

    /// The rooms of all networks' portals, with the time they became portals; those that said something to us last
    /// come first.
    pub async fn portal_rooms(&self) -> Result<Vec<(RoomId, Time)>, StoreError> {
        let rows = self.read(ROOMS, &[]).await?;
        let read = |row: &Row| -> Result<_, Fault> { Ok((RoomId::new(&row.text(0)?), row.int(1)?)) };
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(rows
            .filter_map(|(room, since)| Some((room?, Time(u64::try_from(since).unwrap_or_default()))))
            .collect())
    }

    /// The pairing of `from` is that of `row`'s room from now on, and of `from` no more; awaited.
    pub async fn portal_move(
        &self,
        network: &NetworkId,
        from: &RoomId,
        row: &PortalRow,
    ) -> Result<(), StoreError> {
        let write = Write::PortalMove { network: network.clone(), from: from.clone(), row: row.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets a portal and who was in its room; awaited. Nothing happens when there is none.
    pub async fn portal_remove(&self, network: &NetworkId, room: &RoomId) -> Result<(), StoreError> {
        let write = Write::PortalRemove { network: network.clone(), room: room.clone() };
        self.writer.write(write).await.map(|_| ())
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &PortalRow) -> Result<(), Fault> {
    let origin = origin_name(row.origin);
    let since = Arg::Int(i64::try_from(now().0).unwrap_or(i64::MAX));
    let [room, network, channel, origin] =
        [row.room.as_str(), network.as_str(), &row.channel, origin].map(Arg::Text);
    match conn.execute(SAVE, &[room, network, channel, origin, since]).await? {
        0 => Err(Fault::Change(format!("{} is in a portal of another network", row.room))),
        _ => Ok(()),
    }
}

pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, room: &RoomId) -> Result<(), Fault> {
    if conn.execute(REMOVE, &[Arg::Text(network.as_str()), Arg::Text(room.as_str())]).await? > 0 {
        members::remove_room(conn, room).await?;
        ghosts::remove_room(conn, room).await?;
    }
    Ok(())
}

/// `None` for a row that no version of ours has written.
fn portal_row(row: &Row) -> Result<Option<PortalRow>, Fault> {
    let (room, channel, origin) = (row.text(0)?, row.text(1)?, row.text(2)?);
    let (Some(room), Some(origin)) = (RoomId::new(&room), origin_of(&origin)) else {
        tracing::warn!(room, origin, "a portal cannot be read, it is left alone");
        return Ok(None);
    };
    Ok(Some(PortalRow { room, channel, origin }))
}

fn origin_name(origin: PortalOrigin) -> &'static str {
    match origin {
        PortalOrigin::Alias => "alias",
        PortalOrigin::Config => "config",
    }
}

fn origin_of(name: &str) -> Option<PortalOrigin> {
    [PortalOrigin::Alias, PortalOrigin::Config].into_iter().find(|origin| origin_name(*origin) == name)
}
