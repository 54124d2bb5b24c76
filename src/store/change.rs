//! The list of everything that can change in the store, and which table does it.
//!
//! A change is data only, so that it can be tried again: after a commit of unknown end too, hence each is
//! written to be harmless twice, but for counts of lines without rows, which may then be too high. No SQL here: the table's file has it.

mod reply;

pub(super) use self::reply::Reply;
use super::batch::Noted;
use super::db::{Conn, Fault};
use super::identities;
use super::inbox::{self, NewEvent};
use super::links::{self, LinkRow};
use super::logins::{self, Column};
use super::outbox::{self, OutboxRow};
use super::policy_rules::{self, RulesChange};
use super::sts::{self, StsPolicy};
use super::tallies::{self, Uncounted};
use super::{
    admin_rooms, bans, bars, channel_keys, ghosts, holds, ignores, members, mentions, meta, networks, nicks,
    now, operators, portals, queries, realnames, sayings, successions, tombstones,
};
use crate::bridge::effect::{Asked, NickRow, Outcome, Rule, Saying};
use crate::bridge::input::{BanRow, BarRow, HoldRow, Member, PortalRow, QueryRow, TombstoneRow};
use crate::ids::{EventId, InboxSeq, NetworkId, RelaySeq, RoomId, Time, UserId};

/// One change. Matched without `_`.
#[derive(Debug)]
pub(super) enum Write {
    /// Only wait for what came before.
    Nothing,
    Accept {
        events: Vec<NewEvent>,
        at: Time,
        /// The first event's number, the others follow; the writer gives it.
        first: InboxSeq,
    },
    Written {
        seq: InboxSeq,
        noted: Noted,
    },
    /// This network is to get the event.
    Route {
        seq: InboxSeq,
        network: NetworkId,
    },
    Settle {
        seq: InboxSeq,
        outcome: Outcome,
    },
    Prune {
        before: Time,
    },
    OutboxPut(OutboxRow),
    /// The homeserver has all of these.
    OutboxDone(Vec<RelaySeq>),
    /// These lines are one event, which the first of them names.
    OutboxJoin(Vec<RelaySeq>),
    OutboxFail {
        seq: RelaySeq,
        reason: String,
        at: Time,
    },
    OutboxReserve,
    /// What was said lately on a network, and the lowest number that still counts there.
    SayingsSave {
        network: NetworkId,
        sayings: Vec<Saying>,
        from: u64,
    },
    /// The homeserver has taken these lines as these events.
    SayingsName(Vec<(RelaySeq, EventId)>),
    Count(Vec<Uncounted>),
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
    IdentityTake {
        network: NetworkId,
        user: UserId,
        idents: Vec<String>,
        at: Time,
    },
    /// Here and below, what is secret is sealed already.
    LoginSave {
        network: NetworkId,
        user: UserId,
        account: String,
        password: Option<Vec<u8>>,
        at: Time,
    },
    LoginCertificateSave {
        network: NetworkId,
        user: UserId,
        pem: String,
        key_sealed: Vec<u8>,
        fingerprint: String,
        at: Time,
    },
    LoginRemove {
        network: NetworkId,
        user: UserId,
    },
    LoginReseal {
        network: String,
        user: String,
        column: Column,
        old: Vec<u8>,
        new: Vec<u8>,
    },
    /// `row` is network, user and folded channel.
    ChannelKeySave {
        row: [String; 3],
        sealed: Vec<u8>,
    },
    ChannelKeyRemove {
        row: [String; 3],
    },
    ChannelKeyReseal {
        row: [String; 3],
        old: Vec<u8>,
        new: Vec<u8>,
    },
    HoldSave {
        network: NetworkId,
        row: HoldRow,
    },
    HoldRemove {
        network: NetworkId,
        user: UserId,
    },
    HoldRelease {
        network: NetworkId,
        user: UserId,
    },
    BanSave {
        network: NetworkId,
        row: BanRow,
    },
    BanRemove {
        room: RoomId,
        ghost: UserId,
    },
    AdminRoomSave {
        user: UserId,
        room: RoomId,
    },
    AdminRoomRemove {
        user: UserId,
        room: RoomId,
    },
    NickSave {
        network: NetworkId,
        row: NickRow,
    },
    NickRemove {
        network: NetworkId,
        user: UserId,
    },
    RealnameSave {
        network: NetworkId,
        user: UserId,
        realname: Option<String>,
    },
    IgnoresSave {
        network: NetworkId,
        user: UserId,
        masks: Vec<String>,
    },
    MentionsOff {
        network: NetworkId,
        user: UserId,
    },
    MentionsOn {
        network: NetworkId,
        user: UserId,
    },
    QuerySave {
        network: NetworkId,
        row: QueryRow,
    },
    QueryRemove {
        room: RoomId,
    },
    StsSave {
        host: String,
        policy: StsPolicy,
    },
    StsRemove {
        host: String,
    },
    LinkSave(Box<LinkRow>),
    LinksEnd {
        room: RoomId,
        event: EventId,
        at: Time,
    },
    LinksPrune {
        before: Time,
        pages_max: i64,
    },
    LinkReseal {
        seq: InboxSeq,
        part: String,
        old: Vec<u8>,
        new: Vec<u8>,
    },
    LinkKeyAdd {
        sealed: Vec<u8>,
        at: Time,
    },
    LinkKeyReseal {
        old: Vec<u8>,
        new: Vec<u8>,
    },
    PortalMove {
        network: NetworkId,
        from: RoomId,
        row: PortalRow,
        /// Who is in the successor.
        members: Vec<Member>,
    },
    RuleSave {
        network: NetworkId,
        rule: Rule,
    },
    RuleRemove {
        network: NetworkId,
        channel: String,
        asked: Asked,
    },
    PolicyRules {
        list: String,
        room: RoomId,
        change: RulesChange,
    },
    PolicyListForget {
        list: String,
    },
    BarSave {
        network: NetworkId,
        row: BarRow,
    },
    BarRemove {
        network: NetworkId,
        room: RoomId,
        user: UserId,
    },
    TombstoneSave {
        network: NetworkId,
        row: TombstoneRow,
    },
    TombstoneRemove {
        network: NetworkId,
        room: RoomId,
    },
}

impl Write {
    /// Runs the change inside the transaction that is open on `conn`.
    pub(super) async fn run(&self, conn: &mut Conn) -> Result<Reply, Fault> {
        match self {
            Self::Nothing => Ok(()),
            Self::Accept { events, at, first } => {
                return inbox::accept(conn, events, *at, *first).await.map(Reply::Accepted);
            }
            Self::Prune { before } => return inbox::prune(conn, *before).await.map(Reply::Count),
            Self::OutboxReserve => return outbox::reserve(conn).await.map(Reply::Reserved),
            Self::Written { seq, .. } => inbox::written(conn, &[*seq], now()).await,
            Self::Route { seq, network } => inbox::route(conn, *seq, network).await,
            Self::Settle { seq, outcome } => inbox::settle(conn, &[(*seq, outcome)], now()).await,
            Self::OutboxPut(row) => outbox::put(conn, &[row]).await,
            Self::OutboxDone(seqs) => outbox::done(conn, seqs).await,
            Self::OutboxJoin(seqs) => outbox::join(conn, seqs).await,
            Self::Count(lines) => tallies::count(conn, lines).await,
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
            Self::IdentityTake { network, user, idents, at } => {
                return identities::take(conn, network, user, idents, *at).await.map(Reply::Identity);
            }
            Self::LoginSave { network, user, account, password, at } => {
                let texts = [network.as_str(), user.as_str(), account];
                logins::save(conn, texts, password.as_deref(), *at).await
            }
            Self::LoginCertificateSave { network, user, pem, key_sealed, fingerprint, at } => {
                let texts = [network.as_str(), user.as_str(), pem, fingerprint];
                return logins::certificate_save(conn, texts, key_sealed, *at).await.map(Reply::Count);
            }
            Self::LoginRemove { network, user } => {
                return logins::remove(conn, network, user).await.map(Reply::Count);
            }
            Self::LoginReseal { network, user, column, old, new } => {
                return logins::reseal(conn, [network, user], *column, old, new).await.map(Reply::Count);
            }
            Self::ChannelKeySave { row, sealed } => channel_keys::save(conn, row, sealed).await,
            Self::ChannelKeyRemove { row } => channel_keys::remove(conn, row).await,
            Self::ChannelKeyReseal { row, old, new } => {
                return channel_keys::reseal(conn, row, old, new).await.map(Reply::Count);
            }
            Self::HoldSave { network, row } => holds::save(conn, network, row).await,
            Self::HoldRemove { network, user } => holds::remove(conn, network, user).await,
            Self::HoldRelease { network, user } => holds::release(conn, network, user).await,
            Self::NickSave { network, row } => nicks::save(conn, network, row).await,
            Self::NickRemove { network, user } => nicks::remove(conn, network, user).await,
            Self::RealnameSave { network, user, realname } => {
                realnames::save(conn, [network.as_str(), user.as_str()], realname.as_deref()).await
            }
            Self::IgnoresSave { network, user, masks } => {
                ignores::save(conn, [network.as_str(), user.as_str()], masks).await
            }
            Self::MentionsOff { network, user } => mentions::off(conn, network, user).await,
            Self::MentionsOn { network, user } => mentions::on(conn, network, user).await,
            Self::BanSave { network, row } => bans::save(conn, network, row).await,
            Self::BanRemove { room, ghost } => bans::remove(conn, room, ghost).await,
            Self::AdminRoomSave { user, room } => admin_rooms::save(conn, user, room).await,
            Self::AdminRoomRemove { user, room } => admin_rooms::remove(conn, user, room).await,
            Self::QuerySave { network, row } => queries::save(conn, network, row).await,
            Self::QueryRemove { room } => queries::remove(conn, room).await,
            Self::StsSave { host, policy } => sts::save(conn, host, *policy).await,
            Self::StsRemove { host } => sts::remove(conn, host).await,
            Self::LinkSave(row) => links::save(conn, row).await,
            Self::LinksEnd { room, event, at } => links::end(conn, room, event, *at).await,
            Self::LinksPrune { before, pages_max } => {
                return links::prune(conn, *before, *pages_max).await.map(Reply::Count);
            }
            Self::LinkReseal { seq, part, old, new } => {
                return links::reseal(conn, (*seq, part), old, new).await.map(Reply::Count);
            }
            Self::LinkKeyAdd { sealed, at } => links::key_add(conn, sealed, *at).await,
            Self::LinkKeyReseal { old, new } => {
                return links::key_reseal(conn, old, new).await.map(Reply::Count);
            }
            Self::SayingsSave { network, sayings, from } => {
                sayings::save(conn, network, sayings, *from).await
            }
            Self::SayingsName(names) => sayings::name(conn, names).await,
            Self::PortalMove { network, from, row, members } => {
                successions::portal_move(conn, network, from, row, members).await
            }
            Self::RuleSave { network, rule } => operators::save(conn, network, rule).await,
            Self::RuleRemove { network, channel, asked } => {
                operators::remove(conn, network, channel, asked).await
            }
            Self::PolicyRules { list, room, change } => policy_rules::change(conn, list, room, change).await,
            Self::PolicyListForget { list } => policy_rules::forget(conn, list).await,
            Self::BarSave { network, row } => bars::save(conn, network, row).await,
            Self::BarRemove { network, room, user } => bars::remove(conn, network, room, user).await,
            Self::TombstoneSave { network, row } => tombstones::save(conn, network, row).await,
            Self::TombstoneRemove { network, room } => tombstones::remove(conn, network, room).await,
        }
        .map(|()| Reply::Nothing)
    }
}
