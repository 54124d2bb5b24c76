//! People's own room and a channel: bridged at once where who asks is an operator of the channel on IRC, else asked for; ended;
//! listed.
//!
//! ```text
//!   Plumb ─▶ may it be? ─┬─ their puppet is an operator there ──────────────▶ the shell looks, and pairs ─▶ Linked
//!                        └─ NAMES ─▶ operators ─▶ asked (`operators::rooms`) ─▶ Asked
//! ```
//!
//! That who asks has the power for it in the room was looked at before, and is looked at again when the room is paired: days
//! may lie between.

use super::super::super::effect::{CommandAnswer, Refusal, Verdict};
use super::super::super::errand::plumbing::{Link, LinkState, Plumbing, Unplumbable};
use super::super::super::errand::{ROWS_MAX, Report};
use super::super::super::input::{AskId, PortalOrigin, Whose};
use super::super::super::operators::rules::wish::{Reply, Wish};
use super::super::super::policy::{Permission, PlumbingBy};
use super::super::super::session::places::Standing;
use super::super::super::session::question::{Command, Giver};
use super::super::Network;
use super::join::is_key;
use super::waiting::{Needs, Stage};
use super::{BAD_NAME, NOT_ALLOWED, NOT_CONNECTED, TOO_MANY};
use crate::ids::{ChannelName, Nick, PuppetId, RoomId, UserId};
use crate::secret::Secret;
use crate::text::line::Line;

/// Rooms of one channel, at most, whoever bridged them.
const ROOMS_OF_CHANNEL_MAX: usize = 10;

/// What waits for operators to be known, or for the room to be paired.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub channel: ChannelName,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// Who they are.
    Operators,
    /// Whether this room may be bridged; the key is for who asks, and one operator may be named.
    Room { room: RoomId, key: Option<Secret>, operator: Option<String> },
}

/// What `Errand::Plumb` holds.
pub(super) struct Wanted {
    pub room: RoomId,
    pub channel: String,
    pub key: Option<Secret>,
    pub operator: Option<String>,
}

impl Network {
    pub(super) fn plumb_asked(
        &mut self,
        ask: AskId,
        user: &UserId,
        wanted: Wanted,
    ) -> Result<Option<Report>, Refusal> {
        let Wanted { room, channel, key, operator } = wanted;
        let channel = self.channel_named(&channel)?;
        if key.as_ref().is_some_and(|key| !is_key(key.expose())) {
            return Err(Refusal::ours(
                BAD_NAME,
                "this can be no key: a key has no blanks and no comma in it",
            ));
        }
        if self.policy.admission.permissions.of(user) < Permission::Plumber {
            let words = "bridging rooms takes the permission `plumber`: ask who runs the bridge for it";
            return Err(Refusal::ours(NOT_ALLOWED, words));
        }
        if let Some(why) = self.unplumbable(&room, &channel) {
            return Ok(Some(Report::Plumbing(Plumbing::Refused(why))));
        }
        let what = What::Room { room: room.clone(), key, operator };
        if let Some((_, nick)) = self.rank_here(user, &channel) {
            let id = self.ensure_puppet(user, None);
            let asking = Asking { channel: channel.clone(), what };
            self.wait_for(ask, id, Needs::Nothing, Stage::Plumbing(Box::new(asking)))?;
            let wish = Wish { room, user: user.clone(), reply: Reply::Allowed };
            if self.admit_room(&channel, wish, nick.to_string()).is_err() {
                self.end_errand(ask, Report::Plumbing(Plumbing::Refused(Unplumbable::Busy)));
            }
            return Ok(None);
        }
        self.ask_names(ask, user, channel, what)
    }

    /// Why a room and a channel may not be bridged, by what the network knows.
    fn unplumbable(&self, room: &RoomId, channel: &ChannelName) -> Option<Unplumbable> {
        let rules = &self.policy.plumbing;
        if rules.by == PlumbingBy::Nobody || self.is_excluded(channel) {
            return Some(Unplumbable::Excluded);
        }
        if let Some(portal) = self.portals.of_room(room) {
            return Some(Unplumbable::RoomTaken { channel: portal.channel.to_string() });
        }
        if self.queries.of_room(room).is_some() {
            return Some(Unplumbable::Unfit {
                words: "it is a private chat with somebody on IRC".to_owned(),
            });
        }
        if self.is_dismissed(channel) {
            return Some(Unplumbable::Declined);
        }
        if let Some((_, rule, wish)) = self.wish_of_room(room) {
            return Some(Unplumbable::Waiting { since: rule.since, by: Some(wish.user) });
        }
        if self.wish_of(channel, room).is_some() {
            return Some(Unplumbable::Declined);
        }
        let rooms: Vec<RoomId> = self.portals.of_channel(channel).map(|portal| portal.room.clone()).collect();
        if rooms.len() >= ROOMS_OF_CHANNEL_MAX {
            return Some(Unplumbable::ChannelTaken { rooms });
        }
        let linked = self.portals.all().filter(|portal| portal.origin == PortalOrigin::Plumbed).count();
        let waiting = self.wishes().iter().filter(|(.., wish)| wish.reply == Reply::None).count();
        (linked + waiting >= rules.rooms_max).then_some(Unplumbable::Full { rooms_max: rules.rooms_max })
    }

    /// Who of a channel can say that it may be bridged.
    pub(super) fn operators_asked(
        &mut self,
        ask: AskId,
        user: &UserId,
        name: &str,
    ) -> Result<Option<Report>, Refusal> {
        let channel = self.channel_named(name)?;
        if self.is_excluded(&channel) {
            return Err(Refusal::ours(NOT_ALLOWED, &format!("{channel} is never bridged here")));
        }
        self.ask_names(ask, user, channel, What::Operators)
    }

    /// By the connection of who asks, where it is in the channel; else the bot's: nobody is told by us what they could not see.
    fn ask_names(
        &mut self,
        ask: AskId,
        user: &UserId,
        channel: ChannelName,
        what: What,
    ) -> Result<Option<Report>, Refusal> {
        let id = self.ensure_puppet(user, None);
        let own = self.puppets[id.0 as usize].session.as_ref().map(|session| session.conn);
        let own = own.filter(|_| self.has_ready(id) && self.standing(id, &channel) == Some(Standing::In));
        let Some(bot) = self.bot_conn() else {
            let words =
                format!("the bridge's bot is not on {} now: try again later", self.policy.network_name);
            return Err(Refusal::ours(NOT_CONNECTED, &words));
        };
        let by = own.unwrap_or(bot);
        let asking = Asking { channel: channel.clone(), what };
        self.wait_for(ask, id, Needs::Nothing, Stage::Plumbing(Box::new(asking)))?;
        let line = Line::new("NAMES", &[channel.as_str()]);
        let command = Command::new(Giver::Plumb(ask), &line);
        let sent =
            self.with_session(by.puppet, |session, out| session.send_command(command, line.build(), out));
        match sent {
            Some(Ok(())) => self.take_answers(by),
            Some(Err(_)) | None => {
                let words = "too much is asked of the network now: try again in a minute";
                self.refuse_errand(ask, Refusal::ours(TOO_MANY, words));
            }
        }
        Ok(None)
    }

    /// The server has said who is in the channel.
    pub(in super::super) fn names_for_errand(&mut self, ask: AskId, answer: &CommandAnswer) {
        let Some(Stage::Plumbing(asking)) = self.errands.stage(ask).cloned() else { return };
        if answer.verdict == Verdict::Unknown {
            return self.end_errand(ask, Report::Unknown);
        }
        let Asking { channel, what, .. } = *asking;
        let (mut ours, others) = self.operators_in(&channel, answer);
        ours.retain(|nick| !self.nicks.candidates(nick).any(|conn| self.is_bot(conn.puppet)));
        let report = match what {
            What::Operators => {
                Report::Operators(ours.iter().chain(&others).map(ToString::to_string).collect())
            }
            What::Room { room, operator, .. } => {
                Report::Plumbing(self.ask_them(ask, (&channel, &room), operator.as_deref(), (ours, others)))
            }
        };
        self.end_errand(ask, report);
    }

    fn ask_them(
        &mut self,
        ask: AskId,
        (channel, room): (&ChannelName, &RoomId),
        operator: Option<&str>,
        (mut ours, mut others): (Vec<Nick>, Vec<Nick>),
    ) -> Plumbing {
        if let Some(name) = operator {
            let is_it = |nick: &Nick| self.map().eq(nick.as_str(), name);
            ours.retain(is_it);
            others.retain(is_it);
            if ours.is_empty() && others.is_empty() {
                return Plumbing::Refused(Unplumbable::NoOperator { nick: name.to_owned() });
            }
        }
        if ours.is_empty() && others.is_empty() {
            return Plumbing::Refused(Unplumbable::NoOperators);
        }
        // Another errand may have been quicker.
        if let Some(why) = self.unplumbable(room, channel) {
            return Plumbing::Refused(why);
        }
        let Some(user) = self.errands.person(ask).map(|id| self.puppets[id.0 as usize].user.clone()) else {
            return Plumbing::Refused(Unplumbable::Busy);
        };
        match self.ask_about_room((channel, room), &user, (ours, others)) {
            Ok(operators) => Plumbing::Asked { channel: channel.to_string(), operators },
            Err(why) => Plumbing::Refused(why),
        }
    }

    /// What became of `Effect::Plumb`.
    pub(in super::super) fn plumbed(&mut self, room: &RoomId, name: &str, result: Result<(), Unplumbable>) {
        let Some(channel) = ChannelName::new(name, self.map()) else { return };
        let granted = self.wish_of(&channel, room).filter(|(_, wish)| wish.reply == Reply::Allowed);
        let result = match (result, granted) {
            (Ok(()), Some((rule, wish))) => {
                let text = self.wish_told(&wish, &rule);
                self.tell_outside(room, text);
                self.room_made_for(&channel);
                self.ranks_changed(&channel);
                Ok(())
            }
            // It was taken back meanwhile.
            (Ok(()), None) => {
                self.unlink(room, &format!("the operators of {channel} do not want it"));
                Err(Unplumbable::Declined)
            }
            (Err(why), granted) => {
                if granted.is_some() {
                    self.forget_wish(&channel, room);
                }
                // Nobody knows who is in it.
                self.unlink(room, "the homeserver does not say who is in the room");
                Err(why)
            }
        };
        let waits = |stage: &Stage| {
            let Stage::Plumbing(asking) = stage else { return None };
            let What::Room { room: of, key, .. } = &asking.what else { return None };
            (of == room && asking.channel == channel).then(|| key.clone())
        };
        let waiting =
            self.errands.of(None).into_iter().find_map(|(ask, id, stage)| Some((ask, id, waits(&stage)?)));
        match (waiting, result) {
            (Some((ask, id, key)), Ok(())) => {
                self.key_kept(id, &channel, key);
                self.end_errand(ask, Report::Plumbing(Plumbing::Linked { channel: channel.to_string() }));
            }
            (Some((ask, ..)), Err(why)) => self.end_errand(ask, Report::Plumbing(Plumbing::Refused(why))),
            (None, Ok(()) | Err(Unplumbable::NoRoom)) => {}
            (None, Err(_)) => {
                let text = format!(
                    "The operators of {channel} allow it, but this room cannot be bridged as it is now. Say `!irc plumb {channel}` \
                     to see why."
                );
                self.tell_outside(room, text);
            }
        }
    }

    fn key_kept(&mut self, id: PuppetId, channel: &ChannelName, key: Option<Secret>) {
        if let Some(key) = key {
            self.puppet(id).asked.keep_key(channel.clone(), key);
        }
    }

    /// The room is bridged no more, or not waited for any more.
    pub(super) fn unplumb_asked(
        &mut self,
        user: &UserId,
        room: &RoomId,
        name: Option<&str>,
    ) -> Result<Report, Refusal> {
        let named = name.map(|name| self.channel_named(name)).transpose()?;
        let is_meant = |channel: &ChannelName| named.as_ref().is_none_or(|named| named == channel);
        if let Some(portal) = self.portals.of_room(room).filter(|portal| is_meant(&portal.channel)) {
            let (channel, origin) = (portal.channel.clone(), portal.origin);
            if origin != PortalOrigin::Plumbed {
                let words =
                    format!("{channel} was not bridged here by people: who runs the bridge can end it");
                return Err(Refusal::ours(NOT_ALLOWED, &words));
            }
            self.forget_wish(&channel, room);
            let text = format!(
                "{user} has ended the bridge: {channel} and this room do not hear each other any more. `!irc plumb {channel}` asks \
                 for it again."
            );
            self.tell_outside(room, text);
            self.unlink(room, "the room is not bridged any more");
            return Ok(Report::Done);
        }
        let waiting = self.wish_of_room(room).filter(|(channel, ..)| is_meant(channel));
        let Some((channel, ..)) = waiting else {
            return Err(Refusal::ours(
                "NOT_BRIDGED",
                "this room is bridged with no such channel, and waits for none",
            ));
        };
        self.forget_wish(&channel, room);
        Ok(Report::Done)
    }

    /// What rooms of people's own are bridged with, or wait to be: one room, or all that somebody asked for, and for admins
    /// all there are.
    pub(super) fn links(&self, user: &UserId, room: Option<&RoomId>) -> Vec<Link> {
        let is_bot = *user == self.policy.bot;
        let is_admin = is_bot || self.policy.admission.permissions.of(user) == Permission::Admin;
        let is_shown = |link: &Link| room.is_some() || is_admin || link.by.as_ref() == Some(user);
        let is_meant = |one: &RoomId| room.is_none_or(|room| room == one);
        let portals = self.portals.all().filter(|portal| portal.origin.whose() == Whose::People);
        let linked = portals.filter(|portal| is_meant(&portal.room)).map(|portal| Link {
            room: portal.room.clone(),
            channel: portal.channel.to_string(),
            state: LinkState::Linked,
            by: self.wish_of(&portal.channel, &portal.room).map(|(_, wish)| wish.user),
        });
        let wishes = self.wishes().into_iter();
        let waiting = wishes.filter(|(.., wish)| wish.reply == Reply::None && is_meant(&wish.room));
        let asked = waiting.map(|(_, rule, wish)| Link {
            room: wish.room,
            channel: rule.channel,
            state: LinkState::Asked(rule.since),
            by: Some(wish.user),
        });
        linked.chain(asked).filter(is_shown).take(ROWS_MAX).collect()
    }
}
