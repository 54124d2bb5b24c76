//! What comes from IRC: one line of one connection, and what it shows.

use std::collections::BTreeSet;

use super::super::channel::{Heard, Tags};
use super::super::effect::{Effect, Refusal};
use super::super::ending::{Closing, Comeback, End, Ending, LoginRefusal};
use super::super::policy::BotMode;
use super::super::queries::Heard as Private;
use super::super::session::Session;
use super::super::session::places::Standing;
use super::super::session::register;
use super::super::session::seen::{NickRefusal, Person, Quitting, Seen};
use super::Network;
use super::answers::is_passing;
use super::wishes::Services;
use crate::ids::{ChannelName, ConnId, Nick};
use crate::text::line::Line;

/// ERR_NOTONCHANNEL (RFC 2812 section 5.2).
const NOT_ON_CHANNEL: u16 = 442;
/// ERR_NICKNAMEINUSE.
const NICK_IN_USE: u16 = 433;
/// ERR_PASSWDMISMATCH.
const WRONG_PASSWORD: u16 = 464;

impl Network {
    pub(super) fn conn_line(&mut self, conn: ConnId, line: &Line) {
        let Some(puppet) = self.puppets.get_mut(conn.puppet.0 as usize) else { return };
        let id = puppet.id;
        let Some(session) = puppet.session_of(conn) else { return };
        let casemap = self.isupport.casemap;
        let asked = session.nick_asked().cloned();
        let secrets = session.secrets();
        let mut seen = session.line(self.now, line, &mut self.isupport, &mut self.out);
        if let Some(words) = seen.as_mut().and_then(Seen::words_mut) {
            *words = register::without(&secrets, std::mem::take(words));
        }
        self.arm_session(conn);
        self.note_nicks(id);
        if casemap != self.isupport.casemap {
            self.casemap_learned(casemap.unwrap_or_default());
        }
        if let Some(seen) = seen {
            self.seen(conn, seen, asked);
        }
        self.take_answers(conn);
    }

    /// `asked` is the nick that was asked for when the line came.
    fn seen(&mut self, conn: ConnId, seen: Seen, asked: Option<Nick>) {
        match seen {
            Seen::Welcome { .. } | Seen::Supports => {}
            Seen::HostChanged { who, user, host } => self.host_changed(conn, &who, format!("{user}@{host}")),
            Seen::Away { who, words } => self.is_away(conn, &who, &words),
            Seen::LoginRefused { words } => self.login_refused(conn, LoginRefusal::Credentials, &words),
            Seen::UpgradeAsked { port } => self.upgrade(conn, port),
            Seen::NickRefused { why, words } => {
                if why == NickRefusal::Illegal {
                    self.nick_is_illegal(asked.as_ref());
                }
                self.nick_refused(conn, asked.as_ref(), &words);
            }
            Seen::Ready => self.connection_ready(conn),
            Seen::Joined { channel, who } => self.joined(conn, channel, who),
            Seen::Left { channel, who } => self.left(conn, &channel, &who),
            Seen::Kicked { channel, who, by, reason } => self.kicked(conn, &channel, &who, &by, &reason),
            Seen::ModesChanged { channel, changes } => self.modes_changed(conn, &channel, &changes),
            Seen::Quit { who, how } => self.quit(conn, &who, how),
            Seen::Renamed { who, to } => self.renamed(conn, &who, &to, asked.as_ref()),
            Seen::Names { channel, visibility, nicks: list } => {
                self.in_channel(&channel, |channel, _, nicks, _| {
                    channel.names(conn, visibility, list, nicks);
                    Vec::new()
                });
            }
            Seen::NamesEnd { channel } => {
                self.in_channel(&channel, |channel, _, _, _| {
                    channel.names_end(conn);
                    Vec::new()
                });
            }
            Seen::Said { channel, from, mask, what, stamp } => {
                self.said(conn, &channel, mask.as_deref(), Heard { from, what, stamp });
            }
            Seen::SaidPrivately { from, to, account, what, stamp } => {
                self.said_privately(conn, &from, to, account, Private { what, stamp });
            }
            Seen::CtcpAsked { from, verb, rest } => self.ctcp_asked(conn, &from, &verb, &rest),
            Seen::JoinRefused { channel, numeric, words } => {
                let params = vec![String::new(), channel.to_string(), words.clone()];
                let refusal = Refusal { code: numeric.to_string(), words, params };
                if !is_passing(&refusal) {
                    self.join_refused(conn, &channel, &refusal);
                }
            }
            Seen::NotTaken { channel, numeric, .. } => self.not_taken(conn, &channel, numeric),
            Seen::Farewell { numeric, words } => self.farewell(conn, numeric, &words),
            Seen::Killed { who, words } if self.is_me(conn, &who) => {
                let now = self.now;
                self.puppet(conn.puppet).last_words.kill(now, &words);
                self.end_if_for_good(conn);
            }
            Seen::Killed { .. } => {}
            Seen::Typing { channel, who, mask, typing } => self.types(conn, &channel, who, mask, typing),
            Seen::Topic { channel, text, .. } => self.topic_seen(conn, &channel, &text),
            Seen::Invited { channel, who, by, person } => {
                self.invited_on_irc(conn, &who, (&by, person.as_ref()), &channel);
            }
            Seen::Offline { nicks } => self.went_offline(&nicks),
            Seen::ModesAre { channel, changes } => self.modes_are(conn, &channel, &changes),
            Seen::Online(people) => self.are_online(&people),
            Seen::WatchRefused(nicks) => self.watch_refused(conn, &nicks),
        }
    }

    /// The server says why it is about to close. A numeric may be followed by better words, so it is kept; after
    /// an ERROR nothing follows.
    fn farewell(&mut self, conn: ConnId, numeric: Option<u16>, words: &str) {
        let now = self.now;
        let Some(puppet) = self.puppet_of(conn) else { return };
        let is_ready = puppet.session.as_ref().is_some_and(Session::is_ready);
        match numeric {
            // Later it answers OPER.
            Some(WRONG_PASSWORD) if is_ready => {}
            Some(numeric) => puppet.last_words.numeric(now, numeric, words),
            None => {
                puppet.last_words.error(now, words);
                self.end_if_for_good(conn);
            }
        }
    }

    /// A connection that ends so that its puppet stays away is ended by us: nothing more is said on it.
    fn end_if_for_good(&mut self, conn: ConnId) {
        let now = self.now;
        let Some(puppet) = self.puppet_of(conn) else { return };
        let end = puppet.why_over(now, Closing::Lost(""));
        if end.ending.comeback() == Comeback::Never {
            self.give_up(conn, end);
        }
    }

    /// The nick is somebody else's: where a stream showed it meanwhile, it was not us.
    fn nick_refused(&mut self, conn: ConnId, asked: Option<&Nick>, words: &str) {
        let now = self.now;
        self.puppet(conn.puppet).last_words.numeric(now, NICK_IN_USE, words);
        if let Some(nick) = asked {
            self.disown(conn, nick);
        }
    }

    /// A nick that we asked for and did not get.
    pub(super) fn disown(&mut self, conn: ConnId, nick: &Nick) {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        for name in session.into_iter().flat_map(Session::channels) {
            if let Some(channel) = self.channels.get_mut(name) {
                channel.disown(conn, nick);
            }
        }
    }

    pub(super) fn is_me(&self, conn: ConnId, nick: &Nick) -> bool {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        session.is_some_and(|session| session.is_me(nick))
    }

    /// A greeting is over: modes are set, and the wanted channels joined.
    pub(super) fn connection_ready(&mut self, conn: ConnId) {
        let id = conn.puppet;
        let mut modes = self.policy.user_modes.clone();
        let is_bot = self.policy.bot_mode == BotMode::Shown || self.is_bot(id);
        if let (true, Some(mode)) = (is_bot, self.isupport.bot_mode) {
            modes.extend(['+', mode]);
        }
        if !modes.is_empty() {
            self.with_session(id, |session, out| session.user_modes(&modes, out));
        }
        self.let_in(id);
        self.tell_of_login(id);
        self.watch_again(id);
        let is_disputed = self.puppet(id).nick_disputed;
        self.compare_nick(id, if is_disputed { Services::LeftAlone } else { Services::Asked });
        let puppet = self.puppet(id);
        let mut wanted: Vec<ChannelName> = puppet.wanted.iter().cloned().collect();
        // A server that lets nobody into so many refuses the last ones: not those where something is to be said.
        wanted.sort_by_key(|channel| !puppet.waits_for(channel));
        self.join_channels(id, wanted);
        self.flush_to_people(id);
    }

    /// The server wants to be spoken to with TLS: at once, and from now on.
    fn upgrade(&mut self, conn: ConnId, port: u16) {
        self.out.push(Effect::Upgrade { conn, port });
        let words = "the server asked for an encrypted connection".to_owned();
        self.give_up(conn, End { ending: Ending::Asked, words });
    }

    fn joined(&mut self, conn: ConnId, channel: ChannelName, who: Person) {
        if !self.is_me(conn, &who.nick) {
            return self.in_channel(&channel, |channel, now, nicks, _| {
                channel.joined(now, conn, &who.nick, who.mask().as_deref(), nicks);
                Vec::new()
            });
        }
        if let Some(mask) = who.mask() {
            self.nicks.masked(conn, &mask);
        }
        let id = conn.puppet;
        if self.standing(id, &channel) != Some(Standing::In) {
            // On the way out, wanted back or not: the echo of the PART comes next.
            return;
        }
        if !self.puppet(id).wanted.contains(&channel) {
            // A forward (470), a services join, or a room left meanwhile: nobody here wants to be there.
            self.channel(&channel).asks(conn, None, Tags::Hidden);
            return self.leave_channel(id, &channel);
        }
        self.puppet(id).forgive(&channel);
        self.channel(&channel);
        self.in_channel(&channel, |channel, now, _, heard| channel.entered(now, conn, who.nick, heard));
        self.gate_place(id, &channel);
        self.flush_waiting(id, &channel);
    }

    /// A nick quit on this stream. If it was one of ours, the server has thrown that connection off, or the two
    /// are on different sides of a netsplit: it has to show that it lives.
    fn quit(&mut self, conn: ConnId, who: &Person, how: Quitting) {
        let names: Vec<ChannelName> = self.channels_of(conn);
        let (mask, mut thrown_off) = (who.mask(), None);
        let mut suspects = match how {
            Quitting::Gone => self.missed_by_quit(conn, &who.nick, mask.as_deref()),
            // What this stream will never show may have been shown where they were.
            Quitting::ThrownOff | Quitting::Split => BTreeSet::new(),
        };
        for name in names {
            self.types_no_longer(&name, &who.nick);
            self.in_channel(&name, |channel, _, nicks, _| {
                thrown_off = channel.quit(conn, &who.nick, mask.as_deref(), how, nicks).or(thrown_off);
                Vec::new()
            });
        }
        self.nick_freed(&who.nick);
        // Whoever observes nothing sees people quit as well.
        let named = self.nicks.identified(&who.nick, mask.as_deref());
        let named = named.filter(|named| self.nicks.has(*named, &who.nick));
        suspects.extend(thrown_off.or(named).filter(|other| *other != conn));
        for other in suspects {
            self.suspect(other);
        }
    }

    fn suspect(&mut self, conn: ConnId) {
        if self.puppet_of(conn).is_none() {
            return;
        }
        let now = self.now;
        self.with_session(conn.puppet, |session, out| session.suspect(now, out));
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        // Where it does not observe as well: a seat that gets free is not for it.
        let names: Vec<ChannelName> = session.into_iter().flat_map(Session::channels).cloned().collect();
        for name in names {
            self.in_channel(&name, |channel, now, _, heard| channel.doubt(now, conn, heard));
        }
    }

    fn renamed(&mut self, conn: ConnId, who: &Nick, to: &Nick, asked: Option<&Nick>) {
        if self.is_me(conn, to) {
            self.news_of_nick(conn.puppet, who, to, asked);
            self.nick_changed(conn.puppet, to, asked);
        }
        self.nick_freed(who);
        self.partner_renamed(conn, who, to);
        for name in self.channels_of(conn) {
            self.types_no_longer(&name, who);
            self.in_channel(&name, |channel, _, _, _| {
                channel.renamed(conn, who, to);
                Vec::new()
            });
        }
    }

    /// The channels that a connection observes.
    pub(super) fn channels_of(&self, conn: ConnId) -> Vec<ChannelName> {
        let session = self.puppets[conn.puppet.0 as usize].session.as_ref();
        let names = session.into_iter().flat_map(|session| session.channels());
        names.filter(|name| self.channels.get(*name).is_some_and(|c| c.is_observer(conn))).cloned().collect()
    }

    pub(super) fn join_refused(&mut self, conn: ConnId, channel: &ChannelName, refusal: &Refusal) {
        let id = conn.puppet;
        match self.standing(id, channel) {
            Some(Standing::Asked(_)) => {
                self.with_session(id, |session, _| session.out_of(channel));
                self.out_of_channel(conn, channel);
                self.not_let_in(id, channel, refusal);
            }
            Some(Standing::In | Standing::Leaving(..)) | None => {}
        }
    }

    /// Something that nobody asked about was not taken in a channel; a PART from where we were not (442) is one.
    pub(super) fn not_taken(&mut self, conn: ConnId, channel: &ChannelName, numeric: u16) {
        self.typing_refused(conn.puppet, channel);
        let is_leaving = matches!(self.standing(conn.puppet, channel), Some(Standing::Leaving(..)));
        if is_leaving && numeric == NOT_ON_CHANNEL {
            self.left_ourselves(conn, channel);
        }
    }
}
