//! Nobody reads unseen: what becomes of people in a room whose puppet is not in its channel.
//!
//! [`Gate`] keeps the time; here is what it means. Whose puppet is out is told why, in the words of whoever refused it, and
//! removed from a room of ours when the grace is over. Each person is judged alone: the others read on. While a removal is
//! refused, `removing` sees to it that nobody reads on.
//!
//! Nothing here dials or asks a server, but for channels that are to be asked again.
//!
//! [`Gate`]: super::super::portal::gate::Gate

use super::super::ending::Ending;
use super::super::ending::hold::doom;
use super::super::input::PortalOrigin;
use super::super::policy::{GateRule, JoinFailure};
use super::super::portal::gate::{Refused, Stage, Told, Waiter};
use super::super::puppet::{self, Puppet};
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::timer::Timer;
use super::away::spelled;
use super::removed::sentence;
use super::{Life, Network};
use crate::ids::{ChannelName, PuppetId, RoomId, Time, UserId};

/// Those who wait are looked at together, at most once in so many milliseconds.
const LOOK_MS: u64 = 1_000;

/// What is done about somebody who is out of the channel for longer than the grace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Removed,
    Told,
    Nothing,
}

/// Why somebody's puppet is not in the channel.
struct Absence {
    /// With the next step, where there is one.
    words: String,
    /// The words as the reason of a removal.
    reason: String,
    /// Only a person can change it.
    is_lasting: bool,
    /// They were told before, in some room.
    is_known: bool,
}

impl Network {
    /// Something about a puppet changed: each of its person's rooms is looked at.
    pub(super) fn gate_person(&mut self, id: PuppetId) {
        let channels: Vec<ChannelName> = self.puppet(id).wanted.iter().cloned().collect();
        for channel in channels {
            self.gate_place(id, &channel);
        }
    }

    /// A puppet came into a channel, or is out of it.
    pub(super) fn gate_place(&mut self, id: PuppetId, channel: &ChannelName) {
        for room in self.rooms_of(channel) {
            self.gate_look(id, &room);
        }
    }

    /// What is said in a channel is heard now, or no longer.
    pub(super) fn reading_changed(&mut self, channel: &ChannelName) {
        for room in self.rooms_of(channel) {
            let people: Vec<UserId> = self.portals.members(&room).cloned().collect();
            for user in people {
                if let Some(id) = self.puppet_ids.get(&user).copied() {
                    self.gate_look(id, &room);
                }
            }
        }
    }

    /// A server lets nobody in so fast: that turn was none.
    pub(super) fn gate_wall(&mut self, id: PuppetId, ending: Ending) {
        if ending != Ending::Throttled {
            return;
        }
        let (now, user) = (self.now, self.puppet(id).user.clone());
        let channels: Vec<ChannelName> = self.puppet(id).wanted.iter().cloned().collect();
        for room in channels.iter().flat_map(|channel| self.rooms_of(channel)).collect::<Vec<_>>() {
            if let Some(waiter) = self.gate.get_mut(&room, &user) {
                waiter.unread(now);
            }
        }
    }

    /// All connections are taken: whoever waits for one has had their turn.
    pub(super) fn gate_full(&mut self) {
        let is_stuck = |waiter: &Waiter| !waiter.is_running() && waiter.stage == Stage::Waiting;
        let stuck: Vec<(RoomId, UserId)> = self
            .gate
            .all()
            .filter(|(.., waiter)| is_stuck(waiter))
            .map(|(room, user, _)| (room.clone(), user.clone()))
            .collect();
        for (room, user) in stuck {
            let Some(id) = self.puppet_ids.get(&user).copied() else { continue };
            if self.is_left_over(&self.puppets[id.0 as usize]) {
                let words =
                    format!("all connections of the bridge to {} are taken", self.policy.network_name);
                self.puppet(id).trouble(words);
                self.gate_look(id, &room);
            }
        }
    }

    /// Compares one person in one room with the channel.
    fn gate_look(&mut self, id: PuppetId, room: &RoomId) {
        let user = &self.puppets[id.0 as usize].user;
        let Some(portal) = self.portals.of_room(room).filter(|_| self.portals.has(room, user)) else {
            return;
        };
        if self.life != Life::Running || *user == self.policy.bot {
            return;
        }
        if let Some(excluded) = &self.puppets[id.0 as usize].excluded {
            let words = excluded.words();
            return self.gate_excluded(id, room, &words);
        }
        if self.standing(id, &portal.channel) == Some(Standing::In) {
            let user = user.clone();
            let rooms = self.rooms_beside(room);
            let waiter = self.gate.admit(room, &user, &rooms);
            return self.pardon(room, &user, waiter);
        }
        let puppet = &self.puppets[id.0 as usize];
        let is_kept = puppet.session.is_some() || puppet.held.is_some() || puppet.asleep.is_some();
        let has_turn = is_kept || self.is_left_over(puppet);
        self.gate_out(id, room, has_turn);
    }

    /// True for a puppet that would dial now, if not all connections were taken.
    fn is_left_over(&self, puppet: &Puppet) -> bool {
        let is_full = self.connections >= self.policy.connections_max && puppet.not_before <= self.now;
        (is_full || self.homeserver_full(&puppet.user).is_some()) && puppet.may_dial()
    }

    /// All rooms of a room's channel.
    pub(super) fn rooms_beside(&self, room: &RoomId) -> Vec<RoomId> {
        let channel = self.portals.of_room(room).map(|portal| &portal.channel);
        channel
            .into_iter()
            .flat_map(|channel| self.portals.of_channel(channel))
            .map(|portal| portal.room.clone())
            .collect()
    }

    fn gate_out(&mut self, id: PuppetId, room: &RoomId, has_turn: bool) {
        let Some(portal) = self.portals.of_room(room) else { return };
        let is_read = self.channels.get(&portal.channel).is_some_and(|channel| channel.is_read());
        let (now, rooms) = (self.now, self.rooms_beside(room));
        let user = &self.puppets[id.0 as usize].user;
        let waiter = self.gate.out(now, room, user, &rooms);
        // Who is refused by the channel itself is out for good, whether or not anybody else is there.
        let is_refused = waiter.refusal.is_some();
        if is_read || is_refused {
            waiter.read(now, has_turn || is_refused);
        } else {
            waiter.unread(now);
        }
        self.gate_weigh(id, room);
    }

    /// Does what is due about one person in one room, and wakes for what will be.
    fn gate_weigh(&mut self, id: PuppetId, room: &RoomId) {
        let (now, grace_ms) = (self.now, self.policy.presence.grace_ms);
        let user = self.puppet(id).user.clone();
        let Some(waiter) = self.gate.get(room, &user).filter(|waiter| waiter.stage == Stage::Waiting) else {
            return;
        };
        let again = waiter.refusal.as_ref().and_then(|refused| refused.again);
        let (spent_ms, is_told, is_back) = (waiter.spent_ms(now), waiter.told == Told::Yes, waiter.is_back);
        let is_running = waiter.is_running();
        let wake = |at: Time| Time(at.0.next_multiple_of(LOOK_MS));
        let marks = [grace_ms / 2, grace_ms].map(|ms| waiter.when_spent(ms).filter(|at| *at > now));
        let next = marks.into_iter().flatten().chain(again).min().map(wake);
        self.timers.arm_if(Timer::Gate, next);
        let fate = self.fate(room, &user);
        if !is_running || fate == Fate::Nothing {
            return;
        }
        let Some(absence) = self.absence(id, room) else { return };
        let is_over = spent_ms >= grace_ms || (is_back && absence.is_lasting);
        match fate {
            Fate::Removed if is_over => self.remove(room, &user, absence.reason),
            Fate::Removed if absence.is_known => {}
            Fate::Removed if !is_told && (absence.is_lasting || spent_ms >= grace_ms / 2) => {
                let left_ms = grace_ms.saturating_sub(spent_ms);
                self.warn(room, &user, &absence.words, left_ms);
            }
            // The room is told of those who were cut off together.
            Fate::Told if !absence.is_lasting && self.puppets[id.0 as usize].down_since.is_some() => {}
            Fate::Told if !is_told && is_over => self.tell_unseen(room, &user, &absence.words),
            Fate::Removed | Fate::Told | Fate::Nothing => {}
        }
    }

    /// True when somebody who is not seen is removed from this room sooner or later.
    pub(super) fn may_be_removed(&self, room: &RoomId, user: &UserId) -> bool {
        self.fate(room, user) == Fate::Removed
    }

    /// What the settings say about somebody who is not seen.
    fn fate(&self, room: &RoomId, user: &UserId) -> Fate {
        let presence = self.policy.presence;
        let is_refused = self.gate.get(room, user).is_some_and(|waiter| waiter.refusal.is_some());
        let origin = self.portals.of_room(room).map(|portal| portal.origin);
        match (origin, presence.gate) {
            (None, _) => Fate::Nothing,
            (Some(PortalOrigin::Alias), GateRule::Strict) => Fate::Removed,
            (Some(PortalOrigin::Alias), GateRule::Lenient | GateRule::Off)
                if is_refused && presence.join_failure == JoinFailure::Remove =>
            {
                Fate::Removed
            }
            (Some(_), GateRule::Strict | GateRule::Lenient) => Fate::Told,
            (Some(_), GateRule::Off) => Fate::Nothing,
        }
    }

    /// Why this puppet is not in the channel of a room.
    fn absence(&self, id: PuppetId, room: &RoomId) -> Option<Absence> {
        let puppet = &self.puppets[id.0 as usize];
        let (channel, network) = (&self.portals.of_room(room)?.channel, &self.policy.network_name);
        let lasting =
            |words: String| Absence { reason: sentence(&words), words, is_lasting: true, is_known: false };
        let refusal = self.gate.get(room, &puppet.user).and_then(|waiter| waiter.refusal.as_ref());
        if let Some(words) = self.held_words(id) {
            let is_known = puppet.held.as_ref().is_some_and(|held| held.told == puppet::Told::Yes);
            return Some(Absence { is_known, ..lasting(words) });
        }
        if let Some(asleep) = puppet.asleep {
            let words = self.asleep_words(asleep);
            return Some(lasting(format!("{words}; say something and it comes back")));
        }
        if let Some(refused) = refusal {
            return Some(lasting(refused.words.clone()));
        }
        let is_ready = puppet.session.as_ref().is_some_and(Session::is_ready);
        let why = match puppet.last_trouble() {
            _ if is_ready => format!("{network} has not answered to its join"),
            Some(trouble) => format!("it has no connection to {network}, {trouble}"),
            None => format!("it has no connection to {network}"),
        };
        let words = format!("your IRC user is not in {channel} ({why}); it is tried again and again");
        let reason = format!("Your IRC user is not in {channel} ({why}): try again later");
        Some(Absence { words, reason, is_lasting: false, is_known: false })
    }

    /// Tells somebody that they are about to be removed, and why.
    fn warn(&mut self, room: &RoomId, user: &UserId, words: &str, left_ms: u64) {
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        let time = spelled(left_ms.max(1_000));
        let text = format!(
            "{user}: {words}. Nobody in {channel} sees you, so you are removed from this room in {time} unless your IRC \
             user is there by then."
        );
        self.told_in(room, user);
        self.tell(room, text, None);
    }

    /// Tells a room from which nobody is removed that somebody reads unseen.
    fn tell_unseen(&mut self, room: &RoomId, user: &UserId, words: &str) {
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        self.told_in(room, user);
        self.tell(room, format!("{user}: {words}. Nobody in {channel} sees that you read here."), None);
    }

    /// Somebody, or their room, was told why their puppet is out.
    pub(super) fn told_in(&mut self, room: &RoomId, user: &UserId) {
        if let Some(waiter) = self.gate.get_mut(room, user) {
            waiter.told = Told::Yes;
        }
    }

    /// What follows for somebody who does not come back, behind a sentence; empty where nothing does.
    pub(super) fn doom(&self, id: PuppetId) -> String {
        self.doomed_ms(id).map(|ms| doom(ms, spelled)).unwrap_or_default()
    }

    /// After how long somebody who does not come back is removed from rooms, if they are.
    pub(super) fn doomed_ms(&self, id: PuppetId) -> Option<u64> {
        let user = &self.puppets[id.0 as usize].user;
        let mut ours = self.portals.all().filter(|portal| portal.origin == PortalOrigin::Alias);
        let is_in_ours = ours.any(|portal| self.portals.has(&portal.room, user));
        if self.policy.presence.gate != GateRule::Strict || !is_in_ours {
            return None;
        }
        // Who has had their time has none left.
        let is_over = self.gate.all().any(|(_, who, waiter)| who == user && waiter.is_back);
        Some(if is_over { 0 } else { self.policy.presence.grace_ms })
    }

    /// True when somebody was told in some room of theirs why their puppet is out.
    pub(super) fn is_told(&self, id: PuppetId) -> bool {
        let puppet = &self.puppets[id.0 as usize];
        let mut rooms = puppet.wanted.iter().flat_map(|channel| self.portals.of_channel(channel));
        rooms.any(|portal| self.is_told_in(&portal.room, &puppet.user))
    }

    /// True when somebody was told in this room why their puppet is out.
    pub(super) fn is_told_in(&self, room: &RoomId, user: &UserId) -> bool {
        self.gate.get(room, user).is_some_and(|waiter| waiter.told == Told::Yes)
    }

    /// Somebody is in a room, says the homeserver.
    pub(super) fn gate_entered(&mut self, id: PuppetId, room: &RoomId) {
        let user = self.puppet(id).user.clone();
        if self.gate.get(room, &user).is_some_and(|waiter| waiter.stage == Stage::Removed) {
            // Nobody said that they had left.
            self.gate.forget(room, &user);
        }
        self.gate_look(id, room);
    }

    /// Somebody has left a room.
    pub(super) fn gate_left(&mut self, room: &RoomId, user: &UserId) {
        let waiter = self.gate.left(self.now, room, user);
        self.pardon(room, user, waiter);
    }

    /// A channel does not let a puppet in. Where it may be asked again by itself, that is noted.
    pub(super) fn gate_refused(&mut self, id: PuppetId, room: &RoomId, words: &str, is_passing: bool) {
        let (now, user) = (self.now, self.puppet(id).user.clone());
        let waits = is_passing || self.policy.presence.join_failure == JoinFailure::Wait;
        let rooms = self.rooms_beside(room);
        let waiter = self.gate.out(now, room, &user, &rooms);
        let mut refused = Refused::new(words.to_owned(), waiter.refusal.as_ref());
        if waits {
            refused.try_later(now);
        }
        waiter.refusal = Some(refused);
        self.gate_look(id, room);
    }

    /// Some may have been out for too long, or their channels are to be asked again.
    pub(super) fn gate_due(&mut self) {
        if self.life != Life::Running {
            return;
        }
        let all: Vec<(RoomId, UserId)> =
            self.gate.all().map(|(room, user, _)| (room.clone(), user.clone())).collect();
        for (room, user) in all {
            self.remove_again(&room, &user);
            if let Some(id) = self.puppet_ids.get(&user).copied() {
                self.ask_in_again(id, &room);
                self.gate_weigh(id, &room);
            }
        }
    }

    /// Asks a channel again that refused a puppet a while ago.
    fn ask_in_again(&mut self, id: PuppetId, room: &RoomId) {
        let (now, user) = (self.now, self.puppet(id).user.clone());
        let Some(channel) = self.portals.of_room(room).map(|portal| portal.channel.clone()) else { return };
        let Some(waiter) = self.gate.get_mut(room, &user) else { return };
        let Some(refused) =
            waiter.refusal.as_mut().filter(|refused| refused.again.is_some_and(|at| at <= now))
        else {
            return;
        };
        refused.again = None;
        if self.standing(id, &channel).is_none() {
            self.enter_channel(id, room, &channel);
        }
    }
}
