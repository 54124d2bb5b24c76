//! Private chats: what people on IRC say to one of ours, and where it goes.
//!
//! A puppet's own connection is the only stream that shows it, so no ledger is needed: each line goes to the room of its
//! two, or waits until there is one. `invited` is about what people of Matrix do in these rooms, `done` about what the
//! homeserver was asked for, `watched` about nicks that come and go.

mod done;
mod invited;
mod watched;

pub(super) use self::invited::Change;

use super::super::effect::{Effect, Ghost, QueryStep, Relay, Speaker};
use super::super::input::{AbsenceTold, BodyKind, QueryRow, QueryStanding};
use super::super::policy::Shown;
use super::super::queries::pace::ALL_MAX;
use super::super::queries::{Absence, Heard, Pair, Place, Query, Who};
use super::super::relay::memory::{Author, Life as Standing, Order};
use super::super::relay::to_matrix;
use super::super::session::seen::{Person, Speaking, Uttered, Words};
use super::super::timer::Timer;
use super::chat::Deed;
use super::{Life, Network};
use crate::ids::{ConnId, Nick, PuppetId, RoomId, Target, UserId};
use crate::text::irc_codes;

/// How long after the last word of a private chat a puppet without a channel stays connected.
pub(super) const TALK_MS: u64 = 3_600_000;
/// Characters shown of an away message.
const AWAY_CHARS_MAX: usize = 200;
/// What stands before the bridge's own words in a private chat, where the ghost has to say them.
const BRIDGE: &str = "(bridge) ";

impl Network {
    /// A private chat of an earlier run.
    pub(super) fn query_known(&mut self, row: QueryRow) {
        let Some(nick) = Nick::new(&row.nick, self.map()) else { return };
        let place = match row.standing {
            QueryStanding::Open => Place::Open(row.room),
            QueryStanding::Left => Place::Left(row.room),
        };
        self.ensure_puppet(&row.user, row.display_name.as_deref());
        let who = Who { account: row.account, mask: row.mask };
        let mut query = Query::new(place, who);
        if row.absence == AbsenceTold::Yes {
            query.absence = Absence::Told;
        }
        self.queries.insert((row.user, nick), query);
    }

    /// Where to a room leads on IRC.
    pub(super) fn target_of(&self, room: &RoomId) -> Option<Target> {
        let portal = self.portals.of_room(room).map(|portal| portal.channel.clone().into());
        portal.or_else(|| self.queries.of_room(room).map(|((_, nick), _)| Target::Nick(nick.clone())))
    }

    /// True when somebody in the room was in it when this was said.
    pub(super) fn saw(&self, room: &RoomId, user: &UserId, said: Order) -> bool {
        self.queries.has(room, user) || self.portals.saw(room, user, said, self.began)
    }

    /// Who says the bridge's own words in a room: in a private chat nobody but the ghost is there to do it. `None` for a
    /// room that is left.
    pub(super) fn voice(&self, room: &RoomId, speaker: Speaker, text: String) -> Option<(Speaker, String)> {
        let is_ours = self.portals.of_room(room).is_some() || self.upgrades.may_speak_in(room);
        if speaker != Speaker::Bot || is_ours {
            return Some((speaker, text));
        }
        let ((_, nick), _) = self.queries.of_room(room)?;
        Some((self.ghost(nick)?, format!("{BRIDGE}{text}")))
    }

    /// Why a nick cannot be talked to in private, where it is a puppet's.
    pub(super) fn is_one_of_ours(&self, nick: &Nick) -> Option<String> {
        let conn = self.nicks.candidates(nick).find(|conn| self.nicks.has(*conn, nick))?;
        let user = &self.puppets[conn.puppet.0 as usize].user;
        Some(format!("{nick} is the IRC user of {user}, who can be talked to on Matrix"))
    }

    /// One stream shows somebody saying something to its puppet alone.
    pub(super) fn said_privately(
        &mut self,
        conn: ConnId,
        from: &Person,
        to: Nick,
        account: Option<String>,
        heard: Heard,
    ) {
        if self.is_me(conn, &from.nick) {
            // Our own words come back (IRCv3 "echo-message").
            return self.ours_shown(conn, conn, &Target::Nick(to), &heard.what, &heard.stamp);
        }
        if self.is_bot(conn.puppet) {
            return self.bot_told(conn, from, account, &heard);
        }
        // Servers have no user and host.
        let Some(mask) = from.mask().filter(|_| !self.nicks.is_ours(&from.nick)) else { return };
        if self.is_ignored(conn.puppet, &from.nick, &mask) {
            return;
        }
        let pair = (self.puppet(conn.puppet).user.clone(), from.nick.clone());
        let who = Who { account, mask: Some(mask) };
        if self.queries.get(&pair).is_some_and(|query| !query.who.may_be(&who)) {
            let reason =
                format!("{} is somebody else now: this chat was with who had that nick before", pair.1);
            self.end_query(&pair, &reason);
        }
        if self.queries.get(&pair).is_none() && !self.begin_query(conn, &pair, &who, &heard) {
            return;
        }
        self.learn_partner(&pair, who);
        self.carry(conn, &pair, heard);
        self.nick_speaks(&pair);
        self.talks(conn.puppet);
    }

    /// Somebody on IRC writes to one of ours for the first time. `false` where that makes no room.
    fn begin_query(&mut self, conn: ConnId, pair: &Pair, who: &Who, heard: &Heard) -> bool {
        let Uttered::Words(words) = &heard.what else { return false };
        let is_empty = irc_codes::read(&words.text).is_empty();
        let is_unasked = words.kind == BodyKind::Notice && is_service(&pair.1, who);
        if is_empty || is_unasked || matches!(self.life, Life::Finishing | Life::Stopping) {
            return false;
        }
        let (rules, user) = (self.policy.queries, &pair.0);
        let is_closed = rules.federate == Shown::Off && user.server() != self.policy.server_name;
        if rules.to_matrix == Shown::Off || is_closed {
            let text =
                format!("{user} reads this network through a bridge that does not carry private messages.");
            if words.kind != BodyKind::Notice && self.puppet(conn.puppet).may_explain(&pair.1) {
                self.with_session(conn.puppet, |session, out| session.notice(&pair.1, &text, out));
            }
            return false;
        }
        let Some(ghost) = self.query_ghost(&pair.1) else { return false };
        if !self.may_begin(conn, pair, words) {
            return false;
        }
        let step = QueryStep::Create { user: user.clone(), ghost };
        self.queries.insert(pair.clone(), Query::new(Place::doing(step.clone()), who.clone()));
        self.out.push(Effect::Query(step));
        true
    }

    /// Whether one more room may be asked for; if not, who wrote is told, and the person in sum.
    fn may_begin(&mut self, conn: ConnId, pair: &Pair, words: &Words) -> bool {
        let rooms_max = self.policy.queries.rooms_per_minute;
        let Err(until) = self.query_paces.0.take(self.now, conn.puppet, rooms_max, ALL_MAX) else {
            return true;
        };
        self.timers.arm(Timer::Queries(conn.puppet), until);
        // A NOTICE is never answered (RFC 2812 section 3.3.2).
        if words.kind != BodyKind::Notice && self.ctcp.may(self.now, conn.puppet) {
            let text = format!("Too many people write to {} at this moment. Try again in a minute.", pair.0);
            self.with_session(conn.puppet, |session, out| session.notice(&pair.1, &text, out));
        }
        false
    }

    /// Somebody was seen again: what tells them from others is kept.
    fn learn_partner(&mut self, pair: &Pair, who: Who) {
        self.queries.respell(pair);
        if self.queries.get_mut(pair).is_some_and(|query| query.who.learn(who)) {
            self.save_query(pair);
        }
    }

    /// Brings what a nick said to the room, or lets it wait for one.
    fn carry(&mut self, conn: ConnId, pair: &Pair, heard: Heard) {
        let Some(query) = self.queries.get_mut(pair) else { return };
        query.away = None;
        match query.place.clone() {
            Place::Open(room) => self.relay_privately(&room, &pair.1, &heard),
            Place::Doing(_) => query.wait(heard),
            Place::Left(room) => {
                let Uttered::Words(words) = &heard.what else { return };
                if !self.may_begin(conn, pair, words) {
                    return;
                }
                if let Some(query) = self.queries.get_mut(pair) {
                    query.wait(heard);
                }
                if let Some(ghost) = self.query_ghost(&pair.1) {
                    self.ask_for(pair, QueryStep::Invite { room, user: pair.0.clone(), ghost });
                }
            }
        }
    }

    /// Asks the homeserver for something.
    fn ask_for(&mut self, pair: &Pair, step: QueryStep) {
        self.queries.set_place(pair, Place::doing(step.clone()));
        self.out.push(Effect::Query(step));
    }

    /// Says in the room what the nick said.
    fn relay_privately(&mut self, room: &RoomId, nick: &Nick, heard: &Heard) {
        match &heard.what {
            Uttered::Words(words) => self.relay_private_words(room, nick, heard, words),
            Uttered::Reaction { to, key } => {
                let found = self.memory.by_msgid(room, to).filter(|(_, said)| said.life == Standing::Stands);
                if let (Some((order, _)), Some(speaker)) = (found, self.ghost(nick)) {
                    self.do_to(order, Deed::React { speaker, key: key.clone() });
                }
            }
            Uttered::Unreaction { to, key } => {
                if let Some(speaker) = self.ghost(nick) {
                    self.unreact(room.clone(), to, &speaker, key);
                }
            }
            Uttered::Redaction { of, reason } => {
                // The server has decided that they may; it is their own, for nobody else is there.
                let is_theirs = |author: &Author| *author == Author::Irc(nick.clone());
                let found = self.memory.by_msgid(room, of);
                let found =
                    found.filter(|(_, said)| said.life == Standing::Stands && is_theirs(&said.author));
                if let (Some((order, _)), Some(speaker)) = (found, self.ghost(nick)) {
                    self.memory.redact_at(order);
                    self.do_to(order, Deed::Redact { speaker, reason: reason.clone() });
                }
            }
        }
    }

    fn relay_private_words(&mut self, room: &RoomId, nick: &Nick, heard: &Heard, words: &Words) {
        let from = Speaking::Person(nick.clone());
        let (ghosts, server_name) = (&self.policy.ghosts, &self.policy.server_name);
        let Some(message) = to_matrix::message(&from, words, ghosts, server_name) else { return };
        // Whoever is there hears of it anyway.
        let to_matrix::Content { text, html, mentions } = message.content(0, |_| None);
        let about = words.reply.as_deref().and_then(|msgid| self.event_of(room, msgid));
        let (said_ms, seq) = (self.said_ms(&heard.stamp), self.next_seq());
        self.memory.from_irc(seq, room.clone(), heard.stamp.msgid.as_deref(), nick.clone(), &text);
        let (room, speaker, kind) = (room.clone(), message.speaker, message.kind);
        self.out.push(Effect::Relay(Relay {
            seq,
            room,
            speaker,
            kind,
            text,
            html,
            mentions,
            about,
            said_ms,
        }));
    }

    /// Somebody that a puppet shares a channel with has another nick: their private chat goes with them.
    pub(super) fn partner_renamed(&mut self, conn: ConnId, who: &Nick, to: &Nick) {
        let user = self.puppet(conn.puppet).user.clone();
        let (before, pair) = ((user.clone(), who.clone()), (user.clone(), to.clone()));
        let Some(place) = self.queries.get(&before).map(|query| query.place.clone()) else { return };
        if who == to {
            self.queries.respell(&pair);
            return;
        }
        let reason = format!("now known as {to}");
        match place {
            Place::Open(room) => {
                let (Some(from), Some(ghost)) = (self.query_ghost(who), self.query_ghost(to)) else {
                    return self.end_query(&before, &reason);
                };
                // Whoever had that nick before has it no more.
                self.end_query(&pair, &format!("{to} is somebody else now"));
                let Some(mut query) = self.queries.remove(&before) else { return };
                query.absence = Absence::Unknown;
                let step = QueryStep::Move { room, user, from, ghost };
                query.place = Place::doing(step.clone());
                self.queries.insert(pair, query);
                self.puppet(conn.puppet).turn_waiting(who, to);
                self.out.push(Effect::Query(step));
            }
            // What they say next makes a new room.
            Place::Left(_) => self.end_query(&before, &reason),
            // The room that is being made has what they said under the old nick.
            Place::Doing(_) => {}
        }
    }

    /// Somebody has another user or host name: that does not make them somebody else.
    pub(super) fn host_changed(&mut self, conn: ConnId, who: &Person, mask: String) {
        let pair = (self.puppet(conn.puppet).user.clone(), who.nick.clone());
        let (known, now) = (who.mask(), Some(mask));
        let Some(query) = self.queries.get_mut(&pair) else { return };
        if query.who.mask.is_some() && query.who.mask == known {
            query.who.mask = now;
            self.save_query(&pair);
        }
    }

    /// Who was written to is away: their partner hears it once for each of their away messages.
    pub(super) fn is_away(&mut self, conn: ConnId, who: &Nick, words: &str) {
        let pair = (self.puppet(conn.puppet).user.clone(), who.clone());
        let words: String = irc_codes::strip(words).chars().take(AWAY_CHARS_MAX).collect();
        let Some(query) = self.queries.get_mut(&pair) else { return };
        let Place::Open(room) = query.place.clone() else { return };
        if query.away.as_ref() == Some(&words) {
            return;
        }
        let text = match words.trim() {
            "" => format!("{who} is away."),
            words => format!("{who} is away: {words}"),
        };
        query.away = Some(words);
        self.tell(&room, text, None);
    }

    /// A puppet talks in private: it stays connected for that a while, whether it is in a channel or not.
    pub(super) fn talks(&mut self, id: PuppetId) {
        let now = self.now;
        let puppet = self.puppet(id);
        puppet.talked_at = Some(now);
        if puppet.wanted.is_empty() {
            puppet.alone_since.get_or_insert(now);
            self.timers.arm(Timer::Linger(id), now.plus_ms(TALK_MS));
        }
    }

    /// What waited for people goes, where the connection may talk.
    pub(super) fn flush_to_people(&mut self, id: PuppetId) {
        let map = self.map();
        for target in self.puppet(id).targets_waited_for(map) {
            if target.nick().is_some() {
                self.flush_to(id, &target);
            }
        }
    }

    /// The ghost of a nick.
    fn query_ghost(&self, nick: &Nick) -> Option<Ghost> {
        match self.ghost(nick)? {
            Speaker::Ghost(ghost) => Some(ghost),
            Speaker::Bot => None,
        }
    }

    /// Keeps a private chat over restarts, once it has a room.
    fn save_query(&mut self, pair: &Pair) {
        let id = self.puppet_ids.get(&pair.0).copied();
        let display_name = id.and_then(|id| self.puppets[id.0 as usize].display_name.clone());
        let Some(query) = self.queries.get(pair) else { return };
        self.out.extend(query.row(pair, display_name).map(Effect::SaveQuery));
    }
}

/// Services speak unasked, to everybody who connects.
pub(super) fn is_service(nick: &Nick, who: &Who) -> bool {
    let nick = nick.folded();
    let host = who.mask.as_deref().and_then(|mask| mask.split_once('@')).map_or("", |(_, host)| host);
    nick.ends_with("serv") || nick == "global" || host.starts_with("services.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::casemap::CaseMap;

    #[test]
    fn services_are_known_by_their_nick_or_their_host() {
        let is_service = |nick: &str, mask: &str| {
            let who = Who { account: None, mask: Some(mask.to_owned()) };
            is_service(&Nick::new(nick, CaseMap::Rfc1459).unwrap(), &who)
        };
        assert!(is_service("NickServ", "NickServ@services.net") && is_service("MemoServ", "a@b"));
        assert!(is_service("Q", "TheQBot@services.quakenet.org"));
        assert!(!is_service("eve", "e@host") && !is_service("servant", "services@home"));
    }
}
