//! Who is about to say something, told on the other side: never at the price of what is said, and nothing of it is kept.
//!
//! From Matrix: a room says who types in it. Whoever's puppet is in the channel has it told there, once in [`AGAIN_MS`] as
//! long as they type, since nobody on IRC believes it for longer than 6 s. Two notices of one person to one channel
//! are 3 s apart at least (IRCv3 "typing"), and a message ends it without one.
//!
//! From IRC: what the owner of a channel is shown. A ghost types for as long as the specification has others believe it; that
//! ends by itself on Matrix, so nothing wakes for it here.
//!
//! Bounded: people beyond these numbers are not seen typing.

use std::collections::{BTreeMap, HashMap};

use super::super::effect::Effect;
use super::super::policy::Shown;
use super::super::session::seen::Typing;
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, ConnId, Nick, PuppetId, RoomId, Target, Time, UserId};

/// The least time between two notices of one person to one channel or room.
const APART_MS: u64 = 3_000;
/// How long others believe that somebody types (IRCv3 "typing").
const ACTIVE_MS: u64 = 6_000;
/// The same of somebody who stopped and has not cleared what stands there.
const PAUSED_MS: u64 = 30_000;
/// When a channel is told again.
const AGAIN_MS: u64 = 4_000;
/// How long a message may be on its way behind the word that its author types no longer.
const MESSAGE_MS: u64 = 1_500;
/// How long somebody types at most without a new word of their room.
const TYPING_MS_MAX: u64 = 120_000;
/// People of Matrix of whom it is known that they type.
const TYPISTS_MAX: usize = 256;
/// People of IRC who are shown typing.
const GHOSTS_MAX: usize = 1_024;
/// What rooms are told in [`APART_MS`], all together; the end of what they were told not counted.
const TOLD_MAX: u32 = 60;

/// Who types.
#[derive(Debug, Default)]
pub(super) struct Typists {
    puppets: BTreeMap<(PuppetId, ChannelName), Typist>,
    ghosts: HashMap<(ChannelName, Nick), TypingGhost>,
    /// How much rooms were told since when.
    told: (Time, u32),
}

/// Somebody of Matrix, in one channel.
#[derive(Debug)]
struct Typist {
    /// Where they type.
    room: RoomId,
    state: State,
    /// When the channel was last told anything of them.
    told: Option<Time>,
    /// When telling it that they type was last tried.
    tried: Option<Time>,
}

/// What somebody does, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Types {
        since: Time,
    },
    Stopped {
        at: Time,
    },
    /// Nothing that the channel does not know. They stay known until they may be told of again.
    Silent,
}

/// Somebody of IRC, in one channel.
#[derive(Debug)]
struct TypingGhost {
    /// When the rooms were told.
    told: Time,
    /// How long they believe it.
    until: Time,
}

/// What is to be done about somebody of Matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Tell(Typing),
    Wait(Time),
    Forget,
}

impl Typist {
    fn next(&self, now: Time) -> Next {
        let may = self.told.map_or(now, |told| told.plus_ms(APART_MS));
        let is_believed = self.told.is_some_and(|told| now < told.plus_ms(ACTIVE_MS));
        match self.state {
            State::Types { since } if now.since_ms(since) >= TYPING_MS_MAX => Next::Forget,
            State::Types { .. } => {
                let again = self.told.map(|told| told.plus_ms(AGAIN_MS));
                let tried = self.tried.map(|tried| tried.plus_ms(APART_MS));
                due(now, again.max(tried).unwrap_or(may), Typing::Active)
            }
            State::Stopped { .. } if !is_believed => Next::Forget,
            State::Stopped { at } => due(now, may.max(at.plus_ms(MESSAGE_MS)), Typing::Done),
            State::Silent if may > now => Next::Wait(may),
            State::Silent => Next::Forget,
        }
    }
}

fn due(now: Time, at: Time, typing: Typing) -> Next {
    if at <= now { Next::Tell(typing) } else { Next::Wait(at) }
}

impl Network {
    /// A room says who types in it now.
    pub(super) fn room_types(&mut self, room: &RoomId, users: &[UserId]) {
        let may = self.policy.typing.to_irc == Shown::On
            && self.life == Life::Running
            && self.isupport.client_tags.passes("typing");
        let Some(portal) = self.portals.of_room(room).filter(|_| may) else { return };
        let channel = portal.channel.clone();
        for ((id, of), typist) in &mut self.typing.puppets {
            let is_theirs = *of == channel && typist.room == *room;
            if is_theirs && !users.contains(&self.puppets[id.0 as usize].user) {
                typist.stops(self.now);
            }
        }
        for user in users.iter().filter(|user| self.portals.has(room, user)) {
            if let Some(id) = self.puppet_ids.get(user) {
                self.typing.begins((*id, channel.clone()), room, self.now);
            }
        }
        self.typing_goes_on();
    }

    /// Tells channels what is due, and wakes for the next.
    pub(super) fn typing_goes_on(&mut self) {
        let (now, mut wake) = (self.now, None::<Time>);
        for (key, mut typist) in std::mem::take(&mut self.typing.puppets) {
            if let Next::Tell(typing) = typist.next(now) {
                self.tell_typing(&key, &mut typist, typing);
            }
            let at = match typist.next(now) {
                Next::Forget => continue,
                Next::Wait(at) => at,
                // Said just now, or not at all.
                Next::Tell(_) => now.plus_ms(APART_MS),
            };
            wake = Some(wake.map_or(at, |wake| wake.min(at)));
            self.typing.puppets.insert(key, typist);
        }
        self.timers.arm_if(Timer::Typing, wake);
    }

    /// Tells a channel, where that costs nobody anything.
    fn tell_typing(&mut self, (id, channel): &(PuppetId, ChannelName), typist: &mut Typist, typing: Typing) {
        let now = self.now;
        let target = Target::Channel(channel.clone());
        let is_told = self.in_session(*id, &target, |session, out| session.types(channel, typing, out));
        typist.tried = Some(now);
        typist.told = if is_told { Some(now) } else { typist.told };
        if typing == Typing::Done {
            typist.state = State::Silent;
        }
    }

    /// Somebody of Matrix said something: that they type no longer needs no notice.
    pub(super) fn said_what_they_typed(&mut self, user: &UserId, channel: &ChannelName) {
        let Some(id) = self.puppet_ids.get(user) else { return };
        if let Some(typist) = self.typing.puppets.get_mut(&(*id, channel.clone())) {
            typist.state = State::Silent;
        }
    }

    /// A channel did not take something of a puppet's, perhaps that somebody types: it is told no more of it.
    pub(super) fn typing_refused(&mut self, id: PuppetId, channel: &ChannelName) {
        self.typing.puppets.remove(&(id, channel.clone()));
    }

    /// Somebody of IRC types, or no longer, on one of our streams.
    pub(super) fn types(
        &mut self,
        conn: ConnId,
        channel: &ChannelName,
        who: Nick,
        mask: Option<String>,
        typing: Typing,
    ) {
        let may = self.policy.typing.to_matrix == Shown::On && self.life == Life::Running;
        let Some(heard) = self.channels.get(channel).filter(|_| may) else { return };
        if !heard.shows_typing(conn, &who, mask.as_deref(), &self.nicks) {
            return;
        }
        match typing {
            Typing::Active => self.ghost_types(channel, who, ACTIVE_MS),
            Typing::Paused => self.ghost_types(channel, who, PAUSED_MS),
            Typing::Done => self.types_no_longer(channel, &who),
        }
    }

    fn ghost_types(&mut self, channel: &ChannelName, who: Nick, for_ms: u64) {
        let rooms = self.rooms_of(channel);
        let Some(ghost) = self.policy.ghosts.user(&who, &self.policy.server_name) else { return };
        if self.typing.shows((channel.clone(), who), rooms.len(), self.now, for_ms) {
            let told = rooms.into_iter().map(|room| Effect::Typing { room, ghost: ghost.clone(), for_ms });
            self.out.extend(told);
        }
    }

    /// Somebody of IRC has said what they typed, cleared it, or is gone.
    pub(super) fn types_no_longer(&mut self, channel: &ChannelName, who: &Nick) {
        if self.typing.ghosts.is_empty() {
            return;
        }
        let key = (channel.clone(), who.clone());
        let Some(ghost) = self.typing.ghosts.get_mut(&key).filter(|ghost| ghost.until > self.now) else {
            return;
        };
        ghost.until = self.now;
        let Some(ghost) = self.policy.ghosts.user(who, &self.policy.server_name) else { return };
        let rooms = self.rooms_of(channel).into_iter();
        self.out.extend(rooms.map(|room| Effect::Typing { room, ghost: ghost.clone(), for_ms: 0 }));
    }
}

impl Typist {
    fn stops(&mut self, now: Time) {
        if let State::Types { .. } = self.state {
            self.state = State::Stopped { at: now };
        }
    }
}

impl Typists {
    /// Somebody of Matrix types, and perhaps did before. Who types in two rooms of a channel does so in the one that
    /// spoke last.
    fn begins(&mut self, key: (PuppetId, ChannelName), room: &RoomId, now: Time) {
        let (len, state) = (self.puppets.len(), State::Types { since: now });
        match self.puppets.get_mut(&key) {
            Some(typist) => {
                typist.room = room.clone();
                typist.state = state;
            }
            None if len < TYPISTS_MAX => {
                let typist = Typist { room: room.clone(), state, told: None, tried: None };
                self.puppets.insert(key, typist);
            }
            None => {}
        }
    }

    /// Whether rooms are to be told that somebody of IRC types, for so long: once in a while each, and not too much in all.
    fn shows(&mut self, key: (ChannelName, Nick), rooms: usize, now: Time, for_ms: u64) -> bool {
        let is_new = match self.ghosts.get(&key) {
            Some(ghost) if now < ghost.told.plus_ms(APART_MS) => return false,
            Some(_) => false,
            None => true,
        };
        if is_new && self.ghosts.len() >= GHOSTS_MAX {
            self.ghosts.retain(|_, ghost| now < ghost.told.plus_ms(PAUSED_MS));
        }
        let (since, told) = if now.since_ms(self.told.0) < APART_MS { self.told } else { (now, 0) };
        let told = told.saturating_add(u32::try_from(rooms).unwrap_or(u32::MAX));
        if (is_new && self.ghosts.len() >= GHOSTS_MAX) || told > TOLD_MAX {
            return false;
        }
        self.told = (since, told);
        self.ghosts.insert(key, TypingGhost { told: now, until: now.plus_ms(for_ms) });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    fn channel(number: usize) -> ChannelName {
        ChannelName::new(&format!("#c{number}"), CaseMap::Ascii).unwrap()
    }

    fn room() -> RoomId {
        RoomId::new("!r:hs").unwrap()
    }

    fn typist(state: State, told: Option<u64>, tried: Option<u64>) -> Typist {
        Typist { room: room(), state, told: told.map(Time), tried: tried.map(Time) }
    }

    #[test]
    fn two_notices_are_never_too_close() {
        let types = State::Types { since: Time(0) };
        let stopped = |at| State::Stopped { at: Time(at) };
        for (typist, now, next) in [
            (typist(types, None, None), 10, Next::Tell(Typing::Active)),
            // It could not be told: a moment later.
            (typist(types, None, Some(10)), 20, Next::Wait(Time(3_010))),
            (typist(types, Some(10), Some(10)), 20, Next::Wait(Time(4_010))),
            (typist(types, Some(10), Some(10)), 4_010, Next::Tell(Typing::Active)),
            (typist(types, Some(119_000), Some(119_000)), 120_000, Next::Forget),
            // Not before a message may have come, nor where nobody believes it any more.
            (typist(stopped(100), Some(10), Some(10)), 200, Next::Wait(Time(3_010))),
            (typist(stopped(3_000), Some(10), Some(10)), 3_100, Next::Wait(Time(4_500))),
            (typist(stopped(3_000), Some(10), Some(10)), 4_500, Next::Tell(Typing::Done)),
            (typist(stopped(5_000), Some(10), Some(10)), 6_010, Next::Forget),
            (typist(stopped(5_000), None, Some(10)), 5_000, Next::Forget),
            (typist(State::Silent, Some(10), Some(10)), 20, Next::Wait(Time(3_010))),
            (typist(State::Silent, Some(10), Some(10)), 3_010, Next::Forget),
        ] {
            assert_eq!(typist.next(Time(now)), next, "{typist:?} at {now}");
        }
    }

    #[test]
    fn a_crowd_of_either_side_is_cut() {
        let mut typists = Typists::default();
        for number in 0..2 * TYPISTS_MAX {
            typists.begins((PuppetId(number as u32), channel(0)), &room(), Time(1));
        }
        assert_eq!(typists.puppets.len(), TYPISTS_MAX);

        let nick = Nick::new("eve", CaseMap::Ascii).unwrap();
        let mut now = Time(1_000_000);
        let shown = (0..2 * GHOSTS_MAX).filter(|number| {
            // As many as fit into each three seconds.
            now = now.plus_ms(if number % TOLD_MAX as usize == 0 { APART_MS } else { 0 });
            typists.shows((channel(*number), nick.clone()), 1, now, ACTIVE_MS)
        });
        let shown = shown.count();
        assert!((GHOSTS_MAX..=2 * GHOSTS_MAX).contains(&shown), "{shown}");
        assert!(typists.ghosts.len() <= GHOSTS_MAX);
        assert!(
            !typists.shows((channel(0), nick), 1_000, now.plus_ms(APART_MS), ACTIVE_MS),
            "too many rooms"
        );
    }
}
