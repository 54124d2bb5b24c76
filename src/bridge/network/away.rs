//! Who stays off IRC, and who is told of it: puppets that are held, puppets that sleep, and outages.
//!
//! ```text
//!   killed, banned, login refused ─▶ held ─────── Reconnect ─▶ dials again
//!   idle too long, or shed when full ─▶ asleep ── says or joins something ─▶ dials again
//!   lost ─▶ cut off ── back soon: nobody hears of it ── for long: one notice in each room
//! ```
//!
//! Nothing here dials. A held puppet's messages fail with the reason; its person is told once for the whole hold.

use std::collections::{BTreeMap, BTreeSet};

use super::super::effect::Effect;
use super::super::ending::hold::{HoldText, hold_text};
use super::super::ending::{End, Ending};
use super::super::input::HoldRow;
use super::super::news::News;
use super::super::puppet::{Asleep, Held, Puppet, Told};
use super::super::session::Session;
use super::super::session::register::LoginEnd;
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{PuppetId, RoomId, Time, UserId};

/// Who said something so lately is not shed.
const SHED_IDLE_MS_MIN: u64 = 300_000;
/// How long to wait before looking again for somebody to shed, when nobody was idle for long enough.
const LOOK_AGAIN_MS: u64 = 10_000;
/// People named in a notice of an outage; more are counted.
const NAMED_MAX: usize = 3;

// Holds.
impl Network {
    /// A puppet stays away: what it had to say fails, and its person learns why, once.
    pub(super) fn hold(&mut self, id: PuppetId, end: End) {
        let now = self.now;
        let puppet = self.puppet(id);
        let (user, words) = (puppet.user.clone(), end.words.clone());
        puppet.down_since = None;
        puppet.held = Some(Held { end: end.clone(), since: now, told: Told::NotYet });
        if let Some(name) = end.ending.hold_name() {
            let row = HoldRow { user, ending: name.to_owned(), words, since: now };
            self.out.push(Effect::SaveHold(row));
        }
        self.fail_of_held(id);
        self.tell_of_hold(id);
        self.gate_person(id);
    }

    /// A hold of an earlier run. Its person was told then.
    pub(super) fn hold_known(&mut self, row: HoldRow) {
        let id = self.ensure_puppet(&row.user, None);
        let end = End { ending: Ending::of_hold(&row.ending), words: row.words };
        self.puppet(id).held = Some(Held { end, since: row.since, told: Told::Yes });
    }

    /// Somebody who may says so: the puppet tries again.
    pub(super) fn reconnect(&mut self, user: &UserId) {
        let Some(id) = self.puppet_ids.get(user).copied() else { return };
        self.let_back(id);
        self.puppet(id).forget_failures();
        self.ask_to_dial(id);
    }

    /// Why this puppet is held and what can be done, to follow a "because".
    pub(super) fn held_words(&self, id: PuppetId) -> Option<String> {
        if let Some(excluded) = &self.puppets[id.0 as usize].excluded {
            return Some(excluded.words());
        }
        let held = self.puppets[id.0 as usize].held.as_ref()?;
        let HoldText { what, next } = hold_text(&held.end, &self.policy.network_name)?;
        Some(format!("{what}, and does not come back by itself: {next}"))
    }

    /// The one notice of a hold, in a room of theirs, when they are in one.
    pub(super) fn tell_of_hold(&mut self, id: PuppetId) {
        let Some(held) = self.puppet(id).held.clone().filter(|held| held.told == Told::NotYet) else {
            return;
        };
        if self.news_of_hold(id, &held.end) {
            return self.hold_is_told(id);
        }
        let Some(HoldText { what, next }) = hold_text(&held.end, &self.policy.network_name) else { return };
        let text = if held.end.ending == Ending::Quit {
            format!("{what}. It comes back when you {next}.")
        } else {
            format!(
                "{what}. It does not come back by itself, and what you say here does not reach IRC: {next}."
            )
        };
        let text = format!("{text}{}", self.doom(id));
        if self.tell_of_absence(id, &text) {
            self.hold_is_told(id);
        }
    }

    fn hold_is_told(&mut self, id: PuppetId) {
        if let Some(held) = &mut self.puppet(id).held {
            held.told = Told::Yes;
        }
    }

    /// A login that was not possible is told once, with each new reason.
    pub(super) fn tell_of_login(&mut self, id: PuppetId) {
        let session = self.puppets[id.0 as usize].session.as_ref();
        let Some(LoginEnd::Skipped(words)) = session.map(Session::login_end).cloned() else { return };
        if self.puppet(id).login_told.as_ref() == Some(&words) {
            return;
        }
        let text = format!(
            "your IRC user is on {} without its account: {words}. Channels that want a registered nick may refuse it; \
             write `login` to me in a private chat to set your login right.",
            self.policy.network_name
        );
        let is_told = self.news(id, News::NoAccount { why: words.clone() });
        if is_told || self.tell_user(id, &text).is_some() {
            self.puppet(id).login_told = Some(words);
        }
    }

    /// Says something to a puppet's person in the first room of theirs, and where; `None` when they are in none.
    fn tell_user(&mut self, id: PuppetId, text: &str) -> Option<RoomId> {
        let user = self.puppet(id).user.clone();
        let room = self.portals.all().map(|portal| &portal.room).find(|room| self.portals.has(room, &user));
        let text = format!("{user}: {text}");
        let Some(room) = room.cloned() else { return self.tell_privately(&user, text) };
        self.tell(&room, text, None);
        Some(room)
    }

    /// Says to a puppet's person why it is away.
    pub(super) fn tell_of_absence(&mut self, id: PuppetId, text: &str) -> bool {
        let room = self.tell_user(id, text);
        if let Some(room) = &room {
            let user = self.puppet(id).user.clone();
            self.told_in(room, &user);
        }
        room.is_some()
    }
}

// Sleep.
impl Network {
    /// A puppet's person said or joined something: whoever sleeps wakes up.
    pub(super) fn came_or_spoke(&mut self, id: PuppetId) {
        if self.life == Life::Loading {
            return;
        }
        let now = self.now;
        let puppet = self.puppet(id);
        puppet.active_at = Some(now);
        puppet.quit_at = None;
        puppet.asked.reaped = None;
        puppet.asleep = None;
        if puppet.held.as_ref().is_some_and(|held| held.end.ending == Ending::Quit) {
            self.let_back(id);
        }
        self.tell_of_hold(id);
    }

    pub(super) fn arm_idle(&mut self, id: PuppetId) {
        let idle_ms_max = self.policy.connect.idle_ms_max;
        let may = idle_ms_max > 0 && !self.is_bot(id);
        if let Some(since) = self.puppet(id).active_at.filter(|_| may) {
            self.timers.arm(Timer::Idle(id), since.plus_ms(idle_ms_max));
        }
    }

    /// A puppet may have been idle for too long. Those who became idle together are closed one by one.
    pub(super) fn idle_due(&mut self, id: PuppetId) {
        let now = self.now;
        let puppet = &self.puppets[id.0 as usize];
        let idle_ms_max = puppet.asked.reaped.unwrap_or(self.policy.connect.idle_ms_max);
        let is_ready = puppet.session.as_ref().is_some_and(Session::is_ready);
        let Some(since) = puppet.active_at.filter(|_| is_ready && self.life == Life::Running) else { return };
        if since.plus_ms(idle_ms_max) > now {
            return self.arm_idle(id);
        }
        let at = puppet.quit_at.unwrap_or_else(|| self.goodbyes.take(now));
        if at > now {
            self.puppet(id).quit_at = Some(at);
            return self.timers.arm(Timer::Idle(id), at);
        }
        let is_reaped = self.puppet(id).asked.reaped.is_some();
        self.sleep(id, if is_reaped { Asleep::Reaped } else { Asleep::Idle });
    }

    /// All connections are taken. Where somebody with something to say waits, the one that was idle for longest
    /// goes; one at a time.
    pub(super) fn make_room(&mut self) {
        let closing = |puppet: &&Puppet| puppet.session.as_ref().is_some_and(Session::is_closing);
        let leaving = self.puppets.iter().filter(closing).count();
        let needs = |id: &PuppetId| self.puppets[id.0 as usize].is_needed() || self.is_bot(*id);
        let waiting = self.pacer.eager().filter(needs).count();
        if waiting <= leaving {
            return;
        }
        if self.goodbyes.next() <= self.now {
            match self.longest_idle(|_| true) {
                Some(id) => {
                    self.goodbyes.take(self.now);
                    self.sleep(id, Asleep::Shed);
                }
                None => {
                    self.goodbyes.not_before(self.now.plus_ms(LOOK_AGAIN_MS));
                    self.say_why_they_wait();
                }
            }
        }
        self.timers.arm(Timer::Pacer, self.goodbyes.next());
    }

    /// Whose messages become too old meanwhile shall know why.
    fn say_why_they_wait(&mut self) {
        let words = format!("all connections of the bridge to {} are taken", self.policy.network_name);
        let waiting: Vec<PuppetId> = self.pacer.eager().collect();
        for id in waiting {
            self.puppet(id).trouble(words.clone());
        }
    }

    /// Who said nothing for longest; those that are the only one of ours in a channel come last.
    pub(super) fn longest_idle(&self, may: impl Fn(&UserId) -> bool) -> Option<PuppetId> {
        let rank = |puppet: &Puppet| {
            let session = puppet.session.as_ref().filter(|session| session.is_ready())?;
            let since = puppet.active_at.filter(|at| self.now.since_ms(*at) >= SHED_IDLE_MS_MIN)?;
            let alone = |name| self.channels.get(name).is_some_and(|channel| channel.is_alone(session.conn));
            (!puppet.is_needed() && !self.is_bot(puppet.id) && may(&puppet.user))
                .then(|| (session.channels().any(alone), since, puppet.id))
        };
        self.puppets.iter().filter_map(rank).min().map(|(_, _, id)| id)
    }

    pub(super) fn sleep(&mut self, id: PuppetId, why: Asleep) {
        let puppet = self.puppet(id);
        puppet.asleep = Some(why);
        puppet.quit_at = None;
        let words = match why {
            Asleep::Idle => "Idle for too long",
            Asleep::Shed => "Making room for somebody else",
            Asleep::Reaped => "Idle",
        };
        self.end_session(id, words);
        let why_words = self.asleep_words(why);
        if !self.is_told(id) && !self.news_of_sleep(id, &why_words) {
            let text = format!("{why_words}. Say something and it comes back.");
            self.tell_of_absence(id, &text);
        }
    }

    /// Why a puppet sleeps, to its person.
    pub(super) fn asleep_words(&self, why: Asleep) -> String {
        let network = &self.policy.network_name;
        match why {
            Asleep::Idle => {
                let time = spelled(self.policy.connect.idle_ms_max);
                format!("your connection to {network} was closed after {time} without a word of yours")
            }
            Asleep::Reaped => format!(
                "your connection to {network} was closed by an admin of the bridge: you said nothing for long"
            ),
            Asleep::Shed => format!(
                "your connection to {network} was closed to make room: all are taken, and you said nothing for longest"
            ),
        }
    }
}

// Outages.
impl Network {
    /// A puppet that wants to be on IRC is not. A blip is nobody's business; what lasts is told.
    pub(super) fn cut_off(&mut self, id: PuppetId, words: String) {
        let (now, outage_ms) = (self.now, self.policy.connect.outage_ms);
        let puppet = self.puppet(id);
        if !words.is_empty() {
            puppet.trouble(words);
        }
        let since = *puppet.down_since.get_or_insert(now);
        if since.plus_ms(outage_ms) > now {
            self.timers.arm(Timer::Outage, since.plus_ms(outage_ms));
        }
    }

    /// Tells each room, once in an outage, whose puppets are cut off.
    pub(super) fn outage_due(&mut self) {
        let (now, outage_ms) = (self.now, self.policy.connect.outage_ms);
        let mut cut_off: BTreeMap<&UserId, &Puppet> = BTreeMap::new();
        let mut next: Option<Time> = None;
        for puppet in self.puppets.iter().filter(|puppet| is_missed(puppet) && !self.is_reached(&puppet.user))
        {
            match puppet.down_since.map(|since| since.plus_ms(outage_ms)) {
                Some(due) if due <= now => {
                    cut_off.insert(&puppet.user, puppet);
                }
                Some(due) => next = next.into_iter().chain([due]).min(),
                None => {}
            }
        }
        let mut notices: Vec<(RoomId, String)> = Vec::new();
        for portal in self.portals.all().filter(|portal| !self.outage_told.contains(&portal.room)) {
            let missed: Vec<&Puppet> = self
                .portals
                .members(&portal.room)
                .filter(|user| !self.is_told_in(&portal.room, user))
                .filter_map(|user| cut_off.get(user).copied())
                .collect();
            if !missed.is_empty() && self.life == Life::Running {
                notices.push((portal.room.clone(), self.outage_text(&missed)));
            }
        }
        for (room, text) in notices {
            self.outage_told.insert(room.clone());
            self.tell(&room, text, None);
        }
        self.timers.arm_if(Timer::Outage, next);
    }

    fn outage_text(&self, missed: &[&Puppet]) -> String {
        let who = match missed {
            few if few.len() <= NAMED_MAX => {
                few.iter().map(|puppet| puppet.user.as_str()).collect::<Vec<_>>().join(", ")
            }
            many => format!("{} people here", many.len()),
        };
        let words = missed.iter().find_map(|puppet| puppet.last_trouble());
        let words = words.map(|words| format!(" ({words})")).unwrap_or_default();
        let network = &self.policy.network_name;
        let (down, age) = (spelled(self.policy.connect.outage_ms), spelled(self.policy.message_age_ms_max));
        format!(
            "No connection to {network} for {who} since {down}{words}. It is tried again and again; messages wait \
             for {age} at most."
        )
    }

    /// Somebody is back. Once nobody is missed any more, the next outage is a new one.
    pub(super) fn reachable_again(&mut self) {
        if !self.outage_told.is_empty() && !self.puppets.iter().any(is_missed) {
            self.outage_told = BTreeSet::new();
        }
    }
}

/// True for puppets that are to be on IRC and were cut off.
fn is_missed(puppet: &Puppet) -> bool {
    puppet.down_since.is_some()
        && !puppet.wanted.is_empty()
        && puppet.held.is_none()
        && puppet.asleep.is_none()
        && puppet.excluded.is_none()
}

/// A time as people say it.
pub(super) fn spelled(ms: u64) -> String {
    let (count, unit) = match ms / 1000 {
        s @ 0..120 => (s, "second"),
        s @ 120..7_200 => (s / 60, "minute"),
        s @ 7_200..172_800 => (s / 3_600, "hour"),
        s => (s / 86_400, "day"),
    };
    if count == 1 { format!("{count} {unit}") } else { format!("{count} {unit}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_words() {
        let told = [1_000, 90_000, 300_000, 7_200_000, 2_592_000_000].map(spelled);
        assert_eq!(told, ["1 second", "90 seconds", "5 minutes", "2 hours", "30 days"]);
    }
}
