//! The wire of IRC, read: one function for each command or numeric, from a [`Line`] to what it shows.
//!
//! To add a command, add a line to `read` and a function below it. A line with too few parameters, an
//! illegal name or of an unknown kind shows nothing: remote nonsense is not an error.

use std::sync::Arc;

use irc::proto::Response;

use super::isupport::Isupport;
use super::multiline::Whole;
use super::seen::{
    Audience, NickRefusal, Person, Quitting, Seen, Speaking, Stamp, Typing, Uttered, Visibility, Words,
};
use crate::bridge::ending;
use crate::bridge::input::BodyKind;
use crate::ids::{ChannelName, Nick};
use crate::text::casemap::CaseMap;
use crate::text::irc_codes::{Ctcp, parse_ctcp};
use crate::text::line::{Line, clean};
use crate::text::moment;

/// Reads one line. `isupport` learns from 005; everything else comes back as a fact.
pub fn read(line: &Line, isupport: &mut Isupport) -> Option<Seen> {
    if line.command.len() == 3
        && let Ok(numeric) = line.command.parse::<u16>()
    {
        return read_numeric(numeric, line, isupport);
    }
    let reader = Reader { line, isupport, map: isupport.casemap.unwrap_or_default() };
    match line.command.as_str() {
        "PRIVMSG" | "NOTICE" => reader.said(),
        "TAGMSG" => reader.tagged(),
        "REDACT" => reader.redacted(),
        "JOIN" => reader.join(),
        "PART" => reader.part(),
        "KICK" => reader.kick(),
        "MODE" => reader.modes(),
        "TOPIC" => reader.topic(0),
        "INVITE" => reader.invited(),
        "QUIT" => reader.quit(),
        "NICK" => reader.nick(),
        "CHGHOST" => reader.host_changed(),
        "ERROR" => reader.farewell(None),
        "KILL" => reader.kill(),
        _ => None,
    }
}

/// Reads a message of several lines.
pub fn read_whole(whole: Whole, isupport: &mut Isupport) -> Option<Seen> {
    let mut seen = read(&whole.line, isupport)?;
    if let Seen::Said { what: Uttered::Words(words), .. }
    | Seen::SaidPrivately { what: Uttered::Words(words), .. } = &mut seen
    {
        words.lines = whole.lines;
    }
    Some(seen)
}

fn read_numeric(numeric: u16, line: &Line, isupport: &mut Isupport) -> Option<Seen> {
    let known = line.command.parse::<Response>().ok();
    if known == Some(Response::RPL_ISUPPORT) {
        isupport.learn(line.params.get(1..line.params.len().saturating_sub(1)).unwrap_or_default());
        return Some(Seen::Supports);
    }
    let reader = Reader { line, isupport, map: isupport.casemap.unwrap_or_default() };
    match known {
        Some(Response::RPL_WELCOME) => reader.welcome(),
        Some(Response::RPL_ENDOFMOTD | Response::ERR_NOMOTD) => Some(Seen::Ready),
        Some(Response::RPL_NAMREPLY) => reader.names(),
        Some(Response::RPL_TOPIC) => reader.topic(1),
        Some(Response::RPL_NOTOPIC) => reader.no_topic(),
        Some(Response::RPL_CHANNELMODEIS) => reader.modes_are(),
        Some(Response::RPL_ENDOFNAMES) => Some(Seen::NamesEnd { channel: reader.channel(1)? }),
        Some(Response::ERR_NICKNAMEINUSE | Response::ERR_NICKCOLLISION | Response::ERR_UNAVAILRESOURCE)
            if reader.channel(1).is_none() =>
        {
            reader.nick_refused(NickRefusal::Taken)
        }
        _ if numeric == MONITOR_ONLINE => Some(reader.online()),
        _ if numeric == MONITOR_OFFLINE => Some(reader.offline()),
        _ if numeric == MONITOR_FULL => Some(Seen::WatchRefused(reader.nicks_at(2))),
        Some(Response::RPL_AWAY) => {
            Some(Seen::Away { who: reader.nick_at(1)?, words: line.param(2).to_owned() })
        }
        _ if NICK_REFUSALS.contains(&numeric) => reader.nick_refused(NickRefusal::Taken),
        Some(Response::ERR_ERRONEOUSNICKNAME) => reader.nick_refused(NickRefusal::Illegal),
        _ if FAREWELLS.contains(&numeric) => reader.farewell(Some(numeric)),
        _ if (400..600).contains(&numeric) => reader.channel_refused(numeric),
        _ => None,
    }
}

/// Numerics with which servers answer a JOIN: RFC 2812 (403, 405, 407, 437, 471, 473 to 476), and those of
/// today's servers (477 registration, 479 and 480 throttle or name, 482 to 489 and 495 modes, 500 throttle,
/// 519 and 520 staff only). Some of them answer a message as well: then we are in the channel.
const JOIN_REFUSALS: [u16; 19] =
    [403, 405, 407, 437, 470, 471, 473, 474, 475, 476, 477, 479, 480, 485, 489, 495, 500, 519, 520];

/// Numerics besides the well-known ones with which a NICK is refused: none given (431), banned here (435),
/// too fast (438), not now (447), restricted (484).
const NICK_REFUSALS: [u16; 5] = [431, 435, 438, 447, 484];

/// Numerics that come before a close: no permission for our host (463), wrong password (464), banned (465), about
/// to be banned (466).
const FAREWELLS: [u16; 4] = [463, 464, 465, 466];

/// A longer reaction is none.
const REACTION_BYTES_MAX: usize = 100;
/// Bytes kept of why a message was taken back.
const REASON_BYTES_MAX: usize = 300;

/// RPL_MONONLINE, RPL_MONOFFLINE, ERR_MONLISTFULL (IRCv3 "monitor").
const MONITOR_ONLINE: u16 = 730;
const MONITOR_OFFLINE: u16 = 731;
const MONITOR_FULL: u16 = 734;

/// One line with what is needed to understand it.
struct Reader<'a> {
    line: &'a Line,
    isupport: &'a Isupport,
    map: CaseMap,
}

impl Reader<'_> {
    fn channel(&self, index: usize) -> Option<ChannelName> {
        let text = self.line.param(index);
        self.isupport.is_channel(text).then(|| ChannelName::new(text, self.map)).flatten()
    }

    fn nick_at(&self, index: usize) -> Option<Nick> {
        Nick::new(self.line.param(index), self.map)
    }

    /// The person a line comes from; `None` for a server (a name with a dot and no user or host).
    fn person(&self) -> Option<Person> {
        let source = self.line.source.as_ref()?;
        if source.user.is_none() && source.host.is_none() && source.name.contains('.') {
            return None;
        }
        let nick = Nick::new(&source.name, self.map)?;
        Some(Person { nick, user: source.user.clone(), host: source.host.clone() })
    }

    fn last(&self) -> String {
        self.line.params.last().cloned().unwrap_or_default()
    }

    /// `730 me :nick!user@host,nick` (IRCv3 "monitor").
    fn online(&self) -> Seen {
        let person = |entry: &str| {
            let (nick, mask) = entry.split_once('!').unwrap_or((entry, ""));
            Some((Nick::new(nick, self.map)?, Some(mask).filter(|mask| !mask.is_empty()).map(str::to_owned)))
        };
        Seen::Online(self.line.param(1).split(',').filter_map(person).collect())
    }

    /// `731 me :nick,nick!user@host` (IRCv3 "monitor").
    fn offline(&self) -> Seen {
        Seen::Offline { nicks: self.nicks_at(1) }
    }

    /// A list with commas, of nicks or of whole masks.
    fn nicks_at(&self, index: usize) -> Vec<Nick> {
        let nick = |entry: &str| Nick::new(entry.split('!').next().unwrap_or_default(), self.map);
        self.line.param(index).split(',').filter_map(nick).collect()
    }

    /// `CHGHOST user host` (IRCv3 "chghost").
    fn host_changed(&self) -> Option<Seen> {
        let (user, host) = (self.line.param(0), self.line.param(1));
        Some(Seen::HostChanged { who: self.person()?, user: user.to_owned(), host: host.to_owned() })
    }

    fn welcome(&self) -> Option<Seen> {
        let server = self.line.source.as_ref().map(|source| source.name.clone());
        Some(Seen::Welcome { nick: self.nick_at(0)?, server })
    }

    fn nick_refused(&self, why: NickRefusal) -> Option<Seen> {
        Some(Seen::NickRefused { why, words: self.last() })
    }

    fn farewell(&self, numeric: Option<u16>) -> Option<Seen> {
        Some(Seen::Farewell { numeric, words: self.last() })
    }

    /// `KILL ada :irc.srv!oper.host!oper (spam)` (RFC 2812 section 3.7.1); servers send it to who is killed.
    fn kill(&self) -> Option<Seen> {
        Some(Seen::Killed { who: self.nick_at(0)?, words: self.line.param(1).to_owned() })
    }

    /// `353 me = #chan :@ada +bob` (RFC 2812 section 5.1).
    fn names(&self) -> Option<Seen> {
        let channel = self.channel(2)?;
        let list = self.line.param(3);
        let nick = |entry| {
            let (modes, nick) = self.isupport.prefixes.split(entry);
            // With userhost-in-names the entry goes on with `!user@host`.
            Some((modes, Nick::new(nick.split('!').next().unwrap_or_default(), self.map)?))
        };
        let visibility = match self.line.param(1) {
            "@" => Visibility::Secret,
            "*" => Visibility::Private,
            _ => Visibility::Public,
        };
        Some(Seen::Names { channel, visibility, nicks: list.split(' ').filter_map(nick).collect() })
    }

    fn join(&self) -> Option<Seen> {
        Some(Seen::Joined { channel: self.channel(0)?, who: self.person()? })
    }

    fn part(&self) -> Option<Seen> {
        Some(Seen::Left { channel: self.channel(0)?, who: self.person()?.nick })
    }

    fn kick(&self) -> Option<Seen> {
        Some(Seen::Kicked {
            channel: self.channel(0)?,
            who: self.nick_at(1)?,
            by: self.line.source.as_ref().map(|source| source.name.clone()).unwrap_or_default(),
            reason: ending::clean(self.line.param(2)),
        })
    }

    /// `MODE #chan +c-n` (RFC 2812 section 3.2.3).
    fn modes(&self) -> Option<Seen> {
        let words = self.line.params.get(1..).unwrap_or_default();
        Some(Seen::ModesChanged { channel: self.channel(0)?, changes: self.isupport.mode_changes(words) })
    }

    /// `324 me #chan +ntk key` (RFC 2812 section 5.1). A key may be missing, or hidden behind any word.
    fn modes_are(&self) -> Option<Seen> {
        let words = self.line.params.get(2..).unwrap_or_default();
        Some(Seen::ModesAre { channel: self.channel(1)?, changes: self.isupport.mode_changes(words) })
    }

    /// `TOPIC #chan :text`, and `332 me #chan :text` (RFC 2812 sections 3.2.4, 5.1).
    fn topic(&self, channel: usize) -> Option<Seen> {
        let text = self.line.params.get(channel + 1)?.clone();
        let by = self.person().filter(|_| channel == 0).map(|person| person.nick);
        Some(Seen::Topic { channel: self.channel(channel)?, text, by })
    }

    /// `331 me #chan :No topic is set`.
    fn no_topic(&self) -> Option<Seen> {
        Some(Seen::Topic { channel: self.channel(1)?, text: String::new(), by: None })
    }

    /// `:eve!e@h INVITE ada #chan` (RFC 2812 section 3.2.7).
    fn invited(&self) -> Option<Seen> {
        let by = self.line.source.as_ref().map(|source| source.name.clone()).unwrap_or_default();
        Some(Seen::Invited { channel: self.channel(1)?, who: self.nick_at(0)?, by, person: self.person() })
    }

    fn quit(&self) -> Option<Seen> {
        Some(Seen::Quit { who: self.person()?, how: Quitting::of(self.line.param(0)) })
    }

    fn nick(&self) -> Option<Seen> {
        Some(Seen::Renamed { who: self.person()?.nick, to: self.nick_at(0)? })
    }

    fn said(&self) -> Option<Seen> {
        let text = self.line.params.get(1)?;
        let (kind, text) = match (parse_ctcp(text), self.line.command.as_str()) {
            (Ctcp::Action(text), "PRIVMSG") => (BodyKind::Emote, text.to_owned()),
            (Ctcp::Action(text), _) => (BodyKind::Notice, text.to_owned()),
            // Requests and replies are between programs; nobody said anything.
            (Ctcp::Other { verb, rest }, "PRIVMSG") => return self.ctcp_asked(verb, rest),
            (Ctcp::Other { .. }, _) => return None,
            (Ctcp::None, "NOTICE") => (BodyKind::Notice, text.clone()),
            (Ctcp::None, _) => (BodyKind::Text, text.clone()),
        };
        let target = self.line.param(0);
        let name = self.isupport.channel_of_target(target);
        // `@#chan`; of several signs the last is the lowest rank that is spoken to.
        let sign = target[..target.len() - name.len()].chars().next_back();
        let audience = sign.map_or(Audience::All, Audience::Rank);
        let reply = self.answered().map(str::to_owned);
        let words = Words { kind, text, audience, reply, lines: Vec::new() };
        self.uttered(name, Uttered::Words(words))
    }

    /// Only who is asked alone answers: a request to a channel would be answered by all of us at once.
    fn ctcp_asked(&self, verb: &str, rest: &str) -> Option<Seen> {
        if self.isupport.is_channel(self.isupport.channel_of_target(self.line.param(0))) {
            return None;
        }
        Some(Seen::CtcpAsked { from: self.person()?, verb: verb.to_ascii_uppercase(), rest: rest.to_owned() })
    }

    /// A message without text (IRCv3 "message-tags"): reactions and typing are shown, anything else is not. One that sets
    /// a sign and takes one back says nothing.
    fn tagged(&self) -> Option<Seen> {
        match (self.line.tag("+draft/react"), self.line.tag("+draft/unreact")) {
            (Some(key), None) => self.signed(key, |to, key| Uttered::Reaction { to, key }),
            (None, Some(key)) => self.signed(key, |to, key| Uttered::Unreaction { to, key }),
            (Some(_), Some(_)) => None,
            (None, None) => self.types(),
        }
    }

    fn signed(&self, key: &str, what: impl FnOnce(String, String) -> Uttered) -> Option<Seen> {
        let key = clean(key);
        let (key, to) = (key.trim(), self.answered()?);
        if key.is_empty() || key.len() > REACTION_BYTES_MAX {
            return None;
        }
        self.uttered(self.line.param(0), what(to.to_owned(), key.to_owned()))
    }

    /// Only to a whole channel: what is written to those of a rank is nobody else's business. Some clients still write the
    /// draft's name for the tag.
    fn types(&self) -> Option<Seen> {
        let typing = Typing::of(self.line.tag("+typing").or_else(|| self.line.tag("+draft/typing"))?)?;
        let (channel, person) = (self.channel(0)?, self.person()?);
        let mask = person.mask();
        Some(Seen::Typing { channel, who: person.nick, mask, typing })
    }

    /// `REDACT #chan msgid :reason` (IRCv3 "message-redaction"): the server has decided that they may.
    fn redacted(&self) -> Option<Seen> {
        let of = Some(self.line.param(1)).filter(|of| !of.is_empty())?.to_owned();
        let reason = clean(self.line.param(2));
        let reason = reason[..reason.floor_char_boundary(REASON_BYTES_MAX)].trim();
        let reason = Some(reason).filter(|reason| !reason.is_empty()).map(str::to_owned);
        self.uttered(self.line.param(0), Uttered::Redaction { of, reason })
    }

    fn uttered(&self, target: &str, what: Uttered) -> Option<Seen> {
        let msgid = self.line.tag("msgid").filter(|id| !id.is_empty()).map(Arc::from);
        let stamp = Stamp { msgid, time_ms: self.line.tag("time").and_then(moment::parse) };
        if !self.isupport.is_channel(target) {
            let (from, to) = (Box::new(self.person()?), Nick::new(target, self.map)?);
            let account = self.line.tag("account").filter(|account| !account.is_empty()).map(str::to_owned);
            return Some(Seen::SaidPrivately { from, to, account, what, stamp });
        }
        let channel = ChannelName::new(target, self.map)?;
        let person = self.person();
        let mask = person.as_ref().and_then(Person::mask);
        let from = match person {
            Some(person) => Speaking::Person(person.nick),
            None => Speaking::Server(self.line.source.as_ref()?.name.clone()),
        };
        Some(Seen::Said { channel, from, mask, what, stamp })
    }

    /// The name of the message that this one answers. The draft's name for the tag is what most write, and the final
    /// one is all that some servers let through.
    fn answered(&self) -> Option<&str> {
        let tag = |key| self.line.tag(key).filter(|of: &&str| !of.is_empty());
        tag("+reply").or_else(|| tag("+draft/reply"))
    }

    /// An error numeric that names a channel: `471 me #chan :Cannot join channel (+l)`.
    fn channel_refused(&self, numeric: u16) -> Option<Seen> {
        let (channel, words) = (self.channel(1)?, self.last());
        if JOIN_REFUSALS.contains(&numeric) {
            return Some(Seen::JoinRefused { channel, numeric, words });
        }
        Some(Seen::NotTaken { channel, numeric, words })
    }
}
