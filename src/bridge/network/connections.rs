//! Connections: who dials when, what happens when one opens or is lost, and their wake-ups.

use super::super::clock::Bucket;
use super::super::effect::Effect;
use super::super::ending::{Closing, End, Ending, LastWords, LoginRefusal, clean};
use super::super::input::{CloseReason, Opening, Salted};
use super::super::pacer::{Haste, wait_ms};
use super::super::puppet::Puppet;
use super::super::session::register::{Applicant, Registration};
use super::super::session::{Session, Woken};
use super::super::timer::Timer;
use super::{Life, Network};
use crate::ids::{ChannelName, ConnId, PuppetId};

/// So many bans in a row, and it is not the puppets but the bridge: the network rests.
const BANS_IN_A_ROW_MAX: u32 = 3;
/// How long a stop waits for the answers to what was said; the whole has five seconds.
const FINISH_MS_MAX: u64 = 3_000;
/// What most servers show of a realname, for one that has not said it yet; they cut a longer one where it may mislead.
const REALNAME_BYTES_GUESS: usize = 50;

impl Network {
    /// Gets a puppet in line to dial, if it wants to be anywhere and has no connection.
    pub(super) fn ask_to_dial(&mut self, id: PuppetId) {
        let is_running = self.life == Life::Running;
        let is_bot = self.is_bot(id);
        let puppet = self.puppet(id);
        if !is_running || !puppet.may_dial() {
            return;
        }
        let not_before = puppet.not_before;
        let haste = if puppet.is_needed() || is_bot { Haste::Eager } else { Haste::Calm };
        if not_before > self.now {
            return self.timers.arm(Timer::Dial(id), not_before);
        }
        self.pacer.ask(id, haste);
        self.dial_next();
    }

    /// Lets those dial whose turn it is. With all connections taken, one that nobody uses makes room.
    pub(super) fn dial_next(&mut self) {
        while self.life == Life::Running {
            let Some(next) = self.pacer.next() else { return };
            if !self.puppet(next).may_dial() {
                self.pacer.forget(next);
                continue;
            }
            if let Some(words) = self.homeserver_full(&self.puppets[next.0 as usize].user) {
                self.homeserver_waits(next, words);
                continue;
            }
            if self.connections >= self.policy.connections_max {
                self.gate_full();
                return self.make_room();
            }
            match self.pacer.turn(self.now) {
                Ok(id) => self.dial(id),
                Err(until) => return self.timers.arm_if(Timer::Pacer, until),
            }
        }
    }

    fn dial(&mut self, id: PuppetId) {
        let (now, flood) = (self.now, self.policy.flood);
        let bucket = Bucket::new(flood.burst, flood.line_ms, &self.clock).weighing(flood.line_bytes);
        self.connections += 1;
        self.homeserver_dials(id);
        let puppet = self.puppet(id);
        puppet.last_words = LastWords::default();
        puppet.dialed = now;
        let conn = puppet.next_conn();
        puppet.session = Some(Session::new(conn, now, bucket));
        let user = puppet.user.clone();
        self.counts.connect(conn);
        self.out.push(Effect::Connect { conn, user });
        self.gate_person(id);
    }

    /// The socket is open.
    pub(super) fn conn_opened(&mut self, conn: ConnId, opening: Opening) {
        let Some(puppet) = self.puppet_of(conn) else { return };
        let (id, user) = (puppet.id, puppet.user.clone());
        let base = self.wished_nick(&self.puppets[id.0 as usize]);
        let (now, map, nick_bytes_max) = (self.now, self.map(), self.isupport.nick_bytes_max);
        self.nicks.introduced(conn, &opening.identity.ident);
        // Said in 005, after the realname: what the network said last time.
        let realname = self.realname(id, self.isupport.realname_bytes_max.unwrap_or(REALNAME_BYTES_GUESS));
        let display = self.puppets[id.0 as usize].display_name.as_deref();
        let nick_ascii = match self.is_bot(id) {
            true => base.clone(),
            false => self.policy.nicks.fill(display, &user, nick_bytes_max),
        };
        let applicant = Applicant { nick: base, nick_ascii, nick_bytes_max, realname, map };
        let registration = Registration::new(now, applicant, opening, &self.policy);
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
        let now = self.now;
        let Some(puppet) = self.puppet_of(conn) else { return };
        let is_closing = puppet.session.as_ref().is_some_and(Session::is_closing);
        let closing = match &why {
            _ if is_closing => Closing::Asked,
            CloseReason::DialFailed(words) => Closing::DialFailed(words),
            CloseReason::Lost(words) => Closing::Lost(words),
            CloseReason::Asked => Closing::Lost("the connection was closed"),
        };
        let end = puppet.why_over(now, closing);
        self.connection_over(conn.puppet, end);
    }

    /// Gives a connection up: nothing of it counts from here on, so nothing of it may arrive from here on either.
    pub(super) fn give_up(&mut self, conn: ConnId, end: End) {
        if self.puppet_of(conn).is_some() {
            self.out.push(Effect::Abandon { conn });
            self.connection_over(conn.puppet, end);
        }
    }

    /// A login that is refused is never tried again by itself: services lock accounts that are guessed at. The
    /// puppet is held.
    pub(super) fn login_refused(&mut self, conn: ConnId, why: LoginRefusal, words: &str) {
        self.give_up(conn, End { ending: Ending::LoginRefused(why), words: clean(words) });
    }

    /// Ends a puppet's connection with a goodbye; others take over its duties first. It stays until it is closed,
    /// so that what the kernel still takes is known to be on its way.
    pub(super) fn end_session(&mut self, id: PuppetId, words: &str) {
        let now = self.now;
        self.hand_over(id);
        self.pacer.done(id);
        let ended = self.with_session(id, |session, out| (session.conn, session.quit(now, words, out)));
        let Some((conn, channels)) = ended else { return };
        self.nicks.remove(conn);
        for name in channels {
            self.out_of_channel(conn, &name);
        }
    }

    /// What this puppet's connection has shown last and relayed nobody, and the duty for its channels, go to
    /// others there.
    fn hand_over(&mut self, id: PuppetId) {
        let Some(session) = self.puppets[id.0 as usize].session.as_ref() else { return };
        let conn = session.conn;
        let channels: Vec<ChannelName> = session.channels().cloned().collect();
        for name in channels {
            self.in_channel(&name, |channel, now, _, heard| {
                channel.leaving(now, conn, heard);
                Vec::new()
            });
        }
    }

    /// The channels lose a connection; its puppet comes back as its ending allows, if it wants to be anywhere.
    fn connection_over(&mut self, id: PuppetId, end: End) {
        let Some(session) = &self.puppets[id.0 as usize].session else { return };
        let conn = session.conn;
        let channels: Vec<ChannelName> = session.channels().cloned().collect();
        let asked = session.nick_asked().cloned();
        self.nicks.remove(conn);
        self.forget_wishes(id);
        self.watches_no_more(id);
        let now = self.now;
        self.end_asks(conn);
        let under_way = &self.under_way;
        let is_under_way = |seq| under_way.contains_key(&seq);
        self.puppets[id.0 as usize].connection_over(now, end.ending, is_under_way);
        self.connections -= 1;
        self.pacer.done(id);
        for name in channels {
            if let (Some(nick), Some(channel)) = (&asked, self.channels.get_mut(&name)) {
                // Whether it got this nick will not be known: better a line doubled than a stranger unheard.
                channel.disown(conn, nick);
            }
            self.out_of_channel(conn, &name);
        }
        self.arm_expiry(id);
        self.network_learns(id, end.ending);
        self.gate_wall(id, end.ending);
        self.come_back(id, end);
        self.fail_excluded(id);
        self.weigh(id);
        if self.life == Life::Stopping {
            self.close_begun(id);
        }
        self.homeserver_left(id);
        self.dial_next();
    }

    /// When this puppet may try again, if ever.
    fn come_back(&mut self, id: PuppetId, end: End) {
        self.fail_of_held(id);
        let (pace, roll) = (self.policy.connect, self.dice.roll());
        let failures = self.puppet(id).failures();
        match wait_ms(end.ending.comeback(), failures, &pace, roll) {
            Some(wait) => {
                let at = self.now.plus_ms(wait);
                self.puppet(id).not_before = at;
                self.puppet(id).asked.wall = end.ending.is_wall().then_some(at);
                self.timers.arm(Timer::Dial(id), at);
                if end.ending != Ending::Asked {
                    self.news_of_loss(id, &end.words, at);
                    self.cut_off(id, end.words);
                }
            }
            None => self.hold(id, end),
        }
    }

    /// What one puppet's ending says about all of them: a wall that is there for each is run into once.
    fn network_learns(&mut self, id: PuppetId, ending: Ending) {
        let dialed = self.puppet(id).dialed;
        match ending {
            Ending::Throttled | Ending::Full | Ending::NotServed | Ending::PasswordRefused => {
                self.pacer.throttled(self.now, dialed);
            }
            Ending::Banned => {
                self.bans_in_a_row += 1;
                if self.bans_in_a_row >= BANS_IN_A_ROW_MAX {
                    self.pacer.throttled(self.now, dialed);
                }
            }
            Ending::Asked
            | Ending::Unreachable(_)
            | Ending::Lost
            | Ending::Silent
            | Ending::Unregistered
            | Ending::ServerDown
            | Ending::NickTrouble
            | Ending::Killed
            | Ending::Quit
            | Ending::SentAway
            | Ending::LoginRefused(_) => {}
        }
    }

    /// A puppet is let in: its place among those under way is free, and the network takes us.
    pub(super) fn let_in(&mut self, id: PuppetId) {
        let now = self.now;
        self.puppet(id).ready(now);
        self.news_of_connection(id);
        self.bans_in_a_row = 0;
        self.reachable_again();
        self.arm_idle(id);
        if self.pacer.done(id) {
            self.dial_next();
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
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        let (is_ready, is_closing) =
            session.map_or((false, false), |session| (session.is_ready(), session.is_closing()));
        let woken = self.with_session(conn.puppet, |session, out| session.handle_timeout(now, &pace, out));
        self.take_answers(conn);
        match woken {
            Some(Woken::GiveUp(words)) => {
                let closing = match (is_closing, is_ready) {
                    (true, _) => Closing::Asked,
                    (false, true) => Closing::Silent(words),
                    (false, false) => Closing::Unregistered(words),
                };
                let end = self.puppet(conn.puppet).why_over(now, closing);
                self.give_up(conn, end);
            }
            Some(Woken::Ready) => self.connection_ready(conn),
            Some(Woken::Late(channels)) => self.join_channels(conn.puppet, channels),
            Some(Woken::Fine) | None => {}
        }
    }

    /// Nobody dials any more, and nothing new is said. What was said is answered first, for so long as there is.
    pub(super) fn stopping(&mut self) {
        if matches!(self.life, Life::Finishing | Life::Stopping) {
            return;
        }
        self.life = Life::Finishing;
        for id in 0..self.puppets.len() as u32 {
            self.with_session(PuppetId(id), Session::finish);
        }
        self.timers.arm(Timer::Goodbye, self.now.plus_ms(FINISH_MS_MAX));
    }

    pub(super) fn goodbye_if_all_is_answered(&mut self) {
        let is_open = |puppet: &Puppet| {
            puppet.session.as_ref().is_some_and(Session::has_open_lines) || puppet.doubts.is_some()
        };
        if self.life == Life::Finishing && !self.puppets.iter().any(is_open) {
            self.goodbye();
        }
    }

    /// Goodbye on every connection. What observers hold is relayed first: nobody will see it again.
    pub(super) fn goodbye(&mut self) {
        if self.life != Life::Finishing {
            return;
        }
        self.life = Life::Stopping;
        for (name, mut channel) in std::mem::take(&mut self.channels) {
            let mut heard = Vec::new();
            channel.close(self.now, &mut heard);
            heard.iter().for_each(|line| self.relay(&name, line));
        }
        self.tell_all_unheard();
        for id in 0..self.puppets.len() as u32 {
            self.weigh(PuppetId(id));
            self.close_begun(PuppetId(id));
            self.end_session(PuppetId(id), "The bridge is restarting");
        }
        self.tell_gathered();
    }
}
