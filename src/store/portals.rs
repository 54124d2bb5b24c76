//! Tables `portals` and `shared_portals`: which room is paired with which channel. A room is in at most one portal of a
//! network. Where people's own room is in portals of several networks, the first of them is in `portals` and the others
//! are in `shared_portals`, each for as long as it lasts: that says how the inbox names their rows ([`Naming`]).

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, ghosts, members, now};
use crate::bridge::input::{Member, PortalOrigin, PortalRow};
use crate::ids::{NetworkId, RoomId, Time};

const SAVE: &str = "INSERT INTO portals (room, network, channel, origin, since) VALUES ($1, $2, $3, $4, $5) \
    ON CONFLICT (room) DO UPDATE SET channel = excluded.channel, origin = excluded.origin \
    WHERE portals.network = excluded.network";
const RENEW_SHARED: &str =
    "UPDATE shared_portals SET channel = $3, origin = $4 WHERE room = $1 AND network = $2";
// Only people's own rooms are shared: the other one has to be of the configuration too.
const SHARE: &str = "INSERT INTO shared_portals (room, network, channel, origin, since) \
    SELECT $1, $2, $3, $4, CAST($5 AS BIGINT) FROM portals WHERE room = $1 AND origin = 'config'";
// The successor of a shared room.
const SHARE_AS: &str = "INSERT INTO shared_portals (room, network, channel, origin, since) \
    SELECT $1, $2, $3, $4, CAST($5 AS BIGINT) FROM shared_portals WHERE room = $6 AND network = $2";
const OF_NETWORK: &str = "SELECT room, channel, origin, since, CAST(0 AS BIGINT) AS shared FROM portals WHERE network = $1 UNION ALL \
    SELECT room, channel, origin, since, CAST(1 AS BIGINT) FROM shared_portals WHERE network = $1 ORDER BY room";
const OF_ROOM: &str = "SELECT room, channel, origin, since, CAST(0 AS BIGINT) AS shared FROM portals WHERE network = $1 AND room = $2 \
    UNION ALL SELECT room, channel, origin, since, CAST(1 AS BIGINT) FROM shared_portals WHERE network = $1 AND room = $2";
// Rooms where something was said of late come first.
const ROOMS: &str = "SELECT paired.room, paired.since FROM (SELECT room, min(since) AS since FROM \
    (SELECT room, since FROM portals UNION ALL SELECT room, since FROM shared_portals) AS pairings GROUP BY room) \
    AS paired \
    LEFT JOIN (SELECT room_id, max(seq) AS seq FROM inbox GROUP BY room_id) AS heard ON heard.room_id = paired.room \
    ORDER BY coalesce(heard.seq, 0) DESC, paired.room";
const REMOVE: &str = "DELETE FROM portals WHERE network = $1 AND room = $2";
const REMOVE_SHARED: &str = "DELETE FROM shared_portals WHERE network = $1 AND room = $2";
const LEFT: &str =
    "SELECT room FROM portals WHERE room = $1 UNION ALL SELECT room FROM shared_portals WHERE room = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] = &[
    ("SAVE", SAVE),
    ("RENEW_SHARED", RENEW_SHARED),
    ("SHARE", SHARE),
    ("SHARE_AS", SHARE_AS),
    ("OF_NETWORK", OF_NETWORK),
    ("OF_ROOM", OF_ROOM),
    ("ROOMS", ROOMS),
    ("REMOVE", REMOVE),
    ("REMOVE_SHARED", REMOVE_SHARED),
    ("LEFT", LEFT),
];

/// A portal as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pairing {
    pub row: PortalRow,
    /// Since when it is one: what was said before is nobody's business.
    pub since: Time,
    pub naming: Naming,
}

/// How the inbox names what a portal's network is given of the room's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Naming {
    /// By the event.
    Plain,
    /// By the event and the network: another network has, or had, the event's own name.
    ByNetwork,
}

impl Store {
    /// Remembers a portal, or its new channel; awaited. [`StoreError::Refused`] when the room is in a
    /// portal of another network, unless both are of the configuration: then they share it.
    pub async fn portal_save(&self, network: &NetworkId, row: &PortalRow) -> Result<(), StoreError> {
        let write = Write::PortalSave { network: network.clone(), row: row.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// All portals of a network.
    pub async fn portals(&self, network: &NetworkId) -> Result<Vec<PortalRow>, StoreError> {
        Ok(self.pairings(network).await?.into_iter().map(|pairing| pairing.row).collect())
    }

    /// All portals of a network, as they are kept.
    pub async fn pairings(&self, network: &NetworkId) -> Result<Vec<Pairing>, StoreError> {
        let rows = self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?;
        rows.iter().filter_map(|row| pairing(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }

    /// A room's portal of this network.
    pub async fn pairing(&self, network: &NetworkId, room: &RoomId) -> Result<Option<Pairing>, StoreError> {
        let rows = self.read(OF_ROOM, &[Arg::Text(network.as_str()), Arg::Text(room.as_str())]).await?;
        rows.first().map_or(Ok(None), |row| pairing(row).map_err(Into::into))
    }

    /// The rooms of all networks' portals, with the time they first became portals; those that said something to us last
    /// come first.
    pub async fn portal_rooms(&self) -> Result<Vec<(RoomId, Time)>, StoreError> {
        let rows = self.read(ROOMS, &[]).await?;
        let read = |row: &Row| -> Result<_, Fault> { Ok((RoomId::new(&row.text(0)?), row.int(1)?)) };
        let rows = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?.into_iter();
        Ok(rows
            .filter_map(|(room, since)| Some((room?, Time(u64::try_from(since).unwrap_or_default()))))
            .collect())
    }

    /// The pairing of `from` is that of `row`'s room from now on, in which `members` are, and of `from` no more; awaited.
    pub async fn portal_move(
        &self,
        network: &NetworkId,
        from: &RoomId,
        row: &PortalRow,
        members: &[Member],
    ) -> Result<(), StoreError> {
        let (network, from, row) = (network.clone(), from.clone(), row.clone());
        let write = Write::PortalMove { network, from, row, members: members.to_vec() };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets a portal and who was in its room; awaited. Nothing happens when there is none.
    pub async fn portal_remove(&self, network: &NetworkId, room: &RoomId) -> Result<(), StoreError> {
        let write = Write::PortalRemove { network: network.clone(), room: room.clone() };
        self.writer.write(write).await.map(|_| ())
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &PortalRow) -> Result<(), Fault> {
    if renewed(conn, network, row).await? || saved(conn, network, row).await? {
        return Ok(());
    }
    let [room, network, channel, origin, since] = values(network, row);
    let shared = match row.origin {
        PortalOrigin::Config => conn.execute(SHARE, &[room, network, channel, origin, since]).await?,
        PortalOrigin::Alias | PortalOrigin::Plumbed => 0,
    };
    if shared == 0 { Err(taken(row)) } else { Ok(()) }
}

/// Saves the successor of a portal, named as that was.
pub(super) async fn save_as(
    conn: &mut Conn,
    network: &NetworkId,
    from: &RoomId,
    row: &PortalRow,
) -> Result<(), Fault> {
    if renewed(conn, network, row).await? {
        return Ok(());
    }
    let [room, on, channel, origin, since] = values(network, row);
    let shared =
        conn.execute(SHARE_AS, &[room, on, channel, origin, since, Arg::Text(from.as_str())]).await?;
    if shared > 0 || saved(conn, network, row).await? { Ok(()) } else { Err(taken(row)) }
}

async fn renewed(conn: &mut Conn, network: &NetworkId, row: &PortalRow) -> Result<bool, Fault> {
    let [room, network, channel, origin, _] = values(network, row);
    Ok(conn.execute(RENEW_SHARED, &[room, network, channel, origin]).await? > 0)
}

async fn saved(conn: &mut Conn, network: &NetworkId, row: &PortalRow) -> Result<bool, Fault> {
    Ok(conn.execute(SAVE, &values(network, row)).await? > 0)
}

fn values<'a>(network: &'a NetworkId, row: &'a PortalRow) -> [Arg<'a>; 5] {
    let since = Arg::Int(i64::try_from(now().0).unwrap_or(i64::MAX));
    let [room, network, channel, origin] =
        [row.room.as_str(), network.as_str(), &row.channel, origin_name(row.origin)].map(Arg::Text);
    [room, network, channel, origin, since]
}

fn taken(row: &PortalRow) -> Fault {
    Fault::Change(format!("{} is in a portal of another network", row.room))
}

/// Who is in the room is forgotten with its last portal.
pub(super) async fn remove(conn: &mut Conn, network: &NetworkId, room: &RoomId) -> Result<(), Fault> {
    let mut removed = 0;
    for sql in [REMOVE, REMOVE_SHARED] {
        removed += conn.execute(sql, &[Arg::Text(network.as_str()), Arg::Text(room.as_str())]).await?;
    }
    if removed > 0 && conn.fetch(LEFT, &[Arg::Text(room.as_str())]).await?.is_empty() {
        members::remove_room(conn, room).await?;
        ghosts::remove_room(conn, room).await?;
    }
    Ok(())
}

/// `None` for a row that no version of ours has written.
fn pairing(row: &Row) -> Result<Option<Pairing>, Fault> {
    let (room, channel, origin) = (row.text(0)?, row.text(1)?, row.text(2)?);
    let (Some(room), Some(origin)) = (RoomId::new(&room), origin_of(&origin)) else {
        tracing::warn!(room, origin, "a portal cannot be read, it is left alone");
        return Ok(None);
    };
    let since = Time(u64::try_from(row.int(3)?).unwrap_or_default());
    let naming = if row.int(4)? == 0 { Naming::Plain } else { Naming::ByNetwork };
    Ok(Some(Pairing { row: PortalRow { room, channel, origin }, since, naming }))
}

fn origin_name(origin: PortalOrigin) -> &'static str {
    match origin {
        PortalOrigin::Alias => "alias",
        PortalOrigin::Config => "config",
        PortalOrigin::Plumbed => "plumbed",
    }
}

fn origin_of(name: &str) -> Option<PortalOrigin> {
    PortalOrigin::ALL.into_iter().find(|origin| origin_name(*origin) == name)
}
