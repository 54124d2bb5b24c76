//! The list of everything that can change in the store, and which table does it.
//!
//! A change is data only, so that it can be tried again: after a commit of unknown end too, hence each is
//! written to be harmless twice. No SQL here: the table's file has it.

use super::db::{Conn, Fault};
use super::inbox::{self, InboxRow, NewEvent};
use super::outbox::{self, OutboxRow};
use super::{ghosts, members, meta, networks, now, portals};
use crate::bridge::effect::Outcome;
use crate::bridge::input::PortalRow;
use crate::ids::{InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};

/// One change. Matched without `_`.
#[derive(Debug)]
pub(super) enum Write {
    /// Only wait for what came before.
    Nothing,
    Accept {
        events: Vec<NewEvent>,
        at: Time,
    },
    Settle {
        seq: InboxSeq,
        outcome: Outcome,
    },
    Prune {
        before: Time,
    },
    OutboxPut(OutboxRow),
    OutboxDone(RelaySeq),
    OutboxFail {
        seq: RelaySeq,
        reason: String,
        at: Time,
    },
    OutboxReserve,
    PortalSave {
        network: NetworkId,
        row: PortalRow,
    },
    PortalRemove {
        network: NetworkId,
        room: RoomId,
    },
    MemberSave {
        room: RoomId,
        user: UserId,
        display_name: Option<String>,
    },
    MemberRemove {
        room: RoomId,
        user: UserId,
    },
    GhostSave {
        user: UserId,
        display_name: String,
    },
    GhostJoined {
        room: RoomId,
        user: UserId,
    },
    GhostLeft {
        room: RoomId,
        user: UserId,
    },
    CaseMapSave {
        network: NetworkId,
        name: String,
    },
    MetaSet {
        name: String,
        value: String,
    },
}

/// What a change gives back.
#[derive(Debug)]
pub(super) enum Reply {
    Nothing,
    Accepted(Vec<InboxRow>),
    Pruned(u64),
    Reserved(Option<RelaySeq>),
}

impl Write {
    /// Runs the change inside the transaction that is open on `conn`.
    pub(super) async fn run(&self, conn: &mut Conn) -> Result<Reply, Fault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Accept { events, at } => {
                return inbox::accept(conn, events, *at).await.map(Reply::Accepted);
            }
            Self::Prune { before } => return inbox::prune(conn, *before).await.map(Reply::Pruned),
            Self::OutboxReserve => return outbox::reserve(conn).await.map(Reply::Reserved),
            Self::Settle { seq, outcome } => inbox::settle(conn, &[(*seq, outcome)], now()).await,
            Self::OutboxPut(row) => outbox::put(conn, &[row]).await,
            Self::OutboxDone(seq) => outbox::done(conn, &[*seq]).await,
            Self::OutboxFail { seq, reason, at } => outbox::fail(conn, *seq, reason, *at).await,
            Self::PortalSave { network, row } => portals::save(conn, network, row).await,
            Self::PortalRemove { network, room } => portals::remove(conn, network, room).await,
            Self::MemberSave { room, user, display_name } => {
                members::save(conn, room, user, display_name.as_deref()).await
            }
            Self::MemberRemove { room, user } => members::remove(conn, room, user).await,
            Self::GhostSave { user, display_name } => ghosts::save(conn, user, display_name).await,
            Self::GhostJoined { room, user } => ghosts::joined(conn, room, user).await,
            Self::GhostLeft { room, user } => ghosts::left(conn, room, user).await,
            Self::CaseMapSave { network, name } => networks::casemap_save(conn, network, name).await,
            Self::MetaSet { name, value } => meta::set(conn, name, value).await,
        }
        .map(|()| Reply::Nothing)
    }
}
