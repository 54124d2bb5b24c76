//! Table `portals`: which room is paired with which channel. A room is in at most one portal.

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, ghosts, members};
use crate::bridge::input::{PortalOrigin, PortalRow};
use crate::ids::{NetworkId, RoomId};

const SAVE: &str = "INSERT INTO portals (room, network, channel, origin) VALUES ($1, $2, $3, $4) \
    ON CONFLICT (room) DO UPDATE SET channel = excluded.channel, origin = excluded.origin \
    WHERE portals.network = excluded.network";
const OF_NETWORK: &str = "SELECT room, channel, origin FROM portals WHERE network = $1 ORDER BY room";
const REMOVE: &str = "DELETE FROM portals WHERE network = $1 AND room = $2";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("OF_NETWORK", OF_NETWORK), ("REMOVE", REMOVE)];

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

    /// Forgets a portal and who was in its room; awaited. Nothing happens when there is none.
    pub async fn portal_remove(&self, network: &NetworkId, room: &RoomId) -> Result<(), StoreError> {
        let write = Write::PortalRemove { network: network.clone(), room: room.clone() };
        self.writer.write(write).await.map(|_| ())
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &PortalRow) -> Result<(), Fault> {
    let origin = origin_name(row.origin);
    let texts = [row.room.as_str(), network.as_str(), &row.channel, origin];
    match conn.execute(SAVE, &texts.map(Arg::Text)).await? {
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
