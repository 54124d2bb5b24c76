//! Table `queries`: private chats, each with its room, the two people, and who had the nick.

use super::change::Write;
use super::db::{Arg, Conn, Fault, Row};
use super::{Store, StoreError, ghosts, now};
use crate::bridge::input::{AbsenceTold, QueryRow, QueryStanding};
use crate::ids::{NetworkId, RoomId, Time, UserId};

const SAVE: &str = "INSERT INTO queries (room, network, mxid, nick, standing, account, mask, display_name, since, \
    absence_told) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (room) DO UPDATE SET nick = excluded.nick, \
    standing = excluded.standing, account = excluded.account, mask = excluded.mask, \
    display_name = excluded.display_name, absence_told = excluded.absence_told";
const OF_NETWORK: &str = "SELECT room, mxid, nick, standing, account, mask, display_name, absence_told \
    FROM queries WHERE network = $1 ORDER BY since, room";
const ROOMS: &str = "SELECT room, since FROM queries ORDER BY since DESC, room";
const REMOVE: &str = "DELETE FROM queries WHERE room = $1";

#[cfg(test)]
pub(super) const STATEMENTS: &[(&str, &str)] =
    &[("SAVE", SAVE), ("OF_NETWORK", OF_NETWORK), ("ROOMS", ROOMS), ("REMOVE", REMOVE)];

impl Store {
    /// Remembers a private chat, or what is new of it; awaited.
    pub async fn query_save(&self, network: &NetworkId, row: &QueryRow) -> Result<(), StoreError> {
        let write = Write::QuerySave { network: network.clone(), row: row.clone() };
        self.writer.write(write).await.map(|_| ())
    }

    /// Forgets the private chat of this room; awaited. Nothing happens when there is none.
    pub async fn query_remove(&self, room: &RoomId) -> Result<(), StoreError> {
        self.writer.write(Write::QueryRemove { room: room.clone() }).await.map(|_| ())
    }

    /// The rooms of all networks' portals and private chats, with the time they became ours; see
    /// [`portal_rooms`](Self::portal_rooms) for the order of the former, which come first.
    pub async fn rooms(&self) -> Result<Vec<(RoomId, Time)>, StoreError> {
        let mut rooms = self.portal_rooms().await?;
        for row in self.read(ROOMS, &[]).await? {
            let since = Time(u64::try_from(row.int(1)?).unwrap_or_default());
            rooms.extend(RoomId::new(&row.text(0)?).map(|room| (room, since)));
        }
        Ok(rooms)
    }

    /// The private chats of a network, the oldest first.
    pub async fn queries(&self, network: &NetworkId) -> Result<Vec<QueryRow>, StoreError> {
        let rows = self.read(OF_NETWORK, &[Arg::Text(network.as_str())]).await?;
        rows.iter().filter_map(|row| query_row(row).transpose()).map(|row| row.map_err(Into::into)).collect()
    }
}

pub(super) async fn save(conn: &mut Conn, network: &NetworkId, row: &QueryRow) -> Result<(), Fault> {
    let args = [
        Arg::Text(row.room.as_str()),
        Arg::Text(network.as_str()),
        Arg::Text(row.user.as_str()),
        Arg::Text(&row.nick),
        Arg::Text(standing_name(row.standing)),
        Arg::MaybeText(row.account.as_deref()),
        Arg::MaybeText(row.mask.as_deref()),
        Arg::MaybeText(row.display_name.as_deref()),
        Arg::Int(i64::try_from(now().0).unwrap_or(i64::MAX)),
        Arg::Int(i64::from(row.absence == AbsenceTold::Yes)),
    ];
    conn.execute(SAVE, &args).await.map(|_| ())
}

pub(super) async fn remove(conn: &mut Conn, room: &RoomId) -> Result<(), Fault> {
    if conn.execute(REMOVE, &[Arg::Text(room.as_str())]).await? > 0 {
        ghosts::remove_room(conn, room).await?;
    }
    Ok(())
}

/// `None` for a row that no version of ours has written.
fn query_row(row: &Row) -> Result<Option<QueryRow>, Fault> {
    let (room, user, nick, standing) = (row.text(0)?, row.text(1)?, row.text(2)?, row.text(3)?);
    let (account, mask, display_name) = (row.maybe_text(4)?, row.maybe_text(5)?, row.maybe_text(6)?);
    let absence = if row.int(7)? == 0 { AbsenceTold::No } else { AbsenceTold::Yes };
    let (Some(room), Some(user), Some(standing)) =
        (RoomId::new(&room), UserId::new(&user), standing_of(&standing))
    else {
        tracing::warn!(room, standing, "a private chat cannot be read, it is left alone");
        return Ok(None);
    };
    Ok(Some(QueryRow { user, nick, room, standing, account, mask, display_name, absence }))
}

fn standing_name(standing: QueryStanding) -> &'static str {
    match standing {
        QueryStanding::Open => "open",
        QueryStanding::Left => "left",
    }
}

fn standing_of(name: &str) -> Option<QueryStanding> {
    [QueryStanding::Open, QueryStanding::Left].into_iter().find(|standing| standing_name(*standing) == name)
}
