//! Who may not be on IRC through the bridge at all (permissions, policy lists), and what the people of one homeserver may have
//! together.
//!
//! ```text
//!   rules or settings change ─▶ excluded ── QUIT, what waits fails, out of rooms that we made
//!                                  └─ lifted ─▶ dials again, where their person is still in rooms
//!   all connections of a homeserver taken ─▶ in line ── one of them ends ─▶ dials
//! ```
//!
//! Never excluded are the bot, ghosts and admins. Who is excluded keeps their place in rooms that people had before, and is
//! not heard on IRC.

use std::sync::Arc;

use super::super::effect::Effect;
use super::super::homeservers::{Full, Homeservers, Refused};
use super::super::input::Whose;
use super::super::policy::{Permission, Policy};
use super::super::policy_lists::{Concerns, PolicyRules};
use super::super::portal::gate::Stage;
use super::super::puppet::{Asleep, Exclusion};
use super::super::timer::Timer;
use super::removed::sentence;
use super::{Life, Network};
use crate::ids::{ChannelName, PuppetId, RoomId, UserId};

/// Who waits for a connection of their homeserver's with something to say asks again after so long.
const ASK_AGAIN_MS: u64 = 10_000;

/// What is known about whom to let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    rules: Arc<PolicyRules>,
    homeservers: Homeservers,
}

impl Admission {
    pub(super) fn refused(&self) -> Refused {
        self.homeservers.refused()
    }
}

// Who is excluded.
impl Network {
    /// Why somebody may have no puppet.
    pub(super) fn exclusion_of(&self, user: &UserId) -> Option<Box<Exclusion>> {
        if self.is_ours(user) {
            return None;
        }
        match self.policy.admission.permissions.of(user) {
            Permission::Admin => None,
            Permission::Blocked => Some(Box::new(Exclusion::Settings)),
            Permission::User | Permission::Plumber => {
                let cause = self.admission.rules.against(user)?;
                Some(Box::new(Exclusion::List(cause.reason.clone())))
            }
        }
    }

    /// The policy lists say something else now.
    pub(super) fn rules_changed(&mut self, rules: Arc<PolicyRules>, concerns: &Concerns) {
        self.admission.rules = rules;
        for id in (0..self.puppets.len() as u32).map(PuppetId) {
            if concerns.may_be(&self.puppets[id.0 as usize].user) {
                self.admit_or_exclude(id);
            }
        }
    }

    /// Compares a puppet with what lists and permissions say.
    fn admit_or_exclude(&mut self, id: PuppetId) {
        let now = self.exclusion_of(&self.puppets[id.0 as usize].user);
        let (was, is) = (self.puppet(id).excluded.is_some(), now.is_some());
        self.puppet(id).excluded = now;
        match (was, is) {
            (false, true) => self.exclude(id),
            (true, false) => self.readmit(id),
            (true, true) | (false, false) => {}
        }
    }

    /// Somebody may not be here any more: they go at once.
    fn exclude(&mut self, id: PuppetId) {
        self.pacer.forget(id);
        self.fail_excluded(id);
        let words = self.policy.admission.quit_message.0.clone();
        self.end_session(id, &words);
        self.gate_person(id);
    }

    /// What somebody excluded has not said yet is not said.
    pub(super) fn fail_excluded(&mut self, id: PuppetId) {
        let Some(why) = self.puppet(id).excluded.as_ref().map(|excluded| excluded.words()) else { return };
        for waiting in self.puppet(id).take_all_waiting() {
            self.failed(&waiting.saying, &why);
        }
    }

    /// Somebody may come back. Who was removed from a room comes in again by themselves.
    fn readmit(&mut self, id: PuppetId) {
        let user = self.puppet(id).user.clone();
        let channels: Vec<ChannelName> = self.puppet(id).wanted.iter().cloned().collect();
        for room in channels.iter().flat_map(|channel| self.rooms_of(channel)).collect::<Vec<_>>() {
            let stage = self.gate.get(&room, &user).map(|waiter| waiter.stage);
            if stage == Some(Stage::Asked) {
                self.out.push(Effect::Pardon { room: room.clone(), user: user.clone() });
                self.bar_over(&room, &user);
            }
            if stage != Some(Stage::Removed) {
                self.gate.forget(&room, &user);
            }
        }
        self.ask_to_dial(id);
        self.gate_person(id);
    }

    /// Somebody excluded is in a room: out of one that we made, at once; elsewhere the room is told, once.
    pub(super) fn gate_excluded(&mut self, id: PuppetId, room: &RoomId, words: &str) {
        let Some(portal) = self.portals.of_room(room) else { return };
        let (now, user, origin) = (self.now, self.puppets[id.0 as usize].user.clone(), portal.origin);
        let text =
            format!("{user}: {words}. Nobody in {} hears you, or sees that you read here.", portal.channel);
        let rooms = self.rooms_beside(room);
        match origin.whose() {
            Whose::Bridge if self.gate.out(now, room, &user, &rooms).stage == Stage::Waiting => {
                self.remove(room, &user, sentence(words));
            }
            Whose::People if !self.is_told_in(room, &user) => {
                self.gate.out(now, room, &user, &rooms);
                self.told_in(room, &user);
                self.tell(room, text, None);
            }
            Whose::Bridge | Whose::People => {}
        }
    }
}

// What a homeserver's people have together.
impl Network {
    /// Somebody's homeserver, where limits hold for it.
    fn counted_homeserver(&self, user: &UserId) -> Option<String> {
        if *user == self.policy.bot {
            return None;
        }
        self.policy.admission.limits.counted(user.server(), &self.policy.server_name)
    }

    /// Words for why somebody has to wait for a connection, where their homeserver has as many as it may.
    pub(super) fn homeserver_full(&self, user: &UserId) -> Option<String> {
        let max = self.policy.admission.limits.connections_max;
        let homeserver = self.counted_homeserver(user).filter(|_| max > 0)?;
        (self.admission.homeservers.connections(&homeserver) >= max).then(|| {
            format!(
                "people of {homeserver} get {max} connections to {} at once by this bridge, and all are taken; yours comes when \
                 one of them is idle or leaves, or whoever runs the bridge allows more",
                self.policy.network_name
            )
        })
    }

    /// A puppet dials.
    pub(super) fn homeserver_dials(&mut self, id: PuppetId) {
        if let Some(homeserver) = self.counted_homeserver(&self.puppets[id.0 as usize].user) {
            self.admission.homeservers.connects(&homeserver, id);
        }
    }

    /// A puppet's connection is over: who waits for it longest gets in line to dial.
    pub(super) fn homeserver_left(&mut self, id: PuppetId) {
        let Some(homeserver) = self.counted_homeserver(&self.puppets[id.0 as usize].user) else { return };
        self.admission.homeservers.left(&homeserver);
        while self.homeserver_full(&self.puppets[id.0 as usize].user).is_none() {
            let puppets = &self.puppets;
            let is_eager = |id: PuppetId| puppets[id.0 as usize].has_waiting();
            let Some(next) = self.admission.homeservers.next(&homeserver, is_eager) else { return };
            if self.puppet(next).may_dial() {
                // Who stood in line could dial then, and has waited since.
                self.puppet(next).not_before = self.now;
                return self.ask_to_dial(next);
            }
        }
    }

    /// A puppet has to wait for a connection of its homeserver's: its person is told, once. Where they have something to
    /// say, one that nobody uses makes room.
    pub(super) fn homeserver_waits(&mut self, id: PuppetId, words: String) {
        self.pacer.forget(id);
        let user = self.puppet(id).user.clone();
        let Some(homeserver) = self.counted_homeserver(&user) else { return };
        self.admission.homeservers.wait(&homeserver, id);
        let text = format!("{words}. Until then nothing is heard of you there.");
        let is_new = self.admission.homeservers.is_untold(id);
        self.puppet(id).trouble(words);
        self.gate_person(id);
        if is_new && !self.is_told(id) {
            self.tell_of_absence(id, &text);
        }
        if self.puppet(id).has_waiting() {
            self.homeserver_makes_room(&homeserver);
            let again = self.now.plus_ms(ASK_AGAIN_MS);
            self.puppet(id).not_before = again;
            self.timers.arm(Timer::Dial(id), again);
        }
    }

    /// Who of a homeserver was idle for longest goes, unless somebody is going already.
    fn homeserver_makes_room(&mut self, homeserver: &str) {
        let is_of_it = |user: &UserId| self.counted_homeserver(user).as_deref() == Some(homeserver);
        let is_closing =
            |puppet: &super::Puppet| puppet.session.as_ref().is_some_and(|session| session.is_closing());
        let is_going = self.puppets.iter().any(|puppet| is_closing(puppet) && is_of_it(&puppet.user));
        if is_going || self.goodbyes.next() > self.now {
            return;
        }
        if let Some(idle) = self.longest_idle(is_of_it) {
            self.goodbyes.take(self.now);
            self.sleep(idle, Asleep::Shed);
        }
    }

    /// Whether somebody may begin one more private chat; if not, why.
    pub(super) fn homeserver_contacts(&mut self, user: &UserId) -> Result<(), String> {
        let Some(homeserver) = self.counted_homeserver(user) else { return Ok(()) };
        let taken = self.admission.homeservers.contact(self.now, &homeserver, &self.policy.admission.limits);
        taken.map_err(|full| {
            let later = match full {
                Full::Minute => "in a minute",
                Full::Hour => "in an hour",
            };
            format!("people of {homeserver} begin private chats too fast: try again {later}")
        })
    }

    /// Whether somebody's puppet may enter one more channel now; if not, why.
    pub(super) fn homeserver_joins(&mut self, user: &UserId) -> Result<(), String> {
        let Some(homeserver) = self.counted_homeserver(user) else { return Ok(()) };
        let taken = self.admission.homeservers.join(self.now, &homeserver, &self.policy.admission.limits);
        taken.map_err(|_| {
            format!("people of {homeserver} join channels faster than this bridge lets them, and your turn comes in a minute")
        })
    }

    /// Enters a channel because somebody entered a room. Where their homeserver's people do so too fast, it is asked later by
    /// itself; the room is told once.
    pub(super) fn enter_channel(&mut self, id: PuppetId, room: &RoomId, channel: &ChannelName) {
        let is_ready = self.puppet(id).session.as_ref().is_some_and(|session| session.is_ready());
        let user = self.puppet(id).user.clone();
        match if is_ready { self.homeserver_joins(&user) } else { Ok(()) } {
            Ok(()) => self.join_channels(id, vec![channel.clone()]),
            Err(words) => {
                if self.gate.get(room, &user).is_some_and(|waiter| waiter.stage == Stage::Removed) {
                    // They are back, and nobody said that they had left.
                    self.gate.forget(room, &user);
                }
                self.gate_refused(id, room, &words, true);
                if !self.is_told_in(room, &user) && !self.may_be_removed(room, &user) {
                    self.told_in(room, &user);
                    self.tell(room, format!("{user} is not in the channel: {words}."), None);
                }
            }
        }
    }
}

// Other settings, while the bridge runs.
impl Network {
    /// The settings are others now. What was copied from them follows; the rest is asked for where it counts.
    pub(super) fn policy_changed(&mut self, policy: Policy) {
        self.recount_homeservers(|network| network.policy = policy);
        self.pacer.set_pace(&self.policy.connect);
        self.goodbyes = super::begin::goodbyes(&self.policy);
        if self.life == Life::Loading {
            return;
        }
        let waiting = self.admission.homeservers.take_waiting();
        for id in (0..self.puppets.len() as u32).map(PuppetId) {
            self.admit_or_exclude(id);
            self.arm_idle(id);
            self.gate_person(id);
        }
        waiting.into_iter().for_each(|id| self.ask_to_dial(id));
        self.bot_goes();
        self.dial_next();
    }

    /// Changes which homeservers are counted: the connections that there are count anew.
    fn recount_homeservers(&mut self, change: impl FnOnce(&mut Self)) {
        let connected: Vec<PuppetId> =
            self.puppets.iter().filter(|puppet| puppet.session.is_some()).map(|puppet| puppet.id).collect();
        for id in &connected {
            if let Some(homeserver) = self.counted_homeserver(&self.puppets[id.0 as usize].user) {
                self.admission.homeservers.left(&homeserver);
            }
        }
        change(self);
        connected.into_iter().for_each(|id| self.homeserver_dials(id));
    }
}
