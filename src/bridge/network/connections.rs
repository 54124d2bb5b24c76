//! Connections: who dials when, what happens when one opens or is lost, and their wake-ups.

use super::super::clock::Bucket;
use super::super::effect::{Chat, Effect};
use super::super::input::{CloseReason, Opening, Salted};
use super::super::pacer::retry_ms;
use super::super::session::places::Standing;
use super::super::session::register::Registration;
use super::super::session::{Session, Woken};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, ConnId, PuppetId};

/// How long a puppet waits when the network has as many connections as it may.
const FULL_MS: u64 = 60_000;

impl Network {
    /// Gets a puppet in line to dial, if it wants to be anywhere and has no connection.
    pub(super) fn ask_to_dial(&mut self, id: PuppetId) {
        let puppet = self.puppet(id);
        if puppet.session.is_some() || puppet.wanted.is_empty() {
            return;
        }
        let not_before = puppet.not_before;
        if self.life != Life::Running {
            return;
        }
        if not_before > self.now {
            return self.timers.arm(Timer::Dial(id), not_before);
        }
        if self.connections >= self.policy.connections_max {
            return self.timers.arm(Timer::Dial(id), self.now.plus_ms(FULL_MS));
        }
        self.pacer.ask(id);
        self.dial_next();
    }

    /// Lets those dial whose turn it is.
    pub(super) fn dial_next(&mut self) {
        while self.life == Life::Running {
            match self.pacer.turn() {
                Ok(id) => self.dial(id),
                Err(until) => return self.timers.arm_if(Timer::Pacer, until),
            }
        }
    }

    fn dial(&mut self, id: PuppetId) {
        let (now, flood) = (self.now, self.policy.flood);
        let bucket = Bucket::new(flood.burst, flood.line_ms, &self.clock);
        let puppet = self.puppet(id);
        if puppet.session.is_some() || puppet.wanted.is_empty() {
            return;
        }
        self.connections += 1;
        let puppet = self.puppet(id);
        let conn = puppet.next_conn();
        puppet.session = Some(Session::new(conn, now, bucket));
        let user = puppet.user.clone();
        self.out.push(Effect::Connect { conn, user });
    }

    /// The socket is open.
    pub(super) fn conn_opened(&mut self, conn: ConnId, opening: Opening) {
        let Some(puppet) = self.puppet_of(conn) else { return };
        let (id, user) = (puppet.id, puppet.user.clone());
        let base = self.wished_nick(&self.puppets[id.0 as usize]);
        let (now, map, nick_bytes_max) = (self.now, self.map(), self.isupport.nick_bytes_max);
        let registration = Registration::new(now, &user, base, nick_bytes_max, map, opening, &self.policy);
        self.with_session(id, |session, out| session.opened(now, registration, out));
        self.note_nicks(id);
    }

    /// A password was salted.
    pub(super) fn derived(&mut self, conn: ConnId, salted: &Salted) {
        if self.puppet_of(conn).is_some() {
            self.with_session(conn.puppet, |session, out| session.derived(salted, out));
        }
    }

    /// Keeps the list of our nicks in step with a session.
    pub(super) fn note_nicks(&mut self, id: PuppetId) {
        if let Some(session) = self.puppets[id.0 as usize].session.as_ref().filter(|s| !s.is_closing()) {
            self.nicks.update(session.conn, session.nick(), session.nick_asked());
        }
    }

    /// The kernel took lines.
    pub(super) fn conn_written(&mut self, conn: ConnId, lines: u32) {
        if self.puppet_of(conn).is_none() {
            return;
        }
        let parts = self.with_session(conn.puppet, |session, out| session.written(lines, out));
        for part in parts.unwrap_or_default() {
            self.on_its_way(&part);
        }
        self.take_answers(conn);
    }

    /// The connection is no more, or never came up.
    pub(super) fn conn_closed(&mut self, conn: ConnId, why: CloseReason) {
        if self.puppet_of(conn).is_some() {
            match why {
                CloseReason::DialFailed(words) | CloseReason::Lost(words) => {
                    self.puppet(conn.puppet).trouble(words)
                }
                CloseReason::Asked => {}
            }
            self.connection_over(conn.puppet, None);
        }
    }

    /// Gives a connection up: nothing of it counts from here on.
    pub(super) fn give_up(&mut self, conn: ConnId, wait_ms: Option<u64>) {
        if self.puppet_of(conn).is_some() {
            self.out.push(Effect::Close { conn });
            self.connection_over(conn.puppet, wait_ms);
        }
    }

    /// Ends a puppet's connection with a goodbye. It stays until it is closed, so that what the kernel still
    /// takes is known to be on its way.
    pub(super) fn end_session(&mut self, id: PuppetId, words: &str) {
        let now = self.now;
        let ended = self.with_session(id, |session, out| (session.conn, session.quit(now, words, out)));
        let Some((conn, channels)) = ended else { return };
        self.nicks.remove(conn);
        for name in channels {
            self.out_of_channel(conn, &name);
        }
    }

    /// The channels lose a connection; its puppet comes back after a while, if it wants to be anywhere.
    fn connection_over(&mut self, id: PuppetId, wait_ms: Option<u64>) {
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        let conn = session.conn;
        let channels: Vec<ChannelName> = session.channels().cloned().collect();
        let asked = session.nick_asked().cloned();
        self.nicks.remove(conn);
        let now = self.now;
        self.end_asks(id);
        self.puppet(id).connection_over(now);
        self.connections -= 1;
        for name in channels {
            if let (Some(nick), Some(channel)) = (&asked, self.channels.get_mut(&name)) {
                // Whether it got this nick will not be known: better a line doubled than a stranger unheard.
                channel.disown(conn, nick);
            }
            self.out_of_channel(conn, &name);
        }
        self.arm_expiry(id);
        let (pace, roll) = (self.policy.connect, self.dice.roll());
        let failures = self.puppet(id).failures();
        let wait = wait_ms.unwrap_or_else(|| retry_ms(failures, pace.retry_ms_min, pace.retry_ms_max, roll));
        self.puppet(id).not_before = now.plus_ms(wait);
        self.timers.arm(Timer::Dial(id), now.plus_ms(wait));
        if self.life == Life::Stopping {
            self.close_begun(id);
        }
    }

    /// The bridge goes down: a message that was said in part would be said whole at the next start. It ends
    /// here, and its sender knows.
    fn close_begun(&mut self, id: PuppetId) {
        for waiting in self.puppet(id).take_begun() {
            self.failed(
                &waiting.saying,
                "the bridge went down in the midst of it; the end is missing on IRC",
            );
        }
    }

    pub(super) fn out_of_channel(&mut self, conn: ConnId, name: &ChannelName) {
        self.in_channel(name, |channel, now, _, heard| channel.gone(now, conn, heard));
        self.note_observing(conn);
    }

    /// Joins channels, where the connection may talk already; else it will when it may.
    pub(super) fn join_channels(&mut self, id: PuppetId, names: Vec<ChannelName>) {
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        if !session.is_ready() || names.is_empty() {
            return;
        }
        let (conn, server) = (session.conn, session.server().cloned());
        let is_leaving = |name: &ChannelName| matches!(session.standing(name), Some(Standing::Leaving(..)));
        let fresh: Vec<ChannelName> = names.iter().filter(|name| !is_leaving(name)).cloned().collect();
        for name in &fresh {
            self.channel(name).asks(conn, server.as_ref());
        }
        let now = self.now;
        self.with_session(id, |session, out| session.join(now, &names, out));
        self.note_observing(conn);
    }

    /// A connection's chat is read while it observes any channel.
    pub(super) fn note_observing(&mut self, conn: ConnId) {
        if self.puppet_of(conn).is_none() {
            return;
        }
        let chat = if self.channels_of(conn).is_empty() { Chat::Skip } else { Chat::Read };
        self.with_session(conn.puppet, |session, out| session.observe(chat, out));
    }

    /// Leaves a channel: the duty moves first, then PART goes behind what is still to be said there.
    pub(super) fn leave_channel(&mut self, id: PuppetId, name: &ChannelName) {
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        let conn = session.conn;
        if !matches!(session.standing(name), Some(Standing::Asked(_) | Standing::In)) {
            // Not there, or on the way out: then nobody wants it back.
            let now = self.now;
            self.with_session(id, |session, out| session.part(now, name, out));
            return;
        }
        self.in_channel(name, |channel, now, _, heard| {
            channel.leaving(now, conn, heard);
            Vec::new()
        });
        let now = self.now;
        self.with_session(id, |session, out| session.part(now, name, out));
        self.out_of_channel(conn, name);
    }

    pub(super) fn arm_session(&mut self, conn: ConnId) {
        let pace = self.policy.ping;
        let session = self.puppets.get(conn.puppet.0 as usize).and_then(|puppet| puppet.session.as_ref());
        if let Some(session) = session.filter(|session| session.conn == conn) {
            self.timers.arm_if(Timer::Session(conn), session.poll_timeout(&pace));
        }
    }

    pub(super) fn session_due(&mut self, conn: ConnId) {
        if self.puppet_of(conn).is_none() {
            return;
        }
        let (now, pace) = (self.now, self.policy.ping);
        let woken = self.with_session(conn.puppet, |session, out| session.handle_timeout(now, &pace, out));
        self.take_answers(conn);
        match woken {
            Some(Woken::GiveUp(words)) => {
                self.puppet(conn.puppet).trouble(words.to_owned());
                self.give_up(conn, None);
            }
            Some(Woken::Late(channels)) => self.join_channels(conn.puppet, channels),
            Some(Woken::Fine) | None => {}
        }
    }

    /// Goodbye on every connection; nobody dials any more. What observers hold is relayed first: nobody will
    /// see it again.
    pub(super) fn stopping(&mut self) {
        self.life = Life::Stopping;
        for (name, mut channel) in std::mem::take(&mut self.channels) {
            let mut heard = Vec::new();
            channel.close(self.now, &mut heard);
            heard.iter().for_each(|line| self.relay(&name, line));
        }
        for id in 0..self.puppets.len() as u32 {
            self.close_begun(PuppetId(id));
            self.end_session(PuppetId(id), "The bridge is restarting");
        }
    }
}
