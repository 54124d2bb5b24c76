//! Rooms that people want to bridge with a channel: its operators are asked, and answer on IRC or in their room.
//!
//! ```text
//!   asked for ─▶ waits ─┬─ allowed ─▶ looked at by the shell, paired ─▶ bridged ─▶ dismissed ─▶ refused
//!                       ├─ refused: remembered, and not asked again              └▶ unlinked by its people: forgotten
//!                       └─ no answer in WAIT_MS: forgotten
//! ```
//!
//! Each room is asked for by itself: that the channel may have a room of the bridge's own lets no stranger's room in. The
//! wish is a rule of the channel and outlives a restart in each of these states.

use super::super::super::effect::{Effect, Verdict};
use super::super::super::errand::plumbing::Unplumbable;
use super::super::super::input::PortalOrigin;
use super::super::super::operators::answer::Answer;
use super::super::super::operators::answer::rooms::{RoomAnswer, WAITS};
use super::super::super::operators::command::Deed;
use super::super::super::operators::rules::wish::{Reply, Wish};
use super::super::super::operators::rules::{Asked, Full, Rule};
use super::super::super::policy::Asks;
use super::super::super::session::question::Giver;
use super::super::super::timer::Timer;
use super::super::Network;
use super::Open;
use super::consent::OPERATORS_MAX;
use super::told::bracketed;
use crate::ids::{ChannelName, ConnId, Nick, RoomId, UserId};

/// How long operators have for an answer; [`WAITS`] says it.
const WAIT_MS: u64 = 7 * 24 * 3_600_000;
/// Rooms that wait for an answer: of one channel, of one person, and of all. Full: a further one is refused as too much.
const WAITING_OF_CHANNEL_MAX: usize = 3;
const WAITING_OF_ONE_MAX: usize = 5;
const WAITING_MAX: usize = 200;

// Asking.
impl Network {
    /// Asks the operators whether the room may be bridged; gives who was asked.
    pub(in super::super) fn ask_about_room(
        &mut self,
        (channel, room): (&ChannelName, &RoomId),
        user: &UserId,
        (ours, mut others): (Vec<Nick>, Vec<Nick>),
    ) -> Result<Vec<String>, Unplumbable> {
        let Some(conn) = self.bot_conn().filter(|_| self.may_wait(channel, user)) else {
            return Err(Unplumbable::Busy);
        };
        let wish = Wish { room: room.clone(), user: user.clone(), reply: Reply::None };
        self.keep_wish(channel, wish, String::new(), None).map_err(|Full| Unplumbable::Busy)?;
        let words = format!(
            "{user} asks to bridge the room {room} with {channel}: who is in it would read and speak in the channel, each with an \
             IRC user of their own"
        );
        let how = format!("\"allow {channel} {room}\" or \"deny {channel} {room}\"");
        if self.ask_here(channel, &ours, &words, &how) == 0 && others.is_empty() {
            // Of ours nobody is in a room of the channel.
            self.forget_wish(channel, room);
            return Err(Unplumbable::NoOperators);
        }
        self.timers.arm(Timer::Wishes, self.now.plus_ms(WAIT_MS));
        others.truncate(OPERATORS_MAX);
        let asked = ours.iter().chain(&others).map(ToString::to_string).collect();
        let question = self.room_question(channel, room, user);
        let giver = Giver::AskedAbout(channel.clone(), room.clone());
        let is_asked_there = !others.is_empty()
            && self.policy.operators.asks == Asks::InChannel
            && self.ask_there(conn, channel, &question, &giver);
        if is_asked_there {
            self.operators.asking.instead_about.insert((channel.clone(), room.clone()), others);
        } else {
            others.iter().for_each(|nick| self.notify(conn, nick, &question));
        }
        Ok(asked)
    }

    fn may_wait(&mut self, channel: &ChannelName, user: &UserId) -> bool {
        let open = || self.operators.rules.wishes().filter(|(_, _, wish)| wish.reply == Reply::None);
        let of_channel = open().filter(|(of, ..)| *of == channel).count();
        let of_one = open().filter(|(.., wish)| wish.user == *user).count();
        let has_place = of_channel < WAITING_OF_CHANNEL_MAX
            && of_one < WAITING_OF_ONE_MAX
            && open().count() < WAITING_MAX;
        has_place && self.operators.asking.may(self.now)
    }

    /// The bot's connection, while it can say something.
    pub(in super::super) fn bot_conn(&self) -> Option<ConnId> {
        let session = self.puppets[self.operators.bot?.0 as usize].session.as_ref()?;
        Some(session.conn).filter(|_| session.is_ready())
    }

    fn room_question(&self, channel: &ChannelName, room: &RoomId, user: &UserId) -> Answer {
        let (channel, room, user) = (channel.to_string(), room.clone(), user.clone());
        Answer::Room(RoomAnswer::Asked { channel, room, user, server: self.policy.server_name.clone() })
    }

    /// The channel has let the question in, or not.
    pub(in super::super) fn room_question_heard(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        room: &RoomId,
        verdict: &Verdict,
    ) {
        let instead = self.operators.asking.instead_about.remove(&(channel.clone(), room.clone()));
        let user = self.wish_of(channel, room).map(|(_, wish)| wish.user);
        let (Some(operators), Some(user), Verdict::Refused(_)) = (instead, user, verdict) else { return };
        let question = self.room_question(channel, room, &user);
        operators.iter().for_each(|nick| self.notify(conn, nick, &question));
    }

    /// The bot's connection ended before the question was asked for sure: it can be asked again.
    pub(in super::super) fn room_not_asked(&mut self, channel: &ChannelName, room: &RoomId) {
        let is_open = self.operators.asking.instead_about.remove(&(channel.clone(), room.clone())).is_some();
        if is_open && let Some((_, Wish { reply: Reply::None, .. })) = self.wish_of(channel, room) {
            self.forget_wish(channel, room);
            let text = format!(
                "The operators of {channel} could not be asked: the bridge lost its connection. Ask again."
            );
            self.tell_outside(room, text);
        }
    }
}

// Answers.
impl Network {
    /// Does what an operator says about one room; `None` where they speak of none.
    pub(super) fn obey_about_room(&mut self, open: &Open) -> Option<Answer> {
        let (room, channel) = (open.order.deed.room()?.clone(), open.order.channel.clone());
        let Some((_, wish)) = self.wish_of(&open.channel, &room) else {
            let is_its = self.portals.of_channel(&open.channel).any(|portal| portal.room == room);
            return Some(Answer::Room(match is_its {
                true => RoomAnswer::Configured { channel, room },
                false => RoomAnswer::Unknown { channel, room },
            }));
        };
        let by = open.from.to_string();
        Some(match (&open.order.deed, wish.reply) {
            (Deed::Refuse { reason, .. }, reply) => {
                let was_bridged = reply == Reply::Allowed;
                match self.refuse_room(&open.channel, wish, by, reason.clone()) {
                    Ok(()) if was_bridged => Answer::Room(RoomAnswer::Ended { channel, room }),
                    Ok(()) => Answer::Room(RoomAnswer::Refused { channel, room }),
                    Err(Full) => Answer::NoMoreChannels,
                }
            }
            (_, Reply::Allowed) => Answer::Room(RoomAnswer::AdmittedBefore { channel, room }),
            (_, Reply::None | Reply::Refused) if self.is_dismissed(&open.channel) => {
                let by = self.operators.rules.dismissed(&open.channel).map(|rule| rule.by.clone());
                Answer::DismissedBefore { channel, by: by.unwrap_or_default() }
            }
            (_, Reply::None | Reply::Refused) => match self.admit_room(&open.channel, wish, by) {
                Ok(()) => Answer::Room(RoomAnswer::Admitted { channel, room }),
                Err(Full) => Answer::NoMoreChannels,
            },
        })
    }

    /// An operator lets a room in: the shell looks at it once more, and pairs it.
    pub(in super::super) fn admit_room(
        &mut self,
        channel: &ChannelName,
        wish: Wish,
        by: String,
    ) -> Result<(), Full> {
        let (room, user) = (wish.room.clone(), wish.user.clone());
        self.keep_wish(channel, Wish { reply: Reply::Allowed, ..wish }, by, None)?;
        self.out.push(Effect::Plumb { room, channel: channel.to_string(), user });
        Ok(())
    }

    fn refuse_room(
        &mut self,
        channel: &ChannelName,
        wish: Wish,
        by: String,
        reason: Option<String>,
    ) -> Result<(), Full> {
        let room = wish.room.clone();
        self.keep_wish(channel, Wish { reply: Reply::Refused, ..wish }, by, reason)?;
        let Some((rule, wish)) = self.wish_of(channel, &room) else { return Ok(()) };
        let text = self.wish_told(&wish, &rule);
        self.tell_outside(&room, text);
        self.unlink(&room, &format!("the operators of {channel} have ended the bridge"));
        Ok(())
    }

    /// What a room hears of the answer to its wish.
    pub(in super::super) fn wish_told(&self, wish: &Wish, rule: &Rule) -> String {
        let (channel, network) = (&rule.channel, &self.policy.network_name);
        let (who, reason) = (self.operator(&rule.by, channel), bracketed(rule));
        let is_bridged = self.portals.of_room(&wish.room).is_some();
        match wish.reply {
            Reply::None => {
                format!("The operators of {channel} on {network} are asked whether this room may be bridged.")
            }
            Reply::Allowed => format!(
                "{who} has allowed it: this room and {channel} hear each other now, and who is here joins the channel with an IRC \
                 user of their own. `!irc unplumb` ends it."
            ),
            Reply::Refused if is_bridged => format!(
                "{who} has ended the bridge{reason}: {channel} and this room do not hear each other any more. You can ask them \
                 on IRC, in a client of your own; they can allow it again."
            ),
            Reply::Refused => format!(
                "{who} does not want this room to be bridged{reason}. I do not ask again; you can ask them on IRC, in a client of \
                 your own, and they can still allow it."
            ),
        }
    }

    /// The answer where an operator allows something and rooms wait: which of them?
    pub(super) fn which_room(&self, open: &Open) -> Option<Answer> {
        let of_it = self.operators.rules.wishes().filter(|(of, ..)| **of == open.channel);
        let waits = of_it.filter(|(.., wish)| wish.reply == Reply::None);
        let rooms: Vec<RoomId> = waits.map(|(.., wish)| wish.room.clone()).collect();
        let channel = open.order.channel.clone();
        (!rooms.is_empty()).then_some(Answer::Room(RoomAnswer::Which { channel, rooms }))
    }

    /// The bridge is dismissed from the channel: rooms that people had bridged, or want to, have it no more. They are told
    /// of the dismissal itself where they were bridged.
    pub(super) fn end_rooms_of_people(&mut self, open: &Open) {
        let channel = &open.channel;
        let of_it = self.operators.rules.wishes().filter(|(of, ..)| *of == channel);
        let wishes: Vec<Wish> = of_it.map(|(.., wish)| wish.clone()).collect();
        for wish in wishes {
            if wish.reply == Reply::None {
                let who = self.operator(open.from.as_str(), channel.as_str());
                let text = format!(
                    "{who} wants no bridge: this room is not bridged with {channel}. Ask them on IRC about it."
                );
                self.tell_outside(&wish.room, text);
            }
            self.forget_wish(channel, &wish.room);
        }
        let theirs = self.portals.of_channel(channel).filter(|portal| portal.origin == PortalOrigin::Plumbed);
        let rooms: Vec<RoomId> = theirs.map(|portal| portal.room.clone()).collect();
        for room in rooms {
            let text =
                format!("When they have called it back, `!irc plumb {channel}` asks for this room again.");
            self.tell_outside(&room, text);
            self.unlink(&room, &format!("the operators of {channel} have dismissed the bridge"));
        }
    }
}

// What is kept.
impl Network {
    /// What is known of a wish.
    pub(in super::super) fn wish_of(&self, channel: &ChannelName, room: &RoomId) -> Option<(Rule, Wish)> {
        let rule = self.operators.rules.wish(channel, room)?.clone();
        let Asked::Room(wish) = rule.asked.clone() else { return None };
        Some((rule, *wish))
    }

    /// What is known of a room's wish for whatever channel, where it was not refused.
    pub(in super::super) fn wish_of_room(&self, room: &RoomId) -> Option<(ChannelName, Rule, Wish)> {
        let mut wishes = self.operators.rules.wishes();
        let found = wishes.find(|(.., wish)| wish.room == *room && wish.reply != Reply::Refused);
        found.map(|(channel, rule, wish)| (channel.clone(), rule.clone(), wish.clone()))
    }

    /// All wishes that wait or were granted.
    pub(in super::super) fn wishes(&self) -> Vec<(ChannelName, Rule, Wish)> {
        let wishes = self.operators.rules.wishes().filter(|(.., wish)| wish.reply != Reply::Refused);
        wishes.map(|(channel, rule, wish)| (channel.clone(), rule.clone(), wish.clone())).collect()
    }

    /// Keeps a wish; the oldest refusal of the channel makes place for it where there is none.
    fn keep_wish(
        &mut self,
        channel: &ChannelName,
        wish: Wish,
        by: String,
        reason: Option<String>,
    ) -> Result<(), Full> {
        let since = self.now;
        let asked = Asked::Room(Box::new(wish));
        let rule = Rule { channel: channel.to_string(), asked, by, reason, since };
        if self.keep(channel, rule.clone()).is_ok() {
            return Ok(());
        }
        let of_it = self.operators.rules.wishes().filter(|(of, ..)| *of == channel);
        let refused = of_it.filter(|(.., wish)| wish.reply == Reply::Refused);
        let oldest = refused.min_by_key(|(_, rule, _)| rule.since).map(|(.., wish)| wish.room.clone());
        let oldest = oldest.ok_or(Full)?;
        self.forget_wish(channel, &oldest);
        self.keep(channel, rule)
    }

    pub(in super::super) fn forget_wish(&mut self, channel: &ChannelName, room: &RoomId) {
        if let Some((rule, _)) = self.wish_of(channel, room) {
            self.forget_rule(channel, &rule.asked);
        }
    }

    /// A room is replaced: its people need not ask anew.
    pub(in super::super) fn wish_moves(&mut self, channel: &ChannelName, from: &RoomId, to: &RoomId) {
        let Some((rule, wish)) = self.wish_of(channel, from) else { return };
        self.forget_wish(channel, from);
        // Where it finds no place the pairing stays, and nobody remembers who asked for it.
        let _ = self.keep_wish(channel, Wish { room: to.clone(), ..wish }, rule.by, rule.reason);
    }

    /// Granted wishes of an earlier run that ended before the room was paired go on; those that wait, too.
    pub(in super::super) fn begin_wishes(&mut self) {
        for (channel, _, wish) in self.wishes() {
            match wish.reply {
                Reply::Allowed if self.portals.of_room(&wish.room).is_none() => {
                    let channel = channel.to_string();
                    self.out.push(Effect::Plumb { room: wish.room, channel, user: wish.user });
                }
                Reply::Allowed | Reply::None | Reply::Refused => {}
            }
        }
        self.wishes_due();
    }

    /// Some operators have not answered for long enough.
    pub(in super::super) fn wishes_due(&mut self) {
        let now = self.now;
        let mut next = None;
        for (channel, rule, wish) in self.wishes() {
            let until = rule.since.plus_ms(WAIT_MS);
            if wish.reply != Reply::None {
                continue;
            }
            if until > now {
                next = next.into_iter().chain([until]).min();
                continue;
            }
            self.forget_wish(&channel, &wish.room);
            let text = format!(
                "No operator of {channel} has answered in {WAITS}, so this room is not bridged. Talk to them on IRC, and ask again \
                 with `!irc plumb {channel}`."
            );
            self.tell_outside(&wish.room, text);
        }
        self.timers.arm_if(Timer::Wishes, next);
    }
}
