//! Off the network and back: by people's own wish, and by an admin's.
//!
//! Who quits is held, as who was killed is, with an ending of its own: over restarts, until they ask for it or say
//! something. Whom the network killed or banned, or an admin sent away, an admin lets back, and nobody else: a ban that its
//! person lifts is none. Whose connection is reaped sleeps.

use super::super::super::effect::{Effect, Refusal};
use super::super::super::ending::{End, Ending, clean};
use super::super::super::errand::{ROWS_MAX, Reaping, Report, UserFact};
use super::super::super::input::AskId;
use super::super::super::policy::Permission;
use super::super::super::portal::gate::LATELY_MS;
use super::super::super::session::Session;
use super::super::Network;
use super::super::away::spelled;
use super::waiting::{Needs, Stage};
use super::{NOT_ALLOWED, NOT_CONNECTED};
use crate::ids::{ChannelName, ConnId, PuppetId, UserId};
use crate::text::line;

/// Somebody may ask for another connection once in so many milliseconds.
const RECONNECT_MS_MIN: u64 = 30_000;
/// What the network is told where nothing is.
const QUIT: &str = "Quit";

/// What somebody gives as their reason, as a part of one line.
pub(super) fn in_a_line(reason: Option<&str>) -> String {
    clean(&line::clean(reason.unwrap_or_default()))
}

// By people themselves.
impl Network {
    pub(super) fn quit_asked(&mut self, user: &UserId, reason: Option<&str>) -> Result<Report, Refusal> {
        // Of somebody who was never on the network nothing is kept.
        let Some(id) = self.puppet_ids.get(user).copied() else {
            let words = format!("you have no IRC user on {}", self.policy.network_name);
            return Err(Refusal::ours(NOT_CONNECTED, &words));
        };
        match self.puppet(id).held.as_ref().map(|held| held.end.ending) {
            Some(Ending::Quit) => return Ok(Report::Done),
            Some(_) => return Err(Refusal::ours(NOT_CONNECTED, &self.held_words(id).unwrap_or_default())),
            None => {}
        }
        self.spend_grace(id);
        self.send_off(id, Ending::Quit, "", &in_a_line(reason));
        // Coming and going is heard in every channel: not more often than by `reconnect`.
        let again = self.now.plus_ms(RECONNECT_MS_MIN);
        let puppet = self.puppet(id);
        puppet.not_before = puppet.not_before.max(again);
        Ok(Report::Done)
    }

    /// Who goes and comes and goes has a grace to read unseen once in an hour, not once each time.
    fn spend_grace(&mut self, id: PuppetId) {
        let now = self.now;
        let before = self.puppet(id).asked.left.replace(now);
        if before.is_none_or(|at| now.since_ms(at) >= LATELY_MS) {
            return;
        }
        let user = self.puppet(id).user.clone();
        let channels: Vec<ChannelName> = self.puppet(id).wanted.iter().cloned().collect();
        for room in channels.iter().flat_map(|channel| self.rooms_of(channel)).collect::<Vec<_>>() {
            self.gate.note_lately(now, &room, &user);
        }
    }

    /// Ends a puppet's connection, and lets it stay away: `words` are for its person, `farewell` is for the network.
    fn send_off(&mut self, id: PuppetId, ending: Ending, words: &str, farewell: &str) {
        let farewell = if farewell.is_empty() { QUIT } else { farewell };
        let withdrawn = self.with_session(id, |session, _| session.withdraw_all()).unwrap_or_default();
        let has_session = self.puppets[id.0 as usize].session.is_some();
        if has_session {
            self.end_session(id, farewell);
        }
        let visits: Vec<ChannelName> = self.errands.visited_by(id).collect();
        visits.iter().for_each(|channel| self.end_visit(id, channel));
        self.hold(id, End { ending, words: clean(words) });
        let why = self.held_words(id).unwrap_or_default();
        self.fail_lines(withdrawn, &why);
    }

    pub(super) fn reconnect_asked(&mut self, ask: AskId, user: &UserId) -> Result<Option<Report>, Refusal> {
        let (id, now) = (self.ensure_puppet(user, None), self.now);
        if self.is_put_out(id) && self.policy.admission.permissions.of(user) != Permission::Admin {
            return Err(Refusal::ours(NOT_ALLOWED, &self.held_words(id).unwrap_or_default()));
        }
        let again = self.puppet(id).asked.called.map(|at| at.plus_ms(RECONNECT_MS_MIN));
        if let Some(again) = again.filter(|at| *at > now) {
            let time = spelled(again.since_ms(now).max(1_000));
            let words = format!("you asked for another connection a moment ago: try again in {time}");
            return Err(Refusal::ours("TOO_FAST", &words));
        }
        let wall = self.puppet(id).asked.wall.filter(|at| *at > now);
        if let Some(at) = wall.filter(|_| self.puppets[id.0 as usize].session.is_none()) {
            let (network, time) = (&self.policy.network_name, spelled(at.since_ms(now).max(1_000)));
            let why = self.puppets[id.0 as usize].last_trouble().map(|why| format!(" ({why})"));
            let why = why.unwrap_or_default();
            let words = format!(
                "{network} takes no connection of yours at the moment{why}: it is tried again in {time}"
            );
            return Err(Refusal::ours("TOO_FAST", &words));
        }
        // One that is being made is another connection already.
        let session = self.puppets[id.0 as usize].session.as_ref();
        let is_ready = session.is_some_and(Session::is_ready);
        let before = session.filter(|session| is_ready || session.is_closing()).map(|session| session.conn);
        self.wait_for(ask, id, Needs::Connection, Stage::Returning(before))?;
        self.let_back(id);
        let puppet = self.puppet(id);
        puppet.forget_failures();
        puppet.asked.called = Some(now);
        if is_ready {
            self.end_session(id, "Reconnecting");
        }
        self.ask_to_dial(id);
        Ok(None)
    }

    /// Held by others, for what they did.
    fn is_put_out(&self, id: PuppetId) -> bool {
        let held = self.puppets[id.0 as usize].held.as_ref();
        held.is_some_and(|held| matches!(held.end.ending, Ending::Killed | Ending::Banned | Ending::SentAway))
    }

    /// Whether the other connection stands, or will not.
    pub(super) fn look_for_return(&mut self, ask: AskId, id: PuppetId, before: Option<ConnId>) {
        let puppet = &self.puppets[id.0 as usize];
        let has_failed = puppet.session.is_none() && puppet.last_trouble().is_some();
        let is_back =
            puppet.session.as_ref().is_some_and(|session| session.is_ready() && Some(session.conn) != before);
        if is_back {
            self.end_errand(ask, Report::Done);
        } else if has_failed {
            let refusal = self.not_connected(id);
            self.refuse_errand(ask, refusal);
        }
    }

    /// Ends a hold, where there is one.
    pub(in super::super) fn let_back(&mut self, id: PuppetId) {
        let puppet = self.puppet(id);
        if puppet.held.take().is_some() {
            let user = puppet.user.clone();
            self.out.push(Effect::DropHold { user });
        }
    }

    /// What a held puppet was to say is not said.
    pub(in super::super) fn fail_of_held(&mut self, id: PuppetId) {
        let Some(why) = self.held_words(id) else { return };
        for waiting in self.puppet(id).take_all_waiting() {
            self.failed(&waiting.saying, &why);
        }
    }
}

// By admins.
impl Network {
    pub(super) fn kill(
        &mut self,
        by: &UserId,
        whom: &UserId,
        reason: Option<&str>,
    ) -> Result<Report, Refusal> {
        let id = self.puppet_ids.get(whom).copied();
        match id {
            Some(id) if self.is_bot(id) => {
                Err(Refusal::ours(NOT_ALLOWED, "this is the bridge's own user: its settings say where it is"))
            }
            Some(id) => Ok(Report::Ended(self.send_away(by, vec![id], reason))),
            None => {
                let words = format!("{whom} has no IRC user on {}", self.policy.network_name);
                Err(Refusal::ours("NO_SUCH_USER", &words))
            }
        }
    }

    /// Whoever is held may connect again.
    pub(super) fn release_held(&mut self, whom: &UserId) -> Result<Report, Refusal> {
        let held = self.puppet_ids.get(whom).copied();
        let Some(id) = held.filter(|id| self.puppets[id.0 as usize].held.is_some()) else {
            let words = format!("{whom} is not kept away from {}", self.policy.network_name);
            return Err(Refusal::ours("NO_SUCH_USER", &words));
        };
        self.let_back(id);
        self.puppet(id).forget_failures();
        self.ask_to_dial(id);
        Ok(Report::Done)
    }

    /// All that are known of a homeserver; who comes from there later is a matter of permissions.
    pub(super) fn evict(&mut self, by: &UserId, server: &str, reason: Option<&str>) -> Report {
        let of_it = |id: &PuppetId| {
            self.puppets[id.0 as usize].user.server().eq_ignore_ascii_case(server) && !self.is_bot(*id)
        };
        let ids: Vec<PuppetId> = (0..self.puppets.len() as u32).map(PuppetId).filter(of_it).collect();
        Report::Ended(self.send_away(by, ids, reason))
    }

    fn send_away(&mut self, by: &UserId, ids: Vec<PuppetId>, reason: Option<&str>) -> Vec<UserFact> {
        let reason = in_a_line(reason);
        let words = if reason.is_empty() { by.to_string() } else { format!("{by}: {reason}") };
        let facts = ids.iter().take(ROWS_MAX).map(|id| self.user_fact(*id)).collect();
        for id in ids {
            let is_away = |ending| ending == Ending::SentAway;
            let held = self.puppet(id).held.as_ref();
            if !held.is_some_and(|held| is_away(held.end.ending)) {
                self.send_off(id, Ending::SentAway, &words, &reason);
            }
        }
        facts
    }

    /// Connections of people who said nothing for so long; they end one by one, and come back with the next word.
    pub(super) fn reap(&mut self, idle_ms: u64, how: Reaping) -> Vec<UserFact> {
        let now = self.now;
        let is_idle = |id: &PuppetId| {
            let puppet = &self.puppets[id.0 as usize];
            let is_ready = puppet.session.as_ref().is_some_and(Session::is_ready);
            let since = puppet.active_at.or(puppet.ready_since());
            is_ready && !self.is_bot(*id) && since.is_some_and(|at| at.plus_ms(idle_ms) <= now)
        };
        let ids: Vec<PuppetId> = (0..self.puppets.len() as u32).map(PuppetId).filter(is_idle).collect();
        let facts = ids.iter().take(ROWS_MAX).map(|id| self.user_fact(*id)).collect();
        match how {
            Reaping::Trial => {}
            Reaping::Done => {
                for id in ids {
                    self.puppet(id).asked.reaped = Some(idle_ms);
                    self.idle_due(id);
                }
            }
        }
        facts
    }
}
