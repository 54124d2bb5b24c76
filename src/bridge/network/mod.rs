//! One IRC network: routes inputs to the parts, and what the parts say to one another and out.
//!
//! The parts (sessions, channels, portals, puppets) never see the network and never see each other; a value
//! that one needs from another is handed over here. The routes are in files by where the input comes
//! from: `from_matrix`, `from_irc`, `chat` (what is said on IRC, to rooms), `ctcp` (what programs there ask),
//! `connections` (dialing, loss, waking), `away` (who stays off IRC, and who is told), `answers` (what became of what was asked), `reasons` (why, where a server does not say), `say` (a
//! message's way out), `doubts` (whether it arrived), `membership` (which ghosts are in rooms), `topic`, `access`,
//! `room_modes`, `plates` and `space` (what rooms have of their channel), `invites`, `upgrades` (rooms that are replaced),
//! `directory` (what is looked up), `kicks` (whom people of Matrix put out), `ban_lists` (who may come in again), `removed` (who may not be in a channel), `gate`
//! (who may not read on in a room), `removing` (removals, and what they hold back), `doors` (which rooms are found from outside), `operators` (what those of a channel ask
//! for), `neighbours` (rooms that other networks have too), `admission` (who may be here at all, and how much of it),
//! `errands` (what people ask of the network), `news` (what they are told of their connection in their admin room).
//! `changes` is what follows of a change in a channel, `going` puppets' ways
//! into channels and out. `begin` makes one. `figures` counts.

mod access;
mod admission;
mod afterwards;
mod answered;
mod answers;
mod away;
mod ban_lists;
mod begin;
mod changes;
pub mod chat;
mod connections;
mod ctcp;
mod directory;
mod doors;
mod doubts;
mod errands;
pub mod figures;
mod from_irc;
mod from_matrix;
mod gate;
mod going;
mod invites;
mod keys;
mod kicks;
mod membership;
mod neighbours;
mod news;
mod notices;
mod operators;
mod plates;
mod progress;
mod queries;
mod reasons;
mod refold;
mod removed;
mod removing;
mod room_modes;
mod say;
mod space;
mod spoken;
mod told;
mod topic;
mod typing;
mod upgrades;
mod wishes;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::channel::Channel;
use super::clock::MachineClock;
use super::effect::{Effect, Outcome, Speaker};
use super::input::Input;
use super::nicks::Nicks;
use super::pacer::{Dice, Pacer, Spacing};
use super::policy::Policy;
use super::portal::Portals;
use super::portal::birth::Births;
use super::portal::gate::Gate;
use super::portal::membership::Memberships;
use super::puppet::Puppet;
use super::queries::Queries;
use super::queries::pace::Pace;
use super::queries::watch::Watches;
use super::relay::memory::{Memory, Order};
use super::relay::reactions::Reactions;
use super::relay::to_irc::originals::Originals;
use super::session::isupport::Isupport;
use super::session::places::Standing;
use super::step::StepKey;
use super::tell::Tell;
use super::tell::gather::Gather;
use super::timer::{Timer, Timers};
use crate::ids::{ChannelName, ConnId, InboxSeq, PuppetId, RelaySeq, RoomId, Target, Time, UserId};
use crate::text::casemap::CaseMap;

/// Where this network's outbox numbers begin, and how far apart they are: networks share one outbox, and a
/// number is never used twice.
#[derive(Clone, Copy, Debug)]
pub struct RelaySeqs {
    pub next: RelaySeq,
    pub step: i64,
}

/// Whether the machine has begun, and whether it is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// Portals and members are still being given; nobody dials yet.
    Loading,
    Running,
    /// Nothing new is said; what was said is being answered.
    Finishing,
    Stopping,
}

/// The machine of one IRC network.
#[derive(Debug)]
pub struct Network {
    policy: Policy,
    life: Life,
    now: Time,
    clock: MachineClock,
    dice: Dice,
    seqs: RelaySeqs,
    isupport: Isupport,
    puppets: Vec<Puppet>,
    puppet_ids: HashMap<UserId, PuppetId>,
    nicks: Nicks,
    wishes: wishes::Wishes,
    reasons: reasons::Reasons,
    channels: BTreeMap<ChannelName, Channel>,
    portals: Portals,
    births: Births,
    /// Who is in a room and not in its channel.
    gate: Gate,
    doors: doors::Doors,
    /// Which ghosts are in which rooms.
    members: Memberships,
    /// Effects of `out` whose speakers are known to be in their rooms.
    out_read: usize,
    pacer: Pacer,
    /// When idle connections may be closed: never many at once.
    goodbyes: Spacing,
    /// Bans before any puppet was let in since.
    bans_in_a_row: u32,
    /// Messages that were given to a connection, until it is known what became of them.
    under_way: HashMap<InboxSeq, progress::Progress>,
    /// What was said lately, so that what refers to it can be understood.
    memory: Memory,
    /// What this run has heard begins here in the order of `memory`.
    began: Order,
    /// The texts of what people of Matrix said lately.
    originals: Originals,
    threads: answered::Threads,
    /// Channels and people that take no formatting codes, and for how long that counts.
    plain_until: BTreeMap<Target, Time>,
    /// Rooms that were told that they are encrypted.
    encrypted_told: BTreeSet<RoomId>,
    /// What waits for the homeserver to name what it is about.
    later: chat::Later,
    topics: topic::Topics,
    access: access::Access,
    plates: plates::Plates,
    space: space::Space,
    invites: invites::Invites,
    upgrades: upgrades::Upgrades,
    removals: kicks::Removals,
    ban_lists: ban_lists::BanLists,
    room_modes: room_modes::RoomModes,
    /// The bot, and what operators of channels have asked for.
    operators: operators::Desk,
    /// Answers to programs.
    ctcp: ctcp::Answers,
    /// Reactions, so that they can be taken back.
    reactions: Reactions,
    typing: typing::Typists,
    queries: Queries,
    /// Whose coming and going the server tells.
    watches: Watches,
    /// Private chats that people on IRC began, and those that people of Matrix did.
    query_paces: (Pace, Pace),
    /// Invitations that were refused.
    refusals: Pace,
    admission: admission::Admission,
    errands: errands::Errands,
    reached: news::Reached,
    tell: Tell,
    gather: Gather,
    /// The rooms that were told of the present outage.
    outage_told: BTreeSet<RoomId>,
    /// Sessions there are, whatever their state.
    connections: usize,
    counts: figures::Counts,
    timers: Timers,
    out: Vec<Effect>,
}

impl Network {
    /// Takes one input. What is to be done waits in [`take_effects`](Self::take_effects).
    pub fn handle(&mut self, now: Time, input: Input) {
        self.set_now(now);
        let whose = errands::whose(&input);
        match input {
            Input::Started => self.started(),
            Input::Portal(row) => self.portal_known(&row),
            Input::Members { room, members } => self.members_known(&room, &members),
            Input::Matrix { seq, event, before } => self.matrix_event(seq, event, before),
            Input::AliasAsked { ask, alias } => self.alias_asked(ask, alias),
            Input::Errand { ask, user, errand } => self.errand(ask, &user, errand),
            Input::RoomCreated { alias, result } => self.room_created(&alias, result),
            Input::AliasAdded { alias, result } => self.alias_added(&alias, result.is_ok()),
            Input::ConnOpened { conn, opening } => self.conn_opened(conn, *opening),
            Input::Derived { conn, salted } => self.derived(conn, &salted),
            Input::ConnLine { conn, line } => self.conn_line(conn, &line),
            Input::ConnWritten { conn, lines } => self.conn_written(conn, lines),
            Input::Noted { puppet, seq } => self.noted(puppet, seq),
            Input::ConnClosed { conn, why } => self.conn_closed(conn, why),
            Input::Stopping => self.stopping(),
            Input::Held(row) => self.hold_known(row),
            Input::Reconnect { user } => self.reconnect(&user),
            Input::Remembered(saying) => self.memory.recall(saying),
            Input::Said { seq, event } => self.named_by_homeserver(seq, event),
            Input::Typing { room, users } => self.room_types(&room, &users),
            Input::Query(row) => self.query_known(row),
            Input::QueryDone { step, result } => self.query_done(step, result),
            Input::Banned(row) => self.ban_known(row),
            Input::GhostsIn { room, ghosts } => self.ghosts_known(&room, &ghosts),
            Input::Rule(rule) => self.rule_known(rule),
            Input::StepDone { room, key: StepKey::Ghost(user), result } => {
                self.step_done(&room, &user, &result)
            }
            Input::StepDone {
                room,
                key: key @ (StepKey::Topic | StepKey::Power | StepKey::JoinRule),
                result,
            } => self.state_set(&room, &key, &result),
            Input::StepDone { room, key: StepKey::Door, result } => self.door_set(&room, &result),
            Input::StepDone { room, key: StepKey::Ban(user), result } => {
                self.ghost_pardoned(&room, &user, &result);
            }
            Input::StepDone { room, key: StepKey::Place(child), result } => {
                self.place_done(&room, &child, &result);
            }
            Input::KickDone { room, user, result } => self.kick_done(&room, &user, &result),
            Input::StepDone { room, key: StepKey::Plate(_), result } => self.plate_done(&room, &result),
            Input::Succeeded { room, to, result } => self.succeeded(&room, &to, result),
            Input::PairingOver(row) => self.pairing_over(&row),
            Input::LookUp { ask, what } => self.look_up(ask, what),
            Input::PolicyRules { rules, concerns } => self.rules_changed(rules, &concerns),
            Input::PolicyChanged(policy) => self.policy_changed(*policy),
            Input::NickKept(row) => self.nick_known(row),
            Input::Barred(row) => self.bar_known(&row),
            Input::Tombstoned(row) => self.tombstone_known(row),
            Input::Space(room) => self.space_known(room),
            Input::SpaceFound(result) => self.space_found(result),
            Input::Plumbed { room, channel, result } => self.plumbed(&room, &channel, result),
            Input::Reach { user, reach } => self.reach_known(user, reach),
            Input::KeyKept { user, channel, key } => self.key_known(&user, &channel, key),
            Input::RealnameKept { user, realname } => self.realname_known(&user, realname),
            Input::IgnoresKept { user, masks } => self.ignores_known(&user, masks),
            Input::MentionsOff { user } => self.mentions_off_known(&user),
        }
        self.look_after_errands(whose);
        self.watch_changed();
        self.goodbye_if_all_is_answered();
        self.tell_failures();
        self.note_speakers();
        match self.life {
            Life::Stopping => self.remember(),
            Life::Loading | Life::Running | Life::Finishing => self.remember_soon(),
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Option<Time> {
        self.timers.next()
    }

    /// Does everything that is due.
    pub fn handle_timeout(&mut self, now: Time) {
        self.set_now(now);
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Session(conn) => self.session_due(conn),
                Timer::Pacer => self.dial_next(),
                Timer::Dial(puppet) => self.ask_to_dial(puppet),
                Timer::Expiry(puppet) => self.expire(puppet),
                Timer::Linger(puppet) => self.linger_over(puppet),
                Timer::Rename(puppet) => self.rename(puppet),
                Timer::Ledger(channel) => self.ledger_due(&channel),
                Timer::Tell(room) => self.tell_count(&room),
                Timer::Idle(puppet) => self.idle_due(puppet),
                Timer::Outage => self.outage_due(),
                Timer::Failures(room) => self.failures_due(&room),
                Timer::Doubts(puppet) => self.weigh(puppet),
                Timer::Goodbye => self.goodbye(),
                Timer::Remember => self.remember(),
                Timer::Typing => self.typing_goes_on(),
                Timer::Queries(puppet) => self.queries_due(puppet),
                Timer::Access(channel) => self.access_due(&channel),
                Timer::Members => self.members_due(),
                Timer::Gate => self.gate_due(),
                Timer::Plates => self.plates_due(),
                Timer::Modes(channel) => self.modes_due(&channel),
                Timer::Limit(channel) => self.limit_due(&channel),
                Timer::Errands => self.errands_due(),
                Timer::Space => self.space_due(),
                Timer::Wishes => self.wishes_due(),
            }
        }
        self.look_after_errands(None);
        self.watch_changed();
        self.goodbye_if_all_is_answered();
        self.tell_failures();
        self.note_speakers();
        self.remember_soon();
    }

    /// Moves what is to be done to the end of `into`, in order.
    pub fn take_effects(&mut self, into: &mut Vec<Effect>) {
        into.append(&mut self.out);
        self.out_read = 0;
    }

    /// A channel that some of ours are in or ask for, to look at.
    pub fn channel_of(&self, name: &ChannelName) -> Option<&Channel> {
        self.channels.get(name)
    }

    /// True when nothing more is owed to any connection: after `Stopping`.
    pub fn is_stopped(&self) -> bool {
        self.life == Life::Stopping && self.connections == 0
    }

    fn set_now(&mut self, now: Time) {
        self.now = self.now.max(now);
        self.clock.set(self.now);
    }

    fn map(&self) -> CaseMap {
        self.isupport.casemap.unwrap_or_default()
    }

    fn settle(&mut self, seq: InboxSeq, outcome: Outcome) {
        self.out.push(Effect::Settle { seq, outcome });
        self.ends(seq);
    }

    /// What became of a message is known; it is settled with this or, where its sender is to hear of it first, later.
    fn ends(&mut self, seq: InboxSeq) {
        let progress = self.under_way.remove(&seq);
        self.out.extend(progress.and_then(|mut progress| progress.written(seq)));
    }

    fn puppet(&mut self, id: PuppetId) -> &mut Puppet {
        // Numbers are given by `ensure_puppet` only, and puppets are never removed.
        &mut self.puppets[id.0 as usize]
    }

    /// A puppet's place in a channel, by its connection's own stream.
    fn standing(&self, id: PuppetId, channel: &ChannelName) -> Option<Standing> {
        self.puppets[id.0 as usize].session.as_ref()?.standing(channel)
    }

    /// The puppet of a connection, while it is that puppet's connection.
    fn puppet_of(&mut self, conn: ConnId) -> Option<&mut Puppet> {
        let puppet = self.puppets.get_mut(conn.puppet.0 as usize)?;
        puppet.session.as_ref().is_some_and(|session| session.conn == conn).then_some(puppet)
    }

    fn channel(&mut self, name: &ChannelName) -> &mut Channel {
        self.channels.entry(name.clone()).or_insert_with(|| Channel::new(name.clone()))
    }
}
