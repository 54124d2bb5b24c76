//! Invitations, both ways: who is invited to a channel on IRC is invited to its room, and who invites a ghost to a room
//! invites the person to the channel, with the server's answer.

use std::collections::BTreeMap;

use super::super::effect::{Effect, Verdict};
use super::super::policy::{DynamicPortals, Shown};
use super::super::portal::birth::Step;
use super::super::queries::pace::{ALL_MAX, Pace};
use super::super::session::places::Standing;
use super::super::session::seen::Person;
use super::Network;
use super::removed::sentence;
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, RoomId, UserId};

/// People who wait for one room that is being made, at most.
const WAITING_MAX: usize = 64;
/// Invitations by all people of Matrix together that are said on IRC in a minute.
const ASKED_ALL_MAX: u32 = 120;

/// Invitations on their way.
#[derive(Debug, Default)]
pub(super) struct Invites {
    /// From IRC.
    pace: Pace,
    /// Who is to be invited once the channel has its room, and why.
    waiting: BTreeMap<ChannelName, BTreeMap<UserId, String>>,
    /// To IRC, in the order in which they were sent; no more than connections may have questions.
    asked: Vec<Asked>,
}

/// An invitation that the server has not answered.
#[derive(Debug)]
struct Asked {
    conn: ConnId,
    channel: ChannelName,
    nick: Nick,
    room: RoomId,
    ghost: UserId,
}

impl Network {
    /// Somebody on IRC invites a puppet to a channel.
    pub(super) fn invited_on_irc(
        &mut self,
        conn: ConnId,
        who: &Nick,
        (by, person): (&str, Option<&Person>),
        channel: &ChannelName,
    ) {
        // The bot goes where it is asked to by nobody.
        if !self.is_me(conn, who) || self.is_bot(conn.puppet) {
            return;
        }
        let id = conn.puppet;
        if !self.puppet(id).wanted.contains(channel) {
            let is_ignored = person
                .is_some_and(|person| self.is_ignored(id, &person.nick, &person.mask().unwrap_or_default()));
            if is_ignored {
                return;
            }
            return self.pass_invitation(id, by, channel);
        }
        if self.standing(id, channel).is_none() {
            // Its person is in a room of the channel, and it was not let in: now it is.
            self.puppet(id).forgive(channel);
            self.join_channels(id, vec![channel.clone()]);
        }
    }

    /// The puppet's person is invited to the channel's room, which is made where there is none.
    fn pass_invitation(&mut self, id: PuppetId, by: &str, channel: &ChannelName) {
        let rules = &self.policy.directory;
        let (is_on, per_minute) = (rules.invites == Shown::On, rules.invites_per_minute);
        let room = self.portals.own_room(channel).map(|portal| portal.room.clone());
        let may_make = self.policy.dynamic_portals == DynamicPortals::On;
        let is_barred = self.is_excluded(channel) || self.is_dismissed(channel);
        if !is_on || is_barred || (room.is_none() && !may_make) {
            return;
        }
        if self.invites.pace.take(self.now, id, per_minute, ALL_MAX).is_err() {
            return;
        }
        let (user, network) = (self.puppet(id).user.clone(), &self.policy.network_name);
        let reason = format!("{by} invites you to {channel} on {network}");
        match room {
            Some(room) => self.out.push(Effect::Invite { room, user, reason }),
            None if self.has_consent(channel) => self.invite_when_made(channel, user, reason),
            None => {}
        }
    }

    fn invite_when_made(&mut self, channel: &ChannelName, user: UserId, reason: String) {
        let Some(alias) = self.policy.aliases.alias(channel, &self.policy.server_name) else { return };
        match self.births.want(channel, &alias) {
            Step::Refuse => return,
            Step::Wait => {}
            Step::Begin => self.out.push(Effect::CreateRoom { channel: channel.clone(), alias }),
        }
        let waiting = self.invites.waiting.entry(channel.clone()).or_default();
        if waiting.len() < WAITING_MAX {
            waiting.entry(user).or_insert(reason);
        }
    }

    /// The room of a channel has come, or will not come.
    pub(super) fn invite_waiting(&mut self, channel: &ChannelName, room: Option<&RoomId>) {
        let waiting = self.invites.waiting.remove(channel).unwrap_or_default();
        let Some(room) = room else { return };
        for (user, reason) in waiting {
            self.out.push(Effect::Invite { room: room.clone(), user, reason });
        }
    }

    /// Somebody of Matrix invites a ghost to a channel's room: where the person is not in the channel, they are invited
    /// there.
    pub(super) fn ghost_invited(&mut self, room: &RoomId, sender: &UserId, ghost: &UserId) {
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        let Some(nick) = self.nick_of_ghost(ghost) else { return };
        if let Some(why) = self.is_one_of_ours(&nick) {
            return self.not_invited(room, ghost, &nick, &channel, &why);
        }
        let roster = self.channels.get(&channel).map(|known| known.roster());
        if roster.is_some_and(|roster| roster.is_known() && roster.get(&nick).is_some()) {
            return;
        }
        match self.ask_in(sender, &channel, &nick) {
            Ok(conn) => {
                let (room, ghost) = (room.clone(), ghost.clone());
                self.invites.asked.push(Asked { conn, channel, nick, room, ghost });
                self.take_answers(conn);
            }
            Err(why) => self.not_invited(room, ghost, &nick, &channel, &why),
        }
    }

    /// Lets somebody's puppet invite a nick; if it cannot, why.
    fn ask_in(&mut self, sender: &UserId, channel: &ChannelName, nick: &Nick) -> Result<ConnId, String> {
        if let Some(why) = self.silenced(sender, &channel.clone().into()) {
            return Err(sentence(&why));
        }
        let id = self.puppet_ids.get(sender).copied();
        let place = id.filter(|id| self.standing(*id, channel) == Some(Standing::In));
        let network = &self.policy.network_name;
        let Some(id) = place else { return Err(format!("{sender} is not in {channel} on {network} now")) };
        let max = self.policy.queries.contacts_per_minute;
        if self.query_paces.1.take(self.now, id, max, ASKED_ALL_MAX).is_err() {
            return Err("That were many invitations; try again in a minute".to_owned());
        }
        let sent =
            self.with_session(id, |session, out| session.invite(nick, channel, out).map(|()| session.conn));
        match sent {
            Some(Ok(conn)) => Ok(conn),
            Some(Err(_)) | None => Err("Too much waits to be sent; try again in a minute".to_owned()),
        }
    }

    /// The server has answered to the oldest such invitation of this connection, or will not.
    pub(super) fn invite_answered(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        nick: &Nick,
        verdict: Verdict,
    ) {
        let is_it = |asked: &Asked| asked.conn == conn && asked.channel == *channel && asked.nick == *nick;
        let Some(at) = self.invites.asked.iter().position(is_it) else { return };
        let Asked { room, ghost, .. } = self.invites.asked.remove(at);
        match verdict {
            Verdict::Accepted => {
                let network = &self.policy.network_name;
                let text = format!("{nick} has been invited to {channel} on {network}.");
                self.tell(&room, text, None);
            }
            Verdict::Refused(refusal) => {
                let words = self.explained(&refusal);
                self.not_invited(&room, &ghost, nick, channel, &words);
            }
            Verdict::Doubtful(_) | Verdict::Unknown => {
                let words = "The server did not answer; perhaps it took the invitation after all";
                self.not_invited(&room, &ghost, nick, channel, words);
            }
        }
    }

    /// A connection is over: nobody answers for its invitations.
    pub(super) fn invites_unanswered(&mut self, conn: ConnId) {
        while let Some(asked) = self.invites.asked.iter().find(|asked| asked.conn == conn) {
            let (channel, nick) = (asked.channel.clone(), asked.nick.clone());
            self.invite_answered(conn, &channel, &nick, Verdict::Unknown);
        }
    }

    /// Tells why somebody was not invited, and takes the invitation to the room back: the ghost declines.
    fn not_invited(&mut self, room: &RoomId, ghost: &UserId, nick: &Nick, channel: &ChannelName, why: &str) {
        let text = format!("{nick} was not invited to {channel}. {why}.");
        self.tell(room, text, None);
        let reason = why.to_owned();
        self.out.push(Effect::LeaveQuery { room: room.clone(), ghost: ghost.clone(), reason });
    }

    /// True for a channel that is never bridged.
    pub(super) fn is_excluded(&self, channel: &ChannelName) -> bool {
        self.policy.excluded_channels.iter().any(|name| self.map().eq(name, channel.as_str()))
    }
}
