//! Who is put out of a room, or banned there, by a person of Matrix: what it means on IRC, and what IRC says to it.
//!
//! ```text
//!   a ghost is removed ─▶ KICK ──────────────────────────────┬─ taken: it stays out
//!   a ghost is banned ──▶ USERHOST ─▶ MODE +b ─ taken ─▶ KICK │
//!                            └────────────┴─ refused ────────┴▶ its moderator is told; the ghost is back
//!   its ban is lifted ──▶ MODE -b ─ refused ─▶ its moderator is told
//! ```
//!
//! It is done by the puppet of whoever did it in the room, so the channel decides whether they may. A person of Matrix who is
//! put out just leaves the channel, with the reason. Nothing of it outlives the process but which masks were set for whom.

use std::collections::{BTreeMap, VecDeque};

use super::super::effect::{Effect, Ghost, Refusal, RoomStep, Verdict};
use super::super::input::{BanRow, Membership};
use super::super::portal::topic::one_line;
use super::super::session::places::Standing;
use super::super::session::question::{Command, Deed, Giver};
use super::Network;
use super::ban_lists::Ban;
use super::membership::Whereabouts;
use super::removed::sentence;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, RoomId, Time, UserId};
use crate::text::casemap::CaseMap;
use crate::text::line::Line;
use crate::text::mask;

/// Returns of ghosts that are remembered, at most, and for so long; and those of one ghost after which it stays out.
const RETURNED_MAX: usize = 256;
const RETURNED_MS: u64 = 3_600_000;
const RETURNS_MAX: usize = 3;
/// What waits for an answer in one network, at most. Full: a further removal is undone, and its moderator told.
const OPEN_MAX: usize = 256;
/// Bans that can be lifted from Matrix, at most. Full: a further one is lifted on IRC only.
const BANS_MAX: usize = 10_000;
/// Longest reason that is passed on, in bytes.
const REASON_BYTES_MAX: usize = 200;
/// RPL_USERHOST.
const USER_HOST: &str = "302";
/// ERR_NOSUCHNICK and ERR_USERNOTINCHANNEL: whom we would remove is gone.
const ABSENT: [&str; 2] = ["401", "441"];

/// What is under way, and what was done.
#[derive(Debug, Default)]
pub(super) struct Removals {
    last: u64,
    open: BTreeMap<u64, Removal>,
    /// The masks set for ghosts that are banned in rooms.
    pub(super) bans: BTreeMap<(RoomId, UserId), String>,
    /// Who was let in again lately, the latest last. Full: the oldest is forgotten.
    returned: VecDeque<(Time, RoomId, UserId)>,
}

/// Something that a moderator did to a ghost.
#[derive(Clone, Debug)]
struct Removal {
    conn: ConnId,
    by: UserId,
    room: RoomId,
    ghost: UserId,
    channel: ChannelName,
    nick: Nick,
    reason: String,
    stage: Stage,
    /// Whether they were let in again while they were being banned.
    is_taken_back: bool,
}

impl Removals {
    /// A number for one more deed.
    pub(super) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A ghost that was put out is in the room again.
    fn note_returned(&mut self, now: Time, room: &RoomId, ghost: &UserId) {
        if self.returned.len() >= RETURNED_MAX {
            self.returned.pop_front();
        }
        self.returned.push_back((now, room.clone(), ghost.clone()));
    }

    /// Who is banned in a room, with the masks.
    pub(super) fn bans_in<'a>(&'a self, room: &'a RoomId) -> impl Iterator<Item = Ban> + 'a {
        self.bans.iter().filter(move |((of, _), _)| of == room).map(|(key, mask)| (key.clone(), mask.clone()))
    }

    /// Bans by this mask to which the server has not answered yet.
    pub(super) fn setting(&self, channel: &ChannelName, mask: &str, map: CaseMap) -> Vec<u64> {
        let is_it = |removal: &Removal| {
            removal.channel == *channel && matches!(&removal.stage, Stage::Ban(set) if map.eq(set, mask))
        };
        self.open.iter().filter(|(_, removal)| is_it(removal)).map(|(number, _)| *number).collect()
    }

    fn is_returned_enough(&self, now: Time, room: &RoomId, ghost: &UserId) -> bool {
        let is_it = |(at, of, who): &(Time, RoomId, UserId)| {
            of == room && who == ghost && now.since_ms(*at) < RETURNED_MS
        };
        self.returned.iter().filter(|returned| is_it(returned)).count() >= RETURNS_MAX
    }

    /// A ban that is under way is to be lifted when it is there.
    fn take_back(&mut self, (room, ghost): &(RoomId, UserId)) {
        let is_it = |removal: &&mut Removal| removal.room == *room && removal.ghost == *ghost;
        for removal in self.open.values_mut().filter(is_it) {
            removal.is_taken_back = true;
        }
    }
}

/// What is asked of the server now.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// By which host a ban would mean nobody else.
    Host,
    Ban(String),
    /// With the mask of those who are banned as well.
    Kick(Option<String>),
    Unban(String),
}

impl Network {
    /// The homeserver tells that one of ours is in a room or is not. Who did it may want the same on IRC.
    pub(super) fn ghost_changed(
        &mut self,
        room: &RoomId,
        sender: &UserId,
        ghost: &UserId,
        membership: Membership,
        reason: Option<&str>,
    ) {
        let was_in = self.members.has(room, ghost);
        self.ghost_moved(room, sender, ghost, membership);
        let meant = self.policy.moderation.to_irc;
        let portal = self.portals.of_room(room).filter(|portal| meant.has(portal.origin));
        let Some(channel) = portal.map(|portal| portal.channel.clone()) else { return };
        if self.is_ours(sender) || *ghost == self.policy.bot {
            return;
        }
        let key = (room.clone(), ghost.clone());
        let stage = match membership {
            // It is set already: the room was replaced, or only the reason is another.
            Membership::Ban if self.removals.bans.contains_key(&key) => return,
            Membership::Ban => Stage::Host,
            Membership::Leave => match self.ban_lifted(&key.0, &key.1) {
                Some(mask) => Stage::Unban(mask),
                None if was_in => Stage::Kick(None),
                // Or an invitation was taken back, or a ban that was never ours.
                None => return self.removals.take_back(&key),
            },
            Membership::Join | Membership::Invite | Membership::Knock => return,
        };
        // Whoever was never on IRC as this nick is not removed there.
        let Some(nick) = self.policy.ghosts.parse(ghost.localpart(), self.map()) else { return };
        let (by, room, ghost) = (sender.clone(), room.clone(), ghost.clone());
        let reason = one_line(reason.unwrap_or_default(), REASON_BYTES_MAX);
        // Until it is known who acts: a number that no connection has.
        let conn = ConnId { puppet: PuppetId(u32::MAX), generation: 0 };
        let removal = Removal { conn, by, room, ghost, channel, nick, reason, stage, is_taken_back: false };
        self.remove_on_irc(removal);
    }

    /// An earlier run has set a ban.
    pub(super) fn ban_known(&mut self, BanRow { room, ghost, mask }: BanRow) {
        self.removals.bans.insert((room, ghost), mask);
    }

    fn ban_set(&mut self, room: &RoomId, ghost: &UserId, mask: &str) {
        self.ban_lists.set_again(room, ghost);
        if self.removals.bans.len() < BANS_MAX {
            let row = BanRow { room: room.clone(), ghost: ghost.clone(), mask: mask.to_owned() };
            self.ban_known(row.clone());
            self.out.push(Effect::SaveBan(row));
        }
    }

    pub(super) fn ban_lifted(&mut self, room: &RoomId, ghost: &UserId) -> Option<String> {
        let (room, ghost) = (room.clone(), ghost.clone());
        let mask = self.removals.bans.remove(&(room.clone(), ghost.clone()))?;
        self.out.push(Effect::DropBan { room, ghost });
        Some(mask)
    }

    fn remove_on_irc(&mut self, removal: Removal) {
        let whereabouts = self.whereabouts(&removal.channel, &removal.room, Some(&removal.nick));
        let is_there = matches!(whereabouts, Whereabouts::Here(_) | Whereabouts::Unknown);
        if removal.stage == Stage::Kick(None) && !is_there {
            return;
        }
        if let Some(why) = self.silenced(&removal.by, &removal.channel.clone().into()) {
            return self.not_removed(removal, &sentence(&why));
        }
        let id = self.puppet_ids.get(&removal.by).copied();
        let id = id.filter(|id| self.standing(*id, &removal.channel) == Some(Standing::In));
        let session = id.and_then(|id| self.puppets[id.0 as usize].session.as_ref());
        match session.map(|session| session.conn) {
            Some(conn) if self.removals.open.len() < OPEN_MAX => {
                self.removal_goes_on(Removal { conn, ..removal })
            }
            Some(_) => self.not_removed(removal, "Too much waits for the network; try again in a minute"),
            None => {
                let (by, channel) = (&removal.by, &removal.channel);
                let words = format!("{by} is not in {channel} on {} now", self.policy.network_name);
                self.not_removed(removal, &words);
            }
        }
    }

    /// Asks what the stage of a removal asks for. Where somebody of Matrix has the nick by now, nothing: they are not meant.
    fn removal_goes_on(&mut self, removal: Removal) {
        if !matches!(removal.stage, Stage::Unban(_)) && self.is_one_of_ours(&removal.nick).is_some() {
            return self.not_removed(removal, "Somebody of this bridge has that nick now");
        }
        let number = self.removals.number();
        let (id, conn) = (removal.conn.puppet, removal.conn);
        let Removal { channel, nick, reason, .. } = &removal;
        let (command, params, mask) = match &removal.stage {
            Stage::Host => ("USERHOST", vec![nick.as_str()], ""),
            Stage::Ban(mask) => ("MODE", vec![channel.as_str(), "+b", mask], mask.as_str()),
            Stage::Unban(mask) => ("MODE", vec![channel.as_str(), "-b", mask], mask.as_str()),
            Stage::Kick(_) if reason.is_empty() => ("KICK", vec![channel.as_str(), nick.as_str()], ""),
            Stage::Kick(_) => ("KICK", vec![channel.as_str(), nick.as_str(), reason], ""),
        };
        let line = Line::new(command, &params);
        let kicks = matches!(removal.stage, Stage::Kick(_)).then(|| nick.clone());
        let deed = Deed { number, command, channel: channel.clone(), kicks, mask: mask.to_owned() };
        let sent = self.with_session(id, |session, out| match deed.command {
            _ if session.conn != conn => false,
            "USERHOST" => {
                let command = Command::new(Giver::Deed(number), &line);
                session.send_command(command, line.build(), out).is_ok()
            }
            _ => session.act(deed, line.build(), out).is_ok(),
        });
        if sent == Some(true) {
            self.removals.open.insert(number, removal);
            self.take_answers(conn);
        } else {
            self.not_removed(removal, "Too much waits to be sent; try again in a minute");
        }
    }

    /// The server has said under which user name and host it shows somebody, or will not.
    pub(super) fn host_heard(&mut self, number: u64, lines: &[Line]) {
        let Some(removal) = self.removals.open.remove(&number) else { return };
        if removal.is_taken_back {
            return;
        }
        let host = host_in(lines, &removal.nick, self.map());
        let narrow = host.and_then(|host| mask::of_host(&host)).filter(|mask| !self.means_us(mask));
        let mask = narrow.unwrap_or_else(|| format!("{}!*@*", removal.nick));
        self.removal_goes_on(Removal { stage: Stage::Ban(mask), ..removal });
    }

    /// Whether a mask means any puppet: then it would ban somebody else.
    fn means_us(&self, mask: &str) -> bool {
        let sessions = self.puppets.iter().filter_map(|puppet| puppet.session.as_ref());
        let mut known = sessions
            .filter_map(|session| Some(format!("{}!{}", session.nick()?, self.nicks.mask(session.conn)?)));
        known.any(|person| mask::matches(mask, &person, self.map()))
    }

    /// The server has answered to what was done, or will not.
    pub(super) fn deed_answered(&mut self, number: u64, verdict: Verdict) {
        let Some(removal) = self.removals.open.remove(&number) else {
            return self.door_answered(number, &verdict);
        };
        let is_lifted = self.ban_lists.take_lifted(number);
        match (removal.stage.clone(), verdict) {
            (Stage::Ban(mask), Verdict::Accepted) if is_lifted && !removal.is_taken_back => {
                self.ban_set(&removal.room, &removal.ghost, &mask);
                self.mask_lifted(&removal.channel, &mask);
            }
            (Stage::Ban(mask), Verdict::Accepted) if removal.is_taken_back => {
                self.removal_goes_on(Removal { stage: Stage::Unban(mask), ..removal });
            }
            (Stage::Ban(mask), Verdict::Accepted) => {
                self.ban_set(&removal.room, &removal.ghost, &mask);
                self.removal_goes_on(Removal { stage: Stage::Kick(Some(mask)), ..removal });
            }
            (Stage::Kick(_) | Stage::Unban(_) | Stage::Host, Verdict::Accepted) => {}
            (Stage::Kick(_), Verdict::Refused(refusal)) if is_for_absence(&refusal) => {}
            (_, Verdict::Refused(refusal)) => {
                let words = self.explained(&refusal);
                self.not_removed(removal, &words);
            }
            (Stage::Kick(_), Verdict::Doubtful(_) | Verdict::Unknown) if self.is_gone(&removal) => {}
            (_, Verdict::Doubtful(_) | Verdict::Unknown) => {
                self.not_removed(removal, "The server did not answer");
            }
        }
    }

    fn is_gone(&self, removal: &Removal) -> bool {
        self.whereabouts(&removal.channel, &removal.room, Some(&removal.nick)) == Whereabouts::Gone
    }

    /// A connection is over: nobody answers for what it was to do.
    pub(super) fn deeds_unanswered(&mut self, conn: ConnId) {
        let open = self.removals.open.iter().filter(|(_, removal)| removal.conn == conn);
        let numbers: Vec<u64> = open.map(|(number, _)| *number).collect();
        for number in numbers {
            self.deed_answered(number, Verdict::Unknown);
        }
        self.doors_unanswered(conn);
    }

    /// What was done in the room was not done in the channel: whoever did it is told why, and it is undone where they
    /// whom it was done to are still in the channel.
    fn not_removed(&mut self, removal: Removal, why: &str) {
        let Removal { by, room, ghost, channel, nick, .. } = &removal;
        let whereabouts = self.whereabouts(channel, room, Some(nick));
        // Whoever puts them out again means it: two who disagree do not fill a room with events.
        let is_again = self.removals.is_returned_enough(self.now, room, ghost);
        let is_here = matches!(whereabouts, Whereabouts::Here(_)) && !is_again;
        let what = match &removal.stage {
            Stage::Unban(mask) => {
                self.ban_set(room, ghost, mask);
                format!("{nick} is still banned from {channel}, by {mask}")
            }
            Stage::Kick(None) if is_here => {
                format!("{nick} was not removed from {channel}, and is here again")
            }
            Stage::Kick(None) => format!("{nick} was not removed from {channel}, but from this room only"),
            Stage::Host | Stage::Ban(_) | Stage::Kick(Some(_)) if is_here => {
                format!("{nick} was not banned from {channel}, and is here again")
            }
            Stage::Host | Stage::Ban(_) | Stage::Kick(Some(_)) => {
                format!("{nick} was not banned from {channel}, but in this room only")
            }
        };
        let text = format!("{by}: {what}. {why}.");
        self.tell(&room.clone(), text, None);
        match &removal.stage {
            Stage::Unban(_) => return,
            Stage::Kick(Some(mask)) if is_here => self.lift(&removal, mask),
            Stage::Kick(_) | Stage::Host | Stage::Ban(_) => {}
        }
        if let Whereabouts::Here(nick) = whereabouts
            && is_here
        {
            self.removals.note_returned(self.now, room, ghost);
            self.members.inside(room, ghost);
            let ghost = Ghost { user: ghost.clone(), display_name: nick.as_str().to_owned() };
            self.out.push(Effect::Step { room: room.clone(), step: RoomStep::GhostReturns(ghost) });
        }
    }

    /// Takes back a ban of ours whose other half did not come about. Nobody waits for the answer.
    fn lift(&mut self, removal: &Removal, mask: &str) {
        self.ban_lifted(&removal.room, &removal.ghost);
        let (number, channel) = (self.removals.number(), removal.channel.clone());
        let line = Line::new("MODE", &[channel.as_str(), "-b", mask]).build();
        let deed = Deed { number, command: "MODE", channel, kicks: None, mask: mask.to_owned() };
        self.with_session(removal.conn.puppet, |session, out| session.act(deed, line, out).ok());
    }

    /// What a channel is told of somebody whom a moderator put out of its room; empty where they left by themselves, or
    /// the bridge did it, which the channel knows.
    pub(super) fn farewell_of(
        &self,
        sender: &UserId,
        target: &UserId,
        membership: Membership,
        reason: Option<&str>,
    ) -> String {
        if sender == target || self.is_ours(sender) {
            return String::new();
        }
        let session = self.puppet_ids.get(sender).and_then(|id| self.puppets[id.0 as usize].session.as_ref());
        let nick = session.and_then(|session| session.nick()).map(|nick| nick.as_str());
        let what = if membership == Membership::Ban { "banned" } else { "removed" };
        let words = format!("{what} by {}", nick.unwrap_or(sender.as_str()));
        match one_line(reason.unwrap_or_default(), REASON_BYTES_MAX) {
            reason if reason.is_empty() => words,
            reason => format!("{words}: {reason}"),
        }
    }
}

/// `302 me :eve=+~e@host carl*=-c@other` (RFC 2812 section 5.1).
fn host_in(lines: &[Line], nick: &Nick, map: CaseMap) -> Option<String> {
    let entries = lines.iter().filter(|line| line.command == USER_HOST).filter_map(|line| line.params.last());
    entries.flat_map(|entries| entries.split(' ')).find_map(|entry| {
        let (who, host) = entry.split_once('=')?;
        let is_it = map.eq(who.trim_end_matches('*'), nick.as_str());
        is_it.then(|| host.trim_start_matches(['+', '-']).to_owned())
    })
}

fn is_for_absence(refusal: &Refusal) -> bool {
    ABSENT.contains(&refusal.code.as_str())
}
